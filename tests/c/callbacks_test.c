/*
 * When a database calls its user's code, and on which thread: only where LevelDB does, as far as a user can
 * observe. Hosts with one thread (PHP, Lua, R) cannot be called from another thread, and some cannot be
 * called at all inside leveldb_open. The test also runs against Google's library (-DGOOGLE).
 */
#include "check.h"

#include <pthread.h>

enum { COMPARE, NAME, DESTROY, FILTER_CREATE, FILTER_MATCH, FILTER_NAME, FILTER_DESTROY, CALLBACKS };

static pthread_t own_thread;
static struct {
    int own, others;
} calls[CALLBACKS];

static void count(int callback) {
    int is_own = pthread_equal(own_thread, pthread_self());
    __atomic_fetch_add(is_own ? &calls[callback].own : &calls[callback].others, 1, __ATOMIC_RELAXED);
}

static int compare(void *state, const char *a, size_t alen, const char *b, size_t blen) {
    size_t shorter = alen < blen ? alen : blen;
    int order = memcmp(b, a, shorter);
    (void)state;
    count(COMPARE);
    return order != 0 ? order : (blen > alen) - (blen < alen);
}

static const char *name(void *state) {
    (void)state;
    count(NAME);
    return "test.Backwards";
}

static void destroy(void *state) {
    (void)state;
    count(DESTROY);
}

static char *filter_create(void *state, const char *const *keys, const size_t *lengths, int keys_count,
                           size_t *filter_length) {
    char *filter = malloc(1);
    (void)state, (void)keys, (void)lengths, (void)keys_count;
    count(FILTER_CREATE);
    *filter = 1;
    *filter_length = 1;
    return filter;
}

static uint8_t filter_match(void *state, const char *key, size_t length, const char *filter, size_t filter_length) {
    (void)state, (void)key, (void)length, (void)filter, (void)filter_length;
    count(FILTER_MATCH);
    return 1;
}

static const char *filter_name(void *state) {
    (void)state;
    count(FILTER_NAME);
    return "test.All";
}

static void filter_destroy(void *state) {
    (void)state;
    count(FILTER_DESTROY);
}

static int sum(int first, int last, int others) {
    int callback, found = 0;
    for (callback = first; callback <= last; callback++) {
        found += others ? calls[callback].others : calls[callback].own;
    }
    return found;
}

#define NOTHING_FROM_OTHER_THREADS() CHECK(sum(0, CALLBACKS - 1, 1) == 0)
#define NOTHING_AT_ALL() CHECK(sum(0, CALLBACKS - 1, 1) + sum(0, CALLBACKS - 1, 0) == 0)
#define NOTHING_BUT_NAMES() CHECK(sum(0, CALLBACKS - 1, 1) == 0 && sum(0, CALLBACKS - 1, 0) == calls[NAME].own)

static void forget(void) { memset(calls, 0, sizeof calls); }

static leveldb_t *open_it(const leveldb_options_t *options, const char *path) {
    leveldb_t *db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    return db;
}

int main(void) {
    const char *path = scratch("callbacks");
    leveldb_options_t *options = create_options();
    leveldb_comparator_t *comparator;
    leveldb_filterpolicy_t *policy;
    leveldb_readoptions_t *read_options = leveldb_readoptions_create();
    leveldb_iterator_t *iter;
    leveldb_t *db;
    char key[2] = "a";
    int round;

    own_thread = pthread_self();
    comparator = leveldb_comparator_create(NULL, destroy, compare, name);
    policy = leveldb_filterpolicy_create(NULL, filter_destroy, filter_create, filter_match, filter_name);
    leveldb_options_set_comparator(options, comparator);
    leveldb_options_set_filter_policy(options, policy);
    NOTHING_AT_ALL();

    db = open_it(options, path);
    NOTHING_BUT_NAMES();
    CHECK(calls[NAME].own > 0);
    for (; *key < 'i'; ++*key) {
        put(db, key, key);
    }
    check_get(db, NULL, "c", "c");
    NOTHING_FROM_OTHER_THREADS();
    CHECK(calls[COMPARE].own > 0);
    forget();
    leveldb_close(db);
    NOTHING_AT_ALL();

    /* The open writes the entries of the WAL to a table, and no callback runs after it. */
    db = open_it(options, path);
    NOTHING_FROM_OTHER_THREADS();
    CHECK(calls[FILTER_CREATE].own == 1);
    forget();
    leveldb_close(db);
    NOTHING_AT_ALL();

    /* With one table, there is nothing to compare. */
    for (round = 0; round < 2; round++) {
        db = open_it(options, path);
        NOTHING_BUT_NAMES();
        forget();
        leveldb_close(db);
        NOTHING_AT_ALL();
    }
    db = open_it(options, path);
    forget();
    check_get(db, NULL, "c", "c");
    CHECK(calls[COMPARE].own > 0 && calls[FILTER_MATCH].own == 1);
    NOTHING_FROM_OTHER_THREADS();
    iter = leveldb_create_iterator(db, read_options);
    forget();
    leveldb_iter_seek_to_first(iter);
    check_entry(iter, "h", "h");
    NOTHING_AT_ALL();
    leveldb_iter_destroy(iter);
    free(leveldb_property_value(db, "leveldb.sstables"));
    NOTHING_AT_ALL();

    /* A compaction compares and creates filters, on its own thread; it does not call the comparator's
     * name. */
    put(db, "x", "x");
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    CHECK(calls[COMPARE].others > 0 && calls[FILTER_CREATE].others > 0);
    CHECK(calls[NAME].others == 0);
    leveldb_close(db);

    forget();
    leveldb_destroy_db(options, path, &err);
    CHECK_NO_ERROR();
    leveldb_options_destroy(options);
    leveldb_readoptions_destroy(read_options);
    NOTHING_AT_ALL();
    leveldb_comparator_destroy(comparator);
    leveldb_filterpolicy_destroy(policy);
    CHECK(calls[DESTROY].own == 1 && calls[FILTER_DESTROY].own == 1 && sum(0, CALLBACKS - 1, 0) == 2);
    NOTHING_FROM_OTHER_THREADS();
    return passed();
}
