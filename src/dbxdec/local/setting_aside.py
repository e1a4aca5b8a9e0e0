"""Moves stored results of earlier runs out of the way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dbxdec.local import ledger
from dbxdec.model import places
from dbxdec.model.variables import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dbxdec.local.builds import Build


def set_aside(build: Build, job: str, values: Mapping[str, str], here: Path, told: Callable[[str], object]) -> None:
    """Move the local targets of `job` below the state folder of the project at `here`, except shared ones."""
    for place in _targets(build, job, values):
        if (aside := _set_aside(Path(place), here)) is not None:
            told(f"{place} is set aside: {aside.relative_to(here)}")


def _targets(build: Build, job: str, values: Mapping[str, str]) -> list[str]:
    outputs = [output for task in build.manifest.job(job).tasks for output in task.outputs.values()]
    return [
        places.place_here(resolve(output.target, values)) for output in outputs if output.target and not output.shared
    ]


def _set_aside(target: Path, here: Path) -> Path | None:
    """Move a local target out of the way, and return where it is now.

    A target that is outside of the folder, or holds dbxdec's own state, is left alone.
    """
    place, state = Path(os.path.realpath(here / target)), ledger.state_folder(here)
    if not place.exists() or not place.is_relative_to(here.resolve()) or state.resolve().is_relative_to(place):
        return None
    aside = state / "set_aside" / str(ledger.now_ms()) / place.relative_to(here.resolve())
    aside.parent.mkdir(parents=True, exist_ok=True)
    place.rename(aside)
    return aside
