/* size_class.c -- 44 classes: steps of 8 bytes up to 112, then 9 to 14 %, and from 2 KiB on the sizes that divide a page of 32 KiB
 * by 14, 12, 10, 9, 8, 7, 6, 5, 4, 3, 2 and 1.
 *
 * Below 2 KiB at most 6 % of a page is lost at its end; above, less than 8 bytes for each block. jemalloc and memcached take
 * 20 to 25 % steps; ours are finer because a market-data segment holds few distinct sizes and memory a key is a number we
 * promise. A block of 56 + 16 + 32 bytes (the promised case) is a class of its own.
 */
#include "memory/size_class.h"

const uint32_t fc_class_bytes[FC_KIND_COUNT] = {
    0,    64,   72,   80,   88,   96,   104,  112,  128,  144,  160,  176,  192,  224,  256,  288,
    320,  352,  384,  448,  512,  576,  640,  704,  768,  896,  1024, 1152, 1280, 1408, 1536, 1792,
    2048, 2336, 2728, 3272, 3640, 4096, 4680, 5456, 6552, 8192, 10920, 16384, 32768,
    64, /* FC_KIND_BUCKETS */
};

static_assert(sizeof(fc_bucket) == 64, "the row of FC_KIND_BUCKETS");

uint32_t fc_class_search(uint64_t bytes)
{
    uint32_t low = 1, high = FC_CLASS_COUNT;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (fc_class_bytes[middle] >= bytes) high = middle;
        else low = middle + 1;
    }
    return low;
}

uint32_t fc_class_magazine_refs(uint32_t kind, uint64_t bytes_per_class)
{
    uint64_t refs = bytes_per_class / fc_class_bytes[kind];
    if (refs < 1) return 1;
    return refs > FC_MAGAZINE_REFS ? FC_MAGAZINE_REFS : (uint32_t)refs;
}
