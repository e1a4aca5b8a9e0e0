"""The first rows of a run's stored results: small results from its record, tables through the tasks' own IoManagers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError, did_you_mean, listed
from dbxdec.local import builds
from dbxdec.local.ledger import VALUES
from dbxdec.local.parameters import parameters_shown
from dbxdec.model import dag, places, protocol
from dbxdec.model.variables import resolve as resolve_variables
from dbxdec.platform.known import of_run
from dbxdec.platform.references import resolve
from dbxdec.platform.run_if import State
from dbxdec.records import dataclass
from dbxdec.runtime import task_values
from dbxdec.support import streams
from dbxdec.support.files import STATE_FOLDER
from dbxdec.support.masking import Mask, of_this_machine

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
    with tempfile.TemporaryDirectory(prefix="dbxdec-") as scratch:
        result = Path(scratch, "rows.json")
        request = {"arguments": _arguments(run, build), "outputs": tables, "rows": rows, "result": str(result)}
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-X", "utf8", "-m", "dbxdec.local.peek"],
                cwd=here,
                env={**os.environ, **_environment(run, build, here)},
                input=json.dumps(request).encode(),
                capture_output=True,
                check=False,
                timeout=_LONGEST_S,
            )
        except subprocess.TimeoutExpired:
            return [FirstRows(*key, why=f"reading took longer than {_LONGEST_S} s") for key in tables]
        if not result.exists():
            said = done.stderr.decode("utf-8", "backslashreplace").rstrip().splitlines()
            why = Mask(of_this_machine()).text(said[-1]) if said else f"reading ended with exit code {done.returncode}"
            return [FirstRows(*key, why=why) for key in tables]
        return [
            FirstRows(
                one["task"],
                one["output"],
                tuple(one.get("columns", ())),
                tuple(map(tuple, one.get("rows", ()))),
                one.get("why", ""),
            )
            for one in json.loads(result.read_text(encoding="utf-8"))
        ]


def _arguments(run: Run, build: Build) -> list[str]:
    """Return the arguments that a task of the run would be started with; they include all bundle variables."""
    any_task = replace(run.dag.tasks[0], each=None, variables=tuple(run.head["variables"]))
    parameters = parameters_shown(run)
    known = {
        **of_run(run.job, run.id, run.started, parameters, repair=run.repairs),
        "task.name": any_task.key,
        "task.execution_count": "1",
    }
    own = protocol.task_parameters(build.manifest.project, build.manifest.build_id, run.job, any_task)
    texts = {name: resolve_variables(text, run.head["variables"]) for name, text in own.items()}
    return [f"--{name}={resolve(text, known)}" for name, text in {**texts, **parameters}.items()]


def _environment(run: Run, build: Build, here: Path) -> dict[str, str]:
    root = run.head["root"] if "root" in run.head else str((here / STATE_FOLDER / "lake").absolute())
    return {
        **streams.CHILD,
        task_values.FOLDER: str((run.folder / VALUES).absolute()),
        **({places.ROOT: root} if root else {}),
        **builds.environment(build),
    }
