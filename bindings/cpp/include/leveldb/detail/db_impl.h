// The C++ interface of a database, implemented by calls to C.

#ifndef TERRACE_LEVELDB_DETAIL_DB_IMPL_H_
#define TERRACE_LEVELDB_DETAIL_DB_IMPL_H_

#include <cassert>
#include <cstdlib>
#include <memory>
#include <vector>

#include "leveldb/db.h"
#include "leveldb/detail/c_functions.h"
#include "leveldb/detail/c_options.h"
#include "leveldb/detail/iterator_impl.h"
#include "leveldb/detail/status_impl.h"
#include "leveldb/detail/write_batch_impl.h"
#include "leveldb/env.h"
#include "leveldb/write_batch.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

TERRACE_LEVELDB_INLINE Snapshot::~Snapshot() = default;

TERRACE_LEVELDB_INLINE DB::~DB() = default;

// The defaults for classes that programs derive from DB: one batch per call.
TERRACE_LEVELDB_INLINE Status DB::Put(const WriteOptions& options, const Slice& key, const Slice& value) {
  WriteBatch batch;
  batch.Put(key, value);
  return Write(options, &batch);
}

TERRACE_LEVELDB_INLINE Status DB::Delete(const WriteOptions& options, const Slice& key) {
  WriteBatch batch;
  batch.Delete(key);
  return Write(options, &batch);
}

namespace detail {

// A Snapshot is the handle of C under another type, and is never dereferenced here. The memory of that handle
// stays valid after its release (it then reads the latest state), which programs rely on.
inline const Snapshot* ToSnapshot(const leveldb_snapshot_t* snapshot) {
  return reinterpret_cast<const Snapshot*>(snapshot);
}

inline const leveldb_snapshot_t* FromSnapshot(const Snapshot* snapshot) {
  return reinterpret_cast<const leveldb_snapshot_t*>(snapshot);
}

// Read options of C for the duration of a call. All calls share those without a snapshot.
class CReadOptions {
 public:
  explicit CReadOptions(const ReadOptions& options) : own_(nullptr) {
    shared_ = Shared(options.verify_checksums, options.fill_cache);
    if (options.snapshot == nullptr) return;
    own_ = Create(options.verify_checksums, options.fill_cache);
    C().readoptions_set_snapshot_(own_, FromSnapshot(options.snapshot));
  }

  CReadOptions(const CReadOptions&) = delete;
  CReadOptions& operator=(const CReadOptions&) = delete;

  ~CReadOptions() {
    if (own_ != nullptr) C().readoptions_destroy_(own_);
  }

  const leveldb_readoptions_t* get() const { return own_ != nullptr ? own_ : shared_; }

 private:
  static leveldb_readoptions_t* Create(bool verify_checksums, bool fill_cache) {
    leveldb_readoptions_t* options = C().readoptions_create_();
    C().readoptions_set_verify_checksums_(options, verify_checksums);
    C().readoptions_set_fill_cache_(options, fill_cache);
    return options;
  }

  static const leveldb_readoptions_t* Shared(bool verify_checksums, bool fill_cache) {
    static const leveldb_readoptions_t* const options[2][2] = {{Create(false, false), Create(false, true)},
                                                               {Create(true, false), Create(true, true)}};
    return options[verify_checksums ? 1 : 0][fill_cache ? 1 : 0];
  }

  const leveldb_readoptions_t* shared_;
  leveldb_readoptions_t* own_;
};

inline const leveldb_writeoptions_t* CWriteOptions(const WriteOptions& options) {
  struct Both {
    Both() : plain(C().writeoptions_create_()), synced(C().writeoptions_create_()) {
      C().writeoptions_set_sync_(synced, 1);
    }
    leveldb_writeoptions_t* const plain;
    leveldb_writeoptions_t* const synced;
  };
  static const Both* const both = new Both;
  return options.sync ? both->synced : both->plain;
}

// Copies a value that C lends.
struct ValueSink {
  static void Take(void* state, const char* value, size_t length) noexcept {
    ValueSink* const sink = static_cast<ValueSink*>(state);
    TERRACE_LEVELDB_TRY { sink->value->assign(value, length); }
    TERRACE_LEVELDB_CATCH_ALL { sink->no_memory = true; }
  }

  std::string* value;
  bool no_memory;
};

class DBImpl final : public DB {
 public:
  // Owns all three; `info_log` may be NULL.
  DBImpl(leveldb_t* db, std::unique_ptr<COptions> options, std::unique_ptr<Logger> info_log)
      : info_log_(std::move(info_log)), options_(std::move(options)), db_(db) {}

  // Closes the database before the members, which it uses, are destroyed.
  ~DBImpl() override { C().close_(db_); }

  Status Put(const WriteOptions& options, const Slice& key, const Slice& value) override {
    Failure failure;
    C().put_(db_, CWriteOptions(options), key.data(), key.size(), value.data(), value.size(), failure.out());
    return failure.status();
  }

  Status Delete(const WriteOptions& options, const Slice& key) override {
    Failure failure;
    C().delete_(db_, CWriteOptions(options), key.data(), key.size(), failure.out());
    return failure.status();
  }

  Status Write(const WriteOptions& options, WriteBatch* updates) override {
    Failure failure;
    if (updates == nullptr) {
      terrace_flush(db_, failure.out());
    } else {
      const std::string& rep = WriteBatchAccess::Rep(*updates);
      terrace_write_rep(db_, CWriteOptions(options), rep.data(), rep.size(), failure.out());
    }
    return failure.status();
  }

  Status Get(const ReadOptions& options, const Slice& key, std::string* value) override {
    const CReadOptions read(options);
    Failure failure;
    ValueSink sink{value, false};
    if (terrace_get_with(db_, read.get(), key.data(), key.size(), &sink, &ValueSink::Take, failure.out()) != 0) {
      return sink.no_memory ? Status::IOError("no memory for a value") : Status::OK();
    }
    const Status status = failure.status();
    return status.ok() ? Status::NotFound(Slice()) : status;
  }

  Iterator* NewIterator(const ReadOptions& options) override {
    const CReadOptions read(options);
    leveldb_iterator_t* const iterator = C().create_iterator_(db_, read.get());
    if (iterator == nullptr) return NewErrorIterator(Status::IOError("cannot create an iterator"));
    return new DBIterator(iterator);
  }

  const Snapshot* GetSnapshot() override { return ToSnapshot(C().create_snapshot_(db_)); }

  void ReleaseSnapshot(const Snapshot* snapshot) override {
    C().release_snapshot_(db_, FromSnapshot(snapshot));
  }

  bool GetProperty(const Slice& property, std::string* value) override {
    value->clear();
    const std::string name = property.ToString();
    if (name.find('\0') != std::string::npos) return false;
    char* const text = C().property_value_(db_, name.c_str());
    if (text == nullptr) return false;
    value->assign(text);
    std::free(text);
    return true;
  }

  void GetApproximateSizes(const Range* range, int n, uint64_t* sizes) override {
    std::vector<const char*> keys[2];
    std::vector<size_t> lengths[2];
    for (int i = 0; i < n; i++) {
      keys[0].push_back(range[i].start.data());
      lengths[0].push_back(range[i].start.size());
      keys[1].push_back(range[i].limit.data());
      lengths[1].push_back(range[i].limit.size());
    }
    C().approximate_sizes_(db_, n, keys[0].data(), lengths[0].data(), keys[1].data(), lengths[1].data(), sizes);
  }

  void CompactRange(const Slice* begin, const Slice* end) override {
    Failure failure;
    terrace_compact_range(db_, Bound(begin), begin == nullptr ? 0 : begin->size(), Bound(end),
                          end == nullptr ? 0 : end->size(), failure.out());
  }

 private:
  // A bound for C: NULL is no bound, the empty key is a bound.
  static const char* Bound(const Slice* key) {
    if (key == nullptr) return nullptr;
    return key->data() == nullptr ? "" : key->data();
  }

  const std::unique_ptr<Logger> info_log_;
  const std::unique_ptr<COptions> options_;
  leveldb_t* const db_;
};

// Creates LOG through the Env, and keeps the previous one as LOG.old, as LevelDB does if the options have no
// logger. NULL on failure.
inline Logger* OpenInfoLog(Env* env, const std::string& name) {
  env->CreateDir(name);  // Fails if it exists, which is no error here.
  env->RenameFile(name + "/LOG", name + "/LOG.old");
  Logger* logger = nullptr;
  return env->NewLogger(name + "/LOG", &logger).ok() ? logger : nullptr;
}

}  // namespace detail

TERRACE_LEVELDB_INLINE Status DB::Open(const Options& options, const std::string& name, DB** dbptr) {
  *dbptr = nullptr;
  std::unique_ptr<Logger> info_log;
  std::unique_ptr<detail::COptions> c_options(new detail::COptions(options));
  if (c_options->has_foreign_env() && options.info_log == nullptr) {
    info_log.reset(detail::OpenInfoLog(options.env, name));
    c_options->SetLogger(info_log.get());
  }
  detail::Failure failure;
  leveldb_t* const db = detail::C().open_(c_options->get(), name.c_str(), failure.out());
  if (db == nullptr) return failure.status();
  *dbptr = new detail::DBImpl(db, std::move(c_options), std::move(info_log));
  return Status::OK();
}

TERRACE_LEVELDB_INLINE Status DestroyDB(const std::string& name, const Options& options) {
  const detail::COptions c_options(options);
  detail::Failure failure;
  detail::C().destroy_db_(c_options.get(), name.c_str(), failure.out());
  return failure.status();
}

TERRACE_LEVELDB_INLINE Status RepairDB(const std::string& dbname, const Options& options) {
  const detail::COptions c_options(options);
  detail::Failure failure;
  detail::C().repair_db_(c_options.get(), dbname.c_str(), failure.out());
  return failure.status();
}

TERRACE_LEVELDB_NAMESPACE_END

#endif  // TERRACE_LEVELDB_DETAIL_DB_IMPL_H_
