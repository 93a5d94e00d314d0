/* test_multi.c -- the descriptor of a multi-key write (csrc/memory/multi.c): marks, their resolution, finishing and undoing. */
#include "audit.h"
#include "memory/journal.h"
#include "memory/lock.h"
#include "memory/multi.h"
#include "memory/settle.h"
#include "table/reclaim.h"

/* One op by hand: key "k", value "old", is to become what key "spare" holds. */
typedef struct staged {
    fixture made;
    fc_session *writer;        /* of this thread too: for readers it is another session */
    fc_key key;
    uint64_t *entry;
    uint64_t old_word, mark;
} staged;

static uint64_t *entry_of(fc_session *session, const fc_key *key)
{
    fc_bucket *home = fc_home_of(session, key->hash);
    for (uint32_t i = 0; i < FC_BUCKET_ENTRIES; i++)
        if (home->entries[i] != 0 && ((fc_block *)fc_at(session, home->entries[i] & FC_ENTRY_REF_MASK))->hash == key->hash) return &home->entries[i];
    return NULL;
}

static staged stage(void)
{
    staged s = {.made = check_open(2 << 20)};
    REQUIRE_OK(fc_session_open(s.made.cache, &s.writer));
    CHECK_OK(check_set(&s.made, "k", "old"));
    s.key = check_key(&s.made, "k");
    s.entry = entry_of(s.made.session, &s.key);
    REQUIRE(s.entry != NULL);
    s.old_word = *s.entry;
    REQUIRE_OK(fc_multi_begin(s.writer, 1, fc_reclaim_take_page));
    fc_multi_op *op = fc_multi_op_at(s.writer, 0);
    *op = (fc_multi_op){fc_offset_of(s.writer, fc_home_of(s.writer, s.key.hash)), fc_offset_of(s.writer, s.entry), s.old_word, 0}; /* a delete */
    s.writer->slot->multi.op_count = 1;
    s.writer->slot->multi.locked_count = 1;
    REQUIRE(fc_lock_try_word(s.writer, &fc_home_of(s.writer, s.key.hash)->owner));
    s.mark = fc_multi_mark(s.writer, 0, s.key.hash);
    return s;
}

/* P5: a mark reads as the old word until the one store that commits, and as the new one from it on; no reader waits. */
static void a_mark_reads_as_old_until_the_commit(void)
{
    staged s = stage();
    fc_multi_set_state(s.writer, FC_MULTI_ACTIVE);
    *s.entry = s.mark;
    uint64_t word = 1, state = 0;
    CHECK(fc_multi_resolve(s.made.session, s.mark, &word, &state));
    CHECK_EQUAL(s.old_word, word);
    CHECK_EQUAL(state, fc_multi_state_of(s.made.session, s.mark));
    CHECK(check_holds(&s.made, "k", "old"));
    CHECK_OK(fc_session_set_timeout(s.made.session, 0));
    CHECK_STATUS(FC_BUSY, check_set(&s.made, "k", "x"));
    fc_multi_set_state(s.writer, FC_MULTI_COMMITTED);
    CHECK(fc_multi_resolve(s.made.session, s.mark, &word, &state));
    CHECK_EQUAL(0, word);
    CHECK(check_holds(&s.made, "k", NULL));
    fc_read read = {NULL, 0, 0, 0, 0, 0, 0};
    CHECK_OK(fc_get_cut(s.made.session, &s.key, &read, 1));
    CHECK_STATUS(FC_MISS, read.status);
    uint64_t version = fc_home_of(s.writer, s.key.hash)->version;
    fc_multi_finish(s.writer);
    CHECK_EQUAL(0, *s.entry);
    CHECK_EQUAL(version + 1, fc_home_of(s.writer, s.key.hash)->version);
    CHECK(!fc_multi_resolve(s.made.session, s.mark, &word, &state)); /* the next sequence number: the old mark is void */
    fc_multi_finish(s.writer);                                       /* finishing again changes nothing */
    CHECK_EQUAL(version + 1, fc_home_of(s.writer, s.key.hash)->version);
    CHECK_OK(fc_session_close(s.writer));
    audit_empty(s.made.session);
    check_close(&s.made);
}

/* A write that ends before its commit is undone: the entries hold their old words, locks are free. */
static void what_was_not_committed_is_undone(void)
{
    for (int marked = 0; marked < 2; marked++) {
        staged s = stage();
        if (marked) {
            fc_multi_set_state(s.writer, FC_MULTI_ACTIVE);
            *s.entry = s.mark;
        }
        fc_multi_finish(s.writer);
        CHECK_EQUAL(s.old_word, *s.entry);
        CHECK(check_holds(&s.made, "k", "old"));
        CHECK_OK(check_set(&s.made, "k", "new"));
        CHECK_OK(fc_session_close(s.writer));
        audit_segment(s.made.session);
        check_close(&s.made);
    }
}

/* The fields of a mark come back from it, at their largest values too; a mark of another slot, op or sequence does not resolve. */
static void marks_that_do_not_fit_their_descriptor_are_void(void)
{
    staged s = stage();
    uint64_t word, state;
    fc_multi_set_state(s.writer, FC_MULTI_ACTIVE);
    CHECK(fc_multi_resolve(s.made.session, s.mark, &word, &state));
    CHECK(!fc_multi_resolve(s.made.session, s.mark ^ UINT64_C(1) << FC_MARK_SEQ_SHIFT, &word, &state));
    CHECK(!fc_multi_resolve(s.made.session, s.mark ^ UINT64_C(4) << FC_MARK_SLOT_SHIFT, &word, &state));
    CHECK(!fc_multi_resolve(s.made.session, s.mark | UINT64_C(0xFFF) << FC_MARK_SLOT_SHIFT, &word, &state));
    CHECK(!fc_multi_resolve(s.made.session, s.mark | UINT64_C(0x1FFFF) << FC_MARK_OP_SHIFT, &word, &state)); /* in no page */
    uint64_t largest = fc_multi_mark(s.writer, FC_MULTI_KEYS_MAX - 1, UINT64_MAX);
    CHECK_EQUAL(FC_MULTI_KEYS_MAX - 1, largest >> FC_MARK_OP_SHIFT & 0x1FFFF);
    CHECK_EQUAL(s.writer->slot_index, largest >> FC_MARK_SLOT_SHIFT & 0xFFF);
    CHECK_EQUAL(0xFFFF, largest >> FC_ENTRY_TAG_SHIFT);
    fc_multi_finish(s.writer);
    CHECK_OK(fc_session_close(s.writer));
    check_close(&s.made);
}

/* The settler of a dead committer finishes what was committed and undoes what was not (P2, P5). */
static void the_settler_finishes_or_undoes(void)
{
    for (int committed = 0; committed < 2; committed++) {
        fixture made = check_open(2 << 20);
        CHECK_OK(check_set(&made, "k", "old"));
        pid_t child = fork();
        if (child == 0) {
            fc_session *writer;
            fc_key key = check_key(&made, "k");
            if (fc_session_open(made.cache, &writer) != FC_OK) _exit(1);
            uint64_t *entry = entry_of(writer, &key);
            if (entry == NULL || fc_multi_begin(writer, 1, fc_reclaim_take_page) != FC_OK) _exit(2);
            *fc_multi_op_at(writer, 0) = (fc_multi_op){fc_offset_of(writer, fc_home_of(writer, key.hash)), fc_offset_of(writer, entry), *entry, 0};
            writer->slot->multi.op_count = writer->slot->multi.locked_count = 1;
            if (!fc_lock_try_word(writer, &fc_home_of(writer, key.hash)->owner)) _exit(3);
            fc_multi_set_state(writer, FC_MULTI_ACTIVE);
            *entry = fc_multi_mark(writer, 0, key.hash);
            if (committed) fc_multi_set_state(writer, FC_MULTI_COMMITTED);
            _exit(0);
        }
        CHECK(check_child_ok(child));
        CHECK(check_holds(&made, "k", committed ? NULL : "old")); /* before anybody settles */
        CHECK_EQUAL(1, fc_settle_all(made.session));
        CHECK(check_holds(&made, "k", committed ? NULL : "old"));
        CHECK_EQUAL(committed, check_stats(&made).rolled_forward);
        audit_segment(made.session);
        check_close(&made);
    }
}

int main(void)
{
    RUN(a_mark_reads_as_old_until_the_commit);
    RUN(what_was_not_committed_is_undone);
    RUN(marks_that_do_not_fit_their_descriptor_are_void);
    RUN(the_settler_finishes_or_undoes);
    return check_report();
}
