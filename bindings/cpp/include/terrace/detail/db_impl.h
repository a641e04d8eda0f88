// Databases with column families, implemented by calls to C.

#ifndef TERRACE_DETAIL_DB_IMPL_H_
#define TERRACE_DETAIL_DB_IMPL_H_

#include <cstdlib>
#include <utility>

#include "leveldb/detail/c_functions.h"
#include "leveldb/detail/c_options.h"
#include "leveldb/detail/db_impl.h"
#include "leveldb/detail/iterator_impl.h"
#include "leveldb/detail/status_impl.h"
#include "terrace/db.h"

namespace terrace {

namespace detail {

using leveldb::detail::C;
using leveldb::detail::CReadOptions;
using leveldb::detail::CWriteOptions;
using leveldb::detail::Failure;

// LevelDB's functions for batches, which are found in the same way as those of C().
struct BatchFunctions {
  decltype(&::leveldb_writebatch_create) create;
  decltype(&::leveldb_writebatch_destroy) destroy;
  decltype(&::leveldb_writebatch_clear) clear;
  decltype(&::leveldb_writebatch_put) put;
  decltype(&::leveldb_writebatch_delete) remove;
  decltype(&::leveldb_writebatch_append) append;

  BatchFunctions() {
    Find("leveldb_writebatch_create", &create);
    Find("leveldb_writebatch_destroy", &destroy);
    Find("leveldb_writebatch_clear", &clear);
    Find("leveldb_writebatch_put", &put);
    Find("leveldb_writebatch_delete", &remove);
    Find("leveldb_writebatch_append", &append);
  }

  static const BatchFunctions& Get() {
    static const BatchFunctions functions;
    return functions;
  }

 private:
  template <class Function>
  static void Find(const char* name, Function* function) {
    *function = reinterpret_cast<Function>(const_cast<void*>(terrace_leveldb_function(name)));
  }
};

// Options of C for an open, and what they refer to.
class OpenedOptions {
 public:
  explicit OpenedOptions(const leveldb::Options& options) : options_(options) {}

  // For the options of a database in the directory `name`.
  OpenedOptions(const DBOptions& options, const std::string& name) : options_(options) {
    terrace_options_set_language(get(), options.language);
    terrace_options_set_create_missing_column_families(get(), options.create_missing_column_families);
    terrace_options_set_max_total_wal_size(get(), options.max_total_wal_size);
    if (options_.has_foreign_env() && options.info_log == nullptr) {
      info_log_.reset(leveldb::detail::OpenInfoLog(options.env, name));
      options_.SetLogger(info_log_.get());
    }
  }

  leveldb_options_t* get() const { return options_.get(); }

 private:
  std::unique_ptr<Logger> info_log_;
  leveldb::detail::COptions options_;
};

inline Status NulInName() { return Status::InvalidArgument("the name has a NUL byte"); }

inline bool HasNul(const std::string& text) { return text.find('\0') != std::string::npos; }

// A bound for C: NULL is no bound, the empty key is a bound.
inline const char* Bound(const Slice* key) {
  if (key == nullptr) return nullptr;
  return key->data() == nullptr ? "" : key->data();
}

// The changes of a batch. The callbacks of C, from which no exception may come, only collect them.
struct Changes {
  struct Change {
    bool is_put;
    uint32_t id;
    Slice key, value;
  };

  explicit Changes(const leveldb_writebatch_t* batch) : count(0) {
    terrace_writebatch_iterate_cf(batch, this, &CountPut, &CountDelete, nullptr);
    all.reserve(count);
    terrace_writebatch_iterate_cf(batch, this, &TakePut, &TakeDelete, nullptr);
  }

  static Changes* Of(void* state) { return static_cast<Changes*>(state); }

  static void CountPut(void* state, uint32_t, const char*, size_t, const char*, size_t) { Of(state)->count++; }
  static void CountDelete(void* state, uint32_t, const char*, size_t) { Of(state)->count++; }
  static void TakePut(void* state, uint32_t id, const char* key, size_t key_length, const char* value, size_t length) {
    Of(state)->all.push_back(Change{true, id, Slice(key, key_length), Slice(value, length)});
  }
  static void TakeDelete(void* state, uint32_t id, const char* key, size_t key_length) {
    Of(state)->all.push_back(Change{false, id, Slice(key, key_length), Slice()});
  }

  size_t count;
  std::vector<Change> all;
};

// Frees what C has malloc()ed.
struct Free {
  void operator()(char* memory) const { std::free(memory); }
};

inline std::string TakeName(const terrace_column_family_handle_t* handle) {
  size_t length = 0;
  const std::unique_ptr<char, Free> name(terrace_column_family_handle_get_name(handle, &length));
  return name == nullptr ? std::string() : std::string(name.get(), length);
}

}  // namespace detail

inline ColumnFamilyHandle::ColumnFamilyHandle(terrace_column_family_handle_t* handle)
    : handle_(handle), name_(detail::TakeName(handle)), id_(terrace_column_family_handle_get_id(handle)) {}

inline ColumnFamilyHandle::~ColumnFamilyHandle() { terrace_column_family_handle_destroy(handle_); }

inline Status WriteBatch::Handler::PutCF(uint32_t column_family_id, const Slice& key, const Slice& value) {
  if (column_family_id != 0) return Status::InvalidArgument("the handler has no PutCF");
  Put(key, value);
  return Status::OK();
}

inline Status WriteBatch::Handler::DeleteCF(uint32_t column_family_id, const Slice& key) {
  if (column_family_id != 0) return Status::InvalidArgument("the handler has no DeleteCF");
  Delete(key);
  return Status::OK();
}

inline void WriteBatch::Handler::Put(const Slice&, const Slice&) {}

inline void WriteBatch::Handler::Delete(const Slice&) {}

inline WriteBatch::WriteBatch() : batch_(detail::BatchFunctions::Get().create()), count_(0) {}

inline WriteBatch::WriteBatch(const WriteBatch& other) : WriteBatch() { Append(other); }

inline WriteBatch& WriteBatch::operator=(const WriteBatch& other) {
  if (this != &other) {
    Clear();
    Append(other);
  }
  return *this;
}

inline WriteBatch::~WriteBatch() { detail::BatchFunctions::Get().destroy(batch_); }

inline Status WriteBatch::Put(ColumnFamilyHandle* column_family, const Slice& key, const Slice& value) {
  if (column_family == nullptr) {
    detail::BatchFunctions::Get().put(batch_, key.data(), key.size(), value.data(), value.size());
  } else {
    terrace_writebatch_put_cf(batch_, column_family->handle_, key.data(), key.size(), value.data(), value.size());
  }
  count_++;
  return Status::OK();
}

inline Status WriteBatch::Delete(ColumnFamilyHandle* column_family, const Slice& key) {
  if (column_family == nullptr) {
    detail::BatchFunctions::Get().remove(batch_, key.data(), key.size());
  } else {
    terrace_writebatch_delete_cf(batch_, column_family->handle_, key.data(), key.size());
  }
  count_++;
  return Status::OK();
}

inline void WriteBatch::Clear() {
  detail::BatchFunctions::Get().clear(batch_);
  count_ = 0;
}

inline void WriteBatch::Append(const WriteBatch& source) {
  detail::BatchFunctions::Get().append(batch_, source.batch_);
  count_ += source.count_;
}

inline Status WriteBatch::Iterate(Handler* handler) const {
  const detail::Changes changes(batch_);
  for (const detail::Changes::Change& change : changes.all) {
    if (!handler->Continue()) break;
    const Status status = change.is_put ? handler->PutCF(change.id, change.key, change.value)
                                        : handler->DeleteCF(change.id, change.key);
    if (!status.ok()) return status;
  }
  return Status::OK();
}

inline DB::DB(leveldb_t* db)
    : db_(db), default_(new ColumnFamilyHandle(terrace_get_default_column_family_handle(db))) {}

inline DB::~DB() { Close(); }

inline Status DB::Close() {
  if (db_ == nullptr) return Status::OK();
  detail::Failure failure;
  terrace_close(db_, failure.out());
  db_ = nullptr;
  return failure.status();
}

inline void DB::Keep(OptionsPointer options) {
  std::lock_guard<std::mutex> lock(mutex_);
  options_.push_back(std::move(options));
}

inline Status DB::Open(const Options& options, const std::string& name, DB** dbptr) {
  std::vector<ColumnFamilyHandle*> handles;
  return Open(options, name, std::vector<ColumnFamilyDescriptor>(), &handles, dbptr);
}

inline Status DB::Open(const DBOptions& options, const std::string& name,
                       const std::vector<ColumnFamilyDescriptor>& column_families,
                       std::vector<ColumnFamilyHandle*>* handles, DB** dbptr) {
  *dbptr = nullptr;
  handles->clear();
  if (detail::HasNul(name)) return detail::NulInName();
  const size_t count = column_families.size();
  std::vector<OptionsPointer> opened;
  opened.emplace_back(new detail::OpenedOptions(options, name));
  std::vector<const char*> names;
  std::vector<const leveldb_options_t*> of_families;
  for (const ColumnFamilyDescriptor& family : column_families) {
    if (detail::HasNul(family.name)) return detail::NulInName();
    opened.emplace_back(new detail::OpenedOptions(family.options));
    names.push_back(family.name.c_str());
    of_families.push_back(opened.back()->get());
  }
  std::vector<terrace_column_family_handle_t*> made(count);
  detail::Failure failure;
  leveldb_t* const db =
      terrace_open_column_families(opened.front()->get(), name.c_str(), static_cast<int>(count), names.data(),
                                   of_families.data(), made.data(), failure.out());
  if (db == nullptr) return failure.status();
  *dbptr = new DB(db);
  (*dbptr)->options_ = std::move(opened);
  for (terrace_column_family_handle_t* each : made) handles->push_back(new ColumnFamilyHandle(each));
  return Status::OK();
}

inline Status DB::ListColumnFamilies(const DBOptions& options, const std::string& name,
                                     std::vector<std::string>* column_families) {
  column_families->clear();
  if (detail::HasNul(name)) return detail::NulInName();
  const detail::OpenedOptions opened(static_cast<const leveldb::Options&>(options));
  size_t count = 0;
  detail::Failure failure;
  char** const names = terrace_list_column_families(opened.get(), name.c_str(), &count, failure.out());
  const Status status = failure.status();
  for (size_t i = 0; i < count; i++) column_families->push_back(names[i]);
  terrace_list_column_families_destroy(names, count);
  return status;
}

inline Status DB::CreateColumnFamily(const ColumnFamilyOptions& options, const std::string& name,
                                     ColumnFamilyHandle** handle) {
  *handle = nullptr;
  if (detail::HasNul(name)) return detail::NulInName();
  OptionsPointer opened(new detail::OpenedOptions(options));
  detail::Failure failure;
  terrace_column_family_handle_t* const made =
      terrace_create_column_family(db_, opened->get(), name.c_str(), failure.out());
  if (made == nullptr) return failure.status();
  Keep(std::move(opened));
  *handle = new ColumnFamilyHandle(made);
  return Status::OK();
}

inline Status DB::CreateColumnFamilies(const ColumnFamilyOptions& options, const std::vector<std::string>& names,
                                       std::vector<ColumnFamilyHandle*>* handles) {
  std::vector<ColumnFamilyDescriptor> families;
  for (const std::string& name : names) families.push_back(ColumnFamilyDescriptor(name, options));
  return CreateColumnFamilies(families, handles);
}

inline Status DB::CreateColumnFamilies(const std::vector<ColumnFamilyDescriptor>& column_families,
                                       std::vector<ColumnFamilyHandle*>* handles) {
  handles->clear();
  for (const ColumnFamilyDescriptor& family : column_families) {
    ColumnFamilyHandle* handle;
    const Status status = CreateColumnFamily(family.options, family.name, &handle);
    if (!status.ok()) return status;
    handles->push_back(handle);
  }
  return Status::OK();
}

inline Status DB::DropColumnFamily(ColumnFamilyHandle* column_family) {
  detail::Failure failure;
  terrace_drop_column_family(db_, ColumnFamilyHandle::Of(column_family), failure.out());
  return failure.status();
}

inline Status DB::DropColumnFamilies(const std::vector<ColumnFamilyHandle*>& column_families) {
  for (ColumnFamilyHandle* family : column_families) {
    const Status status = DropColumnFamily(family);
    if (!status.ok()) return status;
  }
  return Status::OK();
}

inline Status DB::ExportLevelDB(ColumnFamilyHandle* column_family, const std::string& directory) {
  if (column_family == nullptr) return Status::InvalidArgument("column family is NULL");
  if (detail::HasNul(directory)) return detail::NulInName();
  detail::Failure failure;
  terrace_export_leveldb(db_, ColumnFamilyHandle::Of(column_family), directory.c_str(), failure.out());
  return failure.status();
}

inline Status DB::ImportLevelDB(const std::string& name, const std::string& directory, ColumnFamilyHandle** handle) {
  *handle = nullptr;
  if (detail::HasNul(name) || detail::HasNul(directory)) return detail::NulInName();
  detail::Failure failure;
  terrace_column_family_handle_t* const made =
      terrace_import_leveldb(db_, name.c_str(), directory.c_str(), failure.out());
  if (made == nullptr) return failure.status();
  *handle = new ColumnFamilyHandle(made);
  return Status::OK();
}

inline Status DB::DestroyColumnFamilyHandle(ColumnFamilyHandle* column_family) {
  if (column_family == DefaultColumnFamily()) {
    return Status::InvalidArgument("the handle of DefaultColumnFamily() belongs to the database");
  }
  delete column_family;
  return Status::OK();
}

inline Status DB::Put(const WriteOptions& options, ColumnFamilyHandle* column_family, const Slice& key,
                      const Slice& value) {
  detail::Failure failure;
  terrace_put_cf(db_, detail::CWriteOptions(options), ColumnFamilyHandle::Of(column_family), key.data(), key.size(),
                 value.data(), value.size(), failure.out());
  return failure.status();
}

inline Status DB::Delete(const WriteOptions& options, ColumnFamilyHandle* column_family, const Slice& key) {
  detail::Failure failure;
  terrace_delete_cf(db_, detail::CWriteOptions(options), ColumnFamilyHandle::Of(column_family), key.data(),
                    key.size(), failure.out());
  return failure.status();
}

inline Status DB::Write(const WriteOptions& options, WriteBatch* updates) {
  detail::Failure failure;
  detail::C().write_(db_, detail::CWriteOptions(options), updates->batch_, failure.out());
  return failure.status();
}

inline Status DB::Get(const ReadOptions& options, ColumnFamilyHandle* column_family, const Slice& key,
                      std::string* value) {
  const detail::CReadOptions read(options);
  detail::Failure failure;
  size_t length = 0;
  const std::unique_ptr<char, detail::Free> found(terrace_get_cf(db_, read.get(), ColumnFamilyHandle::Of(column_family),
                                                                 key.data(), key.size(), &length, failure.out()));
  if (found == nullptr) {
    const Status status = failure.status();
    return status.ok() ? Status::NotFound(Slice()) : status;
  }
  value->assign(found.get(), length);
  return Status::OK();
}

inline Iterator* DB::NewIterator(const ReadOptions& options, ColumnFamilyHandle* column_family) {
  std::vector<Iterator*> iterators;
  const Status status = NewIterators(options, std::vector<ColumnFamilyHandle*>(1, column_family), &iterators);
  return status.ok() ? iterators[0] : leveldb::NewErrorIterator(status);
}

inline Status DB::NewIterators(const ReadOptions& options, const std::vector<ColumnFamilyHandle*>& column_families,
                               std::vector<Iterator*>* iterators) {
  iterators->clear();
  const detail::CReadOptions read(options);
  std::vector<terrace_column_family_handle_t*> families;
  for (ColumnFamilyHandle* family : column_families) families.push_back(ColumnFamilyHandle::Of(family));
  std::vector<leveldb_iterator_t*> made(families.size());
  detail::Failure failure;
  terrace_create_iterators(db_, read.get(), families.data(), made.data(), families.size(), failure.out());
  const Status status = failure.status();
  if (!status.ok()) return status;
  for (leveldb_iterator_t* each : made) iterators->push_back(new leveldb::detail::DBIterator(each));
  return status;
}

inline const Snapshot* DB::GetSnapshot() {
  return leveldb::detail::ToSnapshot(detail::C().create_snapshot_(db_));
}

inline void DB::ReleaseSnapshot(const Snapshot* snapshot) {
  detail::C().release_snapshot_(db_, leveldb::detail::FromSnapshot(snapshot));
}

inline bool DB::GetProperty(ColumnFamilyHandle* column_family, const Slice& property, std::string* value) {
  value->clear();
  const std::string name = property.ToString();
  if (detail::HasNul(name)) return false;
  const std::unique_ptr<char, detail::Free> text(
      terrace_property_value_cf(db_, ColumnFamilyHandle::Of(column_family), name.c_str()));
  if (text == nullptr) return false;
  value->assign(text.get());
  return true;
}

inline bool DB::GetIntProperty(ColumnFamilyHandle* column_family, const Slice& property, uint64_t* value) {
  const std::string name = property.ToString();
  if (detail::HasNul(name)) return false;
  return terrace_property_int_cf(db_, ColumnFamilyHandle::Of(column_family), name.c_str(), value) == 0;
}

inline Status DB::GetApproximateSizes(ColumnFamilyHandle* column_family, const Range* range, int n, uint64_t* sizes) {
  std::vector<const char*> keys[2];
  std::vector<size_t> lengths[2];
  for (int i = 0; i < n; i++) {
    keys[0].push_back(range[i].start.data());
    lengths[0].push_back(range[i].start.size());
    keys[1].push_back(range[i].limit.data());
    lengths[1].push_back(range[i].limit.size());
  }
  if (n <= 0) return Status::OK();
  detail::Failure failure;
  terrace_approximate_sizes_cf(db_, ColumnFamilyHandle::Of(column_family), n, keys[0].data(), lengths[0].data(),
                               keys[1].data(), lengths[1].data(), sizes, failure.out());
  return failure.status();
}

inline Status DB::CompactRange(const CompactRangeOptions&, ColumnFamilyHandle* column_family, const Slice* begin,
                               const Slice* end) {
  // terrace_compact_range_cf() reports a failure as the last error of the thread only. A call with an errptr,
  // here for no iterator, resets it.
  detail::Failure before;
  terrace_create_iterators(db_, nullptr, nullptr, nullptr, 0, before.out());
  const Status status = before.status();
  if (!status.ok()) return status;
  terrace_compact_range_cf(db_, ColumnFamilyHandle::Of(column_family), detail::Bound(begin),
                           begin == nullptr ? 0 : begin->size(), detail::Bound(end), end == nullptr ? 0 : end->size());
  detail::Failure failure;
  *failure.out() = terrace_last_error_message();
  return failure.status();
}

inline Status DB::Flush(const FlushOptions&) {
  detail::Failure failure;
  terrace_flush(db_, failure.out());
  return failure.status();
}

inline Status DB::UpgradeTables() {
  detail::Failure failure;
  terrace_upgrade_tables(db_, failure.out());
  return failure.status();
}

}  // namespace terrace

#endif  // TERRACE_DETAIL_DB_IMPL_H_
