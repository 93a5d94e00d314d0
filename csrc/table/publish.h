/* publish.h -- the writer's side of the table: finds a key under its home's lock, and changes its entry.
 *
 * Invariants   B1: an entry never moves while its key lives. B2: only the holder of the home's lock changes entries and links of its
 *              chain. B3: only the last bucket of a chain is ever unlinked, and only when it is empty.
 * Crash points fc_publish is one redo log (memory/journal.h): all of it or nothing.
 * Pairs        [entry.publish], [bucket.version] (in the journal), [bucket.link]
 */
#ifndef FC_TABLE_PUBLISH_H
#define FC_TABLE_PUBLISH_H

#include "memory/lock.h"
#include "table/lookup.h"

/* Where a key is, or would go. */
typedef struct fc_place {
    fc_bucket *home;
    uint64_t *entry;           /* the key's entry; NULL if it has none */
    uint64_t word;             /* what is in it */
    fc_view view;              /* of its block */
    int alive;                 /* 0 also for an entry whose value expired or was flushed */
    uint64_t *vacant;          /* an empty entry of the chain; NULL if there is none */
    fc_bucket *last;           /* last bucket of the chain */
    uint32_t mark_index;       /* access mark of `entry` */
    uint32_t vacant_mark;
} fc_place;

/* Finds the key in its chain; the caller holds the home's lock. FC_OK whether it is there or not; FC_CORRUPT. */
FC_MUST_USE fc_status fc_place_find(fc_session *session, const fc_key *key, fc_bucket *home, fc_place *place);

/* Makes place->vacant an entry, by an extension bucket if need be. FC_OUT_OF_MEMORY. */
FC_MUST_USE fc_status fc_place_make_room(fc_session *session, fc_place *place);

/* Changes an entry from old_word to new_word (either may be 0): the entry, its home's version, the blocks, the count of keys.
 * `kind`: the new block is at the top of the magazine of this kind; 0: there is none. keep_chain: the old block's nodes live on in the
 * new one. */
void fc_publish(fc_session *session, fc_bucket *home, uint64_t *entry, uint64_t old_word, uint64_t new_word, uint32_t kind, int keep_chain);

/* Unlinks empty buckets from the end of the chain; the caller holds the home's lock. */
void fc_chain_trim(fc_session *session, fc_bucket *home);

#endif
