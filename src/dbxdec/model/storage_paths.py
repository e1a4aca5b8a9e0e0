"""Checks of the storage paths of tables, as authors and bundles write them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dbxdec.errors import did_you_mean
from dbxdec.model.places import path_of
from dbxdec.support.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

Finding = tuple[str, str | None]

# The schemes of Polars, delta-rs and Spark, and those that the platform adds.
SCHEMES = (
    *("s3", "s3a", "s3n", "gs", "gcs", "abfs", "abfss", "az", "azure", "adl", "wasb", "wasbs", "hdfs", "r2", "http"),
    *("https", "file", "memory", "dbfs", "lakefs", "hf"),
)
# A single letter is a Windows drive.
_SCHEME = pattern(r"([A-Za-z][A-Za-z0-9+.-]+):(/*)(.*)", re.DOTALL)
_NO_COLON = pattern(rf"({'|'.join(SCHEMES)})//", re.IGNORECASE)
_ALIASES = {"s3a": "s3", "s3n": "s3", "abfs": "abfss", "wasbs": "wasb", "gcs": "gs", "azure": "az"}
_MOUNTS = ("/Volumes/", "/dbfs/", "dbfs:/")
_SHARED = (*_MOUNTS, "/Workspace/")
# Any number of slashes may follow these: of HDFS the host may be left out, which the cluster's settings name then.
_WITHOUT_HOST = ("dbfs", "file", "hdfs")
_HDFS = pattern(r"\Ahdfs:(/(?!/)|///+)", re.IGNORECASE)


def misspelt(place: str, io: str | None) -> Iterator[Finding]:
    """Yield what is wrong with the scheme of `place`, which the IoManager class `io` writes or reads.

    An author's own IoManager may have its own schemes.
    """
    found = _SCHEME.match(place)
    if found is None:
        if wrong := _NO_COLON.match(place):
            yield f"{place}, which has no `:` after its scheme", f"write {wrong[1]}://{place[wrong.end() :]}"
        return
    scheme, slashes, rest = found[1].lower(), found[2], found[3]
    if scheme not in SCHEMES:
        near = did_you_mean(scheme, SCHEMES)
        if near is not None or is_ours(io):
            known = f"schemes are {', '.join(SCHEMES)}"
            yield f"{place}, which has the unknown scheme `{found[1]}`", near or known
    elif scheme in _WITHOUT_HOST or slashes == "//" or (scheme == "memory" and slashes[2:]):
        return
    elif slashes[2:]:
        hint = f"write {found[1]}://<bucket>/{rest}" + (f", or {found[1]}://{rest}" if "/" in rest else "")
        yield f"{place}, which has {len(slashes)} slashes after `{found[1]}:`, so it names no bucket or container", hint
    else:
        number = "one slash" if slashes else "no slash"
        yield f"{place}, which has {number} after `{found[1]}:` instead of two", f"write {found[1]}://{rest}"


def without_bucket(root: str) -> Finding | None:
    """Return what is wrong with the place of all tables if it is a scheme alone; None for others."""
    found = _SCHEME.fullmatch(root)
    scheme = "" if found is None or found[3] else found[1].lower()
    if found is None or scheme not in SCHEMES or scheme in (*_WITHOUT_HOST, "memory"):
        return None
    return f"{root!r}, which names no bucket or container", f"write {found[1]}://<bucket>/<folder>"


def without_aliases(place: str) -> str:
    """Return `place` with one spelling for the schemes that lead to the same storage."""
    place = _HDFS.sub("hdfs:///", path_of(place))
    if place.lower().startswith("dbfs:/"):
        return f"/dbfs/{place[len('dbfs:/') :].lstrip('/')}"
    scheme, colon, path = place.partition("://")
    return f"{_ALIASES.get(scheme.lower(), scheme)}{colon}{path}"


def is_delta(io: str | None) -> bool:
    """Return whether the IoManager class `io` is one of dbxdec's for Delta tables at paths."""
    return is_ours(io) and (io or "").endswith("DeltaIoManager")


def is_ours(io: str | None) -> bool:
    """Return whether the IoManager class `io`, "module:name", is one of dbxdec's."""
    return io is not None and io.startswith("dbxdec.")


def commits_by_rename(io: str | None) -> bool:
    """Return whether the IoManager class `io` commits with delta-rs, which is not safe on a mount of the platform."""
    return io is not None and io.endswith(":PolarsDeltaIoManager")


def on_a_mount(place: str) -> bool:
    """Return whether `place` is on a mount of the platform, which has no atomic rename for delta-rs' commits."""
    return f"{path_of(place)}/".startswith(_MOUNTS)


def on_one_machine(place: str, io: str | None) -> bool:
    """Return whether `place` is on the disk or in the memory of the writer. Spark's absolute paths are on DBFS."""
    if place.lower().startswith("memory:"):
        return True
    path = path_of(place)
    if path == place and io is not None and io.rpartition(":")[2].startswith("Spark"):
        return False
    return (path.startswith(("/", "\\")) or place[1:2] == ":") and not path.startswith(_SHARED)


def is_relative(place: str) -> bool:
    """Return whether `place` is a path relative to a folder on the writer. Tables of a catalog are not."""
    return (
        ("/" in place or "\\" in place)
        and not place.startswith(("/", "\\", "${", "{"))
        and _SCHEME.match(place) is None
        and place[1:2] != ":"
    )
