/* test_size_class.c -- the table of block sizes (csrc/memory/size_class.c). */
#include "../check.h"
#include "memory/size_class.h"

/* Classes ascend, are multiples of 8, and fill their page: what is lost at its end is less than 7 %. */
static void classes_ascend_and_fill_their_pages(void)
{
    CHECK_EQUAL(0, fc_class_bytes[FC_KIND_FREE]);
    CHECK_EQUAL(FC_BLOCK_BYTES_MIN, fc_class_bytes[1]);
    CHECK_EQUAL(FC_PAGE_BYTES, fc_class_bytes[FC_KIND_PAGE]);
    CHECK_EQUAL(FC_HEAD_BYTES_MAX, fc_class_bytes[FC_KIND_PAGE - 1]);
    for (uint32_t kind = 1; kind <= FC_CLASS_COUNT; kind++) {
        CHECK(kind == 1 || fc_class_bytes[kind] > fc_class_bytes[kind - 1]);
        CHECK_EQUAL(0, fc_class_bytes[kind] % 8);
        CHECK(fc_class_blocks(kind) >= 1 && fc_class_blocks(kind) <= FC_PAGE_BITMAP_WORDS * 64);
        CHECK((FC_PAGE_BYTES - fc_class_blocks(kind) * fc_class_bytes[kind]) * 100 < FC_PAGE_BYTES * 7);
    }
}

/* Every size gets the smallest class that holds it. */
static void every_size_gets_the_smallest_class(void)
{
    for (uint64_t bytes = 1; bytes <= FC_PAGE_BYTES; bytes++) {
        uint32_t kind = fc_class_for(bytes);
        CHECK(kind >= 1 && kind <= FC_KIND_PAGE && fc_class_bytes[kind] >= bytes && (kind == 1 || fc_class_bytes[kind - 1] < bytes));
    }
}

/* 16 + 32 bytes of key and value, the case numbers are promised for, waste nothing. */
static void the_promised_case_has_a_class_of_its_own(void)
{
    CHECK_EQUAL(104, fc_class_bytes[fc_class_for(sizeof(fc_block) + 16 + 32)]);
}

/* A magazine holds 1 to FC_MAGAZINE_REFS blocks, and no more bytes than it may unless one block alone is more. */
static void magazines_are_bounded_in_bytes(void)
{
    static const uint64_t budgets[] = {0, 1, 63, 64, 1000, 5800, 32768, UINT64_MAX / 2};
    for (size_t i = 0; i < COUNT_OF(budgets); i++)
        for (uint32_t kind = 1; kind < FC_KIND_COUNT; kind++) {
            uint32_t refs = fc_class_magazine_refs(kind, budgets[i]);
            CHECK(refs >= 1 && refs <= FC_MAGAZINE_REFS);
            CHECK(refs == 1 || (uint64_t)refs * fc_class_bytes[kind] <= budgets[i]);
        }
}

int main(void)
{
    RUN(classes_ascend_and_fill_their_pages);
    RUN(every_size_gets_the_smallest_class);
    RUN(the_promised_case_has_a_class_of_its_own);
    RUN(magazines_are_bounded_in_bytes);
    return check_report();
}
