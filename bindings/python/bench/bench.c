/* bench DB ENTRIES: measures in C what bench.py measures, on a filled database. Prints "name nanoseconds". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "leveldb/c.h"

static char *err;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void done(const char *what, double began, int count) {
    printf("%s %.1f\n", what, (now() - began) / count);
    if (err != NULL) {
        fprintf(stderr, "%s\n", err);
        exit(1);
    }
}

int main(int argc, char **argv) {
    int entries = atoi(argv[argc - 1]), calls = entries / 3, i;
    leveldb_options_t *options = leveldb_options_create();
    leveldb_t *db;
    leveldb_iterator_t *iter;
    size_t length, sum = 0;
    char key[32], value[100];
    double began;

    leveldb_options_set_compression(options, leveldb_no_compression);
    db = leveldb_open(options, argv[1], &err);
    if (db == NULL) {
        fprintf(stderr, "%s\n", err);
        return 1;
    }
    memset(value, 'v', sizeof value);

    began = now();
    iter = leveldb_create_iterator(db, NULL);
    for (leveldb_iter_seek_to_first(iter); leveldb_iter_valid(iter); leveldb_iter_next(iter)) {
        leveldb_iter_key(iter, &length);
        sum += length;
        leveldb_iter_value(iter, &length);
        sum += length;
    }
    leveldb_iter_destroy(iter);
    done("iterate", began, entries);
    if (sum != (size_t)entries * 116) {
        fprintf(stderr, "%zu bytes read\n", sum);
        return 1;
    }

    began = now();
    for (i = 0; i < calls; i++) {
        snprintf(key, sizeof key, "%016d", i);
        leveldb_free(leveldb_get(db, NULL, key, 16, &length, &err));
    }
    done("get", began, calls);

    began = now();
    for (i = 0; i < calls; i++) {
        snprintf(key, sizeof key, "%016d", i);
        leveldb_put(db, NULL, key, 16, value, sizeof value, &err);
    }
    done("put", began, calls);

    began = now();
    {
        leveldb_writebatch_t *batch = leveldb_writebatch_create();
        for (i = 0; i < calls; i++) {
            snprintf(key, sizeof key, "%016d", i);
            leveldb_writebatch_put(batch, key, 16, value, sizeof value);
        }
        leveldb_write(db, NULL, batch, &err);
        leveldb_writebatch_destroy(batch);
    }
    done("batch", began, calls);
    leveldb_close(db);
    leveldb_options_destroy(options);
    return 0;
}
