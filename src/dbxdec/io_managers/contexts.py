"""The facts that an IoManager is told of each read and write, those that it tells of them, and the proof of a write.

Frozen data, without an engine: those who read and write know nothing else of each other.
"""

from __future__ import annotations

import json
from dataclasses import asdict, field
from typing import TYPE_CHECKING, Any, Literal

from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbxdec.io_managers.positions import Progress, Span
    from dbxdec.model.changes import Changes
    from dbxdec.model.contracts import Contract


KEYED = "dbxdec1"
"""The beginning of the transaction identifier of a write with a key."""
NO_ITEMS = "none"
"""The item of a write that says that a for-each task has none: the ids of real items end with a digest."""


@dataclass(frozen=True, slots=True)
class WriteId:
    """The identity of a write: stable over retries and repairs of one task of one run, and never reused.

    A stable application id with the run as version would not do: run ids are not ordered in time, so an older run
    repaired later would be dropped.

    Attributes:
        workspace: The workspace's id.
        job: The job's key.
        run: The run's id.
        task: The task's key.
        item: Names the item of a for-each iteration, whatever its place among the items; empty outside of one.
        output: The named output; empty for a task's only result.
        key: The key of the run (`model/run_keys.py`); empty for a run without one.
        slot: The writer among those that share a table; empty for a table with one writer, so that its history
            outlives a new name of its project, job or task.
        items: How many items the task runs for; 0 outside of an iteration.
    """

    workspace: str
    job: str
    run: str
    task: str
    item: str = ""
    """The item of a for-each iteration, whatever its position among the items; empty outside of an iteration."""
    output: str = ""
    """The named output; two of them may go to one table. Empty for a task with a single result."""
    key: str = field(default="", compare=False)
    slot: str = field(default="", compare=False)
    items: int = field(default=0, compare=False)

    @property
    def transaction(self) -> str:
        """The Delta application id of this write (Delta protocol, "Transaction identifiers").

        One identifier serves for exactly-once and, with a key, says which key the table has: a writer of Spark can
        give a commit only one.
        """
        named = [self.output] if self.output else []
        identity = "/".join([self.workspace, self.job, self.run, self.task, self.item, *named])
        if not self.key:
            return f"dbxdec/{identity}"
        return "|".join([KEYED, self.slot, self.key, identity, *([str(self.items)] if self.items else [])])

    @property
    def empty_transaction(self) -> str:
        """The application id of a receipt without data: the write itself may still come."""
        return f"{self.transaction}/receipt"

    @property
    def own_transaction(self) -> str:
        """The application id of commits by the task's own code; what its IoManager then stores is another commit."""
        return f"own/{self.transaction}"


# Fields of an identity that a receipt leaves out where they say nothing.
_OPTIONAL = ("output", "key", "slot", "items")


@dataclass(frozen=True, slots=True)
class Receipt:
    """The proof of a write, kept in the same commit as the data.

    Attributes:
        id: Who writes.
        attempt: The try of the task that writes, from 1.
        build: The build id of the wheel.
        parameters: A digest of the job parameters.
        lock: A digest of the pins of the build's lock; empty without a lock.
    """

    id: WriteId
    attempt: int
    build: str
    parameters: str
    lock: str = ""
    progress: Progress | None = field(default=None, compare=False)
    """The writer's position in the tables whose new rows it reads; None for a task that reads nothing of that kind."""
    facts: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """Further facts that the commit states, such as the outcomes of its expectations."""

    def to_metadata(self, **facts: Any) -> str:
        """Return the string for a commit's `userMetadata`, the only field that delta-rs and Spark both write and read.

        It holds the receipt and `facts` as JSON.
        """
        facts = {**self.facts, **facts}
        if self.progress is not None:
            facts |= self.progress.facts()
        identity = asdict(self.id)
        identity = {name: identity[name] for name in identity if name not in _OPTIONAL or identity[name]}
        body = {**identity, "attempt": self.attempt, "build": self.build, "parameters": self.parameters, **facts}
        if self.lock:
            body["lock"] = self.lock
        return json.dumps({"dbxdec": body}, sort_keys=True)

    @classmethod
    def from_metadata(cls, text: str | None) -> tuple[Receipt, dict[str, Any]] | None:
        """Return the receipt in a commit's `userMetadata` and the facts beside it; None for other writers' commits."""
        if not text or '"dbxdec"' not in text:
            return None
        try:
            body = dict(json.loads(text)["dbxdec"])
            places = {name: body.pop(name) for name in ("workspace", "job", "run", "task", "item")}
            optional = {name: body.pop(name) for name in _OPTIONAL if name in body}
            identity = WriteId(**places, **optional)
            proof = (body.pop("attempt"), body.pop("build"), body.pop("parameters"))
            receipt = cls(identity, *proof, lock=body.pop("lock", ""))
        except (ValueError, KeyError, TypeError):
            return None
        return receipt, body


Rows = Literal["run", "table", "changed"]
"""The rows of a task's result that a reader gets.

"run": what the task returned in this run; for a merge, the table as the merge left it. "table": the whole table, at the
version that the task wrote. "changed": like "run", but for a merge only the rows that it inserted or changed.
"""


@dataclass(slots=True)
class ReadFacts:
    """The facts of a read that a manager has told, for the log line and the record of a local run."""

    version: int | None = None
    rows: int | None = None
    note: str = ""
    """Anything else, in words."""


@dataclass(frozen=True, slots=True)
class InputContext:
    """A request to read: the argument of `IoManager.read`.

    Attributes:
        uri: The place to read.
        parameter: The name of the reader's parameter, for messages.
        annotation: The parameter's annotation, without `| None`; None if it has none.
        producer: The write whose result is wanted; None asks for the newest version.
        started: The run's start in milliseconds since the epoch: no write of this run is older.
        rows: Which rows of the producer's result: `"run"`, `"table"` or `"changed"`.
        changes: What the reader wants of the rows that are new to it; None for a reader of a result or a whole table.
        span: The versions in which these rows are.
        contract: The class of dataframely or pandera in the annotation. What is read is compared with it afterwards.

    Example:
        ```python
        from dbxdec import InputContext

        assert InputContext("lake/orders").producer is None
        ```
    """

    uri: str
    parameter: str = "value"
    annotation: Any = None
    producer: WriteId | None = None
    started: int = 0
    rows: Rows = "run"
    changes: Changes | None = None
    span: Span | None = None
    facts: ReadFacts = field(default_factory=ReadFacts, compare=False, repr=False)
    contract: Contract | None = None

    def tell(self, *, version: int | None = None, rows: int | None = None, note: str = "") -> None:
        """Note what is known of the read: the version of the table, how many rows, anything else in words.

        Words that are there already stay, unless others come.
        """
        self.facts.version, self.facts.rows, self.facts.note = version, rows, note or self.facts.note


@dataclass(frozen=True, slots=True)
class ItemWrite:
    """The write of one iteration of a for-each task: its id, its target, and the label of its item.

    `required` says that the task stores something whenever it runs: nothing stored means that the iteration has failed,
    or did not run.
    """

    id: WriteId
    uri: str
    label: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class OutputContext:
    """The facts of one write: the argument of `IoManager.write` and `IoManager.preflight`.

    Attributes:
        uri: The place to write.
        receipt: Who writes; it belongs into the same commit as the data.
        returns: The types that the task's function says it returns, as `"polars.DataFrame"`; None if it says nothing.
        parameters: The run's job parameters, which options of a manager may refer to.
        has_readers: Whether a task of the job reads the result.
        contract: The class of dataframely or pandera in the return annotation. Managers whose `checks_contracts` is
            True compare the values with it before they commit; for others that is done before `write`.

    Example:
        ```python
        from dbxdec import OutputContext, WriteResult


        def write(context: OutputContext, value: list[str]) -> WriteResult:
            print(context.uri, context.receipt.id.transaction)
            return WriteResult(rows=len(value))
        ```
    """

    uri: str
    receipt: Receipt
    returns: tuple[str, ...] | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    has_readers: bool = True
    contract: Contract | None = None


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The result of a write, for the log and the record of the run.

    Attributes:
        version: The version of the table, where the storage has versions.
        rows: How many rows were written, where the storage knows it.
        note: Anything else, in words.
        expectations: How each expectation of the table came out, by its name: `failed` of `rows`, and the `action`;
            of those over all rows also the `rule`. So did the rules of a contract (`"contract"`).

    Example:
        ```python
        from dbxdec import WriteResult

        assert WriteResult(rows=3).version is None
        ```
    """

    version: int | None = None
    rows: int | None = None
    note: str = ""
    expectations: Mapping[str, Any] = field(default_factory=dict)
