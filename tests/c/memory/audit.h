/* audit.h -- counts every block of a quiet segment: the invariants A1 to A3 of csrc/memory/page.h, and the counters against the table. */
#ifndef FC_TESTS_AUDIT_H
#define FC_TESTS_AUDIT_H

#include "../check.h"
#include "memory/count.h"
#include "memory/page.h"
#include "table/lookup.h"

typedef struct audit {
    fc_session *session;
    uint8_t *seen;             /* one byte for 8 bytes of the arena */
    uint64_t used_bytes;
    uint64_t keys[FC_DATABASE_SLOTS];
} audit;

/* The block has one place: this one (A1). */
CHECK_UNUSED static void audit_claim(audit *a, fc_ref ref, uint32_t kind, int in_magazine)
{
    if (!CHECK(ref >= a->session->arena_off && ref < a->session->size_bytes && ref % 8 == 0)) return;
    uint64_t page_index = fc_page_index_of(a->session, ref);
    const fc_page *page = fc_page_at(a->session, page_index);
    uint64_t at = ref - fc_page_ref(a->session, page_index);
    if (!CHECK_EQUAL(kind, fc_page_kind(page->kind_free))) return;
    if (!CHECK_EQUAL(0, at % fc_class_bytes[kind])) return;
    uint64_t block = at / fc_class_bytes[kind];
    CHECK((page->free_bits[block / 64] >> (block % 64) & 1) == 0);
    CHECK_EQUAL(0, a->seen[(ref - a->session->arena_off) / 8]++);
    if (!in_magazine) a->used_bytes += fc_class_bytes[kind];
}

CHECK_UNUSED static void audit_value(audit *a, uint64_t word, uint64_t home_index)
{
    fc_view view;
    const fc_block *block = fc_at(a->session, word & FC_ENTRY_REF_MASK);
    if (!CHECK((word & FC_ENTRY_MARK) == 0 && fc_ref_is_block(a->session, word & FC_ENTRY_REF_MASK))) return;
    CHECK(block->stamp != 0); /* V1 */
    if (!CHECK(fc_view_load(a->session, block, &view))) return;
    CHECK_EQUAL(home_index, fc_home_index(a->session, view.hash));
    CHECK_EQUAL(view.hash >> FC_ENTRY_TAG_SHIFT, word >> FC_ENTRY_TAG_SHIFT);
    audit_claim(a, word & FC_ENTRY_REF_MASK, view.kind, 0);
    if (!fc_view_is_flushed(a->session, &view)) a->keys[view.database]++;
    if ((view.flags & FC_BLOCK_CHAIN) == 0) return;
    fc_shape shape;
    fc_block_shape(view.key_bytes, view.value_bytes, (view.flags & FC_BLOCK_SCHEMA) != 0, &shape);
    const fc_chain *chain = (const fc_chain *)((const uint8_t *)block + fc_payload_off(view.flags) - sizeof(fc_chain));
    fc_ref ref = chain->first;
    for (uint64_t i = 0; i < shape.node_count; i++) {
        if (!CHECK(ref >= a->session->arena_off && ref < a->session->size_bytes)) return;
        audit_claim(a, ref, FC_KIND_PAGE, 0);
        CHECK_EQUAL(chain->stamp, ((const fc_node *)fc_at(a->session, ref))->stamp);
        ref = ((const fc_node *)fc_at(a->session, ref))->next;
    }
}

CHECK_UNUSED static void audit_table(audit *a)
{
    for (uint64_t i = 0; i < a->session->home_count; i++) {
        int damaged = 0;
        fc_bucket *home = &a->session->homes[i];
        CHECK_EQUAL(0, home->owner);
        for (fc_bucket *bucket = home, *next; bucket != NULL; bucket = next) {
            uint64_t words = 0;
            next = fc_bucket_next(a->session, bucket, &damaged);
            if (bucket != home) audit_claim(a, fc_offset_of(a->session, bucket), FC_KIND_BUCKETS, 0);
            for (uint32_t j = 0; j < FC_BUCKET_ENTRIES; j++) {
                words |= bucket->entries[j];
                if (bucket->entries[j] != 0) audit_value(a, bucket->entries[j], i);
            }
            CHECK(next != NULL || bucket == home || words != 0); /* B3: an empty last bucket is unlinked */
        }
        CHECK(!damaged);
    }
}

CHECK_UNUSED static void audit_slots(audit *a)
{
    for (uint32_t i = 0; i < fc_slot_count(a->session->cache); i++) {
        const fc_slot *slot = fc_slot_at(a->session->cache, i);
        CHECK_EQUAL(0, slot->redo_count);
        CHECK_EQUAL(0, slot->pending);
        CHECK_EQUAL(FC_MULTI_IDLE, slot->multi.state & 255);
        for (uint32_t j = 0; j < FC_GARBAGE_LISTS; j++) CHECK_EQUAL(0, slot->garbage[j]);
        for (uint32_t j = 0; j < FC_MULTI_PAGES; j++) CHECK_EQUAL(0, slot->multi.pages[j]);
        for (uint32_t kind = 1; kind < FC_KIND_COUNT; kind++) {
            const fc_magazine *magazine = &slot->magazines[kind];
            if (!CHECK(magazine->count <= FC_MAGAZINE_REFS)) continue;
            CHECK(magazine->count == 0 || slot->identity != 0);
            for (uint64_t j = 0; j < magazine->count; j++) audit_claim(a, magazine->refs[j], kind, 1);
        }
    }
}

CHECK_UNUSED static int audit_hint(const fc_cache *cache, uint32_t kind, uint64_t page_index, int *top)
{
    const fc_geometry *g = &cache->geometry;
    const uint64_t *words = (const uint64_t *)(cache->base + g->hints_off) + kind * (g->hint_words + g->hint_tops);
    *top = (int)(words[g->hint_words + page_index / 64 / 64] >> (page_index / 64 % 64) & 1);
    return (int)(words[page_index / 64] >> (page_index % 64) & 1);
}

CHECK_UNUSED static void audit_pages(audit *a)
{
    for (uint64_t i = 0; i < a->session->cache->geometry.page_count; i++) {
        const fc_page *page = fc_page_at(a->session, i);
        uint32_t kind = fc_page_kind(page->kind_free), free_count = fc_page_free_count(page->kind_free), counted = 0;
        CHECK_EQUAL(0, page->owner);
        if (!CHECK(kind < FC_KIND_COUNT)) continue;
        for (uint32_t other = 0; other < FC_KIND_COUNT; other++) { /* A3 */
            int top, expected = other == kind && (kind == FC_KIND_FREE || free_count > 0);
            CHECK_EQUAL(expected, audit_hint(a->session->cache, other, i, &top));
            CHECK(!expected || top);
        }
        const uint8_t *seen = a->seen + i * (FC_PAGE_BYTES / 8);
        if (kind == FC_KIND_FREE) {
            CHECK_EQUAL(0, free_count);
            for (uint32_t j = 0; j < FC_PAGE_BYTES / 8; j++) CHECK_EQUAL(0, seen[j]);
            continue;
        }
        for (uint32_t j = 0; j < fc_class_blocks(kind); j++) {
            int is_free = (int)(page->free_bits[j / 64] >> (j % 64) & 1);
            counted += (uint32_t)is_free;
            CHECK_EQUAL(!is_free, seen[j * fc_class_bytes[kind] / 8]); /* A1: used, and by one */
        }
        CHECK_EQUAL(counted, free_count); /* A2 */
        CHECK(kind == FC_KIND_BUCKETS || counted < fc_class_blocks(kind)); /* an empty page is free for all */
    }
}

/* Nobody else may be at work. */
CHECK_UNUSED static void audit_segment(fc_session *session)
{
    fc_stats stats;
    audit a = {.session = session, .seen = calloc(session->size_bytes / 8, 1)};
    REQUIRE(a.seen != NULL);
    audit_table(&a);
    audit_slots(&a);
    audit_pages(&a);
    CHECK_OK(fc_cache_stats(session->cache, &stats));
    CHECK_EQUAL(a.used_bytes, stats.used_bytes);
    CHECK_EQUAL(stats.arena_bytes, stats.used_bytes + stats.magazine_bytes + stats.free_bytes);
    for (uint32_t i = 0; i < FC_DATABASE_SLOTS; i++) CHECK_EQUAL(a.keys[i], fc_count_keys(session->cache, i));
    free(a.seen);
}

/* Everything was deleted: nothing is used, and every page could be given to any class. */
CHECK_UNUSED static void audit_empty(fc_session *session)
{
    fc_stats stats;
    audit_segment(session);
    CHECK_OK(fc_cache_stats(session->cache, &stats));
    CHECK_EQUAL(0, stats.key_count);
    CHECK_EQUAL(0, stats.used_bytes);
    CHECK_EQUAL(0, stats.extension_buckets);
}

#endif
