"""One summary line for each read and write, also as data if a local run asks for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

from dbxdec.errors import counted
from dbxdec.io_managers.base import log
from dbxdec.io_managers.frames import facts as frames
from dbxdec.support import boundary, environment, masking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbxdec.model.literals import Json

FILE = "DBXDEC_RECORD"
"""The environment variable that names the file to which a task appends one JSON document per line."""


class Facts(Protocol):
    """The facts that a manager knows about a read or a write."""

    @property
    def version(self) -> int | None: ...
    @property
    def rows(self) -> int | None: ...
    @property
    def note(self) -> str: ...


def note(kind: str, name: str, uri: str, facts: Facts, value: Any, seconds: float) -> None:
    """Log a read or a write. `kind` is "read" or "write"; `name` is the parameter or the task."""
    rows = facts.rows if facts.rows is not None else getattr(value, "height", None)
    rows = rows if isinstance(rows, int) else frames.rows(value)
    words = [uri]
    words += [f"version {facts.version}"] if facts.version is not None else []
    words += [counted(rows, "row")] if rows is not None else []
    words += [facts.note] if facts.note else []
    log.info("%s %s: %s (%.2f s)", kind, name, ", ".join(words), seconds)
    _append(
        {
            "kind": kind,
            "name": name,
            "uri": uri,
            "version": facts.version,
            "rows": rows,
            "seconds": round(seconds, 3),
            **({"span": facts.note} if kind == "read" and facts.note else {}),
            **({"expect": dict(told)} if (told := getattr(facts, "expectations", None)) else {}),
        },
        value,
    )


def note_refused(name: str, uri: str, expectations: Mapping[str, Any]) -> None:
    """Record a write whose rows are not what the table expects; its numbers are in the log already."""
    _append({"kind": "refused", "name": name, "uri": uri, "expect": dict(expectations)}, None)


def note_value(task: str, form: Json) -> None:
    """Log a task value that is a task's result."""
    text = masking.hide(json.dumps(form, ensure_ascii=False))[:200]
    log.info("write %s: task value %s", task, text)
    _append({"kind": "write", "name": task, "value": text}, None)


def _append(document: dict[str, Any], value: Any) -> None:
    path = environment.given(FILE)
    if not path:
        return
    columns = _columns(value)
    document = {name: masking.hide(value) if isinstance(value, str) else value for name, value in document.items()}
    line = json.dumps({**document, **({"columns": masking.hide_data(columns)} if columns else {})})
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{line}\n")
    except OSError as error:
        raise boundary.failed(f"this {document['kind']} can't be recorded", path, error) from None


def _columns(value: Any) -> list[list[str]]:
    """Return the names and types of a frame's columns, if they are known without running it."""
    try:
        if (found := frames.columns(value)) is not None:
            return [[str(name), str(kind)] for name, kind in found]
        if (collect := getattr(value, "collect_schema", None)) is not None:
            return [[str(name), str(kind)] for name, kind in collect().items()]  # Polars
        if isinstance(dtypes := getattr(value, "dtypes", None), list) and all(isinstance(d, tuple) for d in dtypes):
            return [[str(name), str(kind)] for name, kind in dtypes]  # Spark
    except Exception as error:  # noqa: BLE001 - a wrong query raises its own error when it is used
        log.debug("the columns of a %s are unknown: %s", type(value).__name__, error)
    return []
