/* retire.c -- see retire.h. Every function adds to the redo log under construction, fc_retire_pending apart. */
#include "memory/retire.h"

#include "memory/journal.h"
#include "memory/page.h"

static uint32_t kind_of(const fc_block *block)
{
    return (uint32_t)(fc_load_relaxed(&block->lengths) & 63);
}

/* The fc_chain of a head block that has one. */
static const fc_chain *chain_of(const fc_block *block)
{
    uint64_t flags = fc_load_relaxed(&block->meta) & 15;
    return (const fc_chain *)((const uint8_t *)(block + 1) + ((flags & FC_BLOCK_SCHEMA) != 0 ? 8 : 0));
}

static void redo_nodes(fc_session *session, fc_ref first)
{
    fc_ref *list = &session->slot->garbage[FC_GARBAGE_NODES];
    fc_ref there = fc_load_relaxed(list);
    if (there != 0) {
        /* Readers never follow the last node's link: lengths end the walk. */
        fc_node *last = fc_at(session, first);
        while (fc_load_relaxed(&last->next) != 0) last = fc_at(session, fc_load_relaxed(&last->next));
        fc_redo_add(session, &last->next, there);
    }
    fc_redo_add(session, list, first);
    session->garbage = 1;
}

/* Onto the magazine of its kind, or the garbage list. */
static void redo_put(fc_session *session, uint32_t kind, fc_ref ref)
{
    fc_magazine *magazine = &session->slot->magazines[kind];
    uint64_t count = fc_load_relaxed(&magazine->count);
    if (count < session->magazine_refs[kind]) {
        fc_store_relaxed(&magazine->refs[count], ref);
        fc_redo_add(session, &magazine->count, count + 1);
        return;
    }
    uint32_t list = kind == FC_KIND_BUCKETS ? FC_GARBAGE_BUCKETS : FC_GARBAGE_BLOCKS;
    uint64_t *words = fc_at(session, ref);
    fc_redo_add(session, &words[0], 0);
    fc_redo_add(session, list == FC_GARBAGE_BUCKETS ? &words[0] : &words[1], fc_load_relaxed(&session->slot->garbage[list]));
    fc_redo_add(session, &session->slot->garbage[list], ref);
    session->garbage = 1;
}

void fc_retire_redo_take(fc_session *session, uint32_t kind)
{
    uint64_t *count = &session->slot->magazines[kind].count;
    fc_redo_add(session, count, fc_load_relaxed(count) - 1);
}

fc_ref fc_retire_chain_of(const fc_session *session, fc_ref ref)
{
    const fc_block *block = fc_at(session, ref);
    return (fc_load_relaxed(&block->meta) & FC_BLOCK_CHAIN) != 0 ? fc_load_relaxed(&chain_of(block)->first) : 0;
}

void fc_retire_redo_chain_only(fc_session *session, fc_ref ref)
{
    fc_ref first = fc_retire_chain_of(session, ref);
    if (first != 0) redo_nodes(session, first);
}

void fc_retire_redo_block(fc_session *session, fc_ref ref, int keep_chain)
{
    if (!keep_chain) fc_retire_redo_chain_only(session, ref);
    redo_put(session, kind_of(fc_at(session, ref)), ref);
}

void fc_retire_redo_swap(fc_session *session, uint32_t taken_kind, fc_ref old_ref, int keep_chain)
{
    const fc_block *block = fc_at(session, old_ref);
    if (kind_of(block) != taken_kind) {
        fc_retire_redo_block(session, old_ref, keep_chain);
        fc_retire_redo_take(session, taken_kind);
        return;
    }
    if (!keep_chain) fc_retire_redo_chain_only(session, old_ref);
    fc_magazine *magazine = &session->slot->magazines[taken_kind];
    fc_redo_add(session, &magazine->refs[fc_load_relaxed(&magazine->count) - 1], old_ref);
}

void fc_retire_redo_bucket(fc_session *session, fc_ref ref)
{
    redo_put(session, FC_KIND_BUCKETS, ref);
}

void fc_retire_pending(fc_session *session)
{
    fc_slot *slot = session->slot;
    fc_ref first = fc_load_relaxed(&slot->pending);
    if (first == 0) return;
    fc_redo_begin(session);
    redo_nodes(session, first);
    fc_redo_add(session, &slot->pending, 0);
    fc_redo_commit(session);
    fc_page_drain(session);
}
