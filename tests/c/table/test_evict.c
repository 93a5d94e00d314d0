/* test_evict.c -- removing and moving values nobody asked for (csrc/table/evict.c). What follows from it: test_reclaim.c. */
#include "../memory/audit.h"
#include "memory/lock.h"
#include "table/evict.h"

static uint64_t *only_entry(const fixture *made, const char *name)
{
    fc_key key = check_key(made, name);
    return &fc_home_of(made->session, key.hash)->entries[0];
}

/* An entry is removed only while it holds the word that was chosen, in the home it belongs to, and by who gets that home's lock. */
static void only_the_chosen_entry_is_removed(void)
{
    fixture made = check_open(1 << 20);
    CHECK_OK(check_set(&made, "k", "v"));
    fc_key key = check_key(&made, "k");
    fc_bucket *home = fc_home_of(made.session, key.hash), *other = home == made.session->homes ? home + 1 : home - 1;
    uint64_t *entry = only_entry(&made, "k");
    CHECK(!fc_evict_entry(made.session, home, entry, *entry ^ 8, 0));
    CHECK(!fc_evict_entry(made.session, home, entry, *entry, 1));  /* only the dead: it lives */
    CHECK(!fc_evict_entry(made.session, other, entry, *entry, 0)); /* a bucket that went to another home */
    home->owner = made.session->owner_word ^ 0x10000;
    CHECK(!fc_evict_entry(made.session, home, entry, *entry, 0));
    home->owner = 0;
    CHECK(check_holds(&made, "k", "v"));
    CHECK(fc_evict_entry(made.session, home, entry, *entry, 0));
    CHECK(check_holds(&made, "k", NULL));
    CHECK_EQUAL(1, check_stats(&made).evicted);
    audit_empty(made.session);
    check_close(&made);
}

/* Flushed and expired values are removed as what they are, and counted so. */
static void the_dead_are_counted_as_what_they_are(void)
{
    fixture made = check_open(1 << 20);
    fc_set_options options = {.expires_unix_ns = fc_clock_unix_ns() + UINT64_C(60000000000)};
    fc_key key = check_key(&made, "k");
    CHECK_OK(fc_set(made.session, &key, "v", 1, &options, NULL));
    fc_clock_shift_for_test(INT64_C(61000000000));
    uint64_t *entry = only_entry(&made, "k");
    CHECK(fc_evict_entry(made.session, fc_home_of(made.session, key.hash), entry, *entry, 1));
    CHECK_EQUAL(1, check_stats(&made).expired);
    CHECK_OK(check_set(&made, "k", "v"));
    CHECK_OK(fc_flush(made.session, 0));
    CHECK(fc_evict_entry(made.session, fc_home_of(made.session, key.hash), entry, *entry, 1));
    CHECK_EQUAL(1, check_stats(&made).flushed);
    CHECK_EQUAL(0, check_stats(&made).evicted);
    audit_empty(made.session);
    check_close(&made);
}

/* A page is emptied by moving: every value stays, with bytes, expiry and write time, in another page; versions change. */
static void a_page_is_emptied_by_moving(void)
{
    fixture made = check_open(1 << 20);
    char name[16];
    for (int i = 0; i < 600; i++) {
        snprintf(name, sizeof name, "n%d", i);
        CHECK_OK(check_set(&made, name, name));
    }
    for (int i = 0; i < 600; i++) {
        snprintf(name, sizeof name, "n%d", i);
        fc_key key = check_key(&made, name);
        if (i % 3 != 0) CHECK_OK(fc_delete(made.session, &key));
    }
    CHECK(fc_page_flush_magazines(made.session));
    fc_key key = check_key(&made, "n0");
    fc_entry before, after;
    CHECK_OK(fc_expire(made.session, &key, UINT64_MAX - 5, 0));
    CHECK(fc_page_flush_magazines(made.session));
    CHECK_OK(fc_get_entry(made.session, &key, NULL, 0, &before));
    uint64_t page_index = fc_page_index_of(made.session, *only_entry(&made, "n0") & FC_ENTRY_REF_MASK);
    CHECK(fc_evict_page(made.session, page_index, 1));
    CHECK_EQUAL(FC_KIND_FREE, fc_page_kind(fc_page_at(made.session, page_index)->kind_free));
    CHECK_OK(fc_get_entry(made.session, &key, NULL, 0, &after));
    CHECK(after.version != before.version && after.expires_unix_ns == UINT64_MAX - 5 && after.written_unix_ns == before.written_unix_ns);
    for (int i = 0; i < 600; i++) {
        snprintf(name, sizeof name, "n%d", i);
        CHECK(check_holds(&made, name, i % 3 == 0 ? name : NULL));
    }
    fc_stats stats = check_stats(&made);
    CHECK(stats.pages_moved == 1 && stats.evicted == 0 && stats.key_count == 200);
    audit_segment(made.session);
    check_delete_all(&made);
    audit_empty(made.session);
    check_close(&made);
}

/* A page is emptied by removing what is in it; schemas stay, whatever the policy. */
static void a_page_is_emptied_by_removing(void)
{
    fixture made = check_open(1 << 20);
    uint64_t schema, n;
    char text[64] = "a schema of the class of the values ......", got[64];
    CHECK_OK(fc_schema_register(made.session, text, 40, &schema));
    char name[16];
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "n%d", i);
        fc_key key = check_key(&made, name);
        CHECK_OK(fc_set(made.session, &key, text, 40, NULL, NULL));
    }
    CHECK(fc_page_flush_magazines(made.session));
    for (uint64_t i = 0; i < made.cache->geometry.page_count; i++) (void)fc_evict_page(made.session, i, 0);
    CHECK_OK(fc_schema_text(made.session, schema, got, sizeof got, &n));
    CHECK_EQUAL(0, check_stats(&made).key_count);
    CHECK_EQUAL(200, check_stats(&made).evicted);
    audit_segment(made.session);
    for (int i = 0; i < 1000; i++) CHECK(fc_evict_sample(made.session, 5) == 0);
    CHECK_OK(fc_schema_text(made.session, schema, got, sizeof got, &n));
    check_close(&made);
}

/* A value whose home is locked stays, and its page with it; nothing is lost. */
static void a_value_in_use_stays_with_its_page(void)
{
    fixture made = check_open(1 << 20);
    CHECK_OK(check_set(&made, "a", "1"));
    CHECK_OK(check_set(&made, "b", "2"));
    CHECK(fc_page_flush_magazines(made.session));
    fc_key key = check_key(&made, "a");
    uint64_t page_index = fc_page_index_of(made.session, *only_entry(&made, "a") & FC_ENTRY_REF_MASK);
    fc_home_of(made.session, key.hash)->owner = made.session->owner_word;
    CHECK(!fc_evict_page(made.session, page_index, 0));
    fc_home_of(made.session, key.hash)->owner = 0;
    CHECK(check_holds(&made, "a", "1"));
    CHECK(check_holds(&made, "b", NULL));
    CHECK(fc_evict_page(made.session, page_index, 1)); /* a free page will do as well, to move to */
    CHECK(check_holds(&made, "a", "1"));
    audit_segment(made.session);
    check_close(&made);
}

int main(void)
{
    RUN(only_the_chosen_entry_is_removed);
    RUN(the_dead_are_counted_as_what_they_are);
    RUN(a_page_is_emptied_by_moving);
    RUN(a_page_is_emptied_by_removing);
    RUN(a_value_in_use_stays_with_its_page);
    return check_report();
}
