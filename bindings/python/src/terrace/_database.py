"""Databases, parts of databases under a prefix, snapshots.

Thread rule: any number of threads may use any object at the same time. `close` waits for running calls.
"""

from __future__ import annotations

import atexit
import contextlib
import datetime
import enum
import os
import weakref
from collections.abc import Iterable, Mapping, Sequence, Set
from copy import copy
from ctypes import byref, c_char, c_char_p, c_size_t, c_void_p
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, Optional, TypeVar, Union, overload

from ._batch import WriteBatch, foreign_family
from ._comparator import raise_with_cause
from ._errors import Error, ErrorCell, ErrorCode, error_of, invalid_argument, last_error, take_string
from ._family import DEFAULT_NAME, Family, get_of, name_bytes
from ._handles import (
    BytesLike,
    DatabaseHandle,
    FamilyHandle,
    Generation,
    OwnedHandle,
    SnapshotHandle,
    bytes_of,
    in_callback,
)
from ._iterator import BaseIterator, Iterator, RawIterator
from ._library import SIZES, hot, lib
from ._options import (
    LATEST,
    SYNC,
    TERRACE_OPTIONS,
    Comparator,
    FamilyOptions,
    OpenOptions,
    ReadOptions,
    family_options,
    language_number,
)
from ._ranges import Ranges, arrays_of_ranges, options_or_default

D = TypeVar("D")

Name = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]

#: Column families by name, with their options or with the default ones.
Families = Union[Mapping[str, FamilyOptions], Sequence[str], Set[str]]

_put = hot("leveldb_put")
_get_into = hot("terrace_get_into")
_delete = hot("leveldb_delete")

# The size of the buffer that a get passes to the library, in bytes. A longer value is read again, with a
# larger buffer.
_USUAL = 512
_UsualBuffer = c_char * _USUAL
_USUAL_SIZE = c_size_t(_USUAL)
_MISSING = c_size_t(-1).value
_FAILED = c_size_t(-2).value


class Severity(enum.IntEnum):
    """What has stopped, and what cures it: ``terrace_severity_t``."""

    RETRYING = 1
    WRITES_REFUSED = 2
    UNTIL_REOPENED = 3


@dataclass(frozen=True)
class BackgroundError:
    """Why background work or writes have stopped; see `DB.background_error`."""

    message: str
    code: ErrorCode
    severity: Severity
    errno: Optional[int]
    path: Optional[str]
    since: datetime.datetime


def _path(name: Any) -> bytes:
    """A path as the bytes of the file system."""
    encoded = os.fsencode(name)
    if b"\0" in encoded:
        raise ValueError("'name' must not contain NUL")
    return encoded


def _named_options(families: Any) -> dict[str, OpenOptions]:
    """The options of the column families that an open names."""
    if isinstance(families, (str, bytes)):
        raise TypeError("'families' must be a mapping or a collection of names")
    named = dict(families) if isinstance(families, Mapping) else dict.fromkeys(families)
    return {name: family_options(options or {}) for name, options in named.items()}


def _open_families(
    options: OpenOptions, path: bytes, named: dict[str, OpenOptions], cell: ErrorCell
) -> tuple[Optional[int], list[Optional[int]]]:
    """Opens a database with its column families. Returns the address of the database and those of the
    families."""
    count = len(named)
    names = (c_char_p * count)(*map(name_bytes, named))
    of_families = (c_void_p * count)(*(of_family.handle for of_family in named.values()))
    made = (c_void_p * count)()
    address = lib.terrace_open_column_families(options.handle, path, count, names, of_families, made, cell.ref)
    return address, made[:]


def _get(database: DB, options: Optional[OwnedHandle], key: bytes, default: Any) -> Any:
    """Reads a value of any length."""
    room = _USUAL
    while True:
        buffer = (c_char * room)()
        length = _get_into(database._handle, options, key, SIZES[len(key)], buffer, c_size_t(room), None)
        if length <= room:
            return buffer[:length]
        if length == _MISSING:
            return default
        if length == _FAILED:
            database._raise(last_error())
        room = length


class DB(Ranges):
    """A database.

    The arguments are those of plyvel, and those of ``terrace_options_set_*`` in `terrace.h`, under the same
    names. None means the library's default.

    A database with column families beside the default one is opened with `families`, which names all of them,
    with the options of each (`FamilyOptions`) or without: `list_families` has the names. The options of the
    default family are those of the database, unless `families` names it. `create_missing_families` creates
    those that do not exist. `language` is "leveldb" if the directory must stay LevelDB's, which excludes
    column families; "may_switch", the default; or "rocksdb" for a new directory in RocksDB's language.
    """

    _handle: Optional[DatabaseHandle]

    def __init__(
        self,
        name: Name,
        *,
        create_if_missing: bool = False,
        error_if_exists: bool = False,
        paranoid_checks: Optional[bool] = None,
        write_buffer_size: Optional[int] = None,
        max_open_files: Optional[int] = None,
        lru_cache_size: Optional[int] = None,
        block_size: Optional[int] = None,
        block_restart_interval: Optional[int] = None,
        max_file_size: Optional[int] = None,
        compression: Optional[str] = "snappy",
        compression_level: Optional[int] = None,
        bloom_filter_bits: int = 0,
        comparator: Optional[Comparator] = None,
        comparator_name: Optional[bytes] = None,
        reuse_logs: Optional[bool] = None,
        seek_compaction: Optional[bool] = None,
        idle_compaction: Optional[bool] = None,
        whole_table_filter: Optional[bool] = None,
        table_metadata_budget: Optional[int] = None,
        max_write_buffer_number: Optional[int] = None,
        level0_file_num_compaction_trigger: Optional[int] = None,
        level0_slowdown_writes_trigger: Optional[int] = None,
        level0_stop_writes_trigger: Optional[int] = None,
        max_bytes_for_level_base: Optional[int] = None,
        max_background_compactions: Optional[int] = None,
        max_subcompactions: Optional[int] = None,
        mmap_reads: Optional[bool] = None,
        mmap_wal: Optional[bool] = None,
        families: Optional[Families] = None,
        create_missing_families: Optional[bool] = None,
        language: Optional[str] = None,
        max_total_wal_size: Optional[int] = None,
    ) -> None:
        arguments = dict(locals())
        arguments["create_missing_column_families"] = create_missing_families
        arguments["language"] = language_number(language)
        self._handle = None
        self._name = name
        path = _path(name)
        options = OpenOptions(
            compression=compression,
            compression_level=compression_level,
            lru_cache_size=lru_cache_size,
            bloom_filter_bits=bloom_filter_bits,
            comparator=comparator,
            comparator_name=comparator_name,
            numbers={option: arguments[option] for option in (*_LEVELDB_NUMBERS, *TERRACE_OPTIONS)},
        )
        named = {} if families is None else _named_options(families)
        of_default = named.get(DEFAULT_NAME, options)
        self._comparator = of_default.comparator
        self._generation = Generation.number
        self._iterators: dict[int, weakref.ref[BaseIterator]] = {}
        # The families that were opened, created or asked for, by number, without those that were dropped.
        self._families: dict[int, FamilyHandle] = {}
        # Keeps the callbacks alive until the database, its iterators and its families are gone.
        self._kept = list(options.kept)
        for of_family in named.values():
            self._kept += of_family.kept
        cell = ErrorCell()
        made: list[Optional[int]] = []
        if families is None:
            address = lib.leveldb_open(options.handle, path, cell.ref)
        else:
            address, made = _open_families(options, path, named, cell)
        error = cell.take()
        if error is not None:
            raise_with_cause(error)
        self._handle = DatabaseHandle(address, list(self._kept))
        for address, (family, of_family) in zip(made, named.items()):
            self._add_family(address, family, of_family.comparator)
        _open.add(self)

    @property
    def name(self) -> Name:
        """The name with which the database was opened."""
        return self._name

    @property
    def closed(self) -> bool:
        """Is the database closed?"""
        return self._handle is None

    def close(self) -> None:
        """Closes the database and its iterators, and waits for running calls. Closing it again does nothing.

        Later calls raise `RuntimeError`.
        """
        if in_callback():
            raise RuntimeError("a comparator must not use the database")
        self._close(None)

    def _close(self, timeout: Optional[float]) -> None:
        if self._handle is None:
            return
        closing = self._handle.closing
        self._handle = None
        self._kept = []
        self._families = {}
        if self._generation != Generation.number:
            return  # the database belongs to the parent process: only the reference is dropped
        while self._iterators:
            try:
                iterator = self._iterators.popitem()[1]()
            except KeyError:
                break
            if iterator is not None:
                iterator.close()
        closing.done.wait(timeout)
        if closing.error is not None:
            error, closing.error = closing.error, None
            raise error

    @overload
    def get(
        self, key: BytesLike, default: None = None, *, verify_checksums: Any = ..., fill_cache: Any = ...
    ) -> Optional[bytes]: ...

    @overload
    def get(
        self, key: BytesLike, default: D, *, verify_checksums: Any = ..., fill_cache: Any = ...
    ) -> Union[bytes, D]: ...

    def get(self, key: BytesLike, default: Any = None, *, verify_checksums: Any = False, fill_cache: Any = True) -> Any:
        """The value of a key; `default` if the key is absent."""
        if type(key) is not bytes:
            key = bytes_of(key, "key")
        options = LATEST.get(verify_checksums, fill_cache) if verify_checksums or not fill_cache else None
        buffer = _UsualBuffer()
        length = _get_into(self._handle, options, key, SIZES[len(key)], buffer, _USUAL_SIZE, None)
        if length <= _USUAL:
            return buffer[:length]
        if length == _MISSING:
            return default
        if length == _FAILED:
            self._raise(last_error())
        return _get(self, options, key, default)

    def put(self, key: BytesLike, value: BytesLike, *, sync: Any = False) -> None:
        """Sets a key to a value. With `sync`, this and every earlier write are durable when the call
        returns."""
        if type(key) is not bytes:
            key = bytes_of(key, "key")
        if type(value) is not bytes:
            value = bytes_of(value, "value")
        cell = c_void_p()
        _put(self._handle, SYNC if sync else None, key, SIZES[len(key)], value, SIZES[len(value)], byref(cell))
        if cell.value is not None:
            self._raise(error_of(take_string(cell.value) or b""))

    def delete(self, key: BytesLike, *, sync: Any = False) -> None:
        """Deletes a key. Deleting an absent key succeeds."""
        if type(key) is not bytes:
            key = bytes_of(key, "key")
        cell = c_void_p()
        _delete(self._handle, SYNC if sync else None, key, SIZES[len(key)], byref(cell))
        if cell.value is not None:
            self._raise(error_of(take_string(cell.value) or b""))

    def write_batch(self, *, transaction: Any = False, sync: Any = False) -> WriteBatch:
        """Creates an empty batch. As a context manager, it is written at the end of the block; with
        `transaction`, only if the block ends without an exception."""
        return WriteBatch(self, b"", transaction, sync)

    def raw_iterator(self, *, verify_checksums: Any = False, fill_cache: Any = True) -> RawIterator:
        """Creates an iterator with the operations of the C iterator."""
        self._check_open("Database or iterator is closed")
        return RawIterator(self, options_or_default(LATEST, verify_checksums, fill_cache))

    def snapshot(self) -> Snapshot:
        """Creates a snapshot: keeps the current state of the database readable."""
        return Snapshot(db=self)

    def prefixed_db(self, prefix: BytesLike) -> PrefixedDB:
        """The part of the database whose keys begin with `prefix`, as a database whose keys lack the
        prefix."""
        return PrefixedDB(db=self, prefix=prefix)

    def create_family(
        self,
        name: str,
        *,
        write_buffer_size: Optional[int] = None,
        lru_cache_size: Optional[int] = None,
        block_size: Optional[int] = None,
        block_restart_interval: Optional[int] = None,
        max_file_size: Optional[int] = None,
        compression: Optional[str] = "snappy",
        compression_level: Optional[int] = None,
        bloom_filter_bits: int = 0,
        comparator: Optional[Comparator] = None,
        comparator_name: Optional[bytes] = None,
        seek_compaction: Optional[bool] = None,
        idle_compaction: Optional[bool] = None,
        whole_table_filter: Optional[bool] = None,
        max_write_buffer_number: Optional[int] = None,
        level0_file_num_compaction_trigger: Optional[int] = None,
        level0_slowdown_writes_trigger: Optional[int] = None,
        level0_stop_writes_trigger: Optional[int] = None,
        max_bytes_for_level_base: Optional[int] = None,
    ) -> Family:
        """Creates a column family, durably. The options are those of `FamilyOptions`.

        The first family switches the directory to RocksDB's language for good: LevelDB cannot open it any
        more, RocksDB can. From then on it is opened with `families`.
        """
        arguments = dict(locals())
        encoded = name_bytes(name)
        options = family_options({option: arguments[option] for option in FamilyOptions.__annotations__})
        handle = self._create_family(encoded, name, options)
        return Family(self, handle)

    def family(self, name: str) -> Family:
        """The column family with this name. ``"default"`` is the one that `get` and `put` of the database
        use."""
        return Family(self, self._family_handle(name))

    def families(self) -> list[str]:
        """The names of the column families: the default one first, then in the order of their creation."""
        self._check_open()
        others = sorted((number, handle.name) for number, handle in list(self._families.items()) if number)
        return [DEFAULT_NAME, *(name for _, name in others)]

    def drop_family(self, family: Union[Family, str]) -> None:
        """Drops a column family, durably, with all its entries. Objects and iterators of it can still be read,
        and keep its files on disk; writes to it raise `Error`. The default family cannot be dropped."""
        handle = self._family_handle(family)
        cell = ErrorCell()
        lib.terrace_drop_column_family(self._handle, handle, cell.ref)
        self._check(cell)
        self._families.pop(handle.id, None)

    def export_leveldb(self, directory: Union[str, bytes, os.PathLike[Any]]) -> None:
        """Writes the contents of the default family, as they are at one moment of this call, to a new LevelDB
        database in `directory`, which is created if it is missing and must have no file of a database.
        `Family.export_leveldb` does so for another family.

        After a crash the new database is there whole, or the directory has no file CURRENT. After an error
        everything that was made is removed again.
        """
        self._export(None, directory)

    def import_leveldb(self, name: str, directory: Union[str, bytes, os.PathLike[Any]]) -> Family:
        """Creates a column family with the contents of the database in `directory`, durably, and with the
        options of the default family.

        LevelDB, plyvel or this module has written that database; it has only the default family, has the
        comparator of this database, and is not open. Nothing in it changes but the file LOCK. The first family
        switches the directory of this database, see `create_family`. After a crash the family is there whole
        or not at all. Every snapshot shows it, also an older one.
        """
        encoded, cell = name_bytes(name), ErrorCell()
        address = lib.terrace_import_leveldb(self._handle, encoded, _path(directory), cell.ref)
        self._check(cell)
        return Family(self, self._add_family(address, name, self._comparator))

    @overload
    def iterators(
        self,
        families: Iterable[Union[Family, str]],
        *,
        reverse: bool = ...,
        start: Optional[BytesLike] = ...,
        stop: Optional[BytesLike] = ...,
        include_start: bool = ...,
        include_stop: bool = ...,
        prefix: Optional[BytesLike] = ...,
        include_key: Literal[True] = ...,
        include_value: Literal[True] = ...,
        verify_checksums: bool = ...,
        fill_cache: bool = ...,
    ) -> list[Iterator[tuple[bytes, bytes]]]: ...

    @overload
    def iterators(
        self,
        families: Iterable[Union[Family, str]],
        *,
        reverse: bool = ...,
        start: Optional[BytesLike] = ...,
        stop: Optional[BytesLike] = ...,
        include_start: bool = ...,
        include_stop: bool = ...,
        prefix: Optional[BytesLike] = ...,
        include_key: Literal[True] = ...,
        include_value: Literal[False],
        verify_checksums: bool = ...,
        fill_cache: bool = ...,
    ) -> list[Iterator[bytes]]: ...

    @overload
    def iterators(
        self,
        families: Iterable[Union[Family, str]],
        *,
        reverse: bool = ...,
        start: Optional[BytesLike] = ...,
        stop: Optional[BytesLike] = ...,
        include_start: bool = ...,
        include_stop: bool = ...,
        prefix: Optional[BytesLike] = ...,
        include_key: Literal[False],
        include_value: Literal[True] = ...,
        verify_checksums: bool = ...,
        fill_cache: bool = ...,
    ) -> list[Iterator[bytes]]: ...

    @overload
    def iterators(
        self,
        families: Iterable[Union[Family, str]],
        *,
        reverse: bool = ...,
        start: Optional[BytesLike] = ...,
        stop: Optional[BytesLike] = ...,
        include_start: bool = ...,
        include_stop: bool = ...,
        prefix: Optional[BytesLike] = ...,
        include_key: bool = ...,
        include_value: bool = ...,
        verify_checksums: bool = ...,
        fill_cache: bool = ...,
    ) -> list[Iterator[Any]]: ...

    def iterators(
        self,
        families: Iterable[Union[Family, str]],
        *,
        reverse: Any = False,
        start: Optional[BytesLike] = None,
        stop: Optional[BytesLike] = None,
        include_start: Any = True,
        include_stop: Any = False,
        prefix: Optional[BytesLike] = None,
        include_key: Any = True,
        include_value: Any = True,
        verify_checksums: Any = False,
        fill_cache: Any = True,
    ) -> list[Iterator[Any]]:
        """Creates an iterator over each of several column families, all at one state of the database: of a
        batch over several families they show everything or nothing. The other arguments are those of
        `iterator`."""
        arguments = {
            "reverse": reverse,
            "start": start,
            "stop": stop,
            "include_start": include_start,
            "include_stop": include_stop,
            "prefix": prefix,
            "include_key": include_key,
            "include_value": include_value,
        }
        self._check_open("Database or iterator is closed")
        if isinstance(families, str):
            raise TypeError("'families' must be several families or names")
        handles = [self._family_handle(family) for family in families]
        made = self._make_iterators(handles, options_or_default(LATEST, verify_checksums, fill_cache))
        return [
            Iterator(self, None, db_prefix=b"", family=family, made=iterator, **arguments)
            for family, iterator in zip(handles, made)
        ]

    def get_property(self, name: BytesLike) -> Optional[bytes]:
        """A property, for example ``b"leveldb.stats"``; None for an unknown name."""
        name = bytes_of(name, "name")
        if b"\0" in name:
            return None
        value = take_string(lib.leveldb_property_value(self._handle, name))
        self._check_open()
        return value

    def compact_range(self, *, start: Optional[BytesLike] = None, stop: Optional[BytesLike] = None) -> None:
        """Compacts the tables of a range, and returns when this is done. None is no bound."""
        first = None if start is None else bytes_of(start, "'start'")
        last = None if stop is None else bytes_of(stop, "'stop'")
        cell = ErrorCell()
        lib.terrace_compact_range(self._handle, first, len(first or b""), last, len(last or b""), cell.ref)
        self._check(cell)

    def approximate_size(self, start: BytesLike, stop: BytesLike) -> int:
        """About how many bytes the keys from `start` (included) to `stop` (excluded) take; see
        `approximate_sizes`."""
        return self.approximate_sizes((start, stop))[0]

    def approximate_sizes(self, *ranges: tuple[BytesLike, BytesLike]) -> list[int]:
        """About how many bytes the ranges take in table files and in memtables that wait for a flush. The
        active memtable (less than `write_buffer_size` bytes) is not counted."""
        arrays = arrays_of_ranges(ranges)
        self._check_open()
        lib.leveldb_approximate_sizes(self._handle, *arrays)
        self._check_open()
        sizes: list[int] = arrays[-1][:]
        return sizes

    def flush(self) -> None:
        """Writes all memtables to tables, and returns when this is done."""
        cell = ErrorCell()
        lib.terrace_flush(self._handle, cell.ref)
        self._check(cell)

    def upgrade_tables(self) -> None:
        """Upgrades all tables that are in LevelDB's language, which RocksDB from version 11 on does not read,
        and returns when this is done. The database also does so by itself when there is nothing else to do;
        the property `terrace.tables-to-upgrade` tells how many are left. Fails with INVALID_ARGUMENT if
        the directory is in LevelDB's language. A damaged table stays as it is, and the error names it."""
        cell = ErrorCell()
        lib.terrace_upgrade_tables(self._handle, cell.ref)
        self._check(cell)

    def background_error(self) -> Optional[BackgroundError]:
        """Why background work or writes have stopped; None if they have not. Reads continue in any case."""
        error = OwnedHandle(lib.terrace_background_error(self._handle), lib.terrace_background_error_destroy)
        self._check_open()
        if not error:
            return None
        path = take_string(lib.terrace_background_error_path(error))
        return BackgroundError(
            message=(take_string(lib.terrace_background_error_message(error)) or b"").decode(
                "utf-8", "surrogateescape"
            ),
            code=ErrorCode(lib.terrace_background_error_code(error)),
            severity=Severity(lib.terrace_background_error_severity(error)),
            errno=lib.terrace_background_error_errno(error) or None,
            path=None if path is None else os.fsdecode(path),
            since=datetime.datetime.fromtimestamp(
                lib.terrace_background_error_since_micros(error) / 1e6, datetime.timezone.utc
            ),
        )

    def resume(self) -> None:
        """Retries failed background work at once; raises the failure that remains."""
        cell = ErrorCell()
        lib.terrace_resume(self._handle, cell.ref)
        self._check(cell)

    def __enter__(self) -> DB:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<terrace.DB with name {self._name!r}{' (closed)' if self.closed else ''} at {id(self):#x}>"

    def _iterator(self, verify_checksums: Any, fill_cache: Any, arguments: dict[str, Any]) -> Iterator[Any]:
        self._check_open("Database or iterator is closed")
        return Iterator(self, options_or_default(LATEST, verify_checksums, fill_cache), db_prefix=b"", **arguments)

    def _snapshot(self, prefix: bytes, family: Optional[FamilyHandle]) -> Snapshot:
        """A snapshot of a part of the database."""
        return Snapshot(db=self, prefix=prefix, family=family)

    def _prefixed_db(self, prefix: bytes, family: Optional[Family]) -> PrefixedDB:
        """The part of a column family under a prefix."""
        return PrefixedDB(db=self, prefix=prefix, family=family)

    def _add_family(self, address: Optional[int], name: str, comparator: Optional[Comparator]) -> FamilyHandle:
        """Keeps the handle of a column family that the library has made."""
        assert address is not None
        handle = FamilyHandle(address, name, comparator, self._kept)
        return self._families.setdefault(handle.id, handle)

    def _create_family(self, encoded: bytes, name: str, options: OpenOptions) -> FamilyHandle:
        # The callbacks must live until the database is closed, also by another thread, even if the family is
        # dropped: background work may use them.
        self._keep(options.kept)
        cell = ErrorCell()
        address = lib.terrace_create_column_family(self._handle, options.handle, encoded, cell.ref)
        error = cell.take()
        if error is not None:
            self._keep(options.kept, away=True)
            self._raise(error)
        return self._add_family(address, name, options.comparator)

    def _export(self, family: Optional[FamilyHandle], directory: Any) -> None:
        cell = ErrorCell()
        lib.terrace_export_leveldb(self._handle, family, _path(directory), cell.ref)
        self._check(cell)

    def _keep(self, objects: list[object], *, away: bool = False) -> None:
        """Keeps objects until the database is gone; with `away`, does not keep them any more."""
        handle = self._handle
        for kept in (self._kept, [] if handle is None else handle.kept):
            for item in objects:
                if not away:
                    kept.append(item)
                elif item in kept:
                    kept.remove(item)

    def _family_handle(self, family: Union[Family, str]) -> FamilyHandle:
        """The handle of a column family, or of the one with a name."""
        if isinstance(family, Family):
            if family._db is not self:
                raise foreign_family()
            return family._handle
        name_bytes(family)
        self._check_open()
        # While a family is dropped, a new one may already have its name.
        found = [number for number, handle in list(self._families.items()) if handle.name == family]
        if found:
            handle = self._families.get(max(found))
            if handle is not None:
                return handle
        elif family == DEFAULT_NAME:
            address = lib.terrace_get_default_column_family_handle(self._handle)
            if not address:
                self._raise(last_error())
            return self._add_family(address, DEFAULT_NAME, self._comparator)
        raise invalid_argument(f"there is no column family {family!r}")

    def _make_iterators(self, families: list[FamilyHandle], options: Optional[OwnedHandle]) -> list[OwnedHandle]:
        """The C iterators over column families at one state of the database."""
        count = len(families)
        made = (c_void_p * count)()
        cell = ErrorCell()
        lib.terrace_create_iterators(self._handle, options, (c_void_p * count)(*families), made, count, cell.ref)
        self._check(cell)
        destroy = lib.leveldb_iter_destroy
        return [OwnedHandle(address, destroy, family) for address, family in zip(made, families)]

    def _write(self, batch: OwnedHandle, sync: bool) -> None:
        cell = ErrorCell()
        lib.leveldb_write(self._handle, SYNC if sync else None, batch, cell.ref)
        self._check(cell)

    def _check_open(self, message: str = "Database is closed") -> None:
        if self._handle is None:
            raise RuntimeError(message)

    def _check(self, cell: ErrorCell) -> None:
        error = cell.take()
        if error is not None:
            self._raise(error)

    def _raise(self, error: Error) -> NoReturn:
        """Raises the error of a failed call. (For a call after `close`, the database is NULL.)"""
        self._check_open()
        raise_with_cause(error)


_LEVELDB_NUMBERS = (
    "create_if_missing",
    "error_if_exists",
    "paranoid_checks",
    "write_buffer_size",
    "max_open_files",
    "block_size",
    "block_restart_interval",
    "max_file_size",
)

_open: weakref.WeakSet[DB] = weakref.WeakSet()


# How long the exit of the interpreter waits for running calls of other threads, in seconds.
_PATIENCE = 10.0


@atexit.register
def _close_all() -> None:
    """Closes all databases while the interpreter can still run their comparators."""
    for db in list(_open):
        with contextlib.suppress(Error):  # the remaining databases must be closed too
            db._close(_PATIENCE)


class PrefixedDB(Ranges):
    """The part of a database, or of a column family, whose keys begin with a prefix; see `DB.prefixed_db`.
    Keys are passed and returned without the prefix."""

    def __init__(self, *, db: DB, prefix: BytesLike, family: Optional[Family] = None) -> None:
        if not isinstance(db, DB):
            raise TypeError(f"'db' must be a DB, not {type(db).__name__!r}")
        self._db = db
        self._family = family
        self._whole: Union[DB, Family] = db if family is None else family
        self._prefix = bytes_of(prefix, "'prefix'")

    @property
    def db(self) -> DB:
        """The whole database."""
        return self._db

    @property
    def prefix(self) -> bytes:
        """The prefix of the keys in the whole database."""
        return self._prefix

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
        key = self._prefix + bytes_of(key, "key")
        return self._whole.get(key, default, verify_checksums=verify_checksums, fill_cache=fill_cache)

    def put(self, key: BytesLike, value: BytesLike, *, sync: Any = False) -> None:
        """As `DB.put`."""
        self._whole.put(self._prefix + bytes_of(key, "key"), value, sync=sync)

    def delete(self, key: BytesLike, *, sync: Any = False) -> None:
        """As `DB.delete`."""
        self._whole.delete(self._prefix + bytes_of(key, "key"), sync=sync)

    def write_batch(self, *, transaction: Any = False, sync: Any = False) -> WriteBatch:
        """As `DB.write_batch`."""
        return WriteBatch(self._db, self._prefix, transaction, sync, self._family_handle)

    def snapshot(self) -> Snapshot:
        """As `DB.snapshot`, for this part."""
        return Snapshot(db=self._db, prefix=self._prefix, family=self._family_handle)

    def prefixed_db(self, prefix: BytesLike) -> PrefixedDB:
        """The part of this part whose keys begin with `prefix`."""
        return PrefixedDB(db=self._db, prefix=self._prefix + bytes_of(prefix, "'prefix'"), family=self._family)

    def __repr__(self) -> str:
        return f"<terrace.PrefixedDB with prefix {self._prefix!r} at {id(self):#x}>"

    def _iterator(self, verify_checksums: Any, fill_cache: Any, arguments: dict[str, Any]) -> Iterator[Any]:
        self._db._check_open("Database or iterator is closed")
        options = options_or_default(LATEST, verify_checksums, fill_cache)
        return Iterator(self._db, options, db_prefix=self._prefix, family=self._family_handle, **arguments)

    @property
    def _family_handle(self) -> Optional[FamilyHandle]:
        return None if self._family is None else self._family._handle


class _Held:
    """The snapshot that the objects for its column families share. None: it is closed."""

    options: Optional[ReadOptions] = None


class Snapshot(Ranges):
    """A state of a database; see `DB.snapshot`. Iterators created from it may outlive it."""

    def __init__(self, *, db: DB, prefix: bytes = b"", family: Optional[FamilyHandle] = None) -> None:
        db._check_open("Cannot operate on closed LevelDB database")
        self._db = db
        self._prefix = prefix
        self._family = family
        self._held = _Held()
        address = lib.leveldb_create_snapshot(db._handle)
        if not address:
            db._check_open("Cannot operate on closed LevelDB database")
            raise_with_cause(last_error())
        self._held.options = ReadOptions(SnapshotHandle(address))

    def family(self, family: Union[Family, str]) -> Snapshot:
        """The same snapshot, of a column family. Closing one of them closes both."""
        handle = self._db._family_handle(family)
        of_family = copy(self)
        of_family._prefix, of_family._family = b"", handle
        return of_family

    @overload
    def get(
        self, key: BytesLike, default: None = None, *, verify_checksums: Any = ..., fill_cache: Any = ...
    ) -> Optional[bytes]: ...

    @overload
    def get(
        self, key: BytesLike, default: D, *, verify_checksums: Any = ..., fill_cache: Any = ...
    ) -> Union[bytes, D]: ...

    def get(self, key: BytesLike, default: Any = None, *, verify_checksums: Any = False, fill_cache: Any = True) -> Any:
        """The value of a key in the snapshot; `default` if the key is absent there."""
        key = self._prefix + bytes_of(key, "key")
        if self._family is not None:
            return get_of(self._db, self._family, self._read_options(verify_checksums, fill_cache), key, default)
        return _get(self._db, self._read_options(verify_checksums, fill_cache), key, default)

    def raw_iterator(self, *, verify_checksums: Any = False, fill_cache: Any = True) -> RawIterator:
        """Creates an iterator with the operations of the C iterator. It ignores the prefix."""
        return RawIterator(self._db, self._read_options(verify_checksums, fill_cache), self._family)

    def close(self) -> None:
        """Releases the snapshot. Closing it again does nothing."""
        self._held.options = None

    def release(self) -> None:
        """As `close`."""
        self.close()

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _iterator(self, verify_checksums: Any, fill_cache: Any, arguments: dict[str, Any]) -> Iterator[Any]:
        options = self._read_options(verify_checksums, fill_cache)
        return Iterator(self._db, options, db_prefix=self._prefix, family=self._family, **arguments)

    def _read_options(self, verify_checksums: Any, fill_cache: Any) -> OwnedHandle:
        options = self._held.options
        if options is None or self._db._handle is None:
            raise RuntimeError("Database or snapshot is closed")
        return options.get(verify_checksums, fill_cache)


def repair_db(
    name: Name,
    *,
    paranoid_checks: Optional[bool] = None,
    write_buffer_size: Optional[int] = None,
    max_open_files: Optional[int] = None,
    lru_cache_size: Optional[int] = None,
    block_size: Optional[int] = None,
    block_restart_interval: Optional[int] = None,
    max_file_size: Optional[int] = None,
    compression: Optional[str] = "snappy",
    compression_level: Optional[int] = None,
    bloom_filter_bits: int = 0,
    comparator: Optional[Comparator] = None,
    comparator_name: Optional[bytes] = None,
) -> None:
    """Repairs a damaged database, keeping all entries that can be read. It must not be open."""
    path = _path(name)
    options = OpenOptions(
        compression=compression,
        compression_level=compression_level,
        lru_cache_size=lru_cache_size,
        bloom_filter_bits=bloom_filter_bits,
        comparator=comparator,
        comparator_name=comparator_name,
        numbers={
            "paranoid_checks": paranoid_checks,
            "write_buffer_size": write_buffer_size,
            "max_open_files": max_open_files,
            "block_size": block_size,
            "block_restart_interval": block_restart_interval,
            "max_file_size": max_file_size,
        },
    )
    cell = ErrorCell()
    lib.leveldb_repair_db(options.handle, path, cell.ref)
    error = cell.take()
    if error is not None:
        raise_with_cause(error)


def list_families(name: Name) -> list[str]:
    """The names of the column families of a database, the default one first. The database may be open; nothing
    is locked or changed."""
    path = _path(name)
    count, cell = c_size_t(), ErrorCell()
    listed = lib.terrace_list_column_families(None, path, byref(count), cell.ref)
    error = cell.take()
    if error is not None:
        raise error
    names = [family.decode("utf-8", "surrogateescape") for family in listed[: count.value]]
    lib.terrace_list_column_families_destroy(listed, count.value)
    return names


def destroy_db(name: Name) -> None:
    """Removes a database, which must not be open: its files, and the directory if it is then empty."""
    path = _path(name)
    options = OwnedHandle(lib.leveldb_options_create(), lib.leveldb_options_destroy)
    cell = ErrorCell()
    lib.leveldb_destroy_db(options, path, cell.ref)
    cell.check()
