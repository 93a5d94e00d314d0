/* fuzz_requests.c -- libFuzzer's harness of the request parser (csrc/server/request_parser.c).
 *
 * Input        one byte of options, then what a client would send. It is parsed twice: whole, and in pieces whose lengths the option byte
 *              seeds, with the buffer moved between the calls as a server moves it.
 * Must hold    no argument lies outside the bytes that were given; a request's length is within them and grows; both ways give the same
 *              requests and the same error. Sanitizers see to the rest.
 */
#include "server/request_parser.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define MUST(condition)                                                            \
    do {                                                                           \
        if (!(condition)) {                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                               \
        }                                                                          \
    } while (0)

/* What came out of an input, as text that can be compared: each request's arguments with their lengths, and the error. */
typedef struct transcript {
    uint8_t *text;
    size_t bytes, room;
} transcript;

static void note(transcript *to, const void *data, size_t bytes)
{
    if (to->room - to->bytes < bytes) {
        to->room = (to->bytes + bytes) * 2;
        to->text = realloc(to->text, to->room);
        MUST(to->text != NULL);
    }
    if (bytes > 0) memcpy(to->text + to->bytes, data, bytes);
    to->bytes += bytes;
}

static void note_request(transcript *to, const fc_parser *parser, const uint8_t *data)
{
    note(to, &parser->argument_count, sizeof parser->argument_count);
    for (uint32_t i = 0; i < parser->argument_count; i++) {
        const fc_arg *argument = &parser->arguments[i];
        if (parser->unpacked == NULL) MUST(argument->data >= data && argument->bytes <= parser->at && argument->data + argument->bytes <= data + parser->at);
        note(to, &argument->bytes, sizeof argument->bytes);
        note(to, argument->data, argument->bytes);
    }
}

static void parse_whole(const uint8_t *data, size_t bytes, const fc_parse_limits *limits, transcript *to)
{
    fc_parser parser;
    fc_parser_init(&parser);
    for (size_t at = 0; at < bytes; at += parser.at) {
        fc_parser_next(&parser);
        enum fc_parse result = fc_parser_run(&parser, data + at, bytes - at, limits);
        if (result == FC_PARSE_MORE) MUST(parser.wanted > bytes - at);
        if (result == FC_PARSE_ERROR) note(to, parser.error, strlen(parser.error));
        if (result != FC_PARSE_COMPLETE) break;
        MUST(parser.at > 0 && parser.at <= bytes - at);
        note_request(to, &parser, data + at);
        free(parser.unpacked);
        parser.unpacked = NULL;
    }
    fc_parser_free(&parser);
}

/* Every call sees a buffer of exactly the bytes that have come, at another place than before, so that a step outside is seen. */
static void parse_pieces(const uint8_t *data, size_t bytes, uint32_t seed, const fc_parse_limits *limits, transcript *to)
{
    fc_parser parser;
    uint8_t *here = NULL;
    size_t at = 0, known = 0;
    fc_parser_init(&parser);
    while (known < bytes) {
        seed = seed * 1664525u + 1013904223u;
        size_t piece = 1 + (seed >> 16) % 7;
        if (piece > bytes - known) piece = bytes - known;
        known += piece;
        uint8_t *moved = malloc(known - at);
        MUST(moved != NULL);
        memcpy(moved, data + at, known - at);
        if (parser.at > 0 || parser.argument_count > 0) fc_parser_rebase(&parser, here, moved);
        free(here);
        here = moved;
        enum fc_parse result = fc_parser_run(&parser, here, known - at, limits);
        while (result == FC_PARSE_COMPLETE) {
            MUST(parser.at > 0 && parser.at <= known - at);
            note_request(to, &parser, here);
            at += parser.at;
            free(parser.unpacked);
            parser.unpacked = NULL;
            fc_parser_next(&parser);
            moved = malloc(known - at + 1);
            MUST(moved != NULL);
            memcpy(moved, data + at, known - at);
            free(here);
            here = moved;
            if (at == known) break;
            result = fc_parser_run(&parser, here, known - at, limits);
        }
        if (result == FC_PARSE_ERROR) {
            note(to, parser.error, strlen(parser.error));
            break;
        }
    }
    free(here);
    fc_parser_free(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    transcript whole = {0}, pieces = {0};
    if (bytes == 0) return 0;
    fc_parse_limits limits = {.bulk_bytes_max = 512 << 20, .is_authenticated = data[0] & 1};
    parse_whole(data + 1, bytes - 1, &limits, &whole);
    parse_pieces(data + 1, bytes - 1, data[0], &limits, &pieces);
    MUST(whole.bytes == pieces.bytes && (whole.bytes == 0 || memcmp(whole.text, pieces.text, whole.bytes) == 0));
    free(whole.text);
    free(pieces.text);
    return 0;
}
