/*
 * A database opened by a relative path stays in its directory when the process changes its current directory,
 * and when its directory is renamed and another takes the name. A child of fork, and databases opened later
 * under that name, do not affect it.
 */
#include "terrace.h"

#include <errno.h>
#include <sys/wait.h>

#include "check.h"

static leveldb_options_t *options;

static leveldb_t *must_open(const char *path) {
    leveldb_t *db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    return db;
}

/* Creates files of all kinds. */
static void use(leveldb_t *db, const char *prefix) {
    leveldb_writeoptions_t *write_options = leveldb_writeoptions_create();
    static char value[1000];
    char key[64];
    int round, i;
    for (round = 0; round < 2; round++) {
        for (i = 0; i < 200; i++) {
            size_t length = (size_t)snprintf(key, sizeof key, "%s%04d", prefix, i);
            leveldb_writeoptions_set_sync(write_options, i == 0);
            leveldb_put(db, write_options, key, length, value, sizeof value, &err);
            CHECK_NO_ERROR();
        }
        terrace_flush(db, &err);
        CHECK_NO_ERROR();
    }
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    leveldb_writeoptions_destroy(write_options);
}

static int count(leveldb_t *db) {
    leveldb_readoptions_t *read_options = leveldb_readoptions_create();
    leveldb_iterator_t *iter = leveldb_create_iterator(db, read_options);
    int entries = 0;
    for (leveldb_iter_seek_to_first(iter); leveldb_iter_valid(iter); leveldb_iter_next(iter)) {
        entries++;
    }
    leveldb_iter_get_error(iter, &err);
    CHECK_NO_ERROR();
    leveldb_iter_destroy(iter);
    leveldb_readoptions_destroy(read_options);
    return entries;
}

/* The number of entries of the database at `path`. */
static int count_in(const char *path) {
    leveldb_t *db = must_open(path);
    int entries = count(db);
    leveldb_close(db);
    return entries;
}

static int descriptors(void) {
    DIR *directory = opendir("/proc/self/fd");
    int open = 0;
    CHECK(directory != NULL);
    while (readdir(directory) != NULL) {
        open++;
    }
    closedir(directory);
    return open;
}

int main(void) {
    const char *base = scratch("base");
    char here[1000];
    leveldb_t *db, *other;
    int open_before, status = 0;
    pid_t child;
    options = create_options();
    leveldb_options_set_write_buffer_size(options, 64 << 10);
    CHECK(getcwd(here, sizeof here) != NULL);
    CHECK(mkdir(base, 0755) == 0 && chdir(base) == 0);
    CHECK(mkdir("a", 0755) == 0 && mkdir("b", 0755) == 0);
    leveldb_close(must_open("warm up"));
    open_before = descriptors();

    CHECK(chdir("a") == 0);
    db = must_open("db");
    use(db, "first");
    CHECK(chdir("../b") == 0);
    use(db, "second");
    CHECK(count(db) == 400);
    CHECK(!is_directory("db"));
    /* Here, the same name is another database. */
    other = must_open("db");
    use(other, "other");
    CHECK(count(other) == 200 && count(db) == 400);
    CHECK(rename("../a/db", "../a/moved") == 0 && rename("db", "../a/db") == 0);
    use(db, "third");
    use(other, "more");
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        leveldb_close(db);
        leveldb_close(other);
        end_child();
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    use(db, "fourth");
    CHECK(count(db) == 800 && count(other) == 400);
    leveldb_close(db);
    leveldb_close(other);
    CHECK(descriptors() == open_before);

    CHECK(chdir("../a") == 0);
    CHECK(count_in("moved") == 800 && count_in("db") == 400);
    leveldb_repair_db(options, "moved", &err);
    CHECK_NO_ERROR();
    CHECK(count_in("moved") == 800);
    leveldb_destroy_db(options, "db", &err);
    CHECK_NO_ERROR();
    CHECK(!is_directory("db"));
    CHECK(chdir(here) == 0);
    leveldb_options_destroy(options);
    return passed();
}
