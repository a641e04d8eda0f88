// Writes the text of terrace_dump_file() to a file of C++.

#ifndef TERRACE_LEVELDB_DETAIL_DUMPFILE_IMPL_H_
#define TERRACE_LEVELDB_DETAIL_DUMPFILE_IMPL_H_

#include "leveldb/detail/c_functions.h"
#include "leveldb/detail/env_callbacks.h"
#include "leveldb/detail/natives.h"
#include "leveldb/detail/status_impl.h"
#include "leveldb/dumpfile.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

TERRACE_LEVELDB_INLINE Status DumpFile(Env* env, const std::string& fname, WritableFile* dst) {
  leveldb_env_t* native = env == Env::Default() ? nullptr : detail::Natives::Get().Find<leveldb_env_t>(env);
  leveldb_env_t* own = nullptr;
  if (native == nullptr && env != Env::Default()) native = own = detail::EnvCallbacks::Create(env);
  detail::Failure failure;
  terrace_dump_file(native, fname.c_str(), dst, &detail::EnvCallbacks::WritableAppend, failure.out());
  const Status status = failure.status();
  detail::C().env_destroy_(own);
  return status;
}

TERRACE_LEVELDB_NAMESPACE_END

#endif  // TERRACE_LEVELDB_DETAIL_DUMPFILE_IMPL_H_
