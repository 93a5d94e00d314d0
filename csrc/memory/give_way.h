/* give_way.h -- writers let a cut pass that would find no end beside them.
 *
 * A consistent cut (table/cut.c) looks for a moment in which none of its keys changes. A writer on another core that sets these very keys
 * every 70 ns leaves none: what it changes comes over to the reader more slowly than it changes the next. So a cut that has read many keys
 * anew raises a sign in the header, and whoever begins a write waits, holding nothing, until the sign is lowered or its time is up.
 *
 * Guarantees   It is a sign and no lock: no result depends on anybody's obeying it. A reader that dies or is stopped leaves a sign that runs
 *              out after FC_GIVE_WAY_NS. A session gives way for that long at most, and then goes on for as long as it waited before it does so again:
 *              a writer has half of its time, however many cuts there are. Read-only sessions cannot raise it (P6): their cuts go on trying.
 * Cost         a write loads one word of a line that it needs in any case.
 * Clock        CLOCK_MONOTONIC. A sign from another time namespace looks past or far ahead; both count as run out.
 */
#ifndef FC_MEMORY_GIVE_WAY_H
#define FC_MEMORY_GIVE_WAY_H

#include "memory/handle.h"

/* A cut of 500 keys needs 20 to 40 us from the sign on. */
#define FC_GIVE_WAY_NS UINT64_C(50000)

/* Raises the sign, and returns what is to be lowered; 0 from a read-only session. */
uint64_t fc_give_way_raise(fc_session *session);
/* Lowers it, unless somebody has raised another since. 0 is allowed. */
void fc_give_way_lower(fc_session *session, uint64_t raised);

void fc_give_way_wait(fc_session *session, uint64_t until_mono_ns);

/* Before a write takes its first lock. */
static inline void fc_give_way(fc_session *session)
{
    uint64_t until_mono_ns = fc_load_relaxed(&fc_header_of(session->cache)->cut_until_mono_ns); /* a sign: nothing is read on the strength of it */
    if (FC_UNLIKELY(until_mono_ns != 0)) fc_give_way_wait(session, until_mono_ns);
}

#endif
