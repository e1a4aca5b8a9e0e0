"""Expectations that are wrong in themselves: all of a table at once."""

from dbxdec import fraction, rows, unique
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager("lake", mode="append")
lake.table(
    "orders",
    mode="overwrite",
    expect={"now": "day < current_date", "empty": "", "number": 3, "": "id > 0", "one": unique("id")},
    expect_or_drop={"empty": "id > 0"},
    expect_or_fail={
        "keys": unique(),
        "twice": unique("id", "id"),
        "of": unique("id", of="table"),
        "rows": rows(at_least=3, at_most=2),
        "share": fraction("id > 0", at_most=50),
    },
    quarantine=lake.table("bad", mode="overwrite"),
)
