/* totals.c -- statistics: counters as sums over the slots, memory as counted from the pages themselves.
 *
 * used_bytes is not kept anywhere: it is the blocks that their pages do not call free, less those in magazines. So it is right after
 * every crash, without anything to repair.
 */
#include "memory/count.h"
#include "memory/page.h"

/* The pages of one kind. */
typedef struct kind_totals {
    uint64_t pages;
    uint64_t free_blocks;      /* in their pages */
    uint64_t magazine_blocks;
} kind_totals;

/* Damaged descriptors and magazines are left out. */
static void count_kinds(const fc_cache *cache, kind_totals kinds[FC_KIND_COUNT])
{
    const fc_page *pages = (const fc_page *)(cache->base + cache->geometry.pages_off);
    memset(kinds, 0, FC_KIND_COUNT * sizeof *kinds);
    for (uint64_t i = 0; i < cache->geometry.page_count; i++) {
        uint64_t kind_free = fc_load_relaxed(&pages[i].kind_free);
        uint32_t kind = fc_page_kind(kind_free), free_count = fc_page_free_count(kind_free);
        if (kind >= FC_KIND_COUNT || (kind != FC_KIND_FREE && free_count > fc_class_blocks(kind))) continue;
        kinds[kind].pages++;
        kinds[kind].free_blocks += free_count;
    }
    for (uint32_t i = 0; i < fc_slot_count(cache); i++)
        for (uint32_t kind = 1; kind < FC_KIND_COUNT; kind++) {
            uint64_t count = fc_load_relaxed(&fc_slot_at(cache, i)->magazines[kind].count);
            if (count <= FC_MAGAZINE_REFS) kinds[kind].magazine_blocks += count;
        }
}

static void sum_memory(const fc_cache *cache, fc_stats *stats)
{
    kind_totals kinds[FC_KIND_COUNT];
    uint64_t allocated = 0;
    count_kinds(cache, kinds);
    for (uint32_t kind = 1; kind < FC_KIND_COUNT; kind++) {
        allocated += (kinds[kind].pages * fc_class_blocks(kind) - kinds[kind].free_blocks) * fc_class_bytes[kind];
        stats->magazine_bytes += kinds[kind].magazine_blocks * fc_class_bytes[kind];
    }
    stats->pages_free = (uint32_t)kinds[FC_KIND_FREE].pages;
    stats->arena_bytes = cache->geometry.page_count * FC_PAGE_BYTES;
    stats->used_bytes = allocated > stats->magazine_bytes ? allocated - stats->magazine_bytes : 0;
    stats->free_bytes = stats->arena_bytes - stats->used_bytes - stats->magazine_bytes;
    const kind_totals *buckets = &kinds[FC_KIND_BUCKETS];
    stats->extension_buckets = buckets->pages * fc_class_blocks(FC_KIND_BUCKETS) - buckets->free_blocks - buckets->magazine_blocks;
}

static fc_class_info class_of(uint32_t kind, const kind_totals *totals)
{
    if (kind == FC_KIND_FREE)
        return (fc_class_info){.kind = FC_CLASS_FREE, .block_bytes = FC_PAGE_BYTES, .pages = totals->pages, .blocks = totals->pages, .free_blocks = totals->pages};
    return (fc_class_info){
        .kind = kind == FC_KIND_BUCKETS ? FC_CLASS_BUCKETS : kind == FC_KIND_PAGE ? FC_CLASS_PAGES : FC_CLASS_VALUES,
        .block_bytes = fc_class_bytes[kind],
        .pages = totals->pages,
        .blocks = totals->pages * fc_class_blocks(kind),
        .free_blocks = totals->free_blocks,
        .magazine_blocks = totals->magazine_blocks,
    };
}

fc_status fc_cache_classes(const fc_cache *cache, int32_t (*visit)(void *context, const fc_class_info *info), void *context)
{
    kind_totals kinds[FC_KIND_COUNT];
    if (cache == NULL || visit == NULL) return fc_fail(FC_INVALID_ARGUMENT, "NULL");
    count_kinds(cache, kinds);
    for (uint32_t kind = 0; kind < FC_KIND_COUNT; kind++) {
        fc_class_info info = class_of(kind, &kinds[kind]);
        if ((kind == FC_KIND_FREE || info.pages > 0) && visit(context, &info) != 0) break;
    }
    return FC_OK;
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
