"""uv.lock: a graph of packages, which is followed from the project along the edges that hold on a compute.

Its format is not documented: what is read here is what uv writes as `version = 1` (uv's sources, uv-resolver,
src/lock). A revision may add to it, and changes none of it.
"""

from __future__ import annotations

import posixpath
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from dbxdec.build.locks.chosen import Chosen, ambiguous, best_wheel
from dbxdec.build.locks.markers import MarkerError, Markers
from dbxdec.build.locks.packages import (
    PYPI,
    Address,
    Commit,
    File,
    Folder,
    Package,
    Registry,
    Source,
    is_name,
    is_remote,
    local_path,
    named,
)
from dbxdec.errors import ConfigError, Problem
from dbxdec.support.forms import FormError, strings, take

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

VERSION = 1
_AGAIN = "lock again: `uv lock`"
_FOLDERS = ("editable", "directory", "virtual")


class UvLock:
    """The document of a uv.lock, called `shown` in messages. `project` is the name of the project."""

    def __init__(self, document: Mapping[str, Any], shown: str, project: str) -> None:
        """Raises ConfigError if the document is not a lock, or has no such project."""
        self.shown = shown
        version = document.get("version")
        if type(version) is not int or version != VERSION:
            what = "has no version" if version is None else f"has the format {version!r:.20}"
            raise ConfigError(
                Problem(
                    f"{what}, and dbxdec reads format {VERSION}",
                    f"{shown}: version",
                    f"{_AGAIN}, by a uv that writes it",
                )
            )
        try:
            self.packages = take(document, "package", list)
            self.requires_python = take(document, "requires-python", str, "")
        except FormError as error:
            raise ConfigError(Problem(error.what, f"{shown}: {error.place}", _AGAIN)) from None
        self._by_name: dict[str, list[int]] = {}
        for i, form in enumerate(self.packages):
            name = form.get("name") if isinstance(form, dict) else None
            if not isinstance(name, str) or not is_name(name):
                raise ConfigError(Problem(f"has the name {name!r:.60}", f"{shown}: package[{i}].name", _AGAIN))
            self._by_name.setdefault(named(name), []).append(i)
        own = [i for i in self._by_name.get(named(project), []) if not self._is_from_elsewhere(i)]
        if len(own) != 1:
            what = "has no package" if not own else f"has {len(own)} packages"
            raise ConfigError(
                Problem(
                    f"{what} `{project}` from a folder, so it is not the lock of this project",
                    f"{shown}: package",
                    "`uv lock` in the project or its workspace, and name that file",
                )
            )
        self.own = own[0]

    def _is_from_elsewhere(self, i: int) -> bool:
        source = self.packages[i].get("source")
        return not isinstance(source, dict) or set(source).isdisjoint(_FOLDERS)

    def choose(self, python: str, left_out: Collection[str]) -> Chosen:
        """Return the packages that the project gets on a compute with `python`; names that are left out end a path."""
        return _Walk(self, Markers(python), left_out).chosen()

    def requirements(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Return the place and the form of each requirement that the project had when it was locked.

        Raises ConfigError.
        """
        form = self.packages[self.own]
        place = f"package[{self.own}].metadata"
        try:
            metadata = take(form, "metadata", dict, {})
            found = take(metadata, "requires-dist", list, [])
        except FormError as error:
            raise ConfigError(Problem(error.what, f"{self.shown}: {place}.{error.place}", _AGAIN)) from None
        return [(f"{self.shown}: {place}.requires-dist[{i}]", one) for i, one in enumerate(found)]

    def names(self) -> frozenset[str]:
        """Return the names of all packages."""
        return frozenset(self._by_name)

    def named(self, name: str) -> list[int]:
        """Return the places of the packages of this name."""
        return self._by_name.get(name, [])


class _Walk:
    """One walk through the graph. Each package, and each of its extras, is visited once, so cycles end."""

    def __init__(self, lock: UvLock, markers: Markers, left_out: Collection[str]) -> None:
        self.lock, self.markers, self.left_out = lock, markers, left_out
        self.problems: list[Problem] = []
        self.needs: dict[int, dict[str, None]] = {}

    def chosen(self) -> Chosen:
        own = self.lock.own
        seen: set[tuple[int, str | None]] = set()
        waiting: list[tuple[int, str | None]] = [(own, None)]
        while waiting:
            node = waiting.pop()
            if node in seen:
                continue
            seen.add(node)
            i, extra = node
            needs = self.needs.setdefault(i, {})
            for name, target, extras in self._edges(i, extra):
                needs[name] = None
                if target is not None:
                    waiting += [(target, None), *((target, one) for one in extras)]
        packages = [package for i in self.needs if i != own and (package := self._package(i)) is not None]
        packages.sort(key=lambda package: (package.name, package.version or ""))
        for one, other in pairwise(packages):
            if one.name == other.name:
                versions = (one.version, other.version)
                self.problems.append(ambiguous(one.place, one.name, self.markers.python, versions))
        return Chosen(tuple(packages), tuple(self.needs[own]), tuple(dict.fromkeys(self.problems)))

    def _edges(self, i: int, extra: str | None) -> Iterator[tuple[str, int | None, tuple[str, ...]]]:
        """Yield name, package and extras of each edge that holds here; without a package where it is left out."""
        form = self.lock.packages[i]
        place = f"package[{i}].dependencies" if extra is None else f"package[{i}].optional-dependencies.{extra}"
        try:
            edges = (
                take(form, "dependencies", list, [])
                if extra is None
                else take(take(form, "optional-dependencies", dict, {}), extra, list, [])
            )
        except FormError as error:
            self._say(place, error.what)
            return
        for j, edge in enumerate(edges):
            there = f"{place}[{j}]"
            try:
                name = named(take(edge, "name", str))
                marker = take(edge, "marker", str, "")
                extras = strings(edge, "extra", ())
                version = take(edge, "version", str, "")
                source = take(edge, "source", dict, {})
                if marker and not self.markers.hold(marker):
                    continue
            except FormError as error:
                self._say(f"{there}.{error.place}".rstrip("."), error.what)
            except MarkerError as error:
                self._say(f"{there}.marker", str(error))
            else:
                left_out = name in self.left_out
                yield name, None if left_out else self._target(there, name, version, source), extras

    def _target(self, place: str, name: str, version: str, source: Mapping[str, Any]) -> int | None:
        """Return the package that an edge leads to, by its name and what else the edge says."""
        packages = self.lock.packages
        found = self.lock.named(name)
        if version:
            found = [i for i in found if packages[i].get("version") == version]
        if source:
            found = [i for i in found if packages[i].get("source") == source]
        if len(found) > 1:
            found = [i for i in found if self._is_for_here(i)]
        if len(found) == 1:
            return found[0]
        if not found:
            self._say(place, f"leads to `{name}{f' {version}' if version else ''}`, which the lock does not have")
        else:
            versions = [str(packages[i].get("version")) for i in found]
            self.problems.append(ambiguous(f"{self.lock.shown}: {place}", name, self.markers.python, versions))
        return None

    def _is_for_here(self, i: int) -> bool:
        """Return whether a package, of several of its name, is for this Python."""
        try:
            found = strings(self.lock.packages[i], "resolution-markers", ())
            return not found or any(map(self.markers.hold, found))
        except FormError as error:
            self._say(f"package[{i}].{error.place}", error.what)
        except MarkerError as error:
            self._say(f"package[{i}].resolution-markers", str(error))
        return False

    def _package(self, i: int) -> Package | None:
        """Return a package; None for one that is not installed, since it is only a list of others (virtual)."""
        form = self.lock.packages[i]
        name = named(form["name"])
        try:
            version = take(form, "version", str) if "version" in form else None
            source = self._source(form)
        except FormError as error:
            self._say(f"package[{i}].{error.place}", f"{error.what} (`{name}`)")
            return None
        if source is None:
            return None
        return Package(name, version, source, f"{self.lock.shown}: package[{i}]", tuple(self.needs[i]))

    def _source(self, form: Mapping[str, Any]) -> Source | None:
        found = take(form, "source", dict)
        try:
            match found:
                case {"registry": str(url)} if is_remote(url):
                    return Registry(None if url.rstrip("/") == PYPI else url)
                case {"registry": str(url)}:
                    return self._in_folder(local_path(url), form)
                case {"path": str(path)}:
                    return File(path, _sha256(form))
                case {"git": str(url)}:
                    return _commit(url)
                case {"url": str(url)}:
                    return Address(url)
                case {"virtual": str()}:
                    return None
                case {"editable": str(path)} | {"directory": str(path)}:
                    return Folder(path, next(iter(found)))
        except ValueError as error:  # not a URL
            raise FormError("source", f"can't be read: {error!s:.100}") from None
        raise FormError("source", f"is {str(found)!r:.80}, of a kind that dbxdec does not know")

    def _in_folder(self, folder: str, form: Mapping[str, Any]) -> Source:
        """Return the wheel of a package whose index is a folder of files."""
        paths: dict[str, Mapping[str, Any]] = {}
        for wheel in take(form, "wheels", list, []):
            path = take(wheel, "path", str)
            paths[posixpath.basename(path)] = wheel
        best = best_wheel(paths, self.markers.python)
        if best is None:
            return Folder(folder, "an index in a folder")
        return File(posixpath.join(folder, paths[best]["path"]), _hash(paths[best]))

    def _say(self, place: str, what: str) -> None:
        self.problems.append(Problem(what, f"{self.lock.shown}: {place}", _AGAIN))


def _commit(url: str) -> Source:
    """Return the commit in a URL of uv's: `https://host/repository?subdirectory=x&rev=main#<commit>`."""
    parts = urlsplit(url)
    subdirectory = parse_qs(parts.query).get("subdirectory", [None])[0]
    return Commit(urlunsplit((*parts[:3], "", "")), parts.fragment, subdirectory)


def _sha256(form: Mapping[str, Any]) -> str | None:
    wheels = take(form, "wheels", list, [])
    return _hash(wheels[0]) if len(wheels) == 1 else None


def _hash(wheel: Any) -> str | None:
    text = take(wheel, "hash", str, "")
    return text.removeprefix("sha256:") if text.startswith("sha256:") else None
