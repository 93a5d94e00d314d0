/* segment_audit.h -- is every structure of a segment whole? For the tests of any suite, whatever they fail with.
 *
 * Nobody may be writing meanwhile. Without allowances the segment is quiet, and this must hold:
 *   A1          each block is free in its page, or in exactly one magazine, entry, chain or link: counted, block by block
 *   A2, A3      a page counts its free blocks rightly; hints of both levels say which pages have some; no empty page keeps its class
 *   A4          no free block begins with a stamp
 *   B1 to B3    an entry is in the home of its hash, its tag and hash are its key's, no key is there twice, no empty extension is left
 *   V1          a value has a stamp, its block the class it says, its chain as many nodes as its length asks for, all of its stamp
 *   P2, P13     no lock is held, no redo log, pending block, garbage, multi-key write or mark is left, no dead session is unsettled
 *   counts      each database counts the keys it has; used_bytes is what the places found add up to
 */
#ifndef FC_TESTS_SEGMENT_AUDIT_H
#define FC_TESTS_SEGMENT_AUDIT_H

#include "memory/handle.h"

/* A session may be stopped, or dead and not settled: locks, a redo log, pending blocks, a multi-key write. While a redo log is committed
 * and not applied in full, where blocks are means nothing, and nothing else is looked at. */
#define AUDIT_UNSETTLED 1u
/* Open sessions keep blocks on their garbage lists until they can be drained; a dead settler's lock stays at a slot it had given up. */
#define AUDIT_GARBAGE 2u
/* An extension bucket that a death emptied stays until its home is written again. */
#define AUDIT_EMPTY_BUCKETS 4u
/* Bytes of payload, and stamps of chains, may stand where a free block begins, and look like a stamp: A4 cannot be told. */
#define AUDIT_ANY_PAYLOAD 8u

typedef struct audit_options {
    const char *label;         /* printed before each finding */
    uint32_t allowed;          /* AUDIT_* */
    const fc_session *only;    /* no other session's slot may be taken; NULL: any may */
} audit_options;

typedef struct audit_result {
    uint64_t entry_count;      /* dead values included */
    uint64_t empty_bucket_count; /* extension buckets at the end of a chain that hold nothing */
} audit_result;

/* How many things are wrong, the first of them on stderr. `result` may be NULL; it is filled if nothing is wrong. */
uint32_t segment_audit(const fc_cache *cache, const audit_options *options, audit_result *result);

#endif
