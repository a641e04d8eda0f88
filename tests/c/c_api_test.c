/*
 * Databases, iterators, snapshots and batches through leveldb/c.h, as LevelDB documents them. The test also
 * runs against Google's library (-DGOOGLE), which shows that it expects LevelDB's behaviour. Options and
 * their objects are in c_options_test.c, behaviour that LevelDB leaves undefined in c_misuse_test.c.
 */
#include "check.h"

static void test_versions(void) {
    CHECK(leveldb_major_version() == 1);
    CHECK(leveldb_minor_version() == 23);
    CHECK(leveldb_no_compression == 0);
    CHECK(leveldb_snappy_compression == 1);
}

static void test_environment(void) {
    const char *before = getenv("TEST_TMPDIR");
    char *kept = before ? strdup(before) : NULL;
    char *directory, expected[64];
    leveldb_env_t *env = leveldb_create_default_env();
    leveldb_options_t *options = create_options();
    leveldb_t *db;
    const char *path;
    CHECK(env != NULL);

    setenv("TEST_TMPDIR", scratch("made"), 1);
    directory = leveldb_env_get_test_directory(env);
    CHECK(directory != NULL);
    CHECK(strcmp(directory, getenv("TEST_TMPDIR")) == 0);
    CHECK(is_directory(directory));
    rmdir(directory);
    leveldb_free(directory);

    unsetenv("TEST_TMPDIR");
    directory = leveldb_env_get_test_directory(env);
    snprintf(expected, sizeof expected, "/tmp/leveldbtest-%d", (int)geteuid());
    CHECK(directory != NULL);
    CHECK(strcmp(directory, expected) == 0);
    CHECK(is_directory(directory));
    leveldb_free(directory);
    if (kept) {
        setenv("TEST_TMPDIR", kept, 1);
        free(kept);
    }

    path = scratch("env");
    leveldb_options_set_env(options, env);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    put(db, "a", "1");
    check_get(db, NULL, "a", "1");
    close_and_destroy(db, path);
    leveldb_options_destroy(options);
    /* Destroys only the handle, not the default environment. */
    leveldb_env_destroy(env);
}

static void test_open_errors(void) {
    const char *path = scratch("open");
    char message[800], nested[700];
    leveldb_options_t *options = leveldb_options_create();
    leveldb_t *db;

    snprintf(message, sizeof message,
             "Invalid argument: %s: does not exist (create_if_missing is false)", path);
    check_open_fails(options, path, message);

    leveldb_options_set_create_if_missing(options, 1);
    snprintf(nested, sizeof nested, "%s/no/such", path);
    snprintf(message, sizeof message, "NotFound: %s/LOCK: No such file or directory", nested);
    check_open_fails(options, nested, message);

    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    CHECK(db != NULL);
    snprintf(message, sizeof message, "IO error: lock %s/LOCK: already held by process", path);
    check_open_fails(options, path, message);
    leveldb_destroy_db(options, path, &err);
    CHECK(err != NULL && strcmp(err, message) == 0);
    free(err);
    err = NULL;
    put(db, "still", "there");
    check_get(db, NULL, "still", "there");
    leveldb_close(db);

    leveldb_options_set_error_if_exists(options, 1);
    snprintf(message, sizeof message, "Invalid argument: %s: exists (error_if_exists is true)", path);
    check_open_fails(options, path, message);
    leveldb_options_set_error_if_exists(options, 0);
    leveldb_destroy_db(options, path, &err);
    CHECK_NO_ERROR();
    leveldb_options_destroy(options);
}

static void test_errptr(void) {
    const char *path = scratch("errptr");
    leveldb_t *db = open_fresh(path);
    leveldb_options_t *options = leveldb_options_create();
    leveldb_readoptions_t *read_options = leveldb_readoptions_create();
    leveldb_writeoptions_t *write_options = leveldb_writeoptions_create();
    char *stale = strdup("a message of the caller's"), *mine = stale;
    size_t length = 99;

    /* Success and an absent key do not change the old message. */
    leveldb_put(db, write_options, "k", 1, "v", 1, &stale);
    CHECK(stale == mine);
    CHECK(leveldb_get(db, read_options, "absent", 6, &length, &stale) == NULL);
    CHECK(length == 0);
    CHECK(stale == mine && strcmp(stale, "a message of the caller's") == 0);
    leveldb_delete(db, write_options, "absent", 6, &stale);
    CHECK(stale == mine);
    /* Failure frees and replaces it, which valgrind and the allocator check. */
    CHECK(leveldb_open(options, path, &stale) == NULL);
    CHECK(strncmp(stale, "IO error: ", 10) == 0);
    CHECK(leveldb_open(options, scratch("errptr-absent"), &stale) == NULL);
    CHECK(strncmp(stale, "Invalid argument: ", 18) == 0);
    free(stale);
    /* LevelDB creates the directory before it refuses. */
    leveldb_destroy_db(options, scratch("errptr-absent"), &err);
    CHECK_NO_ERROR();

    leveldb_readoptions_destroy(read_options);
    leveldb_writeoptions_destroy(write_options);
    leveldb_options_destroy(options);
    close_and_destroy(db, path);
}

static void test_put_get_delete(void) {
    const char *path = scratch("put");
    leveldb_t *db = open_fresh(path);
    leveldb_writeoptions_t *write_options = leveldb_writeoptions_create();
    leveldb_readoptions_t *read_options = leveldb_readoptions_create();
    size_t length = 99, i;
    char *value, *large = malloc(300000);

    check_get(db, NULL, "foo", NULL);
    put(db, "foo", "hello");
    check_get(db, NULL, "foo", "hello");
    put(db, "foo", "again");
    check_get(db, NULL, "foo", "again");

    /* NULL with length 0 is the empty string; an empty value is not NULL. */
    leveldb_put(db, write_options, NULL, 0, NULL, 0, &err);
    CHECK_NO_ERROR();
    value = leveldb_get(db, read_options, NULL, 0, &length, &err);
    CHECK_NO_ERROR();
    CHECK(value != NULL && length == 0);
    leveldb_free(value);
    value = leveldb_get(db, read_options, "", 0, &length, &err);
    CHECK(value != NULL && length == 0);
    free(value);
    leveldb_delete(db, write_options, NULL, 0, &err);
    CHECK_NO_ERROR();
    check_get(db, NULL, "", NULL);

    /* Any byte may occur. */
    leveldb_put(db, write_options, "a\0b", 3, "\0\xff\0", 3, &err);
    CHECK_NO_ERROR();
    check_get(db, NULL, "a", NULL);
    value = leveldb_get(db, read_options, "a\0b", 3, &length, &err);
    CHECK(value != NULL && length == 3 && memcmp(value, "\0\xff\0", 3) == 0);
    free(value);

    leveldb_writeoptions_set_sync(write_options, 1);
    for (i = 0; i < 300000; i++) {
        large[i] = (char)(i * i >> 3);
    }
    leveldb_put(db, write_options, "large", 5, large, 300000, &err);
    CHECK_NO_ERROR();
    leveldb_readoptions_set_verify_checksums(read_options, 1);
    leveldb_readoptions_set_fill_cache(read_options, 0);
    value = leveldb_get(db, read_options, "large", 5, &length, &err);
    CHECK(value != NULL && length == 300000 && memcmp(value, large, length) == 0);
    free(value);

    leveldb_delete(db, write_options, "foo", 3, &err);
    CHECK_NO_ERROR();
    check_get(db, NULL, "foo", NULL);
    free(large);
    leveldb_readoptions_destroy(read_options);
    leveldb_writeoptions_destroy(write_options);
    close_and_destroy(db, path);
}

/* The entries of a batch as text: "put(k,v)" and "delete(k)". */
struct trace {
    char text[600];
};

static void trace_put(void *state, const char *k, size_t klen, const char *v, size_t vlen) {
    struct trace *trace = state;
    size_t used = strlen(trace->text);
    CHECK(k != NULL && v != NULL);
    snprintf(trace->text + used, sizeof trace->text - used, "put(%.*s,%.*s)", (int)klen, k, (int)vlen, v);
}

static void trace_delete(void *state, const char *k, size_t klen) {
    struct trace *trace = state;
    size_t used = strlen(trace->text);
    CHECK(k != NULL);
    snprintf(trace->text + used, sizeof trace->text - used, "delete(%.*s)", (int)klen, k);
}

static void check_batch(const leveldb_writebatch_t *batch, const char *expected) {
    struct trace trace = {""};
    leveldb_writebatch_iterate(batch, &trace, trace_put, trace_delete);
    CHECK(strcmp(trace.text, expected) == 0);
}

static void test_write_batch(void) {
    const char *path = scratch("batch");
    leveldb_t *db = open_fresh(path);
    leveldb_writeoptions_t *write_options = leveldb_writeoptions_create();
    leveldb_writebatch_t *batch = leveldb_writebatch_create();
    leveldb_writebatch_t *other = leveldb_writebatch_create();
    long log_number;

    CHECK(batch != NULL && other != NULL);
    check_batch(batch, "");
    leveldb_write(db, write_options, batch, &err);
    CHECK_NO_ERROR();
    leveldb_writebatch_put(batch, "foo", 3, "a", 1);
    leveldb_writebatch_clear(batch);
    leveldb_writebatch_put(batch, "bar", 3, "b", 1);
    leveldb_writebatch_put(batch, "box", 3, "c", 1);
    leveldb_writebatch_delete(batch, "bar", 3);
    check_batch(batch, "put(bar,b)put(box,c)delete(bar)");
    check_get(db, NULL, "box", NULL);
    leveldb_write(db, write_options, batch, &err);
    CHECK_NO_ERROR();
    check_get(db, NULL, "foo", NULL);
    check_get(db, NULL, "bar", NULL);
    check_get(db, NULL, "box", "c");

    /* The batch is unchanged after it was written. */
    check_batch(batch, "put(bar,b)put(box,c)delete(bar)");
    put(db, "bar", "by hand");
    put(db, "box", "by hand");
    leveldb_write(db, write_options, batch, &err);
    CHECK_NO_ERROR();
    check_get(db, NULL, "bar", NULL);
    check_get(db, NULL, "box", "c");

    leveldb_writebatch_put(other, NULL, 0, NULL, 0);
    leveldb_writebatch_delete(other, NULL, 0);
    leveldb_writebatch_append(batch, other);
    check_batch(batch, "put(bar,b)put(box,c)delete(bar)put(,)delete()");
    check_batch(other, "put(,)delete()");
    leveldb_writebatch_clear(batch);
    leveldb_writebatch_put(batch, "x", 1, "1", 1);
    leveldb_writebatch_append(batch, batch);
    check_batch(batch, "put(x,1)put(x,1)");
    leveldb_write(db, write_options, batch, &err);
    CHECK_NO_ERROR();
    check_get(db, NULL, "x", "1");

    /* A NULL batch starts a new WAL. */
    log_number = highest_number(path, ".log");
    leveldb_write(db, write_options, NULL, &err);
    CHECK_NO_ERROR();
    CHECK(highest_number(path, ".log") > log_number);
    check_get(db, NULL, "x", "1");

    leveldb_writebatch_destroy(batch);
    leveldb_writebatch_destroy(other);
    leveldb_writeoptions_destroy(write_options);
    close_and_destroy(db, path);
}

static void test_iterator(void) {
    const char *path = scratch("iterator");
    leveldb_t *db = open_fresh(path);
    leveldb_readoptions_t *read_options = leveldb_readoptions_create();
    leveldb_iterator_t *iter = leveldb_create_iterator(db, read_options);

    CHECK(iter != NULL);
    CHECK(!leveldb_iter_valid(iter));
    leveldb_iter_seek_to_first(iter);
    CHECK(!leveldb_iter_valid(iter));
    put(db, "", "");
    put(db, "box", "c");
    put(db, "foo", "hello");
    /* Later writes are not visible. */
    leveldb_iter_seek_to_first(iter);
    CHECK(!leveldb_iter_valid(iter));
    leveldb_iter_destroy(iter);

    iter = leveldb_create_iterator(db, read_options);
    leveldb_readoptions_destroy(read_options); /* they were copied */
    CHECK(!leveldb_iter_valid(iter));
    leveldb_iter_seek_to_first(iter);
    check_entry(iter, "", "");
    leveldb_iter_next(iter);
    check_entry(iter, "box", "c");
    leveldb_iter_next(iter);
    check_entry(iter, "foo", "hello");
    leveldb_iter_prev(iter);
    check_entry(iter, "box", "c");
    leveldb_iter_prev(iter);
    check_entry(iter, "", "");
    leveldb_iter_prev(iter);
    CHECK(!leveldb_iter_valid(iter));
    leveldb_iter_seek_to_last(iter);
    check_entry(iter, "foo", "hello");
    leveldb_iter_next(iter);
    CHECK(!leveldb_iter_valid(iter));
    leveldb_iter_seek(iter, "b", 1);
    check_entry(iter, "box", "c");
    leveldb_iter_seek(iter, "box", 3);
    check_entry(iter, "box", "c");
    leveldb_iter_seek(iter, "box\0", 4);
    check_entry(iter, "foo", "hello");
    leveldb_iter_seek(iter, NULL, 0);
    check_entry(iter, "", "");
    leveldb_iter_seek(iter, "z", 1);
    CHECK(!leveldb_iter_valid(iter));
    leveldb_iter_get_error(iter, &err);
    CHECK_NO_ERROR();
    leveldb_iter_destroy(iter);
    close_and_destroy(db, path);
}

static void test_snapshots(void) {
    const char *path = scratch("snapshot");
    leveldb_t *db = open_fresh(path);
    leveldb_readoptions_t *read_options = leveldb_readoptions_create();
    const leveldb_snapshot_t *first, *second;
    leveldb_iterator_t *iter;

    put(db, "foo", "1");
    first = leveldb_create_snapshot(db);
    second = leveldb_create_snapshot(db);
    CHECK(first != NULL && second != NULL);
    put(db, "foo", "2");
    put(db, "new", "x");
    leveldb_readoptions_set_snapshot(read_options, first);
    check_get(db, read_options, "foo", "1");
    check_get(db, read_options, "new", NULL);
    check_get(db, NULL, "foo", "2");
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    check_get(db, read_options, "foo", "1");
    leveldb_release_snapshot(db, first);

    leveldb_readoptions_set_snapshot(read_options, second);
    check_get(db, read_options, "foo", "1");
    iter = leveldb_create_iterator(db, read_options);
    leveldb_readoptions_set_snapshot(read_options, NULL);
    check_get(db, read_options, "foo", "2");
    /* An iterator outlives its snapshot. */
    leveldb_release_snapshot(db, second);
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    leveldb_iter_seek_to_first(iter);
    check_entry(iter, "foo", "1");
    leveldb_iter_next(iter);
    CHECK(!leveldb_iter_valid(iter));
    leveldb_iter_destroy(iter);
    leveldb_readoptions_destroy(read_options);
    close_and_destroy(db, path);
}

static void test_approximate_sizes(void) {
    const char *path = scratch("sizes");
    leveldb_options_t *options = create_options();
    const char *start[3] = {"a", "k00000000000000010000", NULL};
    const size_t start_length[3] = {1, 21, 0};
    const char *limit[3] = {"k00000000000000010000", "z", ""};
    const size_t limit_length[3] = {21, 1, 0};
    uint64_t sizes[4] = {7, 7, 7, 7};
    leveldb_t *db;

    leveldb_options_set_write_buffer_size(options, 1 << 20);
    leveldb_options_set_compression(options, leveldb_no_compression);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    put(db, "b", "in memory only");
    leveldb_approximate_sizes(db, 3, start, start_length, limit, limit_length, sizes);
    CHECK(sizes[0] == 0 && sizes[1] == 0 && sizes[2] == 0 && sizes[3] == 7);
    write_megabyte(db);
#ifndef GOOGLE /* where it counts from when its table is there */
    /* The memtable was full once. Its entries count from then on, whether or not they are in a table yet. */
    leveldb_approximate_sizes(db, 3, start, start_length, limit, limit_length, sizes);
    CHECK(sizes[0] > 200000 && sizes[0] < 1000000 && sizes[2] == 0);
#endif
    leveldb_close(db);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    leveldb_approximate_sizes(db, 3, start, start_length, limit, limit_length, sizes);
    CHECK(sizes[0] > 200000 && sizes[0] < 1000000);
    CHECK(sizes[1] > 200000 && sizes[1] < 1000000 && sizes[2] == 0);
    /* The second half may still be in a memtable. After a compaction (which waits), all of it counts. */
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    leveldb_approximate_sizes(db, 3, start, start_length, limit, limit_length, sizes);
    CHECK(sizes[0] > 200000 && sizes[0] < 1000000);
    CHECK(sizes[1] > 200000 && sizes[1] < 1000000);
    CHECK(sizes[2] == 0);
    leveldb_options_destroy(options);
    close_and_destroy(db, path);
}

/* Clients write little more than a write buffer of 1 MiB and expect that some of it is in a table. */
static void test_a_full_buffer_becomes_a_table(void) {
    const char *path = scratch("buffer");
    leveldb_options_t *options = create_options();
    leveldb_t *db;
    long log_number;

    leveldb_options_set_write_buffer_size(options, 1 << 20);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    log_number = highest_number(path, ".log");
    write_megabyte(db); /* 840 kB of keys and values: full by the memtable's own overhead */
    CHECK(highest_number(path, ".log") > log_number);
    /* The table exists when the database is closed, or when it has been opened and closed again. */
    leveldb_close(db);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    leveldb_close(db);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    CHECK(highest_number(path, ".ldb") > 0);
    leveldb_options_destroy(options);
    close_and_destroy(db, path);
}

static char *property(leveldb_t *db, const char *name) { return leveldb_property_value(db, name); }

static void test_properties(void) {
    const char *path = scratch("property");
    leveldb_t *db = open_fresh(path);
    char *value;

    CHECK(property(db, "nosuchprop") == NULL);
    CHECK(property(db, "") == NULL);
    CHECK(property(db, "leveldb.") == NULL);
    CHECK(property(db, "leveldb.num-files-at-level7") == NULL);
    CHECK(property(db, "leveldb.num-files-at-level") == NULL);
    CHECK(property(db, "leveldb.num-files-at-levelx") == NULL);
    value = property(db, "leveldb.num-files-at-level0");
    CHECK(value != NULL && strcmp(value, "0") == 0);
    free(value);
    value = property(db, "leveldb.num-files-at-level02");
    CHECK(value != NULL && strcmp(value, "0") == 0);
    leveldb_free(value);
    value = property(db, "leveldb.approximate-memory-usage");
    CHECK(value != NULL && atol(value) > 0);
    leveldb_free(value);
    put(db, "a", "1");
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    value = property(db, "leveldb.stats");
    CHECK(value != NULL && strstr(value, "Compactions") != NULL && strstr(value, "Level") != NULL);
    leveldb_free(value);
    value = property(db, "leveldb.sstables");
    CHECK(value != NULL && strstr(value, "--- level 0 ---") != NULL && strstr(value, "'a' @") != NULL);
    leveldb_free(value);
    close_and_destroy(db, path);
}

static void test_compact_range(void) {
    const char *path = scratch("compact");
    leveldb_t *db = open_fresh(path);
    put(db, "a", "1");
    put(db, "m", "2");
    leveldb_compact_range(db, "m", 1, "a", 1); /* start after limit */
    leveldb_compact_range(db, "", 0, "b", 1);  /* from the empty key */
    leveldb_compact_range(db, "a", 1, "", 0);  /* up to the empty key */
    leveldb_compact_range(db, "b", 1, NULL, 0);
    leveldb_compact_range(db, NULL, 0, "z", 1);
    CHECK(highest_number(path, ".ldb") > 0);
    check_get(db, NULL, "a", "1");
    check_get(db, NULL, "m", "2");
    close_and_destroy(db, path);
}

static void test_destroy_null(void) {
    leveldb_options_destroy(NULL);
    leveldb_readoptions_destroy(NULL);
    leveldb_writeoptions_destroy(NULL);
    leveldb_writebatch_destroy(NULL);
    leveldb_comparator_destroy(NULL);
    leveldb_filterpolicy_destroy(NULL);
    leveldb_free(NULL);
    CHECK(err == NULL);
}

int main(void) {
    test_versions();
    test_environment();
    test_open_errors();
    test_errptr();
    test_put_get_delete();
    test_write_batch();
    test_iterator();
    test_snapshots();
    test_approximate_sizes();
    test_a_full_buffer_becomes_a_table();
    test_properties();
    test_compact_range();
    test_destroy_null();
    return passed();
}
