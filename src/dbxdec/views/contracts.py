"""The differences between the contracts of two builds of a project, and who reads what has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from dbxdec.model import contract_forms
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dbxdec.model.contract_forms import Columns
    from dbxdec.model.manifest import Manifest


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """One difference of a contract: its column before and after, None where it is not there, and its readers.

    `kind` is "unknown" for a contract whose columns one of the builds does not tell.
    """

    kind: Literal["added", "removed", "changed", "unknown"]
    contract: str
    before: str | None = None
    after: str | None = None
    readers: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The name of the class alone."""
        return self.contract.rpartition(":")[2]


def changes(
    old: Manifest, new: Manifest, before: Mapping[str, Columns], after: Mapping[str, Columns]
) -> Iterator[ColumnChange]:
    """Yield what has changed in contracts that both builds have."""
    known = set(contract_forms.names(old.raw_jobs))
    for name in contract_forms.names(new.raw_jobs):
        if name not in known:
            continue
        if name not in before or name not in after:
            yield ColumnChange("unknown", name)
            continue
        readers = _readers(new, name)
        yield from _of_columns(name, before[name], after[name], readers)


def _readers(made: Manifest, name: str) -> tuple[str, ...]:
    return tuple(f"{task.key}, {task.source}" for _, task in contract_forms.readers(made.jobs, name))


def _of_columns(name: str, old: Columns, new: Columns, readers: Sequence[str]) -> Iterator[ColumnChange]:
    before, after = ({one.name: str(one) for one in some.columns} for some in (old, new))
    for column in [*before, *(column for column in after if column not in before)]:
        if column not in after:
            yield ColumnChange("removed", name, before[column], None, tuple(readers))
        elif column not in before:
            yield ColumnChange("added", name, None, after[column])
        elif before[column] != after[column]:
            yield ColumnChange("changed", name, before[column], after[column], tuple(readers))
    if old.others != new.others:
        yield ColumnChange("changed", name, f"other columns {old.others}", f"other columns {new.others}")
