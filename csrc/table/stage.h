/* stage.h -- the keys of a transaction: what they hold, and what they are to hold. Between transact.c, which locks and commits, and the
 * decider's functions of transact.h.
 */
#ifndef FC_TABLE_STAGE_H
#define FC_TABLE_STAGE_H

#include "table/transact.h"
#include "table/write.h"

/* What is to become of a key: nothing; a value; what is there with another expiry; it goes. */
enum { FC_STAGE_KEEP, FC_STAGE_STORE, FC_STAGE_SET_EXPIRY, FC_STAGE_REMOVE };

typedef struct fc_stage_item {
    const fc_key *key;
    uint64_t position;         /* the first one among the caller's keys */
    uint64_t home_off;
    uint64_t flush_generation; /* of the key's database, from before anything was looked at */
    uint64_t *entry;           /* NULL: none */
    uint64_t word;             /* in it */
    int is_alive;              /* what is there counts */
    int staged;                /* FC_STAGE_KEEP, ... */
    fc_value value;            /* FC_STAGE_STORE: all of it; FC_STAGE_SET_EXPIRY: the expiry */
    uint8_t *room;             /* the item's own memory */
    uint64_t room_bytes;
} fc_stage_item;

struct fc_transaction {
    fc_session *session;
    fc_stage_item *items;      /* sorted, each key once */
    uint64_t item_count;
    uint32_t *item_of;         /* of each of the caller's keys */
    uint64_t key_count;
    uint64_t now_unix_ns;      /* 0: nobody has asked yet */
    uint64_t flushes;          /* one bit for each database that the decider empties */
    int is_overtaken;          /* by a flush: begin again */
};

/* Sorts the keys into items, equal ones into one; t->items and t->item_of have room for key_count. */
void fc_stage_arrange(fc_transaction *t, const fc_key *keys);

/* Finds all keys, whose homes are locked, and forgets what was staged. FC_CORRUPT. */
FC_MUST_USE fc_status fc_stage_find(fc_transaction *t);

/* The block that was found; the item has an entry. 0: it has been damaged since. */
FC_MUST_USE int fc_stage_view(const fc_transaction *t, const fc_stage_item *item, fc_view *view);

/* 1 if the decider empties the item's database. */
static inline int fc_stage_is_flushed(const fc_transaction *t, const fc_stage_item *item) { return (t->flushes >> item->key->database & 1) != 0; }

#endif
