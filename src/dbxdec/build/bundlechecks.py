"""Checks of the bundle around a project: problems of its jobs that a deploy would find too late, or never.

Only a bundle that includes the output of the project's builds is checked: another bundle may deploy it from elsewhere.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from dbxdec.build import bundlefile, localfiles, promises
from dbxdec.errors import (
    ConfigError,
    DbxdecError,
    Problem,
    SourceLocation,
    did_you_mean,
    in_order,
)
from dbxdec.model import outside, storage_paths
from dbxdec.model.dag import places_of
from dbxdec.model.variables import MISTAKEN, TARGET, names_in, resolve
from dbxdec.records import dataclass
from dbxdec.support import files
from dbxdec.support.forms import table

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from dbxdec.build.bundlefile import Bundle, Document
    from dbxdec.model.dag import Job
    from dbxdec.model.manifest import Manifest

_VARIABLE = re.compile(r"\$\{(?:var|variables)\.([A-Za-z_][\w-]*)")
_WHOLE = re.compile(r"\$\{var\.([A-Za-z_][\w-]*)\}")
_TARGET = "${bundle.target}"


@dataclass(frozen=True)
class Found:
    """The errors of a project in its bundle, and the warnings about settings that are probably not meant."""

    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class _Use:
    """A part of a definition, a job without its tasks or one task, and the place where its author has written it."""

    owner: str
    where: SourceLocation
    form: Mapping[str, Any]


def of_project(root: Path, manifest: Manifest, resources: str | None) -> Found:
    """Return the problems of the project at `root` in the bundle that includes its jobs; none without such a bundle."""
    bundle = _around(root, resources)
    if bundle is None:
        return Found()
    from dbxdec.build.codegen import build_jobs
    from dbxdec.build.codegen.libraries import PLACEHOLDER

    jobs = manifest.jobs
    definitions = build_jobs(manifest, wheel=PLACEHOLDER)
    uses = [use for job in jobs for use in _uses(job, definitions[job.key])]
    found = _of_sound(bundle, root, jobs)
    errors = [
        *_variables(bundle, root, uses),
        *_keys(bundle, root, jobs, resources),
        *_files(bundle, root, uses, manifest),
        *found.errors,
    ]
    warnings = [*found.warnings]
    if resources is not None:
        warnings += promises.of_resources(bundle, manifest.project, root)
    return Found(tuple(in_order(errors)), tuple(in_order(warnings)))


def of_mistaken(
    root: Path, error: DbxdecError, resources: str | None, libraries: tuple[str, ...] = ()
) -> list[Problem]:
    """Return problems of a project that can't be built: of the jobs that could be read, as far as these are certain.

    Of each job they are variables that the bundle lacks, keys that it has already, and files that are not there. What
    else is wrong with a job may follow from its mistakes, so that only jobs without any are checked further.
    `libraries` are the extra libraries of the project.
    """
    jobs, places = getattr(error, "jobs", {}), getattr(error, "places", {})
    bundle = _around(root, resources) if jobs else None
    if bundle is None:
        return []
    from dbxdec.build.codegen import unchecked
    from dbxdec.build.codegen.libraries import PLACEHOLDER, Libraries
    from dbxdec.model.manifest import Manifest

    concerned = [problem.jobs for problem in error.problems]
    harmed = {key for keys in concerned for key in (jobs if keys is None else keys)}
    read: list[Job] = []
    uses: list[_Use] = []
    for key, form in jobs.items():
        with suppress(DbxdecError):  # a mistake may keep a job from having a definition
            made = Manifest("", "", "", "", {key: form}, places=places)
            (job,) = made.jobs
            uses += _uses(job, unchecked(made, [job], Libraries(PLACEHOLDER))[key])
            read.append(job)
    found = [
        *_variables(bundle, root, uses, known={MISTAKEN}),
        *_keys(bundle, root, read, resources),
        *_files(bundle, root, uses, Manifest("", "", "", "", {}, libraries)),
        *_of_sound(bundle, root, [job for job in read if job.key not in harmed]).errors,
    ]
    said = {problem.message for problem in error.problems}
    return [problem for problem in dict.fromkeys(found) if problem.message not in said]


def _of_sound(bundle: Bundle, root: Path, jobs: Sequence[Job]) -> Found:
    """Return what can be told only of jobs without mistakes: values of variables in targets, and places of tables."""
    placed = list(_places(bundle, root, jobs))
    errors = [*_values(bundle, root, jobs), *(problem for is_error, problem in placed if is_error)]
    return Found(tuple(errors), tuple(problem for is_error, problem in placed if not is_error))


def passed_over(root: Path, resources: str | None) -> Problem | None:
    """Return a note of a bundle around the project at `root` that does not take its jobs, which may be meant so."""
    bundle = _nearest(root)
    if bundle is None or takes_in(bundle, root, resources) or takes_in(bundle, root, None):
        return None
    name = _relative(bundle.main.path, root)
    if resources is None:
        hint = 'under `python` write `resources: ["dbxdec.bundle:load_resources"]`'
        return Problem(f"a deploy of {name} has no jobs of this project: it takes none from Python", None, hint)
    file = Path(os.path.relpath(root / resources, bundle.root)).as_posix()
    return Problem(
        f"a deploy of {name} has no jobs of this project: nothing under `include` matches {file}",
        None,
        f"write `include: [{Path(file).parent.joinpath('*' + Path(file).suffix).as_posix()}]`; `dbxdec init` adds it",
    )


def _around(root: Path, resources: str | None) -> Bundle | None:
    """Return the bundle that has the jobs of the project at `root`, or None if no bundle can be read."""
    bundle = _nearest(root)
    return bundle if bundle is not None and takes_in(bundle, root, resources) else None


def _nearest(root: Path) -> Bundle | None:
    path = bundlefile.find(root)
    if path is None:
        return None
    try:
        return bundlefile.load(path)
    except ConfigError:
        return None  # the bundle's CLI reports it


def takes_in(bundle: Bundle, root: Path, resources: str | None) -> bool:
    """Return whether `bundle` has the jobs of the project at `root`, by `include` or by Python without `resources`."""
    if resources is None:
        return bool(bundle.get("python", "resources") or bundle.get("experimental", "python", "resources"))
    return includes(bundle, root / resources)


def includes(bundle: Bundle, path: Path) -> bool:
    """Return whether an `include` of the bundle matches the file at `path`, which need not exist."""
    patterns = bundle.main.content.get("include")
    name = Path(os.path.relpath(path, bundle.root)).as_posix()
    return any(bundlefile.includes(str(p), name) for p in (patterns if isinstance(patterns, list) else ()))


def _uses(job: Job, definition: Mapping[str, Any]) -> Iterator[_Use]:
    yield _Use(f"the job `{job.key}`", job.source, {k: v for k, v in definition.items() if k != "tasks"})
    for task, form in zip(job.tasks, definition.get("tasks", []), strict=True):
        yield _Use(f"the task `{job.key}.{task.key}`", task.source, form)


def _variables(
    bundle: Bundle, root: Path, uses: Iterable[_Use], known: Collection[str] = frozenset()
) -> Iterator[Problem]:
    """Yield bundle variables that nothing declares, and complex variables where only a string is allowed.

    Those that are `known` need not be declared.
    """
    declared = table(bundle.get("variables"))
    name_of_file = _relative(bundle.main.path, root)
    seen: set[tuple[str, bool]] = set()
    for use in uses:
        for text, is_parameter in _texts(use.form):
            for name in _VARIABLE.findall(text):
                if name not in declared and name not in known and (name, False) not in seen:
                    seen.add((name, False))
                    hint = did_you_mean(name, [str(key) for key in declared]) or (
                        f"under `variables` of {name_of_file}: `{name}: {{description: ..., default: ...}}`"
                    )
                    yield Problem(
                        f"{use.owner} uses the bundle variable `{name}`, which {name_of_file} does not declare",
                        use.where,
                        hint,
                    )
                if is_parameter and _is_complex(declared.get(name)) and (name, True) not in seen:
                    seen.add((name, True))
                    yield Problem(
                        f"{use.owner} uses the bundle variable `{name}`, which is complex, but a task takes only "
                        "strings",
                        use.where,
                        "declare one variable for each value that tasks need",
                    )


def _is_complex(declared: Any) -> bool:
    if not isinstance(declared, dict):
        return False
    return declared.get("type") == "complex" or isinstance(declared.get("default"), dict | list)


def _texts(value: Any, *, parameter: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield each string in `value`, and whether it is a parameter of a task."""
    if isinstance(value, str):
        if "${" in value:
            yield value, parameter
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, parameter=parameter or key == "named_parameters")
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, parameter=parameter)


def _keys(bundle: Bundle, root: Path, jobs: Iterable[Job], resources: str | None) -> Iterator[Problem]:
    """Yield keys of jobs that another file of the bundle has too, for any kind of resource."""
    own = files.real(root / resources) if resources else None
    known = {job.key: job for job in jobs}
    for document in bundle.documents:
        if files.real(document.path) == own:
            continue
        for path in _resources(document):
            if (job := known.get(path[-1])) is not None:
                yield Problem(
                    f"the job `{job.key}` has the key of `{'.'.join(path)}` at {_at(document, path, root)}",
                    job.source,
                    "a bundle takes each key once, whatever the kind: give one of them another (`@job(key=...)`); what "
                    "a target changes of a job stands under `targets.<target>.resources`",
                )


def _resources(document: Document) -> Iterator[tuple[str, ...]]:
    kinds = document.content.get("resources")
    for kind, found in (kinds if isinstance(kinds, dict) else {}).items():
        yield from (("resources", str(kind), str(key)) for key in (found if isinstance(found, dict) else ()))
    scripts = document.content.get("scripts")
    yield from (("scripts", str(key)) for key in (scripts if isinstance(scripts, dict) else ()))


def _files(bundle: Bundle, root: Path, uses: Iterable[_Use], manifest: Manifest) -> Iterator[Problem]:
    """Yield files of the project that a job names and that don't exist, or are of another kind."""
    from dbxdec.build.codegen.environments import is_wheel
    from dbxdec.build.codegen.libraries import PLACEHOLDER, shipped
    from dbxdec.build.codegen.paths import local_paths

    may_lie_outside = bundle.get("sync", "paths") is not None
    ours = {PLACEHOLDER, *manifest.libraries, *shipped(manifest, PLACEHOLDER).values()}
    for use in uses:
        for path in local_paths(use.form):
            if path.path in ours:
                continue
            inside = files.real(root / path.path).is_relative_to(files.real(bundle.root))
            if path.kind != "library" and not inside and not may_lie_outside:
                yield Problem(
                    f"{use.owner} has the `{path.field}` {path.path!r}, which is outside of the bundle",
                    use.where,
                    "a deploy uploads only what is in it: move the file, or name its folder under `paths` of `sync`",
                )
            elif found := localfiles.wrong(root, path):
                yield Problem(f"{use.owner} has the `{path.field}` {path.path!r}, {found[0]}", use.where, found[1])
    for library in manifest.libraries:
        if is_wheel(library) and not localfiles.is_there(root, library):
            hint = "its path starts at the project's root"
            yield Problem(f"{library!r} is not there", "tool.dbxdec.extra-libraries", hint)


def _values(bundle: Bundle, root: Path, jobs: Sequence[Job]) -> Iterator[Problem]:
    """Yield values of variables in the bundle's targets with which a task would fail."""
    others = {job.key: job for job in jobs}
    said: set[tuple[str, str]] = set()
    targets: list[str | None] = [*table(bundle.get("targets"))] or [None]
    for target in targets:
        for job in jobs:
            for template, refused in _read_as_values(job, others):
                values = {name: _resolved(bundle, root, f"${{var.{name}}}", target) for name in names_in(template)}
                values |= {TARGET: (target, None)} if TARGET in values and target is not None else {}
                if not values or any("${" in value for value, _ in values.values()):
                    continue  # one is given at deploy, or only the workspace knows it
                where = next((where for _, where in values.values() if where is not None), job.source)
                for problem in refused({name: value for name, (value, _) in values.items()}):
                    if (str(where), problem.message) not in said:
                        said.add((str(where), problem.message))
                        of = f"the job `{job.key}`" + (f" in the target `{target}`" if target else "")
                        yield Problem(f"{of}: {problem.message}", where, problem.hint)


_Refused: TypeAlias = "Callable[[Mapping[str, str]], Iterable[Problem]]"


def _read_as_values(job: Job, others: Mapping[str, Job]) -> Iterator[tuple[Any, _Refused]]:
    """Yield what holds variables that a task reads as other values than strings, and the check of their values."""
    for parameter in job.parameters:
        if parameter.default is not None:
            yield parameter.default, partial(_of_default, job, parameter.name, parameter.default)
    for task in job.tasks:
        if task.kind == "condition":
            for side in ("left", "right"):
                yield task.settings["condition_task"][side], partial(outside.refused, job, {})
        elif task.kind == "run_job" and task.runs_job in others:
            for text in task.passes.values():
                yield text, partial(outside.passed, task, others[task.runs_job])
        elif task.each is not None:
            yield task.each.concurrency, partial(outside.refused, job, {})


def _of_default(job: Job, name: str, text: str, values: Mapping[str, str]) -> list[Problem]:
    return outside.refused(job, {name: resolve(text, values)}, {})


def _places(bundle: Bundle, root: Path, jobs: Iterable[Job]) -> Iterator[tuple[bool, Problem]]:
    """Yield places of tables in the bundle's targets that are invalid or not in the cloud; with True for an error."""
    said: set[tuple[str, str]] = set()
    targets: list[str | None] = [*table(bundle.get("targets"))] or [None]
    for job in jobs:
        for task in job.tasks:
            for io, template in places_of(task):
                if not ("/" in template or template.startswith("${")):
                    continue  # a table of a catalog
                for target in targets:
                    place, where = _resolved(bundle, root, template, target)
                    at = where or (task.called_at or task.source)
                    for is_error, message, hint in _of_place(place, io):
                        if (str(at), message) not in said and (
                            where is not None or not is_error or target == targets[0]
                        ):
                            said.add((str(at), message))
                            what = f"the task `{job.key}.{task.key}`" + (f" in the target `{target}`" if target else "")
                            yield is_error, Problem(f"{what} has its table at {message}", at, hint)


def _of_place(place: str, io: str | None) -> Iterator[tuple[bool, str, str | None]]:
    if place.startswith("${"):
        return
    wrong = list(storage_paths.misspelt(place, io))
    yield from ((True, message, hint) for message, hint in wrong)
    if not wrong and storage_paths.commits_by_rename(io) and storage_paths.on_a_mount(place):
        yield (
            True,
            f"{place}, a mount without atomic rename, on which delta-rs can't commit",
            "use the cloud path of the storage (s3://, abfss://, gs://), or a SparkDeltaIoManager",
        )
    elif not wrong and storage_paths.is_ours(io) and storage_paths.is_relative(place):
        yield (
            False,
            f"{place}, a relative path: on the disk of the machine that runs the task, and lost with it",
            "use the path of a storage (s3://, abfss://, gs://)",
        )
    elif not wrong and storage_paths.is_ours(io) and storage_paths.on_one_machine(place, io):
        yield (
            False,
            f"{place}, on the machine that runs the task, and lost with it",
            "use the path of a storage (s3://, abfss://, gs://)",
        )


def _resolved(bundle: Bundle, root: Path, template: str, target: str | None) -> tuple[str, SourceLocation | None]:
    """Return the place of `template` in a target, as far as the bundle's files tell, and where its start is written."""
    where: SourceLocation | None = None
    place = template
    for _ in range(8):  # a variable's value may name another
        if target is not None:
            place = place.replace(_TARGET, target)
        found = _WHOLE.search(place)
        if found is None:
            break
        value, location = _value(bundle, root, found[1], target)
        if value is None:
            break
        if found.start() == 0:
            where = location
        place = place[: found.start()] + value + place[found.end() :]
    return place, where


def _value(bundle: Bundle, root: Path, name: str, target: str | None) -> tuple[str | None, SourceLocation | None]:
    """Return the value of a variable in a target, and where it is written."""
    paths = [("targets", str(target), "variables", name)] if target is not None else []
    for place in (*paths, ("variables", name)):
        for document in bundle.documents:
            found: Any = document.content
            path: tuple[str, ...] = place
            for part in place:
                found = found.get(part) if isinstance(found, dict) else None
            if isinstance(found, dict):
                path, found = (*path, "default"), found.get("default")
            elif place[0] != "targets":
                found = None  # a declaration is a mapping
            if isinstance(found, str | int | float):
                text = str(found).lower() if isinstance(found, bool) else str(found)
                return text, bundlefile.location(document, path, root)
    return None, None


def _at(document: Document, path: tuple[str, ...], root: Path) -> str:
    return str(bundlefile.location(document, path, root))


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()
