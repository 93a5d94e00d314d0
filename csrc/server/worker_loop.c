/* worker_loop.c -- one thread: waits for its sockets, gives each its turn, looks after those that stand. */
#include "memory/handle.h"
#include "server/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS_MAX 128
/* Between two looks for connections that have had their time. */
#define SWEEP_NS UINT64_C(1000000000)
/* Of draining: a silence after which nothing more is expected, and how long requests are awaited at most. A request on a loopback socket is here within
 * microseconds; a client on another host is given some round trips. */
#define QUIET_NS UINT64_C(10000000)
#define LAST_REQUESTS_NS UINT64_C(100000000)

/* ------------------------------------------------------------------ mailbox */

void fc_worker_post(fc_worker *worker, fc_message *message)
{
    message->next = NULL;
    pthread_mutex_lock(&worker->lock);
    *worker->messages_end = message;
    worker->messages_end = &message->next;
    pthread_mutex_unlock(&worker->lock);
    (void)!write(worker->mailbox.fd, &(uint64_t){1}, sizeof(uint64_t));
}

void fc_worker_post_simple(fc_worker *worker, enum fc_message_kind kind, uint64_t client_id)
{
    fc_message *message = calloc(1, sizeof *message);
    if (message == NULL) return;
    message->kind = kind;
    message->client_id = client_id;
    fc_worker_post(worker, message);
}

static void take_answer(fc_worker *worker, const fc_message *message)
{
    fc_connection *connection = fc_connection_find(worker, message->client_id);
    if (connection == NULL || (connection->waits & FC_WAIT_CONTROL) == 0) return;
    fc_connection_set_wait(connection, FC_WAIT_CONTROL, 0);
    worker->reply.bytes = 0;
    fc_reply_raw(&worker->reply, message->data, message->bytes);
    fc_connection_flush(connection);
    fc_batch_go_on(connection);
}

/* Draining begins: nobody new comes in. Requests that are on their way are still read and run, until nothing has come for QUIET_MS or LAST_REQUESTS_NS
 * are over: a client that asked just now gets its answer, and not a reset connection. */
static void begin_to_stop(fc_worker *worker, uint64_t stop_by_ns)
{
    uint64_t now_ns = fc_clock_mono_ns();
    worker->stops = 1;
    worker->stop_by_ns = stop_by_ns;
    worker->close_by_ns = stop_by_ns < now_ns + LAST_REQUESTS_NS ? stop_by_ns : now_ns + LAST_REQUESTS_NS;
    for (uint32_t i = 0; i < worker->server->listener_count; i++) (void)epoll_ctl(worker->epoll_fd, EPOLL_CTL_DEL, worker->server->listeners[i].source.fd, NULL);
}

/* No more requests: what is owed is written, and then the connections are closed. */
static void begin_to_close(fc_worker *worker)
{
    worker->closes = 1;
    for (fc_connection *connection = worker->connections, *next; connection != NULL; connection = next) {
        next = connection->next;
        connection->is_closing = 1;
        if (connection->output_bytes == 0 || (connection->waits & FC_WAIT_CONTROL) != 0) fc_connection_close(connection);
        else fc_connection_arm(connection);
    }
}

static void read_mailbox(fc_worker *worker)
{
    uint64_t ignored;
    (void)!read(worker->mailbox.fd, &ignored, sizeof ignored);
    pthread_mutex_lock(&worker->lock);
    fc_message *message = worker->messages;
    worker->messages = NULL;
    worker->messages_end = &worker->messages;
    pthread_mutex_unlock(&worker->lock);
    for (fc_message *next; message != NULL; message = next) {
        next = message->next;
        switch (message->kind) {
        case FC_MESSAGE_ADOPT: fc_accept_adopt(worker, message->fd, message->is_unix); break;
        case FC_MESSAGE_ANSWER: take_answer(worker, message); break;
        case FC_MESSAGE_FEED: fc_watchers_take_feed(worker, message); break;
        case FC_MESSAGE_RESUME: fc_watchers_take_resume(worker); break;
        case FC_MESSAGE_STOP:
            begin_to_stop(worker, message->bytes);
            break;
        }
        free(message);
    }
}

/* ------------------------------------------------------------------ those that stand */

/* Lets parked connections whose time has come try again. */
static void retry_parked(fc_worker *worker)
{
    uint64_t now_ns = fc_clock_mono_ns();
    fc_connection *parked = worker->parked;
    worker->parked = NULL;
    for (fc_connection *next; parked != NULL; parked = next) {
        next = parked->parked_next;
        if (parked->parked_until_ns > now_ns) {
            parked->parked_next = worker->parked;
            worker->parked = parked;
            continue;
        }
        fc_connection_set_wait(parked, FC_WAIT_KEY | FC_WAIT_PAUSE, 0);
        fc_batch_go_on(parked);
    }
}

static int milliseconds_to_wait(const fc_worker *worker)
{
    uint64_t now_ns = fc_clock_mono_ns();
    uint64_t until_ns = now_ns + SWEEP_NS;
    for (const fc_connection *parked = worker->parked; parked != NULL; parked = parked->parked_next)
        if (parked->parked_until_ns < until_ns) until_ns = parked->parked_until_ns;
    if (worker->closes && worker->stop_by_ns < until_ns) until_ns = worker->stop_by_ns;
    if (worker->stops && !worker->closes && until_ns > now_ns + QUIET_NS) until_ns = now_ns + QUIET_NS;
    return until_ns <= now_ns ? 0 : (int)((until_ns - now_ns + 999999) / 1000000);
}

typedef struct limits {
    uint64_t idle_ns, read_ns, write_ns; /* 0: none */
} limits;

static int is_beyond(uint64_t limit_ns, uint64_t since_ns, uint64_t now_ns) { return limit_ns != 0 && since_ns != 0 && now_ns > since_ns + limit_ns; }

/* Why a connection has had its time; NULL: it has not. */
static const char *overdue(const fc_connection *connection, const limits *limit, uint64_t now_ns)
{
    if (is_beyond(limit->write_ns, connection->owed_since_ns, now_ns)) return "it takes no replies (write-timeout-ms)";
    if (connection->waits != 0) return NULL;
    if (is_beyond(limit->read_ns, connection->request_since_ns, now_ns)) return "its request does not come to an end (read-timeout-ms)";
    return is_beyond(limit->idle_ns, connection->active_ns, now_ns) ? "it is idle (timeout)" : NULL;
}

static void close_overdue(fc_worker *worker)
{
    const fc_config *config = &worker->server->host->config;
    uint64_t now_ns = fc_clock_mono_ns();
    if (now_ns - worker->swept_ns < SWEEP_NS) return;
    worker->swept_ns = now_ns;
    limits limit = {
        .idle_ns = (uint64_t)fc_config_number(config, FC_CONFIG_TIMEOUT) * 1000000000,
        .read_ns = (uint64_t)fc_config_number(config, FC_CONFIG_READ_TIMEOUT_MS) * 1000000,
        .write_ns = (uint64_t)fc_config_number(config, FC_CONFIG_WRITE_TIMEOUT_MS) * 1000000,
    };
    if ((limit.idle_ns | limit.read_ns | limit.write_ns) == 0) return;
    for (fc_connection *connection = worker->connections, *next; connection != NULL; connection = next) {
        next = connection->next;
        const char *why = overdue(connection, &limit, now_ns);
        if (why == NULL) continue;
        fc_server_log(worker->server, FC_SERVER_LEVEL_VERBOSE, connection->client.id, "client %llu: closed, %s", (unsigned long long)connection->client.id, why);
        fc_connection_close(connection);
    }
}

/* ------------------------------------------------------------------ the loop */

static void serve(fc_connection *connection, uint32_t events)
{
    if (connection->is_dead) return;
    if ((events & EPOLLOUT) != 0) {
        connection->worker->reply.bytes = 0;
        fc_connection_flush(connection);
        if (connection->is_dead) return;
        if (connection->waits == 0 && connection->has_requests && !connection->is_closing) {
            fc_batch_go_on(connection);
            return;
        }
        fc_connection_arm(connection);
    }
    if ((events & EPOLLIN) != 0 && (connection->events & EPOLLIN) != 0) fc_batch_read(connection);
    else if ((events & (EPOLLHUP | EPOLLERR)) != 0) fc_connection_close(connection);
}

static void bury(fc_worker *worker)
{
    for (fc_connection *connection = worker->graveyard, *next; connection != NULL; connection = next) {
        next = connection->next;
        fc_connection_free(connection);
    }
    worker->graveyard = NULL;
}

static void stop_now(fc_worker *worker)
{
    while (worker->connections != NULL) {
        if (worker->connections->output_bytes > 0) (void)fc_fetch_add(&worker->server->dropped_count, 1);
        fc_connection_close(worker->connections);
    }
    bury(worker);
}

static void loop(fc_worker *worker)
{
    struct epoll_event events[EVENTS_MAX];
    while (!worker->closes || (worker->connections != NULL && fc_clock_mono_ns() < worker->stop_by_ns)) {
        int count = epoll_wait(worker->epoll_fd, events, EVENTS_MAX, worker->parked == NULL && !worker->stops ? (int)(SWEEP_NS / 1000000) : milliseconds_to_wait(worker));
        for (int i = 0; i < count; i++) {
            fc_source *source = events[i].data.ptr;
            if (FC_LIKELY(source->kind == FC_SOURCE_CONNECTION)) serve((fc_connection *)source, events[i].events);
            else if (source->kind == FC_SOURCE_MAILBOX) read_mailbox(worker);
            else if (!worker->stops) fc_accept_some(worker, (fc_listener *)source);
        }
        if (worker->parked != NULL) retry_parked(worker);
        close_overdue(worker);
        if (worker->stops && !worker->closes && (count <= 0 || fc_clock_mono_ns() >= worker->close_by_ns)) begin_to_close(worker);
        if (worker->graveyard != NULL) bury(worker);
    }
    stop_now(worker);
}

/* ------------------------------------------------------------------ begin and end */

static fc_status open_epoll(fc_worker *worker)
{
    fc_server *server = worker->server;
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = &worker->mailbox};
    worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (worker->epoll_fd < 0) return fc_fail_errno(FC_SYSTEM, "epoll_create1");
    if (epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->mailbox.fd, &wanted) != 0) return fc_fail_errno(FC_SYSTEM, "epoll_ctl");
    for (uint32_t i = 0; i < server->listener_count; i++) {
        wanted = (struct epoll_event){.events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = &server->listeners[i]};
        if (epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, server->listeners[i].source.fd, &wanted) != 0) return fc_fail_errno(FC_SYSTEM, "epoll_ctl of a listener");
    }
    return FC_OK;
}

static fc_status begin(fc_worker *worker)
{
    FC_TRY(fc_session_open(worker->server->cache, &worker->session));
    /* Locks are tried, not waited for: the connection waits, not the thread (P13). */
    FC_TRY(fc_session_set_timeout(worker->session, 0));
    worker->input = malloc(FC_READ_BYTES);
    if (worker->input == NULL) return fc_fail(FC_SYSTEM, "no memory for an input buffer");
    for (uint32_t i = 0; i < FC_BATCH_MAX; i++) fc_parser_init(&worker->parsers[i]);
    FC_TRY(fc_context_begin(&worker->context, worker->server->host, worker->session, &worker->reply));
    return open_epoll(worker);
}

static void end(fc_worker *worker)
{
    if (worker->context.meter != NULL) fc_context_end(&worker->context);
    if (worker->epoll_fd >= 0) close(worker->epoll_fd);
    for (uint32_t i = 0; i < FC_BATCH_MAX; i++) fc_parser_free(&worker->parsers[i]);
    fc_reply_free(&worker->reply);
    free(worker->input);
    (void)fc_session_close(worker->session);
}

/* Nobody accepts before all have begun: connections are handed from one to another. 0: one of them could not. */
static int wait_for_the_others(fc_server *server)
{
    pthread_mutex_lock(&server->start_lock);
    while (server->start_state == FC_SERVER_STARTING) pthread_cond_wait(&server->start_changed, &server->start_lock);
    int go = server->start_state == FC_SERVER_RUNS;
    pthread_mutex_unlock(&server->start_lock);
    return go;
}

static void *run_worker(void *context)
{
    fc_worker *worker = context;
    fc_server *server = worker->server;
    fc_status status = begin(worker);
    pthread_mutex_lock(&server->start_lock);
    worker->start_status = status;
    strncpy(worker->start_detail, fc_error_detail(status), sizeof worker->start_detail - 1);
    server->started_count++;
    pthread_cond_broadcast(&server->start_changed);
    pthread_mutex_unlock(&server->start_lock);
    if (wait_for_the_others(server) && status == FC_OK) loop(worker);
    end(worker);
    return NULL;
}

fc_status fc_worker_init(fc_worker *worker, fc_server *server)
{
    worker->server = server;
    worker->epoll_fd = -1;
    worker->messages_end = &worker->messages;
    worker->mailbox = (fc_source){.kind = FC_SOURCE_MAILBOX, .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    pthread_mutex_init(&worker->lock, NULL);
    return worker->mailbox.fd >= 0 ? FC_OK : fc_fail_errno(FC_SYSTEM, "eventfd");
}

fc_status fc_worker_start(fc_worker *worker)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited by the thread: signals are the control plane's */
    int error = pthread_create(&worker->thread, NULL, run_worker, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) return FC_OK;
    errno = error;
    return fc_fail_errno(FC_SYSTEM, "pthread_create");
}
