/* give_way.c -- see give_way.h. */
#include "memory/give_way.h"

#include "base/clock.h"

#include <time.h>

/* A look at the sign every 16 pauses, half a microsecond. Then the core is left to others: the reader may need it. */
#define PAUSES 16
#define SPINS 40
#define SLEEP_NS 20000

static uint64_t *sign_of(const fc_session *session) { return &fc_header_of(session->cache)->cut_until_mono_ns; }

uint64_t fc_give_way_raise(fc_session *session)
{
    if (session->read_only) return 0;
    uint64_t until_mono_ns = fc_clock_mono_ns() + FC_GIVE_WAY_NS;
    fc_store_relaxed(sign_of(session), until_mono_ns);
    return until_mono_ns;
}

void fc_give_way_lower(fc_session *session, uint64_t raised)
{
    if (raised != 0 && fc_load_relaxed(sign_of(session)) == raised) (void)fc_cas_acq_rel(sign_of(session), &raised, 0);
}

static int has_run_out(uint64_t until_mono_ns, uint64_t now_mono_ns)
{
    return until_mono_ns <= now_mono_ns || until_mono_ns - now_mono_ns > FC_GIVE_WAY_NS;
}

/* Until the sign is down or has run out, or the session has waited long enough. */
static uint64_t wait_for_sign(fc_session *session, uint64_t begun_mono_ns)
{
    uint64_t now_mono_ns = begun_mono_ns;
    for (uint32_t looks = 0; now_mono_ns - begun_mono_ns < FC_GIVE_WAY_NS; looks++) {
        uint64_t until_mono_ns = fc_load_relaxed(sign_of(session));
        if (until_mono_ns == 0 || has_run_out(until_mono_ns, now_mono_ns)) break;
        if (looks < SPINS)
            for (int i = 0; i < PAUSES; i++) fc_spin_pause();
        else nanosleep(&(struct timespec){.tv_nsec = SLEEP_NS}, NULL);
        now_mono_ns = fc_clock_mono_ns();
    }
    return now_mono_ns;
}

void fc_give_way_wait(fc_session *session, uint64_t until_mono_ns)
{
    uint64_t now_mono_ns = fc_clock_mono_ns();
    if (has_run_out(until_mono_ns, now_mono_ns)) { /* its reader is gone: spare the next ones the look at the clock */
        fc_give_way_lower(session, until_mono_ns);
        return;
    }
    if (now_mono_ns < session->writes_on_mono_ns) return;
    fc_wait_begin(session);
    uint64_t ended_mono_ns = wait_for_sign(session, now_mono_ns);
    fc_wait_end(session);
    session->writes_on_mono_ns = ended_mono_ns + (ended_mono_ns - now_mono_ns);
}
