/* cmd_info.c -- INFO: figures under Redis's section and field names, so that exporters and dashboards find them.
 *
 * Sections     one function each, in a table; a section is told if it is asked for by name, or is one of the default ones and nothing (or
 *              default, all, everything) was asked for.
 */
#include "commands/context.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Text under construction; grows in the reply's own way. */
typedef struct info_text {
    fc_reply text;
    fc_context *c;
} info_text;

static void line(info_text *info, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void line(info_text *info, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(text, sizeof text - 2, format, arguments);
    va_end(arguments);
    if (bytes < 0) return;
    if ((size_t)bytes > sizeof text - 3) bytes = sizeof text - 3;
    memcpy(text + bytes, "\r\n", 2);
    fc_reply_raw(&info->text, text, (uint64_t)bytes + 2);
}

static void tell_server(info_text *info)
{
    struct utsname system;
    fc_host *host = info->c->host;
    uint64_t up_s = (fc_clock_unix_ns() - host->started_unix_ns) / 1000000000;
    if (uname(&system) != 0) memset(&system, 0, sizeof system);
    line(info, "redis_version:%s", FC_REDIS_VERSION);
    line(info, "fincache_version:%s", fc_version());
    line(info, "redis_git_sha1:00000000");
    line(info, "redis_git_dirty:0");
    line(info, "redis_mode:standalone");
    line(info, "os:%s %s %s", system.sysname, system.release, system.machine);
    line(info, "arch_bits:64");
    line(info, "multiplexing_api:epoll");
    line(info, "process_id:%d", (int)getpid());
    line(info, "tcp_port:%" PRId64, fc_config_number(&host->config, FC_CONFIG_PORT));
    line(info, "server_time_usec:%" PRIu64, fc_clock_unix_ns() / 1000);
    line(info, "uptime_in_seconds:%" PRIu64, up_s);
    line(info, "uptime_in_days:%" PRIu64, up_s / 86400);
    line(info, "hz:%" PRId64, fc_config_number(&host->config, FC_CONFIG_HZ));
    line(info, "configured_hz:%" PRId64, fc_config_number(&host->config, FC_CONFIG_HZ));
}

static void count_clients(info_text *info, uint64_t counts[4])
{
    const fc_hooks *hooks = &info->c->host->hooks;
    memset(counts, 0, 4 * sizeof counts[0]);
    if (hooks->count_clients != NULL) hooks->count_clients(hooks->server, &counts[0], &counts[1], &counts[2], &counts[3]);
}

static void tell_clients(info_text *info)
{
    uint64_t counts[4];
    count_clients(info, counts);
    line(info, "connected_clients:%" PRIu64, counts[0]);
    line(info, "cluster_connections:0");
    line(info, "maxclients:%" PRId64, fc_config_number(&info->c->host->config, FC_CONFIG_MAXCLIENTS));
    line(info, "blocked_clients:%" PRIu64, counts[1]);
    line(info, "tracking_clients:0");
}

static void tell_memory(info_text *info)
{
    fc_stats stats;
    if (fc_cache_stats(info->c->cache, &stats) != FC_OK) return;
    char *policy = fc_config_text(&info->c->host->config, FC_CONFIG_MAXMEMORY_POLICY);
    line(info, "used_memory:%" PRIu64, stats.used_bytes);
    line(info, "used_memory_human:%.2fM", (double)stats.used_bytes / 1048576);
    line(info, "used_memory_dataset:%" PRIu64, stats.used_bytes);
    line(info, "maxmemory:%" PRIu64, stats.arena_bytes);
    line(info, "maxmemory_human:%.2fM", (double)stats.arena_bytes / 1048576);
    line(info, "maxmemory_policy:%s", policy != NULL ? policy : "");
    line(info, "mem_allocator:fincache");
    free(policy);
}

static void tell_persistence(info_text *info)
{
    line(info, "loading:0");
    line(info, "async_loading:0");
    line(info, "rdb_bgsave_in_progress:0");
    line(info, "aof_enabled:0");
    line(info, "aof_rewrite_in_progress:0");
}

static void tell_stats(info_text *info)
{
    fc_stats stats;
    uint64_t counts[4];
    fc_meter *sum = fc_context_scratch(info->c, sizeof *sum);
    if (sum == NULL || fc_cache_stats(info->c->cache, &stats) != FC_OK) return;
    fc_host_sum_meters(info->c->host, sum);
    count_clients(info, counts);
    line(info, "total_connections_received:%" PRIu64, counts[2]);
    line(info, "total_commands_processed:%" PRIu64, sum->processed);
    line(info, "rejected_connections:%" PRIu64, counts[3]);
    line(info, "expired_keys:%" PRIu64, stats.expired);
    line(info, "evicted_keys:%" PRIu64, stats.evicted);
    line(info, "keyspace_hits:%" PRIu64, stats.hits);
    line(info, "keyspace_misses:%" PRIu64, stats.misses);
    line(info, "total_error_replies:%" PRIu64, sum->errors);
}

static void tell_replication(info_text *info)
{
    line(info, "role:master");
    line(info, "connected_slaves:0");
    line(info, "master_repl_offset:0");
}

static void tell_cpu(info_text *info)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) return;
    line(info, "used_cpu_sys:%ld.%06ld", (long)usage.ru_stime.tv_sec, (long)usage.ru_stime.tv_usec);
    line(info, "used_cpu_user:%ld.%06ld", (long)usage.ru_utime.tv_sec, (long)usage.ru_utime.tv_usec);
}

static void tell_commandstats(info_text *info)
{
    fc_meter *sum = fc_context_scratch(info->c, sizeof *sum);
    if (sum == NULL) return;
    fc_host_sum_meters(info->c->host, sum);
    for (uint32_t id = 0; id < FC_COMMAND_COUNT; id++) {
        const fc_command_meter *meter = &sum->commands[id];
        if (meter->calls == 0 && meter->rejected == 0 && meter->failed == 0) continue;
        uint64_t usec = meter->nanoseconds / 1000;
        line(info, "cmdstat_%s:calls=%" PRIu64 ",usec=%" PRIu64 ",usec_per_call=%.2f,rejected_calls=%" PRIu64 ",failed_calls=%" PRIu64, fc_command_rows[id].full_name,
             meter->calls, usec, meter->calls == 0 ? 0.0 : (double)meter->nanoseconds / 1000 / (double)meter->calls, meter->rejected, meter->failed);
    }
}

static void tell_errorstats(info_text *info)
{
    fc_meter *sum = fc_context_scratch(info->c, sizeof *sum);
    if (sum == NULL) return;
    fc_host_sum_meters(info->c->host, sum);
    for (uint32_t i = 0; i < FC_ERROR_CODES_MAX; i++)
        if (sum->error_counts[i] > 0) line(info, "errorstat_%s:count=%" PRIu64, sum->error_codes[i], sum->error_counts[i]);
}

static void tell_cluster(info_text *info) { line(info, "cluster_enabled:0"); }

static void tell_keyspace(info_text *info)
{
    int64_t databases = fc_config_number(&info->c->host->config, FC_CONFIG_DATABASES);
    for (int64_t i = 0; i < databases; i++) {
        uint64_t key_count;
        if (fc_count(info->c->session, (uint32_t)i, &key_count) == FC_OK && key_count > 0) line(info, "db%" PRId64 ":keys=%" PRIu64 ",expires=0,avg_ttl=0", i, key_count);
    }
}

static const struct info_section {
    const char *name;
    void (*tell)(info_text *info);
    int is_default;
} sections[] = {
    {"Server", tell_server, 1},           {"Clients", tell_clients, 1},           {"Memory", tell_memory, 1},   {"Persistence", tell_persistence, 1},
    {"Stats", tell_stats, 1},             {"Replication", tell_replication, 1},   {"CPU", tell_cpu, 1},         {"Commandstats", tell_commandstats, 0},
    {"Errorstats", tell_errorstats, 1},   {"Cluster", tell_cluster, 1},           {"Keyspace", tell_keyspace, 1},
};

static int is_asked_for(const fc_context *c, const struct info_section *section)
{
    if (c->argument_count == 1) return section->is_default;
    for (uint32_t i = 1; i < c->argument_count; i++) {
        const fc_arg *word = &c->arguments[i];
        if (fc_arg_is(word, section->name) || fc_arg_is(word, "all") || fc_arg_is(word, "everything")) return 1;
        if (fc_arg_is(word, "default") && section->is_default) return 1;
    }
    return 0;
}

fc_status fc_cmd_info(fc_context *c)
{
    info_text info = {.c = c};
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        if (!is_asked_for(c, &sections[i])) continue;
        if (info.text.bytes > 0) line(&info, "%s", "");
        line(&info, "# %s", sections[i].name);
        sections[i].tell(&info);
    }
    fc_reply_verbatim(c->reply, "txt", info.text.data, info.text.bytes);
    fc_reply_free(&info.text);
    return FC_OK;
}
