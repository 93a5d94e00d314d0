/* rdb_string.c -- see rdb_string.h. */
#include "types/rdb_string.h"

#include "base/crc64.h"

#include <stdio.h>
#include <string.h>

#define LENGTH_14 0x40u
#define LENGTH_32 0x80u
#define LENGTH_64 0x81u
#define SPECIAL 0xC0u
enum { SPECIAL_INT8, SPECIAL_INT16, SPECIAL_INT32, SPECIAL_LZF };
/* "-2147483648" */
#define INTEGER_BYTES_MAX 11u
/* A step of LZF makes 264 bytes of 3 at best. */
#define LZF_RATIO_MAX 88u

/* ------------------------------------------------------------------ writing */

static void store_big_endian(uint8_t *target, uint64_t number, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) target[i] = (uint8_t)(number >> 8 * (bytes - 1 - i));
}

static void store_little_endian(uint8_t *target, uint64_t number, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) target[i] = (uint8_t)(number >> 8 * i);
}

static uint32_t write_length(uint8_t *target, uint64_t length)
{
    if (length < 1u << 6) {
        target[0] = (uint8_t)length;
        return 1;
    }
    if (length < 1u << 14) {
        target[0] = (uint8_t)(LENGTH_14 | length >> 8);
        target[1] = (uint8_t)length;
        return 2;
    }
    uint32_t bytes = length <= UINT32_MAX ? 4 : 8;
    target[0] = bytes == 4 ? LENGTH_32 : LENGTH_64;
    store_big_endian(target + 1, length, bytes);
    return 1 + bytes;
}

/* 1 if the text is what an integer of 32 bits looks like when it is written: no sign but '-', no leading zero. */
static int parse_integer(const uint8_t *text, uint64_t bytes, int32_t *number)
{
    int64_t sum = 0;
    int is_negative = bytes > 0 && text[0] == '-';
    uint64_t at = (uint64_t)is_negative;
    if (bytes > INTEGER_BYTES_MAX || at == bytes) return 0;
    if (text[at] == '0' && bytes > 1) return 0;
    for (; at < bytes; at++) {
        if (text[at] < '0' || text[at] > '9') return 0;
        sum = sum * 10 + (text[at] - '0');
    }
    if (is_negative) sum = -sum;
    if (sum < INT32_MIN || sum > INT32_MAX) return 0;
    *number = (int32_t)sum;
    return 1;
}

static uint32_t write_integer(uint8_t *target, int32_t number)
{
    uint32_t kind = number >= INT8_MIN && number <= INT8_MAX ? SPECIAL_INT8 : number >= INT16_MIN && number <= INT16_MAX ? SPECIAL_INT16 : SPECIAL_INT32;
    target[0] = (uint8_t)(SPECIAL | kind);
    store_little_endian(target + 1, (uint32_t)number, 1u << kind);
    return 1 + (1u << kind);
}

uint64_t fc_rdb_string_dump(const uint8_t *data, uint64_t bytes, uint8_t *target)
{
    int32_t number;
    uint64_t at = 1;
    if (parse_integer(data, bytes, &number)) {
        at += write_integer(target + at, number);
    } else {
        at += write_length(target + at, bytes);
        if (bytes > 0) memcpy(target + at, data, bytes);
        at += bytes;
    }
    target[0] = FC_RDB_TYPE_STRING;
    store_little_endian(target + at, FC_RDB_VERSION_WRITTEN, 2);
    at += 2;
    store_little_endian(target + at, fc_crc64(0, target, at), 8);
    return at + 8;
}

/* ------------------------------------------------------------------ reading */

static uint64_t load_little_endian(const uint8_t *data, uint32_t bytes)
{
    uint64_t number = 0;
    for (uint32_t i = 0; i < bytes; i++) number |= (uint64_t)data[i] << 8 * i;
    return number;
}

int fc_rdb_payload_is_whole(const uint8_t *payload, uint64_t payload_bytes)
{
    if (payload_bytes < FC_RDB_FOOTER_BYTES) return 0;
    const uint8_t *footer = payload + payload_bytes - FC_RDB_FOOTER_BYTES;
    if (load_little_endian(footer, 2) > FC_RDB_VERSION_READ_MAX) return 0;
    return load_little_endian(footer + 2, 8) == fc_crc64(0, payload, payload_bytes - 8);
}

const char *fc_rdb_type_name(uint8_t type)
{
    /* By number, with the encodings of several versions of Redis. 8 was never given out. */
    static const char *const names[] = {
        "string", "list",      "set",  "sorted set", "hash",       "sorted set", "module", "module", NULL,         "hash",   "list", "set",
        "sorted set", "hash",  "list", "stream",     "hash",       "sorted set", "list",   "stream", "set",        "stream",
    };
    return type < sizeof names / sizeof names[0] ? names[type] : NULL;
}

/* 0 if there is no length. */
static int read_length(const uint8_t *data, uint64_t bytes, uint64_t *length, uint64_t *used_bytes)
{
    if (bytes == 0) return 0;
    uint32_t length_bytes = data[0] < LENGTH_14 ? 0 : data[0] < LENGTH_32 ? 1 : data[0] == LENGTH_32 ? 4 : data[0] == LENGTH_64 ? 8 : UINT32_MAX;
    if (length_bytes == UINT32_MAX || bytes - 1 < length_bytes) return 0;
    *length = data[0] < LENGTH_32 ? data[0] & 0x3F : 0;
    for (uint32_t i = 0; i < length_bytes; i++) *length = *length << 8 | data[1 + i];
    *used_bytes = 1 + length_bytes;
    return 1;
}

static int find_integer(const uint8_t *data, uint64_t bytes, uint32_t kind, fc_rdb_string *string, uint64_t *used_bytes)
{
    uint32_t width = 1u << kind;
    char text[sizeof string->digits + 1];
    if (bytes - 1 < width) return 0;
    uint32_t shift = 64 - 8 * width; /* to the top and back with the sign */
    int64_t number = (int64_t)(load_little_endian(data + 1, width) << shift) >> shift;
    string->bytes = (uint64_t)snprintf(text, sizeof text, "%lld", (long long)number);
    memcpy(string->digits, text, string->bytes);
    *used_bytes = 1 + width;
    return 1;
}

static int find_compressed(const uint8_t *data, uint64_t bytes, fc_rdb_string *string, uint64_t *used_bytes)
{
    uint64_t at = 1, used;
    if (!read_length(data + at, bytes - at, &string->stored_bytes, &used)) return 0;
    at += used;
    if (!read_length(data + at, bytes - at, &string->bytes, &used)) return 0;
    at += used;
    if (string->stored_bytes > bytes - at || string->bytes / LZF_RATIO_MAX > string->stored_bytes) return 0;
    string->data = data + at;
    string->is_compressed = 1;
    *used_bytes = at + string->stored_bytes;
    return 1;
}

int fc_rdb_string_find(const uint8_t *data, uint64_t bytes, fc_rdb_string *string, uint64_t *used_bytes)
{
    *string = (fc_rdb_string){.data = NULL};
    if (bytes > 0 && data[0] >= SPECIAL) {
        uint32_t kind = data[0] & 0x3F;
        if (kind == SPECIAL_LZF) return find_compressed(data, bytes, string, used_bytes);
        return kind <= SPECIAL_INT32 && find_integer(data, bytes, kind, string, used_bytes);
    }
    uint64_t at;
    if (!read_length(data, bytes, &string->bytes, &at) || string->bytes > bytes - at) return 0;
    string->data = data + at;
    string->stored_bytes = string->bytes;
    *used_bytes = at + string->bytes;
    return 1;
}

/* LZF: a byte below 32 says how many bytes follow as they are (plus 1); any other how many (3 bits, plus 2; 7: another byte is added) to
 * repeat from how far back (5 bits and the last byte, plus 1). A repetition may run into what it writes, so it goes byte by byte. */
static int decompress(const uint8_t *source, uint64_t source_bytes, uint8_t *target, uint64_t target_bytes)
{
    uint64_t at = 0, to = 0;
    while (at < source_bytes) {
        uint64_t control = source[at++], count = control + 1;
        if (control < 32) {
            if (count > source_bytes - at || count > target_bytes - to) return 0;
            memcpy(target + to, source + at, count);
            at += count;
            to += count;
            continue;
        }
        count = control >> 5;
        if (count == 7) {
            if (at == source_bytes) return 0;
            count += source[at++];
        }
        if (at == source_bytes) return 0;
        uint64_t back = ((control & 31) << 8 | source[at++]) + 1;
        count += 2;
        if (back > to || count > target_bytes - to) return 0;
        for (uint64_t i = 0; i < count; i++) target[to + i] = target[to + i - back];
        to += count;
    }
    return to == target_bytes;
}

int fc_rdb_string_read(const fc_rdb_string *string, uint8_t *target)
{
    if (string->is_compressed) return decompress(string->data, string->stored_bytes, target, string->bytes);
    if (string->bytes > 0) memcpy(target, string->data != NULL ? string->data : (const uint8_t *)string->digits, string->bytes);
    return 1;
}
