/* cut.c -- several keys as they stood at one instant, without a lock (P5).
 *
 * Method        read every key together with what proves it. Then go round the proofs, again and again; a key whose proof fails is read
 *               anew. The cut is done when every proof has held once since a key was last read: all keys were read before that moment, the
 *               instant, and none had changed after it. One changed key costs one read, not all of them, and no writer is stopped.
 * Proofs        found, plain word   the entry's word, and the home's version from before the word was read. Checked in the other order:
 *                                   the word, then the version. One cache line for both; the block is not touched.
 *               found, mark         the mark, the state of its descriptor, the block's stamp
 *               missing             the chain scanned again, and the home's version from before the first scan, compared after the second
 *               Where only the version differs (a neighbour changed, or this key's own change had not been counted yet when it was
 *               read), the block's stamp decides, and the proof goes on from the new version.
 * Why word and version suffice. Whoever changes an entry stores the word, then counts: version + 1, both under the home's lock and before
 *               anybody else can take it. So before a word is stored, every earlier change of the chain is counted. Say the
 *               word is w at both looks, but was x meanwhile. The count of x came before the store of the second w; who sees that w (acquire)
 *               and then reads the version finds x counted. The version read before the first look had not counted x: else that
 *               look, coming after, would have seen x or what followed it. So the versions differ. This holds for
 *                 publications, evictions, compaction: one redo log each, word first; a death in the middle leaves the lock held until
 *                   the settler has repeated the log, the count included;
 *                 multi-key writes: marks are not counted, but a mark never follows a mark: between two of them the sweep has stored
 *                   plain words and counted, under the lock. An undone mark that gives way to the same word changed nothing;
 *                 extension buckets: before one can serve another home, all its entries were emptied and that was counted here;
 *                 a store of the word that is there already: only when a settler repeats it, which changes nothing.
 * Expiry        is judged by one reading of the clock, taken after the last read of a key and before the checks that follow: at the instant.
 * Flushes       change many keys by one store: generations before the first read and after the last check are equal, or all is done again.
 * Rejected      reading all keys anew after one change: 500 keys under a writer never finish. Versions alone: the entry is visible before
 *               its version changes. Words alone: they come back. (tools/models/multi.pml: CUT_BY_VERSIONS, PLAIN_BY_WORDS, and the
 *               orders VERSION_LATE and CHECK_VERSION_FIRST.)
 * Fairness      keys that are written without a pause, on another core, change faster than they can be read. A cut that has read
 *               ANEW_BEFORE_SIGN keys anew asks writers to give way for some microseconds (memory/give_way.h). It stops nobody for longer, and
 *               is exact whether or not they do.
 * Bounds        CUT_ROUNDS_MAX rounds, FLUSHES_MAX flushes, then FC_CONTENDED. Writers of neighbouring keys cost a read of the stamp where
 *               a key was found, a read of the key where it is missing.
 */
#include "memory/give_way.h"
#include "table/prefetch.h"

#include <stdlib.h>

#define CUT_ROUNDS_MAX 10000u
#define FLUSHES_MAX 1000u
/* Keys read anew before writers are asked to give way, and again after as many: a write every 400 ns costs a cut of 500 keys 15 to 25. */
#define ANEW_BEFORE_SIGN 48u
/* Keys whose proofs fit the stack. */
#define FEW 32u
/* In place of the version, for what is proven otherwise: no home's version gets there. */
#define NO_VERSION UINT64_MAX

/* What every round compares: 32 bytes a key. */
typedef struct cut_proof {
    const uint64_t *entry;     /* of a missing key: any */
    uint64_t word;
    uint64_t version;          /* NO_VERSION: mark or missing */
    const fc_bucket *home;
} cut_proof;

/* What is looked at only when that differs, and in the end. The stamp is in the read. */
typedef struct cut_detail {
    const fc_block *block;     /* NULL: missing */
    uint64_t seen;             /* mark: its descriptor's state; missing: the home's version */
    uint64_t expires_unix_ns;
} cut_detail;

typedef struct cut {
    fc_session *session;
    const fc_key *keys;
    fc_read *reads;
    uint64_t count;
    cut_proof *proofs;
    cut_detail *details;
    uint64_t now_unix_ns;      /* the clock at the instant; 0 while no key has an expiry */
    uint64_t anew_count;       /* keys read anew */
    uint64_t sign;             /* what fc_give_way_raise gave; 0: none */
} cut;

/* ------------------------------------------------------------------ reading a key */

static int copy_to_read(const fc_session *session, fc_hit *hit, void *context)
{
    fc_read *read = context;
    read->schema = fc_view_schema(&hit->view);
    read->written_unix_ns = fc_load_relaxed(&hit->view.block->written_unix_ns);
    if (hit->view.value_bytes > read->buffer_bytes) return 1;
    return fc_view_copy_value(session, &hit->view, 0, read->buffer, hit->view.value_bytes);
}

static int copy_nothing(const fc_session *session, fc_hit *hit, void *context)
{
    (void)session, (void)hit, (void)context;
    return 1;
}

static void keep_found(cut *c, uint64_t i, const fc_hit *hit)
{
    fc_read *read = &c->reads[i];
    const fc_view *view = &hit->view;
    c->proofs[i].entry = hit->entry;
    c->proofs[i].word = hit->word;
    c->details[i] = (cut_detail){.block = view->block, .expires_unix_ns = view->expires_unix_ns};
    if (FC_UNLIKELY((hit->word & FC_ENTRY_MARK) != 0)) {
        c->proofs[i].version = NO_VERSION;
        c->details[i].seen = hit->state;
    }
    read->value_bytes = view->value_bytes;
    read->version = view->stamp;
    read->status = view->value_bytes > read->buffer_bytes ? FC_BUFFER_SMALL : FC_OK;
    if (FC_UNLIKELY(fc_view_is_flushed(c->session, view))) read->status = FC_MISS;
}

static void keep_missing(cut *c, uint64_t i)
{
    cut_proof *proof = &c->proofs[i];
    c->details[i] = (cut_detail){.seen = proof->version};
    proof->entry = proof->home->entries;
    proof->word = 0;
    proof->version = NO_VERSION;
    c->reads[i].status = FC_MISS;
}

static fc_status read_key(cut *c, uint64_t i)
{
    fc_hit hit;
    cut_proof *proof = &c->proofs[i];
    proof->home = fc_home_of(c->session, c->keys[i].hash);
    proof->version = fc_load_acquire(&proof->home->version); /* [bucket.version] */
    fc_status status = fc_lookup(c->session, &c->keys[i], copy_to_read, &c->reads[i], &hit);
    if (FC_LIKELY(status == FC_OK)) keep_found(c, i, &hit);
    else if (status == FC_MISS) keep_missing(c, i);
    else return status;
    return FC_OK;
}

/* After a key was read. */
static void take_instant(cut *c, uint64_t i)
{
    if (c->now_unix_ns != 0 || c->details[i].expires_unix_ns != 0) c->now_unix_ns = fc_clock_unix_ns();
}

static fc_status read_all(cut *c)
{
    c->now_unix_ns = 0;
    uint64_t expiries = 0;
    for (uint64_t i = 0; i < c->count;)
        for (uint64_t until = fc_prefetch_group(c->session, c->keys, i, c->count); i < until; i++) {
            FC_TRY(read_key(c, i));
            expiries |= c->details[i].expires_unix_ns;
        }
    if (expiries != 0) c->now_unix_ns = fc_clock_unix_ns();
    return FC_OK;
}

/* ------------------------------------------------------------------ proofs */

/* The first of [from, to) whose word or version differs; to if none. */
static uint64_t first_changed(const cut_proof *proofs, uint64_t from, uint64_t to)
{
    for (; from < to; from++) {
        const cut_proof *proof = &proofs[from];
        if (FC_UNLIKELY(fc_load_acquire(proof->entry) != proof->word)) break; /* [entry.publish] */
        if (FC_UNLIKELY(fc_load_acquire(&proof->home->version) != proof->version)) break; /* [bucket.version] */
    }
    return from;
}

static int found_still_holds(cut *c, uint64_t i)
{
    cut_proof *proof = &c->proofs[i];
    const cut_detail *detail = &c->details[i];
    uint64_t version = fc_load_acquire(&proof->home->version); /* [bucket.version] */
    if (fc_load_acquire(proof->entry) != proof->word) return 0; /* [entry.publish] */
    int is_mark = (proof->word & FC_ENTRY_MARK) != 0;
    if (is_mark && fc_multi_state_of(c->session, proof->word) != detail->seen) return 0;
    if (fc_load_acquire(&detail->block->stamp) != c->reads[i].version) return 0; /* [block.stamp] */
    if (!is_mark) proof->version = version;
    return 1;
}

static int miss_still_holds(cut *c, uint64_t i)
{
    fc_hit hit;
    if (fc_lookup(c->session, &c->keys[i], copy_nothing, NULL, &hit) != FC_MISS) return 0;
    fc_fence_acquire();
    return fc_load_acquire(&c->proofs[i].home->version) == c->details[i].seen; /* [bucket.version] */
}

static int still_holds(cut *c, uint64_t i)
{
    return c->details[i].block != NULL ? found_still_holds(c, i) : miss_still_holds(c, i);
}

/* Reads a changed key anew; asks writers to give way if there have been many. */
static fc_status read_anew(cut *c, uint64_t i)
{
    fc_stat(c->session, FC_STAT_READ_RETRIES, 1);
    if (++c->anew_count % ANEW_BEFORE_SIGN == 0) c->sign = fc_give_way_raise(c->session);
    FC_TRY(read_key(c, i));
    take_instant(c, i);
    return FC_OK;
}

/* Until every proof has held since a key was read last. */
static fc_status go_round(cut *c)
{
    uint64_t held_count = 0, i = 0;
    uint64_t checks_left = c->count * CUT_ROUNDS_MAX;
    while (held_count < c->count) {
        uint64_t wanted = c->count - held_count;
        uint64_t until = c->count - i < wanted ? c->count : i + wanted;
        uint64_t changed = first_changed(c->proofs, i, until);
        held_count += changed - i;
        checks_left -= changed - i < checks_left ? changed - i : checks_left;
        if (changed < until) {
            if (still_holds(c, changed)) held_count++;
            else {
                FC_TRY(read_anew(c, changed));
                held_count = 0;
            }
            if (checks_left-- == 0) return FC_CONTENDED;
            changed++;
        }
        i = changed < c->count ? changed : 0;
    }
    return FC_OK;
}

/* ------------------------------------------------------------------ the whole */

/* One bit for each database that has keys in the cut. */
static uint64_t databases_of(const fc_key *keys, uint64_t count)
{
    uint64_t databases = 0;
    for (uint64_t i = 0; i < count; i++) databases |= UINT64_C(1) << (keys[i].database & 63);
    return databases;
}

static uint64_t flushes_of(const fc_session *session, uint64_t databases)
{
    uint64_t sum = 0;
    for (; databases != 0; databases &= databases - 1) sum += fc_flush_generation(session, (uint32_t)__builtin_ctzll(databases));
    return sum;
}

static uint32_t mark_index_of(const cut_proof *proof)
{
    uint64_t index = (uint64_t)(proof->entry - proof->home->entries);
    return index < FC_BUCKET_ENTRIES ? (uint32_t)index : FC_MARK_EXTENSIONS;
}

static void deliver(cut *c)
{
    uint64_t miss_count = 0;
    for (uint64_t i = 0; i < c->count; i++) {
        uint64_t expires_unix_ns = c->details[i].expires_unix_ns;
        if (FC_UNLIKELY(expires_unix_ns != 0) && expires_unix_ns <= c->now_unix_ns) c->reads[i].status = FC_MISS;
        if (c->reads[i].status == FC_MISS) miss_count++;
        else fc_mark_used(c->session, c->keys[i].hash, mark_index_of(&c->proofs[i]));
    }
    fc_stat(c->session, FC_STAT_GETS, c->count);
    fc_stat(c->session, FC_STAT_HITS, c->count - miss_count);
    fc_stat(c->session, FC_STAT_MISSES, miss_count);
}

static fc_status take_cut(cut *c, uint64_t databases)
{
    for (uint32_t attempt = 0; attempt < FLUSHES_MAX; attempt++) {
        uint64_t flushes = flushes_of(c->session, databases);
        FC_TRY(read_all(c));
        fc_status status = go_round(c);
        if (status == FC_CONTENDED) {
            fc_stat(c->session, FC_STAT_CONTENDED, 1);
            return fc_fail(FC_CONTENDED, "%u rounds over %llu keys", CUT_ROUNDS_MAX, (unsigned long long)c->count);
        }
        FC_TRY(status);
        if (flushes_of(c->session, databases) != flushes) continue;
        deliver(c);
        return FC_OK;
    }
    fc_stat(c->session, FC_STAT_CONTENDED, 1);
    return fc_fail(FC_CONTENDED, "a database was flushed during each of %u attempts", FLUSHES_MAX);
}

fc_status fc_get_cut(fc_session *session, const fc_key *keys, fc_read *reads, uint64_t count)
{
    FC_TRY(fc_session_enter_read(session));
    for (uint64_t i = 0; i < count; i++)
        if (keys[i].database >= FC_DATABASE_SLOTS) return fc_fail(FC_INVALID_ARGUMENT, "database %u of key %llu", keys[i].database, (unsigned long long)i);
    cut_proof few_proofs[FEW];
    cut_detail few_details[FEW];
    cut c = {.session = session, .keys = keys, .reads = reads, .count = count, .proofs = few_proofs, .details = few_details};
    if (count > FEW) {
        c.proofs = count <= UINT32_MAX ? malloc(count * (sizeof *c.proofs + sizeof *c.details)) : NULL;
        if (c.proofs == NULL) return fc_fail(FC_SYSTEM, "no memory for %llu keys", (unsigned long long)count);
        c.details = (cut_detail *)(c.proofs + count);
    }
    fc_status status = take_cut(&c, databases_of(keys, count));
    fc_give_way_lower(session, c.sign);
    if (c.proofs != few_proofs) free(c.proofs);
    return status;
}
