"""Warm worker processes: started when needed, used for one task after another, replaced when one of them dies."""

from __future__ import annotations

import json
import os
import queue
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.local.outlets import CLOSED, LAST
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from pathlib import Path

_LOOK_UP_S = 0.05
GRACE_S = 10.0
"""The seconds that a task may take to end once it has been interrupted."""

_LAST_S = 5.0
"""The seconds that a process may take to end once its output has ended."""


@dataclass(frozen=True)
class Ended:
    """The end of a request: the exit code, or what killed its process; `timed_out` and `stopped`: the pool ended it."""

    code: int | None
    signal: int | None = None
    timed_out: bool = False
    stopped: bool = False
    vanished: bool = False
    """The process ended before it could say how the task did."""
    unready: bool = False
    """The process ended before it could take a task."""
    cut_off: bool = False
    """The process has closed its output, and so could not say how the task did."""

    @property
    def well(self) -> bool:
        return self.code == 0 and not (self.timed_out or self.stopped or self.vanished)

    def died(self) -> str | None:
        """Return a message about a process that has ended without output."""
        if self.timed_out or self.stopped:
            return None
        if self.cut_off:
            return "the task closed all files of its process, so that its end can't be known: the process is ended"
        what = "a process for tasks" if self.unready else "the task's process"
        if self.signal is not None:
            known = {int(number): number.name for number in signal.Signals}
            name = known.get(self.signal, str(self.signal))
            why = "; the system does that where memory runs out" if name == "SIGKILL" else ""
            return f"{what} was killed by {name}{why}"
        if self.unready:
            return f"a process for tasks could not start: it ended with exit code {self.code}"
        return f"the task ended its own process, with exit code {self.code}" if self.vanished else None


class Pool:
    """At most `size` workers at once, each started with `environment` in `folder`.

    `packages` are the top-level packages of the pipeline, and `places` the beginnings of the paths of its modules: each
    task imports these anew. Where the pool serves several runs, each worker keeps the open files `inherited` as long as
    it lives; the path of one of them is `shared`.
    """

    def __init__(
        self,
        size: int,
        *,
        folder: str,
        environment: Mapping[str, str],
        packages: Sequence[str],
        places: Sequence[str] = (),
        shared: Path | None = None,
        inherited: Sequence[int] = (),
    ) -> None:
        self._slots = threading.Semaphore(size)
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()
        self._folder, self._environment = folder, dict(environment)
        self._anew = {"packages": list(packages), "places": list(places)}
        self._orders = _Orders()
        self.shared = shared
        self._inherited = tuple(inherited)

    @property
    def stopping(self) -> bool:
        return self._orders.stop

    @contextmanager
    def inheriting(self, descriptor: int) -> Iterator[None]:
        """Have each worker that is started in the block keep this open file as long as it lives."""
        if self.shared is not None:  # they have another one
            yield
            return
        self._inherited = (descriptor,)
        try:
            yield
        finally:
            self._inherited = ()

    def run(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        started: Callable[[], object],
        printed: Callable[[str], object],
        timeout: float = 0,
        command: str | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Ended:
        """Run `dbxdec-run` with `arguments`, or else a shell command, once a slot is free.

        `started` is called when a process is ready for it, which may be never; `timeout` is in seconds from then on, 0
        for none. `cancelled` is called now and then; when it returns True, the task is stopped.
        """
        with self._slots:
            if self.stopping or cancelled():
                return Ended(None, stopped=True)
            watch = _Watch(self._orders, cancelled)
            worker = self._take()
            if (ended := worker.wait_until_ready(printed, watch)) is None:
                started()
                watch.is_ready = True
                watch.deadline = time.monotonic() + timeout if timeout else None
                request = {"arguments": [*arguments], "environment": {**environment}, **self._anew}
                ended = worker.run({**request, "command": command}, printed, watch)
            if worker.alive:
                with self._lock:
                    self._idle.append(worker)
            return ended

    def wait(self, seconds: float) -> None:
        """Wait; return at once when tasks are to be stopped."""
        end = time.monotonic() + seconds
        while not self.stopping and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_UP_S))

    def stop(self) -> None:
        """Interrupt all tasks, and start no more; kill those that do not end within `GRACE_S`."""
        self._orders.stop = True

    def kill(self) -> None:
        """Kill all tasks at once."""
        self._orders.stop = self._orders.kill = True

    def close(self) -> None:
        """End the idle workers; kill those that do not end within `GRACE_S`."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.dismiss()
        end = time.monotonic() + GRACE_S
        for worker in idle:
            worker.join(0 if self._orders.kill else max(0.0, end - time.monotonic()))

    def _take(self) -> _Worker:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.alive:
                    return worker
        return _Worker(self._folder, self._environment, self._inherited)


@contextmanager
def interruptible(pool: Pool) -> Iterator[None]:
    """Have Ctrl-C and a signal to terminate stop the tasks of `pool`; the second signal kills them at once."""

    def interrupt(*_: object) -> None:
        (pool.kill if pool.stopping else pool.stop)()

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass()
class _Orders:
    """The orders for all tasks. No locks: the handler of a signal may give orders in the middle of anything."""

    stop: bool = False
    kill: bool = False


@dataclass()
class _Watch:
    """The time when a task has to be stopped, and the steps taken so far."""

    orders: _Orders
    cancelled: Callable[[], bool]
    deadline: float | None = None
    is_ready: bool = False
    """Before it is, the process runs nothing that could want to end well."""
    told_at: float | None = None
    timed_out: bool = False
    stopped: bool = False

    def look(self, process: subprocess.Popen[bytes]) -> None:
        """Interrupt or kill the process when it is time to."""
        now = time.monotonic()
        if self.deadline is not None and now > self.deadline and not self.timed_out:
            self.timed_out = True
            _signal(process, kill=True)
        if self.told_at is None and (self.orders.stop or self.cancelled()):
            self.stopped, self.told_at = True, now
            _signal(process, kill=not self.is_ready)
        if self.told_at is not None and (self.orders.kill or now > self.told_at + GRACE_S):
            _signal(process, kill=True)


def _signal(process: subprocess.Popen[bytes], *, kill: bool) -> None:
    """Send a signal to the process and all processes that it has started."""
    with suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill() if kill else process.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            os.killpg(process.pid, signal.SIGKILL if kill else signal.SIGINT)


class _Output:
    """The lines of a process, read by a thread, so that their reader can look at the clock in between."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(None)

    def next(self, watch: _Watch) -> bytes | None:
        """Return the next line; None when the process has ended, even if its child process still holds its output."""
        while True:
            watch.look(self._process)
            ended = self._process.poll() is not None
            with suppress(queue.Empty):
                return self._lines.get(timeout=_LOOK_UP_S)
            if ended:
                return None


def _start(
    folder: str, environment: Mapping[str, str], token: str, inherited: Sequence[int]
) -> subprocess.Popen[bytes]:
    new_group: dict[str, Any] = {"creationflags": 0x200} if sys.platform == "win32" else {"start_new_session": True}
    kept = () if sys.platform == "win32" else inherited
    process: subprocess.Popen[bytes] = subprocess.Popen(
        # Files and names are UTF-8 there, as on the platform, whatever the settings of this machine are.
        [sys.executable, "-P", "-X", "utf8", "-X", "faulthandler", "-m", "dbxdec.local.worker", token, *map(str, kept)],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=kept,
        **new_group,
    )
    return process


def _ended(process: subprocess.Popen[bytes], watch: _Watch) -> Ended:
    code = process.wait()
    _signal(process, kill=True)  # processes that it has started and left
    by = -code if code < 0 else None
    return Ended(None if by else code, by, watch.timed_out, watch.stopped)


def _ends_by_itself(process: subprocess.Popen[bytes], watch: _Watch) -> bool:
    """Return whether a process whose output has ended ends, too, before somebody makes it end."""
    end = time.monotonic() + _LAST_S
    while process.poll() is None and time.monotonic() < end:
        watch.look(process)
        time.sleep(_LOOK_UP_S)
    return process.poll() is not None


def _text(line: bytes) -> str:
    return line.decode("utf-8", "backslashreplace").rstrip("\r\n")


class _Worker:
    """One warm process."""

    def __init__(self, folder: str, environment: Mapping[str, str], inherited: Sequence[int]) -> None:
        self._ready = secrets.token_hex(16)
        self._is_ready = False
        self._process = _start(folder, environment, self._ready, inherited)
        self._output = _Output(self._process)
        self.alive = True

    def wait_until_ready(self, printed: Callable[[str], object], watch: _Watch) -> Ended | None:
        """Wait for a fresh process to take requests; return its end when it does not become ready."""
        if self._is_ready:
            return None
        ended = self._until(self._ready, printed, watch)
        self._is_ready = not ended.vanished
        return None if self._is_ready else replace(ended, unready=True)

    def run(self, request: Mapping[str, Any], printed: Callable[[str], object], watch: _Watch) -> Ended:
        token = secrets.token_hex(16)
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        with suppress(OSError):  # it has died: the end of its output tells
            self._process.stdin.write(json.dumps({**request, "token": token}).encode() + b"\n")
            self._process.stdin.flush()
        return self._until(token, printed, watch)

    def _until(self, token: str, printed: Callable[[str], object], watch: _Watch) -> Ended:
        """Pass on the process's output until it prints `token` with an exit code, or ends."""
        mark = token.encode()
        while (line := self._output.next(watch)) is not None:
            before, found, after = line.partition(mark)
            if found:
                if before:
                    printed(_text(before))
                code, last, _ = _text(after).partition(LAST)
                if last:
                    self.dismiss()
                    _ended(self._process, watch)
                return Ended(int(code), None, watch.timed_out, watch.stopped)
            printed(_text(line))
        cut_off = not _ends_by_itself(self._process, watch) or self._process.returncode == CLOSED
        self.dismiss()
        ended = _ended(self._process, watch)
        return replace(ended, vanished=True, cut_off=cut_off)

    def dismiss(self) -> None:
        """Have the process end: it is idle, or has ended already."""
        self.alive = False
        with suppress(OSError):
            assert self._process.stdin is not None  # noqa: S101 - it was asked for
            self._process.stdin.close()

    def join(self, seconds: float) -> None:
        """Wait for the process's end, and end the processes that its tasks have started and left."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        _signal(self._process, kill=True)
        self._process.wait()
