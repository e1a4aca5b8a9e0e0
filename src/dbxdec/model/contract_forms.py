"""The columns of contracts as JSON, in a file beside the manifest: `dbxdec/contracts.json` below `extra_metadata`.

    {"shop.flights:Flights": {"source": "src/shop/flights.py:8", "others": "refused",
                              "columns": [{"name": "delay", "type": "Int64", "nullable": true}]}}

It is not in the build id: only a build that has the library can write it. A contract that is not in it is only named.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dbxdec.errors import ManifestError
from dbxdec.model import dag
from dbxdec.records import dataclass
from dbxdec.support.forms import FormError, at, each_of, kind_of, table, take

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PATH = "dbxdec/contracts.json"
"""The path of the file below `extra_metadata`."""
MAX_BYTES = 8 * 2**20
"""The size of the largest file that is read."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: the type as Polars writes it."""

    name: str
    type: str
    nullable: bool

    def __str__(self) -> str:
        return f"{self.name} {self.type}{' or null' if self.nullable else ''}"


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a contract, what becomes of others, and the line of its class."""

    columns: tuple[Column, ...]
    others: str
    source: str

    def json_form(self) -> dict[str, Any]:
        named = [{"name": one.name, "type": one.type, "nullable": one.nullable} for one in self.columns]
        return {"columns": named, "others": self.others, "source": self.source}


def encode(forms: Mapping[str, Any]) -> bytes:
    """Return the canonical bytes of the file."""
    lines = [f" {json.dumps(name)}: {json.dumps(forms[name], sort_keys=True)}" for name in sorted(forms)]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def decode(content: bytes, origin: str) -> dict[str, Columns]:
    """Return the contracts in `content`. Raises ManifestError, naming `origin`, for other content."""
    try:
        document = json.loads(content)
        if type(document) is not dict:
            raise FormError("", f"is {kind_of(document)}, not an object")
        return {name: _columns(form) for name, form in document.items()}
    except (ValueError, RecursionError, FormError) as error:
        raise ManifestError(f"{origin} has contracts that can't be read: {error!s:.200}") from None


def _columns(form: Any) -> Columns:
    return Columns(each_of(form, "columns", _column), take(form, "others", str), take(form, "source", str))


def _column(form: Any) -> Column:
    return Column(take(form, "name", str), take(form, "type", str), take(form, "nullable", bool))


def names(jobs: Mapping[str, Any]) -> list[str]:
    """Return the contracts of all results and inputs by their names; `jobs` are as a sound manifest has them."""
    tasks = [task for job in jobs.values() for task in at(job, "tasks") or ()]
    outputs = [output for task in tasks for output in table(task, "outputs").values()]
    found = {at(output, "contract") for output in outputs}
    return sorted(
        {name for name in found if name} | {one for task in tasks for one in table(task, "contracts").values()}
    )


def readers(jobs: Iterable[dag.Job], name: str) -> list[tuple[str, dag.Task]]:
    """Return the tasks, with the keys of their jobs, that read a result or a table with that contract."""
    jobs = list(jobs)
    tables = {
        output.target
        for job in jobs
        for task in job.tasks
        for output in task.outputs.values()
        if output.contract is not None and output.contract.name == name
    }
    found = []
    for job in jobs:
        for task in job.tasks:
            leaves = list(task.leaves)
            if any(_target(job, leaf) in tables for leaf in leaves):
                found.append((job.key, task))
    return found


def _target(job: dag.Job, leaf: dag.Binding) -> object:
    match leaf:
        case dag.TaskOutput(task, output):
            stored = job.task(task).outputs.get(output)
            return object() if stored is None else stored.target
        case dag.Table(_, target):
            return target
    return object()
