/* bench_get.c -- how long does fc_get of a present key take, with the table in L2?
 *
 * Method   1024 keys of 16 bytes with values of 32 (some 130 KiB with index and block headers: more than an L1 cache, less than an L2)
 *          are read in a random order that stays the same, as a strategy reads its symbols. One sample is the mean of a batch of 1000.
 *          Four kinds take turns: key hashed for each get (the honest figure for a caller who has the key as text), key prepared once,
 *          prepared keys drawn anew each time (then the processor cannot learn which of a bucket's entries will fit), and a missing
 *          key. Then gets one by one, for the tail; the cycle counter of some processors moves in steps of 10 ns.
 * Command  build/release/bench/bench_get            or bench/run_benches.py get
 */
#include "bench.h"

#define DRAWS 65536u

static bench_parameter parameters[] = {
    {"keys", 1024, 256, "keys in the segment"},
    {"batch", 1000, 100, "gets in a sample"},
    {"samples", 5000, 20, "samples"},
    {"singles", 200000, 1000, "gets timed one by one"},
    {"seed", 1, 1, "of the order"},
    {"cpu", 0, 0, "processor to stay on"},
    {NULL, 0, 0, NULL},
};

static bench b = {.name = "get", .question = "How long does fc_get take with the table in L2?", .parameters = parameters};

static fc_cache *cache;
static fc_session *session;
static bench_keys keys;
static uint64_t next;
static uint32_t draws[DRAWS];

static inline uint64_t advance(void)
{
    next = next + 1 == keys.count ? 0 : next + 1;
    return next;
}

/* As little as a reader can do with a value. */
static inline void get_one(const fc_key *key)
{
    uint64_t value[4], bytes;
    BENCH_MUST(fc_get(session, key, value, sizeof value, &bytes));
    b.checksum += value[0] ^ value[3];
}

static double time_prepared(uint64_t batch)
{
    uint64_t from = bench_now_ns();
    for (uint64_t i = 0; i < batch; i++) get_one(&keys.keys[advance()]);
    return (double)(bench_now_ns() - from) / (double)batch;
}

static double time_hashed(uint64_t batch)
{
    fc_key key;
    uint64_t from = bench_now_ns();
    for (uint64_t i = 0; i < batch; i++) {
        BENCH_MUST(fc_key_init(cache, 0, keys.texts[advance()], BENCH_KEY_BYTES, &key));
        get_one(&key);
    }
    return (double)(bench_now_ns() - from) / (double)batch;
}

static double time_drawn(uint64_t batch)
{
    static uint64_t position;
    uint64_t from = bench_now_ns();
    for (uint64_t i = 0; i < batch; i++) get_one(&keys.keys[draws[position++ % DRAWS]]);
    return (double)(bench_now_ns() - from) / (double)batch;
}

static double time_missing(uint64_t batch, const bench_keys *missing)
{
    uint64_t value[4], bytes;
    uint64_t from = bench_now_ns();
    for (uint64_t i = 0; i < batch; i++) BENCH_CHECK(fc_get(session, &missing->keys[advance()], value, sizeof value, &bytes) == FC_MISS);
    return (double)(bench_now_ns() - from) / (double)batch;
}

static double time_single(void)
{
    const fc_key *key = &keys.keys[advance()];
    uint64_t value[4], bytes;
    uint64_t from = bench_ticks();
    fc_status status = fc_get(session, key, value, sizeof value, &bytes);
    double ns = bench_since(&b, from);
    BENCH_MUST(status);
    bench_value_take(&b, value);
    return ns;
}

/* Keys that hash into the same homes, and are not there. */
static bench_keys keys_missing(uint64_t seed)
{
    bench_keys missing = bench_keys_new(cache, keys.count, seed);
    for (uint64_t i = 0; i < missing.count; i++) {
        missing.texts[i][0] = 'm';
        BENCH_MUST(fc_key_init(cache, 0, missing.texts[i], BENCH_KEY_BYTES, &missing.keys[i]));
    }
    return missing;
}

int main(int argc, char **argv)
{
    bench_begin(&b, argc, argv);
    uint64_t count = bench_get_parameter(&b, "keys"), batch = bench_get_parameter(&b, "batch"), samples = bench_get_parameter(&b, "samples");
    uint64_t singles = bench_get_parameter(&b, "singles"), seed = bench_get_parameter(&b, "seed");
    fc_options options = bench_options_for(count);
    if (!bench_pin((uint32_t)bench_get_parameter(&b, "cpu"))) BENCH_SAY(&b, "not pinned");
    cache = bench_create(&b, &options);
    BENCH_MUST(fc_session_open(cache, &session));
    keys = bench_keys_new(cache, count, seed);
    bench_keys_fill(session, cache, count);
    bench_keys missing = keys_missing(seed);
    bench_samples hashed = bench_samples_new(samples), prepared = bench_samples_new(samples), absent = bench_samples_new(samples);
    bench_samples drawn = bench_samples_new(samples), single = bench_samples_new(singles);
    for (uint64_t i = 0; i < DRAWS; i++) draws[i] = (uint32_t)(bench_random(&seed) % count);
    for (uint64_t i = 0; i < count; i++) get_one(&keys.keys[i]);
    for (uint64_t i = 0; i < samples; i++) {
        bench_add(&hashed, time_hashed(batch));
        bench_add(&prepared, time_prepared(batch));
        bench_add(&drawn, time_drawn(batch));
        bench_add(&absent, time_missing(batch, &missing));
    }
    for (uint64_t i = 0; i < singles; i++) bench_add(&single, time_single());
    bench_figure(&b, "get, key hashed each time", "ns", &hashed, BENCH_P50_AT_MOST, 20);
    bench_figure(&b, "get, key prepared", "ns", &prepared, BENCH_P50_AT_MOST, 20);
    bench_figure(&b, "get, key prepared, drawn at random", "ns", &drawn, BENCH_NO_TARGET, 0);
    bench_figure(&b, "get of a missing key, prepared", "ns", &absent, BENCH_NO_TARGET, 0);
    bench_figure(&b, "get timed one by one, prepared, clock taken off", "ns", &single, BENCH_NO_TARGET, 0);
    BENCH_MUST(fc_cache_close(cache));
    bench_end(&b);
    return 0;
}
