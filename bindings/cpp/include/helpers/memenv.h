// An Env whose files are in memory.

#ifndef STORAGE_LEVELDB_HELPERS_MEMENV_MEMENV_H_
#define STORAGE_LEVELDB_HELPERS_MEMENV_MEMENV_H_

#include "leveldb/export.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

class Env;

// An Env that keeps its files in memory and leaves all else to `base_env`, which must outlive it. Directories need not be created. The
// caller deletes it, after the databases that use it.
LEVELDB_EXPORT Env* NewMemEnv(Env* base_env);

TERRACE_LEVELDB_NAMESPACE_END

#if TERRACE_LEVELDB_DEFINITIONS
#include "leveldb/detail/memenv_impl.h"
#endif

#endif  // STORAGE_LEVELDB_HELPERS_MEMENV_MEMENV_H_
