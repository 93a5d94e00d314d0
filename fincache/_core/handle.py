"""The pointer to a mapping, and who still needs it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from fincache._core.binding import native
from fincache._core.statuses import refusal
from fincache._errors import FinCacheError
from fincache._fincache import lib


class _PlainHandle:
    """Base of Handle where cffi is alone.

    Attributes:
        pointer: an fc_cache pointer.
        closing: True once somebody began to close; never False again.
    """

    closing = False

    def __init__(self, pointer: Any) -> None:
        self.pointer = pointer

    def forget(self) -> None:
        """The accelerator's: the calling thread's session on this handle is about to go."""


if TYPE_CHECKING:
    _HandleBase = _PlainHandle
else:
    _HandleBase = _PlainHandle if native is None else native.Handle


class Handle(_HandleBase):
    """An fc_cache pointer, and who still needs it (rule 1 of the module)."""

    def __init__(self, pointer: Any) -> None:
        super().__init__(pointer)
        self.epoch = 0  # forks since the pointer was made, in this line of processes
        self.pins: dict[object, int] = {}  # pin -> ident of the thread that holds it
        self._owned = [pointer]

    def pin(self) -> object:
        """Keeps the mapping until `unpin`. Raises Closed."""
        pin = object()
        self.pins[pin] = threading.get_ident()
        if self.closing:
            self.unpin(pin)
            raise closed()
        return pin

    def unpin(self, pin: object) -> None:
        """The counterpart of `pin`; the last one after `close` unmaps."""
        self.pins.pop(pin, None)
        if self.closing:
            self.release()

    def release(self) -> None:
        """Unmaps if nobody is left who needs the mapping."""
        if self.pins:
            return
        try:
            pointer = self._owned.pop()
        except IndexError:
            return  # somebody else was the last
        # FC_BUSY: a session was dropped by another thread than its own (a cache that was never closed, collected elsewhere). The
        # C library closes that session when its thread ends; the mapping stays until the process ends.
        lib.fc_cache_close(pointer)


def closed() -> FinCacheError:
    """The exception for use after close."""
    return refusal("CLOSED", "this fincache.Cache was closed")
