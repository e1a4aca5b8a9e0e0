"""Rules for writing resources in a build, and for when existing ones are worthless."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from dbxdec.build import wheel_names
from dbxdec.errors import ConfigError, Problem
from dbxdec.support import files

# Set by the bundle's CLI for builds of its artifacts, which it starts after reading the resources.
_BUNDLE_VARIABLE = "DATABRICKS_CLI_PATH"


def why_unnameable(root: Path, version: str, directory: Path, configured: Path) -> str | None:
    """Return why resources can't name a wheel of `version` in `directory`; None if it stays where it is.

    `configured` is the output folder in the project's settings.
    """
    root, directory = files.real(root), files.real(directory)
    if version != "standard":
        return f"the wheel is {version}"
    if (root / "PKG-INFO").exists():
        return "this is the content of an sdist"
    if not directory.is_relative_to(root):
        return "the wheel is not in the project"
    if (sign := pattern_sign(root, directory)) is not None:
        return f"a bundle would take `{sign}` in the name of its folder for a pattern"
    if directory == files.real(configured):
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


def pattern_sign(root: Path, directory: Path) -> str | None:
    """Return what a bundle takes for a pattern in the path of `directory` from `root`, in which it is."""
    root, directory = files.real(root), files.real(directory)
    path = directory.relative_to(root).as_posix() if directory.is_relative_to(root) else ""
    return wheel_names.pattern_sign(path)


def started_by_bundle() -> bool:
    """Return whether the environment says that a bundle's CLI started this build."""
    return _BUNDLE_VARIABLE in os.environ


def too_late(resources: str) -> ConfigError:
    """Return the error of a build that changed the resources after the bundle read them."""
    return ConfigError(
        Problem(
            f"{resources} has changed since the bundle that started this build read it: the bundle would deploy the "
            "jobs of an older build with this wheel",
            hint="deploy again, now that it is written; to build in time, use `dbxdec bundle` as `preinit` under "
            "`experimental.scripts` of databricks.yml, and no `build` under `artifacts` (if no bundle started this "
            f"build, unset {_BUNDLE_VARIABLE})",
        )
    )


def tracking_warning(root: Path, resources: str) -> str | None:
    """Return a warning if git tracks the resources: a checkout would have them without their wheel."""
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
        f"{resources} is tracked by git, but the wheel that it names is not: add /{resources} to .gitignore, and run "
        f"`git rm --cached {shlex.quote(resources)}`"
    )
