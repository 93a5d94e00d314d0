/* _native_leaves.c -- records of plain numbers without nesting, between Python's numbers and bytes.
 *
 * The notation is that of Python's struct, which fincache._rows.Codec uses for the same job. Both must agree on every value, and the tests
 * compare them; what is not exactly an int or a float, or out of range, is left to the Codec, which stores it or says why not.
 */
#include "_native.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Byte order is little-endian on every machine that FinCache runs on. */
#define STORE(type, value) do { type stored = (type)(value); memcpy(to, &stored, sizeof stored); } while (0)

static int store_signed(char *to, char code, long long value)
{
    switch (code) {
    case 'b': if (value < INT8_MIN || value > INT8_MAX) return 0; STORE(int8_t, value); return 1;
    case 'B': if (value < 0 || value > UINT8_MAX) return 0; STORE(uint8_t, value); return 1;
    case 'h': if (value < INT16_MIN || value > INT16_MAX) return 0; STORE(int16_t, value); return 1;
    case 'H': if (value < 0 || value > UINT16_MAX) return 0; STORE(uint16_t, value); return 1;
    case 'i': if (value < INT32_MIN || value > INT32_MAX) return 0; STORE(int32_t, value); return 1;
    case 'I': if (value < 0 || value > UINT32_MAX) return 0; STORE(uint32_t, value); return 1;
    case 'q': STORE(int64_t, value); return 1;
    case 'Q': if (value < 0) return 0; STORE(uint64_t, value); return 1;
    default: return 0;
    }
}

static int store_double(char *to, char code, double value)
{
    if (code == 'd') {
        STORE(double, value);
        return 1;
    }
    float narrow = (float)value;
    if (isinf(narrow) && !isinf(value)) return 0;
    STORE(float, narrow);
    return 1;
}

int native_store_leaf(char *to, char code, PyObject *value)
{
    if (code == 'd' || code == 'f') {
        if (PyFloat_CheckExact(value)) return store_double(to, code, PyFloat_AS_DOUBLE(value));
        if (!PyLong_CheckExact(value)) return 0;
        double number = PyLong_AsDouble(value);
        if (number != -1.0 || !PyErr_Occurred()) return store_double(to, code, number);
        PyErr_Clear();
        return 0;
    }
    if (!PyLong_CheckExact(value)) return 0;
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow == 0) return store_signed(to, code, number);
    if (overflow < 0 || code != 'Q') return 0;
    unsigned long long large = PyLong_AsUnsignedLongLong(value);
    if (large == (unsigned long long)-1 && PyErr_Occurred()) {
        PyErr_Clear();
        return 0;
    }
    STORE(uint64_t, large);
    return 1;
}

#define LOAD(type) type value; memcpy(&value, from, sizeof value)

PyObject *native_load_leaf(const char *from, char code)
{
    switch (code) {
    case 'b': { LOAD(int8_t); return PyLong_FromLong(value); }
    case 'B': { LOAD(uint8_t); return PyLong_FromLong(value); }
    case 'h': { LOAD(int16_t); return PyLong_FromLong(value); }
    case 'H': { LOAD(uint16_t); return PyLong_FromLong(value); }
    case 'i': { LOAD(int32_t); return PyLong_FromLong(value); }
    case 'I': { LOAD(uint32_t); return PyLong_FromUnsignedLong(value); }
    case 'q': { LOAD(int64_t); return PyLong_FromLongLong(value); }
    case 'Q': { LOAD(uint64_t); return PyLong_FromUnsignedLongLong(value); }
    case 'f': { LOAD(float); return PyFloat_FromDouble((double)value); }
    default: { LOAD(double); return PyFloat_FromDouble(value); }
    }
}

static uint32_t leaf_bytes(char code)
{
    switch (code) {
    case 'b': case 'B': return 1;
    case 'h': case 'H': return 2;
    case 'i': case 'I': case 'f': return 4;
    case 'q': case 'Q': case 'd': return 8;
    default: return 0;
    }
}

uint32_t native_parse_leaves(const char *format, uint32_t row_bytes, native_leaf leaves[NATIVE_LEAVES_MAX])
{
    uint32_t count = 0, offset = 0;
    for (const char *at = format + (*format == '<'); *at != 0; at++) {
        char *end;
        unsigned long padding = strtoul(at, &end, 10);
        if (end != at) {
            if (*end != 'x' || padding > row_bytes) return 0;
            offset += (uint32_t)padding;
            at = end;
            continue;
        }
        if (leaf_bytes(*at) == 0 || count == NATIVE_LEAVES_MAX || offset > row_bytes) return 0;
        leaves[count++] = (native_leaf){.offset = offset, .code = *at};
        offset += leaf_bytes(*at);
    }
    return offset == row_bytes ? count : 0;
}
