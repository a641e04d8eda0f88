"""Type errors that a checker must find in a program. mypy reads this file; nothing runs it."""

from typing import Optional, Union

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
