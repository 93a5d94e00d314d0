/* _native_records.c -- class RecordDoor: get, get_into, set, read and write of numpy records. Rules: _native.h.
 *
 * numpy is imported when the class is made, by fincache.records, and not by `import fincache`. It is compiled against numpy 2, whose C API works
 * with numpy 1.24 and later as well (NPY_TARGET_VERSION).
 *
 * Rows in the common forms are packed and unpacked here: numpy's own scalars, and plain numbers (_native_leaves.c). The Codec of
 * fincache._rows does the rest.
 */
#include "_native.h"

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_1_22_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL fincache_native_numpy
#include <numpy/arrayobject.h>
#include <numpy/arrayscalars.h>

#include <stddef.h>
#include <string.h>
#include <time.h>

typedef struct native_record_door {
    PyObject_HEAD
    PyObject *cache;               /* the Cache: a native_door */
    PyArray_Descr *descr;
    PyObject *pack;                /* row -> bytes */
    PyObject *unpack;              /* bytearray -> row; None: a numpy scalar */
    uint64_t schema;
    uint32_t row_bytes;
    uint32_t leaf_count;           /* 0: rows are packed by `pack` */
    uint8_t single;                /* a row is the value of the one leaf, not a tuple */
    uint8_t armed;                 /* atomic */
    uint8_t registered;            /* atomic; the schema is in the segment */
    native_leaf leaves[NATIVE_LEAVES_MAX];
} native_record_door;

static inline native_door *door_of(const native_record_door *self) { return (native_door *)self->cache; }

static PyObject *give_up(native_record_door *self, int entered, int method, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    return entered < 0 ? NULL : native_fall_back((PyObject *)self, method, args, count, kwnames);
}

/* ------------------------------------------------------------------ one record */

static PyObject *unpack_row(const native_record_door *self, char *row)
{
    if (self->unpack == Py_None) return PyArray_Scalar(row, self->descr, NULL);
    if (self->single) return native_load_leaf(row, self->leaves[0].code);
    PyObject *data = PyByteArray_FromStringAndSize(row, (Py_ssize_t)self->row_bytes);
    if (data == NULL) return NULL;
    PyObject *unpacked = PyObject_CallOneArg(self->unpack, data);
    Py_DECREF(data);
    return unpacked;
}

/* One field of a row, as row[name] gives it. NULL without an exception: there is no such field, or it is an array. */
static PyObject *field_of(const native_record_door *self, char *row, PyObject *name)
{
    if (!PyDataType_HASFIELDS(self->descr)) return NULL;
    PyObject *field = PyDict_GetItemWithError(PyDataType_FIELDS(self->descr), name); /* (dtype, offset) or (dtype, offset, title) */
    if (field == NULL || !PyTuple_CheckExact(field) || PyTuple_GET_SIZE(field) != 2) return NULL;
    PyArray_Descr *descr = (PyArray_Descr *)PyTuple_GET_ITEM(field, 0);
    Py_ssize_t offset = PyLong_AsSsize_t(PyTuple_GET_ITEM(field, 1));
    if (offset < 0 || offset + PyDataType_ELSIZE(descr) > (npy_intp)self->row_bytes || PyDataType_HASSUBARRAY(descr)) return NULL;
    return PyArray_Scalar(row + offset, descr, NULL);
}

/* A read with FC_OK found a record of this schema. */
static int is_ours(const native_record_door *self, const fc_read *read)
{
    return read->schema == self->schema && read->value_bytes == self->row_bytes;
}

/* By the clock of now, which is after the read; as fc_get_entry counts an age. */
static int is_older(const fc_read *read, uint64_t age_max_ns)
{
    struct timespec now;
    if (age_max_ns == UINT64_MAX) return 0;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_unix_ns = (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
    return now_unix_ns > read->written_unix_ns && now_unix_ns - read->written_unix_ns > age_max_ns;
}

static PyObject *records_get(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    native_record_door *self = (native_record_door *)object;
    union {
        char bytes[VALUE_BYTES_FAST];
        long double aligned;
    } row;
    const char *data;
    Py_ssize_t bytes;
    fc_session *session;
    fc_key key;
    uint64_t age_max_ns = UINT64_MAX;
    int entered = 0;
    if (UNLIKELY(count < 1 || count > 2) || UNLIKELY(!__atomic_load_n(&self->armed, __ATOMIC_ACQUIRE)) ||
        (kwnames != NULL && !(native_is_only_keyword(kwnames, "max_age") && native_nanoseconds_of(args[count], NS_PER_S, &age_max_ns))) ||
        (count == 2 && (self->unpack != Py_None || !PyUnicode_CheckExact(args[1]))) || UNLIKELY(!native_bytes_of(door_of(self), args[0], &data, &bytes)) ||
        UNLIKELY((entered = native_enter(door_of(self), &session)) <= 0))
        return give_up(self, entered, NATIVE_RECORDS_GET, args, count, kwnames);
    fc_read read = {.buffer = row.bytes, .buffer_bytes = self->row_bytes};
    if (UNLIKELY(native_engine->key_init(door_of(self)->cache, door_of(self)->database, data, (uint64_t)bytes, &key) != FC_OK))
        return give_up(self, 0, NATIVE_RECORDS_GET, args, count, kwnames); /* of a wrong key and a wrong field, that one names the field */
    fc_status status = native_engine->get_many(session, &key, &read, 1);
    if (LIKELY(status == FC_OK)) {
        int found_ours = read.status == FC_OK && is_ours(self, &read);
        if (UNLIKELY(found_ours && is_older(&read, age_max_ns))) {
            if (count == 1) Py_RETURN_NONE;
        } else if (LIKELY(found_ours)) {
            PyObject *found = count == 1 ? unpack_row(self, row.bytes) : field_of(self, row.bytes, args[1]);
            if (found != NULL || PyErr_Occurred()) return found;
        } else if (read.status == FC_MISS && count == 1) {
            Py_RETURN_NONE;
        }
    } else {
        entered = native_explain(door_of(self), status);
    }
    return give_up(self, entered, NATIVE_RECORDS_GET, args, count, kwnames);
}

static int is_filled_in_place(PyObject *object) { return PyArray_IS_C_CONTIGUOUS((PyArrayObject *)object) && PyArray_ISWRITEABLE((PyArrayObject *)object); }

/* An array of exactly one record, which can be filled. */
static int is_one_row(const native_record_door *self, PyObject *object)
{
    if (!PyArray_CheckExact(object) || PyArray_SIZE((PyArrayObject *)object) != 1) return 0;
    PyArray_Descr *descr = PyArray_DESCR((PyArrayObject *)object);
    return (descr == self->descr || PyArray_EquivTypes(descr, self->descr)) && is_filled_in_place(object);
}

static PyObject *records_get_into(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    native_record_door *self = (native_record_door *)object;
    const char *data;
    Py_ssize_t bytes;
    fc_session *session;
    fc_key key;
    uint64_t age_max_ns = UINT64_MAX;
    int entered = 0;
    if (count != 2 || !__atomic_load_n(&self->armed, __ATOMIC_ACQUIRE) ||
        (kwnames != NULL && !(native_is_only_keyword(kwnames, "max_age") && native_nanoseconds_of(args[count], NS_PER_S, &age_max_ns))) ||
        !native_bytes_of(door_of(self), args[0], &data, &bytes) || !is_one_row(self, args[1]) || (entered = native_enter(door_of(self), &session)) <= 0)
        return give_up(self, entered, NATIVE_RECORDS_GET_INTO, args, count, kwnames);
    fc_read read = {.buffer = PyArray_DATA((PyArrayObject *)args[1]), .buffer_bytes = self->row_bytes};
    fc_status status = native_engine->key_init(door_of(self)->cache, door_of(self)->database, data, (uint64_t)bytes, &key);
    if (status == FC_OK) status = native_engine->get_many(session, &key, &read, 1);
    if (status != FC_OK) {
        entered = native_explain(door_of(self), status);
    } else if (read.status == FC_MISS || (read.status == FC_OK && is_ours(self, &read))) {
        if (read.status == FC_OK && !is_older(&read, age_max_ns)) Py_RETURN_TRUE;
        memset(read.buffer, 0, self->row_bytes);
        Py_RETURN_FALSE;
    } else {
        entered = 0; /* another record, or none: the Python method says which */
    }
    return give_up(self, entered, NATIVE_RECORDS_GET_INTO, args, count, kwnames);
}

/* A row of the common kind, written to `to`, which has zeros. 0: it is of another kind. */
static int pack_row(const native_record_door *self, PyObject *row, char *to)
{
    if (Py_TYPE(row) == &PyVoidArrType_Type) {
        const PyVoidScalarObject *scalar = (PyVoidScalarObject *)row;
        if ((PyArray_Descr *)scalar->descr != self->descr) return 0;
        memcpy(to, scalar->obval, self->row_bytes);
        return 1;
    }
    if (self->leaf_count == 0) return 0;
    if (self->single) return native_store_leaf(to, self->leaves[0].code, row);
    if (!PyTuple_CheckExact(row) || PyTuple_GET_SIZE(row) != (Py_ssize_t)self->leaf_count) return 0;
    for (uint32_t i = 0; i < self->leaf_count; i++)
        if (!native_store_leaf(to + self->leaves[i].offset, self->leaves[i].code, PyTuple_GET_ITEM(row, (Py_ssize_t)i))) return 0;
    return 1;
}

/* The bytes of a row of any kind: in `row`, or in *owner, which is a new reference. -1: it is no row, as the exception says. */
static int pack_any(const native_record_door *self, PyObject *object, char *row, const char **data, PyObject **owner)
{
    *owner = NULL;
    *data = row;
    memset(row, 0, self->row_bytes);
    if (pack_row(self, object, row)) return 0;
    PyObject *packed = PyObject_CallOneArg(self->pack, object);
    if (packed != NULL && (!PyBytes_CheckExact(packed) || PyBytes_GET_SIZE(packed) != (Py_ssize_t)self->row_bytes)) {
        PyErr_Format(PyExc_TypeError, "pack() did not give %u bytes", self->row_bytes);
        Py_CLEAR(packed);
    }
    if (packed == NULL) return -1;
    *owner = packed;
    *data = PyBytes_AS_STRING(packed);
    return 0;
}

static PyObject *records_set(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    native_record_door *self = (native_record_door *)object;
    char row[VALUE_BYTES_FAST];
    const char *name, *data;
    Py_ssize_t bytes;
    PyObject *owner;
    fc_session *session;
    int entered = 0;
    if (kwnames == NULL && count == 2 && __atomic_load_n(&self->armed, __ATOMIC_ACQUIRE) && __atomic_load_n(&self->registered, __ATOMIC_ACQUIRE) &&
        native_bytes_of(door_of(self), args[0], &name, &bytes)) {
        if (pack_any(self, args[1], row, &data, &owner) < 0) return NULL;
        entered = native_enter(door_of(self), &session);
        if (entered > 0) {
            const native_door *door = door_of(self);
            const fc_set_options options = {.flags = FC_SET_SCHEMA, .schema = self->schema};
            native_enter_wait();
            fc_status status = native_engine->set(door->cache, session, door->database, name, (uint64_t)bytes, data, self->row_bytes, &options, NULL);
            native_leave_wait();
            Py_XDECREF(owner);
            if (status == FC_OK) Py_RETURN_TRUE;
            entered = status == FC_SCHEMA_MISMATCH ? 0 : native_explain(door_of(self), status);
        } else {
            Py_XDECREF(owner);
        }
    }
    return give_up(self, entered, NATIVE_RECORDS_SET, args, count, kwnames);
}

/* ------------------------------------------------------------------ many records */

/* An array of `count` records of this dtype. */
static int is_table(const native_record_door *self, PyObject *object, uint64_t count)
{
    if (!PyArray_CheckExact(object)) return 0;
    PyArrayObject *array = (PyArrayObject *)object;
    return PyArray_NDIM(array) == 1 && (uint64_t)PyArray_DIM(array, 0) == count &&
           (PyArray_DESCR(array) == self->descr || PyArray_EquivTypes(PyArray_DESCR(array), self->descr));
}

static int is_mask(PyObject *object, uint64_t count, PyObject *out, uint32_t row_bytes)
{
    if (!PyArray_CheckExact(object)) return 0;
    PyArrayObject *mask = (PyArrayObject *)object;
    if (PyArray_TYPE(mask) != NPY_BOOL || PyArray_NDIM(mask) != 1 || (uint64_t)PyArray_DIM(mask, 0) != count || !is_filled_in_place(object)) return 0;
    uintptr_t marks = (uintptr_t)PyArray_DATA(mask), rows = (uintptr_t)PyArray_DATA((PyArrayObject *)out);
    return marks + count <= rows || rows + count * row_bytes <= marks;
}

enum { READ_KEYSET, READ_OUT, READ_MASK, READ_CUT, READ_MAX_AGE, READ_ARGUMENTS };
static const char *const read_names[READ_ARGUMENTS] = {"keyset", "out", "mask", "cut", "max_age"};
#define READ_POSITIONAL 4

/* 0: the Python method is to say what is wrong with the arguments. */
static int parse_read(PyObject *const *args, Py_ssize_t count, PyObject *kwnames, PyObject *found[READ_ARGUMENTS], uint64_t *age_max_ns)
{
    *age_max_ns = UINT64_MAX;
    if (count > READ_POSITIONAL) return 0;
    for (int i = 0; i < READ_ARGUMENTS; i++) found[i] = i < count ? args[i] : NULL;
    for (Py_ssize_t k = 0; kwnames != NULL && k < PyTuple_GET_SIZE(kwnames); k++) {
        int i = 0;
        while (i < READ_ARGUMENTS && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(kwnames, k), read_names[i]) != 0) i++;
        if (i == READ_ARGUMENTS || found[i] != NULL) return 0;
        found[i] = args[count + k];
    }
    if (found[READ_MASK] == NULL) found[READ_MASK] = Py_None;
    if (found[READ_CUT] == NULL) found[READ_CUT] = Py_True;
    return found[READ_KEYSET] != NULL && found[READ_OUT] != NULL && (found[READ_CUT] == Py_True || found[READ_CUT] == Py_False) &&
           (found[READ_MAX_AGE] == NULL || found[READ_MAX_AGE] == Py_None || native_nanoseconds_of(found[READ_MAX_AGE], NS_PER_S, age_max_ns));
}

/* Fills `out` and `mask`. The arrays are the caller's: whoever resizes or writes them meanwhile does so as with any call of numpy's that
 * releases the GIL. */
static fc_status read_rows(native_record_door *self, fc_session *session, const native_keys *keys, PyObject *out, PyObject *mask, int cut,
                           uint64_t age_max_ns, fc_read *reads, uint64_t *failed_index)
{
    unsigned char *marks = PyArray_DATA((PyArrayObject *)mask);
    const fcpy_rows into = {
        .rows = PyArray_DATA((PyArrayObject *)out),
        .stride_bytes = self->row_bytes,
        .row_bytes = self->row_bytes,
        .schema = self->schema,
    };
    PyThreadState *released = keys->count > FEW_KEYS ? PyEval_SaveThread() : NULL;
    fc_status status = native_engine->read_rows(session, keys->keys, keys->count, &into, reads, marks, cut, age_max_ns, failed_index);
    if (released != NULL) PyEval_RestoreThread(released);
    return status;
}

static PyObject *records_read(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    native_record_door *self = (native_record_door *)object;
    PyObject *found[READ_ARGUMENTS], *mask = NULL;
    native_keys *keys = NULL;
    fc_read *reads = NULL;
    fc_session *session;
    uint64_t age_max_ns;
    int entered = 0;
    if (!parse_read(args, count, kwnames, found, &age_max_ns) || !__atomic_load_n(&self->armed, __ATOMIC_ACQUIRE)) goto python;
    if ((entered = native_take_keyset(door_of(self), found[READ_KEYSET], &keys)) <= 0) goto python;
    entered = 0;
    if (keys->count == 0 || !is_table(self, found[READ_OUT], keys->count) || !is_filled_in_place(found[READ_OUT])) goto python;
    if (found[READ_MASK] == Py_None) {
        npy_intp length = (npy_intp)keys->count;
        if ((mask = PyArray_SimpleNew(1, &length, NPY_BOOL)) == NULL) goto failed;
    } else if (is_mask(found[READ_MASK], keys->count, found[READ_OUT], self->row_bytes)) {
        mask = Py_NewRef(found[READ_MASK]);
    } else {
        goto python;
    }
    if ((reads = PyMem_New(fc_read, keys->count)) == NULL) {
        PyErr_NoMemory();
        goto failed;
    }
    if ((entered = native_enter(door_of(self), &session)) > 0) {
        uint64_t failed_index;
        fc_status status = read_rows(self, session, keys, found[READ_OUT], mask, found[READ_CUT] == Py_True, age_max_ns, reads, &failed_index);
        if (status == FC_OK) {
            PyMem_Free(reads);
            Py_DECREF(keys);
            return mask;
        }
        entered = failed_index < keys->count ? 0 : native_explain(door_of(self), status); /* the Python method names the key */
    }
python:
    PyMem_Free(reads);
    Py_XDECREF(keys);
    Py_XDECREF(mask);
    return give_up(self, entered, NATIVE_RECORDS_READ, args, count, kwnames);
failed:
    Py_XDECREF(keys);
    Py_XDECREF(mask);
    return NULL;
}

static fc_status write_rows(native_record_door *self, fc_session *session, const native_keys *keys, PyArrayObject *rows, fc_write *writes)
{
    const fcpy_rows from = {
        .rows = PyArray_DATA(rows),
        .stride_bytes = PyArray_STRIDE(rows, 0),
        .row_bytes = self->row_bytes,
        .schema = self->schema,
    };
    if (keys->count > FEW_KEYS) {
        fc_status status;
        Py_BEGIN_ALLOW_THREADS
        status = native_engine->write_rows(session, keys->keys, keys->count, &from, writes, 0, 0);
        Py_END_ALLOW_THREADS
        return status;
    }
    native_enter_wait();
    fc_status status = native_engine->write_rows(session, keys->keys, keys->count, &from, writes, 0, 0);
    native_leave_wait();
    return status;
}

static PyObject *records_write(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    native_record_door *self = (native_record_door *)object;
    native_keys *keys;
    fc_session *session;
    int entered = 0;
    if (kwnames == NULL && count == 2 && __atomic_load_n(&self->armed, __ATOMIC_ACQUIRE) && __atomic_load_n(&self->registered, __ATOMIC_ACQUIRE) &&
        (entered = native_take_keyset(door_of(self), args[0], &keys)) > 0) {
        entered = 0;
        fc_write *writes = NULL;
        fc_status status = FC_INTERNAL;
        if (keys->count > 0 && is_table(self, args[1], keys->count)) {
            if ((writes = PyMem_New(fc_write, keys->count)) == NULL) PyErr_NoMemory();
            entered = writes == NULL ? -1 : native_enter(door_of(self), &session);
        }
        if (entered > 0) {
            status = write_rows(self, session, keys, (PyArrayObject *)args[1], writes);
            if (status != FC_OK) entered = status == FC_SCHEMA_MISMATCH ? 0 : native_explain(door_of(self), status);
        }
        PyMem_Free(writes);
        Py_DECREF(keys);
        if (entered > 0) Py_RETURN_TRUE;
    }
    return give_up(self, entered, NATIVE_RECORDS_WRITE, args, count, kwnames);
}

/* ------------------------------------------------------------------ life */

PyDoc_STRVAR(arm_doc, "_arm($self, cache, dtype, schema, pack, unpack, leaves, /)\n--\n\n"
                      "Lets the fast paths be taken. Once: a second call ends them for good.\n\n"
                      "Args:\n"
                      "    cache: the Cache, an instance of Door.\n"
                      "    dtype: of the records.\n"
                      "    schema: its id in every segment.\n"
                      "    pack: makes the bytes of a record of any row, or raises.\n"
                      "    unpack: makes of a bytearray what `get` returns; None: a numpy scalar.\n"
                      "    leaves: how struct would write down a row that is a tuple of plain numbers, or one number; \"\" for other rows.\n"
                      "    single: a row is one number.\n");

static PyObject *record_door_arm(native_record_door *self, PyObject *args)
{
    PyObject *cache, *dtype, *pack, *unpack;
    unsigned long long schema;
    const char *leaves;
    int single;
    if (!PyArg_ParseTuple(args, "OO!KOOsp:_arm", &cache, &PyArrayDescr_Type, &dtype, &schema, &pack, &unpack, &leaves, &single)) return NULL;
    native_state *state = native_state_of(Py_TYPE(self));
    if (state == NULL) return NULL;
    if (self->cache != NULL) {
        __atomic_store_n(&self->armed, 0, __ATOMIC_RELEASE);
        Py_RETURN_NONE;
    }
    if (state->door_type == NULL || !PyObject_TypeCheck(cache, state->door_type))
        return PyErr_Format(PyExc_TypeError, "cache is %.200s", Py_TYPE(cache)->tp_name);
    npy_intp row_bytes = PyDataType_ELSIZE((PyArray_Descr *)dtype);
    if (row_bytes < 1 || row_bytes > (npy_intp)VALUE_BYTES_FAST || PyDataType_REFCHK((PyArray_Descr *)dtype)) Py_RETURN_NONE;
    if (((native_door *)cache)->attachment == NULL) Py_RETURN_NONE; /* it was never armed itself */
    self->descr = (PyArray_Descr *)Py_NewRef(dtype);
    self->pack = Py_NewRef(pack);
    self->unpack = Py_NewRef(unpack);
    self->schema = schema;
    self->row_bytes = (uint32_t)row_bytes;
    self->leaf_count = native_parse_leaves(leaves, self->row_bytes, self->leaves);
    self->single = single && self->leaf_count == 1;
    self->cache = Py_NewRef(cache);
    __atomic_store_n(&self->armed, 1, __ATOMIC_RELEASE);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(allow_writes_doc, "_allow_writes($self, /)\n--\n\nThe schema is registered in the segment: fast writes may be made.");

static PyObject *record_door_allow_writes(native_record_door *self, PyObject *nothing)
{
    (void)nothing;
    __atomic_store_n(&self->registered, 1, __ATOMIC_RELEASE);
    Py_RETURN_NONE;
}

static int record_door_traverse(native_record_door *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->cache);
    Py_VISIT(self->descr);
    Py_VISIT(self->pack);
    Py_VISIT(self->unpack);
    return 0;
}

static int record_door_clear(native_record_door *self)
{
    __atomic_store_n(&self->armed, 0, __ATOMIC_RELEASE);
    Py_CLEAR(self->cache);
    Py_CLEAR(self->descr);
    Py_CLEAR(self->pack);
    Py_CLEAR(self->unpack);
    return 0;
}

static void record_door_dealloc(native_record_door *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)record_door_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ------------------------------------------------------------------ the class */

static const native_method methods[] = {
    {"get", NATIVE_RECORDS_GET, records_get},
    {"get_into", NATIVE_RECORDS_GET_INTO, records_get_into},
    {"set", NATIVE_RECORDS_SET, records_set},
    {"read", NATIVE_RECORDS_READ, records_read},
    {"write", NATIVE_RECORDS_WRITE, records_write},
    {NULL, 0, NULL},
};

static const PyMethodDef own_methods[] = {
    {"_arm", (PyCFunction)record_door_arm, METH_VARARGS, arm_doc},
    {"_allow_writes", (PyCFunction)record_door_allow_writes, METH_NOARGS, allow_writes_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(record_door_doc, "The fast half of fincache.records.Records: methods of C in front of the Python ones, which they fall back on.");

static const PyType_Slot slots[] = {
    {Py_tp_doc, (void *)record_door_doc},
    {Py_tp_traverse, record_door_traverse},
    {Py_tp_clear, record_door_clear},
    {Py_tp_dealloc, record_door_dealloc},
    {0, NULL},
};

const native_class native_record_door_class = {
    .name = "fincache._native.RecordDoor",
    .basicsize = sizeof(native_record_door),
    .slots = slots,
    .methods = methods,
    .own_methods = own_methods,
};

/* import_array() is a macro with a return in it. */
static int import_numpy(void)
{
    import_array1(-1);
    return 0;
}

PyObject *native_make_record_door(PyObject *module, PyObject *args)
{
    native_state *state = PyModule_GetState(module);
    PyObject *python_class, *documents;
    if (!PyArg_ParseTuple(args, "O!O:record_door", &PyType_Type, &python_class, &documents)) return NULL;
    if (PyArray_API == NULL && import_numpy() < 0) return NULL;
    if (native_make_class(module, &native_record_door_class, python_class, documents, &state->record_door_type) < 0) return NULL;
    return Py_NewRef((PyObject *)state->record_door_type);
}
