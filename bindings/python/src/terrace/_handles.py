"""C handles as Python objects that destroy themselves.

Every call into C gets the handle object itself, and the interpreter keeps the object alive while the call
runs. So the last reference is only dropped when no call uses the handle, and ``__del__`` is the only place
that destroys it: when one thread closes a database, it stays open until the calls of other threads have
returned. For the same reason, functions that raise do not keep handles in local variables: a traceback would
keep them alive.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from ctypes import byref, c_void_p
from typing import Any, Optional, Union

from ._errors import Error, error_of, take_string
from ._library import lib

#: The types of keys and values.
BytesLike = Union[bytes, bytearray, memoryview]


class Generation:
    """Counts forks: a lock that another thread held in the parent stays locked permanently in the child."""

    number = 0

    @classmethod
    def _forked(cls) -> None:
        cls.number += 1


os.register_at_fork(after_in_child=Generation._forked)

#: ``inside`` is above 0 on threads that run a comparator.
callbacks = threading.local()


def in_callback() -> bool:
    """Does this thread run a comparator?"""
    return getattr(callbacks, "inside", 0) > 0


class OwnedHandle(c_void_p):
    """A handle with the function that destroys it, and the objects that must live as long."""

    def __init__(self, address: Optional[int], destroy: Any, *kept: object) -> None:
        super().__init__(address)
        self._destroy = destroy
        self._kept = kept

    def __del__(self) -> None:
        destroy = getattr(self, "_destroy", None)
        if destroy is not None:
            destroy(self)


class SnapshotHandle(c_void_p):
    """A snapshot. Releasing it does not need the database."""

    _release = lib.leveldb_release_snapshot

    def __del__(self) -> None:
        self._release(None, self)


class FamilyHandle(OwnedHandle):
    """A column family of an open database. The handle may outlive the database and the drop of the family;
    it keeps the memory of both. `kept` must live as long: the comparators."""

    def __init__(
        self, address: int, name: str, comparator: Optional[Callable[[bytes, bytes], int]], kept: list[object]
    ) -> None:
        super().__init__(address, lib.terrace_column_family_handle_destroy, kept)
        self.name = name
        self.comparator = comparator
        self.id: int = lib.terrace_column_family_handle_get_id(self)


class Closing:
    """The result of closing a database, which `close` waits for."""

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
    """An open database, which is closed when the last call that uses it ends. `kept` is destroyed after
    it."""

    def __init__(self, address: int, kept: list[object]) -> None:
        super().__init__(address)
        self.closing = Closing()
        self.kept = kept

    def __del__(self) -> None:
        closing = getattr(self, "closing", None)
        address = self.value
        if closing is None or address is None:
            return
        if in_callback():
            # This runs in a comparator that collects garbage, perhaps on a thread of the library, which
            # closing joins. So another thread closes the database. It is not a daemon thread (a new thread
            # would inherit that from this one): the exit of the interpreter waits for it.
            arguments = (address, closing, self.kept)
            threading.Thread(target=_close, args=arguments, name="terrace-close", daemon=False).start()
        else:
            _close(address, closing, self.kept)


def bytes_of(value: Any, what: str) -> bytes:
    """A key or value as bytes, from any bytes-like object; TypeError for other objects, such as text and
    numbers."""
    if isinstance(value, bytes):
        return bytes(value)
    try:
        return memoryview(value).tobytes()
    except TypeError:
        raise TypeError(f"{what} must be a bytes-like object, not {type(value).__name__!r}") from None
