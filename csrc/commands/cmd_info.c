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
    fc_stats stats;            /* these are looked at once, so that the sections agree */
    fc_cache_info segment;
    fc_server_figures now;
    fc_meter *sum;
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

/* 12345678 as 11.77M. */
static const char *human(uint64_t bytes, char text[32])
{
    static const char units[] = "BKMGTP";
    double number = (double)bytes;
    size_t unit = 0;
    while (number >= 1024 && unit + 2 < sizeof units) number /= 1024, unit++;
    if (unit == 0) snprintf(text, 32, "%" PRIu64 "B", bytes);
    else snprintf(text, 32, "%.2f%c", number, units[unit]);
    return text;
}

static void tell_bytes(info_text *info, const char *name, uint64_t bytes)
{
    char text[32];
    line(info, "%s:%" PRIu64, name, bytes);
    line(info, "%s_human:%s", name, human(bytes, text));
}

/* Names whose figure is always the same here: what they count does not exist. "a b c" of one value. */
static void tell_constant(info_text *info, const char *value, const char *names)
{
    while (*names != '\0') {
        size_t length = strcspn(names, " ");
        line(info, "%.*s:%s", (int)length, names, value);
        names += length + (names[length] == ' ');
    }
}

static void tell_server(info_text *info)
{
    struct utsname system;
    char executable[256] = "";
    fc_host *host = info->c->host;
    uint64_t now_ns = fc_clock_unix_ns(), up_s = (now_ns - host->started_unix_ns) / 1000000000;
    if (uname(&system) != 0) memset(&system, 0, sizeof system);
    if (readlink("/proc/self/exe", executable, sizeof executable - 1) < 0) executable[0] = '\0';
    line(info, "redis_version:%s", FC_REDIS_VERSION);
    line(info, "fincache_version:%s", fc_version());
    tell_constant(info, "00000000", "redis_git_sha1");
    tell_constant(info, "0", "redis_git_dirty");
    line(info, "redis_build_id:fincache");
    line(info, "redis_mode:standalone");
    line(info, "os:%s %s %s", system.sysname, system.release, system.machine);
    line(info, "arch_bits:64");
    line(info, "monotonic_clock:POSIX clock_gettime");
    line(info, "multiplexing_api:epoll");
    line(info, "atomicvar_api:c11-builtin");
    line(info, "gcc_version:%d.%d.%d", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
    line(info, "process_id:%d", (int)getpid());
    line(info, "process_supervised:%s", getenv("NOTIFY_SOCKET") != NULL ? "systemd" : "no");
    line(info, "run_id:%016" PRIx64 "%016" PRIx64 "%08x", host->started_unix_ns * UINT64_C(0x9E3779B97F4A7C15), host->started_unix_ns ^ (uint64_t)(uintptr_t)host, (unsigned)getpid());
    line(info, "tcp_port:%" PRId64, fc_config_number(&host->config, FC_CONFIG_PORT));
    line(info, "server_time_usec:%" PRIu64, now_ns / 1000);
    line(info, "uptime_in_seconds:%" PRIu64, up_s);
    line(info, "uptime_in_days:%" PRIu64, up_s / 86400);
    line(info, "hz:%" PRId64, fc_config_number(&host->config, FC_CONFIG_HZ));
    line(info, "configured_hz:%" PRId64, fc_config_number(&host->config, FC_CONFIG_HZ));
    line(info, "lru_clock:%" PRIu64, now_ns / 1000000000 & 0xffffff);
    line(info, "executable:%s", executable);
    line(info, "config_file:");
    line(info, "io_threads_active:%d", info->now.threads > 1);
}

static void tell_clients(info_text *info)
{
    line(info, "connected_clients:%" PRIu64, info->now.connected);
    line(info, "cluster_connections:0");
    line(info, "maxclients:%" PRId64, fc_config_number(&info->c->host->config, FC_CONFIG_MAXCLIENTS));
    tell_constant(info, "0", "client_recent_max_input_buffer client_recent_max_output_buffer");
    line(info, "blocked_clients:%" PRIu64, info->now.blocked);
    tell_constant(info, "0", "tracking_clients clients_in_timeout_table");
}

/* Resident pages of this process; those of the segment that it has touched are among them. */
static uint64_t resident_bytes(void)
{
    unsigned long long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) return 0;
    if (fscanf(file, "%llu %llu", &total, &resident) != 2) resident = 0;
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void tell_memory(info_text *info)
{
    const fc_stats *stats = &info->stats;
    char *policy = fc_config_text(&info->c->host->config, FC_CONFIG_MAXMEMORY_POLICY);
    uint64_t index_bytes = info->segment.size_bytes - info->segment.arena_bytes, used = index_bytes + stats->used_bytes + stats->magazine_bytes, resident = resident_bytes();
    tell_bytes(info, "used_memory", used);
    tell_bytes(info, "used_memory_rss", resident);
    tell_bytes(info, "used_memory_peak", used);
    line(info, "used_memory_peak_perc:100.00%%");
    line(info, "used_memory_overhead:%" PRIu64, index_bytes + stats->magazine_bytes);
    line(info, "used_memory_startup:%" PRIu64, index_bytes);
    line(info, "used_memory_dataset:%" PRIu64, stats->used_bytes);
    line(info, "used_memory_dataset_perc:%.2f%%", used > index_bytes ? 100.0 * (double)stats->used_bytes / (double)(used - index_bytes) : 0.0);
    line(info, "allocator_allocated:%" PRIu64, stats->used_bytes);
    line(info, "allocator_active:%" PRIu64, stats->used_bytes + stats->magazine_bytes);
    line(info, "allocator_resident:%" PRIu64, info->segment.size_bytes);
    tell_bytes(info, "total_system_memory", (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
    tell_constant(info, "0", "used_memory_lua used_memory_vm_eval");
    line(info, "used_memory_lua_human:0B");
    tell_constant(info, "0", "used_memory_scripts_eval number_of_cached_scripts number_of_functions number_of_libraries used_memory_vm_functions used_memory_vm_total");
    line(info, "used_memory_vm_total_human:0B");
    tell_constant(info, "0", "used_memory_functions used_memory_scripts");
    line(info, "used_memory_scripts_human:0B");
    tell_bytes(info, "maxmemory", stats->arena_bytes);
    line(info, "maxmemory_policy:%s", policy != NULL ? policy : "");
    tell_constant(info, "1.00", "allocator_frag_ratio allocator_rss_ratio rss_overhead_ratio");
    tell_constant(info, "0", "allocator_frag_bytes allocator_rss_bytes rss_overhead_bytes");
    line(info, "mem_fragmentation_ratio:%.2f", used > 0 ? (double)resident / (double)used : 0.0);
    line(info, "mem_fragmentation_bytes:%" PRId64, (int64_t)resident - (int64_t)used);
    tell_constant(info, "0", "mem_not_counted_for_evict mem_replication_backlog mem_total_replication_buffers mem_clients_slaves");
    line(info, "mem_clients_normal:%" PRIu64, info->now.connection_bytes);
    tell_constant(info, "0", "mem_cluster_links mem_aof_buffer");
    line(info, "mem_allocator:fincache");
    tell_constant(info, "0", "active_defrag_running lazyfree_pending_objects");
    line(info, "lazyfreed_objects:%" PRIu64, stats->flushed);
    free(policy);
}

static void tell_persistence(info_text *info)
{
    tell_constant(info, "0", "loading async_loading current_cow_peak current_cow_size current_cow_size_age");
    line(info, "current_fork_perc:0.00");
    tell_constant(info, "0", "current_save_keys_processed current_save_keys_total");
    line(info, "rdb_changes_since_last_save:%" PRIu64, info->stats.sets + info->stats.deletes);
    line(info, "rdb_bgsave_in_progress:0");
    line(info, "rdb_last_save_time:%" PRIu64, info->c->host->started_unix_ns / 1000000000);
    line(info, "rdb_last_bgsave_status:ok");
    tell_constant(info, "-1", "rdb_last_bgsave_time_sec rdb_current_bgsave_time_sec");
    tell_constant(info, "0", "rdb_saves rdb_last_cow_size rdb_last_load_keys_expired rdb_last_load_keys_loaded aof_enabled aof_rewrite_in_progress aof_rewrite_scheduled");
    tell_constant(info, "-1", "aof_last_rewrite_time_sec aof_current_rewrite_time_sec");
    line(info, "aof_last_bgrewrite_status:ok");
    tell_constant(info, "0", "aof_rewrites aof_rewrites_consecutive_failures");
    line(info, "aof_last_write_status:ok");
    tell_constant(info, "0", "aof_last_cow_size module_fork_in_progress module_fork_last_cow_size");
}

/* Rates between this INFO and the last one that is at least so long ago. */
#define RATE_NS UINT64_C(100000000)

static void measure_rates(info_text *info, uint64_t rates[3])
{
    fc_host *host = info->c->host;
    uint64_t now_ns = fc_clock_mono_ns(), processed = info->sum->processed + (host->baseline != NULL ? host->baseline->processed : 0);
    pthread_mutex_lock(&host->lock);
    uint64_t passed_ns = now_ns - host->rate_at_ns;
    if (passed_ns >= RATE_NS) {
        double seconds = (double)passed_ns / 1e9;
        const uint64_t before[3] = {host->rate_processed, host->rate_input, host->rate_output}, now[3] = {processed, info->now.input_bytes, info->now.output_bytes};
        for (int i = 0; i < 3; i++) host->rates[i] = host->rate_at_ns != 0 && now[i] >= before[i] ? (uint64_t)((double)(now[i] - before[i]) / seconds) : 0;
        host->rate_at_ns = now_ns;
        host->rate_processed = processed;
        host->rate_input = info->now.input_bytes;
        host->rate_output = info->now.output_bytes;
    }
    memcpy(rates, host->rates, sizeof host->rates);
    pthread_mutex_unlock(&host->lock);
}

static void tell_stats(info_text *info)
{
    const fc_stats *now = &info->stats, *before = &info->c->host->stats_baseline;
    const fc_server_figures *base = &info->c->host->figures_baseline;
    uint64_t rates[3];
    measure_rates(info, rates);
    line(info, "total_connections_received:%" PRIu64, info->now.received - base->received);
    line(info, "total_commands_processed:%" PRIu64, info->sum->processed);
    line(info, "instantaneous_ops_per_sec:%" PRIu64, rates[0]);
    line(info, "total_net_input_bytes:%" PRIu64, info->now.input_bytes - base->input_bytes);
    line(info, "total_net_output_bytes:%" PRIu64, info->now.output_bytes - base->output_bytes);
    tell_constant(info, "0", "total_net_repl_input_bytes total_net_repl_output_bytes");
    line(info, "instantaneous_input_kbps:%.2f", (double)rates[1] / 1024);
    line(info, "instantaneous_output_kbps:%.2f", (double)rates[2] / 1024);
    tell_constant(info, "0.00", "instantaneous_input_repl_kbps instantaneous_output_repl_kbps");
    line(info, "rejected_connections:%" PRIu64, info->now.rejected - base->rejected);
    tell_constant(info, "0", "sync_full sync_partial_ok sync_partial_err");
    line(info, "expired_keys:%" PRIu64, now->expired - before->expired);
    line(info, "expired_stale_perc:0.00");
    tell_constant(info, "0", "expired_time_cap_reached_count expire_cycle_cpu_milliseconds");
    line(info, "evicted_keys:%" PRIu64, now->evicted - before->evicted);
    tell_constant(info, "0", "evicted_clients total_eviction_exceeded_time current_eviction_exceeded_time");
    line(info, "keyspace_hits:%" PRIu64, now->hits - before->hits);
    line(info, "keyspace_misses:%" PRIu64, now->misses - before->misses);
    tell_constant(info, "0", "pubsub_channels pubsub_patterns pubsubshard_channels latest_fork_usec total_forks migrate_cached_sockets slave_expires_tracked_keys active_defrag_hits "
                             "active_defrag_misses active_defrag_key_hits active_defrag_key_misses total_active_defrag_time current_active_defrag_time tracking_total_keys "
                             "tracking_total_items tracking_total_prefixes unexpected_error_replies");
    line(info, "total_error_replies:%" PRIu64, info->sum->errors);
    tell_constant(info, "0", "dump_payload_sanitizations total_reads_processed total_writes_processed io_threaded_reads_processed io_threaded_writes_processed reply_buffer_shrinks "
                             "reply_buffer_expands");
}

static void tell_replication(info_text *info)
{
    line(info, "role:master");
    line(info, "connected_slaves:0");
    line(info, "master_failover_state:no-failover");
    tell_constant(info, "0000000000000000000000000000000000000000", "master_replid master_replid2");
    line(info, "master_repl_offset:0");
    line(info, "second_repl_offset:-1");
    tell_constant(info, "0", "repl_backlog_active repl_backlog_size repl_backlog_first_byte_offset repl_backlog_histlen");
}

static void tell_cpu(info_text *info)
{
    static const struct { int who; const char *suffix; } kinds[] = {{RUSAGE_SELF, ""}, {RUSAGE_CHILDREN, "_children"}, {RUSAGE_THREAD, "_main_thread"}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct rusage usage;
        if (getrusage(kinds[i].who, &usage) != 0) continue;
        line(info, "used_cpu_sys%s:%ld.%06ld", kinds[i].suffix, (long)usage.ru_stime.tv_sec, (long)usage.ru_stime.tv_usec);
        line(info, "used_cpu_user%s:%ld.%06ld", kinds[i].suffix, (long)usage.ru_utime.tv_sec, (long)usage.ru_utime.tv_usec);
    }
}

static void tell_modules(info_text *info) { (void)info; }

static void tell_commandstats(info_text *info)
{
    for (uint32_t id = 0; id < FC_COMMAND_COUNT; id++) {
        const fc_command_meter *meter = &info->sum->commands[id];
        if (meter->calls == 0 && meter->rejected == 0 && meter->failed == 0) continue;
        line(info, "cmdstat_%s:calls=%" PRIu64 ",usec=%" PRIu64 ",usec_per_call=%.2f,rejected_calls=%" PRIu64 ",failed_calls=%" PRIu64, fc_command_rows[id].full_name, meter->calls,
             meter->nanoseconds / 1000, meter->calls == 0 ? 0.0 : (double)meter->nanoseconds / 1000 / (double)meter->calls, meter->rejected, meter->failed);
    }
}

static void tell_errorstats(info_text *info)
{
    for (uint32_t i = 0; i < FC_ERROR_CODES_MAX; i++)
        if (info->sum->error_counts[i] > 0) line(info, "errorstat_%s:count=%" PRIu64, info->sum->error_codes[i], info->sum->error_counts[i]);
}

/* The duration that `percent` of the calls did not exceed, to 1.6 %. */
static double percentile_us(const fc_histogram *histogram, uint64_t calls, double percent)
{
    uint64_t wanted = (uint64_t)((double)calls * percent / 100 + 0.5), so_far = 0;
    if (wanted == 0) wanted = 1;
    for (uint32_t bucket = 0; bucket < FC_HISTOGRAM_BUCKETS; bucket++)
        if ((so_far += histogram->counts[bucket]) >= wanted) return (double)fc_histogram_top(bucket) / 1000;
    return 0;
}

static void tell_latencystats(info_text *info)
{
    fc_histogram *histogram = fc_context_scratch(info->c, sizeof *histogram);
    char *percentiles = fc_config_text(&info->c->host->config, FC_CONFIG_LATENCY_TRACKING_INFO_PERCENTILES);
    for (uint32_t id = 0; histogram != NULL && percentiles != NULL && id < FC_COMMAND_COUNT; id++) {
        uint64_t calls = 0, used = 0;
        char text[400] = "", *at = percentiles, *end;
        if (info->sum->commands[id].calls == 0) continue;
        fc_host_sum_histogram(info->c->host, id, histogram);
        for (uint32_t i = 0; i < FC_HISTOGRAM_BUCKETS; i++) calls += histogram->counts[i];
        if (calls == 0) continue;
        for (double percent = strtod(at, &end); end != at && used < sizeof text - 64; at = end, percent = strtod(at, &end))
            used += (uint64_t)snprintf(text + used, sizeof text - used, "%sp%.15g=%.3f", used > 0 ? "," : "", percent, percentile_us(histogram, calls, percent));
        if (used > 0) line(info, "latency_percentiles_usec_%s:%s", fc_command_rows[id].full_name, text);
    }
    free(percentiles);
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

/* The segment, of which every process sees the same figures. */
static void tell_fincache(info_text *info)
{
    const fc_stats *stats = &info->stats;
    line(info, "segment:%s", info->segment.name);
    line(info, "segment_id:%016" PRIx64, info->segment.segment_id);
    line(info, "segment_bytes:%" PRIu64, info->segment.size_bytes);
    line(info, "segment_arena_bytes:%" PRIu64, stats->arena_bytes);
    line(info, "segment_used_bytes:%" PRIu64, stats->used_bytes);
    line(info, "segment_free_bytes:%" PRIu64, stats->free_bytes);
    line(info, "segment_magazine_bytes:%" PRIu64, stats->magazine_bytes);
    line(info, "segment_huge_bytes:%" PRIu64, info->segment.huge_bytes);
    line(info, "segment_keys:%" PRIu64, stats->key_count);
    line(info, "segment_keys_configured:%" PRIu64, info->segment.keys_configured);
    line(info, "sessions_used:%u", stats->sessions_used);
    line(info, "sessions_max:%u", info->segment.sessions_max);
    line(info, "gets:%" PRIu64, stats->gets);
    line(info, "sets:%" PRIu64, stats->sets);
    line(info, "deletes:%" PRIu64, stats->deletes);
    line(info, "read_retries:%" PRIu64, stats->read_retries);
    line(info, "contended:%" PRIu64, stats->contended);
    line(info, "lock_waits:%" PRIu64, stats->lock_waits);
    line(info, "busy:%" PRIu64, stats->busy);
    line(info, "recoveries:%" PRIu64, stats->recoveries);
    line(info, "rolled_forward:%" PRIu64, stats->rolled_forward);
    line(info, "flushed_keys:%" PRIu64, stats->flushed);
    line(info, "pages_moved:%" PRIu64, stats->pages_moved);
    line(info, "multi_commits:%" PRIu64, stats->multi_commits);
    line(info, "out_of_memory:%" PRIu64, stats->out_of_memory);
    line(info, "server_threads:%" PRIu64, info->now.threads);
    line(info, "protocol_errors:%" PRIu64, info->now.protocol_errors);
}

static const struct info_section {
    const char *name;
    void (*tell)(info_text *info);
    enum { IN_DEFAULT, IN_ALL } group;
} sections[] = {
    {"Server", tell_server, IN_DEFAULT},
    {"Clients", tell_clients, IN_DEFAULT},
    {"Memory", tell_memory, IN_DEFAULT},
    {"Persistence", tell_persistence, IN_DEFAULT},
    {"Stats", tell_stats, IN_DEFAULT},
    {"Replication", tell_replication, IN_DEFAULT},
    {"CPU", tell_cpu, IN_DEFAULT},
    {"Modules", tell_modules, IN_DEFAULT},
    {"Commandstats", tell_commandstats, IN_ALL},
    {"Errorstats", tell_errorstats, IN_DEFAULT},
    {"Latencystats", tell_latencystats, IN_ALL},
    {"Cluster", tell_cluster, IN_DEFAULT},
    {"Keyspace", tell_keyspace, IN_DEFAULT},
    {"FinCache", tell_fincache, IN_DEFAULT},
};

static int is_asked_for(const fc_context *c, const struct info_section *section)
{
    if (c->argument_count == 1) return section->group == IN_DEFAULT;
    for (uint32_t i = 1; i < c->argument_count; i++) {
        const fc_arg *word = &c->arguments[i];
        if (fc_arg_is(word, section->name) || fc_arg_is(word, "all") || fc_arg_is(word, "everything")) return 1;
        if (fc_arg_is(word, "default") && section->group == IN_DEFAULT) return 1;
    }
    return 0;
}

fc_status fc_cmd_info(fc_context *c)
{
    info_text info = {.c = c, .sum = fc_context_scratch(c, sizeof *info.sum)};
    if (info.sum == NULL) return fc_fail(FC_SYSTEM, "no memory for counters");
    FC_TRY(fc_cache_stats(c->cache, &info.stats));
    FC_TRY(fc_cache_describe(c->cache, &info.segment));
    fc_host_sum_meters(c->host, info.sum);
    if (c->host->hooks.tell_figures != NULL) c->host->hooks.tell_figures(c->host->hooks.server, &info.now);
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
