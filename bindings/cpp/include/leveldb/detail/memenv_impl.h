// Files in memory: libterrace's environment, which creates directories as needed.

#ifndef TERRACE_LEVELDB_DETAIL_MEMENV_IMPL_H_
#define TERRACE_LEVELDB_DETAIL_MEMENV_IMPL_H_

#include "helpers/memenv.h"
#include "leveldb/detail/c_functions.h"
#include "leveldb/detail/env_impl.h"
#include "leveldb/env.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN
namespace detail {

class MemEnv final : public NativeEnv {
 public:
  explicit MemEnv(Env* base) : NativeEnv(terrace_env_create_mem()), base_(base) {}

  // Creating and removing a directory always succeeds: no directory can be missing, or be in the way.
  Status CreateDir(const std::string& dirname) override {
    NativeEnv::CreateDir(dirname);
    return Status::OK();
  }

  Status RemoveDir(const std::string& dirname) override {
    NativeEnv::RemoveDir(dirname);
    return Status::OK();
  }

  void Schedule(void (*function)(void*), void* arg) override { base_->Schedule(function, arg); }
  void StartThread(void (*function)(void*), void* arg) override { base_->StartThread(function, arg); }
  Status GetTestDirectory(std::string* path) override { return base_->GetTestDirectory(path); }
  uint64_t NowMicros() override { return base_->NowMicros(); }
  void SleepForMicroseconds(int micros) override { base_->SleepForMicroseconds(micros); }

 private:
  Env* const base_;
};

}  // namespace detail

TERRACE_LEVELDB_INLINE Env* NewMemEnv(Env* base_env) { return new detail::MemEnv(base_env); }

TERRACE_LEVELDB_NAMESPACE_END

#endif  // TERRACE_LEVELDB_DETAIL_MEMENV_IMPL_H_
