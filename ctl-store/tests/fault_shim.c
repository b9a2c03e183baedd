/*
 * Makes the disk fail under SQLite, for tests/it/faults.rs: preloaded, it stands before the calls by which SQLite writes.
 *
 * The file that FAULT_CONTROL names holds "GENERATION KIND SKIP LENGTH": of the calls of KIND since GENERATION last changed, those
 * from number SKIP on fail, LENGTH of them. Only files whose name contains FAULT_TARGET count. When a call fails, an empty file
 * FAULT_CONTROL.hit appears. Kinds: eio, enospc, erofs (writing fails so), short (half is written, the next call finds the disk
 * full), fsync (flushing fails), truncate.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum verdict { PASS, FAIL, HALF };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long generation = -1;
static long calls;

static int is_target(int fd) {
    const char *target = getenv("FAULT_TARGET");
    char link[64], name[4096];
    if (!target) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length <= 0) return 0;
    name[length] = 0;
    return strstr(name, target) != NULL;
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

ssize_t write(int fd, const void *bytes, size_t length) {
    enum verdict verdict = judge(fd, 'w');
    if (verdict == FAIL) return -1;
    return syscall(SYS_write, fd, bytes, verdict == HALF ? length / 2 : length);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    enum verdict verdict = judge(fd, 'w');
    if (verdict == FAIL) return -1;
    return syscall(SYS_pwrite64, fd, bytes, verdict == HALF ? length / 2 : length, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    return pwrite64(fd, bytes, length, offset);
}

int fsync(int fd) {
    return judge(fd, 's') == PASS ? (int)syscall(SYS_fsync, fd) : -1;
}

int fdatasync(int fd) {
    return judge(fd, 's') == PASS ? (int)syscall(SYS_fdatasync, fd) : -1;
}

int ftruncate64(int fd, off64_t length) {
    return judge(fd, 't') == PASS ? (int)syscall(SYS_ftruncate, fd, length) : -1;
}

int ftruncate(int fd, off_t length) {
    return ftruncate64(fd, length);
}
