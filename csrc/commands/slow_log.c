/* slow_log.c -- see slow_log.h. */
#include "commands/slow_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fc_slow_log_init(fc_slow_log *log)
{
    memset(log, 0, sizeof *log);
    pthread_mutex_init(&log->lock, NULL);
}

static void trim(fc_slow_log *log, uint64_t max)
{
    fc_slow_entry **link = &log->newest;
    uint64_t kept = 0;
    for (; *link != NULL && kept < max; kept++) link = &(*link)->next;
    for (fc_slow_entry *entry = *link, *next; entry != NULL; entry = next) {
        next = entry->next;
        free(entry);
    }
    *link = NULL;
    log->count = kept;
}

void fc_slow_log_trim(fc_slow_log *log, uint64_t max)
{
    pthread_mutex_lock(&log->lock);
    trim(log, max);
    pthread_mutex_unlock(&log->lock);
}

void fc_slow_log_reset(fc_slow_log *log) { fc_slow_log_trim(log, 0); }

void fc_slow_log_free(fc_slow_log *log)
{
    trim(log, 0);
    pthread_mutex_destroy(&log->lock);
}

/* One argument as it is told: cut, with the number of bytes that are missing. Room: FC_SLOW_ARGUMENT_BYTES_MAX + 40. */
static uint64_t tell_argument(const fc_arg *argument, uint8_t *target)
{
    if (argument->bytes <= FC_SLOW_ARGUMENT_BYTES_MAX) {
        memcpy(target, argument->data, argument->bytes);
        return argument->bytes;
    }
    memcpy(target, argument->data, FC_SLOW_ARGUMENT_BYTES_MAX);
    int more = snprintf((char *)target + FC_SLOW_ARGUMENT_BYTES_MAX, 40, "... (%llu more bytes)", (unsigned long long)(argument->bytes - FC_SLOW_ARGUMENT_BYTES_MAX));
    return FC_SLOW_ARGUMENT_BYTES_MAX + (uint64_t)more;
}

static fc_slow_entry *make_entry(const char *address, const char *name, const fc_arg *arguments, uint32_t argument_count)
{
    uint32_t told_count = argument_count < FC_SLOW_ARGUMENTS_MAX ? argument_count : FC_SLOW_ARGUMENTS_MAX;
    uint64_t address_bytes = strlen(address) + 1, name_bytes = strlen(name) + 1;
    fc_slow_entry *entry = malloc(sizeof *entry + told_count * (sizeof(fc_arg) + FC_SLOW_ARGUMENT_BYTES_MAX + 40) + address_bytes + name_bytes);
    if (entry == NULL) return NULL;
    uint8_t *room = (uint8_t *)(entry->arguments + told_count);
    entry->argument_count = told_count;
    for (uint32_t i = 0; i < told_count; i++) {
        uint64_t bytes;
        if (i + 1 == FC_SLOW_ARGUMENTS_MAX && argument_count > FC_SLOW_ARGUMENTS_MAX)
            bytes = (uint64_t)snprintf((char *)room, 64, "... (%u more arguments)", argument_count - FC_SLOW_ARGUMENTS_MAX + 1);
        else bytes = tell_argument(&arguments[i], room);
        entry->arguments[i] = (fc_arg){.data = room, .bytes = bytes};
        room += bytes;
    }
    entry->address = memcpy(room, address, address_bytes);
    entry->name = memcpy(room + address_bytes, name, name_bytes);
    return entry;
}

void fc_slow_log_add(fc_slow_log *log, uint64_t max, uint64_t at_unix_s, uint64_t duration_us, const char *address, const char *name,
                     const fc_arg *arguments, uint32_t argument_count)
{
    fc_slow_entry *entry = make_entry(address, name, arguments, argument_count);
    if (entry == NULL) return;
    entry->at_unix_s = at_unix_s;
    entry->duration_us = duration_us;
    pthread_mutex_lock(&log->lock);
    entry->id = log->next_id++;
    entry->next = log->newest;
    log->newest = entry;
    if (++log->count > max) trim(log, max);
    pthread_mutex_unlock(&log->lock);
}
