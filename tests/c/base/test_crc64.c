/* test_crc64.c -- the checksum of Redis's payloads. */
#include "base/crc64.h"
#include "check.h"

/* The check value of the polynomial's registration, and a value in parts as in one piece. */
static void the_check_value_comes_out_whole_and_in_parts(void)
{
    static const char text[] = "123456789";
    CHECK_EQUAL(UINT64_C(0xe9c6d914c4b8d9ca), fc_crc64(0, text, 9));
    for (uint64_t first = 0; first <= 9; first++) CHECK_EQUAL(UINT64_C(0xe9c6d914c4b8d9ca), fc_crc64(fc_crc64(0, text, first), text + first, 9 - first));
    CHECK_EQUAL(0, fc_crc64(0, text, 0));
}

/* Eight bytes at a time give what one byte at a time gives, at every length and alignment. */
static void words_give_what_bytes_give(void)
{
    uint8_t data[100];
    for (uint32_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 37 + 11);
    for (uint32_t from = 0; from < 8; from++)
        for (uint32_t bytes = 0; bytes <= 64; bytes++) {
            uint64_t crc = 0;
            for (uint32_t i = 0; i < bytes; i++) crc = fc_crc64(crc, data + from + i, 1);
            CHECK_EQUAL(crc, fc_crc64(0, data + from, bytes));
        }
}

int main(void)
{
    RUN(the_check_value_comes_out_whole_and_in_parts);
    RUN(words_give_what_bytes_give);
    return check_report();
}
