/* test_server.c -- a server in this process: start, standing connections, drain, and what its control plane is told. */
#include "check.h"
#include "commands/context.h"
#include "server/server.h"
#include "table/write.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

typedef struct served {
    fixture segment;
    fc_server *server;
    uint32_t port;
} served;

static served serve(uint32_t threads, const char *name, const char *value)
{
    served made = {.segment = check_open(8u << 20)};
    fc_server_listener listener;
    REQUIRE_OK(fc_server_create(made.segment.cache, &made.server));
    if (name != NULL) REQUIRE_OK(fc_server_configure(made.server, name, value));
    REQUIRE_OK(fc_server_listen_tcp(made.server, "127.0.0.1", 0));
    REQUIRE_OK(fc_server_listener_at(made.server, 0, &listener));
    CHECK(strcmp(listener.address, "127.0.0.1") == 0 && listener.port != 0);
    REQUIRE_OK(fc_server_start(made.server, threads));
    made.port = listener.port;
    return made;
}

static void end(served *made)
{
    uint64_t dropped_count = 99;
    CHECK_OK(fc_server_drain(made->server, 1000000000, 0, &dropped_count));
    CHECK_EQUAL(0, dropped_count);
    fc_server_close(made->server);
    check_close(&made->segment);
}

static int dial(uint32_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static void say(int fd, const char *text) { CHECK_EQUAL(strlen(text), send(fd, text, strlen(text), MSG_NOSIGNAL)); }

/* 1 if exactly this text comes next, however it is cut. */
static int hears(int fd, const char *text)
{
    char got[512];
    size_t bytes = 0, wanted = strlen(text);
    while (bytes < wanted) {
        ssize_t count = recv(fd, got + bytes, wanted - bytes, 0);
        if (count <= 0) break;
        bytes += (size_t)count;
    }
    int same = bytes == wanted && memcmp(got, text, wanted) == 0;
    if (!same) fprintf(stderr, "heard: %.*s\n", (int)bytes, got);
    return same;
}

static int is_silent(int fd) { return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 30) == 0; }

static void requests_of_two_clients_are_served(void)
{
    served made = serve(2, NULL, NULL);
    int one = dial(made.port), two = dial(made.port);
    say(one, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\nGET k\r\n");
    CHECK(hears(one, "+OK\r\n$1\r\nv\r\n"));
    CHECK(check_holds(&made.segment, "k", "v"));
    REQUIRE_OK(check_set(&made.segment, "k", "from beside"));
    say(two, "GET k\r\nPING\r\n");
    CHECK(hears(two, "$11\r\nfrom beside\r\n+PONG\r\n"));
    close(one);
    close(two);
    end(&made);
}

/* P13: the thread goes on, the connection waits; and its order is kept. */
static void a_key_held_by_a_stopped_writer_parks_one_connection(void)
{
    served made = serve(1, NULL, NULL);
    fc_key key = check_key(&made.segment, "held");
    fc_write_state write;
    fc_server_stats stats;
    int waits = dial(made.port), goes_on = dial(made.port);
    REQUIRE_OK(fc_write_open(made.segment.session, &key, &write));
    say(waits, "SET other 1\r\nSET held 2\r\nGET held\r\n");
    CHECK(hears(waits, "+OK\r\n"));
    say(goes_on, "SET free 1\r\nGET held\r\nPING\r\n");
    CHECK(hears(goes_on, "+OK\r\n$-1\r\n+PONG\r\n"));
    CHECK(is_silent(waits));
    REQUIRE_OK(fc_server_stats_read(made.server, &stats));
    CHECK(stats.connections_blocked == 1 && stats.busy_parked > 0 && stats.busy_given_up == 0);
    CHECK_OK(fc_write_close(made.segment.session, &write, FC_OK));
    CHECK(hears(waits, "+OK\r\n$1\r\n2\r\n"));
    REQUIRE_OK(fc_server_stats_read(made.server, &stats));
    CHECK_EQUAL(0, stats.connections_blocked);
    close(waits);
    close(goes_on);
    end(&made);
}

static void a_command_that_waited_long_enough_is_refused(void)
{
    served made = serve(1, "busy-timeout-ms", "20");
    fc_key key = check_key(&made.segment, "held");
    fc_write_state write;
    int fd = dial(made.port);
    REQUIRE_OK(fc_write_open(made.segment.session, &key, &write));
    say(fd, "MULTI\r\nSET held 1\r\nSET b 2\r\nEXEC\r\n");
    CHECK(hears(fd, "+OK\r\n+QUEUED\r\n+QUEUED\r\n-BUSY "));
    for (char byte = 0; byte != '\n';) REQUIRE(recv(fd, &byte, 1, 0) == 1);
    CHECK_OK(fc_write_close(made.segment.session, &write, FC_OK));
    CHECK(check_holds(&made.segment, "b", NULL));
    say(fd, "DISCARD\r\n");
    CHECK(hears(fd, "-ERR DISCARD without MULTI\r\n"));
    close(fd);
    end(&made);
}

/* CLIENT REPLY SKIP takes the -BUSY, and no other reply; OFF takes it, too. */
static void a_refusal_is_dropped_as_any_other_reply(void)
{
    served made = serve(1, "busy-timeout-ms", "20");
    fc_key key = check_key(&made.segment, "held");
    fc_write_state write;
    int fd = dial(made.port);
    REQUIRE_OK(fc_write_open(made.segment.session, &key, &write));
    say(fd, "CLIENT REPLY SKIP\r\nSET held 1\r\nPING\r\n");
    CHECK(hears(fd, "+PONG\r\n"));
    say(fd, "CLIENT REPLY OFF\r\nSET held 1\r\nCLIENT REPLY ON\r\n");
    CHECK(hears(fd, "+OK\r\n"));
    CHECK_OK(fc_write_close(made.segment.session, &write, FC_OK));
    close(fd);
    end(&made);
}

static void maxclients_are_told_and_the_next_may_come_in_again(void)
{
    served made = serve(1, "maxclients", "1");
    int first = dial(made.port);
    say(first, "PING\r\n");
    CHECK(hears(first, "+PONG\r\n"));
    int second = dial(made.port);
    CHECK(hears(second, "-ERR max number of clients reached\r\n"));
    close(second);
    say(first, "QUIT\r\n");
    CHECK(hears(first, "+OK\r\n"));
    char nothing;
    CHECK_EQUAL(0, recv(first, &nothing, 1, 0));
    int third = dial(made.port);
    say(third, "PING\r\n");
    CHECK(hears(third, "+PONG\r\n"));
    close(first);
    close(third);
    end(&made);
}

static void a_protocol_error_is_told_and_closes_behind_what_came_before(void)
{
    served made = serve(1, NULL, NULL);
    int fd = dial(made.port);
    char nothing;
    say(fd, "PING\r\n*1\r\nfoo\r\n");
    CHECK(hears(fd, "+PONG\r\n-ERR Protocol error: expected '$', got 'f'\r\n"));
    CHECK_EQUAL(0, recv(fd, &nothing, 1, 0));
    close(fd);
    end(&made);
}

static void the_control_plane_hears_of_changes(void)
{
    served made = serve(1, NULL, NULL);
    fc_server_event event;
    int fd = dial(made.port);
    CHECK_STATUS(FC_MISS, fc_server_next_event(made.server, &event));
    say(fd, "CONFIG SET timeout 7\r\n");
    CHECK(hears(fd, "+OK\r\n"));
    CHECK_EQUAL(1, poll(&(struct pollfd){.fd = fc_server_event_fd(made.server), .events = POLLIN}, 1, 5000));
    REQUIRE_OK(fc_server_next_event(made.server, &event));
    CHECK_EQUAL(FC_SERVER_EVENT_CONFIG_SET, event.kind);
    CHECK(event.text_bytes == 9 && memcmp(event.text, "timeout\0" "7", 9) == 0);
    CHECK_STATUS(FC_MISS, fc_server_next_event(made.server, &event));
    CHECK_EQUAL(0, poll(&(struct pollfd){.fd = fc_server_event_fd(made.server), .events = POLLIN}, 1, 0));
    CHECK_STATUS(FC_MISS, fc_server_answer(made.server, 12345, "+OK\r\n", 5));
    close(fd);
    end(&made);
}

static void addresses_that_cannot_be_had_are_named(void)
{
    served made = serve(1, NULL, NULL);
    fc_server *second;
    char path[200];
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    REQUIRE_OK(fc_server_create(made.segment.cache, &second));
    CHECK_STATUS(FC_ADDRESS_IN_USE, fc_server_listen_tcp(second, "127.0.0.1", made.port));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_server_listen_tcp(second, "no such host.invalid", 0));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_server_listen_tcp(second, "127.0.0.1", 70000));
    CHECK_STATUS(FC_PATH_TOO_LONG, fc_server_listen_unix(second, path, 0700));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_server_listen_fd(second, 0));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_server_configure(second, "no-such-name", "1"));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_server_configure(second, "timeout", "-1"));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_server_start(second, FC_SERVER_THREADS_MAX + 1));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_server_start(made.server, 1));
    fc_server_close(second);
    end(&made);
}

static void without_session_slots_the_start_is_refused(void)
{
    fixture segment = check_open(8u << 20);
    fc_server *server;
    REQUIRE_OK(fc_server_create(segment.cache, &server));
    CHECK_STATUS(FC_SESSIONS_FULL, fc_server_start(server, 40));
    CHECK_OK(fc_server_start(server, 2));
    fc_server_close(server);
    check_close(&segment);
}

/* The control plane's threads may ask until the server is closed, also while another of them drains it. */
static void a_drained_server_still_answers_its_control_plane(void)
{
    served made = serve(2, NULL, NULL);
    fc_server_stats stats;
    CHECK_OK(fc_server_drain(made.server, 1000000000, 0, NULL));
    CHECK_OK(fc_server_stats_read(made.server, &stats));
    CHECK(stats.threads == 2 && stats.draining == 1 && stats.connections == 0);
    CHECK_STATUS(FC_MISS, fc_server_answer(made.server, 1, "+OK\r\n", 5));
    end(&made);
}

int main(void)
{
    RUN(requests_of_two_clients_are_served);
    RUN(a_key_held_by_a_stopped_writer_parks_one_connection);
    RUN(a_command_that_waited_long_enough_is_refused);
    RUN(a_refusal_is_dropped_as_any_other_reply);
    RUN(maxclients_are_told_and_the_next_may_come_in_again);
    RUN(a_protocol_error_is_told_and_closes_behind_what_came_before);
    RUN(the_control_plane_hears_of_changes);
    RUN(addresses_that_cannot_be_had_are_named);
    RUN(without_session_slots_the_start_is_refused);
    RUN(a_drained_server_still_answers_its_control_plane);
    return check_report();
}
