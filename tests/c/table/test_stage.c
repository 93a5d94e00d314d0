/* test_stage.c -- what a decider sees of a transaction's keys, and what it may stage for them (csrc/table/stage.c). */
#include "../memory/audit.h"
#include "table/transact.h"

#define MINUTE_NS UINT64_C(60000000000)

/* What a decider is given. */
typedef struct scene {
    fixture made;
    fc_key keys[8];
    char names[8][16];
    uint64_t expires_unix_ns;
    uint32_t calls;
} scene;

static scene open_scene(uint64_t size_bytes)
{
    scene made = {.made = check_open(size_bytes)};
    for (uint32_t i = 0; i < COUNT_OF(made.keys); i++) snprintf(made.names[i], sizeof made.names[i], "key %u", i);
    return made;
}

static void run_scene(scene *s, uint64_t count, fc_transact_decider decide, fc_status expected)
{
    for (uint32_t i = 0; i < COUNT_OF(s->keys); i++) s->keys[i] = check_key(&s->made, s->names[i]);
    s->calls = 0;
    CHECK_STATUS(expected, fc_transact(s->made.session, s->keys, count, decide, s));
    audit_segment(s->made.session);
}

static int look_is(const fc_transaction *t, uint64_t index, uint32_t type, uint64_t bytes, uint64_t expires_unix_ns, uint64_t schema, uint32_t is_staged)
{
    fc_transact_state state;
    fc_transact_look(t, index, &state);
    return state.type == type && state.value_bytes == bytes && state.expires_unix_ns == expires_unix_ns && state.schema == schema && state.is_staged == is_staged;
}

static int copy_is(const fc_transaction *t, uint64_t index, const char *text)
{
    char got[64];
    uint64_t bytes = strlen(text);
    return fc_transact_copy(t, index, 0, got, bytes) == FC_OK && memcmp(got, text, bytes) == 0 && fc_transact_copy(t, index, 0, got, bytes + 1) == FC_INVALID_ARGUMENT;
}

static fc_transact_value text_value(const char *text) { return (fc_transact_value){.data = text, .bytes = strlen(text), .type = FC_TYPE_STRING}; }

/* ------------------------------------------------------------------ looking */

static fc_status look_at_all(fc_transaction *t, void *context)
{
    scene *s = context;
    fc_transact_state state;
    fc_entry entry;
    char got[8];
    CHECK(look_is(t, 0, FC_TYPE_STRING, 5, 0, 0, 0));
    CHECK(copy_is(t, 0, "hello"));
    CHECK_OK(fc_transact_copy(t, 0, 1, got, 3));
    CHECK(memcmp(got, "ell", 3) == 0);
    CHECK_OK(fc_transact_copy(t, 0, 5, got, 0));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_transact_copy(t, 0, 6, got, 0));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_transact_copy(t, 0, UINT64_MAX, got, 2));
    CHECK(look_is(t, 1, FC_TYPE_NONE, 0, 0, 0, 0));
    CHECK(copy_is(t, 1, ""));
    CHECK(look_is(t, 2, FC_TYPE_STRING, 1, s->expires_unix_ns, 77, 0));
    CHECK(look_is(t, 3, FC_TYPE_NONE, 0, 0, 0, 0)); /* its time has come */
    fc_transact_look(t, 0, &state);
    CHECK_OK(fc_get_entry(s->made.session, &s->keys[0], NULL, 0, &entry)); /* the session may read */
    CHECK_EQUAL(entry.version, state.version);
    fc_transact_look(t, 1, &state);
    CHECK_EQUAL(0, state.version);
    fc_transact_look(t, 3, &state);
    CHECK_EQUAL(0, state.version);
    CHECK_STATUS(FC_REENTERED, fc_delete(s->made.session, &s->keys[0])); /* but not write */
    CHECK_STATUS(FC_REENTERED, fc_transact(s->made.session, s->keys, 1, look_at_all, s));
    for (uint64_t i = 0; i < 4; i++) CHECK_EQUAL(i, fc_transact_find(t, &s->keys[i]));
    CHECK_EQUAL(4, fc_transact_find(t, &s->keys[5]));
    s->calls++;
    return FC_OK;
}

/* A decider sees every key as it is: value, expiry, schema, version; missing and expired ones as missing. */
static void a_decider_sees_what_the_keys_hold(void)
{
    scene s = open_scene(2 << 20);
    fc_key key;
    CHECK_OK(check_set(&s.made, "key 0", "hello"));
    fc_clock_shift_for_test(-(int64_t)MINUTE_NS);
    key = check_key(&s.made, "key 3");
    CHECK_OK(fc_set(s.made.session, &key, "x", 1, &(fc_set_options){.expires_unix_ns = fc_clock_unix_ns() + MINUTE_NS / 2}, NULL));
    fc_clock_shift_for_test(0);
    s.expires_unix_ns = fc_clock_unix_ns() + MINUTE_NS;
    key = check_key(&s.made, "key 2");
    CHECK_OK(fc_set(s.made.session, &key, "y", 1, &(fc_set_options){.flags = FC_SET_SCHEMA, .schema = 77, .expires_unix_ns = s.expires_unix_ns}, NULL));
    run_scene(&s, 4, look_at_all, FC_OK);
    CHECK_EQUAL(1, s.calls);
    check_close(&s.made);
}

/* ------------------------------------------------------------------ staging */

static fc_status stage_in_turn(fc_transaction *t, void *context)
{
    scene *s = context;
    void *room;
    fc_transact_value value = text_value("abc");
    /* write, then seen as written; through an equal key (index 3 is key 0 again) as well */
    CHECK_OK(fc_transact_write(t, 0, &value));
    CHECK(look_is(t, 3, FC_TYPE_STRING, 3, 0, 0, 1) && copy_is(t, 3, "abc"));
    /* edit what was written: longer, shorter, longer with zeroes */
    CHECK_OK(fc_transact_edit(t, 3, 5, &room));
    memcpy((char *)room + 3, "de", 2);
    CHECK(copy_is(t, 0, "abcde"));
    CHECK_OK(fc_transact_edit(t, 0, 2, &room));
    CHECK_OK(fc_transact_edit(t, 0, 4, &room));
    CHECK(memcmp(room, "ab\0\0", 4) == 0);
    CHECK_OK(fc_transact_expire(t, 0, fc_transact_now(t) + MINUTE_NS));
    CHECK(look_is(t, 0, FC_TYPE_STRING, 4, fc_transact_now(t) + MINUTE_NS, 0, 1));
    /* an expiry stays with what is edited, not with what is written */
    CHECK_OK(fc_transact_edit(t, 0, 3, &room));
    CHECK(look_is(t, 0, FC_TYPE_STRING, 3, fc_transact_now(t) + MINUTE_NS, 0, 1));
    CHECK_OK(fc_transact_write(t, 0, &value));
    CHECK(look_is(t, 0, FC_TYPE_STRING, 3, 0, 0, 1));
    /* delete, then edit from nothing */
    fc_transact_delete(t, 0);
    CHECK(look_is(t, 0, FC_TYPE_NONE, 0, 0, 0, 1) && copy_is(t, 0, ""));
    CHECK_OK(fc_transact_expire(t, 0, fc_transact_now(t) + MINUTE_NS)); /* a missing key stays missing */
    CHECK(look_is(t, 0, FC_TYPE_NONE, 0, 0, 0, 1));
    CHECK_OK(fc_transact_edit(t, 0, 1, &room));
    *(char *)room = 'z';
    /* take back, and a past expiry */
    CHECK_OK(fc_transact_expire(t, 1, fc_transact_now(t) + MINUTE_NS));
    CHECK(look_is(t, 1, FC_TYPE_STRING, 5, fc_transact_now(t) + MINUTE_NS, 0, 1) && copy_is(t, 1, "there"));
    CHECK_OK(fc_transact_edit(t, 1, 3, &room));
    CHECK(look_is(t, 1, FC_TYPE_STRING, 3, fc_transact_now(t) + MINUTE_NS, 0, 1) && copy_is(t, 1, "the"));
    fc_transact_keep(t, 1);
    CHECK(look_is(t, 1, FC_TYPE_STRING, 5, 0, 0, 0) && copy_is(t, 1, "there"));
    CHECK_OK(fc_transact_expire(t, 2, fc_transact_now(t)));
    CHECK(look_is(t, 2, FC_TYPE_NONE, 0, 0, 0, 1));
    value.bytes = UINT64_MAX;
    CHECK_STATUS(FC_VALUE_TOO_LONG, fc_transact_write(t, 2, &value));
    CHECK_STATUS(FC_VALUE_TOO_LONG, fc_transact_edit(t, 2, UINT64_MAX, &room));
    /* a value made in the transaction's memory */
    CHECK_OK(fc_transact_room(t, 4, 70000, &room));
    memset(room, 'r', 70000);
    value = (fc_transact_value){.data = room, .bytes = 70000, .type = FC_TYPE_STRING, .schema = 5};
    CHECK_OK(fc_transact_write(t, 4, &value));
    s->calls++;
    return FC_OK;
}

/* Whatever is staged is seen by the next look, through every equal key, and is what the keys hold in the end. */
static void what_is_staged_is_seen_and_committed(void)
{
    scene s = open_scene(4 << 20);
    static char got[70000];
    fc_entry entry;
    strcpy(s.names[3], s.names[0]);
    CHECK_OK(check_set(&s.made, "key 0", "old"));
    CHECK_OK(check_set(&s.made, "key 1", "there"));
    CHECK_OK(check_set(&s.made, "key 2", "soon gone"));
    fc_stats before = check_stats(&s.made);
    run_scene(&s, 5, stage_in_turn, FC_OK);
    CHECK_EQUAL(1, s.calls);
    CHECK(check_holds(&s.made, "key 0", "z"));
    CHECK(check_holds(&s.made, "key 1", "there"));
    CHECK(check_holds(&s.made, "key 2", NULL));
    CHECK_OK(fc_get_entry(s.made.session, &s.keys[4], got, sizeof got, &entry));
    CHECK(entry.value_bytes == sizeof got && entry.schema == 5 && got[0] == 'r' && memcmp(got, got + 1, sizeof got - 1) == 0);
    fc_stats after = check_stats(&s.made);
    CHECK_EQUAL(2, after.sets - before.sets);
    CHECK_EQUAL(1, after.deletes - before.deletes);
    CHECK_EQUAL(1, after.multi_commits - before.multi_commits);
    CHECK_EQUAL(before.key_count, after.key_count);
    check_delete_all(&s.made);
    audit_empty(s.made.session);
    check_close(&s.made);
}

static fc_status append_often(fc_transaction *t, void *context)
{
    scene *s = context;
    for (uint32_t i = 0; i < 5000; i++) {
        void *room;
        fc_transact_state state;
        fc_transact_look(t, 0, &state);
        FC_TRY(fc_transact_edit(t, 0, state.value_bytes + 10, &room));
        memset((char *)room + state.value_bytes, 'a' + (int)(i % 26), 10);
    }
    s->calls++;
    return FC_OK;
}

/* A value that is edited step by step grows in place, over any length. */
static void a_value_grows_step_by_step(void)
{
    scene s = open_scene(4 << 20);
    static char got[50003];
    uint64_t bytes;
    CHECK_OK(check_set(&s.made, "key 0", "xyz"));
    run_scene(&s, 1, append_often, FC_OK);
    CHECK_OK(fc_get(s.made.session, &s.keys[0], got, sizeof got, &bytes));
    CHECK_EQUAL(sizeof got, bytes);
    CHECK(memcmp(got, "xyz", 3) == 0);
    for (uint32_t i = 0; i < 50000; i++) CHECK_EQUAL('a' + i / 10 % 26, got[3 + i]);
    check_close(&s.made);
}

static fc_status expire_to(fc_transaction *t, void *context)
{
    scene *s = context;
    return fc_transact_expire(t, 0, s->expires_unix_ns);
}

/* Another expiry for a long value copies nothing: it works where a second copy would not fit. */
static void an_expiry_moves_the_body(void)
{
    scene s = open_scene(1 << 20);
    fc_key key = check_key(&s.made, "key 0");
    uint64_t length = check_stats(&s.made).arena_bytes * 6 / 10, bytes, expires;
    char *value = malloc(length), *got = malloc(length);
    for (uint64_t i = 0; i < length; i++) value[i] = (char)(i * 13 >> 3);
    CHECK_OK(fc_set(s.made.session, &key, value, length, NULL, NULL));
    uint64_t used = check_stats(&s.made).used_bytes;
    for (uint32_t round = 0; round < 6; round++) {
        s.expires_unix_ns = round % 2 == 0 ? fc_clock_unix_ns() + MINUTE_NS : 0;
        run_scene(&s, 3, expire_to, FC_OK);
        CHECK_OK(fc_expires(s.made.session, &key, &expires));
        CHECK_EQUAL(s.expires_unix_ns, expires);
        CHECK_EQUAL(used, check_stats(&s.made).used_bytes);
        CHECK_OK(fc_get(s.made.session, &key, got, length, &bytes));
        CHECK(bytes == length && memcmp(value, got, length) == 0);
    }
    CHECK_OK(fc_delete(s.made.session, &key));
    audit_empty(s.made.session);
    free(value);
    free(got);
    check_close(&s.made);
}

int main(void)
{
    RUN(a_decider_sees_what_the_keys_hold);
    RUN(what_is_staged_is_seen_and_committed);
    RUN(a_value_grows_step_by_step);
    RUN(an_expiry_moves_the_body);
    return check_report();
}
