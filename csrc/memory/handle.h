/* handle.h -- what a process keeps about a mapping and a thread about its session. Private memory, never shared.
 *
 * A session lives in a page of its own that the kernel empties in a child of fork (MADV_WIPEONFORK). So one comparison at the
 * door of every operation, the thread pointer against the one that opened the session, finds out all of: another thread, closed
 * (0), and a forked child (0), however the child was made: pthread_atfork would miss clone() and vfork().
 */
#ifndef FC_MEMORY_HANDLE_H
#define FC_MEMORY_HANDLE_H

#include "base/assert.h"
#include "base/atomics.h"
#include "base/status.h"
#include "base/tick_clock.h"
#include "layout/layout.h"
#include "memory/size_class.h"
#include "memory/stat.h"


struct fc_cache {
    uint8_t *base;
    fc_geometry geometry;             /* validated at attach; never read again from shared memory */
    void *sessions;                   /* fc_session_node list of every session this process opened on the mapping; session_pool.h */
    uint64_t closed_count;            /* sessions closed so far */
    uint64_t device;                  /* of the object the mapping came from */
    uint64_t inode;
    uint64_t pid_namespace;
    uint8_t read_only;
    uint8_t locked;
    uint8_t huge_advised;
    char name[FC_NAME_BYTES_MAX + 1];
};

typedef struct fc_session_node fc_session_node;

/* OPENING: a closed session's page that is being used again. */
enum { FC_SESSION_WIPED, FC_SESSION_OPEN, FC_SESSION_CLOSED, FC_SESSION_OPENING };

struct fc_session {
    uint64_t thread;                  /* fc_thread_pointer of the owner; 0 when closed, and in a forked child */
    uint8_t *base;
    fc_slot *slot;                    /* NULL when read-only */
    uint64_t *stats;
    fc_bucket *homes;
    uint64_t home_count;
    uint64_t size_bytes;
    uint64_t arena_off;
    uint64_t stamp_next;              /* serial and counter of the next block */
    uint32_t owner_word;
    uint32_t slot_index;
    uint32_t state;                   /* FC_SESSION_* */
    uint8_t writing;                  /* 1 inside a write; found set by a signal handler that writes */
    uint8_t read_only;
    uint8_t garbage;                  /* 1: a garbage list may be non-empty */
    uint32_t redo_count;              /* of the redo log under construction */
    uint32_t random_state;
    uint64_t timeout_ns;
    uint64_t writes_on_mono_ns;       /* until then it gives way to no cut, for it did before; give_way.h */
    fc_tick_clock tick_clock;         /* for the write times of blocks */
    uint64_t inserts_left;            /* new keys until the access clock moves on */
    uint8_t magazine_refs[FC_KIND_COUNT]; /* how many blocks of each kind the session may keep */
    uint64_t hint_cursor[FC_KIND_COUNT];  /* page where the next search for a block of the kind begins */
    fc_cache *cache;
    fc_session *next_of_thread;
    fc_session_node *node;            /* its place in the pool */
    fc_session *settler;              /* set while somebody acts as this session after its death: who that is */
    void *lock_page;                  /* PROT_NONE mapping that carries the kernel lock on the slot's byte */
    void (*wait_before)(void *context);   /* fc_session_set_wait_hooks; both or none */
    void (*wait_after)(void *context);
    void *wait_context;
    uint64_t local_stats[FC_STAT_COUNT];  /* of a read-only session */
};

static inline uintptr_t fc_thread_pointer(void)
{
#if defined(__x86_64__)
    uintptr_t pointer;
    __asm__("movq %%fs:0, %0" : "=r"(pointer));
    return pointer;
#elif defined(__aarch64__)
    uintptr_t pointer;
    __asm__("mrs %0, tpidr_el0" : "=r"(pointer));
    return pointer;
#else
#error "FinCache knows x86-64 and aarch64"
#endif
}

/* Why a session cannot be used by the caller. */
fc_status fc_session_refuse(const fc_session *session);

/* The door of every read. */
static inline fc_status fc_session_enter_read(const fc_session *session)
{
    if (FC_UNLIKELY(session == NULL) || FC_UNLIKELY(session->thread != fc_thread_pointer())) return fc_session_refuse(session);
    return FC_OK;
}

/* The door of every write; leave with fc_session_leave_write. */
static inline fc_status fc_session_enter_write(fc_session *session)
{
    FC_TRY(fc_session_enter_read(session));
    if (FC_UNLIKELY(session->read_only)) return fc_fail(FC_READ_ONLY, "segment %s", session->cache->name);
    if (FC_UNLIKELY(session->writing)) return fc_fail(FC_REENTERED, "%s", "");
    session->writing = 1;
    fc_compiler_order();
    return FC_OK;
}

static inline void fc_session_leave_write(fc_session *session)
{
    fc_compiler_order();
    session->writing = 0;
}

/* References to pointers. Callers have checked the bounds, or got the reference from their own journal. */
static inline void *fc_at(const fc_session *session, uint64_t offset) { return session->base + offset; }
static inline uint64_t fc_offset_of(const fc_session *session, const void *pointer) { return (uint64_t)((const uint8_t *)pointer - session->base); }
static inline fc_header *fc_header_of(const fc_cache *cache) { return (fc_header *)cache->base; }

static inline fc_slot *fc_slot_at(const fc_cache *cache, uint32_t slot_index)
{
    return (fc_slot *)(cache->base + cache->geometry.sessions_off) + slot_index;
}

/* Slots that can exist: the ordinary ones and the openers' spare ones. */
static inline uint32_t fc_slot_count(const fc_cache *cache) { return cache->geometry.sessions_max + FC_SLOTS_SPARE; }

static inline uint32_t fc_owner_word(uint32_t slot_index, uint64_t incarnation)
{
    return (slot_index + 1) | (uint32_t)(incarnation << FC_OWNER_INCARNATION_SHIFT);
}

static inline void fc_stat(fc_session *session, uint32_t stat, uint64_t by) { fc_counter_add(&session->stats[stat], by); }

/* Around every wait that may leave the processor. In between nothing is held that another session may want (fincache_api.h). */
static inline void fc_wait_begin(const fc_session *session)
{
    if (session->wait_before != NULL) session->wait_before(session->wait_context);
}

static inline void fc_wait_end(const fc_session *session)
{
    if (session->wait_after != NULL) session->wait_after(session->wait_context);
}

/* xorshift32 (Marsaglia, "Xorshift RNGs", J. Stat. Software 8(14), 2003); for sampling, not for secrets. */
static inline uint32_t fc_random(fc_session *session)
{
    uint32_t x = session->random_state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return session->random_state = x;
}

#endif
