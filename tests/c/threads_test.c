/*
 * Sixteen threads that put, get, delete, write batches, iterate, take snapshots, compact and read properties
 * at the same time. The database is closed after all have ended. The program is made for the thread sanitizer
 * (`make sanitize`).
 *
 * Invariants:
 * - each counter has one writer, and no reader sees it decrease;
 * - one batch writes the two keys of a pair, and every reader of one state sees equal values;
 * - an iterator sees one state, and so do two reads at a snapshot.
 */
#include "terrace.h"

#include <pthread.h>

#include "check.h"

#define THREADS 16
#define COUNTERS 4
#define PAIRS 8

struct worker {
    leveldb_t *db;
    int number;
    int rounds;
    unsigned chance;
    pthread_t thread;
};

static unsigned next_chance(struct worker *worker) {
    worker->chance = worker->chance * 1103515245u + 12345u;
    return worker->chance >> 16;
}

#define CHECK_NO(error)                                                                           \
    do {                                                                                          \
        if (error != NULL) {                                                                      \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, error);                            \
            abort();                                                                              \
        }                                                                                         \
    } while (0)

/* The number at a key; -1 if the key is absent. */
static long number_at(leveldb_t *db, const leveldb_readoptions_t *options, const char *key) {
    char *error = NULL, text[32];
    size_t length = 0;
    char *value = leveldb_get(db, options, key, strlen(key), &length, &error);
    CHECK_NO(error);
    if (value == NULL) {
        return -1;
    }
    CHECK(length >= 20 && length < 600);
    memcpy(text, value, 20);
    text[20] = '\0';
    leveldb_free(value);
    return atol(text);
}

/* A value: a number of twenty digits, then filler. */
static size_t number_as_value(long number, char *value, size_t size) {
    snprintf(value, size, "%020ld", number);
    memset(value + 20, '.', (size_t)(number % 500));
    return 20 + (size_t)(number % 500);
}

static void *count(void *argument) {
    struct worker *worker = argument;
    leveldb_writeoptions_t *options = leveldb_writeoptions_create();
    char key[32], value[600], *error = NULL;
    long number;
    memset(value, '-', sizeof value);
    for (number = 0; number < worker->rounds; number++) {
        snprintf(key, sizeof key, "counter-%d", worker->number % COUNTERS);
        leveldb_writeoptions_set_sync(options, number % 100 == 99);
        leveldb_put(worker->db, options, key, strlen(key), value,
                    number_as_value(number, value, sizeof value), &error);
        CHECK_NO(error);
        /* Fills tables; some of these keys are deleted again. */
        snprintf(key, sizeof key, "fill-%d-%ld", worker->number, number);
        leveldb_put(worker->db, options, key, strlen(key), value, 500, &error);
        CHECK_NO(error);
        if (number % 3 == 0) {
            leveldb_delete(worker->db, options, key, strlen(key), &error);
            CHECK_NO(error);
        }
    }
    leveldb_writeoptions_destroy(options);
    return NULL;
}

static void *write_pairs(void *argument) {
    struct worker *worker = argument;
    leveldb_writeoptions_t *options = leveldb_writeoptions_create();
    leveldb_writebatch_t *batch = leveldb_writebatch_create();
    char key[32], value[600], *error = NULL;
    int i;
    for (i = 0; i < worker->rounds; i++) {
        unsigned pair = next_chance(worker) % PAIRS;
        size_t length = number_as_value((long)next_chance(worker), value, sizeof value);
        leveldb_writebatch_clear(batch);
        snprintf(key, sizeof key, "left-%u", pair);
        leveldb_writebatch_put(batch, key, strlen(key), value, length);
        snprintf(key, sizeof key, "right-%u", pair);
        leveldb_writebatch_put(batch, key, strlen(key), value, length);
        leveldb_write(worker->db, options, i % 50 == 49 ? NULL : batch, &error);
        CHECK_NO(error);
    }
    leveldb_writebatch_destroy(batch);
    leveldb_writeoptions_destroy(options);
    return NULL;
}

static void *watch_counters(void *argument) {
    struct worker *worker = argument;
    leveldb_readoptions_t *options = leveldb_readoptions_create();
    long seen[COUNTERS];
    char key[32];
    int i;
    memset(seen, -1, sizeof seen);
    for (i = 0; i < worker->rounds; i++) {
        int counter = (int)(next_chance(worker) % COUNTERS);
        long number;
        snprintf(key, sizeof key, "counter-%d", counter);
        number = number_at(worker->db, options, key);
        CHECK(number >= seen[counter]);
        seen[counter] = number;
    }
    leveldb_readoptions_destroy(options);
    return NULL;
}

static void *watch_pairs(void *argument) {
    struct worker *worker = argument;
    leveldb_readoptions_t *options = leveldb_readoptions_create();
    char key[32];
    int i;
    for (i = 0; i < worker->rounds / 4; i++) {
        const leveldb_snapshot_t *snapshot = leveldb_create_snapshot(worker->db);
        unsigned pair = next_chance(worker) % PAIRS;
        long left, right;
        CHECK(snapshot != NULL);
        leveldb_readoptions_set_snapshot(options, snapshot);
        snprintf(key, sizeof key, "left-%u", pair);
        left = number_at(worker->db, options, key);
        snprintf(key, sizeof key, "right-%u", pair);
        right = number_at(worker->db, options, key);
        CHECK(left == right);
        leveldb_release_snapshot(worker->db, snapshot);
    }
    leveldb_readoptions_destroy(options);
    return NULL;
}

/* Checks the pairs by complete iterations, forward and backward. */
static void *iterate(void *argument) {
    struct worker *worker = argument;
    leveldb_readoptions_t *options = leveldb_readoptions_create();
    int i;
    for (i = 0; i < worker->rounds / 40; i++) {
        leveldb_iterator_t *iter = leveldb_create_iterator(worker->db, options);
        int forward = i % 2 == 0;
        char *error = NULL, numbers[2][PAIRS][21];
        memset(numbers, 0, sizeof numbers);
        if (forward) {
            leveldb_iter_seek(iter, "left", 4);
        } else {
            leveldb_iter_seek_to_last(iter);
        }
        while (leveldb_iter_valid(iter)) {
            size_t key_length, value_length;
            const char *key = leveldb_iter_key(iter, &key_length);
            const char *value = leveldb_iter_value(iter, &value_length);
            int side = key[0] == 'l' ? 0 : key[0] == 'r' ? 1 : -1;
            if (side >= 0) {
                int pair = key[key_length - 1] - '0';
                CHECK(value_length >= 20 && pair >= 0 && pair < PAIRS);
                memcpy(numbers[side][pair], value, 20);
            } else if (!forward) {
                break;
            }
            if (forward) {
                leveldb_iter_next(iter);
            } else {
                leveldb_iter_prev(iter);
            }
        }
        leveldb_iter_get_error(iter, &error);
        CHECK_NO(error);
        CHECK(memcmp(numbers[0], numbers[1], sizeof numbers[0]) == 0);
        leveldb_iter_destroy(iter);
    }
    leveldb_readoptions_destroy(options);
    return NULL;
}

static void *compact(void *argument) {
    struct worker *worker = argument;
    int i;
    for (i = 0; i < worker->rounds / 100; i++) {
        char *error = NULL;
        if (i % 2 == 0) {
            terrace_compact_range(worker->db, "fill", 4, i % 4 == 0 ? NULL : "fill-3", i % 4 == 0 ? 0 : 6, &error);
        } else {
            terrace_flush(worker->db, &error);
        }
        CHECK_NO(error);
    }
    return NULL;
}

static void *ask(void *argument) {
    struct worker *worker = argument;
    const char *start[1] = {"a"}, *limit[1] = {"z"};
    const size_t length[1] = {1};
    int i;
    for (i = 0; i < worker->rounds / 10; i++) {
        uint64_t size;
        char *text = leveldb_property_value(worker->db, "leveldb.stats");
        CHECK(text != NULL);
        leveldb_free(text);
        text = leveldb_property_value(worker->db, "leveldb.approximate-memory-usage");
        CHECK(text != NULL && atol(text) > 0);
        leveldb_free(text);
        leveldb_approximate_sizes(worker->db, 1, start, length, limit, length, &size);
    }
    return NULL;
}

static void run_threads(const char *path, leveldb_options_t *options, int rounds) {
    void *(*const roles[THREADS])(void *) = {
        count,          count,          count,       count,       write_pairs, write_pairs,
        write_pairs,    watch_counters, watch_counters, watch_pairs, watch_pairs, iterate,
        iterate,        compact,        compact,     ask,
    };
    struct worker workers[THREADS];
    leveldb_readoptions_t *read_options = leveldb_readoptions_create();
    char key[32];
    leveldb_t *db;
    int i;

    leveldb_destroy_db(options, path, &err);
    CHECK_NO_ERROR();
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    for (i = 0; i < THREADS; i++) {
        workers[i].db = db;
        workers[i].number = i;
        workers[i].rounds = rounds;
        workers[i].chance = (unsigned)i + 301;
        CHECK(pthread_create(&workers[i].thread, NULL, roles[i], &workers[i]) == 0);
    }
    for (i = 0; i < THREADS; i++) {
        CHECK(pthread_join(workers[i].thread, NULL) == 0);
    }
    leveldb_close(db);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    for (i = 0; i < COUNTERS; i++) {
        snprintf(key, sizeof key, "counter-%d", i);
        CHECK(number_at(db, read_options, key) == rounds - 1);
    }
    leveldb_readoptions_destroy(read_options);
    close_and_destroy(db, path);
}

int main(void) {
    const char *path = scratch("threads");
    const char *given = getenv("TERRACE_ROUNDS");
    int rounds = given ? atoi(given) : RUNNING_ON_VALGRIND ? 200 : 3000;
    leveldb_options_t *options = create_options();
    leveldb_cache_t *cache = leveldb_cache_create_lru(200000);
    leveldb_filterpolicy_t *policy = leveldb_filterpolicy_create_bloom(10);

    run_threads(path, options, rounds);
    /* Small limits: many flushes and compactions, few open tables, WAL records by write(). */
    leveldb_options_set_write_buffer_size(options, 64 << 10);
    leveldb_options_set_max_file_size(options, 1 << 20);
    leveldb_options_set_max_open_files(options, 20);
    leveldb_options_set_cache(options, cache);
    leveldb_options_set_filter_policy(options, policy);
    terrace_options_set_max_background_compactions(options, 2);
    terrace_options_set_mmap_wal(options, 0);
    terrace_options_set_mmap_reads(options, 0);
    run_threads(path, options, rounds);
    leveldb_options_destroy(options);
    leveldb_cache_destroy(cache);
    leveldb_filterpolicy_destroy(policy);
    return passed();
}
