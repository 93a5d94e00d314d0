/* fuzz_commands.c -- libFuzzer's harness of the command engine: whatever is asked, in whatever order, is answered by one well-formed reply.
 *
 * Input        a client's bytes, cut by the server's own parser; what the parser refuses ends the input. The requests run in one client. The
 *              segment, of 2 MiB and thus soon full, lives as long as the process, and is emptied before each input.
 * Must hold    fc_client_execute gives FC_OK and exactly one RESP value; an emptied segment has no keys. Sanitizers and FC_ASSERT see to
 *              the rest.
 */
#include "commands/command.h"
#include "commands/execute.h"
#include "fincache.h"
#include "server/request_parser.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argument_count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define MUST(condition)                                                                             \
    do {                                                                                            \
        if (!(condition)) {                                                                         \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);          \
            abort();                                                                                \
        }                                                                                           \
    } while (0)

#define SEGMENT_BYTES (UINT64_C(2) << 20)

static fc_cache *cache;
static fc_session *session;
static fc_host *host;

/* Where the value that begins at `at` ends; 0: it is none. */
static uint64_t value_end(const uint8_t *reply, uint64_t bytes, uint64_t at, uint32_t depth)
{
    const uint8_t *line_end = at < bytes ? memchr(reply + at, '\r', bytes - at) : NULL;
    if (line_end == NULL || depth > 64) return 0;
    uint64_t next = (uint64_t)(line_end - reply) + 2;
    if (next > bytes || line_end[1] != '\n') return 0;
    long long count = strtoll((const char *)reply + at + 1, NULL, 10);
    switch (reply[at]) {
    case '+': case '-': case ':': case '_': case '#': case ',': case '(': return next;
    case '$': case '=':
        if (count < 0) return next;
        if ((uint64_t)count + 2 > bytes - next || memcmp(reply + next + count, "\r\n", 2) != 0) return 0;
        return next + (uint64_t)count + 2;
    case '*': case '~': case '>': break;
    case '%': count *= 2; break;
    default: return 0;
    }
    for (long long i = 0; i < count && next != 0; i++) next = value_end(reply, bytes, next, depth + 1);
    return next;
}

static void execute(fc_client *client, const fc_parser *parser)
{
    const void *reply;
    uint64_t reply_bytes;
    const void **arguments = calloc(parser->argument_count, sizeof *arguments);
    uint64_t *lengths = calloc(parser->argument_count, sizeof *lengths);
    MUST(arguments != NULL && lengths != NULL);
    for (uint32_t i = 0; i < parser->argument_count; i++) {
        /* In memory of its own, so that a step outside is seen. */
        void *copy = malloc(parser->arguments[i].bytes);
        MUST(copy != NULL || parser->arguments[i].bytes == 0);
        if (parser->arguments[i].bytes > 0) memcpy(copy, parser->arguments[i].data, parser->arguments[i].bytes);
        arguments[i] = copy;
        lengths[i] = parser->arguments[i].bytes;
    }
    fc_status status = fc_client_execute(client, session, arguments, lengths, parser->argument_count, &reply, &reply_bytes);
    if (status != FC_OK) fprintf(stderr, "status %d: %s\n", (int)status, fc_error_detail(status));
    MUST(status == FC_OK);
    if (reply_bytes > 0) MUST(value_end(reply, reply_bytes, 0, 0) == reply_bytes); /* CLIENT REPLY OFF leaves nothing */
    for (uint32_t i = 0; i < parser->argument_count; i++) free((void *)(uintptr_t)arguments[i]);
    free(arguments);
    free(lengths);
}

static void empty_segment(fc_client *client)
{
    uint64_t key_count;
    fc_arg words[1] = {{.data = (const uint8_t *)"FLUSHALL", .bytes = 8}};
    fc_parser flush = {.arguments = words, .argument_count = 1};
    execute(client, &flush);
    MUST(fc_count(session, 0, &key_count) == FC_OK && key_count == 0);
}

/* Without the hooks of a server these two would stand still, or have us stand still. */
static int is_waiting(const fc_parser *parser)
{
    static const char *const names[][2] = {{"client", "pause"}, {"debug", "sleep"}};
    for (size_t i = 0; parser->argument_count >= 2 && i < sizeof names / sizeof names[0]; i++)
        if (fc_arg_is(&parser->arguments[0], names[i][0]) && fc_arg_is(&parser->arguments[1], names[i][1])) return 1;
    return 0;
}

static char segment_name[32];

static void remove_segment(void)
{
    fc_session_close(session);
    fc_host_close(host);
    fc_cache_close(cache);
    MUST(fc_cache_unlink(segment_name) == FC_OK);
}

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    fc_options options;
    (void)argument_count;
    (void)arguments;
    fc_options_init(&options);
    options.size_bytes = SEGMENT_BYTES;
    options.hash_seed = 1; /* what is found is to be found again */
    snprintf(segment_name, sizeof segment_name, "fuzz-%d", (int)getpid());
    MUST(fc_cache_create(segment_name, &options, &cache) == FC_OK);
    MUST(fc_session_open(cache, &session) == FC_OK);
    MUST(fc_host_create(cache, &host) == FC_OK);
    MUST(atexit(remove_segment) == 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    fc_client *client;
    fc_parser parser;
    fc_parse_limits limits = {.bulk_bytes_max = 1 << 20, .is_authenticated = 1};
    MUST(fc_host_configure(host, "requirepass", "") == FC_OK); /* an input before may have set one */
    MUST(fc_client_open(host, &client) == FC_OK);
    empty_segment(client);
    fc_parser_init(&parser);
    for (size_t at = 0; at < bytes; at += parser.at) {
        fc_parser_next(&parser);
        if (fc_parser_run(&parser, data + at, bytes - at, &limits) != FC_PARSE_COMPLETE) break;
        if (parser.argument_count > 0 && !is_waiting(&parser)) execute(client, &parser);
    }
    fc_parser_free(&parser);
    fc_client_close(client);
    return 0;
}
