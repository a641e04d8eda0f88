/* The process that is killed: writes batches through a library with LevelDB's C API until then.
 *
 * usage: writer LIBRARY DATABASE COUNTERS THREADS SYNC_EVERY WRITE_BUFFER
 *
 * COUNTERS is a file with one native uint64_t per thread, mapped and shared. After each write that returned,
 * the thread stores the number of that write. The page cache keeps it when the process is killed. Thread t
 * starts with the number in its counter plus one. Batch i of thread t (keys are "t/...", numbers in decimal):
 *   puts    t/slot<i % 64>/0 .. /4   each "i:", then padding whose length depends on i
 *   deletes t/gone/<i - 1>
 *   puts    t/gone/<i>               empty
 *   puts    t/last                   "i:"
 * So a lost write, a split batch and a write out of order are all visible. Every SYNC_EVERYth write is synced
 * (0: none).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SLOTS = 64, KEYS = 5, LARGEST = 120000 };

static void* library;

static void* function(const char* name) {
  void* found = dlsym(library, name);
  if (found == NULL) {
    fprintf(stderr, "writer: %s\n", dlerror());
    exit(2);
  }
  return found;
}

static void* (*batch_create)(void);
static void (*batch_clear)(void*);
static void (*batch_put)(void*, const char*, size_t, const char*, size_t);
static void (*batch_delete)(void*, const char*, size_t);
static void (*db_write)(void*, void*, void*, char**);

static void* db;
static void* plain;
static void* synced;
static volatile uint64_t* counters;
static unsigned sync_every;

/* Must agree with `padding` of mod.rs. */
static size_t padding(uint64_t i) {
  if (i % 101 == 0) return LARGEST - 64;
  if (i % 7 == 0) return 3000;
  return (size_t)(i * 37 % 400);
}

static void put(void* batch, const char* key, const char* value, size_t length) {
  batch_put(batch, key, strlen(key), value, length);
}

static void* write_forever(void* argument) {
  unsigned thread = (unsigned)(uintptr_t)argument;
  void* batch = batch_create();
  char key[64];
  char* value = malloc(LARGEST);
  for (uint64_t i = counters[thread] + 1;; i++) {
    batch_clear(batch);
    int head = snprintf(value, LARGEST, "%llu:", (unsigned long long)i);
    memset(value + head, 'a' + (int)(i % 26), padding(i));
    for (unsigned k = 0; k < KEYS; k++) {
      snprintf(key, sizeof key, "%u/slot%02u/%u", thread, (unsigned)(i % SLOTS), k);
      put(batch, key, value, (size_t)head + padding(i));
    }
    snprintf(key, sizeof key, "%u/gone/%llu", thread, (unsigned long long)(i - 1));
    batch_delete(batch, key, strlen(key));
    snprintf(key, sizeof key, "%u/gone/%llu", thread, (unsigned long long)i);
    put(batch, key, "", 0);
    snprintf(key, sizeof key, "%u/last", thread);
    put(batch, key, value, (size_t)head);

    char* error = NULL;
    db_write(db, sync_every != 0 && i % sync_every == 0 ? synced : plain, batch, &error);
    if (error != NULL) {
      fprintf(stderr, "writer: %s\n", error);
      exit(3);
    }
    __atomic_store_n(&counters[thread], i, __ATOMIC_RELEASE);
  }
  return NULL;
}

int main(int argc, char** argv) {
  if (argc != 7) return 1;
  library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    fprintf(stderr, "writer: %s\n", dlerror());
    return 2;
  }
  unsigned threads = (unsigned)atoi(argv[4]);
  sync_every = (unsigned)atoi(argv[5]);

  *(void**)&batch_create = function("leveldb_writebatch_create");
  *(void**)&batch_clear = function("leveldb_writebatch_clear");
  *(void**)&batch_put = function("leveldb_writebatch_put");
  *(void**)&batch_delete = function("leveldb_writebatch_delete");
  *(void**)&db_write = function("leveldb_write");
  void* (*options_create)(void);
  void* (*write_options_create)(void);
  void (*set_create)(void*, uint8_t);
  void (*set_buffer)(void*, size_t);
  void (*set_sync)(void*, uint8_t);
  void* (*db_open)(void*, const char*, char**);
  *(void**)&options_create = function("leveldb_options_create");
  *(void**)&write_options_create = function("leveldb_writeoptions_create");
  *(void**)&set_create = function("leveldb_options_set_create_if_missing");
  *(void**)&set_buffer = function("leveldb_options_set_write_buffer_size");
  *(void**)&set_sync = function("leveldb_writeoptions_set_sync");
  *(void**)&db_open = function("leveldb_open");

  int file = open(argv[3], O_RDWR);
  counters = mmap(NULL, threads * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (file < 0 || counters == MAP_FAILED) {
    perror("writer: counters");
    return 2;
  }

  plain = write_options_create();
  synced = write_options_create();
  set_sync(synced, 1);
  void* options = options_create();
  set_create(options, 1);
  set_buffer(options, (size_t)atol(argv[6]));
  char* error = NULL;
  db = db_open(options, argv[2], &error);
  if (error != NULL) {
    fprintf(stderr, "writer: %s\n", error);
    return 3;
  }
  for (unsigned t = 1; t < threads; t++) {
    pthread_t handle;
    if (pthread_create(&handle, NULL, write_forever, (void*)(uintptr_t)t) != 0) return 2;
  }
  write_forever(NULL);
}
