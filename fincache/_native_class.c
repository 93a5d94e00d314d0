/* _native_class.c -- classes of C that stand in front of Python ones: how they are made, and how their methods fall back. */
#include "_native.h"

#include <stddef.h>
#include <string.h>

/* ------------------------------------------------------------------ falling back */

#define FEW_ARGUMENTS 12

PyObject *native_fall_back(PyObject *self, int method, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    native_state *state = native_state_of(Py_TYPE(self));
    if (state == NULL) return NULL;
    if (state->fallbacks[method] == NULL) return PyErr_Format(PyExc_RuntimeError, "fincache is gone: the interpreter is shutting down");
    Py_ssize_t total = count + (kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0);
    PyObject *few[FEW_ARGUMENTS + 1], **all = few;
    if (total > FEW_ARGUMENTS && (all = PyMem_New(PyObject *, total + 1)) == NULL) return PyErr_NoMemory();
    all[0] = self;
    if (total > 0) memcpy(all + 1, args, (size_t)total * sizeof *all);
    PyObject *function = Py_NewRef(state->fallbacks[method]);
    PyObject *result = PyObject_Vectorcall(function, all, (size_t)count + 1, kwnames);
    Py_DECREF(function);
    if (all != few) PyMem_Free(all);
    return result;
}

/* ------------------------------------------------------------------ making a class */

/* Those that are methods, not slots; they come first. */
static size_t count_methods(const native_method *methods)
{
    size_t count = 0;
    while (methods[count].function != NULL) count++;
    return count;
}

static size_t count_defs(const PyMethodDef *defs)
{
    size_t count = 0;
    while (defs[count].ml_name != NULL) count++;
    return count;
}

/* documents[name] as a C string that nobody frees. */
static const char *document_of(PyObject *documents, const char *name)
{
    PyObject *document = PyMapping_GetItemString(documents, name);
    const char *text = document == NULL ? NULL : PyUnicode_AsUTF8(document);
    char *copy = text == NULL ? NULL : strdup(text);
    if (copy == NULL && !PyErr_Occurred()) PyErr_NoMemory();
    Py_XDECREF(document);
    return copy;
}

/* The methods with the documentation of their Python counterparts. The texts and the table are kept as long as the process lives, for
 * the class may be: some kilobytes, once. */
static PyMethodDef *document_methods(const native_class *class, PyObject *documents)
{
    size_t count = count_methods(class->methods), own_count = count_defs(class->own_methods);
    PyMethodDef *defs = PyMem_Calloc(count + own_count + 1, sizeof *defs);
    if (defs == NULL) return (PyMethodDef *)PyErr_NoMemory();
    for (size_t i = 0; i < count; i++) {
        defs[i].ml_name = class->methods[i].name;
        defs[i].ml_meth = (PyCFunction)(void (*)(void))class->methods[i].function;
        defs[i].ml_flags = METH_FASTCALL | METH_KEYWORDS;
        if ((defs[i].ml_doc = document_of(documents, defs[i].ml_name)) == NULL) {
            PyMem_Free(defs);
            return NULL;
        }
    }
    memcpy(defs + count, class->own_methods, own_count * sizeof *defs);
    return defs;
}

static int take_fallbacks(native_state *state, const native_class *class, PyObject *python_class)
{
    for (const native_method *method = class->methods; method->name != NULL; method++) {
        PyObject *function = PyObject_GetAttrString(python_class, method->name);
        if (function == NULL) return -1;
        Py_XSETREF(state->fallbacks[method->id], function);
    }
    return 0;
}

int native_make_class(PyObject *module, const native_class *class, PyObject *python_class, PyObject *documents, PyTypeObject **made)
{
    PyType_Slot slots[NATIVE_SLOTS_MAX + 2];
    int count = 0;
    if (*made != NULL) {
        PyErr_Format(PyExc_RuntimeError, "%s was made before", class->name);
        return -1;
    }
    PyMethodDef *defs = document_methods(class, documents);
    if (defs == NULL || take_fallbacks(PyModule_GetState(module), class, python_class) < 0) return -1;
    for (; class->slots[count].slot != 0; count++) slots[count] = class->slots[count];
    slots[count] = (PyType_Slot){Py_tp_methods, defs};
    slots[count + 1] = (PyType_Slot){0, NULL};
    PyType_Spec spec = {
        .name = class->name,
        .basicsize = class->basicsize,
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
        .slots = slots,
    };
    *made = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    return *made == NULL ? -1 : 0;
}

PyObject *native_method_names(const native_class *class)
{
    size_t count = count_methods(class->methods);
    PyObject *names = PyTuple_New((Py_ssize_t)count);
    for (size_t i = 0; names != NULL && i < count; i++) {
        PyObject *name = PyUnicode_FromString(class->methods[i].name);
        if (name == NULL) Py_CLEAR(names);
        else PyTuple_SET_ITEM(names, (Py_ssize_t)i, name);
    }
    return names;
}
