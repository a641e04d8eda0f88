/*
 * Many tables and few descriptors, without mappings of tables: RLIMIT_NOFILE limits them, and the program
 * uses some itself. Everything continues to work; if no descriptor is left, an error says so.
 */
#include "terrace.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "check.h"

enum { TABLES = 200, HELD = 4096 };

static int held[HELD];
static int held_count;

static void limit_descriptors_to(rlim_t count) {
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = count < limit.rlim_max ? count : limit.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

/* The program takes all descriptors that are free. */
static void take_all(void) {
    int descriptor;
    while (held_count < HELD && (descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) {
        held[held_count++] = descriptor;
    }
    CHECK(held_count > 0 && held_count < HELD);
}

static void give(int count) {
    for (; count > 0 && held_count > 0; count--) {
        CHECK(close(held[--held_count]) == 0);
    }
}

static void key_of(char *key, int number) { snprintf(key, 16, "key%06d", number); }

static void put_number(leveldb_t *db, int number, const char *value) {
    leveldb_writeoptions_t *options = leveldb_writeoptions_create();
    char key[16];
    key_of(key, number);
    leveldb_put(db, options, key, strlen(key), value, strlen(value), &err);
    leveldb_writeoptions_destroy(options);
}

static void check_value(leveldb_t *db, int number, const char *value) {
    leveldb_readoptions_t *options = leveldb_readoptions_create();
    size_t length;
    char key[16], *found;
    key_of(key, number);
    found = leveldb_get(db, options, key, strlen(key), &length, &err);
    CHECK_NO_ERROR();
    CHECK(found != NULL && length == strlen(value) && memcmp(found, value, length) == 0);
    leveldb_free(found);
    leveldb_readoptions_destroy(options);
}

static int count_keys(leveldb_t *db) {
    leveldb_readoptions_t *options = leveldb_readoptions_create();
    leveldb_iterator_t *iterator = leveldb_create_iterator(db, options);
    int count = 0;
    for (leveldb_iter_seek_to_first(iterator); leveldb_iter_valid(iterator); leveldb_iter_next(iterator)) {
        count++;
    }
    leveldb_iter_get_error(iterator, &err);
    leveldb_iter_destroy(iterator);
    leveldb_readoptions_destroy(options);
    return count;
}

static long property(leveldb_t *db, const char *name) {
    char *text = leveldb_property_value(db, name);
    long value;
    CHECK(text != NULL);
    value = atol(text);
    leveldb_free(text);
    return value;
}

static leveldb_t *open_there(const char *path, uint8_t create) {
    leveldb_options_t *options = leveldb_options_create();
    leveldb_t *db;
    leveldb_options_set_create_if_missing(options, create);
    terrace_options_set_mmap_reads(options, 0);
    db = leveldb_open(options, path, &err);
    leveldb_options_destroy(options);
    return db;
}

/* Creates a database of many tables, each with ten keys of its own. */
static void make(const char *path) {
    leveldb_t *db = open_there(path, 1);
    int table, i;
    CHECK_NO_ERROR();
    for (table = 0; table < TABLES; table++) {
        for (i = 0; i < 10; i++) {
            put_number(db, table * 10 + i, "first");
            CHECK_NO_ERROR();
        }
        terrace_flush(db, &err);
        CHECK_NO_ERROR();
    }
    leveldb_close(db);
}

static void read_all(leveldb_t *db, const char *value) {
    int i;
    for (i = 0; i < TABLES; i++) check_value(db, i * 77 % TABLES * 10 + i % 10, value);
}

/* A low limit: everything can be read and written, and tables hold at most half of the descriptors. */
static void test_a_low_limit(const char *path, rlim_t limit) {
    leveldb_t *db;
    limit_descriptors_to(limit);
    db = open_there(path, 0);
    CHECK_NO_ERROR();
    read_all(db, "first");
    CHECK(count_keys(db) == TABLES * 10);
    CHECK_NO_ERROR();
    CHECK(property(db, "terrace.table-descriptors") <= (long)limit / 2);
    CHECK(property(db, "terrace.table-openings") <= TABLES);
    leveldb_close(db);
}

/* The program takes all free descriptors while tables hold some: tables give theirs up when they are
 * needed. */
static void test_a_greedy_program(const char *path) {
    leveldb_t *db;
    int i;
    limit_descriptors_to(128);
    db = open_there(path, 0);
    CHECK_NO_ERROR();
    read_all(db, "first");
    CHECK(property(db, "terrace.table-descriptors") > 16);
    take_all();
    read_all(db, "first");
    CHECK(count_keys(db) == TABLES * 10);
    CHECK_NO_ERROR();
    /*
     * WALs, new tables, a MANIFEST and directories need descriptors too. Under valgrind the program frees
     * some: there, opening a file without a free descriptor fails but creates the file.
     */
    if (under_valgrind()) give(40);
    for (i = 0; i < TABLES * 10; i++) {
        put_number(db, i, "second");
        CHECK_NO_ERROR();
        if (i % 100 == 0) {
            terrace_flush(db, &err);
            CHECK_NO_ERROR();
        }
    }
    terrace_compact_range(db, NULL, 0, NULL, 0, &err);
    CHECK_NO_ERROR();
    read_all(db, "second");
    give(HELD);
    leveldb_close(db);
}

/* No descriptor is left: the error names a file and says what to do, and nothing is lost. */
static void test_none_left(const char *path) {
    leveldb_t *db;
    int before;
    limit_descriptors_to(128);
    db = open_there(path, 0);
    CHECK_NO_ERROR();
    /* Work that the open has begun in the background may still give descriptors back. */
    do {
        before = held_count;
        take_all();
        CHECK(held_count > before); /* else keys were read without a descriptor */
        CHECK(property(db, "terrace.table-descriptors") == 0);
    } while (count_keys(db) == TABLES * 10);
    CHECK(err != NULL && strstr(err, path) != NULL && strstr(err, "Too many open files") != NULL);
    CHECK(strstr(err, "RLIMIT_NOFILE") != NULL);
    CHECK_ERROR("IO error: ");
    CHECK(open_there("another", 1) == NULL);
    CHECK_ERROR("IO error: another");
    give(1);
    /* One descriptor is enough for reading. */
    CHECK(count_keys(db) == TABLES * 10);
    CHECK_NO_ERROR();
    read_all(db, "second");
    give(HELD);
    leveldb_close(db);
}

int main(void) {
    char path[4096];
    struct rlimit limit;
    const char *tmp = getenv("TEST_TMPDIR");
    snprintf(path, sizeof path, "%s/few_descriptors", tmp ? tmp : ".");
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    make(path);
    test_a_low_limit(path, 64);
    test_a_low_limit(path, 256);
    test_a_greedy_program(path);
    test_none_left(path);
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    printf("PASS %d checks\n", checks_made);
    return 0;
}
