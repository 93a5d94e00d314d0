/* multi_queue.c -- see multi_queue.h. */
#include "commands/multi_queue.h"

#include <stdlib.h>

#define ROOM_MIN 8u

fc_multi_queue *fc_multi_queue_of(fc_client *client)
{
    if (client->queue == NULL) client->queue = calloc(1, sizeof *client->queue);
    return client->queue;
}

/* Room for one element more in an array. 0 without memory. */
static int make_room(void **array, uint64_t count, uint64_t *room, uint64_t element_bytes)
{
    if (count < *room) return 1;
    uint64_t wanted = *room == 0 ? ROOM_MIN : *room * 2;
    void *grown = realloc(*array, wanted * element_bytes);
    if (grown == NULL) return 0;
    *array = grown;
    *room = wanted;
    return 1;
}

int fc_multi_queue_add(fc_multi_queue *queue, const fc_command *command, const fc_arg *arguments, uint32_t argument_count)
{
    uint64_t bytes = argument_count * sizeof(fc_arg);
    for (uint32_t i = 0; i < argument_count; i++) bytes += arguments[i].bytes;
    if (!make_room((void **)&queue->commands, queue->command_count, &queue->command_room, sizeof *queue->commands)) return 0;
    fc_arg *copies = malloc(bytes);
    if (copies == NULL) return 0;
    uint8_t *data = (uint8_t *)(copies + argument_count);
    for (uint32_t i = 0; i < argument_count; i++) {
        if (arguments[i].bytes > 0) memcpy(data, arguments[i].data, arguments[i].bytes);
        copies[i] = (fc_arg){.data = data, .bytes = arguments[i].bytes};
        data += arguments[i].bytes;
    }
    queue->commands[queue->command_count++] = (fc_queued){.command = command, .argument_count = argument_count, .arguments = copies};
    return 1;
}

int fc_multi_queue_watches(const fc_multi_queue *queue, const fc_key *key)
{
    for (uint64_t i = 0; i < queue->watched_count; i++) {
        const fc_key *with = &queue->watched[i].key;
        if (with->hash == key->hash && with->database == key->database && with->bytes == key->bytes && memcmp(with->data, key->data, key->bytes) == 0) return 1;
    }
    return 0;
}

int fc_multi_queue_watch(fc_multi_queue *queue, const fc_key *key, uint64_t version, uint64_t home_version)
{
    if (!make_room((void **)&queue->watched, queue->watched_count, &queue->watched_room, sizeof *queue->watched)) return 0;
    void *copy = malloc(key->bytes + 1u);
    if (copy == NULL) return 0;
    memcpy(copy, key->data, key->bytes);
    fc_watched *watched = &queue->watched[queue->watched_count++];
    *watched = (fc_watched){.key = *key, .version = version, .home_version = home_version};
    watched->key.data = copy;
    return 1;
}

void fc_multi_queue_drop_commands(fc_multi_queue *queue)
{
    if (queue == NULL) return;
    for (uint64_t i = 0; i < queue->command_count; i++) free((void *)queue->commands[i].arguments);
    queue->command_count = 0;
}

void fc_multi_queue_drop_watched(fc_multi_queue *queue)
{
    if (queue == NULL) return;
    for (uint64_t i = 0; i < queue->watched_count; i++) free((void *)queue->watched[i].key.data);
    queue->watched_count = 0;
}

void fc_multi_queue_free(fc_multi_queue *queue)
{
    if (queue == NULL) return;
    fc_multi_queue_drop_commands(queue);
    fc_multi_queue_drop_watched(queue);
    free(queue->commands);
    free(queue->watched);
    free(queue);
}
