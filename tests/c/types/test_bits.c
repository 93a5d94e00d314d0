/* test_bits.c -- words against bit by bit: counting, finding, combining, fields (csrc/types/bits.c). */
#include "check.h"
#include "types/bits.h"

#define BYTES 200u

static uint64_t random_state = 20240229;
static uint64_t random_word(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}
static uint64_t random_below(uint64_t limit) { return random_word() % limit; }

/* Long runs of equal bits among random bytes, and often at an odd address. */
static uint8_t *random_bytes(uint8_t *room)
{
    uint8_t *data = room + random_below(8);
    uint8_t filler = (uint8_t)(random_below(2) ? 0xff : 0);
    for (uint32_t i = 0; i < BYTES; i++) data[i] = random_below(8) == 0 ? (uint8_t)random_word() : filler;
    return data;
}

static int naive_bit(const uint8_t *data, uint64_t at) { return data[at / 8] >> (7 - at % 8) & 1; }

static void counting_and_finding_are_what_bit_by_bit_gives(void)
{
    uint8_t room[BYTES + 8];
    for (uint64_t round = 0; round < check_rounds(20000); round++) {
        const uint8_t *data = random_bytes(room);
        uint64_t first = random_below(BYTES * 8), last = first + random_below(BYTES * 8 - first), count = 0, found[2] = {FC_BITS_NOT_FOUND, FC_BITS_NOT_FOUND};
        for (uint64_t i = last + 1; i > first; i--) {
            count += (uint64_t)naive_bit(data, i - 1);
            found[naive_bit(data, i - 1)] = i - 1;
        }
        CHECK_EQUAL(count, fc_bits_count_range(data, first, last));
        CHECK_EQUAL(found[0], fc_bits_find(data, first, last, 0));
        CHECK_EQUAL(found[1], fc_bits_find(data, first, last, 1));
    }
}

static void counting_takes_every_length(void)
{
    uint8_t room[BYTES];
    memset(room, 0xff, sizeof room);
    for (uint64_t bytes = 0; bytes <= BYTES; bytes++) CHECK_EQUAL(bytes * 8, fc_bits_count(room, bytes));
}

static uint8_t naive_combine(enum fc_bits_operation operation, uint8_t a, uint8_t b)
{
    if (operation == FC_BITS_AND) return a & b;
    if (operation == FC_BITS_OR) return a | b;
    return operation == FC_BITS_XOR ? a ^ b : (uint8_t)~b;
}

static void combining_is_what_byte_by_byte_gives_and_stays_inside(void)
{
    uint8_t rooms[3][BYTES + 8];
    for (uint64_t bytes = 0; bytes <= BYTES - 1; bytes++) {
        for (uint32_t operation = FC_BITS_AND; operation <= FC_BITS_NOT; operation++) {
            uint8_t *target = random_bytes(rooms[0]), *before = rooms[2];
            const uint8_t *source = random_bytes(rooms[1]);
            memcpy(before, target, BYTES);
            fc_bits_combine((enum fc_bits_operation)operation, target, source, bytes);
            for (uint64_t i = 0; i < BYTES; i++)
                if (!CHECK_EQUAL(i < bytes ? naive_combine((enum fc_bits_operation)operation, before[i], source[i]) : before[i], target[i])) fprintf(stderr, "  operation %u, %" PRIu64 " bytes\n", operation, bytes);
        }
    }
    uint8_t one[5] = {0, 1, 2, 3, 0xff}; /* in place */
    fc_bits_combine(FC_BITS_NOT, one, one, sizeof one);
    CHECK(memcmp(one, "\xff\xfe\xfd\xfc\0", sizeof one) == 0);
}

/* ------------------------------------------------------------------ fields */

static int64_t naive_get(const uint8_t *data, const fc_bits_field *field)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < field->width; i++) bits = bits << 1 | (uint64_t)naive_bit(data, field->first_bit + i);
    if (field->is_signed && field->width < 64 && (bits >> (field->width - 1) & 1) != 0) bits |= UINT64_MAX << field->width;
    return (int64_t)bits;
}

static void fields_come_back_and_leave_their_neighbours_alone(void)
{
    uint8_t room[BYTES + 8], before[BYTES];
    for (uint32_t width = 1; width <= 64; width++) {
        for (uint32_t shift = 0; shift < 16; shift++) {
            for (uint32_t is_signed = width == 64; is_signed < 2; is_signed++) {
                fc_bits_field field = {.first_bit = 40 + shift, .width = width, .is_signed = is_signed};
                uint8_t *data = random_bytes(room);
                int64_t value = (int64_t)random_word();
                CHECK_EQUAL(naive_get(data, &field), fc_bits_field_get(data + fc_bits_field_byte(&field), &field));
                CHECK(fc_bits_field_bytes(&field) <= FC_BITS_FIELD_BYTES_MAX);
                memcpy(before, data, BYTES);
                fc_bits_field_set(data + fc_bits_field_byte(&field), &field, value);
                uint64_t dropped_bits = 64 - width;
                int64_t expected = is_signed ? (int64_t)((uint64_t)value << dropped_bits) >> dropped_bits : (int64_t)((uint64_t)value << dropped_bits >> dropped_bits);
                CHECK_EQUAL(expected, naive_get(data, &field));
                for (uint64_t i = 0; i < BYTES * 8; i++)
                    if (i < field.first_bit || i >= field.first_bit + width) CHECK_EQUAL(naive_bit(before, i), naive_bit(data, i));
            }
        }
    }
}

static void sums_that_do_not_fit_follow_the_policy(void)
{
    static const struct { uint32_t width, is_signed; int64_t value, delta, wrapped, saturated; } rows[] = {
        {8, 0, 250, 5, 255, 255}, {8, 0, 250, 6, 0, 255}, {8, 0, 5, -6, 255, 0}, {8, 0, 300, 0, 44, 255}, {8, 0, -1, 0, 255, 255}, {1, 0, 1, 1, 0, 1},
        {8, 1, 127, 1, -128, 127}, {8, 1, -128, -1, 127, -128}, {8, 1, 300, 0, 44, 127}, {8, 1, -300, 0, -44, -128}, {1, 1, 0, 1, -1, 0}, {1, 1, -1, -1, 0, -1},
        {64, 1, INT64_MAX, 1, INT64_MIN, INT64_MAX}, {64, 1, INT64_MIN, -1, INT64_MAX, INT64_MIN}, {64, 1, INT64_MIN, INT64_MIN, 0, INT64_MIN}, {63, 0, INT64_MAX, INT64_MAX, INT64_MAX - 1, INT64_MAX},
        {63, 0, 0, INT64_MIN, 0, 0}, {16, 1, INT64_MIN, 0, 0, -32768}, {33, 1, INT64_MAX, 0, -1, (INT64_C(1) << 32) - 1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        fc_bits_field field = {.width = rows[i].width, .is_signed = rows[i].is_signed};
        int64_t wrapped = 0, saturated = 0, failed = 4242;
        CHECK_OK(fc_bits_field_add(&field, rows[i].value, rows[i].delta, FC_BITS_WRAP, &wrapped));
        CHECK_OK(fc_bits_field_add(&field, rows[i].value, rows[i].delta, FC_BITS_SATURATE, &saturated));
        int fits = wrapped == saturated && (rows[i].value + (__int128)rows[i].delta) == wrapped;
        CHECK_STATUS(fits ? FC_OK : FC_OVERFLOW, fc_bits_field_add(&field, rows[i].value, rows[i].delta, FC_BITS_FAIL, &failed));
        CHECK_EQUAL(fits ? wrapped : 4242, failed);
        if (!CHECK_EQUAL(rows[i].wrapped, wrapped) || !CHECK_EQUAL(rows[i].saturated, saturated)) fprintf(stderr, "  row %zu\n", i);
    }
}

int main(void)
{
    RUN(counting_and_finding_are_what_bit_by_bit_gives);
    RUN(counting_takes_every_length);
    RUN(combining_is_what_byte_by_byte_gives_and_stays_inside);
    RUN(fields_come_back_and_leave_their_neighbours_alone);
    RUN(sums_that_do_not_fit_follow_the_policy);
    return check_report();
}
