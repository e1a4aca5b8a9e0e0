"""The command in a terminal of its own, and a project with a run."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Iterator

from projects import Project
from running import DBXDEC, dbxdec


def completed(project: Project, line: str) -> set[str]:
    """What bash offers at the end of `line`."""
    words = line.split(" ")
    said = dbxdec(project, _DBXDEC_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1))
    assert said.code == 0, said
    return {text.partition(",")[2] for text in said.out.split()}


def in_a_terminal(project: Project, *arguments: str, **environment: str) -> tuple[int, str]:
    """What a command shows in a terminal of 100 columns, and its exit code."""
    ours, theirs = pty.openpty()
    base = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    given = {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40", **environment}
    process = subprocess.Popen(
        [*DBXDEC, *arguments], cwd=project.root, stdout=theirs, stderr=theirs, stdin=theirs, env=base | given
    )
    os.close(theirs)
    shown = b"".join(_until_closed(ours))
    os.close(ours)
    return process.wait(60), shown.decode()


def _until_closed(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(terminal, 65_536)
        except OSError:  # Linux says so when nobody holds the other end
            return
        if not chunk:
            return
        yield chunk
