"""Keeps the wheel and the resources of a project up to date: builds them when what they depend on has changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING

from dbxdec.build import config, freshness
from dbxdec.errors import ConfigError, DbxdecError, ManifestError, Problem
from dbxdec.records import dataclass
from dbxdec.support import digests, streams
from dbxdec.support.boundary import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dbxdec.build.freshness import Record, Scope
    from dbxdec.model.manifest import Manifest

    Say = Callable[[str], None]

# They ask hatchling for something other than one wheel at its usual place, or hide its error messages.
_NOT_FOR_BUILDS = {
    *("HATCH_BUILD_LOCATION", "HATCH_BUILD_NO_HOOKS", "HATCH_BUILD_HOOKS_ONLY", "HATCH_BUILD_CLEAN"),
    *("HATCH_BUILD_CLEAN_HOOKS_AFTER", "HATCH_QUIET"),
    # The bundle's CLI sets it for its scripts and its own builds alike. Resources that are made before it reads them
    # are in time.
    "DATABRICKS_CLI_PATH",
}


class BuildError(DbxdecError):
    """Raised when the build of the wheel fails: with all that it printed, or why its result can't be deployed."""


@dataclass(frozen=True)
class _Report:
    """The report of the child process about its build."""

    wheel: Path
    scope: Scope
    output: str
    started: int


def find_project(folder: Path) -> Path:
    """Return the root of the project that `folder` is in. Raises ConfigError when it is in none."""
    root = freshness.project_root(str(folder))
    if root is None:
        raise ConfigError(
            f"there is no pyproject.toml in {folder} or in a folder above it",
            hint="go to the project's folder, or make one: `dbxdec init`",
        )
    return Path(root)


def up_to_date(root: Path, *, say: Say, force: bool = False) -> Record:
    """Build the wheel and the resources when they don't match the current files, or with `force`.

    Tells `say` what it does, and is silent when there is nothing to do. Raises BuildError when the build fails, which
    leaves neither wheel nor resources, and ConfigError for a project that can't be built with dbxdec.
    """
    record, reason = freshness.stale(str(root))
    if record is not None and reason is None and not force:
        return record
    try:
        with freshness.locked(str(root), lambda: say("waiting for another build of this project")) as lock:
            record, reason = freshness.stale(str(root))  # the other process may have built what is missing
            if record is not None and reason is None and not force:
                return record
            _require_settings(root, record)
            say(f"{reason or 'asked for'}: building the wheel")
            freshness.forget(str(root))
            return _build(root, record, lock, say)
    except OSError as error:
        raise ConfigError(f"the build can't keep its files in {root}: {refusal(error) or error}") from None


def _require_settings(root: Path, last: Record | None) -> None:
    """Raise ConfigError for settings that can't be read; first remove the earlier wheel, which isn't of this tree."""
    try:
        config.load(root / "pyproject.toml")
    except ConfigError:
        _discard(root, last)
        raise


def _build(root: Path, last: Record | None, lock: int, say: Say) -> Record:
    """Build until the inputs match the current files: a second time when files changed during the first build.

    Files that the build itself writes change with each build. They count by their content from before the build.
    """
    environment = freshness.environment()
    scope, outputs = (last.scope, list(last.outputs)) if last else (freshness.Scope(), _resources(root))
    known = _digests(root, last.generated if last else ())
    before = freshness.settled_snapshot(str(root), scope)
    try:
        report = _run(root, last, lock)
    except BuildError:
        after = freshness.settled_snapshot(str(root), scope)
        changed = freshness.differences(*(freshness.within(found, scope, outputs) for found in (before, after)))
        if not changed:
            raise
        say(f"{changed[0]} changed during the build, which failed: building again")
        before, report = after, _run(root, last, lock)
    for is_last in (False, True):
        for line in report.output.splitlines():
            say(line)
        record = _verified(root, report, environment)
        inputs = freshness.snapshot(str(root), record.scope, record.outputs)
        before = freshness.within(before, record.scope, record.outputs)
        # Only the build tells which outside files matter. Outside files older than the build are as it found them.
        new = inputs.keys() - before.keys()
        before |= {path: inputs[path] for path in new if _older(path, inputs[path], report.started)}
        changed = freshness.differences(before, inputs)
        found = _digests(root, changed)
        if all(path in known and known[path] == found[path] for path in changed):
            record = record._replace(inputs=inputs, generated=changed)
            freshness.save(str(root), record)
            return record
        if not is_last:
            before, known, report = inputs, found, _run(root, last, lock)
    say(f"{changed[0]} changes with every build, so the next `dbxdec bundle` rebuilds")
    return record


def _resources(root: Path) -> list[str]:
    """Return the file that a build writes next to the wheel, by the current settings."""
    with suppress(DbxdecError):  # the build reports the mistakes
        resources = config.load(root / "pyproject.toml").resources
        return [resources] if resources else []
    return []


def _older(path: str, stat: list[int], moment: int) -> bool:
    return os.path.isabs(path) and max(stat[1:], default=0) < moment - freshness.TICK


def _digests(root: Path, paths: Iterable[str]) -> dict[str, str | None]:
    def digest(path: Path) -> str | None:
        try:
            return digests.of_file(path)
        except OSError:
            return None

    return {path: digest(root / path) for path in paths}


def _run(root: Path, last: Record | None, lock: int) -> _Report:
    """Run one build in a child process of this interpreter, so that its hook writes the resources."""
    for module, distribution in (("hatchling", "hatchling"), ("databricks.bundles", "databricks-bundles")):
        if not _is_installed(module):
            raise ConfigError(
                f"the build needs {distribution}, which is not installed for {sys.executable}",
                hint='pip install "dbxdec[build]"',
            )
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_BUILDS} | streams.CHILD
    if "PYTHONPATH" in environment:  # the child starts in another folder
        folders = environment["PYTHONPATH"].split(os.pathsep)
        environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, folders))
    started = time.time_ns()
    with tempfile.TemporaryDirectory(prefix="dbxdec-") as scratch:
        path = Path(scratch, "report.json")
        done = subprocess.run(
            [sys.executable, "-P", "-m", "dbxdec.build.child_build", str(path)],
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
            # A build whose parent is killed keeps the lock until it ends. (Windows has no such locks.)
            pass_fds=() if sys.platform == "win32" else (lock,),
        )
        if done.returncode != 0 or not path.exists():
            _discard(root, last)
            raise BuildError(
                done.stdout.rstrip() or f"the build ended with exit code {done.returncode}, without output"
            )
        found = json.loads(path.read_text(encoding="utf-8"))
    if not found["has_hook"]:
        raise config.hook_is_missing()
    scope = freshness.Scope(found["only"], found["unwatched"], found["outside"])
    return _Report(Path(found["wheel"]), scope, done.stdout, started)


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _discard(root: Path, last: Record | None) -> None:
    """Remove the outputs of earlier builds: after any failure, a deploy must not take an old wheel for this tree's."""
    from dbxdec.build import resources_file

    places: set[str | None] = {last.resources if last else None}
    with suppress(DbxdecError):  # the build has reported it
        places.add(config.load(root / "pyproject.toml").resources)
    for resources in places:
        resources_file.discard(root, resources, *([root / last.wheel] if last else []))


def _verified(root: Path, report: _Report, environment: list[str]) -> Record:
    """Return the record of a finished build. Raises BuildError when wheel and resources do not belong together."""
    from dbxdec.build import resources_file
    from dbxdec.build.shipping import ship
    from dbxdec.build.wheels import read_wheel

    settings = config.load(root / "pyproject.toml")
    wheel = report.wheel.resolve()
    if not wheel.is_relative_to(root):
        raise ConfigError(
            Problem(
                f"the wheel goes to {wheel.parent}, outside the project, where no bundle can name it",
                "tool.hatch.build.directory",
                'name a folder of the project: "dist"',
            )
        )
    name = wheel.relative_to(root).as_posix()
    try:
        manifest = read_wheel(wheel).manifest
        beside = ship(manifest, root, wheel).files
        if settings.resources is not None:
            _check_resources(root, settings.resources, name, manifest)
    except ManifestError as error:
        resources_file.discard(root, settings.resources, wheel)
        raise BuildError(error.problems) from None
    scope, folder = report.scope, str(PurePosixPath(name).parent)
    outputs = [name] if settings.resources is None else [name, settings.resources]
    outputs += [path.relative_to(root).as_posix() for path in beside]
    return freshness.Record(
        wheel=name,
        resources=settings.resources,
        build_id=manifest.build_id,
        outputs={path: freshness.stat_of(str(root / path)) or [] for path in outputs},
        inputs={},
        environment=environment,
        scope=scope if folder == "." else scope._replace(unwatched=[*scope.unwatched, folder]),
        generated=[],
    )


def _check_resources(root: Path, resources: str, wheel: str, manifest: Manifest) -> None:
    path = root / resources
    named = PurePath(os.path.relpath(root / wheel, path.parent)).as_posix()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ManifestError(f"the build has not written {resources}: {error.strerror}") from None
    if named not in text or manifest.build_id not in text:
        raise ManifestError(
            f"{resources} does not describe the wheel that was built, build {manifest.build_id[:12]}",
            hint="another build ran at the same time: run `dbxdec bundle` again",
        )
