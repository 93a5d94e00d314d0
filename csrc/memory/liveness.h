/* liveness.h -- is a session's thread dead? The kernel's answer, never a guess from elapsed time. */
#ifndef FC_MEMORY_LIVENESS_H
#define FC_MEMORY_LIVENESS_H

#include "memory/handle.h"

/* tid 22 bits | start time in clock ticks, 42 bits, of the calling thread. 0 if /proc cannot be read. */
uint64_t fc_liveness_identity(void);

/* What must be equal for /proc to tell one process about another: the inode of the PID namespace, and (start times are shifted in it) that
 * of the time namespace in the upper half. 0 if /proc cannot be read or is another namespace's: then only the kernel lock tells. */
uint64_t fc_liveness_namespace(void);

/* 1 if the session that is in the slot is dead for certain; 0 if it lives or the slot is free. Only while the slot cannot change hands
 * (its settle lock is held) is that more than a hint: otherwise the answer may be about the session before the present one. */
int fc_liveness_has_died(const fc_cache *cache, uint32_t slot_index);

/* Takes the kernel lock on the slot's byte of the lock file and hangs it on a mapping. *lock_page is to be given to
 * fc_liveness_unlock. FC_BUSY: somebody else has it. */
FC_MUST_USE fc_status fc_liveness_lock(const fc_cache *cache, uint32_t slot_index, void **lock_page);
void fc_liveness_unlock(void *lock_page);

/* Path of the lock file of a segment. */
void fc_liveness_lock_path(char *path, size_t path_bytes, const char *name, uint64_t segment_id);

#endif
