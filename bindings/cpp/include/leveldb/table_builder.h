// A TableBuilder writes a table: see table.h.
//
// Threads: any number of threads may call const methods at the same time; other methods exclude all others.

#ifndef STORAGE_LEVELDB_INCLUDE_TABLE_BUILDER_H_
#define STORAGE_LEVELDB_INCLUDE_TABLE_BUILDER_H_

#include <cstdint>

#include "leveldb/export.h"
#include "leveldb/options.h"
#include "leveldb/status.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

class WritableFile;

class LEVELDB_EXPORT TableBuilder {
 public:
  // Writes to `file`, which must be empty, and which the caller syncs and closes. `file` and the objects of
  // the options must outlive the builder.
  TableBuilder(const Options& options, WritableFile* file);

  TableBuilder(const TableBuilder&) = delete;
  TableBuilder& operator=(const TableBuilder&) = delete;

  // Requires that Finish() or Abandon() was called.
  ~TableBuilder();

  // Changes block size, restart interval and compression to those of `options`. Another comparator is
  // refused.
  Status ChangeOptions(const Options& options);

  // Adds an entry. Its key must be greater than all keys added before.
  void Add(const Slice& key, const Slice& value);

  // Ends the current block: the next entry starts a new block.
  void Flush();

  // The first failure, or OK.
  Status status() const;

  // Writes the last block, the filter block, the index and the footer.
  Status Finish();

  // Stops writing. The file is then not a table.
  void Abandon();

  uint64_t NumEntries() const;

  // Bytes written so far; after Finish(), the size of the table.
  uint64_t FileSize() const;

 private:
  struct Rep;
  Rep* rep_;
};

TERRACE_LEVELDB_NAMESPACE_END

#if TERRACE_LEVELDB_DEFINITIONS
#include "leveldb/detail/table_builder_impl.h"
#endif

#endif  // STORAGE_LEVELDB_INCLUDE_TABLE_BUILDER_H_
