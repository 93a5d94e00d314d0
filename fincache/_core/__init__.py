"""The C library as Python objects. The only package that touches cffi; everything above it speaks bytes, ints and exceptions.

Who owns what:

    Attachment ---- Handle (fc_cache *, and who still needs it)
        |              |
        threading.local|      one for each thread that ever asked
        `-- Session ---'----- fc_session *, and idle Calls (out-parameters and a buffer of BUFFER_BYTES)

A pointer must never be used after it was freed, whatever threads, signal handlers, fork() and the garbage collector do, and no
lock may be needed for that (a child of fork() would inherit it locked, a signal handler would wait for itself). Three rules:

  1. Whoever uses the mapping has a *pin* in Handle.pins. It pins first and looks at `closing` then; close() sets `closing` first
     and looks at the pins then. So one of them sees the other, and the last to leave takes the pointer out of a list (list.pop
     is atomic) and gives it back to the C library. A Session is pinned while it exists.
  2. A session is closed by the destructor of its Session, not by close(): a frame that is in the middle of a call holds a
     reference to it (every call is a method of Session), so a signal handler that closes the cache only lets go of it. When a
     thread ends, Python drops the thread's `local`, and with it the Session, on that very thread.
  3. Out-parameters are borrowed: a call takes a Call (get: a place, Keys: a Scratch) and puts it back when it has read the
     results, so that a signal handler which reads in the middle of a read gets other ones. A call that raises does not put it
     back; the next makes a new one.

fork(): the child inherits the mapping, not the sessions. `_after_fork_in_child` gives each Attachment a new `local`, and makes
what is left of the parent's sessions forget their pointers. A fork() that Python does not see (from C) is caught by the C
library, as Forked.

cffi releases the GIL around every call, also around those that wait (P13).

The accelerator (`binding`) calls the same engine on the same sessions, without cffi and with the GIL held. Why the pointers that
it remembers are good, with and without a GIL, follows from rules 1 and 2; fincache/_native.h has the argument. Its part here: a
Session's destructor has the thread forget the pointer first, and the engine's waits release the GIL through hooks (`watch`).

Modules, each importing only what stands above it:

    binding     cffi alone, or the accelerator in front of it
    statuses    exceptions of the C library's statuses, its constants
    handle      the pointer to a mapping
    keys        keys hashed once
    calls       a session's life, and out-parameters
    executing, resp_values       commands by name, and their replies
    reading, writing, session    class Session
    attachment  open, attach, close, fork
    serving     the server for Redis clients; imported by the daemon alone
"""

from fincache._core.attachment import Attachment, Options, list_names, unlink
from fincache._core.binding import BINDING, door, native, record_door
from fincache._core.handle import Handle, closed
from fincache._core.keys import Keys
from fincache._core.resp_values import Reply, parse_reply
from fincache._core.session import Session, schema_id
from fincache._core.statuses import (
    AGE_ANY_NS,
    DATABASES_MAX,
    EXPIRE_GT,
    EXPIRE_LT,
    EXPIRE_NX,
    EXPIRE_XX,
    KEY_BYTES_MAX,
    MULTI_KEYS_MAX,
    NAME_BYTES_MAX,
    POLICIES,
    SCHEMA_BYTES_MAX,
    SEGMENT_BYTES_MIN,
    SESSIONS_LIMIT,
    SET_KEEPTTL,
    SET_NX,
    SET_SCHEMA,
    SET_VERSION,
    SET_XX,
    STATUS_ROWS,
    VALUE_BYTES_LIMIT,
    StatusRow,
    failure,
    no_such_key,
    refusal,
    refused_type,
    version,
)

if native is not None:
    native.configure(failure=failure, attachment=Attachment, session=Session)

__all__ = [
    "AGE_ANY_NS",
    "BINDING",
    "DATABASES_MAX",
    "EXPIRE_GT",
    "EXPIRE_LT",
    "EXPIRE_NX",
    "EXPIRE_XX",
    "KEY_BYTES_MAX",
    "MULTI_KEYS_MAX",
    "NAME_BYTES_MAX",
    "POLICIES",
    "SCHEMA_BYTES_MAX",
    "SEGMENT_BYTES_MIN",
    "SESSIONS_LIMIT",
    "SET_KEEPTTL",
    "SET_NX",
    "SET_SCHEMA",
    "SET_VERSION",
    "SET_XX",
    "STATUS_ROWS",
    "VALUE_BYTES_LIMIT",
    "Attachment",
    "Handle",
    "Keys",
    "Options",
    "Reply",
    "Session",
    "StatusRow",
    "closed",
    "door",
    "list_names",
    "no_such_key",
    "parse_reply",
    "record_door",
    "refusal",
    "refused_type",
    "schema_id",
    "unlink",
    "version",
]
