/* common_subsequence.c -- see common_subsequence.h.
 *
 * The usual table holds L(i, j), the length for the first i bytes of a and the first j of b: four bytes a cell, one cell a step. But L grows by 0
 * or 1 from one i to the next, so a row j can be kept as one bit for each i, 0 where L(i, j) = L(i - 1, j) + 1, and the next row follows
 * from it by an addition and three logical operations on 64 cells at once:
 *
 *     u = row & match[b[j]]              match[c]: the places of a that hold the byte c
 *     row = (row + u) | (row & ~match[b[j]])
 *
 *     (H. Hyyrö, "Bit-parallel LCS-length computation revisited", AWOCA 2004; the carry goes from word to word.)
 *
 * L(i, j) is the number of zeroes among the first i bits of row j. All rows are kept when the parts are wanted: 1/32 of the table. The
 * way back needs L(i, j) and L(i, j - 1) at each step. A step in i changes both by their rows' bits; only a step in j counts zeroes anew,
 * over i / 64 words: not more in sum than the way there.
 */
#include "types/common_subsequence.h"

#include <stdlib.h>
#include <string.h>

#define BYTE_VALUES 256u

typedef struct search {
    const uint8_t *a, *b;
    uint64_t a_bytes, b_bytes;
    uint64_t words;            /* of a row */
    uint64_t *matches;         /* BYTE_VALUES rows */
    uint64_t *rows;            /* row 0 is before the first byte of b; without parts there is only one, which moves on */
    int keeps_rows;
} search;

static fc_status find_room(search *this, uint64_t memory_bytes_max)
{
    uint64_t row_count, bytes;
    this->words = (this->a_bytes + 63) / 64;
    row_count = this->keeps_rows ? this->b_bytes + 1 : 1;
    if (__builtin_add_overflow(row_count, BYTE_VALUES, &row_count) || __builtin_mul_overflow(row_count, this->words * 8, &bytes) || bytes > memory_bytes_max)
        return fc_fail(FC_SYSTEM, "strings of %llu and %llu bytes", (unsigned long long)this->a_bytes, (unsigned long long)this->b_bytes);
    this->matches = malloc(bytes);
    if (this->matches == NULL) return fc_fail(FC_SYSTEM, "no memory for %llu bytes", (unsigned long long)bytes);
    this->rows = this->matches + BYTE_VALUES * this->words;
    return FC_OK;
}

static inline int bit_of(const uint64_t *row, uint64_t i) { return (int)(row[i / 64] >> (i % 64) & 1); }

/* Zeroes among the first `count` bits. */
static uint64_t count_zeroes(const uint64_t *row, uint64_t count)
{
    uint64_t ones = 0, word = 0;
    for (; word < count / 64; word++) ones += (uint64_t)__builtin_popcountll(row[word]);
    if (count % 64 != 0) ones += (uint64_t)__builtin_popcountll(row[word] & ((UINT64_C(1) << count % 64) - 1));
    return count - ones;
}

static void next_row(const search *this, const uint64_t *row, uint64_t *next, uint8_t byte)
{
    const uint64_t *match = this->matches + byte * this->words;
    unsigned long long carry = 0;
    for (uint64_t i = 0; i < this->words; i++) {
        unsigned long long sum, carried;
        uint64_t present = row[i];
        carried = __builtin_uaddll_overflow(present, present & match[i], &sum);
        carry = carried | __builtin_uaddll_overflow(sum, carry, &sum);
        next[i] = sum | (present & ~match[i]);
    }
}

/* Makes all rows; returns the length. */
static uint64_t fill(search *this)
{
    memset(this->matches, 0, BYTE_VALUES * this->words * 8);
    for (uint64_t i = 0; i < this->a_bytes; i++) this->matches[this->a[i] * this->words + i / 64] |= UINT64_C(1) << i % 64;
    uint64_t *row = this->rows;
    memset(row, 0xff, this->words * 8);
    for (uint64_t j = 0; j < this->b_bytes; j++) {
        uint64_t *next = this->keeps_rows ? row + this->words : row;
        next_row(this, row, next, this->b[j]);
        row = next;
    }
    return count_zeroes(row, this->a_bytes);
}

/* The way back from the ends. */
static void visit_parts(const search *this, uint64_t length, fc_subsequence_visit visit, void *context)
{
    fc_subsequence_part part = {.bytes = 0};
    uint64_t i = this->a_bytes, j = this->b_bytes;
    uint64_t here = length;                                            /* L(i, j) */
    uint64_t above = count_zeroes(this->rows + (j - 1) * this->words, i); /* L(i, j - 1) */
    while (i > 0 && j > 0) {
        const uint64_t *row = this->rows + j * this->words;
        uint64_t left = here - !bit_of(row, i - 1);                    /* L(i - 1, j) */
        uint64_t above_left = above - !bit_of(row - this->words, i - 1); /* L(i - 1, j - 1) */
        if (this->a[i - 1] == this->b[j - 1]) {
            part = (fc_subsequence_part){.a_first = --i, .b_first = --j, .bytes = part.bytes + 1};
            here = above_left;
            above = j > 0 ? count_zeroes(row - 2 * this->words, i) : 0;
            continue;
        }
        if (part.bytes > 0) visit(context, &part);
        part.bytes = 0;
        if (left > above) {
            i--;
            here = left;
            above = above_left;
        } else {
            j--;
            here = above;
            above = j > 0 ? count_zeroes(row - 2 * this->words, i) : 0;
        }
    }
    if (part.bytes > 0) visit(context, &part);
}

fc_status fc_common_subsequence(const uint8_t *a, uint64_t a_bytes, const uint8_t *b, uint64_t b_bytes, uint64_t memory_bytes_max,
                                fc_subsequence_visit visit, void *context, uint64_t *length)
{
    search this = {.a = a, .b = b, .a_bytes = a_bytes, .b_bytes = b_bytes, .keeps_rows = visit != NULL};
    *length = 0;
    if (a_bytes == 0 || b_bytes == 0) return FC_OK;
    FC_TRY(find_room(&this, memory_bytes_max));
    *length = fill(&this);
    if (visit != NULL) visit_parts(&this, *length, visit, context);
    free(this.matches);
    return FC_OK;
}
