/* test_tick_clock.c -- the session's clock stays with the kernel's (csrc/base/tick_clock.h). */
#include "base/tick_clock.h"
#include "check.h"

/* Readings that were interrupted prove nothing; where all of them are (emulation), none does. */
#define UNINTERRUPTED_NS 1000u
#define ATTEMPTS_MAX 1000
#define PROMISED_NS 1000u

static uint64_t error_of(fc_tick_clock *clock)
{
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        uint64_t before = fc_clock_unix_ns();
        uint64_t between = fc_tick_clock_unix_ns(clock);
        uint64_t after = fc_clock_unix_ns();
        if (after < before || after - before > UNINTERRUPTED_NS) continue;
        return between < before ? before - between : between > after ? between - after : 0;
    }
    return 0;
}

/* Every reading is within 1 us of the precise clock, whether the counter carries it or an anchor is due. */
static void readings_are_within_a_microsecond(void)
{
    fc_tick_clock clock = {0};
    uint64_t worst = 0;
    for (int i = 0; (uint64_t)i < check_rounds(300000); i++) {
        uint64_t error = error_of(&clock);
        if (error > worst) worst = error;
    }
    CHECK(worst <= PROMISED_NS);
}

/* A reading long after the last one takes a new anchor instead of carrying the old one on. */
static void an_old_anchor_is_not_believed(void)
{
    fc_tick_clock clock = {0};
    for (int i = 0; i < 100000; i++) (void)fc_tick_clock_unix_ns(&clock);
    clock.anchor_ticks -= 10 * clock.window_ticks + 1;
    CHECK(error_of(&clock) <= PROMISED_NS);
}

/* Two anchors that disagree (a stepped clock, another machine) make the next readings the precise clock's. */
static void a_changed_rate_is_not_believed(void)
{
    fc_tick_clock clock = {0};
    for (int i = 0; i < 300000; i++) (void)fc_tick_clock_unix_ns(&clock);
    uint64_t rate = clock.rate;
    clock.anchor_unix_ns -= 700000; /* as if the clock had been set forward by 0.7 ms since */
    clock.window_ticks = 0;
    CHECK(error_of(&clock) <= PROMISED_NS);
    if (rate != 0 && clock.rate != rate) CHECK_EQUAL(0, clock.window_ticks);
    CHECK(error_of(&clock) <= PROMISED_NS);
}

/* A test's shift of the wall clock moves it at once. */
static void the_tests_shift_counts(void)
{
    fc_tick_clock clock = {0};
    for (int i = 0; i < 100000; i++) (void)fc_tick_clock_unix_ns(&clock);
    fc_clock_shift_for_test(5000000000);
    CHECK(error_of(&clock) <= PROMISED_NS);
    fc_clock_shift_for_test(0);
}

int main(void)
{
    RUN(readings_are_within_a_microsecond);
    RUN(an_old_anchor_is_not_believed);
    RUN(a_changed_rate_is_not_believed);
    RUN(the_tests_shift_counts);
    return check_report();
}
