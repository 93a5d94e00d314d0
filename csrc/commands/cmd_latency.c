/* cmd_latency.c -- LATENCY: events that took long (latency_log.h), and how long every command takes (the meters' histograms). */
#include "commands/context.h"

#include <inttypes.h>
#include <stdio.h>

/* The event that an argument names; FC_LATENCY_EVENTS: none such. */
static enum fc_latency_event find_event(const fc_arg *name)
{
    for (uint32_t event = 0; event < FC_LATENCY_EVENTS; event++)
        if (fc_arg_is(name, fc_latency_event_name(event))) return event;
    return FC_LATENCY_EVENTS;
}

fc_status fc_cmd_latency_history(fc_context *c)
{
    fc_latency_series *series = fc_context_scratch(c, sizeof *series);
    enum fc_latency_event event = find_event(&c->arguments[2]);
    if (series == NULL) return fc_fail(FC_SYSTEM, "no memory");
    if (event == FC_LATENCY_EVENTS) {
        fc_reply_array(c->reply, 0);
        return FC_OK;
    }
    fc_latency_log_read(&c->host->latency_log, event, series);
    fc_reply_array(c->reply, fc_latency_count(series));
    for (uint32_t i = 0; i < fc_latency_count(series); i++) {
        fc_reply_array(c->reply, 2);
        fc_reply_integer(c->reply, (int64_t)fc_latency_at(series, i)->at_unix_s);
        fc_reply_integer(c->reply, (int64_t)fc_latency_at(series, i)->milliseconds);
    }
    return FC_OK;
}

fc_status fc_cmd_latency_latest(fc_context *c)
{
    fc_latency_series *series = fc_context_scratch(c, sizeof *series);
    uint64_t mark = fc_reply_mark(c->reply), count = 0;
    if (series == NULL) return fc_fail(FC_SYSTEM, "no memory");
    for (uint32_t event = 0; event < FC_LATENCY_EVENTS; event++) {
        fc_latency_log_read(&c->host->latency_log, event, series);
        if (series->count == 0) continue;
        const fc_latency_sample *newest = fc_latency_at(series, fc_latency_count(series) - 1);
        fc_reply_array(c->reply, 4);
        fc_reply_text(c->reply, fc_latency_event_name(event));
        fc_reply_integer(c->reply, (int64_t)newest->at_unix_s);
        fc_reply_integer(c->reply, (int64_t)newest->milliseconds);
        fc_reply_integer(c->reply, (int64_t)series->milliseconds_max);
        count++;
    }
    fc_reply_insert_header(c->reply, mark, '*', count);
    return FC_OK;
}

fc_status fc_cmd_latency_reset(fc_context *c)
{
    int64_t count = 0;
    for (uint32_t event = 0; event < FC_LATENCY_EVENTS; event++) {
        int is_meant = c->argument_count == 2;
        for (uint32_t i = 2; i < c->argument_count; i++) is_meant |= find_event(&c->arguments[i]) == event;
        if (is_meant) count += fc_latency_log_reset(&c->host->latency_log, event);
    }
    fc_reply_integer(c->reply, count);
    return FC_OK;
}

/* ------------------------------------------------------------------ for people */

static void put(fc_reply *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(fc_reply *text, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (bytes > 0) fc_reply_raw(text, line, (size_t)bytes < sizeof line ? (uint64_t)bytes : sizeof line - 1);
}

#define GRAPH_ROWS 4u

/* Bars of `_`, `o` and `#`, the newest at the right; under each how long ago it was. */
static void draw(fc_reply *text, const fc_latency_series *series)
{
    uint32_t count = fc_latency_count(series), first = count > 80 ? count - 80 : 0;
    uint64_t least = UINT64_MAX, most = 0, now_s = fc_clock_unix_ns() / 1000000000;
    for (uint32_t i = first; i < count; i++) {
        uint64_t here = fc_latency_at(series, i)->milliseconds;
        if (here < least) least = here;
        if (here > most) most = here;
    }
    put(text, "high %" PRIu64 " ms, low %" PRIu64 " ms (all time high %" PRIu64 " ms)\n", most, least, series->milliseconds_max);
    for (uint32_t row = GRAPH_ROWS; row-- > 0;) {
        for (uint32_t i = first; i < count; i++) {
            uint64_t steps = most == least ? 2 : (fc_latency_at(series, i)->milliseconds - least) * (GRAPH_ROWS * 2) / (most - least);
            put(text, "%c", steps >= row * 2 + 2 ? '#' : steps == row * 2 + 1 ? 'o' : row == 0 ? '_' : ' ');
        }
        put(text, "\n");
    }
    for (uint32_t i = first; i < count; i++) {
        uint64_t ago_s = now_s > fc_latency_at(series, i)->at_unix_s ? now_s - fc_latency_at(series, i)->at_unix_s : 0;
        put(text, "%c", ago_s < 60 ? 's' : ago_s < 3600 ? 'm' : ago_s < 86400 ? 'h' : 'd');
    }
    put(text, "\n");
}

fc_status fc_cmd_latency_graph(fc_context *c)
{
    enum fc_latency_event event = find_event(&c->arguments[2]);
    fc_latency_series *series = fc_context_scratch(c, sizeof *series);
    fc_reply text = {.protocol = 2};
    if (series == NULL) return fc_fail(FC_SYSTEM, "no memory");
    if (event != FC_LATENCY_EVENTS) fc_latency_log_read(&c->host->latency_log, event, series);
    if (event == FC_LATENCY_EVENTS || series->count == 0) {
        fc_reply_error(c->reply, "ERR No samples available for event '%.*s'", c->arguments[2].bytes < 128 ? (int)c->arguments[2].bytes : 128, (const char *)c->arguments[2].data);
        return FC_OK;
    }
    put(&text, "%s - ", fc_latency_event_name(event));
    draw(&text, series);
    fc_reply_verbatim(c->reply, "txt", text.data, text.bytes);
    fc_reply_free(&text);
    return FC_OK;
}

fc_status fc_cmd_latency_doctor(fc_context *c)
{
    fc_latency_series *series = fc_context_scratch(c, sizeof *series);
    fc_reply text = {.protocol = 2};
    int64_t threshold_ms = fc_config_number(&c->host->config, FC_CONFIG_LATENCY_MONITOR_THRESHOLD);
    if (series == NULL) return fc_fail(FC_SYSTEM, "no memory");
    if (threshold_ms == 0) put(&text, "Nothing is watched: latency-monitor-threshold is 0. CONFIG SET latency-monitor-threshold <milliseconds> begins.\n");
    for (uint32_t event = 0; event < FC_LATENCY_EVENTS; event++) {
        uint64_t sum = 0;
        fc_latency_log_read(&c->host->latency_log, event, series);
        uint32_t count = fc_latency_count(series);
        if (count == 0) continue;
        for (uint32_t i = 0; i < count; i++) sum += fc_latency_at(series, i)->milliseconds;
        put(&text, "%s: %u seconds with slow ones, %.1f ms in the mean, %" PRIu64 " ms at worst. SLOWLOG GET names the commands%s.\n", fc_latency_event_name(event), count,
            (double)sum / count, series->milliseconds_max, fc_config_number(&c->host->config, FC_CONFIG_SLOWLOG_LOG_SLOWER_THAN) < 0 ? ", once slowlog-log-slower-than lets it" : "");
    }
    if (text.bytes == 0) put(&text, "Nothing took %" PRId64 " ms or longer.\n", threshold_ms);
    fc_reply_verbatim(c->reply, "txt", text.data, text.bytes);
    fc_reply_free(&text);
    return FC_OK;
}

/* ------------------------------------------------------------------ histograms */

/* Calls that took as long as 1, 2, 4 ... microseconds or less, of those powers at which the number changes. 0: it never ran. */
static int reply_histogram(fc_context *c, const fc_command *command, fc_histogram *histogram)
{
    uint64_t calls = 0, told = 0, so_far = 0, powers = 0;
    fc_host_sum_histogram(c->host, command->id, histogram);
    for (uint32_t i = 0; i < FC_HISTOGRAM_BUCKETS; i++) calls += histogram->counts[i];
    if (calls == 0) return 0;
    fc_reply_text(c->reply, command->full_name);
    fc_reply_map(c->reply, 2);
    fc_reply_text(c->reply, "calls");
    fc_reply_integer(c->reply, (int64_t)calls);
    fc_reply_text(c->reply, "histogram_usec");
    uint64_t mark = fc_reply_mark(c->reply);
    uint32_t bucket = 0;
    for (uint64_t microseconds = 1; told < calls; microseconds *= 2) {
        int is_last = microseconds >= UINT64_C(1) << 31;
        while (bucket < FC_HISTOGRAM_BUCKETS && (is_last || fc_histogram_top(bucket) <= microseconds * 1000)) so_far += histogram->counts[bucket++];
        if (so_far == told) continue;
        told = so_far;
        fc_reply_integer(c->reply, (int64_t)microseconds);
        fc_reply_integer(c->reply, (int64_t)told);
        powers++;
    }
    fc_reply_insert_header(c->reply, mark, '%', powers);
    return 1;
}

static uint64_t reply_histograms(fc_context *c, const fc_command *command, fc_histogram *histogram)
{
    uint64_t count = (uint64_t)reply_histogram(c, command, histogram);
    for (uint32_t id = command->id + 1; id < FC_COMMAND_COUNT && fc_command_rows[id].parent == (int32_t)command->id; id++) count += (uint64_t)reply_histogram(c, &fc_command_rows[id], histogram);
    return count;
}

fc_status fc_cmd_latency_histogram(fc_context *c)
{
    fc_histogram *histogram = fc_context_scratch(c, sizeof *histogram);
    uint64_t mark = fc_reply_mark(c->reply), count = 0;
    if (histogram == NULL) return fc_fail(FC_SYSTEM, "no memory");
    for (uint32_t id = 0; c->argument_count == 2 && id < FC_COMMAND_COUNT; id++) count += (uint64_t)reply_histogram(c, &fc_command_rows[id], histogram);
    for (uint32_t i = 2; i < c->argument_count; i++) {
        const fc_command *command = fc_command_find_full(&c->host->names, c->arguments[i].data, c->arguments[i].bytes);
        if (command != NULL) count += reply_histograms(c, command, histogram);
    }
    fc_reply_insert_header(c->reply, mark, '%', count);
    return FC_OK;
}
