/* scan.c -- walks over the whole table: SCAN, RANDOMKEY, DBSIZE.
 *
 * Cursor        the number of the next home. The geometry is fixed and entries never move, so a key that is there from the first call to
 *               the last is in one home all the time and is met there: Redis SCAN's guarantee, without its reversed-bits cursor.
 */
#include "table/lookup.h"

#include "memory/count.h"
#include "table/flush.h"

#include <stdlib.h>

/* Homes that RANDOMKEY tries before it looks at all of them. */
#define RANDOM_HOMES 256u

/* A key's copy. */
typedef struct key_copy {
    uint8_t *bytes;            /* FC_KEY_BYTES_MAX of them */
    fc_view view;
} key_copy;

/* Copies the key of an entry, proven. FC_MISS: nothing there that is alive in the database. */
static fc_status read_entry_key(fc_session *session, const uint64_t *entry, uint32_t database, key_copy *copy)
{
    for (uint32_t retries = 0; retries < FC_READ_RETRIES_MAX; retries++) {
        fc_hit hit;
        uint64_t word = fc_load_acquire(entry); /* [entry.publish] */
        if (word == 0) return FC_MISS;
        enum fc_take take = fc_hit_take(session, entry, word, &hit);
        if (take == FC_TAKE_EMPTY) return FC_MISS;
        if (take == FC_TAKE_DAMAGED) return fc_fail(FC_CORRUPT, "an entry leads out of the arena");
        if (take == FC_TAKE_AGAIN) continue;
        int whole = fc_view_load(session, hit.view.block, &hit.view);
        int wanted = whole && hit.view.database == database;
        int copied = wanted && fc_view_copy_payload(session, &hit.view, 0, copy->bytes, hit.view.key_bytes);
        if (!fc_hit_holds(&hit)) continue;
        if ((!whole || (wanted && !copied)) && !fc_hit_is_current(session, &hit)) continue;
        if (!whole || (wanted && !copied)) return fc_fail(FC_CORRUPT, "a block's lengths or its chain make no sense");
        if (!wanted || !fc_view_is_alive(session, &hit.view)) return FC_MISS;
        copy->view = hit.view;
        return FC_OK;
    }
    return fc_fail(FC_CONTENDED, "%u retries", FC_READ_RETRIES_MAX);
}

/* Calls visit for every live key of a home. FC_NOT_STORED: visit wants no more. */
static fc_status visit_home(fc_session *session, uint64_t home_index, uint32_t database, key_copy *copy, uint64_t *visited,
                            int32_t (*visit)(void *context, const void *key, uint32_t key_bytes, uint32_t type), void *context)
{
    int damaged = 0;
    uint32_t bucket_count = 0;
    for (const fc_bucket *bucket = &session->homes[home_index]; bucket != NULL; bucket = fc_bucket_next(session, bucket, &damaged)) {
        for (uint32_t i = 0; i < FC_BUCKET_ENTRIES; i++) {
            fc_status status = read_entry_key(session, &bucket->entries[i], database, copy);
            if (status == FC_MISS) continue;
            FC_TRY(status);
            ++*visited;
            if (visit(context, copy->bytes, copy->view.key_bytes, copy->view.type) != 0) return FC_NOT_STORED;
        }
        if (++bucket_count > FC_CHAIN_BUCKETS_MAX) return fc_fail(FC_CORRUPT, "a chain of buckets has no end");
    }
    return damaged ? fc_fail(FC_CORRUPT, "a bucket's link leads out of the arena") : FC_OK;
}

fc_status fc_scan(fc_session *session, uint32_t database, uint64_t *cursor, uint64_t count,
                  int32_t (*visit)(void *context, const void *key, uint32_t key_bytes, uint32_t type), void *context)
{
    FC_TRY(fc_session_enter_read(session));
    FC_TRY(fc_flush_check_database(session, database));
    key_copy copy = {.bytes = malloc(FC_KEY_BYTES_MAX)};
    if (copy.bytes == NULL) return fc_fail(FC_SYSTEM, "no memory for a key");
    uint64_t visited = 0;
    uint64_t home_index = *cursor;
    fc_status status = FC_OK;
    while (home_index < session->home_count && status == FC_OK && (visited == 0 || visited < count))
        status = visit_home(session, home_index++, database, &copy, &visited, visit, context);
    free(copy.bytes);
    if (status == FC_NOT_STORED) status = FC_OK;
    if (status == FC_OK) *cursor = home_index < session->home_count ? home_index : 0;
    return status;
}

/* ------------------------------------------------------------------ a random key */

typedef struct key_choice {
    fc_session *session;
    void *buffer;
    uint64_t buffer_bytes;
    uint64_t key_bytes;
    uint32_t seen;
} key_choice;

/* Keeps the n-th key of a home with probability 1/n, so that each is as likely. */
static int32_t choose(void *context, const void *key, uint32_t key_bytes, uint32_t type)
{
    key_choice *choice = context;
    (void)type;
    if (((uint64_t)fc_random(choice->session) * ++choice->seen) >> 32 != 0) return 0;
    choice->key_bytes = key_bytes;
    if (key_bytes <= choice->buffer_bytes) memcpy(choice->buffer, key, key_bytes);
    return 0;
}

fc_status fc_random_key(fc_session *session, uint32_t database, void *buffer, uint64_t buffer_bytes, uint64_t *key_bytes)
{
    FC_TRY(fc_session_enter_read(session));
    FC_TRY(fc_flush_check_database(session, database));
    key_copy copy = {.bytes = malloc(FC_KEY_BYTES_MAX)};
    if (copy.bytes == NULL) return fc_fail(FC_SYSTEM, "no memory for a key");
    if (session->random_state == 0) session->random_state = (uint32_t)fc_clock_mono_ns() | 1;
    key_choice choice = {.session = session, .buffer = buffer, .buffer_bytes = buffer_bytes};
    uint64_t visited = 0;
    fc_status status = FC_OK;
    for (uint32_t i = 0; i < RANDOM_HOMES && visited == 0 && status == FC_OK; i++) {
        uint64_t home_index = ((uint64_t)fc_random(session) * session->home_count) >> 32;
        status = visit_home(session, home_index, database, &copy, &visited, choose, &choice);
    }
    /* A sparse table: look at every key, so that each is as likely. */
    int is_sparse = visited == 0;
    for (uint64_t i = 0; is_sparse && i < session->home_count && status == FC_OK; i++)
        status = visit_home(session, i, database, &copy, &visited, choose, &choice);
    free(copy.bytes);
    FC_TRY(status);
    if (visited == 0) return FC_MISS;
    *key_bytes = choice.key_bytes;
    return choice.key_bytes <= buffer_bytes ? FC_OK : FC_BUFFER_SMALL;
}

/* ------------------------------------------------------------------ counting */

fc_status fc_count(fc_session *session, uint32_t database, uint64_t *key_count)
{
    FC_TRY(fc_session_enter_read(session));
    FC_TRY(fc_flush_check_database(session, database));
    *key_count = fc_count_keys(session->cache, database);
    return FC_OK;
}
