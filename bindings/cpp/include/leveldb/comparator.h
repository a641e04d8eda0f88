// A Comparator is an order of keys. Its name is stored with a database, which cannot be opened with another
// one.
//
// Threads: the methods are called from any thread, by several at the same time.

#ifndef STORAGE_LEVELDB_INCLUDE_COMPARATOR_H_
#define STORAGE_LEVELDB_INCLUDE_COMPARATOR_H_

#include <string>

#include "leveldb/export.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

class Slice;

class LEVELDB_EXPORT Comparator {
 public:
  virtual ~Comparator();

  // Returns a negative number, 0 or a positive number if `a` is before, equal to or after `b`. The order must
  // be total and never change. After an exception, the call that needed the comparison fails with an IOError,
  // and the database takes no more writes: no order is guessed.
  virtual int Compare(const Slice& a, const Slice& b) const = 0;

  // The name of the order. Names that start with "leveldb." are reserved for LevelDB.
  virtual const char* Name() const = 0;

  // May replace `*start`, which is before `limit`, by a shorter key at or after `*start` and before `limit`.
  // Doing nothing is always correct. (A result outside of this range is ignored, and so is an exception.)
  virtual void FindShortestSeparator(std::string* start, const Slice& limit) const = 0;

  // May replace `*key` by a shorter key at or after it. Doing nothing is always correct.
  virtual void FindShortSuccessor(std::string* key) const = 0;
};

// The order of unsigned bytes; a prefix is before a longer key. The object belongs to the library and is
// never deleted.
LEVELDB_EXPORT const Comparator* BytewiseComparator();

TERRACE_LEVELDB_NAMESPACE_END

#if TERRACE_LEVELDB_DEFINITIONS
#include "leveldb/detail/comparator_impl.h"
#endif

#endif  // STORAGE_LEVELDB_INCLUDE_COMPARATOR_H_
