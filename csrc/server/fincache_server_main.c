/* fincache_server_main.c -- the RESP server alone, for tests and benches: no configuration file, no log but stderr. The daemon is Python.
 *
 *     fincache-server --segment NAME [--size BYTES] [--keys N] [--port P] [--bind ADDRESS] [--unixsocket PATH] [--threads N] [--<parameter> VALUE ...]
 *
 * Opens the segment, or makes it; a segment that it made is removed at the end. Prints "ready PORT" when it listens. SIGTERM and SIGINT end it.
 */
#include "server/server.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

typedef struct arguments {
    const char *segment, *address, *unix_path;
    uint64_t size_bytes, keys;
    uint32_t port, threads;
} arguments;

static int failed(const char *what, fc_status status)
{
    const fc_status_row *row = fc_status_find(status);
    fprintf(stderr, "%s: %s: %s\n", what, row->message, fc_error_detail(status));
    return 1;
}

static fc_status take_argument(fc_server *server, arguments *given, const char *name, const char *value)
{
    if (strcmp(name, "segment") == 0) given->segment = value;
    else if (strcmp(name, "bind") == 0) given->address = value;
    else if (strcmp(name, "unixsocket") == 0) given->unix_path = value;
    else if (strcmp(name, "size") == 0) given->size_bytes = strtoull(value, NULL, 10);
    else if (strcmp(name, "keys") == 0) given->keys = strtoull(value, NULL, 10);
    else if (strcmp(name, "port") == 0) given->port = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(name, "threads") == 0) given->threads = (uint32_t)strtoul(value, NULL, 10);
    else if (server != NULL) return fc_server_configure(server, name, value);
    return FC_OK;
}

/* Twice: once to know the segment, once for the parameters of the server on it. */
static fc_status take_arguments(fc_server *server, arguments *given, int count, char **texts)
{
    for (int i = 1; i < count; i += 2) {
        if (strncmp(texts[i], "--", 2) != 0 || i + 1 == count) return FC_INVALID_ARGUMENT;
        fc_status status = take_argument(server, given, texts[i] + 2, texts[i + 1]);
        if (status != FC_OK) return status;
    }
    return given->segment != NULL ? FC_OK : FC_INVALID_ARGUMENT;
}

/* Prints log lines, answers what asks, until a signal or SHUTDOWN. */
static void look_after(fc_server *server, int signal_fd)
{
    static const char refusal[] = "-ERR The server is running without a config file\r\n";
    for (int running = 1; running;) {
        fc_server_event event;
        struct pollfd waits[2] = {{.fd = signal_fd, .events = POLLIN}, {.fd = fc_server_event_fd(server), .events = POLLIN}};
        if (poll(waits, 2, -1) < 0) continue;
        if (waits[0].revents != 0) running = 0;
        while (fc_server_next_event(server, &event) == FC_OK) {
            if (event.kind == FC_SERVER_EVENT_LOG) fprintf(stderr, "%s\n", event.text);
            else if (event.kind == FC_SERVER_EVENT_SHUTDOWN) running = 0;
            else if (event.ticket != 0) (void)fc_server_answer(server, event.ticket, refusal, sizeof refusal - 1);
        }
    }
}

static fc_status listen_and_start(fc_server *server, const arguments *given)
{
    fc_status status = FC_OK;
    if (given->unix_path != NULL) status = fc_server_listen_unix(server, given->unix_path, 0700);
    if (status == FC_OK) status = fc_server_listen_tcp(server, given->address != NULL ? given->address : "127.0.0.1", given->port);
    return status == FC_OK ? fc_server_start(server, given->threads) : status;
}

int main(int count, char **texts)
{
    arguments given = {.port = 6379, .size_bytes = 256u << 20};
    fc_options options;
    fc_cache *cache;
    fc_server *server;
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    int signal_fd = signalfd(-1, &ends, SFD_CLOEXEC);
    if (take_arguments(NULL, &given, count, texts) != FC_OK) {
        fprintf(stderr, "usage: fincache-server --segment NAME [--size BYTES] [--keys N] [--port P] [--bind ADDRESS] [--unixsocket PATH] [--threads N] [--<parameter> VALUE ...]\n");
        return 2;
    }
    fc_options_init(&options);
    options.size_bytes = given.size_bytes;
    options.keys = given.keys;
    fc_status status = fc_cache_create(given.segment, &options, &cache);
    int is_own = status == FC_OK;
    if (status == FC_SEGMENT_EXISTS) status = fc_cache_attach(given.segment, NULL, &cache);
    if (status != FC_OK) return failed(given.segment, status);
    status = fc_server_create(cache, &server);
    if (status != FC_OK) return failed("server", status);
    status = take_arguments(server, &given, count, texts);
    if (status == FC_OK) status = listen_and_start(server, &given);
    if (status == FC_OK) {
        fc_server_listener listener;
        for (uint32_t i = 0; fc_server_listener_at(server, i, &listener) == FC_OK; i++)
            if (listener.port != 0) printf("ready %u\n", listener.port);
        fflush(stdout);
        look_after(server, signal_fd);
    } else {
        (void)failed("start", status);
    }
    fc_server_close(server);
    if (is_own) (void)fc_cache_unlink(given.segment);
    (void)fc_cache_close(cache);
    return status == FC_OK ? 0 : 1;
}
