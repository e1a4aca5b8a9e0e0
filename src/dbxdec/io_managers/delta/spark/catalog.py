"""Delta tables in a catalog, through Spark: catalog.schema.table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from dbxdec.io_managers import names
from dbxdec.io_managers.delta.spark.manager import SparkDelta

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dbxdec.errors import Problem
    from dbxdec.io_managers.delta.manager import Mode, SchemaPolicy
    from dbxdec.model.secrets import Secret
    from dbxdec.model.variables import BundleVariable


class SparkTableIoManager(SparkDelta):
    """Stores Spark DataFrames as Delta tables of a catalog's schema.

    The default table of a task is named by its key. `table("name")` is a table of the schema,
    `table("catalog.schema.name")` any. All else is as with `SparkDeltaIoManager`.

    Args:
        namespace: `catalog.schema`, or a schema of the session's catalog. It may hold bundle variables, `{job}` and
            `{task}`.
        mode: What a write does with a table that exists. `"error"`: refuse, before the function is called.
            `"overwrite"`: replace the table; with `partition_by=`, only the partitions that are in the data; with
            `replace=`, that slice. `"append"`: add the rows, exactly once. `"ignore"`: keep the table.
        partition_by: The partition columns of the table.
        replace: The slice that a write with `mode="overwrite"` replaces, also if the result is empty: values by column,
            such as `{"day": day}`. A value is a literal or a parameter of the job.
        schema: What becomes of other columns or types. `"strict"`: an error that names them. `"add-columns"`: new
            columns, and new fields of structs, are added. `"replace"`: the table gets the new schema; only with
            `mode="overwrite"` of whole tables.
        shared: Whether several tasks may write the table. Without it that is a build error.
        keyed: Whether the table tells which keys of its job are there. False for tables between two steps, whose rows
            nobody reads later.
        cluster_by: The columns by which a table is clustered, up to four; `"auto"` lets the platform choose them.
            A table has clusters or partitions, never both.
        properties: The properties of a table, such as `{"delta.enableChangeDataFeed": True}`.
        comment: The comment of a table.
        columns: Rules of columns by their names, as `column(...)` makes them.
        constraints: SQL conditions that all rows meet, by their names, such as `{"positive": "amount > 0"}`.
        expect: What rows are expected to be, by name: SQL of Spark, or a function of the frame that gives a `Column`.
            Rows that are not are counted, and kept.
        expect_or_drop: The same for rows that are left out where they are not.
        expect_or_fail: The same for rows that fail the write where they are not; also `unique(...)`, `rows(...)` and
            `fraction(...)`.
        quarantine: A Delta table, with `mode="append"`, that gets the rows which `expect_or_drop` leaves out.
        read_options: Options of Spark's reader, strings, bundle variables and secrets; never in the manifest.
        write_options: Options of Spark's writer, strings, bundle variables and secrets; never in the manifest.

    Raises:
        DbxdecError: An option is wrong; all mistakes at once.

    Example:
        ```python
        from dbxdec import bundle_variable
        from dbxdec.io_managers import SparkTableIoManager

        gold = SparkTableIoManager(bundle_variable("catalog") + ".gold", mode="overwrite")
        ```
    """

    _named: ClassVar[bool] = True

    def __init__(
        self,
        namespace: str | BundleVariable,
        *,
        mode: Mode = "error",
        partition_by: str | Sequence[str] | None = None,
        replace: Mapping[str, Any] | None = None,
        schema: SchemaPolicy = "strict",
        shared: bool = False,
        keyed: bool = True,
        cluster_by: str | Sequence[str] | None = None,
        properties: Mapping[str, str | float | BundleVariable] | None = None,
        comment: str | BundleVariable | None = None,
        columns: Mapping[str, Any] | None = None,
        constraints: Mapping[str, str] | None = None,
        expect: Mapping[str, Any] | None = None,
        expect_or_drop: Mapping[str, Any] | None = None,
        expect_or_fail: Mapping[str, Any] | None = None,
        quarantine: Any = None,
        read_options: Mapping[str, str | BundleVariable | Secret] | None = None,
        write_options: Mapping[str, str | BundleVariable | Secret] | None = None,
    ) -> None:
        super().__init__(
            namespace,
            mode=mode,
            partition_by=partition_by,
            replace=replace,
            schema=schema,
            shared=shared,
            keyed=keyed,
            cluster_by=cluster_by,
            properties=properties,
            comment=comment,
            columns=columns,
            constraints=constraints,
            expect=expect,
            expect_or_drop=expect_or_drop,
            expect_or_fail=expect_or_fail,
            quarantine=quarantine,
            read_options=read_options,
            write_options=write_options,
        )

    def place_of(self, root: str, name: str) -> str:
        # The spelling of a bundle variable contains a dot.
        return name if "." in re.sub(r"\$\{[^}]*\}", "", name) else f"{root}.{name}"

    def name_problems(self, name: str) -> list[Problem]:
        return names.of_catalog(name)

    def item_target(self, target: str, item: str) -> str:
        return f"{target}_{item}"
