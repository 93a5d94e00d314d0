/* count.h -- how many keys a database has, as sums over the sessions' own counters.
 *
 * Each slot counts the keys it added minus those it removed, for each database, with the flush generation the figure belongs to. A
 * flush raises the generation, and every older figure counts nothing: O(1), and no race with writers that are about to count.
 */
#ifndef FC_MEMORY_COUNT_H
#define FC_MEMORY_COUNT_H

#include "memory/handle.h"

/* Adds to the redo log under construction what replacing old_word by new_word (either may be 0) does to the count of keys. Blocks
 * from before the last flush count nothing. Called while both blocks are whole. */
void fc_count_redo_change(fc_session *session, uint64_t old_word, uint64_t new_word);

/* Keys of a database. Exact when nobody is in the middle of an operation. */
uint64_t fc_count_keys(const fc_cache *cache, uint32_t database);

#endif
