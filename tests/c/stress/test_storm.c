/* test_storm.c -- workers are killed and stopped all the time, and nobody else may notice (P2, P13, P5).
 *
 * Modes      kill      a random worker is killed every few milliseconds and started again; in the instrumented build (FC_CRASH_POINTS)
 *                      workers also die by themselves between two stores, where a timer hardly ever hits
 *            stop      a random worker is stopped for some milliseconds (in the instrumented build one of them stops itself between two
 *                      stores), then continued or killed; meanwhile every read answers, and
 *                      every key is writable but those whose home the stopped one holds: they give FC_BUSY and name it
 *            writable  a writer in a tight loop is killed; how long after kill() returns can a survivor set the same key?
 * Afterwards everything that test_stress.c checks: workload.h, run_end.h.
 */
#include "run_end.h"

#include "table/lookup.h"

#include <sched.h>

#define STORM_SEGMENT_TIMEOUT_NS UINT64_C(5000000)
#define WRITABLE_SAMPLES 300u
#define OWN_KEYS 40u

static uint64_t kills, stops, generation;

/* ------------------------------------------------------------------ workers */

static void worker_process(uint32_t id, uint32_t policy, fc_cache *inherited, uint64_t seed, int suicidal, int stops_itself)
{
    static worker self;
    fc_cache *cache = inherited;
    if (seed % 4 == 0) CHECK_OK(fc_cache_attach(segment_name, NULL, &cache));
    open_worker(&self, cache, id, policy, seed);
    self.killed = 1;
    CHECK_OK(fc_session_set_timeout(self.session, STORM_SEGMENT_TIMEOUT_NS));
    self.stops_itself = stops_itself;
    if (seed % 5 == 0) pause_often(seed);
    if (suicidal) arm_signal(1 + below(&self.random, seed % 3 == 0 ? 200 : 20000), SIGKILL);
    run_worker(&self, UINT64_MAX);
    arm_signal(0, 0);
    if (seed % 3 == 0) close_worker(&self); /* the others leave it to the end of the process */
    _exit(0);
}

static int with_stops;

static void start_worker(uint32_t id, uint32_t policy, fc_cache *cache, int suicidal)
{
    uint64_t seed = mix(options.seed ^ ++generation << 32 ^ id);
    if (fork_child(id) == 0) worker_process(id, policy, cache, seed, suicidal, with_stops && id == 0);
}

static void stop_workers(void)
{
    fc_store_relaxed(&shared->stop, 1);
    for (uint32_t i = 0; i < options.workers; i++) join_child(i, SIGKILL);
    CHECK(fc_load_relaxed(&shared->failed) == 0);
}

/* Ends a worker, however it is just dying, and starts it again. */
static void replace_worker(uint32_t id, uint32_t policy, fc_cache *cache, int suicidal)
{
    if (fc_load_relaxed(&shared->failed) != 0) end_run(1);
    kill(child_pids[id], SIGKILL);
    join_child(id, SIGKILL);
    kills++;
    start_worker(id, policy, cache, suicidal);
}

static void pause_ns(uint64_t ns)
{
    nanosleep(&(struct timespec){.tv_nsec = (long)ns}, NULL);
}

static void report(const char *mode, fc_cache *cache, uint32_t policy)
{
    fc_stats stats;
    uint64_t busy = 0;
    for (uint32_t i = 0; i < options.workers; i++) busy += shared->workers[i].busy;
    print_stats(mode, cache, policy);
    CHECK_OK(fc_cache_stats(cache, &stats));
    printf("  %" PRIu64 " kills, %" PRIu64 " stops, %" PRIu64 " recoveries, %" PRIu64 " rolled forward, %" PRIu64 " busy\n", kills, stops, stats.recoveries, stats.rolled_forward, busy);
    if (kills > 0 && stats.recoveries == 0) fail("%" PRIu64 " kills and no recovery", kills);
    fflush(stdout);
}

/* ------------------------------------------------------------------ kill */

static void run_kills(uint32_t policy, double seconds)
{
    uint64_t used_before;
    rng random = {mix(options.seed ^ policy)};
    fc_cache *cache = begin_mode(policy, &used_before);
    uint64_t deadline = now_ns() + (uint64_t)(seconds * 1e9);
    kills = stops = 0;
    for (uint32_t i = 0; i < options.workers; i++) start_worker(i, policy, cache, 1);
    while (now_ns() < deadline) {
        pause_ns(500000 + below(&random, 6000000));
        replace_worker((uint32_t)below(&random, options.workers), policy, cache, below(&random, 8) != 0);
    }
    stop_workers();
    check_end(cache, policy, used_before, 1);
    report("kill", cache, policy);
    drop_segment(cache);
}

/* ------------------------------------------------------------------ stop */

static named_key own_keys[OWN_KEYS];

/* The pid whose session an owner word names; 0 if none. */
static pid_t pid_of_owner(const fc_cache *cache, uint32_t owner)
{
    uint32_t slot_index = (owner & FC_OWNER_SLOT_MASK) - 1;
    if (owner == 0 || slot_index >= fc_slot_count(cache)) return 0;
    const fc_slot *slot = fc_slot_at(cache, slot_index);
    if (fc_owner_word(slot_index, fc_load_relaxed(&slot->incarnation)) != owner) return 0;
    return (pid_t)fc_load32_relaxed(&slot->pid);
}

/* 1 if the owner is dead and the stopped process is the one that was settling it. */
static int is_settled_by(const fc_cache *cache, uint32_t owner, pid_t stopped)
{
    uint32_t slot_index = (owner & FC_OWNER_SLOT_MASK) - 1;
    if (owner == 0 || slot_index >= fc_slot_count(cache)) return 0;
    uint32_t settler = (uint32_t)(fc_load_relaxed(&fc_slot_at(cache, slot_index)->settle_owner) & 0xFFFF) - 1;
    return settler < fc_slot_count(cache) && (pid_t)fc_load32_relaxed(&fc_slot_at(cache, settler)->pid) == stopped;
}

/* One write while `stopped` stands still; it holds the key's home now or never will. Returns 1 if it did. */
static int write_around(fc_session *session, const named_key *named, pid_t stopped)
{
    const fc_cache *cache = session->cache;
    const fc_bucket *home = fc_home_of(session, named->key.hash);
    uint32_t owner = fc_load32_relaxed(&home->owner);
    int is_held = pid_of_owner(cache, owner) == stopped || is_settled_by(cache, owner, stopped);
    char wanted[32];
    CHECK_OK(fc_session_set_timeout(session, is_held ? 0 : UINT64_C(3000000000)));
    fc_status status = fc_set(session, &named->key, "own", 3, NULL, NULL);
    if (!is_held) {
        owner = fc_load32_relaxed(&home->owner);
        /* A living settler may have been stopped between its first look and ours. */
        if (status == FC_BUSY && is_settled_by(cache, owner, stopped)) return 1;
        if (status != FC_OK && status != FC_OUT_OF_MEMORY) fail("pid %d is stopped and does not hold %.12s, but a set gives %s", (int)stopped, named->name, describe(status));
        return 0;
    }
    snprintf(wanted, sizeof wanted, "pid %d,", (int)pid_of_owner(cache, owner));
    if (status != FC_BUSY) fail("pid %d is stopped and holds %.12s, but a set gives %s", (int)stopped, named->name, describe(status));
    if (strstr(fc_error_detail(status), wanted) == NULL) fail("FC_BUSY does not name %s it says: %s", wanted, fc_error_detail(status));
    return 1;
}

static void read_around(fc_session *session, named_key *named)
{
    static uint8_t buffer[VALUE_BYTES_MAX];
    uint64_t bytes;
    fc_status status = fc_get(session, &named->key, buffer, sizeof buffer, &bytes);
    if (status != FC_OK && status != FC_MISS) fail("while somebody is stopped get of %.12s gives %s", named->name, describe(status));
}

static void run_stops(uint32_t policy, double seconds)
{
    uint64_t used_before, held = 0;
    rng random = {mix(options.seed ^ policy ^ 77)};
    static key_set keys;
    fc_session *session;
    fc_cache *cache = begin_mode(policy, &used_before);
    uint64_t deadline = now_ns() + (uint64_t)(seconds * 1e9);
    kills = stops = 0;
    with_stops = IS_INSTRUMENTED; /* then worker 0 stops itself, mostly with something half done, and is the only one that stops */
    name_keys(cache, &keys);
    for (uint32_t i = 0; i < OWN_KEYS; i++) name_key(cache, &own_keys[i], 1, 'M', i);
    for (uint32_t i = 0; i < options.workers; i++) start_worker(i, policy, cache, 0);
    CHECK_OK(fc_session_open(cache, &session));
    while (now_ns() < deadline) {
        int status;
        uint32_t id = with_stops ? 0 : (uint32_t)below(&random, options.workers);
        pid_t pid = child_pids[id];
        if (!with_stops) pause_ns(100000 + below(&random, 2000000));
        if (fc_load_relaxed(&shared->failed) != 0) end_run(1);
        if (!with_stops) kill(pid, SIGSTOP);
        if (waitpid(pid, &status, WUNTRACED) != pid) continue;
        if (!WIFSTOPPED(status)) {
            child_pids[id] = 0;
            fail("worker %u ended with status %x", id, (unsigned)status);
        }
        stops++;
        for (uint32_t i = 0; i < OWN_KEYS; i++) held += (uint64_t)write_around(session, &own_keys[i], pid);
        if (below(&random, 4) == 0) for_each_key(&keys, read_around, session);
        if (below(&random, 4) == 0) replace_worker(id, policy, cache, 0);
        else kill(pid, SIGCONT);
    }
    with_stops = 0;
    replace_worker(0, policy, cache, 0);
    stop_workers();
    CHECK_OK(fc_session_set_timeout(session, UINT64_C(3000000000)));
    for (uint32_t i = 0; i < OWN_KEYS; i++) delete_key(session, &own_keys[i]);
    CHECK_OK(fc_session_close(session));
    check_end(cache, policy, used_before, 1);
    report("stop", cache, policy);
    printf("  %" PRIu64 " writes met a home that the stopped one held\n", held);
    drop_segment(cache);
}

/* ------------------------------------------------------------------ writable */

static void write_for_ever(fc_cache *cache, const named_key *named, uint32_t shape)
{
    fc_session *session;
    static uint8_t value[VALUE_BYTES_MAX];
    fc_write writes[2] = {{.value = value, .value_bytes = 100}, {.value = value, .value_bytes = 100}};
    fc_key both[2] = {named[0].key, named[1].key};
    CHECK_OK(fc_session_open(cache, &session));
    for (;;) {
        if (shape == 0) CHECK_OK(fc_set_many(session, both, writes, 2, 0));
        else CHECK_OK(fc_set(session, &named->key, value, shape == 1 ? 20000 : 32, NULL, NULL));
        fc_counter_add(&shared->workers[0].operations, 1);
    }
}

static int by_value(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static void print_times(const char *what, uint64_t *times, uint32_t count)
{
    if (count == 0) return;
    qsort(times, count, sizeof *times, by_value);
    printf("writable %s: %u samples, median %.1f us, p90 %.1f us, p99 %.1f us, max %.1f us\n", what, count, (double)times[count / 2] / 1e3, (double)times[count * 9 / 10] / 1e3,
           (double)times[count * 99 / 100] / 1e3, (double)times[count - 1] / 1e3);
}

/* Looks until /proc says that the process is dying: a kill takes effect when its target gets the processor the next time, which on a
 * busy machine is the larger part of the wait and nothing the engine can do about. */
static void wait_until_dead(pid_t pid)
{
    char path[64], text[1024], state = 'R';
    unsigned long flags = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    while (state != 'Z' && state != 'X' && (flags & 4) == 0) { /* PF_EXITING */
        FILE *file = fopen(path, "r");
        CHECK(file != NULL);
        const char *fields = fgets(text, sizeof text, file) != NULL ? strrchr(text, ')') : NULL;
        CHECK(fields != NULL && sscanf(fields + 1, " %c %*d %*d %*d %*d %*d %lu", &state, &flags) == 2);
        fclose(file);
    }
}

static void run_writable(double seconds)
{
    uint64_t used_before;
    uint32_t sample_count = 0, held_count = 0, samples_max = getenv("FC_SOAK") != NULL ? 20000 : WRITABLE_SAMPLES;
    uint32_t seen_count = 0;
    uint64_t *times = calloc(samples_max, sizeof *times), *held_times = calloc(samples_max, sizeof *held_times), *seen_times = calloc(samples_max, sizeof *seen_times);
    rng random = {mix(options.seed)};
    named_key named[2];
    fc_session *session;
    fc_cache *cache = begin_mode(FC_POLICY_NOEVICTION, &used_before);
    uint64_t deadline = now_ns() + (uint64_t)(seconds * 1e9);
    CHECK(times != NULL && held_times != NULL && seen_times != NULL);
    name_key(cache, &named[0], 0, 'T', 0);
    name_key(cache, &named[1], 0, 'T', 1);
    CHECK_OK(fc_session_open(cache, &session));
    const fc_bucket *home = fc_home_of(session, named[0].key.hash);
    while (sample_count + seen_count < samples_max && now_ns() < deadline) {
        uint64_t before = fc_load_relaxed(&shared->workers[0].operations);
        pid_t pid = fork_child(0);
        if (pid == 0) write_for_ever(cache, named, (uint32_t)below(&random, 8));
        (void)next_random(&random);
        while (fc_load_relaxed(&shared->workers[0].operations) == before) sched_yield();
        pause_ns(50000 + below(&random, 400000));
        kill(pid, SIGKILL);
        uint64_t killed_at = now_ns();
        int is_held = fc_load32_relaxed(&home->owner) != 0;
        int from_death = below(&random, 2) == 0; /* half of the samples */
        if (from_death) {
            wait_until_dead(pid);
            killed_at = now_ns();
        }
        CHECK_OK(fc_set(session, &named[0].key, "mine", 4, NULL, NULL));
        uint64_t took = now_ns() - killed_at;
        if (from_death) seen_times[seen_count++] = took;
        else times[sample_count++] = took;
        if (is_held && !from_death) held_times[held_count++] = took;
        join_child(0, SIGKILL);
    }
    print_times("after kill -9", times, sample_count);
    print_times("when the dead one held the key", held_times, held_count);
    print_times("from the moment the kernel shows the death", seen_times, seen_count);
    for (uint32_t i = 0; i < 2; i++) delete_key(session, &named[i]);
    CHECK_OK(fc_session_close(session));
    check_end(cache, FC_POLICY_NOEVICTION, used_before, 1);
    fc_stats stats;
    CHECK_OK(fc_cache_stats(cache, &stats));
    printf("  %u kills, %" PRIu64 " recoveries, %" PRIu64 " rolled forward\n", sample_count + seen_count, stats.recoveries, stats.rolled_forward);
    CHECK(stats.recoveries >= sample_count + seen_count);
    drop_segment(cache);
    free(times);
    free(held_times);
    free(seen_times);
}

int main(int argument_count, char **arguments)
{
    begin_run(argument_count, arguments, 10);
    int each = options.policy < 0;
    double seconds = options.seconds / (each ? 3 : 1) / (options.mode == NULL ? 2.5 : 1);
    for (uint32_t policy = 0; policy < 3; policy++) {
        if (!each && policy != (uint32_t)options.policy) continue;
        if (options.mode == NULL || strcmp(options.mode, "kill") == 0) run_kills(policy, seconds);
        if (options.mode == NULL || strcmp(options.mode, "stop") == 0) run_stops(policy, seconds);
    }
    if (options.mode == NULL || strcmp(options.mode, "writable") == 0) run_writable(options.mode == NULL ? options.seconds / 5 : options.seconds);
    printf("%s: passed\n", program);
    return 0;
}
