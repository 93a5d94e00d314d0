/* cmd_config.c -- CONFIG over config.def. */
#include "commands/context.h"
#include "commands/glob.h"

#include <stdlib.h>

static int is_asked_for(const fc_context *c, const fc_config_row *row)
{
    int is_hidden = (fc_config_at(row->id)->flags & FC_CONFIG_HIDDEN) != 0;
    for (uint32_t i = 2; i < c->argument_count; i++) {
        const fc_arg *pattern = &c->arguments[i];
        if (is_hidden ? fc_arg_is(pattern, row->name) : fc_glob_matches(pattern->data, pattern->bytes, (const uint8_t *)row->name, strlen(row->name), 1)) return 1;
    }
    return 0;
}

fc_status fc_cmd_config_get(fc_context *c)
{
    uint64_t mark = fc_reply_mark(c->reply), count = 0;
    const fc_config_row *row;
    for (uint32_t i = 0; (row = fc_config_at(i)) != NULL; i++) {
        if (!is_asked_for(c, row)) continue;
        char *text = fc_config_text(&c->host->config, row->id);
        if (text == NULL) return fc_fail(FC_SYSTEM, "no memory");
        fc_reply_text(c->reply, row->name);
        fc_reply_text(c->reply, text);
        free(text);
        count++;
    }
    fc_reply_insert_header(c->reply, mark, '%', count);
    return FC_OK;
}

/* ------------------------------------------------------------------ set */

static int shown(const fc_arg *argument) { return argument->bytes < 128 ? (int)argument->bytes : 128; }

/* 1 unless the row is one of those whose value is chosen at the start, and the value another one. */
static int is_kept(fc_context *c, const fc_config_row *row, const fc_config_value *value)
{
    if ((fc_config_at(row->id)->flags & FC_CONFIG_KEPT) == 0) return 1;
    char *present = fc_config_text(&c->host->config, row->id);
    int is_same = present != NULL && strcmp(present, value->text) == 0;
    free(present);
    return is_same;
}

/* Checks one pair. 0 after the error reply. */
static int check_pair(fc_context *c, uint32_t index, const fc_config_row **rows, fc_config_value *values)
{
    const fc_arg *name = &c->arguments[2 + 2 * index], *text = name + 1;
    const char *why = NULL;
    const fc_config_row *row = rows[index] = fc_config_find(name->data, name->bytes);
    if (row == NULL) {
        fc_reply_error(c->reply, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'", shown(name), (const char *)name->data);
        return 0;
    }
    for (uint32_t i = 0; i < index; i++)
        if (rows[i]->id == row->id) why = "duplicate parameter";
    if ((fc_config_at(row->id)->flags & FC_CONFIG_FIXED) != 0) why = "can't set immutable config";
    if (why == NULL) {
        fc_status status = fc_config_parse(row, text->data, text->bytes, &values[index]);
        why = status != FC_OK ? fc_error_detail(status) : is_kept(c, row, &values[index]) ? NULL : row->id == FC_CONFIG_PORT ? "Unable to listen on this port: it is chosen at the start" : "it is chosen at the start";
        if (why == NULL) return 1;
    }
    fc_reply_error(c->reply, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s", shown(name), (const char *)name->data, why);
    return 0;
}

fc_status fc_cmd_config_set(fc_context *c)
{
    uint32_t count = (c->argument_count - 2) / 2;
    if (c->argument_count % 2 != 0) {
        fc_reply_error(c->reply, "ERR wrong number of arguments for 'config|set' command");
        return FC_OK;
    }
    const fc_config_row **rows = fc_context_scratch(c, count * sizeof *rows);
    fc_config_value *values = fc_context_scratch(c, count * sizeof *values);
    if (rows == NULL || values == NULL) return fc_fail(FC_SYSTEM, "no memory for %u parameters", count);
    memset(values, 0, count * sizeof *values);
    uint32_t checked_count = 0;
    while (checked_count < count && check_pair(c, checked_count, rows, values)) checked_count++;
    if (checked_count == count) {
        for (uint32_t i = 0; i < count; i++) fc_host_put(c->host, rows[i], &values[i], c->client);
        fc_reply_ok(c->reply);
    }
    for (uint32_t i = 0; i < count; i++) free(values[i].text);
    return FC_OK;
}

/* ------------------------------------------------------------------ the rest */

fc_status fc_cmd_config_resetstat(fc_context *c)
{
    fc_host_reset_meters(c->host);
    fc_reply_ok(c->reply);
    return FC_OK;
}

/* The file is the control plane's. */
fc_status fc_cmd_config_rewrite(fc_context *c)
{
    const fc_hooks *hooks = &c->host->hooks;
    if (hooks->ask != NULL && c->request != NULL && (c->client->flags & FC_CLIENT_IN_PROCESS) == 0) hooks->ask(hooks->server, c->client, FC_ASK_CONFIG_REWRITE, "", 0);
    else fc_reply_error(c->reply, "ERR The server is running without a config file");
    return FC_OK;
}
