/* reply.h -- an append buffer that takes replies as RESP2 or RESP3 bytes.
 *
 * A server keeps one for each thread and writes a whole batch's replies at once; Cache.execute() keeps one for each client. Values go
 * from the segment straight into it: fc_reply_room gives the place, the reader copies, fc_reply_took counts.
 *
 * Types       what RESP2 lacks is written as Redis does there: a map is an array of twice the length, a set or push an array, a double
 *             or big number or verbatim text a bulk string, a boolean 1 or 0, a null "$-1" or "*-1".
 * Memory      grows by half, at most to what malloc gives. Without memory the reply is `broken`: nothing more is written, and whoever sends it
 *             closes the connection, because half a reply would mislead the client.
 * Lengths     of an array known only at its end: fc_reply_mark before, fc_reply_insert_array at the end (moves the elements by a few bytes).
 */
#ifndef FC_COMMANDS_REPLY_H
#define FC_COMMANDS_REPLY_H

#include "base/status.h"

#include <stdarg.h>
#include <string.h>

typedef struct fc_reply {
    uint8_t *data;
    uint64_t bytes;
    uint64_t capacity;
    uint64_t bytes_max;        /* a reply that grows beyond is broken; 0: no limit */
    uint64_t error_count;      /* error replies written so far */
    uint64_t error_at;         /* where the last of them begins */
    uint8_t protocol;          /* 2 or 3 */
    uint8_t broken;            /* 1: there was no memory, or it grew beyond bytes_max */
} fc_reply;

/* Longest header of any type: a type byte, 20 digits, CRLF. */
#define FC_REPLY_HEADER_BYTES_MAX 24u

void fc_reply_free(fc_reply *reply);

/* Makes room for `bytes` more. 0 if there is no memory. */
int fc_reply_grow(fc_reply *reply, uint64_t bytes);

/* Where `bytes` more may be written; NULL without memory. */
static inline uint8_t *fc_reply_room(fc_reply *reply, uint64_t bytes)
{
    if (FC_UNLIKELY(reply->capacity - reply->bytes < bytes) && !fc_reply_grow(reply, bytes)) return NULL;
    return reply->data + reply->bytes;
}
static inline void fc_reply_took(fc_reply *reply, uint64_t bytes) { reply->bytes += bytes; }

/* Writes the decimal digits of a number; returns how many bytes. */
uint32_t fc_reply_digits(uint8_t *target, uint64_t number);

/* '<type><number>\r\n' at `target`, FC_REPLY_HEADER_BYTES_MAX long at most; returns its length. */
static inline uint32_t fc_reply_write_header(uint8_t *target, char type, uint64_t number)
{
    target[0] = (uint8_t)type;
    uint32_t bytes = 1;
    if (FC_LIKELY(number < 10)) target[bytes++] = (uint8_t)('0' + number);
    else bytes += fc_reply_digits(target + 1, number);
    target[bytes] = '\r';
    target[bytes + 1] = '\n';
    return bytes + 2;
}

void fc_reply_raw(fc_reply *reply, const void *data, uint64_t bytes);
/* A constant reply with its CRLF, such as "+OK\r\n". */
#define fc_reply_literal(reply, text) fc_reply_raw((reply), (text), sizeof(text) - 1)

static inline void fc_reply_ok(fc_reply *reply) { fc_reply_literal(reply, "+OK\r\n"); }
/* Text without CR and LF. */
void fc_reply_simple(fc_reply *reply, const char *text);
void fc_reply_integer(fc_reply *reply, int64_t number);
void fc_reply_bulk(fc_reply *reply, const void *data, uint64_t bytes);
void fc_reply_text(fc_reply *reply, const char *text);
/* A bulk string by printf's rules; what is longer than 1 KiB is cut. */
void fc_reply_format(fc_reply *reply, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fc_reply_null(fc_reply *reply);
void fc_reply_null_array(fc_reply *reply);
void fc_reply_boolean(fc_reply *reply, int value);
void fc_reply_double(fc_reply *reply, double number);
/* Digits of an integer of any length. */
void fc_reply_big_number(fc_reply *reply, const char *digits);
/* `format` is three letters: txt or mkd. */
void fc_reply_verbatim(fc_reply *reply, const char *format, const void *data, uint64_t bytes);

void fc_reply_array(fc_reply *reply, uint64_t count);
/* `count` pairs. */
void fc_reply_map(fc_reply *reply, uint64_t count);
void fc_reply_set(fc_reply *reply, uint64_t count);
void fc_reply_push(fc_reply *reply, uint64_t count);

/* For collections whose length is known at their end: type is '*', '%' (count of pairs), '~' or '>'. */
static inline uint64_t fc_reply_mark(const fc_reply *reply) { return reply->bytes; }
void fc_reply_insert_header(fc_reply *reply, uint64_t mark, char type, uint64_t count);
/* The same for bytes that are ready. */
void fc_reply_insert(fc_reply *reply, uint64_t mark, const void *data, uint64_t bytes);

/* Takes back everything behind `mark`. */
static inline void fc_reply_truncate(fc_reply *reply, uint64_t mark) { reply->bytes = mark; }

/* "-<text>\r\n"; line breaks inside become spaces. The text begins with the error's code: "ERR ...", "WRONGTYPE ...". */
void fc_reply_error(fc_reply *reply, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fc_reply_error_list(fc_reply *reply, const char *format, va_list arguments);
/* The error of a failed engine call, in Redis's words where Redis has them. */
void fc_reply_status(fc_reply *reply, fc_status status);

#endif
