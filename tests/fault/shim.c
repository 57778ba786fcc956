/* Makes the clock of one host wrong, and its way to the shared storage slow or hang.
 *
 * Loaded with LD_PRELOAD into the processes of one host (see shim.py), between them and the C
 * library, so that it also meets what compiled libraries do. SC_SHIM names a file that is mapped;
 * whoever writes to it changes the host at once. SC_SHIM_FOLDER is where the slow storage is
 * mounted: calls that name something below it, or a descriptor of it, are delayed.
 *
 * The monotonic clock, and waits by it, are left alone: no host's is ever set. Times of files
 * are left alone too: those of a shared disk are not this host's.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct control {
    int64_t skew_us;  /* added to the time of day */
    int64_t delay_us; /* before each call to the storage */
    int64_t hangs;    /* as long as it is not 0, calls to the storage wait */
};

static volatile struct control *control;
static const char *folder;
static size_t folder_length;

__attribute__((constructor)) static void load(void)
{
    const char *path = getenv("SC_SHIM");
    folder = getenv("SC_SHIM_FOLDER");
    folder_length = folder ? strlen(folder) : 0;
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *mapped = mmap(NULL, sizeof(struct control), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED)
        control = mapped;
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) \
        real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* The clock. */

static int is_wall(clockid_t which)
{
    return which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE;
}

int clock_gettime(clockid_t which, struct timespec *now)
{
    REAL(clock_gettime);
    int status = real(which, now);
    if (status == 0 && control && is_wall(which)) {
        int64_t us = now->tv_nsec / 1000 + control->skew_us;
        int64_t seconds = us / 1000000, rest = us % 1000000;
        if (rest < 0) {
            rest += 1000000;
            seconds -= 1;
        }
        now->tv_sec += seconds;
        now->tv_nsec = rest * 1000;
    }
    return status;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec found;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *where)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where)
        *where = now.tv_sec;
    return now.tv_sec;
}

/* The storage. */

static int is_below(const char *path)
{
    return folder_length && strncmp(path, folder, folder_length) == 0
        && (path[folder_length] == '/' || path[folder_length] == 0);
}

static int is_of_storage(int descriptor, const char *path)
{
    char link[64], target[PATH_MAX];
    if (path && path[0] == '/')
        return is_below(path);
    if (path && descriptor == AT_FDCWD)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, target, sizeof target - 1);
    if (length < 0)
        return 0;
    target[length] = 0;
    return is_below(target);
}

static void wait_for_storage(int descriptor, const char *path)
{
    if (!control || (!control->delay_us && !control->hangs))
        return;
    int error = errno;
    if (is_of_storage(descriptor, path)) {
        if (control->delay_us)
            usleep(control->delay_us);
        while (control->hangs)
            usleep(20000);
    }
    errno = error;
}

#define BY_PATH(result, name, parameters, arguments, path) \
    result name parameters \
    { \
        REAL(name); \
        wait_for_storage(AT_FDCWD, path); \
        return real arguments; \
    }
#define BY_DESCRIPTOR(result, name, parameters, arguments, descriptor, path) \
    result name parameters \
    { \
        REAL(name); \
        wait_for_storage(descriptor, path); \
        return real arguments; \
    }

BY_PATH(int, stat64, (const char *restrict p, struct stat64 *restrict s), (p, s), p)
BY_PATH(int, lstat64, (const char *restrict p, struct stat64 *restrict s), (p, s), p)
BY_PATH(int, stat, (const char *restrict p, struct stat *restrict s), (p, s), p)
BY_PATH(int, lstat, (const char *restrict p, struct stat *restrict s), (p, s), p)
BY_PATH(int, mkdir, (const char *p, mode_t m), (p, m), p)
BY_PATH(int, rename, (const char *from, const char *to), (from, to), from)
BY_PATH(int, unlink, (const char *p), (p), p)
BY_PATH(int, rmdir, (const char *p), (p), p)
BY_PATH(DIR *, opendir, (const char *p), (p), p)
BY_DESCRIPTOR(int, fstatat64, (int d, const char *restrict p, struct stat64 *restrict s, int f),
    (d, p, s, f), d, p)
BY_DESCRIPTOR(int, mkdirat, (int d, const char *p, mode_t m), (d, p, m), d, p)
BY_DESCRIPTOR(int, renameat, (int d, const char *from, int e, const char *to), (d, from, e, to), d,
    from)
BY_DESCRIPTOR(int, unlinkat, (int d, const char *p, int f), (d, p, f), d, p)
BY_DESCRIPTOR(ssize_t, write, (int d, const void *b, size_t n), (d, b, n), d, NULL)
BY_DESCRIPTOR(ssize_t, writev, (int d, const struct iovec *v, int n), (d, v, n), d, NULL)
BY_DESCRIPTOR(ssize_t, pwrite64, (int d, const void *b, size_t n, off64_t o), (d, b, n, o), d, NULL)
BY_DESCRIPTOR(ssize_t, pread64, (int d, void *b, size_t n, off64_t o), (d, b, n, o), d, NULL)
BY_DESCRIPTOR(ssize_t, read, (int d, void *b, size_t n), (d, b, n), d, NULL)
BY_DESCRIPTOR(int, fsync, (int d), (d), d, NULL)
BY_DESCRIPTOR(int, fdatasync, (int d), (d), d, NULL)

static mode_t mode_of(int flags, va_list more)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) \
    { \
        REAL(name); \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = mode_of(flags, more); \
        va_end(more); \
        wait_for_storage(AT_FDCWD, path); \
        return real(path, flags, mode); \
    }
#define OPENAT(name) \
    int name(int descriptor, const char *path, int flags, ...) \
    { \
        REAL(name); \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = mode_of(flags, more); \
        va_end(more); \
        wait_for_storage(descriptor, path); \
        return real(descriptor, path, flags, mode); \
    }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
