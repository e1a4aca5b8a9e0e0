"""The reason why hatchling or the file system refuses a build, in one sentence."""

from __future__ import annotations

from pathlib import Path

from dbxdec.build import hatchling_compat as inside
from dbxdec.support import boundary


def refusal(error: BaseException, root: Path) -> str | None:
    """Return the reason why the project at `root` is refused.

    Return None for errors that plugins and hooks of the project raise: their authors need the whole traceback.
    """
    if isinstance(error, OSError) and (hint := boundary.hint_of_full(str(error))):
        return f"the build can't write its files: {boundary.sentence(error)}\n    hint: {hint}"
    if inside.raised_by_hatchling(error):
        return f"hatchling does not take {root / 'pyproject.toml'}: {_said(error)}"
    owner = inside.owner_of(error)
    if isinstance(error, OSError) and owner is not None and any(map(owner.is_relative_to, boundary.OURS)):
        return _said(error)
    return None


def _said(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split()) or type(error).__name__
