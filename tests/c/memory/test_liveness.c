/* test_liveness.c -- the evidence of death (csrc/memory/liveness.c), each kind by a death of that kind. */
#include "audit.h"
#include "memory/liveness.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* What the child tells its parent through a page they share. */
typedef struct report {
    uint32_t slot_index;
    uint64_t incarnation;
} report;

static report *new_report(void)
{
    report *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(page != MAP_FAILED);
    return page;
}

static void open_and_report(fc_cache *cache, report *to)
{
    fc_session *session;
    REQUIRE_OK(fc_session_open(cache, &session));
    *to = (report){session->slot_index, session->slot->incarnation};
}

/* Two pipes: the child says it is ready; the parent says go on. */
typedef struct rendezvous { int ready[2], go[2]; } rendezvous;

static rendezvous meet(void)
{
    rendezvous r;
    REQUIRE(pipe(r.ready) == 0 && pipe(r.go) == 0);
    return r;
}

static void say(int file) { REQUIRE(write(file, "x", 1) == 1); }
static void hear(int file)
{
    char byte;
    REQUIRE(read(file, &byte, 1) == 1);
}

static void part(rendezvous *r)
{
    for (int i = 0; i < 2; i++) {
        close(r->ready[i]);
        close(r->go[i]);
    }
}

/* The identity names this thread and is stable; another thread has another one. */
static void *identity_of_thread(void *to)
{
    *(uint64_t *)to = fc_liveness_identity();
    return NULL;
}

static void an_identity_names_one_thread(void)
{
    uint64_t mine = fc_liveness_identity(), other = 0;
    pthread_t thread;
    CHECK(mine != 0);
    CHECK_EQUAL(mine, fc_liveness_identity());
    CHECK_EQUAL((uint64_t)syscall(SYS_gettid), mine & ((1 << 22) - 1));
    REQUIRE(pthread_create(&thread, NULL, identity_of_thread, &other) == 0);
    pthread_join(thread, NULL);
    CHECK(other != 0 && other != mine);
    CHECK(fc_liveness_namespace() != 0);
}

/* A living session is alive, in its own process and seen from another one, and with /proc or the kernel lock alone. */
static void the_living_are_alive(void)
{
    fixture made = check_open(1 << 20);
    CHECK(!fc_liveness_has_died(made.cache, made.session->slot_index));
    pid_t child = fork();
    if (child == 0) {
        fc_cache *again;
        REQUIRE_OK(fc_cache_attach(made.name, NULL, &again));
        CHECK(!fc_liveness_has_died(again, 0));
        again->pid_namespace = 1; /* as if from another namespace: only the lock counts */
        CHECK(!fc_liveness_has_died(again, 0));
        CHILD_EXIT();
    }
    CHECK(check_child_ok(child));
    CHECK(!fc_liveness_has_died(made.cache, 9)); /* nobody there */
    check_close(&made);
}

enum death { BY_EXIT, BY_KILL, AS_ZOMBIE, BY_ABORT };

/* P2: a process that exited, was killed, or is a zombie nobody has waited for is dead; and not a moment before. */
static void the_death_of_a_process_is_seen(void)
{
    for (int how = BY_EXIT; how <= BY_ABORT; how++) {
        fixture made = check_open(1 << 20);
        report *said = new_report();
        rendezvous r = meet();
        pid_t child = fork();
        if (child == 0) {
            signal(SIGABRT, SIG_DFL);
            open_and_report(made.cache, said);
            say(r.ready[1]);
            hear(r.go[0]);
            if (how == BY_ABORT) abort();
            _exit(0);
        }
        hear(r.ready[0]);
        CHECK(!fc_liveness_has_died(made.cache, said->slot_index));
        if (how == BY_KILL) kill(child, SIGKILL);
        else say(r.go[1]);
        siginfo_t info;
        CHECK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0); /* it is a zombie now */
        CHECK(fc_liveness_has_died(made.cache, said->slot_index));
        waitpid(child, NULL, 0);
        CHECK(fc_liveness_has_died(made.cache, said->slot_index));
        part(&r);
        munmap(said, 4096);
        check_close(&made);
    }
}

/* P13: a stopped process is alive, however long. */
static void the_stopped_are_alive(void)
{
    fixture made = check_open(1 << 20);
    report *said = new_report();
    rendezvous r = meet();
    pid_t child = fork();
    if (child == 0) {
        open_and_report(made.cache, said);
        say(r.ready[1]);
        hear(r.go[0]);
        _exit(0);
    }
    hear(r.ready[0]);
    kill(child, SIGSTOP);
    waitpid(child, NULL, WUNTRACED);
    CHECK(!fc_liveness_has_died(made.cache, said->slot_index));
    made.cache->pid_namespace = 1;
    CHECK(!fc_liveness_has_died(made.cache, said->slot_index));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    CHECK(fc_liveness_has_died(made.cache, said->slot_index)); /* by the lock alone */
    part(&r);
    munmap(said, 4096);
    check_close(&made);
}

/* P12: exec keeps pid and start time, but the kernel lock goes with the mapping: the session is dead though the process lives. */
static void a_session_ends_with_exec(void)
{
    fixture made = check_open(1 << 20);
    report *said = new_report();
    rendezvous r = meet();
    pid_t child = fork();
    if (child == 0) {
        open_and_report(made.cache, said);
        dup2(r.go[0], 0);
        dup2(r.ready[1], 1);
        execl("/bin/sh", "sh", "-c", "echo; read line", (char *)NULL);
        _exit(9);
    }
    hear(r.ready[0]); /* sh runs */
    CHECK(kill(child, 0) == 0);
    CHECK(fc_liveness_has_died(made.cache, said->slot_index));
    uint32_t settled = 0;
    CHECK_OK(fc_session_reap(made.session, &settled));
    CHECK_EQUAL(1, settled);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    part(&r);
    munmap(said, 4096);
    check_close(&made);
}

static void *tid_of_thread(void *to)
{
    *(pid_t *)to = (pid_t)syscall(SYS_gettid);
    return NULL;
}

/* A thread that ended is dead while its process lives on, and so is one whose number was given to another. */
static void the_death_of_a_thread_is_seen(void)
{
    /* The slot is filled by hand: a thread of pthreads that ends closes its sessions. */
    fixture made = check_open(1 << 20);
    pthread_t ended;
    pid_t thread = 0;
    REQUIRE(pthread_create(&ended, NULL, tid_of_thread, &thread) == 0);
    pthread_join(ended, NULL);
    fc_slot *slot = fc_slot_at(made.cache, 5);
    uint64_t start_time = made.session->slot->identity >> 22;
    void *lock_page;
    REQUIRE_OK(fc_liveness_lock(made.cache, 5, &lock_page)); /* the kernel lock is still there, as the process lives */
    slot->pid = (uint32_t)getpid();
    slot->pid_namespace = made.cache->pid_namespace;
    slot->identity = (uint64_t)thread | start_time << 22;
    CHECK(fc_liveness_has_died(made.cache, 5));
    slot->identity = (uint64_t)getpid() | start_time << 22;
    CHECK(!fc_liveness_has_died(made.cache, 5));
    slot->identity = (uint64_t)getpid() | (start_time - 1) << 22; /* the number was given to another process since */
    CHECK(fc_liveness_has_died(made.cache, 5));
    slot->identity = 0;
    fc_liveness_unlock(lock_page);
    check_close(&made);
}

/* A session in another PID namespace is alive by its kernel lock, and dead without it. */
static void another_pid_namespace_is_told_by_the_lock(void)
{
    fixture made = check_open(1 << 20);
    report *said = new_report();
    rendezvous r = meet();
    pid_t child = fork();
    if (child == 0) {
        if (unshare(CLONE_NEWPID) != 0) {
            said->incarnation = UINT64_MAX;
            say(r.ready[1]);
            _exit(0);
        }
        pid_t grandchild = fork();
        if (grandchild == 0) {
            fc_cache *cache;
            REQUIRE_OK(fc_cache_attach(made.name, NULL, &cache));
            open_and_report(cache, said);
            say(r.ready[1]);
            hear(r.go[0]);
            _exit(0); /* without closing */
        }
        _exit(check_child_ok(grandchild) ? 0 : 1);
    }
    hear(r.ready[0]);
    if (said->incarnation == UINT64_MAX) {
        SKIP("unshare(CLONE_NEWPID) is not permitted");
        waitpid(child, NULL, 0);
    } else {
        CHECK(!fc_liveness_has_died(made.cache, said->slot_index));
        say(r.go[1]);
        CHECK(check_child_ok(child));
        CHECK(fc_liveness_has_died(made.cache, said->slot_index));
        uint32_t settled = 0;
        CHECK_OK(fc_session_reap(made.session, &settled));
        CHECK_EQUAL(1, settled);
    }
    part(&r);
    munmap(said, 4096);
    check_close(&made);
}

/* The kernel lock is one per slot, is not inherited by fork, and survives close_range in its holder. */
static void the_kernel_lock_hangs_on_the_mapping(void)
{
    fixture made = check_open(1 << 20);
    void *page, *again;
    REQUIRE_OK(fc_liveness_lock(made.cache, 7, &page));
    CHECK_STATUS(FC_BUSY, fc_liveness_lock(made.cache, 7, &again));
    fc_slot *slot = fc_slot_at(made.cache, 7);
    slot->identity = 1;
    CHECK(!fc_liveness_has_died(made.cache, 7));
    pid_t child = fork();
    if (child == 0) {
        close_range(3, ~0u, 0);
        CHECK(!fc_liveness_has_died(made.cache, 7)); /* the parent holds it */
        CHILD_EXIT();
    }
    CHECK(check_child_ok(child));
    CHECK(!fc_liveness_has_died(made.cache, 7)); /* the child's end did not take it away */
    rendezvous r = meet();
    child = fork();
    if (child == 0) {
        hear(r.go[0]);
        _exit(0);
    }
    fc_liveness_unlock(page);
    CHECK(fc_liveness_has_died(made.cache, 7)); /* the living child did not inherit it */
    say(r.go[1]);
    CHECK(check_child_ok(child));
    part(&r);
    slot->identity = 0;
    check_close(&made);
}

/* Without its lock file a session is not called dead for the lack of a lock. */
static void without_the_lock_file_nobody_is_called_dead(void)
{
    fixture made = check_open(1 << 20);
    CHECK_OK(fc_cache_unlink(made.name));
    CHECK(!fc_liveness_has_died(made.cache, made.session->slot_index));
    void *page;
    CHECK_STATUS(FC_SEGMENT_RETIRED, fc_liveness_lock(made.cache, 3, &page));
    CHECK_OK(fc_session_close(made.session));
    CHECK_OK(fc_cache_close(made.cache));
}

typedef struct opener {
    fc_cache *cache;
    uint32_t stop;
} opener;

static void *open_for_ever(void *context)
{
    opener *o = context;
    fc_session *session;
    while (!__atomic_load_n(&o->stop, __ATOMIC_ACQUIRE)) {
        REQUIRE_OK(fc_session_open(o->cache, &session));
        CHECK_OK(fc_session_close(session));
    }
    return NULL;
}

/* 1 if a descriptor of this process carries a lock. No allocation: for a child of a process with threads. */
static int has_lock(void)
{
    char path[40], text[2048];
    for (int file = 3; file < 64; file++) {
        snprintf(path, sizeof path, "/proc/self/fdinfo/%d", file);
        int info = open(path, O_RDONLY | O_CLOEXEC);
        if (info < 0) continue;
        ssize_t length = read(info, text, sizeof text - 1);
        close(info);
        text[length > 0 ? length : 0] = '\0';
        if (strstr(text, "lock:") != NULL) return 1;
    }
    return 0;
}

/* P12: a child that is forked while another thread opens a session does not get that session's kernel lock with it. */
static void no_child_inherits_a_kernel_lock(void)
{
    fixture made = check_open(1 << 20);
    opener o = {.cache = made.cache};
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, open_for_ever, &o) == 0);
    for (uint64_t i = 0; i < check_rounds(300); i++) {
        pid_t child = fork();
        if (child == 0) _exit(has_lock());
        CHECK(check_child_ok(child));
    }
    __atomic_store_n(&o.stop, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    check_close(&made);
}

int main(void)
{
    RUN(no_child_inherits_a_kernel_lock);
    RUN(an_identity_names_one_thread);
    RUN(the_living_are_alive);
    RUN(the_death_of_a_process_is_seen);
    RUN(the_stopped_are_alive);
    RUN(a_session_ends_with_exec);
    RUN(the_death_of_a_thread_is_seen);
    RUN(another_pid_namespace_is_told_by_the_lock);
    RUN(the_kernel_lock_hangs_on_the_mapping);
    RUN(without_the_lock_file_nobody_is_called_dead);
    return check_report();
}
