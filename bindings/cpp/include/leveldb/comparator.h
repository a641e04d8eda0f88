// A Comparator is an order of keys. Its name is stored with a database, which opens with no other.
//
// Threads: the methods are called from any thread, also at once.

#ifndef STORAGE_LEVELDB_INCLUDE_COMPARATOR_H_
#define STORAGE_LEVELDB_INCLUDE_COMPARATOR_H_

#include <string>

#include "leveldb/export.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

class Slice;

class LEVELDB_EXPORT Comparator {
 public:
  virtual ~Comparator();

  // Negative, 0 or positive, as `a` is before, equal to or behind `b`. A total order, that never changes. With an exception
  // the call that needed it fails with an IOError, and the database takes no writes any more: no order is guessed.
  virtual int Compare(const Slice& a, const Slice& b) const = 0;

  // The name of the order. Names that start with "leveldb." are LevelDB's.
  virtual const char* Name() const = 0;

  // May replace `*start`, which is before `limit`, by a shorter key that is not before it, but before `limit`. Doing nothing is
  // always right. (What is not in between is ignored, as is an exception.)
  virtual void FindShortestSeparator(std::string* start, const Slice& limit) const = 0;

  // May replace `*key` by a shorter key that is not before it. Doing nothing is always right.
  virtual void FindShortSuccessor(std::string* key) const = 0;
};

// The order of bytes, unsigned, shorter first. It is the library's, and lives for ever.
LEVELDB_EXPORT const Comparator* BytewiseComparator();

TERRACE_LEVELDB_NAMESPACE_END

#if TERRACE_LEVELDB_DEFINITIONS
#include "leveldb/detail/comparator_impl.h"
#endif

#endif  // STORAGE_LEVELDB_INCLUDE_COMPARATOR_H_
