/* test_common_subsequence.c -- bit-parallel rows against the table of Wagner and Fischer (csrc/types/common_subsequence.c). */
#include "check.h"
#include "types/common_subsequence.h"

#define BYTES_MAX 200u
#define NO_LIMIT UINT64_MAX

static uint32_t table[BYTES_MAX + 1][BYTES_MAX + 1];

typedef struct parts {
    fc_subsequence_part all[BYTES_MAX];
    uint64_t count;
} parts;

static void keep(void *context, const fc_subsequence_part *part)
{
    parts *kept = context;
    kept->all[kept->count++] = *part;
}

static void add_byte(parts *made, uint64_t i, uint64_t j)
{
    fc_subsequence_part *last = made->count > 0 ? &made->all[made->count - 1] : NULL;
    if (last != NULL && last->a_first == i + 1 && last->b_first == j + 1) *last = (fc_subsequence_part){i, j, last->bytes + 1};
    else made->all[made->count++] = (fc_subsequence_part){i, j, 1};
}

static uint64_t by_table(const uint8_t *a, uint64_t a_bytes, const uint8_t *b, uint64_t b_bytes, parts *made)
{
    for (uint64_t i = 1; i <= a_bytes; i++)
        for (uint64_t j = 1; j <= b_bytes; j++) {
            uint32_t left = table[i - 1][j], above = table[i][j - 1];
            table[i][j] = a[i - 1] == b[j - 1] ? table[i - 1][j - 1] + 1 : left > above ? left : above;
        }
    made->count = 0;
    for (uint64_t i = a_bytes, j = b_bytes; i > 0 && j > 0;) {
        if (a[i - 1] == b[j - 1]) add_byte(made, --i, --j);
        else if (table[i - 1][j] > table[i][j - 1]) i--;
        else j--;
    }
    return table[a_bytes][b_bytes];
}

static void check_pair(const uint8_t *a, uint64_t a_bytes, const uint8_t *b, uint64_t b_bytes)
{
    parts expected, actual = {.count = 0};
    uint64_t length = 1, length_alone = 1;
    uint64_t expected_length = by_table(a, a_bytes, b, b_bytes, &expected);
    CHECK_OK(fc_common_subsequence(a, a_bytes, b, b_bytes, NO_LIMIT, NULL, NULL, &length_alone));
    CHECK_OK(fc_common_subsequence(a, a_bytes, b, b_bytes, NO_LIMIT, keep, &actual, &length));
    CHECK_EQUAL(expected_length, length_alone);
    CHECK_EQUAL(expected_length, length);
    if (CHECK_EQUAL(expected.count, actual.count)) CHECK(memcmp(expected.all, actual.all, expected.count * sizeof expected.all[0]) == 0);
}

static void random_strings_have_the_parts_that_the_table_gives(void)
{
    uint8_t a[BYTES_MAX], b[BYTES_MAX];
    srand(7);
    for (uint64_t round = 0; round < check_rounds(1000); round++) {
        uint64_t a_bytes = (uint64_t)rand() % (BYTES_MAX + 1), b_bytes = (uint64_t)rand() % (BYTES_MAX + 1);
        int letters = 1 + rand() % (round % 10 == 0 ? 256 : 6);
        for (uint64_t i = 0; i < a_bytes; i++) a[i] = (uint8_t)(rand() % letters);
        for (uint64_t i = 0; i < b_bytes; i++) b[i] = (uint8_t)(rand() % letters);
        check_pair(a, a_bytes, b, b_bytes);
    }
}

static void lengths_around_a_word(void)
{
    uint8_t a[BYTES_MAX], b[BYTES_MAX];
    for (uint32_t i = 0; i < BYTES_MAX; i++) {
        a[i] = (uint8_t)"abc"[i % 3];
        b[i] = (uint8_t)"abba"[i % 4];
    }
    static const uint64_t lengths[] = {0, 1, 2, 63, 64, 65, 127, 128, 129, BYTES_MAX};
    for (size_t i = 0; i < COUNT_OF(lengths); i++)
        for (size_t j = 0; j < COUNT_OF(lengths); j++) {
            check_pair(a, lengths[i], b, lengths[j]);
            check_pair(a, lengths[i], a, lengths[j]);
        }
}

static void memory_is_asked_for_within_the_limit(void)
{
    static uint8_t text[4096];
    parts made = {.count = 0};
    uint64_t length;
    uint64_t rows_bytes = 4096 / 8 * (256 + 4096 + 1);
    CHECK_STATUS(FC_SYSTEM, fc_common_subsequence(text, sizeof text, text, sizeof text, rows_bytes - 1, keep, &made, &length));
    CHECK_EQUAL(0, made.count);
    CHECK_OK(fc_common_subsequence(text, sizeof text, text, sizeof text, rows_bytes, keep, &made, &length));
    CHECK(made.count == 1 && made.all[0].bytes == sizeof text);
    CHECK_OK(fc_common_subsequence(text, sizeof text, text, sizeof text, 4096 / 8 * 257, NULL, NULL, &length));
    CHECK_EQUAL(sizeof text, length);
    CHECK_STATUS(FC_SYSTEM, fc_common_subsequence(text, UINT64_MAX / 2, text, UINT64_MAX / 2, NO_LIMIT, keep, &made, &length));
}

int main(void)
{
    RUN(random_strings_have_the_parts_that_the_table_gives);
    RUN(lengths_around_a_word);
    RUN(memory_is_asked_for_within_the_limit);
    return check_report();
}
