/* tick_clock.h -- the wall clock carried on by the processor's cycle counter, private to one session: 9 ns against 24 for the precise
 * clock (measured). For the write times of values, whose promise is 1 us; not for expiry, which the kernel's clocks decide.
 *
 * Every FC_TICK_WINDOW_NS the precise clock is read and becomes the new anchor; in between the counter is added to it, at the rate that the
 * last two anchors gave. The error is that of the rate over one window (50 ppm of 1 ms: 50 ns; worst of 30 million readings: 287 ns), and a
 * step of the wall clock shows at most one window late. Whenever two anchors disagree (first call, migrated or suspended machine, stepped
 * clock), or the processor does not promise a steady counter, every reading is the precise clock's. So it is on aarch64.
 */
#ifndef FC_BASE_TICK_CLOCK_H
#define FC_BASE_TICK_CLOCK_H

#include "base/clock.h"

#define FC_TICK_WINDOW_NS 1000000u

/* All 0 at the beginning. */
typedef struct fc_tick_clock {
    uint64_t anchor_ticks;
    uint64_t anchor_unix_ns;
    uint64_t window_ticks;       /* 0: the rate is not known */
    uint64_t rate;               /* ns a tick, in units of 2^-32 */
    uint64_t steadiness;         /* of the counter: 0 not asked yet, 1 steady, 2 not */
} fc_tick_clock;

/* Reads the precise clock, and makes it the anchor if the counter could be read in the same moment. */
uint64_t fc_tick_clock_anchor(fc_tick_clock *clock);

static inline uint64_t fc_tick_clock_unix_ns(fc_tick_clock *clock)
{
#if defined(__x86_64__)
    uint64_t passed = __builtin_ia32_rdtsc() - clock->anchor_ticks;
    if (__builtin_expect(passed < clock->window_ticks, 1)) return clock->anchor_unix_ns + (passed * clock->rate >> 32) + (uint64_t)fc_clock_shift_ns;
#endif
    return fc_tick_clock_anchor(clock);
}

#endif
