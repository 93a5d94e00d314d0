/* test_reply.c -- replies byte by byte, in both protocols. */
#include "check.h"
#include "commands/reply.h"

static fc_reply reply;

static void begin(uint8_t protocol)
{
    fc_reply_free(&reply);
    reply = (fc_reply){.protocol = protocol};
}

/* 1 if the reply is exactly this text; then it begins anew. */
static int is(const char *text)
{
    int same = reply.bytes == strlen(text) && memcmp(reply.data, text, reply.bytes) == 0;
    if (!same) fprintf(stderr, "reply: %.*s\n", (int)reply.bytes, (const char *)reply.data);
    reply.bytes = 0;
    return same;
}

static void plain_types_are_the_same_in_both_protocols(void)
{
    for (uint8_t protocol = 2; protocol <= 3; protocol++) {
        begin(protocol);
        fc_reply_ok(&reply);
        fc_reply_simple(&reply, "PONG");
        CHECK(is("+OK\r\n+PONG\r\n"));
        fc_reply_integer(&reply, 0);
        fc_reply_integer(&reply, 12345);
        fc_reply_integer(&reply, INT64_MAX);
        fc_reply_integer(&reply, INT64_MIN);
        CHECK(is(":0\r\n:12345\r\n:9223372036854775807\r\n:-9223372036854775808\r\n"));
        fc_reply_bulk(&reply, "", 0);
        fc_reply_bulk(&reply, "a\0b", 3);
        CHECK_EQUAL(15, reply.bytes);
        CHECK(memcmp(reply.data, "$0\r\n\r\n$3\r\na\0b\r\n", 15) == 0);
        reply.bytes = 0;
        fc_reply_array(&reply, 10);
        CHECK(is("*10\r\n"));
        fc_reply_error(&reply, "ERR a\nb%d", 7);
        CHECK(is("-ERR a b7\r\n"));
    }
}

static void resp3_types_have_resp2_words(void)
{
    static const char *const expected[] = {
        "$-1\r\n*-1\r\n:1\r\n$3\r\n1.5\r\n$3\r\n123\r\n$2\r\nhi\r\n*4\r\n*3\r\n*1\r\n",
        "_\r\n_\r\n#t\r\n,1.5\r\n(123\r\n=6\r\ntxt:hi\r\n%2\r\n~3\r\n>1\r\n",
    };
    for (uint8_t protocol = 2; protocol <= 3; protocol++) {
        begin(protocol);
        fc_reply_null(&reply);
        fc_reply_null_array(&reply);
        fc_reply_boolean(&reply, 1);
        fc_reply_double(&reply, 1.5);
        fc_reply_big_number(&reply, "123");
        fc_reply_verbatim(&reply, "txt", "hi", 2);
        fc_reply_map(&reply, 2);
        fc_reply_set(&reply, 3);
        fc_reply_push(&reply, 1);
        CHECK(is(expected[protocol - 2]));
    }
}

static void lengths_can_be_told_afterwards(void)
{
    static const char *const expected[] = {"+OK\r\n*2\r\n:1\r\n:2\r\n", "+OK\r\n%1\r\n:1\r\n:2\r\n"};
    for (uint8_t protocol = 2; protocol <= 3; protocol++) {
        begin(protocol);
        fc_reply_ok(&reply);
        uint64_t mark = fc_reply_mark(&reply);
        fc_reply_integer(&reply, 1);
        fc_reply_integer(&reply, 2);
        fc_reply_insert_header(&reply, mark, '%', 1);
        CHECK(is(expected[protocol - 2]));
    }
}

static void errors_are_counted_and_long_ones_cut(void)
{
    char text[3000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    begin(2);
    fc_reply_ok(&reply);
    fc_reply_error(&reply, "ERR %s", text);
    CHECK_EQUAL(1, reply.error_count);
    CHECK_EQUAL(5, reply.error_at);
    CHECK(reply.bytes < 1100 && memcmp(reply.data + reply.bytes - 2, "\r\n", 2) == 0);
}

static void without_memory_it_is_broken_and_writes_nothing_more(void)
{
    begin(2);
    fc_reply_ok(&reply);
    CHECK(fc_reply_room(&reply, UINT64_MAX - 1) == NULL);
    CHECK(reply.broken);
    fc_reply_bulk(&reply, "x", UINT64_MAX / 4);
    CHECK_EQUAL(5, reply.bytes);
}

int main(void)
{
    RUN(plain_types_are_the_same_in_both_protocols);
    RUN(resp3_types_have_resp2_words);
    RUN(lengths_can_be_told_afterwards);
    RUN(errors_are_counted_and_long_ones_cut);
    RUN(without_memory_it_is_broken_and_writes_nothing_more);
    fc_reply_free(&reply);
    return check_report();
}
