/* read.c -- the public reads of one key. How a read is proven: lookup.h. */
#include "table/prefetch.h"

#include "memory/liveness.h"

/* Where a value goes. */
typedef struct target {
    void *buffer;
    uint64_t buffer_bytes;
    int64_t first;             /* get_range: as given */
    int64_t last;
    uint64_t copied_bytes;
    uint64_t schema;
    uint64_t written_unix_ns;
} target;

static int copy_nothing(const fc_session *session, fc_hit *hit, void *context)
{
    (void)session, (void)hit, (void)context;
    return 1;
}

static inline __attribute__((always_inline)) int copy_value(const fc_session *session, fc_hit *hit, void *context)
{
    target *to = context;
    if (FC_UNLIKELY(hit->view.value_bytes > to->buffer_bytes)) return 1;
    return fc_view_copy_value(session, &hit->view, 0, to->buffer, hit->view.value_bytes);
}

static inline __attribute__((always_inline)) int copy_record(const fc_session *session, fc_hit *hit, void *context)
{
    target *to = context;
    to->schema = fc_view_schema(&hit->view);
    to->written_unix_ns = fc_load_relaxed(&hit->view.block->written_unix_ns);
    return copy_value(session, hit, context);
}

static int copy_entry(const fc_session *session, fc_hit *hit, void *context)
{
    target *to = context;
    fc_view_load_rest(&hit->view);
    to->schema = fc_view_schema(&hit->view);
    return to->buffer == NULL || copy_value(session, hit, context);
}

/* GETRANGE's arithmetic: negative counts from the end, then both ends are cut to the value. 0 if nothing is left. */
static int clip_range(uint64_t value_bytes, int64_t *first, int64_t *last)
{
    int64_t length = (int64_t)value_bytes;
    if (*first < 0 && *last < 0 && *first > *last) return 0;
    if (*first < 0) *first = *first + length < 0 ? 0 : *first + length;
    if (*last < 0) *last = *last + length < 0 ? 0 : *last + length;
    if (*last >= length) *last = length - 1;
    return length > 0 && *first <= *last;
}

static int copy_range(const fc_session *session, fc_hit *hit, void *context)
{
    target *to = context;
    int64_t first = to->first, last = to->last;
    to->copied_bytes = 0;
    if (!clip_range(hit->view.value_bytes, &first, &last)) return 1;
    to->copied_bytes = (uint64_t)(last - first) + 1;
    if (to->copied_bytes > to->buffer_bytes) return 1;
    return fc_view_copy_payload(session, &hit->view, fc_align8(hit->view.key_bytes) + (uint64_t)first, to->buffer, to->copied_bytes);
}

fc_status fc_get(fc_session *session, const fc_key *key, void *buffer, uint64_t buffer_bytes, uint64_t *value_bytes)
{
    fc_hit hit;
    target to = {.buffer = buffer, .buffer_bytes = buffer_bytes};
    FC_TRY(fc_session_enter_read(session));
    FC_TRY(fc_read_key(session, key, copy_value, &to, &hit));
    *value_bytes = hit.view.value_bytes;
    return FC_LIKELY(hit.view.value_bytes <= buffer_bytes) ? FC_OK : FC_BUFFER_SMALL;
}

fc_status fc_get_entry(fc_session *session, const fc_key *key, void *buffer, uint64_t buffer_bytes, fc_entry *entry)
{
    fc_hit hit;
    target to = {.buffer = buffer, .buffer_bytes = buffer_bytes};
    FC_TRY(fc_session_enter_read(session));
    FC_TRY(fc_read_key(session, key, copy_entry, &to, &hit));
    uint64_t now_unix_ns = fc_clock_unix_ns();
    *entry = (fc_entry){
        .value_bytes = hit.view.value_bytes,
        .version = hit.view.stamp,
        .written_unix_ns = hit.view.written_unix_ns,
        .expires_unix_ns = hit.view.expires_unix_ns,
        .age_ns = now_unix_ns > hit.view.written_unix_ns ? now_unix_ns - hit.view.written_unix_ns : 0,
        .schema = to.schema,
        .type = hit.view.type,
        .writer_slot = hit.view.writer_slot,
    };
    return buffer == NULL || hit.view.value_bytes <= buffer_bytes ? FC_OK : FC_BUFFER_SMALL;
}

/* A session's stamps begin at its slot's serial_first; those of the slot's earlier sessions were lower. */
fc_status fc_entry_writer(fc_session *session, const fc_entry *entry, uint32_t *writer)
{
    FC_TRY(fc_session_enter_read(session));
    if (entry == NULL || writer == NULL) return fc_fail(FC_INVALID_ARGUMENT, "NULL");
    *writer = FC_WRITER_UNKNOWN;
    if (entry->writer_slot >= session->cache->geometry.sessions_max) return FC_OK;
    const fc_slot *slot = fc_slot_at(session->cache, entry->writer_slot);
    if (fc_load_acquire(&slot->identity) == 0) return FC_OK; /* [slot.claim] */
    if (entry->version >> FC_STAMP_COUNTER_BITS < fc_load_relaxed(&slot->serial_first)) return FC_OK;
    int is_dead = entry->writer_slot != session->slot_index && fc_liveness_has_died(session->cache, entry->writer_slot);
    *writer = is_dead ? FC_WRITER_DEAD : FC_WRITER_ALIVE;
    return FC_OK;
}

fc_status fc_get_range(fc_session *session, const fc_key *key, int64_t first, int64_t last, void *buffer, uint64_t buffer_bytes, uint64_t *range_bytes)
{
    fc_hit hit;
    target to = {.buffer = buffer, .buffer_bytes = buffer_bytes, .first = first, .last = last};
    FC_TRY(fc_session_enter_read(session));
    fc_status status = fc_read_key(session, key, copy_range, &to, &hit);
    if (status != FC_OK && status != FC_MISS) return status;
    *range_bytes = status == FC_OK ? to.copied_bytes : 0;
    return *range_bytes <= buffer_bytes ? FC_OK : FC_BUFFER_SMALL;
}

fc_status fc_exists(fc_session *session, const fc_key *key)
{
    fc_hit hit;
    FC_TRY(fc_session_enter_read(session));
    return fc_read_key(session, key, copy_nothing, NULL, &hit);
}

fc_status fc_touch(fc_session *session, const fc_key *key)
{
    return fc_exists(session, key);
}

fc_status fc_type(fc_session *session, const fc_key *key, uint32_t *type)
{
    fc_hit hit;
    FC_TRY(fc_session_enter_read(session));
    fc_status status = fc_read_key(session, key, copy_nothing, NULL, &hit);
    if (status != FC_OK && status != FC_MISS) return status;
    *type = status == FC_OK ? hit.view.type : FC_TYPE_NONE;
    return FC_OK;
}

fc_status fc_expires(fc_session *session, const fc_key *key, uint64_t *expires_unix_ns)
{
    fc_hit hit;
    FC_TRY(fc_session_enter_read(session));
    FC_TRY(fc_read_key(session, key, copy_nothing, NULL, &hit));
    *expires_unix_ns = hit.view.expires_unix_ns;
    return FC_OK;
}

fc_status fc_key_init(const fc_cache *cache, uint32_t database, const void *data, uint64_t bytes, fc_key *key)
{
    if (FC_UNLIKELY(cache == NULL || (data == NULL && bytes > 0))) return fc_fail(FC_INVALID_ARGUMENT, "NULL");
    if (FC_UNLIKELY(bytes > FC_KEY_BYTES_MAX)) return fc_fail(FC_KEY_TOO_LONG, "it has %llu bytes", (unsigned long long)bytes);
    if (FC_UNLIKELY(database >= cache->geometry.databases))
        return fc_fail(FC_INVALID_ARGUMENT, "database %u, the segment has 0 to %u", database, cache->geometry.databases - 1);
    *key = (fc_key){.data = data, .bytes = (uint32_t)bytes, .database = database, .hash = fc_hash(cache->geometry.hash_seed, database, data, bytes)};
    return FC_OK;
}

/* ------------------------------------------------------------------ many */

fc_status fc_get_many(fc_session *session, const fc_key *keys, fc_read *reads, uint64_t count)
{
    FC_TRY(fc_session_enter_read(session));
    for (uint64_t i = 0; i < count;)
        for (uint64_t until = fc_prefetch_group(session, keys, i, count); i < until; i++) {
            fc_hit hit;
            target to = {.buffer = reads[i].buffer, .buffer_bytes = reads[i].buffer_bytes};
            reads[i].status = fc_read_key(session, &keys[i], copy_record, &to, &hit);
            if (reads[i].status != FC_OK) continue;
            reads[i].value_bytes = hit.view.value_bytes;
            reads[i].version = hit.view.stamp;
            reads[i].schema = to.schema;
            reads[i].written_unix_ns = to.written_unix_ns;
            if (hit.view.value_bytes > reads[i].buffer_bytes) reads[i].status = FC_BUFFER_SMALL;
        }
    return FC_OK;
}
