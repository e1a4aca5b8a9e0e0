"""What the metadata at the end of a Parquet file says of its columns, and what of that a log may say."""

from __future__ import annotations

import datetime as dt
import io
import json
import struct
from typing import Any

import polars as pl
import pytest

from dbxdec.io_managers.delta.polars.direct import footer, statistics
from dbxdec.io_managers.delta.polars.direct.footer import Chunk


def stated(frame: pl.DataFrame, **options: Any) -> dict[str, Any]:
    """The statistics of a file with this frame, as Polars writes it."""
    file = io.BytesIO()
    frame.write_parquet(file, **options)
    data, tail = file.getvalue(), footer.TAIL
    size = footer.length(data[-tail:])
    return json.loads(statistics.of_file(frame.height, data[-tail - size : -tail], frame.schema))  # type: ignore[no-any-return]


def bounds(kind: Any, *chunks: Chunk) -> tuple[Any, Any]:
    """The bounds of a column of which a file says this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(footer, "chunks", lambda _: iter(chunks))
        found = json.loads(statistics.of_file(9, b"", {"x": kind}))
    return found["minValues"].get("x"), found["maxValues"].get("x")


def chunk(low: bytes | None, high: bytes | None, *, nulls: int | None = 0) -> Chunk:
    return Chunk(("x",), 3, nulls, low, high)


def test_bounds_are_those_of_all_row_groups() -> None:
    """Those without a value say nothing, and one null among values does not make such a group."""
    rows = [5, 6, None, None, None, None, None, 9, 1]
    found = stated(pl.DataFrame({"x": rows}), row_group_size=3)
    assert (found["minValues"], found["maxValues"], found["nullCount"]) == ({"x": 1}, {"x": 9}, {"x": 5})


def test_a_column_without_a_value_has_no_bounds() -> None:
    """Its nulls are counted all the same."""
    found = stated(pl.DataFrame({"x": [None, None, None]}, schema={"x": pl.Int64}), row_group_size=2)
    assert (found["minValues"], found["maxValues"], found["nullCount"]) == ({}, {}, {"x": 3})


def test_a_file_that_says_nothing_gives_no_bounds() -> None:
    """Nor a count of nulls."""
    found = stated(pl.DataFrame({"x": [1, 2]}), statistics=False)
    assert found == {"numRecords": 2, "minValues": {}, "maxValues": {}, "nullCount": {}}


def test_one_row_group_without_bounds_leaves_none() -> None:
    """It may have any value."""
    known = chunk(b"\x01" + bytes(7), b"\x02" + bytes(7))
    assert bounds(pl.Int64(), known) == (1, 2)
    assert bounds(pl.Int64(), known, chunk(None, None)) == (None, None)
    assert bounds(pl.Int64(), known, chunk(None, None, nulls=None)) == (None, None)
    assert bounds(pl.Int64(), known, chunk(None, None, nulls=3)) == (1, 2)


CUT = "ab\u00e4".encode()[:-1]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (b"a", b"b", ("a", "b")),
        (CUT, b"b", ("ab", "b")),
        (b"a", CUT, (None, None)),
        (b"a" * 64, b"b" * 64, ("a" * 64, "b" * 64)),
        (b"a" * 65, b"b", ("a" * 64, "b")),
        (b"a", b"b" * 65, (None, None)),
    ],
)
def test_a_string_that_is_cut_bounds_nothing_from_above(low: bytes, high: bytes, expected: tuple[Any, Any]) -> None:
    """What it is the beginning of comes after it. A writer may cut it inside of a character."""
    assert bounds(pl.String(), chunk(low, high)) == expected


@pytest.mark.parametrize(("kind", "far"), [(pl.Date(), 10**7), (pl.Datetime("us"), 10**18)])
def test_a_day_that_the_log_can_not_name_is_no_bound(kind: Any, far: int) -> None:
    """Years after 9999. The other bound holds all the same."""
    frame = pl.DataFrame({"x": pl.Series([0, far], dtype=pl.Int64).cast(pl.Int32 if kind == pl.Date else pl.Int64)})
    found = stated(frame.cast({"x": kind}))
    assert dt.datetime.fromisoformat(found["minValues"]["x"]) == dt.datetime(1970, 1, 1)
    assert found["maxValues"] == {}


# Thrift's compact protocol, of which Parquet's metadata is made.
_TRUE, _BYTE, _I32, _I64, _DOUBLE, _BINARY, _LIST, _MAP, _STRUCT = 1, 3, 5, 6, 7, 8, 9, 11, 12


def varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def struct_of(*fields: tuple[int, int, bytes]) -> bytes:
    """A struct of fields with their ids, types and values; each id in its long form."""
    return b"".join(bytes([kind]) + varint(id_ << 1) + value for id_, kind, value in fields) + b"\0"


def list_of(kind: int, *values: bytes) -> bytes:
    size = len(values)
    head = bytes([size << 4 | kind]) if size < 15 else bytes([0xF0 | kind]) + varint(size)
    return head + b"".join(values)


def text(value: bytes) -> bytes:
    return varint(len(value)) + value


def test_fields_of_any_type_are_passed_over() -> None:
    """Parquet gets new ones, and those that are used come after them."""
    unknown = [
        (101, _DOUBLE, struct.pack("<d", 1.5)),
        (102, _MAP, varint(2) + bytes([_I32 << 4 | _BINARY]) + b"\x02" + text(b"a") + b"\x04" + text(b"b")),
        (103, _MAP, varint(0)),
        (104, _LIST, list_of(_TRUE, *[b"\1", b"\2"] * 10)),
        (105, _BYTE, b"\x07"),
        (106, _TRUE, b""),
        (107, _LIST, list_of(_DOUBLE, struct.pack("<d", 2.5))),
        (108, _STRUCT, struct_of((1, _BINARY, text(b"x" * 200)))),
    ]
    said = struct_of(*unknown, (3, _I64, varint(7 << 1)), (5, _BINARY, text(b"z")), (6, _BINARY, text(b"a")))
    path = list_of(_BINARY, text(b"x"), text(b"y"))
    codec, values = varint(1 << 1), varint(300 << 1)
    facts = struct_of(*unknown, (3, _LIST, path), (4, _I32, codec), (5, _I64, values), (12, _STRUCT, said))
    column = struct_of(*unknown, (3, _STRUCT, facts))
    group = struct_of(*unknown, (1, _LIST, list_of(_STRUCT, *[column] * 20)))
    found = list(footer.chunks(struct_of(*unknown, (4, _LIST, list_of(_STRUCT, group)))))
    assert found == [Chunk(("x", "y"), 300, 7, b"a", b"z")] * 20


@pytest.mark.parametrize("kind", [0, 13, 15])
def test_a_type_that_thrift_does_not_have_is_an_error(kind: int) -> None:
    """Nothing after it can be read."""
    with pytest.raises(ValueError, match=f"has no type {kind}"):
        list(footer.chunks(struct_of((4, _LIST, list_of(kind, b"\1")))))


def test_other_files_are_no_parquet() -> None:
    """They end otherwise."""
    with pytest.raises(ValueError, match="not a Parquet file"):
        footer.length(b"\4\0\0\0PAR2")
