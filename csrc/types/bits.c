/* bits.c -- see bits.h.
 *
 * Counting     four sums of eight-byte counts: the baseline of x86-64 has popcnt (one a cycle, three cycles until its result, which is why there
 *              is more than one sum), that of aarch64 counts in its vector registers.
 * Finding      a word of bits that are all alike is passed over by one comparison; in the word that is not, the bit is found by counting leading
 *              zeros of its bytes in the order of the array.
 * Combining    in blocks of 32 bytes whose words do not depend on each other, so that the compiler makes vectors of them.
 */
#include "types/bits.h"

#include <string.h>

static inline uint64_t load_word(const uint8_t *data)
{
    uint64_t word;
    memcpy(&word, data, sizeof word);
    return word;
}

/* ------------------------------------------------------------------ count */

uint64_t fc_bits_count(const uint8_t *data, uint64_t bytes)
{
    uint64_t sums[4] = {0};
    uint64_t at = 0, rest = 0;
    for (; bytes - at >= 32; at += 32)
        for (uint32_t i = 0; i < 4; i++) sums[i] += (uint64_t)__builtin_popcountll(load_word(data + at + 8 * i));
    for (; bytes - at >= 8; at += 8) sums[0] += (uint64_t)__builtin_popcountll(load_word(data + at));
    if (at < bytes) memcpy(&rest, data + at, bytes - at);
    return sums[0] + sums[1] + sums[2] + sums[3] + (uint64_t)__builtin_popcountll(rest);
}

/* Bits of a byte from `first` (0: the highest) on, and up to and with `last`. */
static inline uint32_t mask_from(uint64_t first) { return 0xffu >> first; }
static inline uint32_t mask_to(uint64_t last) { return 0xff00u >> (last + 1) & 0xffu; }

uint64_t fc_bits_count_range(const uint8_t *data, uint64_t first_bit, uint64_t last_bit)
{
    uint64_t first = first_bit / 8, last = last_bit / 8;
    uint32_t head = mask_from(first_bit % 8), tail = mask_to(last_bit % 8);
    if (first == last) return (uint64_t)__builtin_popcount(data[first] & head & tail);
    return (uint64_t)__builtin_popcount(data[first] & head) + fc_bits_count(data + first + 1, last - first - 1) + (uint64_t)__builtin_popcount(data[last] & tail);
}

/* ------------------------------------------------------------------ find */

/* The first set bit of a byte that has one. */
static inline uint64_t first_set_of(uint32_t byte) { return (uint64_t)__builtin_clz(byte) - 24; }

uint64_t fc_bits_find(const uint8_t *data, uint64_t first_bit, uint64_t last_bit, int bit)
{
    uint64_t at = first_bit / 8, last = last_bit / 8;
    uint64_t inverted = bit ? 0 : UINT64_MAX; /* so that it is always a 1 that is looked for */
    uint32_t here = (data[at] ^ (uint32_t)inverted) & mask_from(first_bit % 8);
    if (at < last) {
        if (here != 0) return at * 8 + first_set_of(here);
        for (at++; last - at >= 8; at += 8) {
            uint64_t word = load_word(data + at) ^ inverted;
            if (word != 0) return at * 8 + (uint64_t)__builtin_clzll(__builtin_bswap64(word));
        }
        for (; at < last; at++) {
            here = (data[at] ^ (uint32_t)inverted) & 0xffu;
            if (here != 0) return at * 8 + first_set_of(here);
        }
        here = data[last] ^ (uint32_t)inverted;
    }
    here &= mask_to(last_bit % 8);
    return here != 0 ? last * 8 + first_set_of(here) : FC_BITS_NOT_FOUND;
}

/* ------------------------------------------------------------------ combine */

/* `expression` of the words a (target) and b (source). The rest goes through one word that is padded with zeroes. */
#define COMBINE(expression)                                                                                                     \
    do {                                                                                                                        \
        for (; bytes - at >= 32; at += 32) {                                                                                    \
            uint64_t words[4], others[4];                                                                                       \
            memcpy(words, target + at, sizeof words);                                                                           \
            memcpy(others, source + at, sizeof others);                                                                         \
            for (uint32_t i = 0; i < 4; i++) {                                                                                  \
                uint64_t a = words[i], b = others[i];                                                                           \
                (void)a;                                                                                                        \
                words[i] = (expression);                                                                                        \
            }                                                                                                                   \
            memcpy(target + at, words, sizeof words);                                                                           \
        }                                                                                                                       \
        for (uint64_t part; at < bytes; at += part) {                                                                           \
            uint64_t a = 0, b = 0;                                                                                              \
            part = bytes - at < 8 ? bytes - at : 8;                                                                             \
            memcpy(&a, target + at, part);                                                                                      \
            memcpy(&b, source + at, part);                                                                                      \
            a = (expression);                                                                                                   \
            memcpy(target + at, &a, part);                                                                                      \
        }                                                                                                                       \
    } while (0)

void fc_bits_combine(enum fc_bits_operation operation, uint8_t *target, const uint8_t *source, uint64_t bytes)
{
    uint64_t at = 0;
    switch (operation) {
    case FC_BITS_AND: COMBINE(a & b); return;
    case FC_BITS_OR: COMBINE(a | b); return;
    case FC_BITS_XOR: COMBINE(a ^ b); return;
    case FC_BITS_NOT: COMBINE(~b); return;
    }
}

/* ------------------------------------------------------------------ fields */

typedef unsigned __int128 wide;

/* The bytes that a field touches as one number, and how far the field lies from its low end. */
static wide load_wide(const uint8_t *data, const fc_bits_field *field, uint32_t *shift)
{
    wide whole = 0;
    uint64_t bytes = fc_bits_field_bytes(field);
    for (uint64_t i = 0; i < bytes; i++) whole = whole << 8 | data[i];
    *shift = (uint32_t)(bytes * 8 - field->first_bit % 8 - field->width);
    return whole;
}

static inline uint64_t width_mask(const fc_bits_field *field) { return UINT64_MAX >> (64 - field->width); }

/* Bits of a field as a number: the highest is the sign of a signed one. */
static int64_t as_number(const fc_bits_field *field, uint64_t bits)
{
    uint64_t sign = UINT64_C(1) << (field->width - 1);
    return field->is_signed ? (int64_t)((bits ^ sign) - sign) : (int64_t)bits;
}

int64_t fc_bits_field_get(const uint8_t *data, const fc_bits_field *field)
{
    uint32_t shift;
    wide whole = load_wide(data, field, &shift);
    return as_number(field, (uint64_t)(whole >> shift) & width_mask(field));
}

void fc_bits_field_set(uint8_t *data, const fc_bits_field *field, int64_t value)
{
    uint32_t shift;
    wide whole = load_wide(data, field, &shift);
    uint64_t bytes = fc_bits_field_bytes(field);
    whole = (whole & ~((wide)width_mask(field) << shift)) | (wide)((uint64_t)value & width_mask(field)) << shift;
    for (uint64_t i = bytes; i > 0; i--, whole >>= 8) data[i - 1] = (uint8_t)whole;
}

fc_status fc_bits_field_add(const fc_bits_field *field, int64_t value, int64_t delta, enum fc_bits_overflow policy, int64_t *sum)
{
    __int128 least = field->is_signed ? -((__int128)1 << (field->width - 1)) : 0;
    __int128 most = field->is_signed ? -least - 1 : ((__int128)1 << field->width) - 1;
    __int128 exact = (field->is_signed ? (__int128)value : (__int128)(uint64_t)value) + delta;
    if (exact >= least && exact <= most) *sum = (int64_t)exact;
    else if (policy == FC_BITS_FAIL) return FC_OVERFLOW;
    else if (policy == FC_BITS_SATURATE) *sum = (int64_t)(exact < least ? least : most);
    else *sum = as_number(field, (uint64_t)exact & width_mask(field));
    return FC_OK;
}
