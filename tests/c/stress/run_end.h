/* run_end.h -- the segment that a run begins with, and everything that must hold when all of its workers have ended.
 *
 * The segment is so small, and indexed for so few keys, that eviction, compaction, chains of extension buckets, full magazines and
 * pages that change their class never stop.
 */
#ifndef FC_TESTS_RUN_END_H
#define FC_TESTS_RUN_END_H

#include "../segment_audit.h"
#include "workload.h"

#define SEGMENT_BYTES (3u << 20)
#define SEGMENT_KEYS 240u      /* so that each home has ten keys and more */

static fc_cache *begin_mode(uint32_t policy, uint64_t *used_before)
{
    fc_stats stats;
    fc_session *session;
    static key_set keys;
    memset(shared, 0, sizeof *shared);
    fc_cache *cache = create_segment(SEGMENT_BYTES, SEGMENT_KEYS, policy, 32);
    CHECK_OK(fc_cache_stats(cache, &stats));
    *used_before = stats.used_bytes;
    name_keys(cache, &keys);
    CHECK_OK(fc_session_open(cache, &session));
    set_permanent(session, &keys);
    CHECK_OK(fc_session_close(session));
    return cache;
}

static void delete_key(fc_session *session, named_key *named)
{
    fc_status status = fc_delete(session, &named->key);
    CHECK(status == FC_OK || status == FC_MISS);
}

static void read_key(fc_session *session, named_key *named)
{
    static uint8_t buffer[VALUE_BYTES_MAX];
    uint64_t bytes;
    fc_status status = fc_get(session, &named->key, buffer, sizeof buffer, &bytes);
    if (status != FC_OK && status != FC_MISS) fail("at the end get of %.12s: %s", named->name, describe(status));
}

/* What the workers' own records say must be there. */
static void check_records(worker *last)
{
    uint64_t increments = 0, begun = 0, bytes = 0;
    char text[32] = {0};
    value_header header;
    if (evicts(last)) return;
    for (uint32_t i = 0; i < options.workers; i++) {
        const worker_record *record = &shared->workers[i];
        increments += record->counter_done;
        begun += record->counter_begun;
        for (uint32_t j = 0; j < SINGLES_PER_WORKER; j++) {
            named_key *named = &last->keys->single[i * SINGLES_PER_WORKER + j];
            if (record->single_done[j] == 0) continue;
            CHECK_OK(fc_get(last->session, &named->key, last->buffer, VALUE_BYTES_MAX, &bytes));
            verify(last, "the last get", named, named->id, last->buffer, bytes, bytes, &header);
            /* A set that was refused, or killed, is begun and not done; only the killed one may be there. */
            if (header.sequence < record->single_done[j] || header.sequence > (last->killed ? record->single_begun[j] : record->single_done[j]))
                fail("%.12s ends with sequence %" PRIu64 ", its last set was %" PRIu64, named->name, header.sequence, record->single_done[j]);
        }
    }
    fc_status status = fc_get(last->session, &last->keys->counter.key, text, sizeof text - 1, &bytes);
    uint64_t counter = status == FC_MISS ? 0 : strtoull(text, NULL, 10);
    if (counter < increments || counter > (last->killed ? begun : increments))
        fail("the counter is %" PRIu64 " after %" PRIu64 " increments and %" PRIu64 " that were killed", counter, increments, begun - increments);
}

/* The count of keys by visiting them. */
static int32_t count_key(void *context, const void *key, uint32_t key_bytes, uint32_t type)
{
    (void)key, (void)key_bytes, (void)type;
    ++*(uint64_t *)context;
    return 0;
}

static void check_counts(fc_session *session)
{
    for (uint32_t database = 0; database < 2; database++) {
        uint64_t cursor = 0, visited = 0, counted;
        do CHECK_OK(fc_scan(session, database, &cursor, 1000, count_key, &visited)); while (cursor != 0);
        CHECK_OK(fc_count(session, database, &counted));
        if (counted < visited) fail("database %u counts %" PRIu64 " keys and has %" PRIu64, database, counted, visited);
    }
}

/* No session but this one is open, and nothing is left half-way. */
static audit_result check_structure(const fc_session *session)
{
    audit_result found = {0};
    audit_options allowances = {.label = program, .allowed = AUDIT_EMPTY_BUCKETS | AUDIT_ANY_PAYLOAD, .only = session};
    uint32_t wrong_count = segment_audit(session->cache, &allowances, &found);
    if (wrong_count != 0) fail("%u contradictions in the structure of the segment", wrong_count);
    return found;
}

/* Waits for nothing: everybody else has ended. `killed`: some were killed, and what they left is settled first. */
static void check_end(fc_cache *cache, uint32_t policy, uint64_t used_before, int killed)
{
    static worker last;
    fc_stats stats;
    uint32_t settled_count;
    audit_result found;
    open_worker(&last, cache, 0, policy, 1);
    last.killed = killed;
    CHECK_OK(fc_session_reap(last.session, &settled_count));
    /* A close leaves its slot to the next settler if somebody stopped holds a page of its blocks for longer than it waits. */
    if (settled_count != 0 && !killed) printf("%u closing sessions were left to be settled\n", settled_count);
    found = check_structure(last.session);
    if (found.empty_bucket_count != 0)
        printf("  %" PRIu64 " empty extension buckets are left to whoever writes to their homes next\n", found.empty_bucket_count);
    for_each_key(last.keys, read_key, last.session);
    check_records(&last);
    check_counts(last.session);
    for_each_key(last.keys, delete_key, last.session);
    found = check_structure(last.session);
    if (found.entry_count != 0 || found.empty_bucket_count != 0)
        fail("%" PRIu64 " entries and %" PRIu64 " empty extension buckets are left", found.entry_count, found.empty_bucket_count);
    CHECK_OK(fc_cache_stats(cache, &stats));
    if (stats.key_count != 0) fail("every key is deleted, and %" PRIu64 " are counted", stats.key_count);
    if (stats.used_bytes != used_before) fail("used_bytes began with %" PRIu64 " and ends with %" PRIu64, used_before, stats.used_bytes);
    close_worker(&last);
    CHECK_OK(fc_cache_stats(cache, &stats));
    if (stats.used_bytes + stats.magazine_bytes != used_before) fail("%" PRIu64 " bytes are left in magazines", stats.magazine_bytes);
}

static void print_stats(const char *mode, fc_cache *cache, uint32_t policy)
{
    static const char *const policies[] = {"noeviction", "lru", "random"};
    fc_stats stats;
    uint64_t operation_count = 0, contended = 0;
    for (uint32_t i = 0; i < WORKERS_MAX; i++) {
        operation_count += shared->workers[i].operations;
        contended += shared->workers[i].contended;
    }
    CHECK_OK(fc_cache_stats(cache, &stats));
    printf("%s %s: %" PRIu64 " operations, %" PRIu64 " retries, %" PRIu64 " contended, %" PRIu64 " lock waits, %" PRIu64 " evicted, %" PRIu64
           " expired, %" PRIu64 " flushed, %" PRIu64 " pages moved, %" PRIu64 " multi, %" PRIu64 " out of memory, %" PRIu64 " extensions, %" PRIu64 " flushes\n",
           mode, policies[policy], operation_count, stats.read_retries, contended, stats.lock_waits, stats.evicted, stats.expired, stats.flushed, stats.pages_moved,
           stats.multi_commits, stats.out_of_memory, stats.extension_buckets, shared->flush_done);
    fflush(stdout);
}

#endif
