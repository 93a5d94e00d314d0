/* atomics.h -- every load from and store to shared memory goes through here.
 *
 * The names spell the order out. A release or an acquire carries at its call site the label of its partner, e.g. [entry.publish];
 * docs/memory-model.md lists the labels. Words in shared memory are uint32_t or uint64_t, naturally aligned.
 *
 * Why functions and not _Atomic fields: the same bytes are read by Python, C++ and other builds; the layout must not depend on
 * what a compiler thinks of _Atomic.
 *
 * Crash points   In a build with FC_CRASH_POINTS every store calls fc_crash_point() *before* it happens, so that a test can kill or stop
 *                the process between any two stores to shared memory. Nothing may write shared memory except through this file.
 * Payload copies A validated read copies bytes that a writer may be changing. In C11 that is a data race unless each access is
 *                atomic; fc_copy_out and fc_copy_in use relaxed 8-byte accesses (what Boehm, "Can Seqlocks Get Along With Programming
 *                Language Memory Models?", MSPC 2012, section 4 asks for), and cost what memcpy costs up to a few hundred bytes.
 *                From FC_WIDE_COPY_BYTES on, the bulk is moved 64 bytes at a time by vector instructions; atomics.c says why that may be.
 */
#ifndef FC_BASE_ATOMICS_H
#define FC_BASE_ATOMICS_H

#include <stdint.h>
#include <string.h>

#ifdef FC_CRASH_POINTS
void fc_crash_point(void);
#else
static inline void fc_crash_point(void) {}
#endif

static inline uint64_t fc_load_relaxed(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }
static inline uint64_t fc_load_acquire(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline uint64_t fc_load_seq_cst(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
static inline uint32_t fc_load32_relaxed(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }
static inline uint32_t fc_load32_acquire(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline uint8_t fc_load8_relaxed(const uint8_t *byte) { return __atomic_load_n(byte, __ATOMIC_RELAXED); }

static inline void fc_store_relaxed(uint64_t *word, uint64_t value)
{
    fc_crash_point();
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline void fc_store_release(uint64_t *word, uint64_t value)
{
    fc_crash_point();
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline void fc_store32_relaxed(uint32_t *word, uint32_t value)
{
    fc_crash_point();
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline void fc_store32_release(uint32_t *word, uint32_t value)
{
    fc_crash_point();
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline void fc_store8_relaxed(uint8_t *byte, uint8_t value)
{
    fc_crash_point();
    __atomic_store_n(byte, value, __ATOMIC_RELAXED);
}

/* Compare-and-swap, acquire on success. Returns 1 if it swapped; otherwise *expected holds what is there. */
static inline int fc_cas32_acquire(uint32_t *word, uint32_t *expected, uint32_t value)
{
    fc_crash_point();
    return __atomic_compare_exchange_n(word, expected, value, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline int fc_cas_acq_rel(uint64_t *word, uint64_t *expected, uint64_t value)
{
    fc_crash_point();
    return __atomic_compare_exchange_n(word, expected, value, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static inline uint64_t fc_fetch_add(uint64_t *word, uint64_t value)
{
    fc_crash_point();
    return __atomic_fetch_add(word, value, __ATOMIC_SEQ_CST);
}

static inline void fc_fetch_or(uint64_t *word, uint64_t bits)
{
    fc_crash_point();
    __atomic_fetch_or(word, bits, __ATOMIC_SEQ_CST);
}

static inline void fc_fetch_and(uint64_t *word, uint64_t bits)
{
    fc_crash_point();
    __atomic_fetch_and(word, bits, __ATOMIC_SEQ_CST);
}

/* A counter that only the calling session writes; others may read it at any time. */
static inline void fc_counter_add(uint64_t *counter, uint64_t by)
{
    __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + by, __ATOMIC_RELAXED);
}

/* Pointers in private memory, between threads of one process. */
static inline void *fc_load_pointer_acquire(void *const *pointer) { return __atomic_load_n(pointer, __ATOMIC_ACQUIRE); }
static inline void fc_store_pointer_release(void **pointer, void *value) { __atomic_store_n(pointer, value, __ATOMIC_RELEASE); }
static inline int fc_cas_pointer_release(void **pointer, void **expected, void *value)
{
    return __atomic_compare_exchange_n(pointer, expected, value, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

static inline void fc_fence_acquire(void) { __atomic_thread_fence(__ATOMIC_ACQUIRE); }
static inline void fc_fence_release(void) { __atomic_thread_fence(__ATOMIC_RELEASE); }

/* Order for the compiler alone: what one thread stores, its settler sees in program order after its death. */
static inline void fc_compiler_order(void) { __atomic_signal_fence(__ATOMIC_SEQ_CST); }

static inline void fc_spin_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

/* Copies as long as this, and longer ones, go the wide way: below, the word loop is as fast. */
#define FC_WIDE_COPY_BYTES 256u

/* The first bytes of a copy between word-aligned shared memory and private memory, moved 64 at a time; returns how many: a multiple of 8, 0 in builds
 * that have no wide copies. `shared` is whichever of the two is. */
uint64_t fc_copy_out_wide(void *target, const void *shared, uint64_t bytes);
uint64_t fc_copy_in_wide(void *shared, const void *source, uint64_t bytes);

/* Shared -> private. `source` need not be aligned; whole aligned words are read, never one that holds no byte of the range. */
void fc_copy_out_slow(void *target, const void *source, uint64_t bytes);
/* Private -> shared. Same; a word that the range covers in part keeps its other bytes, which must belong to the caller. */
void fc_copy_in_slow(void *target, const void *source, uint64_t bytes);

/* Private -> shared for the common case of whole aligned words. */
static inline void fc_copy_in(void *target, const void *source, uint64_t bytes)
{
    uint64_t *to = target;
    const unsigned char *from = source;
    if ((((uintptr_t)target | bytes) & 7) != 0) {
        fc_copy_in_slow(target, source, bytes);
        return;
    }
    if (__builtin_expect(bytes >= FC_WIDE_COPY_BYTES, 0)) {
        uint64_t done = fc_copy_in_wide(target, source, bytes);
        to += done / 8;
        from += done;
        bytes -= done;
    }
    for (; bytes >= 8; bytes -= 8, from += 8) {
        uint64_t word;
        memcpy(&word, from, 8);
        fc_store_relaxed(to++, word);
    }
}

/* Shared -> private for the common case of an 8-byte aligned source. */
static inline void fc_copy_out(void *target, const void *source, uint64_t bytes)
{
    const uint64_t *from = source;
    unsigned char *to = target;
    if (((uintptr_t)source & 7) != 0) {
        fc_copy_out_slow(target, source, bytes);
        return;
    }
    if (__builtin_expect(bytes >= FC_WIDE_COPY_BYTES, 0)) {
        uint64_t done = fc_copy_out_wide(target, source, bytes);
        from += done / 8;
        to += done;
        bytes -= done;
    }
    for (; bytes >= 8; bytes -= 8, to += 8) {
        uint64_t word = fc_load_relaxed(from++);
        memcpy(to, &word, 8);
    }
    if (bytes != 0) {
        uint64_t word = fc_load_relaxed(from);
        memcpy(to, &word, bytes);
    }
}

/* 1 if the shared bytes equal the private ones. Same access rule as fc_copy_out. */
int fc_equal_slow(const void *shared, const void *private_bytes, uint64_t bytes);

static inline int fc_equal(const void *shared, const void *private_bytes, uint64_t bytes)
{
    const uint64_t *from = shared;
    const unsigned char *with = private_bytes;
    if (((uintptr_t)shared & 7) != 0) return fc_equal_slow(shared, private_bytes, bytes);
    uint64_t difference = 0;
    for (; bytes >= 8; bytes -= 8, with += 8) {
        uint64_t word;
        memcpy(&word, with, 8);
        difference |= word ^ fc_load_relaxed(from++);
    }
    if (bytes != 0) {
        uint64_t word = 0;
        uint64_t shared_word = fc_load_relaxed(from);
        memcpy(&word, with, bytes);
        difference |= word ^ (shared_word & (~UINT64_C(0) >> (64 - 8 * bytes)));
    }
    return difference == 0;
}

#endif
