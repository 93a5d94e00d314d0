/* flush.h -- empties a database at once, by raising its flush generation: every block of an older one reads as a miss. */
#ifndef FC_TABLE_FLUSH_H
#define FC_TABLE_FLUSH_H

#include "memory/handle.h"

/* Empties the database if its generation is `generation` still. 0: somebody else has just done so. The session is entered. */
int fc_flush_once(fc_session *session, uint32_t database, uint64_t generation);

/* FC_OK, or FC_INVALID_ARGUMENT that names the databases there are. */
FC_MUST_USE fc_status fc_flush_check_database(const fc_session *session, uint32_t database);

#endif
