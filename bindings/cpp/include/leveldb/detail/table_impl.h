// The C++ interface of a table, implemented by calls to C.

#ifndef TERRACE_LEVELDB_DETAIL_TABLE_IMPL_H_
#define TERRACE_LEVELDB_DETAIL_TABLE_IMPL_H_

#include <cassert>
#include <memory>

#include "leveldb/detail/c_functions.h"
#include "leveldb/detail/c_options.h"
#include "leveldb/detail/db_impl.h"
#include "leveldb/detail/env_callbacks.h"
#include "leveldb/detail/iterator_impl.h"
#include "leveldb/detail/status_impl.h"
#include "leveldb/table.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

// The table is closed before the objects of its options are destroyed.
struct Table::Rep {
  explicit Rep(const Options& options) : c_options(options), table(nullptr) {}
  ~Rep() { terrace_table_destroy(table); }

  const detail::COptions c_options;
  terrace_table_t* table;
};

namespace detail {

class TableIterator final : public Iterator {
 public:
  // Owns `iterator`, which is not NULL.
  explicit TableIterator(terrace_table_iterator_t* iterator) : iterator_(iterator), valid_(false) {}
  ~TableIterator() override { terrace_table_iterator_destroy(iterator_); }

  bool Valid() const override { return valid_; }
  void SeekToFirst() override { Move(TERRACE_MOVE_FIRST, Slice()); }
  void SeekToLast() override { Move(TERRACE_MOVE_LAST, Slice()); }
  void Seek(const Slice& target) override { Move(TERRACE_MOVE_SEEK, target); }

  void Next() override {
    assert(valid_);
    Move(TERRACE_MOVE_NEXT, Slice());
  }

  void Prev() override {
    assert(valid_);
    Move(TERRACE_MOVE_PREV, Slice());
  }

  Slice key() const override { return valid_ ? Slice(entry_.key, entry_.key_len) : Slice(); }
  Slice value() const override { return valid_ ? Slice(entry_.value, entry_.value_len) : Slice(); }

  Status status() const override {
    Failure failure;
    terrace_table_iterator_get_error(iterator_, failure.out());
    return failure.status();
  }

 private:
  void Move(terrace_iter_move_t movement, const Slice& target) {
    valid_ = terrace_table_iterator_move(iterator_, movement, target.data(), target.size(), &entry_) != 0;
  }

  terrace_table_iterator_t* const iterator_;
  terrace_entry_t entry_;
  bool valid_;
};

}  // namespace detail

TERRACE_LEVELDB_INLINE Status Table::Open(const Options& options, RandomAccessFile* file, uint64_t file_size,
                                          Table** table) {
  *table = nullptr;
  std::unique_ptr<Rep> rep(new Rep(options));
  detail::Failure failure;
  rep->table = terrace_table_open(rep->c_options.get(), file, &detail::EnvCallbacks::RandomAccessRead, file_size,
                                  failure.out());
  if (rep->table == nullptr) return failure.status();
  *table = new Table(rep.release());
  return Status::OK();
}

TERRACE_LEVELDB_INLINE Table::~Table() { delete rep_; }

TERRACE_LEVELDB_INLINE Iterator* Table::NewIterator(const ReadOptions& options) const {
  // A table has no snapshots.
  ReadOptions without_snapshot = options;
  without_snapshot.snapshot = nullptr;
  const detail::CReadOptions read(without_snapshot);
  detail::Failure failure;
  terrace_table_iterator_t* const iterator = terrace_table_create_iterator(rep_->table, read.get(), failure.out());
  if (iterator == nullptr) return NewErrorIterator(failure.status());
  return new detail::TableIterator(iterator);
}

TERRACE_LEVELDB_INLINE uint64_t Table::ApproximateOffsetOf(const Slice& key) const {
  return terrace_table_approximate_offset_of(rep_->table, key.data(), key.size());
}

TERRACE_LEVELDB_NAMESPACE_END

#endif  // TERRACE_LEVELDB_DETAIL_TABLE_IMPL_H_
