/* totals.c -- statistics: counters as sums over the slots, memory as counted from the pages themselves.
 *
 * used_bytes is not kept anywhere: it is the blocks that their pages do not call free, less those in magazines. So it is right after
 * every crash, without anything to repair.
 */
#include "memory/count.h"
#include "memory/page.h"

static void sum_memory(const fc_cache *cache, fc_stats *stats)
{
    const fc_page *pages = (const fc_page *)(cache->base + cache->geometry.pages_off);
    uint64_t allocated = 0, buckets = 0;
    for (uint64_t i = 0; i < cache->geometry.page_count; i++) {
        uint64_t kind_free = fc_load_relaxed(&pages[i].kind_free);
        uint32_t kind = fc_page_kind(kind_free), free_count = fc_page_free_count(kind_free);
        if (kind == FC_KIND_FREE || kind >= FC_KIND_COUNT || free_count > fc_class_blocks(kind)) {
            stats->pages_free += kind == FC_KIND_FREE;
            continue;
        }
        uint64_t used_count = fc_class_blocks(kind) - free_count;
        allocated += used_count * fc_class_bytes[kind];
        if (kind == FC_KIND_BUCKETS) buckets += used_count;
    }
    for (uint32_t i = 0; i < fc_slot_count(cache); i++) {
        const fc_slot *slot = fc_slot_at(cache, i);
        for (uint32_t kind = 1; kind < FC_KIND_COUNT; kind++) {
            uint64_t count = fc_load_relaxed(&slot->magazines[kind].count);
            if (count > FC_MAGAZINE_REFS) continue;
            stats->magazine_bytes += count * fc_class_bytes[kind];
            if (kind == FC_KIND_BUCKETS) buckets -= count;
        }
    }
    stats->arena_bytes = cache->geometry.page_count * FC_PAGE_BYTES;
    stats->used_bytes = allocated > stats->magazine_bytes ? allocated - stats->magazine_bytes : 0;
    stats->free_bytes = stats->arena_bytes - stats->used_bytes - stats->magazine_bytes;
    stats->extension_buckets = buckets;
}

static void fill_counters(fc_stats *stats, const uint64_t *counters)
{
#define FC_STAT_FILL(NAME, field) stats->field = counters[FC_STAT_##NAME];
    FC_STAT_LIST(FC_STAT_FILL)
#undef FC_STAT_FILL
}

static void fill_segment(const fc_cache *cache, fc_stats *stats)
{
    sum_memory(cache, stats);
    for (uint32_t i = 0; i < cache->geometry.databases; i++) stats->key_count += fc_count_keys(cache, i);
    for (uint32_t i = 0; i < cache->geometry.sessions_max; i++) stats->sessions_used += fc_load_relaxed(&fc_slot_at(cache, i)->identity) != 0;
}

fc_status fc_cache_stats(const fc_cache *cache, fc_stats *stats)
{
    uint64_t counters[FC_STAT_COUNT] = {0};
    if (cache == NULL || stats == NULL) return fc_fail(FC_INVALID_ARGUMENT, "NULL");
    *stats = (fc_stats){0};
    for (uint32_t i = 0; i < fc_slot_count(cache); i++)
        for (uint32_t j = 0; j < FC_STAT_USED; j++) counters[j] += fc_load_relaxed(&fc_slot_at(cache, i)->stats[j]);
    fill_counters(stats, counters);
    fill_segment(cache, stats);
    return FC_OK;
}

fc_status fc_session_stats(fc_session *session, fc_stats *stats)
{
    uint64_t counters[FC_STAT_COUNT];
    FC_TRY(fc_session_enter_read(session));
    if (stats == NULL) return fc_fail(FC_INVALID_ARGUMENT, "NULL");
    for (uint32_t j = 0; j < FC_STAT_COUNT; j++) {
        counters[j] = fc_load_relaxed(&session->stats[j]);
        if (session->slot != NULL) counters[j] -= fc_load_relaxed(&session->slot->stats_base[j]);
    }
    *stats = (fc_stats){0};
    fill_counters(stats, counters);
    fill_segment(session->cache, stats);
    return FC_OK;
}
