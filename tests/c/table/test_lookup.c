/* test_lookup.c -- reading damaged bytes (csrc/table/lookup.h): P7. A reader ends with a value, a miss or a named error. */
#include "../memory/audit.h"

#include <pthread.h>

static int is_reader_answer(fc_status status)
{
    return status == FC_OK || status == FC_MISS || status == FC_CORRUPT || status == FC_CONTENDED || status == FC_BUFFER_SMALL || status == FC_WRONG_TYPE;
}

static int32_t visit_nothing(void *context, const void *key, uint32_t key_bytes, uint32_t type)
{
    (void)key, (void)type;
    *(uint64_t *)context += key_bytes;
    return 0;
}

#define KEYS 200u

typedef struct damaged {
    fixture made;
    fc_key keys[KEYS];
    char names[KEYS][16];
} damaged;

/* Values of all shapes: packed, chained, with keys in chains, in extension buckets, expiring, with schemas; and a long batch. */
static void populate(damaged *d)
{
    static char value[90000];
    static char long_keys[4][40000];
    uint64_t schema;
    fc_options options = check_options(4 << 20);
    options.keys = 120;
    options.value_bytes_max = 1 << 20;
    d->made = check_open_with(&options);
    CHECK_OK(fc_schema_register(d->made.session, "schema", 6, &schema));
    for (uint32_t i = 0; i < KEYS; i++) {
        snprintf(d->names[i], sizeof d->names[i], "name %u", i);
        d->keys[i] = check_key(&d->made, d->names[i]);
        if (i < 4) {
            memset(long_keys[i], (int)i, sizeof long_keys[i]);
            d->keys[i] = check_key_of(&d->made, long_keys[i], sizeof long_keys[i]);
        }
        fc_set_options set = {.flags = i % 3 == 0 ? FC_SET_SCHEMA : 0, .schema = i % 3 == 0 ? schema : 0, .expires_unix_ns = i % 5 == 0 ? UINT64_MAX : 0};
        CHECK_OK(fc_set(d->made.session, &d->keys[i], value, i % 20 == 0 ? sizeof value - i : i * 7, &set, NULL));
    }
}

/* Every read there is, once, of some keys. */
static void read_everything(fc_session *session, const fc_key *keys, uint64_t *seed)
{
    static __thread char buffer[1 << 20];
    uint64_t n;
    uint32_t type;
    fc_entry entry;
    fc_read reads[8];
    fc_key few[8];
    for (int i = 0; i < 4; i++) {
        const fc_key *key = &keys[check_random(seed) % KEYS];
        fc_status status = fc_get(session, key, buffer, sizeof buffer, &n);
        CHECK(is_reader_answer(status));
        CHECK(status != FC_OK || n <= sizeof buffer);
        CHECK(is_reader_answer(fc_get_entry(session, key, buffer, 100, &entry)));
        CHECK(is_reader_answer(fc_get_range(session, key, -1000, -1, buffer, sizeof buffer, &n)));
        CHECK(is_reader_answer(fc_exists(session, key)));
        CHECK(is_reader_answer(fc_type(session, key, &type)));
        CHECK(is_reader_answer(fc_expires(session, key, &n)));
    }
    for (int i = 0; i < 8; i++) {
        few[i] = keys[check_random(seed) % KEYS];
        reads[i] = (fc_read){buffer, 1000, 0, 0, 0, 0, 0};
    }
    CHECK_OK(fc_get_many(session, few, reads, 8));
    for (int i = 0; i < 8; i++) CHECK(is_reader_answer(reads[i].status));
    CHECK(is_reader_answer(fc_random_key(session, 0, buffer, sizeof buffer, &n)));
}

static void read_whole_segment(fc_cache *cache, fc_session *session, const fc_key *keys, uint64_t *seed)
{
    fc_read reads[8];
    fc_key few[8];
    char buffer[8];
    uint64_t cursor = 0, bytes = 0, n;
    fc_stats stats;
    for (int i = 0; i < 8; i++) {
        few[i] = keys[check_random(seed) % KEYS];
        reads[i] = (fc_read){buffer, sizeof buffer, 0, 0, 0, 0, 0};
    }
    CHECK(is_reader_answer(fc_get_cut(session, few, reads, 8)));
    CHECK(is_reader_answer(fc_scan(session, 0, &cursor, 100000, visit_nothing, &bytes)));
    CHECK_OK(fc_cache_stats(cache, &stats));
    CHECK_OK(fc_count(session, 0, &n));
}

typedef struct flipper {
    damaged *d;
    int stop;
    uint64_t flips;
} flipper;

/* Flips bits anywhere: half of them anywhere in the segment, half where they hurt: header, slots, homes, descriptors, used pages. */
static void flip_once(damaged *d, uint64_t *seed)
{
    const fc_geometry *g = &d->made.cache->geometry;
    uint64_t to = g->arena_off + 40 * FC_PAGE_BYTES;
    uint64_t at = check_random(seed) % 2 == 0 ? check_random(seed) % g->size_bytes : check_random(seed) % 3 == 0 ? g->homes_off + check_random(seed) % (g->home_count * 64) : g->arena_off + check_random(seed) % (to - g->arena_off);
    uint8_t *byte = d->made.cache->base + at % g->size_bytes;
    uint8_t bits = check_random(seed) % 4 == 0 ? 0xFF : (uint8_t)(1 << check_random(seed) % 8);
    uint64_t *word = (uint64_t *)(void *)((uintptr_t)byte & ~(uintptr_t)7);
    __atomic_fetch_xor(word, (uint64_t)bits << ((uintptr_t)byte & 7) * 8, __ATOMIC_RELAXED);
}

static void *flip_bytes(void *context)
{
    flipper *f = context;
    uint64_t seed = 31;
    while (!__atomic_load_n(&f->stop, __ATOMIC_ACQUIRE)) {
        flip_once(f->d, &seed);
        if (++f->flips % 8 == 0) (void)!write(-1, "", 0); /* a breath for the readers on few cores */
    }
    return NULL;
}

/* P7: bytes flip all over the segment under a running reader: no crash, no endless loop, only answers the manual names. */
static void flipping_bytes_never_crash_a_reader(void)
{
    for (int round = 0; round < (CHECK_SANITIZED ? 3 : 8); round++) {
        damaged d;
        populate(&d);
        flipper f = {.d = &d};
        fc_options read_only = {.read_only = 1};
        fixture reader = d.made;
        pthread_t thread;
        uint64_t seed = (uint64_t)round + 50, start = fc_clock_mono_ns();
        CHECK_OK(fc_cache_attach(d.made.name, &read_only, &reader.cache));
        CHECK_OK(fc_session_open(reader.cache, &reader.session));
        REQUIRE(pthread_create(&thread, NULL, flip_bytes, &f) == 0);
        for (uint64_t i = 0; i < 2000 && fc_clock_mono_ns() - start < UINT64_C(250000000); i++) {
            read_everything(reader.session, d.keys, &seed);
            if (i % 100 == 0) read_whole_segment(reader.cache, reader.session, d.keys, &seed);
        }
        __atomic_store_n(&f.stop, 1, __ATOMIC_RELEASE);
        pthread_join(thread, NULL);
        CHECK_OK(fc_cache_close(reader.cache));
        /* The writer's own session would write into the ruins if it were closed: it is left as it is. */
        static fc_cache *ruins[64];
        ruins[round] = d.made.cache;
        d.made.session->writing = ruins[round] != NULL;
        (void)!fc_cache_unlink(d.made.name);
        check_sweep_names();
    }
}

/* P7: one damaged byte at a time, in a quiet segment: each of the words a read goes through, each bit of it. */
static void every_bit_on_a_readers_way_may_be_wrong(void)
{
    damaged d;
    populate(&d);
    uint64_t seed = 8, n;
    static char buffer[1 << 20];
    static const uint32_t numbers[] = {1, 5, 20, 33, 60};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        const fc_key *key = &d.keys[numbers[i]];
        fc_session *s = d.made.session;
        fc_bucket *home = fc_home_of(s, key->hash);
        uint64_t *entry = NULL;
        int damage = 0;
        for (fc_bucket *bucket = home; bucket != NULL && entry == NULL; bucket = fc_bucket_next(s, bucket, &damage))
            for (uint32_t j = 0; j < FC_BUCKET_ENTRIES; j++)
                if (bucket->entries[j] != 0 && ((fc_block *)fc_at(s, bucket->entries[j] & FC_ENTRY_REF_MASK))->hash == key->hash) entry = &bucket->entries[j];
        REQUIRE(entry != NULL);
        uint64_t *block = fc_at(s, *entry & FC_ENTRY_REF_MASK);
        uint64_t *words[20] = {entry, (uint64_t *)(void *)&home->owner, &home->version};
        for (int j = 0; j < 17; j++) words[3 + j] = block + j;
        for (int j = 0; j < 20; j++)
            for (int bit = 0; bit < 64; bit++) {
                *words[j] ^= UINT64_C(1) << bit;
                fc_status status = fc_get(s, key, buffer, sizeof buffer, &n);
                CHECK(is_reader_answer(status));
                if (bit % 16 == 0) read_everything(s, d.keys, &seed);
                *words[j] ^= UINT64_C(1) << bit;
            }
        CHECK_OK(fc_get(s, key, buffer, sizeof buffer, &n));
    }
    audit_segment(d.made.session);
    check_close(&d.made);
}

/* P7: links that form a ring, marks of descriptors that do not exist, entries out of the arena: named errors, in bounded time. */
static void rings_and_false_marks_end(void)
{
    damaged d;
    populate(&d);
    fc_session *s = d.made.session;
    fc_key missing = check_key(&d.made, "missing");
    char buffer[64];
    uint64_t n, cursor = 0, bytes = 0;
    fc_bucket *home = fc_home_of(s, missing.hash);
    uint64_t tag = missing.hash >> FC_ENTRY_TAG_SHIFT << FC_ENTRY_TAG_SHIFT, saved[FC_BUCKET_ENTRIES];
    uint32_t link = home->link;
    memcpy(saved, home->entries, sizeof saved);
    for (uint32_t slot = 0; slot < 4096; slot += 13) { /* marks */
        home->entries[0] = tag | FC_ENTRY_MARK | (uint64_t)slot << FC_MARK_SLOT_SHIFT | (uint64_t)(slot * 31 & 0x1FFFF) << FC_MARK_OP_SHIFT;
        fc_status status = fc_get(s, &missing, buffer, sizeof buffer, &n);
        CHECK(status == FC_CONTENDED || status == FC_CORRUPT || status == FC_MISS);
    }
    home->entries[0] = tag | 8; /* into the header */
    CHECK_STATUS(FC_CORRUPT, fc_get(s, &missing, buffer, sizeof buffer, &n));
    home->entries[0] = tag | FC_ENTRY_REF_MASK;
    CHECK_STATUS(FC_CORRUPT, fc_get(s, &missing, buffer, sizeof buffer, &n));
    memcpy(home->entries, saved, sizeof saved);
    home->link = 1; /* out of the arena */
    CHECK_STATUS(FC_CORRUPT, fc_get(s, &missing, buffer, sizeof buffer, &n));
    CHECK_STATUS(FC_CORRUPT, fc_set(s, &missing, "v", 1, NULL, NULL));
    home->link = UINT32_MAX;
    CHECK_STATUS(FC_CORRUPT, fc_get(s, &missing, buffer, sizeof buffer, &n));
    if (link == 0) { /* a ring: an extension bucket that leads to itself */
        fc_ref ring = s->size_bytes - FC_PAGE_BYTES;
        ((fc_bucket *)fc_at(s, ring))->link = (uint32_t)(ring / 64);
        home->link = (uint32_t)(ring / 64);
        CHECK_STATUS(FC_CORRUPT, fc_get(s, &missing, buffer, sizeof buffer, &n));
        CHECK_STATUS(FC_CORRUPT, fc_set(s, &missing, "v", 1, NULL, NULL));
        CHECK_STATUS(FC_CORRUPT, fc_scan(s, 0, &cursor, UINT64_MAX, visit_nothing, &bytes));
        memset(fc_at(s, ring), 0, 64);
    }
    home->link = link;
    CHECK_STATUS(FC_MISS, fc_get(s, &missing, buffer, sizeof buffer, &n));
    audit_segment(s);
    check_close(&d.made);
}

int main(void)
{
    RUN(flipping_bytes_never_crash_a_reader);
    RUN(every_bit_on_a_readers_way_may_be_wrong);
    RUN(rings_and_false_marks_end);
    return check_report();
}
