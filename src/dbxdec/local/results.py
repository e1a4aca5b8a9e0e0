"""The first rows of a run's stored results: small results from its record, tables through the tasks' own IoManagers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError, did_you_mean, listed
from dbxdec.local import asking
from dbxdec.local.ledger import VALUES
from dbxdec.local.parameters import parameters_shown
from dbxdec.model import dag
from dbxdec.platform.known import of_run
from dbxdec.platform.run_if import State
from dbxdec.records import dataclass
from dbxdec.runtime import task_values
from dbxdec.support.files import STATE_FOLDER
from dbxdec.support.masking import Mask, of_this_machine

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from dbxdec.local.builds import Build
    from dbxdec.local.history import Run

_LONGEST_S = 300


@dataclass(frozen=True)
class FirstRows:
    """The beginning of one output of a task; `why` says why it can't be shown, and is "" when it can."""

    task: str
    output: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    why: str = ""

    @property
    def title(self) -> str:
        """Return `task`, or `task["output"]` for a named one."""
        return self.task if self.output == dag.RESULT else f"{self.task}[{json.dumps(self.output)}]"


def outputs_of(run: Run, task: str) -> list[tuple[str, str]]:
    """Return the outputs of a task of `run`. Raises RunError when the task stores nothing, or stored nothing in it."""
    known = [one.key for one in run.dag.tasks]
    if task not in known:
        base = task.partition("[")[0]
        hint = f"`{base}` has the rows of all its iterations" if base in known else did_you_mean(task, known)
        hint = hint or f"its tasks are {listed(known)}"
        raise RunError(f"the job `{run.job}` has no task `{task}`", hint=hint)
    outputs = run.dag.task(task).outputs
    if not outputs:
        inside = run.dag.task(task).kind == "run_job"
        hint = f"`{task}/KEY` is a task of the job that it runs" if inside else None
        raise RunError(f"the task `{task}` stores nothing", hint=hint)
    state = run.tasks().get(task, {}).get("state", "not run")
    if state != State.SUCCESS:
        raise RunError(f"the task `{task}` has stored no result in the run {run.id}: {state}")
    return [(task, output) for output in outputs]


def first_rows(
    run: Run, build: Build | None, here: Path, outputs: Iterable[tuple[str, str]], rows: int
) -> list[FirstRows]:
    """Return the first `rows` of each of the outputs, as a downstream task would read them, in a process of its own.

    `build` is the build of the run, or a later one that stores the same in the same places; None without one.
    """
    wanted = list(outputs)
    stored = {(task, output): run.dag.task(task).outputs[output] for task, output in wanted}
    found = {key: _small(run, *key) for key in wanted if stored[key].io is None}
    tables = [key for key in wanted if stored[key].io is not None]
    if tables and build is None:
        why = "the build of that run is gone, and the project now stores this elsewhere"
        found |= {key: FirstRows(*key, why=why) for key in tables}
    elif tables and build is not None:
        found |= {(one.task, one.output): one for one in _read(run, build, here, tables, rows)}
    return [found[key] for key in wanted]


def _small(run: Run, task: str, output: str) -> FirstRows:
    """Return a small result, which the run's folder has."""
    try:
        left = json.loads((run.folder / VALUES / f"{task}.json").read_text(encoding="utf-8"))
        value = Mask(of_this_machine()).results(left[dag.RETURN_VALUE])
    except (OSError, ValueError, KeyError, TypeError):
        return FirstRows(task, output, why="its task value is not in the record of the run")
    return FirstRows(task, output, ("value",), ((value,),))


def _read(run: Run, build: Build, here: Path, tables: Sequence[tuple[str, str]], rows: int) -> list[FirstRows]:
    parameters = parameters_shown(run)
    known = of_run(run.job, run.id, run.started, parameters, repair=run.repairs)
    arguments = asking.arguments(build, run.dag, run.head["variables"], known, parameters)
    root = run.head["root"] if "root" in run.head else str((here / STATE_FOLDER / "lake").absolute())
    environment = {
        task_values.FOLDER: str((run.folder / VALUES).absolute()),
        **asking.environment(build, root),
    }
    request = {"arguments": arguments, "outputs": tables, "rows": rows}
    try:
        found = asking.answer("dbxdec.local.peek", request, here, environment, _LONGEST_S)
    except TimeoutError:
        return [FirstRows(*key, why=f"reading took longer than {_LONGEST_S} s") for key in tables]
    except RunError as error:
        return [FirstRows(*key, why=str(error)) for key in tables]
    return [
        FirstRows(
            one["task"],
            one["output"],
            tuple(one.get("columns", ())),
            tuple(map(tuple, one.get("rows", ()))),
            one.get("why", ""),
        )
        for one in found
    ]
