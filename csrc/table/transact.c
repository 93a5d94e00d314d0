/* transact.c -- see transact.h. The descriptor that makes the change one store: memory/multi.h.
 *
 * Locking       homes in address order, each journaled (locked_count) before it is tried; if one does not come at once, all are given
 *               back before it is waited for. So a stopped committer holds only keys it is about to write, and nobody waits in a circle.
 * Deadlines     the session's timeout for all locks together; then FC_BUSY, and nothing has changed.
 * Ops           one for each item, from the beginning, for its home; it stays without an entry when nothing is staged.
 * Flushes       by others: generations are read before anything is looked at and compared before the marks; one that comes later flushes
 *               what is written, too. By the decider: compare-and-swap from the generation that was read, right before the marks; the new
 *               blocks have the generation after it already.
 * Expiry alone  is staged without a copy: the new block shares the old one's chain of nodes (multi.c keeps the chain then).
 */
#include "table/stage.h"

#include "memory/give_way.h"
#include "memory/journal.h"
#include "memory/page.h"
#include "memory/retire.h"
#include "table/flush.h"
#include "table/reclaim.h"

#include <inttypes.h>
#include <stdlib.h>

/* Attempts that a flush in the middle may cost. */
#define FLUSH_RETRIES_MAX 1000u
#define FEW 32u
/* New values of less than this part of the arena are not summed up with what they replace. */
#define SUM_PART 8u

/* ------------------------------------------------------------------ locks */

static void write_ops(const fc_transaction *t)
{
    for (uint64_t i = 0; i < t->item_count; i++) {
        fc_multi_op *op = fc_multi_op_at(t->session, i);
        fc_store_relaxed(&op->home_off, t->items[i].home_off);
        fc_store_relaxed(&op->entry_off, 0);
        fc_store_relaxed(&op->old_word, 0);
        fc_store_relaxed(&op->new_word, 0);
    }
    fc_compiler_order();
    fc_store_relaxed(&t->session->slot->multi.op_count, t->item_count);
    fc_compiler_order();
}

static fc_status begin_descriptor(const fc_transaction *t)
{
    /* Journal words of single writes must not name homes that the descriptor is going to lock (settle.c, release_everything). */
    fc_store_relaxed(&t->session->slot->locks[FC_LOCK_HOME], 0);
    fc_store_relaxed(&t->session->slot->locks[FC_LOCK_VICTIM], 0);
    FC_TRY(fc_multi_begin(t->session, t->item_count, fc_reclaim_take_page));
    write_ops(t);
    return FC_OK;
}

static int is_repeated_home(const fc_transaction *t, uint64_t i) { return i > 0 && t->items[i].home_off == t->items[i - 1].home_off; }

/* Tries all homes. The index of the one that did not come, or the count. */
static uint64_t try_homes(const fc_transaction *t)
{
    fc_multi *multi = &t->session->slot->multi;
    for (uint64_t i = 0; i < t->item_count; i++) {
        if (is_repeated_home(t, i)) continue;
        fc_store_relaxed(&multi->locked_count, i + 1);
        fc_compiler_order();
        if (!fc_lock_try_word(t->session, &((fc_bucket *)fc_at(t->session, t->items[i].home_off))->owner)) return i;
    }
    fc_store_relaxed(&multi->locked_count, t->item_count);
    return t->item_count;
}

static fc_status lock_homes(const fc_transaction *t)
{
    fc_session *session = t->session;
    uint64_t deadline = 0;
    fc_give_way(session);
    for (;;) {
        uint64_t missing = try_homes(t);
        if (missing == t->item_count) return FC_OK;
        fc_multi_unlock(session);
        if (deadline != 0 && fc_clock_mono_ns() >= deadline) return fc_fail(FC_BUSY, "%" PRIu64 " keys could not be locked together", t->item_count);
        if (deadline == 0) deadline = fc_clock_mono_ns() + session->timeout_ns;
        uint32_t *word = &((fc_bucket *)fc_at(session, t->items[missing].home_off))->owner;
        /* Wait for that one alone, let it go, and begin again: with all of them free it takes one pass. */
        fc_store_relaxed(&session->slot->locks[FC_LOCK_HOME], fc_offset_of(session, word));
        fc_compiler_order();
        FC_TRY(fc_lock_wait(session, word, deadline));
        fc_lock_release(word);
        fc_compiler_order();
        fc_store_relaxed(&session->slot->locks[FC_LOCK_HOME], 0);
        fc_compiler_order();
    }
}

static void trim_homes(const fc_transaction *t)
{
    for (uint64_t i = 0; i < t->item_count; i++) {
        fc_bucket *home = fc_at(t->session, t->items[i].home_off);
        if (is_repeated_home(t, i) || fc_load32_relaxed(&home->link) == 0 || !fc_lock_try(t->session, FC_LOCK_HOME, &home->owner)) continue;
        fc_chain_trim(t->session, home);
        fc_lock_release(&home->owner);
    }
}

/* ------------------------------------------------------------------ blocks and entries */

/* Was this vacant entry given to an earlier op of the same home? */
static int is_taken(const fc_transaction *t, uint64_t i, const uint64_t *entry)
{
    for (uint64_t j = i; j > 0 && t->items[j - 1].home_off == t->items[i].home_off; j--)
        if (fc_load_relaxed(&fc_multi_op_at(t->session, j - 1)->entry_off) == fc_offset_of(t->session, entry)) return 1;
    return 0;
}

/* An empty entry of the chain that no other op has; by an extension bucket if need be. */
static fc_status find_vacant(const fc_transaction *t, uint64_t i, uint64_t **vacant)
{
    int damaged = 0;
    fc_place place = {.home = fc_at(t->session, t->items[i].home_off)};
    for (fc_bucket *bucket = place.home; bucket != NULL; bucket = fc_bucket_next(t->session, bucket, &damaged)) {
        for (uint32_t j = 0; j < FC_BUCKET_ENTRIES; j++) {
            *vacant = &bucket->entries[j];
            if (fc_load_relaxed(*vacant) == 0 && !is_taken(t, i, *vacant)) return FC_OK;
        }
        place.last = bucket;
    }
    FC_TRY(fc_place_make_room(t->session, &place));
    *vacant = place.vacant;
    return FC_OK;
}

/* Takes the block at the top of the magazine, and the nodes on the pending list, into the op. */
static void take_block(fc_session *session, fc_multi_op *op, uint64_t word, uint32_t kind)
{
    fc_redo_begin(session);
    fc_redo_add(session, &op->new_word, word);
    fc_retire_redo_take(session, kind);
    if (fc_load_relaxed(&session->slot->pending) != 0) fc_redo_add(session, &session->slot->pending, 0);
    fc_redo_commit(session);
}

static fc_status build_value(const fc_transaction *t, fc_stage_item *item, fc_multi_op *op)
{
    fc_shape shape;
    uint64_t word;
    fc_value *value = &item->value;
    value->flush_generation = item->flush_generation + (uint64_t)fc_stage_is_flushed(t, item);
    fc_block_shape(item->key->bytes, value->bytes, value->schema != 0, &shape);
    if (shape.node_count > 0) FC_TRY(fc_block_build_nodes(t->session, item->key, value, &shape, fc_reclaim_take_page));
    uint32_t kind = fc_class_for(shape.head_bytes);
    FC_TRY(fc_reclaim_reserve(t->session, &kind));
    FC_TRY(fc_block_build(t->session, item->key, value, &shape, kind, &word));
    take_block(t->session, op, word, kind);
    return FC_OK;
}

static fc_status build_with_expiry(const fc_transaction *t, const fc_stage_item *item, fc_multi_op *op)
{
    fc_view view;
    uint64_t word;
    if (!fc_stage_view(t, item, &view)) return fc_fail(FC_CORRUPT, "the value's lengths make no sense");
    uint32_t kind = view.kind;
    FC_TRY(fc_reclaim_reserve(t->session, &kind));
    FC_TRY(fc_block_build_copy(t->session, &view, item->value.expires_unix_ns, kind, &word));
    take_block(t->session, op, word, kind);
    return FC_OK;
}

/* Fills the op of one item: its entry, a vacant one for a new key, and its new block. */
static fc_status prepare_item(const fc_transaction *t, uint64_t i)
{
    fc_stage_item *item = &t->items[i];
    fc_multi_op *op = fc_multi_op_at(t->session, i);
    uint64_t *entry = item->entry;
    if (item->staged == FC_STAGE_KEEP || (item->staged == FC_STAGE_REMOVE && entry == NULL)) return FC_OK;
    if (entry == NULL) FC_TRY(find_vacant(t, i, &entry));
    fc_store_relaxed(&op->old_word, item->word);
    fc_store_relaxed(&op->entry_off, fc_offset_of(t->session, entry));
    if (item->staged == FC_STAGE_STORE) return build_value(t, item, op);
    return item->staged == FC_STAGE_SET_EXPIRY ? build_with_expiry(t, item, op) : FC_OK;
}

/* What can never fit must not evict everything else first. What is replaced stays until the commit; it is looked at if the new values are
 * many bytes. */
static fc_status check_sum(const fc_transaction *t)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < t->item_count; i++)
        if (t->items[i].staged == FC_STAGE_STORE) sum += sizeof(fc_block) + t->items[i].key->bytes + t->items[i].value.bytes;
    if (sum < (t->session->size_bytes - t->session->arena_off) / SUM_PART) return FC_OK;
    for (uint64_t i = 0; i < t->item_count; i++) {
        fc_view view;
        if (t->items[i].entry == NULL || !fc_stage_view(t, &t->items[i], &view)) continue;
        sum += sizeof(fc_block) + view.key_bytes + view.value_bytes;
    }
    return fc_write_check_sum(t->session, sum);
}

static fc_status prepare_items(const fc_transaction *t)
{
    FC_TRY(check_sum(t));
    for (uint64_t i = 0; i < t->item_count; i++) FC_TRY(prepare_item(t, i));
    return FC_OK;
}

/* ------------------------------------------------------------------ commit */

/* 0 if somebody else flushed what was looked at. */
static int generations_hold(const fc_transaction *t)
{
    for (uint64_t i = 0; i < t->item_count; i++)
        if (t->items[i].flush_generation != fc_flush_generation(t->session, t->items[i].key->database)) return 0;
    return 1;
}

/* The generation that the database had when its keys were looked at; without keys the present one. */
static uint64_t generation_looked_at(const fc_transaction *t, uint32_t database)
{
    for (uint64_t i = 0; i < t->item_count; i++)
        if (t->items[i].key->database == database) return t->items[i].flush_generation;
    return fc_flush_generation(t->session, database);
}

/* Empties what the decider wants emptied. 0: another flush came first, and nothing was done. Where another comes between two of ours, it did
 * for its database what we want: the new blocks are of the generation that it began. */
static int flush_databases(const fc_transaction *t)
{
    int is_first = 1;
    for (uint64_t left = t->flushes; left != 0; left &= left - 1) {
        uint32_t database = (uint32_t)__builtin_ctzll(left);
        if (!fc_flush_once(t->session, database, generation_looked_at(t, database)) && is_first) return 0;
        is_first = 0;
    }
    return 1;
}

/* Marks every entry that changes. How many. */
static uint64_t mark_entries(const fc_transaction *t)
{
    uint64_t marked_count = 0;
    fc_multi_set_state(t->session, FC_MULTI_ACTIVE);
    for (uint64_t i = 0; i < t->item_count; i++) {
        uint64_t entry_off = fc_load_relaxed(&fc_multi_op_at(t->session, i)->entry_off);
        if (entry_off == 0) continue;
        fc_store_release(fc_at(t->session, entry_off), fc_multi_mark(t->session, i, t->items[i].key->hash)); /* [entry.publish] */
        marked_count++;
    }
    fc_compiler_order();
    return marked_count;
}

/* Statistics, and access marks for eviction. */
static void note_commit(const fc_transaction *t)
{
    fc_session *session = t->session;
    fc_stat(session, FC_STAT_MULTI_COMMITS, 1);
    for (uint64_t i = 0; i < t->item_count; i++) {
        const fc_stage_item *item = &t->items[i];
        if (item->staged == FC_STAGE_KEEP) continue;
        if (item->staged == FC_STAGE_REMOVE) {
            fc_stat(session, FC_STAT_DELETES, (uint64_t)item->is_alive);
            continue;
        }
        if (item->staged == FC_STAGE_STORE) fc_stat(session, FC_STAT_SETS, 1);
        if (!item->is_alive) fc_reclaim_count_insert(session);
        const fc_bucket *home = fc_at(session, item->home_off);
        uint64_t index = (fc_load_relaxed(&fc_multi_op_at(session, i)->entry_off) - fc_offset_of(session, home->entries)) / sizeof(uint64_t);
        fc_mark_used(session, item->key->hash, index < FC_BUCKET_ENTRIES ? (uint32_t)index : FC_MARK_EXTENSIONS);
    }
}

static fc_status attempt(fc_transaction *t, fc_transact_decider decide, void *context)
{
    FC_TRY(begin_descriptor(t));
    FC_TRY(lock_homes(t));
    FC_TRY(fc_stage_find(t));
    t->flushes = 0;
    FC_TRY(decide(t, context));
    FC_TRY(prepare_items(t));
    /* A flush that comes from here on flushes what is written, too; one that came before would take some, or undo what was decided. */
    t->is_overtaken = !generations_hold(t) || !flush_databases(t);
    if (t->is_overtaken) return FC_CONTENDED;
    if (mark_entries(t) == 0) return FC_OK; /* nothing changes: the descriptor is undone */
    fc_multi_set_state(t->session, FC_MULTI_COMMITTED);
    note_commit(t);
    return FC_OK;
}

static fc_status run(fc_transaction *t, fc_transact_decider decide, void *context)
{
    fc_status status = FC_CONTENDED;
    fc_session *session = t->session;
    for (uint32_t i = 0; i == 0 || (t->is_overtaken && i < FLUSH_RETRIES_MAX); i++) {
        t->is_overtaken = 0;
        status = attempt(t, decide, context);
        fc_multi_finish(session);
        if (fc_load_relaxed(&session->slot->pending) != 0) fc_retire_pending(session);
    }
    if (t->is_overtaken) status = fc_fail(FC_CONTENDED, "the database was flushed during each of %u attempts", FLUSH_RETRIES_MAX);
    trim_homes(t);
    if (session->garbage) fc_page_drain(session);
    return status;
}

static fc_status check_keys(const fc_key *keys, uint64_t count)
{
    if (count > FC_MULTI_KEYS_MAX) return fc_fail(FC_TOO_MANY_KEYS, "%" PRIu64 " keys, at most %u", count, FC_MULTI_KEYS_MAX);
    for (uint64_t i = 0; i < count; i++)
        if (keys[i].database >= FC_DATABASE_SLOTS) return fc_fail(FC_INVALID_ARGUMENT, "database %u of key %" PRIu64, keys[i].database, i);
    return FC_OK;
}

/* Inside a session that was entered. */
static fc_status transact(fc_session *session, const fc_key *keys, uint64_t count, fc_transact_decider decide, void *context)
{
    fc_stage_item few_items[FEW];
    uint32_t few_places[FEW];
    FC_TRY(check_keys(keys, count));
    fc_transaction t = {.session = session, .items = few_items, .item_of = few_places, .key_count = count};
    if (count > FEW) {
        t.items = malloc(count * (sizeof *t.items + sizeof *t.item_of));
        if (t.items == NULL) return fc_fail(FC_SYSTEM, "no memory for %" PRIu64 " keys", count);
        t.item_of = (uint32_t *)(t.items + count);
    }
    fc_stage_arrange(&t, keys);
    fc_status status = run(&t, decide, context);
    for (uint64_t i = 0; i < t.item_count; i++) free(t.items[i].room);
    if (t.items != few_items) free(t.items);
    return status;
}

fc_status fc_transact(fc_session *session, const fc_key *keys, uint64_t count, fc_transact_decider decide, void *context)
{
    FC_TRY(fc_session_enter_write(session));
    fc_status status = transact(session, keys, count, decide, context);
    fc_session_leave_write(session);
    return status;
}
