/* record_feed.c -- quotes as records: a C program writes what Python reads with cache.records(Quote), and the other way round.
 *
 *   cc record_feed.c $(pkg-config --cflags --libs fincache) -o record_feed && ./record_feed [SEGMENT]
 *
 * A record is the bytes of a struct and the id of a schema, a text that says what the bytes are (docs/python.md, "Records"). Each side
 * declares its records in its own language; if the texts are equal, so are the records. The same in Python:
 *
 *   class Quote(NamedTuple):
 *       bid: float
 *       ask: float
 *       sizes: Annotated[tuple[np.int32, ...], 2]
 *       venue: Annotated[bytes, 4]
 *
 * With SEGMENT the quotes stay there; without, the program has a segment of its own and removes it.
 */
#include <fincache.h>

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct quote {
    double bid;
    double ask;
    int32_t sizes[2];
    char venue[4]; /* zeros behind a shorter name */
                   /* and here the compiler leaves 4 bytes */
} quote;

static const char quote_schema[] = "[[\"bid\",\"<f8\"],[\"ask\",\"<f8\"],[\"sizes\",\"<i4\",[2]],[\"venue\",\"|S4\"],[\"\",\"|V4\"]]";

_Static_assert(sizeof(quote) == 32 && offsetof(quote, sizes) == 16 && offsetof(quote, venue) == 24, "what quote_schema says");

enum { SYMBOLS = 3 };
static const char *const symbols[SYMBOLS] = {"AAPL", "MSFT", "NVDA"};

static int failed(const char *what, fc_status status)
{
    fprintf(stderr, "%s: %s (%s). %s\n", what, fc_status_find(status)->message, fc_error_detail(status), fc_status_find(status)->hint);
    return 1;
}

/* All quotes at one instant. */
static fc_status write_quotes(fc_session *session, const fc_key *keys, uint64_t schema)
{
    quote quotes[SYMBOLS] = {
        {.bid = 150.24, .ask = 150.26, .sizes = {300, 200}, .venue = "XNAS"},
        {.bid = 410.10, .ask = 410.15, .sizes = {100, 500}, .venue = "XNAS"},
        {.bid = 880.00, .ask = 880.40, .sizes = {10, 20}, .venue = "ARC"},
    };
    fc_write writes[SYMBOLS];
    for (int i = 0; i < SYMBOLS; i++)
        writes[i] = (fc_write){.value = &quotes[i], .value_bytes = sizeof quotes[i], .schema = schema};
    return fc_set_many(session, keys, writes, SYMBOLS, 0);
}

/* All quotes as they stood at one instant. What is no such record is refused, whatever its length. */
static fc_status print_quotes(fc_session *session, const fc_key *keys, uint64_t schema)
{
    quote quotes[SYMBOLS];
    fc_read reads[SYMBOLS];
    for (int i = 0; i < SYMBOLS; i++) reads[i] = (fc_read){.buffer = &quotes[i], .buffer_bytes = sizeof quotes[i]};
    fc_status status = fc_get_cut(session, keys, reads, SYMBOLS);
    for (int i = 0; i < SYMBOLS && status == FC_OK; i++) {
        if (reads[i].status == FC_MISS)
            printf("%s has no quote\n", symbols[i]);
        else if (reads[i].status != FC_OK || reads[i].schema != schema || reads[i].value_bytes != sizeof(quote))
            status = FC_SCHEMA_MISMATCH;
        else
            printf("%s %.2f x %d / %.2f x %d %.4s\n", symbols[i], quotes[i].bid, quotes[i].sizes[0], quotes[i].ask, quotes[i].sizes[1], quotes[i].venue);
    }
    return status;
}

static fc_status run(fc_cache *cache, fc_session *session)
{
    fc_key keys[SYMBOLS];
    uint64_t schema;
    /* Once: from now on whoever meets such a record can find out what it is. */
    fc_status status = fc_schema_register(session, quote_schema, sizeof quote_schema - 1, &schema);
    for (int i = 0; i < SYMBOLS && status == FC_OK; i++) status = fc_key_init(cache, 0, symbols[i], strlen(symbols[i]), &keys[i]);
    if (status == FC_OK && fc_exists(session, &keys[0]) == FC_MISS) status = write_quotes(session, keys, schema);
    return status == FC_OK ? print_quotes(session, keys, schema) : status;
}

int main(int argc, char **argv)
{
    char name[FC_NAME_BYTES_MAX + 1];
    fc_options options;
    fc_cache *cache;
    fc_session *session;
    fc_status status;

    if (argc > 1) snprintf(name, sizeof name, "%s", argv[1]);
    else snprintf(name, sizeof name, "example-records-%d", (int)getpid());
    fc_options_init(&options);
    options.size_bytes = 8u << 20;
    if ((status = fc_cache_open(name, &options, &cache)) != FC_OK) return failed("open", status);
    if ((status = fc_session_open(cache, &session)) != FC_OK) return failed("session", status);
    if ((status = run(cache, session)) != FC_OK) return failed("quotes", status);
    if ((status = fc_session_close(session)) != FC_OK) return failed("close session", status);
    if ((status = fc_cache_close(cache)) != FC_OK) return failed("close", status);
    if (argc == 1 && (status = fc_cache_unlink(name)) != FC_OK) return failed("unlink", status);
    return 0;
}
