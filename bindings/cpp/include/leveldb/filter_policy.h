// A FilterPolicy creates filters: small summaries of keys, which save a read the blocks that do not have its
// key.
//
// Threads: the methods are called from any thread, by several at the same time. A policy must outlive the
// databases that use it.

#ifndef STORAGE_LEVELDB_INCLUDE_FILTER_POLICY_H_
#define STORAGE_LEVELDB_INCLUDE_FILTER_POLICY_H_

#include <string>

#include "leveldb/export.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

class Slice;

class LEVELDB_EXPORT FilterPolicy {
 public:
  virtual ~FilterPolicy();

  // The name is stored with every filter. A filter is only passed to the policy of the same name.
  virtual const char* Name() const = 0;

  // Appends the filter of the keys `keys[0]` to `keys[n - 1]`, which are in order and may repeat, to `*dst`.
  // Does not change the bytes that `*dst` has already. An exception terminates the program: a filter that
  // lacks keys would hide them.
  virtual void CreateFilter(const Slice* keys, int n, std::string* dst) const = 0;

  // Returns false only if `filter` was certainly not made from `key`. An exception counts as true.
  virtual bool KeyMayMatch(const Slice& key, const Slice& filter) const = 0;
};

// Creates LevelDB's bloom filter with about `bits_per_key` bits per key. With 10, about 1% of the absent keys
// may match. The caller deletes it, after the databases that use it. Not to be used with orders in which
// different keys can be equal.
LEVELDB_EXPORT const FilterPolicy* NewBloomFilterPolicy(int bits_per_key);

TERRACE_LEVELDB_NAMESPACE_END

#if TERRACE_LEVELDB_DEFINITIONS
#include "leveldb/detail/filter_policy_impl.h"
#endif

#endif  // STORAGE_LEVELDB_INCLUDE_FILTER_POLICY_H_
