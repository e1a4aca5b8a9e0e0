"""Paths and tables on this machine: for `dbxdec run`, folders below a local root replace remote places."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dbxdec.model.variables import resolve
from dbxdec.support import environment
from dbxdec.support.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = "DBXDEC_LOCAL_ROOT"
"""The environment variable in which the local runner passes that root; unset on the platform."""

# A single letter is a Windows drive.
_REMOTE = pattern(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/{1,3}(?P<rest>.*)", re.DOTALL)
_FILE = pattern(r"\Afile:/+", re.IGNORECASE)
_MOUNTS = ("/Volumes/", "/dbfs/")
# `container@account`, where an underscore may stand in neither (learn.microsoft.com, "Naming containers").
_OF_AZURE = ("abfs", "abfss", "wasb", "wasbs")
_ODD = pattern(r"[^A-Za-z0-9._=-]")
_folder: str | None = None
"""The folder of relative places, while a task runs: its function may change the working directory."""


def resolved(template: str) -> str:
    """Return the place of `template` in this run: variables are resolved, a remote place is below the local root."""
    return here(resolve(template))


@contextmanager
def kept() -> Iterator[None]:
    """Let relative places stay where they are as the outermost block begins, whatever the working directory is."""
    global _folder
    before, _folder = _folder, _current() if _folder is None else _folder
    try:
        yield
    finally:
        _folder = before


def here(uri: str) -> str:
    """Return `uri`, or its path in a local run: `abfss://c@a.net/x` is `<root>/abfss/c_a.net/x`."""
    root = environment.get(ROOT)
    if _folder is not None and _is_relative(uri) and not is_table(uri) and _current() != _folder:
        return os.path.join(_folder, uri)
    if not root:
        return uri
    if uri.startswith(_MOUNTS):
        return f"{root}{uri}"
    remote = _REMOTE.fullmatch(uri)
    if remote is None or remote["scheme"].lower() == "file":
        return uri
    scheme, rest = remote["scheme"].lower(), remote["rest"].rstrip("/")
    if scheme in _OF_AZURE:
        rest = rest.replace("@", "_", 1)
    return "/".join((root, scheme, *map(folder, rest.split("/"))))


def folder(name: str) -> str:
    """Return `name` as a folder's name, another one for each.

    Engines escape some characters in file names, each in its own way, and would read them back differently.
    """
    plain = _ODD.sub("_", name)
    if plain == name and name not in ("", ".", ".."):
        return name
    import zlib  # not needed by most runs

    return f"{plain}-{zlib.crc32(name.encode('utf-8', 'surrogatepass')):08x}"


def is_remote(uri: str) -> bool:
    """Return whether `uri` is not a path on a file system of this machine."""
    remote = _REMOTE.fullmatch(uri)
    return remote is not None and remote["scheme"].lower() != "file"


def absolute(uri: str) -> str:
    """Return `uri`, with a relative path made absolute: engines resolve it against different folders."""
    return os.path.abspath(uri) if _is_relative(uri) else uri


def _is_relative(uri: str) -> bool:
    return bool(uri) and _REMOTE.fullmatch(uri) is None and not os.path.isabs(uri)


def _current() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it has been removed
        return None


def table_here(name: str) -> str | None:
    """Return the path of the catalog table `name` in a local run; None outside one: then the catalog has it."""
    root = environment.get(ROOT)
    # Catalogs take Orders and orders for one table (docs.databricks.com, "Names").
    return "/".join((root, "tables", *map(folder, name.lower().split(".")))) if root else None


def place_here(target: str) -> str:
    """Return the path of `target`, a path or a table's name, in a local run."""
    there = table_here(target) if is_table(target) else None
    return there or here(target)


def is_table(target: str) -> bool:
    """Return whether `target` is the name of a table in a catalog. A path has a `/`, or Windows' `\\`."""
    return not {"/", "\\"} & set(target) and "." in target


def path_of(uri: str) -> str:
    """Return the path of a place on this machine, which may be a `file:` URI."""
    return _FILE.sub("/", uri)


def is_databricks() -> bool:
    """Return whether this process runs on the platform (docs.databricks.com, "Databricks Runtime")."""
    return environment.get("DATABRICKS_RUNTIME_VERSION") is not None


def is_local_run() -> bool:
    """Return whether local folders replace remote places."""
    return bool(environment.get(ROOT))
