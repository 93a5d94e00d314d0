/* reclaim.c -- see reclaim.h for the order of things. */
#include "table/reclaim.h"

#include "base/clock.h"
#include "memory/count.h"
#include "memory/page.h"
#include "memory/settle.h"
#include "table/evict.h"
#include "table/publish.h"

#include <inttypes.h>

#define SWEEP_HOMES 64u
#define EVICT_ROUNDS 64u
#define EVICT_ROUNDS_OF_OTHER_KINDS 4u
#define PAGE_SAMPLES 16u
#define COMPACT_ROUNDS 8u
#define SWEEP_PAUSE_NS_MAX UINT64_C(10000000000)
#define REAP_PAUSE_NS UINT64_C(1000000)

/* What is wanted: a block of a kind in the magazine, or (list set) a page on a list. */
typedef struct demand {
    uint32_t kind;
    uint32_t count;            /* blocks in the magazine */
    fc_ref *list;
    fc_ref *page;
} demand;

static int obtain(fc_session *session, const demand *want)
{
    if (want->list != NULL) return fc_page_take(session, want->list, want->page) == FC_OK;
    const uint64_t *count = &session->slot->magazines[want->kind].count;
    while (fc_load_relaxed(count) < want->count)
        if (fc_page_refill(session, want->kind) != FC_OK) return 0;
    return 1;
}

/* ------------------------------------------------------------------ dead values */

/* A death between linking an extension bucket and filling it leaves an empty one at the end. */
static void trim(fc_session *session, fc_bucket *home)
{
    if (fc_load32_relaxed(&home->link) == 0 || !fc_lock_try(session, FC_LOCK_VICTIM, &home->owner)) return;
    fc_chain_trim(session, home);
    fc_lock_release(&home->owner);
}

static uint64_t sweep_home(fc_session *session, uint64_t home_index)
{
    fc_bucket *home = &session->homes[home_index];
    int damaged = 0;
    uint64_t removed = 0;
    uint32_t bucket_count = 0;
    for (fc_bucket *bucket = home; bucket != NULL && bucket_count < FC_CHAIN_BUCKETS_MAX; bucket_count++) {
        fc_bucket *next = fc_bucket_next(session, bucket, &damaged);
        for (uint32_t i = 0; i < FC_BUCKET_ENTRIES; i++) {
            fc_view view;
            uint64_t word = fc_load_relaxed(&bucket->entries[i]);
            fc_ref ref = word & FC_ENTRY_REF_MASK;
            if (word == 0 || (word & FC_ENTRY_MARK) != 0 || !fc_ref_is_block(session, ref)) continue;
            if (!fc_view_load(session, fc_at(session, ref), &view) || fc_view_is_alive(session, &view)) continue;
            removed += (uint64_t)fc_evict_entry(session, home, &bucket->entries[i], word, 1);
        }
        bucket = next;
    }
    trim(session, home);
    return removed;
}

uint64_t fc_reclaim_sweep(fc_session *session, uint64_t count)
{
    uint64_t removed = 0;
    uint64_t hand = fc_fetch_add(&fc_header_of(session->cache)->reclaim_hand, count);
    for (uint64_t i = 0; i < count; i++) removed += sweep_home(session, (hand + i) % session->home_count);
    if (session->garbage) fc_page_drain(session);
    return removed;
}

fc_status fc_session_sweep(fc_session *session, uint64_t home_count, uint64_t *removed_count)
{
    FC_TRY(fc_session_enter_write(session));
    uint64_t removed = fc_reclaim_sweep(session, home_count < session->home_count ? home_count : session->home_count);
    fc_session_leave_write(session);
    if (removed_count != NULL) *removed_count = removed;
    return FC_OK;
}

/* Sweeps what is left to sweep since the last flush, until the want is met. */
static int sweep_flushed(fc_session *session, const demand *want)
{
    uint64_t *left = &fc_header_of(session->cache)->reclaim_left;
    for (;;) {
        uint64_t homes = fc_load_relaxed(left);
        if (homes == 0) return 0;
        uint64_t now = homes < SWEEP_HOMES ? homes : SWEEP_HOMES;
        if (!fc_cas_acq_rel(left, &homes, homes - now)) continue;
        if (fc_reclaim_sweep(session, now) > 0 && obtain(session, want)) return 1;
    }
}

/* Sweeps everything once, unless somebody did so in vain, less time ago than it took: half the time at most goes into sweeping. */
static int sweep_expired(fc_session *session, const demand *want)
{
    fc_header *header = fc_header_of(session->cache);
    uint64_t begun = fc_clock_mono_ns();
    uint64_t due = fc_load_relaxed(&header->sweep_mono_ns);
    if (begun < due && due - begun < SWEEP_PAUSE_NS_MAX) return 0; /* further ahead: written in another time namespace */
    for (uint64_t done = 0; done < session->home_count; done += SWEEP_HOMES)
        if (fc_reclaim_sweep(session, SWEEP_HOMES) > 0 && obtain(session, want)) return 1;
    uint64_t ended = fc_clock_mono_ns();
    fc_store_relaxed(&header->sweep_mono_ns, ended + (ended - begun));
    return 0;
}

/* ------------------------------------------------------------------ the dead */

static int reap(fc_session *session, const demand *want)
{
    uint64_t now = fc_clock_mono_ns();
    uint64_t last = fc_load_relaxed(&fc_header_of(session->cache)->reap_mono_ns);
    if (last != 0 && now - last < REAP_PAUSE_NS) return 0;
    return fc_settle_all(session) > 0 && obtain(session, want);
}

/* ------------------------------------------------------------------ eviction and compaction */

/* Of some random pages the one with the fewest blocks in use; page_count if none will do. */
static uint64_t sample_page(fc_session *session)
{
    uint64_t page_count = session->cache->geometry.page_count;
    uint64_t best = page_count;
    uint32_t best_used = UINT32_MAX;
    for (uint32_t i = 0; i < PAGE_SAMPLES; i++) {
        uint64_t page_index = ((uint64_t)fc_random(session) * page_count) >> 32;
        uint64_t kind_free = fc_load_relaxed(&fc_page_at(session, page_index)->kind_free);
        uint32_t kind = fc_page_kind(kind_free);
        if (kind == FC_KIND_FREE || kind >= FC_KIND_PAGE) continue;
        uint32_t used = fc_class_blocks(kind) - fc_page_free_count(kind_free);
        if (used >= best_used) continue;
        best = page_index;
        best_used = used;
    }
    return best;
}

static int evict(fc_session *session, const demand *want)
{
    uint32_t other_kinds = 0;
    for (uint32_t round = 0; round < EVICT_ROUNDS; round++) {
        int outcome = 0;
        if (other_kinds < EVICT_ROUNDS_OF_OTHER_KINDS) outcome = fc_evict_sample(session, want->kind);
        else {
            uint64_t page_index = sample_page(session);
            if (page_index < session->cache->geometry.page_count) (void)fc_evict_page(session, page_index, 0);
            else outcome = fc_evict_sample(session, want->kind);
        }
        if (session->garbage) fc_page_drain(session);
        if (outcome != 2) other_kinds++;
        if (obtain(session, want)) return 1;
    }
    return 0;
}

/* For each class: free blocks in all, and the page with the most of them. */
typedef struct page_census {
    uint64_t free_count[FC_KIND_COUNT];
    uint64_t sparsest[FC_KIND_COUNT];
    uint32_t sparsest_free[FC_KIND_COUNT];
} page_census;

static int is_among(const uint64_t *pages, uint32_t count, uint64_t page_index)
{
    for (uint32_t i = 0; i < count; i++)
        if (pages[i] == page_index) return 1;
    return 0;
}

/* Pages in `stuck` count, but are not chosen. */
static void take_census(const fc_session *session, page_census *census, const uint64_t *stuck, uint32_t stuck_count)
{
    *census = (page_census){0};
    for (uint64_t i = 0; i < session->cache->geometry.page_count; i++) {
        uint64_t kind_free = fc_load_relaxed(&fc_page_at(session, i)->kind_free);
        uint32_t kind = fc_page_kind(kind_free), free_count = fc_page_free_count(kind_free);
        if (kind >= FC_KIND_COUNT) continue;
        census->free_count[kind] += free_count;
        if (free_count <= census->sparsest_free[kind] || is_among(stuck, stuck_count, i)) continue;
        census->sparsest_free[kind] = free_count;
        census->sparsest[kind] = i;
    }
}

/* Empties sparse pages whose blocks fit into others of their class. */
static int compact(fc_session *session, const demand *want)
{
    (void)fc_page_flush_magazines(session);
    if (obtain(session, want)) return 1;
    uint64_t stuck[COMPACT_ROUNDS];
    uint32_t stuck_count = 0;
    for (uint32_t round = 0; round < COMPACT_ROUNDS; round++) {
        page_census census;
        uint32_t best = 0;
        uint64_t best_bytes = 0;
        take_census(session, &census, stuck, stuck_count);
        for (uint32_t kind = 1; kind < FC_KIND_PAGE; kind++) {
            uint64_t elsewhere = census.free_count[kind] - census.sparsest_free[kind];
            uint64_t bytes = census.free_count[kind] * fc_class_bytes[kind];
            if (census.sparsest_free[kind] == 0 || elsewhere < fc_class_blocks(kind) - census.sparsest_free[kind] || bytes <= best_bytes) continue;
            best = kind;
            best_bytes = bytes;
        }
        if (best == 0) return 0;
        /* A page stays when it holds a block of a home that is locked (the caller's own, for one) or of somebody's magazine. */
        if (!fc_evict_page(session, census.sparsest[best], 1)) stuck[stuck_count++] = census.sparsest[best];
        if (obtain(session, want)) return 1;
    }
    return 0;
}

static int take_larger(fc_session *session, uint32_t *kind)
{
    for (uint32_t larger = *kind + 1; larger < FC_KIND_PAGE; larger++) {
        if (fc_load_relaxed(&session->slot->magazines[larger].count) == 0 && fc_page_refill(session, larger) != FC_OK) continue;
        *kind = larger;
        return 1;
    }
    return 0;
}

static fc_status satisfy(fc_session *session, const demand *want)
{
    if (obtain(session, want)) return FC_OK;
    if (session->garbage) {
        fc_page_drain(session);
        if (obtain(session, want)) return FC_OK;
    }
    if (sweep_flushed(session, want) || reap(session, want)) return FC_OK;
    int evicts = fc_load_relaxed(&fc_header_of(session->cache)->policy) != FC_POLICY_NOEVICTION;
    if (evicts ? evict(session, want) : sweep_expired(session, want)) return FC_OK;
    if (compact(session, want)) return FC_OK;
    /* Whoever holds locks or blocks may have died since somebody last looked, however short ago. */
    if (fc_settle_all(session) == 0) return FC_OUT_OF_MEMORY;
    return obtain(session, want) || (evicts ? evict(session, want) : compact(session, want)) ? FC_OK : FC_OUT_OF_MEMORY;
}

static fc_status out_of_memory(fc_session *session, uint64_t bytes)
{
    fc_stat(session, FC_STAT_OUT_OF_MEMORY, 1);
    return fc_fail(FC_OUT_OF_MEMORY, "no block of %" PRIu64 " bytes in segment %s of %" PRIu64 " bytes", bytes, session->cache->name,
                   session->cache->geometry.size_bytes);
}

static fc_status get_blocks(fc_session *session, uint32_t *kind, uint32_t count)
{
    demand want = {.kind = *kind, .count = count};
    if (satisfy(session, &want) == FC_OK || (*kind < FC_KIND_PAGE && take_larger(session, kind))) return FC_OK;
    return out_of_memory(session, fc_class_bytes[*kind]);
}

fc_status fc_reclaim_more(fc_session *session, uint32_t *kind)
{
    return get_blocks(session, kind, 1);
}

fc_status fc_reclaim_reserve_growth(fc_session *session, uint32_t *kind)
{
    uint32_t count = fc_load_relaxed(&fc_header_of(session->cache)->policy) == FC_POLICY_NOEVICTION ? 2 : 1;
    if (FC_LIKELY(fc_load_relaxed(&session->slot->magazines[*kind].count) >= count)) return FC_OK;
    return get_blocks(session, kind, count);
}

fc_status fc_reclaim_take_page(fc_session *session, fc_ref *list, fc_ref *page)
{
    demand want = {.kind = FC_KIND_PAGE, .list = list, .page = page};
    return satisfy(session, &want) == FC_OK ? FC_OK : out_of_memory(session, FC_PAGE_BYTES);
}

/* ------------------------------------------------------------------ the access clock */

void fc_reclaim_count_insert(fc_session *session)
{
    fc_header *header = fc_header_of(session->cache);
    if (fc_load_relaxed(&header->policy) != FC_POLICY_ALLKEYS_LRU) return;
    if (session->inserts_left > 0) {
        session->inserts_left--;
        return;
    }
    uint64_t keys = 0;
    for (uint32_t i = 0; i < session->cache->geometry.databases; i++) keys += fc_count_keys(session->cache, i);
    session->inserts_left = keys / 64;
    fc_fetch_add(&header->access_clock, 1);
}
