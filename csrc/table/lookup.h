/* lookup.h -- finds a key without locks, and proves what was read.
 *
 * Reading       e = entry word (acquire)          tag equal? a mark is resolved through its descriptor (memory/multi.h)
 *               s = block's stamp (acquire)       0: take the entry again
 *               entry still e?                    no: take it again. The instant of this look is when the read takes effect.
 *               fields, key, value                each checked before use: all may be torn
 *               fence, stamp still s?             no: take the entry again
 *   The second look at the entry is needed: a block may be rebuilt and stamped before it is published, and a reader that comes with an
 *   older entry word would return a value that never was current (tools/models/publish.pml, NO_RELOAD).
 * Misses        one pass over the chain without a match is exact, with no look at the version: a key that is there throughout sits in
 *               one entry (entries never move), and a bucket in front of it is never unlinked (only an empty last one is).
 * Bounds        FC_READ_RETRIES_MAX takes of one entry, then FC_CONTENDED; session's chain bound, then FC_CORRUPT.
 * Pairs         [entry.publish] [block.stamp] [block.reuse] [multi.commit] [bucket.link]
 */
#ifndef FC_TABLE_LOOKUP_H
#define FC_TABLE_LOOKUP_H

#include "base/clock.h"
#include "base/hash.h"
#include "memory/multi.h"
#include "table/block.h"

#define FC_READ_RETRIES_MAX 4096u
/* Longest chain that is believed. A segment whose keys all collide may have one; a cycle of damaged links is found out. */
#define FC_CHAIN_BUCKETS_MAX (1u << 22)

static inline uint64_t fc_home_index(const fc_session *session, uint64_t hash) { return ((hash & 0xFFFFFFFF) * session->home_count) >> 32; }
static inline fc_bucket *fc_home_of(const fc_session *session, uint64_t hash) { return &session->homes[fc_home_index(session, hash)]; }

/* The extension bucket behind `bucket`, NULL at the end. *damaged is set if the link leads nowhere. */
static inline fc_bucket *fc_bucket_next(const fc_session *session, const fc_bucket *bucket, int *damaged)
{
    uint32_t link = fc_load32_acquire(&bucket->link); /* [bucket.link] */
    if (FC_LIKELY(link == 0)) return NULL;
    uint64_t offset = (uint64_t)link * sizeof(fc_bucket);
    if (offset < session->arena_off || offset > session->size_bytes - sizeof(fc_bucket)) {
        *damaged = 1;
        return NULL;
    }
    return fc_at(session, offset);
}

enum fc_take { FC_TAKE_BLOCK, FC_TAKE_EMPTY, FC_TAKE_AGAIN, FC_TAKE_DAMAGED };

/* An entry that was taken: which word, which block, and what proves them. */
typedef struct fc_hit {
    const uint64_t *entry;
    uint64_t word;             /* as found, mark included */
    uint64_t state;            /* of the descriptor, if the word is a mark */
    uint32_t mark_index;       /* access mark's byte in the home's 8 */
    fc_view view;
} fc_hit;

/* The first four steps above; then the caller copies, and asks fc_hit_holds. */
static inline enum fc_take fc_hit_take(const fc_session *session, const uint64_t *entry, uint64_t word, fc_hit *hit)
{
    uint64_t resolved = word;
    hit->entry = entry;
    hit->word = word;
    if (FC_UNLIKELY((word & FC_ENTRY_MARK) != 0)) {
        if (!fc_multi_resolve(session, word, &resolved, &hit->state)) return FC_TAKE_AGAIN;
        if (resolved == 0) {
            if (fc_load_relaxed(entry) != word || fc_multi_state_of(session, word) != hit->state) return FC_TAKE_AGAIN;
            return FC_TAKE_EMPTY;
        }
    }
    fc_ref ref = resolved & FC_ENTRY_REF_MASK;
    if (FC_UNLIKELY(!fc_ref_is_block(session, ref))) return fc_load_acquire(entry) == word ? FC_TAKE_DAMAGED : FC_TAKE_AGAIN;
    const fc_block *block = fc_at(session, ref);
    hit->view.stamp = fc_load_acquire(&block->stamp); /* [block.stamp] */
    if (FC_UNLIKELY(hit->view.stamp == 0)) return FC_TAKE_AGAIN;
    if (FC_UNLIKELY(fc_load_relaxed(entry) != word)) return FC_TAKE_AGAIN;
    if (FC_UNLIKELY((word & FC_ENTRY_MARK) != 0) && fc_multi_state_of(session, word) != hit->state) return FC_TAKE_AGAIN;
    hit->view.block = block;
    return FC_TAKE_BLOCK;
}

static inline int fc_hit_holds(const fc_hit *hit)
{
    fc_fence_acquire(); /* [block.reuse] */
    return FC_LIKELY(fc_load_relaxed(&hit->view.block->stamp) == hit->view.stamp);
}

/* 1 if what the hit shows is in its entry at this instant. A retired head keeps its stamp until it is reused, while the nodes of its
 * chain may be gone already: so only a copy that failed *then* proves damage. The entry is looked at before the stamp: a head that came
 * back to the same entry has another stamp. */
static inline int fc_hit_is_current(const fc_session *session, const fc_hit *hit)
{
    fc_fence_acquire();
    if (fc_load_acquire(hit->entry) != hit->word) return 0; /* [entry.publish] */
    if ((hit->word & FC_ENTRY_MARK) != 0 && fc_multi_state_of(session, hit->word) != hit->state) return 0;
    return fc_hit_holds(hit);
}

/* What a reader copies while the stamp is not proven yet: 1 done, 0 what it found contradicts itself. */
typedef int (*fc_copier)(const fc_session *session, fc_hit *hit, void *context);

/* The outcome for one entry whose tag fits: FC_OK found and copied, FC_MISS another key, or an error. */
static inline __attribute__((always_inline)) fc_status fc_lookup_entry(fc_session *session, const fc_key *key, const uint64_t *entry, uint64_t word,
                                                                       fc_copier copy, void *context, fc_hit *hit)
{
    uint64_t tag = key->hash >> FC_ENTRY_TAG_SHIFT;
    for (uint32_t retries = 0; FC_LIKELY(retries < FC_READ_RETRIES_MAX); retries++) {
        enum fc_take take = fc_hit_take(session, entry, word, hit);
        if (FC_LIKELY(take == FC_TAKE_BLOCK)) {
            int whole = fc_view_load(session, hit->view.block, &hit->view);
            int matches = whole && fc_view_key_equals(session, &hit->view, key);
            int copied = matches && copy(session, hit, context);
            if (fc_hit_holds(hit)) {
                if (FC_LIKELY(copied)) return FC_OK;
                if (whole && !matches && (hit->view.flags & FC_BLOCK_CHAIN) == 0) return FC_MISS;
                if (fc_hit_is_current(session, hit)) {
                    if (whole && !matches) return FC_MISS;
                    return fc_fail(FC_CORRUPT, "the value's lengths or its chain make no sense");
                }
            }
        } else if (take == FC_TAKE_EMPTY) {
            return FC_MISS;
        } else if (take == FC_TAKE_DAMAGED) {
            return fc_fail(FC_CORRUPT, "an entry leads out of the arena");
        }
        fc_stat(session, FC_STAT_READ_RETRIES, 1);
        if (retries > 8) fc_spin_pause();
        word = fc_load_acquire(entry); /* [entry.publish] */
        if (word >> FC_ENTRY_TAG_SHIFT != tag || word == 0) return FC_MISS;
    }
    fc_stat(session, FC_STAT_CONTENDED, 1);
    return fc_fail(FC_CONTENDED, "%u retries", FC_READ_RETRIES_MAX);
}

/* Finds the key and has `copy` read it. FC_OK: *hit is proven. Neither expiry nor flushes are looked at. */
static inline __attribute__((always_inline)) fc_status fc_lookup(fc_session *session, const fc_key *key, fc_copier copy, void *context, fc_hit *hit)
{
    const fc_bucket *bucket = fc_home_of(session, key->hash);
    uint64_t tag = key->hash >> FC_ENTRY_TAG_SHIFT;
    int damaged = 0;
    uint32_t mark_index = 0;
    for (uint32_t bucket_count = 0; FC_LIKELY(bucket_count < FC_CHAIN_BUCKETS_MAX); bucket_count++) {
        for (uint32_t i = 0; i < FC_BUCKET_ENTRIES; i++) {
            uint64_t word = fc_load_acquire(&bucket->entries[i]); /* [entry.publish] */
            if (FC_LIKELY(word >> FC_ENTRY_TAG_SHIFT != tag || word == 0)) continue;
            hit->mark_index = bucket_count == 0 ? i : mark_index;
            fc_status status = fc_lookup_entry(session, key, &bucket->entries[i], word, copy, context, hit);
            if (status != FC_MISS) return status;
        }
        bucket = fc_bucket_next(session, bucket, &damaged);
        if (FC_LIKELY(bucket == NULL)) return FC_UNLIKELY(damaged) ? fc_fail(FC_CORRUPT, "a bucket's link leads out of the arena") : FC_MISS;
        mark_index = FC_MARK_EXTENSIONS;
    }
    return fc_fail(FC_CORRUPT, "a chain of buckets has no end");
}

/* 1 if a proven view still counts: not flushed, not expired. */
static inline int fc_view_is_alive(const fc_session *session, const fc_view *view)
{
    if (FC_UNLIKELY(fc_view_is_flushed(session, view))) return 0;
    return FC_LIKELY(view->expires_unix_ns == 0) || !fc_clock_is_past(view->expires_unix_ns);
}

/* ------------------------------------------------------------------ access marks */

static inline uint8_t *fc_mark_at(const fc_session *session, uint64_t home_index, uint32_t mark_index)
{
    return session->base + session->cache->geometry.marks_off + home_index * FC_MARK_BYTES + mark_index;
}

/* Notes that an entry was used in the present tick; a store only if that is news. */
static inline void fc_mark_used(const fc_session *session, uint64_t hash, uint32_t mark_index)
{
    const fc_header *header = fc_header_of(session->cache);
    if (FC_LIKELY(fc_load_relaxed(&header->policy) != FC_POLICY_ALLKEYS_LRU) || session->read_only) return;
    uint8_t now = (uint8_t)fc_load_relaxed(&header->access_clock);
    uint8_t *mark = fc_mark_at(session, fc_home_index(session, hash), mark_index);
    if (fc_load8_relaxed(mark) != now) fc_store8_relaxed(mark, now);
}

/* ------------------------------------------------------------------ a whole read */

/* Lookups for one read that meet a value dead by the clock and replaced by then. */
#define FC_EXPIRY_RETRIES_MAX 64u

/* A proven lookup, counted, with expiry and flushes looked at and the access noted. */
static inline __attribute__((always_inline)) fc_status fc_read_key(fc_session *session, const fc_key *key, fc_copier copy, void *context, fc_hit *hit)
{
    fc_stat(session, FC_STAT_GETS, 1);
    fc_status status = FC_CONTENDED;
    for (uint32_t retries = 0; status == FC_CONTENDED && retries < FC_EXPIRY_RETRIES_MAX; retries++) {
        status = fc_lookup(session, key, copy, context, hit);
        if (FC_UNLIKELY(status != FC_OK)) break;
        if (FC_LIKELY(fc_view_is_alive(session, &hit->view))) {
            fc_stat(session, FC_STAT_HITS, 1);
            fc_mark_used(session, key->hash, hit->mark_index);
            return FC_OK;
        }
        /* It is a miss if the dead value was there still when the clock was read; a newer one may have taken its place before that. */
        status = fc_hit_is_current(session, hit) ? FC_MISS : FC_CONTENDED;
    }
    if (status == FC_MISS) fc_stat(session, FC_STAT_MISSES, 1);
    return status;
}

#endif
