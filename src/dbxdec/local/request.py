"""A request for a run of a job on this machine: the work of `dbxdec run`, for Python."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from dbxdec.errors import Problem, RunError, noted
from dbxdec.local import builds, earlier, ledger, runner
from dbxdec.local.interface import Listener, Setting
from dbxdec.local.parameters import (
    check_names,
    check_parameters,
    check_variables,
    same_values,
    variables_of,
    variables_of_project,
)
from dbxdec.local.pool import Pool
from dbxdec.local.selection import check_replaced, select
from dbxdec.local.setting_aside import set_aside
from dbxdec.local.variables import local_values
from dbxdec.model import beginnings, places
from dbxdec.records import dataclass
from dbxdec.support import streams

if TYPE_CHECKING:
    from dbxdec.local.builds import Build
    from dbxdec.local.history import Run
    from dbxdec.local.interface import JobRun
    from dbxdec.model.dag import Job, Task


@dataclass(frozen=True)
class RunRequest:
    """The job of a build to run for the project in `folder`, and its settings.

    `parameters` and `variables` are strings, by name. `target` is a target of the bundle, whose variables count.
    `tasks`, `start` and `until` select tasks: only these, these and all downstream, these and all upstream. `replaced`
    are shell commands in the place of tasks. `before` is the run to resume. With `fresh`, local outputs of earlier runs
    are moved out of the way first. Remote places are folders below `root`, by default `.dbxdec/lake`; with `remote`
    they are used as they are. `at_once` is how many tasks run at the same time. `source` is what to call the build.
    `adopt` and `restart` say where tasks begin that read what is new (`model/beginnings.py`).
    """

    job: str
    build: Build
    folder: Path
    source: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None
    tasks: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    until: tuple[str, ...] = ()
    replaced: Mapping[str, str] = field(default_factory=dict)
    before: Run | None = None
    fresh: bool = False
    root: Path | None = None
    remote: bool = False
    at_once: int = 1
    adopt: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """A checked run: no mistake remains that can be found before it begins."""

    job: Job
    setting: Setting
    parameters: Mapping[str, str]
    selected: frozenset[str] | None
    before: Run | None
    ends_pool: bool = True

    def run(self, listener: Listener) -> JobRun:
        """Run the job to its end, and end the processes of its tasks."""
        ended = runner.run_job(
            self.setting,
            self.job,
            parameters=self.parameters,
            listener=listener,
            selected=self.selected,
            before=self.before,
        )
        if self.ends_pool:
            self.setting.pool.close()
        return ended


def prepared(
    request: RunRequest,
    *,
    told: Callable[[str], object] = lambda _: None,
    pool: Pool | None = None,
    turns: Callable[[Task], AbstractContextManager[object]] = lambda _: nullcontext(),
    mistakes: Sequence[Problem] = (),
) -> Prepared:
    """Check a request, and prepare the run; `told` gets messages for the user.

    `mistakes` are those that have left the run to resume unknown: only what does not depend on it is checked as well.

    A `pool` that serves other runs as well outlives it; `turns` keeps their tasks apart.

    Sets the environment variable of the local root for this process, and with `fresh` moves earlier results aside.
    Raises DbxdecError with all mistakes in what is asked for.
    """
    before, folder = request.before, request.folder
    job = request.build.manifest.job(request.job)
    given, variables, target = dict(request.parameters), dict(request.variables), request.target
    problems = list(mistakes)
    if request.adopt or request.restart:
        with noted(problems):
            begin = beginnings.parameters_of(request.adopt, request.restart, job)
            if before is not None:
                earlier.check_beginnings(before.head["parameters"], begin)
            given |= begin
    if before is not None:
        had, names = before.head["parameters"], {parameter.name for parameter in job.parameters}
        own = {name: text for name, text in given.items() if name in names | had.keys()}  # others are misspelt
        with noted(problems):
            earlier.check_as_before("parameter", "--param", had, own, same_values(job, had, own))
        given |= had
        had, used = before.head["variables"], variables_of_project(request.build.manifest)
        own = {name: text for name, text in variables.items() if name in used | had.keys()}
        with noted(problems):
            earlier.check_as_before("bundle variable", "--var", had, own)
        variables |= {name: text for name, text in had.items() if name in used}  # the project may have changed
        with noted(problems):
            target = earlier.same_target(before, target)
    asked = (request.tasks, request.start, request.until)
    values: dict[str, str] = {}
    parameters: dict[str, str] = {}
    selected: frozenset[str] | None = None
    with noted(problems):
        check_variables(request.build.manifest, variables)  # a misspelt one leaves another one without a value
        if not mistakes:
            values = local_values(variables_of(request.build.manifest, job, given), variables, folder, target)
    with noted(problems):
        if mistakes:
            check_names(job, given)
        else:
            parameters = check_parameters(job, given, values, None if problems else request.build.manifest)
    with noted(problems):
        check_replaced(request.replaced, job, request.build.manifest)
    with noted(problems):
        selected = select(job, tasks=request.tasks, start=request.start, until=request.until)
    if before is not None:
        with noted(problems):
            root_of(request)
    if problems:
        raise RunError(dict.fromkeys(problems))
    if before is not None and not any(asked):
        selected = before.selected
    root = root_of(request)
    if pool is None:
        from dbxdec.local.awaited import refuse_awaited

        began = ledger.now_ms() if before is None else before.started
        refuse_awaited(request.build.manifest, job, parameters, values, folder, root, began)
    told(f"running {request.source}" if target is None else f"running {request.source} for the target {target}")
    if root is not None:
        os.environ[places.ROOT] = root  # the places that are shown follow it
    else:
        os.environ.pop(places.ROOT, None)  # of a run that contains the start of this one
    if request.fresh:
        set_aside(request.build, job.key, values, folder, told)
    setting = Setting(
        request.build,
        values,
        folder,
        pool or pool_of(request),
        request.source,
        request.replaced,
        told=told,
        target=target,
        root=root,
        turns=turns,
    )
    return Prepared(job, setting, parameters, selected, before, ends_pool=pool is None)


def pool_of(request: RunRequest, *, shared: Path | None = None, inherited: Sequence[int] = ()) -> Pool:
    """Return the processes for a run, or with the open files that they inherit, for several runs like it."""
    root = root_of(request)
    environment = {} if root is None else {places.ROOT: root}
    return Pool(
        request.at_once,
        folder=str(request.folder),
        environment={"PYTHONUNBUFFERED": "1", **streams.CHILD, **environment, **builds.environment(request.build)},
        packages=request.build.manifest.packages,
        places=builds.imported_from(request.build),
        shared=shared,
        inherited=inherited,
    )


def run(request: RunRequest, listener: Listener | None = None, *, told: Callable[[str], object] = print) -> JobRun:
    """Run the request to its end. Raises DbxdecError when it can't begin; the returned value says how it ended."""
    nobody = Listener(started=lambda _: None, printed=lambda *_: None, ended=lambda _: None)
    return prepared(request, told=told).run(listener or nobody)


def root_of(request: RunRequest) -> str | None:
    """Return the folder below which remote places are; None when they are used as they are."""
    root = None if request.remote else str(request.root.absolute()) if request.root else ledger.lake(request.folder)
    if request.before is None or "root" not in request.before.head:
        return root
    return earlier.same_root(request.before, root, asked=request.remote or request.root is not None)
