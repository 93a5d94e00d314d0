/* atomics.c -- the payload copies of atomics.h that do not start on a word boundary. */
#include "base/atomics.h"

/* The aligned word that holds `byte`, and the byte's place in it. Little-endian, as the layout is. */
static const uint64_t *word_of(const void *byte, unsigned *shift)
{
    uintptr_t address = (uintptr_t)byte;
    *shift = (unsigned)(address & 7) * 8;
    return (const uint64_t *)(address & ~(uintptr_t)7);
}

/* The next 1 to 8 bytes from `source`, in the low bytes of the result; *count of them. */
static uint64_t next_bytes(const unsigned char *source, uint64_t bytes, unsigned *count)
{
    unsigned shift;
    const uint64_t *word = word_of(source, &shift);
    unsigned there = 8 - shift / 8;
    *count = bytes < there ? (unsigned)bytes : there;
    return fc_load_relaxed(word) >> shift;
}

void fc_copy_out_slow(void *target, const void *source, uint64_t bytes)
{
    unsigned char *to = target;
    const unsigned char *from = source;
    unsigned count;
    if (((uintptr_t)from & 7) != 0 && bytes != 0) {
        uint64_t word = next_bytes(from, bytes, &count);
        memcpy(to, &word, count);
        to += count;
        from += count;
        bytes -= count;
    }
    if (bytes != 0) fc_copy_out(to, from, bytes);
}

int fc_equal_slow(const void *shared, const void *private_bytes, uint64_t bytes)
{
    const unsigned char *from = shared;
    const unsigned char *with = private_bytes;
    unsigned count;
    if (((uintptr_t)from & 7) != 0 && bytes != 0) {
        uint64_t word = next_bytes(from, bytes, &count);
        if (memcmp(&word, with, count) != 0) return 0;
        from += count;
        with += count;
        bytes -= count;
    }
    return bytes == 0 || fc_equal(from, with, bytes);
}

/* Replaces `count` bytes of the word at `shift`. */
static void merge_word(uint64_t *word, unsigned shift, const unsigned char *source, unsigned count)
{
    uint64_t bits = 0;
    uint64_t mask = (~UINT64_C(0) >> (64 - 8 * count)) << shift;
    memcpy(&bits, source, count);
    fc_store_relaxed(word, (fc_load_relaxed(word) & ~mask) | (bits << shift));
}

void fc_copy_in_slow(void *target, const void *source, uint64_t bytes)
{
    const unsigned char *from = source;
    unsigned shift;
    uint64_t *word = (uint64_t *)(uintptr_t)word_of(target, &shift);
    if (shift != 0 && bytes != 0) {
        unsigned there = 8 - shift / 8;
        unsigned count = bytes < there ? (unsigned)bytes : there;
        merge_word(word++, shift, from, count);
        from += count;
        bytes -= count;
    }
    for (; bytes >= 8; bytes -= 8, from += 8) {
        uint64_t bits;
        memcpy(&bits, from, 8);
        fc_store_relaxed(word++, bits);
    }
    if (bytes != 0) merge_word(word, 0, from, (unsigned)bytes);
}
