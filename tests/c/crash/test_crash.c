/* test_crash.c -- the systematic crash test: every operation, killed or stopped at its every store to shared memory.
 *
 *   test_crash                      every op; of those with many stores, only some of these: the report says how many
 *   FC_QUICK=1 test_crash           a tenth of these, for sanitizers and emulation
 *   FC_SOAK=1 test_crash            every store of every op, and settling after 100 deaths of each: hours
 *   test_crash --op NAME [--first M [--second S]] [--at N] [--way WAY]
 *                                   as a failure names itself: a session died at store M of the op, a settler at store S of settling it
 *
 * Ways         die       killed at store n; the survivor, which was there before, looks, writes and settles
 *              fresh     the same, by a process that attaches afterwards
 *              stop      stopped at store n; the survivor reads and writes; then the op is finished
 *              stop-kill stopped, then killed: the first write of the key is timed from the kill
 *              stop-next stopped, goes on after the survivor's writes, and is killed at the store after
 * Settling     for some deaths m of each op, a second process settles and dies at store n, and the survivor settles both; and for one n of
 *              these, a third process settles and dies, too.
 * Points       a profile run notes before which stores the metadata (all but the pages) changes; stores far from such ones go into
 *              payload, where one point is like the next: few of them are tried.
 */
#include "crash_harness.h"

#include "base/clock.h"
#include "base/hash.h"
#include "memory/liveness.h"
#include "memory/page.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define POINTS_MAX 60000u
#define POINTS_NEAR 2u
#define POINTS_OF_PAYLOAD 12u
/* Points of one op, of one settling, and how many deaths of an op are settled: with FC_QUICK (where every instruction is slow), without,
 * and with FC_SOAK, where all stores of an op are tried; two levels of everything would be days. */
typedef struct crash_bounds {
    uint64_t points_of_op;
    uint64_t points_of_settling;
    uint64_t deaths_settled;
} crash_bounds;
static const crash_bounds quick_bounds = {10, 4, 1}, usual_bounds = {130, 24, 5}, soak_bounds = {POINTS_MAX, 200, 100};
static crash_bounds bounds;
#define WAYS_SPREAD 4u
#define OP_SECONDS_MAX 240u
/* The child's exit status when the op got no memory, because the survivor took it while the child was stopped. */
#define CHILD_REFUSED 42

enum way { WAY_DIE, WAY_FRESH, WAY_STOP, WAY_STOP_KILL, WAY_STOP_NEXT, WAY_COUNT };
static const char *const way_names[WAY_COUNT] = {"die", "fresh", "stop", "stop-kill", "stop-next"};

/* The stores of one run: a hash of all metadata before each. */
typedef struct profile {
    uint64_t count;
    uint64_t hashes[POINTS_MAX + 2];
} profile;

static profile *profiled;
static crash_world world;
static int soak;
static const char *only_op;
static uint64_t only_at, only_first, only_second;
static int only_way = -1;
static char label[160];

/* ------------------------------------------------------------------ the child */

static volatile sig_atomic_t die_at_next;

static void stop_here(int signal_number)
{
    (void)signal_number;
    int next = die_at_next;
    raise(SIGSTOP);
    if (next) fc_crash_arm(1, SIGKILL);
}

static void note_store(int signal_number)
{
    (void)signal_number;
    const fc_cache *cache = world.cache;
    if (profiled->count < POINTS_MAX) profiled->hashes[++profiled->count] = XXH3_64bits(cache->base, cache->geometry.arena_off);
    fc_crash_arm(1, SIGUSR2);
}

static const int survivors_signals[] = {SIGABRT, SIGSEGV, SIGALRM, SIGTERM, SIGINT};

/* A child does not clean up, and does not outlive the survivor. */
static void live_and_die_alone(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (uint32_t i = 0; i < sizeof survivors_signals / sizeof survivors_signals[0]; i++) signal(survivors_signals[i], SIG_DFL);
}

static fc_status reap(crash_world *unused, fc_session *session)
{
    (void)unused;
    return fc_session_reap(session, NULL);
}

/* Performs the op (or settles, if it is `settles`) armed with a signal at store n; 0: no signal. Never returns. */
static void be_child(int settles, uint64_t n, int signal_number)
{
    const crash_op *op = world.op;
    fc_session *session = NULL;
    int own = !settles && (op->flags & OP_OWN_SESSION) != 0;
    live_and_die_alone();
    signal(SIGUSR1, stop_here);
    signal(SIGUSR2, note_store);
    if (!own) {
        if (fc_session_open(world.cache, &session) != FC_OK) _exit(40);
        make_deterministic(session);
        fc_session_set_timeout(session, UINT64_C(1000000000));
        if (!settles && op->prepare != NULL) op->prepare(&world, session);
    }
    fc_crash_arm(n, signal_number);
    fc_status status = settles ? reap(&world, session) : op->run(&world, session);
    fc_crash_arm(0, 0);
    if (status == FC_OUT_OF_MEMORY && status != op->expected && (op->flags & OP_FULL) != 0) _exit(CHILD_REFUSED);
    if (status != (settles ? FC_OK : op->expected)) {
        fprintf(stderr, "%s: the op returned %s: %s\n", label, fc_status_find(status)->name, fc_error_detail(status));
        _exit(41);
    }
    if (!own && (settles || (op->flags & OP_CLOSES) == 0)) fc_session_close(session);
    _exit(0);
}

static pid_t start_child(int settles, uint64_t n, int signal_number, int die_next)
{
    fflush(NULL);
    die_at_next = die_next;
    pid_t pid = fork();
    if (pid == 0) be_child(settles, n, signal_number);
    if (pid < 0) {
        perror("fork");
        exit(2);
    }
    return pid;
}

/* How the child ended. A child that ended by anything but our own signals is a failure. */
static int wait_child(pid_t pid, int options, int was_stopped)
{
    int status;
    while (waitpid(pid, &status, options) != pid)
        if (errno != EINTR) return -1;
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) crash_fail(label, "the child was ended by signal %d", WTERMSIG(status));
    else if (WIFEXITED(status) && WEXITSTATUS(status) != 0 && !(was_stopped && WEXITSTATUS(status) == CHILD_REFUSED))
        crash_fail(label, "the child returned %d", WEXITSTATUS(status));
    else results->passed++;
    return status;
}

/* ------------------------------------------------------------------ one run */

/* Checks in a process that attaches only now. */
static void check_fresh(void)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        fc_cache *cache;
        fc_session *session;
        live_and_die_alone();
        fc_status status = fc_cache_attach(world.name, NULL, &cache);
        if (status == FC_OK) status = fc_session_open(cache, &session);
        if (status != FC_OK) {
            crash_fail(label, "a fresh process cannot attach: %s", fc_error_detail(status));
            _exit(1);
        }
        /* A read-only one, too. */
        fc_options options;
        fc_options_init(&options);
        options.read_only = 1;
        status = fc_cache_attach(world.name, &options, &world.reader_cache);
        if (status == FC_OK) status = fc_session_open(world.reader_cache, &world.reader);
        if (status != FC_OK) {
            crash_fail(label, "a fresh process cannot attach read-only: %s", fc_error_detail(status));
            _exit(1);
        }
        check_dead(&world, cache, session, 0, 0, label);
        _exit(0);
    }
    wait_child(pid, 0, 0);
}

/* Pages that an op's prepare has locked in the survivor's name. */
static void free_held_pages(void)
{
    for (uint64_t i = 0; i < world.cache->geometry.page_count; i++) {
        fc_page *page = fc_page_at(world.session, i);
        if (page->owner == world.session->owner_word) page->owner = 0;
    }
}

static void kill_and_check(pid_t pid)
{
    int status;
    free_held_pages();
    uint64_t since = fc_clock_mono_ns();
    kill(pid, SIGKILL);
    check_dead(&world, world.cache, world.session, pid, since, label);
    while (waitpid(pid, &status, 0) != pid && errno == EINTR) {}
}

/* 0 when the op has fewer than n stores, and so ran to its end. */
static int run_point(const uint8_t *image, int settles, uint64_t n, enum way way)
{
    static const int signals[WAY_COUNT] = {SIGKILL, SIGKILL, SIGUSR1, SIGUSR1, SIGUSR1};
    world_restore(&world, image);
    pid_t pid = start_child(settles, n, signals[way], way == WAY_STOP_NEXT);
    int status = wait_child(pid, WUNTRACED, 0);
    if (!WIFSTOPPED(status)) free_held_pages();
    if (WIFEXITED(status)) {
        check_finished(&world, WEXITSTATUS(status) == 0 && !settles, label);
        return 0;
    }
    results->points++;
    if (way == WAY_DIE) check_dead(&world, world.cache, world.session, 0, 0, label);
    else if (way == WAY_FRESH) check_fresh();
    else if (WIFSTOPPED(status)) {
        check_stopped(&world, pid, label);
        if (way == WAY_STOP_KILL) {
            kill_and_check(pid);
            return 1;
        }
        kill(pid, SIGCONT);
        status = wait_child(pid, 0, 1);
        free_held_pages();
        if (WIFEXITED(status)) check_finished(&world, WEXITSTATUS(status) == 0 && !settles, label);
        else check_dead(&world, world.cache, world.session, 0, 0, label);
    }
    return 1;
}

/* ------------------------------------------------------------------ which points */

static uint64_t take_profile(const uint8_t *image, int settles)
{
    world_restore(&world, image);
    profiled->count = 0;
    pid_t pid = start_child(settles, 1, SIGUSR2, 0);
    wait_child(pid, 0, 0);
    profiled->hashes[profiled->count + 1] = 0;
    return profiled->count;
}

static int is_near_change(uint64_t n)
{
    for (uint64_t i = n > POINTS_NEAR ? n - POINTS_NEAR : 1; i <= n + POINTS_NEAR && i <= profiled->count; i++)
        if (profiled->hashes[i] != profiled->hashes[i + 1]) return 1;
    return 0;
}

/* Fills `points` with the stores to run, and returns how many. Few enough: all of them. */
static uint64_t choose_points(uint64_t count, uint64_t points_max, uint64_t offset, uint32_t *points)
{
    int all = count <= points_max;
    uint64_t payload = 0, wanted = 0, kept = 0;
    for (uint64_t n = 1; n <= count; n++) payload += !is_near_change(n);
    uint64_t step = payload / POINTS_OF_PAYLOAD + 1;
    for (uint64_t n = 1; n <= count; n++)
        if (all || n <= POINTS_NEAR || is_near_change(n) || n % step == 0) points[wanted++] = (uint32_t)n;
    uint64_t stride = (wanted + points_max - 1) / points_max;
    for (uint64_t i = 0; i < wanted; i++)
        if (stride <= 1 || (i + offset) % stride == 0) points[kept++] = points[i];
    return kept;
}

/* One armed run at every chosen point and behind the last, in some ways: dying at all of them, the costlier ways at every so-manyth. */
static uint64_t run_points(const uint8_t *image, const char *from, int settles, uint64_t points_max, uint64_t offset, uint64_t *point_count)
{
    static uint32_t points[POINTS_MAX + 2];
    uint64_t count = take_profile(image, settles);
    uint64_t chosen = choose_points(count, points_max, offset, points);
    if (only_at != 0) points[0] = (uint32_t)only_at, chosen = 1;
    else points[chosen] = (uint32_t)count + 1;
    for (uint64_t i = 0; i < chosen + (only_at == 0); i++)
        for (int way = 0; way < WAY_COUNT; way++) {
            if (only_way >= 0 ? way != only_way : only_at == 0 && !soak && (world.op->flags & OP_ALL_WAYS) == 0 && way != WAY_DIE &&
                (i + (uint64_t)way) % WAYS_SPREAD != 0) continue;
            snprintf(label, sizeof label, "%s --at %" PRIu32 " --way %s", from, points[i], way_names[way]);
            run_point(image, settles, points[i], (enum way)way);
        }
    if (point_count != NULL) *point_count = chosen;
    return count;
}

/* ------------------------------------------------------------------ settling */

/* Who opens a session settles the dead in the slots before its own. So that settling can be armed by itself, the settler's slot must come
 * before the slots of the dead: the first slots are kept for settlers by pretending that the survivor has them. */
static uint32_t keep_slots(uint32_t count, void **lock_pages)
{
    uint32_t kept = 0;
    const fc_slot *own = world.session->slot;
    for (; kept < count; kept++) {
        uint32_t slot_index = world.session->slot_index + 1 + kept;
        fc_slot *slot = fc_slot_at(world.cache, slot_index);
        if (slot->identity != 0 || fc_liveness_lock(world.cache, slot_index, &lock_pages[kept]) != FC_OK) break;
        slot->identity = own->identity;
        slot->pid = own->pid;
        slot->tid = own->tid;
        slot->pid_namespace = own->pid_namespace;
    }
    return kept;
}

static void free_slots(uint32_t count, void **lock_pages)
{
    for (uint32_t i = 0; i < count; i++) {
        fc_slot *slot = fc_slot_at(world.cache, world.session->slot_index + 1 + i);
        slot->identity = 0;
        slot->pid_namespace = 0;
        fc_liveness_unlock(lock_pages[i]);
    }
}

/* Goes on from an image until a death at store n, and makes another image of that. 0 if there is no such store. */
static int die_once(const uint8_t *from, int settles, uint64_t n, uint8_t **to)
{
    void *lock_pages[2];
    world_restore(&world, from);
    uint32_t kept = keep_slots(settles ? 1 : 2, lock_pages);
    pid_t pid = start_child(settles, n, SIGKILL, 0);
    int status = wait_child(pid, 0, 0);
    free_slots(kept, lock_pages);
    if (!WIFSIGNALED(status)) return 0;
    world_save(&world, to);
    return 1;
}

/* A session died at store m: settles it, dying at every store of that; and once more, after a settler died in the middle. */
static int settle_death(uint64_t m)
{
    char from[100];
    snprintf(from, sizeof from, "--op %s --first %" PRIu64, world.op->name, m);
    snprintf(label, sizeof label, "%s", from);
    if (!die_once(world.image, 0, m, &world.second_image)) return 0;
    uint64_t count = 0, n = only_second;
    if (only_second == 0) count = run_points(world.second_image, from, 1, bounds.points_of_settling, m, NULL);
    if (n == 0 && (count < 8 || only_at != 0)) return 1;
    if (n == 0) n = 2 + m * 7 % (count - 2);
    snprintf(from, sizeof from, "--op %s --first %" PRIu64 " --second %" PRIu64, world.op->name, m, n);
    snprintf(label, sizeof label, "%s", from);
    if (die_once(world.second_image, 1, n, &world.third_image)) run_points(world.third_image, from, 1, bounds.points_of_settling / 3 + 1, m, NULL);
    return 1;
}

static uint64_t run_settling(uint64_t count)
{
    static uint32_t firsts[POINTS_MAX + 2];
    uint64_t deaths = 0;
    take_profile(world.image, 0);
    /* Another offset for each op, so that together they meet every kind of moment. */
    uint64_t chosen = choose_points(count, bounds.deaths_settled, count * 7, firsts);
    if (only_first != 0) firsts[0] = (uint32_t)only_first, chosen = 1;
    for (uint64_t i = 0; i < chosen; i++) deaths += (uint64_t)settle_death(firsts[i]);
    return deaths;
}

/* ------------------------------------------------------------------ the whole */

static void clean_up(int signal_number)
{
    char text[256];
    int length = snprintf(text, sizeof text, "FAILED %s: signal %d in the survivor\n", label, signal_number);
    if (write(2, text, (size_t)length) < 0) _exit(3);
    fc_cache_unlink(world.name);
    _exit(3);
}

static void run_op(const crash_op *op)
{
    uint64_t begin = fc_clock_mono_ns();
    for (uint32_t i = 0; i < sizeof survivors_signals / sizeof survivors_signals[0]; i++) signal(survivors_signals[i], clean_up);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (!soak) alarm(OP_SECONDS_MAX);
    snprintf(label, sizeof label, "--op %s, setup", op->name);
    world_create(&world, op);
    if (crash_verify(world.cache, 0, label) != 0) crash_fail(label, "the structure is damaged before the op");
    uint64_t points = results->points, deaths = 0, count = 0, chosen = 0;
    snprintf(label, sizeof label, "--op %s", op->name);
    char from[64];
    snprintf(from, sizeof from, "--op %s", op->name);
    if (only_first == 0) count = run_points(world.image, from, 0, bounds.points_of_op, (uint64_t)op->name[0], &chosen);
    uint64_t first_points = results->points - points;
    if (only_at == 0 || only_first != 0) deaths = run_settling(count != 0 ? count : take_profile(world.image, 0));
    printf("%-22s %5" PRIu64 " stores, %5" PRIu64 " tried, %5" PRIu64 " runs; settled after %2" PRIu64 " deaths, %5" PRIu64 " runs; %5.1f s\n",
        op->name, count, chosen, first_points,
           deaths, results->points - points - first_points, (double)(fc_clock_mono_ns() - begin) / 1e9);
    world_destroy(&world);
    fflush(NULL);
    _exit(0);
}

static int compare_u32(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

static void report_times(crash_times *times, const char *what)
{
    uint64_t count = times->count < CRASH_TIMES_MAX ? times->count : CRASH_TIMES_MAX, late = 0;
    if (count == 0) return;
    qsort(times->ns, count, sizeof times->ns[0], compare_u32);
    for (uint64_t i = 0; i < count; i++) late += times->ns[i] >= 1000000;
    printf("writable again, %s: median %.1f us, p99 %.1f us, max %.1f us; %" PRIu64 " of %" PRIu64 " took 1 ms or longer\n", what, times->ns[count / 2] / 1e3,
           times->ns[count * 99 / 100] / 1e3, times->ns[count - 1] / 1e3, late, count);
}

static void report(void)
{
    report_times(&results->times[0], "memory at hand");
    report_times(&results->times[1], "memory short");
    printf("%" PRIu64 " runs died or stopped at a store; %" PRIu64 " writes were refused with the owner's name; %" PRIu64
           " runs left an empty extension bucket for the next writer of its home\n",
           results->points, results->busy_count, results->left_buckets);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", results->passed, results->failed);
}

static void *shared(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) exit(2);
    return memory;
}

int main(int argc, char **argv)
{
    soak = getenv("FC_SOAK") != NULL;
    bounds = soak ? soak_bounds : getenv("FC_QUICK") != NULL ? quick_bounds : usual_bounds;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--op") == 0) only_op = argv[i + 1];
        else if (strcmp(argv[i], "--at") == 0) only_at = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--first") == 0) only_first = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--second") == 0) only_second = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--way") == 0)
            for (int way = 0; way < WAY_COUNT; way++)
                if (strcmp(argv[i + 1], way_names[way]) == 0) only_way = way;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    results = shared(sizeof *results);
    profiled = shared(sizeof *profiled);
    /* Each op in a process of its own, so that an assertion that fails ends only that op. */
    for (uint32_t i = 0; i < crash_op_count; i++) {
        if (only_op != NULL && strcmp(only_op, crash_ops[i].name) != 0) continue;
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) run_op(&crash_ops[i]);
        int status;
        while (waitpid(pid, &status, 0) != pid) {}
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            results->failed++;
            printf("%-22s ended early\n", crash_ops[i].name);
        }
    }
    report();
    return results->failed != 0;
}
