/* reclaim.h -- gets memory for a write when the session has none at hand.
 *
 * Order         the session's magazine; a page of the class; a free page; what was flushed; what the dead hold; then, by policy, the
 *               least wanted keys, or (noeviction) what has expired; then pages whose blocks fit elsewhere are emptied; then a block
 *               of a larger class. Only then FC_OUT_OF_MEMORY. So no class fails while memory is idle in another (P8).
 * Waiting       never: victims' homes and pages are only tried, so a write may ask while it holds its own home's lock.
 * Rule          no block may be under construction in a magazine when one of these is called: magazines may be emptied.
 */
#ifndef FC_TABLE_RECLAIM_H
#define FC_TABLE_RECLAIM_H

#include "memory/handle.h"

/* Sees to a block at the top of the magazine of *kind; *kind may become a larger class. */
FC_MUST_USE fc_status fc_reclaim_more(fc_session *session, uint32_t *kind);

FC_MUST_USE static inline fc_status fc_reclaim_reserve(fc_session *session, uint32_t *kind)
{
    if (FC_LIKELY(fc_load_relaxed(&session->slot->magazines[*kind].count) > 0)) return FC_OK;
    return fc_reclaim_more(session, kind);
}

/* The same for a new key. Under noeviction it leaves a block of the class at hand, so that the session can still overwrite when the segment
 * is full: an overwrite needs a block beside the one that it frees. */
FC_MUST_USE fc_status fc_reclaim_reserve_growth(fc_session *session, uint32_t *kind);

/* fc_page_take (memory/page.h) with everything above behind it. */
FC_MUST_USE fc_status fc_reclaim_take_page(fc_session *session, fc_ref *list, fc_ref *page);

/* Removes expired and flushed values from `count` homes, beginning where the last sweep ended. Returns how many values. */
uint64_t fc_reclaim_sweep(fc_session *session, uint64_t count);

/* Counts a new key: moves the access clock on when a 64th of the keys is new. */
void fc_reclaim_count_insert(fc_session *session);

#endif
