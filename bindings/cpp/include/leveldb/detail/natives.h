// The C++ objects that are only handles of objects of libterrace. Databases use those objects directly,
// without callbacks through C++.
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
    // Never destroyed: registered objects may have static storage duration, and be destroyed later.
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

  // The handle of an object; NULL for an object that the program implements.
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
