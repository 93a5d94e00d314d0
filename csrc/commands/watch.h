/* watch.h -- what happens around a command while somebody watches: MONITOR, slow log, latency monitor, CLIENT PAUSE. Off the fast path: execute.c
 * reads host->watch and host->slow_ns with every command and comes here only if one of them says so. */
#ifndef FC_COMMANDS_WATCH_H
#define FC_COMMANDS_WATCH_H

#include "commands/context.h"

/* Takes thresholds over from the configuration. */
void fc_watch_configure(fc_host *host);
/* The command has run: who has to be told is told. */
void fc_watch_ran(fc_context *c, const fc_command *command, uint64_t started_unix_ns, uint64_t nanoseconds);
/* 1 if CLIENT PAUSE holds the command back. */
int fc_watch_holds(fc_context *c, const fc_command *command);
/* Begins a pause, or makes it longer or stricter. */
void fc_watch_pause(fc_host *host, uint64_t until_mono_ns, int holds_all);
void fc_watch_end_pause(fc_host *host);

#endif
