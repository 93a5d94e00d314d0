/* settle.c -- the one routine that ends a dead session.
 *
 * Steps        under the slot's settle lock:  1 look again that it is dead   2 repeat its redo log   3 finish or undo its multi-key
 *              write   4 free its locks   5 bring its blocks back   6 give the slot up.
 * Invariants   S1: no lock of a dead session is freed before 2 and 3 are done. S2: from 2 on the settler acts *as the dead session*, in
 *              its slot, with its redo log and its owner word; so a settler that dies leaves the same state as a session that died, and
 *              the next settler begins again at 1. S3: a slot's incarnation changes before the slot becomes free.
 * Rejected     taking over one lock and settling the rest later; settling the journal by asking the index; freeing locks before the
 *              journal is done: each leaks, frees twice or rolls over a newer value after one crash (tools/models/settle.pml).
 * Pairs        [settle.lock] release in settle_unlock <-> acquire in settle_try_lock; [slot.claim] release of identity <-> acquire by claimants
 * Crash points every store; tests/c/crash runs settling itself with a death at each.
 */
#include "memory/settle.h"

#include "base/clock.h"
#include "memory/journal.h"
#include "memory/liveness.h"
#include "memory/lock.h"
#include "memory/multi.h"
#include "memory/page.h"
#include "memory/retire.h"

static uint64_t settler_word(const fc_session *session)
{
    return (session->slot_index + 1) | fc_load_relaxed(&session->slot->incarnation) << 16;
}

/* Takes the settle lock, also from a settler that died. */
static int settle_try_lock(fc_session *session, fc_slot *slot)
{
    uint64_t owner = fc_load_acquire(&slot->settle_owner); /* [settle.lock] */
    if (owner != 0) {
        uint32_t settler_index = (uint32_t)(owner & 0xFFFF) - 1;
        if (settler_index >= fc_slot_count(session->cache)) return 0;
        uint64_t incarnation = fc_load_relaxed(&fc_slot_at(session->cache, settler_index)->incarnation);
        int same = (incarnation & (~UINT64_C(0) >> 16)) == owner >> 16;
        if (settler_index == session->slot_index && same) return 0;
        if (same && !fc_liveness_is_dead(session->cache, settler_index, incarnation)) return 0;
    }
    return fc_cas_acq_rel(&slot->settle_owner, &owner, settler_word(session)); /* [settle.lock] */
}

static void settle_unlock(fc_slot *slot)
{
    fc_store_release(&slot->settle_owner, 0); /* [settle.lock] */
}

void fc_settle_impersonate(fc_session *settler, uint32_t slot_index, fc_session *ghost)
{
    *ghost = *settler;
    ghost->slot_index = slot_index;
    ghost->slot = fc_slot_at(settler->cache, slot_index);
    ghost->stats = ghost->slot->stats;
    ghost->owner_word = fc_owner_word(slot_index, fc_load_relaxed(&ghost->slot->incarnation));
    ghost->garbage = 1;
    ghost->next_of_thread = NULL;
    ghost->lock_page = NULL;
    ghost->settler = settler;
}

/* Frees the lock that the journal names for a role, if the dead session holds it. */
static void free_lock(fc_session *ghost, uint32_t role)
{
    uint64_t offset = fc_load_relaxed(&ghost->slot->locks[role]);
    uint32_t *owner = fc_at(ghost, offset);
    if (offset == 0 || fc_load32_relaxed(owner) != ghost->owner_word) return;
    if (role == FC_LOCK_PAGE || role == FC_LOCK_EVACUATED) /* A3 of page.h */
        fc_page_set_hints(ghost, (offset - ghost->cache->geometry.pages_off) / sizeof(fc_page));
    fc_lock_release(owner);
}

int fc_settle_leave(fc_session *session)
{
    fc_slot *slot = session->slot;
    fc_retire_pending(session);
    if (!fc_page_flush_magazines(session)) return 0;
    fc_store_relaxed(&slot->pid_namespace, 0);
    fc_store_release(&slot->incarnation, fc_load_relaxed(&slot->incarnation) + 1);
    fc_store_release(&slot->identity, 0); /* [slot.claim] */
    return 1;
}

/* Steps 2 to 4: after them nobody waits for the dead session any more. */
static int release_everything(fc_session *ghost)
{
    uint64_t redo_count = fc_load_relaxed(&ghost->slot->redo_count);
    if (redo_count > 0 && redo_count <= FC_REDO_MAX) fc_redo_apply(ghost, redo_count);
    int rolled = redo_count > 0 || fc_multi_status(fc_load_relaxed(&ghost->slot->multi.state)) == FC_MULTI_COMMITTED;
    /* Pages first, for giving blocks back needs them. A home named here may also be one of the multi-key write's: after it. */
    free_lock(ghost, FC_LOCK_PAGE);
    free_lock(ghost, FC_LOCK_EVACUATED);
    fc_multi_finish(ghost);
    free_lock(ghost, FC_LOCK_HOME);
    free_lock(ghost, FC_LOCK_VICTIM);
    return rolled;
}

fc_status fc_settle(fc_session *session, uint32_t slot_index, uint64_t incarnation)
{
    fc_slot *slot = fc_slot_at(session->cache, slot_index);
    if (slot_index == session->slot_index) return FC_BUSY;
    if (!fc_liveness_is_dead(session->cache, slot_index, incarnation)) return FC_BUSY;
    if (fc_load_relaxed(&slot->incarnation) != incarnation) return FC_OK;
    if (!settle_try_lock(session, slot)) return FC_BUSY;
    if (fc_load_acquire(&slot->identity) != 0 && fc_load_relaxed(&slot->incarnation) == incarnation) { /* [slot.claim] */
        fc_session ghost;
        fc_settle_impersonate(session, slot_index, &ghost);
        int rolled = release_everything(&ghost);
        fc_stat(session, FC_STAT_ROLLED_FORWARD, (uint64_t)rolled);
        /* What cannot be brought back yet stays in the slot for the next settler. */
        fc_stat(session, FC_STAT_RECOVERIES, (uint64_t)fc_settle_leave(&ghost));
    }
    settle_unlock(slot);
    return FC_OK;
}

uint32_t fc_settle_all(fc_session *session)
{
    uint32_t settled_count = 0;
    fc_header *header = fc_header_of(session->cache);
    fc_store_relaxed(&header->reap_mono_ns, fc_clock_mono_ns());
    for (uint32_t i = 0; i < fc_slot_count(session->cache); i++) {
        const fc_slot *slot = fc_slot_at(session->cache, i);
        uint64_t incarnation = fc_load_relaxed(&slot->incarnation);
        if (fc_load_acquire(&slot->identity) == 0) continue; /* [slot.claim] */
        if (i != session->slot_index && fc_settle(session, i, incarnation) == FC_OK) settled_count++;
    }
    return settled_count;
}
