// A Table is an immutable, sorted file of entries. It can be used without a database.
//
// Threads: any number at the same time.

#ifndef STORAGE_LEVELDB_INCLUDE_TABLE_H_
#define STORAGE_LEVELDB_INCLUDE_TABLE_H_

#include <cstdint>

#include "leveldb/export.h"
#include "leveldb/iterator.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

struct Options;
class RandomAccessFile;
struct ReadOptions;

class LEVELDB_EXPORT Table {
 public:
  // Opens the table in the first `file_size` bytes of `file`. The file and the objects of the options must
  // outlive the table. On success, `*table` belongs to the caller, who deletes it; on failure it is NULL.
  static Status Open(const Options& options, RandomAccessFile* file, uint64_t file_size, Table** table);

  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  ~Table();

  // Creates an iterator over the entries. It is invalid until it is positioned. The caller deletes it, before
  // the table.
  Iterator* NewIterator(const ReadOptions&) const;

  // The approximate offset in the file, in bytes, of the first entry at or after `key`.
  uint64_t ApproximateOffsetOf(const Slice& key) const;

 private:
  struct Rep;

  explicit Table(Rep* rep) : rep_(rep) {}

  Rep* const rep_;
};

TERRACE_LEVELDB_NAMESPACE_END

#if TERRACE_LEVELDB_DEFINITIONS
#include "leveldb/detail/table_impl.h"
#endif

#endif  // STORAGE_LEVELDB_INCLUDE_TABLE_H_
