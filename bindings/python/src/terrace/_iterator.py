"""Iterators.

`Iterator` reads many entries ahead in one call. Its cursor stands between two entries, or at an end of its
range. The C iterator stands `len(pending)` entries further, in the direction of the last read. A change of
direction moves it back over these entries.

Thread rule: threads may share an iterator. A lock guards the C iterator; taking an entry that was read ahead
needs no lock.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Iterable
from ctypes import byref, c_char, c_size_t, c_void_p, sizeof, string_at
from itertools import chain, islice, repeat
from struct import Struct
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Optional, TypeVar

from ._comparator import raise_with_cause
from ._errors import IteratorInvalidError, error_of, last_error, take_string
from ._handles import BytesLike, FamilyHandle, Generation, OwnedHandle, bytes_of, in_callback
from ._library import SIZES, hot, lib

if TYPE_CHECKING:
    from ._database import DB

T = TypeVar("T")

_create = hot("leveldb_create_iterator")
_create_cf = hot("terrace_create_iterator_cf")
_read = hot("terrace_iter_read")
_seek = hot("leveldb_iter_seek")
_get_error = hot("leveldb_iter_get_error")

# terrace_iter_read_t
_KEYS, _VALUES, _BACKWARD, _STOP_INCLUSIVE = 1, 2, 4, 8

_NO_ENTRY = c_size_t(-1).value

# Directions.
_FORWARD, _BACK = 0, 1

# Where the cursor is. LOST: a call failed or was interrupted, and the position of the C iterator is not
# known.
_BEFORE_START, _BETWEEN, _AFTER_STOP, _LOST = range(4)

# Entries and bytes to read ahead: few at first and after a change of direction, more as a scan continues.
_LEVELS = tuple(
    (entries, c_char * size, size) for entries, size in ((2, 1 << 9), (16, 1 << 12), (128, 1 << 15), (1024, 1 << 18))
)
_ENDS = tuple(c_size_t * (2 * entries) for entries, _, _ in _LEVELS)

# Number of entries from which on it is worth checking whether all have the same lengths.
_MANY = 32

_END_BYTES = sizeof(c_size_t)


class BaseIterator:
    """The common part of all iterators: the handle, its lock, and closing it.

    An iterator is created over the whole database or over a column family. If it exists already (`made`), it
    only gets its object here.
    """

    _handle: Optional[OwnedHandle]

    def __init__(
        self,
        db: DB,
        options: Optional[OwnedHandle],
        family: Optional[FamilyHandle] = None,
        made: Optional[OwnedHandle] = None,
    ) -> None:
        self._db = db
        self._lock = threading.Lock()
        self._generation = Generation.number
        self._handle = None
        if made is None:
            if family is None:
                address = _create(db._handle, options)
            else:
                address = _create_cf(db._handle, options, family)
            if not address:
                db._check_open("Database or iterator is closed")
                raise_with_cause(last_error())
            # `_kept` has the comparators, which must outlive the iterator, and so has the family.
            made = OwnedHandle(address, lib.leveldb_iter_destroy, db._kept, family)
        self._handle = made
        db._iterators[id(self)] = weakref.ref(self)

    def _guard(self) -> threading.Lock:
        """The lock, for a `with` statement: no interrupt can come between taking and releasing it."""
        if in_callback():
            raise RuntimeError("a comparator must not use the database")
        if self._generation != Generation.number:
            # A child of fork: the thread that held the lock does not exist here. The library refuses the
            # iterator.
            self._lock = threading.Lock()
            self._generation = Generation.number
        return self._lock

    def _check_open(self) -> None:
        if self._handle is None or self._db._handle is None:
            raise RuntimeError("Database or iterator is closed")

    def _check(self) -> None:
        """Raises the error of the iterator, if it has one."""
        cell = c_void_p()
        _get_error(self._handle, byref(cell))
        if cell.value is not None:
            self._fail(take_string(cell.value))

    def _fail(self, message: Optional[bytes]) -> NoReturn:
        if self._db._handle is None:
            raise RuntimeError("Database or iterator is closed")
        raise_with_cause(error_of(message or b""))

    def close(self) -> None:
        """Closes the iterator. Closing it again does nothing."""
        with self._guard():
            self._handle = None
            self._forget()
        self._db._iterators.pop(id(self), None)

    def _forget(self) -> None:
        """Drops the entries that were read ahead."""

    def __del__(self) -> None:
        db = getattr(self, "_db", None)
        if db is not None:
            db._iterators.pop(id(self), None)


class Iterator(BaseIterator, Generic[T]):
    """Iterates over a range of a database as it was when the iterator was created; see `DB.iterator`.

    ``next()`` and ``prev()`` return the entry after and before the cursor, in the direction of the iterator,
    and move the cursor over it. At an end of the range they raise `StopIteration`, each time they are called,
    and the cursor can be moved back.
    """

    def __init__(
        self,
        db: DB,
        options: Optional[OwnedHandle],
        *,
        db_prefix: bytes,
        reverse: Any,
        start: Any,
        stop: Any,
        include_start: Any,
        include_stop: Any,
        prefix: Any,
        include_key: Any,
        include_value: Any,
        family: Optional[FamilyHandle] = None,
        made: Optional[OwnedHandle] = None,
    ) -> None:
        if prefix is not None and (start is not None or stop is not None):
            raise TypeError("'prefix' cannot be used together with 'start' or 'stop'")
        if prefix is not None:
            start, stop = bytes_of(prefix, "'prefix'"), None
            include_start, include_stop = True, False
        whole_prefix = db_prefix if prefix is None else db_prefix + start
        self._start = db_prefix + bytes_of(start, "'start'") if start is not None else db_prefix or None
        self._stop = db_prefix + bytes_of(stop, "'stop'") if stop is not None else _end_of_prefix(whole_prefix)
        self._include_start = bool(include_start) or start is None
        include_stop = bool(include_stop) and stop is not None
        self._db_prefix = db_prefix
        self._cut = len(db_prefix)
        parts = (_KEYS if include_key else 0) | (_VALUES if include_value else 0)
        self._flags = (
            parts | (_STOP_INCLUSIVE if include_stop else 0),
            parts | _BACKWARD | (_STOP_INCLUSIVE if self._include_start else 0),
        )
        self._include_stop = include_stop
        self._parts = parts
        self._next_direction = _BACK if reverse else _FORWARD
        # Entries read ahead for next() and for prev(). At least one of the two is empty.
        self._ahead: deque[T] = deque()
        self._behind: deque[T] = deque()
        self._take = self._ahead.popleft
        self._direction = _FORWARD
        self._where = _AFTER_STOP if reverse else _BEFORE_START
        self._level = 0
        self._buffer: Any = None
        self._size = 0
        self._ends: Any = None
        self._next_size = c_size_t()
        self._same: Optional[tuple[tuple[int, int], bytes, Struct]] = None
        self._comparator = db._comparator if family is None else family.comparator
        super().__init__(db, options, family, made)

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        try:
            return self._take()
        except IndexError:
            return self._fetch(self._next_direction, self._ahead)

    def prev(self) -> T:
        """Returns the entry before the cursor, and moves the cursor before it."""
        if not self._ahead:
            try:
                return self._behind.popleft()
            except IndexError:
                pass
        return self._fetch(1 - self._next_direction, self._behind)

    def seek_to_start(self) -> None:
        """Moves the cursor to the lower end of the range, whatever the direction."""
        self._move_to(_BEFORE_START)

    def seek_to_stop(self) -> None:
        """Moves the cursor to the upper end of the range, whatever the direction."""
        self._move_to(_AFTER_STOP)

    def seek(self, target: BytesLike) -> None:
        """Moves the cursor before the first entry at or after `target`, whatever the direction, but never out
        of the range."""
        key = self._db_prefix + bytes_of(target, "'target'")
        with self._guard():
            self._check_open()
            self._forget()
            if self._is_empty():
                self._where = _BEFORE_START
                return
            self._where = _LOST
            before = False
            if self._start is not None and self._compare(key, self._start) <= 0:
                key, before = self._start, True
            if self._stop is not None and self._compare(key, self._stop) > 0:
                key = self._stop
            _seek(self._handle, key, SIZES[len(key)])
            if before and not self._include_start:
                self._pass_over(key)
            self._check()
            self._direction = _FORWARD
            self._where = _BETWEEN

    def __enter__(self) -> Iterator[T]:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _move_to(self, where: int) -> None:
        with self._guard():
            self._check_open()
            self._forget()
            self._where = where

    def _forget(self) -> None:
        self._ahead.clear()
        self._behind.clear()
        self._level = 0

    def _compare(self, a: bytes, b: bytes) -> int:
        """Compares two keys in the order of the database or the column family."""
        return self._comparator(a, b) if self._comparator is not None else (a > b) - (a < b)

    def _is_empty(self) -> bool:
        """Is the range empty, because its start is not before its stop?"""
        if self._start is None or self._stop is None:
            return False
        order = self._compare(self._start, self._stop)
        return order > 0 or (order == 0 and not (self._include_start and self._include_stop))

    def _pass_over(self, key: bytes) -> None:
        """Moves the C iterator from the entry at or after `key` past an entry with that key."""
        _read(self._handle, _STOP_INCLUSIVE, key, SIZES[len(key)], None, SIZES[0], None, SIZES[1], None)

    def _fetch(self, direction: int, pending: deque[T]) -> T:
        """Reads the next entries in a direction, keeps them as pending, and takes the first."""
        with self._guard():
            self._check_open()
            if pending and self._direction == direction and self._where == _BETWEEN:
                try:
                    return pending.popleft()  # another thread has read entries meanwhile
                except IndexError:
                    pass  # other threads have taken all of them
            where, self._where = self._where, _LOST
            if where == _LOST:
                self._check()
                raise RuntimeError("a call to this iterator was interrupted: seek before going on")
            if where != _BETWEEN:
                if where == (_BEFORE_START if direction == _BACK else _AFTER_STOP):
                    self._where = where
                    raise StopIteration
                self._begin(direction)
            elif self._direction != direction:
                self._turn(direction)
            self._direction = direction
            entries = self._read_block(direction)
            if not entries:
                self._where = _BEFORE_START if direction == _BACK else _AFTER_STOP
                raise StopIteration
            # Take the first entry before other threads can take the rest.
            rest = iter(entries)
            entry: T = next(rest)
            pending.extend(rest)
            self._where = _BETWEEN
            return entry

    def _begin(self, direction: int) -> None:
        """Moves the C iterator from outside of the range to the first entry of the range in a direction."""
        handle = self._handle
        if direction == _FORWARD:
            if self._start is None:
                lib.leveldb_iter_seek_to_first(handle)
                return
            _seek(handle, self._start, SIZES[len(self._start)])
            if not self._include_start:
                self._pass_over(self._start)
            return
        if self._stop is not None:
            _seek(handle, self._stop, SIZES[len(self._stop)])
            if self._include_stop:
                self._pass_over(self._stop)
            if lib.leveldb_iter_valid(handle):
                lib.leveldb_iter_prev(handle)
                return
            self._check()
        lib.leveldb_iter_seek_to_last(handle)

    def _turn(self, direction: int) -> None:
        """Moves the C iterator back over the entries that were read ahead, to the other side of the
        cursor."""
        pending = len(self._ahead) + len(self._behind)
        self._forget()
        flags = _BACKWARD if direction == _BACK else 0
        if lib.leveldb_iter_valid(self._handle):
            pending += 1
        elif direction == _BACK:
            lib.leveldb_iter_seek_to_last(self._handle)
        else:
            lib.leveldb_iter_seek_to_first(self._handle)
        _read(self._handle, flags, None, SIZES[0], None, SIZES[0], None, SIZES[pending], None)

    def _read_block(self, direction: int) -> Optional[Iterable[T]]:
        """Reads entries from the position of the C iterator. None at the end of the range."""
        entries, buffer, room = _LEVELS[self._level]
        if self._ends is None or len(self._ends) != 2 * entries:
            self._ends = _ENDS[self._level]()
        if self._size < room:
            self._buffer, self._size = buffer(), room
        if self._level + 1 < len(_LEVELS):
            self._level += 1
        bound = self._stop if direction == _FORWARD else self._start
        length = SIZES[0 if bound is None else len(bound)]
        flags = self._flags[direction]
        while True:
            count = _read(
                self._handle,
                flags,
                bound,
                length,
                self._buffer,
                SIZES[self._size],
                self._ends,
                SIZES[entries],
                byref(self._next_size),
            )
            needed = self._next_size.value
            if count or needed == _NO_ENTRY:
                break
            # The next entry is larger than the buffer.
            self._size = 1 << (needed - 1).bit_length()
            self._buffer = (c_char * self._size)()
        # Before any entry is returned: entries that were read after damage may be out of date.
        self._check()
        return self._unpack(count) if count else None

    def _unpack(self, count: int) -> Iterable[Any]:
        parts = self._parts
        if not parts:
            return repeat(None, count)
        ends = self._ends
        if parts == _KEYS | _VALUES:
            if count >= _MANY and ends[2 * count - 1] == ends[1] * count:
                same = self._unpack_same(ends[0], ends[1] - ends[0], 2 * count)
                if same is not None:
                    return same
            bounds = ends[: 2 * count]
            cut = self._cut
            if cut:
                starts = [0, *bounds[:-1]]
                starts[::2] = [start + cut for start in starts[::2]]
                pieces = map(self._buffer.__getitem__, map(slice, starts, bounds))
            else:
                pieces = map(self._buffer.__getitem__, map(slice, chain((0,), bounds), bounds))
            return zip(pieces, pieces)
        if count >= _MANY and ends[count - 1] == ends[0] * count:
            key, value = (ends[0], 0) if parts == _KEYS else (0, ends[0])
            same = self._unpack_same(key, value, count)
            if same is not None:
                return chain.from_iterable(same)
        bounds = ends[:count]
        cut = self._cut if parts == _KEYS else 0
        starts = [0, *bounds[:-1]]
        if cut:
            starts = [start + cut for start in starts]
        return map(self._buffer.__getitem__, map(slice, starts, bounds))

    def _unpack_same(self, key: int, value: int, numbers: int) -> Optional[Iterable[Any]]:
        """Unpacks entries at once if all have the same lengths, else returns None. `numbers` is the number of
        ends."""
        step = key + value
        if not step:
            return None
        ends_of_entry = 2 if self._parts == _KEYS | _VALUES else 1
        if self._same is None or self._same[0] != (key, value) or len(self._same[1]) < _END_BYTES * numbers:
            # The ends that entries of the same lengths have.
            all_ends = range(0, step * numbers, step)
            pairs = ((start + key, start + step) if ends_of_entry == 2 else (start + step,) for start in all_ends)
            expected = bytes((c_size_t * numbers)(*islice(chain.from_iterable(pairs), numbers)))
            fields = (f"{self._cut}x{key - self._cut}s" if self._cut else f"{key}s") if self._parts & _KEYS else ""
            fields += f"{value}s" if self._parts & _VALUES else ""
            self._same = ((key, value), expected, Struct(fields))
        _, expected, fields_of = self._same
        if not expected.startswith(string_at(self._ends, _END_BYTES * numbers)):
            return None
        return fields_of.iter_unpack(memoryview(self._buffer)[: step * (numbers // ends_of_entry)])


class RawIterator(BaseIterator):
    """An iterator with the operations of the C iterator: it stands on an entry or is invalid, and moves step
    by step."""

    def valid(self) -> bool:
        """Does the iterator stand on an entry?"""
        with self._guard():
            self._check_open()
            return bool(lib.leveldb_iter_valid(self._handle))

    def seek_to_first(self) -> None:
        """Moves to the first entry."""
        self._step(lib.leveldb_iter_seek_to_first)

    def seek_to_last(self) -> None:
        """Moves to the last entry."""
        self._step(lib.leveldb_iter_seek_to_last)

    def seek(self, target: BytesLike) -> None:
        """Moves to the first entry at or after `target`."""
        key = bytes_of(target, "'target'")
        self._step(lib.leveldb_iter_seek, key, len(key))

    def next(self) -> None:
        """Moves to the next entry."""
        self._step(lib.leveldb_iter_next, from_entry=True)

    def prev(self) -> None:
        """Moves to the previous entry."""
        self._step(lib.leveldb_iter_prev, from_entry=True)

    def key(self) -> bytes:
        """The key of the current entry."""
        return self._part(lib.leveldb_iter_key)

    def value(self) -> bytes:
        """The value of the current entry."""
        return self._part(lib.leveldb_iter_value)

    def item(self) -> tuple[bytes, bytes]:
        """The key and the value of the current entry."""
        return self.key(), self.value()

    def __enter__(self) -> RawIterator:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _step(self, function: Any, *arguments: Any, from_entry: bool = False) -> None:
        with self._guard():
            self._check_open()
            if from_entry and not lib.leveldb_iter_valid(self._handle):
                self._check()
                raise IteratorInvalidError
            function(self._handle, *arguments)
            self._check()

    def _part(self, function: Any) -> bytes:
        length = c_size_t()
        with self._guard():
            self._check_open()
            address = function(self._handle, byref(length))
            if not address:
                raise IteratorInvalidError
            return string_at(address, length.value)


def _end_of_prefix(prefix: bytes) -> Optional[bytes]:
    """The first key, in bytewise order, after all keys with this prefix; None if there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None
