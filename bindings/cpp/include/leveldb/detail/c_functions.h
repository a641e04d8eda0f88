// The functions of libterrace's C interface.
//
// LevelDB's C functions are called through pointers that libterrace returns, never by name: in a process that
// has also loaded LevelDB, a name may be bound to LevelDB. The names that start with terrace_ are unique.

#ifndef TERRACE_LEVELDB_DETAIL_C_FUNCTIONS_H_
#define TERRACE_LEVELDB_DETAIL_C_FUNCTIONS_H_

#include "leveldb/export.h"
#include "terrace.h"

// No exception may leave a callback that C calls. Programs may be compiled without exceptions.
#if defined(__cpp_exceptions) || defined(__EXCEPTIONS)
#define TERRACE_LEVELDB_TRY try
#define TERRACE_LEVELDB_CATCH_ALL catch (...)
#else
#define TERRACE_LEVELDB_TRY if (true)
#define TERRACE_LEVELDB_CATCH_ALL else
#endif

TERRACE_LEVELDB_NAMESPACE_BEGIN
namespace detail {

#define TERRACE_LEVELDB_FUNCTIONS(F)                                                                                  \
  F(open) F(close) F(put) F(delete) F(write) F(property_value) F(approximate_sizes) F(destroy_db) F(repair_db)        \
  F(create_iterator) F(iter_destroy) F(iter_get_error) F(create_snapshot) F(release_snapshot)                         \
  F(options_create) F(options_destroy) F(options_set_comparator) F(options_set_filter_policy)                         \
  F(options_set_create_if_missing) F(options_set_error_if_exists) F(options_set_paranoid_checks) F(options_set_env)   \
  F(options_set_info_log) F(options_set_write_buffer_size) F(options_set_max_open_files) F(options_set_cache)         \
  F(options_set_block_size) F(options_set_block_restart_interval) F(options_set_max_file_size)                        \
  F(options_set_compression) F(comparator_destroy) F(filterpolicy_create) F(filterpolicy_destroy)                     \
  F(filterpolicy_create_bloom) F(readoptions_create) F(readoptions_destroy) F(readoptions_set_verify_checksums)       \
  F(readoptions_set_fill_cache) F(readoptions_set_snapshot) F(writeoptions_create) F(writeoptions_destroy)            \
  F(writeoptions_set_sync) F(cache_create_lru) F(cache_destroy) F(env_destroy) F(env_get_test_directory)

// LevelDB's C functions, without their prefix and with an underscore at the end, because some would be
// keywords.
struct CFunctions {
#define TERRACE_LEVELDB_MEMBER(name) decltype(&::leveldb_##name) name##_;
  TERRACE_LEVELDB_FUNCTIONS(TERRACE_LEVELDB_MEMBER)
#undef TERRACE_LEVELDB_MEMBER

  CFunctions() {
#define TERRACE_LEVELDB_FIND(name) \
  name##_ = reinterpret_cast<decltype(name##_)>(const_cast<void*>(terrace_leveldb_function("leveldb_" #name)));
    TERRACE_LEVELDB_FUNCTIONS(TERRACE_LEVELDB_FIND)
#undef TERRACE_LEVELDB_FIND
  }
};
#undef TERRACE_LEVELDB_FUNCTIONS

inline const CFunctions& C() {
  static const CFunctions functions;
  return functions;
}

}  // namespace detail
TERRACE_LEVELDB_NAMESPACE_END

#endif  // TERRACE_LEVELDB_DETAIL_C_FUNCTIONS_H_
