/* test_flush.c -- emptying databases (csrc/table/flush.c). */
#include "../memory/audit.h"
#include "table/flush.h"

/* A flush empties one database at once, in a constant number of stores; the others stay; flush_all empties them all. */
static void a_flush_empties_one_database_at_once(void)
{
    fixture made = check_open(2 << 20);
    fc_key keys[3];
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_OK(fc_key_init(made.cache, i, "k", 1, &keys[i]));
        CHECK_OK(fc_set(made.session, &keys[i], "v", 1, NULL, NULL));
    }
    uint64_t used = check_stats(&made).used_bytes;
    CHECK_OK(fc_flush(made.session, 1));
    CHECK_EQUAL(used, check_stats(&made).used_bytes); /* nothing was touched: O(1) */
    CHECK_OK(fc_exists(made.session, &keys[0]));
    CHECK_STATUS(FC_MISS, fc_exists(made.session, &keys[1]));
    CHECK_OK(fc_exists(made.session, &keys[2]));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_flush(made.session, 16));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_flush(made.session, 63));
    CHECK_OK(fc_set(made.session, &keys[1], "w", 1, NULL, NULL));
    CHECK_EQUAL(1, check_stats(&made).flushed);
    CHECK_OK(fc_flush_all(made.session));
    for (uint32_t i = 0; i < 3; i++) CHECK_STATUS(FC_MISS, fc_exists(made.session, &keys[i]));
    CHECK_EQUAL(0, check_stats(&made).key_count);
    audit_segment(made.session);
    check_close(&made);
}

/* The generation in a block has 24 bits: when it comes round, nothing of old comes back to life. */
static void an_old_generation_does_not_come_back(void)
{
    fixture made = check_open(1 << 20);
    uint64_t *generation = &fc_header_of(made.cache)->flush_generations[0];
    CHECK_OK(check_set(&made, "k", "v"));
    CHECK_OK(fc_flush(made.session, 0));
    *generation += (1u << 23) - 3; /* as many flushes */
    for (int i = 0; i < 6; i++) CHECK_OK(fc_flush(made.session, 0)); /* across the point where everything old is swept out */
    *generation += (1u << 23) - 8;
    for (int i = 0; i < 16; i++) {
        CHECK(check_holds(&made, "k", NULL));
        CHECK_OK(fc_flush(made.session, 0));
    }
    audit_empty(made.session);
    check_close(&made);
}

/* A flush that expects a generation empties the database only from that one on: so a transaction knows whether it was overtaken. */
static void a_flush_from_a_past_generation_does_nothing(void)
{
    fixture made = check_open(1 << 20);
    uint64_t generation = fc_flush_generation(made.session, 0);
    CHECK_OK(check_set(&made, "k", "v"));
    CHECK(!fc_flush_once(made.session, 0, generation + 1));
    CHECK(check_holds(&made, "k", "v"));
    CHECK(fc_flush_once(made.session, 0, generation));
    CHECK(check_holds(&made, "k", NULL));
    CHECK_OK(check_set(&made, "k", "w"));
    CHECK(!fc_flush_once(made.session, 0, generation));
    CHECK(check_holds(&made, "k", "w"));
    check_close(&made);
}

int main(void)
{
    RUN(a_flush_empties_one_database_at_once);
    RUN(an_old_generation_does_not_come_back);
    RUN(a_flush_from_a_past_generation_does_nothing);
    return check_report();
}
