/* settle.h -- takes over what a dead session left behind, as a whole, before any of its locks is freed. */
#ifndef FC_MEMORY_SETTLE_H
#define FC_MEMORY_SETTLE_H

#include "memory/handle.h"

/* Settles the session that opened the slot with `incarnation`, if it is dead. `session` is the settler (any session of this process
 * that owns a slot). Never waits.
 * FC_OK: its locks are free (now, or because it had left already). FC_BUSY: it lives, or a living session is settling it. */
FC_MUST_USE fc_status fc_settle(fc_session *session, uint32_t slot_index, uint64_t incarnation);

/* Looks at every slot and settles the dead. Returns how many. */
uint32_t fc_settle_all(fc_session *session);

/* A clean close: brings the session's own blocks back and gives its slot up. Blocks whose pages living sessions have locked stay in the
 * slot; the caller then lets the kernel lock go, and whoever looks next settles the rest. */
void fc_settle_close(fc_session *session);

/* A handle through which the caller acts as the session in the slot. */
void fc_settle_impersonate(fc_session *settler, uint32_t slot_index, fc_session *ghost);

#endif
