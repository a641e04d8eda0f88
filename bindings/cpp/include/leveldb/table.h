// A Table is an immutable, sorted file of entries by itself, without a database.
//
// Threads: any, at once.

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
  // Opens the table in the first `file_size` bytes of `file`, which must outlive it, as what the options name must. On success `*table`
  // is the caller's, to be deleted; on failure it is NULL.
  static Status Open(const Options& options, RandomAccessFile* file, uint64_t file_size, Table** table);

  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  ~Table();

  // An iterator over the entries; it stands on none yet. The caller deletes it, before the table.
  Iterator* NewIterator(const ReadOptions&) const;

  // About where in the file the entry at or after `key` lies.
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
