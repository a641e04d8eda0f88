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
from ctypes import byref, c_char, c_char_p, c_int, c_size_t, c_uint64, c_void_p
from dataclasses import dataclass
from typing import Any, NoReturn, Optional, TypeVar, Union, overload

from ._batch import WriteBatch
from ._comparator import raise_with_cause
from ._errors import Error, ErrorCell, ErrorCode, error_of, last_error, take_string
from ._handles import BytesLike, DatabaseHandle, Generation, OwnedHandle, SnapshotHandle, bytes_of, in_callback
from ._iterator import BaseIterator, Iterator, RawIterator
from ._library import SIZES, hot, lib
from ._options import LATEST, SYNC, TERRACE_OPTIONS, Comparator, OpenOptions, ReadOptions
from ._ranges import Ranges, options_or_default

D = TypeVar("D")

Name = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]

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
    ) -> None:
        arguments = dict(locals())
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
        self._comparator = comparator
        self._generation = Generation.number
        self._iterators: dict[int, weakref.ref[BaseIterator]] = {}
        # Keeps the callbacks alive until the database and its iterators are gone.
        self._kept = options.kept
        cell = ErrorCell()
        address = lib.leveldb_open(options.handle, path, cell.ref)
        error = cell.take()
        if error is not None:
            raise_with_cause(error)
        self._handle = DatabaseHandle(address, list(options.kept))
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
        pairs = [(bytes_of(start, "start of a range"), bytes_of(stop, "stop of a range")) for start, stop in ranges]
        self._check_open()
        count = len(pairs)
        sizes = (c_uint64 * count)()
        arguments: list[Any] = []
        for side in zip(*pairs) if pairs else ((), ()):
            arguments += [(c_char_p * count)(*side), (c_size_t * count)(*map(len, side))]
        lib.leveldb_approximate_sizes(self._handle, c_int(count), *arguments, sizes)
        self._check_open()
        return sizes[:]

    def flush(self) -> None:
        """Writes all memtables to tables, and returns when this is done."""
        cell = ErrorCell()
        lib.terrace_flush(self._handle, cell.ref)
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

    def _compare(self, a: bytes, b: bytes) -> int:
        """Compares two keys in the order of the database."""
        return self._comparator(a, b) if self._comparator is not None else (a > b) - (a < b)

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
    """The part of a database whose keys begin with a prefix; see `DB.prefixed_db`. Keys are passed and
    returned without the prefix."""

    def __init__(self, *, db: DB, prefix: BytesLike) -> None:
        if not isinstance(db, DB):
            raise TypeError(f"'db' must be a DB, not {type(db).__name__!r}")
        self._db = db
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
        return self._db.get(key, default, verify_checksums=verify_checksums, fill_cache=fill_cache)

    def put(self, key: BytesLike, value: BytesLike, *, sync: Any = False) -> None:
        """As `DB.put`."""
        self._db.put(self._prefix + bytes_of(key, "key"), value, sync=sync)

    def delete(self, key: BytesLike, *, sync: Any = False) -> None:
        """As `DB.delete`."""
        self._db.delete(self._prefix + bytes_of(key, "key"), sync=sync)

    def write_batch(self, *, transaction: Any = False, sync: Any = False) -> WriteBatch:
        """As `DB.write_batch`."""
        return WriteBatch(self._db, self._prefix, transaction, sync)

    def snapshot(self) -> Snapshot:
        """As `DB.snapshot`, for this part."""
        return Snapshot(db=self._db, prefix=self._prefix)

    def prefixed_db(self, prefix: BytesLike) -> PrefixedDB:
        """The part of this part whose keys begin with `prefix`."""
        return PrefixedDB(db=self._db, prefix=self._prefix + bytes_of(prefix, "'prefix'"))

    def __repr__(self) -> str:
        return f"<terrace.PrefixedDB with prefix {self._prefix!r} at {id(self):#x}>"

    def _iterator(self, verify_checksums: Any, fill_cache: Any, arguments: dict[str, Any]) -> Iterator[Any]:
        self._db._check_open("Database or iterator is closed")
        options = options_or_default(LATEST, verify_checksums, fill_cache)
        return Iterator(self._db, options, db_prefix=self._prefix, **arguments)


class Snapshot(Ranges):
    """A state of a database; see `DB.snapshot`. Iterators created from it may outlive it."""

    def __init__(self, *, db: DB, prefix: bytes = b"") -> None:
        db._check_open("Cannot operate on closed LevelDB database")
        self._db = db
        self._prefix = prefix
        self._options: Optional[ReadOptions] = None
        address = lib.leveldb_create_snapshot(db._handle)
        if not address:
            db._check_open("Cannot operate on closed LevelDB database")
            raise_with_cause(last_error())
        self._options = ReadOptions(SnapshotHandle(address))

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
        return _get(self._db, self._read_options(verify_checksums, fill_cache), key, default)

    def raw_iterator(self, *, verify_checksums: Any = False, fill_cache: Any = True) -> RawIterator:
        """Creates an iterator with the operations of the C iterator. It ignores the prefix."""
        return RawIterator(self._db, self._read_options(verify_checksums, fill_cache))

    def close(self) -> None:
        """Releases the snapshot. Closing it again does nothing."""
        self._options = None

    def release(self) -> None:
        """As `close`."""
        self.close()

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _iterator(self, verify_checksums: Any, fill_cache: Any, arguments: dict[str, Any]) -> Iterator[Any]:
        options = self._read_options(verify_checksums, fill_cache)
        return Iterator(self._db, options, db_prefix=self._prefix, **arguments)

    def _read_options(self, verify_checksums: Any, fill_cache: Any) -> OwnedHandle:
        options = self._options
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


def destroy_db(name: Name) -> None:
    """Removes a database, which must not be open: its files, and the directory if it is then empty."""
    path = _path(name)
    options = OwnedHandle(lib.leveldb_options_create(), lib.leveldb_options_destroy)
    cell = ErrorCell()
    lib.leveldb_destroy_db(options, path, cell.ref)
    cell.check()
