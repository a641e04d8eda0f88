// A Cache maps keys to values, and may evict entries.
//
// Threads: any number at the same time.

#ifndef STORAGE_LEVELDB_INCLUDE_CACHE_H_
#define STORAGE_LEVELDB_INCLUDE_CACHE_H_

#include <cstddef>
#include <cstdint>

#include "leveldb/export.h"
#include "leveldb/slice.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

class LEVELDB_EXPORT Cache;

// Creates a cache with the given capacity. As the block_cache of databases, it holds about `capacity` bytes
// of their blocks. Entries that the program inserts have a capacity of the same size of their own, and are
// evicted in LRU order.
LEVELDB_EXPORT Cache* NewLRUCache(size_t capacity);

// A cache that the program implements is accepted as a block_cache, but not used: the database then has a
// cache of its own, of the default size. To set the size, use NewLRUCache().
class LEVELDB_EXPORT Cache {
 public:
  Cache() = default;

  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  // Calls the deleters of all entries.
  virtual ~Cache();

  // A reference to an entry, which is not deleted before the reference is released.
  struct Handle {};

  // Adds an entry, replacing an entry with the same key. `deleter` is called when the entry is no longer in
  // the cache and nobody references it. The caller releases the result.
  virtual Handle* Insert(const Slice& key, void* value, size_t charge,
                         void (*deleter)(const Slice& key, void* value)) = 0;

  // Returns the entry of a key, or NULL. The caller releases the result.
  virtual Handle* Lookup(const Slice& key) = 0;

  virtual void Release(Handle* handle) = 0;

  virtual void* Value(Handle* handle) = 0;

  // Removes the entry of a key from the cache.
  virtual void Erase(const Slice& key) = 0;

  // Returns a number that was not returned before. Clients that share a cache use it as a prefix of their
  // keys.
  virtual uint64_t NewId() = 0;

  // Removes all entries that nobody references.
  virtual void Prune() {}

  // The sum of the charges of all entries.
  virtual size_t TotalCharge() const = 0;

 private:
  // Unused, but part of the layout with which programs were compiled.
  struct Rep;
  Rep* rep_;
};

TERRACE_LEVELDB_NAMESPACE_END

#if TERRACE_LEVELDB_DEFINITIONS
#include "leveldb/detail/cache_impl.h"
#endif

#endif  // STORAGE_LEVELDB_INCLUDE_CACHE_H_
