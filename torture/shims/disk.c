/* LD_PRELOAD library that records the file operations below DISK_ROOT in the log DISK_LOG.
 * torture/power_cut_disk.py reads the log and rebuilds the disk as it is after a power failure.
 *
 * Each record is appended with one write after the call has succeeded, so that the order of the log
 * is a possible order of the operations of all processes.
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
    uint32_t path; /* length in bytes of the path that follows */
    uint32_t data; /* length in bytes of the data after it: content, or the new name */
    uint32_t zero;
};

static int log_fd = -1;
static char root[PATH_MAX];

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void)
{
    const char *file = getenv("DISK_LOG"), *folder = getenv("DISK_ROOT");
    if (!file || !folder)
        return;
    snprintf(root, sizeof root, "%s/", folder);
    int opened = REAL(open)(file, O_WRONLY | O_APPEND | O_CREAT, 0600);
    log_fd = fcntl(opened, F_DUPFD_CLOEXEC, 900); /* a high number, which does not disturb the process */
    REAL(close)(opened);
}

/* Whether a file must survive a power failure: not locks, metrics, logs and shared memory. */
static int is_recorded(const char *path)
{
    size_t length = strlen(path);
    if (log_fd < 0)
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

static void record_call(int kind, uint64_t inode, int64_t offset, const char *path, const void *data,
                 size_t size)
{
    struct timespec now;
    int saved_errno = errno;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct record head = { now.tv_sec * 1000000000ull + now.tv_nsec, inode, offset, kind,
                           strlen(path), size, 0 };
    struct iovec parts[] = { { &head, sizeof head }, { (void *)path, head.path },
                             { (void *)data, size } };
    if (REAL(writev)(log_fd, parts, 3) < 0)
        abort();
    errno = saved_errno;
}

/* The path of a descriptor, if it is recorded. */
static int recorded_path(int fd, char *path, struct stat *about)
{
    char link[64];
    int saved_errno = errno, found = 0;
    if (log_fd >= 0 && fd != log_fd && !fstat(fd, about)
        && (S_ISREG(about->st_mode) || S_ISDIR(about->st_mode))) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, path, PATH_MAX - 1);
        if (length > 0) {
            path[length] = 0;
            found = is_recorded(path);
        }
    }
    errno = saved_errno;
    return found;
}

static void record_fd(int kind, int fd, int64_t offset, const void *data, size_t size)
{
    char path[PATH_MAX];
    struct stat about;
    if (!recorded_path(fd, path, &about))
        return;
    if (kind == WRITE && offset < 0)
        offset = lseek(fd, 0, SEEK_CUR) - (int64_t)size;
    if (kind == SYNC && S_ISDIR(about.st_mode))
        kind = SYNC_FOLDER;
    record_call(kind, about.st_ino, offset, path, data, size);
}

static int opened(int fd, int flags)
{
    if (fd >= 0 && (flags & O_CREAT) && (flags & O_TMPFILE) != O_TMPFILE) {
        record_fd(CREATE, fd, 0, "", 0);
        if (flags & O_TRUNC)
            record_fd(TRUNCATE, fd, 0, "", 0);
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
        record_fd(WRITE, fd, -1, data, done);
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    ssize_t done = REAL(pwrite64)(fd, data, size, offset);
    if (done > 0)
        record_fd(WRITE, fd, offset, data, done);
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
        record_fd(TRUNCATE, fd, length, "", 0);
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
        record_fd(SYNC, fd, 0, "", 0);
    return failed;
}

int fdatasync(int fd)
{
    int failed = REAL(fdatasync)(fd);
    if (!failed)
        record_fd(SYNC, fd, 0, "", 0);
    return failed;
}

int rename(const char *from, const char *to)
{
    int failed = REAL(rename)(from, to);
    if (!failed && is_recorded(to))
        record_call(RENAME, 0, 0, from, to, strlen(to));
    return failed;
}

int unlink(const char *path)
{
    int failed = REAL(unlink)(path);
    if (!failed && is_recorded(path))
        record_call(UNLINK, 0, 0, path, "", 0);
    return failed;
}
