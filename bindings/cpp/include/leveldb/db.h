// A DB is a database: a lasting, ordered map from keys to values, bytes both.
//
// Threads: any, at once.

#ifndef STORAGE_LEVELDB_INCLUDE_DB_H_
#define STORAGE_LEVELDB_INCLUDE_DB_H_

#include <cstdint>
#include <cstdio>

#include "leveldb/export.h"
#include "leveldb/iterator.h"
#include "leveldb/options.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

// The version of LevelDB whose interface this is.
static const int kMajorVersion = 1;
static const int kMinorVersion = 23;

struct Options;
struct ReadOptions;
struct WriteOptions;
class WriteBatch;

// A state of a database that can be read as long as the snapshot is not released.
class LEVELDB_EXPORT Snapshot {
 protected:
  virtual ~Snapshot();
};

// The keys from `start` up to, but without, `limit`.
struct LEVELDB_EXPORT Range {
  Range() = default;
  Range(const Slice& s, const Slice& l) : start(s), limit(l) {}

  Slice start;
  Slice limit;
};

class LEVELDB_EXPORT DB {
 public:
  // Opens the database in the directory `name`, which LevelDB may have written and may open afterwards. On success `*dbptr` is the
  // caller's, to be deleted; on failure it is NULL.
  static Status Open(const Options& options, const std::string& name, DB** dbptr);

  DB() = default;

  DB(const DB&) = delete;
  DB& operator=(const DB&) = delete;

  // Closes the database.
  virtual ~DB();

  // Sets `key` to `value`.
  virtual Status Put(const WriteOptions& options, const Slice& key, const Slice& value) = 0;

  // Deletes `key`. That it is not there is no error.
  virtual Status Delete(const WriteOptions& options, const Slice& key) = 0;

  // Writes a batch: all of it or nothing. NULL flushes what is in memory to a table, and returns when that is done.
  virtual Status Write(const WriteOptions& options, WriteBatch* updates) = 0;

  // Puts the value of `key` into `*value`. If the key is not there the status IsNotFound(), and `*value` is left as it was.
  virtual Status Get(const ReadOptions& options, const Slice& key, std::string* value) = 0;

  // An iterator over the database as it is now, or as it was at the snapshot; it stands on no entry yet. The caller deletes it, before
  // the database.
  virtual Iterator* NewIterator(const ReadOptions& options) = 0;

  // The state of now, until ReleaseSnapshot().
  virtual const Snapshot* GetSnapshot() = 0;
  virtual void ReleaseSnapshot(const Snapshot* snapshot) = 0;

  // Puts a property into `*value`; false if there is none of that name:
  //
  //  "leveldb.num-files-at-level<N>"     the number of table files at level N
  //  "leveldb.stats"                     a table of the levels and their compactions
  //  "leveldb.sstables"                  the table files of each level, with their ranges
  //  "leveldb.approximate-memory-usage"  bytes of memory in use
  virtual bool GetProperty(const Slice& property, std::string* value) = 0;

  // Puts into `sizes[i]` about how many bytes the keys of `range[i]` take: in table files, and in full memtables that are still
  // to become files. What was written last, less than `write_buffer_size` bytes, does not count.
  virtual void GetApproximateSizes(const Range* range, int n, uint64_t* sizes) = 0;

  // Compacts the tables that have keys from `*begin` to `*end`, and returns when that is done. NULL is before, or behind, all keys.
  virtual void CompactRange(const Slice* begin, const Slice* end) = 0;
};

// Removes a database: its files, then the directory, if nothing else is in it. A missing directory is fine.
LEVELDB_EXPORT Status DestroyDB(const std::string& name, const Options& options);

// Makes a database that does not open any more openable, saving what can be read. Some of the data may be lost.
LEVELDB_EXPORT Status RepairDB(const std::string& dbname, const Options& options);

TERRACE_LEVELDB_NAMESPACE_END

#if TERRACE_LEVELDB_DEFINITIONS
#include "leveldb/detail/db_impl.h"
#endif

#endif  // STORAGE_LEVELDB_INCLUDE_DB_H_
