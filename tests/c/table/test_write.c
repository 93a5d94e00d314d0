/* test_write.c -- set, delete and expiry of one key (csrc/table/write.c), with every option. */
#include "../memory/audit.h"

#define MINUTE_NS UINT64_C(60000000000)

static fc_status set_with(const fixture *made, const char *value, fc_set_options options, fc_set_result *result)
{
    fc_key key = check_key(made, "k");
    return fc_set(made->session, &key, value, strlen(value), &options, result);
}

/* Flags out of range, or that exclude each other, are refused before anything is looked at. */
static void wrong_options_are_refused(void)
{
    fixture made = check_open(1 << 20);
    static const fc_set_options rows[] = {
        {.flags = 64}, {.flags = 1u << 31}, {.flags = 0, .reserved = 1}, {.flags = FC_SET_NX | FC_SET_XX}, {.flags = FC_SET_KEEPTTL, .expires_unix_ns = 5}, {.flags = FC_SET_SCHEMA},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) CHECK_STATUS(FC_INVALID_ARGUMENT, set_with(&made, "v", rows[i], NULL));
    fc_key key = check_key(&made, "k");
    static const uint32_t flags[] = {16, FC_EXPIRE_NX | FC_EXPIRE_XX, FC_EXPIRE_NX | FC_EXPIRE_GT, FC_EXPIRE_NX | FC_EXPIRE_LT, FC_EXPIRE_GT | FC_EXPIRE_LT};
    for (size_t i = 0; i < COUNT_OF(flags); i++) CHECK_STATUS(FC_INVALID_ARGUMENT, fc_expire(made.session, &key, UINT64_MAX, flags[i]));
    fc_write write = {"v", 1, 0, 0};
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_set_many(made.session, &key, &write, 1, 2));
    CHECK(check_holds(&made, "k", NULL));
    check_close(&made);
}

/* NX stores only a missing key, XX only a present one; a dead value counts as missing. */
static void nx_and_xx_look_at_living_values(void)
{
    fixture made = check_open(1 << 20);
    CHECK_STATUS(FC_NOT_STORED, set_with(&made, "a", (fc_set_options){.flags = FC_SET_XX}, NULL));
    CHECK_OK(set_with(&made, "b", (fc_set_options){.flags = FC_SET_NX}, NULL));
    CHECK_STATUS(FC_NOT_STORED, set_with(&made, "c", (fc_set_options){.flags = FC_SET_NX}, NULL));
    CHECK_OK(set_with(&made, "d", (fc_set_options){.flags = FC_SET_XX, .expires_unix_ns = fc_clock_unix_ns() + MINUTE_NS}, NULL));
    CHECK(check_holds(&made, "k", "d"));
    fc_clock_shift_for_test((int64_t)(2 * MINUTE_NS));
    CHECK_STATUS(FC_NOT_STORED, set_with(&made, "e", (fc_set_options){.flags = FC_SET_XX}, NULL));
    CHECK_OK(set_with(&made, "f", (fc_set_options){.flags = FC_SET_NX}, NULL));
    CHECK_OK(fc_flush(made.session, 0));
    CHECK_STATUS(FC_NOT_STORED, set_with(&made, "g", (fc_set_options){.flags = FC_SET_XX}, NULL));
    CHECK_OK(set_with(&made, "h", (fc_set_options){.flags = FC_SET_NX}, NULL));
    CHECK(check_holds(&made, "k", "h"));
    audit_segment(made.session);
    check_close(&made);
}

/* GET returns the old value, with NX and XX as in Redis 7; a buffer too small stops the write. */
static void get_returns_the_old_value(void)
{
    fixture made = check_open(1 << 20);
    char old[8] = "";
    fc_set_result result = {0};
    fc_set_options options = {.flags = FC_SET_GET, .old_buffer = old, .old_buffer_bytes = sizeof old};
    CHECK_OK(set_with(&made, "one", options, &result));
    CHECK_EQUAL(0, result.old_exists);
    CHECK_OK(set_with(&made, "two", options, &result));
    CHECK(result.old_exists && result.old_bytes == 3 && memcmp(old, "one", 3) == 0);
    options.flags = FC_SET_GET | FC_SET_NX;
    CHECK_STATUS(FC_NOT_STORED, set_with(&made, "three", options, &result));
    CHECK(result.old_exists && memcmp(old, "two", 3) == 0);
    options.flags = FC_SET_GET | FC_SET_XX;
    CHECK_OK(set_with(&made, "four", options, &result));
    CHECK(memcmp(old, "two", 3) == 0);
    options.old_buffer_bytes = 3;
    CHECK_STATUS(FC_BUFFER_SMALL, set_with(&made, "five", options, &result));
    CHECK_EQUAL(4, result.old_bytes);
    CHECK(check_holds(&made, "k", "four"));
    fc_key key = check_key(&made, "k");
    CHECK_OK(fc_delete(made.session, &key));
    CHECK_STATUS(FC_NOT_STORED, set_with(&made, "six", options, &result));
    CHECK_EQUAL(0, result.old_exists);
    check_close(&made);
}

/* Compare and set: with the present version, or 0 for a missing key; every write gives another one. */
static void compare_and_set_goes_by_version(void)
{
    fixture made = check_open(1 << 20);
    fc_set_result result = {0}, next = {0};
    CHECK_STATUS(FC_VERSION_MISMATCH, set_with(&made, "a", (fc_set_options){.flags = FC_SET_VERSION, .if_version = 5}, &result));
    CHECK_OK(set_with(&made, "a", (fc_set_options){.flags = FC_SET_VERSION, .if_version = 0}, &result));
    CHECK_STATUS(FC_VERSION_MISMATCH, set_with(&made, "b", (fc_set_options){.flags = FC_SET_VERSION, .if_version = 0}, &next));
    CHECK_OK(set_with(&made, "b", (fc_set_options){.flags = FC_SET_VERSION, .if_version = result.version}, &next));
    CHECK(next.version != result.version);
    CHECK_STATUS(FC_VERSION_MISMATCH, set_with(&made, "c", (fc_set_options){.flags = FC_SET_VERSION, .if_version = result.version}, &result));
    fc_key key = check_key(&made, "k");
    CHECK_OK(fc_expire(made.session, &key, fc_clock_unix_ns() + MINUTE_NS, 0));
    CHECK_STATUS(FC_VERSION_MISMATCH, set_with(&made, "c", (fc_set_options){.flags = FC_SET_VERSION, .if_version = next.version}, &result));
    CHECK(check_holds(&made, "k", "b"));
    check_close(&made);
}

/* KEEPTTL keeps the expiry of a living value, also in a chain; without it the expiry goes. */
static void keepttl_keeps_the_expiry(void)
{
    fixture made = check_open(4 << 20);
    fc_key key = check_key(&made, "k");
    uint64_t deadline = fc_clock_unix_ns() + MINUTE_NS, expires = 99;
    static char value[50000];
    CHECK_OK(set_with(&made, "a", (fc_set_options){.expires_unix_ns = deadline}, NULL));
    fc_set_options keep = {.flags = FC_SET_KEEPTTL};
    CHECK_OK(fc_set(made.session, &key, value, sizeof value, &keep, NULL));
    CHECK_OK(fc_expires(made.session, &key, &expires));
    CHECK_EQUAL(deadline, expires);
    CHECK_OK(set_with(&made, "c", (fc_set_options){.flags = 0}, NULL));
    CHECK_OK(fc_expires(made.session, &key, &expires));
    CHECK_EQUAL(0, expires);
    CHECK_OK(set_with(&made, "d", (fc_set_options){.expires_unix_ns = deadline}, NULL));
    fc_clock_shift_for_test((int64_t)(2 * MINUTE_NS));
    CHECK_OK(set_with(&made, "e", keep, NULL));
    CHECK_OK(fc_expires(made.session, &key, &expires));
    CHECK_EQUAL(0, expires);
    audit_segment(made.session);
    check_close(&made);
}

/* An expiry that is past deletes, as in Redis: small values and long ones, and neither leaks. */
static void an_expiry_in_the_past_deletes(void)
{
    fixture made = check_open(4 << 20);
    fc_key key = check_key(&made, "k");
    static char value[100000];
    static const uint64_t lengths[] = {1, 100, 20000, 100000};
    for (size_t i = 0; i < COUNT_OF(lengths); i++)
        for (int present = 0; present < 2; present++)
            for (uint64_t j = 0; j < COUNT_OF(lengths); j++) {
                fc_set_options past = {.expires_unix_ns = 1 + j};
                if (present) CHECK_OK(fc_set(made.session, &key, value, lengths[j], NULL, NULL));
                CHECK_OK(fc_set(made.session, &key, value, lengths[i], &past, NULL));
                CHECK_STATUS(FC_MISS, fc_exists(made.session, &key));
                audit_empty(made.session);
            }
    fc_write write = {value, 100000, 1, 0};
    CHECK_OK(fc_set(made.session, &key, value, 5, NULL, NULL));
    CHECK_OK(fc_set_many(made.session, &key, &write, 1, 0));
    CHECK_STATUS(FC_MISS, fc_exists(made.session, &key));
    audit_empty(made.session);
    check_close(&made);
}

/* A write that is refused under its lock gives back what it had built: long values with NX, XX, version, GET, schema. */
static void refused_long_writes_leak_nothing(void)
{
    fixture made = check_open(4 << 20);
    fc_key key = check_key(&made, "k");
    static char value[100000];
    uint64_t schemas[2];
    CHECK_OK(fc_schema_register(made.session, "one", 3, &schemas[0]));
    CHECK_OK(fc_schema_register(made.session, "two", 3, &schemas[1]));
    uint64_t used = check_stats(&made).used_bytes;
    fc_set_options rows[] = {{.flags = FC_SET_XX}, {.flags = FC_SET_VERSION, .if_version = 1}, {.flags = FC_SET_NX}, {.flags = FC_SET_GET}, {.flags = FC_SET_SCHEMA, .schema = schemas[1]}};
    static const fc_status expected[] = {FC_NOT_STORED, FC_VERSION_MISMATCH, FC_NOT_STORED, FC_BUFFER_SMALL, FC_SCHEMA_MISMATCH};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        fc_set_options first = {.flags = FC_SET_SCHEMA, .schema = schemas[0]};
        if (i == 2) CHECK_OK(fc_set(made.session, &key, "v", 1, &first, NULL));
        CHECK_STATUS(expected[i], fc_set(made.session, &key, value, sizeof value, &rows[i], NULL));
        audit_segment(made.session);
    }
    CHECK_OK(fc_delete(made.session, &key));
    CHECK_EQUAL(used, check_stats(&made).used_bytes);
    check_close(&made);
}

/* Deleting: the value is gone and its memory back; get_delete returns it, or deletes nothing into too small a buffer. */
static void delete_and_get_delete(void)
{
    fixture made = check_open(4 << 20);
    fc_key key = check_key(&made, "k");
    static char value[70000], got[70000];
    uint64_t bytes = 99;
    CHECK_STATUS(FC_MISS, fc_delete(made.session, &key));
    CHECK_STATUS(FC_MISS, fc_get_delete(made.session, &key, got, sizeof got, &bytes));
    CHECK_EQUAL(99, bytes);
    memset(value, 7, sizeof value);
    for (uint64_t length = 0; length <= sizeof value; length += 35000) {
        CHECK_OK(fc_set(made.session, &key, value, length, NULL, NULL));
        if (length > 0) CHECK_STATUS(FC_BUFFER_SMALL, fc_get_delete(made.session, &key, got, length - 1, &bytes));
        CHECK_OK(fc_exists(made.session, &key));
        CHECK_OK(fc_get_delete(made.session, &key, got, length, &bytes));
        CHECK(bytes == length && memcmp(got, value, length) == 0);
        CHECK_STATUS(FC_MISS, fc_exists(made.session, &key));
    }
    CHECK_EQUAL(3, check_stats(&made).deletes);
    CHECK_OK(set_with(&made, "v", (fc_set_options){.expires_unix_ns = fc_clock_unix_ns() + MINUTE_NS}, NULL));
    fc_clock_shift_for_test((int64_t)(2 * MINUTE_NS));
    CHECK_STATUS(FC_MISS, fc_get_delete(made.session, &key, got, sizeof got, &bytes));
    audit_empty(made.session);
    check_close(&made);
}

/* EXPIRE's conditions as Redis 7's: no expiry counts as infinite. */
static void expire_conditions_are_those_of_redis(void)
{
    enum { NONE, NEAR, FAR };
    static const struct { int present; uint32_t flags; int wanted; fc_status status; } rows[] = {
        {NONE, 0, NEAR, FC_OK}, {NEAR, 0, FAR, FC_OK}, {NONE, FC_EXPIRE_NX, NEAR, FC_OK}, {NEAR, FC_EXPIRE_NX, FAR, FC_NOT_STORED}, {NONE, FC_EXPIRE_XX, NEAR, FC_NOT_STORED},
        {NEAR, FC_EXPIRE_XX, FAR, FC_OK}, {NONE, FC_EXPIRE_GT, FAR, FC_NOT_STORED}, {NEAR, FC_EXPIRE_GT, FAR, FC_OK}, {FAR, FC_EXPIRE_GT, NEAR, FC_NOT_STORED},
        {NEAR, FC_EXPIRE_GT, NEAR, FC_NOT_STORED}, {NONE, FC_EXPIRE_LT, NEAR, FC_OK}, {NEAR, FC_EXPIRE_LT, FAR, FC_NOT_STORED}, {FAR, FC_EXPIRE_LT, NEAR, FC_OK},
        {NEAR, FC_EXPIRE_LT, NEAR, FC_NOT_STORED}, {NONE, FC_EXPIRE_XX | FC_EXPIRE_GT, FAR, FC_NOT_STORED}, {NEAR, FC_EXPIRE_XX | FC_EXPIRE_GT, FAR, FC_OK},
        {NONE, FC_EXPIRE_XX | FC_EXPIRE_LT, NEAR, FC_NOT_STORED}, {FAR, FC_EXPIRE_XX | FC_EXPIRE_LT, NEAR, FC_OK},
    };
    fixture made = check_open(1 << 20);
    fc_key key = check_key(&made, "k");
    uint64_t now = fc_clock_unix_ns(), times[3] = {0, now + MINUTE_NS, now + 2 * MINUTE_NS}, expires;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        CHECK_OK(set_with(&made, "v", (fc_set_options){.expires_unix_ns = times[rows[i].present]}, NULL));
        if (!CHECK_STATUS(rows[i].status, fc_expire(made.session, &key, times[rows[i].wanted], rows[i].flags))) fprintf(stderr, "  row %zu\n", i);
        CHECK_OK(fc_expires(made.session, &key, &expires));
        CHECK_EQUAL(times[rows[i].status == FC_OK ? rows[i].wanted : rows[i].present], expires);
        CHECK(check_holds(&made, "k", "v"));
        char got[8];
        uint64_t bytes, again;
        CHECK_OK(set_with(&made, "v", (fc_set_options){.expires_unix_ns = times[rows[i].present]}, NULL));
        CHECK_OK(fc_get_expire(made.session, &key, got, sizeof got, &bytes, times[rows[i].wanted], rows[i].flags));
        CHECK_OK(fc_expires(made.session, &key, &again));
        CHECK(bytes == 1 && got[0] == 'v' && again == expires);
    }
    CHECK_OK(fc_persist(made.session, &key));
    CHECK_STATUS(FC_NOT_STORED, fc_persist(made.session, &key));
    CHECK_OK(fc_expire(made.session, &key, now - 1, 0)); /* in the past: deletes */
    CHECK_STATUS(FC_MISS, fc_exists(made.session, &key));
    CHECK_STATUS(FC_MISS, fc_expire(made.session, &key, UINT64_MAX, 0));
    CHECK_STATUS(FC_MISS, fc_persist(made.session, &key));
    CHECK_OK(check_set(&made, "k", "v"));
    CHECK_OK(fc_expire(made.session, &key, 0, 0)); /* 1970 is past, not "none" */
    CHECK_STATUS(FC_MISS, fc_exists(made.session, &key));
    audit_empty(made.session);
    check_close(&made);
}

/* GETEX: the value and its new expiry in one step; 0 takes the expiry away, a time in the past deletes, a small buffer changes nothing. */
static void get_expire_reads_and_changes_the_expiry(void)
{
    fixture made = check_open(4 << 20);
    fc_key key = check_key(&made, "k");
    static char value[70000], got[70000];
    uint64_t bytes = 99, expires, soon = fc_clock_unix_ns() + MINUTE_NS;
    fc_entry before, after;
    CHECK_STATUS(FC_MISS, fc_get_expire(made.session, &key, got, sizeof got, &bytes, soon, 0));
    CHECK_EQUAL(99, bytes);
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_get_expire(made.session, &key, got, sizeof got, &bytes, soon, FC_EXPIRE_NX | FC_EXPIRE_GT));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_get_expire(made.session, &key, got, sizeof got, &bytes, soon, 16));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_get_expire(made.session, &key, got, sizeof got, &bytes, 0, FC_EXPIRE_XX));
    memset(value, 7, sizeof value);
    for (uint64_t length = 0; length <= sizeof value; length += 35000) {
        CHECK_OK(fc_set(made.session, &key, value, length, NULL, NULL));
        CHECK_OK(fc_get_entry(made.session, &key, NULL, 0, &before));
        if (length > 0) CHECK_STATUS(FC_BUFFER_SMALL, fc_get_expire(made.session, &key, got, length - 1, &bytes, soon, 0));
        if (length > 0) CHECK_STATUS(FC_BUFFER_SMALL, fc_get_expire(made.session, &key, got, length - 1, &bytes, 1, 0));
        CHECK_OK(fc_get_expire(made.session, &key, got, length, &bytes, 0, 0)); /* it has none */
        CHECK_OK(fc_get_entry(made.session, &key, NULL, 0, &after));
        CHECK_EQUAL(before.version, after.version);
        CHECK_OK(fc_get_expire(made.session, &key, got, length, &bytes, soon, 0));
        CHECK(bytes == length && memcmp(got, value, length) == 0);
        CHECK_OK(fc_expires(made.session, &key, &expires));
        CHECK_EQUAL(soon, expires);
        memset(got, 0, sizeof got);
        CHECK_OK(fc_get_expire(made.session, &key, got, length, &bytes, 0, 0));
        CHECK(bytes == length && memcmp(got, value, length) == 0);
        CHECK_OK(fc_expires(made.session, &key, &expires));
        CHECK_EQUAL(0, expires);
        CHECK_OK(fc_get(made.session, &key, got, length, &bytes));
        CHECK(bytes == length && memcmp(got, value, length) == 0);
        CHECK_OK(fc_get_expire(made.session, &key, got, length, &bytes, 1, 0));
        CHECK_STATUS(FC_MISS, fc_exists(made.session, &key));
    }
    CHECK_OK(fc_set(made.session, &key, "v", 1, &(fc_set_options){.expires_unix_ns = soon}, NULL));
    fc_clock_shift_for_test((int64_t)(2 * MINUTE_NS));
    CHECK_STATUS(FC_MISS, fc_get_expire(made.session, &key, got, sizeof got, &bytes, 0, 0));
    CHECK_STATUS(FC_MISS, fc_delete(made.session, &key));
    audit_empty(made.session);
    check_close(&made);
}

/* EXPIRE of a long value moves its body, it does not copy it: no more memory is used, the bytes are the same, the version is new. */
static void expire_keeps_the_nodes_of_a_long_value(void)
{
    fixture made = check_open(1 << 20);
    fc_key key = check_key(&made, "k");
    uint64_t length = check_stats(&made).arena_bytes * 6 / 10, bytes;
    char *value = malloc(length), *got = malloc(length);
    fc_entry before, after;
    for (uint64_t i = 0; i < length; i++) value[i] = (char)(i * 13 >> 3);
    CHECK_OK(fc_set(made.session, &key, value, length, NULL, NULL));
    uint64_t used = check_stats(&made).used_bytes;
    CHECK_OK(fc_get_entry(made.session, &key, NULL, 0, &before));
    for (int i = 0; i < 10; i++) {
        CHECK_OK(fc_expire(made.session, &key, fc_clock_unix_ns() + MINUTE_NS, 0));
        CHECK_OK(fc_persist(made.session, &key));
    }
    CHECK_OK(fc_get_entry(made.session, &key, NULL, 0, &after));
    CHECK(after.version != before.version && after.written_unix_ns == before.written_unix_ns);
    CHECK_EQUAL(used, check_stats(&made).used_bytes);
    CHECK_OK(fc_get(made.session, &key, got, length, &bytes));
    CHECK(bytes == length && memcmp(value, got, length) == 0);
    audit_segment(made.session);
    CHECK_OK(fc_delete(made.session, &key));
    audit_empty(made.session);
    free(value);
    free(got);
    check_close(&made);
}

/* Overwriting across all classes and back leaves exactly one block, and deleting it none. */
static void overwriting_changes_classes_without_a_leak(void)
{
    fixture made = check_open(4 << 20);
    fc_key key = check_key(&made, "k");
    static char value[100000];
    uint64_t seed = 1;
    for (uint64_t i = 0; i < check_rounds(3000); i++) {
        uint64_t length = check_random(&seed) % 3 == 0 ? check_random(&seed) % sizeof value : check_random(&seed) % 20000;
        CHECK_OK(fc_set(made.session, &key, value, length, NULL, NULL));
        if (i % 500 == 0) audit_segment(made.session);
    }
    CHECK_OK(fc_delete(made.session, &key));
    audit_empty(made.session);
    check_close(&made);
}

int main(void)
{
    RUN(wrong_options_are_refused);
    RUN(nx_and_xx_look_at_living_values);
    RUN(get_returns_the_old_value);
    RUN(compare_and_set_goes_by_version);
    RUN(keepttl_keeps_the_expiry);
    RUN(an_expiry_in_the_past_deletes);
    RUN(refused_long_writes_leak_nothing);
    RUN(delete_and_get_delete);
    RUN(expire_conditions_are_those_of_redis);
    RUN(get_expire_reads_and_changes_the_expiry);
    RUN(expire_keeps_the_nodes_of_a_long_value);
    RUN(overwriting_changes_classes_without_a_leak);
    return check_report();
}
