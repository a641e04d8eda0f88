// A Cache maps keys to values that it may forget.
//
// Threads: any, at once.

#ifndef STORAGE_LEVELDB_INCLUDE_CACHE_H_
#define STORAGE_LEVELDB_INCLUDE_CACHE_H_

#include <cstddef>
#include <cstdint>

#include "leveldb/export.h"
#include "leveldb/slice.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

class LEVELDB_EXPORT Cache;

// A cache of `capacity`. Given to databases as their block_cache, it is filled with their blocks, of about that many bytes;
// what a program puts into it by itself has as much room once more, and forgets what was used longest ago.
LEVELDB_EXPORT Cache* NewLRUCache(size_t capacity);

// A cache that a program has written is taken as a block_cache, but not used: Terrace's blocks are in a cache of its own, of the
// default size, then. NewLRUCache() says how large it is.
class LEVELDB_EXPORT Cache {
 public:
  Cache() = default;

  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  // Hands all entries to their deleters.
  virtual ~Cache();

  // An entry that stays at hand until it is released.
  struct Handle {};

  // Adds an entry in place of the one with this key, if there is one. `deleter` is called once it is forgotten and nobody holds it. To
  // be released by the caller.
  virtual Handle* Insert(const Slice& key, void* value, size_t charge,
                         void (*deleter)(const Slice& key, void* value)) = 0;

  // The entry of a key, to be released by the caller, or NULL.
  virtual Handle* Lookup(const Slice& key) = 0;

  virtual void Release(Handle* handle) = 0;

  virtual void* Value(Handle* handle) = 0;

  // Forgets the entry of a key.
  virtual void Erase(const Slice& key) = 0;

  // A number that was not returned before: for clients that share a cache, to begin their keys with.
  virtual uint64_t NewId() = 0;

  // Forgets all entries that nobody holds.
  virtual void Prune() {}

  // The charges of all entries.
  virtual size_t TotalCharge() const = 0;

 private:
  // Part of the layout that programs were compiled for; not used.
  struct Rep;
  Rep* rep_;
};

TERRACE_LEVELDB_NAMESPACE_END

#if TERRACE_LEVELDB_DEFINITIONS
#include "leveldb/detail/cache_impl.h"
#endif

#endif  // STORAGE_LEVELDB_INCLUDE_CACHE_H_
