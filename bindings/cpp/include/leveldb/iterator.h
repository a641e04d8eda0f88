// An Iterator is a position in a sequence of entries, in the order of their keys.
//
// Threads: any number may call const methods at once; the others, one at a time.

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

  // Does it stand on an entry? If not, it has come to an end or failed: status() tells.
  virtual bool Valid() const = 0;

  virtual void SeekToFirst() = 0;
  virtual void SeekToLast() = 0;
  // Moves to the first entry at or after `target`.
  virtual void Seek(const Slice& target) = 0;
  // Moves to the next entry. Only while valid.
  virtual void Next() = 0;
  // Moves to the entry before. Only while valid.
  virtual void Prev() = 0;

  // The key it stands on, until it is moved. Only while valid.
  virtual Slice key() const = 0;
  // The value it stands on, until it is moved. Only while valid.
  virtual Slice value() const = 0;

  // The first error since the last seek, if there was one.
  virtual Status status() const = 0;

  // Calls `function(arg1, arg2)` when the iterator is destroyed; any number of functions, in no particular order.
  using CleanupFunction = void (*)(void* arg1, void* arg2);
  void RegisterCleanup(CleanupFunction function, void* arg1, void* arg2);

 private:
  // What is to be called at the end: a list whose first node, empty without a function, lies here.
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

// An iterator over nothing.
LEVELDB_EXPORT Iterator* NewEmptyIterator();

// An iterator over nothing, with that status.
LEVELDB_EXPORT Iterator* NewErrorIterator(const Status& status);

TERRACE_LEVELDB_NAMESPACE_END

#if TERRACE_LEVELDB_DEFINITIONS
#include "leveldb/detail/iterator_impl.h"
#endif

#endif  // STORAGE_LEVELDB_INCLUDE_ITERATOR_H_
