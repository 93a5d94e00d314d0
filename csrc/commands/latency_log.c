/* latency_log.c -- see latency_log.h. */
#include "commands/latency_log.h"

#include <string.h>

void fc_latency_log_init(fc_latency_log *log)
{
    memset(log, 0, sizeof *log);
    pthread_mutex_init(&log->lock, NULL);
}

void fc_latency_log_free(fc_latency_log *log) { pthread_mutex_destroy(&log->lock); }

const char *fc_latency_event_name(enum fc_latency_event event) { return event == FC_LATENCY_COMMAND ? "command" : "fast-command"; }

void fc_latency_log_add(fc_latency_log *log, enum fc_latency_event event, uint64_t at_unix_s, uint64_t milliseconds)
{
    fc_latency_series *series = &log->series[event];
    pthread_mutex_lock(&log->lock);
    if (milliseconds > series->milliseconds_max) series->milliseconds_max = milliseconds;
    fc_latency_sample *newest = series->count > 0 ? &series->samples[(series->count - 1) % FC_LATENCY_SAMPLES] : NULL;
    if (newest != NULL && newest->at_unix_s == at_unix_s) {
        if (milliseconds > newest->milliseconds) newest->milliseconds = milliseconds;
    } else {
        series->samples[series->count++ % FC_LATENCY_SAMPLES] = (fc_latency_sample){.at_unix_s = at_unix_s, .milliseconds = milliseconds};
    }
    pthread_mutex_unlock(&log->lock);
}

int fc_latency_log_reset(fc_latency_log *log, enum fc_latency_event event)
{
    pthread_mutex_lock(&log->lock);
    int had_any = log->series[event].count > 0;
    memset(&log->series[event], 0, sizeof log->series[event]);
    pthread_mutex_unlock(&log->lock);
    return had_any;
}

void fc_latency_log_read(fc_latency_log *log, enum fc_latency_event event, fc_latency_series *series)
{
    pthread_mutex_lock(&log->lock);
    *series = log->series[event];
    pthread_mutex_unlock(&log->lock);
}
