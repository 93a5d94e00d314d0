/* segment_audit.h -- looks at every byte of bookkeeping of a segment in which nothing is going on, and fails on any contradiction.
 *
 * A1 of memory/page.h   each block is free in its page, or in exactly one magazine, list, entry or chain
 * A3                    hint bits agree with the pages
 * P2, P13               no lock is held, no redo log and no multi-key write is left, no slot but the caller's is taken
 * B1 to B3              an entry is in the home of its hash, its tag fits, no key is there twice, no mark is left
 */
#ifndef FC_TESTS_SEGMENT_AUDIT_H
#define FC_TESTS_SEGMENT_AUDIT_H

#include "stress.h"

#include "memory/multi.h"
#include "memory/page.h"
#include "table/lookup.h"

typedef struct audit {
    const fc_session *session;
    uint8_t *seen;             /* 1 for each block met, 512 to a page */
    uint64_t keys;             /* entries, dead values included */
    uint64_t empty_extensions; /* extension buckets at the end of a chain that hold nothing */
} audit;

static inline void audit_block(audit *state, fc_ref ref, uint32_t kind, const char *where)
{
    const fc_session *session = state->session;
    if (ref < session->arena_off || ref >= session->size_bytes) fail("%s: reference %" PRIx64 " leads out of the arena", where, ref);
    uint64_t page_index = fc_page_index_of(session, ref);
    uint32_t page_kind = fc_page_kind(fc_load_relaxed(&fc_page_at(session, page_index)->kind_free));
    if (page_kind != kind) fail("%s: block %" PRIx64 " of class %u lies in a page of class %u", where, ref, kind, page_kind);
    uint64_t within = ref - fc_page_ref(session, page_index);
    if (within % fc_class_bytes[kind] != 0) fail("%s: block %" PRIx64 " begins inside another of class %u", where, ref, kind);
    uint8_t *seen = &state->seen[page_index * 512 + within / fc_class_bytes[kind]];
    if (*seen) fail("%s: block %" PRIx64 " of class %u is in two places", where, ref, kind);
    *seen = 1;
}

static inline void audit_entry(audit *state, const fc_bucket *home, uint64_t word)
{
    const fc_session *session = state->session;
    fc_view view;
    if ((word & FC_ENTRY_MARK) != 0) fail("a mark of a multi-key write is left: %" PRIx64, word);
    fc_ref ref = word & FC_ENTRY_REF_MASK;
    CHECK(fc_ref_is_block(session, ref));
    const fc_block *block = fc_at(session, ref);
    if (fc_load_relaxed(&block->stamp) == 0) fail("the entry %" PRIx64 " names a block with stamp 0", word);
    if (!fc_view_load(session, block, &view)) fail("the entry %" PRIx64 " names a block with impossible lengths", word);
    if (fc_home_of(session, view.hash) != home) fail("the entry %" PRIx64 " is not in the home of its hash", word);
    if (view.hash >> FC_ENTRY_TAG_SHIFT != word >> FC_ENTRY_TAG_SHIFT) fail("the entry %" PRIx64 " has another tag than its hash", word);
    audit_block(state, ref, view.kind, "entry");
    state->keys++;
    if ((view.flags & FC_BLOCK_CHAIN) == 0) return;
    fc_shape shape;
    fc_block_shape(view.key_bytes, view.value_bytes, (view.flags & FC_BLOCK_SCHEMA) != 0, &shape);
    const fc_chain *chain = (const fc_chain *)((const uint8_t *)block + fc_payload_off(view.flags) - sizeof(fc_chain));
    fc_ref node_ref = fc_load_relaxed(&chain->first);
    for (uint64_t i = 0; i < shape.node_count; i++) {
        if (node_ref == 0) fail("the chain of the entry %" PRIx64 " ends after %" PRIu64 " of %" PRIu64 " nodes", word, i, shape.node_count);
        audit_block(state, node_ref, FC_KIND_PAGE, "node");
        const fc_node *node = fc_at(session, node_ref);
        if (fc_load_relaxed(&node->stamp) != fc_load_relaxed(&chain->stamp)) fail("node %" PRIu64 " of the entry %" PRIx64 " has another stamp", i, word);
        node_ref = fc_load_relaxed(&node->next);
    }
}

static inline void audit_home(audit *state, fc_bucket *home)
{
    const fc_session *session = state->session;
    uint64_t hashes[4096];
    uint32_t count = 0, in_bucket = 0;
    int damaged = 0;
    if (fc_load32_relaxed(&home->owner) != 0) fail("home %" PRIu64 " is locked by %x", (uint64_t)(home - session->homes), fc_load32_relaxed(&home->owner));
    for (fc_bucket *bucket = home; bucket != NULL; bucket = fc_bucket_next(session, bucket, &damaged)) {
        if (bucket != home) audit_block(state, fc_offset_of(session, bucket), FC_KIND_BUCKETS, "bucket");
        in_bucket = 0;
        for (uint32_t i = 0; i < FC_BUCKET_ENTRIES; i++) {
            uint64_t word = fc_load_relaxed(&bucket->entries[i]);
            if (word == 0) continue;
            in_bucket++;
            audit_entry(state, home, word);
            uint64_t hash = fc_load_relaxed(&((const fc_block *)fc_at(session, word & FC_ENTRY_REF_MASK))->hash);
            for (uint32_t j = 0; j < count; j++)
                if (hashes[j] == hash) fail("a key is twice in home %" PRIu64, (uint64_t)(home - session->homes));
            if (count < sizeof hashes / sizeof hashes[0]) hashes[count++] = hash;
        }
        if (bucket != home && in_bucket == 0 && fc_load32_relaxed(&bucket->link) == 0) state->empty_extensions++;
    }
    CHECK(!damaged);
}

static inline void audit_slot(audit *state, uint32_t slot_index)
{
    const fc_session *session = state->session;
    const fc_slot *slot = fc_slot_at(session->cache, slot_index);
    int is_own = slot_index == session->slot_index;
    if (fc_load_relaxed(&slot->identity) != 0 && !is_own) fail("slot %u is still taken, pid %u", slot_index, fc_load32_relaxed(&slot->pid));
    if (fc_load_relaxed(&slot->redo_count) != 0) fail("slot %u has a redo log", slot_index);
    if (fc_load_relaxed(&slot->pending) != 0) fail("slot %u has pending blocks", slot_index);
    if (fc_load_relaxed(&slot->settle_owner) != 0) fail("slot %u is being settled", slot_index);
    if (fc_multi_status(fc_load_relaxed(&slot->multi.state)) != FC_MULTI_IDLE) fail("slot %u has a multi-key write", slot_index);
    for (uint32_t list = 0; list < FC_GARBAGE_LISTS; list++)
        if (fc_load_relaxed(&slot->garbage[list]) != 0) fail("slot %u has garbage on list %u", slot_index, list);
    for (uint32_t kind = 1; kind < FC_KIND_COUNT; kind++) {
        uint64_t count = fc_load_relaxed(&slot->magazines[kind].count);
        CHECK(count <= FC_MAGAZINE_REFS);
        if (count > 0 && !is_own) fail("slot %u, which is free, has a magazine", slot_index);
        for (uint64_t i = 0; i < count; i++) audit_block(state, fc_load_relaxed(&slot->magazines[kind].refs[i]), kind, "magazine");
    }
}

static inline void audit_page(audit *state, uint64_t page_index)
{
    const fc_session *session = state->session;
    const fc_geometry *geometry = &session->cache->geometry;
    const fc_page *page = fc_page_at(session, page_index);
    uint64_t kind_free = fc_load_relaxed(&page->kind_free);
    uint32_t kind = fc_page_kind(kind_free), free_count = 0;
    if (fc_load32_relaxed(&page->owner) != 0) fail("page %" PRIu64 " is locked by %x", page_index, fc_load32_relaxed(&page->owner));
    CHECK(kind < FC_KIND_COUNT);
    for (uint32_t i = 0; kind != FC_KIND_FREE && i < fc_class_blocks(kind); i++) {
        uint32_t is_free = fc_load_relaxed(&page->free_bits[i / 64]) >> (i % 64) & 1;
        uint32_t is_seen = state->seen[page_index * 512 + i];
        fc_ref ref = fc_page_ref(session, page_index) + i * fc_class_bytes[kind];
        free_count += is_free;
        if (is_free && is_seen) fail("block %" PRIx64 " of class %u is free and in use", ref, kind);
        if (!is_free && !is_seen) fail("block %" PRIx64 " of class %u has leaked", ref, kind);
    }
    if (free_count != fc_page_free_count(kind_free)) fail("page %" PRIu64 " of class %u says %u blocks are free, and %u are", page_index, kind, fc_page_free_count(kind_free), free_count);
    for (uint32_t other = 0; other < FC_KIND_COUNT; other++) {
        const uint64_t *words = (const uint64_t *)(session->base + geometry->hints_off) + other * (geometry->hint_words + geometry->hint_tops);
        uint64_t hint = fc_load_relaxed(&words[page_index / 64]) >> (page_index % 64) & 1;
        uint64_t top = fc_load_relaxed(&words[geometry->hint_words + page_index / 4096]) >> (page_index / 64 % 64) & 1;
        uint64_t wanted = other == kind && (kind == FC_KIND_FREE || free_count > 0);
        if (hint != wanted) fail("page %" PRIu64 " of class %u with %u free blocks has hint %d for class %u", page_index, kind, free_count, (int)hint, other);
        if (hint && !top) fail("page %" PRIu64 " of class %u is not announced in the upper hints", page_index, kind);
    }
}

/* Fails on the first contradiction. The session is the only one that is open. Returns the number of entries. */
static inline uint64_t audit_segment(const fc_session *session, uint64_t *empty_extensions)
{
    audit state = {.session = session, .seen = calloc(session->cache->geometry.page_count, 512)};
    CHECK(state.seen != NULL);
    for (uint64_t i = 0; i < session->home_count; i++) audit_home(&state, &session->homes[i]);
    for (uint32_t i = 0; i < fc_slot_count(session->cache); i++) audit_slot(&state, i);
    for (uint64_t i = 0; i < session->cache->geometry.page_count; i++) audit_page(&state, i);
    free(state.seen);
    if (empty_extensions != NULL) *empty_extensions = state.empty_extensions;
    return state.keys;
}

#endif
