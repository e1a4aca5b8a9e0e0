"""A process that asks the tables of a job which keys they have, or notes keys in their logs.

It reads one request from stdin, imports the module that defines the job, and no other module of the project. It writes
what it found to the file that the request names.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from dbxdec.model import protocol
from dbxdec.runtime.marking import Change, changed, request_form
from dbxdec.runtime.survey import answer
from dbxdec.support import files, streams

if TYPE_CHECKING:
    from collections.abc import Sequence


def main() -> None:
    """Answer the one request: what each table has, or with a `change` what has been changed."""
    streams.make_safe()
    request = json.load(sys.stdin)
    arguments = protocol.parse(request["arguments"])
    outputs, change = request["outputs"], request["change"]
    found = answer(arguments, outputs) if change is None else changed(arguments, outputs, Change(**change))
    files.replace(request["result"], json.dumps(found).encode())


def asked_for(
    outputs: Sequence[tuple[str, str]], arguments: Sequence[str], result: str, change: Change | None
) -> bytes:
    """Return a request of this process."""
    form = None if change is None else request_form(change)
    request = {"arguments": list(arguments), "outputs": list(outputs), "result": result, "change": form}
    return json.dumps(request).encode()


if __name__ == "__main__":
    main()
