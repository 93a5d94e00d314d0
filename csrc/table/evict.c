/* evict.c -- see evict.h.
 *
 * Sampling      SAMPLE_HOMES neighbouring homes from a random one on: one stretch of memory, some 60 candidates, against Redis's 5
 *               scattered ones. The age of a candidate is the access clock minus its access mark, modulo 256; the clock moves on with
 *               every 64th part of the keys replaced, so ages up to four turnovers are told apart.
 * A page        is emptied under its own lock, so nobody takes or brings blocks meanwhile. Blocks that are in no entry (somebody's
 *               magazine, a value under construction) stay, and the page with them.
 */
#include "table/evict.h"

#include "memory/count.h"
#include "memory/journal.h"
#include "memory/page.h"
#include "memory/retire.h"
#include "table/publish.h"

#define SAMPLE_HOMES 16u
#define SAMPLE_PAGES 16u
#define SCORE_KIND 1024u
#define SCORE_DEAD 512u

static uint64_t policy_of(const fc_session *session)
{
    return fc_load_relaxed(&fc_header_of(session->cache)->policy);
}

/* Fields of the block an unlocked entry names; they may be of a moment that never was, which costs a bad choice at worst. */
static int peek(const fc_session *session, uint64_t word, fc_view *view)
{
    fc_ref ref = word & FC_ENTRY_REF_MASK;
    if (word == 0 || (word & FC_ENTRY_MARK) != 0 || !fc_ref_is_block(session, ref)) return 0;
    return fc_view_load(session, fc_at(session, ref), view);
}

int fc_evict_entry(fc_session *session, fc_bucket *home, uint64_t *entry, uint64_t word, int only_dead)
{
    fc_view view;
    if (!fc_lock_try(session, FC_LOCK_VICTIM, &home->owner)) return 0;
    int removed = 0;
    /* The bucket may have been unlinked and given to another home since the entry was seen; a key of this home is in this home's chain. */
    if (fc_load_acquire(entry) == word && peek(session, word, &view) && fc_home_of(session, view.hash) == home) {
        int flushed = fc_view_is_flushed(session, &view);
        int expired = !flushed && view.expires_unix_ns != 0 && fc_clock_is_past(view.expires_unix_ns);
        if (flushed || expired || !only_dead) {
            fc_publish(session, home, entry, word, 0, 0, 0);
            fc_chain_trim(session, home);
            fc_stat(session, flushed ? FC_STAT_FLUSHED : expired ? FC_STAT_EXPIRED : FC_STAT_EVICTED, 1);
            removed = 1;
        }
    }
    fc_lock_release(&home->owner);
    return removed;
}

/* ------------------------------------------------------------------ sampling */

typedef struct victim {
    fc_bucket *home;
    uint64_t *entry;
    uint64_t word;
    uint32_t score;
} victim;

static uint32_t score_of(fc_session *session, const fc_view *view, uint64_t home_index, uint32_t mark_index, uint32_t kind)
{
    uint32_t score = 1;
    int fits = kind == FC_KIND_PAGE ? (view->flags & FC_BLOCK_CHAIN) != 0 : view->kind == kind;
    if (fits) score += SCORE_KIND;
    if (!fc_view_is_alive(session, view)) return score + SCORE_DEAD;
    if (policy_of(session) == FC_POLICY_ALLKEYS_RANDOM) return score + (fc_random(session) & 255);
    uint8_t now = (uint8_t)fc_load_relaxed(&fc_header_of(session->cache)->access_clock);
    return score + (uint8_t)(now - fc_load8_relaxed(fc_mark_at(session, home_index, mark_index)));
}

static void consider_home(fc_session *session, uint64_t home_index, uint32_t kind, victim *best)
{
    fc_bucket *home = &session->homes[home_index];
    int damaged = 0;
    uint32_t bucket_count = 0;
    if (fc_load32_relaxed(&home->owner) != 0) return;
    for (fc_bucket *bucket = home; bucket != NULL && bucket_count < 16; bucket = fc_bucket_next(session, bucket, &damaged), bucket_count++) {
        for (uint32_t i = 0; i < FC_BUCKET_ENTRIES; i++) {
            fc_view view;
            uint64_t word = fc_load_relaxed(&bucket->entries[i]);
            if (!peek(session, word, &view) || view.database == FC_DATABASE_SCHEMAS) continue;
            uint32_t score = score_of(session, &view, home_index, bucket_count == 0 ? i : FC_MARK_EXTENSIONS, kind);
            if (score > best->score) *best = (victim){home, &bucket->entries[i], word, score};
        }
    }
}

/* Homes of long values, found by their memory: a few huge values in a large index are in no sample of homes. */
static void consider_nodes(fc_session *session, victim *best)
{
    for (uint32_t i = 0; i < SAMPLE_PAGES; i++) {
        uint64_t page_index = ((uint64_t)fc_random(session) * session->cache->geometry.page_count) >> 32;
        const fc_node *node = fc_at(session, fc_page_ref(session, page_index));
        if (fc_page_kind(fc_load_relaxed(&fc_page_at(session, page_index)->kind_free)) != FC_KIND_PAGE || fc_load_relaxed(&node->stamp) == 0) continue;
        consider_home(session, fc_home_index(session, fc_load_relaxed(&node->hash)), FC_KIND_PAGE, best);
    }
}

int fc_evict_sample(fc_session *session, uint32_t kind)
{
    victim best = {0};
    uint64_t start = ((uint64_t)fc_random(session) * session->home_count) >> 32;
    for (uint32_t i = 0; i < SAMPLE_HOMES; i++) consider_home(session, (start + i) % session->home_count, kind, &best);
    if (best.score == 0 || (kind == FC_KIND_PAGE && best.score < SCORE_KIND)) consider_nodes(session, &best);
    if (best.score == 0 || !fc_evict_entry(session, best.home, best.entry, best.word, 0)) return 0;
    return best.score > SCORE_KIND ? 2 : 1;
}

/* ------------------------------------------------------------------ emptying a page */

/* The entry of the chain that names the block; NULL if none does. The caller holds the home's lock. */
static uint64_t *entry_of_block(const fc_session *session, fc_bucket *home, fc_ref ref)
{
    int damaged = 0;
    uint32_t bucket_count = 0;
    for (fc_bucket *bucket = home; bucket != NULL && bucket_count < FC_CHAIN_BUCKETS_MAX; bucket = fc_bucket_next(session, bucket, &damaged), bucket_count++)
        for (uint32_t i = 0; i < FC_BUCKET_ENTRIES; i++) {
            uint64_t word = fc_load_relaxed(&bucket->entries[i]);
            if ((word & FC_ENTRY_MARK) == 0 && (word & FC_ENTRY_REF_MASK) == ref) return &bucket->entries[i];
        }
    return NULL;
}

static void remove_from_page(fc_session *session, fc_bucket *home, uint64_t *entry)
{
    uint64_t word = fc_load_relaxed(entry);
    fc_redo_begin(session);
    fc_redo_add(session, entry, 0);
    fc_redo_add(session, &home->version, fc_load_relaxed(&home->version) + 1);
    fc_retire_redo_chain_only(session, word & FC_ENTRY_REF_MASK);
    fc_count_redo_change(session, word, 0);
    fc_page_redo_free(session, word & FC_ENTRY_REF_MASK);
    fc_redo_commit(session);
    fc_chain_trim(session, home);
    fc_stat(session, FC_STAT_EVICTED, 1);
}

/* Publishes a copy of the block in another page. 0 if there is no other page. */
static int move_from_page(fc_session *session, fc_bucket *home, uint64_t *entry, const fc_view *view)
{
    uint64_t word = fc_load_relaxed(entry), new_word;
    if (fc_load_relaxed(&session->slot->magazines[view->kind].count) == 0 && fc_page_refill(session, view->kind) != FC_OK) return 0;
    if (fc_block_build_copy(session, view, view->expires_unix_ns, view->kind, &new_word) != FC_OK) return 0;
    fc_redo_begin(session);
    fc_redo_add(session, entry, new_word);
    fc_redo_add(session, &home->version, fc_load_relaxed(&home->version) + 1);
    fc_retire_redo_take(session, view->kind);
    fc_page_redo_free(session, word & FC_ENTRY_REF_MASK);
    fc_redo_commit(session);
    return 1;
}

static int empty_block(fc_session *session, fc_ref ref, int move)
{
    fc_view view;
    const fc_block *block = fc_at(session, ref);
    if (fc_load_acquire(&block->stamp) == 0 || !fc_view_load(session, block, &view)) return 0; /* [block.stamp] */
    fc_bucket *home = fc_home_of(session, view.hash);
    if (!fc_lock_try(session, FC_LOCK_VICTIM, &home->owner)) return 0;
    int done = 0;
    uint64_t *entry = entry_of_block(session, home, ref);
    if (entry != NULL && fc_view_load(session, block, &view) && (move || view.database != FC_DATABASE_SCHEMAS)) {
        if (move) done = move_from_page(session, home, entry, &view);
        else {
            remove_from_page(session, home, entry);
            done = 1;
        }
    }
    fc_lock_release(&home->owner);
    return done;
}

int fc_evict_page(fc_session *session, uint64_t page_index, int move)
{
    fc_page *page = fc_page_at(session, page_index);
    if (!fc_lock_try(session, FC_LOCK_EVACUATED, &page->owner)) return 0;
    uint32_t kind = fc_page_kind(fc_load_relaxed(&page->kind_free));
    if (kind != FC_KIND_FREE && kind < FC_KIND_PAGE) {
        int stuck = 0;
        for (uint32_t i = 0; i < fc_class_blocks(kind) && !(move && stuck); i++)
            if ((fc_load_relaxed(&page->free_bits[i / 64]) >> (i % 64) & 1) == 0)
                stuck |= !empty_block(session, fc_page_ref(session, page_index) + i * fc_class_bytes[kind], move);
    }
    int is_free = kind != FC_KIND_FREE && fc_page_kind(fc_load_relaxed(&page->kind_free)) == FC_KIND_FREE;
    fc_page_set_hints(session, page_index);
    fc_lock_release(&page->owner);
    if (session->garbage) fc_page_drain(session);
    if (is_free) fc_stat(session, FC_STAT_PAGES_MOVED, 1);
    return is_free;
}
