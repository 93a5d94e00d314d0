/* segment.h -- the segment as an object of the system: created, mapped, named, removed. The functions are public. */
#ifndef FC_MEMORY_SEGMENT_H
#define FC_MEMORY_SEGMENT_H

#include "memory/handle.h"

/* Path of the shared memory object of a segment; FC_INVALID_NAME. */
FC_MUST_USE fc_status fc_segment_path(char *path, size_t path_bytes, const char *name);

#endif
