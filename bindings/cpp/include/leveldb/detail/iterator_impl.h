// The base class of iterators, the empty iterator, and the iterator of a database.

#ifndef TERRACE_LEVELDB_DETAIL_ITERATOR_IMPL_H_
#define TERRACE_LEVELDB_DETAIL_ITERATOR_IMPL_H_

#include <cassert>

#include "leveldb/detail/c_functions.h"
#include "leveldb/detail/status_impl.h"
#include "leveldb/iterator.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

TERRACE_LEVELDB_INLINE Iterator::Iterator() {
  cleanup_head_.function = nullptr;
  cleanup_head_.next = nullptr;
}

TERRACE_LEVELDB_INLINE Iterator::~Iterator() {
  if (cleanup_head_.IsEmpty()) return;
  cleanup_head_.Run();
  for (CleanupNode* node = cleanup_head_.next; node != nullptr;) {
    CleanupNode* const next = node->next;
    node->Run();
    delete node;
    node = next;
  }
}

TERRACE_LEVELDB_INLINE void Iterator::RegisterCleanup(CleanupFunction function, void* arg1, void* arg2) {
  assert(function != nullptr);
  CleanupNode* node = &cleanup_head_;
  if (!cleanup_head_.IsEmpty()) {
    node = new CleanupNode;
    node->next = cleanup_head_.next;
    cleanup_head_.next = node;
  }
  node->function = function;
  node->arg1 = arg1;
  node->arg2 = arg2;
}

namespace detail {

class EmptyIterator final : public Iterator {
 public:
  explicit EmptyIterator(const Status& status) : status_(status) {}

  bool Valid() const override { return false; }
  void SeekToFirst() override {}
  void SeekToLast() override {}
  void Seek(const Slice&) override {}
  void Next() override { assert(false); }
  void Prev() override { assert(false); }
  Slice key() const override { return Slice(); }
  Slice value() const override { return Slice(); }
  Status status() const override { return status_; }

 private:
  const Status status_;
};

// Each move is one call into C, which also returns the key and the value.
class DBIterator final : public Iterator {
 public:
  // Owns `iterator`, which is not NULL.
  explicit DBIterator(leveldb_iterator_t* iterator) : iterator_(iterator), valid_(false) {}
  ~DBIterator() override { C().iter_destroy_(iterator_); }

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

  Slice key() const override {
    assert(valid_);
    return valid_ ? Slice(entry_.key, entry_.key_len) : Slice();
  }

  Slice value() const override {
    assert(valid_);
    return valid_ ? Slice(entry_.value, entry_.value_len) : Slice();
  }

  Status status() const override {
    Failure failure;
    C().iter_get_error_(iterator_, failure.out());
    return failure.status();
  }

 private:
  void Move(terrace_iter_move_t movement, const Slice& target) {
    valid_ = terrace_iter_move(iterator_, movement, target.data(), target.size(), &entry_) != 0;
  }

  leveldb_iterator_t* const iterator_;
  terrace_entry_t entry_;
  bool valid_;
};

}  // namespace detail

TERRACE_LEVELDB_INLINE Iterator* NewEmptyIterator() { return new detail::EmptyIterator(Status()); }

TERRACE_LEVELDB_INLINE Iterator* NewErrorIterator(const Status& status) { return new detail::EmptyIterator(status); }

TERRACE_LEVELDB_NAMESPACE_END

#endif  // TERRACE_LEVELDB_DETAIL_ITERATOR_IMPL_H_
