"""The rows that a reader gets of a Delta table that tasks of this run wrote, for all engines.

Receipts decide, not files.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from dbxdec.errors import NotWrittenError, RunError
from dbxdec.io_managers import outcomes
from dbxdec.io_managers.contexts import InputContext, ItemWrite, WriteId
from dbxdec.io_managers.delta import receipts
from dbxdec.io_managers.delta.receipts import Found
from dbxdec.model.changes import FEED_PROPERTY

if TYPE_CHECKING:
    from dbxdec.io_managers.delta.receipts import Trail
    from dbxdec.io_managers.delta.slices import Slice

F = TypeVar("F")


class Results(Generic[F]):
    """The results of a run's tasks in one table, for one reader, as frames of an engine."""

    def __init__(self, context: InputContext) -> None:
        self.context = context

    def of(self, write: WriteId) -> F:
        """Return what the reader wants of one write: its rows, or the table as it left it.

        Raises NotWrittenError only with proof that it stored nothing, and RunError.
        """
        found = self._find([write])[write]
        if isinstance(found, NotWrittenError):
            raise found
        self.context.tell(version=found.version)
        return self.at(found) if self.context.rows == "table" else self._rows(found)

    def of_items(self, items: Sequence[ItemWrite]) -> list[F | NotWrittenError]:
        """Return the rows of each iteration, or its error if it stored nothing.

        Raises RunError if an iteration replaced rows of another one: the table has lost rows of this run.
        """
        found = self._find([item.id for item in items])
        self._refuse_lost(items, found)
        return [one if isinstance(one := found[item.id], NotWrittenError) else self._rows(one) for item in items]

    def of_all(self, items: Sequence[ItemWrite]) -> F:
        """Return the rows of all iterations together, or the table as the last of them left it.

        Raises NotWrittenError if none stored any, and RunError; also if some stored rows, but not all that had to.
        """
        found = self._find([item.id for item in items])
        there = [one for one in found.values() if not isinstance(one, NotWrittenError)]
        if not there:
            raise next(one for one in found.values() if isinstance(one, NotWrittenError))
        outcomes.refuse_missing(self.context, [item for item in items if isinstance(found[item.id], NotWrittenError)])
        newest = max(there, key=lambda one: one.version)
        self.context.tell(version=newest.version)
        merges = {one.left.kind == "merge" for one in there}
        if self.context.rows == "table" or (merges == {True} and self.context.rows == "run"):
            return self.at(newest)
        if len(merges) > 1:
            raise receipts.mixed(self.context)
        self._refuse_lost(items, found)
        by_files = [part for one in there if one.left.kind in ("files", "whole") for part in one.parts]
        frames = [self._rows(one) for one in there if one.left.kind not in ("files", "whole")]
        return self.together([*([self.files(by_files)] if by_files else []), *frames])

    def _find(self, writes: list[WriteId]) -> dict[WriteId, Found | NotWrittenError]:
        trail = self.trail(writes)
        found: dict[WriteId, Found | NotWrittenError] = {}
        for write in writes:
            committed = write not in trail.found and self.is_committed(write)
            try:
                found[write] = receipts.result(
                    trail, write, self.context, committed=committed, complete=self.reaches_start
                )
            except NotWrittenError as error:
                found[write] = error
        return found

    def _refuse_lost(self, items: Sequence[ItemWrite], found: dict[WriteId, Found | NotWrittenError]) -> None:
        """Raise RunError if an iteration replaced rows of another one."""
        labels = {item.id: item.label for item in items}
        there = sorted((one for one in found.values() if not isinstance(one, NotWrittenError)), key=lambda f: f.version)
        slices = [(labels[one.receipt.id], one.left.slice) for one in there if one.left.slice is not None]
        if (both := receipts.overlap(slices)) is not None:
            raise receipts.overwritten(self.context, *both)
        added: dict[str, Found] = {}
        parts = [part for one in there if self._is_told_by_files(one) for part in one.parts]
        by_files = sorted(parts, key=lambda part: part.version)
        for one in by_files if len(by_files) > 1 else ():
            if lost := [added[path] for path in self.removed(one) if path in added]:
                raise receipts.overwritten(self.context, labels[lost[0].receipt.id], labels[one.receipt.id])
            added |= dict.fromkeys(self.added(one), one)

    def _is_told_by_files(self, found: Found) -> bool:
        """Return whether the files that a commit removes show whose rows are gone.

        A slice of data columns, and a merge, rewrite rows of other writes together with their own.
        """
        if found.left.slice is not None:
            return set(found.left.slice.columns) <= set(self.partitions())
        return found.left.kind in ("files", "whole")

    def _rows(self, found: Found) -> F:
        """Return what the write of `found` returned; for a merge, the table or the rows that it changed."""
        changed = self.context.rows == "changed"
        if found.left.kind == "merge" and changed:
            changes = [self.changes(part) for part in found.parts]
            return self.together(changes) if len(changes) > 1 else changes[0]
        if found.left.kind == "files":
            return self.files(found.parts)
        if found.left.slice is not None:
            return self.slice(found, found.left.slice)
        frame = self.at(found)
        return self.cleared(frame) if found.left.kind == "kept" and changed else frame

    def no_feed(self, found: Found) -> RunError:
        """Return the error of a merge into a table that does not record the changes of merges."""
        return RunError(
            f"the parameter `{self.context.parameter}` asks for the rows that a merge into {self.context.uri} has "
            f"changed (version {found.version}), but the table does not record them",
            hint=f"set the table's property `{FEED_PROPERTY}` to true, or read the whole result",
        )

    # What an engine does

    reaches_start: bool
    """True if the search for receipts read all commits that the run may have made."""

    @abstractmethod
    def trail(self, writes: Sequence[WriteId]) -> Trail:
        """Return the receipts of `writes` in the table's log."""

    @abstractmethod
    def is_committed(self, write: WriteId) -> bool:
        """Return whether the table has the transaction identifier of `write`, which outlives its receipt."""

    @abstractmethod
    def partitions(self) -> Sequence[str]:
        """Return the table's partition columns."""

    @abstractmethod
    def added(self, found: Found) -> set[str]:
        """Return the files that a commit added."""

    @abstractmethod
    def removed(self, found: Found) -> set[str]:
        """Return the files that a commit removed."""

    @abstractmethod
    def at(self, found: Found) -> F:
        """Return the whole table at the version of `found`. Raises RunError if that version is gone."""

    @abstractmethod
    def slice(self, found: Found, slice_: Slice) -> F:
        """Return the rows of the version that are in the slice; the write replaced all others in it."""

    @abstractmethod
    def files(self, results: Sequence[Found]) -> F:
        """Return the rows of the files that these commits added, with the columns of the newest one."""

    @abstractmethod
    def changes(self, found: Found) -> F:
        """Return the rows that a merge inserted or changed. Raises RunError if the table has no record of them."""

    @abstractmethod
    def cleared(self, frame: F) -> F:
        """Return a frame without rows that has the columns of `frame`."""

    @abstractmethod
    def together(self, frames: Sequence[F]) -> F:
        """Return all frames concatenated. A column that a frame lacks is null in its rows."""
