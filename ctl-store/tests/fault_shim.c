/*
 * Makes the disk fail under SQLite, for tests/it/faults.rs: preloaded, it stands before the calls by which SQLite writes.
 *
 * The file that FAULT_CONTROL names holds "GENERATION KIND SKIP LENGTH": of the calls of KIND since GENERATION last changed, those
 * from number SKIP on fail, LENGTH of them. Only files whose name contains FAULT_TARGET count. When a call fails, an empty file
 * FAULT_CONTROL.hit appears. Kinds: eio, enospc, erofs (writing fails so), short (half is written, the next call finds the disk
 * full), fsync (flushing fails), truncate.
 *
 * For tests/it/power_loss.rs it also writes down, in the file that FAULT_TRACE names, what became of the files whose name
 * contains FAULT_TARGET, in the order in which it happened: records of an operation (8 bytes: W, S for a flush, T, U for
 * unlink), offset and length (8 bytes each, of this machine's order), a name without its directory (64 bytes), and what was written.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum verdict { PASS, FAIL, HALF };

struct record {
    char what[8];
    uint64_t offset, length;
    char name[64];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long generation = -1;
static long calls;

/* Finds out the name of a file; says whether it counts. */
static int find_name(int fd, char name[4096]) {
    const char *target = getenv("FAULT_TARGET");
    char link[64];
    if (!target) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, 4095);
    if (length <= 0) return 0;
    name[length] = 0;
    return strstr(name, target) != NULL;
}

static int is_target(int fd) {
    char name[4096];
    return find_name(fd, name);
}

/* Writes an operation down that succeeded. The caller has the mutex, so that the order is the one on the disk. */
static void note(const char *name, char what, uint64_t offset, uint64_t length, const void *bytes) {
    struct record record = { .offset = offset, .length = length };
    const char *base = strrchr(name, '/');
    int trace = syscall(SYS_openat, AT_FDCWD, getenv("FAULT_TRACE"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (trace < 0) abort();
    record.what[0] = what;
    snprintf(record.name, sizeof record.name, "%s", base ? base + 1 : name);
    if (syscall(SYS_write, trace, &record, sizeof record) != sizeof record) abort();
    if (bytes && syscall(SYS_write, trace, bytes, length) != (long)length) abort();
    syscall(SYS_close, trace);
}

/* Says whether operations on this file are written down; if so, takes the mutex. */
static int begin_note(int fd, char name[4096]) {
    if (!getenv("FAULT_TRACE") || !find_name(fd, name)) return 0;
    pthread_mutex_lock(&mutex);
    return 1;
}

/* Decides about one call; `what` is 'w' for writing, 's' for flushing, 't' for truncating. Sets errno for a failure. */
static enum verdict judge(int fd, char what) {
    const char *control = getenv("FAULT_CONTROL");
    char text[128] = "", kind[16] = "";
    long now = 0, skip = 0, length = 0;
    if (!control || !is_target(fd)) return PASS;
    pthread_mutex_lock(&mutex);
    int file = syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC, 0);
    if (file >= 0) {
        if (syscall(SYS_read, file, text, sizeof text - 1) < 0) text[0] = 0;
        syscall(SYS_close, file);
    }
    enum verdict verdict = PASS;
    if (sscanf(text, "%ld %15s %ld %ld", &now, kind, &skip, &length) == 4) {
        if (now != generation) {
            generation = now;
            calls = 0;
        }
        int writes = !strcmp(kind, "eio") || !strcmp(kind, "enospc") || !strcmp(kind, "erofs") || !strcmp(kind, "short");
        char meant = writes ? 'w' : !strcmp(kind, "fsync") ? 's' : !strcmp(kind, "truncate") ? 't' : 0;
        if (what == meant) {
            long number = calls++;
            if (number >= skip && number < skip + length) verdict = FAIL;
            if (!strcmp(kind, "short") && number == skip) verdict = HALF;
            /* What follows a short write is a full disk. */
            if (!strcmp(kind, "short") && number == skip + 1) verdict = FAIL;
        }
    }
    if (verdict != PASS) {
        char hit[4096];
        snprintf(hit, sizeof hit, "%s.hit", control);
        int mark = syscall(SYS_openat, AT_FDCWD, hit, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (mark >= 0) syscall(SYS_close, mark);
    }
    pthread_mutex_unlock(&mutex);
    errno = !strcmp(kind, "enospc") || !strcmp(kind, "short") ? ENOSPC : !strcmp(kind, "erofs") ? EROFS : EIO;
    return verdict;
}

static ssize_t traced_write(int fd, const void *bytes, size_t length, int at, off64_t offset) {
    char name[4096];
    int traced = begin_note(fd, name);
    if (traced && !at) offset = syscall(SYS_lseek, fd, 0, SEEK_CUR);
    ssize_t written = at ? syscall(SYS_pwrite64, fd, bytes, length, offset) : syscall(SYS_write, fd, bytes, length);
    int error = errno;
    if (traced) {
        if (written > 0) note(name, 'W', offset, written, bytes);
        pthread_mutex_unlock(&mutex);
    }
    errno = error;
    return written;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    enum verdict verdict = judge(fd, 'w');
    if (verdict == FAIL) return -1;
    return traced_write(fd, bytes, verdict == HALF ? length / 2 : length, 0, 0);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    enum verdict verdict = judge(fd, 'w');
    if (verdict == FAIL) return -1;
    return traced_write(fd, bytes, verdict == HALF ? length / 2 : length, 1, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    return pwrite64(fd, bytes, length, offset);
}

static int traced_call(int fd, char what, long call, off64_t length) {
    char name[4096];
    int traced = begin_note(fd, name);
    int result = what == 'T' ? syscall(call, fd, length) : syscall(call, fd);
    int error = errno;
    if (traced) {
        if (result == 0) note(name, what, what == 'T' ? length : 0, 0, NULL);
        pthread_mutex_unlock(&mutex);
    }
    errno = error;
    return result;
}

int fsync(int fd) {
    return judge(fd, 's') == PASS ? traced_call(fd, 'S', SYS_fsync, 0) : -1;
}

int fdatasync(int fd) {
    return judge(fd, 's') == PASS ? traced_call(fd, 'S', SYS_fdatasync, 0) : -1;
}

int ftruncate64(int fd, off64_t length) {
    return judge(fd, 't') == PASS ? traced_call(fd, 'T', SYS_ftruncate, length) : -1;
}

int ftruncate(int fd, off_t length) {
    return ftruncate64(fd, length);
}

int unlink(const char *path) {
    const char *target = getenv("FAULT_TARGET");
    int traced = getenv("FAULT_TRACE") && target && strstr(path, target);
    if (traced) pthread_mutex_lock(&mutex);
    int result = syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    int error = errno;
    if (traced) {
        if (result == 0) note(path, 'U', 0, 0, NULL);
        pthread_mutex_unlock(&mutex);
    }
    errno = error;
    return result;
}
