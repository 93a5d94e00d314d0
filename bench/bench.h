/* bench.h -- what the benches share: parameters, clocks, samples, and how a figure is printed.
 *
 * Method       an operation of some tens of nanoseconds is timed in batches, one batch being one sample; a figure is the median of all
 *              samples, with p99, p99.9, maximum and minimum beside it. What is compared (with and without a writer, one process and
 *              two) takes turns within one run, so that a noisy neighbour meets both. Operations timed one by one have what the
 *              clock costs (the median of an empty measurement) taken off, and say so.
 * Parameters   --NAME VALUE for each row of the bench's table; --tiny for the second column (the test suite runs that), --json for one
 *              JSON object a line. The seed is fixed; the checksum of all that was read is printed, so that nothing is optimised away
 *              and two runs can be compared.
 * Left behind  nothing: segments are named by pid and unlinked at exit, children die with their parent.
 */
#ifndef FC_BENCH_H
#define FC_BENCH_H

#include <fincache.h>

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The sizes that the promised figures are about. */
#define BENCH_KEY_BYTES 16u
#define BENCH_VALUE_BYTES 32u

/* ------------------------------------------------------------------ failing */

#define BENCH_CHECK(condition)                                                              \
    do {                                                                                    \
        if (!(condition)) {                                                                 \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);   \
            exit(1);                                                                        \
        }                                                                                   \
    } while (0)

#define BENCH_MUST(expression) bench_must((expression), #expression, __FILE__, __LINE__)

static inline void bench_must(fc_status status, const char *expression, const char *file, int line)
{
    if (status == FC_OK) return;
    fprintf(stderr, "%s:%d: %s: %s (%s)\n", file, line, expression, fc_status_find(status)->name, fc_error_detail(status));
    exit(1);
}

/* ------------------------------------------------------------------ time, chance */

static inline uint64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* A counter for single operations. On x86-64 the cycle counter between fences: whole operations, nothing from before or after. */
static inline uint64_t bench_ticks(void)
{
#if defined(__x86_64__)
    __builtin_ia32_lfence();
    uint64_t ticks = __builtin_ia32_rdtsc();
    __builtin_ia32_lfence();
    return ticks;
#else
    return bench_now_ns();
#endif
}

/* The same without fences: between operations of a stream that are to overlap as they would without it. */
static inline uint64_t bench_ticks_between(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return bench_now_ns();
#endif
}

/* splitmix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014). */
static inline uint64_t bench_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* ------------------------------------------------------------------ parameters */

typedef struct bench_parameter {
    const char *name;
    uint64_t value;
    uint64_t tiny_value;
    const char *help;
} bench_parameter;

typedef struct bench {
    const char *name;
    const char *question;
    bench_parameter *parameters;   /* ends with a row without a name */
    int is_tiny;
    int is_json;
    uint64_t checksum;
    char command[1024];
    double tick_ns;                /* of bench_ticks */
    double tick_cost;              /* ticks that an empty measurement takes */
    double tick_between_cost;      /* ticks that bench_ticks_between takes */
} bench;

static inline uint64_t bench_get_parameter(const bench *b, const char *name)
{
    const bench_parameter *row = b->parameters;
    while (row->name != NULL && strcmp(row->name, name) != 0) row++;
    BENCH_CHECK(row->name != NULL);
    return row->value;
}

static inline void bench_usage(const bench *b)
{
    printf("%s\n\nusage: bench_%s [--tiny] [--json] [--NAME VALUE ...]\n", b->question, b->name);
    for (const bench_parameter *row = b->parameters; row->name != NULL; row++)
        printf("  --%-14s %s (default %llu, tiny %llu)\n", row->name, row->help, (unsigned long long)row->value, (unsigned long long)row->tiny_value);
}

static inline void bench_parse(bench *b, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        size_t used = strlen(b->command);
        snprintf(b->command + used, sizeof b->command - used, "%s%s", i > 0 ? " " : "", argv[i]);
        b->is_tiny |= strcmp(argv[i], "--tiny") == 0;
        b->is_json |= strcmp(argv[i], "--json") == 0;
    }
    for (bench_parameter *row = b->parameters; b->is_tiny && row->name != NULL; row++) row->value = row->tiny_value;
    for (int i = 1; i < argc; i++) {
        bench_parameter *row = b->parameters;
        if (strcmp(argv[i], "--tiny") == 0 || strcmp(argv[i], "--json") == 0) continue;
        while (row->name != NULL && (strncmp(argv[i], "--", 2) != 0 || strcmp(argv[i] + 2, row->name) != 0)) row++;
        if (row->name == NULL || i + 1 == argc) {
            bench_usage(b);
            exit(strcmp(argv[i], "--help") == 0 ? 0 : 2);
        }
        row->value = strtoull(argv[++i], NULL, 0);
    }
}

/* ------------------------------------------------------------------ the machine */

/* What follows `label` and a colon in a file of /proc; "unknown". */
static inline void bench_proc_line(const char *path, const char *label, char *text, size_t text_bytes)
{
    char line[512];
    FILE *file = fopen(path, "re");
    snprintf(text, text_bytes, "unknown");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, label, strlen(label)) != 0 || colon == NULL) continue;
        snprintf(text, text_bytes, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    if (file != NULL) fclose(file);
}

static inline void bench_machine(char *text, size_t text_bytes)
{
    char model[128];
    struct utsname name;
    double load[1] = {0};
    uname(&name);
    bench_proc_line("/proc/cpuinfo", "model name", model, sizeof model);
    if (getloadavg(load, 1) != 1) load[0] = -1;
    snprintf(text, text_bytes, "%s, %ld cores, %s %s, load %.1f", model, sysconf(_SC_NPROCESSORS_ONLN), name.sysname, name.release, load[0]);
}

/* Keeps the caller on the index-th processor it may use. 0 if that is not to be had. */
static inline int bench_pin(uint32_t index)
{
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) <= (int)index) return 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || index-- > 0) continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        return sched_setaffinity(0, sizeof one, &one) == 0;
    }
    return 0;
}

/* ------------------------------------------------------------------ samples and figures */

typedef struct bench_samples {
    double *values;
    uint64_t count;
    uint64_t capacity;
} bench_samples;

static inline bench_samples bench_samples_new(uint64_t capacity)
{
    bench_samples samples = {.values = calloc(capacity, sizeof(double)), .capacity = capacity};
    BENCH_CHECK(samples.values != NULL);
    return samples;
}

static inline void bench_add(bench_samples *samples, double value)
{
    BENCH_CHECK(samples->count < samples->capacity);
    samples->values[samples->count++] = value;
}

static inline int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double bench_quantile(const bench_samples *samples, double quantile)
{
    return samples->values[(uint64_t)(quantile * (double)(samples->count - 1) + 0.5)];
}

/* Which of a figure's numbers is held against its target. */
typedef enum bench_judged { BENCH_NO_TARGET, BENCH_P50_AT_MOST, BENCH_P50_AT_LEAST, BENCH_P99_AT_MOST } bench_judged;

static inline void bench_json_text(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++)
        if (*text == '"' || *text == '\\') printf("\\%c", *text);
        else putchar((unsigned char)*text < ' ' ? ' ' : *text);
    putchar('"');
}

/* Sorts the samples and prints one figure. */
static inline void bench_figure(const bench *b, const char *figure, const char *unit, bench_samples *samples, bench_judged judged, double target)
{
    BENCH_CHECK(samples->count > 0);
    qsort(samples->values, samples->count, sizeof(double), bench_compare);
    double p50 = bench_quantile(samples, 0.5), p99 = bench_quantile(samples, 0.99), p999 = bench_quantile(samples, 0.999);
    double least = samples->values[0], most = samples->values[samples->count - 1];
    int met = judged == BENCH_P50_AT_LEAST ? p50 >= target : (judged == BENCH_P99_AT_MOST ? p99 : p50) <= target;
    const char *verdict = judged == BENCH_NO_TARGET ? "" : met ? "met" : "missed";
    const char *relation = judged == BENCH_P50_AT_LEAST ? ">=" : "<=";
    if (b->is_json) {
        printf("{\"bench\": \"%s\", \"figure\": ", b->name);
        bench_json_text(figure);
        printf(", \"unit\": \"%s\", \"min\": %.3f, \"p50\": %.3f, \"p99\": %.3f, \"p99.9\": %.3f, \"max\": %.3f, \"samples\": %llu", unit, least, p50, p99,
               p999, most, (unsigned long long)samples->count);
        if (judged != BENCH_NO_TARGET)
            printf(", \"judged\": \"%s\", \"relation\": \"%s\", \"target\": %g, \"met\": %s", judged == BENCH_P99_AT_MOST ? "p99" : "p50", relation, target,
                   met ? "true" : "false");
        printf("}\n");
    } else {
        printf("  %-52s p50 %9.2f  p99 %9.2f  p99.9 %9.2f  max %11.2f  min %9.2f  %-5s", figure, p50, p99, p999, most, least, unit);
        if (judged != BENCH_NO_TARGET) printf("  %s%s %g: %s", judged == BENCH_P99_AT_MOST ? "p99 " : "", relation, target, verdict);
        printf("\n");
    }
    fflush(stdout);
}

/* A figure that is one number, such as bytes a key. */
static inline void bench_number(const bench *b, const char *figure, const char *unit, double value, bench_judged judged, double target)
{
    bench_samples one = {.values = &value, .count = 1, .capacity = 1};
    bench_figure(b, figure, unit, &one, judged, target);
}

/* ------------------------------------------------------------------ beginning and end */

static inline void bench_calibrate(bench *b)
{
    bench_samples costs = bench_samples_new(1001);
    for (uint64_t i = 0; i < costs.capacity; i++) {
        uint64_t before = bench_ticks();
        bench_add(&costs, (double)(bench_ticks() - before));
    }
    qsort(costs.values, costs.count, sizeof(double), bench_compare);
    b->tick_cost = bench_quantile(&costs, 0.5);
    free(costs.values);
    uint64_t first = bench_ticks_between(), last = first;
    for (uint64_t i = 0; i < 1000; i++) last = bench_ticks_between();
    b->tick_between_cost = (double)(last - first) / 1000;
    uint64_t ticks = bench_ticks(), from = bench_now_ns(), to = from;
    while (to - from < (b->is_tiny ? 2000000u : 20000000u)) to = bench_now_ns();
    b->tick_ns = (double)(to - from) / (double)(bench_ticks() - ticks);
}

/* Nanoseconds of one operation that began at `before`, without the measurement's own. */
static inline double bench_since(const bench *b, uint64_t before)
{
    double ticks = (double)(bench_ticks() - before) - b->tick_cost;
    return ticks > 0 ? ticks * b->tick_ns : 0;
}

static inline void bench_begin(bench *b, int argc, char **argv)
{
    char machine[512];
    bench_parse(b, argc, argv);
    bench_calibrate(b);
    bench_machine(machine, sizeof machine);
    if (b->is_json) {
        printf("{\"bench\": \"%s\", \"question\": ", b->name);
        bench_json_text(b->question);
        printf(", \"machine\": ");
        bench_json_text(machine);
        printf(", \"version\": \"%s\", \"command\": ", fc_version());
        bench_json_text(b->command);
        for (const bench_parameter *row = b->parameters; row->name != NULL; row++)
            printf(", \"%s\": %llu", row->name, (unsigned long long)row->value);
        printf("}\n");
    } else {
        printf("%s\n  %s; FinCache %s\n  %s;", b->question, machine, fc_version(), b->command);
        for (const bench_parameter *row = b->parameters; row->name != NULL; row++) printf(" %s %llu", row->name, (unsigned long long)row->value);
        printf("\n");
    }
    fflush(stdout);
}

static inline void bench_end(const bench *b)
{
    if (b->is_json) printf("{\"bench\": \"%s\", \"checksum\": \"%016llx\"}\n", b->name, (unsigned long long)b->checksum);
    else printf("  checksum %016llx\n", (unsigned long long)b->checksum);
}

/* A remark that belongs to the figures, such as what the kernel gave. */
#define BENCH_SAY(b, ...)                             \
    do {                                              \
        char bench_text[512];                         \
        snprintf(bench_text, sizeof bench_text, __VA_ARGS__); \
        bench_say((b), bench_text);                   \
    } while (0)

static inline void bench_say(const bench *b, const char *text)
{
    if (b->is_json) {
        printf("{\"bench\": \"%s\", \"note\": ", b->name);
        bench_json_text(text);
        printf("}\n");
    } else printf("  %s\n", text);
    fflush(stdout);
}

/* ------------------------------------------------------------------ segments */

static char bench_segment[64];
static pid_t bench_segment_pid;

static inline void bench_unlink(void)
{
    if (bench_segment[0] != '\0' && getpid() == bench_segment_pid) (void)fc_cache_unlink(bench_segment);
    bench_segment[0] = '\0';
}

static inline void bench_stopped(int signal_number)
{
    bench_unlink();
    _exit(128 + signal_number);
}

/* Creates a segment for `keys` keys of the bench's sizes, in memory from the start. Unlinked at exit, or by bench_unlink. */
static inline fc_cache *bench_create(const bench *b, const fc_options *options)
{
    static int is_registered;
    fc_cache *cache = NULL;
    bench_unlink();
    snprintf(bench_segment, sizeof bench_segment, "bench-%s-%d", b->name, (int)getpid());
    bench_segment_pid = getpid();
    if (!is_registered) {
        is_registered = 1;
        atexit(bench_unlink);
        signal(SIGINT, bench_stopped);
        signal(SIGTERM, bench_stopped);
    }
    fc_status status = fc_cache_create(bench_segment, options, &cache);
    if (status != FC_OK) bench_segment[0] = '\0';
    BENCH_MUST(status);
    return cache;
}

/* A segment in which `keys` keys of the promised sizes fit with some room. */
static inline fc_options bench_options_for(uint64_t keys)
{
    fc_options options;
    fc_options_init(&options);
    options.size_bytes = (UINT64_C(8) << 20) + keys * 144;
    options.item_bytes = BENCH_KEY_BYTES + BENCH_VALUE_BYTES;
    options.keys = keys;
    options.hash_seed = 1;
    options.prefault = 1;
    return options;
}

/* Key number i: 16 characters. */
static inline void bench_key_text(uint64_t i, char *text)
{
    memcpy(text, "key:", 4);
    for (int at = 15; at >= 4; at--, i /= 10) text[at] = (char)('0' + i % 10);
}

/* A value whose 4 words say which key they belong to and which write they are of; bench_value_sum of a torn one would not. */
static inline void bench_value_fill(uint64_t *words, uint64_t i, uint64_t count)
{
    words[0] = i;
    words[1] = count;
    words[2] = i ^ count;
    words[3] = ~words[2];
}

/* Adds the value to the checksum, after looking whether it is whole. */
static inline void bench_value_take(bench *b, const uint64_t *words)
{
    BENCH_CHECK(words[2] == (words[0] ^ words[1]) && words[3] == ~words[2]);
    b->checksum += words[0] * 31 + words[3];
}

/* Prepared keys 0 to count - 1 in random order, texts included, in one allocation. */
typedef struct bench_keys {
    char (*texts)[BENCH_KEY_BYTES];
    fc_key *keys;
    uint64_t count;
} bench_keys;

static inline bench_keys bench_keys_new(const fc_cache *cache, uint64_t count, uint64_t seed)
{
    bench_keys all = {.texts = malloc(count * sizeof *all.texts), .keys = malloc(count * sizeof *all.keys), .count = count};
    uint64_t *order = malloc(count * sizeof *order);
    BENCH_CHECK(all.texts != NULL && all.keys != NULL && order != NULL);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t other = bench_random(&seed) % (i + 1);
        order[i] = order[other];
        order[other] = i;
    }
    for (uint64_t i = 0; i < count; i++) {
        bench_key_text(order[i], all.texts[i]);
        BENCH_MUST(fc_key_init(cache, 0, all.texts[i], BENCH_KEY_BYTES, &all.keys[i]));
    }
    free(order);
    return all;
}

static inline void bench_keys_fill(fc_session *session, const fc_cache *cache, uint64_t count)
{
    uint64_t value[4];
    char text[BENCH_KEY_BYTES];
    fc_key key;
    for (uint64_t i = 0; i < count; i++) {
        bench_key_text(i, text);
        bench_value_fill(value, i, 0);
        BENCH_MUST(fc_key_init(cache, 0, text, sizeof text, &key));
        BENCH_MUST(fc_set(session, &key, value, sizeof value, NULL, NULL));
    }
}

/* ------------------------------------------------------------------ other processes */

/* Words that parent and children share, besides the segment. */
static inline uint64_t *bench_shared_words(uint64_t count)
{
    void *words = mmap(NULL, count * 8, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    BENCH_CHECK(words != MAP_FAILED);
    return words;
}

static inline uint64_t bench_word(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline void bench_word_set(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }

/* Waits until the word has the value; gives the processor away, for there may be one only. */
static inline void bench_word_await(const uint64_t *word, uint64_t value)
{
    while (bench_word(word) != value) sched_yield();
}

/* fork; the child dies with its parent. */
static inline pid_t bench_fork(void)
{
    fflush(stdout);
    pid_t parent = getpid();
    pid_t child = fork();
    BENCH_CHECK(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        if (getppid() != parent) _exit(1);
    }
    return child;
}

/* Kills a child that bench_fork made, and waits for it. */
static inline void bench_kill(pid_t child)
{
    kill(child, SIGKILL);
    BENCH_CHECK(waitpid(child, NULL, 0) == child);
}

#endif
