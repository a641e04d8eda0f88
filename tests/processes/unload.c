/*
 * Loads a library with LevelDB's C API, uses a database from several threads, closes it, unloads the library
 * at once, and only then lets the threads end: the library's thread-local values, and the code that destroys
 * them, must still exist then.
 *
 *   unload LIBRARY DIRECTORY
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <leveldb/c.h>

#define THREADS 4

#define CHECK(condition)                                                                          \
    do {                                                                                          \
        if (!(condition)) {                                                                       \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                       \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

/* The functions of the library, under their own names. */
#define FUNCTIONS(each)                                                                           \
    each(leveldb_options_create) each(leveldb_options_set_create_if_missing) each(leveldb_options_destroy)  \
    each(leveldb_writeoptions_create) each(leveldb_writeoptions_destroy)                          \
    each(leveldb_readoptions_create) each(leveldb_readoptions_destroy)                            \
    each(leveldb_open) each(leveldb_close) each(leveldb_put) each(leveldb_get) each(leveldb_compact_range)  \
    each(leveldb_create_iterator) each(leveldb_iter_seek_to_first) each(leveldb_iter_destroy) each(leveldb_free)

static struct {
#define DECLARE(name) __typeof__(name) *name;
    FUNCTIONS(DECLARE)
} library;

static leveldb_t *db;
static pthread_barrier_t used, unloaded;

static void *use(void *argument) {
    leveldb_writeoptions_t *write_options = library.leveldb_writeoptions_create();
    leveldb_readoptions_t *read_options = library.leveldb_readoptions_create();
    leveldb_iterator_t *iter;
    char key[64], *error = NULL;
    size_t length;
    int i;
    for (i = 0; i < 2000; i++) {
        snprintf(key, sizeof key, "%s-%d", (const char *)argument, i);
        library.leveldb_put(db, write_options, key, strlen(key), key, strlen(key), &error);
        CHECK(error == NULL);
    }
    library.leveldb_free(library.leveldb_get(db, read_options, key, strlen(key), &length, &error));
    CHECK(error == NULL && length == strlen(key));
    iter = library.leveldb_create_iterator(db, read_options);
    library.leveldb_iter_seek_to_first(iter);
    library.leveldb_iter_destroy(iter);
    library.leveldb_compact_range(db, NULL, 0, NULL, 0);
    /* Sets the last error of the thread. */
    library.leveldb_put(NULL, write_options, "", 0, "", 0, &error);
    CHECK(error != NULL);
    library.leveldb_free(error);
    library.leveldb_readoptions_destroy(read_options);
    library.leveldb_writeoptions_destroy(write_options);
    pthread_barrier_wait(&used);
    pthread_barrier_wait(&unloaded);
    return NULL;
}

int main(int count, char **arguments) {
    void *handle;
    char *error = NULL;
    leveldb_options_t *options;
    static const char *const names[THREADS] = {"one", "two", "three", "four"};
    pthread_t threads[THREADS];
    pid_t child;
    int i;
    CHECK(count == 3);
    handle = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    CHECK(handle != NULL);
#define FIND(name)                                                                                \
    library.name = (__typeof__(name) *)dlsym(handle, #name);                                      \
    CHECK(library.name != NULL);
    FUNCTIONS(FIND)
    options = library.leveldb_options_create();
    library.leveldb_options_set_create_if_missing(options, 1);
    db = library.leveldb_open(options, arguments[2], &error);
    CHECK(db != NULL);
    library.leveldb_options_destroy(options);

    pthread_barrier_init(&used, NULL, THREADS + 1);
    pthread_barrier_init(&unloaded, NULL, THREADS + 1);
    for (i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, use, (void *)names[i]) == 0);
    }
    pthread_barrier_wait(&used);
    library.leveldb_close(db);
    CHECK(dlclose(handle) == 0);
    pthread_barrier_wait(&unloaded);
    for (i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    /* The library is never unloaded: other threads may have thread-local values too, and fork still calls its
     * handler. */
    CHECK(dlopen(arguments[1], RTLD_NOW | RTLD_NOLOAD) != NULL);
    child = fork();
    if (child == 0) {
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, &i, 0) == child && i == 0);
    puts("PASS");
    return 0;
}
