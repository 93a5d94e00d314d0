/* cmd_keyspace.c -- looking through a database: KEYS, SCAN, RANDOMKEY.
 *
 * SCAN's cursor is the engine's (table/scan.c): the number of a home bucket, so it survives restarts of the server, and what it promises is
 * Redis's. COUNT counts live keys looked at, of any type; a home is never cut in two, so a call may look at a few more.
 */
#include "commands/context.h"
#include "commands/glob.h"
#include "commands/number.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SCAN_COUNT_DEFAULT 10

/* What a walk keeps, and how many it kept. */
typedef struct key_filter {
    fc_reply *reply;
    const fc_arg *pattern;     /* NULL: all */
    uint32_t type;             /* FC_TYPE_NONE: all */
    int no_type;               /* 1: TYPE named one that does not exist: none fits */
    uint64_t kept_count;
} key_filter;

static int is_star(const fc_arg *pattern) { return pattern->bytes == 1 && pattern->data[0] == '*'; }

static int32_t keep_key(void *context, const void *key, uint32_t key_bytes, uint32_t type)
{
    key_filter *filter = context;
    if (filter->no_type || (filter->type != FC_TYPE_NONE && filter->type != type)) return 0;
    if (filter->pattern != NULL && !fc_glob_matches(filter->pattern->data, filter->pattern->bytes, key, key_bytes, 0)) return 0;
    fc_reply_bulk(filter->reply, key, key_bytes);
    filter->kept_count++;
    return 0;
}

fc_status fc_cmd_keys(fc_context *c)
{
    key_filter filter = {.reply = c->reply, .pattern = is_star(&c->arguments[1]) ? NULL : &c->arguments[1]};
    uint64_t mark = fc_reply_mark(c->reply);
    uint64_t cursor = 0;
    FC_TRY(fc_scan(c->session, c->client->database, &cursor, UINT64_MAX, keep_key, &filter));
    fc_reply_insert_header(c->reply, mark, '*', filter.kept_count);
    return FC_OK;
}

/* A cursor is digits alone. */
static int parse_cursor(const fc_arg *argument, uint64_t *cursor)
{
    char text[24];
    char *end;
    if (argument->bytes == 0 || argument->bytes >= sizeof text || argument->data[0] < '0' || argument->data[0] > '9') return 0;
    memcpy(text, argument->data, argument->bytes);
    text[argument->bytes] = '\0';
    *cursor = strtoull(text, &end, 10);
    return *end == '\0';
}

/* 0 after an error reply. */
static int parse_scan_options(fc_context *c, key_filter *filter, int64_t *count)
{
    for (uint32_t i = 2; i < c->argument_count; i += 2) {
        const fc_arg *option = &c->arguments[i];
        int has_value = i + 1 < c->argument_count;
        if (has_value && fc_arg_is(option, "count")) {
            if (!fc_arg_integer(c, i + 1, count)) return 0;
            if (*count >= 1) continue;
        } else if (has_value && fc_arg_is(option, "match")) {
            filter->pattern = is_star(&c->arguments[i + 1]) ? NULL : &c->arguments[i + 1];
            continue;
        } else if (has_value && fc_arg_is(option, "type")) {
            filter->type = FC_TYPE_STRING;
            filter->no_type = !fc_arg_is(&c->arguments[i + 1], "string");
            continue;
        }
        fc_reply_error(c->reply, "ERR syntax error");
        return 0;
    }
    return 1;
}

fc_status fc_cmd_scan(fc_context *c)
{
    key_filter filter = {.reply = c->reply};
    int64_t count = SCAN_COUNT_DEFAULT;
    uint64_t cursor;
    if (!parse_cursor(&c->arguments[1], &cursor)) {
        fc_reply_error(c->reply, "ERR invalid cursor");
        return FC_OK;
    }
    if (!parse_scan_options(c, &filter, &count)) return FC_OK;
    /* The cursor stands in front of the keys and is known after them. */
    uint64_t mark = fc_reply_mark(c->reply);
    FC_TRY(fc_scan(c->session, c->client->database, &cursor, (uint64_t)count, keep_key, &filter));
    fc_reply_insert_header(c->reply, mark, '*', filter.kept_count);
    char digits[24], text[64];
    int digit_count = snprintf(digits, sizeof digits, "%" PRIu64, cursor);
    fc_reply_insert(c->reply, mark, text, (uint64_t)snprintf(text, sizeof text, "*2\r\n$%d\r\n%s\r\n", digit_count, digits));
    return FC_OK;
}

fc_status fc_cmd_randomkey(fc_context *c)
{
    uint64_t key_bytes;
    uint8_t *key = fc_context_scratch(c, FC_KEY_BYTES_MAX);
    if (key == NULL) return fc_fail(FC_SYSTEM, "no memory for a key");
    fc_status status = fc_random_key(c->session, c->client->database, key, FC_KEY_BYTES_MAX, &key_bytes);
    if (status == FC_OK) fc_reply_bulk(c->reply, key, key_bytes);
    else if (status == FC_MISS) fc_reply_null(c->reply);
    else return status;
    return FC_OK;
}
