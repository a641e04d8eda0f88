// A FilterPolicy makes small summaries of keys, by which a read is spared blocks that do not have its key.
//
// Threads: the methods are called from any thread, also at once. A policy must outlive the databases that use it.

#ifndef STORAGE_LEVELDB_INCLUDE_FILTER_POLICY_H_
#define STORAGE_LEVELDB_INCLUDE_FILTER_POLICY_H_

#include <string>

#include "leveldb/export.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

class Slice;

class LEVELDB_EXPORT FilterPolicy {
 public:
  virtual ~FilterPolicy();

  // Stored with every filter, which is only shown to the policy of that name.
  virtual const char* Name() const = 0;

  // Appends the filter of `keys[0]` to `keys[n - 1]`, which are in order and may repeat, to `*dst`. What `*dst` has is left alone.
  // An exception ends the program: a filter that lacks keys would hide them.
  virtual void CreateFilter(const Slice* keys, int n, std::string* dst) const = 0;

  // False only if `key` was certainly not among the keys that `filter` was made of. An exception counts as true.
  virtual bool KeyMayMatch(const Slice& key, const Slice& filter) const = 0;
};

// LevelDB's bloom filter with about `bits_per_key` bits a key; 10 lets 1% of the absent keys through. The caller deletes it, after
// the databases that use it. Not for orders in which different keys are equal.
LEVELDB_EXPORT const FilterPolicy* NewBloomFilterPolicy(int bits_per_key);

TERRACE_LEVELDB_NAMESPACE_END

#if TERRACE_LEVELDB_DEFINITIONS
#include "leveldb/detail/filter_policy_impl.h"
#endif

#endif  // STORAGE_LEVELDB_INCLUDE_FILTER_POLICY_H_
