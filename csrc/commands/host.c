/* host.c -- hosts and clients: what lasts longer than a command. */
#include "commands/context.h"
#include "commands/multi_queue.h"
#include "commands/watch.h"
#include "memory/handle.h"

#include <stdio.h>

#include <stdlib.h>

/* ------------------------------------------------------------------ hosts */

static fc_status put_initial(fc_host *host, uint32_t id, const char *text)
{
    fc_config_value value;
    FC_TRY(fc_config_parse(fc_config_at(id), text, strlen(text), &value));
    fc_config_put(&host->config, id, &value);
    return FC_OK;
}

/* Parameters that the segment answers for. */
static fc_status read_segment(fc_host *host)
{
    static const struct { uint32_t policy; const char *name; } policies[] = {
        {FC_POLICY_NOEVICTION, "noeviction"}, {FC_POLICY_ALLKEYS_LRU, "allkeys-lru"}, {FC_POLICY_ALLKEYS_RANDOM, "allkeys-random"},
    };
    fc_cache_info info;
    char number[16];
    FC_TRY(fc_cache_describe(host->cache, &info));
    snprintf(number, sizeof number, "%u", info.databases);
    FC_TRY(put_initial(host, FC_CONFIG_DATABASES, number));
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++)
        if (policies[i].policy == info.policy) FC_TRY(put_initial(host, FC_CONFIG_MAXMEMORY_POLICY, policies[i].name));
    return FC_OK;
}

fc_status fc_host_create(fc_cache *cache, fc_host **host)
{
    fc_host *made = calloc(1, sizeof *made);
    if (made == NULL) return fc_fail(FC_SYSTEM, "no memory for a host");
    made->cache = cache;
    made->started_unix_ns = fc_clock_unix_ns();
    made->slow_ns = UINT64_MAX;
    pthread_mutex_init(&made->lock, NULL);
    pthread_mutex_init(&made->texts_lock, NULL);
    fc_slow_log_init(&made->slow_log);
    fc_latency_log_init(&made->latency_log);
    fc_command_names_init(&made->names);
    fc_status status = fc_config_init(&made->config);
    if (status == FC_OK) status = read_segment(made);
    if (status != FC_OK) {
        fc_host_close(made);
        return status;
    }
    fc_watch_configure(made);
    *host = made;
    return FC_OK;
}

static void free_meter(fc_meter *meter)
{
    for (uint32_t id = 0; meter != NULL && id < FC_COMMAND_COUNT; id++) free(meter->histograms[id]);
    free(meter);
}

void fc_host_close(fc_host *host)
{
    if (host == NULL) return;
    for (fc_meter *meter = host->meters; meter != NULL;) {
        fc_meter *next = meter->next;
        free_meter(meter);
        meter = next;
    }
    free_meter(host->baseline);
    fc_slow_log_free(&host->slow_log);
    fc_latency_log_free(&host->latency_log);
    for (uint32_t i = 0; i < FC_COMMAND_COUNT; i++) free(host->renamed[i]);
    fc_config_free(&host->config);
    pthread_mutex_destroy(&host->texts_lock);
    pthread_mutex_destroy(&host->lock);
    free(host);
}

static void apply_policy(fc_host *host)
{
    char *name = fc_config_text(&host->config, FC_CONFIG_MAXMEMORY_POLICY);
    if (name == NULL) return;
    if (strcmp(name, "noeviction") == 0) (void)fc_cache_set_policy(host->cache, FC_POLICY_NOEVICTION);
    else if (strcmp(name, "allkeys-lru") == 0) (void)fc_cache_set_policy(host->cache, FC_POLICY_ALLKEYS_LRU);
    else if (strcmp(name, "allkeys-random") == 0) (void)fc_cache_set_policy(host->cache, FC_POLICY_ALLKEYS_RANDOM);
    free(name);
}

void fc_host_put(fc_host *host, const fc_config_row *row, fc_config_value *value, const fc_client *client)
{
    fc_config_put(&host->config, row->id, value);
    if (row->id == FC_CONFIG_MAXMEMORY_POLICY) apply_policy(host);
    fc_watch_configure(host);
    if (host->hooks.configured != NULL) host->hooks.configured(host->hooks.server, row->id, client);
}

fc_status fc_host_configure(fc_host *host, const char *name, const char *text)
{
    fc_config_value value;
    const fc_config_row *row = fc_config_find(name, strlen(name));
    if (row == NULL) return fc_fail(FC_INVALID_ARGUMENT, "there is no parameter '%s'", name);
    FC_TRY(fc_config_parse(row, text, strlen(text), &value));
    fc_host_put(host, row, &value, NULL);
    return FC_OK;
}

fc_status fc_host_config_text(fc_host *host, const char *name, char *text, uint64_t text_bytes)
{
    const fc_config_row *row = fc_config_find(name, strlen(name));
    if (row == NULL) return FC_MISS;
    char *copy = fc_config_text(&host->config, row->id);
    if (copy == NULL) return fc_fail(FC_SYSTEM, "no memory");
    int fits = strlen(copy) < text_bytes;
    if (fits) strcpy(text, copy);
    free(copy);
    return fits ? FC_OK : FC_BUFFER_SMALL;
}

fc_status fc_host_rename_command(fc_host *host, const char *from, const char *to)
{
    const fc_command *command = fc_command_find(&host->names, (const uint8_t *)from, strlen(from));
    char *kept = strdup(to);
    if (kept == NULL) return fc_fail(FC_SYSTEM, "no memory");
    fc_status status = command == NULL ? FC_MISS : fc_command_names_change(&host->names, from, kept);
    if (status != FC_OK) {
        free(kept);
        return status;
    }
    free(host->renamed[command->id]);
    host->renamed[command->id] = kept;
    return FC_OK;
}

/* ------------------------------------------------------------------ meters */

static int claim(fc_meter *meter)
{
    uint32_t free_state = 0;
    return fc_cas32_acquire(&meter->in_use, &free_state, 1); /* [meter.claim] */
}

fc_meter *fc_host_open_meter(fc_host *host)
{
    pthread_mutex_lock(&host->lock);
    fc_meter *meter = host->meters;
    while (meter != NULL && !claim(meter)) meter = meter->next;
    if (meter == NULL && (meter = calloc(1, sizeof *meter)) != NULL) {
        meter->in_use = 1;
        meter->next = host->meters;
        host->meters = meter;
    }
    pthread_mutex_unlock(&host->lock);
    return meter;
}

void fc_host_close_meter(fc_meter *meter) { fc_store32_release(&meter->in_use, 0); /* [meter.claim] */ }

static void add_error(fc_meter *sum, const char *code, uint64_t count)
{
    for (uint32_t i = 0; i < FC_ERROR_CODES_MAX; i++) {
        if (sum->error_counts[i] == 0) memcpy(sum->error_codes[i], code, FC_ERROR_CODE_BYTES);
        else if (strcmp(sum->error_codes[i], code) != 0) continue;
        sum->error_counts[i] += count;
        return;
    }
}

static void add_meter(fc_meter *sum, const fc_meter *meter)
{
    for (uint32_t id = 0; id < FC_COMMAND_COUNT; id++) {
        const fc_command_meter *from = &meter->commands[id];
        fc_command_meter *to = &sum->commands[id];
        to->calls += fc_load_relaxed(&from->calls);
        to->nanoseconds += fc_load_relaxed(&from->nanoseconds);
        to->rejected += fc_load_relaxed(&from->rejected);
        to->failed += fc_load_relaxed(&from->failed);
    }
    for (uint32_t i = 0; i < FC_ERROR_CODES_MAX; i++) {
        uint64_t count = fc_load_acquire(&meter->error_counts[i]); /* [meter.code] */
        if (count > 0) add_error(sum, meter->error_codes[i], count);
    }
    sum->errors += fc_load_relaxed(&meter->errors);
    sum->processed += fc_load_relaxed(&meter->processed);
}

/* Adds, or with UINT64_MAX for `factor` takes off. */
static void add_histogram(fc_histogram *sum, const fc_meter *meter, uint32_t id, uint64_t factor)
{
    const fc_histogram *from = fc_load_pointer_acquire((void *const *)&meter->histograms[id]); /* [meter.histogram] */
    for (uint32_t i = 0; from != NULL && i < FC_HISTOGRAM_BUCKETS; i++) sum->counts[i] += fc_load_relaxed(&from->counts[i]) * factor;
}

static void subtract_baseline(fc_meter *sum, const fc_meter *baseline)
{
    for (uint32_t id = 0; id < FC_COMMAND_COUNT; id++) {
        sum->commands[id].calls -= baseline->commands[id].calls;
        sum->commands[id].nanoseconds -= baseline->commands[id].nanoseconds;
        sum->commands[id].rejected -= baseline->commands[id].rejected;
        sum->commands[id].failed -= baseline->commands[id].failed;
    }
    for (uint32_t i = 0; i < FC_ERROR_CODES_MAX && sum->error_counts[i] > 0; i++)
        for (uint32_t j = 0; j < FC_ERROR_CODES_MAX; j++)
            if (baseline->error_counts[j] > 0 && strcmp(sum->error_codes[i], baseline->error_codes[j]) == 0) sum->error_counts[i] -= baseline->error_counts[j];
    sum->errors -= baseline->errors;
    sum->processed -= baseline->processed;
}

void fc_host_sum_meters(fc_host *host, fc_meter *sum)
{
    memset(sum, 0, sizeof *sum);
    pthread_mutex_lock(&host->lock);
    for (const fc_meter *meter = host->meters; meter != NULL; meter = meter->next) add_meter(sum, meter);
    if (host->baseline != NULL) subtract_baseline(sum, host->baseline);
    pthread_mutex_unlock(&host->lock);
}

void fc_host_reset_meters(fc_host *host)
{
    fc_meter *now = calloc(1, sizeof *now);
    if (now == NULL) return;
    pthread_mutex_lock(&host->lock);
    for (const fc_meter *meter = host->meters; meter != NULL; meter = meter->next) {
        add_meter(now, meter);
        for (uint32_t id = 0; id < FC_COMMAND_COUNT; id++) {
            if (meter->histograms[id] == NULL) continue;
            if (now->histograms[id] == NULL) now->histograms[id] = calloc(1, sizeof *now->histograms[id]);
            if (now->histograms[id] != NULL) add_histogram(now->histograms[id], meter, id, 1);
        }
    }
    free_meter(host->baseline);
    host->baseline = now;
    (void)fc_cache_stats(host->cache, &host->stats_baseline);
    if (host->hooks.tell_figures != NULL) host->hooks.tell_figures(host->hooks.server, &host->figures_baseline);
    pthread_mutex_unlock(&host->lock);
}

void fc_host_sum_histogram(fc_host *host, uint32_t command_id, fc_histogram *sum)
{
    memset(sum, 0, sizeof *sum);
    pthread_mutex_lock(&host->lock);
    for (const fc_meter *meter = host->meters; meter != NULL; meter = meter->next) add_histogram(sum, meter, command_id, 1);
    if (host->baseline != NULL) add_histogram(sum, host->baseline, command_id, UINT64_MAX);
    pthread_mutex_unlock(&host->lock);
}

/* ------------------------------------------------------------------ clients */

uint64_t fc_host_next_client_id(fc_host *host) { return fc_fetch_add(&host->client_id_last, 1) + 1; }

void fc_client_begin(fc_client *client, fc_host *host)
{
    memset(client, 0, sizeof *client);
    client->host = host;
    client->id = fc_host_next_client_id(host);
    client->protocol = 2;
    client->created_unix_ns = fc_clock_unix_ns();
    if (fc_config_number(&host->config, FC_CONFIG_REQUIREPASS) == 0) client->flags = FC_CLIENT_AUTHENTICATED;
}

void fc_client_reset(fc_client *client)
{
    fc_multi_queue_drop_commands(client->queue); /* the queue itself stays until the client ends: CLIENT LIST looks at it from other threads */
    fc_multi_queue_drop_watched(client->queue);
    fc_client_monitor(client, 0);
    client->flags &= FC_CLIENT_IN_PROCESS | FC_CLIENT_CLOSE;
    if (fc_config_number(&client->host->config, FC_CONFIG_REQUIREPASS) == 0 || (client->flags & FC_CLIENT_IN_PROCESS) != 0) client->flags |= FC_CLIENT_AUTHENTICATED;
    client->database = 0;
    client->protocol = 2;
    fc_client_set_text(client, &client->name, NULL);
}

void fc_client_monitor(fc_client *client, int is_on)
{
    fc_host *host = client->host;
    if (((client->flags & FC_CLIENT_MONITOR) != 0) == is_on || host->hooks.monitor == NULL) return;
    client->flags ^= FC_CLIENT_MONITOR;
    host->hooks.monitor(host->hooks.server, client, is_on);
    pthread_mutex_lock(&host->lock);
    host->monitor_count += is_on ? 1 : UINT64_MAX;
    if (host->monitor_count > 0) fc_fetch_or(&host->watch, FC_WATCH_MONITOR);
    else fc_fetch_and(&host->watch, ~(uint64_t)FC_WATCH_MONITOR);
    pthread_mutex_unlock(&host->lock);
}

void fc_client_end(fc_client *client)
{
    fc_multi_queue_free(client->queue);
    free(client->name);
    free(client->library_name);
    free(client->library_version);
    client->queue = NULL;
    client->name = client->library_name = client->library_version = NULL;
}

/* ------------------------------------------------------------------ clients without a connection */

fc_status fc_client_open(fc_host *host, fc_client **client)
{
    struct { fc_client client; fc_context context; fc_reply reply; } *made = calloc(1, sizeof *made);
    if (made == NULL) return fc_fail(FC_SYSTEM, "no memory for a client");
    fc_client_begin(&made->client, host);
    made->client.flags = FC_CLIENT_AUTHENTICATED | FC_CLIENT_IN_PROCESS;
    fc_status status = fc_context_begin(&made->context, host, NULL, &made->reply);
    if (status != FC_OK) {
        free(made);
        return status;
    }
    made->context.client = &made->client;
    made->client.own_context = &made->context;
    (void)fc_fetch_add(&host->client_count, 1);
    *client = &made->client;
    return FC_OK;
}

void fc_client_close(fc_client *client)
{
    if (client == NULL) return;
    (void)fc_fetch_add(&client->host->client_count, UINT64_MAX); /* one less */
    fc_reply_free(client->own_context->reply);
    fc_context_end(client->own_context);
    fc_client_end(client);
    free(client); /* the first member of what fc_client_open made */
}

fc_status fc_client_execute(fc_client *client, fc_session *session, const void *const *arguments, const uint64_t *argument_bytes,
                            uint32_t argument_count, const void **reply, uint64_t *reply_bytes)
{
    fc_context *c = client->own_context;
    fc_status status = fc_session_enter_read(session);
    if (status != FC_OK) return status;
    if (argument_count == 0 || argument_count > FC_COMMAND_ARGUMENTS_MAX) return fc_fail(FC_INVALID_ARGUMENT, "%u arguments", argument_count);
    c->session = session;
    fc_arg *slices = fc_context_scratch(c, argument_count * sizeof *slices);
    if (slices == NULL) return fc_fail(FC_SYSTEM, "no memory for %u arguments", argument_count);
    for (uint32_t i = 0; i < argument_count; i++) slices[i] = (fc_arg){.data = arguments[i], .bytes = argument_bytes[i]};
    fc_request request = {.arguments = slices, .argument_count = argument_count};
    c->reply->bytes = 0;
    c->reply->broken = 0;
    c->reply->protocol = (uint8_t)client->protocol;
    c->finished_unix_ns = 0;
    fc_request_prepare(c, &request, client->database);
    status = fc_execute(c, &request);
    if (status != FC_OK) fc_execute_refuse(c, &request, status);
    fc_context_free_scratch(c);
    if (c->reply->broken) return fc_fail(FC_SYSTEM, "no memory for the reply");
    *reply = c->reply->data;
    *reply_bytes = c->reply->bytes;
    return FC_OK;
}
