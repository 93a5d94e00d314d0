/* bench_cut.c -- what does it take to read 500 records as they stood at one instant, alone and while another process writes them?
 *
 * Method   500 keys of 16 bytes with records of 64 bytes, prepared, in random order, in a segment with room for 10000. One sample is one
 *          fc_get_cut of all of them. A child process on the other processor sets random ones of these keys: every `pause` nanoseconds,
 *          or without a pause; it stops and goes on at the parent's word, so that the kinds of samples take turns. fc_get_many of the
 *          same keys, which promises no instant, shows what the instant costs.
 *          Every record holds its key's number, the number of its write, and words tied to both; each cut is checked for torn ones.
 *          Both processes must run at once: on one processor, or a busy machine, the figures with a writer say little. The writer's rate
 *          and the keys read anew are printed.
 * Command  build/release/bench/bench_cut  or bench/run_benches.py cut
 */
#include "bench.h"

#define RECORD_WORDS 8u

static bench_parameter parameters[] = {
    {"keys", 500, 50, "keys in a cut, all of them written"},
    {"room", 10000, 1000, "keys the segment is made for"},
    {"pause", 400, 400, "ns between two sets of the slower writer"},
    {"samples", 2000, 20, "cuts of each kind"},
    {"seed", 1, 1, "of the order"},
    {NULL, 0, 0, NULL},
};

static bench b = {.name = "cut", .question = "What does a consistent cut of 500 records cost, alone and under a writer?", .parameters = parameters};

enum { WORD_READY = 0, WORD_MODE = 8, WORD_SEEN = 16, WORD_WRITES = 24, WORD_COUNT = 32 }; /* a cache line apart */
enum { MODE_IDLE, MODE_PACED, MODE_FULL, MODE_COUNT };

static fc_cache *cache;
static fc_session *session;
static uint64_t *words;
static bench_keys keys;

static void set_record(fc_session *writer, uint64_t i, uint64_t count)
{
    uint64_t record[RECORD_WORDS];
    bench_value_fill(record, i, count);
    bench_value_fill(record + 4, i, count);
    if (fc_set(writer, &keys.keys[i], record, sizeof record, NULL, NULL) != FC_OK) _exit(1);
}

static void write_for_ever(void)
{
    fc_session *writer;
    uint64_t writes = 0, random = 7, mode = MODE_IDLE, due = 0, pause = bench_get_parameter(&b, "pause");
    (void)bench_pin(1);
    if (fc_session_open(cache, &writer) != FC_OK) _exit(1);
    bench_word_set(&words[WORD_READY], 1);
    for (;;) {
        uint64_t wanted = bench_word(&words[WORD_MODE]);
        if (wanted != mode) bench_word_set(&words[WORD_SEEN], mode = wanted);
        if (mode == MODE_IDLE) {
            sched_yield();
            continue;
        }
        if (mode == MODE_PACED) {
            while (bench_now_ns() < due) {}
            due = bench_now_ns() + pause;
        }
        set_record(writer, bench_random(&random) % keys.count, ++writes);
        bench_word_set(&words[WORD_WRITES], writes);
    }
}

static void set_mode(uint64_t mode)
{
    bench_word_set(&words[WORD_MODE], mode);
    bench_word_await(&words[WORD_SEEN], mode);
}

static double time_reads(fc_status (*read)(fc_session *, const fc_key *, fc_read *, uint64_t), fc_read *reads, uint64_t *contended_count)
{
    uint64_t from = bench_now_ns();
    fc_status status = read(session, keys.keys, reads, keys.count);
    double us = (double)(bench_now_ns() - from) / 1000;
    if (status == FC_CONTENDED) ++*contended_count;
    else BENCH_MUST(status);
    for (uint64_t i = 0; i < keys.count && status == FC_OK; i++) {
        const uint64_t *record = reads[i].buffer;
        BENCH_CHECK(reads[i].status == FC_OK && reads[i].value_bytes == RECORD_WORDS * 8 && memcmp(record, record + 4, 32) == 0 && record[0] == i);
        bench_value_take(&b, record);
    }
    return us;
}

int main(int argc, char **argv)
{
    static const char *names[MODE_COUNT] = {"cut", "cut, one of the keys set every 400 ns", "cut, keys set at full rate"};
    bench_begin(&b, argc, argv);
    uint64_t count = bench_get_parameter(&b, "keys"), sample_count = bench_get_parameter(&b, "samples");
    fc_options options = bench_options_for(bench_get_parameter(&b, "room"));
    words = bench_shared_words(WORD_COUNT);
    cache = bench_create(&b, &options);
    keys = bench_keys_new(cache, count, bench_get_parameter(&b, "seed"));
    fc_read *reads = calloc(count, sizeof *reads);
    uint64_t *records = calloc(count, RECORD_WORDS * 8);
    BENCH_CHECK(reads != NULL && records != NULL);
    for (uint64_t i = 0; i < count; i++) reads[i] = (fc_read){.buffer = records + i * RECORD_WORDS, .buffer_bytes = RECORD_WORDS * 8};
    pid_t writer = bench_fork();
    if (writer == 0) write_for_ever();
    if (!bench_pin(0)) BENCH_SAY(&b, "not pinned");
    BENCH_MUST(fc_session_open(cache, &session));
    for (uint64_t i = 0; i < count; i++) set_record(session, i, 0);
    bench_word_await(&words[WORD_READY], 1);
    bench_samples many = bench_samples_new(sample_count), cuts[MODE_COUNT];
    uint64_t contended_count[MODE_COUNT] = {0}, retries[MODE_COUNT] = {0}, busy_ns[MODE_COUNT] = {0}, writes[MODE_COUNT] = {0};
    for (int mode = 0; mode < MODE_COUNT; mode++) cuts[mode] = bench_samples_new(sample_count);
    for (uint64_t done = 0; done < sample_count;) {
        uint64_t batch = sample_count - done < 20 ? sample_count - done : 20;
        for (uint64_t mode = 0; mode < MODE_COUNT; mode++) {
            fc_stats before, after;
            set_mode(mode);
            BENCH_MUST(fc_session_stats(session, &before));
            uint64_t from = bench_now_ns(), writes_from = bench_word(&words[WORD_WRITES]);
            for (uint64_t i = 0; i < batch; i++) bench_add(&cuts[mode], time_reads(fc_get_cut, reads, &contended_count[mode]));
            busy_ns[mode] += bench_now_ns() - from;
            writes[mode] += bench_word(&words[WORD_WRITES]) - writes_from;
            BENCH_MUST(fc_session_stats(session, &after));
            retries[mode] += after.read_retries - before.read_retries;
        }
        set_mode(MODE_IDLE);
        for (uint64_t i = 0; i < batch; i++) bench_add(&many, time_reads(fc_get_many, reads, &contended_count[MODE_IDLE]));
        done += batch;
    }
    bench_kill(writer);
    for (int mode = MODE_PACED; mode < MODE_COUNT; mode++)
        BENCH_SAY(&b, "%s: one every %.0f ns, %.1f keys read anew in a cut, %llu cuts contended", names[mode],
                  (double)busy_ns[mode] / (double)(writes[mode] > 0 ? writes[mode] : 1), (double)retries[mode] / (double)sample_count,
                  (unsigned long long)contended_count[mode]);
    bench_figure(&b, names[MODE_IDLE], "us", &cuts[MODE_IDLE], BENCH_P50_AT_MOST, 12);
    bench_figure(&b, names[MODE_PACED], "us", &cuts[MODE_PACED], BENCH_P50_AT_MOST, 60);
    bench_figure(&b, names[MODE_FULL], "us", &cuts[MODE_FULL], BENCH_NO_TARGET, 0);
    bench_figure(&b, "get_many of the same keys, writer idle", "us", &many, BENCH_NO_TARGET, 0);
    BENCH_MUST(fc_cache_close(cache));
    bench_end(&b);
    return 0;
}
