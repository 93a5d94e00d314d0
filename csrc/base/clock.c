/* clock.c -- the test's hand on the wall clock. */
#include "base/clock.h"

int64_t fc_clock_shift_ns = 0;

void fc_clock_shift_for_test(int64_t shift_ns)
{
    fc_clock_shift_ns = shift_ns;
}
