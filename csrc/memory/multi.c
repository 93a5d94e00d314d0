/* multi.c -- see multi.h. Which keys, which blocks: table/transact.c. */
#include "memory/multi.h"

#include "memory/count.h"
#include "memory/journal.h"
#include "memory/lock.h"
#include "memory/page.h"
#include "memory/retire.h"

uint64_t fc_multi_mark(const fc_session *session, uint64_t index, uint64_t tag_word)
{
    uint64_t sequence = fc_load_relaxed(&session->slot->multi.state) >> 8;
    return (tag_word & ~UINT64_C(0) << FC_ENTRY_TAG_SHIFT) | (sequence & 0xFFFF) << FC_MARK_SEQ_SHIFT | index << FC_MARK_OP_SHIFT |
           (uint64_t)session->slot_index << FC_MARK_SLOT_SHIFT | FC_ENTRY_MARK;
}

static uint32_t slot_of(uint64_t mark) { return (uint32_t)(mark >> FC_MARK_SLOT_SHIFT) & ((1u << FC_MARK_SLOT_BITS) - 1); }
static uint64_t index_of(uint64_t mark) { return mark >> FC_MARK_OP_SHIFT & ((UINT64_C(1) << FC_MARK_OP_BITS) - 1); }
static uint64_t sequence_of(uint64_t mark) { return mark >> FC_MARK_SEQ_SHIFT & ((UINT64_C(1) << FC_MARK_SEQ_BITS) - 1); }

uint64_t fc_multi_state_of(const fc_session *session, uint64_t mark)
{
    return fc_load_acquire(&fc_slot_at(session->cache, slot_of(mark))->multi.state); /* [multi.commit] */
}

/* The op of somebody else's descriptor, with every number checked. NULL if it leads out of the arena. */
static const fc_multi_op *foreign_op(const fc_session *session, const fc_multi *multi, uint64_t index)
{
    if (index < FC_MULTI_INLINE) return &multi->ops[index];
    index -= FC_MULTI_INLINE;
    if (index / FC_MULTI_OPS_PER_PAGE >= FC_MULTI_PAGES) return NULL;
    fc_ref page = fc_load_relaxed(&multi->pages[index / FC_MULTI_OPS_PER_PAGE]);
    if (page < session->arena_off || page > session->size_bytes - FC_PAGE_BYTES || page % FC_PAGE_BYTES != 0) return NULL;
    return (const fc_multi_op *)fc_at(session, page + FC_MULTI_OPS_OFF) + index % FC_MULTI_OPS_PER_PAGE;
}

int fc_multi_resolve(const fc_session *session, uint64_t mark, uint64_t *word, uint64_t *state)
{
    if (slot_of(mark) >= fc_slot_count(session->cache)) return 0;
    const fc_multi *multi = &fc_slot_at(session->cache, slot_of(mark))->multi;
    *state = fc_load_acquire(&multi->state); /* [multi.commit] */
    int status = fc_multi_status(*state);
    if ((*state >> 8 & 0xFFFF) != sequence_of(mark) || (status != FC_MULTI_ACTIVE && status != FC_MULTI_COMMITTED)) return 0;
    const fc_multi_op *op = foreign_op(session, multi, index_of(mark));
    if (op == NULL) return 0;
    *word = fc_load_relaxed(status == FC_MULTI_COMMITTED ? &op->new_word : &op->old_word);
    fc_fence_acquire(); /* [multi.reuse] */
    return (*word & FC_ENTRY_MARK) == 0 && fc_load_relaxed(&multi->state) == *state;
}

void fc_multi_set_state(fc_session *session, uint64_t status)
{
    uint64_t *state = &session->slot->multi.state;
    fc_store_release(state, (fc_load_relaxed(state) & ~UINT64_C(255)) | status); /* [multi.commit] */
    fc_compiler_order();
}

/* Gives the pages of ops back. */
static void free_pages(fc_session *session)
{
    fc_multi *multi = &session->slot->multi;
    fc_ref *list = &session->slot->garbage[FC_GARBAGE_NODES];
    for (uint64_t i = 0; i < FC_MULTI_PAGES; i++) {
        fc_ref page = fc_load_relaxed(&multi->pages[i]);
        if (page == 0) continue;
        fc_redo_begin(session);
        fc_redo_add(session, &((fc_node *)fc_at(session, page))->next, fc_load_relaxed(list));
        fc_redo_add(session, list, page);
        fc_redo_add(session, &multi->pages[i], 0);
        fc_redo_commit(session);
        session->garbage = 1;
    }
    fc_page_drain(session);
}

fc_status fc_multi_begin(fc_session *session, uint64_t count, fc_status (*take)(fc_session *session, fc_ref *list, fc_ref *page))
{
    fc_multi *multi = &session->slot->multi;
    uint64_t overflow = count > FC_MULTI_INLINE ? count - FC_MULTI_INLINE : 0;
    for (uint64_t i = 0; i * FC_MULTI_OPS_PER_PAGE < overflow; i++) {
        fc_ref page;
        if (fc_load_relaxed(&multi->pages[i]) != 0) continue;
        FC_TRY(take(session, &multi->pages[i], &page));
    }
    fc_store_relaxed(&multi->locked_count, 0);
    fc_store_relaxed(&multi->progress, 0);
    fc_store_relaxed(&multi->op_count, 0);
    fc_compiler_order();
    fc_multi_set_state(session, FC_MULTI_BUILDING);
    fc_fence_release(); /* [multi.reuse]: who finds the ops rewritten finds the state changed */
    return FC_OK;
}

void fc_multi_unlock(fc_session *session)
{
    fc_multi *multi = &session->slot->multi;
    uint64_t locked_count = fc_load_relaxed(&multi->locked_count);
    for (uint64_t i = 0; i < locked_count; i++) {
        fc_bucket *home = fc_at(session, fc_load_relaxed(&fc_multi_op_at(session, i)->home_off));
        if (fc_load32_relaxed(&home->owner) == session->owner_word) fc_lock_release(&home->owner);
    }
    fc_compiler_order();
    fc_store_relaxed(&multi->locked_count, 0);
    fc_compiler_order();
}

/* Puts into every entry that still carries this descriptor's mark the word that holds from now on. */
static void sweep(fc_session *session, int committed)
{
    uint64_t op_count = fc_load_relaxed(&session->slot->multi.op_count);
    for (uint64_t i = 0; i < op_count; i++) {
        fc_multi_op *op = fc_multi_op_at(session, i);
        uint64_t entry_off = fc_load_relaxed(&op->entry_off);
        if (entry_off == 0) continue;
        uint64_t *entry = fc_at(session, entry_off);
        uint64_t word = fc_load_relaxed(entry);
        uint64_t tag_word = fc_load_relaxed(&op->new_word) != 0 ? fc_load_relaxed(&op->new_word) : fc_load_relaxed(&op->old_word);
        if (word == fc_multi_mark(session, i, tag_word))
            fc_store_release(entry, fc_load_relaxed(committed ? &op->new_word : &op->old_word)); /* [entry.publish] */
        /* Also where the entry is swept already: whoever swept it may have died before this store. One change too many is harmless. */
        uint64_t *version = &((fc_bucket *)fc_at(session, fc_load_relaxed(&op->home_off)))->version;
        fc_store_release(version, fc_load_relaxed(version) + 1); /* [bucket.version] */
    }
    fc_compiler_order();
}

/* The first node of a word's value; 0 if it has none. */
static fc_ref chain_of(const fc_session *session, uint64_t word)
{
    return word == 0 ? 0 : fc_retire_chain_of(session, word & FC_ENTRY_REF_MASK);
}

/* Gives back the blocks that lost: the old ones of a committed write, the new ones of one that is undone. An op that only changes the expiry has
 * one chain for both blocks: it stays. */
static void retire_losers(fc_session *session, int committed)
{
    fc_multi *multi = &session->slot->multi;
    uint64_t op_count = fc_load_relaxed(&multi->op_count);
    for (uint64_t i = fc_load_relaxed(&multi->progress); i < op_count; i++) {
        fc_multi_op *op = fc_multi_op_at(session, i);
        uint64_t old_word = fc_load_relaxed(&op->old_word), new_word = fc_load_relaxed(&op->new_word);
        uint64_t loser = committed ? old_word : new_word;
        fc_redo_begin(session);
        if (committed) fc_count_redo_change(session, old_word, new_word);
        fc_ref chain = chain_of(session, old_word);
        int keeps_chain = chain != 0 && chain == chain_of(session, new_word);
        if (loser != 0) fc_retire_redo_block(session, loser & FC_ENTRY_REF_MASK, keeps_chain);
        fc_redo_add(session, &multi->progress, i + 1);
        fc_redo_commit(session);
        if (session->garbage) fc_page_drain(session);
    }
}

void fc_multi_finish(fc_session *session)
{
    fc_multi *multi = &session->slot->multi;
    uint64_t state = fc_load_relaxed(&multi->state);
    int status = fc_multi_status(state);
    if (status != FC_MULTI_IDLE) {
        sweep(session, status == FC_MULTI_COMMITTED);
        retire_losers(session, status == FC_MULTI_COMMITTED);
        fc_store_release(&multi->state, ((state >> 8) + 1) << 8 | FC_MULTI_IDLE); /* [multi.commit] */
        fc_compiler_order();
    }
    fc_multi_unlock(session);
    free_pages(session);
}
