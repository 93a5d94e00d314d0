/* page.c -- see page.h.
 *
 * Finding a page   hints[kind] is two levels of bits: a top bit for each word below, a word bit for each page that has free blocks of
 *                  the kind. A session searches from where it found the last one, so that sessions spread over pages.
 * Clearing a top   clear it, look at the word again, set it again if somebody set a bit meanwhile. A death between the two leaves a
 *                  page lock, and the settler looks at the tops of all kinds: which one it was the page itself does not tell any more.
 */
#include "memory/page.h"

#include "memory/journal.h"
#include "memory/lock.h"

#define NO_PAGE UINT64_MAX
/* A search gives up after so many pages in a row that somebody else holds: far more than sessions can hold at once. */
#define LOCKED_PAGES_MAX 64
#define DRAIN_STUCK_MAX 16

/* ------------------------------------------------------------------ hints */

static uint64_t *hint_words(const fc_cache *cache, uint32_t kind)
{
    const fc_geometry *geometry = &cache->geometry;
    return (uint64_t *)(cache->base + geometry->hints_off) + kind * (geometry->hint_words + geometry->hint_tops);
}

static void set_hint(const fc_cache *cache, uint32_t kind, uint64_t page_index, int is_set)
{
    uint64_t *words = hint_words(cache, kind);
    uint64_t *tops = words + cache->geometry.hint_words;
    uint64_t word_index = page_index / 64;
    uint64_t bit = UINT64_C(1) << (page_index % 64);
    uint64_t top_bit = UINT64_C(1) << (word_index % 64);
    if (is_set) {
        if ((fc_load_relaxed(&words[word_index]) & bit) == 0) fc_fetch_or(&words[word_index], bit);
        if ((fc_load_seq_cst(&tops[word_index / 64]) & top_bit) == 0) fc_fetch_or(&tops[word_index / 64], top_bit);
        return;
    }
    if ((fc_load_relaxed(&words[word_index]) & bit) != 0) fc_fetch_and(&words[word_index], ~bit);
    int is_top_set = (fc_load_seq_cst(&tops[word_index / 64]) & top_bit) != 0;
    if (is_top_set && fc_load_seq_cst(&words[word_index]) == 0) {
        fc_fetch_and(&tops[word_index / 64], ~top_bit);
        is_top_set = 0;
    }
    if (!is_top_set && fc_load_seq_cst(&words[word_index]) != 0) fc_fetch_or(&tops[word_index / 64], top_bit);
}

static int has_free(const fc_session *session, uint64_t page_index, uint32_t kind)
{
    uint64_t kind_free = fc_load_relaxed(&fc_page_at(session, page_index)->kind_free);
    return kind == fc_page_kind(kind_free) && (kind == FC_KIND_FREE || fc_page_free_count(kind_free) > 0);
}

void fc_page_set_hints(const fc_session *session, uint64_t page_index)
{
    for (uint32_t kind = 0; kind < FC_KIND_COUNT; kind++) {
        int is_set = has_free(session, page_index, kind);
        uint64_t word = fc_load_relaxed(&hint_words(session->cache, kind)[page_index / 64]);
        if (is_set || (word >> (page_index % 64) & 1) != 0) set_hint(session->cache, kind, page_index, is_set);
    }
}

void fc_page_repair_hints(const fc_session *session, uint64_t page_index)
{
    for (uint32_t kind = 0; kind < FC_KIND_COUNT; kind++) set_hint(session->cache, kind, page_index, has_free(session, page_index, kind));
}

/* The next word with a bit set in [from, to) of `words`; `to` if none. */
static uint64_t next_word(const uint64_t *words, uint64_t from, uint64_t to)
{
    while (from < to && fc_load_relaxed(&words[from]) == 0) from++;
    return from;
}

/* The first page at or after `from` whose hint is set; NO_PAGE if none up to the end. */
static uint64_t next_hinted_page(const fc_cache *cache, uint32_t kind, uint64_t from)
{
    const fc_geometry *geometry = &cache->geometry;
    const uint64_t *words = hint_words(cache, kind);
    const uint64_t *tops = words + geometry->hint_words;
    uint64_t word_index = from / 64;
    uint64_t mask = ~UINT64_C(0) << (from % 64);
    while (word_index < geometry->hint_words) {
        uint64_t word = fc_load_relaxed(&words[word_index]) & mask;
        if (word != 0) {
            uint64_t page_index = word_index * 64 + (uint64_t)__builtin_ctzll(word);
            return page_index < geometry->page_count ? page_index : NO_PAGE;
        }
        mask = ~UINT64_C(0);
        word_index++;
        if (word_index % 64 != 0 && (fc_load_relaxed(&tops[word_index / 64]) >> (word_index % 64)) != 0) continue;
        uint64_t top_index = next_word(tops, (word_index + 63) / 64, geometry->hint_tops);
        if (top_index == geometry->hint_tops) return NO_PAGE;
        word_index = top_index * 64 + (uint64_t)__builtin_ctzll(fc_load_relaxed(&tops[top_index]) | UINT64_C(1) << 63);
    }
    return NO_PAGE;
}

/* Locks a page of `kind` with free blocks, near where the session found the last one. NO_PAGE if there is none to be had. */
static uint64_t lock_page_of_kind(fc_session *session, uint32_t kind)
{
    const fc_cache *cache = session->cache;
    uint64_t start = session->hint_cursor[kind];
    uint64_t at = start;
    int wrapped = 0;
    uint32_t locked_count = 0;
    for (;;) {
        uint64_t page_index = next_hinted_page(cache, kind, at);
        if (page_index == NO_PAGE || (wrapped && page_index >= start)) {
            if (wrapped || start == 0) return NO_PAGE;
            wrapped = 1;
            at = 0;
            continue;
        }
        fc_page *page = fc_page_at(session, page_index);
        if (fc_lock_try(session, FC_LOCK_PAGE, &page->owner)) {
            uint64_t kind_free = fc_load_relaxed(&page->kind_free);
            if (fc_page_kind(kind_free) == kind && (kind == FC_KIND_FREE || fc_page_free_count(kind_free) > 0)) {
                session->hint_cursor[kind] = page_index;
                return page_index;
            }
            fc_lock_release(&page->owner);
        } else if (!fc_lock_settle_owner(session, &page->owner) && ++locked_count > LOCKED_PAGES_MAX) {
            return NO_PAGE;
        }
        at = page_index + 1;
    }
}

/* ------------------------------------------------------------------ from pages to sessions */

void fc_pages_init(const fc_cache *cache)
{
    for (uint64_t i = 0; i < cache->geometry.page_count; i++) set_hint(cache, FC_KIND_FREE, i, 1);
}

/* Adds the redo entry that moves up to `wanted` blocks, bits of one word, to the magazine. Returns how many. */
static uint32_t redo_take(fc_session *session, fc_page *page, uint64_t page_index, uint32_t kind, uint32_t word_index, uint64_t bits, uint32_t wanted)
{
    fc_magazine *magazine = &session->slot->magazines[kind];
    uint64_t count = fc_load_relaxed(&magazine->count);
    uint32_t taken = 0;
    for (; taken < wanted && bits != 0; taken++, bits &= bits - 1) {
        uint64_t block_index = word_index * 64 + (uint64_t)__builtin_ctzll(bits);
        fc_store_relaxed(&magazine->refs[count + taken], fc_page_ref(session, page_index) + block_index * fc_class_bytes[kind]);
    }
    fc_redo_add(session, &page->free_bits[word_index], bits);
    fc_redo_add(session, &magazine->count, count + taken);
    return taken;
}

static uint32_t refill_count(const fc_session *session, uint32_t kind)
{
    uint32_t room = FC_MAGAZINE_REFS - (uint32_t)fc_load_relaxed(&session->slot->magazines[kind].count);
    uint32_t wanted = (session->magazine_refs[kind] + 1u) / 2;
    return wanted < room ? wanted : room;
}

/* From a page that has the kind. */
static void take_from_page(fc_session *session, uint64_t page_index, uint32_t kind)
{
    fc_page *page = fc_page_at(session, page_index);
    uint64_t kind_free = fc_load_relaxed(&page->kind_free);
    uint32_t word_index = (uint32_t)next_word(page->free_bits, 0, FC_PAGE_BITMAP_WORDS);
    fc_redo_begin(session);
    uint32_t taken = redo_take(session, page, page_index, kind, word_index, fc_load_relaxed(&page->free_bits[word_index]), refill_count(session, kind));
    fc_redo_add(session, &page->kind_free, kind_free - taken);
    fc_redo_commit(session);
}

/* From a free page, which gets the kind. */
static void take_from_free_page(fc_session *session, uint64_t page_index, uint32_t kind)
{
    fc_page *page = fc_page_at(session, page_index);
    uint32_t blocks = fc_class_blocks(kind);
    fc_redo_begin(session);
    for (uint32_t i = 1; i < FC_PAGE_BITMAP_WORDS; i++) {
        uint32_t in_word = blocks > i * 64 ? (blocks - i * 64 >= 64 ? 64 : blocks - i * 64) : 0;
        fc_redo_add(session, &page->free_bits[i], in_word == 0 ? 0 : ~UINT64_C(0) >> (64 - in_word));
    }
    uint64_t first = ~UINT64_C(0) >> (blocks >= 64 ? 0 : 64 - blocks);
    uint32_t taken = redo_take(session, page, page_index, kind, 0, first, refill_count(session, kind));
    fc_redo_add(session, &page->kind_free, fc_page_word(kind, blocks - taken));
    fc_redo_commit(session);
}

static void unlock_page(fc_session *session, uint64_t page_index)
{
    fc_page_set_hints(session, page_index);
    fc_lock_release(&fc_page_at(session, page_index)->owner);
}

fc_status fc_page_refill(fc_session *session, uint32_t kind)
{
    uint64_t page_index = lock_page_of_kind(session, kind);
    if (page_index != NO_PAGE) {
        take_from_page(session, page_index, kind);
        unlock_page(session, page_index);
        return FC_OK;
    }
    page_index = lock_page_of_kind(session, FC_KIND_FREE);
    if (page_index == NO_PAGE) return FC_OUT_OF_MEMORY;
    take_from_free_page(session, page_index, kind);
    unlock_page(session, page_index);
    session->hint_cursor[kind] = page_index;
    return FC_OK;
}

fc_status fc_page_take(fc_session *session, fc_ref *list, fc_ref *page_out)
{
    uint64_t page_index = lock_page_of_kind(session, FC_KIND_FREE);
    if (page_index == NO_PAGE) return FC_OUT_OF_MEMORY;
    fc_page *page = fc_page_at(session, page_index);
    fc_ref ref = fc_page_ref(session, page_index);
    fc_node *node = fc_at(session, ref);
    fc_store_release(&node->stamp, 0); /* [block.reuse] */
    fc_fence_release();                /* [block.reuse] */
    fc_store_relaxed(&node->next, fc_load_relaxed(list));
    fc_redo_begin(session);
    fc_redo_add(session, &page->free_bits[0], 0);
    fc_redo_add(session, &page->kind_free, fc_page_word(FC_KIND_PAGE, 0));
    fc_redo_add(session, list, ref);
    fc_redo_commit(session);
    unlock_page(session, page_index);
    *page_out = ref;
    return FC_OK;
}

/* ------------------------------------------------------------------ and back */

void fc_page_redo_free(fc_session *session, fc_ref ref)
{
    uint64_t page_index = fc_page_index_of(session, ref);
    fc_page *page = fc_page_at(session, page_index);
    uint64_t kind_free = fc_load_relaxed(&page->kind_free);
    uint32_t kind = fc_page_kind(kind_free);
    uint64_t block_index = (ref - fc_page_ref(session, page_index)) / fc_class_bytes[kind];
    uint64_t *word = &page->free_bits[block_index / 64];
    FC_ASSERT((fc_load_relaxed(word) >> (block_index % 64) & 1) == 0);
    fc_redo_add(session, fc_at(session, ref), 0); /* A4 */
    int empties = fc_page_free_count(kind_free) + 1 == fc_class_blocks(kind) && kind != FC_KIND_BUCKETS;
    fc_redo_add(session, word, fc_load_relaxed(word) | UINT64_C(1) << (block_index % 64));
    fc_redo_add(session, &page->kind_free, empties ? fc_page_word(FC_KIND_FREE, 0) : kind_free + 1);
}

/* Where a list keeps its links. */
static uint64_t *link_word(const fc_session *session, uint32_t list, fc_ref ref)
{
    uint64_t *words = fc_at(session, ref);
    return list == FC_GARBAGE_BUCKETS ? &words[0] : &words[1];
}

/* Brings a block of a list back; `before` is the one in front of it, 0 for the head. 0 if its page is locked. */
static int drain_one(fc_session *session, uint32_t list, fc_ref before, fc_ref ref)
{
    uint64_t page_index = fc_page_index_of(session, ref);
    fc_page *page = fc_page_at(session, page_index);
    if (!fc_lock_try(session, FC_LOCK_PAGE, &page->owner) &&
        !(fc_lock_settle_owner(session, &page->owner) && fc_lock_try(session, FC_LOCK_PAGE, &page->owner)))
        return 0;
    fc_ref next = fc_load_relaxed(link_word(session, list, ref));
    fc_redo_begin(session);
    fc_page_redo_free(session, ref);
    if (before == 0) {
        fc_redo_add(session, &session->slot->garbage[list], next);
    } else {
        /* A reader may still walk a retired chain: it must not believe the node whose link changes. */
        fc_redo_add(session, fc_at(session, before), 0);
        fc_redo_add(session, link_word(session, list, before), next);
    }
    fc_redo_commit(session);
    unlock_page(session, page_index);
    return 1;
}

/* Brings back what can be had; stops after DRAIN_STUCK_MAX blocks whose pages are locked by living sessions. 1 if any is left. */
static int drain_list(fc_session *session, uint32_t list)
{
    fc_ref before = 0;
    fc_ref ref = fc_load_relaxed(&session->slot->garbage[list]);
    for (uint32_t stuck_count = 0; ref != 0 && stuck_count < DRAIN_STUCK_MAX;) {
        fc_ref next = fc_load_relaxed(link_word(session, list, ref));
        if (!drain_one(session, list, before, ref)) {
            before = ref;
            stuck_count++;
        }
        ref = next;
    }
    return fc_load_relaxed(&session->slot->garbage[list]) != 0;
}

void fc_page_drain(fc_session *session)
{
    int left = 0;
    for (uint32_t list = 0; list < FC_GARBAGE_LISTS; list++) left |= drain_list(session, list);
    session->garbage = (uint8_t)left;
}

static void flush_magazine(fc_session *session, uint32_t kind)
{
    fc_slot *slot = session->slot;
    uint32_t list = kind == FC_KIND_BUCKETS ? FC_GARBAGE_BUCKETS : FC_GARBAGE_BLOCKS;
    for (uint64_t count; (count = fc_load_relaxed(&slot->magazines[kind].count)) > 0;) {
        fc_ref ref = fc_load_relaxed(&slot->magazines[kind].refs[count - 1]);
        fc_redo_begin(session);
        fc_redo_add(session, fc_at(session, ref), 0); /* A4 */
        fc_redo_add(session, link_word(session, list, ref), fc_load_relaxed(&slot->garbage[list]));
        fc_redo_add(session, &slot->garbage[list], ref);
        fc_redo_add(session, &slot->magazines[kind].count, count - 1);
        fc_redo_commit(session);
        fc_page_drain(session);
    }
}

int fc_page_flush_magazines(fc_session *session)
{
    for (uint32_t kind = 1; kind < FC_KIND_COUNT; kind++) flush_magazine(session, kind);
    fc_page_drain(session);
    return !session->garbage;
}

void fc_page_release_if_empty(fc_session *session, uint64_t page_index)
{
    fc_page *page = fc_page_at(session, page_index);
    uint64_t kind_free = fc_load_relaxed(&page->kind_free);
    uint32_t kind = fc_page_kind(kind_free);
    if (kind == FC_KIND_FREE || kind == FC_KIND_BUCKETS || fc_page_free_count(kind_free) != fc_class_blocks(kind)) return;
    fc_redo_begin(session);
    fc_redo_add(session, &page->kind_free, fc_page_word(FC_KIND_FREE, 0));
    fc_redo_commit(session);
}
