/* multi.h -- the descriptor of a multi-key write: how many entries change in one store.
 *
 * States       IDLE -> BUILDING (locks are taken, blocks made) -> ACTIVE (entries are marked) -> COMMITTED (one store: the commit)
 *              -> IDLE with the next sequence number. BUILDING and ACTIVE may also go to IDLE: undone.
 * Reading      an entry word with FC_ENTRY_MARK names slot, op and the low bits of the sequence; fc_multi_resolve gives the word
 *              that holds instead: the old one until the descriptor is committed, the new one from then on.
 * Crash points a death in BUILDING or ACTIVE undoes everything, in COMMITTED finishes it; fc_multi_finish is both the committer's
 *              last step and the settler's, and can itself be repeated from any point. Its progress is part of the redo logs that
 *              give blocks back.
 * Pairs        [multi.commit] release of the state <-> acquire in fc_multi_resolve; [entry.publish] for the marks
 * Limits       FC_MULTI_KEYS_MAX ops: 16 in the slot, the rest in pages
 */
#ifndef FC_MEMORY_MULTI_H
#define FC_MEMORY_MULTI_H

#include "memory/handle.h"

/* The op's place; for the session's own descriptor only. */
static inline fc_multi_op *fc_multi_op_at(const fc_session *session, uint64_t index)
{
    fc_multi *multi = &session->slot->multi;
    if (index < FC_MULTI_INLINE) return &multi->ops[index];
    index -= FC_MULTI_INLINE;
    fc_ref page = fc_load_relaxed(&multi->pages[index / FC_MULTI_OPS_PER_PAGE]);
    return (fc_multi_op *)fc_at(session, page + FC_MULTI_OPS_OFF) + index % FC_MULTI_OPS_PER_PAGE;
}

static inline int fc_multi_status(uint64_t state) { return (int)(state & 255); }

/* The mark that op `index` leaves in its entry. */
uint64_t fc_multi_mark(const fc_session *session, uint64_t index, uint64_t tag_word);

/* What a reader takes instead of the mark. *state is to be compared again with fc_multi_state_of when the entry is: together they
 * prove the word. 0 if the mark and the descriptor do not belong together (the entry has changed, or the bytes are damaged). */
int fc_multi_resolve(const fc_session *session, uint64_t mark, uint64_t *word, uint64_t *state);
/* State of the descriptor a mark names. */
uint64_t fc_multi_state_of(const fc_session *session, uint64_t mark);

/* Opens the descriptor for `count` ops: IDLE -> BUILDING. `take` gives pages for more ops than the slot holds. FC_OUT_OF_MEMORY. */
FC_MUST_USE fc_status fc_multi_begin(fc_session *session, uint64_t count, fc_status (*take)(fc_session *session, fc_ref *list, fc_ref *page));
void fc_multi_set_state(fc_session *session, uint64_t status);

/* Finishes or undoes whatever the descriptor is in the middle of, and frees all its locks and pages. */
void fc_multi_finish(fc_session *session);

/* Frees the homes the descriptor may have locked, keeping it open for another try. */
void fc_multi_unlock(fc_session *session);

#endif
