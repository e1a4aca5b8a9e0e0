"""Versions of a package that several requirements leave together: pip installs one version, so there must be one."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

ONE_OF_THEM = "pip installs one version of a package: keep one of them"
A_RANGE = "write a range with versions in it, such as `>=1,<2`"


def excluded(requirements: Sequence[str]) -> list[str]:
    """Return those of the requirements of one package that no version fulfils together; nothing where one does.

    They are two of them where two do, else all. One that no version fulfils is returned alone.
    """
    if len(requirements) == 1 and "," not in requirements[0]:
        return []
    from packaging.requirements import Requirement

    specifiers = {text: Requirement(text).specifier for text in requirements}
    versions = list(_candidates(specifiers.values()))

    def excluding(some: Sequence[str]) -> bool:
        return not any(all(specifiers[text].contains(v, prereleases=True) for text in some) for v in versions)

    if not versions or not excluding(requirements):
        return []
    few = (some for size in (1, 2) for some in itertools.combinations(requirements, size) if excluding(some))
    return list(next(few, requirements))


def _candidates(specifiers: Iterable[SpecifierSet]) -> Iterator[Version]:
    """Yield the versions that specifiers name, and one just below and just above each.

    A part of the versions that the specifiers bound has one of them (PEP 440, "Version specifiers").
    """
    from packaging.version import Version

    for text in {one.version.removesuffix(".*") for some in specifiers for one in some}:
        named = Version(text)
        epoch = f"{named.epoch}!" if named.epoch else ""
        release = epoch + ".".join(map(str, named.release))
        yield named
        yield from map(Version, (release, f"{release}.0.0.0.1", f"{release}.dev0"))
        *front, last = _without_zeros(named.release)
        if last:
            yield Version(epoch + ".".join(map(str, [*front, last - 1, 999_999_999])))
        before = release
        if named.pre is not None:
            yield Version(f"{before}{named.pre[0]}{named.pre[1] + 1}")
            before += f"{named.pre[0]}{named.pre[1]}"
        if named.post is not None:
            yield Version(f"{before}.post{named.post + 1}")
            before += f".post{named.post}"
        yield Version(f"{before}.dev{0 if named.dev is None else named.dev + 1}")


def _without_zeros(release: tuple[int, ...]) -> list[int]:
    """Return a release without the zeros at its end, which say nothing, but for the first number."""
    parts = list(release)
    while parts[1:] and not parts[-1]:
        parts.pop()
    return parts
