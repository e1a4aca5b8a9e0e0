"""Contracts of a task's inputs and results: compared where a manager has read, and before it writes."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import field
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.model import dag
from dbxdec.model.typehints import of_parameter
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dbxdec.io_managers.base import IoManager
    from dbxdec.io_managers.contexts import InputContext, OutputContext
    from dbxdec.model.contracts import Contract


def read(value: Any, context: InputContext) -> Any:
    """Return what has been read, with the types of its contract. Raises RunError for other columns.

    A list has what the iterations of a for-each task have stored.
    """
    if context.contract is None:
        return value
    from dbxdec.io_managers.contracts import frames
    from dbxdec.io_managers.delta.polars.schemas import stored
    from dbxdec.model.changes import FEED

    if isinstance(value, list):
        return [read(one, context) for one in value]
    also = () if context.changes is None else FEED
    parameter, uri = context.parameter, context.uri
    return frames.loaded(value, context.contract, parameter=parameter, uri=uri, stored=stored, also=also)


def _is_checked(manager: IoManager) -> bool:
    """Return whether `write` compares values itself: not one that a class of the author has overridden since."""
    classes = type(manager).__mro__
    said, written = (
        next(i for i, kind in enumerate(classes) if name in vars(kind)) for name in ("checks_contracts", "write")
    )
    return manager.checks_contracts and (written >= said or "checks_contracts" in vars(manager))


@dataclass(frozen=True, slots=True)
class Stored:
    """A result as its manager is to store it, and how the rules of its contract came out that were compared before."""

    value: Any
    rules: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def written(value: Any, context: OutputContext, manager: IoManager) -> Iterator[Stored]:
    """Yield the result of a task as its manager is to store it.

    Columns are compared without a query. Values are compared here for a manager that does not do it before it commits:
    the query of a LazyFrame runs once, into local files. Raises RunError for all that is not as the contract says.
    """
    contract, task = context.contract, context.receipt.id.task
    if contract is None or value is None:
        yield Stored(value)
        return
    from dbxdec.io_managers.contracts import frames

    frame = frames.returned(value, contract, task=task)
    if _is_checked(manager):
        yield Stored(frame)
        return
    from dbxdec.io_managers.delta.polars.spilling import once_only

    with once_only(frame) as rows:
        rules = frames.settled(rows.lazy(), contract, frame.collect_schema(), task=task, uri=context.uri)
        yield Stored(rows, rules)


def of_output(function: Callable[..., Any], task: str, name: str, output: dag.Output) -> Contract | None:
    """Return the contract of an output. Raises RunError if the annotation does not name that of the build."""
    note = of_parameter(function, "return")
    contract = None if note is None else note.contract if name == dag.RESULT else note.output(name).contract
    if contract is None and output.contract is not None:
        raise RunError(
            f"the result of the task `{task}` can't be compared with its contract `{output.contract.title}`: here, its "
            "annotation does not name it as it did for the build",
            hint="import the class in the same way wherever the module is imported",
        )
    return contract
