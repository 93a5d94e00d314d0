/* cmd_number.c -- INCR and its kin: decimal text, read, added to and published as a new value. */
#include "base/decimal.h"
#include "commands/access.h"
#include "commands/number.h"

#include <math.h>
#include <stdio.h>

static fc_status read_integer(fc_context *c, const fc_item *item, int64_t *number)
{
    uint8_t text[FC_DECIMAL_BYTES_MAX];
    *number = 0;
    if (item->type == FC_TYPE_NONE) return FC_OK;
    FC_TRY(fc_item_want_string(item));
    if (item->value_bytes > sizeof text) return FC_NOT_INTEGER;
    FC_TRY(fc_item_copy(c, item, 0, text, item->value_bytes));
    return fc_number_parse(text, item->value_bytes, number) ? FC_OK : FC_NOT_INTEGER;
}

static fc_status write_integer(fc_context *c, fc_item *item, int64_t delta, int64_t *sum, char *text)
{
    int64_t present;
    if (item->schema != 0) return fc_fail(FC_SCHEMA_MISMATCH, "the key holds a record, the write is one of text");
    FC_TRY(read_integer(c, item, &present));
    if (__builtin_add_overflow(present, delta, sum)) return FC_OVERFLOW;
    return fc_item_write(c, item, text, fc_decimal_write(text, *sum), item->expires_unix_ns);
}

static fc_status increment(fc_context *c, int64_t delta)
{
    fc_item item;
    int64_t sum = 0;
    char here[FC_DECIMAL_BYTES_MAX];
    char *text = here;
    /* What is staged in a transaction must live until the commit. */
    if (c->transaction != NULL && (text = fc_context_scratch(c, sizeof here)) == NULL) return fc_fail(FC_SYSTEM, "no memory");
    FC_TRY(fc_item_open(c, 1, &item));
    FC_TRY(fc_item_close(c, &item, write_integer(c, &item, delta, &sum, text)));
    fc_reply_integer(c->reply, sum);
    return FC_OK;
}

fc_status fc_cmd_incr(fc_context *c) { return increment(c, 1); }
fc_status fc_cmd_decr(fc_context *c) { return increment(c, -1); }

fc_status fc_cmd_incrby(fc_context *c)
{
    int64_t delta;
    return fc_arg_integer(c, 2, &delta) ? increment(c, delta) : FC_OK;
}

fc_status fc_cmd_decrby(fc_context *c)
{
    int64_t delta;
    if (!fc_arg_integer(c, 2, &delta)) return FC_OK;
    if (delta != INT64_MIN) return increment(c, -delta);
    fc_reply_error(c->reply, "ERR decrement would overflow");
    return FC_OK;
}

/* ------------------------------------------------------------------ floats */

static fc_status read_float(fc_context *c, const fc_item *item, long double *number)
{
    uint8_t text[FC_FLOAT_TEXT_BYTES];
    *number = 0;
    if (item->type == FC_TYPE_NONE) return FC_OK;
    FC_TRY(fc_item_want_string(item));
    if (item->value_bytes > sizeof text) return FC_NOT_FLOAT;
    FC_TRY(fc_item_copy(c, item, 0, text, item->value_bytes));
    return fc_number_parse_float(text, item->value_bytes, number) ? FC_OK : FC_NOT_FLOAT;
}

static fc_status write_float(fc_context *c, fc_item *item, long double delta, char *text)
{
    long double present;
    if (item->schema != 0) return fc_fail(FC_SCHEMA_MISMATCH, "the key holds a record, the write is one of text");
    FC_TRY(read_float(c, item, &present));
    if (!isfinite(present + delta) || !fc_number_format_float(present + delta, text, FC_FLOAT_TEXT_BYTES)) return FC_NOT_STORED;
    return fc_item_write(c, item, text, strlen(text), item->expires_unix_ns);
}

fc_status fc_cmd_incrbyfloat(fc_context *c)
{
    fc_item item;
    long double delta;
    if (!fc_number_parse_float(c->arguments[2].data, c->arguments[2].bytes, &delta)) return FC_NOT_FLOAT;
    char *text = fc_context_scratch(c, FC_FLOAT_TEXT_BYTES);
    if (text == NULL) return fc_fail(FC_SYSTEM, "no memory");
    FC_TRY(fc_item_open(c, 1, &item));
    fc_status status = fc_item_close(c, &item, write_float(c, &item, delta, text));
    if (status == FC_NOT_STORED) {
        fc_reply_error(c->reply, "ERR increment would produce NaN or Infinity");
        return FC_OK;
    }
    if (status == FC_OK) fc_reply_text(c->reply, text);
    return status;
}
