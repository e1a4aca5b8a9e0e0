"""Environments that the benchmarks need: dbxdec from its wheel, and what it is compared with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from measure import ROOT, quietly

CONSTRAINTS = ROOT / "constraints.txt"
RIVAL = "databricks-bundle-decorators"
NEEDS = (3, 12)
_UV = (sys.executable, "-m", "uv")


@cache
def dbxdec_wheels(folder: Path) -> Path:
    """A folder with the wheel of this tree alone: installers cache what they have built by its path."""
    quietly(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder / "wheels", cwd=ROOT)
    return folder / "wheels"


def make(folder: Path, python: str, *requirements: str) -> Path:
    """A fresh environment at `folder` with `requirements`, pinned; its Python."""
    quietly(*_UV, "venv", "-q", "--python", python, folder, cwd=folder.parent)
    found = folder / "bin" / "python"
    install(found, "-c", str(CONSTRAINTS), *requirements)
    return found


def install(python: Path, *arguments: str) -> None:
    """`uv pip install` into the environment of `python`, with byte code, as installers leave it on a cluster."""
    quietly(*_UV, "pip", "install", "-q", "--compile-bytecode", "--python", python, *arguments, cwd=ROOT)


def tools(folder: Path) -> Path:
    """The Python of an environment with the group `bench` (pyproject.toml).

    Not the environment of the benchmarks: the project that dbxdec is compared with has commands of the same names.
    """
    where = folder / "tools"
    quietly(*_UV, "venv", "-q", "--python", rival_python() or sys.executable, where, cwd=folder)
    install(where / "bin" / "python", "-c", str(CONSTRAINTS), "--group", str(ROOT / "pyproject.toml") + ":bench")
    return where / "bin" / "python"


@cache
def rival_python() -> str | None:
    """A Python that the project in comparison runs on: this one, one on PATH, or one of pyenv's; None without."""
    names = [f"python3.{minor}" for minor in range(NEEDS[1], NEEDS[1] + 4)]
    on_path = [found for name in names if (found := shutil.which(name))]
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    of_pyenv = [str(path) for name in names for path in sorted(root.glob(f"versions/*/bin/{name}"))]
    return next((python for python in (sys.executable, *on_path, *of_pyenv) if _version(python) >= NEEDS), None)


def _version(python: str) -> tuple[int, ...]:
    """Of a Python that may be a shim which starts nothing."""
    code = "import sys; print(*sys.version_info[:2])"
    done = subprocess.run([python, "-c", code], check=False, capture_output=True, text=True)
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else ()


def why_no_rival() -> str:
    """The message where nothing can be compared."""
    return f"skipped: {RIVAL} needs Python {'.'.join(map(str, NEEDS))}, and none was found (on PATH, or pyenv's)"
