/* number.c -- see number.h. */
#include "commands/number.h"

#include "base/clock.h"
#include "commands/context.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int fc_number_parse(const uint8_t *text, uint64_t bytes, int64_t *number)
{
    uint64_t i = 0, magnitude = 0;
    if (bytes == 0 || bytes > 20) return 0;
    int negative = text[0] == '-';
    if (negative) i = 1;
    if (i == bytes || (text[i] == '0' && bytes > 1)) return 0;
    for (; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9') return 0;
        if (__builtin_mul_overflow(magnitude, 10u, &magnitude) || __builtin_add_overflow(magnitude, (uint64_t)(text[i] - '0'), &magnitude)) return 0;
    }
    if (magnitude > (uint64_t)INT64_MAX + (uint64_t)negative) return 0;
    *number = (int64_t)(negative ? 0 - magnitude : magnitude);
    return 1;
}

/* Longest text of a number that is looked at: LDBL_MAX has 4933 digits. */
#define FLOAT_TEXT_BYTES_MAX 5120u

int fc_number_parse_float(const uint8_t *text, uint64_t bytes, long double *number)
{
    char copy[FLOAT_TEXT_BYTES_MAX];
    char *end;
    if (bytes == 0 || bytes >= sizeof copy || isspace(text[0])) return 0;
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    errno = 0;
    *number = strtold(copy, &end);
    return end == copy + bytes && !isnan(*number) && (errno != ERANGE || (*number != 0 && !isinf(*number)));
}

int fc_number_format_float(long double number, char *text, uint64_t text_bytes)
{
    int length = snprintf(text, text_bytes, "%.17Lf", number);
    if (length < 0 || (uint64_t)length >= text_bytes) return 0;
    if (strchr(text, '.') != NULL) {
        while (text[length - 1] == '0') length--;
        if (text[length - 1] == '.') length--;
        text[length] = '\0';
    }
    if (strcmp(text, "-0") == 0) memcpy(text, "0", 2);
    return 1;
}

/* Deadlines are kept in nanoseconds since 1970: the year 2554 is the last. Redis keeps milliseconds, and takes later ones. */
#define DEADLINE_UNIX_MS_MAX (UINT64_MAX / 1000000)

int fc_arg_integer(fc_context *c, uint32_t index, int64_t *number)
{
    if (FC_LIKELY(fc_number_parse(c->arguments[index].data, c->arguments[index].bytes, number))) return 1;
    fc_reply_error(c->reply, "ERR value is not an integer or out of range");
    return 0;
}

int fc_arg_integer_in(fc_context *c, uint32_t index, int64_t minimum, int64_t maximum, int64_t *number)
{
    if (!fc_arg_integer(c, index, number)) return 0;
    if (*number >= minimum && *number <= maximum) return 1;
    fc_reply_error(c->reply, "ERR value is not an integer or out of range");
    return 0;
}

int fc_arg_deadline(fc_context *c, uint32_t index, enum fc_time_unit unit, int is_absolute, int must_be_positive, uint64_t *expires_unix_ns)
{
    int64_t number, span_ms, at_unix_ms;
    if (!fc_arg_integer(c, index, &number)) return 0;
    uint64_t now_unix_ns = fc_clock_unix_ns();
    int64_t from_unix_ms = is_absolute ? 0 : (int64_t)(now_unix_ns / 1000000);
    if ((must_be_positive && number <= 0) || __builtin_mul_overflow(number, unit == FC_TIME_SECONDS ? 1000 : 1, &span_ms) ||
        __builtin_add_overflow(from_unix_ms, span_ms, &at_unix_ms)) {
        fc_reply_error(c->reply, "ERR invalid expire time in '%s' command", c->command->full_name);
        return 0;
    }
    if (at_unix_ms <= 0) *expires_unix_ns = 1;
    else if ((uint64_t)at_unix_ms >= DEADLINE_UNIX_MS_MAX) *expires_unix_ns = DEADLINE_UNIX_MS_MAX * 1000000;
    else *expires_unix_ns = (is_absolute ? 0 : now_unix_ns) + (uint64_t)span_ms * 1000000; /* wraps to the right sum for a negative span */
    return 1;
}
