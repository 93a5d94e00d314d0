/* publish.pml -- reading a value that may be replaced, retired and built anew while it is copied.
 *
 * Models       The validated read (entry, stamp, entry again, body, stamp again) against two writers that lock a home, take a
 *              free block, zero its stamp, write two body words, write a fresh stamp, store the entry word, retire the old block.
 *              Blocks pass between the writers and between the keys. A built block may also be given back unpublished, as after the
 *              death of its builder. Both keys have the same tag, so that the stamp and the key alone tell them apart.
 * Proves       P3  what a read returns is whole, of the key asked for, and was published (never a block that was only built);
 *              P4  it was the key's value, or the key was absent, at some instant within the read. Entry stores are the
 *                  writers' instants, so this is linearizability; no new-then-old inversion between two reads follows, and is
 *                  asserted as well;
 *              P1  a reader goes round again only if the very entry it reads changed during the attempt.
 * Leaves out   Weak memory: Spin interleaves whole steps. What a missing fence permits appears as a variant with the steps in the
 *              other order. Crashes and magazines (settle.pml): here one set of free blocks serves both writers, so that a block is
 *              taken by anybody the moment it is retired, which is worse than any magazine. Extension buckets. Marks (multi.pml).
 *              A second reader would add nothing: readers write nothing and every assertion is about one reader.
 * Bounds       2 keys, 2 entries, 2 writers of OPS and OTHER_OPS operations (SET, DEL, or a SET that gives up), BLOCKS blocks, 1 reader of READS
 *              reads. SAME_HOME: both keys in one bucket, either key in either entry; otherwise a bucket of one entry for each.
 * Variants     Each breaks one rule and must be caught; README.md says what each shows.
 *                NO_RELOAD RELOAD_LATE ZERO_STAMP_OK KEY_COMPARE MISMATCH_UNCHECKED CHECK_EARLY    the reader
 *                NO_ZERO BODY_FIRST RETIRE_EARLY (in two homes)                                    the writer
 *              STAMP_FIRST (stamp before body) holds all the same: the second look at the entry comes after the entry store, and that
 *              after the body. It is verified too, so that whoever drops that second look sees both change.
 */
#ifndef OPS
#define OPS 2
#endif
#ifndef OTHER_OPS
#define OTHER_OPS OPS
#endif
#ifndef READS
#define READS 2
#endif
#ifndef BLOCKS
#define BLOCKS 3
#endif

#ifdef SAME_HOME
#define HOME(k) 0
#define FIRST(k) 0
#define LAST(k) 1
#else
#define HOME(k) (k)
#define FIRST(k) (k)
#define LAST(k) (k)
#endif

/* A value is its number, different for every build and also used as the build's stamp. Word 0 holds key and number, word 1 the
 * number again: two words that do not agree are torn. */
#define WORD0(k, id) ((k) * 64 + (id))
#define KEY(w) ((w) / 64)
#define ID(w) ((w) % 64)
#define NUMBERS (2 + OPS + OTHER_OPS)

/* The segment. Blocks are counted from 1, because entry word 0 is "empty". */
byte entry[2];
byte stamp[BLOCKS + 1];
byte word0[BLOCKS + 1];
byte word1[BLOCKS + 1];
bit is_free[BLOCKS + 1];
bit locked[2];

/* Ghosts: what a test cannot know and the assertions need. */
byte number_next = 2;
byte turn[2];                  /* how often the key's state has changed, its first state being 1 */
byte turn_of[NUMBERS];         /* the turn at which a value was published, 0: never */
byte turn_absent[2];           /* the last turn at which the key was absent, 0: never */
bit moved[2];                  /* the entry changed since the reader's attempt began */

/* The one store that publishes: of block `to`, or of 0 for a deletion. */
inline store_entry(k, slot, to) {
    d_step {
        entry[slot] = to;
        moved[slot] = 1;
        turn[k] = turn[k] + 1;
        if
        :: to == 0 -> turn_absent[k] = turn[k]
        :: else -> assert(turn_of[ID(word0[to])] == 0); turn_of[ID(word0[to])] = turn[k]
        fi
    }
}

/* The key's entry, or the first empty one; `old` is the block in it. The home is locked, so nothing moves meanwhile. */
inline find(k, slot, old) {
    d_step {
        slot = FIRST(k);
        do
        :: slot <= LAST(k) && (entry[slot] == 0 || KEY(word0[entry[slot]]) != k) -> slot++
        :: else -> break
        od;
        if
        :: slot > LAST(k) ->
            slot = FIRST(k);
            do
            :: entry[slot] != 0 -> slot++
            :: else -> break
            od
        :: else
        fi;
        old = entry[slot]
    }
}

proctype writer(byte ops_left) {
    byte k, slot, old, b, id;
    do
    :: ops_left == 0 -> break
    :: ops_left > 0 ->
        atomic {
            if
            :: !locked[HOME(0)] -> k = 0
            :: !locked[HOME(1)] -> k = 1
            fi;
            locked[HOME(k)] = 1; ops_left--;
            find(k, slot, old)
        }
        if
        :: atomic { old != 0 -> store_entry(k, slot, 0) }      /* DEL */
        :: atomic {                                            /* SET: take any free block; its old body is still in it */
               if
               :: is_free[1] -> b = 1
               :: is_free[2] -> b = 2
               :: is_free[3] -> b = 3
#if BLOCKS > 3
               :: is_free[4] -> b = 4
#endif
               fi;
               is_free[b] = 0; id = number_next; number_next++
           }
#ifdef BODY_FIRST
           word0[b] = WORD0(k, id);
#endif
#ifdef STAMP_FIRST
           stamp[b] = 0;
           stamp[b] = id;
#elif !defined(NO_ZERO)
           stamp[b] = 0;
#endif
#ifndef BODY_FIRST
           word0[b] = WORD0(k, id);
#endif
           word1[b] = id;
#ifndef STAMP_FIRST
           stamp[b] = id;
#endif
           if
           :: atomic { is_free[b] = 1; old = 0 }               /* built, never published */
           :: skip;
#ifdef RETIRE_EARLY
               atomic { if :: old != 0 -> is_free[old] = 1; old = 0 :: else fi }
#endif
               store_entry(k, slot, b)
           fi
        :: old == 0                                            /* a DEL of an absent key, or no block to be had */
        fi;
        atomic {
            if :: old != 0 -> is_free[old] = 1 :: else fi;
        }
        atomic { locked[HOME(k)] = 0; k = 0; slot = 0; old = 0; b = 0; id = 0 }
    od
}

/* Every way round again passes here. */
inline once_more(slot) {
    assert(moved[slot])
}

proctype reader() {
    byte reads, k, slot, e, s, w0, w1;
    byte turn_begin, turn_seen[2];
    do
    :: reads == READS -> break
    :: reads < READS ->
        atomic {
            if :: k = 0 :: k = 1 fi;
            reads++; slot = FIRST(k); turn_begin = turn[k]
        }
        do
        :: slot > LAST(k) ->                                   /* MISS after one pass over the home */
            atomic {
                assert(turn_absent[k] >= turn_begin);
                assert(turn_absent[k] >= turn_seen[k]);
                turn_seen[k] = turn_begin
            }
            break
        :: slot <= LAST(k) ->
            atomic { e = entry[slot]; moved[slot] = 0 }
            if
            :: e == 0 -> slot++
            :: else ->
                s = stamp[e];
                if
#ifndef ZERO_STAMP_OK
                :: s == 0 -> once_more(slot)
                :: s != 0 ->
#else
                :: true ->
#endif
#if !defined(NO_RELOAD) && !defined(RELOAD_LATE)
                    if
                    :: entry[slot] != e -> once_more(slot); goto again
                    :: entry[slot] == e
                    fi;
#endif
                    w0 = word0[e];
#ifdef MISMATCH_UNCHECKED
                    if
                    :: KEY(w0) != k -> slot++; goto again
                    :: else
                    fi;
#endif
#ifndef CHECK_EARLY
                    w1 = word1[e];
#endif
#ifdef KEY_COMPARE
                    if
                    :: KEY(word0[e]) != KEY(w0) -> goto again
                    :: KEY(word0[e]) == KEY(w0)
                    fi;
#else
                    if
                    :: stamp[e] != s -> once_more(slot); goto again
                    :: stamp[e] == s
                    fi;
#endif
#ifdef CHECK_EARLY
                    w1 = word1[e];
#endif
#ifdef RELOAD_LATE
                    if
                    :: entry[slot] != e -> goto again
                    :: entry[slot] == e
                    fi;
#endif
                    if
                    :: KEY(w0) != k -> slot++                  /* another key with this tag */
                    :: else ->                                 /* HIT */
                        atomic {
                            assert(ID(w0) == w1);
                            assert(turn_of[w1] != 0);
                            assert(turn_of[w1] >= turn_begin);
                            assert(turn_of[w1] >= turn_seen[k]);
                            turn_seen[k] = turn_of[w1]
                        }
                        break
                    fi
                fi
            fi;
again:      atomic { e = 0; s = 0; w0 = 0; w1 = 0 }
        od;
        atomic { k = 0; slot = 0; e = 0; s = 0; w0 = 0; w1 = 0; turn_begin = 0 }
    od
}

init {
    atomic {
        /* Key 0 is there with value 1, key 1 is absent. */
        stamp[1] = 1; word0[1] = WORD0(0, 1); word1[1] = 1; entry[FIRST(0)] = 1;
        turn[0] = 1; turn_of[1] = 1; turn[1] = 1; turn_absent[1] = 1;
        is_free[2] = 1; is_free[3] = 1;
#if BLOCKS > 3
        is_free[4] = 1;
#endif
        run writer(OPS); run writer(OTHER_OPS); run reader()
    }
}
