"""The command in a terminal of its own, and a project with a run."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

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
    return shown_in_a_terminal([*DBXDEC, *arguments], project.root, os.environ | environment)


def shown_in_a_terminal(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], columns: int = 100
) -> tuple[int, str]:
    """What a command in `folder` shows in a terminal, with all its control sequences, and its exit code."""
    ours, theirs = pty.openpty()
    inherited = {
        name: os.environ.get(name) for name in ("NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS", "LINES")
    }  # those of the tests themselves
    base = {name: value for name, value in environment.items() if name not in inherited or value != inherited[name]}
    given = {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "40"}
    process = subprocess.Popen(command, cwd=folder, stdout=theirs, stderr=theirs, stdin=theirs, env=given | base)
    os.close(theirs)
    shown = b"".join(_until_closed(ours))
    os.close(ours)
    return process.wait(60), shown.decode()


class Terminal:
    """A command in a terminal that is its own, so that Ctrl-C reaches it."""

    def __init__(self, project: Project, *arguments: str) -> None:
        self.shown = ""
        command = [*DBXDEC, *arguments]
        self._process, self._ours = pty.fork()
        if self._process == 0:
            os.chdir(project.root)
            os.execve(command[0], command, os.environ | {"TERM": "xterm-256color", "COLUMNS": "100"})  # noqa: S606 - ours

    def wait_for(self, text: str) -> None:
        """Until the command has shown `text`."""
        while text not in self.shown:
            assert select.select([self._ours], [], [], _LONGEST_S)[0], f"{text!r} has not come: {self.shown}"
            chunk = next(_until_closed(self._ours), b"")
            assert chunk, f"{text!r} has not come: {self.shown}"
            self.shown += chunk.decode()

    def interrupt(self, until: str) -> None:
        """Press Ctrl-C until the command has shown `until`.

        Python does not see one that comes between a question and the read of its answer.
        """
        end = time.monotonic() + _LONGEST_S
        while until not in self.shown:
            assert time.monotonic() < end, f"{until!r} has not come: {self.shown}"
            self.type(CTRL_C)
            while until not in self.shown and select.select([self._ours], [], [], 2)[0]:
                chunk = next(_until_closed(self._ours), b"")
                assert chunk, f"{until!r} has not come: {self.shown}"
                self.shown += chunk.decode()

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def ended(self) -> int:
        """The exit code of the command, which ends by itself."""
        # Ctrl-C has a terminal drop what it has not shown yet, also in the middle of a character.
        self.shown += b"".join(_until_closed(self._ours)).decode(errors="replace")
        os.close(self._ours)
        return os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])


CTRL_C = "\x03"
_LONGEST_S = 60


def _until_closed(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(terminal, 65_536)
        except OSError:  # Linux says so when nobody holds the other end
            return
        if not chunk:
            return
        yield chunk


def remains(shown: str) -> str:
    """What is left on a screen wide enough for each line, without colours, when what moves on it has gone."""
    lines, row, column = [""], 0, 0
    for found in re.finditer(r"\x1b\[(?P<number>[?\d;]*)(?P<letter>[A-Za-z])|[\r\n]|[^\x1b\r\n]+", shown):
        match found["letter"], found[0]:
            case "A", _:
                row -= int(found["number"] or 1)
            case "K", _:
                lines[row] = ""
            case None, "\r":
                column = 0
            case None, "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            case None, text:
                lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
                column += len(text)
    return "".join(f"{line.rstrip()}\n" for line in lines).rstrip("\n") + "\n"
