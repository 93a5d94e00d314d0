/* cmd_string.c -- values as a whole and in parts: GET, SET and their kin, APPEND, GETRANGE, SETRANGE, MGET, MSET.
 *
 * Nothing is edited in place: a part changed is a new value published (csrc/types/t_string.c says why).
 */
#include "commands/access.h"
#include "commands/number.h"

/* ------------------------------------------------------------------ get */

fc_status fc_cmd_get(fc_context *c) { return fc_access_reply_value(c, 1); }

fc_status fc_cmd_strlen(fc_context *c)
{
    fc_item item;
    FC_TRY(fc_access_look(c, 1, &item));
    FC_TRY(fc_item_want_string(&item));
    fc_reply_integer(c->reply, (int64_t)item.value_bytes);
    return FC_OK;
}

fc_status fc_cmd_getrange(fc_context *c)
{
    int64_t first, last;
    if (!fc_arg_integer(c, 2, &first) || !fc_arg_integer(c, 3, &last)) return FC_OK;
    return fc_access_reply_range(c, 1, first, last);
}

/* Replies with the value of an open item, or null. */
static fc_status reply_value(fc_context *c, const fc_item *item)
{
    FC_TRY(fc_item_want_string(item));
    if (item->type == FC_TYPE_NONE) {
        fc_reply_null(c->reply);
        return FC_OK;
    }
    uint8_t *room = fc_reply_room(c->reply, item->value_bytes + FC_REPLY_HEADER_BYTES_MAX + 2);
    if (room == NULL) return fc_fail(FC_SYSTEM, "no memory for the reply");
    uint64_t at = fc_reply_write_header(room, '$', item->value_bytes);
    FC_TRY(fc_item_copy(c, item, 0, room + at, item->value_bytes));
    memcpy(room + at + item->value_bytes, "\r\n", 2);
    fc_reply_took(c->reply, at + item->value_bytes + 2);
    return FC_OK;
}

fc_status fc_cmd_getdel(fc_context *c)
{
    fc_item item;
    FC_TRY(fc_item_open(c, 1, &item));
    fc_status status = reply_value(c, &item);
    if (status == FC_OK && item.type != FC_TYPE_NONE) fc_item_delete(c, &item);
    return fc_item_close(c, &item, status);
}

/* ------------------------------------------------------------------ set, getex: the options */

#define SET_NX 1u
#define SET_XX 2u
#define SET_GET 4u
#define SET_KEEPTTL 8u
#define SET_PERSIST 16u
#define SET_EXPIRY 32u         /* EX, PX, EXAT or PXAT */

typedef struct set_options {
    uint32_t flags;
    uint32_t deadline_index;   /* of the argument */
    enum fc_time_unit unit;
    int is_absolute;
    uint64_t expires_unix_ns;
} set_options;

static int is_expiry_word(const fc_arg *word, set_options *options)
{
    static const struct { const char *word; enum fc_time_unit unit; int is_absolute; } words[] = {
        {"ex", FC_TIME_SECONDS, 0}, {"px", FC_TIME_MILLISECONDS, 0}, {"exat", FC_TIME_SECONDS, 1}, {"pxat", FC_TIME_MILLISECONDS, 1},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (!fc_arg_is(word, words[i].word)) continue;
        options->unit = words[i].unit;
        options->is_absolute = words[i].is_absolute;
        return 1;
    }
    return 0;
}

/* Reads the options from argument `from` on; only flags in `allowed` are. 0 after an error reply. */
static int parse_options(fc_context *c, uint32_t from, uint32_t allowed, set_options *options)
{
    *options = (set_options){.flags = 0};
    for (uint32_t i = from; i < c->argument_count; i++) {
        const fc_arg *word = &c->arguments[i];
        uint32_t flag = fc_arg_is(word, "nx")        ? SET_NX
                        : fc_arg_is(word, "xx")      ? SET_XX
                        : fc_arg_is(word, "get")     ? SET_GET
                        : fc_arg_is(word, "keepttl") ? SET_KEEPTTL
                        : fc_arg_is(word, "persist") ? SET_PERSIST
                                                     : 0;
        uint32_t excluded = flag == SET_NX ? SET_XX : flag == SET_XX ? SET_NX : flag == SET_KEEPTTL ? SET_EXPIRY : flag == SET_PERSIST ? SET_EXPIRY : 0;
        if (flag == 0 && i + 1 < c->argument_count && (options->flags & (SET_EXPIRY | SET_KEEPTTL | SET_PERSIST)) == 0 && is_expiry_word(word, options)) {
            options->deadline_index = ++i;
            flag = SET_EXPIRY;
        }
        if (flag == 0 || (flag & allowed) == 0 || (options->flags & excluded) != 0) {
            fc_reply_error(c->reply, "ERR syntax error");
            return 0;
        }
        options->flags |= flag;
    }
    return 1;
}

/* The deadline that the options name, if any. 0 after an error reply. */
static int parse_deadline(fc_context *c, set_options *options)
{
    return (options->flags & SET_EXPIRY) == 0 || fc_arg_deadline(c, options->deadline_index, options->unit, options->is_absolute, 1, &options->expires_unix_ns);
}

fc_status fc_cmd_getex(fc_context *c)
{
    fc_item item;
    set_options options;
    if (!parse_options(c, 2, SET_EXPIRY | SET_PERSIST, &options)) return FC_OK;
    if (options.flags == 0) return fc_access_reply_value(c, 1);
    /* As in Redis, a missing key is told before a deadline that is none. */
    FC_TRY(fc_access_look(c, 1, &item));
    if (item.type == FC_TYPE_NONE) return fc_access_reply_value(c, 1);
    if (!parse_deadline(c, &options)) return FC_OK;
    FC_TRY(fc_item_open(c, 1, &item));
    fc_status status = reply_value(c, &item);
    if (status == FC_OK && item.type != FC_TYPE_NONE && item.expires_unix_ns != options.expires_unix_ns) status = fc_item_expire(c, &item, options.expires_unix_ns);
    return fc_item_close(c, &item, status);
}

/* SET with everything it can be asked for; the reply is GET's, or OK, or null. */
static fc_status set_item(fc_context *c, const fc_arg *value, const set_options *options)
{
    fc_item item;
    FC_TRY(fc_item_open(c, 1, &item));
    int exists = item.type != FC_TYPE_NONE;
    int stores = !((options->flags & SET_NX) != 0 && exists) && !((options->flags & SET_XX) != 0 && !exists);
    uint64_t expires_unix_ns = (options->flags & SET_KEEPTTL) != 0 ? item.expires_unix_ns : options->expires_unix_ns;
    fc_status status = (options->flags & SET_GET) != 0 ? reply_value(c, &item) : FC_OK;
    if (status == FC_OK && stores) status = fc_item_write(c, &item, value->data, value->bytes, expires_unix_ns);
    FC_TRY(fc_item_close(c, &item, status));
    if ((options->flags & SET_GET) != 0) return FC_OK;
    if (stores) fc_reply_ok(c->reply);
    else fc_reply_null(c->reply);
    return FC_OK;
}

/* The common case: the engine's own set builds long values before it takes the lock. */
static fc_status set_directly(fc_context *c, const fc_arg *value, const set_options *options)
{
    fc_key key;
    fc_set_options wanted = {.flags = (options->flags & SET_NX ? FC_SET_NX : 0u) | (options->flags & SET_XX ? FC_SET_XX : 0u) | (options->flags & SET_KEEPTTL ? FC_SET_KEEPTTL : 0u),
                             .expires_unix_ns = options->expires_unix_ns};
    FC_TRY(fc_context_key(c, 1, &key));
    fc_status status = fc_set(c->session, &key, value->data, value->bytes, &wanted, NULL);
    if (status != FC_OK && status != FC_NOT_STORED) return status;
    if (status == FC_OK) fc_reply_ok(c->reply);
    else fc_reply_null(c->reply);
    return FC_OK;
}

static fc_status set_value(fc_context *c, const fc_arg *value, const set_options *options)
{
    if (c->transaction != NULL || (options->flags & SET_GET) != 0) return set_item(c, value, options);
    return set_directly(c, value, options);
}

fc_status fc_cmd_set(fc_context *c)
{
    set_options options;
    if (c->argument_count == 3) options = (set_options){.flags = 0};
    else if (!parse_options(c, 3, SET_NX | SET_XX | SET_GET | SET_KEEPTTL | SET_EXPIRY, &options) || !parse_deadline(c, &options)) return FC_OK;
    return set_value(c, &c->arguments[2], &options);
}

fc_status fc_cmd_setex(fc_context *c)
{
    set_options options = {.flags = SET_EXPIRY};
    if (!fc_arg_deadline(c, 2, FC_TIME_SECONDS, 0, 1, &options.expires_unix_ns)) return FC_OK;
    return set_value(c, &c->arguments[3], &options);
}

fc_status fc_cmd_psetex(fc_context *c)
{
    set_options options = {.flags = SET_EXPIRY};
    if (!fc_arg_deadline(c, 2, FC_TIME_MILLISECONDS, 0, 1, &options.expires_unix_ns)) return FC_OK;
    return set_value(c, &c->arguments[3], &options);
}

fc_status fc_cmd_setnx(fc_context *c)
{
    fc_item item;
    FC_TRY(fc_item_open(c, 1, &item));
    int stores = item.type == FC_TYPE_NONE;
    fc_status status = stores ? fc_item_write(c, &item, c->arguments[2].data, c->arguments[2].bytes, 0) : FC_OK;
    FC_TRY(fc_item_close(c, &item, status));
    fc_reply_integer(c->reply, stores);
    return FC_OK;
}

fc_status fc_cmd_getset(fc_context *c)
{
    set_options options = {.flags = SET_GET};
    return set_item(c, &c->arguments[2], &options);
}

/* ------------------------------------------------------------------ parts */

/* 0 after the error reply, if a value of so many bytes is more than clients may make. */
static int length_allowed(fc_context *c, uint64_t offset, uint64_t bytes)
{
    uint64_t most = (uint64_t)fc_config_number(&c->host->config, FC_CONFIG_PROTO_MAX_BULK_LEN);
    if (offset <= most && bytes <= most - offset) return 1;
    fc_reply_status(c->reply, FC_VALUE_TOO_LONG);
    return 0;
}

fc_status fc_cmd_append(fc_context *c)
{
    fc_item item;
    uint8_t *room;
    const fc_arg *tail = &c->arguments[2];
    FC_TRY(fc_item_open(c, 1, &item));
    uint64_t old_bytes = item.value_bytes, new_bytes = old_bytes + tail->bytes;
    fc_status status = fc_item_want_string(&item);
    int allowed = status != FC_OK || length_allowed(c, old_bytes, tail->bytes);
    if (status == FC_OK && allowed) {
        status = fc_item_edit(c, &item, new_bytes, &room);
        if (status == FC_OK && tail->bytes > 0) memcpy(room + old_bytes, tail->data, tail->bytes);
    }
    FC_TRY(fc_item_close(c, &item, status));
    if (allowed) fc_reply_integer(c->reply, (int64_t)new_bytes);
    return FC_OK;
}

fc_status fc_cmd_setrange(fc_context *c)
{
    fc_item item;
    uint8_t *room;
    int64_t offset;
    const fc_arg *part = &c->arguments[3];
    if (!fc_arg_integer(c, 2, &offset)) return FC_OK;
    if (offset < 0) {
        fc_reply_error(c->reply, "ERR offset is out of range");
        return FC_OK;
    }
    FC_TRY(fc_item_open(c, 1, &item));
    uint64_t end = (uint64_t)offset + part->bytes;
    uint64_t new_bytes = part->bytes == 0 || end < item.value_bytes ? item.value_bytes : end;
    fc_status status = fc_item_want_string(&item);
    int allowed = status != FC_OK || part->bytes == 0 || length_allowed(c, (uint64_t)offset, part->bytes);
    if (status == FC_OK && allowed && part->bytes > 0) {
        status = fc_item_edit(c, &item, new_bytes, &room);
        if (status == FC_OK) memcpy(room + offset, part->data, part->bytes);
    }
    FC_TRY(fc_item_close(c, &item, status));
    if (allowed) fc_reply_integer(c->reply, (int64_t)new_bytes);
    return FC_OK;
}

/* ------------------------------------------------------------------ several keys */

fc_status fc_cmd_mget(fc_context *c)
{
    uint32_t count = c->argument_count - 1;
    fc_reply_array(c->reply, count);
    if (count == 1 || c->transaction != NULL) {
        for (uint32_t i = 0; i < count; i++) {
            fc_status status = fc_access_reply_value(c, i + 1);
            if (status == FC_WRONG_TYPE) fc_reply_null(c->reply);
            else FC_TRY(status);
        }
        return FC_OK;
    }
    fc_read *reads;
    FC_TRY(fc_access_read_cut(c, 1, count, &reads));
    for (uint32_t i = 0; i < count; i++) {
        if (reads[i].status == FC_OK) fc_reply_bulk(c->reply, reads[i].buffer, reads[i].value_bytes);
        else fc_reply_null(c->reply);
    }
    return FC_OK;
}

/* Stages all pairs in the transaction. FC_NOT_STORED: `only_if_absent`, and there is one. */
static fc_status set_pairs_staged(fc_context *c, int only_if_absent)
{
    fc_item item;
    for (uint32_t i = 1; only_if_absent && i < c->argument_count; i += 2) {
        FC_TRY(fc_access_look(c, i, &item));
        if (item.type != FC_TYPE_NONE) return FC_NOT_STORED;
    }
    for (uint32_t i = 1; i < c->argument_count; i += 2) {
        FC_TRY(fc_item_open(c, i, &item));
        FC_TRY(fc_item_close(c, &item, fc_item_write(c, &item, c->arguments[i + 1].data, c->arguments[i + 1].bytes, 0)));
    }
    return FC_OK;
}

static fc_status set_pairs(fc_context *c, int only_if_absent)
{
    if (c->transaction != NULL) return set_pairs_staged(c, only_if_absent);
    uint32_t count = (c->argument_count - 1) / 2;
    fc_key *keys = fc_context_scratch(c, count * (sizeof *keys + sizeof(fc_write)));
    if (keys == NULL) return fc_fail(FC_SYSTEM, "no memory for %u keys", count);
    fc_write *writes = (fc_write *)(keys + count);
    for (uint32_t i = 0; i < count; i++) {
        FC_TRY(fc_context_key(c, 1 + 2 * i, &keys[i]));
        writes[i] = (fc_write){.value = c->arguments[2 + 2 * i].data, .value_bytes = c->arguments[2 + 2 * i].bytes};
    }
    return fc_set_many(c->session, keys, writes, count, only_if_absent ? FC_SET_MANY_NX : 0);
}

static int pairs_complete(fc_context *c)
{
    if (c->argument_count % 2 == 1) return 1;
    fc_reply_error(c->reply, "ERR wrong number of arguments for '%s' command", c->command->full_name);
    return 0;
}

fc_status fc_cmd_mset(fc_context *c)
{
    if (!pairs_complete(c)) return FC_OK;
    FC_TRY(set_pairs(c, 0));
    fc_reply_ok(c->reply);
    return FC_OK;
}

fc_status fc_cmd_msetnx(fc_context *c)
{
    if (!pairs_complete(c)) return FC_OK;
    fc_status status = set_pairs(c, 1);
    if (status != FC_OK && status != FC_NOT_STORED) return status;
    fc_reply_integer(c->reply, status == FC_OK);
    return FC_OK;
}
