/* rdb_string.h -- a string as Redis's RDB format writes it, and the payload that DUMP makes of it.
 *
 * Length      00xxxxxx                         6 bits
 *             01xxxxxx xxxxxxxx                14 bits, high byte first
 *             10000000 and 4 bytes             32 bits, high byte first
 *             10000001 and 8 bytes             64 bits, high byte first
 *             11xxxxxx                         no length: the string is stored in a special way
 * Special     11000000, 11000001, 11000010     an integer of 1, 2, 4 bytes, low byte first, whose decimal digits are the string
 *             11000011                         compressed with LZF: length of that, length of the string, and the bytes
 * Payload     type (1 byte, 0: string), the value, RDB version (2 bytes, low byte first), CRC-64 of all before it (8 bytes, likewise)
 *
 * Writing     strings of up to 11 bytes that are an integer of 32 bits are stored as one, as in Redis; nothing is compressed (redis-server
 *             compresses what is longer than 20 bytes; it reads both).
 * Reading     every byte is somebody else's: lengths are checked before they are used, and a compressed string may not claim more than LZF
 *             can give.
 */
#ifndef FC_TYPES_RDB_STRING_H
#define FC_TYPES_RDB_STRING_H

#include "base/status.h"

/* Written, so that redis-server 7.0 loads it; and the last one read, that of Redis 7.2. */
#define FC_RDB_VERSION_WRITTEN 10u
#define FC_RDB_VERSION_READ_MAX 11u
#define FC_RDB_TYPE_STRING 0u
#define FC_RDB_FOOTER_BYTES 10u
/* A payload is at most that much longer than its string: type, 9 bytes of length, footer. */
#define FC_RDB_PAYLOAD_EXTRA_BYTES (1u + 9u + FC_RDB_FOOTER_BYTES)

/* Writes the payload of a string; returns its length. `target` has room for bytes + FC_RDB_PAYLOAD_EXTRA_BYTES, apart from data. */
uint64_t fc_rdb_string_dump(const uint8_t *data, uint64_t bytes, uint8_t *target);

/* 1 if version and checksum of a payload are right. */
int fc_rdb_payload_is_whole(const uint8_t *payload, uint64_t payload_bytes);

/* The Redis type behind a payload's first byte ("list"), "string" for what can be read, NULL for none that is known. */
const char *fc_rdb_type_name(uint8_t type);

/* A string that has been found in some bytes. */
typedef struct fc_rdb_string {
    const uint8_t *data;       /* stored: the bytes, or what LZF made of them; an integer: NULL */
    uint64_t stored_bytes;
    uint64_t bytes;            /* of the string */
    int is_compressed;
    char digits[12];           /* of an integer, not NUL-ended */
} fc_rdb_string;

/* Finds the string at the beginning of `data`; *used_bytes is what it takes up. 0 if there is none. */
int fc_rdb_string_find(const uint8_t *data, uint64_t bytes, fc_rdb_string *string, uint64_t *used_bytes);

/* Writes the string's bytes. 0 if compressed bytes contradict themselves. */
int fc_rdb_string_read(const fc_rdb_string *string, uint8_t *target);

#endif
