"""Results as files. Each write has its own folder, and small files record which folder belongs to which write.

A target is a folder:

    _dbxdec/<write>/<...>/          the data of one attempt of one write
    _dbxdec/<write>/receipt.json    the receipt of that write and the folder that counts, which its run reads
    _dbxdec/newest.json             the same for the newest write, and what it replaced, which all other readers read

Both small files are replaced in one step after the data is there, so a killed attempt changes nothing. Data stays for a
day after a later write has replaced it, since a run that reads it may still be going on.
"""

from __future__ import annotations

import time
import uuid
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dbxdec.errors import DbxdecError, Problem, RunError
from dbxdec.io_managers import options, outcomes
from dbxdec.io_managers.base import IoManager
from dbxdec.io_managers.contexts import InputContext, OutputContext, Receipt, WriteId, WriteResult
from dbxdec.io_managers.files.stores import STATE
from dbxdec.io_managers.other_lock import note_other_lock
from dbxdec.model.variables import BundleVariable
from dbxdec.records import dataclass
from dbxdec.support import digests

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from dbxdec.io_managers.files.stores import Store

Mode = Literal["error", "overwrite", "ignore"]
_MODES = ("error", "overwrite", "ignore")
_NEWEST = f"{STATE}/newest.json"
_EXPECT = "expect"
"""The name under which a receipt states how the rules of a contract came out."""
_KEPT = 'kept the existing data (mode="ignore")'
_KEPT_MS = 24 * 3600 * 1000


@dataclass(frozen=True)
class Written:
    """One write, as its small file describes it.

    `data` is its folder below the target. It is None if there was nothing to store, and empty for files of another
    program.
    """

    receipt: Receipt
    data: str | None
    rows: int | None
    facts: Mapping[str, Any]

    @classmethod
    def parse(cls, text: str | None) -> Written | None:
        found = Receipt.from_metadata(text)
        if found is None:
            return None
        receipt, facts = found
        return cls(receipt, facts.get("data"), facts.get("rows"), facts)

    @property
    def replaced(self) -> list[tuple[str, int]]:
        """The folders of earlier writes that may still exist, each with the time, in ms, at which it was replaced."""
        return [(str(name), int(moment)) for name, moment in self.facts.get("replaced", ())]


class FilesIoManager(IoManager):
    """The common part of all managers of files: modes, receipts, and which reader gets what.

    An engine reads and writes. Files can't be appended to exactly once, so there is no such mode.
    """

    reads_table: ClassVar[bool] = True
    append_instead: ClassVar[str]
    """The manager that can append, for the hint."""
    engine_options: ClassVar[tuple[str, ...]]
    """The attributes whose options are passed on to the engine."""
    mode: Mode
    partition_by: str | Sequence[str] | None = None

    def __init__(self, base_path: str | os.PathLike[str] | BundleVariable, *, mode: Mode, shared: bool) -> None:
        self.base_path = options.base_path(base_path)
        self.mode = mode
        self.shared = shared
        self.check_options()

    def check_options(self) -> None:
        self.partition_by = options.columns(self.partition_by)
        problems = list(options.of_all(self, _MODES, one=str.lower))
        if str(self.mode) == "append":
            hint = f"files can't be appended to exactly once: use {self.append_instead}"
            problems[0] = Problem(problems[0].message, hint=hint)
        for name in self.engine_options:
            problems += options.of_engine(name, getattr(self, name), own={}, texts=True)
        if problems:
            raise DbxdecError(problems)

    def settings(self) -> dict[str, Any]:
        partitions = {"partition_by": list(self.partitions)} if self.partitions else {}
        return {"mode": self.mode, **partitions}

    @property
    def partitions(self) -> tuple[str, ...]:
        return tuple(self.partition_by or ())

    # What an engine does

    @abstractmethod
    def is_storable(self, value: Any) -> bool:
        """Return whether `value` is a frame of the engine."""

    @abstractmethod
    def store_of(self, uri: str, value: Any = None) -> Store:
        """Return the folder of a target, as the engine of `value` reaches it."""

    @abstractmethod
    def sink(self, value: Any, place: str, store: Store, *, task: str) -> tuple[int | None, dict[str, Any]]:
        """Write a frame below the new folder `place`. Return its number of rows, and the facts that readers need.

        Raises RunError, before anything is written, for columns that the format can't hold.
        """

    @abstractmethod
    def scan(self, place: str, facts: Mapping[str, Any] | None, context: InputContext) -> Any:
        """Return the frame at `place`. `facts` come from `sink`; they are None for files of another program."""

    def check_stored(self, place: str, facts: Mapping[str, Any], schema: Any, context: OutputContext) -> dict[str, Any]:
        """Return how the rules of the contract came out for rows at `place`, which do not count yet.

        `schema` has the columns of the frame that was stored. Raises RunError for rows that are not as it says.
        """
        return {}

    @abstractmethod
    def cleared(self, frame: Any) -> Any:
        """Return a frame without rows that has the columns of `frame`."""

    def publish(self, place: str, facts: Mapping[str, Any], store: Store) -> None:
        """Show what the newest write stored to readers that don't use dbxdec."""

    # Reading

    def read(self, context: InputContext | None = None) -> Any:
        """The frame of the files.

        With a producer it is what that write has stored, even where a later run has replaced it since; without, the
        newest. Raises NotWrittenError and RunError.
        """
        context = context or InputContext(self.uri())
        store = self.store_of(context.uri)
        found = self._wanted(store, context)
        if found is None or not found.data:  # mode="ignore" kept the files of another program
            frame = self._foreign(store, context)
        else:
            frame = self.scan(f"{context.uri}/{found.data}", found.facts, context)
        if found is not None and found.facts.get("kept") and context.rows == "changed":
            return self.cleared(frame)
        context.tell(rows=None if found is None else found.rows)
        return frame

    def empty(self, context: InputContext) -> Any:
        return self.cleared(self.read(context))

    def _wanted(self, store: Store, context: InputContext) -> Written | None:
        newest = Written.parse(store.read(_NEWEST))
        if context.producer is None:
            return newest
        own = Written.parse(store.read(_receipt_name(context.producer)))
        if own is None or own.data is None:
            raise outcomes.not_written(context)
        listed = newest is None or own.data in ("", newest.data, *(name for name, _ in newest.replaced))
        # Of two runs that write at once, the list may have one only.
        if not listed and not store.has_data(own.data):
            raise RunError(
                f"what the task `{context.producer.task}` of this run wrote to {context.uri}, which "
                f"the parameter `{context.parameter}` reads, was replaced and then removed",
                hint="replaced files stay for a day: run the producer again, or use "
                f"{self.append_instead}, which keeps versions",
            )
        note_other_lock(own.receipt, context)
        return own

    def _foreign(self, store: Store, context: InputContext) -> Any:
        if store.has_data() is False:
            if context.producer is None:
                raise outcomes.not_written(context)
            raise RunError(
                f"the files at {context.uri}, which the task `{context.producer.task}` of this run kept and "
                f"the parameter `{context.parameter}` reads, are gone",
                hint="another program removed them: run the task again",
            )
        return self.scan(context.uri, None, context)

    # Writing

    def preflight(self, context: OutputContext) -> None:
        if self.mode == "error":
            store = self.store_of(context.uri)
            self._refuse(store, context, self._own(store, context))

    def write(self, context: OutputContext, value: Any) -> WriteResult:
        """Store a frame, or note that there was nothing to write."""
        task = context.receipt.id.task
        if value is not None and not self.is_storable(value):
            wanted = f"a {' or a '.join(sorted(self.writes or ()))}"
            raise outcomes.unstorable(self, value, task=task, wanted=wanted)
        store = self.store_of(context.uri, value)
        own = self._own(store, context)
        newest = Written.parse(store.read(_NEWEST))
        if self.mode == "ignore" and own is None and (newest is not None or store.has_data()):
            return self._keep(store, context, newest)
        if self.mode == "error":
            self._refuse(store, context, own)
        # The result of an earlier attempt counts; only "overwrite" writes it again, if there is something to write.
        if own is not None and own.data is not None and (self.mode != "overwrite" or value is None):
            done = self._done(own, context)
            self._show(store, newest)
            return WriteResult(note=_KEPT) if own.facts.get("kept") else done
        if value is None:
            store.replace(_receipt_name(context.receipt.id), context.receipt.to_metadata())
            return WriteResult(note="nothing to write")
        data = f"{_folder_of(context.receipt.id)}/{uuid.uuid4().hex}"
        try:
            rows, facts = self.sink(value, f"{context.uri}/{data}", store, task=task)
            if context.contract is not None and (
                told := self.check_stored(f"{context.uri}/{data}", facts, value.collect_schema(), context)
            ):
                facts = {**facts, _EXPECT: told}
        except BaseException:
            store.remove(data)  # where a disk is full, its space is needed
            raise
        own = self._own(store, context)
        if own is not None and own.receipt.attempt > context.receipt.attempt:
            store.remove(data)  # this attempt is a zombie, and its retry counts
            return self._done(own, context)
        self._note(store, context.receipt, {"data": data, "rows": rows, **facts})
        return WriteResult(rows=rows, expectations=facts.get(_EXPECT) or {})

    def _done(self, own: Written, context: OutputContext) -> WriteResult:
        """Return the result of an earlier attempt, which counts."""
        done = outcomes.already(own.receipt, context.receipt, context.uri, rows=own.rows)
        told = own.facts.get(_EXPECT)
        return replace(done, expectations=told if isinstance(told, dict) else {})

    def _keep(self, store: Store, context: OutputContext, newest: Written | None) -> WriteResult:
        """Write only a receipt: the readers of this run get the data as it is now."""
        facts = {} if newest is None else {k: v for k, v in newest.facts.items() if k not in ("replaced", _EXPECT)}
        store.replace(
            _receipt_name(context.receipt.id), context.receipt.to_metadata(**{"data": "", **facts, "kept": True})
        )
        return WriteResult(note=_KEPT)

    def _note(self, store: Store, receipt: Receipt, facts: Mapping[str, Any]) -> None:
        """Make a finished write count: for the readers of this run, then for all others."""
        store.replace(_receipt_name(receipt.id), receipt.to_metadata(**facts))
        newest = Written.parse(store.read(_NEWEST))
        now = time.time_ns() // 1_000_000
        replaced = [] if newest is None else newest.replaced
        if newest is not None and newest.data is not None:
            replaced = [*replaced, (newest.data, now)]
        old = [name for name, moment in replaced if now - moment > _KEPT_MS]
        kept = [[name, moment] for name, moment in replaced if now - moment <= _KEPT_MS]
        text = receipt.to_metadata(**facts, replaced=kept)
        store.replace(_NEWEST, text)
        self._show(store, Written.parse(text))
        for name in old:
            store.remove(name)

    def _show(self, store: Store, newest: Written | None) -> None:
        if newest is not None and newest.data is not None:
            self.publish(f"{store.uri}/{newest.data}", newest.facts, store)

    def _own(self, store: Store, context: OutputContext) -> Written | None:
        return Written.parse(store.read(_receipt_name(context.receipt.id)))

    def _refuse(self, store: Store, context: OutputContext, own: Written | None) -> None:
        """Raise if mode="error" can't write: the target exists, and this write did not make it."""
        if own is not None and own.data is not None:
            outcomes.already(own.receipt, context.receipt, context.uri)
        elif store.read(_NEWEST) is not None or (own is None and store.has_data()):
            raise outcomes.exists(context, '"overwrite" or "ignore"')


def _folder_of(write: WriteId) -> str:
    return f"{STATE}/{digests.of_text(write.transaction)[:24]}"


def _receipt_name(write: WriteId) -> str:
    return f"{_folder_of(write)}/receipt.json"
