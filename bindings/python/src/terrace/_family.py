"""Column families of a database.

A `Family` is a database and a handle. The database keeps the handles of its families, not their `Family`
objects: these would keep it open.

Thread rule: any number of threads may use any object at the same time.
"""

from __future__ import annotations

import os
from ctypes import byref, c_char, c_size_t, c_void_p, string_at
from typing import TYPE_CHECKING, Any, Optional, TypeVar, Union, overload

from ._batch import WriteBatch
from ._errors import ErrorCell, error_of, last_error, take_string
from ._handles import BytesLike, FamilyHandle, OwnedHandle, bytes_of
from ._iterator import Iterator, RawIterator
from ._library import SIZES, hot, lib
from ._options import LATEST, SYNC
from ._ranges import Ranges, arrays_of_ranges, options_or_default

if TYPE_CHECKING:
    from ._database import DB, PrefixedDB, Snapshot

D = TypeVar("D")

_put = hot("terrace_put_cf")
_get = hot("terrace_get_cf")
_delete = hot("terrace_delete_cf")

DEFAULT_NAME = "default"

# `string_at` takes shorter lengths only.
_STRING_AT_LIMIT = 1 << 31


def name_bytes(name: Any) -> bytes:
    """The name of a column family as the library's bytes."""
    if not isinstance(name, str):
        raise TypeError(f"the name of a column family must be a string, not {type(name).__name__!r}")
    encoded = name.encode("utf-8", "surrogateescape")
    if b"\0" in encoded:
        raise ValueError("the name of a column family must not contain NUL")
    return encoded


def get_of(db: DB, family: FamilyHandle, options: Optional[OwnedHandle], key: bytes, default: Any) -> Any:
    """Reads a value of a column family."""
    length, cell = c_size_t(), c_void_p()
    address = _get(db._handle, options, family, key, SIZES[len(key)], byref(length), byref(cell))
    if address is not None:
        size = length.value
        try:
            return string_at(address, size) if size < _STRING_AT_LIMIT else (c_char * size).from_address(address).raw
        finally:
            lib.leveldb_free(address)
    if cell.value is not None:
        db._raise(error_of(take_string(cell.value) or b""))
    return default


class Family(Ranges):
    """A column family: a set of keys of its own in a database; see `DB.create_family` and `DB.family`.

    An object may outlive its database, and the drop of its family. After the database is closed, calls raise
    `RuntimeError`. A dropped family can be read, and writes to it raise `Error`.
    """

    def __init__(self, db: DB, handle: FamilyHandle) -> None:
        self._db = db
        self._handle = handle

    @property
    def db(self) -> DB:
        """The database."""
        return self._db

    @property
    def name(self) -> str:
        """The name of the family."""
        return self._handle.name

    @property
    def id(self) -> int:
        """The number of the family. The default family has 0; the number of a dropped family is never used
        again."""
        return self._handle.id

    @overload
    def get(
        self, key: BytesLike, default: None = None, *, verify_checksums: Any = ..., fill_cache: Any = ...
    ) -> Optional[bytes]: ...

    @overload
    def get(
        self, key: BytesLike, default: D, *, verify_checksums: Any = ..., fill_cache: Any = ...
    ) -> Union[bytes, D]: ...

    def get(self, key: BytesLike, default: Any = None, *, verify_checksums: Any = False, fill_cache: Any = True) -> Any:
        """As `DB.get`."""
        if type(key) is not bytes:
            key = bytes_of(key, "key")
        return get_of(self._db, self._handle, options_or_default(LATEST, verify_checksums, fill_cache), key, default)

    def put(self, key: BytesLike, value: BytesLike, *, sync: Any = False) -> None:
        """As `DB.put`."""
        if type(key) is not bytes:
            key = bytes_of(key, "key")
        if type(value) is not bytes:
            value = bytes_of(value, "value")
        cell = c_void_p()
        _put(
            self._db._handle,
            SYNC if sync else None,
            self._handle,
            key,
            SIZES[len(key)],
            value,
            SIZES[len(value)],
            byref(cell),
        )
        if cell.value is not None:
            self._db._raise(error_of(take_string(cell.value) or b""))

    def delete(self, key: BytesLike, *, sync: Any = False) -> None:
        """As `DB.delete`."""
        if type(key) is not bytes:
            key = bytes_of(key, "key")
        cell = c_void_p()
        _delete(self._db._handle, SYNC if sync else None, self._handle, key, SIZES[len(key)], byref(cell))
        if cell.value is not None:
            self._db._raise(error_of(take_string(cell.value) or b""))

    def write_batch(self, *, transaction: Any = False, sync: Any = False) -> WriteBatch:
        """As `DB.write_batch`, for entries of this family. With ``family=``, the batch takes entries of other
        families too."""
        return WriteBatch(self._db, b"", transaction, sync, self._handle)

    def raw_iterator(self, *, verify_checksums: Any = False, fill_cache: Any = True) -> RawIterator:
        """As `DB.raw_iterator`."""
        self._db._check_open("Database or iterator is closed")
        return RawIterator(self._db, options_or_default(LATEST, verify_checksums, fill_cache), self._handle)

    def snapshot(self) -> Snapshot:
        """As `DB.snapshot`, for this family. `Snapshot.family` is the same state of another family."""
        return self._db._snapshot(b"", self._handle)

    def prefixed_db(self, prefix: BytesLike) -> PrefixedDB:
        """The part of this family whose keys begin with `prefix`."""
        return self._db._prefixed_db(bytes_of(prefix, "'prefix'"), self)

    def get_property(self, name: BytesLike) -> Optional[bytes]:
        """As `DB.get_property`, of this family where a property is about a family. None for a dropped
        family."""
        name = bytes_of(name, "name")
        if b"\0" in name:
            return None
        value = take_string(lib.terrace_property_value_cf(self._db._handle, self._handle, name))
        self._db._check_open()
        return value

    def export_leveldb(self, directory: Union[str, bytes, os.PathLike[Any]]) -> None:
        """As `DB.export_leveldb`, of this family, also if it was dropped."""
        self._db._export(self._handle, directory)

    def compact_range(self, *, start: Optional[BytesLike] = None, stop: Optional[BytesLike] = None) -> None:
        """As `DB.compact_range`."""
        first = None if start is None else bytes_of(start, "'start'")
        last = None if stop is None else bytes_of(stop, "'stop'")
        # The C function reports a failure only as the last error of the thread. So an earlier error is removed
        # by a call that does nothing.
        cell = ErrorCell()
        lib.terrace_create_iterators(self._db._handle, None, None, None, 0, cell.ref)
        self._db._check(cell)
        lib.terrace_compact_range_cf(self._db._handle, self._handle, first, len(first or b""), last, len(last or b""))
        if lib.terrace_last_error_code():
            self._db._raise(last_error())

    def approximate_size(self, start: BytesLike, stop: BytesLike) -> int:
        """As `DB.approximate_size`."""
        return self.approximate_sizes((start, stop))[0]

    def approximate_sizes(self, *ranges: tuple[BytesLike, BytesLike]) -> list[int]:
        """As `DB.approximate_sizes`."""
        arrays = arrays_of_ranges(ranges)
        self._db._check_open()
        cell = ErrorCell()
        lib.terrace_approximate_sizes_cf(self._db._handle, self._handle, *arrays, cell.ref)
        self._db._check(cell)
        sizes: list[int] = arrays[-1][:]
        return sizes

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Family):
            return NotImplemented
        return self._db is other._db and self.id == other.id

    def __hash__(self) -> int:
        return hash((id(self._db), self.id))

    def __repr__(self) -> str:
        return f"<terrace.Family with name {self.name!r} and id {self.id} at {id(self):#x}>"

    def _iterator(self, verify_checksums: Any, fill_cache: Any, arguments: dict[str, Any]) -> Iterator[Any]:
        self._db._check_open("Database or iterator is closed")
        options = options_or_default(LATEST, verify_checksums, fill_cache)
        return Iterator(self._db, options, db_prefix=b"", family=self._handle, **arguments)
