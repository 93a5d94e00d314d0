/* test_retire.c -- where replaced blocks go (csrc/memory/retire.c). */
#include "audit.h"
#include "memory/journal.h"
#include "memory/retire.h"

/* A replaced block of the same class is the next write's block; magazines never grow above their bound, the rest goes to its page. */
static void magazines_never_grow_above_their_bound(void)
{
    fixture made = check_open(4 << 20);
    static char value[20000];
    fc_key key;
    char name[16];
    for (uint32_t i = 0; i < 400; i++) {
        snprintf(name, sizeof name, "n%u", i % 200);
        key = check_key(&made, name);
        if (i < 200) CHECK_OK(fc_set(made.session, &key, value, i * 80, NULL, NULL));
        else CHECK_OK(fc_delete(made.session, &key));
        for (uint32_t kind = 1; kind < FC_KIND_COUNT; kind++) {
            uint64_t count = made.session->slot->magazines[kind].count;
            CHECK(count <= FC_MAGAZINE_REFS && count <= made.session->magazine_refs[kind]);
        }
    }
    audit_empty(made.session);
    check_close(&made);
}

/* V1: a retired block keeps its stamp until it is reused, so that a reader who is still copying ends with a published value. */
static void a_retired_block_keeps_its_stamp(void)
{
    fixture made = check_open(1 << 20);
    fc_key key = check_key(&made, "k");
    fc_set_result first, second;
    CHECK_OK(fc_set(made.session, &key, "one", 3, NULL, &first));
    fc_bucket *home = fc_home_of(made.session, key.hash);
    const fc_block *block = fc_at(made.session, home->entries[0] & FC_ENTRY_REF_MASK);
    CHECK_EQUAL(first.version, block->stamp);
    CHECK_OK(fc_set(made.session, &key, "two", 3, NULL, &second));
    CHECK((const void *)block != fc_at(made.session, home->entries[0] & FC_ENTRY_REF_MASK));
    CHECK_EQUAL(first.version, block->stamp);
    CHECK_OK(fc_set(made.session, &key, "six", 3, NULL, &second)); /* takes it */
    CHECK_EQUAL(second.version, block->stamp);
    check_close(&made);
}

/* A4: once a block is back in its page, its stamp is 0. */
static void a_block_back_in_its_page_has_no_stamp(void)
{
    fixture made = check_open(1 << 20);
    static char value[70000];
    fc_key key = check_key(&made, "k"), other = check_key(&made, "other");
    CHECK_OK(fc_set(made.session, &other, value, 10000, NULL, NULL));
    CHECK_OK(fc_set(made.session, &key, value, sizeof value, NULL, NULL));
    fc_bucket *home = fc_home_of(made.session, key.hash);
    uint64_t word = home->entries[0];
    fc_block *head = fc_at(made.session, word & FC_ENTRY_REF_MASK);
    const fc_chain *chain = (const fc_chain *)(head + 1);
    fc_node *node = fc_at(made.session, chain->first);
    CHECK(node->stamp != 0 && node->stamp == chain->stamp);
    CHECK_OK(fc_delete(made.session, &key));
    CHECK_EQUAL(0, node->stamp);
    CHECK(fc_page_flush_magazines(made.session));
    CHECK_EQUAL(0, head->stamp);
    audit_segment(made.session);
    check_close(&made);
}

/* Pages in hand that no value came to own go back. */
static void pending_pages_go_back(void)
{
    fixture made = check_open(1 << 20);
    fc_ref page;
    fc_retire_pending(made.session);
    for (int i = 0; i < 5; i++) CHECK_OK(fc_page_take(made.session, &made.session->slot->pending, &page));
    CHECK_EQUAL(5 * FC_PAGE_BYTES, check_stats(&made).used_bytes);
    fc_retire_pending(made.session);
    audit_empty(made.session);
    check_close(&made);
}

int main(void)
{
    RUN(magazines_never_grow_above_their_bound);
    RUN(a_retired_block_keeps_its_stamp);
    RUN(a_block_back_in_its_page_has_no_stamp);
    RUN(pending_pages_go_back);
    return check_report();
}
