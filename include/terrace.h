/*
 * Terrace beyond LevelDB: what leveldb/c.h does not have, on the same handles. The conventions at the top of leveldb/c.h
 * hold here too. A program that uses only leveldb_ functions runs with either library.
 */

#ifndef TERRACE_H_
#define TERRACE_H_

#include <stddef.h>
#include <stdint.h>
#include "leveldb/c.h"

/*
 * What `terrace_last_error_code()` returns. The numbers never change; those up to 5 are the codes of LevelDB's status.
 */
typedef enum {
    /*
     * The last call with an errptr succeeded, and nothing failed since.
     */
    TERRACE_OK = 0,
    /*
     * A file or directory that should be there is not. (A key that is not there is no error.)
     */
    TERRACE_NOT_FOUND = 1,
    /*
     * Stored bytes contradict the format or their checksum.
     */
    TERRACE_CORRUPTION = 2,
    /*
     * The operation is not offered.
     */
    TERRACE_NOT_SUPPORTED = 3,
    /*
     * An argument that can never work.
     */
    TERRACE_INVALID_ARGUMENT = 4,
    /*
     * The system refused an operation, or the database can no longer do it.
     */
    TERRACE_IO_ERROR = 5,
    /*
     * A defect of the library, or of a comparator, caught. The database it happened in takes no writes until it is opened again.
     */
    TERRACE_INTERNAL_ERROR = 6
} terrace_error_t;

/*
 * What terrace_background_error_severity() returns. The numbers never change.
 */
typedef enum {
    /*
     * A flush or a compaction failed and is tried again by itself, ever less often. Writes go on until they would have to
     * wait for it; then they fail with this error. A table in which a compaction finds damage (TERRACE_CORRUPTION) is left
     * where it is, and tried again after a minute, at most once an hour later on; the others go on being compacted.
     */
    TERRACE_SEVERITY_RETRYING = 1,
    /*
     * Writes are refused until the MANIFEST, or a new log, can be written, which is tried by itself, ever less often: after
     * a full disk has space again, say.
     */
    TERRACE_SEVERITY_WRITES_REFUSED = 2,
    /*
     * Writes are refused until the database is closed and opened again: a sync of the log failed, say.
     */
    TERRACE_SEVERITY_UNTIL_REOPENED = 3
} terrace_severity_t;

/*
 * What terrace_iter_read() does; to be added up.
 */
typedef enum {
    /*
     * Copy keys.
     */
    TERRACE_READ_KEYS = 1,
    /*
     * Copy values.
     */
    TERRACE_READ_VALUES = 2,
    /*
     * Go backward.
     */
    TERRACE_READ_BACKWARD = 4,
    /*
     * The entry whose key is `stop` belongs to those asked for.
     */
    TERRACE_READ_STOP_INCLUSIVE = 8
} terrace_iter_read_t;

/*
 * Where terrace_iter_move() moves to. The numbers never change.
 */
typedef enum {
    /*
     * To the first key.
     */
    TERRACE_MOVE_FIRST = 0,
    /*
     * To the last key.
     */
    TERRACE_MOVE_LAST = 1,
    /*
     * To the first key at or after the given one.
     */
    TERRACE_MOVE_SEEK = 2,
    /*
     * To the next key.
     */
    TERRACE_MOVE_NEXT = 3,
    /*
     * To the key before.
     */
    TERRACE_MOVE_PREV = 4
} terrace_iter_move_t;

/*
 * How blocks are compressed; see terrace_options_set_compression(). The numbers are RocksDB's, where it has one.
 */
typedef enum {
    /*
     * The default: snappy; but where tables of zlib or raw deflate are found in the directory, which is then a world of Minecraft, new ones
     * are of that too, since the game reads no snappy.
     */
    TERRACE_AUTO_COMPRESSION = -1,
    /*
     * None.
     */
    TERRACE_NO_COMPRESSION = 0,
    /*
     * snappy, whatever is found.
     */
    TERRACE_SNAPPY_COMPRESSION = 1,
    /*
     * zlib: for Minecraft's fork of LevelDB. LevelDB itself cannot read it.
     */
    TERRACE_ZLIB_COMPRESSION = 2,
    /*
     * zstd. LevelDB reads it from its main branch on; 1.23 cannot.
     */
    TERRACE_ZSTD_COMPRESSION = 7,
    /*
     * zlib's deflate without a header: for Minecraft's fork of LevelDB. LevelDB itself cannot read it.
     */
    TERRACE_RAW_DEFLATE_COMPRESSION = 128,
    /*
     * As a level: the one that is usual, 6 of zlib and raw deflate, 1 of zstd.
     */
    TERRACE_USUAL_COMPRESSION_LEVEL = 32767
} terrace_compression_t;

/*
 * Why background work or writes of a database have stopped; see terrace_background_error().
 */
typedef struct terrace_background_error_t terrace_background_error_t;

/*
 * A position in a table; see terrace_table_create_iterator().
 */
typedef struct terrace_table_iterator_t terrace_table_iterator_t;

/*
 * An open table; see terrace_table_open().
 */
typedef struct terrace_table_t terrace_table_t;

/*
 * A table under construction; see terrace_tablebuilder_create().
 */
typedef struct terrace_tablebuilder_t terrace_tablebuilder_t;

/*
 * What an environment of C does; see terrace_env_create(). `state` is that of the environment.
 *
 * A callback that returns an `int` returns TERRACE_OK, or another value of `terrace_error_t` and, in `*message`, a malloc()ed and
 * NUL-terminated message, which the library frees; `*message` is NULL before. What is not there is TERRACE_NOT_FOUND. Paths are
 * NUL-terminated. A file is used by one thread at a time, but for the random access files; everything else by any thread, at
 * once.
 */
typedef struct {
    /*
     * Called once, when nothing uses the environment any more. May be NULL; no other callback may.
     */
    void (*destructor)(void *state);
    /*
     * Opens a file to be read from its beginning.
     */
    int (*new_sequential_file)(void *state, const char *path, void **file, char **message);
    /*
     * Reads up to `length` bytes, and puts how many into `*read`; 0 at the end of the file.
     */
    int (*sequential_file_read)(void *file,
                                char *buffer,
                                size_t length,
                                size_t *read,
                                char **message);
    /*
     * Passes over bytes; past the end is fine.
     */
    int (*sequential_file_skip)(void *file, uint64_t length, char **message);
    /*
     * Closes the file.
     */
    void (*sequential_file_destroy)(void *file);
    /*
     * Opens a file to be read anywhere.
     */
    int (*new_random_access_file)(void *state, const char *path, void **file, char **message);
    /*
     * Reads up to `length` bytes from `offset`, and puts how many into `*read`; 0 at the end of the file.
     */
    int (*random_access_file_read)(void *file,
                                   uint64_t offset,
                                   char *buffer,
                                   size_t length,
                                   size_t *read,
                                   char **message);
    /*
     * Closes the file.
     */
    void (*random_access_file_destroy)(void *file);
    /*
     * Opens a file to be written: behind what it has if `append` is set, else emptied; created if it is missing.
     */
    int (*new_writable_file)(void *state,
                             const char *path,
                             uint8_t append,
                             void **file,
                             char **message);
    /*
     * Appends bytes.
     */
    int (*writable_file_append)(void *file, const char *data, size_t length, char **message);
    /*
     * Hands what was appended to the system: it survives the end of the process.
     */
    int (*writable_file_flush)(void *file, char **message);
    /*
     * Makes what was appended, and the name of a new file, durable.
     */
    int (*writable_file_sync)(void *file, char **message);
    /*
     * Flushes and closes the file.
     */
    int (*writable_file_close)(void *file, char **message);
    /*
     * Frees the file, after it was closed.
     */
    void (*writable_file_destroy)(void *file);
    /*
     * Is there a file or directory of that name?
     */
    uint8_t (*file_exists)(void *state, const char *path);
    /*
     * Calls `child` with `sink` and each name in a directory, which is no path.
     */
    int (*get_children)(void *state,
                        const char *path,
                        void *sink,
                        void (*child)(void *sink, const char *name, size_t length),
                        char **message);
    /*
     * Removes a file.
     */
    int (*remove_file)(void *state, const char *path, char **message);
    /*
     * Creates a directory. What it returns counts for nothing if the directory exists.
     */
    int (*create_dir)(void *state, const char *path, char **message);
    /*
     * Removes an empty directory.
     */
    int (*remove_dir)(void *state, const char *path, char **message);
    /*
     * Puts how long a file is, in bytes, into `*size`.
     */
    int (*get_file_size)(void *state, const char *path, uint64_t *size, char **message);
    /*
     * Renames a file, replacing what has the new name, and makes that durable.
     */
    int (*rename_file)(void *state, const char *from, const char *to, char **message);
    /*
     * Locks a file against other processes and other databases; never waits.
     */
    int (*lock_file)(void *state, const char *path, void **lock, char **message);
    /*
     * Unlocks it.
     */
    void (*unlock_file)(void *state, void *lock);
    /*
     * Microseconds since some fixed time.
     */
    uint64_t (*now_micros)(void *state);
    /*
     * Sleeps.
     */
    void (*sleep_micros)(void *state, uint64_t micros);
} terrace_env_callbacks_t;

/*
 * The entry that terrace_iter_move() has moved to. The bytes are the iterator's, and hold until it is moved or destroyed.
 */
typedef struct {
    /*
     * Never NULL.
     */
    const char *key;
    /*
     * Bytes of the key.
     */
    size_t key_len;
    /*
     * Never NULL.
     */
    const char *value;
    /*
     * Bytes of the value.
     */
    size_t value_len;
} terrace_entry_t;

#ifdef __cplusplus
extern "C" {
#endif /* __cplusplus */

/*
 * As leveldb_close(), and reports what fails. The database is closed and its handle gone in any case. NULL is fine.
 *
 * Requires: `db` is NULL or an open database that no other call uses now or later; `errptr` as in (3).
 */
void terrace_close(leveldb_t *db,
                   char **errptr);

/*
 * As leveldb_compact_range(), and reports what fails.
 *
 * Requires: `db` is NULL or open; the keys have their lengths; `errptr` as in (3).
 */
void terrace_compact_range(leveldb_t *db,
                           const char *start_key,
                           size_t start_key_len,
                           const char *limit_key,
                           size_t limit_key_len,
                           char **errptr);

/*
 * Flushes what is in memory to table files, and returns when that is done.
 *
 * Requires: `db` is NULL or open; `errptr` as in (3).
 */
void terrace_flush(leveldb_t *db, char **errptr);

/*
 * Copies the value of a key into `buffer`, and returns its length. A value longer than `buffer_size` is not copied at all;
 * its length is returned all the same, and the call to be repeated with as large a buffer.
 *
 * A key that is not there is no error: `(size_t)-1` is returned, and `*errptr` is left as it was. `(size_t)-2` is returned on
 * failure. No value is as long as these. `buffer` may be NULL if `buffer_size` is 0: that asks for the length.
 *
 * Requires: `db` is NULL or open; `options` is NULL or not destroyed; `key` has its length; `buffer` is writable for `buffer_size` bytes,
 * none of which are the key's; `errptr` as in (3).
 */
size_t terrace_get_into(leveldb_t *db,
                        const leveldb_readoptions_t *options,
                        const char *key,
                        size_t keylen,
                        char *buffer,
                        size_t buffer_size,
                        char **errptr);

/*
 * Copies many entries in one call: those from where the iterator stands, forward or backward, until the buffer is full,
 * `max_entries` are copied, or no entry is left. Moves the iterator behind the last one copied, and returns how many.
 *
 * `flags` is a sum of values of `terrace_iter_read_t`. `buffer` receives the parts asked for (key, value, or key before value)
 * of one entry behind the other, without anything in between. `ends` receives one number a part: where in `buffer` it ends, which
 * is where the next one starts. It has room for `max_entries` numbers, twice as many with keys and values. With neither,
 * entries are counted and passed over, and `buffer` and `ends` may be NULL.
 *
 * `stop` bounds the scan in the order of the database: forward, entries whose key is at or behind `stop` are not copied;
 * backward, those whose key is at or before it. With TERRACE_READ_STOP_INCLUSIVE the key `stop` itself is. NULL (whatever the length)
 * is no bound. The first entry that is left out is the one the iterator then stands on.
 *
 * `*next_size` says how the scan goes on: how many bytes of `buffer` the next entry takes, or `(size_t)-1` if none comes next,
 * because the bound, the end or an error was reached: leveldb_iter_get_error() tells which, and is to be asked. When nothing was
 * copied, and `*next_size` is another number, it is the size of the buffer to come again with. `next_size` may be NULL.
 *
 * A NULL `iter` is refused, as in (6). Unknown flags, a NULL `buffer` whose size is not 0, NULL `ends` and a `stop` that is too
 * long are errors of the iterator, which stays invalid until it is positioned again.
 *
 * Requires: `iter` is NULL or an iterator that no other call uses now; `stop` has its length; `buffer` is writable for `buffer_size`
 * bytes and `ends` for the numbers said above, neither overlaps the other, `stop` or `*next_size`; `next_size` is NULL or writable.
 */
size_t terrace_iter_read(leveldb_iterator_t *iter,
                         int flags,
                         const char *stop,
                         size_t stop_len,
                         char *buffer,
                         size_t buffer_size,
                         size_t *ends,
                         size_t max_entries,
                         size_t *next_size);

/*
 * Creates a batch from its representation: what LevelDB writes to its log, and what a program that calls rarely can build by
 * itself. Eight bytes (0), the number of entries (32 bits, little-endian), then for each entry a byte (1: put, 0: delete), the
 * key, and for a put the value, both after their length as a varint of 7 bits a byte, lowest first. The bytes are copied.
 *
 * Returns NULL with a Corruption error if they are not a representation, with Invalid argument if an entry or the whole is longer
 * than leveldb_writebatch_put() takes. Destroy the batch with leveldb_writebatch_destroy().
 *
 * Requires: `rep` has its length; `errptr` as in (3).
 */
leveldb_writebatch_t *terrace_writebatch_create_from(const char *rep,
                                                     size_t rep_len,
                                                     char **errptr);

/*
 * How blocks of new tables are compressed (a value of `terrace_compression_t`), and at which level: from 0 to 9 of zlib and raw deflate, from
 * about -130000 to 22 of zstd, where more is smaller and slower. Levels are brought into range; TERRACE_USUAL_COMPRESSION_LEVEL
 * stands for the usual one; the others have none. A block that would not shrink by an eighth stays as it is. Blocks are read as
 * they were written, whatever is set here. Default: TERRACE_AUTO_COMPRESSION.
 *
 * An opening answers `Not implemented` where this build of the library is without what is set, and for other values: LevelDB's
 * format has no number for LZ4 (4) and its like.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_compression(leveldb_options_t *options,
                                     int compression,
                                     int level);

/*
 * Append to the last log and MANIFEST of a cleanly closed database instead of starting new ones. Default: no.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_reuse_logs(leveldb_options_t *options,
                                    uint8_t reuse_logs);

/*
 * Compact tables that many reads had to look into in vain, as LevelDB does: a database that is only read ends with one level. (A table
 * that a filter spares a look-up counts as a sixteenth.)
 * Below all other work, and not while memtables fill quickly. From one opening to the next it rewrites as many bytes as the database
 * has, and beyond that no more than everything else has written. Default: yes.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_seek_compaction(leveldb_options_t *options,
                                         uint8_t seek_compaction);

/*
 * Merge what is left in level 0 once nothing has been written for 100 ms, so that reads of a quiet database do not pay for it;
 * never for so little that more than four times as much of level 1 is rewritten. Not with a comparator of leveldb_comparator_create(),
 * which is not called while nobody uses the database. Default: yes.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_idle_compaction(leveldb_options_t *options,
                                         uint8_t idle_compaction);

/*
 * Give each table a filter of all its keys, 10 bits each, which spares almost every read of a table that lacks the key.
 * Only with LevelDB's own comparator; LevelDB ignores it. Default: yes.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_whole_table_filter(leveldb_options_t *options,
                                            uint8_t whole_table_filter);

/*
 * Memtables, the one that is written to included, before a writer waits for a flush; from 2 to 65536. All but two go into one
 * table, if they fill quickly (within 250 ms each). 0: 2, as in LevelDB, and as many more as fit 12 MiB, up to 5.
 * Default: 0.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_max_write_buffer_number(leveldb_options_t *options,
                                                 int max_write_buffer_number);

/*
 * Bytes of memory for what is known of open tables: their indexes, and where tables are not read through mappings their filters.
 * Beyond it the tables used least recently are closed, and a read of a closed one costs as much as tens of others. 100 million keys of
 * 16 bytes with values of 100 take about 110 MiB, and about 220 MiB without mappings. All databases of a process together take
 * no more than the largest budget among those that are open. At least 1 MiB; SIZE_MAX: no limit. Default: 512 MiB.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_table_metadata_budget(leveldb_options_t *options,
                                               size_t bytes);

/*
 * Level-0 files at which a compaction starts; at least 1. Default: 4.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_level0_file_num_compaction_trigger(leveldb_options_t *options, int files);

/*
 * Level-0 files at which each write is delayed by a millisecond; at least 1. Default: 8.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_level0_slowdown_writes_trigger(leveldb_options_t *options, int files);

/*
 * Level-0 files at which writes wait for a compaction; also where fewer hold the bytes of as many memtables. Not below the
 * number at which a compaction starts. Default: 12.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_level0_stop_writes_trigger(leveldb_options_t *options,
                                                    int files);

/*
 * Bytes of level 1 above which it is compacted; each deeper level holds ten times more. Default: 10 MiB.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_max_bytes_for_level_base(leveldb_options_t *options,
                                                  uint64_t bytes);

/*
 * Threads that compact; from 1 to 64. Default: 1.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_max_background_compactions(leveldb_options_t *options, int threads);

/*
 * Parts into which a large compaction is divided, which are merged at once, each by a thread; from 1 to 64. Default: 2.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_max_subcompactions(leveldb_options_t *options,
                                            int threads);

/*
 * Read tables through memory mappings, as LevelDB does. It is faster, but a disk that fails under a mapping raises
 * SIGBUS instead of an error. Default: yes.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_mmap_reads(leveldb_options_t *options,
                                    uint8_t mmap_reads);

/*
 * Append to the log through a memory mapping, on file systems that are known to be safe for it: tmpfs, and ext4 unless it journals
 * data. A full disk, or a lack of mappings, is no danger: the log is written to by pwrite then. But a disk that fails, or a file
 * system that is shut down, under a mapping raises SIGBUS instead of an error; who can't bear that turns it off. Default: yes.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_mmap_wal(leveldb_options_t *options,
                                  uint8_t mmap_wal);

/*
 * As leveldb_comparator_create(), with two callbacks more that shorten keys, as the index of a table needs them.
 *
 * `find_shortest_separator` may return a key at or after `start` and before `limit`, and `find_short_successor` one at or after
 * `key`: malloc()ed, with its length in `*length`; the library frees it with free(). NULL leaves the key as it is, which is always
 * right; so does a NULL callback, and a key that is not where it should be.
 *
 * Requires: As leveldb_comparator_create(); what the two return is NULL or malloc()ed and as long as they say.
 */
leveldb_comparator_t *terrace_comparator_create(void *state,
                                                void (*destructor)(void *state),
                                                int (*compare)(void *state,
                                                               const char *a,
                                                               size_t alen,
                                                               const char *b,
                                                               size_t blen),
                                                const char *(*name)(void *state),
                                                char *(*find_shortest_separator)(void *state,
                                                                                 const char *start,
                                                                                 size_t start_len,
                                                                                 const char *limit,
                                                                                 size_t limit_len,
                                                                                 size_t *length),
                                                char *(*find_short_successor)(void *state,
                                                                              const char *key,
                                                                              size_t key_len,
                                                                              size_t *length));

/*
 * To be called from inside of `compare`, when it cannot compare (it is written in a language with exceptions, and one was
 * raised): whatever `compare` then returns does not count. No order is guessed, so none gets into the files.
 *
 * The call that needed the comparison fails with an `IO error` of `message` (an iterator becomes invalid), and the database takes
 * no writes until it is opened again; a compaction is given up, and does the same. `message` is copied; NULL is an empty one.
 *
 * Requires: `message` is NULL or NUL-terminated.
 */
void terrace_comparator_fail(const char *message);

/*
 * Returns the filter of `num_keys` keys, malloc()ed, and puts its length in `*filter_length`; NULL on failure, and if the policy
 * was destroyed.
 *
 * Requires: `policy` is NULL or not destroyed; both arrays have `num_keys` elements, and the keys their lengths; `filter_length` is NULL or
 * writable.
 */
char *terrace_filterpolicy_create_filter(const leveldb_filterpolicy_t *policy,
                                         const char *const *keys,
                                         const size_t *key_lengths,
                                         int num_keys,
                                         size_t *filter_length);

/*
 * May `key` be one of those the filter was made of? 1 if so, 0 if certainly not. 1 for what cannot be asked.
 *
 * Requires: `policy` is NULL or not destroyed; `key` and `filter` have their lengths.
 */
uint8_t terrace_filterpolicy_key_may_match(const leveldb_filterpolicy_t *policy,
                                           const char *key,
                                           size_t key_length,
                                           const char *filter,
                                           size_t filter_length);

/*
 * About how many bytes the blocks in a cache take; 0 for NULL.
 *
 * Requires: `cache` is NULL or a cache that is not destroyed.
 */
size_t terrace_cache_usage(const leveldb_cache_t *cache);

/*
 * Forgets the blocks in a cache. Those in use are freed when they are not any more.
 *
 * Requires: `cache` is NULL or a cache that is not destroyed.
 */
void terrace_cache_prune(leveldb_cache_t *cache);

/*
 * Creates an environment whose files are in memory and gone when it is. Directories need not be created, and one that was not is
 * empty; a read that begins past the end of a file fails with an `IO error`. Destroy it with leveldb_env_destroy(); a database
 * that uses it keeps what it needs.
 */
leveldb_env_t *terrace_env_create_mem(void);

/*
 * Opens a file to be read from its beginning. NULL on failure. Destroy it with terrace_seqfile_destroy().
 *
 * Requires: `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `errptr` as in (3).
 */
leveldb_seqfile_t *terrace_env_new_sequential_file(const leveldb_env_t *env,
                                                   const char *path,
                                                   char **errptr);

/*
 * Reads up to `length` bytes, and returns how many; fewer only at the end of the file, or on failure. Nothing else in `buffer`
 * is touched: it may be shorter than `length` where the file is too.
 *
 * Requires: `file` is NULL or a file that no other call uses now; `buffer` is writable for `length` bytes, or for those that the file
 * still has; `errptr` as in (3).
 */
size_t terrace_seqfile_read(leveldb_seqfile_t *file,
                            char *buffer,
                            size_t length,
                            char **errptr);

/*
 * Passes over bytes; past the end is fine.
 *
 * Requires: `file` is NULL or a file that no other call uses now; `errptr` as in (3).
 */
void terrace_seqfile_skip(leveldb_seqfile_t *file, uint64_t length, char **errptr);

/*
 * Closes a file. NULL is fine.
 *
 * Requires: `file` is NULL or not used afterwards.
 */
void terrace_seqfile_destroy(leveldb_seqfile_t *file);

/*
 * Opens a file to be read anywhere, from any thread. NULL on failure. Destroy it with terrace_randomfile_destroy().
 *
 * Requires: `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `errptr` as in (3).
 */
leveldb_randomfile_t *terrace_env_new_random_access_file(const leveldb_env_t *env,
                                                         const char *path,
                                                         char **errptr);

/*
 * Reads up to `length` bytes from `offset`, and returns how many; fewer only at the end of the file, or on failure. Nothing
 * else in `buffer` is touched: it may be shorter than `length` where the file is too.
 *
 * Requires: `file` is NULL or not destroyed; `buffer` is writable for `length` bytes, or for those that the file has from `offset` on;
 * `errptr` as in (3).
 */
size_t terrace_randomfile_read(const leveldb_randomfile_t *file,
                               uint64_t offset,
                               char *buffer,
                               size_t length,
                               char **errptr);

/*
 * Closes a file. NULL is fine.
 *
 * Requires: `file` is NULL or not used afterwards.
 */
void terrace_randomfile_destroy(leveldb_randomfile_t *file);

/*
 * Opens a file to be written: behind what it has if `append` is set, else emptied first; created if it is missing. NULL on
 * failure. Destroy it with terrace_writablefile_destroy().
 *
 * Requires: `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `errptr` as in (3).
 */
leveldb_writablefile_t *terrace_env_new_writable_file(const leveldb_env_t *env,
                                                      const char *path,
                                                      uint8_t append,
                                                      char **errptr);

/*
 * Appends bytes, which may stay in a buffer of the library.
 *
 * Requires: `file` is NULL or a file that no other call uses now; `data` has its length; `errptr` as in (3).
 */
void terrace_writablefile_append(leveldb_writablefile_t *file,
                                 const char *data,
                                 size_t length,
                                 char **errptr);

/*
 * Hands what was appended to the system: it survives the end of the process.
 *
 * Requires: `file` is NULL or a file that no other call uses now; `errptr` as in (3).
 */
void terrace_writablefile_flush(leveldb_writablefile_t *file, char **errptr);

/*
 * Makes what was appended durable, and the name of the file: both survive a loss of power.
 *
 * Requires: `file` is NULL or a file that no other call uses now; `errptr` as in (3).
 */
void terrace_writablefile_sync(leveldb_writablefile_t *file, char **errptr);

/*
 * Hands what was appended to the system, and closes the file, which then only can be destroyed.
 *
 * Requires: `file` is NULL or a file that no other call uses now; `errptr` as in (3).
 */
void terrace_writablefile_close(leveldb_writablefile_t *file, char **errptr);

/*
 * Destroys a file, closing it if it is not closed. NULL is fine.
 *
 * Requires: `file` is NULL or not used afterwards.
 */
void terrace_writablefile_destroy(leveldb_writablefile_t *file);

/*
 * Is there a file or directory of that name?
 *
 * Requires: `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated.
 */
uint8_t terrace_env_file_exists(const leveldb_env_t *env, const char *path);

/*
 * Calls `child` with `state` and each name in a directory, which is no path and not NUL-terminated.
 *
 * Requires: `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `child` is NULL or returns normally;
 * `errptr` as in (3).
 */
void terrace_env_get_children(const leveldb_env_t *env,
                              const char *path,
                              void *state,
                              void (*child)(void *state, const char *name, size_t length),
                              char **errptr);

/*
 * Removes a file.
 *
 * Requires: `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `errptr` as in (3).
 */
void terrace_env_remove_file(const leveldb_env_t *env,
                             const char *path,
                             char **errptr);

/*
 * Creates a directory; that it exists is an error.
 *
 * Requires: `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `errptr` as in (3).
 */
void terrace_env_create_dir(const leveldb_env_t *env,
                            const char *path,
                            char **errptr);

/*
 * Removes an empty directory.
 *
 * Requires: `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `errptr` as in (3).
 */
void terrace_env_remove_dir(const leveldb_env_t *env,
                            const char *path,
                            char **errptr);

/*
 * Returns how long a file is, in bytes; 0 on failure.
 *
 * Requires: `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `errptr` as in (3).
 */
uint64_t terrace_env_get_file_size(const leveldb_env_t *env,
                                   const char *path,
                                   char **errptr);

/*
 * Renames a file, replacing what has the new name, and makes the change durable.
 *
 * Requires: `env` is NULL (the default one) or not destroyed; `from` and `to` are NULL or NUL-terminated; `errptr` as in (3).
 */
void terrace_env_rename_file(const leveldb_env_t *env,
                             const char *from,
                             const char *to,
                             char **errptr);

/*
 * Locks a file, which is created if it is missing, against other processes and other calls; never waits. NULL on failure, and
 * while somebody else holds it. Unlock it with terrace_filelock_destroy().
 *
 * Requires: `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `errptr` as in (3).
 */
leveldb_filelock_t *terrace_env_lock_file(const leveldb_env_t *env,
                                          const char *path,
                                          char **errptr);

/*
 * Unlocks a file. NULL is fine.
 *
 * Requires: `lock` is NULL or not used afterwards.
 */
void terrace_filelock_destroy(leveldb_filelock_t *lock);

/*
 * Microseconds since the Unix epoch, as the environment has them.
 *
 * Requires: `env` is NULL (the default one) or not destroyed.
 */
uint64_t terrace_env_now_micros(const leveldb_env_t *env);

/*
 * Creates an environment from callbacks, each of which gets `state` or what another has returned. The table is copied. NULL on
 * failure. Destroy it with leveldb_env_destroy(); databases that use it go on using it.
 *
 * Requires: `callbacks` is NULL or a table whose functions do as it says, as in (8); `errptr` as in (3).
 */
leveldb_env_t *terrace_env_create(void *state,
                                  const terrace_env_callbacks_t *callbacks,
                                  char **errptr);

/*
 * Creates a logger for leveldb_options_set_info_log(). `log` is called with `state` and each line, which has no line feed
 * and is not NUL-terminated, on any thread, also at once. `destructor` is called once, by terrace_logger_destroy(); it
 * may be NULL. A NULL `log` drops every line.
 *
 * Requires: The callbacks are NULL or callable as above, until terrace_logger_destroy() returns; they return normally.
 */
leveldb_logger_t *terrace_logger_create(void *state,
                                        void (*destructor)(void *state),
                                        void (*log)(void *state, const char *line, size_t length));

/*
 * Destroys a logger. Its callback does not run afterwards, and the destructor has run. Databases that still use it log
 * nothing from then on. Not to be called from its callback.
 *
 * Requires: `logger` is NULL or a logger whose handle is not used afterwards.
 */
void terrace_logger_destroy(leveldb_logger_t *logger);

/*
 * What the last call of this thread came to: a value of `terrace_error_t`.
 *
 * Every call that fails sets it, also one without errptr. A call with an errptr that succeeds sets it back to
 * TERRACE_OK; a call without one that succeeds leaves it alone. It never fails.
 */
int terrace_last_error_code(void);

/*
 * The system's error number (`errno`) behind the last error of this thread; 0 if there is none.
 */
int terrace_last_error_errno(void);

/*
 * May the same call succeed later without anything being changed in the program? True after a full disk, too many open
 * files, no memory, and a busy system.
 */
uint8_t terrace_last_error_retryable(void);

/*
 * The message of the last error of this thread, malloc()ed and NUL-terminated, as `*errptr` has it; NULL if there is no
 * error.
 */
char *terrace_last_error_message(void);

/*
 * The file or directory the last error of this thread is about, malloc()ed and NUL-terminated; NULL if there is no error,
 * or it is not about a file.
 */
char *terrace_last_error_path(void);

/*
 * Why background work or writes have stopped; NULL if they have not (or `db` is NULL). Reads go on in any case. The result is a
 * copy, to be destroyed with terrace_background_error_destroy(); the database may be closed before.
 *
 * Requires: `db` is NULL or open.
 */
terrace_background_error_t *terrace_background_error(leveldb_t *db);

/*
 * Destroys what terrace_background_error() returned. NULL is fine.
 *
 * Requires: `error` is NULL or not used afterwards.
 */
void terrace_background_error_destroy(terrace_background_error_t *error);

/*
 * What kind of failure it is: a value of `terrace_error_t`; TERRACE_OK for NULL.
 *
 * Requires: `error` is NULL or not destroyed.
 */
int terrace_background_error_code(const terrace_background_error_t *error);

/*
 * The system's error number (`errno`) behind it; 0 if there is none, or for NULL.
 *
 * Requires: `error` is NULL or not destroyed.
 */
int terrace_background_error_errno(const terrace_background_error_t *error);

/*
 * What has stopped, and what ends it: a value of `terrace_severity_t`; 0 for NULL.
 *
 * Requires: `error` is NULL or not destroyed.
 */
int terrace_background_error_severity(const terrace_background_error_t *error);

/*
 * Since when, in microseconds since the Unix epoch; 0 for NULL.
 *
 * Requires: `error` is NULL or not destroyed.
 */
uint64_t terrace_background_error_since_micros(const terrace_background_error_t *error);

/*
 * The message, malloc()ed and NUL-terminated, as an `*errptr` would have it; NULL for NULL.
 *
 * Requires: `error` is NULL or not destroyed.
 */
char *terrace_background_error_message(const terrace_background_error_t *error);

/*
 * The file or directory it is about, malloc()ed and NUL-terminated; NULL if it is not about one, or for NULL.
 *
 * Requires: `error` is NULL or not destroyed.
 */
char *terrace_background_error_path(const terrace_background_error_t *error);

/*
 * Tries at once, instead of at the next retry, what background work has failed at, and waits for the outcome. Succeeds where
 * nothing is wrong (any more); otherwise `*errptr` is what remains: the disk is still full, or only closing the database and
 * opening it again will help.
 *
 * Requires: `db` is NULL or open; `errptr` as in (3).
 */
void terrace_resume(leveldb_t *db,
                    char **errptr);

/*
 * Hands the value of a key to `found`, once, with `state`; the value is the database's and holds during the callback, which
 * must not call this library. Returns 1 if the key is there, 0 if it is not or on failure. That it is not there is no error.
 *
 * Requires: `db` is NULL or open; `options` is NULL or not destroyed; `key` has its length; `found` is NULL or returns normally; `errptr`
 * as in (3).
 */
uint8_t terrace_get_with(leveldb_t *db,
                         const leveldb_readoptions_t *options,
                         const char *key,
                         size_t keylen,
                         void *state,
                         void (*found)(void *state, const char *value, size_t length),
                         char **errptr);

/*
 * Writes a batch given by its representation: all of it or nothing. The representation is that of LevelDB's log: eight bytes
 * that are ignored, the number of entries (32 bits, little-endian), then for each entry a byte (1: put, 0: delete), the key, and
 * for a put the value, each after its length as a varint. What is none is refused as a Corruption,
 * what is longer than leveldb_writebatch_put() takes as an Invalid argument, and nothing is written.
 *
 * Requires: `db` is NULL or open; `options` is NULL or not destroyed; `rep` has its length; `errptr` as in (3).
 */
void terrace_write_rep(leveldb_t *db,
                       const leveldb_writeoptions_t *options,
                       const char *rep,
                       size_t rep_len,
                       char **errptr);

/*
 * Moves an iterator (`movement` is a value of `terrace_iter_move_t`) and tells where it then stands: what takes four calls
 * otherwise. `key` counts for TERRACE_MOVE_SEEK only. Returns 1 and fills `*entry` if it stands on an entry; returns 0, and leaves
 * `*entry` alone, if it has come to an end or failed: see leveldb_iter_get_error().
 *
 * Requires: `iter` is NULL or an iterator that no other call uses now; `key` has its length; `entry` is NULL or writable.
 */
uint8_t terrace_iter_move(leveldb_iterator_t *iter,
                          int movement,
                          const char *key,
                          size_t key_len,
                          terrace_entry_t *entry);

/*
 * Starts a table, written by `append` and `flush`, which get `state`. They return TERRACE_OK, or another value of `terrace_error_t`
 * and, in `*message`, a malloc()ed and NUL-terminated message, which the library frees. The file begins empty, and is the
 * caller's to sync and to close.
 *
 * Of the options those of tables count: comparator, filter policy, block size, restart interval and compression. The table is
 * as LevelDB writes it. Destroy the builder with terrace_tablebuilder_destroy(), before what is set in the options. NULL on
 * failure.
 *
 * Requires: `options` is NULL or not destroyed, and what was set in it is not destroyed; the callbacks are NULL (which fails) or as above, as
 * long as the builder lives; `errptr` as in (3).
 */
terrace_tablebuilder_t *terrace_tablebuilder_create(const leveldb_options_t *options,
                                                    void *state,
                                                    int (*append)(void *state,
                                                                  const char *data,
                                                                  size_t length,
                                                                  char **message),
                                                    int (*flush)(void *state, char **message),
                                                    char **errptr);

/*
 * Adds an entry, whose key must be behind all before. A failure stays: all later calls fail with it.
 *
 * Requires: `builder` is NULL or a builder that no other call uses now; key and value have their lengths; `errptr` as in (3).
 */
void terrace_tablebuilder_add(terrace_tablebuilder_t *builder,
                              const char *key,
                              size_t key_len,
                              const char *value,
                              size_t value_len,
                              char **errptr);

/*
 * Ends the block: the next entry begins another one.
 *
 * Requires: `builder` is NULL or a builder that no other call uses now; `errptr` as in (3).
 */
void terrace_tablebuilder_flush(terrace_tablebuilder_t *builder, char **errptr);

/*
 * Takes block size, restart interval and compression from other options. Another comparator is refused.
 *
 * Requires: `builder` is NULL or a builder that no other call uses now; `options` is NULL or not destroyed; `errptr` as in (3).
 */
void terrace_tablebuilder_change_options(terrace_tablebuilder_t *builder,
                                         const leveldb_options_t *options,
                                         char **errptr);

/*
 * Writes the rest of the table.
 *
 * Requires: `builder` is NULL or a builder that no other call uses now; `errptr` as in (3).
 */
void terrace_tablebuilder_finish(terrace_tablebuilder_t *builder, char **errptr);

/*
 * Reports what has gone wrong, if something has.
 *
 * Requires: `builder` is NULL or a builder that nobody changes now; `errptr` as in (3).
 */
void terrace_tablebuilder_get_error(const terrace_tablebuilder_t *builder, char **errptr);

/*
 * How many entries were added; 0 for NULL.
 *
 * Requires: `builder` is NULL or a builder that nobody changes now.
 */
uint64_t terrace_tablebuilder_num_entries(const terrace_tablebuilder_t *builder);

/*
 * How many bytes were written; after a success of terrace_tablebuilder_finish(), the size of the table. 0 for NULL.
 *
 * Requires: `builder` is NULL or a builder that nobody changes now.
 */
uint64_t terrace_tablebuilder_file_size(const terrace_tablebuilder_t *builder);

/*
 * Destroys a builder; a table that was not finished is none. NULL is fine.
 *
 * Requires: `builder` is NULL or not used afterwards.
 */
void terrace_tablebuilder_destroy(terrace_tablebuilder_t *builder);

/*
 * Opens the table in the first `file_size` bytes of a file, which is read by `read` with `state`: up to `length` bytes from
 * `offset`, `*read` says how many, 0 at the end of the file. It returns as the callbacks of terrace_tablebuilder_create() do, and is
 * called on any thread, also at once.
 *
 * Of the options comparator, block cache and paranoid checks count. Destroy the table with terrace_table_destroy(). NULL on failure.
 *
 * Requires: `options` is NULL or not destroyed, and what was set in it is not destroyed; `read` is NULL (which fails) or as above, as long as
 * the table and its iterators live; `errptr` as in (3).
 */
terrace_table_t *terrace_table_open(const leveldb_options_t *options,
                                    void *state,
                                    int (*read)(void *state,
                                                uint64_t offset,
                                                char *buffer,
                                                size_t length,
                                                size_t *read,
                                                char **message),
                                    uint64_t file_size,
                                    char **errptr);

/*
 * Closes a table; its iterators may outlive it. NULL is fine.
 *
 * Requires: `table` is NULL or not used afterwards.
 */
void terrace_table_destroy(terrace_table_t *table);

/*
 * About where in the file the entry at or after `key` lies; 0 for a NULL `table`.
 *
 * Requires: `table` is NULL or not destroyed; `key` has its length.
 */
uint64_t terrace_table_approximate_offset_of(const terrace_table_t *table,
                                             const char *key,
                                             size_t key_len);

/*
 * Creates an iterator over a table, which stands on no entry yet. Of the options, the snapshot does not count. Destroy it with
 * terrace_table_iterator_destroy(). NULL on failure.
 *
 * Requires: `table` is NULL or not destroyed; `options` is NULL or not destroyed; `errptr` as in (3).
 */
terrace_table_iterator_t *terrace_table_create_iterator(const terrace_table_t *table,
                                                        const leveldb_readoptions_t *options,
                                                        char **errptr);

/*
 * Moves an iterator over a table, as terrace_iter_move() does one over a database.
 *
 * Requires: `iter` is NULL or an iterator that no other call uses now; `key` has its length; `entry` is NULL or writable.
 */
uint8_t terrace_table_iterator_move(terrace_table_iterator_t *iter,
                                    int movement,
                                    const char *key,
                                    size_t key_len,
                                    terrace_entry_t *entry);

/*
 * Reports the first error since the last seek, if there is one.
 *
 * Requires: `iter` is NULL or an iterator that no other call moves now; `errptr` as in (3).
 */
void terrace_table_iterator_get_error(const terrace_table_iterator_t *iter, char **errptr);

/*
 * Destroys an iterator over a table. NULL is fine.
 *
 * Requires: `iter` is NULL or not used afterwards.
 */
void terrace_table_iterator_destroy(terrace_table_iterator_t *iter);

/*
 * Hands a file of a database (a log, a MANIFEST or a table, by its name) to `line` as text, item by item, each with its line feed and
 * not NUL-terminated, in the form of LevelDB's DumpFile. `line` gets `state`; it returns TERRACE_OK to go on, or another value of
 * `terrace_error_t` and, in `*message`, a malloc()ed and NUL-terminated message, which the library frees: the call then fails with it.
 *
 * Requires: `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `line` is NULL (which fails) or as above;
 * `errptr` as in (3).
 */
void terrace_dump_file(const leveldb_env_t *env,
                       const char *path,
                       void *state,
                       int (*line)(void *state, const char *text, size_t length, char **message),
                       char **errptr);

/*
 * Returns the function of LevelDB's interface that is called `name` ("leveldb_open", say), as this library has it: also in a
 * process that has loaded another library with functions of these names, where a call by name goes to whichever was loaded
 * first. To be cast to the type of its declaration in leveldb/c.h. NULL for a name that is none of those, or NULL.
 *
 * Requires: `name` is NULL or NUL-terminated.
 */
const void *terrace_leveldb_function(const char *name);

/*
 * The version of this library, `"0.1.0"`; not to be freed.
 */
const char *terrace_version(void);

/*
 * The version of this library as a number: major * 10000 + minor * 100 + patch.
 */
int terrace_version_number(void);

#ifdef __cplusplus
}  /* extern "C" */
#endif  /* __cplusplus */

#endif  /* TERRACE_H_ */
