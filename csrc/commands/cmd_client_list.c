/* cmd_client_list.c -- CLIENT LIST, INFO and KILL: all clients of the server, those of other threads included. */
#include "commands/multi_queue.h"
#include "commands/number.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Which clients are meant; what is NULL or 0 does not matter. */
typedef struct filter {
    fc_context *c;
    const uint64_t *ids;
    uint32_t id_count;
    const fc_arg *peer, *local;
    int wants_none;            /* a type of which there are no clients */
    int skips_asking;
    uint64_t met_count;
    fc_reply text;             /* of LIST */
} filter;

/* The words of Redis's line, in its order. Texts under the lock that their owners change them under; other words are old or new. */
__attribute__((no_sanitize("thread"))) static void tell_line(fc_host *host, fc_client *client, const fc_client_state *state, fc_reply *text)
{
    char line[1024], flags[16];
    uint64_t now_ns = fc_clock_unix_ns(), at = 0, set = client->flags;
    if (set & FC_CLIENT_MONITOR) flags[at++] = 'O';
    if (set & FC_CLIENT_MULTI) flags[at++] = 'x';
    if (state->is_blocked) flags[at++] = 'b';
    if (set & FC_CLIENT_CLOSE) flags[at++] = 'c';
    if (state->is_unix) flags[at++] = 'U';
    if (set & FC_CLIENT_NO_EVICT) flags[at++] = 'e';
    if (set & FC_CLIENT_NO_TOUCH) flags[at++] = 'T';
    if (at == 0) flags[at++] = 'N';
    flags[at] = '\0';
    int64_t queued = (set & FC_CLIENT_MULTI) == 0 ? -1 : client->queue != NULL ? (int64_t)client->queue->command_count : 0;
    pthread_mutex_lock(&host->texts_lock);
    int bytes = snprintf(line, sizeof line,
        "id=%" PRIu64 " addr=%s laddr=%s fd=%d name=%.128s age=%" PRIu64 " idle=%" PRIu64 " flags=%s db=%u sub=0 psub=0 ssub=0 multi=%" PRId64 " qbuf=%" PRIu64 " qbuf-free=%" PRIu64
        " argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=%u omem=%" PRIu64 " tot-mem=%" PRIu64 " events=%s cmd=%s user=default redir=-1 resp=%u lib-name=%.64s lib-ver=%.64s\n",
        client->id, state->peer, state->local, state->fd, client->name != NULL ? client->name : "", now_ns > client->created_unix_ns ? (now_ns - client->created_unix_ns) / 1000000000 : 0,
        state->idle_s, flags, client->database, queued, state->query_bytes, state->query_free_bytes, state->output_bytes > 0, state->output_bytes, state->memory_bytes, state->events,
        client->command_id == 0 ? "NULL" : fc_command_rows[client->command_id - 1].full_name, client->protocol, client->library_name != NULL ? client->library_name : "",
        client->library_version != NULL ? client->library_version : "");
    pthread_mutex_unlock(&host->texts_lock);
    if (bytes > 0) fc_reply_raw(text, line, (size_t)bytes < sizeof line ? (uint64_t)bytes : sizeof line - 1);
}

static int is_same(const fc_arg *argument, const char *text) { return argument->bytes == strlen(text) && memcmp(argument->data, text, argument->bytes) == 0; }

static int fits(const filter *this, const fc_client *client, const fc_client_state *state)
{
    int has_id = this->ids == NULL;
    for (uint32_t i = 0; i < this->id_count; i++) has_id |= this->ids[i] == client->id;
    if (!has_id || this->wants_none) return 0;
    if (this->peer != NULL && !is_same(this->peer, state->peer)) return 0;
    if (this->local != NULL && !is_same(this->local, state->local)) return 0;
    return !(this->skips_asking && client == this->c->client);
}

static int list_one(void *context, fc_client *client, const fc_client_state *state)
{
    filter *this = context;
    /* The command that asks counts as its client's last one. */
    if (client == this->c->client) client->command_id = this->c->command->id + 1;
    if (fits(this, client, state)) tell_line(this->c->host, client, state, &this->text);
    return 0;
}

static int kill_one(void *context, fc_client *client, const fc_client_state *state)
{
    filter *this = context;
    if (!fits(this, client, state)) return 0;
    this->met_count++;
    return 1;
}

/* In-process there is only the client itself. */
static void visit(filter *this, fc_client_visit visitor)
{
    const fc_hooks *hooks = &this->c->host->hooks;
    fc_client_state alone = {.events = "", .fd = -1};
    if (hooks->visit_clients != NULL) hooks->visit_clients(hooks->server, this->c->client, visitor, this);
    if ((this->c->client->flags & FC_CLIENT_IN_PROCESS) != 0 && visitor == list_one) (void)visitor(this, this->c->client, &alone);
}

/* ------------------------------------------------------------------ filters */

/* 0 after the error reply. Nobody is a replica or a subscriber yet; a master is what nobody ever is here. */
static int parse_type(fc_context *c, const fc_arg *word, filter *made)
{
    static const char *const none[] = {"replica", "slave", "pubsub", "master"};
    if (fc_arg_is(word, "normal")) return 1;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        if (fc_arg_is(word, none[i])) return made->wants_none = 1;
    fc_reply_error(c->reply, "ERR Unknown client type '%.*s'", word->bytes < 128 ? (int)word->bytes : 128, (const char *)word->data);
    return 0;
}

static int parse_ids(fc_context *c, uint32_t first, uint32_t last, filter *made)
{
    uint64_t *ids = fc_context_scratch(c, (last - first) * sizeof *ids);
    for (uint32_t i = first; ids != NULL && i < last; i++) {
        int64_t id;
        if (!fc_number_parse(c->arguments[i].data, c->arguments[i].bytes, &id) || id <= 0) {
            fc_reply_error(c->reply, first + 1 == last ? "ERR client-id should be greater than 0" : "ERR Invalid client ID");
            return 0;
        }
        ids[i - first] = (uint64_t)id;
    }
    made->ids = ids;
    made->id_count = last - first;
    if (ids == NULL) fc_reply_error(c->reply, "ERR no memory");
    return ids != NULL;
}

fc_status fc_cmd_client_list(fc_context *c)
{
    filter wanted = {.c = c};
    if (c->argument_count == 4 && fc_arg_is(&c->arguments[2], "type")) {
        if (!parse_type(c, &c->arguments[3], &wanted)) return FC_OK;
    } else if (c->argument_count > 3 && fc_arg_is(&c->arguments[2], "id")) {
        if (!parse_ids(c, 3, c->argument_count, &wanted)) return FC_OK;
    } else if (c->argument_count != 2) {
        fc_reply_error(c->reply, "ERR syntax error");
        return FC_OK;
    }
    visit(&wanted, list_one);
    fc_reply_verbatim(c->reply, "txt", wanted.text.data, wanted.text.bytes);
    fc_reply_free(&wanted.text);
    return FC_OK;
}

fc_status fc_cmd_client_info(fc_context *c)
{
    uint64_t id = c->client->id;
    filter wanted = {.c = c, .ids = &id, .id_count = 1};
    visit(&wanted, list_one);
    fc_reply_verbatim(c->reply, "txt", wanted.text.data, wanted.text.bytes);
    fc_reply_free(&wanted.text);
    return FC_OK;
}

/* ------------------------------------------------------------------ kill */

/* One filter of CLIENT KILL and its value. 0 after the error reply. */
static int parse_kill_pair(fc_context *c, uint32_t at, filter *made)
{
    const fc_arg *word = &c->arguments[at], *value = word + 1;
    if (fc_arg_is(word, "id")) return parse_ids(c, at + 1, at + 2, made);
    if (fc_arg_is(word, "type")) return parse_type(c, value, made);
    if (fc_arg_is(word, "addr")) return made->peer = value, 1;
    if (fc_arg_is(word, "laddr")) return made->local = value, 1;
    if (fc_arg_is(word, "skipme") && (fc_arg_is(value, "yes") || fc_arg_is(value, "no"))) {
        made->skips_asking = fc_arg_is(value, "yes");
        return 1;
    }
    if (fc_arg_is(word, "user")) {
        if (is_same(value, "default")) return 1;
        fc_reply_error(c->reply, "ERR No such user '%.*s'", value->bytes < 128 ? (int)value->bytes : 128, (const char *)value->data);
        return 0;
    }
    fc_reply_error(c->reply, "ERR syntax error");
    return 0;
}

fc_status fc_cmd_client_kill(fc_context *c)
{
    filter wanted = {.c = c, .skips_asking = 1};
    int is_old = c->argument_count == 3; /* CLIENT KILL addr:port */
    if (is_old) {
        wanted.peer = &c->arguments[2];
        wanted.skips_asking = 0;
    } else if (c->argument_count % 2 != 0) {
        fc_reply_error(c->reply, "ERR syntax error");
        return FC_OK;
    }
    for (uint32_t i = 2; !is_old && i < c->argument_count; i += 2)
        if (!parse_kill_pair(c, i, &wanted)) return FC_OK;
    visit(&wanted, kill_one);
    if (!is_old) fc_reply_integer(c->reply, (int64_t)wanted.met_count);
    else if (wanted.met_count > 0) fc_reply_ok(c->reply);
    else fc_reply_error(c->reply, "ERR No such client");
    return FC_OK;
}
