/* _native_session.c -- handles, what a thread remembers of its sessions, and the GIL around waits. Why it is safe: _native.h. */
#include "_native.h"

#include <stddef.h>

__thread native_thread native_this_thread;

/* ------------------------------------------------------------------ class Handle */

static uint64_t serial_last; /* atomic */

static int handle_init(native_handle *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"pointer", NULL};
    PyObject *pointer;
    void *cache;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:Handle", names, &pointer)) return -1;
    native_state *state = native_state_of(Py_TYPE(self));
    if (state == NULL || native_address(state, pointer, state->cache_pointer, &cache) < 0) return -1;
    if (self->serial != 0) {
        PyErr_SetString(PyExc_RuntimeError, "a Handle is initialised once");
        return -1;
    }
    self->pointer = Py_NewRef(pointer);
    self->cache = cache;
    self->serial = __atomic_add_fetch(&serial_last, 1, __ATOMIC_RELAXED);
    return 0;
}

static int handle_traverse(native_handle *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->pointer);
    return 0;
}

/* What `cache` points at is given back by the Python half. */
static void handle_dealloc(native_handle *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->pointer);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *handle_get_pointer(native_handle *self, void *closure)
{
    (void)closure;
    if (self->pointer == NULL) return PyErr_Format(PyExc_RuntimeError, "the Handle was not initialised");
    return Py_NewRef(self->pointer);
}

/* The fences of rule 1: what was pinned before is seen by whoever sets `closing` after, and the other way round. */
static PyObject *handle_get_closing(native_handle *self, void *closure)
{
    (void)closure;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return PyBool_FromLong(native_is_closing(self));
}

static int handle_set_closing(native_handle *self, PyObject *value, void *closure)
{
    (void)closure;
    if (value != Py_True) {
        PyErr_SetString(PyExc_ValueError, "closing can only become True");
        return -1;
    }
    __atomic_store_n(&self->closing, 1, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return 0;
}

static PyObject *handle_forget(native_handle *self, PyObject *nothing)
{
    (void)nothing;
    if (native_this_thread.remembered[self->serial % REMEMBERED].serial == self->serial) native_forget(self);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(handle_doc, "Handle(pointer)\n--\n\nAn fc_cache pointer of cffi's, as the accelerator knows it. Base of fincache._core.Handle.");
PyDoc_STRVAR(forget_doc, "forget($self, /)\n--\n\nThe calling thread's session on this handle is about to go: its pointer is not to be used any more.");

static PyGetSetDef handle_getset[] = {
    {"pointer", (getter)handle_get_pointer, NULL, "What it was made from.", NULL},
    {"closing", (getter)handle_get_closing, (setter)handle_set_closing, "True once somebody began to close; never False again.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef handle_methods[] = {
    {"forget", (PyCFunction)handle_forget, METH_NOARGS, forget_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot handle_slots[] = {
    {Py_tp_doc, (void *)handle_doc},
    {Py_tp_init, handle_init},
    {Py_tp_traverse, handle_traverse},
    {Py_tp_dealloc, handle_dealloc},
    {Py_tp_getset, handle_getset},
    {Py_tp_methods, handle_methods},
    {0, NULL},
};

PyType_Spec native_handle_spec = {
    .name = "fincache._native.Handle",
    .basicsize = sizeof(native_handle),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = handle_slots,
};

/* ------------------------------------------------------------------ waits */

static void release_gil(void *context)
{
    native_thread *thread = &native_this_thread;
    (void)context;
    if (thread->holding) thread->released = PyEval_SaveThread();
}

static void take_gil(void *context)
{
    native_thread *thread = &native_this_thread;
    (void)context;
    if (thread->holding) PyEval_RestoreThread(thread->released);
}

PyObject *native_watch(PyObject *module, PyObject *pointer)
{
    native_state *state = PyModule_GetState(module);
    void *session;
    if (native_address(state, pointer, state->session_pointer, &session) < 0) return NULL;
    fc_status status = native_engine->set_wait_hooks(session, release_gil, take_gil, NULL);
    if (status != FC_OK) return native_fail(state, status);
    Py_RETURN_NONE;
}

/* ------------------------------------------------------------------ entering */

/* Opens the calling thread's session, if it has none, and remembers it. */
static int remember_session(native_door *door)
{
    int outcome = -1;
    void *pointer;
    native_state *state = native_state_of(Py_TYPE(door));
    if (state == NULL) return -1;
    PyObject *address = NULL, *session = PyObject_CallMethod(door->attachment, "session", NULL);
    if (session == NULL) return -1;
    if ((PyObject *)Py_TYPE(session) != state->session_type) {
        PyErr_Format(PyExc_TypeError, "session() gave a %.200s", Py_TYPE(session)->tp_name);
    } else if ((address = PyObject_GetAttrString(session, "_pointer")) != NULL &&
               native_address(state, address, state->session_pointer, &pointer) == 0) {
        uint64_t serial = door->handle->serial;
        native_this_thread.remembered[serial % REMEMBERED].session = pointer;
        native_this_thread.remembered[serial % REMEMBERED].serial = serial;
        outcome = 0;
    }
    Py_XDECREF(address);
    Py_DECREF(session);
    return outcome;
}

int native_enter(native_door *door, fc_session **session)
{
    if (UNLIKELY(!__atomic_load_n(&door->armed, __ATOMIC_ACQUIRE))) return 0;
    *session = native_session(door->handle);
    if (LIKELY(*session != NULL)) return 1;
    if (native_is_closing(door->handle)) return 0;
    if (remember_session(door) < 0) return -1;
    *session = native_session(door->handle); /* a destructor or signal handler that ran just now may have closed it */
    return *session != NULL;
}
