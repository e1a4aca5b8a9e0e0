"""The rows of a Delta table that are new to a task, for a reader through Polars."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.delta import source_commits, stored_names
from dbxdec.io_managers.delta.polars import column_values, last_changes, scan, spellings, table_log
from dbxdec.io_managers.delta.polars.outline import Outline
from dbxdec.io_managers.delta.source_commits import SourceCommit
from dbxdec.io_managers.polars_frames import named
from dbxdec.model.changes import CHANGE, FEED, MOMENT, VERSION
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import polars as pl
    from deltalake import DeltaTable

    from dbxdec.io_managers.contexts import InputContext
    from dbxdec.io_managers.delta.source_commits import Reading
    from dbxdec.io_managers.positions import Span
    from dbxdec.model.changes import Changes

_AT_ONCE = 16
_INSERT, _DELETE = "insert", "delete"
_ADDED = (_INSERT, "update_postimage")


@dataclass(frozen=True)
class Wanted:
    """A reader's request: a span of versions of a table, and the kind of changes that it wants of them."""

    context: InputContext
    changes: Changes
    span: Span

    def told(self, frame: pl.LazyFrame, rows: int | None) -> pl.LazyFrame:
        """Tell the reader's log line what it gets."""
        self.context.tell(version=self.span.until, rows=rows, note=self.span.text)
        return frame


@dataclass(frozen=True)
class NewRows:
    """The new rows of a table; `source` is its newest version, and `open_` gives a handle with all of its files."""

    source: Outline
    wanted: Wanted
    open_: Callable[[], DeltaTable]

    def frame(self) -> pl.LazyFrame:
        """Return the rows, and tell the reader's log line what they are. Raises RunError if they can't be read."""
        wanted = self.wanted
        span, changes = wanted.span, wanted.changes
        if changes.kind != "rows":
            source_commits.refuse_taken_names(self._end.schema, FEED, wanted.context, changes.kind)
            source_commits.refuse_missing_keys(self._end.schema, changes.by, wanted.context)
        if span.skips or span.is_empty:
            return wanted.told(self._none(), 0)
        if span.after is None:
            table = table_log.at_version(self.open_(), span.until, wanted.context.uri)
            return wanted.told(self._shaped(self._with_feed(scan.scan(table))), None if table.file_uris() else 0)
        reading = self._reading()
        if reading.is_empty or not self._names_files(reading):
            return wanted.told(self._none(), 0)
        self._refuse_gone(reading)
        rows = reading.rows if changes.kind != "latest" else None
        if rows is None and changes.kind == "rows" and not self._adds(reading):
            rows = 0
        return wanted.told(self._shaped(self._of(reading)), rows)

    def behind(self) -> dict[str, int]:
        """Return how many rows the commits of the span have added, and when the first of these was made, in ms.

        What a log that has been cleaned up does not tell is left out.
        """
        try:
            commits = self._commits()
        except RunError:
            return {}
        # Of commits that rewrite rows the files tell no number of new ones.
        told = [commit for commit in commits if commit.added or commit.is_rewrite]
        counts = [None if commit.is_rewrite else commit.rows for commit in told]
        known = [count for count in counts if count is not None]
        found = {"rows": sum(known)} if len(known) == len(counts) else {}
        moments = [commit.moment for commit in told if commit.moment is not None]
        return {**found, **({"since": min(moments)} if moments else {})}

    @cached_property
    def _end(self) -> Outline:
        """The table at the end of the span."""
        until, newest = self.wanted.span.until, self.source.version
        if until == newest or not self.source.log.has(("metaData",), above=until):
            return self.source
        return Outline.of_table(table_log.at_version(self.open_(), until, self.wanted.context.uri))

    @property
    def _log(self) -> table_log.Log:
        return self.source.log

    def _none(self) -> pl.LazyFrame:
        import polars as pl

        return self._shaped(self._with_feed(pl.LazyFrame(schema=self._end.schema)))

    def _commits(self) -> list[SourceCommit]:
        """Return the commits of the span. Raises RunError if one of them is gone."""
        span = self.wanted.span
        after = -1 if span.after is None else span.after
        self._log.load(range(after + 1, self.source.version + 1))
        commits = []
        for version in range(after + 1, span.until + 1):
            lines = self._log.lines(version)
            if lines is None:
                raise source_commits.gone(self.wanted.context, version, "its log has been cleaned up")
            commits.append(SourceCommit.of_lines(version, lines))
        return commits

    def _reading(self) -> Reading:
        """Return how each commit of the span is read. Raises RunError if one of them is gone or refused."""
        context, after, commits = self.wanted.context, self.wanted.span.after or 0, self._commits()
        redefined = [commit.metadata for commit in commits if commit.metadata is not None]
        before = self._end.properties
        if redefined:
            try:
                start = Outline.of_table(table_log.at_version(self.open_(), after, context.uri))
            except RunError as error:
                raise source_commits.gone(context, after, "its log has been cleaned up") from error
            before = start.properties
            schemas = [start.schema_json, *(str(one["schemaString"]) for one in redefined)]
            source_commits.refuse_lost_columns(schemas, self._end.schema_json, context)
        fed = source_commits.feeds(commits, before)
        found = source_commits.reading(commits, context, self.wanted.changes, fed)
        renamed = stored_names.of_other_names(commits, *map(_names, (start, self._end))) if redefined else ()
        for commit in (*found.by_files, *found.by_feed):
            if commit.version in renamed:
                raise source_commits.named_otherwise(context, commit.version)
        return found

    def _refuse_gone(self, reading: Reading) -> None:
        """Raise RunError if a file of the span is gone; only files that a commit of or after the span dropped can be.

        Compaction drops files whose rows are new, and VACUUM then removes them.
        """
        source = self.source
        later = range(self.wanted.span.until + 1, source.version + 1)
        dropped = {path for commit in reading.commits for path in commit.dropped}
        dropped |= {action["remove"]["path"] for v in later for action in self._log.actions(v, "remove")}
        wanted = [(commit.version, action["path"]) for commit, action, _ in self._files(reading)]
        wanted += [(commit.version, action["path"]) for commit in reading.by_feed for action in commit.changes]
        asked = [(v, scan.place_of(source.root, p)) for v, p in wanted if p in dropped or p.startswith("_change_data")]
        if not asked:
            return
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            there = list(pool.map(lambda one: table_log.exists(one[1], source.storage_options), asked))
        for (version, place), is_there in zip(asked, there, strict=True):
            if not is_there:
                raise source_commits.gone(self.wanted.context, version, f"{place} has been vacuumed")

    def _names_files(self, reading: Reading) -> bool:
        """Return whether there is a file to read: whole files that were deleted have no new rows."""
        return any(commit.changes for commit in reading.by_feed) or any(True for _ in self._files(reading))

    def _files(self, reading: Reading) -> Iterable[tuple[SourceCommit, Mapping[str, Any], str]]:
        """Yield the files whose rows all had the same change, with their commits and the kind of the change."""
        may_be_parted = bool(self._end.partitions) or any(commit.metadata is not None for commit in reading.commits)
        for commit in reading.by_files:
            self._refuse_marked(commit)
            yield from ((commit, add, _INSERT) for add in commit.added)
        for commit in reading.by_feed:
            if commit.changes:
                continue
            self._refuse_marked(commit)
            if self.wanted.changes.kind != "rows":
                for remove in commit.removed:
                    if remove.get("partitionValues") is None and may_be_parted:  # they are optional there
                        raise source_commits.untold(self.wanted.context, commit.version, remove["path"])
                    yield commit, remove, _DELETE
            yield from ((commit, add, _INSERT) for add in commit.added)

    def _refuse_marked(self, commit: SourceCommit) -> None:
        """Raise RunError for a commit that marks single rows of its files as deleted."""
        context = self.wanted.context
        if commit.marks_rows:
            raise RunError(
                f"version {commit.version} of {context.uri} marks single rows as deleted (deletion vectors), and "
                f"Polars can't tell `{context.parameter}` which",
                hint="annotate the parameter as a Spark DataFrame, or turn deletion vectors off on the source "
                "(`delta.enableDeletionVectors`)",
            )

    def _adds(self, reading: Reading) -> bool:
        """Return whether there is a row that was added. Of the feed's files it reads the kinds of changes alone."""
        import polars as pl

        if any(True for _ in self._files(reading)):
            return True
        fed = [action for commit in reading.by_feed for action in commit.changes]
        kinds = self._scan(fed, [], (), pl.Schema({**self._end.schema, CHANGE: pl.String()})).select(CHANGE)
        return kinds.filter(pl.col(CHANGE).is_in(_ADDED)).head(1).collect().height > 0

    def _of(self, reading: Reading) -> pl.LazyFrame:
        """Return all changes of the span, with the columns of the feed; for `kind="rows"` only what was added."""
        import polars as pl

        schema, only_rows = self._end.schema, self.wanted.changes.kind == "rows"
        kinds = pl.Schema({**schema, CHANGE: pl.String(), VERSION: pl.Int64(), MOMENT: _moment_type()})
        files = list(self._files(reading))
        frames = []
        if files:
            actions = [action for _, action, _ in files]
            constants = [(kind, commit.version, _moment(commit.moment)) for commit, _, kind in files]
            frames.append(
                self._scan(actions, [], (), schema) if only_rows else self._scan(actions, constants, FEED, kinds)
            )
        fed = [(commit, action) for commit in reading.by_feed for action in commit.changes]
        if fed:
            stamps = [(commit.version, _moment(commit.moment)) for commit, _ in fed]
            rows = self._scan([action for _, action in fed], stamps, (VERSION, MOMENT), kinds)
            added = pl.col(CHANGE).is_in(_ADDED)
            frames.append(rows.filter(added).select(map(named, schema)) if only_rows else rows)
        return pl.concat(frames)

    def _scan(
        self,
        actions: Sequence[Mapping[str, Any]],
        constants: Sequence[tuple[Any, ...]],
        names: Sequence[str],
        schema: pl.Schema,
    ) -> pl.LazyFrame:
        """Return the rows of files, with the same values in all rows of a file for the columns `names`.

        A commit of the span may have changed by which columns the table is partitioned: each file lacks those of its
        own time.
        """
        import polars as pl

        kinds: dict[tuple[str, ...], list[int]] = {}
        for number, action in enumerate(actions):
            partitions = tuple(sorted(name for name in action.get("partitionValues") or {} if name in schema))
            kinds.setdefault(partitions, []).append(number)
        return pl.concat(
            self._scan_alike(
                [actions[number] for number in numbers],
                partitions,
                [constants[number] for number in numbers] if names else [],
                names,
                schema,
            )
            for partitions, numbers in kinds.items()
        )

    def _scan_alike(
        self,
        actions: Sequence[Mapping[str, Any]],
        partitions: Sequence[str],
        constants: Sequence[tuple[Any, ...]],
        names: Sequence[str],
        schema: pl.Schema,
    ) -> pl.LazyFrame:
        """Return the rows of files that are all partitioned by the same columns."""
        import polars as pl

        root, options = self.source.root, self.source.storage_options
        files = {"place": pl.Series([scan.place_of(root, one["path"]) for one in actions], dtype=pl.String())}
        for name in partitions:
            texts = [one["partitionValues"][name] for one in actions]
            files[scan.PARTITION + name] = column_values.of_partition(texts, schema[name])
        for number, name in enumerate(names):
            files[scan.PARTITION + name] = pl.Series([one[number] for one in constants], dtype=schema[name])
        found = pl.DataFrame(files)
        stored = {name: kind for name, kind in schema.items() if name in self._end.schema and name not in partitions}
        asked = [
            place
            for place, one in zip(files["place"], actions, strict=True)
            if spellings.is_doubtful(one, stored, self._end.properties)
        ]
        spelled = spellings.of_files(dict.fromkeys(asked), stored, options)
        if files["place"].n_unique() == found.height:
            return scan.scan_places(found, schema, options, spelled=spelled)
        # A file that was added and later removed is in two changes, and the scan knows its rows by their place.
        layer = pl.int_range(pl.len()).over("place").alias("layer")
        layers = found.with_columns(layer).partition_by("layer", include_key=False)
        return pl.concat([scan.scan_places(files_of, schema, options, spelled=spelled) for files_of in layers])

    def _with_feed(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return rows of the end version as if that version had inserted them."""
        import polars as pl

        if self.wanted.changes.kind == "rows":
            return frame
        commit = self._log.commit(self.wanted.span.until)
        moment = _moment(None if commit is None else commit.timestamp)
        return frame.with_columns(
            pl.lit(_INSERT).alias(CHANGE),
            pl.lit(self.wanted.span.until, pl.Int64()).alias(VERSION),
            pl.lit(moment, _moment_type()).alias(MOMENT),
        )

    def _shaped(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the changes as the reader's `kind` has them."""
        columns = list(self._end.schema)
        match self.wanted.changes.kind:
            case "rows":
                return frame.select(map(named, columns))
            case "feed":
                return frame.select(map(named, [*columns, *FEED]))
            case _:
                last = last_changes.of(frame, self.wanted.changes.by, self.wanted.context)
                return last.select(map(named, [*columns, CHANGE]))


def _names(table: Outline) -> Mapping[tuple[str, ...], str]:
    return stored_names.of_definition(table.schema_json, table.properties)


def _moment_type() -> pl.DataType:
    import polars as pl

    return pl.Datetime("us", "UTC")


def _moment(milliseconds: int | None) -> dt.datetime | None:
    return None if milliseconds is None else dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)
