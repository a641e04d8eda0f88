"""Write batches, built in Python in the representation of the WAL: writing one is one call into C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, Union

from ._errors import Error, ErrorCell, invalid_argument
from ._handles import BytesLike, FamilyHandle, OwnedHandle, bytes_of
from ._library import lib

if TYPE_CHECKING:
    from ._database import DB
    from ._family import Family

_HEADER_BYTES = 12
# The tags of entries. Those for a column family are followed by its number.
_DELETE, _PUT, _DELETE_CF, _PUT_CF = b"\x00", b"\x01", b"\x04", b"\x05"
_SHORT = [bytes([length]) for length in range(128)]


def _length(length: int) -> bytes:
    """A length as a varint: 7 bits per byte, lowest first."""
    if length < 128:
        return _SHORT[length]
    if length >> 32:
        raise invalid_argument(f"a key or value of {length} bytes is too long: it must be shorter than 4 GiB")
    encoded = bytearray()
    while length >= 128:
        encoded.append(length & 127 | 128)
        length >>= 7
    encoded.append(length)
    return bytes(encoded)


def _heads(family: Optional[FamilyHandle]) -> tuple[bytes, bytes]:
    """What a put and a deletion in a column family begin with. The default family has the entries of
    LevelDB."""
    if family is None or family.id == 0:
        return _PUT, _DELETE
    number = _length(family.id)
    return _PUT_CF + number, _DELETE_CF + number


def foreign_family() -> Error:
    """The error for a column family of another database."""
    return invalid_argument("the column family is of another database")


class WriteBatch:
    """Puts and deletes that are written atomically; see `DB.write_batch`."""

    def __init__(
        self, db: DB, prefix: bytes, transaction: Any, sync: Any, family: Optional[FamilyHandle] = None
    ) -> None:
        db._check_open()
        self._db = db
        self._prefix = prefix
        self._put_head, self._delete_head = _heads(family)
        self._transaction = bool(transaction)
        self._sync = bool(sync)
        # One element per entry: the length of the list is the number of entries at any moment, whichever
        # threads append.
        self._entries: list[bytes] = []

    def put(self, key: BytesLike, value: BytesLike, *, family: Optional[Union[Family, str]] = None) -> None:
        """Adds a put of a value at a key: into the column family `family`, without the prefix of the batch, or
        where the batch belongs."""
        if self._db._handle is None:
            raise RuntimeError("Database is closed")
        if type(key) is not bytes:
            key = bytes_of(key, "key")
        if type(value) is not bytes:
            value = bytes_of(value, "value")
        head = self._put_head
        if family is not None:
            head = _heads(self._db._family_handle(family))[0]
        elif self._prefix:
            key = self._prefix + key
        self._entries.append(b"".join((head, _length(len(key)), key, _length(len(value)), value)))

    def delete(self, key: BytesLike, *, family: Optional[Union[Family, str]] = None) -> None:
        """Adds the deletion of a key; `family` as in `put`."""
        if self._db._handle is None:
            raise RuntimeError("Database is closed")
        if type(key) is not bytes:
            key = bytes_of(key, "key")
        head = self._delete_head
        if family is not None:
            head = _heads(self._db._family_handle(family))[1]
        elif self._prefix:
            key = self._prefix + key
        self._entries.append(b"".join((head, _length(len(key)), key)))

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
        """Appends the entries of another batch, with their prefixes and column families."""
        if not isinstance(source, WriteBatch):
            raise TypeError(f"'source' must be a WriteBatch, not {type(source).__name__!r}")
        self._db._check_open()
        entries = source._entries.copy()
        if source._db is not self._db and not all(entry.startswith((_PUT, _DELETE)) for entry in entries):
            raise foreign_family()
        self._entries.extend(entries)

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
