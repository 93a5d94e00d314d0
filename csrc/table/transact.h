/* transact.h -- changes to several keys, of any databases, that every reader sees at one instant, decided on what the keys hold then (P5).
 *
 *     static fc_status transfer(fc_transaction *transaction, void *context)
 *     {
 *         fc_transact_state from;
 *         fc_transact_look(transaction, 0, &from);
 *         if (from.type == FC_TYPE_NONE) return FC_MISS;                                nothing changes
 *         if (from.version != watched_version) return FC_VERSION_MISMATCH;              likewise: WATCH
 *         FC_TRY(fc_transact_edit(transaction, 1, from.value_bytes, &room));            change key 1 in place, in private memory
 *         FC_TRY(fc_transact_copy(transaction, 0, 0, room, from.value_bytes));
 *         fc_transact_delete(transaction, 0);
 *         return FC_OK;                                                                 commit
 *     }
 *     status = fc_transact(session, keys, 2, transfer, context);
 *
 * Order         the homes of all keys are locked; decide() looks at the keys and stages what they are to hold; blocks are built; entries
 *               are marked; one store commits (memory/multi.h); the locks are freed. A kill -9 before that store leaves everything as
 *               it was, after it everything as staged.
 * Decide        runs under the locks: it must not wait for anybody. It may read other keys with the session (as they are outside of the
 *               transaction), but not write them (FC_REENTERED). Whatever it returns but FC_OK is passed on, and nothing has changed. It is
 *               called again, with nothing staged, when a flush came in between, so it must begin from its context's beginning.
 * Equal keys    name one state: what is staged through one is seen through the others.
 * Time          one reading of the wall clock, fc_transact_now, decides for all keys whether they have expired.
 * Waiting       for the locks, at most the session's timeout together, holding none of them meanwhile: FC_BUSY. Readers never wait.
 * Flushes       fc_transact_flush empties a database just before the commit, not in the same instant: a reader may find it empty before the
 *               writes show, and a kill -9 between the two leaves it empty with nothing written. Keys staged after the flush are kept.
 */
#ifndef FC_TABLE_TRANSACT_H
#define FC_TABLE_TRANSACT_H

#include "memory/handle.h"

typedef struct fc_transaction fc_transaction;

/* What a key holds: as found under the locks, or as staged since. */
typedef struct fc_transact_state {
    uint32_t type;             /* FC_TYPE_*; FC_TYPE_NONE: it is missing (or expired, or flushed) */
    uint32_t is_staged;        /* 1: the transaction changes the key */
    uint64_t value_bytes;
    uint64_t expires_unix_ns;  /* 0: never */
    uint64_t schema;           /* 0, or a registered schema */
    uint64_t version;          /* of what was found, whatever is staged; 0: the key was missing */
    uint64_t home_version;     /* counts every change in the key's home, its own and its neighbours' */
} fc_transact_state;

/* What a key is to hold. */
typedef struct fc_transact_value {
    const void *data;          /* stays the caller's, and must live until fc_transact returns: no variable of the decider. See fc_transact_room */
    uint64_t bytes;
    uint64_t expires_unix_ns;  /* 0: never. A time that has come deletes the key */
    uint64_t schema;
    uint32_t type;             /* FC_TYPE_STRING, ... */
} fc_transact_value;

typedef fc_status (*fc_transact_decider)(fc_transaction *transaction, void *context);

/* Locks, decides, commits. keys must live until it returns. Errors beside decide's: FC_BUSY, FC_OUT_OF_MEMORY, FC_TOO_MANY_KEYS above
 * FC_MULTI_KEYS_MAX, FC_READ_ONLY, FC_REENTERED, FC_CONTENDED (a flush came in between again and again), FC_CORRUPT, FC_SYSTEM. */
FC_MUST_USE fc_status fc_transact(fc_session *session, const fc_key *keys, uint64_t count, fc_transact_decider decide, void *context);

/* ------------------------------------------------------------------ for deciders; `index` is of the caller's keys */

/* The instant, in wall-clock time. */
uint64_t fc_transact_now(fc_transaction *transaction);

/* The index of a key, the number of keys if it is not one of them. */
uint64_t fc_transact_find(const fc_transaction *transaction, const fc_key *key);

void fc_transact_look(const fc_transaction *transaction, uint64_t index, fc_transact_state *state);

/* Copies bytes [from, from + bytes) of what the key holds, staged or not. FC_INVALID_ARGUMENT beyond its end (a missing key has no
 * bytes); FC_CORRUPT. */
FC_MUST_USE fc_status fc_transact_copy(const fc_transaction *transaction, uint64_t index, uint64_t from, void *buffer, uint64_t bytes);

/* Stages a whole value. FC_VALUE_TOO_LONG. */
FC_MUST_USE fc_status fc_transact_write(fc_transaction *transaction, uint64_t index, const fc_transact_value *value);

/* Stages what the key holds, cut or padded with zeroes to `bytes`, as memory that may be changed until fc_transact returns or the key is
 * staged anew; growing step by step costs amortised linear time. Expiry, schema and type stay; a missing key becomes a string without
 * expiry. FC_VALUE_TOO_LONG, FC_CORRUPT, FC_SYSTEM. */
FC_MUST_USE fc_status fc_transact_edit(fc_transaction *transaction, uint64_t index, uint64_t bytes, void **room);

/* Memory of the transaction, for a value of `bytes` that the decider makes: to be filled, and given to fc_transact_write for the same key as
 * its data. It is the memory that fc_transact_edit uses, so what edit staged for the key is lost. FC_VALUE_TOO_LONG, FC_SYSTEM. */
FC_MUST_USE fc_status fc_transact_room(fc_transaction *transaction, uint64_t index, uint64_t bytes, void **room);

/* Stages another expiry (0: none) for what the key holds; a missing key stays missing. A time that has come deletes. The value is not
 * copied, however long it is. FC_OK. */
FC_MUST_USE fc_status fc_transact_expire(fc_transaction *transaction, uint64_t index, uint64_t expires_unix_ns);

/* Stages that the key be missing. */
void fc_transact_delete(fc_transaction *transaction, uint64_t index);

/* Takes back what was staged for the key (but for a flush of its database). */
void fc_transact_keep(fc_transaction *transaction, uint64_t index);

/* Empties a database, the transaction's keys in it included; see Flushes above. FC_INVALID_ARGUMENT: no such database. */
FC_MUST_USE fc_status fc_transact_flush(fc_transaction *transaction, uint32_t database);

#endif
