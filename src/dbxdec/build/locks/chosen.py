"""The packages that a lock gives to one Python."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion

from dbxdec.errors import Problem
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dbxdec.build.locks.packages import Package

# Of Ubuntu 22.04, the oldest system below a known runtime with one of these Pythons.
_GLIBC = (2, 35)
_OLD_PLATFORMS = {(2, 17): "manylinux2014_x86_64", (2, 12): "manylinux2010_x86_64", (2, 5): "manylinux1_x86_64"}
# Patch releases between which a Python is taken to be.
_PATCHES = (0, 99)


@dataclass(frozen=True)
class Chosen:
    """The packages for one Python, by name, without the project itself, and what is wrong with them.

    `needs` are the project's own dependencies. Names that are left out may be among them, and among those of packages.
    """

    packages: tuple[Package, ...]
    needs: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def ambiguous(place: str, name: str, python: str, versions: Iterable[str | None]) -> Problem:
    """Return the problem of a lock that gives a Python two versions of one package."""
    both = " and ".join(sorted({version or "one without a version" for version in versions}))
    return Problem(
        f"has {both} of `{name}` for Python {python}, which can have only one",
        place,
        "lock again with the tool that wrote it; extras that exclude each other are not for a job's own environment",
    )


def admits(requires: str, python: str) -> bool:
    """Return whether `requires`, the value of a `requires-python`, admits some patch release of a Python.

    Raises ValueError if it is not a specifier.
    """
    try:
        found = SpecifierSet(requires)
        return any(found.contains(f"{python}.{patch}") for patch in _PATCHES)
    except (InvalidSpecifier, InvalidVersion) as error:
        raise ValueError(str(error)) from None


def best_wheel(names: Iterable[str], python: str) -> str | None:
    """Return the wheel, of these names of files, that an installer would take on a compute; None if none fits."""
    ranks = _ranks(python)
    best: tuple[int, str] | None = None
    for name in names:
        try:
            tags = parse_wheel_filename(name)[3]
        except InvalidWheelFilename:
            continue
        rank = min((ranks[tag] for tag in tags if tag in ranks), default=None)
        if rank is not None and (best is None or (rank, name) < best):
            best = (rank, name)
    return best[1] if best else None


@cache
def _ranks(python: str) -> dict[Tag, int]:
    version = tuple(map(int, python.split(".")))
    platforms = list(_platforms())
    tags = [*cpython_tags(version, platforms=platforms), *compatible_tags(version, f"cp{python}", platforms)]
    ranks: dict[Tag, int] = {}
    for rank, tag in enumerate(tags):
        ranks.setdefault(tag, rank)
    return ranks


def _platforms() -> Iterator[str]:
    for minor in range(_GLIBC[1], 4, -1):
        yield f"manylinux_2_{minor}_x86_64"
        if (2, minor) in _OLD_PLATFORMS:
            yield _OLD_PLATFORMS[2, minor]
    yield "linux_x86_64"
