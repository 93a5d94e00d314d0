/* _bridge.c -- see _bridge.h. Part of the extension `_fincache`, and called from there only. */
#include <fincache.h>

#include "_bridge.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

fc_status fcpy_get(const fc_cache *cache, fc_session *session, uint32_t database, const void *key, uint64_t key_bytes, void *buffer,
                   uint64_t buffer_bytes, uint64_t *value_bytes)
{
    fc_key prepared;
    fc_status status = fc_key_init(cache, database, key, key_bytes, &prepared);
    return status != FC_OK ? status : fc_get(session, &prepared, buffer, buffer_bytes, value_bytes);
}

fc_status fcpy_set(const fc_cache *cache, fc_session *session, uint32_t database, const void *key, uint64_t key_bytes, const void *value,
                   uint64_t value_bytes, const fc_set_options *options, fc_set_result *result)
{
    fc_key prepared;
    fc_status status = fc_key_init(cache, database, key, key_bytes, &prepared);
    return status != FC_OK ? status : fc_set(session, &prepared, value, value_bytes, options, result);
}

int64_t fcpy_fetch(fcpy_place *place, uint32_t database, const void *key, uint64_t key_bytes)
{
    uint64_t value_bytes;
    fc_status status = fcpy_get(place->cache, place->session, database, key, key_bytes, place->buffer, sizeof place->buffer, &value_bytes);
    return status == FC_OK ? (int64_t)value_bytes : -(int64_t)status;
}

fc_status fcpy_put(const fcpy_place *place, uint32_t database, const void *key, uint64_t key_bytes, const void *value, uint64_t value_bytes)
{
    return fcpy_set(place->cache, place->session, database, key, key_bytes, value, value_bytes, NULL, NULL);
}

fc_status fcpy_prepare(const fc_cache *cache, uint32_t database, const char *bytes, const uint32_t *key_bytes, uint64_t count, fc_key *keys)
{
    for (uint64_t i = 0; i < count; i++) {
        fc_status status = fc_key_init(cache, database, bytes, key_bytes[i], &keys[i]);
        if (status != FC_OK) return status;
        bytes += key_bytes[i];
    }
    return FC_OK;
}

fc_status fcpy_set_values(fc_session *session, const fc_key *keys, const char *bytes, const uint64_t *value_bytes, uint64_t count,
                          fc_write *writes, uint32_t flags)
{
    for (uint64_t i = 0; i < count; i++) {
        writes[i] = (fc_write){.value = bytes, .value_bytes = value_bytes[i]};
        bytes += value_bytes[i];
    }
    return fc_set_many(session, keys, writes, count, flags);
}

static char *row_at(const fcpy_rows *table, uint64_t i)
{
    return table->rows + (int64_t)i * table->stride_bytes;
}

/* FC_OK and mask and row of one key that was read, or what is wrong with it. */
static fc_status judge(const fcpy_rows *into, uint64_t i, const fc_read *read, unsigned char *mask, uint64_t oldest_unix_ns)
{
    switch (read->status) {
    case FC_OK:
        if (read->schema != into->schema || read->value_bytes != into->row_bytes) return FC_SCHEMA_MISMATCH;
        mask[i] = read->written_unix_ns >= oldest_unix_ns;
        break;
    case FC_MISS:
        mask[i] = 0;
        break;
    case FC_BUFFER_SMALL:
    case FC_WRONG_TYPE:
        return FC_SCHEMA_MISMATCH;
    default:
        return read->status;
    }
    if (!mask[i]) memset(row_at(into, i), 0, into->row_bytes);
    return FC_OK;
}

/* The write time of a value that is age_max_ns old now; 0 if any age will do. */
static uint64_t oldest_unix_ns(uint64_t age_max_ns)
{
    struct timespec now;
    if (age_max_ns == UINT64_MAX) return 0;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_unix_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    return now_unix_ns > age_max_ns ? now_unix_ns - age_max_ns : 0;
}

fc_status fcpy_read_rows(fc_session *session, const fc_key *keys, uint64_t count, const fcpy_rows *into, fc_read *reads, unsigned char *mask,
                         int cut, uint64_t age_max_ns, uint64_t *failed_index)
{
    for (uint64_t i = 0; i < count; i++) {
        reads[i].buffer = row_at(into, i);
        reads[i].buffer_bytes = into->row_bytes;
    }
    *failed_index = count;
    fc_status status = cut ? fc_get_cut(session, keys, reads, count) : fc_get_many(session, keys, reads, count);
    if (status != FC_OK) return status;
    uint64_t oldest = oldest_unix_ns(age_max_ns);
    for (uint64_t i = 0; i < count; i++) {
        status = judge(into, i, &reads[i], mask, oldest);
        if (status == FC_OK) continue;
        *failed_index = i;
        return status;
    }
    return FC_OK;
}

fc_status fcpy_write_rows(fc_session *session, const fc_key *keys, uint64_t count, const fcpy_rows *from, fc_write *writes,
                          uint64_t expires_unix_ns, uint32_t flags)
{
    for (uint64_t i = 0; i < count; i++)
        writes[i] = (fc_write){.value = row_at(from, i), .value_bytes = from->row_bytes, .expires_unix_ns = expires_unix_ns, .schema = from->schema};
    return fc_set_many(session, keys, writes, count, flags);
}

/* Room for one more key of key_bytes; 0: no memory. */
static int make_room(fcpy_found *found, uint64_t key_bytes)
{
    if (found->count == found->count_room) {
        uint64_t room = found->count_room == 0 ? 256 : found->count_room * 2;
        uint32_t *tags = realloc(found->tags, room * sizeof *tags);
        if (tags == NULL) return 0;
        found->tags = tags;
        found->count_room = room;
    }
    if (found->bytes == NULL || found->used_bytes + key_bytes > found->room_bytes) {
        uint64_t room = (found->used_bytes + key_bytes) * 2 + 4096;
        char *bytes = realloc(found->bytes, room);
        if (bytes == NULL) return 0;
        found->bytes = bytes;
        found->room_bytes = room;
    }
    return 1;
}

static int32_t note_key(void *context, const void *key, uint32_t key_bytes, uint32_t type)
{
    fcpy_found *found = context;
    found->is_short = !make_room(found, key_bytes);
    if (found->is_short) return 1;
    memcpy(found->bytes + found->used_bytes, key, key_bytes);
    found->used_bytes += key_bytes;
    found->tags[found->count++] = type << 24 | key_bytes;
    return 0;
}

fc_status fcpy_scan(fc_session *session, uint32_t database, uint64_t *cursor, uint64_t count, fcpy_found *found)
{
    _Static_assert(FC_KEY_BYTES_MAX < 1 << 24, "a key's length fits into a tag");
    return fc_scan(session, database, cursor, count, note_key, found);
}

void fcpy_found_free(fcpy_found *found)
{
    free(found->tags);
    free(found->bytes);
}

/* The locale is pinned: a host program that called setlocale() must not change what "0.1" is. */
int fcpy_long_double(const char *text, long double *number)
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    char *end;
    if (plain == (locale_t)0) return -1;
    *number = strtold_l(text, &end, plain);
    freelocale(plain);
    return end != text && *end == 0 ? 0 : -1;
}

const fcpy_functions *fcpy_table(void)
{
    static const fcpy_functions table = {
        .table_bytes = sizeof table,
        .get = fcpy_get,
        .set = fcpy_set,
        .key_init = fc_key_init,
        .get_entry = fc_get_entry,
        .exists = fc_exists,
        .erase = fc_delete,
        .increment = fc_increment,
        .get_many = fc_get_many,
        .get_cut = fc_get_cut,
        .read_rows = fcpy_read_rows,
        .write_rows = fcpy_write_rows,
        .set_wait_hooks = fc_session_set_wait_hooks,
    };
    return &table;
}
