/* crash_verify.c -- is every structure of a segment whole? Nobody may be writing meanwhile; a dead or stopped session may have left its
 * traces.
 *
 * A1 is checked by counting, for each block of each page, the places that hold it: the page's bitmap, magazines, pending and garbage lists,
 * descriptors of multi-key writes, entries and bucket links. The count must be 1. While a redo log is committed but not yet applied in full
 * the count means nothing, so then it is left out.
 */
#include "crash_harness.h"

#include "base/hash.h"
#include "memory/count.h"
#include "memory/liveness.h"
#include "memory/multi.h"
#include "memory/page.h"
#include "table/block.h"
#include "table/lookup.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#define WRONG_MAX 12u
#define BLOCKS_MAX (FC_PAGE_BYTES / FC_BLOCK_BYTES_MIN)

typedef struct verifier {
    const fc_cache *cache;
    const fc_session *session; /* only base, bounds and homes are used */
    const char *label;
    int settled;
    int redo_pending;          /* some session's log is committed */
    int multi_committed;
    uint32_t wrong;
    uint8_t *places;           /* page_count * BLOCKS_MAX */
    const char **where;        /* the first place found */
    uint64_t live_counts[FC_DATABASE_SLOTS];
} verifier;

static void wrong(verifier *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void wrong(verifier *v, const char *format, ...)
{
    va_list arguments;
    if (++v->wrong > WRONG_MAX) return;
    fprintf(stderr, "%s: structure (%s): ", v->label, v->settled ? "settled" : "not settled");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

/* Notes that the block is in a place; 0 if it is no block. kind 0: whatever its page has. */
static int place(verifier *v, fc_ref ref, uint32_t kind, const char *what)
{
    if (ref < v->session->arena_off || ref >= v->session->size_bytes) {
        wrong(v, "%s: %#" PRIx64 " is outside the arena", what, ref);
        return 0;
    }
    uint64_t page_index = fc_page_index_of(v->session, ref);
    uint32_t page_kind = fc_page_kind(fc_load_relaxed(&fc_page_at(v->session, page_index)->kind_free));
    uint64_t offset = ref - fc_page_ref(v->session, page_index);
    if (page_kind == FC_KIND_FREE || page_kind >= FC_KIND_COUNT || (kind != 0 && kind != page_kind)) {
        if (!v->redo_pending) wrong(v, "%s: block %#" PRIx64 " of kind %u is in page %" PRIu64 " of kind %u", what, ref, kind, page_index, page_kind);
        return 0;
    }
    uint64_t block = offset / fc_class_bytes[page_kind];
    if (offset % fc_class_bytes[page_kind] != 0 || block >= fc_class_blocks(page_kind)) {
        wrong(v, "%s: %#" PRIx64 " is no block of its page, kind %u", what, ref, page_kind);
        return 0;
    }
    uint64_t at = page_index * BLOCKS_MAX + block;
    if (v->places[at]++ == 0) v->where[at] = what;
    else if (!v->redo_pending) wrong(v, "A1: block %#" PRIx64 " (page %" PRIu64 " of kind %u) is in two places: %s and %s",
        ref, page_index, page_kind, v->where[at], what);
    return 1;
}

/* ------------------------------------------------------------------ pages and hints */

/* A word that was a stamp: serials are small numbers here, and no payload, hash or length of these tests looks like one. */
static int is_stamp(const verifier *v, uint64_t word)
{
    uint64_t serial = word >> FC_STAMP_COUNTER_BITS;
    uint64_t counter = word & ((UINT64_C(1) << FC_STAMP_COUNTER_BITS) - 1);
    return serial >= 1 && serial < fc_header_of(v->cache)->serial_next && counter >= 1 && counter < 1u << 20;
}

static void verify_page(verifier *v, uint64_t page_index)
{
    const fc_page *page = fc_page_at(v->session, page_index);
    uint32_t kind = fc_page_kind(page->kind_free), free_count = fc_page_free_count(page->kind_free);
    if (v->settled && page->owner != 0) wrong(v, "page %" PRIu64 " is locked by %#x", page_index, page->owner);
    if (kind >= FC_KIND_COUNT) {
        wrong(v, "page %" PRIu64 " has kind %u", page_index, kind);
        return;
    }
    if (kind == FC_KIND_FREE) {
        if (free_count != 0) wrong(v, "free page %" PRIu64 " counts %u blocks", page_index, free_count);
        return;
    }
    uint32_t bits = 0;
    /* A page that is one block is found through its count alone; the bits of what it was before may stay. */
    for (uint32_t i = 0; i < (kind == FC_KIND_PAGE ? 1 : BLOCKS_MAX); i++) {
        if ((page->free_bits[i / 64] >> (i % 64) & 1) == 0) continue;
        bits++;
        if (i >= fc_class_blocks(kind)) {
            if (!v->redo_pending) wrong(v, "page %" PRIu64 " of kind %u: bit %u is behind its last block", page_index, kind, i);
            continue;
        }
        fc_ref ref = fc_page_ref(v->session, page_index) + (uint64_t)i * fc_class_bytes[kind];
        place(v, ref, kind, "free in its page");
        uint64_t first = *(const uint64_t *)fc_at(v->session, ref);
        if (is_stamp(v, first) && !v->redo_pending) wrong(v, "A4: free block %#" PRIx64 " of kind %u has stamp %#" PRIx64, ref, kind, first);
    }
    if (bits != free_count && !v->redo_pending) wrong(v, "page %" PRIu64 " of kind %u: %u bits, but it counts %u free", page_index, kind, bits, free_count);
    if (bits == fc_class_blocks(kind) && kind != FC_KIND_BUCKETS && !v->redo_pending && (v->settled || page->owner == 0))
        wrong(v, "page %" PRIu64 " of kind %u is all free, but not given back", page_index, kind);
}

static void verify_hints(verifier *v)
{
    const fc_geometry *geometry = &v->cache->geometry;
    for (uint32_t kind = 0; kind < FC_KIND_COUNT; kind++) {
        const uint64_t *words = (const uint64_t *)(v->cache->base + geometry->hints_off) + kind * (geometry->hint_words + geometry->hint_tops);
        const uint64_t *tops = words + geometry->hint_words;
        for (uint64_t i = 0; i < geometry->page_count; i++) {
            const fc_page *page = fc_page_at(v->session, i);
            int has = fc_page_kind(page->kind_free) == kind && (kind == FC_KIND_FREE || fc_page_free_count(page->kind_free) > 0);
            if (page->owner == 0 && (int)(words[i / 64] >> (i % 64) & 1) != has)
                wrong(v, "A3: page %" PRIu64 " of kind %u with %u free: its hint for kind %u is %d",
                    i, fc_page_kind(page->kind_free), fc_page_free_count(page->kind_free), kind, !has);
        }
        for (uint64_t i = 0; i < geometry->hint_words; i++)
            if (v->settled && words[i] != 0 && (tops[i / 64] >> (i % 64) & 1) == 0)
                wrong(v, "A3: word %" PRIu64 " of kind %u has hints, its top bit is not set", i, kind);
    }
}

/* ------------------------------------------------------------------ values */

static void place_value(verifier *v, fc_ref ref, const char *what)
{
    fc_view view;
    const fc_block *block = fc_at(v->session, ref);
    if (!place(v, ref, 0, what)) return;
    if (!fc_view_load(v->session, block, &view)) {
        wrong(v, "%s: the fields of block %#" PRIx64 " make no sense", what, ref);
        return;
    }
    uint32_t page_kind = fc_page_kind(fc_page_at(v->session, fc_page_index_of(v->session, ref))->kind_free);
    if (view.kind != page_kind) wrong(v, "%s: block %#" PRIx64 " says kind %u, its page %u", what, ref, view.kind, page_kind);
    if (block->stamp == 0) wrong(v, "%s: block %#" PRIx64 " has no stamp", what, ref);
    if ((view.flags & FC_BLOCK_CHAIN) == 0) return;
    fc_shape shape;
    fc_block_shape(view.key_bytes, view.value_bytes, (view.flags & FC_BLOCK_SCHEMA) != 0, &shape);
    const fc_chain *chain = (const fc_chain *)((const uint8_t *)block + fc_payload_off(view.flags) - sizeof(fc_chain));
    fc_ref node_ref = chain->first;
    for (uint64_t i = 0; i < shape.node_count; i++) {
        if (!place(v, node_ref, FC_KIND_PAGE, "node of a chain")) return;
        const fc_node *node = fc_at(v->session, node_ref);
        if (node->stamp != chain->stamp) wrong(v, "node %" PRIu64 " of block %#" PRIx64 " has stamp %#" PRIx64 ", the chain %#" PRIx64,
            i, ref, node->stamp, chain->stamp);
        node_ref = node->next;
    }
    if (node_ref != 0) wrong(v, "the chain of block %#" PRIx64 " goes on behind its last node", ref);
}

/* The word an entry stands for, mark resolved as a reader would. */
static uint64_t resolve(verifier *v, uint64_t word)
{
    uint64_t resolved, state;
    if ((word & FC_ENTRY_MARK) == 0) return word;
    if (v->settled) wrong(v, "a mark is left in an entry");
    if (fc_multi_resolve(v->session, word, &resolved, &state)) return resolved;
    wrong(v, "an entry's mark %#" PRIx64 " leads nowhere", word);
    return 0;
}

static void verify_entry(verifier *v, uint64_t home_index, uint64_t found_word, fc_view *views, uint32_t *view_count, uint32_t views_max)
{
    uint8_t text[64];
    uint64_t word = resolve(v, found_word);
    if (word == 0) return;
    fc_ref ref = word & FC_ENTRY_REF_MASK;
    if (!fc_ref_is_block(v->session, ref)) {
        wrong(v, "an entry of home %" PRIu64 " leads out of the arena", home_index);
        return;
    }
    place_value(v, ref, "an entry");
    fc_view view;
    if (!fc_view_load(v->session, fc_at(v->session, ref), &view) || view.key_bytes > sizeof text) return;
    if (!fc_view_copy_payload(v->session, &view, 0, text, view.key_bytes)) wrong(v, "a key's bytes cannot be read");
    if (fc_hash(v->cache->geometry.hash_seed, view.database, text, view.key_bytes) != view.hash) wrong(v, "a block's hash is not its key's");
    if (fc_home_index(v->session, view.hash) != home_index) wrong(v, "B1: key of home %" PRIu64 " is in the chain of home %" PRIu64,
        fc_home_index(v->session, view.hash), home_index);
    if (view.hash >> FC_ENTRY_TAG_SHIFT != word >> FC_ENTRY_TAG_SHIFT) wrong(v, "an entry's tag is not its key's");
    for (uint32_t i = 0; i < *view_count; i++)
        if (views[i].hash == view.hash && views[i].database == view.database && views[i].key_bytes == view.key_bytes)
            wrong(v, "key %.*s is in two entries", (int)view.key_bytes, text);
    if (*view_count < views_max) views[(*view_count)++] = view;
    uint64_t generation = fc_header_of(v->cache)->flush_generations[view.database];
    v->live_counts[view.database] += view.flush_generation == (generation & FC_BLOCK_FLUSH_MASK);
}

static void verify_home(verifier *v, uint64_t home_index)
{
    static fc_view views[512];
    uint32_t view_count = 0, bucket_count = 0;
    int damaged = 0;
    const fc_bucket *home = &v->session->homes[home_index];
    if (v->settled && home->owner != 0) wrong(v, "home %" PRIu64 " is locked by %#x", home_index, home->owner);
    for (const fc_bucket *bucket = home; bucket != NULL && bucket_count < 64; bucket = fc_bucket_next(v->session, bucket, &damaged), bucket_count++) {
        if (bucket_count > 0) place(v, fc_offset_of(v->session, bucket), FC_KIND_BUCKETS, "a bucket's link");
        if (bucket_count > 0 && (bucket->version != 0 || bucket->owner != 0)) wrong(v, "an extension bucket of home %" PRIu64 " has a version or an owner",
            home_index);
        for (uint32_t i = 0; i < FC_BUCKET_ENTRIES; i++) verify_entry(v, home_index, bucket->entries[i], views, &view_count, 512);
    }
    if (damaged) wrong(v, "a link of home %" PRIu64 " leads out of the arena", home_index);
    if (bucket_count == 64) wrong(v, "the chain of home %" PRIu64 " has no end", home_index);
}

/* ------------------------------------------------------------------ sessions */

static void place_list(verifier *v, fc_ref ref, uint32_t list, const char *what)
{
    for (uint32_t i = 0; ref != 0; i++) {
        const uint64_t *words = fc_at(v->session, ref);
        if (!place(v, ref, list == FC_GARBAGE_NODES ? FC_KIND_PAGE : list == FC_GARBAGE_BUCKETS ? FC_KIND_BUCKETS : 0, what)) return;
        if (i > 4096) {
            wrong(v, "%s has no end", what);
            return;
        }
        ref = words[list == FC_GARBAGE_BUCKETS ? 0 : 1];
    }
}

static void place_multi(verifier *v, const fc_slot *slot, uint32_t slot_index)
{
    const fc_multi *multi = &slot->multi;
    int status = fc_multi_status(multi->state);
    for (uint32_t i = 0; i < FC_MULTI_PAGES; i++)
        if (multi->pages[i] != 0) {
            place(v, multi->pages[i], FC_KIND_PAGE, "a page of a multi-key write");
            if (v->settled) wrong(v, "slot %u still has pages of a multi-key write", slot_index);
        }
    if (status == FC_MULTI_IDLE) return;
    if (v->settled) wrong(v, "slot %u is in a multi-key write", slot_index);
    fc_session owner = {.base = v->cache->base, .slot = (fc_slot *)(uintptr_t)slot};
    for (uint64_t i = multi->progress; i < multi->op_count; i++) {
        const fc_multi_op *op = fc_multi_op_at(&owner, i);
        uint64_t loser = status == FC_MULTI_COMMITTED ? op->old_word : op->new_word;
        if (loser != 0) place_value(v, loser & FC_ENTRY_REF_MASK, "a multi-key write");
    }
}

static void verify_slot(verifier *v, uint32_t slot_index)
{
    const fc_slot *slot = fc_slot_at(v->cache, slot_index);
    if (slot->redo_count > FC_REDO_MAX) wrong(v, "slot %u: a redo log of %" PRIu64, slot_index, slot->redo_count);
    if (v->settled && slot->redo_count != 0) wrong(v, "slot %u: a redo log is pending", slot_index);
    if (v->settled && slot->pending != 0) wrong(v, "slot %u: blocks are pending", slot_index);
    if (v->settled && slot->identity != 0 && fc_liveness_has_died(v->cache, slot_index)) wrong(v, "slot %u: its session is dead, and was not settled",
        slot_index);
    for (uint32_t kind = 1; kind < FC_KIND_COUNT; kind++) {
        const fc_magazine *magazine = &slot->magazines[kind];
        if (magazine->count > FC_MAGAZINE_REFS) {
            wrong(v, "slot %u: a magazine of %" PRIu64, slot_index, magazine->count);
            continue;
        }
        if (slot->identity == 0 && magazine->count > 0) wrong(v, "slot %u is free, but has blocks of kind %u", slot_index, kind);
        for (uint64_t i = 0; i < magazine->count; i++) place(v, magazine->refs[i], kind, "a magazine");
    }
    place_list(v, slot->pending, FC_GARBAGE_NODES, "a pending list");
    for (uint32_t list = 0; list < FC_GARBAGE_LISTS; list++) {
        place_list(v, slot->garbage[list], list, "a garbage list");
        if (slot->identity == 0 && slot->garbage[list] != 0) wrong(v, "slot %u is free, but has garbage", slot_index);
    }
    place_multi(v, slot, slot_index);
    v->multi_committed |= fc_multi_status(slot->multi.state) == FC_MULTI_COMMITTED;
}

/* ------------------------------------------------------------------ the whole */

static void verify_places(verifier *v)
{
    for (uint64_t page_index = 0; page_index < v->cache->geometry.page_count; page_index++) {
        uint32_t kind = fc_page_kind(fc_page_at(v->session, page_index)->kind_free);
        if (kind == FC_KIND_FREE || kind >= FC_KIND_COUNT) continue;
        for (uint32_t i = 0; i < fc_class_blocks(kind); i++)
            if (v->places[page_index * BLOCKS_MAX + i] == 0)
                wrong(v, "A1: block %u of page %" PRIu64 ", kind %u (%#" PRIx64 "), is nowhere: leaked",
                    i, page_index, kind, fc_page_ref(v->session, page_index) + (uint64_t)i * fc_class_bytes[kind]);
    }
}

uint32_t crash_verify(const fc_cache *cache, int settled, const char *label)
{
    fc_session session = {
        .cache = (fc_cache *)(uintptr_t)cache,
        .base = cache->base,
        .homes = (fc_bucket *)(cache->base + cache->geometry.homes_off),
        .home_count = cache->geometry.home_count,
        .size_bytes = cache->geometry.arena_off + cache->geometry.page_count * FC_PAGE_BYTES,
        .arena_off = cache->geometry.arena_off,
    };
    verifier v = {.cache = cache, .session = &session, .label = label, .settled = settled};
    for (uint32_t i = 0; i < fc_slot_count(cache); i++) v.redo_pending |= fc_slot_at(cache, i)->redo_count != 0;
    if (v.redo_pending && !settled) return 0;
    v.places = calloc(cache->geometry.page_count * BLOCKS_MAX, sizeof *v.places);
    v.where = calloc(cache->geometry.page_count * BLOCKS_MAX, sizeof *v.where);
    for (uint64_t i = 0; i < cache->geometry.page_count; i++) verify_page(&v, i);
    for (uint32_t i = 0; i < fc_slot_count(cache); i++) verify_slot(&v, i);
    for (uint64_t i = 0; i < cache->geometry.home_count; i++) verify_home(&v, i);
    verify_places(&v);
    verify_hints(&v);
    for (uint32_t i = 0; i < FC_DATABASE_SLOTS; i++) {
        uint64_t count = fc_count_keys(cache, i);
        if (count != v.live_counts[i] && !v.multi_committed) wrong(&v, "database %u counts %" PRIu64 " keys, and has %" PRIu64, i, count, v.live_counts[i]);
    }
    free(v.places);
    free(v.where);
    return v.wrong;
}
