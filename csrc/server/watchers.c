/* watchers.c -- what commands about clients need of the server: listing and closing connections of any thread, MONITOR's lines, the end of a pause.
 *
 * Others' connections are looked at under their worker's lock, which keeps them in the list; their words may change meanwhile, each is old or new.
 * Closing one of them is marking it, taking it out of the count, and shutting its socket down: its own worker hears of that and does the rest.
 */
#include "server/worker.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Owed to a client that monitors; one that does not keep up is closed, unless client-output-buffer-limit says otherwise for normal clients. */
#define MONITOR_OWED_BYTES_MAX (UINT64_C(32) << 20)

/* ------------------------------------------------------------------ one connection */

static void tell_address(const struct sockaddr_storage *address, socklen_t bytes, char *text, size_t text_bytes)
{
    char host[INET6_ADDRSTRLEN] = "";
    const struct sockaddr_in *four = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
    const struct sockaddr_un *path = (const struct sockaddr_un *)address;
    if (address->ss_family == AF_INET && inet_ntop(AF_INET, &four->sin_addr, host, sizeof host) != NULL) snprintf(text, text_bytes, "%s:%u", host, ntohs(four->sin_port));
    else if (address->ss_family == AF_INET6 && inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host) != NULL) snprintf(text, text_bytes, "[%s]:%u", host, ntohs(six->sin6_port));
    else if (address->ss_family == AF_UNIX) snprintf(text, text_bytes, "%.*s:0", bytes > sizeof(sa_family_t) ? (int)(bytes - sizeof(sa_family_t)) : 0, path->sun_path);
}

static void tell_addresses(const fc_connection *connection, fc_client_state *state)
{
    struct sockaddr_storage address = {0};
    socklen_t bytes = sizeof address;
    if (getsockname(connection->source.fd, (struct sockaddr *)&address, &bytes) == 0) tell_address(&address, bytes, state->local, sizeof state->local);
    if (connection->is_unix) { /* the other end has no name: both are told by the socket's path, as Redis does */
        memcpy(state->peer, state->local, sizeof state->peer);
        return;
    }
    bytes = sizeof address;
    if (getpeername(connection->source.fd, (struct sockaddr *)&address, &bytes) == 0) tell_address(&address, bytes, state->peer, sizeof state->peer);
}

/* What was read of the client whose turn it is lies in the worker's buffer, not in its own. */
__attribute__((no_sanitize("thread"))) static void tell(const fc_connection *connection, int has_turn, fc_client_state *state)
{
    const fc_worker *worker = connection->worker;
    memset(state, 0, sizeof *state);
    tell_addresses(connection, state);
    state->events = (connection->events & EPOLLIN) != 0 ? (connection->events & EPOLLOUT) != 0 ? "rw" : "r" : (connection->events & EPOLLOUT) != 0 ? "w" : "";
    state->idle_s = has_turn ? 0 : (fc_clock_mono_ns() - connection->active_ns) / 1000000000;
    state->query_bytes = has_turn ? worker->turn_bytes : connection->input_bytes;
    state->query_free_bytes = has_turn && worker->turn_bytes < FC_INPUT_BYTES ? FC_INPUT_BYTES - worker->turn_bytes : connection->input_capacity - connection->input_bytes;
    state->output_bytes = connection->output_bytes;
    state->memory_bytes = connection->memory_bytes;
    state->fd = connection->source.fd;
    state->is_unix = connection->is_unix;
    state->is_blocked = (connection->waits & FC_WAIT_BLOCKED) != 0;
}

void fc_watchers_tell_client(void *server, const fc_client *client, fc_client_state *state)
{
    (void)server;
    tell(client->connection, 1, state);
}

/* ------------------------------------------------------------------ all of them */

static void kill_other(fc_connection *connection)
{
    uint32_t none = 0;
    if (!fc_cas32_acquire(&connection->is_killed, &none, 1)) return;
    (void)fc_fetch_add(&connection->worker->server->connection_count, UINT64_MAX); /* one less, from this moment on */
    (void)shutdown(connection->source.fd, SHUT_RDWR);
}

void fc_watchers_visit_clients(void *server, const fc_client *asking, fc_client_visit visit, void *context)
{
    fc_server *this = server;
    for (uint32_t i = 0; i < this->worker_count; i++) {
        fc_worker *worker = &this->workers[i];
        pthread_mutex_lock(&worker->lock);
        for (fc_connection *connection = worker->connections; connection != NULL; connection = connection->next) {
            fc_client_state state;
            int is_asking = &connection->client == asking;
            if (fc_load32_relaxed(&connection->is_killed)) continue;
            tell(connection, is_asking, &state);
            if (!visit(context, &connection->client, &state)) continue;
            if (is_asking) connection->client.flags |= FC_CLIENT_CLOSE;
            else kill_other(connection);
        }
        pthread_mutex_unlock(&worker->lock);
    }
}

/* ------------------------------------------------------------------ MONITOR */

void fc_watchers_monitor(void *server, fc_client *client, int is_on)
{
    fc_connection *connection = fc_connection_of(client);
    fc_worker *worker = connection->worker;
    (void)server;
    if (is_on) {
        connection->monitor_next = worker->monitors;
        worker->monitors = connection;
    } else {
        fc_connection **link = &worker->monitors;
        while (*link != connection) link = &(*link)->monitor_next;
        *link = connection->monitor_next;
    }
    fc_store_relaxed(&worker->has_monitors, worker->monitors != NULL);
}

void fc_watchers_feed(void *server, const void *line, uint64_t bytes)
{
    fc_server *this = server;
    for (uint32_t i = 0; i < this->worker_count; i++) {
        if (!fc_load_relaxed(&this->workers[i].has_monitors)) continue;
        fc_message *message = malloc(sizeof *message + bytes);
        if (message == NULL) continue; /* a line is missing in somebody's trace: nobody is stopped for that */
        *message = (fc_message){.kind = FC_MESSAGE_FEED, .bytes = bytes};
        memcpy(message->data, line, bytes);
        fc_worker_post(&this->workers[i], message);
    }
}

void fc_watchers_take_feed(fc_worker *worker, const fc_message *message)
{
    for (fc_connection *connection = worker->monitors, *next; connection != NULL; connection = next) {
        next = connection->monitor_next;
        worker->reply.bytes = 0;
        fc_reply_raw(&worker->reply, message->data, message->bytes);
        fc_connection_flush(connection);
        if (connection->is_dead) continue;
        if (connection->output_bytes > MONITOR_OWED_BYTES_MAX) {
            fc_server_log(worker->server, FC_SERVER_LEVEL_WARNING, connection->client.id, "client %llu: closed, it monitors and does not keep up", (unsigned long long)connection->client.id);
            fc_connection_close(connection);
        } else {
            fc_connection_arm(connection);
        }
    }
}

/* ------------------------------------------------------------------ CLIENT PAUSE */

void fc_watchers_resume(void *server)
{
    fc_server *this = server;
    for (uint32_t i = 0; i < this->worker_count; i++) fc_worker_post_simple(&this->workers[i], FC_MESSAGE_RESUME, 0);
}

/* Those that were held are tried again in this round. */
void fc_watchers_take_resume(fc_worker *worker)
{
    for (fc_connection *parked = worker->parked; parked != NULL; parked = parked->parked_next)
        if ((parked->waits & FC_WAIT_PAUSE) != 0) parked->parked_until_ns = 0;
}
