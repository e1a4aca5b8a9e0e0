"""Programs of dbxdec on hostile files, hundreds of times: each call is a process of its own, forked from a warm one.

This module is the server too: `python forked.py` imports what programs import, and forks a child for each request.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import resource
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

SECONDS = 60
"""How long a call may take: ten times what the slowest of them takes on a busy machine."""
MEMORY = 2 * 2**30
_OURS = re.compile(r'File "[^"]*[/\\](?:hatch_)?dbxdec[/\\][^"]*\.py"')
_TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True)
class Outcome:
    """How a call ended, and what it said."""

    code: int
    out: str
    err: str
    seconds: float

    def finding(self) -> str | None:
        """What is wrong with it, whatever its input was; None where nothing is."""
        said = self.out + self.err
        if self.code not in (0, 1, 2):
            return f"it ended with {self.code}"
        if _TRACEBACK in said and _OURS.search(said):
            return "it ended in a traceback of dbxdec"
        return "it failed without a word" if self.code and not said.strip() else None

    def __str__(self) -> str:
        return f"exit code {self.code}\n{self.out[-2000:]}\n{self.err[-4000:]}"


class Forked:
    """The server, and calls to it."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def close(self) -> None:
        """End the server."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.stdout.close()
        self._server.wait()

    def dbxdec(self, folder: Path, *arguments: str, file_size: int | None = None, **environment: str) -> Outcome:
        """`dbxdec ...` in `folder`; `file_size` is the largest file that it may write."""
        return self._call("dbxdec", folder, arguments, environment, file_size)

    def dbxdec_run(self, folder: Path, *arguments: str, **environment: str) -> Outcome:
        """`dbxdec-run ...` in `folder`."""
        return self._call("dbxdec-run", folder, arguments, environment)

    def build(self, folder: Path, **environment: str) -> Outcome:
        """A build of the wheel by hatchling, its errors as they are."""
        return self._call("build", folder, (), environment)

    def resources(self, folder: Path, **environment: str) -> Outcome:
        """The bundle's Python resources: diagnostics as a line each, exit code 1 where one is an error."""
        return self._call("resources", folder, (), environment)

    def _call(
        self,
        program: str,
        folder: Path,
        arguments: tuple[str, ...],
        environment: dict[str, str],
        file_size: int | None = None,
    ) -> Outcome:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        request = {
            "program": program,
            "folder": str(folder),
            "arguments": arguments,
            "environment": environment,
            "file_size": file_size,
        }
        self._server.stdin.write(json.dumps(request).encode() + b"\n")
        self._server.stdin.flush()
        return Outcome(**json.loads(self._server.stdout.readline()))


def snapshot(folder: Path, *without: Path) -> dict[str, tuple[int, int]]:
    """All that is below `folder`, with sizes and times of changes, but for what is below `without`."""
    found = {}
    for path in folder.rglob("*"):
        if not any(path == other or path.is_relative_to(other) for other in without):
            stat = path.lstat()
            found[str(path)] = (stat.st_size if not path.is_dir() else 0, stat.st_mtime_ns)
    return found


# The server.

_MODULES = (
    *("databricks.bundles.jobs", "hatchling.builders.wheel", "jinja2", "rich.console", "rich.live", "rich.table"),
    *("yaml", "dbxdec.bundle", "dbxdec.build.codegen.check", "dbxdec.local.report", "dbxdec.runtime.preparing"),
    *("dbxdec.build.tree", "dbxdec.cli.app", "dbxdec.cli.display", "dbxdec.scaffold.plan", "dbxdec.build.rebuild"),
    *(f"dbxdec.cli.{name}" for name in ("bundle", "check", "diff", "graph", "init", "run", "runs", "show")),
)


def main() -> None:
    """Serve until the client ends."""
    for name in _MODULES:
        import_module(name)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        began = time.monotonic()
        streams = [os.pipe(), os.pipe()]
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = _child(request, [write for _, write in streams])
            finally:
                os._exit(code)
        for _, write in streams:
            os.close(write)
        code, (out, err) = _follow(child, [read for read, _ in streams], began)
        answer = {"code": code, "out": out, "err": err, "seconds": time.monotonic() - began}
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()


def _follow(child: int, streams: list[int], began: float) -> tuple[int, list[str]]:
    """The child's exit code, and what it has written; what it has started may hold its streams for longer."""
    said = dict.fromkeys(streams, b"")
    status: int | None = None
    while status is None:
        found, ended = os.waitpid(child, os.WNOHANG)
        status = ended if found else None
        if status is None and time.monotonic() - began > SECONDS:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
        _read(said, 0.005 if status is None else 0)
    while _read(said, 0):
        pass
    for stream in streams:
        os.close(stream)
    return os.waitstatus_to_exitcode(status), [text.decode("utf-8", "replace") for text in said.values()]


def _read(said: dict[int, bytes], seconds: float) -> bool:
    """Read what there is; whether there was something."""
    ready, _, _ = select.select(list(said), [], [], seconds)
    chunks = {stream: os.read(stream, 65_536) for stream in ready}
    if ready and not any(chunks.values()):
        time.sleep(seconds)  # at its end
    for stream, chunk in chunks.items():
        said[stream] += chunk
    return any(chunks.values())


def _child(request: dict[str, Any], streams: list[int]) -> int:
    os.setpgid(0, 0)
    if os.geteuid() == 0:
        _obey_permissions()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    if request["file_size"] is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    for number, stream in zip((1, 2), streams, strict=True):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "DBXDEC_", "DATABRICKS_"))]:
        del os.environ[name]
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    if request["file_size"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_size"], request["file_size"]))
    code = 0
    try:
        code = _PROGRAMS[request["program"]](request["arguments"]) or 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001 - as the interpreter would end
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _obey_permissions() -> None:
    """Have permissions of files count for root too, here and in what is started (capabilities(7))."""
    libc = ctypes.CDLL(None, use_errno=True)
    override, read_search = 1, 2
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    libc.capget(header, data)
    for i in range(3):
        data[i] &= ~(1 << override | 1 << read_search) & 0xFFFFFFFF
    for capability in (override, read_search):
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
    if libc.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _dbxdec(arguments: list[str]) -> None:
    from dbxdec.cli import main

    sys.argv[:] = ["dbxdec", *arguments]
    main()


def _dbxdec_run(arguments: list[str]) -> None:
    from dbxdec.runtime import main

    sys.argv[:] = ["dbxdec-run", *arguments]
    main()


def _build(_: list[str]) -> None:
    from hatchling.builders.wheel import WheelBuilder

    list(WheelBuilder(os.getcwd()).build(directory="dist", versions=["standard"]))


def _resources(_: list[str]) -> int:
    from dbxdec.bundle import load_resources

    items = load_resources().diagnostics.items
    for item in items:
        place = f"{item.location.file}:{item.location.line}: " if item.location else ""
        print(f"{item.severity.value}: {place}{item.summary}\n{item.detail or ''}")
    return int(any(item.severity.value == "error" for item in items))


_PROGRAMS: dict[str, Callable[[list[str]], int | None]] = {
    "dbxdec": _dbxdec,
    "dbxdec-run": _dbxdec_run,
    "build": _build,
    "resources": _resources,
}

if __name__ == "__main__":
    main()
