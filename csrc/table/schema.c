/* schema.c -- texts that describe record layouts, known by their hash.
 *
 * A schema is a key of the database FC_DATABASE_SCHEMAS, which no user can name and no eviction touches: key = the id, 8 bytes
 * little-endian; value = the text. The id is XXH3-64 of the text with seed 0: the same in every segment and every language, never 0.
 */
#include "table/lookup.h"

static fc_key key_of(const fc_session *session, const uint64_t *id)
{
    return (fc_key){.data = id, .bytes = sizeof *id, .database = FC_DATABASE_SCHEMAS, .hash = fc_hash(session->cache->geometry.hash_seed, FC_DATABASE_SCHEMAS, id, sizeof *id)};
}

fc_status fc_schema_id(const void *text, uint64_t text_bytes, uint64_t *schema)
{
    if (text == NULL || schema == NULL || text_bytes == 0 || text_bytes > FC_SCHEMA_BYTES_MAX)
        return fc_fail(FC_INVALID_ARGUMENT, "a schema's text has 1 to %u bytes, not %llu", FC_SCHEMA_BYTES_MAX, (unsigned long long)text_bytes);
    uint64_t id = fc_hash(0, 0, text, text_bytes);
    *schema = id != 0 ? id : 1;
    return FC_OK;
}

fc_status fc_schema_register(fc_session *session, const void *text, uint64_t text_bytes, uint64_t *schema)
{
    uint64_t id;
    FC_TRY(fc_session_enter_read(session));
    if (schema == NULL) return fc_fail(FC_INVALID_ARGUMENT, "NULL");
    FC_TRY(fc_schema_id(text, text_bytes, &id));
    fc_key key = key_of(session, &id);
    if (!session->read_only && fc_exists(session, &key) == FC_MISS) FC_TRY(fc_set(session, &key, text, text_bytes, NULL, NULL));
    *schema = id;
    return FC_OK;
}

fc_status fc_schema_text(fc_session *session, uint64_t schema, void *buffer, uint64_t buffer_bytes, uint64_t *text_bytes)
{
    FC_TRY(fc_session_enter_read(session));
    fc_key key = key_of(session, &schema);
    return fc_get(session, &key, buffer, buffer_bytes, text_bytes);
}
