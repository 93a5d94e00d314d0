/* test_cut.c -- consistent reads of several keys (csrc/table/cut.c): P5. Against whole batches: test_multi_write.c.
 *
 * The file under test is part of this program, so that a writer can step in between the reads and the checks of one cut.
 */
#include "../memory/audit.h"
#include "memory/lock.h"
#include "table/cut.c"
#include "table/reclaim.h"

#include <pthread.h>

#define ACCOUNTS 40u

typedef struct bank {
    fixture made;
    fc_key keys[ACCOUNTS];
    char names[ACCOUNTS][16];
    int stop;
    uint64_t transfers;
} bank;

static bank *open_bank(void)
{
    bank *b = calloc(1, sizeof *b);
    b->made = check_open(2 << 20);
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        snprintf(b->names[i], sizeof b->names[i], "account %u", i);
        b->keys[i] = check_key(&b->made, b->names[i]);
        uint64_t money = 1000;
        CHECK_OK(fc_set(b->made.session, &b->keys[i], &money, sizeof money, NULL, NULL));
    }
    return b;
}

/* Moves money between two accounts in one write; an account without money is deleted. */
static void *transfer(void *context)
{
    bank *b = context;
    fc_session *session;
    uint64_t seed = 17, bytes, money[2];
    REQUIRE_OK(fc_session_open(b->made.cache, &session));
    while (!__atomic_load_n(&b->stop, __ATOMIC_ACQUIRE)) {
        uint64_t from = check_random(&seed) % ACCOUNTS, to = (from + 1 + check_random(&seed) % (ACCOUNTS - 1)) % ACCOUNTS;
        fc_key keys[2] = {b->keys[from], b->keys[to]};
        for (int i = 0; i < 2; i++)
            if (fc_get(session, &keys[i], &money[i], sizeof money[i], &bytes) != FC_OK) money[i] = 0;
        uint64_t sum = check_random(&seed) % 4 == 0 ? money[0] : check_random(&seed) % (money[0] + 1);
        money[0] -= sum;
        money[1] += sum;
        fc_write writes[2] = {{money[0] == 0 ? NULL : &money[0], 8, 0, 0}, {money[1] == 0 ? NULL : &money[1], 8, 0, 0}};
        CHECK_OK(fc_set_many(session, keys, writes, 2, 0));
        __atomic_add_fetch(&b->transfers, 1, __ATOMIC_RELAXED);
    }
    CHECK_OK(fc_session_close(session));
    return NULL;
}

/* P5: however money moves, created and deleted accounts included, the accounts of one cut sum up to what there is. */
static void the_sum_of_a_cut_is_constant(void)
{
    bank *b = open_bank();
    pthread_t thread;
    fc_read reads[ACCOUNTS];
    uint64_t money[ACCOUNTS], cuts = 0;
    REQUIRE(pthread_create(&thread, NULL, transfer, b) == 0);
    for (uint64_t round = 0; round < check_rounds(20000) || (cuts < 10 && round < 1000000); round++) {
        uint64_t sum = 0;
        for (uint32_t i = 0; i < ACCOUNTS; i++) reads[i] = (fc_read){.buffer = &money[i], .buffer_bytes = 8};
        fc_status status = fc_get_cut(b->made.session, b->keys, reads, ACCOUNTS);
        if (status == FC_CONTENDED || !CHECK_OK(status)) continue;
        for (uint32_t i = 0; i < ACCOUNTS; i++) sum += reads[i].status == FC_OK ? money[i] : 0;
        CHECK_EQUAL(ACCOUNTS * 1000, sum);
        cuts++;
    }
    __atomic_store_n(&b->stop, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    CHECK(cuts > 0);
    audit_segment(b->made.session);
    check_close(&b->made);
    free(b);
}

static void *flush_and_refill(void *context)
{
    bank *b = context;
    fc_session *session;
    fc_write writes[ACCOUNTS];
    REQUIRE_OK(fc_session_open(b->made.cache, &session));
    for (uint64_t n = 0; !__atomic_load_n(&b->stop, __ATOMIC_ACQUIRE); n++) {
        for (uint32_t i = 0; i < ACCOUNTS; i++) writes[i] = (fc_write){&n, 8, 0, 0};
        CHECK_OK(fc_flush(session, 0));
        CHECK_OK(fc_set_many(session, b->keys, writes, ACCOUNTS, 0));
    }
    CHECK_OK(fc_session_close(session));
    return NULL;
}

/* P5: a flush is one instant too: a cut shows all of the keys, or none. */
static void a_flush_falls_before_or_behind_a_cut(void)
{
    bank *b = open_bank();
    pthread_t thread;
    fc_read reads[ACCOUNTS];
    uint64_t values[ACCOUNTS];
    REQUIRE(pthread_create(&thread, NULL, flush_and_refill, b) == 0);
    for (uint64_t round = 0; round < check_rounds(20000); round++) {
        for (uint32_t i = 0; i < ACCOUNTS; i++) reads[i] = (fc_read){.buffer = &values[i], .buffer_bytes = 8};
        fc_status status = fc_get_cut(b->made.session, b->keys, reads, ACCOUNTS);
        if (status == FC_CONTENDED || !CHECK_OK(status)) continue;
        for (uint32_t i = 1; i < ACCOUNTS; i++) {
            CHECK_EQUAL(reads[0].status, reads[i].status);
            if (reads[0].status == FC_OK) CHECK_EQUAL(values[0], values[i]);
        }
    }
    __atomic_store_n(&b->stop, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    check_close(&b->made);
    free(b);
}

/* Keys may repeat, be missing, be long, and be many; a cut of nothing is fine. */
static void cuts_of_any_keys(void)
{
    bank *b = open_bank();
    static char value[60000], got[60000];
    fc_key keys[100], missing = check_key(&b->made, "missing");
    fc_read reads[100];
    uint64_t money[100];
    CHECK_OK(fc_get_cut(b->made.session, keys, reads, 0));
    for (int i = 0; i < 100; i++) {
        keys[i] = i % 10 == 9 ? missing : b->keys[i % 7];
        reads[i] = (fc_read){.buffer = &money[i], .buffer_bytes = 8};
    }
    memset(value, 3, sizeof value);
    CHECK_OK(fc_set(b->made.session, &b->keys[39], value, sizeof value, NULL, NULL));
    keys[50] = b->keys[39];
    reads[50] = (fc_read){.buffer = got, .buffer_bytes = sizeof got};
    CHECK_OK(fc_get_cut(b->made.session, keys, reads, 100));
    for (int i = 0; i < 100; i++) CHECK_STATUS(i % 10 == 9 ? FC_MISS : FC_OK, reads[i].status);
    CHECK(reads[50].value_bytes == sizeof value && memcmp(value, got, sizeof value) == 0);
    CHECK_EQUAL(reads[0].version, reads[7].version);
    check_close(&b->made);
    free(b);
}

/* ------------------------------------------------------------------ proofs, one by one */

typedef struct proof_case {
    fixture made;
    fc_key keys[2];            /* "there", "missing" */
    fc_read reads[2];
    char buffers[2][16];
    cut_proof proofs[2];
    cut_detail details[2];
    cut cut;
} proof_case;

static void open_case(proof_case *p)
{
    *p = (proof_case){.made = check_open(1 << 20)};
    p->keys[0] = check_key(&p->made, "there");
    p->keys[1] = check_key(&p->made, "missing");
    for (int i = 0; i < 2; i++) p->reads[i] = (fc_read){.buffer = p->buffers[i], .buffer_bytes = sizeof p->buffers[i]};
    CHECK_OK(check_set(&p->made, "there", "1"));
    p->cut = (cut){.session = p->made.session, .keys = p->keys, .reads = p->reads, .count = 2, .proofs = p->proofs, .details = p->details};
    REQUIRE_OK(read_all(&p->cut));
    CHECK_OK(p->reads[0].status);
    CHECK_STATUS(FC_MISS, p->reads[1].status);
    CHECK_EQUAL(1, first_changed(p->proofs, 0, 2)); /* a missing key is always looked at more closely */
    CHECK(still_holds(&p->cut, 1));
}

/* Another key whose home is that of keys[index]. */
static fc_key neighbour_of(const proof_case *p, int index, char text[24])
{
    for (int i = 0;; i++) {
        snprintf(text, 24, "neighbour %d", i);
        fc_key key = check_key(&p->made, text);
        if (fc_home_of(p->made.session, key.hash) == fc_home_of(p->made.session, p->keys[index].hash)) return key;
    }
}

/* A word that came back with another value (its block was used again) proves nothing: the version tells. */
static void a_word_that_came_back_is_found_out(void)
{
    proof_case p;
    open_case(&p);
    CHECK_OK(check_set(&p.made, "there", "2"));
    CHECK_EQUAL(0, first_changed(p.proofs, 0, 2));
    CHECK_OK(check_set(&p.made, "there", "3"));
    REQUIRE(fc_load_relaxed(p.proofs[0].entry) == p.proofs[0].word);
    CHECK_EQUAL(0, first_changed(p.proofs, 0, 2));
    CHECK(!still_holds(&p.cut, 0));
    check_close(&p.made);
}

/* A neighbour's write costs a look at the stamp, and the proof goes on; a write of the key itself is still found out after it. */
static void a_neighbour_changes_nothing(void)
{
    proof_case p;
    char text[24];
    open_case(&p);
    fc_key neighbour = neighbour_of(&p, 0, text);
    CHECK_OK(fc_set(p.made.session, &neighbour, "n", 1, NULL, NULL));
    CHECK_EQUAL(0, first_changed(p.proofs, 0, 2));
    CHECK(still_holds(&p.cut, 0));
    CHECK_EQUAL(1, first_changed(p.proofs, 0, 2));
    CHECK_OK(check_set(&p.made, "there", "2"));
    CHECK_OK(check_set(&p.made, "there", "3"));
    CHECK_EQUAL(0, first_changed(p.proofs, 0, 2));
    CHECK(!still_holds(&p.cut, 0));
    check_close(&p.made);
}

/* A key that came and went between the two looks was not missing all the time; nor can that be told of one whose neighbour was written. */
static void a_miss_in_between_is_found_out(void)
{
    proof_case p;
    char text[24];
    open_case(&p);
    CHECK_OK(check_set(&p.made, "missing", "x"));
    CHECK(!still_holds(&p.cut, 1));
    CHECK_OK(fc_delete(p.made.session, &p.keys[1]));
    CHECK(!still_holds(&p.cut, 1));
    CHECK_OK(read_key(&p.cut, 1));
    CHECK(still_holds(&p.cut, 1));
    fc_key neighbour = neighbour_of(&p, 1, text);
    CHECK_OK(fc_set(p.made.session, &neighbour, "n", 1, NULL, NULL));
    CHECK(!still_holds(&p.cut, 1));
    check_close(&p.made);
}

/* A mark that stands there all the while changes its meaning with the commit: its descriptor's state tells. */
static void a_commit_behind_a_mark_is_found_out(void)
{
    proof_case p;
    fc_session *writer;
    open_case(&p);
    REQUIRE_OK(fc_session_open(p.made.cache, &writer));
    fc_bucket *home = fc_home_of(writer, p.keys[0].hash);
    uint64_t *entry = &home->entries[p.proofs[0].entry - home->entries];
    REQUIRE_OK(fc_multi_begin(writer, 1, fc_reclaim_take_page));
    *fc_multi_op_at(writer, 0) = (fc_multi_op){fc_offset_of(writer, home), fc_offset_of(writer, entry), *entry, 0}; /* a delete */
    writer->slot->multi.op_count = writer->slot->multi.locked_count = 1;
    REQUIRE(fc_lock_try_word(writer, &home->owner));
    fc_multi_set_state(writer, FC_MULTI_ACTIVE);
    *entry = fc_multi_mark(writer, 0, p.keys[0].hash);
    CHECK(!still_holds(&p.cut, 0));
    CHECK_OK(read_key(&p.cut, 0));
    CHECK_OK(p.reads[0].status);
    CHECK(still_holds(&p.cut, 0));
    fc_multi_set_state(writer, FC_MULTI_COMMITTED);
    CHECK_EQUAL(0, first_changed(p.proofs, 0, 2));
    CHECK(!still_holds(&p.cut, 0));
    CHECK_OK(read_key(&p.cut, 0));
    CHECK_STATUS(FC_MISS, p.reads[0].status);
    CHECK(still_holds(&p.cut, 0));
    fc_multi_finish(writer);
    CHECK(!still_holds(&p.cut, 0)); /* missing all the while, but counted: read again */
    CHECK_OK(fc_session_close(writer));
    audit_empty(p.made.session);
    check_close(&p.made);
}

/* Only what changed is read again, and the cut ends with what is there then. */
static void only_changed_keys_are_read_again(void)
{
    proof_case p;
    fc_stats before, after;
    open_case(&p);
    CHECK_OK(check_set(&p.made, "there", "22"));
    CHECK_OK(fc_session_stats(p.made.session, &before));
    CHECK_OK(go_round(&p.cut));
    CHECK_OK(fc_session_stats(p.made.session, &after));
    CHECK_EQUAL(1, after.read_retries - before.read_retries);
    CHECK(p.reads[0].value_bytes == 2 && memcmp(p.buffers[0], "22", 2) == 0);
    CHECK_STATUS(FC_MISS, p.reads[1].status);
    CHECK_OK(fc_delete(p.made.session, &p.keys[0]));
    CHECK_OK(check_set(&p.made, "missing", "3"));
    CHECK_OK(go_round(&p.cut));
    CHECK_STATUS(FC_MISS, p.reads[0].status);
    CHECK(p.reads[1].status == FC_OK && p.buffers[1][0] == '3');
    check_close(&p.made);
}

/* Many reads anew raise the sign for writers; the end of the cut lowers it. */
static void a_cut_that_does_not_come_to_its_end_asks_writers_to_give_way(void)
{
    proof_case p;
    open_case(&p);
    uint64_t *sign = &fc_header_of(p.made.cache)->cut_until_mono_ns;
    for (uint32_t i = 1; i < ANEW_BEFORE_SIGN; i++) CHECK_OK(read_anew(&p.cut, 0));
    CHECK_EQUAL(0, fc_load_relaxed(sign));
    CHECK_OK(read_anew(&p.cut, 0));
    CHECK(p.cut.sign != 0);
    CHECK_EQUAL(p.cut.sign, fc_load_relaxed(sign));
    CHECK_OK(fc_get_cut(p.made.session, p.keys, p.reads, 2)); /* another cut, without a sign of its own */
    CHECK_EQUAL(p.cut.sign, fc_load_relaxed(sign));
    fc_give_way_lower(p.made.session, p.cut.sign);
    CHECK_EQUAL(0, fc_load_relaxed(sign));
    check_close(&p.made);
}

/* ------------------------------------------------------------------ many keys */

#define RECORDS 500u

typedef struct feed {
    fixture made;
    fc_key keys[RECORDS];
    char names[RECORDS][16];
    int stop;
} feed;

/* Which key the n-th write is of. */
static uint32_t key_of_write(uint64_t n)
{
    uint64_t state = n * UINT64_C(0x9E3779B97F4A7C15) | 1;
    return (uint32_t)(check_random(&state) % RECORDS);
}

static void *write_feed(void *context)
{
    feed *f = context;
    fc_session *session;
    REQUIRE_OK(fc_session_open(f->made.cache, &session));
    for (uint64_t n = 1; !__atomic_load_n(&f->stop, __ATOMIC_ACQUIRE); n++) {
        uint64_t due = fc_clock_mono_ns() + 400;
        CHECK_OK(fc_set(session, &f->keys[key_of_write(n)], &n, sizeof n, NULL, NULL));
        while (fc_clock_mono_ns() < due) {}
    }
    CHECK_OK(fc_session_close(session));
    return NULL;
}

/* Every key must hold what the last of the writes 1 to `newest` that were of it stored, 0 if there was none. */
static void check_state_after(uint64_t newest, const uint64_t *values)
{
    uint8_t seen[RECORDS] = {0};
    uint32_t seen_count = 0;
    for (uint64_t n = newest; n > 0 && seen_count < RECORDS; n--) {
        uint32_t i = key_of_write(n);
        if (seen[i]) continue;
        seen[i] = 1;
        seen_count++;
        CHECK_EQUAL(n, values[i]);
    }
    for (uint32_t i = 0; i < RECORDS; i++)
        if (!seen[i]) CHECK_EQUAL(0, values[i]);
}

/* P5: 500 keys, one of them written every 400 ns: every cut comes, and is exactly the state after some write. */
static void a_cut_of_500_keys_is_a_state_of_the_feed(void)
{
    feed *f = calloc(1, sizeof *f);
    pthread_t thread;
    static fc_read reads[RECORDS];
    static uint64_t values[RECORDS];
    uint64_t nothing = 0;
    f->made = check_open(4 << 20);
    for (uint32_t i = 0; i < RECORDS; i++) {
        snprintf(f->names[i], sizeof f->names[i], "record %u", i);
        f->keys[i] = check_key(&f->made, f->names[i]);
        CHECK_OK(fc_set(f->made.session, &f->keys[i], &nothing, sizeof nothing, NULL, NULL));
        reads[i] = (fc_read){.buffer = &values[i], .buffer_bytes = sizeof values[i]};
    }
    REQUIRE(pthread_create(&thread, NULL, write_feed, f) == 0);
    for (uint64_t round = 0; round < check_rounds(3000); round++) {
        uint64_t newest = 0;
        fc_status status = fc_get_cut(f->made.session, f->keys, reads, RECORDS);
        if (CHECK_SANITIZED && status == FC_CONTENDED) continue; /* a check takes 30 times as long, the writer's pause does not */
        if (!CHECK_OK(status)) continue;
        for (uint32_t i = 0; i < RECORDS; i++) {
            CHECK_OK(reads[i].status);
            if (values[i] > newest) newest = values[i];
        }
        check_state_after(newest, values);
    }
    __atomic_store_n(&f->stop, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    audit_segment(f->made.session);
    check_close(&f->made);
    free(f);
}

int main(void)
{
    RUN(a_word_that_came_back_is_found_out);
    RUN(a_neighbour_changes_nothing);
    RUN(a_miss_in_between_is_found_out);
    RUN(a_commit_behind_a_mark_is_found_out);
    RUN(only_changed_keys_are_read_again);
    RUN(a_cut_of_500_keys_is_a_state_of_the_feed);
    RUN(the_sum_of_a_cut_is_constant);
    RUN(a_flush_falls_before_or_behind_a_cut);
    RUN(cuts_of_any_keys);
    RUN(a_cut_that_does_not_come_to_its_end_asks_writers_to_give_way);
    return check_report();
}
