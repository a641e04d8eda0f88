/* fileindex: an index of a directory tree in a key-value store, with LevelDB's C API.
 *
 *   fileindex index DATABASE DIRECTORY           creates or updates the index
 *   fileindex list [-r] DATABASE PREFIX [COUNT]  lists files under a prefix, in path order or in reverse
 *   fileindex biggest DATABASE PREFIX [COUNT]    lists the biggest files under a prefix
 *   fileindex stats DATABASE                     prints statistics of the levels
 *
 * A key is the path of a regular file; its value is a `record`: size, time of modification, and a CRC-32 of
 * the first 4 KiB. The program relies on the byte order of the keys: a prefix is a range, and an update is a
 * merge of two sorted sequences, the tree on disk and the index, which visits each file once and keeps no
 * list of files.
 *
 * If you are new to the API, start with `open_database` (options are copied: destroy them at once), `failed`
 * (errors are strings that you free), `update_index` (a snapshot, an iterator over it, and batches of writes)
 * and `list_reversed` (iterating backward over a prefix).
 */
#define _XOPEN_SOURCE 700
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <leveldb/c.h>
#ifdef __has_include
#if __has_include(<terrace.h>)
#include <terrace.h>
#define HAVE_TERRACE 1
#endif
#endif

enum {
  CHECKED_BYTES = 4096, /* of each file's beginning */
  BATCH_SIZE = 1000,    /* writes that go to the store together */
  RECORD_SIZE = 20
};

/* ---- Records: the value of a key, 20 bytes, little-endian ---- */

typedef struct {
  uint64_t size;           /* bytes */
  uint64_t modified_nanos; /* since 1970 */
  uint32_t checksum;       /* of the first CHECKED_BYTES */
} record;

static void store_le(unsigned char* to, uint64_t number, int bytes) {
  for (int i = 0; i < bytes; i++) to[i] = (unsigned char)(number >> (8 * i));
}

static uint64_t load_le(const unsigned char* from, int bytes) {
  uint64_t number = 0;
  for (int i = 0; i < bytes; i++) number |= (uint64_t)from[i] << (8 * i);
  return number;
}

static void encode_record(const record* r, char to[RECORD_SIZE]) {
  unsigned char* bytes = (unsigned char*)to;
  store_le(bytes, r->size, 8);
  store_le(bytes + 8, r->modified_nanos, 8);
  store_le(bytes + 16, r->checksum, 4);
}

/* Another program may have written the value: check it before use. */
static int decode_record(const char* from, size_t length, record* r) {
  const unsigned char* bytes = (const unsigned char*)from;
  if (length != RECORD_SIZE) return 0;
  r->size = load_le(bytes, 8);
  r->modified_nanos = load_le(bytes + 8, 8);
  r->checksum = (uint32_t)load_le(bytes + 16, 4);
  return 1;
}

static uint32_t crc32_of(const unsigned char* bytes, size_t length) {
  static uint32_t table[256];
  if (table[1] == 0) {
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t crc = i;
      for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0);
      table[i] = crc;
    }
  }
  uint32_t crc = 0xffffffffu;
  for (size_t i = 0; i < length; i++) crc = (crc >> 8) ^ table[(crc ^ bytes[i]) & 0xff];
  return ~crc;
}

/* The checksum of the first 4 KiB of a file; 0 for a file that cannot be read. */
static uint32_t checksum_of_file(const char* path) {
  unsigned char bytes[CHECKED_BYTES];
  size_t length = 0;
  int file = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) return 0;
  while (length < sizeof bytes) {
    ssize_t got = read(file, bytes + length, sizeof bytes - length);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    length += (size_t)got;
  }
  close(file);
  return crc32_of(bytes, length);
}

/* ---- The store ---- */

/* Every function of the API that can fail has `char** errptr` as its last parameter. It must point to NULL
 * (or to a malloc()ed string). After a failure it points to a message, which the caller frees. Returns 1
 * after a failure. */
static int failed(const char* what, char* error) {
  if (error == NULL) return 0;
  fprintf(stderr, "fileindex: %s: %s\n", what, error);
  leveldb_free(error);
  return 1;
}

static void* must(void* memory) {
  if (memory == NULL) {
    fputs("fileindex: out of memory\n", stderr);
    exit(1);
  }
  return memory;
}

static leveldb_t* open_database(const char* path, int create) {
  char* error = NULL;
  leveldb_options_t* options = leveldb_options_create();
  leveldb_options_set_create_if_missing(options, create != 0);
  leveldb_t* db = leveldb_open(options, path, &error);
  leveldb_options_destroy(options); /* the database has its own copy */
  if (failed("open", error)) return NULL;
  return db;
}

static int has_prefix(const char* key, size_t length, const char* prefix) {
  size_t prefix_length = strlen(prefix);
  return length >= prefix_length && memcmp(key, prefix, prefix_length) == 0;
}

/* An iterator is invalid after an error as well as at its end: always check which of the two happened. */
static int iterator_failed(const leveldb_iterator_t* iterator) {
  char* error = NULL;
  leveldb_iter_get_error(iterator, &error);
  return failed("iterate", error);
}

/* ---- Making and updating the index ---- */

typedef struct {
  leveldb_t* db;
  leveldb_writeoptions_t* write_options;
  leveldb_writebatch_t* batch; /* changes not yet in the store */
  int batched;
  leveldb_iterator_t* indexed; /* over the index as it was when we began; always at a key >= the next file's */
  const char* root;            /* what is indexed, without a slash at its end */
  dev_t db_device;             /* the directory of the store itself, which is left out */
  ino_t db_inode;
  uint64_t added, updated, deleted, unchanged, skipped;
  struct timespec started, reported;
} update;

static double seconds_since(const struct timespec* then) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) / 1e9;
}

static void report(update* u, const char* end) {
  uint64_t files = u->added + u->updated + u->unchanged;
  double seconds = seconds_since(&u->started);
  fprintf(stderr, "\r%" PRIu64 " files, %.0f files/s%s", files, (double)files / (seconds > 0 ? seconds : 1e-9), end);
  clock_gettime(CLOCK_MONOTONIC, &u->reported);
}

/* Writes the batch atomically. Only the last batch is synced: a synced write makes every write before it
 * durable too. */
static int write_batch(update* u, int last) {
  char* error = NULL;
  leveldb_writeoptions_set_sync(u->write_options, last != 0);
  leveldb_write(u->db, u->write_options, u->batch, &error);
  leveldb_writebatch_clear(u->batch);
  u->batched = 0;
  if (seconds_since(&u->reported) > 0.5) report(u, "");
  return !failed("write", error);
}

static int batched_one(update* u) { return ++u->batched < BATCH_SIZE || write_batch(u, 0); }

/* The key of the current entry, if it belongs to this tree; else NULL. */
static const char* indexed_key(const update* u, size_t* length) {
  if (!leveldb_iter_valid(u->indexed)) return NULL;
  const char* key = leveldb_iter_key(u->indexed, length);
  size_t root = strlen(u->root);
  return has_prefix(key, *length, u->root) && *length > root && key[root] == '/' ? key : NULL;
}

static int compare_bytes(const char* a, size_t a_length, const char* b, size_t b_length) {
  int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
  return order != 0 ? order : (a_length > b_length) - (a_length < b_length);
}

/* Deletes the keys of the index before `path` (for NULL: all keys): the walk has not found their files, so
 * these are gone. Returns 2 if the iterator then stands on `path` itself, 0 if a write failed, else 1. */
static int delete_before(update* u, const char* path) {
  size_t length;
  const char* key;
  while ((key = indexed_key(u, &length)) != NULL) {
    int order = path == NULL ? -1 : compare_bytes(key, length, path, strlen(path));
    if (order >= 0) return order == 0 ? 2 : 1;
    leveldb_writebatch_delete(u->batch, key, length);
    u->deleted++;
    leveldb_iter_next(u->indexed); /* from here on `key` is no longer ours to use */
    if (!batched_one(u)) return 0;
  }
  return 1;
}

/* Handles the next file of the walk, whose path is after all earlier ones in byte order. */
static int meet_file(update* u, const char* path, const struct stat* found) {
  int position = delete_before(u, path);
  if (position == 0) return 0;

  record now = {(uint64_t)found->st_size,
                (uint64_t)found->st_mtim.tv_sec * 1000000000u + (uint64_t)found->st_mtim.tv_nsec, 0};
  if (position == 2) {
    record then;
    size_t length;
    const char* value = leveldb_iter_value(u->indexed, &length);
    int same = decode_record(value, length, &then) && then.size == now.size &&
               then.modified_nanos == now.modified_nanos;
    leveldb_iter_next(u->indexed);
    if (same) {
      u->unchanged++;
      return 1;
    }
    u->updated++;
  } else {
    u->added++;
  }
  now.checksum = checksum_of_file(path);
  char value[RECORD_SIZE];
  encode_record(&now, value);
  leveldb_writebatch_put(u->batch, path, strlen(path), value, RECORD_SIZE);
  return batched_one(u);
}

/* Compares two entries of a directory. The name of a directory ends with a slash, as in the paths under it.
 * So sorting the entries sorts whole paths ("a-b" < "a/c" < "a0"). */
static int compare_names(const void* a, const void* b) { return strcmp(*(char* const*)a, *(char* const*)b); }

/* The sorted names in a directory, or NULL if it cannot be read. `path` ends with a slash; `*count` is their
 * number. */
static char** read_names(const char* path, size_t* count) {
  DIR* directory = opendir(path);
  if (directory == NULL) return NULL;
  char** names = NULL;
  size_t used = 0, room = 0;
  struct dirent* entry;
  while ((entry = readdir(directory)) != NULL) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    struct stat found;
    if (fstatat(dirfd(directory), entry->d_name, &found, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (!S_ISDIR(found.st_mode) && !S_ISREG(found.st_mode)) continue;
    if (used == room) {
      room = room == 0 ? 16 : room * 2;
      names = must(realloc(names, room * sizeof *names));
    }
    size_t length = strlen(entry->d_name);
    char* name = must(malloc(length + 2));
    memcpy(name, entry->d_name, length);
    strcpy(name + length, S_ISDIR(found.st_mode) ? "/" : "");
    names[used++] = name;
  }
  closedir(directory);
  if (used > 0) qsort(names, used, sizeof *names, compare_names);
  *count = used;
  return names != NULL ? names : must(malloc(sizeof *names));
}

/* Handles every file under the directory whose path, with a slash at its end, is in path[0..length). */
static int walk(update* u, char path[PATH_MAX], size_t length) {
  struct stat found;
  if (lstat(path, &found) == 0 && found.st_dev == u->db_device && found.st_ino == u->db_inode) return 1;
  size_t count = 0;
  char** names = read_names(path, &count);
  if (names == NULL) {
    u->skipped++;
    return 1;
  }
  int going = 1;
  for (size_t i = 0; i < count; i++) {
    size_t name_length = strlen(names[i]);
    if (going && length + name_length >= PATH_MAX) {
      u->skipped++;
    } else if (going) {
      memcpy(path + length, names[i], name_length + 1);
      if (names[i][name_length - 1] == '/') {
        going = walk(u, path, length + name_length);
      } else if (lstat(path, &found) == 0 && S_ISREG(found.st_mode)) {
        going = meet_file(u, path, &found);
      }
    }
    free(names[i]);
  }
  free(names);
  path[length] = '\0';
  return going;
}

static int update_index(leveldb_t* db, const char* db_path, const char* directory) {
  char root[PATH_MAX], path[PATH_MAX];
  if (realpath(directory, root) == NULL || strlen(root) + 2 > sizeof path) {
    fprintf(stderr, "fileindex: %s: %s\n", directory, strerror(errno));
    return 1;
  }
  if (strcmp(root, "/") == 0) root[0] = '\0'; /* so that every path is the root, a slash, and a rest */
  size_t length = strlen(root);
  memcpy(path, root, length);
  strcpy(path + length, "/");
  length++;

  update u = {.db = db, .root = root};
  struct stat own;
  if (stat(db_path, &own) == 0) {
    u.db_device = own.st_dev;
    u.db_inode = own.st_ino;
  }
  clock_gettime(CLOCK_MONOTONIC, &u.started);
  u.reported = u.started;

  /* The snapshot is the index before this run: an iterator over it does not see the writes of this run. */
  const leveldb_snapshot_t* snapshot = leveldb_create_snapshot(db);
  leveldb_readoptions_t* read_options = leveldb_readoptions_create();
  leveldb_readoptions_set_snapshot(read_options, snapshot);
  leveldb_readoptions_set_fill_cache(read_options, 0); /* a scan of everything would only flush the cache */
  u.indexed = leveldb_create_iterator(db, read_options);
  leveldb_readoptions_destroy(read_options);
  u.write_options = leveldb_writeoptions_create();
  u.batch = leveldb_writebatch_create();

  leveldb_iter_seek(u.indexed, path, length);
  int done = walk(&u, path, length) && delete_before(&u, NULL) && !iterator_failed(u.indexed) &&
             write_batch(&u, 1);

  leveldb_writebatch_destroy(u.batch);
  leveldb_writeoptions_destroy(u.write_options);
  leveldb_iter_destroy(u.indexed);
  leveldb_release_snapshot(db, snapshot);
  report(&u, "\n");
  if (!done) return 1;
  printf("%" PRIu64 " added, %" PRIu64 " updated, %" PRIu64 " deleted, %" PRIu64 " unchanged", u.added, u.updated,
         u.deleted, u.unchanged);
  if (u.skipped > 0) printf(" (%" PRIu64 " directories could not be read)", u.skipped);
  printf(" in %.2f s\n", seconds_since(&u.started));
  return 0;
}

/* ---- Queries ---- */

static void print_file(const char* key, size_t length, const record* r) {
  char when[32] = "?";
  time_t seconds = (time_t)(r->modified_nanos / 1000000000u);
  struct tm parts;
  if (gmtime_r(&seconds, &parts) != NULL) strftime(when, sizeof when, "%Y-%m-%d %H:%M", &parts);
  printf("%12" PRIu64 "  %s  %08" PRIx32 "  %.*s\n", r->size, when, r->checksum, (int)length, key);
}

static leveldb_iterator_t* new_iterator(leveldb_t* db) {
  leveldb_readoptions_t* options = leveldb_readoptions_create();
  leveldb_iterator_t* iterator = leveldb_create_iterator(db, options);
  leveldb_readoptions_destroy(options);
  return iterator;
}

/* Moves the iterator to the last key that begins with `prefix`: the one before the first key after all of
 * them. */
static void seek_to_last_of_prefix(leveldb_iterator_t* iterator, const char* prefix) {
  size_t length = strlen(prefix);
  char* after = must(malloc(length + 1));
  memcpy(after, prefix, length + 1);
  while (length > 0 && (unsigned char)after[length - 1] == 0xff) length--;
  if (length == 0) {
    leveldb_iter_seek_to_last(iterator);
  } else {
    after[length - 1]++;
    leveldb_iter_seek(iterator, after, length);
    if (leveldb_iter_valid(iterator)) {
      leveldb_iter_prev(iterator);
    } else {
      leveldb_iter_seek_to_last(iterator);
    }
  }
  free(after);
}

static int list(leveldb_t* db, const char* prefix, uint64_t count, int reversed) {
  leveldb_iterator_t* iterator = new_iterator(db);
  if (reversed) {
    seek_to_last_of_prefix(iterator, prefix);
  } else {
    leveldb_iter_seek(iterator, prefix, strlen(prefix));
  }
  for (; count > 0 && leveldb_iter_valid(iterator); count--) {
    size_t key_length, value_length;
    const char* key = leveldb_iter_key(iterator, &key_length);
    if (!has_prefix(key, key_length, prefix)) break;
    record r;
    const char* value = leveldb_iter_value(iterator, &value_length);
    if (decode_record(value, value_length, &r)) print_file(key, key_length, &r);
    if (reversed) {
      leveldb_iter_prev(iterator);
    } else {
      leveldb_iter_next(iterator);
    }
  }
  int status = iterator_failed(iterator);
  leveldb_iter_destroy(iterator);
  return status;
}

typedef struct {
  char* key; /* a copy: an iterator's key lives only until its next move */
  size_t length;
  record r;
} file;

/* Prints the `count` biggest files. An array keeps them in order of size during a scan of the prefix. */
static int biggest(leveldb_t* db, const char* prefix, uint64_t count) {
  if (count > 10000) count = 10000;
  file* top = must(calloc((size_t)count + 1, sizeof *top));
  size_t used = 0;
  uint64_t files = 0, bytes = 0;
  leveldb_iterator_t* iterator = new_iterator(db);
  leveldb_iter_seek(iterator, prefix, strlen(prefix));
  for (; leveldb_iter_valid(iterator); leveldb_iter_next(iterator)) {
    size_t key_length, value_length;
    const char* key = leveldb_iter_key(iterator, &key_length);
    if (!has_prefix(key, key_length, prefix)) break;
    file next = {NULL, key_length, {0, 0, 0}};
    const char* value = leveldb_iter_value(iterator, &value_length);
    if (!decode_record(value, value_length, &next.r)) continue;
    files++;
    bytes += next.r.size;
    if (count == 0 || (used == count && next.r.size <= top[used - 1].r.size)) continue;
    next.key = must(malloc(key_length + 1));
    memcpy(next.key, key, key_length);
    size_t at = used;
    for (; at > 0 && top[at - 1].r.size < next.r.size; at--) top[at] = top[at - 1];
    top[at] = next;
    if (used < count) {
      used++;
    } else {
      free(top[used].key);
    }
  }
  int status = iterator_failed(iterator);
  leveldb_iter_destroy(iterator);
  for (size_t i = 0; i < used; i++) {
    print_file(top[i].key, top[i].length, &top[i].r);
    free(top[i].key);
  }
  free(top);
  printf("%" PRIu64 " files, %" PRIu64 " bytes\n", files, bytes);
  return status;
}

static void print_property(leveldb_t* db, const char* name) {
  char* value = leveldb_property_value(db, name);
  if (value != NULL) printf("%s\n", value);
  leveldb_free(value);
}

static int stats(leveldb_t* db) {
  printf("LevelDB's API %d.%d", leveldb_major_version(), leveldb_minor_version());
#ifdef HAVE_TERRACE
  printf(", by Terrace %s", terrace_version());
#endif
  printf("\n\n");
  print_property(db, "leveldb.stats");
  for (int level = 0; level < 7; level++) {
    char name[40];
    snprintf(name, sizeof name, "leveldb.num-files-at-level%d", level);
    char* tables = leveldb_property_value(db, name);
    if (tables != NULL && strcmp(tables, "0") != 0) printf("level %d: %s tables\n", level, tables);
    leveldb_free(tables);
  }
  /* The size counts tables; the last writes may still be in the memtable and the WAL. */
  const char *start = "", *limit = "\xff";
  size_t start_length = 0, limit_length = 1;
  uint64_t size = 0;
  leveldb_approximate_sizes(db, 1, &start, &start_length, &limit, &limit_length, &size);
  printf("about %" PRIu64 " bytes in tables\n", size);
  return 0;
}

/* ---- The command line ---- */

static int usage(void) {
  fputs("usage: fileindex index DATABASE DIRECTORY\n"
        "       fileindex list [-r] DATABASE PREFIX [COUNT]\n"
        "       fileindex biggest DATABASE PREFIX [COUNT]\n"
        "       fileindex stats DATABASE\n",
        stderr);
  return 2;
}

int main(int argc, char** argv) {
  if (argc < 3) return usage();
  const char* command = argv[1];
  int reversed = strcmp(command, "list") == 0 && strcmp(argv[2], "-r") == 0;
  char** rest = argv + 2 + reversed;
  int given = argc - 2 - reversed;

  int making = strcmp(command, "index") == 0;
  int listing = strcmp(command, "list") == 0;
  int asking_biggest = strcmp(command, "biggest") == 0;
  int asking_stats = strcmp(command, "stats") == 0;
  int fits = (making && given == 2) || (asking_stats && given == 1) ||
             ((listing || asking_biggest) && (given == 2 || given == 3));
  if (!fits) return usage();
  uint64_t count = asking_biggest ? 10 : UINT64_MAX;
  if (given == 3) {
    char* end;
    count = strtoull(rest[2], &end, 10);
    if (*rest[2] == '\0' || *end != '\0') return usage();
  }

  leveldb_t* db = open_database(rest[0], making);
  if (db == NULL) return 1;
  int status;
  if (making) {
    status = update_index(db, rest[0], rest[1]);
  } else if (listing) {
    status = list(db, rest[1], count, reversed);
  } else if (asking_biggest) {
    status = biggest(db, rest[1], count);
  } else {
    status = stats(db);
  }
  leveldb_close(db);
  return status;
}
