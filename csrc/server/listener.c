/* listener.c -- sockets that listen: TCP, UNIX, or given. */
#include "server/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static fc_status room_for_one(fc_server *server)
{
    if (server->worker_count > 0) return fc_fail(FC_INVALID_ARGUMENT, "the server has started");
    if (server->listener_count < FC_SERVER_LISTENERS_MAX) return FC_OK;
    return fc_fail(FC_INVALID_ARGUMENT, "more than %d listeners", FC_SERVER_LISTENERS_MAX);
}

static int backlog(const fc_server *server)
{
    int64_t wanted = fc_config_number(&server->host->config, FC_CONFIG_TCP_BACKLOG);
    return wanted > 0 ? (int)wanted : SOMAXCONN;
}

static fc_listener *add_listener(fc_server *server, int fd, int is_unix, const char *address, uint32_t port)
{
    fc_listener *listener = &server->listeners[server->listener_count++];
    *listener = (fc_listener){.source = {.kind = FC_SOURCE_LISTENER, .fd = fd}, .is_unix = is_unix};
    listener->told.fd = fd;
    listener->told.port = port;
    snprintf(listener->told.address, sizeof listener->told.address, "%s", address);
    return listener;
}

/* The status of a bind or listen that failed just now; closes the socket. */
static fc_status refuse_bind(int fd, const char *address)
{
    fc_status status = errno == EADDRINUSE                     ? fc_fail(FC_ADDRESS_IN_USE, "%s", address)
                       : errno == EACCES || errno == EPERM     ? fc_fail_errno(FC_PERMISSION, "%s", address)
                       : errno == EADDRNOTAVAIL                ? fc_fail_errno(FC_INVALID_ARGUMENT, "%s", address)
                                                               : fc_fail_errno(FC_SYSTEM, "%s", address);
    if (fd >= 0) close(fd);
    return status;
}

/* ------------------------------------------------------------------ TCP */

static void tell_address(int fd, char *address, uint64_t address_bytes, uint32_t *port)
{
    struct sockaddr_storage bound;
    socklen_t bytes = sizeof bound;
    char service[16] = "0";
    address[0] = '\0';
    if (getsockname(fd, (struct sockaddr *)&bound, &bytes) == 0)
        (void)getnameinfo((struct sockaddr *)&bound, bytes, address, (socklen_t)address_bytes, service, sizeof service, NI_NUMERICHOST | NI_NUMERICSERV);
    *port = (uint32_t)strtoul(service, NULL, 10);
}

static fc_status listen_on(fc_server *server, const struct addrinfo *found, const char *named)
{
    int yes = 1;
    char address[120];
    uint32_t port;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return fc_fail_errno(FC_SYSTEM, "socket for %s", named);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (found->ai_family == AF_INET6) (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
    if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, backlog(server)) != 0) return refuse_bind(fd, named);
    tell_address(fd, address, sizeof address, &port);
    (void)add_listener(server, fd, 0, address, port);
    return FC_OK;
}

fc_status fc_server_listen_tcp(fc_server *server, const char *host, uint32_t port)
{
    char service[16], named[96];
    struct addrinfo *found;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    FC_TRY(room_for_one(server));
    if (port > 65535) return fc_fail(FC_INVALID_ARGUMENT, "port %u", port);
    if (strcmp(host, "*") == 0) host = "0.0.0.0";
    if (strcmp(host, "::*") == 0) host = "::";
    snprintf(service, sizeof service, "%u", port);
    snprintf(named, sizeof named, "%s port %u", host, port);
    int error = getaddrinfo(host, service, &hints, &found);
    if (error != 0) return fc_fail(FC_INVALID_ARGUMENT, "%s: %s", host, gai_strerror(error));
    fc_status status = listen_on(server, found, named);
    freeaddrinfo(found);
    return status;
}

/* ------------------------------------------------------------------ UNIX */

/* Removes a socket file that nobody listens on. Nobody does if a connection is refused. */
static void remove_stale(const struct sockaddr_un *address)
{
    struct stat about;
    if (lstat(address->sun_path, &about) != 0 || !S_ISSOCK(about.st_mode)) return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 && errno == ECONNREFUSED) (void)unlink(address->sun_path);
    close(fd);
}

fc_status fc_server_listen_unix(fc_server *server, const char *path, uint32_t mode)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    FC_TRY(room_for_one(server));
    if (strlen(path) >= sizeof address.sun_path) return fc_fail(FC_PATH_TOO_LONG, "%s has %zu bytes", path, strlen(path));
    if (path[0] == '\0' || mode > 0777) return fc_fail(FC_INVALID_ARGUMENT, path[0] == '\0' ? "an empty path" : "mode %o", mode);
    strcpy(address.sun_path, path);
    remove_stale(&address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return fc_fail_errno(FC_SYSTEM, "socket for %s", path);
    /* Nobody can connect before listen(), so the mode is in force before the first connection. */
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) return refuse_bind(fd, path);
    if (chmod(path, mode) != 0 || listen(fd, backlog(server)) != 0) {
        fc_status status = refuse_bind(fd, path);
        (void)unlink(path);
        return status;
    }
    add_listener(server, fd, 1, path, 0)->removes_path = 1;
    return FC_OK;
}

/* ------------------------------------------------------------------ given */

fc_status fc_server_listen_fd(fc_server *server, int32_t fd)
{
    int listens = 0, type = 0, family = 0;
    socklen_t bytes = sizeof listens;
    char address[120];
    uint32_t port = 0;
    FC_TRY(room_for_one(server));
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes) != 0 || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &bytes) != 0 || !listens || type != SOCK_STREAM)
        return fc_fail(FC_INVALID_ARGUMENT, "descriptor %d is no listening stream socket", fd);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return fc_fail_errno(FC_SYSTEM, "fcntl of descriptor %d", fd);
    if (family == AF_UNIX) {
        struct sockaddr_un bound = {.sun_family = AF_UNIX};
        bytes = sizeof bound;
        if (getsockname(fd, (struct sockaddr *)&bound, &bytes) != 0) return fc_fail_errno(FC_SYSTEM, "getsockname of descriptor %d", fd);
        snprintf(address, sizeof address, "%s", bound.sun_path);
    } else {
        tell_address(fd, address, sizeof address, &port);
    }
    (void)add_listener(server, fd, family == AF_UNIX, address, port);
    return FC_OK;
}

fc_status fc_server_listener_at(fc_server *server, uint32_t index, fc_server_listener *listener)
{
    if (index >= server->listener_count) return FC_MISS;
    *listener = server->listeners[index].told;
    return FC_OK;
}
