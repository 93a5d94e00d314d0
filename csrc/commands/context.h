/* context.h -- what a command sees when it runs: its arguments, who asks, and where the reply goes.
 *
 *   fc_host      shared by all clients of a server or process: configuration, names, meters of its threads, hooks of the server
 *   fc_client    one conversation; used by one thread at a time
 *   fc_context   one thread's desk: session, reply buffer, the command at hand, its meter
 *
 * A handler reads c->arguments, works on keys through access.h, and writes c->reply. It returns FC_OK when it has replied. When it returns
 * another status nothing of what it wrote is kept: execute.c turns the status into an error, or has the command tried again (FC_BUSY).
 */
#ifndef FC_COMMANDS_CONTEXT_H
#define FC_COMMANDS_CONTEXT_H

#include "base/tick_clock.h"
#include "commands/command.h"
#include "commands/config.h"
#include "commands/execute.h"
#include "commands/latency_log.h"
#include "commands/reply.h"
#include "commands/slow_log.h"

typedef struct fc_transaction fc_transaction;
typedef struct fc_multi_queue fc_multi_queue;

/* The Redis whose commands these are, for clients that ask. */
#define FC_REDIS_VERSION "7.2.4"

/* ------------------------------------------------------------------ meters */

/* Error replies by their first word, as INFO errorstats counts them. */
#define FC_ERROR_CODES_MAX 64u
#define FC_ERROR_CODE_BYTES 24u

/* Durations in nanoseconds, with 64 steps to each power of two: a step is 1.6 % wide or less. */
#define FC_HISTOGRAM_STEPS 64u
#define FC_HISTOGRAM_BUCKETS (FC_HISTOGRAM_STEPS * 36u)  /* up to 2^41 ns, 36 minutes; what is longer counts in the last */

static inline uint32_t fc_histogram_bucket(uint64_t nanoseconds)
{
    if (nanoseconds < FC_HISTOGRAM_STEPS) return (uint32_t)nanoseconds;
    uint32_t power = 63u - (uint32_t)__builtin_clzll(nanoseconds) - 6u; /* of the step's width */
    uint64_t bucket = (uint64_t)power * FC_HISTOGRAM_STEPS + (nanoseconds >> power);
    return bucket < FC_HISTOGRAM_BUCKETS ? (uint32_t)bucket : FC_HISTOGRAM_BUCKETS - 1;
}

/* The longest duration that counts in a bucket. */
static inline uint64_t fc_histogram_top(uint32_t bucket)
{
    if (bucket < 2 * FC_HISTOGRAM_STEPS) return bucket;
    uint32_t power = bucket / FC_HISTOGRAM_STEPS - 1;
    return (((uint64_t)(bucket % FC_HISTOGRAM_STEPS) + FC_HISTOGRAM_STEPS + 1) << power) - 1;
}

typedef struct fc_histogram {
    uint64_t counts[FC_HISTOGRAM_BUCKETS];
} fc_histogram;

typedef struct fc_command_meter {
    uint64_t calls;
    uint64_t nanoseconds;
    uint64_t rejected;         /* refused before they ran: arity, authentication */
    uint64_t failed;           /* ran, and replied with an error */
} fc_command_meter;

/* What one thread counts. Only that thread writes; everybody may read. */
typedef struct fc_meter {
    struct fc_meter *next;     /* in the host's list; never removed before the host, but taken over when its thread is done with it */
    uint32_t in_use;           /* 1: a thread's; claimed by CAS, given back by a store: a child of fork() may have to, when nobody is left to unlock */
    fc_command_meter commands[FC_COMMAND_COUNT];
    fc_histogram *histograms[FC_COMMAND_COUNT]; /* NULL until the command ran here; freed with the host */
    uint64_t error_counts[FC_ERROR_CODES_MAX];
    char error_codes[FC_ERROR_CODES_MAX][FC_ERROR_CODE_BYTES]; /* written before their count leaves 0 */
    uint64_t errors;
    uint64_t processed;
} fc_meter;

/* ------------------------------------------------------------------ clients */

#define FC_CLIENT_AUTHENTICATED (1u << 0)
#define FC_CLIENT_MULTI (1u << 1)         /* between MULTI and EXEC */
#define FC_CLIENT_DIRTY_EXEC (1u << 2)    /* a queued command was refused: EXEC will be, too */
#define FC_CLIENT_CLOSE (1u << 3)         /* after the replies that are due */
#define FC_CLIENT_REPLY_OFF (1u << 4)
#define FC_CLIENT_REPLY_SKIP (1u << 5)    /* the reply of the present command is dropped */
#define FC_CLIENT_REPLY_SKIP_NEXT (1u << 6)
#define FC_CLIENT_IN_PROCESS (1u << 7)    /* no connection: Cache.execute() */
#define FC_CLIENT_MONITOR (1u << 8)
#define FC_CLIENT_NO_EVICT (1u << 9)
#define FC_CLIENT_NO_TOUCH (1u << 10)

struct fc_client {
    fc_host *host;
    fc_client *next, *previous;    /* in the host's list of in-process clients, or its thread's list of connections */
    uint64_t id;
    uint64_t flags;                /* FC_CLIENT_* */
    uint32_t database;
    uint32_t protocol;             /* 2 or 3 */
    char *name;                    /* NULL: none */
    char *library_name;
    char *library_version;         /* these three: changed under the host's texts_lock, which others read them under */
    uint64_t created_unix_ns;
    uint64_t command_id;           /* of the last command, + 1; 0: none yet */
    fc_multi_queue *queue;         /* NULL outside MULTI, and without WATCH */
    void *connection;              /* the server's; NULL in-process */
    fc_context *own_context;       /* in-process clients bring their own */
};

/* ------------------------------------------------------------------ hosts */

/* Questions to the control plane. */
enum fc_ask { FC_ASK_CONFIG_REWRITE, FC_ASK_COMMAND };

/* What a server knows of a client beside fc_client. */
typedef struct fc_client_state {
    char peer[128], local[128];    /* "127.0.0.1:4711", a UNIX socket's path with ":0", or "" */
    const char *events;            /* that are waited for: r, w, rw or nothing */
    uint64_t idle_s;
    uint64_t query_bytes, query_free_bytes;
    uint64_t output_bytes;
    uint64_t memory_bytes;
    int fd;
    uint8_t is_unix, is_blocked;
} fc_client_state;
/* 1: close this client; what it has not read yet is lost. */
typedef int (*fc_client_visit)(void *context, fc_client *client, const fc_client_state *state);

/* Figures of a server for INFO. */
typedef struct fc_server_figures {
    uint64_t connected, blocked, received, rejected, input_bytes, output_bytes, connection_bytes, protocol_errors, threads;
} fc_server_figures;

/* What only a server can do. Any may be NULL: the command says that it needs a server. */
typedef struct fc_hooks {
    void *server;
    /* Has the control plane answer instead of the handler, which writes nothing. Never inside EXEC (c->request NULL). */
    void (*ask)(void *server, fc_client *client, enum fc_ask what, const void *text, uint64_t text_bytes);
    /* SHUTDOWN; `text` are its arguments. */
    void (*shutdown)(void *server, const fc_client *client, const char *text);
    /* A parameter has another value now. */
    void (*configured)(void *server, uint32_t config_id, const fc_client *client);
    void (*tell_figures)(void *server, fc_server_figures *figures);
    /* Every connection, under the locks that keep it there. The visitor must not wait. */
    void (*visit_clients)(void *server, const fc_client *asking, fc_client_visit visit, void *context);
    void (*tell_client)(void *server, const fc_client *client, fc_client_state *state);
    /* A pause has ended, or has another end. */
    void (*resume)(void *server);
    /* The client, which is the calling thread's, begins or ends to monitor. */
    void (*monitor)(void *server, fc_client *client, int is_on);
    /* A line for those who monitor; a copy is made. */
    void (*feed)(void *server, const void *line, uint64_t bytes);
} fc_hooks;

/* Why a command is looked at more closely than usual. */
#define FC_WATCH_PAUSE 1u          /* CLIENT PAUSE is in force */
#define FC_WATCH_MONITOR 2u        /* somebody monitors */
#define FC_WATCH_UNTRACKED 4u      /* durations are not counted in histograms */

struct fc_host {
    uint64_t watch;                /* FC_WATCH_*; read with every command */
    uint64_t slow_ns;              /* commands that take as long are noted in a log; UINT64_MAX: none */
    uint64_t paused_until_ns;      /* monotonic */
    uint64_t pauses_all;           /* 1: all commands, 0: those that write */
    uint64_t monitor_count;
    fc_cache *cache;
    fc_config config;
    fc_command_names names;
    fc_hooks hooks;
    uint64_t started_unix_ns;
    uint64_t client_id_last;
    uint64_t client_count;         /* in-process clients that are open */
    pthread_mutex_t lock;          /* of the lists */
    fc_meter *meters;
    fc_meter *baseline;            /* what CONFIG RESETSTAT takes off */
    fc_stats stats_baseline;       /* the same of the segment's counters; 0 before the first reset */
    fc_server_figures figures_baseline;
    uint64_t rate_at_ns, rate_processed, rate_input, rate_output; /* of the last INFO that looked, for figures "instantaneous" */
    uint64_t rates[3];             /* commands, input bytes and output bytes in a second, as that one found */
    pthread_mutex_t texts_lock;    /* of the clients' texts */
    fc_slow_log slow_log;
    fc_latency_log latency_log;
    char *renamed[FC_COMMAND_COUNT];
};

/* A meter for one thread; what others counted in it before stays in the sum. NULL without memory. */
fc_meter *fc_host_open_meter(fc_host *host);
/* Takes no lock: a child of fork() closes the clients that it inherited. */
void fc_host_close_meter(fc_meter *meter);
/* Sum over all threads since the start or the last reset; error codes are merged. */
void fc_host_sum_meters(fc_host *host, fc_meter *sum);
/* CONFIG RESETSTAT: sums, and what INFO tells of segment and server, begin at 0 again. */
void fc_host_reset_meters(fc_host *host);
/* How often a command took how long, in all threads since the start or the last reset. */
void fc_host_sum_histogram(fc_host *host, uint32_t command_id, fc_histogram *sum);
/* Puts a parsed value in force, with all its effects. `client` NULL: the control plane. */
void fc_host_put(fc_host *host, const fc_config_row *row, fc_config_value *value, const fc_client *client);
uint64_t fc_host_next_client_id(fc_host *host);

/* Sets a client up, and takes it down. The struct itself is the caller's. */
void fc_client_begin(fc_client *client, fc_host *host);
void fc_client_end(fc_client *client);
/* 1 if the text may be a name; otherwise the error about `what` ("Client names") is written. */
int fc_client_name_allowed(fc_context *c, const fc_arg *name, const char *what);
/* Replaces one of the client's texts; an empty argument or NULL leaves none. */
void fc_client_set_text(fc_client *client, char **text, const fc_arg *argument);
/* Makes the client one of those who are told every command, or no longer. */
void fc_client_monitor(fc_client *client, int is_on);
/* As RESET leaves it. */
void fc_client_reset(fc_client *client);

/* ------------------------------------------------------------------ contexts */

/* A command as it was read: where its parts are, and what was worked out beforehand. */
typedef struct fc_request {
    const fc_arg *arguments;
    uint32_t argument_count;
    uint32_t key_is_ready;         /* 1: `key` is the first key, hashed for key.database */
    const fc_command *command;     /* NULL: not looked up yet, or unknown */
    fc_key key;
} fc_request;

struct fc_context {
    fc_host *host;
    fc_cache *cache;
    fc_session *session;
    fc_reply *reply;
    fc_meter *meter;
    fc_client *client;
    const fc_command *command;
    const fc_arg *arguments;
    uint32_t argument_count;
    const fc_request *request;     /* NULL for a queued command */
    fc_transaction *transaction;   /* NULL: keys are read and written directly (access.h) */
    uint64_t transaction_key_count;
    void *scratch;                 /* list of what fc_context_scratch gave */
    uint64_t errors_noted;         /* of the reply's error_count, what the meter has already */
    uint64_t finished_unix_ns;     /* when the last command ended; 0: the clock is to be read at the start of the next */
    fc_tick_clock clock;
    uint64_t reply_mark;           /* where the present command's reply begins */
    uint8_t is_held;               /* FC_BUSY because of CLIENT PAUSE, not of a key */
};

/* Memory until the command has ended; NULL without memory (and the reply is broken). */
void *fc_context_scratch(fc_context *c, uint64_t bytes);
void fc_context_free_scratch(fc_context *c);

/* Sets a context up for one thread. FC_SYSTEM: no memory. */
FC_MUST_USE fc_status fc_context_begin(fc_context *c, fc_host *host, fc_session *session, fc_reply *reply);
void fc_context_end(fc_context *c);

/* The prepared key of argument `index` in the client's database. */
FC_MUST_USE fc_status fc_context_key(fc_context *c, uint32_t index, fc_key *key);

/* Looks the command up and prepares its first key, for prefetching; what fc_execute would do, done earlier. */
void fc_request_prepare(fc_context *c, fc_request *request, uint32_t database);

/* Runs one request for c->client and appends its reply to c->reply. FC_OK; FC_BUSY: nothing was done or replied, try it again later or
 * give up with fc_execute_refuse. */
FC_MUST_USE fc_status fc_execute(fc_context *c, const fc_request *request);
/* Replies with the error of a status that fc_execute returned, and counts it. */
void fc_execute_refuse(fc_context *c, const fc_request *request, fc_status status);

/* For EXEC: runs one queued command; everything has been checked. */
FC_MUST_USE fc_status fc_execute_queued(fc_context *c, const fc_command *command, const fc_arg *arguments, uint32_t argument_count);

#endif
