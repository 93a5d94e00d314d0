/* cmd_debug.c -- DEBUG: what test suites and people at a bench ask for. Nothing in it reaches outside the segment, or ends the process. */
#include "commands/access.h"
#include "commands/glob.h"
#include "commands/number.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* An hour: who wants to stop a thread for longer means something else. */
#define SLEEP_SECONDS_MAX 3600.0

static fc_status sleep_here(fc_context *c)
{
    char text[64] = {0}, *end;
    const fc_arg *argument = &c->arguments[2];
    if (argument->bytes < sizeof text) memcpy(text, argument->data, argument->bytes);
    double seconds = strtod(text, &end);
    if (text[0] == '\0' || *end != '\0' || !(seconds >= 0 && seconds <= SLEEP_SECONDS_MAX)) {
        fc_reply_error(c->reply, "ERR value is not a valid float");
        return FC_OK;
    }
    struct timespec left = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - floor(seconds)) * 1e9)};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) continue;
    fc_reply_ok(c->reply);
    return FC_OK;
}

static fc_status set_active_expire(fc_context *c)
{
    fc_config_value value;
    const fc_config_row *row = fc_config_at(FC_CONFIG_ACTIVE_EXPIRE);
    const char *word = c->arguments[2].bytes == 1 && c->arguments[2].data[0] == '0' ? "no" : "yes";
    FC_TRY(fc_config_parse(row, word, strlen(word), &value));
    fc_host_put(c->host, row, &value, c->client);
    fc_reply_ok(c->reply);
    return FC_OK;
}

static fc_status tell_object(fc_context *c)
{
    fc_entry entry;
    fc_key key;
    FC_TRY(fc_context_key(c, 2, &key));
    fc_status status = fc_get_entry(c->session, &key, NULL, 0, &entry);
    if (status == FC_MISS) fc_reply_error(c->reply, "ERR no such key");
    if (status != FC_OK) return status == FC_MISS ? FC_OK : status;
    char text[256];
    snprintf(text, sizeof text, "Value at:0x%" PRIx64 " refcount:1 encoding:%s serializedlength:%" PRIu64 " lru:0 lru_seconds_idle:%" PRIu64, entry.version,
             entry.value_bytes <= 44 ? "embstr" : "raw", entry.value_bytes, entry.age_ns / 1000000000);
    fc_reply_simple(c->reply, text);
    return FC_OK;
}

/* One reply of each type, for clients' tests. 0: no such type. */
static int reply_example(fc_reply *reply, const fc_arg *type)
{
    if (fc_arg_is(type, "string")) fc_reply_text(reply, "Hello World");
    else if (fc_arg_is(type, "integer")) fc_reply_integer(reply, 12345);
    else if (fc_arg_is(type, "double")) fc_reply_double(reply, 3.141);
    else if (fc_arg_is(type, "null")) fc_reply_null(reply);
    else if (fc_arg_is(type, "bignum")) fc_reply_big_number(reply, "1234567999999999999999999999999999999");
    else if (fc_arg_is(type, "true")) fc_reply_boolean(reply, 1);
    else if (fc_arg_is(type, "false")) fc_reply_boolean(reply, 0);
    else if (fc_arg_is(type, "verbatim")) fc_reply_verbatim(reply, "txt", "This is a verbatim\nstring", 25);
    else if (fc_arg_is(type, "array") || fc_arg_is(type, "set") || fc_arg_is(type, "push")) {
        if (fc_arg_is(type, "array")) fc_reply_array(reply, 3);
        else if (fc_arg_is(type, "set")) fc_reply_set(reply, 3);
        else fc_reply_push(reply, 3);
        for (int64_t i = 0; i < 3; i++) fc_reply_integer(reply, i);
    } else if (fc_arg_is(type, "map")) {
        fc_reply_map(reply, 3);
        for (int64_t i = 0; i < 3; i++) {
            fc_reply_integer(reply, i);
            fc_reply_boolean(reply, i == 1);
        }
    } else {
        return 0;
    }
    return 1;
}

static int is_allowed(fc_context *c)
{
    char *who = fc_config_text(&c->host->config, FC_CONFIG_ENABLE_DEBUG_COMMAND);
    int answer = who != NULL && strcmp(who, "yes") == 0;
    if (who != NULL && strcmp(who, "local") == 0) {
        fc_client_state state = {.is_unix = 1};
        if (c->client->connection != NULL && c->host->hooks.tell_client != NULL) c->host->hooks.tell_client(c->host->hooks.server, c->client, &state);
        answer = state.is_unix || strncmp(state.peer, "127.", 4) == 0 || strncmp(state.peer, "[::1]", 5) == 0;
    }
    free(who);
    return answer;
}

static const char *const help[] = {
    "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "ERROR <message>",
    "    Answers an error with this text.",
    "OBJECT <key>",
    "    Tells what is known of a value.",
    "PROTOCOL <type>",
    "    Answers an example of a type of reply: string, integer, double, null, bignum, array, set, map, push, verbatim, true or false.",
    "SET-ACTIVE-EXPIRE <0|1>",
    "    Whether the daemon looks for expired keys; they are not seen in either case.",
    "SLEEP <seconds>",
    "    Stops the thread that serves this connection, with all of its connections.",
    "STRINGMATCH-LEN <length> <pattern>",
    "    Matches a text of so many letters a with a pattern.",
    "HELP",
    "    Prints this help.",
};

/* Matching must end in bearable time, whatever the pattern. */
static fc_status match_long(fc_context *c)
{
    int64_t length;
    if (!fc_arg_integer_in(c, 2, 0, 1 << 28, &length)) return FC_OK;
    uint8_t *text = fc_context_scratch(c, (uint64_t)length + 1);
    if (text == NULL) return fc_fail(FC_SYSTEM, "no memory for %lld bytes", (long long)length);
    memset(text, 'a', (uint64_t)length);
    fc_reply_integer(c->reply, fc_glob_matches(c->arguments[3].data, c->arguments[3].bytes, text, (uint64_t)length, 0));
    return FC_OK;
}

fc_status fc_cmd_debug(fc_context *c)
{
    const fc_arg *what = &c->arguments[1];
    if (!is_allowed(c)) {
        fc_reply_error(c->reply, "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.");
        return FC_OK;
    }
    if (c->argument_count == 3 && fc_arg_is(what, "sleep")) return sleep_here(c);
    if (c->argument_count == 3 && fc_arg_is(what, "set-active-expire")) return set_active_expire(c);
    if (c->argument_count == 3 && fc_arg_is(what, "object")) return tell_object(c);
    if (c->argument_count == 4 && fc_arg_is(what, "stringmatch-len")) return match_long(c);
    if (c->argument_count == 3 && fc_arg_is(what, "error")) {
        fc_reply_error(c->reply, "%.*s", c->arguments[2].bytes < 1024 ? (int)c->arguments[2].bytes : 1024, (const char *)c->arguments[2].data);
        return FC_OK;
    }
    if (c->argument_count == 3 && fc_arg_is(what, "protocol")) {
        if (!reply_example(c->reply, &c->arguments[2])) fc_reply_error(c->reply, "ERR Wrong protocol type name. Please use one of the following: string|integer|double|null|array|set|map|push|verbatim|true|false");
        return FC_OK;
    }
    if (c->argument_count == 2 && fc_arg_is(what, "help")) {
        fc_reply_array(c->reply, sizeof help / sizeof help[0]);
        for (size_t i = 0; i < sizeof help / sizeof help[0]; i++) fc_reply_simple(c->reply, help[i]);
        return FC_OK;
    }
    fc_reply_error(c->reply, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try DEBUG HELP.", what->bytes < 128 ? (int)what->bytes : 128, (const char *)what->data);
    return FC_OK;
}
