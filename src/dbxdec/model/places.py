"""Paths and tables on this machine: for `dbxdec run`, folders below a local root replace remote places."""

from __future__ import annotations

import os
import re

from dbxdec.model.variables import resolve

ROOT = "DBXDEC_LOCAL_ROOT"
"""The environment variable in which the local runner passes that root; unset on the platform."""

# A single letter is a Windows drive.
_REMOTE = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/{1,3}(?P<rest>.*)", re.DOTALL)
_MOUNTS = ("/Volumes/", "/dbfs/")
_ODD = re.compile(r"[^A-Za-z0-9._/=-]")


def resolved(template: str) -> str:
    """Return the place of `template` in this run: variables are resolved, a remote place is below the local root."""
    return here(resolve(template))


def here(uri: str) -> str:
    """Return `uri`, or its path in a local run: `abfss://c@a.net/x` is `<root>/abfss/c_a.net/x`."""
    root = os.environ.get(ROOT)
    if not root:
        return uri
    if uri.startswith(_MOUNTS):
        return f"{root}{uri}"
    remote = _REMOTE.fullmatch(uri)
    if remote is None or remote["scheme"].lower() == "file":
        return uri
    # Engines escape some characters in file names, each in its own way, and would read them back differently.
    return f"{root}/{remote['scheme'].lower()}/{_ODD.sub('_', remote['rest'])}"


def is_remote(uri: str) -> bool:
    """Return whether `uri` is not a path on a file system of this machine."""
    remote = _REMOTE.fullmatch(uri)
    return remote is not None and remote["scheme"].lower() != "file"


def absolute(uri: str) -> str:
    """Return `uri`, with a relative path made absolute: engines resolve it against different folders."""
    is_path = _REMOTE.fullmatch(uri) is None and not uri.startswith("/")
    return os.path.abspath(uri) if is_path else uri


def table_here(name: str) -> str | None:
    """Return the path of the catalog table `name` in a local run; None outside one: then the catalog has it."""
    root = os.environ.get(ROOT)
    return f"{root}/tables/{_ODD.sub('_', name).replace('.', '/')}" if root else None


def place_here(target: str) -> str:
    """Return the path of `target`, a path or a table's name, in a local run. A path has a `/`, or Windows' `\\`."""
    there = table_here(target) if not {"/", "\\"} & set(target) and "." in target else None
    return there or here(target)


def is_databricks() -> bool:
    """Return whether this process runs on the platform (docs.databricks.com, "Databricks Runtime")."""
    return "DATABRICKS_RUNTIME_VERSION" in os.environ


def is_local_run() -> bool:
    """Return whether local folders replace remote places."""
    return bool(os.environ.get(ROOT))
