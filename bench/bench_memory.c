/* bench_memory.c -- how much memory do a million keys of 16 + 32 bytes take, beside redis-server?
 *
 * Method   FinCache: the smallest segment, to 32 KiB, in which all keys fit under `noeviction`, found by halving; keys and item_bytes are
 *          given at creation, everything else is default. The whole segment is counted: header, session slots, index, arena, and
 *          what is left over in them. It is what `df /dev/shm` shows, and it does not grow.
 *          redis-server: used_memory of INFO after the same keys were SET, its hash table and allocator included, and for scale its
 *          used_memory_rss. The server is the system's, without persistence, on a UNIX socket in a directory of its own; it is
 *          ended by its pid. Without redis-server on the machine only FinCache's figures are printed.
 * Command  build/release/bench/bench_memory         or bench/run_benches.py memory
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

static bench_parameter parameters[] = {
    {"keys", 1000000, 2000, "keys"},
    {"sessions", 0, 16, "session slots; 0: the segment's default"},
    {"step_kib", 32, 32, "how exactly the smallest segment is found"},
    {NULL, 0, 0, NULL},
};

static bench b = {.name = "memory", .question = "How much memory do a million keys take, beside redis-server?", .parameters = parameters};

static uint64_t key_count;

/* ------------------------------------------------------------------ FinCache */

/* Do all keys fit a segment of this size? */
static int fits(uint64_t size_bytes, fc_cache_info *info, fc_stats *stats)
{
    fc_session *session;
    fc_options options = bench_options_for(key_count);
    options.size_bytes = size_bytes;
    options.sessions_max = (uint32_t)bench_get_parameter(&b, "sessions");
    fc_cache *cache;
    char name[64];
    snprintf(name, sizeof name, "bench-memory-%d", (int)getpid());
    fc_status status = fc_cache_create(name, &options, &cache);
    if (status == FC_SIZE_TOO_SMALL) return 0;
    BENCH_MUST(status);
    status = fc_session_open(cache, &session);
    BENCH_MUST(fc_cache_unlink(name));
    BENCH_MUST(status);
    char text[BENCH_KEY_BYTES];
    uint64_t value[4];
    for (uint64_t i = 0; i < key_count && status == FC_OK; i++) {
        fc_key key;
        bench_key_text(i, text);
        bench_value_fill(value, i, 0);
        BENCH_MUST(fc_key_init(cache, 0, text, sizeof text, &key));
        status = fc_set(session, &key, value, sizeof value, NULL, NULL);
        BENCH_CHECK(status == FC_OK || status == FC_OUT_OF_MEMORY);
    }
    BENCH_MUST(fc_cache_describe(cache, info));
    BENCH_MUST(fc_session_stats(session, stats));
    BENCH_MUST(fc_cache_close(cache));
    return status == FC_OK;
}

static uint64_t smallest_segment(fc_cache_info *info, fc_stats *stats)
{
    uint64_t step = bench_get_parameter(&b, "step_kib") << 10;
    uint64_t low = FC_SEGMENT_BYTES_MIN / step, high = (key_count * 160 + (4u << 20)) / step;
    BENCH_CHECK(fits(high * step, info, stats));
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (fits(middle * step, info, stats)) high = middle;
        else low = middle;
    }
    BENCH_CHECK(fits(high * step, info, stats));
    return high * step;
}

/* ------------------------------------------------------------------ redis-server */

static char redis_directory[] = "/tmp/bench-redis-XXXXXX";
static pid_t redis_pid;

static void stop_redis(void)
{
    char path[64];
    if (redis_pid == 0) return;
    bench_kill(redis_pid);
    redis_pid = 0;
    snprintf(path, sizeof path, "%s/socket", redis_directory);
    unlink(path);
    rmdir(redis_directory);
}

/* Starts a server and connects. -1: there is none. */
static int start_redis(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    BENCH_CHECK(mkdtemp(redis_directory) != NULL);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", redis_directory);
    redis_pid = bench_fork();
    if (redis_pid == 0) {
        int nothing = open("/dev/null", O_WRONLY);
        dup2(nothing, 1);
        dup2(nothing, 2);
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", address.sun_path, "--save", "", "--appendonly", "no", "--dir", redis_directory,
               (char *)NULL);
        _exit(127);
    }
    atexit(stop_redis);
    int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    BENCH_CHECK(file >= 0);
    for (int attempt = 0; attempt < 1000; attempt++) {
        if (connect(file, (struct sockaddr *)&address, sizeof address) == 0) return file;
        if (waitpid(redis_pid, NULL, WNOHANG) == redis_pid) break;
        usleep(10000);
    }
    if (kill(redis_pid, 0) != 0) redis_pid = 0;
    rmdir(redis_directory);
    close(file);
    return -1;
}

static void send_all(int file, const char *bytes, size_t count)
{
    for (ssize_t sent; count > 0; bytes += sent, count -= (size_t)sent) {
        sent = write(file, bytes, count);
        BENCH_CHECK(sent > 0);
    }
}

/* Reads until `wanted` replies of 5 bytes ("+OK\r\n") came. */
static void await_oks(int file, uint64_t wanted)
{
    char replies[4096];
    for (uint64_t left = wanted * 5; left > 0;) {
        ssize_t received = read(file, replies, left < sizeof replies ? left : sizeof replies);
        BENCH_CHECK(received > 0 && memchr(replies, '-', (size_t)received) == NULL);
        left -= (uint64_t)received;
    }
}

static void fill_redis(int file)
{
    enum { PIPELINE = 256 };
    char request[PIPELINE * 128];
    for (uint64_t from = 0; from < key_count; from += PIPELINE) {
        uint64_t count = key_count - from < PIPELINE ? key_count - from : PIPELINE;
        size_t used = 0;
        for (uint64_t i = from; i < from + count; i++) {
            char text[BENCH_KEY_BYTES];
            uint64_t value[4];
            bench_key_text(i, text);
            bench_value_fill(value, i, 0);
            used += (size_t)sprintf(request + used, "*3\r\n$3\r\nSET\r\n$%u\r\n%.16s\r\n$%u\r\n", BENCH_KEY_BYTES, text, BENCH_VALUE_BYTES);
            memcpy(request + used, value, sizeof value);
            memcpy(request + used + sizeof value, "\r\n", 2);
            used += sizeof value + 2;
        }
        send_all(file, request, used);
        await_oks(file, count);
    }
}

/* A number of INFO memory. */
static uint64_t redis_info(int file, const char *field)
{
    char reply[16384], line[64];
    size_t used = 0;
    unsigned length = 0;
    send_all(file, "*2\r\n$4\r\nINFO\r\n$6\r\nmemory\r\n", 26);
    do {
        ssize_t received = read(file, reply + used, sizeof reply - 1 - used);
        BENCH_CHECK(received > 0);
        used += (size_t)received;
        reply[used] = '\0';
    } while (sscanf(reply, "$%u\r\n", &length) != 1 || strchr(reply, '\n') == NULL || used < (size_t)(strchr(reply, '\n') + 1 - reply) + length + 2);
    snprintf(line, sizeof line, "\n%s:", field);
    const char *found = strstr(reply, line);
    BENCH_CHECK(found != NULL);
    return strtoull(found + strlen(line), NULL, 10);
}

/* ------------------------------------------------------------------ */

int main(int argc, char **argv)
{
    bench_begin(&b, argc, argv);
    fc_cache_info info;
    fc_stats stats;
    key_count = bench_get_parameter(&b, "keys");
    double redis_bytes = 0;
    int file = start_redis();
    if (file >= 0) {
        uint64_t empty = redis_info(file, "used_memory");
        fill_redis(file);
        redis_bytes = (double)redis_info(file, "used_memory");
        bench_number(&b, "redis-server used_memory", "bytes", redis_bytes, BENCH_NO_TARGET, 0);
        bench_number(&b, "redis-server used_memory a key", "bytes", redis_bytes / (double)key_count, BENCH_NO_TARGET, 0);
        bench_number(&b, "redis-server used_memory a key, empty server's taken off", "bytes", (redis_bytes - (double)empty) / (double)key_count, BENCH_NO_TARGET, 0);
        bench_number(&b, "redis-server used_memory_rss a key", "bytes", (double)redis_info(file, "used_memory_rss") / (double)key_count, BENCH_NO_TARGET, 0);
        close(file);
        stop_redis();
    } else BENCH_SAY(&b, "redis-server is not to be had; nothing to compare with");
    double size_bytes = (double)smallest_segment(&info, &stats);
    bench_number(&b, "FinCache smallest segment", "bytes", size_bytes, redis_bytes > 0 ? BENCH_P50_AT_MOST : BENCH_NO_TARGET, redis_bytes);
    bench_number(&b, "FinCache smallest segment a key", "bytes", size_bytes / (double)key_count, BENCH_NO_TARGET, 0);
    bench_number(&b, "  of it header, slots and index a key", "bytes", (size_bytes - (double)info.arena_bytes) / (double)key_count, BENCH_NO_TARGET, 0);
    bench_number(&b, "  of it blocks in use a key", "bytes", (double)stats.used_bytes / (double)key_count, BENCH_NO_TARGET, 0);
    BENCH_SAY(&b, "%llu session slots, %llu homes, %llu extension buckets", (unsigned long long)info.sessions_max, (unsigned long long)info.home_count,
              (unsigned long long)stats.extension_buckets);
    b.checksum = stats.key_count;
    bench_end(&b);
    return 0;
}
