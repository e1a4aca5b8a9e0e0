"""Parquet files through Spark."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from dbxdec.io_managers import spark_frames
from dbxdec.io_managers.files import spark_stores
from dbxdec.io_managers.files.manager import FilesIoManager, Mode
from dbxdec.io_managers.spark_causes import told_of_query
from dbxdec.io_managers.spark_session import fail, is_frame, require_reach, session
from dbxdec.model import storage_paths

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from dbxdec.io_managers.contexts import InputContext
    from dbxdec.io_managers.files.stores import Store
    from dbxdec.model.secrets import Secret
    from dbxdec.model.variables import BundleVariable


class SparkParquetIoManager(FilesIoManager):
    """Stores Spark DataFrames as Parquet files below `base_path`.

    The default folder of a task is named by its key. A reader gets what this run wrote, whatever later runs do.

    Args:
        base_path: Where the files are: a path or URL, a `pathlib.Path` or a bundle variable. It may hold `{job}` and
            `{task}`.
        mode: What a write does if something is there. `"error"`: refuse, before the function is called. `"overwrite"`:
            replace it in one step. `"ignore"`: keep it. Files can't be appended to exactly once.
        partition_by: The columns of which each combination of values gets files of its own.
        shared: Whether several tasks may write the place. Without it that is a build error.
        read_options: Options of Spark's reader, strings, bundle variables and secrets; never in the manifest.
        write_options: Options of Spark's writer, strings, bundle variables and secrets; never in the manifest.

    Raises:
        DbxdecError: An option is wrong; all mistakes at once.

    Example:
        ```python
        from dbxdec import bundle_variable
        from dbxdec.io_managers import SparkParquetIoManager

        reports = SparkParquetIoManager(bundle_variable("lake_root") / "reports", mode="overwrite")
        ```
    """

    reads: ClassVar[frozenset[str] | None] = frozenset({"pyspark.DataFrame"})
    writes: ClassVar[frozenset[str] | None] = frozenset({"pyspark.DataFrame"})
    table_options: ClassVar[tuple[str, ...]] = ("mode", "partition_by", "shared", "read_options", "write_options")
    append_instead: ClassVar[str] = "SparkDeltaIoManager"
    engine_options: ClassVar[tuple[str, ...]] = ("read_options", "write_options")

    def __init__(
        self,
        base_path: str | os.PathLike[str] | BundleVariable,
        *,
        mode: Mode = "error",
        partition_by: str | Sequence[str] | None = None,
        shared: bool = False,
        read_options: Mapping[str, str | BundleVariable | Secret] | None = None,
        write_options: Mapping[str, str | BundleVariable | Secret] | None = None,
    ) -> None:
        self.partition_by = partition_by
        self.read_options = read_options
        self.write_options = write_options
        super().__init__(base_path, mode=mode, shared=shared)

    def combine(self, values: list[Any], context: InputContext) -> Any:
        """All frames, one below the other; a column that some lack is null there."""
        first, *others = values
        for other in others:
            first = first.unionByName(other, allowMissingColumns=True)
        return first

    def is_storable(self, value: Any) -> bool:
        return is_frame(value)

    def store_of(self, uri: str, value: Any = None) -> Store:
        spark = session() if value is None else value.sparkSession
        require_reach(spark, uri, is_here=storage_paths.is_relative(uri))
        return spark_stores.at(spark, uri)

    def scan(self, place: str, facts: Mapping[str, Any] | None, context: InputContext) -> Any:
        """A DataFrame of Spark's."""
        try:
            reader = session().read.options(**self.resolve(dict(self.read_options or {})))
            if facts is not None and "spark" in facts:
                from pyspark.sql.types import StructType

                # The schema as it was written: the files know partition columns only as strings.
                reader = reader.schema(StructType.fromJson(facts["spark"]))
            return reader.parquet(spark_frames.escaped(place))
        except Exception as error:  # noqa: BLE001 - it is raised again
            fail(error, place, "read")

    def cleared(self, frame: Any) -> Any:
        return frame.limit(0)

    def sink(self, value: Any, place: str, store: Store, *, task: str) -> tuple[int | None, dict[str, Any]]:
        spark_frames.check_partitions(value.schema, self.partitions, task=task)
        value = spark_frames.refuse_lost(value, self.partitions)
        with told_of_query(task, place):
            try:
                writer = value.write.options(**self.resolve(dict(self.write_options or {})))
                if self.partitions:
                    writer = writer.partitionBy(*self.partitions)
                writer.mode("error").parquet(place)
            except Exception as error:  # noqa: BLE001 - it is raised again
                fail(error, place, "write")
        return None, {"spark": json.loads(value.schema.json()), "partitions": list(self.partitions)}
