/* test_cut.c -- consistent reads of several keys (csrc/table/cut.c): P5. Against whole batches: test_multi_write.c. */
#include "../memory/audit.h"

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
        for (uint32_t i = 0; i < ACCOUNTS; i++) reads[i] = (fc_read){&money[i], 8, 0, 0, 0, 0, 0};
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
        for (uint32_t i = 0; i < ACCOUNTS; i++) reads[i] = (fc_read){&values[i], 8, 0, 0, 0, 0, 0};
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
        reads[i] = (fc_read){&money[i], 8, 0, 0, 0, 0, 0};
    }
    memset(value, 3, sizeof value);
    CHECK_OK(fc_set(b->made.session, &b->keys[39], value, sizeof value, NULL, NULL));
    keys[50] = b->keys[39];
    reads[50] = (fc_read){got, sizeof got, 0, 0, 0, 0, 0};
    CHECK_OK(fc_get_cut(b->made.session, keys, reads, 100));
    for (int i = 0; i < 100; i++) CHECK_STATUS(i % 10 == 9 ? FC_MISS : FC_OK, reads[i].status);
    CHECK(reads[50].value_bytes == sizeof value && memcmp(value, got, sizeof value) == 0);
    CHECK_EQUAL(reads[0].version, reads[7].version);
    check_close(&b->made);
    free(b);
}

int main(void)
{
    RUN(the_sum_of_a_cut_is_constant);
    RUN(a_flush_falls_before_or_behind_a_cut);
    RUN(cuts_of_any_keys);
    return check_report();
}
