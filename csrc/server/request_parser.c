/* request_parser.c -- see request_parser.h. */
#include "server/request_parser.h"

#include "commands/number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENT_ROOM_MIN 8u

void fc_parser_init(fc_parser *parser)
{
    memset(parser, 0, sizeof *parser);
    parser->bulk_bytes = -1;
}

void fc_parser_free(fc_parser *parser)
{
    free(parser->arguments);
    free(parser->unpacked);
    fc_parser_init(parser);
}

void fc_parser_rebase(fc_parser *parser, const uint8_t *from, const uint8_t *to)
{
    for (uint32_t i = 0; i < parser->argument_count; i++) parser->arguments[i].data = (const uint8_t *)((uintptr_t)to + ((uintptr_t)parser->arguments[i].data - (uintptr_t)from));
}

static enum fc_parse fail(fc_parser *parser, const char *text)
{
    snprintf(parser->error, sizeof parser->error, "Protocol error: %s", text);
    return FC_PARSE_ERROR;
}

static enum fc_parse more(fc_parser *parser, uint64_t wanted)
{
    parser->wanted = wanted;
    return FC_PARSE_MORE;
}

static int add_argument(fc_parser *parser, const uint8_t *data, uint64_t bytes)
{
    if (FC_UNLIKELY(parser->argument_count == parser->argument_room)) {
        uint32_t room = parser->argument_room == 0 ? ARGUMENT_ROOM_MIN : parser->argument_room * 2;
        fc_arg *grown = realloc(parser->arguments, room * sizeof *grown);
        if (grown == NULL) return 0;
        parser->arguments = grown;
        parser->argument_room = room;
    }
    parser->arguments[parser->argument_count++] = (fc_arg){.data = data, .bytes = bytes};
    return 1;
}

/* ------------------------------------------------------------------ RESP */

/* Reads "<type><number>\r\n" at parser->at. Short digits, the only ones in a sound request, are read in one pass. FC_PARSE_MORE: the line
 * is not all there; FC_PARSE_ERROR, without text: it is no number. */
static inline enum fc_parse read_length(fc_parser *parser, const uint8_t *data, uint64_t bytes, int64_t *number)
{
    uint64_t at = parser->at + 1;
    uint64_t value = 0;
    uint64_t first = at;
    while (at < bytes && at - first < 10 && data[at] >= '0' && data[at] <= '9') value = value * 10 + (data[at++] - (uint64_t)'0');
    if (FC_LIKELY(at + 1 < bytes && data[at] == '\r' && at > first && (at - first == 1 || data[first] != '0'))) {
        *number = (int64_t)value;
        parser->at = at + 2;
        return FC_PARSE_COMPLETE;
    }
    const uint8_t *end = memchr(data + first, '\r', bytes - first);
    if (end == NULL || (uint64_t)(end - data) + 1 >= bytes) return FC_PARSE_MORE;
    if (!fc_number_parse(data + first, (uint64_t)(end - data) - first, number)) return FC_PARSE_ERROR;
    parser->at = (uint64_t)(end - data) + 2;
    return FC_PARSE_COMPLETE;
}

static enum fc_parse read_array_length(fc_parser *parser, const uint8_t *data, uint64_t bytes, const fc_parse_limits *limits)
{
    int64_t count;
    enum fc_parse result = read_length(parser, data, bytes, &count);
    if (result == FC_PARSE_MORE) return bytes > FC_LINE_BYTES_MAX ? fail(parser, "too big mbulk count string") : more(parser, bytes + 1);
    if (result == FC_PARSE_ERROR || count > FC_ARGUMENTS_MAX) return fail(parser, "invalid multibulk length");
    if (count > FC_UNAUTHENTICATED_ARGUMENTS_MAX && !limits->is_authenticated) return fail(parser, "unauthenticated multibulk length");
    parser->arguments_left = count > 0 ? count : 0;
    return FC_PARSE_COMPLETE;
}

static enum fc_parse read_bulk_length(fc_parser *parser, const uint8_t *data, uint64_t bytes, const fc_parse_limits *limits)
{
    if (parser->at >= bytes) return more(parser, bytes + 1);
    if (FC_UNLIKELY(data[parser->at] != '$')) {
        /* Redis looks for the end of the line first, and for one byte behind it. */
        const uint8_t *end = memchr(data + parser->at, '\r', bytes - parser->at);
        if (end == NULL ? bytes - parser->at <= FC_LINE_BYTES_MAX : (uint64_t)(end - data) + 1 >= bytes) return more(parser, bytes + 1);
        snprintf(parser->error, sizeof parser->error, "Protocol error: expected '$', got '%c'", data[parser->at] == '\0' ? ' ' : data[parser->at]);
        return FC_PARSE_ERROR;
    }
    enum fc_parse result = read_length(parser, data, bytes, &parser->bulk_bytes);
    if (FC_LIKELY(result == FC_PARSE_COMPLETE && parser->bulk_bytes >= 0 && parser->bulk_bytes <= limits->bulk_bytes_max)) {
        if (FC_LIKELY(limits->is_authenticated || parser->bulk_bytes <= FC_UNAUTHENTICATED_BULK_BYTES_MAX)) return FC_PARSE_COMPLETE;
        return fail(parser, "unauthenticated bulk length");
    }
    if (result != FC_PARSE_MORE) return fail(parser, "invalid bulk length");
    parser->bulk_bytes = -1;
    return bytes - parser->at > FC_LINE_BYTES_MAX ? fail(parser, "too big bulk count string") : more(parser, bytes + 1);
}

static enum fc_parse run_array(fc_parser *parser, const uint8_t *data, uint64_t bytes, const fc_parse_limits *limits)
{
    enum fc_parse result;
    if (parser->at == 0 && (result = read_array_length(parser, data, bytes, limits)) != FC_PARSE_COMPLETE) return result;
    while (parser->arguments_left > 0) {
        if (parser->bulk_bytes < 0 && (result = read_bulk_length(parser, data, bytes, limits)) != FC_PARSE_COMPLETE) return result;
        uint64_t end = parser->at + (uint64_t)parser->bulk_bytes + 2;
        if (FC_UNLIKELY(end > bytes)) return more(parser, end);
        if (FC_UNLIKELY(!add_argument(parser, data + parser->at, (uint64_t)parser->bulk_bytes))) return fail(parser, "no memory for the arguments");
        parser->at = end;
        parser->bulk_bytes = -1;
        parser->arguments_left--;
    }
    return FC_PARSE_COMPLETE;
}

/* ------------------------------------------------------------------ inline */

static int is_space(uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') return byte - '0';
    if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
    return -1;
}

/* Unpacks a quoted part behind its opening quote. Returns the offset behind the closing one, or 0: there is none, or it is not followed by
 * a space. */
static uint64_t unpack_quoted(const uint8_t *line, uint64_t bytes, uint64_t at, uint8_t quote, uint8_t **out)
{
    static const char escapes[] = "n\nr\rt\tb\ba\a";
    for (; at < bytes; at++) {
        uint8_t byte = line[at];
        if (byte == quote) return at + 1 == bytes || is_space(line[at + 1]) ? at + 1 : 0;
        if (byte == '\\' && quote == '"' && at + 3 < bytes && line[at + 1] == 'x' && hex_digit(line[at + 2]) >= 0 && hex_digit(line[at + 3]) >= 0) {
            byte = (uint8_t)(hex_digit(line[at + 2]) * 16 + hex_digit(line[at + 3]));
            at += 3;
        } else if (byte == '\\' && quote == '"' && at + 1 < bytes) {
            byte = line[++at];
            for (const char *escape = escapes; *escape != '\0'; escape += 2)
                if (byte == (uint8_t)escape[0]) {
                    byte = (uint8_t)escape[1];
                    break;
                }
        } else if (byte == '\\' && quote == '\'' && at + 1 < bytes && line[at + 1] == '\'') {
            byte = line[++at];
        }
        *(*out)++ = byte;
    }
    return 0;
}

static enum fc_parse split_line(fc_parser *parser, const uint8_t *line, uint64_t bytes)
{
    uint8_t *out = realloc(parser->unpacked, bytes + 1);
    if (out == NULL) return fail(parser, "no memory for the arguments");
    parser->unpacked = out;
    for (uint64_t at = 0;;) {
        while (at < bytes && is_space(line[at])) at++;
        if (at == bytes) return FC_PARSE_COMPLETE;
        uint8_t *first = out;
        while (at < bytes && !is_space(line[at])) {
            if (line[at] != '"' && line[at] != '\'') {
                *out++ = line[at++];
                continue;
            }
            at = unpack_quoted(line, bytes, at + 1, line[at], &out);
            if (at == 0) return fail(parser, "unbalanced quotes in request");
        }
        if (!add_argument(parser, first, (uint64_t)(out - first))) return fail(parser, "no memory for the arguments");
    }
}

static enum fc_parse run_inline(fc_parser *parser, const uint8_t *data, uint64_t bytes)
{
    const uint8_t *end = memchr(data, '\n', bytes);
    if (end == NULL) return bytes > FC_LINE_BYTES_MAX ? fail(parser, "too big inline request") : more(parser, bytes + 1);
    uint64_t line_bytes = (uint64_t)(end - data);
    parser->at = line_bytes + 1;
    if (line_bytes > 0 && data[line_bytes - 1] == '\r') line_bytes--;
    return split_line(parser, data, line_bytes);
}

enum fc_parse fc_parser_run(fc_parser *parser, const uint8_t *data, uint64_t bytes, const fc_parse_limits *limits)
{
    if (FC_UNLIKELY(bytes == 0)) return more(parser, 1);
    return FC_LIKELY(data[0] == '*') ? run_array(parser, data, bytes, limits) : run_inline(parser, data, bytes);
}
