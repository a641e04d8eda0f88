/*
 * Closed standard descriptors: no file of a database gets their numbers, so that the program's output is not
 * written into such a file.
 */
#define _GNU_SOURCE
#include "terrace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "check.h"

#define ENTRIES 100
#define VALUE 10000

static atomic_int is_printing;

/* A program that prints although its output is closed. */
static void *print_all_the_time(void *unused) {
    while (atomic_load(&is_printing)) {
        if (write(1, "progress\n", 9) == 9 || write(2, "warning\n", 8) == 8) {
            abort();
        }
    }
    return unused;
}

static void check_no_standard_descriptor_is_open(void) {
    int i;
    for (i = 0; i < 3; i++) {
        CHECK(fcntl(i, F_GETFD) == -1 && errno == EBADF);
    }
}

static int count_entries(leveldb_t *db) {
    leveldb_readoptions_t *options = leveldb_readoptions_create();
    leveldb_iterator_t *iter = leveldb_create_iterator(db, options);
    int count = 0;
    for (leveldb_iter_seek_to_first(iter); leveldb_iter_valid(iter); leveldb_iter_next(iter)) {
        count++;
    }
    leveldb_iter_get_error(iter, &err);
    CHECK_NO_ERROR();
    leveldb_iter_destroy(iter);
    leveldb_readoptions_destroy(options);
    return count;
}

static void write_entries(leveldb_t *db) {
    leveldb_writeoptions_t *options = leveldb_writeoptions_create();
    static char value[VALUE];
    char key[32];
    int i;
    for (i = 0; i < ENTRIES; i++) {
        size_t length = (size_t)snprintf(key, sizeof key, "%06d", i);
        leveldb_writeoptions_set_sync(options, i % 20 == 0);
        leveldb_put(db, options, key, length, value, sizeof value, &err);
        CHECK_NO_ERROR();
    }
    leveldb_writeoptions_destroy(options);
}

/* All operations that open files: WALs, tables, MANIFESTs, LOCK, LOG, directories. `closed`: a bit for each
 * descriptor to close. */
static void use_a_database(const char *path, int closed) {
    leveldb_options_t *options = create_options();
    leveldb_t *db;
    pthread_t printer;
    int i, round;
    for (i = 0; i < 3; i++) {
        if (closed & 1 << i) {
            close(i);
        }
    }
    leveldb_options_set_write_buffer_size(options, 64 << 10);
    leveldb_options_set_paranoid_checks(options, 1);
    if (closed == 7) {
        atomic_store(&is_printing, 1);
        CHECK(pthread_create(&printer, NULL, print_all_the_time, NULL) == 0);
    }
    for (round = 0; round < 2; round++) {
        terrace_options_set_mmap_reads(options, round == 0);
        terrace_options_set_mmap_wal(options, round == 0);
        db = leveldb_open(options, path, &err);
        CHECK_NO_ERROR();
        write_entries(db);
        leveldb_compact_range(db, NULL, 0, NULL, 0);
        CHECK(count_entries(db) == ENTRIES);
        leveldb_close(db);
        /* Not earlier: a thread of the library that opens a file may have just got such a number, and not have
         * given it back. (Nothing can be written through it meanwhile.) */
        for (i = 0; i < 3; i++) {
            CHECK((fcntl(i, F_GETFD) == -1) == (closed >> i & 1));
        }
    }
    if (closed == 7) {
        check_no_standard_descriptor_is_open();
        atomic_store(&is_printing, 0);
        pthread_join(printer, NULL);
    }
    leveldb_repair_db(options, path, &err);
    CHECK_NO_ERROR();
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    CHECK(count_entries(db) == ENTRIES);
    leveldb_close(db);
    leveldb_destroy_db(options, path, &err);
    CHECK_NO_ERROR();
    leveldb_options_destroy(options);
}

/* If no descriptor from 3 on is free, an open fails as if there were no descriptor. */
static void check_too_few_descriptors(const char *path) {
    struct rlimit limit = {3, 3};
    leveldb_options_t *options = create_options();
    close(0);
    close(1);
    close(2);
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(leveldb_open(options, path, &err) == NULL);
    CHECK(strstr(err, "Too many open files") != NULL);
    CHECK_ERROR("IO error: ");
    check_no_standard_descriptor_is_open();
    leveldb_options_destroy(options);
}

/* Runs in a process of its own. Only its exit status reports the result, because it cannot print. */
#define IN_A_CHILD(call)                                                                          \
    do {                                                                                          \
        int status = 0;                                                                           \
        pid_t child = fork();                                                                     \
        CHECK(child >= 0);                                                                        \
        if (child == 0) {                                                                         \
            call;                                                                                 \
            end_child();                                                                          \
        }                                                                                         \
        CHECK(waitpid(child, &status, 0) == child);                                               \
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);                                     \
    } while (0)

int main(void) {
    int closed;
    for (closed = under_valgrind() ? 7 : 1; closed < 8; closed++) {
        IN_A_CHILD(use_a_database(scratch("closed"), closed));
    }
    if (!under_valgrind()) { /* which has limits of its own */
        IN_A_CHILD(check_too_few_descriptors(scratch("few")));
    }
    return passed();
}
