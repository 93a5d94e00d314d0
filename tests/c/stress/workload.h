/* workload.h -- the operations that the stress programs run, each of which checks what it sees.
 *
 * Families of keys, by the letter their names begin with, and what must hold:
 *   S   written by one worker each, values of any length    sequence never goes backwards; never missing (noeviction); its writer finds
 *                                                           exactly what it wrote last; others change its expiry meanwhile
 *   H   written, deleted, expired by everybody              whole, and this key's
 *   C   a counter that everybody increments                 exact sum (noeviction)
 *   P   three keys, one set_many each time, one writer      equal in every cut, never new-then-old over plain gets
 *   Q   the same, many writers, overlapping groups          equal in every cut within the group that was written last
 *   W   one value that its worker renames to and fro        in every cut at exactly one of the two names (noeviction)
 *   A   records that everybody appends                      whole records, each writer's in order
 *   K   many cold keys                                      whole; they fill the segment, so that others are evicted and moved
 *   D   never touched again                                 in every scan (noeviction)
 *   Y   copies of S values                                  whole
 *   F   database 1, written and flushed by worker 0 alone,  nothing from before a finished flush is ever seen again, whatever
 *       expired, incremented and copied by the others       others do to the values meanwhile; set_many is not cut in two by a flush
 * With a policy that evicts any key may be missing at any time; everything else holds.
 */
#ifndef FC_TESTS_WORKLOAD_H
#define FC_TESTS_WORKLOAD_H

#include "stress.h"

#include "base/clock.h"

#define SHARED_KEYS 12u
#define GROUP_KEYS 3u
#define OVERLAPPING_KEYS 5u
#define APPEND_KEYS 4u
#define COLD_KEYS 700u
#define PERMANENT_KEYS 16u
#define COPY_KEYS 4u
#define FLUSHED_KEYS 6u
#define FLUSHED_COPIES 3u
#define FLUSHED_COUNTERS 2u
#define KEY_NAME_BYTES 64u
#define FLUSH_UNIT INT64_C(1000000000)
#define FAR_FUTURE_NS UINT64_C(4000000000000000000)

typedef struct named_key {
    fc_key key;
    uint32_t id;
    char name[KEY_NAME_BYTES];
} named_key;

typedef struct key_set {
    named_key single[WORKERS_MAX * SINGLES_PER_WORKER];
    named_key pair[WORKERS_MAX * PAIRS_PER_WORKER][GROUP_KEYS];
    named_key swap[WORKERS_MAX][2];
    named_key hot[SHARED_KEYS];
    named_key overlapping[OVERLAPPING_KEYS];
    named_key append[APPEND_KEYS];
    named_key cold[COLD_KEYS];
    named_key permanent[PERMANENT_KEYS];
    named_key copy[COPY_KEYS];
    named_key counter;
    named_key flushed[FLUSHED_KEYS];
    named_key flushed_copy[FLUSHED_COPIES];
    named_key flushed_counter[FLUSHED_COUNTERS];
    named_key flushed_pair[GROUP_KEYS];
} key_set;

typedef struct worker {
    uint32_t id;
    uint32_t policy;
    int killed;                /* 1: workers are killed and stopped in this run: what was begun may have happened or not */
    int read_only;
    int stops_itself;          /* 1: stops between two stores now and then (instrumented build) */
    fc_cache *cache;
    fc_session *session;
    key_set *keys;
    worker_record *record;
    rng random;
    uint8_t *value;            /* what this worker writes, and what it reads */
    uint8_t *buffer;
    uint64_t single_seen[WORKERS_MAX * SINGLES_PER_WORKER];
    uint64_t pair_seen[WORKERS_MAX * PAIRS_PER_WORKER];
    uint8_t pair_met[WORKERS_MAX * PAIRS_PER_WORKER];
} worker;

/* ------------------------------------------------------------------ keys */

static inline void name_key(const fc_cache *cache, named_key *named, uint32_t database, char family, uint32_t number)
{
    uint32_t pad = number * 7 % 40;
    int length = snprintf(named->name, sizeof named->name, "%c%u", family, number);
    memset(named->name + length, '.', pad);
    named->id = (uint32_t)family << 16 | number;
    CHECK_OK(fc_key_init(cache, database, named->name, (uint64_t)length + pad, &named->key));
}

static inline void name_keys(const fc_cache *cache, key_set *keys)
{
    for (uint32_t i = 0; i < WORKERS_MAX * SINGLES_PER_WORKER; i++) name_key(cache, &keys->single[i], 0, 'S', i);
    for (uint32_t i = 0; i < WORKERS_MAX * PAIRS_PER_WORKER; i++)
        for (uint32_t j = 0; j < GROUP_KEYS; j++) name_key(cache, &keys->pair[i][j], 0, 'P', i * GROUP_KEYS + j);
    for (uint32_t i = 0; i < WORKERS_MAX; i++)
        for (uint32_t j = 0; j < 2; j++) name_key(cache, &keys->swap[i][j], 0, 'W', i * 2 + j);
    for (uint32_t i = 0; i < SHARED_KEYS; i++) name_key(cache, &keys->hot[i], 0, 'H', i);
    for (uint32_t i = 0; i < OVERLAPPING_KEYS; i++) name_key(cache, &keys->overlapping[i], 0, 'Q', i);
    for (uint32_t i = 0; i < APPEND_KEYS; i++) name_key(cache, &keys->append[i], 0, 'A', i);
    for (uint32_t i = 0; i < COLD_KEYS; i++) name_key(cache, &keys->cold[i], 0, 'K', i);
    for (uint32_t i = 0; i < PERMANENT_KEYS; i++) name_key(cache, &keys->permanent[i], 0, 'D', i);
    for (uint32_t i = 0; i < COPY_KEYS; i++) name_key(cache, &keys->copy[i], 0, 'Y', i);
    name_key(cache, &keys->counter, 0, 'C', 0);
    for (uint32_t i = 0; i < FLUSHED_KEYS; i++) name_key(cache, &keys->flushed[i], 1, 'F', i);
    for (uint32_t i = 0; i < FLUSHED_COPIES; i++) name_key(cache, &keys->flushed_copy[i], 1, 'Z', i);
    for (uint32_t i = 0; i < FLUSHED_COUNTERS; i++) name_key(cache, &keys->flushed_counter[i], 1, 'N', i);
    for (uint32_t i = 0; i < GROUP_KEYS; i++) name_key(cache, &keys->flushed_pair[i], 1, 'G', i);
}

/* Calls `visit` for every key of the set: it is nothing but named_keys. */
static inline void for_each_key(key_set *keys, void (*visit)(fc_session *session, named_key *named), fc_session *session)
{
    named_key *all = (named_key *)keys;
    for (size_t i = 0; i < sizeof *keys / sizeof *all; i++) visit(session, &all[i]);
}

/* ------------------------------------------------------------------ outcomes */

static inline int evicts(const worker *self) { return self->policy != FC_POLICY_NOEVICTION; }

/* 1 if the write was done; 0 if it was refused in a way that this run allows; anything else fails. */
static inline int written(worker *self, fc_status status, const char *what, const named_key *named)
{
    if (status == FC_OK) return 1;
    if (status == FC_OUT_OF_MEMORY) fc_counter_add(&self->record->out_of_memory, 1);
    else if (status == FC_BUSY && self->killed) fc_counter_add(&self->record->busy, 1);
    else fail("worker %u: %s of %.12s: %s", self->id, what, named->name, describe(status));
    return 0;
}

/* 1 if a value was read; 0 for a miss, or CONTENDED, which is counted. */
static inline int was_read(worker *self, fc_status status, const char *what, const named_key *named)
{
    if (status == FC_OK) return 1;
    if (status == FC_MISS) fc_counter_add(&self->record->misses, 1);
    else if (status == FC_CONTENDED) fc_counter_add(&self->record->contended, 1);
    else fail("worker %u: %s of %.12s: %s", self->id, what, named->name, describe(status));
    return 0;
}

static inline void verify(worker *self, const char *what, const named_key *named, uint32_t id, const uint8_t *value, uint64_t there, uint64_t bytes, value_header *header)
{
    const char *wrong = check_value(value, there, bytes, id, header);
    if (wrong != NULL) fail("worker %u: %s of %.12s: %s (%" PRIu64 " bytes, sequence %" PRIu64 ")", self->id, what, named->name, wrong, bytes, header->sequence);
}

/* ------------------------------------------------------------------ S: one writer */

static inline void single_set(worker *self)
{
    uint32_t which = (uint32_t)below(&self->random, SINGLES_PER_WORKER);
    named_key *named = &self->keys->single[self->id * SINGLES_PER_WORKER + which];
    uint64_t *begun = &self->record->single_begun[which], *done = &self->record->single_done[which];
    uint64_t bytes = random_length(&self->random, HEADER_BYTES);
    fc_set_options set_options = {0};
    fc_set_result result;
    value_header header;
    uint64_t before = fc_load_relaxed(done);
    fc_counter_add(begun, 1);
    fill_value(self->value, bytes, named->id, self->id, fc_load_relaxed(begun), 0);
    if (below(&self->random, 3) == 0) {
        set_options.flags = FC_SET_GET;
        set_options.old_buffer = self->buffer;
        set_options.old_buffer_bytes = VALUE_BYTES_MAX;
    }
    fc_compiler_order();
    fc_status status = fc_set(self->session, &named->key, self->value, bytes, &set_options, &result);
    if (!written(self, status, "set", named)) return;
    fc_store_relaxed(done, fc_load_relaxed(begun));
    if (set_options.flags != FC_SET_GET) return;
    if (!result.old_exists) {
        if (before != 0 && !evicts(self)) fail("worker %u: set with GET of %.12s: the value of sequence %" PRIu64 " is lost", self->id, named->name, before);
        return;
    }
    verify(self, "set with GET", named, named->id, self->buffer, result.old_bytes, result.old_bytes, &header);
    if (header.sequence < before || header.sequence >= fc_load_relaxed(begun) || (header.sequence != before && !self->killed)) fail("worker %u: set with GET of %.12s found sequence %" PRIu64 ", not %" PRIu64, self->id, named->name, header.sequence, before);
}

static inline void single_check(worker *self, uint32_t index, fc_status status, const char *what, uint64_t there, uint64_t bytes)
{
    named_key *named = &self->keys->single[index];
    value_header header;
    if (!was_read(self, status, what, named)) {
        if (status == FC_MISS && self->single_seen[index] != 0 && !evicts(self))
            fail("worker %u: %s of %.12s: missing after sequence %" PRIu64, self->id, what, named->name, self->single_seen[index]);
        return;
    }
    verify(self, what, named, named->id, self->buffer, there, bytes, &header);
    if (there < HEADER_BYTES) return;
    if (header.sequence < self->single_seen[index])
        fail("worker %u: %s of %.12s: sequence %" PRIu64 " after %" PRIu64, self->id, what, named->name, header.sequence, self->single_seen[index]);
    self->single_seen[index] = header.sequence;
}

static inline void single_get(worker *self)
{
    uint32_t index = (uint32_t)below(&self->random, options.workers * SINGLES_PER_WORKER);
    named_key *named = &self->keys->single[index];
    uint64_t bytes = 0;
    fc_entry entry;
    fc_status status;
    switch (below(&self->random, 4)) {
    case 0:
        status = fc_get_entry(self->session, &named->key, self->buffer, VALUE_BYTES_MAX, &entry);
        single_check(self, index, status, "get_entry", entry.value_bytes, status == FC_OK ? entry.value_bytes : 0);
        break;
    case 1: {
        uint64_t wanted = HEADER_BYTES + below(&self->random, VALUE_BYTES_MAX - HEADER_BYTES);
        status = fc_get_range(self->session, &named->key, 0, (int64_t)wanted - 1, self->buffer, VALUE_BYTES_MAX, &bytes);
        if (status == FC_OK && bytes == 0) status = FC_MISS; /* that is how GETRANGE answers; no S value is empty */
        uint64_t whole = bytes;
        if (status == FC_OK && bytes >= HEADER_BYTES) memcpy(&whole, self->buffer + offsetof(value_header, bytes), sizeof whole);
        if (status == FC_OK && bytes < wanted && whole != bytes) fail("worker %u: get_range of %.12s gave %" PRIu64 " of %" PRIu64 " bytes", self->id, named->name, bytes, whole);
        single_check(self, index, status, "get_range", bytes, whole);
        break;
    }
    default:
        status = fc_get(self->session, &named->key, self->buffer, VALUE_BYTES_MAX, &bytes);
        single_check(self, index, status, "get", bytes, bytes);
    }
}

/* Replaces the head of somebody's value while its nodes stay. */
static inline void single_expire(worker *self)
{
    named_key *named = &self->keys->single[below(&self->random, options.workers * SINGLES_PER_WORKER)];
    fc_status status = below(&self->random, 2) ? fc_expire(self->session, &named->key, FAR_FUTURE_NS + below(&self->random, 1000), 0) : fc_persist(self->session, &named->key);
    if (status != FC_MISS && status != FC_NOT_STORED) (void)written(self, status, "expire", named);
}

static inline void single_get_many(worker *self)
{
    fc_key keys[4];
    fc_read reads[4];
    uint32_t indices[4];
    uint64_t piece = VALUE_BYTES_MAX / 4;
    for (uint32_t i = 0; i < 4; i++) {
        indices[i] = (uint32_t)below(&self->random, options.workers * SINGLES_PER_WORKER);
        keys[i] = self->keys->single[indices[i]].key;
        reads[i] = (fc_read){.buffer = self->value + i * piece, .buffer_bytes = piece};
    }
    CHECK_OK(fc_get_many(self->session, keys, reads, 4));
    for (uint32_t i = 0; i < 4; i++) {
        if (reads[i].status == FC_BUFFER_SMALL) continue;
        if (reads[i].status == FC_OK) memcpy(self->buffer, reads[i].buffer, reads[i].value_bytes);
        single_check(self, indices[i], reads[i].status, "get_many", reads[i].value_bytes, reads[i].value_bytes);
    }
}

/* ------------------------------------------------------------------ H: everybody */

static inline void hot_write(worker *self)
{
    named_key *named = &self->keys->hot[below(&self->random, SHARED_KEYS)];
    uint64_t bytes = random_length(&self->random, 0);
    fc_set_options set_options = {0};
    fc_entry entry;
    uint64_t length = 0;
    value_header header;
    fc_status status;
    fill_value(self->value, bytes, named->id, self->id, self->record->operations, 0);
    switch (below(&self->random, 12)) {
    case 0: status = fc_delete(self->session, &named->key); break;
    case 1: status = fc_expire(self->session, &named->key, FAR_FUTURE_NS, (uint32_t)below(&self->random, 2) * FC_EXPIRE_NX); break;
    case 2: status = fc_expire(self->session, &named->key, 1, 0); break;
    case 3: status = fc_persist(self->session, &named->key); break;
    case 4:
        status = fc_get_delete(self->session, &named->key, self->buffer, VALUE_BYTES_MAX, &length);
        if (status == FC_OK) verify(self, "get_delete", named, named->id, self->buffer, length, length, &header);
        break;
    case 5: /* a time in the past deletes, and the nodes of the value that never was go back */
        set_options.expires_unix_ns = 1 + below(&self->random, 2) * (UINT64_C(1) << 40);
        status = fc_set(self->session, &named->key, self->value, bytes, &set_options, NULL);
        break;
    case 6:
        status = fc_get_entry(self->session, &named->key, NULL, 0, &entry);
        if (status != FC_OK && status != FC_MISS) break;
        set_options.flags = FC_SET_VERSION;
        set_options.if_version = status == FC_OK ? entry.version : 0;
        status = fc_set(self->session, &named->key, self->value, bytes, &set_options, NULL);
        break;
    case 7: /* gone in a moment */
        set_options.expires_unix_ns = fc_clock_unix_ns() + below(&self->random, 2000000);
        status = fc_set(self->session, &named->key, self->value, bytes, &set_options, NULL);
        break;
    default:
        set_options.flags = (uint32_t[]){0, 0, FC_SET_NX, FC_SET_XX, FC_SET_KEEPTTL}[below(&self->random, 5)];
        status = fc_set(self->session, &named->key, self->value, bytes, &set_options, NULL);
    }
    if (status == FC_MISS || status == FC_NOT_STORED || status == FC_VERSION_MISMATCH || status == FC_CONTENDED) return;
    (void)written(self, status, "a hot write", named);
}

static inline void hot_get(worker *self)
{
    named_key *named = &self->keys->hot[below(&self->random, SHARED_KEYS)];
    uint64_t bytes = 0;
    uint32_t type;
    value_header header;
    if (was_read(self, fc_get(self->session, &named->key, self->buffer, VALUE_BYTES_MAX, &bytes), "get", named))
        verify(self, "get", named, named->id, self->buffer, bytes, bytes, &header);
    fc_status status = fc_type(self->session, &named->key, &type);
    if (status != FC_CONTENDED) CHECK(status == FC_OK && (type == FC_TYPE_STRING || type == FC_TYPE_NONE));
}

/* ------------------------------------------------------------------ C: the counter */

static inline void counter_increment(worker *self)
{
    int64_t value;
    fc_counter_add(&self->record->counter_begun, 1);
    fc_compiler_order();
    fc_status status = fc_increment(self->session, &self->keys->counter.key, 1, &value);
    fc_compiler_order();
    if (written(self, status, "increment", &self->keys->counter)) fc_counter_add(&self->record->counter_done, 1);
    else fc_store_relaxed(&self->record->counter_begun, fc_load_relaxed(&self->record->counter_begun) - 1);
}

/* ------------------------------------------------------------------ P: groups with one writer */

static inline uint64_t set_group(worker *self, named_key *group, uint32_t count, uint64_t sequence, uint64_t extra, fc_status *status)
{
    fc_key keys[OVERLAPPING_KEYS];
    fc_write writes[OVERLAPPING_KEYS] = {0};
    uint8_t *at = self->value;
    uint32_t rotate = (uint32_t)below(&self->random, count);
    for (uint32_t i = 0; i < count; i++) {
        named_key *named = &group[(i + rotate) % count];
        uint64_t bytes = below(&self->random, 24) == 0 ? 16000 + below(&self->random, 4000) : HEADER_BYTES + below(&self->random, 400);
        fill_value(at, bytes, named->id, self->id, sequence, extra);
        keys[i] = named->key;
        writes[i].value = at;
        writes[i].value_bytes = bytes;
        at += bytes;
    }
    *status = fc_set_many(self->session, keys, writes, count, 0);
    return sequence;
}

static inline void pair_set(worker *self)
{
    uint32_t which = (uint32_t)below(&self->random, PAIRS_PER_WORKER);
    fc_status status;
    fc_counter_add(&self->record->pair_begun[which], 1);
    fc_compiler_order();
    uint64_t sequence = set_group(self, self->keys->pair[self->id * PAIRS_PER_WORKER + which], GROUP_KEYS, fc_load_relaxed(&self->record->pair_begun[which]), 0, &status);
    if (written(self, status, "set_many", self->keys->pair[self->id * PAIRS_PER_WORKER + which])) fc_store_relaxed(&self->record->pair_done[which], sequence);
}

/* Reads a group as one cut. Returns FC_OK; headers[i].bytes is 0 for a missing key. */
static inline fc_status cut_group(worker *self, named_key *const *group, uint32_t count, value_header *headers)
{
    fc_key keys[OVERLAPPING_KEYS];
    fc_read reads[OVERLAPPING_KEYS];
    uint64_t piece = 20016;
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = group[i]->key;
        reads[i] = (fc_read){.buffer = self->buffer + i * piece, .buffer_bytes = piece};
    }
    fc_status status = fc_get_cut(self->session, keys, reads, count);
    if (status == FC_CONTENDED) {
        fc_counter_add(&self->record->contended, 1);
        return status;
    }
    if (status != FC_OK) fail("worker %u: get_cut of %.12s: %s", self->id, group[0]->name, describe(status));
    for (uint32_t i = 0; i < count; i++) {
        headers[i] = (value_header){0};
        if (reads[i].status == FC_MISS) continue;
        if (reads[i].status != FC_OK) fail("worker %u: get_cut of %.12s: %s", self->id, group[i]->name, describe(reads[i].status));
        verify(self, "get_cut", group[i], group[i]->id, reads[i].buffer, reads[i].value_bytes, reads[i].value_bytes, &headers[i]);
    }
    return FC_OK;
}

/* All values of the cut are of one write; and, unless keys are evicted, all are there or none. */
static inline void check_group(worker *self, named_key *const *group, uint32_t count, const value_header *headers)
{
    uint32_t missing = 0, first = count;
    for (uint32_t i = 0; i < count; i++) {
        if (headers[i].bytes == 0) {
            missing++;
            continue;
        }
        if (first == count) first = i;
        if (headers[i].sequence != headers[first].sequence || headers[i].writer != headers[first].writer)
            fail("worker %u: in one cut %.12s has sequence %" PRIu64 " of worker %u and %.12s has %" PRIu64 " of worker %u", self->id, group[first]->name,
                 headers[first].sequence, headers[first].writer, group[i]->name, headers[i].sequence, headers[i].writer);
    }
    if (missing != 0 && missing != count && !evicts(self)) fail("worker %u: in one cut %u of %u keys of %.12s are missing", self->id, missing, count, group[0]->name);
}

static inline void pair_cut(worker *self)
{
    uint32_t index = (uint32_t)below(&self->random, options.workers * PAIRS_PER_WORKER);
    named_key *group[GROUP_KEYS];
    value_header headers[GROUP_KEYS];
    uint32_t rotate = (uint32_t)below(&self->random, GROUP_KEYS);
    for (uint32_t i = 0; i < GROUP_KEYS; i++) group[i] = &self->keys->pair[index][(i + rotate) % GROUP_KEYS];
    if (cut_group(self, group, GROUP_KEYS, headers) != FC_OK) return;
    check_group(self, group, GROUP_KEYS, headers);
    for (uint32_t i = 0; i < GROUP_KEYS; i++) {
        if (headers[i].bytes == 0) {
            if (self->pair_met[index] && !evicts(self)) fail("worker %u: get_cut: %.12s is missing", self->id, group[i]->name);
            continue;
        }
        self->pair_met[index] = 1;
        if (headers[i].sequence < self->pair_seen[index])
            fail("worker %u: get_cut of %.12s: sequence %" PRIu64 " after %" PRIu64, self->id, group[i]->name, headers[i].sequence, self->pair_seen[index]);
        self->pair_seen[index] = headers[i].sequence;
    }
}

/* Plain gets one after the other: a later one never shows an older state of the group. */
static inline void pair_gets(worker *self)
{
    uint32_t index = (uint32_t)below(&self->random, options.workers * PAIRS_PER_WORKER);
    for (uint32_t i = 0; i < 2 * GROUP_KEYS; i++) {
        named_key *named = &self->keys->pair[index][below(&self->random, GROUP_KEYS)];
        uint64_t bytes = 0;
        value_header header;
        fc_status status = fc_get(self->session, &named->key, self->buffer, VALUE_BYTES_MAX, &bytes);
        if (!was_read(self, status, "get", named)) {
            if (status == FC_MISS && self->pair_met[index] && !evicts(self)) fail("worker %u: get of %.12s: missing after it was there", self->id, named->name);
            continue;
        }
        self->pair_met[index] = 1;
        verify(self, "get", named, named->id, self->buffer, bytes, bytes, &header);
        if (header.sequence < self->pair_seen[index])
            fail("worker %u: get of %.12s: new, then old: sequence %" PRIu64 " after %" PRIu64, self->id, named->name, header.sequence, self->pair_seen[index]);
        self->pair_seen[index] = header.sequence;
    }
}

/* ------------------------------------------------------------------ Q: overlapping groups with many writers */

/* Everybody writes all keys, or deletes all keys, at once: in every cut they are equal, or all missing. */
static inline void overlapping_set(worker *self)
{
    fc_status status;
    uint64_t sequence = fc_fetch_add(&shared->shared_sequence, 1) + 1;
    if (below(&self->random, 8) == 0) {
        fc_key keys[OVERLAPPING_KEYS];
        fc_write writes[OVERLAPPING_KEYS] = {0};
        for (uint32_t i = 0; i < OVERLAPPING_KEYS; i++) keys[i] = self->keys->overlapping[OVERLAPPING_KEYS - 1 - i].key;
        status = fc_set_many(self->session, keys, writes, OVERLAPPING_KEYS, 0);
    } else {
        (void)set_group(self, self->keys->overlapping, OVERLAPPING_KEYS, sequence, 0, &status);
    }
    (void)written(self, status, "set_many", self->keys->overlapping);
}

static inline void overlapping_cut(worker *self)
{
    uint32_t count = 2 + (uint32_t)below(&self->random, OVERLAPPING_KEYS - 1);
    uint32_t from = (uint32_t)below(&self->random, OVERLAPPING_KEYS);
    named_key *group[OVERLAPPING_KEYS];
    value_header headers[OVERLAPPING_KEYS];
    for (uint32_t i = 0; i < count; i++) group[i] = &self->keys->overlapping[(from + i) % OVERLAPPING_KEYS];
    if (cut_group(self, group, count, headers) == FC_OK) check_group(self, group, count, headers);
}

/* ------------------------------------------------------------------ W: renamed to and fro */

static inline void swap_move(worker *self)
{
    named_key *pair = self->keys->swap[self->id];
    uint64_t bytes = HEADER_BYTES + below(&self->random, 600);
    if (below(&self->random, 32) == 0) bytes = 20000;
    fc_status status = fc_rename(self->session, &pair[0].key, &pair[1].key, 0);
    if (status == FC_MISS) status = fc_rename(self->session, &pair[1].key, &pair[0].key, (uint8_t)below(&self->random, 2));
    if (status == FC_MISS) { /* the first time, or evicted */
        if (fc_load_relaxed(&self->record->swap_in_a) != 0 && !evicts(self)) fail("worker %u: rename of %.12s: it is at neither name", self->id, pair[0].name);
        fill_value(self->value, bytes, pair[0].id, self->id, 1, 0);
        fc_set_options set_options = {.flags = FC_SET_NX};
        status = fc_set(self->session, &pair[0].key, self->value, bytes, &set_options, NULL);
        if (status == FC_OK) fc_store_relaxed(&self->record->swap_in_a, 1);
    }
    if (status == FC_NOT_STORED && evicts(self)) return;
    (void)written(self, status, "rename", &pair[0]);
}

static inline void swap_cut(worker *self)
{
    uint32_t owner = (uint32_t)below(&self->random, options.workers);
    uint64_t is_set = fc_load_relaxed(&shared->workers[owner].swap_in_a);
    named_key *pair = self->keys->swap[owner];
    fc_key keys[2] = {pair[0].key, pair[1].key};
    uint64_t half = VALUE_BYTES_MAX / 2;
    fc_read reads[2] = {{.buffer = self->buffer, .buffer_bytes = half}, {.buffer = self->buffer + half, .buffer_bytes = half}};
    fc_status status = fc_get_cut(self->session, keys, reads, 2);
    if (!was_read(self, status, "get_cut", pair)) return;
    value_header header;
    uint32_t count = 0;
    for (uint32_t i = 0; i < 2; i++) {
        if (reads[i].status != FC_OK) continue;
        count++;
        verify(self, "get_cut", &pair[i], pair[0].id, reads[i].buffer, reads[i].value_bytes, reads[i].value_bytes, &header);
    }
    if (count > 1 || (count == 0 && is_set != 0 && !evicts(self))) fail("worker %u: in one cut %.12s is at %u of its two names", self->id, pair[0].name, count);
}

/* ------------------------------------------------------------------ A: appended records */

typedef struct append_record {
    uint32_t key;
    uint32_t writer;
    uint64_t sequence;
    uint64_t check;
} append_record;

static inline void append_add(worker *self)
{
    named_key *named = &self->keys->append[below(&self->random, APPEND_KEYS)];
    uint64_t bytes = 0;
    append_record records[8];
    uint32_t count = 1 + (uint32_t)below(&self->random, 8);
    for (uint32_t i = 0; i < count; i++) {
        fc_counter_add(&self->record->append_sequence, 1);
        records[i] = (append_record){.key = named->id, .writer = self->id, .sequence = fc_load_relaxed(&self->record->append_sequence)};
        records[i].check = mix(named->id ^ mix(records[i].sequence << 8 | self->id));
    }
    fc_status status = fc_append(self->session, &named->key, records, count * sizeof records[0], &bytes);
    if (!written(self, status, "append", named)) {
        bytes = VALUE_BYTES_MAX;
    }
    if (bytes < 40000) return;
    status = fc_delete(self->session, &named->key);
    if (status != FC_MISS) (void)written(self, status, "delete", named);
}

static inline void append_read(worker *self)
{
    named_key *named = &self->keys->append[below(&self->random, APPEND_KEYS)];
    uint64_t bytes = 0;
    uint64_t last[WORKERS_MAX] = {0};
    if (!was_read(self, fc_get(self->session, &named->key, self->buffer, VALUE_BYTES_MAX, &bytes), "get", named)) return;
    if (bytes % sizeof(append_record) != 0) fail("worker %u: get of %.12s: %" PRIu64 " bytes are no whole records", self->id, named->name, bytes);
    for (uint64_t at = 0; at < bytes; at += sizeof(append_record)) {
        append_record record;
        memcpy(&record, self->buffer + at, sizeof record);
        if (record.key != named->id || record.writer >= WORKERS_MAX || record.check != mix(record.key ^ mix(record.sequence << 8 | record.writer)))
            fail("worker %u: get of %.12s: torn record at %" PRIu64 " of %" PRIu64, self->id, named->name, at, bytes);
        if (record.sequence <= last[record.writer])
            fail("worker %u: get of %.12s: record %" PRIu64 " of worker %u after %" PRIu64, self->id, named->name, record.sequence, record.writer, last[record.writer]);
        last[record.writer] = record.sequence;
    }
}

/* ------------------------------------------------------------------ K, D, Y: memory pressure, scans, copies */

static inline void cold_write(worker *self)
{
    named_key *named = &self->keys->cold[below(&self->random, COLD_KEYS)];
    uint64_t bytes = random_length(&self->random, 0);
    /* Under noeviction half of the writes delete, and after a refusal whole neighbourhoods go, so that the segment breathes. */
    if (!evicts(self) && below(&self->random, 2) == 0) {
        fc_status status = fc_delete(self->session, &named->key);
        if (status != FC_MISS) (void)written(self, status, "delete", named);
        return;
    }
    fill_value(self->value, bytes, named->id, self->id, self->record->operations, 0);
    fc_status status = fc_set(self->session, &named->key, self->value, bytes, NULL, NULL);
    if (written(self, status, "set", named)) return;
    for (uint32_t i = 0; i < 20; i++) {
        named = &self->keys->cold[below(&self->random, COLD_KEYS)];
        status = fc_delete(self->session, &named->key);
        if (status != FC_MISS) (void)written(self, status, "delete", named);
    }
}

static inline void cold_get(worker *self)
{
    named_key *named = &self->keys->cold[below(&self->random, COLD_KEYS)];
    uint64_t bytes = 0;
    value_header header;
    if (was_read(self, fc_get(self->session, &named->key, self->buffer, VALUE_BYTES_MAX, &bytes), "get", named))
        verify(self, "get", named, named->id, self->buffer, bytes, bytes, &header);
}

typedef struct scan_state {
    uint32_t permanent;
    uint64_t visited;
} scan_state;

static inline int32_t visit_key(void *context, const void *key, uint32_t key_bytes, uint32_t type)
{
    scan_state *state = context;
    const char *text = key;
    char digits[8] = {0};
    CHECK(type == FC_TYPE_STRING && key_bytes >= 2 && key_bytes < KEY_NAME_BYTES);
    CHECK(strchr("SHCPQWAKDY", text[0]) != NULL);
    state->visited++;
    if (text[0] != 'D') return 0;
    memcpy(digits, text + 1, key_bytes - 1 < 7 ? key_bytes - 1 : 7);
    state->permanent |= 1u << atoi(digits);
    return 0;
}

static inline void scan_all(worker *self)
{
    scan_state state = {0};
    uint64_t cursor = 0;
    do {
        fc_status status = fc_scan(self->session, 0, &cursor, 1 + below(&self->random, 50), visit_key, &state);
        if (status == FC_CONTENDED) return;
        CHECK_OK(status);
    } while (cursor != 0);
    if (!evicts(self) && state.permanent != (1u << PERMANENT_KEYS) - 1) fail("worker %u: a scan that met %" PRIu64 " keys missed permanent ones: %x", self->id, state.visited, state.permanent);
    char key[KEY_NAME_BYTES];
    uint64_t key_bytes;
    fc_status status = fc_random_key(self->session, 0, key, sizeof key, &key_bytes);
    if (status != FC_CONTENDED && status != FC_MISS) CHECK_OK(status);
}

static inline void copy_value(worker *self)
{
    named_key *source = &self->keys->single[below(&self->random, options.workers * SINGLES_PER_WORKER)];
    named_key *target = &self->keys->copy[below(&self->random, COPY_KEYS)];
    uint64_t bytes = 0;
    value_header header;
    fc_status status = fc_copy(self->session, &source->key, &target->key, (uint8_t)below(&self->random, 2));
    if (status != FC_MISS && status != FC_NOT_STORED) (void)written(self, status, "copy", target);
    if (!was_read(self, fc_get(self->session, &target->key, self->buffer, VALUE_BYTES_MAX, &bytes), "get", target)) return;
    memcpy(&header, self->buffer, sizeof header);
    if (bytes < HEADER_BYTES || header.key >> 16 != 'S') fail("worker %u: get of %.12s: no copy of an S value", self->id, target->name);
    verify(self, "get of a copy", target, header.key, self->buffer, bytes, bytes, &header);
}

/* ------------------------------------------------------------------ F: the database that is flushed */

/* Worker 0: fills the database, then flushes it. */
static inline void flush_cycle(worker *self)
{
    uint64_t cycle = fc_load_relaxed(&shared->flush_done) + 1;
    char text[32];
    fc_status status;
    for (uint32_t i = 0; i < FLUSHED_KEYS; i++) {
        named_key *named = &self->keys->flushed[i];
        uint64_t bytes = random_length(&self->random, HEADER_BYTES) / (i == 0 ? 1 : 8);
        if (bytes < HEADER_BYTES) bytes = HEADER_BYTES;
        fill_value(self->value, bytes, named->id, self->id, 1, cycle);
        (void)written(self, fc_set(self->session, &named->key, self->value, bytes, NULL, NULL), "set", named);
    }
    for (uint32_t i = 0; i < FLUSHED_COUNTERS; i++) {
        int length = snprintf(text, sizeof text, "%" PRId64, (int64_t)cycle * FLUSH_UNIT);
        named_key *named = &self->keys->flushed_counter[i];
        (void)written(self, fc_set(self->session, &named->key, text, (uint64_t)length, NULL, NULL), "set", named);
    }
    for (uint64_t i = below(&self->random, 40); i > 0; i--) {
        (void)set_group(self, self->keys->flushed_pair, GROUP_KEYS, fc_fetch_add(&shared->shared_sequence, 1) + 1, cycle, &status);
        (void)written(self, status, "set_many", self->keys->flushed_pair);
    }
    fc_store_relaxed(&shared->flush_begun, cycle);
    CHECK_OK(fc_flush(self->session, 1));
    fc_store_release(&shared->flush_done, cycle);
}

/* The others: whatever they do, nothing comes back from before a finished flush. */
static inline void flushed_touch(worker *self)
{
    named_key *named = &self->keys->flushed[below(&self->random, FLUSHED_KEYS)];
    int64_t value;
    fc_status status = FC_OK;
    switch (below(&self->random, 5)) {
    case 0: status = fc_expire(self->session, &named->key, FAR_FUTURE_NS, 0); break;
    case 1: status = fc_persist(self->session, &named->key); break;
    case 2: status = fc_copy(self->session, &named->key, &self->keys->flushed_copy[below(&self->random, FLUSHED_COPIES)].key, 1); break;
    case 3:
        (void)set_group(self, self->keys->flushed_pair, GROUP_KEYS, fc_fetch_add(&shared->shared_sequence, 1) + 1, UINT64_MAX, &status);
        break;
    default: {
        uint64_t floor_cycle = fc_load_acquire(&shared->flush_done);
        status = fc_increment(self->session, &self->keys->flushed_counter[below(&self->random, FLUSHED_COUNTERS)].key, 1, &value);
        if (status == FC_OK && value >= FLUSH_UNIT && value / FLUSH_UNIT <= (int64_t)floor_cycle)
            fail("worker %u: increment after flush %" PRIu64 " gave %" PRId64, self->id, floor_cycle, value);
    }
    }
    if (status != FC_MISS && status != FC_NOT_STORED) (void)written(self, status, "a write to the flushed database", named);
}

static inline void flushed_read(worker *self)
{
    uint64_t floor_cycle = fc_load_acquire(&shared->flush_done), bytes = 0;
    uint32_t choice = (uint32_t)below(&self->random, 3);
    value_header header;
    if (choice == 0) {
        named_key *named = &self->keys->flushed_counter[below(&self->random, FLUSHED_COUNTERS)];
        if (!was_read(self, fc_get(self->session, &named->key, self->buffer, 64, &bytes), "get", named)) return;
        self->buffer[bytes] = 0;
        int64_t value = strtoll((char *)self->buffer, NULL, 10);
        if (value >= FLUSH_UNIT && value / FLUSH_UNIT <= (int64_t)floor_cycle) fail("worker %u: get of %.12s after flush %" PRIu64 " gave %" PRId64, self->id, named->name, floor_cycle, value);
    } else if (choice == 1) {
        uint32_t index = (uint32_t)below(&self->random, FLUSHED_KEYS + FLUSHED_COPIES);
        named_key *named = index < FLUSHED_KEYS ? &self->keys->flushed[index] : &self->keys->flushed_copy[index - FLUSHED_KEYS];
        if (!was_read(self, fc_get(self->session, &named->key, self->buffer, VALUE_BYTES_MAX, &bytes), "get", named)) return;
        memcpy(&header, self->buffer, sizeof header);
        verify(self, "get", named, index < FLUSHED_KEYS ? named->id : header.key, self->buffer, bytes, bytes, &header);
        if (header.extra <= floor_cycle) fail("worker %u: get of %.12s after flush %" PRIu64 " gave a value from before flush %" PRIu64, self->id, named->name, floor_cycle, header.extra);
    } else {
        named_key *group[GROUP_KEYS];
        value_header headers[GROUP_KEYS];
        for (uint32_t i = 0; i < GROUP_KEYS; i++) group[i] = &self->keys->flushed_pair[i];
        if (cut_group(self, group, GROUP_KEYS, headers) == FC_OK) check_group(self, group, GROUP_KEYS, headers);
    }
}

/* ------------------------------------------------------------------ the worker */

typedef struct operation {
    void (*run)(worker *self);
    uint32_t weight;
    int writes;
} operation;

static const operation operations[] = {
    {single_set, 14, 1},      {single_get, 24, 0},     {single_expire, 5, 1},   {single_get_many, 3, 0}, {hot_write, 14, 1},     {hot_get, 10, 0},
    {counter_increment, 6, 1}, {pair_set, 8, 1},       {pair_cut, 6, 0},        {pair_gets, 6, 0},       {overlapping_set, 5, 1}, {overlapping_cut, 5, 0},
    {swap_move, 6, 1},        {swap_cut, 6, 0},        {append_add, 6, 1},      {append_read, 4, 0},     {cold_write, 14, 1},    {cold_get, 6, 0},
    {scan_all, 1, 0},         {copy_value, 3, 1},      {flushed_touch, 8, 1},   {flushed_read, 8, 0},
};

static inline void open_worker(worker *self, fc_cache *cache, uint32_t id, uint32_t policy, uint64_t seed)
{
    memset(self, 0, sizeof *self);
    self->id = id;
    self->policy = policy;
    self->cache = cache;
    self->record = &shared->workers[id];
    self->random.state = seed;
    self->keys = malloc(sizeof *self->keys);
    self->value = malloc(2 * VALUE_BYTES_MAX);
    self->buffer = malloc(2 * VALUE_BYTES_MAX);
    CHECK(self->keys != NULL && self->value != NULL && self->buffer != NULL);
    name_keys(cache, self->keys);
    CHECK_OK(fc_session_open(cache, &self->session));
}

static inline void close_worker(worker *self)
{
    CHECK_OK(fc_session_close(self->session));
    free(self->keys);
    free(self->value);
    free(self->buffer);
}

static inline void run_operation(worker *self)
{
    static const uint32_t count = sizeof operations / sizeof operations[0];
    uint32_t total = 0;
    for (uint32_t i = 0; i < count; i++) total += operations[i].weight;
    uint64_t at = below(&self->random, total);
    uint32_t chosen = 0;
    while (at >= operations[chosen].weight) at -= operations[chosen++].weight;
    const operation *doing = &operations[chosen];
    if (doing->writes && self->read_only) return;
    fc_store_relaxed(&self->record->current_operation, chosen);
    if (doing->run == flushed_touch && self->id == 0) flush_cycle(self);
    else doing->run(self);
    fc_counter_add(&self->record->operations, 1);
}

/* Until the deadline, or until somebody fails. */
static inline void run_worker(worker *self, uint64_t deadline_ns)
{
    while (fc_load_relaxed(&shared->stop) == 0 && fc_load_relaxed(&shared->failed) == 0 && now_ns() < deadline_ns)
        for (uint32_t i = 0; i < 8; i++) {
            if (self->stops_itself && below(&self->random, 100) == 0) arm_signal(1 + below(&self->random, 60), SIGSTOP);
            run_operation(self);
        }
}

static inline void set_permanent(fc_session *session, key_set *keys)
{
    for (uint32_t i = 0; i < PERMANENT_KEYS; i++) CHECK_OK(fc_set(session, &keys->permanent[i].key, "there", 5, NULL, NULL));
}

#endif
