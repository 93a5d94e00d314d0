/* test_read.c -- the public reads (csrc/table/read.c). */
#include "../memory/audit.h"

#include <pthread.h>
#include <sys/wait.h>

/* A value that says which length and seed it was made from. */
static void make_value(uint8_t *value, uint64_t bytes, uint64_t seed)
{
    for (uint64_t i = 0; i < bytes; i++) value[i] = (uint8_t)(seed + i * 31 + (i >> 8) * 7);
}

/* A buffer one byte short copies nothing and says how much is needed; out-parameters of a miss stay. */
static void get_reports_the_length_it_needs(void)
{
    fixture made = check_open(1 << 20);
    fc_key key = check_key(&made, "k"), missing = check_key(&made, "missing");
    char buffer[8] = "1234567";
    uint64_t bytes = 99;
    CHECK_OK(check_set(&made, "k", "value"));
    CHECK_STATUS(FC_BUFFER_SMALL, fc_get(made.session, &key, buffer, 4, &bytes));
    CHECK(bytes == 5 && memcmp(buffer, "1234567", 8) == 0);
    CHECK_STATUS(FC_BUFFER_SMALL, fc_get(made.session, &key, NULL, 0, &bytes));
    CHECK_OK(fc_get(made.session, &key, buffer, 5, &bytes));
    CHECK(bytes == 5 && memcmp(buffer, "value67", 8) == 0);
    bytes = 99;
    CHECK_STATUS(FC_MISS, fc_get(made.session, &missing, buffer, 8, &bytes));
    CHECK_EQUAL(99, bytes);
    check_close(&made);
}

/* Keys: the empty one, with NUL bytes, of 64 KiB, differing in the last byte; one byte more is refused. */
static void keys_are_any_bytes_up_to_64_kib(void)
{
    fixture made = check_open(8 << 20);
    static uint8_t data[FC_KEY_BYTES_MAX + 1], buffer[64];
    static const uint64_t lengths[] = {0, 1, 7, 8, 9, 16, 55, 56, 57, 1000, 16000, 16272, 16328, 16329, 32743, 32744, 32745, 65487, 65488, 65535, 65536};
    uint64_t bytes;
    for (size_t i = 0; i < COUNT_OF(lengths); i++)
        for (uint8_t last = 0; last < 2 && (lengths[i] > 0 || last == 0); last++) {
            if (lengths[i] > 0) data[lengths[i] - 1] = last;
            fc_key key = check_key_of(&made, data, lengths[i]);
            uint64_t value[2] = {lengths[i], last};
            CHECK_STATUS(FC_MISS, fc_get(made.session, &key, buffer, sizeof buffer, &bytes));
            CHECK_OK(fc_set(made.session, &key, value, sizeof value, NULL, NULL));
            if (lengths[i] > 0) data[lengths[i] - 1] = 0;
        }
    for (size_t i = 0; i < COUNT_OF(lengths); i++)
        for (uint8_t last = 0; last < 2 && (lengths[i] > 0 || last == 0); last++) {
            if (lengths[i] > 0) data[lengths[i] - 1] = last;
            fc_key key = check_key_of(&made, data, lengths[i]);
            uint64_t value[2];
            CHECK_OK(fc_get(made.session, &key, value, sizeof value, &bytes));
            CHECK(value[0] == lengths[i] && value[1] == last);
            if (lengths[i] > 0) data[lengths[i] - 1] = 0;
        }
    fc_key key;
    CHECK_STATUS(FC_KEY_TOO_LONG, fc_key_init(made.cache, 0, data, FC_KEY_BYTES_MAX + 1, &key));
    CHECK_STATUS(FC_KEY_TOO_LONG, fc_key_init(made.cache, 0, data, UINT64_MAX, &key));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_key_init(made.cache, 16, data, 1, &key));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_key_init(made.cache, 63, data, 1, &key)); /* where schemas live */
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_key_init(made.cache, 0, NULL, 1, &key));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_key_init(NULL, 0, data, 1, &key));
    CHECK_OK(fc_key_init(made.cache, 0, NULL, 0, &key));
    audit_segment(made.session);
    check_delete_all(&made);
    audit_empty(made.session);
    check_close(&made);
}

/* Values of every length near a boundary come back byte by byte: classes, half a page, whole nodes; with a key that moves them. */
static void values_of_every_boundary_length_come_back(void)
{
    fixture made = check_open(8 << 20);
    uint64_t lengths[400], count = 0, got_bytes;
    static uint8_t value[400000], got[400000];
    for (uint32_t kind = 1; kind < FC_KIND_PAGE; kind++)
        for (int d = kind == 1 ? 0 : -1; d <= 1; d++) lengths[count++] = fc_class_bytes[kind] - sizeof(fc_block) - 8 + (uint64_t)d;
    static const uint64_t more[] = {0, 1, 2, 16384 - 56, 32768, 65536, 98304, 131072, 262144, FC_NODE_PAYLOAD, 2 * FC_NODE_PAYLOAD, 3 * FC_NODE_PAYLOAD, FC_NODE_PAYLOAD + 16304,
                                    FC_NODE_PAYLOAD + 16312, FC_NODE_PAYLOAD + 16320, FC_NODE_PAYLOAD + 16328, 399990};
    for (size_t i = 0; i < COUNT_OF(more); i++)
        for (int d = -9; d <= 9; d++)
            if ((int64_t)more[i] + d >= 0 && (d % 8 == 0 || d % 8 == 1 || d % 8 == -1)) lengths[count++] = more[i] + (uint64_t)d;
    REQUIRE(count <= COUNT_OF(lengths));
    static const char *const names[] = {"", "k", "12345678", "123456789"};
    for (uint64_t i = 0; i < count; i++)
        for (size_t j = 0; j < COUNT_OF(names); j++) {
            fc_key key = check_key(&made, names[j]);
            make_value(value, lengths[i], i + j);
            if (!CHECK_OK(fc_set(made.session, &key, value, lengths[i], NULL, NULL))) continue;
            memset(got, 0xA5, lengths[i] + 1);
            CHECK_OK(fc_get(made.session, &key, got, lengths[i], &got_bytes));
            CHECK(got_bytes == lengths[i] && memcmp(value, got, lengths[i]) == 0 && got[lengths[i]] == 0xA5);
        }
    audit_segment(made.session);
    check_delete_all(&made);
    audit_empty(made.session);
    check_close(&made);
}

/* value_bytes_max is the longest value; one byte more is refused by every write. */
static void the_longest_value_is_value_bytes_max(void)
{
    fc_options options = check_options(4 << 20);
    options.value_bytes_max = 1000003;
    fixture made = check_open_with(&options);
    uint8_t *value = malloc(1000004), *got = malloc(1000004);
    fc_key key = check_key(&made, "k");
    uint64_t bytes;
    make_value(value, 1000004, 3);
    CHECK_OK(fc_set(made.session, &key, value, 1000003, NULL, NULL));
    CHECK_OK(fc_get(made.session, &key, got, 1000004, &bytes));
    CHECK(bytes == 1000003 && memcmp(value, got, bytes) == 0);
    CHECK_STATUS(FC_VALUE_TOO_LONG, fc_set(made.session, &key, value, 1000004, NULL, NULL));
    CHECK_STATUS(FC_VALUE_TOO_LONG, fc_set(made.session, &key, value, UINT64_MAX, NULL, NULL));
    fc_write write = {value, 1000004, 0, 0};
    CHECK_STATUS(FC_VALUE_TOO_LONG, fc_set_many(made.session, &key, &write, 1, 0));
    CHECK_OK(fc_delete(made.session, &key));
    audit_empty(made.session);
    free(value);
    free(got);
    check_close(&made);
}

/* GETRANGE's arithmetic as Redis 7's. */
static void get_range_counts_as_redis_does(void)
{
    static const struct { int64_t first, last; const char *expected; } rows[] = {
        {0, 3, "This"}, {0, -1, "This is a string"}, {-3, -1, "ing"}, {0, 0, "T"}, {5, 3, ""}, {5, 5000, "is a string"}, {-5000, 10000, "This is a string"}, {-1, -3, ""},
        {-5, -10, ""}, {16, 20, ""}, {15, 15, "g"}, {16, 16, ""}, {-16, -16, "T"}, {-17, -17, "T"}, {-1, 0, ""}, {INT64_MIN, INT64_MAX, "This is a string"}, {INT64_MAX, INT64_MAX, ""},
        {INT64_MIN, INT64_MIN, "T"}, {0, INT64_MIN, "T"}, {3, 2, ""}, {10, -1, "string"},
    };
    fixture made = check_open(1 << 20);
    fc_key key = check_key(&made, "k"), missing = check_key(&made, "missing"), empty = check_key(&made, "empty");
    CHECK_OK(check_set(&made, "k", "This is a string"));
    CHECK_OK(check_set(&made, "empty", ""));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char buffer[32];
        uint64_t bytes = 99;
        CHECK_OK(fc_get_range(made.session, &key, rows[i].first, rows[i].last, buffer, sizeof buffer, &bytes));
        if (!CHECK(bytes == strlen(rows[i].expected) && memcmp(buffer, rows[i].expected, bytes) == 0)) fprintf(stderr, "  row %zu: %.*s\n", i, (int)bytes, buffer);
        CHECK_OK(fc_get_range(made.session, &missing, rows[i].first, rows[i].last, buffer, sizeof buffer, &bytes));
        CHECK_EQUAL(0, bytes);
        CHECK_OK(fc_get_range(made.session, &empty, rows[i].first, rows[i].last, buffer, sizeof buffer, &bytes));
        CHECK_EQUAL(0, bytes);
    }
    char small[3];
    uint64_t bytes = 0;
    CHECK_STATUS(FC_BUFFER_SMALL, fc_get_range(made.session, &key, 0, 3, small, sizeof small, &bytes));
    CHECK_EQUAL(4, bytes);
    check_close(&made);
}

/* Ranges of a chained value, across nodes and within one. */
static void ranges_cross_nodes(void)
{
    fixture made = check_open(4 << 20);
    static uint8_t value[150000], got[150000];
    fc_key key = check_key(&made, "key");
    uint64_t seed = 9, bytes;
    make_value(value, sizeof value, 1);
    CHECK_OK(fc_set(made.session, &key, value, sizeof value, NULL, NULL));
    for (uint64_t i = 0; i < check_rounds(3000); i++) {
        uint64_t first = check_random(&seed) % sizeof value, last = first + check_random(&seed) % (sizeof value - first);
        if (i % 3 == 0 && last > first + 20) last = first + 20;
        CHECK_OK(fc_get_range(made.session, &key, (int64_t)first, (int64_t)last, got, sizeof got, &bytes));
        CHECK(bytes == last - first + 1 && memcmp(got, value + first, bytes) == 0);
    }
    check_close(&made);
}

/* Metadata are of the same instant as the value: version, times, schema, type, who wrote it. */
static void an_entry_tells_all(void)
{
    fixture made = check_open(1 << 20);
    fc_key key = check_key(&made, "k");
    uint64_t schema = 0, before = fc_clock_unix_ns();
    CHECK_OK(fc_schema_register(made.session, "f8", 2, &schema));
    fc_set_options options = {.flags = FC_SET_SCHEMA, .schema = schema, .expires_unix_ns = before + UINT64_C(100000000000)};
    fc_set_result result;
    fc_entry entry;
    char buffer[8];
    uint32_t writer = 99, type = 99;
    uint64_t expires = 0;
    CHECK_OK(fc_set(made.session, &key, "12345678", 8, &options, &result));
    CHECK_OK(fc_get_entry(made.session, &key, buffer, sizeof buffer, &entry));
    CHECK(entry.value_bytes == 8 && memcmp(buffer, "12345678", 8) == 0);
    CHECK_EQUAL(result.version, entry.version);
    CHECK(entry.written_unix_ns + FC_COARSE_LAG_NS >= before && entry.written_unix_ns <= fc_clock_unix_ns());
    CHECK_EQUAL(options.expires_unix_ns, entry.expires_unix_ns);
    CHECK(entry.age_ns < UINT64_C(60000000000));
    CHECK_EQUAL(schema, entry.schema);
    CHECK_EQUAL(FC_TYPE_STRING, entry.type);
    CHECK_OK(fc_entry_writer(made.session, &entry, &writer));
    CHECK_EQUAL(FC_WRITER_ALIVE, writer);
    CHECK_STATUS(FC_BUFFER_SMALL, fc_get_entry(made.session, &key, buffer, 7, &entry));
    CHECK_EQUAL(8, entry.value_bytes);
    CHECK_OK(fc_get_entry(made.session, &key, NULL, 0, &entry));
    CHECK_OK(fc_type(made.session, &key, &type));
    CHECK_EQUAL(FC_TYPE_STRING, type);
    CHECK_OK(fc_expires(made.session, &key, &expires));
    CHECK_EQUAL(options.expires_unix_ns, expires);
    CHECK_OK(fc_exists(made.session, &key));
    CHECK_OK(fc_touch(made.session, &key));
    fc_clock_shift_for_test(-INT64_C(1000000000000)); /* a clock stepped back: age is not negative */
    CHECK_OK(fc_get_entry(made.session, &key, NULL, 0, &entry));
    CHECK_EQUAL(0, entry.age_ns);
    fc_clock_shift_for_test(0);
    fc_key missing = check_key(&made, "missing");
    CHECK_STATUS(FC_MISS, fc_get_entry(made.session, &missing, buffer, 8, &entry));
    CHECK_STATUS(FC_MISS, fc_expires(made.session, &missing, &expires));
    CHECK_STATUS(FC_MISS, fc_exists(made.session, &missing));
    CHECK_STATUS(FC_MISS, fc_touch(made.session, &missing));
    CHECK_OK(fc_type(made.session, &missing, &type));
    CHECK_EQUAL(FC_TYPE_NONE, type);
    check_close(&made);
}

/* The writer of an entry: alive while its session is open, unknown when it was closed, dead when its process is. */
static void the_writer_is_alive_dead_or_unknown(void)
{
    fixture made = check_open(1 << 20);
    static const uint32_t expected[] = {FC_WRITER_UNKNOWN, FC_WRITER_DEAD};
    fc_entry entry;
    fc_key key = check_key(&made, "k");
    uint32_t writer = 99;
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        if (child == 0) {
            fixture own = made;
            REQUIRE_OK(fc_session_open(made.cache, &own.session));
            CHECK_OK(check_set(&own, "k", "v"));
            if (i == 0) CHECK_OK(fc_session_close(own.session));
            CHILD_EXIT();
        }
        CHECK(check_child_ok(child));
        CHECK_OK(fc_get_entry(made.session, &key, NULL, 0, &entry));
        CHECK_OK(fc_entry_writer(made.session, &entry, &writer));
        CHECK_EQUAL(expected[i], writer);
    }
    check_close(&made);
}

/* Expiry: a value is there until its nanosecond and gone from it on, for every read; time stepping back brings it back. */
static void a_value_ends_at_its_nanosecond(void)
{
    fixture made = check_open(1 << 20);
    fc_key key = check_key(&made, "k");
    uint64_t now = fc_clock_unix_ns(), bytes, expires;
    char buffer[8];
    fc_entry entry;
    fc_read read = {buffer, sizeof buffer, 0, 0, 0, 0, 0};
    fc_set_options options = {.expires_unix_ns = now + UINT64_C(1000000000000)};
    CHECK_OK(fc_set(made.session, &key, "v", 1, &options, NULL));
    for (int round = 0; round < 2; round++) {
        fc_clock_shift_for_test(INT64_C(990000000000));
        CHECK_OK(fc_get(made.session, &key, buffer, sizeof buffer, &bytes));
        fc_clock_shift_for_test(INT64_C(1000000000000)); /* now is at or after the deadline */
        CHECK_STATUS(FC_MISS, fc_get(made.session, &key, buffer, sizeof buffer, &bytes));
        CHECK_STATUS(FC_MISS, fc_get_entry(made.session, &key, NULL, 0, &entry));
        CHECK_STATUS(FC_MISS, fc_exists(made.session, &key));
        CHECK_STATUS(FC_MISS, fc_expires(made.session, &key, &expires));
        CHECK_OK(fc_get_range(made.session, &key, 0, -1, buffer, sizeof buffer, &bytes));
        CHECK_EQUAL(0, bytes);
        CHECK_OK(fc_get_many(made.session, &key, &read, 1));
        CHECK_STATUS(FC_MISS, read.status);
        CHECK_OK(fc_get_cut(made.session, &key, &read, 1));
        CHECK_STATUS(FC_MISS, read.status);
    }
    check_close(&made);
}

/* get_many: each key gets its own status, value, version, schema and write time, whatever its neighbours get; over more than one group of prefetches. */
static void get_many_gives_each_its_own_status(void)
{
    fixture made = check_open(4 << 20);
    static char names[100][24], buffers[100][32];
    fc_key keys[100];
    fc_read reads[100];
    static const uint64_t counts[] = {0, 1, 15, 16, 17, 31, 32, 33, 100};
    for (int i = 0; i < 100; i++) {
        snprintf(names[i], sizeof names[i], "name %d", i);
        keys[i] = check_key(&made, names[i]);
        fc_set_options record = {.flags = FC_SET_SCHEMA, .schema = 1000 + (uint64_t)i};
        if (i % 3 != 0) CHECK_OK(fc_set(made.session, &keys[i], names[i], strlen(names[i]), i % 7 == 0 ? &record : NULL, NULL));
    }
    for (size_t j = 0; j < COUNT_OF(counts); j++)
        for (int cut = 0; cut < 2; cut++) {
            for (int i = 0; i < 100; i++) reads[i] = (fc_read){buffers[i], i % 5 == 0 ? 3 : 32, 0, 0, 55, 66, 77};
            CHECK_OK(cut ? fc_get_cut(made.session, keys, reads, counts[j]) : fc_get_many(made.session, keys, reads, counts[j]));
            for (uint64_t i = 0; i < 100; i++) {
                fc_status expected = i >= counts[j] ? 77 : i % 3 == 0 ? FC_MISS : i % 5 == 0 ? FC_BUFFER_SMALL : FC_OK;
                CHECK_STATUS(expected, reads[i].status);
                if (expected == FC_OK) CHECK(reads[i].value_bytes == strlen(names[i]) && memcmp(buffers[i], names[i], reads[i].value_bytes) == 0 && reads[i].version != 0);
                CHECK_EQUAL(expected != FC_OK && expected != FC_BUFFER_SMALL ? 55 : i % 7 == 0 ? 1000 + i : 0, reads[i].schema);
                if (expected == FC_BUFFER_SMALL) CHECK_EQUAL(strlen(names[i]), reads[i].value_bytes);
                fc_entry entry = {.written_unix_ns = 66};
                if (expected == FC_OK || expected == FC_BUFFER_SMALL) CHECK_OK(fc_get_entry(made.session, &keys[i], NULL, 0, &entry));
                CHECK_EQUAL(entry.written_unix_ns, reads[i].written_unix_ns);
            }
        }
    check_close(&made);
}

/* Databases are apart: one key, one value in each. */
static void databases_are_apart(void)
{
    fc_options options = check_options(1 << 20);
    options.databases = 63;
    fixture made = check_open_with(&options);
    for (uint32_t i = 0; i < 63; i++) {
        fc_key key;
        CHECK_OK(fc_key_init(made.cache, i, "k", 1, &key));
        CHECK_STATUS(FC_MISS, fc_exists(made.session, &key));
        CHECK_OK(fc_set(made.session, &key, &i, sizeof i, NULL, NULL));
    }
    for (uint32_t i = 0; i < 63; i++) {
        fc_key key;
        uint32_t value;
        uint64_t bytes;
        CHECK_OK(fc_key_init(made.cache, i, "k", 1, &key));
        CHECK_OK(fc_get(made.session, &key, &value, sizeof value, &bytes));
        CHECK_EQUAL(i, value);
    }
    check_close(&made);
}

/* ------------------------------------------------------------------ under a writer */

typedef struct tug {
    fixture *made;
    uint64_t bytes_max;
    int64_t writes;
    int stop;
    int long_key;
} tug;

static char long_key[40000];

static fc_key key_of(const tug *t) { return t->long_key ? check_key_of(t->made, long_key, sizeof long_key) : check_key(t->made, "k"); }

static void *rewrite(void *context)
{
    tug *t = context;
    fc_session *session;
    uint8_t *value = malloc(t->bytes_max + 8);
    uint64_t seed = 77;
    fc_key key = key_of(t);
    REQUIRE_OK(fc_session_open(t->made->cache, &session));
    while (!__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE)) {
        uint64_t bytes = 1 + check_random(&seed) % t->bytes_max;
        memset(value, (int)(bytes % 251), bytes);
        CHECK_OK(fc_set(session, &key, value, bytes, NULL, NULL));
        if (t->writes % 16 == 0) CHECK_OK(fc_expire(session, &key, UINT64_MAX, 0));
        __atomic_add_fetch(&t->writes, 1, __ATOMIC_RELAXED);
    }
    CHECK_OK(fc_session_close(session));
    free(value);
    return NULL;
}

static void read_under_a_writer(uint64_t bytes_max, int with_long_key, uint64_t rounds)
{
    fixture made = check_open(8 << 20);
    tug t = {.made = &made, .bytes_max = bytes_max, .long_key = with_long_key};
    pthread_t thread;
    uint8_t *got = malloc(bytes_max + 8);
    fc_key key = key_of(&t);
    uint64_t bytes, hits = 0;
    CHECK_OK(fc_set(made.session, &key, "\001", 1, NULL, NULL));
    REQUIRE(pthread_create(&thread, NULL, rewrite, &t) == 0);
    for (uint64_t i = 0; i < rounds || (__atomic_load_n(&t.writes, __ATOMIC_RELAXED) < 100 && i < 100 * rounds); i++) {
        fc_status status = fc_get(made.session, &key, got, bytes_max, &bytes);
        if (status == FC_CONTENDED || !CHECK_OK(status)) continue;
        hits++;
        if (!CHECK(bytes >= 1 && bytes <= bytes_max)) continue;
        uint64_t wrong = 0;
        for (uint64_t j = 0; j < bytes; j++) wrong += got[j] != (uint8_t)(bytes % 251);
        CHECK_EQUAL(0, wrong); /* P3 */
    }
    __atomic_store_n(&t.stop, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    CHECK(hits > 0);
    free(got);
    audit_segment(made.session);
    check_close(&made);
}

/* P1, P3: under a writer of the same key every read is whole: small values. */
static void reads_of_small_values_are_never_torn(void) { read_under_a_writer(200, 0, check_rounds(300000)); }
/* P1, P3: the same for chains, whose nodes are given back while readers still copy them: never torn, never called damaged. */
static void reads_of_chained_values_are_never_torn(void) { read_under_a_writer(150000, 0, check_rounds(20000)); }
/* P1, P3: the same when the key itself lies in the chain: it is never missed. */
static void a_key_in_a_chain_is_never_missed(void)
{
    memset(long_key, 'x', sizeof long_key);
    read_under_a_writer(60000, 1, check_rounds(20000));
}

int main(void)
{
    RUN(get_reports_the_length_it_needs);
    RUN(keys_are_any_bytes_up_to_64_kib);
    RUN(values_of_every_boundary_length_come_back);
    RUN(the_longest_value_is_value_bytes_max);
    RUN(get_range_counts_as_redis_does);
    RUN(ranges_cross_nodes);
    RUN(an_entry_tells_all);
    RUN(the_writer_is_alive_dead_or_unknown);
    RUN(a_value_ends_at_its_nanosecond);
    RUN(get_many_gives_each_its_own_status);
    RUN(databases_are_apart);
    RUN(reads_of_small_values_are_never_torn);
    RUN(reads_of_chained_values_are_never_torn);
    RUN(a_key_in_a_chain_is_never_missed);
    return check_report();
}
