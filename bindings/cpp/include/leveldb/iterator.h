// An Iterator is a position in a sequence of entries, in the order of their keys.
//
// Threads: any number of threads may call const methods at the same time; other methods exclude all others.

#ifndef STORAGE_LEVELDB_INCLUDE_ITERATOR_H_
#define STORAGE_LEVELDB_INCLUDE_ITERATOR_H_

#include "leveldb/export.h"
#include "leveldb/slice.h"
#include "leveldb/status.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

class LEVELDB_EXPORT Iterator {
 public:
  Iterator();

  Iterator(const Iterator&) = delete;
  Iterator& operator=(const Iterator&) = delete;

  virtual ~Iterator();

  // Returns true if the iterator stands on an entry. If not, it has passed the end or has failed: see
  // status().
  virtual bool Valid() const = 0;

  virtual void SeekToFirst() = 0;
  virtual void SeekToLast() = 0;
  // Moves to the first entry at or after `target`.
  virtual void Seek(const Slice& target) = 0;
  // Moves to the next entry. Only while valid.
  virtual void Next() = 0;
  // Moves to the previous entry. Only while valid.
  virtual void Prev() = 0;

  // The key of the current entry. The slice is valid until the iterator is moved. Only while valid.
  virtual Slice key() const = 0;
  // The value of the current entry. The slice is valid until the iterator is moved. Only while valid.
  virtual Slice value() const = 0;

  // The first error since the last seek, or OK.
  virtual Status status() const = 0;

  // Registers `function(arg1, arg2)` to be called when the iterator is destroyed. Any number of functions can
  // be registered; they are called in no particular order.
  using CleanupFunction = void (*)(void* arg1, void* arg2);
  void RegisterCleanup(CleanupFunction function, void* arg1, void* arg2);

 private:
  // The registered functions: a linked list whose first node is a member of the iterator. A node without a
  // function is empty.
  struct CleanupNode {
    bool IsEmpty() const { return function == nullptr; }
    void Run() { (*function)(arg1, arg2); }

    CleanupFunction function;
    void* arg1;
    void* arg2;
    CleanupNode* next;
  };
  CleanupNode cleanup_head_;
};

// Creates an iterator without entries.
LEVELDB_EXPORT Iterator* NewEmptyIterator();

// Creates an iterator without entries, with the given status.
LEVELDB_EXPORT Iterator* NewErrorIterator(const Status& status);

TERRACE_LEVELDB_NAMESPACE_END

#if TERRACE_LEVELDB_DEFINITIONS
#include "leveldb/detail/iterator_impl.h"
#endif

#endif  // STORAGE_LEVELDB_INCLUDE_ITERATOR_H_
