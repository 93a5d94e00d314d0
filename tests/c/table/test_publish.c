/* test_publish.c -- entries and chains of buckets (csrc/table/publish.c): B1 to B3. */
#include "../memory/audit.h"
#include "table/publish.h"

static fc_options one_home(void)
{
    fc_options options = check_options(2 << 20);
    options.keys = 1;
    return options;
}

static const uint64_t *entry_of(const fixture *made, const char *name)
{
    fc_key key = check_key(made, name);
    fc_place place;
    fc_bucket *home = fc_home_of(made->session, key.hash);
    REQUIRE_OK(fc_place_find(made->session, &key, home, &place));
    return place.entry;
}

/* B1: overwriting, expiring, growing and the coming and going of neighbours never move a key's entry. */
static void an_entry_never_moves_while_its_key_lives(void)
{
    fc_options options = one_home();
    fixture made = check_open_with(&options);
    char name[16];
    static char value[40000];
    const uint64_t *entries[40];
    uint64_t seed = 2;
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "n%d", i);
        CHECK_OK(check_set(&made, name, "v"));
        entries[i] = entry_of(&made, name);
    }
    for (uint64_t i = 0; i < check_rounds(2000); i++) {
        int number = (int)(check_random(&seed) % 40);
        snprintf(name, sizeof name, "n%d", number);
        fc_key key = check_key(&made, name);
        if (number % 2 == 0) {
            if (check_random(&seed) % 2 == 0) CHECK_OK(fc_set(made.session, &key, value, check_random(&seed) % (i % 50 == 0 ? sizeof value : 200), NULL, NULL));
            else CHECK_OK(fc_expire(made.session, &key, UINT64_MAX - i, 0));
            CHECK(entry_of(&made, name) == entries[number]);
        } else if (check_random(&seed) % 2 == 0) CHECK_OK(check_set(&made, name, "w"));
        else (void)!fc_delete(made.session, &key);
    }
    audit_segment(made.session);
    check_delete_all(&made);
    audit_empty(made.session);
    check_close(&made);
}

/* B3: only the last bucket of a chain goes, when it is empty; a hole in the middle is filled by the next new key. */
static void only_an_empty_last_bucket_is_unlinked(void)
{
    fc_options options = one_home();
    fixture made = check_open_with(&options);
    char name[16];
    for (int i = 0; i < 24; i++) { /* one home of 6 and three extensions */
        snprintf(name, sizeof name, "n%d", i);
        CHECK_OK(check_set(&made, name, "v"));
    }
    CHECK_EQUAL(3, check_stats(&made).extension_buckets);
    for (int i = 6; i < 12; i++) { /* the first extension becomes empty, and stays */
        snprintf(name, sizeof name, "n%d", i);
        fc_key key = check_key(&made, name);
        CHECK_OK(fc_delete(made.session, &key));
    }
    CHECK_EQUAL(3, check_stats(&made).extension_buckets);
    CHECK_OK(check_set(&made, "new", "v"));
    CHECK_EQUAL(3, check_stats(&made).extension_buckets);
    fc_key key = check_key(&made, "new");
    CHECK_OK(fc_delete(made.session, &key));
    for (int i = 23; i >= 12; i--) { /* from the end: they go one by one, the empty one in the middle with them */
        snprintf(name, sizeof name, "n%d", i);
        key = check_key(&made, name);
        CHECK_OK(fc_delete(made.session, &key));
        if (i == 18) CHECK_EQUAL(2, check_stats(&made).extension_buckets);
    }
    CHECK_EQUAL(0, check_stats(&made).extension_buckets);
    check_delete_all(&made);
    audit_empty(made.session);
    check_close(&made);
}

/* Every change of an entry counts in its home's version, a refused write does not. */
static void every_change_counts_in_the_version(void)
{
    fixture made = check_open(1 << 20);
    fc_key key = check_key(&made, "k");
    const uint64_t *version = &fc_home_of(made.session, key.hash)->version;
    CHECK_STATUS(FC_MISS, fc_delete(made.session, &key));
    CHECK_EQUAL(0, *version);
    CHECK_OK(check_set(&made, "k", "v"));
    CHECK_EQUAL(1, *version);
    fc_set_options nx = {.flags = FC_SET_NX};
    CHECK_STATUS(FC_NOT_STORED, fc_set(made.session, &key, "w", 1, &nx, NULL));
    CHECK_EQUAL(1, *version);
    CHECK_OK(fc_expire(made.session, &key, UINT64_MAX, 0));
    CHECK_EQUAL(2, *version);
    CHECK_OK(fc_delete(made.session, &key));
    CHECK_EQUAL(3, *version);
    check_close(&made);
}

/* A write that finds no memory for its value gives back the bucket it had made for the entry. */
static void room_made_for_a_failed_write_goes_again(void)
{
    fc_options options = one_home();
    fixture made = check_open_with(&options);
    static char value[15000];
    char name[16];
    fc_status status = FC_OK;
    for (int i = 0; status == FC_OK && i < 1000; i++) {
        snprintf(name, sizeof name, "n%d", i);
        fc_key key = check_key(&made, name);
        status = fc_set(made.session, &key, value, sizeof value, NULL, NULL);
        if (status != FC_OK) CHECK_STATUS(FC_OUT_OF_MEMORY, status);
        audit_segment(made.session);
    }
    check_delete_all(&made);
    audit_empty(made.session);
    check_close(&made);
}

int main(void)
{
    RUN(an_entry_never_moves_while_its_key_lives);
    RUN(only_an_empty_last_bucket_is_unlinked);
    RUN(every_change_counts_in_the_version);
    RUN(room_made_for_a_failed_write_goes_again);
    return check_report();
}
