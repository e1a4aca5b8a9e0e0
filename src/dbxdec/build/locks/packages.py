"""A package of a lock, and where it comes from."""

from __future__ import annotations

import re
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

from dbxdec.records import dataclass
from dbxdec.support.patterns import PACKAGE_NAME

PYPI = "https://pypi.org/simple"
"""The index that every installer asks unless it is told of another one."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Registry:
    """An index, by its URL; None for the default one. A folder of wheels is a path."""

    url: str | None


@dataclass(frozen=True, slots=True)
class File:
    """A file beside the lock: `path` is relative to the lock's folder, or absolute. `sha256` is in hex."""

    path: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Folder:
    """A project in a folder, which the lock's tool builds itself; `kind` is the lock's word for it."""

    path: str
    kind: str


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of a git repository."""

    url: str
    commit: str
    subdirectory: str | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """A file at a URL."""

    url: str


Source: TypeAlias = Registry | File | Folder | Commit | Address


@dataclass(frozen=True, slots=True)
class Package:
    """A package that a compute gets. `place` is the package's in the lock, and `needs` the packages it depends on."""

    name: str
    version: str | None
    source: Source
    place: str
    needs: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The package for messages."""
        return f"`{self.name} {self.version}`" if self.version else f"`{self.name}`"


def is_name(text: str) -> bool:
    """Return whether `text` is the name of a package."""
    return len(text) <= LONGEST_NAME and PACKAGE_NAME.fullmatch(text) is not None


def named(text: str) -> str:
    """Return the name of a package in its one form."""
    return str(canonicalize_name(text))


def is_remote(url: str) -> bool:
    """Return whether another machine than the one that builds can read from `url`."""
    return _SCHEME.match(url) is not None and not url.lower().startswith(("file:", "git+file:"))


def local_path(url: str) -> str:
    """Return the path in `url`, which is a path already or begins with `file:`."""
    return unquote(urlsplit(url).path) if url.lower().startswith("file:") else url
