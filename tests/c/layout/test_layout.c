/* test_layout.c -- the recorded sizes and offsets of csrc/layout/layout.h. A change here is a change of FC_LAYOUT_VERSION. */
#include "../check.h"
#include "layout/layout.h"

/* The bytes other processes read are where layout version 2 says. */
static void shared_structs_are_where_version_2_says(void)
{
    static const struct { const char *what; size_t is, recorded; } rows[] = {
        {"version", FC_LAYOUT_VERSION, 2},
        {"fc_geometry", sizeof(fc_geometry), 216}, {"segment_id", offsetof(fc_geometry, segment_id), 16}, {"size_bytes", offsetof(fc_geometry, size_bytes), 24},
        {"home_count", offsetof(fc_geometry, home_count), 48}, {"arena_off", offsetof(fc_geometry, arena_off), 104}, {"hash_seed", offsetof(fc_geometry, hash_seed), 136},
        {"checksum", offsetof(fc_geometry, checksum), 208}, {"fc_header", sizeof(fc_header), 4096}, {"retired", offsetof(fc_header, retired), 512},
        {"policy", offsetof(fc_header, policy), 520}, {"epoch", offsetof(fc_header, epoch), 528}, {"cut_until", offsetof(fc_header, cut_until_mono_ns), 544}, {"flush", offsetof(fc_header, flush_generations), 576},
        {"serial_next", offsetof(fc_header, serial_next), 1088}, {"fc_bucket", sizeof(fc_bucket), 64}, {"entries", offsetof(fc_bucket, entries), 16},
        {"fc_block", sizeof(fc_block), 56}, {"meta", offsetof(fc_block, meta), 40}, {"lengths", offsetof(fc_block, lengths), 48}, {"fc_chain", sizeof(fc_chain), 16},
        {"fc_node", sizeof(fc_node), 24}, {"fc_page", sizeof(fc_page), 128}, {"free_bits", offsetof(fc_page, free_bits), 64}, {"fc_slot", sizeof(fc_slot), 8192},
        {"locks", offsetof(fc_slot, locks), 64}, {"redo_count", offsetof(fc_slot, redo_count), 184}, {"redo", offsetof(fc_slot, redo), 192},
        {"multi", offsetof(fc_slot, multi), 960}, {"stats", offsetof(fc_slot, stats), 2016}, {"magazines", offsetof(fc_slot, magazines), 3552},
        {"fc_multi_op", sizeof(fc_multi_op), 32}, {"fc_magazine", sizeof(fc_magazine), 72}, {"fc_redo", sizeof(fc_redo), 16},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (!CHECK_EQUAL(rows[i].recorded, rows[i].is)) fprintf(stderr, "  %s\n", rows[i].what);
}

/* The magic reads FINCACHE in a dump of the file. */
static void the_magic_is_readable(void)
{
    uint64_t magic = FC_MAGIC;
    CHECK(memcmp(&magic, "FINCACHE", 8) == 0);
}

int main(void)
{
    RUN(shared_structs_are_where_version_2_says);
    RUN(the_magic_is_readable);
    return check_report();
}
