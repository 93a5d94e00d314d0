/* cmd_command.c -- COMMAND: commands.def told to clients. */
#include "commands/context.h"
#include "commands/glob.h"

#include <stdio.h>

/* Commands that the host has not taken out, containers included, subcommands not. */
static uint32_t count_commands(const fc_context *c)
{
    uint32_t count = 0;
    for (uint32_t id = 0; id < FC_COMMAND_COUNT; id++) count += fc_command_rows[id].parent < 0 && c->host->names.names[id] != NULL;
    return count;
}

static void reply_flags(fc_reply *reply, const fc_command *command)
{
    uint64_t mark = fc_reply_mark(reply), count = 0;
    for (uint32_t bit = 0; fc_command_flag_name(bit) != NULL; bit++) {
        if ((command->flags >> bit & 1) == 0) continue;
        fc_reply_simple(reply, fc_command_flag_name(bit));
        count++;
    }
    fc_reply_insert_header(reply, mark, '~', count);
}

static void reply_categories(fc_reply *reply, const fc_command *command)
{
    uint64_t mark = fc_reply_mark(reply), count = 0;
    for (; fc_command_category(command, (uint32_t)count) != NULL; count++) fc_reply_simple(reply, fc_command_category(command, (uint32_t)count));
    fc_reply_insert_header(reply, mark, '~', count);
}

static void reply_key_flags(fc_reply *reply, const fc_command *command)
{
    int writes = (command->flags & FC_COMMAND_WRITE) != 0;
    fc_reply_set(reply, 2);
    fc_reply_simple(reply, writes ? "RW" : "RO");
    fc_reply_simple(reply, writes ? "update" : "access");
}

/* One specification, of the places that the row tells. */
static void reply_key_specifications(fc_reply *reply, const fc_command *command)
{
    fc_reply_array(reply, command->first_key != 0);
    if (command->first_key == 0) return;
    fc_reply_map(reply, 3);
    fc_reply_text(reply, "flags");
    reply_key_flags(reply, command);
    fc_reply_text(reply, "begin_search");
    fc_reply_map(reply, 2);
    fc_reply_text(reply, "type");
    fc_reply_text(reply, "index");
    fc_reply_text(reply, "spec");
    fc_reply_map(reply, 1);
    fc_reply_text(reply, "index");
    fc_reply_integer(reply, command->first_key);
    fc_reply_text(reply, "find_keys");
    fc_reply_map(reply, 2);
    fc_reply_text(reply, "type");
    fc_reply_text(reply, "range");
    fc_reply_text(reply, "spec");
    fc_reply_map(reply, 3);
    fc_reply_text(reply, "lastkey");
    fc_reply_integer(reply, command->last_key < 0 ? command->last_key : command->last_key - command->first_key);
    fc_reply_text(reply, "keystep");
    fc_reply_integer(reply, command->key_step);
    fc_reply_text(reply, "limit");
    fc_reply_integer(reply, 0);
}

static void reply_info(fc_context *c, const fc_command *command);

static void reply_subcommands(fc_context *c, const fc_command *command)
{
    uint64_t mark = fc_reply_mark(c->reply), count = 0;
    for (uint32_t id = command->id + 1; id < FC_COMMAND_COUNT && fc_command_rows[id].parent == (int32_t)command->id; id++, count++) reply_info(c, &fc_command_rows[id]);
    fc_reply_insert_header(c->reply, mark, '*', count);
}

static void reply_info(fc_context *c, const fc_command *command)
{
    fc_reply *reply = c->reply;
    fc_reply_array(reply, 10);
    fc_reply_text(reply, command->parent < 0 ? c->host->names.names[command->id] : command->full_name);
    fc_reply_integer(reply, command->arity);
    reply_flags(reply, command);
    fc_reply_integer(reply, command->first_key);
    fc_reply_integer(reply, command->last_key);
    fc_reply_integer(reply, command->key_step);
    reply_categories(reply, command);
    fc_reply_array(reply, 0); /* tips */
    reply_key_specifications(reply, command);
    reply_subcommands(c, command);
}

fc_status fc_cmd_command(fc_context *c)
{
    fc_reply_array(c->reply, count_commands(c));
    for (uint32_t id = 0; id < FC_COMMAND_COUNT; id++)
        if (fc_command_rows[id].parent < 0 && c->host->names.names[id] != NULL) reply_info(c, &fc_command_rows[id]);
    return FC_OK;
}

fc_status fc_cmd_command_count(fc_context *c)
{
    fc_reply_integer(c->reply, count_commands(c));
    return FC_OK;
}

fc_status fc_cmd_command_info(fc_context *c)
{
    if (c->argument_count == 2) return fc_cmd_command(c);
    fc_reply_array(c->reply, c->argument_count - 2);
    for (uint32_t i = 2; i < c->argument_count; i++) {
        const fc_command *command = fc_command_find_full(&c->host->names, c->arguments[i].data, c->arguments[i].bytes);
        if (command != NULL) reply_info(c, command);
        else fc_reply_null_array(c->reply);
    }
    return FC_OK;
}

/* ------------------------------------------------------------------ docs */

static void reply_docs(fc_context *c, const fc_command *command, int with_subcommands)
{
    fc_reply *reply = c->reply;
    int has_subcommands = with_subcommands && fc_command_is_container(command);
    fc_reply_map(reply, (uint64_t)(4 + has_subcommands));
    fc_reply_text(reply, "summary");
    fc_reply_text(reply, command->summary);
    fc_reply_text(reply, "since");
    fc_reply_text(reply, command->since);
    fc_reply_text(reply, "group");
    fc_reply_text(reply, command->group);
    fc_reply_text(reply, "complexity");
    fc_reply_text(reply, command->complexity);
    if (!has_subcommands) return;
    fc_reply_text(reply, "subcommands");
    uint64_t mark = fc_reply_mark(reply), count = 0;
    for (uint32_t id = command->id + 1; id < FC_COMMAND_COUNT && fc_command_rows[id].parent == (int32_t)command->id; id++, count++) {
        fc_reply_text(reply, fc_command_rows[id].full_name);
        reply_docs(c, &fc_command_rows[id], 0);
    }
    fc_reply_insert_header(reply, mark, '%', count);
}

fc_status fc_cmd_command_docs(fc_context *c)
{
    uint64_t mark = fc_reply_mark(c->reply), count = 0;
    for (uint32_t id = 0; c->argument_count == 2 && id < FC_COMMAND_COUNT; id++) {
        if (fc_command_rows[id].parent >= 0 || c->host->names.names[id] == NULL) continue;
        fc_reply_text(c->reply, c->host->names.names[id]);
        reply_docs(c, &fc_command_rows[id], 1);
        count++;
    }
    for (uint32_t i = 2; i < c->argument_count; i++) {
        const fc_command *command = fc_command_find_full(&c->host->names, c->arguments[i].data, c->arguments[i].bytes);
        if (command == NULL) continue;
        fc_reply_text(c->reply, command->full_name);
        reply_docs(c, command, 1);
        count++;
    }
    fc_reply_insert_header(c->reply, mark, '%', count);
    return FC_OK;
}

/* ------------------------------------------------------------------ list */

static int has_category(const fc_command *command, const fc_arg *category)
{
    const char *name;
    for (uint32_t i = 0; (name = fc_command_category(command, i)) != NULL; i++)
        if (fc_arg_is(category, name + 1)) return 1;
    return 0;
}

fc_status fc_cmd_command_list(fc_context *c)
{
    const fc_arg *filter = c->argument_count == 5 && fc_arg_is(&c->arguments[2], "filterby") ? &c->arguments[3] : NULL;
    int by_module = filter != NULL && fc_arg_is(filter, "module"), by_category = filter != NULL && fc_arg_is(filter, "aclcat");
    int by_pattern = filter != NULL && fc_arg_is(filter, "pattern");
    if (c->argument_count != 2 && !by_module && !by_category && !by_pattern) {
        fc_reply_error(c->reply, "ERR syntax error");
        return FC_OK;
    }
    uint64_t mark = fc_reply_mark(c->reply), count = 0;
    for (uint32_t id = 0; id < FC_COMMAND_COUNT && !by_module; id++) {
        const fc_command *command = &fc_command_rows[id];
        int is_out = c->host->names.names[command->parent >= 0 ? (uint32_t)command->parent : id] == NULL;
        if (is_out) continue;
        const char *name = command->parent >= 0 ? command->full_name : c->host->names.names[id];
        if (by_category && !has_category(command, &c->arguments[4])) continue;
        if (by_pattern && !fc_glob_matches(c->arguments[4].data, c->arguments[4].bytes, (const uint8_t *)name, strlen(name), 1)) continue;
        fc_reply_text(c->reply, name);
        count++;
    }
    fc_reply_insert_header(c->reply, mark, '~', count);
    return FC_OK;
}

/* ------------------------------------------------------------------ getkeys */

typedef struct key_lister {
    fc_key_sink sink;          /* first: what key functions get is the lister */
    fc_context *c;
    const fc_command *command;
    uint64_t count;
    uint32_t index;            /* of the key told last: one that is looked up in two databases is told once */
    int with_flags;
} key_lister;

static fc_status list_key(fc_key_sink *sink, uint32_t index, uint32_t database)
{
    key_lister *this = (key_lister *)sink;
    const fc_arg *key = &this->c->arguments[index + 2];
    (void)database;
    if (this->count > 0 && this->index == index) return FC_OK;
    this->index = index;
    if (this->with_flags) fc_reply_array(this->c->reply, 2);
    fc_reply_bulk(this->c->reply, key->data, key->bytes);
    if (this->with_flags) reply_key_flags(this->c->reply, this->command);
    this->count++;
    return FC_OK;
}

static fc_status list_keys(fc_context *c, int with_flags)
{
    const fc_arg *call = c->arguments + 2;
    uint32_t call_count = c->argument_count - 2;
    const fc_command *command = fc_command_find(&c->host->names, call[0].data, call[0].bytes);
    if (command != NULL && fc_command_is_container(command) && call_count > 1) command = fc_command_find_sub(command, call[1].data, call[1].bytes);
    if (command == NULL) {
        fc_reply_error(c->reply, "ERR Invalid command specified");
        return FC_OK;
    }
    if (command->first_key == 0 && (command->flags & FC_COMMAND_MOVABLEKEYS) == 0) {
        fc_reply_error(c->reply, "ERR The command has no key arguments");
        return FC_OK;
    }
    if (!fc_command_arity_fits(command, call_count)) {
        fc_reply_error(c->reply, "ERR Invalid number of arguments specified for command");
        return FC_OK;
    }
    uint64_t mark = fc_reply_mark(c->reply);
    key_lister lister = {.sink = {.take = list_key}, .c = c, .command = command, .with_flags = with_flags};
    FC_TRY(fc_command_visit_keys(command, call, call_count, c->client->database, &lister.sink));
    if (lister.count > 0) fc_reply_insert_header(c->reply, mark, '*', lister.count);
    else fc_reply_error(c->reply, "ERR Invalid arguments specified for command");
    return FC_OK;
}

fc_status fc_cmd_command_getkeys(fc_context *c) { return list_keys(c, 0); }
fc_status fc_cmd_command_getkeysandflags(fc_context *c) { return list_keys(c, 1); }

/* ------------------------------------------------------------------ for programs */

fc_status fc_command_at(uint32_t index, fc_command_info *info)
{
    if (index >= FC_COMMAND_COUNT) return FC_MISS;
    const fc_command *command = &fc_command_rows[index];
    *info = (fc_command_info){
        .name = command->name,
        .group = command->group,
        .since = command->since,
        .complexity = command->complexity,
        .summary = command->summary,
        .syntax = command->syntax,
        .flags = command->flags,
        .parent = command->parent,
        .arity = command->arity,
        .first_key = command->first_key,
        .last_key = command->last_key,
        .key_step = command->key_step,
    };
    return FC_OK;
}

const char *fc_command_flag_at(uint32_t bit) { return fc_command_flag_name(bit); }

/* ------------------------------------------------------------------ help */

/* CLIENT HELP and its like: the container's rows of the table, two lines each. */
fc_status fc_cmd_help(fc_context *c)
{
    const fc_command *container = &fc_command_rows[c->command->parent];
    uint64_t mark = fc_reply_mark(c->reply), count = 1;
    char line[512];
    for (uint32_t id = container->id; id < FC_COMMAND_COUNT && (id == container->id || fc_command_rows[id].parent == (int32_t)container->id); id++) {
        const fc_command *row = &fc_command_rows[id];
        int upper_count = (int)strlen(row->name);
        if (id == container->id) snprintf(line, sizeof line, "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", row->name);
        else snprintf(line, sizeof line, "%s%s%s", row->name, row->syntax[0] != '\0' ? " " : "", row->syntax);
        for (int i = 0; i < upper_count; i++)
            if (line[i] >= 'a' && line[i] <= 'z') line[i] = (char)(line[i] - 32);
        fc_reply_simple(c->reply, line);
        if (id == container->id) continue;
        snprintf(line, sizeof line, "    %s", row->summary);
        fc_reply_simple(c->reply, line);
        count += 2;
    }
    fc_reply_insert_header(c->reply, mark, '*', count);
    return FC_OK;
}
