/* fincache_api.h -- every public declaration of FinCache's C API, free of directives beyond plain #define.
 *
 * Include <fincache.h>, never this file: fincache.h adds the guard, the includes, the status enum and C++ linkage around it.
 * The file carries no directives so that Python's cffi reads the very same text.
 *
 * THE MODEL IN TEN LINES
 *   A *segment* is a fixed-size region of POSIX shared memory that holds a hash table of keys and values.
 *   An fc_cache is one process's mapping of a segment. Threads may share it.
 *   An fc_session is one thread's right to read and write through that mapping. It must be opened by the thread that uses it;
 *   it closes itself when that thread ends. A child of fork() inherits the fc_cache, not the sessions: it opens its own.
 *   An fc_key is a key hashed once for one segment; it points at the caller's bytes and may be used any number of times.
 *   Reads never wait for anybody. Writes hold one key's lock for well under a microsecond; the kernel's knowledge of dead
 *   threads, never elapsed time, decides when a lock is taken back.
 *
 * EXAMPLE (error handling left out)
 *   fc_cache *cache;  fc_options options;  fc_session *session;  fc_key key;
 *   fc_options_init(&options);  options.size_bytes = 256u << 20;
 *   fc_cache_open("md", &options, &cache);
 *   fc_session_open(cache, &session);
 *   fc_key_init(cache, 0, "AAPL:last", 9, &key);
 *   fc_set(session, &key, "150.25", 6, NULL, NULL);
 *   char value[64];  uint64_t value_bytes;
 *   fc_get(session, &key, value, sizeof value, &value_bytes);
 *
 * CONVENTIONS
 *   Every fallible function returns an fc_status, FC_OK being 0. Out-parameters come last and are untouched on failure, except
 *   where a function says so. FC_MISS, FC_NOT_STORED and FC_VERSION_MISMATCH are answers, not failures.
 *   With FC_BUFFER_SMALL, functions that copy a value, a key or a text set its length; nothing else is set or changed.
 *   Times are nanoseconds. *_unix_ns is wall-clock time since 1970 (CLOCK_REALTIME); 0 means "none".
 *   Bytes are bytes: keys and values may hold NUL, and may be empty.
 *   Pointers must not be NULL except where a function says so. A closed fc_cache must not be used again.
 *   Costs are for 16-byte keys and 32-byte values with everything in L2.
 */

#define FC_KEY_BYTES_MAX 65536
#define FC_NAME_BYTES_MAX 64
#define FC_DATABASES_MAX 63
#define FC_SESSIONS_LIMIT 4080
#define FC_MULTI_KEYS_MAX 65488
#define FC_SEGMENT_BYTES_MIN 1048576
#define FC_VALUE_BYTES_LIMIT 1073741823
#define FC_SCHEMA_BYTES_MAX 4096

/* fc_status -- see status.def for numbers, names and meanings. */
typedef int32_t fc_status;

typedef struct fc_cache fc_cache;
typedef struct fc_session fc_session;

/* ------------------------------------------------------------------ statuses */

/* One row of status.def. python_class is "-" for answers. */
typedef struct fc_status_row {
    fc_status status;
    const char *name;
    const char *resp_prefix;
    const char *python_class;
    const char *message;
    const char *hint;
} fc_status_row;

/* The row at index 0, 1, 2 ... ; NULL past the end. */
const fc_status_row *fc_status_at(uint32_t index);
/* The row of a status; the row of FC_INTERNAL for a number that is not in the table. Never NULL. */
const fc_status_row *fc_status_find(fc_status status);
/* What the last failing call on this thread, which returned `status`, wants to add to the status's message (a path, an errno, the
 * pid and tid that hold a lock); "" when nothing. Valid until the next call on this thread. */
const char *fc_error_detail(fc_status status);
/* "major.minor.patch" of the library. */
const char *fc_version(void);

/* ------------------------------------------------------------------ segments */

/* What a full segment does with a write. */
#define FC_POLICY_NOEVICTION 0
#define FC_POLICY_ALLKEYS_LRU 1
#define FC_POLICY_ALLKEYS_RANDOM 2

/* Options of fc_cache_open and fc_cache_create. Fill with fc_options_init first. */
typedef struct fc_options {
    uint64_t size_bytes;       /* the whole segment; FC_SEGMENT_BYTES_MIN or more, rounded up to 32 KiB */
    uint64_t item_bytes;       /* expected average of key + value bytes; 0: 200. A wrong guess costs memory, not function */
    uint64_t keys;             /* expected number of keys; 0: as many as size_bytes holds of item_bytes */
    uint64_t value_bytes_max;  /* longest value; 0: 512 MiB */
    uint32_t databases;        /* 1 to FC_DATABASES_MAX; 0: 16 */
    uint32_t sessions_max;     /* 16 to FC_SESSIONS_LIMIT; 0: by size, 16 to 1024 */
    uint32_t policy;           /* FC_POLICY_* */
    uint32_t mode;             /* permission bits, such as 0600 (default) or 0660; the umask does not apply */
    int64_t group;             /* gid that owns the segment; -1: the caller's */
    uint64_t hash_seed;        /* 0: random. Fixed seeds are for tests: they let an adversary choose colliding keys */
    uint8_t huge_pages;        /* 1: madvise(MADV_HUGEPAGE) when mapping; fc_cache_info says what was obtained */
    uint8_t prefault;          /* 1: touch every page when mapping, so that no page fault comes later */
    uint8_t lock_memory;       /* 1: mlock the mapping; FC_MEMLOCK when the kernel refuses */
    uint8_t read_only;         /* fc_cache_attach only: map PROT_READ, take no session slot */
} fc_options;

/* What a mapping is, all read from the validated header. */
typedef struct fc_cache_info {
    char name[72];
    uint64_t segment_id;         /* random, new with every creation */
    uint64_t size_bytes;
    uint64_t arena_bytes;        /* what is left for keys and values */
    uint64_t home_count;         /* buckets of 6 entries */
    uint64_t keys_configured;
    uint64_t value_bytes_max;
    uint64_t created_unix_ns;
    uint64_t huge_bytes;         /* bytes of this mapping that huge pages back, as smaps says; 0 when none */
    uint32_t databases;
    uint32_t sessions_max;
    uint32_t sessions_used;
    uint32_t policy;
    uint32_t layout_version;
    uint32_t mode;
    uint8_t read_only;
    uint8_t retired;             /* the segment was unlinked; the mapping still works */
    uint8_t locked;              /* mlock succeeded for this mapping */
    uint8_t huge_advised;        /* madvise was accepted */
} fc_cache_info;

/* Defaults: 64 MiB, 0600, noeviction, everything else 0. */
void fc_options_init(fc_options *options);

/* Creates the segment and maps it. All memory is reserved before the name appears; no half-built segment is ever visible.
 * Errors: FC_INVALID_NAME, FC_INVALID_ARGUMENT, FC_SIZE_TOO_SMALL, FC_NO_SPACE, FC_SEGMENT_EXISTS, FC_PERMISSION, FC_SYSTEM. */
fc_status fc_cache_create(const char *name, const fc_options *options, fc_cache **cache);

/* Maps an existing segment. Only huge_pages, prefault, lock_memory and read_only of options count; NULL means none of them.
 * Errors: FC_SEGMENT_MISSING, FC_PERMISSION, FC_FOREIGN_SEGMENT, FC_TRUNCATED_SEGMENT, FC_LAYOUT_NEWER, FC_LAYOUT_OLDER,
 * FC_SEGMENT_RETIRED, FC_CORRUPT, FC_MEMLOCK, FC_SYSTEM. */
fc_status fc_cache_attach(const char *name, const fc_options *options, fc_cache **cache);

/* Attaches, or creates when there is none. Two processes that race end up in one segment; the options of the winner hold. */
fc_status fc_cache_open(const char *name, const fc_options *options, fc_cache **cache);

/* Closes the calling thread's sessions and unmaps. FC_BUSY while other threads have sessions open. NULL is allowed. */
fc_status fc_cache_close(fc_cache *cache);

/* Removes the name. Processes that are attached go on; nobody can attach or open a session any more. FC_SEGMENT_MISSING also when somebody
 * else removed it meanwhile; a new segment of that name stays. FC_BUSY: a process was stopped while it removed this one. */
fc_status fc_cache_unlink(const char *name);

/* Names of all segments of this host that the caller can see, by callback; a non-zero return stops. */
fc_status fc_cache_list(int32_t (*visit)(void *context, const char *name), void *context);

/* Reads /proc/self/smaps for huge_bytes: up to a millisecond in a process with many mappings. */
fc_status fc_cache_describe(const fc_cache *cache, fc_cache_info *info);

/* Changes what a full segment does, for everybody, at once. */
fc_status fc_cache_set_policy(fc_cache *cache, uint32_t policy);

/* ------------------------------------------------------------------ sessions */

/* Opens the calling thread's session. Read-only attachments get one that takes no slot and cannot run out.
 * Errors: FC_SESSIONS_FULL (all of sessions_max belong to living threads), FC_SEGMENT_RETIRED, FC_PERMISSION, FC_SYSTEM. */
fc_status fc_session_open(fc_cache *cache, fc_session **session);

/* Closes it: blocks go back, the slot is free. Closing NULL is allowed; closing twice is FC_CLOSED while the fc_cache
 * lives and fewer than 64 sessions were closed after it.
 * In a forked child it is FC_FORKED and touches nothing of the parent's. */
fc_status fc_session_close(fc_session *session);

/* How long a write may wait for a lock that a live thread holds before FC_BUSY. Default 100 ms. 0: never wait. */
fc_status fc_session_set_timeout(fc_session *session, uint64_t timeout_ns);

/* Has the engine call `before` and `after` around every wait of the session that may leave the processor: a lock that another session
 * holds did not come free while the writer spun (some microseconds), or a closing session waits for others. Between the two calls the engine
 * asks the kernel whether the owner lives, settles it if not, and sleeps; it holds no lock then that another session may want, except
 * those of the dead that it settles. So an interpreter's lock can be given up in `before` and taken back in `after`, for real waits only:
 *     static void before(void *context) { *(PyThreadState **)context = PyEval_SaveThread(); }
 *     static void after(void *context) { PyEval_RestoreThread(*(PyThreadState **)context); }
 * Both run on the session's thread, in turn, and each wait may have several pairs of calls. They are not called when a thread that ends
 * closes its sessions, nor by fc_session_open. Inside them the session may read; a write or fc_session_close returns FC_REENTERED. Other
 * threads may do anything meanwhile; fc_cache_close is FC_BUSY for them. A thread may end inside them (pthread_exit): its session is then
 * settled by others, as when it is killed. NULL for both: none, the default. */
fc_status fc_session_set_wait_hooks(fc_session *session, void (*before)(void *context), void (*after)(void *context), void *context);

/* Settles every session whose thread is dead; *settled_count of them. Any session may call it; waiters do so by themselves. */
fc_status fc_session_reap(fc_session *session, uint32_t *settled_count);

/* Removes what has expired, and what a flush left behind, from the next `home_count` homes: all sessions move one hand on, which comes round
 * after fc_cache_info.home_count of them (more are not swept in one call). Waits for nobody: a key that is locked is left for the next
 * round. *removed_count values went. Any session may call it; nobody has to: what has expired reads as a miss, and its memory is taken
 * back when it is needed. Some 100 ns for a home, whose blocks are looked at, and 300 ns for a value that goes. */
fc_status fc_session_sweep(fc_session *session, uint64_t home_count, uint64_t *removed_count);

/* One slot of the registry. */
typedef struct fc_session_info {
    uint32_t slot;
    int32_t pid;
    int32_t tid;
    uint8_t live;                /* 0: the thread is dead, and nobody has settled it yet */
    uint64_t opened_unix_ns;
    uint64_t magazine_bytes;
    uint64_t gets;
    uint64_t sets;
} fc_session_info;

/* Visits the used slots; a non-zero return stops. */
fc_status fc_session_list(fc_cache *cache, int32_t (*visit)(void *context, const fc_session_info *info), void *context);

/* ------------------------------------------------------------------ keys */

/* A prepared key, to be read but not changed after fc_key_init; the caller keeps `data` alive. Valid for every mapping of its segment. */
typedef struct fc_key {
    const void *data;
    uint32_t bytes;
    uint32_t database;
    uint64_t hash;
} fc_key;

/* Errors: FC_KEY_TOO_LONG, FC_INVALID_ARGUMENT (database out of range). Cost 3 ns. */
fc_status fc_key_init(const fc_cache *cache, uint32_t database, const void *data, uint64_t bytes, fc_key *key);

/* ------------------------------------------------------------------ reading (never waits, never locks) */

#define FC_TYPE_NONE 0
#define FC_TYPE_STRING 1

#define FC_WRITER_UNKNOWN 0
#define FC_WRITER_ALIVE 1
#define FC_WRITER_DEAD 2

/* What is known of a value besides its bytes. */
typedef struct fc_entry {
    uint64_t value_bytes;
    uint64_t version;            /* unique for ever; changes with every write, and when memory is compacted */
    uint64_t written_unix_ns;
    uint64_t expires_unix_ns;    /* 0: never */
    uint64_t age_ns;             /* now - written_unix_ns, 0 at least */
    uint64_t schema;             /* 0, or the id that fc_schema_register gave for the record's dtype */
    uint32_t type;               /* FC_TYPE_* */
    uint32_t writer_slot;        /* slot of the session that wrote it, for fc_entry_writer */
} fc_entry;

/* Copies the value. *value_bytes is its length. FC_BUFFER_SMALL: nothing was copied, *value_bytes says how much is needed.
 * Errors: FC_MISS, FC_BUFFER_SMALL, FC_WRONG_TYPE, FC_CONTENDED, FC_CORRUPT. 20 ns. */
fc_status fc_get(fc_session *session, const fc_key *key, void *buffer, uint64_t buffer_bytes, uint64_t *value_bytes);

/* The same, with metadata from the same instant. buffer may be NULL: then only the metadata, and no FC_BUFFER_SMALL. */
fc_status fc_get_entry(fc_session *session, const fc_key *key, void *buffer, uint64_t buffer_bytes, fc_entry *entry);

/* Is the session that wrote the entry still alive? *writer is FC_WRITER_*; UNKNOWN: it was closed in order, or that cannot be told.
 * Asks the kernel: some 15 us, unless the caller wrote it. */
fc_status fc_entry_writer(fc_session *session, const fc_entry *entry, uint32_t *writer);

/* Bytes [first, last] as Redis GETRANGE counts them (negative: from the end), into a buffer of last-first+1 bytes at most. A
 * missing key is an empty range. */
fc_status fc_get_range(fc_session *session, const fc_key *key, int64_t first, int64_t last, void *buffer, uint64_t buffer_bytes,
                       uint64_t *range_bytes);

/* FC_OK or FC_MISS. */
fc_status fc_exists(fc_session *session, const fc_key *key);
/* *type is FC_TYPE_NONE for a miss (and FC_OK is returned). */
fc_status fc_type(fc_session *session, const fc_key *key, uint32_t *type);
/* *expires_unix_ns, 0 for a key without expiry. FC_MISS. */
fc_status fc_expires(fc_session *session, const fc_key *key, uint64_t *expires_unix_ns);

/* One of many. */
typedef struct fc_read {
    void *buffer;                /* in */
    uint64_t buffer_bytes;       /* in */
    uint64_t value_bytes;        /* out: length of the value; with FC_OK and FC_BUFFER_SMALL, otherwise untouched */
    uint64_t version;            /* out: likewise */
    uint64_t schema;             /* out: likewise; 0, or the id that fc_schema_register gave for the record's dtype */
    uint64_t written_unix_ns;    /* out: likewise; an age is the clock's reading after the call less this */
    fc_status status;            /* out: FC_OK, FC_MISS, FC_BUFFER_SMALL, FC_WRONG_TYPE, FC_CONTENDED, FC_CORRUPT */
} fc_read;

/* Reads keys[i] into reads[i], each value consistent in itself. Buckets and blocks are prefetched, so that many random keys cost
 * a quarter of as many fc_get. Returns FC_OK if every read has a status; the reads' own statuses say the rest. */
fc_status fc_get_many(fc_session *session, const fc_key *keys, fc_read *reads, uint64_t count);

/* The same, as one consistent cut: there was one instant at which all keys held exactly these values (or were missing). Locks
 * nobody: keys that change meanwhile are read again, until all have stood still for one round of checks, 2 ns a key. When they change faster
 * than they can be read, a read-write session asks writers to wait, for 50 us at most. FC_CONTENDED when writers changed keys in every one of
 * 10,000 rounds: so far seen from read-only sessions, and only where one core sets these very keys without a pause. Buffers, and value_bytes,
 * version and schema of missing keys, may hold anything then. 500 records of 64 bytes: 11 us; 29 us beside a writer that sets them at full rate. */
fc_status fc_get_cut(fc_session *session, const fc_key *keys, fc_read *reads, uint64_t count);

/* ------------------------------------------------------------------ writing */

#define FC_SET_NX 1              /* only if the key is missing */
#define FC_SET_XX 2              /* only if it exists */
#define FC_SET_KEEPTTL 4         /* keep the expiry of the value that is replaced */
#define FC_SET_GET 8             /* return the old value in old_buffer; works with NX and XX as in Redis 7 */
#define FC_SET_VERSION 16        /* compare and set: only if the present version is if_version (0: only if missing) */
#define FC_SET_SCHEMA 32         /* the value is a record of dtype `schema`; a present record must have the same */

typedef struct fc_set_options {
    uint32_t flags;
    uint32_t reserved;           /* 0 */
    uint64_t expires_unix_ns;    /* 0: none. A time in the past deletes the key, as in Redis */
    uint64_t if_version;
    uint64_t schema;
    void *old_buffer;
    uint64_t old_buffer_bytes;
} fc_set_options;

typedef struct fc_set_result {
    uint64_t version;            /* of the value that is there now, if this call wrote it */
    uint64_t old_bytes;          /* with FC_SET_GET */
    uint8_t old_exists;          /* with FC_SET_GET: 0 or 1. Valid with FC_OK, FC_NOT_STORED and FC_BUFFER_SMALL */
} fc_set_result;

/* Sets the key. options and result may be NULL.
 * In a full segment with noeviction, overwriting a key needs a block beside its present one: sessions keep one of each class they use.
 * FC_OK stored; FC_NOT_STORED NX or XX did not hold; FC_VERSION_MISMATCH; FC_BUFFER_SMALL the old value does not fit (nothing was
 * written). Errors: FC_VALUE_TOO_LONG, FC_OUT_OF_MEMORY, FC_BUSY, FC_READ_ONLY, FC_SCHEMA_MISMATCH, FC_REENTERED. 50 ns. */
fc_status fc_set(fc_session *session, const fc_key *key, const void *value, uint64_t value_bytes, const fc_set_options *options,
                 fc_set_result *result);

/* FC_OK or FC_MISS. */
fc_status fc_delete(fc_session *session, const fc_key *key);
/* Deletes and returns the value as fc_get does; FC_BUFFER_SMALL deletes nothing. */
fc_status fc_get_delete(fc_session *session, const fc_key *key, void *buffer, uint64_t buffer_bytes, uint64_t *value_bytes);

/* Adds to a decimal 64-bit integer; a missing key counts as 0. The expiry is kept. FC_NOT_INTEGER, FC_OVERFLOW. */
fc_status fc_increment(fc_session *session, const fc_key *key, int64_t delta, int64_t *value);
/* Adds to a decimal number as Redis's INCRBYFLOAT does (long double, 17 digits, no exponent). text gets the new value, NUL-ended;
 * 64 bytes are not enough for every number: give FC_FLOAT_TEXT_BYTES. FC_NOT_FLOAT. */
#define FC_FLOAT_TEXT_BYTES 5120
fc_status fc_increment_float(fc_session *session, const fc_key *key, long double delta, char *text, uint64_t text_bytes);

/* Appends; a missing key counts as empty. *value_bytes is the new length. */
fc_status fc_append(fc_session *session, const fc_key *key, const void *data, uint64_t bytes, uint64_t *value_bytes);
/* Overwrites from offset on, zero-padding a shorter value. *value_bytes is the new length. */
fc_status fc_set_range(fc_session *session, const fc_key *key, uint64_t offset, const void *data, uint64_t bytes,
                       uint64_t *value_bytes);

#define FC_EXPIRE_NX 1           /* only if it has no expiry */
#define FC_EXPIRE_XX 2           /* only if it has one */
#define FC_EXPIRE_GT 4           /* only if the new one is later; no expiry counts as infinite */
#define FC_EXPIRE_LT 8           /* only if the new one is earlier */
/* Sets the expiry; a time in the past deletes. FC_OK, FC_MISS, FC_NOT_STORED (a condition did not hold), FC_OUT_OF_MEMORY. */
fc_status fc_expire(fc_session *session, const fc_key *key, uint64_t expires_unix_ns, uint32_t flags);
/* Takes the expiry away. FC_OK, FC_MISS, FC_NOT_STORED (it had none). */
fc_status fc_persist(fc_session *session, const fc_key *key);
/* Returns the value as fc_get does and changes its expiry in the same step (GETEX): to expires_unix_ns, or to none if that is 0; a time
 * in the past deletes the key. flags are FC_EXPIRE_*, as in fc_expire: where they do not hold, and where there is no expiry to take away,
 * the value is returned and nothing changes. FC_OK, FC_MISS, FC_BUFFER_SMALL (nothing changed), FC_OUT_OF_MEMORY (likewise), FC_BUSY. */
fc_status fc_get_expire(fc_session *session, const fc_key *key, void *buffer, uint64_t buffer_bytes, uint64_t *value_bytes,
                        uint64_t expires_unix_ns, uint32_t flags);
/* Marks the key as used just now, for eviction. FC_OK, FC_MISS. */
fc_status fc_touch(fc_session *session, const fc_key *key);

/* Renames, all-or-nothing for every reader. FC_MISS: no source. FC_NOT_STORED: only_if_absent and the target exists. */
fc_status fc_rename(fc_session *session, const fc_key *source, const fc_key *target, uint8_t only_if_absent);
/* Copies value and expiry. FC_MISS: no source. FC_NOT_STORED: the target exists and replace is 0. */
fc_status fc_copy(fc_session *session, const fc_key *source, const fc_key *target, uint8_t replace);

typedef struct fc_write {
    const void *value;           /* NULL deletes the key */
    uint64_t value_bytes;
    uint64_t expires_unix_ns;    /* 0: none */
    uint64_t schema;             /* 0, or a registered schema */
} fc_write;

#define FC_SET_MANY_NX 1         /* all or none: only if every key is missing (MSETNX) */
/* Sets (or deletes) all keys at one instant: every reader sees all of it or nothing, also when the caller is killed in the middle.
 * A key named twice gets its last value. FC_TOO_MANY_KEYS above FC_MULTI_KEYS_MAX. FC_NOT_STORED with FC_SET_MANY_NX. FC_BUSY.
 * FC_CONTENDED when flushes came in between again and again. */
fc_status fc_set_many(fc_session *session, const fc_key *keys, const fc_write *writes, uint64_t count, uint32_t flags);

/* Empties one database at once (O(1)); memory comes back in the background. */
fc_status fc_flush(fc_session *session, uint32_t database);
fc_status fc_flush_all(fc_session *session);

/* ------------------------------------------------------------------ the key space */

/* Number of keys, expired ones that nobody has met yet included (as in Redis). */
fc_status fc_count(fc_session *session, uint32_t database, uint64_t *key_count);

/* A random live key. FC_MISS: the database is empty. FC_BUFFER_SMALL as in fc_get. */
fc_status fc_random_key(fc_session *session, uint32_t database, void *buffer, uint64_t buffer_bytes, uint64_t *key_bytes);

/* Visits the keys from *cursor on until at least `count` were visited or the end is reached; *cursor is 0 at the end. Redis
 * SCAN's promise: a key that is there from the first call (cursor 0) to the last is visited at least once. A non-zero return of
 * visit ends the scan: the cursor is of no use then. Key and value are copies that live for the length of the call. */
fc_status fc_scan(fc_session *session, uint32_t database, uint64_t *cursor, uint64_t count,
                  int32_t (*visit)(void *context, const void *key, uint32_t key_bytes, uint32_t type), void *context);

/* ------------------------------------------------------------------ records
 *
 * A record is a value with a known layout: the bytes of a struct, and beside them the id of a *schema*, a text that says what the bytes are.
 * Write one with FC_SET_SCHEMA (fc_write.schema in fc_set_many); fc_get_entry and fc_get_many give the id back with the bytes, from the same
 * instant, so that a reader compares one number. Whoever has equal texts has equal records, in whatever language.
 *   bytes       fixed size, little-endian, IEEE 754 floats; padding included, as zeros or anything. Nothing is converted on the way
 *   text        JSON without blanks, ASCII (other characters as \u escapes); at most FC_SCHEMA_BYTES_MAX bytes
 *       a scalar   a string: "|b1" bool, "|i1" "|u1" "<i2" "<u2" "<i4" "<u4" "<i8" "<u8", "<f2" "<f4" "<f8", "<c8" "<c16" complex,
 *                  "|S<n>" n bytes, zeros at the end not counting, "<U<n>" n characters of 4 bytes, "|V<n>" n bytes of no meaning,
 *                  "<M8[ns]" time since 1970 and "<m8[ns]" a length of time as int64, in the unit named
 *       a struct   an array of fields in the order of their offsets, each [name,type] or [name,type,[sizes of an array's dimensions]];
 *                  type is a string as above, or again an array of fields. Padding is a field named "": ["","|V4"]
 *   id          XXH3-64 of the text, seed 0 (1 if that should be 0); fc_schema_id computes it. A text is registered once in a segment
 *               (fc_schema_register), so that others can ask what the bytes are: fincache.Cache.records and numpy read it as dtype.descr
 * struct { double bid, ask; int32_t sizes[2]; char venue[4]; } has, with 4 bytes of padding, the text
 *     [["bid","<f8"],["ask","<f8"],["sizes","<i4",[2]],["venue","|S4"],["","|V4"]]
 * examples/record_feed.c writes and reads it, and so do the Python tests. */

/* Registers a schema's text and gives its id, the same id for the same text for ever. The engine does not look into the text.
 * At most FC_SCHEMA_BYTES_MAX bytes. Read-only sessions get the id without registering. */
fc_status fc_schema_register(fc_session *session, const void *text, uint64_t text_bytes, uint64_t *schema);
/* The id of a text, in every segment, whether it is registered there or not. Same bounds. A reader that knows its records needs no more. */
fc_status fc_schema_id(const void *text, uint64_t text_bytes, uint64_t *schema);
/* The text of an id. FC_MISS. */
fc_status fc_schema_text(fc_session *session, uint64_t schema, void *buffer, uint64_t buffer_bytes, uint64_t *text_bytes);

/* ------------------------------------------------------------------ statistics */

/* Totals over all sessions that ever were, exact when nobody is in the middle of an operation. */
typedef struct fc_stats {
    uint64_t gets;
    uint64_t hits;
    uint64_t misses;
    uint64_t sets;
    uint64_t deletes;
    uint64_t read_retries;       /* validated reads that had to be taken again */
    uint64_t contended;          /* reads that gave up with FC_CONTENDED */
    uint64_t lock_waits;         /* writes that found the lock held */
    uint64_t busy;               /* writes that gave up with FC_BUSY */
    uint64_t recoveries;         /* dead sessions settled */
    uint64_t rolled_forward;     /* of these, the ones whose half-done write was finished */
    uint64_t expired;            /* keys removed because their time had come */
    uint64_t evicted;
    uint64_t flushed;            /* keys reclaimed after a flush */
    uint64_t pages_moved;        /* pages given from one size class to another by moving or evicting what was in them */
    uint64_t multi_commits;
    uint64_t out_of_memory;
    uint64_t used_bytes;         /* blocks that hold something, to the block; index not included */
    uint64_t magazine_bytes;     /* free blocks that sessions keep at hand */
    uint64_t free_bytes;         /* arena - used - magazines */
    uint64_t arena_bytes;
    uint64_t extension_buckets;  /* in use; their bytes are part of used_bytes */
    uint64_t key_count;          /* of all databases */
    uint32_t sessions_used;
    uint32_t pages_free;
} fc_stats;

fc_status fc_cache_stats(const fc_cache *cache, fc_stats *stats);

#define FC_CLASS_FREE 0          /* pages that no class has; block_bytes is a page's */
#define FC_CLASS_VALUES 1        /* blocks of one size, each of one key and value */
#define FC_CLASS_PAGES 2         /* whole pages: where long values go on, and large multi-key writes under way */
#define FC_CLASS_BUCKETS 3       /* extension buckets of the index */

/* The memory of one size class. used blocks = blocks - free_blocks - magazine_blocks. */
typedef struct fc_class_info {
    uint32_t kind;               /* FC_CLASS_* */
    uint32_t block_bytes;
    uint64_t pages;
    uint64_t blocks;             /* that these pages are divided into */
    uint64_t free_blocks;        /* of them, for any session to take */
    uint64_t magazine_blocks;    /* free ones that sessions keep at hand */
} fc_class_info;

/* Visits the free pages, then every class that has pages, from small blocks to large ones, then the buckets; a non-zero return stops. Reads
 * every page's descriptor: some 20 us for 256 MiB. Nobody is stopped, so figures may be those of different moments. */
fc_status fc_cache_classes(const fc_cache *cache, int32_t (*visit)(void *context, const fc_class_info *info), void *context);
/* The counters of this session alone, since it was opened (the memory fields are those of the segment). Read-only sessions too. */
fc_status fc_session_stats(fc_session *session, fc_stats *stats);
