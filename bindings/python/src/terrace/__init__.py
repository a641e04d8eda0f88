"""Terrace, an embedded, ordered key-value store, with the interface of plyvel.

``import terrace as plyvel`` is all that a program written for plyvel needs::

    import terrace

    with terrace.DB("/tmp/example", create_if_missing=True) as db:
        db.put(b"hello", b"world")
        for key, value in db.iterator(prefix=b"h"):
            print(key, value)
"""

from ._batch import WriteBatch
from ._database import DB, BackgroundError, PrefixedDB, Severity, Snapshot, destroy_db, list_families, repair_db
from ._errors import CorruptionError, Error, ErrorCode, IOError, IteratorInvalidError
from ._family import Family
from ._iterator import Iterator, RawIterator
from ._library import lib as _lib
from ._library import path as library_path
from ._options import FamilyOptions

__version__: str = "0.1.0"

#: The version of the library that was loaded.
library_version: str = _lib.terrace_version().decode()

__leveldb_version__: str = f"{_lib.leveldb_major_version()}.{_lib.leveldb_minor_version()}"

__all__ = [
    "DB",
    "BackgroundError",
    "CorruptionError",
    "Error",
    "ErrorCode",
    "Family",
    "FamilyOptions",
    "IOError",
    "Iterator",
    "IteratorInvalidError",
    "PrefixedDB",
    "RawIterator",
    "Severity",
    "Snapshot",
    "WriteBatch",
    "__leveldb_version__",
    "__version__",
    "destroy_db",
    "library_path",
    "library_version",
    "list_families",
    "repair_db",
]
