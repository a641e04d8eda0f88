// A DB is a database: a persistent, ordered map from keys to values, both of them byte strings.
//
// Threads: any number at the same time.

#ifndef STORAGE_LEVELDB_INCLUDE_DB_H_
#define STORAGE_LEVELDB_INCLUDE_DB_H_

#include <cstdint>
#include <cstdio>

#include "leveldb/export.h"
#include "leveldb/iterator.h"
#include "leveldb/options.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

// The version of LevelDB whose interface these headers implement.
static const int kMajorVersion = 1;
static const int kMinorVersion = 23;

struct Options;
struct ReadOptions;
struct WriteOptions;
class WriteBatch;

// A state of a database, which can be read until the snapshot is released.
class LEVELDB_EXPORT Snapshot {
 protected:
  virtual ~Snapshot();
};

// The keys from `start` (included) to `limit` (excluded).
struct LEVELDB_EXPORT Range {
  Range() = default;
  Range(const Slice& s, const Slice& l) : start(s), limit(l) {}

  Slice start;
  Slice limit;
};

class LEVELDB_EXPORT DB {
 public:
  // Opens the database in the directory `name`. LevelDB may have written it, and may open it afterwards. On
  // success, `*dbptr` belongs to the caller, who deletes it; on failure it is NULL.
  static Status Open(const Options& options, const std::string& name, DB** dbptr);

  DB() = default;

  DB(const DB&) = delete;
  DB& operator=(const DB&) = delete;

  // Closes the database.
  virtual ~DB();

  // Sets `key` to `value`.
  virtual Status Put(const WriteOptions& options, const Slice& key, const Slice& value) = 0;

  // Deletes `key`. Deleting an absent key succeeds.
  virtual Status Delete(const WriteOptions& options, const Slice& key) = 0;

  // Writes a batch atomically: all of it or nothing. NULL flushes the memtables to a table, and returns when
  // this is done.
  virtual Status Write(const WriteOptions& options, WriteBatch* updates) = 0;

  // Puts the value of `key` into `*value`. For an absent key, the status IsNotFound() and `*value` is
  // unchanged.
  virtual Status Get(const ReadOptions& options, const Slice& key, std::string* value) = 0;

  // Creates an iterator over the current state of the database, or over the snapshot of the options. It is
  // invalid until it is positioned. The caller deletes it, before the database.
  virtual Iterator* NewIterator(const ReadOptions& options) = 0;

  // Keeps the current state readable until ReleaseSnapshot().
  virtual const Snapshot* GetSnapshot() = 0;
  virtual void ReleaseSnapshot(const Snapshot* snapshot) = 0;

  // Puts a property into `*value`; returns false for an unknown name:
  //
  //  "leveldb.num-files-at-level<N>"     the number of table files at level N
  //  "leveldb.stats"                     a table of the levels and their compactions
  //  "leveldb.sstables"                  the table files of each level, with their ranges
  //  "leveldb.approximate-memory-usage"  bytes of memory in use
  virtual bool GetProperty(const Slice& property, std::string* value) = 0;

  // Puts into `sizes[i]` about how many bytes the keys of `range[i]` take in table files and in full
  // memtables that wait for a flush. The active memtable (less than `write_buffer_size` bytes) does not
  // count.
  virtual void GetApproximateSizes(const Range* range, int n, uint64_t* sizes) = 0;

  // Compacts the tables that have keys from `*begin` to `*end`, and returns when this is done. NULL means
  // before all keys, or after all keys.
  virtual void CompactRange(const Slice* begin, const Slice* end) = 0;
};

// Removes a database: its files, then the directory if it is empty. A missing directory is not an error.
LEVELDB_EXPORT Status DestroyDB(const std::string& name, const Options& options);

// Repairs a database that cannot be opened any more, keeping all entries that can be read. Some data may be
// lost.
LEVELDB_EXPORT Status RepairDB(const std::string& dbname, const Options& options);

TERRACE_LEVELDB_NAMESPACE_END

#if TERRACE_LEVELDB_DEFINITIONS
#include "leveldb/detail/db_impl.h"
#endif

#endif  // STORAGE_LEVELDB_INCLUDE_DB_H_
