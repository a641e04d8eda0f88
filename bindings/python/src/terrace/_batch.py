"""Write batches, built in Python in the representation of the WAL: writing one is one call into C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from ._errors import Error, ErrorCell, ErrorCode
from ._handles import BytesLike, OwnedHandle, bytes_of
from ._library import lib

if TYPE_CHECKING:
    from ._database import DB

_HEADER_BYTES = 12
_DELETE, _PUT = b"\x00", b"\x01"
_SHORT = [bytes([length]) for length in range(128)]


def _length(length: int) -> bytes:
    """A length as a varint: 7 bits per byte, lowest first."""
    if length < 128:
        return _SHORT[length]
    if length >> 32:
        error = Error(f"Invalid argument: a key or value of {length} bytes is too long: it must be shorter than 4 GiB")
        error.code = ErrorCode.INVALID_ARGUMENT
        raise error
    encoded = bytearray()
    while length >= 128:
        encoded.append(length & 127 | 128)
        length >>= 7
    encoded.append(length)
    return bytes(encoded)


class WriteBatch:
    """Puts and deletes that are written atomically; see `DB.write_batch`."""

    def __init__(self, db: DB, prefix: bytes, transaction: Any, sync: Any) -> None:
        db._check_open()
        self._db = db
        self._prefix = prefix
        self._transaction = bool(transaction)
        self._sync = bool(sync)
        # One element per entry: the length of the list is the number of entries at any moment, whichever
        # threads append.
        self._entries: list[bytes] = []

    def put(self, key: BytesLike, value: BytesLike) -> None:
        """Adds a put of a value at a key."""
        if self._db._handle is None:
            raise RuntimeError("Database is closed")
        if type(key) is not bytes:
            key = bytes_of(key, "key")
        if type(value) is not bytes:
            value = bytes_of(value, "value")
        if self._prefix:
            key = self._prefix + key
        self._entries.append(b"".join((_PUT, _length(len(key)), key, _length(len(value)), value)))

    def delete(self, key: BytesLike) -> None:
        """Adds the deletion of a key."""
        if self._db._handle is None:
            raise RuntimeError("Database is closed")
        if type(key) is not bytes:
            key = bytes_of(key, "key")
        key = self._prefix + key
        self._entries.append(b"".join((_DELETE, _length(len(key)), key)))

    def clear(self) -> None:
        """Empties the batch."""
        self._db._check_open()
        self._entries.clear()

    def write(self) -> None:
        """Writes the batch. The batch is not changed, and can be written again."""
        self._db._check_open()
        entries = self._entries.copy()
        rep = b"".join((bytes(8), len(entries).to_bytes(4, "little"), *entries))
        cell = ErrorCell()
        address = lib.terrace_writebatch_create_from(rep, len(rep), cell.ref)
        cell.check()
        self._db._write(OwnedHandle(address, lib.leveldb_writebatch_destroy), self._sync)

    def append(self, source: WriteBatch) -> None:
        """Appends the entries of another batch, with their prefixes."""
        if not isinstance(source, WriteBatch):
            raise TypeError(f"'source' must be a WriteBatch, not {type(source).__name__!r}")
        self._db._check_open()
        self._entries.extend(source._entries)

    def approximate_size(self) -> int:
        """Number of bytes that the batch takes in the WAL."""
        self._db._check_open()
        return _HEADER_BYTES + sum(map(len, self._entries))

    def __enter__(self) -> WriteBatch:
        self._db._check_open()
        return self

    def __exit__(self, exception_type: Optional[type[BaseException]], *exception: object) -> None:
        self._db._check_open()
        if not (self._transaction and exception_type is not None):
            self.write()
        self.clear()
