/*
 * Terrace beyond LevelDB: functions that leveldb/c.h does not have, on the same handles. The conventions at
 * the top of leveldb/c.h hold here too. A program that uses only leveldb_ functions runs with either library.
 */

#ifndef TERRACE_H_
#define TERRACE_H_

#include <stddef.h>
#include <stdint.h>
#include "leveldb/c.h"

/*
 * The results of `terrace_last_error_code()`. The numbers never change; those up to 5 are the codes of
 * LevelDB's `Status`.
 */
typedef enum {
    /*
     * The last call with an errptr succeeded, and no call has failed since.
     */
    TERRACE_OK = 0,
    /*
     * A file or directory is missing. (An absent key is not an error.)
     */
    TERRACE_NOT_FOUND = 1,
    /*
     * Stored bytes contradict the format or their checksum.
     */
    TERRACE_CORRUPTION = 2,
    /*
     * The operation, or a feature of the data, is not supported.
     */
    TERRACE_NOT_SUPPORTED = 3,
    /*
     * An argument that is never valid.
     */
    TERRACE_INVALID_ARGUMENT = 4,
    /*
     * The operating system refused an operation, or the database can no longer perform it.
     */
    TERRACE_IO_ERROR = 5,
    /*
     * A defect of the library or a failure of a comparator was caught. Its database takes no writes until it
     * is opened again.
     */
    TERRACE_INTERNAL_ERROR = 6
} terrace_error_t;

/*
 * What has stopped and what cures it, as terrace_background_error_severity() returns it. The numbers never
 * change.
 */
typedef enum {
    /*
     * A flush or a compaction failed and is retried with exponential backoff (10 ms to 5 s). Writes continue
     * until they would have to wait for it; then they fail with this error. A table in which a compaction
     * finds damage (TERRACE_CORRUPTION) stays in the database and is retried after a minute, later at
     * intervals of up to an hour; the other tables continue to be compacted.
     */
    TERRACE_SEVERITY_RETRYING = 1,
    /*
     * Writes are refused until a new MANIFEST, or a new WAL, could be written (on a full disk: until it has
     * space again). The database retries with exponential backoff.
     */
    TERRACE_SEVERITY_WRITES_REFUSED = 2,
    /*
     * Writes are refused until the database is closed and opened again, for example because a sync of the
     * WAL failed.
     */
    TERRACE_SEVERITY_UNTIL_REOPENED = 3
} terrace_severity_t;

/*
 * Flags of terrace_iter_read(), to be added up. The numbers never change.
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
     * Move backward.
     */
    TERRACE_READ_BACKWARD = 4,
    /*
     * Include the entry whose key is `stop`.
     */
    TERRACE_READ_STOP_INCLUSIVE = 8
} terrace_iter_read_t;

/*
 * The movements of terrace_iter_move(). The numbers never change.
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
     * To the previous key.
     */
    TERRACE_MOVE_PREV = 4
} terrace_iter_move_t;

/*
 * How blocks are compressed; see terrace_options_set_compression(). The numbers are those of RocksDB, where
 * it has one.
 */
typedef enum {
    /*
     * The default: snappy, unless the directory has tables that use zlib or raw deflate. Then it is a
     * Minecraft world, and new tables use the same compression, because the game cannot read snappy.
     */
    TERRACE_AUTO_COMPRESSION = -1,
    /*
     * No compression.
     */
    TERRACE_NO_COMPRESSION = 0,
    /*
     * snappy, whatever compression the existing tables use.
     */
    TERRACE_SNAPPY_COMPRESSION = 1,
    /*
     * zlib, as in Minecraft's fork of LevelDB. LevelDB itself cannot read it.
     */
    TERRACE_ZLIB_COMPRESSION = 2,
    /*
     * zstd. LevelDB's main branch can read it, LevelDB 1.23 cannot.
     */
    TERRACE_ZSTD_COMPRESSION = 7,
    /*
     * Deflate without the zlib header, as in Minecraft's fork of LevelDB. LevelDB itself cannot read it.
     */
    TERRACE_RAW_DEFLATE_COMPRESSION = 128,
    /*
     * A level, not a compression: the default level, which is 6 for zlib and raw deflate and 1 for zstd.
     */
    TERRACE_USUAL_COMPRESSION_LEVEL = 32767
} terrace_compression_t;

/*
 * Whether a directory may leave LevelDB's language for RocksDB's; see terrace_options_set_language().
 */
typedef enum {
    /*
     * The directory stays LevelDB's: what LevelDB does not have fails with `Not implemented`.
     */
    TERRACE_LANGUAGE_LEVELDB = 0,
    /*
     * The default: the directory is LevelDB's until the first call that needs more, which switches it for
     * good.
     */
    TERRACE_LANGUAGE_MAY_SWITCH = 1,
    /*
     * A new database is created in RocksDB's language; an existing one is treated as by the default.
     */
    TERRACE_LANGUAGE_ROCKSDB = 2
} terrace_language_t;

/*
 * Why background work or writes of a database have stopped; see terrace_background_error().
 */
typedef struct terrace_background_error_t terrace_background_error_t;

/*
 * A column family of an open database; see terrace_create_column_family(). Any number of threads may use a
 * handle at the same time. It may outlive its database, and the drop of its family.
 */
typedef struct terrace_column_family_handle_t terrace_column_family_handle_t;

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
 * The callbacks of an environment; see terrace_env_create(). `state` is the one passed there.
 *
 * A callback that returns an `int` returns TERRACE_OK on success. On failure it returns another value of
 * `terrace_error_t` and puts a malloc()ed, NUL-terminated message, which the library frees, into `*message`;
 * `*message` is NULL before the call. A missing file or directory is TERRACE_NOT_FOUND. Paths are
 * NUL-terminated.
 *
 * A sequential or writable file is used by one thread at a time. All other callbacks run on any thread,
 * several at the same time.
 */
typedef struct {
    /*
     * Called once, when nothing uses the environment any more. May be NULL, unlike all other callbacks.
     */
    void (*destructor)(void *state);
    /*
     * Opens a file to be read from its beginning.
     */
    int (*new_sequential_file)(void *state, const char *path, void **file, char **message);
    /*
     * Reads up to `length` bytes and puts the number of bytes read into `*read`; 0 at the end of the file.
     */
    int (*sequential_file_read)(void *file,
                                char *buffer,
                                size_t length,
                                size_t *read,
                                char **message);
    /*
     * Skips `length` bytes. Skipping past the end of the file is not an error.
     */
    int (*sequential_file_skip)(void *file, uint64_t length, char **message);
    /*
     * Closes and frees the file.
     */
    void (*sequential_file_destroy)(void *file);
    /*
     * Opens a file to be read at any offset.
     */
    int (*new_random_access_file)(void *state, const char *path, void **file, char **message);
    /*
     * Reads up to `length` bytes at `offset` and puts the number of bytes read into `*read`; 0 at the end of
     * the file.
     */
    int (*random_access_file_read)(void *file,
                                   uint64_t offset,
                                   char *buffer,
                                   size_t length,
                                   size_t *read,
                                   char **message);
    /*
     * Closes and frees the file.
     */
    void (*random_access_file_destroy)(void *file);
    /*
     * Opens a file to be written, and creates it if it is missing. If `append` is not 0, writing continues
     * at the end of the file; else the file is truncated.
     */
    int (*new_writable_file)(void *state,
                             const char *path,
                             uint8_t append,
                             void **file,
                             char **message);
    /*
     * Appends `length` bytes. They may stay in a buffer of the environment.
     */
    int (*writable_file_append)(void *file, const char *data, size_t length, char **message);
    /*
     * Passes all appended bytes to the operating system, so that they survive the death of the process.
     */
    int (*writable_file_flush)(void *file, char **message);
    /*
     * Makes all appended bytes durable, and the name of a new file: both survive a power loss.
     */
    int (*writable_file_sync)(void *file, char **message);
    /*
     * Flushes and closes the file.
     */
    int (*writable_file_close)(void *file, char **message);
    /*
     * Frees the file, after `writable_file_close`.
     */
    void (*writable_file_destroy)(void *file);
    /*
     * Returns 1 if there is a file or directory of that name, else 0.
     */
    uint8_t (*file_exists)(void *state, const char *path);
    /*
     * Calls `child` with `sink` and the name of each entry of a directory. The name has no directory part.
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
     * Creates a directory. Its result is ignored if the directory exists afterwards.
     */
    int (*create_dir)(void *state, const char *path, char **message);
    /*
     * Removes an empty directory.
     */
    int (*remove_dir)(void *state, const char *path, char **message);
    /*
     * Puts the size of a file, in bytes, into `*size`.
     */
    int (*get_file_size)(void *state, const char *path, uint64_t *size, char **message);
    /*
     * Renames a file atomically, replacing a file that has the new name, and makes the rename durable.
     */
    int (*rename_file)(void *state, const char *from, const char *to, char **message);
    /*
     * Locks a file against other processes and other databases. Never waits: a lock that is held is a
     * failure.
     */
    int (*lock_file)(void *state, const char *path, void **lock, char **message);
    /*
     * Unlocks a file and frees the lock.
     */
    void (*unlock_file)(void *state, void *lock);
    /*
     * Returns microseconds since some fixed time.
     */
    uint64_t (*now_micros)(void *state);
    /*
     * Blocks the calling thread for `micros` microseconds.
     */
    void (*sleep_micros)(void *state, uint64_t micros);
} terrace_env_callbacks_t;

/*
 * The entry that terrace_iter_move() moved to. The key and the value belong to the iterator, and are valid
 * until it is moved or destroyed.
 */
typedef struct {
    /*
     * The key. Never NULL.
     */
    const char *key;
    /*
     * Length of the key, in bytes.
     */
    size_t key_len;
    /*
     * The value. Never NULL.
     */
    const char *value;
    /*
     * Length of the value, in bytes.
     */
    size_t value_len;
} terrace_entry_t;

#ifdef __cplusplus
extern "C" {
#endif /* __cplusplus */

/*
 * As leveldb_close(), but reports a failure through `errptr`. The database is closed and its handle is
 * destroyed in any case. NULL is allowed.
 *
 * Requires: `db` is NULL or an open database that no other call uses now or later; `errptr` as in (3).
 */
void terrace_close(leveldb_t *db,
                   char **errptr);

/*
 * As leveldb_compact_range(), but reports a failure through `errptr`.
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
 * Flushes all memtables to table files, and returns when this is done.
 *
 * Requires: `db` is NULL or open; `errptr` as in (3).
 */
void terrace_flush(leveldb_t *db, char **errptr);

/*
 * Upgrades all tables in LevelDB's format of a directory in RocksDB's format, and returns when this is done.
 * RocksDB before version 11 reads such tables, later ones do not. No entry changes, and the database may be
 * used meanwhile. It also upgrades them by itself, one after the other when there is nothing else to do; the
 * property "terrace.tables-to-upgrade" tells how many are left.
 *
 * Fails with `Invalid argument` if the directory is in LevelDB's format, which the first column family
 * switches to RocksDB's. A damaged table stays as it is: the others are upgraded, and then the error names
 * it.
 *
 * Requires: `db` is NULL or open; `errptr` as in (3).
 */
void terrace_upgrade_tables(leveldb_t *db,
                            char **errptr);

/*
 * Copies the value of a key into `buffer` and returns its length in bytes. A value longer than `buffer_size`
 * is not copied, not even in part; its length is returned, and the caller repeats the call with a buffer of
 * that size.
 *
 * An absent key is not an error: the call returns `(size_t)-1` and does not change `*errptr`. It returns
 * `(size_t)-2` on failure. No value has one of these lengths. `buffer` may be NULL if `buffer_size` is 0, to
 * ask for the length.
 *
 * Requires: `db` is NULL or open; `options` is NULL or not destroyed; `key` has its length; `buffer` is writable for
 * `buffer_size` bytes and does not overlap the key; `errptr` as in (3).
 */
size_t terrace_get_into(leveldb_t *db,
                        const leveldb_readoptions_t *options,
                        const char *key,
                        size_t keylen,
                        char *buffer,
                        size_t buffer_size,
                        char **errptr);

/*
 * Copies many entries in one call. Starts at the current entry and moves forward or backward, until the
 * buffer is full, `max_entries` entries are copied, or no entry is left. Leaves the iterator on the entry
 * after the last copied one, and returns the number of entries copied.
 *
 * `flags` is a sum of values of `terrace_iter_read_t`. `buffer` receives the requested parts (keys, values,
 * or both, the key first) of one entry after the other, without anything in between. `ends` receives one
 * number per part: the offset in `buffer` at which the part ends, which is where the next part starts.
 * `ends` has room for `max_entries` numbers, or twice as many with both keys and values. If neither is
 * requested, entries are only counted, and `buffer` and `ends` may be NULL.
 *
 * `stop` bounds the scan, in the order of the database: forward, entries whose key is at or after `stop` are
 * not copied; backward, entries whose key is at or before it. With TERRACE_READ_STOP_INCLUSIVE, the entry
 * with the key `stop` is copied. NULL (with any length) is no bound. The iterator stands on the first entry
 * that is left out.
 *
 * `*next_size` receives the number of bytes of `buffer` that the next entry takes, or `(size_t)-1` if there
 * is no next entry, because the bound, the end or an error was reached: call leveldb_iter_get_error() to
 * find out. If nothing was copied and `*next_size` is another number, repeat the call with a buffer of that
 * size. `next_size` may be NULL.
 *
 * A NULL `iter` is refused, as in (6). Unknown flags, a NULL `buffer` whose size is not 0, NULL `ends` and a
 * `stop` that is too long are errors of the iterator, which stays invalid until it is positioned again.
 *
 * Requires: `iter` is NULL or an iterator that no other call uses now; `stop` has its length; `buffer` is writable for
 * `buffer_size` bytes and `ends` for the numbers described above; neither overlaps the other, `stop` or
 * `*next_size`; `next_size` is NULL or writable.
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
 * Creates a batch from its representation. This is the form in which LevelDB writes a batch to its WAL; a
 * program that wants few calls can build it by itself: eight bytes (0), the number of entries (32 bits,
 * little-endian), then for each entry a byte (1: put, 0: delete), the key, and for a put the value, each
 * preceded by its length as a varint (7 bits per byte, lowest first). The bytes are copied.
 *
 * Returns NULL with a `Corruption` error if the bytes are not a representation, and with `Invalid argument`
 * if an entry or the whole is longer than leveldb_writebatch_put() takes. Destroy the batch with
 * leveldb_writebatch_destroy().
 *
 * Requires: `rep` has its length; `errptr` as in (3).
 */
leveldb_writebatch_t *terrace_writebatch_create_from(const char *rep,
                                                     size_t rep_len,
                                                     char **errptr);

/*
 * Opens a database with all its column families: `column_family_names[i]` has the options
 * `column_family_options[i]`, of which those that concern a family count: comparator, write buffer, cache,
 * sizes of blocks and files, compression, filter policy. (NULL options are the default options.) Everything
 * else is taken from `options`. The family `default`, which every database has, may be named or not.
 *
 * Every other family of the database must be named, in any order; the error names those that are missing. A
 * named family that does not exist is created if terrace_options_set_create_missing_column_families() says
 * so. Puts a handle for each name into `column_family_handles`, to be destroyed with
 * terrace_column_family_handle_destroy(). On failure returns NULL, and all handles are NULL.
 *
 * Requires: Options are NULL or not destroyed, and what was set in them is not destroyed; `name` is NULL or
 * NUL-terminated; each array is NULL or has `num_column_families` elements; names are NUL-terminated;
 * `errptr` as in (3).
 */
leveldb_t *terrace_open_column_families(const leveldb_options_t *options,
                                        const char *name,
                                        int num_column_families,
                                        const char *const *column_family_names,
                                        const leveldb_options_t *const *column_family_options,
                                        terrace_column_family_handle_t **column_family_handles,
                                        char **errptr);

/*
 * Returns the names of the column families of the database in the directory `name`, the default one first,
 * and puts their number into `*lencf`. The database may be open; nothing is locked or changed. Free the list
 * with terrace_list_column_families_destroy(). Returns NULL on failure.
 *
 * Requires: `options` is NULL or not destroyed; `name` is NULL or NUL-terminated; `lencf` is NULL or writable;
 * `errptr` as in (3).
 */
char **terrace_list_column_families(const leveldb_options_t *options,
                                    const char *name,
                                    size_t *lencf,
                                    char **errptr);

/*
 * Frees a list of terrace_list_column_families(), with its names.
 *
 * Requires: `list` is NULL, or came from terrace_list_column_families() with the length `len`, and is not used
 * afterwards.
 */
void terrace_list_column_families_destroy(char **list,
                                          size_t len);

/*
 * Creates a column family, durably, and returns a handle of it. The first family switches the directory to
 * RocksDB's language for good: LevelDB cannot open it any more, RocksDB can. From then on the database is
 * opened with terrace_open_column_families(). Of the options those count that concern a family, see there.
 *
 * Fails with `Invalid argument` if the name is NULL, empty, longer than 4096 bytes or taken, and with
 * `Not implemented` if terrace_options_set_language() forbids the switch. Returns NULL on failure.
 *
 * Requires: `db` is NULL or open; the options are NULL or not destroyed, and what was set in them is not destroyed;
 * the name is NULL or NUL-terminated; `errptr` as in (3).
 */
terrace_column_family_handle_t *terrace_create_column_family(leveldb_t *db,
                                                             const leveldb_options_t *column_family_options,
                                                             const char *column_family_name,
                                                             char **errptr);

/*
 * Creates several column families with the same options, one after the other. Returns an array with their
 * handles, and puts their number into `*lencfs`. If one cannot be created, those before it exist and are in
 * the array, and `*errptr` says why. Free the array with terrace_create_column_families_destroy(), after or
 * before its handles.
 *
 * Requires: As terrace_create_column_family(); `column_family_names` is NULL or has `num_column_families` elements;
 * `lencfs` is NULL or writable.
 */
terrace_column_family_handle_t **terrace_create_column_families(leveldb_t *db,
                                                                const leveldb_options_t *column_family_options,
                                                                int num_column_families,
                                                                const char *const *column_family_names,
                                                                size_t *lencfs,
                                                                char **errptr);

/*
 * Frees an array of terrace_create_column_families(). Its handles are destroyed one by one.
 *
 * Requires: `list` is NULL, or came from terrace_create_column_families() and is not used afterwards.
 */
void terrace_create_column_families_destroy(terrace_column_family_handle_t **list);

/*
 * Drops a column family, durably, with all its entries. The handle stays valid until it is destroyed: the
 * family can still be read through it and through iterators, writes to it fail, and its files are removed
 * when the last of them is gone. A write to it from another thread while this function runs may succeed and
 * is dropped with the family. The default family cannot be dropped.
 *
 * Requires: `db` is NULL or open; the handle is NULL or not destroyed; `errptr` as in (3).
 */
void terrace_drop_column_family(leveldb_t *db,
                                terrace_column_family_handle_t *column_family,
                                char **errptr);

/*
 * Returns a handle of the default column family, to be destroyed like any other. NULL only if `db` is NULL
 * or an internal error occurs.
 *
 * Requires: `db` is NULL or open.
 */
terrace_column_family_handle_t *terrace_get_default_column_family_handle(leveldb_t *db);

/*
 * Destroys a handle. The family is not dropped. The database may have been closed before.
 *
 * Requires: The handle is NULL, or not used afterwards.
 */
void terrace_column_family_handle_destroy(terrace_column_family_handle_t *column_family);

/*
 * Returns the number of a column family. The default family has 0, and no other family ever gets the number
 * of a dropped one. 0 for NULL.
 *
 * Requires: The handle is NULL or not destroyed.
 */
uint32_t terrace_column_family_handle_get_id(const terrace_column_family_handle_t *column_family);

/*
 * Returns the name of a column family, malloc()ed and NUL-terminated, and puts its length in bytes into
 * `*name_len`. NULL for NULL.
 *
 * Requires: The handle is NULL or not destroyed; `name_len` is NULL or writable.
 */
char *terrace_column_family_handle_get_name(const terrace_column_family_handle_t *column_family,
                                            size_t *name_len);

/*
 * As leveldb_put(), into a column family. Fails if the family was dropped, or is of another database.
 *
 * Requires: As leveldb_put(); the handle is NULL or not destroyed.
 */
void terrace_put_cf(leveldb_t *db,
                    const leveldb_writeoptions_t *options,
                    terrace_column_family_handle_t *column_family,
                    const char *key,
                    size_t keylen,
                    const char *val,
                    size_t vallen,
                    char **errptr);

/*
 * As leveldb_delete(), from a column family. Fails as terrace_put_cf() does.
 *
 * Requires: As leveldb_delete(); the handle is NULL or not destroyed.
 */
void terrace_delete_cf(leveldb_t *db,
                       const leveldb_writeoptions_t *options,
                       terrace_column_family_handle_t *column_family,
                       const char *key,
                       size_t keylen,
                       char **errptr);

/*
 * As leveldb_get(), from a column family. Fails if the family is of another database; a dropped one can be
 * read.
 *
 * Requires: As leveldb_get(); the handle is NULL or not destroyed.
 */
char *terrace_get_cf(leveldb_t *db,
                     const leveldb_readoptions_t *options,
                     terrace_column_family_handle_t *column_family,
                     const char *key,
                     size_t keylen,
                     size_t *vallen,
                     char **errptr);

/*
 * As leveldb_create_iterator(), over a column family. If the family is of another database, the iterator
 * never becomes valid, and leveldb_iter_get_error() says so.
 *
 * Requires: As leveldb_create_iterator(); the handle is NULL or not destroyed.
 */
leveldb_iterator_t *terrace_create_iterator_cf(leveldb_t *db,
                                               const leveldb_readoptions_t *options,
                                               terrace_column_family_handle_t *column_family);

/*
 * Creates an iterator over each of `size` column families, all at one state of the database: of a batch over
 * several families they show everything or nothing. Puts them into `iterators`, to be destroyed with
 * leveldb_iter_destroy(). On failure all are NULL.
 *
 * Requires: As terrace_create_iterator_cf(); each array is NULL or has `size` elements; `errptr` as in (3).
 */
void terrace_create_iterators(leveldb_t *db,
                              const leveldb_readoptions_t *opts,
                              terrace_column_family_handle_t *const *column_families,
                              leveldb_iterator_t **iterators,
                              size_t size,
                              char **errptr);

/*
 * As leveldb_writebatch_put(), into a column family. If a batch gets entries for families of two databases,
 * leveldb_write() reports the error.
 *
 * Requires: As leveldb_writebatch_put(); the handle is NULL or not destroyed.
 */
void terrace_writebatch_put_cf(leveldb_writebatch_t *batch,
                               terrace_column_family_handle_t *column_family,
                               const char *key,
                               size_t klen,
                               const char *val,
                               size_t vlen);

/*
 * As leveldb_writebatch_delete(), from a column family.
 *
 * Requires: As leveldb_writebatch_delete(); the handle is NULL or not destroyed.
 */
void terrace_writebatch_delete_cf(leveldb_writebatch_t *batch,
                                  terrace_column_family_handle_t *column_family,
                                  const char *key,
                                  size_t klen);

/*
 * As leveldb_writebatch_iterate(), with the number of each entry's column family, which is 0 for the default
 * family. `merge_cf` is for merge operands, which no batch has yet.
 *
 * Requires: `batch` is NULL or a batch that nobody changes now; the callbacks are NULL or as in (8).
 */
void terrace_writebatch_iterate_cf(const leveldb_writebatch_t *batch,
                                   void *state,
                                   void (*put_cf)(void *state,
                                                  uint32_t cfid,
                                                  const char *k,
                                                  size_t klen,
                                                  const char *v,
                                                  size_t vlen),
                                   void (*deleted_cf)(void *state,
                                                      uint32_t cfid,
                                                      const char *k,
                                                      size_t klen),
                                   void (*merge_cf)(void *state,
                                                    uint32_t cfid,
                                                    const char *k,
                                                    size_t klen,
                                                    const char *v,
                                                    size_t vlen));

/*
 * As leveldb_compact_range(), in a column family.
 *
 * Requires: As leveldb_compact_range(); the handle is NULL or not destroyed.
 */
void terrace_compact_range_cf(leveldb_t *db,
                              terrace_column_family_handle_t *column_family,
                              const char *start_key,
                              size_t start_key_len,
                              const char *limit_key,
                              size_t limit_key_len);

/*
 * As leveldb_approximate_sizes(), in a column family. All sizes are 0 on failure.
 *
 * Requires: As leveldb_approximate_sizes(); the handle is NULL or not destroyed; `errptr` as in (3).
 */
void terrace_approximate_sizes_cf(leveldb_t *db,
                                  terrace_column_family_handle_t *column_family,
                                  int num_ranges,
                                  const char *const *range_start_key,
                                  const size_t *range_start_key_len,
                                  const char *const *range_limit_key,
                                  const size_t *range_limit_key_len,
                                  uint64_t *sizes,
                                  char **errptr);

/*
 * As leveldb_property_value(), of a column family, where a property is about a family. Returns NULL also if
 * the family was dropped or is of another database. Beside the properties named there:
 *
 * `terrace.language`: `leveldb` or `rocksdb`, the language of the directory
 *
 * `terrace.tables-to-upgrade`: the number of tables that terrace_upgrade_tables() would upgrade
 *
 * `terrace.wal-pinned-by`: the name of the column family that keeps the oldest WAL
 *
 * Requires: As leveldb_property_value(); the handle is NULL or not destroyed.
 */
char *terrace_property_value_cf(leveldb_t *db,
                                terrace_column_family_handle_t *column_family,
                                const char *propname);

/*
 * Puts the value of a property that is a number into `*out_val` and returns 0. Returns -1 if there is no
 * such property, or its value is no number.
 *
 * Requires: As terrace_property_value_cf(); `out_val` is NULL or writable.
 */
int terrace_property_int_cf(leveldb_t *db,
                            terrace_column_family_handle_t *column_family,
                            const char *propname,
                            uint64_t *out_val);

/*
 * Writes the contents of a column family (NULL: the default one), as they are at one moment of this call, to
 * a new LevelDB database in `directory`. The directory is created if it is missing (only the last one of the
 * path); an existing one must have no file of a database. Other threads may write meanwhile. A family that
 * was dropped can be exported as long as there is a handle of it.
 *
 * LevelDB opens the new database with the comparator of the family; nothing in it depends on this one. Its
 * tables are compressed with snappy, or not at all if the family's are not. After a crash the database is
 * there whole, or the directory has no file CURRENT: it can be removed then. After an error everything that
 * was made is removed again.
 *
 * Requires: `db` is NULL or open; the handle is NULL or not destroyed; `directory` is NULL or NUL-terminated; `errptr`
 * as in (3).
 */
void terrace_export_leveldb(leveldb_t *db,
                            terrace_column_family_handle_t *column_family,
                            const char *directory,
                            char **errptr);

/*
 * Creates a column family with the contents of the database in `directory`, durably, and returns a handle of
 * it. LevelDB or this library has written that database; it has only the default column family, has the
 * comparator of `db`, and is not open. Its WALs count. Nothing in the directory changes but the file LOCK,
 * and the family does not depend on it afterwards. The options of the family are those of the default one.
 *
 * The first family switches the directory of `db` to RocksDB's language: see
 * terrace_create_column_family(). After a crash the family is there whole or not at all. Every snapshot
 * shows it, also an older one. Other threads may write meanwhile; other families are created and dropped
 * afterwards.
 *
 * Fails with `Invalid argument` if the name is NULL, empty, longer than 4096 bytes or taken, if there is no
 * database in the directory, or if it has another comparator; with `Not implemented` if it has several
 * families, or if terrace_options_set_language() forbids the switch; with `Corruption` if anything in it is
 * damaged; with `IO error` if it is open. Returns NULL on failure.
 *
 * Requires: `db` is NULL or open; the strings are NULL or NUL-terminated; `errptr` as in (3).
 */
terrace_column_family_handle_t *terrace_import_leveldb(leveldb_t *db,
                                                       const char *name,
                                                       const char *directory,
                                                       char **errptr);

/*
 * Whether the directory may be switched to RocksDB's language (a value of `terrace_language_t`), which
 * column families need. A directory that was switched is opened whatever the setting is. Other values are
 * the default. Default: TERRACE_LANGUAGE_MAY_SWITCH.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_language(leveldb_options_t *options,
                                  int language);

/*
 * Whether terrace_open_column_families() creates families that it names and that do not exist. Default: no.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_create_missing_column_families(leveldb_options_t *options,
                                                        uint8_t create_missing);

/*
 * The bytes of all WALs together above which the column families that keep the oldest one are flushed.
 * Without effect while there is only the default family. 0: four times the bytes that the memtables of all
 * families may have. Default: 0.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_max_total_wal_size(leveldb_options_t *options,
                                            uint64_t bytes);

/*
 * How blocks of new tables are compressed (a value of `terrace_compression_t`), and at which level. The
 * setting does not affect reading: each block names its compression. Default: TERRACE_AUTO_COMPRESSION.
 *
 * Levels go from 0 to 9 for zlib and raw deflate, and from about -130000 to 22 for zstd; a higher level
 * gives smaller blocks and is slower. A level out of range is clipped; TERRACE_USUAL_COMPRESSION_LEVEL is
 * the default level; the other compressions ignore the level. A block that compression does not shrink by an
 * eighth is stored uncompressed.
 *
 * Opening a database fails with `Not implemented` if the compression is not compiled into this library, and
 * for any other value: LevelDB's format has no number for LZ4 (4) and similar ones.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_compression(leveldb_options_t *options,
                                     int compression,
                                     int level);

/*
 * Append to the last WAL and MANIFEST of a cleanly closed database instead of creating new ones at open.
 * Default: no.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_reuse_logs(leveldb_options_t *options,
                                    uint8_t reuse_logs);

/*
 * Compact tables that many point look-ups probed without finding their key, as LevelDB does: a database that
 * is only read ends with a single level. (A look-up that a filter answers counts as a sixteenth of a probe.)
 * Seek compactions have the lowest priority, and do not run while memtables fill quickly. Between two opens
 * they rewrite as many bytes as the database has, and beyond that no more bytes than all other work has
 * written. Default: yes.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_seek_compaction(leveldb_options_t *options,
                                         uint8_t seek_compaction);

/*
 * Compact the remaining files of level 0 when nothing has been written for 100 ms, so that reads of an idle
 * database need not probe them. Such a compaction does not run if it would rewrite more than four times as
 * many bytes of level 1 as it has in level 0. It never runs with a comparator of
 * leveldb_comparator_create(), which must not be called while nobody uses the database. Default: yes.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_idle_compaction(leveldb_options_t *options,
                                         uint8_t idle_compaction);

/*
 * Give each table one filter of all its keys, with 10 bits per key, which saves almost every read of a table
 * that lacks the key. Only with LevelDB's bytewise comparator. LevelDB ignores this filter. Default: yes.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_whole_table_filter(leveldb_options_t *options,
                                            uint8_t whole_table_filter);

/*
 * Number of memtables, including the active one, that can be full before a writer waits for a flush; from 2
 * to 65536. If memtables fill quickly (within 250 ms each), up to all but two of them are flushed together
 * into one table. 0 means 2, as in LevelDB, and as many more as fit into 12 MiB, up to 5 in total. Default:
 * 0.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_max_write_buffer_number(leveldb_options_t *options,
                                                 int max_write_buffer_number);

/*
 * Limit, in bytes, of the memory for indexes of open tables, and for their filters if tables are not read
 * through mappings. Above the limit, the least recently used tables are closed; a read of a closed table
 * costs as much as tens of other reads. 100 million keys of 16 bytes with values of 100 bytes take about 110
 * MiB, and about 220 MiB without mappings. All databases of a process together take no more than the largest
 * budget among the open ones. At least 1 MiB; SIZE_MAX: no limit. Default: 512 MiB.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_table_metadata_budget(leveldb_options_t *options,
                                               size_t bytes);

/*
 * Number of level-0 files at which a compaction starts; at least 1. Default: 4.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_level0_file_num_compaction_trigger(leveldb_options_t *options, int files);

/*
 * Number of level-0 files at which each write is delayed by a millisecond; at least 1. Default: 8.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_level0_slowdown_writes_trigger(leveldb_options_t *options, int files);

/*
 * Number of level-0 files at which writes wait for a compaction. Writes also wait if level 0 has the size of
 * as many memtables in fewer files (but at least as many as start a compaction). At least the number at
 * which a compaction starts. Default: 12.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_level0_stop_writes_trigger(leveldb_options_t *options,
                                                    int files);

/*
 * Size of level 1, in bytes, above which it is compacted; each deeper level may be ten times as large.
 * Default: 10 MiB.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_max_bytes_for_level_base(leveldb_options_t *options,
                                                  uint64_t bytes);

/*
 * Number of compaction threads; from 1 to 64. Default: 1.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_max_background_compactions(leveldb_options_t *options, int threads);

/*
 * Number of subcompactions into which a large compaction is divided. They run in parallel, each in a thread
 * of its own; from 1 to 64. Default: 2.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_max_subcompactions(leveldb_options_t *options,
                                            int threads);

/*
 * Read tables through memory mappings, as LevelDB does. Mappings are faster, but a disk that fails under a
 * mapping raises SIGBUS instead of an error. Default: yes.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_mmap_reads(leveldb_options_t *options,
                                    uint8_t mmap_reads);

/*
 * Append to the WAL through a memory mapping, on file systems that are known to be safe for it: tmpfs, and
 * ext4 unless it journals data. If the disk is full or the process has no mappings left, the WAL is written
 * by pwrite instead. But a disk that fails, or a file system that is shut down, under a mapping raises
 * SIGBUS instead of an error; turn the option off if this is not acceptable. Default: yes.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_mmap_wal(leveldb_options_t *options,
                                  uint8_t mmap_wal);

/*
 * As leveldb_comparator_create(), with two more callbacks, which shorten keys for the index of a table. They
 * are those of LevelDB's C++ `Comparator`.
 *
 * `find_shortest_separator` may return a key at or after `start` and before `limit`; `find_short_successor`
 * may return a key at or after `key`. The key is malloc()ed, with its length in `*length`; the library frees
 * it with free(). A result of NULL leaves the key unchanged, which is always correct. So does a NULL
 * callback, and a result outside of the range above.
 *
 * Requires: As leveldb_comparator_create(); the results of the two callbacks are NULL, or malloc()ed and as long as
 * they say.
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
 * Reports that a comparison failed, for example because an exception was raised in a language that has them.
 * Call it from inside `compare`, whose result is then ignored. No order is guessed, so no wrong order gets
 * into the files.
 *
 * The call that needed the comparison fails with an `IO error` of `message` (an iterator becomes invalid),
 * and the database takes no writes until it is opened again. A comparison that fails in a compaction aborts
 * the compaction, and the database takes no writes either. `message` is copied; NULL is an empty message.
 *
 * Requires: `message` is NULL or NUL-terminated.
 */
void terrace_comparator_fail(const char *message);

/*
 * Returns the filter of `num_keys` keys, malloc()ed, and puts its length in bytes into `*filter_length`.
 * Returns NULL on failure, and if the policy has been revoked.
 *
 * Requires: `policy` is NULL or not destroyed; both arrays have `num_keys` elements; the keys have their lengths;
 * `filter_length` is NULL or writable.
 */
char *terrace_filterpolicy_create_filter(const leveldb_filterpolicy_t *policy,
                                         const char *const *keys,
                                         const size_t *key_lengths,
                                         int num_keys,
                                         size_t *filter_length);

/*
 * Returns 1 if the filter may have been made from `key`, 0 if it certainly was not. Returns 1 on failure,
 * and if the policy has been revoked.
 *
 * Requires: `policy` is NULL or not destroyed; `key` and `filter` have their lengths.
 */
uint8_t terrace_filterpolicy_key_may_match(const leveldb_filterpolicy_t *policy,
                                           const char *key,
                                           size_t key_length,
                                           const char *filter,
                                           size_t filter_length);

/*
 * The approximate size of the blocks in a cache, in bytes; 0 for NULL.
 *
 * Requires: `cache` is NULL or a cache that is not destroyed.
 */
size_t terrace_cache_usage(const leveldb_cache_t *cache);

/*
 * Removes all blocks from a cache. Blocks in use are freed when their last user releases them.
 *
 * Requires: `cache` is NULL or a cache that is not destroyed.
 */
void terrace_cache_prune(leveldb_cache_t *cache);

/*
 * Creates an environment whose files are in memory, and are freed with it. Directories need not be created;
 * a directory that was not created is empty. A read that begins past the end of a file fails with an
 * `IO error`. These are the rules of LevelDB's in-memory environment. Destroy the environment with
 * leveldb_env_destroy(); databases that use it keep it until they are closed.
 */
leveldb_env_t *terrace_env_create_mem(void);

/*
 * Opens a file to be read from its beginning. Returns NULL on failure. Destroy the file with
 * terrace_seqfile_destroy().
 *
 * Requires: `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `errptr` as in (3).
 */
leveldb_seqfile_t *terrace_env_new_sequential_file(const leveldb_env_t *env,
                                                   const char *path,
                                                   char **errptr);

/*
 * Reads up to `length` bytes and returns the number of bytes read: fewer than `length` only at the end of
 * the file, or on failure. The rest of `buffer` is not written to, so it may be shorter than `length` if the
 * file is shorter too.
 *
 * Requires: `file` is NULL or a file that no other call uses now; `buffer` is writable for `length` bytes, or for as
 * many as the file still has; `errptr` as in (3).
 */
size_t terrace_seqfile_read(leveldb_seqfile_t *file,
                            char *buffer,
                            size_t length,
                            char **errptr);

/*
 * Skips `length` bytes. Skipping past the end of the file is not an error.
 *
 * Requires: `file` is NULL or a file that no other call uses now; `errptr` as in (3).
 */
void terrace_seqfile_skip(leveldb_seqfile_t *file, uint64_t length, char **errptr);

/*
 * Closes a file and destroys its handle. NULL is allowed.
 *
 * Requires: `file` is NULL or not used afterwards.
 */
void terrace_seqfile_destroy(leveldb_seqfile_t *file);

/*
 * Opens a file to be read at any offset, by any number of threads at the same time. Returns NULL on failure.
 * Destroy the file with terrace_randomfile_destroy().
 *
 * Requires: `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `errptr` as in (3).
 */
leveldb_randomfile_t *terrace_env_new_random_access_file(const leveldb_env_t *env,
                                                         const char *path,
                                                         char **errptr);

/*
 * Reads up to `length` bytes at `offset` and returns the number of bytes read: fewer than `length` only at
 * the end of the file, or on failure. The rest of `buffer` is not written to, so it may be shorter than
 * `length` if the file is shorter too.
 *
 * Requires: `file` is NULL or not destroyed; `buffer` is writable for `length` bytes, or for as many as the file has
 * from `offset` on; `errptr` as in (3).
 */
size_t terrace_randomfile_read(const leveldb_randomfile_t *file,
                               uint64_t offset,
                               char *buffer,
                               size_t length,
                               char **errptr);

/*
 * Closes a file and destroys its handle. NULL is allowed.
 *
 * Requires: `file` is NULL or not used afterwards.
 */
void terrace_randomfile_destroy(leveldb_randomfile_t *file);

/*
 * Opens a file to be written, and creates it if it is missing. If `append` is not 0, writing continues at
 * the end of the file; else the file is truncated. Returns NULL on failure. Destroy the file with
 * terrace_writablefile_destroy().
 *
 * Requires: `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `errptr` as in (3).
 */
leveldb_writablefile_t *terrace_env_new_writable_file(const leveldb_env_t *env,
                                                      const char *path,
                                                      uint8_t append,
                                                      char **errptr);

/*
 * Appends bytes. They may stay in a buffer of the library.
 *
 * Requires: `file` is NULL or a file that no other call uses now; `data` has its length; `errptr` as in (3).
 */
void terrace_writablefile_append(leveldb_writablefile_t *file,
                                 const char *data,
                                 size_t length,
                                 char **errptr);

/*
 * Passes all appended bytes to the operating system, so that they survive the death of the process.
 *
 * Requires: `file` is NULL or a file that no other call uses now; `errptr` as in (3).
 */
void terrace_writablefile_flush(leveldb_writablefile_t *file, char **errptr);

/*
 * Makes all appended bytes and the name of the file durable: both survive a power loss.
 *
 * Requires: `file` is NULL or a file that no other call uses now; `errptr` as in (3).
 */
void terrace_writablefile_sync(leveldb_writablefile_t *file, char **errptr);

/*
 * Passes all appended bytes to the operating system and closes the file, which can then only be destroyed.
 *
 * Requires: `file` is NULL or a file that no other call uses now; `errptr` as in (3).
 */
void terrace_writablefile_close(leveldb_writablefile_t *file,
                                char **errptr);

/*
 * Destroys a file, and closes it if it is still open. NULL is allowed.
 *
 * Requires: `file` is NULL or not used afterwards.
 */
void terrace_writablefile_destroy(leveldb_writablefile_t *file);

/*
 * Returns 1 if there is a file or directory of that name, else 0.
 *
 * Requires: `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated.
 */
uint8_t terrace_env_file_exists(const leveldb_env_t *env, const char *path);

/*
 * Calls `child` with `state` and the name of each entry of a directory. The name has no directory part and
 * is not NUL-terminated.
 *
 * Requires: `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `child` is NULL or
 * returns normally; `errptr` as in (3).
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
 * Creates a directory. Fails if it exists.
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
 * Returns the size of a file, in bytes; 0 on failure.
 *
 * Requires: `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `errptr` as in (3).
 */
uint64_t terrace_env_get_file_size(const leveldb_env_t *env,
                                   const char *path,
                                   char **errptr);

/*
 * Renames a file, replacing a file that has the new name, and makes the rename durable.
 *
 * Requires: `env` is NULL (the default one) or not destroyed; `from` and `to` are NULL or NUL-terminated; `errptr` as
 * in (3).
 */
void terrace_env_rename_file(const leveldb_env_t *env,
                             const char *from,
                             const char *to,
                             char **errptr);

/*
 * Locks a file against other processes and other calls; creates the file if it is missing. Never waits.
 * Returns NULL on failure, and if the lock is held. Unlock the file with terrace_filelock_destroy().
 *
 * Requires: `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `errptr` as in (3).
 */
leveldb_filelock_t *terrace_env_lock_file(const leveldb_env_t *env,
                                          const char *path,
                                          char **errptr);

/*
 * Unlocks a file and destroys the handle. NULL is allowed.
 *
 * Requires: `lock` is NULL or not used afterwards.
 */
void terrace_filelock_destroy(leveldb_filelock_t *lock);

/*
 * Returns microseconds since the Unix epoch, by the clock of the environment.
 *
 * Requires: `env` is NULL (the default one) or not destroyed.
 */
uint64_t terrace_env_now_micros(const leveldb_env_t *env);

/*
 * Creates an environment from callbacks, each of which gets `state`, or a file that another callback has
 * returned. The table of callbacks is copied. Returns NULL on failure. Destroy the environment with
 * leveldb_env_destroy(); databases that use it keep it until they are closed.
 *
 * Requires: `callbacks` is NULL or a table of functions that behave as described there and as in (8); `errptr` as
 * in (3).
 */
leveldb_env_t *terrace_env_create(void *state,
                                  const terrace_env_callbacks_t *callbacks,
                                  char **errptr);

/*
 * Creates a logger for leveldb_options_set_info_log(). `log` is called with `state` and each line, on any
 * thread, by several threads at the same time. The line has no line feed and is not NUL-terminated.
 * `destructor` is called once, by terrace_logger_destroy(); it may be NULL. A NULL `log` drops every line.
 *
 * Requires: The callbacks are NULL, or callable as described above until terrace_logger_destroy() returns; they return
 * normally.
 */
leveldb_logger_t *terrace_logger_create(void *state,
                                        void (*destructor)(void *state),
                                        void (*log)(void *state, const char *line, size_t length));

/*
 * Destroys a logger. When the call returns, its callback does not run any more, and the destructor has run.
 * Databases that still use the logger log nothing from then on. Must not be called from its callback.
 *
 * Requires: `logger` is NULL or a logger whose handle is not used afterwards.
 */
void terrace_logger_destroy(leveldb_logger_t *logger);

/*
 * Returns the outcome of the last call of this thread, a value of `terrace_error_t`.
 *
 * Every call that fails sets it, with or without an errptr. A successful call with an errptr resets it to
 * TERRACE_OK; a successful call without an errptr does not change it. This function never fails.
 */
int terrace_last_error_code(void);

/*
 * The system's error number (`errno`) that caused the last error of this thread; 0 if there is none.
 */
int terrace_last_error_errno(void);

/*
 * Returns 1 if the same call may succeed later without a change in the program: after a full disk, too many
 * open files, a lack of memory, or a busy system.
 */
uint8_t terrace_last_error_retryable(void);

/*
 * The message of the last error of this thread, malloc()ed and NUL-terminated, in the form of an `*errptr`;
 * NULL if there is no error.
 */
char *terrace_last_error_message(void);

/*
 * The file or directory that the last error of this thread concerns, malloc()ed and NUL-terminated; NULL if
 * there is no error, or it concerns no file.
 */
char *terrace_last_error_path(void);

/*
 * Returns why background work or writes have stopped; NULL if they have not, and if `db` is NULL. Reads
 * continue in any case. The result is a copy, which outlives the database; destroy it with
 * terrace_background_error_destroy().
 *
 * Requires: `db` is NULL or open.
 */
terrace_background_error_t *terrace_background_error(leveldb_t *db);

/*
 * Destroys what terrace_background_error() returned. NULL is allowed.
 *
 * Requires: `error` is NULL or not used afterwards.
 */
void terrace_background_error_destroy(terrace_background_error_t *error);

/*
 * The kind of the failure, a value of `terrace_error_t`; TERRACE_OK for NULL.
 *
 * Requires: `error` is NULL or not destroyed.
 */
int terrace_background_error_code(const terrace_background_error_t *error);

/*
 * The system's error number (`errno`) that caused the failure; 0 if there is none, or for NULL.
 *
 * Requires: `error` is NULL or not destroyed.
 */
int terrace_background_error_errno(const terrace_background_error_t *error);

/*
 * What has stopped and what cures it, a value of `terrace_severity_t`; 0 for NULL.
 *
 * Requires: `error` is NULL or not destroyed.
 */
int terrace_background_error_severity(const terrace_background_error_t *error);

/*
 * When the failure happened, in microseconds since the Unix epoch; 0 for NULL.
 *
 * Requires: `error` is NULL or not destroyed.
 */
uint64_t terrace_background_error_since_micros(const terrace_background_error_t *error);

/*
 * The message, malloc()ed and NUL-terminated, in the form of an `*errptr`; NULL for NULL.
 *
 * Requires: `error` is NULL or not destroyed.
 */
char *terrace_background_error_message(const terrace_background_error_t *error);

/*
 * The file or directory that the failure concerns, malloc()ed and NUL-terminated; NULL if there is none, or
 * for NULL.
 *
 * Requires: `error` is NULL or not destroyed.
 */
char *terrace_background_error_path(const terrace_background_error_t *error);

/*
 * Retries failed background work at once, without waiting for the next scheduled retry, and returns when the
 * outcome is known. Succeeds if no failure is left. Otherwise `*errptr` is the failure that remains: for
 * example, the disk is still full, or only closing the database and opening it again helps.
 *
 * Requires: `db` is NULL or open; `errptr` as in (3).
 */
void terrace_resume(leveldb_t *db,
                    char **errptr);

/*
 * Calls `found` once with `state` and the value of a key. The value belongs to the database and is valid
 * during the callback, which must not call this library. Returns 1 if the key is present, 0 if it is absent
 * or on failure. An absent key is not an error.
 *
 * Requires: `db` is NULL or open; `options` is NULL or not destroyed; `key` has its length; `found` is NULL or returns
 * normally; `errptr` as in (3).
 */
uint8_t terrace_get_with(leveldb_t *db,
                         const leveldb_readoptions_t *options,
                         const char *key,
                         size_t keylen,
                         void *state,
                         void (*found)(void *state, const char *value, size_t length),
                         char **errptr);

/*
 * Writes a batch, given by its representation, atomically: all of it or nothing. The representation is that
 * of a batch in LevelDB's WAL: eight bytes that are ignored, the number of entries (32 bits, little-endian),
 * then for each entry a byte (1: put, 0: delete), the key, and for a put the value, each preceded by its
 * length as a varint.
 *
 * Fails with `Corruption` if the bytes are not a representation, and with `Invalid argument` if they are
 * longer than leveldb_writebatch_put() takes. Then nothing is written.
 *
 * Requires: `db` is NULL or open; `options` is NULL or not destroyed; `rep` has its length; `errptr` as in (3).
 */
void terrace_write_rep(leveldb_t *db,
                       const leveldb_writeoptions_t *options,
                       const char *rep,
                       size_t rep_len,
                       char **errptr);

/*
 * Moves an iterator and returns the entry on which it then stands, in one call instead of four. `movement`
 * is a value of `terrace_iter_move_t`; `key` is used by TERRACE_MOVE_SEEK only. Returns 1 and fills `*entry`
 * if the iterator stands on an entry. Returns 0 and does not change `*entry` if the iterator has reached the
 * end or failed: see leveldb_iter_get_error().
 *
 * Requires: `iter` is NULL or an iterator that no other call uses now; `key` has its length; `entry` is NULL or
 * writable.
 */
uint8_t terrace_iter_move(leveldb_iterator_t *iter,
                          int movement,
                          const char *key,
                          size_t key_len,
                          terrace_entry_t *entry);

/*
 * Starts a table. The library writes it through `append` and `flush`, which get `state`. They return
 * TERRACE_OK on success. On failure they return another value of `terrace_error_t` and put a malloc()ed,
 * NUL-terminated message, which the library frees, into `*message`. The file must be empty at the start. The
 * caller syncs and closes it.
 *
 * Only these options are used: comparator, filter policy, block size, restart interval and compression. The
 * table is in LevelDB's format. Destroy the builder with terrace_tablebuilder_destroy(), before the objects
 * that are set in the options. Returns NULL on failure.
 *
 * Requires: `options` is NULL or not destroyed, and what was set in it is not destroyed; the callbacks are NULL (which
 * fails) or as above, until the builder is destroyed; `errptr` as in (3).
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
 * Adds an entry. Its key must be greater than all keys added before. After a failure, all later calls fail
 * with the same error.
 *
 * Requires: `builder` is NULL or a builder that no other call uses now; key and value have their lengths; `errptr` as
 * in (3).
 */
void terrace_tablebuilder_add(terrace_tablebuilder_t *builder,
                              const char *key,
                              size_t key_len,
                              const char *value,
                              size_t value_len,
                              char **errptr);

/*
 * Ends the current block: the next entry starts a new block.
 *
 * Requires: `builder` is NULL or a builder that no other call uses now; `errptr` as in (3).
 */
void terrace_tablebuilder_flush(terrace_tablebuilder_t *builder, char **errptr);

/*
 * Changes block size, restart interval and compression to those of `options`. Options with another
 * comparator are refused.
 *
 * Requires: `builder` is NULL or a builder that no other call uses now; `options` is NULL or not destroyed; `errptr`
 * as in (3).
 */
void terrace_tablebuilder_change_options(terrace_tablebuilder_t *builder,
                                         const leveldb_options_t *options,
                                         char **errptr);

/*
 * Writes the last block, the filter block, the index and the footer.
 *
 * Requires: `builder` is NULL or a builder that no other call uses now; `errptr` as in (3).
 */
void terrace_tablebuilder_finish(terrace_tablebuilder_t *builder, char **errptr);

/*
 * Reports the first failure of the builder, if there is one.
 *
 * Requires: `builder` is NULL or a builder that nobody changes now; `errptr` as in (3).
 */
void terrace_tablebuilder_get_error(const terrace_tablebuilder_t *builder, char **errptr);

/*
 * Returns the number of entries added; 0 for NULL.
 *
 * Requires: `builder` is NULL or a builder that nobody changes now.
 */
uint64_t terrace_tablebuilder_num_entries(const terrace_tablebuilder_t *builder);

/*
 * Returns the number of bytes written: after a successful terrace_tablebuilder_finish(), the size of the
 * table. 0 for NULL.
 *
 * Requires: `builder` is NULL or a builder that nobody changes now.
 */
uint64_t terrace_tablebuilder_file_size(const terrace_tablebuilder_t *builder);

/*
 * Destroys a builder. A table that was not finished is unusable. NULL is allowed.
 *
 * Requires: `builder` is NULL or not used afterwards.
 */
void terrace_tablebuilder_destroy(terrace_tablebuilder_t *builder);

/*
 * Opens the table in the first `file_size` bytes of a file. The library reads it through `read`, which gets
 * `state`, reads up to `length` bytes at `offset` into `buffer`, and puts the number of bytes read into
 * `*read` (0 at the end of the file). It returns errors as the callbacks of terrace_tablebuilder_create()
 * do, and is called on any thread, by several threads at the same time.
 *
 * Only these options are used: comparator, block cache and paranoid checks. Destroy the table with
 * terrace_table_destroy(). Returns NULL on failure.
 *
 * Requires: `options` is NULL or not destroyed, and what was set in it is not destroyed; `read` is NULL (which fails)
 * or as above, until the table and its iterators are destroyed; `errptr` as in (3).
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
 * Closes a table. Its iterators may outlive it. NULL is allowed.
 *
 * Requires: `table` is NULL or not used afterwards.
 */
void terrace_table_destroy(terrace_table_t *table);

/*
 * Returns the approximate offset in the file of the first entry at or after `key`, in bytes; 0 for a NULL
 * `table`.
 *
 * Requires: `table` is NULL or not destroyed; `key` has its length.
 */
uint64_t terrace_table_approximate_offset_of(const terrace_table_t *table,
                                             const char *key,
                                             size_t key_len);

/*
 * Creates an iterator over a table. It is invalid until it is positioned. The snapshot of the options is
 * ignored. Destroy the iterator with terrace_table_iterator_destroy(). Returns NULL on failure.
 *
 * Requires: `table` is NULL or not destroyed; `options` is NULL or not destroyed; `errptr` as in (3).
 */
terrace_table_iterator_t *terrace_table_create_iterator(const terrace_table_t *table,
                                                        const leveldb_readoptions_t *options,
                                                        char **errptr);

/*
 * Moves an iterator over a table, as terrace_iter_move() moves an iterator over a database.
 *
 * Requires: `iter` is NULL or an iterator that no other call uses now; `key` has its length; `entry` is NULL or
 * writable.
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
 * Destroys an iterator over a table. NULL is allowed.
 *
 * Requires: `iter` is NULL or not used afterwards.
 */
void terrace_table_iterator_destroy(terrace_table_iterator_t *iter);

/*
 * Prints a file of a database (a WAL, a MANIFEST or a table, recognised by its name) as text, in the form of
 * LevelDB's DumpFile. Each item is passed to `line` with `state`, ends with a line feed, and is not
 * NUL-terminated.
 *
 * `line` returns TERRACE_OK to continue. To stop, it returns another value of `terrace_error_t` and puts a
 * malloc()ed, NUL-terminated message, which the library frees, into `*message`; the call then fails with
 * that message.
 *
 * Requires: `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `line` is NULL (which
 * fails) or as above; `errptr` as in (3).
 */
void terrace_dump_file(const leveldb_env_t *env,
                       const char *path,
                       void *state,
                       int (*line)(void *state, const char *text, size_t length, char **message),
                       char **errptr);

/*
 * Returns this library's function of the given name, for example "leveldb_open". This matters in a process
 * that has loaded another library with the same function names: there, the dynamic linker binds a call to
 * the library that was loaded first. Cast the result to the type of the function's declaration in
 * leveldb/c.h. Returns NULL if `name` is NULL or not the name of a function in leveldb/c.h.
 *
 * Requires: `name` is NULL or NUL-terminated.
 */
const void *terrace_leveldb_function(const char *name);

/*
 * The version of this library, `"0.1.0"`. The string is static and must not be freed.
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
