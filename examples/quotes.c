/* quotes.c -- a writer and a reader of one quote, in C: what a strategy does with libfincache, errors handled.
 *
 *   cc quotes.c $(pkg-config --cflags --libs fincache) -o quotes && ./quotes
 */
#include <fincache.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct quote {
    double bid;
    double ask;
    uint64_t sequence;
} quote;

static int failed(const char *what, fc_status status)
{
    fprintf(stderr, "%s: %s (%s). %s\n", what, fc_status_find(status)->message, fc_error_detail(status), fc_status_find(status)->hint);
    return 1;
}

int main(void)
{
    char name[32];
    fc_options options;
    fc_cache *cache;
    fc_session *session;
    fc_key key;
    fc_entry entry;
    quote seen;
    fc_status status;

    snprintf(name, sizeof name, "example-%d", (int)getpid());
    fc_options_init(&options);
    options.size_bytes = 8u << 20;
    if ((status = fc_cache_open(name, &options, &cache)) != FC_OK) return failed("open", status);
    if ((status = fc_session_open(cache, &session)) != FC_OK) return failed("session", status);

    /* A key is hashed once and used as often as you like. */
    if ((status = fc_key_init(cache, 0, "AAPL", 4, &key)) != FC_OK) return failed("key", status);
    for (uint64_t i = 1; i <= 1000; i++) {
        quote next = {150.0 + (double)i / 100, 150.02 + (double)i / 100, i};
        if ((status = fc_set(session, &key, &next, sizeof next, NULL, NULL)) != FC_OK) return failed("set", status);
    }

    if ((status = fc_get_entry(session, &key, &seen, sizeof seen, &entry)) != FC_OK) return failed("get", status);
    printf("AAPL %.2f / %.2f, quote %llu, %.1f us old\n", seen.bid, seen.ask, (unsigned long long)seen.sequence, (double)entry.age_ns / 1000);

    /* A miss is an answer, not a failure. */
    if ((status = fc_key_init(cache, 0, "MSFT", 4, &key)) != FC_OK) return failed("key", status);
    if (fc_exists(session, &key) == FC_MISS) puts("MSFT has no quote");

    if ((status = fc_session_close(session)) != FC_OK) return failed("close session", status);
    if ((status = fc_cache_close(cache)) != FC_OK) return failed("close", status);
    if ((status = fc_cache_unlink(name)) != FC_OK) return failed("unlink", status);
    return 0;
}
