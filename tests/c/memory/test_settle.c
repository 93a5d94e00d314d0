/* test_settle.c -- ending a dead session (csrc/memory/settle.c): S1 to S3. Deaths between stores are the crash tests' (tests/c/crash). */
#include "audit.h"
#include "memory/journal.h"
#include "memory/liveness.h"
#include "memory/lock.h"
#include "memory/multi.h"
#include "memory/settle.h"
#include "table/block.h"
#include "table/reclaim.h"

/* Runs `leave` in a child with a session of its own, which then dies without closing. */
static void die_after(const fixture *made, void (*leave)(fc_session *session))
{
    pid_t child = fork();
    if (child == 0) {
        fc_session *session;
        if (fc_session_open(made->cache, &session) != FC_OK) _exit(1);
        leave(session);
        CHILD_EXIT();
    }
    CHECK(check_child_ok(child));
}

static void leave_blocks_everywhere(fc_session *session)
{
    fc_ref page;
    for (uint32_t kind = 1; kind < FC_KIND_COUNT; kind++)
        if (kind != FC_KIND_PAGE) CHECK_OK(fc_page_refill(session, kind));
    for (int i = 0; i < 3; i++) CHECK_OK(fc_page_take(session, &session->slot->pending, &page));
    for (int i = 0; i < 2; i++) CHECK_OK(fc_page_take(session, &session->slot->garbage[FC_GARBAGE_NODES], &page));
}

static void leave_locks(fc_session *session)
{
    CHECK(fc_lock_try(session, FC_LOCK_HOME, &session->homes[0].owner));
    CHECK(fc_lock_try(session, FC_LOCK_VICTIM, &session->homes[1].owner));
    CHECK(fc_lock_try(session, FC_LOCK_PAGE, &fc_page_at(session, 3)->owner));
    CHECK(fc_lock_try(session, FC_LOCK_EVACUATED, &fc_page_at(session, 4)->owner));
}

/* A log committed, of which nothing was applied: entry and version of home 2. */
static void leave_a_committed_log(fc_session *session)
{
    CHECK(fc_lock_try(session, FC_LOCK_HOME, &session->homes[2].owner));
    fc_redo_begin(session);
    fc_redo_add(session, &session->homes[2].version, 77);
    fc_redo_add(session, &session->slot->reserved, 88);
    session->slot->redo_count = 2;
}

/* A log that was being written: it never happened. */
static void leave_an_open_log(fc_session *session)
{
    CHECK(fc_lock_try(session, FC_LOCK_HOME, &session->homes[2].owner));
    fc_redo_begin(session);
    fc_redo_add(session, &session->homes[2].version, 99);
}

/* A1, P2: magazines, pending pages and garbage of the dead are back; its slot is free under another incarnation (S3). */
static void blocks_of_the_dead_are_brought_back(void)
{
    fixture made = check_open(4 << 20);
    uint64_t incarnation = fc_slot_at(made.cache, 1)->incarnation;
    die_after(&made, leave_blocks_everywhere);
    CHECK(check_stats(&made).used_bytes >= 5 * FC_PAGE_BYTES);
    CHECK_OK(fc_settle(made.session, 1, incarnation));
    CHECK(fc_slot_at(made.cache, 1)->incarnation != incarnation);
    CHECK_EQUAL(0, fc_slot_at(made.cache, 1)->identity);
    audit_empty(made.session);
    CHECK_EQUAL(1, check_stats(&made).recoveries);
    CHECK_OK(fc_settle(made.session, 1, incarnation)); /* settled already: nothing more happens */
    CHECK_EQUAL(1, check_stats(&made).recoveries);
    check_close(&made);
}

/* P2: every lock the journal names is freed, and hints of its pages are right again (A3). */
static void locks_of_the_dead_are_freed(void)
{
    fixture made = check_open(4 << 20);
    die_after(&made, leave_locks);
    CHECK(made.session->homes[0].owner != 0 && fc_page_at(made.session, 3)->owner != 0);
    CHECK_EQUAL(1, fc_settle_all(made.session));
    audit_empty(made.session); /* which finds no lock held */
    check_close(&made);
}

/* A journal word names a lock that somebody else took since: it is not freed. */
static void locks_of_others_are_left_alone(void)
{
    fixture made = check_open(1 << 20);
    die_after(&made, leave_locks);
    made.session->homes[0].owner = made.session->owner_word;
    CHECK_EQUAL(1, fc_settle_all(made.session));
    CHECK_EQUAL(made.session->owner_word, made.session->homes[0].owner);
    made.session->homes[0].owner = 0;
    audit_empty(made.session);
    check_close(&made);
}

/* P2, S1: a committed log is finished, an open one never happened; both before the lock is free. */
static void a_committed_log_is_finished_an_open_one_forgotten(void)
{
    fixture made = check_open(1 << 20);
    die_after(&made, leave_a_committed_log);
    CHECK_EQUAL(0, made.session->homes[2].version);
    CHECK_EQUAL(1, fc_settle_all(made.session));
    CHECK_EQUAL(77, made.session->homes[2].version);
    CHECK_EQUAL(1, check_stats(&made).rolled_forward);
    die_after(&made, leave_an_open_log);
    CHECK_EQUAL(1, fc_settle_all(made.session));
    CHECK_EQUAL(77, made.session->homes[2].version);
    CHECK_EQUAL(1, check_stats(&made).rolled_forward);
    audit_empty(made.session);
    check_close(&made);
}

/* P13: the living, oneself included, are never settled. */
static void the_living_are_not_settled(void)
{
    fixture made = check_open(1 << 20);
    fc_session *other;
    REQUIRE_OK(fc_session_open(made.cache, &other));
    CHECK_STATUS(FC_BUSY, fc_settle(made.session, other->slot_index, other->slot->incarnation));
    CHECK_STATUS(FC_BUSY, fc_settle(made.session, made.session->slot_index, made.session->slot->incarnation));
    CHECK_EQUAL(0, fc_settle_all(made.session));
    CHECK_OK(fc_session_close(other));
    check_close(&made);
}

/* S2: while one living session settles, another one does not; a settler that died, or never was, is succeeded. */
static void one_settles_at_a_time_and_a_dead_settler_is_succeeded(void)
{
    fixture made = check_open(4 << 20);
    fc_session *other;
    REQUIRE_OK(fc_session_open(made.cache, &other));
    die_after(&made, leave_blocks_everywhere);
    fc_slot *slot = fc_slot_at(made.cache, 2);
    slot->settle_owner = (other->slot_index + 1) | other->slot->incarnation << 16;
    CHECK_STATUS(FC_BUSY, fc_settle(made.session, 2, slot->incarnation));
    CHECK_EQUAL(0, check_stats(&made).recoveries);
    CHECK_OK(fc_session_close(other)); /* gone: its incarnation is another one now */
    CHECK_OK(fc_settle(made.session, 2, slot->incarnation));
    CHECK_EQUAL(0, slot->settle_owner);
    audit_empty(made.session);
    check_close(&made);
}

/* What cannot be brought back, because a living session holds the page, stays in the slot for the next settler. */
static void what_is_stuck_stays_for_the_next_settler(void)
{
    fixture made = check_open(4 << 20);
    die_after(&made, leave_blocks_everywhere);
    fc_slot *slot = fc_slot_at(made.cache, 1);
    fc_page *page = fc_page_at(made.session, fc_page_index_of(made.session, slot->magazines[5].refs[0]));
    page->owner = made.session->owner_word;
    CHECK_OK(fc_settle(made.session, 1, slot->incarnation));
    CHECK(slot->identity != 0);
    CHECK_EQUAL(0, check_stats(&made).recoveries);
    page->owner = 0;
    CHECK_OK(fc_settle(made.session, 1, slot->incarnation));
    CHECK_EQUAL(0, slot->identity);
    CHECK_EQUAL(1, check_stats(&made).recoveries);
    audit_empty(made.session);
    check_close(&made);
}

/* Settling keeps the counters of the dead: totals do not go back. */
static void write_and_leave(fc_session *session)
{
    fc_key key;
    CHECK_OK(fc_key_init(session->cache, 0, "k", 1, &key));
    for (int i = 0; i < 7; i++) CHECK_OK(fc_set(session, &key, "v", 1, NULL, NULL));
}

static void counters_of_the_dead_stay(void)
{
    fixture made = check_open(1 << 20);
    die_after(&made, write_and_leave);
    CHECK_EQUAL(7, check_stats(&made).sets);
    CHECK_EQUAL(1, fc_settle_all(made.session));
    CHECK_EQUAL(7, check_stats(&made).sets);
    CHECK_EQUAL(1, check_stats(&made).key_count);
    CHECK(check_holds(&made, "k", "v"));
    audit_segment(made.session);
    check_close(&made);
}

int main(void)
{
    RUN(blocks_of_the_dead_are_brought_back);
    RUN(locks_of_the_dead_are_freed);
    RUN(locks_of_others_are_left_alone);
    RUN(a_committed_log_is_finished_an_open_one_forgotten);
    RUN(the_living_are_not_settled);
    RUN(one_settles_at_a_time_and_a_dead_settler_is_succeeded);
    RUN(what_is_stuck_stays_for_the_next_settler);
    RUN(counters_of_the_dead_stay);
    return check_report();
}
