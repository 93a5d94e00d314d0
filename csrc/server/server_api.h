/* server_api.h -- the RESP server as its control plane sees it. Plain declarations, as in fincache_api.h; C programs include
 * server/server.h, Python's cffi reads this text after fincache_api.h and execute_api.h.
 *
 * LIFE
 *   fc_server_create -> fc_server_configure ... -> fc_server_listen_* ... -> fc_server_start -> (events) -> fc_server_drain ->
 *   fc_server_close. The server's threads open sessions of their own on the cache; the caller needs none.
 *   All functions may be called by any thread, one at a time; fc_server_configure, _config_text, _stats, _answer and _log at any time.
 *   No signal is handled or masked here, except that the server's threads block all of them: signals are the control plane's.
 *
 * EXAMPLE (error handling left out)
 *   fc_server_create(cache, &server);
 *   fc_server_configure(server, "maxclients", "10000");
 *   fc_server_configure(server, "requirepass", "secret");
 *   fc_server_listen_tcp(server, "127.0.0.1", 6379);
 *   fc_server_listen_unix(server, "/run/fincache/fincache.sock", 0770);
 *   fc_server_start(server, 2);
 *   ... poll() on fc_server_event_fd(server); while (fc_server_next_event(server, &event) == FC_OK) ...
 *   fc_server_drain(server, 5000000000);
 *   fc_server_close(server);
 */

#define FC_SERVER_THREADS_MAX 64
#define FC_SERVER_LISTENERS_MAX 16

typedef struct fc_server fc_server;

/* FC_READ_ONLY: the cache is attached read-only. FC_SYSTEM. */
fc_status fc_server_create(fc_cache *cache, fc_server **server);

/* Configuration by the names of CONFIG SET, before and after the start: maxclients, timeout, tcp-keepalive, requirepass,
 * protected-mode, proto-max-bulk-len, client-query-buffer-limit, client-output-buffer-limit, busy-timeout-ms, slowlog-log-slower-than, ...
 * See fc_host_configure for errors. */
fc_status fc_server_configure(fc_server *server, const char *name, const char *value);
fc_status fc_server_config_text(fc_server *server, const char *name, char *text, uint64_t text_bytes);
/* See fc_host_rename_command; before the start. */
fc_status fc_server_rename_command(fc_server *server, const char *from, const char *to);

/* Binds and listens on one address: a numeric IPv4 or IPv6 address or a host name; "*" means every IPv4 address, "::*" every IPv6 one.
 * Port 0 lets the kernel choose (fc_server_listener_at tells). The backlog is the configuration's tcp-backlog.
 * Errors: FC_ADDRESS_IN_USE, FC_INVALID_ARGUMENT (no such host), FC_PERMISSION (port), FC_SYSTEM. */
fc_status fc_server_listen_tcp(fc_server *server, const char *host, uint32_t port);
/* Binds and listens on a UNIX socket with these permission bits. A socket file that nobody listens on any more is replaced.
 * Errors: FC_PATH_TOO_LONG (107 bytes at most), FC_ADDRESS_IN_USE, FC_PERMISSION, FC_SYSTEM. */
fc_status fc_server_listen_unix(fc_server *server, const char *path, uint32_t mode);
/* Takes a socket that listens already (socket activation, takeover). The server owns the descriptor from then on, and does not remove
 * the path of a UNIX socket that it got so. FC_INVALID_ARGUMENT: no listening stream socket. */
fc_status fc_server_listen_fd(fc_server *server, int32_t fd);

typedef struct fc_server_listener {
    int32_t fd;                  /* the server's own: dup() it to pass it on */
    uint32_t port;               /* 0 for a UNIX socket */
    char address[120];           /* "127.0.0.1", "::1" or a path */
} fc_server_listener;
/* The listener at index 0, 1, ... FC_MISS past the end. */
fc_status fc_server_listener_at(fc_server *server, uint32_t index, fc_server_listener *listener);

/* Starts `threads` threads (1 to FC_SERVER_THREADS_MAX; 0: one fewer than cores, 1 to 4). FC_SESSIONS_FULL, FC_SYSTEM. */
fc_status fc_server_start(fc_server *server, uint32_t threads);

/* Stops accepting and reading, writes out what is owed for at most `timeout_ns`, closes all connections and ends the threads. The listening
 * sockets are closed, and UNIX sockets that were made here are removed, unless keep_listeners is 1 (they are somebody else's by now).
 * *dropped_count connections had replies left to write. */
fc_status fc_server_drain(fc_server *server, uint64_t timeout_ns, uint8_t keep_listeners, uint64_t *dropped_count);

/* Drains without waiting if need be, frees everything. NULL is allowed. */
void fc_server_close(fc_server *server);

/* ------------------------------------------------------------------ events for the control plane */

#define FC_SERVER_EVENT_LOG 1            /* text: a line for the log; level */
#define FC_SERVER_EVENT_SHUTDOWN 2       /* SHUTDOWN was called: text: its arguments ("", "nosave", "save", "now", ...) */
#define FC_SERVER_EVENT_CONFIG_REWRITE 3 /* wants fc_server_answer: "+OK\r\n" or an error */
#define FC_SERVER_EVENT_CONFIG_SET 4     /* text: name, NUL, value: changed by a client, already in force */
#define FC_SERVER_EVENT_COMMAND 5        /* a command that the control plane runs; text: its arguments as a RESP array; wants an answer */

#define FC_SERVER_LEVEL_DEBUG 0
#define FC_SERVER_LEVEL_VERBOSE 1
#define FC_SERVER_LEVEL_NOTICE 2
#define FC_SERVER_LEVEL_WARNING 3

typedef struct fc_server_event {
    uint32_t kind;               /* FC_SERVER_EVENT_* */
    uint32_t level;              /* FC_SERVER_LEVEL_*, of a log line */
    uint64_t ticket;             /* not 0: fc_server_answer is waited for, the client's connection stands still meanwhile */
    uint64_t client_id;          /* who caused it; 0: nobody */
    uint64_t at_unix_ns;
    uint64_t text_bytes;
    const char *text;            /* NUL-ended behind its bytes; lives until the next call of fc_server_next_event */
} fc_server_event;

/* An eventfd that is readable while events wait. The caller polls it, and does not read it. */
int32_t fc_server_event_fd(const fc_server *server);
/* The oldest event. FC_MISS: none waits. When nobody takes them, log lines beyond 4096 are dropped and counted in the next one. */
fc_status fc_server_next_event(fc_server *server, fc_server_event *event);
/* Ends the wait for `ticket` with RESP bytes. FC_MISS: nobody waits any more. */
fc_status fc_server_answer(fc_server *server, uint64_t ticket, const void *reply, uint64_t reply_bytes);

/* ------------------------------------------------------------------ statistics */

typedef struct fc_server_stats {
    uint64_t started_unix_ns;
    uint64_t connections_received;
    uint64_t connections_rejected;     /* maxclients, protected mode */
    uint64_t connections;              /* open now */
    uint64_t connections_blocked;      /* waiting for a key's lock, a pause or the control plane */
    uint64_t commands_processed;
    uint64_t commands_failed;          /* replied with an error */
    uint64_t protocol_errors;
    uint64_t busy_parked;              /* times a command met a key held by a live writer and was put off */
    uint64_t busy_given_up;            /* of these, answered with -BUSY in the end */
    uint64_t input_bytes;
    uint64_t output_bytes;
    uint64_t connection_bytes;         /* memory of connections and their buffers */
    uint32_t threads;
    uint32_t draining;
} fc_server_stats;

fc_status fc_server_stats_read(fc_server *server, fc_server_stats *stats);
/* The host behind the server: its INFO in-process, clients of one's own. Lives as long as the server. */
fc_host *fc_server_host(fc_server *server);
