/*
 * Options and their objects (caches, comparators, filter policies), repair and destroy, as LevelDB documents
 * them. The test also runs against Google's library (-DGOOGLE).
 */
#include "check.h"

#include <limits.h>

/* All other options, with values out of range, which are clipped. */
static void test_options(void) {
    const char *path = scratch("options");
    leveldb_options_t *options = create_options();
    leveldb_cache_t *cache = leveldb_cache_create_lru(100000);
    leveldb_readoptions_t *read_options = leveldb_readoptions_create();
    leveldb_t *db, *second;
    int round;

    CHECK(cache != NULL);
    for (round = 0; round < 2; round++) {
        leveldb_options_set_cache(options, cache);
        leveldb_options_set_info_log(options, NULL);
        leveldb_options_set_write_buffer_size(options, round == 0 ? 100000 : 0);
        leveldb_options_set_paranoid_checks(options, (uint8_t)(round == 0 ? 255 : 0));
        leveldb_options_set_max_open_files(options, round == 0 ? 10 : -5);
        leveldb_options_set_block_size(options, round == 0 ? 1024 : 0);
        leveldb_options_set_block_restart_interval(options, round == 0 ? 8 : 1);
        leveldb_options_set_max_file_size(options, round == 0 ? 3 << 20 : 0);
        leveldb_options_set_compression(options,
                                        round == 0 ? leveldb_snappy_compression : leveldb_no_compression);
        db = leveldb_open(options, path, &err);
        CHECK_NO_ERROR();
        second = leveldb_open(options, scratch("options-second"), &err); /* shares the cache */
        CHECK_NO_ERROR();
        write_megabyte(db);
        write_megabyte(second);
        leveldb_compact_range(db, NULL, 0, NULL, 0);
        leveldb_compact_range(second, NULL, 0, NULL, 0);
        check_get(db, read_options, "k00000000000000010000", "v00000000000000010000");
        check_get(second, read_options, "k00000000000000010000", "v00000000000000010000");
        check_get(db, read_options, "k0", NULL);
        leveldb_close(second);
        leveldb_close(db);
    }
    /* Objects that no database uses any more can be destroyed in any order. */
    leveldb_cache_destroy(cache);
    leveldb_destroy_db(options, path, &err);
    leveldb_destroy_db(options, scratch("options-second"), &err);
    CHECK_NO_ERROR();
    leveldb_options_destroy(options);
    leveldb_readoptions_destroy(read_options);
}

struct counter {
    int destroyed;
    int asked;
};

static void count_destroyed(void *state) { ((struct counter *)state)->destroyed++; }

/* The reverse order of bytes, with results of any magnitude. */
static int reverse_compare(void *state, const char *a, size_t alen, const char *b, size_t blen) {
    size_t shorter = alen < blen ? alen : blen;
    int order = memcmp(a, b, shorter);
    ((struct counter *)state)->asked++;
    if (order == 0) {
        order = alen < blen ? -1 : alen > blen;
    }
    return order == 0 ? 0 : order < 0 ? INT_MAX : INT_MIN;
}

static const char *reverse_name(void *state) {
    (void)state;
    return "test.Reverse";
}

static void test_comparator(void) {
    const char *path = scratch("comparator");
    struct counter counter = {0, 0};
    leveldb_comparator_t *comparator =
        leveldb_comparator_create(&counter, count_destroyed, reverse_compare, reverse_name);
    leveldb_options_t *options = create_options();
    leveldb_readoptions_t *read_options = leveldb_readoptions_create();
    leveldb_iterator_t *iter;
    leveldb_t *db;
    char message[700];

    CHECK(comparator != NULL);
    leveldb_options_set_comparator(options, comparator);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    put(db, "a", "1");
    put(db, "aa", "2");
    put(db, "c", "3");
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    put(db, "b", "4");
    CHECK(counter.asked > 0);
    iter = leveldb_create_iterator(db, read_options);
    leveldb_iter_seek_to_first(iter);
    check_entry(iter, "c", "3");
    leveldb_iter_next(iter);
    check_entry(iter, "b", "4");
    leveldb_iter_next(iter);
    check_entry(iter, "aa", "2");
    leveldb_iter_next(iter);
    check_entry(iter, "a", "1");
    leveldb_iter_seek(iter, "bb", 2);
    check_entry(iter, "b", "4");
    leveldb_iter_destroy(iter);
    check_get(db, NULL, "aa", "2");
    leveldb_close(db);

    /* Another order is refused, both ways; the message names the stored one first. */
    leveldb_options_set_comparator(options, comparator);
    db = open_fresh(scratch("comparator-bytewise"));
    leveldb_close(db);
    snprintf(message, sizeof message,
             "Invalid argument: leveldb.BytewiseComparator does not match existing comparator : test.Reverse");
    check_open_fails(options, scratch("comparator-bytewise"), message);
    leveldb_destroy_db(options, scratch("comparator-bytewise"), &err);
    CHECK_NO_ERROR();

    leveldb_destroy_db(options, path, &err);
    CHECK_NO_ERROR();
    CHECK(counter.destroyed == 0);
    leveldb_comparator_destroy(comparator); /* before the options that name it */
    CHECK(counter.destroyed == 1);
    leveldb_options_destroy(options);
    CHECK(counter.destroyed == 1);
    leveldb_readoptions_destroy(read_options);
}

/* A filter policy whose answers the test sets. */
static int fake_answer;
static int filters_made;

static char *fake_create(void *state, const char *const *keys, const size_t *lengths, int count,
                         size_t *filter_length) {
    char *filter = malloc(4);
    int i;
    (void)state;
    /* User keys, in order; repetitions may occur. */
    CHECK(count > 0);
    for (i = 0; i < count; i++) {
        CHECK(keys[i] != NULL);
        CHECK(lengths[i] == 3);
    }
    memcpy(filter, "fake", 4);
    *filter_length = 4;
    __atomic_fetch_add(&filters_made, 1, __ATOMIC_SEQ_CST);
    return filter;
}

static uint8_t fake_match(void *state, const char *key, size_t length, const char *filter,
                          size_t filter_length) {
    ((struct counter *)state)->asked++;
    CHECK(length == 3 && key != NULL);
    CHECK(filter_length == 4 && memcmp(filter, "fake", 4) == 0);
    return (uint8_t)fake_answer;
}

static const char *fake_name(void *state) {
    (void)state;
    return "test.Fake";
}

static void test_filter_policy(int bloom) {
    const char *path = scratch(bloom ? "bloom" : "filter");
    struct counter counter = {0, 0};
    leveldb_filterpolicy_t *policy =
        bloom ? leveldb_filterpolicy_create_bloom(10)
              : leveldb_filterpolicy_create(&counter, count_destroyed, fake_create, fake_match, fake_name);
    leveldb_options_t *options = create_options();
    leveldb_t *db;

    CHECK(policy != NULL);
    leveldb_options_set_filter_policy(options, policy);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    put(db, "foo", "1");
    put(db, "bar", "2");
    fake_answer = 1;
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    check_get(db, NULL, "foo", "1");
    check_get(db, NULL, "bar", "2");
    check_get(db, NULL, "fox", NULL);
    if (!bloom) {
        CHECK(filters_made > 0 && counter.asked > 0);
        /* 0 is no: the block is not read, so the key is not found. */
        fake_answer = 0;
        check_get(db, NULL, "foo", NULL);
        check_get(db, NULL, "bar", NULL);
        /* Any other number is yes. */
        fake_answer = 255;
        check_get(db, NULL, "foo", "1");
    }
    leveldb_close(db);
    leveldb_options_destroy(options);
    CHECK(counter.destroyed == 0);
    leveldb_filterpolicy_destroy(policy);
    CHECK(counter.destroyed == !bloom);

    /* Without the policy, its filters are not consulted. */
    fake_answer = 0;
    options = leveldb_options_create();
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    check_get(db, NULL, "foo", "1");
    leveldb_options_destroy(options);
    close_and_destroy(db, path);
}

static void test_repair_and_destroy(void) {
    const char *path = scratch("repair");
    char foreign[700];
    FILE *file;
    leveldb_options_t *options = create_options();
    leveldb_t *db = open_fresh(path);

    put(db, "in-table", "1");
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    put(db, "in-log", "2");
    leveldb_close(db);
    leveldb_options_set_create_if_missing(options, 0);
    leveldb_options_set_error_if_exists(options, 0);
    leveldb_repair_db(options, path, &err);
    CHECK_NO_ERROR();
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    check_get(db, NULL, "in-table", "1");
    check_get(db, NULL, "in-log", "2");
    check_get(db, NULL, "foo", NULL);
    leveldb_close(db);

    /* Files that a repair sets aside are in the directory "lost", which destroy does not remove. */
    leveldb_destroy_db(options, path, &err);
    CHECK_NO_ERROR();
    CHECK(highest_number(path, ".ldb") == 0);

    /* A file that is not a database file stays, and so does the directory. */
    path = scratch("destroy");
    leveldb_close(open_fresh(path));
    snprintf(foreign, sizeof foreign, "%s/notes.txt", path);
    file = fopen(foreign, "w");
    CHECK(file != NULL);
    fclose(file);
    leveldb_destroy_db(options, path, &err);
    CHECK_NO_ERROR();
    CHECK(highest_number(path, ".log") == 0);
    CHECK(unlink(foreign) == 0);
    CHECK(rmdir(path) == 0);

    leveldb_destroy_db(options, scratch("never-there"), &err);
    CHECK_NO_ERROR();
    leveldb_repair_db(options, scratch("repair-nothing"), &err);
    CHECK_NO_ERROR();
    leveldb_destroy_db(options, scratch("repair-nothing"), &err);
    CHECK_NO_ERROR();
    leveldb_options_destroy(options);
}

int main(void) {
    test_options();
    test_comparator();
    test_filter_policy(1);
    test_filter_policy(0);
    test_repair_and_destroy();
    return passed();
}
