/* connection.c -- one socket: opening, closing, writing, and what epoll is asked for. */
#include "server/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Replies that a socket did not take: from here on no more requests of the connection are run, unless client-output-buffer-limit says when it is closed. */
#define OUTPUT_STALL_BYTES 1048576u

fc_connection *fc_connection_open(fc_worker *worker, int fd, int is_unix)
{
    fc_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) return NULL;
    connection->source = (fc_source){.kind = FC_SOURCE_CONNECTION, .fd = fd};
    connection->worker = worker;
    connection->is_unix = (uint8_t)is_unix;
    connection->active_ns = fc_clock_mono_ns();
    fc_client_begin(&connection->client, worker->server->host);
    connection->client.connection = connection;
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, fd, &wanted) != 0) {
        free(connection);
        return NULL;
    }
    connection->events = EPOLLIN;
    pthread_mutex_lock(&worker->lock);
    connection->next = worker->connections;
    if (connection->next != NULL) connection->next->previous = connection;
    worker->connections = connection;
    pthread_mutex_unlock(&worker->lock);
    fc_counter_add(&worker->stats.connections, 1);
    fc_connection_count_memory(connection);
    return connection;
}

void fc_connection_count_memory(fc_connection *connection)
{
    uint64_t now = sizeof *connection + connection->input_capacity + connection->output_capacity;
    if (connection->parser != NULL) now += sizeof *connection->parser + connection->parser->argument_room * sizeof(fc_arg);
    fc_counter_add(&connection->worker->stats.connection_bytes, now - connection->memory_bytes);
    connection->memory_bytes = now;
}

static void unpark(fc_connection *connection)
{
    for (fc_connection **link = &connection->worker->parked; *link != NULL; link = &(*link)->parked_next) {
        if (*link != connection) continue;
        *link = connection->parked_next;
        return;
    }
}

void fc_connection_set_wait(fc_connection *connection, uint32_t wait, int is_on)
{
    uint32_t before = connection->waits;
    connection->waits = is_on ? before | wait : before & ~wait;
    if (connection->waits == before) return;
    int blocked_before = (before & FC_WAIT_BLOCKED) != 0, blocked = (connection->waits & FC_WAIT_BLOCKED) != 0;
    fc_counter_add(&connection->worker->stats.waiting, (uint64_t)(blocked - blocked_before));
}

void fc_connection_close(fc_connection *connection)
{
    fc_worker *worker = connection->worker;
    if (connection->is_dead) return;
    connection->is_dead = connection->is_closing = 1;
    if (connection->waits & (FC_WAIT_KEY | FC_WAIT_PAUSE)) unpark(connection);
    fc_client_monitor(&connection->client, 0);
    fc_connection_set_wait(connection, UINT32_MAX, 0);
    pthread_mutex_lock(&worker->lock);
    if (connection->previous != NULL) connection->previous->next = connection->next;
    else worker->connections = connection->next;
    if (connection->next != NULL) connection->next->previous = connection->previous;
    pthread_mutex_unlock(&worker->lock);
    close(connection->source.fd); /* takes it out of the epoll: nobody else has the file description */
    connection->next = worker->graveyard;
    worker->graveyard = connection;
    fc_counter_add(&worker->stats.connections, UINT64_MAX); /* one less */
    (void)fc_fetch_add(&worker->load, UINT64_MAX);
    uint32_t none = 0;
    if (fc_cas32_acquire(&connection->is_killed, &none, 1)) (void)fc_fetch_add(&worker->server->connection_count, UINT64_MAX);
}

void fc_connection_free(fc_connection *connection)
{
    fc_counter_add(&connection->worker->stats.connection_bytes, 0 - connection->memory_bytes);
    fc_client_end(&connection->client);
    if (connection->parser != NULL) fc_parser_free(connection->parser);
    free(connection->parser);
    free(connection->input);
    free(connection->output);
    free(connection);
}

void fc_connection_arm(fc_connection *connection)
{
    if (connection->is_dead) return;
    uint32_t wanted = connection->waits == 0 && !connection->is_closing && !connection->has_requests ? EPOLLIN : 0;
    /* With requests left the socket is asked whether it takes bytes, which it does: so the next turn comes, after everybody else's. */
    if (connection->output_bytes > 0 || (connection->has_requests && connection->waits == 0)) wanted |= EPOLLOUT;
    if (FC_LIKELY(wanted == connection->events)) return;
    struct epoll_event event = {.events = wanted, .data.ptr = connection};
    if (epoll_ctl(connection->worker->epoll_fd, EPOLL_CTL_MOD, connection->source.fd, &event) == 0) connection->events = wanted;
    else fc_connection_close(connection);
}

/* ------------------------------------------------------------------ output */

/* Bytes that the socket took; -1: the connection is gone. */
static int64_t send_some(fc_connection *connection, const uint8_t *data, uint64_t bytes)
{
    uint64_t sent = 0;
    while (sent < bytes) {
        ssize_t count = send(connection->source.fd, data + sent, bytes - sent, MSG_NOSIGNAL);
        if (count > 0) sent += (uint64_t)count;
        else if (errno == EAGAIN || errno == EWOULDBLOCK) break;
        else if (errno != EINTR) return -1;
    }
    fc_counter_add(&connection->worker->stats.output_bytes, sent);
    return (int64_t)sent;
}

/* Keeps the end of the worker's reply. A large one goes over as it is: its buffer changes hands. */
static int keep(fc_connection *connection, fc_reply *reply, uint64_t from)
{
    uint64_t bytes = reply->bytes - from;
    if (connection->output_bytes == 0 && bytes >= FC_INPUT_BYTES) {
        free(connection->output);
        connection->output = reply->data;
        connection->output_capacity = reply->capacity;
        connection->output_at = from;
        connection->output_bytes = bytes;
        reply->data = NULL;
        reply->capacity = 0;
        return 1;
    }
    if (connection->output_at + connection->output_bytes + bytes > connection->output_capacity) {
        uint64_t capacity = (connection->output_bytes + bytes) * 2;
        uint8_t *grown = malloc(capacity);
        if (grown == NULL) return 0;
        if (connection->output_bytes > 0) memcpy(grown, connection->output + connection->output_at, connection->output_bytes);
        free(connection->output);
        connection->output = grown;
        connection->output_capacity = capacity;
        connection->output_at = 0;
    }
    memcpy(connection->output + connection->output_at + connection->output_bytes, reply->data + from, bytes);
    connection->output_bytes += bytes;
    return 1;
}

static int flush_owed(fc_connection *connection)
{
    if (connection->output_bytes == 0) return 1;
    int64_t sent = send_some(connection, connection->output + connection->output_at, connection->output_bytes);
    if (sent < 0) return 0;
    if (sent > 0) connection->owed_since_ns = 0;
    connection->output_at += (uint64_t)sent;
    connection->output_bytes -= (uint64_t)sent;
    if (connection->output_bytes == 0) {
        free(connection->output);
        connection->output = NULL;
        connection->output_capacity = connection->output_at = 0;
        fc_connection_count_memory(connection);
    }
    return 1;
}

/* The hard limit of client-output-buffer-limit; 0: none. */
static uint64_t output_limit(const fc_connection *connection)
{
    return (uint64_t)fc_config_number(&connection->worker->server->host->config, FC_CONFIG_CLIENT_OUTPUT_BUFFER_LIMIT);
}

static void close_beyond_limit(fc_connection *connection, uint64_t limit)
{
    fc_server_log(connection->worker->server, FC_SERVER_LEVEL_WARNING, connection->client.id, "client %llu: closed, its replies are beyond the %llu bytes of client-output-buffer-limit",
                  (unsigned long long)connection->client.id, (unsigned long long)limit);
    fc_connection_close(connection);
}

void fc_connection_flush(fc_connection *connection)
{
    fc_reply *reply = &connection->worker->reply;
    if (connection->is_dead) {
        reply->bytes = 0;
        return;
    }
    uint64_t limit = output_limit(connection);
    int is_beyond = limit > 0 && (reply->bytes > limit + FC_OUTPUT_UNCOUNTED_BYTES || (reply->broken && reply->bytes_max > 0));
    int is_sound = !is_beyond && !reply->broken && flush_owed(connection);
    if (is_sound && reply->bytes > 0) {
        int64_t sent = connection->output_bytes == 0 ? send_some(connection, reply->data, reply->bytes) : 0;
        is_sound = sent >= 0 && ((uint64_t)sent == reply->bytes || keep(connection, reply, (uint64_t)sent));
        if (is_sound && connection->output_bytes > 0) fc_connection_count_memory(connection);
    }
    reply->bytes = 0;
    if (FC_UNLIKELY(reply->capacity > FC_REPLY_KEEP_BYTES)) fc_reply_free(reply);
    reply->broken = 0;
    is_beyond |= limit > 0 && connection->output_bytes > limit;
    if (FC_UNLIKELY(!is_sound || is_beyond)) {
        if (is_beyond) close_beyond_limit(connection, limit);
        else fc_connection_close(connection);
        return;
    }
    uint64_t stall_bytes = limit > 0 ? UINT64_MAX : OUTPUT_STALL_BYTES;
    if (FC_LIKELY(connection->output_bytes == 0)) connection->owed_since_ns = 0;
    else if (connection->owed_since_ns == 0) connection->owed_since_ns = fc_clock_mono_ns();
    fc_connection_set_wait(connection, FC_WAIT_OUTPUT, connection->output_bytes > stall_bytes || (connection->output_bytes > 0 && (connection->waits & FC_WAIT_OUTPUT) != 0));
    if (connection->is_closing && connection->output_bytes == 0) fc_connection_close(connection);
}

fc_connection *fc_connection_find(fc_worker *worker, uint64_t client_id)
{
    for (fc_connection *connection = worker->connections; connection != NULL; connection = connection->next)
        if (connection->client.id == client_id) return connection;
    return NULL;
}
