/* cmd_connection.c -- who speaks, how, and to which database: PING, AUTH, HELLO, SELECT, QUIT, RESET. */
#include "commands/access.h"
#include "commands/number.h"

#include <stdlib.h>

fc_status fc_cmd_ping(fc_context *c)
{
    if (c->argument_count > 2) fc_reply_error(c->reply, "ERR wrong number of arguments for 'ping' command");
    else if (c->argument_count == 2) fc_reply_bulk(c->reply, c->arguments[1].data, c->arguments[1].bytes);
    else fc_reply_literal(c->reply, "+PONG\r\n");
    return FC_OK;
}

fc_status fc_cmd_echo(fc_context *c)
{
    fc_reply_bulk(c->reply, c->arguments[1].data, c->arguments[1].bytes);
    return FC_OK;
}

fc_status fc_cmd_select(fc_context *c)
{
    int64_t index;
    if (!fc_arg_integer(c, 1, &index)) return FC_OK;
    if (index < 0 || index >= fc_config_number(&c->host->config, FC_CONFIG_DATABASES)) {
        fc_reply_error(c->reply, "ERR DB index is out of range");
        return FC_OK;
    }
    c->client->database = (uint32_t)index;
    fc_reply_ok(c->reply);
    return FC_OK;
}

fc_status fc_cmd_quit(fc_context *c)
{
    c->client->flags |= FC_CLIENT_CLOSE;
    fc_reply_ok(c->reply);
    return FC_OK;
}

fc_status fc_cmd_reset(fc_context *c)
{
    fc_client_reset(c->client);
    c->reply->protocol = 2;
    fc_reply_literal(c->reply, "+RESET\r\n");
    return FC_OK;
}

/* ------------------------------------------------------------------ the password */

/* Compares in a time that depends on the length of what was given, not on how much of it is right. */
static int same_password(const char *wanted, const fc_arg *given)
{
    uint64_t wanted_bytes = strlen(wanted);
    uint8_t difference = (uint8_t)(wanted_bytes != given->bytes);
    for (uint64_t i = 0; i < given->bytes; i++) difference |= (uint8_t)(given->data[i] ^ (uint8_t)wanted[wanted_bytes == 0 ? 0 : i % wanted_bytes]);
    return difference == 0;
}

static int is_default_user(const fc_arg *user) { return user->bytes == 7 && memcmp(user->data, "default", 7) == 0; }

/* 1 if the client may come in; otherwise the error is written. `user` NULL: AUTH with a password alone. */
static int authenticate(fc_context *c, const fc_arg *user, const fc_arg *password)
{
    char *wanted = fc_config_text(&c->host->config, FC_CONFIG_REQUIREPASS);
    if (wanted == NULL) {
        fc_reply_error(c->reply, "ERR no memory");
        return 0;
    }
    int has_password = wanted[0] != '\0';
    /* Without a password the default user may come in with any. */
    int fits = (user == NULL || is_default_user(user)) && (!has_password || same_password(wanted, password));
    free(wanted);
    if (user == NULL && !has_password) {
        fc_reply_error(c->reply, "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?");
        return 0;
    }
    if (fits) c->client->flags |= FC_CLIENT_AUTHENTICATED;
    else fc_reply_error(c->reply, "WRONGPASS invalid username-password pair or user is disabled.");
    return fits;
}

fc_status fc_cmd_auth(fc_context *c)
{
    if (c->argument_count > 3) {
        fc_reply_error(c->reply, "ERR syntax error");
        return FC_OK;
    }
    const fc_arg *user = c->argument_count == 3 ? &c->arguments[1] : NULL;
    if (authenticate(c, user, &c->arguments[c->argument_count - 1])) fc_reply_ok(c->reply);
    return FC_OK;
}

/* ------------------------------------------------------------------ hello */

static void describe(fc_context *c)
{
    fc_reply *reply = c->reply;
    fc_reply_map(reply, 7);
    fc_reply_text(reply, "server");
    fc_reply_text(reply, "redis");
    fc_reply_text(reply, "version");
    fc_reply_text(reply, FC_REDIS_VERSION);
    fc_reply_text(reply, "proto");
    fc_reply_integer(reply, c->client->protocol);
    fc_reply_text(reply, "id");
    fc_reply_integer(reply, (int64_t)c->client->id);
    fc_reply_text(reply, "mode");
    fc_reply_text(reply, "standalone");
    fc_reply_text(reply, "role");
    fc_reply_text(reply, "master");
    fc_reply_text(reply, "modules");
    fc_reply_array(reply, 0);
}

fc_status fc_cmd_hello(fc_context *c)
{
    int64_t version = c->client->protocol;
    const fc_arg *name = NULL;
    if (c->argument_count > 1 && !fc_number_parse(c->arguments[1].data, c->arguments[1].bytes, &version)) {
        fc_reply_error(c->reply, "ERR Protocol version is not an integer or out of range");
        return FC_OK;
    }
    if (version < 2 || version > 3) {
        fc_reply_error(c->reply, "NOPROTO unsupported protocol version");
        return FC_OK;
    }
    for (uint32_t i = 2; i < c->argument_count; i++) {
        const fc_arg *word = &c->arguments[i];
        uint32_t left = c->argument_count - 1 - i;
        if (fc_arg_is(word, "auth") && left >= 2) {
            if (!authenticate(c, &c->arguments[i + 1], &c->arguments[i + 2])) return FC_OK;
            i += 2;
        } else if (fc_arg_is(word, "setname") && left >= 1) {
            name = &c->arguments[++i];
            if (!fc_client_name_allowed(c, name, "Client names")) return FC_OK;
        } else {
            fc_reply_error(c->reply, "ERR Syntax error in HELLO option '%.*s'", word->bytes < 128 ? (int)word->bytes : 128, (const char *)word->data);
            return FC_OK;
        }
    }
    if ((c->client->flags & FC_CLIENT_AUTHENTICATED) == 0) {
        fc_reply_error(c->reply, "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time");
        return FC_OK;
    }
    if (name != NULL) fc_client_set_text(c->client, &c->client->name, name);
    c->client->protocol = (uint32_t)version;
    c->reply->protocol = (uint8_t)version;
    describe(c);
    return FC_OK;
}
