/* multi_queue.h -- what a client has queued between MULTI and EXEC, and the keys it watches. */
#ifndef FC_COMMANDS_MULTI_QUEUE_H
#define FC_COMMANDS_MULTI_QUEUE_H

#include "commands/context.h"

/* One queued command; arguments and their bytes are one piece of memory behind it. */
typedef struct fc_queued {
    const fc_command *command;
    uint32_t argument_count;
    const fc_arg *arguments;
} fc_queued;

typedef struct fc_watched {
    fc_key key;                /* its bytes are the queue's */
    uint64_t version;          /* when WATCH looked; 0: it was missing */
    uint64_t home_version;     /* from before WATCH looked; counts if the key was missing */
} fc_watched;

struct fc_multi_queue {
    fc_queued *commands;
    uint64_t command_count;
    uint64_t command_room;
    fc_watched *watched;
    uint64_t watched_count;
    uint64_t watched_room;
};

/* The client's queue, made if need be; NULL without memory. */
fc_multi_queue *fc_multi_queue_of(fc_client *client);
/* 0 without memory. */
int fc_multi_queue_add(fc_multi_queue *queue, const fc_command *command, const fc_arg *arguments, uint32_t argument_count);
int fc_multi_queue_watch(fc_multi_queue *queue, const fc_key *key, uint64_t version, uint64_t home_version);
int fc_multi_queue_watches(const fc_multi_queue *queue, const fc_key *key);
void fc_multi_queue_drop_commands(fc_multi_queue *queue);
void fc_multi_queue_drop_watched(fc_multi_queue *queue);
void fc_multi_queue_free(fc_multi_queue *queue);

#endif
