// An Env whose files are in memory.

#ifndef STORAGE_LEVELDB_HELPERS_MEMENV_MEMENV_H_
#define STORAGE_LEVELDB_HELPERS_MEMENV_MEMENV_H_

#include "leveldb/export.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

class Env;

// Creates an Env whose files are in memory. Threads, time and the test directory are those of `base_env`,
// which must outlive it. Directories need not be created. The caller deletes the Env, after the databases
// that use it.
LEVELDB_EXPORT Env* NewMemEnv(Env* base_env);

TERRACE_LEVELDB_NAMESPACE_END

#if TERRACE_LEVELDB_DEFINITIONS
#include "leveldb/detail/memenv_impl.h"
#endif

#endif  // STORAGE_LEVELDB_HELPERS_MEMENV_MEMENV_H_
