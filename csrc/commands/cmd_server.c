/* cmd_server.c -- whole databases, and the time. */
#include "commands/context.h"

#include <inttypes.h>

fc_status fc_cmd_dbsize(fc_context *c)
{
    uint64_t key_count;
    FC_TRY(fc_count(c->session, c->client->database, &key_count));
    fc_reply_integer(c->reply, (int64_t)key_count);
    return FC_OK;
}

/* SYNC and ASYNC are the same: a flush is one store, and memory comes back in the background. 0 after the error reply. */
static int parse_flush(fc_context *c)
{
    if (c->argument_count == 1 || (c->argument_count == 2 && (fc_arg_is(&c->arguments[1], "async") || fc_arg_is(&c->arguments[1], "sync")))) return 1;
    fc_reply_error(c->reply, "ERR syntax error");
    return 0;
}

fc_status fc_cmd_flushdb(fc_context *c)
{
    if (!parse_flush(c)) return FC_OK;
    FC_TRY(fc_flush(c->session, c->client->database));
    fc_reply_ok(c->reply);
    return FC_OK;
}

fc_status fc_cmd_flushall(fc_context *c)
{
    if (!parse_flush(c)) return FC_OK;
    FC_TRY(fc_flush_all(c->session));
    fc_reply_ok(c->reply);
    return FC_OK;
}

/* Functions are not there yet; that there are none afterwards holds. */
fc_status fc_cmd_function_flush(fc_context *c)
{
    int fits = c->argument_count == 2 || (c->argument_count == 3 && (fc_arg_is(&c->arguments[2], "async") || fc_arg_is(&c->arguments[2], "sync")));
    if (fits) fc_reply_ok(c->reply);
    else fc_reply_error(c->reply, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
    return FC_OK;
}

fc_status fc_cmd_time(fc_context *c)
{
    uint64_t now_unix_ns = fc_clock_unix_ns();
    fc_reply_array(c->reply, 2);
    fc_reply_format(c->reply, "%" PRIu64, now_unix_ns / 1000000000);
    fc_reply_format(c->reply, "%" PRIu64, now_unix_ns / 1000 % 1000000);
    return FC_OK;
}
