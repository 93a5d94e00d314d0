/* _native.c -- the extension module `fincache._native`. What it is for, and its rules: _native.h. */
#include "_native.h"

#include <stddef.h>

const fcpy_functions *native_engine;

/* ------------------------------------------------------------------ what the parts share */

native_state *native_state_of(PyTypeObject *type)
{
#if PY_VERSION_HEX >= 0x030B0000
    PyObject *module = PyType_GetModuleByDef(type, &native_module);
    return module == NULL ? NULL : PyModule_GetState(module);
#else
    PyObject *bases = type->tp_mro;
    for (Py_ssize_t i = 0; bases != NULL && i < PyTuple_GET_SIZE(bases); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(bases, i);
        if (!PyType_HasFeature(base, Py_TPFLAGS_HEAPTYPE)) continue;
        PyObject *module = PyType_GetModule(base);
        if (module == NULL) PyErr_Clear();
        else if (PyModule_GetDef(module) == &native_module) return PyModule_GetState(module);
    }
    PyErr_Format(PyExc_TypeError, "%.200s is no type of fincache._native", type->tp_name);
    return NULL;
#endif
}

PyObject *native_fail(native_state *state, fc_status status)
{
    if (state->failure == NULL) return PyErr_Format(PyExc_RuntimeError, "configure() was not called yet; status %d", (int)status);
    PyObject *exception = PyObject_CallFunction(state->failure, "i", (int)status);
    if (exception == NULL) return NULL;
    PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    Py_DECREF(exception);
    return NULL;
}

static int address_of(native_state *state, PyObject *cdata, void **address)
{
    PyObject *cast = PyObject_CallMethod(state->ffi, "cast", "sO", "uintptr_t", cdata);
    PyObject *number = cast == NULL ? NULL : PyNumber_Long(cast);
    Py_XDECREF(cast);
    if (number == NULL) return -1;
    *address = PyLong_AsVoidPtr(number);
    Py_DECREF(number);
    return *address == NULL && PyErr_Occurred() ? -1 : 0;
}

int native_address(native_state *state, PyObject *cdata, PyObject *type, void **address)
{
    PyObject *found = PyObject_CallMethod(state->ffi, "typeof", "O", cdata);
    if (found == NULL) return -1;
    int same = PyObject_RichCompareBool(found, type, Py_EQ);
    Py_DECREF(found);
    if (same < 0) return -1;
    if (same == 0) {
        PyErr_Format(PyExc_TypeError, "%R is not of %R", cdata, type);
        return -1;
    }
    return address_of(state, cdata, address);
}

/* ------------------------------------------------------------------ functions of the module */

PyDoc_STRVAR(configure_doc, "configure($module, /, failure, attachment, session)\n--\n\n"
                            "What the accelerator needs of fincache._core, which builds on it.\n\n"
                            "Args:\n"
                            "    failure: the exception of a status that the C library returned just now.\n"
                            "    attachment: class Attachment.\n"
                            "    session: class Session, instances of which Attachment.session() gives.\n");

static PyObject *configure(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"failure", "attachment", "session", NULL};
    native_state *state = PyModule_GetState(module);
    PyObject *failure, *attachment, *session;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO:configure", names, &failure, &attachment, &session)) return NULL;
    Py_XSETREF(state->failure, Py_NewRef(failure));
    Py_XSETREF(state->attachment_type, Py_NewRef(attachment));
    Py_XSETREF(state->session_type, Py_NewRef(session));
    Py_RETURN_NONE;
}

PyDoc_STRVAR(door_doc, "door($module, python_class, keyset, documents, /)\n--\n\n"
                       "Makes the base class whose methods stand in front of those of python_class. Once.\n\n"
                       "Args:\n"
                       "    python_class: the class to fall back on; its functions are looked up now.\n"
                       "    keyset: class KeySet; its `_keys` are Keys.\n"
                       "    documents: for each method, \"name($self, ...)\\n--\\n\\n\" and its docstring.\n");

PyDoc_STRVAR(record_door_doc, "record_door($module, python_class, documents, /)\n--\n\n"
                              "Makes the base class of fincache.records.Records, as `door` makes the one of Cache. Imports numpy.");

PyDoc_STRVAR(watch_doc, "watch($module, session, /)\n--\n\n"
                        "Has the engine release the GIL when a call of this module waits in a session, an fc_session pointer of cffi's\n"
                        "that the calling thread opened.");

static PyMethodDef functions[] = {
    {"configure", (PyCFunction)(void (*)(void))configure, METH_VARARGS | METH_KEYWORDS, configure_doc},
    {"door", (PyCFunction)native_make_door, METH_VARARGS, door_doc},
    {"record_door", (PyCFunction)native_make_record_door, METH_VARARGS, record_door_doc},
    {"watch", (PyCFunction)native_watch, METH_O, watch_doc},
    {NULL, NULL, 0, NULL},
};

/* ------------------------------------------------------------------ life */

static int take_engine(native_state *state, PyObject *binding)
{
    void *address;
    PyObject *lib = PyObject_GetAttrString(binding, "lib");
    PyObject *table = lib == NULL ? NULL : PyObject_CallMethod(lib, "fcpy_table", NULL);
    Py_XDECREF(lib);
    int failed = table == NULL || address_of(state, table, &address) < 0;
    Py_XDECREF(table);
    if (failed) return -1;
    if (((const fcpy_functions *)address)->table_bytes != sizeof(fcpy_functions)) {
        PyErr_SetString(PyExc_ImportError, "fincache._native and fincache._fincache are of different builds");
        return -1;
    }
    native_engine = address;
    return 0;
}

static int take_cffi(native_state *state)
{
    PyObject *binding = PyImport_ImportModule("fincache._fincache");
    if (binding == NULL) return -1;
    int failed = (state->ffi = PyObject_GetAttrString(binding, "ffi")) == NULL ||
                 (state->cache_pointer = PyObject_CallMethod(state->ffi, "typeof", "s", "fc_cache *")) == NULL ||
                 (state->session_pointer = PyObject_CallMethod(state->ffi, "typeof", "s", "fc_session *")) == NULL ||
                 take_engine(state, binding) < 0;
    Py_DECREF(binding);
    return failed ? -1 : 0;
}

static PyTypeObject *add_type(PyObject *module, PyType_Spec *spec)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    if (type != NULL && PyModule_AddType(module, type) < 0) Py_CLEAR(type);
    return type;
}

static int add_names(PyObject *module, const char *name, const native_class *class)
{
    PyObject *names = native_method_names(class);
    int failed = names == NULL || PyModule_AddObjectRef(module, name, names) < 0;
    Py_XDECREF(names);
    return failed ? -1 : 0;
}

static int native_exec(PyObject *module)
{
    native_state *state = PyModule_GetState(module);
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "fincache._native works in the main interpreter only");
        return -1;
    }
    if (take_cffi(state) < 0) return -1;
    if ((state->handle_type = add_type(module, &native_handle_spec)) == NULL) return -1;
    if ((state->keys_type = add_type(module, &native_keys_spec)) == NULL) return -1;
    if (add_names(module, "DOOR_METHODS", &native_door_class) < 0) return -1;
    return add_names(module, "RECORD_DOOR_METHODS", &native_record_door_class);
}

/* Everything the module holds: applied by traverse and clear. */
static int each_reference(native_state *state, int (*visit)(PyObject **reference, void *first, void *second), void *first, void *second)
{
    PyObject **references[] = {
        (PyObject **)&state->handle_type, (PyObject **)&state->keys_type, (PyObject **)&state->door_type, (PyObject **)&state->record_door_type, &state->keyset_type,
        &state->failure, &state->attachment_type, &state->session_type, &state->ffi, &state->cache_pointer, &state->session_pointer,
    };
    for (size_t i = 0; i < sizeof references / sizeof references[0]; i++) {
        int stopped = visit(references[i], first, second);
        if (stopped) return stopped;
    }
    for (int i = 0; i < NATIVE_METHOD_COUNT; i++) {
        int stopped = visit(&state->fallbacks[i], first, second);
        if (stopped) return stopped;
    }
    return 0;
}

static int visit_reference(PyObject **reference, void *visit, void *arg)
{
    return *reference == NULL ? 0 : (*(visitproc *)visit)(*reference, arg);
}

static int clear_reference(PyObject **reference, void *first, void *second)
{
    (void)first, (void)second;
    Py_CLEAR(*reference);
    return 0;
}

static int native_traverse(PyObject *module, visitproc visit, void *arg)
{
    native_state *state = PyModule_GetState(module);
    return state == NULL ? 0 : each_reference(state, visit_reference, &visit, arg);
}

static int native_clear(PyObject *module)
{
    native_state *state = PyModule_GetState(module);
    return state == NULL ? 0 : each_reference(state, clear_reference, NULL, NULL);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, native_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

PyDoc_STRVAR(module_doc, "The native accelerator: what a strategy calls in its inner loop, without cffi. See fincache._core.binding.");

struct PyModuleDef native_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "fincache._native",
    .m_doc = module_doc,
    .m_size = sizeof(native_state),
    .m_methods = functions,
    .m_slots = slots,
    .m_traverse = native_traverse,
    .m_clear = native_clear,
};

PyMODINIT_FUNC PyInit__native(void); /* Python.h declares it for nobody */
PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&native_module);
}
