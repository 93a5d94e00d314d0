/* evict.h -- removes or moves values that nobody asked to remove. Every lock is tried, none waited for. */
#ifndef FC_TABLE_EVICT_H
#define FC_TABLE_EVICT_H

#include "memory/handle.h"

/* Removes one value, the least wanted of a sample; values in blocks of `kind` are preferred (FC_KIND_PAGE: values with chains).
 * 2: one of that kind went; 1: another; 0: none could be had. */
int fc_evict_sample(fc_session *session, uint32_t kind);

/* Empties a page: by moving its values to other pages of its class, or by removing them. 1 if the page is free now. */
int fc_evict_page(fc_session *session, uint64_t page_index, int move);

/* Removes the value in `entry` if it is still `word` and, with only_dead, has expired or was flushed. 1 if it did. */
int fc_evict_entry(fc_session *session, fc_bucket *home, uint64_t *entry, uint64_t word, int only_dead);

#endif
