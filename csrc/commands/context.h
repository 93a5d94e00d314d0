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
#include "commands/reply.h"

typedef struct fc_transaction fc_transaction;
typedef struct fc_multi_queue fc_multi_queue;

/* The Redis whose commands these are, for clients that ask. */
#define FC_REDIS_VERSION "7.2.4"

/* ------------------------------------------------------------------ meters */

/* Error replies by their first word, as INFO errorstats counts them. */
#define FC_ERROR_CODES_MAX 64u
#define FC_ERROR_CODE_BYTES 24u

typedef struct fc_command_meter {
    uint64_t calls;
    uint64_t nanoseconds;
    uint64_t rejected;         /* refused before they ran: arity, authentication */
    uint64_t failed;           /* ran, and replied with an error */
} fc_command_meter;

/* What one thread counts. Only that thread writes; everybody may read. */
typedef struct fc_meter {
    struct fc_meter *next;     /* in the host's list; never removed before the host, but taken over when its thread is done with it */
    uint8_t in_use;
    fc_command_meter commands[FC_COMMAND_COUNT];
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
    char *library_version;
    uint64_t created_unix_ns;
    uint64_t command_id;           /* of the last command, + 1; 0: none yet */
    fc_multi_queue *queue;         /* NULL outside MULTI, and without WATCH */
    void *connection;              /* the server's; NULL in-process */
    fc_context *own_context;       /* in-process clients bring their own */
};

/* ------------------------------------------------------------------ hosts */

/* Questions to the control plane. */
enum fc_ask { FC_ASK_CONFIG_REWRITE, FC_ASK_COMMAND };

/* What only a server can do. Any may be NULL: the command says that it needs a server. */
typedef struct fc_hooks {
    void *server;
    /* Has the control plane answer instead of the handler, which writes nothing. Never inside EXEC (c->request NULL). */
    void (*ask)(void *server, fc_client *client, enum fc_ask what, const void *text, uint64_t text_bytes);
    /* SHUTDOWN; `text` are its arguments. */
    void (*shutdown)(void *server, const fc_client *client, const char *text);
    /* A parameter has another value now. */
    void (*configured)(void *server, uint32_t config_id, const fc_client *client);
    /* Connections now, and how many of them wait for something. */
    void (*count_clients)(void *server, uint64_t *connected, uint64_t *blocked, uint64_t *received, uint64_t *rejected);
} fc_hooks;

struct fc_host {
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
    char *renamed[FC_COMMAND_COUNT];
};

/* A meter for one thread; what others counted in it before stays in the sum. NULL without memory. */
fc_meter *fc_host_open_meter(fc_host *host);
void fc_host_close_meter(fc_host *host, fc_meter *meter);
/* Sum over all threads since the start or the last reset; error codes are merged. */
void fc_host_sum_meters(fc_host *host, fc_meter *sum);
/* CONFIG RESETSTAT: sums begin at 0 again. */
void fc_host_reset_meters(fc_host *host);
/* Puts a parsed value in force, with all its effects. `client` NULL: the control plane. */
void fc_host_put(fc_host *host, const fc_config_row *row, fc_config_value *value, const fc_client *client);
uint64_t fc_host_next_client_id(fc_host *host);

/* Sets a client up, and takes it down. The struct itself is the caller's. */
void fc_client_begin(fc_client *client, fc_host *host);
void fc_client_end(fc_client *client);
/* 1 if the text may be a name; otherwise the error about `what` ("Client names") is written. */
int fc_client_name_allowed(fc_context *c, const fc_arg *name, const char *what);
/* Replaces one of the client's texts; an empty argument leaves none. */
void fc_client_set_text(char **text, const fc_arg *argument);
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
