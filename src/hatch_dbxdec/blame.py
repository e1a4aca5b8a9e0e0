"""Whose error it is that has ended a build: hatchling's own, the file system's, or that of a plugin of the project."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import hatchling
import packaging
import pathspec

import dbxdec
import hatch_dbxdec

if TYPE_CHECKING:
    from collections.abc import Iterator

_STANDARD = Path(sysconfig.get_path("stdlib"))
_INSTALLED = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
_HELPERS = tuple(Path(str(module.__file__)).parent for module in (packaging, pathspec))
_HATCHLING = Path(hatchling.__file__).parent
_OURS = tuple(Path(str(module.__file__)).parent for module in (dbxdec, hatch_dbxdec))


def refusal(error: BaseException, root: Path) -> str | None:
    """What hatchling or the file system refuses in the project at `root`, in one sentence.

    None for what plugins and hooks of the project raise, which their authors need whole.
    """
    owner = next((path for path in _files(error) if not _is_helper(path)), None)
    if owner is None:
        return None
    if owner.is_relative_to(_HATCHLING):
        return f"hatchling does not take {root / 'pyproject.toml'}: {_said(error)}"
    if isinstance(error, OSError) and any(map(owner.is_relative_to, _OURS)):
        return _said(error)
    return None


def _files(error: BaseException) -> Iterator[Path]:
    """The files of the frames that the error has come through, the innermost first."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(Path(trace.tb_frame.f_code.co_filename))
        trace = trace.tb_next
    return reversed(frames)


def _is_helper(path: Path) -> bool:
    """Whether a file is of the standard library, or of what hatchling itself leans on."""
    if any(map(path.is_relative_to, _HELPERS)) or not path.is_absolute():
        return True
    return path.is_relative_to(_STANDARD) and not any(map(path.is_relative_to, _INSTALLED))


def _said(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split()) or type(error).__name__
