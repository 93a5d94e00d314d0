/* test_atomics.c -- the payload copies of csrc/base/atomics.h against memcpy and memcmp. */
#include "../check.h"
#include "base/atomics.h"

#define AREA 96u
#define LENGTH_MAX 48u

static void fill(uint8_t *bytes, uint64_t count, uint64_t seed)
{
    for (uint64_t i = 0; i < count; i++) bytes[i] = (uint8_t)check_random(&seed);
}

/* fc_copy_out gives what memcpy gives, for every alignment of both sides and every length, and touches nothing behind the target. */
static void copies_out_at_every_alignment_and_length(void)
{
    uint64_t shared_words[AREA / 8];
    uint8_t *shared = (uint8_t *)shared_words, target[AREA], expected[AREA];
    fill(shared, AREA, 1);
    for (uint64_t from = 0; from < 16; from++)
        for (uint64_t to = 0; to < 9; to++)
            for (uint64_t length = 0; length <= LENGTH_MAX; length++) {
                memset(target, 0xEE, sizeof target);
                memset(expected, 0xEE, sizeof expected);
                memcpy(expected + to, shared + from, length);
                fc_copy_out(target + to, shared + from, length);
                CHECK(memcmp(target, expected, AREA) == 0);
            }
}

/* fc_copy_in gives what memcpy gives; the other bytes of a word it covers in part keep their values. */
static void copies_in_at_every_alignment_and_length(void)
{
    uint64_t shared_words[AREA / 8];
    uint8_t *shared = (uint8_t *)shared_words, source[AREA], expected[AREA];
    fill(source, AREA, 2);
    for (uint64_t to = 0; to < 16; to++)
        for (uint64_t from = 0; from < 9; from++)
            for (uint64_t length = 0; length <= LENGTH_MAX; length++) {
                fill(shared, AREA, 3);
                memcpy(expected, shared, AREA);
                memcpy(expected + to, source + from, length);
                fc_copy_in(shared + to, source + from, length);
                CHECK(memcmp(shared, expected, AREA) == 0);
            }
}

#define LONG_AREA 1024u

/* Long copies, whose bulk goes the wide way, give what memcpy gives and touch nothing beside the range, whatever the alignment and the remainder. */
static void copies_long_ranges(void)
{
    static uint64_t shared_words[LONG_AREA / 8 + 2];
    static uint8_t private_bytes[LONG_AREA], expected[LONG_AREA];
    for (uint64_t shift = 0; shift < 17; shift++)
        for (uint64_t away = 0; away < 17; away += 3)
            for (uint64_t length = FC_WIDE_COPY_BYTES - 9; length <= FC_WIDE_COPY_BYTES + 150; length++) {
                uint8_t *shared = (uint8_t *)shared_words + shift + 8;
                fill((uint8_t *)shared_words, sizeof shared_words, length);
                memset(private_bytes, 0xEE, LONG_AREA);
                memset(expected, 0xEE, LONG_AREA);
                memcpy(expected + away, shared, length);
                fc_copy_out(private_bytes + away, shared, length);
                CHECK(memcmp(private_bytes, expected, LONG_AREA) == 0);
                fill(private_bytes, LONG_AREA, length + 1);
                memcpy(expected, shared_words, LONG_AREA);
                memcpy(expected + 8 + shift, private_bytes + away, length);
                fc_copy_in(shared, private_bytes + away, length);
                CHECK(memcmp(shared_words, expected, LONG_AREA) == 0);
            }
}

/* fc_equal agrees with memcmp, also when the one differing byte is the first, the last or just outside. */
static void compares_at_every_alignment_and_length(void)
{
    uint64_t shared_words[AREA / 8];
    uint8_t *shared = (uint8_t *)shared_words, private_bytes[AREA];
    fill(shared, AREA, 4);
    for (uint64_t at = 0; at < 16; at++)
        for (uint64_t length = 0; length <= LENGTH_MAX; length++) {
            uint8_t *with = private_bytes + at % 7;
            memcpy(with, shared + at, length);
            CHECK(fc_equal(shared + at, with, length));
            with[length] ^= 1; /* the byte behind does not count */
            CHECK(fc_equal(shared + at, with, length));
            for (uint64_t i = 0; i < length; i++) {
                with[i] ^= 0x80;
                CHECK(!fc_equal(shared + at, with, length));
                with[i] ^= 0x80;
            }
        }
}

/* No access leaves the words that hold a byte of the range: the word behind the last one is not read. */
static void reads_no_word_outside_the_range(void)
{
    uint64_t *words = malloc(16); /* the address sanitizer watches both ends */
    uint8_t target[16], *shared = (uint8_t *)words;
    memset(shared, 7, 16);
    for (uint64_t at = 0; at <= 16; at++) {
        memset(target, 0, sizeof target);
        fc_copy_out(target, shared + at, 16 - at);
        fc_copy_in(shared + at, target, 16 - at);
        CHECK(fc_equal(shared + at, target, 16 - at));
    }
    free(words);
}

/* Compare-and-swap reports what it found, and swaps only what was expected. */
static void swaps_only_the_expected_value(void)
{
    uint32_t word32 = 5, expected32 = 4;
    CHECK(!fc_cas32_acquire(&word32, &expected32, 9));
    CHECK_EQUAL(5, expected32);
    CHECK(fc_cas32_acquire(&word32, &expected32, 9));
    CHECK_EQUAL(9, word32);
    uint64_t word = 5, expected = 4;
    CHECK(!fc_cas_acq_rel(&word, &expected, 9));
    CHECK_EQUAL(5, expected);
    CHECK(fc_cas_acq_rel(&word, &expected, 9));
    CHECK_EQUAL(9, word);
    CHECK_EQUAL(9, fc_fetch_add(&word, 3));
    fc_fetch_or(&word, 3);
    CHECK_EQUAL(15, word);
    fc_fetch_and(&word, 6);
    CHECK_EQUAL(6, word);
    fc_counter_add(&word, 2);
    CHECK_EQUAL(8, word);
}

int main(void)
{
    RUN(copies_out_at_every_alignment_and_length);
    RUN(copies_in_at_every_alignment_and_length);
    RUN(copies_long_ranges);
    RUN(compares_at_every_alignment_and_length);
    RUN(reads_no_word_outside_the_range);
    RUN(swaps_only_the_expected_value);
    return check_report();
}
