/* bench_recovery.c -- how soon can a key be written again after its writer was killed in the middle of a write?
 *
 * Method   A child takes the lock of the key's home, as fc_set does, and stops there; the parent kills it with SIGKILL and at once sets
 *          the key. The time from before kill() to the set's FC_OK is the figure: it holds the kernel's way to the child's death, the
 *          finding out, the settling of the dead session and the set. A child may carry --ballast_mib of memory of its own, which the
 *          kernel tears down long after the thread is dead. Then the same with a child that sets the key at full rate and is killed
 *          at a random moment, in a write or between two. For scale, in the same turns: how long the kernel takes from kill() until
 *          waitpid() reports the death of such a child; on a busy machine that is what the tail is made of.
 * Command  build/release/bench/bench_recovery       or bench/run_benches.py recovery
 */
#include "bench.h"

#include "memory/lock.h"
#include "table/lookup.h"

static bench_parameter parameters[] = {
    {"kills", 200, 5, "children killed, of each kind"},
    {"ballast_mib", 64, 0, "memory each child has touched"},
    {"seed", 1, 1, "of the moments"},
    {NULL, 0, 0, NULL},
};

static bench b = {.name = "recovery", .question = "How soon can a dead writer's key be written again?", .parameters = parameters};

static fc_cache *cache;
static fc_key key;
static uint64_t *ready;
static uint64_t ballast_bytes;

/* The child: says when it is where it should be killed. */
static void hold_or_write(int holds_lock)
{
    fc_session *session;
    uint64_t value[4];
    if (ballast_bytes > 0) {
        char *ballast = malloc(ballast_bytes);
        if (ballast == NULL) _exit(1);
        for (uint64_t at = 0; at < ballast_bytes; at += 4096) ballast[at] = 1;
    }
    if (fc_session_open(cache, &session) != FC_OK) _exit(1);
    if (holds_lock) {
        if (fc_lock_home(session, fc_home_of(session, key.hash)) != FC_OK) _exit(1);
        bench_word_set(ready, 1);
        for (;;) pause();
    }
    for (uint64_t writes = 1;; writes++) {
        bench_value_fill(value, 0, writes);
        if (fc_set(session, &key, value, sizeof value, NULL, NULL) != FC_OK) _exit(1);
        bench_word_set(ready, 1);
    }
}

static double time_kill(fc_session *session, int holds_lock, uint64_t *state)
{
    uint64_t value[4], bytes;
    bench_word_set(ready, 0);
    pid_t child = bench_fork();
    if (child == 0) hold_or_write(holds_lock);
    bench_word_await(ready, 1);
    if (!holds_lock) usleep((useconds_t)(bench_random(state) % 500));
    bench_value_fill(value, 0, 0);
    uint64_t from = bench_now_ns();
    kill(child, SIGKILL);
    BENCH_MUST(fc_set(session, &key, value, sizeof value, NULL, NULL));
    double us = (double)(bench_now_ns() - from) / 1000;
    BENCH_CHECK(waitpid(child, NULL, 0) == child);
    BENCH_MUST(fc_get(session, &key, value, sizeof value, &bytes));
    bench_value_take(&b, value);
    return us;
}

static double time_death(void)
{
    bench_word_set(ready, 0);
    pid_t child = bench_fork();
    if (child == 0) hold_or_write(1);
    bench_word_await(ready, 1);
    uint64_t from = bench_now_ns();
    kill(child, SIGKILL);
    BENCH_CHECK(waitpid(child, NULL, 0) == child);
    return (double)(bench_now_ns() - from) / 1000;
}

int main(int argc, char **argv)
{
    bench_begin(&b, argc, argv);
    uint64_t kills = bench_get_parameter(&b, "kills"), state = bench_get_parameter(&b, "seed");
    uint32_t settled_count;
    fc_session *session;
    fc_stats stats;
    fc_options options = bench_options_for(1000);
    ready = bench_shared_words(1);
    ballast_bytes = bench_get_parameter(&b, "ballast_mib") << 20;
    cache = bench_create(&b, &options);
    BENCH_MUST(fc_session_open(cache, &session));
    BENCH_MUST(fc_session_set_timeout(session, UINT64_C(10000000000)));
    BENCH_MUST(fc_key_init(cache, 0, "key:000000000000", BENCH_KEY_BYTES, &key));
    bench_keys_fill(session, cache, 100);
    bench_samples held = bench_samples_new(kills), storm = bench_samples_new(kills), death = bench_samples_new(kills);
    for (uint64_t i = 0; i < kills; i++) {
        bench_add(&held, time_kill(session, 1, &state));
        bench_add(&storm, time_kill(session, 0, &state));
        bench_add(&death, time_death());
    }
    BENCH_MUST(fc_session_reap(session, &settled_count));
    BENCH_MUST(fc_session_stats(session, &stats));
    BENCH_SAY(&b, "%llu children killed, %llu sessions settled by this one", (unsigned long long)(3 * kills), (unsigned long long)stats.recoveries);
    BENCH_CHECK(stats.recoveries >= kills);
    bench_figure(&b, "kill -9 of a lock's owner until the key is set", "us", &held, BENCH_P99_AT_MOST, 1000);
    bench_figure(&b, "kill -9 of a busy writer until the key is set", "us", &storm, BENCH_P99_AT_MOST, 1000);
    bench_figure(&b, "for scale: kill -9 until waitpid reports the death", "us", &death, BENCH_NO_TARGET, 0);
    BENCH_MUST(fc_cache_close(cache));
    bench_end(&b);
    return 0;
}
