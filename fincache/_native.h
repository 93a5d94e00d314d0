/* _native.h -- what the parts of the accelerator, the extension `fincache._native`, share.
 *
 * Job          the calls of a strategy's inner loop without cffi: `Door` is a base class of fincache.Cache whose get, set ... go straight to
 *              the engine when their arguments are of the common kind, and hand everything else to the Python method of the same name.
 *              So semantics, errors and documentation exist once, in Python.
 * Engine       there is one, in `_fincache` (cffi); this extension calls it through fcpy_table of _bridge.h.
 * Sessions     attachment.session() finds a thread's session in 100 ns, as long as a whole get should take. So each thread remembers the
 *              pointers of its last sessions, by the serial of the Handle they belong to (native_thread below). The pointers are raw. None
 *              dangles when it is used, with or without a GIL:
 *                - A serial is given once in a process, so what is remembered under it is a session of this thread on this Handle.
 *                - A session's memory is unmapped by fc_cache_close alone, which Handle.release calls when nothing is pinned any more. A
 *                  Session is pinned from before its pointer can be remembered until its destructor, which runs on the session's thread
 *                  and makes it forget first (Handle.forget). So: remembered, therefore pinned, therefore mapped, whatever other
 *                  threads do.
 *                - The exception is the destructor of a whole Attachment, which drops the sessions of all threads on one. But every Door
 *                  holds its Attachment, and whoever calls a Door holds the Door.
 *                - fork() empties the session's page in the child, so the engine answers FC_FORKED to a pointer that was inherited. The
 *                  pointer is forgotten, and the Python method, which opens a session or explains, is called.
 *              Handle.closing is looked at first, so that no call that begins after close() succeeds.
 * Rules        N1: between native_session and the engine's return no Python code runs, for it could close the cache on this thread: no
 *                  destructor, no allocation that may start the collector, no buffer protocol. Arguments are unpacked before.
 *              N2: the GIL stays taken in calls that take less than a microsecond. It is released where the engine really waits (its wait
 *                  hooks, native_watch) and around calls on more than FEW_KEYS keys. What is released is what this thread holds: the hooks of
 *                  a session also run under cffi, which has released it already; native_thread.holding tells.
 *              N3: whatever the engine reads or writes while the GIL is released is owned by the call: immutable objects that the caller or
 *                  a tuple of ours refers to, exported buffers, memory of our own.
 * No GIL       Free-threaded builds: a Door's fields are written once, in arm, before the object is known to anybody else, but for `armed`
 *              and Handle.closing, which are atomic; what is remembered of sessions is thread-local; Keys are immutable. Rule 1 of
 *              fincache._core (pin and look at closing, or set closing and look at the pins) is Dekker's, and needs a full fence between the
 *              two halves on either side: Handle.closing's getter and setter have it.
 * Interpreters The engine's sessions belong to threads, and cffi to one interpreter: a subinterpreter is refused.
 */
#ifndef FINCACHE_NATIVE_H
#define FINCACHE_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <fincache.h>
#include "_bridge.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Values up to this length are copied over the stack; get reads longer ones straight into the bytes object that it returns. From SET_BYTES_FAST on the
 * GIL is released for that; what else is longer goes the Python way. */
#define VALUE_BYTES_FAST 4096u
#define SET_BYTES_FAST 65536u
/* Calls on more keys release the GIL: below, they take about what releasing it costs. */
#define FEW_KEYS 16u

/* ------------------------------------------------------------------ the module */

/* Methods that have a Python counterpart to fall back on. */
enum {
    NATIVE_GET,
    NATIVE_SET,
    NATIVE_GET_INTO,
    NATIVE_EXISTS,
    NATIVE_DELETE,
    NATIVE_INCR,
    NATIVE_MGET,
    NATIVE_GET_MANY,
    NATIVE_GETITEM,
    NATIVE_DELITEM,
    NATIVE_CONTAINS,
    NATIVE_RECORDS_GET,
    NATIVE_RECORDS_GET_INTO,
    NATIVE_RECORDS_SET,
    NATIVE_RECORDS_READ,
    NATIVE_RECORDS_WRITE,
    NATIVE_METHOD_COUNT
};

typedef struct native_state {
    PyTypeObject *handle_type;
    PyTypeObject *keys_type;
    PyTypeObject *door_type;                      /* NULL until `door` was called */
    PyTypeObject *record_door_type;               /* NULL until `record_door` was called */
    PyObject *fallbacks[NATIVE_METHOD_COUNT];     /* functions of the Python classes behind them */
    PyObject *failure;                            /* fincache._core: status -> exception */
    PyObject *attachment_type;                    /* fincache._core.Attachment */
    PyObject *session_type;                       /* of what its session() gives */
    PyObject *keyset_type;                        /* fincache.keyset.KeySet */
    PyObject *ffi;                                /* of fincache._fincache */
    PyObject *cache_pointer;                      /* its types "fc_cache *" and "fc_session *" */
    PyObject *session_pointer;
} native_state;

extern struct PyModuleDef native_module;
/* The one engine; set before any type of this module can be used. */
extern const fcpy_functions *native_engine;

/* The state of the module that one of the type's bases belongs to. NULL and TypeError if none does. */
native_state *native_state_of(PyTypeObject *type);
/* Sets the exception of a status that the engine returned just now on this thread; NULL. */
PyObject *native_fail(native_state *state, fc_status status);
/* The address in a cffi pointer of type `type` (or NULL in one of "void *"); -1 and an exception if it is something else. */
int native_address(native_state *state, PyObject *cdata, PyObject *type, void **address);

/* ------------------------------------------------------------------ classes in front of Python ones */

typedef PyObject *(*native_function)(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *kwnames);

typedef struct native_method {
    const char *name;              /* NULL ends a table */
    int id;                        /* NATIVE_* */
    native_function function;      /* NULL: what stands before the Python method is a slot */
} native_method;

#define NATIVE_SLOTS_MAX 16

typedef struct native_class {
    const char *name;
    int basicsize;
    const PyType_Slot *slots;      /* ends with 0 */
    const native_method *methods;
    const PyMethodDef *own_methods;   /* that have no Python counterpart; ends with NULL */
} native_class;

extern const native_class native_door_class, native_record_door_class;

/* Makes a class whose methods fall back on those of python_class; documents[name] is "name($self, ...)\n--\n\n..." for each. Once: *made is
 * NULL before, and the class after. */
int native_make_class(PyObject *module, const native_class *class, PyObject *python_class, PyObject *documents, PyTypeObject **made);
/* Names of its methods that have a Python counterpart, a tuple. */
PyObject *native_method_names(const native_class *class);
/* Calls the Python method in place of which a class stands. */
PyObject *native_fall_back(PyObject *self, int method, PyObject *const *args, Py_ssize_t count, PyObject *kwnames);

/* ------------------------------------------------------------------ handles */

/* Base of fincache._core.Handle. */
typedef struct native_handle {
    PyObject_HEAD
    uint64_t serial;               /* 0: not initialised */
    const fc_cache *cache;
    PyObject *pointer;             /* the cffi pointer that `cache` is from */
    uint8_t closing;               /* atomic; once 1, never 0 again */
} native_handle;

extern PyType_Spec native_handle_spec;

static inline int native_is_closing(const native_handle *handle) { return __atomic_load_n(&handle->closing, __ATOMIC_ACQUIRE); }

/* ------------------------------------------------------------------ sessions */

#define REMEMBERED 8u

/* What a thread knows. */
typedef struct native_thread {
    struct {
        uint64_t serial;           /* of the Handle; 0: nothing */
        fc_session *session;
    } remembered[REMEMBERED];
    PyThreadState *released;       /* while a wait hook has released the GIL */
    uint8_t holding;               /* a call of ours is in the engine and holds the GIL */
} native_thread;

extern __thread native_thread native_this_thread __attribute__((visibility("hidden")));

/* The calling thread's session, if it is remembered and may be used; NULL: go the slow way. */
static inline fc_session *native_session(const native_handle *handle)
{
    if (UNLIKELY(native_is_closing(handle))) return NULL;
    uint64_t serial = handle->serial;
    const native_thread *thread = &native_this_thread;
    return LIKELY(thread->remembered[serial % REMEMBERED].serial == serial) ? thread->remembered[serial % REMEMBERED].session : NULL;
}

static inline void native_forget(const native_handle *handle)
{
    native_this_thread.remembered[handle->serial % REMEMBERED].serial = 0;
}

/* Around a call of the engine that may wait. */
static inline void native_enter_wait(void) { native_this_thread.holding = 1; }
static inline void native_leave_wait(void) { native_this_thread.holding = 0; }

/* watch(pointer): sets the wait hooks of the calling thread's new session. */
PyObject *native_watch(PyObject *module, PyObject *pointer);

/* ------------------------------------------------------------------ keys */

/* Base of fincache._core.Keys: names of one database, copied and hashed once. Immutable. */
typedef struct native_keys {
    PyObject_HEAD
    PyObject *handle;              /* native_handle */
    PyObject *names;               /* tuple of bytes */
    fc_key *keys;                  /* and the bytes that they point at, in one piece */
    uint64_t count;
    uint32_t database;
} native_keys;

extern PyType_Spec native_keys_spec;

/* ------------------------------------------------------------------ leaves of records */

#define NATIVE_LEAVES_MAX 64

typedef struct native_leaf {
    uint32_t offset;
    char code;                     /* of struct: one of bBhHiIqQfd */
} native_leaf;

/* Reads a format such as "<dd3xi"; how many leaves it has. 0: it has other things than numbers and padding, too many, or another length
 * than the record. */
uint32_t native_parse_leaves(const char *format, uint32_t row_bytes, native_leaf leaves[NATIVE_LEAVES_MAX]);
/* Stores a number. 0: it is not of the common kind, or out of range. */
int native_store_leaf(char *to, char code, PyObject *value);
PyObject *native_load_leaf(const char *from, char code);

/* ------------------------------------------------------------------ doors */

typedef struct native_door {
    PyObject_HEAD
    PyObject *attachment;
    native_handle *handle;
    const fc_cache *cache;
    uint32_t database;
    uint8_t armed;                 /* atomic; 1: the fast paths may be taken */
    uint8_t utf8;                  /* str keys and values are UTF-8 */
    uint8_t text;                  /* values come back as str; else as bytes */
} native_door;

/* door(python_class, keyset, documents): the base class of fincache.Cache. */
PyObject *native_make_door(PyObject *module, PyObject *args);

/* A key or value whose bytes can be had without running Python code: bytes, or str if text is UTF-8. 0: something else. */
static inline int native_bytes_of(const native_door *door, PyObject *object, const char **data, Py_ssize_t *bytes)
{
    if (LIKELY(PyBytes_CheckExact(object))) {
        *data = PyBytes_AS_STRING(object);
        *bytes = PyBytes_GET_SIZE(object);
        return 1;
    }
    if (!PyUnicode_CheckExact(object) || !door->utf8) return 0;
    *data = PyUnicode_AsUTF8AndSize(object, bytes);
    if (LIKELY(*data != NULL)) return 1;
    PyErr_Clear(); /* lone surrogates, or no memory: the Python method says it better */
    return 0;
}

/* The calling thread's session for a call whose arguments are unpacked. 1: *session is valid until Python code runs. 0: call the Python
 * method. -1: an exception is set. */
int native_enter(native_door *door, fc_session **session);

#define NS_PER_S 1000000000u

/* Nanoseconds of a plain int or float of units. 0: another type, negative, nan, too long. */
int native_nanoseconds_of(PyObject *object, uint64_t unit_ns, uint64_t *ns);
/* 1 if kwnames, which is not NULL, is this one name. */
int native_is_only_keyword(PyObject *kwnames, const char *name);

/* The Keys of a KeySet, if they were made for this door's attachment and database. 1: *keys is a new reference. 0: they were not. -1: an
 * exception is set. */
int native_take_keyset(const native_door *door, PyObject *keyset, native_keys **keys);

/* What to do about a status that is no answer. -1: it was raised. 0: call the Python method, which can do better. */
int native_explain(native_door *door, fc_status status);

/* record_door(python_class, documents): the base class of fincache.records.Records. Imports numpy. */
PyObject *native_make_record_door(PyObject *module, PyObject *args);

/* mget and get_many. NULL without an exception: call the Python method. */
PyObject *native_read_many(native_door *door, PyObject *const *args, Py_ssize_t count, int cut);

#endif
