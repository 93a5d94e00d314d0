/* common_subsequence.h -- the longest common subsequence of two strings: its length, and where its parts stand in both.
 *
 * A common subsequence is what is left of both strings when some bytes of each are taken out. Of those of greatest length the one is
 * reported that Redis's LCS reports: it is found from the ends of the strings, and where bytes differ and both ways are equally good, `b` is
 * shortened.
 *
 * Cost         a_bytes / 64 * b_bytes steps. Memory: 32 bytes for each of a's, and for the parts an eighth of a_bytes * b_bytes.
 */
#ifndef FC_TYPES_COMMON_SUBSEQUENCE_H
#define FC_TYPES_COMMON_SUBSEQUENCE_H

#include "base/status.h"

/* Bytes that are neighbours in both strings. */
typedef struct fc_subsequence_part {
    uint64_t a_first;
    uint64_t b_first;
    uint64_t bytes;
} fc_subsequence_part;

/* Called for each part, from the ends of the strings to their beginnings. */
typedef void (*fc_subsequence_visit)(void *context, const fc_subsequence_part *part);

/* *length comes before the first visit. `visit` NULL: only the length is wanted. FC_SYSTEM: no memory, or more than `memory_bytes_max`
 * would be needed. */
FC_MUST_USE fc_status fc_common_subsequence(const uint8_t *a, uint64_t a_bytes, const uint8_t *b, uint64_t b_bytes, uint64_t memory_bytes_max,
                                            fc_subsequence_visit visit, void *context, uint64_t *length);

#endif
