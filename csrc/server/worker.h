/* worker.h -- the server's inside: threads, each with connections of its own, and what they share.
 *
 *   fc_server     listeners, host, event queue, the workers
 *   fc_worker     one thread: an epoll, an fc_session, an fc_context, buffers for whichever connection has its turn
 *   fc_connection a socket and its fc_client. Only its worker touches it, but for what is labelled
 *
 * Buffers      a worker reads into one buffer and gathers replies in one, whatever connection it is. A connection owns memory only for what it
 *              left over: an unfinished request, replies that the socket would not take. So an idle connection costs its struct.
 * A turn       read once; cut all that came into requests, hash keys, prefetch buckets, prefetch blocks, run; write once. (batch.c)
 * Standing     a connection that must wait keeps its unread requests and is not read from: replies beyond OUTPUT_STALL_BYTES are not fetched,
 *              and there is no hard limit in client-output-buffer-limit, at which it would be closed;
 *              a key is held by a stopped writer (parked: tried again after 1 ms, 2 ms ... until busy-timeout-ms); the control plane is asked.
 * Between      threads speak through mailboxes: a locked list and an eventfd. Lists of connections may be read by others under `lock`.
 */
#ifndef FC_SERVER_WORKER_H
#define FC_SERVER_WORKER_H

#include "commands/context.h"
#include "server/request_parser.h"
#include "server/server.h"

/* Requests that are cut and prefetched together. More does not help: a core follows 10 to 16 misses. */
#define FC_BATCH_MAX 32u
/* A worker's input buffer: what one read takes at most. A value of 64 KiB fits with the request around it, and four of them. */
#define FC_READ_BYTES 262144u
/* An unfinished request gets so many bytes of room more than it has, and so many more renew its read-timeout-ms. */
#define FC_INPUT_BYTES 65536u
/* A worker's reply buffer is cut back to this after a turn that needed more. */
#define FC_REPLY_KEEP_BYTES 262144u

typedef struct fc_worker fc_worker;
typedef struct fc_connection fc_connection;

/* First member of everything that an epoll event points at. */
enum fc_source_kind { FC_SOURCE_LISTENER, FC_SOURCE_MAILBOX, FC_SOURCE_CONNECTION };
typedef struct fc_source {
    enum fc_source_kind kind;
    int fd;
} fc_source;

typedef struct fc_listener {
    fc_source source;          /* first */
    int is_unix;
    int removes_path;
    fc_server_listener told;
} fc_listener;

/* Of a reply that is not counted by client-output-buffer-limit: as much as Redis keeps in the client itself. */
#define FC_OUTPUT_UNCOUNTED_BYTES 16384u

/* Why a connection stands still. */
#define FC_WAIT_OUTPUT 1u      /* until the socket takes what is owed */
#define FC_WAIT_KEY 2u         /* parked: a key's lock */
#define FC_WAIT_CONTROL 4u     /* the control plane's answer */
#define FC_WAIT_PAUSE 8u       /* CLIENT PAUSE; parked, too */
#define FC_WAIT_BLOCKED (FC_WAIT_KEY | FC_WAIT_CONTROL | FC_WAIT_PAUSE) /* INFO counts these as blocked */

struct fc_connection {
    fc_source source;          /* first */
    fc_client client;
    fc_worker *worker;
    fc_connection *next, *previous;        /* of the worker's list; changed under the worker's lock */
    fc_connection *parked_next;
    fc_connection *monitor_next;
    uint8_t *input;            /* unfinished request, or requests that wait; NULL: none */
    uint64_t input_bytes, input_capacity;
    fc_parser *parser;         /* where the unfinished request stopped; NULL: at its beginning */
    uint8_t *output;           /* owed, from output_at on */
    uint64_t output_at, output_bytes, output_capacity;
    uint64_t parked_until_ns, give_up_ns; /* monotonic; 0: not parked */
    uint64_t active_ns;        /* monotonic, of the last read */
    uint64_t request_since_ns; /* monotonic, since when a request is unfinished, or 64 KiB more of it are awaited; 0: none is */
    uint64_t request_bytes;    /* of it, that were there at request_since_ns */
    uint64_t owed_since_ns;    /* monotonic, since when the socket has taken nothing of what is owed; 0: nothing is owed */
    uint64_t memory_bytes;     /* as counted in the worker's sum */
    uint32_t waits;            /* FC_WAIT_* */
    uint32_t events;           /* that epoll is asked for */
    uint32_t is_killed;        /* 1: CLIENT KILL has met it; set once, by any thread, which takes it out of the server's count */
    uint8_t is_unix;
    uint8_t is_closing;        /* in the graveyard, or after the output that is owed */
    uint8_t is_dead;
    uint8_t has_requests;      /* the input holds whole requests: the turn ended before they were run */
    uint8_t park_failures;     /* in a row */
};

enum fc_message_kind { FC_MESSAGE_ADOPT, FC_MESSAGE_ANSWER, FC_MESSAGE_FEED, FC_MESSAGE_RESUME, FC_MESSAGE_STOP };
typedef struct fc_message {
    struct fc_message *next;
    enum fc_message_kind kind;
    int fd;                    /* ADOPT */
    int is_unix;
    uint64_t client_id;        /* ANSWER */
    uint64_t bytes;            /* ANSWER, FEED: RESP behind the struct. STOP: the monotonic time to stop by */
    uint8_t data[];
} fc_message;

/* Counted by the worker, read by anybody. */
typedef struct fc_worker_stats {
    uint64_t connections;
    uint64_t waiting;
    uint64_t received;
    uint64_t protocol_errors;
    uint64_t parked;
    uint64_t given_up;
    uint64_t input_bytes;
    uint64_t output_bytes;
    uint64_t connection_bytes;
} fc_worker_stats;

struct fc_worker {
    fc_server *server;
    pthread_t thread;
    int has_thread;
    int epoll_fd;
    fc_source mailbox;         /* eventfd */
    pthread_mutex_t lock;      /* of `connections` and `messages` */
    fc_message *messages, **messages_end;
    fc_connection *connections;
    fc_connection *parked;     /* by parked_next */
    fc_connection *monitors;   /* by monitor_next */
    uint64_t has_monitors;     /* 1: so others post lines */
    uint64_t turn_bytes;       /* of the input that has its turn */
    fc_connection *graveyard;  /* closed in this round; freed at its end, when no event can name them */
    fc_session *session;
    fc_context context;
    fc_reply reply;
    uint64_t gather_bytes;     /* replies gathered before they are written in the middle of a turn */
    uint8_t *input;            /* FC_READ_BYTES */
    fc_parser parsers[FC_BATCH_MAX];
    fc_request requests[FC_BATCH_MAX];
    uint64_t swept_ns;         /* monotonic, of the last look for idle connections */
    int stops;                 /* no more connections are taken in */
    int closes;                /* nor requests: what is owed is written, then every connection is closed */
    uint64_t close_by_ns;      /* monotonic: when that begins at the latest */
    uint64_t stop_by_ns;       /* monotonic: when the draining ends */
    fc_worker_stats stats;
    uint64_t load;             /* connections, those on their way in the mailbox included; fc_fetch_add */
    fc_status start_status;
    char start_detail[256];
};

/* ------------------------------------------------------------------ events for the control plane */

typedef struct fc_event_node {
    struct fc_event_node *next;
    fc_server_event event;
    char text[];
} fc_event_node;

typedef struct fc_event_queue {
    pthread_mutex_t lock;
    int fd;                    /* eventfd */
    fc_event_node *first, **last;
    fc_event_node *told;       /* the one whose text the caller reads */
    uint64_t count;
    uint64_t dropped;
} fc_event_queue;

struct fc_server {
    fc_cache *cache;
    fc_host *host;
    fc_listener listeners[FC_SERVER_LISTENERS_MAX];
    uint32_t listener_count;
    fc_worker *workers;
    uint32_t worker_count;
    fc_event_queue events;
    uint64_t connection_count; /* atomic: fc_fetch_add */
    uint64_t rejected_count;
    uint64_t dropped_count;
    uint64_t is_draining;
    pthread_mutex_t start_lock;
    pthread_cond_t start_changed;
    uint32_t started_count;    /* workers that have told start_status */
    enum { FC_SERVER_STARTING, FC_SERVER_RUNS, FC_SERVER_FAILED } start_state;
};

/* events.c */
FC_MUST_USE fc_status fc_events_init(fc_event_queue *queue);
void fc_events_free(fc_event_queue *queue);
void fc_events_put(fc_event_queue *queue, uint32_t kind, uint32_t level, uint64_t ticket, uint64_t client_id, const void *text, uint64_t text_bytes);
/* A line for the log, if loglevel lets it pass. */
void fc_server_log(fc_server *server, uint32_t level, uint64_t client_id, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* worker_loop.c */
FC_MUST_USE fc_status fc_worker_init(fc_worker *worker, fc_server *server);
FC_MUST_USE fc_status fc_worker_start(fc_worker *worker);
void fc_worker_post(fc_worker *worker, fc_message *message);
void fc_worker_post_simple(fc_worker *worker, enum fc_message_kind kind, uint64_t client_id);

/* connection.c */
fc_connection *fc_connection_open(fc_worker *worker, int fd, int is_unix);
/* Closes at once; the memory goes at the end of the round. */
void fc_connection_close(fc_connection *connection);
void fc_connection_free(fc_connection *connection);
/* Asks epoll for what the connection's state needs. */
void fc_connection_arm(fc_connection *connection);
/* Writes what is owed, then the worker's reply; keeps what the socket does not take. */
void fc_connection_flush(fc_connection *connection);
void fc_connection_count_memory(fc_connection *connection);
fc_connection *fc_connection_find(fc_worker *worker, uint64_t client_id);
void fc_connection_set_wait(fc_connection *connection, uint32_t wait, int is_on);

/* accept.c */
void fc_accept_some(fc_worker *worker, fc_listener *listener);
void fc_accept_adopt(fc_worker *worker, int fd, int is_unix);

/* watchers.c: hooks of the host (context.h), and messages that they post. */
void fc_watchers_tell_client(void *server, const fc_client *client, fc_client_state *state);
void fc_watchers_visit_clients(void *server, const fc_client *asking, fc_client_visit visit, void *context);
void fc_watchers_monitor(void *server, fc_client *client, int is_on);
void fc_watchers_feed(void *server, const void *line, uint64_t bytes);
void fc_watchers_take_feed(fc_worker *worker, const fc_message *message);
void fc_watchers_resume(void *server);
void fc_watchers_take_resume(fc_worker *worker);

/* batch.c: the socket is readable, or what was kept may go on. */
void fc_batch_read(fc_connection *connection);
void fc_batch_go_on(fc_connection *connection);

static inline fc_connection *fc_connection_of(fc_client *client) { return client->connection; }

#endif
