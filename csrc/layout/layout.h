/* layout.h -- every struct that another process may read. Nothing else in the tree declares one.
 *
 *   offset 0        header            4 KiB, immutable geometry first, then words grouped by who writes them
 *   sessions_off    session slots     8 KiB each
 *   homes_off       home buckets      64 bytes each: one cache line, 6 entries
 *   marks_off       access marks      8 bytes a home, see FC_MARK_*
 *   pages_off       page descriptors  128 bytes a page
 *   hints_off       hints             which pages of a kind have free blocks; two levels of bits for each kind
 *   arena_off       pages             32 KiB each, to the end of the segment
 *
 * All references are byte offsets from the start of the segment (fc_ref); 0 is "none", because offset 0 is the header. Numbers are
 * little-endian. Any change to a struct or constant in this file changes FC_LAYOUT_VERSION in the same commit.
 */
#ifndef FC_LAYOUT_LAYOUT_H
#define FC_LAYOUT_LAYOUT_H

#include "fincache.h"

#include <assert.h>
#include <stddef.h>

#define FC_MAGIC UINT64_C(0x45484341434E4946) /* the bytes F I N C A C H E */
#define FC_LAYOUT_VERSION 2u
#define FC_BYTE_ORDER_MARK 0x01020304u
#define FC_HEADER_BYTES 4096u

typedef uint64_t fc_ref;

/* ------------------------------------------------------------------ entry words
 *
 *   63        48 47                                     3 2 1 0
 *   +-----------+----------------------------------------+-----+
 *   |  tag (16) |  block offset (48), 8-byte aligned      | 0 M |     M = 0: the block that holds the key
 *   +-----------+------------+-------------+-------------+-----+
 *   |  tag (16) | seq (16)   | op (17)     | slot (12)   | 0 1 |     M = 1: a multi-key write in progress; see fc_multi
 *   +-----------+------------+-------------+-------------+-----+
 * The whole word 0 is an empty entry. The tag is the hash's top 16 bits.
 */
#define FC_ENTRY_TAG_SHIFT 48
#define FC_ENTRY_REF_MASK UINT64_C(0x0000FFFFFFFFFFF8)
#define FC_ENTRY_MARK UINT64_C(1)
#define FC_MARK_SLOT_SHIFT 3
#define FC_MARK_SLOT_BITS 12
#define FC_MARK_OP_SHIFT 15
#define FC_MARK_OP_BITS 17
#define FC_MARK_SEQ_SHIFT 32
#define FC_MARK_SEQ_BITS 16

/* ------------------------------------------------------------------ buckets */

#define FC_BUCKET_ENTRIES 6u

/* Home and extension buckets have one shape. In an extension bucket version and owner stay 0. */
typedef struct fc_bucket {
    uint64_t version;                      /* home lock's owner: +1 with every change of an entry in the chain */
    uint32_t owner;                        /* any writer, by CAS: 0 free, else fc_owner_word of the session that holds it */
    uint32_t link;                         /* lock's owner: offset / 64 of the next extension bucket, 0 at the end */
    uint64_t entries[FC_BUCKET_ENTRIES];   /* lock's owner */
} fc_bucket;

static_assert(sizeof(fc_bucket) == 64, "a bucket is one cache line");
static_assert(offsetof(fc_bucket, owner) == 8 && offsetof(fc_bucket, link) == 12 && offsetof(fc_bucket, entries) == 16,
              "the bucket's picture in docs/memory-model.md");

/* An owner word: slot + 1 in the low 16 bits, the low 16 bits of the session's incarnation above. Never 0. */
#define FC_OWNER_SLOT_MASK 0xFFFFu
#define FC_OWNER_INCARNATION_SHIFT 16

/* Access marks, 8 bytes a home: bytes 0 to 5 for the home's entries, byte 6 shared by all its extension entries, byte 7 unused. */
#define FC_MARK_BYTES 8u
#define FC_MARK_EXTENSIONS 6u

/* ------------------------------------------------------------------ blocks */

#define FC_PAGE_BYTES 32768u
#define FC_PAGE_BITMAP_WORDS 8u
#define FC_BLOCK_BYTES_MIN 64u

/* What a head block begins with. `key` and `value` follow; before them, in this order, 8 bytes of schema if FC_BLOCK_SCHEMA,
 * 16 bytes of fc_chain if FC_BLOCK_CHAIN. */
typedef struct fc_block {
    uint64_t stamp;            /* 0 while free or being built; otherwise unique for ever: FC_STAMP_* */
    uint64_t hash;             /* fc_hash of (database, key). In a block on a garbage list: the next block's offset */
    uint64_t expires_unix_ns;  /* 0: never */
    uint64_t written_unix_ns;
    uint64_t prev_writer;      /* pre-image for a snapshot (40 bits, offset / 1; unused yet), writer's slot in the top 16 bits */
    uint64_t meta;             /* epoch 32 | flush generation 24 | type 4 | flags 4 */
    uint64_t lengths;          /* key bytes 20 | value bytes 32 | database 6 | size class 6 */
} fc_block;

static_assert(sizeof(fc_block) == 56, "16 + 32 bytes of key and value fit a block of 104");

#define FC_BLOCK_SCHEMA 1u
#define FC_BLOCK_CHAIN 2u

#define FC_BLOCK_WRITER_SHIFT 48
#define FC_BLOCK_EPOCH_SHIFT 32
#define FC_BLOCK_FLUSH_SHIFT 8
#define FC_BLOCK_FLUSH_MASK UINT64_C(0xFFFFFF)
#define FC_BLOCK_TYPE_SHIFT 4
#define FC_BLOCK_KEY_SHIFT 44
#define FC_BLOCK_VALUE_SHIFT 12
#define FC_BLOCK_VALUE_MASK UINT64_C(0xFFFFFFFF)
#define FC_BLOCK_DATABASE_SHIFT 6

static_assert(FC_KEY_BYTES_MAX < 1 << 20, "key bytes fit their field");
/* One more than users may have: the last one belongs to the engine. */
#define FC_DATABASE_SLOTS 64u
static_assert(FC_DATABASES_MAX < FC_DATABASE_SLOTS, "a database number fits its field of 6 bits");

/* Schemas live as keys of a database that no user can name. */
#define FC_DATABASE_SCHEMAS 63u

/* stamp = session serial (28 bits) | counter (36 bits), the counter never 0. A session that used up its counter takes a new serial. */
#define FC_STAMP_COUNTER_BITS 36
#define FC_STAMP_SERIAL_MAX ((UINT64_C(1) << 28) - 1)

/* Where a value longer than one block goes on: whole pages, each beginning with an fc_node. */
typedef struct fc_chain {
    fc_ref first;
    uint64_t stamp;            /* of every node of the chain; it outlives the head when EXPIRE or compaction replaces the head */
} fc_chain;

typedef struct fc_node {
    uint64_t stamp;
    fc_ref next;               /* 0 at the end. The same word that links garbage */
    uint64_t hash;             /* of the key, so that a sweep finds the owner */
} fc_node;

static_assert(sizeof(fc_node) == 24 && offsetof(fc_node, next) == offsetof(fc_block, hash), "one link word for every list");

#define FC_NODE_PAYLOAD (FC_PAGE_BYTES - sizeof(fc_node))
/* The largest head block: half a page. */
#define FC_HEAD_BYTES_MAX 16384u

/* ------------------------------------------------------------------ pages */

/* Kinds of pages: 0 free, 1 to FC_CLASS_COUNT a size class (see size_class.c), then the buckets. */
#define FC_CLASS_COUNT 44u
#define FC_KIND_FREE 0u
#define FC_KIND_PAGE FC_CLASS_COUNT            /* the class of whole pages: nodes and descriptors of large multi-key writes */
#define FC_KIND_BUCKETS (FC_CLASS_COUNT + 1u)  /* extension buckets; such a page never becomes free again */
#define FC_KIND_COUNT (FC_CLASS_COUNT + 2u)

typedef struct fc_page {
    uint32_t owner;                          /* any writer, by CAS; only tried, never waited for */
    uint32_t reserved;
    uint64_t kind_free;                      /* page lock's owner: kind << 32 | free blocks; one word, so that one store changes both */
    uint64_t reserved_words[6];
    uint64_t free_bits[FC_PAGE_BITMAP_WORDS]; /* page lock's owner: bit i set: block i is free */
} fc_page;

static_assert(sizeof(fc_page) == 128 && offsetof(fc_page, free_bits) == 64, "a page descriptor is two cache lines");
static_assert(FC_PAGE_BYTES / FC_BLOCK_BYTES_MIN == FC_PAGE_BITMAP_WORDS * 64, "one bit for each of the smallest blocks");

/* ------------------------------------------------------------------ session slots */

#define FC_MAGAZINE_REFS 8u
#define FC_REDO_MAX 48u
#define FC_GARBAGE_LISTS 4u
#define FC_GARBAGE_BLOCKS 0u   /* single blocks, linked through their second word */
#define FC_GARBAGE_NODES 1u    /* whole chains, linked the same way */
#define FC_GARBAGE_BUCKETS 2u  /* extension buckets, linked through their first word: readers may still follow `link` */
#define FC_MULTI_INLINE 16u
#define FC_MULTI_PAGES 64u
#define FC_STAT_COUNT 32u

/* Free blocks of one class that only this session may take. refs[count] and above are scratch. */
typedef struct fc_magazine {
    uint64_t count;
    fc_ref refs[FC_MAGAZINE_REFS];
} fc_magazine;

/* One store of the redo log: *(uint64_t *)(base + offset) = value. */
typedef struct fc_redo {
    uint64_t offset;
    uint64_t value;
} fc_redo;

/* One key of a multi-key write. */
typedef struct fc_multi_op {
    uint64_t home_off;
    uint64_t entry_off;
    uint64_t old_word;
    uint64_t new_word;         /* 0: delete */
} fc_multi_op;

/* A page of ops begins with an fc_node whose stamp is 0, for readers that still take the page for part of a value. */
#define FC_MULTI_OPS_OFF sizeof(fc_multi_op)
#define FC_MULTI_OPS_PER_PAGE ((FC_PAGE_BYTES - FC_MULTI_OPS_OFF) / sizeof(fc_multi_op))
static_assert(sizeof(fc_node) <= FC_MULTI_OPS_OFF, "the node stays untouched");
static_assert(FC_MULTI_INLINE + FC_MULTI_PAGES * FC_MULTI_OPS_PER_PAGE == FC_MULTI_KEYS_MAX, "the documented limit");
static_assert(FC_MULTI_KEYS_MAX < 1 << FC_MARK_OP_BITS, "op numbers fit a mark");

/* state = sequence << 8 | one of these. */
#define FC_MULTI_IDLE 0u
#define FC_MULTI_BUILDING 1u
#define FC_MULTI_ACTIVE 2u
#define FC_MULTI_COMMITTED 3u

typedef struct fc_multi {
    uint64_t state;
    uint64_t op_count;
    uint64_t locked_count;     /* homes of ops [0, locked_count) may be locked by this session */
    uint64_t progress;         /* ops [0, progress) have given their old (or, undone, their new) block back */
    fc_ref pages[FC_MULTI_PAGES];
    fc_multi_op ops[FC_MULTI_INLINE];
} fc_multi;

/* Which lock a journal word is about. The offset is stored before the lock is tried and stays there afterwards: a settler frees
 * the lock only if its owner word names the dead session. */
#define FC_LOCK_HOME 0u
#define FC_LOCK_VICTIM 1u
#define FC_LOCK_PAGE 2u
#define FC_LOCK_EVACUATED 3u   /* the page that is being emptied */
#define FC_LOCK_COUNT 4u

/* Key count of one database as this slot changed it; counts only while `generation` is the database's flush generation. */
typedef struct fc_db_count {
    uint64_t generation;
    uint64_t delta;            /* two's complement */
} fc_db_count;

typedef struct fc_slot {
    /* who: written when the session opens, cleared by whoever closes or settles it */
    uint64_t identity;         /* 0 free, else tid 22 | start time in clock ticks 42 */
    uint64_t incarnation;      /* +1 with each opening; never 0 in use */
    uint64_t pid_namespace;    /* fc_liveness_namespace; 0 until known */
    uint32_t pid;
    uint32_t tid;
    uint64_t serial_first;     /* stamps of this session have a serial of at least this */
    uint64_t opened_unix_ns;
    uint64_t settle_owner;     /* any session, by CAS: 0, else slot + 1 | incarnation << 16 of the settler */
    uint64_t reserved;
    /* journal: written by the session, after its death by its settler */
    uint64_t locks[FC_LOCK_COUNT];
    fc_ref pending;            /* blocks in hand, linked */
    fc_ref garbage[FC_GARBAGE_LISTS]; /* retired blocks on their way back to their pages, linked: FC_GARBAGE_* */
    uint64_t journal_reserved[6];
    uint64_t redo_count;
    fc_redo redo[FC_REDO_MAX];
    fc_multi multi;
    /* counters: written by the session; they stay when the slot changes hands, so that totals are sums over all slots */
    uint64_t stats[FC_STAT_COUNT];
    uint64_t stats_base[FC_STAT_COUNT];
    fc_db_count db_counts[FC_DATABASE_SLOTS];
    fc_magazine magazines[FC_KIND_COUNT];
    uint64_t tail_reserved[166];
} fc_slot;

#define FC_SLOT_BYTES 8192u
static_assert(sizeof(fc_slot) == FC_SLOT_BYTES, "slots are two small pages");
static_assert(offsetof(fc_slot, locks) == 64, "the journal has lines of its own");
static_assert(FC_SESSIONS_LIMIT + 16 <= 1 << FC_MARK_SLOT_BITS, "slot numbers fit a mark");

/* Slots behind sessions_max that only openers use who find all others taken, to settle the dead ones; see session.c. */
#define FC_SLOTS_SPARE 4u

/* ------------------------------------------------------------------ header */

/* Written once, before the segment has a name. `checksum` is XXH3-64 of everything before it. */
typedef struct fc_geometry {
    uint64_t magic;
    uint32_t layout_version;
    uint32_t byte_order;
    uint64_t segment_id;
    uint64_t size_bytes;
    uint64_t sessions_off;
    uint64_t homes_off;
    uint64_t home_count;
    uint64_t marks_off;
    uint64_t pages_off;
    uint64_t page_count;
    uint64_t hints_off;
    uint64_t hint_words;       /* 64-bit words of the lower level, for one kind */
    uint64_t hint_tops;        /* words of the upper level, for one kind */
    uint64_t arena_off;
    uint64_t keys_configured;
    uint64_t item_bytes;
    uint64_t value_bytes_max;
    uint64_t hash_seed;
    uint64_t created_unix_ns;
    uint64_t lock_inode;       /* of the lock file, /dev/shm/fincache-lock.<name>.<segment_id> */
    uint32_t sessions_max;
    uint32_t databases;
    uint32_t mode;
    uint32_t page_bytes;
    uint64_t reserved[4];
    uint64_t checksum;
} fc_geometry;

typedef struct fc_header {
    fc_geometry geometry;
    uint8_t geometry_pad[512 - sizeof(fc_geometry)];
    /* read by every operation, written hardly ever */
    uint64_t retired;                            /* 1: unlinked */
    uint64_t policy;                             /* FC_POLICY_* */
    uint64_t epoch;                              /* +1 with each snapshot cut */
    uint64_t access_clock;                       /* the tick that access marks hold, modulo 256 */
    uint64_t cut_until_mono_ns;                  /* any read-write session: until then writers give way to a cut; 0: none waits */
    uint64_t read_mostly[3];
    uint64_t flush_generations[FC_DATABASE_SLOTS]; /* +1 with each flush of the database */
    /* written now and then */
    uint64_t serial_next;                        /* by fetch-add: next session serial */
    uint64_t serial_pad[7];
    uint64_t reclaim_hand;                       /* by fetch-add: home where the next sweep for dead values begins */
    uint64_t reclaim_left;                       /* homes still to sweep after a flush; 0: nothing to gain */
    uint64_t sweep_mono_ns;                      /* before this time a full sweep is not worth while */
    uint64_t reap_mono_ns;                       /* when somebody last looked for dead sessions */
    uint64_t sweep_pad[4];
    uint8_t tail[FC_HEADER_BYTES - 512 - 64 - 512 - 128];
} fc_header;

static_assert(sizeof(fc_geometry) <= 512, "the geometry has the first 512 bytes");
static_assert(offsetof(fc_header, retired) == 512 && offsetof(fc_header, flush_generations) == 576, "header groups");
static_assert(offsetof(fc_header, serial_next) == 1088 && offsetof(fc_header, reclaim_hand) == 1152, "header groups");
static_assert(sizeof(fc_header) == FC_HEADER_BYTES, "the header is one small page");

#endif
