/* crash_check.c -- see crash_harness.h: what readers and writers must find while a process is stopped, and after it died.
 *
 * The op's keys vote: each holds its old value or its new one, and all that the op changes together agree. A later reading may have moved
 * from old to new (the settler finished the op), never back. A key that a survivor has set since holds that value, whatever the settler does.
 */
#include "crash_harness.h"

#include "../segment_audit.h"
#include "base/clock.h"
#include "table/lookup.h"
#include "table/reclaim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>

#define VOTE_OLD 1u
#define VOTE_NEW 2u
#define SHORT_TIMEOUT_NS UINT64_C(2000000)
#define NEIGHBOURS 5u
/* One of them changes its class, to that of another key or of none: pages change meanwhile. */
#define OTHER_BYTES 500u
#define CUT_KEYS_MAX 64u
/* Far more than the 1 ms that P2 promises, for a loaded machine must not fail the test; the report has the figures. */
#define WRITABLE_NS_MAX UINT64_C(200000000)

crash_results *results;

uint32_t crash_verify(const fc_cache *cache, int settled, const char *label)
{
    audit_options options = {.label = label, .allowed = AUDIT_EMPTY_BUCKETS | AUDIT_GARBAGE | (settled ? 0 : AUDIT_UNSETTLED)};
    return segment_audit(cache, &options, NULL);
}

void crash_fail(const char *label, const char *format, ...)
{
    va_list arguments;
    __atomic_fetch_add(&results->failed, 1, __ATOMIC_RELAXED);
    fprintf(stderr, "FAILED %s: ", label);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

static void expect(int condition, const char *label, const char *what)
{
    if (condition) __atomic_fetch_add(&results->passed, 1, __ATOMIC_RELAXED);
    else crash_fail(label, "%s", what);
}

/* ------------------------------------------------------------------ reading */

static int equals(const crash_value *value, fc_status status, const uint8_t *data, const fc_entry *entry)
{
    if (!value->exists) return status == FC_MISS;
    return status == FC_OK && entry->value_bytes == value->bytes && entry->expires_unix_ns == value->expires_unix_ns && memcmp(data, value->data,
        value->bytes) == 0;
}

static const char *key_state(fc_status status) { return status == FC_OK ? "a value that was never written" : fc_status_find(status)->name; }

/* The key's vote; 0: none, because it holds what was expected anyway. */
static uint32_t read_key(crash_world *world, fc_session *session, crash_key *key, const char *reader, const char *label)
{
    fc_entry entry;
    fc_status status = fc_get_entry(session, &key->key, world->value, CRASH_VALUE_BYTES_MAX, &entry);
    int may_be_gone = (world->op->flags & OP_EVICTS) != 0 && status == FC_MISS;
    if (key->overwritten) {
        if (!may_be_gone && !equals(&key->third, status, world->value, &entry)) crash_fail(label, "%s: key %s lost a survivor's value: %s",
            reader, key->name, key_state(status));
        return 0;
    }
    int old = equals(&key->before, status, world->value, &entry);
    int renewed = equals(&key->after, status, world->value, &entry);
    if (!old && !renewed && !may_be_gone) crash_fail(label, "%s: key %s (home %" PRIu64 "%s): %s, %" PRIu64 " bytes",
        reader, key->name, key->home, key->changes ? ", changed by the op" : "", key_state(status), status == FC_OK ? entry.value_bytes : 0);
    if (!key->changes || old == renewed || may_be_gone) return 0;
    return old ? VOTE_OLD : VOTE_NEW;
}

/* Reads every key; the votes of those that the op changes. */
static uint32_t read_all(crash_world *world, fc_session *session, const char *reader, const char *label)
{
    uint32_t votes = 0;
    for (uint32_t i = 0; i < world->key_count; i++) votes |= read_key(world, session, &world->keys[i], reader, label);
    if ((world->op->flags & OP_EACH) == 0) expect(votes != (VOTE_OLD | VOTE_NEW), label, "some keys are old and some are new (P5)");
    return votes;
}

/* The same keys once more as one consistent cut. */
static void read_cut(crash_world *world, fc_session *session, const char *reader, const char *label)
{
    static uint8_t buffers[CUT_KEYS_MAX][1];
    fc_key keys[CUT_KEYS_MAX];
    fc_read reads[CUT_KEYS_MAX];
    uint32_t count = 0, votes = 0;
    const crash_key *asked[CUT_KEYS_MAX];
    for (uint32_t i = 0; i < world->key_count && count < CUT_KEYS_MAX; i++) {
        if (!world->keys[i].changes) continue;
        asked[count] = &world->keys[i];
        keys[count] = world->keys[i].key;
        reads[count] = (fc_read){.buffer = buffers[count], .buffer_bytes = 0};
        count++;
    }
    if (count == 0) return;
    fc_status status = fc_get_cut(session, keys, reads, count);
    if (status != FC_OK) {
        crash_fail(label, "%s: a cut is %s", reader, fc_status_find(status)->name);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const crash_key *key = asked[i];
        int exists = reads[i].status != FC_MISS;
        if (key->overwritten || key->before.exists == key->after.exists || ((world->op->flags & OP_EVICTS) != 0 && !exists)) continue;
        votes |= exists == key->before.exists ? VOTE_OLD : VOTE_NEW;
    }
    if ((world->op->flags & OP_EACH) == 0) expect(votes != (VOTE_OLD | VOTE_NEW), label, "a cut has keys from before and after (P5)");
}

/* ------------------------------------------------------------------ writing */

/* bytes 0: as many as it had. */
static fc_status set_third(fc_session *session, crash_key *key, uint64_t bytes)
{
    if (bytes == 0) bytes = key->before.exists ? key->before.bytes : key->after.exists ? key->after.bytes : 20;
    uint8_t *data = pattern(bytes, 777);
    fc_status status = fc_set(session, &key->key, data, bytes, NULL, NULL);
    if (status == FC_OK) {
        free(key->third.data);
        key->third = (crash_value){data, bytes, 0, 1};
        key->overwritten = 1;
    } else {
        free(data);
    }
    return status;
}

static int may_be_short(const crash_world *world, fc_status status)
{
    return status == FC_OUT_OF_MEMORY && (world->op->flags & OP_FULL) != 0;
}

/* Writes one key that the op has nothing to do with. P13: refused only if the home is held, and then with the owner's name. */
static void write_neighbour(crash_world *world, crash_key *key, uint64_t bytes, pid_t pid, const char *label)
{
    const fc_bucket *home = &world->session->homes[key->home];
    uint32_t owner = home->owner;
    fc_status status = set_third(world->session, key, bytes);
    if (status == FC_OK) {
        /* What a dead session holds may be settled and written, though another settler is stopped. */
        expect(owner == 0 || world->second_image != NULL, label, "a held home was written");
        return;
    }
    if (status != FC_BUSY) {
        expect(may_be_short(world, status), label, fc_status_find(status)->name);
        return;
    }
    results->busy_count++;
    expect(owner != 0, label, "busy, but nobody holds the home");
    char by_child[64];
    const fc_slot *slot = fc_slot_at(world->cache, (owner & FC_OWNER_SLOT_MASK) - 1);
    snprintf(by_child, sizeof by_child, "pid %u, tid %u", slot->pid, slot->tid);
    expect(strstr(fc_error_detail(status), by_child) != NULL, label, "busy does not name the owner");
    expect(world->second_image != NULL || slot->pid == (uint32_t)pid, label, "the home is held by somebody else");
}

/* Two in the primary key's home, the others elsewhere; and a key that was not there. */
static void write_neighbours(crash_world *world, pid_t pid, const char *label)
{
    uint64_t home = world->keys[world->primary].home;
    uint32_t near = 0, far = 0;
    fc_session_set_timeout(world->session, SHORT_TIMEOUT_NS);
    for (uint32_t i = 0; i < world->key_count && near + far < NEIGHBOURS; i++) {
        crash_key *key = &world->keys[i];
        if (key->changes || i == world->primary) continue;
        if (key->home == home ? near >= 2 : far >= NEIGHBOURS - 2) continue;
        if (key->home == home) near++;
        else far++;
        write_neighbour(world, key, far == 1 ? OTHER_BYTES : 0, pid, label);
    }
    fc_session_set_timeout(world->session, UINT64_C(1000000000));
}

void check_stopped(crash_world *world, pid_t pid, const char *label)
{
    if (crash_verify(world->cache, 0, label) != 0) crash_fail(label, "the structure is damaged while stopped");
    uint32_t votes = read_all(world, world->reader, "reader", label);
    read_cut(world, world->reader, "reader", label);
    write_neighbours(world, pid, label);
    if (crash_verify(world->cache, 0, label) != 0) crash_fail(label, "the structure is damaged by a survivor");
    uint32_t again = read_all(world, world->session, "survivor", label);
    int settled = world->second_image != NULL && votes == VOTE_OLD && again == VOTE_NEW; /* a survivor's write did it: the settler had not begun */
    expect(votes == again || votes == 0 || again == 0 || settled, label, "the op moved while its process was stopped");
}

/* ------------------------------------------------------------------ after a death */

/* The key is set as soon as can be. While a killed process is still dying it keeps its locks, and victims behind them from being evicted; in
 * so small a segment that can be all there is, and the write is tried again. */
static void time_first_set(crash_world *world, fc_session *session, uint64_t since_mono_ns, const char *label)
{
    crash_key *key = &world->keys[world->primary];
    fc_session_set_timeout(session, UINT64_C(1000000000));
    uint64_t begin = since_mono_ns != 0 ? since_mono_ns : fc_clock_mono_ns(), taken;
    fc_status status;
    do {
        status = set_third(session, key, 0);
        taken = fc_clock_mono_ns() - begin;
    } while (status == FC_OUT_OF_MEMORY && since_mono_ns != 0 && (world->op->flags & OP_EVICTS) != 0 && taken < WRITABLE_NS_MAX);
    if (status != FC_OK) {
        if (!may_be_short(world, status)) crash_fail(label, "the key cannot be written after the death (P2): %s (%s)",
            fc_status_find(status)->name, fc_error_detail(status));
        return;
    }
    if (taken > WRITABLE_NS_MAX) crash_fail(label, "the key was writable only after %" PRIu64 " us (P2)", taken / 1000);
    crash_times *times = &results->times[(world->op->flags & (OP_EVICTS | OP_FULL)) != 0];
    uint64_t at = __atomic_fetch_add(&times->count, 1, __ATOMIC_RELAXED);
    if (at < CRASH_TIMES_MAX) times->ns[at] = (uint32_t)(taken < UINT32_MAX ? taken : UINT32_MAX);
}

/* Deletes what is there and sweeps what is dead. Then memory may be left in an empty extension bucket, whose home nobody has written since
 * the death; asking to delete the missing keys does. */
static void delete_all(crash_world *world, const fc_cache *cache, fc_session *session, const char *label)
{
    fc_stats stats;
    for (uint32_t i = 0; i < world->key_count; i++) {
        fc_status status = fc_exists(session, &world->keys[i].key);
        if (status == FC_OK) status = fc_delete(session, &world->keys[i].key);
        if (status != FC_OK && status != FC_MISS) crash_fail(label, "deleting %s: %s", world->keys[i].name, fc_status_find(status)->name);
    }
    session->writing = 1;
    (void)fc_reclaim_sweep(session, session->home_count);
    session->writing = 0;
    fc_cache_stats(cache, &stats);
    if (stats.used_bytes != world->used_before && (world->op->flags & OP_KEEPS) == 0) {
        results->left_buckets++;
        for (uint32_t i = 0; i < world->key_count; i++) (void)fc_delete(session, &world->keys[i].key);
        fc_cache_stats(cache, &stats);
    }
    if ((world->op->flags & OP_KEEPS) != 0) return;
    if (stats.used_bytes != world->used_before) crash_fail(label, "%" PRIu64 " bytes are in use after everything was deleted, %" PRIu64 " before (P2)",
        stats.used_bytes, world->used_before);
    else results->passed++;
    expect(stats.key_count == 0, label, "keys are counted after everything was deleted");
}

static void check_settled(crash_world *world, fc_cache *cache, fc_session *session, uint32_t votes_before, const char *label)
{
    if (crash_verify(cache, 1, label) != 0) crash_fail(label, "the structure is damaged after settling");
    else results->passed++;
    uint32_t votes = read_all(world, session, "survivor", label);
    expect(!(votes_before == VOTE_NEW && votes == VOTE_OLD), label, "a reader saw the new value, and now it is old again");
    delete_all(world, cache, session, label);
    if (crash_verify(cache, 1, label) != 0) crash_fail(label, "the structure is damaged after deleting everything");
    else results->passed++;
}

void check_dead(crash_world *world, fc_cache *cache, fc_session *session, pid_t killed, uint64_t since_mono_ns, const char *label)
{
    uint32_t settled_count;
    uint32_t votes = 0;
    if (killed == 0) {
        if (crash_verify(cache, 0, label) != 0) crash_fail(label, "the structure is damaged by the death");
        votes = read_all(world, session, "survivor", label);
        expect(votes == read_all(world, world->reader, "reader", label), label, "two readers disagree");
        read_cut(world, world->reader, "reader", label);
    }
    time_first_set(world, session, since_mono_ns, label);
    siginfo_t info;
    if (killed != 0) waitid(P_PID, (id_t)killed, &info, WEXITED | WNOWAIT); /* a death takes its time; reaping asks only once */
    uint32_t votes_between = read_all(world, session, "survivor", label);
    expect(!(votes == VOTE_NEW && votes_between == VOTE_OLD), label, "a reader saw the new value, and now it is old again");
    fc_status status = fc_session_reap(session, &settled_count);
    if (status != FC_OK) crash_fail(label, "reaping: %s", fc_error_detail(status));
    check_settled(world, cache, session, votes_between | votes, label);
}

void check_finished(crash_world *world, int done, const char *label)
{
    uint32_t settled_count;
    fc_status status = fc_session_reap(world->session, &settled_count);
    if (status != FC_OK) crash_fail(label, "reaping: %s", fc_error_detail(status));
    uint32_t votes = read_all(world, world->session, "survivor", label);
    if (done) expect(votes != VOTE_OLD, label, "the op returned, and its keys are old");
    check_settled(world, world->cache, world->session, votes, label);
}
