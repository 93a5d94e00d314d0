/* flush.c -- FLUSHDB and FLUSHALL: one store for a whole database.
 *
 * Method       the database's flush generation is raised; every older block reads as a miss from then on, whatever its entry says. Memory comes
 *              back when writers meet such blocks, run short (reclaim.c), or somebody sweeps.
 * Wrapping     blocks keep 24 bits of the generation, so once every 2^23 flushes everything old is swept out first, before a number could
 *              come round again.
 * Pairs        [flush.generation] release here <-> acquire in fc_flush_generation (block.h)
 */
#include "table/flush.h"

#include "table/block.h"
#include "table/reclaim.h"

fc_status fc_flush_check_database(const fc_session *session, uint32_t database)
{
    if (database < session->cache->geometry.databases) return FC_OK;
    return fc_fail(FC_INVALID_ARGUMENT, "database %u, the segment has 0 to %u", database, session->cache->geometry.databases - 1);
}

int fc_flush_once(fc_session *session, uint32_t database, uint64_t generation)
{
    fc_header *header = fc_header_of(session->cache);
    if (!fc_cas_acq_rel(&header->flush_generations[database], &generation, generation + 1)) return 0; /* [flush.generation] */
    fc_store_relaxed(&header->reclaim_left, session->home_count);
    if (((generation + 1) & (FC_BLOCK_FLUSH_MASK >> 1)) == 0) (void)fc_reclaim_sweep(session, session->home_count);
    return 1;
}

static void flush_database(fc_session *session, uint32_t database)
{
    while (!fc_flush_once(session, database, fc_flush_generation(session, database))) {}
}

fc_status fc_flush(fc_session *session, uint32_t database)
{
    FC_TRY(fc_session_enter_write(session));
    fc_status status = fc_flush_check_database(session, database);
    if (status == FC_OK) flush_database(session, database);
    fc_session_leave_write(session);
    return status;
}

fc_status fc_flush_all(fc_session *session)
{
    FC_TRY(fc_session_enter_write(session));
    for (uint32_t i = 0; i < session->cache->geometry.databases; i++) flush_database(session, i);
    fc_session_leave_write(session);
    return FC_OK;
}
