"""Contracts that are schemas of dataframely."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.io_managers.contracts.structure import Column, Structure, Verdict
from dbxdec.io_managers.polars_frames import named

if TYPE_CHECKING:
    import polars as pl

    from dbxdec.model.contracts import Contract


def structure(contract: Contract) -> Structure:
    """Return what the schema asks for. Columns that it lacks are no part of a result, but may be read along."""
    columns = tuple(_column(name, one) for name, one in contract.schema.columns().items())
    return Structure(contract, columns, "refused", "kept", None, lambda frame: _verdicts(contract.schema, frame))


def _column(name: str, column: Any) -> Column:
    import polars as pl

    def accepts(given: Any) -> bool:
        return bool(column.validate_dtype(given))

    integers = (*(pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64()), *(pl.UInt8(), pl.UInt16(), pl.UInt32(), pl.UInt64()))
    dtype = column.dtype
    families: dict[str, tuple[str, Any]] = {
        "Any": ("any type", ()),
        "Integer": ("any integer", tuple(kind for kind in integers if accepts(kind))),
        "Float": ("any float", (pl.Float32(), pl.Float64())),
    }
    text, kinds = families.get(type(column).__name__, (str(dtype), (dtype,)))
    return Column(name, text, bool(column.nullable), accepts, kinds)


def _verdicts(schema: Any, frame: pl.LazyFrame) -> list[Verdict]:
    _, failure = schema.filter(frame)  # without names in older versions
    rules, rows = getattr(failure, "_rule_columns", None), getattr(failure, "_lf", None)
    if rules is None or rows is None:
        return [Verdict(rule, count) for rule, count in failure.counts().items()]  # it tells broken ones alone
    if not rules:
        return []
    # `counts` would hold all rows that break a rule.
    counts = rows.select((~named(rule)).sum() for rule in rules).collect(engine="streaming").row(0, named=True)
    return [Verdict(rule, count or 0) for rule, count in counts.items()]
