/*
 * Calls LevelDB's functions, and some of ours, each on a thread of its own with a stack of BYTES bytes. A
 * function that needs more stack runs into the guard page: the last line of the output then names the
 * function.
 *
 *   small_stack LIBRARY DIRECTORY BYTES
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <leveldb/c.h>
#include <terrace.h>

#define CHECK(condition)                                                                          \
    do {                                                                                          \
        if (!(condition)) {                                                                       \
            fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, error ? error : "no error"); \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

/* The functions of the library, under their own names. */
#define FUNCTIONS(each)                                                                           \
    each(leveldb_options_create) each(leveldb_options_set_create_if_missing) each(leveldb_options_destroy)  \
    each(leveldb_options_set_write_buffer_size) each(leveldb_options_set_filter_policy)           \
    each(leveldb_options_set_paranoid_checks) each(leveldb_filterpolicy_create_bloom)             \
    each(leveldb_filterpolicy_destroy) each(leveldb_writeoptions_create) each(leveldb_writeoptions_set_sync) \
    each(leveldb_readoptions_create) each(leveldb_writebatch_create) each(leveldb_writebatch_put) \
    each(leveldb_open) each(leveldb_close) each(leveldb_put) each(leveldb_delete) each(leveldb_get) \
    each(leveldb_write) each(leveldb_compact_range) each(leveldb_create_iterator) each(leveldb_iter_destroy) \
    each(leveldb_iter_seek_to_first) each(leveldb_iter_seek_to_last) each(leveldb_iter_seek)      \
    each(leveldb_iter_next) each(leveldb_iter_prev) each(leveldb_iter_valid) each(leveldb_iter_get_error) \
    each(leveldb_create_snapshot) each(leveldb_release_snapshot) each(leveldb_property_value)     \
    each(leveldb_approximate_sizes) each(leveldb_repair_db) each(leveldb_destroy_db) each(leveldb_free) \
    each(terrace_flush)

static struct {
#define DECLARE(name) __typeof__(name) *name;
    FUNCTIONS(DECLARE)
} library;

static const char *directory;
static char *error;
static leveldb_t *db;
static leveldb_options_t *options;
static leveldb_readoptions_t *read_options;
static leveldb_writeoptions_t *write_options, *synced;
static leveldb_writebatch_t *batch;
static leveldb_iterator_t *iter;
static char value[1000], big[3 << 20];

static const char *key_of(int i) {
    static char key[32];
    snprintf(key, sizeof key, "%020d", i % 100000);
    return key;
}

static void open_db(void) { db = library.leveldb_open(options, directory, &error); }
static void open_locked(void) {
    CHECK(library.leveldb_open(options, directory, &error) == NULL && error != NULL);
    library.leveldb_free(error);
    error = NULL;
}
static void open_nowhere(void) {
    CHECK(library.leveldb_open(options, "/nonexistent/x/y", &error) == NULL && error != NULL);
    library.leveldb_free(error);
    error = NULL;
}
static void close_db(void) { library.leveldb_close(db); }
static void repair(void) { library.leveldb_repair_db(options, directory, &error); }
static void destroy(void) { library.leveldb_destroy_db(options, directory, &error); }

static void put(void) { library.leveldb_put(db, write_options, key_of(1), 20, value, 100, &error); }
static void put_big(void) { library.leveldb_put(db, write_options, "big", 3, big, sizeof big, &error); }
static void put_synced(void) { library.leveldb_put(db, synced, "synced", 6, value, 100, &error); }
static void delete_key(void) { library.leveldb_delete(db, write_options, "synced", 6, &error); }
static void write_batch(void) { library.leveldb_write(db, write_options, batch, &error); }
static void put_nowhere(void) {
    library.leveldb_put(NULL, write_options, "", 0, "", 0, &error);
    CHECK(error != NULL);
    library.leveldb_free(error);
    error = NULL;
}
/* Writes three memtables. */
static void put_many(void) {
    static int next;
    int i;
    for (i = 0; i < 3000 && error == NULL; i++) {
        library.leveldb_put(db, write_options, key_of(next++ * 7919), 20, value, sizeof value, &error);
    }
}

static void get_many(void) {
    size_t length;
    int i;
    for (i = 0; i < 2000; i++) {
        library.leveldb_free(library.leveldb_get(db, read_options, key_of(i * 31), 20, &length, &error));
    }
}
static void create_iterator(void) { iter = library.leveldb_create_iterator(db, read_options); }
static void seek_to_first(void) { library.leveldb_iter_seek_to_first(iter); }
static void seek_to_last(void) { library.leveldb_iter_seek_to_last(iter); }
static void seek(void) { library.leveldb_iter_seek(iter, "00000000000000050000", 20); }
static void next(void) {
    int i;
    for (i = 0; i < 3000 && library.leveldb_iter_valid(iter); i++) {
        library.leveldb_iter_next(iter);
    }
    library.leveldb_iter_get_error(iter, &error);
}
static void prev(void) {
    int i;
    for (i = 0; i < 3000 && library.leveldb_iter_valid(iter); i++) {
        library.leveldb_iter_prev(iter);
    }
    library.leveldb_iter_get_error(iter, &error);
}
static void destroy_iterator(void) { library.leveldb_iter_destroy(iter); }

static void snapshot(void) { library.leveldb_release_snapshot(db, library.leveldb_create_snapshot(db)); }
static void properties(void) {
    static const char *const names[] = {"leveldb.stats", "leveldb.sstables", "leveldb.approximate-memory-usage",
                                        "leveldb.num-files-at-level0", "terrace.background-error"};
    size_t i;
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        library.leveldb_free(library.leveldb_property_value(db, names[i]));
    }
}
static void sizes(void) {
    const char *start = "0", *limit = "9";
    size_t length = 1;
    uint64_t size;
    library.leveldb_approximate_sizes(db, 1, &start, &length, &limit, &length, &size);
}
static void flush(void) { library.terrace_flush(db, &error); }
static void compact(void) { library.leveldb_compact_range(db, NULL, 0, NULL, 0); }

static size_t stack_bytes;

static void *run(void *function) {
    (*(void (**)(void))function)();
    return NULL;
}

static void on_a_thread(const char *name, void (*function)(void)) {
    pthread_attr_t attributes;
    pthread_t thread;
    puts(name);
    fflush(stdout);
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, stack_bytes) == 0);
    CHECK(pthread_create(&thread, &attributes, run, &function) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    pthread_attr_destroy(&attributes);
    CHECK(error == NULL);
}
#define ON_A_THREAD(function) on_a_thread(#function, function)

static void use(void) {
    ON_A_THREAD(put);
    ON_A_THREAD(put_many);
    ON_A_THREAD(put_big);
    ON_A_THREAD(put_synced);
    ON_A_THREAD(delete_key);
    ON_A_THREAD(put_nowhere);
    ON_A_THREAD(write_batch);
    ON_A_THREAD(get_many);
    ON_A_THREAD(create_iterator);
    ON_A_THREAD(seek_to_first);
    ON_A_THREAD(next);
    ON_A_THREAD(seek);
    ON_A_THREAD(prev);
    ON_A_THREAD(seek_to_last);
    ON_A_THREAD(prev);
    ON_A_THREAD(destroy_iterator);
    ON_A_THREAD(snapshot);
    ON_A_THREAD(properties);
    ON_A_THREAD(sizes);
}

int main(int count, char **arguments) {
    leveldb_filterpolicy_t *policy;
    void *handle;
    int i;
    CHECK(count == 4);
    handle = dlopen(arguments[1], RTLD_LAZY | RTLD_LOCAL);
    CHECK(handle != NULL);
    directory = arguments[2];
    stack_bytes = strtoul(arguments[3], NULL, 10);
#define FIND(name)                                                                                \
    library.name = (__typeof__(name) *)dlsym(handle, #name);                                      \
    CHECK(library.name != NULL);
    FUNCTIONS(FIND)
    options = library.leveldb_options_create();
    policy = library.leveldb_filterpolicy_create_bloom(10);
    library.leveldb_options_set_create_if_missing(options, 1);
    library.leveldb_options_set_write_buffer_size(options, 1 << 20);
    library.leveldb_options_set_filter_policy(options, policy);
    read_options = library.leveldb_readoptions_create();
    write_options = library.leveldb_writeoptions_create();
    synced = library.leveldb_writeoptions_create();
    library.leveldb_writeoptions_set_sync(synced, 1);
    batch = library.leveldb_writebatch_create();
    for (i = 0; i < 100; i++) {
        library.leveldb_writebatch_put(batch, key_of(i), 20, value, sizeof value);
    }

    ON_A_THREAD(open_nowhere);
    ON_A_THREAD(open_db);
    ON_A_THREAD(open_locked);
    use();
    ON_A_THREAD(flush);
    ON_A_THREAD(compact);
    use();
    ON_A_THREAD(close_db);
    ON_A_THREAD(open_db); /* with a log, which is kept in memory */
    use();
    ON_A_THREAD(close_db);
    ON_A_THREAD(repair);
    library.leveldb_options_set_paranoid_checks(options, 1);
    ON_A_THREAD(open_db);
    use();
    ON_A_THREAD(put_big);
    ON_A_THREAD(close_db);
    library.leveldb_options_set_write_buffer_size(options, 65536);
    ON_A_THREAD(open_db); /* with a log that is more than a memtable */
    ON_A_THREAD(close_db);
    ON_A_THREAD(destroy);
    library.leveldb_options_destroy(options);
    library.leveldb_filterpolicy_destroy(policy);
    puts("PASS");
    return 0;
}
