"""Where things are on this machine: `dbxdec run` has remote places answered by folders below a local root."""

from __future__ import annotations

import os
import re

from dbxdec.model.variables import resolve

ROOT = "DBXDEC_LOCAL_ROOT"
"""The environment variable by which the local runner names that root; unset on the platform."""

# One letter is a drive.
_REMOTE = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/{1,3}(?P<rest>.*)", re.DOTALL)
_MOUNTS = ("/Volumes/", "/dbfs/")
_ODD = re.compile(r"[^A-Za-z0-9._/=-]")


def resolved(template: str) -> str:
    """The place that `template` names in this run: with its variables' values, and below the local root if remote."""
    return here(resolve(template))


def here(uri: str) -> str:
    """`uri`, or where a local run has it: `abfss://c@a.net/x` is `<root>/abfss/c_a.net/x`."""
    root = os.environ.get(ROOT)
    if not root:
        return uri
    if uri.startswith(_MOUNTS):
        return f"{root}{uri}"
    remote = _REMOTE.fullmatch(uri)
    if remote is None or remote["scheme"].lower() == "file":
        return uri
    # Letters that engines escape in file names, each in its own way, would be read back as others.
    return f"{root}/{remote['scheme'].lower()}/{_ODD.sub('_', remote['rest'])}"


def absolute(uri: str) -> str:
    """Return `uri`, a relative path as an absolute one: engines differ in which folder they take it to be in."""
    is_path = _REMOTE.fullmatch(uri) is None and not uri.startswith("/")
    return os.path.abspath(uri) if is_path else uri


def table_here(name: str) -> str | None:
    """Where a local run has the table `name` of a catalog; None where the catalog itself is to be asked."""
    root = os.environ.get(ROOT)
    return f"{root}/tables/{_ODD.sub('_', name).replace('.', '/')}" if root else None


def place_here(target: str) -> str:
    """Where a local run has `target`, which is a path or the name of a table: a path has a `/`, or Windows' `\\`."""
    there = table_here(target) if not {"/", "\\"} & set(target) and "." in target else None
    return there or here(target)


def is_databricks() -> bool:
    """Whether this process is one of the platform's (docs.databricks.com, "Databricks Runtime")."""
    return "DATABRICKS_RUNTIME_VERSION" in os.environ


def is_local_run() -> bool:
    """Whether remote places are answered locally."""
    return bool(os.environ.get(ROOT))
