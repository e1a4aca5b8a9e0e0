"""A process that asks the tables of a job which keys they have.

It reads one request from stdin, imports the module that defines the job, and no other module of the project. It writes
what it found to the file that the request names.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from dbxdec.model import protocol, variables
from dbxdec.runtime import bodies
from dbxdec.runtime.absent import stand_in_for_bundles
from dbxdec.runtime.installed import find_manifest
from dbxdec.runtime.key_tables import keys_of
from dbxdec.support import files, streams

if TYPE_CHECKING:
    from collections.abc import Sequence


def main() -> None:
    """Answer the one request: the last key of each parameter that the code wants, and what each table has."""
    streams.make_safe()
    request = json.load(sys.stdin)
    arguments = protocol.parse(request["arguments"])
    job = find_manifest(arguments.package).job(arguments.job)
    stand_in_for_bundles()
    with variables.using(arguments.variables):
        built = bodies.live(job)
    until = {p.name: p.key.until for p in built.dag.parameters if p.key is not None and p.key.is_period}
    with variables.using(arguments.variables, live=True):
        tables = [
            keys_of(job.key, job.task(task), output, built.managers[task, output])
            for task, output in request["outputs"]
        ]
        wanted = {name: variables.resolve(text) for name, text in until.items() if text is not None}
    files.replace(request["result"], json.dumps({"until": wanted, "tables": tables}).encode())


def asked_for(outputs: Sequence[tuple[str, str]], arguments: Sequence[str], result: str) -> bytes:
    """Return a request of this process."""
    return json.dumps({"arguments": list(arguments), "outputs": list(outputs), "result": result}).encode()


if __name__ == "__main__":
    main()
