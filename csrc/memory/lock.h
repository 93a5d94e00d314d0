/* lock.h -- owner-recorded locks: homes and pages.
 *
 * A lock is a 32-bit word: 0 or fc_owner_word of the session that holds it. Its offset goes into the session's journal before the
 * compare-and-swap, so that the settler of a dead session finds every lock it may hold.
 *
 * Waiting      spin, then sleep 20 to 200 us between looks, inside the session's wait hooks. Every look asks whether the owner is alive; a dead owner is settled as a
 *              whole and the lock comes free. A futex would wake sooner, but holders need 50 ns, and nobody wakes waiters for the dead.
 * Pairs        [lock.hand-over] release in fc_lock_release <-> acquire in fc_lock_try
 */
#ifndef FC_MEMORY_LOCK_H
#define FC_MEMORY_LOCK_H

#include "memory/handle.h"

static inline int fc_lock_try_word(fc_session *session, uint32_t *word)
{
    uint32_t expected = 0;
    return fc_cas32_acquire(word, &expected, session->owner_word); /* [lock.hand-over] */
}

/* One attempt; `role` is FC_LOCK_*. Never waits, never settles. */
static inline int fc_lock_try(fc_session *session, uint32_t role, uint32_t *word)
{
    fc_store_relaxed(&session->slot->locks[role], fc_offset_of(session, word));
    fc_compiler_order();
    return fc_lock_try_word(session, word);
}

static inline void fc_lock_release(uint32_t *word)
{
    fc_store32_release(word, 0); /* [lock.hand-over] */
}

/* Waits for the lock at `word`, whose offset is in the journal already, until the session's timeout. FC_BUSY names the owner. */
FC_MUST_USE fc_status fc_lock_wait(fc_session *session, uint32_t *word, uint64_t deadline_mono_ns);

/* Takes a home's lock, waiting at most the session's timeout. */
FC_MUST_USE static inline fc_status fc_lock_home(fc_session *session, fc_bucket *home)
{
    if (FC_LIKELY(fc_lock_try(session, FC_LOCK_HOME, &home->owner))) return FC_OK;
    return fc_lock_wait(session, &home->owner, 0);
}

/* Settles the owner of the lock if it is dead. 1 if it was. */
int fc_lock_settle_owner(fc_session *session, const uint32_t *word);

#endif
