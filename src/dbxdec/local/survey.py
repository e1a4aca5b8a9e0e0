"""A process that asks the tables of a job which keys they have, or how far its tasks have read; or it notes keys.

It reads one request from stdin, imports the module that defines the job, and no other module of the project. It writes
what it found to the file that the request names.
"""

from __future__ import annotations

import json
import sys

from dbxdec.model import protocol
from dbxdec.runtime.marking import Change, changed
from dbxdec.runtime.survey import answer
from dbxdec.support import files, streams


def main() -> None:
    """Answer the one request: what each table has, or with a `change` what has been changed."""
    streams.make_safe()
    request = json.load(sys.stdin)
    arguments = protocol.parse(request["arguments"])
    outputs, change = request["outputs"], request["change"]
    if outputs is None:
        from dbxdec.runtime.lagging import lags

        found = lags(arguments)
    elif request["expects"]:
        from dbxdec.runtime.expecting import outcomes

        found = outcomes(arguments, outputs)
    else:
        found = answer(arguments, outputs) if change is None else changed(arguments, outputs, Change(**change))
    files.replace(request["result"], json.dumps(found).encode())


if __name__ == "__main__":
    main()
