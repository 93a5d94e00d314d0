/* test_glob.c -- Redis's patterns. */
#include "check.h"
#include "commands/glob.h"

static int matches(const char *pattern, const char *text) { return fc_glob_matches((const uint8_t *)pattern, strlen(pattern), (const uint8_t *)text, strlen(text), 0); }

static void patterns_match_as_in_redis(void)
{
    static const struct { const char *pattern, *text; int expected; } rows[] = {
        {"*", "", 1}, {"", "", 1}, {"", "a", 0}, {"a", "a", 1}, {"a", "b", 0}, {"a", "ab", 0}, {"h?llo", "hello", 1}, {"h?llo", "hllo", 0},
        {"h*llo", "heeeello", 1}, {"h*llo", "hllo", 1}, {"h*l*o", "hexllxo", 1}, {"h[ae]llo", "hallo", 1}, {"h[ae]llo", "hillo", 0}, {"h[^e]llo", "hallo", 1},
        {"h[^e]llo", "hello", 0}, {"h[a-c]llo", "hbllo", 1}, {"h[c-a]llo", "hbllo", 1}, {"h[a-c]llo", "hdllo", 0}, {"a\\*b", "a*b", 1}, {"a\\*b", "axb", 0},
        {"[\\]]", "]", 1}, {"[a", "a", 1}, {"[a", "b", 0}, {"a\\", "a\\", 1}, {"**a", "bba", 1}, {"*a*a*", "xaxax", 1}, {"*a*a*", "xax", 0}, {"a*", "ba", 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (!CHECK(matches(rows[i].pattern, rows[i].text) == rows[i].expected)) fprintf(stderr, "pattern %s, text %s\n", rows[i].pattern, rows[i].text);
}

static void case_is_ignored_when_asked(void)
{
    CHECK(fc_glob_matches((const uint8_t *)"H[A-Z]LL?", 9, (const uint8_t *)"hello", 5, 1));
    CHECK(!fc_glob_matches((const uint8_t *)"H*", 2, (const uint8_t *)"hello", 5, 0));
}

static void many_stars_do_not_take_for_ever(void)
{
    char pattern[402], text[20001];
    for (int i = 0; i < 200; i++) memcpy(pattern + 2 * i, "*a", 2);
    memcpy(pattern + 400, "b", 2);
    memset(text, 'a', 20000);
    text[20000] = '\0';
    CHECK(!matches(pattern, text));
}

int main(void)
{
    RUN(patterns_match_as_in_redis);
    RUN(case_is_ignored_when_asked);
    RUN(many_stars_do_not_take_for_ever);
    return check_report();
}
