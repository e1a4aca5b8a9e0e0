"""pylock.toml (PEP 751): a list of packages, of which those count whose marker holds on a compute.

No extras are asked for, and only the groups that are installed by default.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from dbxdec.build.locks.chosen import Chosen, admits, ambiguous, best_wheel
from dbxdec.build.locks.markers import MarkerError, Markers
from dbxdec.build.locks.packages import PYPI, Address, Commit, File, Folder, Package, Registry, Source, named
from dbxdec.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from packaging.pylock import Package as Entry
    from packaging.pylock import PackageWheel

OLDEST = "26.0"
"""The first `packaging` that reads these files."""
_AGAIN = "lock again with the tool that wrote it"


class PyLock:
    """The document of a pylock.toml, called `shown` in messages. `project` is the name of the project."""

    def __init__(self, document: Mapping[str, Any], shown: str, project: str) -> None:
        """Raises ConfigError if the document is not such a lock."""
        try:
            from packaging.pylock import Pylock, PylockValidationError
        except ModuleNotFoundError:
            import packaging

            raise ConfigError(
                Problem(
                    f"{shown} needs `packaging` {OLDEST} or newer to be read, and {packaging.__version__} is installed "
                    "where the wheel is built",
                    "tool.dbxdec.lock",
                    f'add "packaging>={OLDEST}" to `requires` of [build-system], or lock with uv: `lock = "uv.lock"`',
                )
            ) from None
        try:
            found = Pylock.from_dict(document)
        except PylockValidationError as error:
            place = f"{shown}: {error.context}" if error.context else shown
            what = " ".join(error.message.split())
            raise ConfigError(Problem(f"is not as PEP 751 wants it: {what:.200}", place, _AGAIN)) from None
        self.shown, self._project = shown, named(project)
        self._entries = found.packages
        self._groups = frozenset(found.default_groups or ())
        self._environments = [str(marker) for marker in found.environments or ()]
        self.requires_python = "" if found.requires_python is None else str(found.requires_python)

    def names(self) -> frozenset[str]:
        """Return the names of all packages."""
        return frozenset(entry.name for entry in self._entries)

    def choose(self, python: str, left_out: Collection[str]) -> Chosen:
        """Return the packages of a compute with `python`, without those that are left out."""
        markers = Markers(python)
        packages: dict[str, Package] = {}
        needs: tuple[str, ...] = ()
        problems: list[Problem] = []
        problems += self._of_environments(markers)
        for i, entry in enumerate(self._entries):
            place = f"{self.shown}: packages[{i}]"
            try:
                if entry.marker is not None and not markers.hold_in_groups(str(entry.marker), self._groups):
                    continue
            except MarkerError as error:
                problems.append(Problem(str(error), f"{place}.marker", _AGAIN))
                continue
            requires = "" if entry.requires_python is None else str(entry.requires_python)
            if requires and not admits(requires, python):
                what = f"`{entry.name}` is for Python {requires}, and a compute has {python}"
                problems.append(Problem(what, f"{place}.requires-python", "lock for that Python as well"))
            depends = tuple(str(one["name"]) for one in entry.dependencies or () if isinstance(one.get("name"), str))
            if entry.name == self._project:
                needs = depends
            elif entry.name not in left_out:
                version = None if entry.version is None else str(entry.version)
                package = Package(entry.name, version, _source(entry, python), place, tuple(map(named, depends)))
                if (other := packages.setdefault(entry.name, package)) is not package:
                    problems.append(ambiguous(place, entry.name, python, (other.version, version)))
        ordered = sorted(packages.values(), key=lambda package: package.name)
        return Chosen(tuple(ordered), tuple(map(named, needs)), tuple(problems))

    def _of_environments(self, markers: Markers) -> list[Problem]:
        """Return the problem of a lock that is for other systems only."""
        where = f"{self.shown}: environments"
        try:
            if not self._environments or any(map(markers.hold, self._environments)):
                return []
        except MarkerError as error:
            return [Problem(str(error), where, _AGAIN)]
        what = f"is for none of the platform's computes with Python {markers.python}: Linux on x86_64"
        return [Problem(what, where, "lock for Linux as well")]


def _source(entry: Entry, python: str) -> Source:
    if entry.vcs is not None:
        if entry.vcs.url is None or entry.vcs.type != "git":
            return Folder(str(entry.vcs.path or entry.vcs.url), "a repository")
        return Commit(entry.vcs.url, entry.vcs.commit_id, entry.vcs.subdirectory)
    if entry.directory is not None:
        return Folder(entry.directory.path, "editable" if entry.directory.editable else "directory")
    if entry.archive is not None:
        if entry.archive.url is not None:
            return Address(entry.archive.url)
        return File(str(entry.archive.path), _sha256(entry.archive.hashes))
    local = {posixpath.basename(str(wheel.path)): wheel for wheel in entry.wheels or () if wheel.url is None}
    if entry.index is None and local:
        return _local(local, python) or Folder("", "files")
    return Registry(None if entry.index is None or entry.index.rstrip("/") == PYPI else entry.index)


def _local(wheels: Mapping[str, PackageWheel], python: str) -> Source | None:
    best = best_wheel(wheels, python)
    return None if best is None else File(str(wheels[best].path), _sha256(wheels[best].hashes))


def _sha256(hashes: Mapping[str, str]) -> str | None:
    found = hashes.get("sha256")
    return found.lower() if isinstance(found, str) else None
