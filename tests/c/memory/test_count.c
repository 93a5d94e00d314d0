/* test_count.c -- keys of a database as sums over sessions (csrc/memory/count.c). */
#include "audit.h"

static uint64_t count_of(const fixture *made, uint32_t database)
{
    uint64_t count = UINT64_MAX;
    CHECK_OK(fc_count(made->session, database, &count));
    return count;
}

/* Inserting counts one, replacing none, deleting minus one; databases count apart. */
static void keys_are_counted_by_database(void)
{
    fixture made = check_open(2 << 20);
    fc_key keys[3];
    for (uint32_t i = 0; i < 3; i++) REQUIRE_OK(fc_key_init(made.cache, i, "k", 1, &keys[i]));
    for (int round = 0; round < 2; round++)
        for (uint32_t i = 0; i < 3; i++) CHECK_OK(fc_set(made.session, &keys[i], "v", 1, NULL, NULL));
    for (uint32_t i = 0; i < 3; i++) CHECK_EQUAL(1, count_of(&made, i));
    CHECK_OK(fc_delete(made.session, &keys[1]));
    CHECK_STATUS(FC_MISS, fc_delete(made.session, &keys[1]));
    CHECK_EQUAL(0, count_of(&made, 1));
    CHECK_EQUAL(2, check_stats(&made).key_count);
    audit_segment(made.session);
    check_close(&made);
}

/* A flush makes the count 0 at once; what is written after it counts, and removing what was before it counts nothing. */
static void a_flush_makes_older_keys_count_nothing(void)
{
    fixture made = check_open(2 << 20);
    CHECK_OK(check_set(&made, "a", "1"));
    CHECK_OK(check_set(&made, "b", "1"));
    CHECK_OK(fc_flush(made.session, 0));
    CHECK_EQUAL(0, count_of(&made, 0));
    CHECK_OK(check_set(&made, "a", "2"));
    CHECK_EQUAL(1, count_of(&made, 0));
    fc_key b = check_key(&made, "b");
    CHECK_STATUS(FC_MISS, fc_delete(made.session, &b));
    CHECK_EQUAL(1, count_of(&made, 0));
    audit_segment(made.session);
    check_close(&made);
}

/* What one session added another may remove, and the sum outlives both slots. */
static void counts_survive_their_sessions(void)
{
    fixture made = check_open(2 << 20);
    CHECK_OK(check_set(&made, "a", "1"));
    CHECK_OK(check_set(&made, "b", "1"));
    fc_session *other;
    REQUIRE_OK(fc_session_open(made.cache, &other));
    fc_key a = check_key(&made, "a");
    CHECK_OK(fc_delete(other, &a));
    CHECK_OK(fc_session_close(other));
    CHECK_EQUAL(1, count_of(&made, 0));
    CHECK_OK(fc_session_close(made.session));
    REQUIRE_OK(fc_session_open(made.cache, &made.session));
    CHECK_EQUAL(1, count_of(&made, 0));
    check_close(&made);
}

/* Keys whose time has come count until somebody meets them, as in Redis. */
static void expired_keys_count_until_somebody_meets_them(void)
{
    fixture made = check_open(2 << 20);
    fc_key key = check_key(&made, "k");
    fc_set_options options = {.expires_unix_ns = fc_clock_unix_ns() + UINT64_C(60000000000)};
    CHECK_OK(fc_set(made.session, &key, "v", 1, &options, NULL));
    fc_clock_shift_for_test(INT64_C(61000000000));
    CHECK_EQUAL(1, count_of(&made, 0));
    CHECK_STATUS(FC_MISS, fc_exists(made.session, &key));
    CHECK_EQUAL(1, count_of(&made, 0));
    CHECK_STATUS(FC_MISS, fc_delete(made.session, &key));
    CHECK_EQUAL(0, count_of(&made, 0));
    CHECK_EQUAL(1, check_stats(&made).expired);
    audit_empty(made.session);
    check_close(&made);
}

/* A database the segment does not have is refused. */
static void unknown_databases_are_refused(void)
{
    fixture made = check_open(2 << 20);
    uint64_t count = 77;
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_count(made.session, 16, &count));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_count(made.session, UINT32_MAX, &count));
    CHECK_EQUAL(77, count);
    check_close(&made);
}

int main(void)
{
    RUN(keys_are_counted_by_database);
    RUN(a_flush_makes_older_keys_count_nothing);
    RUN(counts_survive_their_sessions);
    RUN(expired_keys_count_until_somebody_meets_them);
    RUN(unknown_databases_are_refused);
    return check_report();
}
