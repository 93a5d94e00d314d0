/* hash.h -- XXH3-64 of (database, key), seeded per segment.
 *
 * The header-only build of the system's xxHash inlines the 16-byte case to a few multiplications (3 ns). The seed is random per
 * segment, so that nobody can prepare colliding keys without reading the segment first.
 */
#ifndef FC_BASE_HASH_H
#define FC_BASE_HASH_H

#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* An odd constant (the golden ratio in 64 bits) spreads the database number over the seed. */
static inline uint64_t fc_hash(uint64_t seed, uint32_t database, const void *key, uint64_t key_bytes)
{
    return XXH3_64bits_withSeed(key, key_bytes, seed ^ (database * UINT64_C(0x9E3779B97F4A7C15)));
}

#endif
