"""For-each tasks: `each(items)` runs a task once for each of many items."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from dbxdec.authoring import recording
from dbxdec.authoring.proxies import TaskProxy, TaskValueReference
from dbxdec.authoring.references import ParameterProxy, Reference, Spoiled, first_in
from dbxdec.authoring.settings import plain
from dbxdec.errors import AuthoringError, Problem, shown
from dbxdec.model import dag, literals, typehints
from dbxdec.model.dag import MAX_CONCURRENCY
from dbxdec.model.mistakes import forgiving, giving

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dbxdec.authoring.nodes import Call

T = TypeVar("T")

_KINDS = "a list of literals, a job parameter of the type `list`, or the `list` that a task returns as a small result"


class Items(Reference):
    """The argument `each(...)` of a call."""

    def __init__(self, items: object, concurrency: Any) -> None:
        self._items = items
        self._concurrency = concurrency

    def describe(self) -> str:
        return "each(...)"


@forgiving(giving(Items(Spoiled(), None)))
def each(items: Iterable[T], *, concurrency: int | None = None) -> T:
    """As an argument of a task's call: run the task once for each item.

    Items are numbered, so equal literals stay apart. Equal items in a list that comes with the run are refused: those
    of a job parameter before `dbxdec run` starts a task, the others in the run.

    Args:
        items: A literal list, a job parameter of the type `list`, or the `list` that a task returns as a small result.
        concurrency: How many iterations run at once, 1 to 100. Without it the platform runs one after another.

    Returns:
        What the argument takes: an item.

    Raises:
        AuthoringError: It is used outside of a job's body, or the items are of another kind.

    Example:
        ```python
        import polars as pl
        from dbxdec import bundle_variable, each, job, task
        from dbxdec.io_managers import PolarsDeltaIoManager

        lake = PolarsDeltaIoManager(bundle_variable("lake_root"), mode="append")


        @task(io_manager=lake.table("orders"))
        def ingest(country: str) -> pl.DataFrame: ...


        @task
        def rows(orders: dict[str, pl.DataFrame]) -> int: ...


        @job
        def daily(countries: list[str] = ["de", "fr"]) -> None:
            rows(ingest(each(countries, concurrency=8)))
        ```
    """
    recorder = recording.current()
    if recorder is None:
        raise AuthoringError(
            Problem(
                "each(...) is used outside a job's body",
                recording.caller(),
                "pass it to a task in a function with `@job`; elsewhere write a loop",
            )
        )
    found = Items(items, _concurrency(concurrency))
    recorder.give(found)
    return found  # type: ignore[return-value]


def _concurrency(given: Any) -> int | str | None:
    """Return `each`'s `concurrency` as plain data. Any other than a number of the platform or a variable is refused."""
    hint = f"write a number from 1 to {MAX_CONCURRENCY}, or bundle_variable(...)"
    try:
        found = plain(given, "concurrency")
    except AuthoringError as error:
        recording.refuse(Problem(f"each(...): {problem.message}", hint=hint) for problem in error.problems)
        return None
    if found is None or (type(found) is int and 1 <= found <= MAX_CONCURRENCY):
        return found
    if isinstance(found, str) and "${" in found:
        return found
    recording.refuse([Problem(f"each(...): `concurrency` is {shown(given)}", hint=hint)])
    return None


def bind(call: Call, parameter: str, given: Items, bound: dag.Binding | None) -> dag.Each:
    """Return the for-each of `call`. `bound` is the binding of its items if they are a reference.

    Mistakes are noted; the task then gets placeholder items, which are not checked further.
    """
    found = _bound(call, parameter, given, bound) or dag.Each(dag.Parameter(""), given._concurrency)
    note = None if isinstance(found.items, dag.Literal) else typehints.of_parameter(call.task.fn, parameter)
    return found if note is None else replace(found, type=note.value_type)


def _bound(call: Call, parameter: str, given: Items, bound: dag.Binding | None) -> dag.Each | None:
    items, recorder = given._items, call.recorder
    where = f"`each(...)` for the argument `{parameter}` of the task `{call.key}`"
    if isinstance(items, Spoiled):
        return None
    if isinstance(items, ParameterProxy | TaskProxy | TaskValueReference):
        if bound is None:
            return None
        if (refusal := _not_a_list(call, bound)) is not None:
            recorder.problem(f"{where} gets {items.describe()}, {refusal}", f"items are {_KINDS}")
            return None
        return dag.Each(bound, given._concurrency)
    if not isinstance(items, list | tuple):
        recorder.problem(f"{where} gets {shown(items)}", f"items are {_KINDS}; convert others: `each(list(...))`")
        return None
    if (later := first_in(items)) is not None:
        recorder.problem(
            f"{where} has {later.describe()} among its items, which has a value only when the job runs",
            "return the whole list from one task, and pass its result to `each(...)`",
        )
        return None
    if not items:
        recorder.problem(f"{where} has no items", "remove the call, or pass a job parameter")
        return None
    try:
        return dag.Each(dag.Literal(literals.encode(list(items)), items), given._concurrency)
    except literals.UnsupportedLiteralError as error:
        recorder.problem(f"{where}: {error}", f"items are {_KINDS}")
        return None


def _not_a_list(call: Call, bound: dag.Binding) -> str | None:
    """Return why the platform can't iterate over `bound`, or None. The type of a task value is known only in a run."""
    match bound:
        case dag.Parameter(name):
            declared = call.recorder.parameters.get(name)
            kind = declared.type if declared else None
        case dag.TaskOutput(task, output):
            stored = call.recorder.calls[task].outputs.get(output)
            kind = stored.type if stored else None
            if call.recorder.calls[task].is_mistaken:
                return None
            if kind is None:
                return "which is not a small result"
        case _:
            kind = None
    if kind is None or (kind.kind == "list" and not kind.optional):
        return None
    return f"which is `{kind}`"
