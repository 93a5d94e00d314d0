/* journal.h -- the redo log of a session: a few stores that happen all or not at all, whatever kills the process.
 *
 * A change to shared structures is first written down as (offset, value) pairs in the session's own slot. Storing redo_count is
 * the commit: a death before it leaves no trace, after it whoever settles the session repeats all stores. Repeating is harmless
 * because values are absolute and the locks that protect the words stay with the dead session until it is settled.
 *
 * Order        stores are applied first to last, each a release: the entry word before the home's version, both before anything
 *              that gives the old block away (Spin, tools/models/publish.pml: any other order tears a read).
 * Crash points between any two stores; tests/c/crash proves each.
 * Pairs        [entry.publish] release here <-> acquire where a reader takes an entry word (lookup.c);
 *              [bucket.version] release here <-> acquire in cut.c
 */
#ifndef FC_MEMORY_JOURNAL_H
#define FC_MEMORY_JOURNAL_H

#include "memory/handle.h"

static inline void fc_redo_begin(fc_session *session)
{
    FC_ASSERT(fc_load_relaxed(&session->slot->redo_count) == 0);
    session->redo_count = 0;
}

static inline void fc_redo_add(fc_session *session, void *word, uint64_t value)
{
    FC_ASSERT(session->redo_count < FC_REDO_MAX);
    fc_redo *redo = &session->slot->redo[session->redo_count++];
    fc_store_relaxed(&redo->offset, fc_offset_of(session, word));
    fc_store_relaxed(&redo->value, value);
}

/* Performs `count` stores of the log. Also the settler's first step. */
static inline void fc_redo_apply(fc_session *session, uint64_t count)
{
    fc_slot *slot = session->slot;
    for (uint64_t i = 0; i < count; i++)
        fc_store_release(fc_at(session, slot->redo[i].offset), slot->redo[i].value); /* [entry.publish] [bucket.version] */
    fc_compiler_order();
    fc_store_relaxed(&slot->redo_count, 0);
    fc_compiler_order();
}

static inline void fc_redo_commit(fc_session *session)
{
    fc_compiler_order();
    fc_store_relaxed(&session->slot->redo_count, session->redo_count);
    fc_compiler_order();
    fc_redo_apply(session, session->redo_count);
}

#endif
