/*
 * Uses that LevelDB leaves undefined, but that occur in programs: NULL handles, impossible lengths, handles
 * of another kind, objects destroyed in any order. Terrace promises that none of them crashes, leaks, or
 * loses writes.
 */
#include "check.h"

#include <stdatomic.h>

#define MISUSE "Invalid argument: "

/* An address that must not be read. */
static const char *const nowhere = (const char *)16;

static void test_null_handles(void) {
    char *value;
    size_t length = 7;
    uint64_t size = 7;
    const char *key = "k";
    const size_t key_length = 1;

    CHECK(leveldb_open(NULL, NULL, &err) == NULL);
    CHECK_ERROR(MISUSE "name is NULL");
    leveldb_put(NULL, NULL, "k", 1, "v", 1, &err);
    CHECK_ERROR(MISUSE "db is NULL");
    leveldb_delete(NULL, NULL, "k", 1, &err);
    CHECK_ERROR(MISUSE "db is NULL");
    leveldb_write(NULL, NULL, NULL, &err);
    CHECK_ERROR(MISUSE "db is NULL");
    value = leveldb_get(NULL, NULL, "k", 1, &length, &err);
    CHECK(value == NULL && length == 0);
    CHECK_ERROR(MISUSE "db is NULL");
    leveldb_destroy_db(NULL, NULL, &err);
    CHECK_ERROR(MISUSE "name is NULL");
    leveldb_repair_db(NULL, NULL, &err);
    CHECK_ERROR(MISUSE "name is NULL");
    leveldb_iter_get_error(NULL, &err);
    CHECK_ERROR(MISUSE "iterator is NULL");
    /* errptr may be NULL too. */
    leveldb_put(NULL, NULL, "k", 1, "v", 1, NULL);
    CHECK(leveldb_open(NULL, NULL, NULL) == NULL);

    leveldb_close(NULL);
    CHECK(leveldb_create_iterator(NULL, NULL) == NULL);
    CHECK(leveldb_create_snapshot(NULL) == NULL);
    leveldb_release_snapshot(NULL, NULL);
    CHECK(leveldb_property_value(NULL, "leveldb.stats") == NULL);
    leveldb_approximate_sizes(NULL, 1, &key, &key_length, &key, &key_length, &size);
    CHECK(size == 0);
    leveldb_compact_range(NULL, NULL, 0, NULL, 0);
    leveldb_iter_destroy(NULL);
    CHECK(!leveldb_iter_valid(NULL));
    leveldb_iter_seek_to_first(NULL);
    leveldb_iter_seek_to_last(NULL);
    leveldb_iter_seek(NULL, "k", 1);
    leveldb_iter_next(NULL);
    leveldb_iter_prev(NULL);
    CHECK(leveldb_iter_key(NULL, &length) == NULL && length == 0);
    length = 7;
    CHECK(leveldb_iter_value(NULL, &length) == NULL && length == 0);
    CHECK(leveldb_iter_key(NULL, NULL) == NULL);
    leveldb_writebatch_destroy(NULL);
    leveldb_writebatch_clear(NULL);
    leveldb_writebatch_put(NULL, "k", 1, "v", 1);
    leveldb_writebatch_delete(NULL, "k", 1);
    leveldb_writebatch_iterate(NULL, NULL, NULL, NULL);
    leveldb_writebatch_append(NULL, NULL);
    leveldb_options_set_comparator(NULL, NULL);
    leveldb_options_set_filter_policy(NULL, NULL);
    leveldb_options_set_create_if_missing(NULL, 1);
    leveldb_options_set_error_if_exists(NULL, 1);
    leveldb_options_set_paranoid_checks(NULL, 1);
    leveldb_options_set_env(NULL, NULL);
    leveldb_options_set_info_log(NULL, NULL);
    leveldb_options_set_write_buffer_size(NULL, 1);
    leveldb_options_set_max_open_files(NULL, 1);
    leveldb_options_set_cache(NULL, NULL);
    leveldb_options_set_block_size(NULL, 1);
    leveldb_options_set_block_restart_interval(NULL, 1);
    leveldb_options_set_max_file_size(NULL, 1);
    leveldb_options_set_compression(NULL, 1);
    leveldb_readoptions_set_verify_checksums(NULL, 1);
    leveldb_readoptions_set_fill_cache(NULL, 1);
    leveldb_readoptions_set_snapshot(NULL, NULL);
    leveldb_writeoptions_set_sync(NULL, 1);
    leveldb_cache_destroy(NULL);
    leveldb_env_destroy(NULL);
    value = leveldb_env_get_test_directory(NULL);
    CHECK(value != NULL);
    leveldb_free(value);
}

static void test_null_options_are_the_default_ones(void) {
    const char *path = scratch("null-options");
    leveldb_t *db = open_fresh(path);
    leveldb_iterator_t *iter;
    leveldb_writebatch_t *batch = leveldb_writebatch_create();
    size_t length;
    char *value;

    CHECK(leveldb_open(NULL, scratch("null-options-absent"), &err) == NULL);
    CHECK_ERROR(MISUSE);
    leveldb_put(db, NULL, "k", 1, "v", 1, &err);
    leveldb_writebatch_put(batch, "l", 1, "w", 1);
    leveldb_write(db, NULL, batch, &err);
    value = leveldb_get(db, NULL, "k", 1, &length, &err);
    CHECK_NO_ERROR();
    CHECK(value != NULL && length == 1);
    leveldb_free(value);
    value = leveldb_get(db, NULL, "l", 1, NULL, &err); /* nobody wants the length */
    CHECK(value != NULL);
    leveldb_free(value);
    iter = leveldb_create_iterator(db, NULL);
    leveldb_iter_seek_to_first(iter);
    check_entry(iter, "k", "v");
    CHECK(leveldb_iter_key(iter, NULL) != NULL);
    leveldb_iter_destroy(iter);
    leveldb_writebatch_destroy(batch);
    leveldb_close(db);
    leveldb_destroy_db(NULL, path, &err);
    CHECK_NO_ERROR();
}

static int count_entries;
static void count_put(void *state, const char *k, size_t klen, const char *v, size_t vlen) {
    (void)state, (void)k, (void)klen, (void)v, (void)vlen;
    count_entries++;
}

/* A length is checked before a byte is read; reading at these addresses would crash. */
static void test_nonsense_lengths(void) {
    const char *path = scratch("lengths");
    leveldb_t *db = open_fresh(path);
    leveldb_writebatch_t *batch = leveldb_writebatch_create();
    leveldb_writebatch_t *copy = leveldb_writebatch_create();
    leveldb_iterator_t *iter;
    const size_t huge[3] = {(size_t)1 << 32, SIZE_MAX / 2 + 1, SIZE_MAX};
    uint64_t size = 7;
    size_t length;
    int i;

    put(db, "a", "1");
    iter = leveldb_create_iterator(db, NULL);
    for (i = 0; i < 3; i++) {
        leveldb_put(db, NULL, nowhere, huge[i], "v", 1, &err);
        CHECK_ERROR(MISUSE "key of ");
        leveldb_put(db, NULL, "k", 1, nowhere, huge[i], &err);
        CHECK_ERROR(MISUSE "value of ");
        leveldb_delete(db, NULL, nowhere, huge[i], &err);
        CHECK_ERROR(MISUSE "key of ");
        CHECK(leveldb_get(db, NULL, nowhere, huge[i], &length, &err) == NULL);
        CHECK_ERROR(MISUSE "key of ");

        leveldb_iter_seek_to_first(iter);
        check_entry(iter, "a", "1");
        leveldb_iter_seek(iter, nowhere, huge[i]);
        CHECK(!leveldb_iter_valid(iter));
        CHECK(leveldb_iter_key(iter, &length) == NULL && length == 0);
        leveldb_iter_next(iter);
        leveldb_iter_get_error(iter, &err);
        CHECK_ERROR(MISUSE "key of ");
        leveldb_iter_seek(iter, "a", 1);
        check_entry(iter, "a", "1");
        leveldb_iter_get_error(iter, &err);
        CHECK_NO_ERROR();

        leveldb_approximate_sizes(db, 1, &nowhere, &huge[i], &nowhere, &huge[i], &size);
        CHECK(size == 0);
        leveldb_compact_range(db, nowhere, huge[i], nowhere, huge[i]);

        /* A batch keeps the error of a refused entry, and so does a batch to which it is appended. */
        leveldb_writebatch_clear(batch);
        leveldb_writebatch_put(batch, "b", 1, "2", 1);
        leveldb_writebatch_put(batch, i == 0 ? "k" : nowhere, i == 0 ? 1 : huge[i], nowhere, huge[i]);
        leveldb_write(db, NULL, batch, &err);
        CHECK_ERROR(MISUSE);
        check_get(db, NULL, "b", NULL);
        leveldb_writebatch_clear(copy);
        leveldb_writebatch_append(copy, batch);
        leveldb_write(db, NULL, copy, &err);
        CHECK_ERROR(MISUSE);
        leveldb_writebatch_clear(batch);
        leveldb_writebatch_delete(batch, nowhere, huge[i]);
        leveldb_write(db, NULL, batch, &err);
        CHECK_ERROR(MISUSE);
    }
    /* NULL with a length. */
    leveldb_put(db, NULL, NULL, 5, "v", 1, &err);
    CHECK_ERROR(MISUSE "key is NULL, but its length is 5");
    leveldb_put(db, NULL, "k", 1, NULL, 5, &err);
    CHECK_ERROR(MISUSE "value is NULL, but its length is 5");
    leveldb_writebatch_clear(batch);
    leveldb_writebatch_put(batch, "k", 1, NULL, 5);
    leveldb_write(db, NULL, batch, &err);
    CHECK_ERROR(MISUSE "value is NULL");
    leveldb_approximate_sizes(db, 1, NULL, NULL, NULL, NULL, &size);
    CHECK(size == 0);
    size = 7;
    leveldb_approximate_sizes(db, -1, NULL, NULL, NULL, NULL, &size);
    leveldb_approximate_sizes(db, 0, NULL, NULL, NULL, NULL, NULL);
    CHECK(size == 7);
    /* Clearing the batch removes the error. */
    leveldb_writebatch_clear(batch);
    leveldb_writebatch_put(batch, "k", 1, "v", 1);
    leveldb_write(db, NULL, batch, &err);
    CHECK_NO_ERROR();
    check_get(db, NULL, "k", "v");
    leveldb_writebatch_delete(batch, "k", 1);
    leveldb_writebatch_iterate(batch, NULL, NULL, NULL);
    leveldb_writebatch_iterate(batch, NULL, count_put, NULL);
    CHECK(count_entries == 1);

    leveldb_iter_destroy(iter);
    leveldb_writebatch_destroy(batch);
    leveldb_writebatch_destroy(copy);
    close_and_destroy(db, path);
}

/* Bindings pass read options instead of write options, and destroy all kinds with one function. */
static void test_handles_of_another_kind(void) {
    const char *path = scratch("kinds");
    leveldb_t *db = open_fresh(path);
    leveldb_readoptions_t *read_options = leveldb_readoptions_create();
    leveldb_writeoptions_t *write_options = leveldb_writeoptions_create();
    leveldb_options_t *options = leveldb_options_create();
    leveldb_comparator_t *comparator = NULL;
    size_t length;
    char *value;

    leveldb_readoptions_set_verify_checksums(read_options, 1); /* sync, to a put */
    leveldb_put(db, (leveldb_writeoptions_t *)read_options, "a", 1, "1", 1, &err);
    leveldb_put(db, (leveldb_writeoptions_t *)options, "b", 1, "2", 1, &err);
    leveldb_writeoptions_set_sync(write_options, 1);
    value = leveldb_get(db, (leveldb_readoptions_t *)write_options, "a", 1, &length, &err);
    CHECK(value != NULL && length == 1);
    leveldb_free(value);
    value = leveldb_get(db, (leveldb_readoptions_t *)options, "b", 1, &length, &err);
    CHECK_NO_ERROR();
    CHECK(value != NULL && length == 1);
    leveldb_free(value);
    CHECK(leveldb_open((leveldb_options_t *)read_options, path, &err) == NULL);
    CHECK_ERROR(MISUSE "options is a handle of read options");
    leveldb_options_set_create_if_missing((leveldb_options_t *)write_options, 1);
    leveldb_options_set_comparator((leveldb_options_t *)write_options, comparator);
    leveldb_readoptions_set_snapshot((leveldb_readoptions_t *)options, NULL);
    leveldb_writeoptions_set_sync((leveldb_writeoptions_t *)options, 1);

    leveldb_options_destroy((leveldb_options_t *)read_options);
    leveldb_options_destroy((leveldb_options_t *)write_options);
    leveldb_readoptions_destroy((leveldb_readoptions_t *)leveldb_writeoptions_create());
    leveldb_writeoptions_destroy((leveldb_writeoptions_t *)leveldb_readoptions_create());
    leveldb_writeoptions_destroy((leveldb_writeoptions_t *)options);
    leveldb_readoptions_destroy((leveldb_readoptions_t *)leveldb_options_create());
    close_and_destroy(db, path);
}

/* Bindings of R, C# and Ruby close a database while iterators and snapshots exist. */
static void test_iterators_and_snapshots_outlive_the_database(void) {
    const char *path = scratch("outlive");
    leveldb_t *db = open_fresh(path), *closed;
    leveldb_iterator_t *positioned, *fresh, *in_table;
    const leveldb_snapshot_t *snapshot;
    leveldb_readoptions_t *read_options = leveldb_readoptions_create();

    put(db, "a", "1");
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    in_table = leveldb_create_iterator(db, NULL);
    leveldb_iter_seek_to_first(in_table);
    put(db, "b", "2");
    snapshot = leveldb_create_snapshot(db);
    leveldb_readoptions_set_snapshot(read_options, snapshot);
    positioned = leveldb_create_iterator(db, read_options);
    leveldb_iter_seek_to_first(positioned);
    check_entry(positioned, "a", "1");
    fresh = leveldb_create_iterator(db, NULL);
    closed = db;
    leveldb_close(db);

    leveldb_iter_next(positioned);
    CHECK(!leveldb_iter_valid(positioned));
    leveldb_iter_get_error(positioned, &err);
    CHECK(err != NULL);
    leveldb_free(err);
    err = NULL;
    leveldb_iter_seek(positioned, "a", 1);
    CHECK(!leveldb_iter_valid(positioned));
    CHECK(!leveldb_iter_valid(fresh));
    leveldb_iter_seek_to_first(fresh);
    CHECK(!leveldb_iter_valid(fresh));
    leveldb_iter_seek_to_last(fresh);
    leveldb_iter_prev(fresh);
    CHECK(!leveldb_iter_valid(fresh));
    leveldb_iter_get_error(fresh, &err);
    CHECK(err != NULL);
    leveldb_free(err);
    err = NULL;

    /* Open the same directory again while objects of the first database still exist. */
    db = leveldb_open(NULL, path, &err);
    CHECK_NO_ERROR();
    check_get(db, NULL, "b", "2");
    leveldb_iter_destroy(positioned);
    leveldb_iter_destroy(in_table);
    leveldb_release_snapshot(closed, snapshot);
    check_get(db, NULL, "a", "1");
    close_and_destroy(db, path);
    leveldb_iter_destroy(fresh);
    leveldb_readoptions_destroy(read_options);
}

/* Node's classic-level uses a released snapshot in the options of an iterator; other programs release one
 * twice. */
static void test_a_released_snapshot_reads_the_latest_state(void) {
    const char *path = scratch("released"), *other_path = scratch("released_other");
    leveldb_t *db = open_fresh(path), *other = open_fresh(other_path);
    leveldb_readoptions_t *named_before = leveldb_readoptions_create();
    leveldb_readoptions_t *named_after = leveldb_readoptions_create();
    const leveldb_snapshot_t *snapshot, *again, *of_other, *of_closed;
    leveldb_iterator_t *iter;
    int i;

    put(db, "key", "old");
    snapshot = leveldb_create_snapshot(db);
    put(db, "key", "new");
    leveldb_readoptions_set_snapshot(named_before, snapshot);
    check_get(db, named_before, "key", "old");
    leveldb_release_snapshot(db, snapshot);
    leveldb_readoptions_set_snapshot(named_after, snapshot);
    check_get(db, named_before, "key", "new");
    check_get(db, named_after, "key", "new");
    iter = leveldb_create_iterator(db, named_after);
    leveldb_iter_seek_to_first(iter);
    check_entry(iter, "key", "new");
    leveldb_iter_destroy(iter);
    leveldb_release_snapshot(db, snapshot);

    /* The handle that was released twice is reused for one snapshot only. */
    snapshot = leveldb_create_snapshot(db);
    put(db, "key", "newer");
    again = leveldb_create_snapshot(db);
    put(db, "key", "newest");
    CHECK(snapshot != again);
    leveldb_readoptions_set_snapshot(named_before, snapshot);
    leveldb_readoptions_set_snapshot(named_after, again);
    check_get(db, named_before, "key", "new");
    check_get(db, named_after, "key", "newer");
    leveldb_release_snapshot(db, snapshot);
    check_get(db, named_after, "key", "newer");

    /* A snapshot of another database, released through this one, and a snapshot of a closed database. */
    put(other, "key", "other");
    of_other = leveldb_create_snapshot(other);
    leveldb_readoptions_set_snapshot(named_before, of_other);
    leveldb_free(leveldb_get(db, named_before, "key", 3, &(size_t){0}, &err));
    CHECK_NO_ERROR();
    leveldb_release_snapshot(db, of_other);
    check_get(db, named_before, "key", "newest");
    of_closed = leveldb_create_snapshot(other);
    close_and_destroy(other, other_path);
    leveldb_release_snapshot(NULL, of_closed);
    leveldb_readoptions_set_snapshot(named_before, of_closed);
    check_get(db, named_before, "key", "newest");

    for (i = 0; i < 5000; i++) {
        snapshot = leveldb_create_snapshot(db);
        leveldb_release_snapshot(db, snapshot);
        leveldb_readoptions_set_snapshot(named_before, snapshot);
    }
    check_get(db, named_before, "key", "newest");
    check_get(db, named_after, "key", "newer");
    leveldb_release_snapshot(db, again);
    check_get(db, named_after, "key", "newest");
    leveldb_readoptions_destroy(named_before);
    leveldb_readoptions_destroy(named_after);
    close_and_destroy(db, path);
}

static atomic_int destroyed, called;

static void on_destroy(void *state) {
    CHECK(state == &destroyed);
    destroyed++;
}

static int compare(void *state, const char *a, size_t alen, const char *b, size_t blen) {
    size_t shorter = alen < blen ? alen : blen;
    int order = memcmp(a, b, shorter);
    (void)state;
    called++;
    return order != 0 ? order : (alen > blen) - (alen < blen);
}

/* The returned name is valid until the next call only. */
static const char *short_lived_name(void *state) {
    static char names[2][16];
    static unsigned turn;
    (void)state;
    memset(names[turn++ % 2], '#', 15);
    strcpy(names[turn % 2], "test.ShortLived");
    return names[turn % 2];
}

static leveldb_comparator_t *make_comparator(void) {
    destroyed = 0;
    return leveldb_comparator_create(&destroyed, on_destroy, compare, short_lived_name);
}

/* A database cannot work without its order: it continues to use it, and the destructor runs when the last
 * user is gone. */
static void test_comparator_destroyed_early(void) {
    const char *path = scratch("comparator");
    leveldb_options_t *options = create_options();
    leveldb_comparator_t *comparator = make_comparator();
    leveldb_iterator_t *iter;
    leveldb_t *db;

    leveldb_options_set_comparator(options, comparator);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    put(db, "a", "1");
    leveldb_comparator_destroy(comparator);
    CHECK(destroyed == 0);
    put(db, "b", "2");
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    check_get(db, NULL, "b", "2");
    leveldb_close(db);
    CHECK(destroyed == 1);

    /* Options with the destroyed comparator open nothing, and do not destroy it again. */
    CHECK(leveldb_open(options, path, &err) == NULL);
    CHECK_ERROR(MISUSE "the comparator of the options was destroyed");
    leveldb_options_set_comparator(options, NULL);
    CHECK(leveldb_open(options, path, &err) == NULL);
    CHECK_ERROR(MISUSE "test.ShortLived does not match existing comparator : leveldb.Bytewise");

    /* An iterator keeps the comparator alive. */
    comparator = make_comparator();
    leveldb_options_set_comparator(options, comparator);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    iter = leveldb_create_iterator(db, NULL);
    leveldb_close(db);
    leveldb_comparator_destroy(comparator);
    leveldb_iter_destroy(iter);
    CHECK(destroyed == 1);

    /* A comparator that is never used, and one without callbacks. */
    comparator = make_comparator();
    leveldb_options_set_comparator(options, comparator);
    leveldb_comparator_destroy(comparator);
    CHECK(destroyed == 1);
    comparator = leveldb_comparator_create(NULL, NULL, NULL, NULL);
    leveldb_options_set_comparator(options, comparator);
    CHECK(leveldb_open(options, path, &err) == NULL);
    CHECK_ERROR(MISUSE "the comparator of the options lacks compare or name");
    leveldb_comparator_destroy(comparator);
    leveldb_destroy_db(NULL, path, &err);
    CHECK_NO_ERROR();
    leveldb_options_destroy(options);
    CHECK(destroyed == 1);
}

static leveldb_t *_Atomic served;
static atomic_int refusals;

/* A comparator that calls its own database, on the threads of callers and of compactions, with any locks held
 * there. */
static int compare_and_call(void *state, const char *a, size_t alen, const char *b, size_t blen) {
    static _Thread_local int inside;
    leveldb_t *db = served;
    if (db != NULL && !inside) {
        char *message = NULL, *value;
        size_t length;
        inside = 1;
        leveldb_put(db, NULL, "inside", 6, "v", 1, &message);
        CHECK(message != NULL && strstr(message, "from within a comparator") != NULL);
        leveldb_free(message);
        message = NULL;
        value = leveldb_get(db, NULL, "a", 1, &length, &message);
        CHECK(message == NULL);
        leveldb_free(value);
        leveldb_compact_range(db, NULL, 0, NULL, 0);
        CHECK(leveldb_property_value(db, "leveldb.stats") == NULL);
        refusals++;
        inside = 0;
    }
    return compare(state, a, alen, b, blen);
}

/* Forbidden calls of a comparator on its database are refused; they do not wait for a lock of their own
 * thread. */
static void test_comparator_that_calls_its_database(void) {
    const char *path = scratch("reentrant");
    leveldb_options_t *options = create_options();
    leveldb_comparator_t *comparator;
    leveldb_iterator_t *iter;
    leveldb_t *db;

    destroyed = 0;
    comparator = leveldb_comparator_create(&destroyed, on_destroy, compare_and_call, short_lived_name);
    leveldb_options_set_comparator(options, comparator);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    served = db;
    put(db, "a", "1");
    put(db, "b", "2");
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    put(db, "a", "3");
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    iter = leveldb_create_iterator(db, NULL);
    leveldb_iter_seek(iter, "b", 1);
    check_entry(iter, "b", "2");
    leveldb_iter_prev(iter);
    check_entry(iter, "a", "3");
    leveldb_iter_destroy(iter);
    check_get(db, NULL, "inside", NULL);
    served = NULL;
    CHECK(refusals > 10);
    leveldb_close(db);
    leveldb_comparator_destroy(comparator);
    CHECK(destroyed == 1);
    leveldb_options_destroy(options);
    leveldb_destroy_db(NULL, path, &err);
    CHECK_NO_ERROR();
}

/* A filter of the first bytes of the keys: it has no false negatives unless it is empty. */
static char *first_bytes(void *state, const char *const *keys, const size_t *lengths, int count,
                         size_t *filter_length) {
    char *filter = calloc(1, 256);
    int i;
    CHECK(state == &destroyed && destroyed == 0);
    called++;
    for (i = 0; i < count; i++) {
        filter[lengths[i] ? (unsigned char)keys[i][0] : 0] = 1;
    }
    *filter_length = 256;
    return filter;
}

static uint8_t has_first_byte(void *state, const char *key, size_t length, const char *filter,
                              size_t filter_length) {
    CHECK(state == &destroyed && destroyed == 0);
    called++;
    return filter_length == 256 && filter[length ? (unsigned char)key[0] : 0];
}

static leveldb_filterpolicy_t *make_policy(void) {
    destroyed = 0;
    return leveldb_filterpolicy_create(&destroyed, on_destroy, first_bytes, has_first_byte, short_lived_name);
}

/* After its destroy function no callback of a filter policy runs, and no key is lost for lack of a filter. */
static void test_filter_policy_destroyed_early(void) {
    const char *path = scratch("filter");
    leveldb_options_t *options = create_options();
    leveldb_filterpolicy_t *policy = make_policy();
    leveldb_t *db;
    int calls;

    leveldb_options_set_filter_policy(options, policy);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    put(db, "apple", "1");
    called = 0;
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    check_get(db, NULL, "apple", "1");
    CHECK(called > 1);
    calls = called;
    leveldb_filterpolicy_destroy(policy);
    CHECK(destroyed == 1);
    check_get(db, NULL, "apple", "1");
    check_get(db, NULL, "absent", NULL);
    put(db, "banana", "2");
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    check_get(db, NULL, "banana", "2");
    check_get(db, NULL, "apple", "1");
    CHECK(called == calls);
    leveldb_close(db);
    CHECK(called == calls && destroyed == 1);

    /* The options still refer to it: they open a database without a policy. */
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    check_get(db, NULL, "banana", "2");
    leveldb_close(db);
    CHECK(called == calls);
    /* A policy of the same name must not treat a table without filters as a table without keys. */
    policy = make_policy();
    leveldb_options_set_filter_policy(options, policy);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    check_get(db, NULL, "apple", "1");
    check_get(db, NULL, "banana", "2");
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    check_get(db, NULL, "banana", "2");
    leveldb_options_destroy(options);
    close_and_destroy(db, path);
    leveldb_filterpolicy_destroy(policy);
    CHECK(destroyed == 1);

    /* The bloom filter, which has no callbacks, continues to be used. */
    options = create_options();
    policy = leveldb_filterpolicy_create_bloom(-1);
    leveldb_options_set_filter_policy(options, policy);
    leveldb_filterpolicy_destroy(policy);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    put(db, "a", "1");
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    check_get(db, NULL, "a", "1");
    leveldb_close(db);
    /* A policy without callbacks makes no filters. */
    policy = leveldb_filterpolicy_create(NULL, NULL, NULL, NULL, NULL);
    leveldb_options_set_filter_policy(options, policy);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    put(db, "b", "2");
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    check_get(db, NULL, "a", "1");
    check_get(db, NULL, "b", "2");
    close_and_destroy(db, path);
    leveldb_filterpolicy_destroy(policy);
    leveldb_options_destroy(options);
}

static void test_other_objects_destroyed_early(void) {
    const char *path = scratch("early");
    leveldb_options_t *options = create_options();
    leveldb_cache_t *cache = leveldb_cache_create_lru(1 << 20);
    leveldb_env_t *env = leveldb_create_default_env();
    leveldb_t *db;

    leveldb_options_set_cache(options, cache);
    leveldb_options_set_env(options, env);
    leveldb_options_set_compression(options, 77); /* unknown: none */
    leveldb_env_destroy(env);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    leveldb_cache_destroy(cache);
    put(db, "a", "1");
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    check_get(db, NULL, "a", "1");
    leveldb_close(db);
    /* NULL is the default. */
    leveldb_options_set_cache(options, NULL);
    leveldb_options_set_env(options, NULL);
    leveldb_options_set_filter_policy(options, NULL);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    check_get(db, NULL, "a", "1");
    leveldb_options_destroy(options);
    close_and_destroy(db, path);
}

/* Empty keys and values are lent at an address that hosts with a moving stack accept as a pointer. */
static void test_empty_is_a_real_address(void) {
    const char *path = scratch("empty");
    leveldb_t *db = open_fresh(path);
    leveldb_iterator_t *iter;
    size_t length = 7;

    leveldb_put(db, NULL, NULL, 0, NULL, 0, &err);
    CHECK_NO_ERROR();
    iter = leveldb_create_iterator(db, NULL);
    leveldb_iter_seek_to_last(iter);
    CHECK((uintptr_t)leveldb_iter_key(iter, &length) > 4096 && length == 0);
    CHECK((uintptr_t)leveldb_iter_value(iter, &length) > 4096 && length == 0);
    leveldb_iter_destroy(iter);
    close_and_destroy(db, path);
}

int main(void) {
    test_null_handles();
    test_null_options_are_the_default_ones();
    test_nonsense_lengths();
    test_handles_of_another_kind();
    test_iterators_and_snapshots_outlive_the_database();
    test_a_released_snapshot_reads_the_latest_state();
    test_comparator_destroyed_early();
    test_comparator_that_calls_its_database();
    test_filter_policy_destroyed_early();
    test_other_objects_destroyed_early();
    test_empty_is_a_real_address();
    return passed();
}
