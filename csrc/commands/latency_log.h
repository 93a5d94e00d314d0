/* latency_log.h -- events that took long, by name, for LATENCY. One for each host; a lock, taken only by what is slow and by who reads. */
#ifndef FC_COMMANDS_LATENCY_LOG_H
#define FC_COMMANDS_LATENCY_LOG_H

#include <pthread.h>
#include <stdint.h>

/* Redis keeps as many of each event. Two of one second are one, the longer. */
#define FC_LATENCY_SAMPLES 160u

enum fc_latency_event { FC_LATENCY_COMMAND, FC_LATENCY_FAST_COMMAND, FC_LATENCY_EVENTS };

typedef struct fc_latency_sample {
    uint64_t at_unix_s;
    uint64_t milliseconds;
} fc_latency_sample;

typedef struct fc_latency_series {
    uint64_t count;            /* ever; the newest sample is at (count - 1) % FC_LATENCY_SAMPLES */
    uint64_t milliseconds_max; /* ever */
    fc_latency_sample samples[FC_LATENCY_SAMPLES];
} fc_latency_series;

typedef struct fc_latency_log {
    pthread_mutex_t lock;
    fc_latency_series series[FC_LATENCY_EVENTS];
} fc_latency_log;

void fc_latency_log_init(fc_latency_log *log);
void fc_latency_log_free(fc_latency_log *log);
void fc_latency_log_add(fc_latency_log *log, enum fc_latency_event event, uint64_t at_unix_s, uint64_t milliseconds);
/* 1 if there was anything. */
int fc_latency_log_reset(fc_latency_log *log, enum fc_latency_event event);
/* A copy as of now. */
void fc_latency_log_read(fc_latency_log *log, enum fc_latency_event event, fc_latency_series *series);
/* Samples that the series has, and the one at `index`, from the oldest on. */
static inline uint32_t fc_latency_count(const fc_latency_series *series) { return series->count < FC_LATENCY_SAMPLES ? (uint32_t)series->count : FC_LATENCY_SAMPLES; }
static inline const fc_latency_sample *fc_latency_at(const fc_latency_series *series, uint32_t index)
{
    return &series->samples[(series->count - fc_latency_count(series) + index) % FC_LATENCY_SAMPLES];
}
const char *fc_latency_event_name(enum fc_latency_event event);

#endif
