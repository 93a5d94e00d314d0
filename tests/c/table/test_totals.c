/* test_totals.c -- the statistics (csrc/table/totals.c). */
#include "../memory/audit.h"

/* Every counter counts what its name says. */
static void counters_count_what_they_say(void)
{
    fixture made = check_open(1 << 20);
    fc_key key = check_key(&made, "k"), missing = check_key(&made, "missing");
    fc_write writes[2] = {{"v", 1, 0, 0}, {"v", 1, 0, 0}};
    fc_key keys[2] = {key, check_key(&made, "other")};
    CHECK_OK(check_set(&made, "k", "v"));
    CHECK(check_holds(&made, "k", "v"));
    CHECK(check_holds(&made, "missing", NULL));
    CHECK_STATUS(FC_MISS, fc_exists(made.session, &missing));
    CHECK_OK(fc_set_many(made.session, keys, writes, 2, 0));
    CHECK_OK(fc_delete(made.session, &key));
    CHECK_STATUS(FC_MISS, fc_delete(made.session, &key));
    fc_stats all = check_stats(&made), own;
    CHECK(all.gets == 3 && all.hits == 1 && all.misses == 2 && all.sets == 3 && all.deletes == 1 && all.multi_commits == 1 && all.key_count == 1);
    CHECK(all.evicted == 0 && all.expired == 0 && all.recoveries == 0 && all.busy == 0 && all.out_of_memory == 0 && all.sessions_used == 1);
    CHECK_OK(fc_session_stats(made.session, &own));
    CHECK(memcmp(&all, &own, sizeof all) == 0); /* there was no other session */
    CHECK_OK(fc_session_close(made.session));
    CHECK_OK(fc_session_open(made.cache, &made.session));
    CHECK_OK(fc_session_stats(made.session, &own));
    CHECK(own.gets == 0 && own.sets == 0 && own.key_count == 1);
    CHECK_EQUAL(3, check_stats(&made).gets);
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_session_stats(made.session, NULL));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_cache_stats(made.cache, NULL));
    check_close(&made);
}

/* Memory figures are exact to the block, for every size of value. */
static void used_bytes_are_exact_to_the_block(void)
{
    fixture made = check_open(4 << 20);
    static char value[200000];
    fc_key key = check_key(&made, "12345678");
    CHECK_EQUAL(0, check_stats(&made).used_bytes);
    for (uint64_t bytes = 0; bytes <= sizeof value; bytes = bytes * 5 / 4 + 1) {
        fc_shape shape;
        fc_block_shape(8, bytes, 0, &shape);
        CHECK_OK(fc_set(made.session, &key, value, bytes, NULL, NULL));
        fc_stats stats = check_stats(&made);
        CHECK_EQUAL(fc_class_bytes[fc_class_for(shape.head_bytes)] + shape.node_count * FC_PAGE_BYTES, stats.used_bytes);
        CHECK_EQUAL(stats.arena_bytes, stats.used_bytes + stats.magazine_bytes + stats.free_bytes);
    }
    CHECK_OK(fc_delete(made.session, &key));
    audit_empty(made.session);
    check_close(&made);
}

typedef struct class_sums {
    uint32_t visited, stop_after, bytes_before;
    uint64_t pages, used_bytes, magazine_bytes, used_buckets, free_pages;
    fc_class_info of_104, of_pages;
} class_sums;

static int32_t add_class(void *context, const fc_class_info *info)
{
    class_sums *sums = context;
    uint64_t used = info->blocks - info->free_blocks - info->magazine_blocks;
    CHECK((info->kind == FC_CLASS_FREE) == (sums->visited == 0));
    CHECK(info->kind != FC_CLASS_VALUES || info->block_bytes > sums->bytes_before);
    if (info->kind != FC_CLASS_FREE) sums->bytes_before = info->block_bytes;
    if (info->kind == FC_CLASS_FREE) sums->free_pages = info->pages;
    if (info->kind == FC_CLASS_BUCKETS) sums->used_buckets = used;
    if (info->kind == FC_CLASS_PAGES) sums->of_pages = *info;
    if (info->kind == FC_CLASS_VALUES && info->block_bytes == 104) sums->of_104 = *info;
    CHECK_EQUAL(info->pages * (FC_PAGE_BYTES / info->block_bytes), info->blocks);
    sums->pages += info->pages;
    sums->used_bytes += used * info->block_bytes;
    sums->magazine_bytes += info->magazine_blocks * info->block_bytes;
    return ++sums->visited == sums->stop_after;
}

/* The memory by size class adds up to the totals, and says where each block is. */
static void classes_add_up(void)
{
    fixture made = check_open(2 << 20);
    static char value[100000];
    char text[17];
    for (int i = 0; i < 5000; i++) { /* 16 + 32 bytes: blocks of 104 */
        snprintf(text, sizeof text, "key %012d", i);
        fc_key key = check_key(&made, text);
        CHECK_OK(fc_set(made.session, &key, value, 32, NULL, NULL));
    }
    fc_key key = check_key(&made, "long");
    CHECK_OK(fc_set(made.session, &key, value, sizeof value, NULL, NULL));
    class_sums sums = {0};
    CHECK_OK(fc_cache_classes(made.cache, add_class, &sums));
    fc_stats stats = check_stats(&made);
    CHECK_EQUAL(stats.arena_bytes, sums.pages * FC_PAGE_BYTES);
    CHECK_EQUAL(stats.used_bytes, sums.used_bytes);
    CHECK_EQUAL(stats.magazine_bytes, sums.magazine_bytes);
    CHECK_EQUAL(stats.extension_buckets, sums.used_buckets);
    CHECK_EQUAL(stats.pages_free, sums.free_pages);
    CHECK(sums.used_buckets > 0);
    CHECK_EQUAL(5000, sums.of_104.blocks - sums.of_104.free_blocks - sums.of_104.magazine_blocks);
    CHECK(sums.of_104.magazine_blocks > 0);
    CHECK_EQUAL(3, sums.of_pages.pages);
    CHECK_EQUAL(0, sums.of_pages.free_blocks);
    class_sums stopped = {.stop_after = 2};
    CHECK_OK(fc_cache_classes(made.cache, add_class, &stopped));
    CHECK_EQUAL(2, stopped.visited);
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_cache_classes(NULL, add_class, &sums));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_cache_classes(made.cache, NULL, &sums));
    check_close(&made);
}

int main(void)
{
    RUN(classes_add_up);
    RUN(counters_count_what_they_say);
    RUN(used_bytes_are_exact_to_the_block);
    return check_report();
}
