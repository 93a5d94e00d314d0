/* test_geometry.c -- the division of a segment (csrc/layout/geometry.c), and what a checker refuses. */
#include "../check.h"
#include "layout/geometry.h"

static fc_geometry planned(const fc_options *options)
{
    fc_geometry geometry;
    REQUIRE_OK(fc_geometry_plan(options, 104, &geometry));
    geometry.segment_id = 1;
    geometry.hash_seed = 2;
    geometry.checksum = fc_geometry_checksum(&geometry);
    return geometry;
}

/* Regions follow one another without overlap, are aligned as their structs need, and end inside the segment. */
static void regions_do_not_overlap(void)
{
    static const uint64_t sizes[] = {1 << 20, (1 << 20) + 1, 2 << 20, 3000000, 16 << 20, 64 << 20, UINT64_C(1) << 30, UINT64_C(1) << 34, UINT64_C(256) << 30};
    static const uint64_t keys[] = {0, 1, 1000};
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        for (size_t j = 0; j < COUNT_OF(keys); j++) {
            fc_options options = check_options(sizes[i]);
            options.keys = keys[j];
            fc_geometry g = planned(&options);
            CHECK(g.size_bytes >= sizes[i] && g.size_bytes % FC_PAGE_BYTES == 0 && g.size_bytes - sizes[i] < FC_PAGE_BYTES);
            CHECK(g.sessions_off >= sizeof(fc_header));
            CHECK(g.homes_off >= g.sessions_off + (g.sessions_max + FC_SLOTS_SPARE) * sizeof(fc_slot) && g.homes_off % 64 == 0);
            CHECK(g.marks_off >= g.homes_off + g.home_count * sizeof(fc_bucket));
            CHECK(g.pages_off >= g.marks_off + g.home_count * FC_MARK_BYTES && g.pages_off % 64 == 0);
            CHECK(g.hints_off >= g.pages_off + g.page_count * sizeof(fc_page) && g.hints_off % 8 == 0);
            CHECK(g.arena_off >= g.hints_off + (g.hint_words + g.hint_tops) * 8 * FC_KIND_COUNT && g.arena_off % FC_PAGE_BYTES == 0);
            CHECK(g.arena_off + g.page_count * FC_PAGE_BYTES <= g.size_bytes);
            CHECK(g.arena_off + (g.page_count + 2) * FC_PAGE_BYTES > g.size_bytes); /* hardly anything is wasted */
            CHECK(g.hint_words * 64 >= g.page_count && g.hint_tops * 64 >= g.hint_words);
            CHECK_OK(fc_geometry_check(&g, g.size_bytes));
        }
}

/* Options left at 0 get the documented defaults. */
static void zeroes_mean_defaults(void)
{
    static const struct { uint64_t size_bytes; uint32_t sessions; } rows[] = {{1 << 20, 16}, {8 << 20, 16}, {64 << 20, 128}, {512 << 20, 1024}, {UINT64_C(4) << 30, 1024}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        fc_options options = check_options(rows[i].size_bytes);
        options.sessions_max = 0;
        fc_geometry g = planned(&options);
        CHECK_EQUAL(rows[i].sessions, g.sessions_max);
        CHECK_EQUAL(16, g.databases);
        CHECK_EQUAL(UINT64_C(512) << 20, g.value_bytes_max);
        CHECK_EQUAL(200, g.item_bytes);
        CHECK(g.keys_configured > 0);
    }
}

/* Without `keys` the segment is planned for so many that index and blocks fill it; larger items mean fewer keys. */
static void keys_follow_from_the_item_size(void)
{
    fc_options options = check_options(64 << 20);
    uint64_t before = UINT64_MAX;
    static const uint64_t blocks[] = {64, 104, 288, 4096, 100000};
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        fc_geometry g;
        REQUIRE_OK(fc_geometry_plan(&options, blocks[i], &g));
        CHECK(g.keys_configured < before);
        CHECK(g.keys_configured * blocks[i] <= g.page_count * FC_PAGE_BYTES + blocks[i]);
        CHECK(blocks[i] > 10000 || g.keys_configured * blocks[i] > g.size_bytes / 2);
        before = g.keys_configured;
    }
}

/* Every option outside its range is refused with the status the manual names. */
static void options_out_of_range_are_refused(void)
{
#define ROW(field, value, status) {offsetof(fc_options, field), sizeof ((fc_options *)0)->field, (value), (status)}
    static const struct { size_t offset, bytes; uint64_t value; fc_status status; } rows[] = {
        ROW(size_bytes, 0, FC_SIZE_TOO_SMALL), ROW(size_bytes, FC_SEGMENT_BYTES_MIN - 1, FC_SIZE_TOO_SMALL), ROW(size_bytes, FC_SEGMENT_BYTES_MIN, FC_OK),
        ROW(size_bytes, (UINT64_C(256) << 30) + 1, FC_INVALID_ARGUMENT), ROW(size_bytes, UINT64_MAX, FC_INVALID_ARGUMENT), ROW(size_bytes, UINT64_MAX - 40000, FC_INVALID_ARGUMENT),
        ROW(databases, FC_DATABASES_MAX, FC_OK), ROW(databases, FC_DATABASES_MAX + 1, FC_INVALID_ARGUMENT), ROW(databases, UINT32_MAX, FC_INVALID_ARGUMENT),
        ROW(sessions_max, 15, FC_INVALID_ARGUMENT), ROW(sessions_max, 1, FC_INVALID_ARGUMENT), ROW(sessions_max, 16, FC_OK), ROW(sessions_max, FC_SESSIONS_LIMIT, FC_OK),
        ROW(sessions_max, FC_SESSIONS_LIMIT + 1, FC_INVALID_ARGUMENT), ROW(value_bytes_max, 1, FC_OK), ROW(value_bytes_max, FC_VALUE_BYTES_LIMIT, FC_OK),
        ROW(value_bytes_max, FC_VALUE_BYTES_LIMIT + 1, FC_INVALID_ARGUMENT), ROW(item_bytes, FC_VALUE_BYTES_LIMIT, FC_OK),
        ROW(item_bytes, (uint64_t)FC_VALUE_BYTES_LIMIT + 1, FC_INVALID_ARGUMENT), ROW(item_bytes, UINT64_MAX, FC_INVALID_ARGUMENT), ROW(policy, 2, FC_OK),
        ROW(policy, 3, FC_INVALID_ARGUMENT), ROW(mode, 0600, FC_OK), ROW(mode, 0666, FC_OK), ROW(mode, 0, FC_INVALID_ARGUMENT), ROW(mode, 0400, FC_INVALID_ARGUMENT),
        ROW(mode, 0066, FC_INVALID_ARGUMENT), ROW(mode, 01600, FC_INVALID_ARGUMENT), ROW(keys, UINT64_MAX, FC_SIZE_TOO_SMALL), ROW(keys, UINT64_C(1) << 40, FC_SIZE_TOO_SMALL),
        ROW(keys, 64 << 20, FC_SIZE_TOO_SMALL), ROW(keys, 1, FC_OK),
    };
#undef ROW
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        fc_options options = check_options(64 << 20);
        fc_geometry g;
        memcpy((char *)&options + rows[i].offset, &rows[i].value, rows[i].bytes);
        if (!CHECK_STATUS(rows[i].status, fc_geometry_plan(&options, 104, &g))) fprintf(stderr, "  row %zu\n", i);
    }
    fc_options options = check_options(1 << 20);
    fc_geometry g;
    options.sessions_max = 200;
    CHECK_STATUS(FC_SIZE_TOO_SMALL, fc_geometry_plan(&options, 104, &g));
}

/* P11: any bit changed in any byte of the geometry is refused; by the field's own status if it is a field one looks at first. */
static void every_flipped_bit_is_refused(void)
{
    fc_options options = check_options(4 << 20);
    fc_geometry good = planned(&options);
    for (size_t byte = 0; byte < sizeof good; byte++)
        for (int bit = 0; bit < 8; bit++) {
            fc_geometry bad = good;
            ((uint8_t *)&bad)[byte] ^= (uint8_t)(1 << bit);
            fc_status status = fc_geometry_check(&bad, good.size_bytes);
            CHECK(status == FC_FOREIGN_SEGMENT || status == FC_LAYOUT_NEWER || status == FC_LAYOUT_OLDER || status == FC_CORRUPT);
        }
}

/* P11: what each kind of stranger is called. */
static void strangers_are_told_apart(void)
{
    fc_options options = check_options(4 << 20);
    fc_geometry good = planned(&options), bad;
    CHECK_STATUS(FC_TRUNCATED_SEGMENT, fc_geometry_check(&good, good.size_bytes - 1));
    CHECK_STATUS(FC_TRUNCATED_SEGMENT, fc_geometry_check(&good, 0));
    CHECK_OK(fc_geometry_check(&good, good.size_bytes + 1));
    bad = good, bad.magic++;
    CHECK_STATUS(FC_FOREIGN_SEGMENT, fc_geometry_check(&bad, good.size_bytes));
    bad = good, bad.byte_order = 0x04030201u;
    CHECK_STATUS(FC_FOREIGN_SEGMENT, fc_geometry_check(&bad, good.size_bytes));
    bad = good, bad.layout_version++;
    CHECK_STATUS(FC_LAYOUT_NEWER, fc_geometry_check(&bad, good.size_bytes));
    bad = good, bad.layout_version--;
    CHECK_STATUS(FC_LAYOUT_OLDER, fc_geometry_check(&bad, good.size_bytes));
}

/* P11: a right checksum over wrong numbers is refused too, wherever a number could lead out of the mapping or divide by zero. */
static void wrong_numbers_under_a_right_checksum_are_refused(void)
{
#define ROW(field, value) {offsetof(fc_geometry, field), sizeof ((fc_geometry *)0)->field, (value)}
    static const struct { size_t offset, bytes; uint64_t value; } rows[] = {
        ROW(sessions_off, 0), ROW(sessions_off, 8192), ROW(homes_off, 4096), ROW(homes_off, UINT64_MAX), ROW(home_count, 0), ROW(home_count, UINT64_MAX),
        ROW(home_count, UINT64_C(1) << 32), ROW(marks_off, 0), ROW(marks_off, UINT64_MAX - 4), ROW(pages_off, 0), ROW(pages_off, 4097), ROW(page_count, 0), ROW(page_count, 1),
        ROW(page_count, 100000), ROW(page_count, UINT64_MAX), ROW(hints_off, 0), ROW(hint_words, 0), ROW(hint_words, 1000), ROW(hint_tops, 0), ROW(hint_tops, 77),
        ROW(arena_off, 0), ROW(arena_off, 4096), ROW(arena_off, UINT64_MAX), ROW(sessions_max, 0), ROW(sessions_max, 17), ROW(sessions_max, FC_SESSIONS_LIMIT + 1),
        ROW(sessions_max, UINT32_MAX), ROW(databases, 0), ROW(databases, FC_DATABASES_MAX + 1), ROW(page_bytes, 0), ROW(page_bytes, 4096), ROW(page_bytes, 65536),
        ROW(value_bytes_max, (uint64_t)FC_VALUE_BYTES_LIMIT + 1), ROW(value_bytes_max, UINT64_MAX), ROW(size_bytes, UINT64_MAX), ROW(size_bytes, 4096), ROW(size_bytes, 0),
    };
#undef ROW
    fc_options options = check_options(4 << 20);
    fc_geometry good = planned(&options);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        fc_geometry bad = good;
        memcpy((char *)&bad + rows[i].offset, &rows[i].value, rows[i].bytes);
        bad.checksum = fc_geometry_checksum(&bad);
        if (!CHECK(fc_geometry_check(&bad, UINT64_MAX) != FC_OK)) fprintf(stderr, "  row %zu\n", i);
    }
}

/* P11: a layout without session slots, consistent in itself, is refused: bind_slot would divide by zero. */
static void a_consistent_layout_without_slots_is_refused(void)
{
    fc_options options = check_options(4 << 20);
    fc_geometry bad = planned(&options);
    uint64_t moved = 16 * sizeof(fc_slot), arena_end = bad.arena_off + bad.page_count * FC_PAGE_BYTES;
    bad.sessions_max = 0;
    bad.homes_off -= moved;
    bad.marks_off -= moved;
    bad.pages_off -= moved;
    bad.hints_off -= moved;
    bad.arena_off -= moved;
    CHECK_EQUAL(0, moved % FC_PAGE_BYTES);
    CHECK(arena_end <= bad.size_bytes);
    bad.checksum = fc_geometry_checksum(&bad);
    CHECK_STATUS(FC_CORRUPT, fc_geometry_check(&bad, bad.size_bytes));
}

int main(void)
{
    RUN(regions_do_not_overlap);
    RUN(zeroes_mean_defaults);
    RUN(keys_follow_from_the_item_size);
    RUN(options_out_of_range_are_refused);
    RUN(every_flipped_bit_is_refused);
    RUN(strangers_are_told_apart);
    RUN(wrong_numbers_under_a_right_checksum_are_refused);
    RUN(a_consistent_layout_without_slots_is_refused);
    return check_report();
}
