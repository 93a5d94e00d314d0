/* write.h -- one write of one key, in the steps every such operation shares.
 *
 *     fc_write write;
 *     FC_TRY(fc_write_open(session, key, &write));       the home is locked now, write.place says what is there
 *     status = fc_write_store(session, key, &write, &value);        or _remove, or _set_expiry, or nothing
 *     return fc_write_close(session, &write, status);    unlocks
 */
#ifndef FC_TABLE_WRITE_H
#define FC_TABLE_WRITE_H

#include "table/publish.h"

typedef struct fc_write_state {
    fc_place place;
} fc_write_state;

/* Enters the session, locks the home, finds the key. On failure nothing is held. */
FC_MUST_USE fc_status fc_write_open(fc_session *session, const fc_key *key, fc_write_state *write);

/* Publishes `value` under the key, in its entry or a new one. The nodes of a chained value are built here unless they are on the
 * pending list already (value->chain_stamp not 0). */
FC_MUST_USE fc_status fc_write_store(fc_session *session, const fc_key *key, fc_write_state *write, fc_value *value);

/* Removes the entry, if there is one (dead values too). */
void fc_write_remove(fc_session *session, fc_write_state *write);

/* Gives the (living) value another expiry; its nodes are kept. */
FC_MUST_USE fc_status fc_write_set_expiry(fc_session *session, fc_write_state *write, uint64_t expires_unix_ns);

/* Unlocks, brings garbage back, leaves the session, and passes `status` on. */
fc_status fc_write_close(fc_session *session, fc_write_state *write, fc_status status);

/* Length of a value checked against the segment's limit. */
FC_MUST_USE fc_status fc_write_check_value(const fc_session *session, uint64_t value_bytes);

/* Bytes of all values that a write needs at once, checked against the arena: what can never fit must not evict everything else first. */
FC_MUST_USE fc_status fc_write_check_sum(const fc_session *session, uint64_t bytes);

/* Version of what write_store published last in this place. */
static inline uint64_t fc_write_version(const fc_session *session, const fc_write_state *write)
{
    return fc_load_relaxed(&((const fc_block *)fc_at(session, fc_load_relaxed(write->place.entry) & FC_ENTRY_REF_MASK))->stamp);
}

#endif
