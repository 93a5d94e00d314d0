/* test_stress.c -- many workers on one small segment, each checking everything it sees (P1, P3, P4, P5, P6, P8, memory accounting).
 *
 * Modes      processes: each worker a process, one more that is attached read-only, for each eviction policy
 *            threads: the same as threads of one process, for TSan and ASan
 * Workers    workload.h says what they do. Every other process loses the processor all the time, at any instruction; in the instrumented
 *            build (FC_CRASH_POINTS) the others do, between any two of their stores.
 * Afterwards nothing is locked, every block is in exactly one place (segment_audit.h), counters are exact, and when every key is
 *            deleted not one byte is in use.
 */
#include "run_end.h"

#include <pthread.h>

/* ------------------------------------------------------------------ processes */

static uint64_t deadline;

static void worker_process(uint32_t id, uint32_t policy, fc_cache *inherited, uint64_t seed)
{
    static worker self;
    fc_cache *cache = inherited;
    if (id % 2 == 1) CHECK_OK(fc_cache_attach(segment_name, NULL, &cache));
    open_worker(&self, cache, id, policy, seed);
    CHECK_OK(fc_session_set_timeout(self.session, UINT64_C(20000000000)));
    if (id % 2 == 0) disturb(seed);
    else pause_often(seed);
    run_worker(&self, deadline);
    if (fc_load_relaxed(&shared->failed) == 0) close_worker(&self);
    _exit(0);
}

static void reader_process(uint32_t id, uint32_t policy, uint64_t seed)
{
    static worker self;
    fc_cache *cache;
    fc_options read_options;
    fc_options_init(&read_options);
    read_options.read_only = 1;
    CHECK_OK(fc_cache_attach(segment_name, &read_options, &cache));
    open_worker(&self, cache, id, policy, seed);
    self.read_only = 1;
    pause_often(seed);
    CHECK(fc_set(self.session, &self.keys->counter.key, "1", 1, NULL, NULL) == FC_READ_ONLY);
    run_worker(&self, deadline);
    close_worker(&self);
    CHECK_OK(fc_cache_close(cache));
    _exit(0);
}

static void run_processes(uint32_t policy, double seconds)
{
    uint64_t used_before;
    fc_cache *cache = begin_mode(policy, &used_before);
    deadline = now_ns() + (uint64_t)(seconds * 1e9);
    for (uint32_t i = 0; i < options.workers; i++)
        if (fork_child(i) == 0) worker_process(i, policy, cache, mix(options.seed ^ (uint64_t)policy << 40 ^ i));
    if (fork_child(options.workers) == 0) reader_process(WORKERS_MAX - 1, policy, mix(options.seed ^ 99));
    for (uint32_t i = 0; i <= options.workers; i++) join_child(i, 0);
    CHECK(fc_load_relaxed(&shared->failed) == 0);
    print_stats("processes", cache, policy);
    check_end(cache, policy, used_before, 0);
    drop_segment(cache);
}

/* ------------------------------------------------------------------ threads */

static fc_cache *thread_cache;
static uint32_t thread_policy;

static void *worker_thread(void *context)
{
    uint32_t id = (uint32_t)(uintptr_t)context;
    worker *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    open_worker(self, thread_cache, id, thread_policy, mix(options.seed ^ (uint64_t)thread_policy << 48 ^ id));
    CHECK_OK(fc_session_set_timeout(self->session, UINT64_C(20000000000)));
    run_worker(self, deadline);
    close_worker(self);
    free(self);
    return NULL;
}

static void run_threads(uint32_t policy, double seconds)
{
    uint64_t used_before;
    pthread_t threads[WORKERS_MAX];
    thread_cache = begin_mode(policy, &used_before);
    thread_policy = policy;
    deadline = now_ns() + (uint64_t)(seconds * 1e9);
    for (uint32_t i = 0; i < options.workers; i++) CHECK(pthread_create(&threads[i], NULL, worker_thread, (void *)(uintptr_t)i) == 0);
    for (uint32_t i = 0; i < options.workers; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    print_stats("threads", thread_cache, policy);
    check_end(thread_cache, policy, used_before, 0);
    drop_segment(thread_cache);
}

int main(int argument_count, char **arguments)
{
    begin_run(argument_count, arguments, 10);
    int each = options.policy < 0;
    int modes = options.mode == NULL ? 2 : 1;
    double seconds = options.seconds / (modes * (each ? 3 : 1));
    for (uint32_t policy = 0; policy < 3; policy++) {
        if (!each && policy != (uint32_t)options.policy) continue;
        if (options.mode == NULL || strcmp(options.mode, "processes") == 0) run_processes(policy, seconds);
        if (options.mode == NULL || strcmp(options.mode, "threads") == 0) run_threads(policy, seconds);
    }
    printf("%s: passed\n", program);
    return 0;
}
