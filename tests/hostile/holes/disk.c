/*
 * Preloaded into a process: simulates a disk that keeps only the synced contents of one directory.
 *
 *   DISK_DIRECTORY  the directory, by the kernel's name
 *   DISK_SHADOW     the directory of the durable state: `content/NAME` has the contents of each synced file
 *                   at its last sync; `names` has a line for each name in the directory at its last sync
 *   DISK_HOLD       a sync of a file whose name ends with this waits until the process is killed
 *   DISK_RENAME     "done, and failed": a rename to CURRENT is carried out, and returns EIO
 *
 * Contents are stored by name, which both libraries use only once. A rename moves the contents too, whichever
 * call makes it (LevelDB's `rename` by path, our `renameat` in an open directory).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A rename that the functions below do not intercept. */
static int rename_unseen(int from_directory, const char *from, int to_directory, const char *to, unsigned flags) {
    return (int)syscall(SYS_renameat2, from_directory, from, to_directory, to, flags);
}

static void copy(int from, const char *to) {
    char temporary[8300], buffer[65536];
    off_t offset = 0;
    ssize_t count;
    int out;
    snprintf(temporary, sizeof temporary, "%s.%d.tmp", to, gettid());
    out = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (out < 0) {
        abort();
    }
    while ((count = pread(from, buffer, sizeof buffer, offset)) > 0) {
        if (write(out, buffer, (size_t)count) != count) {
            abort();
        }
        offset += count;
    }
    close(out);
    if (rename_unseen(AT_FDCWD, temporary, AT_FDCWD, to, 0) != 0) {
        abort();
    }
}

static void note_names(const char *directory, const char *shadow) {
    char path[4096], temporary[4200];
    DIR *listing = opendir(directory);
    FILE *names;
    struct dirent *entry;
    snprintf(path, sizeof path, "%s/names", shadow);
    snprintf(temporary, sizeof temporary, "%s.%d.tmp", path, gettid());
    names = fopen(temporary, "we");
    if (listing == NULL || names == NULL) {
        abort();
    }
    while ((entry = readdir(listing)) != NULL) {
        if (entry->d_name[0] != '.') {
            fprintf(names, "%s\n", entry->d_name);
        }
    }
    closedir(listing);
    fclose(names);
    if (rename_unseen(AT_FDCWD, temporary, AT_FDCWD, path, 0) != 0) {
        abort();
    }
}

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static void note_sync(int fd) {
    const char *directory = getenv("DISK_DIRECTORY"), *shadow = getenv("DISK_SHADOW"), *hold = getenv("DISK_HOLD");
    char link[64], path[4096], kept[8200], readable[64];
    size_t length;
    ssize_t count;
    int in;
    if (directory == NULL || shadow == NULL) {
        return;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    count = readlink(link, path, sizeof path - 1);
    if (count < 0) {
        return;
    }
    path[count] = 0;
    if (strcmp(path, directory) == 0) {
        note_names(directory, shadow);
        return;
    }
    length = strlen(directory);
    if (strncmp(path, directory, length) != 0 || path[length] != '/') {
        return;
    }
    while (hold != NULL && ends_with(path, hold)) {
        pause();
    }
    snprintf(readable, sizeof readable, "/proc/self/fd/%d", fd);
    in = open(readable, O_RDONLY | O_CLOEXEC);
    if (in < 0) {
        abort();
    }
    snprintf(kept, sizeof kept, "%s/content/%s", shadow, path + length + 1);
    copy(in, kept);
    close(in);
}

int fdatasync(int fd) {
    int (*real)(int);
    *(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
    note_sync(fd);
    return real(fd);
}

int fsync(int fd) {
    int (*real)(int);
    *(void **)&real = dlsym(RTLD_NEXT, "fsync");
    note_sync(fd);
    return real(fd);
}

static const char *last_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags) {
    const char *shadow = getenv("DISK_SHADOW");
    int result = rename_unseen(from_directory, from, to_directory, to, flags);
    if (result == 0 && shadow != NULL) {
        char before[8200], after[8200];
        snprintf(before, sizeof before, "%s/content/%s", shadow, last_name(from));
        snprintf(after, sizeof after, "%s/content/%s", shadow, last_name(to));
        rename_unseen(AT_FDCWD, before, AT_FDCWD, after, 0);
    }
    if (result == 0 && getenv("DISK_RENAME") != NULL && strcmp(last_name(to), "CURRENT") == 0) {
        errno = EIO;
        return -1;
    }
    return result;
}

int renameat(int from_directory, const char *from, int to_directory, const char *to) {
    return renameat2(from_directory, from, to_directory, to, 0);
}

int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }
