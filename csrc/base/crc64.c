/* crc64.c -- see crc64.h. */
#include "base/crc64.h"

#include <pthread.h>
#include <string.h>

/* 0xad93d23594c935a9 with its bits in the other order. */
#define POLYNOMIAL UINT64_C(0x95ac9329ac4bc9b5)

/* tables[i][b]: what byte b, followed by i zero bytes, adds. */
static uint64_t tables[8][256];
static pthread_once_t are_made = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint64_t crc = byte;
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? POLYNOMIAL : 0);
        tables[0][byte] = crc;
    }
    for (uint32_t i = 1; i < 8; i++)
        for (uint32_t byte = 0; byte < 256; byte++) tables[i][byte] = (tables[i - 1][byte] >> 8) ^ tables[0][tables[i - 1][byte] & 0xFF];
}

uint64_t fc_crc64(uint64_t crc, const void *data, uint64_t bytes)
{
    const uint8_t *at = data;
    (void)pthread_once(&are_made, make_tables); /* fails with an invalid control only */
    for (; bytes >= 8; bytes -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word); /* little-endian, as every host of a segment */
        crc ^= word;
        crc = tables[7][crc & 0xFF] ^ tables[6][crc >> 8 & 0xFF] ^ tables[5][crc >> 16 & 0xFF] ^ tables[4][crc >> 24 & 0xFF] ^ tables[3][crc >> 32 & 0xFF] ^
              tables[2][crc >> 40 & 0xFF] ^ tables[1][crc >> 48 & 0xFF] ^ tables[0][crc >> 56];
    }
    for (; bytes > 0; bytes--, at++) crc = (crc >> 8) ^ tables[0][(crc ^ *at) & 0xFF];
    return crc;
}
