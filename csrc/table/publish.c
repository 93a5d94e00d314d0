/* publish.c -- see publish.h. */
#include "table/publish.h"

#include "memory/count.h"
#include "memory/journal.h"
#include "memory/retire.h"
#include "table/reclaim.h"

/* Does the entry hold this key? Under the lock nothing moves, but bytes may be damaged. */
static int holds_key(const fc_session *session, const fc_key *key, uint64_t word, fc_view *view)
{
    fc_ref ref = word & FC_ENTRY_REF_MASK;
    if (word >> FC_ENTRY_TAG_SHIFT != key->hash >> FC_ENTRY_TAG_SHIFT || (word & FC_ENTRY_MARK) != 0 || !fc_ref_is_block(session, ref)) return 0;
    const fc_block *block = fc_at(session, ref);
    if (!fc_view_load(session, block, view) || !fc_view_key_equals(session, view, key)) return 0;
    view->stamp = fc_load_relaxed(&block->stamp);
    return 1;
}

fc_status fc_place_find(fc_session *session, const fc_key *key, fc_bucket *home, fc_place *place)
{
    int damaged = 0;
    uint32_t bucket_count = 0;
    /* Field by field: zeroing the whole, view included, costs 7 ns of a set's 76. */
    place->home = home;
    place->entry = place->vacant = NULL;
    place->last = NULL;
    place->word = 0;
    place->alive = 0;
    for (fc_bucket *bucket = home; bucket != NULL; bucket = fc_bucket_next(session, bucket, &damaged)) {
        for (uint32_t i = 0; i < FC_BUCKET_ENTRIES; i++) {
            uint64_t word = fc_load_relaxed(&bucket->entries[i]);
            uint32_t mark_index = bucket_count == 0 ? i : FC_MARK_EXTENSIONS;
            if (word == 0) {
                if (place->vacant == NULL) {
                    place->vacant = &bucket->entries[i];
                    place->vacant_mark = mark_index;
                }
            } else if (place->entry == NULL && holds_key(session, key, word, &place->view)) {
                place->entry = &bucket->entries[i];
                place->word = word;
                place->mark_index = mark_index;
                place->alive = fc_view_is_alive(session, &place->view);
                return FC_OK;
            }
        }
        place->last = bucket;
        if (++bucket_count > FC_CHAIN_BUCKETS_MAX) return fc_fail(FC_CORRUPT, "a chain of buckets has no end");
    }
    return damaged ? fc_fail(FC_CORRUPT, "a bucket's link leads out of the arena") : FC_OK;
}

fc_status fc_place_make_room(fc_session *session, fc_place *place)
{
    if (FC_LIKELY(place->vacant != NULL)) return FC_OK;
    uint32_t kind = FC_KIND_BUCKETS;
    FC_TRY(fc_reclaim_reserve(session, &kind));
    const fc_magazine *magazine = &session->slot->magazines[kind];
    fc_ref ref = fc_load_relaxed(&magazine->refs[fc_load_relaxed(&magazine->count) - 1]);
    fc_bucket *bucket = fc_at(session, ref);
    uint64_t *words = fc_at(session, ref);
    for (uint32_t i = 0; i < sizeof(fc_bucket) / 8; i++) fc_store_relaxed(&words[i], 0);
    /* owner and link share a word: the owner must not change under us while we hold it, and does not. */
    uint64_t *owner_link = (uint64_t *)(void *)&place->last->owner;
    uint64_t owner = fc_load32_relaxed(&place->last->owner);
    fc_redo_begin(session);
    fc_redo_add(session, owner_link, owner | (ref / sizeof(fc_bucket)) << 32); /* [bucket.link] */
    fc_retire_redo_take(session, kind);
    fc_redo_commit(session);
    place->last = bucket;
    place->vacant = &bucket->entries[0];
    place->vacant_mark = FC_MARK_EXTENSIONS;
    return FC_OK;
}

void fc_publish(fc_session *session, fc_bucket *home, uint64_t *entry, uint64_t old_word, uint64_t new_word, uint32_t kind, int keep_chain)
{
    fc_redo_begin(session);
    fc_redo_add(session, entry, new_word);
    fc_redo_add(session, &home->version, fc_load_relaxed(&home->version) + 1);
    if (old_word != 0 && kind != 0) fc_retire_redo_swap(session, kind, old_word & FC_ENTRY_REF_MASK, keep_chain);
    else if (old_word != 0) fc_retire_redo_block(session, old_word & FC_ENTRY_REF_MASK, keep_chain);
    else fc_retire_redo_take(session, kind);
    /* The nodes in hand go with the new block; a removal (an eviction while they are being built) has nothing to do with them. */
    if (new_word != 0 && fc_load_relaxed(&session->slot->pending) != 0) fc_redo_add(session, &session->slot->pending, 0);
    fc_count_redo_change(session, old_word, new_word);
    fc_redo_commit(session);
}

static int is_empty(const fc_bucket *bucket)
{
    uint64_t words = 0;
    for (uint32_t i = 0; i < FC_BUCKET_ENTRIES; i++) words |= fc_load_relaxed(&bucket->entries[i]);
    return words == 0;
}

void fc_chain_trim(fc_session *session, fc_bucket *home)
{
    for (;;) {
        int damaged = 0;
        fc_bucket *before = home, *last = fc_bucket_next(session, home, &damaged), *next;
        if (last == NULL) return;
        uint32_t bucket_count = 0;
        while ((next = fc_bucket_next(session, last, &damaged)) != NULL && bucket_count++ < FC_CHAIN_BUCKETS_MAX) {
            before = last;
            last = next;
        }
        if (next != NULL || damaged || !is_empty(last)) return;
        fc_redo_begin(session);
        fc_redo_add(session, &before->owner, fc_load32_relaxed(&before->owner));
        fc_retire_redo_bucket(session, fc_offset_of(session, last));
        fc_redo_commit(session);
    }
}
