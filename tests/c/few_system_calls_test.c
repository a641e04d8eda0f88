/*
 * Kernels, sandboxes and file systems without shared mappings of files, without allocation of space, or
 * without one of the calls that are only hints or queries: nothing fails, and the writes of a process that
 * ended without closing are recovered.
 */
#define _GNU_SOURCE
#include "terrace.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "check.h"
#include "system_filter.h"

enum { VALUE = 1000 };

static const char *path;

static int entries(void) { return under_valgrind() ? 300 : 2000; }

static void key_of(char *key, int number) { snprintf(key, 16, "key%06d", number); }

/* Bytes that do not compress, different for each key. */
static void fill(char *value, int number) {
    unsigned seed = 12345u + (unsigned)number;
    for (int i = 0; i < VALUE; i++) {
        seed = seed * 1103515245u + 12345u;
        value[i] = (char)(seed >> 16);
    }
}

static leveldb_t *open_it(void) {
    leveldb_options_t *options = create_options();
    leveldb_t *db;
    leveldb_options_set_write_buffer_size(options, 256 << 10);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    leveldb_options_destroy(options);
    return db;
}

static void write_some(leveldb_t *db, int from, int to) {
    leveldb_writeoptions_t *plain = leveldb_writeoptions_create(), *synced = leveldb_writeoptions_create();
    char key[16], value[VALUE];
    leveldb_writeoptions_set_sync(synced, 1);
    for (int i = from; i < to; i++) {
        key_of(key, i);
        fill(value, i);
        leveldb_put(db, i % 100 == 0 ? synced : plain, key, strlen(key), value, VALUE, &err);
        CHECK_NO_ERROR();
    }
    leveldb_writeoptions_destroy(plain);
    leveldb_writeoptions_destroy(synced);
}

static void check_all(leveldb_t *db) {
    leveldb_readoptions_t *options = leveldb_readoptions_create();
    leveldb_iterator_t *iterator = leveldb_create_iterator(db, options);
    char key[16], value[VALUE];
    int count = 0;
    for (leveldb_iter_seek_to_first(iterator); leveldb_iter_valid(iterator); leveldb_iter_next(iterator)) {
        size_t length;
        const char *found = leveldb_iter_key(iterator, &length);
        key_of(key, count);
        CHECK(length == strlen(key) && memcmp(found, key, length) == 0);
        fill(value, count);
        found = leveldb_iter_value(iterator, &length);
        CHECK(length == VALUE && memcmp(found, value, VALUE) == 0);
        count++;
    }
    leveldb_iter_get_error(iterator, &err);
    CHECK_NO_ERROR();
    CHECK(count == entries());
    leveldb_iter_destroy(iterator);
    leveldb_readoptions_destroy(options);
}

struct missing {
    int call, argument;
    unsigned value, error;
};

static void check_end(pid_t child, const struct missing *missing) {
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "with system call %d failing with \"%s\":\n", missing->call, strerror((int)missing->error));
    }
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* In processes of their own: one writes the first half and closes, another one writes the second half and
 * just ends. */
static void check_without(const struct missing *missing) {
    pid_t child = fork();
    leveldb_options_t *options;
    leveldb_t *db;
    CHECK(child >= 0);
    if (child == 0) {
        let_fail(missing->call, missing->argument, missing->value, missing->error);
        if (missing->call == SYS_mmap && under_valgrind()) {
            /* The library passes the address. */
            let_fail(missing->call, missing->argument, missing->value | MAP_FIXED, missing->error);
        }
        db = open_it();
        write_some(db, 0, entries() / 2);
        terrace_flush(db, &err);
        CHECK_NO_ERROR();
        leveldb_compact_range(db, NULL, 0, NULL, 0);
        leveldb_close(db);
        db = open_it();
        write_some(db, entries() / 2, entries());
        check_all(db);
        CHECK(terrace_background_error(db) == NULL);
        end_child();
    }
    check_end(child, missing);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        let_fail(missing->call, missing->argument, missing->value, missing->error);
        db = open_it();
        check_all(db);
        leveldb_close(db);
        end_child();
    }
    check_end(child, missing);
    db = open_it();
    check_all(db);
    leveldb_close(db);
    options = leveldb_options_create();
    leveldb_destroy_db(options, path, &err);
    CHECK_NO_ERROR();
    leveldb_options_destroy(options);
}

/* Uses tmpfs, where WALs are mapped: on the file system of the scratch directory they may not be. */
static void use_memory_disk(void) {
    static char directory[64];
    snprintf(directory, sizeof directory, "/dev/shm/terrace-calls-%d", (int)getpid());
    path = directory;
}

int main(void) {
    static const struct missing systems[] = {
        /* Shared mappings: 9p, FUSE with direct I/O, some sandboxes. */
        {SYS_mmap, 3, MAP_SHARED, ENODEV},
        {SYS_mmap, 3, MAP_SHARED, EPERM},
        {SYS_mmap, 3, MAP_SHARED, EACCES},
        {SYS_mmap, 3, MAP_SHARED, ENOMEM},
        {SYS_mmap, 3, MAP_SHARED, EAGAIN},
        {SYS_mmap, 3, MAP_SHARED, ENFILE},
        /* Preallocation: NFS, FUSE, ext3, old kernels. */
        {SYS_fallocate, ANY_ARGUMENT, 0, EOPNOTSUPP},
        {SYS_fallocate, ANY_ARGUMENT, 0, ENOSYS},
        {SYS_fallocate, ANY_ARGUMENT, 0, EPERM},
        {SYS_fallocate, ANY_ARGUMENT, 0, EINVAL},
        {SYS_fallocate, ANY_ARGUMENT, 0, ENOSPC},
        {SYS_fallocate, ANY_ARGUMENT, 0, EDQUOT},
        {SYS_fallocate, ANY_ARGUMENT, 0, EIO},
        /* Linux before 5.14, and pages that cannot be allocated. */
        {SYS_madvise, 2, 23 /* MADV_POPULATE_WRITE */, EINVAL},
        {SYS_madvise, 2, 23, EFAULT},
        {SYS_madvise, 2, 23, ENOMEM},
        {SYS_madvise, ANY_ARGUMENT, 0, ENOSYS},
        {SYS_madvise, ANY_ARGUMENT, 0, EPERM},
        {SYS_fstatfs, ANY_ARGUMENT, 0, ENOSYS},
        {SYS_fstatfs, ANY_ARGUMENT, 0, EPERM},
        {SYS_sync_file_range, ANY_ARGUMENT, 0, ENOSYS},
        {SYS_sync_file_range, ANY_ARGUMENT, 0, EPERM},
        {SYS_sync_file_range, ANY_ARGUMENT, 0, ESPIPE},
        {SYS_fadvise64, ANY_ARGUMENT, 0, ENOSYS},
        {SYS_fadvise64, ANY_ARGUMENT, 0, EPERM},
        {SYS_prlimit64, ANY_ARGUMENT, 0, EPERM},
        {SYS_sched_getaffinity, ANY_ARGUMENT, 0, ENOSYS},
        {SYS_sched_getaffinity, ANY_ARGUMENT, 0, EPERM},
    };
    /* Under valgrind, which is slow, only a few of them. */
    for (size_t i = 0; i < sizeof systems / sizeof systems[0]; i += under_valgrind() ? 5 : 1) {
        if (i % 2 == 0) {
            use_memory_disk();
        } else {
            path = scratch("calls");
        }
        check_without(&systems[i]);
    }
    return passed();
}
