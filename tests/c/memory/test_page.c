/* test_page.c -- blocks on their way from pages to sessions and back (csrc/memory/page.c): A1 to A4. */
#include "audit.h"
#include "memory/journal.h"
#include "memory/lock.h"

/* A refill takes half a magazine from one page, which gets the kind; a flush brings it back, and the page is free again. */
static void a_refill_and_a_flush_are_inverse_for_every_kind(void)
{
    fixture made = check_open(4 << 20);
    fc_session *s = made.session;
    for (uint32_t kind = 1; kind < FC_KIND_COUNT; kind++) {
        if (kind == FC_KIND_PAGE) continue;
        CHECK_OK(fc_page_refill(s, kind));
        uint64_t count = s->slot->magazines[kind].count;
        uint32_t wanted = (s->magazine_refs[kind] + 1u) / 2;
        CHECK_EQUAL(wanted < fc_class_blocks(kind) ? wanted : fc_class_blocks(kind), count);
        CHECK_EQUAL(count * fc_class_bytes[kind], check_stats(&made).magazine_bytes);
        audit_segment(s);
        CHECK(fc_page_flush_magazines(s));
        CHECK_EQUAL(0, check_stats(&made).magazine_bytes);
        audit_empty(s);
    }
    CHECK_EQUAL(s->cache->geometry.page_count - 1, check_stats(&made).pages_free); /* the buckets' page stays theirs */
    check_close(&made);
}

/* All magazines full at once stay within a quarter of the arena for all sessions together, or one block of each kind. */
static void magazines_hold_a_share_of_the_arena(void)
{
    static const uint64_t sizes[] = {1 << 20, 16 << 20, 64 << 20};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        fixture made = check_open(sizes[i]);
        uint64_t bytes = 0, least = 0, arena = check_stats(&made).arena_bytes;
        for (uint32_t kind = 1; kind < FC_KIND_COUNT; kind++) {
            bytes += (uint64_t)made.session->magazine_refs[kind] * fc_class_bytes[kind];
            least += fc_class_bytes[kind];
        }
        CHECK(bytes <= arena / 4 / 16 + least);
        CHECK(bytes <= (256 << 10) + least);
        check_close(&made);
    }
}

/* Every block of the segment can be taken, one after the other, and none twice; then the refill says so; then all come back. */
static void every_block_can_be_taken_once(void)
{
    static const uint32_t kinds[] = {1, 7, 20, 33, 43, FC_KIND_BUCKETS};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        fixture made = check_open(2 << 20);
        fc_session *s = made.session;
        uint32_t kind = kinds[i];
        uint64_t taken = 0, limit = s->cache->geometry.page_count * fc_class_blocks(kind);
        uint8_t *seen = calloc(s->size_bytes / 64, 1);
        fc_ref *refs = malloc((limit + 8) * sizeof *refs);
        while (fc_page_refill(s, kind) == FC_OK) {
            fc_magazine *magazine = &s->slot->magazines[kind];
            for (; magazine->count > 0; magazine->count--) {
                fc_ref ref = magazine->refs[magazine->count - 1];
                CHECK_EQUAL(0, seen[ref / 64]++);
                REQUIRE(taken <= limit);
                refs[taken++] = ref;
            }
        }
        CHECK_EQUAL(limit, taken);
        CHECK_EQUAL(0, check_stats(&made).pages_free);
        CHECK_EQUAL(limit * fc_class_bytes[kind], check_stats(&made).used_bytes);
        for (uint64_t j = 0; j < taken; j++) { /* through the garbage list, as a writer would */
            uint32_t list = kind == FC_KIND_BUCKETS ? FC_GARBAGE_BUCKETS : FC_GARBAGE_BLOCKS;
            uint64_t *words = fc_at(s, refs[j]);
            words[0] = 0;
            words[list == FC_GARBAGE_BUCKETS ? 0 : 1] = s->slot->garbage[list];
            s->slot->garbage[list] = refs[j];
            if (j % 100 == 0) fc_page_drain(s);
        }
        fc_page_drain(s);
        audit_empty(s);
        free(refs);
        free(seen);
        check_close(&made);
    }
}

/* Whole pages come one by one onto a list of the journal, linked; all of them, and then no more. */
static void whole_pages_are_taken_onto_a_list(void)
{
    fixture made = check_open(2 << 20);
    fc_session *s = made.session;
    uint64_t count = 0, page_count = s->cache->geometry.page_count;
    fc_ref page = 0, before = 0;
    fc_status status;
    while ((status = fc_page_take(s, &s->slot->pending, &page)) == FC_OK) {
        CHECK_EQUAL(page, s->slot->pending);
        CHECK_EQUAL(before, ((fc_node *)fc_at(s, page))->next);
        CHECK_EQUAL(0, ((fc_node *)fc_at(s, page))->stamp);
        before = page;
        if (++count > page_count) break;
    }
    CHECK_STATUS(FC_OUT_OF_MEMORY, status);
    CHECK_EQUAL(page_count, count);
    s->slot->garbage[FC_GARBAGE_NODES] = s->slot->pending;
    s->slot->pending = 0;
    fc_page_drain(s);
    CHECK_EQUAL(page_count, check_stats(&made).pages_free);
    audit_empty(s);
    check_close(&made);
}

/* P13: a page that somebody holds delays nothing: refills take other pages, and drains leave its blocks for later. */
static void a_locked_page_is_passed_by(void)
{
    fixture made = check_open(2 << 20);
    fc_session *s = made.session;
    uint32_t kind = 10;
    CHECK_OK(fc_page_refill(s, kind));
    uint64_t page_index = fc_page_index_of(s, s->slot->magazines[kind].refs[0]);
    fc_page *page = fc_page_at(s, page_index);
    page->owner = s->owner_word ^ 0x10000; /* of nobody who could be settled */
    uint64_t held = s->slot->magazines[kind].count;
    CHECK(!fc_page_flush_magazines(s));
    CHECK(s->garbage);
    CHECK_EQUAL(0, s->slot->magazines[kind].count);
    CHECK_EQUAL(held * fc_class_bytes[kind], check_stats(&made).used_bytes);
    CHECK_OK(fc_page_refill(s, kind));
    CHECK(fc_page_index_of(s, s->slot->magazines[kind].refs[0]) != page_index);
    page->owner = 0;
    CHECK(fc_page_flush_magazines(s));
    audit_empty(s);
    check_close(&made);
}

/* In a drain, blocks behind one whose page is locked still come back; the list stays whole. */
static void a_drain_goes_past_a_stuck_block(void)
{
    for (int stuck_at = 0; stuck_at < 3; stuck_at++) {
        fixture made = check_open(2 << 20);
        fc_session *s = made.session;
        fc_ref pages[3], ref;
        for (int i = 0; i < 3; i++) {
            REQUIRE_OK(fc_page_take(s, &s->slot->garbage[FC_GARBAGE_NODES], &ref));
            pages[2 - i] = ref;
        }
        fc_page *page = fc_page_at(s, fc_page_index_of(s, pages[stuck_at]));
        page->owner = s->owner_word ^ 0x10000;
        fc_page_drain(s);
        CHECK(s->garbage);
        CHECK_EQUAL(pages[stuck_at], s->slot->garbage[FC_GARBAGE_NODES]);
        CHECK_EQUAL(0, ((fc_node *)fc_at(s, pages[stuck_at]))->next);
        CHECK_EQUAL(FC_PAGE_BYTES, check_stats(&made).used_bytes);
        page->owner = 0;
        fc_page_drain(s);
        CHECK(!s->garbage);
        audit_empty(s);
        check_close(&made);
    }
}

/* Hints lead over gaps of thousands of pages: with one free page left anywhere, it is found (two levels of bits). */
static void the_last_free_page_is_found_anywhere(void)
{
    fixture made = check_open(CHECK_SANITIZED ? 24 << 20 : 160 << 20);
    fc_session *s = made.session;
    uint64_t page_count = s->cache->geometry.page_count;
    for (uint64_t i = 0; i < page_count; i++) {
        fc_page_at(s, i)->kind_free = fc_page_word(FC_KIND_PAGE, 0);
        fc_page_set_hints(s, i);
    }
    uint64_t seed = 7;
    for (uint64_t round = 0; round < 300; round++) {
        static const uint64_t edges[] = {0, 1, 62, 63, 64, 65, 127, 128, 4031, 4032, 4095, 4096, 4097};
        uint64_t at = round < COUNT_OF(edges) ? edges[round] % page_count : round == COUNT_OF(edges) ? page_count - 1 : check_random(&seed) % page_count;
        fc_page_at(s, at)->kind_free = fc_page_word(FC_KIND_FREE, 0);
        fc_page_set_hints(s, at);
        s->hint_cursor[FC_KIND_FREE] = check_random(&seed) % page_count;
        fc_ref page = 0;
        CHECK_OK(fc_page_take(s, &s->slot->garbage[FC_GARBAGE_NODES], &page));
        CHECK_EQUAL(at, fc_page_index_of(s, page));
        CHECK_STATUS(FC_OUT_OF_MEMORY, fc_page_take(s, &s->slot->garbage[FC_GARBAGE_NODES], &page));
        s->slot->garbage[FC_GARBAGE_NODES] = 0;
    }
    for (uint64_t i = 0; i < page_count; i++) {
        fc_page_at(s, i)->kind_free = fc_page_word(FC_KIND_FREE, 0);
        fc_page_set_hints(s, i);
    }
    audit_empty(s);
    check_close(&made);
}

int main(void)
{
    RUN(a_refill_and_a_flush_are_inverse_for_every_kind);
    RUN(magazines_hold_a_share_of_the_arena);
    RUN(every_block_can_be_taken_once);
    RUN(whole_pages_are_taken_onto_a_list);
    RUN(a_locked_page_is_passed_by);
    RUN(a_drain_goes_past_a_stuck_block);
    RUN(the_last_free_page_is_found_anywhere);
    return check_report();
}
