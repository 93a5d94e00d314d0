/* atomics.c -- the payload copies of atomics.h that do not start on a word boundary, and the long ones.
 *
 * Wide copies  The word loop moves 64 KiB in 2.0 us, 16-byte loads and stores in 0.58. They are written in assembler, because a C compiler may read a
 *              plain object twice or widen an access, and its memory model has no atomic vector access. What the readers need still holds:
 *              - Nothing copied is looked at before the stamp was found unchanged (block.h, V2), and a writer stores only while the stamp is 0 (V1).
 *                A word that were torn would be thrown away with the rest, as a value is that is torn between words.
 *              - Each aligned word is read once, as a whole all the same: on aarch64 a 16-byte SIMD access at a multiple of 8 is two single-copy atomic
 *                accesses of 8 bytes (Arm ARM, B2.2); on x86-64 an SSE access may be done in parts, none of which is smaller than an aligned quadword
 *                (Intel SDM 3A, "Guaranteed Atomic Operations"). No byte outside the range is touched.
 *              - Order: these are ordinary accesses, no streaming stores and no string instructions, so the acquire fence before the stamp is looked at
 *                again, and the release store of the stamp, order them as they order words; "memory" and volatile bind the compiler.
 *              Builds that watch each access (TSan, ASan) or die at each store (FC_CRASH_POINTS) keep to words.
 */
#include "base/atomics.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define WATCHED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define WATCHED 1
#endif
#endif
#if !defined(WATCHED) && !defined(FC_CRASH_POINTS) && (defined(__x86_64__) || defined(__aarch64__))
#define HAS_WIDE_COPIES 1
#else
#define HAS_WIDE_COPIES 0
#endif

/* ------------------------------------------------------------------ long */

#if HAS_WIDE_COPIES

/* Moves `count` times 64 bytes; count > 0. */
static void move_lines(void *target, const void *source, uint64_t count)
{
#if defined(__x86_64__)
    __asm__ __volatile__("1:\n\t"
                         "movdqu (%1), %%xmm0\n\t"
                         "movdqu 16(%1), %%xmm1\n\t"
                         "movdqu 32(%1), %%xmm2\n\t"
                         "movdqu 48(%1), %%xmm3\n\t"
                         "add $64, %1\n\t"
                         "movdqu %%xmm0, (%0)\n\t"
                         "movdqu %%xmm1, 16(%0)\n\t"
                         "movdqu %%xmm2, 32(%0)\n\t"
                         "movdqu %%xmm3, 48(%0)\n\t"
                         "add $64, %0\n\t"
                         "dec %2\n\t"
                         "jnz 1b"
                         : "+r"(target), "+r"(source), "+r"(count)
                         :
                         : "xmm0", "xmm1", "xmm2", "xmm3", "cc", "memory");
#else
    __asm__ __volatile__("1:\n\t"
                         "ldp q0, q1, [%1]\n\t"
                         "ldp q2, q3, [%1, #32]\n\t"
                         "add %1, %1, #64\n\t"
                         "stp q0, q1, [%0]\n\t"
                         "stp q2, q3, [%0, #32]\n\t"
                         "add %0, %0, #64\n\t"
                         "subs %2, %2, #1\n\t"
                         "b.ne 1b"
                         : "+r"(target), "+r"(source), "+r"(count)
                         :
                         : "v0", "v1", "v2", "v3", "cc", "memory");
#endif
}

/* One word less, if so the vectors lie on multiples of 16 in shared memory, and none in two lines. */
static uint64_t words_before(const void *shared) { return ((uintptr_t)shared & 15) != 0 ? 8 : 0; }

uint64_t fc_copy_out_wide(void *target, const void *shared, uint64_t bytes)
{
    uint64_t before = words_before(shared);
    uint64_t lines = (bytes - before) / 64;
    if (before != 0) {
        uint64_t word = fc_load_relaxed(shared);
        memcpy(target, &word, 8);
    }
    move_lines((uint8_t *)target + before, (const uint8_t *)shared + before, lines);
    return before + lines * 64;
}

uint64_t fc_copy_in_wide(void *shared, const void *source, uint64_t bytes)
{
    uint64_t before = words_before(shared);
    uint64_t lines = (bytes - before) / 64;
    if (before != 0) {
        uint64_t word;
        memcpy(&word, source, 8);
        fc_store_relaxed(shared, word);
    }
    move_lines((uint8_t *)shared + before, (const uint8_t *)source + before, lines);
    return before + lines * 64;
}

#else

uint64_t fc_copy_out_wide(void *target, const void *shared, uint64_t bytes)
{
    (void)target, (void)shared, (void)bytes;
    return 0;
}

uint64_t fc_copy_in_wide(void *shared, const void *source, uint64_t bytes)
{
    (void)shared, (void)source, (void)bytes;
    return 0;
}

#endif

/* ------------------------------------------------------------------ off word boundaries */

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
    uint64_t whole = bytes & ~UINT64_C(7);
    fc_copy_in(word, from, whole);
    word += whole / 8;
    from += whole;
    bytes -= whole;
    if (bytes != 0) merge_word(word, 0, from, (unsigned)bytes);
}
