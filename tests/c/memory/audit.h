/* audit.h -- segment_audit.h as the unit tests ask it: other sessions may be open, but nothing may be left half-way. */
#ifndef FC_TESTS_AUDIT_H
#define FC_TESTS_AUDIT_H

#include "../check.h"
#include "../segment_audit.h"
#include "memory/count.h"
#include "memory/page.h"
#include "table/lookup.h"

/* Nobody else may be at work. */
CHECK_UNUSED static void audit_segment(fc_session *session)
{
    audit_options options = {.label = "audit", .allowed = AUDIT_ANY_PAYLOAD};
    CHECK_EQUAL(0, segment_audit(session->cache, &options, NULL));
}

/* Everything was deleted: nothing is used, and every page could be given to any class. */
CHECK_UNUSED static void audit_empty(fc_session *session)
{
    fc_stats stats;
    audit_segment(session);
    CHECK_OK(fc_cache_stats(session->cache, &stats));
    CHECK_EQUAL(0, stats.key_count);
    CHECK_EQUAL(0, stats.used_bytes);
    CHECK_EQUAL(0, stats.extension_buckets);
}

#endif
