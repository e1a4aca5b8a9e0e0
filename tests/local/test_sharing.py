"""Tasks that share a warm process: each sees its own run, and nothing that another has changed."""

from __future__ import annotations

import gc
import json
import signal
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from dbxdec.local.undoing import undone
from running import MARK, dbxdec, define, empty, marks

if TYPE_CHECKING:
    from pathlib import Path

LEFT = (
    MARK
    + """
import _thread
import threading

from dbxdec import RunError, set_task_value


def late(name: str) -> None:
    while not Path("go").exists():
        time.sleep(0.01)
    for use in (lambda: set_task_value("rows", 666), lambda: context().task):
        try:
            mark(f"{name}:{use()}")
        except RunError as error:
            mark(f"{name}:{'which has ended' in str(error)}")


def nested() -> None:
    while not Path("go").exists():
        time.sleep(0.01)
    thread = threading.Thread(target=late, args=["nested"])
    thread.start()
    thread.join()


def bare() -> None:
    Path("begun").touch()
    late("bare")


@job
def left() -> None:
    @task
    def leaves() -> None:
        mark(str(os.getpid()))
        threading.Thread(target=late, args=["direct"], daemon=True).start()
        threading.Thread(target=nested, daemon=True).start()
        _thread.start_new_thread(bare, ())
        while not Path("begun").exists():
            time.sleep(0.01)

    @task
    def sets() -> None:
        mark(str(os.getpid()))
        set_task_value("rows", 5)
        Path("go").touch()
        while Path("marks").read_text().count(":") < 6:
            time.sleep(0.01)
        inside = threading.Thread(target=lambda: mark(context().task))
        inside.start()
        inside.join()

    @task
    def reads(rows: int) -> None:
        mark(f"rows={rows}")

    wrote = sets().after(leaves())
    reads(wrote.value("rows"))
"""
)


def test_a_thread_that_outlives_its_task_belongs_to_no_other(tmp_path: Path) -> None:
    """It neither sets another task's values nor sees its run; a thread that it starts does neither."""
    project = empty(tmp_path.resolve())
    define(project, LEFT)
    said = dbxdec(project, "run", "left", "--jobs", "1")
    assert said.code == 0, said
    first, second, *found = marks(project)
    assert first == second
    assert "rows=5" in found
    assert "sets" in found
    assert {one for one in found if ":" in one} == {"direct:True", "nested:True", "bare:True"}


def _change(text: str) -> None:
    exec(text, {})  # noqa: S102 - as a task's code would


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ("import signal; signal.setitimer(signal.ITIMER_REAL, 1000)", lambda: signal.getitimer(signal.ITIMER_REAL)[1]),
        ("import signal; signal.alarm(1000)", lambda: signal.getitimer(signal.ITIMER_REAL)[0] > 500),
        ("import signal; signal.signal(signal.SIGUSR1, print)", lambda: signal.getsignal(signal.SIGUSR1)),
        ("import socket; socket.setdefaulttimeout(3)", socket.getdefaulttimeout),
        ("import gc; gc.disable()", gc.isenabled),
        ("import gc; gc.set_threshold(1, 2, 3)", gc.get_threshold),
        ("import csv; csv.field_size_limit(7)", lambda: __import__("csv").field_size_limit()),
        ("import builtins; builtins.open = None; builtins.mine = 1", lambda: (open, hasattr(__builtins__, "mine"))),
        ("import builtins; del builtins.sorted", lambda: sorted),
        ("import json; json.JSONEncoder.default = print", lambda: json.JSONEncoder.default),
        ("import sys; sys.stdout = sys.stderr = None", lambda: (sys.stdout, sys.stderr)),
        ("import sys; sys.excepthook = print", lambda: sys.excepthook),
    ],
)
def test_what_a_task_changes_is_undone(change: str, state: object) -> None:
    """The next task of the process finds it as the first one did."""
    assert callable(state)
    before = state()
    with undone():
        _change(change)
    assert state() == before
