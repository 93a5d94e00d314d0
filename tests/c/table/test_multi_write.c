/* test_multi_write.c -- set_many, rename, copy (csrc/table/multi_write.c): all or nothing (P5). */
#include "../memory/audit.h"

#include <pthread.h>

#define MINUTE_NS UINT64_C(60000000000)

typedef struct batch {
    char (*names)[16];
    fc_key *keys;
    fc_write *writes;
} batch;

static batch new_batch(const fixture *made, uint64_t count)
{
    batch b = {calloc(count, 16), calloc(count, sizeof(fc_key)), calloc(count, sizeof(fc_write))};
    for (uint64_t i = 0; i < count; i++) {
        snprintf(b.names[i], 16, "n%u", (unsigned)i);
        b.keys[i] = check_key(made, b.names[i]);
        b.writes[i] = (fc_write){b.names[i], strlen(b.names[i]), 0, 0};
    }
    return b;
}

static void free_batch(batch *b)
{
    free(b->names);
    free(b->keys);
    free(b->writes);
}

/* Batches around every internal limit (16 ops in the slot, 1023 a page) are stored whole, and deleted whole. */
static void batches_of_every_size_are_stored_and_deleted(void)
{
    static const uint64_t counts[] = {0, 1, 2, 15, 16, 17, 32, 33, 1038, 1039, 1040, 2061, 2062, 5000};
    fixture made = check_open(8 << 20);
    batch b = new_batch(&made, 5000);
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        CHECK_OK(fc_set_many(made.session, b.keys, b.writes, counts[i], 0));
        for (uint64_t j = 0; j < 5000; j++) CHECK(check_holds(&made, b.names[j], j < counts[i] ? b.names[j] : NULL));
        audit_segment(made.session);
        fc_write *deletes = calloc(counts[i] + 1, sizeof *deletes);
        CHECK_OK(fc_set_many(made.session, b.keys, deletes, counts[i], 0));
        free(deletes);
        audit_empty(made.session);
    }
    free_batch(&b);
    check_close(&made);
}

/* FC_MULTI_KEYS_MAX keys are stored in one write; one more is refused by name. */
static void the_largest_batch_is_the_documented_one(void)
{
    fixture made = check_open(32 << 20);
    batch b = new_batch(&made, FC_MULTI_KEYS_MAX + 1);
    CHECK_STATUS(FC_TOO_MANY_KEYS, fc_set_many(made.session, b.keys, b.writes, FC_MULTI_KEYS_MAX + 1, 0));
    CHECK_EQUAL(0, check_stats(&made).key_count);
    CHECK_OK(fc_set_many(made.session, b.keys, b.writes, FC_MULTI_KEYS_MAX, 0));
    CHECK_EQUAL(FC_MULTI_KEYS_MAX, check_stats(&made).key_count);
    for (uint64_t i = 0; i < FC_MULTI_KEYS_MAX; i += 97) CHECK(check_holds(&made, b.names[i], b.names[i]));
    audit_segment(made.session);
    free_batch(&b);
    check_close(&made);
}

/* A key named several times gets its last value; a deletion counts as one. */
static void of_equal_keys_the_last_one_wins(void)
{
    fixture made = check_open(1 << 20);
    fc_key a = check_key(&made, "a"), b = check_key(&made, "b"), keys[6] = {a, b, a, b, a, b};
    fc_write writes[6] = {{"1", 1, 0, 0}, {"2", 1, 0, 0}, {"3", 1, 0, 0}, {"4", 1, 0, 0}, {"5", 1, 0, 0}, {NULL, 0, 0, 0}};
    CHECK_OK(fc_set_many(made.session, keys, writes, 5, 0));
    CHECK(check_holds(&made, "a", "5") && check_holds(&made, "b", "4"));
    CHECK_OK(fc_set_many(made.session, keys, writes, 6, 0));
    CHECK(check_holds(&made, "a", "5") && check_holds(&made, "b", NULL));
    CHECK_EQUAL(1, check_stats(&made).key_count);
    audit_segment(made.session);
    check_close(&made);
}

/* NX: all or none; dead values do not count. */
static void nx_stores_all_or_none(void)
{
    fixture made = check_open(4 << 20);
    batch b = new_batch(&made, 40);
    for (uint64_t present = 0; present < 40; present += 13) {
        CHECK_OK(check_set(&made, b.names[present], "there"));
        CHECK_STATUS(FC_NOT_STORED, fc_set_many(made.session, b.keys, b.writes, 40, FC_SET_MANY_NX));
        for (uint64_t i = 0; i < 40; i++) CHECK(check_holds(&made, b.names[i], i == present ? "there" : NULL));
        fc_set_options options = {.expires_unix_ns = fc_clock_unix_ns() + MINUTE_NS};
        CHECK_OK(fc_set(made.session, &b.keys[present], "dying", 5, &options, NULL));
        fc_clock_shift_for_test((int64_t)(2 * MINUTE_NS));
        CHECK_OK(fc_set_many(made.session, b.keys, b.writes, 40, FC_SET_MANY_NX));
        fc_clock_shift_for_test(0);
        CHECK_EQUAL(40, check_stats(&made).key_count);
        check_delete_all(&made);
        audit_empty(made.session);
    }
    free_batch(&b);
    check_close(&made);
}

/* Expiry, databases, long values and schemas work in a batch as in a set; a mismatch of schemas stores nothing. */
static void options_of_a_batch_are_those_of_set(void)
{
    fixture made = check_open(4 << 20);
    static char value[90000], got[90000];
    uint64_t schemas[2], deadline = fc_clock_unix_ns() + MINUTE_NS, expires, bytes;
    fc_key keys[3];
    fc_entry entry;
    CHECK_OK(fc_schema_register(made.session, "one", 3, &schemas[0]));
    CHECK_OK(fc_schema_register(made.session, "two", 3, &schemas[1]));
    memset(value, 'v', sizeof value);
    for (uint32_t i = 0; i < 3; i++) CHECK_OK(fc_key_init(made.cache, i, "k", 1, &keys[i]));
    fc_write writes[3] = {{value, sizeof value, deadline, schemas[0]}, {"", 0, 0, 0}, {value, 40000, 0, schemas[1]}};
    CHECK_OK(fc_set_many(made.session, keys, writes, 3, 0));
    CHECK_OK(fc_get_entry(made.session, &keys[0], got, sizeof got, &entry));
    CHECK(entry.value_bytes == sizeof value && memcmp(value, got, sizeof value) == 0 && entry.schema == schemas[0] && entry.expires_unix_ns == deadline);
    CHECK_OK(fc_get(made.session, &keys[1], got, 0, &bytes));
    CHECK_EQUAL(0, bytes);
    writes[0].schema = schemas[1];
    writes[1] = (fc_write){"changed", 7, 0, 0};
    CHECK_STATUS(FC_SCHEMA_MISMATCH, fc_set_many(made.session, keys, writes, 3, 0));
    CHECK_OK(fc_get(made.session, &keys[1], got, 0, &bytes));
    CHECK_OK(fc_expires(made.session, &keys[0], &expires));
    CHECK_EQUAL(deadline, expires);
    audit_segment(made.session);
    check_close(&made);
}

/* Without memory for the whole batch nothing of it is stored, and all of what was built comes back. */
static void a_batch_that_does_not_fit_stores_nothing(void)
{
    fixture made = check_open(1 << 20);
    static char value[60000];
    batch b = new_batch(&made, 60);
    CHECK_OK(check_set(&made, b.names[3], "old"));
    for (int i = 0; i < 60; i++) b.writes[i] = (fc_write){value, i % 2 == 0 ? sizeof value : 10000, 0, 0};
    CHECK_STATUS(FC_OUT_OF_MEMORY, fc_set_many(made.session, b.keys, b.writes, 60, 0));
    CHECK_EQUAL(1, check_stats(&made).key_count);
    CHECK(check_holds(&made, b.names[3], "old"));
    audit_segment(made.session);
    check_delete_all(&made);
    audit_empty(made.session);
    free_batch(&b);
    check_close(&made);
}

/* Many keys in one home: extension buckets are made for a batch, and go with it. */
static void a_batch_within_one_home(void)
{
    fc_options options = check_options(4 << 20);
    options.keys = 1; /* one home */
    fixture made = check_open_with(&options);
    batch b = new_batch(&made, 300);
    CHECK_EQUAL(1, made.session->home_count);
    CHECK_OK(fc_set_many(made.session, b.keys, b.writes, 300, 0));
    CHECK_EQUAL(300, check_stats(&made).key_count);
    CHECK_EQUAL(49, check_stats(&made).extension_buckets);
    for (int i = 0; i < 300; i++) CHECK(check_holds(&made, b.names[i], b.names[i]));
    CHECK_OK(fc_set_many(made.session, b.keys, b.writes, 300, 0));
    audit_segment(made.session);
    fc_key missing = check_key(&made, "missing");
    CHECK_OK(fc_rename(made.session, &b.keys[0], &missing, 0));
    CHECK_OK(fc_copy(made.session, &missing, &b.keys[0], 0));
    for (int i = 0; i < 300; i++) b.writes[i] = (fc_write){0};
    CHECK_OK(fc_set_many(made.session, b.keys, b.writes, 300, 0));
    CHECK_OK(fc_delete(made.session, &missing));
    audit_empty(made.session);
    free_batch(&b);
    check_close(&made);
}

/* RENAME and COPY: value, expiry and schema go along; NX and replace as in Redis; across databases; onto itself. */
static void rename_and_copy_take_all_along(void)
{
    fixture made = check_open(4 << 20);
    static char value[120000], got[120000];
    static const uint64_t lengths[] = {0, 5, 16000, 120000};
    uint64_t schema, deadline = fc_clock_unix_ns() + MINUTE_NS;
    fc_entry entry;
    fc_key a = check_key(&made, "a"), b = check_key(&made, "b"), c;
    CHECK_OK(fc_key_init(made.cache, 5, "a", 1, &c));
    CHECK_OK(fc_schema_register(made.session, "s", 1, &schema));
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        fc_set_options options = {.flags = FC_SET_SCHEMA, .schema = schema, .expires_unix_ns = deadline};
        memset(value, (int)i + 1, lengths[i]);
        CHECK_STATUS(FC_MISS, fc_rename(made.session, &a, &b, 0));
        CHECK_STATUS(FC_MISS, fc_copy(made.session, &a, &b, 1));
        CHECK_OK(fc_set(made.session, &a, value, lengths[i], &options, NULL));
        CHECK_OK(check_set(&made, "b", "old"));
        CHECK_STATUS(FC_NOT_STORED, fc_rename(made.session, &a, &b, 1));
        CHECK_STATUS(FC_NOT_STORED, fc_copy(made.session, &a, &b, 0));
        CHECK(check_holds(&made, "b", "old"));
        CHECK_OK(fc_copy(made.session, &a, &b, 1));
        CHECK_OK(fc_exists(made.session, &a));
        CHECK_OK(fc_rename(made.session, &b, &c, 0));
        CHECK_STATUS(FC_MISS, fc_exists(made.session, &b));
        CHECK_OK(fc_get_entry(made.session, &c, got, sizeof got, &entry));
        CHECK(entry.value_bytes == lengths[i] && memcmp(got, value, lengths[i]) == 0 && entry.expires_unix_ns == deadline && entry.schema == schema);
        CHECK_OK(fc_rename(made.session, &a, &a, 0));
        CHECK_STATUS(FC_NOT_STORED, fc_rename(made.session, &a, &a, 1));
        CHECK_STATUS(FC_INVALID_ARGUMENT, fc_copy(made.session, &a, &a, 1));
        audit_segment(made.session);
        check_delete_all(&made);
    }
    CHECK_STATUS(FC_MISS, fc_rename(made.session, &a, &a, 0));
    check_close(&made);
}

/* ------------------------------------------------------------------ P5 under concurrency */

typedef struct race {
    fixture *made;
    fc_key *keys;
    uint64_t count;
    int stop;
    uint64_t commits;
} race;

static void *write_batches(void *context)
{
    race *r = context;
    fc_session *session;
    fc_write writes[24];
    uint64_t values[24];
    REQUIRE_OK(fc_session_open(r->made->cache, &session));
    REQUIRE_OK(fc_session_set_timeout(session, UINT64_C(60000000000)));
    for (uint64_t n = 1; !__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE); n++) {
        uint64_t number = n << 8 | session->slot_index;
        for (uint64_t i = 0; i < r->count; i++) {
            values[i] = number;
            writes[i] = (fc_write){n % 7 == 0 ? NULL : &values[i], 8, 0, 0};
        }
        CHECK_OK(fc_set_many(session, r->keys, writes, r->count, 0));
        __atomic_add_fetch(&r->commits, 1, __ATOMIC_RELAXED);
    }
    CHECK_OK(fc_session_close(session));
    return NULL;
}

/* P5: while two sessions write whole batches, every cut shows one batch: all keys with one number, or none at all. */
static void a_cut_shows_one_batch(void)
{
    fixture made = check_open(2 << 20);
    batch b = new_batch(&made, 24);
    race r = {.made = &made, .keys = b.keys, .count = 24};
    pthread_t threads[2];
    fc_read reads[24];
    uint64_t values[24], cuts = 0;
    for (int i = 0; i < 2; i++) REQUIRE(pthread_create(&threads[i], NULL, write_batches, &r) == 0);
    for (uint64_t round = 0; round < check_rounds(30000) || (__atomic_load_n(&r.commits, __ATOMIC_RELAXED) < 50 && round < 3000000); round++) {
        for (int i = 0; i < 24; i++) reads[i] = (fc_read){&values[i], 8, 0, 0, 0, 0, 0};
        fc_status status = fc_get_cut(made.session, b.keys, reads, 24);
        if (status == FC_CONTENDED || !CHECK_OK(status)) continue;
        cuts++;
        for (int i = 1; i < 24; i++) {
            CHECK_EQUAL(reads[0].status, reads[i].status);
            if (reads[0].status == FC_OK) CHECK_EQUAL(values[0], values[i]);
        }
    }
    __atomic_store_n(&r.stop, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    CHECK(cuts > 0);
    audit_segment(made.session);
    free_batch(&b);
    check_close(&made);
}

/* P5: plain GETs see a batch at one instant: a reader that saw the new value of one key never sees an older one of another after it. */
static void plain_gets_see_a_batch_at_one_instant(void)
{
    fixture made = check_open(2 << 20);
    batch b = new_batch(&made, 24);
    race r = {.made = &made, .keys = b.keys, .count = 24};
    pthread_t thread;
    uint64_t first, second, bytes, seed = 4, compared = 0;
    REQUIRE(pthread_create(&thread, NULL, write_batches, &r) == 0);
    for (uint64_t round = 0; round < check_rounds(200000) || (compared < 10 && round < 5000000); round++) {
        uint64_t i = check_random(&seed) % 24, j = check_random(&seed) % 24;
        fc_status status = fc_get(made.session, &b.keys[i], &first, 8, &bytes);
        if (status != FC_OK) continue;
        status = fc_get(made.session, &b.keys[j], &second, 8, &bytes);
        if (status != FC_OK) continue;
        compared++;
        CHECK(second >= first);
    }
    __atomic_store_n(&r.stop, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    audit_segment(made.session);
    free_batch(&b);
    check_close(&made);
}

int main(void)
{
    RUN(batches_of_every_size_are_stored_and_deleted);
    RUN(the_largest_batch_is_the_documented_one);
    RUN(of_equal_keys_the_last_one_wins);
    RUN(nx_stores_all_or_none);
    RUN(options_of_a_batch_are_those_of_set);
    RUN(a_batch_that_does_not_fit_stores_nothing);
    RUN(a_batch_within_one_home);
    RUN(rename_and_copy_take_all_along);
    RUN(a_cut_shows_one_batch);
    RUN(plain_gets_see_a_batch_at_one_instant);
    return check_report();
}
