/*
 * fork(): a child's calls on its parent's database fail and never hang, whatever the parent's threads were
 * doing. The parent is not affected. A child whose parent had no other call running may open databases of its
 * own.
 */
#include "terrace.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "check.h"

/* An alarm ends a child that hangs after this time, and the test fails. */
#define PATIENCE_SECONDS 120

/* Starts a child. Returns 0 in the child. */
static pid_t child_of(void) {
    pid_t child;
    fflush(NULL);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(PATIENCE_SECONDS);
    }
    return child;
}

static void check_child(pid_t child) {
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}

#define CHECK_USED_AFTER_FORK()                                                                   \
    do {                                                                                          \
        CHECK(err != NULL && strstr(err, "used after fork") != NULL);                             \
        CHECK_ERROR("IO error: ");                                                                \
    } while (0)

#define CHECK_LAST_USED_AFTER_FORK()                                                              \
    do {                                                                                          \
        char *text = terrace_last_error_message();                                                \
        CHECK(text != NULL && strstr(text, "used after fork") != NULL);                           \
        leveldb_free(text);                                                                       \
        leveldb_put(NULL, NULL, "", 0, "", 0, NULL); /* another error in its place */             \
    } while (0)

/* All calls that write, and those that wait for background work. */
static void check_changes_are_refused(leveldb_t *db, const char *path) {
    leveldb_writeoptions_t *options = leveldb_writeoptions_create();
    leveldb_writebatch_t *batch = leveldb_writebatch_create();
    leveldb_put(db, options, "k", 1, "child", 5, &err);
    CHECK_USED_AFTER_FORK();
    leveldb_writeoptions_set_sync(options, 1);
    leveldb_put(db, options, "k", 1, "child", 5, &err);
    CHECK_USED_AFTER_FORK();
    leveldb_delete(db, options, "k", 1, &err);
    CHECK_USED_AFTER_FORK();
    leveldb_writebatch_put(batch, "k", 1, "child", 5);
    leveldb_write(db, options, batch, &err);
    CHECK_USED_AFTER_FORK();
    leveldb_write(db, options, NULL, &err);
    CHECK_USED_AFTER_FORK();
    terrace_flush(db, &err);
    CHECK_USED_AFTER_FORK();
    terrace_compact_range(db, NULL, 0, NULL, 0, &err);
    CHECK_USED_AFTER_FORK();
    leveldb_compact_range(db, "a", 1, "b", 1);
    CHECK_LAST_USED_AFTER_FORK();
    leveldb_destroy_db(NULL, path, &err);
    CHECK_ERROR("IO error: lock ");
    leveldb_repair_db(NULL, path, &err);
    CHECK_ERROR("IO error: lock ");
    CHECK(leveldb_open(NULL, path, &err) == NULL);
    CHECK_ERROR("IO error: lock ");
    leveldb_writebatch_destroy(batch);
    leveldb_writeoptions_destroy(options);
}

static void check_reads_are_refused(leveldb_t *db) {
    leveldb_readoptions_t *options = leveldb_readoptions_create();
    const char *start[1] = {"a"}, *limit[1] = {"z"};
    const size_t length[1] = {1};
    uint64_t sizes[1] = {77};
    size_t size = 77;
    leveldb_iterator_t *iter;
    CHECK(leveldb_get(db, options, "k", 1, &size, &err) == NULL && size == 0);
    CHECK_USED_AFTER_FORK();
    CHECK(leveldb_property_value(db, "leveldb.stats") == NULL);
    CHECK_LAST_USED_AFTER_FORK();
    leveldb_approximate_sizes(db, 1, start, length, limit, length, sizes);
    CHECK(sizes[0] == 0);
    CHECK_LAST_USED_AFTER_FORK();
    CHECK(leveldb_create_snapshot(db) == NULL);
    CHECK_LAST_USED_AFTER_FORK();
    iter = leveldb_create_iterator(db, options);
    CHECK(iter != NULL && !leveldb_iter_valid(iter));
    leveldb_iter_seek_to_first(iter);
    CHECK(!leveldb_iter_valid(iter));
    leveldb_iter_get_error(iter, &err);
    CHECK_USED_AFTER_FORK();
    leveldb_iter_destroy(iter);
    leveldb_readoptions_destroy(options);
}

/* An inherited iterator keeps its position, and becomes invalid when it is moved. */
static void check_inherited_iterator(leveldb_iterator_t *iter, void (*move)(leveldb_iterator_t *)) {
    check_entry(iter, "k", "parent");
    move(iter);
    CHECK(!leveldb_iter_valid(iter));
    leveldb_iter_get_error(iter, &err);
    CHECK_USED_AFTER_FORK();
    leveldb_iter_seek(iter, "k", 1);
    CHECK(!leveldb_iter_valid(iter));
    leveldb_iter_destroy(iter);
}

static void test_a_child_is_refused_and_its_parent_goes_on(void) {
    const char *path = scratch("refused");
    leveldb_t *db = open_fresh(path);
    leveldb_readoptions_t *read_options = leveldb_readoptions_create();
    const leveldb_snapshot_t *snapshot;
    leveldb_iterator_t *iterators[2];
    pid_t child;
    int i;

    put(db, "k", "parent");
    snapshot = leveldb_create_snapshot(db);
    for (i = 0; i < 2; i++) {
        iterators[i] = leveldb_create_iterator(db, read_options);
        leveldb_iter_seek_to_first(iterators[i]);
    }
    put(db, "k", "newer");
    child = child_of();
    if (child == 0) {
        check_changes_are_refused(db, path);
        check_reads_are_refused(db);
        check_inherited_iterator(iterators[0], leveldb_iter_next);
        check_inherited_iterator(iterators[1], leveldb_iter_prev);
        leveldb_release_snapshot(db, snapshot);
        leveldb_readoptions_destroy(read_options);
        terrace_close(db, &err);
        CHECK_NO_ERROR();
        end_child();
    }
    check_child(child);

    /* A child that closes nothing and exits normally. */
    child = child_of();
    if (child == 0) {
        if (RUNNING_ON_VALGRIND) {
            end_child();
        }
        exit(0);
    }
    check_child(child);

    check_get(db, NULL, "k", "newer");
    leveldb_readoptions_set_snapshot(read_options, snapshot);
    check_get(db, read_options, "k", "parent");
    leveldb_release_snapshot(db, snapshot);
    for (i = 0; i < 2; i++) {
        check_entry(iterators[i], "k", "parent");
        leveldb_iter_next(iterators[i]);
        CHECK(!leveldb_iter_valid(iterators[i]));
        leveldb_iter_get_error(iterators[i], &err);
        CHECK_NO_ERROR();
        leveldb_iter_destroy(iterators[i]);
    }
    put(db, "l", "after the children");
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    put(db, "m", "in the log");
    leveldb_close(db);
    db = leveldb_open(NULL, path, &err);
    CHECK_NO_ERROR();
    check_get(db, NULL, "k", "newer");
    check_get(db, NULL, "l", "after the children");
    check_get(db, NULL, "m", "in the log");
    leveldb_readoptions_destroy(read_options);
    close_and_destroy(db, path);
}

/* ---- A parent whose threads are inside calls ---- */

#define WRITERS 4

struct busy {
    leveldb_t *db;
    int number;
    long written;
    pthread_t thread;
};

static atomic_int busy_ends;

static void *keep_writing(void *argument) {
    struct busy *busy = argument;
    leveldb_writeoptions_t *options = leveldb_writeoptions_create();
    char *error = NULL;
    while (!atomic_load(&busy_ends)) {
        char key[32], value[200];
        memset(value, 'a' + busy->number, sizeof value);
        snprintf(key, sizeof key, "%d-%08ld", busy->number, busy->written);
        leveldb_put(busy->db, options, key, strlen(key), value, sizeof value, &error);
        if (error != NULL) {
            break;
        }
        busy->written++;
    }
    leveldb_writeoptions_destroy(options);
    return error;
}

static void *keep_reading(void *argument) {
    struct busy *busy = argument;
    leveldb_readoptions_t *options = leveldb_readoptions_create();
    char *error = NULL;
    while (!atomic_load(&busy_ends) && error == NULL) {
        leveldb_iterator_t *iter = leveldb_create_iterator(busy->db, options);
        const leveldb_snapshot_t *snapshot = leveldb_create_snapshot(busy->db);
        int i;
        leveldb_iter_seek_to_first(iter);
        for (i = 0; i < 100 && leveldb_iter_valid(iter); i++) {
            leveldb_iter_next(iter);
        }
        leveldb_iter_get_error(iter, &error);
        leveldb_free(leveldb_property_value(busy->db, "leveldb.stats"));
        leveldb_release_snapshot(busy->db, snapshot);
        leveldb_iter_destroy(iter);
    }
    leveldb_readoptions_destroy(options);
    return error;
}

static void test_children_of_a_busy_parent_are_refused_and_never_hang(void) {
    const char *path = scratch("busy");
    const int children = under_valgrind() ? 5 : 60;
    leveldb_cache_t *cache = leveldb_cache_create_lru(1 << 20);
    leveldb_filterpolicy_t *policy = leveldb_filterpolicy_create_bloom(10);
    leveldb_options_t *options = create_options();
    leveldb_readoptions_t *read_options = leveldb_readoptions_create();
    struct busy busy[WRITERS + 1];
    leveldb_iterator_t *iter;
    leveldb_t *db;
    long expected = 0, found = 0;
    int i;

    leveldb_options_set_write_buffer_size(options, 100000);
    leveldb_options_set_cache(options, cache);
    leveldb_options_set_filter_policy(options, policy);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    atomic_store(&busy_ends, 0);
    for (i = 0; i <= WRITERS; i++) {
        busy[i].db = db;
        busy[i].number = i;
        busy[i].written = 0;
        CHECK(pthread_create(&busy[i].thread, NULL, i < WRITERS ? keep_writing : keep_reading, &busy[i]) == 0);
    }
    for (i = 0; i < children; i++) {
        pid_t child = child_of();
        if (child == 0) {
            leveldb_writeoptions_t *write_options = leveldb_writeoptions_create();
            leveldb_put(db, write_options, "k", 1, "child", 5, &err);
            CHECK_USED_AFTER_FORK();
            CHECK(leveldb_get(db, read_options, "k", 1, NULL, &err) == NULL);
            CHECK_USED_AFTER_FORK();
            terrace_flush(db, &err);
            CHECK_USED_AFTER_FORK();
            terrace_upgrade_tables(db, &err);
            CHECK_USED_AFTER_FORK();
            if (i % 2 == 0) {
                leveldb_close(db);
            }
            leveldb_writeoptions_destroy(write_options);
            end_child();
        }
        check_child(child);
    }
    atomic_store(&busy_ends, 1);
    for (i = 0; i <= WRITERS; i++) {
        void *error = NULL;
        CHECK(pthread_join(busy[i].thread, &error) == 0);
        CHECK(error == NULL);
        expected += busy[i].written;
    }
    leveldb_close(db);

    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    iter = leveldb_create_iterator(db, read_options);
    for (leveldb_iter_seek_to_first(iter); leveldb_iter_valid(iter); leveldb_iter_next(iter)) {
        size_t key_length, value_length;
        const char *key = leveldb_iter_key(iter, &key_length);
        const char *value = leveldb_iter_value(iter, &value_length);
        CHECK(value_length == 200 && value[0] == 'a' + (key[0] - '0') && value[199] == value[0]);
        found++;
    }
    leveldb_iter_get_error(iter, &err);
    CHECK_NO_ERROR();
    CHECK(found == expected && found > 0);
    leveldb_iter_destroy(iter);
    leveldb_options_destroy(options);
    leveldb_readoptions_destroy(read_options);
    close_and_destroy(db, path);
    leveldb_cache_destroy(cache);
    leveldb_filterpolicy_destroy(policy);
}

/* ---- A child with a database of its own ---- */

static void *write_in_child(void *argument) {
    leveldb_writeoptions_t *options = leveldb_writeoptions_create();
    char key[32], *error = NULL;
    int i;
    for (i = 0; i < 300 && error == NULL; i++) {
        snprintf(key, sizeof key, "%p-%d", (void *)&key, i);
        leveldb_put(argument, options, key, strlen(key), "value", 5, &error);
    }
    leveldb_writeoptions_destroy(options);
    return error;
}

/* Uses the parent's options, with its cache and its filter policy. */
static void use_another_database(const leveldb_options_t *options, const char *path) {
    leveldb_t *db = leveldb_open(options, path, &err);
    pthread_t threads[3];
    void *error;
    int i;
    CHECK_NO_ERROR();
    for (i = 0; i < 3; i++) {
        CHECK(pthread_create(&threads[i], NULL, write_in_child, db) == 0);
    }
    put(db, "mine", "1");
    for (i = 0; i < 3; i++) {
        CHECK(pthread_join(threads[i], &error) == 0 && error == NULL);
    }
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    check_get(db, NULL, "mine", "1");
    terrace_close(db, &err);
    CHECK_NO_ERROR();
    leveldb_destroy_db(options, path, &err);
    CHECK_NO_ERROR();
}

static void test_a_child_opens_another_database(void) {
    const char *path = scratch("parent");
    const int children = under_valgrind() ? 2 : 20;
    leveldb_cache_t *cache = leveldb_cache_create_lru(1 << 20);
    leveldb_filterpolicy_t *policy = leveldb_filterpolicy_create_bloom(10);
    leveldb_options_t *options = create_options();
    leveldb_t *db;
    int i;

    leveldb_options_set_write_buffer_size(options, 100000);
    leveldb_options_set_cache(options, cache);
    leveldb_options_set_filter_policy(options, policy);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    write_megabyte(db);
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    for (i = 0; i < children; i++) {
        pid_t child = child_of();
        if (child == 0) {
            use_another_database(options, scratch("own")); /* the name has the process's number in it */
            leveldb_put(db, NULL, "k", 1, "child", 5, &err);
            CHECK_USED_AFTER_FORK();
            leveldb_close(db);
            end_child();
        }
        put(db, "while the child lives", "v");
        check_child(child);
    }
    leveldb_options_destroy(options);
    close_and_destroy(db, path);
    leveldb_cache_destroy(cache);
    leveldb_filterpolicy_destroy(policy);
}

/* ---- The lock ---- */

/* A child that has inherited its parent's open files, and waits until its pipe is closed. */
static pid_t sleeping_child(int *end) {
    int ends[2];
    pid_t child;
    CHECK(pipe(ends) == 0);
    child = child_of();
    if (child == 0) {
        char byte;
        close(ends[1]);
        CHECK(read(ends[0], &byte, 1) == 0);
        end_child();
    }
    close(ends[0]);
    *end = ends[1];
    return child;
}

static void test_the_lock_ends_with_the_parents_close_and_with_nothing_else(void) {
    const char *path = scratch("lock");
    leveldb_t *db = open_fresh(path);
    pid_t sleeping, child;
    int end;

    sleeping = sleeping_child(&end);
    child = child_of();
    if (child == 0) {
        leveldb_close(db);
        end_child();
    }
    check_child(child);
    /* The lock registry of this process, and the file lock as another process sees it. */
    CHECK(leveldb_open(NULL, path, &err) == NULL);
    CHECK_ERROR("IO error: lock ");
    child = child_of();
    if (child == 0) {
        CHECK(leveldb_open(NULL, path, &err) == NULL);
        CHECK_ERROR("IO error: lock ");
        end_child();
    }
    check_child(child);

    leveldb_close(db);
    child = child_of();
    if (child == 0) {
        db = leveldb_open(NULL, path, &err);
        CHECK_NO_ERROR();
        put(db, "k", "a child's, in its own right");
        /* A child of that child is refused too. */
        child = child_of();
        if (child == 0) {
            CHECK(leveldb_get(db, NULL, "k", 1, NULL, &err) == NULL);
            CHECK_USED_AFTER_FORK();
            CHECK(leveldb_open(NULL, path, &err) == NULL);
            CHECK_ERROR("IO error: lock ");
            leveldb_close(db);
            end_child();
        }
        check_child(child);
        leveldb_close(db);
        end_child();
    }
    check_child(child);
    db = leveldb_open(NULL, path, &err);
    CHECK_NO_ERROR();
    check_get(db, NULL, "k", "a child's, in its own right");
    close(end);
    check_child(sleeping);
    close_and_destroy(db, path);
}

static void test_a_killed_process_leaves_no_lock_with_its_children(void) {
    const char *path = scratch("killed");
    int ready[2], life[2], status;
    char byte;
    leveldb_t *db;
    pid_t victim;

    CHECK(pipe(ready) == 0 && pipe(life) == 0);
    victim = child_of();
    if (victim == 0) {
        db = open_fresh(path);
        put(db, "k", "v");
        if (child_of() == 0) {
            /* Waits until the test is over. */
            close(life[1]);
            CHECK(write(ready[1], "!", 1) == 1);
            CHECK(read(life[0], &byte, 1) == 0);
            end_child();
        }
        pause();
    }
    CHECK(read(ready[0], &byte, 1) == 1);
    CHECK(leveldb_open(NULL, path, &err) == NULL);
    CHECK_ERROR("IO error: lock ");
    CHECK(kill(victim, SIGKILL) == 0 && waitpid(victim, &status, 0) == victim);
    db = leveldb_open(NULL, path, &err);
    CHECK_NO_ERROR();
    check_get(db, NULL, "k", "v");
    close(life[0]);
    close(life[1]);
    close(ready[0]);
    close(ready[1]);
    close_and_destroy(db, path);
}

int main(void) {
    test_a_child_is_refused_and_its_parent_goes_on();
    test_children_of_a_busy_parent_are_refused_and_never_hang();
    test_a_child_opens_another_database();
    test_the_lock_ends_with_the_parents_close_and_with_nothing_else();
    test_a_killed_process_leaves_no_lock_with_its_children();
    return passed();
}
