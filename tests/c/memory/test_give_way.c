/* test_give_way.c -- a sign that writers obey for a while, and nobody depends on (csrc/memory/give_way.h). */
#include "audit.h"
#include "memory/give_way.h"

static uint64_t *sign_of(const fixture *made) { return &fc_header_of(made->cache)->cut_until_mono_ns; }

static void count_call(void *context) { ++*(int *)context; }

/* Counts a session's waits into *count. */
static void count_waits(fc_session *session, int *count)
{
    *count = 0;
    CHECK_OK(fc_session_set_wait_hooks(session, count_call, count_call, count));
}

/* A sign stands for 50 us. A test that is not on its core meanwhile (an emulator, a busy machine) comes too late, and raises another. */
#define SIGNS_MAX 100000

/* A wait that ended has seen the sign run out. */
static void a_write_waits_until_the_sign_has_run_out(void)
{
    int calls;
    uint64_t until_mono_ns = 0;
    fixture made = check_open(1 << 20);
    count_waits(made.session, &calls);
    for (int i = 0; i < SIGNS_MAX && calls == 0; i++) {
        until_mono_ns = fc_give_way_raise(made.session);
        CHECK(until_mono_ns != 0);
        CHECK_OK(check_set(&made, "k", "1"));
    }
    CHECK_EQUAL(2, calls);
    CHECK(fc_clock_mono_ns() >= until_mono_ns);
    check_close(&made);
}

/* Who waited goes on writing for as long: a second sign is passed by, and a second transaction as well. */
static void whoever_gave_way_does_not_at_once_give_way_again(void)
{
    int calls;
    fixture made = check_open(1 << 20);
    count_waits(made.session, &calls);
    made.session->writes_on_mono_ns = UINT64_MAX;
    fc_give_way_raise(made.session);
    CHECK_OK(check_set(&made, "k", "1"));
    CHECK_EQUAL(0, calls);
    made.session->writes_on_mono_ns = 0;
    fc_key key = check_key(&made, "k");
    fc_write write = {.value = "2", .value_bytes = 1};
    for (int i = 0; i < SIGNS_MAX && calls == 0; i++) {
        fc_give_way_raise(made.session);
        CHECK_OK(fc_set_many(made.session, &key, &write, 1, 0));
    }
    CHECK_EQUAL(2, calls);
    CHECK(made.session->writes_on_mono_ns != 0);
    check_close(&made);
}

/* A reader that died left its sign up; it may also come from a clock of another time namespace. */
static void a_sign_that_has_run_out_is_taken_down_and_not_waited_for(void)
{
    int calls;
    fixture made = check_open(1 << 20);
    count_waits(made.session, &calls);
    const uint64_t signs[] = {1, UINT64_MAX, fc_clock_mono_ns() + UINT64_C(3600000000000)};
    for (size_t i = 0; i < COUNT_OF(signs); i++) {
        fc_store_relaxed(sign_of(&made), signs[i]);
        CHECK_OK(check_set(&made, "k", "1"));
        CHECK_EQUAL(0, fc_load_relaxed(sign_of(&made)));
    }
    CHECK_EQUAL(0, calls);
    check_close(&made);
}

static void only_ones_own_sign_is_lowered(void)
{
    fixture made = check_open(1 << 20);
    uint64_t first = fc_give_way_raise(made.session);
    fc_store_relaxed(sign_of(&made), first + 1);
    fc_give_way_lower(made.session, first);
    CHECK_EQUAL(first + 1, fc_load_relaxed(sign_of(&made)));
    fc_give_way_lower(made.session, first + 1);
    CHECK_EQUAL(0, fc_load_relaxed(sign_of(&made)));
    fc_give_way_lower(made.session, 0);
    check_close(&made);
}

/* P6: a read-only session delays nobody. */
static void a_read_only_session_raises_nothing(void)
{
    fixture made = check_open(1 << 20);
    fc_cache *reader;
    fc_session *session;
    fc_options options;
    fc_options_init(&options);
    options.read_only = 1;
    REQUIRE_OK(fc_cache_attach(made.name, &options, &reader));
    REQUIRE_OK(fc_session_open(reader, &session));
    CHECK_EQUAL(0, fc_give_way_raise(session));
    fc_give_way_lower(session, 0);
    CHECK_EQUAL(0, fc_load_relaxed(sign_of(&made)));
    CHECK_OK(fc_session_close(session));
    CHECK_OK(fc_cache_close(reader));
    check_close(&made);
}

int main(void)
{
    RUN(a_write_waits_until_the_sign_has_run_out);
    RUN(whoever_gave_way_does_not_at_once_give_way_again);
    RUN(a_sign_that_has_run_out_is_taken_down_and_not_waited_for);
    RUN(only_ones_own_sign_is_lowered);
    RUN(a_read_only_session_raises_nothing);
    return check_report();
}
