/* batch.c -- a connection's turn: read, cut into requests, prefetch, run, write.
 *
 * Prefetching  all requests of a batch are cut first; each one's first key is hashed and its bucket asked for. When the last is cut the
 *              buckets are there, and the blocks they lead to are asked for. Then the requests run, each meeting warm lines.
 * Left over    an unfinished request is kept by the connection: up to SMALL_BYTES as it is, to be put in front of the next read; from there on
 *              in a buffer of its own that the socket is read into directly, with the parser's state, so that nothing is copied or cut twice.
 *              Before that the socket is asked for the rest, which often is there by then: a value of 64 KiB comes in two reads, and is not copied.
 * Stops        a batch ends early, and what was not run is kept, when a command has to wait or replies pile up (worker.h, Standing).
 */
#include "server/worker.h"
#include "table/prefetch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Of an unfinished request that is cut anew with the next read. */
#define SMALL_BYTES 4096u
/* A buffer of its own grows to what is announced, but at most by this and its own size at once: announcing costs nothing. */
#define GROWTH_BYTES 1048576u
/* Replies gathered before they are written in the middle of a turn. */
#define GATHER_BYTES 262144u

/* ------------------------------------------------------------------ running */

static void prefetch_bucket(const fc_session *session, const fc_request *request)
{
    if (request->key_is_ready) __builtin_prefetch(fc_home_of(session, request->key.hash));
}

/* Puts the connection to the side: the command met a key whose lock does not come. 0: it has waited long enough. */
static int park(fc_connection *connection)
{
    fc_worker *worker = connection->worker;
    uint64_t now_ns = fc_clock_mono_ns();
    if (connection->give_up_ns == 0) connection->give_up_ns = now_ns + (uint64_t)fc_config_number(&worker->server->host->config, FC_CONFIG_BUSY_TIMEOUT_MS) * 1000000;
    if (now_ns >= connection->give_up_ns) {
        connection->give_up_ns = 0;
        connection->park_failures = 0;
        fc_counter_add(&worker->stats.given_up, 1);
        return 0;
    }
    connection->parked_until_ns = now_ns + (UINT64_C(1000000) << (connection->park_failures < 4 ? connection->park_failures++ : 4));
    connection->parked_next = worker->parked;
    worker->parked = connection;
    fc_connection_set_wait(connection, FC_WAIT_KEY, 1);
    fc_counter_add(&worker->stats.parked, 1);
    return 1;
}

/* The same for a command that CLIENT PAUSE holds back: until the pause ends by itself, or the server hears of its end. */
static void hold(fc_connection *connection)
{
    fc_worker *worker = connection->worker;
    worker->context.is_held = 0;
    connection->parked_until_ns = fc_load_relaxed(&worker->server->host->paused_until_ns);
    connection->parked_next = worker->parked;
    worker->parked = connection;
    fc_connection_set_wait(connection, FC_WAIT_PAUSE, 1);
}

/* A web page can make a browser send lines to any port, and lines are commands here. Every such request begins with POST or has a line "Host:",
 * which no client of ours sends. */
static int is_http(const fc_request *request) { return fc_arg_is(&request->arguments[0], "post") || fc_arg_is(&request->arguments[0], "host:"); }

/* As Redis does: the sender gets nothing more, not even what is due. */
static void refuse_http(fc_connection *connection)
{
    fc_worker *worker = connection->worker;
    worker->reply.bytes = 0;
    worker->context.errors_noted = worker->reply.error_count;
    connection->is_closing = 1;
    fc_counter_add(&worker->stats.protocol_errors, 1);
    fc_server_log(worker->server, FC_SERVER_LEVEL_WARNING, connection->client.id,
                  "client %llu: closed, it speaks HTTP (POST or Host:); a web page may be trying to send commands", (unsigned long long)connection->client.id);
}

/* Runs one prepared request. 0: it must be run again later. */
static int run_request(fc_connection *connection, fc_request *request)
{
    fc_context *c = &connection->worker->context;
    if (FC_UNLIKELY(request->command == NULL) && is_http(request)) {
        refuse_http(connection);
        return 1;
    }
    fc_status status = fc_execute(c, request);
    if (FC_LIKELY(status == FC_OK)) {
        connection->give_up_ns = 0;
        connection->park_failures = 0;
        return 1;
    }
    if (c->is_held) {
        hold(connection);
        return 0;
    }
    if (status == FC_BUSY && park(connection)) return 0;
    fc_execute_refuse(c, request, status);
    return 1;
}

/* Runs `count` requests that were cut. Returns how many are done; fewer, if the connection has to stand. */
static uint32_t run_requests(fc_connection *connection, uint32_t count)
{
    fc_worker *worker = connection->worker;
    if (count > 1)
        for (uint32_t i = 0; i < count; i++) if (worker->requests[i].key_is_ready) fc_prefetch_blocks(worker->session, &worker->requests[i].key, 1);
    for (uint32_t i = 0; i < count; i++) {
        if (FC_UNLIKELY(!run_request(connection, &worker->requests[i]))) return i;
        if (FC_UNLIKELY(worker->reply.bytes > worker->gather_bytes)) fc_connection_flush(connection);
        if (FC_UNLIKELY((connection->client.flags & FC_CLIENT_CLOSE) != 0)) connection->is_closing = 1;
        if (FC_UNLIKELY(connection->waits != 0 || connection->is_closing)) return i + 1;
    }
    return count;
}

/* ------------------------------------------------------------------ cutting */

static void refuse_protocol(fc_connection *connection, const fc_parser *parser)
{
    fc_worker *worker = connection->worker;
    fc_reply_error(&worker->reply, "ERR %s", parser->error);
    worker->context.errors_noted = worker->reply.error_count;
    connection->is_closing = 1;
    fc_counter_add(&worker->stats.protocol_errors, 1);
    fc_server_log(worker->server, FC_SERVER_LEVEL_VERBOSE, connection->client.id, "client %llu: %s", (unsigned long long)connection->client.id, parser->error);
}

/* What one round of cutting came to. */
typedef struct cut {
    uint32_t count;            /* requests */
    uint64_t ends[FC_BATCH_MAX]; /* offset behind each */
    uint64_t at;               /* where the unfinished request begins, or the end */
    enum fc_parse result;      /* COMPLETE: the batch is full */
} cut;

static void cut_requests(fc_connection *connection, const uint8_t *data, uint64_t bytes, uint64_t from, cut *made)
{
    fc_worker *worker = connection->worker;
    int is_authenticated = (connection->client.flags & FC_CLIENT_AUTHENTICATED) != 0;
    fc_parse_limits limits = {.bulk_bytes_max = fc_config_number(&worker->server->host->config, FC_CONFIG_PROTO_MAX_BULK_LEN), .is_authenticated = is_authenticated};
    uint32_t count_max = is_authenticated ? FC_BATCH_MAX : 1;
    made->count = 0;
    made->at = from;
    made->result = FC_PARSE_COMPLETE;
    while (made->at < bytes && made->count < count_max) {
        fc_parser *parser = &worker->parsers[made->count];
        if (FC_UNLIKELY(connection->parser != NULL)) { /* go on where it stopped */
            fc_parser resumed = *connection->parser;
            *connection->parser = *parser;
            *parser = resumed;
            fc_parser_free(connection->parser);
            free(connection->parser);
            connection->parser = NULL;
            fc_parser_rebase(parser, NULL, data);
        } else {
            fc_parser_next(parser);
        }
        made->result = fc_parser_run(parser, data + made->at, bytes - made->at, &limits);
        if (FC_UNLIKELY(made->result != FC_PARSE_COMPLETE)) return;
        made->at += parser->at;
        if (FC_UNLIKELY(parser->argument_count == 0)) continue;
        fc_request *request = &worker->requests[made->count];
        request->arguments = parser->arguments;
        request->argument_count = parser->argument_count;
        fc_request_prepare(&worker->context, request, connection->client.database);
        prefetch_bucket(worker->session, request);
        made->ends[made->count++] = made->at;
    }
}

/* Memory of a request with very many arguments is not kept. */
#define ARGUMENT_ROOM_KEPT 1024u

static void trim_parsers(fc_worker *worker, uint32_t count)
{
    for (uint32_t i = 0; i <= count && i < FC_BATCH_MAX; i++)
        if (FC_UNLIKELY(worker->parsers[i].argument_room > ARGUMENT_ROOM_KEPT || worker->parsers[i].unpacked != NULL)) fc_parser_free(&worker->parsers[i]);
}

/* The worker's buffers are the connection's from here to end_turn. */
static void begin_turn(fc_connection *connection)
{
    fc_worker *worker = connection->worker;
    worker->context.client = &connection->client;
    uint64_t limit = (uint64_t)fc_config_number(&worker->server->host->config, FC_CONFIG_CLIENT_OUTPUT_BUFFER_LIMIT);
    worker->reply.bytes = 0;
    worker->reply.bytes_max = limit == 0 ? 0 : limit + FC_OUTPUT_UNCOUNTED_BYTES;
    worker->gather_bytes = limit == 0 || limit > GATHER_BYTES ? GATHER_BYTES : limit / 2;
    worker->reply.protocol = (uint8_t)connection->client.protocol;
    worker->context.finished_unix_ns = 0;
}

/* Cuts and runs what is in `data` from `done` on. Returns how many bytes are done with; *unfinished is the parser of the request that is not all
 * there, if there is one. */
static uint64_t run_input(fc_connection *connection, const uint8_t *data, uint64_t bytes, uint64_t done, fc_parser **unfinished)
{
    fc_worker *worker = connection->worker;
    cut made;
    *unfinished = NULL;
    worker->turn_bytes = bytes;
    if (FC_UNLIKELY(fc_load32_relaxed(&connection->is_killed))) connection->is_closing = 1;
    while (done < bytes && connection->waits == 0 && !connection->is_closing) {
        cut_requests(connection, data, bytes, done, &made);
        uint32_t run_count = run_requests(connection, made.count);
        if (FC_UNLIKELY(run_count < made.count || connection->waits != 0 || connection->is_closing)) {
            if (run_count > 0) done = made.ends[run_count - 1];
            trim_parsers(worker, made.count);
            return connection->is_closing ? bytes : done;
        }
        done = made.at;
        if (made.result == FC_PARSE_ERROR) {
            refuse_protocol(connection, worker->parsers + made.count);
            trim_parsers(worker, made.count);
            return bytes;
        }
        if (made.result == FC_PARSE_MORE) {
            *unfinished = worker->parsers + made.count;
            return done;
        }
        trim_parsers(worker, made.count);
    }
    return done;
}

/* ------------------------------------------------------------------ what is left over */

static void drop_input(fc_connection *connection)
{
    free(connection->input);
    connection->input = NULL;
    connection->input_bytes = connection->input_capacity = 0;
    if (connection->parser != NULL) {
        fc_parser_free(connection->parser);
        free(connection->parser);
        connection->parser = NULL;
    }
}

/* The growth rule: a buffer that holds `bytes` and should reach to `wanted`. */
static uint64_t growth(uint64_t bytes, uint64_t wanted)
{
    uint64_t capacity = bytes * 2 + GROWTH_BYTES;
    return capacity < wanted ? capacity : wanted;
}

/* Sees to room for `wanted` bytes in the connection's own buffer, or as far as the growth rule goes. */
static int grow_input(fc_connection *connection, uint64_t wanted)
{
    uint64_t capacity = growth(connection->input_bytes, wanted);
    if (capacity <= connection->input_capacity) return 1;
    uint8_t *grown = realloc(connection->input, capacity);
    if (grown == NULL) return 0;
    connection->input = grown;
    connection->input_capacity = capacity;
    return 1;
}

/* How far the buffer of an unfinished request should reach: to its end, if that is known, so that the next request is not read with it. */
static uint64_t room_wanted(const fc_parser *parser, uint64_t bytes)
{
    uint64_t least = parser->arguments_left == 1 && parser->bulk_bytes >= 0 ? 0 : bytes + FC_INPUT_BYTES;
    return parser->wanted > least ? parser->wanted : least;
}

/* Keeps data[done, bytes) in the connection's own buffer. `data` may be that buffer. 0 without memory. */
static int keep_input(fc_connection *connection, const uint8_t *data, uint64_t bytes, uint64_t done, fc_parser *unfinished)
{
    uint64_t left = bytes - done;
    const uint8_t *request = data + done;
    if (left == 0) {
        drop_input(connection);
        return 1;
    }
    int is_own = data == connection->input;
    int is_long = unfinished != NULL && left > SMALL_BYTES;
    if (unfinished != NULL) fc_parser_rebase(unfinished, request, NULL); /* kept as offsets */
    if (is_own) memmove(connection->input, request, left);
    else {
        uint64_t capacity = is_long ? growth(left, room_wanted(unfinished, left)) : left;
        uint8_t *copy = malloc(capacity);
        if (copy == NULL) return 0;
        memcpy(copy, request, left);
        drop_input(connection);
        connection->input = copy;
        connection->input_capacity = capacity;
    }
    connection->input_bytes = left;
    if (!is_long) return 1;
    connection->parser = malloc(sizeof *connection->parser);
    if (connection->parser == NULL) return 0;
    *connection->parser = *unfinished;
    fc_parser_init(unfinished);
    return 1;
}

static void end_turn(fc_connection *connection, const uint8_t *data, uint64_t bytes, uint64_t done, fc_parser *unfinished)
{
    int64_t query_bytes_max = fc_config_number(&connection->worker->server->host->config, FC_CONFIG_CLIENT_QUERY_BUFFER_LIMIT);
    if (!connection->is_closing && !keep_input(connection, data, bytes, done, unfinished)) {
        fc_connection_close(connection);
        return;
    }
    if (connection->is_closing) drop_input(connection);
    if (connection->input_bytes == 0 || connection->waits != 0) connection->request_since_ns = 0;
    else if (done > 0 || connection->request_since_ns == 0 || connection->input_bytes >= connection->request_bytes + FC_INPUT_BYTES) {
        connection->request_since_ns = fc_clock_mono_ns();
        connection->request_bytes = connection->input_bytes;
    }
    connection->has_requests = connection->input_bytes > 0 && unfinished == NULL && connection->parser == NULL;
    if ((int64_t)connection->input_bytes > query_bytes_max) {
        fc_server_log(connection->worker->server, FC_SERVER_LEVEL_WARNING, connection->client.id, "client %llu: closed, its request is longer than client-query-buffer-limit",
                      (unsigned long long)connection->client.id);
        fc_connection_close(connection);
        return;
    }
    fc_connection_flush(connection);
    if (connection->is_dead) return;
    if (connection->memory_bytes != sizeof *connection || connection->input != NULL) fc_connection_count_memory(connection);
    fc_connection_arm(connection);
}

/* ------------------------------------------------------------------ reading */

/* Reads into `room`. -1: the connection was closed, nothing is to be done; 0: nothing came. */
static int64_t receive(fc_connection *connection, uint8_t *room, uint64_t bytes)
{
    ssize_t count = recv(connection->source.fd, room, bytes, 0);
    if (FC_LIKELY(count > 0)) {
        fc_counter_add(&connection->worker->stats.input_bytes, (uint64_t)count);
        return count;
    }
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return 0;
    fc_connection_close(connection);
    return -1;
}

/* Whether the socket is asked for the rest of an unfinished request at once. It is cut anew then, from its beginning: of one whose end is not known,
 * because more arguments follow, that may be much. A small rest is not there as long as its client has not been run. */
static int is_worth_asking(const fc_parser *parser, uint64_t room)
{
    return parser->arguments_left == 1 && parser->bulk_bytes > (int64_t)SMALL_BYTES && parser->wanted <= room;
}

void fc_batch_read(fc_connection *connection)
{
    fc_worker *worker = connection->worker;
    fc_parser *unfinished;
    if (connection->parser != NULL) { /* a long request, in its own buffer */
        if (!grow_input(connection, room_wanted(connection->parser, connection->input_bytes))) {
            fc_connection_close(connection);
            return;
        }
        int64_t count = receive(connection, connection->input + connection->input_bytes, connection->input_capacity - connection->input_bytes);
        if (count <= 0) return;
        connection->input_bytes += (uint64_t)count;
        connection->active_ns = fc_clock_mono_ns();
        if (connection->input_bytes < connection->parser->wanted) {
            end_turn(connection, connection->input, connection->input_bytes, 0, NULL);
            return;
        }
        begin_turn(connection);
        uint64_t done = run_input(connection, connection->input, connection->input_bytes, 0, &unfinished);
        end_turn(connection, connection->input, connection->input_bytes, done, unfinished);
        return;
    }
    uint64_t kept = connection->input_bytes;
    FC_ASSERT(kept <= SMALL_BYTES && !connection->has_requests);
    if (kept > 0) memcpy(worker->input, connection->input, kept);
    int64_t count = receive(connection, worker->input + kept, FC_READ_BYTES - kept);
    if (count <= 0) return;
    uint64_t bytes = kept + (uint64_t)count;
    connection->active_ns = fc_clock_mono_ns();
    begin_turn(connection);
    uint64_t done = run_input(connection, worker->input, bytes, 0, &unfinished);
    if (unfinished != NULL && is_worth_asking(unfinished, FC_READ_BYTES - done)) {
        uint64_t end = done + unfinished->wanted;
        if (worker->reply.bytes > 0) fc_connection_flush(connection); /* the client may have gone, but for what it still reads */
        if (connection->is_dead) return;
        while (bytes < end && connection->waits == 0) {
            count = receive(connection, worker->input + bytes, end - bytes);
            if (count < 0) return;
            if (count == 0) break;
            bytes += (uint64_t)count;
        }
        if (bytes == end) done = run_input(connection, worker->input, bytes, done, &unfinished);
    }
    end_turn(connection, worker->input, bytes, done, unfinished);
}

void fc_batch_go_on(fc_connection *connection)
{
    fc_parser *unfinished = NULL;
    if (connection->is_dead || connection->waits != 0) return;
    if (connection->input_bytes == 0) {
        fc_connection_flush(connection);
        fc_connection_arm(connection);
        return;
    }
    begin_turn(connection);
    uint64_t done = run_input(connection, connection->input, connection->input_bytes, 0, &unfinished);
    end_turn(connection, connection->input, connection->input_bytes, done, unfinished);
}
