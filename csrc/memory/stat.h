/* stat.h -- the counters of a session, one 64-bit word each, written by the session alone.
 *
 * They stay in the slot when the session ends: a total is the sum over all slots, a session's own figure the difference to the
 * value it found (stats_base). So nothing has to be folded when a process dies.
 */
#ifndef FC_MEMORY_STAT_H
#define FC_MEMORY_STAT_H

#include "layout/layout.h"

/* FC_STAT(NAME, field of fc_stats) */
#define FC_STAT_LIST(FC_STAT)                 \
    FC_STAT(GETS, gets)                       \
    FC_STAT(HITS, hits)                       \
    FC_STAT(MISSES, misses)                   \
    FC_STAT(SETS, sets)                       \
    FC_STAT(DELETES, deletes)                 \
    FC_STAT(READ_RETRIES, read_retries)       \
    FC_STAT(CONTENDED, contended)             \
    FC_STAT(LOCK_WAITS, lock_waits)           \
    FC_STAT(BUSY, busy)                       \
    FC_STAT(RECOVERIES, recoveries)           \
    FC_STAT(ROLLED_FORWARD, rolled_forward)   \
    FC_STAT(EXPIRED, expired)                 \
    FC_STAT(EVICTED, evicted)                 \
    FC_STAT(FLUSHED, flushed)                 \
    FC_STAT(PAGES_MOVED, pages_moved)         \
    FC_STAT(MULTI_COMMITS, multi_commits)     \
    FC_STAT(OUT_OF_MEMORY, out_of_memory)

enum {
#define FC_STAT_ENUM(NAME, field) FC_STAT_##NAME,
    FC_STAT_LIST(FC_STAT_ENUM)
#undef FC_STAT_ENUM
    FC_STAT_USED,
};

static_assert(FC_STAT_USED <= FC_STAT_COUNT, "every counter has a word in the slot");

#endif
