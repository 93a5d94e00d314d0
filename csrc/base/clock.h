/* clock.h -- the clocks of the engine, all in nanoseconds.
 *
 * CLOCK_REALTIME_COARSE costs 5 ns against 24 ns for the precise clock (measured), but lags by up to one tick (4 ms at HZ=250,
 * 10 ms at HZ=100). Expiry is decided by the coarse clock unless the deadline is within FC_COARSE_LAG_NS of it.
 * A test may shift the wall clock of its own process with fc_clock_shift_for_test.
 */
#ifndef FC_BASE_CLOCK_H
#define FC_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Two ticks of the slowest kernel in use (HZ=100): the coarse clock is never further behind than one. */
#define FC_COARSE_LAG_NS UINT64_C(20000000)

extern int64_t fc_clock_shift_ns;

static inline uint64_t fc_clock_read(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static inline uint64_t fc_clock_unix_ns(void) { return fc_clock_read(CLOCK_REALTIME) + (uint64_t)fc_clock_shift_ns; }
static inline uint64_t fc_clock_unix_coarse_ns(void) { return fc_clock_read(CLOCK_REALTIME_COARSE) + (uint64_t)fc_clock_shift_ns; }
static inline uint64_t fc_clock_mono_ns(void) { return fc_clock_read(CLOCK_MONOTONIC); }

/* 1 if `expires_unix_ns` (not 0) has come. */
static inline int fc_clock_is_past(uint64_t expires_unix_ns)
{
    uint64_t coarse = fc_clock_unix_coarse_ns();
    if (expires_unix_ns <= coarse) return 1;
    if (expires_unix_ns - coarse > FC_COARSE_LAG_NS) return 0;
    return expires_unix_ns <= fc_clock_unix_ns();
}

/* Moves this process's wall clock. Tests only: time is injected, not slept. */
void fc_clock_shift_for_test(int64_t shift_ns);

#endif
