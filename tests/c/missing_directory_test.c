/*
 * Paths that are missing or no directories: the errors of open, repair and destroy, and the files that they
 * leave. Also runs against Google's library (-DGOOGLE), whose messages these are.
 */
#include <errno.h>
#include <string.h>

#include "check.h"

static leveldb_options_t *creating, *not_creating;

/* Does the path exist? (A dead link exists too.) */
static int is_there(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0;
}

static void check_message(const char *kind, const char *path, const char *rest) {
    char expected[2000];
    CHECK(err != NULL);
    snprintf(expected, sizeof expected, "%s: %s%s", kind, path, rest);
    if (strcmp(err, expected) != 0) {
        fprintf(stderr, "%s\nexpected: %s\n", err, expected);
    }
    CHECK(strcmp(err, expected) == 0);
    free(err);
    err = NULL;
}

/* The directory cannot be created: each call says so with LevelDB's message, and creates nothing. */
static void check_impossible(const char *path, const char *kind, const char *why) {
    char lock[1000], of_directory[1000];
    int was_there = is_there(path), eie;
    snprintf(lock, sizeof lock, "/LOCK: %s", why);
    snprintf(of_directory, sizeof of_directory, ": %s", why);
    for (eie = 0; eie < 2; eie++) {
        leveldb_options_set_error_if_exists(creating, (unsigned char)eie);
        leveldb_options_set_error_if_exists(not_creating, (unsigned char)eie);
        CHECK(leveldb_open(not_creating, path, &err) == NULL);
        check_message(kind, path, lock);
        CHECK(leveldb_open(creating, path, &err) == NULL);
        check_message(kind, path, lock);
    }
    leveldb_options_set_error_if_exists(creating, 0);
    leveldb_options_set_error_if_exists(not_creating, 0);
    leveldb_repair_db(creating, path, &err);
    check_message(kind, path, of_directory);
    leveldb_repair_db(not_creating, path, &err);
    check_message(kind, path, of_directory);
    leveldb_destroy_db(creating, path, &err);
    CHECK_NO_ERROR();
    CHECK(is_there(path) == was_there);
}

static void check_empty_database(const char *path) {
    leveldb_readoptions_t *options = leveldb_readoptions_create();
    leveldb_t *db = leveldb_open(not_creating, path, &err);
    leveldb_iterator_t *iter;
    CHECK_NO_ERROR();
    iter = leveldb_create_iterator(db, options);
    leveldb_iter_seek_to_first(iter);
    CHECK(!leveldb_iter_valid(iter));
    leveldb_iter_get_error(iter, &err);
    CHECK_NO_ERROR();
    leveldb_iter_destroy(iter);
    put(db, "k", "v");
    check_get(db, options, "k", "v");
    leveldb_readoptions_destroy(options);
    leveldb_close(db);
}

static void check_missing(const char *path) {
    CHECK(leveldb_open(not_creating, path, &err) == NULL);
    check_message("Invalid argument", path, ": does not exist (create_if_missing is false)");
    leveldb_destroy_db(creating, path, &err);
    CHECK_NO_ERROR();
    CHECK(!is_there(path));
    /* A repair creates an empty database, as an open may. */
    leveldb_repair_db(not_creating, path, &err);
    CHECK_NO_ERROR();
    check_empty_database(path);
    leveldb_repair_db(not_creating, path, &err);
    CHECK_NO_ERROR();
}

int main(void) {
    const char *base = scratch("base");
    char path[1000], long_name[301];
    creating = create_options();
    not_creating = leveldb_options_create();
    CHECK(mkdir(base, 0755) == 0);

    snprintf(path, sizeof path, "%s/missing/db", base);
    check_impossible(path, "NotFound", "No such file or directory");
    snprintf(path, sizeof path, "%s/dangling", base);
    CHECK(symlink("nowhere", path) == 0);
    check_impossible(path, "NotFound", "No such file or directory");
    snprintf(path, sizeof path, "%s/loop", base);
    CHECK(symlink("loop", path) == 0);
    check_impossible(path, "IO error", "Too many levels of symbolic links");
    snprintf(path, sizeof path, "%s/fifo", base);
    CHECK(mkfifo(path, 0644) == 0);
    check_impossible(path, "IO error", "Not a directory");
    snprintf(path, sizeof path, "%s/fifo/db", base);
    check_impossible(path, "IO error", "Not a directory");
    memset(long_name, 'x', 300);
    long_name[300] = 0;
    snprintf(path, sizeof path, "%s/%s", base, long_name);
    check_impossible(path, "IO error", "File name too long");

    leveldb_repair_db(creating, "", &err);
    check_message("NotFound", "", ": No such file or directory");
    leveldb_destroy_db(creating, "", &err);
    CHECK_NO_ERROR();

    snprintf(path, sizeof path, "%s/new", base);
    check_missing(path);
    leveldb_options_destroy(creating);
    leveldb_options_destroy(not_creating);
    return passed();
}
