/*
 * Preloaded into a process: an operating system that does as little as permitted with one directory's files.
 *
 *   SYSTEM_DIRECTORY  the directory, by the kernel's name
 *   SYSTEM_MODE       "interrupted": every second call on its files (open, read, write, sync, allocation)
 *                     fails with EINTR, and the others read or write one to seven bytes if the count is short
 *                     "nothing": a write to a table writes 0 bytes, which is no error
 *   SYSTEM_COUNT      a file that receives the number of changed calls at the end
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_uint calls, treated;

__attribute__((destructor)) static void tell(void) {
    const char *path = getenv("SYSTEM_COUNT");
    FILE *file = path != NULL ? fopen(path, "we") : NULL;
    if (file != NULL) {
        fprintf(file, "%u", atomic_load(&treated));
        fclose(file);
    }
}

static int is_ours(const char *path) {
    const char *directory = getenv("SYSTEM_DIRECTORY");
    size_t length = directory != NULL ? strlen(directory) : 0;
    return length > 0 && strncmp(path, directory, length) == 0 && path[length] == '/';
}

static int is_mode(const char *mode) {
    const char *now = getenv("SYSTEM_MODE");
    return now != NULL && strcmp(now, mode) == 0;
}

/* The name of the file, if it is in the directory; else NULL. */
static const char *name_of(int fd, char path[4096]) {
    char link[64];
    ssize_t count;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    count = readlink(link, path, 4095);
    if (count < 0) {
        return NULL;
    }
    path[count] = 0;
    return is_ours(path) ? path : NULL;
}

/* Is this call to be interrupted? */
static int interrupted(int fd) {
    char path[4096];
    if (!is_mode("interrupted") || name_of(fd, path) == NULL || atomic_fetch_add(&calls, 1) % 2 != 0) {
        return 0;
    }
    atomic_fetch_add(&treated, 1);
    errno = EINTR;
    return 1;
}

/* The number of bytes, of `count`, that this call reads or writes. */
static size_t shortened(int fd, size_t count) {
    char path[4096];
    size_t most;
    if (!is_mode("interrupted") || name_of(fd, path) == NULL) {
        return count;
    }
    most = count > 64 ? count / 2 : 1 + atomic_load(&calls) % 7;
    return count < most ? count : most;
}

static int writes_nothing(int fd) {
    char path[4096];
    const char *name = is_mode("nothing") ? name_of(fd, path) : NULL;
    if (name == NULL || strstr(name, ".ldb") == NULL) {
        return 0;
    }
    atomic_fetch_add(&treated, 1);
    return 1;
}

#define REAL(name) *(void **)&real = dlsym(RTLD_NEXT, name)

#define READ_OR_WRITE(result, name, buffer_type, count_type, parameters, arguments)                                                 \
    result name parameters {                                                                                                        \
        result(*real) parameters;                                                                                                   \
        REAL(#name);                                                                                                                \
        if (interrupted(fd)) {                                                                                                      \
            return -1;                                                                                                              \
        }                                                                                                                           \
        if (#name[0] != 'r' && strncmp(#name, "pread", 5) != 0 && writes_nothing(fd)) {                                             \
            return 0;                                                                                                               \
        }                                                                                                                           \
        count = shortened(fd, count);                                                                                               \
        return real arguments;                                                                                                      \
    }

READ_OR_WRITE(ssize_t, read, void *, size_t, (int fd, void *buffer, size_t count), (fd, buffer, count))
READ_OR_WRITE(ssize_t, write, const void *, size_t, (int fd, const void *buffer, size_t count), (fd, buffer, count))
READ_OR_WRITE(ssize_t, pread, void *, size_t, (int fd, void *buffer, size_t count, off_t at), (fd, buffer, count, at))
READ_OR_WRITE(ssize_t, pread64, void *, size_t, (int fd, void *buffer, size_t count, off_t at), (fd, buffer, count, at))
READ_OR_WRITE(ssize_t, pwrite, const void *, size_t, (int fd, const void *buffer, size_t count, off_t at), (fd, buffer, count, at))
READ_OR_WRITE(ssize_t, pwrite64, const void *, size_t, (int fd, const void *buffer, size_t count, off_t at), (fd, buffer, count, at))

#define VECTORED(name)                                                                                                              \
    ssize_t name(int fd, const struct iovec *pieces, int count, off_t at) {                                                         \
        ssize_t (*real)(int, const struct iovec *, int, off_t);                                                                     \
        struct iovec first = {NULL, 0};                                                                                             \
        int piece = 0;                                                                                                              \
        REAL(#name);                                                                                                                \
        if (interrupted(fd)) {                                                                                                      \
            return -1;                                                                                                              \
        }                                                                                                                           \
        if (writes_nothing(fd)) {                                                                                                   \
            return 0;                                                                                                               \
        }                                                                                                                           \
        if (!is_mode("interrupted")) {                                                                                              \
            return real(fd, pieces, count, at);                                                                                     \
        }                                                                                                                           \
        while (piece < count - 1 && pieces[piece].iov_len == 0) {                                                                   \
            piece++;                                                                                                                \
        }                                                                                                                           \
        first = pieces[piece];                                                                                                      \
        first.iov_len = shortened(fd, first.iov_len);                                                                               \
        return real(fd, &first, 1, at);                                                                                             \
    }

VECTORED(pwritev)
VECTORED(pwritev64)

#define INTERRUPTIBLE(name, parameters, arguments)                                                                                  \
    int name parameters {                                                                                                           \
        int(*real) parameters;                                                                                                      \
        REAL(#name);                                                                                                                \
        return interrupted(fd) ? -1 : real arguments;                                                                               \
    }

INTERRUPTIBLE(fsync, (int fd), (fd))
INTERRUPTIBLE(fdatasync, (int fd), (fd))
INTERRUPTIBLE(ftruncate, (int fd, off_t length), (fd, length))
INTERRUPTIBLE(ftruncate64, (int fd, off_t length), (fd, length))
INTERRUPTIBLE(fallocate, (int fd, int mode, off_t offset, off_t length), (fd, mode, offset, length))
INTERRUPTIBLE(fallocate64, (int fd, int mode, off_t offset, off_t length), (fd, mode, offset, length))

/* These two functions return the error number. */
int posix_fallocate(int fd, off_t offset, off_t length) {
    int (*real)(int, off_t, off_t);
    REAL("posix_fallocate");
    return interrupted(fd) ? EINTR : real(fd, offset, length);
}

int posix_fallocate64(int fd, off_t offset, off_t length) {
    int (*real)(int, off_t, off_t);
    REAL("posix_fallocate64");
    return interrupted(fd) ? EINTR : real(fd, offset, length);
}

static int opening(const char *name, const char *path, int flags, mode_t mode) {
    int (*real)(const char *, int, ...);
    REAL(name);
    if (is_mode("interrupted") && is_ours(path) && atomic_fetch_add(&calls, 1) % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return real(path, flags, mode);
}

#define OPENING(name)                                                                                                               \
    int name(const char *path, int flags, ...) {                                                                                    \
        va_list rest;                                                                                                               \
        mode_t mode = 0;                                                                                                            \
        if (flags & O_CREAT) {                                                                                                      \
            va_start(rest, flags);                                                                                                  \
            mode = va_arg(rest, mode_t);                                                                                            \
            va_end(rest);                                                                                                           \
        }                                                                                                                           \
        return opening(#name, path, flags, mode);                                                                                   \
    }

OPENING(open)
OPENING(open64)
