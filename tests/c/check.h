/*
 * Shared by the C test programs: counted checks, the error of the last call, and scratch directories.
 *
 * A program takes no arguments, keeps its databases under $TEST_TMPDIR, prints "PASS <n> checks" and exits
 * with 0. The first check that fails prints its place and ends the program with 1.
 */
#ifndef TERRACE_TESTS_C_CHECK_H_
#define TERRACE_TESTS_C_CHECK_H_

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_COUNT_ERRORS 0
#endif

#include "leveldb/c.h"

static int checks_made;
/* The errptr of all calls. */
static char *err;

#define CHECK(condition)                                                                          \
    do {                                                                                          \
        __atomic_fetch_add(&checks_made, 1, __ATOMIC_RELAXED);                                    \
        if (!(condition)) {                                                                       \
            fprintf(stderr, "%s:%d: %s (error: %s)\n", __FILE__, __LINE__, #condition,            \
                    err ? err : "none");                                                          \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

#define CHECK_NO_ERROR() CHECK(err == NULL)

/* Checks that the last call failed with a message that starts with `prefix`, and frees the message. */
#define CHECK_ERROR(prefix)                                                                       \
    do {                                                                                          \
        CHECK(err != NULL);                                                                       \
        CHECK(strncmp(err, prefix, strlen(prefix)) == 0);                                         \
        leveldb_free(err);                                                                        \
        err = NULL;                                                                               \
    } while (0)

/* Under valgrind everything is slow, and threads run one at a time. */
static inline int under_valgrind(void) { return RUNNING_ON_VALGRIND; }

/*
 * Ends a child of fork() successfully. Memory to which only the stacks of the parent's other threads pointed
 * is lost in the child, which is not a leak. Valgrind would report it at the exit of the child: so its errors
 * are counted now, and exec ends it.
 */
static inline void end_child(void) {
    if (RUNNING_ON_VALGRIND && VALGRIND_COUNT_ERRORS == 0) {
        execl("/bin/true", "true", (char *)NULL);
    }
    _exit(0);
}

static inline int passed(void) {
    printf("PASS %d checks\n", checks_made);
    return 0;
}

/* The path of `name` in the scratch directory. The last four results are valid. */
static inline const char *scratch(const char *name) {
    static char paths[4][600];
    static unsigned next;
    const char *directory = getenv("TEST_TMPDIR");
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s-%d", directory ? directory : "/tmp", name, (int)getpid());
    return path;
}

static inline int is_directory(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* The highest number of a file of the database whose name ends with `ending`; 0 if there is none. */
static inline long highest_number(const char *db, const char *ending) {
    DIR *directory = opendir(db);
    struct dirent *entry;
    long highest = 0;
    CHECK(directory != NULL);
    while ((entry = readdir(directory)) != NULL) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot != NULL && strcmp(dot, ending) == 0 && atol(entry->d_name) > highest) {
            highest = atol(entry->d_name);
        }
    }
    closedir(directory);
    return highest;
}

static inline leveldb_options_t *create_options(void) {
    leveldb_options_t *options = leveldb_options_create();
    CHECK(options != NULL);
    leveldb_options_set_create_if_missing(options, 1);
    return options;
}

/* Opens a database with default options in an empty directory. */
static inline leveldb_t *open_fresh(const char *path) {
    leveldb_options_t *options = create_options();
    leveldb_t *db;
    leveldb_destroy_db(options, path, &err);
    CHECK_NO_ERROR();
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    CHECK(db != NULL);
    leveldb_options_destroy(options);
    return db;
}

static inline void close_and_destroy(leveldb_t *db, const char *path) {
    leveldb_options_t *options = leveldb_options_create();
    leveldb_close(db);
    leveldb_destroy_db(options, path, &err);
    CHECK_NO_ERROR();
    CHECK(!is_directory(path));
    leveldb_options_destroy(options);
}

static inline void put(leveldb_t *db, const char *key, const char *value) {
    leveldb_writeoptions_t *options = leveldb_writeoptions_create();
    leveldb_put(db, options, key, strlen(key), value, strlen(value), &err);
    CHECK_NO_ERROR();
    leveldb_writeoptions_destroy(options);
}

/* Checks the value of a key; NULL expects that the key is absent. NULL options are created for the call. */
static inline void check_get(leveldb_t *db, const leveldb_readoptions_t *given, const char *key,
                             const char *expected) {
    leveldb_readoptions_t *made = given ? NULL : leveldb_readoptions_create();
    size_t length = 12345;
    char *value = leveldb_get(db, given ? given : made, key, strlen(key), &length, &err);
    CHECK_NO_ERROR();
    if (expected == NULL) {
        CHECK(value == NULL);
        CHECK(length == 0);
    } else {
        CHECK(value != NULL);
        CHECK(length == strlen(expected));
        CHECK(memcmp(value, expected, length) == 0);
    }
    free(value);
    leveldb_readoptions_destroy(made);
}

static inline void check_entry(const leveldb_iterator_t *iter, const char *key, const char *value) {
    size_t length = 12345;
    const char *bytes;
    CHECK(leveldb_iter_valid(iter));
    bytes = leveldb_iter_key(iter, &length);
    CHECK(bytes != NULL);
    CHECK(length == strlen(key) && memcmp(bytes, key, length) == 0);
    bytes = leveldb_iter_value(iter, &length);
    CHECK(bytes != NULL);
    CHECK(length == strlen(value) && memcmp(bytes, value, length) == 0);
}

static inline void check_open_fails(const leveldb_options_t *options, const char *path, const char *message) {
    CHECK(leveldb_open(options, path, &err) == NULL);
    CHECK(err != NULL);
    CHECK(strcmp(err, message) == 0);
    free(err);
    err = NULL;
}

/* Writes 20000 entries of about 50 bytes: the least that programs write before they ask for sizes. */
static inline void write_megabyte(leveldb_t *db) {
    leveldb_writeoptions_t *write_options = leveldb_writeoptions_create();
    char key[64], value[64];
    int i;
    for (i = 0; i < 20000; i++) {
        snprintf(key, sizeof key, "k%020d", i);
        snprintf(value, sizeof value, "v%020d", i);
        leveldb_put(db, write_options, key, strlen(key), value, strlen(value), &err);
        CHECK_NO_ERROR();
    }
    leveldb_writeoptions_destroy(write_options);
}

#endif
