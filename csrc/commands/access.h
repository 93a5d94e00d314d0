/* access.h -- how commands reach keys: written once, they work directly and inside a transaction.
 *
 *   directly            a read is a validated one, without lock; a change holds the one key's lock from open to close and publishes at close
 *   in a transaction    (EXEC, and commands of several keys: c->transaction is set) all keys are locked already; reads see what was staged
 *                       before, changes are staged, and the whole is committed after the last command (table/transact.h)
 *
 * Changing a key:
 *     fc_item item;
 *     FC_TRY(fc_item_open(c, 1, &item));                  of argument 1; item.type and its neighbours say what is there
 *     status = fc_item_edit(c, &item, bytes, &room);      or _write, _expire, _delete, or nothing: at most one of them
 *     FC_TRY(fc_item_close(c, &item, status));            always, once opened; only now it is certain that it happened
 *     fc_reply_integer(c->reply, ...);
 *
 * Rule        between open and close a handler computes; it calls nothing that waits, and opens no other key. Several keys to change: flag
 *             ATOMIC in commands.def, and c->transaction is set.
 * Errors      FC_BUSY (the key's lock is held by a stopped writer: handlers pass it on), FC_WRONG_TYPE where a string is asked for,
 *             FC_OUT_OF_MEMORY, FC_VALUE_TOO_LONG, FC_CORRUPT, FC_CONTENDED, FC_SYSTEM.
 */
#ifndef FC_COMMANDS_ACCESS_H
#define FC_COMMANDS_ACCESS_H

#include "commands/context.h"
#include "table/transact.h"
#include "table/write.h"

/* One key under a command's hands. What is above the line is told by open and look. */
typedef struct fc_item {
    uint32_t type;             /* FC_TYPE_*; FC_TYPE_NONE: missing */
    uint64_t value_bytes;
    uint64_t expires_unix_ns;
    uint64_t schema;
    uint64_t version;
    /* ---- */
    fc_key key;
    uint64_t index;            /* in the transaction */
    enum { FC_ITEM_KEEP, FC_ITEM_WRITE, FC_ITEM_EXPIRE, FC_ITEM_DELETE } change;
    fc_value value;            /* to be published at close */
    fc_write_state write;      /* the lock */
} fc_item;

FC_MUST_USE fc_status fc_item_open(fc_context *c, uint32_t argument, fc_item *item);
/* The same for a key of any database. */
FC_MUST_USE fc_status fc_item_open_key(fc_context *c, const fc_key *key, fc_item *item);
/* Bytes [from, from + bytes) of the value, of an open item. */
FC_MUST_USE fc_status fc_item_copy(fc_context *c, const fc_item *item, uint64_t from, void *target, uint64_t bytes);

/* The whole value; `data` must live until the command has ended (arguments and scratch memory do). */
FC_MUST_USE fc_status fc_item_write(fc_context *c, fc_item *item, const void *data, uint64_t bytes, uint64_t expires_unix_ns);
/* The present value cut or padded with zeroes to `bytes`, to be changed in place at *room until close. Expiry stays. Records are refused. */
FC_MUST_USE fc_status fc_item_edit(fc_context *c, fc_item *item, uint64_t bytes, uint8_t **room);
FC_MUST_USE fc_status fc_item_expire(fc_context *c, fc_item *item, uint64_t expires_unix_ns);
void fc_item_delete(fc_context *c, fc_item *item);
/* Takes a change back, after which the key is as it was: an edit that came to nothing. What a transaction has staged stays, and holds the
 * same. */
static inline void fc_item_keep(fc_item *item) { item->change = FC_ITEM_KEEP; }

/* Publishes the change if `status` is FC_OK, and lets the key go. */
FC_MUST_USE fc_status fc_item_close(fc_context *c, fc_item *item, fc_status status);

/* ------------------------------------------------------------------ reading */

/* What is there, without lock and without the value. */
FC_MUST_USE fc_status fc_access_look(fc_context *c, uint32_t argument, fc_item *item);
/* What is there, with the value in scratch memory (*data; NULL for a missing key). */
FC_MUST_USE fc_status fc_access_read(fc_context *c, uint32_t argument, fc_item *item, uint8_t **data);
/* Bytes [first, last] of the value, counted and cut to it as GETRANGE does, in scratch memory: *part is where they were and how many there
 * are. No more than them is copied. */
typedef struct fc_item_part {
    const uint8_t *data;
    uint64_t first;
    uint64_t bytes;
} fc_item_part;
FC_MUST_USE fc_status fc_access_read_part(fc_context *c, uint32_t argument, int64_t first, int64_t last, fc_item *item, fc_item_part *part);
/* The values of `count` arguments from `argument` on as they stood at one instant (fc_get_cut), in scratch memory; not in a transaction,
 * where all keys stand still anyway. reads[i].status tells what is there. */
FC_MUST_USE fc_status fc_access_read_cut(fc_context *c, uint32_t argument, uint32_t count, fc_read **reads);
/* Replies with the value as a bulk string, or null: GET. Straight from the segment into the reply. */
FC_MUST_USE fc_status fc_access_reply_value(fc_context *c, uint32_t argument);
/* Cuts a range to a value of `length` units (bytes, or bits) by GETRANGE's rules: negative counts from the end. 0 if nothing is left. */
int fc_access_clip(int64_t length, int64_t *first, int64_t *last);
/* Replies with bytes [first, last], counted as GETRANGE does; "" for a missing key. */
FC_MUST_USE fc_status fc_access_reply_range(fc_context *c, uint32_t argument, int64_t first, int64_t last);

/* Strings only, the number of arguments 1 and up: FC_WRONG_TYPE for other values. */
FC_MUST_USE static inline fc_status fc_item_want_string(const fc_item *item)
{
    return item->type == FC_TYPE_NONE || item->type == FC_TYPE_STRING ? FC_OK : FC_WRONG_TYPE;
}

#endif
