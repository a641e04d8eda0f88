// The object that replaces libleveldb.so.1: LevelDB's C++ interface under LevelDB's linker names, together
// with libterrace. `make` compiles it with LEVELDB_SHARED_LIBRARY and LEVELDB_COMPILE_LIBRARY, and links it
// with libterrace.a.

#include "helpers/memenv.h"
#include "leveldb/cache.h"
#include "leveldb/comparator.h"
#include "leveldb/db.h"
#include "leveldb/dumpfile.h"
#include "leveldb/env.h"
#include "leveldb/filter_policy.h"
#include "leveldb/iterator.h"
#include "leveldb/options.h"
#include "leveldb/slice.h"
#include "leveldb/status.h"
#include "leveldb/table.h"
#include "leveldb/table_builder.h"
#include "leveldb/write_batch.h"

// (A test also compiles this file header-only, because it includes all headers.)
#if !defined(TERRACE_LEVELDB_HEADERS_ONLY) && !(defined(LEVELDB_SHARED_LIBRARY) && defined(LEVELDB_COMPILE_LIBRARY))
#error "compile this with -DLEVELDB_SHARED_LIBRARY -DLEVELDB_COMPILE_LIBRARY"
#endif
