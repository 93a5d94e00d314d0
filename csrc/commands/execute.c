/* execute.c -- one request from its name to its reply: lookup, refusals, queueing, running, counting.
 *
 * Order        as in Redis: unknown command, arity, authentication, then the queue of MULTI, then the command. A refusal inside MULTI makes
 *              EXEC refuse everything.
 * Cost         a command that runs at once costs one look at the client's flags, one call, one reading of the cycle counter. The first
 *              key was hashed when the request was prepared, so that a server can prefetch a batch's keys.
 * Several keys commands flagged ATOMIC run in a transaction of their own when they name more than one key (transaction.h).
 */
#include "commands/transaction.h"
#include "commands/watch.h"

#include <stdio.h>
#include <stdlib.h>

/* ------------------------------------------------------------------ scratch memory */

typedef struct scratch_piece {
    struct scratch_piece *next;
} scratch_piece;

void *fc_context_scratch(fc_context *c, uint64_t bytes)
{
    scratch_piece *piece = bytes > UINT64_MAX / 2 ? NULL : malloc(sizeof *piece + bytes);
    if (piece == NULL) return NULL;
    piece->next = c->scratch;
    c->scratch = piece;
    return piece + 1;
}

void fc_context_free_scratch(fc_context *c)
{
    while (c->scratch != NULL) {
        scratch_piece *piece = c->scratch;
        c->scratch = piece->next;
        free(piece);
    }
}

fc_status fc_context_begin(fc_context *c, fc_host *host, fc_session *session, fc_reply *reply)
{
    memset(c, 0, sizeof *c);
    c->host = host;
    c->cache = host->cache;
    c->session = session;
    c->reply = reply;
    c->meter = fc_host_open_meter(host);
    return c->meter != NULL ? FC_OK : fc_fail(FC_SYSTEM, "no memory for a thread's counters");
}

void fc_context_end(fc_context *c)
{
    fc_context_free_scratch(c);
    fc_host_close_meter(c->meter);
}

fc_status fc_context_key(fc_context *c, uint32_t index, fc_key *key)
{
    const fc_arg *argument = &c->arguments[index];
    const fc_request *request = c->request;
    if (FC_LIKELY(request != NULL && request->key_is_ready && request->key.data == argument->data && request->key.database == c->client->database &&
                  request->key.bytes == argument->bytes)) {
        *key = request->key;
        return FC_OK;
    }
    return fc_key_init(c->cache, c->client->database, argument->data, argument->bytes, key);
}

/* ------------------------------------------------------------------ finding the command */

static const fc_command *resolve(fc_context *c, const fc_arg *arguments, uint32_t argument_count)
{
    const fc_command *command = fc_command_find(&c->host->names, arguments[0].data, arguments[0].bytes);
    if (command == NULL || FC_LIKELY(!fc_command_is_container(command)) || argument_count < 2) return command;
    return fc_command_find_sub(command, arguments[1].data, arguments[1].bytes);
}

void fc_request_prepare(fc_context *c, fc_request *request, uint32_t database)
{
    const fc_command *command = request->command = resolve(c, request->arguments, request->argument_count);
    request->key_is_ready = 0;
    if (command == NULL || command->first_key <= 0 || request->argument_count <= (uint32_t)command->first_key) return;
    const fc_arg *argument = &request->arguments[command->first_key];
    request->key_is_ready = fc_key_init(c->cache, database, argument->data, argument->bytes, &request->key) == FC_OK;
}

/* ------------------------------------------------------------------ counting */

static void note_error(fc_meter *meter, const fc_reply *reply)
{
    char code[FC_ERROR_CODE_BYTES] = {0};
    const uint8_t *text = reply->data + reply->error_at + 1;
    for (uint32_t i = 0; i + 1 < sizeof code && text[i] != ' ' && text[i] != '\r'; i++) code[i] = (char)text[i];
    fc_counter_add(&meter->errors, 1);
    for (uint32_t i = 0; i < FC_ERROR_CODES_MAX; i++) {
        uint64_t count = fc_load_relaxed(&meter->error_counts[i]);
        if (count == 0) memcpy(meter->error_codes[i], code, sizeof code);
        else if (strcmp(meter->error_codes[i], code) != 0) continue;
        fc_store_release(&meter->error_counts[i], count + 1); /* [meter.code] */
        return;
    }
}

/* Counts the errors that were written since the last look. 1 if there were any. */
static int note_errors(fc_context *c)
{
    if (FC_LIKELY(c->reply->error_count == c->errors_noted)) return 0;
    c->errors_noted = c->reply->error_count;
    if (c->reply->broken) return 1;
    note_error(c->meter, c->reply);
    return 1;
}

static void note_run(fc_context *c, const fc_command *command, uint64_t nanoseconds, int failed)
{
    fc_command_meter *meter = &c->meter->commands[command->id];
    fc_counter_add(&meter->calls, 1);
    fc_counter_add(&meter->nanoseconds, nanoseconds);
    if (FC_UNLIKELY(failed)) fc_counter_add(&meter->failed, 1);
    if (FC_UNLIKELY((fc_load_relaxed(&c->host->watch) & FC_WATCH_UNTRACKED) != 0)) return;
    fc_histogram *histogram = c->meter->histograms[command->id];
    if (FC_UNLIKELY(histogram == NULL)) {
        histogram = calloc(1, sizeof *histogram);
        if (histogram == NULL) return;
        fc_store_pointer_release((void **)&c->meter->histograms[command->id], histogram); /* [meter.histogram] */
    }
    fc_counter_add(&histogram->counts[fc_histogram_bucket(nanoseconds)], 1);
}

/* ------------------------------------------------------------------ refusing */

static void refused(fc_context *c, const fc_command *command)
{
    (void)note_errors(c);
    if (command != NULL) fc_counter_add(&c->meter->commands[command->id].rejected, 1);
    if ((c->client->flags & FC_CLIENT_MULTI) != 0) c->client->flags |= FC_CLIENT_DIRTY_EXEC;
}

/* Names and arguments in error texts are cut to this. */
#define SHOWN_BYTES 128

static void refuse_unknown(fc_context *c, const fc_request *request)
{
    const fc_arg *arguments = request->arguments;
    int name_bytes = arguments[0].bytes < SHOWN_BYTES ? (int)arguments[0].bytes : SHOWN_BYTES;
    const fc_command *container = fc_command_find(&c->host->names, arguments[0].data, arguments[0].bytes);
    if (container != NULL) {
        int sub_bytes = arguments[1].bytes < SHOWN_BYTES ? (int)arguments[1].bytes : SHOWN_BYTES;
        char upper[32] = {0};
        for (uint32_t i = 0; i + 1 < sizeof upper && container->name[i] != '\0'; i++) upper[i] = (char)(container->name[i] >= 'a' && container->name[i] <= 'z' ? container->name[i] - 32 : container->name[i]);
        fc_reply_error(c->reply, "ERR unknown subcommand '%.*s'. Try %s HELP.", sub_bytes, (const char *)arguments[1].data, upper);
        return;
    }
    char shown[SHOWN_BYTES + 8] = "";
    uint64_t used = 0;
    for (uint32_t i = 1; i < request->argument_count && used < SHOWN_BYTES; i++) {
        uint64_t room = SHOWN_BYTES - used;
        int bytes = arguments[i].bytes < room ? (int)arguments[i].bytes : (int)room;
        int length = snprintf(shown + used, sizeof shown - used, "'%.*s' ", bytes, (const char *)arguments[i].data);
        used += (uint64_t)length < sizeof shown - used ? (uint64_t)length : sizeof shown - used - 1;
    }
    fc_reply_error(c->reply, "ERR unknown command '%.*s', with args beginning with: %s", name_bytes, (const char *)arguments[0].data, shown);
}

/* 1 if the command may not even be queued; the reply is written. */
static int refuse(fc_context *c, const fc_request *request, const fc_command *command)
{
    if (command == NULL) {
        refuse_unknown(c, request);
    } else if (!fc_command_arity_fits(command, request->argument_count) || command->handler == fc_cmd_container) {
        fc_reply_error(c->reply, "ERR wrong number of arguments for '%s' command", command->full_name);
    } else if ((c->client->flags & FC_CLIENT_AUTHENTICATED) == 0 && (command->flags & FC_COMMAND_NO_AUTH) == 0) {
        fc_reply_error(c->reply, "NOAUTH Authentication required.");
    } else if ((c->client->flags & FC_CLIENT_MULTI) != 0 && (command->flags & FC_COMMAND_NO_MULTI) != 0) {
        fc_reply_error(c->reply, "ERR Command not allowed inside a transaction");
    } else {
        return 0;
    }
    refused(c, command);
    return 1;
}

/* What CLIENT REPLY OFF and SKIP say about the reply from `mark` on. */
static void drop_reply(fc_context *c, uint64_t mark, uint64_t flags_before)
{
    if ((flags_before & c->client->flags & (FC_CLIENT_REPLY_OFF | FC_CLIENT_REPLY_SKIP)) != 0) fc_reply_truncate(c->reply, mark);
    c->client->flags &= ~(uint64_t)FC_CLIENT_REPLY_SKIP;
    if ((c->client->flags & FC_CLIENT_REPLY_SKIP_NEXT) != 0) c->client->flags = (c->client->flags & ~(uint64_t)FC_CLIENT_REPLY_SKIP_NEXT) | FC_CLIENT_REPLY_SKIP;
}

void fc_execute_refuse(fc_context *c, const fc_request *request, fc_status status)
{
    uint64_t flags_before = c->client->flags;
    fc_reply_status(c->reply, status);
    /* An EXEC that failed is over, as every other EXEC is: the client will not send DISCARD. */
    if (request->command != NULL && request->command->id == FC_CMD_EXEC) fc_transaction_forget(c->client);
    refused(c, request->command);
    drop_reply(c, c->reply_mark, flags_before); /* as behind a command that ran: SKIP is used up by this reply */
}

fc_status fc_cmd_container(fc_context *c)
{
    (void)c;
    return fc_fail(FC_INTERNAL, "a container of commands was run");
}

/* ------------------------------------------------------------------ running */

/* Runs the handler; an engine's failure becomes its reply, FC_BUSY is passed on with nothing written. */
static fc_status run(fc_context *c, const fc_command *command)
{
    uint64_t mark = c->reply->bytes;
    c->command = command;
    fc_status status = FC_UNLIKELY((command->flags & FC_COMMAND_ATOMIC) != 0 && c->transaction == NULL) ? fc_transaction_run_one(c) : command->handler(c);
    if (FC_UNLIKELY(status != FC_OK)) {
        fc_reply_truncate(c->reply, mark);
        c->errors_noted = c->reply->error_count;
        if (status == FC_BUSY && c->transaction == NULL) return FC_BUSY;
        fc_reply_status(c->reply, status);
    }
    return FC_OK;
}

static fc_status run_and_note(fc_context *c, const fc_command *command)
{
    uint64_t started = c->finished_unix_ns != 0 ? c->finished_unix_ns : fc_tick_clock_unix_ns(&c->clock);
    const fc_arg *arguments = c->arguments;
    uint32_t argument_count = c->argument_count;
    fc_status status = run(c, command);
    uint64_t finished = c->finished_unix_ns = fc_tick_clock_unix_ns(&c->clock);
    if (FC_UNLIKELY(status != FC_OK)) return status;
    c->arguments = arguments; /* EXEC has run other commands with other arguments */
    c->argument_count = argument_count;
    uint64_t nanoseconds = finished > started ? finished - started : 0;
    note_run(c, command, nanoseconds, note_errors(c));
    const fc_host *host = c->host;
    if (FC_UNLIKELY(nanoseconds >= fc_load_relaxed(&host->slow_ns) || (fc_load_relaxed(&host->watch) & FC_WATCH_MONITOR) != 0)) fc_watch_ran(c, command, started, nanoseconds);
    if (FC_UNLIKELY(c->scratch != NULL) && c->transaction == NULL && (c->client->flags & FC_CLIENT_IN_PROCESS) == 0) fc_context_free_scratch(c);
    return FC_OK;
}

fc_status fc_execute_queued(fc_context *c, const fc_command *command, const fc_arg *arguments, uint32_t argument_count)
{
    c->request = NULL;
    c->arguments = arguments;
    c->argument_count = argument_count;
    return run_and_note(c, command);
}

static void queue_command(fc_context *c, const fc_request *request)
{
    fc_multi_queue *queue = fc_multi_queue_of(c->client);
    if (queue != NULL && fc_multi_queue_add(queue, request->command, request->arguments, request->argument_count)) {
        fc_reply_literal(c->reply, "+QUEUED\r\n");
        return;
    }
    fc_reply_error(c->reply, "ERR no memory for the transaction");
    refused(c, request->command);
}

/* Client states in which a command does not simply run. */
#define CLIENT_SPECIAL (FC_CLIENT_MULTI | FC_CLIENT_REPLY_OFF | FC_CLIENT_REPLY_SKIP | FC_CLIENT_REPLY_SKIP_NEXT)

fc_status fc_execute(fc_context *c, const fc_request *request)
{
    const fc_command *command = request->command;
    fc_client *client = c->client;
    uint64_t flags_before = client->flags;
    uint64_t mark = c->reply_mark = c->reply->bytes;
    fc_status status = FC_OK;
    c->request = request;
    c->arguments = request->arguments;
    c->argument_count = request->argument_count;
    fc_counter_add(&c->meter->processed, 1);
    uint64_t watch = fc_load_relaxed(&c->host->watch);
    int is_special = command == NULL || (watch & FC_WATCH_PAUSE) != 0 || !fc_command_arity_fits(command, request->argument_count) || command->handler == fc_cmd_container ||
                     (flags_before & (FC_CLIENT_AUTHENTICATED | CLIENT_SPECIAL)) != FC_CLIENT_AUTHENTICATED;
    if (FC_LIKELY(!is_special)) {
        status = run_and_note(c, command);
    } else if (!refuse(c, request, command)) {
        if ((watch & FC_WATCH_PAUSE) != 0 && fc_watch_holds(c, command)) c->is_held = 1, status = FC_BUSY;
        else if ((flags_before & FC_CLIENT_MULTI) != 0 && (command->flags & FC_COMMAND_IN_MULTI) == 0) queue_command(c, request);
        else status = run_and_note(c, command);
    }
    if (FC_UNLIKELY(status != FC_OK)) {
        if (status == FC_BUSY) fc_counter_add(&c->meter->processed, UINT64_MAX); /* it will be counted when it is run */
        return status;
    }
    if (command != NULL) client->command_id = command->id + 1;
    if (FC_UNLIKELY((flags_before | client->flags) & (FC_CLIENT_REPLY_OFF | FC_CLIENT_REPLY_SKIP | FC_CLIENT_REPLY_SKIP_NEXT))) drop_reply(c, mark, flags_before);
    return FC_OK;
}
