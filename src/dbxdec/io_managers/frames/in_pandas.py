"""pandas' frames, whose columns are Arrow's: nulls stay nulls, so that integers beside them stay integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, RunError
from dbxdec.io_managers.base import log
from dbxdec.io_managers.frames import in_arrow, in_objects

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    import polars as pl
    import pyarrow as pa


def frame(found: pl.DataFrame) -> pd.DataFrame:
    """Return a frame of Polars as one of pandas, with columns of `pd.ArrowDtype`."""
    return found.to_pandas(use_pyarrow_extension_array=True)


def of_frame(found: pd.DataFrame, what: str) -> pl.DataFrame:
    """Return a frame of pandas as one of Polars. `what` describes it in errors.

    Raises RunError, with all problems, for an index that says something, for columns without a name of their own, and
    for columns of which Arrow can't make one type.
    """
    import pyarrow as pa

    if problems := [*_of_index(found), *_of_names(found)]:
        raise RunError([Problem(f"{what} {one.message}", hint=one.hint) for one in problems])
    in_arrow.refuse_repeated(found.columns, what)
    arrays, wrong = {}, {}
    for name in found.columns:
        try:
            arrays[name] = pa.array(found[name], from_pandas=True)
            if (change := _changed(found[name], arrays[name])) is not None:
                wrong[name] = f"{found[name].dtype}, {change}"
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            wrong[name] = f"{found[name].dtype}, {str(error).splitlines()[0]}"
    if wrong:
        raise in_arrow.unfit(wrong, what)
    return in_arrow.of_table(pa.table(arrays), what)


def _changed(column: pd.Series[Any], array: pa.Array | pa.ChunkedArray) -> str | None:
    """Return what a value of a column would become in its array, if that is another one."""
    import pandas as pd
    import pyarrow as pa

    if isinstance(column.dtype, pd.CategoricalDtype):
        categories = column.cat.categories.to_series()
        return _changed(categories, pa.array(categories, from_pandas=True))
    return in_objects.changed(column, array) if column.dtype == object else None


def _of_index(found: pd.DataFrame) -> Iterator[Problem]:
    """Yield a problem if the index has more than numbers of rows."""
    import pandas as pd

    index = found.index
    named = [name for name in index.names if name is not None]
    if not named and index.nlevels == 1 and (pd.api.types.is_integer_dtype(index.dtype) or not len(index)):
        if not index.equals(pd.RangeIndex(len(index))):
            log.info("the index of the pandas frame has no name and counts rows: it is not stored")
        return
    what = f"the index {', '.join(map(repr, named))}" if named else f"an index of the type {index.dtype}"
    yield Problem(
        f"has {what}, which would be lost",
        hint="return `frame.reset_index()`, which makes a column of it, or `frame.reset_index(drop=True)`",
    )


def _of_names(found: pd.DataFrame) -> Iterator[Problem]:
    if found.columns.nlevels > 1:
        yield Problem("has columns of several levels", hint="give each column one name: `frame.columns = [...]`")
    elif wrong := [name for name in found.columns if not isinstance(name, str)]:
        yield Problem(
            f"has columns whose names are no strings: {_shown(wrong)}",
            hint="rename them: `frame.columns = frame.columns.map(str)`",
        )


def _shown(names: list[Any]) -> str:
    return ", ".join(f"{name!r}" for name in names[:10])
