/* cmd_client.c -- CLIENT about oneself: number, name, library. Other clients: the server knows them (hooks). */
#include "commands/number.h"
#include "commands/watch.h"

#include <stdlib.h>

int fc_client_name_allowed(fc_context *c, const fc_arg *name, const char *what)
{
    for (uint64_t i = 0; i < name->bytes; i++) {
        if (name->data[i] >= '!' && name->data[i] <= '~') continue;
        fc_reply_error(c->reply, "ERR %s cannot contain spaces, newlines or special characters.", what);
        return 0;
    }
    return 1;
}

void fc_client_set_text(fc_client *client, char **text, const fc_arg *argument)
{
    char *copy = argument != NULL && argument->bytes > 0 ? malloc(argument->bytes + 1) : NULL;
    if (copy != NULL) {
        memcpy(copy, argument->data, argument->bytes);
        copy[argument->bytes] = '\0';
    }
    pthread_mutex_lock(&client->host->texts_lock);
    char *old = *text;
    *text = copy;
    pthread_mutex_unlock(&client->host->texts_lock);
    free(old);
}

fc_status fc_cmd_client_id(fc_context *c)
{
    fc_reply_integer(c->reply, (int64_t)c->client->id);
    return FC_OK;
}

fc_status fc_cmd_client_getname(fc_context *c)
{
    if (c->client->name != NULL) fc_reply_text(c->reply, c->client->name);
    else fc_reply_null(c->reply);
    return FC_OK;
}

fc_status fc_cmd_client_setname(fc_context *c)
{
    if (!fc_client_name_allowed(c, &c->arguments[2], "Client names")) return FC_OK;
    fc_client_set_text(c->client, &c->client->name, &c->arguments[2]);
    fc_reply_ok(c->reply);
    return FC_OK;
}

fc_status fc_cmd_client_setinfo(fc_context *c)
{
    const fc_arg *attribute = &c->arguments[2];
    char **text = fc_arg_is(attribute, "lib-name") ? &c->client->library_name : fc_arg_is(attribute, "lib-ver") ? &c->client->library_version : NULL;
    if (text == NULL) {
        fc_reply_error(c->reply, "ERR Unrecognized option '%.*s'", attribute->bytes < 128 ? (int)attribute->bytes : 128, (const char *)attribute->data);
        return FC_OK;
    }
    if (!fc_client_name_allowed(c, &c->arguments[3], text == &c->client->library_name ? "lib-name" : "lib-ver")) return FC_OK;
    fc_client_set_text(c->client, text, &c->arguments[3]);
    fc_reply_ok(c->reply);
    return FC_OK;
}

/* ------------------------------------------------------------------ how it is treated */

/* The reply to ON is the first that is heard again; OFF and SKIP have none. */
fc_status fc_cmd_client_reply(fc_context *c)
{
    const fc_arg *mode = &c->arguments[2];
    uint64_t *flags = &c->client->flags;
    if (fc_arg_is(mode, "on")) {
        *flags &= ~(uint64_t)(FC_CLIENT_REPLY_OFF | FC_CLIENT_REPLY_SKIP | FC_CLIENT_REPLY_SKIP_NEXT);
        fc_reply_ok(c->reply);
    } else if (fc_arg_is(mode, "off")) {
        *flags |= FC_CLIENT_REPLY_OFF;
    } else if (fc_arg_is(mode, "skip")) {
        if ((*flags & FC_CLIENT_REPLY_OFF) == 0) *flags |= FC_CLIENT_REPLY_SKIP_NEXT;
    } else {
        fc_reply_error(c->reply, "ERR syntax error");
    }
    return FC_OK;
}

static fc_status set_flag(fc_context *c, uint64_t flag)
{
    const fc_arg *mode = &c->arguments[2];
    if (fc_arg_is(mode, "on")) c->client->flags |= flag;
    else if (fc_arg_is(mode, "off")) c->client->flags &= ~flag;
    else {
        fc_reply_error(c->reply, "ERR syntax error");
        return FC_OK;
    }
    fc_reply_ok(c->reply);
    return FC_OK;
}

/* Connections are not evicted here, whatever this says. */
fc_status fc_cmd_client_no_evict(fc_context *c) { return set_flag(c, FC_CLIENT_NO_EVICT); }
fc_status fc_cmd_client_no_touch(fc_context *c) { return set_flag(c, FC_CLIENT_NO_TOUCH); }

fc_status fc_cmd_client_pause(fc_context *c)
{
    int64_t milliseconds;
    int holds_all = c->argument_count == 3 || fc_arg_is(&c->arguments[3], "all");
    if (c->argument_count > 4 || (!holds_all && !fc_arg_is(&c->arguments[3], "write"))) {
        fc_reply_error(c->reply, c->argument_count > 4 ? "ERR syntax error" : "ERR CLIENT PAUSE mode must be WRITE or ALL");
        return FC_OK;
    }
    if (!fc_number_parse(c->arguments[2].data, c->arguments[2].bytes, &milliseconds) || milliseconds > INT64_MAX / 4000000) {
        fc_reply_error(c->reply, "ERR timeout is not an integer or out of range");
        return FC_OK;
    }
    if (milliseconds < 0) {
        fc_reply_error(c->reply, "ERR timeout is negative");
        return FC_OK;
    }
    fc_watch_pause(c->host, fc_clock_mono_ns() + (uint64_t)milliseconds * 1000000, holds_all);
    fc_reply_ok(c->reply);
    return FC_OK;
}

fc_status fc_cmd_client_unpause(fc_context *c)
{
    fc_watch_end_pause(c->host);
    fc_reply_ok(c->reply);
    return FC_OK;
}

/* No command waits for another client's data yet: nobody is to be woken. */
fc_status fc_cmd_client_unblock(fc_context *c)
{
    int64_t id;
    if (!fc_arg_integer(c, 2, &id)) return FC_OK;
    if (c->argument_count > 4 || (c->argument_count == 4 && !fc_arg_is(&c->arguments[3], "timeout") && !fc_arg_is(&c->arguments[3], "error"))) {
        fc_reply_error(c->reply, c->argument_count > 4 ? "ERR syntax error" : "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
        return FC_OK;
    }
    fc_reply_integer(c->reply, 0);
    return FC_OK;
}

/* Invalidation messages are not sent yet. */
fc_status fc_cmd_client_getredir(fc_context *c)
{
    fc_reply_integer(c->reply, -1);
    return FC_OK;
}
