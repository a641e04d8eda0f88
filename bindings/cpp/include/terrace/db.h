// Databases with column families, under RocksDB's names: a program that uses these parts of RocksDB's
// interface needs another header and another namespace. What LevelDB's interface has too (Slice, Status,
// Iterator, Comparator, ReadOptions and so on) is LevelDB's.
//
// This header is header-only, on top of libterrace (-lterrace). If a program also has `using namespace
// leveldb`, it writes `::terrace`, because header-only LevelDB has an inline namespace of that name.
//
// Threads: any number may use a DB and a ColumnFamilyHandle at the same time, except for Close() and the
// destructors. Const methods of a WriteBatch may run at the same time; other methods exclude all others.

#ifndef TERRACE_DB_H_
#define TERRACE_DB_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "leveldb/cache.h"
#include "leveldb/comparator.h"
#include "leveldb/db.h"
#include "leveldb/env.h"
#include "leveldb/filter_policy.h"
#include "leveldb/iterator.h"
#include "leveldb/options.h"
#include "leveldb/slice.h"
#include "leveldb/status.h"
#include "terrace.h"

#if !TERRACE_LEVELDB_DEFINITIONS
#error "terrace/db.h is header-only: compile without LEVELDB_SHARED_LIBRARY, and link with -lterrace"
#endif

namespace terrace {

using leveldb::BytewiseComparator;
using leveldb::Cache;
using leveldb::Comparator;
using leveldb::CompressionType;
using leveldb::DestroyDB;
using leveldb::Env;
using leveldb::FilterPolicy;
using leveldb::Iterator;
using leveldb::kNoCompression;
using leveldb::kSnappyCompression;
using leveldb::kZstdCompression;
using leveldb::Logger;
using leveldb::NewBloomFilterPolicy;
using leveldb::NewLRUCache;
using leveldb::Range;
using leveldb::ReadOptions;
using leveldb::RepairDB;
using leveldb::Slice;
using leveldb::Snapshot;
using leveldb::Status;
using leveldb::WriteOptions;

namespace detail {
class OpenedOptions;
}

// The name of the column family that every database has.
static const char* const kDefaultColumnFamilyName = "default";

// Whether a directory may be switched to RocksDB's language, which column families need. A directory that was
// switched is opened with any of these values.
enum Language {
  // The directory stays LevelDB's. Creating a column family fails with NotSupported.
  kLevelDBLanguage = 0,
  // The directory is LevelDB's until the first column family is created, which switches it for good: LevelDB
  // cannot open it any more, RocksDB can.
  kMaySwitchLanguage = 1,
  // A new database is created in RocksDB's language; an existing one is treated as by kMaySwitchLanguage.
  kRocksDBLanguage = 2
};

// The options of a column family. Of LevelDB's options those count that concern a family: comparator,
// write_buffer_size, block_cache, the sizes of blocks and files, compression, filter_policy.
struct ColumnFamilyOptions : public leveldb::Options {
  ColumnFamilyOptions() {}
  ColumnFamilyOptions(const leveldb::Options& options) : leveldb::Options(options) {}
};

// The options of a database, and of its default column family.
struct Options : public ColumnFamilyOptions {
  Options() {}
  Options(const leveldb::Options& options) : ColumnFamilyOptions(options) {}

  // Create the column families that DB::Open() names and that do not exist.
  bool create_missing_column_families = false;

  // Size of all WALs together, in bytes, above which the column families that keep the oldest one are
  // flushed. 0: four times the bytes that the memtables of all families may have.
  uint64_t max_total_wal_size = 0;

  Language language = kMaySwitchLanguage;
};

typedef Options DBOptions;

struct FlushOptions {};

struct CompactRangeOptions {};

// A column family of an open database. The caller deletes it, or passes it to DestroyColumnFamilyHandle(). It
// may outlive its database, and the drop of its family: a dropped family can be read, writes to it fail, and
// its files are removed when its last handle and iterator are deleted.
class ColumnFamilyHandle {
 public:
  ColumnFamilyHandle(const ColumnFamilyHandle&) = delete;
  ColumnFamilyHandle& operator=(const ColumnFamilyHandle&) = delete;

  virtual ~ColumnFamilyHandle();

  const std::string& GetName() const { return name_; }

  // The number of the family. The default family has 0. No other family ever gets the number of a dropped
  // one.
  uint32_t GetID() const { return id_; }

 private:
  friend class DB;
  friend class WriteBatch;

  explicit ColumnFamilyHandle(terrace_column_family_handle_t* handle);

  static terrace_column_family_handle_t* Of(ColumnFamilyHandle* family) {
    return family == nullptr ? nullptr : family->handle_;
  }

  terrace_column_family_handle_t* const handle_;
  const std::string name_;
  const uint32_t id_;
};

// The name of a column family, and the options that it is opened with.
struct ColumnFamilyDescriptor {
  ColumnFamilyDescriptor() : name(kDefaultColumnFamilyName) {}
  ColumnFamilyDescriptor(const std::string& n, const ColumnFamilyOptions& o) : name(n), options(o) {}

  std::string name;
  ColumnFamilyOptions options;
};

// Changes that are written atomically, in the order in which they were added. NULL is the default family. A
// batch with changes of column families is for their database only; else, Write() fails.
class WriteBatch {
 public:
  // Receives the changes of a batch, one by one.
  class Handler {
   public:
    virtual ~Handler() {}

    // By default, these pass changes of the default family to the functions below, and refuse others.
    virtual Status PutCF(uint32_t column_family_id, const Slice& key, const Slice& value);
    virtual Status DeleteCF(uint32_t column_family_id, const Slice& key);

    virtual void Put(const Slice& key, const Slice& value);
    virtual void Delete(const Slice& key);

    // Asked before every change. False ends Iterate().
    virtual bool Continue() { return true; }
  };

  WriteBatch();
  WriteBatch(const WriteBatch& other);
  WriteBatch& operator=(const WriteBatch& other);
  ~WriteBatch();

  // These return OK. DB::Write() reports a change that was refused, for example because it is too long.
  Status Put(ColumnFamilyHandle* column_family, const Slice& key, const Slice& value);
  Status Put(const Slice& key, const Slice& value) { return Put(nullptr, key, value); }
  Status Delete(ColumnFamilyHandle* column_family, const Slice& key);
  Status Delete(const Slice& key) { return Delete(nullptr, key); }
  void Clear();

  // Appends the changes of `source`, which may be this batch.
  void Append(const WriteBatch& source);

  // The number of changes.
  uint32_t Count() const { return count_; }

  // Calls `handler` with each change, until it returns an error, which is returned.
  Status Iterate(Handler* handler) const;

 private:
  friend class DB;

  leveldb_writebatch_t* const batch_;
  uint32_t count_;
};

// An open database. Functions without a column family are about the default one; NULL is no family. Of
// another database, a family is refused with InvalidArgument.
class DB {
 public:
  // Opens a database that has no column family but the default one. On success, `*dbptr` belongs to the
  // caller, who deletes it; on failure it is NULL.
  static Status Open(const Options& options, const std::string& name, DB** dbptr);

  // Opens a database with all its column families, which must all be named, except the default one. The error
  // names those that are missing. `(*handles)[i]` is the handle of `column_families[i]`.
  static Status Open(const DBOptions& options, const std::string& name,
                     const std::vector<ColumnFamilyDescriptor>& column_families,
                     std::vector<ColumnFamilyHandle*>* handles, DB** dbptr);

  // Lists the column families of a database, which may be open; the default one is the first.
  static Status ListColumnFamilies(const DBOptions& options, const std::string& name,
                                   std::vector<std::string>* column_families);

  DB(const DB&) = delete;
  DB& operator=(const DB&) = delete;

  // Closes the database.
  ~DB();

  // Closes the database and reports a failure. Iterators and snapshots end with it, and all later calls fail.
  Status Close();

  // Creates a column family, durably. The first one switches the directory to RocksDB's language: see
  // Language.
  Status CreateColumnFamily(const ColumnFamilyOptions& options, const std::string& name, ColumnFamilyHandle** handle);

  // Creates column families, one after the other. If one fails, those before it exist and have handles.
  Status CreateColumnFamilies(const ColumnFamilyOptions& options, const std::vector<std::string>& names,
                              std::vector<ColumnFamilyHandle*>* handles);
  Status CreateColumnFamilies(const std::vector<ColumnFamilyDescriptor>& column_families,
                              std::vector<ColumnFamilyHandle*>* handles);

  // Drops column families, durably, with all their entries. The default family cannot be dropped.
  Status DropColumnFamily(ColumnFamilyHandle* column_family);
  Status DropColumnFamilies(const std::vector<ColumnFamilyHandle*>& column_families);

  // Writes the contents of a column family, as they are at one moment of this call, to a new LevelDB database
  // in `directory`, which is created if it is missing and must have no file of a database. After a crash that
  // database is there whole, or the directory has no file CURRENT; after an error nothing is left of it.
  Status ExportLevelDB(ColumnFamilyHandle* column_family, const std::string& directory);
  Status ExportLevelDB(const std::string& directory) { return ExportLevelDB(DefaultColumnFamily(), directory); }

  // Creates a column family with the contents of the database in `directory`, durably, and with the options of
  // the default family. That database is LevelDB's or Terrace's, has no other family, has the comparator of
  // this one, and is not open. Nothing in it changes but LOCK. As for CreateColumnFamily(), the first family
  // switches the directory of this database. Every snapshot shows the family, also an older one.
  Status ImportLevelDB(const std::string& name, const std::string& directory, ColumnFamilyHandle** handle);

  // Deletes a handle. That of DefaultColumnFamily() is refused.
  Status DestroyColumnFamilyHandle(ColumnFamilyHandle* column_family);

  // The default column family. The handle belongs to the database.
  ColumnFamilyHandle* DefaultColumnFamily() const { return default_.get(); }

  Status Put(const WriteOptions& options, ColumnFamilyHandle* column_family, const Slice& key, const Slice& value);
  Status Put(const WriteOptions& options, const Slice& key, const Slice& value) {
    return Put(options, DefaultColumnFamily(), key, value);
  }

  Status Delete(const WriteOptions& options, ColumnFamilyHandle* column_family, const Slice& key);
  Status Delete(const WriteOptions& options, const Slice& key) {
    return Delete(options, DefaultColumnFamily(), key);
  }

  // Writes a batch atomically: all of it, in all its families, or nothing.
  Status Write(const WriteOptions& options, WriteBatch* updates);

  // For an absent key, the status IsNotFound() and `*value` is unchanged.
  Status Get(const ReadOptions& options, ColumnFamilyHandle* column_family, const Slice& key, std::string* value);
  Status Get(const ReadOptions& options, const Slice& key, std::string* value) {
    return Get(options, DefaultColumnFamily(), key, value);
  }

  // Creates an iterator over the current state, or over the snapshot of the options. The caller deletes it.
  Iterator* NewIterator(const ReadOptions& options, ColumnFamilyHandle* column_family);
  Iterator* NewIterator(const ReadOptions& options) { return NewIterator(options, DefaultColumnFamily()); }

  // Creates an iterator over each column family, all at one state of the database: of a batch over several
  // families they show everything or nothing. On failure there are none.
  Status NewIterators(const ReadOptions& options, const std::vector<ColumnFamilyHandle*>& column_families,
                      std::vector<Iterator*>* iterators);

  // A snapshot is of all column families.
  const Snapshot* GetSnapshot();
  void ReleaseSnapshot(const Snapshot* snapshot);

  // The properties are those of leveldb/db.h, "terrace.language", "terrace.tables-to-upgrade" and
  // "terrace.wal-pinned-by". False for an unknown name, and for a family that was dropped.
  bool GetProperty(ColumnFamilyHandle* column_family, const Slice& property, std::string* value);
  bool GetProperty(const Slice& property, std::string* value) {
    return GetProperty(DefaultColumnFamily(), property, value);
  }
  bool GetIntProperty(ColumnFamilyHandle* column_family, const Slice& property, uint64_t* value);
  bool GetIntProperty(const Slice& property, uint64_t* value) {
    return GetIntProperty(DefaultColumnFamily(), property, value);
  }

  Status GetApproximateSizes(ColumnFamilyHandle* column_family, const Range* range, int n, uint64_t* sizes);
  Status GetApproximateSizes(const Range* range, int n, uint64_t* sizes) {
    return GetApproximateSizes(DefaultColumnFamily(), range, n, sizes);
  }

  // NULL means before all keys, or after all keys.
  Status CompactRange(const CompactRangeOptions& options, ColumnFamilyHandle* column_family, const Slice* begin,
                      const Slice* end);
  Status CompactRange(const CompactRangeOptions& options, const Slice* begin, const Slice* end) {
    return CompactRange(options, DefaultColumnFamily(), begin, end);
  }

  // Flushes the memtables of all column families, and returns when this is done.
  Status Flush(const FlushOptions& options);

  // Upgrades all tables that are in LevelDB's language, which RocksDB from version 11 on does not read, and
  // returns when this is done. The database also does so by itself when there is nothing else to do.
  // InvalidArgument if the directory is in LevelDB's language. A damaged table stays as it is, and the error
  // names it.
  Status UpgradeTables();

 private:
  typedef std::unique_ptr<detail::OpenedOptions> OptionsPointer;

  explicit DB(leveldb_t* db);

  // Keeps options, whose objects the database uses until it is closed.
  void Keep(OptionsPointer options);

  std::mutex mutex_;  // for options_
  std::vector<OptionsPointer> options_;
  leveldb_t* db_;
  std::unique_ptr<ColumnFamilyHandle> default_;
};

}  // namespace terrace

#include "terrace/detail/db_impl.h"

#endif  // TERRACE_DB_H_
