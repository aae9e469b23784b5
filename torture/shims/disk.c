/* Writes down what a process does to the files below DISK_ROOT, so that the disk can be rebuilt as
 * it would be after a power cut: torture/disk.py reads the log (DISK_LOG).
 *
 * Each record is written once the call has succeeded, by one append, so the order of the log is one
 * in which things happened, over all processes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { CREATE = 1, WRITE, TRUNCATE, SYNC, SYNC_FOLDER, RENAME, UNLINK };

struct record {
    uint64_t nanoseconds; /* CLOCK_MONOTONIC */
    uint64_t inode;
    int64_t offset; /* or the new length */
    uint32_t kind;
    uint32_t path; /* bytes of the path that follows */
    uint32_t data; /* bytes that follow it: what was written, or the new name */
    uint32_t zero;
};

static int journal = -1;
static char root[PATH_MAX];

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void)
{
    const char *file = getenv("DISK_LOG"), *folder = getenv("DISK_ROOT");
    if (!file || !folder)
        return;
    snprintf(root, sizeof root, "%s/", folder);
    int opened = REAL(open)(file, O_WRONLY | O_APPEND | O_CREAT, 0600);
    journal = fcntl(opened, F_DUPFD_CLOEXEC, 900); /* out of the way */
    REAL(close)(opened);
}

/* Only what has to outlive a power cut counts: no locks, no metrics, no log, no shared memory. */
static int counts(const char *path)
{
    size_t length = strlen(path);
    if (journal < 0)
        return 0;
    if (!strncmp(path, root, strlen(root) - 1) && length == strlen(root) - 1)
        return 1;
    if (strncmp(path, root, strlen(root)) || strstr(path, "/run/"))
        return 0;
    const char *ends[] = { "-shm", ".lock", ".log", ".pid" };
    for (int i = 0; i < 4; i++)
        if (length > 4 && !strcmp(path + length - strlen(ends[i]), ends[i]))
            return 0;
    return 1;
}

static void note(int kind, uint64_t inode, int64_t offset, const char *path, const void *data,
                 size_t size)
{
    struct timespec now;
    int kept = errno;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct record head = { now.tv_sec * 1000000000ull + now.tv_nsec, inode, offset, kind,
                           strlen(path), size, 0 };
    struct iovec parts[] = { { &head, sizeof head }, { (void *)path, head.path },
                             { (void *)data, size } };
    if (REAL(writev)(journal, parts, 3) < 0)
        abort();
    errno = kept;
}

/* The path of a descriptor, if it counts. */
static int known(int fd, char *path, struct stat *about)
{
    char link[64];
    int kept = errno, found = 0;
    if (journal >= 0 && fd != journal && !fstat(fd, about)
        && (S_ISREG(about->st_mode) || S_ISDIR(about->st_mode))) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, path, PATH_MAX - 1);
        if (length > 0) {
            path[length] = 0;
            found = counts(path);
        }
    }
    errno = kept;
    return found;
}

static void note_fd(int kind, int fd, int64_t offset, const void *data, size_t size)
{
    char path[PATH_MAX];
    struct stat about;
    if (!known(fd, path, &about))
        return;
    if (kind == WRITE && offset < 0)
        offset = lseek(fd, 0, SEEK_CUR) - (int64_t)size;
    if (kind == SYNC && S_ISDIR(about.st_mode))
        kind = SYNC_FOLDER;
    note(kind, about.st_ino, offset, path, data, size);
}

static int opened(int fd, int flags)
{
    if (fd >= 0 && (flags & O_CREAT) && (flags & O_TMPFILE) != O_TMPFILE) {
        note_fd(CREATE, fd, 0, "", 0);
        if (flags & O_TRUNC)
            note_fd(TRUNCATE, fd, 0, "", 0);
    }
    return fd;
}

#define MODE(flags)                  \
    mode_t mode = 0;                 \
    if (flags & (O_CREAT | O_TMPFILE)) { \
        va_list more;                \
        va_start(more, flags);       \
        mode = va_arg(more, mode_t); \
        va_end(more);                \
    }

int open(const char *path, int flags, ...)
{
    MODE(flags)
    return opened(REAL(open)(path, flags, mode), flags);
}

int open64(const char *path, int flags, ...)
{
    MODE(flags)
    return opened(REAL(open64)(path, flags, mode), flags);
}

int openat(int folder, const char *path, int flags, ...)
{
    MODE(flags)
    return opened(REAL(openat)(folder, path, flags, mode), flags);
}

int openat64(int folder, const char *path, int flags, ...)
{
    MODE(flags)
    return opened(REAL(openat64)(folder, path, flags, mode), flags);
}

ssize_t write(int fd, const void *data, size_t size)
{
    ssize_t done = REAL(write)(fd, data, size);
    if (done > 0)
        note_fd(WRITE, fd, -1, data, done);
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    ssize_t done = REAL(pwrite64)(fd, data, size, offset);
    if (done > 0)
        note_fd(WRITE, fd, offset, data, done);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return pwrite64(fd, data, size, offset);
}

int ftruncate64(int fd, off64_t length)
{
    int failed = REAL(ftruncate64)(fd, length);
    if (!failed)
        note_fd(TRUNCATE, fd, length, "", 0);
    return failed;
}

int ftruncate(int fd, off_t length)
{
    return ftruncate64(fd, length);
}

int fsync(int fd)
{
    int failed = REAL(fsync)(fd);
    if (!failed)
        note_fd(SYNC, fd, 0, "", 0);
    return failed;
}

int fdatasync(int fd)
{
    int failed = REAL(fdatasync)(fd);
    if (!failed)
        note_fd(SYNC, fd, 0, "", 0);
    return failed;
}

int rename(const char *from, const char *to)
{
    int failed = REAL(rename)(from, to);
    if (!failed && counts(to))
        note(RENAME, 0, 0, from, to, strlen(to));
    return failed;
}

int unlink(const char *path)
{
    int failed = REAL(unlink)(path);
    if (!failed && counts(path))
        note(UNLINK, 0, 0, path, "", 0);
    return failed;
}
