"""Refusals of delta-rs and of storages as clear messages of one sentence."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dbxdec.errors import RunError
from dbxdec.model import places
from dbxdec.support import environment
from dbxdec.support.boundary import hint_of_full
from dbxdec.support.masking import hide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Doing = Literal["read", "write"]

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# delta-rs nests causes with arrows, and ends with a backtrace of its own.
_LINE_START = re.compile(r"^\s*(↳|\d+:.*|stack backtrace:.*)?\s*")
_WRAPPERS = re.compile(r"^(?:(?:Generic DeltaTable|External|Generic|Schema|Kernel) error: |Kernel error -> )+")
# What delta-rs calls columns of its own during a merge, in a list of names.
_INTERNAL = re.compile(r", (?:source\.|target\.)?__delta_rs_\w+")
_PASSWORD = re.compile(r"(\w://)[^/@\s]+@")
_SIGNED = re.compile(r"(\w://[^\s?]+)\?\S+")
_OVERFLOW = re.compile(r"Failed to cast (?P<name>.+?) from (?P<type>\w+) to UInt\d+: Can't cast value (?P<value>\d+)")

# Patterns of messages, since delta-rs has one type for most errors; the first match counts.
_KINDS: tuple[tuple[str, str, str], ...] = (
    (
        r"Permission denied|privileges|Forbidden\b|AccessDenied|Unauthori[sz]ed|\b40[13] ",
        "no permission to {doing} {uri}",
        "check the grants of the run's identity, and `storage_options` if it needs its own credentials",
    ),
    (
        r"NoSuchBucket|bucket does not exist|ContainerNotFound|container does not exist",
        "the bucket or container of {uri} does not exist",
        "check `base_path`",
    ),
    (
        r"169\.254\.169\.254|credential|Missing (AccessKey|Region|account)|Account must be specified",
        "no credentials were found for {uri}",
        "give them in `storage_options`, or run where the platform provides them",
    ),
    (
        r"error sending request|dns error|[Cc]onnect(ion)? (error|refused)|timed? ?out|Connection reset",
        "the storage of {uri} can't be reached",
        "check the address, the network and `storage_options`",
    ),
    (
        r"Unknown scheme: (?P<detail>[^.]*)",
        "the storage of {uri} is of a kind that delta-rs does not know",
        "use s3://, abfss://, gs:// or a local path",
    ),
    (
        r"Could not create local directory",
        "the folder {uri} can't be created",
        "check `base_path` and its permissions",
    ),
    (
        r"allow_unsafe_rename",
        "the storage of {uri} has no atomic rename, without which two writers could overwrite each other's commits",
        "mounts such as /Volumes, /dbfs and dbfs:/ lack it: use the cloud path (s3://, abfss://, gs://)",
    ),
    (
        r"Not a directory|Invalid table location: Path does not exist|File exists",
        "{uri} can't be a table, since there is a file where its folder should be",
        "check `base_path` and the table's name",
    ),
    (
        r"File name too long|KeyTooLong",
        "a partition value is too long for a folder's name in {uri}",
        "partition by a shorter column",
    ),
    (
        r"Cannot cast column '(?P<detail>[^']*)' from 'LargeList",
        "delta-rs can't read files of {uri} that were written before structs in a list got new fields",
        'write the whole table once (mode="overwrite"), or change it through Spark (SparkDeltaIoManager)',
    ),
    (
        r"Invalid data found",
        "rows of the result violate a rule of the table {uri}, such as a constraint or a column that must not be null",
        "filter or fix them in the task",
    ),
)
_DAMAGED = re.compile(r"Json error|found gap|No table metadata or protocol|Expected contiguous|EOF while parsing")
_BACKSLASH = r"\\" if os.sep == "/" else ""  # on Windows it is the separator
# Characters that are special in URLs; delta-rs encodes only some of them, and takes no control characters.
_ODD = re.compile(rf"[?\[\]|^\x00-\x1f\x7f{_BACKSLASH}]|%[0-9A-Fa-f]{{2}}")
# Those of them that it takes wrong in the working directory, too, below which a relative path is.
_ODD_ABOVE = re.compile(rf"[\[\]|^\x00-\x1f\x7f{_BACKSLASH}]|%[0-9A-Fa-f]{{2}}")
# Polars knows the home folder and this form of a URL, and delta-rs does not: files and log would lie apart.
_HALF = re.compile(r"~(?=/|$)|file:")
_FEATURE = re.compile(r"Feature '(?P<name>[^']+)' is not supported")
_UNEVALUATED = re.compile(r"Invalid function '|Unsupported ast node|sql parser error")
# Errors that another try of the same commit can't fix.
_HOPELESS = re.compile(r"append-only|able features")


def refuse_path(uri: str) -> None:
    """Raise RunError for a local path that delta-rs reads as another path, or whose log it loses."""
    if "://" in uri:
        return
    if odd := _ODD.findall(uri):
        root = environment.get(places.ROOT) or ""  # of a place that is elsewhere where the task is deployed
        in_root = _ODD.search(root) is not None and uri.startswith(f"{root}/")
        elsewhere = "move the project to a folder without such characters, or name one by `--root`"
        raise RunError(
            f"{uri} can't be a Delta table: delta-rs misreads {_listed(odd)} in a local path",
            hint=elsewhere if in_root else "give `base_path` and the table names without such characters",
        )
    if start := _HALF.match(uri):
        raise RunError(
            f"{uri} can't be a Delta table: Polars and delta-rs take {start[0]} for two different places",
            hint="give the path itself, such as /home/me/lake, or one relative to the folder of the run",
        )
    if (whole := places.absolute(uri)) != uri and (odd := _ODD_ABOVE.findall(whole)):
        raise RunError(
            f"{uri} can't be a Delta table in {whole.removesuffix(uri)}: delta-rs misreads {_listed(odd)} in its path",
            hint="move the project to a folder without such characters, or give `base_path` as a path elsewhere",
        )


def address(uri: str) -> str:
    """Return the place of a table as delta-rs takes it: in a path it takes `#` for the beginning of a fragment."""
    return uri if "#" not in uri or "://" in uri else Path(os.path.abspath(uri)).as_uri()


def _listed(odd: Iterable[str]) -> str:
    return " and ".join(one if one.isprintable() else repr(one) for one in sorted(set(odd)))


def said(error: BaseException) -> str:
    """Return the message of an error on one line, without colours and backtrace."""
    parts = []
    for line in _COLOURS.sub("", str(error)).splitlines():
        text = _LINE_START.sub("", line).strip()
        if re.match(r"\s*(\d+: |stack backtrace|at /|Help: )", line):
            break
        if text and text not in parts:
            parts.append(text)
    text = "".join(f"{part} " if part.endswith((".", "?")) else f"{part.rstrip(':')}: " for part in parts)
    text = hide(_INTERNAL.sub("", _WRAPPERS.sub("", text.removesuffix(" ").removesuffix(":"))))
    text = _SIGNED.sub(r"\1?...", _PASSWORD.sub(r"\1...@", text))
    return text if len(text) <= 300 else f"{text[:297]}..."


def refusal(uri: str, error: BaseException, doing: Doing, full_name: Callable[[str], str] = str) -> RunError | None:
    """Return the clear form of an error of delta-rs or its storage; None for any other error.

    delta-rs names a field without the column that it is in; `full_name` returns both.
    """
    text = str(error)
    if overflow := _OVERFLOW.search(text):
        return too_large(uri, full_name(overflow["name"]), overflow["value"], overflow["type"])
    if feature := _FEATURE.search(text):
        return unsupported(uri, [feature["name"]], doing, "delta-rs")
    if "catalog-managed" in text:
        return unsupported(uri, ["catalogManaged"], doing, "delta-rs")
    if doing == "write" and _HOPELESS.search(text):
        return RunError(
            f"delta-rs can't write {uri}: {said(error)}", hint="an append-only table takes only appends and inserts"
        )
    if (hint := hint_of_full(text)) is not None:
        return RunError(f"no space to {doing} {uri}: {said(error)}", hint=hint)
    for pattern, message, hint in _KINDS:
        if re.search(pattern, text):
            return RunError(f"{message.format(uri=uri, doing=doing)}: {said(error)}", hint=hint)
    if _DAMAGED.search(text):
        return RunError(
            f"the log of {uri} is damaged: {said(error)}",
            hint="restore the files of its _delta_log, or create the table again",
        )
    if type(error) is OSError and doing == "write":
        how = (
            "Delta needs an atomic rename or put-if-absent, which mounts such as /Volumes and /dbfs lack: use the "
            "cloud path (s3://, abfss://, gs://)"
        )
        return RunError(f"the storage of {uri} refused to write: {said(error)}", hint=how)
    if type(error) is OSError and "No such file" not in text:
        return RunError(
            f"the storage of {uri} refused to read: {said(error)}", hint="check the path and `storage_options`"
        )
    return None


def too_large(uri: str, column: str, value: object, kind: str) -> RunError:
    """Return the error of an unsigned integer that the signed type of its column can't hold."""
    return RunError(
        f"the column `{column}` has the value {value}, which the table {uri} can't hold in its {kind}: Delta has no "
        "unsigned integers",
        hint="cast the column in the task, to "
        + ("pl.Decimal(20, 0) or a string" if kind.endswith("64") else "a larger signed type, such as Int64"),
    )


def unsupported(uri: str, features: list[str], doing: Doing, who: str) -> RunError:
    """Return the error of a table with features that `who` can't read or write (Delta protocol, "Table Features")."""
    names = ", ".join(features)
    return RunError(
        f"the table {uri} has {'the feature' if len(features) == 1 else 'the features'} {names}, which {who} can't "
        f"{doing}",
        hint=f"{doing} it through Spark (SparkDeltaIoManager), or drop what the table does not need "
        "(ALTER TABLE ... DROP FEATURE)",
    )


@contextmanager
def reading(uri: str, version: int) -> Iterator[None]:
    """Raise an error in one sentence if Polars can't read the files of a table, or panics over a damaged one."""
    import polars as pl

    try:
        yield
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise refusal(uri, error, "read") or RunError(
            f"version {version} of {uri} can't be read: {said(error)}",
            hint="a file of the table is damaged, or has been removed by hand or by a vacuum: restore it, or write the "
            "table again",
        ) from error


@contextmanager
def refusals(uri: str, doing: Doing, full_name: Callable[[str], str] = str) -> Iterator[None]:
    """Raise refusals of delta-rs or its storage as a RunError; all other errors pass as they are."""
    from deltalake.exceptions import CommitFailedError, DeltaError

    try:
        yield
    except (DeltaError, OSError) as error:
        # Only OSError itself comes from the storage; its subclasses come from files of the task.
        if isinstance(error, OSError) and type(error) is not OSError:
            raise
        # A commit may fail because of another one: the caller knows what may be tried again.
        if isinstance(error, CommitFailedError) and not _HOPELESS.search(str(error)):
            raise
        found = refusal(uri, error, doing, full_name)
        if found is None:
            raise
        raise found from error


@contextmanager
def rules_of(uri: str) -> Iterator[None]:
    """Raise RunError for a constraint of a table that delta-rs can't evaluate: it is SQL of Spark."""
    from deltalake.exceptions import DeltaError

    try:
        yield
    except DeltaError as error:
        if not _UNEVALUATED.search(str(error)):
            raise
        raise RunError(
            f"delta-rs can't evaluate a rule of the table {uri}, which is SQL of Spark: {said(error)}",
            hint="write the table through Spark (SparkDeltaIoManager), or give it a constraint with functions that "
            "both know",
        ) from error
