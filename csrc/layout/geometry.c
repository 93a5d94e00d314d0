/* geometry.c -- the arithmetic of geometry.h.
 *
 * Sizing, for n expected keys of one block each:
 *   homes   n / 4. With 4 entries expected in a bucket of 6, 11 % of the homes need an extension (Poisson), 0.11 * 64 / 4 = 1.8 bytes a key
 *   index   (64 + 8) / 4 = 18 bytes a key
 *   pages   what is left, 32 KiB + a descriptor of 128 bytes + 2 bits for each of 46 kinds
 * If `keys` is not given, it follows from item_bytes: so many keys that index and blocks fill the segment. The 5 % between the promised
 * 95 % and all of them are the slack for what sessions hold in magazines and for begun pages.
 */
#include "layout/geometry.h"

#include "base/hash.h"

#include <inttypes.h>

#define KEYS_PER_HOME 4u
#define ITEM_BYTES_DEFAULT 200u
#define VALUE_BYTES_MAX_DEFAULT (UINT64_C(512) << 20)
#define DATABASES_DEFAULT 16u
#define SESSIONS_MIN 16u
#define SESSIONS_DEFAULT_MAX 1024u
#define SEGMENT_BYTES_PER_SESSION (UINT64_C(512) << 10)
/* Links are 32-bit offsets in units of 64 bytes. */
#define SEGMENT_BYTES_MAX (UINT64_C(256) << 30)

static uint64_t align_up(uint64_t value, uint64_t to)
{
    return (value + to - 1) / to * to;
}

static uint64_t hint_bytes(const fc_geometry *geometry)
{
    return FC_KIND_COUNT * (geometry->hint_words + geometry->hint_tops) * 8;
}

/* Lays the regions one behind the other for a page count; returns where the arena ends. */
static uint64_t lay_out(fc_geometry *geometry, uint64_t page_count)
{
    geometry->page_count = page_count;
    geometry->hint_words = align_up(page_count, 64) / 64;
    geometry->hint_tops = align_up(geometry->hint_words, 64) / 64;
    geometry->sessions_off = FC_HEADER_BYTES;
    geometry->homes_off = geometry->sessions_off + (uint64_t)(geometry->sessions_max + FC_SLOTS_SPARE) * FC_SLOT_BYTES;
    geometry->marks_off = geometry->homes_off + geometry->home_count * sizeof(fc_bucket);
    geometry->pages_off = align_up(geometry->marks_off + geometry->home_count * FC_MARK_BYTES, sizeof(fc_page));
    geometry->hints_off = geometry->pages_off + page_count * sizeof(fc_page);
    geometry->arena_off = align_up(geometry->hints_off + hint_bytes(geometry), FC_PAGE_BYTES);
    return geometry->arena_off + page_count * FC_PAGE_BYTES;
}

/* As many pages as fit. */
static fc_status fit_pages(fc_geometry *geometry)
{
    uint64_t page_count = geometry->size_bytes / FC_PAGE_BYTES;
    while (page_count > 0) {
        uint64_t end = lay_out(geometry, page_count);
        if (end <= geometry->size_bytes) break;
        uint64_t excess = (end - geometry->size_bytes) / (FC_PAGE_BYTES + sizeof(fc_page) + 16);
        page_count -= excess > 0 && excess < page_count ? excess : 1;
    }
    if (page_count < 2)
        return fc_fail(FC_SIZE_TOO_SMALL, "%" PRIu64 " bytes leave no room for data beside %" PRIu64 " keys' index and %u session slots",
                       geometry->size_bytes, geometry->keys_configured, geometry->sessions_max);
    return FC_OK;
}

/* What a block takes of its page, descriptor and hints included. Blocks beyond a page are chains: whole pages and a head. */
static uint64_t block_share(uint64_t block_bytes)
{
    uint64_t page_bytes = FC_PAGE_BYTES + sizeof(fc_page) + 16;
    uint64_t blocks = FC_PAGE_BYTES / block_bytes;
    return blocks > 0 ? (page_bytes + blocks - 1) / blocks : (block_bytes + FC_PAGE_BYTES - 1) / FC_PAGE_BYTES * page_bytes;
}

static uint32_t sessions_for(uint64_t size_bytes)
{
    uint64_t sessions = size_bytes / SEGMENT_BYTES_PER_SESSION;
    if (sessions < SESSIONS_MIN) return SESSIONS_MIN;
    return sessions > SESSIONS_DEFAULT_MAX ? SESSIONS_DEFAULT_MAX : (uint32_t)sessions;
}

static fc_status check_options(const fc_options *options)
{
    if (options->size_bytes < FC_SEGMENT_BYTES_MIN)
        return fc_fail(FC_SIZE_TOO_SMALL, "size_bytes is %" PRIu64 ", the least is %u", options->size_bytes, FC_SEGMENT_BYTES_MIN);
    if (options->size_bytes > SEGMENT_BYTES_MAX)
        return fc_fail(FC_INVALID_ARGUMENT, "size_bytes is %" PRIu64 ", at most %" PRIu64, options->size_bytes, SEGMENT_BYTES_MAX);
    if (options->databases > FC_DATABASES_MAX)
        return fc_fail(FC_INVALID_ARGUMENT, "databases is %u, allowed are 1 to %u", options->databases, FC_DATABASES_MAX);
    if (options->sessions_max != 0 && (options->sessions_max < SESSIONS_MIN || options->sessions_max > FC_SESSIONS_LIMIT))
        return fc_fail(FC_INVALID_ARGUMENT, "sessions_max is %u, allowed are %u to %u", options->sessions_max, SESSIONS_MIN, FC_SESSIONS_LIMIT);
    if (options->value_bytes_max > FC_VALUE_BYTES_LIMIT)
        return fc_fail(FC_INVALID_ARGUMENT, "value_bytes_max is %" PRIu64 ", at most %u", options->value_bytes_max, FC_VALUE_BYTES_LIMIT);
    if (options->item_bytes > FC_VALUE_BYTES_LIMIT)
        return fc_fail(FC_INVALID_ARGUMENT, "item_bytes is %" PRIu64 ", at most %u", options->item_bytes, FC_VALUE_BYTES_LIMIT);
    if (options->policy > FC_POLICY_ALLKEYS_RANDOM)
        return fc_fail(FC_INVALID_ARGUMENT, "policy is %u, allowed are 0 to %u", options->policy, FC_POLICY_ALLKEYS_RANDOM);
    if ((options->mode & ~0777u) != 0 || (options->mode & 0600u) != 0600u)
        return fc_fail(FC_INVALID_ARGUMENT, "mode is 0%o, allowed are permission bits that let the owner read and write", options->mode);
    return FC_OK;
}

fc_status fc_geometry_plan(const fc_options *options, uint64_t block_bytes, fc_geometry *geometry)
{
    FC_TRY(check_options(options));
    *geometry = (fc_geometry){
        .magic = FC_MAGIC,
        .layout_version = FC_LAYOUT_VERSION,
        .byte_order = FC_BYTE_ORDER_MARK,
        .size_bytes = align_up(options->size_bytes, FC_PAGE_BYTES),
        .item_bytes = options->item_bytes != 0 ? options->item_bytes : ITEM_BYTES_DEFAULT,
        .value_bytes_max = options->value_bytes_max != 0 ? options->value_bytes_max : VALUE_BYTES_MAX_DEFAULT,
        .sessions_max = options->sessions_max != 0 ? options->sessions_max : sessions_for(options->size_bytes),
        .databases = options->databases != 0 ? options->databases : DATABASES_DEFAULT,
        .mode = options->mode,
        .page_bytes = FC_PAGE_BYTES,
    };
    uint64_t fixed = FC_HEADER_BYTES + (uint64_t)(geometry->sessions_max + FC_SLOTS_SPARE) * FC_SLOT_BYTES;
    if (fixed + 4 * FC_PAGE_BYTES > geometry->size_bytes)
        return fc_fail(FC_SIZE_TOO_SMALL, "%u sessions alone need %" PRIu64 " of %" PRIu64 " bytes", geometry->sessions_max, fixed, geometry->size_bytes);
    uint64_t index_bytes = (sizeof(fc_bucket) + FC_MARK_BYTES) / KEYS_PER_HOME + 2;
    uint64_t key_bytes_all_in = index_bytes + block_share(block_bytes);
    uint64_t fitting = (geometry->size_bytes - fixed) / key_bytes_all_in;
    geometry->keys_configured = options->keys != 0 ? options->keys : fitting + 1;
    if (geometry->keys_configured > geometry->size_bytes / index_bytes)
        return fc_fail(FC_SIZE_TOO_SMALL, "the index of %" PRIu64 " keys does not fit %" PRIu64 " bytes", geometry->keys_configured, geometry->size_bytes);
    /* Who gives both numbers relies on them; one number alone is a guess, which may be wrong. */
    if (options->keys != 0 && options->item_bytes != 0 && options->keys > fitting)
        return fc_fail(FC_SIZE_TOO_SMALL, "%" PRIu64 " keys of %" PRIu64 " bytes need about %" PRIu64 " bytes", options->keys, options->item_bytes,
                       fixed + options->keys * key_bytes_all_in);
    geometry->home_count = geometry->keys_configured / KEYS_PER_HOME + 1;
    return fit_pages(geometry);
}

uint64_t fc_geometry_checksum(const fc_geometry *geometry)
{
    return fc_hash(0, 0, geometry, offsetof(fc_geometry, checksum));
}

fc_status fc_geometry_check(const fc_geometry *geometry, uint64_t file_bytes)
{
    if (geometry->magic != FC_MAGIC) return fc_fail(FC_FOREIGN_SEGMENT, "its first 8 bytes are not FINCACHE");
    if (geometry->byte_order != FC_BYTE_ORDER_MARK) return fc_fail(FC_FOREIGN_SEGMENT, "it was written on a machine of the other byte order");
    if (geometry->layout_version != FC_LAYOUT_VERSION)
        return fc_fail(geometry->layout_version > FC_LAYOUT_VERSION ? FC_LAYOUT_NEWER : FC_LAYOUT_OLDER,
                       "its layout is version %u, this library reads version %u", geometry->layout_version, FC_LAYOUT_VERSION);
    if (fc_geometry_checksum(geometry) != geometry->checksum) return fc_fail(FC_CORRUPT, "the checksum of the header does not match");
    if (file_bytes < geometry->size_bytes)
        return fc_fail(FC_TRUNCATED_SEGMENT, "it has %" PRIu64 " bytes, its header says %" PRIu64, file_bytes, geometry->size_bytes);
    /* A right checksum over wrong numbers is possible for a hostile creator only; lay the regions out again and compare. */
    fc_geometry again = *geometry;
    if (geometry->sessions_max < SESSIONS_MIN || geometry->sessions_max > FC_SESSIONS_LIMIT || geometry->databases == 0 || geometry->databases > FC_DATABASES_MAX ||
        geometry->home_count == 0 || geometry->home_count > SEGMENT_BYTES_MAX / sizeof(fc_bucket) || geometry->page_count == 0 ||
        geometry->page_count > SEGMENT_BYTES_MAX / FC_PAGE_BYTES || geometry->page_bytes != FC_PAGE_BYTES ||
        geometry->value_bytes_max > FC_VALUE_BYTES_LIMIT || geometry->size_bytes > SEGMENT_BYTES_MAX ||
        lay_out(&again, geometry->page_count) > geometry->size_bytes || again.arena_off != geometry->arena_off ||
        again.sessions_off != geometry->sessions_off || again.homes_off != geometry->homes_off || again.marks_off != geometry->marks_off ||
        again.pages_off != geometry->pages_off || again.hints_off != geometry->hints_off || again.hint_words != geometry->hint_words ||
        again.hint_tops != geometry->hint_tops)
        return fc_fail(FC_CORRUPT, "the regions in the header do not fit together");
    return FC_OK;
}
