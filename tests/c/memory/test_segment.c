/* test_segment.c -- names, creating, attaching, refusing (csrc/memory/segment.c): P6, P9, P11. */
#include "audit.h"
#include "layout/geometry.h"

#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static void path_of(const char *name, char path[200])
{
    snprintf(path, 200, "/dev/shm/fincache.%s", name);
}

/* A file of that name that FinCache did not make. */
static void write_file(const char *name, const void *data, size_t bytes, mode_t mode)
{
    char path[200];
    path_of(name, path);
    int file = open(path, O_CREAT | O_EXCL | O_RDWR, mode);
    REQUIRE(file >= 0);
    REQUIRE(bytes == 0 || write(file, data, bytes) == (ssize_t)bytes);
    close(file);
}

static unsigned files_of(const char *name)
{
    unsigned count = 0;
    DIR *directory = opendir("/dev/shm");
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) count += strstr(entry->d_name, name) != NULL;
    closedir(directory);
    return count;
}

/* Attaching anything but a good segment gives this status, for reading and for writing, and leaves no handle. */
static void attach_gives(fc_status expected, const char *name)
{
    for (int read_only = 0; read_only < 2; read_only++) {
        fc_options options = {.read_only = (uint8_t)read_only};
        fc_cache *cache = (fc_cache *)&options;
        CHECK_STATUS(expected, fc_cache_attach(name, &options, &cache));
        CHECK(cache == (fc_cache *)&options);
    }
}

/* Names are 1 to 64 characters of a small alphabet, and cannot climb out of their directory. */
static void names_are_checked(void)
{
    char long_name[80];
    memset(long_name, 'a', sizeof long_name);
    long_name[65] = '\0';
    const char *bad[] = {NULL, "", ".", "..", ".hidden", "-x", "a/b", "../x", "a b", "a\n", "\xc3\xa9", "a:b", "*", long_name};
    fc_options options = check_options(1 << 20);
    fc_cache *cache = NULL;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK_STATUS(FC_INVALID_NAME, fc_cache_create(bad[i], &options, &cache));
        CHECK_STATUS(FC_INVALID_NAME, fc_cache_attach(bad[i], NULL, &cache));
        CHECK_STATUS(FC_INVALID_NAME, fc_cache_open(bad[i], &options, &cache));
        CHECK_STATUS(FC_INVALID_NAME, fc_cache_unlink(bad[i]));
    }
    snprintf(long_name, sizeof long_name, "t%d-", (int)check_main_pid);
    memset(long_name + strlen(long_name), 'z', 64 - strlen(long_name));
    long_name[64] = '\0';
    CHECK_OK(fc_cache_create(long_name, &options, &cache));
    fc_session *session;
    CHECK_OK(fc_session_open(cache, &session));
    CHECK_OK(fc_cache_close(cache));
    CHECK_OK(fc_cache_unlink(long_name));
    CHECK_EQUAL(0, files_of(long_name));
}

/* NULL where something is needed is refused. */
static void null_arguments_are_refused(void)
{
    fc_options options = check_options(1 << 20);
    fc_cache *cache = NULL;
    fc_cache_info info;
    fc_stats stats;
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_cache_create("x", NULL, &cache));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_cache_create("x", &options, NULL));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_cache_attach("x", NULL, NULL));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_cache_open("x", NULL, &cache));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_cache_describe(NULL, &info));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_cache_stats(NULL, &stats));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_cache_set_policy(NULL, 0));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_cache_list(NULL, NULL));
    CHECK_OK(fc_cache_close(NULL));
    CHECK_EQUAL(0, files_of("fincache.x"));
}

static int32_t find_name(void *context, const char *name)
{
    struct { const char *name; int found; } *search = context;
    search->found += strcmp(search->name, name) == 0;
    return 0;
}

/* Create, attach, list, describe, unlink: the life of a segment, without any daemon (P9). */
static void a_segment_lives_from_create_to_unlink(void)
{
    fc_options options = check_options(2 << 20);
    options.databases = 3;
    options.policy = FC_POLICY_ALLKEYS_LRU;
    options.mode = 0640;
    fixture made = check_open_with(&options);
    fc_cache *again, *third = NULL;
    fc_cache_info info, info_again;
    struct stat stat_buffer;
    char path[200];
    struct { const char *name; int found; } search = {made.name, 0};
    path_of(made.name, path);
    CHECK(stat(path, &stat_buffer) == 0 && (stat_buffer.st_mode & 07777) == 0640 && stat_buffer.st_size == 2 << 20);
    CHECK(stat_buffer.st_blocks * 512 >= 2 << 20); /* P8: reserved in full */
    CHECK_OK(fc_cache_list(find_name, &search));
    CHECK_EQUAL(1, search.found);
    CHECK_STATUS(FC_SEGMENT_EXISTS, fc_cache_create(made.name, &options, &third));
    CHECK_OK(fc_cache_attach(made.name, NULL, &again));
    CHECK_OK(fc_cache_describe(made.cache, &info));
    CHECK_OK(fc_cache_describe(again, &info_again));
    CHECK_EQUAL(info.segment_id, info_again.segment_id);
    CHECK(strcmp(info.name, made.name) == 0);
    CHECK(info.size_bytes == 2 << 20 && info.databases == 3 && info.sessions_max == 16 && info.sessions_used == 1 && info.policy == FC_POLICY_ALLKEYS_LRU && info.mode == 0640);
    CHECK(info.arena_bytes > 1 << 20 && info.home_count > 0 && info.layout_version == FC_LAYOUT_VERSION && !info.read_only && !info.retired && !info.locked);
    CHECK(fc_clock_unix_ns() - info.created_unix_ns < UINT64_C(60000000000));
    CHECK_OK(check_set(&made, "k", "v"));
    fixture other = {.cache = again};
    CHECK_OK(fc_session_open(again, &other.session));
    CHECK(check_holds(&other, "k", "v"));
    CHECK_OK(fc_cache_close(again));
    check_close(&made);
    CHECK_EQUAL(0, files_of(made.name));
    attach_gives(FC_SEGMENT_MISSING, made.name);
    CHECK_STATUS(FC_SEGMENT_MISSING, fc_cache_unlink(made.name));
    search.found = 0;
    CHECK_OK(fc_cache_list(find_name, &search));
    CHECK_EQUAL(0, search.found);
}

/* The policy can be changed for everybody at once, by who may write. */
static void the_policy_can_be_changed(void)
{
    fixture made = check_open(1 << 20);
    fc_cache_info info;
    CHECK_OK(fc_cache_set_policy(made.cache, FC_POLICY_ALLKEYS_RANDOM));
    CHECK_OK(fc_cache_describe(made.cache, &info));
    CHECK_EQUAL(FC_POLICY_ALLKEYS_RANDOM, info.policy);
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_cache_set_policy(made.cache, 3));
    fc_options read_only = {.read_only = 1};
    fc_cache *reader;
    CHECK_OK(fc_cache_attach(made.name, &read_only, &reader));
    CHECK_STATUS(FC_READ_ONLY, fc_cache_set_policy(reader, 0));
    CHECK_OK(fc_cache_close(reader));
    check_close(&made);
}

/* Options of the mapping: huge pages, prefault and mlock are tried, and what was obtained is told. */
static void mapping_options_are_tried(void)
{
    fc_options options = check_options(4 << 20);
    options.huge_pages = options.prefault = options.lock_memory = 1;
    fixture made = {.cache = NULL};
    check_name_for(made.name);
    fc_status status = fc_cache_create(made.name, &options, &made.cache);
    if (status == FC_MEMLOCK) {
        SKIP("the kernel refuses mlock");
        CHECK_EQUAL(0, files_of(made.name));
        return;
    }
    REQUIRE_OK(status);
    fc_cache_info info;
    CHECK_OK(fc_cache_describe(made.cache, &info));
    CHECK(info.locked);
    CHECK_OK(fc_session_open(made.cache, &made.session));
    options.read_only = 1;
    fc_cache *reader;
    CHECK_OK(fc_cache_attach(made.name, &options, &reader));
    CHECK_OK(fc_cache_close(reader));
    check_close(&made);
}

/* mlock that the kernel refuses is FC_MEMLOCK, and no segment appears. */
static void a_refused_mlock_leaves_no_segment(void)
{
    char name[FC_NAME_BYTES_MAX + 1];
    if (CHECK_SANITIZED || getuid() != 0) {
        SKIP("sanitizers leave mlock out, and it takes root to become nobody");
        return;
    }
    check_name_for(name);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {0, 0};
        fc_options options = check_options(1 << 20);
        fc_cache *cache;
        options.lock_memory = 1;
        if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || setgid(65534) != 0 || setuid(65534) != 0) _exit(0);
        CHECK_STATUS(FC_MEMLOCK, fc_cache_create(name, &options, &cache));
        CHILD_EXIT();
    }
    CHECK(check_child_ok(child));
    CHECK_EQUAL(0, files_of(name));
}

/* ------------------------------------------------------------------ P11: strangers */

/* A file, a directory, a FIFO, a symbolic link that are not ours are called foreign; opening does not wait and does not follow. */
static void what_is_not_ours_is_foreign(void)
{
    static const char text[8192] = "not a segment, but longer than a header";
    char name[FC_NAME_BYTES_MAX + 1], path[200];
    static const size_t lengths[] = {0, 1, 7, 8, 100, 4096, 8192};
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        check_name_for(name);
        path_of(name, path);
        write_file(name, text, lengths[i], 0600);
        attach_gives(FC_FOREIGN_SEGMENT, name);
        fc_options options = check_options(1 << 20);
        fc_cache *cache = NULL;
        CHECK_STATUS(FC_FOREIGN_SEGMENT, fc_cache_open(name, &options, &cache));
        CHECK_STATUS(FC_SEGMENT_EXISTS, fc_cache_create(name, &options, &cache));
        struct stat stat_buffer;
        CHECK(stat(path, &stat_buffer) == 0 && (size_t)stat_buffer.st_size == lengths[i]); /* untouched */
        CHECK_OK(fc_cache_unlink(name));
    }
    check_name_for(name);
    path_of(name, path);
    CHECK(mkdir(path, 0700) == 0);
    attach_gives(FC_FOREIGN_SEGMENT, name);
    CHECK(fc_cache_unlink(name) != FC_OK);
    rmdir(path);
    CHECK(mkfifo(path, 0600) == 0);
    attach_gives(FC_FOREIGN_SEGMENT, name);
    CHECK_OK(fc_cache_unlink(name));
    fixture made = check_open(1 << 20);
    char target[200];
    path_of(made.name, target);
    CHECK(symlink(target, path) == 0);
    attach_gives(FC_FOREIGN_SEGMENT, name);
    CHECK_OK(fc_cache_unlink(name));
    CHECK_OK(check_set(&made, "k", "v")); /* the target of the link was not retired with it */
    fc_cache *again;
    CHECK_OK(fc_cache_attach(made.name, NULL, &again));
    CHECK_OK(fc_cache_close(again));
    check_close(&made);
}

/* Applies `tamper` to a copy of a good segment's header, in a file of its own, and attaches. */
static void attach_tampered(fc_status expected, void (*tamper)(fc_geometry *g), int right_checksum)
{
    fixture made = check_open(1 << 20);
    char name[FC_NAME_BYTES_MAX + 1];
    char *bytes = malloc(1 << 20);
    memcpy(bytes, made.cache->base, 1 << 20);
    check_name_for(name);
    tamper((fc_geometry *)bytes);
    if (right_checksum) ((fc_geometry *)bytes)->checksum = fc_geometry_checksum((fc_geometry *)bytes);
    write_file(name, bytes, 1 << 20, 0600);
    attach_gives(expected, name);
    free(bytes);
    CHECK_OK(fc_cache_unlink(name));
    check_close(&made);
}

static void tamper_newer(fc_geometry *g) { g->layout_version = FC_LAYOUT_VERSION + 1; }
static void tamper_older(fc_geometry *g) { g->layout_version = FC_LAYOUT_VERSION - 1; }
static void tamper_order(fc_geometry *g) { g->byte_order = __builtin_bswap32(g->byte_order); }
static void tamper_checksum(fc_geometry *g) { g->checksum ^= 1; }
static void tamper_seed(fc_geometry *g) { g->hash_seed ^= 1; }
static void tamper_size(fc_geometry *g) { g->size_bytes += FC_PAGE_BYTES; }
static void tamper_homes(fc_geometry *g) { g->home_count *= 2; }

/* P11: an older, a newer, another byte order, a damaged header: each by its name. */
static void tampered_headers_are_refused_by_name(void)
{
    attach_tampered(FC_LAYOUT_NEWER, tamper_newer, 0);
    attach_tampered(FC_LAYOUT_NEWER, tamper_newer, 1);
    attach_tampered(FC_LAYOUT_OLDER, tamper_older, 1);
    attach_tampered(FC_FOREIGN_SEGMENT, tamper_order, 1);
    attach_tampered(FC_CORRUPT, tamper_checksum, 0);
    attach_tampered(FC_CORRUPT, tamper_seed, 0);
    attach_tampered(FC_TRUNCATED_SEGMENT, tamper_size, 1);
    attach_tampered(FC_CORRUPT, tamper_homes, 1);
}

/* P11: a file cut short anywhere is refused before anything of it is touched. */
static void truncated_segments_are_refused(void)
{
    static const struct { off_t bytes; fc_status status; } rows[] = {
        {0, FC_FOREIGN_SEGMENT}, {4, FC_FOREIGN_SEGMENT}, {8, FC_TRUNCATED_SEGMENT}, {100, FC_TRUNCATED_SEGMENT}, {4096, FC_TRUNCATED_SEGMENT}, {(1 << 20) - 1, FC_TRUNCATED_SEGMENT},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        fixture made = check_open(1 << 20);
        char path[200];
        path_of(made.name, path);
        CHECK_OK(fc_session_close(made.session));
        CHECK_OK(fc_cache_close(made.cache));
        CHECK(truncate(path, rows[i].bytes) == 0);
        attach_gives(rows[i].status, made.name);
        CHECK_OK(fc_cache_unlink(made.name));
        check_sweep_names(); /* a header that is gone cannot name its lock file */
    }
}

/* P11: after an unlink the attached go on, read and write; but nobody can open a session or attach. */
static void a_retired_segment_goes_on_for_the_attached(void)
{
    fixture made = check_open(1 << 20);
    fc_cache_info info;
    CHECK_OK(fc_cache_unlink(made.name));
    CHECK_EQUAL(0, files_of(made.name));
    CHECK_OK(check_set(&made, "k", "v"));
    CHECK(check_holds(&made, "k", "v"));
    fc_session *session;
    CHECK_STATUS(FC_SEGMENT_RETIRED, fc_session_open(made.cache, &session));
    CHECK_OK(fc_cache_describe(made.cache, &info));
    CHECK(info.retired);
    attach_gives(FC_SEGMENT_MISSING, made.name);
    CHECK_OK(fc_session_close(made.session));
    CHECK_OK(fc_cache_close(made.cache));
}

/* P11: a segment unlinked and created again under us is another one: the old handle knows it is retired, a new one sees the new. */
static void a_segment_created_again_is_another_one(void)
{
    fixture old = check_open(1 << 20);
    fc_options options = check_options(1 << 20);
    CHECK_OK(check_set(&old, "k", "old"));
    CHECK_OK(fc_cache_unlink(old.name));
    fixture new = old;
    CHECK_OK(fc_cache_open(old.name, &options, &new.cache));
    CHECK_OK(fc_session_open(new.cache, &new.session));
    CHECK(check_holds(&new, "k", NULL));
    CHECK(check_holds(&old, "k", "old"));
    CHECK_OK(check_set(&new, "k", "new"));
    CHECK(check_holds(&old, "k", "old"));
    fc_session *session;
    CHECK_STATUS(FC_SEGMENT_RETIRED, fc_session_open(old.cache, &session));
    CHECK_OK(fc_session_close(old.session));
    CHECK_OK(fc_cache_close(old.cache));
    check_close(&new);
}

/* P11: a file that carries the retired flag under a name (a hard link, say) is refused as retired. */
static void a_retired_file_under_a_name_is_refused(void)
{
    fixture made = check_open(1 << 20);
    fc_header_of(made.cache)->retired = 1;
    attach_gives(FC_SEGMENT_RETIRED, made.name);
    fc_header_of(made.cache)->retired = 0;
    check_close(&made);
}

/* A segment made by hand without its lock file gives no sessions that could write. */
static void without_its_lock_file_no_session_opens(void)
{
    fixture made = check_open(1 << 20);
    char path[200];
    snprintf(path, sizeof path, "/dev/shm/fincache-lock.%s.%016" PRIx64, made.name, made.cache->geometry.segment_id);
    CHECK(unlink(path) == 0);
    fc_session *session;
    CHECK_STATUS(FC_SEGMENT_RETIRED, fc_session_open(made.cache, &session));
    int file = open(path, O_CREAT | O_RDWR, 0600); /* another file under its name is not it */
    CHECK(file >= 0);
    close(file);
    CHECK_STATUS(FC_SEGMENT_RETIRED, fc_session_open(made.cache, &session));
    check_close(&made);
}

/* ------------------------------------------------------------------ space */

/* P8: a segment larger than /dev/shm is an error at creation, and leaves nothing. */
static void more_than_there_is_says_no_space(void)
{
    struct statvfs shm;
    REQUIRE(statvfs("/dev/shm", &shm) == 0);
    uint64_t total = (uint64_t)shm.f_blocks * shm.f_frsize;
    fc_options options = check_options(total + (1 << 20));
    if (total == 0 || options.size_bytes > UINT64_C(256) << 30) {
        SKIP("/dev/shm has no limit that a segment could exceed");
        return;
    }
    char name[FC_NAME_BYTES_MAX + 1];
    fc_cache *cache = NULL;
    check_name_for(name);
    CHECK_STATUS(FC_NO_SPACE, fc_cache_create(name, &options, &cache));
    CHECK_STATUS(FC_NO_SPACE, fc_cache_open(name, &options, &cache));
    CHECK(cache == NULL);
    CHECK_EQUAL(0, files_of(name));
}

/* ------------------------------------------------------------------ P6 */

static void become_nobody(void)
{
    REQUIRE(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
}

/* P6: a process without write permission attaches read-only, takes no slot, cannot open the lock file, and cannot write. */
static void who_may_only_read_cannot_even_lock(void)
{
    if (getuid() != 0) {
        SKIP("it takes root to become nobody");
        return;
    }
    static const uint32_t modes[] = {0604, 0644};
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        fc_options options = check_options(1 << 20);
        options.mode = modes[i];
        fixture made = check_open_with(&options);
        CHECK_OK(check_set(&made, "k", "v"));
        pid_t child = fork();
        if (child == 0) {
            become_nobody();
            fc_cache *cache;
            fc_options read_only = {.read_only = 1};
            char path[200];
            CHECK_STATUS(FC_PERMISSION, fc_cache_attach(made.name, NULL, &cache));
            CHECK_STATUS(FC_PERMISSION, fc_cache_open(made.name, &options, &cache));
            CHECK_STATUS(FC_PERMISSION, fc_cache_unlink(made.name));
            snprintf(path, sizeof path, "/dev/shm/fincache-lock.%s.%016" PRIx64, made.name, made.cache->geometry.segment_id);
            CHECK(open(path, O_RDONLY) < 0 && open(path, O_RDWR) < 0);
            CHECK_OK(fc_cache_attach(made.name, &read_only, &cache));
            fixture reader = {.cache = cache};
            for (int j = 0; j < 100; j++) CHECK_OK(fc_session_open(cache, &reader.session)); /* they cannot run out */
            CHECK(check_holds(&reader, "k", "v"));
            CHECK_STATUS(FC_READ_ONLY, check_set(&reader, "k", "w"));
            fc_entry entry;
            fc_key key = check_key(&reader, "k");
            CHECK_OK(fc_get_entry(reader.session, &key, NULL, 0, &entry));
            uint32_t writer = 99;
            CHECK_OK(fc_entry_writer(reader.session, &entry, &writer));
            CHECK_EQUAL(FC_WRITER_ALIVE, writer);
            CHECK(mprotect(cache->base, 4096, PROT_READ | PROT_WRITE) != 0); /* the kernel says no as well */
            CHECK_EQUAL(1, check_stats(&reader).sessions_used);
            CHECK_OK(fc_cache_close(cache));
            CHILD_EXIT();
        }
        CHECK(check_child_ok(child));
        CHECK_EQUAL(1, check_stats(&made).sessions_used);
        check_close(&made);
    }
    fixture made = check_open(1 << 20); /* 0600: not even reading */
    pid_t child = fork();
    if (child == 0) {
        become_nobody();
        attach_gives(FC_PERMISSION, made.name);
        CHILD_EXIT();
    }
    CHECK(check_child_ok(child));
    check_close(&made);
}

/* P6: a read-only session refuses every write by name, and works without a slot when all are taken. */
static void read_only_sessions_refuse_writes_and_need_no_slot(void)
{
    fixture made = check_open(1 << 20);
    fc_session *sessions[15];
    for (int i = 0; i < 15; i++) REQUIRE_OK(fc_session_open(made.cache, &sessions[i]));
    CHECK_OK(check_set(&made, "k", "v"));
    fc_options read_only = {.read_only = 1};
    fixture reader = made;
    char text[FC_FLOAT_TEXT_BYTES];
    uint64_t n, schema;
    int64_t number;
    CHECK_OK(fc_cache_attach(made.name, &read_only, &reader.cache));
    CHECK_OK(fc_session_open(reader.cache, &reader.session));
    fc_session *s = reader.session;
    fc_key key = check_key(&reader, "k"), other = check_key(&reader, "o");
    fc_write write = {"v", 1, 0, 0};
    CHECK_STATUS(FC_READ_ONLY, fc_set(s, &key, "w", 1, NULL, NULL));
    CHECK_STATUS(FC_READ_ONLY, fc_delete(s, &key));
    CHECK_STATUS(FC_READ_ONLY, fc_get_delete(s, &key, text, sizeof text, &n));
    CHECK_STATUS(FC_READ_ONLY, fc_increment(s, &key, 1, &number));
    CHECK_STATUS(FC_READ_ONLY, fc_increment_float(s, &key, 1, text, sizeof text));
    CHECK_STATUS(FC_READ_ONLY, fc_append(s, &key, "w", 1, &n));
    CHECK_STATUS(FC_READ_ONLY, fc_set_range(s, &key, 0, "w", 1, &n));
    CHECK_STATUS(FC_READ_ONLY, fc_expire(s, &key, 5, 0));
    CHECK_STATUS(FC_READ_ONLY, fc_persist(s, &key));
    CHECK_STATUS(FC_READ_ONLY, fc_rename(s, &key, &other, 0));
    CHECK_STATUS(FC_READ_ONLY, fc_copy(s, &key, &other, 0));
    CHECK_STATUS(FC_READ_ONLY, fc_set_many(s, &key, &write, 1, 0));
    CHECK_STATUS(FC_READ_ONLY, fc_flush(s, 0));
    CHECK_STATUS(FC_READ_ONLY, fc_flush_all(s));
    CHECK_STATUS(FC_READ_ONLY, fc_session_reap(s, NULL));
    CHECK_OK(fc_schema_register(s, "text", 4, &schema)); /* the id, without registering */
    CHECK_STATUS(FC_MISS, fc_schema_text(s, schema, text, sizeof text, &n));
    CHECK(check_holds(&reader, "k", "v"));
    fc_stats stats;
    CHECK_OK(fc_session_stats(s, &stats));
    CHECK(stats.gets >= 1 && stats.hits >= 1);
    CHECK_OK(fc_cache_close(reader.cache));
    for (int i = 0; i < 15; i++) CHECK_OK(fc_session_close(sessions[i]));
    check_close(&made);
}

/* ------------------------------------------------------------------ races */

typedef struct creator {
    char name[FC_NAME_BYTES_MAX + 1];
    pthread_barrier_t *start;
    uint64_t segment_id;
    int number;
} creator;

static void *open_at_once(void *context)
{
    creator *c = context;
    fc_options options = check_options(1 << 20);
    fc_cache *cache = NULL;
    fc_cache_info info;
    pthread_barrier_wait(c->start);
    if (!CHECK_OK(fc_cache_open(c->name, &options, &cache))) return NULL;
    fixture own = {.cache = cache};
    CHECK_OK(fc_session_open(cache, &own.session));
    CHECK_OK(fc_cache_describe(cache, &info));
    c->segment_id = info.segment_id;
    char key[32];
    snprintf(key, sizeof key, "from %d", c->number);
    CHECK_OK(check_set(&own, key, key));
    CHECK_OK(fc_cache_close(cache));
    return NULL;
}

/* Eight that open the same name at once end up in one segment, whole and complete. */
static void eight_creators_end_in_one_segment(void)
{
    for (uint64_t round = 0; round < check_rounds(30); round++) {
        creator creators[8];
        pthread_t threads[8];
        pthread_barrier_t start;
        fixture made;
        pthread_barrier_init(&start, NULL, 8);
        check_name_for(made.name);
        for (int i = 0; i < 8; i++) {
            creators[i] = (creator){.start = &start, .number = i};
            memcpy(creators[i].name, made.name, sizeof made.name);
            REQUIRE(pthread_create(&threads[i], NULL, open_at_once, &creators[i]) == 0);
        }
        for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
        for (int i = 1; i < 8; i++) CHECK_EQUAL(creators[0].segment_id, creators[i].segment_id);
        REQUIRE_OK(fc_cache_attach(made.name, NULL, &made.cache));
        REQUIRE_OK(fc_session_open(made.cache, &made.session));
        for (int i = 0; i < 8; i++) {
            char key[32];
            snprintf(key, sizeof key, "from %d", i);
            CHECK(check_holds(&made, key, key));
        }
        CHECK_EQUAL(2, files_of(made.name));
        check_close(&made);
    }
}

typedef struct churn {
    char name[FC_NAME_BYTES_MAX + 1];
    int stop;
    uint64_t attached;
} churn;

static void *attach_again_and_again(void *context)
{
    churn *c = context;
    while (!__atomic_load_n(&c->stop, __ATOMIC_ACQUIRE)) {
        fixture own = {.cache = NULL};
        fc_status status = fc_cache_attach(c->name, NULL, &own.cache);
        if (status == FC_SEGMENT_MISSING || status == FC_SEGMENT_RETIRED) continue;
        if (!CHECK_OK(status)) break;
        status = fc_session_open(own.cache, &own.session);
        CHECK(status == FC_OK || status == FC_SEGMENT_RETIRED);
        if (status == FC_OK) CHECK_OK(check_set(&own, "k", "v"));
        CHECK_OK(fc_cache_close(own.cache));
        __atomic_add_fetch(&c->attached, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

/* A process that is about to remove a segment, and finds that another one did and created a new one of that name, leaves the new one alone. */
static void unlink_removes_only_what_it_found(void)
{
    fixture old = check_open(1 << 20);
    char path[200];
    path_of(old.name, path);
    int holder = open(path, O_RDWR | O_CLOEXEC);
    REQUIRE(holder >= 0 && flock(holder, LOCK_EX) == 0);
    CHECK_STATUS(FC_BUSY, fc_cache_unlink(old.name)); /* somebody else is at it, and stopped */
    pid_t child = fork();
    if (child == 0) {
        fc_status status;
        int other = open("/dev/null", O_RDONLY); /* takes the number of the descriptor that was inherited with its lock */
        REQUIRE(dup2(other, holder) == holder);
        while ((status = fc_cache_unlink(old.name)) == FC_BUSY) {}
        CHECK_STATUS(FC_SEGMENT_MISSING, status);
        CHILD_EXIT();
    }
    /* The child waits for the lock, as its descriptor in /proc shows; then the name leads to a new segment. */
    char waits[64], link[200];
    int is_waiting = 0;
    for (int i = 0; i < 100000 && !is_waiting; i++)
        for (int fd = 3; fd < 32; fd++) {
            snprintf(waits, sizeof waits, "/proc/%d/fd/%d", (int)child, fd);
            ssize_t length = readlink(waits, link, sizeof link - 1);
            if (length > 0 && fd != holder) link[length] = '\0', is_waiting |= strcmp(link, path) == 0;
        }
    CHECK(unlink(path) == 0);
    fc_cache *made;
    fc_options options = check_options(1 << 20);
    CHECK_OK(fc_cache_create(old.name, &options, &made));
    close(holder);
    CHECK(is_waiting);
    CHECK(check_child_ok(child));
    CHECK_OK(fc_cache_close(made));
    CHECK_OK(fc_cache_attach(old.name, NULL, &made));
    CHECK_OK(fc_cache_close(made));
    check_close(&old);
}

/* P11: while a name is created and unlinked over and over, who attaches gets a whole segment or one of two answers; never half a one. */
static void no_half_built_segment_is_ever_seen(void)
{
    churn c = {.stop = 0};
    pthread_t threads[2];
    fc_options options = check_options(1 << 20);
    check_name_for(c.name);
    for (int i = 0; i < 2; i++) REQUIRE(pthread_create(&threads[i], NULL, attach_again_and_again, &c) == 0);
    for (uint64_t i = 0; i < check_rounds(400) || (__atomic_load_n(&c.attached, __ATOMIC_RELAXED) < 10 && i < 20000); i++) {
        fc_cache *cache;
        CHECK_OK(fc_cache_create(c.name, &options, &cache));
        CHECK_OK(fc_cache_close(cache));
        CHECK_OK(fc_cache_unlink(c.name));
    }
    __atomic_store_n(&c.stop, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    CHECK(c.attached > 0);
    CHECK_EQUAL(0, files_of(c.name));
}

int main(void)
{
    RUN(names_are_checked);
    RUN(null_arguments_are_refused);
    RUN(unlink_removes_only_what_it_found);
    RUN(a_segment_lives_from_create_to_unlink);
    RUN(the_policy_can_be_changed);
    RUN(mapping_options_are_tried);
    RUN(a_refused_mlock_leaves_no_segment);
    RUN(what_is_not_ours_is_foreign);
    RUN(tampered_headers_are_refused_by_name);
    RUN(truncated_segments_are_refused);
    RUN(a_retired_segment_goes_on_for_the_attached);
    RUN(a_segment_created_again_is_another_one);
    RUN(a_retired_file_under_a_name_is_refused);
    RUN(without_its_lock_file_no_session_opens);
    RUN(more_than_there_is_says_no_space);
    RUN(who_may_only_read_cannot_even_lock);
    RUN(read_only_sessions_refuse_writes_and_need_no_slot);
    RUN(eight_creators_end_in_one_segment);
    RUN(no_half_built_segment_is_ever_seen);
    return check_report();
}
