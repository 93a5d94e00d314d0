"""Writes the C source of the extension module `fincache._fincache` (cffi, API mode).

    python fincache/_build_ffi.py OUTPUT.c HEADER ...

The first HEADER is csrc/fincache_api.h; then come those of commands and server. They carry no directives beyond plain
`#define NAME number`, so cffi reads the very text that C programs compile against: there is one copy of the declarations, and a
change of the API that Python has not followed is an error of the build, not of a running process. The statuses are not in them;
`_core` reads them at run time (fc_status_at).

The last, fincache/_bridge.h, likewise plain, has functions that make several calls of the C API in one crossing. A crossing costs
100-200 ns and a get 20-50, so that two crossings would double the price; and the bytes of a key that is an argument need to stay
where they are for one call only, which cffi promises on every interpreter, PyPy included.

What is added here: `extern "Python"` callbacks for the functions that visit (names, sessions, size classes).

The build runs this as a script, before anything is importable, so it imports nothing of the package.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cffi import FFI

CALLBACKS = """
extern "Python" int32_t fcpy_visit_name(void *context, const char *name);
extern "Python" int32_t fcpy_visit_session(void *context, const fc_session_info *info);
extern "Python" int32_t fcpy_visit_class(void *context, const fc_class_info *info);
"""

SOURCE = """
#include <server/server.h>
#include "_bridge.h"
"""


def build(output: Path, headers: list[Path]) -> None:
    """Writes the C source of the extension to `output`, from the declarations in `headers`."""
    builder = FFI()
    for header in headers:
        builder.cdef(header.read_text(encoding="utf-8"))
    builder.cdef(CALLBACKS)
    builder.set_source("fincache._fincache", SOURCE)
    builder.emit_c_code(str(output))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: python fincache/_build_ffi.py OUTPUT.c HEADER ...")
    build(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
