"""The question which keys the tables of a job have, answered by a process here, or by a task on the platform.

The platform keeps what a task prints. The answer is there as lines, since it cuts long ones and mixes those of streams:

    dbxdec-keys 1/2 eJyr...     a part of the answer: JSON, compressed, in base64
"""

from __future__ import annotations

import base64
import json
import re
import sys
import zlib
from typing import TYPE_CHECKING, Any

from dbxdec.model import protocol, required, variables
from dbxdec.runtime import bodies
from dbxdec.runtime.absent import stand_in_for_bundles
from dbxdec.runtime.installed import find_manifest
from dbxdec.runtime.key_tables import keys_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbxdec.authoring.jobs import BuiltJob
    from dbxdec.model import dag
    from dbxdec.model.protocol import RunArguments

_LINE = 4_000
_PART = re.compile(rf"{protocol.KEYS} (\d+)/(\d+) ([A-Za-z0-9+/=]+)")
_LARGEST = 256 * 1024 * 1024


def answer(arguments: RunArguments, outputs: Sequence[tuple[str, str]] | None = None) -> dict[str, Any]:
    """Return the last key of each parameter that the code wants (`until`), and what each table has (`tables`).

    `outputs` are tasks and their outputs; without them it is all that a run must write.
    """
    job, built = live_job(arguments)
    until = {p.name: p.key.until for p in built.dag.parameters if p.key is not None and p.key.is_period}
    asked = outputs if outputs is not None else [(task.key, output) for task, output, _ in required.tables(job)]
    with variables.using(arguments.variables, live=True):
        tables = [{**_keys_of(job, built, task, output), "task": task, "output": output} for task, output in asked]
        wanted = {name: variables.resolve(text) for name, text in until.items() if text is not None}
    return {"until": wanted, "tables": tables}


def _keys_of(job: dag.Job, built: BuiltJob, task: str, output: str) -> dict[str, Any]:
    # The manifest does not say which results may be None; the code does.
    of_code = built.dag.task(task).outputs[output]
    manager = built.managers[task, output]
    return keys_of(job, job.task(task), output, manager, may_be_none=of_code.may_be_none)


def live_job(arguments: RunArguments) -> tuple[dag.Job, BuiltJob]:
    """Return the job as the manifest has it, and with the managers of its code."""
    job = find_manifest(arguments.package).job(arguments.job)
    stand_in_for_bundles()
    with variables.using(arguments.variables):
        return job, bodies.live(job)


def tell(argv: Sequence[str]) -> None:
    """Print the answer for whoever has started this task to ask."""
    for line in lines(answer(protocol.parse(argv))):
        print(line, file=sys.stdout, flush=True)


def lines(answer: dict[str, Any]) -> list[str]:
    """Return an answer as lines."""
    text = base64.b64encode(zlib.compress(json.dumps(answer).encode())).decode()
    parts = [text[i : i + _LINE] for i in range(0, len(text), _LINE)]
    return [f"{protocol.KEYS} {number}/{len(parts)} {part}" for number, part in enumerate(parts, 1)]


def read(printed: str) -> dict[str, Any] | None:
    """Return the answer in what a task has printed; None if a part of it is missing."""
    found = {int(number): (int(count), part) for number, count, part in _PART.findall(printed)}
    if not found or found.keys() != set(range(1, found[max(found)][0] + 1)):
        return None
    try:
        packed = base64.b64decode("".join(found[number][1] for number in sorted(found)), validate=True)
        whole = zlib.decompressobj().decompress(packed, _LARGEST)
        document = json.loads(whole)
    except (ValueError, zlib.error, RecursionError):
        return None
    return document if isinstance(document, dict) else None
