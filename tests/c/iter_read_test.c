/* terrace_iter_read(): many entries in one call. Its results are compared with those of single steps. */
#include "terrace.h"

#include <sys/wait.h>

#include "check.h"

enum { ENTRIES = 500 };
#define NO_ENTRY ((size_t)-1)
#define BOTH (TERRACE_READ_KEYS | TERRACE_READ_VALUES)

/* Keys "k000", "k002", ...; the value of key i has i % 90 letters, so some are empty. */
static void key_of(int i, char *key) { snprintf(key, 8, "k%03d", i * 2); }

static leveldb_t *open_filled(const char *path) {
    leveldb_t *db = open_fresh(path);
    char key[8], value[100];
    int i;
    for (i = 0; i < ENTRIES; i++) {
        key_of(i, key);
        memset(value, 'a' + i % 26, sizeof value);
        value[i % 90] = '\0';
        put(db, key, value);
        if (i == ENTRIES / 2) {
            terrace_flush(db, &err); /* half of it in a table, half in memory */
            CHECK_NO_ERROR();
        }
    }
    return db;
}

/* Scans with the given buffer, and compares each entry with an iterator that takes single steps. Returns
 * their number. */
static int scan(leveldb_t *db, int flags, const char *start, const char *stop, size_t size, size_t max) {
    leveldb_iterator_t *iter = leveldb_create_iterator(db, NULL);
    leveldb_iterator_t *steps = leveldb_create_iterator(db, NULL);
    leveldb_iterator_t *both[2];
    size_t parts = !!(flags & TERRACE_READ_KEYS) + !!(flags & TERRACE_READ_VALUES);
    char *buffer = malloc(size ? size : 1);
    size_t *ends = malloc(max * 2 * sizeof *ends);
    size_t next_size, count, length, i, part, at;
    int entries = 0;

    both[0] = iter, both[1] = steps;
    for (i = 0; i < 2; i++) {
        if (start != NULL) {
            leveldb_iter_seek(both[i], start, strlen(start));
        } else if (flags & TERRACE_READ_BACKWARD) {
            leveldb_iter_seek_to_last(both[i]);
        } else {
            leveldb_iter_seek_to_first(both[i]);
        }
    }
    do {
        next_size = 12345;
        count = terrace_iter_read(iter, flags, stop, stop ? strlen(stop) : 0, buffer, size, ends, max, &next_size);
        CHECK(count <= max);
        at = 0;
        for (i = 0; i < count; i++, entries++) {
            CHECK(leveldb_iter_valid(steps));
            for (part = 0; part < parts; part++) {
                int is_key = part == 0 && (flags & TERRACE_READ_KEYS);
                const char *bytes = (is_key ? leveldb_iter_key : leveldb_iter_value)(steps, &length);
                CHECK(ends[i * parts + part] == at + length);
                CHECK(memcmp(buffer + at, bytes, length) == 0);
                at += length;
            }
            (flags & TERRACE_READ_BACKWARD ? leveldb_iter_prev : leveldb_iter_next)(steps);
        }
        CHECK(at <= size);
        /* Both iterators stand on the same entry, whose size was returned. */
        CHECK(leveldb_iter_valid(iter) == leveldb_iter_valid(steps));
        if (leveldb_iter_valid(iter)) {
            size_t key_length, value_length;
            const char *key = leveldb_iter_key(steps, &key_length);
            leveldb_iter_value(steps, &value_length);
            CHECK(memcmp(leveldb_iter_key(iter, &length), key, key_length) == 0 && length == key_length);
            if (next_size != NO_ENTRY) {
                length = (flags & TERRACE_READ_KEYS ? key_length : 0);
                length += (flags & TERRACE_READ_VALUES ? value_length : 0);
                CHECK(next_size == length);
            }
        } else {
            CHECK(next_size == NO_ENTRY);
        }
        if (count == 0 && next_size != NO_ENTRY) {
            CHECK(next_size > size);
            size = next_size;
            free(buffer);
            buffer = malloc(size);
        }
    } while (next_size != NO_ENTRY);
    leveldb_iter_get_error(iter, &err);
    CHECK_NO_ERROR();
    leveldb_iter_destroy(iter);
    leveldb_iter_destroy(steps);
    free(buffer);
    free(ends);
    return entries;
}

static void test_all_parts_directions_and_sizes(leveldb_t *db) {
    static const int parts[] = {0, TERRACE_READ_KEYS, TERRACE_READ_VALUES, BOTH};
    static const size_t sizes[] = {0, 1, 64, 300, 100000};
    static const size_t counts[] = {1, 7, 1000};
    size_t p, s, c;
    for (p = 0; p < 4; p++) {
        for (s = 0; s < 5; s++) {
            for (c = 0; c < 3; c++) {
                CHECK(scan(db, parts[p], NULL, NULL, sizes[s], counts[c]) == ENTRIES);
                CHECK(scan(db, parts[p] | TERRACE_READ_BACKWARD, NULL, NULL, sizes[s], counts[c]) == ENTRIES);
            }
        }
    }
}

static void test_stop(leveldb_t *db) {
    static const int inclusive = BOTH | TERRACE_READ_STOP_INCLUSIVE;
    static const int backward = BOTH | TERRACE_READ_BACKWARD;
    static const int backward_inclusive = BOTH | TERRACE_READ_BACKWARD | TERRACE_READ_STOP_INCLUSIVE;
    size_t max;
    for (max = 1; max <= 100; max += 33) {
        CHECK(scan(db, BOTH, "k100", "k120", 1000, max) == 10);
        CHECK(scan(db, inclusive, "k100", "k120", 1000, max) == 11);
        CHECK(scan(db, BOTH, "k100", "k119", 1000, max) == 10);
        CHECK(scan(db, inclusive, "k100", "k119", 1000, max) == 10);
        CHECK(scan(db, BOTH, "k100", "k100", 1000, max) == 0);
        CHECK(scan(db, inclusive, "k100", "k100", 1000, max) == 1);
        CHECK(scan(db, BOTH, "k100", "a", 1000, max) == 0);
        CHECK(scan(db, BOTH, NULL, "", 1000, max) == 0);
        CHECK(scan(db, BOTH, NULL, "z", 1000, max) == ENTRIES);
        CHECK(scan(db, backward, "k120", "k100", 1000, max) == 10);
        CHECK(scan(db, backward_inclusive, "k120", "k100", 1000, max) == 11);
        CHECK(scan(db, backward, "k120", "k099", 1000, max) == 11);
        CHECK(scan(db, backward, "k120", "z", 1000, max) == 0);
        CHECK(scan(db, backward, NULL, "", 1000, max) == ENTRIES);
    }
}

static void test_directions_alternate(leveldb_t *db) {
    leveldb_iterator_t *iter = leveldb_create_iterator(db, NULL);
    char buffer[64], key[8];
    size_t ends[4], next_size;
    int i;
    leveldb_iter_seek(iter, "k100", 4);
    for (i = 0; i < 20; i++) {
        CHECK(terrace_iter_read(iter, TERRACE_READ_KEYS, NULL, 0, buffer, 64, ends, 4, &next_size) == 4);
        key_of(50 + i * 2, key);
        CHECK(memcmp(buffer, key, 4) == 0 && ends[0] == 4 && next_size == 4);
        CHECK(terrace_iter_read(iter, TERRACE_READ_KEYS | TERRACE_READ_BACKWARD, NULL, 0, buffer, 64, ends, 2,
                                NULL) == 2);
        key_of(54 + i * 2, key);
        CHECK(memcmp(buffer, key, 4) == 0 && ends[1] == 8);
    }
    leveldb_iter_destroy(iter);
}

/* Calls with a new iterator on the first entry. The iterator must then have an error, and none after a
 * seek. */
static void check_refused(leveldb_t *db, int flags, const char *stop, size_t stop_len, char *buffer, size_t *ends) {
    leveldb_iterator_t *iter = leveldb_create_iterator(db, NULL);
    size_t next_size = 12345;
    leveldb_iter_seek_to_first(iter);
    CHECK(terrace_iter_read(iter, flags, stop, stop_len, buffer, 64, ends, 4, &next_size) == 0);
    CHECK(next_size == NO_ENTRY);
    CHECK(terrace_last_error_code() == TERRACE_INVALID_ARGUMENT);
    CHECK(!leveldb_iter_valid(iter));
    leveldb_iter_get_error(iter, &err);
    CHECK_ERROR("Invalid argument: ");
    leveldb_iter_seek_to_first(iter);
    CHECK(leveldb_iter_valid(iter));
    leveldb_iter_get_error(iter, &err);
    CHECK_NO_ERROR();
    leveldb_iter_destroy(iter);
}

static void test_arguments(leveldb_t *db) {
    leveldb_iterator_t *iter = leveldb_create_iterator(db, NULL);
    char buffer[64];
    size_t ends[8], next_size = 12345;

    /* An iterator that was not positioned has no next entry. */
    CHECK(terrace_iter_read(iter, BOTH, NULL, 0, buffer, 64, ends, 4, &next_size) == 0);
    CHECK(next_size == NO_ENTRY);
    leveldb_iter_get_error(iter, &err);
    CHECK_NO_ERROR();
    CHECK(terrace_iter_read(NULL, BOTH, NULL, 0, buffer, 64, ends, 4, &next_size) == 0);
    CHECK(next_size == NO_ENTRY);
    CHECK(terrace_iter_read(NULL, BOTH, NULL, 0, NULL, 0, NULL, 0, NULL) == 0);

    check_refused(db, 1024 | BOTH, NULL, 0, buffer, ends);
    check_refused(db, -1, NULL, 0, buffer, ends);
    check_refused(db, BOTH, NULL, 0, NULL, ends);
    check_refused(db, BOTH, NULL, 0, buffer, NULL);
    check_refused(db, BOTH, "x", (size_t)-1, buffer, ends);

    /* Arguments that are not needed may be NULL: both buffers for counting, the buffer for asking for the
     * next size. */
    leveldb_iter_seek_to_first(iter);
    CHECK(terrace_iter_read(iter, BOTH, NULL, 77, NULL, 0, ends, 4, &next_size) == 0);
    CHECK(next_size == 4); /* the first value is empty */
    CHECK(terrace_iter_read(iter, BOTH, NULL, 0, buffer, 64, NULL, 0, &next_size) == 0);
    CHECK(next_size == 4);
    CHECK(terrace_iter_read(iter, 0, NULL, 0, NULL, 0, NULL, NO_ENTRY, &next_size) == ENTRIES);
    CHECK(next_size == NO_ENTRY);
    leveldb_iter_destroy(iter);
}

static void test_empty_keys_and_values(void) {
    const char *path = scratch("iter-read-empty");
    leveldb_t *db = open_fresh(path);
    leveldb_iterator_t *iter;
    size_t ends[4], next_size;
    char buffer[1];
    put(db, "", "");
    iter = leveldb_create_iterator(db, NULL);
    leveldb_iter_seek_to_first(iter);
    /* The entry takes no bytes at all. */
    CHECK(terrace_iter_read(iter, BOTH, NULL, 0, NULL, 0, ends, 2, &next_size) == 1);
    CHECK(ends[0] == 0 && ends[1] == 0 && next_size == NO_ENTRY);
    leveldb_iter_seek_to_first(iter);
    CHECK(terrace_iter_read(iter, BOTH, "", 0, buffer, 1, ends, 2, &next_size) == 0);
    CHECK(terrace_iter_read(iter, BOTH | TERRACE_READ_STOP_INCLUSIVE, "", 0, buffer, 1, ends, 2, &next_size) == 1);
    leveldb_iter_destroy(iter);
    close_and_destroy(db, path);
}

/* The reverse order of bytes. */
static int compare(void *state, const char *a, size_t alen, const char *b, size_t blen) {
    int order = memcmp(a, b, alen < blen ? alen : blen);
    (void)state;
    return order ? -order : (alen < blen) - (alen > blen);
}
static const char *name(void *state) { return state; }

static void test_stop_follows_the_comparator(void) {
    const char *path = scratch("iter-read-comparator");
    leveldb_comparator_t *comparator = leveldb_comparator_create("backward", NULL, compare, name);
    leveldb_options_t *options = create_options();
    leveldb_t *db;
    int i;
    leveldb_options_set_comparator(options, comparator);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    for (i = 0; i < 26; i++) {
        char key[2] = {(char)('a' + i), '\0'};
        put(db, key, "v");
    }
    CHECK(scan(db, BOTH, "m", "f", 100, 10) == 7);
    CHECK(scan(db, BOTH | TERRACE_READ_STOP_INCLUSIVE, "m", "f", 100, 10) == 8);
    CHECK(scan(db, BOTH, "m", "z", 100, 10) == 0);
    CHECK(scan(db, BOTH | TERRACE_READ_BACKWARD, "f", "m", 100, 10) == 7);
    leveldb_options_destroy(options);
    leveldb_close(db);
    leveldb_comparator_destroy(comparator);
}

static void test_a_closed_database_and_a_child_end_the_scan_with_an_error(leveldb_t *db) {
    leveldb_iterator_t *iter = leveldb_create_iterator(db, NULL);
    char buffer[64];
    size_t ends[8], next_size;
    int status;
    pid_t child;
    leveldb_iter_seek_to_first(iter);
    fflush(NULL);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(terrace_iter_read(iter, BOTH, NULL, 0, buffer, 64, ends, 4, &next_size) <= 1);
        CHECK(next_size == NO_ENTRY);
        leveldb_iter_get_error(iter, &err);
        CHECK_ERROR("IO error: ");
        leveldb_iter_destroy(iter);
        end_child();
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);

    leveldb_close(db);
    /* The current entry is still available; the move after it fails. */
    CHECK(terrace_iter_read(iter, BOTH, NULL, 0, buffer, 64, ends, 4, &next_size) <= 1);
    CHECK(next_size == NO_ENTRY);
    leveldb_iter_get_error(iter, &err);
    CHECK(err != NULL);
    leveldb_free(err);
    err = NULL;
    leveldb_iter_destroy(iter);
}

int main(void) {
    leveldb_t *db = open_filled(scratch("iter-read"));
    test_all_parts_directions_and_sizes(db);
    test_stop(db);
    test_directions_alternate(db);
    test_arguments(db);
    test_empty_keys_and_values();
    test_stop_follows_the_comparator();
    test_a_closed_database_and_a_child_end_the_scan_with_an_error(db);
    return passed();
}
