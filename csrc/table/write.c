/* write.c -- see write.h; and the public writes of one key that are no more than these steps. */
#include "table/write.h"

#include "memory/give_way.h"
#include "memory/page.h"
#include "memory/retire.h"
#include "table/reclaim.h"

#include <inttypes.h>

fc_status fc_write_check_sum(const fc_session *session, uint64_t bytes)
{
    uint64_t arena_bytes = session->size_bytes - session->arena_off;
    if (FC_LIKELY(bytes <= arena_bytes)) return FC_OK;
    return fc_fail(FC_OUT_OF_MEMORY, "the write needs %" PRIu64 " bytes, the segment's arena has %" PRIu64, bytes, arena_bytes);
}

fc_status fc_write_check_value(const fc_session *session, uint64_t value_bytes)
{
    if (FC_LIKELY(value_bytes <= session->cache->geometry.value_bytes_max)) return fc_write_check_sum(session, value_bytes);
    return fc_fail(FC_VALUE_TOO_LONG, "it has %" PRIu64 " bytes, value_bytes_max is %" PRIu64, value_bytes, session->cache->geometry.value_bytes_max);
}

/* Locks and finds, inside a session that was entered. */
static fc_status lock_and_find(fc_session *session, const fc_key *key, fc_write_state *write)
{
    if (FC_UNLIKELY(key->database >= FC_DATABASE_SLOTS)) return fc_fail(FC_INVALID_ARGUMENT, "database %u of the key", key->database);
    fc_bucket *home = fc_home_of(session, key->hash);
    fc_give_way(session);
    FC_TRY(fc_lock_home(session, home));
    fc_status status = fc_place_find(session, key, home, &write->place);
    if (FC_UNLIKELY(status != FC_OK)) fc_lock_release(&home->owner);
    return status;
}

fc_status fc_write_open(fc_session *session, const fc_key *key, fc_write_state *write)
{
    FC_TRY(fc_session_enter_write(session));
    fc_status status = lock_and_find(session, key, write);
    if (FC_UNLIKELY(status != FC_OK)) fc_session_leave_write(session);
    return status;
}

fc_status fc_write_close(fc_session *session, fc_write_state *write, fc_status status)
{
    if (FC_UNLIKELY(status != FC_OK)) fc_chain_trim(session, write->place.home);
    fc_lock_release(&write->place.home->owner);
    if (FC_UNLIKELY(fc_load_relaxed(&session->slot->pending) != 0)) fc_retire_pending(session);
    if (FC_UNLIKELY(session->garbage)) fc_page_drain(session);
    fc_session_leave_write(session);
    return status;
}

/* What replacing a dead value means for the statistics. */
static void count_dead(fc_session *session, const fc_place *place)
{
    if (place->entry == NULL || place->alive) return;
    fc_stat(session, fc_view_is_flushed(session, &place->view) ? FC_STAT_FLUSHED : FC_STAT_EXPIRED, 1);
}

static void publish_new(fc_session *session, const fc_key *key, fc_place *place, uint64_t word, uint32_t kind, int keep_chain)
{
    uint64_t *entry = place->entry != NULL ? place->entry : place->vacant;
    uint32_t mark_index = place->entry != NULL ? place->mark_index : place->vacant_mark;
    if (FC_UNLIKELY(!place->alive)) {
        count_dead(session, place);
        fc_reclaim_count_insert(session);
    }
    fc_publish(session, place->home, entry, place->word, word, kind, keep_chain);
    fc_mark_used(session, key->hash, mark_index);
    place->entry = entry;
    place->word = word;
}

fc_status fc_write_store(fc_session *session, const fc_key *key, fc_write_state *write, fc_value *value)
{
    fc_shape shape;
    uint64_t word;
    fc_place *place = &write->place;
    fc_block_shape(key->bytes, value->bytes, value->schema != 0, &shape);
    if (FC_UNLIKELY(shape.node_count > 0 && value->chain_stamp == 0))
        FC_TRY(fc_block_build_nodes(session, key, value, &shape, fc_reclaim_take_page));
    if (place->entry == NULL) FC_TRY(fc_place_make_room(session, place));
    uint32_t kind = fc_class_for(shape.head_bytes);
    FC_TRY(place->entry == NULL ? fc_reclaim_reserve_growth(session, &kind) : fc_reclaim_reserve(session, &kind));
    /* What was decided on a value that lived must not outlive a flush that came since. */
    value->flush_generation = place->alive ? place->view.flush_generation : fc_flush_generation(session, key->database);
    FC_TRY(fc_block_build(session, key, value, &shape, kind, &word));
    publish_new(session, key, place, word, kind, 0);
    return FC_OK;
}

void fc_write_remove(fc_session *session, fc_write_state *write)
{
    fc_place *place = &write->place;
    if (place->entry == NULL) return;
    count_dead(session, place);
    fc_publish(session, place->home, place->entry, place->word, 0, 0, 0);
    fc_chain_trim(session, place->home);
    place->entry = NULL;
    place->word = 0;
}

fc_status fc_write_set_expiry(fc_session *session, fc_write_state *write, uint64_t expires_unix_ns)
{
    uint64_t word;
    fc_place *place = &write->place;
    uint32_t kind = place->view.kind;
    FC_TRY(fc_reclaim_reserve(session, &kind));
    FC_TRY(fc_block_build_copy(session, &place->view, expires_unix_ns, kind, &word));
    fc_publish(session, place->home, place->entry, place->word, word, kind, 1);
    place->word = word;
    return FC_OK;
}

/* ------------------------------------------------------------------ set */

static const fc_set_options no_options;

/* Does the key's present state allow the write? Fills the result's old value. */
static fc_status check_conditions(fc_session *session, const fc_place *place, const fc_set_options *options, fc_set_result *result)
{
    uint32_t flags = options->flags;
    if (FC_LIKELY(flags == 0)) return FC_OK;
    if ((flags & FC_SET_GET) != 0) {
        result->old_exists = (uint8_t)place->alive;
        result->old_bytes = place->alive ? place->view.value_bytes : 0;
        if (place->alive && place->view.value_bytes > options->old_buffer_bytes) return FC_BUFFER_SMALL;
        if (place->alive && !fc_view_copy_value(session, &place->view, 0, options->old_buffer, place->view.value_bytes))
            return fc_fail(FC_CORRUPT, "the chain of the old value is broken");
    }
    if ((flags & FC_SET_NX) != 0 && place->alive) return FC_NOT_STORED;
    if ((flags & FC_SET_XX) != 0 && !place->alive) return FC_NOT_STORED;
    if ((flags & FC_SET_VERSION) != 0 && options->if_version != (place->alive ? place->view.stamp : 0)) return FC_VERSION_MISMATCH;
    if ((flags & FC_SET_SCHEMA) != 0 && place->alive) {
        uint64_t schema = fc_view_schema(&place->view);
        if (schema != 0 && schema != options->schema) return fc_fail(FC_SCHEMA_MISMATCH, "it holds schema %016" PRIx64 ", the write has %016" PRIx64, schema, options->schema);
    }
    return FC_OK;
}

static fc_status check_set_options(const fc_set_options *options)
{
    uint32_t known = FC_SET_NX | FC_SET_XX | FC_SET_KEEPTTL | FC_SET_GET | FC_SET_VERSION | FC_SET_SCHEMA;
    if ((options->flags & ~known) != 0 || options->reserved != 0) return fc_fail(FC_INVALID_ARGUMENT, "flags 0x%x", options->flags);
    if ((options->flags & FC_SET_NX) != 0 && (options->flags & FC_SET_XX) != 0) return fc_fail(FC_INVALID_ARGUMENT, "NX and XX exclude each other");
    if ((options->flags & FC_SET_KEEPTTL) != 0 && options->expires_unix_ns != 0) return fc_fail(FC_INVALID_ARGUMENT, "KEEPTTL and an expiry exclude each other");
    if ((options->flags & FC_SET_SCHEMA) != 0 && options->schema == 0) return fc_fail(FC_INVALID_ARGUMENT, "schema is 0");
    return FC_OK;
}

static fc_status set_locked(fc_session *session, const fc_key *key, fc_write_state *write, fc_value *value, const fc_set_options *options, fc_set_result *result)
{
    FC_TRY(check_conditions(session, &write->place, options, result));
    if ((options->flags & FC_SET_KEEPTTL) != 0 && write->place.alive) value->expires_unix_ns = write->place.view.expires_unix_ns;
    if (value->expires_unix_ns != 0 && fc_clock_is_past(value->expires_unix_ns)) {
        fc_write_remove(session, write);
        return FC_OK;
    }
    FC_TRY(fc_write_store(session, key, write, value));
    result->version = fc_write_version(session, write);
    fc_stat(session, FC_STAT_SETS, 1);
    return FC_OK;
}

/* The nodes of a long value are built before the lock is taken: copying half a gigabyte must not hold up the key's neighbours. */
static fc_status build_nodes_first(fc_session *session, const fc_key *key, fc_value *value)
{
    fc_shape shape;
    fc_block_shape(key->bytes, value->bytes, value->schema != 0, &shape);
    if (FC_LIKELY(shape.node_count == 0)) return FC_OK;
    return fc_block_build_nodes(session, key, value, &shape, fc_reclaim_take_page);
}

fc_status fc_set(fc_session *session, const fc_key *key, const void *data, uint64_t value_bytes, const fc_set_options *options, fc_set_result *result)
{
    fc_write_state write;
    fc_set_result unwanted;
    if (options == NULL) options = &no_options;
    else FC_TRY(check_set_options(options));
    FC_TRY(fc_session_enter_read(session));
    FC_TRY(fc_write_check_value(session, value_bytes));
    fc_value value = {.data = data, .bytes = value_bytes, .expires_unix_ns = options->expires_unix_ns, .type = FC_TYPE_STRING,
                      .schema = (options->flags & FC_SET_SCHEMA) != 0 ? options->schema : 0};
    FC_TRY(fc_session_enter_write(session));
    fc_status status = build_nodes_first(session, key, &value);
    if (FC_LIKELY(status == FC_OK)) status = lock_and_find(session, key, &write);
    if (FC_UNLIKELY(status != FC_OK)) {
        if (fc_load_relaxed(&session->slot->pending) != 0) fc_retire_pending(session);
        fc_session_leave_write(session);
        return status;
    }
    status = set_locked(session, key, &write, &value, options, result != NULL ? result : &unwanted);
    return fc_write_close(session, &write, status);
}

/* ------------------------------------------------------------------ delete */

fc_status fc_delete(fc_session *session, const fc_key *key)
{
    fc_write_state write;
    FC_TRY(fc_write_open(session, key, &write));
    fc_status status = write.place.alive ? FC_OK : FC_MISS;
    fc_write_remove(session, &write);
    if (status == FC_OK) fc_stat(session, FC_STAT_DELETES, 1);
    return fc_write_close(session, &write, status);
}

/* Under the lock: FC_OK, FC_MISS, FC_BUFFER_SMALL (with the length), FC_CORRUPT. */
static fc_status copy_present(fc_session *session, const fc_place *place, void *buffer, uint64_t buffer_bytes, uint64_t *value_bytes)
{
    if (!place->alive) return FC_MISS;
    *value_bytes = place->view.value_bytes;
    if (place->view.value_bytes > buffer_bytes) return FC_BUFFER_SMALL;
    if (fc_view_copy_value(session, &place->view, 0, buffer, place->view.value_bytes)) return FC_OK;
    return fc_fail(FC_CORRUPT, "the chain of the value is broken");
}

fc_status fc_get_delete(fc_session *session, const fc_key *key, void *buffer, uint64_t buffer_bytes, uint64_t *value_bytes)
{
    fc_write_state write;
    FC_TRY(fc_write_open(session, key, &write));
    fc_status status = copy_present(session, &write.place, buffer, buffer_bytes, value_bytes);
    if (status == FC_OK || status == FC_MISS) fc_write_remove(session, &write);
    if (status == FC_OK) fc_stat(session, FC_STAT_DELETES, 1);
    return fc_write_close(session, &write, status);
}

/* ------------------------------------------------------------------ expiry */

/* Redis's conditions: a key without expiry counts as one that never comes. */
static int expire_allowed(uint64_t present, uint64_t wanted, uint32_t flags)
{
    if ((flags & FC_EXPIRE_NX) != 0 && present != 0) return 0;
    if ((flags & FC_EXPIRE_XX) != 0 && present == 0) return 0;
    if ((flags & FC_EXPIRE_GT) != 0 && (present == 0 || wanted <= present)) return 0;
    if ((flags & FC_EXPIRE_LT) != 0 && present != 0 && wanted >= present) return 0;
    return 1;
}

static fc_status check_expire_flags(uint32_t flags)
{
    if (flags <= 15 && ((flags & FC_EXPIRE_NX) == 0 || flags == FC_EXPIRE_NX) && (flags & (FC_EXPIRE_GT | FC_EXPIRE_LT)) != (FC_EXPIRE_GT | FC_EXPIRE_LT))
        return FC_OK;
    return fc_fail(FC_INVALID_ARGUMENT, "NX excludes XX, GT and LT; GT excludes LT");
}

/* Of a living value. FC_NOT_STORED: the flags do not hold. */
static fc_status expire_locked(fc_session *session, fc_write_state *write, uint64_t expires_unix_ns, uint32_t flags)
{
    if (!expire_allowed(write->place.view.expires_unix_ns, expires_unix_ns, flags)) return FC_NOT_STORED;
    if (!fc_clock_is_past(expires_unix_ns)) return fc_write_set_expiry(session, write, expires_unix_ns);
    fc_write_remove(session, write);
    return FC_OK;
}

/* FC_NOT_STORED: it has none. */
static fc_status persist_locked(fc_session *session, fc_write_state *write)
{
    return write->place.view.expires_unix_ns == 0 ? FC_NOT_STORED : fc_write_set_expiry(session, write, 0);
}

fc_status fc_expire(fc_session *session, const fc_key *key, uint64_t expires_unix_ns, uint32_t flags)
{
    fc_write_state write;
    FC_TRY(check_expire_flags(flags));
    if (expires_unix_ns == 0) expires_unix_ns = 1; /* 0 means none; 1970 is past in either case */
    FC_TRY(fc_write_open(session, key, &write));
    fc_status status = write.place.alive ? expire_locked(session, &write, expires_unix_ns, flags) : FC_MISS;
    return fc_write_close(session, &write, status);
}

fc_status fc_persist(fc_session *session, const fc_key *key)
{
    fc_write_state write;
    FC_TRY(fc_write_open(session, key, &write));
    fc_status status = write.place.alive ? persist_locked(session, &write) : FC_MISS;
    return fc_write_close(session, &write, status);
}

fc_status fc_get_expire(fc_session *session, const fc_key *key, void *buffer, uint64_t buffer_bytes, uint64_t *value_bytes, uint64_t expires_unix_ns,
                        uint32_t flags)
{
    fc_write_state write;
    FC_TRY(check_expire_flags(flags));
    if (expires_unix_ns == 0 && flags != 0) return fc_fail(FC_INVALID_ARGUMENT, "taking the expiry away knows no conditions");
    FC_TRY(fc_write_open(session, key, &write));
    fc_status status = copy_present(session, &write.place, buffer, buffer_bytes, value_bytes);
    if (status == FC_OK) {
        fc_mark_used(session, key->hash, write.place.mark_index);
        status = expires_unix_ns == 0 ? persist_locked(session, &write) : expire_locked(session, &write, expires_unix_ns, flags);
    }
    return fc_write_close(session, &write, status == FC_NOT_STORED ? FC_OK : status);
}
