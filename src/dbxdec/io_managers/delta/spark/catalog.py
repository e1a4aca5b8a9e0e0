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
    """Stores Spark DataFrames as Delta tables of a catalog's schema; the default table of a task is named by its key.

    `namespace` is `catalog.schema`, or a schema of the session's catalog, and may hold bundle variables, `{job}` and
    `{task}`. `table("name")` is a table of that schema, `table("catalog.schema.name")` any. All else is as with
    SparkDeltaIoManager.
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
            read_options=read_options,
            write_options=write_options,
        )

    def template(self, job: str, task: str) -> str | None:
        namespace = str(self.base_path).replace("{job}", job).replace("{task}", task)
        name = self._table or task
        # The spelling of a bundle variable contains a dot.
        return name if "." in re.sub(r"\$\{[^}]*\}", "", name) else f"{namespace}.{name}"

    def name_problems(self, name: str) -> list[Problem]:
        return names.of_catalog(name)

    def item_target(self, target: str, item: str) -> str:
        return f"{target}_{item}"
