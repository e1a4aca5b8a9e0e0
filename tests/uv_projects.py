"""Projects that uv locks, in a test's own folder, and what uv itself exports of a lock."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement

UV = [sys.executable, "-m", "uv"]


def uv(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """uv in a folder, without the constraints of these tests."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_CONSTRAINT")}
    return subprocess.run(
        [*UV, *arguments], cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False
    )


def lock(folder: Path, *arguments: str) -> Path:
    """The uv.lock of the project in a folder, made now."""
    done = uv(folder, "lock", "--quiet", "--no-progress", *arguments)
    assert done.returncode == 0, done.stderr
    return folder / "uv.lock"


def pyproject(
    dependencies: Iterable[str], more: str = "", name: str = "shop", requires_python: str = ">=3.11,<3.14"
) -> str:
    """The pyproject.toml of a project that only uv reads."""
    listed = ", ".join(f'"{text}"' for text in dependencies)
    return (
        f'[project]\nname = "{name}"\nversion = "1.0"\nrequires-python = "{requires_python}"\n'
        f"dependencies = [{listed}]\n{more}"
    )


def environment_of(python: str) -> dict[str, str]:
    """What markers see on a compute with that Python."""
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_release": "6.1",
        "platform_system": "Linux",
        "platform_version": "1",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }


def exported(folder: Path, python: str, *left_out: str) -> dict[str, str]:
    """The names and versions that uv's own export of the lock installs on a compute."""
    without = [word for name in left_out for word in ("--prune", name)]
    done = uv(folder, "export", "--frozen", "--no-dev", "--no-hashes", "--no-annotate", "--no-header", *without)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = {}
    for line in done.stdout.splitlines():
        if not line or line.startswith(("-e ", "./", "../", "/", "file:")):
            continue
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(environment_of(python)):
            assert requirement.name not in found, line
            found[requirement.name] = next(iter(requirement.specifier)).version if requirement.specifier else ""
    return found
