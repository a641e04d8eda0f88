/*
 * The C interface of an embedded, ordered key-value store, as LevelDB 1.23 defines it: same functions, same types,
 * same ownership. What LevelDB does not have is in `terrace.h`, on the same handles, under names that start with
 * `terrace_`.
 *
 * Conventions that hold for every function:
 *
 * (1) Handles are pointers to types whose contents are private. The caller destroys what it created, each with the
 *     function made for it, once. Destroying NULL does nothing. Handles given to a `set_` function stay the caller's.
 *
 * (2) Keys, values and ranges are a pointer and a length in bytes; any byte may occur in them, and none follows them.
 *     They are copied before a call returns. A NULL pointer with length 0 is an empty string. A key and a
 *     value have at most 4 GiB less 64 KiB together; what is longer is refused without being read.
 *
 * (3) A function that can fail has `errptr` as its last parameter. `*errptr` is NULL or a malloc()ed message when it is
 *     called. Success leaves `*errptr` as it was, so a message stays until somebody frees it. Failure frees the old
 *     message and puts a new malloc()ed one in its place. `errptr` may be NULL: the failure is then only told by
 *     `terrace_last_error_code()`. A message starts with its kind: `NotFound: `, `Corruption: `,
 *     `Not implemented: `, `Invalid argument: ` or `IO error: `.
 *
 * (4) What is returned as malloc()ed is the caller's, who frees it with `leveldb_free()` or `free()`.
 *
 * (5) Booleans are `uint8_t`: 0 is false, anything else is true.
 *
 * (6) A NULL handle is refused, never read: functions with `errptr` fail with `Invalid argument`, others do nothing
 *     and return 0 or NULL. NULL options are the default options.
 *
 * (7) A database, a snapshot, a cache, an environment, a comparator and a filter policy may be used from any thread at
 *     once. An iterator, a write batch and an options handle may be handed from thread to thread, but only calls that
 *     take them as `const` may run at the same time.
 *
 * (8) Callbacks (comparators, filter policies, loggers) are called on the caller's threads and on background threads,
 *     also at once. They return normally: no exception, no longjmp(). A comparator may read the database that it orders;
 *     any other call on that database fails. A filter policy or a logger makes no call on the database that uses it.
 *
 * (9) A database belongs to the process that opened it. In a child made by fork(), calls on the databases, iterators and
 *     snapshots of the parent fail with an `IO error` that says so, closing and destroying them does nothing to the
 *     parent's. The child may open other databases, unless other threads of the parent were inside of calls when it forked:
 *     then it should do no more than exec().
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
 * The system underneath; see leveldb_create_default_env().
 */
typedef struct leveldb_env_t leveldb_env_t;

/*
 * A locked file; see terrace_env_lock_file().
 */
typedef struct leveldb_filelock_t leveldb_filelock_t;

/*
 * Filters that spare table reads; see leveldb_filterpolicy_create_bloom() and leveldb_filterpolicy_create().
 */
typedef struct leveldb_filterpolicy_t leveldb_filterpolicy_t;

/*
 * A position in the database; see leveldb_create_iterator().
 */
typedef struct leveldb_iterator_t leveldb_iterator_t;

/*
 * Where a database tells what it does; see terrace_logger_create().
 */
typedef struct leveldb_logger_t leveldb_logger_t;

/*
 * How a database is opened; see leveldb_options_create().
 */
typedef struct leveldb_options_t leveldb_options_t;

/*
 * A file that is read anywhere; see terrace_env_new_random_access_file().
 */
typedef struct leveldb_randomfile_t leveldb_randomfile_t;

/*
 * How one read reads; see leveldb_readoptions_create().
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
 * Puts and deletes that are written all or none; see leveldb_writebatch_create().
 */
typedef struct leveldb_writebatch_t leveldb_writebatch_t;

/*
 * How one write writes; see leveldb_writeoptions_create().
 */
typedef struct leveldb_writeoptions_t leveldb_writeoptions_t;

#ifdef __cplusplus
extern "C" {
#endif /* __cplusplus */

/*
 * Opens the database in the directory `name`, which LevelDB may have written and may open afterwards. The options are
 * copied, so they may be destroyed right away.
 *
 * Returns NULL on failure. One process opens a database at a time, once: another open, also of the same process, fails
 * with an IO error that names the lock file. Only the last directory of `name` is created. Close with leveldb_close().
 *
 * Requires: `options` is NULL or not destroyed, and what was set in it is not destroyed; `name` is NULL or NUL-terminated;
 * `errptr` as in (3).
 */
leveldb_t *leveldb_open(const leveldb_options_t *options,
                        const char *name,
                        char **errptr);

/*
 * Closes a database: waits for background work, ends its threads, releases the lock.
 *
 * Iterators and snapshots may outlive it: they are destroyed as usual, and an iterator that is moved afterwards becomes
 * invalid, with an error. A failure is told by `terrace_last_error_code()`; terrace_close() has an errptr.
 *
 * Requires: `db` is NULL or an open database that no other call uses now or later.
 */
void leveldb_close(leveldb_t *db);

/*
 * Sets a key to a value.
 *
 * Requires: `db` is NULL or open; `options` is NULL or not destroyed; `key` and `val` have their lengths; `errptr` as in (3).
 */
void leveldb_put(leveldb_t *db,
                 const leveldb_writeoptions_t *options,
                 const char *key,
                 size_t keylen,
                 const char *val,
                 size_t vallen,
                 char **errptr);

/*
 * Deletes a key. That it is not there is no error.
 *
 * Requires: `db` is NULL or open; `options` is NULL or not destroyed; `key` has its length; `errptr` as in (3).
 */
void leveldb_delete(leveldb_t *db,
                    const leveldb_writeoptions_t *options,
                    const char *key,
                    size_t keylen,
                    char **errptr);

/*
 * Writes a batch: all of it or nothing. The batch stays as it is and may be written again. What leveldb_writebatch_put()
 * could not take is reported here, and nothing is written.
 *
 * A NULL batch starts a new memtable and a new log, and flushes the old memtable in the background.
 *
 * Requires: `db` is NULL or open; `options` is NULL or not destroyed; `batch` is NULL or not destroyed, and nobody changes it now;
 * `errptr` as in (3).
 */
void leveldb_write(leveldb_t *db,
                   const leveldb_writeoptions_t *options,
                   leveldb_writebatch_t *batch,
                   char **errptr);

/*
 * Returns the value of a key, malloc()ed and not NUL-terminated, and puts its length in `*vallen`. An empty value is not
 * NULL. A key that is not there is no error: NULL is returned, `*vallen` is 0, and `*errptr` is left as it was.
 *
 * Requires: `db` is NULL or open; `options` is NULL or not destroyed; `key` has its length; `vallen` is NULL or writable; `errptr`
 * as in (3).
 */
char *leveldb_get(leveldb_t *db,
                  const leveldb_readoptions_t *options,
                  const char *key,
                  size_t keylen,
                  size_t *vallen,
                  char **errptr);

/*
 * Returns a property of the database, malloc()ed and NUL-terminated, or NULL if there is none of that name:
 *
 * `leveldb.num-files-at-level<N>`: the number of table files at level N, from 0 to 6
 *
 * `leveldb.stats`: a table of the levels and their compactions
 *
 * `leveldb.sstables`: the table files of each level, with their ranges
 *
 * `leveldb.approximate-memory-usage`: bytes of memory in use
 *
 * `terrace.open-tables`: how many tables have their index and filters in memory
 *
 * `terrace.table-metadata-bytes`: what those take, see `terrace_options_set_table_metadata_budget`
 *
 * `terrace.table-descriptors`: by how many descriptors tables are read; mapped ones need none
 *
 * `terrace.table-openings`: how often, since the database was opened, a table was opened and its index parsed
 *
 * Requires: `db` is NULL or open; `propname` is NULL or NUL-terminated.
 */
char *leveldb_property_value(leveldb_t *db,
                             const char *propname);

/*
 * Puts into `sizes[i]` about how many bytes the keys from `range_start_key[i]` up to, but without, `range_limit_key[i]` take:
 * in table files, and, uncompressed, in memtables that are full, or come from the log that was read at opening, and are still
 * to become files. The memtable that is written to does not count, as in LevelDB. All sizes are 0 on failure.
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
 * Compacts the keys from `start_key` to `limit_key`, both included: throws away what was deleted or overwritten, and
 * moves the rest to the deepest level it can. Returns when that is done. A NULL key is no bound (a key of length 0 that
 * is not NULL is the empty key); start after limit is an empty range. A failure is told by
 * `terrace_last_error_code()`; terrace_compact_range() has an errptr.
 *
 * Requires: `db` is NULL or open; the keys have their lengths.
 */
void leveldb_compact_range(leveldb_t *db,
                           const char *start_key,
                           size_t start_key_len,
                           const char *limit_key,
                           size_t limit_key_len);

/*
 * Removes the database in the directory `name`: the files that are named as a database's, then the directory, if nothing
 * else is in it. A missing directory is fine. An open database is refused. Of the options, only the environment counts.
 *
 * Requires: `options` is NULL or not destroyed; `name` is NULL or NUL-terminated; `errptr` as in (3).
 */
void leveldb_destroy_db(const leveldb_options_t *options,
                        const char *name,
                        char **errptr);

/*
 * Makes a database that does not open any more openable, saving what can be read; some of the data may be lost, and
 * deleted keys may be back. A missing directory is fine. What is not used any more is moved into the directory `lost`, where nothing is
 * written over. `Not implemented`, and nothing changed, where a table is not understood: a block of a right checksum and an
 * unknown compression, or of one that this build is without, or a table in RocksDB's format.
 *
 * Requires: `options` is NULL or not destroyed, and what was set in it is not destroyed; `name` is NULL or NUL-terminated;
 * `errptr` as in (3).
 */
void leveldb_repair_db(const leveldb_options_t *options,
                       const char *name,
                       char **errptr);

/*
 * Creates an iterator over the database as it is now, or at the snapshot of the options. What is written later does not
 * change what it sees. It is invalid until it is positioned. The options are copied.
 *
 * Destroy it with leveldb_iter_destroy(), best before the database is closed. Returns NULL only if `db` is NULL or an
 * internal error occurs.
 *
 * Requires: `db` is NULL or open; `options` is NULL or not destroyed, its snapshot not released.
 */
leveldb_iterator_t *leveldb_create_iterator(leveldb_t *db,
                                            const leveldb_readoptions_t *options);

/*
 * Destroys an iterator, also one of a database that was closed.
 *
 * Requires: `iter` is NULL or an iterator that is not used afterwards.
 */
void leveldb_iter_destroy(leveldb_iterator_t *iter);

/*
 * Does the iterator stand on an entry? If not, it has passed the end, or failed: see leveldb_iter_get_error().
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
 * Moves to the next key; past the last one the iterator is invalid. An invalid iterator stays where it is.
 *
 * Requires: `iter` is NULL or an iterator that no other call uses now.
 */
void leveldb_iter_next(leveldb_iterator_t *iter);

/*
 * Moves to the key before; before the first one the iterator is invalid. An invalid iterator stays where it is.
 *
 * Requires: `iter` is NULL or an iterator that no other call uses now.
 */
void leveldb_iter_prev(leveldb_iterator_t *iter);

/*
 * Returns the key the iterator stands on, and puts its length in `*klen`. It is the iterator's, holds until the iterator
 * is moved or destroyed, and is never NULL while the iterator is valid; NULL and 0 otherwise.
 *
 * Requires: `iter` is NULL or an iterator that no other call moves now; `klen` is NULL or writable.
 */
const char *leveldb_iter_key(const leveldb_iterator_t *iter,
                             size_t *klen);

/*
 * Returns the value the iterator stands on, and puts its length in `*vlen`. It is the iterator's, holds until the
 * iterator is moved or destroyed, and is never NULL while the iterator is valid; NULL and 0 otherwise.
 *
 * Requires: `iter` is NULL or an iterator that no other call moves now; `vlen` is NULL or writable.
 */
const char *leveldb_iter_value(const leveldb_iterator_t *iter,
                               size_t *vlen);

/*
 * Reports the first error since the last seek, if there is one. Ask when an iterator has become invalid: that is how a
 * scan that is complete differs from one that is not.
 *
 * With paranoid checks, and at an I/O error, an iterator becomes invalid where it fails. Without, it passes over damaged blocks
 * and goes on, as LevelDB's does: it may be valid while this reports an error, and then show an older value of a key whose
 * newest one was in the damage.
 *
 * Requires: `iter` is NULL or an iterator that no other call moves now; `errptr` as in (3).
 */
void leveldb_iter_get_error(const leveldb_iterator_t *iter,
                            char **errptr);

/*
 * Keeps the state of the database as it is now readable, through leveldb_readoptions_set_snapshot(), until
 * leveldb_release_snapshot(). An iterator made at a snapshot outlives it. Returns NULL only if `db` is NULL, an
 * internal error occurs, or the database was opened by the parent of this process.
 *
 * Requires: `db` is NULL or an open database.
 */
const leveldb_snapshot_t *leveldb_create_snapshot(leveldb_t *db);

/*
 * Releases a snapshot. `db` is not looked at: releasing a snapshot of a database that was closed is fine. Read options that
 * name it read the latest state from now on, and naming or releasing it once more does no harm, until its handle stands for
 * another snapshot: that happens after 256 later releases at the earliest.
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
 * Empties a batch, which can then be filled again.
 *
 * Requires: `batch` is NULL or a batch that no other call uses now.
 */
void leveldb_writebatch_clear(leveldb_writebatch_t *batch);

/*
 * Adds the setting of a key to a value. What cannot be taken (a key and a value of more than 4 GiB less 64 KiB together, or more
 * than that in the whole batch, NULL with a length) is remembered, and leveldb_write() reports it.
 *
 * Requires: `batch` is NULL or a batch that no other call uses now; `key` and `val` have their lengths.
 */
void leveldb_writebatch_put(leveldb_writebatch_t *batch,
                            const char *key,
                            size_t klen,
                            const char *val,
                            size_t vlen);

/*
 * Adds the deletion of a key. What cannot be taken is remembered, and leveldb_write() reports it.
 *
 * Requires: `batch` is NULL or a batch that no other call uses now; `key` has its length.
 */
void leveldb_writebatch_delete(leveldb_writebatch_t *batch, const char *key, size_t klen);

/*
 * Calls `put` or `deleted` with `state` for each entry of a batch, in order. The keys and values are the batch's and hold
 * during the callback, which must not change the batch. A NULL callback is left out.
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
 * Adds the entries of `source` behind those of `destination`. They may be the same batch.
 *
 * Requires: `destination` is NULL or a batch that no other call uses now; `source` is NULL or a batch that nobody changes now.
 */
void leveldb_writebatch_append(leveldb_writebatch_t *destination,
                               const leveldb_writebatch_t *source);

/*
 * Creates options with LevelDB's defaults. Destroy them with leveldb_options_destroy(). Opening a database copies them.
 * Values out of range are brought into range when a database is opened.
 */
leveldb_options_t *leveldb_options_create(void);

/*
 * Destroys options.
 *
 * Requires: `options` is NULL or options that nobody uses any more.
 */
void leveldb_options_destroy(leveldb_options_t *options);

/*
 * The order of keys. NULL, the default, is the order of their bytes. The comparator must not be destroyed before the
 * options are used.
 *
 * Requires: `options` is NULL or options that no other call uses now; `comparator` is NULL or not destroyed.
 */
void leveldb_options_set_comparator(leveldb_options_t *options,
                                    leveldb_comparator_t *comparator);

/*
 * Filters that spare table reads. NULL, the default, is none.
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
 * Stop at the first damaged record or block instead of reading around it. Default: no.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void leveldb_options_set_paranoid_checks(leveldb_options_t *options, uint8_t paranoid_checks);

/*
 * The system underneath. NULL is the default environment.
 *
 * Requires: `options` is NULL or options that no other call uses now; `env` is NULL or not destroyed.
 */
void leveldb_options_set_env(leveldb_options_t *options, leveldb_env_t *env);

/*
 * Where the database tells what it does. NULL, the default, is the file LOG in the directory of the database. The
 * interface of LevelDB has no way to make a logger; terrace_logger_create() does.
 *
 * Requires: `options` is NULL or options that no other call uses now; `logger` is NULL or not destroyed.
 */
void leveldb_options_set_info_log(leveldb_options_t *options,
                                  leveldb_logger_t *logger);

/*
 * Bytes kept in memory before they are flushed to a table; from 64 KiB to 1 GiB. Default: 4 MiB.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void leveldb_options_set_write_buffer_size(leveldb_options_t *options, size_t write_buffer_size);

/*
 * Descriptors the database may keep open; from 74 to 50000. A table that is read through a mapping holds none; the descriptor of
 * another is closed when there is no room, and opened again when the table is read. All databases of a process together
 * hold at most half of its RLIMIT_NOFILE for tables, and fewer while descriptors lack. What is in memory of tables is bounded by
 * `terrace_options_set_table_metadata_budget`. Default: 1000.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void leveldb_options_set_max_open_files(leveldb_options_t *options,
                                        int max_open_files);

/*
 * The cache of uncompressed blocks, which databases may share. NULL, the default, is one of 8 MiB for the database alone.
 *
 * Requires: `options` is NULL or options that no other call uses now; `cache` is NULL or not destroyed.
 */
void leveldb_options_set_cache(leveldb_options_t *options,
                               leveldb_cache_t *cache);

/*
 * Bytes of keys and values in a block, before compression; from 1 KiB to 4 MiB. Default: 4 KiB.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void leveldb_options_set_block_size(leveldb_options_t *options, size_t block_size);

/*
 * Keys from one key that a block stores whole to the next; at least 1. Default: 16.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void leveldb_options_set_block_restart_interval(leveldb_options_t *options,
                                                int block_restart_interval);

/*
 * Bytes after which a compaction starts another table; from 1 MiB to 1 GiB. Default: 2 MiB.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void leveldb_options_set_max_file_size(leveldb_options_t *options, size_t max_file_size);

/*
 * How blocks are compressed: leveldb_snappy_compression, which is the default; 2, which is zstd at its level 1, and which LevelDB 1.23
 * cannot read (its main branch does); none for any other value. Blocks are read as they were written, whatever is set here.
 * With leveldb_snappy_compression new tables are of zlib or raw deflate where tables of that are found in the directory: it is a world
 * of Minecraft, and the game reads no snappy. For others, and for levels, see terrace_options_set_compression().
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void leveldb_options_set_compression(leveldb_options_t *options,
                                     int compression);

/*
 * Creates an order of keys from callbacks, each of which gets `state`.
 *
 * `compare` returns a negative number, 0, or a positive one; only the sign counts. The order must be total and never
 * change for a database. Opening, reading and writing compare on the caller's thread, compactions on background threads,
 * also at the same time. Keys are compared whole, and never shortened (terrace_comparator_create() can do that).
 *
 * `name` is stored with a database, and opening it with a comparator of another name is refused. It is called when a
 * database is opened, and what it returns is copied at once.
 *
 * `destructor` is called once, when the comparator is destroyed and nothing uses it any more: inside
 * leveldb_comparator_destroy() if no database uses it, else when the last database that does is closed (and the last of
 * its iterators destroyed). It may be NULL.
 *
 * Requires: The callbacks are NULL (without `compare` or `name` no database opens) or as in (8), as long as databases use the
 * comparator; what `name` returns is NULL or NUL-terminated.
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
 * Destroys a comparator, best after the databases that use it are closed: they go on using it until then.
 *
 * Requires: `comparator` is NULL or a comparator whose handle is not used afterwards.
 */
void leveldb_comparator_destroy(leveldb_comparator_t *comparator);

/*
 * Creates a filter policy from callbacks, each of which gets `state`. They are called on any thread, also at once.
 *
 * `create_filter` gets the keys of a block, in order and possibly with repetitions, and returns a malloc()ed summary of
 * them, whose length it puts in `*filter_length`; the library frees it with free().
 *
 * `key_may_match` gets a key and such a summary, and must return 1 if the key was among its keys; if it returns 0 the
 * block is not read.
 *
 * `name` is stored in every table; a summary is only shown to the policy of the same name. What it returns is copied at
 * once.
 *
 * `destructor` is called once, by leveldb_filterpolicy_destroy(). It may be NULL.
 *
 * Requires: The callbacks are NULL (which makes no filters) or as in (8), until leveldb_filterpolicy_destroy() returns; what
 * `create_filter` returns is NULL or malloc()ed and as long as it says; what `name` returns is NULL or NUL-terminated.
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
 * Destroys a filter policy. None of its callbacks runs afterwards, and the destructor has run. Databases that still use
 * it go on without filters (those that use the bloom filter, with it). Not to be called from one of its callbacks.
 *
 * Requires: `policy` is NULL or a policy whose handle is not used afterwards.
 */
void leveldb_filterpolicy_destroy(leveldb_filterpolicy_t *policy);

/*
 * Creates LevelDB's bloom filter policy with about `bits_per_key` bits a key; 10 makes 1% of the reads of absent keys
 * read a block that lacks them. More than 100 count as 100, negative ones as 0; a filter has 64 bits at least. Not for a comparator under which different keys can be equal.
 */
leveldb_filterpolicy_t *leveldb_filterpolicy_create_bloom(int bits_per_key);

/*
 * Creates read options: no verification, blocks are cached, the latest state is read. Destroy them with
 * leveldb_readoptions_destroy(). They are copied by the calls they are passed to, so they may be destroyed at any time.
 */
leveldb_readoptions_t *leveldb_readoptions_create(void);

/*
 * Destroys read options.
 *
 * Requires: `options` is NULL or options that nobody uses any more.
 */
void leveldb_readoptions_destroy(leveldb_readoptions_t *options);

/*
 * Verify the checksum of every block read, also of one verified before. Default: no.
 *
 * Requires: `options` is NULL or read options that no other call uses now.
 */
void leveldb_readoptions_set_verify_checksums(leveldb_readoptions_t *options,
                                              uint8_t verify_checksums);

/*
 * Keep the blocks read in the block cache. Scans over much data turn it off. Default: yes.
 *
 * Requires: `options` is NULL or read options that no other call uses now.
 */
void leveldb_readoptions_set_fill_cache(leveldb_readoptions_t *options, uint8_t fill_cache);

/*
 * Read the state of `snapshot`, which must belong to the database that is read. NULL reads the latest state, which is the
 * default; so does a snapshot that is released, before this call or after it.
 *
 * Requires: `options` is NULL or read options that no other call uses now; `snapshot` is NULL or came from leveldb_create_snapshot().
 */
void leveldb_readoptions_set_snapshot(leveldb_readoptions_t *options,
                                      const leveldb_snapshot_t *snapshot);

/*
 * Creates write options: not synced. Destroy them with leveldb_writeoptions_destroy().
 */
leveldb_writeoptions_t *leveldb_writeoptions_create(void);

/*
 * Destroys write options.
 *
 * Requires: `options` is NULL or options that nobody uses any more.
 */
void leveldb_writeoptions_destroy(leveldb_writeoptions_t *options);

/*
 * Return from a write only when it, and every write before it, would survive a power loss. Without it a write that
 * returned survives the death of the process, but not of the machine. Default: no.
 *
 * Requires: `options` is NULL or write options that no other call uses now.
 */
void leveldb_writeoptions_set_sync(leveldb_writeoptions_t *options,
                                   uint8_t sync);

/*
 * Creates a cache of about `capacity` bytes of blocks, to be shared by any number of databases; 0 caches nothing. It
 * keeps what is used, not strictly what was used last. Destroy it with leveldb_cache_destroy(); databases and options
 * that use it keep what they need.
 */
leveldb_cache_t *leveldb_cache_create_lru(size_t capacity);

/*
 * Destroys a cache. Its memory is freed when the last database and options that use it are gone.
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
 * Destroys a handle to an environment. The environment itself, and what uses it, goes on.
 *
 * Requires: `env` is NULL or an environment whose handle is not used afterwards.
 */
void leveldb_env_destroy(leveldb_env_t *env);

/*
 * Returns a directory for tests, malloc()ed and NUL-terminated: `$TEST_TMPDIR` where that is set, else
 * `/tmp/leveldbtest-<effective user id>`. It is created if it can be. A NULL `env` is the default environment. NULL
 * only if memory ran out.
 *
 * Requires: `env` is NULL or an environment that is not destroyed.
 */
char *leveldb_env_get_test_directory(leveldb_env_t *env);

/*
 * Frees what a function of this library returned as malloc()ed, and messages in `*errptr`. It is free() of the C library
 * that this library is linked to. NULL is fine.
 *
 * Requires: `ptr` is NULL or malloc()ed, and not used afterwards.
 */
void leveldb_free(void *ptr);

/*
 * The major version of the LevelDB whose interface this is: 1.
 */
int leveldb_major_version(void);

/*
 * The minor version of the LevelDB whose interface this is: 23.
 */
int leveldb_minor_version(void);

#ifdef __cplusplus
}  /* extern "C" */
#endif  /* __cplusplus */

#endif  /* STORAGE_LEVELDB_INCLUDE_C_H_ */
