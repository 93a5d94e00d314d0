/* stage.c -- see stage.h.
 *
 * Items         the keys in the descriptor's order, each once. Under the locks no entry of their homes changes but through the transaction, and no
 *               block that they name is moved or reused: what was found stays valid until the commit.
 * Room          each item may have memory of its own, in which edit keeps the value and a decider may build one; it lives as long as the
 *               transaction, and grows by doubling, so that a thousand APPENDs in one EXEC copy a few times their sum.
 * Time          the clock is read once, under the locks, if any key has an expiry or the decider asks.
 */
#include "table/stage.h"

#include "table/flush.h"

#include <inttypes.h>
#include <stdlib.h>

#define ROOM_BYTES_MIN 64u

/* ------------------------------------------------------------------ keys and items */

/* Homes in address order; in one home the same keys next to each other. */
static int compare_keys(uint64_t left_home_off, const fc_key *left, uint64_t right_home_off, const fc_key *right)
{
    if (left_home_off != right_home_off) return left_home_off < right_home_off ? -1 : 1;
    if (left->hash != right->hash) return left->hash < right->hash ? -1 : 1;
    if (left->database != right->database) return left->database < right->database ? -1 : 1;
    if (left->bytes != right->bytes) return left->bytes < right->bytes ? -1 : 1;
    return left->bytes == 0 ? 0 : memcmp(left->data, right->data, left->bytes);
}

static int compare_items(const void *left, const void *right)
{
    const fc_stage_item *a = left, *b = right;
    int order = compare_keys(a->home_off, a->key, b->home_off, b->key);
    if (order != 0) return order;
    return a->position < b->position ? -1 : 1;
}

void fc_stage_arrange(fc_transaction *t, const fc_key *keys)
{
    for (uint64_t i = 0; i < t->key_count; i++) {
        fc_stage_item *item = &t->items[i];
        item->key = &keys[i];
        item->position = i;
        item->home_off = fc_offset_of(t->session, fc_home_of(t->session, keys[i].hash));
        item->value.data = item->room = NULL;
        item->room_bytes = 0;
    }
    if (t->key_count > 1) qsort(t->items, t->key_count, sizeof *t->items, compare_items);
    t->item_count = 0;
    for (uint64_t i = 0; i < t->key_count; i++) {
        const fc_stage_item *item = &t->items[i], *last = &t->items[t->item_count > 0 ? t->item_count - 1 : 0];
        int is_new = t->item_count == 0 || compare_keys(last->home_off, last->key, item->home_off, item->key) != 0;
        t->item_of[item->position] = (uint32_t)(is_new ? t->item_count : t->item_count - 1);
        if (is_new && t->item_count != i) t->items[t->item_count] = *item;
        t->item_count += (uint64_t)is_new;
    }
}

static fc_stage_item *item_at(const fc_transaction *t, uint64_t index)
{
    FC_ASSERT(index < t->key_count);
    return &t->items[t->item_of[index]];
}

uint64_t fc_transact_find(const fc_transaction *t, const fc_key *key)
{
    uint64_t home_off = fc_offset_of(t->session, fc_home_of(t->session, key->hash));
    uint64_t low = 0, high = t->item_count;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        const fc_stage_item *item = &t->items[middle];
        int order = compare_keys(item->home_off, item->key, home_off, key);
        if (order == 0) return item->position;
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    return t->key_count;
}

/* ------------------------------------------------------------------ what is there */

uint64_t fc_transact_now(fc_transaction *t)
{
    if (t->now_unix_ns == 0) t->now_unix_ns = fc_clock_unix_ns();
    return t->now_unix_ns;
}

static int has_passed(fc_transaction *t, uint64_t expires_unix_ns) { return expires_unix_ns != 0 && expires_unix_ns <= fc_transact_now(t); }

/* Nobody may change it; bytes may be damaged all the same (P7). */
int fc_stage_view(const fc_transaction *t, const fc_stage_item *item, fc_view *view)
{
    const fc_block *block = fc_at(t->session, item->word & FC_ENTRY_REF_MASK);
    view->stamp = fc_load_relaxed(&block->stamp);
    return fc_view_load(t->session, block, view);
}

fc_status fc_stage_find(fc_transaction *t)
{
    for (uint64_t i = 0; i < t->item_count; i++) {
        fc_stage_item *item = &t->items[i];
        item->flush_generation = fc_flush_generation(t->session, item->key->database);
    }
    t->now_unix_ns = 0;
    for (uint64_t i = 0; i < t->item_count; i++) {
        fc_place place;
        fc_stage_item *item = &t->items[i];
        FC_TRY(fc_place_find(t->session, item->key, fc_at(t->session, item->home_off), &place));
        item->entry = place.entry;
        item->word = place.word;
        item->staged = FC_STAGE_KEEP;
        item->is_alive = place.entry != NULL && place.view.flush_generation == (item->flush_generation & FC_BLOCK_FLUSH_MASK) &&
                         !has_passed(t, place.view.expires_unix_ns);
    }
    return FC_OK;
}

void fc_transact_look(const fc_transaction *t, uint64_t index, fc_transact_state *state)
{
    fc_view view;
    const fc_stage_item *item = item_at(t, index);
    const fc_bucket *home = fc_at(t->session, item->home_off);
    *state = (fc_transact_state){.type = FC_TYPE_NONE, .is_staged = item->staged != FC_STAGE_KEEP, .home_version = fc_load_relaxed(&home->version)};
    int is_there = item->is_alive && fc_stage_view(t, item, &view);
    if (is_there) state->version = view.stamp;
    if (item->staged == FC_STAGE_STORE) {
        state->type = item->value.type;
        state->value_bytes = item->value.bytes;
        state->expires_unix_ns = item->value.expires_unix_ns;
        state->schema = item->value.schema;
    } else if (is_there && item->staged != FC_STAGE_REMOVE) {
        state->type = view.type;
        state->value_bytes = view.value_bytes;
        state->expires_unix_ns = item->staged == FC_STAGE_SET_EXPIRY ? item->value.expires_unix_ns : view.expires_unix_ns;
        state->schema = fc_view_schema(&view);
    }
}

fc_status fc_transact_copy(const fc_transaction *t, uint64_t index, uint64_t from, void *buffer, uint64_t bytes)
{
    fc_view view;
    fc_transact_state state;
    const fc_stage_item *item = item_at(t, index);
    fc_transact_look(t, index, &state);
    if (from > state.value_bytes || bytes > state.value_bytes - from)
        return fc_fail(FC_INVALID_ARGUMENT, "bytes %" PRIu64 " to %" PRIu64 " of %" PRIu64, from, from + bytes, state.value_bytes);
    if (bytes == 0) return FC_OK;
    if (item->staged == FC_STAGE_STORE) {
        memcpy(buffer, (const uint8_t *)item->value.data + from, bytes);
        return FC_OK;
    }
    int is_whole = fc_stage_view(t, item, &view) && view.value_bytes == state.value_bytes && fc_view_copy_value(t->session, &view, from, buffer, bytes);
    return is_whole ? FC_OK : fc_fail(FC_CORRUPT, "the value's lengths or its chain make no sense");
}

/* ------------------------------------------------------------------ staging */

fc_status fc_transact_write(fc_transaction *t, uint64_t index, const fc_transact_value *value)
{
    fc_stage_item *item = item_at(t, index);
    FC_TRY(fc_write_check_value(t->session, value->bytes));
    item->value = (fc_value){.data = value->data, .bytes = value->bytes, .expires_unix_ns = value->expires_unix_ns, .schema = value->schema, .type = value->type};
    item->staged = has_passed(t, value->expires_unix_ns) ? FC_STAGE_REMOVE : FC_STAGE_STORE;
    return FC_OK;
}

/* The item's memory, `bytes` long at least; what is in it stays. */
static fc_status grow_room(fc_stage_item *item, uint64_t bytes)
{
    if (bytes <= item->room_bytes) return FC_OK;
    uint64_t room_bytes = bytes < 2 * item->room_bytes ? 2 * item->room_bytes : bytes < ROOM_BYTES_MIN ? ROOM_BYTES_MIN : bytes;
    uint8_t *room = realloc(item->room, room_bytes);
    if (room == NULL) return fc_fail(FC_SYSTEM, "no memory for %" PRIu64 " bytes", room_bytes);
    if (item->value.data == item->room) item->value.data = room;
    item->room = room;
    item->room_bytes = room_bytes;
    return FC_OK;
}

fc_status fc_transact_room(fc_transaction *t, uint64_t index, uint64_t bytes, void **room)
{
    fc_stage_item *item = item_at(t, index);
    FC_TRY(fc_write_check_value(t->session, bytes));
    FC_TRY(grow_room(item, bytes > 0 ? bytes : 1));
    *room = item->room;
    return FC_OK;
}

fc_status fc_transact_edit(fc_transaction *t, uint64_t index, uint64_t bytes, void **room)
{
    fc_transact_state state;
    fc_stage_item *item = item_at(t, index);
    fc_transact_look(t, index, &state);
    FC_TRY(fc_transact_room(t, index, bytes, room));
    uint64_t kept = state.value_bytes < bytes ? state.value_bytes : bytes;
    if (item->staged != FC_STAGE_STORE || item->value.data != item->room) FC_TRY(fc_transact_copy(t, index, 0, item->room, kept));
    memset(item->room + kept, 0, bytes - kept);
    item->value = (fc_value){.data = item->room, .bytes = bytes, .expires_unix_ns = state.expires_unix_ns, .schema = state.schema,
                             .type = state.type == FC_TYPE_NONE ? FC_TYPE_STRING : state.type};
    item->staged = FC_STAGE_STORE;
    return FC_OK;
}

fc_status fc_transact_expire(fc_transaction *t, uint64_t index, uint64_t expires_unix_ns)
{
    fc_stage_item *item = item_at(t, index);
    if (item->staged == FC_STAGE_REMOVE || (item->staged == FC_STAGE_KEEP && !item->is_alive)) return FC_OK;
    item->value.expires_unix_ns = expires_unix_ns;
    if (has_passed(t, expires_unix_ns)) item->staged = FC_STAGE_REMOVE;
    else if (item->staged == FC_STAGE_KEEP) item->staged = FC_STAGE_SET_EXPIRY;
    return FC_OK;
}

void fc_transact_delete(fc_transaction *t, uint64_t index) { item_at(t, index)->staged = FC_STAGE_REMOVE; }

void fc_transact_keep(fc_transaction *t, uint64_t index)
{
    fc_stage_item *item = item_at(t, index);
    item->staged = fc_stage_is_flushed(t, item) ? FC_STAGE_REMOVE : FC_STAGE_KEEP;
}

fc_status fc_transact_flush(fc_transaction *t, uint32_t database)
{
    FC_TRY(fc_flush_check_database(t->session, database));
    t->flushes |= UINT64_C(1) << database;
    for (uint64_t i = 0; i < t->item_count; i++)
        if (t->items[i].key->database == database) t->items[i].staged = FC_STAGE_REMOVE;
    return FC_OK;
}
