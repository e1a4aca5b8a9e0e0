"""The frame that a task is given for an annotation, and the Polars frame of what it returns."""

from __future__ import annotations

import typing
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.io_managers.frames import KINDS, NARWHALS, NARWHALS_LAZY, PANDAS, READER, RELATION, TABLE, require
from dbxdec.model.annotations import is_union
from dbxdec.model.typehints import type_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    import polars as pl

    from dbxdec.io_managers.contexts import InputContext, ItemWrite

_EAGER, _LAZY = "polars.DataFrame", "polars.LazyFrame"


def asked(annotation: Any) -> tuple[str, Any]:
    """Return the kind of frame that an annotation asks for, and the part of it that does.

    Of several it is a LazyFrame if that is one of them, otherwise the first; without any, a LazyFrame.
    """
    members = typing.get_args(annotation) if is_union(annotation) else (annotation,)
    named = {type_name(member): member for member in members if member is not None}
    if _LAZY in named:
        return _LAZY, named[_LAZY]
    return next(((name, one) for name, one in named.items() if name in KINDS or name == _EAGER), (_LAZY, None))


def given(
    frame: pl.LazyFrame, context: InputContext, reading: Callable[[], AbstractContextManager[Any]] = nullcontext
) -> Any:
    """Return the rows of `frame` as the reader's annotation asks for them.

    `reading` gives a context in which rows are read at once. Raises RunError for a library that is missing, and for
    columns of types that the asked kind of frame does not have.
    """
    kind, annotation = asked(context.annotation)
    if kind == _LAZY:
        return frame
    require([kind])
    if kind == RELATION:
        from dbxdec.io_managers.frames import in_duckdb

        return in_duckdb.relation(frame, context.parameter)
    if kind in (NARWHALS, NARWHALS_LAZY):
        from dbxdec.io_managers.frames import in_narwhals

        return in_narwhals.frame(frame if kind == NARWHALS_LAZY else _collected(frame, reading), annotation)
    if kind == _EAGER:
        return _collected(frame, reading)
    from dbxdec.io_managers.frames import in_arrow

    in_arrow.refuse_unknown(frame.collect_schema(), context.parameter, "pyarrow")
    if kind == READER:
        return in_arrow.reader(frame)
    found = _collected(frame, reading)
    if kind == TABLE:
        return found.to_arrow()
    from dbxdec.io_managers.frames import in_pandas

    return in_pandas.frame(found)


def of_items(read: Callable[..., Any], context: InputContext, items: Sequence[ItemWrite], *, apart: bool) -> Any:
    """Return what `IoManager.read_items` gives, called with frames of Polars where it makes one of all of them."""
    if apart:
        return read(context, items, apart=True)
    return given(read(replace(context, annotation=None), items, apart=False), context)


def _collected(frame: pl.LazyFrame, reading: Callable[[], AbstractContextManager[Any]]) -> pl.DataFrame:
    with reading():
        return frame.collect()


def kind_of(value: Any) -> str | None:
    """Return which of the kinds of frames a value is; None for any other."""
    return next((name for base in type(value).__mro__ if (name := type_name(base)) in KINDS), None)


def taken(value: Any, what: str) -> Any:
    """Return the Polars frame of a frame that a task has returned; any other value as it is.

    `what` describes it in errors, such as "what the task `x` returned". A LazyFrame of a reader can be run once, that
    of a relation as long as its connection is open. Raises RunError for columns that can't be stored.
    """
    kind = kind_of(value)
    if kind is None:
        return value
    require([kind])
    if kind in (NARWHALS, NARWHALS_LAZY):
        from dbxdec.io_managers.frames import in_narwhals

        return taken(in_narwhals.native(value), what)
    if kind == RELATION:
        from dbxdec.io_managers.frames import in_duckdb

        return in_duckdb.of_relation(value, what)
    if kind == PANDAS:
        from dbxdec.io_managers.frames import in_pandas

        return in_pandas.of_frame(value, what)
    from dbxdec.io_managers.frames import in_arrow

    return in_arrow.of_reader(value, what) if kind == READER else in_arrow.of_table(value, what)
