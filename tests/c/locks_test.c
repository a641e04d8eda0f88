/*
 * Systems without one of the kinds of locks on LOCK: the other kinds exclude other opens as before. Without
 * record locks no database can be opened.
 */
#define _GNU_SOURCE
#include "terrace.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "check.h"
#include "system_filter.h"

static leveldb_options_t *options;

static leveldb_t *try_open(const char *path) { return leveldb_open(options, path, &err); }

static void check_end(pid_t child) {
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void check_refused(const char *path, const char *why) {
    CHECK(try_open(path) == NULL);
    CHECK(strstr(err, why) != NULL);
    CHECK_ERROR("IO error: lock ");
    leveldb_destroy_db(options, path, &err);
    CHECK(strstr(err, why) != NULL);
    CHECK_ERROR("IO error: lock ");
    leveldb_repair_db(options, path, &err);
    CHECK(strstr(err, why) != NULL);
    CHECK_ERROR("IO error: lock ");
}

/* A child of fork is another process: its open is refused, and closing does not release its parent's lock. */
static void check_refused_to_a_child(const char *path) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        check_refused(path, "Resource temporarily unavailable");
        end_child();
    }
    check_end(child);
}

/* The number of descriptors of the LOCK file in this process. */
static int lock_descriptors(const char *path) {
    char name[1000], target[1000];
    DIR *directory = opendir("/proc/self/fd");
    struct dirent *entry;
    int count = 0;
    CHECK(directory != NULL);
    while ((entry = readdir(directory)) != NULL) {
        ssize_t length;
        snprintf(name, sizeof name, "/proc/self/fd/%.200s", entry->d_name);
        length = readlink(name, target, sizeof target - 1);
        if (length > 0) {
            target[length] = 0;
            count += strncmp(target, path, strlen(path)) == 0 && strstr(target, "/LOCK") != NULL;
        }
    }
    closedir(directory);
    return count;
}

static void check_one_opener_at_a_time(void) {
    const char *path = scratch("one"), *link = scratch("link"), *other = scratch("other");
    leveldb_t *db, *another;
    int round;
    symlink(path, link);
    for (round = 0; round < (under_valgrind() ? 1 : 3); round++) {
        db = try_open(path);
        CHECK_NO_ERROR();
        put(db, "k", "v");
        check_refused_to_a_child(path);
        /* An open in this process is refused, under two names, and the lock stays. */
        check_refused(path, "already held by process");
        check_refused(link, "already held by process");
        check_refused_to_a_child(path);
        /* Opening and closing another database does not release it either. */
        another = try_open(other);
        CHECK_NO_ERROR();
        check_refused_to_a_child(other);
        leveldb_close(another);
        check_refused_to_a_child(path);
        check_get(db, NULL, "k", "v");
        CHECK(lock_descriptors(path) == 1);
        leveldb_close(db);
        CHECK(lock_descriptors(path) == 0);
    }
    leveldb_repair_db(options, path, &err);
    CHECK_NO_ERROR();
    db = try_open(path);
    CHECK_NO_ERROR();
    check_get(db, NULL, "k", "v");
    check_refused_to_a_child(path);
    leveldb_close(db);
    leveldb_destroy_db(options, path, &err); /* but for what the repair has set aside */
    CHECK_NO_ERROR();
    unlink(link);
    leveldb_destroy_db(options, other, &err);
    CHECK_NO_ERROR();
}

/* A child's copy of the database, closed or not, does not release its parent's lock. */
static void check_children_own_nothing(void) {
    const char *path = scratch("parent");
    leveldb_t *db = try_open(path);
    pid_t child;
    int closes;
    CHECK_NO_ERROR();
    for (closes = 0; closes < 2; closes++) {
        child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            if (closes) {
                leveldb_close(db);
            }
            end_child();
        }
        check_end(child);
        check_refused_to_a_child(path);
    }
    close_and_destroy(db, path);
}

static void check_nothing_opens(const char *why) {
    const char *path = scratch("without");
    char expected[1000];
    snprintf(expected, sizeof expected, "IO error: lock %s/LOCK: %s", path, why);
    check_open_fails(options, path, expected);
    CHECK(access(path, F_OK) == 0 && lock_descriptors(path) == 0);
}

/* A simulated system; each runs in a process of its own. */
struct system {
    unsigned ofd_error, process_error, flock_error;
    const char *nothing_opens;
};

static void check_system(const struct system *system) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (system->ofd_error) {
            let_fail(SYS_fcntl, 1, F_OFD_SETLK, system->ofd_error);
            let_fail(SYS_fcntl, 1, F_OFD_GETLK, system->ofd_error);
        }
        if (system->process_error) {
            let_fail(SYS_fcntl, 1, F_SETLK, system->process_error);
        }
        if (system->flock_error) {
            let_fail(SYS_flock, ANY_ARGUMENT, 0, system->flock_error);
        }
        if (system->nothing_opens) {
            check_nothing_opens(system->nothing_opens);
        } else {
            check_one_opener_at_a_time();
            check_children_own_nothing();
        }
        leveldb_options_destroy(options);
        end_child();
    }
    check_end(child);
}

int main(void) {
    static const struct system systems[] = {
        {0, 0, 0, NULL},
        {EINVAL, 0, 0, NULL},
        {ENOSYS, 0, 0, NULL},
        {EOPNOTSUPP, 0, 0, NULL},
        {ENOLCK, 0, 0, NULL},
        {0, 0, ENOSYS, NULL},
        {0, 0, EOPNOTSUPP, NULL},
        {0, 0, EINVAL, NULL},
        {0, 0, ENOLCK, NULL},
        {0, ENOLCK, 0, NULL},
        {EINVAL, 0, ENOSYS, NULL},
        {ENOSYS, 0, ENOLCK, NULL},
        {EINVAL, ENOLCK, 0, "No locks available"},
        {ENOLCK, ENOLCK, 0, "No locks available"},
        {ENOSYS, ENOSYS, 0, "Function not implemented"},
        {ENOSYS, EINVAL, ENOSYS, "Invalid argument"},
        {0, 0, EIO, "Input/output error"},
        {EIO, 0, 0, "Input/output error"},
    };
    size_t i;
    options = create_options();
    for (i = 0; i < sizeof systems / sizeof systems[0]; i++) {
        check_system(&systems[i]);
    }
    leveldb_options_destroy(options);
    return passed();
}
