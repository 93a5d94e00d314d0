/* page.h -- pages of the arena: which blocks of them are free, and how blocks reach a session and come back.
 *
 * Invariants   A1: a block is in exactly one place: free in its page's bitmap, in one magazine, on one list of one journal (pending,
 *                  garbage), new_word of an unfinished multi-key write, or reachable from one entry word or bucket link. (An op of such a
 *                  write that only changes an expiry has two head blocks for one chain of nodes; the head that loses is given back alone.)
 *              A2: a page's descriptor changes only under its lock, and only through the redo log.
 *              A3: while a page is unlocked its hint bits say exactly whether it has free blocks of its kind.
 *              A4: a block's first word (the stamp) is zeroed before it becomes free in its page: whoever gets the bytes next, perhaps as part
 *                  of a larger block, a reader who still looks at the old one finds out.
 * Waiting      page locks are tried, never waited for: a stopped process that holds one delays nothing but that page.
 * Crash points a death under a page lock leaves the redo log, applied by the settler, who sets the hints right before he unlocks.
 */
#ifndef FC_MEMORY_PAGE_H
#define FC_MEMORY_PAGE_H

#include "memory/handle.h"

static inline fc_page *fc_page_at(const fc_session *session, uint64_t page_index)
{
    return (fc_page *)fc_at(session, session->cache->geometry.pages_off) + page_index;
}

static inline uint64_t fc_page_index_of(const fc_session *session, fc_ref ref) { return (ref - session->arena_off) / FC_PAGE_BYTES; }
static inline fc_ref fc_page_ref(const fc_session *session, uint64_t page_index) { return session->arena_off + page_index * FC_PAGE_BYTES; }
static inline uint32_t fc_page_kind(uint64_t kind_free) { return (uint32_t)(kind_free >> 32); }
static inline uint32_t fc_page_free_count(uint64_t kind_free) { return (uint32_t)kind_free; }
static inline uint64_t fc_page_word(uint32_t kind, uint32_t free_count) { return (uint64_t)kind << 32 | free_count; }

/* All pages free; for a segment under construction. */
void fc_pages_init(const fc_cache *cache);

/* Puts one or more free blocks of `kind` into the session's magazine, from a page of that kind or a free page.
 * FC_OUT_OF_MEMORY if there is none that is not locked by a living session. Does not evict. */
FC_MUST_USE fc_status fc_page_refill(fc_session *session, uint32_t kind);

/* Takes a free page as one block and pushes it on a list: *list = page, its link word = the old *list. `list` is a word of the
 * session's journal. FC_OUT_OF_MEMORY as above. */
FC_MUST_USE fc_status fc_page_take(fc_session *session, fc_ref *list, fc_ref *page);

/* Brings the blocks of all garbage lists back to their pages, except those whose page is locked. */
void fc_page_drain(fc_session *session);

/* Moves everything in the session's magazines to the garbage lists and drains those; 1 if nothing is left. */
int fc_page_flush_magazines(fc_session *session);

/* Adds to the redo log under construction: the block's stamp is zeroed, then it is free in its page, whose lock the session holds. */
void fc_page_redo_free(fc_session *session, fc_ref ref);

/* Frees a page that holds no block any more and whose lock the session holds, through the redo log. */
void fc_page_release_if_empty(fc_session *session, uint64_t page_index);

/* Sets the hint bits of a page right; the caller holds its lock. */
void fc_page_set_hints(const fc_session *session, uint64_t page_index);

/* The same for the settler of a session that held the lock, and may have died in the middle of fc_page_set_hints. */
void fc_page_repair_hints(const fc_session *session, uint64_t page_index);

#endif
