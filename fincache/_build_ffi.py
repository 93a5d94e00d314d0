"""Writes the C source of the extension module `fincache._fincache` (cffi, API mode).

    python fincache/_build_ffi.py OUTPUT.c HEADER

HEADER is csrc/fincache_api.h. It carries no directives beyond plain `#define NAME number`, so cffi reads the very text that
C programs compile against: there is one copy of the declarations, and a change of the API that Python has not followed is an
error of the build, not of a running process. The statuses are not in it; `_core.py` reads them at run time (fc_status_at).

What is added here, and why:
  - `extern "Python"` callbacks for the functions that visit (names, sessions, keys).
  - `fcpy_get` and `fcpy_set`: fc_key_init and the operation in one crossing. A crossing costs 100-200 ns and the operation 20-50,
    so two crossings would double the price; and the key's bytes need to stay where they are for one call only, which cffi
    promises for an argument on every interpreter, PyPy included. Everything else prepares its key in a call of its own.
  - `fcpy_long_double`, because a Python float is a double, and INCRBYFLOAT by 0.1 means the decimal number 0.1. The locale is
    pinned: a host program that called setlocale() must not change what "0.1" is.

The build runs this as a script, before anything is importable, so it imports nothing of the package.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cffi import FFI

ADDED = """
extern "Python" int32_t fcpy_visit_name(void *context, const char *name);
extern "Python" int32_t fcpy_visit_session(void *context, const fc_session_info *info);
extern "Python" int32_t fcpy_visit_key(void *context, const void *key, uint32_t key_bytes, uint32_t type);

fc_status fcpy_get(const fc_cache *cache, fc_session *session, uint32_t database, const void *key, uint64_t key_bytes,
                   void *buffer, uint64_t buffer_bytes, uint64_t *value_bytes);
fc_status fcpy_set(const fc_cache *cache, fc_session *session, uint32_t database, const void *key, uint64_t key_bytes,
                   const void *value, uint64_t value_bytes, const fc_set_options *options, fc_set_result *result);
int fcpy_long_double(const char *text, long double *number);
"""

SOURCE = """
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fincache.h>
#include <locale.h>
#include <stdlib.h>

static fc_status fcpy_get(const fc_cache *cache, fc_session *session, uint32_t database, const void *key, uint64_t key_bytes,
                          void *buffer, uint64_t buffer_bytes, uint64_t *value_bytes)
{
    fc_key prepared;
    fc_status status = fc_key_init(cache, database, key, key_bytes, &prepared);
    return status != FC_OK ? status : fc_get(session, &prepared, buffer, buffer_bytes, value_bytes);
}

static fc_status fcpy_set(const fc_cache *cache, fc_session *session, uint32_t database, const void *key, uint64_t key_bytes,
                          const void *value, uint64_t value_bytes, const fc_set_options *options, fc_set_result *result)
{
    fc_key prepared;
    fc_status status = fc_key_init(cache, database, key, key_bytes, &prepared);
    return status != FC_OK ? status : fc_set(session, &prepared, value, value_bytes, options, result);
}

/* 0: *number is what text says, all of text. -1: text is no number, or there is no memory for the locale. */
static int fcpy_long_double(const char *text, long double *number)
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    char *end;
    if (plain == (locale_t)0)
        return -1;
    *number = strtold_l(text, &end, plain);
    freelocale(plain);
    return end != text && *end == 0 ? 0 : -1;
}
"""


def build(output: Path, header: Path) -> None:
    """Writes the C source of the extension to `output`, from the declarations in `header`."""
    builder = FFI()
    builder.cdef(header.read_text(encoding="utf-8"))
    builder.cdef(ADDED)
    builder.set_source("fincache._fincache", SOURCE)
    builder.emit_c_code(str(output))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python fincache/_build_ffi.py OUTPUT.c HEADER")
    build(Path(sys.argv[1]), Path(sys.argv[2]))
