"""When a build may write resources, and what makes those that are there worthless."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from dbxdec.errors import ConfigError, Problem

# Set by the bundle's CLI for the builds of its artifacts, which it starts after it has read the resources.
_BUNDLE_VARIABLE = "DATABRICKS_CLI_PATH"


def why_unnameable(root: Path, version: str, directory: Path, configured: Path) -> str | None:
    """Why resources can't name a wheel of `version` in `directory`; None where it stays where it is.

    `configured` is the output folder in the project's settings.
    """
    root, directory = root.resolve(), directory.resolve()
    if version != "standard":
        return f"the wheel is {version}"
    if (root / "PKG-INFO").exists():
        return "this is the content of an sdist"
    if not directory.is_relative_to(root):
        return "the wheel is not in the project"
    if directory == configured.resolve():
        return None
    inside = [directory, *directory.parents][: len(directory.relative_to(root).parts)]
    temporary = Path(tempfile.gettempdir()).resolve()
    if temporary in inside:
        return f"{temporary} is a folder of temporary files"
    for folder in inside:
        # Caches of uv and tox may lie in the project: bford.info/cachedir, and by custom a leading dot.
        if folder.name.startswith(".") or (folder / "CACHEDIR.TAG").exists():
            return f"{folder} belongs to a tool"
    return None


def started_by_bundle() -> bool:
    """Whether a bundle's CLI is said to have started this build."""
    return _BUNDLE_VARIABLE in os.environ


def too_late(resources: str) -> ConfigError:
    """The error of a build that has changed the resources after the bundle read them."""
    return ConfigError(
        Problem(
            f"{resources} has changed, and the bundle that started this build has read it before: it would deploy "
            "the jobs of an older build with this wheel",
            hint="deploy again, now that it is written; and let the bundle build in time: `dbxdec bundle` as `preinit` "
            "under `experimental.scripts` of databricks.yml, and no `build` under `artifacts` (where no bundle has "
            f"started this build, unset {_BUNDLE_VARIABLE})",
        )
    )


def tracking_warning(root: Path, resources: str) -> str | None:
    """What to say where git tracks the resources: a checkout would have them without their wheel."""
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return None
    command = ["git", "ls-files", "--error-unmatch", "--", resources]
    try:
        done = subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    return (
        f"{resources} is tracked by git, and the wheel that it names is not: write /{resources} into .gitignore, and "
        f"run `git rm --cached {resources}`"
    )
