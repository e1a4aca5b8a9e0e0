"""A process that asks the tables of a job which keys they have, or how far its tasks have read; or it notes keys.

It reads one request from stdin, imports the module that defines the job, and no other module of the project. It writes
what it found to the file that the request names.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from dbxdec.model import places, protocol
from dbxdec.runtime.marking import Change, changed
from dbxdec.runtime.survey import answer
from dbxdec.support import environment, files, streams

if TYPE_CHECKING:
    from collections.abc import Mapping


def main() -> None:
    """Answer the one request: what each table has, or with a `change` what has been changed."""
    streams.make_safe()
    request = json.load(sys.stdin)
    with environment.kept(), places.kept():
        found = _answer(request)
    files.replace(request["result"], json.dumps(found).encode())


def _answer(request: Mapping[str, Any]) -> dict[str, Any]:
    arguments = protocol.parse(request["arguments"])
    outputs, change = request["outputs"], request["change"]
    if outputs is None:
        from dbxdec.runtime.lagging import lags

        return lags(arguments)
    if request["expects"]:
        from dbxdec.runtime.expecting import outcomes

        return outcomes(arguments, outputs)
    return answer(arguments, outputs) if change is None else changed(arguments, outputs, Change(**change))


if __name__ == "__main__":
    main()
