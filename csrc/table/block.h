/* block.h -- what a published value looks like, how it is read, how it is built.
 *
 *   head block    fc_block | schema (8, if FC_BLOCK_SCHEMA) | fc_chain (16, if FC_BLOCK_CHAIN) | payload ...
 *   nodes         fc_node | payload ...                                   only with FC_BLOCK_CHAIN; whole pages
 *   payload       key, zeroes up to a multiple of 8, value; the head holds its first `inline_bytes`, each node FC_NODE_PAYLOAD more
 *
 * How much of the payload the head holds follows from its length (fc_block_shape), so it is not stored.
 *
 * Invariants   V1: a block is written only while its stamp is 0, and it is published only after its stamp is written.
 *              V2: a view is proven only by the stamp being the same after everything was copied; before that any field may be torn,
 *                  so each is checked before it is used, and nothing read through it leaves the arena.
 * Pairs        [block.stamp] release of the stamp in fc_block_build <-> acquire of the stamp in fc_view_begin;
 *              [block.reuse] release fence after zeroing the stamp <-> acquire fence before the stamp is looked at again
 */
#ifndef FC_TABLE_BLOCK_H
#define FC_TABLE_BLOCK_H

#include "memory/handle.h"

/* How a key and value are divided. */
typedef struct fc_shape {
    uint64_t head_bytes;       /* of the head block, all included */
    uint64_t inline_bytes;     /* of the payload in the head */
    uint64_t node_count;
    uint32_t flags;            /* FC_BLOCK_* */
} fc_shape;

static inline uint64_t fc_align8(uint64_t bytes) { return (bytes + 7) & ~UINT64_C(7); }
static inline uint64_t fc_payload_off(uint32_t flags) { return sizeof(fc_block) + ((flags & FC_BLOCK_SCHEMA) != 0 ? 8 : 0) + ((flags & FC_BLOCK_CHAIN) != 0 ? sizeof(fc_chain) : 0); }

static inline void fc_block_shape(uint64_t key_bytes, uint64_t value_bytes, int has_schema, fc_shape *shape)
{
    uint64_t payload = fc_align8(key_bytes) + value_bytes;
    shape->flags = has_schema ? FC_BLOCK_SCHEMA : 0;
    shape->node_count = 0;
    shape->inline_bytes = payload;
    if (FC_UNLIKELY(fc_payload_off(shape->flags) + payload > FC_HEAD_BYTES_MAX)) {
        shape->flags |= FC_BLOCK_CHAIN;
        shape->node_count = payload / FC_NODE_PAYLOAD;
        shape->inline_bytes = payload % FC_NODE_PAYLOAD;
        if (fc_payload_off(shape->flags) + shape->inline_bytes > FC_HEAD_BYTES_MAX) {
            shape->node_count++;
            shape->inline_bytes = 0;
        }
    }
    shape->head_bytes = fc_payload_off(shape->flags) + shape->inline_bytes;
}

/* ------------------------------------------------------------------ reading */

/* A block's fields as they were copied out. */
typedef struct fc_view {
    const fc_block *block;
    uint64_t stamp;
    uint64_t hash;
    uint64_t expires_unix_ns;
    uint64_t written_unix_ns;
    uint64_t value_bytes;
    uint64_t inline_bytes;
    uint64_t flush_generation;
    uint32_t key_bytes;
    uint32_t database;
    uint32_t writer_slot;
    uint32_t type;
    uint32_t flags;
    uint32_t kind;
} fc_view;

static inline int fc_ref_is_block(const fc_session *session, fc_ref ref)
{
    return ref >= session->arena_off && ref <= session->size_bytes - FC_BLOCK_BYTES_MIN;
}

/* Copies the fields. 0 if they cannot be those of a block at this place. Inlined whatever the compiler thinks of its size: so the
 * fields that a reader does not want are never stored, 2 ns of a get. */
static inline __attribute__((always_inline)) int fc_view_load(const fc_session *session, const fc_block *block, fc_view *view)
{
    uint64_t meta = fc_load_relaxed(&block->meta);
    uint64_t lengths = fc_load_relaxed(&block->lengths);
    view->block = block;
    view->hash = fc_load_relaxed(&block->hash);
    view->expires_unix_ns = fc_load_relaxed(&block->expires_unix_ns);
    view->flush_generation = meta >> FC_BLOCK_FLUSH_SHIFT & FC_BLOCK_FLUSH_MASK;
    view->type = (uint32_t)(meta >> FC_BLOCK_TYPE_SHIFT) & 15;
    view->flags = (uint32_t)meta & 15;
    view->key_bytes = (uint32_t)(lengths >> FC_BLOCK_KEY_SHIFT);
    view->value_bytes = lengths >> FC_BLOCK_VALUE_SHIFT & FC_BLOCK_VALUE_MASK;
    view->database = (uint32_t)(lengths >> FC_BLOCK_DATABASE_SHIFT) & 63;
    view->kind = (uint32_t)lengths & 63;
    fc_shape shape;
    fc_block_shape(view->key_bytes, view->value_bytes, (view->flags & FC_BLOCK_SCHEMA) != 0, &shape);
    view->inline_bytes = shape.inline_bytes;
    return view->key_bytes <= FC_KEY_BYTES_MAX && view->value_bytes <= session->cache->geometry.value_bytes_max && shape.flags == view->flags &&
           view->kind - 1 < FC_KIND_PAGE - 1 && fc_offset_of(session, block) + shape.head_bytes <= session->size_bytes;
}

/* The fields that only metadata readers want. */
static inline void fc_view_load_rest(fc_view *view)
{
    view->written_unix_ns = fc_load_relaxed(&view->block->written_unix_ns);
    view->writer_slot = (uint32_t)(fc_load_relaxed(&view->block->prev_writer) >> FC_BLOCK_WRITER_SHIFT);
}

static inline uint64_t fc_view_schema(const fc_view *view)
{
    return (view->flags & FC_BLOCK_SCHEMA) != 0 ? fc_load_relaxed((const uint64_t *)(view->block + 1)) : 0;
}

/* Copies `bytes` of the payload from `from` on, nodes included. 0 if a node is not (any more) of this value. */
int fc_view_copy_payload(const fc_session *session, const fc_view *view, uint64_t from, void *target, uint64_t bytes);
/* 1 if the key of the view is this one; the hash is compared by the caller. */
int fc_view_key_equals_chained(const fc_session *session, const fc_view *view, const void *key);

static inline int fc_view_copy_value(const fc_session *session, const fc_view *view, uint64_t from, void *target, uint64_t bytes)
{
    uint64_t at = fc_align8(view->key_bytes) + from;
    if (FC_LIKELY((view->flags & FC_BLOCK_CHAIN) == 0)) {
        fc_copy_out(target, (const uint8_t *)view->block + fc_payload_off(view->flags) + at, bytes);
        return 1;
    }
    return fc_view_copy_payload(session, view, at, target, bytes);
}

static inline int fc_view_key_equals(const fc_session *session, const fc_view *view, const fc_key *key)
{
    if (view->hash != key->hash || view->key_bytes != key->bytes || view->database != key->database) return 0;
    if (FC_LIKELY((view->flags & FC_BLOCK_CHAIN) == 0))
        return fc_equal((const uint8_t *)view->block + fc_payload_off(view->flags), key->data, key->bytes);
    return fc_view_key_equals_chained(session, view, key->data);
}

static inline uint64_t fc_flush_generation(const fc_session *session, uint32_t database)
{
    return fc_load_acquire(&fc_header_of(session->cache)->flush_generations[database]); /* [flush.generation] */
}

static inline int fc_view_is_flushed(const fc_session *session, const fc_view *view)
{
    return (fc_flush_generation(session, view->database) & FC_BLOCK_FLUSH_MASK) != view->flush_generation;
}

/* ------------------------------------------------------------------ building */

/* What is to be stored. */
typedef struct fc_value {
    const void *data;
    uint64_t bytes;
    uint64_t expires_unix_ns;
    uint64_t schema;           /* 0: none */
    uint32_t type;
    uint64_t flush_generation; /* of the database when the write looked at the key: a value that a flush overtakes is flushed */
    uint64_t chain_stamp;      /* of the nodes on the session's pending list, if the shape has any */
} fc_value;

/* Fills the nodes that the shape asks for, on the session's pending list, and sets value->chain_stamp. `take` gives a page. */
FC_MUST_USE fc_status fc_block_build_nodes(fc_session *session, const fc_key *key, fc_value *value, const fc_shape *shape,
                                           fc_status (*take)(fc_session *session, fc_ref *list, fc_ref *page));

/* Builds the head in the block at the top of the magazine of `kind`, where it stays until it is published. Under the home's lock.
 * *word is what goes into the entry. */
FC_MUST_USE fc_status fc_block_build(fc_session *session, const fc_key *key, const fc_value *value, const fc_shape *shape, uint32_t kind, uint64_t *word);

/* The same as a copy of `source`, chain, write time and flush generation included, with another expiry. */
FC_MUST_USE fc_status fc_block_build_copy(fc_session *session, const fc_view *source, uint64_t expires_unix_ns, uint32_t kind, uint64_t *word);

#endif
