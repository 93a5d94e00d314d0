/* test_request_parser.c -- requests however the network cuts them, and every kind of nonsense. */
#include "check.h"
#include "server/request_parser.h"

static const fc_parse_limits limits = {.bulk_bytes_max = 536870912, .is_authenticated = 1};

/* The arguments joined by | after one call over the whole text; the error, or "more". */
static const char *parsed(const char *text, uint64_t bytes, const fc_parse_limits *with, uint64_t *used)
{
    static char joined[512];
    fc_parser parser;
    fc_parser_init(&parser);
    joined[0] = '\0';
    enum fc_parse result = fc_parser_run(&parser, (const uint8_t *)text, bytes, with);
    if (result == FC_PARSE_MORE) strcpy(joined, "more");
    if (result == FC_PARSE_ERROR) strcpy(joined, parser.error);
    for (uint32_t i = 0; result == FC_PARSE_COMPLETE && i < parser.argument_count; i++) {
        size_t at = strlen(joined);
        snprintf(joined + at, sizeof joined - at, "%s%.*s", i > 0 ? "|" : "", (int)parser.arguments[i].bytes, (const char *)parser.arguments[i].data);
    }
    if (used != NULL) *used = parser.at;
    fc_parser_free(&parser);
    return joined;
}

static void check_parsed(const char *expected, const char *text)
{
    const char *got = parsed(text, strlen(text), &limits, NULL);
    if (!CHECK(strcmp(expected, got) == 0)) fprintf(stderr, "of: %s\nexpected: %s\ngot: %s\n", text, expected, got);
}

static void arrays_and_inline_commands_are_read(void)
{
    uint64_t used;
    check_parsed("SET|k|v", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n");
    check_parsed("SET|k|", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
    check_parsed("PING", "PING\r\n");
    check_parsed("PING", "  PING  \n");
    check_parsed("SET|a b|c\"d", "SET \"a b\" \"c\\\"d\"\r\n");
    check_parsed("SET|aA|it's", "SET \"a\\x41\" 'it\\'s'\r\n");
    check_parsed("", "\r\n");
    check_parsed("", "*0\r\n");
    check_parsed("", "*-1\r\n");
    (void)parsed("*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n", 28, &limits, &used);
    CHECK_EQUAL(14, used);
}

static void nonsense_is_refused_in_redis_words(void)
{
    char line[70000];
    check_parsed("Protocol error: invalid multibulk length", "*3000000000\r\n");
    check_parsed("Protocol error: invalid multibulk length", "*x\r\n");
    check_parsed("Protocol error: invalid multibulk length", "*\r\n");
    check_parsed("Protocol error: invalid multibulk length", "*01\r\n");
    check_parsed("Protocol error: invalid bulk length", "*1\r\n$-1\r\n");
    check_parsed("Protocol error: invalid bulk length", "*1\r\n$x\r\n");
    check_parsed("Protocol error: invalid bulk length", "*1\r\n$536870913\r\n");
    check_parsed("Protocol error: invalid bulk length", "*1\r\n$99999999999999999999999\r\n");
    check_parsed("Protocol error: expected '$', got 'f'", "*1\r\nfoo\r\n");
    check_parsed("Protocol error: unbalanced quotes in request", "SET \"a\r\n");
    check_parsed("Protocol error: unbalanced quotes in request", "SET \"a\"b\r\n");
    check_parsed("Protocol error: unbalanced quotes in request", "SET 'a\r\n");
    memset(line, '1', sizeof line);
    CHECK(strcmp("Protocol error: too big inline request", parsed(line, sizeof line, &limits, NULL)) == 0);
    line[0] = '*';
    CHECK(strcmp("Protocol error: too big mbulk count string", parsed(line, sizeof line, &limits, NULL)) == 0);
    memcpy(line, "*1\r\n$", 5);
    CHECK(strcmp("Protocol error: too big bulk count string", parsed(line, sizeof line, &limits, NULL)) == 0);
}

static void strangers_are_kept_short(void)
{
    const fc_parse_limits stranger = {.bulk_bytes_max = 536870912, .is_authenticated = 0};
    CHECK(strcmp("Protocol error: unauthenticated multibulk length", parsed("*11\r\n", 5, &stranger, NULL)) == 0);
    CHECK(strcmp("Protocol error: unauthenticated bulk length", parsed("*1\r\n$16385\r\n", 12, &stranger, NULL)) == 0);
    CHECK(strcmp("more", parsed("*10\r\n$16384\r\n", 13, &stranger, NULL)) == 0);
}

static void check_fed(const fc_parser *parser, uint64_t bytes)
{
    CHECK_EQUAL(bytes, parser->at);
    REQUIRE(parser->argument_count == 3);
    CHECK(parser->arguments[0].bytes == 3 && memcmp(parser->arguments[0].data, "SET", 3) == 0);
    CHECK(parser->arguments[1].bytes == 10 && memcmp(parser->arguments[1].data, "0123456789", 10) == 0);
    CHECK(parser->arguments[2].bytes == 14 && memcmp(parser->arguments[2].data, "\r\n*3\r\n$3\r\nSET*", 14) == 0);
}

/* Feeds the text in pieces of `step` bytes, moving it to another buffer each time. */
static void feed(const char *text, uint64_t bytes, uint64_t step)
{
    fc_parser parser;
    fc_parser_init(&parser);
    enum fc_parse result = FC_PARSE_MORE;
    for (uint64_t have = step; result == FC_PARSE_MORE; have += step) {
        if (have > bytes) have = bytes;
        uint8_t *buffer = malloc(have); /* exact, so that a sanitizer sees a read beyond the end */
        REQUIRE(buffer != NULL);
        memcpy(buffer, text, have);
        fc_parser_rebase(&parser, NULL, buffer);
        result = fc_parser_run(&parser, buffer, have, &limits);
        CHECK_EQUAL(have < bytes ? FC_PARSE_MORE : FC_PARSE_COMPLETE, result);
        CHECK(result != FC_PARSE_MORE || (parser.wanted > have && parser.wanted <= bytes));
        if (result == FC_PARSE_COMPLETE) check_fed(&parser, bytes);
        fc_parser_rebase(&parser, buffer, NULL);
        free(buffer);
    }
    fc_parser_free(&parser);
}

static void it_does_not_matter_where_the_network_cuts(void)
{
    static const char text[] = "*3\r\n$3\r\nSET\r\n$10\r\n0123456789\r\n$14\r\n\r\n*3\r\n$3\r\nSET*\r\n";
    for (uint64_t step = 1; step < sizeof text; step++) feed(text, sizeof text - 1, step);
}

static void what_is_announced_costs_nothing_before_it_comes(void)
{
    fc_parser parser;
    fc_parser_init(&parser);
    CHECK_EQUAL(FC_PARSE_MORE, fc_parser_run(&parser, (const uint8_t *)"*1000000\r\n$536870912\r\nx", 23, &limits));
    CHECK_EQUAL(22 + 536870912 + 2, parser.wanted);
    CHECK(parser.argument_room <= 8);
    fc_parser_free(&parser);
}

static void random_bytes_end_in_one_of_the_three(void)
{
    static const char alphabet[] = "*$\r\n0123456789-+\"'\\x abc";
    uint64_t state = 42;
    for (uint64_t round = 0; round < check_rounds(20000); round++) {
        uint64_t count = check_random(&state) % 64;
        uint8_t *bytes = malloc(count + 1);
        REQUIRE(bytes != NULL);
        for (uint64_t i = 0; i < count; i++) bytes[i] = (uint8_t)alphabet[check_random(&state) % (sizeof alphabet - 1)];
        uint8_t *exact = realloc(bytes, count > 0 ? count : 1);
        fc_parser parser;
        fc_parser_init(&parser);
        enum fc_parse result = fc_parser_run(&parser, exact, count, &limits);
        CHECK(result != FC_PARSE_COMPLETE || parser.at <= count);
        CHECK(result != FC_PARSE_MORE || parser.wanted > count);
        CHECK(result != FC_PARSE_ERROR || strncmp(parser.error, "Protocol error: ", 16) == 0);
        free(exact);
        fc_parser_free(&parser);
    }
}

int main(void)
{
    RUN(arrays_and_inline_commands_are_read);
    RUN(nonsense_is_refused_in_redis_words);
    RUN(strangers_are_kept_short);
    RUN(it_does_not_matter_where_the_network_cuts);
    RUN(what_is_announced_costs_nothing_before_it_comes);
    RUN(random_bytes_end_in_one_of_the_three);
    return check_report();
}
