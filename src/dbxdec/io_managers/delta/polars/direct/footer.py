"""The column statistics at the end of a Parquet file (Parquet format, "File format" and "Metadata").

The metadata uses Thrift's compact protocol. This reads all of it, and names the few fields that are used.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

TAIL = 8
_MAGIC = b"PAR1"

# Types of Thrift's compact protocol.
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)

# Fields of FileMetaData, RowGroup, ColumnChunk, ColumnMetaData and Statistics in parquet.thrift.
_ROW_GROUPS = 4
_COLUMNS = 1
_META_DATA = 3
_PATH, _VALUES, _STATISTICS = 3, 5, 12
_NULLS, _MAX, _MIN = 3, 5, 6


@dataclass(frozen=True, slots=True)
class Chunk:
    """One leaf column in one row group.

    `path` is its path in the schema, and `values` its number of values, nulls included. `low` and `high` are bounds in
    Parquet's plain encoding; None if the statistics have none.
    """

    path: tuple[str, ...]
    values: int
    nulls: int | None
    low: bytes | None
    high: bytes | None


def length(tail: bytes) -> int:
    """Return the number of bytes of metadata before the last eight bytes of a file, which are `tail`.

    Raises ValueError if the file is not a Parquet file.
    """
    size, magic = struct.unpack("<I4s", tail)
    if magic != _MAGIC:
        raise ValueError("not a Parquet file")
    return int(size)


def chunks(metadata: bytes) -> Iterator[Chunk]:
    """Yield all column chunks, row group by row group."""
    found = _Reader(metadata).structure()
    for group in found.get(_ROW_GROUPS, ()):
        for column in group[_COLUMNS]:
            facts = column[_META_DATA]
            statistics = facts.get(_STATISTICS, {})
            yield Chunk(
                tuple(part.decode() for part in facts[_PATH]),
                facts[_VALUES],
                statistics.get(_NULLS),
                statistics.get(_MIN),
                statistics.get(_MAX),
            )


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def structure(self) -> dict[int, Any]:
        """Return a struct: its values by the ids of their fields."""
        fields: dict[int, Any] = {}
        field = 0
        while True:
            head = self._data[self._at]
            self._at += 1
            if head == 0:
                return fields
            kind, step = head & 0x0F, head >> 4
            field = field + step if step else _signed(self._varint())
            if kind in (_TRUE, _FALSE):
                fields[field] = kind == _TRUE
            else:
                fields[field] = self._value(kind)

    def _value(self, kind: int) -> Any:
        if kind in (_I16, _I32, _I64):
            return _signed(self._varint())
        if kind == _BINARY:
            size = self._varint()
            self._at += size
            return self._data[self._at - size : self._at]
        if kind == _STRUCT:
            return self.structure()
        if kind in (_LIST, _SET):
            head = self._data[self._at]
            self._at += 1
            size, kind = head >> 4, head & 0x0F
            if size == 0x0F:
                size = self._varint()
            return [self._value(kind) for _ in range(size)]
        if kind == _DOUBLE:
            self._at += 8
            return struct.unpack_from("<d", self._data, self._at - 8)[0]
        if kind in (_TRUE, _FALSE, _BYTE):
            self._at += 1
            return self._data[self._at - 1]
        if kind == _MAP:
            size = self._varint()
            if not size:
                return {}
            kinds = self._data[self._at]
            self._at += 1
            return {self._value(kinds >> 4): self._value(kinds & 0x0F) for _ in range(size)}
        raise ValueError(f"Thrift's compact protocol has no type {kind}")

    def _varint(self) -> int:
        result = shift = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                return result
            shift += 7


def _signed(value: int) -> int:
    """Return the signed form of a zigzag-encoded `value`."""
    return (value >> 1) ^ -(value & 1)
