"""New rows of a table in memory, and the position of a task: as a Delta table's log tells it.

There are no files, so what a version has done to rows is seen by comparing it with the one before: rows that are gone
were deleted, others were inserted. A table in memory has a change data feed for those who ask for changes.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.delta import source_commits
from dbxdec.io_managers.delta.polars import last_changes
from dbxdec.io_managers.delta.progress import Cursor, Standing
from dbxdec.io_managers.delta.spark import last_changes as spark_last_changes
from dbxdec.model.changes import CHANGE, FEED, MOMENT, VERSION
from dbxdec.model.typehints import type_name
from dbxdec.records import dataclass
from dbxdec.testing.lake import NOTHING, cleared

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from dbxdec.io_managers.contexts import InputContext
    from dbxdec.io_managers.delta.progress import Consumer
    from dbxdec.io_managers.positions import Span
    from dbxdec.model.changes import Changes
    from dbxdec.testing.lake import Version

_PLACE = "__place"


def standing(versions: Sequence[Version], consumer: Consumer) -> Standing:
    """Return how far a consumer has read, by the versions of the table that it writes."""
    newest = next((version.content for version in reversed(versions) if version.content is not NOTHING), NOTHING)
    if newest is NOTHING:
        return Standing()
    known = [version.progress for version in versions if version.progress is not None]
    own = [one for one in known if one.consumer == consumer.base]
    cursor = (
        None if not own else Cursor(own[-1].epoch, own[-1].number, own[-1].read, None, own[-1].absent, own[-1].nothing)
    )
    return Standing(
        version=len(versions) - 1,
        cursor=cursor,
        has_rows=not _is_empty(newest),
        is_shared=any(consumer.is_beside(one.identifier) for one in known) or _is_shared(versions, consumer),
    )


def _is_shared(versions: Sequence[Version], consumer: Consumer) -> bool:
    """Return whether all rows are of tasks that share the table with the consumer."""
    writers = [one.writer for one in versions if one.content is not NOTHING and not one.kept]
    return bool(consumer.others) and all(one is not None and (one.job, one.task) in consumer.others for one in writers)


def _is_empty(frame: Any) -> bool:
    height = getattr(frame, "height", None)
    return height == 0 if height is not None else not frame.head(1)


def read(versions: Sequence[Version], context: InputContext, changes: Changes, span: Span) -> Any:
    """Return the new rows of a table, and tell the reader's log line what they are."""
    end = _content(versions, span.until)
    spark = type_name(type(end)).startswith("pyspark.")
    rows: _Frames = _OfSpark() if spark else _OfPolars()
    if not spark and type_name(type(end)) != "polars.DataFrame":
        raise RunError(
            f"the table at {context.uri} is a {type_name(type(end))} in this test, and `{context.parameter}` reads "
            "what is new in it",
            hint="give the test a frame of Polars or Spark",
        )
    if changes.kind != "rows":
        source_commits.refuse_taken_names(end.columns, FEED, context, changes.kind)
        source_commits.refuse_missing_keys(end.columns, changes.by, context)
    parts = [] if span.is_empty else list(_parts(versions, context, changes, span, rows))
    context.tell(version=span.until, rows=None if parts else 0, note=span.text)
    found = rows.together([cleared(rows.marked(end, "insert", span.until, versions[span.until])), *parts])
    if changes.kind == "rows":
        return rows.only(found, end.columns)
    if changes.kind == "feed":
        return rows.only(found, [*end.columns, *FEED])
    return rows.only(rows.latest(found, changes.by, context), [*end.columns, CHANGE])


def _content(versions: Sequence[Version], number: int) -> Any:
    """Return the table at a version; writes that stored nothing left it alone."""
    return next((one.content for one in reversed(versions[: number + 1]) if one.content is not NOTHING), NOTHING)


def _parts(
    versions: Sequence[Version], context: InputContext, changes: Changes, span: Span, rows: _Frames
) -> Iterator[Any]:
    if span.after is None:
        if not _is_empty(whole := _content(versions, span.until)):
            yield rows.marked(whole, "insert", span.until, versions[span.until])
        return
    for number in range(span.after + 1, span.until + 1):
        version = versions[number]
        if version.content is NOTHING or version.kept:
            continue
        before = _content(versions, number - 1)
        deleted, inserted = rows.compared(before, version.content)
        is_rewrite = deleted is not None
        if is_rewrite and changes.on_rewrite == "skip" and changes.kind == "rows":
            continue
        if is_rewrite and changes.kind == "rows":
            raise RunError(
                f"version {number} of {context.uri} deletes or changes rows, and `{context.parameter}` reads the rows "
                "that are new there: without a change data feed such a version is refused",
                hint='leave such versions out (`.changes(on_rewrite="skip")`), or read the changes themselves: '
                '`kind="feed"`, `kind="latest"`',
            )
        if is_rewrite:
            yield rows.marked(deleted, "delete", number, version)
        if inserted is not None:
            yield rows.marked(inserted, "insert", number, version)


class _Frames:
    """The frames of one engine."""

    def compared(self, before: Any, after: Any) -> tuple[Any, Any]:
        """Return the rows that are gone, and those that came; None for none."""
        raise NotImplementedError

    def marked(self, frame: Any, kind: str, number: int, version: Version) -> Any:
        """Return rows with the columns of a feed."""
        raise NotImplementedError

    def together(self, frames: list[Any]) -> Any:
        """Return all rows, with the columns of the first frame."""
        raise NotImplementedError

    def only(self, frame: Any, columns: Sequence[str]) -> Any:
        """Return a frame with only these columns."""
        return frame.select(columns)

    def latest(self, frame: Any, by: Sequence[str], context: InputContext) -> Any:
        """Return the last change of each key."""
        raise NotImplementedError


@dataclass(frozen=True)
class _OfPolars(_Frames):
    def compared(self, before: pl.DataFrame, after: pl.DataFrame) -> tuple[Any, Any]:
        import polars as pl

        if not set(before.columns) <= set(after.columns):  # a column is gone: no row is what it was
            return before, after
        # A new column is null in older rows.
        new = [pl.lit(None, after.schema[name]).alias(name) for name in after.columns if name not in before.columns]
        before = before.with_columns(new).select(after.columns)
        # By their shown form: cells may be lists.
        there, here = (list(map(repr, frame.rows())) for frame in (before, after))
        gone, came = _beyond(there, here), _beyond(here, there)
        return before[gone] if gone else None, after[came] if came else None

    def marked(self, frame: pl.DataFrame, kind: str, number: int, version: Version) -> pl.DataFrame:
        import polars as pl

        return frame.with_columns(
            pl.lit(kind).alias(CHANGE),
            pl.lit(number, pl.Int64).alias(VERSION),
            pl.lit(version.moment, pl.Datetime("us", "UTC")).alias(MOMENT),
        )

    def together(self, frames: list[pl.DataFrame]) -> pl.DataFrame:
        import polars as pl

        return pl.concat(frames, how="diagonal")

    def latest(self, frame: pl.DataFrame, by: Sequence[str], context: InputContext) -> pl.DataFrame:
        numbered = frame.lazy().with_row_index(_PLACE)
        return last_changes.of(numbered, by, context).collect().sort(_PLACE)


def _beyond(some: list[str], others: list[str]) -> list[int]:
    """Return the numbers of the rows of `some` that `others` does not have as often."""
    left = Counter(others)
    found = []
    for number, row in enumerate(some):
        if left[row]:
            left[row] -= 1
        else:
            found.append(number)
    return found


@dataclass(frozen=True)
class _OfSpark(_Frames):
    def compared(self, before: Any, after: Any) -> tuple[Any, Any]:
        gone, new = before.exceptAll(after), after.exceptAll(before)
        return gone if gone.head(1) else None, new if new.head(1) else None

    def marked(self, frame: Any, kind: str, number: int, version: Version) -> Any:
        from pyspark.sql import functions

        moment = functions.lit(version.moment).cast("timestamp")
        named = frame.withColumn(CHANGE, functions.lit(kind)).withColumn(VERSION, functions.lit(number).cast("long"))
        return named.withColumn(MOMENT, moment)

    def together(self, frames: list[Any]) -> Any:
        first, *others = frames
        for other in others:
            first = first.unionByName(other, allowMissingColumns=True)
        return first

    def latest(self, frame: Any, by: Sequence[str], context: InputContext) -> Any:
        return spark_last_changes.of(frame, by, context)
