"""Parquet files through Spark: no versions, so each write has a folder of its own, and one small file says which."""

from __future__ import annotations

import json
import os
import uuid
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dbxdec.errors import DbxdecError, NotWrittenError, Problem, RunError, did_you_mean
from dbxdec.io_managers import delta_once, spark_schema
from dbxdec.io_managers.base import InputContext, IoManager, OutputContext, Receipt, WriteResult
from dbxdec.io_managers.spark_files import files_of
from dbxdec.io_managers.spark_session import fail, is_frame, session
from dbxdec.variables import BundleVariable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dbxdec.secrets import Secret

Mode = Literal["error", "overwrite", "ignore"]
_MODES = ("error", "overwrite", "ignore")
_POINTER = "_dbxdec.json"


class SparkParquetIoManager(IoManager):
    """Stores Spark DataFrames as Parquet files below `base_path`; the default folder of a task is named by its key.

    Each write goes to a new folder `data-...` inside, which the file `_dbxdec.json`, with the task's receipt, then
    names in one atomic step; the folder of the write before is removed. A reader gets what this run wrote, or learns
    that another run has replaced it. `mode` is "error" (the default), "overwrite" or "ignore": files can't be appended
    to exactly once, for that there is SparkDeltaIoManager. `read_options` and `write_options` go to Spark and never
    into the manifest. Raises DbxdecError, with every mistake, for options that are wrong.
    """

    reads: ClassVar[frozenset[str] | None] = frozenset({"pyspark.DataFrame"})
    writes: ClassVar[frozenset[str] | None] = frozenset({"pyspark.DataFrame"})
    reads_written: ClassVar[bool] = True
    table_options: ClassVar[tuple[str, ...]] = ("mode", "partition_by", "shared", "read_options", "write_options")

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
        self.base_path = base_path if isinstance(base_path, str | BundleVariable) else os.fspath(base_path)
        self.mode = mode
        self.partition_by = partition_by
        self.shared = shared
        self.read_options = read_options
        self.write_options = write_options
        self.check_options()

    def __repr__(self) -> str:
        table = f", table={self._table!r}" if self._table is not None else ""
        return f"{type(self).__name__}({str(self.base_path)!r}, mode={self.mode!r}{table})"

    def check_options(self) -> None:
        partitions = (self.partition_by,) if isinstance(self.partition_by, str) else tuple(self.partition_by or ())
        self.partition_by = partitions or None
        problems = []
        if self.mode not in _MODES:
            hint = did_you_mean(str(self.mode), _MODES) or f"allowed are {', '.join(map(repr, _MODES))}"
            if str(self.mode) == "append":
                hint = "files can't be appended to exactly once: use SparkDeltaIoManager"
            problems.append(Problem(f"`mode` of {type(self).__name__} is {self.mode!r}", hint=hint))
        if not str(self.base_path):
            problems.append(Problem("`base_path` is empty", hint="say where the files are"))
        if "" in partitions or len({name.lower() for name in partitions}) < len(partitions):
            problems.append(Problem(f"`partition_by` is {list(partitions)}", hint="name each column once"))
        if problems:
            raise DbxdecError(problems)

    def settings(self) -> dict[str, Any]:
        partitions = {"partition_by": list(self.partition_by)} if self.partition_by else {}
        return {"mode": self.mode, **partitions}

    def combine(self, values: list[Any], context: InputContext) -> Any:
        """All frames, one below the other; a column that some lack is null there."""
        first, *others = values
        for other in others:
            first = first.unionByName(other, allowMissingColumns=True)
        return first

    def read(self, context: InputContext | None = None) -> Any:
        """The files as a DataFrame of Spark's: those that the producer wrote, or the newest."""
        context = context or InputContext(self.uri())
        spark = session()
        found = self._pointer(spark, context.uri)
        if found is None:
            if context.producer is None:
                raise RunError(
                    f"there are no Parquet files at {context.uri}, which `{context.parameter}` reads",
                    hint="check the path, and that whoever writes them has run",
                )
            raise delta_once.not_written(context)
        receipt, facts = found
        if context.producer is not None and not context.producer.covers(receipt.id) and self.mode != "ignore":
            raise NotWrittenError(
                f"the files at {context.uri} are those that the task `{receipt.id.task}` of the run {receipt.id.run} "
                f"wrote, and not those of this run, which `{context.parameter}` needs",
                hint="files have no versions, and another run replaces them: use SparkDeltaIoManager, or let no two "
                "runs overlap",
            )
        if context.producer is not None and not facts.get("wrote", True):
            raise delta_once.not_written(context)
        from pyspark.sql.types import StructType

        try:
            # The schema as it was written: of partition columns the files know only texts.
            reader = spark.read.options(**self.resolve(dict(self.read_options or {})))
            return reader.schema(StructType.fromJson(facts["schema"])).parquet(f"{context.uri}/{facts['data']}")
        except Exception as error:  # noqa: BLE001 - it is raised again
            fail(error, context.uri, "read")

    def preflight(self, context: OutputContext) -> None:
        spark = session()
        if self.mode == "error" and (found := self._pointer(spark, context.uri)) is not None:
            self._refuse_others(found[0], context)

    def write(self, context: OutputContext, value: Any) -> WriteResult:
        """Store a DataFrame, or note that there was nothing to write."""
        if value is not None and not is_frame(value):
            raise RunError(
                f"the task `{context.receipt.id.task}` returned a {type(value).__module__}."
                f"{type(value).__qualname__}, which {type(self).__name__} can't store",
                hint="return a pyspark.sql.DataFrame",
            )
        spark = session() if value is None else value.sparkSession
        files = files_of(spark, context.uri)
        before = self._pointer(spark, context.uri)
        if before is not None:
            if self.mode == "ignore":
                return WriteResult(note='kept what is there (mode="ignore")')
            if self.mode == "error":
                self._refuse_others(before[0], context)
                return WriteResult(note=f"already written by attempt {before[0].attempt}")
        if value is None:
            if before is not None and before[0].id == context.receipt.id and before[1].get("wrote", True):
                # A retry of work that an earlier attempt has finished may find nothing left to do: that work counts.
                self._refuse_others(before[0], context)
                return WriteResult(note=f"already written by attempt {before[0].attempt}")
            if before is not None:
                text = context.receipt.to_metadata(**{**before[1], "wrote": False})
                files.replace(f"{context.uri}/{_POINTER}", text)
            return WriteResult(note="nothing to write")
        spark_schema.check_partitions(value.schema, self._partitions, task=context.receipt.id.task)
        folder = f"data-{uuid.uuid4().hex}"
        try:
            writer = value.write.options(**self.resolve(dict(self.write_options or {})))
            if self._partitions:
                writer = writer.partitionBy(*self._partitions)
            writer.mode("error").parquet(f"{context.uri}/{folder}")
        except Exception as error:  # noqa: BLE001 - it is raised again
            fail(error, context.uri, "write")
        # Another attempt may have been quicker: a zombie gives way to its retry.
        now = self._pointer(spark, context.uri)
        if now is not None and now[0].id == context.receipt.id and now[0].attempt > context.receipt.attempt:
            files.remove(f"{context.uri}/{folder}")
            return WriteResult(note=f"already written by attempt {now[0].attempt}")
        schema = json.loads(value.schema.json())
        files.replace(f"{context.uri}/{_POINTER}", context.receipt.to_metadata(data=folder, schema=schema))
        if now is not None and now[1].get("data"):
            files.remove(f"{context.uri}/{now[1]['data']}")
        return WriteResult()

    def _refuse_others(self, receipt: Receipt, context: OutputContext) -> None:
        """Raise where what is there is not this write's own, or came of other code."""
        if receipt.id != context.receipt.id:
            raise delta_once.exists(context)
        if (receipt.build, receipt.parameters) != (context.receipt.build, context.receipt.parameters):
            other = "build" if receipt.build != context.receipt.build else "set of parameters"
            raise RunError(
                f"the task `{receipt.id.task}` of this run has already written {context.uri} with another {other}",
                hint="remove what is there and repair again, or start a new run",
            )

    def _pointer(self, spark: Any, uri: str) -> tuple[Receipt, dict[str, Any]] | None:
        try:
            text = files_of(spark, uri).read(f"{uri}/{_POINTER}")
        except DbxdecError:
            raise
        except Exception as error:  # noqa: BLE001 - it is raised again
            fail(error, uri, "read")
        return Receipt.from_metadata(text)

    @property
    def _partitions(self) -> tuple[str, ...]:
        return tuple(self.partition_by or ())
