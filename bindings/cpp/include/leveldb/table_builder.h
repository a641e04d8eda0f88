// A TableBuilder writes a table: see table.h.
//
// Threads: any number may call const methods at once; the others, one at a time.

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
  // Writes to `file`, which is empty, and remains the caller's to sync and close. Both must outlive Finish() or Abandon().
  TableBuilder(const Options& options, WritableFile* file);

  TableBuilder(const TableBuilder&) = delete;
  TableBuilder& operator=(const TableBuilder&) = delete;

  // After Finish() or Abandon().
  ~TableBuilder();

  // Takes block size, restart interval and compression from these options. Another comparator is refused.
  Status ChangeOptions(const Options& options);

  // Adds an entry; its key is behind all before.
  void Add(const Slice& key, const Slice& value);

  // Ends the block: the next entry begins another one.
  void Flush();

  // The first thing that has gone wrong.
  Status status() const;

  // Writes the rest of the table.
  Status Finish();

  // Stops writing; what is there is no table.
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
