/* t_string.c -- read-modify-write of strings: numbers, appending, overwriting a range.
 *
 * A string is its bytes; numbers are decimal text, as in Redis. Nothing is edited in place: the new value is built beside the old one
 * and published, under the home's lock, so that readers, cuts and snapshots see one or the other (design.md, "Bucket").
 * Sources      Redis 7.2's replies to INCR, INCRBYFLOAT, APPEND and SETRANGE, observed on a running server
 */
#include "base/decimal.h"
#include "table/write.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Redis's idea of an integer: no sign but '-', no leading zero, no space. 1 if it is one. */
static int parse_integer(const char *text, uint64_t bytes, int64_t *value)
{
    uint64_t i = 0, magnitude = 0;
    int negative = bytes > 0 && text[0] == '-';
    if (negative) i = 1;
    if (i == bytes || bytes > FC_DECIMAL_BYTES_MAX) return 0;
    if (text[i] == '0' && (bytes > 1)) return 0;
    for (; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9') return 0;
        if (__builtin_mul_overflow(magnitude, 10u, &magnitude) || __builtin_add_overflow(magnitude, (uint64_t)(text[i] - '0'), &magnitude)) return 0;
    }
    if (magnitude > (uint64_t)INT64_MAX + (uint64_t)negative) return 0;
    *value = (int64_t)(negative ? 0 - magnitude : magnitude);
    return 1;
}

/* The present value's bytes, if it lives: FC_OK; FC_MISS; FC_BUFFER_SMALL. A terminating 0 is added. */
static fc_status present_text(const fc_session *session, const fc_place *place, char *text, uint64_t text_bytes, uint64_t *bytes)
{
    if (!place->alive) return FC_MISS;
    if (place->view.value_bytes >= text_bytes) return FC_BUFFER_SMALL;
    if (!fc_view_copy_value(session, &place->view, 0, text, place->view.value_bytes)) return fc_fail(FC_CORRUPT, "the chain of the value is broken");
    *bytes = place->view.value_bytes;
    text[*bytes] = '\0';
    return FC_OK;
}

/* A record is no text: a part of it changed as bytes would leave a record that is none. */
static fc_status refuse_record(const fc_place *place)
{
    if (!place->alive || fc_view_schema(&place->view) == 0) return FC_OK;
    return fc_fail(FC_SCHEMA_MISMATCH, "the key holds a record, the write is one of text");
}

static fc_value successor(const fc_place *place, const void *data, uint64_t bytes)
{
    return (fc_value){.data = data, .bytes = bytes, .expires_unix_ns = place->alive ? place->view.expires_unix_ns : 0, .type = FC_TYPE_STRING};
}

static fc_status increment_locked(fc_session *session, const fc_key *key, fc_write_state *write, int64_t delta, int64_t *value)
{
    char text[FC_DECIMAL_BYTES_MAX + 4];
    uint64_t bytes = 0;
    int64_t present = 0, sum;
    FC_TRY(refuse_record(&write->place));
    fc_status status = present_text(session, &write->place, text, sizeof text, &bytes);
    if (status == FC_BUFFER_SMALL || (status == FC_OK && !parse_integer(text, bytes, &present))) return fc_fail(FC_NOT_INTEGER, "%s", "");
    if (status != FC_OK && status != FC_MISS) return status;
    if (__builtin_add_overflow(present, delta, &sum)) return fc_fail(FC_OVERFLOW, "%" PRId64 " + %" PRId64, present, delta);
    fc_value next = successor(&write->place, text, fc_decimal_write(text, sum));
    FC_TRY(fc_write_store(session, key, write, &next));
    fc_stat(session, FC_STAT_SETS, 1);
    *value = sum;
    return FC_OK;
}

fc_status fc_increment(fc_session *session, const fc_key *key, int64_t delta, int64_t *value)
{
    fc_write_state write;
    FC_TRY(fc_write_open(session, key, &write));
    return fc_write_close(session, &write, increment_locked(session, key, &write, delta, value));
}

/* ------------------------------------------------------------------ floats */

/* 17 digits after the point, trailing zeroes and a bare point taken off: what Redis writes. */
static int format_float(long double value, char *text, uint64_t text_bytes)
{
    int length = snprintf(text, text_bytes, "%.17Lf", value);
    if (length < 0 || (uint64_t)length >= text_bytes) return 0;
    if (strchr(text, '.') != NULL) {
        while (text[length - 1] == '0') length--;
        if (text[length - 1] == '.') length--;
        text[length] = '\0';
    }
    if (strcmp(text, "-0") == 0) memcpy(text, "0", 2);
    return 1;
}

static int parse_float(const char *text, uint64_t bytes, long double *value)
{
    char *end;
    if (bytes == 0 || isspace((unsigned char)text[0]) || strlen(text) != bytes) return 0;
    errno = 0;
    *value = strtold(text, &end);
    return *end == '\0' && isfinite(*value) && (errno != ERANGE || *value != 0);
}

static fc_status increment_float_locked(fc_session *session, const fc_key *key, fc_write_state *write, long double delta, char *text, uint64_t text_bytes)
{
    char present_bytes[FC_FLOAT_TEXT_BYTES];
    uint64_t bytes = 0;
    long double present = 0;
    FC_TRY(refuse_record(&write->place));
    fc_status status = present_text(session, &write->place, present_bytes, sizeof present_bytes, &bytes);
    if (status == FC_BUFFER_SMALL || (status == FC_OK && !parse_float(present_bytes, bytes, &present))) return fc_fail(FC_NOT_FLOAT, "%s", "");
    if (status != FC_OK && status != FC_MISS) return status;
    long double sum = present + delta;
    if (!isfinite(sum)) return fc_fail(FC_OVERFLOW, "increment would produce NaN or Infinity");
    if (!format_float(sum, present_bytes, sizeof present_bytes)) return fc_fail(FC_OVERFLOW, "the sum has too many digits");
    uint64_t length = strlen(present_bytes);
    if (length >= text_bytes) return FC_BUFFER_SMALL;
    fc_value next = successor(&write->place, present_bytes, length);
    FC_TRY(fc_write_store(session, key, write, &next));
    fc_stat(session, FC_STAT_SETS, 1);
    memcpy(text, present_bytes, length + 1);
    return FC_OK;
}

fc_status fc_increment_float(fc_session *session, const fc_key *key, long double delta, char *text, uint64_t text_bytes)
{
    fc_write_state write;
    if (!isfinite(delta)) return fc_fail(FC_NOT_FLOAT, "the increment is NaN or Infinity");
    FC_TRY(fc_write_open(session, key, &write));
    return fc_write_close(session, &write, increment_float_locked(session, key, &write, delta, text, text_bytes));
}

/* ------------------------------------------------------------------ append, set range */

/* The old value with `data` laid over it at `offset`, zeroes between. */
static fc_status overlay_locked(fc_session *session, const fc_key *key, fc_write_state *write, uint64_t offset, const void *data, uint64_t bytes, uint64_t *value_bytes)
{
    const fc_place *place = &write->place;
    FC_TRY(refuse_record(place));
    uint64_t old_bytes = place->alive ? place->view.value_bytes : 0;
    uint64_t end;
    if (__builtin_add_overflow(offset, bytes, &end)) return fc_fail(FC_VALUE_TOO_LONG, "offset %" PRIu64, offset);
    uint64_t new_bytes = end > old_bytes ? end : old_bytes;
    FC_TRY(fc_write_check_value(session, new_bytes));
    uint8_t small[512];
    uint8_t *whole = new_bytes <= sizeof small ? small : malloc(new_bytes);
    if (whole == NULL) return fc_fail(FC_SYSTEM, "no memory for %" PRIu64 " bytes", new_bytes);
    fc_status status = FC_OK;
    if (old_bytes > 0 && !fc_view_copy_value(session, &place->view, 0, whole, old_bytes)) status = fc_fail(FC_CORRUPT, "the chain of the value is broken");
    if (status == FC_OK) {
        if (offset > old_bytes) memset(whole + old_bytes, 0, offset - old_bytes);
        if (bytes > 0) memcpy(whole + offset, data, bytes);
        fc_value next = successor(place, whole, new_bytes);
        status = fc_write_store(session, key, write, &next);
    }
    if (whole != small) free(whole);
    if (status != FC_OK) return status;
    fc_stat(session, FC_STAT_SETS, 1);
    *value_bytes = new_bytes;
    return FC_OK;
}

fc_status fc_append(fc_session *session, const fc_key *key, const void *data, uint64_t bytes, uint64_t *value_bytes)
{
    fc_write_state write;
    FC_TRY(fc_write_open(session, key, &write));
    uint64_t offset = write.place.alive ? write.place.view.value_bytes : 0;
    return fc_write_close(session, &write, overlay_locked(session, key, &write, offset, data, bytes, value_bytes));
}

fc_status fc_set_range(fc_session *session, const fc_key *key, uint64_t offset, const void *data, uint64_t bytes, uint64_t *value_bytes)
{
    fc_write_state write;
    FC_TRY(fc_write_open(session, key, &write));
    uint64_t old_bytes = write.place.alive ? write.place.view.value_bytes : 0;
    if (bytes == 0) { /* changes nothing, and creates nothing */
        *value_bytes = old_bytes;
        return fc_write_close(session, &write, FC_OK);
    }
    return fc_write_close(session, &write, overlay_locked(session, key, &write, offset, data, bytes, value_bytes));
}
