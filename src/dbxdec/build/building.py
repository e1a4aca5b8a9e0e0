"""One build, independent of its caller: discover, digest, render; then verify the finished wheel.

`build` finds all mistakes of the author, before a wheel exists; `verify` finds what other hooks did to the wheel.
Modules that only the end of a build needs are imported while discovery, in its child process, imports the project.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dbxdec
from dbxdec.build import own_wheel, resources_file, wheel_names
from dbxdec.build.discovery.process import Discovered, discover
from dbxdec.build.discovery.spec import ShippedFile
from dbxdec.errors import (
    CodegenError,
    ConfigError,
    DbxdecError,
    DiscoveryError,
    ManifestError,
    Problem,
    concerning,
    in_order,
    listed,
)
from dbxdec.model import contract_forms, soundness
from dbxdec.records import dataclass
from dbxdec.support import digests

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dbxdec.build import locking
    from dbxdec.build.config import Config
    from dbxdec.model.manifest import Manifest


@dataclass(frozen=True)
class Build:
    """The findings of one build: they go into the wheel as `content`, and into the resources."""

    manifest: Manifest
    content: bytes
    payload: tuple[tuple[str, str], ...]
    discovered: Discovered
    files: tuple[ShippedFile, ...]
    left_out: tuple[Problem, ...] = ()
    """The mistakes of jobs that are not in it, though they are in the tree; no wheel is made of such a build."""
    warnings: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()
    contracts: bytes | None = None
    """The columns of its contracts (`model/contract_forms.py`); None without contracts, and where they are unknown."""
    read: tuple[str, ...] = ()
    """Files and folders beside the wheel's own files that it depends on."""


def build(
    files: Sequence[ShippedFile],
    *,
    project: str,
    version: str,
    config: Config,
    root: Path,
    dependencies: Sequence[str],
    data: Sequence[ShippedFile] = (),
    only: str | None = None,
    requires_python: str = "",
) -> Build:
    """Discover the pipelines among `files`, the wheel's importable content, and make the manifest.

    `root` is the project's, and `dependencies` and `requires_python` are what its wheel requires. `data` are files that
    are installed elsewhere; their paths are as in `wheels.Wheel.payload`. Raises DbxdecError with every mistake, of the
    pipelines, of the job definitions that they make, or of the lock. When none of the mistakes concerns the job `only`
    or the jobs that it runs, the build has just these jobs, and its id is not the id of any wheel.
    """
    _require_readable(files, data)
    if unsayable := [file.path for file in (*files, *data) if not _is_utf8(file.path)]:
        raise ConfigError(
            f"the name of {unsayable[0]!a} is not UTF-8, as names in a wheel are",
            hint="rename the file; where the name is fine, build in a UTF-8 locale (PYTHONUTF8=1)",
        )
    if unfit := [file.path for file in (*files, *data) if not wheel_names.is_of_member(file.path)]:
        raise ConfigError(
            Problem(
                f"{path!a} can't be the path of a file in a wheel: it has a backslash, a control character or a drive",
                hint="rename it, or leave it out of the wheel: `exclude` under [tool.hatch.build.targets.wheel]",
            )
            for path in unfit
        )
    left_out: list[Problem] = []
    try:
        discovered = discover(
            files,
            project=project,
            version=version,
            pipelines=config.pipelines,
            stand_ins=config.missing_imports == "stand-in",
            timeout=config.timeout,
            environment=config.discovery_env,
            meanwhile=lambda: _import_rest(renders=config.resources is not None),
        )
    except DiscoveryError as error:
        of_lock = _locking(root, config, project, dependencies, error.jobs).problems
        left_out += in_order([*error.problems, *_of_settings(error, project, version, config), *of_lock])
        jobs = _unharmed(error.jobs, left_out, only)
        if jobs is None:
            raise DiscoveryError(left_out, jobs=error.jobs, places=error.places) from None
        discovered = Discovered(jobs, (), (), "", error.places)
    from dbxdec.build.wheels import DATA
    from dbxdec.model import manifest

    payload = tuple(
        sorted(
            [*((file.path, digests.of_file(file.origin)) for file in files)]
            + [(f"{DATA}/{file.path}", _data_digest(file)) for file in data]
        )
    )
    beside = _locking(root, config, project, dependencies, discovered.jobs)
    left_out += [problem for problem in beside.problems if problem not in left_out]
    made = manifest.Manifest(
        project=project,
        version=version,
        build_id="",
        generator=f"dbxdec {dbxdec.__version__}",
        raw_jobs=discovered.jobs,
        libraries=beside.libraries,
        wheels=beside.wheels,
        locked=None if beside.problems else beside.locked,
        places=discovered.places,
    )
    made = replace(made, build_id=made.digest_with(payload))
    # Render from the content of the wheel: a user who has only the wheel must get the same resources.
    made = replace(manifest.decode(manifest.encode(made), manifest.PATH), origin=None, places=made.places)
    try:
        if config.resources is not None:
            from dbxdec.build.codegen.libraries import PLACEHOLDER  # a build without resources needs no codegen

            # Only finalize knows the wheel's real name. This shows every other mistake while no wheel exists yet.
            resources_file.rendered(made, Path(config.resources), Path(PLACEHOLDER))
        else:
            _require_keys(made)
    except CodegenError as error:
        left_out += error.problems
        jobs = _unharmed(discovered.jobs, error.problems, only)
        if jobs is None:
            problems = [*error.problems, *beside.problems]
            raise CodegenError(problems, jobs=discovered.jobs, places=discovered.places) from None
        made = replace(made, raw_jobs=jobs)
    if beside.problems and only is None:
        raise ConfigError(beside.problems, jobs=discovered.jobs, places=discovered.places)
    if left_out:
        made = replace(made, build_id=soundness.UNBUILT + made.digest_with(payload))
    return Build(
        made,
        manifest.encode(made),
        payload,
        discovered,
        tuple(files),
        tuple(left_out),
        (
            *beside.warnings,
            *_of_pythons(requires_python, made),
            *own_wheel.warnings(made),
            *_of_frames(discovered, made, [*dependencies, *config.extra_libraries]),
        ),
        (*beside.notes, *_of_contracts(made, discovered)),
        contract_forms.encode(discovered.contracts) if discovered.contracts else None,
        (*beside.read, *own_wheel.source_folders(made)),
    )


def _of_contracts(made: Manifest, discovered: Discovered) -> list[Problem]:
    """Return a note about contracts whose columns are not known here."""
    unknown = [name for name in contract_forms.names(made.raw_jobs) if name not in discovered.contracts]
    if not unknown:
        return []
    titles = listed([name.rpartition(":")[2] for name in unknown])
    message = f"the contract{'s' * (len(unknown) > 1)} {titles} {'are' if len(unknown) > 1 else 'is'} not compared"
    hint = "the build compares what tasks ask for with what others give where the library is installed"
    why = "the library is not installed where the wheel is built, or several classes have its name"
    return [Problem(f"{message}: {why}", hint=hint)]


def _locking(
    root: Path, config: Config, project: str, dependencies: Sequence[str], jobs: Mapping[str, Any]
) -> locking.Locking:
    """Return what the jobs install beside the wheel. Its problems keep no job from being run on this machine."""
    from dbxdec.build import locking
    from dbxdec.model import job_forms

    decoded = [job_forms.decode_job(key, form) for key, form in jobs.items()] if config.lock is not None else []
    found = locking.of_project(root, config, project, dependencies, decoded)
    return replace(found, problems=tuple(concerning((), found.problems)))


def _of_pythons(requires: str, made: Manifest) -> list[Problem]:
    """Return warnings of computes whose Python the project does not admit. A lock says it as an error."""
    from dbxdec.build import locking

    return locking.kept_from(requires, made.jobs) if made.locked is None and locking.keeps_some(requires) else []


def _of_frames(discovered: Discovered, made: Manifest, requirements: Sequence[str]) -> list[Problem]:
    """Return warnings of libraries that tasks need for their frames and that nothing brings."""
    from dbxdec.build import frames

    pins = [text for one in made.locked.pins.values() for text in one.packages] if made.locked is not None else []
    return frames.lacking(discovered.needs, requirements, made.raw_jobs, pins, discovered.seem_own)


def _of_settings(error: DiscoveryError, project: str, version: str, config: Config) -> list[Problem]:
    """Return the problems that codegen finds in the jobs of a project that has other mistakes."""
    from dbxdec.build import codegen
    from dbxdec.model import manifest

    if config.resources is None:
        return []
    concerned = [problem.jobs for problem in error.problems]
    harmed = {key for keys in concerned for key in (error.jobs if keys is None else keys)}
    found = manifest.Manifest(project, version, "", "", error.jobs, config.extra_libraries, places=error.places)
    with suppress(DbxdecError):  # mistakes that keep settings from being checked are reported once the jobs are right
        return codegen.setting_problems(found, sound=error.jobs.keys() - harmed)
    return []


def _unharmed(jobs: Mapping[str, Any], problems: Iterable[Problem], only: str | None) -> dict[str, Any] | None:
    """Return the job `only` and all jobs that it runs, of `jobs`; None when a problem may concern one of them."""
    from dbxdec.model import job_forms

    kept: dict[str, Any] = {}
    waiting = [only]
    while waiting:
        key = waiting.pop()
        if key is None or key not in jobs:
            return None
        kept[key] = jobs[key]
        runs = [task.runs_job for task in job_forms.decode_job(key, jobs[key]).tasks if task.kind == "run_job"]
        waiting += [run for run in runs if run not in kept]
    return None if any(p.jobs is None or not kept.keys().isdisjoint(p.jobs) for p in problems) else kept


def _require_readable(*files: Sequence[ShippedFile]) -> None:
    """Raise ConfigError, before anything is copied, for unreadable files that the wheel would hold."""
    problems = [
        Problem(
            f"can't be shipped: {why}",
            file.source,
            "remove it, or leave it out of the wheel: `exclude` under [tool.hatch.build.targets.wheel]",
        )
        for file in (file for some in files for file in some)
        if (why := _why_unreadable(file.origin))
    ]
    problems += [
        Problem(
            "is a folder without read permission: its files would be missing from the wheel",
            path,
            "allow reading it, or remove it",
        )
        for folder in dict.fromkeys(os.path.dirname(file.origin) for some in files for file in some)
        for path in _unreadable_folders(folder)
    ]
    if problems:
        raise ConfigError(problems)


def _unreadable_folders(folder: str) -> list[str]:
    """Return the folders next to the shipped files that hatchling skips silently."""
    with suppress(OSError), os.scandir(folder) as entries:
        return [entry.path for entry in entries if _is_folder(entry) and not os.access(entry, os.R_OK | os.X_OK)]
    return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):
        return entry.is_dir()
    return False


def _why_unreadable(path: str) -> str | None:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return "it is not a file"
    except FileNotFoundError:
        return f"it is a link to {os.readlink(path)}, which does not exist" if os.path.islink(path) else "it is gone"
    except OSError as error:
        return str(error.strerror)
    return None if os.access(path, os.R_OK) else "it has no read permission"


def _require_keys(made: Manifest) -> None:
    """Raise CodegenError for keys that no reader of the manifest accepts, when no job definitions are made from it."""
    from dbxdec.build.codegen.limits import key_problems

    if problems := [problem for job in made.jobs for problem in key_problems(job)]:
        raise CodegenError(in_order(problems))


def _import_rest(*, renders: bool) -> None:
    """Import what `build` needs after discovery; databricks-bundles takes longer than all the rest of it."""
    import dbxdec.build.locking
    import dbxdec.build.wheels

    if renders:
        import dbxdec.build.codegen.check  # noqa: F401

        with suppress(ImportError):  # reported where the module is needed
            import databricks.bundles.jobs  # noqa: F401


def verify(made: Build, wheel: Path, *, standard: bool) -> None:
    """Check that the finished wheel equals the build. Raises ManifestError with every difference."""
    from dbxdec.build.wheels import entry_point_of, read_wheel
    from dbxdec.model import protocol

    found = read_wheel(wheel, verified=False)
    problems = []
    if found.manifest_bytes != made.content:
        problems.append(Problem("the manifest in the wheel is not the one that was built"))
    if (point := entry_point_of(found.entry_points)) != protocol.ENTRY_POINT_OBJECT:
        problems.append(
            Problem(
                f"the wheel's entry point `{protocol.ENTRY_POINT}` is {point or 'missing'}, not "
                f"{protocol.ENTRY_POINT_OBJECT}",
                hint="another build or metadata hook has changed the entry points",
            )
        )
    # An editable wheel points to the tree instead of holding it.
    if standard and (changed := _differences(made.payload, found.payload)):
        problems.append(
            Problem(
                f"files of the wheel are not those that were imported: {', '.join(changed[:5])}",
                hint="something changed the tree during the build: build again",
            )
        )
    if problems:
        raise ManifestError(problems)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _differences(built: Sequence[tuple[str, str]], found: Sequence[tuple[str, str]]) -> list[str]:
    return sorted({path for path, _ in set(built) ^ set(found)})


def _data_digest(file: ShippedFile) -> str:
    from dbxdec.build.wheels import data_digest

    with open(file.origin, "rb") as content:
        return data_digest(file.path, content)


def admits_running_version(requirements: Sequence[str], project: str, extra_libraries: Sequence[str] = ()) -> None:
    """Check that `project`, once installed, has a dbxdec that can read its manifest.

    Raises DbxdecError when its dependencies leave dbxdec out, or do not admit the version that builds. A project that
    has dbxdec among the extra libraries is trusted.
    """
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    if any(map(own_wheel.AMONG_LIBRARIES.match, extra_libraries)):
        return
    own = [r for r in map(Requirement, requirements) if canonicalize_name(r.name) == "dbxdec"]
    version = dbxdec.__version__
    if not own:
        raise DbxdecError(
            Problem(
                f"{project} does not depend on dbxdec, which runs its tasks",
                "project.dependencies",
                f'add "dbxdec>={version}" (with the extras it needs, as in "dbxdec[polars]>={version}")',
            )
        )
    refusing = [str(r) for r in own if not r.specifier.contains(version, prereleases=True)]
    if refusing:
        raise DbxdecError(
            Problem(
                f"`{refusing[0]}` does not admit dbxdec {version}, which is building",
                "project.dependencies",
                "the task would run another version than the one that checked it: widen the requirement",
            )
        )
