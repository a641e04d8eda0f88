"""Handles of C as Python objects that destroy themselves.

Whoever calls C passes the handle object itself, and the interpreter keeps it alive while the call runs. So the last reference
can only go when no call uses the handle, and ``__del__`` is the one place that destroys it: closing a database in one thread
while others read it never pulls it out from under them. For the same reason handles are not kept in local variables of
functions that raise: a traceback would keep them.
"""

from __future__ import annotations

import os
import threading
from ctypes import byref, c_void_p
from typing import Any, Optional, Union

from ._errors import Error, error_of, take_string
from ._library import lib

#: What keys and values may be.
BytesLike = Union[bytes, bytearray, memoryview]


class Generation:
    """Counts forks: locks that other threads held in the parent stay locked for ever in a child."""

    number = 0

    @classmethod
    def _forked(cls) -> None:
        cls.number += 1


os.register_at_fork(after_in_child=Generation._forked)

#: ``inside`` is set on threads that are in a comparator.
callbacks = threading.local()


def in_callback() -> bool:
    """Does this thread run a comparator?"""
    return getattr(callbacks, "inside", 0) > 0


class OwnedHandle(c_void_p):
    """A handle with the function that destroys it, and what must live as long."""

    def __init__(self, address: Optional[int], destroy: Any, *kept: object) -> None:
        super().__init__(address)
        self._destroy = destroy
        self._kept = kept

    def __del__(self) -> None:
        destroy = getattr(self, "_destroy", None)
        if destroy is not None:
            destroy(self)


class SnapshotHandle(c_void_p):
    """A snapshot. Releasing it does not look at the database."""

    _release = lib.leveldb_release_snapshot

    def __del__(self) -> None:
        self._release(None, self)


class Closing:
    """The end of a database, as whoever closes it awaits it."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.error: Optional[Error] = None


def _close(address: int, closing: Closing, kept: list[object], close: Any = lib.terrace_close) -> None:
    cell = c_void_p()
    close(address, byref(cell))
    kept.clear()
    message = take_string(cell.value)
    if message is not None:
        closing.error = error_of(message)
    closing.done.set()


class DatabaseHandle(c_void_p):
    """An open database, which closes when the last call that uses it ends. `kept` is destroyed after it."""

    def __init__(self, address: int, kept: list[object]) -> None:
        super().__init__(address)
        self.closing = Closing()
        self._kept = kept

    def __del__(self) -> None:
        closing = getattr(self, "closing", None)
        address = self.value
        if closing is None or address is None:
            return
        if in_callback():
            # Closing joins the threads of the database, of which this may be one: a comparator, in which objects are collected.
            # Not a daemon, as this thread is taken for: the interpreter's end waits for it.
            arguments = (address, closing, self._kept)
            threading.Thread(target=_close, args=arguments, name="terrace-close", daemon=False).start()
        else:
            _close(address, closing, self._kept)


def bytes_of(value: Any, what: str) -> bytes:
    """A key or value as bytes, whatever bytes-like object it is; TypeError for others, text and numbers among them."""
    if isinstance(value, bytes):
        return bytes(value)
    try:
        return memoryview(value).tobytes()
    except TypeError:
        raise TypeError(f"{what} must be a bytes-like object, not {type(value).__name__!r}") from None
