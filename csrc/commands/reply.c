/* reply.c -- see reply.h. */
#include "commands/reply.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define CAPACITY_MIN 256u
#define ERROR_BYTES_MAX 1024u

void fc_reply_free(fc_reply *reply)
{
    free(reply->data);
    reply->data = NULL;
    reply->bytes = reply->capacity = 0;
    reply->broken = 0;
}

int fc_reply_grow(fc_reply *reply, uint64_t bytes)
{
    uint64_t needed;
    if (reply->broken) return 0;
    if (__builtin_add_overflow(reply->bytes, bytes, &needed) || needed > UINT64_MAX / 2) needed = 0;
    if (reply->bytes_max != 0 && needed > reply->bytes_max) needed = 0;
    uint64_t capacity = reply->capacity + reply->capacity / 2;
    if (capacity < needed) capacity = needed;
    if (capacity < CAPACITY_MIN) capacity = CAPACITY_MIN;
    uint8_t *data = needed == 0 ? NULL : realloc(reply->data, capacity);
    if (data == NULL) {
        reply->broken = 1;
        return 0;
    }
    reply->data = data;
    reply->capacity = capacity;
    return 1;
}

uint32_t fc_reply_digits(uint8_t *target, uint64_t number)
{
    uint8_t backwards[20];
    uint32_t count = 0;
    do backwards[count++] = (uint8_t)('0' + number % 10);
    while ((number /= 10) != 0);
    for (uint32_t i = 0; i < count; i++) target[i] = backwards[count - 1 - i];
    return count;
}

void fc_reply_raw(fc_reply *reply, const void *data, uint64_t bytes)
{
    uint8_t *room = fc_reply_room(reply, bytes);
    if (room == NULL || bytes == 0) return;
    memcpy(room, data, bytes);
    fc_reply_took(reply, bytes);
}

static void header(fc_reply *reply, char type, uint64_t number)
{
    uint8_t *room = fc_reply_room(reply, FC_REPLY_HEADER_BYTES_MAX);
    if (room != NULL) fc_reply_took(reply, fc_reply_write_header(room, type, number));
}

void fc_reply_simple(fc_reply *reply, const char *text)
{
    fc_reply_raw(reply, "+", 1);
    fc_reply_raw(reply, text, strlen(text));
    fc_reply_raw(reply, "\r\n", 2);
}

void fc_reply_integer(fc_reply *reply, int64_t number)
{
    uint8_t *room = fc_reply_room(reply, FC_REPLY_HEADER_BYTES_MAX);
    if (room == NULL) return;
    if (FC_LIKELY(number >= 0)) {
        fc_reply_took(reply, fc_reply_write_header(room, ':', (uint64_t)number));
        return;
    }
    uint32_t bytes = 2;
    memcpy(room, ":-", 2);
    bytes += fc_reply_digits(room + 2, 0 - (uint64_t)number);
    memcpy(room + bytes, "\r\n", 2);
    fc_reply_took(reply, bytes + 2);
}

void fc_reply_bulk(fc_reply *reply, const void *data, uint64_t bytes)
{
    uint8_t *room = fc_reply_room(reply, bytes + FC_REPLY_HEADER_BYTES_MAX + 2);
    if (room == NULL) return;
    uint64_t at = fc_reply_write_header(room, '$', bytes);
    if (bytes > 0) memcpy(room + at, data, bytes);
    memcpy(room + at + bytes, "\r\n", 2);
    fc_reply_took(reply, at + bytes + 2);
}

void fc_reply_text(fc_reply *reply, const char *text) { fc_reply_bulk(reply, text, strlen(text)); }

void fc_reply_format(fc_reply *reply, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fc_reply_bulk(reply, text, bytes < 0 ? 0 : (size_t)bytes < sizeof text ? (uint64_t)bytes : sizeof text - 1);
}

void fc_reply_null(fc_reply *reply)
{
    if (reply->protocol == 3) fc_reply_literal(reply, "_\r\n");
    else fc_reply_literal(reply, "$-1\r\n");
}

void fc_reply_null_array(fc_reply *reply)
{
    if (reply->protocol == 3) fc_reply_literal(reply, "_\r\n");
    else fc_reply_literal(reply, "*-1\r\n");
}

void fc_reply_boolean(fc_reply *reply, int value)
{
    if (reply->protocol == 3) fc_reply_raw(reply, value ? "#t\r\n" : "#f\r\n", 4);
    else fc_reply_raw(reply, value ? ":1\r\n" : ":0\r\n", 4);
}

void fc_reply_double(fc_reply *reply, double number)
{
    char text[40];
    if (isnan(number)) strcpy(text, "nan");
    else if (isinf(number)) strcpy(text, number < 0 ? "-inf" : "inf");
    else snprintf(text, sizeof text, "%.17g", number);
    if (reply->protocol != 3) {
        fc_reply_text(reply, text);
        return;
    }
    fc_reply_raw(reply, ",", 1);
    fc_reply_raw(reply, text, strlen(text));
    fc_reply_raw(reply, "\r\n", 2);
}

void fc_reply_big_number(fc_reply *reply, const char *digits)
{
    if (reply->protocol != 3) {
        fc_reply_text(reply, digits);
        return;
    }
    fc_reply_raw(reply, "(", 1);
    fc_reply_raw(reply, digits, strlen(digits));
    fc_reply_raw(reply, "\r\n", 2);
}

void fc_reply_verbatim(fc_reply *reply, const char *format, const void *data, uint64_t bytes)
{
    if (reply->protocol != 3) {
        fc_reply_bulk(reply, data, bytes);
        return;
    }
    header(reply, '=', bytes + 4);
    fc_reply_raw(reply, format, 3);
    fc_reply_raw(reply, ":", 1);
    fc_reply_raw(reply, data, bytes);
    fc_reply_raw(reply, "\r\n", 2);
}

/* ------------------------------------------------------------------ collections */

void fc_reply_array(fc_reply *reply, uint64_t count) { header(reply, '*', count); }
void fc_reply_map(fc_reply *reply, uint64_t count) { reply->protocol == 3 ? header(reply, '%', count) : header(reply, '*', count * 2); }
void fc_reply_set(fc_reply *reply, uint64_t count) { header(reply, reply->protocol == 3 ? '~' : '*', count); }
void fc_reply_push(fc_reply *reply, uint64_t count) { header(reply, reply->protocol == 3 ? '>' : '*', count); }

void fc_reply_insert(fc_reply *reply, uint64_t mark, const void *data, uint64_t bytes)
{
    if (fc_reply_room(reply, bytes) == NULL) return;
    memmove(reply->data + mark + bytes, reply->data + mark, reply->bytes - mark);
    memcpy(reply->data + mark, data, bytes);
    fc_reply_took(reply, bytes);
}

void fc_reply_insert_header(fc_reply *reply, uint64_t mark, char type, uint64_t count)
{
    uint8_t text[FC_REPLY_HEADER_BYTES_MAX];
    if (reply->protocol != 3 && type == '%') count *= 2;
    fc_reply_insert(reply, mark, text, fc_reply_write_header(text, reply->protocol == 3 ? type : '*', count));
}

/* ------------------------------------------------------------------ errors */

void fc_reply_error_list(fc_reply *reply, const char *format, va_list arguments)
{
    char text[ERROR_BYTES_MAX];
    int bytes = vsnprintf(text, sizeof text, format, arguments);
    if (bytes < 0) bytes = 0;
    if ((size_t)bytes >= sizeof text) bytes = sizeof text - 1;
    for (int i = 0; i < bytes; i++)
        if (text[i] == '\r' || text[i] == '\n') text[i] = ' ';
    reply->error_count++;
    reply->error_at = reply->bytes;
    fc_reply_raw(reply, "-", 1);
    fc_reply_raw(reply, text, (uint64_t)bytes);
    fc_reply_raw(reply, "\r\n", 2);
}

void fc_reply_error(fc_reply *reply, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fc_reply_error_list(reply, format, arguments);
    va_end(arguments);
}

void fc_reply_status(fc_reply *reply, fc_status status)
{
    const fc_status_row *row = fc_status_find(status);
    const char *detail = fc_error_detail(status);
    switch (status) {
    case FC_OUT_OF_MEMORY: fc_reply_error(reply, "OOM command not allowed when used memory > 'maxmemory'."); return;
    case FC_VALUE_TOO_LONG: fc_reply_error(reply, "ERR string exceeds maximum allowed size (proto-max-bulk-len)"); return;
    case FC_NOT_INTEGER:
    case FC_NOT_FLOAT:
    case FC_OVERFLOW:
    case FC_WRONG_TYPE: fc_reply_error(reply, "%s %s", row->resp_prefix, row->message); return;
    default: break;
    }
    const char *prefix = row->resp_prefix[0] != '\0' ? row->resp_prefix : "ERR";
    if (detail[0] != '\0') fc_reply_error(reply, "%s %s: %s", prefix, row->message, detail);
    else fc_reply_error(reply, "%s %s", prefix, row->message);
}
