"""Iteration, which databases, parts of databases and snapshots have in common."""

from __future__ import annotations

from ctypes import c_char_p, c_int, c_size_t, c_uint64
from typing import Any, Literal, Optional, overload

from ._handles import BytesLike, OwnedHandle, bytes_of
from ._iterator import Iterator


class Ranges:
    """An object that can be iterated over, in total or by ranges."""

    def _iterator(self, verify_checksums: Any, fill_cache: Any, arguments: dict[str, Any]) -> Iterator[Any]:
        raise NotImplementedError

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return self.iterator()

    @overload
    def iterator(
        self,
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
    ) -> Iterator[tuple[bytes, bytes]]: ...

    @overload
    def iterator(
        self,
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
    ) -> Iterator[bytes]: ...

    @overload
    def iterator(
        self,
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
    ) -> Iterator[bytes]: ...

    @overload
    def iterator(
        self,
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
    ) -> Iterator[Any]: ...

    def iterator(
        self,
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
    ) -> Iterator[Any]:
        """Creates an iterator over the keys from `start` to `stop`, or over those that begin with `prefix`,
        of the current state.

        It yields pairs of key and value; only keys or only values if the other is not included, and `None`
        for each entry if neither is included. `reverse` starts at the upper end and moves backward.
        `fill_cache=False` keeps the blocks of a large scan out of the block cache.
        """
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
        return self._iterator(verify_checksums, fill_cache, arguments)


def arrays_of_ranges(ranges: tuple[tuple[BytesLike, BytesLike], ...]) -> list[Any]:
    """The arguments of a C function for the sizes of ranges: the number of ranges, four arrays of keys and
    lengths, and last the array for the sizes."""
    pairs = [(bytes_of(start, "start of a range"), bytes_of(stop, "stop of a range")) for start, stop in ranges]
    count = len(pairs)
    arguments: list[Any] = [c_int(count)]
    for side in zip(*pairs) if pairs else ((), ()):
        arguments += [(c_char_p * count)(*side), (c_size_t * count)(*map(len, side))]
    return [*arguments, (c_uint64 * count)()]


def options_or_default(handles: Any, verify_checksums: Any, fill_cache: Any) -> Optional[OwnedHandle]:
    """Read options of the latest state; None for the defaults."""
    if verify_checksums or not fill_cache:
        handle: OwnedHandle = handles.get(verify_checksums, fill_cache)
        return handle
    return None
