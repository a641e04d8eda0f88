/*
 * A program that has temporarily used up a resource: its mappings (vm.max_map_count), its address space
 * (RLIMIT_AS) or the memory that it may lock (RLIMIT_MEMLOCK with mlockall). Calls may fail then, with an
 * error that says so; no process ends, nothing acknowledged is lost, and writes succeed again afterwards.
 */
#define _GNU_SOURCE
#include "terrace.h"

#include <linux/capability.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "check.h"

enum { VALUE = 1000, BEFORE = 100, MEANWHILE = 1400, PAGE = 4096, PATIENCE_SECONDS = 60, HOLES = 1000, HOLE = 900 };

static unsigned char acknowledged[10000];

static void key_of(char *key, int number) { snprintf(key, 16, "key%06d", number); }

/* Bytes that do not compress, different for each key. */
static void fill(char *value, int number) {
    unsigned seed = 12345u + (unsigned)number;
    for (int i = 0; i < VALUE; i++) {
        seed = seed * 1103515245u + 12345u;
        value[i] = (char)(seed >> 16);
    }
}

static leveldb_t *open_at(const char *path, size_t write_buffer) {
    leveldb_options_t *options = create_options();
    leveldb_t *db;
    leveldb_options_set_write_buffer_size(options, write_buffer);
    db = leveldb_open(options, path, &err);
    CHECK_NO_ERROR();
    leveldb_options_destroy(options);
    return db;
}

/* Writes an entry. A refused write has an error, and its entry is not expected later. */
static int write_one(leveldb_t *db, const leveldb_writeoptions_t *options, int number) {
    char key[16], value[VALUE];
    key_of(key, number);
    fill(value, number);
    leveldb_put(db, options, key, strlen(key), value, VALUE, &err);
    acknowledged[number] = err == NULL;
    if (err != NULL) {
        CHECK_ERROR("IO error: ");
    }
    return acknowledged[number];
}

/* Reads an entry, or checks the error. */
static int read_one(leveldb_t *db, const leveldb_readoptions_t *options, int number) {
    char key[16], value[VALUE], *found;
    size_t length;
    key_of(key, number);
    fill(value, number);
    found = leveldb_get(db, options, key, strlen(key), &length, &err);
    if (err != NULL) {
        CHECK(found == NULL);
        CHECK_ERROR("IO error: ");
        return 0;
    }
    CHECK(found != NULL && length == VALUE && memcmp(found, value, VALUE) == 0);
    leveldb_free(found);
    return 1;
}

static void check_all(leveldb_t *db, int end) {
    leveldb_readoptions_t *options = leveldb_readoptions_create();
    for (int i = 0; i < end; i++) {
        if (acknowledged[i]) {
            CHECK(read_one(db, options, i));
        }
    }
    leveldb_readoptions_destroy(options);
}

/* A temporary limit. */
struct limit {
    const char *name;
    void (*begin)(void);
    void (*end)(void);
    size_t write_buffer;
};

/* A heap that has been in use for some time has free memory for small blocks; larger blocks cannot be
 * allocated. */
static void *holes[HOLES], *between[HOLES];

static void make_holes(void) {
    for (int i = 0; i < HOLES; i++) {
        holes[i] = malloc(HOLE);
        between[i] = malloc(16);
        CHECK(holes[i] != NULL && between[i] != NULL);
    }
}

static void free_all(void **blocks) {
    for (int i = 0; i < HOLES; i++) {
        free(blocks[i]);
    }
}

enum { MOST_MAPPINGS = 80000 };
static char *mappings;

/* Every second page of a large mapping gets another protection, until the system refuses. */
static void use_up_mappings(void) {
    size_t length = (size_t)MOST_MAPPINGS * 2 * PAGE;
    int made = 0;
    mappings = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(mappings != MAP_FAILED);
    while (made < MOST_MAPPINGS && mprotect(mappings + (size_t)made * 2 * PAGE, PAGE, PROT_READ) == 0) {
        made++;
    }
    /* If this fails, vm.max_map_count is above 160000, and this machine cannot run the test. */
    CHECK(made < MOST_MAPPINGS);
}

static void give_mappings_back(void) { CHECK(munmap(mappings, (size_t)MOST_MAPPINGS * 2 * PAGE) == 0); }

static struct rlimit before;

static void use_up_addresses(void) {
    struct rlimit limit;
    unsigned long pages;
    FILE *statm = fopen("/proc/self/statm", "r");
    CHECK(statm != NULL && fscanf(statm, "%lu", &pages) == 1);
    fclose(statm);
    CHECK(getrlimit(RLIMIT_AS, &before) == 0);
    limit = before;
    limit.rlim_cur = (rlim_t)pages * PAGE + (64 << 10);
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

static void give_addresses_back(void) { CHECK(setrlimit(RLIMIT_AS, &before) == 0); }

/* All new mappings are locked in memory from now on, and the process may lock very little. */
static void use_up_locked_memory(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    struct rlimit limit;
    /* A process with this capability has no limit. (It belongs to a thread; all threads map memory, so main()
     * drops it early.) */
    CHECK(syscall(SYS_capget, &header, data) == 0);
    CHECK((data[0].effective & 1u << CAP_IPC_LOCK) == 0);
    CHECK(getrlimit(RLIMIT_MEMLOCK, &before) == 0);
    limit = before;
    limit.rlim_cur = 64 << 10;
    CHECK(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    CHECK(mlockall(MCL_FUTURE) == 0);
}

static void give_locked_memory_back(void) {
    CHECK(munlockall() == 0);
    CHECK(setrlimit(RLIMIT_MEMLOCK, &before) == 0);
}

static void may_not_lock_memory_at_will(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    CHECK(syscall(SYS_capget, &header, data) == 0);
    data[0].effective &= ~(1u << CAP_IPC_LOCK);
    CHECK(syscall(SYS_capset, &header, data) == 0);
}

static double now(void) {
    struct timespec time;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &time) == 0);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Waits until all other threads wait: a thread that has just been started allocates memory in the C library,
 * which aborts the process if there is none. */
static void await_quiet(void) {
    int busy = 1;
    double deadline = now() + PATIENCE_SECONDS;
    while (busy) {
        DIR *tasks = opendir("/proc/self/task");
        struct dirent *entry;
        busy = 0;
        CHECK(tasks != NULL && now() < deadline);
        while ((entry = readdir(tasks)) != NULL) {
            char name[300], state = 'R';
            FILE *stat;
            snprintf(name, sizeof name, "/proc/self/task/%s/stat", entry->d_name);
            stat = entry->d_name[0] == '.' || atoi(entry->d_name) == getpid() ? NULL : fopen(name, "r");
            if (stat != NULL) {
                busy |= fscanf(stat, "%*d (%*[^)]) %c", &state) != 1 || state != 'S';
                fclose(stat);
            }
        }
        closedir(tasks);
    }
}

/* Runs in a process of its own. */
static void check_under(const struct limit *limit, const char *path) {
    leveldb_writeoptions_t *write_options = leveldb_writeoptions_create();
    leveldb_readoptions_t *read_options = leveldb_readoptions_create();
    leveldb_t *db = open_at(path, limit->write_buffer);
    int number, taken = 0, read = 0;
    double deadline;
    for (number = 0; number < BEFORE; number++) {
        CHECK(write_one(db, write_options, number));
    }
    /* There is a table, and there are entries above it. */
    terrace_flush(db, &err);
    CHECK_NO_ERROR();
    leveldb_compact_range(db, NULL, 0, NULL, 0);
    for (; number < 2 * BEFORE; number++) {
        CHECK(write_one(db, write_options, number));
    }
    make_holes();
    await_quiet();
    /* Valgrind itself would need more. */
    if (!under_valgrind()) {
        limit->begin();
    }
    free_all(holes);
    for (; number < 2 * BEFORE + MEANWHILE; number++) {
        taken += write_one(db, write_options, number);
        if (number % 10 == 0) {
            read += read_one(db, read_options, number % BEFORE);
        }
    }
    if (!under_valgrind()) {
        limit->end();
    }
    free_all(between);
    printf("%s: %d of %d writes, %d reads\n", limit->name, taken, MEANWHILE, read);
    fflush(stdout);
    CHECK(taken > 0 && (taken == MEANWHILE || !under_valgrind()));
    /* The database need not be reopened. */
    deadline = now() + PATIENCE_SECONDS;
    while (!write_one(db, write_options, number)) {
        CHECK(now() < deadline);
        sched_yield();
    }
    number++;
    check_all(db, number);
    leveldb_close(db);
    db = open_at(path, 4 << 20);
    check_all(db, number);
    leveldb_writeoptions_destroy(write_options);
    leveldb_readoptions_destroy(read_options);
    close_and_destroy(db, path);
}

int main(void) {
    static const struct limit limits[] = {
        {"mappings", use_up_mappings, give_mappings_back, 4 << 20},
        {"mappings, small memtables", use_up_mappings, give_mappings_back, 64 << 10},
        {"addresses", use_up_addresses, give_addresses_back, 4 << 20},
        {"locked memory", use_up_locked_memory, give_locked_memory_back, 4 << 20},
    };
    char on_memory_disk[64];
    may_not_lock_memory_at_will();
    /* On tmpfs, WALs are mapped; on the file system of the scratch directory they may not be. */
    snprintf(on_memory_disk, sizeof on_memory_disk, "/dev/shm/terrace-memory-%d", (int)getpid());
    /* Under valgrind there are no limits, and two memtables are enough. */
    for (size_t i = 0; i < sizeof limits / sizeof limits[0] * 2; i += under_valgrind() ? 3 : 1) {
        int status = 0;
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            check_under(&limits[i / 2], i % 2 == 0 ? on_memory_disk : scratch("memory"));
            end_child();
        }
        CHECK(waitpid(child, &status, 0) == child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            fprintf(stderr, "with little of: %s\n", limits[i / 2].name);
        }
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    return passed();
}
