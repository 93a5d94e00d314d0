/* crash_ops.c -- the operations that are killed and stopped at every store, each in a world that makes it take the path its name says. */
#include "crash_harness.h"

#include "base/clock.h"
#include "memory/page.h"
#include "table/reclaim.h"
#include "table/transact.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SMALL 32u
#define MEDIUM 500u
#define CHAINED 20000u      /* one node */
#define LONG 70000u         /* two nodes and a rest in the head */
#define HOME 7u
#define OTHER_HOME 3u
#define FILLER 3000u        /* ten to a page */
#define SCRATCH_HOME 20u
/* Sessions that leave a segment of 1 MiB few pages, which then are quickly full. */
#define FEW_PAGES 80u
#define HOUR_NS INT64_C(3600000000000)
/* Far enough in the future for any run; a constant, so that the model knows it. */
#define EXPIRES_UNIX_NS UINT64_C(4000000000000000000)

static const fc_key *key_of(const crash_world *world, uint32_t index) { return &world->keys[index].key; }

static fc_status set_after(crash_world *world, fc_session *session, uint32_t index)
{
    const crash_value *value = &world->keys[index].after;
    fc_set_options options = {.expires_unix_ns = value->expires_unix_ns};
    return fc_set(session, key_of(world, index), value->data, value->bytes, &options, NULL);
}

static fc_status set_primary(crash_world *world, fc_session *session) { return set_after(world, session, world->primary); }
static fc_status delete_primary(crash_world *world, fc_session *session) { return fc_delete(session, key_of(world, world->primary)); }

/* A few keys that the op leaves alone, two of them in HOME and one in OTHER_HOME; then the primary key, in HOME. */
static void ordinary(crash_world *world)
{
    for (uint32_t i = 0; i < 6; i++) world_put(world, world_key(world, ANY_HOME, 0), SMALL, i);
    for (uint32_t i = 0; i < 2; i++) world_put(world, world_key(world, HOME, 0), SMALL, i);
    world_put(world, world_key(world, OTHER_HOME, 0), SMALL, 9);
    world->primary = world_key(world, HOME, 0);
}

static void ordinary_with(crash_world *world, uint64_t bytes)
{
    ordinary(world);
    world_put(world, world->primary, bytes, 100);
}

/* Gives the child's session blocks at hand: it sets and deletes a key of each size. */
static void warm_up(crash_world *world, fc_session *session)
{
    const uint64_t sizes[] = {SMALL, MEDIUM, 5, 200};
    fc_key key;
    static uint8_t zeroes[MEDIUM];
    (void)fc_key_init(world->cache, 0, "warm", 4, &key);
    for (uint32_t i = 0; i < 4; i++) {
        if (fc_set(session, &key, zeroes, sizes[i], NULL, NULL) != FC_OK || fc_delete(session, &key) != FC_OK) abort();
    }
}

/* ------------------------------------------------------------------ set */

static void setup_set_new(crash_world *world) { ordinary(world), world_expect_pattern(world, world->primary, SMALL, 1); }
static void setup_set_same(crash_world *world) { ordinary_with(world, SMALL), world_expect_pattern(world, world->primary, SMALL, 1); }
static void setup_set_other(crash_world *world) { ordinary_with(world, SMALL), world_expect_pattern(world, world->primary, MEDIUM, 1); }
static void setup_set_chained(crash_world *world) { ordinary(world), world_expect_pattern(world, world->primary, CHAINED, 1); }
static void setup_set_long(crash_world *world) { ordinary_with(world, SMALL), world_expect_pattern(world, world->primary, LONG, 1); }
static void setup_long_to_chained(crash_world *world) { ordinary_with(world, LONG), world_expect_pattern(world, world->primary, CHAINED, 1); }
static void setup_chained_to_small(crash_world *world) { ordinary_with(world, LONG), world_expect_pattern(world, world->primary, SMALL, 1); }
static void setup_set_expiring(crash_world *world)
{
    ordinary_with(world, SMALL);
    uint8_t *data = pattern(SMALL, 1);
    world_expect(world, world->primary, data, SMALL, EXPIRES_UNIX_NS);
    free(data);
}

/* A value whose time has come already deletes, though it has nodes in hand. */
static void setup_set_past(crash_world *world) { ordinary_with(world, SMALL), world_expect_missing(world, world->primary); }
static fc_status run_set_past(crash_world *world, fc_session *session)
{
    fc_set_options options = {.expires_unix_ns = 1};
    uint8_t *data = pattern(CHAINED, 1);
    fc_status status = fc_set(session, key_of(world, world->primary), data, CHAINED, &options, NULL);
    free(data);
    return status;
}

/* A write that is refused after its nodes were built. */
static void setup_set_refused(crash_world *world) { ordinary_with(world, SMALL); }
static fc_status run_set_refused(crash_world *world, fc_session *session)
{
    fc_set_options options = {.flags = FC_SET_NX};
    uint8_t *data = pattern(LONG, 1);
    fc_status status = fc_set(session, key_of(world, world->primary), data, LONG, &options, NULL);
    free(data);
    return status;
}

/* Every entry of HOME is taken. */
static void setup_extension(crash_world *world)
{
    ordinary(world);
    for (uint32_t i = 0; i < 4; i++) world_put(world, world_key(world, HOME, 0), SMALL, i);
    world_expect_pattern(world, world->primary, SMALL, 1);
}

/* Many blocks are out, so that magazines and pages change words in their middle. */
static void setup_set_among_many(crash_world *world)
{
    ordinary_with(world, SMALL);
    for (uint32_t i = 0; i < 150; i++) world_put(world, world_key(world, ANY_HOME, 0), SMALL, i);
    world_expect_pattern(world, world->primary, SMALL, 1);
}

/* ------------------------------------------------------------------ delete */

static void setup_delete(crash_world *world) { ordinary_with(world, SMALL), world_expect_missing(world, world->primary); }
static void setup_delete_chained(crash_world *world) { ordinary_with(world, LONG), world_expect_missing(world, world->primary); }
static void setup_delete_trim(crash_world *world)
{
    ordinary(world);
    for (uint32_t i = 0; i < 4; i++) world_put(world, world_key(world, HOME, 0), SMALL, i);
    world_put(world, world->primary, SMALL, 1);
    world_expect_missing(world, world->primary);
}

/* The last key leaves its third bucket, and the second is empty too. */
static void setup_delete_trim_two(crash_world *world)
{
    uint32_t between[6];
    ordinary(world);
    for (uint32_t i = 0; i < 4; i++) world_put(world, world_key(world, HOME, 0), SMALL, i);
    for (uint32_t i = 0; i < 6; i++) world_put(world, between[i] = world_key(world, HOME, 0), SMALL, i);
    world_put(world, world->primary, SMALL, 1);
    /* Not through fc_delete, which trims. */
    for (uint32_t i = 0; i < 6; i++) world_remove(world, between[i]);
    world_expect_missing(world, world->primary);
}

static void setup_get_delete(crash_world *world) { ordinary_with(world, MEDIUM), world_expect_missing(world, world->primary); }
static fc_status run_get_delete(crash_world *world, fc_session *session)
{
    uint64_t bytes;
    return fc_get_delete(session, key_of(world, world->primary), world->value, CRASH_VALUE_BYTES_MAX, &bytes);
}

/* ------------------------------------------------------------------ expiry */

static void expect_expiry(crash_world *world, uint64_t expires_unix_ns)
{
    const crash_value *value = &world->keys[world->primary].before;
    world_expect(world, world->primary, value->data, value->bytes, expires_unix_ns);
}

static void setup_expire(crash_world *world) { ordinary_with(world, SMALL), expect_expiry(world, EXPIRES_UNIX_NS); }
static void setup_expire_chained(crash_world *world) { ordinary_with(world, LONG), expect_expiry(world, EXPIRES_UNIX_NS); }
static fc_status run_expire(crash_world *world, fc_session *session) { return fc_expire(session, key_of(world, world->primary), EXPIRES_UNIX_NS, 0); }
static void setup_persist(crash_world *world)
{
    ordinary(world);
    if (world_try_put(world, world->primary, LONG, 3, EXPIRES_UNIX_NS) != FC_OK) abort();
    expect_expiry(world, 0);
}
static fc_status run_persist(crash_world *world, fc_session *session) { return fc_persist(session, key_of(world, world->primary)); }
static fc_status run_expire_past(crash_world *world, fc_session *session) { return fc_expire(session, key_of(world, world->primary), 1, 0); }

static fc_status get_expire(crash_world *world, fc_session *session, uint64_t expires_unix_ns)
{
    uint64_t bytes;
    return fc_get_expire(session, key_of(world, world->primary), world->value, CRASH_VALUE_BYTES_MAX, &bytes, expires_unix_ns, 0);
}
static fc_status run_get_expire(crash_world *world, fc_session *session) { return get_expire(world, session, EXPIRES_UNIX_NS); }
static fc_status run_get_persist(crash_world *world, fc_session *session) { return get_expire(world, session, 0); }
static fc_status run_get_expire_past(crash_world *world, fc_session *session) { return get_expire(world, session, 1); }

/* ------------------------------------------------------------------ strings */

static void setup_increment(crash_world *world) { ordinary(world), world_put_text(world, world->primary, "99"), world_expect(world, world->primary, "100",
    3, 0); }
static void setup_increment_new(crash_world *world) { ordinary(world), world_expect(world, world->primary, "1", 1, 0); }
static fc_status run_increment(crash_world *world, fc_session *session)
{
    int64_t value;
    return fc_increment(session, key_of(world, world->primary), 1, &value);
}
static void setup_increment_float(crash_world *world) { ordinary(world), world_put_text(world, world->primary, "1.5"), world_expect(world, world->primary,
    "3", 1, 0); }
static fc_status run_increment_float(crash_world *world, fc_session *session)
{
    static char text[FC_FLOAT_TEXT_BYTES];
    return fc_increment_float(session, key_of(world, world->primary), 1.5L, text, sizeof text);
}

static void setup_overlay(crash_world *world, uint64_t bytes, uint64_t at, uint64_t with)
{
    ordinary_with(world, bytes);
    uint8_t *data = pattern(at + with > bytes ? at + with : bytes, 100);
    uint8_t *tail = pattern(with, 5);
    memcpy(data + at, tail, with);
    world_expect(world, world->primary, data, at + with > bytes ? at + with : bytes, 0);
    free(data);
    free(tail);
    world->words[0] = at;
    world->words[1] = with;
}
static void setup_append(crash_world *world) { setup_overlay(world, SMALL, SMALL, 8); }
static void setup_append_chained(crash_world *world) { setup_overlay(world, 16000, 16000, 1000); }
static void setup_set_range(crash_world *world) { setup_overlay(world, CHAINED, 100, 40); }
static fc_status run_append(crash_world *world, fc_session *session)
{
    uint64_t bytes;
    uint8_t *tail = pattern(world->words[1], 5);
    fc_status status = fc_append(session, key_of(world, world->primary), tail, world->words[1], &bytes);
    free(tail);
    return status;
}
static fc_status run_set_range(crash_world *world, fc_session *session)
{
    uint64_t bytes;
    uint8_t *tail = pattern(world->words[1], 5);
    fc_status status = fc_set_range(session, key_of(world, world->primary), world->words[0], tail, world->words[1], &bytes);
    free(tail);
    return status;
}

/* ------------------------------------------------------------------ rename, copy */

/* primary is the source; words[0] the target. */
static void setup_transfer(crash_world *world, uint64_t bytes, uint64_t target_home, uint64_t target_bytes, int keep_source)
{
    ordinary_with(world, bytes);
    uint32_t target = world_key(world, target_home, 0);
    if (target_bytes > 0) world_put(world, target, target_bytes, 8);
    const crash_value *value = &world->keys[world->primary].before;
    world_expect(world, target, value->data, value->bytes, 0);
    if (!keep_source) world_expect_missing(world, world->primary);
    world->words[0] = target;
}
static void setup_rename_same_home(crash_world *world) { setup_transfer(world, SMALL, HOME, 0, 0); }
static void setup_rename_other_home(crash_world *world) { setup_transfer(world, SMALL, OTHER_HOME, 0, 0); }
static void setup_rename_over(crash_world *world) { setup_transfer(world, SMALL, OTHER_HOME, MEDIUM, 0); }
static void setup_rename_chained(crash_world *world) { setup_transfer(world, CHAINED, OTHER_HOME, CHAINED, 0); }
static void setup_copy(crash_world *world) { setup_transfer(world, SMALL, OTHER_HOME, 0, 1); }
static void setup_copy_chained(crash_world *world) { setup_transfer(world, CHAINED, HOME, SMALL, 1); }
static fc_status run_rename(crash_world *world, fc_session *session) { return fc_rename(session, key_of(world, world->primary), key_of(world,
    (uint32_t)world->words[0]), 0); }
static fc_status run_copy(crash_world *world, fc_session *session) { return fc_copy(session, key_of(world, world->primary), key_of(world,
    (uint32_t)world->words[0]), 1); }

/* ------------------------------------------------------------------ set_many */

/* Writes the `after` of every key that changes. */
static fc_status run_many_with(crash_world *world, fc_session *session, uint32_t flags)
{
    static fc_key keys[CRASH_KEYS_MAX];
    static fc_write writes[CRASH_KEYS_MAX];
    uint64_t count = 0;
    for (uint32_t i = 0; i < world->key_count; i++) {
        const crash_key *key = &world->keys[i];
        if (!key->changes) continue;
        keys[count] = key->key;
        writes[count++] = (fc_write){.value = key->after.exists ? key->after.data : NULL, .value_bytes = key->after.bytes};
    }
    return fc_set_many(session, keys, writes, count, flags);
}
static fc_status run_many(crash_world *world, fc_session *session) { return run_many_with(world, session, 0); }

static void setup_many(crash_world *world, uint32_t new_count, uint32_t old_count, uint32_t delete_count, uint64_t home)
{
    ordinary_with(world, SMALL);
    world_expect_pattern(world, world->primary, SMALL, 1);
    for (uint32_t i = 0; i < new_count; i++) world_expect_pattern(world, world_key(world, home, 0), SMALL, i);
    for (uint32_t i = 0; i < old_count + delete_count; i++) {
        uint32_t index = world_key(world, home, 0);
        world_put(world, index, i % 2 == 0 ? SMALL : MEDIUM, i);
        if (i < old_count) world_expect_pattern(world, index, SMALL, i + 50);
        else world_expect_missing(world, index);
    }
}
static void setup_many_3(crash_world *world) { setup_many(world, 1, 1, 0, ANY_HOME); }
static void setup_many_40(crash_world *world) { setup_many(world, 20, 19, 0, ANY_HOME); }
static void setup_many_deletes(crash_world *world) { setup_many(world, 2, 2, 3, ANY_HOME); }
static void setup_many_one_home(crash_world *world) { setup_many(world, 8, 1, 2, HOME); }
static void setup_many_chained(crash_world *world)
{
    setup_many(world, 0, 1, 1, ANY_HOME);
    uint32_t index = world_key(world, OTHER_HOME, 0);
    world_put(world, index, CHAINED, 6);
    world_expect_pattern(world, index, CHAINED, 7);
    world_expect_pattern(world, world_key(world, OTHER_HOME, 0), CHAINED, 8);
}

/* One key of several is there: nothing is written. words[0..]: which keys. */
static void setup_many_refused(crash_world *world)
{
    ordinary(world);
    for (uint32_t i = 0; i < 18; i++) world->words[0] = world_key(world, ANY_HOME, 0);
    world_put(world, (uint32_t)world->words[0], SMALL, 4);
}
static fc_status run_many_refused(crash_world *world, fc_session *session)
{
    fc_key keys[19];
    fc_write writes[19];
    for (uint32_t i = 0; i < 19; i++) {
        keys[i] = world->keys[world->primary + i].key;
        writes[i] = (fc_write){.value = "refused", .value_bytes = 7};
    }
    return fc_set_many(session, keys, writes, 19, FC_SET_MANY_NX);
}

/* ------------------------------------------------------------------ transactions */

/* Of every kind of change: the keys that change are to hold their `after`. words[1]: which database is emptied first, + 1. */
typedef struct crash_transaction {
    crash_world *world;
    uint32_t indexes[CRASH_KEYS_MAX];
    fc_key keys[CRASH_KEYS_MAX];
    uint64_t count;
} crash_transaction;

static fc_status stage_after(fc_transaction *t, void *context)
{
    const crash_transaction *all = context;
    if (all->world->words[1] > 0) FC_TRY(fc_transact_flush(t, (uint32_t)all->world->words[1] - 1));
    for (uint64_t i = 0; i < all->count; i++) {
        void *room;
        fc_transact_state state;
        const crash_key *key = &all->world->keys[all->indexes[i]];
        const crash_value *after = &key->after;
        fc_transact_look(t, i, &state);
        int is_same = key->before.exists && after->exists && key->before.bytes == after->bytes && memcmp(key->before.data, after->data, after->bytes) == 0;
        if (!key->changes) continue;
        if (!after->exists) fc_transact_delete(t, i);
        else if (is_same && state.type != FC_TYPE_NONE) FC_TRY(fc_transact_expire(t, i, after->expires_unix_ns));
        else {
            FC_TRY(fc_transact_edit(t, i, after->bytes, &room));
            memcpy(room, after->data, after->bytes);
            FC_TRY(fc_transact_expire(t, i, after->expires_unix_ns));
        }
    }
    return FC_OK;
}
static fc_status run_transact(crash_world *world, fc_session *session)
{
    static crash_transaction all;
    all.world = world;
    all.count = 0;
    for (uint32_t i = 0; i < world->key_count; i++) {
        if (!world->keys[i].changes && i > 3) continue; /* three that are only read */
        all.indexes[all.count] = i;
        all.keys[all.count++] = world->keys[i].key;
    }
    return fc_transact(session, all.keys, all.count, stage_after, &all);
}

/* A long value's expiry (its nodes stay), a short one's, values longer, shorter and new, and two keys that go. */
static void setup_transact(crash_world *world)
{
    ordinary_with(world, LONG);
    expect_expiry(world, EXPIRES_UNIX_NS);
    const uint64_t before[] = {SMALL, SMALL, MEDIUM, CHAINED, SMALL, 0, 0}, after[] = {SMALL, MEDIUM, 0, 0, CHAINED, SMALL, MEDIUM};
    for (uint32_t i = 0; i < 7; i++) {
        uint32_t index = world_key(world, i % 2 == 0 ? HOME : ANY_HOME, 0);
        if (before[i] > 0) world_put(world, index, before[i], i);
        if (after[i] > 0) {
            uint8_t *data = pattern(after[i], i == 0 ? 0 : i + 50);
            world_expect(world, index, data, after[i], i < 2 ? EXPIRES_UNIX_NS : 0);
            free(data);
        } else world_expect_missing(world, index);
    }
}

/* More ops than the slot holds. */
static void setup_transact_many(crash_world *world)
{
    setup_transact(world);
    for (uint32_t i = 0; i < 20; i++) {
        uint32_t index = world_key(world, ANY_HOME, i % 3);
        world_put(world, index, SMALL, i);
        world_expect_pattern(world, index, i % 4 == 0 ? MEDIUM : SMALL, i + 50);
    }
}

/* The database is emptied first: another instant, so the keys change one by one. */
static void setup_transact_flush(crash_world *world)
{
    ordinary_with(world, SMALL);
    world_put(world, world_key(world, HOME, 1), SMALL, 1);
    uint32_t written = world_key(world, HOME, 0);
    for (uint32_t i = 0; i < world->key_count; i++)
        if (world->keys[i].key.database == 0 && i != written) world_expect_missing(world, i);
    world_expect_pattern(world, written, MEDIUM, 3);
    world->words[1] = 1;
}

/* ------------------------------------------------------------------ flush, sweep */

static void setup_flush(crash_world *world)
{
    ordinary_with(world, SMALL);
    uint32_t other = world_key(world, HOME, 1);
    world_put(world, other, SMALL, 1);
    for (uint32_t i = 0; i < world->key_count; i++)
        if (i != other) world_expect_missing(world, i);
}
static fc_status run_flush(crash_world *world, fc_session *session)
{
    (void)world;
    return fc_flush(session, 0);
}
static void setup_flush_all(crash_world *world)
{
    setup_flush(world);
    for (uint32_t i = 0; i < world->key_count; i++) world_expect_missing(world, i);
}
static fc_status run_flush_all(crash_world *world, fc_session *session)
{
    (void)world;
    return fc_flush_all(session);
}

static void forget_all_of_database(crash_world *world, uint32_t database)
{
    for (uint32_t i = 0; i < world->key_count; i++) {
        crash_key *key = &world->keys[i];
        if (key->key.database != database) continue;
        free(key->before.data);
        key->before = key->after = (crash_value){0};
        key->changes = 0;
    }
}

static void setup_sweep(crash_world *world)
{
    ordinary_with(world, LONG);
    for (uint32_t i = 0; i < 6; i++) world_put(world, world_key(world, HOME, 0), SMALL, 1);
    world_put(world, world_key(world, HOME, 1), SMALL, 1);
    if (fc_flush(world->session, 0) != FC_OK) abort();
    forget_all_of_database(world, 0);
}
static void setup_sweep_expired(crash_world *world)
{
    ordinary_with(world, SMALL);
    for (uint32_t i = 0; i < 5; i++) world_put(world, world_key(world, HOME, 0), SMALL, 1);
    fc_clock_shift_for_test(-HOUR_NS);
    uint64_t expires = fc_clock_unix_ns() + 1000;
    for (uint32_t i = 0; i < 6; i++) {
        uint32_t index = world_key(world, i % 2 == 0 ? HOME : ANY_HOME, 0);
        if (world_try_put(world, index, i == 3 ? CHAINED : SMALL, i, expires + UINT64_C(1000000000)) != FC_OK) abort();
        free(world->keys[index].before.data);
        world->keys[index].before = world->keys[index].after = (crash_value){0};
    }
    fc_clock_shift_for_test(0);
}
static fc_status run_sweep(crash_world *world, fc_session *session)
{
    (void)world;
    session->writing = 1;
    (void)fc_reclaim_sweep(session, session->home_count);
    session->writing = 0;
    return FC_OK;
}

/* ------------------------------------------------------------------ a full segment */

static void setup_full(crash_world *world, uint64_t filler_bytes, uint64_t primary_bytes)
{
    ordinary(world);
    (void)world_fill(world, filler_bytes);
    world_expect_pattern(world, world->primary, primary_bytes, 1);
}
static void setup_evict(crash_world *world) { setup_full(world, FILLER, FILLER); }
static void setup_evict_chained(crash_world *world) { setup_full(world, CHAINED, LONG); }
static void setup_evict_shift(crash_world *world) { setup_full(world, FILLER, MEDIUM); }
static void setup_evict_pages(crash_world *world) { setup_full(world, FILLER, LONG); }
static void setup_evict_many(crash_world *world)
{
    setup_full(world, FILLER, FILLER);
    for (uint32_t i = 0; i < 18; i++) world_expect_pattern(world, world_key(world, i % 4 == 0 ? HOME : ANY_HOME, 0), i % 3 == 0 ? FILLER : MEDIUM, i);
}
static void setup_evict_extension(crash_world *world)
{
    ordinary(world);
    for (uint32_t i = 0; i < 4; i++) world_put(world, world_key(world, HOME, 0), SMALL, i);
    (void)world_fill(world, FILLER);
    world_expect_pattern(world, world->primary, SMALL, 1);
}

/* Every other block of one class is free, and another class wants a page: noeviction, so pages are emptied by moving. */
static void setup_compact(crash_world *world, uint64_t primary_bytes)
{
    ordinary(world);
    uint32_t first = world->key_count;
    (void)world_fill(world, FILLER);
    for (uint32_t i = first; i < world->key_count; i += 2)
        if (world->keys[i].before.exists) world_remove(world, i);
    world_expect_pattern(world, world->primary, primary_bytes, 1);
}
static void setup_compact_small(crash_world *world) { setup_compact(world, MEDIUM); }
static void setup_compact_chained(crash_world *world) { setup_compact(world, LONG); }
static void setup_compact_many(crash_world *world)
{
    setup_compact(world, MEDIUM);
    for (uint32_t i = 0; i < 2; i++) world_expect_pattern(world, world_key(world, ANY_HOME, 0), i == 1 ? CHAINED : 1000, i);
}

/* Nothing can be had at all. */
static void setup_refused_full(crash_world *world)
{
    ordinary(world);
    (void)world_fill(world, FILLER);
}
static fc_status run_refused_full(crash_world *world, fc_session *session)
{
    uint8_t *data = pattern(LONG, 1);
    fc_status status = fc_set(session, key_of(world, world->primary), data, LONG, NULL, NULL);
    free(data);
    return status;
}
static fc_status run_many_refused_full(crash_world *world, fc_session *session)
{
    uint8_t *data = pattern(LONG, 1);
    fc_key keys[2] = {world->keys[world->primary].key, world->keys[0].key};
    fc_write writes[2] = {{.value = data, .value_bytes = LONG}, {.value = "x", .value_bytes = 1}};
    fc_status status = fc_set_many(session, keys, writes, 2, 0);
    free(data);
    return status;
}

/* A flushed segment is full of what nobody reads. */
static void setup_full_of_flushed(crash_world *world)
{
    setup_full(world, FILLER, FILLER);
    if (fc_flush(world->session, 0) != FC_OK) abort();
    crash_value after = world->keys[world->primary].after;
    world->keys[world->primary].after = (crash_value){0};
    forget_all_of_database(world, 0);
    world->keys[world->primary].after = after;
    world->keys[world->primary].changes = 1;
}

/* ------------------------------------------------------------------ sessions, magazines, garbage */

static fc_status run_open(crash_world *world, fc_session *session) { return fc_session_open(world->cache, &session); }

/* Children that open sessions, take blocks and die, until `count` have. */
static void add_dead_sessions(crash_world *world, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            fc_session *session;
            if (fc_session_open(world->cache, &session) != FC_OK) _exit(1);
            warm_up(world, session);
            _exit(0);
        }
        int status;
        if (waitpid(pid, &status, 0) != pid || status != 0) abort();
    }
}
static void setup_open_full(crash_world *world)
{
    ordinary_with(world, SMALL);
    /* All at once: each opens a slot only while those before are not settled. */
    add_dead_sessions(world, world->cache->geometry.sessions_max - 1);
}
static void setup_ordinary(crash_world *world) { ordinary_with(world, SMALL); }

static fc_status run_close(crash_world *world, fc_session *session)
{
    (void)world;
    return fc_session_close(session);
}

/* The page of the only block of its class becomes free: a hint word becomes empty, while a survivor may fill it again. */
static void setup_close_last(crash_world *world)
{
    ordinary_with(world, SMALL);
    world->words[0] = world_key(world, HOME, 0);
    world_put(world, (uint32_t)world->words[0], MEDIUM, 1);
    world_expect_missing(world, (uint32_t)world->words[0]);
}
static fc_status run_delete_and_close(crash_world *world, fc_session *session)
{
    fc_status status = fc_delete(session, key_of(world, (uint32_t)world->words[0]));
    return status == FC_OK ? fc_session_close(session) : status;
}

static uint32_t *page_lock_of(fc_session *session, uint64_t ref)
{
    return &fc_page_at(session, fc_page_index_of(session, ref))->owner;
}

/* Locks, in the survivor's name, every page of a kind that is in use; or unlocks. */
static void hold_pages(const crash_world *world, fc_session *session, int hold)
{
    for (uint64_t i = 0; i < world->cache->geometry.page_count; i++) {
        fc_page *page = fc_page_at(session, i);
        if (fc_page_kind(page->kind_free) == FC_KIND_FREE) continue;
        uint32_t *owner = page_lock_of(session, fc_page_ref(session, i));
        if (hold && *owner == 0) *owner = world->saved_session.owner_word;
        else if (!hold && *owner == world->saved_session.owner_word) *owner = 0;
    }
}

/* The child's garbage lists fill up, for all pages are held while it deletes; words[0..5] are keys. */
static void setup_garbage(crash_world *world)
{
    ordinary_with(world, LONG);
    world->words[0] = world_key(world, ANY_HOME, 0);
    for (uint32_t i = 1; i < 12; i++) (void)world_key(world, i < 10 ? HOME : ANY_HOME, 0);
}
static void prepare_garbage(crash_world *world, fc_session *session)
{
    uint32_t first = (uint32_t)world->words[0];
    for (uint32_t i = 0; i < 12; i++) {
        uint8_t *data = pattern(CHAINED, i);
        if (fc_set(session, key_of(world, first + i), data, i == 3 || i == 7 ? CHAINED : 40 * (i % 4), NULL, NULL) != FC_OK) abort();
        free(data);
    }
    hold_pages(world, session, 1);
    for (uint32_t i = 0; i < 12; i++)
        if (fc_delete(session, key_of(world, first + i)) != FC_OK) abort();
    hold_pages(world, session, 0);
    if (session->slot->garbage[FC_GARBAGE_BLOCKS] == 0 || session->slot->garbage[FC_GARBAGE_NODES] == 0) abort();
}
static fc_status run_drain(crash_world *world, fc_session *session)
{
    (void)world;
    session->writing = 1;
    fc_page_drain(session);
    session->writing = 0;
    return FC_OK;
}
static void setup_delete_onto_garbage(crash_world *world)
{
    setup_garbage(world);
    world_expect_missing(world, world->primary);
}

/* Some pages stay held: blocks behind others leave the lists from their middle. */
static void prepare_garbage_behind_locks(crash_world *world, fc_session *session)
{
    prepare_garbage(world, session);
    uint64_t ref = session->slot->garbage[FC_GARBAGE_NODES];
    world->words[1] = fc_offset_of(session, page_lock_of(session, ref));
    ref = session->slot->garbage[FC_GARBAGE_BLOCKS];
    world->words[2] = fc_offset_of(session, page_lock_of(session, ref));
    for (uint32_t i = 1; i <= 2; i++) *(uint32_t *)fc_at(session, world->words[i]) = world->saved_session.owner_word;
}
static fc_status run_drain_behind_locks(crash_world *world, fc_session *session)
{
    fc_status status = run_drain(world, session);
    for (uint32_t i = 1; i <= 2; i++) *(uint32_t *)fc_at(session, world->words[i]) = 0;
    return status;
}

static fc_status run_schema(crash_world *world, fc_session *session)
{
    static const char text[] = "[[\"bid\", \"<f8\"], [\"ask\", \"<f8\"]]";
    uint64_t schema;
    (void)world;
    return fc_schema_register(session, text, sizeof text - 1, &schema);
}

/* ------------------------------------------------------------------ the table */

#define LRU FC_POLICY_ALLKEYS_LRU
#define RANDOM FC_POLICY_ALLKEYS_RANDOM

const crash_op crash_ops[] = {
    {"set_new", 0, 0, 0, setup_set_new, NULL, set_primary, FC_OK},
    {"set_new_at_hand", 0, 0, 0, setup_set_new, warm_up, set_primary, FC_OK},
    {"set_same_class", 0, 0, 0, setup_set_same, NULL, set_primary, FC_OK},
    {"set_same_at_hand", 0, 0, 0, setup_set_same, warm_up, set_primary, FC_OK},
    {"set_other_class", 0, 0, 0, setup_set_other, warm_up, set_primary, FC_OK},
    {"set_among_many", 0, 0, 0, setup_set_among_many, NULL, set_primary, FC_OK},
    {"set_expiring", 0, 0, 0, setup_set_expiring, NULL, set_primary, FC_OK},
    {"set_past", 0, 0, 0, setup_set_past, NULL, run_set_past, FC_OK},
    {"set_refused", 0, 0, 0, setup_set_refused, NULL, run_set_refused, FC_NOT_STORED},
    {"set_chained", 0, 0, 0, setup_set_chained, NULL, set_primary, FC_OK},
    {"set_long", 0, 0, 0, setup_set_long, NULL, set_primary, FC_OK},
    {"set_long_to_chained", 0, 0, 0, setup_long_to_chained, NULL, set_primary, FC_OK},
    {"set_chained_to_small", 0, 0, 0, setup_chained_to_small, NULL, set_primary, FC_OK},
    {"set_extension", 0, 0, 0, setup_extension, NULL, set_primary, FC_OK},
    {"delete", 0, 0, 0, setup_delete, NULL, delete_primary, FC_OK},
    {"delete_at_hand", 0, 0, 0, setup_delete, warm_up, delete_primary, FC_OK},
    {"delete_chained", 0, 0, 0, setup_delete_chained, NULL, delete_primary, FC_OK},
    {"delete_trim", 0, 0, 0, setup_delete_trim, NULL, delete_primary, FC_OK},
    {"delete_trim_two", 0, 0, 0, setup_delete_trim_two, NULL, delete_primary, FC_OK},
    {"get_delete", 0, 0, 0, setup_get_delete, NULL, run_get_delete, FC_OK},
    {"expire", 0, 0, 0, setup_expire, NULL, run_expire, FC_OK},
    {"expire_chained", 0, 0, 0, setup_expire_chained, NULL, run_expire, FC_OK},
    {"expire_past", 0, 0, 0, setup_delete_chained, NULL, run_expire_past, FC_OK},
    {"persist", 0, 0, 0, setup_persist, NULL, run_persist, FC_OK},
    {"get_expire", 0, 0, 0, setup_expire, warm_up, run_get_expire, FC_OK},
    {"get_expire_past", 0, 0, 0, setup_delete, NULL, run_get_expire_past, FC_OK},
    {"get_persist", 0, 0, 0, setup_persist, NULL, run_get_persist, FC_OK},
    {"increment", 0, 0, 0, setup_increment, NULL, run_increment, FC_OK},
    {"increment_new", 0, 0, 0, setup_increment_new, warm_up, run_increment, FC_OK},
    {"increment_float", 0, 0, 0, setup_increment_float, NULL, run_increment_float, FC_OK},
    {"append", 0, 0, 0, setup_append, NULL, run_append, FC_OK},
    {"append_chained", 0, 0, 0, setup_append_chained, NULL, run_append, FC_OK},
    {"set_range", 0, 0, 0, setup_set_range, NULL, run_set_range, FC_OK},
    {"rename_same_home", 0, 0, 0, setup_rename_same_home, NULL, run_rename, FC_OK},
    {"rename_other_home", 0, 0, 0, setup_rename_other_home, NULL, run_rename, FC_OK},
    {"rename_over", 0, 0, 0, setup_rename_over, warm_up, run_rename, FC_OK},
    {"rename_chained", 0, 0, 0, setup_rename_chained, NULL, run_rename, FC_OK},
    {"copy", 0, 0, 0, setup_copy, NULL, run_copy, FC_OK},
    {"copy_chained", 0, 0, 0, setup_copy_chained, NULL, run_copy, FC_OK},
    {"many_3", 0, 0, 0, setup_many_3, NULL, run_many, FC_OK},
    {"many_40", 0, 0, 0, setup_many_40, NULL, run_many, FC_OK},
    {"many_deletes", 0, 0, 0, setup_many_deletes, warm_up, run_many, FC_OK},
    {"many_one_home", 0, 0, 0, setup_many_one_home, NULL, run_many, FC_OK},
    {"many_chained", 0, 0, 0, setup_many_chained, NULL, run_many, FC_OK},
    {"many_refused", 0, 0, 0, setup_many_refused, NULL, run_many_refused, FC_NOT_STORED},
    {"transact", 0, 0, 0, setup_transact, warm_up, run_transact, FC_OK},
    {"transact_many", 0, 0, 0, setup_transact_many, NULL, run_transact, FC_OK},
    {"transact_flush", OP_EACH, 0, 0, setup_transact_flush, NULL, run_transact, FC_OK},
    {"flush", 0, 0, 0, setup_flush, NULL, run_flush, FC_OK},
    {"flush_all", OP_EACH, 0, 0, setup_flush_all, NULL, run_flush_all, FC_OK},
    {"sweep_flushed", 0, 0, 0, setup_sweep, NULL, run_sweep, FC_OK},
    {"sweep_expired", 0, 0, 0, setup_sweep_expired, NULL, run_sweep, FC_OK},
    {"full_of_flushed", OP_FULL, 0, FEW_PAGES, setup_full_of_flushed, NULL, set_primary, FC_OK},
    {"evict_lru", OP_EVICTS, LRU, FEW_PAGES, setup_evict, NULL, set_primary, FC_OK},
    {"evict_random", OP_EVICTS, RANDOM, FEW_PAGES, setup_evict, NULL, set_primary, FC_OK},
    {"evict_chained", OP_EVICTS, LRU, FEW_PAGES, setup_evict_chained, NULL, set_primary, FC_OK},
    {"evict_shift", OP_EVICTS, LRU, FEW_PAGES, setup_evict_shift, NULL, set_primary, FC_OK},
    {"evict_pages", OP_EVICTS, RANDOM, FEW_PAGES, setup_evict_pages, NULL, set_primary, FC_OK},
    {"evict_many", OP_EVICTS, LRU, FEW_PAGES, setup_evict_many, NULL, run_many, FC_OK},
    {"evict_extension", OP_EVICTS, LRU, FEW_PAGES, setup_evict_extension, NULL, set_primary, FC_OK},
    {"compact", OP_FULL, 0, FEW_PAGES, setup_compact_small, NULL, set_primary, FC_OK},
    {"compact_chained", OP_FULL, 0, FEW_PAGES, setup_compact_chained, NULL, set_primary, FC_OK},
    {"compact_many", OP_FULL, 0, FEW_PAGES, setup_compact_many, NULL, run_many, FC_OK},
    {"full", OP_FULL, 0, FEW_PAGES, setup_refused_full, NULL, run_refused_full, FC_OUT_OF_MEMORY},
    {"full_many", OP_FULL, 0, FEW_PAGES, setup_refused_full, NULL, run_many_refused_full, FC_OUT_OF_MEMORY},
    {"open", OP_OWN_SESSION, 0, 0, setup_ordinary, NULL, run_open, FC_OK},
    {"open_all_dead", OP_OWN_SESSION, 0, 0, setup_open_full, NULL, run_open, FC_OK},
    {"close", OP_CLOSES, 0, 0, setup_ordinary, warm_up, run_close, FC_OK},
    {"close_last_of_class", OP_CLOSES | OP_ALL_WAYS, 0, 0, setup_close_last, NULL, run_delete_and_close, FC_OK},
    {"close_with_garbage", OP_CLOSES, 0, 0, setup_garbage, prepare_garbage, run_close, FC_OK},
    {"drain", 0, 0, 0, setup_garbage, prepare_garbage, run_drain, FC_OK},
    {"drain_behind_locks", 0, 0, 0, setup_garbage, prepare_garbage_behind_locks, run_drain_behind_locks, FC_OK},
    {"delete_onto_garbage", 0, 0, 0, setup_delete_onto_garbage, prepare_garbage, delete_primary, FC_OK},
    {"schema_register", OP_KEEPS, 0, 0, setup_ordinary, NULL, run_schema, FC_OK},
};
const uint32_t crash_op_count = sizeof crash_ops / sizeof crash_ops[0];
