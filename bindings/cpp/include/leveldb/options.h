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

// How the blocks of a table are compressed. The numbers are part of the format. LevelDB 1.23 has, and reads, no zstd: its main branch does.
enum CompressionType { kNoCompression = 0x0, kSnappyCompression = 0x1, kZstdCompression = 0x2 };

// How a database is opened. Copied when it is; what the pointers lead to must outlive the database. Numbers out of range are
// brought into range.
struct LEVELDB_EXPORT Options {
  Options();

  // The order of keys, which is that of the database for ever. Default: the order of bytes.
  const Comparator* comparator;

  // Create the database if it is missing.
  bool create_if_missing = false;

  // Refuse to open a database that exists.
  bool error_if_exists = false;

  // Stop at the first damaged record or block instead of reading around it.
  bool paranoid_checks = false;

  // The system underneath. Default: Env::Default().
  Env* env;

  // Where the database tells what it does. NULL: the file LOG in its directory.
  Logger* info_log = nullptr;

  // Bytes kept in memory before they are flushed to a table; from 64 KiB to 1 GiB.
  size_t write_buffer_size = 4 * 1024 * 1024;

  // Files the database may keep open; from 74 to 50000.
  int max_open_files = 1000;

  // The cache of uncompressed blocks, which databases may share: one of NewLRUCache(). NULL: one of 8 MiB for this database.
  Cache* block_cache = nullptr;

  // Bytes of keys and values in a block, before compression; from 1 KiB to 4 MiB.
  size_t block_size = 4 * 1024;

  // Keys from one key that a block stores whole to the next.
  int block_restart_interval = 16;

  // Bytes after which a compaction starts another table; from 1 MiB to 1 GiB.
  size_t max_file_size = 2 * 1024 * 1024;

  // Of new blocks; blocks are read as they were written. With kSnappyCompression new tables are of zlib or raw deflate where such tables are
  // found: the directory is a world of Minecraft, and the game reads no snappy. zstd is of level 1.
  CompressionType compression = kSnappyCompression;

  // Append to the last log and MANIFEST of a cleanly closed database instead of starting new ones.
  bool reuse_logs = false;

  // Filters that spare table reads. NULL: no filter of LevelDB's (Terrace's own are made all the same).
  const FilterPolicy* filter_policy = nullptr;
};

// How one read reads.
struct LEVELDB_EXPORT ReadOptions {
  ReadOptions() = default;

  // Verify the checksum of every block read, also of one verified before.
  bool verify_checksums = false;

  // Keep the blocks read in the block cache.
  bool fill_cache = true;

  // Read the state of this snapshot, which belongs to the database and was not released. NULL: the latest state.
  const Snapshot* snapshot = nullptr;
};

// How one write writes.
struct LEVELDB_EXPORT WriteOptions {
  WriteOptions() = default;

  // Return only when this write, and every write before it, would survive a loss of power. (The end of the process it survives in any
  // case.)
  bool sync = false;
};

TERRACE_LEVELDB_NAMESPACE_END

#if TERRACE_LEVELDB_DEFINITIONS
#include "leveldb/detail/options_impl.h"
#endif

#endif  // STORAGE_LEVELDB_INCLUDE_OPTIONS_H_
