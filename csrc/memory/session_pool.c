/* session_pool.c -- see session_pool.h. */
#include "memory/session_pool.h"

#include <stdlib.h>
#include <sys/mman.h>

#define SESSION_MAP_BYTES 4096u
/* Handles of closed sessions that still answer FC_CLOSED before their memory serves another. */
#define CLOSED_KEPT 64u

static_assert(sizeof(fc_session) <= SESSION_MAP_BYTES, "a session fits the page that fork empties");

static fc_session *map_session(void)
{
    void *page = mmap(NULL, SESSION_MAP_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return NULL;
    if (madvise(page, SESSION_MAP_BYTES, MADV_WIPEONFORK) == 0) return page;
    munmap(page, SESSION_MAP_BYTES);
    return NULL;
}

/* The node of the session that was closed longest ago, if CLOSED_KEPT were closed after it; NULL otherwise. */
static fc_session_node *oldest_closed(fc_cache *cache)
{
    fc_session_node *oldest = NULL;
    uint64_t closed_count = fc_load_relaxed(&cache->closed_count);
    for (fc_session_node *node = fc_session_pool_first(cache); node != NULL; node = node->next) {
        if (fc_load32_acquire(&node->session->state) != FC_SESSION_CLOSED) continue; /* [session.state] */
        uint64_t number = fc_load_relaxed(&node->closed_number);
        if (closed_count - number >= CLOSED_KEPT && (oldest == NULL || number < fc_load_relaxed(&oldest->closed_number))) oldest = node;
    }
    return oldest;
}

static fc_session *reuse_session(fc_cache *cache)
{
    uint32_t closed = FC_SESSION_CLOSED;
    fc_session_node *node = oldest_closed(cache);
    if (node == NULL || !fc_cas32_acquire(&node->session->state, &closed, FC_SESSION_OPENING)) return NULL; /* [session.state] */
    fc_session *session = node->session;
    /* All but the state, which others look at; the thread is 0 already. */
    memset((char *)session + offsetof(fc_session, base), 0, offsetof(fc_session, state) - offsetof(fc_session, base));
    memset((char *)session + offsetof(fc_session, writing), 0, sizeof *session - offsetof(fc_session, writing));
    session->node = node;
    return session;
}

fc_session *fc_session_pool_get(fc_cache *cache)
{
    fc_session *session = reuse_session(cache);
    if (session != NULL) return session;
    fc_session_node *node = malloc(sizeof *node);
    session = map_session();
    if (node == NULL || session == NULL) {
        if (session != NULL) munmap(session, SESSION_MAP_BYTES);
        free(node);
        return NULL;
    }
    session->state = FC_SESSION_OPENING;
    session->node = node;
    void *first = fc_session_pool_first(cache);
    do {
        *node = (fc_session_node){.session = session, .next = first};
    } while (!fc_cas_pointer_release(&cache->sessions, &first, node)); /* [session.list] */
    return session;
}

void fc_session_pool_put(fc_session *session)
{
    fc_store_relaxed(&session->node->closed_number, fc_fetch_add(&session->cache->closed_count, 1));
    fc_store_relaxed(&session->thread, 0);
    fc_store32_release(&session->state, FC_SESSION_CLOSED); /* [session.state] */
}

void fc_session_pool_drop(fc_cache *cache)
{
    for (fc_session_node *node = fc_session_pool_first(cache), *next; node != NULL; node = next) {
        next = node->next;
        munmap(node->session, SESSION_MAP_BYTES);
        free(node);
    }
    cache->sessions = NULL;
}
