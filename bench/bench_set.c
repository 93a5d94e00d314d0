/* bench_set.c -- how long does fc_set of an existing key take, with the table in L2?
 *
 * Method   as bench_get.c: 1024 keys of 16 + 32 bytes in random order, batches of 1000, the kinds taking turns. Every set records its
 *          write time with a resolution of 1 us or better. Beside it, in the same turns: what one look at the precise clock and at the
 *          coarse one costs on this machine, because the write time is a large part of the figure.
 * Command  build/release/bench/bench_set            or bench/run_benches.py set
 */
#include "bench.h"

static bench_parameter parameters[] = {
    {"keys", 1024, 256, "keys in the segment"},
    {"batch", 1000, 100, "sets in a sample"},
    {"samples", 5000, 20, "samples"},
    {"singles", 200000, 1000, "sets timed one by one"},
    {"seed", 1, 1, "of the order"},
    {"cpu", 0, 0, "processor to stay on"},
    {NULL, 0, 0, NULL},
};

static bench b = {.name = "set", .question = "How long does fc_set of an existing key take with the table in L2?", .parameters = parameters};

static fc_cache *cache;
static fc_session *session;
static bench_keys keys;
static uint64_t next, writes;

static inline uint64_t advance(void)
{
    next = next + 1 == keys.count ? 0 : next + 1;
    return next;
}

static inline void set_one(const fc_key *key)
{
    uint64_t value[4];
    bench_value_fill(value, next, ++writes);
    BENCH_MUST(fc_set(session, key, value, sizeof value, NULL, NULL));
}

static double time_prepared(uint64_t batch)
{
    uint64_t from = bench_now_ns();
    for (uint64_t i = 0; i < batch; i++) set_one(&keys.keys[advance()]);
    return (double)(bench_now_ns() - from) / (double)batch;
}

static double time_hashed(uint64_t batch)
{
    fc_key key;
    uint64_t from = bench_now_ns();
    for (uint64_t i = 0; i < batch; i++) {
        BENCH_MUST(fc_key_init(cache, 0, keys.texts[advance()], BENCH_KEY_BYTES, &key));
        set_one(&key);
    }
    return (double)(bench_now_ns() - from) / (double)batch;
}

static double time_clock(clockid_t clock, uint64_t batch)
{
    struct timespec now;
    uint64_t from = bench_now_ns();
    for (uint64_t i = 0; i < batch; i++) {
        clock_gettime(clock, &now);
        b.checksum ^= now.tv_sec < 0;
    }
    return (double)(bench_now_ns() - from) / (double)batch;
}

static double time_single(void)
{
    const fc_key *key = &keys.keys[advance()];
    uint64_t value[4];
    bench_value_fill(value, next, ++writes);
    uint64_t from = bench_ticks();
    fc_status status = fc_set(session, key, value, sizeof value, NULL, NULL);
    double ns = bench_since(&b, from);
    BENCH_MUST(status);
    return ns;
}

int main(int argc, char **argv)
{
    bench_begin(&b, argc, argv);
    uint64_t count = bench_get_parameter(&b, "keys"), batch = bench_get_parameter(&b, "batch"), samples = bench_get_parameter(&b, "samples");
    uint64_t singles = bench_get_parameter(&b, "singles");
    fc_options options = bench_options_for(count);
    if (!bench_pin((uint32_t)bench_get_parameter(&b, "cpu"))) BENCH_SAY(&b, "not pinned");
    cache = bench_create(&b, &options);
    BENCH_MUST(fc_session_open(cache, &session));
    keys = bench_keys_new(cache, count, bench_get_parameter(&b, "seed"));
    bench_keys_fill(session, cache, count);
    bench_samples hashed = bench_samples_new(samples), prepared = bench_samples_new(samples), single = bench_samples_new(singles);
    bench_samples precise = bench_samples_new(samples), coarse = bench_samples_new(samples);
    for (uint64_t i = 0; i < samples; i++) {
        bench_add(&hashed, time_hashed(batch));
        bench_add(&prepared, time_prepared(batch));
        bench_add(&precise, time_clock(CLOCK_REALTIME, batch));
        bench_add(&coarse, time_clock(CLOCK_REALTIME_COARSE, batch));
    }
    for (uint64_t i = 0; i < singles; i++) bench_add(&single, time_single());
    bench_figure(&b, "set, key hashed each time", "ns", &hashed, BENCH_P50_AT_MOST, 50);
    bench_figure(&b, "set, key prepared", "ns", &prepared, BENCH_P50_AT_MOST, 50);
    bench_figure(&b, "set timed one by one, prepared, clock taken off", "ns", &single, BENCH_NO_TARGET, 0);
    bench_figure(&b, "for scale: clock_gettime(CLOCK_REALTIME)", "ns", &precise, BENCH_NO_TARGET, 0);
    bench_figure(&b, "for scale: clock_gettime(CLOCK_REALTIME_COARSE)", "ns", &coarse, BENCH_NO_TARGET, 0);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t value[4], bytes;
        BENCH_MUST(fc_get(session, &keys.keys[i], value, sizeof value, &bytes));
        bench_value_take(&b, value);
    }
    BENCH_MUST(fc_cache_close(cache));
    bench_end(&b);
    return 0;
}
