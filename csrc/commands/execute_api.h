/* execute_api.h -- commands in-process: the door of Cache.execute(), of tests, and of every server. Plain declarations, as in
 * fincache_api.h; C programs include commands/execute.h, Python's cffi reads this text.
 *
 * THE MODEL
 *   An fc_host is what the clients of one process share: configuration, statistics, slow log, who may do what. One for each fc_cache.
 *   An fc_client is one conversation: selected database, protocol version, open transaction, name. It may be used by one thread at a
 *   time, with that thread's session. A server has one for each connection, Cache.execute() one for each thread.
 *   Replies are RESP2 or RESP3 bytes (HELLO 3 changes the client over), exactly what a socket would carry.
 */

#define FC_COMMAND_ARGUMENTS_MAX 1048576

typedef struct fc_host fc_host;
typedef struct fc_client fc_client;

/* FC_SYSTEM: no memory. */
fc_status fc_host_create(fc_cache *cache, fc_host **host);
/* All its clients are closed before. NULL is allowed. */
void fc_host_close(fc_host *host);

/* The configuration as CONFIG GET and CONFIG SET know it (config.def lists the names). FC_INVALID_ARGUMENT: no such name, or a value
 * that it does not take; the detail says what is allowed. Any thread. */
fc_status fc_host_configure(fc_host *host, const char *name, const char *value);
/* The value, NUL-ended. FC_MISS: no such name. FC_BUFFER_SMALL. */
fc_status fc_host_config_text(fc_host *host, const char *name, char *text, uint64_t text_bytes);
/* Takes a command out (`to` "") or gives it another name. Before the first client only. FC_MISS: no such command. FC_INVALID_ARGUMENT:
 * the new name is taken. */
fc_status fc_host_rename_command(fc_host *host, const char *from, const char *to);

fc_status fc_client_open(fc_host *host, fc_client **client);
void fc_client_close(fc_client *client);

/* Runs one command. *reply and *reply_bytes point at RESP bytes that live until the client's next call. Errors of commands are replies;
 * a status other than FC_OK says that nothing could be said: FC_CLOSED, FC_FORKED, FC_WRONG_THREAD, FC_INVALID_ARGUMENT (argument_count 0 or
 * above FC_COMMAND_ARGUMENTS_MAX), FC_SYSTEM. A key that a live writer holds is waited for as long as the session's timeout says; then the
 * reply is a -BUSY error. */
fc_status fc_client_execute(fc_client *client, fc_session *session, const void *const *arguments, const uint64_t *argument_bytes,
                            uint32_t argument_count, const void **reply, uint64_t *reply_bytes);

/* One row of commands.def, for documentation and allow-lists. Subcommands have parent's index; ordinary commands -1. */
typedef struct fc_command_info {
    const char *name;            /* lower case; of a subcommand without its parent's name */
    const char *group;
    const char *since;
    const char *complexity;
    const char *summary;
    const char *syntax;          /* of the arguments behind the name */
    uint32_t flags;              /* bit n: the flag that fc_command_flag_at(n) names; further bits are internal */
    int32_t parent;
    int32_t arity;               /* name included; negative: that many or more */
    int32_t first_key;           /* 0: no keys at fixed places */
    int32_t last_key;            /* negative: from the end */
    int32_t key_step;
} fc_command_info;

/* The row at index 0, 1, 2 ... FC_MISS past the end. */
fc_status fc_command_at(uint32_t index, fc_command_info *info);
/* Redis's name of the flag at this bit; NULL past the last. */
const char *fc_command_flag_at(uint32_t bit);
