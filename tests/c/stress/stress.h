/* stress.h -- what the stress programs share: random numbers, self-checking values, the control block, children, the watchdog.
 *
 * A value says by itself whether it is whole: its first 40 bytes name the key, the writer, a sequence number and the length, the rest
 * is a pattern computed from all of these, so that any mixture of two values, of two keys or of two lengths is found out. Values of
 * less than 40 bytes are a pattern of key and length alone.
 *
 * A check that fails prints what it saw, the seed and the command that repeats the run, and ends the whole program with status 1.
 */
#ifndef FC_TESTS_STRESS_H
#define FC_TESTS_STRESS_H

#include "fincache.h"

#include "base/atomics.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define VALUE_BYTES_MAX (100u << 10)
#define HEADER_BYTES 40u
#define WORKERS_MAX 16u

/* ------------------------------------------------------------------ random numbers */

typedef struct rng {
    uint64_t state;
} rng;

/* splitmix64 (Steele, Lea, Flood, OOPSLA 2014). */
static inline uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

static inline uint64_t next_random(rng *random)
{
    random->state += UINT64_C(0x9E3779B97F4A7C15);
    return mix(random->state);
}

static inline uint64_t below(rng *random, uint64_t limit) { return next_random(random) % limit; }

static inline uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* ------------------------------------------------------------------ values */

typedef struct value_header {
    uint32_t key;
    uint32_t writer;
    uint64_t sequence;
    uint64_t bytes;
    uint64_t extra;
    uint64_t check;            /* of the fields above */
} value_header;

static inline uint64_t header_check(const value_header *header)
{
    return mix(mix(mix(header->key | (uint64_t)header->writer << 32) ^ header->sequence) ^ header->bytes) ^ mix(header->extra);
}

static inline uint64_t pattern_word(uint64_t seed, uint64_t index)
{
    uint64_t word = (seed + index) * UINT64_C(0x9E3779B97F4A7C15);
    return word ^ word >> 29;
}

static inline void fill_value(uint8_t *target, uint64_t bytes, uint32_t key, uint32_t writer, uint64_t sequence, uint64_t extra)
{
    value_header header = {.key = key, .writer = writer, .sequence = sequence, .bytes = bytes, .extra = extra};
    header.check = header_check(&header);
    uint64_t at = 0;
    uint64_t seed = mix(key ^ bytes << 32);
    if (bytes >= HEADER_BYTES) {
        memcpy(target, &header, HEADER_BYTES);
        at = HEADER_BYTES;
        seed = header.check;
    }
    for (uint64_t index = 0; at < bytes; index++) {
        uint64_t word = pattern_word(seed, index);
        uint64_t here = bytes - at < 8 ? bytes - at : 8;
        memcpy(target + at, &word, here);
        at += here;
    }
}

/* Checks the first `there` bytes of a value of `bytes` bytes. NULL if they are right, otherwise what is wrong. A value shorter than
 * its header leaves *header with sequence 0. */
static inline const char *check_value(const uint8_t *value, uint64_t there, uint64_t bytes, uint32_t key, value_header *header)
{
    uint64_t at = 0;
    uint64_t seed = mix(key ^ bytes << 32);
    *header = (value_header){.key = key, .bytes = bytes};
    if (bytes >= HEADER_BYTES) {
        if (there < HEADER_BYTES) return NULL;
        memcpy(header, value, HEADER_BYTES);
        if (header->check != header_check(header)) return "torn header";
        if (header->key != key) return "the value of another key";
        if (header->bytes != bytes) return "the length of another value";
        at = HEADER_BYTES;
        seed = header->check;
    }
    for (uint64_t index = 0; at < there; index++) {
        uint64_t word = pattern_word(seed, index);
        uint64_t here = there - at < 8 ? there - at : 8;
        if (memcmp(value + at, &word, here) != 0) return "torn value";
        at += here;
    }
    return NULL;
}

/* Lengths of all kinds; often one where head, class or node ends. `least` is 0 or HEADER_BYTES. */
static inline uint64_t random_length(rng *random, uint64_t least)
{
    static const uint64_t borders[] = {48, 56, 64, 512, 8000, 16200, 16384, 32744, 65488, 98232};
    uint64_t bytes;
    switch (below(random, 16)) {
    case 0: bytes = borders[below(random, sizeof borders / sizeof borders[0])] - below(random, 48); break;
    case 1: bytes = 32744 * (1 + below(random, 3)) - below(random, 34); break; /* the key itself begins a node */
    case 2: bytes = below(random, VALUE_BYTES_MAX); break;
    case 3: case 4: bytes = 4000 + below(random, 14000); break;
    case 5: case 6: case 7: bytes = 200 + below(random, 3800); break;
    default: bytes = below(random, 200); break;
    }
    if (bytes > VALUE_BYTES_MAX) bytes = VALUE_BYTES_MAX;
    return bytes < least ? least : bytes;
}

/* ------------------------------------------------------------------ the control block */

#define SINGLES_PER_WORKER 3u
#define PAIRS_PER_WORKER 2u

/* What one worker did; it outlives the worker, in memory that all processes share. Each word has one writer at a time. */
typedef struct worker_record {
    uint64_t operations;
    uint64_t misses;
    uint64_t out_of_memory;
    uint64_t contended;
    uint64_t busy;
    uint64_t restarts;
    uint64_t current_operation;
    uint64_t single_begun[SINGLES_PER_WORKER];  /* sequence of the last set that was begun, and of the last that returned FC_OK */
    uint64_t single_done[SINGLES_PER_WORKER];
    uint64_t pair_begun[PAIRS_PER_WORKER];
    uint64_t pair_done[PAIRS_PER_WORKER];
    uint64_t counter_begun;                     /* increments of the shared counter by 1 */
    uint64_t counter_done;
    uint64_t append_sequence;
    uint64_t swap_in_a;
} worker_record;

typedef struct control {
    uint64_t failed;
    uint64_t stop;
    uint64_t flush_begun;                       /* number of the last flush of database 1 that was begun, and that returned */
    uint64_t flush_done;
    uint64_t shared_sequence;
    worker_record workers[WORKERS_MAX];
} control;

/* ------------------------------------------------------------------ disturbance */

#ifdef FC_CRASH_POINTS
#include "base/crash.h"

#include <sched.h>

/* In the instrumented build a worker is disturbed between two stores of its own, where a scheduler would hardly ever do it: it loses
 * the processor, or stops, or dies. */
static __thread rng disturbance;

static void on_disturbance(int signal_number)
{
    (void)signal_number;
    uint64_t choice = next_random(&disturbance);
    if (choice % 16 == 0) nanosleep(&(struct timespec){.tv_nsec = (long)(choice >> 32) % 100000}, NULL);
    else sched_yield();
    fc_crash_arm(1 + (choice >> 8) % 300, SIGUSR1);
}

static inline void disturb(uint64_t seed)
{
    struct sigaction action = {.sa_handler = on_disturbance, .sa_flags = SA_NODEFER};
    disturbance.state = seed;
    sigaction(SIGUSR1, &action, NULL);
    fc_crash_arm(1 + next_random(&disturbance) % 300, SIGUSR1);
}
/* Dies, or stops, at its n-th store from now. */
#define IS_INSTRUMENTED 1
static inline void arm_signal(uint64_t store_number, int signal_number) { fc_crash_arm(store_number, signal_number); }
#else
#define IS_INSTRUMENTED 0
static inline void disturb(uint64_t seed) { (void)seed; }
static inline void arm_signal(uint64_t store_number, int signal_number) { (void)store_number, (void)signal_number; }
#endif

/* ------------------------------------------------------------------ the run */

typedef struct run_options {
    uint64_t seed;
    double seconds;            /* of the whole program */
    uint32_t workers;
    int policy;                /* -1: each */
    const char *mode;          /* NULL: each */
} run_options;

static run_options options;
static control *shared;
static char segment_name[64];
static pid_t main_pid;
static const char *program;
static pid_t child_pids[WORKERS_MAX + 4];

static void kill_children(void)
{
    for (uint32_t i = 0; i < sizeof child_pids / sizeof child_pids[0]; i++)
        if (child_pids[i] > 0) kill(child_pids[i], SIGKILL);
}

/* Ends the program; from the parent the children and the segment go with it. */
static void end_run(int status)
{
    if (shared != NULL) fc_store_relaxed(&shared->failed, 1);
    if (getpid() == main_pid) {
        kill_children();
        if (segment_name[0] != '\0') (void)fc_cache_unlink(segment_name);
    }
    fflush(NULL);
    _exit(status);
}

/* A status and what the engine has to say about it. */
static const char *describe(fc_status status)
{
    static __thread char text[512];
    snprintf(text, sizeof text, "%s (%s)", fc_status_find(status)->name, fc_error_detail(status));
    return text;
}

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void fail(const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s: FAILED in pid %d: %s\n  repeat with: --seed %" PRIu64 " --seconds %g --workers %u%s%s --policy %d\n", program,
            (int)getpid(), text, options.seed, options.seconds, options.workers, options.mode != NULL ? " --mode " : "",
            options.mode != NULL ? options.mode : "", options.policy);
    if (getenv("FC_STRESS_ABORT") != NULL) abort();
    end_run(1);
    abort();
}

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) fail("%s:%d: %s", __FILE__, __LINE__, #condition);   \
    } while (0)
#define CHECK_OK(expression)                                                                                              \
    do {                                                                                                                  \
        fc_status check_status = (expression);                                                                            \
        if (check_status != FC_OK) fail("%s:%d: %s: %s", __FILE__, __LINE__, #expression, describe(check_status)); \
    } while (0)

static void on_signal(int signal_number)
{
    static const char text[] = "the watchdog or a signal ended the run\n";
    if (getpid() == main_pid) {
        if (write(2, text, sizeof text - 1) < 0) _exit(3);
        kill_children();
        if (segment_name[0] != '\0') (void)fc_cache_unlink(segment_name);
    }
    _exit(signal_number == SIGALRM ? 2 : 130);
}

/* An assertion or a fault in the parent: the segment and the children go, then the signal does what it would have done. */
static void on_fault(int signal_number)
{
    if (getpid() == main_pid) {
        kill_children();
        if (segment_name[0] != '\0') (void)fc_cache_unlink(segment_name);
    }
    raise(signal_number);
}

static void begin_run(int argument_count, char **arguments, double seconds)
{
    const char *base = strrchr(arguments[0], '/');
    program = base != NULL ? base + 1 : arguments[0];
    main_pid = getpid();
    options = (run_options){.seed = now_ns() ^ (uint64_t)getpid() << 40, .seconds = seconds, .workers = 4, .policy = -1};
    options.seed &= UINT32_MAX;
    if (getenv("FC_QUICK") != NULL) options.seconds = seconds / 3;
    if (getenv("FC_SOAK") != NULL) options.seconds = 600;
    for (int i = 1; i + 1 < argument_count; i += 2) {
        if (strcmp(arguments[i], "--seed") == 0) options.seed = strtoull(arguments[i + 1], NULL, 0);
        else if (strcmp(arguments[i], "--seconds") == 0) options.seconds = strtod(arguments[i + 1], NULL);
        else if (strcmp(arguments[i], "--workers") == 0) options.workers = (uint32_t)strtoul(arguments[i + 1], NULL, 0);
        else if (strcmp(arguments[i], "--policy") == 0) options.policy = atoi(arguments[i + 1]);
        else if (strcmp(arguments[i], "--mode") == 0) options.mode = arguments[i + 1];
        else {
            fprintf(stderr, "%s: unknown option %s; there are --seed --seconds --workers --policy 0..2 --mode\n", program, arguments[i]);
            exit(2);
        }
    }
    if (options.workers < 2 || options.workers > WORKERS_MAX) options.workers = 4;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) exit(2);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    action = (struct sigaction){.sa_handler = on_fault, .sa_flags = SA_RESETHAND | SA_NODEFER};
    sigaction(SIGABRT, &action, NULL);
#ifndef __SANITIZE_ADDRESS__ /* it has a handler of its own, with a report */
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
#endif
    alarm((unsigned)(options.seconds * 6) + 60);
    printf("%s: seed %" PRIu64 ", %g s, %u workers\n", program, options.seed, options.seconds, options.workers);
    fflush(stdout);
}

/* A child that dies with its parent, with its own handling of signals. Returns 0 in the child. */
static inline pid_t fork_child(uint32_t place)
{
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != main_pid) _exit(0);
        signal(SIGALRM, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        signal(SIGINT, SIG_DFL);
        alarm((unsigned)(options.seconds * 6) + 90);
        memset(child_pids, 0, sizeof child_pids);
        return 0;
    }
    child_pids[place] = pid;
    return pid;
}

/* Waits for a child; it must have ended well, or by `allowed_signal`. */
static inline void join_child(uint32_t place, int allowed_signal)
{
    int status;
    pid_t pid = child_pids[place];
    while (waitpid(pid, &status, 0) < 0) CHECK(errno == EINTR);
    child_pids[place] = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    if (WIFSIGNALED(status) && WTERMSIG(status) == allowed_signal) return;
    if (WIFSIGNALED(status)) fail("child %u (pid %d) died of signal %d, in operation %" PRIu64, place, (int)pid, WTERMSIG(status),
                                  place < WORKERS_MAX ? fc_load_relaxed(&shared->workers[place].current_operation) : 0);
    end_run(1);
}

static rng pauses;
static timer_t pause_timer;

static void set_pause_timer(void)
{
    struct itimerspec once = {.it_value = {.tv_nsec = 20000 + (long)below(&pauses, 300000)}};
    (void)timer_settime(pause_timer, 0, &once, NULL);
}

static void on_pause(int signal_number)
{
    (void)signal_number;
    int saved_errno = errno;
    nanosleep(&(struct timespec){.tv_nsec = (long)below(&pauses, 150000)}, NULL);
    set_pause_timer();
    errno = saved_errno;
}

/* From now on a timer takes the processor away from this process for up to 150 us, at any instruction: readers in the middle of a
 * copy, evictors between a look and a lock, settlers in the middle of settling. */
static inline void pause_often(uint64_t seed)
{
    struct sigaction action = {.sa_handler = on_pause, .sa_flags = SA_RESTART};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
    pauses.state = seed;
    sigaction(SIGUSR2, &action, NULL);
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &pause_timer) == 0);
    set_pause_timer();
}

static inline fc_cache *create_segment(uint64_t size_bytes, uint64_t keys, uint32_t policy, uint32_t sessions_max)
{
    static uint32_t number;
    fc_options segment_options;
    fc_cache *cache;
    snprintf(segment_name, sizeof segment_name, "stress.%d.%u", (int)main_pid, number++);
    fc_options_init(&segment_options);
    segment_options.size_bytes = size_bytes;
    segment_options.keys = keys;
    segment_options.policy = policy;
    segment_options.databases = 2;
    segment_options.sessions_max = sessions_max;
    CHECK_OK(fc_cache_create(segment_name, &segment_options, &cache));
    return cache;
}

static inline void drop_segment(fc_cache *cache)
{
    CHECK_OK(fc_cache_unlink(segment_name));
    CHECK_OK(fc_cache_close(cache));
    segment_name[0] = '\0';
}

#endif
