/* command.h -- rows of commands.def as C sees them, and the dictionary that finds one by name.
 *
 * Dictionary  open addressing, 1024 slots for some 200 names, by a hash of the name with its letters in lower case. It belongs to a host,
 *             because a host may rename commands or take them out. Subcommands are few in each container: they are looked for one by one.
 * Key places  first, last (negative: from the end) and step, as COMMAND INFO tells them; a row whose keys cannot be told so (another
 *             database's key, a counted list) has a function as well, by FC_COMMAND_KEYS in the table.
 */
#ifndef FC_COMMANDS_COMMAND_H
#define FC_COMMANDS_COMMAND_H

#include "base/status.h"

#include <stddef.h>

typedef struct fc_context fc_context;
typedef struct fc_command fc_command;

/* One argument: bytes of somebody else's buffer. */
typedef struct fc_arg {
    const uint8_t *data;
    uint64_t bytes;
} fc_arg;

/* Redis's flags, by its names, and two of our own. */
#define FC_COMMAND_WRITE (1u << 0)
#define FC_COMMAND_READONLY (1u << 1)
#define FC_COMMAND_DENYOOM (1u << 2)
#define FC_COMMAND_ADMIN (1u << 3)
#define FC_COMMAND_PUBSUB (1u << 4)
#define FC_COMMAND_NOSCRIPT (1u << 5)
#define FC_COMMAND_BLOCKING (1u << 6)
#define FC_COMMAND_LOADING (1u << 7)
#define FC_COMMAND_STALE (1u << 8)
#define FC_COMMAND_FAST (1u << 9)
#define FC_COMMAND_NO_AUTH (1u << 10)
#define FC_COMMAND_ALLOW_BUSY (1u << 11)
#define FC_COMMAND_NO_MULTI (1u << 12)
#define FC_COMMAND_SKIP_MONITOR (1u << 13)
#define FC_COMMAND_SKIP_SLOWLOG (1u << 14)
#define FC_COMMAND_MOVABLEKEYS (1u << 15)
#define FC_COMMAND_FLAGS_SHOWN 16u       /* the ones above are told to clients */
#define FC_COMMAND_ATOMIC (1u << 16)     /* with more than one key it runs as a transaction of its own: all keys at one instant */
#define FC_COMMAND_WHOLE (1u << 17)      /* about a whole database, not some keys: a transaction is committed before it */
#define FC_COMMAND_IN_MULTI (1u << 18)   /* runs at once inside MULTI, is not queued */
#define FC_COMMAND_DANGEROUS (1u << 19)  /* of ACL category @dangerous without being @admin */
#define FC_COMMAND_NOT_KEYSPACE (1u << 20) /* of group generic without being of ACL category @keyspace */

/* Where a key function reports what it finds: index of the argument, and the database it is looked up in. */
typedef struct fc_key_sink fc_key_sink;
struct fc_key_sink {
    fc_status (*take)(fc_key_sink *sink, uint32_t index, uint32_t database);
};
typedef fc_status (*fc_command_keys)(const fc_arg *arguments, uint32_t argument_count, uint32_t database, fc_key_sink *sink);

/* FC_OK: the reply is written (an error is a reply, too). Anything else: nothing is written; FC_BUSY may be tried again. */
typedef fc_status (*fc_command_handler)(fc_context *c);

struct fc_command {
    const char *name;              /* without the parent's name */
    const char *full_name;         /* parent|name */
    fc_command_handler handler;    /* NULL: a container, only its subcommands do anything */
    const char *group;
    const char *since;
    const char *complexity;
    const char *syntax;
    const char *summary;
    uint32_t flags;                /* FC_COMMAND_* */
    int32_t parent;                /* FC_CMD_* of the container, or -1 */
    int32_t arity;
    int32_t first_key;
    int32_t last_key;
    int32_t key_step;
    uint32_t id;                   /* FC_CMD_*: its index */
};

/* FC_CMD_<ID> of every row. */
enum {
#define FC_COMMAND(ID, ...) FC_CMD_##ID,
#define FC_SUBCOMMAND(PARENT, parent_name, ID, ...) FC_CMD_##ID,
#define FC_COMMAND_KEYS(ID, function)
#include "commands/commands.def"
#undef FC_COMMAND
#undef FC_SUBCOMMAND
#undef FC_COMMAND_KEYS
    FC_COMMAND_COUNT
};

extern const fc_command fc_command_rows[FC_COMMAND_COUNT];

#define FC_COMMAND_SLOTS 1024u

typedef struct fc_command_names {
    const char *names[FC_COMMAND_COUNT];   /* NULL: taken out. Of subcommands: their own */
    uint16_t slots[FC_COMMAND_SLOTS];      /* index + 1; 0: empty */
} fc_command_names;

void fc_command_names_init(fc_command_names *names);
/* FC_MISS: no command `from`. FC_INVALID_ARGUMENT: `to` is taken. `to` must live as long as `names`; "" takes the command out. */
FC_MUST_USE fc_status fc_command_names_change(fc_command_names *names, const char *from, const char *to);

/* The row of a name in any case, containers included; NULL. */
const fc_command *fc_command_find(const fc_command_names *names, const uint8_t *name, uint64_t name_bytes);
const fc_command *fc_command_find_sub(const fc_command *container, const uint8_t *name, uint64_t name_bytes);
/* By full name, "client|kill" or "get". */
const fc_command *fc_command_find_full(const fc_command_names *names, const uint8_t *name, uint64_t name_bytes);
static inline int fc_command_is_container(const fc_command *command)
{
    return command->id + 1 < FC_COMMAND_COUNT && fc_command_rows[command->id + 1].parent == (int32_t)command->id;
}

/* 1 if the argument is this word, in any case. */
int fc_arg_is(const fc_arg *argument, const char *word);

static inline int fc_command_arity_fits(const fc_command *command, uint32_t argument_count)
{
    return command->arity >= 0 ? argument_count == (uint32_t)command->arity : argument_count >= (uint32_t)-command->arity;
}

/* Reports every key of a call to the sink. Arity has been checked. */
fc_status fc_command_visit_keys(const fc_command *command, const fc_arg *arguments, uint32_t argument_count, uint32_t database, fc_key_sink *sink);

/* Name of the flag at `bit`, NULL past the last that clients are told. */
const char *fc_command_flag_name(uint32_t bit);
/* ACL category at `index` ("@write"), NULL past the end. */
const char *fc_command_category(const fc_command *command, uint32_t index);

/* Every handler and key function. */
#define FC_COMMAND(ID, name, handler, ...) fc_status handler(fc_context *c);
#define FC_SUBCOMMAND(PARENT, parent_name, ID, name, handler, ...) fc_status handler(fc_context *c);
#define FC_COMMAND_KEYS(ID, function) fc_status function(const fc_arg *arguments, uint32_t argument_count, uint32_t database, fc_key_sink *sink);
#include "commands/commands.def"
#undef FC_COMMAND
#undef FC_SUBCOMMAND
#undef FC_COMMAND_KEYS

#endif
