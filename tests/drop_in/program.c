/* A program written for LevelDB's C API, which does not use Terrace's functions. It uses a database, and then
 * prints which library served it: "terrace" if the process has a symbol of Terrace's own, else "leveldb". */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <leveldb/c.h>
#include <stdio.h>
#include <string.h>

static int failed(const char* what, const char* error) {
  fprintf(stderr, "%s: %s\n", what, error == NULL ? "wrong answer" : error);
  return 1;
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  if (leveldb_major_version() != 1 || leveldb_minor_version() != 23) return failed("version", NULL);

  leveldb_options_t* options = leveldb_options_create();
  leveldb_options_set_create_if_missing(options, 1);
  char* error = NULL;
  leveldb_t* db = leveldb_open(options, argv[1], &error);
  leveldb_options_destroy(options);
  if (error != NULL) return failed("open", error);

  leveldb_writeoptions_t* write = leveldb_writeoptions_create();
  leveldb_put(db, write, "key", 3, "value", 5, &error);
  leveldb_writeoptions_destroy(write);
  if (error != NULL) return failed("put", error);

  leveldb_readoptions_t* read = leveldb_readoptions_create();
  size_t length = 0;
  char* value = leveldb_get(db, read, "key", 3, &length, &error);
  leveldb_readoptions_destroy(read);
  if (error != NULL || value == NULL || length != 5 || memcmp(value, "value", 5) != 0) return failed("get", error);
  leveldb_free(value);
  leveldb_close(db);

  puts(dlsym(RTLD_DEFAULT, "terrace_version") != NULL ? "terrace" : "leveldb");
  return 0;
}
