"""Type errors that a checker must find in a program. mypy reads this file; nothing runs it."""

from typing import Any, Optional, Union

import terrace

db = terrace.DB("x", create_if_missing=True)
missing: Optional[bytes] = db.get(b"a")
present: bytes = db.get(bytearray(b"a"), b"")
other: Union[bytes, int] = db.prefixed_db(b"p").get(memoryview(b"a"), 1)
pairs: list[tuple[bytes, bytes]] = list(db)
keys: list[bytes] = list(db.iterator(prefix=b"a", include_value=False))
values: list[bytes] = list(db.snapshot().iterator(include_key=False))
db.put("text", b"")  # type: ignore[arg-type]
db.get(1)  # type: ignore[call-overload]

family: terrace.Family = db.create_family("a", bloom_filter_bits=10, comparator=lambda a, b: 0)
of_family: Union[bytes, int] = family.get(b"a", 1)
with db.write_batch() as batch:
    batch.put(b"a", b"", family=family)
    batch.delete(b"a", family="a")
    batch.put(b"a", b"", family=b"a")  # type: ignore[arg-type]
all_pairs: list[terrace.Iterator[tuple[bytes, bytes]]] = db.iterators([family, db.family("b")])
all_keys: list[terrace.Iterator[bytes]] = db.iterators(["a", "b"], include_value=False)
view: terrace.Snapshot = family.snapshot().family("b")
options: terrace.FamilyOptions = {"block_size": 1 << 14, "comparator": None}
terrace.DB("x", families={"a": options, "b": {}}, language="rocksdb")
terrace.DB("x", families=terrace.list_families("x"))
wrong: terrace.FamilyOptions = {"max_open_files": 1}  # type: ignore[typeddict-unknown-key]
terrace.DB("x", families={"a": {"block_size": "1"}})  # type: ignore[typeddict-item]
db.create_family("a", max_open_files=1)  # type: ignore[call-arg]
anything: Any = db.drop_family("a")  # type: ignore[func-returns-value]
