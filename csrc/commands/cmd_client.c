/* cmd_client.c -- CLIENT about oneself: number, name, library. Other clients: the server knows them (hooks). */
#include "commands/context.h"

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

void fc_client_set_text(char **text, const fc_arg *argument)
{
    char *copy = argument->bytes > 0 ? malloc(argument->bytes + 1) : NULL;
    if (copy != NULL) {
        memcpy(copy, argument->data, argument->bytes);
        copy[argument->bytes] = '\0';
    }
    free(*text);
    *text = copy;
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
    fc_client_set_text(&c->client->name, &c->arguments[2]);
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
    fc_client_set_text(text, &c->arguments[3]);
    fc_reply_ok(c->reply);
    return FC_OK;
}
