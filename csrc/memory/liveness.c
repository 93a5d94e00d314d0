/* liveness.c -- evidence of death, cheapest first.
 *
 *   1  same PID namespace: tgkill(pid, tid, 0) says ESRCH; /proc/<pid>/task/<tid>/stat shows another start time, a zombie, or
 *      PF_EXITING or PF_DUMPCORE. A kill -9 is visible there about 0.1 ms later, however many gigabytes the process has to unmap.
 *   2  otherwise, and for a thread that 1 calls alive: the kernel lock on the slot's byte. It hangs on a PROT_NONE mapping of the
 *      lock file (an open file description that only the mapping refers to), so it is not inherited by fork (MADV_DONTFORK), not
 *      lost to close_range(), and dropped at exec, at munmap and at death. exec keeps pid and start time: only the lock tells.
 * "No such file" under /proc proves nothing by itself (hidepid= mounts), hence tgkill.
 *
 * Limits  after fc_cache_unlink the lock file is gone and only 1 remains: a session whose process called exec() then looks alive.
 * Sources proc(5) on /proc/pid/stat; fcntl(2) on open file description locks; Linux include/linux/sched.h for the PF_ flags
 */
#include "memory/liveness.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PF_EXITING 0x00000004ul
#define PF_DUMPCORE 0x00000200ul
/* Since Linux 5.16 the other threads of a process that dumps core wait with this bit alone; before, it marked exiting threads, too. */
#define PF_POSTCOREDUMP 0x00000008ul
#define TID_BITS 22
#define START_TIME_MASK ((UINT64_C(1) << 42) - 1)
#define LOCK_PAGE_BYTES 4096u

/* What /proc/.../stat says of a thread. */
typedef struct thread_stat {
    char state;
    unsigned long flags;
    uint64_t start_time;
} thread_stat;

/* 1 if the file could be read. The command name may hold anything, so the fields are counted from the last ')'. */
static int read_thread_stat(const char *path, thread_stat *stat)
{
    char text[1024];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0) return 0;
    text[length] = '\0';
    char *fields = strrchr(text, ')');
    unsigned long long start_time;
    if (fields == NULL || sscanf(fields + 1, " %c %*d %*d %*d %*d %*d %lu %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                                 &stat->state, &stat->flags, &start_time) != 3)
        return 0;
    stat->start_time = start_time;
    return 1;
}

uint64_t fc_liveness_identity(void)
{
    char path[64];
    thread_stat stat;
    uint64_t tid = (uint64_t)syscall(SYS_gettid);
    snprintf(path, sizeof path, "/proc/self/task/%" PRIu64 "/stat", tid);
    if (!read_thread_stat(path, &stat)) return 0;
    return tid | (stat.start_time & START_TIME_MASK) << TID_BITS;
}

/* Is /proc that of our own PID namespace? */
static int proc_is_ours(void)
{
    char text[32];
    ssize_t length = readlink("/proc/self", text, sizeof text - 1);
    if (length <= 0) return 0;
    text[length] = '\0';
    return strtol(text, NULL, 10) == getpid();
}

uint64_t fc_liveness_namespace(void)
{
    struct stat pid_stat, time_stat;
    if (!proc_is_ours() || stat("/proc/self/ns/pid", &pid_stat) != 0) return 0;
    uint64_t time_inode = stat("/proc/self/ns/time", &time_stat) == 0 ? (uint64_t)time_stat.st_ino : 0; /* since Linux 5.6 */
    return (uint64_t)pid_stat.st_ino | time_inode << 32;
}

void fc_liveness_lock_path(char *path, size_t path_bytes, const char *name, uint64_t segment_id)
{
    snprintf(path, path_bytes, "/dev/shm/fincache-lock.%s.%016" PRIx64, name, segment_id);
}

/* A new open file description of the segment's lock file; -1 with errno if there is none. */
static int open_lock_file(const fc_cache *cache)
{
    char path[160];
    struct stat stat_buffer;
    fc_liveness_lock_path(path, sizeof path, cache->name, cache->geometry.segment_id);
    int file = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) return -1;
    if (fstat(file, &stat_buffer) == 0 && (uint64_t)stat_buffer.st_ino == cache->geometry.lock_inode) return file;
    close(file);
    errno = ESTALE;
    return -1;
}

static struct flock byte_lock(short type, uint32_t slot_index)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = slot_index, .l_len = 1};
}

/* fork() waits while a thread is between opening the lock file and having the lock on a mapping that a child does not get: a child that got
 * the descriptor would keep the lock alive. Recursive, so that a signal handler may fork. clone() and vfork() by hand do not wait. */
static pthread_mutex_t fork_gate = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_once_t fork_gate_once = PTHREAD_ONCE_INIT;

static void close_fork_gate(void) { pthread_mutex_lock(&fork_gate); }
static void open_fork_gate(void) { pthread_mutex_unlock(&fork_gate); }
/* The mutex knows its owner by a tid, which the child does not have. */
static void renew_fork_gate(void) { fork_gate = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP; }
static void watch_forks(void) { pthread_atfork(close_fork_gate, open_fork_gate, renew_fork_gate); }

static fc_status lock_slot(const fc_cache *cache, uint32_t slot_index, void **lock_page)
{
    int file = open_lock_file(cache);
    if (file < 0) {
        if (errno == EACCES || errno == EPERM) return fc_fail_errno(FC_PERMISSION, "the lock file of segment %s", cache->name);
        if (errno == ENOENT || errno == ESTALE) return fc_fail(FC_SEGMENT_RETIRED, "the lock file of segment %s is gone", cache->name);
        return fc_fail_errno(FC_SYSTEM, "open the lock file of segment %s", cache->name);
    }
    struct flock lock = byte_lock(F_WRLCK, slot_index);
    if (fcntl(file, F_OFD_SETLK, &lock) != 0) {
        fc_status status = errno == EAGAIN || errno == EACCES ? FC_BUSY : fc_fail_errno(FC_SYSTEM, "lock slot %u", slot_index);
        close(file);
        return status;
    }
    void *page = mmap(NULL, LOCK_PAGE_BYTES, PROT_NONE, MAP_SHARED, file, 0);
    int failed = page == MAP_FAILED || madvise(page, LOCK_PAGE_BYTES, MADV_DONTFORK) != 0;
    fc_status status = failed ? fc_fail_errno(FC_SYSTEM, "map the lock of slot %u", slot_index) : FC_OK;
    if (failed && page != MAP_FAILED) munmap(page, LOCK_PAGE_BYTES);
    close(file);
    if (!failed) *lock_page = page;
    return status;
}

fc_status fc_liveness_lock(const fc_cache *cache, uint32_t slot_index, void **lock_page)
{
    pthread_once(&fork_gate_once, watch_forks);
    close_fork_gate();
    fc_status status = lock_slot(cache, slot_index, lock_page);
    open_fork_gate();
    return status;
}

void fc_liveness_unlock(void *lock_page)
{
    munmap(lock_page, LOCK_PAGE_BYTES);
}

/* 1 if nobody holds the kernel lock on the slot's byte. */
static int is_unlocked(const fc_cache *cache, uint32_t slot_index)
{
    int file = open_lock_file(cache);
    if (file < 0) return 0;
    struct flock lock = byte_lock(F_WRLCK, slot_index);
    int unlocked = fcntl(file, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
    close(file);
    return unlocked;
}

static int is_dead_by_proc(const fc_slot *slot, uint64_t identity)
{
    char path[64];
    thread_stat stat;
    uint32_t pid = fc_load32_relaxed(&slot->pid);
    uint32_t tid = (uint32_t)(identity & ((1u << TID_BITS) - 1));
    if (syscall(SYS_tgkill, pid, tid, 0) != 0 && errno == ESRCH) return 1;
    snprintf(path, sizeof path, "/proc/%u/task/%u/stat", pid, tid);
    if (!read_thread_stat(path, &stat)) return 0;
    if ((stat.start_time & START_TIME_MASK) != identity >> TID_BITS) return 1;
    return stat.state == 'Z' || stat.state == 'X' || (stat.flags & (PF_EXITING | PF_DUMPCORE | PF_POSTCOREDUMP)) != 0;
}

int fc_liveness_has_died(const fc_cache *cache, uint32_t slot_index)
{
    const fc_slot *slot = fc_slot_at(cache, slot_index);
    uint64_t identity = fc_load_acquire(&slot->identity); /* [slot.claim] */
    if (identity == 0) return 0;
    /* 0 until pid is written, and again before the slot is given up: pid and identity belong together while it is not 0. */
    uint64_t pid_namespace = fc_load_acquire(&slot->pid_namespace); /* [slot.namespace] */
    if (pid_namespace != 0 && pid_namespace == fc_load_relaxed(&cache->pid_namespace) && is_dead_by_proc(slot, identity)) return 1;
    return is_unlocked(cache, slot_index);
}
