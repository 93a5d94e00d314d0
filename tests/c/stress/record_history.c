/* record_history.c -- lets some processes work on a few keys and writes down who called what when, and what it got (P4, P5).
 *
 *     record_history --directory DIR [--histories N] [--processes N] [--operations N] [--keys N] [--kills N] [--multi 0|1] [--seed N]
 *
 * Writes DIR/history.0.txt and so on, one operation a line, for tests/linearizability.py:
 *     process operation keys argument invoked_ns returned_ns status result version
 * `-` stands for nothing; an operation whose process was killed has neither returned_ns nor status. Each line is first kept in memory
 * that survives the process. Without arguments it records one small history of each kind in a directory of its own, and removes it.
 *
 * Time       CLOCK_MONOTONIC, which all processors agree on. An operation has returned when its stores can be seen by others, not while
 *            they wait in the store buffer of its processor: a full fence stands before the second look at the clock. (Who learns of the
 *            return through memory learns it after those stores in any case; only a clock could tell the difference.)
 */
#include "stress.h"

#include "base/clock.h"

#include <dirent.h>
#include <limits.h>
#include <sched.h>

#define LINES_MAX 20000u
#define KEYS_MAX 8u
#define TEXT_BYTES 120u
#define GROUP_MAX 3u

typedef struct line {
    uint64_t invoked_ns;
    uint64_t returned_ns;      /* 0: pending */
    uint64_t version;
    uint32_t process;
    uint32_t status;
    char operation[12];
    char keys[24];
    char argument[TEXT_BYTES];
    char result[TEXT_BYTES];
} line;

typedef struct history {
    uint64_t line_count;
    line lines[LINES_MAX];
} history;

typedef struct settings {
    const char *directory;
    uint32_t histories, processes, operations, keys, kills, multi;
} settings;

typedef struct player {
    uint32_t process;
    fc_session *session;
    fc_key keys[KEYS_MAX];
    rng random;
    uint64_t version_seen[KEYS_MAX];
} player;

static history *recorded;
static settings set_up = {.histories = 1, .processes = 4, .operations = 250, .keys = 3};
static const char *const key_names[KEYS_MAX] = {"k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"};

/* ------------------------------------------------------------------ one line */

static line *invoke(const player *self, const char *operation, const char *keys)
{
    uint64_t index = fc_fetch_add(&recorded->line_count, 1);
    CHECK(index < LINES_MAX);
    line *at = &recorded->lines[index];
    at->process = self->process;
    snprintf(at->keys, sizeof at->keys, "%s", keys);
    snprintf(at->argument, sizeof at->argument, "-");
    snprintf(at->result, sizeof at->result, "-");
    snprintf(at->operation, sizeof at->operation, "%s", operation);
    return at;
}

static void start_clock(line *at)
{
    fc_store_release(&at->invoked_ns, now_ns());
    fc_compiler_order();
}

static void stop_clock(line *at, fc_status status)
{
    static uint64_t fence;
    fc_fetch_add(&fence, 1);
    uint64_t returned_ns = now_ns();
    at->status = (uint32_t)status;
    fc_store_release(&at->returned_ns, returned_ns);
}

static void put_result(line *at, const char *value, uint64_t bytes)
{
    snprintf(at->result, sizeof at->result, "%.*s", (int)bytes, value);
}

/* ------------------------------------------------------------------ single keys */

static uint64_t fresh_number(player *self)
{
    return (uint64_t)self->process * 100000 + next_random(&self->random) % 100000;
}

static void play_set(player *self, uint32_t key, uint32_t flags, const char *operation)
{
    line *at = invoke(self, operation, key_names[key]);
    int length = snprintf(at->argument, sizeof at->argument, "%" PRIu64, fresh_number(self));
    char value[TEXT_BYTES], old[TEXT_BYTES];
    fc_set_options set_options = {.flags = flags, .if_version = self->version_seen[key], .old_buffer = old, .old_buffer_bytes = sizeof old};
    fc_set_result result = {0};
    memcpy(value, at->argument, (size_t)length + 1);
    if ((flags & FC_SET_VERSION) != 0) snprintf(at->argument + length, sizeof at->argument - (size_t)length, ",%" PRIu64, set_options.if_version);
    start_clock(at);
    fc_status status = fc_set(self->session, &self->keys[key], value, (uint64_t)length, &set_options, &result);
    at->version = status == FC_OK ? result.version : 0;
    if ((flags & FC_SET_GET) != 0 && result.old_exists) put_result(at, old, result.old_bytes);
    stop_clock(at, status);
    if (status == FC_OK) self->version_seen[key] = result.version;
}

static void play_get(player *self, uint32_t key)
{
    line *at = invoke(self, "get", key_names[key]);
    char value[TEXT_BYTES];
    fc_entry entry = {0};
    start_clock(at);
    fc_status status = fc_get_entry(self->session, &self->keys[key], value, sizeof value, &entry);
    if (status == FC_OK) put_result(at, value, entry.value_bytes);
    at->version = entry.version;
    stop_clock(at, status);
    self->version_seen[key] = entry.version;
}

static void play_delete(player *self, uint32_t key)
{
    line *at = invoke(self, "delete", key_names[key]);
    start_clock(at);
    stop_clock(at, fc_delete(self->session, &self->keys[key]));
}

static void play_get_delete(player *self, uint32_t key)
{
    line *at = invoke(self, "getdel", key_names[key]);
    char value[TEXT_BYTES];
    uint64_t bytes = 0;
    start_clock(at);
    fc_status status = fc_get_delete(self->session, &self->keys[key], value, sizeof value, &bytes);
    if (status == FC_OK) put_result(at, value, bytes);
    stop_clock(at, status);
}

static void play_increment(player *self, uint32_t key)
{
    line *at = invoke(self, "incr", key_names[key]);
    int64_t value = 0, delta = (int64_t)below(&self->random, 9) - 4;
    snprintf(at->argument, sizeof at->argument, "%" PRId64, delta);
    start_clock(at);
    fc_status status = fc_increment(self->session, &self->keys[key], delta, &value);
    if (status == FC_OK) snprintf(at->result, sizeof at->result, "%" PRId64, value);
    stop_clock(at, status);
}

static void play_append(player *self, uint32_t key)
{
    line *at = invoke(self, "append", key_names[key]);
    uint64_t bytes = 0;
    char text[2] = {(char)('0' + below(&self->random, 10)), 0};
    snprintf(at->argument, sizeof at->argument, "%s", text);
    start_clock(at);
    fc_status status = fc_append(self->session, &self->keys[key], text, 1, &bytes);
    if (status == FC_OK) snprintf(at->result, sizeof at->result, "%" PRIu64, bytes);
    stop_clock(at, status);
}

static void play_expire(player *self, uint32_t key)
{
    line *at = invoke(self, "expire", key_names[key]);
    start_clock(at);
    stop_clock(at, fc_expire(self->session, &self->keys[key], UINT64_C(4000000000000000000), 0));
}

static void play_flush(player *self)
{
    line *at = invoke(self, "flush", "*");
    start_clock(at);
    stop_clock(at, fc_flush(self->session, 0));
}

static void play_single(player *self)
{
    uint32_t key = (uint32_t)below(&self->random, set_up.keys);
    switch (below(&self->random, 20)) {
    case 0: case 1: play_set(self, key, 0, "set"); break;
    case 2: play_set(self, key, FC_SET_NX, "setnx"); break;
    case 3: play_set(self, key, FC_SET_XX, "setxx"); break;
    case 4: play_set(self, key, FC_SET_GET, "setget"); break;
    case 5: case 6: play_set(self, key, FC_SET_VERSION, "cas"); break;
    case 7: play_delete(self, key); break;
    case 8: play_get_delete(self, key); break;
    case 9: case 10: case 11: play_increment(self, key); break;
    case 12: play_append(self, key); break;
    case 13: play_expire(self, key); break;
    case 14:
        if (below(&self->random, 4) == 0) {
            play_flush(self);
            break;
        } /* fallthrough */
    default: play_get(self, key);
    }
}

/* ------------------------------------------------------------------ several keys at once */

static void play_set_many(player *self)
{
    line *at = invoke(self, "mset", "k0,k1,k2");
    char values[GROUP_MAX][TEXT_BYTES];
    fc_write writes[GROUP_MAX] = {0};
    int length = 0;
    for (uint32_t i = 0; i < GROUP_MAX; i++) {
        int is_delete = below(&self->random, 6) == 0;
        snprintf(values[i], sizeof values[i], "%" PRIu64, fresh_number(self));
        length += snprintf(at->argument + length, sizeof at->argument - (size_t)length, "%s%s", i > 0 ? "," : "", is_delete ? "-" : values[i]);
        if (!is_delete) writes[i] = (fc_write){.value = values[i], .value_bytes = strlen(values[i])};
    }
    start_clock(at);
    stop_clock(at, fc_set_many(self->session, self->keys, writes, GROUP_MAX, 0));
}

static void play_get_cut(player *self)
{
    line *at = invoke(self, "mget", "k0,k1,k2");
    char values[GROUP_MAX][TEXT_BYTES];
    fc_read reads[GROUP_MAX];
    int length = 0;
    for (uint32_t i = 0; i < GROUP_MAX; i++) reads[i] = (fc_read){.buffer = values[i], .buffer_bytes = TEXT_BYTES};
    start_clock(at);
    fc_status status = fc_get_cut(self->session, self->keys, reads, GROUP_MAX);
    for (uint32_t i = 0; i < GROUP_MAX && status == FC_OK; i++) {
        int bytes = reads[i].status == FC_OK ? (int)reads[i].value_bytes : 1;
        length += snprintf(at->result + length, sizeof at->result - (size_t)length, "%s%.*s", i > 0 ? "," : "", bytes, reads[i].status == FC_OK ? values[i] : "-");
    }
    stop_clock(at, status);
}

static void play_move(player *self, int keep_source)
{
    uint32_t from = (uint32_t)below(&self->random, GROUP_MAX), to = (from + 1 + (uint32_t)below(&self->random, GROUP_MAX - 1)) % GROUP_MAX;
    char names[24];
    snprintf(names, sizeof names, "%s,%s", key_names[from], key_names[to]);
    line *at = invoke(self, keep_source ? "copy" : "rename", names);
    start_clock(at);
    stop_clock(at, keep_source ? fc_copy(self->session, &self->keys[from], &self->keys[to], 1) : fc_rename(self->session, &self->keys[from], &self->keys[to], 0));
}

static void play_multi(player *self)
{
    uint32_t key = (uint32_t)below(&self->random, GROUP_MAX);
    switch (below(&self->random, 12)) {
    case 0: case 1: case 2: play_set_many(self); break;
    case 3: case 4: case 5: play_get_cut(self); break;
    case 6: play_set(self, key, 0, "set"); break;
    case 7: play_delete(self, key); break;
    case 8: play_move(self, (int)below(&self->random, 2)); break;
    case 9: if (below(&self->random, 6) == 0) { play_flush(self); break; } /* fallthrough */
    default: play_get(self, key);
    }
}

/* ------------------------------------------------------------------ one history */

static void play(fc_cache *cache, uint32_t process, uint64_t seed)
{
    static player self;
    self.process = process;
    self.random.state = seed;
    for (uint32_t i = 0; i < KEYS_MAX; i++) CHECK_OK(fc_key_init(cache, 0, key_names[i], 2, &self.keys[i]));
    CHECK_OK(fc_session_open(cache, &self.session));
    CHECK_OK(fc_session_set_timeout(self.session, UINT64_C(20000000000)));
    disturb(seed);
    if (process % 2 == 1) pause_often(seed);
    for (uint32_t i = 0; i < set_up.operations; i++) {
        if (set_up.multi) play_multi(&self);
        else play_single(&self);
        if (below(&self.random, 8) == 0) sched_yield();
    }
    _exit(0);
}

static void write_history(uint32_t number)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/history.%u.txt", set_up.directory, number);
    FILE *file = fopen(path, "w");
    if (file == NULL) fail("%s: %s", path, strerror(errno));
    fprintf(file, "# seed %" PRIu64 ", history %u: process operation keys argument invoked_ns returned_ns status result version\n", options.seed, number);
    for (uint64_t i = 0; i < recorded->line_count; i++) {
        const line *at = &recorded->lines[i];
        if (at->invoked_ns == 0) continue; /* killed before the call */
        fprintf(file, "%u %s %s %s %" PRIu64, at->process, at->operation, at->keys, at->argument, at->invoked_ns);
        if (at->returned_ns == 0) fprintf(file, " - - - -\n");
        else fprintf(file, " %" PRIu64 " %s %s %" PRIu64 "\n", at->returned_ns, fc_status_find((fc_status)at->status)->name, at->result, at->version);
    }
    CHECK(fclose(file) == 0);
}

static void record(uint32_t number)
{
    rng random = {mix(options.seed ^ (uint64_t)number << 32)};
    uint32_t process_count = 0;
    memset(recorded, 0, sizeof *recorded);
    /* Few homes: the keys are neighbours, and the value of one is often retired into the block of another. */
    fc_cache *cache = create_segment(2u << 20, 4, FC_POLICY_NOEVICTION, 16);
    for (uint32_t i = 0; i < set_up.processes; i++)
        if (fork_child(i) == 0) play(cache, i, next_random(&random));
        else (void)next_random(&random);
    process_count = set_up.processes;
    for (uint32_t kills = 0; kills < set_up.kills; kills++) {
        uint32_t id = (uint32_t)below(&random, set_up.processes);
        nanosleep(&(struct timespec){.tv_nsec = (long)below(&random, 400000)}, NULL);
        kill(child_pids[id], SIGKILL);
        join_child(id, SIGKILL);
        if (fork_child(id) == 0) play(cache, process_count, next_random(&random));
        (void)next_random(&random);
        process_count++;
    }
    for (uint32_t i = 0; i < set_up.processes; i++) join_child(i, 0);
    write_history(number);
    drop_segment(cache);
}

/* ------------------------------------------------------------------ main */

static void remove_directory(const char *path)
{
    DIR *directory = opendir(path);
    CHECK(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.') unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
    rmdir(path);
}

static void record_each_kind(void)
{
    char path[] = "/tmp/record_history.XXXXXX";
    CHECK(mkdtemp(path) != NULL);
    set_up.directory = path;
    for (uint32_t number = 0; number < 4; number++) {
        set_up.multi = number & 1;
        set_up.kills = number & 2;
        record(number);
    }
    remove_directory(path);
}

int main(int argument_count, char **arguments)
{
    static const struct { const char *name; uint32_t *value; } numbers[] = {
        {"--histories", &set_up.histories}, {"--processes", &set_up.processes}, {"--operations", &set_up.operations},
        {"--keys", &set_up.keys}, {"--kills", &set_up.kills}, {"--multi", &set_up.multi},
    };
    char *no_arguments[] = {arguments[0], NULL};
    begin_run(1, no_arguments, 10);
    for (int i = 1; i + 1 < argument_count; i += 2) {
        uint32_t number = 0;
        while (number < sizeof numbers / sizeof numbers[0] && strcmp(arguments[i], numbers[number].name) != 0) number++;
        if (number < sizeof numbers / sizeof numbers[0]) *numbers[number].value = (uint32_t)strtoul(arguments[i + 1], NULL, 0);
        else if (strcmp(arguments[i], "--directory") == 0) set_up.directory = arguments[i + 1];
        else if (strcmp(arguments[i], "--seed") == 0) options.seed = strtoull(arguments[i + 1], NULL, 0);
        else fail("unknown option %s", arguments[i]);
    }
    if (set_up.keys == 0 || set_up.keys > KEYS_MAX || set_up.processes == 0 || set_up.processes > WORKERS_MAX) fail("keys 1 to %u, processes 1 to %u", KEYS_MAX, WORKERS_MAX);
    recorded = mmap(NULL, sizeof *recorded, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(recorded != MAP_FAILED);
    if (set_up.directory == NULL) record_each_kind();
    for (uint32_t i = 0; set_up.directory != NULL && argument_count > 1 && i < set_up.histories; i++) record(i);
    return 0;
}
