/* test_scan.c -- scanning, random keys (csrc/table/scan.c). */
#include "../memory/audit.h"

#include <pthread.h>

typedef struct visits {
    uint8_t *seen;
    uint64_t count;
    uint64_t stop_after;
} visits;

static int32_t note(void *context, const void *key, uint32_t key_bytes, uint32_t type)
{
    visits *v = context;
    uint32_t number;
    CHECK_EQUAL(FC_TYPE_STRING, type);
    if (key_bytes == sizeof number) {
        memcpy(&number, key, sizeof number);
        v->seen[number]++;
    }
    return ++v->count == v->stop_after;
}

static void set_number(const fixture *made, fc_session *session, uint32_t number)
{
    fc_key key = check_key_of(made, &number, sizeof number);
    CHECK_OK(fc_set(session, &key, "v", 1, NULL, NULL));
}

/* Every key is visited, once in a quiet table, whatever the step; the cursor ends at 0. */
static void every_key_is_visited(void)
{
    static const uint64_t steps[] = {0, 1, 7, 1000, UINT64_MAX};
    fixture made = check_open(2 << 20);
    for (uint32_t i = 0; i < 3000; i++) set_number(&made, made.session, i);
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        visits v = {.seen = calloc(3000, 1)};
        uint64_t cursor = 0, calls = 0;
        do {
            uint64_t before = v.count;
            CHECK_OK(fc_scan(made.session, 0, &cursor, steps[i], note, &v));
            CHECK(cursor == 0 || v.count - before >= (steps[i] != 0 ? steps[i] : 1));
        } while (cursor != 0 && ++calls < 10000);
        CHECK_EQUAL(3000, v.count);
        for (uint32_t j = 0; j < 3000; j++) CHECK_EQUAL(1, v.seen[j]);
        free(v.seen);
    }
    visits other = {.seen = NULL};
    uint64_t cursor = 0;
    CHECK_OK(fc_scan(made.session, 1, &cursor, 10, note, &other)); /* databases are apart */
    CHECK(cursor == 0 && other.count == 0);
    cursor = UINT64_MAX;
    CHECK_OK(fc_scan(made.session, 0, &cursor, 10, note, &other)); /* a cursor nobody gave out ends the scan */
    CHECK(cursor == 0 && other.count == 0);
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_scan(made.session, 16, &cursor, 10, note, &other));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_scan(made.session, 63, &cursor, 10, note, &other));
    check_close(&made);
}

/* A non-zero return of visit stops the scan at once. */
static void visit_can_stop_the_scan(void)
{
    fixture made = check_open(2 << 20);
    for (uint32_t i = 0; i < 100; i++) set_number(&made, made.session, i);
    visits v = {.seen = calloc(100, 1), .stop_after = 3};
    uint64_t cursor = 0;
    CHECK_OK(fc_scan(made.session, 0, &cursor, 1000, note, &v));
    CHECK_EQUAL(3, v.count);
    free(v.seen);
    check_close(&made);
}

/* Dead values and schemas are not visited; keys that live in chains are. */
static void only_living_keys_are_visited(void)
{
    fixture made = check_open(4 << 20);
    static char long_key[FC_KEY_BYTES_MAX];
    uint64_t schema, cursor = 0;
    uint32_t dying = 2;
    fc_set_options options = {.expires_unix_ns = fc_clock_unix_ns() + UINT64_C(60000000000)};
    fc_key key = check_key_of(&made, &dying, sizeof dying);
    CHECK_OK(fc_schema_register(made.session, "text", 4, &schema));
    set_number(&made, made.session, 0);
    CHECK_OK(fc_flush(made.session, 0));
    set_number(&made, made.session, 1);
    CHECK_OK(fc_set(made.session, &key, "v", 1, &options, NULL));
    key = check_key_of(&made, long_key, sizeof long_key);
    CHECK_OK(fc_set(made.session, &key, "v", 1, NULL, NULL));
    fc_clock_shift_for_test(INT64_C(120000000000));
    visits v = {.seen = calloc(4, 1)};
    CHECK_OK(fc_scan(made.session, 0, &cursor, 1000, note, &v));
    CHECK(v.seen[0] == 0 && v.seen[1] == 1 && v.seen[2] == 0);
    CHECK_EQUAL(2, v.count);
    free(v.seen);
    check_close(&made);
}

typedef struct churner {
    fixture *made;
    int stop;
} churner;

static void *insert_and_delete(void *context)
{
    churner *c = context;
    fc_session *session;
    uint64_t seed = 9;
    REQUIRE_OK(fc_session_open(c->made->cache, &session));
    while (!__atomic_load_n(&c->stop, __ATOMIC_ACQUIRE)) {
        uint32_t number = 1000 + (uint32_t)(check_random(&seed) % 4000);
        fc_key key = check_key_of(c->made, &number, sizeof number);
        if (check_random(&seed) % 2 == 0) set_number(c->made, session, number);
        else (void)!fc_delete(session, &key);
        number %= 1000; /* and the lasting ones are rewritten: other blocks, same entries (B1) */
        set_number(c->made, session, number);
    }
    CHECK_OK(fc_session_close(session));
    return NULL;
}

/* Redis SCAN's guarantee: a key that is there from the first call to the last is visited, whatever comes and goes around it. */
static void lasting_keys_are_visited_under_churn(void)
{
    fc_options options = check_options(4 << 20);
    options.keys = 600; /* short of homes: most keys are in extension buckets, which come and go */
    fixture made = check_open_with(&options);
    churner c = {&made, 0};
    pthread_t thread;
    for (uint32_t i = 0; i < 1000; i++) set_number(&made, made.session, i);
    REQUIRE(pthread_create(&thread, NULL, insert_and_delete, &c) == 0);
    for (uint64_t round = 0; round < check_rounds(200); round++) {
        visits v = {.seen = calloc(5000, 1)};
        uint64_t cursor = 0;
        do CHECK_OK(fc_scan(made.session, 0, &cursor, 50, note, &v));
        while (cursor != 0);
        for (uint32_t i = 0; i < 1000; i++) CHECK(v.seen[i] >= 1);
        free(v.seen);
    }
    __atomic_store_n(&c.stop, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    audit_segment(made.session);
    check_delete_all(&made);
    audit_empty(made.session);
    check_close(&made);
}

/* A random key is a living key of the database; every one of a few comes up; none in an empty database. */
static void a_random_key_is_a_living_one(void)
{
    fixture made = check_open(2 << 20);
    uint32_t number = 0, seen[10] = {0};
    uint64_t bytes = 99;
    CHECK_STATUS(FC_MISS, fc_random_key(made.session, 0, &number, sizeof number, &bytes));
    for (uint32_t i = 0; i < 10; i++) set_number(&made, made.session, i);
    for (int i = 0; i < 2000; i++) {
        CHECK_OK(fc_random_key(made.session, 0, &number, sizeof number, &bytes));
        CHECK(bytes == sizeof number && number < 10);
        seen[number % 10]++;
    }
    for (int i = 0; i < 10; i++) CHECK(seen[i] > 0);
    CHECK_STATUS(FC_BUFFER_SMALL, fc_random_key(made.session, 0, &number, 3, &bytes));
    CHECK_EQUAL(4, bytes);
    CHECK_STATUS(FC_MISS, fc_random_key(made.session, 1, &number, sizeof number, &bytes));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_random_key(made.session, 16, &number, sizeof number, &bytes));
    fc_options read_only = {.read_only = 1};
    fixture reader = made;
    CHECK_OK(fc_cache_attach(made.name, &read_only, &reader.cache));
    CHECK_OK(fc_session_open(reader.cache, &reader.session));
    for (int i = 0; i < 100; i++) CHECK_OK(fc_random_key(reader.session, 0, &number, sizeof number, &bytes));
    CHECK_OK(fc_cache_close(reader.cache));
    CHECK_OK(fc_flush(made.session, 0));
    CHECK_STATUS(FC_MISS, fc_random_key(made.session, 0, &number, sizeof number, &bytes));
    check_close(&made);
}

int main(void)
{
    RUN(every_key_is_visited);
    RUN(visit_can_stop_the_scan);
    RUN(only_living_keys_are_visited);
    RUN(lasting_keys_are_visited_under_churn);
    RUN(a_random_key_is_a_living_one);
    return check_report();
}
