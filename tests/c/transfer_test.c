/* Export of a column family to a directory of LevelDB's, and import of one. */
#include "terrace.h"

#include "check.h"

static void check_value(leveldb_t *db, terrace_column_family_handle_t *family, const char *key, const char *expected) {
    size_t length;
    char *value = family != NULL ? terrace_get_cf(db, NULL, family, key, strlen(key), &length, &err)
                                 : leveldb_get(db, NULL, key, strlen(key), &length, &err);
    CHECK_NO_ERROR();
    CHECK(expected == NULL ? value == NULL : value != NULL && length == strlen(expected) && memcmp(value, expected, length) == 0);
    leveldb_free(value);
}

static void put_cf(leveldb_t *db, terrace_column_family_handle_t *family, const char *key, const char *value) {
    terrace_put_cf(db, NULL, family, key, strlen(key), value, strlen(value), &err);
    CHECK_NO_ERROR();
}

static int compare_reverse(void *state, const char *a, size_t alen, const char *b, size_t blen) {
    const size_t shared = alen < blen ? alen : blen;
    const int order = memcmp(b, a, shared);
    (void)state;
    return order != 0 ? order : (blen > alen) - (blen < alen);
}

static const char *reverse_name(void *state) {
    (void)state;
    return "test.Reverse";
}

static void nothing(void *state) { (void)state; }

/* A family goes to a directory of its own, and comes back from there under another name. */
static void test_there_and_back(leveldb_comparator_t *comparator) {
    const char *path = scratch("transfer"), *directory = scratch("exported");
    const char *names[] = {"default", "words", "again"};
    terrace_column_family_handle_t *words, *again, *handles[3];
    leveldb_options_t *options = create_options();
    const leveldb_options_t *of_families[] = {options, options, options};
    leveldb_t *db, *exported;
    char *value;

    leveldb_options_set_comparator(options, comparator);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    words = terrace_create_column_family(db, options, "words", &err);
    CHECK_NO_ERROR();
    put(db, "key", "of the default family");
    put_cf(db, words, "key", "old");
    put_cf(db, words, "key", "of words");
    put_cf(db, words, "other", "of words too");
    put_cf(db, words, "deleted", "gone");
    terrace_delete_cf(db, NULL, words, "deleted", 7, &err);
    CHECK_NO_ERROR();
    terrace_export_leveldb(db, words, directory, &err);
    CHECK_NO_ERROR();
    terrace_export_leveldb(db, words, directory, &err);
    CHECK_ERROR("Invalid argument: ");
    terrace_export_leveldb(db, words, path, &err);
    CHECK_ERROR("Invalid argument: ");

    exported = leveldb_open(options, directory, &err);
    CHECK_NO_ERROR();
    value = leveldb_property_value(exported, "terrace.language");
    CHECK(value != NULL && strcmp(value, "leveldb") == 0);
    leveldb_free(value);
    check_value(exported, NULL, "key", "of words");
    check_value(exported, NULL, "other", "of words too");
    check_value(exported, NULL, "deleted", NULL);
    put(exported, "added", "later"); /* in the WAL */
    CHECK(terrace_import_leveldb(db, "again", directory, &err) == NULL);
    CHECK_ERROR("IO error: "); /* it is open */
    leveldb_close(exported);

    CHECK(terrace_import_leveldb(db, "words", directory, &err) == NULL);
    CHECK_ERROR("Invalid argument: ");
    again = terrace_import_leveldb(db, "again", directory, &err);
    CHECK_NO_ERROR();
    check_value(db, again, "key", "of words");
    check_value(db, again, "added", "later");
    put_cf(db, again, "key", "of again");
    check_value(db, words, "key", "of words");
    terrace_column_family_handle_destroy(words);
    terrace_column_family_handle_destroy(again);
    leveldb_close(db);

    db = terrace_open_column_families(options, path, 3, names, of_families, handles, &err);
    CHECK_NO_ERROR();
    check_value(db, NULL, "key", "of the default family");
    check_value(db, handles[2], "key", "of again");
    check_value(db, handles[2], "other", "of words too");
    terrace_column_family_handle_destroy(handles[0]);
    terrace_column_family_handle_destroy(handles[1]);
    terrace_column_family_handle_destroy(handles[2]);
    leveldb_close(db);
    leveldb_destroy_db(options, directory, &err);
    CHECK_NO_ERROR();
    leveldb_destroy_db(options, path, &err);
    CHECK_NO_ERROR();
    leveldb_options_destroy(options);
}

/* NULL is the default family; a directory that is missing is not created by an import. */
static void test_default_family(void) {
    const char *path = scratch("default-family"), *directory = scratch("of-default-family");
    leveldb_options_t *options = create_options();
    leveldb_t *db = leveldb_open(options, path, &err);

    CHECK_NO_ERROR();
    CHECK(terrace_import_leveldb(db, "new", directory, &err) == NULL);
    CHECK_ERROR("Invalid argument: ");
    CHECK(access(directory, F_OK) != 0);
    put(db, "a", "1");
    terrace_export_leveldb(db, NULL, directory, &err);
    CHECK_NO_ERROR();
    terrace_export_leveldb(NULL, NULL, directory, &err);
    CHECK_ERROR("Invalid argument: ");
    terrace_export_leveldb(db, NULL, NULL, &err);
    CHECK_ERROR("Invalid argument: ");
    close_and_destroy(db, path);
    db = leveldb_open(options, directory, &err);
    CHECK_NO_ERROR();
    check_value(db, NULL, "a", "1");
    leveldb_options_destroy(options);
    close_and_destroy(db, directory);
}

/* LEVELDB forbids the switch that an import needs. An export needs none. */
static void test_forbidden(void) {
    const char *path = scratch("forbidden"), *directory = scratch("from-forbidden");
    leveldb_options_t *options = create_options();
    leveldb_t *db;

    terrace_options_set_language(options, TERRACE_LANGUAGE_LEVELDB);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    terrace_export_leveldb(db, NULL, directory, &err);
    CHECK_NO_ERROR();
    CHECK(terrace_import_leveldb(db, "new", directory, &err) == NULL);
    CHECK_ERROR("Not implemented: ");
    leveldb_destroy_db(options, directory, &err);
    CHECK_NO_ERROR();
    leveldb_options_destroy(options);
    close_and_destroy(db, path);
}

int main(void) {
    leveldb_comparator_t *reverse = leveldb_comparator_create(NULL, nothing, compare_reverse, reverse_name);
    test_there_and_back(NULL);
    test_there_and_back(reverse);
    leveldb_comparator_destroy(reverse);
    test_default_family();
    test_forbidden();
    return passed();
}
