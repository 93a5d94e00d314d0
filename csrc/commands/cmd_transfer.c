/* cmd_transfer.c -- a value under another key or in another database: RENAME, RENAMENX, COPY, MOVE; and TOUCH.
 *
 * All but TOUCH name two keys and are flagged ATOMIC, so they run in a transaction: readers see the value in one place or the other, and
 * never in neither. Type, expiry and schema go along.
 */
#include "commands/access.h"
#include "commands/number.h"

static int same_key(const fc_key *a, const fc_key *b)
{
    return a->hash == b->hash && a->database == b->database && a->bytes == b->bytes && memcmp(a->data, b->data, a->bytes) == 0;
}

/* The database that an argument names; 0 after an error reply. */
static int parse_database(fc_context *c, uint32_t index, uint32_t *database)
{
    int64_t number;
    if (!fc_arg_integer(c, index, &number)) return 0;
    if (number < INT32_MIN || number > INT32_MAX) {
        fc_reply_error(c->reply, "ERR value is out of range, value must between -2147483648 and 2147483647");
        return 0;
    }
    if (number < 0 || number >= fc_config_number(&c->host->config, FC_CONFIG_DATABASES)) {
        fc_reply_error(c->reply, "ERR DB index is out of range");
        return 0;
    }
    *database = (uint32_t)number;
    return 1;
}

static fc_status key_in(fc_context *c, uint32_t argument, uint32_t database, fc_key *key)
{
    return fc_key_init(c->cache, database, c->arguments[argument].data, c->arguments[argument].bytes, key);
}

/* Stages the source's value under the target. */
static fc_status transfer(fc_context *c, fc_item *source, fc_item *target)
{
    void *room;
    FC_TRY(fc_transact_room(c->transaction, target->index, source->value_bytes, &room));
    FC_TRY(fc_item_copy(c, source, 0, room, source->value_bytes));
    fc_transact_value value = {.data = room, .bytes = source->value_bytes, .expires_unix_ns = source->expires_unix_ns, .schema = source->schema, .type = source->type};
    return fc_transact_write(c->transaction, target->index, &value);
}

/* Opens both; *decided is 1 if the answer is known without a change: the source is missing, or the target is there and must not be. */
static fc_status open_both(fc_context *c, const fc_key *source_key, const fc_key *target_key, int replaces, fc_item *source, fc_item *target, int *decided)
{
    FC_TRY(fc_item_open_key(c, source_key, source));
    FC_TRY(fc_item_open_key(c, target_key, target));
    *decided = source->type == FC_TYPE_NONE || (!replaces && target->type != FC_TYPE_NONE);
    return FC_OK;
}

/* ------------------------------------------------------------------ rename */

/* A key renamed to itself: all there is to know is whether it exists. Directly this is one key, and so no transaction. */
static fc_status rename_to_itself(fc_context *c, int only_if_absent)
{
    fc_item item;
    FC_TRY(fc_access_look(c, 1, &item));
    if (item.type == FC_TYPE_NONE) fc_reply_error(c->reply, "ERR no such key");
    else if (only_if_absent) fc_reply_integer(c->reply, 0);
    else fc_reply_ok(c->reply);
    return FC_OK;
}

static fc_status rename_key(fc_context *c, int only_if_absent)
{
    fc_key source_key, target_key;
    fc_item source, target;
    int decided;
    FC_TRY(key_in(c, 1, c->client->database, &source_key));
    FC_TRY(key_in(c, 2, c->client->database, &target_key));
    if (same_key(&source_key, &target_key)) return rename_to_itself(c, only_if_absent);
    FC_TRY(open_both(c, &source_key, &target_key, !only_if_absent, &source, &target, &decided));
    if (source.type == FC_TYPE_NONE) {
        fc_reply_error(c->reply, "ERR no such key");
        return FC_OK;
    }
    if (!decided) {
        FC_TRY(transfer(c, &source, &target));
        fc_item_delete(c, &source);
    }
    if (only_if_absent) fc_reply_integer(c->reply, !decided);
    else fc_reply_ok(c->reply);
    return FC_OK;
}

fc_status fc_cmd_rename(fc_context *c) { return rename_key(c, 0); }
fc_status fc_cmd_renamenx(fc_context *c) { return rename_key(c, 1); }

/* ------------------------------------------------------------------ copy and move */

typedef struct copy_options {
    uint32_t database;
    int replaces;
} copy_options;

/* 0 after an error reply. */
static int parse_copy(fc_context *c, copy_options *options)
{
    *options = (copy_options){.database = c->client->database};
    for (uint32_t i = 3; i < c->argument_count; i++) {
        if (fc_arg_is(&c->arguments[i], "replace")) {
            options->replaces = 1;
        } else if (fc_arg_is(&c->arguments[i], "db") && i + 1 < c->argument_count) {
            if (!parse_database(c, ++i, &options->database)) return 0;
        } else {
            fc_reply_error(c->reply, "ERR syntax error");
            return 0;
        }
    }
    return 1;
}

static fc_status refuse_same(fc_context *c)
{
    fc_reply_error(c->reply, "ERR source and destination objects are the same");
    return FC_OK;
}

fc_status fc_cmd_copy(fc_context *c)
{
    copy_options options;
    fc_key source_key, target_key;
    fc_item source, target;
    int decided;
    if (!parse_copy(c, &options)) return FC_OK;
    FC_TRY(key_in(c, 1, c->client->database, &source_key));
    FC_TRY(key_in(c, 2, options.database, &target_key));
    if (same_key(&source_key, &target_key)) return refuse_same(c);
    FC_TRY(open_both(c, &source_key, &target_key, options.replaces, &source, &target, &decided));
    if (!decided) FC_TRY(transfer(c, &source, &target));
    fc_reply_integer(c->reply, !decided);
    return FC_OK;
}

fc_status fc_cmd_move(fc_context *c)
{
    uint32_t database;
    fc_key source_key, target_key;
    fc_item source, target;
    int decided;
    if (!parse_database(c, 2, &database)) return FC_OK;
    if (database == c->client->database) return refuse_same(c);
    FC_TRY(key_in(c, 1, c->client->database, &source_key));
    FC_TRY(key_in(c, 1, database, &target_key));
    FC_TRY(open_both(c, &source_key, &target_key, 0, &source, &target, &decided));
    if (!decided) {
        FC_TRY(transfer(c, &source, &target));
        fc_item_delete(c, &source);
    }
    fc_reply_integer(c->reply, !decided);
    return FC_OK;
}

/* Where the second key lies; what makes no sense is left out, for the command answers that with an error before it looks at keys. */
static int database_of(const fc_arg *argument, uint32_t *database)
{
    int64_t number;
    if (!fc_number_parse(argument->data, argument->bytes, &number) || number < 0 || number >= FC_DATABASES_MAX) return 0;
    *database = (uint32_t)number;
    return 1;
}

fc_status fc_keys_of_copy(const fc_arg *arguments, uint32_t argument_count, uint32_t database, fc_key_sink *sink)
{
    uint32_t target_database = database;
    FC_TRY(sink->take(sink, 1, database));
    for (uint32_t i = 3; i + 1 < argument_count; i++)
        if (fc_arg_is(&arguments[i], "db") && !database_of(&arguments[++i], &target_database)) return FC_OK;
    return sink->take(sink, 2, target_database);
}

fc_status fc_keys_of_move(const fc_arg *arguments, uint32_t argument_count, uint32_t database, fc_key_sink *sink)
{
    uint32_t target_database;
    (void)argument_count;
    FC_TRY(sink->take(sink, 1, database));
    return database_of(&arguments[2], &target_database) ? sink->take(sink, 1, target_database) : FC_OK;
}

/* ------------------------------------------------------------------ touch */

fc_status fc_cmd_touch(fc_context *c)
{
    int64_t found_count = 0;
    for (uint32_t i = 1; i < c->argument_count; i++) {
        fc_item item;
        FC_TRY(fc_access_look(c, i, &item)); /* which marks the access */
        found_count += item.type != FC_TYPE_NONE;
    }
    fc_reply_integer(c->reply, found_count);
    return FC_OK;
}
