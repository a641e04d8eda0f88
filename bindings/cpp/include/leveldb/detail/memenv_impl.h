// Files in memory: libterrace's, which knows directories, under rules that do not.

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

  Status NewWritableFile(const std::string& fname, WritableFile** result) override {
    CreateParents(fname);
    return NativeEnv::NewWritableFile(fname, result);
  }

  Status NewAppendableFile(const std::string& fname, WritableFile** result) override {
    CreateParents(fname);
    return NativeEnv::NewAppendableFile(fname, result);
  }

  // Makes all directories above it too: a database creates no more than its own.
  Status CreateDir(const std::string& dirname) override {
    CreateParents(dirname);
    NativeEnv::CreateDir(dirname);
    return Status::OK();
  }

  Status RemoveDir(const std::string& dirname) override {
    NativeEnv::RemoveDir(dirname);
    return Status::OK();
  }

  Status RenameFile(const std::string& src, const std::string& target) override {
    CreateParents(target);
    return NativeEnv::RenameFile(src, target);
  }

  Status LockFile(const std::string& fname, FileLock** lock) override {
    CreateParents(fname);
    return NativeEnv::LockFile(fname, lock);
  }

  void Schedule(void (*function)(void*), void* arg) override { base_->Schedule(function, arg); }
  void StartThread(void (*function)(void*), void* arg) override { base_->StartThread(function, arg); }
  Status GetTestDirectory(std::string* path) override { return base_->GetTestDirectory(path); }
  uint64_t NowMicros() override { return base_->NowMicros(); }
  void SleepForMicroseconds(int micros) override { base_->SleepForMicroseconds(micros); }

 private:
  void CreateParents(const std::string& path) {
    for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
      NativeEnv::CreateDir(path.substr(0, slash));  // Or it is there.
    }
  }

  Env* const base_;
};

}  // namespace detail

TERRACE_LEVELDB_INLINE Env* NewMemEnv(Env* base_env) { return new detail::MemEnv(base_env); }

TERRACE_LEVELDB_NAMESPACE_END

#endif  // TERRACE_LEVELDB_DETAIL_MEMENV_IMPL_H_
