/* bench_scaling.c -- how much more do two reading processes get done than one?
 *
 * Method   Reader processes get 1024 keys of 16 + 32 bytes in random order, each pinned to a processor of its own. Rounds of one reader
 *          and rounds of all readers take turns; a sample is the ratio of two neighbouring rounds. By wall clock: what the machine
 *          gave (another program on a processor shows as a lower ratio). By processor time: gets per second of processor time, summed
 *          over the readers: what is lost to sharing memory and, where two "processors" are threads of one core, to sharing that.
 *          The control tells these apart: the same rounds with a segment for each reader, in which nothing at all is shared.
 * Command  build/release/bench/bench_scaling        or bench/run_benches.py scaling
 */
#include "bench.h"

static bench_parameter parameters[] = {
    {"keys", 1024, 64, "keys in the segment"},
    {"readers", 2, 2, "processes"},
    {"round_ms", 20, 2, "length of a round"},
    {"rounds", 100, 3, "pairs of rounds"},
    {"seed", 1, 1, "of the order"},
    {NULL, 0, 0, NULL},
};

static bench b = {.name = "scaling", .question = "How much more do two reading processes get done than one?", .parameters = parameters};

/* What a reader and the parent tell each other, a cache line for each reader. */
typedef struct reader {
    uint64_t ready;
    uint64_t go;               /* number of the round to read in; 0: none */
    uint64_t done;             /* number of the last round that ended */
    uint64_t gets;             /* in that round */
    uint64_t wall_ns;
    uint64_t cpu_ns;
    uint64_t checksum;
    uint64_t pad;
} reader;

/* The segment all share, and each reader's own. */
typedef struct table {
    fc_cache *cache;
    fc_session *session;
    bench_keys keys;
} table;

static uint64_t cpu_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void read_round(const table *from_table, reader *me, uint64_t round_ns)
{
    uint64_t gets = 0, next = 0, value[4], bytes;
    uint64_t cpu_from = cpu_now_ns(), from = bench_now_ns(), to = from;
    while (to - from < round_ns) {
        for (uint32_t i = 0; i < 1000; i++) {
            next = next + 1 == from_table->keys.count ? 0 : next + 1;
            if (fc_get(from_table->session, &from_table->keys.keys[next], value, sizeof value, &bytes) != FC_OK) _exit(1);
            b.checksum += value[0] ^ value[3];
        }
        gets += 1000;
        to = bench_now_ns();
    }
    me->gets = gets;
    me->wall_ns = to - from;
    me->cpu_ns = cpu_now_ns() - cpu_from;
    me->checksum = b.checksum;
}

static void make_table(table *made, const char *suffix, uint64_t count)
{
    char name[64];
    fc_session *session;
    fc_options options = bench_options_for(count);
    snprintf(name, sizeof name, "bench-scaling-%d-%s", (int)getpid(), suffix);
    BENCH_MUST(fc_cache_create(name, &options, &made->cache));
    fc_status status = fc_session_open(made->cache, &session);
    if (status == FC_OK) made->session = session;
    BENCH_MUST(fc_cache_unlink(name));
    BENCH_MUST(status);
    made->keys = bench_keys_new(made->cache, count, bench_get_parameter(&b, "seed"));
    bench_keys_fill(session, made->cache, count);
}

/* Rounds with an odd number are read from the shared table, the others from the reader's own. */
static void read_for_ever(reader *me, uint32_t index, table *shared, uint64_t round_ns)
{
    table own;
    if (!bench_pin(index)) BENCH_SAY(&b, "reader %u is not pinned", index);
    BENCH_MUST(fc_session_open(shared->cache, &shared->session));
    make_table(&own, "own", shared->keys.count);
    bench_word_set(&me->ready, 1);
    for (uint64_t round = 0;;) {
        uint64_t wanted = bench_word(&me->go);
        if (wanted == round) {
            sched_yield();
            continue;
        }
        round = wanted;
        read_round(round % 2 == 1 ? shared : &own, me, round_ns);
        bench_word_set(&me->done, round);
    }
}

/* Lets the first `count` readers read for a round; sums their gets per second. */
static void run_round(reader *readers, uint64_t count, uint64_t round, double *by_wall, double *by_cpu)
{
    *by_wall = *by_cpu = 0;
    for (uint64_t i = 0; i < count; i++) bench_word_set(&readers[i].go, round);
    for (uint64_t i = 0; i < count; i++) {
        while (bench_word(&readers[i].done) != round) usleep(200);
        *by_wall += (double)readers[i].gets * 1e9 / (double)readers[i].wall_ns;
        *by_cpu += (double)readers[i].gets * 1e9 / (double)(readers[i].cpu_ns > 0 ? readers[i].cpu_ns : 1);
    }
}

/* One pair of rounds, of one reader and of all. */
static void run_pair(reader *readers, uint64_t count, uint64_t round, bench_samples *wall, bench_samples *cpu, double *one_wall, double *all_wall)
{
    double one_cpu, all_cpu;
    run_round(readers, 1, round, one_wall, &one_cpu);
    run_round(readers, count, round + 2, all_wall, &all_cpu);
    bench_add(wall, *all_wall / *one_wall);
    bench_add(cpu, all_cpu / one_cpu);
}

int main(int argc, char **argv)
{
    bench_begin(&b, argc, argv);
    uint64_t count = bench_get_parameter(&b, "keys"), rounds = bench_get_parameter(&b, "rounds"), round_ns = bench_get_parameter(&b, "round_ms") * 1000000;
    uint64_t reader_count = bench_get_parameter(&b, "readers");
    table shared = {0};
    fc_options options = bench_options_for(count);
    reader *readers = (reader *)bench_shared_words(reader_count * sizeof(reader) / 8);
    pid_t *children = calloc(reader_count, sizeof *children);
    BENCH_CHECK(children != NULL && reader_count > 0);
    shared.cache = bench_create(&b, &options);
    shared.keys = bench_keys_new(shared.cache, count, bench_get_parameter(&b, "seed"));
    BENCH_MUST(fc_session_open(shared.cache, &shared.session));
    bench_keys_fill(shared.session, shared.cache, count);
    for (uint32_t i = 0; i < reader_count; i++) {
        children[i] = bench_fork();
        if (children[i] == 0) read_for_ever(&readers[i], i, &shared, round_ns);
    }
    for (uint64_t i = 0; i < reader_count; i++) bench_word_await(&readers[i].ready, 1);
    bench_samples wall = bench_samples_new(rounds), cpu = bench_samples_new(rounds), alone = bench_samples_new(rounds), together = bench_samples_new(rounds);
    bench_samples own_wall = bench_samples_new(rounds), own_cpu = bench_samples_new(rounds), against_own = bench_samples_new(rounds);
    for (uint64_t i = 0; i < rounds; i++) {
        double one, all, own_one, own_all;
        run_pair(readers, reader_count, 4 * i + 1, &wall, &cpu, &one, &all);
        run_pair(readers, reader_count, 4 * i + 2, &own_wall, &own_cpu, &own_one, &own_all);
        bench_add(&alone, one / 1e6);
        bench_add(&together, all / 1e6);
        bench_add(&against_own, cpu.values[i] / own_cpu.values[i]);
    }
    for (uint64_t i = 0; i < reader_count; i++) {
        bench_kill(children[i]);
        b.checksum += readers[i].checksum;
    }
    double target = 0.95 * (double)reader_count;
    bench_figure(&b, "all readers against one, by wall clock", "x", &wall, BENCH_P50_AT_LEAST, target);
    bench_figure(&b, "all readers against one, by processor time", "x", &cpu, BENCH_P50_AT_LEAST, target);
    bench_figure(&b, "control, nothing shared, by wall clock", "x", &own_wall, BENCH_NO_TARGET, 0);
    bench_figure(&b, "control, nothing shared, by processor time", "x", &own_cpu, BENCH_NO_TARGET, 0);
    bench_figure(&b, "shared against nothing shared, by processor time", "x", &against_own, BENCH_P50_AT_LEAST, 0.95);
    bench_figure(&b, "one reader, million gets a second", "M/s", &alone, BENCH_NO_TARGET, 0);
    bench_figure(&b, "all readers, million gets a second", "M/s", &together, BENCH_NO_TARGET, 0);
    BENCH_MUST(fc_cache_close(shared.cache));
    bench_end(&b);
    return 0;
}
