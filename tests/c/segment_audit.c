/* segment_audit.c -- see segment_audit.h.
 *
 * A1 is checked by noting, for each block of each page, the place that holds it: the page's bitmap, a magazine, a pending or garbage list,
 * the descriptor of a multi-key write, an entry, a chain or a bucket's link. A second place is an error, and so is none in the end. A walk
 * along links stops at the first block that is in a place already, so that damaged links cannot make it endless.
 */
#include "segment_audit.h"

#include "base/hash.h"
#include "fincache.h"
#include "memory/count.h"
#include "memory/liveness.h"
#include "memory/multi.h"
#include "memory/retire.h"
#include "memory/page.h"
#include "table/block.h"
#include "table/lookup.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define WRONG_MAX 12u
#define BLOCKS_MAX (FC_PAGE_BYTES / FC_BLOCK_BYTES_MIN)

enum place { NOWHERE, FREE_IN_PAGE, MAGAZINE, PENDING, GARBAGE, MULTI_PAGE, MULTI_VALUE, ENTRY, CHAIN, LINK };
static const char *const place_names[] = {
    "nowhere", "free in its page", "a magazine", "a pending list", "a garbage list", "a page of a multi-key write", "a multi-key write",
    "an entry", "a chain", "a bucket's link",
};

typedef struct audit {
    const fc_cache *cache;
    const fc_session *session; /* only base, bounds and homes are used */
    const audit_options *options;
    int settled;
    int multi_committed;       /* some session's multi-key write is, and not finished: keys are not counted yet */
    uint32_t wrong_count;
    uint8_t *places;           /* enum place of each block, BLOCKS_MAX to a page */
    fc_view *home_views;       /* of the home at hand, to find keys that are twice in it */
    uint32_t home_view_count;
    uint32_t home_views_max;
    uint64_t used_bytes;
    uint64_t key_counts[FC_DATABASE_SLOTS];
    audit_result result;
    uint8_t key[FC_KEY_BYTES_MAX];
} audit;

static void wrong(audit *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void wrong(audit *a, const char *format, ...)
{
    va_list arguments;
    if (++a->wrong_count > WRONG_MAX) return;
    fprintf(stderr, "%s: structure (%s): ", a->options->label, a->settled ? "settled" : "not settled");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

static int is_allowed(const audit *a, uint32_t allowance) { return (a->options->allowed & allowance) != 0; }
static uint64_t *block_words(const audit *a, fc_ref ref) { return fc_at(a->session, ref); }

/* Notes that the block is in a place; 0 if it is no block, or is in another one. kind 0: whatever its page has. */
static int put(audit *a, fc_ref ref, uint32_t kind, enum place place)
{
    if (ref < a->session->arena_off || ref >= a->session->size_bytes) {
        wrong(a, "%s: %#" PRIx64 " is outside the arena", place_names[place], ref);
        return 0;
    }
    uint64_t page_index = fc_page_index_of(a->session, ref);
    uint32_t page_kind = fc_page_kind(fc_page_at(a->session, page_index)->kind_free);
    uint64_t offset = ref - fc_page_ref(a->session, page_index);
    if (page_kind == FC_KIND_FREE || page_kind >= FC_KIND_COUNT || (kind != 0 && kind != page_kind)) {
        wrong(a, "%s: block %#" PRIx64 " of kind %u is in page %" PRIu64 " of kind %u", place_names[place], ref, kind, page_index, page_kind);
        return 0;
    }
    uint64_t block = offset / fc_class_bytes[page_kind];
    if (offset % fc_class_bytes[page_kind] != 0 || block >= fc_class_blocks(page_kind)) {
        wrong(a, "%s: %#" PRIx64 " is no block of its page, kind %u", place_names[place], ref, page_kind);
        return 0;
    }
    uint8_t *found = &a->places[page_index * BLOCKS_MAX + block];
    if (*found != NOWHERE) {
        wrong(a, "A1: block %#" PRIx64 " (page %" PRIu64 " of kind %u) is in two places: %s and %s", ref, page_index, page_kind, place_names[*found],
              place_names[place]);
        return 0;
    }
    *found = (uint8_t)place;
    if (place != FREE_IN_PAGE && place != MAGAZINE) a->used_bytes += fc_class_bytes[page_kind];
    return 1;
}

/* ------------------------------------------------------------------ pages and hints */

/* A word that was a stamp: serials are small numbers in tests. */
static int is_stamp(const audit *a, uint64_t word)
{
    uint64_t serial = word >> FC_STAMP_COUNTER_BITS;
    uint64_t counter = word & ((UINT64_C(1) << FC_STAMP_COUNTER_BITS) - 1);
    return serial >= 1 && serial < fc_header_of(a->cache)->serial_next && counter >= 1 && counter < 1u << 20;
}

/* Returns how many blocks the page's bits call free. */
static uint32_t put_free_blocks(audit *a, uint64_t page_index, uint32_t kind)
{
    const fc_page *page = fc_page_at(a->session, page_index);
    uint32_t bits = 0;
    /* A page that is one block is found through its count alone; the bits of what it was before may stay. */
    for (uint32_t i = 0; i < (kind == FC_KIND_PAGE ? 1 : BLOCKS_MAX); i++) {
        if ((page->free_bits[i / 64] >> (i % 64) & 1) == 0) continue;
        bits++;
        if (i >= fc_class_blocks(kind)) {
            wrong(a, "page %" PRIu64 " of kind %u: bit %u is behind its last block", page_index, kind, i);
            continue;
        }
        fc_ref ref = fc_page_ref(a->session, page_index) + (uint64_t)i * fc_class_bytes[kind];
        (void)put(a, ref, kind, FREE_IN_PAGE);
        if (!is_allowed(a, AUDIT_ANY_PAYLOAD) && is_stamp(a, *block_words(a, ref)))
            wrong(a, "A4: free block %#" PRIx64 " of kind %u has stamp %#" PRIx64, ref, kind, *block_words(a, ref));
    }
    return bits;
}

static void audit_page(audit *a, uint64_t page_index)
{
    const fc_page *page = fc_page_at(a->session, page_index);
    uint32_t kind = fc_page_kind(page->kind_free), free_count = fc_page_free_count(page->kind_free);
    if (a->settled && page->owner != 0) wrong(a, "page %" PRIu64 " is locked by %#x", page_index, page->owner);
    if (kind >= FC_KIND_COUNT) {
        wrong(a, "page %" PRIu64 " has kind %u", page_index, kind);
        return;
    }
    if (kind == FC_KIND_FREE) {
        if (free_count != 0) wrong(a, "free page %" PRIu64 " counts %u blocks", page_index, free_count);
        return;
    }
    uint32_t bits = put_free_blocks(a, page_index, kind);
    if (bits != free_count) wrong(a, "A2: page %" PRIu64 " of kind %u: %u bits, but it counts %u free", page_index, kind, bits, free_count);
    if (bits == fc_class_blocks(kind) && kind != FC_KIND_BUCKETS && (a->settled || page->owner == 0))
        wrong(a, "page %" PRIu64 " of kind %u is all free, but not given back", page_index, kind);
}

static void audit_hints(audit *a, uint32_t kind)
{
    const fc_geometry *geometry = &a->cache->geometry;
    const uint64_t *words = (const uint64_t *)(a->cache->base + geometry->hints_off) + kind * (geometry->hint_words + geometry->hint_tops);
    const uint64_t *tops = words + geometry->hint_words;
    for (uint64_t i = 0; i < geometry->page_count; i++) {
        const fc_page *page = fc_page_at(a->session, i);
        uint32_t free_count = fc_page_free_count(page->kind_free);
        int has = fc_page_kind(page->kind_free) == kind && (kind == FC_KIND_FREE || free_count > 0);
        if (page->owner == 0 && (int)(words[i / 64] >> (i % 64) & 1) != has)
            wrong(a, "A3: page %" PRIu64 " of kind %u with %u free: its hint for kind %u is %d", i, fc_page_kind(page->kind_free), free_count, kind, !has);
    }
    for (uint64_t i = 0; i < geometry->hint_words; i++)
        if (a->settled && words[i] != 0 && (tops[i / 64] >> (i % 64) & 1) == 0)
            wrong(a, "A3: word %" PRIu64 " of kind %u has hints, its top bit is not set", i, kind);
}

/* When everything else was looked at. */
static void audit_leaks(audit *a, uint64_t page_index)
{
    uint32_t kind = fc_page_kind(fc_page_at(a->session, page_index)->kind_free);
    if (kind == FC_KIND_FREE || kind >= FC_KIND_COUNT) return;
    for (uint32_t i = 0; i < fc_class_blocks(kind); i++)
        if (a->places[page_index * BLOCKS_MAX + i] == NOWHERE)
            wrong(a, "A1: block %u of page %" PRIu64 ", kind %u (%#" PRIx64 "), is nowhere: leaked", i, page_index, kind,
                  fc_page_ref(a->session, page_index) + (uint64_t)i * fc_class_bytes[kind]);
}

/* ------------------------------------------------------------------ values */

static void put_chain(audit *a, const fc_block *block, const fc_view *view)
{
    fc_shape shape;
    fc_block_shape(view->key_bytes, view->value_bytes, (view->flags & FC_BLOCK_SCHEMA) != 0, &shape);
    const fc_chain *chain = (const fc_chain *)((const uint8_t *)block + fc_payload_off(view->flags) - sizeof(fc_chain));
    fc_ref ref = fc_offset_of(a->session, block), node_ref = chain->first;
    for (uint64_t i = 0; i < shape.node_count; i++) {
        if (!put(a, node_ref, FC_KIND_PAGE, CHAIN)) return;
        const fc_node *node = fc_at(a->session, node_ref);
        if (node->stamp != chain->stamp)
            wrong(a, "node %" PRIu64 " of block %#" PRIx64 " has stamp %#" PRIx64 ", the chain %#" PRIx64, i, ref, node->stamp, chain->stamp);
        node_ref = node->next;
    }
    if (node_ref != 0) wrong(a, "the chain of block %#" PRIx64 " goes on behind its last node", ref);
}

/* 1 if it is a head block whose fields make sense, in this place only. */
static int put_head(audit *a, fc_ref ref, enum place place, fc_view *view)
{
    if (!put(a, ref, 0, place)) return 0;
    const fc_block *block = fc_at(a->session, ref);
    if (!fc_view_load(a->session, block, view)) {
        wrong(a, "%s: the fields of block %#" PRIx64 " make no sense", place_names[place], ref);
        return 0;
    }
    uint32_t page_kind = fc_page_kind(fc_page_at(a->session, fc_page_index_of(a->session, ref))->kind_free);
    if (view->kind != page_kind) wrong(a, "%s: block %#" PRIx64 " says kind %u, its page %u", place_names[place], ref, view->kind, page_kind);
    if (block->stamp == 0) wrong(a, "V1: %s: block %#" PRIx64 " has no stamp", place_names[place], ref);
    return 1;
}

/* The same with its chain. */
static int put_value(audit *a, fc_ref ref, enum place place, fc_view *view)
{
    if (!put_head(a, ref, place, view)) return 0;
    if ((view->flags & FC_BLOCK_CHAIN) != 0) put_chain(a, fc_at(a->session, ref), view);
    return 1;
}

/* The word an entry stands for, mark resolved as a reader would. */
static uint64_t resolve(audit *a, uint64_t word)
{
    uint64_t resolved, state;
    if ((word & FC_ENTRY_MARK) == 0) return word;
    if (a->settled) wrong(a, "the mark %#" PRIx64 " is left in an entry", word);
    if (fc_multi_resolve(a->session, word, &resolved, &state)) return resolved;
    wrong(a, "an entry's mark %#" PRIx64 " leads nowhere", word);
    return 0;
}

/* The key is in this home, once, with its own hash and tag. */
static void audit_key(audit *a, uint64_t home_index, uint64_t word, const fc_view *view)
{
    if (!fc_view_copy_payload(a->session, view, 0, a->key, view->key_bytes)) wrong(a, "a key's bytes cannot be read");
    fc_key key = {.data = a->key, .bytes = view->key_bytes, .database = view->database, .hash = view->hash};
    if (fc_hash(a->cache->geometry.hash_seed, view->database, a->key, view->key_bytes) != view->hash) wrong(a, "a block's hash is not its key's");
    if (fc_home_index(a->session, view->hash) != home_index)
        wrong(a, "B1: key of home %" PRIu64 " is in the chain of home %" PRIu64, fc_home_index(a->session, view->hash), home_index);
    if (view->hash >> FC_ENTRY_TAG_SHIFT != word >> FC_ENTRY_TAG_SHIFT) wrong(a, "an entry's tag is not its key's");
    for (uint32_t i = 0; i < a->home_view_count; i++)
        if (fc_view_key_equals(a->session, &a->home_views[i], &key))
            wrong(a, "key %.*s of home %" PRIu64 " is in two entries", (int)(key.bytes < 64 ? key.bytes : 64), (const char *)a->key, home_index);
}

static void audit_entry(audit *a, uint64_t home_index, uint64_t found_word)
{
    fc_view view;
    uint64_t word = resolve(a, found_word);
    if (word == 0) return;
    fc_ref ref = word & FC_ENTRY_REF_MASK;
    if (!fc_ref_is_block(a->session, ref)) {
        wrong(a, "an entry of home %" PRIu64 " leads out of the arena", home_index);
        return;
    }
    if (!put_value(a, ref, ENTRY, &view)) return;
    audit_key(a, home_index, word, &view);
    a->result.entry_count++;
    a->key_counts[view.database] += !fc_view_is_flushed(a->session, &view);
    if (a->home_view_count == a->home_views_max) {
        a->home_views_max = a->home_views_max * 2 + 64;
        a->home_views = realloc(a->home_views, a->home_views_max * sizeof *a->home_views);
        if (a->home_views == NULL) abort();
    }
    a->home_views[a->home_view_count++] = view;
}

static void audit_home(audit *a, uint64_t home_index)
{
    int damaged = 0;
    const fc_bucket *home = &a->session->homes[home_index];
    a->home_view_count = 0;
    if (a->settled && home->owner != 0) wrong(a, "home %" PRIu64 " is locked by %#x", home_index, home->owner);
    for (const fc_bucket *bucket = home; bucket != NULL; bucket = fc_bucket_next(a->session, bucket, &damaged)) {
        uint64_t words = 0;
        if (bucket != home && !put(a, fc_offset_of(a->session, bucket), FC_KIND_BUCKETS, LINK)) return;
        if (bucket != home && (bucket->version != 0 || bucket->owner != 0)) wrong(a, "an extension of home %" PRIu64 " has a version or an owner", home_index);
        for (uint32_t i = 0; i < FC_BUCKET_ENTRIES; i++) {
            words |= bucket->entries[i];
            audit_entry(a, home_index, bucket->entries[i]);
        }
        if (bucket == home || words != 0 || bucket->link != 0) continue;
        a->result.empty_bucket_count++;
        if (!is_allowed(a, AUDIT_EMPTY_BUCKETS)) wrong(a, "B3: the last extension of home %" PRIu64 " is empty", home_index);
    }
    if (damaged) wrong(a, "a link of home %" PRIu64 " leads out of the arena", home_index);
}

/* ------------------------------------------------------------------ sessions */

static void put_list(audit *a, fc_ref ref, uint32_t list, enum place place)
{
    uint32_t kind = list == FC_GARBAGE_NODES ? FC_KIND_PAGE : list == FC_GARBAGE_BUCKETS ? FC_KIND_BUCKETS : 0;
    while (ref != 0 && put(a, ref, kind, place)) ref = block_words(a, ref)[list == FC_GARBAGE_BUCKETS ? 0 : 1];
}

/* The first node of a word's value; 0 if it has none. */
static fc_ref chain_of(const audit *a, uint64_t word)
{
    return word == 0 ? 0 : fc_retire_chain_of(a->session, word & FC_ENTRY_REF_MASK);
}

static void put_multi(audit *a, const fc_slot *slot, uint32_t slot_index)
{
    const fc_multi *multi = &slot->multi;
    int status = fc_multi_status(multi->state);
    fc_view view;
    for (uint32_t i = 0; i < FC_MULTI_PAGES; i++) {
        if (multi->pages[i] == 0) continue;
        (void)put(a, multi->pages[i], FC_KIND_PAGE, MULTI_PAGE);
        if (a->settled) wrong(a, "slot %u still has pages of a multi-key write", slot_index);
    }
    if (status == FC_MULTI_IDLE) return;
    a->multi_committed |= status == FC_MULTI_COMMITTED;
    if (a->settled) wrong(a, "slot %u is in a multi-key write", slot_index);
    fc_session owner = {.base = a->cache->base, .slot = (fc_slot *)(uintptr_t)slot};
    for (uint64_t i = multi->progress; i < multi->op_count; i++) {
        const fc_multi_op *op = fc_multi_op_at(&owner, i);
        uint64_t loser = status == FC_MULTI_COMMITTED ? op->old_word : op->new_word;
        if (loser == 0) continue;
        /* Another expiry for a long value: one chain for both blocks, and it is found through the one that stays. */
        fc_ref chain = chain_of(a, op->old_word);
        if (chain != 0 && chain == chain_of(a, op->new_word)) (void)put_head(a, loser & FC_ENTRY_REF_MASK, MULTI_VALUE, &view);
        else (void)put_value(a, loser & FC_ENTRY_REF_MASK, MULTI_VALUE, &view);
    }
}

static void put_magazine(audit *a, const fc_slot *slot, uint32_t slot_index, uint32_t kind)
{
    const fc_magazine *magazine = &slot->magazines[kind];
    if (magazine->count > FC_MAGAZINE_REFS) {
        wrong(a, "slot %u: a magazine of %" PRIu64, slot_index, magazine->count);
        return;
    }
    if (slot->identity == 0 && magazine->count > 0) wrong(a, "slot %u is free, but has blocks of kind %u", slot_index, kind);
    for (uint64_t i = 0; i < magazine->count; i++) (void)put(a, magazine->refs[i], kind, MAGAZINE);
}

static void audit_owner(audit *a, const fc_slot *slot, uint32_t slot_index)
{
    const fc_session *only = a->options->only;
    if (only != NULL && slot->identity != 0 && slot_index != only->slot_index) wrong(a, "slot %u is still taken, pid %u", slot_index, slot->pid);
    if (a->settled && slot->settle_owner != 0 && !is_allowed(a, AUDIT_GARBAGE)) wrong(a, "slot %u is being settled", slot_index);
    if (a->settled && slot->identity != 0 && fc_liveness_has_died(a->cache, slot_index))
        wrong(a, "slot %u: its session is dead, and was not settled", slot_index);
}

static void audit_slot(audit *a, uint32_t slot_index)
{
    const fc_slot *slot = fc_slot_at(a->cache, slot_index);
    audit_owner(a, slot, slot_index);
    for (uint32_t kind = 1; kind < FC_KIND_COUNT; kind++) put_magazine(a, slot, slot_index, kind);
    if (a->settled && slot->pending != 0) wrong(a, "slot %u: blocks are pending", slot_index);
    put_list(a, slot->pending, FC_GARBAGE_NODES, PENDING);
    for (uint32_t list = 0; list < FC_GARBAGE_LISTS; list++) {
        put_list(a, slot->garbage[list], list, GARBAGE);
        if (slot->garbage[list] == 0) continue;
        if (slot->identity == 0) wrong(a, "slot %u is free, but has garbage", slot_index);
        if (!is_allowed(a, AUDIT_GARBAGE)) wrong(a, "slot %u has garbage on list %u", slot_index, list);
    }
    put_multi(a, slot, slot_index);
}

/* 1 if some session's log is committed: then blocks are where the log says, not where they are found. */
static int audit_redo_logs(audit *a)
{
    int is_pending = 0;
    for (uint32_t i = 0; i < fc_slot_count(a->cache); i++) {
        uint64_t count = fc_slot_at(a->cache, i)->redo_count;
        if (count > FC_REDO_MAX) wrong(a, "slot %u: a redo log of %" PRIu64, i, count);
        if (a->settled && count != 0) wrong(a, "slot %u: a redo log is pending", i);
        is_pending |= count != 0;
    }
    return is_pending;
}

/* ------------------------------------------------------------------ the whole */

static void audit_totals(audit *a)
{
    fc_stats stats;
    for (uint32_t i = 0; i < FC_DATABASE_SLOTS && !a->multi_committed; i++) {
        uint64_t count = fc_count_keys(a->cache, i);
        if (count != a->key_counts[i]) wrong(a, "database %u counts %" PRIu64 " keys, and has %" PRIu64, i, count, a->key_counts[i]);
    }
    if (fc_cache_stats(a->cache, &stats) != FC_OK) wrong(a, "no statistics");
    else if (stats.used_bytes != a->used_bytes) wrong(a, "used_bytes is %" PRIu64 ", in use are %" PRIu64, stats.used_bytes, a->used_bytes);
    else if (stats.arena_bytes != stats.used_bytes + stats.magazine_bytes + stats.free_bytes) wrong(a, "the statistics of memory do not add up");
}

static void audit_everything(audit *a)
{
    const fc_geometry *geometry = &a->cache->geometry;
    for (uint64_t i = 0; i < geometry->page_count; i++) audit_page(a, i);
    for (uint32_t i = 0; i < fc_slot_count(a->cache); i++) audit_slot(a, i);
    for (uint64_t i = 0; i < geometry->home_count; i++) audit_home(a, i);
    for (uint64_t i = 0; i < geometry->page_count; i++) audit_leaks(a, i);
    for (uint32_t kind = 0; kind < FC_KIND_COUNT; kind++) audit_hints(a, kind);
    audit_totals(a);
}

uint32_t segment_audit(const fc_cache *cache, const audit_options *options, audit_result *result)
{
    fc_session session = {
        .cache = (fc_cache *)(uintptr_t)cache,
        .base = cache->base,
        .homes = (fc_bucket *)(cache->base + cache->geometry.homes_off),
        .home_count = cache->geometry.home_count,
        .size_bytes = cache->geometry.arena_off + cache->geometry.page_count * FC_PAGE_BYTES,
        .arena_off = cache->geometry.arena_off,
    };
    audit *a = calloc(1, sizeof *a);
    uint8_t *places = calloc(cache->geometry.page_count, BLOCKS_MAX);
    if (a == NULL || places == NULL) abort();
    a->cache = cache;
    a->session = &session;
    a->options = options;
    a->settled = !is_allowed(a, AUDIT_UNSETTLED);
    a->places = places;
    if (!audit_redo_logs(a)) audit_everything(a);
    uint32_t wrong_count = a->wrong_count;
    if (result != NULL && wrong_count == 0) *result = a->result;
    free(a->home_views);
    free(places);
    free(a);
    return wrong_count;
}
