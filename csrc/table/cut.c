/* cut.c -- several keys as they stood at one instant, without a lock (P5).
 *
 * Method        collect every key with what proves it; then look at every proof once more. A key that was found is proven by its entry
 *               word and its block's stamp: stamps are unique for ever, so both equal means the same value all the while; a mark is proven by its descriptor's state as well. A key that was
 *               missing is proven by the words of its chain and, since entries may come and go between two looks, by its home's version,
 *               read before the first look and after the second. Everything held at the moment between the two rounds.
 * Rejected      home versions alone: the entry is visible before its version changes (tools/models/multi.pml, CUT_BY_VERSIONS).
 * Bounds        CUT_RETRIES_MAX rounds, then FC_CONTENDED. Writers of neighbouring keys cost a retry only where a key is missing.
 */
#include "table/lookup.h"

#include <stdlib.h>

#define CUT_RETRIES_MAX 10000u

/* What proves one key of the cut. */
typedef struct cut_proof {
    fc_hit hit;                /* if found */
    uint64_t version;          /* of the home, if not */
    uint64_t schema;           /* if found */
    uint64_t written_unix_ns;  /* if found */
    fc_read *read;
    fc_status status;          /* FC_OK or FC_MISS of the lookup */
} cut_proof;

static int copy_to_read(const fc_session *session, fc_hit *hit, void *context)
{
    cut_proof *proof = context;
    fc_read *read = proof->read;
    proof->schema = fc_view_schema(&hit->view);
    proof->written_unix_ns = fc_load_relaxed(&hit->view.block->written_unix_ns);
    if (hit->view.value_bytes > read->buffer_bytes) return 1;
    return fc_view_copy_value(session, &hit->view, 0, read->buffer, hit->view.value_bytes);
}

static int copy_nothing(const fc_session *session, fc_hit *hit, void *context)
{
    (void)session, (void)hit, (void)context;
    return 1;
}

static fc_status collect(fc_session *session, const fc_key *keys, cut_proof *proofs, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        cut_proof *proof = &proofs[i];
        proof->version = fc_load_acquire(&fc_home_of(session, keys[i].hash)->version); /* [bucket.version] */
        proof->status = fc_lookup(session, &keys[i], copy_to_read, proof, &proof->hit);
        if (proof->status != FC_OK && proof->status != FC_MISS) return proof->status;
    }
    return FC_OK;
}

static int found_still_holds(const fc_session *session, const cut_proof *proof)
{
    const fc_hit *hit = &proof->hit;
    if (fc_load_acquire(hit->entry) != hit->word) return 0; /* [entry.publish] */
    if ((hit->word & FC_ENTRY_MARK) != 0 && fc_multi_state_of(session, hit->word) != hit->state) return 0;
    return fc_load_acquire(&hit->view.block->stamp) == hit->view.stamp; /* [block.stamp] */
}

static int miss_still_holds(fc_session *session, const fc_key *key, const cut_proof *proof)
{
    fc_hit hit;
    if (fc_lookup(session, key, copy_nothing, NULL, &hit) != FC_MISS) return 0;
    fc_fence_acquire();
    return fc_load_acquire(&fc_home_of(session, key->hash)->version) == proof->version; /* [bucket.version] */
}

static int all_hold(fc_session *session, const fc_key *keys, const cut_proof *proofs, uint64_t count)
{
    fc_fence_acquire();
    for (uint64_t i = 0; i < count; i++) {
        if (proofs[i].status == FC_OK ? !found_still_holds(session, &proofs[i]) : !miss_still_holds(session, &keys[i], &proofs[i])) return 0;
    }
    return 1;
}

/* The wall clock, if any of the keys has an expiry. Read between the two rounds, it is the cut's instant: one reading for all keys. */
static uint64_t instant_of(const cut_proof *proofs, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (proofs[i].status == FC_OK && proofs[i].hit.view.expires_unix_ns != 0) return fc_clock_unix_ns();
    return 0;
}

static void deliver(fc_session *session, const fc_key *keys, cut_proof *proofs, uint64_t count, uint64_t now_unix_ns)
{
    for (uint64_t i = 0; i < count; i++) {
        const fc_view *view = &proofs[i].hit.view;
        fc_read *read = proofs[i].read;
        int missing = proofs[i].status == FC_MISS || fc_view_is_flushed(session, view) ||
                      (view->expires_unix_ns != 0 && view->expires_unix_ns <= now_unix_ns);
        fc_stat(session, missing ? FC_STAT_MISSES : FC_STAT_HITS, 1);
        read->status = FC_MISS;
        if (missing) continue;
        read->value_bytes = view->value_bytes;
        read->version = view->stamp;
        read->schema = proofs[i].schema;
        read->written_unix_ns = proofs[i].written_unix_ns;
        read->status = view->value_bytes > read->buffer_bytes ? FC_BUFFER_SMALL : FC_OK;
        fc_mark_used(session, keys[i].hash, proofs[i].hit.mark_index);
    }
    fc_stat(session, FC_STAT_GETS, count);
}

static uint64_t flush_sum(const fc_session *session, const fc_key *keys, uint64_t count)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++) sum += fc_load_acquire(&fc_header_of(session->cache)->flush_generations[keys[i].database]); /* [flush.generation] */
    return sum;
}

fc_status fc_get_cut(fc_session *session, const fc_key *keys, fc_read *reads, uint64_t count)
{
    FC_TRY(fc_session_enter_read(session));
    for (uint64_t i = 0; i < count; i++)
        if (keys[i].database >= FC_DATABASE_SLOTS) return fc_fail(FC_INVALID_ARGUMENT, "database %u of key %llu", keys[i].database, (unsigned long long)i);
    cut_proof few[32];
    cut_proof *proofs = count <= sizeof few / sizeof few[0] ? few : malloc(count * sizeof *proofs);
    if (proofs == NULL) return fc_fail(FC_SYSTEM, "no memory for %llu keys", (unsigned long long)count);
    for (uint64_t i = 0; i < count; i++) proofs[i].read = &reads[i];
    fc_status status = FC_CONTENDED;
    for (uint32_t retries = 0; retries < CUT_RETRIES_MAX && status == FC_CONTENDED; retries++) {
        /* A flush changes many keys in one store: it must not fall between the keys of a cut. */
        uint64_t flushes = flush_sum(session, keys, count);
        status = collect(session, keys, proofs, count);
        if (status != FC_OK) break;
        uint64_t now_unix_ns = instant_of(proofs, count);
        if (all_hold(session, keys, proofs, count)) {
            deliver(session, keys, proofs, count, now_unix_ns);
            if (flush_sum(session, keys, count) == flushes) break;
        }
        status = FC_CONTENDED;
        fc_stat(session, FC_STAT_READ_RETRIES, 1);
        fc_spin_pause();
    }
    if (status == FC_CONTENDED) {
        fc_stat(session, FC_STAT_CONTENDED, 1);
        status = fc_fail(FC_CONTENDED, "%u rounds over %llu keys", CUT_RETRIES_MAX, (unsigned long long)count);
    }
    if (proofs != few) free(proofs);
    return status;
}
