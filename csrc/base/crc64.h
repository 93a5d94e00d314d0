/* crc64.h -- CRC-64 as Redis's files and payloads carry it: polynomial 0xad93d23594c935a9 (Jones), bits reflected, from 0, unmodified.
 *
 * The check value of "123456789" is 0xe9c6d914c4b8d9ca. Eight bytes a step by eight tables of 2 KiB (Kounavis and Berry, "A Systematic
 * Approach to Building High Performance Software-based CRC Generators", ISCC 2005), made at the first use. Any thread.
 */
#ifndef FC_BASE_CRC64_H
#define FC_BASE_CRC64_H

#include <stdint.h>

/* Goes on from `crc`; 0 at the beginning. */
uint64_t fc_crc64(uint64_t crc, const void *data, uint64_t bytes);

#endif
