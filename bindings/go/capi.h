// The C functions that the Go files of this package call. Those that are called often return the details of
// an error in the same call, and have two variants (see capi.go).
#ifndef TERRACE_GO_CAPI_H_
#define TERRACE_GO_CAPI_H_

#include <leveldb/c.h>
#include <stdlib.h>
#include <string.h>
#include <terrace.h>

// The details of an error; the strings are malloc()ed. All zero: no error.
typedef struct {
    char *message;
    char *path;
    int code;
    int system;
    int retryable;
} tr_error;

// Must run in the same call from Go: the last error belongs to the thread, and the next call of a goroutine
// may be on another thread.
static inline void tr_note(tr_error *error) {
    if (error->message == NULL) return;
    error->code = terrace_last_error_code();
    error->system = terrace_last_error_errno();
    error->retryable = terrace_last_error_retryable();
    error->path = terrace_last_error_path();
}

// Where a scan begins.
enum { TR_ON, TR_FIRST, TR_LAST, TR_SEEK, TR_BEFORE };

// The values of terrace_language_t.
enum { TR_LANGUAGE_LEVELDB = 0, TR_LANGUAGE_MAY_SWITCH = 1, TR_LANGUAGE_ROCKSDB = 2 };

#define TR_FUNCTIONS(SUFFIX)                                                                                              \
    static inline size_t tr_get##SUFFIX(leveldb_t *db, const leveldb_readoptions_t *options, const char *key, size_t length,     \
                                 char *buffer, size_t size, tr_error *error) {                                            \
        size_t found = terrace_get_into(db, options, key, length, buffer, size, &error->message);                         \
        tr_note(error);                                                                                                   \
        return found;                                                                                                     \
    }                                                                                                                     \
    static inline void tr_put##SUFFIX(leveldb_t *db, const leveldb_writeoptions_t *options, const char *key, size_t key_length,  \
                               const char *value, size_t length, tr_error *error) {                                       \
        leveldb_put(db, options, key, key_length, value, length, &error->message);                                        \
        tr_note(error);                                                                                                   \
    }                                                                                                                     \
    static inline void tr_delete##SUFFIX(leveldb_t *db, const leveldb_writeoptions_t *options, const char *key, size_t length,   \
                                  tr_error *error) {                                                                      \
        leveldb_delete(db, options, key, length, &error->message);                                                        \
        tr_note(error);                                                                                                   \
    }                                                                                                                     \
    static inline void tr_write##SUFFIX(leveldb_t *db, const leveldb_writeoptions_t *options, const char *rep, size_t length,    \
                                 tr_error *error) {                                                                       \
        terrace_write_rep(db, options, rep, length, &error->message);                                                     \
        tr_note(error);                                                                                                   \
    }                                                                                                                     \
    static inline size_t tr_scan##SUFFIX(leveldb_iterator_t *iterator, int from, const char *key, size_t key_length, int flags,  \
                                  const char *stop, size_t stop_length, char *buffer, size_t size, size_t *ends,          \
                                  size_t max_entries, size_t *next_size, tr_error *error) {                               \
        size_t count;                                                                                                     \
        switch (from) {                                                                                                   \
        case TR_FIRST: leveldb_iter_seek_to_first(iterator); break;                                                       \
        case TR_LAST: leveldb_iter_seek_to_last(iterator); break;                                                         \
        case TR_SEEK: leveldb_iter_seek(iterator, key, key_length); break;                                                \
        case TR_BEFORE:                                                                                                   \
            leveldb_iter_seek(iterator, key, key_length);                                                                 \
            if (leveldb_iter_valid(iterator)) leveldb_iter_prev(iterator);                                                \
            else leveldb_iter_seek_to_last(iterator);                                                                     \
            break;                                                                                                        \
        }                                                                                                                 \
        count = terrace_iter_read(iterator, flags, stop, stop_length, buffer, size, ends, max_entries, next_size);        \
        if (*next_size == (size_t)-1) {                                                                                   \
            leveldb_iter_get_error(iterator, &error->message);                                                            \
            tr_note(error);                                                                                               \
        }                                                                                                                 \
        return count;                                                                                                     \
    }                                                                                                                     \
    static inline size_t tr_get_many##SUFFIX(leveldb_t *db, const leveldb_readoptions_t *options, const char *keys,              \
                                      const size_t *key_ends, size_t count, char *buffer, size_t size, size_t *lengths,   \
                                      tr_error *error) {                                                                  \
        size_t done, used = 0, begin = 0;                                                                                 \
        for (done = 0; done < count; done++) {                                                                            \
            size_t length = terrace_get_into(db, options, keys + begin, key_ends[done] - begin, buffer + used,            \
                                             size - used, &error->message);                                               \
            lengths[done] = length;                                                                                       \
            if (length == (size_t)-2 || (length != (size_t)-1 && length > size - used)) break;                            \
            if (length != (size_t)-1) used += length;                                                                     \
            begin = key_ends[done];                                                                                       \
        }                                                                                                                 \
        tr_note(error);                                                                                                   \
        return done;                                                                                                      \
    }                                                                                                                     \
    /* A value longer than the buffer is not copied: *whole is the value, which the caller frees. */                      \
    static inline size_t tr_get_cf##SUFFIX(leveldb_t *db, const leveldb_readoptions_t *options,                           \
                                           terrace_column_family_handle_t *family, const char *key, size_t length,        \
                                           char *buffer, size_t size, char **whole, tr_error *error) {                    \
        size_t found = 0;                                                                                                 \
        char *value = terrace_get_cf(db, options, family, key, length, &found, &error->message);                          \
        tr_note(error);                                                                                                   \
        if (value == NULL) return error->message == NULL ? (size_t)-1 : (size_t)-2;                                       \
        if (found > size) {                                                                                               \
            *whole = value;                                                                                               \
        } else {                                                                                                          \
            if (found > 0) memcpy(buffer, value, found);                                                                  \
            leveldb_free(value);                                                                                          \
        }                                                                                                                 \
        return found;                                                                                                     \
    }                                                                                                                     \
    static inline void tr_put_cf##SUFFIX(leveldb_t *db, const leveldb_writeoptions_t *options,                            \
                                         terrace_column_family_handle_t *family, const char *key, size_t key_length,      \
                                         const char *value, size_t length, tr_error *error) {                             \
        terrace_put_cf(db, options, family, key, key_length, value, length, &error->message);                             \
        tr_note(error);                                                                                                   \
    }                                                                                                                     \
    static inline void tr_delete_cf##SUFFIX(leveldb_t *db, const leveldb_writeoptions_t *options,                         \
                                            terrace_column_family_handle_t *family, const char *key, size_t length,       \
                                            tr_error *error) {                                                            \
        terrace_delete_cf(db, options, family, key, length, &error->message);                                             \
        tr_note(error);                                                                                                   \
    }

TR_FUNCTIONS()
TR_FUNCTIONS(_calling)

static inline leveldb_t *tr_open(const leveldb_options_t *options, const char *path, tr_error *error) {
    leveldb_t *db = leveldb_open(options, path, &error->message);
    tr_note(error);
    return db;
}

static inline void tr_close(leveldb_t *db, tr_error *error) {
    terrace_close(db, &error->message);
    tr_note(error);
}

static inline void tr_repair(const leveldb_options_t *options, const char *path, tr_error *error) {
    leveldb_repair_db(options, path, &error->message);
    tr_note(error);
}

static inline void tr_destroy(const leveldb_options_t *options, const char *path, tr_error *error) {
    leveldb_destroy_db(options, path, &error->message);
    tr_note(error);
}

static inline void tr_compact(leveldb_t *db, const char *start, size_t start_length, const char *limit, size_t limit_length,
                              tr_error *error) {
    terrace_compact_range(db, start, start_length, limit, limit_length, &error->message);
    tr_note(error);
}

static inline void tr_flush(leveldb_t *db, tr_error *error) {
    terrace_flush(db, &error->message);
    tr_note(error);
}

static inline void tr_upgrade_tables(leveldb_t *db, tr_error *error) {
    terrace_upgrade_tables(db, &error->message);
    tr_note(error);
}

static inline void tr_resume(leveldb_t *db, tr_error *error) {
    terrace_resume(db, &error->message);
    tr_note(error);
}

static inline uint64_t tr_approximate_size(leveldb_t *db, const char *start, size_t start_length, const char *limit,
                                           size_t limit_length) {
    uint64_t size = 0;
    leveldb_approximate_sizes(db, 1, &start, &start_length, &limit, &limit_length, &size);
    return size;
}

static inline leveldb_t *tr_open_families(const leveldb_options_t *options, const char *path, int count,
                                          const char *const *names, const leveldb_options_t *const *of_families,
                                          terrace_column_family_handle_t **families, tr_error *error) {
    leveldb_t *db = terrace_open_column_families(options, path, count, names, of_families, families, &error->message);
    tr_note(error);
    return db;
}

static inline char **tr_list_families(const leveldb_options_t *options, const char *path, size_t *count, tr_error *error) {
    char **names = terrace_list_column_families(options, path, count, &error->message);
    tr_note(error);
    return names;
}

static inline terrace_column_family_handle_t *tr_create_family(leveldb_t *db, const leveldb_options_t *options,
                                                               const char *name, tr_error *error) {
    terrace_column_family_handle_t *family = terrace_create_column_family(db, options, name, &error->message);
    tr_note(error);
    return family;
}

static inline void tr_drop_family(leveldb_t *db, terrace_column_family_handle_t *family, tr_error *error) {
    terrace_drop_column_family(db, family, &error->message);
    tr_note(error);
}

static inline void tr_export(leveldb_t *db, terrace_column_family_handle_t *family, const char *directory, tr_error *error) {
    terrace_export_leveldb(db, family, directory, &error->message);
    tr_note(error);
}

static inline terrace_column_family_handle_t *tr_import(leveldb_t *db, const char *name, const char *directory,
                                                        tr_error *error) {
    terrace_column_family_handle_t *family = terrace_import_leveldb(db, name, directory, &error->message);
    tr_note(error);
    return family;
}

static inline void tr_create_iterators(leveldb_t *db, const leveldb_readoptions_t *options,
                                       terrace_column_family_handle_t *const *families, leveldb_iterator_t **iterators,
                                       size_t count, tr_error *error) {
    terrace_create_iterators(db, options, families, iterators, count, &error->message);
    tr_note(error);
}

// terrace_compact_range_cf() reports a failure as the last error of the thread only. A call with an errptr,
// here for no iterator, resets it.
static inline void tr_compact_cf(leveldb_t *db, terrace_column_family_handle_t *family, const char *start,
                                 size_t start_length, const char *limit, size_t limit_length, tr_error *error) {
    terrace_create_iterators(db, NULL, NULL, NULL, 0, &error->message);
    if (error->message == NULL) {
        terrace_compact_range_cf(db, family, start, start_length, limit, limit_length);
        if (terrace_last_error_code() != TERRACE_OK) error->message = terrace_last_error_message();
    }
    tr_note(error);
}

static inline uint64_t tr_approximate_size_cf(leveldb_t *db, terrace_column_family_handle_t *family, const char *start,
                                              size_t start_length, const char *limit, size_t limit_length,
                                              tr_error *error) {
    uint64_t size = 0;
    terrace_approximate_sizes_cf(db, family, 1, &start, &start_length, &limit, &limit_length, &size, &error->message);
    tr_note(error);
    return size;
}

#endif
