/* size_class.h -- the sizes of blocks, and how many of each a session keeps at hand. */
#ifndef FC_MEMORY_SIZE_CLASS_H
#define FC_MEMORY_SIZE_CLASS_H

#include "layout/layout.h"

/* Up to here the classes are 8 bytes apart, beginning with FC_BLOCK_BYTES_MIN in class 1. */
#define FC_CLASS_EVEN_BYTES_MAX 112u

/* Bytes of a block of a kind of page; FC_KIND_FREE has 0. */
extern const uint32_t fc_class_bytes[FC_KIND_COUNT];

/* Blocks in a page of that kind. */
static inline uint32_t fc_class_blocks(uint32_t kind) { return FC_PAGE_BYTES / fc_class_bytes[kind]; }

/* The smallest class whose blocks hold `bytes`: where the steps are uneven, and for all. 1 to FC_HEAD_BYTES_MAX. */
uint32_t fc_class_search(uint64_t bytes);

static inline uint32_t fc_class_for(uint64_t bytes)
{
    if (bytes > FC_CLASS_EVEN_BYTES_MAX) return fc_class_search(bytes);
    return bytes <= FC_BLOCK_BYTES_MIN ? 1 : (uint32_t)((bytes - FC_BLOCK_BYTES_MIN + 7) / 8 + 1);
}

/* Blocks of a class that a magazine may hold when each class may hold `bytes_per_class` bytes: 1 to FC_MAGAZINE_REFS. */
uint32_t fc_class_magazine_refs(uint32_t kind, uint64_t bytes_per_class);

#endif
