/*
 * What column families cost: memory, threads, descriptors and time with N families, and the WALs that an idle
 * family keeps. Prints one row of a table; scripts/bench-families.sh runs it.
 *
 * usage: families N DIRECTORY
 *        families wal MIB LIMIT DIRECTORY     LIMIT: bytes of max_total_wal_size, 0: the default
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "leveldb/c.h"
#include "terrace.h"

enum { OPERATIONS = 200000, VALUE = 100, MIB = 1 << 20 };

static char *err;

static void stop_on_error(const char *what) {
    if (err == NULL) return;
    fprintf(stderr, "families: %s: %s\n", what, err);
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The resident memory in MiB. */
static double resident(void) {
    char line[256];
    long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL) sscanf(line, "VmRSS: %ld", &kib);
    if (status != NULL) fclose(status);
    return (double)kib / 1024;
}

/* The number of entries of a directory. */
static int entries(const char *path) {
    int count = -2;
    DIR *directory = opendir(path);
    while (directory != NULL && readdir(directory) != NULL) count++;
    if (directory != NULL) closedir(directory);
    return count;
}

/* The number of open descriptors, without that of the directory that is read for it. */
static int descriptors(void) { return entries("/proc/self/fd") - 1; }

/* The bytes of all WALs, by their lengths, and by the blocks that they take. */
static void wal_sizes(const char *path, uint64_t *lengths, uint64_t *blocks) {
    DIR *directory = opendir(path);
    struct dirent *entry;
    *lengths = *blocks = 0;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        const char *dot = strrchr(entry->d_name, '.');
        struct stat status;
        if (dot == NULL || strcmp(dot, ".log") != 0) continue;
        if (fstatat(dirfd(directory), entry->d_name, &status, 0) != 0) continue;
        *lengths += (uint64_t)status.st_size;
        *blocks += (uint64_t)status.st_blocks * 512;
    }
    if (directory != NULL) closedir(directory);
}

static int measure_wals(int argc, char **argv) {
    if (argc != 5) return 2;
    uint64_t volume = strtoull(argv[2], NULL, 10) * MIB, limit = strtoull(argv[3], NULL, 10);
    uint64_t written = 0, most_length = 0, most_blocks = 0;
    const size_t length = 64 << 10;
    char *value = malloc(length);
    leveldb_options_t *options = leveldb_options_create();
    leveldb_options_set_create_if_missing(options, 1);
    terrace_options_set_max_total_wal_size(options, limit);
    leveldb_t *db = leveldb_open(options, argv[4], &err);
    stop_on_error("open");
    terrace_column_family_handle_t *idle = terrace_create_column_family(db, options, "idle", &err);
    stop_on_error("create");
    terrace_column_family_handle_t *busy = terrace_create_column_family(db, options, "busy", &err);
    stop_on_error("create");
    terrace_put_cf(db, NULL, idle, "key", 3, "value", 5, &err);
    stop_on_error("put");
    srandom(1);
    for (size_t at = 0; at < length; at++) value[at] = (char)random();
    double began = now();
    for (unsigned number = 0; written < volume; number++) {
        char key[32];
        int key_length = snprintf(key, sizeof key, "key%08u", number * 2654435761u);
        terrace_put_cf(db, NULL, busy, key, (size_t)key_length, value, length, &err);
        stop_on_error("put");
        written += length;
        if (number % 8 == 0) {
            uint64_t lengths, blocks;
            wal_sizes(argv[4], &lengths, &blocks);
            if (lengths > most_length) most_length = lengths;
            if (blocks > most_blocks) most_blocks = blocks;
        }
    }
    double seconds = now() - began;
    printf("| %llu MiB | %s | %.1f MiB | %.1f MiB | %.1f s |\n", (unsigned long long)(volume / MIB), argv[3],
           (double)most_length / MIB, (double)most_blocks / MIB, seconds);
    terrace_column_family_handle_destroy(idle);
    terrace_column_family_handle_destroy(busy);
    leveldb_close(db);
    leveldb_options_destroy(options);
    free(value);
    return 0;
}

/* Puts or gets keys of all families in turn. Returns the time of one in microseconds. */
static double run(leveldb_t *db, terrace_column_family_handle_t **families, int count, int gets) {
    char key[32], value[VALUE];
    memset(value, 'v', sizeof value);
    double began = now();
    for (unsigned number = 0; number < OPERATIONS; number++) {
        int length = snprintf(key, sizeof key, "key%08u", number * 2654435761u);
        terrace_column_family_handle_t *family = families[number % (unsigned)count];
        if (gets) {
            size_t found;
            char *got = terrace_get_cf(db, NULL, family, key, (size_t)length, &found, &err);
            if (got == NULL || found != VALUE) exit(3);
            leveldb_free(got);
        } else {
            terrace_put_cf(db, NULL, family, key, (size_t)length, value, VALUE, &err);
        }
        stop_on_error(gets ? "get" : "put");
    }
    return (now() - began) / OPERATIONS * 1e6;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "wal") == 0) return measure_wals(argc, argv);
    if (argc != 3) return 2;
    int count = atoi(argv[1]);
    if (count < 1) return 2;
    terrace_column_family_handle_t **families = calloc((size_t)count, sizeof *families);
    const char **names = calloc((size_t)count, sizeof *names);
    const leveldb_options_t **of_families = calloc((size_t)count, sizeof *of_families);
    char (*text)[32] = calloc((size_t)count, sizeof *text);
    leveldb_options_t *options = leveldb_options_create();
    leveldb_options_set_create_if_missing(options, 1);
    leveldb_t *db = leveldb_open(options, argv[2], &err);
    stop_on_error("open");
    double began = now();
    for (int n = 0; n < count; n++) {
        snprintf(text[n], sizeof text[n], n == 0 ? "default" : "family%d", n);
        names[n] = text[n];
        of_families[n] = options;
        families[n] = n == 0 ? terrace_get_default_column_family_handle(db)
                             : terrace_create_column_family(db, options, text[n], &err);
        stop_on_error("create");
    }
    double created = (now() - began) * 1e3 / (count > 1 ? count - 1 : 1);
    double empty = resident();
    double put = run(db, families, count, 0);
    double get = run(db, families, count, 1);
    double full = resident();
    int threads = entries("/proc/self/task"), open_files = descriptors();
    terrace_flush(db, &err);
    stop_on_error("flush");
    for (int n = 0; n < count; n++) terrace_column_family_handle_destroy(families[n]);
    leveldb_close(db);
    began = now();
    db = terrace_open_column_families(options, argv[2], count, names, of_families, families, &err);
    stop_on_error("open");
    double opened = (now() - began) * 1e3;
    double get_flushed = run(db, families, count, 1);
    printf("| %d | %.2f | %.1f | %.1f | %.1f | %d | %d | %d | %.2f | %.2f | %.2f |\n", count, created, opened,
           empty, full, threads, open_files, descriptors(), put, get, get_flushed);
    for (int n = 0; n < count; n++) terrace_column_family_handle_destroy(families[n]);
    leveldb_close(db);
    leveldb_options_destroy(options);
    free(text);
    free(of_families);
    free(names);
    free(families);
    return 0;
}
