/* access.c -- see access.h. */
#include "commands/access.h"

#include "table/reclaim.h"

#include <stdlib.h>

static uint64_t transaction_index(fc_context *c, const fc_key *key) { return fc_transact_find(c->transaction, key); }

/* Takes the state of one of the transaction's keys. Every key of a queued command is among them: commands.def says which they are. */
static fc_status look_in_transaction(fc_context *c, const fc_key *key, uint64_t key_count, fc_item *item)
{
    fc_transact_state state;
    item->key = *key;
    item->index = transaction_index(c, key);
    if (item->index >= key_count) return fc_fail(FC_INTERNAL, "'%s' works on a key that commands.def does not tell of", c->command->full_name);
    fc_transact_look(c->transaction, item->index, &state);
    item->type = state.type;
    item->value_bytes = state.value_bytes;
    item->expires_unix_ns = state.expires_unix_ns;
    item->schema = state.schema;
    item->version = state.version;
    item->change = FC_ITEM_KEEP;
    return FC_OK;
}

/* ------------------------------------------------------------------ changing */

fc_status fc_item_open_key(fc_context *c, const fc_key *key, fc_item *item)
{
    if (FC_UNLIKELY(c->transaction != NULL)) return look_in_transaction(c, key, c->transaction_key_count, item);
    item->key = *key;
    item->change = FC_ITEM_KEEP;
    FC_TRY(fc_write_open(c->session, &item->key, &item->write));
    const fc_place *place = &item->write.place;
    item->type = FC_TYPE_NONE;
    item->value_bytes = item->expires_unix_ns = item->schema = item->version = 0;
    if (!place->alive) return FC_OK;
    item->type = place->view.type;
    item->value_bytes = place->view.value_bytes;
    item->expires_unix_ns = place->view.expires_unix_ns;
    item->schema = fc_view_schema(&place->view);
    item->version = place->view.stamp;
    return FC_OK;
}

fc_status fc_item_open(fc_context *c, uint32_t argument, fc_item *item)
{
    fc_key key;
    FC_TRY(fc_context_key(c, argument, &key));
    return fc_item_open_key(c, &key, item);
}

fc_status fc_item_copy(fc_context *c, const fc_item *item, uint64_t from, void *target, uint64_t bytes)
{
    if (bytes == 0) return FC_OK;
    if (FC_UNLIKELY(c->transaction != NULL)) return fc_transact_copy(c->transaction, item->index, from, target, bytes);
    if (from > item->value_bytes || bytes > item->value_bytes - from) return fc_fail(FC_INTERNAL, "a copy beyond the value's end");
    const fc_view *view = &item->write.place.view;
    if (from != 0) return fc_view_copy_payload(c->session, view, fc_align8(view->key_bytes) + from, target, bytes) ? FC_OK : fc_fail(FC_CORRUPT, "the chain of the value is broken");
    return fc_view_copy_value(c->session, view, 0, target, bytes) ? FC_OK : fc_fail(FC_CORRUPT, "the chain of the value is broken");
}

fc_status fc_item_write(fc_context *c, fc_item *item, const void *data, uint64_t bytes, uint64_t expires_unix_ns)
{
    if (FC_UNLIKELY(c->transaction != NULL)) {
        fc_transact_value value = {.data = data, .bytes = bytes, .expires_unix_ns = expires_unix_ns, .type = FC_TYPE_STRING};
        return fc_transact_write(c->transaction, item->index, &value);
    }
    FC_TRY(fc_write_check_value(c->session, bytes));
    item->change = FC_ITEM_WRITE;
    item->value = (fc_value){.data = data, .bytes = bytes, .expires_unix_ns = expires_unix_ns, .type = FC_TYPE_STRING};
    return FC_OK;
}

fc_status fc_item_edit(fc_context *c, fc_item *item, uint64_t bytes, uint8_t **room)
{
    if (item->schema != 0) return fc_fail(FC_SCHEMA_MISMATCH, "the key holds a record, the write is one of text");
    if (FC_UNLIKELY(c->transaction != NULL)) {
        void *place;
        FC_TRY(fc_transact_edit(c->transaction, item->index, bytes, &place));
        *room = place;
        return FC_OK;
    }
    FC_TRY(fc_write_check_value(c->session, bytes));
    uint8_t *whole = fc_context_scratch(c, bytes);
    if (whole == NULL) return fc_fail(FC_SYSTEM, "no memory for %llu bytes", (unsigned long long)bytes);
    uint64_t kept = item->value_bytes < bytes ? item->value_bytes : bytes;
    FC_TRY(fc_item_copy(c, item, 0, whole, kept));
    memset(whole + kept, 0, bytes - kept);
    *room = whole;
    return fc_item_write(c, item, whole, bytes, item->expires_unix_ns);
}

fc_status fc_item_expire(fc_context *c, fc_item *item, uint64_t expires_unix_ns)
{
    if (FC_UNLIKELY(c->transaction != NULL)) return fc_transact_expire(c->transaction, item->index, expires_unix_ns);
    item->change = FC_ITEM_EXPIRE;
    item->value.expires_unix_ns = expires_unix_ns;
    return FC_OK;
}

void fc_item_delete(fc_context *c, fc_item *item)
{
    if (FC_UNLIKELY(c->transaction != NULL)) fc_transact_delete(c->transaction, item->index);
    else item->change = FC_ITEM_DELETE;
}

static int has_come(uint64_t expires_unix_ns) { return expires_unix_ns != 0 && fc_clock_is_past(expires_unix_ns); }

static fc_status publish(fc_context *c, fc_item *item)
{
    fc_session *session = c->session;
    int dies = item->change == FC_ITEM_DELETE || has_come(item->value.expires_unix_ns);
    if (dies) {
        if (item->type != FC_TYPE_NONE) fc_stat(session, FC_STAT_DELETES, 1);
        fc_write_remove(session, &item->write);
        return FC_OK;
    }
    if (item->change == FC_ITEM_EXPIRE) return item->type == FC_TYPE_NONE ? FC_OK : fc_write_set_expiry(session, &item->write, item->value.expires_unix_ns);
    FC_TRY(fc_write_store(session, &item->key, &item->write, &item->value));
    fc_stat(session, FC_STAT_SETS, 1);
    return FC_OK;
}

fc_status fc_item_close(fc_context *c, fc_item *item, fc_status status)
{
    if (FC_UNLIKELY(c->transaction != NULL)) return status;
    if (status == FC_OK && item->change != FC_ITEM_KEEP) status = publish(c, item);
    return fc_write_close(c->session, &item->write, status);
}

/* ------------------------------------------------------------------ reading */

typedef struct item_copier {
    uint8_t *data;             /* NULL: the value is not wanted */
    uint64_t room;
    uint64_t schema;
} item_copier;

static int copy_item(const fc_session *session, fc_hit *hit, void *context)
{
    item_copier *to = context;
    to->schema = fc_view_schema(&hit->view);
    if (to->data == NULL || hit->view.value_bytes > to->room) return 1;
    return fc_view_copy_value(session, &hit->view, 0, to->data, hit->view.value_bytes);
}

/* Reads directly. FC_MISS is told as FC_TYPE_NONE. */
static fc_status read_by(fc_context *c, fc_item *item, fc_copier copy, void *to)
{
    fc_hit hit;
    FC_TRY(fc_session_enter_read(c->session));
    fc_status status = fc_read_key(c->session, &item->key, copy, to, &hit);
    item->type = FC_TYPE_NONE;
    item->value_bytes = item->expires_unix_ns = item->schema = item->version = 0;
    if (status != FC_OK) return status == FC_MISS ? FC_OK : status;
    item->type = hit.view.type;
    item->value_bytes = hit.view.value_bytes;
    item->expires_unix_ns = hit.view.expires_unix_ns;
    item->version = hit.view.stamp;
    return FC_OK;
}

static fc_status read_directly(fc_context *c, fc_item *item, item_copier *to)
{
    to->schema = 0;
    FC_TRY(read_by(c, item, copy_item, to));
    item->schema = item->type != FC_TYPE_NONE ? to->schema : 0;
    return FC_OK;
}

fc_status fc_access_look(fc_context *c, uint32_t argument, fc_item *item)
{
    item_copier nothing = {.data = NULL};
    FC_TRY(fc_context_key(c, argument, &item->key));
    if (FC_UNLIKELY(c->transaction != NULL)) return look_in_transaction(c, &item->key, c->transaction_key_count, item);
    return read_directly(c, item, &nothing);
}

/* Rounds with larger buffers, when values outgrow them as we look. */
#define GROW_ROUNDS_MAX 8u

static fc_status outgrown(void) { return fc_fail(FC_CONTENDED, "the value outgrew %u buffers in a row", GROW_ROUNDS_MAX); }

fc_status fc_access_read(fc_context *c, uint32_t argument, fc_item *item, uint8_t **data)
{
    item_copier to = {.room = 0};
    FC_TRY(fc_access_look(c, argument, item));
    for (uint32_t round = 0; round < GROW_ROUNDS_MAX; round++) {
        *data = NULL;
        if (item->type == FC_TYPE_NONE) return FC_OK;
        FC_TRY(fc_item_want_string(item));
        to.room = item->value_bytes + 1;
        to.data = fc_context_scratch(c, to.room);
        if (to.data == NULL) return fc_fail(FC_SYSTEM, "no memory for %llu bytes", (unsigned long long)to.room);
        *data = to.data;
        if (c->transaction != NULL) return fc_item_copy(c, item, 0, to.data, item->value_bytes);
        FC_TRY(read_directly(c, item, &to));
        if (item->type != FC_TYPE_NONE && item->value_bytes <= to.room) return FC_OK;
    }
    return outgrown();
}

int fc_access_clip(int64_t length, int64_t *first, int64_t *last)
{
    if (*first < 0 && *last < 0 && *first > *last) return 0;
    if (*first < 0) *first = *first + length < 0 ? 0 : *first + length;
    if (*last < 0) *last = *last + length < 0 ? 0 : *last + length;
    if (*last >= length) *last = length - 1;
    return length > 0 && *first <= *last;
}

typedef struct part_copier {
    int64_t first, last;
    uint8_t *data;
    uint64_t room;
    fc_item_part *part;        /* its data is not set */
} part_copier;

static void clip_part(const part_copier *to, uint64_t value_bytes)
{
    int64_t first = to->first, last = to->last;
    int is_empty = !fc_access_clip((int64_t)value_bytes, &first, &last);
    *to->part = (fc_item_part){.first = is_empty ? 0 : (uint64_t)first, .bytes = is_empty ? 0 : (uint64_t)(last - first) + 1};
}

static int copy_part(const fc_session *session, fc_hit *hit, void *context)
{
    part_copier *to = context;
    clip_part(to, hit->view.value_bytes);
    if (to->part->bytes == 0 || to->part->bytes > to->room) return 1;
    if (to->part->first == 0) return fc_view_copy_value(session, &hit->view, 0, to->data, to->part->bytes);
    return fc_view_copy_payload(session, &hit->view, fc_align8(hit->view.key_bytes) + to->part->first, to->data, to->part->bytes);
}

/* Room for the part at the first try: all but the long ones. */
#define PART_BYTES 64u

fc_status fc_access_read_part(fc_context *c, uint32_t argument, int64_t first, int64_t last, fc_item *item, fc_item_part *part)
{
    part_copier to = {.first = first, .last = last, .room = PART_BYTES, .part = part};
    FC_TRY(fc_context_key(c, argument, &item->key));
    if (FC_UNLIKELY(c->transaction != NULL)) {
        FC_TRY(look_in_transaction(c, &item->key, c->transaction_key_count, item));
        clip_part(&to, item->value_bytes);
        to.room = part->bytes;
    }
    for (uint32_t round = 0; round < GROW_ROUNDS_MAX; round++) {
        to.data = fc_context_scratch(c, to.room);
        if (to.data == NULL) return fc_fail(FC_SYSTEM, "no memory for %llu bytes", (unsigned long long)to.room);
        *part = (fc_item_part){.bytes = 0};
        if (FC_UNLIKELY(c->transaction != NULL)) clip_part(&to, item->value_bytes);
        else FC_TRY(read_by(c, item, copy_part, &to));
        FC_TRY(fc_item_want_string(item));
        if (item->type == FC_TYPE_NONE) *part = (fc_item_part){.bytes = 0};
        part->data = to.data;
        if (FC_UNLIKELY(c->transaction != NULL)) return fc_item_copy(c, item, part->first, to.data, part->bytes);
        if (part->bytes <= to.room) return FC_OK;
        to.room = part->bytes;
    }
    return outgrown();
}

/* First guess of a value's length in a cut: nearly every value of a market-data cache fits. */
#define GUESSED_BYTES 256u

static uint64_t room_of(const fc_read *read, uint32_t round)
{
    if (round == 0) return GUESSED_BYTES;
    return read->status == FC_BUFFER_SMALL ? read->value_bytes : read->buffer_bytes;
}

fc_status fc_access_read_cut(fc_context *c, uint32_t argument, uint32_t count, fc_read **made)
{
    fc_read *reads = fc_context_scratch(c, count * (sizeof *reads + sizeof(fc_key)));
    if (reads == NULL) return fc_fail(FC_SYSTEM, "no memory for %u keys", count);
    fc_key *keys = (fc_key *)(reads + count);
    memset(reads, 0, count * sizeof *reads);
    for (uint32_t i = 0; i < count; i++) FC_TRY(fc_context_key(c, argument + i, &keys[i]));
    for (uint32_t round = 0; round < GROW_ROUNDS_MAX; round++) {
        uint64_t sum = 0;
        int is_small = 0;
        for (uint32_t i = 0; i < count; i++) sum += reads[i].buffer_bytes = room_of(&reads[i], round);
        uint8_t *room = fc_context_scratch(c, sum);
        if (room == NULL) return fc_fail(FC_SYSTEM, "no memory for %llu bytes", (unsigned long long)sum);
        for (uint32_t i = 0; i < count; room += reads[i++].buffer_bytes) reads[i].buffer = room;
        FC_TRY(fc_get_cut(c->session, keys, reads, count));
        for (uint32_t i = 0; i < count; i++) is_small |= reads[i].status == FC_BUFFER_SMALL;
        *made = reads;
        if (!is_small) return FC_OK;
    }
    return fc_fail(FC_CONTENDED, "the values outgrew %u buffers in a row", GROW_ROUNDS_MAX);
}

/* A bulk string under construction at the end of the reply. */
typedef struct bulk_copier {
    fc_reply *reply;
    int64_t first, last;       /* of a range */
    uint64_t bytes;            /* of the whole bulk string, header and CRLF included; 0: it did not fit, `needed` would do */
    uint64_t needed;
} bulk_copier;

static inline __attribute__((always_inline)) int copy_bulk(const fc_session *session, fc_hit *hit, bulk_copier *to, uint64_t from, uint64_t bytes)
{
    fc_reply *reply = to->reply;
    to->needed = bytes + FC_REPLY_HEADER_BYTES_MAX + 2;
    to->bytes = 0;
    if (FC_UNLIKELY(reply->capacity - reply->bytes < to->needed)) return 1;
    uint8_t *room = reply->data + reply->bytes;
    uint64_t at = fc_reply_write_header(room, '$', bytes);
    to->bytes = at + bytes + 2;
    if (from == 0) return fc_view_copy_value(session, &hit->view, 0, room + at, bytes);
    return fc_view_copy_payload(session, &hit->view, fc_align8(hit->view.key_bytes) + from, room + at, bytes);
}

static int copy_bulk_value(const fc_session *session, fc_hit *hit, void *context) { return copy_bulk(session, hit, context, 0, hit->view.value_bytes); }

static int copy_bulk_range(const fc_session *session, fc_hit *hit, void *context)
{
    bulk_copier *to = context;
    int64_t first = to->first, last = to->last;
    if (!fc_access_clip((int64_t)hit->view.value_bytes, &first, &last)) return copy_bulk(session, hit, to, 0, 0);
    return copy_bulk(session, hit, to, (uint64_t)first, (uint64_t)(last - first) + 1);
}

/* Has `copy` write a bulk string, with more room as long as it asks for more. FC_MISS. */
static inline __attribute__((always_inline)) fc_status reply_directly(fc_context *c, const fc_key *key, fc_copier copy, bulk_copier *to)
{
    fc_hit hit;
    FC_TRY(fc_session_enter_read(c->session));
    for (uint32_t round = 0; round < GROW_ROUNDS_MAX; round++) {
        FC_TRY(fc_read_key(c->session, key, copy, to, &hit));
        if (FC_UNLIKELY(hit.view.type != FC_TYPE_STRING)) return FC_WRONG_TYPE;
        if (FC_LIKELY(to->bytes != 0)) {
            to->reply->data[to->reply->bytes + to->bytes - 2] = '\r';
            to->reply->data[to->reply->bytes + to->bytes - 1] = '\n';
            fc_reply_took(to->reply, to->bytes);
            return FC_OK;
        }
        if (fc_reply_room(to->reply, to->needed) == NULL) return FC_OK;
    }
    return outgrown();
}

static fc_status reply_in_transaction(fc_context *c, const fc_item *item, uint64_t from, uint64_t bytes)
{
    FC_TRY(fc_item_want_string(item));
    uint8_t *room = fc_reply_room(c->reply, bytes + FC_REPLY_HEADER_BYTES_MAX + 2);
    if (room == NULL) return FC_OK;
    uint64_t at = fc_reply_write_header(room, '$', bytes);
    FC_TRY(fc_item_copy(c, item, from, room + at, bytes));
    memcpy(room + at + bytes, "\r\n", 2);
    fc_reply_took(c->reply, at + bytes + 2);
    return FC_OK;
}

fc_status fc_access_reply_value(fc_context *c, uint32_t argument)
{
    if (FC_UNLIKELY(c->transaction != NULL)) {
        fc_item item;
        FC_TRY(fc_access_look(c, argument, &item));
        if (item.type != FC_TYPE_NONE) return reply_in_transaction(c, &item, 0, item.value_bytes);
        fc_reply_null(c->reply);
        return FC_OK;
    }
    fc_key key;
    bulk_copier to = {.reply = c->reply};
    FC_TRY(fc_context_key(c, argument, &key));
    fc_status status = reply_directly(c, &key, copy_bulk_value, &to);
    if (status != FC_MISS) return status;
    fc_reply_null(c->reply);
    return FC_OK;
}

fc_status fc_access_reply_range(fc_context *c, uint32_t argument, int64_t first, int64_t last)
{
    if (FC_UNLIKELY(c->transaction != NULL)) {
        fc_item item;
        FC_TRY(fc_access_look(c, argument, &item));
        if (!fc_access_clip((int64_t)item.value_bytes, &first, &last)) return reply_in_transaction(c, &item, 0, 0);
        return reply_in_transaction(c, &item, (uint64_t)first, (uint64_t)(last - first) + 1);
    }
    fc_key key;
    bulk_copier to = {.reply = c->reply, .first = first, .last = last};
    FC_TRY(fc_context_key(c, argument, &key));
    fc_status status = reply_directly(c, &key, copy_bulk_range, &to);
    if (status != FC_MISS) return status;
    fc_reply_bulk(c->reply, "", 0);
    return FC_OK;
}
