/* slow_log.h -- the last commands that took long, for SLOWLOG. One for each host; a lock, taken only by what is slow and by who reads. */
#ifndef FC_COMMANDS_SLOW_LOG_H
#define FC_COMMANDS_SLOW_LOG_H

#include "commands/command.h"

#include <pthread.h>

/* Arguments of an entry, and bytes of each; what is beyond is told as a number. Redis's limits: clients know them. */
#define FC_SLOW_ARGUMENTS_MAX 32u
#define FC_SLOW_ARGUMENT_BYTES_MAX 128u

typedef struct fc_slow_entry {
    struct fc_slow_entry *next;    /* older */
    uint64_t id;
    uint64_t at_unix_s;
    uint64_t duration_us;
    char *address;                 /* these are one piece of memory behind the entry */
    char *name;
    uint32_t argument_count;
    fc_arg arguments[];
} fc_slow_entry;

typedef struct fc_slow_log {
    pthread_mutex_t lock;
    fc_slow_entry *newest;
    uint64_t count;
    uint64_t next_id;
} fc_slow_log;

void fc_slow_log_init(fc_slow_log *log);
void fc_slow_log_free(fc_slow_log *log);
void fc_slow_log_reset(fc_slow_log *log);
/* Keeps the `max` newest entries. */
void fc_slow_log_trim(fc_slow_log *log, uint64_t max);
/* Copies what is given; arguments as they are to be told. Without memory nothing is noted. */
void fc_slow_log_add(fc_slow_log *log, uint64_t max, uint64_t at_unix_s, uint64_t duration_us, const char *address, const char *name,
                     const fc_arg *arguments, uint32_t argument_count);

#endif
