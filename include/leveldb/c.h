/*
 * The C interface of an embedded, ordered key-value store, as LevelDB 1.23 defines it: the same functions,
 * the same types, the same ownership rules. Functions that LevelDB does not have are declared in
 * `terrace.h`. They take the same handles, and their names start with `terrace_`.
 *
 * Conventions that hold for every function:
 *
 * (1) Handles are pointers to types whose contents are private. The caller destroys each handle that it
 *     created, once, with the destroy function of its type. Destroying NULL does nothing. A handle passed to
 *     a `set_` function still belongs to the caller.
 *
 * (2) Keys, values and ranges are passed as a pointer and a length in bytes. They may contain any byte and
 *     are not NUL-terminated. The call copies them before it returns. A NULL pointer with length 0 is an
 *     empty string. A key and its value have at most 4 GiB less 64 KiB together; a longer one is refused
 *     without being read.
 *
 * (3) A function that can fail has `errptr` as its last parameter. The caller sets `*errptr` to NULL or to a
 *     malloc()ed message. Success does not change `*errptr`, so an older message stays until the caller
 *     frees it. Failure frees the old message and replaces it by a new malloc()ed one. `errptr` may be NULL:
 *     only `terrace_last_error_code()` then reports the failure. A message starts with its kind:
 *     `NotFound: `, `Corruption: `, `Not implemented: `, `Invalid argument: ` or `IO error: `.
 *
 * (4) Memory that a function returns as malloc()ed belongs to the caller, who frees it with `leveldb_free()`
 *     or `free()`.
 *
 * (5) Booleans are `uint8_t`: 0 is false, any other value is true.
 *
 * (6) A NULL handle is refused and never dereferenced: functions with `errptr` fail with `Invalid argument`,
 *     other functions do nothing and return 0 or NULL. NULL options are the default options.
 *
 * (7) Any number of threads may use a database, a snapshot, a cache, an environment, a comparator and a
 *     filter policy at the same time. An iterator, a write batch and an options handle may be passed from
 *     thread to thread, but only calls that take them as `const` may run at the same time.
 *
 * (8) Callbacks (comparators, filter policies, loggers) run on the caller's threads and on background
 *     threads, several at the same time. They return normally: no exception, no longjmp(). A comparator may
 *     read the database that it orders; any other call on that database fails. A filter policy or a logger
 *     makes no call on the database that uses it.
 *
 * (9) A database belongs to the process that opened it. In a child made by fork(), calls on the parent's
 *     databases, iterators and snapshots fail with an `IO error` that says so; closing and destroying them
 *     in the child does not affect the parent. The child may open other databases, unless other threads of
 *     the parent were inside a call of this library when it forked: then the child should do no more than
 *     exec().
 */

#ifndef STORAGE_LEVELDB_INCLUDE_C_H_
#define STORAGE_LEVELDB_INCLUDE_C_H_

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* For leveldb_options_set_compression(). */
enum { leveldb_no_compression = 0, leveldb_snappy_compression = 1 };

/*
 * A cache of uncompressed blocks; see leveldb_cache_create_lru().
 */
typedef struct leveldb_cache_t leveldb_cache_t;

/*
 * An order of keys; see leveldb_comparator_create().
 */
typedef struct leveldb_comparator_t leveldb_comparator_t;

/*
 * The operating system as the database sees it: files, locks, clock, threads. See
 * leveldb_create_default_env().
 */
typedef struct leveldb_env_t leveldb_env_t;

/*
 * A locked file; see terrace_env_lock_file().
 */
typedef struct leveldb_filelock_t leveldb_filelock_t;

/*
 * Filters that save table reads; see leveldb_filterpolicy_create_bloom() and leveldb_filterpolicy_create().
 */
typedef struct leveldb_filterpolicy_t leveldb_filterpolicy_t;

/*
 * A position in the entries of a database; see leveldb_create_iterator().
 */
typedef struct leveldb_iterator_t leveldb_iterator_t;

/*
 * The receiver of the info log; see terrace_logger_create().
 */
typedef struct leveldb_logger_t leveldb_logger_t;

/*
 * How a database is opened; see leveldb_options_create().
 */
typedef struct leveldb_options_t leveldb_options_t;

/*
 * A file that is read at any offset; see terrace_env_new_random_access_file().
 */
typedef struct leveldb_randomfile_t leveldb_randomfile_t;

/*
 * The options of one read; see leveldb_readoptions_create().
 */
typedef struct leveldb_readoptions_t leveldb_readoptions_t;

/*
 * A file that is read from its beginning; see terrace_env_new_sequential_file().
 */
typedef struct leveldb_seqfile_t leveldb_seqfile_t;

/*
 * A state of the database that stays readable; see leveldb_create_snapshot().
 */
typedef struct leveldb_snapshot_t leveldb_snapshot_t;

/*
 * An open database; see leveldb_open().
 */
typedef struct leveldb_t leveldb_t;

/*
 * A file that is written; see terrace_env_new_writable_file().
 */
typedef struct leveldb_writablefile_t leveldb_writablefile_t;

/*
 * Puts and deletes that are written atomically; see leveldb_writebatch_create().
 */
typedef struct leveldb_writebatch_t leveldb_writebatch_t;

/*
 * The options of one write; see leveldb_writeoptions_create().
 */
typedef struct leveldb_writeoptions_t leveldb_writeoptions_t;

#ifdef __cplusplus
extern "C" {
#endif /* __cplusplus */

/*
 * Opens the database in the directory `name`. LevelDB may have written it, and may open it afterwards. The
 * options are copied, so they may be destroyed as soon as the call returns.
 *
 * Returns NULL on failure. A database is open at most once at a time: a second open, by another process or
 * by the same one, fails with an IO error that names the lock file. Of a missing path `name`, only the last
 * directory is created. Close the database with leveldb_close().
 *
 * Requires: `options` is NULL or not destroyed, and what was set in it is not destroyed; `name` is NULL or
 * NUL-terminated; `errptr` as in (3).
 */
leveldb_t *leveldb_open(const leveldb_options_t *options,
                        const char *name,
                        char **errptr);

/*
 * Closes a database: waits for background work and releases the lock. When the last database of the process
 * is closed, the background threads have ended and are joined, so that the library may be unloaded.
 *
 * Iterators and snapshots may outlive the database and are destroyed as usual. An iterator that is moved
 * after the close becomes invalid, with an error. `terrace_last_error_code()` reports a failure;
 * terrace_close() has an errptr.
 *
 * Requires: `db` is NULL or an open database that no other call uses now or later.
 */
void leveldb_close(leveldb_t *db);

/*
 * Sets a key to a value.
 *
 * Requires: `db` is NULL or open; `options` is NULL or not destroyed; `key` and `val` have their lengths; `errptr` as
 * in (3).
 */
void leveldb_put(leveldb_t *db,
                 const leveldb_writeoptions_t *options,
                 const char *key,
                 size_t keylen,
                 const char *val,
                 size_t vallen,
                 char **errptr);

/*
 * Deletes a key. Deleting an absent key succeeds.
 *
 * Requires: `db` is NULL or open; `options` is NULL or not destroyed; `key` has its length; `errptr` as in (3).
 */
void leveldb_delete(leveldb_t *db,
                    const leveldb_writeoptions_t *options,
                    const char *key,
                    size_t keylen,
                    char **errptr);

/*
 * Writes a batch atomically: all of it or nothing. The batch is not changed and may be written again. If an
 * entry was refused when it was added, for example by leveldb_writebatch_put(), this call reports the error
 * and writes nothing.
 *
 * A NULL batch starts a new memtable and a new WAL, and flushes the old memtable in the background.
 *
 * Requires: `db` is NULL or open; `options` is NULL or not destroyed; `batch` is NULL or not destroyed, and nobody
 * changes it now; `errptr` as in (3).
 */
void leveldb_write(leveldb_t *db,
                   const leveldb_writeoptions_t *options,
                   leveldb_writebatch_t *batch,
                   char **errptr);

/*
 * Returns the value of a key, malloc()ed and not NUL-terminated, and puts its length in bytes into
 * `*vallen`. An empty value is not NULL. An absent key is not an error: NULL is returned, `*vallen` is 0,
 * and `*errptr` is unchanged.
 *
 * Requires: `db` is NULL or open; `options` is NULL or not destroyed; `key` has its length; `vallen` is NULL or
 * writable; `errptr` as in (3).
 */
char *leveldb_get(leveldb_t *db,
                  const leveldb_readoptions_t *options,
                  const char *key,
                  size_t keylen,
                  size_t *vallen,
                  char **errptr);

/*
 * Returns a property of the database, malloc()ed and NUL-terminated, or NULL for an unknown name:
 *
 * `leveldb.num-files-at-level<N>`: the number of table files at level N, from 0 to 6
 *
 * `leveldb.stats`: a table of the levels and their compactions, as text for people
 *
 * `leveldb.sstables`: the table files of each level, with their key ranges
 *
 * `leveldb.approximate-memory-usage`: bytes of memory in use
 *
 * `terrace.open-tables`: the number of tables whose index and filters are in memory
 *
 * `terrace.table-metadata-bytes`: the bytes of memory that these take, see
 * `terrace_options_set_table_metadata_budget`
 *
 * `terrace.table-descriptors`: the number of file descriptors through which tables are read; a mapped table
 * needs none
 *
 * `terrace.table-openings`: how often a table was opened and its index parsed since the database was opened
 *
 * `terrace.background-error`: the message of the worst current failure of background work or writes; empty
 * if there is none (terrace_background_error() has the details)
 *
 * `terrace.recovery-damage`: one line for each part of a WAL that the last open could not replay; empty if
 * there is none
 *
 * `terrace.entries-stepped-over`: the number of deleted and overwritten entries that iterators have skipped
 * when moving forward, without the first few of each move
 *
 * Requires: `db` is NULL or open; `propname` is NULL or NUL-terminated.
 */
char *leveldb_property_value(leveldb_t *db,
                             const char *propname);

/*
 * Puts into `sizes[i]` about how many bytes the keys from `range_start_key[i]` (included) to
 * `range_limit_key[i]` (excluded) take. Counted are table files, and memtables that wait for a flush (full
 * ones, and those recovered from the WAL at open), uncompressed. The active memtable does not count, as in
 * LevelDB. All sizes are 0 on failure.
 *
 * Requires: `db` is NULL or open; each array is NULL or has `num_ranges` elements; the keys have their lengths.
 */
void leveldb_approximate_sizes(leveldb_t *db,
                               int num_ranges,
                               const char *const *range_start_key,
                               const size_t *range_start_key_len,
                               const char *const *range_limit_key,
                               const size_t *range_limit_key_len,
                               uint64_t *sizes);

/*
 * Compacts the keys from `start_key` to `limit_key`, both included: removes deleted and overwritten entries,
 * and moves the remaining ones to the deepest level possible. Returns when the compaction is done. A NULL
 * key is no bound (a key of length 0 that is not NULL is the empty key); a start after the limit is an empty
 * range. `terrace_last_error_code()` reports a failure; terrace_compact_range() has an errptr.
 *
 * Requires: `db` is NULL or open; the keys have their lengths.
 */
void leveldb_compact_range(leveldb_t *db,
                           const char *start_key,
                           size_t start_key_len,
                           const char *limit_key,
                           size_t limit_key_len);

/*
 * Removes the database in the directory `name`: the files with names of database files, then the directory
 * if it is empty. A missing directory is not an error. An open database is refused. Only the environment of
 * the options is used.
 *
 * Requires: `options` is NULL or not destroyed; `name` is NULL or NUL-terminated; `errptr` as in (3).
 */
void leveldb_destroy_db(const leveldb_options_t *options,
                        const char *name,
                        char **errptr);

/*
 * Repairs a database that cannot be opened any more, keeping all entries that can be read. Some data may be
 * lost, and a deleted key may reappear if its tombstone or the MANIFEST is lost. A missing directory becomes
 * an empty database, as in LevelDB. Files that the repaired database does not use are moved to the directory
 * `lost`, where no file is overwritten.
 *
 * Fails with `Not implemented`, and changes nothing, if a table cannot be understood: it is in RocksDB's
 * format, or has a block of correct checksum whose compression is unknown or not compiled into this library.
 *
 * Requires: `options` is NULL or not destroyed, and what was set in it is not destroyed; `name` is NULL or
 * NUL-terminated; `errptr` as in (3).
 */
void leveldb_repair_db(const leveldb_options_t *options,
                       const char *name,
                       char **errptr);

/*
 * Creates an iterator over the current state of the database, or over the snapshot of the options. Later
 * writes are not visible to it. The iterator is invalid until it is positioned. The options are copied.
 *
 * Destroy it with leveldb_iter_destroy(), preferably before the database is closed. Returns NULL only if
 * `db` is NULL or an internal error occurs.
 *
 * Requires: `db` is NULL or open; `options` is NULL or not destroyed, its snapshot not released.
 */
leveldb_iterator_t *leveldb_create_iterator(leveldb_t *db,
                                            const leveldb_readoptions_t *options);

/*
 * Destroys an iterator. Its database may have been closed before.
 *
 * Requires: `iter` is NULL or an iterator that is not used afterwards.
 */
void leveldb_iter_destroy(leveldb_iterator_t *iter);

/*
 * Returns 1 if the iterator stands on an entry, else 0: it is not positioned, has passed the end, or has
 * failed, see leveldb_iter_get_error().
 *
 * Requires: `iter` is NULL or an iterator that no other call moves now.
 */
uint8_t leveldb_iter_valid(const leveldb_iterator_t *iter);

/*
 * Moves to the first key.
 *
 * Requires: `iter` is NULL or an iterator that no other call uses now.
 */
void leveldb_iter_seek_to_first(leveldb_iterator_t *iter);

/*
 * Moves to the last key.
 *
 * Requires: `iter` is NULL or an iterator that no other call uses now.
 */
void leveldb_iter_seek_to_last(leveldb_iterator_t *iter);

/*
 * Moves to the first key at or after `k`.
 *
 * Requires: `iter` is NULL or an iterator that no other call uses now; `k` has its length.
 */
void leveldb_iter_seek(leveldb_iterator_t *iter, const char *k, size_t klen);

/*
 * Moves to the next key. After the last key, the iterator is invalid. An invalid iterator does not move.
 *
 * Requires: `iter` is NULL or an iterator that no other call uses now.
 */
void leveldb_iter_next(leveldb_iterator_t *iter);

/*
 * Moves to the previous key. Before the first key, the iterator is invalid. An invalid iterator does not
 * move.
 *
 * Requires: `iter` is NULL or an iterator that no other call uses now.
 */
void leveldb_iter_prev(leveldb_iterator_t *iter);

/*
 * Returns the key of the current entry and puts its length in bytes into `*klen`. The key belongs to the
 * iterator and is valid until the iterator is moved or destroyed. It is never NULL while the iterator is
 * valid. The result is NULL, and the length 0, if the iterator is invalid.
 *
 * Requires: `iter` is NULL or an iterator that no other call moves now; `klen` is NULL or writable.
 */
const char *leveldb_iter_key(const leveldb_iterator_t *iter,
                             size_t *klen);

/*
 * Returns the value of the current entry and puts its length in bytes into `*vlen`. The value belongs to the
 * iterator and is valid until the iterator is moved or destroyed. It is never NULL while the iterator is
 * valid. The result is NULL, and the length 0, if the iterator is invalid.
 *
 * Requires: `iter` is NULL or an iterator that no other call moves now; `vlen` is NULL or writable.
 */
const char *leveldb_iter_value(const leveldb_iterator_t *iter,
                               size_t *vlen);

/*
 * Reports the first error since the last seek, if there is one. Call it when an iterator has become invalid:
 * only this distinguishes a complete scan from an incomplete one.
 *
 * At an I/O error, and with paranoid checks at damage too, an iterator becomes invalid where it fails.
 * Without paranoid checks it skips damaged blocks and continues, as LevelDB's iterator does. It may then be
 * valid although this function reports an error, and may show an older value of a key whose newest value was
 * in the damaged block.
 *
 * Requires: `iter` is NULL or an iterator that no other call moves now; `errptr` as in (3).
 */
void leveldb_iter_get_error(const leveldb_iterator_t *iter,
                            char **errptr);

/*
 * Creates a snapshot: keeps the current state of the database readable through
 * leveldb_readoptions_set_snapshot(), until leveldb_release_snapshot(). An iterator created at a snapshot
 * may outlive it. Returns NULL only if `db` is NULL, if an internal error occurs, or if the parent of this
 * process opened the database.
 *
 * Requires: `db` is NULL or an open database.
 */
const leveldb_snapshot_t *leveldb_create_snapshot(leveldb_t *db);

/*
 * Releases a snapshot. `db` is ignored, so the database may have been closed before. Read options that use
 * the snapshot read the latest state from now on. Using or releasing the handle once more is harmless until
 * it is reused for another snapshot, which happens after 256 later releases at the earliest.
 *
 * Requires: `snapshot` is NULL or came from leveldb_create_snapshot().
 */
void leveldb_release_snapshot(leveldb_t *db,
                              const leveldb_snapshot_t *snapshot);

/*
 * Creates an empty batch. Destroy it with leveldb_writebatch_destroy().
 */
leveldb_writebatch_t *leveldb_writebatch_create(void);

/*
 * Destroys a batch.
 *
 * Requires: `batch` is NULL or a batch that is not used afterwards.
 */
void leveldb_writebatch_destroy(leveldb_writebatch_t *batch);

/*
 * Removes all entries, and the error of a refused entry. The batch can then be filled again.
 *
 * Requires: `batch` is NULL or a batch that no other call uses now.
 */
void leveldb_writebatch_clear(leveldb_writebatch_t *batch);

/*
 * Adds a put of a value at a key. An entry is refused if its key and value have more than 4 GiB less 64 KiB
 * together, if the whole batch would have more than that, or if one of them is NULL with a length other
 * than 0. The batch keeps the error of a refused entry, and leveldb_write() reports it.
 *
 * Requires: `batch` is NULL or a batch that no other call uses now; `key` and `val` have their lengths.
 */
void leveldb_writebatch_put(leveldb_writebatch_t *batch,
                            const char *key,
                            size_t klen,
                            const char *val,
                            size_t vlen);

/*
 * Adds the deletion of a key. An entry is refused as by leveldb_writebatch_put(), and leveldb_write()
 * reports the error.
 *
 * Requires: `batch` is NULL or a batch that no other call uses now; `key` has its length.
 */
void leveldb_writebatch_delete(leveldb_writebatch_t *batch,
                               const char *key,
                               size_t klen);

/*
 * Calls `put` or `deleted` with `state` for each entry of a batch, in order. The keys and values belong to
 * the batch and are valid during the callback, which must not change the batch. A NULL callback is not
 * called.
 *
 * Requires: `batch` is NULL or a batch that nobody changes now; the callbacks are NULL or as in (8).
 */
void leveldb_writebatch_iterate(const leveldb_writebatch_t *batch,
                                void *state,
                                void (*put)(void *state,
                                            const char *k,
                                            size_t klen,
                                            const char *v,
                                            size_t vlen),
                                void (*deleted)(void *state, const char *k, size_t klen));

/*
 * Appends the entries of `source` to those of `destination`. Both may be the same batch.
 *
 * Requires: `destination` is NULL or a batch that no other call uses now; `source` is NULL or a batch that nobody
 * changes now.
 */
void leveldb_writebatch_append(leveldb_writebatch_t *destination,
                               const leveldb_writebatch_t *source);

/*
 * Creates options with LevelDB's defaults. Destroy them with leveldb_options_destroy(). Opening a database
 * copies them. Values that are out of range are clipped when a database is opened.
 */
leveldb_options_t *leveldb_options_create(void);

/*
 * Destroys options.
 *
 * Requires: `options` is NULL or options that nobody uses any more.
 */
void leveldb_options_destroy(leveldb_options_t *options);

/*
 * The order of keys. NULL, the default, is the order of their bytes. The comparator must not be destroyed
 * before the options are used.
 *
 * Requires: `options` is NULL or options that no other call uses now; `comparator` is NULL or not destroyed.
 */
void leveldb_options_set_comparator(leveldb_options_t *options,
                                    leveldb_comparator_t *comparator);

/*
 * The filter policy, which saves table reads. NULL, the default, is none.
 *
 * Requires: `options` is NULL or options that no other call uses now; `policy` is NULL or not destroyed.
 */
void leveldb_options_set_filter_policy(leveldb_options_t *options, leveldb_filterpolicy_t *policy);

/*
 * Create the database if it is missing. Default: no.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void leveldb_options_set_create_if_missing(leveldb_options_t *options, uint8_t create_if_missing);

/*
 * Refuse to open a database that exists. Default: no.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void leveldb_options_set_error_if_exists(leveldb_options_t *options, uint8_t error_if_exists);

/*
 * Stop at the first damaged record or block instead of skipping it. Default: no.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void leveldb_options_set_paranoid_checks(leveldb_options_t *options, uint8_t paranoid_checks);

/*
 * The environment: files, locks, clock. NULL, the default, is the environment of
 * leveldb_create_default_env().
 *
 * Requires: `options` is NULL or options that no other call uses now; `env` is NULL or not destroyed.
 */
void leveldb_options_set_env(leveldb_options_t *options, leveldb_env_t *env);

/*
 * The receiver of the info log: what the database does, as lines for people. NULL, the default, is the file
 * LOG in the directory of the database. LevelDB's C interface has no function that creates a logger;
 * terrace_logger_create() does.
 *
 * Requires: `options` is NULL or options that no other call uses now; `logger` is NULL or not destroyed.
 */
void leveldb_options_set_info_log(leveldb_options_t *options,
                                  leveldb_logger_t *logger);

/*
 * Size of a memtable, in bytes, at which it is flushed to a table; from 64 KiB to 1 GiB. Default: 4 MiB.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void leveldb_options_set_write_buffer_size(leveldb_options_t *options,
                                           size_t write_buffer_size);

/*
 * Number of file descriptors that the database may keep open; from 74 to 50000. A table that is read through
 * a mapping holds none. The descriptor of another table is closed when the limit is reached, and opened
 * again when the table is read. All databases of a process together hold at most half of its RLIMIT_NOFILE
 * for tables, and fewer while the process is short of descriptors. The memory for indexes and filters of
 * open tables has a limit of its own, see `terrace_options_set_table_metadata_budget`. Default: 1000.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void leveldb_options_set_max_open_files(leveldb_options_t *options,
                                        int max_open_files);

/*
 * The cache of uncompressed blocks, which databases may share. NULL, the default, gives the database a cache
 * of 8 MiB of its own.
 *
 * Requires: `options` is NULL or options that no other call uses now; `cache` is NULL or not destroyed.
 */
void leveldb_options_set_cache(leveldb_options_t *options,
                               leveldb_cache_t *cache);

/*
 * Size of a block of keys and values, in bytes before compression; from 1 KiB to 4 MiB. Default: 4 KiB.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void leveldb_options_set_block_size(leveldb_options_t *options,
                                    size_t block_size);

/*
 * Number of entries from one restart point of a block (a key that is stored whole) to the next; at least 1.
 * Default: 16.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void leveldb_options_set_block_restart_interval(leveldb_options_t *options,
                                                int block_restart_interval);

/*
 * Size of an output table, in bytes, at which a compaction starts the next one; from 1 MiB to 1 GiB.
 * Default: 2 MiB.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void leveldb_options_set_max_file_size(leveldb_options_t *options,
                                       size_t max_file_size);

/*
 * How blocks of new tables are compressed. leveldb_snappy_compression, the default; 2 for zstd at level 1,
 * which LevelDB's main branch can read but LevelDB 1.23 cannot; any other value for none. The setting does
 * not affect reading: each block names its compression.
 *
 * With leveldb_snappy_compression, new tables use zlib or raw deflate if the directory has tables that use
 * it: then it is a Minecraft world, and the game cannot read snappy. For other compressions, and for levels,
 * see terrace_options_set_compression().
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void leveldb_options_set_compression(leveldb_options_t *options,
                                     int compression);

/*
 * Creates an order of keys from callbacks, each of which gets `state`.
 *
 * `compare` returns a negative number, 0, or a positive number; only the sign counts. The order must be
 * total, and must never change for a database. Opening, reading and writing compare on the caller's thread,
 * compactions compare on background threads, at the same time. Keys are compared whole and never shortened
 * (terrace_comparator_create() takes callbacks that shorten keys).
 *
 * `name` is stored with a database; opening the database with a comparator of another name is refused.
 * `name` is called when a database is opened, and its result is copied at once.
 *
 * `destructor` is called once, when the comparator is destroyed and nothing uses it any more: inside
 * leveldb_comparator_destroy() if no database uses it, else when the last database that uses it is closed
 * and the last iterator of that database is destroyed. It may be NULL.
 *
 * Requires: The callbacks are NULL (without `compare` or `name` no database opens) or as in (8), as long as databases
 * use the comparator; what `name` returns is NULL or NUL-terminated.
 */
leveldb_comparator_t *leveldb_comparator_create(void *state,
                                                void (*destructor)(void *state),
                                                int (*compare)(void *state,
                                                               const char *a,
                                                               size_t alen,
                                                               const char *b,
                                                               size_t blen),
                                                const char *(*name)(void *state));

/*
 * Destroys the handle of a comparator. Databases that use the comparator continue to call it until they are
 * closed, so it is best to close them first.
 *
 * Requires: `comparator` is NULL or a comparator whose handle is not used afterwards.
 */
void leveldb_comparator_destroy(leveldb_comparator_t *comparator);

/*
 * Creates a filter policy from callbacks, each of which gets `state`. They are called on any thread, several
 * at the same time.
 *
 * `create_filter` gets the keys of a block, in order and possibly with repetitions. It returns a malloc()ed
 * filter and puts its length in bytes into `*filter_length`; the library frees the filter with free().
 *
 * `key_may_match` gets a key and such a filter. It must return 1 if the filter was made from that key; if it
 * returns 0, the block is not read.
 *
 * `name` is stored in every table; a filter is only passed to the policy of the same name. The result of
 * `name` is copied at once.
 *
 * `destructor` is called once, by leveldb_filterpolicy_destroy(). It may be NULL.
 *
 * Requires: The callbacks are NULL (which makes no filters) or as in (8), until leveldb_filterpolicy_destroy()
 * returns; the result of `create_filter` is NULL, or malloc()ed and as long as it says; the result of `name`
 * is NULL or NUL-terminated.
 */
leveldb_filterpolicy_t *leveldb_filterpolicy_create(void *state,
                                                    void (*destructor)(void *state),
                                                    char *(*create_filter)(void *state,
                                                                           const char *const *key_array,
                                                                           const size_t *key_length_array,
                                                                           int num_keys,
                                                                           size_t *filter_length),
                                                    uint8_t (*key_may_match)(void *state,
                                                                             const char *key,
                                                                             size_t length,
                                                                             const char *filter,
                                                                             size_t filter_length),
                                                    const char *(*name)(void *state));

/*
 * Destroys a filter policy. When the call returns, none of its callbacks runs any more, and the destructor
 * has run. Databases that still use the policy continue without filters; databases that use the bloom filter
 * continue to use it. Must not be called from a callback of the policy.
 *
 * Requires: `policy` is NULL or a policy whose handle is not used afterwards.
 */
void leveldb_filterpolicy_destroy(leveldb_filterpolicy_t *policy);

/*
 * Creates LevelDB's bloom filter policy with about `bits_per_key` bits per key. With 10, about 1% of the
 * look-ups of absent keys read a block. A value above 100 counts as 100, a negative one as 0; a filter has
 * at least 64 bits. Not to be used with a comparator under which different keys can be equal.
 */
leveldb_filterpolicy_t *leveldb_filterpolicy_create_bloom(int bits_per_key);

/*
 * Creates read options with LevelDB's defaults: no verification, blocks are cached, the latest state is
 * read. Destroy them with leveldb_readoptions_destroy(). Every call copies the read options that it gets, so
 * they may be destroyed at any time.
 */
leveldb_readoptions_t *leveldb_readoptions_create(void);

/*
 * Destroys read options.
 *
 * Requires: `options` is NULL or options that nobody uses any more.
 */
void leveldb_readoptions_destroy(leveldb_readoptions_t *options);

/*
 * Verify the checksum of every block that is read, even if it was verified before. Default: no.
 *
 * Requires: `options` is NULL or read options that no other call uses now.
 */
void leveldb_readoptions_set_verify_checksums(leveldb_readoptions_t *options,
                                              uint8_t verify_checksums);

/*
 * Keep the blocks that are read in the block cache. Turn it off for scans over much data. Default: yes.
 *
 * Requires: `options` is NULL or read options that no other call uses now.
 */
void leveldb_readoptions_set_fill_cache(leveldb_readoptions_t *options,
                                        uint8_t fill_cache);

/*
 * Read the state of `snapshot`, which must belong to the database that is read. NULL, the default, reads the
 * latest state. So does a snapshot that was released, before or after this call.
 *
 * Requires: `options` is NULL or read options that no other call uses now; `snapshot` is NULL or came from
 * leveldb_create_snapshot().
 */
void leveldb_readoptions_set_snapshot(leveldb_readoptions_t *options,
                                      const leveldb_snapshot_t *snapshot);

/*
 * Creates write options with LevelDB's default: not synced. Destroy them with
 * leveldb_writeoptions_destroy().
 */
leveldb_writeoptions_t *leveldb_writeoptions_create(void);

/*
 * Destroys write options.
 *
 * Requires: `options` is NULL or options that nobody uses any more.
 */
void leveldb_writeoptions_destroy(leveldb_writeoptions_t *options);

/*
 * Return from a write only when it and every write before it survive a power loss. Without this, a write
 * that returned survives the death of the process, but not a crash of the machine. Default: no.
 *
 * Requires: `options` is NULL or write options that no other call uses now.
 */
void leveldb_writeoptions_set_sync(leveldb_writeoptions_t *options,
                                   uint8_t sync);

/*
 * Creates a cache for about `capacity` bytes of blocks; 0 caches nothing. Any number of databases may share
 * it. Blocks are evicted by S3-FIFO, not in strict LRU order. Destroy it with leveldb_cache_destroy();
 * databases and options that use it hold references of their own.
 */
leveldb_cache_t *leveldb_cache_create_lru(size_t capacity);

/*
 * Destroys the handle of a cache. Its memory is freed when the last database and the last options that use
 * it are gone.
 *
 * Requires: `cache` is NULL or a cache whose handle is not used afterwards.
 */
void leveldb_cache_destroy(leveldb_cache_t *cache);

/*
 * Returns a handle to the default environment: the real file system, clock and threads. Destroy it with
 * leveldb_env_destroy().
 */
leveldb_env_t *leveldb_create_default_env(void);

/*
 * Destroys a handle to an environment. The environment itself stays until its last user is gone.
 *
 * Requires: `env` is NULL or an environment whose handle is not used afterwards.
 */
void leveldb_env_destroy(leveldb_env_t *env);

/*
 * Returns the path of a directory for tests, malloc()ed and NUL-terminated: `$TEST_TMPDIR` if that is set,
 * else `/tmp/leveldbtest-<effective user id>`. The directory is created if possible. A NULL `env` is the
 * default environment. Returns NULL only if memory ran out.
 *
 * Requires: `env` is NULL or an environment that is not destroyed.
 */
char *leveldb_env_get_test_directory(leveldb_env_t *env);

/*
 * Frees memory that a function of this library returned as malloc()ed, and messages in `*errptr`. It calls
 * free() of the C library that this library is linked to. NULL is allowed.
 *
 * Requires: `ptr` is NULL or malloc()ed, and not used afterwards.
 */
void leveldb_free(void *ptr);

/*
 * The major version of LevelDB whose C interface this library implements: 1.
 */
int leveldb_major_version(void);

/*
 * The minor version of LevelDB whose C interface this library implements: 23.
 */
int leveldb_minor_version(void);

#ifdef __cplusplus
}  /* extern "C" */
#endif  /* __cplusplus */

#endif  /* STORAGE_LEVELDB_INCLUDE_C_H_ */
