/* session.c -- the registry of sessions.
 *
 * Opening      claim a slot: kernel lock on its byte, then identity by compare-and-swap. The dead in the slots before it are settled then.
 *              When every ordinary slot is taken, the opener takes one of FC_SLOTS_SPARE behind them for a moment, just to have an
 *              identity with which to settle the dead.
 * Spare slots  never hold blocks or locks, only settle locks; a spare slot whose owner died is therefore taken over directly by whoever
 *              gets its kernel lock.
 * Threads      a pthread key closes a thread's sessions when it ends. fork: see handle.h. exec: the kernel lock goes, liveness.c.
 * Signals      a write that interrupts a write of its own session is refused (FC_REENTERED); reads are always allowed.
 */
#include "memory/session.h"

#include "base/clock.h"
#include "memory/liveness.h"
#include "memory/page.h"
#include "memory/session_pool.h"
#include "memory/settle.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TIMEOUT_NS_DEFAULT UINT64_C(100000000)
#define TIMEOUT_NS_MAX (UINT64_MAX / 4)
/* All magazines of all sessions together may hold a quarter of the arena, and one session's 256 KiB. */
#define MAGAZINE_BYTES_MAX (UINT64_C(256) << 10)

static pthread_key_t thread_key;
static pthread_once_t thread_key_once = PTHREAD_ONCE_INIT;

/* ------------------------------------------------------------------ threads */

/* The thread ended in the middle of a write, in a wait hook: others settle the slot, as if it had been killed, and the handle is free. */
static void abandon(fc_session *session)
{
    if (session->slot != NULL) fc_liveness_unlock(session->lock_page);
    fc_session_pool_put(session);
}

static void close_sessions_of_thread(void *first)
{
    for (fc_session *session = first; session != NULL && session->state == FC_SESSION_OPEN;) {
        fc_session *next = session->next_of_thread;
        pthread_setspecific(thread_key, next);
        session->wait_before = session->wait_after = NULL; /* an interpreter has forgotten the thread by now */
        if (session->writing) abandon(session);
        else (void)fc_session_close(session);
        session = next;
    }
}

static void create_thread_key(void)
{
    pthread_key_create(&thread_key, close_sessions_of_thread);
}

static void remember_in_thread(fc_session *session)
{
    pthread_once(&thread_key_once, create_thread_key);
    session->next_of_thread = pthread_getspecific(thread_key);
    pthread_setspecific(thread_key, session);
}

static void forget_in_thread(fc_session *session)
{
    fc_session *first = pthread_getspecific(thread_key);
    if (first == session) {
        pthread_setspecific(thread_key, session->next_of_thread);
        return;
    }
    while (first != NULL && first->next_of_thread != session) first = first->next_of_thread;
    if (first != NULL) first->next_of_thread = session->next_of_thread;
}

fc_status fc_session_refuse(const fc_session *session)
{
    if (session == NULL) return fc_fail(FC_INVALID_ARGUMENT, "the session is NULL");
    if (session->state == FC_SESSION_WIPED) return fc_fail(FC_FORKED, "pid %d", (int)getpid());
    if (session->state == FC_SESSION_CLOSED) return fc_fail(FC_CLOSED, "%s", "");
    return fc_fail(FC_WRONG_THREAD, "opened by another thread than %ld", (long)syscall(SYS_gettid));
}

/* 1 if another thread of this process has the session open. */
static int is_open_elsewhere(const fc_session *session)
{
    uint32_t state = fc_load32_acquire(&session->state); /* [session.state] */
    return state == FC_SESSION_OPENING || (state == FC_SESSION_OPEN && fc_load_relaxed(&session->thread) != fc_thread_pointer());
}

fc_status fc_session_close_all(fc_cache *cache)
{
    for (const fc_session_node *node = fc_session_pool_first(cache); node != NULL; node = node->next)
        if (is_open_elsewhere(node->session)) return fc_fail(FC_BUSY, "another thread has a session open on segment %s", cache->name);
    for (const fc_session_node *node = fc_session_pool_first(cache); node != NULL; node = node->next) {
        if (node->session->state == FC_SESSION_OPEN) (void)fc_session_close(node->session);
        else if (node->session->state == FC_SESSION_WIPED) forget_in_thread(node->session);
    }
    fc_session_pool_drop(cache);
    return FC_OK;
}

/* ------------------------------------------------------------------ slots */

fc_status fc_session_renew_stamp(fc_session *session)
{
    uint64_t serial = fc_fetch_add(&fc_header_of(session->cache)->serial_next, 1);
    if (serial > FC_STAMP_SERIAL_MAX) return fc_fail(FC_EXHAUSTED, "%" PRIu64 " session serials were given out", serial);
    session->stamp_next = serial << FC_STAMP_COUNTER_BITS | 1;
    return FC_OK;
}

/* A closing session that died just before it freed its own settle lock left it behind. 0: somebody else holds it, who may be stopped; the
 * slot's next session could then not be settled, so the opener takes another slot. */
static int clear_settle_lock(fc_slot *slot, uint32_t slot_index)
{
    uint64_t owner = fc_load_acquire(&slot->settle_owner); /* [settle.lock] */
    if (owner == 0) return 1;
    return (owner & 0xFFFF) == slot_index + 1 && fc_cas_acq_rel(&slot->settle_owner, &owner, 0); /* [settle.lock] */
}

/* Tries to make a free slot the caller's. FC_BUSY if it is not free. */
static fc_status claim_slot(fc_cache *cache, uint32_t slot_index, void **lock_page)
{
    fc_slot *slot = fc_slot_at(cache, slot_index);
    uint64_t nobody = 0;
    int is_spare = slot_index >= cache->geometry.sessions_max;
    if (fc_load_relaxed(&slot->identity) != 0 && !is_spare) return FC_BUSY;
    uint64_t identity = fc_liveness_identity();
    FC_TRY(fc_liveness_lock(cache, slot_index, lock_page));
    if (is_spare) {
        nobody = fc_load_relaxed(&slot->identity);
        if (nobody != 0) { /* its owner is dead, for the kernel lock is ours */
            fc_store_relaxed(&slot->pid_namespace, 0);
            fc_store_release(&slot->incarnation, fc_load_relaxed(&slot->incarnation) + 1);
        }
    }
    if (!clear_settle_lock(slot, slot_index)) {
        fc_liveness_unlock(*lock_page);
        return FC_BUSY;
    }
    /* Without /proc the identity is only a mark that the slot is taken; the kernel lock alone then tells death. */
    if (!fc_cas_acq_rel(&slot->identity, &nobody, identity != 0 ? identity : 1)) { /* [slot.claim] */
        fc_liveness_unlock(*lock_page);
        return FC_BUSY;
    }
    fc_store32_relaxed(&slot->pid, (uint32_t)getpid());
    fc_store32_relaxed(&slot->tid, (uint32_t)syscall(SYS_gettid));
    fc_store_release(&slot->pid_namespace, identity != 0 ? fc_load_relaxed(&cache->pid_namespace) : 0); /* [slot.namespace] */
    return FC_OK;
}

static fc_status claim_any(fc_cache *cache, uint32_t from, uint32_t to, uint32_t *slot_index, void **lock_page)
{
    for (uint32_t i = from; i < to; i++) {
        fc_status status = claim_slot(cache, i, lock_page);
        if (status == FC_BUSY) continue;
        *slot_index = i;
        return status;
    }
    return FC_BUSY;
}

static void bind_slot(fc_session *session, uint32_t slot_index, void *lock_page)
{
    fc_cache *cache = session->cache;
    uint64_t budget = cache->geometry.page_count * FC_PAGE_BYTES / 4 / cache->geometry.sessions_max;
    if (budget > MAGAZINE_BYTES_MAX) budget = MAGAZINE_BYTES_MAX;
    session->slot_index = slot_index;
    session->slot = fc_slot_at(cache, slot_index);
    session->stats = session->slot->stats;
    session->owner_word = fc_owner_word(slot_index, fc_load_relaxed(&session->slot->incarnation));
    session->lock_page = lock_page;
    session->random_state = (uint32_t)fc_clock_mono_ns() | 1;
    for (uint32_t kind = 1; kind < FC_KIND_COUNT; kind++) {
        session->magazine_refs[kind] = (uint8_t)fc_class_magazine_refs(kind, budget / FC_KIND_COUNT);
        session->hint_cursor[kind] = fc_random(session) % cache->geometry.page_count;
    }
    session->hint_cursor[FC_KIND_FREE] = fc_random(session) % cache->geometry.page_count;
}

/* Leaves the slot. Blocks whose page somebody holds stay in it; without the kernel lock the next settler sees that we are gone. */
static void give_slot_up(fc_session *session)
{
    fc_settle_close(session);
    fc_liveness_unlock(session->lock_page);
    session->lock_page = NULL;
}

/* All ordinary slots are taken: settles the dead from a spare slot and looks again. */
static fc_status claim_from_the_dead(fc_session *session, uint32_t *slot_index, void **lock_page)
{
    fc_cache *cache = session->cache;
    uint32_t sessions_max = cache->geometry.sessions_max;
    uint32_t spare_index;
    void *spare_page;
    fc_status status = claim_any(cache, sessions_max, fc_slot_count(cache), &spare_index, &spare_page);
    if (status == FC_BUSY) return fc_fail(FC_SESSIONS_FULL, "%u sessions, and other openers are looking for dead ones", sessions_max);
    FC_TRY(status);
    bind_slot(session, spare_index, spare_page);
    uint32_t settled_count = fc_settle_all(session);
    give_slot_up(session);
    status = claim_any(cache, 0, sessions_max, slot_index, lock_page);
    if (status == FC_BUSY) return fc_fail(FC_SESSIONS_FULL, "sessions_max is %u, %u dead ones were settled just now", sessions_max, settled_count);
    return status;
}

/* Settles the dead among the slots the opener walked past: a process that is started again after a kill -9 cleans up behind itself. */
static void settle_passed(fc_session *session)
{
    for (uint32_t i = 0; i < session->slot_index; i++) {
        const fc_slot *slot = fc_slot_at(session->cache, i);
        uint64_t incarnation = fc_load_relaxed(&slot->incarnation);
        if (fc_load_acquire(&slot->identity) != 0) (void)!fc_settle(session, i, incarnation); /* [slot.claim] */
    }
}

static fc_status open_slot(fc_session *session)
{
    fc_cache *cache = session->cache;
    uint32_t slot_index = 0;
    void *lock_page = NULL;
    fc_status status = claim_any(cache, 0, cache->geometry.sessions_max, &slot_index, &lock_page);
    if (status == FC_BUSY) status = claim_from_the_dead(session, &slot_index, &lock_page);
    FC_TRY(status);
    bind_slot(session, slot_index, lock_page);
    fc_slot *slot = session->slot;
    for (uint32_t i = 0; i < FC_STAT_COUNT; i++) fc_store_relaxed(&slot->stats_base[i], fc_load_relaxed(&slot->stats[i]));
    fc_store_relaxed(&slot->opened_unix_ns, fc_clock_unix_ns());
    status = fc_session_renew_stamp(session);
    fc_store_relaxed(&slot->serial_first, session->stamp_next >> FC_STAMP_COUNTER_BITS);
    FC_TRY(status);
    settle_passed(session);
    return FC_OK;
}

/* ------------------------------------------------------------------ public */

static void fill(fc_session *session, fc_cache *cache)
{
    session->cache = cache;
    session->base = cache->base;
    session->homes = (fc_bucket *)(cache->base + cache->geometry.homes_off);
    session->home_count = cache->geometry.home_count;
    session->size_bytes = cache->geometry.arena_off + cache->geometry.page_count * FC_PAGE_BYTES;
    session->arena_off = cache->geometry.arena_off;
    session->read_only = cache->read_only;
    session->timeout_ns = TIMEOUT_NS_DEFAULT;
    session->stats = session->local_stats;
    session->slot_index = UINT32_MAX;
}

fc_status fc_session_open(fc_cache *cache, fc_session **session_out)
{
    if (cache == NULL || session_out == NULL) return fc_fail(FC_INVALID_ARGUMENT, "NULL");
    /* The cache may come from a parent in other namespaces. */
    fc_store_relaxed(&cache->pid_namespace, fc_liveness_namespace());
    fc_session *session = fc_session_pool_get(cache);
    if (session == NULL) return fc_fail_errno(FC_SYSTEM, "no memory for a session");
    fill(session, cache);
    fc_status status = FC_OK;
    if (!cache->read_only) {
        if (fc_load_acquire(&fc_header_of(cache)->retired) != 0) /* [segment.retired] */
            status = fc_fail(FC_SEGMENT_RETIRED, "segment %s", cache->name);
        else status = open_slot(session);
    }
    if (status != FC_OK) {
        if (session->lock_page != NULL) give_slot_up(session);
        fc_session_pool_put(session);
        return status;
    }
    fc_store_relaxed(&session->thread, fc_thread_pointer());
    fc_store32_release(&session->state, FC_SESSION_OPEN); /* [session.state] */
    remember_in_thread(session);
    *session_out = session;
    return FC_OK;
}

fc_status fc_session_close(fc_session *session)
{
    if (session == NULL) return FC_OK;
    FC_TRY(fc_session_enter_read(session));
    if (session->writing) return fc_fail(FC_REENTERED, "%s", "");
    session->writing = 1; /* for good: no signal handler writes through a session that is closing */
    fc_compiler_order();
    forget_in_thread(session);
    if (session->slot != NULL) give_slot_up(session);
    fc_session_pool_put(session);
    return FC_OK;
}

fc_status fc_session_set_timeout(fc_session *session, uint64_t timeout_ns)
{
    FC_TRY(fc_session_enter_read(session));
    session->timeout_ns = timeout_ns < TIMEOUT_NS_MAX ? timeout_ns : TIMEOUT_NS_MAX; /* deadlines must not overflow */
    return FC_OK;
}

fc_status fc_session_set_wait_hooks(fc_session *session, void (*before)(void *context), void (*after)(void *context), void *context)
{
    FC_TRY(fc_session_enter_read(session));
    if ((before == NULL) != (after == NULL)) return fc_fail(FC_INVALID_ARGUMENT, "one of before and after is NULL");
    session->wait_before = before;
    session->wait_after = after;
    session->wait_context = context;
    return FC_OK;
}

fc_status fc_session_reap(fc_session *session, uint32_t *settled_count)
{
    FC_TRY(fc_session_enter_write(session));
    uint32_t count = fc_settle_all(session);
    fc_session_leave_write(session);
    if (settled_count != NULL) *settled_count = count;
    return FC_OK;
}

static uint64_t magazine_bytes(const fc_slot *slot)
{
    uint64_t bytes = 0;
    for (uint32_t kind = 1; kind < FC_KIND_COUNT; kind++) bytes += fc_load_relaxed(&slot->magazines[kind].count) * fc_class_bytes[kind];
    return bytes;
}

fc_status fc_session_list(fc_cache *cache, int32_t (*visit)(void *context, const fc_session_info *info), void *context)
{
    if (cache == NULL || visit == NULL) return fc_fail(FC_INVALID_ARGUMENT, "NULL");
    for (uint32_t i = 0; i < cache->geometry.sessions_max; i++) {
        const fc_slot *slot = fc_slot_at(cache, i);
        if (fc_load_acquire(&slot->identity) == 0) continue; /* [slot.claim] */
        fc_session_info info = {
            .slot = i,
            .pid = (int32_t)fc_load32_relaxed(&slot->pid),
            .tid = (int32_t)fc_load32_relaxed(&slot->tid),
            .live = !fc_liveness_has_died(cache, i),
            .opened_unix_ns = fc_load_relaxed(&slot->opened_unix_ns),
            .magazine_bytes = magazine_bytes(slot),
            .gets = fc_load_relaxed(&slot->stats[FC_STAT_GETS]) - fc_load_relaxed(&slot->stats_base[FC_STAT_GETS]),
            .sets = fc_load_relaxed(&slot->stats[FC_STAT_SETS]) - fc_load_relaxed(&slot->stats_base[FC_STAT_SETS]),
        };
        if (visit(context, &info) != 0) break;
    }
    return FC_OK;
}
