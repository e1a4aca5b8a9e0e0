"""Prints the tables that the jobs have written below a folder: `python show_tables.py lake`."""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

# Times of the day, which the data has as numbers: 1258 is 12:58.
CLOCKS = ("dep_time", "sched_dep_time", "arr_time", "sched_arr_time")


def clock(name: str) -> pl.Expr:
    """A column of such numbers as times."""
    digits = pl.col(name).cast(pl.Int64).cast(pl.String).str.zfill(4)
    return pl.concat_str(digits.str.head(2), pl.lit(":"), digits.str.tail(2)).alias(name)


def show(path: Path, rows: int = 5) -> None:
    """The table's place and size, and its first rows: the largest carriers first where it counts flights."""
    table = pl.read_delta(str(path))
    print(f"\n{path.absolute()}: {table.height:,} rows")
    if "flights" in table.columns:
        table = table.sort("flights", descending=True)
    table = table.drop("year", strict=False)  # the date says it
    table = table.with_columns(clock(name) for name in CLOCKS if name in table.columns)
    with pl.Config(
        tbl_rows=rows,
        tbl_cols=8,
        tbl_width_chars=120,
        tbl_hide_column_data_types=True,
        tbl_hide_dataframe_shape=True,
        thousands_separator=",",
    ):
        print(table.head(rows))


def main(lake: Path) -> None:
    """Every Delta table below the jobs' folders."""
    for job in ("daily_delays", "departures", "yearly_summary"):
        for log in sorted((lake / job).glob("*/_delta_log")):
            show(log.parent)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "lake"))
