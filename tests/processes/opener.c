/*
 * Opens databases and prints the results.
 *
 *   opener LIBRARY DIRECTORY [LIBRARY DIRECTORY ...]
 *
 * Opens the first database with a library with LevelDB's C API. Then tries to open each of the others in the
 * same process; they must be refused. Prints a line for each: "open" or the error. Keeps the first database
 * open until the standard input ends. Exits with 1 if the first is refused or another one is opened. The
 * library "flock" only takes the lock that goleveldb takes, on DIRECTORY/LOCK.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <leveldb/c.h>

struct library {
    __typeof__(leveldb_options_create) *options_create;
    __typeof__(leveldb_options_set_create_if_missing) *options_set_create_if_missing;
    __typeof__(leveldb_open) *open;
    __typeof__(leveldb_close) *close;
};

static void *find(void *handle, const char *name) {
    void *function = dlsym(handle, name);
    if (function == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(2);
    }
    return function;
}

static struct library load(const char *path) {
    struct library library;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(2);
    }
    *(void **)&library.options_create = find(handle, "leveldb_options_create");
    *(void **)&library.options_set_create_if_missing = find(handle, "leveldb_options_set_create_if_missing");
    *(void **)&library.open = find(handle, "leveldb_open");
    *(void **)&library.close = find(handle, "leveldb_close");
    return library;
}

static leveldb_t *open_database(const struct library *library, const char *directory) {
    leveldb_options_t *options = library->options_create();
    char *error = NULL;
    leveldb_t *db;
    library->options_set_create_if_missing(options, 1);
    db = library->open(options, directory, &error);
    puts(error ? error : "open");
    return db;
}

static int take_flock(const char *directory) {
    char path[4096];
    int file;
    snprintf(path, sizeof path, "%s/LOCK", directory);
    file = open(path, O_RDWR | O_CREAT, 0644);
    if (file < 0 || flock(file, LOCK_EX | LOCK_NB) != 0) {
        perror("flock");
        return 0;
    }
    puts("open");
    return 1;
}

static void wait_for_end_of_input(void) {
    char byte;
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
}

int main(int count, char **arguments) {
    struct library library = {0};
    leveldb_t *db = NULL;
    int i;
    if (count < 3) {
        return 2;
    }
    if (strcmp(arguments[1], "flock") == 0) {
        if (!take_flock(arguments[2])) {
            return 1;
        }
    } else {
        library = load(arguments[1]);
        db = open_database(&library, arguments[2]);
        if (db == NULL) {
            return 1;
        }
    }
    for (i = 3; i + 1 < count; i += 2) {
        struct library other = load(arguments[i]);
        if (open_database(&other, arguments[i + 1]) != NULL) {
            return 1;
        }
    }
    wait_for_end_of_input();
    if (db != NULL) {
        library.close(db);
    }
    return 0;
}
