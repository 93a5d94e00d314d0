/* tick_clock.c -- how anchors are set; see tick_clock.h. */
#include "base/tick_clock.h"

#if defined(__x86_64__)
#include <cpuid.h>

/* Anchors nearer to each other than this say too little of the rate (50 ns of 0.5 ms are 100 ppm); between further ones too much happens. */
#define ANCHOR_DISTANCE_NS_MIN 500000u
#define ANCHOR_DISTANCE_NS_MAX 1000000000u
/* A read of both clocks that took longer was interrupted. */
#define READ_TICKS_MAX 1000u
/* How far two rates may differ: 2^-10. */
#define RATE_TOLERANCE_SHIFT 10

/* CPUID 0x80000007, EDX bit 8: the counter runs at one rate in all power states (AMD64 manual vol. 3; Intel SDM vol. 3, 18.17). */
static int ticks_are_steady(fc_tick_clock *clock)
{
    unsigned a, b, c, d;
    if (clock->steadiness == 0) clock->steadiness = __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d & 1u << 8) != 0 ? 1 : 2;
    return clock->steadiness == 1;
}

static void set_anchor(fc_tick_clock *clock, uint64_t ticks, uint64_t unix_ns)
{
    uint64_t passed_ns = unix_ns - clock->anchor_unix_ns, passed_ticks = ticks - clock->anchor_ticks;
    if (clock->anchor_unix_ns != 0 && passed_ns < ANCHOR_DISTANCE_NS_MIN) return;
    uint64_t rate = passed_ns > ANCHOR_DISTANCE_NS_MAX || passed_ticks == 0 ? 0 : (passed_ns << 32) / passed_ticks;
    uint64_t difference = rate > clock->rate ? rate - clock->rate : clock->rate - rate;
    clock->window_ticks = rate != 0 && difference <= clock->rate >> RATE_TOLERANCE_SHIFT ? ((uint64_t)FC_TICK_WINDOW_NS << 32) / rate : 0;
    clock->rate = rate;
    clock->anchor_ticks = ticks;
    clock->anchor_unix_ns = unix_ns;
}

uint64_t fc_tick_clock_anchor(fc_tick_clock *clock)
{
    uint64_t before = __builtin_ia32_rdtsc();
    uint64_t unix_ns = fc_clock_read(CLOCK_REALTIME);
    uint64_t after = __builtin_ia32_rdtsc();
    if (after - before <= READ_TICKS_MAX && ticks_are_steady(clock)) set_anchor(clock, before + (after - before) / 2, unix_ns);
    return unix_ns + (uint64_t)fc_clock_shift_ns;
}
#else
uint64_t fc_tick_clock_anchor(fc_tick_clock *clock)
{
    (void)clock;
    return fc_clock_unix_ns();
}
#endif
