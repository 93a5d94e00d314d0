/* settle.pml -- a session dies at any step, its settler may die at any step too, and nothing is lost, doubled or rolled back.
 *
 * Models       Sessions that refill a magazine from a page's bitmap, SET one key, give the magazine back and close. Every change of
 *              shared words goes through the session's redo log of absolute (offset, value) pairs: setting redo_count is the commit
 *              point, then the words are stored one by one, the count is cleared, the lock is released. The memory that a redo
 *              log may write is one array of cells, as the segment is for the real one. Each lock is journaled before it is
 *              tried. Whoever meets a lock of a dead session settles that session as a whole, under a settle lock that is taken
 *              over from a dead settler; a settler works as the dead session, in its slot, through its redo log. With REOPEN the
 *              cleared slot is opened again by a new session while a slow settler still believes the old one to be there.
 * Proves       P2  with deaths of worker and settler at any steps: every block ends in exactly one place (entry or page; no leak, no double
 *                  free), the free count agrees with the bitmap, the key has its old or its new value, never a half-built
 *                  block, and no lock stays behind: the survivor finishes;
 *              P4  a SET that a later SET replaced never comes back (settling does not roll forward over newer values), and a
 *                  SET that returned has happened;
 *              P2  a live session is never settled.
 * Leaves out   Readers (publish.pml), multi-key commits (multi.pml), several pages and classes, garbage lists (they are one more
 *              cell in the same redo), hints, counters. Death is known at once and exactly, as from the kernel. Waiting for a page
 *              lock stands for going to another page. Store order: a settler sees all stores of a dead thread, so none is assumed.
 * Bounds       3 sessions and 4 blocks; each session SETs once. The worker (slot 0) and one settler (slot 1) may die; slot 2
 *              survives, SETs, and reaps until both other slots are clear. REOPEN: a fourth session opens slot 0 when it is free.
 *              ONE_DEATH: only the worker may die; with REOPEN and without ONE_DEATH there are 56 million states, not run by default.
 * Variants     Each breaks one rule and must be caught; README.md says what each shows.
 *                UNLOCK_BEFORE_CLEAR UNLOCK_BEFORE_APPLY JOURNAL_LATE POP_BEFORE_REDO              the writer
 *                LOCK_ONLY LATE_SETTLE FLUSH_WITHOUT_REDO SETTLE_UNLOCKS_FIRST                     the settler
 *                NO_TAKEOVER IGNORE_SETTLER; with REOPEN: NO_RECHECK RECHECK_INCARNATION           the settle lock
 */
#define SESSIONS 3
#define BLOCKS 4

/* Identities: a session's number is unique for ever, as thread id and start time are. 0 is nobody. */
#define WORKER 1
#define SETTLER 2
#define SURVIVOR 3
#define NEWCOMER 4             /* the second session in slot 0 */
#define SLOT_OF(id) ((id) == SETTLER -> 1 : ((id) == SURVIVOR -> 2 : 0))

/* Cells: everything that a redo log may store to. Blocks are numbered from 1; bit b of FREE_BITS is block b. A magazine holds one
 * block at most, so that its word is both count and content, 0 when empty. */
#define ENTRY 0
#define VERSION 1
#define FREE_BITS 2
#define FREE_COUNT 3
#define MAGAZINE(slot) (4 + (slot))
byte cell[7];
byte value[BLOCKS + 1];        /* what a block holds: the number of the session that built it; 0 while half built */

byte home_lock, page_lock;     /* 0, or the identity of the owner */

/* Slots. */
byte identity[SESSIONS];
byte incarnation[SESSIONS];
byte settle_lock[SESSIONS];    /* identity of the settler */
bit home_journal[SESSIONS], page_journal[SESSIONS];
byte redo_count[SESSIONS];
byte redo_cell[9], redo_value[9];
#define REDO(slot, i) (3 * (slot) + (i))

bit died[5];                   /* by identity; what the kernel knows */
#define DEAD(slot) (identity[slot] != 0 && died[identity[slot]])

/* Ghosts. */
byte current = SURVIVOR + 2;   /* the value in force; the first one belongs to nobody */
bit effective[6];
byte running;

/* One store. The ghosts follow the entry: a value appears once, and one that was replaced may not appear again. */
inline store(c, v) {
    d_step {
        cell[c] = v;
        if
        :: c == ENTRY && !effective[value[v]] ->
            assert(value[v] != 0);
            effective[value[v]] = 1; current = value[v]
        :: c == ENTRY && effective[value[v]] -> assert(current == value[v])
        :: else
        fi
    }
}

inline log(slot, i, c, v) {
    redo_cell[REDO(slot, i)] = c; redo_value[REDO(slot, i)] = v
}

/* Apply a slot's redo log from its first word. The count has been set: from here on it will happen, whoever does it. */
inline apply(slot) {
    i = 0;
    do
    :: atomic { i < redo_count[slot] -> store(redo_cell[REDO(slot, i)], redo_value[REDO(slot, i)]); i++ }
    :: atomic { i >= redo_count[slot] -> i = 0; break }
    od
}

/* Forget an applied redo log. Its words do not matter any more; blanking them keeps equal states equal. */
inline forget(slot) {
    atomic {
        redo_count[slot] = 0;
        log(slot, 0, 0, 0); log(slot, 1, 0, 0); log(slot, 2, 0, 0)
    }
}

/* Move the magazine's block of a slot to the page, as `who`, whose page lock is held. */
inline log_flush(slot) {
    b = cell[MAGAZINE(slot)];
    assert((cell[FREE_BITS] & (1 << b)) == 0);
    log(slot, 0, FREE_BITS, cell[FREE_BITS] | (1 << b));
    log(slot, 1, FREE_COUNT, cell[FREE_COUNT] + 1);
    log(slot, 2, MAGAZINE(slot), 0);
    b = 0
}

/* Give a slot up. Its incarnation changes before it is free for the next session. */
inline leave_slot(slot) {
    incarnation[slot] = incarnation[slot] + 1;
    identity[slot] = 0
}

/* Nobody alive holds the settle lock. */
#if defined(NO_TAKEOVER)
#define CAN_SETTLE(d) (settle_lock[d] == 0)
#elif defined(IGNORE_SETTLER)
#define CAN_SETTLE(d) true
#else
#define CAN_SETTLE(d) (settle_lock[d] == 0 || died[settle_lock[d]])
#endif

/* Settle the session of slot d. Returns without effect if somebody alive is at it, or early if a page lock does not come: all
 * steps can be repeated, so a later caller goes on. */
inline settle(d) {
    atomic { seen = incarnation[d]; go = DEAD(d) }
    if
    :: atomic { go && CAN_SETTLE(d) -> settle_lock[d] = me }
        atomic {
            as = identity[d];
#if defined(NO_RECHECK)
            go = as != 0;
#elif defined(RECHECK_INCARNATION)
            go = as != 0 && incarnation[d] == seen;
#else
            go = DEAD(d) && incarnation[d] == seen;
#endif
        }
        if
        :: !go
        :: go ->
#ifdef SETTLE_UNLOCKS_FIRST
            if :: home_lock == as -> home_lock = 0 :: home_lock != as fi;
#endif
#ifdef LATE_SETTLE
            /* The lock may be somebody else's by now, so the index is asked what became of the SET. */
            if
            :: d_step { redo_count[d] > 0 && redo_cell[REDO(d, 0)] == ENTRY && cell[ENTRY] != redo_value[REDO(d, 0)] ->
                   redo_count[d] = 0 }
            :: else
            fi;
#endif
            apply(d);
            forget(d);
            if
            :: atomic { home_journal[d] && home_lock == as -> home_lock = 0 }
            :: atomic { !(home_journal[d] && home_lock == as) }
            fi;
            if
            :: atomic { page_journal[d] && page_lock == as -> page_lock = 0 }
            :: atomic { !(page_journal[d] && page_lock == as) }
            fi;
            if
            :: cell[MAGAZINE(d)] == 0
            :: cell[MAGAZINE(d)] != 0 ->
                page_journal[d] = 1;
                if
                :: atomic { page_lock == 0 -> page_lock = as }
#ifdef FLUSH_WITHOUT_REDO
                    store(FREE_BITS, cell[FREE_BITS] | (1 << cell[MAGAZINE(d)]));
                    store(FREE_COUNT, cell[FREE_COUNT] + 1);
                    store(MAGAZINE(d), 0);
#else
                    d_step { log_flush(d) }
                    redo_count[d] = 3;
                    apply(d);
                    forget(d);
#endif
                    page_lock = 0
                :: atomic { page_lock != 0 -> go = 0 }
                fi
            fi;
            if
            :: go -> leave_slot(d)
            :: !go
            fi
        fi;
        settle_lock[d] = 0
    :: else
    fi;
    atomic { seen = 0; as = 0; go = 0 }
}

/* Take a lock, journaled first. A live owner is waited for, as is a live settler; a dead one is settled. Waiting blocks instead of
 * going round, so that a session that would wait for ever is a stuck state that Spin reports. Promela has no calls: `place` says
 * which take to repeat after settling. */
inline take(lock, journal, place) {
#ifndef JOURNAL_LATE
    journal = 1;
#endif
    if
    :: atomic { lock == 0 -> lock = me }
#if defined(LOCK_ONLY) || defined(LATE_SETTLE)
    :: atomic { lock != 0 && died[lock] -> lock = me }
#else
    :: atomic { lock != 0 && died[lock] && CAN_SETTLE(SLOT_OF(lock)) -> d = SLOT_OF(lock); back = place; goto settling }
#endif
    fi;
#ifdef JOURNAL_LATE
    journal = 1;
#endif
}

/* A life: refill, SET, give the magazine back, close. */
proctype session(byte me) {
    byte my, d, i, b, seen, as, back;
    bit go;
    {
        atomic {
            my = SLOT_OF(me);
            identity[my] == 0 -> identity[my] = me
        }

        /* Refill from the page. The others come with a block in their magazines, to keep the model small. */
        if
        :: cell[MAGAZINE(my)] != 0 -> goto at_set
        :: cell[MAGAZINE(my)] == 0
        fi;
at_refill:
        take(page_lock, page_journal[my], 0);
        d_step {
            b = 1;
            do
            :: (cell[FREE_BITS] & (1 << b)) == 0 -> b++
            :: else -> break
            od;
            log(my, 0, FREE_BITS, cell[FREE_BITS] & ~(1 << b));
            log(my, 1, FREE_COUNT, cell[FREE_COUNT] - 1);
            log(my, 2, MAGAZINE(my), b);
            b = 0
        }
        redo_count[my] = 3;
        apply(my);
        forget(my);
        page_lock = 0;

        /* SET: the block stays in the magazine while it is built; publishing puts the old block in its place. */
at_set:
        take(home_lock, home_journal[my], 1);
        b = cell[MAGAZINE(my)];
#ifdef POP_BEFORE_REDO
        store(MAGAZINE(my), 0);
#endif
        value[b] = 0;
        value[b] = me;
        d_step {
            log(my, 0, ENTRY, b);
            log(my, 1, VERSION, cell[VERSION] + 1);
            log(my, 2, MAGAZINE(my), cell[ENTRY]);
            b = 0
        }
        redo_count[my] = 3;
#ifdef UNLOCK_BEFORE_APPLY
        home_lock = 0;
#endif
        apply(my);
#ifdef UNLOCK_BEFORE_CLEAR
        home_lock = 0;
#endif
        forget(my);
#if !defined(UNLOCK_BEFORE_APPLY) && !defined(UNLOCK_BEFORE_CLEAR)
        home_lock = 0;
#endif
        assert(effective[me]);

        if
        :: SLOT_OF(me) == 0 ->                     /* close: give the magazine back, clear the slot */
at_close:
            take(page_lock, page_journal[my], 2);
            d_step { log_flush(my) }
            redo_count[my] = 3;
            apply(my);
            forget(my);
            page_lock = 0;
            leave_slot(my)
        :: me == SETTLER -> died[me] = 1           /* end without closing */
        :: me == SURVIVOR ->                       /* reap, as the daemon does */
at_reap:    if
            :: atomic { DEAD(0) && CAN_SETTLE(0) -> d = 0; back = 3; goto settling }
            :: atomic { DEAD(1) && CAN_SETTLE(1) -> d = 1; back = 3; goto settling }
            :: running == 1 && identity[0] == 0 && identity[1] == 0
            fi
        fi;
        goto leave;

settling:
        settle(d);
        d = 0;
        if
        :: back == 0 -> goto at_refill
        :: back == 1 -> goto at_set
        :: back == 2 -> goto at_close
        :: back == 3 -> goto at_reap
        fi;
leave:  skip
    } unless {
        died[me]                                   /* killed: not one step more */
    };
    atomic {
        my = 0; d = 0; i = 0; b = 0; seen = 0; as = 0; go = 0; back = 0;
        running--
    }
}

/* Death at any step of a life, or never. */
proctype reaper(byte id) {
end:
    atomic { identity[SLOT_OF(id)] == id -> died[id] = 1 }
}

/* What is left when everybody has gone. */
proctype check() {
    byte b, count;
    running == 0;
    d_step {
        assert(home_lock == 0 && page_lock == 0);
        assert(redo_count[0] == 0 && redo_count[1] == 0 && redo_count[2] == 0);
        assert(cell[MAGAZINE(0)] == 0 && cell[MAGAZINE(1)] == 0 && cell[MAGAZINE(2)] != 0);
        assert(value[cell[ENTRY]] == current);
        b = 1;
        do
        :: b > BLOCKS -> break
        :: b <= BLOCKS ->
            assert(((cell[FREE_BITS] & (1 << b)) != 0) == (b != cell[ENTRY] && b != cell[MAGAZINE(2)]));
            assert(cell[ENTRY] != cell[MAGAZINE(2)]);
            if :: cell[FREE_BITS] & (1 << b) -> count++ :: else fi;
            b++
        od;
        assert(count == cell[FREE_COUNT])
    }
}

init {
    atomic {
        cell[ENTRY] = 1; value[1] = current; effective[current] = 1;
        cell[FREE_BITS] = 4; cell[FREE_COUNT] = 1;            /* block 2 */
        cell[MAGAZINE(1)] = 3; cell[MAGAZINE(2)] = 4;
#ifdef REOPEN
        running = 4;
        run session(NEWCOMER);
#else
        running = 3;
#endif
#ifndef ONE_DEATH
        run reaper(SETTLER);
#endif
        run session(WORKER); run session(SETTLER); run session(SURVIVOR);
        run reaper(WORKER); run check()
    }
}
