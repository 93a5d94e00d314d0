/* _native_keys.c -- class Keys, keys that were hashed once, and the reads of many keys: mget, get_many. Rules: _native.h. */
#include "_native.h"

#include <stddef.h>
#include <string.h>

/* Room for a value in the first attempt: quotes, orders and levels fit. If one does not, the Python method reads all of them again. */
#define SLOT_BYTES 256u

/* ------------------------------------------------------------------ class Keys */

static int copy_names(native_keys *self, PyObject *names, const fc_cache *cache, native_state *state)
{
    Py_ssize_t count = PyTuple_GET_SIZE(names), bytes = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        if (!PyBytes_CheckExact(name)) {
            PyErr_Format(PyExc_TypeError, "key %zd is %.200s, not bytes", i, Py_TYPE(name)->tp_name);
            return -1;
        }
        bytes += PyBytes_GET_SIZE(name);
    }
    fc_key *keys = PyMem_Malloc((size_t)count * sizeof *keys + (size_t)bytes);
    if (keys == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    char *to = (char *)(keys + count);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        size_t name_bytes = (size_t)PyBytes_GET_SIZE(name);
        memcpy(to, PyBytes_AS_STRING(name), name_bytes);
        fc_status status = native_engine->key_init(cache, self->database, to, name_bytes, &keys[i]);
        if (status != FC_OK) {
            PyMem_Free(keys);
            native_fail(state, status);
            return -1;
        }
        to += name_bytes;
    }
    self->keys = keys;
    self->count = (uint64_t)count;
    return 0;
}

static PyObject *keys_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *argument_names[] = {"handle", "database", "names", NULL};
    PyObject *handle, *names;
    unsigned int database;
    native_state *state = native_state_of(type);
    if (state == NULL) return NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!IO:Keys", argument_names, state->handle_type, &handle, &database, &names)) return NULL;
    if ((names = PySequence_Tuple(names)) == NULL) return NULL;
    const fc_cache *cache = ((native_handle *)handle)->cache;
    if (cache == NULL || native_is_closing((native_handle *)handle)) {
        Py_DECREF(names);
        return PyErr_Format(PyExc_ValueError, "the handle is not open");
    }
    native_keys *self = (native_keys *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->database = database;
        self->handle = Py_NewRef(handle);
        self->names = Py_NewRef(names);
        if (copy_names(self, names, cache, state) < 0) Py_CLEAR(self);
    }
    Py_DECREF(names);
    return (PyObject *)self;
}

static int keys_traverse(native_keys *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->handle);
    return 0;
}

/* What is left of Keys in a cycle has no keys: nothing can be read out of bounds. */
static int keys_clear(native_keys *self)
{
    Py_CLEAR(self->handle);
    return 0;
}

static void keys_dealloc(native_keys *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)keys_clear(self);
    Py_CLEAR(self->names);
    PyMem_Free(self->keys);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *keys_get_names(native_keys *self, void *closure)
{
    (void)closure;
    return Py_NewRef(self->names);
}

static PyObject *keys_get_handle(native_keys *self, void *closure)
{
    (void)closure;
    return Py_NewRef(self->handle != NULL ? self->handle : Py_None);
}

static PyObject *keys_get_count(native_keys *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLongLong(self->count);
}

static PyObject *keys_get_database(native_keys *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLong(self->database);
}

static PyObject *keys_get_address(native_keys *self, void *closure)
{
    (void)closure;
    return PyLong_FromVoidPtr(self->keys);
}

PyDoc_STRVAR(keys_doc, "Keys(handle, database, names)\n--\n\n"
                       "Keys of one database, copied and hashed once. Base of fincache._core.Keys.\n\n"
                       "The handle is pinned by the caller, for the length of this call.");

static PyGetSetDef keys_getset[] = {
    {"names", (getter)keys_get_names, NULL, "The keys, a tuple of bytes.", NULL},
    {"handle", (getter)keys_get_handle, NULL, "The Handle that they were made with.", NULL},
    {"count", (getter)keys_get_count, NULL, "How many there are.", NULL},
    {"database", (getter)keys_get_database, NULL, "Their database.", NULL},
    {"address", (getter)keys_get_address, NULL, "Where the fc_key array is, for cffi; valid as long as this object.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot keys_slots[] = {
    {Py_tp_doc, (void *)keys_doc},
    {Py_tp_new, keys_new},
    {Py_tp_traverse, keys_traverse},
    {Py_tp_clear, keys_clear},
    {Py_tp_dealloc, keys_dealloc},
    {Py_tp_getset, keys_getset},
    {0, NULL},
};

PyType_Spec native_keys_spec = {
    .name = "fincache._native.Keys",
    .basicsize = sizeof(native_keys),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = keys_slots,
};

/* ------------------------------------------------------------------ reading many */

/* What a read of many keys works on. All of it is the call's own. */
typedef struct native_batch {
    const fc_key *keys;
    fc_key *own_keys;              /* `keys`, if they were prepared for this call */
    fc_read *reads;
    char *slots;
    uint64_t count;
    PyObject *owner;               /* tuple or Keys that keeps the keys' bytes */
    void *memory;
    char few_slots[FEW_KEYS * SLOT_BYTES];
    fc_read few_reads[FEW_KEYS];
    fc_key few_keys[FEW_KEYS];
} native_batch;

static int make_room(native_batch *batch, uint64_t count, int with_keys)
{
    size_t key_bytes = with_keys ? sizeof(fc_key) : 0;
    batch->count = count;
    if (count <= FEW_KEYS) {
        batch->slots = batch->few_slots;
        batch->reads = batch->few_reads;
        batch->own_keys = batch->few_keys;
    } else {
        if (count > PY_SSIZE_T_MAX / (sizeof(fc_read) + sizeof(fc_key) + SLOT_BYTES) ||
            (batch->memory = PyMem_Malloc(count * (sizeof(fc_read) + key_bytes + SLOT_BYTES))) == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        batch->reads = batch->memory;
        batch->own_keys = (fc_key *)(batch->reads + count);
        batch->slots = (char *)batch->own_keys + count * key_bytes;
    }
    for (uint64_t i = 0; i < count; i++) {
        batch->reads[i].buffer = batch->slots + i * SLOT_BYTES;
        batch->reads[i].buffer_bytes = SLOT_BYTES;
    }
    return 0;
}

/* The keys of a KeySet, of one list or tuple, or of the arguments. 1: `batch` has them. 0: they are not of the common kind. */
static int take_names(native_door *door, PyObject *const *args, Py_ssize_t count, native_batch *batch)
{
    PyObject *names;
    native_keys *keys;
    int is_keyset = count == 1 ? native_take_keyset(door, args[0], &keys) : 0;
    if (is_keyset < 0) return -1;
    if (is_keyset > 0) {
        batch->owner = (PyObject *)keys;
        batch->keys = keys->keys;
        return make_room(batch, keys->count, 0) < 0 ? -1 : 1;
    }
    if (count == 1 && PyList_CheckExact(args[0])) {
        names = PyList_AsTuple(args[0]);
    } else if (count == 1 && PyTuple_CheckExact(args[0])) {
        names = Py_NewRef(args[0]);
    } else {
        names = PyTuple_New(count);
        for (Py_ssize_t i = 0; names != NULL && i < count; i++) PyTuple_SET_ITEM(names, i, Py_NewRef(args[i]));
    }
    if (names == NULL) return -1;
    batch->owner = names;
    count = PyTuple_GET_SIZE(names);
    if (make_room(batch, (uint64_t)count, 1) < 0) return -1;
    for (Py_ssize_t i = 0; i < count; i++) {
        const char *data;
        Py_ssize_t bytes;
        if (!native_bytes_of(door, PyTuple_GET_ITEM(names, i), &data, &bytes) ||
            native_engine->key_init(door->cache, door->database, data, (uint64_t)bytes, &batch->own_keys[i]) != FC_OK)
            return 0;
    }
    batch->keys = batch->own_keys;
    return 1;
}

int native_take_keyset(const native_door *door, PyObject *keyset, native_keys **keys)
{
    native_state *state = native_state_of(Py_TYPE(door));
    if (state == NULL) return -1;
    if ((PyObject *)Py_TYPE(keyset) != state->keyset_type) return 0;
    PyObject *found = PyObject_GetAttrString(keyset, "_keys");
    if (found == NULL) return -1;
    native_keys *candidate = (native_keys *)found;
    if (PyObject_TypeCheck(found, state->keys_type) && candidate->handle == (PyObject *)door->handle && candidate->database == door->database) {
        *keys = candidate;
        return 1;
    }
    Py_DECREF(found);
    return 0;
}

/* Reads. The caller's session stays as it is while the GIL is released: only this thread can end it. */
static fc_status read_batch(fc_session *session, const native_batch *batch, int cut)
{
    fc_status (*read)(fc_session *, const fc_key *, fc_read *, uint64_t) = cut ? native_engine->get_cut : native_engine->get_many;
    if (batch->count <= FEW_KEYS) return read(session, batch->keys, batch->reads, batch->count);
    fc_status status;
    Py_BEGIN_ALLOW_THREADS
    status = read(session, batch->keys, batch->reads, batch->count);
    Py_END_ALLOW_THREADS
    return status;
}

/* A list of the values. NULL without an exception: one of them is not of the common kind. */
static PyObject *unpack_batch(const native_door *door, const native_batch *batch)
{
    for (uint64_t i = 0; i < batch->count; i++)
        if (batch->reads[i].status != FC_OK && batch->reads[i].status != FC_MISS && batch->reads[i].status != FC_WRONG_TYPE) return NULL;
    PyObject *values = PyList_New((Py_ssize_t)batch->count);
    for (uint64_t i = 0; values != NULL && i < batch->count; i++) {
        const fc_read *read = &batch->reads[i];
        PyObject *value;
        if (read->status != FC_OK) value = Py_NewRef(Py_None);
        else if (door->text) value = PyUnicode_DecodeUTF8(read->buffer, (Py_ssize_t)read->value_bytes, NULL);
        else value = PyBytes_FromStringAndSize(read->buffer, (Py_ssize_t)read->value_bytes);
        if (value == NULL) {
            Py_CLEAR(values);
            if (PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) PyErr_Clear(); /* the Python method has its own exception for it */
            break;
        }
        PyList_SET_ITEM(values, (Py_ssize_t)i, value);
    }
    return values;
}

PyObject *native_read_many(native_door *door, PyObject *const *args, Py_ssize_t count, int cut)
{
    native_batch batch;
    fc_session *session;
    PyObject *values = NULL;
    batch.owner = NULL;
    batch.memory = NULL;
    if (!__atomic_load_n(&door->armed, __ATOMIC_ACQUIRE)) return NULL;
    int ready = take_names(door, args, count, &batch);
    if (ready > 0 && batch.count > 0 && native_enter(door, &session) > 0) {
        fc_status status = read_batch(session, &batch, cut);
        if (status == FC_OK) values = unpack_batch(door, &batch);
        else (void)native_explain(door, status);
    }
    Py_XDECREF(batch.owner);
    PyMem_Free(batch.memory);
    return values;
}
