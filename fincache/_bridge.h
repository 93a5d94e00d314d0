/* _bridge.h -- what the Python binding adds to the C API: several calls of it in one crossing from Python to C. Free of directives but
 * for this comment, because cffi reads the file as it reads fincache_api.h. The implementation, _bridge.c, knows nothing of Python.
 */

/* fc_key_init and the operation, in one. */
fc_status fcpy_get(const fc_cache *cache, fc_session *session, uint32_t database, const void *key, uint64_t key_bytes,
                   void *buffer, uint64_t buffer_bytes, uint64_t *value_bytes);
fc_status fcpy_set(const fc_cache *cache, fc_session *session, uint32_t database, const void *key, uint64_t key_bytes,
                   const void *value, uint64_t value_bytes, const fc_set_options *options, fc_set_result *result);

/* The same in their commonest forms, with as few arguments as can be, for each of them costs cffi 5 to 20 ns. */
#define FCPY_PLACE_BYTES 4096
typedef struct fcpy_place {
    const fc_cache *cache;
    fc_session *session;
    char buffer[FCPY_PLACE_BYTES];
} fcpy_place;

/* fc_get into place->buffer: the length of the value, or the negated status. */
int64_t fcpy_fetch(fcpy_place *place, uint32_t database, const void *key, uint64_t key_bytes);
/* fc_set without options. Nothing is written to place. */
fc_status fcpy_put(const fcpy_place *place, uint32_t database, const void *key, uint64_t key_bytes, const void *value,
                   uint64_t value_bytes);

/* Prepares `count` keys that lie one behind the other in `bytes`. */
fc_status fcpy_prepare(const fc_cache *cache, uint32_t database, const char *bytes, const uint32_t *key_bytes, uint64_t count,
                       fc_key *keys);

/* Sets keys[i] to value i at one instant (fc_set_many); the values lie one behind the other in `bytes`. writes is scratch, `count` long. */
fc_status fcpy_set_values(fc_session *session, const fc_key *keys, const char *bytes, const uint64_t *value_bytes, uint64_t count,
                          fc_write *writes, uint32_t flags);

/* A table of records in the caller's memory: row i at rows + i * stride_bytes, row_bytes long, of one schema. */
typedef struct fcpy_rows {
    char *rows;
    int64_t stride_bytes;        /* from row to row; may be negative */
    uint64_t row_bytes;
    uint64_t schema;
} fcpy_rows;

/* Reads the record of keys[i] into row i, as one cut or each for itself. mask[i] is 1; 0 for a miss, and for a record that was written
 * more than age_max_ns ago by the clock after the read (UINT64_MAX: any age will do); such a row is set to zeros.
 * reads is scratch, `count` long. FC_OK, or what went wrong with keys[*failed_index]: FC_SCHEMA_MISMATCH if it holds no record of
 * this schema and length, else its own status. *failed_index is `count` when the failure is of no one key. After a failure the rows
 * and the mask hold anything. */
fc_status fcpy_read_rows(fc_session *session, const fc_key *keys, uint64_t count, const fcpy_rows *into, fc_read *reads,
                         unsigned char *mask, int cut, uint64_t age_max_ns, uint64_t *failed_index);

/* Writes row i as the record of keys[i], all at one instant (fc_set_many). writes is scratch, `count` long. */
fc_status fcpy_write_rows(fc_session *session, const fc_key *keys, uint64_t count, const fcpy_rows *from, fc_write *writes,
                          uint64_t expires_unix_ns, uint32_t flags);

/* The keys that a scan visited: tags[i] is key i's FC_TYPE_* in the upper 8 bits and its length in the lower 24; the keys lie one behind the
 * other in `bytes`. Made of zeros, freed by fcpy_found_free. */
typedef struct fcpy_found {
    uint32_t *tags;
    uint64_t count;
    uint64_t count_room;
    char *bytes;
    uint64_t used_bytes;
    uint64_t room_bytes;
    uint8_t is_short;            /* this process had no memory for them all: the cursor is of no use */
} fcpy_found;

/* fc_scan without a call into Python, with all that is needed for one, for each key. */
fc_status fcpy_scan(fc_session *session, uint32_t database, uint64_t *cursor, uint64_t count, fcpy_found *found);
void fcpy_found_free(fcpy_found *found);

/* 0: *number is what text says, all of text. -1: text is no number, or there is no memory for the locale. */
int fcpy_long_double(const char *text, long double *number);

/* What the accelerator calls (fincache/_native.c). The engine has one copy in a process, for it has state of its own: thread keys,
 * clocks, the last error. It is linked into `_fincache`, with hidden symbols, and this table is how the other extension gets at it. */
typedef struct fcpy_functions {
    uint64_t table_bytes;        /* sizeof of this struct: two extensions of different builds refuse each other */
    fc_status (*get)(const fc_cache *cache, fc_session *session, uint32_t database, const void *key, uint64_t key_bytes, void *buffer,
                     uint64_t buffer_bytes, uint64_t *value_bytes);
    fc_status (*set)(const fc_cache *cache, fc_session *session, uint32_t database, const void *key, uint64_t key_bytes,
                     const void *value, uint64_t value_bytes, const fc_set_options *options, fc_set_result *result);
    fc_status (*key_init)(const fc_cache *cache, uint32_t database, const void *data, uint64_t bytes, fc_key *key);
    fc_status (*get_entry)(fc_session *session, const fc_key *key, void *buffer, uint64_t buffer_bytes, fc_entry *entry);
    fc_status (*exists)(fc_session *session, const fc_key *key);
    fc_status (*erase)(fc_session *session, const fc_key *key);
    fc_status (*increment)(fc_session *session, const fc_key *key, int64_t delta, int64_t *value);
    fc_status (*get_many)(fc_session *session, const fc_key *keys, fc_read *reads, uint64_t count);
    fc_status (*get_cut)(fc_session *session, const fc_key *keys, fc_read *reads, uint64_t count);
    fc_status (*read_rows)(fc_session *session, const fc_key *keys, uint64_t count, const fcpy_rows *into, fc_read *reads,
                           unsigned char *mask, int cut, uint64_t age_max_ns, uint64_t *failed_index);
    fc_status (*write_rows)(fc_session *session, const fc_key *keys, uint64_t count, const fcpy_rows *from, fc_write *writes,
                            uint64_t expires_unix_ns, uint32_t flags);
    fc_status (*set_wait_hooks)(fc_session *session, void (*before)(void *context), void (*after)(void *context), void *context);
} fcpy_functions;

const fcpy_functions *fcpy_table(void);
