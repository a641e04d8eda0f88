"""Finds libterrace.so, loads it, and declares its functions that this package calls.

Every call releases the interpreter's lock while it is in C. A pointer to a handle is passed as None, a
``c_void_p``, or an object of a derived class; such an object stays alive while a call that got it runs.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import c_char_p, c_int, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

SONAME = "libterrace.so.0"
BUNDLED = Path(__file__).parent / SONAME
VARIABLE = "TERRACE_LIBRARY"

COMPARE = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t)
NAME = ctypes.CFUNCTYPE(c_void_p, c_void_p)

_ERRPTR = ctypes.POINTER(c_void_p)
_SIZES = ctypes.POINTER(c_size_t)
_STRINGS = ctypes.POINTER(c_char_p)
_KEY = (c_char_p, c_size_t)

_OPTIONS: dict[str, type] = {
    "leveldb_options_set_comparator": c_void_p,
    "leveldb_options_set_filter_policy": c_void_p,
    "leveldb_options_set_create_if_missing": c_uint8,
    "leveldb_options_set_error_if_exists": c_uint8,
    "leveldb_options_set_paranoid_checks": c_uint8,
    "leveldb_options_set_write_buffer_size": c_size_t,
    "leveldb_options_set_max_open_files": c_int,
    "leveldb_options_set_cache": c_void_p,
    "leveldb_options_set_block_size": c_size_t,
    "leveldb_options_set_block_restart_interval": c_int,
    "leveldb_options_set_max_file_size": c_size_t,
    "terrace_options_set_reuse_logs": c_uint8,
    "terrace_options_set_seek_compaction": c_uint8,
    "terrace_options_set_idle_compaction": c_uint8,
    "terrace_options_set_whole_table_filter": c_uint8,
    "terrace_options_set_table_metadata_budget": c_size_t,
    "terrace_options_set_max_write_buffer_number": c_int,
    "terrace_options_set_level0_file_num_compaction_trigger": c_int,
    "terrace_options_set_level0_slowdown_writes_trigger": c_int,
    "terrace_options_set_level0_stop_writes_trigger": c_int,
    "terrace_options_set_max_bytes_for_level_base": c_uint64,
    "terrace_options_set_max_background_compactions": c_int,
    "terrace_options_set_max_subcompactions": c_int,
    "terrace_options_set_mmap_reads": c_uint8,
    "terrace_options_set_mmap_wal": c_uint8,
    "terrace_options_set_language": c_int,
    "terrace_options_set_create_missing_column_families": c_uint8,
    "terrace_options_set_max_total_wal_size": c_uint64,
}

# name: (result, arguments)
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "leveldb_open": (c_void_p, (c_void_p, c_char_p, _ERRPTR)),
    "terrace_close": (None, (c_void_p, _ERRPTR)),
    "leveldb_put": (None, (c_void_p, c_void_p, *_KEY, c_char_p, c_size_t, _ERRPTR)),
    "leveldb_delete": (None, (c_void_p, c_void_p, *_KEY, _ERRPTR)),
    "leveldb_write": (None, (c_void_p, c_void_p, c_void_p, _ERRPTR)),
    "terrace_writebatch_create_from": (c_void_p, (*_KEY, _ERRPTR)),
    "leveldb_writebatch_destroy": (None, (c_void_p,)),
    "terrace_get_into": (c_size_t, (c_void_p, c_void_p, *_KEY, c_void_p, c_size_t, _ERRPTR)),
    "leveldb_property_value": (c_void_p, (c_void_p, c_char_p)),
    "leveldb_approximate_sizes": (
        None,
        (c_void_p, c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p),
    ),
    "terrace_compact_range": (None, (c_void_p, *_KEY, *_KEY, _ERRPTR)),
    "terrace_flush": (None, (c_void_p, _ERRPTR)),
    "terrace_resume": (None, (c_void_p, _ERRPTR)),
    "terrace_upgrade_tables": (None, (c_void_p, _ERRPTR)),
    "leveldb_destroy_db": (None, (c_void_p, c_char_p, _ERRPTR)),
    "leveldb_repair_db": (None, (c_void_p, c_char_p, _ERRPTR)),
    "leveldb_create_iterator": (c_void_p, (c_void_p, c_void_p)),
    "leveldb_iter_destroy": (None, (c_void_p,)),
    "leveldb_iter_valid": (c_uint8, (c_void_p,)),
    "leveldb_iter_seek_to_first": (None, (c_void_p,)),
    "leveldb_iter_seek_to_last": (None, (c_void_p,)),
    "leveldb_iter_seek": (None, (c_void_p, *_KEY)),
    "leveldb_iter_next": (None, (c_void_p,)),
    "leveldb_iter_prev": (None, (c_void_p,)),
    "leveldb_iter_key": (c_void_p, (c_void_p, _SIZES)),
    "leveldb_iter_value": (c_void_p, (c_void_p, _SIZES)),
    "leveldb_iter_get_error": (None, (c_void_p, _ERRPTR)),
    "terrace_iter_read": (
        c_size_t,
        (c_void_p, c_int, *_KEY, c_void_p, c_size_t, c_void_p, c_size_t, _SIZES),
    ),
    "leveldb_create_snapshot": (c_void_p, (c_void_p,)),
    "leveldb_release_snapshot": (None, (c_void_p, c_void_p)),
    "terrace_open_column_families": (
        c_void_p,
        (c_void_p, c_char_p, c_int, c_void_p, c_void_p, c_void_p, _ERRPTR),
    ),
    "terrace_list_column_families": (_STRINGS, (c_void_p, c_char_p, _SIZES, _ERRPTR)),
    "terrace_list_column_families_destroy": (None, (_STRINGS, c_size_t)),
    "terrace_create_column_family": (c_void_p, (c_void_p, c_void_p, c_char_p, _ERRPTR)),
    "terrace_drop_column_family": (None, (c_void_p, c_void_p, _ERRPTR)),
    "terrace_export_leveldb": (None, (c_void_p, c_void_p, c_char_p, _ERRPTR)),
    "terrace_import_leveldb": (c_void_p, (c_void_p, c_char_p, c_char_p, _ERRPTR)),
    "terrace_get_default_column_family_handle": (c_void_p, (c_void_p,)),
    "terrace_column_family_handle_destroy": (None, (c_void_p,)),
    "terrace_column_family_handle_get_id": (c_uint32, (c_void_p,)),
    "terrace_put_cf": (None, (c_void_p, c_void_p, c_void_p, *_KEY, c_char_p, c_size_t, _ERRPTR)),
    "terrace_delete_cf": (None, (c_void_p, c_void_p, c_void_p, *_KEY, _ERRPTR)),
    "terrace_get_cf": (c_void_p, (c_void_p, c_void_p, c_void_p, *_KEY, _SIZES, _ERRPTR)),
    "terrace_create_iterator_cf": (c_void_p, (c_void_p, c_void_p, c_void_p)),
    "terrace_create_iterators": (None, (c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, _ERRPTR)),
    "terrace_compact_range_cf": (None, (c_void_p, c_void_p, *_KEY, *_KEY)),
    "terrace_approximate_sizes_cf": (
        None,
        (c_void_p, c_void_p, c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, _ERRPTR),
    ),
    "terrace_property_value_cf": (c_void_p, (c_void_p, c_void_p, c_char_p)),
    "leveldb_options_create": (c_void_p, ()),
    "leveldb_options_destroy": (None, (c_void_p,)),
    "leveldb_readoptions_create": (c_void_p, ()),
    "leveldb_readoptions_destroy": (None, (c_void_p,)),
    "leveldb_readoptions_set_verify_checksums": (None, (c_void_p, c_uint8)),
    "leveldb_readoptions_set_fill_cache": (None, (c_void_p, c_uint8)),
    "leveldb_readoptions_set_snapshot": (None, (c_void_p, c_void_p)),
    "leveldb_writeoptions_create": (c_void_p, ()),
    "leveldb_writeoptions_set_sync": (None, (c_void_p, c_uint8)),
    "leveldb_cache_create_lru": (c_void_p, (c_size_t,)),
    "leveldb_cache_destroy": (None, (c_void_p,)),
    "leveldb_filterpolicy_create_bloom": (c_void_p, (c_int,)),
    "leveldb_filterpolicy_destroy": (None, (c_void_p,)),
    "leveldb_comparator_create": (c_void_p, (c_void_p, c_void_p, COMPARE, NAME)),
    "leveldb_comparator_destroy": (None, (c_void_p,)),
    "terrace_comparator_fail": (None, (c_char_p,)),
    "leveldb_free": (None, (c_void_p,)),
    "leveldb_major_version": (c_int, ()),
    "leveldb_minor_version": (c_int, ()),
    "terrace_version": (c_char_p, ()),
    "terrace_last_error_code": (c_int, ()),
    "terrace_last_error_errno": (c_int, ()),
    "terrace_last_error_retryable": (c_uint8, ()),
    "terrace_last_error_message": (c_void_p, ()),
    "terrace_last_error_path": (c_void_p, ()),
    "terrace_background_error": (c_void_p, (c_void_p,)),
    "terrace_background_error_destroy": (None, (c_void_p,)),
    "terrace_background_error_code": (c_int, (c_void_p,)),
    "terrace_background_error_errno": (c_int, (c_void_p,)),
    "terrace_background_error_severity": (c_int, (c_void_p,)),
    "terrace_background_error_since_micros": (c_uint64, (c_void_p,)),
    "terrace_background_error_message": (c_void_p, (c_void_p,)),
    "terrace_background_error_path": (c_void_p, (c_void_p,)),
    "terrace_options_set_compression": (None, (c_void_p, c_int, c_int)),
    **{name: (None, (c_void_p, argument)) for name, argument in _OPTIONS.items()},
}


def _candidates() -> list[str]:
    """The libraries to try, in order. If the environment variable names a library, only that one."""
    named = os.environ.get(VARIABLE)
    return [named] if named else [str(BUNDLED), SONAME]


def _load() -> tuple[ctypes.CDLL, str]:
    failures = []
    for path in _candidates():
        try:
            library = ctypes.CDLL(path)
            for name, (result, arguments) in _FUNCTIONS.items():
                function = getattr(library, name)
                function.restype = result
                function.argtypes = arguments
            return library, path
        except (OSError, AttributeError) as error:
            failures.append(f"  {path}: {error}")
    raise ImportError(
        f"cannot load {SONAME}; tried, in this order:\n"
        + "\n".join(failures)
        + f"\nInstall the terrace wheel, which carries it, or Terrace itself, or name the file in {VARIABLE}."
    )


lib, path = _load()


def hot(name: str) -> Any:
    """A function without conversion of its arguments, which halves the cost of a call. Arguments must be
    None, bytes, objects of ctypes, or small numbers for a C int."""
    function = lib._FuncPtr((name, lib))
    function.restype = _FUNCTIONS[name][0]
    return function


class _Sizes(dict[int, c_size_t]):
    """Creates large sizes on demand, and does not keep them."""

    def __missing__(self, number: int) -> c_size_t:
        return c_size_t(number)


#: Sizes for `hot` functions: `SIZES[len(key)]`.
SIZES = _Sizes((number, c_size_t(number)) for number in range(1024))
