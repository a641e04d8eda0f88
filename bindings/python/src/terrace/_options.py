"""Converts options of Python to those of the library."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from ctypes import c_int, c_size_t, c_uint8, sizeof
from typing import Any, Optional, TypedDict

from ._comparator import create_comparator
from ._handles import OwnedHandle, SnapshotHandle
from ._library import _OPTIONS, lib

Comparator = Callable[[bytes, bytes], int]

#: Values of `terrace_compression_t`. As in plyvel, "snappy" is the default; it is TERRACE_AUTO_COMPRESSION,
#: which keeps the compression of a Minecraft world.
_COMPRESSIONS = {None: 0, "snappy": -1, "zlib": 2, "zstd": 7, "raw_deflate": 128}
_USUAL_LEVEL = 32767

#: Values of `terrace_language_t`.
_LANGUAGES = {"leveldb": 0, "may_switch": 1, "rocksdb": 2}

#: Options that LevelDB does not have, under their names in `terrace.h`.
TERRACE_OPTIONS = frozenset(
    name[len("terrace_options_set_") :] for name in _OPTIONS if name.startswith("terrace_options_set_")
)


def _checked(name: str, value: Any, kind: type) -> int:
    """Checks that a number fits into a C type, because ctypes truncates numbers that do not."""
    if kind is c_uint8:
        return int(bool(value))
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name!r} must be an integer, not {type(value).__name__!r}") from None
    bits = 8 * sizeof(kind)
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if kind is c_int else (0, (1 << bits) - 1)
    if not low <= number <= high:
        raise OverflowError(f"{name!r} is {number}, but must be from {low} to {high}")
    return number


def _compression(compression: Any) -> int:
    if isinstance(compression, bytes):
        compression = compression.decode()
    if compression is not None and not isinstance(compression, str):
        raise TypeError("'compression' must be None or a string")
    if compression not in _COMPRESSIONS:
        raise ValueError("'compression' must be None, 'snappy', 'zlib', 'raw_deflate' or 'zstd'")
    return _COMPRESSIONS[compression]


def language_number(language: Any) -> Optional[int]:
    """The value of `terrace_language_t`; None for None."""
    if language is None:
        return None
    if not isinstance(language, str):
        raise TypeError("'language' must be None or a string")
    if language not in _LANGUAGES:
        raise ValueError("'language' must be None, 'leveldb', 'may_switch' or 'rocksdb'")
    return _LANGUAGES[language]


class FamilyOptions(TypedDict, total=False):
    """The options that each column family has for itself, with the meaning that they have for `DB`. An option
    that is not named has the library's default, not the value of the database. Only the block cache is that
    of the database, unless the family gets one of its own."""

    write_buffer_size: Optional[int]
    lru_cache_size: Optional[int]
    block_size: Optional[int]
    block_restart_interval: Optional[int]
    max_file_size: Optional[int]
    compression: Optional[str]
    compression_level: Optional[int]
    bloom_filter_bits: int
    comparator: Optional[Comparator]
    comparator_name: Optional[bytes]
    seek_compaction: Optional[bool]
    idle_compaction: Optional[bool]
    whole_table_filter: Optional[bool]
    max_write_buffer_number: Optional[int]
    level0_file_num_compaction_trigger: Optional[int]
    level0_slowdown_writes_trigger: Optional[int]
    level0_stop_writes_trigger: Optional[int]
    max_bytes_for_level_base: Optional[int]


class OpenOptions:
    """Options for opening or repairing a database, or of a column family. `kept` has the objects that must live as long as the
    database."""

    def __init__(
        self,
        *,
        compression: Any,
        compression_level: Optional[int] = None,
        lru_cache_size: Optional[int],
        bloom_filter_bits: int,
        comparator: Optional[Comparator],
        comparator_name: Optional[bytes],
        numbers: dict[str, Any],
    ) -> None:
        self.kept: list[object] = []
        self.comparator = comparator
        self.handle = OwnedHandle(lib.leveldb_options_create(), lib.leveldb_options_destroy)
        for name, value in numbers.items():
            if value is not None:
                self._set(name, value)
        level = _USUAL_LEVEL
        if compression_level is not None:
            level = _checked("compression_level", compression_level, c_int)
        lib.terrace_options_set_compression(self.handle, _compression(compression), level)
        if lru_cache_size is not None:
            size = _checked("lru_cache_size", lru_cache_size, c_size_t)
            self._plug_in("cache", OwnedHandle(lib.leveldb_cache_create_lru(size), lib.leveldb_cache_destroy))
        if _checked("bloom_filter_bits", bloom_filter_bits, c_int) > 0:
            policy = lib.leveldb_filterpolicy_create_bloom(bloom_filter_bits)
            self._plug_in("filter_policy", OwnedHandle(policy, lib.leveldb_filterpolicy_destroy))
        if (comparator is None) != (comparator_name is None):
            raise ValueError("'comparator' and 'comparator_name' must be specified together")
        if comparator is not None:
            if not callable(comparator):
                raise TypeError("'comparator' must be callable")
            if not isinstance(comparator_name, bytes):
                raise TypeError("'comparator_name' must be bytes")
            self._plug_in("comparator", create_comparator(comparator_name, comparator))

    def _set(self, name: str, value: Any) -> None:
        prefix = "terrace" if name in TERRACE_OPTIONS else "leveldb"
        function = f"{prefix}_options_set_{name}"
        getattr(lib, function)(self.handle, _checked(name, value, _OPTIONS[function]))

    def _plug_in(self, name: str, handle: OwnedHandle) -> None:
        self.kept.append(handle)
        getattr(lib, f"leveldb_options_set_{name}")(self.handle, handle)


_NOT_NUMBERS = (
    "compression",
    "compression_level",
    "lru_cache_size",
    "bloom_filter_bits",
    "comparator",
    "comparator_name",
)


def family_options(options: Mapping[str, Any]) -> OpenOptions:
    """Options of a column family; see `FamilyOptions`."""
    for name in options:
        if name not in FamilyOptions.__annotations__:
            raise TypeError(f"{name!r} is not an option of a column family")
    defaults: dict[str, Any] = {name: None for name in _NOT_NUMBERS}
    defaults.update(compression="snappy", bloom_filter_bits=0)
    others = {name: options.get(name, default) for name, default in defaults.items()}
    return OpenOptions(numbers={name: value for name, value in options.items() if name not in _NOT_NUMBERS}, **others)


class ReadOptions:
    """Read options of one snapshot, or of the latest state. Each of the four combinations of flags is created
    once."""

    def __init__(self, snapshot: Optional[SnapshotHandle]) -> None:
        self._snapshot = snapshot
        self._made: dict[tuple[bool, bool], OwnedHandle] = {}

    def get(self, verify_checksums: Any, fill_cache: Any) -> OwnedHandle:
        """The handle of the read options, which keeps the snapshot alive."""
        kind = (bool(verify_checksums), bool(fill_cache))
        handle = self._made.get(kind)
        if handle is None:
            destroy = lib.leveldb_readoptions_destroy
            handle = OwnedHandle(lib.leveldb_readoptions_create(), destroy, self._snapshot)
            lib.leveldb_readoptions_set_verify_checksums(handle, kind[0])
            lib.leveldb_readoptions_set_fill_cache(handle, kind[1])
            if self._snapshot is not None:
                lib.leveldb_readoptions_set_snapshot(handle, self._snapshot)
            self._made[kind] = handle
        return handle


#: Read options of the latest state. Without flags the handle is None, which means the defaults to C.
LATEST = ReadOptions(None)

#: Write options with sync. One handle, never destroyed, serves all writes.
SYNC = OwnedHandle(lib.leveldb_writeoptions_create(), None)
lib.leveldb_writeoptions_set_sync(SYNC, 1)
