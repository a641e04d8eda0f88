/*
 * Limits: entries and batches that are too long for the format, options far out of their ranges, empty
 * filters, and files with huge numbers in the directory. Each is refused at once or clipped, and later
 * operations are not affected.
 */
#include "check.h"
#include "terrace.h"

#include <limits.h>
#include <sys/mman.h>

#define GIB ((size_t)1 << 30)
#define LONGEST (4 * GIB - 1 - (64 << 10))

/* Zeros that take no memory unless they are read, which must not happen. */
static const char *zeros(void) {
    void *bytes = mmap(NULL, 5 * GIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(bytes != MAP_FAILED);
    return bytes;
}

/* The representation of a batch with one put of an 8-byte key and a value of `value` bytes. Only its head is
 * read. */
static char *batch_of(size_t value, size_t *length) {
    char *rep = mmap(NULL, 5 * GIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    size_t at = 12;
    CHECK(rep != MAP_FAILED);
    rep[8] = 1;
    rep[at++] = 1;
    rep[at++] = 8;
    at += 8;
    *length = value;
    while (value >= 128) {
        rep[at++] = (char)(value | 128);
        value >>= 7;
    }
    rep[at++] = (char)value;
    *length += at;
    return rep;
}

static void test_entries(void) {
    static const size_t lengths[][2] = {
        {8, 4 * GIB - 11},  {8, LONGEST - 7}, {8, 4 * GIB - 1},   {5 * GIB / 2, 5 * GIB / 2}, {LONGEST + 1, 0},
        {LONGEST, 1},       {1, LONGEST},     {4 * GIB, 4 * GIB}, {8, SIZE_MAX},              {SIZE_MAX, 8},
        {SIZE_MAX, SIZE_MAX},
    };
    const char *path = scratch("limits-entries"), *long_bytes = zeros();
    leveldb_writeoptions_t *options = leveldb_writeoptions_create();
    leveldb_t *db = open_fresh(path);
    size_t i;

    put(db, "before", "1");
    leveldb_writeoptions_set_sync(options, 1);
    for (i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        leveldb_writebatch_t *batch = leveldb_writebatch_create();
        leveldb_put(db, options, long_bytes, lengths[i][0], long_bytes, lengths[i][1], &err);
        CHECK_ERROR("Invalid argument: ");
        leveldb_writebatch_put(batch, "in the batch", 12, "1", 1);
        leveldb_writebatch_put(batch, long_bytes, lengths[i][0], long_bytes, lengths[i][1]);
        leveldb_write(db, options, batch, &err);
        CHECK_ERROR("Invalid argument: ");
        leveldb_writebatch_destroy(batch);
    }
    leveldb_delete(db, options, long_bytes, LONGEST + 1, &err);
    CHECK_ERROR("Invalid argument: ");
    for (i = 0; i < 2; i++) {
        size_t length;
        char *rep = batch_of(i == 0 ? LONGEST - 7 : 4 * GIB - 40, &length);
        CHECK(terrace_writebatch_create_from(rep, length, &err) == NULL);
        CHECK_ERROR("Invalid argument: ");
        terrace_write_rep(db, options, rep, length, &err);
        CHECK_ERROR("Invalid argument: ");
        munmap(rep, 5 * GIB);
    }
    put(db, "behind", "2");
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    check_get(db, NULL, "before", "1");
    check_get(db, NULL, "behind", "2");
    check_get(db, NULL, "in the batch", NULL);
    munmap((void *)long_bytes, 5 * GIB);
    leveldb_writeoptions_destroy(options);
    close_and_destroy(db, path);
}

static void test_filters(void) {
    static const int bits[] = {0, 1, -1, 100, 101, INT_MAX, INT_MIN};
    size_t i;
    for (i = 0; i < sizeof bits / sizeof *bits; i++) {
        const char *path = scratch("limits-filters");
        leveldb_filterpolicy_t *policy = leveldb_filterpolicy_create_bloom(bits[i]);
        leveldb_options_t *options = create_options();
        leveldb_t *db;
        CHECK(terrace_filterpolicy_key_may_match(policy, "hello", 5, "", 0) == 0);
        CHECK(terrace_filterpolicy_key_may_match(policy, "hello", 5, NULL, 0) == 0);
        CHECK(terrace_filterpolicy_key_may_match(policy, "hello", 5, "\x06", 1) == 1);
        leveldb_options_set_filter_policy(options, policy);
        leveldb_destroy_db(options, path, &err);
        CHECK_NO_ERROR();
        db = leveldb_open(options, path, &err);
        CHECK_NO_ERROR();
        write_megabyte(db);
        leveldb_compact_range(db, NULL, 0, NULL, 0);
        check_get(db, NULL, "k00000000000000012345", "v00000000000000012345");
        check_get(db, NULL, "k00000000000000012345.", NULL);
        close_and_destroy(db, path);
        leveldb_options_destroy(options);
        leveldb_filterpolicy_destroy(policy);
    }
}

static void test_numbers(void) {
    static const char *const names[] = {
        "4611686018427387903.ldb", "4611686018427387903.log",      "4611686018427387903.dbtmp",
        "4611686018427387904.ldb", "MANIFEST-4611686018427387903", "18446744073709551615.log",
        "9223372036854775807.sst", "18446744073709551616.log",     "000000004611686018427387903.log",
        "281474976710655.ldb",     "281474976710655.log",
    };
    size_t i;
    int round;
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        const char *path = scratch("limits-numbers");
        leveldb_options_t *options = create_options();
        leveldb_t *db = open_fresh(path);
        char stray[700];
        FILE *file;
        put(db, "before", "1");
        leveldb_close(db);
        snprintf(stray, sizeof stray, "%s/%s", path, names[i]);
        file = fopen(stray, "w");
        CHECK(file != NULL);
        fclose(file);
        for (round = 0; round < 4; round++) {
            db = leveldb_open(options, path, &err);
            CHECK_NO_ERROR();
            check_get(db, NULL, "before", "1");
            put(db, "now", "2");
            leveldb_compact_range(db, NULL, 0, NULL, 0);
            put(db, "later", "3");
            leveldb_close(db);
        }
        leveldb_repair_db(options, path, &err);
        CHECK_NO_ERROR();
        db = leveldb_open(options, path, &err);
        CHECK_NO_ERROR();
        check_get(db, NULL, "later", "3");
        leveldb_close(db);
        leveldb_options_destroy(options);
    }
}

int main(void) {
    test_entries();
    test_filters();
    test_numbers();
    return passed();
}
