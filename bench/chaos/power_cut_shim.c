/* LD_PRELOAD into the store: note how much of each append-only file is on disk.
 *
 * After a successful fsync or fdatasync of a file named *.aof, the size that the file had *before* the call (what the
 * call guarantees) is written to "<file>.synced" as 20 decimal digits. A power cut is then simulated by killing the
 * store and truncating each file to that size: what the kernel had in memory only is gone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef int (*sync_call)(int);

static void note(int fd, long long size) {
    char link[64], path[PATH_MAX + 16], digits[24];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX);
    if (length < 4) return;
    path[length] = 0;
    if (strcmp(path + length - 4, ".aof") != 0) return;
    strcat(path, ".synced");
    int out = open(path, O_WRONLY | O_CREAT, 0600);
    if (out < 0) return;
    int n = snprintf(digits, sizeof digits, "%020lld", size);
    if (pwrite(out, digits, n, 0) != n) unlink(path); /* nothing known to be on disk */
    close(out);
}

static int sync_and_note(int fd, const char *name, sync_call *real) {
    struct stat before;
    if (!*real) *real = (sync_call)dlsym(RTLD_NEXT, name);
    int known = fstat(fd, &before) == 0;
    int result = (*real)(fd);
    if (result == 0 && known) note(fd, (long long)before.st_size);
    return result;
}

int fsync(int fd) {
    static sync_call real;
    return sync_and_note(fd, "fsync", &real);
}

int fdatasync(int fd) {
    static sync_call real;
    return sync_and_note(fd, "fdatasync", &real);
}
