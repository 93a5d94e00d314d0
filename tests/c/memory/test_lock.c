/* test_lock.c -- owner-recorded locks (csrc/memory/lock.c): who waits for whom, how long, and who is named. */
#include "audit.h"
#include "memory/lock.h"

#include <pthread.h>
#include <sys/syscall.h>

/* A thread with a session of its own that holds a home's lock until it is told to let go: a stopped writer, for all others. */
typedef struct holder {
    fc_cache *cache;
    uint64_t hash;
    pthread_t thread;
    pthread_barrier_t held, let_go;
    int32_t tid;
} holder;

static void *hold(void *context)
{
    holder *h = context;
    fc_session *session;
    REQUIRE_OK(fc_session_open(h->cache, &session));
    REQUIRE_OK(fc_lock_home(session, fc_home_of(session, h->hash)));
    h->tid = (int32_t)syscall(SYS_gettid);
    pthread_barrier_wait(&h->held);
    pthread_barrier_wait(&h->let_go);
    fc_lock_release(&fc_home_of(session, h->hash)->owner);
    CHECK_OK(fc_session_close(session));
    return NULL;
}

static void holder_start(holder *h, fc_cache *cache, uint64_t hash)
{
    *h = (holder){.cache = cache, .hash = hash};
    pthread_barrier_init(&h->held, NULL, 2);
    pthread_barrier_init(&h->let_go, NULL, 2);
    REQUIRE(pthread_create(&h->thread, NULL, hold, h) == 0);
    pthread_barrier_wait(&h->held);
}

static void holder_stop(holder *h)
{
    pthread_barrier_wait(&h->let_go);
    pthread_join(h->thread, NULL);
}

/* P13: while a live session holds a home, every write to it fails with FC_BUSY at its deadline and names pid and tid; nothing changes. */
static void a_held_home_is_busy_and_its_holder_named(void)
{
    fixture made = check_open(2 << 20);
    CHECK_OK(check_set(&made, "k", "10"));
    fc_key key = check_key(&made, "k"), other = check_key(&made, "other");
    char buffer[64], named[64], text[FC_FLOAT_TEXT_BYTES];
    uint64_t bytes, version_before = 0;
    int64_t number;
    fc_entry entry;
    holder h;
    CHECK_OK(fc_get_entry(made.session, &key, NULL, 0, &entry));
    version_before = entry.version;
    CHECK(fc_home_index(made.session, key.hash) != fc_home_index(made.session, other.hash));
    holder_start(&h, made.cache, key.hash);
    snprintf(named, sizeof named, "pid %d, tid %d", (int)getpid(), (int)h.tid);
    static const uint64_t timeouts[] = {0, 1, 2000000};
    for (size_t i = 0; i < COUNT_OF(timeouts); i++) {
        CHECK_OK(fc_session_set_timeout(made.session, timeouts[i]));
        fc_write write = {"v", 1, 0, 0};
        CHECK_STATUS(FC_BUSY, fc_set(made.session, &key, "v", 1, NULL, NULL));
        CHECK(strstr(fc_error_detail(FC_BUSY), named) != NULL);
        CHECK_STATUS(FC_BUSY, fc_delete(made.session, &key));
        CHECK_STATUS(FC_BUSY, fc_get_delete(made.session, &key, buffer, sizeof buffer, &bytes));
        CHECK_STATUS(FC_BUSY, fc_increment(made.session, &key, 1, &number));
        CHECK_STATUS(FC_BUSY, fc_increment_float(made.session, &key, 1, text, sizeof text));
        CHECK_STATUS(FC_BUSY, fc_append(made.session, &key, "x", 1, &bytes));
        CHECK_STATUS(FC_BUSY, fc_set_range(made.session, &key, 0, "x", 1, &bytes));
        CHECK_STATUS(FC_BUSY, fc_expire(made.session, &key, UINT64_MAX, 0));
        CHECK_STATUS(FC_BUSY, fc_persist(made.session, &key));
        CHECK_STATUS(FC_BUSY, fc_rename(made.session, &key, &other, 0));
        CHECK_STATUS(FC_BUSY, fc_copy(made.session, &other, &key, 1));
        CHECK_STATUS(FC_BUSY, fc_set_many(made.session, &key, &write, 1, 0));
        CHECK(strstr(fc_error_detail(FC_BUSY), named) != NULL);
    }
    CHECK(check_stats(&made).busy >= 3 * COUNT_OF(timeouts));
    CHECK_OK(fc_get_entry(made.session, &key, NULL, 0, &entry)); /* P1: readers do not notice */
    CHECK_EQUAL(version_before, entry.version);
    CHECK(check_holds(&made, "k", "10"));
    holder_stop(&h);
    CHECK_OK(fc_set(made.session, &key, "v", 1, NULL, NULL));
    audit_segment(made.session);
    check_close(&made);
}

/* P13: the other homes are not delayed at all. */
static void other_homes_are_not_delayed(void)
{
    fixture made = check_open(2 << 20);
    fc_key key = check_key(&made, "k");
    char text[32];
    holder h;
    holder_start(&h, made.cache, key.hash);
    CHECK_OK(fc_session_set_timeout(made.session, 0));
    for (int i = 0; i < 2000; i++) {
        snprintf(text, sizeof text, "key %d", i);
        fc_key other = check_key(&made, text);
        fc_status expected = fc_home_of(made.session, other.hash) == fc_home_of(made.session, key.hash) ? FC_BUSY : FC_OK;
        CHECK_STATUS(expected, fc_set(made.session, &other, text, 32, NULL, NULL));
    }
    holder_stop(&h);
    audit_segment(made.session);
    check_close(&made);
}

/* A chained value built for a write that then finds its home held goes back to its pages: nothing leaks. */
static void a_busy_write_of_a_long_value_leaks_nothing(void)
{
    fixture made = check_open(4 << 20);
    fc_key key = check_key(&made, "k");
    char *value = calloc(1, 200000);
    holder h;
    holder_start(&h, made.cache, key.hash);
    CHECK_OK(fc_session_set_timeout(made.session, 0));
    CHECK_STATUS(FC_BUSY, fc_set(made.session, &key, value, 200000, NULL, NULL));
    holder_stop(&h);
    audit_empty(made.session);
    free(value);
    check_close(&made);
}

/* A lock that comes free while somebody waits is taken; an endless timeout does not wrap round to none. */
static void a_waiter_gets_the_lock_when_it_comes_free(void)
{
    fixture made = check_open(2 << 20);
    fc_key key = check_key(&made, "k");
    holder h;
    holder_start(&h, made.cache, key.hash);
    CHECK_OK(fc_session_set_timeout(made.session, UINT64_MAX));
    pthread_barrier_wait(&h.let_go);
    CHECK_OK(fc_set(made.session, &key, "v", 1, NULL, NULL));
    fc_write write = {"w", 1, 0, 0};
    CHECK_OK(fc_set_many(made.session, &key, &write, 1, 0));
    pthread_join(h.thread, NULL);
    check_close(&made);
}

/* A damaged owner word, of nobody or of a session that is not there, ends in FC_BUSY at the deadline, never in a loop. */
static void a_damaged_owner_word_ends_in_busy(void)
{
    fixture made = check_open(2 << 20);
    fc_session *s = made.session;
    fc_key key = check_key(&made, "k");
    uint32_t *owner = &fc_home_of(s, key.hash)->owner;
    const uint32_t words[] = {0xFFFFFFFF, 0x10000, 0x10005, 17 | 0x10000, 21 | 0x10000, 22 | 0x10000, s->owner_word ^ 0x70000, fc_owner_word(3, fc_slot_at(made.cache, 3)->incarnation), s->owner_word};
    CHECK_OK(fc_session_set_timeout(s, 1000000));
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        *owner = words[i];
        CHECK_STATUS(FC_BUSY, fc_set(s, &key, "v", 1, NULL, NULL));
        CHECK_EQUAL(words[i], *owner);
    }
    *owner = 0;
    CHECK_OK(fc_set(s, &key, "v", 1, NULL, NULL));
    check_close(&made);
}

/* A child takes the home's lock and dies with it. */
static void die_with_the_lock(const fixture *made, uint64_t hash)
{
    pid_t child = fork();
    if (child == 0) {
        fc_session *session;
        if (fc_session_open(made->cache, &session) != FC_OK) _exit(2);
        if (fc_lock_home(session, fc_home_of(session, hash)) != FC_OK) _exit(3);
        _exit(0);
    }
    CHECK(check_child_ok(child));
}

/* P2: the lock of a dead process comes free as soon as somebody wants it, even from a session that never waits. */
static void the_lock_of_the_dead_is_free_at_once(void)
{
    fixture made = check_open(2 << 20);
    fc_key key = check_key(&made, "k"), other = check_key(&made, "other");
    fc_write write[2] = {{"v", 1, 0, 0}, {"v", 1, 0, 0}};
    fc_key both[2] = {key, other};
    CHECK_OK(fc_session_set_timeout(made.session, 0));
    die_with_the_lock(&made, key.hash);
    CHECK_OK(fc_set(made.session, &key, "v", 1, NULL, NULL));
    CHECK_EQUAL(1, check_stats(&made).recoveries);
    die_with_the_lock(&made, key.hash);
    CHECK_OK(fc_set_many(made.session, both, write, 2, 0));
    CHECK_EQUAL(2, check_stats(&made).recoveries);
    die_with_the_lock(&made, key.hash);
    CHECK_OK(fc_rename(made.session, &key, &other, 0));
    CHECK_EQUAL(3, check_stats(&made).recoveries);
    audit_segment(made.session);
    check_close(&made);
}

/* ------------------------------------------------------------------ wait hooks */

/* An interpreter's lock, as a binding has one: the hooks give it up and take it back. */
typedef struct interpreter {
    fc_session *session;
    fc_key key;
    pthread_mutex_t lock;
    uint64_t before_count, after_count;
    holder *to_stop;           /* let go in the first wait */
    int ends_thread;
} interpreter;

static void give_up(void *context)
{
    interpreter *in = context;
    char buffer[8];
    uint64_t bytes;
    CHECK_EQUAL(in->before_count, in->after_count);
    in->before_count++;
    CHECK_STATUS(FC_MISS, fc_get(in->session, &in->key, buffer, sizeof buffer, &bytes));
    CHECK_STATUS(FC_REENTERED, fc_delete(in->session, &in->key));
    CHECK_STATUS(FC_REENTERED, fc_session_close(in->session));
    pthread_mutex_unlock(&in->lock);
}

static void take_back(void *context)
{
    interpreter *in = context;
    if (in->ends_thread) pthread_exit(NULL);
    pthread_mutex_lock(&in->lock);
    in->after_count++;
    CHECK_EQUAL(in->before_count, in->after_count);
    if (in->to_stop != NULL) {
        pthread_barrier_wait(&in->to_stop->let_go);
        in->to_stop = NULL;
    }
}

/* P13: a writer that waits calls its hooks around each wait, in pairs; one that finds the lock free never does. */
static void hooks_surround_waits_and_nothing_else(void)
{
    fixture made = check_open(2 << 20);
    interpreter in = {.session = made.session, .key = check_key(&made, "k"), .lock = PTHREAD_MUTEX_INITIALIZER};
    fc_write write = {"w", 1, 0, 0};
    holder h;
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_session_set_wait_hooks(made.session, give_up, NULL, &in));
    CHECK_OK(fc_session_set_wait_hooks(made.session, give_up, take_back, &in));
    pthread_mutex_lock(&in.lock);
    CHECK_OK(fc_set(made.session, &in.key, "v", 1, NULL, NULL));
    CHECK_OK(fc_set_many(made.session, &in.key, &write, 1, 0));
    CHECK_OK(fc_delete(made.session, &in.key));
    CHECK_EQUAL(0, in.before_count);
    holder_start(&h, made.cache, in.key.hash);
    CHECK_OK(fc_session_set_timeout(made.session, 2000000));
    CHECK_STATUS(FC_BUSY, fc_set(made.session, &in.key, "v", 1, NULL, NULL));
    CHECK(in.before_count > 0);
    CHECK_EQUAL(in.before_count, in.after_count);
    uint64_t count_before = in.before_count;
    CHECK_STATUS(FC_BUSY, fc_set_many(made.session, &in.key, &write, 1, 0));
    CHECK(in.before_count > count_before);
    CHECK_OK(fc_session_set_timeout(made.session, UINT64_C(60000000000)));
    in.to_stop = &h;
    CHECK_OK(fc_set(made.session, &in.key, "v", 1, NULL, NULL));
    pthread_join(h.thread, NULL);
    CHECK_EQUAL(in.before_count, in.after_count);
    CHECK_OK(fc_session_set_wait_hooks(made.session, NULL, NULL, NULL));
    audit_segment(made.session);
    pthread_mutex_unlock(&in.lock);
    check_close(&made);
}

static void *wait_and_end(void *context)
{
    interpreter *in = context;
    REQUIRE_OK(fc_session_open(in->session->cache, &in->session));
    CHECK_OK(fc_session_set_wait_hooks(in->session, give_up, take_back, in));
    pthread_mutex_lock(&in->lock);
    (void)!fc_set(in->session, &in->key, "v", 1, NULL, NULL);
    CHECK(!"the thread ended in its hook");
    return NULL;
}

/* P2, P12: a thread that ends inside a hook leaves a session that others settle, like that of a killed one. */
static void a_thread_that_ends_in_a_hook_is_settled(void)
{
    fixture made = check_open(2 << 20);
    interpreter in = {.session = made.session, .key = check_key(&made, "k"), .lock = PTHREAD_MUTEX_INITIALIZER, .ends_thread = 1};
    pthread_t thread;
    uint32_t settled_count = 0;
    holder h;
    holder_start(&h, made.cache, in.key.hash);
    REQUIRE(pthread_create(&thread, NULL, wait_and_end, &in) == 0);
    pthread_join(thread, NULL);
    holder_stop(&h);
    CHECK_OK(fc_session_reap(made.session, &settled_count));
    CHECK_EQUAL(1, settled_count);
    CHECK_OK(fc_set(made.session, &in.key, "v", 1, NULL, NULL));
    audit_segment(made.session);
    check_close(&made);
}

/* ------------------------------------------------------------------ counting */

/* Eight threads increment one key: no update is lost (the lock excludes), and every write is counted. */
static void *increment_many(void *context)
{
    const fixture *made = context;
    fc_session *session;
    int64_t value;
    REQUIRE_OK(fc_session_open(made->cache, &session));
    REQUIRE_OK(fc_session_set_timeout(session, UINT64_C(60000000000)));
    fc_key key = check_key(made, "counter");
    for (uint64_t i = 0; i < check_rounds(5000); i++) CHECK_OK(fc_increment(session, &key, 1, &value));
    CHECK_OK(fc_session_close(session));
    return NULL;
}

static void increments_of_eight_threads_all_count(void)
{
    fixture made = check_open(2 << 20);
    pthread_t threads[8];
    char expected[32];
    for (int i = 0; i < 8; i++) REQUIRE(pthread_create(&threads[i], NULL, increment_many, &made) == 0);
    for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
    snprintf(expected, sizeof expected, "%" PRIu64, 8 * check_rounds(5000));
    CHECK(check_holds(&made, "counter", expected));
    CHECK_EQUAL(8 * check_rounds(5000), check_stats(&made).sets);
    audit_segment(made.session);
    check_close(&made);
}

int main(void)
{
    RUN(a_held_home_is_busy_and_its_holder_named);
    RUN(other_homes_are_not_delayed);
    RUN(a_busy_write_of_a_long_value_leaks_nothing);
    RUN(a_waiter_gets_the_lock_when_it_comes_free);
    RUN(a_damaged_owner_word_ends_in_busy);
    RUN(the_lock_of_the_dead_is_free_at_once);
    RUN(hooks_surround_waits_and_nothing_else);
    RUN(a_thread_that_ends_in_a_hook_is_settled);
    RUN(increments_of_eight_threads_all_count);
    return check_report();
}
