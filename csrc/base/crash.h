/* crash.h -- see crash.c. Only in builds with FC_CRASH_POINTS. */
#ifndef FC_BASE_CRASH_H
#define FC_BASE_CRASH_H

#include <stdint.h>

/* Raises `signal_number` at the calling thread's `store_number`-th store to shared memory from now; 0: only count. */
void fc_crash_arm(uint64_t store_number, int signal_number);
/* Stores since fc_crash_arm. */
uint64_t fc_crash_count(void);

#endif
