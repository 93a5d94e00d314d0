/* test_watch_logs.c -- what is kept of commands that took long: histograms, slow log, latency log. */
#include "check.h"
#include "commands/context.h"

static void a_bucket_is_narrow_and_none_overlap(void)
{
    for (uint64_t ns = 0; ns < 300; ns++) CHECK(fc_histogram_top(fc_histogram_bucket(ns)) >= ns);
    for (uint32_t bucket = 0; bucket + 1 < FC_HISTOGRAM_BUCKETS; bucket++) {
        uint64_t top = fc_histogram_top(bucket);
        CHECK(fc_histogram_bucket(top) == bucket);
        CHECK(fc_histogram_bucket(top + 1) == bucket + 1);
        CHECK(fc_histogram_top(bucket + 1) - top <= top / FC_HISTOGRAM_STEPS + 1);
    }
    CHECK(fc_histogram_bucket(UINT64_MAX) == FC_HISTOGRAM_BUCKETS - 1);
}

static void the_slow_log_keeps_the_newest_and_cuts(void)
{
    fc_slow_log log;
    uint8_t large[200];
    fc_arg arguments[40];
    memset(large, 'x', sizeof large);
    for (size_t i = 0; i < COUNT_OF(arguments); i++) arguments[i] = (fc_arg){.data = large, .bytes = i == 0 ? sizeof large : 1};
    fc_slow_log_init(&log);
    for (uint64_t i = 0; i < 20; i++) fc_slow_log_add(&log, 5, 1000 + i, i, "127.0.0.1:1", "name", arguments, COUNT_OF(arguments));
    CHECK(log.count == 5);
    CHECK(log.newest->id == 19 && log.newest->at_unix_s == 1019 && log.newest->next->id == 18);
    CHECK(strcmp(log.newest->address, "127.0.0.1:1") == 0 && strcmp(log.newest->name, "name") == 0);
    CHECK(log.newest->argument_count == FC_SLOW_ARGUMENTS_MAX);
    CHECK(log.newest->arguments[0].bytes == 128 + strlen("... (72 more bytes)"));
    CHECK(memcmp(log.newest->arguments[0].data + 128, "... (72 more bytes)", 19) == 0);
    CHECK(memcmp(log.newest->arguments[31].data, "... (9 more arguments)", 22) == 0);
    fc_slow_log_trim(&log, 2);
    CHECK(log.count == 2 && log.newest->id == 19);
    fc_slow_log_reset(&log);
    CHECK(log.count == 0 && log.newest == NULL);
    fc_slow_log_free(&log);
}

static void the_latency_log_keeps_the_worst_of_a_second(void)
{
    fc_latency_log log;
    fc_latency_series series;
    fc_latency_log_init(&log);
    fc_latency_log_add(&log, FC_LATENCY_COMMAND, 100, 7);
    fc_latency_log_add(&log, FC_LATENCY_COMMAND, 100, 9);
    fc_latency_log_add(&log, FC_LATENCY_COMMAND, 100, 8);
    fc_latency_log_read(&log, FC_LATENCY_COMMAND, &series);
    CHECK(fc_latency_count(&series) == 1 && fc_latency_at(&series, 0)->milliseconds == 9);
    for (uint64_t i = 1; i <= FC_LATENCY_SAMPLES; i++) fc_latency_log_add(&log, FC_LATENCY_COMMAND, 100 + i, 1);
    fc_latency_log_read(&log, FC_LATENCY_COMMAND, &series);
    CHECK(fc_latency_count(&series) == FC_LATENCY_SAMPLES && series.milliseconds_max == 9);
    CHECK(fc_latency_at(&series, 0)->at_unix_s == 101 && fc_latency_at(&series, FC_LATENCY_SAMPLES - 1)->at_unix_s == 100 + FC_LATENCY_SAMPLES);
    CHECK(fc_latency_log_reset(&log, FC_LATENCY_COMMAND) && !fc_latency_log_reset(&log, FC_LATENCY_COMMAND));
    fc_latency_log_free(&log);
}

int main(void)
{
    RUN(a_bucket_is_narrow_and_none_overlap);
    RUN(the_slow_log_keeps_the_newest_and_cuts);
    RUN(the_latency_log_keeps_the_worst_of_a_second);
    return check_report();
}
