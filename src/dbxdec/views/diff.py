"""The differences between two builds of a project, and the effects of deploying the second."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from dbxdec.errors import counted
from dbxdec.model import checks, dag
from dbxdec.records import dataclass
from dbxdec.views import texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbxdec.model.dag import Job, Output, Task
    from dbxdec.model.manifest import Manifest

Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `what` is its place, `daily.tasks.extract.outputs.result`; an absent value is None."""

    kind: Kind
    what: str
    before: str | None = None
    after: str | None = None
    effect: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """All changes of the jobs, of their lock's pins, the files of the wheel that differ, and what a deploy does."""

    changes: tuple[Change, ...]
    pins: tuple[Change, ...]
    files: tuple[Change, ...]
    deploy: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Written:
    """The tasks that write each place, by their names, before and after."""

    before: Mapping[str, set[tuple[str, str]]]
    after: Mapping[str, set[tuple[str, str]]]

    def begins(self, old: Task | None, new: Task) -> str | None:
        """Return what the next run of a task needs that reads what is new under a name that the build did not have.

        How far it has read is noted under the names of job, task and parameter, in a table that has rows by then.
        `old` is the task of these names. A table that tasks share has rows of each, and a further one begins in it.
        """
        known = dag.changes_of(old) if old is not None else {}
        strange = [name for name in dag.changes_of(new) if name not in known]
        if not strange or not any(self._has_rows(output) for output in new.outputs.values()):
            return None
        return f"nothing tells up to where it has read {', '.join(strange)}: its next run needs `--adopt {new.key}=...`"

    def _has_rows(self, output: Output) -> bool:
        place = checks.place(output.target) if output.target else ""
        writers = self.before.get(place, set())
        return bool(writers) and not (output.shared and writers <= self.after[place])


def _writers(made: Manifest) -> dict[str, set[tuple[str, str]]]:
    found: dict[str, set[tuple[str, str]]] = {}
    for job in made.jobs:
        for task in job.tasks:
            for output in task.outputs.values():
                if output.target:
                    found.setdefault(checks.place(output.target), set()).add((job.key, task.key))
    return found


def difference(old: Manifest, new: Manifest, old_files: Mapping[str, str], new_files: Mapping[str, str]) -> Difference:
    """Compare two builds. Files are digests by path in the wheel."""
    changes = []
    before, after = {job.key: job for job in old.jobs}, {job.key: job for job in new.jobs}
    written = _Written(_writers(old), _writers(new))
    for key in [*before, *(key for key in after if key not in before)]:
        if key not in after:
            changes.append(Change("removed", key, effect="the job is deleted, together with its run history"))
        elif key not in before:
            changes += _created(after[key], written)
        else:
            changes += _job(before[key], after[key], written)
            changes += _texts(key, _libraries(old), _libraries(new))
    files = tuple(_texts("", old_files, new_files))
    pins = tuple(_texts("", _pins(old), _pins(new)))
    return Difference(tuple(changes), pins, files, tuple(_deploy(old, new, changes, pins, files)))


def _deploy(
    old: Manifest, new: Manifest, changes: list[Change], pins: tuple[Change, ...], files: tuple[Change, ...]
) -> Iterator[str]:
    if old.build_id == new.build_id and not changes:
        yield "The builds are the same: a deploy changes no code, and jobs only where databricks.yml has changed."
        return
    jobs = {kind: [c.what for c in changes if c.kind == kind and "." not in c.what] for kind in ("added", "removed")}
    updated = list(dict.fromkeys(c.what.partition(".")[0] for c in changes if "." in c.what))
    updated = [key for key in updated if key not in jobs["added"]]
    for kind, verb in (("added", "creates"), ("removed", "deletes")):
        if jobs[kind]:
            yield f"A deploy {verb} {', '.join(jobs[kind])}."
    if updated:
        yield f"A deploy changes {', '.join(updated)}."
    rest = [job.key for job in new.jobs if job.key not in {*updated, *jobs["added"]}]
    if rest and old.build_id != new.build_id:
        what = "the wheel, its build id and the pins" if pins else "the wheel and its build id"
        yield f"Only {what} change for {', '.join(rest)}."
    if files:
        yield f"{len(files)} file{'s' if len(files) > 1 else ''} of the wheel differ{'' if len(files) > 1 else 's'}."
    if old.build_id != new.build_id:
        yield "Runs in progress keep the wheel that they started with; a repair of one refuses the new build."


def _libraries(made: Manifest) -> dict[str, str]:
    return {"extra-libraries": ", ".join(_with_digest(made, text) for text in made.libraries)} if made.libraries else {}


def _pins(made: Manifest) -> dict[str, str]:
    """Return the version of each package that the lock gives to each Python: `3.12 polars` is `1.44.0`."""
    found: dict[str, str] = {}
    for python, pins in made.locked.pins.items() if made.locked is not None else ():
        for text in pins.packages:
            name, version = _package(made, text)
            index = f" from {pins.indexes[name]}" if name in pins.indexes else ""
            found[f"{python} {name}"] = version + index
    return found


def _package(made: Manifest, text: str) -> tuple[str, str]:
    """Return the name and the version of a library that a lock pins."""
    for sign in ("==", " @ "):
        name, found, version = text.partition(sign)
        if found:
            return name, version
    if text in made.wheels:
        return text.rpartition("/")[2].partition("-")[0].replace("_", "-").lower(), _with_digest(made, text)
    return text, "the one that builds"


def _with_digest(made: Manifest, text: str) -> str:
    return f"{text} ({made.wheels[text][:12]})" if text in made.wheels else text


def _created(job: Job, written: _Written) -> Iterator[Change]:
    yield Change("added", job.key, effect=f"the job is created, with {counted(len(job.tasks), 'task')}")
    for task in job.tasks:
        if begins := written.begins(None, task):
            yield Change("added", f"{job.key}.tasks.{task.key}", effect=begins)


def _job(old: Job, new: Job, written: _Written) -> Iterator[Change]:
    key = new.key
    docs = [{"doc": text} if (text := _one_line(job.doc)) else {} for job in (old, new)]
    yield from _texts(key, *docs)
    yield from _texts(f"{key}.settings", dict(texts.settings(old.settings)), dict(texts.settings(new.settings)))
    yield from _texts(f"{key}.parameters", _parameters(old), _parameters(new), removed="runs that set it are refused")
    for what in ("clusters", "environments"):
        yield from _texts(
            f"{key}.{what}", dict(texts.settings(getattr(old, what))), dict(texts.settings(getattr(new, what)))
        )
    before, after = {task.key: task for task in old.tasks}, {task.key: task for task in new.tasks}
    for name in [*before, *(name for name in after if name not in before)]:
        place = f"{key}.tasks.{name}"
        if name not in after:
            targets = [o.target for o in before[name].outputs.values() if o.target]
            yield Change(
                "removed", place, effect=f"nothing writes {', '.join(targets)} any longer" if targets else None
            )
        elif name not in before:
            targets = [o.target for o in after[name].outputs.values() if o.target]
            words = [f"writes {', '.join(targets)}"] if targets else []
            words += [adopts] if (adopts := written.begins(None, after[name])) else []
            yield Change("added", place, effect="; ".join(words) or None)
        else:
            yield from _task(place, before[name], after[name], written.begins(before[name], after[name]))


def _parameters(job: Job) -> dict[str, str]:
    return {p.name: f"{p.type} = {texts.parameter(p)}" for p in job.parameters}


def _task(place: str, old: Task, new: Task, begins: str | None) -> Iterator[Change]:
    yield from _texts(place, _facts(old), _facts(new))
    for change in _texts(f"{place}.inputs", _inputs(old), _inputs(new)):
        is_new = change.what.rpartition(".")[2] in dag.changes_of(new) and change.kind != "removed"
        yield replace(change, effect=begins) if is_new and begins else change
    yield from _texts(f"{place}.settings", *(dict(texts.settings(task.settings)) for task in (old, new)))
    yield from _texts(f"{place}.spark_conf", *(dict(texts.settings(task.spark_conf)) for task in (old, new)))
    yield from _texts(f"{place}.closes_over", dict(old.closes_over), dict(new.closes_over))
    before = {name: texts.output(o) for name, o in old.outputs.items()}
    after = {name: texts.output(o) for name, o in new.outputs.items()}
    for change in _texts(f"{place}.outputs", before, after):
        name = change.what.rpartition(".")[2]
        targets = [task.outputs[name].target if name in task.outputs else None for task in (old, new)]
        moved = change.kind == "changed" and targets[0] != targets[1]
        effect = f"the data at {targets[0]} stays, but is no longer written" if moved and targets[0] else None
        yield Change(change.kind, change.what, change.before, change.after, effect)


def _inputs(task: Task) -> dict[str, str]:
    return {name: texts.binding(found) for name, found in task.inputs.items()}


def _facts(task: Task) -> dict[str, str]:
    """Return the single-valued facts of a task that are set."""
    facts = {
        "kind": task.kind,
        "function": task.function,
        "each": texts.each(task.each) if task.each else None,
        "run_if": task.run_if,
        "depends_on": ", ".join(sorted(map(texts.dependency, task.depends_on))) or None,
        "doc": _one_line(task.doc),
        "contracts": ", ".join(f"{place}: {one.name}" for place, one in task.contracts.items()) or None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _one_line(doc: str | None) -> str | None:
    return " ".join(doc.split()) if doc else None


def _texts(
    place: str, old: Mapping[str, str], new: Mapping[str, str], *, removed: str | None = None
) -> Iterator[Change]:
    for name in [*old, *(name for name in new if name not in old)]:
        what = f"{place}.{name}" if place else name
        if name not in new:
            yield Change("removed", what, old[name], effect=removed)
        elif name not in old:
            yield Change("added", what, after=new[name])
        elif old[name] != new[name]:
            yield Change("changed", what, old[name], new[name])
