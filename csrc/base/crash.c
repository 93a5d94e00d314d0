/* crash.c -- the instrumented build's way to die, or to stop, between two stores to shared memory.
 *
 * fc_crash_arm(n, signal) raises `signal` at this thread's n-th store from now, before the store happens. SIGKILL proves P2,
 * SIGSTOP proves P13 and P5. With n = 0 the stores are only counted; fc_crash_count tells how many there were.
 */
#ifdef FC_CRASH_POINTS
#include "base/crash.h"

#include "base/atomics.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

static __thread uint64_t store_count;
static __thread uint64_t stop_at;
static __thread int stop_signal;

void fc_crash_arm(uint64_t store_number, int signal_number)
{
    store_count = 0;
    stop_at = store_number;
    stop_signal = signal_number;
}

uint64_t fc_crash_count(void)
{
    return store_count;
}

void fc_crash_point(void)
{
    if (++store_count == stop_at) syscall(SYS_kill, getpid(), stop_signal);
}
#else
/* ISO C forbids an empty file. */
typedef int fc_crash_absent;
#endif
