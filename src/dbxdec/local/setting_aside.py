"""Moves stored results of earlier runs out of the way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dbxdec.errors import Problem, RunError
from dbxdec.local import ledger
from dbxdec.local.parameters import jobs_run_by
from dbxdec.model import places
from dbxdec.model.variables import resolve
from dbxdec.records import dataclass
from dbxdec.support import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from dbxdec.local.builds import Build

# A Delta table has one of these folders, files and iterations the others.
_OF_RESULTS = ("_delta_log", "_dbxdec", "_items")
_BY_HAND = "move or remove it yourself, and run without --fresh"


@dataclass(frozen=True)
class _Target:
    """The place of a task's result in this run. `task` is for people."""

    task: str
    place: str
    shared: bool


def set_aside(build: Build, job: str, values: Mapping[str, str], here: Path, told: Callable[[str], object]) -> None:
    """Move the local targets of `job` and of the jobs that it runs below the state folder of the project at `here`.

    Shared targets stay, and `told` hears of it. Raises RunError with all targets that can't be moved, before any is.
    """
    own, moved = list(_own_files(build, here)), dict[Path, str]()
    problems: list[Problem] = []
    for target in _targets(build, job, values):
        place = _local(target.place, here)
        if place is not None and (not place.exists() or _is_empty(place)):
            continue
        if target.shared:
            told(f"{target.place} stays as it is: other tasks write it too")
        elif (why := _immovable(place, here, own)) is not None:
            what = f"--fresh can't set aside what the task `{target.task}` has stored in {target.place}"
            problems.append(Problem(f"{what}: {why}", hint=_BY_HAND))
        elif place is not None:
            moved.setdefault(place, target.place)
    if problems:
        raise RunError(list(dict.fromkeys(problems)))
    folder = Path(files.STATE_FOLDER, "set_aside", str(ledger.now_ms()))
    for place, shown in moved.items():
        if place.exists():  # unless it was inside another one
            aside = folder / (_inside(place, here) or place.name)
            ledger.state_folder(here)
            (here / aside).parent.mkdir(parents=True, exist_ok=True)
            place.rename(here / aside)
            told(f"{shown} is set aside: {aside}")


def _targets(build: Build, job: str, values: Mapping[str, str]) -> Iterator[_Target]:
    first = build.manifest.job(job)
    for one in (first, *jobs_run_by(build.manifest, first)):
        for task in one.tasks:
            name = task.key if one is first else f"{one.key}/{task.key}"
            for output in task.outputs.values():
                if output.target:
                    yield _Target(name, places.place_here(resolve(output.target, values)), output.shared)


def _local(place: str, here: Path) -> Path | None:
    """Return the real path of a place; None if it is not on this machine."""
    if places.is_remote(place) or places.is_table(place):
        return None
    return Path(os.path.realpath(here / places.path_of(place)))


def _immovable(place: Path | None, here: Path, own: Iterable[Path]) -> str | None:
    """Return why `place` can't be moved, None if it can."""
    if place is None:
        return "it is not on this machine"
    if _inside(place, here) is None:
        return f"{place} is outside of the project"
    if not any((place / name).is_dir() for name in _OF_RESULTS):
        return "no run of dbxdec has written what is there"
    if any(path.is_relative_to(place) for path in (here.resolve(), (here / files.STATE_FOLDER).resolve(), *own)):
        return "it holds files of the project"
    state = here / files.STATE_FOLDER
    if place.stat().st_dev != (state if state.exists() else here).stat().st_dev:
        return f"it is on another disk than {files.STATE_FOLDER}"
    return None


def _inside(place: Path, here: Path) -> Path | None:
    """Return the path of `place` in the project at `here`, None if it is outside. A link may lead to its state."""
    for folder in (Path(), Path(files.STATE_FOLDER)):
        if place.is_relative_to(real := (here / folder).resolve()):
            return folder / place.relative_to(real)
    return None


def _own_files(build: Build, here: Path) -> Iterator[Path]:
    """Yield files that are no result: the settings of the project, and what its wheel is made of."""
    for path in ("pyproject.toml", "databricks.yml", *build.sources.values()):
        yield Path(os.path.realpath(here / path))


def _is_empty(place: Path) -> bool:
    return place.is_dir() and not any(place.iterdir())
