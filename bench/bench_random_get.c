/* bench_random_get.c -- what does a get cost when table and values are far larger than any cache, one by one and with fc_get_many?
 *
 * Method   `keys` keys of 16 + 32 bytes; each sample reads a batch of keys drawn at random, whose texts were written just before, out of
 *          the timed part. Hashing is timed: fc_key_init + fc_get, and fc_key_init for all + fc_get_many. The two take turns.
 *          With --huge 1 the segment asks for huge pages; how many bytes of it the kernel backs with them is printed, and the figure
 *          is held against the target for huge pages only if that is nearly all.
 *          For scale, in the same turns: what one load from a random line of as much private memory costs, each waiting for the one
 *          before, in pages of the same kind. A get has two such loads to wait for, bucket and block.
 *          --advise 1 (root, by hand) sets /sys/kernel/mm/transparent_hugepage/shmem_enabled to `advise` while the segment is
 *          made, and puts back what was there.
 * Command  build/release/bench/bench_random_get [--huge 1]         or bench/run_benches.py random_get
 */
#include "bench.h"

#define SHMEM_ENABLED "/sys/kernel/mm/transparent_hugepage/shmem_enabled"

static bench_parameter parameters[] = {
    {"keys", 10000000, 20000, "keys in the segment"},
    {"huge", 0, 0, "1: ask for huge pages"},
    {"advise", 0, 0, "1: set shmem_enabled to advise meanwhile"},
    {"batch", 1024, 128, "gets in a sample"},
    {"group", 256, 64, "keys in one fc_get_many"},
    {"samples", 3000, 20, "samples"},
    {"seed", 1, 1, "of the draws"},
    {"cpu", 0, 0, "processor to stay on"},
    {NULL, 0, 0, NULL},
};

static bench b = {.name = "random_get", .question = "What does a random get cost when nothing is in a cache?", .parameters = parameters};

static fc_cache *cache;
static fc_session *session;
static uint64_t key_count, batch, group, state;
static char (*texts)[BENCH_KEY_BYTES];
static fc_key *keys;
static fc_read *reads;
static uint64_t (*values)[4];

/* ------------------------------------------------------------------ the kernel's setting */

static char former_setting[32];

static int write_setting(const char *setting)
{
    FILE *file = fopen(SHMEM_ENABLED, "we");
    if (file == NULL) return 0;
    int written = fputs(setting, file) >= 0;
    return (fclose(file) == 0) & written;
}

static void restore_setting(void)
{
    if (former_setting[0] != '\0') (void)write_setting(former_setting);
    former_setting[0] = '\0';
}

/* The word in [brackets] is the one in force. */
static void advise_setting(void)
{
    char line[128];
    FILE *file = fopen(SHMEM_ENABLED, "re");
    if (file == NULL || fgets(line, sizeof line, file) == NULL || sscanf(line, "%*[^[][%31[a-z_]", former_setting) != 1) former_setting[0] = '\0';
    if (file != NULL) fclose(file);
    atexit(restore_setting);
    if (former_setting[0] != '\0' && write_setting("advise")) BENCH_SAY(&b, "shmem_enabled was %s and is advise until the segment is filled", former_setting);
    else BENCH_SAY(&b, "shmem_enabled could not be set");
}

/* ------------------------------------------------------------------ timing */

static void draw(void)
{
    for (uint64_t i = 0; i < batch; i++) bench_key_text(bench_random(&state) % key_count, texts[i]);
}

static void take_values(void)
{
    for (uint64_t i = 0; i < batch; i++) bench_value_take(&b, values[i]);
}

static double time_single(void)
{
    fc_key key;
    uint64_t bytes;
    draw();
    uint64_t from = bench_now_ns();
    for (uint64_t i = 0; i < batch; i++) {
        BENCH_MUST(fc_key_init(cache, 0, texts[i], BENCH_KEY_BYTES, &key));
        BENCH_MUST(fc_get(session, &key, values[i], sizeof values[i], &bytes));
    }
    double ns = (double)(bench_now_ns() - from) / (double)batch;
    take_values();
    return ns;
}

static double time_many(void)
{
    draw();
    uint64_t from = bench_now_ns();
    for (uint64_t at = 0; at < batch; at += group) {
        uint64_t count = batch - at < group ? batch - at : group;
        for (uint64_t i = 0; i < count; i++) {
            BENCH_MUST(fc_key_init(cache, 0, texts[at + i], BENCH_KEY_BYTES, &keys[i]));
            reads[i] = (fc_read){.buffer = values[at + i], .buffer_bytes = sizeof values[0]};
        }
        BENCH_MUST(fc_get_many(session, keys, reads, count));
        for (uint64_t i = 0; i < count; i++) BENCH_MUST(reads[i].status);
    }
    double ns = (double)(bench_now_ns() - from) / (double)batch;
    take_values();
    return ns;
}

/* ------------------------------------------------------------------ for scale */

static const uint64_t *plain_memory;
static uint64_t plain_words;

static void make_plain_memory(uint64_t bytes, int is_huge)
{
    uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    BENCH_CHECK(memory != MAP_FAILED);
    (void)madvise(memory, bytes, is_huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    for (uint64_t at = 0; at < bytes; at += 4096) memory[at] = 1;
    plain_memory = (const uint64_t *)memory;
    plain_words = bytes / 8;
}

static double time_load(void)
{
    static uint64_t at;
    uint64_t from = bench_now_ns();
    for (uint64_t i = 0; i < batch; i++) {
        uint64_t place = bench_random(&at) % plain_words;
        at += plain_memory[place];
    }
    return (double)(bench_now_ns() - from) / (double)batch;
}

/* ------------------------------------------------------------------ */

static void *allocate(uint64_t count, uint64_t bytes)
{
    void *memory = calloc(count, bytes);
    BENCH_CHECK(memory != NULL);
    return memory;
}

/* 1 if huge pages back nearly all of the segment. */
static int report_pages(void)
{
    fc_cache_info info;
    BENCH_MUST(fc_cache_describe(cache, &info));
    BENCH_SAY(&b, "segment of %llu MiB, %llu MiB of it in huge pages", (unsigned long long)(info.size_bytes >> 20), (unsigned long long)(info.huge_bytes >> 20));
    return info.huge_bytes >= info.size_bytes / 10 * 9;
}

int main(int argc, char **argv)
{
    bench_begin(&b, argc, argv);
    key_count = bench_get_parameter(&b, "keys");
    batch = bench_get_parameter(&b, "batch");
    group = bench_get_parameter(&b, "group");
    state = bench_get_parameter(&b, "seed");
    uint64_t samples = bench_get_parameter(&b, "samples");
    BENCH_CHECK(batch > 0 && group > 0 && key_count > 0);
    if (!bench_pin((uint32_t)bench_get_parameter(&b, "cpu"))) BENCH_SAY(&b, "not pinned");
    if (bench_get_parameter(&b, "advise") != 0) advise_setting();
    fc_options options = bench_options_for(key_count);
    options.huge_pages = bench_get_parameter(&b, "huge") != 0;
    cache = bench_create(&b, &options);
    BENCH_MUST(fc_session_open(cache, &session));
    uint64_t from = bench_now_ns();
    bench_keys_fill(session, cache, key_count);
    BENCH_SAY(&b, "filled in %.0f ns a key", (double)(bench_now_ns() - from) / (double)key_count);
    restore_setting();
    int is_huge = report_pages();
    make_plain_memory(options.size_bytes, is_huge);
    texts = allocate(batch, sizeof *texts);
    values = allocate(batch, sizeof *values);
    keys = allocate(group, sizeof *keys);
    reads = allocate(group, sizeof *reads);
    bench_samples single = bench_samples_new(samples), many = bench_samples_new(samples), load = bench_samples_new(samples);
    for (uint64_t i = 0; i < samples; i++) {
        bench_add(&single, time_single());
        bench_add(&many, time_many());
        bench_add(&load, time_load());
    }
    bench_figure(&b, is_huge ? "random get, huge pages" : "random get, 4-KiB pages", "ns", &single, BENCH_P50_AT_MOST, is_huge ? 150 : 240);
    bench_figure(&b, is_huge ? "random get_many a key, huge pages" : "random get_many a key, 4-KiB pages", "ns", &many, BENCH_P50_AT_MOST, 60);
    bench_figure(&b, is_huge ? "for scale: a random load, huge pages" : "for scale: a random load, 4-KiB pages", "ns", &load, BENCH_NO_TARGET, 0);
    BENCH_MUST(fc_cache_close(cache));
    bench_end(&b);
    return 0;
}
