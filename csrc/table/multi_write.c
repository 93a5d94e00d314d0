/* multi_write.c -- the public writes of several keys: set_many, rename, copy. All are transactions (transact.h). */
#include "table/transact.h"

#include "table/lookup.h"

#include <inttypes.h>

/* ------------------------------------------------------------------ set_many */

typedef struct many_writes {
    const fc_write *writes;
    uint64_t count;
    uint32_t flags;
} many_writes;

/* A record is replaced by one of its own schema, or of none. */
static int may_hold(fc_transaction *transaction, uint64_t index, const fc_write *write)
{
    fc_transact_state state;
    fc_transact_look(transaction, index, &state);
    int has_passed = write->expires_unix_ns != 0 && write->expires_unix_ns <= fc_transact_now(transaction);
    return state.schema == 0 || state.schema == write->schema || state.is_staged || has_passed;
}

static fc_status stage_write(fc_transaction *transaction, uint64_t index, const fc_write *write)
{
    if (write->value == NULL) {
        fc_transact_delete(transaction, index);
        return FC_OK;
    }
    if (write->schema != 0 && !may_hold(transaction, index, write)) return fc_fail(FC_SCHEMA_MISMATCH, "key %" PRIu64 " of the call", index);
    fc_transact_value value = {.data = write->value, .bytes = write->value_bytes, .expires_unix_ns = write->expires_unix_ns, .schema = write->schema, .type = FC_TYPE_STRING};
    return fc_transact_write(transaction, index, &value);
}

/* In the caller's order: of equal keys the last one wins. */
static fc_status stage_writes(fc_transaction *transaction, void *context)
{
    const many_writes *many = context;
    for (uint64_t i = 0; i < many->count && (many->flags & FC_SET_MANY_NX) != 0; i++) {
        fc_transact_state state;
        fc_transact_look(transaction, i, &state);
        if (state.type != FC_TYPE_NONE) return FC_NOT_STORED;
    }
    for (uint64_t i = 0; i < many->count; i++) FC_TRY(stage_write(transaction, i, &many->writes[i]));
    return FC_OK;
}

fc_status fc_set_many(fc_session *session, const fc_key *keys, const fc_write *writes, uint64_t count, uint32_t flags)
{
    if (flags > FC_SET_MANY_NX) return fc_fail(FC_INVALID_ARGUMENT, "flags 0x%x", flags);
    many_writes many = {.writes = writes, .count = count, .flags = flags};
    return fc_transact(session, keys, count, stage_writes, &many);
}

/* ------------------------------------------------------------------ rename and copy */

#define SOURCE 0u
#define TARGET 1u

typedef struct key_transfer {
    int keeps_source;
    int only_if_absent;
} key_transfer;

static fc_status stage_transfer(fc_transaction *transaction, void *context)
{
    const key_transfer *transfer = context;
    fc_transact_state source, target;
    void *room;
    fc_transact_look(transaction, SOURCE, &source);
    if (source.type == FC_TYPE_NONE) return FC_MISS;
    fc_transact_look(transaction, TARGET, &target);
    if (transfer->only_if_absent && target.type != FC_TYPE_NONE) return FC_NOT_STORED;
    FC_TRY(fc_transact_room(transaction, TARGET, source.value_bytes, &room));
    FC_TRY(fc_transact_copy(transaction, SOURCE, 0, room, source.value_bytes));
    fc_transact_value value = {.data = room, .bytes = source.value_bytes, .expires_unix_ns = source.expires_unix_ns, .schema = source.schema, .type = source.type};
    FC_TRY(fc_transact_write(transaction, TARGET, &value));
    if (!transfer->keeps_source) fc_transact_delete(transaction, SOURCE);
    return FC_OK;
}

static int same_key(const fc_key *a, const fc_key *b)
{
    return a->hash == b->hash && a->database == b->database && a->bytes == b->bytes && (a->bytes == 0 || memcmp(a->data, b->data, a->bytes) == 0);
}

fc_status fc_rename(fc_session *session, const fc_key *source, const fc_key *target, uint8_t only_if_absent)
{
    if (same_key(source, target)) {
        FC_TRY(fc_session_enter_write(session));
        fc_session_leave_write(session);
        fc_status status = fc_exists(session, source);
        return status == FC_OK && only_if_absent ? FC_NOT_STORED : status;
    }
    fc_key keys[2] = {*source, *target};
    key_transfer transfer = {.only_if_absent = only_if_absent};
    return fc_transact(session, keys, 2, stage_transfer, &transfer);
}

fc_status fc_copy(fc_session *session, const fc_key *source, const fc_key *target, uint8_t replace)
{
    if (same_key(source, target)) return fc_fail(FC_INVALID_ARGUMENT, "source and target are the same key");
    fc_key keys[2] = {*source, *target};
    key_transfer transfer = {.keeps_source = 1, .only_if_absent = !replace};
    return fc_transact(session, keys, 2, stage_transfer, &transfer);
}
