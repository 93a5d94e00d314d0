/* test_reclaim.c -- memory under pressure (csrc/table/reclaim.c, evict.c): P8. */
#include "../memory/audit.h"

#include <pthread.h>

static fc_key numbered(const fixture *made, char text[32], uint64_t number)
{
    snprintf(text, 32, "key:%012" PRIu64, number);
    return check_key(made, text);
}

/* Sets keys first, first+1, ... of `bytes` bytes until one does not fit. How many fitted. */
static uint64_t fill_with(const fixture *made, uint64_t first, uint64_t bytes, uint64_t count_max)
{
    char text[32];
    uint8_t *value = calloc(1, bytes + 8);
    uint64_t count = 0;
    for (; count < count_max; count++) {
        fc_key key = numbered(made, text, first + count);
        memcpy(value, text, bytes < 16 ? bytes : 16);
        fc_status status = fc_set(made->session, &key, value, bytes, NULL, NULL);
        if (status == FC_OK) continue;
        CHECK_STATUS(FC_OUT_OF_MEMORY, status);
        break;
    }
    free(value);
    return count;
}

static void delete_numbered(const fixture *made, uint64_t number)
{
    char text[32];
    fc_key key = numbered(made, text, number);
    CHECK_OK(fc_delete(made->session, &key));
}

/* Item 3: no failed insert before 95 % of the configured keys, with random keys, for several item sizes given truthfully. */
static void random_keys_fill_95_percent(void)
{
    static const uint64_t items[] = {24, 48, 100, 200, 1000, 4000, 16000, 100000};
    for (size_t i = 0; i < COUNT_OF(items); i += CHECK_SANITIZED ? 3 : 1) {
        fc_options options = check_options(CHECK_SANITIZED ? 2 << 20 : 8 << 20);
        options.item_bytes = items[i];
        fixture made = check_open_with(&options);
        fc_cache_info info;
        CHECK_OK(fc_cache_describe(made.cache, &info));
        uint64_t count = fill_with(&made, 0, items[i] - 16, info.keys_configured);
        if (!CHECK(count * 100 >= info.keys_configured * 95)) fprintf(stderr, "  item %" PRIu64 ": %" PRIu64 " of %" PRIu64 " keys\n", items[i], count, info.keys_configured);
        CHECK(items[i] < 100 || info.keys_configured * items[i] > info.size_bytes / 4); /* the configured number is an honest one */
        check_delete_all(&made);
        audit_empty(made.session);
        check_close(&made);
    }
}

/* Item 3: the same with keys that an adversary, who knows the seed, chose to fall into a handful of homes. */
static void adversarial_keys_fill_95_percent(void)
{
    fc_options options = check_options(2 << 20);
    options.item_bytes = 1000;
    fixture made = check_open_with(&options);
    fc_cache_info info;
    char text[32];
    static uint8_t value[984];
    uint64_t stored = 0;
    CHECK_OK(fc_cache_describe(made.cache, &info));
    for (uint64_t i = 0; stored < info.keys_configured; i++) {
        fc_key key = numbered(&made, text, i);
        if (fc_home_index(made.session, key.hash) >= 3) continue;
        fc_status status = fc_set(made.session, &key, value, sizeof value, NULL, NULL);
        if (status != FC_OK) break;
        stored++;
    }
    if (!CHECK(stored * 100 >= info.keys_configured * 95)) fprintf(stderr, "  %" PRIu64 " of %" PRIu64 "\n", stored, info.keys_configured);
    CHECK(check_stats(&made).extension_buckets > info.keys_configured / 7 - 10);
    audit_segment(made.session);
    check_delete_all(&made);
    audit_empty(made.session);
    check_close(&made);
}

/* Item 4: a wrong guess of the item size costs memory, not function: tiny and huge items both use a fair share of the arena. */
static void a_wrong_guess_degrades_and_does_not_fail(void)
{
    static const struct { uint64_t guess, bytes; unsigned percent; } rows[] = {{200, 8, 60}, {200, 16000, 60}, {200, 100000, 60}, {24, 100000, 40}, {24, 10000, 40}, {100000, 8, 60}, {10000000, 100, 60}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (CHECK_SANITIZED && rows[i].guess > 50000) continue;
        fc_options options = check_options(rows[i].guess > 50000 ? (CHECK_SANITIZED ? 1 << 20 : 2 << 20) : (CHECK_SANITIZED ? 2 << 20 : 8 << 20)); /* a few homes: time grows with the square */
        options.item_bytes = rows[i].guess;
        fixture made = check_open_with(&options);
        uint64_t arena = check_stats(&made).arena_bytes;
        (void)fill_with(&made, 0, rows[i].bytes, check_rounds(200000));
        fc_stats stats = check_stats(&made);
        if (!CHECK(stats.used_bytes * 100 >= arena * rows[i].percent)) fprintf(stderr, "  row %zu: %" PRIu64 " of %" PRIu64 "\n", i, stats.used_bytes, arena);
        check_delete_all(&made);
        audit_empty(made.session);
        check_close(&made);
    }
}

/* noeviction: a full segment says so, loses nothing, still deletes, overwrites with the same size and reads; and fills again as far. */
static void a_full_segment_without_eviction_keeps_everything(void)
{
    fixture made = check_open(2 << 20);
    char text[32], buffer[256];
    uint64_t bytes, count = fill_with(&made, 0, 100, UINT64_MAX);
    CHECK(count > 1000);
    CHECK_EQUAL(count, check_stats(&made).key_count);
    for (uint64_t i = 0; i < count; i++) {
        fc_key key = numbered(&made, text, i);
        CHECK_OK(fc_get(made.session, &key, buffer, sizeof buffer, &bytes));
        CHECK(bytes == 100 && memcmp(buffer, text, 16) == 0);
    }
    for (uint64_t i = 0; i < count; i += 7) {
        fc_key key = numbered(&made, text, i);
        CHECK_OK(fc_delete(made.session, &key));
        CHECK_OK(fc_set(made.session, &key, buffer, 100, NULL, NULL));
    }
    fc_stats stats = check_stats(&made);
    CHECK(stats.out_of_memory > 0 && stats.evicted == 0);
    audit_segment(made.session);
    check_delete_all(&made);
    audit_empty(made.session);
    uint64_t again = fill_with(&made, 1000000, 100, UINT64_MAX);
    CHECK(again * 100 >= count * 98);
    check_delete_all(&made);
    audit_empty(made.session);
    check_close(&made);
}

/* P8: filled with small values of which nine tenths, at random, are deleted: large values then get most of the memory. */
static void holes_of_small_values_serve_large_ones(void)
{
    static const uint64_t large[] = {1500, 12000, 30000, 100000};
    for (size_t i = 0; i < COUNT_OF(large); i += CHECK_SANITIZED ? 2 : 1) {
        fixture made = check_open(CHECK_SANITIZED ? 2 << 20 : 4 << 20);
        uint64_t seed = 11, count = fill_with(&made, 0, 40, UINT64_MAX), arena = check_stats(&made).arena_bytes;
        for (uint64_t j = 0; j < count; j++)
            if (check_random(&seed) % 10 != 0) delete_numbered(&made, j);
        uint64_t kept_bytes = check_stats(&made).used_bytes;
        CHECK(kept_bytes < arena / 5);
        (void)fill_with(&made, 1000000, large[i], UINT64_MAX);
        fc_stats stats = check_stats(&made);
        if (!CHECK(stats.used_bytes * 100 >= arena * 75)) fprintf(stderr, "  %" PRIu64 ": used %" PRIu64 " of %" PRIu64 "\n", large[i], stats.used_bytes, arena);
        CHECK(stats.pages_moved > 0 && stats.evicted == 0);
        audit_segment(made.session);
        check_delete_all(&made);
        audit_empty(made.session);
        check_close(&made);
    }
}

/* P8: the same although other living sessions keep blocks of those pages in their magazines, and one a page locked. */
static void magazines_of_others_do_not_stop_compaction(void)
{
    fixture made = check_open(4 << 20);
    fc_session *others[8];
    char text[32], forty[40] = "";
    uint64_t seed = 12, count, arena = check_stats(&made).arena_bytes;
    for (int i = 0; i < 8; i++) REQUIRE_OK(fc_session_open(made.cache, &others[i]));
    count = fill_with(&made, 0, 40, 10000);
    for (int i = 0; i < 8; i++)
        for (uint64_t j = 0; j < 20; j++) { /* each takes blocks from a page and keeps them */
            fc_key key = numbered(&made, text, 500000 + j + (uint64_t)i * 100);
            CHECK_OK(fc_set(others[i], &key, forty, sizeof forty, NULL, NULL));
            CHECK_OK(fc_delete(others[i], &key));
        }
    count += fill_with(&made, count, 40, UINT64_MAX);
    for (uint64_t j = 0; j < count; j++)
        if (check_random(&seed) % 10 != 0) delete_numbered(&made, j);
    (void)fill_with(&made, 1000000, 12000, UINT64_MAX);
    fc_stats stats = check_stats(&made);
    if (!CHECK(stats.used_bytes * 100 >= arena * 70)) fprintf(stderr, "  used %" PRIu64 " of %" PRIu64 "\n", stats.used_bytes, arena);
    for (int i = 0; i < 8; i++) CHECK_OK(fc_session_close(others[i]));
    check_delete_all(&made);
    audit_empty(made.session);
    check_close(&made);
}

/* P8: under an eviction policy no write ever fails, whatever sizes follow one another. */
static void eviction_never_fails_when_sizes_shift(void)
{
    static const uint32_t policies[] = {FC_POLICY_ALLKEYS_LRU, FC_POLICY_ALLKEYS_RANDOM};
    static const uint64_t shifts[] = {64, 16000, 100000, 64, 1000000, 300, 8, 100000, 5000, 64};
    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        fc_options options = check_options(8 << 20);
        options.policy = policies[i];
        fixture made = check_open_with(&options);
        uint64_t number = 0, arena = check_stats(&made).arena_bytes;
        uint8_t *value = calloc(1, 1000000);
        char text[32];
        for (size_t j = 0; j < COUNT_OF(shifts); j++) {
            uint64_t writes = arena * 2 / (shifts[j] + 80), failed = 0;
            if (writes > check_rounds(20000)) writes = check_rounds(20000);
            for (uint64_t k = 0; k < writes; k++) {
                fc_key key = numbered(&made, text, number++);
                memcpy(value, text, shifts[j] < 16 ? shifts[j] : 16);
                failed += fc_set(made.session, &key, value, shifts[j], NULL, NULL) != FC_OK;
            }
            if (!CHECK_EQUAL(0, failed)) fprintf(stderr, "  policy %u, shift %zu to %" PRIu64 " bytes: %s\n", policies[i], j, shifts[j], fc_error_detail(FC_OUT_OF_MEMORY));
            fc_stats stats = check_stats(&made);
            if (shifts[j] >= 5000 && !CHECK(stats.used_bytes * 100 >= arena * 60)) fprintf(stderr, "  policy %u, shift %zu: used %" PRIu64 " of %" PRIu64 "\n", policies[i], j, stats.used_bytes, arena);
        }
        audit_segment(made.session);
        CHECK(check_stats(&made).evicted > 0);
        free(value);
        check_delete_all(&made);
        audit_empty(made.session);
        check_close(&made);
    }
}

/* P8: a few huge values in a large index are found by eviction all the same; values that were evicted read as misses, others whole. */
static void a_few_huge_values_are_evicted_one_by_one(void)
{
    fc_options options = check_options(CHECK_SANITIZED ? 16 << 20 : 64 << 20);
    options.policy = FC_POLICY_ALLKEYS_LRU;
    options.item_bytes = 64; /* hundreds of thousands of homes, and a few dozen keys */
    fixture made = check_open_with(&options);
    uint64_t bytes = 1 << 20, failed = 0, got_bytes, hits = 0, seed = 3;
    uint8_t *value = malloc(bytes + 40000), *got = malloc(bytes + 40000);
    char text[32];
    for (uint64_t i = 0; i < check_rounds(600); i++) {
        uint64_t here = bytes + check_random(&seed) % 33000;
        fc_key key = numbered(&made, text, i);
        memset(value, (int)i, here);
        failed += fc_set(made.session, &key, value, here, NULL, NULL) != FC_OK;
    }
    CHECK_EQUAL(0, failed);
    for (uint64_t i = 0; i < check_rounds(600); i++) {
        fc_key key = numbered(&made, text, i);
        fc_status status = fc_get(made.session, &key, got, bytes + 40000, &got_bytes);
        if (status == FC_MISS) continue;
        CHECK_OK(status);
        CHECK(got[0] == (uint8_t)i && got[got_bytes / 2] == (uint8_t)i && got[got_bytes - 1] == (uint8_t)i);
        hits++;
    }
    fc_stats stats = check_stats(&made);
    if (!CHECK(stats.used_bytes * 100 >= stats.arena_bytes * 70)) fprintf(stderr, "  %" PRIu64 " values are left, %" PRIu64 " of %" PRIu64 " bytes used\n", hits, stats.used_bytes, stats.arena_bytes);
    free(value);
    free(got);
    check_delete_all(&made);
    audit_empty(made.session);
    check_close(&made);
}

/* P8: eviction while a long value is being built takes nothing from that value. */
static void eviction_does_not_touch_the_value_being_built(void)
{
    fc_options options = check_options(2 << 20);
    options.policy = FC_POLICY_ALLKEYS_RANDOM;
    fixture made = check_open_with(&options);
    uint8_t *value = malloc(700000), *got = malloc(700000);
    uint64_t bytes;
    char text[32];
    (void)fill_with(&made, 0, 100, 20000);
    for (uint64_t i = 0; i < check_rounds(30); i++) {
        fc_key key = numbered(&made, text, 900000 + i);
        memset(value, (int)i + 1, 700000);
        CHECK_OK(fc_set(made.session, &key, value, 700000 - i * 1000, NULL, NULL));
        CHECK_OK(fc_get(made.session, &key, got, 700000, &bytes));
        CHECK(bytes == 700000 - i * 1000 && memcmp(value, got, bytes) == 0);
        audit_segment(made.session);
        (void)fill_with(&made, 1000 * i, 100, 3000);
    }
    free(value);
    free(got);
    check_delete_all(&made);
    audit_empty(made.session);
    check_close(&made);
}

/* A value that cannot fit even an empty segment fails by name under every policy, and nothing is evicted for it. */
static void a_value_larger_than_the_arena_fails_by_name(void)
{
    for (uint32_t policy = 0; policy <= FC_POLICY_ALLKEYS_RANDOM; policy++) {
        fc_options options = check_options(1 << 20);
        options.policy = policy;
        fixture made = check_open_with(&options);
        char *value = calloc(1, 4 << 20);
        fc_key key = check_key(&made, "k");
        CHECK_OK(check_set(&made, "k", "old"));
        CHECK_STATUS(FC_OUT_OF_MEMORY, fc_set(made.session, &key, value, 4 << 20, NULL, NULL));
        CHECK(check_holds(&made, "k", "old"));
        audit_segment(made.session);
        CHECK_OK(check_set(&made, "k", "new"));
        free(value);
        check_delete_all(&made);
        audit_empty(made.session);
        check_close(&made);
    }
}

/* How many of 100 keys in use are there after 100,000 others have gone through. */
static uint64_t used_keys_left(void)
{
    fc_options options = check_options(4 << 20);
    options.policy = FC_POLICY_ALLKEYS_LRU;
    options.keys = 60000; /* homes enough to need no page of extension buckets when the segment is full */
    fixture made = check_open_with(&options);
    char text[32], buffer[128];
    uint64_t bytes, hits = 0;
    CHECK_EQUAL(100, fill_with(&made, 0, 100, 100));
    for (uint64_t i = 0; i < check_rounds(100000); i++) {
        CHECK_EQUAL(1, fill_with(&made, 1000 + i, 100, 1));
        fc_key key = numbered(&made, text, i % 100);
        (void)!fc_get(made.session, &key, buffer, sizeof buffer, &bytes);
    }
    for (uint64_t i = 0; i < 100; i++) {
        fc_key key = numbered(&made, text, i);
        hits += fc_exists(made.session, &key) == FC_OK;
    }
    check_close(&made);
    return hits;
}

/* LRU: keys that are read keep living while ten times the memory passes by; under `random` nothing is promised. Two of three times: now and then
 * a whole page is emptied, a random one, and with it may go all 100 keys, which were set together. */
static void what_is_used_stays(void)
{
    int kept = 0;
    for (int i = 0; i < 3; i++) kept += used_keys_left() >= 95;
    CHECK(kept >= 2);
}

/* noeviction: keys whose time has come make room by themselves. */
static void expired_keys_make_room(void)
{
    fixture made = check_open(2 << 20);
    char text[32];
    uint64_t count = 0;
    fc_set_options options = {.expires_unix_ns = fc_clock_unix_ns() + UINT64_C(1000000000000)};
    for (;; count++) {
        fc_key key = numbered(&made, text, count);
        if (fc_set(made.session, &key, text, 32, &options, NULL) != FC_OK) break;
    }
    fc_clock_shift_for_test(INT64_C(1001000000000));
    fc_header_of(made.cache)->sweep_mono_ns = 0; /* as if the pause since the last sweep were over */
    uint64_t again = fill_with(&made, 1000000, 32, UINT64_MAX);
    CHECK(again * 100 >= count * 95);
    CHECK_EQUAL(again, check_stats(&made).key_count);
    CHECK_EQUAL(count, check_stats(&made).expired);
    check_delete_all(&made);
    audit_empty(made.session);
    check_close(&made);
}

/* fc_session_sweep removes what has expired, step by step and once round, and nothing else. */
static void a_sweep_removes_what_has_expired(void)
{
    fixture made = check_open(2 << 20);
    char text[32];
    uint64_t home_count = made.session->home_count, removed = 0;
    fc_set_options options = {.expires_unix_ns = fc_clock_unix_ns() + UINT64_C(1000000000000)};
    for (uint64_t i = 0; i < 1000; i++) {
        fc_key key = numbered(&made, text, i);
        CHECK_OK(fc_set(made.session, &key, text, 32, i % 2 == 0 ? &options : NULL, NULL));
    }
    CHECK_OK(fc_session_sweep(made.session, home_count, &removed));
    CHECK_EQUAL(0, removed);
    fc_clock_shift_for_test(INT64_C(1001000000000));
    uint64_t used_before = check_stats(&made).used_bytes, total = 0;
    for (uint64_t done = 0; done < home_count; done += 16) {
        CHECK_OK(fc_session_sweep(made.session, 16, &removed));
        total += removed;
    }
    CHECK_EQUAL(500, total);
    CHECK_EQUAL(500, check_stats(&made).expired);
    CHECK_EQUAL(500, check_stats(&made).key_count);
    CHECK(check_stats(&made).used_bytes < used_before);
    CHECK_OK(fc_session_sweep(made.session, UINT64_MAX, &removed)); /* once round, not for ever */
    CHECK_EQUAL(0, removed);
    CHECK_OK(fc_session_sweep(made.session, 1, NULL));
    check_delete_all(&made);
    audit_empty(made.session);
    check_close(&made);
}

/* A flush gives all memory back, in the background of later writes: as much fits as before, under every policy. */
static void flushed_memory_serves_new_keys(void)
{
    for (uint32_t policy = 0; policy <= FC_POLICY_ALLKEYS_RANDOM; policy++) {
        fixture made = check_open(CHECK_SANITIZED ? 1 << 20 : 2 << 20);
        uint64_t count = fill_with(&made, 0, 60, UINT64_MAX);
        CHECK_OK(fc_cache_set_policy(made.cache, policy));
        CHECK_OK(fc_flush(made.session, 0));
        CHECK_EQUAL(0, check_stats(&made).key_count);
        CHECK_EQUAL(count * 95 / 100, fill_with(&made, 1000000, 60, count * 95 / 100));
        fc_stats stats = check_stats(&made);
        CHECK(stats.evicted <= count / 100 + 512); /* the writer's own home is never swept, and eviction may empty a page */
        CHECK(stats.flushed > 0);
        audit_segment(made.session);
        check_delete_all(&made);
        check_close(&made);
    }
}

/* P8: what dead sessions kept in their magazines comes back when memory runs short. */
static void blocks_of_the_dead_come_back(void)
{
    fixture made = check_open(2 << 20);
    uint64_t full = fill_with(&made, 0, 4000, UINT64_MAX);
    check_delete_all(&made);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 14; i++) {
            fc_session *session;
            if (fc_session_open(made.cache, &session) != FC_OK) _exit(1);
            for (uint32_t kind = 20; kind < FC_KIND_PAGE; kind++)
                if (fc_page_refill(session, kind) != FC_OK) break;
        }
        _exit(0);
    }
    CHECK(check_child_ok(child));
    uint64_t again = fill_with(&made, 0, 4000, UINT64_MAX);
    CHECK(again * 100 >= full * 95);
    CHECK_EQUAL(14, check_stats(&made).recoveries);
    check_delete_all(&made);
    audit_empty(made.session);
    check_close(&made);
}

typedef struct presser {
    fixture *made;
    unsigned number;
    uint64_t failed;
} presser;

static void *press(void *context)
{
    presser *p = context;
    fixture own = *p->made;
    REQUIRE_OK(fc_session_open(own.cache, &own.session));
    uint64_t seed = 100 + p->number;
    uint8_t *value = calloc(1, 200000);
    char text[32];
    for (uint64_t i = 0; i < check_rounds(20000); i++) {
        fc_key key = numbered(&own, text, check_random(&seed) % 20000);
        uint64_t what = check_random(&seed) % 100;
        uint64_t bytes = what < 80 ? check_random(&seed) % 300 : what < 98 ? check_random(&seed) % 16000 : check_random(&seed) % 200000;
        fc_status status = what % 10 == 0 ? fc_delete(own.session, &key) : fc_set(own.session, &key, value, bytes, NULL, NULL);
        p->failed += status != FC_OK && status != FC_MISS;
        if (status != FC_OK && status != FC_MISS && p->failed < 3) fprintf(stderr, "  %s %s\n", fc_status_find(status)->name, fc_error_detail(status));
    }
    free(value);
    CHECK_OK(fc_session_close(own.session));
    return NULL;
}

/* P8: four sessions at once under eviction: no write fails, and every block is accounted for afterwards (A1). */
static void four_writers_under_pressure_never_fail(void)
{
    fc_options options = check_options(8 << 20);
    options.policy = FC_POLICY_ALLKEYS_LRU;
    fixture made = check_open_with(&options);
    presser pressers[4];
    pthread_t threads[4];
    for (unsigned i = 0; i < 4; i++) {
        pressers[i] = (presser){&made, i, 0};
        REQUIRE(pthread_create(&threads[i], NULL, press, &pressers[i]) == 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        CHECK_EQUAL(0, pressers[i].failed);
    }
    audit_segment(made.session);
    check_delete_all(&made);
    audit_empty(made.session);
    check_close(&made);
}

int main(void)
{
    RUN(random_keys_fill_95_percent);
    RUN(adversarial_keys_fill_95_percent);
    RUN(a_wrong_guess_degrades_and_does_not_fail);
    RUN(a_full_segment_without_eviction_keeps_everything);
    RUN(holes_of_small_values_serve_large_ones);
    RUN(magazines_of_others_do_not_stop_compaction);
    RUN(eviction_never_fails_when_sizes_shift);
    RUN(a_few_huge_values_are_evicted_one_by_one);
    RUN(eviction_does_not_touch_the_value_being_built);
    RUN(a_value_larger_than_the_arena_fails_by_name);
    RUN(what_is_used_stays);
    RUN(expired_keys_make_room);
    RUN(a_sweep_removes_what_has_expired);
    RUN(flushed_memory_serves_new_keys);
    RUN(blocks_of_the_dead_come_back);
    RUN(four_writers_under_pressure_never_fail);
    return check_report();
}
