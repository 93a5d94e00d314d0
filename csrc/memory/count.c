/* count.c -- see count.h. */
#include "memory/count.h"

#include "memory/journal.h"

static uint64_t generation_of(const fc_cache *cache, uint32_t database)
{
    return fc_load_acquire(&fc_header_of(cache)->flush_generations[database]); /* [flush.generation] */
}

/* 1 if the word names a block of the database's present generation. */
static int counts(const fc_session *session, uint64_t word, uint64_t generation)
{
    if (word == 0) return 0;
    const fc_block *block = fc_at(session, word & FC_ENTRY_REF_MASK);
    return (fc_load_relaxed(&block->meta) >> FC_BLOCK_FLUSH_SHIFT & FC_BLOCK_FLUSH_MASK) == (generation & FC_BLOCK_FLUSH_MASK);
}

void fc_count_redo_change(fc_session *session, uint64_t old_word, uint64_t new_word)
{
    const fc_block *block = fc_at(session, (new_word != 0 ? new_word : old_word) & FC_ENTRY_REF_MASK);
    if (new_word == 0 && old_word == 0) return;
    uint32_t database = (uint32_t)(fc_load_relaxed(&block->lengths) >> FC_BLOCK_DATABASE_SHIFT) & 63;
    uint64_t generation = generation_of(session->cache, database);
    int64_t change = counts(session, new_word, generation) - counts(session, old_word, generation);
    if (change == 0) return;
    fc_db_count *count = &session->slot->db_counts[database];
    int current = fc_load_relaxed(&count->generation) == generation;
    fc_redo_add(session, &count->delta, (current ? fc_load_relaxed(&count->delta) : 0) + (uint64_t)change);
    if (!current) fc_redo_add(session, &count->generation, generation); /* [count.generation]: after its delta */
}

uint64_t fc_count_keys(const fc_cache *cache, uint32_t database)
{
    uint64_t generation = generation_of(cache, database);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < fc_slot_count(cache); i++) {
        const fc_db_count *count = &fc_slot_at(cache, i)->db_counts[database];
        if (fc_load_acquire(&count->generation) == generation) sum += fc_load_relaxed(&count->delta); /* [count.generation] */
    }
    return (int64_t)sum < 0 ? 0 : sum;
}
