"""Checks of the jobs of one project that need their whole DAGs."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from dbxdec.errors import Problem, concerning, listed
from dbxdec.model import branches, comparisons, dag, outside, storage_paths
from dbxdec.model.dag import Job, Output, Task, run_order
from dbxdec.model.variables import REFERABLE, has_token, unknown_in
from dbxdec.platform.run_if import NEEDS_FAILURE, RUNS_AFTER_FAILURE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


_Writer = tuple[Job, Task, Output]


def check(jobs: Iterable[Job]) -> list[Problem]:
    """Return errors in jobs: keys, cycles, two writers of a target, inputs that may be missing, runs of other jobs."""
    jobs = list(jobs)
    problems = _duplicate_jobs(jobs)
    for job in jobs:
        own = _cycles(job) or [*_never_run(job), *_maybe_unwritten(job)]
        own += [*_refused_defaults(job), *_unknown_places(job), *_misspelt_places(job)]
        if job.key_parameters:
            from dbxdec.model import key_checks

            own += key_checks.errors(job)
        problems += concerning((job.key,), own)
    return problems + _passed_otherwise(jobs) + _two_writers(jobs) + _unknown_jobs(jobs)


def _duplicate_jobs(jobs: list[Job]) -> list[Problem]:
    first: dict[str, Job] = {}
    problems = []
    for job in jobs:
        before = first.setdefault(job.key, job)
        if before is not job:
            problems.append(
                Problem(
                    f"the job `{job.key}` is already defined at {before.source}",
                    job.source,
                    "give one of them another name, or `@job(key=...)`",
                    (job.key,),
                )
            )
    return problems


def _cycles(job: Job) -> list[Problem]:
    """Return a problem, with the cycle, for each group of tasks that wait for each other."""
    if _waits_only_for_earlier(job):
        return []
    left = {task.key: task for task in job.tasks}
    for task in run_order(job):
        del left[task.key]
    problems = []
    while left:
        path = _walk_cycle(left)
        if not path:
            break
        first = left[path[0]]
        way = " -> ".join([*path, path[0]])
        problems.append(
            Problem(
                f"tasks of the job `{job.key}` wait for each other: {way}",
                first.called_at or first.source,
                "remove one of these dependencies: a task can't run before and after another",
            )
        )
        for key in path:
            del left[key]
    return problems


def _waits_only_for_earlier(job: Job) -> bool:
    """Return whether each task waits only for tasks called before it, as in nearly all jobs: then there is no cycle."""
    earlier: set[str] = set()
    for task in job.tasks:
        for dependency in task.depends_on:
            if dependency.task not in earlier:
                return False
        earlier.add(task.key)
    return True


def _walk_cycle(left: Mapping[str, Task]) -> list[str]:
    """Follow dependencies inside `left` until a task repeats; return the cycle in running order."""
    for start in left:
        path: list[str] = []
        key: str | None = start
        while key is not None and key not in path:
            path.append(key)
            key = next((d.task for d in left[key].depends_on if d.task in left), None)
        if key is not None:
            circle = path[path.index(key) :][::-1]
            first = circle.index(next(task for task in left if task in circle))  # the author's order
            return circle[first:] + circle[:first]
    return []


def _unknown_places(job: Job) -> list[Problem]:
    """Return a problem for each reference or placeholder in a target that would become the name of a folder."""
    problems = []
    for task in job.tasks:
        outputs = task.outputs.values()
        written = [target for output in outputs for target in (output.target, _quarantine(job, task, output))]
        places = dict.fromkeys(
            (target, name) for target in written if target and "{" in target for name in unknown_in(target)
        )
        for target, name in places:
            bundle = name.startswith("$")
            is_ = "has no value in a run" if bundle else "is not a placeholder"
            problems.append(
                Problem(
                    f"the task `{job.key}.{task.key}` writes {target}, but {name} {is_}",
                    task.called_at or task.source,
                    "use bundle_variable(...), whose value reaches the run; a bundle's own references can be the "
                    "default of a variable"
                    if bundle
                    else "`base_path` takes `{job}` and `{task}`",
                )
            )
    return problems


def _misspelt_places(job: Job) -> list[Problem]:
    """Return a problem for each path with a wrong scheme: `s3:/bucket` would become a folder on the machine."""
    return [
        Problem(f"the task `{job.key}.{task.key}` uses {message}", task.called_at or task.source, hint)
        for task in job.tasks
        for io, place in dag.places_of(task)
        for message, hint in storage_paths.misspelt(place, io)
    ]


def _two_writers(jobs: Iterable[Job]) -> list[Problem]:
    writers: dict[str, list[_Writer]] = defaultdict(list)
    for job in jobs:
        for task in job.tasks:
            for output in task.outputs.values():
                if output.target is not None:
                    writers[place(output.target)].append((job, task, output))
    problems = _inside_others(writers, _quarantines(writers))
    for entries in writers.values():
        if len(entries) < 2 or all(output.shared for _, _, output in entries):
            continue
        names = listed([f"{job.key}.{task.key}" for job, task, _ in entries])
        _, task, output = entries[-1]
        problems.append(
            Problem(
                f"{names} write the same target {output.target}",
                task.called_at or task.source,
                f"give one of them another table (`io.table(...)`){_or_else(entries)}; if both should write it, "
                "use `io.table(..., shared=True)`",
                tuple(dict.fromkeys(job.key for job, _, _ in entries)),
            )
        )
    return problems


def _quarantine(job: Job, task: Task, output: Output) -> str | None:
    """Return the place of the rows that a task leaves out of an output; None if it keeps none."""
    return output.quarantine and output.quarantine.replace("{job}", job.key).replace("{task}", task.key)


def _quarantines(writers: Mapping[str, list[_Writer]]) -> dict[str, list[_Writer]]:
    """Return who keeps rows in quarantine, by the place of the quarantine."""
    found: dict[str, list[_Writer]] = defaultdict(list)
    for job, task, output in (writer for entries in writers.values() for writer in entries):
        if (target := _quarantine(job, task, output)) is not None:
            found[place(target)].append((job, task, replace(output, target=target)))
    return found


def _inside_others(writers: Mapping[str, list[_Writer]], quarantines: Mapping[str, list[_Writer]]) -> list[Problem]:
    """Return a problem for each table in the folder of a Delta table.

    VACUUM removes from a table's folder what its log does not name, but for what begins with `_` or `.` (Delta's
    documentation, "Remove files no longer referenced by a Delta table").
    """
    problems = []
    for where, entries in [*writers.items(), *quarantines.items()]:
        for end in (i for i, letter in enumerate(where) if letter == "/" and i):
            there = [*writers.get(where[:end], ()), *quarantines.get(where[:end], ())]
            around = [entry for entry in there if storage_paths.is_delta(entry[2].io)]
            if not around or where[end + 1 :].startswith(("_", ".")):
                continue
            (job, task, output), (other_job, other, other_output) = entries[0], around[0]
            problems.append(
                Problem(
                    f"{job.key}.{task.key} writes {output.target}, which is in the folder of the table "
                    f"{other_output.target} of {other_job.key}.{other.key}",
                    task.called_at or task.source,
                    "put the tables beside each other: VACUUM removes from a table's folder what is not its own",
                    tuple(dict.fromkeys([job.key, other_job.key])),
                )
            )
    return problems


def _or_else(entries: list[_Writer]) -> str:
    """Return, for a hint, other ways to give two writers different targets."""
    by_key = any((output.target or "").rpartition("/")[2] == task.key for _, task, output in entries)
    jobs = {job.key for job, _, _ in entries}
    keys = ", another key (`.override(key=...)`)" if by_key else ""
    return keys + (" or put `{job}` into base_path" if len(jobs) > 1 else "")


def place(target: str) -> str:
    """Return one spelling for all names of the same place; names in a catalog are case-insensitive."""
    if "/" not in target:
        return target.lower()
    scheme, colon, path = storage_paths.without_aliases(target).rpartition("://")
    path = posixpath.normpath(path)
    return scheme + colon + (path[1:] if path.startswith("//") else path)  # which `normpath` keeps


def _never_run(job: Job) -> list[Problem]:
    """Return a problem for each task that needs a failure but waits for nothing, or depends on both branches."""
    problems = [
        Problem(
            f"the task `{task.key}` has run_if={task.run_if} but waits for no task, so it never runs",
            task.called_at or task.source,
            "name the tasks whose failure it handles: `.after(...)`, `depends_on=[...]`; for the failure of any task: "
            "`@job(on_failure=...)`",
        )
        for task in job.tasks
        if task.run_if in NEEDS_FAILURE and not task.depends_on
    ]
    return problems + [
        Problem(
            f"the task `{task.key}` depends on both branches of the condition `{condition}`, so it never runs",
            task.called_at or task.source,
            "run it after the tasks of both branches with `.after(...)`, and with `run_if=` if it must not wait for "
            "success; or call it twice, with `.override(key=...)`",
        )
        for task in job.tasks
        for condition in dict.fromkeys(d.task for d in task.depends_on if d.outcome is not None)
        if len({d.outcome for d in task.depends_on if d.task == condition and d.outcome is not None}) > 1
    ]


def _refused_defaults(job: Job) -> list[Problem]:
    """Return a problem for each default of a parameter with which a task would fail."""
    defaults = {
        parameter.name: parameter.default
        for parameter in job.parameters
        if parameter.default is not None and parameter.follows is None and not has_token(parameter.default)
    }
    return [Problem(f"{one.message} by default", job.source, one.hint) for one in outside.refused(job, defaults, {})]


def _passed_otherwise(jobs: Iterable[Job]) -> list[Problem]:
    """Return a problem for each literal passed to another job with which a task of it would fail."""
    known = {job.key: job for job in jobs}
    return [
        replace(problem, where=task.called_at or task.source)
        for job in known.values()
        for task in job.tasks
        if task.kind == "run_job" and task.runs_job in known
        for problem in outside.passed(task, known[task.runs_job], {})
    ]


def _maybe_unwritten(job: Job) -> list[Problem]:
    """Return a problem for each input whose producer may be excluded, or may fail, while its reader runs."""
    references: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for user, key, value in comparisons.referred_to(job):
        references[user.key].append((key, value))
    problems = []
    for task, own, guards in branches.walk(job):
        late = task.run_if in RUNS_AFTER_FAILURE
        items = {} if task.each is None else {"each(...)": task.each.items}
        for name, binding in {**task.inputs, **items}.items():
            for leaf in dag.flatten(binding):
                if not isinstance(leaf, dag.TaskOutput | dag.TaskValue) or name in task.optional:
                    continue
                missing = sorted(guards[leaf.task] - own)
                if missing or late:
                    why = f"runs only if {missing[0]}" if missing else "may have failed"
                    reads = "iterates over the list of" if name in items else "reads"
                    what = f"`{name}`" if name in items else f"the parameter `{name}`"
                    problems.append(
                        Problem(
                            f"{what} of the task `{task.key}` {reads} the task `{leaf.task}`, which {why}"
                            + (f", and `{task.key}` runs even then (run_if={task.run_if})" if not missing else ""),
                            task.called_at or task.source,
                            _without_list(task, missing) if name in items else _or_none(job, what, leaf),
                        )
                    )
        for other in dict.fromkeys(key for key, _ in references.get(task.key, ()) if key in guards):
            missing = sorted(guards[other] - own)
            if missing or late:
                why = f"runs only if {missing[0]}" if missing else "may have failed"
                problems.append(
                    Problem(
                        f"the task `{task.key}` refers to a value of the task `{other}`, which {why}: the platform "
                        "would take the reference for a literal string",
                        task.called_at or task.source,
                        f"let a function read it, annotated with `| None`, or run `{task.key}` only if `{other}` "
                        "has succeeded",
                    )
                )
    return problems


def _or_none(job: Job, what: str, leaf: dag.TaskOutput | dag.TaskValue) -> str:
    """Return the hint for an input that may have nothing to read."""
    if isinstance(leaf, dag.TaskOutput) and leaf.rows == "newest":
        nothing = "there is no table yet" + (", or nothing new in it" if leaf.changes is not None else "")
        return f"annotate {what} with `| None`: it is None if {nothing}"
    hint = f"annotate {what} with `| None`: it is None if the task `{leaf.task}` has written nothing"
    if isinstance(leaf, dag.TaskOutput) and job.task(leaf.task).each is not None:
        hint += "; as `dict[..., ... | None] | None` it is None for each item that has failed"
    return hint


def _without_list(task: Task, missing: list[str]) -> str:
    """Return the hint for a for-each task that may start without its list of items."""
    same = f"run `{task.key}` only if {missing[0]}, too" if missing else f"leave out run_if={task.run_if}"
    return f"{same}: without its list there is nothing to iterate over; or pass each(...) a literal list or a parameter"


def _unknown_jobs(jobs: list[Job]) -> list[Problem]:
    """Return problems for runs of jobs that are not in the wheel, and for jobs that run each other in a cycle."""
    known = {job.key: job for job in jobs}
    runs = {job.key: [(task, task.runs_job) for task in job.tasks if task.kind == "run_job"] for job in jobs}
    problems = []
    for key, task, target in ((key, task, target) for key, tasks in runs.items() for task, target in tasks):
        if target not in known:
            what = "which no pipeline module defines"
            hint = "define it in a module that `pipelines` in [tool.dbxdec] names"
        elif not REFERABLE.fullmatch(target):
            what = "to whose key no bundle can refer"
            hint = "give that job a key that begins with a letter and ends with a letter or a digit: `@job(key=...)`"
        else:
            continue
        said = f"the task `{task.key}` runs the job `{target}`, {what}"
        problems.append(Problem(said, task.called_at or task.source, hint, (key,)))
    for job in jobs:
        way = _way_back(job.key, runs)
        if way and job.key == min(way):
            problems.append(
                Problem(
                    f"jobs run each other in a cycle: {' -> '.join([*way, job.key])}",
                    next(
                        task.called_at or task.source for task, target in runs[job.key] if target == [*way, job.key][1]
                    ),
                    "remove one of these calls: each would start the next endlessly",
                    tuple(way),
                )
            )
    return problems


def _way_back(start: str, runs: Mapping[str, list[tuple[Task, str]]]) -> list[str]:
    """Return the shortest path on which the job `start` runs itself again; empty without one."""
    ways, seen = [[start]], {start}
    for way in ways:
        for _, target in runs.get(way[-1], []):
            if target == start:
                return way
            if target not in seen:
                seen.add(target)
                ways.append([*way, target])
    return []
