/* cmd_server.c -- whole databases, and the time. */
#include "commands/context.h"

#include <inttypes.h>
#include <stdio.h>

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

/* ------------------------------------------------------------------ the server itself */

fc_status fc_cmd_monitor(fc_context *c)
{
    if (c->host->hooks.monitor == NULL || c->client->connection == NULL) {
        fc_reply_error(c->reply, "ERR MONITOR needs a connection to a server");
        return FC_OK;
    }
    fc_client_monitor(c->client, 1);
    fc_reply_ok(c->reply);
    return FC_OK;
}

/* No reply when it works: the connection is closed with the server. Nothing is saved either way; the segment outlives the server. */
fc_status fc_cmd_shutdown(fc_context *c)
{
    static const char *const words[] = {"nosave", "save", "now", "force", "abort"};
    char text[64] = "";
    uint32_t met = 0;
    for (uint32_t i = 1; i < c->argument_count; i++) {
        uint32_t word = 0;
        while (word < 5 && !fc_arg_is(&c->arguments[i], words[word])) word++;
        if (word < 5) met |= 1u << word;
        if (word == 5 || (met & 3) == 3 || ((met & 16) != 0 && met != 16)) {
            fc_reply_error(c->reply, "ERR syntax error");
            return FC_OK;
        }
    }
    for (uint32_t word = 0; word < 5; word++)
        if ((met & 1u << word) != 0) strcat(strcat(text, text[0] != '\0' ? " " : ""), words[word]);
    if ((met & 16) != 0) fc_reply_error(c->reply, "ERR No shutdown in progress.");
    else if (c->host->hooks.shutdown == NULL) fc_reply_error(c->reply, "ERR SHUTDOWN needs a server");
    else c->host->hooks.shutdown(c->host->hooks.server, c->client, text);
    return FC_OK;
}

/* A price, walking: 12 rows, a new one each time. */
fc_status fc_cmd_lolwut(fc_context *c)
{
    enum { ROWS = 12, COLUMNS = 64 };
    char text[(COLUMNS + 1) * ROWS + 128];
    uint64_t seed = fc_clock_unix_ns() | 1;
    memset(text, ' ', sizeof text);
    for (uint32_t column = 0, row = ROWS / 2; column < COLUMNS; column++) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17; /* xorshift64, Marsaglia 2003 */
        if (seed % 3 == 0 && row > 0) row--;
        else if (seed % 3 == 1 && row + 1 < ROWS) row++;
        text[row * (COLUMNS + 1) + column] = seed % 3 == 0 ? '/' : seed % 3 == 1 ? '\\' : '_';
    }
    for (uint32_t row = 0; row < ROWS; row++) text[row * (COLUMNS + 1) + COLUMNS] = '\n';
    uint64_t drawn = (COLUMNS + 1) * ROWS;
    int bytes = snprintf(text + drawn, sizeof text - drawn, "Redis ver. %s, FinCache %s\n", FC_REDIS_VERSION, fc_version());
    fc_reply_verbatim(c->reply, "txt", text, drawn + (uint64_t)bytes);
    return FC_OK;
}
