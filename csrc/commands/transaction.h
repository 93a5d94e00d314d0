/* transaction.h -- commands that run together: the transaction of MULTI/EXEC, and that of one command with several keys.
 *
 * All keys of all commands are locked (table/transact.h), the commands run in order on what is staged, and one store commits. So readers
 * see all or nothing, and so does whoever comes after a kill -9.
 * Parts        a command about a whole database (flag WHOLE: FLUSHDB, DBSIZE, KEYS, SCAN ...) cannot be part of that: there are no keys to
 *              lock. A transaction with such commands runs in parts, each all-or-nothing, with the command between two of them. Its client sees
 *              what Redis would show it; others may see the parts one after the other.
 * Watch        EXEC compares versions under the locks. Versions change when memory is compacted, too: then EXEC is refused although the value
 *              is the same, and the client tries again, as it must be prepared to in any case. A missing key has no version, and one that was
 *              set and deleted meanwhile is missing again: so for it the version of its home counts as well, read before WATCH looks.
 *              Whoever changes an entry adds 1 to that before the lock is free, so no change after WATCH is overlooked; a change of one of
 *              the home's other keys (some five of all the segment's) refuses EXEC for nothing.
 * Decide twice the whole may be run again when a FLUSHDB of another client came in between. So replies and the selected database are put back
 *              to the beginning of the part first.
 */
#ifndef FC_COMMANDS_TRANSACTION_H
#define FC_COMMANDS_TRANSACTION_H

#include "commands/access.h"
#include "commands/multi_queue.h"

/* Runs c->command, which is flagged ATOMIC: in a transaction if it names several keys. */
FC_MUST_USE fc_status fc_transaction_run_one(fc_context *c);

/* Runs the client's queue and replies with an array. FC_BUSY: nothing was done, the queue is kept. */
FC_MUST_USE fc_status fc_transaction_run_queue(fc_context *c, fc_multi_queue *queue);

/* Ends the client's transaction, and forgets what it watches. */
void fc_transaction_forget(fc_client *client);

#endif
