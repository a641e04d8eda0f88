"""Exceptions, and the conversion of the library's errors to them."""

from __future__ import annotations

import builtins
import enum
import os
from ctypes import byref, c_void_p, string_at
from typing import Optional

from ._library import lib


class ErrorCode(enum.IntEnum):
    """The kind of a failure: ``terrace_error_t``. The numbers never change."""

    NOT_FOUND = 1
    CORRUPTION = 2
    NOT_SUPPORTED = 3
    INVALID_ARGUMENT = 4
    IO_ERROR = 5
    INTERNAL_ERROR = 6


class Error(Exception):
    """An error of the library. ``str()`` is the library's message, which names the file that it concerns."""

    #: The kind of the failure, if the library has reported it.
    code: Optional[ErrorCode] = None
    #: The system's error number that caused the failure, if there is one.
    errno: Optional[int] = None
    #: The file or directory that the failure concerns, if there is one.
    path: Optional[str] = None
    #: May the same call succeed later without a change in the program, for example after a full disk?
    retryable: bool = False


class IOError(Error, builtins.IOError):
    """The operating system refused an operation, or the database can no longer perform it."""


class CorruptionError(Error):
    """Stored bytes contradict the format or their checksum."""


class IteratorInvalidError(Error):
    """A raw iterator that stands on no entry was asked for an entry, or to move."""


_CLASSES: dict[str, tuple[type[Error], ErrorCode]] = {
    "NotFound": (Error, ErrorCode.NOT_FOUND),
    "Corruption": (CorruptionError, ErrorCode.CORRUPTION),
    "Not implemented": (Error, ErrorCode.NOT_SUPPORTED),
    "Invalid argument": (Error, ErrorCode.INVALID_ARGUMENT),
    "IO error": (IOError, ErrorCode.IO_ERROR),
}


def take_string(address: Optional[int]) -> Optional[bytes]:
    """Copies a malloc()ed, NUL-terminated string, and frees it."""
    if not address:
        return None
    text = string_at(address)
    lib.leveldb_free(address)
    return text


def error_of(message: bytes) -> Error:
    """The exception for a message. Code, error number and path are added if the thread's last error still has
    the same message: a Python finalizer may have called the library since."""
    text = message.decode("utf-8", "surrogateescape")
    error_class, code = _CLASSES.get(text.partition(": ")[0], (Error, None))
    error = error_class(text)
    error.code = code
    if take_string(lib.terrace_last_error_message()) == message:
        error.code = ErrorCode(lib.terrace_last_error_code() or ErrorCode.IO_ERROR)
        error.errno = lib.terrace_last_error_errno() or None
        error.retryable = bool(lib.terrace_last_error_retryable())
        path = take_string(lib.terrace_last_error_path())
        error.path = os.fsdecode(path) if path is not None else None
    return error


def invalid_argument(message: str) -> Error:
    """An error that this package finds itself, in the form of the library's."""
    error = Error(f"Invalid argument: {message}")
    error.code = ErrorCode.INVALID_ARGUMENT
    return error


def last_error() -> Error:
    """The error of a failed call without an errptr. (A Python finalizer that ran since may have replaced
    it.)"""
    message = take_string(lib.terrace_last_error_message())
    return error_of(message if message is not None else b"IO error: the call failed, and the reason got lost")


class ErrorCell:
    """An ``errptr``, for calls that are not performance-critical."""

    def __init__(self) -> None:
        self._cell = c_void_p()
        self.ref = byref(self._cell)

    def take(self) -> Optional[Error]:
        """The error of the call; None if the call succeeded."""
        if self._cell.value is None:
            return None
        message = take_string(self._cell.value)
        self._cell.value = None
        assert message is not None
        return error_of(message)

    def check(self) -> None:
        """Raises the error of the call, if it failed."""
        error = self.take()
        if error is not None:
            raise error
