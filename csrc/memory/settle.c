/* settle.c -- the one routine that ends a dead session.
 *
 * Steps        under the slot's settle lock:  1 look again that it is dead   2 repeat its redo log   3 finish or undo its multi-key
 *              write   4 free its locks   5 bring its blocks back   6 give the slot up.
 * Invariants   S1: no lock of a dead session is freed before 2 and 3 are done. S2: from 2 on the settler acts *as the dead session*, in
 *              its slot, with its redo log and its owner word; so a settler that dies leaves the same state as a session that died, and
 *              the next settler begins again at 1. S3: a slot's incarnation changes before the slot becomes free. S4: a slot is cleared only under its settle lock, by its
 *              settler or by its own session when that closes; so under the lock "dead?" has one meaning.
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

#include <time.h>

/* A closing session waits so long (20 ms) for somebody who looks at its slot or holds a page of its blocks; then it leaves the slot to be
 * settled. */
#define CLOSE_ATTEMPTS 200u
#define CLOSE_PAUSE_NS 100000

static uint64_t settler_word(const fc_session *session)
{
    return (session->slot_index + 1) | fc_load_relaxed(&session->slot->incarnation) << 16;
}

/* Is whoever holds the slot's settle lock gone? */
static int settler_is_gone(const fc_session *session, uint32_t slot_index, uint64_t owner)
{
    uint32_t settler_index = (uint32_t)(owner & 0xFFFF) - 1;
    if (settler_index >= fc_slot_count(session->cache)) return 0;
    const fc_slot *settler = fc_slot_at(session->cache, settler_index);
    int same = (fc_load_relaxed(&settler->incarnation) & (~UINT64_C(0) >> 16)) == owner >> 16;
    /* The slot's own session holds it while it closes, and changes its incarnation on the way. */
    if (settler_index == slot_index) return fc_load_acquire(&settler->identity) == 0 || fc_liveness_has_died(session->cache, slot_index); /* [slot.claim] */
    if (settler_index == session->slot_index && same) return 0;
    return !same || fc_load_acquire(&settler->identity) == 0 || fc_liveness_has_died(session->cache, settler_index); /* [slot.claim] */
}

/* Takes the settle lock, also from a settler that died. */
static int settle_try_lock(fc_session *session, uint32_t slot_index)
{
    uint64_t *settle_owner = &fc_slot_at(session->cache, slot_index)->settle_owner;
    uint64_t owner = fc_load_acquire(settle_owner); /* [settle.lock] */
    if (owner != 0 && !settler_is_gone(session, slot_index, owner)) return 0;
    return fc_cas_acq_rel(settle_owner, &owner, settler_word(session)); /* [settle.lock] */
}

/* Only if it is still ours: who was taken for gone must not free another's lock. */
static void settle_unlock(fc_session *session, uint32_t slot_index, uint64_t owner)
{
    (void)fc_cas_acq_rel(&fc_slot_at(session->cache, slot_index)->settle_owner, &owner, 0); /* [settle.lock] */
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
        fc_page_repair_hints(ghost, (offset - ghost->cache->geometry.pages_off) / sizeof(fc_page));
    fc_lock_release(owner);
}

/* Steps 5 and 6. 0 if blocks are left whose pages are locked by living sessions. */
static int leave(fc_session *session)
{
    fc_slot *slot = session->slot;
    fc_retire_pending(session);
    if (!fc_page_flush_magazines(session)) return 0;
    fc_store_relaxed(&slot->pid_namespace, 0);
    fc_store_release(&slot->incarnation, fc_load_relaxed(&slot->incarnation) + 1);
    fc_store_release(&slot->identity, 0); /* [slot.claim] */
    return 1;
}

void fc_settle_close(fc_session *session)
{
    uint64_t word = settler_word(session);
    for (uint32_t attempt = 0; attempt < CLOSE_ATTEMPTS; attempt++) {
        if (settle_try_lock(session, session->slot_index)) {
            int left = leave(session);
            settle_unlock(session, session->slot_index, word);
            if (left) return;
        }
        fc_wait_begin(session);
        nanosleep(&(struct timespec){.tv_nsec = CLOSE_PAUSE_NS}, NULL);
        fc_wait_end(session);
    }
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

/* 1 while the slot belongs to the session that opened it with `incarnation`. */
static int is_occupied(const fc_slot *slot, uint64_t incarnation)
{
    return fc_load_acquire(&slot->identity) != 0 && fc_load_relaxed(&slot->incarnation) == incarnation; /* [slot.claim] */
}

fc_status fc_settle(fc_session *session, uint32_t slot_index, uint64_t incarnation)
{
    const fc_slot *slot = fc_slot_at(session->cache, slot_index);
    if (slot_index == session->slot_index) return FC_BUSY;
    /* A spare slot holds nothing, and is taken over by the next opener under the kernel lock alone (session.c). */
    if (slot_index >= session->cache->geometry.sessions_max || !is_occupied(slot, incarnation)) return FC_OK;
    if (!fc_liveness_has_died(session->cache, slot_index) || !settle_try_lock(session, slot_index)) return FC_BUSY;
    /* From here on nobody clears the slot but us, so it cannot change hands between the question and the answer (S4). */
    fc_status status = FC_OK;
    if (is_occupied(slot, incarnation) && !fc_liveness_has_died(session->cache, slot_index)) status = FC_BUSY;
    else if (is_occupied(slot, incarnation)) {
        fc_session ghost;
        fc_settle_impersonate(session, slot_index, &ghost);
        int rolled = release_everything(&ghost);
        fc_stat(session, FC_STAT_ROLLED_FORWARD, (uint64_t)rolled);
        /* What cannot be brought back yet stays in the slot for the next settler. */
        fc_stat(session, FC_STAT_RECOVERIES, (uint64_t)leave(&ghost));
    }
    settle_unlock(session, slot_index, settler_word(session));
    return status;
}

uint32_t fc_settle_all(fc_session *session)
{
    uint32_t settled_count = 0;
    fc_header *header = fc_header_of(session->cache);
    fc_store_relaxed(&header->reap_mono_ns, fc_clock_mono_ns());
    for (uint32_t i = 0; i < session->cache->geometry.sessions_max; i++) {
        const fc_slot *slot = fc_slot_at(session->cache, i);
        uint64_t incarnation = fc_load_relaxed(&slot->incarnation);
        if (fc_load_acquire(&slot->identity) == 0) continue; /* [slot.claim] */
        if (i != session->slot_index && fc_settle(session, i, incarnation) == FC_OK) settled_count++;
    }
    return settled_count;
}
