/* test_decimal.c -- integers as text (csrc/base/decimal.h): the text that printf writes, for every length and both signs. */
#include "../check.h"
#include "base/decimal.h"

static void check_number(int64_t number)
{
    char expected[32], text[FC_DECIMAL_BYTES_MAX + 1];
    memset(text, 'x', sizeof text);
    snprintf(expected, sizeof expected, "%" PRId64, number);
    uint32_t bytes = fc_decimal_write(text, number);
    CHECK(bytes == strlen(expected) && memcmp(text, expected, bytes) == 0);
    if (bytes < sizeof text) CHECK_EQUAL('x', text[bytes]);
    snprintf(expected, sizeof expected, "%" PRIu64, (uint64_t)number);
    bytes = fc_decimal_write_unsigned(text, (uint64_t)number);
    CHECK(bytes == strlen(expected) && memcmp(text, expected, bytes) == 0);
}

static void numbers_are_written_as_printf_writes_them(void)
{
    uint64_t seed = 3, power = 1;
    for (int i = 0; i < 20; i++, power *= 10)
        for (int64_t near = -2; near <= 2; near++) {
            check_number((int64_t)power + near);
            check_number(-((int64_t)power + near));
        }
    check_number(INT64_MAX);
    check_number(INT64_MIN);
    for (uint64_t i = 0; i < check_rounds(100000); i++) check_number((int64_t)(check_random(&seed) >> (i % 64)));
}

int main(void)
{
    RUN(numbers_are_written_as_printf_writes_them);
    return check_report();
}
