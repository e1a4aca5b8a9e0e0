"""A process that reads the first rows of stored results of a run, as a downstream task would read them.

It reads one request from stdin, imports the module that defines the job, and no other module of the project. It writes
the rows to the file that the request names.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.model import dag, places, protocol
from dbxdec.runtime import preparing
from dbxdec.runtime.survey import live_job
from dbxdec.support import environment, files, streams
from dbxdec.support.boundary import said
from dbxdec.support.masking import Mask, of_this_machine

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST = 500
"""Characters of a cell that are shown."""


def main() -> None:
    """Answer the one request: for each output the columns and the first rows, or why they can't be shown."""
    streams.make_safe()
    request = json.load(sys.stdin)
    with environment.kept(), places.kept():
        found = _read_all(request["arguments"], request["outputs"], request["rows"])
    files.replace(request["result"], json.dumps(found).encode())


def _read_all(argv: Sequence[str], outputs: Sequence[Sequence[str]], rows: int) -> list[dict[str, Any]]:
    arguments = protocol.parse(argv)
    job, built = live_job(arguments)
    values = preparing.typed_parameters(job, arguments.parameters, arguments.variables, preparing.trigger_of(arguments))
    mask, found = Mask(of_this_machine()), []
    for key, output in outputs:
        reader = replace(job.task(key), inputs={"value": dag.TaskOutput(key, output)}, outputs={}, each=None)
        ready = preparing.ready(replace(arguments, task=key), job, reader, built, values, {})
        try:
            with ready.environment():
                (value,), _ = replace(ready, function=_given).read()
                table = {name: mask.results(part) for name, part in _table(value, rows).items()}
        except Exception as error:  # noqa: BLE001 - one table costs no other
            table = {"why": said(error)}
        found.append({"task": key, "output": output, **_short(table)})
    return found


def _given(value: Any) -> Any:
    """Return the value that a downstream task would get."""
    return value


def _table(value: Any, rows: int) -> dict[str, Any]:
    """Return the columns and rows of a frame of any library; any other value is one cell."""
    kind = type(value).__module__.partition(".")[0]
    if kind == "polars" and hasattr(value, "head"):
        head = value.head(rows)
        head = head.collect() if hasattr(head, "collect") else head
        if hasattr(head, "columns"):
            return _of(head.columns, head.rows())
    if kind == "pyspark" and hasattr(value, "limit"):
        return _of(value.columns, value.limit(rows).collect())
    if kind == "pandas" and hasattr(value, "head"):
        return _of(list(value.columns), value.head(rows).itertuples(index=False))
    return _of(["value"], [[value]])


def _of(columns: Sequence[Any], rows: Any) -> dict[str, Any]:
    return {"columns": [str(name) for name in columns], "rows": [[_cell(cell) for cell in row] for row in rows]}


def _cell(value: Any) -> Any:
    """Return a value as JSON when JSON has it, else as a string."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return str(value)


def _short(table: dict[str, Any]) -> dict[str, Any]:
    """Cut off long strings, now that no secret can be cut in the middle."""
    if "rows" not in table:
        return table
    rows = [[_cut(cell) if isinstance(cell, str) else cell for cell in row] for row in table["rows"]]
    return {**table, "rows": rows}


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


if __name__ == "__main__":
    main()
