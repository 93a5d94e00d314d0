/* server.c -- the server as a whole: made, configured, started, drained, counted. See server_api.h for the contract. */
#include "server/worker.h"

#include <stdlib.h>
#include <unistd.h>

/* ------------------------------------------------------------------ what commands ask of a server */

static void ask(void *server, fc_client *client, enum fc_ask what, const void *text, uint64_t text_bytes)
{
    fc_server *this = server;
    fc_connection *connection = fc_connection_of(client);
    fc_connection_set_wait(connection, FC_WAIT_CONTROL, 1);
    /* The ticket names the client: answers find it by that. */
    fc_events_put(&this->events, what == FC_ASK_CONFIG_REWRITE ? FC_SERVER_EVENT_CONFIG_REWRITE : FC_SERVER_EVENT_COMMAND, 0, client->id, client->id, text, text_bytes);
}

static void shutdown_wanted(void *server, const fc_client *client, const char *text)
{
    fc_server *this = server;
    fc_events_put(&this->events, FC_SERVER_EVENT_SHUTDOWN, 0, 0, client->id, text, strlen(text));
}

static void configured(void *server, uint32_t config_id, const fc_client *client)
{
    fc_server *this = server;
    char *text = client == NULL ? NULL : fc_config_text(&this->host->config, config_id);
    if (text == NULL) return;
    const char *name = fc_config_at(config_id)->name;
    uint64_t name_bytes = strlen(name) + 1, text_bytes = strlen(text);
    char *both = malloc(name_bytes + text_bytes);
    if (both != NULL) {
        memcpy(both, name, name_bytes);
        memcpy(both + name_bytes, text, text_bytes);
        fc_events_put(&this->events, FC_SERVER_EVENT_CONFIG_SET, 0, 0, client->id, both, name_bytes + text_bytes);
    }
    free(both);
    free(text);
}

static void tell_figures(void *server, fc_server_figures *figures)
{
    fc_server *this = server;
    *figures = (fc_server_figures){.connected = fc_load_relaxed(&this->connection_count), .rejected = fc_load_relaxed(&this->rejected_count), .threads = this->worker_count};
    for (uint32_t i = 0; i < this->worker_count; i++) {
        const fc_worker_stats *from = &this->workers[i].stats;
        figures->received += fc_load_relaxed(&from->received);
        figures->blocked += fc_load_relaxed(&from->waiting);
        figures->input_bytes += fc_load_relaxed(&from->input_bytes);
        figures->output_bytes += fc_load_relaxed(&from->output_bytes);
        figures->connection_bytes += fc_load_relaxed(&from->connection_bytes);
        figures->protocol_errors += fc_load_relaxed(&from->protocol_errors);
    }
}

/* ------------------------------------------------------------------ made */

fc_status fc_server_create(fc_cache *cache, fc_server **server)
{
    fc_cache_info info;
    FC_TRY(fc_cache_describe(cache, &info));
    if (info.read_only) return fc_fail(FC_READ_ONLY, "segment %s", info.name);
    fc_server *made = calloc(1, sizeof *made);
    if (made == NULL) return fc_fail(FC_SYSTEM, "no memory for a server");
    made->cache = cache;
    pthread_mutex_init(&made->start_lock, NULL);
    pthread_cond_init(&made->start_changed, NULL);
    fc_status status = fc_events_init(&made->events);
    if (status == FC_OK) status = fc_host_create(cache, &made->host);
    if (status != FC_OK) {
        fc_server_close(made);
        return status;
    }
    made->host->hooks = (fc_hooks){
        .server = made, .ask = ask, .shutdown = shutdown_wanted, .configured = configured, .tell_figures = tell_figures, .visit_clients = fc_watchers_visit_clients,
        .tell_client = fc_watchers_tell_client, .resume = fc_watchers_resume, .monitor = fc_watchers_monitor, .feed = fc_watchers_feed,
    };
    *server = made;
    return FC_OK;
}

fc_host *fc_server_host(fc_server *server) { return server->host; }
fc_status fc_server_configure(fc_server *server, const char *name, const char *value) { return fc_host_configure(server->host, name, value); }
fc_status fc_server_config_text(fc_server *server, const char *name, char *text, uint64_t text_bytes) { return fc_host_config_text(server->host, name, text, text_bytes); }

fc_status fc_server_rename_command(fc_server *server, const char *from, const char *to)
{
    if (server->worker_count > 0) return fc_fail(FC_INVALID_ARGUMENT, "the server has started");
    return fc_host_rename_command(server->host, from, to);
}

/* ------------------------------------------------------------------ started */

/* One core is left to the clients and strategies of this host. Two threads on two cores cost more processor time than one for the same requests: with
 * half of the connections each finds fewer that are ready when it wakes, and sleeps more often (GET, 50 connections, no pipelining: 4.6 us of processor time for a
 * request, 3.4 with one; redis-server 3.9). */
static uint32_t default_threads(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores <= 2 ? 1 : cores > 4 ? 4 : (uint32_t)cores - 1;
}

/* Ends the threads. What others may look at (fc_server_answer, _stats_read) stays until free_workers. A second time is nothing. */
static void stop_workers(fc_server *server, uint64_t stop_by_ns)
{
    for (uint32_t i = 0; i < server->worker_count; i++) {
        fc_worker *worker = &server->workers[i];
        fc_message *message = worker->has_thread ? calloc(1, sizeof *message) : NULL;
        if (message == NULL) continue; /* the join below would wait for ever; there is no better end without memory for one message */
        message->kind = FC_MESSAGE_STOP;
        message->bytes = stop_by_ns;
        fc_worker_post(worker, message);
    }
    for (uint32_t i = 0; i < server->worker_count; i++) {
        fc_worker *worker = &server->workers[i];
        if (worker->has_thread) pthread_join(worker->thread, NULL);
        worker->has_thread = 0;
    }
}

static void free_workers(fc_server *server)
{
    for (uint32_t i = 0; i < server->worker_count; i++) {
        fc_worker *worker = &server->workers[i];
        for (fc_message *message = worker->messages, *next; message != NULL; message = next) {
            next = message->next;
            if (message->kind == FC_MESSAGE_ADOPT) close(message->fd);
            free(message);
        }
        if (worker->messages_end == NULL) continue; /* never initialized */
        if (worker->mailbox.fd >= 0) close(worker->mailbox.fd);
        pthread_mutex_destroy(&worker->lock);
    }
    free(server->workers);
    server->workers = NULL;
    server->worker_count = 0;
}

/* Starts the threads, and waits until each has told how it began. */
static fc_status start_workers(fc_server *server)
{
    uint32_t made_count = 0;
    fc_status status = FC_OK;
    for (uint32_t i = 0; i < server->worker_count && status == FC_OK; i++) status = fc_worker_init(&server->workers[i], server);
    for (uint32_t i = 0; i < server->worker_count && status == FC_OK; i++) {
        status = fc_worker_start(&server->workers[i]);
        server->workers[i].has_thread = status == FC_OK;
        made_count += status == FC_OK;
    }
    pthread_mutex_lock(&server->start_lock);
    while (server->started_count < made_count) pthread_cond_wait(&server->start_changed, &server->start_lock);
    for (uint32_t i = 0; i < made_count && status == FC_OK; i++)
        if (server->workers[i].start_status != FC_OK) status = fc_fail(server->workers[i].start_status, "%s", server->workers[i].start_detail);
    server->start_state = status == FC_OK ? FC_SERVER_RUNS : FC_SERVER_FAILED;
    pthread_cond_broadcast(&server->start_changed);
    pthread_mutex_unlock(&server->start_lock);
    return status;
}

fc_status fc_server_start(fc_server *server, uint32_t threads)
{
    if (threads == 0) threads = default_threads();
    if (threads > FC_SERVER_THREADS_MAX) return fc_fail(FC_INVALID_ARGUMENT, "%u threads, at most %d", threads, FC_SERVER_THREADS_MAX);
    if (server->worker_count > 0) return fc_fail(FC_INVALID_ARGUMENT, "the server has started");
    server->workers = calloc(threads, sizeof *server->workers);
    if (server->workers == NULL) return fc_fail(FC_SYSTEM, "no memory for %u threads", threads);
    server->worker_count = threads;
    server->started_count = 0;
    server->start_state = FC_SERVER_STARTING;
    fc_status status = start_workers(server);
    if (status == FC_OK) return FC_OK;
    stop_workers(server, 0);
    free_workers(server);
    return status;
}

/* ------------------------------------------------------------------ drained */

fc_status fc_server_drain(fc_server *server, uint64_t timeout_ns, uint8_t keep_listeners, uint64_t *dropped_count)
{
    fc_store_relaxed(&server->is_draining, 1);
    stop_workers(server, fc_clock_mono_ns() + timeout_ns);
    for (uint32_t i = 0; i < server->listener_count; i++) {
        fc_listener *listener = &server->listeners[i];
        close(listener->source.fd);
        if (listener->removes_path && !keep_listeners) (void)unlink(listener->told.address);
    }
    server->listener_count = 0;
    if (dropped_count != NULL) *dropped_count = fc_load_relaxed(&server->dropped_count);
    return FC_OK;
}

void fc_server_close(fc_server *server)
{
    if (server == NULL) return;
    if (server->worker_count > 0 || server->listener_count > 0) (void)fc_server_drain(server, 0, 0, NULL);
    free_workers(server);
    fc_host_close(server->host);
    fc_events_free(&server->events);
    pthread_mutex_destroy(&server->start_lock);
    pthread_cond_destroy(&server->start_changed);
    free(server);
}

/* ------------------------------------------------------------------ answered, counted */

fc_status fc_server_answer(fc_server *server, uint64_t ticket, const void *reply, uint64_t reply_bytes)
{
    for (uint32_t i = 0; i < server->worker_count; i++) {
        fc_worker *worker = &server->workers[i];
        pthread_mutex_lock(&worker->lock);
        int is_here = fc_connection_find(worker, ticket) != NULL;
        pthread_mutex_unlock(&worker->lock);
        if (!is_here) continue;
        fc_message *message = malloc(sizeof *message + reply_bytes);
        if (message == NULL) return fc_fail(FC_SYSTEM, "no memory for an answer");
        *message = (fc_message){.kind = FC_MESSAGE_ANSWER, .client_id = ticket, .bytes = reply_bytes};
        memcpy(message->data, reply, reply_bytes);
        fc_worker_post(worker, message);
        return FC_OK;
    }
    return FC_MISS;
}

fc_status fc_server_stats_read(fc_server *server, fc_server_stats *stats)
{
    fc_meter *sum = malloc(sizeof *sum);
    if (sum == NULL) return fc_fail(FC_SYSTEM, "no memory for counters");
    fc_host_sum_meters(server->host, sum);
    *stats = (fc_server_stats){
        .started_unix_ns = server->host->started_unix_ns,
        .connections_rejected = fc_load_relaxed(&server->rejected_count),
        .connections = fc_load_relaxed(&server->connection_count),
        .commands_processed = sum->processed,
        .commands_failed = sum->errors,
        .threads = server->worker_count,
        .draining = (uint32_t)fc_load_relaxed(&server->is_draining),
    };
    free(sum);
    for (uint32_t i = 0; i < server->worker_count; i++) {
        const fc_worker_stats *from = &server->workers[i].stats;
        stats->connections_received += fc_load_relaxed(&from->received);
        stats->connections_blocked += fc_load_relaxed(&from->waiting);
        stats->protocol_errors += fc_load_relaxed(&from->protocol_errors);
        stats->busy_parked += fc_load_relaxed(&from->parked);
        stats->busy_given_up += fc_load_relaxed(&from->given_up);
        stats->input_bytes += fc_load_relaxed(&from->input_bytes);
        stats->output_bytes += fc_load_relaxed(&from->output_bytes);
        stats->connection_bytes += fc_load_relaxed(&from->connection_bytes);
    }
    return FC_OK;
}
