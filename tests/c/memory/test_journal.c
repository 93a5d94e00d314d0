/* test_journal.c -- the redo log of csrc/memory/journal.h: all of its stores or none. */
#include "audit.h"
#include "memory/journal.h"

/* Nothing changes before the commit; after it everything has, in order, and the log is empty. */
static void stores_happen_at_the_commit_and_not_before(void)
{
    fixture made = check_open(1 << 20);
    fc_session *s = made.session;
    uint64_t *words = fc_at(s, s->arena_off);
    fc_redo_begin(s);
    for (uint32_t i = 0; i < FC_REDO_MAX; i++) fc_redo_add(s, &words[i], i + 1);
    for (uint32_t i = 0; i < FC_REDO_MAX; i++) CHECK_EQUAL(0, words[i]);
    CHECK_EQUAL(0, s->slot->redo_count);
    fc_redo_commit(s);
    for (uint32_t i = 0; i < FC_REDO_MAX; i++) CHECK_EQUAL(i + 1, words[i]);
    CHECK_EQUAL(0, s->slot->redo_count);
    fc_redo_begin(s); /* the later of two stores to one word holds */
    fc_redo_add(s, &words[0], 5);
    fc_redo_add(s, &words[0], 0);
    fc_redo_commit(s);
    CHECK_EQUAL(0, words[0]);
    for (uint32_t i = 0; i < FC_REDO_MAX; i++) words[i] = 0;
    check_close(&made);
}

/* P2: repeating the log changes nothing more: values are absolute. */
static void applying_again_is_harmless(void)
{
    fixture made = check_open(1 << 20);
    fc_session *s = made.session;
    uint64_t *words = fc_at(s, s->arena_off);
    fc_redo_begin(s);
    fc_redo_add(s, &words[0], 11);
    fc_redo_add(s, &words[1], 12);
    fc_redo_commit(s);
    words[1] = 0; /* as if death had come between the two stores */
    fc_redo_apply(s, 2);
    CHECK(words[0] == 11 && words[1] == 12);
    words[0] = words[1] = 0;
    check_close(&made);
}

int main(void)
{
    RUN(stores_happen_at_the_commit_and_not_before);
    RUN(applying_again_is_harmless);
    return check_report();
}
