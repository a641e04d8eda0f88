// The default values of options that are objects.

#ifndef TERRACE_LEVELDB_DETAIL_OPTIONS_IMPL_H_
#define TERRACE_LEVELDB_DETAIL_OPTIONS_IMPL_H_

#include "leveldb/comparator.h"
#include "leveldb/detail/c_functions.h"
#include "leveldb/env.h"
#include "leveldb/options.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

TERRACE_LEVELDB_INLINE Options::Options() : comparator(BytewiseComparator()), env(Env::Default()) {}

TERRACE_LEVELDB_NAMESPACE_END

#endif  // TERRACE_LEVELDB_DETAIL_OPTIONS_IMPL_H_
