/* transaction.c -- see transaction.h. */
#include "commands/transaction.h"

#include "commands/number.h"

#include <stdlib.h>

/* Commands [first, last) of a queue, and their keys. */
typedef struct part {
    fc_key_sink sink;          /* first: what key functions get is the part */
    fc_context *c;
    const fc_multi_queue *queue;
    uint64_t first, last;
    uint64_t watched_count;    /* of the keys, the first ones are the watched */
    const fc_arg *arguments;   /* of the command whose keys are collected */
    fc_key *keys;
    uint64_t key_count, key_room;
    uint64_t reply_mark;
    uint32_t database;         /* at the beginning of the part */
    int is_watch_broken;
} part;

static fc_status add_key(part *this, const fc_key *key)
{
    if (this->key_count == this->key_room) {
        uint64_t room = this->key_room == 0 ? 16 : this->key_room * 2;
        fc_key *grown = realloc(this->keys, room * sizeof *grown);
        if (grown == NULL) return fc_fail(FC_SYSTEM, "no memory for %llu keys", (unsigned long long)room);
        this->keys = grown;
        this->key_room = room;
    }
    this->keys[this->key_count++] = *key;
    return FC_OK;
}

static fc_status take_key(fc_key_sink *sink, uint32_t index, uint32_t database)
{
    fc_key key;
    part *this = (part *)sink;
    /* A database that is not there: the command answers that with an error of its own, before it looks at keys. */
    if (database >= (uint64_t)fc_config_number(&this->c->host->config, FC_CONFIG_DATABASES)) return FC_OK;
    FC_TRY(fc_key_init(this->c->cache, database, this->arguments[index].data, this->arguments[index].bytes, &key));
    return add_key(this, &key);
}

/* The database after the command: SELECT inside the transaction moves what comes after it. */
static uint32_t database_after(const fc_context *c, const fc_queued *queued, uint32_t database)
{
    int64_t index;
    if (queued->command->id != FC_CMD_SELECT || !fc_number_parse(queued->arguments[1].data, queued->arguments[1].bytes, &index)) return database;
    return index >= 0 && index < fc_config_number(&c->host->config, FC_CONFIG_DATABASES) ? (uint32_t)index : database;
}

/* A command whose keys cannot be prepared (one is too long, or COPY names a database that is not there) gets its error when it runs, or would lack
 * its key then: it is told so. */
static fc_status collect_keys(part *this)
{
    uint32_t database = this->database;
    for (uint64_t i = 0; i < this->watched_count; i++) FC_TRY(add_key(this, &this->queue->watched[i].key));
    for (uint64_t i = this->first; i < this->last; i++) {
        const fc_queued *queued = &this->queue->commands[i];
        this->arguments = queued->arguments;
        fc_status status = fc_command_visit_keys(queued->command, queued->arguments, queued->argument_count, database, &this->sink);
        if (status != FC_OK && status != FC_KEY_TOO_LONG && status != FC_INVALID_ARGUMENT) return status;
        database = database_after(this->c, queued, database);
    }
    return FC_OK;
}

static int watches_hold(const part *this, fc_transaction *transaction)
{
    for (uint64_t i = 0; i < this->watched_count; i++) {
        fc_transact_state state;
        const fc_watched *watched = &this->queue->watched[i];
        fc_transact_look(transaction, i, &state);
        if (state.version != watched->version) return 0;
        if (watched->version == 0 && state.home_version != watched->home_version) return 0;
    }
    return 1;
}

static fc_status run_commands(part *this)
{
    for (uint64_t i = this->first; i < this->last; i++) {
        const fc_queued *queued = &this->queue->commands[i];
        FC_TRY(fc_execute_queued(this->c, queued->command, queued->arguments, queued->argument_count));
    }
    return FC_OK;
}

static fc_status decide(fc_transaction *transaction, void *context)
{
    part *this = context;
    fc_context *c = this->c;
    fc_reply_truncate(c->reply, this->reply_mark);
    c->client->database = this->database;
    if (!watches_hold(this, transaction)) {
        this->is_watch_broken = 1;
        return FC_VERSION_MISMATCH;
    }
    c->transaction = transaction;
    c->transaction_key_count = this->key_count;
    fc_status status = run_commands(this);
    c->transaction = NULL;
    return status;
}

static fc_status run_part(part *this)
{
    fc_context *c = this->c;
    this->sink.take = take_key;
    this->database = c->client->database;
    this->reply_mark = c->reply->bytes;
    this->keys = NULL;
    this->key_count = this->key_room = 0;
    fc_status status = collect_keys(this);
    if (status == FC_OK) status = this->key_count == 0 ? run_commands(this) : fc_transact(c->session, this->keys, this->key_count, decide, this);
    free(this->keys);
    if (status == FC_OK) return FC_OK;
    fc_reply_truncate(c->reply, this->reply_mark);
    c->client->database = this->database;
    return status;
}

/* The end of the part that begins at `first`: before the next command about a whole database, or behind `first` if that is one. */
static uint64_t part_end(const fc_multi_queue *queue, uint64_t first)
{
    uint64_t last = first;
    if ((queue->commands[first].command->flags & FC_COMMAND_WHOLE) != 0) return first + 1;
    while (last < queue->command_count && (queue->commands[last].command->flags & FC_COMMAND_WHOLE) == 0) last++;
    return last;
}

fc_status fc_transaction_run_queue(fc_context *c, fc_multi_queue *queue)
{
    uint64_t mark = c->reply->bytes;
    uint64_t command_count = queue->command_count;
    fc_reply_array(c->reply, command_count);
    for (uint64_t first = 0, last; first < command_count || first == 0; first = last) {
        /* The first part checks what is watched, even if it is empty or a command about a whole database comes first. */
        int checks = first == 0 && queue->watched_count > 0;
        last = command_count == 0 ? 0 : part_end(queue, first);
        if (checks && (command_count == 0 || (queue->commands[0].command->flags & FC_COMMAND_WHOLE) != 0)) {
            part watch = {.c = c, .queue = queue, .watched_count = queue->watched_count};
            fc_status status = run_part(&watch);
            if (watch.is_watch_broken) goto broken;
            if (status != FC_OK) return status;
            checks = 0;
        }
        part next = {.c = c, .queue = queue, .first = first, .last = last, .watched_count = checks ? queue->watched_count : 0};
        fc_status status = run_part(&next);
        if (next.is_watch_broken) goto broken;
        if (status != FC_OK && first == 0) return status;
        for (uint64_t i = first; status != FC_OK && i < last; i++) fc_reply_status(c->reply, status);
        if (last == 0) break;
    }
    return FC_OK;
broken:
    fc_reply_truncate(c->reply, mark);
    fc_reply_null_array(c->reply);
    return FC_OK;
}

void fc_transaction_forget(fc_client *client)
{
    fc_multi_queue_drop_commands(client->queue);
    fc_multi_queue_drop_watched(client->queue);
    client->flags &= ~(uint64_t)(FC_CLIENT_MULTI | FC_CLIENT_DIRTY_EXEC);
}

/* ------------------------------------------------------------------ one command */

static fc_status decide_one(fc_transaction *transaction, void *context)
{
    part *this = context;
    fc_reply_truncate(this->c->reply, this->reply_mark);
    this->c->transaction = transaction;
    this->c->transaction_key_count = this->key_count;
    fc_status status = this->c->command->handler(this->c);
    this->c->transaction = NULL;
    return status;
}

fc_status fc_transaction_run_one(fc_context *c)
{
    part one = {.sink = {.take = take_key}, .c = c, .arguments = c->arguments, .reply_mark = c->reply->bytes};
    fc_status status = fc_command_visit_keys(c->command, c->arguments, c->argument_count, c->client->database, &one.sink);
    if (status == FC_OK) status = one.key_count < 2 ? c->command->handler(c) : fc_transact(c->session, one.keys, one.key_count, decide_one, &one);
    free(one.keys);
    return status;
}
