/* session_pool.h -- the memory of a process's sessions, kept for as long as its mapping.
 *
 * Each session lives in a page that the kernel empties in a child of fork (handle.h). Pages are listed in ordinary memory, so that the
 * child still finds and frees them, and the list is changed by compare-and-swap: a mutex that another thread holds at fork() would
 * never be free in the child.
 *
 * Pairs        [session.list] a new node; [session.state] the session's fields
 */
#ifndef FC_MEMORY_SESSION_POOL_H
#define FC_MEMORY_SESSION_POOL_H

#include "memory/handle.h"

struct fc_session_node {
    fc_session *session;
    uint64_t closed_number;           /* order of closing, of those that are closed */
    fc_session_node *next;
};

/* An empty session in state OPENING; NULL without memory. */
fc_session *fc_session_pool_get(fc_cache *cache);

/* Marks a session closed. Its memory serves another session once 64 others were closed; until then a second close finds it closed. */
void fc_session_pool_put(fc_session *session);

static inline fc_session_node *fc_session_pool_first(fc_cache *cache) { return fc_load_pointer_acquire(&cache->sessions); /* [session.list] */ }

/* Frees everything; no session may be open. */
void fc_session_pool_drop(fc_cache *cache);

#endif
