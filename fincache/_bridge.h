/* _bridge.h -- what the Python binding adds to the C API: several calls of it in one crossing from Python to C. Free of directives but
 * for this comment, because cffi reads the file as it reads fincache_api.h. The implementation, _bridge.c, knows nothing of Python.
 */

/* fc_key_init and the operation, in one. */
fc_status fcpy_get(const fc_cache *cache, fc_session *session, uint32_t database, const void *key, uint64_t key_bytes,
                   void *buffer, uint64_t buffer_bytes, uint64_t *value_bytes);
fc_status fcpy_set(const fc_cache *cache, fc_session *session, uint32_t database, const void *key, uint64_t key_bytes,
                   const void *value, uint64_t value_bytes, const fc_set_options *options, fc_set_result *result);

/* Prepares `count` keys that lie one behind the other in `bytes`. */
fc_status fcpy_prepare(const fc_cache *cache, uint32_t database, const char *bytes, const uint32_t *key_bytes, uint64_t count,
                       fc_key *keys);

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

/* 0: *number is what text says, all of text. -1: text is no number, or there is no memory for the locale. */
int fcpy_long_double(const char *text, long double *number);
