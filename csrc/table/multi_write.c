/* multi_write.c -- writes of several keys that every reader sees together: set_many, rename, copy. The descriptor: memory/multi.h.
 *
 * Locking       homes in address order, each journaled (locked_count) before it is tried; if one does not come at once, all are given
 *               back before it is waited for. So a stopped committer holds only keys it is about to write, and nobody waits in a circle.
 * Deadlines     the session's timeout for all locks together; then FC_BUSY, and nothing has changed.
 */
#include "table/write.h"

#include "memory/journal.h"
#include "memory/page.h"
#include "memory/retire.h"
#include "table/reclaim.h"

#include <inttypes.h>
#include <stdlib.h>

/* Beside the public flags: a record may be replaced by one of another dtype. */
#define ANY_SCHEMA 256u
/* Attempts that a flush in the middle may cost. */
#define FLUSH_RETRIES_MAX 1000u

/* One key of the write, in the order of the descriptor. */
typedef struct multi_item {
    const fc_key *key;
    const fc_write *write;     /* NULL: the key is locked, and that is all */
    uint64_t home_off;
    uint64_t flush_generation; /* of the key's database, from before anything was decided */
    uint64_t position;         /* among the caller's keys: of equal keys the last one wins */
} multi_item;

static int by_home_and_key(const void *left, const void *right)
{
    const multi_item *a = left, *b = right;
    if (a->home_off != b->home_off) return a->home_off < b->home_off ? -1 : 1;
    if (a->key->hash != b->key->hash) return a->key->hash < b->key->hash ? -1 : 1;
    if (a->key->database != b->key->database) return a->key->database < b->key->database ? -1 : 1;
    if (a->key->bytes != b->key->bytes) return a->key->bytes < b->key->bytes ? -1 : 1;
    int order = memcmp(a->key->data, b->key->data, a->key->bytes);
    if (order != 0) return order;
    return a->position < b->position ? -1 : 1;
}

static int same_key(const fc_key *a, const fc_key *b)
{
    return a->hash == b->hash && a->database == b->database && a->bytes == b->bytes && memcmp(a->data, b->data, a->bytes) == 0;
}

/* Sorts, and of equal keys keeps the last. Returns how many are left. */
static uint64_t arrange(const fc_session *session, const fc_key *keys, const fc_write *writes, uint64_t count, multi_item *items)
{
    uint64_t kept = 0;
    for (uint64_t i = 0; i < count; i++)
        items[i] = (multi_item){.key = &keys[i], .write = &writes[i], .home_off = fc_offset_of(session, fc_home_of(session, keys[i].hash)), .position = i};
    qsort(items, count, sizeof *items, by_home_and_key);
    for (uint64_t i = 0; i < count; i++) {
        if (i + 1 < count && same_key(items[i].key, items[i + 1].key)) continue;
        items[kept++] = items[i];
    }
    return kept;
}

/* ------------------------------------------------------------------ locks */

static void write_ops(fc_session *session, const multi_item *items, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        fc_multi_op *op = fc_multi_op_at(session, i);
        fc_store_relaxed(&op->home_off, items[i].home_off);
        fc_store_relaxed(&op->entry_off, 0);
        fc_store_relaxed(&op->old_word, 0);
        fc_store_relaxed(&op->new_word, 0);
    }
    fc_compiler_order();
    fc_store_relaxed(&session->slot->multi.op_count, count);
    fc_compiler_order();
}

static int is_repeated_home(const multi_item *items, uint64_t i)
{
    return i > 0 && items[i].home_off == items[i - 1].home_off;
}

/* Tries all homes. The index of the one that did not come, or count. */
static uint64_t try_homes(fc_session *session, const multi_item *items, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (is_repeated_home(items, i)) continue;
        fc_store_relaxed(&session->slot->multi.locked_count, i + 1);
        fc_compiler_order();
        if (!fc_lock_try_word(session, &((fc_bucket *)fc_at(session, items[i].home_off))->owner)) return i;
    }
    fc_store_relaxed(&session->slot->multi.locked_count, count);
    return count;
}

static fc_status lock_homes(fc_session *session, const multi_item *items, uint64_t count)
{
    uint64_t deadline = 0;
    for (;;) {
        uint64_t missing = try_homes(session, items, count);
        if (missing == count) return FC_OK;
        fc_multi_unlock(session);
        if (deadline != 0 && fc_clock_mono_ns() >= deadline) return fc_fail(FC_BUSY, "%" PRIu64 " keys could not be locked together", count);
        if (deadline == 0) deadline = fc_clock_mono_ns() + session->timeout_ns;
        uint32_t *word = &((fc_bucket *)fc_at(session, items[missing].home_off))->owner;
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

/* ------------------------------------------------------------------ blocks and entries */

/* Was this vacant entry given to an earlier op of the same home? */
static int is_taken(const fc_session *session, const multi_item *items, uint64_t i, const uint64_t *entry)
{
    for (uint64_t j = i; j > 0 && items[j - 1].home_off == items[i].home_off; j--)
        if (fc_load_relaxed(&fc_multi_op_at(session, j - 1)->entry_off) == fc_offset_of(session, entry)) return 1;
    return 0;
}

/* An empty entry of the chain that no other op has; by an extension bucket if need be. */
static fc_status find_vacant(fc_session *session, const multi_item *items, uint64_t i, fc_place *place)
{
    int damaged = 0;
    for (fc_bucket *bucket = place->home; bucket != NULL; bucket = fc_bucket_next(session, bucket, &damaged))
        for (uint32_t j = 0; j < FC_BUCKET_ENTRIES; j++) {
            uint64_t *entry = &bucket->entries[j];
            if (fc_load_relaxed(entry) != 0 || is_taken(session, items, i, entry)) continue;
            place->vacant = entry;
            return FC_OK;
        }
    place->vacant = NULL;
    return fc_place_make_room(session, place);
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

static fc_status build_item(fc_session *session, const multi_item *item, fc_multi_op *op)
{
    fc_shape shape;
    uint64_t word;
    const fc_write *write = item->write;
    fc_value value = {.data = write->value, .bytes = write->value_bytes, .expires_unix_ns = write->expires_unix_ns, .schema = write->schema, .type = FC_TYPE_STRING,
                      .flush_generation = item->flush_generation};
    fc_block_shape(item->key->bytes, value.bytes, value.schema != 0, &shape);
    if (shape.node_count > 0) FC_TRY(fc_block_build_nodes(session, item->key, &value, &shape, fc_reclaim_take_page));
    uint32_t kind = fc_class_for(shape.head_bytes);
    FC_TRY(fc_reclaim_reserve(session, &kind));
    FC_TRY(fc_block_build(session, item->key, &value, &shape, kind, &word));
    take_block(session, op, word, kind);
    return FC_OK;
}

/* Finds or makes the entry of one key, and its new block. */
static fc_status prepare_item(fc_session *session, const multi_item *items, uint64_t i, uint32_t flags)
{
    fc_place place;
    fc_multi_op *op = fc_multi_op_at(session, i);
    if (items[i].write == NULL) return FC_OK;
    FC_TRY(fc_place_find(session, items[i].key, fc_at(session, items[i].home_off), &place));
    if ((flags & FC_SET_MANY_NX) != 0 && place.alive) return FC_NOT_STORED;
    int deletes = items[i].write->value == NULL || (items[i].write->expires_unix_ns != 0 && fc_clock_is_past(items[i].write->expires_unix_ns));
    if (place.alive && items[i].write->schema != 0 && !deletes && (flags & ANY_SCHEMA) == 0) {
        uint64_t schema = fc_view_schema(&place.view);
        if (schema != 0 && schema != items[i].write->schema) return fc_fail(FC_SCHEMA_MISMATCH, "key %" PRIu64 " of the call", items[i].position);
    }
    if (deletes && place.entry == NULL) return FC_OK;
    if (place.entry == NULL) FC_TRY(find_vacant(session, items, i, &place));
    fc_store_relaxed(&op->old_word, place.word);
    fc_store_relaxed(&op->entry_off, fc_offset_of(session, place.entry != NULL ? place.entry : place.vacant));
    if (!deletes) FC_TRY(build_item(session, &items[i], op));
    return FC_OK;
}

static void mark_entries(fc_session *session, const multi_item *items, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        fc_multi_op *op = fc_multi_op_at(session, i);
        uint64_t entry_off = fc_load_relaxed(&op->entry_off);
        if (entry_off == 0) continue;
        fc_store_release(fc_at(session, entry_off), fc_multi_mark(session, i, items[i].key->hash)); /* [entry.publish] */
    }
    fc_compiler_order();
}

static void trim_homes(fc_session *session, const multi_item *items, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        fc_bucket *home = fc_at(session, items[i].home_off);
        if (is_repeated_home(items, i) || !fc_lock_try(session, FC_LOCK_HOME, &home->owner)) continue;
        fc_chain_trim(session, home);
        fc_lock_release(&home->owner);
    }
}

/* ------------------------------------------------------------------ the whole */

/* What a multi-key write does between locking and committing: fills the items' writes. */
typedef fc_status (*decider)(fc_session *session, multi_item *items, uint64_t count, void *context);

static fc_status prepare_and_commit(fc_session *session, multi_item *items, uint64_t count, uint32_t flags, decider decide, void *context)
{
    FC_TRY(lock_homes(session, items, count));
    for (uint64_t i = 0; i < count; i++) items[i].flush_generation = fc_flush_generation(session, items[i].key->database);
    if (decide != NULL) FC_TRY(decide(session, items, count, context));
    for (uint64_t i = 0; i < count; i++) FC_TRY(prepare_item(session, items, i, flags));
    /* A flush that comes from here on flushes all of these values; one that came before would take some, or undo what was decided. */
    for (uint64_t i = 0; i < count; i++)
        if (items[i].flush_generation != fc_flush_generation(session, items[i].key->database)) return FC_CONTENDED;
    fc_multi_set_state(session, FC_MULTI_ACTIVE);
    mark_entries(session, items, count);
    fc_multi_set_state(session, FC_MULTI_COMMITTED);
    return FC_OK;
}

static fc_status begin_descriptor(fc_session *session, const multi_item *items, uint64_t count)
{
    /* Journal words of single writes must not name homes that the descriptor is going to lock (settle.c, release_everything). */
    fc_store_relaxed(&session->slot->locks[FC_LOCK_HOME], 0);
    fc_store_relaxed(&session->slot->locks[FC_LOCK_VICTIM], 0);
    FC_TRY(fc_multi_begin(session, count, fc_reclaim_take_page));
    write_ops(session, items, count);
    return FC_OK;
}

static fc_status commit_items(fc_session *session, multi_item *items, uint64_t count, uint32_t flags, decider decide, void *context)
{
    fc_status status = FC_CONTENDED;
    for (uint32_t attempt = 0; status == FC_CONTENDED && attempt < FLUSH_RETRIES_MAX; attempt++) {
        status = begin_descriptor(session, items, count);
        if (status == FC_OK) status = prepare_and_commit(session, items, count, flags, decide, context);
        fc_multi_finish(session);
        if (fc_load_relaxed(&session->slot->pending) != 0) fc_retire_pending(session);
    }
    if (status == FC_CONTENDED) status = fc_fail(FC_CONTENDED, "the database was flushed during each of %u attempts", FLUSH_RETRIES_MAX);
    trim_homes(session, items, count);
    if (session->garbage) fc_page_drain(session);
    if (status != FC_OK) return status;
    fc_stat(session, FC_STAT_MULTI_COMMITS, 1);
    return FC_OK;
}

fc_status fc_set_many(fc_session *session, const fc_key *keys, const fc_write *writes, uint64_t count, uint32_t flags)
{
    if (flags > FC_SET_MANY_NX) return fc_fail(FC_INVALID_ARGUMENT, "flags 0x%x", flags);
    FC_TRY(fc_session_enter_write(session));
    fc_status status = count > FC_MULTI_KEYS_MAX ? fc_fail(FC_TOO_MANY_KEYS, "%" PRIu64 " keys, at most %u", count, FC_MULTI_KEYS_MAX) : FC_OK;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count && status == FC_OK; i++) {
        status = fc_write_check_value(session, writes[i].value_bytes);
        sum += sizeof(fc_block) + keys[i].bytes + writes[i].value_bytes;
        if (keys[i].database >= FC_DATABASE_SLOTS) status = fc_fail(FC_INVALID_ARGUMENT, "database %u of key %" PRIu64, keys[i].database, i);
    }
    if (status == FC_OK) status = fc_write_check_sum(session, sum);
    multi_item few[32];
    multi_item *items = count <= sizeof few / sizeof few[0] ? few : malloc(count * sizeof *items);
    if (status == FC_OK && items == NULL) status = fc_fail(FC_SYSTEM, "no memory for %" PRIu64 " keys", count);
    if (status == FC_OK && count > 0) {
        uint64_t kept = arrange(session, keys, writes, count, items);
        status = commit_items(session, items, kept, flags, NULL, NULL);
        if (status == FC_OK) fc_stat(session, FC_STAT_SETS, kept);
    }
    if (items != few) free(items);
    fc_session_leave_write(session);
    return status;
}

/* ------------------------------------------------------------------ rename and copy */

typedef struct key_transfer {
    const fc_key *source;
    const fc_key *target;
    fc_write target_write;     /* known once the source is locked */
    void *value;               /* private copy */
    int keep_source;
    int only_if_absent;
} key_transfer;

/* Copies the source, now that it is locked, into the write of the target. */
static fc_status read_source(fc_session *session, multi_item *items, uint64_t count, void *context)
{
    key_transfer *transfer = context;
    fc_place source, target;
    FC_TRY(fc_place_find(session, transfer->source, fc_home_of(session, transfer->source->hash), &source));
    if (!source.alive) return FC_MISS;
    FC_TRY(fc_place_find(session, transfer->target, fc_home_of(session, transfer->target->hash), &target));
    if (transfer->only_if_absent && target.alive) return FC_NOT_STORED;
    if (transfer->keep_source) FC_TRY(fc_write_check_sum(session, 2 * source.view.value_bytes));
    free(transfer->value); /* of an attempt that a flush overtook */
    transfer->value = malloc(source.view.value_bytes + 1);
    if (transfer->value == NULL) return fc_fail(FC_SYSTEM, "no memory for %" PRIu64 " bytes", source.view.value_bytes);
    if (!fc_view_copy_value(session, &source.view, 0, transfer->value, source.view.value_bytes)) return fc_fail(FC_CORRUPT, "the chain of the value is broken");
    transfer->target_write = (fc_write){transfer->value, source.view.value_bytes, source.view.expires_unix_ns, fc_view_schema(&source.view)};
    for (uint64_t i = 0; i < count; i++)
        if (items[i].key == transfer->target) items[i].write = &transfer->target_write;
    return FC_OK;
}

static fc_status move_value(fc_session *session, key_transfer *transfer)
{
    const fc_write delete_source = {0};
    FC_TRY(fc_session_enter_write(session));
    multi_item items[2] = {
        {.key = transfer->target, .home_off = fc_offset_of(session, fc_home_of(session, transfer->target->hash)), .position = 0},
        {.key = transfer->source, .write = transfer->keep_source ? NULL : &delete_source,
         .home_off = fc_offset_of(session, fc_home_of(session, transfer->source->hash)), .position = 1},
    };
    qsort(items, 2, sizeof items[0], by_home_and_key);
    fc_status status = commit_items(session, items, 2, ANY_SCHEMA, read_source, transfer);
    free(transfer->value);
    fc_session_leave_write(session);
    return status;
}

fc_status fc_rename(fc_session *session, const fc_key *source, const fc_key *target, uint8_t only_if_absent)
{
    if (same_key(source, target)) {
        FC_TRY(fc_session_enter_write(session));
        fc_session_leave_write(session);
        fc_status status = fc_exists(session, source);
        return status == FC_OK && only_if_absent ? FC_NOT_STORED : status;
    }
    key_transfer transfer = {.source = source, .target = target, .only_if_absent = only_if_absent};
    return move_value(session, &transfer);
}

fc_status fc_copy(fc_session *session, const fc_key *source, const fc_key *target, uint8_t replace)
{
    if (same_key(source, target)) return fc_fail(FC_INVALID_ARGUMENT, "source and target are the same key");
    key_transfer transfer = {.source = source, .target = target, .only_if_absent = !replace, .keep_source = 1};
    return move_value(session, &transfer);
}
