"""Names by which pip installs a wheel, and by which a bundle finds it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dbxdec.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dbxdec.model.manifest import Manifest

# The bundle's CLI looks for the files of libraries and artifacts by patterns, which have no other spelling of these.
_PATTERN_SIGNS = "*?[\\"
_LETTERS = re.compile(r"[A-Za-z0-9._+!-]+", re.ASCII)
_DRIVE = re.compile(r"[A-Za-z]:")
# Characters that control a terminal, and those that UTF-8 can't encode.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def pattern_sign(path: str) -> str | None:
    """Return what a bundle takes for a pattern in the path of a wheel, with `/` between folders; None for others."""
    return next((sign for sign in _PATTERN_SIGNS if sign in path), None)


def is_of_member(path: str) -> bool:
    """Return whether a file or a folder in a wheel may have this path: any machine unpacks it, and below one folder."""
    return (
        {"", ".", ".."}.isdisjoint(path.split("/"))
        and "\\" not in path
        and _DRIVE.match(path) is None
        and _UNPRINTABLE.search(path) is None
    )


def has_plain_letters(name: str) -> bool:
    """Return whether a wheel's name has only characters that pip allows there, unlike `... (1).whl` of a browser."""
    return _LETTERS.fullmatch(name) is not None


def unfit(wheel: Path, manifest: Manifest, written: str) -> Iterator[Problem]:
    """Yield what keeps a finished wheel from being deployed under its name. `written` is its path in the resources."""
    if not _is_named_for(wheel.name, manifest):
        yield Problem(
            f"{wheel.name} is not the name of a wheel of {manifest.project} {manifest.version}, so pip would not "
            "install it",
            hint=f"give it the name with which it was built: {manifest.project.replace('-', '_')}-{manifest.version}-"
            "....whl",
        )
    if (sign := pattern_sign(written)) is not None:
        yield Problem(
            f"the path {written} has `{sign}`, which a bundle takes for a pattern: a deploy would not find the wheel",
            hint="put the wheel into a folder with another name",
        )


def _is_named_for(name: str, manifest: Manifest) -> bool:
    from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

    try:
        project, version, *_ = parse_wheel_filename(name)
    except InvalidWheelFilename:
        return False
    own, found = manifest.version, str(version)
    is_own = found == own or found.startswith(f"{own}." if "+" in own else f"{own}+")  # a deploy appends to it
    return is_own and project == canonicalize_name(manifest.project) and has_plain_letters(name)
