/* test_session.c -- the registry of sessions (csrc/memory/session.c): slots, threads, fork, signals (P12). */
#include "audit.h"
#include "memory/liveness.h"
#include "memory/session_pool.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>

static uint32_t sessions_used(const fixture *made)
{
    return check_stats(made).sessions_used;
}

/* A session takes one slot and gives it back; closing NULL is allowed, closing twice says so. */
static void a_session_takes_one_slot_and_gives_it_back(void)
{
    fixture made = check_open(1 << 20);
    fc_session *session;
    CHECK_EQUAL(1, sessions_used(&made));
    CHECK_OK(fc_session_open(made.cache, &session));
    CHECK_EQUAL(2, sessions_used(&made));
    CHECK_OK(fc_session_close(session));
    CHECK_EQUAL(1, sessions_used(&made));
    CHECK_STATUS(FC_CLOSED, fc_session_close(session));
    CHECK_OK(fc_session_close(NULL));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_session_open(NULL, &session));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_session_open(made.cache, NULL));
    check_close(&made);
}

/* Every door refuses a closed session, and NULL, by name. */
static void a_closed_session_is_refused_everywhere(void)
{
    fixture made = check_open(1 << 20);
    fc_key key = check_key(&made, "k");
    fc_session *closed, *sessions[2] = {NULL, NULL};
    REQUIRE_OK(fc_session_open(made.cache, &closed));
    CHECK_OK(fc_session_close(closed));
    sessions[1] = closed;
    static const fc_status expected[2] = {FC_INVALID_ARGUMENT, FC_CLOSED};
    for (int i = 0; i < 2; i++) {
        fc_session *s = sessions[i];
        fc_status e = expected[i];
        char buffer[64], text[FC_FLOAT_TEXT_BYTES];
        uint64_t n = 0;
        int64_t number;
        uint32_t u;
        fc_entry entry;
        fc_read read = {buffer, sizeof buffer, 0, 0, 0, 0, 0};
        fc_write write = {"v", 1, 0, 0};
        fc_stats stats;
        CHECK_STATUS(e, fc_get(s, &key, buffer, sizeof buffer, &n));
        CHECK_STATUS(e, fc_get_entry(s, &key, buffer, sizeof buffer, &entry));
        CHECK_STATUS(e, fc_get_range(s, &key, 0, -1, buffer, sizeof buffer, &n));
        CHECK_STATUS(e, fc_exists(s, &key));
        CHECK_STATUS(e, fc_type(s, &key, &u));
        CHECK_STATUS(e, fc_expires(s, &key, &n));
        CHECK_STATUS(e, fc_get_many(s, &key, &read, 1));
        CHECK_STATUS(e, fc_get_cut(s, &key, &read, 1));
        CHECK_STATUS(e, fc_set(s, &key, "v", 1, NULL, NULL));
        CHECK_STATUS(e, fc_delete(s, &key));
        CHECK_STATUS(e, fc_get_delete(s, &key, buffer, sizeof buffer, &n));
        CHECK_STATUS(e, fc_increment(s, &key, 1, &number));
        CHECK_STATUS(e, fc_increment_float(s, &key, 1, text, sizeof text));
        CHECK_STATUS(e, fc_append(s, &key, "v", 1, &n));
        CHECK_STATUS(e, fc_set_range(s, &key, 0, "v", 1, &n));
        CHECK_STATUS(e, fc_expire(s, &key, 5, 0));
        CHECK_STATUS(e, fc_persist(s, &key));
        CHECK_STATUS(e, fc_touch(s, &key));
        fc_key other = check_key(&made, "o");
        CHECK_STATUS(e, fc_rename(s, &key, &other, 0));
        CHECK_STATUS(e, fc_rename(s, &key, &key, 0));
        CHECK_STATUS(e, fc_copy(s, &key, &other, 0));
        CHECK_STATUS(e, fc_set_many(s, &key, &write, 1, 0));
        CHECK_STATUS(e, fc_flush(s, 0));
        CHECK_STATUS(e, fc_flush_all(s));
        CHECK_STATUS(e, fc_count(s, 0, &n));
        CHECK_STATUS(e, fc_random_key(s, 0, buffer, sizeof buffer, &n));
        CHECK_STATUS(e, fc_scan(s, 0, &n, 1, check_delete_visited, NULL));
        CHECK_STATUS(e, fc_schema_register(s, "x", 1, &n));
        CHECK_STATUS(e, fc_schema_text(s, 1, buffer, sizeof buffer, &n));
        CHECK_STATUS(e, fc_session_stats(s, &stats));
        CHECK_STATUS(e, fc_session_set_timeout(s, 1));
        CHECK_STATUS(e, fc_session_reap(s, &u));
    }
    CHECK(check_holds(&made, "k", NULL));
    check_close(&made);
}

/* Slots run out at sessions_max exactly, with a name for it; one that comes free can be had. */
static void slots_run_out_at_sessions_max(void)
{
    fixture made = check_open(1 << 20);
    fc_session *sessions[16], *extra;
    for (int i = 1; i < 16; i++) REQUIRE_OK(fc_session_open(made.cache, &sessions[i]));
    for (int round = 0; round < 3; round++) {
        CHECK_STATUS(FC_SESSIONS_FULL, fc_session_open(made.cache, &extra));
        CHECK(strstr(fc_error_detail(FC_SESSIONS_FULL), "16") != NULL);
        CHECK_EQUAL(16, sessions_used(&made));
        CHECK_OK(fc_session_close(sessions[7]));
        CHECK_OK(fc_session_open(made.cache, &sessions[7]));
    }
    for (int i = 1; i < 16; i++) CHECK_OK(fc_session_close(sessions[i]));
    check_close(&made);
}

/* Opens `count` sessions in a child that is then killed. */
static void kill_a_child_with_sessions(const fixture *made, int count, int write_something)
{
    int ready[2];
    char byte;
    REQUIRE(pipe(ready) == 0);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < count; i++) {
            fc_session *session;
            fc_key key = check_key(made, "by child");
            if (fc_session_open(made->cache, &session) != FC_OK) _exit(1);
            if (write_something && fc_set(session, &key, "v", 1, NULL, NULL) != FC_OK) _exit(1);
        }
        (void)!write(ready[1], "x", 1);
        for (;;) pause();
    }
    close(ready[1]);
    CHECK(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* P2: the slots of the dead are reused, also when no slot at all is free to look for them from. */
static void slots_of_the_dead_are_reused(void)
{
    fixture made = check_open(1 << 20);
    for (int round = 0; round < 3; round++) {
        kill_a_child_with_sessions(&made, 15, round % 2);
        CHECK_EQUAL(16, sessions_used(&made));
        fc_session *sessions[15], *extra;
        for (int i = 0; i < 15; i++) REQUIRE_OK(fc_session_open(made.cache, &sessions[i]));
        CHECK_STATUS(FC_SESSIONS_FULL, fc_session_open(made.cache, &extra));
        for (int i = 0; i < 15; i++) CHECK_OK(fc_session_close(sessions[i]));
    }
    CHECK_EQUAL(45, check_stats(&made).recoveries);
    audit_segment(made.session);
    check_close(&made);
}

/* Reaping settles every dead session and counts them; the living stay. */
static void reaping_settles_the_dead(void)
{
    fixture made = check_open(1 << 20);
    uint32_t settled = 99;
    CHECK_OK(fc_session_reap(made.session, &settled));
    CHECK_EQUAL(0, settled);
    kill_a_child_with_sessions(&made, 5, 1);
    CHECK_EQUAL(6, sessions_used(&made));
    CHECK_OK(fc_session_reap(made.session, &settled));
    CHECK_EQUAL(5, settled);
    CHECK_EQUAL(1, sessions_used(&made));
    CHECK_OK(fc_session_reap(made.session, NULL));
    check_close(&made);
}

static int32_t note_session(void *context, const fc_session_info *info)
{
    fc_session_info *to = context;
    to[info->slot] = *info;
    return 0;
}

static int32_t stop_at_once(void *context, const fc_session_info *info)
{
    (void)info;
    ++*(int *)context;
    return 1;
}

/* The list shows who holds each slot, whether it lives, and its own counters. */
static void the_list_shows_who_and_whether_alive(void)
{
    fixture made = check_open(1 << 20);
    fc_session_info seen[20] = {{.slot = 99}};
    CHECK_OK(check_set(&made, "k", "v"));
    CHECK(check_holds(&made, "k", "v"));
    CHECK_OK(fc_session_list(made.cache, note_session, seen));
    CHECK_EQUAL(0, seen[0].slot);
    CHECK_EQUAL(getpid(), seen[0].pid);
    CHECK_EQUAL(syscall(SYS_gettid), seen[0].tid);
    CHECK_EQUAL(1, seen[0].live);
    CHECK_EQUAL(1, seen[0].gets);
    CHECK_EQUAL(1, seen[0].sets);
    CHECK(seen[0].magazine_bytes > 0 && seen[0].opened_unix_ns > 0);
    kill_a_child_with_sessions(&made, 1, 0);
    CHECK_OK(fc_session_list(made.cache, note_session, seen));
    CHECK_EQUAL(0, seen[1].live);
    CHECK(seen[1].pid != getpid() && seen[1].pid > 0);
    int visits = 0;
    CHECK_OK(fc_session_list(made.cache, stop_at_once, &visits));
    CHECK_EQUAL(1, visits);
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_session_list(made.cache, NULL, NULL));
    check_close(&made);
}

/* ------------------------------------------------------------------ threads */

static void *use_of_another(void *context)
{
    fixture *made = context;
    fc_key key = check_key(made, "k");
    char buffer[8];
    uint64_t n;
    CHECK_STATUS(FC_WRONG_THREAD, fc_get(made->session, &key, buffer, sizeof buffer, &n));
    CHECK_STATUS(FC_WRONG_THREAD, fc_set(made->session, &key, "x", 1, NULL, NULL));
    CHECK_STATUS(FC_WRONG_THREAD, fc_session_close(made->session));
    return NULL;
}

/* P12: a session works in the thread that opened it and nowhere else. */
static void another_thread_is_refused(void)
{
    fixture made = check_open(1 << 20);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, use_of_another, &made) == 0);
    pthread_join(thread, NULL);
    CHECK_OK(check_set(&made, "k", "v"));
    check_close(&made);
}

static void *leave_sessions_open(void *context)
{
    fixture *made = context;
    fc_session *sessions[3];
    fc_key key = check_key(made, "of a thread");
    for (int i = 0; i < 3; i++) {
        CHECK_OK(fc_session_open(made->cache, &sessions[i]));
        CHECK_OK(fc_set(sessions[i], &key, "v", 1, NULL, NULL));
    }
    CHECK_OK(fc_session_close(sessions[1]));
    return NULL;
}

/* P12: a thread that ends closes its sessions; nothing has to be settled, and blocks are back. */
static void a_thread_that_ends_closes_its_sessions(void)
{
    fixture made = check_open(1 << 20);
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, leave_sessions_open, &made) == 0);
        pthread_join(thread, NULL);
        CHECK_EQUAL(1, sessions_used(&made));
    }
    CHECK_EQUAL(0, check_stats(&made).recoveries);
    CHECK_EQUAL(0, check_stats(&made).magazine_bytes);
    audit_segment(made.session);
    check_close(&made);
}

typedef struct waiting_thread {
    fc_cache *cache;
    pthread_barrier_t opened, leave;
} waiting_thread;

static void *wait_with_session(void *context)
{
    waiting_thread *w = context;
    fc_session *session;
    REQUIRE_OK(fc_session_open(w->cache, &session));
    pthread_barrier_wait(&w->opened);
    pthread_barrier_wait(&w->leave);
    return NULL;
}

/* A mapping stays while another thread has a session on it; then it closes this thread's own sessions with itself. */
static void a_cache_is_not_closed_under_other_threads(void)
{
    fixture made = check_open(1 << 20);
    waiting_thread w = {.cache = made.cache};
    pthread_t thread;
    pthread_barrier_init(&w.opened, NULL, 2);
    pthread_barrier_init(&w.leave, NULL, 2);
    REQUIRE(pthread_create(&thread, NULL, wait_with_session, &w) == 0);
    pthread_barrier_wait(&w.opened);
    CHECK_STATUS(FC_BUSY, fc_cache_close(made.cache));
    CHECK_OK(check_set(&made, "k", "v"));
    pthread_barrier_wait(&w.leave);
    pthread_join(thread, NULL);
    CHECK_OK(fc_cache_close(made.cache)); /* made.session is still open */
    fc_cache *again;
    REQUIRE_OK(fc_cache_attach(made.name, NULL, &again));
    fc_stats stats;
    CHECK_OK(fc_cache_stats(again, &stats));
    CHECK_EQUAL(0, stats.sessions_used);
    CHECK_EQUAL(0, stats.recoveries);
    CHECK_OK(fc_cache_close(again));
    CHECK_OK(fc_cache_unlink(made.name));
}

/* Many opens and closes of one thread do not use memory up: handles of closed sessions are kept for a while, then reused. */
static void opening_and_closing_does_not_grow(void)
{
    fixture made = check_open(1 << 20);
    fc_session *session;
    for (uint64_t i = 0; i < 1000; i++) {
        REQUIRE_OK(fc_session_open(made.cache, &session));
        REQUIRE_OK(fc_session_close(session));
        CHECK_STATUS(FC_CLOSED, fc_session_close(session));
    }
    unsigned nodes = 0;
    for (const fc_session_node *node = fc_session_pool_first(made.cache); node != NULL; node = node->next) nodes++;
    CHECK(nodes < 200);
    check_close(&made);
}

static void *open_and_close_much(void *context)
{
    fixture *made = context;
    for (uint64_t i = 0; i < check_rounds(300); i++) {
        fc_session *session;
        fc_key key = check_key(made, "k");
        fc_status status = fc_session_open(made->cache, &session);
        if (!CHECK_OK(status)) continue;
        CHECK_OK(fc_set(session, &key, "v", 1, NULL, NULL));
        CHECK_OK(fc_session_close(session));
    }
    return NULL;
}

/* Threads that open and close at once never share a slot and leave none behind. */
static void opening_at_once_is_safe(void)
{
    fixture made = check_open(1 << 20);
    pthread_t threads[6];
    for (int i = 0; i < 6; i++) REQUIRE(pthread_create(&threads[i], NULL, open_and_close_much, &made) == 0);
    for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);
    CHECK_EQUAL(1, sessions_used(&made));
    audit_segment(made.session);
    check_close(&made);
}

/* ------------------------------------------------------------------ fork and its relatives */

/* What a child may and may not do with what it inherited. */
static void use_inheritance(const fixture *made)
{
    fc_key key = check_key(made, "k");
    char buffer[8];
    uint64_t n;
    CHECK_STATUS(FC_FORKED, fc_get(made->session, &key, buffer, sizeof buffer, &n));
    CHECK_STATUS(FC_FORKED, fc_set(made->session, &key, "x", 1, NULL, NULL));
    CHECK_STATUS(FC_FORKED, fc_session_close(made->session));
    CHECK_STATUS(FC_FORKED, fc_session_reap(made->session, NULL));
    fixture own = *made;
    CHECK_OK(fc_session_open(made->cache, &own.session));
    CHECK(own.session->slot_index != 0);
    CHECK(check_holds(&own, "k", "v"));
    CHECK_OK(check_set(&own, "child", "c"));
    CHECK_OK(fc_session_close(own.session));
    CHECK_OK(fc_cache_close(own.cache));
}

/* P12: a child of fork gets FC_FORKED from the parent's session and may open its own; the parent's session is untouched. */
static void a_forked_child_opens_its_own(void)
{
    fixture made = check_open(1 << 20);
    CHECK_OK(check_set(&made, "k", "v"));
    pid_t child = fork();
    if (child == 0) {
        use_inheritance(&made);
        CHILD_EXIT();
    }
    CHECK(check_child_ok(child));
    CHECK(check_holds(&made, "child", "c"));
    CHECK_OK(check_set(&made, "k", "w"));
    CHECK_EQUAL(1, sessions_used(&made));
    audit_segment(made.session);
    check_close(&made);
}

/* P12: the same for a child of the bare clone() system call, which runs no atfork handlers. */
static void a_cloned_child_opens_its_own(void)
{
#if defined(__SANITIZE_THREAD__)
    SKIP("the thread sanitizer does not survive a bare clone()");
#else
    fixture made = check_open(1 << 20);
    CHECK_OK(check_set(&made, "k", "v"));
    pid_t child = (pid_t)syscall(SYS_clone, (unsigned long)SIGCHLD, 0, 0, 0, 0);
    if (child == 0) {
        use_inheritance(&made);
        CHILD_EXIT();
    }
    CHECK(check_child_ok(child));
    CHECK_OK(check_set(&made, "k", "w"));
    check_close(&made);
#endif
}

/* P12: a child of vfork, which runs in the parent's memory and then ends, leaves the parent's session as it was. */
static void a_vfork_child_leaves_the_session_alone(void)
{
    fixture made = check_open(1 << 20);
    CHECK_OK(check_set(&made, "k", "v"));
    for (int i = 0; i < 10; i++) {
        pid_t child = vfork();
        if (child == 0) {
            execl("/bin/true", "true", (char *)NULL);
            _exit(1);
        }
        CHECK(check_child_ok(child));
        CHECK(check_holds(&made, "k", "v"));
        CHECK_OK(check_set(&made, "k", "v"));
        CHECK(!fc_liveness_has_died(made.cache, made.session->slot_index));
    }
    check_close(&made);
}

/* P12: a child forked in the middle of a write (the session says "writing") is refused like any other, and the write goes on. */
static void a_fork_in_the_middle_of_a_write_is_harmless(void)
{
    fixture made = check_open(1 << 20);
    CHECK_OK(check_set(&made, "k", "v"));
    CHECK_OK(fc_session_enter_write(made.session));
    pid_t child = fork();
    if (child == 0) {
        use_inheritance(&made);
        CHILD_EXIT();
    }
    CHECK(check_child_ok(child));
    fc_session_leave_write(made.session);
    CHECK_OK(check_set(&made, "k", "w"));
    check_close(&made);
}

/* ------------------------------------------------------------------ signals */

static const fixture *of_handler;
static volatile sig_atomic_t handler_runs, handler_refused, handler_wrong;

/* P12: a handler that interrupts a write may read but not write through the same session; between writes it may do both. */
static void a_handler_inside_a_write_may_only_read(void)
{
    fixture made = check_open(1 << 20);
    fc_key key = check_key(&made, "k");
    char buffer[8];
    uint64_t n;
    CHECK_OK(check_set(&made, "k", "v"));
    CHECK_OK(fc_session_enter_write(made.session));
    CHECK_STATUS(FC_REENTERED, fc_set(made.session, &key, "x", 1, NULL, NULL));
    CHECK_STATUS(FC_REENTERED, fc_delete(made.session, &key));
    CHECK_STATUS(FC_REENTERED, fc_flush(made.session, 0));
    CHECK_STATUS(FC_REENTERED, fc_session_close(made.session));
    CHECK_STATUS(FC_REENTERED, fc_session_reap(made.session, NULL));
    CHECK_OK(fc_get(made.session, &key, buffer, sizeof buffer, &n));
    CHECK_OK(fc_exists(made.session, &key));
    fc_session_leave_write(made.session);
    CHECK_OK(fc_set(made.session, &key, "x", 1, NULL, NULL));
    check_close(&made);
}

static void read_and_write_in_handler(int signal_number)
{
    char buffer[512];
    uint64_t n = 0;
    fc_key key, other;
    (void)signal_number;
    handler_runs++;
    (void)!fc_key_init(of_handler->cache, 0, "k", 1, &key);
    fc_status status = fc_get(of_handler->session, &key, buffer, sizeof buffer, &n);
    if ((status != FC_OK && status != FC_BUFFER_SMALL) || n < 1) handler_wrong++;
    (void)!fc_key_init(of_handler->cache, 0, "handler", 7, &other);
    status = fc_set(of_handler->session, &other, "h", 1, NULL, NULL);
    if (status == FC_REENTERED) handler_refused++;
    else if (status != FC_OK) handler_wrong++;
}

/* P12: under a timer that interrupts anywhere, values stay whole and memory accounted for, long values included. */
static void a_timer_may_interrupt_anywhere(void)
{
    fixture made = check_open(4 << 20);
    fc_key key = check_key(&made, "k");
    static char value[80000];
    of_handler = &made;
    handler_runs = handler_refused = handler_wrong = 0;
    REQUIRE_OK(fc_set(made.session, &key, "v", 1, NULL, NULL));
    struct sigaction action = {.sa_handler = read_and_write_in_handler};
    sigaction(SIGUSR1, &action, NULL);
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    struct itimerspec period = {{0, 100000}, {0, 100000}};
    timer_settime(timer, 0, &period, NULL);
    uint64_t seed = 5;
    for (uint64_t i = 0; i < check_rounds(20000) || handler_refused < 5; i++) {
        uint64_t bytes = check_random(&seed) % 8 == 0 ? 40000 + check_random(&seed) % 40000 : 1 + check_random(&seed) % 300;
        CHECK_OK(fc_set(made.session, &key, value, bytes, NULL, NULL));
        if (i > 2000000) break;
    }
    timer_delete(timer);
    signal(SIGUSR1, SIG_IGN);
    CHECK(handler_runs > 0 && handler_refused > 0);
    CHECK_EQUAL(0, handler_wrong);
    check_delete_all(&made);
    audit_empty(made.session);
    check_close(&made);
}

/* ------------------------------------------------------------------ numbers that never come twice */

/* V1: stamps are unique for ever: over sessions, reopened slots, and a counter that is used up. */
static void versions_never_come_twice(void)
{
    fixture made = check_open(1 << 20);
    fc_key key = check_key(&made, "k");
    fc_set_result result;
    uint64_t before = 0;
    for (int i = 0; i < 50; i++) {
        CHECK_OK(fc_set(made.session, &key, "v", 1, NULL, &result));
        CHECK(result.version > before);
        before = result.version;
        if (i % 10 == 9) {
            CHECK_OK(fc_session_close(made.session));
            REQUIRE_OK(fc_session_open(made.cache, &made.session));
        }
        if (i == 25) made.session->stamp_next |= (UINT64_C(1) << FC_STAMP_COUNTER_BITS) - 2;
    }
    check_close(&made);
}

/* When the last serial is gone, opening and writing say FC_EXHAUSTED; reading goes on. */
static void the_last_serial_is_the_end(void)
{
    fixture made = check_open(1 << 20);
    CHECK_OK(check_set(&made, "k", "v"));
    fc_header_of(made.cache)->serial_next = FC_STAMP_SERIAL_MAX + 1;
    fc_session *other;
    CHECK_STATUS(FC_EXHAUSTED, fc_session_open(made.cache, &other));
    CHECK_EQUAL(1, sessions_used(&made));
    CHECK_OK(check_set(&made, "k", "w"));
    made.session->stamp_next |= (UINT64_C(1) << FC_STAMP_COUNTER_BITS) - 1;
    CHECK_STATUS(FC_EXHAUSTED, check_set(&made, "k", "x"));
    CHECK(check_holds(&made, "k", "w"));
    audit_segment(made.session);
    check_close(&made);
}

int main(void)
{
    RUN(a_session_takes_one_slot_and_gives_it_back);
    RUN(a_closed_session_is_refused_everywhere);
    RUN(slots_run_out_at_sessions_max);
    RUN(slots_of_the_dead_are_reused);
    RUN(reaping_settles_the_dead);
    RUN(the_list_shows_who_and_whether_alive);
    RUN(another_thread_is_refused);
    RUN(a_thread_that_ends_closes_its_sessions);
    RUN(a_cache_is_not_closed_under_other_threads);
    RUN(opening_and_closing_does_not_grow);
    RUN(opening_at_once_is_safe);
    RUN(a_forked_child_opens_its_own);
    RUN(a_cloned_child_opens_its_own);
    RUN(a_vfork_child_leaves_the_session_alone);
    RUN(a_fork_in_the_middle_of_a_write_is_harmless);
    RUN(a_handler_inside_a_write_may_only_read);
    RUN(a_timer_may_interrupt_anywhere);
    RUN(versions_never_come_twice);
    RUN(the_last_serial_is_the_end);
    return check_report();
}
