// The built-in cache. It has two parts of the same capacity: libterrace's cache for the blocks of databases,
// and an LRU cache for the entries that programs insert.

#ifndef TERRACE_LEVELDB_DETAIL_CACHE_IMPL_H_
#define TERRACE_LEVELDB_DETAIL_CACHE_IMPL_H_

#include <cassert>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>

#include "leveldb/cache.h"
#include "leveldb/detail/c_functions.h"
#include "leveldb/detail/natives.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

TERRACE_LEVELDB_INLINE Cache::~Cache() = default;

namespace detail {

// Entries that nobody references are in `unheld_`, the least recently used first. An entry that was removed
// while somebody references it is in no map; it is deleted when it is released.
class LRUCache final : public Cache {
 public:
  explicit LRUCache(size_t capacity)
      : blocks_(C().cache_create_lru_(capacity)), capacity_(capacity), charge_(0), last_id_(0) {
    Natives::Get().Add(this, blocks_);
  }

  ~LRUCache() override {
    Natives::Get().Remove(this);
    for (auto& named : entries_) Destroy(named.second);
    C().cache_destroy_(blocks_);
  }

  Handle* Insert(const Slice& key, void* value, size_t charge, void (*deleter)(const Slice&, void*)) override {
    Entry* const entry = new Entry{Handle(), key.ToString(), value, charge, deleter, 1, capacity_ > 0, Position()};
    Dead dead;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (capacity_ > 0) {
        Forget(entry->key, &dead);
        entries_[entry->key] = entry;
        charge_ += charge;
        while (charge_ > capacity_ && !unheld_.empty()) Forget(std::string(unheld_.front()->key), &dead);
      }
    }
    Destroy(dead);
    return &entry->handle;
  }

  Handle* Lookup(const Slice& key) override {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = entries_.find(key.ToString());
    if (found == entries_.end()) return nullptr;
    Entry* const entry = found->second;
    if (entry->holders++ == 0) unheld_.erase(entry->position);
    return &entry->handle;
  }

  void Release(Handle* handle) override {
    Entry* const entry = FromHandle(handle);
    Dead dead;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      assert(entry->holders > 0);
      if (--entry->holders == 0) {
        if (!entry->in_cache) {
          dead.push_back(entry);
        } else {
          entry->position = unheld_.insert(unheld_.end(), entry);
          // Entries are not evicted while they are referenced, even if the cache is over its capacity.
          while (charge_ > capacity_ && !unheld_.empty()) Forget(std::string(unheld_.front()->key), &dead);
        }
      }
    }
    Destroy(dead);
  }

  void* Value(Handle* handle) override { return FromHandle(handle)->value; }

  void Erase(const Slice& key) override {
    Dead dead;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      Forget(key.ToString(), &dead);
    }
    Destroy(dead);
  }

  uint64_t NewId() override {
    std::lock_guard<std::mutex> lock(mutex_);
    return ++last_id_;
  }

  void Prune() override {
    Dead dead;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      while (!unheld_.empty()) Forget(std::string(unheld_.front()->key), &dead);
    }
    Destroy(dead);
    terrace_cache_prune(blocks_);
  }

  size_t TotalCharge() const override {
    std::lock_guard<std::mutex> lock(mutex_);
    return charge_ + terrace_cache_usage(blocks_);
  }

 private:
  struct Entry;
  using Position = std::list<Entry*>::iterator;
  using Dead = std::list<Entry*>;

  // The handle is the first member: a pointer to it is a pointer to its entry.
  struct Entry {
    Handle handle;
    std::string key;
    void* value;
    size_t charge;
    void (*deleter)(const Slice&, void*);
    size_t holders;
    bool in_cache;
    // The place in `unheld_`, while nobody references the entry.
    Position position;
  };

  static Entry* FromHandle(Handle* handle) { return reinterpret_cast<Entry*>(handle); }

  // Removes the entry of a key from the cache, and adds it to `dead` if nobody references it. Requires the
  // mutex.
  void Forget(const std::string& key, Dead* dead) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return;
    Entry* const entry = found->second;
    entries_.erase(found);
    charge_ -= entry->charge;
    entry->in_cache = false;
    if (entry->holders == 0) {
      unheld_.erase(entry->position);
      dead->push_back(entry);
    }
  }

  // Called without the mutex: a deleter may use the cache.
  static void Destroy(Entry* entry) {
    entry->deleter(entry->key, entry->value);
    delete entry;
  }

  static void Destroy(const Dead& dead) {
    for (Entry* entry : dead) Destroy(entry);
  }

  leveldb_cache_t* const blocks_;
  const size_t capacity_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Entry*> entries_;
  std::list<Entry*> unheld_;
  size_t charge_;
  uint64_t last_id_;
};

}  // namespace detail

TERRACE_LEVELDB_INLINE Cache* NewLRUCache(size_t capacity) { return new detail::LRUCache(capacity); }

TERRACE_LEVELDB_NAMESPACE_END

#endif  // TERRACE_LEVELDB_DETAIL_CACHE_IMPL_H_
