/* accept.c -- new connections: who may come in, and which worker gets them.
 *
 * Listening sockets are in every worker's epoll, with EPOLLEXCLUSIVE: the kernel wakes one of those that sleep. Whoever wakes accepts, and hands the
 * socket to the worker with the fewest connections; so the load spreads although the kernel prefers the one that woke last.
 */
#include "server/worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Sockets accepted in one go, before connections have their turn again. */
#define ACCEPT_MAX 64

static const char refuse_full[] = "-ERR max number of clients reached\r\n";
static const char refuse_protected[] =
    "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted "
    "from the loopback interface. If you want to connect from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode sending "
    "the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the same host the server is running, however MAKE SURE Redis is not "
    "publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by editing the "
    "Redis configuration file, and setting the protected mode option to 'no', and then restarting the server. 3) If you started the server manually just for testing, restart "
    "it with the '--protected-mode no' option. 4) Setup a an authentication password for the default user. NOTE: You only need to do one of the above things in order for the "
    "server to start accepting connections from the outside.\r\n";

/* An address of this host itself: 127.0.0.0/8, ::1, or the former written as the latter. */
static int is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET) return (ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24) == 127;
    if (address->ss_family != AF_INET6) return address->ss_family == AF_UNIX;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)address)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127);
}

/* What is told to a socket that may not come in; NULL: it may. */
static const char *refusal(fc_server *server, const struct sockaddr_storage *address, int is_unix)
{
    const fc_config *config = &server->host->config;
    if ((int64_t)fc_load_relaxed(&server->connection_count) >= fc_config_number(config, FC_CONFIG_MAXCLIENTS)) return refuse_full;
    if (is_unix || fc_config_number(config, FC_CONFIG_PROTECTED_MODE) == 0 || fc_config_number(config, FC_CONFIG_REQUIREPASS) > 0) return NULL;
    return is_loopback(address) ? NULL : refuse_protected;
}

static void tune(fc_server *server, int fd)
{
    int seconds = (int)fc_config_number(&server->host->config, FC_CONFIG_TCP_KEEPALIVE);
    int yes = 1, third = seconds / 3 > 0 ? seconds / 3 : 1, probes = 3;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (seconds == 0) return;
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &third, sizeof third);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

void fc_accept_adopt(fc_worker *worker, int fd, int is_unix)
{
    if (worker->closes || fc_connection_open(worker, fd, is_unix) == NULL) {
        close(fd);
        (void)fc_fetch_add(&worker->load, UINT64_MAX); /* one less */
        (void)fc_fetch_add(&worker->server->connection_count, UINT64_MAX);
    }
}

static fc_worker *least_loaded(fc_worker *asking)
{
    fc_server *server = asking->server;
    fc_worker *best = asking;
    uint64_t best_count = fc_load_relaxed(&asking->load);
    for (uint32_t i = 0; i < server->worker_count; i++) {
        uint64_t count = fc_load_relaxed(&server->workers[i].load);
        if (count >= best_count) continue;
        best = &server->workers[i];
        best_count = count;
    }
    return best;
}

static void take_in(fc_worker *worker, int fd, int is_unix)
{
    fc_worker *owner = least_loaded(worker);
    (void)fc_fetch_add(&owner->load, 1);
    (void)fc_fetch_add(&worker->server->connection_count, 1);
    fc_counter_add(&worker->stats.received, 1);
    fc_message *message = owner == worker ? NULL : calloc(1, sizeof *message);
    if (message == NULL) {
        if (owner != worker) {
            (void)fc_fetch_add(&owner->load, UINT64_MAX);
            (void)fc_fetch_add(&worker->load, 1);
        }
        fc_accept_adopt(worker, fd, is_unix);
        return;
    }
    message->kind = FC_MESSAGE_ADOPT;
    message->fd = fd;
    message->is_unix = is_unix;
    fc_worker_post(owner, message);
}

void fc_accept_some(fc_worker *worker, fc_listener *listener)
{
    fc_server *server = worker->server;
    for (int i = 0; i < ACCEPT_MAX; i++) {
        struct sockaddr_storage address;
        socklen_t address_bytes = sizeof address;
        int fd = accept4(listener->source.fd, (struct sockaddr *)&address, &address_bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR && errno != ECONNABORTED)
                fc_server_log(server, FC_SERVER_LEVEL_WARNING, 0, "a connection could not be accepted: %s", strerror(errno));
            return;
        }
        const char *why = refusal(server, &address, listener->is_unix);
        if (why != NULL) {
            (void)!send(fd, why, strlen(why), MSG_NOSIGNAL | MSG_DONTWAIT);
            close(fd);
            (void)fc_fetch_add(&server->rejected_count, 1);
            continue;
        }
        if (!listener->is_unix) tune(server, fd);
        take_in(worker, fd, listener->is_unix);
    }
}
