/* geometry.h -- divides a segment among its regions, and checks a division that somebody else made. */
#ifndef FC_LAYOUT_GEOMETRY_H
#define FC_LAYOUT_GEOMETRY_H

#include "base/status.h"
#include "layout/layout.h"

/* Fills every field that follows from the options; segment_id, hash_seed, created_unix_ns, lock_inode and checksum are the caller's.
 * `block_bytes` is the size of block that holds an expected item. */
FC_MUST_USE fc_status fc_geometry_plan(const fc_options *options, uint64_t block_bytes, fc_geometry *geometry);

/* XXH3-64 of the fields before `checksum`. */
uint64_t fc_geometry_checksum(const fc_geometry *geometry);

/* FC_OK if a segment of `file_bytes` can be used with this geometry; nothing outside the mapping can be reached through it then.
 * Errors: FC_FOREIGN_SEGMENT, FC_LAYOUT_NEWER, FC_LAYOUT_OLDER, FC_TRUNCATED_SEGMENT, FC_CORRUPT. */
FC_MUST_USE fc_status fc_geometry_check(const fc_geometry *geometry, uint64_t file_bytes);

#endif
