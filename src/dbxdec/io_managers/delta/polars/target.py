"""A Delta table as one write of Polars sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError, listed
from dbxdec.io_managers.delta.polars import checks, table_log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deltalake import DeltaTable

    from dbxdec.io_managers.base import OutputContext, Receipt
    from dbxdec.io_managers.delta.manager import Mode, SchemaPolicy


@dataclass(frozen=True, slots=True)
class Target:
    """A table as one write sees it, its options resolved. `slice` is what `replace=` says, by column."""

    context: OutputContext
    mode: Mode
    schema: SchemaPolicy
    partitions: tuple[str, ...]
    slice: Mapping[str, Any] | None
    storage_options: dict[str, str] | None
    write_options: Mapping[str, Any]

    @property
    def receipt(self) -> Receipt:
        return self.context.receipt

    def open(self) -> DeltaTable | None:
        """The newest version, None where there is no table."""
        return table_log.open_table(self.context.uri, self.storage_options)

    def check_slice(self, table: DeltaTable) -> None:
        """Raise RunError where `replace=` says values that the table's columns could not have."""
        import polars as pl

        schema = pl.Schema(table.schema())
        known = {name: value for name, value in (self.slice or {}).items() if name in schema}
        checks.exact_slice(known, schema, table.metadata().partition_columns)

    def check_partitions(self, table: DeltaTable) -> None:
        """Raise RunError where the table has other partition columns than `partition_by` says."""
        there = tuple(table.metadata().partition_columns)
        if self.partitions and there != self.partitions:
            is_ = f"is partitioned by {listed(there)}" if there else "is not partitioned"
            raise RunError(
                f"the table {self.context.uri} {is_}, and its task says partition_by={list(self.partitions)}",
                hint="write it with the partitions it has, or write another table",
            )
