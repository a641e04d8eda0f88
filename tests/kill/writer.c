/* The process that is killed: writes batches through a library with LevelDB's C API until then.
 *
 * usage: writer LIBRARY DATABASE COUNTERS THREADS SYNC_EVERY WRITE_BUFFER FAMILIES
 *
 * COUNTERS is a file with one native uint64_t per thread, and two more (below), mapped and shared. After each
 * write that returned, the thread stores the number of that write. The page cache keeps it when the process
 * is killed. Thread t starts with the number in its counter plus one. Batch i of thread t (keys are "t/...",
 * numbers in decimal):
 *   puts    t/slot<i % 64>/0 .. /4   each "i:", then padding whose length depends on i
 *   deletes t/gone/<i - 1>
 *   puts    t/gone/<i>               empty
 *   puts    t/last                   "i:"
 * So a lost write, a split batch and a write out of order are all visible. Every SYNC_EVERYth write is synced
 * (0: none).
 *
 * With FAMILIES 1 (Terrace alone), key k of a slot is in family k % 3 of `default`, `one`, `two`, and
 * t/gone/<i> in family i % 3, so that every batch is a batch over families. Before every 20th batch, thread 0
 * creates the family `made<n>`, or drops it if it is there; n counts from 1. Then the second last counter is
 * 2 * n + 1 or 2 * n. The last counter has the number of the batch before which the last creation began.
 * While there is such a family, each batch of thread 0 also puts 0/made there. Every 128th batch is followed
 * by a flush.
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

enum { SLOTS = 64, KEYS = 5, LARGEST = 120000, FAMILIES = 3, MADE_EVERY = 20, FLUSHED_EVERY = 128 };

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

static void (*batch_put_cf)(void*, void*, const char*, size_t, const char*, size_t);
static void (*batch_delete_cf)(void*, void*, const char*, size_t);
static void* (*family_create)(void*, void*, const char*, char**);
static void (*family_drop)(void*, void*, char**);
static void (*family_destroy)(void*);
static void (*db_flush)(void*, char**);

static void* db;
static void* options;
static void* plain;
static void* synced;
static volatile uint64_t* counters;
static unsigned threads;
static unsigned sync_every;
static int has_families;
static void* families[FAMILIES]; /* NULL: the default family, by LevelDB's functions */
static void* made;               /* the family that thread 0 has created, if any */

/* Must agree with `padding` of mod.rs. */
static size_t padding(uint64_t i) {
  if (i % 101 == 0) return LARGEST - 64;
  if (i % 7 == 0) return 3000;
  return (size_t)(i * 37 % 400);
}

static void stop_on(char* error) {
  if (error == NULL) return;
  fprintf(stderr, "writer: %s\n", error);
  exit(3);
}

static void put(void* batch, void* family, const char* key, const char* value, size_t length) {
  if (family != NULL) {
    batch_put_cf(batch, family, key, strlen(key), value, length);
  } else {
    batch_put(batch, key, strlen(key), value, length);
  }
}

static void remove_key(void* batch, void* family, const char* key) {
  if (family != NULL) {
    batch_delete_cf(batch, family, key, strlen(key));
  } else {
    batch_delete(batch, key, strlen(key));
  }
}

/* Creates a family before batch i, or drops the one that there is. */
static void create_or_drop(uint64_t i) {
  uint64_t number = counters[threads] / 2;
  char name[64];
  char* error = NULL;
  if (made == NULL) {
    __atomic_store_n(&counters[threads + 1], i, __ATOMIC_RELEASE);
    snprintf(name, sizeof name, "made%llu", (unsigned long long)++number);
    made = family_create(db, options, name, &error);
  } else {
    family_drop(db, made, &error);
    family_destroy(made);
    made = NULL;
  }
  stop_on(error);
  __atomic_store_n(&counters[threads], 2 * number + (made != NULL), __ATOMIC_RELEASE);
}

static void* write_forever(void* argument) {
  unsigned thread = (unsigned)(uintptr_t)argument;
  void* batch = batch_create();
  char key[64];
  char* value = malloc(LARGEST);
  for (uint64_t i = counters[thread] + 1;; i++) {
    if (has_families && thread == 0 && i % MADE_EVERY == 0) create_or_drop(i);
    batch_clear(batch);
    int head = snprintf(value, LARGEST, "%llu:", (unsigned long long)i);
    memset(value + head, 'a' + (int)(i % 26), padding(i));
    for (unsigned k = 0; k < KEYS; k++) {
      snprintf(key, sizeof key, "%u/slot%02u/%u", thread, (unsigned)(i % SLOTS), k);
      put(batch, families[k % FAMILIES], key, value, (size_t)head + padding(i));
    }
    snprintf(key, sizeof key, "%u/gone/%llu", thread, (unsigned long long)(i - 1));
    remove_key(batch, families[(i - 1) % FAMILIES], key);
    snprintf(key, sizeof key, "%u/gone/%llu", thread, (unsigned long long)i);
    put(batch, families[i % FAMILIES], key, "", 0);
    snprintf(key, sizeof key, "%u/last", thread);
    put(batch, NULL, key, value, (size_t)head);
    if (thread == 0 && made != NULL) put(batch, made, "0/made", value, (size_t)head);

    char* error = NULL;
    db_write(db, sync_every != 0 && i % sync_every == 0 ? synced : plain, batch, &error);
    stop_on(error);
    __atomic_store_n(&counters[thread], i, __ATOMIC_RELEASE);
    if (has_families && i % FLUSHED_EVERY == 0) {
      db_flush(db, &error);
      stop_on(error);
    }
  }
  return NULL;
}

/* Opens the database with the three families, and with that of thread 0 if it is there. */
static void open_with_families(const char* path) {
  void* (*open_families)(void*, const char*, int, const char* const*, void* const*, void**, char**);
  char** (*list_families)(void*, const char*, size_t*, char**);
  void (*set_create_missing)(void*, uint8_t);
  *(void**)&batch_put_cf = function("terrace_writebatch_put_cf");
  *(void**)&batch_delete_cf = function("terrace_writebatch_delete_cf");
  *(void**)&family_create = function("terrace_create_column_family");
  *(void**)&family_drop = function("terrace_drop_column_family");
  *(void**)&family_destroy = function("terrace_column_family_handle_destroy");
  *(void**)&db_flush = function("terrace_flush");
  *(void**)&open_families = function("terrace_open_column_families");
  *(void**)&list_families = function("terrace_list_column_families");
  *(void**)&set_create_missing = function("terrace_options_set_create_missing_column_families");
  set_create_missing(options, 1);
  const char* names[] = {"one", "two", NULL};
  void* of_families[] = {options, options, options};
  void* handles[] = {NULL, NULL, NULL};
  size_t length = 0;
  char* error = NULL;
  char** list = list_families(options, path, &length, &error); /* fails if there is no database yet */
  int count = 2;
  for (size_t n = 0; list != NULL && n < length; n++) {
    if (strncmp(list[n], "made", 4) == 0) names[count++] = list[n];
  }
  error = NULL;
  db = open_families(options, path, count, names, of_families, handles, &error);
  stop_on(error);
  families[1] = handles[0];
  families[2] = handles[1];
  made = handles[2];
}

int main(int argc, char** argv) {
  if (argc != 8) return 1;
  library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    fprintf(stderr, "writer: %s\n", dlerror());
    return 2;
  }
  threads = (unsigned)atoi(argv[4]);
  sync_every = (unsigned)atoi(argv[5]);
  has_families = atoi(argv[7]);

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
  counters = mmap(NULL, (threads + 2) * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (file < 0 || counters == MAP_FAILED) {
    perror("writer: counters");
    return 2;
  }

  plain = write_options_create();
  synced = write_options_create();
  set_sync(synced, 1);
  options = options_create();
  set_create(options, 1);
  set_buffer(options, (size_t)atol(argv[6]));
  if (has_families) {
    open_with_families(argv[2]);
  } else {
    char* error = NULL;
    db = db_open(options, argv[2], &error);
    stop_on(error);
  }
  for (unsigned t = 1; t < threads; t++) {
    pthread_t handle;
    if (pthread_create(&handle, NULL, write_forever, (void*)(uintptr_t)t) != 0) return 2;
  }
  write_forever(NULL);
}
