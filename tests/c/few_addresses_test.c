/*
 * A limit on the address space of the process (RLIMIT_AS) and more tables than fit into it: mapped tables
 * leave half of it to the program, and other tables are read without mappings.
 */
#include "terrace.h"

#include <sys/resource.h>

#include "check.h"

enum { TABLES = 80, VALUE = 1 << 20, ROOM = 100 << 20, NEEDED = 30 << 20 };

static void key_of(char *key, int number) { snprintf(key, 16, "key%06d", number); }

/* Bytes that do not compress, different for each key. */
static void fill(char *value, int number) {
    unsigned seed = 12345u + (unsigned)number;
    int i;
    for (i = 0; i < VALUE; i++) {
        seed = seed * 1103515245u + 12345u;
        value[i] = (char)(seed >> 16);
    }
}

static leveldb_t *open_at(const char *path, uint8_t create) {
    leveldb_options_t *options = leveldb_options_create();
    leveldb_t *db;
    leveldb_options_set_create_if_missing(options, create);
    leveldb_options_set_compression(options, leveldb_no_compression);
    db = leveldb_open(options, path, &err);
    leveldb_options_destroy(options);
    CHECK_NO_ERROR();
    return db;
}

static void make(const char *path, char *value) {
    leveldb_writeoptions_t *options = leveldb_writeoptions_create();
    leveldb_t *db = open_at(path, 1);
    char key[16];
    int i;
    for (i = 0; i < TABLES; i++) {
        key_of(key, i);
        fill(value, i);
        leveldb_put(db, options, key, strlen(key), value, VALUE, &err);
        CHECK_NO_ERROR();
        terrace_flush(db, &err);
        CHECK_NO_ERROR();
    }
    leveldb_writeoptions_destroy(options);
    leveldb_close(db);
}

static void read_all(leveldb_t *db, char *value) {
    leveldb_readoptions_t *options = leveldb_readoptions_create();
    char key[16], *found;
    size_t length;
    int i;
    for (i = 0; i < TABLES; i++) {
        key_of(key, i);
        fill(value, i);
        found = leveldb_get(db, options, key, strlen(key), &length, &err);
        CHECK_NO_ERROR();
        CHECK(found != NULL && length == VALUE && memcmp(found, value, VALUE) == 0);
        leveldb_free(found);
    }
    leveldb_readoptions_destroy(options);
}

static rlim_t addresses_in_use(void) {
    unsigned long pages;
    FILE *statm = fopen("/proc/self/statm", "r");
    CHECK(statm != NULL && fscanf(statm, "%lu", &pages) == 1);
    fclose(statm);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static long descriptors(leveldb_t *db) {
    char *text = leveldb_property_value(db, "terrace.table-descriptors");
    long value;
    CHECK(text != NULL);
    value = atol(text);
    leveldb_free(text);
    return value;
}

int main(void) {
    char path[4096];
    struct rlimit before, limit;
    char *value = malloc(VALUE), *needed;
    leveldb_t *db;
    const char *tmp = getenv("TEST_TMPDIR");
    CHECK(value != NULL);
    snprintf(path, sizeof path, "%s/few_addresses", tmp ? tmp : ".");
    make(path, value);
    db = open_at(path, 0);
    CHECK(getrlimit(RLIMIT_AS, &before) == 0);
    limit = before;
    limit.rlim_cur = addresses_in_use() + ROOM;
    /* The limit would include valgrind's own memory. */
    if (!under_valgrind()) CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    read_all(db, value);
    if (!under_valgrind()) CHECK(descriptors(db) > 0 && descriptors(db) < TABLES);
    needed = malloc(NEEDED);
    CHECK(needed != NULL);
    memset(needed, 1, NEEDED);
    free(needed);
    CHECK(setrlimit(RLIMIT_AS, &before) == 0);
    leveldb_close(db);
    free(value);
    printf("PASS %d checks\n", checks_made);
    return 0;
}
