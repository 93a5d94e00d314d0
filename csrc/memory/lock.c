/* lock.c -- the waiting half of lock.h. */
#include "memory/lock.h"

#include "base/clock.h"
#include "memory/liveness.h"
#include "memory/settle.h"

#include <time.h>

#define SPINS 256
#define SLEEP_NS_MIN 20000
#define SLEEP_NS_MAX 200000

/* Slot and incarnation behind an owner word. 0 if the word names no session that is there. */
static int find_owner(const fc_cache *cache, uint32_t owner, uint32_t *slot_index, uint64_t *incarnation)
{
    if ((owner & FC_OWNER_SLOT_MASK) == 0 || (owner & FC_OWNER_SLOT_MASK) > fc_slot_count(cache)) return 0;
    *slot_index = (owner & FC_OWNER_SLOT_MASK) - 1;
    *incarnation = fc_load_relaxed(&fc_slot_at(cache, *slot_index)->incarnation);
    return fc_owner_word(*slot_index, *incarnation) == owner;
}

int fc_lock_settle_owner(fc_session *session, const uint32_t *word)
{
    uint32_t slot_index;
    uint64_t incarnation;
    uint32_t owner = fc_load32_acquire(word); /* [lock.hand-over] */
    if (owner == session->owner_word || !find_owner(session->cache, owner, &slot_index, &incarnation)) return 0;
    return fc_settle(session->settler != NULL ? session->settler : session, slot_index, incarnation) == FC_OK;
}

static fc_status busy(fc_session *session, uint32_t owner)
{
    uint32_t slot_index;
    uint64_t incarnation;
    fc_stat(session, FC_STAT_BUSY, 1);
    if (!find_owner(session->cache, owner, &slot_index, &incarnation)) return fc_fail(FC_BUSY, "the owner changed at the deadline");
    const fc_slot *slot = fc_slot_at(session->cache, slot_index);
    uint32_t settler_index = (uint32_t)(fc_load_relaxed(&slot->settle_owner) & 0xFFFF) - 1; /* a hint: it may change as we look */
    if (settler_index < fc_slot_count(session->cache) && settler_index != session->slot_index) {
        const fc_slot *settler = fc_slot_at(session->cache, settler_index);
        return fc_fail(FC_BUSY, "held by pid %u, tid %u, which is dead and being settled by pid %u, tid %u", fc_load32_relaxed(&slot->pid),
                       fc_load32_relaxed(&slot->tid), fc_load32_relaxed(&settler->pid), fc_load32_relaxed(&settler->tid));
    }
    return fc_fail(FC_BUSY, "held by pid %u, tid %u", fc_load32_relaxed(&slot->pid), fc_load32_relaxed(&slot->tid));
}

/* Settles a dead owner, or sleeps until the next look. The lock is not tried in here: it must not be held while the hook `after` waits for
 * something else. */
static void wait_for_owner(fc_session *session, const uint32_t *word, uint64_t deadline_mono_ns, long *sleep_ns)
{
    fc_wait_begin(session);
    if (!fc_lock_settle_owner(session, word) && fc_clock_mono_ns() < deadline_mono_ns) {
        nanosleep(&(struct timespec){.tv_nsec = *sleep_ns}, NULL);
        if (*sleep_ns < SLEEP_NS_MAX) *sleep_ns *= 2;
    }
    fc_wait_end(session);
}

fc_status fc_lock_wait(fc_session *session, uint32_t *word, uint64_t deadline_mono_ns)
{
    long sleep_ns = SLEEP_NS_MIN;
    fc_stat(session, FC_STAT_LOCK_WAITS, 1);
    if (deadline_mono_ns == 0) deadline_mono_ns = fc_clock_mono_ns() + session->timeout_ns;
    for (;;) {
        for (int i = 0; i < SPINS; i++) {
            if (fc_load32_relaxed(word) == 0 && fc_lock_try_word(session, word)) return FC_OK;
            fc_spin_pause();
        }
        uint32_t owner = fc_load32_relaxed(word);
        if (owner != 0) wait_for_owner(session, word, deadline_mono_ns, &sleep_ns);
        if (fc_clock_mono_ns() >= deadline_mono_ns) return fc_lock_try_word(session, word) ? FC_OK : busy(session, owner);
    }
}
