/*
 * The functions for bindings of other languages: reads and writes without intermediate copies, iterators
 * moved in one call, orders that shorten keys, environments of callbacks, the files of an environment,
 * stand-alone tables, dumps.
 */

#include "terrace.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

static void no_error(void) {
    if (err != NULL) {
        fprintf(stderr, "%s\n", err);
    }
    CHECK(err == NULL);
}

/* Checks that the last call failed with this kind and a message that contains `part`. */
static void failed_with(int code, const char* part) {
    CHECK(err != NULL && strstr(err, part) != NULL);
    CHECK(terrace_last_error_code() == code);
    free(err);
    err = NULL;
}

struct text {
    char bytes[1 << 16];
    size_t length;
    int calls;
};

static void append(void* state, const char* bytes, size_t length) {
    struct text* text = state;
    CHECK(text->length + length < sizeof(text->bytes));
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
    text->calls++;
}

static int append_or_fail(void* state, const char* bytes, size_t length, char** message) {
    if (state == NULL) {
        *message = strdup("no room");
        return TERRACE_IO_ERROR;
    }
    append(state, bytes, length);
    return TERRACE_OK;
}

static int flush(void* state, char** message) {
    (void)state;
    (void)message;
    return TERRACE_OK;
}

static leveldb_t* open_database(leveldb_options_t* options, const char* name) {
    leveldb_options_set_create_if_missing(options, 1);
    leveldb_t* db = leveldb_open(options, name, &err);
    no_error();
    return db;
}

static void functions_by_name(void) {
    CHECK(terrace_leveldb_function("leveldb_open") != NULL);
    CHECK(terrace_leveldb_function("leveldb_nothing") == NULL);
    CHECK(terrace_leveldb_function("open") == NULL);
    CHECK(terrace_leveldb_function(NULL) == NULL);
    int (*major)(void);
    const void* found = terrace_leveldb_function("leveldb_major_version");
    memcpy(&major, &found, sizeof(major));
    CHECK(major() == 1);
}

static void reads_writes_and_moves(void) {
    leveldb_options_t* options = leveldb_options_create();
    leveldb_t* db = open_database(options, scratch("direct"));
    static const char rep[] = "\0\0\0\0\0\0\0\0\3\0\0\0\1\1a\1x\1\1b\0\0\1c";
    terrace_write_rep(db, NULL, rep, sizeof(rep) - 1, &err);
    no_error();
    terrace_write_rep(db, NULL, rep, sizeof(rep) - 2, &err);
    failed_with(TERRACE_CORRUPTION, "");
    terrace_write_rep(db, NULL, NULL, 0, &err);
    failed_with(TERRACE_CORRUPTION, "");
    terrace_write_rep(NULL, NULL, rep, sizeof(rep) - 1, &err);
    failed_with(TERRACE_INVALID_ARGUMENT, "db is NULL");

    static struct text text;
    CHECK(terrace_get_with(db, NULL, "a", 1, &text, append, &err) == 1 && strcmp(text.bytes, "x") == 0);
    CHECK(terrace_get_with(db, NULL, "b", 1, &text, append, &err) == 1 && text.length == 1 && text.calls == 2);
    CHECK(terrace_get_with(db, NULL, "c", 1, &text, append, &err) == 0 && text.calls == 2);
    CHECK(terrace_get_with(db, NULL, "a", 1, NULL, NULL, &err) == 1);
    no_error();

    leveldb_readoptions_t* read = leveldb_readoptions_create();
    leveldb_iterator_t* iterator = leveldb_create_iterator(db, read);
    terrace_entry_t entry;
    CHECK(terrace_iter_move(iterator, TERRACE_MOVE_NEXT, NULL, 0, &entry) == 0);
    CHECK(terrace_iter_move(iterator, TERRACE_MOVE_FIRST, NULL, 0, &entry) == 1);
    CHECK(entry.key_len == 1 && entry.key[0] == 'a' && entry.value_len == 1 && entry.value[0] == 'x');
    CHECK(terrace_iter_move(iterator, TERRACE_MOVE_NEXT, NULL, 0, &entry) == 1);
    CHECK(entry.key[0] == 'b' && entry.value_len == 0 && entry.value != NULL);
    CHECK(terrace_iter_move(iterator, TERRACE_MOVE_NEXT, NULL, 0, &entry) == 0 && entry.key[0] == 'b');
    CHECK(terrace_iter_move(iterator, TERRACE_MOVE_LAST, NULL, 0, NULL) == 1);
    CHECK(terrace_iter_move(iterator, TERRACE_MOVE_PREV, NULL, 0, &entry) == 1 && entry.key[0] == 'a');
    CHECK(terrace_iter_move(iterator, TERRACE_MOVE_SEEK, "aa", 2, &entry) == 1 && entry.key[0] == 'b');
    CHECK(terrace_iter_move(iterator, TERRACE_MOVE_SEEK, NULL, 7, &entry) == 0);
    leveldb_iter_get_error(iterator, &err);
    failed_with(TERRACE_INVALID_ARGUMENT, "NULL");
    CHECK(terrace_iter_move(iterator, 99, NULL, 0, &entry) == 0);
    leveldb_iter_get_error(iterator, &err);
    failed_with(TERRACE_INVALID_ARGUMENT, "99");
    CHECK(terrace_iter_move(NULL, TERRACE_MOVE_FIRST, NULL, 0, &entry) == 0);
    leveldb_iter_destroy(iterator);
    leveldb_readoptions_destroy(read);
    leveldb_close(db);
    leveldb_options_destroy(options);
}

static int shortened = 0;

static int compare_bytes(void* state, const char* a, size_t alen, const char* b, size_t blen) {
    (void)state;
    const size_t common = alen < blen ? alen : blen;
    const int order = common == 0 ? 0 : memcmp(a, b, common);
    return order != 0 ? order : (alen > blen) - (alen < blen);
}

static const char* order_name(void* state) {
    (void)state;
    return "test.bytes";
}

static char* separator(void* state, const char* start, size_t start_len, const char* limit, size_t limit_len, size_t* length) {
    (void)start, (void)start_len, (void)limit, (void)limit_len;
    shortened++;
    /* If the state says so, a wrong result, which must be ignored. */
    *length = 1;
    return state == NULL ? NULL : strdup("\xff");
}

static char* successor(void* state, const char* key, size_t key_len, size_t* length) {
    (void)key, (void)key_len;
    shortened++;
    *length = 1;
    return state == NULL ? NULL : strdup("!");
}

static void orders_that_shorten_keys(void) {
    for (int nonsense = 0; nonsense < 2; nonsense++) {
        shortened = 0;
        leveldb_comparator_t* order =
            terrace_comparator_create(nonsense ? &shortened : NULL, NULL, compare_bytes, order_name, separator, successor);
        leveldb_options_t* options = leveldb_options_create();
        leveldb_options_set_comparator(options, order);
        leveldb_t* db = open_database(options, scratch(nonsense ? "nonsense" : "orders"));
        char key[16], value[500];
        memset(value, 'v', sizeof(value));
        for (int i = 0; i < 100; i++) {
            leveldb_put(db, NULL, key, (size_t)sprintf(key, "key%03d", i), value, sizeof(value), &err);
        }
        leveldb_compact_range(db, NULL, 0, NULL, 0);
        CHECK(shortened > 0);
        for (int i = 0; i < 100; i++) {
            CHECK(terrace_get_with(db, NULL, key, (size_t)sprintf(key, "key%03d", i), NULL, NULL, &err) == 1);
        }
        no_error();
        leveldb_close(db);
        leveldb_options_destroy(options);
        leveldb_comparator_destroy(order);
    }
}

static void filters_by_hand(void) {
    leveldb_filterpolicy_t* bloom = leveldb_filterpolicy_create_bloom(10);
    const char* keys[] = {"hello", "world", NULL};
    const size_t lengths[] = {5, 5, 0};
    size_t length = 0;
    char* filter = terrace_filterpolicy_create_filter(bloom, keys, lengths, 3, &length);
    CHECK(filter != NULL && length == 9);
    CHECK(terrace_filterpolicy_key_may_match(bloom, "hello", 5, filter, length) == 1);
    CHECK(terrace_filterpolicy_key_may_match(bloom, NULL, 0, filter, length) == 1);
    CHECK(terrace_filterpolicy_key_may_match(bloom, "foo", 3, filter, length) == 0);
    CHECK(terrace_filterpolicy_key_may_match(NULL, "foo", 3, filter, length) == 1);
    CHECK(terrace_filterpolicy_create_filter(bloom, NULL, NULL, 3, &length) == NULL);
    CHECK(terrace_filterpolicy_create_filter(NULL, keys, lengths, 3, &length) == NULL);
    free(filter);
    leveldb_filterpolicy_destroy(bloom);
}

/* An environment of callbacks that wraps another one and counts the open files. */
static int open_files = 0;
static int destroyed = 0;

/* Converts the result of a call to that of a callback. */
static int result(char* error, char** message) {
    if (error == NULL) {
        return TERRACE_OK;
    }
    *message = strdup(strchr(error, ':') + 2);
    free(error);
    return terrace_last_error_code();
}

static void env_destructor(void* state) {
    destroyed++;
    leveldb_env_destroy(state);
}
static int new_sequential(void* state, const char* path, void** file, char** message) {
    char* error = NULL;
    *file = terrace_env_new_sequential_file(state, path, &error);
    open_files += *file != NULL;
    return result(error, message);
}
static int sequential_read(void* file, char* buffer, size_t length, size_t* read, char** message) {
    char* error = NULL;
    /* Fewer bytes than requested: the library reads again. */
    *read = terrace_seqfile_read(file, buffer, length > 7 ? 7 : length, &error);
    return result(error, message);
}
static int sequential_skip(void* file, uint64_t length, char** message) {
    char* error = NULL;
    terrace_seqfile_skip(file, length, &error);
    return result(error, message);
}
static void sequential_destroy(void* file) {
    open_files--;
    terrace_seqfile_destroy(file);
}
static int new_random(void* state, const char* path, void** file, char** message) {
    char* error = NULL;
    *file = terrace_env_new_random_access_file(state, path, &error);
    open_files += *file != NULL;
    return result(error, message);
}
static int random_read(void* file, uint64_t offset, char* buffer, size_t length, size_t* read, char** message) {
    char* error = NULL;
    *read = terrace_randomfile_read(file, offset, buffer, length, &error);
    return result(error, message);
}
static void random_destroy(void* file) {
    open_files--;
    terrace_randomfile_destroy(file);
}
static int new_writable(void* state, const char* path, uint8_t append_to, void** file, char** message) {
    char* error = NULL;
    *file = terrace_env_new_writable_file(state, path, append_to, &error);
    open_files += *file != NULL;
    return result(error, message);
}
static int writable_append(void* file, const char* data, size_t length, char** message) {
    char* error = NULL;
    terrace_writablefile_append(file, data, length, &error);
    return result(error, message);
}
static int writable_flush(void* file, char** message) {
    char* error = NULL;
    terrace_writablefile_flush(file, &error);
    return result(error, message);
}
static int writable_sync(void* file, char** message) {
    char* error = NULL;
    terrace_writablefile_sync(file, &error);
    return result(error, message);
}
static int writable_close(void* file, char** message) {
    char* error = NULL;
    terrace_writablefile_close(file, &error);
    return result(error, message);
}
static void writable_destroy(void* file) {
    open_files--;
    terrace_writablefile_destroy(file);
}
static uint8_t file_exists(void* state, const char* path) { return terrace_env_file_exists(state, path); }
static int get_children(void* state, const char* path, void* sink, void (*child)(void*, const char*, size_t), char** message) {
    char* error = NULL;
    terrace_env_get_children(state, path, sink, child, &error);
    return result(error, message);
}
static int remove_file(void* state, const char* path, char** message) {
    char* error = NULL;
    terrace_env_remove_file(state, path, &error);
    return result(error, message);
}
static int create_dir(void* state, const char* path, char** message) {
    char* error = NULL;
    terrace_env_create_dir(state, path, &error);
    return result(error, message);
}
static int remove_dir(void* state, const char* path, char** message) {
    char* error = NULL;
    terrace_env_remove_dir(state, path, &error);
    return result(error, message);
}
static int get_file_size(void* state, const char* path, uint64_t* size, char** message) {
    char* error = NULL;
    *size = terrace_env_get_file_size(state, path, &error);
    return result(error, message);
}
static int rename_file(void* state, const char* from, const char* to, char** message) {
    char* error = NULL;
    terrace_env_rename_file(state, from, to, &error);
    return result(error, message);
}
static int lock_file(void* state, const char* path, void** lock, char** message) {
    char* error = NULL;
    *lock = terrace_env_lock_file(state, path, &error);
    open_files += *lock != NULL;
    return result(error, message);
}
static void unlock_file(void* state, void* lock) {
    (void)state;
    open_files--;
    terrace_filelock_destroy(lock);
}
static uint64_t now_micros(void* state) { return terrace_env_now_micros(state); }
static void sleep_micros(void* state, uint64_t micros) { (void)state, (void)micros; }

static terrace_env_callbacks_t callbacks(void) {
    const terrace_env_callbacks_t table = {
        env_destructor, new_sequential,  sequential_read, sequential_skip, sequential_destroy, new_random,       random_read,
        random_destroy, new_writable,    writable_append, writable_flush,  writable_sync,      writable_close,   writable_destroy,
        file_exists,    get_children,    remove_file,     create_dir,      remove_dir,         get_file_size,    rename_file,
        lock_file,      unlock_file,     now_micros,      sleep_micros,
    };
    return table;
}

static void environments_of_callbacks(void) {
    terrace_env_callbacks_t table = callbacks();
    table.rename_file = NULL;
    CHECK(terrace_env_create(NULL, &table, &err) == NULL);
    failed_with(TERRACE_INVALID_ARGUMENT, "rename_file");
    CHECK(terrace_env_create(NULL, NULL, &err) == NULL);
    failed_with(TERRACE_INVALID_ARGUMENT, "callbacks");

    table = callbacks();
    leveldb_env_t* env = terrace_env_create(terrace_env_create_mem(), &table, &err);
    no_error();
    leveldb_options_t* options = leveldb_options_create();
    leveldb_options_set_env(options, env);
    leveldb_options_set_write_buffer_size(options, 1 << 16);
    for (int round = 0; round < 3; round++) {
        leveldb_t* db = open_database(options, "/db");
        char key[16], value[1000];
        memset(value, 'a' + round, sizeof(value));
        for (int i = 0; i < 300; i++) {
            leveldb_put(db, NULL, key, (size_t)sprintf(key, "%d", i), value, sizeof(value), &err);
        }
        leveldb_compact_range(db, NULL, 0, NULL, 0);
        for (int i = 0; i < 300; i++) {
            static struct text text;
            text.length = 0;
            CHECK(terrace_get_with(db, NULL, key, (size_t)sprintf(key, "%d", i), &text, append, &err) == 1);
            CHECK(text.length == sizeof(value) && text.bytes[999] == 'a' + round);
        }
        leveldb_t* second = leveldb_open(options, "/db", &err);
        CHECK(second == NULL);
        failed_with(TERRACE_IO_ERROR, "already held");
        leveldb_close(db);
    }
    no_error();
    static struct text children;
    terrace_env_get_children(env, "/db", &children, append, &err);
    no_error();
    CHECK(strstr(children.bytes, "CURRENT") != NULL && terrace_env_file_exists(env, "/db/CURRENT"));
    children.length = children.calls = 0;
    terrace_env_get_children(env, "/absent", &children, append, &err);
    no_error();
    CHECK(children.calls == 0);
    terrace_env_get_children(NULL, "/absent", &children, append, &err);
    failed_with(TERRACE_NOT_FOUND, "/absent");
    leveldb_destroy_db(options, "/db", &err);
    no_error();
    CHECK(!terrace_env_file_exists(env, "/db/CURRENT"));
    leveldb_options_destroy(options);
    CHECK(destroyed == 0);
    leveldb_env_destroy(env);
    CHECK(destroyed == 1 && open_files == 0);
}

/* Only the bytes that were read are written to the buffer: the memory after them may belong to somebody
 * else. */
static void buffers_shorter_than_what_is_asked_for(leveldb_env_t* env, const char* path) {
    char buffer[40], large[9000];
    memset(large, 'x', sizeof(large));
    leveldb_writablefile_t* written = terrace_env_new_writable_file(env, path, 0, &err);
    terrace_writablefile_append(written, "0123456789", 10, &err);
    terrace_writablefile_close(written, &err);
    terrace_writablefile_destroy(written);
    const size_t lengths[] = {11, 1000, 100000, SIZE_MAX / 2};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        memset(buffer, '#', sizeof(buffer));
        leveldb_randomfile_t* file = terrace_env_new_random_access_file(env, path, &err);
        CHECK(terrace_randomfile_read(file, 2, buffer, lengths[i], &err) == 8);
        CHECK(memcmp(buffer, "23456789##", 10) == 0 && buffer[39] == '#');
        CHECK(terrace_randomfile_read(file, 10, buffer, lengths[i], &err) == 0);
        CHECK(buffer[0] == '2');
        terrace_randomfile_destroy(file);
        leveldb_seqfile_t* in_order = terrace_env_new_sequential_file(env, path, &err);
        memset(buffer, '#', sizeof(buffer));
        CHECK(terrace_seqfile_read(in_order, buffer, lengths[i], &err) == 10);
        CHECK(memcmp(buffer, "0123456789##", 12) == 0);
        CHECK(terrace_seqfile_read(in_order, buffer, lengths[i], &err) == 0);
        CHECK(buffer[0] == '0');
        terrace_seqfile_destroy(in_order);
    }
    /* More than one read of the library. */
    written = terrace_env_new_writable_file(env, path, 0, &err);
    for (int i = 0; i < 20; i++) {
        large[0] = (char)('a' + i);
        terrace_writablefile_append(written, large, sizeof(large), &err);
    }
    terrace_writablefile_close(written, &err);
    terrace_writablefile_destroy(written);
    char* whole = malloc(20 * sizeof(large));
    leveldb_randomfile_t* file = terrace_env_new_random_access_file(env, path, &err);
    CHECK(terrace_randomfile_read(file, 0, whole, SIZE_MAX / 2, &err) == 20 * sizeof(large));
    for (int i = 0; i < 20; i++) {
        large[0] = (char)('a' + i);
        CHECK(memcmp(whole + (size_t)i * sizeof(large), large, sizeof(large)) == 0);
    }
    terrace_randomfile_destroy(file);
    free(whole);
    no_error();
    CHECK(terrace_randomfile_read(NULL, 0, buffer, 1, &err) == 0);
    failed_with(TERRACE_INVALID_ARGUMENT, "file");
    terrace_env_remove_file(env, path, &err);
    no_error();
}

static void files_in_memory(void) {
    leveldb_env_t* env = terrace_env_create_mem();
    buffers_shorter_than_what_is_asked_for(env, "a/b/file");
    leveldb_writablefile_t* written = terrace_env_new_writable_file(env, "/dir/file", 0, &err);
    terrace_writablefile_append(written, "12345", 5, &err);
    terrace_writablefile_close(written, &err);
    terrace_writablefile_destroy(written);
    char buffer[10];
    leveldb_randomfile_t* file = terrace_env_new_random_access_file(env, "/dir/file", &err);
    CHECK(terrace_randomfile_read(file, 5, buffer, 10, &err) == 0);
    no_error();
    CHECK(terrace_randomfile_read(file, 6, buffer, 10, &err) == 0);
    failed_with(TERRACE_IO_ERROR, "past the end");
    terrace_randomfile_destroy(file);

    /* The directories of these were not created. */
    const char* names[] = {"/dir/db", "a/b", "/tmp/xyz", "db", "/deep/er/and/deeper"};
    leveldb_options_t* options = leveldb_options_create();
    leveldb_options_set_env(options, env);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            leveldb_t* db = open_database(options, names[i]);
            leveldb_put(db, NULL, "k", 1, names[i], strlen(names[i]), &err);
            leveldb_close(db);
            leveldb_repair_db(options, names[i], &err);
            no_error();
            db = open_database(options, names[i]);
            size_t length = 0;
            char* value = leveldb_get(db, NULL, "k", 1, &length, &err);
            CHECK(value != NULL && length == strlen(names[i]) && memcmp(value, names[i], length) == 0);
            leveldb_free(value);
            leveldb_close(db);
            leveldb_destroy_db(options, names[i], &err);
            no_error();
        }
    }
    leveldb_options_destroy(options);
    leveldb_env_destroy(env);
}

static int read_text(void* state, uint64_t offset, char* buffer, size_t length, size_t* read, char** message) {
    (void)message;
    const struct text* text = state;
    *read = offset >= text->length ? 0 : text->length - offset < length ? text->length - offset : length;
    memcpy(buffer, text->bytes + offset, *read);
    return TERRACE_OK;
}

static void tables_by_themselves(void) {
    static struct text file;
    terrace_tablebuilder_t* builder = terrace_tablebuilder_create(NULL, &file, append_or_fail, flush, &err);
    no_error();
    terrace_tablebuilder_add(builder, NULL, 0, "empty", 5, &err);
    terrace_tablebuilder_add(builder, "b", 1, NULL, 0, &err);
    terrace_tablebuilder_flush(builder, &err);
    leveldb_options_t* options = leveldb_options_create();
    leveldb_options_set_compression(options, leveldb_no_compression);
    terrace_tablebuilder_change_options(builder, options, &err);
    terrace_tablebuilder_add(builder, "c", 1, "3", 1, &err);
    terrace_tablebuilder_finish(builder, &err);
    no_error();
    CHECK(terrace_tablebuilder_num_entries(builder) == 3 && terrace_tablebuilder_file_size(builder) == file.length);
    terrace_tablebuilder_add(builder, "d", 1, "4", 1, &err);
    failed_with(TERRACE_INVALID_ARGUMENT, "finished");
    terrace_tablebuilder_destroy(builder);

    builder = terrace_tablebuilder_create(options, NULL, append_or_fail, flush, &err);
    terrace_tablebuilder_add(builder, "a", 1, "1", 1, &err);
    no_error();
    terrace_tablebuilder_flush(builder, &err);
    failed_with(TERRACE_IO_ERROR, "no room");
    terrace_tablebuilder_get_error(builder, &err);
    failed_with(TERRACE_IO_ERROR, "no room");
    terrace_tablebuilder_destroy(builder);
    CHECK(terrace_tablebuilder_create(NULL, NULL, NULL, flush, &err) == NULL);
    failed_with(TERRACE_INVALID_ARGUMENT, "callback");

    terrace_table_t* table = terrace_table_open(options, &file, read_text, file.length, &err);
    no_error();
    CHECK(terrace_table_approximate_offset_of(table, "", 0) == 0 && terrace_table_approximate_offset_of(table, "z", 1) > 0);
    terrace_table_iterator_t* iterator = terrace_table_create_iterator(table, NULL, &err);
    terrace_table_destroy(table);
    terrace_entry_t entry;
    CHECK(terrace_table_iterator_move(iterator, TERRACE_MOVE_FIRST, NULL, 0, &entry) == 1);
    CHECK(entry.key_len == 0 && entry.value_len == 5);
    CHECK(terrace_table_iterator_move(iterator, TERRACE_MOVE_PREV, NULL, 0, &entry) == 0);
    CHECK(terrace_table_iterator_move(iterator, TERRACE_MOVE_PREV, NULL, 0, &entry) == 0);
    CHECK(terrace_table_iterator_move(iterator, TERRACE_MOVE_SEEK, "bb", 2, &entry) == 1 && entry.key[0] == 'c');
    CHECK(terrace_table_iterator_move(iterator, TERRACE_MOVE_NEXT, NULL, 0, &entry) == 0);
    CHECK(terrace_table_iterator_move(iterator, TERRACE_MOVE_LAST, NULL, 0, &entry) == 1 && entry.value[0] == '3');
    terrace_table_iterator_get_error(iterator, &err);
    no_error();
    terrace_table_iterator_destroy(iterator);
    CHECK(terrace_table_open(options, &file, read_text, 10, &err) == NULL);
    failed_with(TERRACE_CORRUPTION, "short");
    leveldb_options_destroy(options);
}

static void dumps_and_caches(void) {
    leveldb_cache_t* cache = leveldb_cache_create_lru(1 << 20);
    leveldb_options_t* options = leveldb_options_create();
    leveldb_options_set_cache(options, cache);
    char path[4096];
    strcpy(path, scratch("dumped"));
    leveldb_t* db = open_database(options, path);
    leveldb_put(db, NULL, "a\n", 2, "value", 5, &err);
    leveldb_close(db);
    sprintf(path + strlen(path), "/%06ld.log", highest_number(path, ".log"));
    static struct text text;
    terrace_dump_file(NULL, path, &text, append_or_fail, &err);
    no_error();
    // The marker at the beginning of a WAL (an empty batch of 12 bytes in two fragments), then the put.
    CHECK(strcmp(text.bytes, "--- offset 0; sequence 1\n--- offset 26; sequence 1\n  put 'a\\x0a' 'value'\n") == 0);
    CHECK(text.calls == 2);
    terrace_dump_file(NULL, path, NULL, append_or_fail, &err);
    failed_with(TERRACE_IO_ERROR, "no room");
    terrace_dump_file(NULL, "/tmp/no-database-file", &text, append_or_fail, &err);
    failed_with(TERRACE_INVALID_ARGUMENT, "unknown file type");
    terrace_cache_prune(cache);
    terrace_cache_prune(NULL);
    CHECK(terrace_cache_usage(cache) == 0);
    leveldb_options_destroy(options);
    leveldb_cache_destroy(cache);
}

int main(void) {
    functions_by_name();
    reads_writes_and_moves();
    orders_that_shorten_keys();
    filters_by_hand();
    environments_of_callbacks();
    buffers_shorter_than_what_is_asked_for(NULL, scratch("short_buffers"));
    files_in_memory();
    tables_by_themselves();
    dumps_and_caches();
    return passed();
}
