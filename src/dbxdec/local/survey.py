"""A process that asks the tables of a job which keys they have.

It reads one request from stdin, imports the module that defines the job, and no other module of the project. It writes
what it found to the file that the request names.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from dbxdec.model import protocol
from dbxdec.runtime.survey import answer
from dbxdec.support import files, streams

if TYPE_CHECKING:
    from collections.abc import Sequence


def main() -> None:
    """Answer the one request: the last key of each parameter that the code wants, and what each table has."""
    streams.make_safe()
    request = json.load(sys.stdin)
    arguments = protocol.parse(request["arguments"])
    files.replace(request["result"], json.dumps(answer(arguments, request["outputs"])).encode())


def asked_for(outputs: Sequence[tuple[str, str]], arguments: Sequence[str], result: str) -> bytes:
    """Return a request of this process."""
    return json.dumps({"arguments": list(arguments), "outputs": list(outputs), "result": result}).encode()


if __name__ == "__main__":
    main()
