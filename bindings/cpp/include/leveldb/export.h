// How the names of this interface appear to compilers and linkers. There are three ways to build with these
// headers:
//
//   nothing defined          Header-only: everything is inline, on top of libterrace (-lterrace). The names
//                            are in an inline namespace, so that they differ from those of a LevelDB in the
//                            same process.
//   LEVELDB_SHARED_LIBRARY   Declarations only, with LevelDB's own linker names: for programs linked with
//                            -lleveldb, the object that Terrace installs or LevelDB's. (LevelDB's CMake
//                            package defines it too.)
//   LEVELDB_COMPILE_LIBRARY  In addition to the second: compiles that object.
//
// A program that declares classes of this interface itself (`namespace leveldb { class DB; }`) needs the
// second way, or header-only with TERRACE_LEVELDB_PLAIN_NAMESPACE defined, which leaves out the inline
// namespace.

#ifndef STORAGE_LEVELDB_INCLUDE_EXPORT_H_
#define STORAGE_LEVELDB_INCLUDE_EXPORT_H_

#if !defined(LEVELDB_EXPORT)
#if defined(LEVELDB_SHARED_LIBRARY) && defined(LEVELDB_COMPILE_LIBRARY)
#define LEVELDB_EXPORT __attribute__((visibility("default")))
#else
#define LEVELDB_EXPORT
#endif
#endif

#if defined(LEVELDB_SHARED_LIBRARY)
#define TERRACE_LEVELDB_NAMESPACE_BEGIN namespace leveldb {
#define TERRACE_LEVELDB_NAMESPACE_END }
#define TERRACE_LEVELDB_INLINE
#if defined(LEVELDB_COMPILE_LIBRARY)
#define TERRACE_LEVELDB_DEFINITIONS 1
#else
#define TERRACE_LEVELDB_DEFINITIONS 0
#endif
#else
#if defined(TERRACE_LEVELDB_PLAIN_NAMESPACE)
#define TERRACE_LEVELDB_NAMESPACE_BEGIN namespace leveldb {
#define TERRACE_LEVELDB_NAMESPACE_END }
#else
#define TERRACE_LEVELDB_NAMESPACE_BEGIN namespace leveldb { inline namespace terrace {
#define TERRACE_LEVELDB_NAMESPACE_END } }
#endif
#define TERRACE_LEVELDB_INLINE inline
#define TERRACE_LEVELDB_DEFINITIONS 1
#endif

#endif  // STORAGE_LEVELDB_INCLUDE_EXPORT_H_
