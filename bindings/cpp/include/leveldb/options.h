// How a database is opened, read and written.

#ifndef STORAGE_LEVELDB_INCLUDE_OPTIONS_H_
#define STORAGE_LEVELDB_INCLUDE_OPTIONS_H_

#include <cstddef>

#include "leveldb/export.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

class Cache;
class Comparator;
class Env;
class FilterPolicy;
class Logger;
class Snapshot;

// How the blocks of a table are compressed. The numbers are part of the format. zstd is supported by
// LevelDB's main branch, but not by LevelDB 1.23, which cannot read it.
enum CompressionType { kNoCompression = 0x0, kSnappyCompression = 0x1, kZstdCompression = 0x2 };

// How a database is opened. Opening copies the options; the objects that they point to must outlive the
// database. Numbers that are out of range are clipped.
struct LEVELDB_EXPORT Options {
  Options();

  // The order of keys, which can never be changed for a database. Default: the order of bytes.
  const Comparator* comparator;

  // Create the database if it is missing.
  bool create_if_missing = false;

  // Refuse to open a database that exists.
  bool error_if_exists = false;

  // Stop at the first damaged record or block instead of skipping it.
  bool paranoid_checks = false;

  // Files, locks and clock. Default: Env::Default().
  Env* env;

  // The receiver of the info log. NULL: the file LOG in the directory of the database.
  Logger* info_log = nullptr;

  // Size of a memtable, in bytes, at which it is flushed to a table; from 64 KiB to 1 GiB.
  size_t write_buffer_size = 4 * 1024 * 1024;

  // Number of file descriptors that the database may keep open; from 74 to 50000. Mapped tables need none.
  int max_open_files = 1000;

  // The cache of uncompressed blocks, from NewLRUCache(); databases may share it. NULL: a cache of 8 MiB for
  // this database.
  Cache* block_cache = nullptr;

  // Size of a block of keys and values, in bytes before compression; from 1 KiB to 4 MiB.
  size_t block_size = 4 * 1024;

  // Number of entries from one restart point of a block (a key that is stored whole) to the next.
  int block_restart_interval = 16;

  // Size of an output table, in bytes, at which a compaction starts the next one; from 1 MiB to 1 GiB.
  size_t max_file_size = 2 * 1024 * 1024;

  // The compression of new blocks; it does not affect reading, as each block names its compression. With
  // kSnappyCompression, new tables use zlib or raw deflate if the directory has tables that use it: then it
  // is a Minecraft world, and the game cannot read snappy. zstd uses level 1.
  CompressionType compression = kSnappyCompression;

  // Append to the last WAL and MANIFEST of a cleanly closed database instead of creating new ones at open.
  bool reuse_logs = false;

  // The filter policy, which saves table reads. NULL: tables have no LevelDB filter (they still have
  // Terrace's own).
  const FilterPolicy* filter_policy = nullptr;
};

// The options of one read.
struct LEVELDB_EXPORT ReadOptions {
  ReadOptions() = default;

  // Verify the checksum of every block that is read, even if it was verified before.
  bool verify_checksums = false;

  // Keep the blocks that are read in the block cache.
  bool fill_cache = true;

  // Read the state of this snapshot, which must belong to the database and must not be released. NULL: the
  // latest state.
  const Snapshot* snapshot = nullptr;
};

// The options of one write.
struct LEVELDB_EXPORT WriteOptions {
  WriteOptions() = default;

  // Return only when this write and every write before it survive a power loss. (Every write that returned
  // survives the death of the process.)
  bool sync = false;
};

TERRACE_LEVELDB_NAMESPACE_END

#if TERRACE_LEVELDB_DEFINITIONS
#include "leveldb/detail/options_impl.h"
#endif

#endif  // STORAGE_LEVELDB_INCLUDE_OPTIONS_H_
