/* cmd_dump.c -- DUMP and RESTORE: values as payloads that Redis understands (types/rdb_string.h).
 *
 * A payload is checked, and its string unpacked, before the key's lock is taken. As in Redis, that the key exists is told before what is
 * wrong with time or payload. A record is dumped as its bytes: a payload has no place for a schema.
 * IDLETIME and FREQ are checked and then left aside: a write is the latest use of its key, and what the segment keeps of uses has no more
 * than a mark (table/lookup.h).
 */
#include "commands/access.h"
#include "commands/number.h"
#include "types/rdb_string.h"

fc_status fc_cmd_dump(fc_context *c)
{
    fc_item item;
    uint8_t *data;
    FC_TRY(fc_access_read(c, 1, &item, &data));
    if (item.type == FC_TYPE_NONE) {
        fc_reply_null(c->reply);
        return FC_OK;
    }
    uint8_t *payload = fc_context_scratch(c, item.value_bytes + FC_RDB_PAYLOAD_EXTRA_BYTES);
    if (payload == NULL) return fc_fail(FC_SYSTEM, "no memory for a payload");
    fc_reply_bulk(c->reply, payload, fc_rdb_string_dump(data, item.value_bytes, payload));
    return FC_OK;
}

/* ------------------------------------------------------------------ restore */

typedef struct restore_call {
    int replaces;
    int is_absolute;
    uint64_t expires_unix_ns;
    uint8_t *data;
    uint64_t bytes;
    const char *refusal;       /* what is wrong with time or payload; NULL: nothing */
    const char *type;          /* that FinCache does not have; NULL: it does */
} restore_call;

/* An integer option's value in [0, maximum]. 0 after an error reply. */
static int parse_option(fc_context *c, uint32_t index, int64_t maximum, const char *refusal)
{
    int64_t number;
    if (!fc_arg_integer(c, index, &number)) return 0;
    if (number >= 0 && number <= maximum) return 1;
    fc_reply_error(c->reply, "%s", refusal);
    return 0;
}

/* 0 after an error reply. */
static int parse_options(fc_context *c, restore_call *call)
{
    int has_idle_time = 0, has_frequency = 0;
    for (uint32_t i = 4; i < c->argument_count; i++) {
        const fc_arg *word = &c->arguments[i];
        int has_next = i + 1 < c->argument_count;
        if (fc_arg_is(word, "replace")) {
            call->replaces = 1;
        } else if (fc_arg_is(word, "absttl")) {
            call->is_absolute = 1;
        } else if (fc_arg_is(word, "idletime") && has_next && !has_frequency) {
            if (!parse_option(c, ++i, INT64_MAX, "ERR Invalid IDLETIME value, must be >= 0")) return 0;
            has_idle_time = 1;
        } else if (fc_arg_is(word, "freq") && has_next && !has_idle_time) {
            if (!parse_option(c, ++i, 255, "ERR Invalid FREQ value, must be >= 0 and <= 255")) return 0;
            has_frequency = 1;
        } else {
            fc_reply_error(c->reply, "ERR syntax error");
            return 0;
        }
    }
    return 1;
}

/* Milliseconds, 0: never. What nanoseconds of 64 bits cannot tell is their last millisecond. */
static void parse_time(fc_context *c, restore_call *call)
{
    int64_t milliseconds;
    uint64_t now_unix_ms = call->is_absolute ? 0 : fc_clock_unix_ns() / 1000000, limit_unix_ms = UINT64_MAX / 1000000;
    if (!fc_number_parse(c->arguments[2].data, c->arguments[2].bytes, &milliseconds)) call->refusal = "ERR value is not an integer or out of range";
    else if (milliseconds < 0) call->refusal = "ERR Invalid TTL value, must be >= 0";
    else if (milliseconds == 0) call->expires_unix_ns = 0;
    else if ((uint64_t)milliseconds >= limit_unix_ms - now_unix_ms) call->expires_unix_ns = limit_unix_ms * 1000000;
    else call->expires_unix_ns = (now_unix_ms + (uint64_t)milliseconds) * 1000000;
}

static fc_status unpack(fc_context *c, restore_call *call)
{
    fc_rdb_string string;
    uint64_t used_bytes;
    const fc_arg *payload = &c->arguments[3];
    if (!fc_rdb_payload_is_whole(payload->data, payload->bytes)) {
        call->refusal = "ERR DUMP payload version or checksum are wrong";
        return FC_OK;
    }
    uint64_t body_bytes = payload->bytes - FC_RDB_FOOTER_BYTES;
    const char *type = body_bytes > 0 ? fc_rdb_type_name(payload->data[0]) : NULL;
    if (type != NULL && payload->data[0] != FC_RDB_TYPE_STRING) {
        call->type = type;
        return FC_OK;
    }
    call->refusal = "ERR Bad data format";
    if (type == NULL || !fc_rdb_string_find(payload->data + 1, body_bytes - 1, &string, &used_bytes)) return FC_OK;
    FC_TRY(fc_write_check_value(c->session, string.bytes));
    call->data = fc_context_scratch(c, string.bytes + 1);
    if (call->data == NULL) return fc_fail(FC_SYSTEM, "no memory for a value of %llu bytes", (unsigned long long)string.bytes);
    call->bytes = string.bytes;
    if (fc_rdb_string_read(&string, call->data)) call->refusal = NULL;
    return FC_OK;
}

fc_status fc_cmd_restore(fc_context *c)
{
    fc_item item;
    restore_call call = {.replaces = 0};
    if (!parse_options(c, &call)) return FC_OK;
    parse_time(c, &call);
    if (call.refusal == NULL) FC_TRY(unpack(c, &call));
    FC_TRY(fc_item_open(c, 1, &item));
    int is_busy = item.type != FC_TYPE_NONE && !call.replaces;
    int stores = !is_busy && call.refusal == NULL && call.type == NULL;
    FC_TRY(fc_item_close(c, &item, stores ? fc_item_write(c, &item, call.data, call.bytes, call.expires_unix_ns) : FC_OK));
    if (is_busy) fc_reply_error(c->reply, "BUSYKEY Target key name already exists.");
    else if (call.type != NULL) fc_reply_error(c->reply, "ERR the payload holds a value of type %s; FinCache restores strings only", call.type);
    else if (call.refusal != NULL) fc_reply_error(c->reply, "%s", call.refusal);
    else fc_reply_ok(c->reply);
    return FC_OK;
}
