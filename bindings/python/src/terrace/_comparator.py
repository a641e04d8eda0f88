"""Orders of keys written in Python.

The library compares on the thread that calls it and, for compactions, on threads of its own. An exception in
a comparator ends the comparison without a result. The call that needed the comparison fails, and so do all
writes until the database is opened again, because a guessed order would get into the files. On a Python
thread, the exception becomes the cause of the exception that the call raises. On a thread of the library, it
is reported through `sys.unraisablehook`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from ctypes import c_char_p, c_void_p, cast, string_at
from typing import Any, NoReturn, Optional

from ._errors import Error
from ._handles import OwnedHandle, callbacks
from ._library import COMPARE, NAME, lib

#: The exceptions of comparators on Python threads, by thread, until the failed call raises.
_raised: dict[int, BaseException] = {}

_MESSAGE = "IO error: the comparator failed: "


def create_comparator(name: bytes, function: Callable[[bytes, bytes], int]) -> OwnedHandle:
    """The handle of an order. It keeps the callbacks alive."""
    if b"\0" in name:
        raise ValueError("'comparator_name' must not contain NUL")

    def compare(_state: Optional[int], a: Optional[int], a_length: int, b: Optional[int], b_length: int) -> int:
        callbacks.inside = getattr(callbacks, "inside", 0) + 1
        try:
            order: Any = function(string_at(a or 0, a_length), string_at(b or 0, b_length))
            return 1 if order > 0 else -1 if order < 0 else 0
        except BaseException as error:
            lib.terrace_comparator_fail(f"{type(error).__name__}: {error}".replace("\0", "").encode("utf-8", "replace"))
            if threading.get_ident() not in {thread.ident for thread in threading.enumerate()}:
                raise  # a thread of the library: ctypes passes the exception to sys.unraisablehook
            _raised[threading.get_ident()] = error
            return 0
        finally:
            callbacks.inside -= 1

    text = c_char_p(name)
    kept = (COMPARE(compare), NAME(lambda _state: cast(text, c_void_p).value), text)
    handle = lib.leveldb_comparator_create(None, None, kept[0], kept[1])
    return OwnedHandle(handle, lib.leveldb_comparator_destroy, *kept)


def raise_with_cause(error: Error) -> NoReturn:
    """Raises the error of a call, with the exception of the comparator as its cause. KeyboardInterrupt and
    SystemExit are raised unchanged."""
    cause = _raised.pop(threading.get_ident(), None)
    if cause is None or not str(error).startswith(_MESSAGE):
        raise error
    if isinstance(cause, Exception):
        raise error from cause
    raise cause from error
