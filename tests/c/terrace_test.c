/* The terrace_ functions of terrace.h. */
#include "terrace.h"

#include <pthread.h>

#include "check.h"

static void test_version(void) {
    int major, minor, patch;
    CHECK(sscanf(terrace_version(), "%d.%d.%d", &major, &minor, &patch) == 3);
    CHECK(terrace_version_number() == major * 10000 + minor * 100 + patch);
}

static void *other_thread(void *unused) {
    (void)unused;
    CHECK(terrace_last_error_code() == TERRACE_OK);
    leveldb_destroy_db(NULL, NULL, NULL);
    CHECK(terrace_last_error_code() == TERRACE_INVALID_ARGUMENT);
    return NULL;
}

static void test_last_error(void) {
    const char *path = scratch("last-error");
    leveldb_options_t *options = create_options();
    leveldb_t *db;
    pthread_t thread;
    char nested[700], *text;

    CHECK(terrace_last_error_code() == TERRACE_OK);
    CHECK(terrace_last_error_message() == NULL);
    snprintf(nested, sizeof nested, "%s/no/such", path);
    CHECK(leveldb_open(options, nested, &err) == NULL);
    CHECK(terrace_last_error_code() == TERRACE_NOT_FOUND);
    CHECK(terrace_last_error_errno() == 2);
    CHECK(!terrace_last_error_retryable());
    text = terrace_last_error_message();
    CHECK(text != NULL && strcmp(text, err) == 0);
    leveldb_free(text);
    text = terrace_last_error_path();
    CHECK(text != NULL && strncmp(text, nested, strlen(nested)) == 0);
    leveldb_free(text);
    CHECK_ERROR("NotFound: ");

    /* Each thread has its own last error. */
    CHECK(pthread_create(&thread, NULL, other_thread, NULL) == 0);
    pthread_join(thread, NULL);
    CHECK(terrace_last_error_code() == TERRACE_NOT_FOUND);

    /* The success of a function with an errptr clears it, even if the errptr is NULL. */
    db = leveldb_open(options, path, NULL);
    CHECK(db != NULL);
    CHECK(terrace_last_error_code() == TERRACE_OK);
    CHECK(terrace_last_error_errno() == 0 && !terrace_last_error_retryable());
    CHECK(terrace_last_error_path() == NULL);

    /* A failure without an errptr sets it; a success without one does not change it. */
    leveldb_compact_range(NULL, NULL, 0, NULL, 0);
    CHECK(terrace_last_error_code() == TERRACE_INVALID_ARGUMENT);
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    CHECK(terrace_last_error_code() == TERRACE_INVALID_ARGUMENT);
    CHECK(leveldb_open(options, path, NULL) == NULL);
    CHECK(terrace_last_error_code() == TERRACE_IO_ERROR);
    put(db, "a", "1");
    CHECK(terrace_last_error_code() == TERRACE_OK);
    leveldb_options_destroy(options);
    close_and_destroy(db, path);
}

static void test_options(void) {
    const char *path = scratch("terrace-options");
    leveldb_options_t *options = create_options();
    leveldb_t *db;
    int round;

    for (round = 0; round < 3; round++) {
        /* Sensible values, everything off, and values out of range, which are clipped. */
        terrace_options_set_reuse_logs(options, round == 0);
        terrace_options_set_seek_compaction(options, round == 0);
        terrace_options_set_idle_compaction(options, round == 0);
        terrace_options_set_whole_table_filter(options, round == 0);
        terrace_options_set_max_write_buffer_number(options, round == 0 ? 4 : -round);
        terrace_options_set_level0_file_num_compaction_trigger(options, round == 0 ? 2 : -round);
        terrace_options_set_level0_slowdown_writes_trigger(options, round == 0 ? 20 : 100);
        terrace_options_set_level0_stop_writes_trigger(options, round == 0 ? 36 : 100);
        terrace_options_set_max_bytes_for_level_base(options, round == 0 ? 1 << 20 : UINT64_MAX);
        terrace_options_set_max_background_compactions(options, round == 0 ? 2 : -round);
        terrace_options_set_max_subcompactions(options, round == 0 ? 3 : -round);
        terrace_options_set_mmap_reads(options, round == 0);
        terrace_options_set_mmap_wal(options, round == 0);
        terrace_options_set_table_metadata_budget(options, round == 0 ? 1 << 24 : round == 1 ? 0 : SIZE_MAX);
        terrace_options_set_compression(options, round == 0 ? TERRACE_ZSTD_COMPRESSION : TERRACE_ZLIB_COMPRESSION,
                                        round == 0 ? TERRACE_USUAL_COMPRESSION_LEVEL : round == 1 ? -77 : 1 << 30);
        db = leveldb_open(options, path, &err);
        CHECK_NO_ERROR();
        put(db, "a", "1");
        terrace_flush(db, &err);
        CHECK_NO_ERROR();
        put(db, "b", "2");
        check_get(db, NULL, "a", "1");
        leveldb_close(db);
    }
    /* LZ4 has no number in LevelDB's format. */
    terrace_options_set_compression(options, 4, TERRACE_USUAL_COMPRESSION_LEVEL);
    CHECK(leveldb_open(options, path, &err) == NULL);
    CHECK(err != NULL && strncmp(err, "Not implemented: ", 17) == 0 && strstr(err, "LZ4") != NULL);
    leveldb_free(err);
    err = NULL;
    leveldb_options_set_compression(options, leveldb_snappy_compression);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    check_get(db, NULL, "b", "2");
    leveldb_options_destroy(options);
    close_and_destroy(db, path);

    terrace_options_set_compression(NULL, 1, 1);
    terrace_options_set_reuse_logs(NULL, 1);
    terrace_options_set_seek_compaction(NULL, 1);
    terrace_options_set_idle_compaction(NULL, 1);
    terrace_options_set_whole_table_filter(NULL, 1);
    terrace_options_set_max_write_buffer_number(NULL, 1);
    terrace_options_set_level0_file_num_compaction_trigger(NULL, 1);
    terrace_options_set_level0_slowdown_writes_trigger(NULL, 1);
    terrace_options_set_level0_stop_writes_trigger(NULL, 1);
    terrace_options_set_max_bytes_for_level_base(NULL, 1);
    terrace_options_set_max_background_compactions(NULL, 1);
    terrace_options_set_max_subcompactions(NULL, 1);
    terrace_options_set_mmap_reads(NULL, 1);
    terrace_options_set_mmap_wal(NULL, 1);
    terrace_options_set_table_metadata_budget(NULL, 1);
}

static void test_flush_compact_and_close(void) {
    const char *path = scratch("flush");
    leveldb_t *db = open_fresh(path);
    put(db, "a", "1");
    CHECK(highest_number(path, ".ldb") == 0);
    terrace_flush(db, &err);
    CHECK_NO_ERROR();
    CHECK(highest_number(path, ".ldb") > 0);
    terrace_flush(db, &err); /* nothing to flush */
    CHECK_NO_ERROR();
    put(db, "b", "2");
    terrace_compact_range(db, NULL, 0, NULL, 0, &err);
    terrace_compact_range(db, "a", 1, "", 0, &err);
    CHECK_NO_ERROR();
    check_get(db, NULL, "a", "1");
    terrace_close(db, &err);
    CHECK_NO_ERROR();
    leveldb_destroy_db(NULL, path, &err);
    CHECK_NO_ERROR();

    terrace_flush(NULL, &err);
    CHECK_ERROR("Invalid argument: db is NULL");
    terrace_compact_range(NULL, NULL, 0, NULL, 0, &err);
    CHECK_ERROR("Invalid argument: db is NULL");
    terrace_close(NULL, &err);
    CHECK_NO_ERROR();
}

static void test_cache_usage(void) {
    const char *path = scratch("usage");
    leveldb_cache_t *cache = leveldb_cache_create_lru(8 << 20);
    leveldb_options_t *options = create_options();
    leveldb_t *db;
    char key[16];
    int i;

    CHECK(terrace_cache_usage(NULL) == 0);
    CHECK(terrace_cache_usage(cache) == 0);
    leveldb_options_set_cache(options, cache);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    for (i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "key%d", i);
        put(db, key, "a value that compresses, a value that compresses");
    }
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    check_get(db, NULL, "key500", "a value that compresses, a value that compresses");
    CHECK(terrace_cache_usage(cache) > 0);
    leveldb_options_destroy(options);
    close_and_destroy(db, path);
    leveldb_cache_destroy(cache);
}

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static int lines, log_destroyed;

static void log_line(void *state, const char *line, size_t length) {
    pthread_mutex_lock(&log_mutex);
    CHECK(state == &lines && line != NULL);
    CHECK(memchr(line, '\n', length) == NULL);
    lines++;
    pthread_mutex_unlock(&log_mutex);
}

static void log_gone(void *state) {
    CHECK(state == &lines);
    log_destroyed++;
}

static void test_logger(void) {
    const char *path = scratch("logger");
    leveldb_logger_t *logger = terrace_logger_create(&lines, log_gone, log_line);
    leveldb_options_t *options = create_options();
    char own_log[700];
    leveldb_t *db;
    int before;

    leveldb_options_set_info_log(options, logger);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    put(db, "a", "1");
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    CHECK(lines > 0);
    snprintf(own_log, sizeof own_log, "%s/LOG", path);
    CHECK(access(own_log, F_OK) != 0);
    terrace_logger_destroy(logger);
    CHECK(log_destroyed == 1);
    before = lines;
    put(db, "b", "2");
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    leveldb_close(db);
    CHECK(lines == before);
    /* The options still refer to the destroyed logger: the database logs to its own file. */
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    CHECK(access(own_log, F_OK) == 0);
    leveldb_options_destroy(options);
    close_and_destroy(db, path);
    CHECK(lines == before && log_destroyed == 1);
    terrace_logger_destroy(terrace_logger_create(NULL, NULL, NULL));
    terrace_logger_destroy(NULL);
}

/* A database without failures has no background error; failures are tested in background_error_test.c. */
static void test_background_error(void) {
    const char *path = scratch("background-error");
    leveldb_options_t *options = create_options();
    leveldb_t *db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    CHECK(terrace_background_error(db) == NULL);
    terrace_resume(db, &err);
    CHECK_NO_ERROR();
    CHECK(terrace_background_error(NULL) == NULL);
    terrace_resume(NULL, &err);
    CHECK_ERROR("Invalid argument: ");
    CHECK(terrace_background_error_code(NULL) == TERRACE_OK);
    CHECK(terrace_background_error_errno(NULL) == 0 && terrace_background_error_severity(NULL) == 0);
    CHECK(terrace_background_error_since_micros(NULL) == 0);
    CHECK(terrace_background_error_message(NULL) == NULL && terrace_background_error_path(NULL) == NULL);
    terrace_background_error_destroy(NULL);
    leveldb_options_destroy(options);
    close_and_destroy(db, path);
}

/* Tables of LevelDB's language become tables of RocksDB's, after the switch of the directory. */
static void test_upgrade(void) {
    const char *path = scratch("upgrade");
    leveldb_options_t *options = create_options();
    leveldb_t *db = leveldb_open(options, path, &err);
    uint64_t left = 1;
    CHECK_NO_ERROR();
    put(db, "a", "1");
    terrace_flush(db, &err);
    CHECK_NO_ERROR();
    terrace_upgrade_tables(db, &err);
    CHECK_ERROR("Invalid argument: the directory is in LevelDB's language");
    terrace_upgrade_tables(NULL, &err);
    CHECK_ERROR("Invalid argument: ");
    terrace_column_family_handle_t *family = terrace_create_column_family(db, options, "family", &err);
    CHECK_NO_ERROR();
    terrace_upgrade_tables(db, &err);
    CHECK_NO_ERROR();
    CHECK(terrace_property_int_cf(db, family, "terrace.tables-to-upgrade", &left) == 0 && left == 0);
    check_get(db, NULL, "a", "1");
    terrace_column_family_handle_destroy(family);
    leveldb_options_destroy(options);
    close_and_destroy(db, path);
}

int main(void) {
    test_version();
    test_background_error();
    test_upgrade();
    test_last_error();
    test_options();
    test_flush_compact_and_close();
    test_cache_usage();
    test_logger();
    return passed();
}
