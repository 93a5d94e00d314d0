/* _native_door.c -- class Door: get, set, get_into, exists, delete and incr of one key, and the way back to Python. Rules: _native.h. */
#include "_native.h"

#include <math.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#define NS_PER_MS 1000000u
/* Longer ones go the Python way, which knows where the clock ends: 146 years. */
#define DURATION_NS_MAX (1ull << 62)

int native_explain(native_door *self, fc_status status)
{
    switch (status) {
    case FC_CLOSED:
    case FC_FORKED:
    case FC_WRONG_THREAD:
        native_forget(self->handle);
        return 0;
    case FC_BUFFER_SMALL:
        return 0;
    default: {
        native_state *state = native_state_of(Py_TYPE(self));
        if (state != NULL) native_fail(state, status);
        return -1;
    }
    }
}

/* The end of a method whose engine call gave no answer, or was not made: `entered` is what native_enter or native_explain said. */
static PyObject *give_up(native_door *self, int entered, int method, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    return entered < 0 ? NULL : native_fall_back((PyObject *)self, method, args, count, kwnames);
}

/* ------------------------------------------------------------------ reading */

static PyObject *reply(const native_door *self, const char *value, uint64_t value_bytes)
{
    if (!self->text) return PyBytes_FromStringAndSize(value, (Py_ssize_t)value_bytes);
    return PyUnicode_DecodeUTF8(value, (Py_ssize_t)value_bytes, NULL);
}

int native_nanoseconds_of(PyObject *object, uint64_t unit_ns, uint64_t *ns)
{
    if (PyFloat_CheckExact(object)) {
        double exact = PyFloat_AS_DOUBLE(object) * (double)unit_ns;
        if (!(exact >= 0 && exact < (double)DURATION_NS_MAX)) return 0;
        *ns = (uint64_t)llrint(exact); /* half to even, as Python's round() */
        return 1;
    }
    int overflow = 0;
    long long units = PyLong_CheckExact(object) ? PyLong_AsLongLongAndOverflow(object, &overflow) : -1;
    if (overflow != 0 || units < 0 || (unsigned long long)units >= DURATION_NS_MAX / unit_ns) return 0;
    *ns = (uint64_t)units * unit_ns;
    return 1;
}

int native_is_only_keyword(PyObject *kwnames, const char *name)
{
    return PyTuple_GET_SIZE(kwnames) == 1 && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(kwnames, 0), name) == 0;
}

/* get with max_age: a value that is older is a miss. Its age is of the same instant, so one read tells both. */
static PyObject *get_young(native_door *self, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    char value[VALUE_BYTES_FAST];
    const char *data;
    Py_ssize_t bytes;
    uint64_t age_max_ns;
    fc_session *session;
    fc_key key;
    fc_entry entry;
    int entered = 0;
    if ((count == 1 || count == 2) && native_is_only_keyword(kwnames, "max_age") && native_nanoseconds_of(args[count], NS_PER_S, &age_max_ns) &&
        native_bytes_of(self, args[0], &data, &bytes) && (entered = native_enter(self, &session)) > 0) {
        fc_status status = native_engine->key_init(self->cache, self->database, data, (uint64_t)bytes, &key);
        if (status == FC_OK) status = native_engine->get_entry(session, &key, value, sizeof value, &entry);
        if (status == FC_OK && entry.age_ns <= age_max_ns) {
            PyObject *result = reply(self, value, entry.value_bytes);
            if (result != NULL || !PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) return result;
            PyErr_Clear();
            entered = 0;
        } else if (status == FC_OK || status == FC_MISS) {
            return Py_NewRef(count == 2 ? args[1] : Py_None);
        } else {
            entered = native_explain(self, status);
        }
    }
    return give_up(self, entered, NATIVE_GET, args, count, kwnames);
}

/* How often a value may have grown between two looks before the Python method has its turn. */
#define LARGE_ATTEMPTS_MAX 4

/* get of a value that has `value_bytes` or did a moment ago: a second copy would cost as much as the read. 1: *value is the bytes, or NULL for a miss.
 * Otherwise as native_enter says. */
static int get_large(native_door *self, const char *key, Py_ssize_t key_bytes, uint64_t value_bytes, PyObject **value)
{
    for (int i = 0; i < LARGE_ATTEMPTS_MAX; i++) {
        fc_session *session;
        fc_status status;
        uint64_t found_bytes;
        PyObject *room = value_bytes <= PY_SSIZE_T_MAX ? PyBytes_FromStringAndSize(NULL, (Py_ssize_t)value_bytes) : PyErr_NoMemory();
        if (room == NULL) return -1;
        char *data = PyBytes_AS_STRING(room);
        int entered = native_enter(self, &session);
        if (entered <= 0) {
            Py_DECREF(room);
            return entered;
        }
        if (value_bytes <= SET_BYTES_FAST) {
            status = native_engine->get(self->cache, session, self->database, key, (uint64_t)key_bytes, data, value_bytes, &found_bytes);
        } else {
            /* Only this thread can end its session, the caller holds the key, and nobody else knows of the object. */
            Py_BEGIN_ALLOW_THREADS
            status = native_engine->get(self->cache, session, self->database, key, (uint64_t)key_bytes, data, value_bytes, &found_bytes);
            Py_END_ALLOW_THREADS
        }
        if (status == FC_OK) {
            if (found_bytes < value_bytes && _PyBytes_Resize(&room, (Py_ssize_t)found_bytes) < 0) return -1;
            *value = room;
            return 1;
        }
        Py_DECREF(room);
        if (status == FC_MISS) {
            *value = NULL;
            return 1;
        }
        if (status != FC_BUFFER_SMALL) return native_explain(self, status);
        value_bytes = found_bytes;
    }
    return 0;
}

static PyObject *door_get(native_door *self, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    char value[VALUE_BYTES_FAST];
    const char *key;
    Py_ssize_t key_bytes;
    uint64_t value_bytes;
    fc_session *session;
    int entered = 0;
    if (UNLIKELY(kwnames != NULL)) return get_young(self, args, count, kwnames);
    if (LIKELY((count == 1 || count == 2)) && LIKELY(native_bytes_of(self, args[0], &key, &key_bytes)) &&
        LIKELY((entered = native_enter(self, &session)) > 0)) {
        fc_status status = native_engine->get(self->cache, session, self->database, key, (uint64_t)key_bytes, value, sizeof value, &value_bytes);
        if (LIKELY(status == FC_OK)) {
            PyObject *result = reply(self, value, value_bytes);
            if (LIKELY(result != NULL) || !PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) return result;
            PyErr_Clear(); /* the Python method has its own exception for it */
            entered = 0;
        } else if (status == FC_MISS) {
            return Py_NewRef(count == 2 ? args[1] : Py_None);
        } else if (status == FC_BUFFER_SMALL && !self->text) {
            PyObject *result;
            entered = get_large(self, key, key_bytes, value_bytes, &result);
            if (entered > 0) return result != NULL ? result : Py_NewRef(count == 2 ? args[1] : Py_None);
        } else {
            entered = native_explain(self, status);
        }
    }
    return give_up(self, entered, NATIVE_GET, args, count, kwnames);
}

/* 1 if an element of the format is a reference to a Python object, which bytes must not be written over. Names of fields stand between colons. */
static int holds_objects(const char *format)
{
    int in_name = 0;
    for (; format != NULL && *format != 0; format++) {
        if (*format == ':') in_name = !in_name;
        else if (*format == 'O' && !in_name) return 1;
    }
    return 0;
}

/* An exporter's own exceptions pass; that it exports nothing of the kind is for the Python method to say. */
static int export_writable(PyObject *object, Py_buffer *view)
{
    if (PyObject_GetBuffer(object, view, PyBUF_WRITABLE | PyBUF_FORMAT) == 0) {
        if (!holds_objects(view->format)) return 1;
        PyBuffer_Release(view);
        return 0;
    }
    if (!PyErr_ExceptionMatches(PyExc_TypeError) && !PyErr_ExceptionMatches(PyExc_ValueError) && !PyErr_ExceptionMatches(PyExc_BufferError))
        return -1;
    PyErr_Clear();
    return 0;
}

static PyObject *door_get_into(native_door *self, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    const char *key;
    Py_ssize_t key_bytes;
    uint64_t value_bytes;
    fc_session *session;
    Py_buffer view;
    int entered = 0;
    if (kwnames == NULL && count == 2 && native_bytes_of(self, args[0], &key, &key_bytes) && (entered = export_writable(args[1], &view)) > 0) {
        fc_status status = FC_BUFFER_SMALL;
        entered = (uint64_t)view.len <= SET_BYTES_FAST ? native_enter(self, &session) : 0;
        if (entered > 0)
            status = native_engine->get(self->cache, session, self->database, key, (uint64_t)key_bytes, view.buf, (uint64_t)view.len, &value_bytes);
        PyBuffer_Release(&view);
        if (entered > 0) {
            if (status == FC_OK) return PyLong_FromUnsignedLongLong(value_bytes);
            if (status == FC_MISS) Py_RETURN_NONE;
            entered = native_explain(self, status);
        }
    }
    return give_up(self, entered, NATIVE_GET_INTO, args, count, kwnames);
}

/* Whether there is such a key, by an operation that answers FC_OK or FC_MISS. 1: *found tells. Otherwise as native_enter says. */
static int apply(native_door *self, PyObject *name, fc_status (*operation)(fc_session *, const fc_key *), int *found)
{
    const char *data;
    Py_ssize_t bytes;
    fc_session *session;
    fc_key key;
    if (!native_bytes_of(self, name, &data, &bytes)) return 0;
    int entered = native_enter(self, &session);
    if (entered <= 0) return entered;
    fc_status status = native_engine->key_init(self->cache, self->database, data, (uint64_t)bytes, &key);
    if (status == FC_OK) {
        native_enter_wait();
        status = operation(session, &key);
        native_leave_wait();
    }
    *found = status == FC_OK;
    return status == FC_OK || status == FC_MISS ? 1 : native_explain(self, status);
}

/* exists and delete of one key. */
static PyObject *count_key(native_door *self, fc_status (*operation)(fc_session *, const fc_key *), int method, PyObject *const *args,
                           Py_ssize_t count, PyObject *kwnames)
{
    int found;
    int entered = kwnames == NULL && count == 1 ? apply(self, args[0], operation, &found) : 0;
    return entered > 0 ? PyLong_FromLong(found) : give_up(self, entered, method, args, count, kwnames);
}

static PyObject *door_exists(native_door *self, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    return count_key(self, native_engine->exists, NATIVE_EXISTS, args, count, kwnames);
}

static PyObject *door_delete(native_door *self, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    return count_key(self, native_engine->erase, NATIVE_DELETE, args, count, kwnames);
}

/* ------------------------------------------------------------------ writing */

#define NUMBER_BYTES 32 /* a 64-bit int has 20 characters at most, repr() of a float 24 */

static int format_int(PyObject *object, char text[NUMBER_BYTES], const char **data, Py_ssize_t *bytes)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow != 0) return 0;
    unsigned long long rest = number < 0 ? 0ULL - (unsigned long long)number : (unsigned long long)number;
    char *first = text + NUMBER_BYTES;
    do *--first = (char)('0' + rest % 10);
    while ((rest /= 10) != 0);
    if (number < 0) *--first = '-';
    *data = first;
    *bytes = text + NUMBER_BYTES - first;
    return 1;
}

/* repr(): the shortest text that reads back as the same double. */
static int format_float(PyObject *object, char text[NUMBER_BYTES], const char **data, Py_ssize_t *bytes)
{
    char *repr = PyOS_double_to_string(PyFloat_AS_DOUBLE(object), 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    size_t length = repr == NULL ? NUMBER_BYTES + 1 : strlen(repr);
    if (length <= NUMBER_BYTES) memcpy(text, repr, length);
    PyMem_Free(repr);
    PyErr_Clear();
    *data = text;
    *bytes = (Py_ssize_t)length;
    return length <= NUMBER_BYTES;
}

/* A value whose bytes can be had without running Python code; numbers are written into `text`. 0: something else. */
static inline int value_of(const native_door *self, PyObject *object, char text[NUMBER_BYTES], const char **data, Py_ssize_t *bytes)
{
    if (LIKELY(native_bytes_of(self, object, data, bytes))) return *bytes <= (Py_ssize_t)SET_BYTES_FAST;
    if (PyLong_CheckExact(object)) return format_int(object, text, data, bytes);
    return PyFloat_CheckExact(object) && format_float(object, text, data, bytes);
}

/* The expiry that keyword arguments name, which is 0 without any; it is known for ex or px alone, a plain positive number. 0: something
 * else. */
static int expiry_of(PyObject *kwnames, PyObject *const *values, uint64_t *expires_unix_ns)
{
    struct timespec now;
    uint64_t unit_ns, lives_ns;
    *expires_unix_ns = 0;
    if (LIKELY(kwnames == NULL)) return 1;
    unit_ns = native_is_only_keyword(kwnames, "ex") ? NS_PER_S : native_is_only_keyword(kwnames, "px") ? NS_PER_MS : 0;
    if (unit_ns == 0 || !native_nanoseconds_of(values[0], unit_ns, &lives_ns) || lives_ns == 0) return 0;
    clock_gettime(CLOCK_REALTIME, &now);
    *expires_unix_ns = (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec + lives_ns;
    return 1;
}

static PyObject *door_set(native_door *self, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    char number[NUMBER_BYTES];
    const char *key, *value;
    Py_ssize_t key_bytes, value_bytes;
    fc_session *session;
    fc_set_options options = {0};
    int entered = 0;
    if (LIKELY(count == 2) && LIKELY(expiry_of(kwnames, args + 2, &options.expires_unix_ns)) &&
        LIKELY(native_bytes_of(self, args[0], &key, &key_bytes)) && LIKELY(value_of(self, args[1], number, &value, &value_bytes)) &&
        LIKELY((entered = native_enter(self, &session)) > 0)) {
        native_enter_wait();
        fc_status status = native_engine->set(self->cache, session, self->database, key, (uint64_t)key_bytes, value, (uint64_t)value_bytes,
                                              options.expires_unix_ns == 0 ? NULL : &options, NULL);
        native_leave_wait();
        if (LIKELY(status == FC_OK)) Py_RETURN_TRUE;
        entered = native_explain(self, status);
    }
    return give_up(self, entered, NATIVE_SET, args, count, kwnames);
}

static PyObject *door_incr(native_door *self, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    const char *data;
    Py_ssize_t bytes;
    fc_session *session;
    fc_key key;
    int64_t value;
    int entered = 0, overflow = 0;
    long long amount = 1;
    int known = kwnames == NULL && (count == 1 || (count == 2 && PyLong_CheckExact(args[1]))) && native_bytes_of(self, args[0], &data, &bytes);
    if (known && count == 2) amount = PyLong_AsLongLongAndOverflow(args[1], &overflow);
    if (known && overflow == 0 && (entered = native_enter(self, &session)) > 0) {
        fc_status status = native_engine->key_init(self->cache, self->database, data, (uint64_t)bytes, &key);
        if (status == FC_OK) {
            native_enter_wait();
            status = native_engine->increment(session, &key, amount, &value);
            native_leave_wait();
        }
        if (status == FC_OK) return PyLong_FromLongLong(value);
        entered = native_explain(self, status);
    }
    return give_up(self, entered, NATIVE_INCR, args, count, kwnames);
}

/* ------------------------------------------------------------------ the protocol of dict */

static PyObject *door_getitem(native_door *self, PyObject *name)
{
    char value[VALUE_BYTES_FAST];
    const char *key;
    Py_ssize_t key_bytes;
    uint64_t value_bytes;
    fc_session *session;
    int entered = 0;
    if (native_bytes_of(self, name, &key, &key_bytes) && (entered = native_enter(self, &session)) > 0) {
        fc_status status = native_engine->get(self->cache, session, self->database, key, (uint64_t)key_bytes, value, sizeof value, &value_bytes);
        if (status == FC_OK) {
            PyObject *result = reply(self, value, value_bytes);
            if (result != NULL || !PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) return result;
            PyErr_Clear();
            entered = 0;
        } else {
            entered = status == FC_MISS ? 0 : native_explain(self, status); /* the Python method raises the KeyError */
        }
    }
    return give_up(self, entered, NATIVE_GETITEM, &name, 1, NULL);
}

/* cache[name] = value, and, where value is NULL, del cache[name]. */
static int door_assign(native_door *self, PyObject *name, PyObject *value)
{
    PyObject *args[] = {name, value}, *done;
    int found = 0;
    if (value != NULL) {
        done = door_set(self, args, 2, NULL);
    } else {
        int entered = apply(self, name, native_engine->erase, &found);
        if (entered > 0 && found) return 0;
        done = give_up(self, entered > 0 ? 0 : entered, NATIVE_DELITEM, args, 1, NULL);
    }
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static int door_contains(native_door *self, PyObject *name)
{
    int found;
    int entered = apply(self, name, native_engine->exists, &found);
    if (entered > 0) return found;
    PyObject *answer = give_up(self, entered, NATIVE_CONTAINS, &name, 1, NULL);
    found = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    return found;
}

/* ------------------------------------------------------------------ many */

static PyObject *door_read_many(native_door *self, int method, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    if (kwnames == NULL && count > 0) {
        PyObject *values = native_read_many(self, args, count, method == NATIVE_MGET);
        if (values != NULL || PyErr_Occurred()) return values;
    }
    return native_fall_back((PyObject *)self, method, args, count, kwnames);
}

static PyObject *door_mget(native_door *self, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    return door_read_many(self, NATIVE_MGET, args, count, kwnames);
}

static PyObject *door_get_many(native_door *self, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    return door_read_many(self, NATIVE_GET_MANY, args, count, kwnames);
}

/* ------------------------------------------------------------------ life */

PyDoc_STRVAR(arm_doc, "_arm($self, attachment, database, utf8, text, /)\n--\n\n"
                      "Lets the fast paths be taken. Once: a second call ends them for good.\n\n"
                      "Args:\n"
                      "    attachment: the fincache._core.Attachment.\n"
                      "    database: the database.\n"
                      "    utf8: str keys and values are UTF-8.\n"
                      "    text: values come back as str, decoded from UTF-8; else as bytes.\n");

static PyObject *door_arm(native_door *self, PyObject *args)
{
    PyObject *attachment, *handle;
    unsigned int database;
    int utf8, text;
    if (!PyArg_ParseTuple(args, "OIpp:_arm", &attachment, &database, &utf8, &text)) return NULL;
    native_state *state = native_state_of(Py_TYPE(self));
    if (state == NULL) return NULL;
    if (self->attachment != NULL) {
        __atomic_store_n(&self->armed, 0, __ATOMIC_RELEASE);
        Py_RETURN_NONE;
    }
    if ((PyObject *)Py_TYPE(attachment) != state->attachment_type)
        return PyErr_Format(PyExc_TypeError, "attachment is %.200s", Py_TYPE(attachment)->tp_name);
    if ((handle = PyObject_GetAttrString(attachment, "_handle")) == NULL) return NULL;
    if (!PyObject_TypeCheck(handle, state->handle_type) || ((native_handle *)handle)->serial == 0) {
        PyErr_Format(PyExc_TypeError, "the attachment's handle is %.200s", Py_TYPE(handle)->tp_name);
        Py_DECREF(handle);
        return NULL;
    }
    self->attachment = Py_NewRef(attachment);
    self->handle = (native_handle *)handle;
    self->cache = self->handle->cache;
    self->database = database;
    self->utf8 = (uint8_t)utf8;
    self->text = (uint8_t)text;
    __atomic_store_n(&self->armed, 1, __ATOMIC_RELEASE);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(disarm_doc, "_disarm($self, /)\n--\n\nEnds the fast paths, for good.");

static PyObject *door_disarm(native_door *self, PyObject *nothing)
{
    (void)nothing;
    __atomic_store_n(&self->armed, 0, __ATOMIC_RELEASE);
    Py_RETURN_NONE;
}

static int door_traverse(native_door *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->attachment);
    Py_VISIT(self->handle);
    return 0;
}

static int door_clear(native_door *self)
{
    __atomic_store_n(&self->armed, 0, __ATOMIC_RELEASE);
    Py_CLEAR(self->handle);
    Py_CLEAR(self->attachment);
    return 0;
}

static void door_dealloc(native_door *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)door_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ------------------------------------------------------------------ the class */

static const native_method methods[] = {
    {"get", NATIVE_GET, (native_function)door_get},
    {"set", NATIVE_SET, (native_function)door_set},
    {"get_into", NATIVE_GET_INTO, (native_function)door_get_into},
    {"exists", NATIVE_EXISTS, (native_function)door_exists},
    {"delete", NATIVE_DELETE, (native_function)door_delete},
    {"incr", NATIVE_INCR, (native_function)door_incr},
    {"mget", NATIVE_MGET, (native_function)door_mget},
    {"get_many", NATIVE_GET_MANY, (native_function)door_get_many},
    {"__getitem__", NATIVE_GETITEM, NULL},
    {"__delitem__", NATIVE_DELITEM, NULL},
    {"__contains__", NATIVE_CONTAINS, NULL},
    {NULL, 0, NULL},
};

static const PyMethodDef own_methods[] = {
    {"_arm", (PyCFunction)door_arm, METH_VARARGS, arm_doc},
    {"_disarm", (PyCFunction)door_disarm, METH_NOARGS, disarm_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(door_doc, "The fast half of fincache.Cache: methods of C in front of the Python ones, which they fall back on.");

static const PyType_Slot slots[] = {
    {Py_tp_doc, (void *)door_doc},
    {Py_tp_traverse, door_traverse},
    {Py_tp_clear, door_clear},
    {Py_tp_dealloc, door_dealloc},
    {Py_mp_subscript, door_getitem},
    {Py_mp_ass_subscript, door_assign},
    {Py_sq_contains, door_contains},
    {0, NULL},
};

const native_class native_door_class = {
    .name = "fincache._native.Door",
    .basicsize = sizeof(native_door),
    .slots = slots,
    .methods = methods,
    .own_methods = own_methods,
};

PyObject *native_make_door(PyObject *module, PyObject *args)
{
    native_state *state = PyModule_GetState(module);
    PyObject *python_class, *keyset, *documents;
    if (!PyArg_ParseTuple(args, "O!O!O:door", &PyType_Type, &python_class, &PyType_Type, &keyset, &documents)) return NULL;
    if (state->failure == NULL) return PyErr_Format(PyExc_RuntimeError, "configure() was not called yet");
    if (native_make_class(module, &native_door_class, python_class, documents, &state->door_type) < 0) return NULL;
    Py_XSETREF(state->keyset_type, Py_NewRef(keyset));
    return Py_NewRef((PyObject *)state->door_type);
}
