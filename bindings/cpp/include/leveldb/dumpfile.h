// Prints files of a database as text.

#ifndef STORAGE_LEVELDB_INCLUDE_DUMPFILE_H_
#define STORAGE_LEVELDB_INCLUDE_DUMPFILE_H_

#include <string>

#include "leveldb/env.h"
#include "leveldb/export.h"
#include "leveldb/status.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

// Appends the text of a WAL, a MANIFEST or a table (recognised by its name) to `dst`: one call per item,
// which ends with a line feed.
LEVELDB_EXPORT Status DumpFile(Env* env, const std::string& fname, WritableFile* dst);

TERRACE_LEVELDB_NAMESPACE_END

#if TERRACE_LEVELDB_DEFINITIONS
#include "leveldb/detail/dumpfile_impl.h"
#endif

#endif  // STORAGE_LEVELDB_INCLUDE_DUMPFILE_H_
