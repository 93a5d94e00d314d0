/* watch.c -- see watch.h. */
#include "commands/watch.h"

#include "commands/multi_queue.h"

#include <inttypes.h>
#include <stdio.h>

/* ------------------------------------------------------------------ arguments that are not for others */

static const fc_arg redacted = {.data = (const uint8_t *)"(redacted)", .bytes = 10};

/* 1 if argument `index` is a password or the like. */
static int is_secret(const fc_command *command, const fc_arg *arguments, uint32_t argument_count, uint32_t index)
{
    if (command->id == FC_CMD_AUTH) return index > 0;
    if (command->id == FC_CMD_CONFIG_SET && index >= 3 && index % 2 == 1) {
        const fc_config_row *row = fc_config_find(arguments[index - 1].data, arguments[index - 1].bytes);
        return row != NULL && (fc_config_at(row->id)->flags & FC_CONFIG_SENSITIVE) != 0;
    }
    if (command->id == FC_CMD_HELLO)
        for (uint32_t i = 2; i + 2 < argument_count; i++)
            if (fc_arg_is(&arguments[i], "auth")) return index == i + 1 || index == i + 2;
    return 0;
}

static const fc_arg *shown(const fc_command *command, const fc_arg *arguments, uint32_t argument_count, uint32_t index)
{
    return is_secret(command, arguments, argument_count, index) ? &redacted : &arguments[index];
}

/* ------------------------------------------------------------------ MONITOR */

/* In quotes, with \n, \xff and so on for what does not print. */
static void put_quoted(fc_reply *line, const fc_arg *argument)
{
    static const char hex[] = "0123456789abcdef", from[] = "\n\r\t\a\b\\\"", to[] = "nrtab\\\"";
    uint8_t *room = fc_reply_room(line, argument->bytes * 4 + 2);
    if (room == NULL) return;
    uint64_t at = 0;
    room[at++] = '"';
    for (uint64_t i = 0; i < argument->bytes; i++) {
        uint8_t byte = argument->data[i];
        const char *special = byte != 0 ? strchr(from, byte) : NULL;
        if (special != NULL) {
            room[at++] = '\\';
            room[at++] = (uint8_t)to[special - from];
        } else if (byte >= ' ' && byte <= '~') {
            room[at++] = byte;
        } else {
            const uint8_t escaped[4] = {'\\', 'x', (uint8_t)hex[byte >> 4], (uint8_t)hex[byte & 15]};
            memcpy(room + at, escaped, 4);
            at += 4;
        }
    }
    room[at++] = '"';
    fc_reply_took(line, at);
}

static void tell_address(fc_context *c, fc_client_state *state)
{
    const fc_hooks *hooks = &c->host->hooks;
    memset(state, 0, sizeof *state);
    if (hooks->tell_client != NULL && c->client->connection != NULL) hooks->tell_client(hooks->server, c->client, state);
}

static void feed(fc_context *c, const fc_command *command, uint64_t at_unix_ns)
{
    fc_reply line = {.protocol = 2};
    fc_client_state state;
    char head[256];
    if (c->host->hooks.feed == NULL || (command->flags & (FC_COMMAND_ADMIN | FC_COMMAND_SKIP_MONITOR)) != 0) return;
    tell_address(c, &state);
    int head_bytes = snprintf(head, sizeof head, "+%" PRIu64 ".%06" PRIu64 " [%u %.200s]", at_unix_ns / 1000000000, at_unix_ns / 1000 % 1000000, c->client->database, state.peer);
    fc_reply_raw(&line, head, (uint64_t)head_bytes);
    for (uint32_t i = 0; i < c->argument_count; i++) {
        fc_reply_literal(&line, " ");
        put_quoted(&line, shown(command, c->arguments, c->argument_count, i));
    }
    fc_reply_literal(&line, "\r\n");
    if (!line.broken) c->host->hooks.feed(c->host->hooks.server, line.data, line.bytes);
    fc_reply_free(&line);
}

/* ------------------------------------------------------------------ what was slow */

static void note_slow(fc_context *c, const fc_command *command, uint64_t started_unix_ns, uint64_t microseconds)
{
    fc_host *host = c->host;
    fc_client_state state;
    fc_arg told[FC_SLOW_ARGUMENTS_MAX];
    uint64_t max = (uint64_t)fc_config_number(&host->config, FC_CONFIG_SLOWLOG_MAX_LEN);
    if (max == 0) return;
    tell_address(c, &state);
    for (uint32_t i = 0; i < c->argument_count && i < FC_SLOW_ARGUMENTS_MAX; i++) told[i] = *shown(command, c->arguments, c->argument_count, i);
    fc_slow_log_add(&host->slow_log, max, started_unix_ns / 1000000000, microseconds, state.peer, c->client->name != NULL ? c->client->name : "", told, c->argument_count);
}

void fc_watch_ran(fc_context *c, const fc_command *command, uint64_t started_unix_ns, uint64_t nanoseconds)
{
    fc_host *host = c->host;
    if ((fc_load_relaxed(&host->watch) & FC_WATCH_MONITOR) != 0) feed(c, command, started_unix_ns);
    int64_t slow_us = fc_config_number(&host->config, FC_CONFIG_SLOWLOG_LOG_SLOWER_THAN);
    if (slow_us >= 0 && nanoseconds / 1000 >= (uint64_t)slow_us && (command->flags & FC_COMMAND_SKIP_SLOWLOG) == 0) note_slow(c, command, started_unix_ns, nanoseconds / 1000);
    int64_t latency_ms = fc_config_number(&host->config, FC_CONFIG_LATENCY_MONITOR_THRESHOLD);
    if (latency_ms > 0 && nanoseconds / 1000000 >= (uint64_t)latency_ms)
        fc_latency_log_add(&host->latency_log, (command->flags & FC_COMMAND_FAST) != 0 ? FC_LATENCY_FAST_COMMAND : FC_LATENCY_COMMAND, started_unix_ns / 1000000000, nanoseconds / 1000000);
}

void fc_watch_configure(fc_host *host)
{
    int64_t slow_us = fc_config_number(&host->config, FC_CONFIG_SLOWLOG_LOG_SLOWER_THAN);
    int64_t latency_ms = fc_config_number(&host->config, FC_CONFIG_LATENCY_MONITOR_THRESHOLD);
    uint64_t slow_ns = UINT64_MAX;
    if (slow_us >= 0 && slow_us < INT64_MAX / 1000) slow_ns = (uint64_t)slow_us * 1000;
    if (latency_ms > 0 && latency_ms < INT64_MAX / 1000000 && (uint64_t)latency_ms * 1000000 < slow_ns) slow_ns = (uint64_t)latency_ms * 1000000;
    fc_store_relaxed(&host->slow_ns, slow_ns);
    if (fc_config_number(&host->config, FC_CONFIG_LATENCY_TRACKING)) fc_fetch_and(&host->watch, ~(uint64_t)FC_WATCH_UNTRACKED);
    else fc_fetch_or(&host->watch, FC_WATCH_UNTRACKED);
    fc_slow_log_trim(&host->slow_log, (uint64_t)fc_config_number(&host->config, FC_CONFIG_SLOWLOG_MAX_LEN));
}

/* ------------------------------------------------------------------ CLIENT PAUSE */

/* A transaction with one command that writes is held as a whole. */
static int writes(const fc_client *client, const fc_command *command)
{
    if ((command->flags & FC_COMMAND_WRITE) != 0) return 1;
    if (command->id != FC_CMD_EXEC || client->queue == NULL) return 0;
    for (uint64_t i = 0; i < client->queue->command_count; i++)
        if ((client->queue->commands[i].command->flags & FC_COMMAND_WRITE) != 0) return 1;
    return 0;
}

int fc_watch_holds(fc_context *c, const fc_command *command)
{
    if ((c->client->flags & FC_CLIENT_IN_PROCESS) != 0) return 0;
    if (fc_clock_mono_ns() >= fc_load_relaxed(&c->host->paused_until_ns)) {
        fc_watch_end_pause(c->host);
        return 0;
    }
    return fc_load_relaxed(&c->host->pauses_all) || writes(c->client, command);
}

void fc_watch_pause(fc_host *host, uint64_t until_mono_ns, int holds_all)
{
    pthread_mutex_lock(&host->lock);
    int is_on = (fc_load_relaxed(&host->watch) & FC_WATCH_PAUSE) != 0 && host->paused_until_ns > fc_clock_mono_ns();
    if (!is_on || until_mono_ns > host->paused_until_ns) fc_store_relaxed(&host->paused_until_ns, until_mono_ns);
    if (!is_on || holds_all) fc_store_relaxed(&host->pauses_all, (uint64_t)holds_all);
    fc_fetch_or(&host->watch, FC_WATCH_PAUSE);
    pthread_mutex_unlock(&host->lock);
}

void fc_watch_end_pause(fc_host *host)
{
    pthread_mutex_lock(&host->lock);
    fc_store_relaxed(&host->paused_until_ns, 0);
    fc_fetch_and(&host->watch, ~(uint64_t)FC_WATCH_PAUSE);
    pthread_mutex_unlock(&host->lock);
    if (host->hooks.resume != NULL) host->hooks.resume(host->hooks.server);
}
