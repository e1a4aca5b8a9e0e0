"""Parquet, CSV and NDJSON files through Polars."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from dbxdec.errors import RunError
from dbxdec.io_managers import columns, frames, polars_frames, requirements
from dbxdec.io_managers.contexts import InputContext
from dbxdec.io_managers.files import codecs, polars_stores
from dbxdec.io_managers.files.manager import FilesIoManager, Mode
from dbxdec.io_managers.frames import conversions
from dbxdec.model import places

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import polars as pl

    from dbxdec.io_managers.contexts import ItemWrite, OutputContext, WriteResult
    from dbxdec.io_managers.files.stores import Store
    from dbxdec.model.secrets import Secret
    from dbxdec.model.variables import BundleVariable

_FRAMES = frozenset({"polars.DataFrame", "polars.LazyFrame"}) | frames.KINDS


class PolarsFiles(FilesIoManager):
    """The common part of the managers of files through Polars."""

    reads: ClassVar[frozenset[str] | None] = _FRAMES
    writes: ClassVar[frozenset[str] | None] = _FRAMES
    needs: ClassVar[Mapping[str, tuple[str, ...]]] = frames.NEEDS
    checks_contracts: ClassVar[bool] = True
    table_options: ClassVar[tuple[str, ...]] = ("mode", "shared", "storage_options")
    append_instead: ClassVar[str] = "PolarsDeltaIoManager"
    engine_options: ClassVar[tuple[str, ...]] = ("storage_options",)
    suffix: ClassVar[str]

    def __init__(
        self,
        base_path: str | os.PathLike[str] | BundleVariable,
        *,
        mode: Mode = "error",
        shared: bool = False,
        storage_options: Mapping[str, str | BundleVariable | Secret] | None = None,
    ) -> None:
        self.storage_options = storage_options
        super().__init__(base_path, mode=mode, shared=shared)

    def combine(self, values: list[Any], context: InputContext) -> Any:
        """Return all frames concatenated. A column that a frame lacks is null in its rows."""
        return conversions.given(polars_frames.together(values), context)

    def preflight(self, context: OutputContext) -> None:
        frames.require(context.returns or ())
        super().preflight(context)

    def write(self, context: OutputContext, value: Any) -> WriteResult:
        return super().write(context, conversions.taken(value, f"what the task `{context.receipt.id.task}` returned"))

    def read(self, context: InputContext | None = None) -> Any:
        """The frame of the files, as the parameter is annotated; otherwise as `FilesIoManager.read`."""
        context = context or InputContext(self.uri())
        return conversions.given(super().read(replace(context, annotation=None)), context)

    def read_items(self, context: InputContext, items: Sequence[ItemWrite], *, apart: bool) -> Any:
        return conversions.of_items(super().read_items, context, items, apart=apart)

    def empty(self, context: InputContext) -> Any:
        return conversions.given(super().empty(replace(context, annotation=None)), context)

    def setup(self) -> None:
        requirements.require("polars", "polars")

    def is_storable(self, value: Any) -> bool:
        import polars as pl

        return isinstance(value, pl.DataFrame | pl.LazyFrame)

    def store_of(self, uri: str, value: Any = None) -> Store:
        return polars_stores.at(uri, self.options())

    def options(self) -> dict[str, str] | None:
        """Return a copy of the storage's options as Polars takes them, with the values of variables and secrets."""
        if places.is_local_run() or self.storage_options is None:
            return None
        options: dict[str, str] = self.resolve(dict(self.storage_options))
        return options

    def scan(self, place: str, facts: Mapping[str, Any] | None, context: InputContext) -> pl.LazyFrame:
        place = places.absolute(place)  # the frame is collected by a function that may change the working directory
        return self.frame_at(polars_stores.foreign(place) if facts is None else place, facts)

    def check_stored(
        self, place: str, facts: Mapping[str, Any], schema: Mapping[str, Any], context: OutputContext
    ) -> dict[str, Any]:
        if context.contract is None:
            return {}
        from dbxdec.io_managers.contracts import frames as contracts  # few tasks have any

        rows, task = self.frame_at(place, facts), context.receipt.id.task
        return contracts.settled(rows, context.contract, schema, task=task, uri=context.uri)

    def cleared(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        return frame.clear()

    def frame_at(self, place: str | list[str], facts: Mapping[str, Any] | None) -> pl.LazyFrame:
        """Return the files at `place`, with the types in `facts`."""
        raise NotImplementedError

    def check_schema(self, schema: Mapping[str, pl.DataType], *, task: str) -> None:
        """Raise RunError, naming all of them, for columns that the format can't hold."""
        wrong = [f"{name!r} ({kind})" for name, kind in schema.items() if not self.holds(kind)]
        if wrong:
            elsewhere = "" if self.suffix == "parquet" else ", or store the result with PolarsParquetIoManager"
            raise RunError(
                f"{type(self).__name__} can't store {', '.join(wrong)}, which the task `{task}` returned",
                hint=f"cast the columns to strings or numbers{elsewhere}",
            )

    def show(self, place: str, store: Store) -> None:
        """Make the one file at `place` available as `<target>/<name>.<suffix>` for readers that don't use dbxdec."""
        name = store.uri.rpartition("/")[2].removesuffix(f".{self.suffix}")
        polars_stores.show(f"{place}/0.{self.suffix}", store, f"{name}.{self.suffix}")

    def holds(self, kind: pl.DataType) -> bool:
        """Return whether the format can hold values of this type and give them back equal."""
        raise NotImplementedError


class PolarsParquetIoManager(PolarsFiles):
    """Stores Polars frames as Parquet files below `base_path`.

    The default folder of a task is named by its key. A reader gets what this run wrote. LazyFrames are streamed. The
    newest file of the task `report` is also `base_path/report/report.parquet`, for other programs; with `partition_by`
    there are many, for readers through this manager alone.

    Args:
        base_path: Where the files are: a path or URL, a `pathlib.Path` or a bundle variable. It may hold `{job}` and
            `{task}`.
        mode: What a write does if something is there. `"error"`: refuse, before the function is called. `"overwrite"`:
            replace it in one step. `"ignore"`: keep it. Files can't be appended to exactly once.
        partition_by: The columns of which each combination of values gets files of its own.
        shared: Whether several tasks may write the place. Without it that is a build error.
        storage_options: Options of the storage for Polars; strings, bundle variables and secrets. They are never in the
            manifest, and no local run uses them.

    Raises:
        DbxdecError: An option is wrong; all mistakes at once.

    Example:
        ```python
        from dbxdec import bundle_variable
        from dbxdec.io_managers import PolarsParquetIoManager

        reports = PolarsParquetIoManager(bundle_variable("lake_root") / "reports", mode="overwrite")
        ```
    """

    table_options: ClassVar[tuple[str, ...]] = ("mode", "partition_by", "shared", "storage_options")
    suffix: ClassVar[str] = "parquet"

    def __init__(
        self,
        base_path: str | os.PathLike[str] | BundleVariable,
        *,
        mode: Mode = "error",
        partition_by: str | Sequence[str] | None = None,
        shared: bool = False,
        storage_options: Mapping[str, str | BundleVariable | Secret] | None = None,
    ) -> None:
        self.partition_by = partition_by
        super().__init__(base_path, mode=mode, shared=shared, storage_options=storage_options)

    def holds(self, kind: pl.DataType) -> bool:
        return codecs.is_in_parquet(kind)

    def check_schema(self, schema: Mapping[str, pl.DataType], *, task: str) -> None:
        super().check_schema(schema, task=task)
        by = self.partitions
        missing = [name for name in by if name not in schema]
        unfit = {n: schema[n] for n in by if n in schema and not codecs.is_partition(schema[n])}
        alone = bool(by) and not set(schema) - set(by)
        fit = "strings, integers, booleans or dates"
        columns.check_partitions(list(schema), missing, unfit, alone=alone, task=task, fit=fit)

    def frame_at(self, place: str | list[str], facts: Mapping[str, Any] | None) -> pl.LazyFrame:
        return codecs.scan_parquet(place, facts, self.options())

    def sink(
        self, value: pl.DataFrame | pl.LazyFrame, place: str, store: Store, *, task: str
    ) -> tuple[int | None, dict[str, Any]]:
        schema = dict(value.collect_schema())
        self.check_schema(schema, task=task)
        rows = codecs.sink_parquet(value, place, self.partitions, self.options())
        return rows, {"polars": codecs.schema_to_text(schema), "partitions": list(self.partitions)}

    def publish(self, place: str, facts: Mapping[str, Any], store: Store) -> None:
        if not self.partitions:  # many files can't be replaced in one step
            self.show(place, store)


class PolarsTextFiles(PolarsFiles):
    """Managers that store one text file for each write."""

    def sink(
        self, value: pl.DataFrame | pl.LazyFrame, place: str, store: Store, *, task: str
    ) -> tuple[int | None, dict[str, Any]]:
        schema = dict(value.collect_schema())
        self.check_schema(schema, task=task)
        rows = codecs.sink_text(value, place, schema, self.suffix, self.options())
        return rows, {"polars": codecs.schema_to_text(schema)}

    def publish(self, place: str, facts: Mapping[str, Any], store: Store) -> None:
        self.show(place, store)


class PolarsCsvIoManager(PolarsTextFiles):
    """Stores Polars frames as CSV; the newest of the task `report` is also `base_path/report/report.csv`.

    Read through this manager, columns have the types that they were written with. Lists, structs and binary columns
    are refused. A reader gets what this run wrote.

    Args:
        base_path: Where the files are: a path or URL, a `pathlib.Path` or a bundle variable. It may hold `{job}` and
            `{task}`.
        mode: What a write does if something is there. `"error"`: refuse, before the function is called. `"overwrite"`:
            replace it in one step. `"ignore"`: keep it. Files can't be appended to exactly once.
        shared: Whether several tasks may write the place. Without it that is a build error.
        storage_options: Options of the storage for Polars; strings, bundle variables and secrets. They are never in the
            manifest, and no local run uses them.

    Raises:
        DbxdecError: An option is wrong; all mistakes at once.

    Example:
        ```python
        from dbxdec import bundle_variable
        from dbxdec.io_managers import PolarsCsvIoManager

        reports = PolarsCsvIoManager(bundle_variable("lake_root") / "reports", mode="overwrite")
        ```
    """

    suffix: ClassVar[str] = "csv"

    def holds(self, kind: pl.DataType) -> bool:
        return codecs.is_flat(kind)

    def frame_at(self, place: str | list[str], facts: Mapping[str, Any] | None) -> pl.LazyFrame:
        return codecs.scan_csv(place, facts, self.options())


class PolarsNdjsonIoManager(PolarsTextFiles):
    """Stores Polars frames as one JSON document a line; the newest of `report` is `base_path/report/report.ndjson`.

    Read through this manager, columns have the types that they were written with. Lists and structs may hold strings,
    numbers and booleans. Binary columns are refused, and so is NaN, which JSON does not have. A reader gets what this
    run wrote.

    Args:
        base_path: Where the files are: a path or URL, a `pathlib.Path` or a bundle variable. It may hold `{job}` and
            `{task}`.
        mode: What a write does if something is there. `"error"`: refuse, before the function is called. `"overwrite"`:
            replace it in one step. `"ignore"`: keep it. Files can't be appended to exactly once.
        shared: Whether several tasks may write the place. Without it that is a build error.
        storage_options: Options of the storage for Polars; strings, bundle variables and secrets. They are never in the
            manifest, and no local run uses them.

    Raises:
        DbxdecError: An option is wrong; all mistakes at once.

    Example:
        ```python
        from dbxdec import bundle_variable
        from dbxdec.io_managers import PolarsNdjsonIoManager

        reports = PolarsNdjsonIoManager(bundle_variable("lake_root") / "reports", mode="overwrite")
        ```
    """

    suffix: ClassVar[str] = "ndjson"

    def holds(self, kind: pl.DataType) -> bool:
        return codecs.is_flat(kind) or codecs.is_plain_nested(kind)

    def frame_at(self, place: str | list[str], facts: Mapping[str, Any] | None) -> pl.LazyFrame:
        return codecs.scan_ndjson(place, facts, self.options())
