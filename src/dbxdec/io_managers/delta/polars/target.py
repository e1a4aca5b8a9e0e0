"""The target of one write through Polars: a Delta table and the options of the write."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.io_managers import columns
from dbxdec.io_managers.delta.expectations import UNJUDGED
from dbxdec.io_managers.delta.polars import checks, table_log
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from deltalake import DeltaTable

    from dbxdec.io_managers.contexts import OutputContext, Receipt
    from dbxdec.io_managers.delta.definition import Definition
    from dbxdec.io_managers.delta.manager import Mode, SchemaPolicy
    from dbxdec.io_managers.delta.polars.judging import Judge


@dataclass(frozen=True, slots=True)
class Target:
    """A table as one write sees it, with resolved options. `slice` is the value of `replace=`, by column."""

    context: OutputContext
    mode: Mode
    schema: SchemaPolicy
    partitions: tuple[str, ...]
    slice: Mapping[str, Any] | None
    storage_options: dict[str, str] | None
    write_options: Mapping[str, Any]
    definition: Definition
    judge: Judge | None = None

    @property
    def receipt(self) -> Receipt:
        return self.context.receipt

    @property
    def unjudged(self) -> str:
        """The end of the note of a write that stores no rows: nothing was expected of it."""
        return "" if self.judge is None or not self.judge.expectations else UNJUDGED

    @property
    def watches_table(self) -> bool:
        """True if its rows are judged by those that are there, so that none may come in between."""
        return self.judge is not None and bool(self.judge.of_table)

    def stating(self, **facts: Any) -> Target:
        """Return the target of a write whose commit states more facts."""
        receipt = replace(self.receipt, facts={**self.receipt.facts, **facts})
        return replace(self, context=replace(self.context, receipt=receipt))

    def spelled(self, names: Iterable[str]) -> Target:
        """Return the target of a write of these columns, by whose spelling it is partitioned."""
        return replace(self, partitions=columns.named_as(self.partitions, names))

    def open(self) -> DeltaTable | None:
        """Return the newest version of the table; None if it doesn't exist."""
        return table_log.open_table(self.context.uri, self.storage_options)

    def is_shell(self, table: DeltaTable) -> bool:
        """Return whether an earlier attempt of this write made the table and did not get to fill it."""
        if not self.definition or table.file_uris():
            return False
        found = table_log.Log.of(table).find([self.receipt.id]).found.get(self.receipt.id)
        return found is not None and found.facts.get("made") is True

    def check_slice(self, table: DeltaTable) -> None:
        """Raise RunError if `replace=` has values that the table's columns can't have."""
        import polars as pl

        schema = pl.Schema(table.schema())
        spelled = columns.spelled_as(self.slice or {}, schema)
        known = {name: value for name, value in spelled.items() if name in schema}
        checks.exact_slice(known, schema, table.metadata().partition_columns)

    def check_partitions(self, table: DeltaTable) -> None:
        """Raise RunError if the table has other partition columns than `partition_by`."""
        columns.refuse_other_partitions(table.metadata().partition_columns, self.partitions, self.context.uri)
