/* retire.h -- gives a block that no entry names any more back to the session, as part of a redo log.
 *
 * A retired block goes to the top of the session's own magazine, to be reused by its next write; when that is full, onto a garbage
 * list, from where fc_page_drain brings it to its page. The nodes of a chain go onto a garbage list of their own.
 * A retired block keeps its stamp until it is reused: a reader that still copies it finishes with a value that was published.
 */
#ifndef FC_MEMORY_RETIRE_H
#define FC_MEMORY_RETIRE_H

#include "memory/handle.h"

/* Where the new block of a publication comes from: the top of the magazine of `kind`; 0: there is none. */
void fc_retire_redo_take(fc_session *session, uint32_t kind);

/* The block at `ref`, head of a value, together with its chain unless keep_chain. */
void fc_retire_redo_block(fc_session *session, fc_ref ref, int keep_chain);

/* Only the chain of the head block at `ref`, if it has one. */
void fc_retire_redo_chain_only(fc_session *session, fc_ref ref);

/* The first node of the head block at `ref`; 0 if it has no chain. */
fc_ref fc_retire_chain_of(const fc_session *session, fc_ref ref);

/* New block from the top of the magazine of `taken_kind`, old block back: one store if both are of one class. */
void fc_retire_redo_swap(fc_session *session, uint32_t taken_kind, fc_ref old_ref, int keep_chain);

/* An extension bucket that is linked nowhere any more. */
void fc_retire_redo_bucket(fc_session *session, fc_ref ref);

/* Gives up the blocks in hand (the pending list), outside of any redo log. */
void fc_retire_pending(fc_session *session);

#endif
