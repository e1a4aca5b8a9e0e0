"""The lock of a project, resolved for the computes of its jobs."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from dbxdec.build import shipping
from dbxdec.build.codegen import computes_of
from dbxdec.build.codegen.libraries import name_of
from dbxdec.build.locks import reading, stale
from dbxdec.build.locks.chosen import admits
from dbxdec.build.pinning import Pinning
from dbxdec.errors import ConfigError, Problem, did_you_mean
from dbxdec.model.locked import UNKNOWN, Locked, Pins, python_of
from dbxdec.platform import owned
from dbxdec.platform.pythons import KNOWN
from dbxdec.records import dataclass
from dbxdec.support.forms import strings_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dbxdec.build.config import Config
    from dbxdec.build.locks.chosen import Chosen
    from dbxdec.build.locks.reading import Lock
    from dbxdec.errors import SourceLocation
    from dbxdec.model.dag import Job

_SETTING = "tool.dbxdec.lock"
_ANY_PYTHON = "3.12"


@dataclass(frozen=True)
class Locking:
    """The packages that a build installs beside its wheel, and what is wrong with it.

    `libraries` and `wheels` are those of the manifest. `read` are the files that all this depends on.
    """

    libraries: tuple[str, ...] = ()
    wheels: Mapping[str, str] = field(default_factory=dict)
    locked: Locked | None = None
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()
    read: tuple[str, ...] = ()


def lock_path(root: Path, lock: str) -> Path:
    """Return the path of a project's lock. In an sdist, one from outside of the project lies at the root."""
    if lock.startswith("..") and (root / "PKG-INFO").is_file():
        return root / Path(lock).name
    return Path(os.path.normpath(root / lock))


def inputs(root: Path, config: Config) -> dict[str, str]:
    """Return the files that an sdist needs for its wheel to be the one of the tree, each with its path there.

    Wheels outside of the project are not among them: there is no place for them.
    """
    paths = [root / path for path in shipping.extra_of(root, config.extra_libraries).wheels]
    found: dict[str, str] = {}
    if config.lock is not None and (path := lock_path(root, config.lock)).is_file():
        found[str(path)] = config.lock if not config.lock.startswith("..") else path.name
        with suppress(ConfigError):  # the wheel's build says it
            paths += [path.parent / wheel for wheel in reading.wheels_beside(path, config.lock)]
    for wheel in paths:
        inside = os.path.relpath(os.path.normpath(wheel), root)
        if not inside.startswith("..") and wheel.is_file():
            found[os.path.normpath(wheel)] = Path(inside).as_posix()
    return found


def of_project(root: Path, config: Config, project: str, dependencies: Sequence[str], jobs: Sequence[Job]) -> Locking:
    """Return what the jobs of the project at `root` install beside its wheel.

    `dependencies` are those of the project, as its wheel will state them.
    """
    extra = shipping.extra_of(root, config.extra_libraries)
    if config.lock is None:
        return Locking(extra.libraries, extra.wheels, None, (), extra.warnings, (), extra.watched)
    path = lock_path(root, config.lock)
    resolving = _Resolving(root, path, config, extra)
    try:
        lock = reading.read(path, config.lock, project)
    except ConfigError as error:
        resolving.problems += error.problems
    else:
        resolving.resolve(lock, dependencies, jobs)
    return resolving.result()


def kept_from(requires: str, jobs: Sequence[Job]) -> list[Problem]:
    """Return warnings of the computes on which a wheel with this `requires-python` can't be installed."""
    return [
        Problem(
            f"is {requires}, and {owner} has Python {python}: its tasks can't install the wheel",
            "project.requires-python",
            f'admit it, `requires-python = ">={python}"`, or choose another runtime',
        )
        for compute, owner in computes_of(list(jobs)).items()
        if (python := python_of(compute)) is not None and not admits(requires, python)
    ]


def keeps_some(requires: str) -> bool:
    """Return whether a `requires-python` leaves out the Python of some compute."""
    try:
        return bool(requires) and not all(admits(requires, python) for python in KNOWN)
    except ValueError:
        return False  # hatchling says it


class _Resolving:
    """One resolution, which collects what is found on the way."""

    def __init__(self, root: Path, path: Path, config: Config, extra: shipping.Extra) -> None:
        self.root, self.path, self.config, self.extra = root, path, config, extra
        self.left_out = {*owned.PACKAGES, *config.lock_exclude}
        self.problems: list[Problem] = []
        self.pinning = Pinning(root, path.parent, extra.wheels, self.problems)
        self.warnings: list[Problem] = list(extra.warnings)
        self.notes: list[Problem] = []
        self.locked: Locked | None = None

    def result(self) -> Locking:
        problems, warnings, notes = (
            tuple(dict.fromkeys(found)) for found in (self.problems, self.warnings, self.notes)
        )
        read = tuple(dict.fromkeys([str(self.path), *self.extra.watched, *self.pinning.read]))
        return Locking(self.extra.libraries, self.pinning.wheels, self.locked, problems, warnings, notes, read)

    def resolve(self, lock: Lock, dependencies: Sequence[str], jobs: Sequence[Job]) -> None:
        """Resolve a lock for each Python of the jobs."""
        computes = computes_of(list(jobs))
        pythons = {compute: python_of(compute) or self.config.lock_python for compute in computes}
        self._require_pythons(computes, pythons)
        known = sorted({python for python in pythons.values() if python is not None}, key=_as_version)
        self._check_names(lock)
        pins: dict[str, Pins] = {}
        for python in known:
            owner = next(computes[compute] for compute in computes if pythons[compute] == python)
            if not self._is_for(lock, python, owner):
                continue
            chosen = self._chosen(lock, python, dependencies)
            self._note_left_out(lock, chosen)
            pins[python] = self.pinning.pins(chosen)
            self._check_libraries(lock, chosen)
            self._check_jobs(lock, chosen, jobs)
        if not computes:  # no job, or none that could be read: the lock may be wrong all the same
            self._chosen(lock, self.config.lock_python or _ANY_PYTHON, dependencies)
        self.locked = Locked(pins, {compute: python for compute, python in pythons.items() if python is not None})

    def _chosen(self, lock: Lock, python: str, dependencies: Sequence[str]) -> Chosen:
        """Return the packages for a Python; they have to be those of the project's dependencies."""
        chosen = lock.choose(python, self.left_out)
        self.problems += chosen.problems
        if not chosen.problems:
            ignored = {*self.left_out, *self.pinning.own}
            self.problems += stale.problems(lock, chosen, dependencies, python, ignored)
        return chosen

    def _require_pythons(self, computes: Mapping[str, str], pythons: Mapping[str, str | None]) -> None:
        unknown = [compute for compute, python in pythons.items() if python is None]
        if not unknown:
            return
        first = unknown[0]
        what = "" if first == UNKNOWN else f" ({first})"
        more = f", nor of {len(unknown) - 1} more" if len(unknown) > 1 else ""
        self.problems.append(
            Problem(
                f"is missing: dbxdec does not know the Python of {computes[first]}{what}{more}, and the lock needs it",
                f"{_SETTING}-python",
                'write the one that it has: `lock-python = "3.12"`',
            )
        )

    def _is_for(self, lock: Lock, python: str, owner: str) -> bool:
        where = f"{lock.shown}: requires-python"
        try:
            if not lock.requires_python or admits(lock.requires_python, python):
                return True
        except ValueError as error:
            self.problems.append(Problem(f"can't be read: {error!s:.100}", where, "lock again"))
            return False
        what = f"is {lock.requires_python}, and {owner} has Python {python}"
        hint = "lock for that Python as well: `requires-python` of [project]; or choose another runtime"
        self.problems.append(Problem(what, where, hint))
        return False

    def _check_names(self, lock: Lock) -> None:
        """Warn of names in `lock-exclude` that leave nothing out."""
        known = lock.names()
        for i, name in enumerate(self.config.lock_exclude):
            if name not in known:
                hint = did_you_mean(name, known) or "remove it"
                what = f"leaves out `{name}`, which {lock.shown} does not have"
                self.warnings.append(Problem(what, f"{_SETTING}-exclude[{i}]", hint))

    def _note_left_out(self, lock: Lock, chosen: Chosen) -> None:
        """Note each package that stays and requires one that is left out: an installer may get that one after all."""
        for place, who, needs in [
            ("project.dependencies", "the project", chosen.needs),
            *((package.place, package.shown, package.needs) for package in chosen.packages),
        ]:
            for name in sorted(self.left_out.intersection(needs)):
                whose = "the platform brings itself" if name in owned.PACKAGES else "`lock-exclude` names"
                self.notes.append(
                    Problem(
                        f"{who} requires `{name}`, which is left out of the libraries since {whose}",
                        place,
                        "an installer that does not find it there gets some version of it; leave the package out too "
                        "(`lock-exclude`) or move it to an extra or a group, unless tasks need it",
                    )
                )

    def _check_libraries(self, lock: Lock, chosen: Chosen) -> None:
        versions = {package.name: package.version for package in chosen.packages}
        for i, text in enumerate(self.config.extra_libraries):
            self._check_requirement(lock, text, versions, f"{shipping.EXTRA}[{i}]")

    def _check_jobs(self, lock: Lock, chosen: Chosen, jobs: Sequence[Job]) -> None:
        """Check the author's own dependencies of environments and libraries of tasks against the pins."""
        versions = {package.name: package.version for package in chosen.packages}
        for job in jobs:
            for spec in job.environments.values():
                for text in strings_in(spec.get("dependencies")):
                    self._check_requirement(lock, text, versions, job.source)
            for task in job.tasks:
                found = task.settings.get("libraries")
                for library in found if isinstance(found, list) else ():
                    package = library.get("pypi", {}) if isinstance(library, dict) else {}
                    asked = package.get("package") if isinstance(package, dict) else None
                    if isinstance(asked, str):
                        self._check_requirement(lock, asked, versions, task.set_at)

    def _check_requirement(
        self, lock: Lock, text: str, versions: Mapping[str, str | None], where: SourceLocation | str
    ) -> None:
        from packaging.requirements import InvalidRequirement, Requirement

        name = name_of(text)
        if name is None or "${" in text:
            return
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            return  # said elsewhere, or a file of requirements
        if name not in versions:
            exact = requirement.url is not None or any(one.operator in ("==", "===") for one in requirement.specifier)
            if not exact and name not in self.pinning.own:
                self.warnings.append(
                    Problem(
                        f"`{text}` is not in {lock.shown}, so its version changes from one run to the next",
                        where,
                        "add it to `dependencies` of [project] and lock again, or write one version: `==`",
                    )
                )
        elif not stale.satisfies(versions[name], requirement.specifier) and requirement.url is None:
            self.problems.append(
                Problem(
                    f"`{text}` asks for another version than {lock.shown} has: {versions[name]}",
                    where,
                    "leave it out: the lock's version is installed; or lock again",
                )
            )


def _as_version(python: str) -> tuple[int, ...]:
    return tuple(map(int, python.split(".")))
