/*
 * Column families misused: NULL handles, handles of another database, of a dropped family and of a closed
 * database; names that cannot be; a family that is missing, unknown or has another order at the opening. None
 * of it crashes, leaks, or changes anything. (A destroyed handle must not be used, as any other object.)
 */
#include "check.h"

#include "terrace.h"

#define MISUSE "Invalid argument: "

typedef terrace_column_family_handle_t family_t;

static void put_cf(leveldb_t *db, family_t *family, const char *key) {
    terrace_put_cf(db, NULL, family, key, strlen(key), "v", 1, &err);
}

static int has(leveldb_t *db, family_t *family, const char *key) {
    size_t length;
    char *value = terrace_get_cf(db, NULL, family, key, strlen(key), &length, &err);
    CHECK_NO_ERROR();
    leveldb_free(value);
    return value != NULL;
}

static family_t *create(leveldb_t *db, const char *name) {
    family_t *family = terrace_create_column_family(db, NULL, name, &err);
    CHECK_NO_ERROR();
    CHECK(family != NULL);
    return family;
}

/* Every function with this database and this family: each fails with a message that begins with `prefix`. */
static void check_all_fail(leveldb_t *db, family_t *family, const char *prefix) {
    leveldb_writebatch_t *batch = leveldb_writebatch_create();
    leveldb_iterator_t *iter = NULL;
    uint64_t size = 7;
    size_t length = 7;
    const char *start = "a", *limit = "z";
    const size_t one = 1;

    put_cf(db, family, "k");
    CHECK_ERROR(prefix);
    terrace_delete_cf(db, NULL, family, "k", 1, &err);
    CHECK_ERROR(prefix);
    CHECK(terrace_get_cf(db, NULL, family, "k", 1, &length, &err) == NULL && length == 0);
    CHECK_ERROR(prefix);
    terrace_create_iterators(db, NULL, &family, &iter, 1, &err);
    CHECK(iter == NULL);
    CHECK_ERROR(prefix);
    terrace_drop_column_family(db, family, &err);
    CHECK_ERROR(prefix);
    terrace_approximate_sizes_cf(db, family, 1, &start, &one, &limit, &one, &size, &err);
    CHECK(size == 0);
    CHECK_ERROR(prefix);
    terrace_compact_range_cf(db, family, NULL, 0, NULL, 0);
    CHECK(terrace_property_value_cf(db, family, "leveldb.stats") == NULL);
    CHECK(terrace_property_int_cf(db, family, "leveldb.num-files-at-level0", &size) != 0);
    iter = terrace_create_iterator_cf(db, NULL, family);
    if (iter != NULL) {
        leveldb_iter_seek_to_first(iter);
        CHECK(!leveldb_iter_valid(iter));
        leveldb_iter_get_error(iter, &err);
        CHECK_ERROR(prefix);
        leveldb_iter_destroy(iter);
    }
    leveldb_writebatch_put(batch, "in the batch", 12, "v", 1);
    terrace_writebatch_put_cf(batch, family, "k", 1, "v", 1);
    terrace_writebatch_delete_cf(batch, family, "k", 1);
    leveldb_write(db, NULL, batch, &err);
    CHECK_ERROR(MISUSE);
    leveldb_writebatch_destroy(batch);
}

static void test_handles(void) {
    const char *path = scratch("handles"), *other_path = scratch("other");
    leveldb_t *db = open_fresh(path), *other = open_fresh(other_path);
    family_t *family = create(db, "index"), *foreign = create(other, "index");
    family_t *of_db = terrace_get_default_column_family_handle(db);
    leveldb_iterator_t *iter;
    size_t length = 7;

    check_all_fail(db, NULL, MISUSE "column family is NULL");
    check_all_fail(NULL, family, MISUSE "db is NULL");
    check_all_fail(NULL, NULL, MISUSE);
    check_all_fail(db, foreign, MISUSE "the column family is of another database");
    CHECK(!has(db, of_db, "in the batch"));
    put_cf(db, family, "k");
    CHECK_NO_ERROR();
    CHECK(has(db, family, "k") && !has(other, foreign, "k"));

    CHECK(terrace_get_default_column_family_handle(NULL) == NULL);
    CHECK(terrace_column_family_handle_get_id(NULL) == 0);
    CHECK(terrace_column_family_handle_get_name(NULL, &length) == NULL && length == 0);
    terrace_column_family_handle_destroy(NULL);
    terrace_list_column_families_destroy(NULL, 0);
    terrace_create_column_families_destroy(NULL);
    terrace_create_iterators(db, NULL, NULL, &iter, 1, &err);
    CHECK_ERROR(MISUSE);
    terrace_create_iterators(db, NULL, &family, NULL, 1, &err);
    CHECK_ERROR(MISUSE);
    terrace_drop_column_family(db, of_db, &err);
    CHECK_ERROR(MISUSE);

    /* A dropped family is read until its handle is destroyed, and not written. */
    iter = terrace_create_iterator_cf(db, NULL, family);
    terrace_drop_column_family(db, family, &err);
    CHECK_NO_ERROR();
    put_cf(db, family, "k");
    CHECK_ERROR(MISUSE "the column family 'index' was dropped");
    terrace_drop_column_family(db, family, &err);
    CHECK_ERROR(MISUSE);
    CHECK(has(db, family, "k"));
    terrace_column_family_handle_destroy(family);
    leveldb_iter_seek_to_first(iter);
    CHECK(leveldb_iter_valid(iter));
    leveldb_iter_destroy(iter);

    /* A handle outlives its database. */
    leveldb_close(other);
    CHECK(terrace_column_family_handle_get_id(foreign) == 1);
    check_all_fail(db, foreign, MISUSE "the column family is of another database");
    terrace_column_family_handle_destroy(foreign);
    terrace_column_family_handle_destroy(of_db);
    leveldb_destroy_db(NULL, other_path, &err);
    CHECK_NO_ERROR();
    close_and_destroy(db, path);
}

static void test_names(void) {
    const char *path = scratch("names");
    leveldb_t *db = open_fresh(path);
    const char *names[] = {"one", "two", "one"};
    family_t **list;
    size_t count = 7;
    char *huge = malloc((64 << 20) + 1);

    memset(huge, 'x', 64 << 20);
    huge[64 << 20] = 0;
    CHECK(terrace_create_column_family(NULL, NULL, "a", &err) == NULL);
    CHECK_ERROR(MISUSE "db is NULL");
    CHECK(terrace_create_column_family(db, NULL, NULL, &err) == NULL);
    CHECK_ERROR(MISUSE "column_family_name is NULL");
    CHECK(terrace_create_column_family(db, NULL, "", &err) == NULL);
    CHECK_ERROR(MISUSE);
    CHECK(terrace_create_column_family(db, NULL, "default", &err) == NULL);
    CHECK_ERROR(MISUSE);
    CHECK(terrace_create_column_family(db, NULL, huge, &err) == NULL);
    CHECK(err != NULL && strlen(err) < 1000); /* the name is not repeated */
    CHECK_ERROR(MISUSE);
    free(huge);
    list = terrace_create_column_families(db, NULL, 3, names, &count, &err);
    CHECK(list != NULL && count == 2);
    CHECK_ERROR(MISUSE "column family 'one' exists already");
    terrace_column_family_handle_destroy(list[0]);
    terrace_column_family_handle_destroy(list[1]);
    terrace_create_column_families_destroy(list);
    list = terrace_create_column_families(db, NULL, 1, NULL, &count, &err);
    CHECK(count == 0);
    CHECK_ERROR(MISUSE);
    terrace_create_column_families_destroy(list);
    close_and_destroy(db, path);
}

static int compare(void *state, const char *a, size_t alen, const char *b, size_t blen) {
    (void)state;
    (void)alen;
    (void)blen;
    return (int)*b - (int)*a;
}

static const char *name_of_order(void *state) {
    (void)state;
    return "test.another order";
}

static void no_state(void *state) { (void)state; }

/* Opens with some families, and checks that it fails with a message that has `part`. */
static void check_refused(const char *path, int count, const char *const *names,
                          const leveldb_options_t *options, const char *part) {
    family_t *handles[4] = {(family_t *)16, (family_t *)16, (family_t *)16, (family_t *)16};
    const leveldb_options_t *of_families[4] = {options, options, options, options};
    CHECK(terrace_open_column_families(NULL, path, count, names, of_families, handles, &err) == NULL);
    CHECK(err != NULL && strstr(err, part) != NULL);
    CHECK_ERROR(MISUSE);
    for (int index = 0; index < count; index++) CHECK(handles[index] == NULL);
}

static void test_opening(void) {
    const char *path = scratch("opening");
    leveldb_t *db = open_fresh(path);
    const char *both[] = {"index", "log"}, *one[] = {"log"}, *more[] = {"index", "log", "more"};
    const char *twice[] = {"index", "log", "index"}, *empty[] = {"index", "log", ""};
    const char *null[] = {"index", "log", NULL};
    leveldb_options_t *ordered = create_options();
    leveldb_comparator_t *order = leveldb_comparator_create(NULL, no_state, compare, name_of_order);
    family_t *handles[2];
    size_t count = 7;
    char **list;

    leveldb_options_set_comparator(ordered, order);
    terrace_column_family_handle_destroy(create(db, "index"));
    terrace_column_family_handle_destroy(create(db, "log"));
    leveldb_close(db);
    CHECK(leveldb_open(NULL, path, &err) == NULL);
    CHECK(err != NULL && strstr(err, "index, log") != NULL);
    CHECK_ERROR(MISUSE);
    check_refused(path, 0, NULL, NULL, "index, log");
    check_refused(path, 1, one, NULL, "not opened: index");
    check_refused(path, 3, more, NULL, "not found: more");
    check_refused(path, 3, twice, NULL, "'index' is named twice");
    check_refused(path, 3, empty, NULL, "empty");
    check_refused(path, 3, null, NULL, "NULL");
    check_refused(path, 2, NULL, NULL, "NULL");
    check_refused(path, 2, both, ordered, "column family 'index': ");
    CHECK(terrace_open_column_families(NULL, path, 2, both, NULL, NULL, &err) == NULL);
    CHECK_ERROR(MISUSE "column_family_handles is NULL");
    CHECK(terrace_list_column_families(NULL, "/does not exist", &count, &err) == NULL && count == 0);
    CHECK(err != NULL);
    leveldb_free(err);
    err = NULL;
    list = terrace_list_column_families(NULL, path, NULL, &err);
    CHECK_NO_ERROR();
    CHECK(strcmp(list[0], "default") == 0 && strcmp(list[1], "index") == 0);
    terrace_list_column_families_destroy(list, 3);
    db = terrace_open_column_families(NULL, path, 2, both, NULL, handles, &err);
    CHECK_NO_ERROR();
    put_cf(db, handles[0], "k");
    CHECK_NO_ERROR();
    terrace_column_family_handle_destroy(handles[0]);
    terrace_column_family_handle_destroy(handles[1]);
    close_and_destroy(db, path);
    leveldb_options_destroy(ordered);
    leveldb_comparator_destroy(order);
}

int main(void) {
    test_handles();
    test_names();
    test_opening();
    return passed();
}
