"""Packages of a lock become libraries of a task: pins, commits, wheels; or problems, if no task could install them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import dbxdec
from dbxdec.build import shipping
from dbxdec.build.codegen.environments import refusals
from dbxdec.build.locks.packages import (
    Address,
    Commit,
    File,
    Folder,
    Package,
    Registry,
    is_remote,
    local_path,
)
from dbxdec.errors import Problem
from dbxdec.model.locked import OWN, Pins
from dbxdec.support import digests
from dbxdec.support.addresses import has_credentials, without_credentials

if TYPE_CHECKING:
    from dbxdec.build.locks.chosen import Chosen

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Pinning:
    """Makes the pins of Pythons; what is wrong is added to `problems`.

    `own` are the versions of the wheels among the extra libraries, by name: each takes the place of a package. `wheels`
    are digests by path from the project's root, those of the lock as well, and `read` the files that were looked at.
    """

    def __init__(self, root: Path, folder: Path, wheels: dict[str, str], problems: list[Problem]) -> None:
        """`folder` is the lock's, from which its paths start."""
        self._root, self._folder, self._problems = root, folder, problems
        self.own = dict(map(_named, wheels))
        self.wheels = dict(wheels)
        self.read: list[str] = []

    def pins(self, chosen: Chosen) -> Pins:
        """Return the libraries for the packages of one Python."""
        packages: list[str] = []
        indexes: dict[str, str] = {}
        for package in chosen.packages:
            if package.name in self.own:
                self._compare_with_own(package)
            elif (text := self._pin(package)) is not None:
                packages.append(text)
                if isinstance(package.source, Registry) and package.source.url is not None:
                    indexes[package.name] = package.source.url
        return Pins(tuple(packages), indexes)

    def _compare_with_own(self, package: Package) -> None:
        version = self.own[package.name]
        if package.version is not None and package.version != version and not isinstance(package.source, Folder):
            self._say(
                package,
                f"is {package.shown}, and the wheel among `extra-libraries` is {version}",
                "name a wheel of that version, or lock again",
            )

    def _pin(self, package: Package) -> str | None:
        """Return the library for a package; None if it can't be one, which is then a problem."""
        if package.name == OWN and not self._is_running(package):
            return None
        match package.source:
            case Registry(url):
                return self._of_index(package, url)
            case File(path, sha256):
                return self._wheel(package, path, sha256)
            case Folder(path, kind):
                if package.name == OWN:
                    return OWN
                self._say(
                    package,
                    f"comes from {path or 'files'} ({kind}), which no task can install: {package.shown}",
                    "build its wheel, and name that: `extra-libraries = "
                    f'["libs/{package.name.replace("-", "_")}-1.0-py3-none-any.whl"]`',
                )
            case Commit(url, commit, subdirectory):
                return self._commit(package, url, commit, subdirectory)
            case Address(url):
                if self._is_reachable(package, url):
                    return f"{package.name} @ {url}"
        return None

    def _is_running(self, package: Package) -> bool:
        """Return whether a lock has the dbxdec that runs: a task must run the one that has checked it."""
        if package.version in (None, dbxdec.__version__):
            return True
        self._say(
            package,
            f"is {package.shown}, and dbxdec {dbxdec.__version__} is building: the task would run another one than has "
            "checked it",
            f'build with the locked one: "dbxdec[build]=={package.version}" in `requires` of [build-system]; or lock '
            "the one that builds: `uv lock --upgrade-package dbxdec`",
        )
        return False

    def _of_index(self, package: Package, url: str | None) -> str | None:
        if package.version is None:
            self._say(package, f"has no version of {package.shown}", "lock again")
            return None
        if url is not None and not self._is_reachable(package, url):
            return None
        pin = f"{package.name}=={package.version}"
        if wrong := refusals(pin):
            self._say(package, wrong[0][0], wrong[0][1] or "lock another version")
            return None
        return pin

    def _commit(self, package: Package, url: str, commit: str, subdirectory: str | None) -> str | None:
        if not _COMMIT.fullmatch(commit):
            self._say(package, f"has no commit of {package.shown}, but {commit!r:.50}", "lock again")
            return None
        if not self._is_reachable(package, url):
            return None
        inside = f"#subdirectory={subdirectory}" if subdirectory else ""
        return f"{package.name} @ git+{url.removeprefix('git+')}@{commit}{inside}"

    def _is_reachable(self, package: Package, url: str) -> bool:
        """Check an address that goes into the job definitions, which many people can read."""
        if not url.isprintable() or " " in url or not is_remote(url):
            self._say(
                package,
                f"comes from {url!r:.100}, which the platform can't reach: {package.shown}",
                "take it from an index, or build its wheel and name that in `extra-libraries`",
            )
            return False
        if has_credentials(url):
            self._say(
                package,
                f"comes from {without_credentials(url):.200}, with a password or a token in the address, which "
                "everybody who sees the job would see",
                "lock it with the address alone (uv: `UV_INDEX_<NAME>_PASSWORD`), and give the workspace the password: "
                "its default package repositories",
            )
            return False
        return True

    def _wheel(self, package: Package, path: str, sha256: str | None) -> str | None:
        """Return the wheel of a package, which lies beside the lock, as a library of the tree."""
        there = Path(os.path.normpath(self._folder / local_path(path)))
        self.read.append(str(there))
        shown = Path(os.path.relpath(there, self._root)).as_posix()
        if there.suffix != ".whl":
            why = "is not a wheel"
        elif not there.is_file():
            why = "is not there"
        elif (no_wheel := shipping.why_no_wheel(there)) is not None:
            why = f"is no wheel that a task could install: {no_wheel}"
        else:
            found = digests.of_file(there)
            if sha256 is None or sha256 == found:
                self.wheels[shown] = found
                return shown
            why = "is not the file that was locked: its content has changed"
        self._say(package, f"comes from {shown!r}, which {why}", "build the wheel and lock again")
        return None

    def _say(self, package: Package, what: str, hint: str) -> None:
        self._problems.append(Problem(what, package.place, hint))


def _named(path: str) -> tuple[str, str]:
    """Return the name and the version of a wheel by its path."""
    from packaging.utils import parse_wheel_filename

    name, version, *_ = parse_wheel_filename(Path(path).name)
    return str(name), str(version)
