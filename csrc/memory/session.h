/* session.h -- opening and closing a thread's session; the functions are public, see fincache_api.h. */
#ifndef FC_MEMORY_SESSION_H
#define FC_MEMORY_SESSION_H

#include "memory/handle.h"

/* Closes the calling thread's sessions on the mapping and forgets all others' closed ones. FC_BUSY if another thread has one open. */
FC_MUST_USE fc_status fc_session_close_all(fc_cache *cache);

/* A number for a new block that was never used and never will be again. */
fc_status fc_session_renew_stamp(fc_session *session);

FC_MUST_USE static inline fc_status fc_session_stamp(fc_session *session, uint64_t *stamp)
{
    uint64_t counter_max = (UINT64_C(1) << FC_STAMP_COUNTER_BITS) - 1;
    if (FC_UNLIKELY((session->stamp_next & counter_max) == counter_max)) FC_TRY(fc_session_renew_stamp(session));
    *stamp = session->stamp_next++;
    return FC_OK;
}

#endif
