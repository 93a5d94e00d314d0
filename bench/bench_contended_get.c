/* bench_contended_get.c -- what does a get cost while another process writes the very same keys as fast as it can?
 *
 * Method   16 keys of 16 + 32 bytes in a segment with room for 10000, so that each has a home of its own. A child process sets them one after the other, without a pause, on a processor of its own; it stops
 *          and goes on at the parent's word, so that batches with and without it take turns. One by one: gets in a row with the cycle
 *          counter read between them (its mean cost taken off; on some processors it moves in steps of 10 ns); the median is the
 *          promised figure. In batches: the mean of 1000 gets in a row, the gets that must fetch the lines from the writer's
 *          core included, which is some 75 ns for those.
 *          Both processes must run at once: on one processor, or a busy machine, the figure says little. The writer's rate is printed.
 * Command  build/release/bench/bench_contended_get  or bench/run_benches.py contended_get
 */
#include "bench.h"

static bench_parameter parameters[] = {
    {"keys", 16, 16, "keys, all read and all written"},
    {"room", 10000, 1000, "keys the segment is made for"},
    {"batch", 1000, 100, "gets in a batch"},
    {"samples", 500, 10, "batches of each kind"},
    {"singles", 200, 10, "gets timed one by one after each batch"},
    {"seed", 1, 1, "of the order"},
    {NULL, 0, 0, NULL},
};

static bench b = {.name = "contended_get", .question = "What does a get cost while another process writes the same keys?", .parameters = parameters};

enum { WORD_READY = 0, WORD_GO = 8, WORD_WRITES = 16, WORD_RUNNING = 24, WORD_COUNT = 32 }; /* a cache line apart */

static fc_cache *cache;
static uint64_t *words;
static bench_keys keys;

static void write_for_ever(void)
{
    fc_session *session;
    uint64_t value[4], writes = 0;
    (void)bench_pin(1);
    if (fc_session_open(cache, &session) != FC_OK) _exit(1);
    bench_word_set(&words[WORD_READY], 1);
    for (uint64_t i = 0;; i = i + 1 == keys.count ? 0 : i + 1) {
        if (bench_word(&words[WORD_GO]) == 0) {
            bench_word_set(&words[WORD_RUNNING], 0);
            while (bench_word(&words[WORD_GO]) == 0) sched_yield();
            bench_word_set(&words[WORD_RUNNING], 1);
        }
        bench_value_fill(value, i, ++writes);
        if (fc_set(session, &keys.keys[i], value, sizeof value, NULL, NULL) != FC_OK) _exit(1);
        bench_word_set(&words[WORD_WRITES], writes);
    }
}

static void set_writer(int is_running)
{
    bench_word_set(&words[WORD_GO], (uint64_t)is_running);
    bench_word_await(&words[WORD_RUNNING], (uint64_t)is_running);
}

static double time_batch(fc_session *session, uint64_t batch)
{
    uint64_t value[4], bytes;
    uint64_t from = bench_now_ns();
    for (uint64_t i = 0; i < batch; i++) {
        BENCH_MUST(fc_get(session, &keys.keys[i % keys.count], value, sizeof value, &bytes));
        bench_value_take(&b, value);
    }
    return (double)(bench_now_ns() - from) / (double)batch;
}

static void time_singles(fc_session *session, uint64_t count, bench_samples *samples)
{
    uint64_t from = bench_ticks_between();
    for (uint64_t i = 0; i < count; i++) {
        uint64_t value[4], bytes;
        BENCH_MUST(fc_get(session, &keys.keys[i % keys.count], value, sizeof value, &bytes));
        bench_value_take(&b, value);
        uint64_t to = bench_ticks_between();
        double ns = ((double)(to - from) - b.tick_between_cost) * b.tick_ns;
        bench_add(samples, ns > 0 ? ns : 0);
        from = to;
    }
}

int main(int argc, char **argv)
{
    bench_begin(&b, argc, argv);
    uint64_t count = bench_get_parameter(&b, "keys"), batch = bench_get_parameter(&b, "batch");
    uint64_t samples = bench_get_parameter(&b, "samples"), singles = bench_get_parameter(&b, "singles");
    fc_session *session;
    fc_options options = bench_options_for(bench_get_parameter(&b, "room"));
    words = bench_shared_words(WORD_COUNT);
    cache = bench_create(&b, &options);
    keys = bench_keys_new(cache, count, bench_get_parameter(&b, "seed"));
    pid_t writer = bench_fork();
    if (writer == 0) write_for_ever();
    if (!bench_pin(0)) BENCH_SAY(&b, "not pinned");
    BENCH_MUST(fc_session_open(cache, &session));
    bench_keys_fill(session, cache, count);
    bench_word_await(&words[WORD_READY], 1);
    bench_samples quiet_batch = bench_samples_new(samples), busy_batch = bench_samples_new(samples);
    bench_samples quiet = bench_samples_new(samples * singles), busy = bench_samples_new(samples * singles);
    uint64_t busy_ns = 0, writes = 0;
    for (uint64_t i = 0; i < samples; i++) {
        bench_add(&quiet_batch, time_batch(session, batch));
        time_singles(session, singles, &quiet);
        set_writer(1);
        uint64_t from = bench_now_ns(), writes_from = bench_word(&words[WORD_WRITES]);
        bench_add(&busy_batch, time_batch(session, batch));
        time_singles(session, singles, &busy);
        busy_ns += bench_now_ns() - from;
        writes += bench_word(&words[WORD_WRITES]) - writes_from;
        set_writer(0);
    }
    fc_stats stats;
    BENCH_MUST(fc_session_stats(session, &stats));
    bench_kill(writer);
    BENCH_SAY(&b, "the writer set a key every %.0f ns; %llu of %llu gets were taken again", (double)busy_ns / (double)(writes > 0 ? writes : 1),
              (unsigned long long)stats.read_retries, (unsigned long long)stats.gets);
    bench_figure(&b, "get one by one, same keys being written", "ns", &busy, BENCH_P50_AT_MOST, 30);
    bench_figure(&b, "get one by one, writer idle", "ns", &quiet, BENCH_NO_TARGET, 0);
    bench_figure(&b, "get in batches, same keys being written", "ns", &busy_batch, BENCH_NO_TARGET, 0);
    bench_figure(&b, "get in batches, writer idle", "ns", &quiet_batch, BENCH_NO_TARGET, 0);
    BENCH_MUST(fc_cache_close(cache));
    bench_end(&b);
    return 0;
}
