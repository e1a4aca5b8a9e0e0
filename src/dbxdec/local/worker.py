"""A process that runs tasks one after another, each through the entry point that the platform would call.

It reads one request a line, and runs `dbxdec.runtime` with the request's arguments, or the user's command in the place
of a task. At the end of the output it prints the result. Libraries stay imported from task to task. The pipeline's own
modules are imported anew for each task, and the task's changes to the process are undone, so that tasks see as little
of each other as on the platform.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from dbxdec.local.outlets import LAST, Outlets
from dbxdec.local.undoing import undone
from dbxdec.support.boundary import OURS
from dbxdec.support.masking import hide

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

INTERRUPTED = 130
HANDLED = 256
"""The result of a failure handler that has done its work. No process ends with this code."""


_in_a_task = False
_interrupted = False


def _interrupt(*_: object) -> None:
    """Raise KeyboardInterrupt in a task, as in any program; between tasks there is nothing to interrupt."""
    global _interrupted
    if _in_a_task:
        _interrupted = True
        raise KeyboardInterrupt


def main() -> None:
    """Serve requests until there are no more; end at once when the runner has ended in the middle of one.

    The arguments are the token to print when all is imported, and the open file that shows that this process lives.
    """
    ready, *kept = sys.argv[1:]
    for descriptor in map(int, kept):
        os.set_inheritable(descriptor, False)  # processes that a task starts don't get it
    signal.signal(signal.SIGINT, _interrupt)
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)  # a task must not read the requests
    outlets, process = Outlets(), os.getpid()
    waiting: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
    parsed = json.loads  # as it is now: tasks may change the module
    busy = threading.Event()

    def listen() -> None:
        try:
            for line in requests:
                waiting.put(parsed(line))
        except BaseException:  # noqa: BLE001 - without this thread the process would wait forever
            traceback.print_exc()
            os._exit(1)
        if busy.is_set():
            # The runner has ended: no process would read the result. Kill this group, with all that the task started.
            if sys.platform == "win32":
                os._exit(1)
            else:
                os.killpg(os.getpgrp(), signal.SIGKILL)
        waiting.put(None)

    threading.Thread(target=listen, name="dbxdec-requests", daemon=True).start()
    from dbxdec.runtime import preparing  # noqa: F401 - warm before the first task

    outlets.write(f"{ready} 0\n")
    while (request := waiting.get()) is not None:
        busy.set()
        try:
            code = _serve(request, outlets)
        finally:
            if os.getpid() != process:
                os._exit(1)  # a copy of this process that a task has forked must not answer for the task
        goes_on = outlets.restore()
        busy.clear()
        outlets.write(f"{request['token']} {code}{'' if goes_on else LAST}\n")
        if not goes_on:
            os._exit(0)


def _serve(request: Mapping[str, Any], outlets: Outlets) -> int:
    global _in_a_task, _interrupted
    _interrupted = False
    try:
        with undone():
            os.environ.update(request["environment"])
            sys.argv[:] = ["dbxdec-run", *request["arguments"]]
            _in_a_task = True
            return _run(outlets) if request["command"] is None else _run_command(request["command"])
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        _in_a_task = False
        signal.signal(signal.SIGINT, _interrupt)
        _forget(request["packages"], tuple(request["places"]))


def _run_command(command: str) -> int:
    """Run the user's shell command; it is in this process's group, and so ends when the runner does."""
    code = subprocess.run(command, shell=True, check=False).returncode  # noqa: S602 - what --replace is for
    return code if code >= 0 else 128 - code


def _run(outlets: Outlets) -> int:
    from dbxdec.support import environment, masking
    from dbxdec.support.masking import of_this_machine

    with environment.kept(), masking.scope(of_this_machine()), masking.output():
        return _run_task(outlets)


def _run_task(outlets: Outlets) -> int:
    from dbxdec.errors import HandledError
    from dbxdec.runtime import run_task

    try:
        run_task()
    except SystemExit as error:  # its message has been printed
        return HANDLED if isinstance(error.__context__, HandledError) else 1
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and _interrupted:
            raise
        outlets.write(_shown(error))
        return 1
    return 0


def _shown(error: BaseException) -> str:
    """Return the author's own traceback: from the author's function on, with the paths of the author's files."""
    from dbxdec.runtime.blame import own_files

    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        found.__traceback__ = _from_the_author(found.__traceback__)
        found = found.__cause__ or found.__context__
    return hide(own_files("".join(traceback.format_exception(error))))


def _from_the_author(trace: TracebackType | None) -> TracebackType | None:
    whole = trace
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith((OURS[0], "<frozen ")):
        trace = trace.tb_next
    return trace or whole


def _forget(packages: list[str], places: tuple[str, ...]) -> None:
    """Have the pipeline's modules imported anew by the next task: all that its wheel has."""
    from dbxdec.runtime.bodies import forget_jobs

    forget_jobs()
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if name.partition(".")[0] in packages or (isinstance(path, str) and path.startswith(places)):
            del sys.modules[name]


if __name__ == "__main__":
    main()
