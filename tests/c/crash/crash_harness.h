/* crash_harness.h -- what the parts of the systematic crash test share.
 *
 * A *world* is a small segment that the surviving process has filled, with a model of what is in it. An *op* is one operation on it: a
 * child performs it and dies, or is stopped, at its n-th store to shared memory. The world's image, taken before, is copied back into the
 * mapping before each run: far cheaper than a new segment, and every run begins with the same bytes.
 *
 *   crash_world.c    worlds, the model, images
 *   crash_ops.c      the table of operations
 *   crash_check.c    what must hold after a death (P1 to P3, P5, accounting) or during a stop (P13); the structure: segment_audit.h
 *   test_crash.c     children, points, the report
 */
#ifndef FC_TESTS_CRASH_HARNESS_H
#define FC_TESTS_CRASH_HARNESS_H

#include "base/crash.h"
#include "memory/handle.h"

#include <stdio.h>
#include <sys/types.h>

#define CRASH_KEYS_MAX 640u
#define CRASH_VALUE_BYTES_MAX 131072u
#define CRASH_NAME_BYTES 17u
#define ANY_HOME UINT64_MAX

/* What a key holds; exists 0: it is missing. */
typedef struct crash_value {
    uint8_t *data;
    uint64_t bytes;
    uint64_t expires_unix_ns;
    int exists;
} crash_value;

/* One key of the model. `before` and `after` differ for the keys that the op changes. */
typedef struct crash_key {
    char name[CRASH_NAME_BYTES];
    fc_key key;
    uint64_t home;
    crash_value before;
    crash_value after;
    int changes;
    int overwritten;           /* 1: a survivor has set it to `third` since */
    crash_value third;
} crash_key;

struct crash_op;

typedef struct crash_world {
    const struct crash_op *op;
    fc_cache *cache;
    fc_session *session;       /* the survivor's */
    fc_cache *reader_cache;    /* a read-only attachment */
    fc_session *reader;
    uint8_t *image;
    uint8_t *second_image;     /* after a death, for settling it again and again */
    uint8_t *third_image;      /* after a settler's death */
    fc_session saved_session;
    uint64_t used_before;      /* bytes in use when the segment was new */
    crash_key *keys;
    uint32_t key_count;
    uint32_t primary;          /* the key that must be writable at once after a death */
    uint32_t serial;           /* of generated key names */
    char name[64];
    /* op's own */
    uint8_t *value;
    uint64_t words[8];
} crash_world;

#define OP_EVICTS 1u           /* any key may be gone afterwards */
#define OP_FULL 2u             /* memory is short: a survivor's write may be refused */
#define OP_EACH 4u             /* the keys change one by one, not all at once */
#define OP_OWN_SESSION 8u      /* run opens its session itself */
#define OP_KEEPS 16u           /* leaves something that no delete removes (schemas) */
#define OP_ALL_WAYS 64u        /* every way at every store, for short ones */
#define OP_CLOSES 32u         /* run closes the session itself */

/* What a child does. setup fills the world as the survivor, before the image; prepare runs in the child before the stores count. */
typedef struct crash_op {
    const char *name;
    uint32_t flags;
    uint32_t policy;
    uint32_t sessions_max;
    void (*setup)(crash_world *world);
    void (*prepare)(crash_world *world, fc_session *session);
    fc_status (*run)(crash_world *world, fc_session *session);
    fc_status expected;        /* what run returns when it is left alone */
} crash_op;

extern const crash_op crash_ops[];
extern const uint32_t crash_op_count;

/* ------------------------------------------------------------------ crash_world.c */

void world_create(crash_world *world, const crash_op *op);
/* Same decisions in every run, as far as they are random. */
void make_deterministic(fc_session *session);
void world_destroy(crash_world *world);
void world_save(crash_world *world, uint8_t **image);
void world_restore(crash_world *world, const uint8_t *image);

/* A key whose home is `home` (or any). It is missing, and stays so, until told otherwise. */
uint32_t world_key(crash_world *world, uint64_t home, uint32_t database);
/* The survivor sets the key; the op leaves it alone. FC_OK or FC_OUT_OF_MEMORY. */
fc_status world_try_put(crash_world *world, uint32_t index, uint64_t bytes, uint32_t seed, uint64_t expires_unix_ns);
void world_put(crash_world *world, uint32_t index, uint64_t bytes, uint32_t seed);
void world_put_text(crash_world *world, uint32_t index, const char *text);
void world_remove(crash_world *world, uint32_t index);
/* The op changes the key to this. */
void world_expect(crash_world *world, uint32_t index, const void *data, uint64_t bytes, uint64_t expires_unix_ns);
void world_expect_pattern(crash_world *world, uint32_t index, uint64_t bytes, uint32_t seed);
void world_expect_missing(crash_world *world, uint32_t index);
/* Fills until nothing of that size goes in any more. Returns how many keys it took. */
uint32_t world_fill(crash_world *world, uint64_t bytes);
uint8_t *pattern(uint64_t bytes, uint32_t seed);

/* ------------------------------------------------------------------ crash_check.c */

/* Looks at every structure of the segment. With `settled` no lock, no redo log, no dead session may be left; without, what a death leaves
 * behind is allowed for. Returns how many things are wrong, each printed behind `label`. */
uint32_t crash_verify(const fc_cache *cache, int settled, const char *label);

#define CRASH_TIMES_MAX (1u << 20)

/* From the death (as a waiting parent learns of it; for stop-kill from the kill) to the end of the first set of the key. */
typedef struct crash_times {
    uint64_t count;
    uint32_t ns[CRASH_TIMES_MAX];
} crash_times;

typedef struct crash_results {
    uint64_t passed;
    uint64_t failed;
    uint64_t points;           /* runs that died or stopped at a store */
    uint64_t busy_count;       /* writes that P13 refused */
    uint64_t left_buckets;     /* worlds whose last extension bucket stayed until the home was written again */
    crash_times times[2];      /* [1]: where memory is short, and the set itself evicts or compacts */
} crash_results;

extern crash_results *results;

void crash_fail(const char *label, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* While the child `pid` is stopped: reads, cuts, and writes of other keys. */
void check_stopped(crash_world *world, pid_t pid, const char *label);
/* After a child died. `killed`: it was sent SIGKILL at since_mono_ns, and may be dying still; 0: it is dead. */
void check_dead(crash_world *world, fc_cache *cache, fc_session *session, pid_t killed, uint64_t since_mono_ns, const char *label);
/* After the child has finished the op. */
void check_finished(crash_world *world, int done, const char *label);

#endif
