/* What spares bindings calls, and lets them raise exceptions: terrace_get_into(), terrace_writebatch_create_from(),
 * terrace_comparator_fail(). */
#include "terrace.h"

#include "check.h"

static const size_t MISSING = (size_t)-1, FAILED = (size_t)-2;

static void test_get_into(void) {
    const char *path = scratch("get-into");
    leveldb_t *db = open_fresh(path);
    leveldb_readoptions_t *options = leveldb_readoptions_create();
    const leveldb_snapshot_t *snapshot;
    char buffer[8], *stale;
    int i;
    put(db, "empty", "");
    put(db, "key", "value");
    for (i = 0; i < 2; i++) { /* from memory, then from a table */
        memset(buffer, '-', sizeof buffer);
        CHECK(terrace_get_into(db, NULL, "key", 3, buffer, 8, &err) == 5);
        CHECK(memcmp(buffer, "value---", 8) == 0);
        CHECK(terrace_get_into(db, options, "key", 3, buffer, 5, &err) == 5);
        /* Too small: only the length. */
        memset(buffer, '-', sizeof buffer);
        CHECK(terrace_get_into(db, options, "key", 3, buffer, 4, &err) == 5);
        CHECK(memcmp(buffer, "--------", 8) == 0);
        CHECK(terrace_get_into(db, options, "key", 3, NULL, 0, &err) == 5);
        CHECK(terrace_get_into(db, options, "empty", 5, NULL, 0, &err) == 0);
        CHECK(terrace_get_into(db, options, "none", 4, buffer, 8, &err) == MISSING);
        CHECK(terrace_get_into(db, options, NULL, 0, buffer, 8, NULL) == MISSING);
        CHECK_NO_ERROR();
        terrace_flush(db, &err);
        CHECK_NO_ERROR();
    }
    snapshot = leveldb_create_snapshot(db);
    leveldb_readoptions_set_snapshot(options, snapshot);
    put(db, "key", "newer");
    CHECK(terrace_get_into(db, options, "key", 3, buffer, 8, &err) == 5 && memcmp(buffer, "value", 5) == 0);
    CHECK(terrace_get_into(db, NULL, "key", 3, buffer, 8, &err) == 5 && memcmp(buffer, "newer", 5) == 0);
    leveldb_release_snapshot(db, snapshot);

    CHECK(terrace_get_into(NULL, options, "key", 3, buffer, 8, &err) == FAILED);
    CHECK_ERROR("Invalid argument: db");
    CHECK(terrace_get_into(db, options, NULL, 3, buffer, 8, &err) == FAILED);
    CHECK_ERROR("Invalid argument: key");
    CHECK(terrace_get_into(db, options, "key", (size_t)-1, buffer, 8, &err) == FAILED);
    CHECK_ERROR("Invalid argument: key");
    CHECK(terrace_get_into(db, options, "key", 3, NULL, 8, NULL) == FAILED);
    CHECK(terrace_last_error_code() == TERRACE_INVALID_ARGUMENT);
    /* A stale message survives a miss. */
    stale = err = strdup("stale");
    CHECK(terrace_get_into(db, options, "none", 4, buffer, 8, &err) == MISSING);
    CHECK(err == stale);
    leveldb_free(err);
    err = NULL;
    leveldb_readoptions_destroy(options);
    close_and_destroy(db, path);
}

static void check_bad(const char *rep, size_t length) {
    CHECK(terrace_writebatch_create_from(rep, length, &err) == NULL);
    CHECK_ERROR("Corruption: ");
}

static void test_writebatch_create_from(void) {
    static const char rep[] = "\0\0\0\0\0\0\0\0\3\0\0\0"
                              "\1\1a\3one"
                              "\1\0\0"
                              "\0\4gone";
    static const size_t length = sizeof rep - 1;
    const char *path = scratch("batch-from");
    leveldb_t *db = open_fresh(path);
    leveldb_writebatch_t *batch;
    char damaged[sizeof rep];
    size_t i;
    put(db, "gone", "x");
    batch = terrace_writebatch_create_from(rep, length, &err);
    CHECK_NO_ERROR();
    CHECK(batch != NULL);
    leveldb_writebatch_put(batch, "b", 1, "two", 3); /* it is a batch like any other */
    leveldb_write(db, NULL, batch, &err);
    CHECK_NO_ERROR();
    leveldb_writebatch_destroy(batch);
    check_get(db, NULL, "a", "one");
    check_get(db, NULL, "", "");
    check_get(db, NULL, "gone", NULL);
    check_get(db, NULL, "b", "two");

    for (i = 0; i < length; i++) {
        check_bad(rep, i); /* cut short anywhere */
    }
    check_bad(NULL, 0);
    for (i = 8; i < 13; i++) { /* the count, and a tag */
        memcpy(damaged, rep, sizeof rep);
        damaged[i] = 7;
        check_bad(damaged, length);
    }
    CHECK(terrace_writebatch_create_from(NULL, 12, &err) == NULL);
    CHECK_ERROR("Invalid argument: rep");
    CHECK(terrace_writebatch_create_from(rep, (size_t)-1, NULL) == NULL);
    CHECK(terrace_last_error_code() == TERRACE_INVALID_ARGUMENT);
    close_and_destroy(db, path);
}

/* Bytewise, until it is told to fail. */
static int failing;
static int compare(void *state, const char *a, size_t alen, const char *b, size_t blen) {
    int order = memcmp(a, b, alen < blen ? alen : blen);
    if (__atomic_load_n(&failing, __ATOMIC_SEQ_CST)) {
        terrace_comparator_fail(state);
        return 0;
    }
    return order ? order : (alen > blen) - (alen < blen);
}
static const char *name(void *state) {
    (void)state;
    return "test.Failing";
}

static leveldb_t *open_with(leveldb_comparator_t *comparator, const char *path) {
    leveldb_options_t *options = create_options();
    leveldb_t *db;
    leveldb_options_set_comparator(options, comparator);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    leveldb_options_destroy(options);
    return db;
}

static void fail(int whether) { __atomic_store_n(&failing, whether, __ATOMIC_SEQ_CST); }

static void test_a_comparator_that_fails(void) {
    const char *path = scratch("failing");
    leveldb_comparator_t *comparator = leveldb_comparator_create("no \"order\"", NULL, compare, name);
    leveldb_t *db = open_with(comparator, path);
    leveldb_iterator_t *iter;
    char buffer[8];
    put(db, "a", "1");
    put(db, "c", "3");
    terrace_comparator_fail("outside of a comparison this means nothing");
    put(db, "b", "2");

    /* A write, a read and an iterator say why; then reads work again, and writes only after opening it again. */
    fail(1);
    leveldb_put(db, NULL, "bb", 2, "x", 1, &err);
    CHECK_ERROR("IO error: the comparator failed: no \"order\"");
    CHECK(terrace_get_into(db, NULL, "a", 1, buffer, 8, &err) == FAILED);
    CHECK(terrace_last_error_code() == TERRACE_INTERNAL_ERROR);
    CHECK_ERROR("IO error: the comparator failed: no \"order\"");
    iter = leveldb_create_iterator(db, NULL);
    leveldb_iter_seek(iter, "b", 1);
    CHECK(!leveldb_iter_valid(iter));
    leveldb_iter_get_error(iter, &err);
    CHECK_ERROR("IO error: the comparator failed: no \"order\"");
    leveldb_iter_destroy(iter);
    fail(0);
    check_get(db, NULL, "b", "2");
    leveldb_put(db, NULL, "d", 1, "4", 1, &err);
    CHECK_ERROR("IO error: the database takes no writes");
    leveldb_close(db);
    db = open_with(comparator, path);
    check_get(db, NULL, "a", "1");
    put(db, "d", "4");

    /* In the background: the compaction is given up, the waiting call hears of it, what is there stays. */
    terrace_flush(db, &err);
    CHECK_NO_ERROR();
    put(db, "a", "11");
    put(db, "e", "5");
    terrace_flush(db, &err);
    CHECK_NO_ERROR();
    fail(1);
    terrace_compact_range(db, NULL, 0, NULL, 0, &err);
    CHECK(err != NULL && strstr(err, "no \"order\"") != NULL);
    leveldb_free(err);
    err = NULL;
    fail(0);
    check_get(db, NULL, "a", "11");
    leveldb_close(db);
    db = open_with(comparator, path);
    check_get(db, NULL, "a", "11");
    check_get(db, NULL, "b", "2");
    check_get(db, NULL, "e", "5");
    terrace_compact_range(db, NULL, 0, NULL, 0, &err);
    CHECK_NO_ERROR();
    check_get(db, NULL, "d", "4");
    leveldb_close(db);
    leveldb_comparator_destroy(comparator);
}

int main(void) {
    test_get_into();
    test_writebatch_create_from();
    test_a_comparator_that_fails();
    return passed();
}
