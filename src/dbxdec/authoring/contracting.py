"""Contracts of results and parameters, as far as the build can compare them: classes of dataframely or pandera."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dbxdec.authoring.definitions import arguments_of
from dbxdec.errors import Problem, RunError, concerning
from dbxdec.model import dag
from dbxdec.model.typehints import Annotation, of_parameter
from dbxdec.support.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from dbxdec.io_managers.contracts.structure import Column, Structure
    from dbxdec.model.contract_forms import Columns
    from dbxdec.model.contracts import Contract

_FRAMES = frozenset({"polars.DataFrame", "polars.LazyFrame"})
_UNSAID = Annotation("", Any)
_LIKELY = pattern(r"Frame\[|\bAnnotated\[")
_NONE = "-"
_NAMES = pattern(r"[\w.]+")


def unresolved(note: Annotation, what: str, writes: Collection[str] | None) -> tuple[str, str] | None:
    """Return a message and a hint if an annotation that can't be resolved may be a frame with a contract.

    So may any name but those of the types that are stored, `writes`, such as an alias; None is for any type, of which
    only what looks like a frame with a contract counts.
    """
    known = {kind.rpartition(".")[2] for kind in writes or ()} | {"None", "Optional", "Union"}
    names = {name.rpartition(".")[2] for name in _NAMES.findall(note.text)}
    if not _LIKELY.search(note.text) and (writes is None or names <= known):
        return None
    return (
        f"the annotation `{note.text}` of {what} can't be resolved ({note.error}): a contract would not be seen",
        "import its names at run time too, not only under TYPE_CHECKING",
    )


def refusal(note: Annotation, what: str) -> tuple[str, str] | None:
    """Return a message and a hint if the contract of an annotation can't be compared with frames; None if it can."""
    contract = note.contract
    if contract is None:
        return None
    if contract.refusal:
        return f"{what} is annotated `{note.text}`, whose contract `{contract.title}` {contract.refusal}", ""
    if others := [kind for kind in note.type_names if kind not in _FRAMES]:
        return (
            f"{what} has the contract `{contract.title}`, which is for frames of Polars, and may be a {others[0]}",
            "annotate a pl.LazyFrame or a pl.DataFrame",
        )
    try:
        _asked(contract)
    except RunError as error:
        said = error.problems[0]
        return f"{what} can't have its contract: {said.message}", said.hint or ""
    except Exception as error:  # noqa: BLE001 - the library makes the author's class into a schema
        text = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return f"{what} can't have its contract `{contract.title}`, which its library refuses: {text}", ""
    return None


def _known(contract: Contract) -> Structure | None:
    """Return what a contract asks for; None where that can't be told, which has been reported if it is a mistake."""
    with suppress(Exception):
        return _asked(contract)
    return None


def _asked(contract: Contract) -> Structure | None:
    """Return what a contract asks for; None where its library is absent."""
    from dbxdec.io_managers.contracts import classes  # few projects have any

    return None if contract.is_absent or contract.refusal else classes.of(contract)


def of_inputs(function: Callable[..., Any], inputs: Mapping[str, dag.Binding]) -> dict[str, Contract]:
    """Return the contracts of arguments by their places, such as `flights` or `parts[0]`."""
    found: dict[str, Contract] = {}
    for name, binding in inputs.items():
        note = of_parameter(function, name)
        if note is None or note.error:
            continue
        is_variadic = arguments_of(function).is_variadic(name)
        for place, inner, _ in _leaves(note, binding, name, is_variadic=is_variadic):
            if inner.contract is not None:
                found[place] = inner.contract
    return found


def _leaves(
    note: Annotation, binding: dag.Binding, place: str, *, is_variadic: bool = False
) -> Iterator[tuple[str, Annotation, dag.Binding]]:
    """Yield the frames of an argument: their places, annotations and sources."""
    match binding:
        case dag.Sequence(items):
            for i, item in enumerate(items):
                yield from _leaves(note if is_variadic else note.element(i), item, f"{place}[{i}]")
        case dag.Mapped(items):
            for key, item in items:
                yield from _leaves(note if is_variadic else note.element(), item, f"{place}[{key!r}]")
        case dag.TaskOutput() | dag.Table():
            # The iterations of a for-each task come as a list or a dict of frames.
            yield place, note if note.contract is not None else note.element(), binding


def across(jobs: Sequence[dag.Job]) -> list[Problem]:
    """Return a problem for each input whose contract asks for more than that of its producer gives.

    The producer of a table that a job reads without one is any task of the project that writes there.
    """
    writers: dict[str, list[tuple[str, Contract]]] = {}
    for job in jobs:
        for task in job.tasks:
            for output in task.outputs.values():
                if output.contract is not None and output.target is not None:
                    title = f"the task `{task.key}` of the job `{job.key}`"
                    writers.setdefault(output.target, []).append((title, output.contract))
    found: list[Problem] = []
    for job in jobs:
        for task in job.tasks:
            for name, binding in task.inputs.items() if task.contracts else ():
                for place, _, leaf in _leaves(_UNSAID, binding, name):
                    wanted = task.contracts.get(place)
                    givers = [] if wanted is None else _givers(job, leaf, writers)
                    # `.changes()` adds columns of its own.
                    also = () if getattr(leaf, "changes", None) is None else _of_feed()
                    problems = [_compared(task, place, wanted, also, *giver) for giver in givers if wanted is not None]
                    found += concerning((job.key,), [one for one in problems if one is not None])
    return found


def _of_feed() -> tuple[str, ...]:
    from dbxdec.model.changes import FEED  # few tasks need it

    return FEED


def _givers(
    job: dag.Job, leaf: dag.Binding, writers: Mapping[str, list[tuple[str, Contract]]]
) -> list[tuple[str, Contract]]:
    """Return who writes what an argument reads, and with which contract."""
    match leaf:
        case dag.TaskOutput(task, output):
            stored = next((one.outputs.get(output) for one in job.tasks if one.key == task), None)
            contract = None if stored is None else stored.contract
            return [] if contract is None else [(f"the task `{task}`", contract)]
        case dag.Table(_, target):
            return writers.get(target, [])
    return []


def _compared(
    task: dag.Task, place: str, wanted: Contract, also: Collection[str], giver: str, given: Contract
) -> Problem | None:
    """Return the problem of an input that asks for more than it is given; None where that can't be told, too."""
    asks, gives = (None, None) if wanted == given else (_known(wanted), _known(given))
    rows = [] if asks is None or gives is None else [row for row in _lacking(asks, gives) if row[0] not in also]
    if not rows:
        return None
    from dbxdec.io_managers import columns

    asked, hint = "asks for more", "give it in the contract of the producer, or ask for less"
    if all(row[1] == _NONE for row in rows):
        asked, hint = "allows fewer columns", "name them, or let its class allow others (`strict`)"
    return Problem(
        f"the parameter `{place}` of the task `{task.key}` {asked} by its contract {wanted.located} than {giver} "
        f"gives by {given.located}:{columns.lines([('column', 'asked for', 'given'), *rows])}",
        task.called_at or task.source,
        hint,
    )


def _lacking(asks: Structure, gives: Structure) -> Iterator[tuple[str, str, str]]:
    for column in asks.columns:
        if column.is_pattern or not column.required:
            continue
        there = gives.column(column.name)
        if there is None:
            yield column.name, _told(column), _NONE
        elif not _is_given(column, there):
            yield column.name, _told(column), _told(there)
    if asks.others_read == "refused":
        for there in gives.columns:
            if there.required and not there.is_pattern and asks.column(there.name) is None:
                yield there.name, _NONE, _told(there)


def _is_given(column: Column, there: Column) -> bool:
    from dbxdec.io_managers.delta.polars.schemas import stored  # only where Polars is installed

    # A table gives back some types as others, such as strings for categories.
    kinds = [(kind, stored({"": kind})[""]) for kind in there.kinds]
    fits = all(column.accepts(kind) or column.accepts(other) for kind, other in kinds)
    known = bool(kinds) or not column.kinds
    return fits and known and (column.nullable or not there.nullable) and there.required


def _told(column: Column) -> str:
    return f"{column.type}{' or null' if column.nullable else ''}{'' if column.required else ', or absent'}"


def forms(jobs: Iterable[dag.Job]) -> dict[str, Columns]:
    """Return the columns of all contracts of these jobs whose libraries are installed here.

    Classes that share a name, such as those that a function makes, are left out: a manifest has only names.
    """
    found: dict[str, Columns] = {}
    schemas: dict[str, Any] = {}
    for job in jobs:
        for task in job.tasks:
            of_outputs = [output.contract for output in task.outputs.values() if output.contract is not None]
            for contract in (*of_outputs, *task.contracts.values()):
                if schemas.setdefault(contract.name, contract.schema) is not contract.schema:
                    schemas[contract.name] = None
                elif (known := _known(contract)) is not None:
                    found[contract.name] = _form(known)
    return {name: form for name, form in found.items() if schemas[name] is not None}


def _form(known: Structure) -> Columns:
    from dbxdec.model import contract_forms

    there = [contract_forms.Column(one.name, one.type, one.nullable) for one in known.columns]
    return contract_forms.Columns(tuple(there), known.others, str(known.contract.place or ""))
