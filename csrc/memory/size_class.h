/* size_class.h -- the sizes of blocks, and how many of each a session keeps at hand. */
#ifndef FC_MEMORY_SIZE_CLASS_H
#define FC_MEMORY_SIZE_CLASS_H

#include "layout/layout.h"

/* Bytes of a block of a kind of page; FC_KIND_FREE has 0. */
extern const uint32_t fc_class_bytes[FC_KIND_COUNT];

/* Blocks in a page of that kind. */
static inline uint32_t fc_class_blocks(uint32_t kind) { return FC_PAGE_BYTES / fc_class_bytes[kind]; }

/* The smallest class whose blocks hold `bytes` (1 to FC_HEAD_BYTES_MAX). */
uint32_t fc_class_for(uint64_t bytes);

/* Blocks of a class that a magazine may hold when each class may hold `bytes_per_class` bytes: 1 to FC_MAGAZINE_REFS. */
uint32_t fc_class_magazine_refs(uint32_t kind, uint64_t bytes_per_class);

#endif
