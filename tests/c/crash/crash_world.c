/* crash_world.c -- see crash_harness.h. */
#include "crash_harness.h"

#include "base/clock.h"
#include "base/hash.h"
#include "table/lookup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define HASH_SEED 20240611u
#define KEYS_CONFIGURED 128u

static void must(fc_status status, const char *what)
{
    if (status == FC_OK) return;
    fprintf(stderr, "%s: %s (%s)\n", what, fc_status_find(status)->name, fc_error_detail(status));
    abort();
}

uint8_t *pattern(uint64_t bytes, uint32_t seed)
{
    uint8_t *data = malloc(bytes + 1);
    for (uint64_t i = 0; i < bytes; i++) data[i] = (uint8_t)('A' + (i * 7 + i / 251 + seed * 13) % 57);
    return data;
}

/* ------------------------------------------------------------------ life */

void make_deterministic(fc_session *session)
{
    session->random_state = 20240611;
    for (uint32_t kind = 0; kind < FC_KIND_COUNT; kind++) session->hint_cursor[kind] = kind * 5 % session->cache->geometry.page_count;
}

void world_create(crash_world *world, const crash_op *op)
{
    static uint32_t world_count;
    *world = (crash_world){.op = op};
    world->keys = calloc(CRASH_KEYS_MAX, sizeof *world->keys);
    world->value = malloc(CRASH_VALUE_BYTES_MAX);
    snprintf(world->name, sizeof world->name, "crash-%d-%u", (int)getpid(), world_count++);
    fc_options options;
    fc_options_init(&options);
    options.size_bytes = FC_SEGMENT_BYTES_MIN;
    options.keys = KEYS_CONFIGURED;
    options.hash_seed = HASH_SEED;
    options.sessions_max = op->sessions_max;
    options.policy = FC_POLICY_NOEVICTION;
    must(fc_cache_create(world->name, &options, &world->cache), "create");
    fc_stats stats;
    must(fc_cache_stats(world->cache, &stats), "stats");
    world->used_before = stats.used_bytes;
    must(fc_session_open(world->cache, &world->session), "open a session");
    make_deterministic(world->session);
    options.read_only = 1;
    must(fc_cache_attach(world->name, &options, &world->reader_cache), "attach read-only");
    must(fc_session_open(world->reader_cache, &world->reader), "open a read-only session");
    if (op->setup != NULL) op->setup(world);
    must(fc_cache_set_policy(world->cache, op->policy), "set the policy");
    fc_header *header = fc_header_of(world->cache);
    header->reap_mono_ns = 0; /* so that no run depends on how long ago the last one was */
    header->sweep_mono_ns = 0;
    world_save(world, &world->image);
}

void world_destroy(crash_world *world)
{
    for (uint32_t i = 0; i < world->key_count; i++) {
        crash_key *key = &world->keys[i];
        if (key->after.data != key->before.data) free(key->after.data);
        free(key->before.data);
        free(key->third.data);
    }
    fc_cache_unlink(world->name);
    fc_cache_close(world->reader_cache);
    fc_cache_close(world->cache);
    free(world->image);
    free(world->second_image);
    free(world->third_image);
    free(world->value);
    free(world->keys);
}

void world_save(crash_world *world, uint8_t **image)
{
    uint64_t bytes = world->cache->geometry.size_bytes;
    if (*image == NULL) *image = malloc(bytes);
    memcpy(*image, world->cache->base, bytes);
    world->saved_session = *world->session;
}

void world_restore(crash_world *world, const uint8_t *image)
{
    memcpy(world->cache->base, image, world->cache->geometry.size_bytes);
    *world->session = world->saved_session;
    for (uint32_t i = 0; i < world->key_count; i++) world->keys[i].overwritten = 0;
}

/* ------------------------------------------------------------------ the model */

uint32_t world_key(crash_world *world, uint64_t home, uint32_t database)
{
    if (world->key_count == CRASH_KEYS_MAX) {
        fprintf(stderr, "%s: too many keys\n", world->op->name);
        abort();
    }
    crash_key *key = &world->keys[world->key_count];
    do {
        snprintf(key->name, sizeof key->name, "key:%012u", world->serial++);
        must(fc_key_init(world->cache, database, key->name, strlen(key->name), &key->key), "key");
        key->home = fc_home_index(world->session, key->key.hash);
    } while (home != ANY_HOME && key->home != home % world->session->home_count);
    return world->key_count++;
}

static void hold(crash_key *key, uint8_t *data, uint64_t bytes, uint64_t expires_unix_ns)
{
    free(key->before.data);
    key->before = (crash_value){data, bytes, expires_unix_ns, 1};
    key->after = key->before;
}

fc_status world_try_put(crash_world *world, uint32_t index, uint64_t bytes, uint32_t seed, uint64_t expires_unix_ns)
{
    crash_key *key = &world->keys[index];
    fc_set_options options = {.expires_unix_ns = expires_unix_ns};
    uint8_t *data = pattern(bytes, seed);
    fc_status status = fc_set(world->session, &key->key, data, bytes, &options, NULL);
    if (status == FC_OK) hold(key, data, bytes, expires_unix_ns);
    else free(data);
    return status;
}

void world_put(crash_world *world, uint32_t index, uint64_t bytes, uint32_t seed)
{
    must(world_try_put(world, index, bytes, seed, 0), "put");
}

void world_put_text(crash_world *world, uint32_t index, const char *text)
{
    crash_key *key = &world->keys[index];
    must(fc_set(world->session, &key->key, text, strlen(text), NULL, NULL), "put");
    hold(key, (uint8_t *)strdup(text), strlen(text), 0);
}

void world_remove(crash_world *world, uint32_t index)
{
    crash_key *key = &world->keys[index];
    must(fc_delete(world->session, &key->key), "remove");
    free(key->before.data);
    key->before = key->after = (crash_value){0};
}

void world_expect(crash_world *world, uint32_t index, const void *data, uint64_t bytes, uint64_t expires_unix_ns)
{
    crash_key *key = &world->keys[index];
    key->after = (crash_value){malloc(bytes + 1), bytes, expires_unix_ns, 1};
    memcpy(key->after.data, data, bytes);
    key->changes = 1;
}

void world_expect_pattern(crash_world *world, uint32_t index, uint64_t bytes, uint32_t seed)
{
    uint8_t *data = pattern(bytes, seed);
    world_expect(world, index, data, bytes, 0);
    free(data);
}

void world_expect_missing(crash_world *world, uint32_t index)
{
    world->keys[index].after = (crash_value){0};
    world->keys[index].changes = 1;
}

uint32_t world_fill(crash_world *world, uint64_t bytes)
{
    uint32_t filled = 0;
    while (world->key_count < CRASH_KEYS_MAX - 64) {
        uint32_t index = world_key(world, ANY_HOME, 0);
        if (world->keys[index].home == world->keys[world->primary].home) {
            world->key_count--; /* the next name will do; the primary key's home is the op's affair */
            continue;
        }
        if (world_try_put(world, index, bytes, index, 0) != FC_OK) break;
        filled++;
    }
    return filled;
}
