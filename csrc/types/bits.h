/* bits.h -- strings as arrays of bits: counting, finding, combining, and integers of any width at any offset.
 *
 * Bit 0 is the highest bit of byte 0, as in SETBIT and GETBIT. Everything works on private copies, eight bytes at a time; how a value
 * comes out of the segment and a new one goes in is the commands' matter (commands/cmd_bit.c).
 */
#ifndef FC_TYPES_BITS_H
#define FC_TYPES_BITS_H

#include "base/status.h"

/* How many bits are set in `bytes` bytes. */
uint64_t fc_bits_count(const uint8_t *data, uint64_t bytes);
/* The same for bits [first_bit, last_bit], first_bit <= last_bit. */
uint64_t fc_bits_count_range(const uint8_t *data, uint64_t first_bit, uint64_t last_bit);

#define FC_BITS_NOT_FOUND UINT64_MAX
/* The first bit of [first_bit, last_bit] that is `bit`, or FC_BITS_NOT_FOUND. */
uint64_t fc_bits_find(const uint8_t *data, uint64_t first_bit, uint64_t last_bit, int bit);

enum fc_bits_operation { FC_BITS_AND, FC_BITS_OR, FC_BITS_XOR, FC_BITS_NOT };
/* target[i] = target[i] AND, OR, XOR source[i]; for NOT, target[i] = not source[i]. The two may be the same memory. */
void fc_bits_combine(enum fc_bits_operation operation, uint8_t *target, const uint8_t *source, uint64_t bytes);

/* An integer inside an array of bits, most significant bit first. */
typedef struct fc_bits_field {
    uint64_t first_bit;
    uint32_t width;            /* 1 to 64; unsigned: to 63, so that every value is an int64_t */
    uint32_t is_signed;
} fc_bits_field;

#define FC_BITS_FIELD_BYTES_MAX 9u /* 64 bits across byte borders */
/* Where the field's first byte is, and how many bytes it touches. */
static inline uint64_t fc_bits_field_byte(const fc_bits_field *field) { return field->first_bit / 8; }
static inline uint64_t fc_bits_field_bytes(const fc_bits_field *field) { return (field->first_bit % 8 + field->width + 7) / 8; }
/* `data` is the field's first byte; fc_bits_field_bytes are there. */
int64_t fc_bits_field_get(const uint8_t *data, const fc_bits_field *field);
/* Takes the lowest `width` bits of `value`. */
void fc_bits_field_set(uint8_t *data, const fc_bits_field *field, int64_t value);

enum fc_bits_overflow { FC_BITS_WRAP, FC_BITS_SATURATE, FC_BITS_FAIL };
/* value + delta, in the field's range: what does not fit wraps or stays at the range's end. FC_OVERFLOW: it does not fit, and the policy is
 * FAIL; *sum is untouched. `value` is what the field holds, or anything that is to be put in (delta 0): to an unsigned field a negative
 * one is one of 2^63 and more. */
FC_MUST_USE fc_status fc_bits_field_add(const fc_bits_field *field, int64_t value, int64_t delta, enum fc_bits_overflow policy, int64_t *sum);

#endif
