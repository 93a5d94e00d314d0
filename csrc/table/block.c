/* block.c -- see block.h: the parts that are long, or rare. */
#include "table/block.h"

#include "base/clock.h"
#include "memory/session.h"

/* ------------------------------------------------------------------ reading */

/* Copies from one node after its stamp was found right; 0 if it is not the chain's any more. */
static int copy_node(const fc_session *session, fc_ref ref, uint64_t chain_stamp, uint64_t from, void *target, uint64_t bytes, fc_ref *next)
{
    if (ref < session->arena_off || ref > session->size_bytes - FC_PAGE_BYTES || ref % 8 != 0) return 0;
    const fc_node *node = fc_at(session, ref);
    if (fc_load_acquire(&node->stamp) != chain_stamp) return 0; /* [block.stamp] */
    *next = fc_load_relaxed(&node->next);
    if (bytes > 0) {
        const uint8_t *source = (const uint8_t *)(node + 1) + from;
        if (((uintptr_t)source & 7) == 0) fc_copy_out(target, source, bytes);
        else fc_copy_out_slow(target, source, bytes);
    }
    fc_fence_acquire(); /* [block.reuse] */
    return fc_load_relaxed(&node->stamp) == chain_stamp;
}

int fc_view_copy_payload(const fc_session *session, const fc_view *view, uint64_t from, void *target, uint64_t bytes)
{
    uint8_t *to = target;
    if (from < view->inline_bytes) {
        uint64_t here = view->inline_bytes - from < bytes ? view->inline_bytes - from : bytes;
        fc_copy_out(to, (const uint8_t *)view->block + fc_payload_off(view->flags) + from, here);
        to += here;
        from += here;
        bytes -= here;
    }
    if (bytes == 0) return 1;
    const fc_chain *chain = (const fc_chain *)((const uint8_t *)view->block + fc_payload_off(view->flags) - sizeof(fc_chain));
    fc_ref ref = fc_load_relaxed(&chain->first);
    uint64_t chain_stamp = fc_load_relaxed(&chain->stamp);
    from -= view->inline_bytes;
    for (; bytes > 0; from = from > FC_NODE_PAYLOAD ? from - FC_NODE_PAYLOAD : 0) {
        uint64_t here = from >= FC_NODE_PAYLOAD ? 0 : FC_NODE_PAYLOAD - from;
        if (here > bytes) here = bytes;
        if (!copy_node(session, ref, chain_stamp, from, to, here, &ref)) return 0;
        to += here;
        bytes -= here;
    }
    return 1;
}

int fc_view_key_equals_chained(const fc_session *session, const fc_view *view, const void *key)
{
    uint8_t piece[512];
    const uint8_t *with = key;
    for (uint64_t at = 0; at < view->key_bytes; at += sizeof piece) {
        uint64_t bytes = view->key_bytes - at < sizeof piece ? view->key_bytes - at : sizeof piece;
        if (!fc_view_copy_payload(session, view, at, piece, bytes) || memcmp(piece, with + at, bytes) != 0) return 0;
    }
    return 1;
}

/* ------------------------------------------------------------------ building */

/* Writes bytes [from, from + bytes) of the payload: key, padding, value. */
static void write_payload(uint8_t *target, uint64_t from, uint64_t bytes, const fc_key *key, const fc_value *value)
{
    static const uint8_t zeroes[8];
    uint64_t value_at = fc_align8(key->bytes);
    if (from < key->bytes && bytes > 0) {
        uint64_t here = key->bytes - from < bytes ? key->bytes - from : bytes;
        fc_copy_in(target, (const uint8_t *)key->data + from, here);
        target += here;
        from += here;
        bytes -= here;
    }
    if (from >= key->bytes && from < value_at && bytes > 0) {
        uint64_t here = value_at - from < bytes ? value_at - from : bytes;
        fc_copy_in(target, zeroes, here);
        target += here;
        from += here;
        bytes -= here;
    }
    if (bytes > 0) fc_copy_in(target, (const uint8_t *)value->data + (from - value_at), bytes);
}

fc_status fc_block_build_nodes(fc_session *session, const fc_key *key, fc_value *value, const fc_shape *shape,
                               fc_status (*take)(fc_session *session, fc_ref *list, fc_ref *page))
{
    uint64_t payload = fc_align8(key->bytes) + value->bytes;
    FC_TRY(fc_session_stamp(session, &value->chain_stamp));
    /* From the last to the first: the pending list, linked at its head, then is the chain. */
    for (uint64_t i = shape->node_count; i-- > 0;) {
        fc_ref ref;
        uint64_t from = shape->inline_bytes + i * FC_NODE_PAYLOAD;
        uint64_t bytes = payload - from < FC_NODE_PAYLOAD ? payload - from : FC_NODE_PAYLOAD;
        FC_TRY(take(session, &session->slot->pending, &ref));
        fc_node *node = fc_at(session, ref);
        fc_store_relaxed(&node->hash, key->hash);
        write_payload((uint8_t *)(node + 1), from, bytes, key, value);
        fc_store_release(&node->stamp, value->chain_stamp); /* [block.stamp] */
    }
    return FC_OK;
}

/* Everything of a head but stamp, key and value. */
static void write_head(fc_session *session, fc_block *block, uint64_t hash, const fc_value *value, uint64_t written_unix_ns, uint32_t key_bytes,
                       uint32_t database, uint32_t flags, uint32_t kind)
{
    uint64_t generation = value->flush_generation & FC_BLOCK_FLUSH_MASK;
    uint64_t epoch = fc_load_seq_cst(&fc_header_of(session->cache)->epoch);
    fc_store_relaxed(&block->hash, hash);
    fc_store_relaxed(&block->expires_unix_ns, value->expires_unix_ns);
    fc_store_relaxed(&block->written_unix_ns, written_unix_ns);
    fc_store_relaxed(&block->prev_writer, (uint64_t)session->slot_index << FC_BLOCK_WRITER_SHIFT);
    fc_store_relaxed(&block->meta, epoch << FC_BLOCK_EPOCH_SHIFT | generation << FC_BLOCK_FLUSH_SHIFT | value->type << FC_BLOCK_TYPE_SHIFT | flags);
    fc_store_relaxed(&block->lengths, (uint64_t)key_bytes << FC_BLOCK_KEY_SHIFT | value->bytes << FC_BLOCK_VALUE_SHIFT |
                                          (uint64_t)database << FC_BLOCK_DATABASE_SHIFT | kind);
}

/* The block at the top of the magazine, its stamp zeroed before anything else of it changes. */
static fc_block *begin_block(fc_session *session, uint32_t kind, fc_ref *ref)
{
    const fc_magazine *magazine = &session->slot->magazines[kind];
    FC_ASSERT(fc_load_relaxed(&magazine->count) > 0);
    *ref = fc_load_relaxed(&magazine->refs[fc_load_relaxed(&magazine->count) - 1]);
    fc_block *block = fc_at(session, *ref);
    fc_store_release(&block->stamp, 0); /* [block.reuse]: for who reads this word as part of what was here before */
    fc_fence_release();                 /* [block.reuse]: before anything else of it changes */
    return block;
}

fc_status fc_block_build(fc_session *session, const fc_key *key, const fc_value *value, const fc_shape *shape, uint32_t kind, uint64_t *word)
{
    fc_ref ref;
    uint64_t stamp;
    FC_TRY(fc_session_stamp(session, &stamp));
    fc_block *block = begin_block(session, kind, &ref);
    write_head(session, block, key->hash, value, fc_tick_clock_unix_ns(&session->tick_clock), key->bytes, key->database, shape->flags, kind);
    uint64_t *extra = (uint64_t *)(block + 1);
    if ((shape->flags & FC_BLOCK_SCHEMA) != 0) fc_store_relaxed(extra++, value->schema);
    if ((shape->flags & FC_BLOCK_CHAIN) != 0) {
        fc_store_relaxed(extra++, fc_load_relaxed(&session->slot->pending));
        fc_store_relaxed(extra++, value->chain_stamp);
    }
    write_payload((uint8_t *)extra, 0, shape->inline_bytes, key, value);
    fc_store_release(&block->stamp, stamp); /* [block.stamp] */
    *word = key->hash >> FC_ENTRY_TAG_SHIFT << FC_ENTRY_TAG_SHIFT | ref;
    return FC_OK;
}

fc_status fc_block_build_copy(fc_session *session, const fc_view *source, uint64_t expires_unix_ns, uint32_t kind, uint64_t *word)
{
    fc_ref ref;
    uint64_t stamp;
    fc_value value = {.bytes = source->value_bytes, .expires_unix_ns = expires_unix_ns, .type = source->type, .flush_generation = source->flush_generation};
    FC_TRY(fc_session_stamp(session, &stamp));
    fc_block *block = begin_block(session, kind, &ref);
    write_head(session, block, source->hash, &value, fc_load_relaxed(&source->block->written_unix_ns), source->key_bytes, source->database, source->flags, kind);
    uint64_t body_bytes = fc_payload_off(source->flags) - sizeof(fc_block) + source->inline_bytes;
    const uint64_t *from = (const uint64_t *)(source->block + 1);
    uint64_t *to = (uint64_t *)(block + 1);
    for (uint64_t i = 0; i < fc_align8(body_bytes) / 8; i++) fc_store_relaxed(&to[i], fc_load_relaxed(&from[i]));
    fc_store_release(&block->stamp, stamp); /* [block.stamp] */
    *word = source->hash >> FC_ENTRY_TAG_SHIFT << FC_ENTRY_TAG_SHIFT | ref;
    return FC_OK;
}
