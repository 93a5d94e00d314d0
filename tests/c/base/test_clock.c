/* test_clock.c -- the injected clock and the expiry decision of csrc/base/clock.h. */
#include "../check.h"

/* The shift moves both wall clocks of this process and not the monotonic one. */
static void the_shift_moves_wall_clocks_only(void)
{
    uint64_t wall = fc_clock_unix_ns(), mono = fc_clock_mono_ns();
    fc_clock_shift_for_test(INT64_C(3600000000000));
    CHECK(fc_clock_unix_ns() - wall >= UINT64_C(3600000000000));
    CHECK(fc_clock_unix_coarse_ns() - wall >= UINT64_C(3590000000000));
    CHECK(fc_clock_mono_ns() - mono < UINT64_C(3600000000000));
    fc_clock_shift_for_test(-INT64_C(3600000000000));
    CHECK(fc_clock_unix_ns() < wall);
}

/* A deadline within the coarse clock's lag is decided by the precise clock: one nanosecond ago is past, a minute ahead is not. */
static void a_deadline_is_decided_to_the_nanosecond(void)
{
    CHECK(fc_clock_is_past(1));
    CHECK(fc_clock_is_past(fc_clock_unix_ns() - 1));
    CHECK(fc_clock_is_past(fc_clock_unix_ns()));
    CHECK(!fc_clock_is_past(fc_clock_unix_ns() + UINT64_C(60000000000)));
    CHECK(!fc_clock_is_past(UINT64_MAX));
    uint64_t deadline = fc_clock_unix_ns() + 3 * FC_COARSE_LAG_NS;
    CHECK(!fc_clock_is_past(deadline));
    fc_clock_shift_for_test((int64_t)(3 * FC_COARSE_LAG_NS));
    CHECK(fc_clock_is_past(deadline));
}

/* The coarse clock lags behind by less than the constant says, and is never ahead. */
static void the_coarse_clock_lags_less_than_the_constant(void)
{
    for (int i = 0; i < 10000; i++) {
        uint64_t coarse = fc_clock_unix_coarse_ns();
        uint64_t precise = fc_clock_unix_ns();
        CHECK(coarse <= precise);
        uint64_t precise_before = fc_clock_unix_ns();
        CHECK(fc_clock_unix_coarse_ns() + FC_COARSE_LAG_NS > precise_before);
    }
}

int main(void)
{
    RUN(the_shift_moves_wall_clocks_only);
    RUN(a_deadline_is_decided_to_the_nanosecond);
    RUN(the_coarse_clock_lags_less_than_the_constant);
    return check_report();
}
