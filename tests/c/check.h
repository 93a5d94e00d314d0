/* check.h -- what every C test needs: checks that count, a watchdog, segments with names of their own.
 *
 * A test is a function without arguments; main() RUNs each and returns check_report(). A failed check is printed and fails the test,
 * which goes on; REQUIRE is for what nothing after it makes sense without. Nothing sleeps, nothing is left in /dev/shm.
 */
#ifndef FC_TESTS_CHECK_H
#define FC_TESTS_CHECK_H

#include "base/clock.h"
#include "fincache.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Sanitized builds run 2 to 20 times slower. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CHECK_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CHECK_SANITIZED 1
#endif
#endif
#ifndef CHECK_SANITIZED
#define CHECK_SANITIZED 0
#endif

#define CHECK_WATCHDOG_SECONDS 100
#define CHECK_UNUSED __attribute__((unused))

static unsigned check_passed_count, check_failed_count, check_failures_of_test;
static pid_t check_main_pid;

/* How often to do something: as given, a tenth under a sanitizer, twenty times as often with FC_SOAK in the environment. */
CHECK_UNUSED static uint64_t check_rounds(uint64_t rounds)
{
    if (getenv("FC_SOAK") != NULL) return rounds * 20;
    return CHECK_SANITIZED && rounds >= 10 ? rounds / 10 : rounds;
}

CHECK_UNUSED static int check_that(int holds, const char *file, int line, const char *text)
{
    if (holds) return 1;
    if (__atomic_add_fetch(&check_failures_of_test, 1, __ATOMIC_RELAXED) <= 20) fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, text);
    return 0;
}

CHECK_UNUSED static int check_equal(uint64_t expected, uint64_t actual, const char *file, int line, const char *text)
{
    if (expected == actual) return 1;
    if (__atomic_add_fetch(&check_failures_of_test, 1, __ATOMIC_RELAXED) <= 20)
        fprintf(stderr, "%s:%d: %s is %" PRIu64 " (%" PRId64 "), expected %" PRIu64 " (%" PRId64 ")\n", file, line, text, actual, (int64_t)actual, expected, (int64_t)expected);
    return 0;
}

CHECK_UNUSED static int check_status(fc_status expected, fc_status actual, const char *file, int line, const char *text)
{
    if (expected == actual) return 1;
    if (__atomic_add_fetch(&check_failures_of_test, 1, __ATOMIC_RELAXED) <= 20)
        fprintf(stderr, "%s:%d: %s is %s (%s), expected %s\n", file, line, text, fc_status_find(actual)->name, fc_error_detail(actual), fc_status_find(expected)->name);
    return 0;
}

#define CHECK(condition) check_that((condition) != 0, __FILE__, __LINE__, #condition)
#define CHECK_EQUAL(expected, actual) check_equal((uint64_t)(expected), (uint64_t)(actual), __FILE__, __LINE__, #actual)
#define CHECK_STATUS(expected, expression) check_status((expected), (expression), __FILE__, __LINE__, #expression)
#define CHECK_OK(expression) CHECK_STATUS(FC_OK, expression)
#define REQUIRE(condition) \
    do {                   \
        if (!CHECK(condition)) exit(1); \
    } while (0)
#define REQUIRE_OK(expression) \
    do {                       \
        if (!CHECK_OK(expression)) exit(1); \
    } while (0)
#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* ------------------------------------------------------------------ running */

/* Removes whatever this process (and its children, who use its prefix) named in /dev/shm. */
static void check_sweep_names(void)
{
    char ours[2][48];
    DIR *directory = getpid() == check_main_pid ? opendir("/dev/shm") : NULL;
    if (directory == NULL) return;
    snprintf(ours[0], sizeof ours[0], "fincache.t%d-", (int)check_main_pid);
    snprintf(ours[1], sizeof ours[1], "fincache-lock.t%d-", (int)check_main_pid);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        for (int i = 0; i < 2; i++)
            if (strncmp(entry->d_name, ours[i], strlen(ours[i])) == 0) (void)unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
}

/* Removes what test programs that crashed under a sanitizer left behind. */
static void check_sweep_the_dead(void)
{
    DIR *directory = opendir("/dev/shm");
    if (directory == NULL) return;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        int program, maker, number, end = 0;
        const char *name = strstr(entry->d_name, ".t");
        if (strncmp(entry->d_name, "fincache", 8) != 0 || name == NULL || sscanf(name, ".t%d-%d-%d%n", &program, &maker, &number, &end) != 3) continue;
        if ((name[end] == '\0' || name[end] == '.') && kill(program, 0) != 0 && errno == ESRCH) (void)unlinkat(dirfd(directory), entry->d_name, 0);
    }
    closedir(directory);
}

static void check_die(int signal_number)
{
    static const char text[] = "the test program got a signal: watchdog, crash or failed assertion\n";
    (void)!write(2, text, sizeof text - 1);
    check_sweep_names();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

CHECK_UNUSED static void check_begin(void)
{
    check_main_pid = getpid();
    check_sweep_the_dead();
    atexit(check_sweep_names);
    signal(SIGALRM, check_die);
    signal(SIGABRT, check_die);
    if (!CHECK_SANITIZED) {
        signal(SIGSEGV, check_die);
        signal(SIGBUS, check_die);
        signal(SIGFPE, check_die);
    }
    alarm(getenv("FC_SOAK") != NULL ? 20 * CHECK_WATCHDOG_SECONDS : CHECK_WATCHDOG_SECONDS);
    setvbuf(stdout, NULL, _IOLBF, 0);
}

CHECK_UNUSED static void check_run(void (*test)(void), const char *name)
{
    const char *only = getenv("FC_TEST");
    if (only != NULL && strcmp(only, name) != 0) return;
    if (check_main_pid == 0) check_begin();
    check_failures_of_test = 0;
    fc_clock_shift_for_test(0);
    uint64_t start = fc_clock_mono_ns();
    test();
    check_failed_count += check_failures_of_test != 0;
    check_passed_count += check_failures_of_test == 0;
    if (check_failures_of_test != 0 || getenv("FC_VERBOSE") != NULL)
        fprintf(stderr, "%s %s (%" PRIu64 " ms)\n", check_failures_of_test == 0 ? "ok    " : "FAILED", name, (fc_clock_mono_ns() - start) / 1000000);
}

#define RUN(test) check_run(test, #test)
#define SKIP(reason) printf("%s skipped: %s\n", __func__, reason)

CHECK_UNUSED static int check_report(void)
{
    if (check_main_pid != 0) {
        while (waitpid(-1, NULL, WNOHANG) > 0) {}
        check_sweep_names();
    }
    printf("%u passed, %u failed\n", check_passed_count, check_failed_count);
    return check_failed_count == 0 ? 0 : 1;
}

/* ------------------------------------------------------------------ segments */

/* A name nobody else uses; children of the test program get names that it sweeps as well. */
CHECK_UNUSED static void check_name_for(char name[FC_NAME_BYTES_MAX + 1])
{
    static unsigned number;
    snprintf(name, FC_NAME_BYTES_MAX + 1, "t%d-%d-%u", (int)check_main_pid, (int)getpid(), ++number);
}

/* A segment of the test's own, with one session. */
typedef struct fixture {
    char name[FC_NAME_BYTES_MAX + 1];
    fc_cache *cache;
    fc_session *session;
} fixture;

CHECK_UNUSED static fc_options check_options(uint64_t size_bytes)
{
    fc_options options;
    fc_options_init(&options);
    options.size_bytes = size_bytes;
    options.sessions_max = 16;
    options.hash_seed = 42;
    return options;
}

CHECK_UNUSED static fixture check_open_with(const fc_options *options)
{
    fixture made = {.cache = NULL};
    check_name_for(made.name);
    REQUIRE_OK(fc_cache_create(made.name, options, &made.cache));
    REQUIRE_OK(fc_session_open(made.cache, &made.session));
    return made;
}

CHECK_UNUSED static fixture check_open(uint64_t size_bytes)
{
    fc_options options = check_options(size_bytes);
    return check_open_with(&options);
}

CHECK_UNUSED static void check_close(fixture *made)
{
    CHECK_OK(fc_session_close(made->session));
    CHECK_OK(fc_cache_close(made->cache));
    CHECK_OK(fc_cache_unlink(made->name));
}

CHECK_UNUSED static fc_key check_key_of(const fixture *made, const void *data, uint64_t bytes)
{
    fc_key key;
    REQUIRE_OK(fc_key_init(made->cache, 0, data, bytes, &key));
    return key;
}

CHECK_UNUSED static fc_key check_key(const fixture *made, const char *text) { return check_key_of(made, text, strlen(text)); }

CHECK_UNUSED static fc_stats check_stats(const fixture *made)
{
    fc_stats stats;
    REQUIRE_OK(fc_cache_stats(made->cache, &stats));
    return stats;
}

CHECK_UNUSED static fc_status check_set(const fixture *made, const char *key_text, const char *value)
{
    fc_key key = check_key(made, key_text);
    return fc_set(made->session, &key, value, strlen(value), NULL, NULL);
}

/* 1 if the key holds exactly this text; NULL: if it is missing. */
CHECK_UNUSED static int check_holds(const fixture *made, const char *key_text, const char *value)
{
    char buffer[8192];
    uint64_t bytes = 0;
    fc_key key = check_key(made, key_text);
    fc_status status = fc_get(made->session, &key, buffer, sizeof buffer, &bytes);
    if (value == NULL) return status == FC_MISS;
    return status == FC_OK && bytes == strlen(value) && memcmp(buffer, value, bytes) == 0;
}

/* Deletes every key of every database by scanning, as long as there are any. */
CHECK_UNUSED static int32_t check_delete_visited(void *context, const void *data, uint32_t bytes, uint32_t type)
{
    struct { const fixture *made; uint32_t database; } *where = context;
    fc_key key;
    (void)type;
    REQUIRE_OK(fc_key_init(where->made->cache, where->database, data, bytes, &key));
    fc_status status = fc_delete(where->made->session, &key);
    CHECK(status == FC_OK || status == FC_MISS);
    return 0;
}

CHECK_UNUSED static void check_delete_all(const fixture *made)
{
    fc_cache_info info;
    REQUIRE_OK(fc_cache_describe(made->cache, &info));
    struct { const fixture *made; uint32_t database; } where = {made, 0};
    for (; where.database < info.databases; where.database++) {
        uint64_t cursor = 0;
        do CHECK_OK(fc_scan(made->session, where.database, &cursor, 1000, check_delete_visited, &where));
        while (cursor != 0);
    }
}

/* ------------------------------------------------------------------ processes */

/* Waits for a child: 1 if it exited with 0. */
CHECK_UNUSED static int check_child_ok(pid_t child)
{
    int status = 0;
    if (waitpid(child, &status, 0) != child) return 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fprintf(stderr, "child %d ended with wait status 0x%x\n", (int)child, (unsigned)status);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* How a child ends: 0 if all its checks held. */
#define CHILD_EXIT() _exit(check_failures_of_test == 0 ? 0 : 1)

/* xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016); the seed is fixed, so runs repeat. */
CHECK_UNUSED static uint64_t check_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545F4914F6CDD1D);
}

#endif
