"""Comparison of a lock with the project's dependencies, as they are now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion

from dbxdec.build.locks.markers import MarkerError, Markers
from dbxdec.build.locks.packages import named
from dbxdec.build.locks.uv import UvLock
from dbxdec.errors import ConfigError, Problem
from dbxdec.support.forms import FormError, strings, take

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from dbxdec.build.locks.chosen import Chosen
    from dbxdec.build.locks.reading import Lock

DEPENDENCIES = "project.dependencies"
# Keys of a requirement in uv.lock that comes from elsewhere than an index: its versions are not written there.
_FROM_ELSEWHERE = frozenset({"url", "git", "path", "editable", "directory", "virtual"})


def problems(
    lock: Lock, chosen: Chosen, dependencies: Sequence[str], python: str, ignored: Collection[str]
) -> Iterator[Problem]:
    """Yield the dependencies of the project that a lock doesn't have, in the packages that it gives to `python`.

    `ignored` are names that the packages need not have.
    """
    markers = Markers(python)
    wanted = []
    for text in dependencies:
        try:
            requirement = Requirement(text)
            if markers.need(requirement):
                wanted.append(requirement)
        except (InvalidRequirement, MarkerError) as error:
            yield Problem(f"has `{text:.80}`, which can't be read: {str(error).splitlines()[0]}", DEPENDENCIES)
    stale: set[str] = set()
    if isinstance(lock, UvLock):
        try:
            found = list(_of_other_dependencies(lock, wanted, markers))
        except ConfigError as error:
            yield from error.problems
            return
        stale = {name for name, _ in found}
        yield from (problem for _, problem in found)
    versions = {package.name: package.version for package in chosen.packages}
    again = "`uv lock`" if isinstance(lock, UvLock) else "lock again, with the tool that wrote it"
    for requirement in wanted:
        name = named(requirement.name)
        if name in ignored or name in stale:
            continue
        if name not in versions:
            yield Problem(f"has `{requirement}`, which {lock.shown} does not have", DEPENDENCIES, again)
        elif requirement.url is None and not satisfies(versions[name], requirement.specifier):
            what = f"has `{requirement}`, and {lock.shown} has `{name} {versions[name]}`"
            yield Problem(what, DEPENDENCIES, again)


def satisfies(version: str | None, specifier: SpecifierSet) -> bool:
    """Return whether a locked version is one that `specifier` admits; one that is not known is."""
    try:
        return version is None or specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return False


def _of_other_dependencies(
    lock: UvLock, wanted: Sequence[Requirement], markers: Markers
) -> Iterator[tuple[str, Problem]]:
    """Yield (name, problem) where the project had other dependencies when it was locked."""
    locked: list[tuple[str, str, Mapping[str, Any], Requirement]] = []
    for place, form in lock.requirements():
        try:
            marker = take(form, "marker", str, "")
            if not marker or markers.hold(marker):
                requirement = _requirement(form)
                locked.append((named(requirement.name), place, form, requirement))
        except (FormError, MarkerError, InvalidSpecifier, InvalidRequirement) as error:
            what = error.what if isinstance(error, FormError) else str(error)
            yield "", Problem(f"can't be read: {what:.200}", place, "lock again: `uv lock`")
    left = list(locked)
    for requirement in wanted:
        name = named(requirement.name)
        same = next((one for one in left if one[0] == name and _is_same(requirement, one[2], one[3])), None)
        if same is not None:
            left.remove(same)
            continue
        other = next((one for one in left if one[0] == name), None)
        if other is not None:
            left.remove(other)
        made_for = f"was made for `{other[3]}`" if other else "was made without it"
        yield name, Problem(f"has `{requirement}`, and {lock.shown} {made_for}", DEPENDENCIES, "lock again: `uv lock`")
    for name, place, _, requirement in left:
        what = f"has `{requirement}`, which is no longer in `dependencies` of [project]"
        yield name, Problem(what, place, "lock again: `uv lock`")


def _requirement(form: Any) -> Requirement:
    extras = strings(form, "extras", ())
    specifier = take(form, "specifier", str, "")
    inside = f"[{','.join(sorted(extras))}]" if extras else ""
    return Requirement(f"{take(form, 'name', str)}{inside}{SpecifierSet(specifier)}")


def _is_same(wanted: Requirement, form: Mapping[str, Any], locked: Requirement) -> bool:
    if {named(extra) for extra in wanted.extras} != {named(extra) for extra in locked.extras}:
        return False
    if not _FROM_ELSEWHERE.isdisjoint(form):
        return True
    return wanted.url is None and wanted.specifier == locked.specifier
