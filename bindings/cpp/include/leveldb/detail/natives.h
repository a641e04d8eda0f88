// Which objects of C++ are mere handles of objects that libterrace has: it uses those directly, without a way back through C++.
//
// Threads: any.

#ifndef TERRACE_LEVELDB_DETAIL_NATIVES_H_
#define TERRACE_LEVELDB_DETAIL_NATIVES_H_

#include <map>
#include <mutex>

#include "leveldb/export.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN
namespace detail {

class Natives {
 public:
  static Natives& Get() {
    // Never destroyed: objects of static storage duration may be registered here, and outlive it.
    static Natives* const natives = new Natives;
    return *natives;
  }

  void Add(const void* object, void* handle) {
    std::lock_guard<std::mutex> lock(mutex_);
    handles_[object] = handle;
  }

  void Remove(const void* object) {
    std::lock_guard<std::mutex> lock(mutex_);
    handles_.erase(object);
  }

  // The handle behind an object; NULL for an object that a program has made.
  template <class Handle>
  Handle* Find(const void* object) {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = handles_.find(object);
    return found == handles_.end() ? nullptr : static_cast<Handle*>(found->second);
  }

 private:
  Natives() = default;

  std::mutex mutex_;
  std::map<const void*, void*> handles_;
};

}  // namespace detail
TERRACE_LEVELDB_NAMESPACE_END

#endif  // TERRACE_LEVELDB_DETAIL_NATIVES_H_
