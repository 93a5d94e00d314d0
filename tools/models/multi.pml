/* multi.pml -- two keys written all-or-nothing, by a committer that may stop or die at any step.
 *
 * Models       The commit descriptor of one session (state = sequence | phase, ops with old and new word, homes locked, progress),
 *              used for two commits, one after the other: the first sets both keys, of which key 1 was absent; the second deletes
 *              key 0 and sets key 1. Homes are locked in order, with everything given back if one does not come. A
 *              single-key writer, a settler that itself may die, and one reader: with CUT a multi-key read that reads a key again when
 *              its proof fails, otherwise plain GETs of both keys, one after the other, in either order.
 *              Spin may leave the committer at any step for ever, so "stopped" needs no line of its own.
 * Proves       P5  a commit is one instant for plain GETs (never new-then-old across keys) and for a cut (both values stood together
 *                  at one instant within the read), whole or absent after settling; old and new blocks are given back once;
 *              P4  each GET is linearizable, misses included;
 *              P1  a reader goes round again only if a word it depends on changed meanwhile: a stopped committer delays nobody.
 * Leaves out   Blocks' insides: one look gives word and stamp together (publish.pml shows what a stamp is worth). Redo logs: popping a block and noting it in the op is one step, and so is giving one back
 *              and advancing progress (settle.pml). The sequence bits of a mark: all marks of one op are equal here, as if the bits
 *              had just wrapped, which is the worst case. A version as the witness of a miss in a cut needs three keys.
 * Bounds       2 keys in 2 homes, COMMITS commits (0 to 2), WRITERS writers of WRITES single-key SETs each, 1 reader. DEATHS 0: nobody dies;
 *              1: the committer may; 2: its first settler may, too. REUSE: a second SET uses the block that the first one replaced,
 *              so that an entry's word comes back with another value.
 * Variants     Each breaks one rule and must be caught; README.md says what each shows.
 *                NO_MARK COMMIT_EARLY SWEEP_EARLY UNLOCK_EARLY STALE_OPS RETIRE_TWICE              the committer
 *                UNDO_COMMITTED                                                                    the settler
 *                NO_STATE_CHECK                                                                    plain GETs
 *                CUT_BY_WORDS CUT_BY_VERSIONS NO_NEW_ROUND (with CUT)                              the cut
 *                PLAIN_BY_WORDS VERSION_LATE CHECK_VERSION_FIRST (with CUT REUSE)                  its proof of a plain word
 */
#ifndef COMMITS
#define COMMITS 2
#endif
#ifndef DEATHS
#define DEATHS 2
#endif
#ifndef WRITES
#define WRITES 1
#endif
#ifndef WRITERS
#define WRITERS 1
#endif

/* Words. 0 is an empty entry, MARK a mark of the committer; its op is the key's. Every other word names a block, and, as long as the block is
 * not used again, the publication in it. */
#define OLD_0 1                /* key 0 as the model begins */
#define ABSENT_1 2             /* key 1 as the model begins: never stored, the entry is 0 */
#define ABSENT_0 3             /* key 0 after the second commit, likewise */
#define FIRST_0 4
#define FIRST_1 5
#define SECOND_1 6
#define SINGLE 7               /* and as many as there are single writes */
#define WORDS (SINGLE + WRITERS * WRITES)
#define MARK 15
#define NAME(k, word) ((word) != 0 -> content[word] : ((k) == 0 -> ABSENT_0 : ABSENT_1))

#define IDLE 0
#define BUILDING 1
#define ACTIVE 2
#define COMMITTED 3
#define PHASE(s) ((s) & 3)
#define NEXT_IDLE(s) (((s) & ~3) + 4)

#define COMMITTER 1
#define SINGLE_WRITER 2        /* and 3 */

byte entry[2];
byte version[2];
byte lock[2];
byte state;
byte old_word[2], new_word[2];
byte locked_count, progress;
bit is_free[WORDS];            /* the block of a word: in a magazine or page, not in an entry or op */
byte content[WORDS];           /* the publication in a block: its stamp */
bit committer_died, settler_died, settled, committer_done;
byte writers_done;

/* Ghosts: when each word was in force. Event 1 is the beginning. */
byte event = 1;
byte begun[WORDS];             /* 0: not yet */
byte ended[WORDS];             /* 0: still */
byte in_force[2];
bit moved;                     /* an entry or the state changed since the reader's attempt began */

#define TAKE_FORCE(k, name) ended[in_force[k]] = event; begun[name] = event; in_force[k] = (name)

/* The instant of a commit: both keys at once. */
#define COMMIT_INSTANT(name0, name1) event++; TAKE_FORCE(0, name0); TAKE_FORCE(1, name1)

/* Store an entry word. A word that shows itself before its commit makes that the instant of the commit, so that what the reader
 * finds wrong is wrong for a user too. A word that had been replaced may not come back. */
inline store_entry(k, word) {
    d_step {
        entry[k] = word; moved = 1;
        if
        :: word == MARK || NAME(k, word) == in_force[k]
        :: else ->
            if
            :: NAME(k, word) >= SINGLE -> event++; TAKE_FORCE(k, NAME(k, word))
            :: NAME(k, word) == FIRST_0 || NAME(k, word) == FIRST_1 -> COMMIT_INSTANT(FIRST_0, FIRST_1)
            :: NAME(k, word) == ABSENT_0 || NAME(k, word) == SECOND_1 -> COMMIT_INSTANT(ABSENT_0, SECOND_1)
            :: else -> assert(false)   /* a word came back */
            fi
        fi
    }
}

inline give_back(word) {
    assert(!is_free[word]); is_free[word] = 1
}

inline store_committed() {
    d_step {
        state = (state & ~3) + COMMITTED; moved = 1;
        if
        :: begun[new_word[1]] == 0 -> COMMIT_INSTANT(NAME(0, new_word[0]), new_word[1])
        :: else
        fi
    }
}

inline store_state(s) {
    d_step { state = s; moved = 1 }
}

inline sweep() {
    store_entry(0, new_word[0]);
    version[0] = version[0] + 1;
    store_entry(1, new_word[1]);
    version[1] = version[1] + 1
}

/* Give the old block of op k back, once, whoever does it. */
inline retire(k) {
    d_step {
        if
        :: progress == k && old_word[k] != 0 -> give_back(old_word[k])
        :: else
        fi;
#ifndef RETIRE_TWICE
        if :: progress == k -> progress = k + 1 :: else fi
#endif
    }
#ifdef RETIRE_TWICE
    d_step { if :: progress == k -> progress = k + 1 :: else fi }
#endif
}

/* Blocks FIRST_0 and so on lie in the magazine; a 0 deletes the key. */
inline commit(word0, word1) {
#ifndef STALE_OPS
    d_step { old_word[0] = 0; old_word[1] = 0; new_word[0] = 0; new_word[1] = 0; progress = 0 }
#endif
    store_state((state & ~3) + BUILDING);
    do
    :: locked_count = 1;
        atomic { lock[0] == 0 -> lock[0] = COMMITTER }
        locked_count = 2;
        if
        :: atomic { lock[1] == 0 -> lock[1] = COMMITTER; break }
        :: lock[1] != 0 -> lock[0] = 0; locked_count = 0
        fi
    od;
#ifdef STALE_OPS
    progress = 0;
#endif
    old_word[0] = entry[0];
    d_step { new_word[0] = word0; assert(word0 == 0 || is_free[word0]); is_free[word0] = 0 }
    old_word[1] = entry[1];
    d_step { new_word[1] = word1; assert(is_free[word1]); is_free[word1] = 0 }
    store_state((state & ~3) + ACTIVE);
#ifdef SWEEP_EARLY
    store_entry(0, MARK);
    store_entry(1, MARK);
    sweep();
    store_committed();
#elif defined(COMMIT_EARLY)
    store_entry(0, MARK);
    store_committed();
    store_entry(1, MARK);
    sweep();
#elif defined(NO_MARK)
    store_committed_quietly();
    sweep();
#else
    store_entry(0, MARK);
    store_entry(1, MARK);
    store_committed();
#ifdef UNLOCK_EARLY
    lock[0] = 0;
    lock[1] = 0;
#endif
    sweep();
#endif
    retire(0);
    retire(1);
    store_state(NEXT_IDLE(state));
    atomic { if :: lock[0] == COMMITTER -> lock[0] = 0 :: else fi }
    atomic { if :: lock[1] == COMMITTER -> lock[1] = 0 :: else fi }
    locked_count = 0
}

/* Without marks a reader never looks at the state, so that storing it is no instant. */
inline store_committed_quietly() {
    d_step { state = (state & ~3) + COMMITTED; moved = 1 }
}

proctype committer() {
    {
#if COMMITS > 0
        commit(FIRST_0, FIRST_1);
#endif
#if COMMITS > 1
        commit(0, SECOND_1);
#endif
        committer_done = 1
    } unless {
        committer_died
    }
}

#ifdef UNDO_COMMITTED
#define ROLL_FORWARD false
#define ROLL_BACK PHASE(state) != IDLE
#else
#define ROLL_FORWARD PHASE(state) == COMMITTED
#define ROLL_BACK (PHASE(state) == ACTIVE || PHASE(state) == BUILDING)
#endif

#if DEATHS > 0

/* Settle the dead committer. Every step can be done again. */
inline settle() {
    if
    :: ROLL_FORWARD ->
        sweep();
        retire(0);
        retire(1);
        store_state(NEXT_IDLE(state))
    :: ROLL_BACK ->
        atomic { if :: entry[0] == MARK -> store_entry(0, old_word[0]) :: else fi }
        atomic { if :: entry[1] == MARK -> store_entry(1, old_word[1]) :: else fi }
        d_step { if :: new_word[0] != 0 -> give_back(new_word[0]); new_word[0] = 0 :: else fi }
        d_step { if :: new_word[1] != 0 -> give_back(new_word[1]); new_word[1] = 0 :: else fi }
        store_state(NEXT_IDLE(state))
    :: PHASE(state) == IDLE
    fi;
    atomic { if :: locked_count > 0 && lock[0] == COMMITTER -> lock[0] = 0 :: else fi }
    atomic { if :: locked_count > 1 && lock[1] == COMMITTER -> lock[1] = 0 :: else fi }
    locked_count = 0;
    settled = 1
}

proctype settlers() {
end:
    committer_died;
#if DEATHS > 1
    { settle() } unless { settler_died };
    if
    :: settled
    :: !settled -> settle()
    fi
#else
    settle()
#endif
}

/* Death at any step, or never. */
proctype reaper() {
end:
    atomic { !committer_done && !committer_died -> committer_died = 1 }
#if DEATHS > 1
end_settler:
    atomic { committer_died && !settled -> settler_died = 1 }
#endif
}

#endif

/* With REUSE the second write builds its block where the first one's predecessor was, so that a word comes back with another stamp. */
proctype single_writer(byte self) {
    byte n, k, old, word, spare, spare_key;
    do
    :: n == WRITES -> break
    :: n < WRITES ->
        atomic {
            if
            :: lock[0] == 0 -> k = 0
            :: lock[1] == 0 -> k = 1
            fi;
            lock[k] = SINGLE_WRITER + self
        }
        d_step {
            old = entry[k];
            assert(old != MARK);
            word = (spare != 0 && spare_key == k -> spare : SINGLE + self * WRITES + n);
            is_free[word] = 0;
            content[word] = SINGLE + self * WRITES + n
        }
        store_entry(k, word);
        version[k] = version[k] + 1;
        d_step { if :: old != 0 -> give_back(old) :: else fi }
        atomic {
            lock[k] = 0; n++;
#ifdef REUSE
            spare = old; spare_key = k;
#endif
            k = 0; old = 0; word = 0
        }
    od;
    writers_done++
}

/* One look at an entry: `word` is the raw word, `at` the state if it was a mark, `found` what it means, `name` what the block holds then.
 * Reads as in the engine: the mark, the state, the op, the mark again, the state again. */
inline look(k, word, at, found, name) {
    do
    :: atomic { word = entry[k]; moved = 0; at = 0; if :: word != MARK -> found = word; name = NAME(k, found) :: else fi }
        if
        :: word != MARK -> break
        :: word == MARK ->
            at = state;
            if
            :: PHASE(at) == COMMITTED -> found = new_word[k]
            :: PHASE(at) == ACTIVE -> found = old_word[k]
            :: PHASE(at) == IDLE || PHASE(at) == BUILDING -> assert(moved); goto retry
            fi;
            if
            :: entry[k] != MARK -> assert(moved); goto retry
            :: entry[k] == MARK
            fi;
#ifdef NO_STATE_CHECK
            atomic { name = NAME(k, found); break };
#else
            if
            :: atomic { state == at -> name = NAME(k, found); break }
            :: state != at -> assert(moved)
            fi;
#endif
retry:      atomic { word = 0; at = 0; found = 0; name = 0 }
        fi
    od
}

/* `found` was in force at some instant since `from`. */
#define IN_FORCE(name, from) (begun[name] != 0 && (ended[name] == 0 || ended[name] > (from)))

#ifndef CUT

proctype reader() {
    byte k, gets, word, at, found, name, from;
    if :: k = 0 :: k = 1 fi;
    do
    :: gets == 2 -> break
    :: gets < 2 ->
        from = event;
        look(k, word, at, found, name);
        atomic {
            assert(found != MARK);
            assert(name == in_force[k] || IN_FORCE(name, from));
            k = 1 - k; gets++; word = 0; at = 0; found = 0; name = 0; from = 0
        }
    od
}

#else

/* Read key k with what proves it. A plain word is proven by the version from before the look; a mark by the state; a miss by the
 * version and by looking again. Blanking what proves nothing keeps equal states equal. */
inline collect(k) {
#ifdef VERSION_LATE
    look(k, word[k], at[k], found[k], name[k]);
    seen_version[k] = version[k]
#else
    seen_version[k] = version[k];
    look(k, word[k], at[k], found[k], name[k])
#endif
    ;
    atomic { if :: found[k] != 0 && word[k] == MARK -> seen_version[k] = 0 :: else fi }
}

proctype reader() {
    byte word[2], at[2], found[2], name[2], seen_version[2], k, streak, now_version, now_word, now_at, now_found, now_name, from;
    from = event;
    if :: k = 0 :: k = 1 fi;
    collect(k);
    k = 1 - k;
    collect(k);
    k = 1 - k;

    /* Round and round until as many proofs as there are keys held since a key was read last. */
    do
    :: streak == 2 -> break
    :: streak < 2 ->
#ifdef CUT_BY_VERSIONS
        if
        :: version[k] != seen_version[k] -> goto changed
        :: version[k] == seen_version[k] -> goto holds
        fi;
#endif
        if
        :: found[k] == 0 ->
            look(k, now_word, now_at, now_found, now_name);
            if
            :: now_found != 0 || version[k] != seen_version[k] -> goto changed
            :: else -> goto holds
            fi
        :: found[k] != 0 && word[k] == MARK ->
            if
            :: entry[k] != MARK -> goto changed
            :: entry[k] == MARK
            fi;
#ifndef CUT_BY_WORDS
            if
            :: state != at[k] -> goto changed
            :: state == at[k]
            fi;
#endif
            goto holds
        :: found[k] != 0 && word[k] != MARK ->
#ifdef CHECK_VERSION_FIRST
            now_version = version[k];
#endif
            if
            :: entry[k] != word[k] -> goto changed
            :: entry[k] == word[k]
            fi;
#ifdef PLAIN_BY_WORDS
            goto holds;
#endif
#ifndef CHECK_VERSION_FIRST
            now_version = version[k];
#endif
            if
            :: now_version == seen_version[k] -> goto holds
            :: else
            fi;
            /* A neighbour changed, or this key's change was not counted yet: the stamp tells, and the proof goes on from here. */
            now_version = version[k];
            if
            :: entry[k] != word[k] -> goto changed
            :: entry[k] == word[k]
            fi;
            if
#ifdef REUSE
            :: content[found[k]] != name[k] -> goto changed
#endif
            :: content[found[k]] == name[k] -> seen_version[k] = now_version
            fi
        fi;
holds:  atomic { streak++; k = 1 - k; now_version = 0; now_word = 0; now_at = 0; now_found = 0; now_name = 0 }
        goto next;
changed:
        atomic {
            word[k] = 0; at[k] = 0; found[k] = 0; name[k] = 0; seen_version[k] = 0;
            now_version = 0; now_word = 0; now_at = 0; now_found = 0; now_name = 0
        }
        collect(k);
#ifdef NO_NEW_ROUND
        streak++;
#else
        streak = 0;
#endif
        k = 1 - k;
next:   skip
    od;
    atomic {
        assert(IN_FORCE(name[0], from) && IN_FORCE(name[1], from));
        assert(ended[name[0]] == 0 || ended[name[0]] > begun[name[1]]);
        assert(ended[name[1]] == 0 || ended[name[1]] > begun[name[0]])
    }
}

#endif

/* What is left when everybody has gone. */
proctype check() {
    byte i;
end:
    writers_done == WRITERS && (committer_done || settled);
    d_step {
        assert(lock[0] == 0 && lock[1] == 0 && locked_count == 0 && PHASE(state) == IDLE);
        assert(entry[0] != MARK && NAME(0, entry[0]) == in_force[0]);
        assert(entry[1] != MARK && NAME(1, entry[1]) == in_force[1]);
        i = 1;
        do
        :: i == WORDS -> break
        :: i < WORDS ->
            assert(i == ABSENT_0 || i == ABSENT_1 || is_free[i] == (entry[0] != i && entry[1] != i));
            i++
        od
    }
}

init {
    atomic {
        entry[0] = OLD_0; in_force[0] = OLD_0; begun[OLD_0] = 1;
        in_force[1] = ABSENT_1; begun[ABSENT_1] = 1;
        is_free[FIRST_0] = 1; is_free[FIRST_1] = 1; is_free[SECOND_1] = 1;
        byte i = 1;
        do
        :: i == WORDS -> break
        :: i < WORDS -> content[i] = i; if :: i >= SINGLE -> is_free[i] = 1 :: else fi; i++
        od;
        i = 0;
#if DEATHS > 0
        run settlers(); run reaper();
#endif
        run committer(); run single_writer(0);
#if WRITERS > 1
        run single_writer(1);
#endif
        run reader(); run check()
    }
}
