/* command_table.c -- commands.def as an array, the dictionary over it, and what follows from a row: flags' names, categories, keys. */
#include "commands/command.h"

#include <string.h>
#include <strings.h>

/* The table's own words for the flags of command.h. */
enum {
    WRITE = FC_COMMAND_WRITE,
    READONLY = FC_COMMAND_READONLY,
    DENYOOM = FC_COMMAND_DENYOOM,
    ADMIN = FC_COMMAND_ADMIN,
    NOSCRIPT = FC_COMMAND_NOSCRIPT,
    LOADING = FC_COMMAND_LOADING,
    STALE = FC_COMMAND_STALE,
    FAST = FC_COMMAND_FAST,
    NO_AUTH = FC_COMMAND_NO_AUTH,
    ALLOW_BUSY = FC_COMMAND_ALLOW_BUSY,
    NO_MULTI = FC_COMMAND_NO_MULTI,
    SKIP_MONITOR = FC_COMMAND_SKIP_MONITOR,
    SKIP_SLOWLOG = FC_COMMAND_SKIP_SLOWLOG,
    MOVABLEKEYS = FC_COMMAND_MOVABLEKEYS,
    BLOCKING = FC_COMMAND_BLOCKING,
    PUBSUB = FC_COMMAND_PUBSUB,
    ATOMIC = FC_COMMAND_ATOMIC,
    WHOLE = FC_COMMAND_WHOLE,
    IN_MULTI = FC_COMMAND_IN_MULTI,
    DANGEROUS = FC_COMMAND_DANGEROUS,
    NOT_KEYSPACE = FC_COMMAND_NOT_KEYSPACE,
};

/* Key functions by row; few have one. */
static const fc_command_keys key_functions[FC_COMMAND_COUNT + 1] = {
#define FC_COMMAND(ID, ...)
#define FC_SUBCOMMAND(PARENT, parent_name, ID, ...)
#define FC_COMMAND_KEYS(ID, function) [FC_CMD_##ID] = function,
#include "commands/commands.def"
#undef FC_COMMAND
#undef FC_SUBCOMMAND
#undef FC_COMMAND_KEYS
    [FC_COMMAND_COUNT] = NULL,
};

const fc_command fc_command_rows[FC_COMMAND_COUNT] = {
#define FC_ROW(ID, parent_id, row_name, whole_name, row_handler, row_arity, row_flags, first, last, step, row_group, row_since, row_complexity, \
               row_syntax, row_summary)                                                                                                         \
    [FC_CMD_##ID] = {.name = row_name, .full_name = whole_name, .handler = row_handler, .group = row_group, .since = row_since,               \
                     .complexity = row_complexity, .syntax = row_syntax, .summary = row_summary, .flags = (row_flags), .parent = (parent_id),  \
                     .arity = row_arity, .first_key = first, .last_key = last, .key_step = step, .id = FC_CMD_##ID},
#define FC_COMMAND(ID, name, ...) FC_ROW(ID, -1, name, name, __VA_ARGS__)
#define FC_SUBCOMMAND(PARENT, parent_name, ID, name, ...) FC_ROW(ID, FC_CMD_##PARENT, name, parent_name "|" name, __VA_ARGS__)
#define FC_COMMAND_KEYS(ID, function)
#include "commands/commands.def"
#undef FC_COMMAND
#undef FC_SUBCOMMAND
#undef FC_COMMAND_KEYS
};

_Static_assert(FC_COMMAND_COUNT * 2 <= FC_COMMAND_SLOTS, "the dictionary stays half empty, so that misses are short");

/* ------------------------------------------------------------------ the dictionary */

/* Letters in lower case by setting one bit; what that does to other bytes only costs a comparison. The first and the last eight bytes tell
 * all our names apart. */
static uint32_t hash_name(const uint8_t *name, uint64_t bytes)
{
    uint64_t first = 0, last = 0;
    if (bytes >= 8) {
        memcpy(&first, name, 8);
        memcpy(&last, name + bytes - 8, 8);
    } else {
        memcpy(&first, name, bytes);
    }
    first |= UINT64_C(0x2020202020202020);
    last |= UINT64_C(0x2020202020202020);
    uint64_t hash = (first ^ (last << 7 | last >> 57) ^ bytes) * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(hash >> 54);
}

/* `with` may hold NULs, at which strncasecmp alone would find equal what is not. */
static int same_name(const char *name, const uint8_t *with, uint64_t bytes) { return strlen(name) == bytes && strncasecmp(name, (const char *)with, bytes) == 0; }

static void insert_name(fc_command_names *names, uint32_t id)
{
    uint32_t slot = hash_name((const uint8_t *)names->names[id], strlen(names->names[id]));
    while (names->slots[slot] != 0) slot = (slot + 1) % FC_COMMAND_SLOTS;
    names->slots[slot] = (uint16_t)(id + 1);
}

static void rebuild(fc_command_names *names)
{
    memset(names->slots, 0, sizeof names->slots);
    for (uint32_t id = 0; id < FC_COMMAND_COUNT; id++)
        if (fc_command_rows[id].parent < 0 && names->names[id] != NULL) insert_name(names, id);
}

void fc_command_names_init(fc_command_names *names)
{
    for (uint32_t id = 0; id < FC_COMMAND_COUNT; id++) names->names[id] = fc_command_rows[id].name;
    rebuild(names);
}

const fc_command *fc_command_find(const fc_command_names *names, const uint8_t *name, uint64_t name_bytes)
{
    for (uint32_t slot = hash_name(name, name_bytes); names->slots[slot] != 0; slot = (slot + 1) % FC_COMMAND_SLOTS) {
        uint32_t id = names->slots[slot] - 1u;
        if (FC_LIKELY(same_name(names->names[id], name, name_bytes))) return &fc_command_rows[id];
    }
    return NULL;
}

fc_status fc_command_names_change(fc_command_names *names, const char *from, const char *to)
{
    const fc_command *command = fc_command_find(names, (const uint8_t *)from, strlen(from));
    if (command == NULL) return FC_MISS;
    if (to[0] != '\0' && fc_command_find(names, (const uint8_t *)to, strlen(to)) != NULL) return fc_fail(FC_INVALID_ARGUMENT, "there is a command %s already", to);
    names->names[command->id] = to[0] == '\0' ? NULL : to;
    rebuild(names);
    return FC_OK;
}

const fc_command *fc_command_find_sub(const fc_command *container, const uint8_t *name, uint64_t name_bytes)
{
    for (uint32_t id = container->id + 1; id < FC_COMMAND_COUNT && fc_command_rows[id].parent == (int32_t)container->id; id++)
        if (same_name(fc_command_rows[id].name, name, name_bytes)) return &fc_command_rows[id];
    return NULL;
}

const fc_command *fc_command_find_full(const fc_command_names *names, const uint8_t *name, uint64_t name_bytes)
{
    const uint8_t *bar = memchr(name, '|', name_bytes);
    if (bar == NULL) return fc_command_find(names, name, name_bytes);
    const fc_command *container = fc_command_find(names, name, (uint64_t)(bar - name));
    return container == NULL ? NULL : fc_command_find_sub(container, bar + 1, name_bytes - (uint64_t)(bar + 1 - name));
}

int fc_arg_is(const fc_arg *argument, const char *word)
{
    return strncasecmp((const char *)argument->data, word, argument->bytes) == 0 && strlen(word) == argument->bytes;
}

/* ------------------------------------------------------------------ what follows from a row */

fc_status fc_command_visit_keys(const fc_command *command, const fc_arg *arguments, uint32_t argument_count, uint32_t database, fc_key_sink *sink)
{
    fc_command_keys function = key_functions[command->id];
    if (function != NULL) return function(arguments, argument_count, database, sink);
    if (command->first_key == 0) return FC_OK;
    int64_t last = command->last_key < 0 ? (int64_t)argument_count + command->last_key : command->last_key;
    for (int64_t i = command->first_key; i <= last && i < (int64_t)argument_count; i += command->key_step) FC_TRY(sink->take(sink, (uint32_t)i, database));
    return FC_OK;
}

const char *fc_command_flag_name(uint32_t bit)
{
    static const char *const names[FC_COMMAND_FLAGS_SHOWN] = {
        "write", "readonly", "denyoom", "admin", "pubsub", "noscript", "blocking", "loading", "stale", "fast", "no_auth", "allow_busy", "no_multi",
        "skip_monitor", "skip_slowlog", "movablekeys",
    };
    return bit < FC_COMMAND_FLAGS_SHOWN ? names[bit] : NULL;
}

/* Group to category, where it is not the same word. */
static const char *group_category(const fc_command *command)
{
    static const struct { const char *group, *category; } groups[] = {
        {"generic", "@keyspace"}, {"string", "@string"}, {"bitmap", "@bitmap"}, {"connection", "@connection"}, {"transactions", "@transaction"},
        {"scripting", "@scripting"}, {"pubsub", "@pubsub"}, {"hash", "@hash"}, {"list", "@list"}, {"set", "@set"}, {"sorted-set", "@sortedset"}, {"stream", "@stream"},
    };
    if (strncmp(command->full_name, "command", 7) == 0) return "@connection";
    if ((command->flags & FC_COMMAND_WHOLE) != 0) return "@keyspace";
    if ((command->flags & FC_COMMAND_NOT_KEYSPACE) != 0) return NULL;
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        if (strcmp(groups[i].group, command->group) == 0) return groups[i].category;
    return NULL;
}

const char *fc_command_category(const fc_command *command, uint32_t index)
{
    uint32_t flags = command->flags;
    const char *found[8];
    uint32_t count = 0;
    if (group_category(command) != NULL) found[count++] = group_category(command);
    if ((flags & FC_COMMAND_WRITE) != 0) found[count++] = "@write";
    if ((flags & FC_COMMAND_READONLY) != 0 && (command->first_key != 0 || (flags & FC_COMMAND_WHOLE) != 0)) found[count++] = "@read";
    if ((flags & FC_COMMAND_ADMIN) != 0) found[count++] = "@admin";
    found[count++] = (flags & FC_COMMAND_FAST) != 0 ? "@fast" : "@slow";
    if ((flags & (FC_COMMAND_ADMIN | FC_COMMAND_DANGEROUS)) != 0) found[count++] = "@dangerous";
    if ((flags & FC_COMMAND_BLOCKING) != 0) found[count++] = "@blocking";
    return index < count ? found[index] : NULL;
}
