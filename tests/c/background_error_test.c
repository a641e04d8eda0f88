/*
 * The reports of failed background work and of refused writes, and retrying: terrace_background_error() and
 * terrace_resume().
 *
 * Without arguments, the test limits the size of files (RLIMIT_FSIZE), which needs no privileges: a flush
 * fails, then the WAL. The argument is the directory of a small disk with a file `ballast`: then the test
 * fills this disk instead (tests/disk_full).
 */
#include "terrace.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "check.h"

static void limit_files_to(rlim_t bytes) {
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static uint64_t now_micros(void) {
    struct timeval now;
    CHECK(gettimeofday(&now, NULL) == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_usec;
}

/* Bytes that do not compress. */
static void fill(char *value, size_t length, unsigned seed) {
    for (size_t i = 0; i < length; i++) {
        seed = seed * 1103515245u + 12345u;
        value[i] = (char)(seed >> 16);
    }
}

static void store(leveldb_t *db, const char *key, const char *value, size_t length) {
    leveldb_writeoptions_t *options = leveldb_writeoptions_create();
    leveldb_put(db, options, key, strlen(key), value, length, &err);
    leveldb_writeoptions_destroy(options);
}

static void check_value(leveldb_t *db, const char *key, const char *value, size_t length) {
    leveldb_readoptions_t *options = leveldb_readoptions_create();
    size_t found_length;
    char *found = leveldb_get(db, options, key, strlen(key), &found_length, &err);
    CHECK_NO_ERROR();
    CHECK(found != NULL && found_length == length && memcmp(found, value, length) == 0);
    leveldb_free(found);
    leveldb_readoptions_destroy(options);
}

/* Checks a failure that happened after `since`: its errno, and the end of the name of its file in `path`. */
static void check_failure(const terrace_background_error_t *failure, int number, const char *path,
                          const char *ending, uint64_t since) {
    char *file, *message;
    CHECK(failure != NULL);
    CHECK(terrace_background_error_errno(failure) == number);
    CHECK(terrace_background_error_code(failure) == TERRACE_IO_ERROR);
    CHECK(terrace_background_error_since_micros(failure) >= since);
    CHECK(terrace_background_error_since_micros(failure) <= now_micros());
    file = terrace_background_error_path(failure);
    CHECK(file != NULL && strncmp(file, path, strlen(path)) == 0);
    CHECK(ending == NULL || strcmp(file + strlen(file) - strlen(ending), ending) == 0);
    message = terrace_background_error_message(failure);
    CHECK(message != NULL && strstr(message, file) != NULL && strstr(message, strerror(number)) != NULL);
    leveldb_free(file);
    leveldb_free(message);
}

static void check_failed(leveldb_t *db, int severity, const char *path, const char *ending, uint64_t since) {
    terrace_background_error_t *failure = terrace_background_error(db);
    check_failure(failure, EFBIG, path, ending, since);
    CHECK(terrace_background_error_severity(failure) == severity);
    terrace_background_error_destroy(failure);
}

static void check_well(leveldb_t *db) { CHECK(terrace_background_error(db) == NULL); }

static void test_files_that_may_not_grow(void) {
    const char *path = scratch("background-error");
    static char large[90000], huge[6 << 20];
    uint64_t since = now_micros();
    leveldb_options_t *options = create_options();
    leveldb_t *db = open_fresh(path);
    terrace_background_error_t *kept;

    signal(SIGXFSZ, SIG_IGN);
    fill(large, sizeof large, 1);
    fill(huge, sizeof huge, 2);
    store(db, "large", large, sizeof large);
    CHECK_NO_ERROR();
    check_well(db);

    /* A flush fails: it is retried, and reads and writes continue. */
    limit_files_to(32 << 10);
    terrace_flush(db, &err);
    CHECK_ERROR("IO error: ");
    check_failed(db, TERRACE_SEVERITY_RETRYING, path, ".ldb", since);
    check_value(db, "large", large, sizeof large);
    store(db, "small", "value", 5);
    CHECK_NO_ERROR();
    terrace_resume(db, &err);
    CHECK_ERROR("IO error: ");
    limit_files_to(RLIM_INFINITY);
    /* A retry that has started before may still fail. */
    for (int tries = 0; tries < 3; tries++) {
        leveldb_free(err);
        err = NULL;
        terrace_resume(db, &err);
        if (err == NULL) {
            break;
        }
    }
    CHECK_NO_ERROR();
    check_well(db);

    /* A record that fits into no WAL: this write fails, and nothing else. */
    limit_files_to(64 << 10);
    store(db, "huge", huge, sizeof huge);
    CHECK_ERROR("IO error: ");
    check_well(db);
    store(db, "later", "value", 5);
    CHECK_NO_ERROR();
    terrace_resume(db, &err);
    CHECK_NO_ERROR();
    check_value(db, "large", large, sizeof large);
    check_value(db, "later", "value", 5);
    /* A flush fails again. */
    store(db, "large", large, 60000);
    CHECK_NO_ERROR();
    limit_files_to(32 << 10);
    terrace_flush(db, &err);
    CHECK_ERROR("IO error: ");

    /* The report outlives the database. When it is opened again, the database has all acknowledged writes. */
    kept = terrace_background_error(db);
    leveldb_close(db);
    CHECK(terrace_background_error_errno(kept) == EFBIG);
    terrace_background_error_destroy(kept);
    limit_files_to(RLIM_INFINITY);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    check_well(db);
    check_value(db, "large", large, 60000);
    check_value(db, "small", "value", 5);
    store(db, "huge", huge, sizeof huge);
    CHECK_NO_ERROR();
    leveldb_options_destroy(options);
    close_and_destroy(db, path);
}

/* Writes until the disk is full: writes fail, and succeed again when there is space. */
static void test_full_disk(const char *directory) {
    static char value[1000];
    char path[600], ballast[600], key[32];
    uint64_t since = now_micros();
    leveldb_options_t *options = create_options();
    leveldb_t *db;
    terrace_background_error_t *failure = NULL;
    unsigned written = 0;

    snprintf(path, sizeof path, "%s/c-api", directory);
    snprintf(ballast, sizeof ballast, "%s/ballast", directory);
    leveldb_options_set_write_buffer_size(options, 256 << 10);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    /* A compaction may free some space meanwhile. */
    while (failure == NULL) {
        CHECK(written < 1000000);
        snprintf(key, sizeof key, "key%08u", written);
        fill(value, sizeof value, written);
        store(db, key, value, sizeof value);
        if (err == NULL) {
            written++;
            continue;
        }
        CHECK(strstr(err, strerror(ENOSPC)) != NULL);
        CHECK_ERROR("IO error: ");
        failure = terrace_background_error(db);
    }
    check_failure(failure, ENOSPC, path, NULL, since);
    /* Writers wait for a flush, or the WAL itself had no space: in both cases the database need not be
     * reopened. */
    CHECK(terrace_background_error_severity(failure) < TERRACE_SEVERITY_UNTIL_REOPENED);
    terrace_background_error_destroy(failure);
    for (unsigned i = 0; i < written; i += 97) {
        snprintf(key, sizeof key, "key%08u", i);
        fill(value, sizeof value, i);
        check_value(db, key, value, sizeof value);
    }
    CHECK(unlink(ballast) == 0);
    for (int tries = 0; tries < 3; tries++) {
        terrace_resume(db, &err);
        if (err == NULL) {
            break;
        }
        leveldb_free(err);
        err = NULL;
    }
    check_well(db);
    store(db, "after", "value", 5);
    CHECK_NO_ERROR();
    check_value(db, "after", "value", 5);
    leveldb_close(db);
    leveldb_destroy_db(options, path, &err);
    CHECK_NO_ERROR();
    leveldb_options_destroy(options);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        test_full_disk(argv[1]);
    } else {
        test_files_that_may_not_grow();
    }
    return passed();
}
