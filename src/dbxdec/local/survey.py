"""A process that asks the tables of a job which keys they have.

It reads one request from stdin, imports the module that defines the job, and no other module of the project. It writes
what it found to the file that the request names.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dbxdec.errors import DbxdecError
from dbxdec.model import places, protocol, variables
from dbxdec.runtime import bodies
from dbxdec.runtime.absent import stand_in_for_bundles
from dbxdec.runtime.installed import find_manifest
from dbxdec.support import files, streams
from dbxdec.support.masking import Mask, of_this_machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbxdec.io_managers.base import IoManager


def main() -> None:
    """Answer the one request."""
    streams.make_safe()
    request = json.load(sys.stdin)
    arguments = protocol.parse(request["arguments"])
    job = find_manifest(arguments.package).job(arguments.job)
    stand_in_for_bundles()
    with variables.using(arguments.variables):
        built = bodies.live(job)
    until = {p.name: p.key.until for p in built.dag.parameters if p.key is not None and p.key.is_period}
    found = []
    with variables.using(arguments.variables, live=True):
        for task, output in request["outputs"]:
            uri = places.resolved(job.task(task).outputs[output].target or "")
            found.append(_asked(built.managers[task, output], uri))
        until = {name: variables.resolve(text) for name, text in until.items() if text is not None}
    files.replace(request["result"], json.dumps({"until": until, "tables": found}).encode())


def _asked(manager: IoManager, uri: str) -> dict[str, Any]:
    """Return the writes with keys that a table has, or why they can't be told."""
    mask = Mask(of_this_machine())
    try:
        log = manager.key_log(uri)  # type: ignore[attr-defined]  # the request names only Delta tables
    except DbxdecError as error:
        return {"uri": uri, "why": mask.text(str(error.problems[0].message))}
    except Exception as error:  # noqa: BLE001 - of a library: one table costs no other
        return {"uri": uri, "why": mask.text(f"{type(error).__name__}: {error}".splitlines()[0])}
    if log is None:
        return {"uri": uri, "writes": []}
    return {"uri": uri, "writes": list(map(asdict, log.standing())), "created": log.created}


def asked_for(outputs: Sequence[tuple[str, str]], arguments: Sequence[str], result: str) -> bytes:
    """Return a request of this process."""
    return json.dumps({"arguments": list(arguments), "outputs": list(outputs), "result": result}).encode()


if __name__ == "__main__":
    main()
