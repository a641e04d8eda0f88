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
     * A defect of the library, caught. The database it happened in takes no writes until it is opened again.
     */
    TERRACE_INTERNAL_ERROR = 6
} terrace_error_t;

/*
 * What terrace_background_error_severity() returns. The numbers never change.
 */
typedef enum {
    /*
     * A flush or a compaction failed and is tried again by itself, ever less often. Writes go on until they would have to
     * wait for it; then they fail with this error.
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
 * Why background work or writes of a database have stopped; see terrace_background_error().
 */
typedef struct terrace_background_error_t terrace_background_error_t;

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
 * Append to the last log and MANIFEST of a cleanly closed database instead of starting new ones. Default: no.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_reuse_logs(leveldb_options_t *options,
                                    uint8_t reuse_logs);

/*
 * Compact tables that many reads had to look into in vain, as LevelDB does; it makes reads rewrite a database. Default:
 * no.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_seek_compaction(leveldb_options_t *options,
                                         uint8_t seek_compaction);

/*
 * Merge what is left in level 0 once nothing has been written for 100 ms, so that reads of a quiet database do not pay for it;
 * never for so little that more than four times as much of level 1 is rewritten. Default: yes.
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
 * Memtables, the one that is written to included, before a writer waits for a flush; at least 2. All but two go into one
 * table, if they fill quickly (within 250 ms each). 0: 2, as in LevelDB, and as many more as fit 12 MiB, up to 5.
 * Default: 0.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_max_write_buffer_number(leveldb_options_t *options,
                                                 int max_write_buffer_number);

/*
 * Level-0 files at which a compaction starts. Default: 4.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_level0_file_num_compaction_trigger(leveldb_options_t *options, int files);

/*
 * Level-0 files at which each write is delayed by a millisecond. Default: 8.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_level0_slowdown_writes_trigger(leveldb_options_t *options, int files);

/*
 * Level-0 files at which writes wait for a compaction; also where fewer hold the bytes of as many memtables. Default: 12.
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
 * Append to the log through a memory mapping, on file systems that are known to be safe for it. Default: yes.
 *
 * Requires: `options` is NULL or options that no other call uses now.
 */
void terrace_options_set_mmap_wal(leveldb_options_t *options,
                                  uint8_t mmap_wal);

/*
 * About how many bytes the blocks in a cache take; 0 for NULL.
 *
 * Requires: `cache` is NULL or a cache that is not destroyed.
 */
size_t terrace_cache_usage(const leveldb_cache_t *cache);

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
