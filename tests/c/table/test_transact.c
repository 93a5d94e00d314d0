/* test_transact.c -- transactions as a whole (csrc/table/transact.c): all or nothing, locks, watches, flushes (P5, P13). */
#include "../memory/audit.h"
#include "table/transact.h"

#include <pthread.h>

static fc_transact_value text_value(const char *text) { return (fc_transact_value){.data = text, .bytes = strlen(text), .type = FC_TYPE_STRING}; }

/* ------------------------------------------------------------------ all or nothing */

typedef struct outcome {
    fc_status status;
    uint64_t version;          /* that key 0 is to have; UINT64_MAX: any */
    uint32_t calls;
} outcome;

/* Key 0 gets a value, key 1 goes, key 2 is new; then the outcome. */
static fc_status change_three(fc_transaction *t, void *context)
{
    outcome *wanted = context;
    fc_transact_state state;
    fc_transact_value value = text_value("changed");
    wanted->calls++;
    fc_transact_look(t, 0, &state);
    if (wanted->version != UINT64_MAX && state.version != wanted->version) return FC_VERSION_MISMATCH;
    FC_TRY(fc_transact_write(t, 0, &value));
    fc_transact_delete(t, 1);
    FC_TRY(fc_transact_write(t, 2, &value));
    return wanted->status;
}

static void set_up(const fixture *made, fc_key keys[3])
{
    static const char *names[3] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) keys[i] = check_key(made, names[i]);
    CHECK_OK(fc_set(made->session, &keys[0], "1", 1, NULL, NULL));
    CHECK_OK(fc_set(made->session, &keys[1], "2", 1, NULL, NULL));
    CHECK(fc_delete(made->session, &keys[2]) != FC_BUSY);
}

static int is_unchanged(const fixture *made) { return check_holds(made, "a", "1") && check_holds(made, "b", "2") && check_holds(made, "c", NULL); }
static int is_changed(const fixture *made) { return check_holds(made, "a", "changed") && check_holds(made, "b", NULL) && check_holds(made, "c", "changed"); }

/* What a decider returns decides: FC_OK commits all, anything else is passed on and changes nothing. */
static void the_decider_decides(void)
{
    fixture made = check_open(2 << 20);
    fc_key keys[3];
    static const fc_status refusals[] = {FC_MISS, FC_NOT_STORED, FC_VERSION_MISMATCH, FC_CONTENDED, FC_INVALID_ARGUMENT, FC_NOT_INTEGER};
    set_up(&made, keys);
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        outcome wanted = {.status = refusals[i], .version = UINT64_MAX};
        CHECK_STATUS(refusals[i], fc_transact(made.session, keys, 3, change_three, &wanted));
        CHECK_EQUAL(1, wanted.calls);
        CHECK(is_unchanged(&made));
        audit_segment(made.session);
    }
    outcome wanted = {.status = FC_OK, .version = UINT64_MAX};
    CHECK_OK(fc_transact(made.session, keys, 3, change_three, &wanted));
    CHECK(is_changed(&made));
    check_delete_all(&made);
    audit_empty(made.session);
    check_close(&made);
}

/* A watched key: its version of before holds until anybody writes it, also with the same bytes, and 0 means missing. */
static void a_watched_version_tells_of_every_write(void)
{
    fixture made = check_open(2 << 20);
    fc_key keys[3];
    fc_entry entry;
    set_up(&made, keys);
    CHECK_OK(fc_get_entry(made.session, &keys[0], NULL, 0, &entry));
    CHECK_OK(fc_set(made.session, &keys[0], "1", 1, NULL, NULL));
    outcome wanted = {.status = FC_OK, .version = entry.version};
    CHECK_STATUS(FC_VERSION_MISMATCH, fc_transact(made.session, keys, 3, change_three, &wanted));
    CHECK(is_unchanged(&made));
    wanted.version = 0;
    CHECK_STATUS(FC_VERSION_MISMATCH, fc_transact(made.session, keys, 3, change_three, &wanted));
    CHECK_OK(fc_get_entry(made.session, &keys[0], NULL, 0, &entry));
    wanted.version = entry.version;
    CHECK_OK(fc_transact(made.session, keys, 3, change_three, &wanted));
    CHECK_OK(fc_delete(made.session, &keys[0]));
    wanted.version = 0;
    CHECK_OK(fc_transact(made.session, keys, 3, change_three, &wanted));
    CHECK(is_changed(&made));
    check_close(&made);
}

static fc_status note_home_version(fc_transaction *t, void *context)
{
    fc_transact_state state;
    fc_transact_look(t, 0, &state);
    CHECK_EQUAL(FC_TYPE_NONE, state.type);
    CHECK_EQUAL(0, state.version);
    *(uint64_t *)context = state.home_version;
    return FC_NOT_STORED;
}

/* A key that is missing, was set, and is missing again shows it by its home's version; looking changes nothing. */
static void a_homes_version_tells_of_a_key_that_came_and_went(void)
{
    fixture made = check_open(2 << 20);
    fc_key keys[3];
    uint64_t before, again, after;
    set_up(&made, keys);
    CHECK_STATUS(FC_NOT_STORED, fc_transact(made.session, &keys[2], 1, note_home_version, &before));
    CHECK_STATUS(FC_NOT_STORED, fc_transact(made.session, &keys[2], 1, note_home_version, &again));
    CHECK_EQUAL(before, again);
    CHECK_OK(fc_set(made.session, &keys[2], "3", 1, NULL, NULL));
    CHECK_OK(fc_delete(made.session, &keys[2]));
    CHECK_STATUS(FC_NOT_STORED, fc_transact(made.session, &keys[2], 1, note_home_version, &after));
    CHECK(after > before);
    check_close(&made);
}

/* Bad arguments and states are refused by name; no keys at all are fine. */
static void bad_calls_are_refused(void)
{
    fixture made = check_open(2 << 20);
    fc_key keys[3], bad;
    set_up(&made, keys);
    outcome wanted = {.status = FC_NOT_STORED, .version = UINT64_MAX};
    CHECK_STATUS(FC_TOO_MANY_KEYS, fc_transact(made.session, keys, FC_MULTI_KEYS_MAX + 1, change_three, &wanted));
    bad = keys[0];
    bad.database = 64;
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_transact(made.session, &bad, 1, change_three, &wanted));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_transact(NULL, keys, 3, change_three, &wanted));
    fc_options read_only = {.read_only = 1};
    fixture reader = made;
    CHECK_OK(fc_cache_attach(made.name, &read_only, &reader.cache));
    CHECK_OK(fc_session_open(reader.cache, &reader.session));
    CHECK_STATUS(FC_READ_ONLY, fc_transact(reader.session, keys, 3, change_three, &wanted));
    CHECK_OK(fc_cache_close(reader.cache));
    CHECK_EQUAL(0, wanted.calls);
    CHECK(is_unchanged(&made));
    check_close(&made);
}

static fc_status do_nothing(fc_transaction *t, void *context)
{
    fc_key key = {.data = "x", .bytes = 1};
    CHECK_EQUAL(0, fc_transact_find(t, &key));
    ++*(uint32_t *)context;
    return FC_OK;
}

/* A transaction that changes nothing, or has no keys, leaves no trace. */
static void nothing_staged_nothing_changed(void)
{
    fixture made = check_open(2 << 20);
    uint32_t calls = 0;
    CHECK_OK(fc_transact(made.session, NULL, 0, do_nothing, &calls));
    CHECK_EQUAL(1, calls);
    CHECK_EQUAL(0, check_stats(&made).multi_commits);
    audit_empty(made.session);
    check_close(&made);
}

/* ------------------------------------------------------------------ flushes */

typedef struct interference {
    const fixture *made;
    fc_session *other;         /* whose flush comes in the middle */
    uint32_t database;         /* that it flushes */
    uint32_t times;            /* that it does so */
    uint32_t calls;
    int flushes_too;           /* the decider empties database 0 itself */
} interference;

static fc_status write_amid_flushes(fc_transaction *t, void *context)
{
    interference *with = context;
    fc_transact_state state;
    fc_transact_value value = text_value("after");
    fc_transact_look(t, 0, &state);
    CHECK_EQUAL(with->calls > 0 && with->database == 0 ? FC_TYPE_NONE : FC_TYPE_STRING, state.type);
    if (with->flushes_too) {
        FC_TRY(fc_transact_flush(t, 0));
        fc_transact_keep(t, 1);
        fc_transact_look(t, 1, &state);
        CHECK_EQUAL(FC_TYPE_NONE, state.type);
    }
    FC_TRY(fc_transact_write(t, 0, &value));
    if (with->calls++ < with->times) CHECK_OK(fc_flush(with->other, with->database));
    return FC_OK;
}

/* P4: a flush that comes after the decider looked, and before the commit, makes it look again: nothing it writes is flushed by it. */
static void a_flush_in_the_middle_begins_it_again(void)
{
    fixture made = check_open(2 << 20);
    fc_key keys[3];
    interference with = {.made = &made, .times = 3};
    CHECK_OK(fc_session_open(made.cache, &with.other));
    set_up(&made, keys);
    CHECK_OK(fc_transact(made.session, keys, 3, write_amid_flushes, &with));
    CHECK_EQUAL(4, with.calls);
    CHECK(check_holds(&made, "a", "after"));
    CHECK(check_holds(&made, "b", NULL));
    CHECK_EQUAL(1, check_stats(&made).key_count);
    set_up(&made, keys);
    with = (interference){.made = &made, .other = with.other, .database = 1, .times = 1};
    CHECK_OK(fc_transact(made.session, keys, 3, write_amid_flushes, &with)); /* of another database: nobody minds */
    CHECK_EQUAL(1, with.calls);
    set_up(&made, keys);
    with = (interference){.made = &made, .other = with.other, .times = UINT32_MAX};
    CHECK_STATUS(FC_CONTENDED, fc_transact(made.session, keys, 3, write_amid_flushes, &with));
    CHECK_EQUAL(1000, with.calls);
    CHECK_EQUAL(0, check_stats(&made).key_count);
    CHECK_OK(fc_session_close(with.other));
    audit_segment(made.session);
    check_close(&made);
}

/* A decider may empty a database: what it stages afterwards stays, all else goes, in that database only. */
static void a_decider_may_flush(void)
{
    fixture made = check_open(2 << 20);
    fc_key keys[4];
    char got[8];
    uint64_t bytes, key_count;
    interference with = {.made = &made, .flushes_too = 1};
    set_up(&made, keys);
    CHECK_OK(check_set(&made, "not of the transaction", "x"));
    CHECK_OK(fc_key_init(made.cache, 1, "a", 1, &keys[3]));
    CHECK_OK(fc_set(made.session, &keys[3], "other", 5, NULL, NULL));
    CHECK_OK(fc_transact(made.session, keys, 4, write_amid_flushes, &with));
    CHECK(check_holds(&made, "a", "after"));
    CHECK(check_holds(&made, "b", NULL));
    CHECK(check_holds(&made, "not of the transaction", NULL));
    CHECK_OK(fc_get(made.session, &keys[3], got, sizeof got, &bytes));
    CHECK_OK(fc_count(made.session, 0, &key_count));
    CHECK_EQUAL(1, key_count);
    audit_segment(made.session);
    /* Overtaken by somebody else's flush: looked at again. */
    set_up(&made, keys);
    with = (interference){.made = &made, .flushes_too = 1, .times = 1};
    CHECK_OK(fc_session_open(made.cache, &with.other));
    CHECK_OK(fc_transact(made.session, keys, 3, write_amid_flushes, &with));
    CHECK_EQUAL(2, with.calls);
    CHECK(check_holds(&made, "a", "after"));
    CHECK_OK(fc_session_close(with.other));
    audit_segment(made.session);
    check_close(&made);
}

static fc_status flush_alone(fc_transaction *t, void *context)
{
    (void)context;
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_transact_flush(t, 16));
    FC_TRY(fc_transact_flush(t, 0));
    return fc_transact_flush(t, 1);
}

/* Flushes need no keys. */
static void flushes_need_no_keys(void)
{
    fixture made = check_open(2 << 20);
    fc_key keys[3];
    set_up(&made, keys);
    CHECK_OK(fc_transact(made.session, NULL, 0, flush_alone, NULL));
    CHECK_EQUAL(0, check_stats(&made).key_count);
    check_close(&made);
}

/* ------------------------------------------------------------------ locks and memory */

static fc_status count_call(fc_transaction *t, void *context)
{
    (void)t;
    ++*(uint32_t *)context;
    return FC_OK;
}

/* P13: a home that a live session holds makes it FC_BUSY at the deadline; the decider was not asked, and no other home stays locked. */
static void a_held_home_is_busy(void)
{
    fixture made = check_open(2 << 20);
    fc_key keys[3];
    fc_session *holder;
    uint32_t calls = 0;
    set_up(&made, keys);
    CHECK_OK(fc_session_open(made.cache, &holder));
    uint32_t *owner = &fc_home_of(holder, keys[1].hash)->owner;
    *owner = holder->owner_word;
    CHECK_OK(fc_session_set_timeout(made.session, 1000000));
    CHECK_STATUS(FC_BUSY, fc_transact(made.session, keys, 3, count_call, &calls));
    CHECK_EQUAL(0, calls);
    for (int i = 0; i < 3; i++) CHECK(i == 1 || fc_home_of(holder, keys[i].hash)->owner == 0 || fc_home_of(holder, keys[i].hash) == fc_home_of(holder, keys[1].hash));
    *owner = 0;
    CHECK_OK(fc_transact(made.session, keys, 3, count_call, &calls));
    CHECK_EQUAL(1, calls);
    CHECK_OK(fc_session_close(holder));
    audit_segment(made.session);
    check_close(&made);
}

typedef struct bulk {
    uint64_t count;
    uint64_t bytes;
    const void *data;
} bulk;

static fc_status write_all(fc_transaction *t, void *context)
{
    const bulk *all = context;
    fc_transact_value value = {.data = all->data, .bytes = all->bytes, .type = FC_TYPE_STRING};
    for (uint64_t i = 0; i < all->count; i++) FC_TRY(fc_transact_write(t, i, &value));
    return FC_OK;
}

/* What does not fit changes nothing, and everything built for it comes back; what can never fit evicts nothing. */
static void what_does_not_fit_changes_nothing(void)
{
    for (uint32_t policy = FC_POLICY_NOEVICTION; policy <= FC_POLICY_ALLKEYS_LRU; policy++) {
        fc_options options = check_options(2 << 20);
        options.policy = policy;
        fixture made = check_open_with(&options);
        static fc_key keys[100];
        static char names[100][16];
        static char data[30000];
        for (int i = 0; i < 100; i++) {
            snprintf(names[i], sizeof names[i], "%d", i);
            keys[i] = check_key(&made, names[i]);
        }
        bulk few = {.count = 20, .bytes = sizeof data, .data = data}, many = {.count = 100, .bytes = sizeof data, .data = data};
        CHECK_OK(fc_transact(made.session, keys, 20, write_all, &few));
        fc_stats before = check_stats(&made);
        CHECK_STATUS(FC_OUT_OF_MEMORY, fc_transact(made.session, keys, 100, write_all, &many));
        CHECK_EQUAL(before.used_bytes, check_stats(&made).used_bytes);
        CHECK_EQUAL(0, check_stats(&made).evicted);
        for (int i = 0; i < 100; i++) CHECK_STATUS(i < 20 ? FC_OK : FC_MISS, fc_exists(made.session, &keys[i]));
        audit_segment(made.session);
        check_close(&made);
    }
}

/* ------------------------------------------------------------------ P5 under concurrency */

#define ACCOUNTS 60u

typedef struct bank {
    fixture made;
    fc_key keys[ACCOUNTS];
    char names[ACCOUNTS][16];
    int stop;
} bank;

/* Half of what each of the first five has goes to the last. */
static fc_status collect_money(fc_transaction *t, void *context)
{
    uint64_t sum = 0, money;
    fc_transact_state state;
    void *room;
    (void)context;
    for (uint64_t i = 0; i < 6; i++) {
        money = 0;
        fc_transact_look(t, i, &state);
        if (state.type != FC_TYPE_NONE) FC_TRY(fc_transact_copy(t, i, 0, &money, sizeof money));
        uint64_t taken = i == 5 ? 0 : (money + 1) / 2;
        sum += taken;
        if (money == taken && i < 5) {
            fc_transact_delete(t, i); /* a bankrupt */
            continue;
        }
        money = i == 5 ? money + sum : money - taken;
        FC_TRY(fc_transact_edit(t, i, sizeof money, &room));
        memcpy(room, &money, sizeof money);
    }
    return FC_OK;
}

static void *move_money(void *context)
{
    bank *b = context;
    fc_session *session;
    uint64_t seed = (uint64_t)(uintptr_t)&session | 1;
    REQUIRE_OK(fc_session_open(b->made.cache, &session));
    REQUIRE_OK(fc_session_set_timeout(session, UINT64_C(60000000000)));
    while (!__atomic_load_n(&b->stop, __ATOMIC_ACQUIRE)) {
        fc_key keys[6];
        uint64_t first = check_random(&seed) % ACCOUNTS, step = 1 + check_random(&seed) % 9; /* six different ones */
        for (uint64_t i = 0; i < 6; i++) keys[i] = b->keys[(first + i * step) % ACCOUNTS];
        CHECK_OK(fc_transact(session, keys, 6, collect_money, NULL));
    }
    CHECK_OK(fc_session_close(session));
    return NULL;
}

/* P5: whatever two sessions move at once, reading and writing, no money comes or goes: in every cut the accounts sum up to all of it. */
static void money_is_neither_made_nor_lost(void)
{
    bank *b = calloc(1, sizeof *b);
    pthread_t threads[2];
    fc_read reads[ACCOUNTS];
    uint64_t money[ACCOUNTS], cuts = 0;
    b->made = check_open(2 << 20);
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        uint64_t start = 1000;
        snprintf(b->names[i], sizeof b->names[i], "account %u", i);
        b->keys[i] = check_key(&b->made, b->names[i]);
        CHECK_OK(fc_set(b->made.session, &b->keys[i], &start, sizeof start, NULL, NULL));
        reads[i] = (fc_read){.buffer = &money[i], .buffer_bytes = sizeof money[i]};
    }
    for (int i = 0; i < 2; i++) REQUIRE(pthread_create(&threads[i], NULL, move_money, b) == 0);
    for (uint64_t round = 0; round < check_rounds(5000) || (cuts < 10 && round < 100000); round++) {
        uint64_t sum = 0;
        fc_status status = fc_get_cut(b->made.session, b->keys, reads, ACCOUNTS);
        if (status == FC_CONTENDED || !CHECK_OK(status)) continue;
        for (uint32_t i = 0; i < ACCOUNTS; i++) sum += reads[i].status == FC_OK ? money[i] : 0;
        CHECK_EQUAL(ACCOUNTS * 1000, sum);
        cuts++;
    }
    __atomic_store_n(&b->stop, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    CHECK(cuts > 0);
    audit_segment(b->made.session);
    check_close(&b->made);
    free(b);
}

int main(void)
{
    RUN(the_decider_decides);
    RUN(a_watched_version_tells_of_every_write);
    RUN(a_homes_version_tells_of_a_key_that_came_and_went);
    RUN(bad_calls_are_refused);
    RUN(nothing_staged_nothing_changed);
    RUN(a_flush_in_the_middle_begins_it_again);
    RUN(a_decider_may_flush);
    RUN(flushes_need_no_keys);
    RUN(a_held_home_is_busy);
    RUN(what_does_not_fit_changes_nothing);
    RUN(money_is_neither_made_nor_lost);
    return check_report();
}
