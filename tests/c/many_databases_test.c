/*
 * Many databases in one process: no thread while they are idle, few threads while they work, and little
 * memory for each. And a system that has no threads left: background work is done by the thread that waits
 * for it, later, or at the latest by close; no thread waits permanently.
 */
#define _GNU_SOURCE
#include "check.h"
#include "terrace.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* The largest number of threads: eight of each of the three kinds, and this one. */
#define MOST_THREADS (1 + 3 * 8)

static int refuse_threads, threads_refused;

/* Replaces the system's function, also for the library. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument) {
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    *(void **)&create = dlsym(RTLD_NEXT, "pthread_create");
    if (__atomic_load_n(&refuse_threads, __ATOMIC_SEQ_CST)) {
        __atomic_fetch_add(&threads_refused, 1, __ATOMIC_SEQ_CST);
        return EAGAIN;
    }
    return create(thread, attributes, start, argument);
}

static void *start_nothing(void *argument) { return argument; }

/* A number from /proc/self/status. */
static long status_of(const char *name) {
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long value = -1;
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            value = atol(line + strlen(name) + 1);
        }
    }
    fclose(file);
    CHECK(value >= 0);
    return value;
}

static long threads(void) { return status_of("Threads"); }

/* Waits until the idle threads have ended. */
static void wait_until_alone(void) {
    int patience;
    for (patience = 0; threads() > 1; patience++) {
        CHECK(patience < 6000);
        usleep(10000);
    }
}

#define MOST 300
static leveldb_t *dbs[MOST];
static char directory[600];

static const char *path_of(int i) {
    static char path[700];
    snprintf(path, sizeof path, "%s/%d", directory, i);
    return path;
}

static void open_all(const leveldb_options_t *options, int count, long most_threads) {
    int i;
    for (i = 0; i < count; i++) {
        dbs[i] = leveldb_open(options, path_of(i), &err);
        CHECK_NO_ERROR();
        CHECK(threads() <= most_threads);
    }
}

static void close_all(int count) {
    int i;
    for (i = 0; i < count; i++) {
        leveldb_close(dbs[i]);
    }
    CHECK(threads() == 1); /* they end with the last database */
}

static void test_many_databases(void) {
    leveldb_options_t *options = create_options();
    struct rlimit files = {65536, 65536};
    int count = under_valgrind() ? 20 : MOST, i;
    long before, each;

    snprintf(directory, sizeof directory, "%s", scratch("many"));
    mkdir(directory, 0755);
    if (setrlimit(RLIMIT_NOFILE, &files) != 0) {
        CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
        files.rlim_cur = files.rlim_max;
        CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
        if (files.rlim_cur < (rlim_t)count * 8) {
            count = (int)(files.rlim_cur / 8);
        }
    }
    before = status_of("RssAnon");
    open_all(options, count, 1);
    for (i = 0; i < count; i++) {
        put(dbs[i], "key", "value");
        check_get(dbs[i], NULL, "key", "value");
        CHECK(threads() == 1);
    }
    each = (status_of("RssAnon") - before) / count;
    CHECK(under_valgrind() || each <= 40); /* kilobytes; 20 were seen */
    close_all(count);

    /* Now there are WALs to be flushed to tables. */
    open_all(options, count, MOST_THREADS);
    wait_until_alone();
    for (i = 0; i < count; i++) {
        check_get(dbs[i], NULL, "key", "value");
    }
    CHECK(threads() <= MOST_THREADS);
    each = (status_of("RssAnon") - before) / count;
    CHECK(under_valgrind() || each <= 60); /* 26 were seen */
    for (i = 0; i < count; i++) {
        leveldb_compact_range(dbs[i], NULL, 0, NULL, 0);
    }
    CHECK(threads() <= MOST_THREADS);
    wait_until_alone();
    close_all(count);
    leveldb_options_destroy(options);
}

/* All calls that wait for background work. */
static void use_without_threads(const char *path, leveldb_options_t *options) {
    leveldb_writeoptions_t *synced = leveldb_writeoptions_create();
    leveldb_t *db;
    int round;

    leveldb_writeoptions_set_sync(synced, 1);
    for (round = 0; round < 2; round++) {
        db = leveldb_open(options, path, &err);
        CHECK_NO_ERROR();
        /* Sixteen memtables: writers wait for flushes and for compactions. */
        write_megabyte(db);
        leveldb_put(db, synced, "key", 3, "value", 5, &err);
        CHECK_NO_ERROR();
        terrace_flush(db, &err);
        CHECK_NO_ERROR();
        leveldb_compact_range(db, NULL, 0, NULL, 0);
        check_get(db, NULL, "k00000000000000010000", "v00000000000000010000");
        put(db, "last", "value"); /* for the next opening */
        leveldb_close(db);
    }
    leveldb_writeoptions_destroy(synced);
}

static void test_no_threads_left(void) {
    const char *path = scratch("alone");
    leveldb_options_t *options = create_options();
    leveldb_t *db;

    leveldb_options_set_write_buffer_size(options, 64 << 10);
    refuse_threads = 1;
    use_without_threads(path, options);
    CHECK(threads_refused > 0);

    /* Deferred work is done once there are threads again. */
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    write_megabyte(db);
    CHECK(threads() == 1);
    refuse_threads = 0;
    terrace_flush(db, &err);
    CHECK_NO_ERROR();
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    check_get(db, NULL, "last", "value");
    leveldb_close(db);
    CHECK(threads() == 1);
    leveldb_options_destroy(options);
}

/* The same with the system's limit on processes, which does not apply to root. */
static void test_a_limit_on_processes(void) {
    char path[] = "/tmp/terrace-limit-XXXXXX", db[100];
    struct rlimit none = {0, 0};
    leveldb_options_t *options = create_options();
    int status;
    pid_t child;

    CHECK(mkdtemp(path) != NULL);
    snprintf(db, sizeof db, "%s/db", path);
    CHECK(geteuid() != 0 || chown(path, 65534, 65534) == 0);
    leveldb_options_set_write_buffer_size(options, 64 << 10);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        pthread_t thread;
        CHECK(geteuid() != 0 || setresuid(65534, 65534, 65534) == 0);
        CHECK(setrlimit(RLIMIT_NPROC, &none) == 0);
        CHECK(pthread_create(&thread, NULL, start_nothing, NULL) == EAGAIN);
        use_without_threads(db, options);
        end_child();
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    leveldb_destroy_db(options, db, &err);
    CHECK_NO_ERROR();
    CHECK(rmdir(path) == 0);
    leveldb_options_destroy(options);
}

int main(void) {
    test_many_databases();
    test_no_threads_left();
    if (!under_valgrind()) {
        test_a_limit_on_processes();
    }
    return passed();
}
