"""What people see of jobs and runs: names, literals, docstrings, times, tables on narrow screens."""

from __future__ import annotations

import datetime as dt
import io
import json
import re
import threading
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from dbxdec.cli import tables
from dbxdec.local import ledger, naming
from dbxdec.local.pool import Ended, Pool
from dbxdec.local.report import html
from dbxdec.model import literals
from dbxdec.model.secrets import Secret
from dbxdec.model.variables import bundle_variable
from dbxdec.views.spelling import written
from projects import Project
from running import dbxdec, define, empty, wait_for
from terminals import in_a_terminal

# One worker process takes all: each would make the projects of this module anew.
pytestmark = pytest.mark.xdist_group("display")


class Colour(Enum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        (None, "None"),
        (True, "True"),
        (1.5, "1.5"),
        ('a"ö', '"a\\"ö"'),
        (["UA", 1, None], '["UA", 1, None]'),
        ((1,), "(1,)"),
        ({"b": 1, "a": (2, 3)}, '{"b": 1, "a": (2, 3)}'),
        ({"$": 1}, '{"$": 1}'),
        (Decimal("1.50"), "1.50"),
        (dt.date(2013, 1, 2), "2013-01-02"),
        (dt.datetime(2013, 1, 2, 3), "2013-01-02T03:00:00"),
        (dt.timedelta(days=1, hours=2), "1 day, 2:00:00"),
        (b"\x00a", r"b'\x00a'"),
        (Colour.RED, "Colour.RED"),
        (bundle_variable("root") / "x", "${var.root}/x"),
        ([f"{bundle_variable('root')}/x"], "[${var.root}/x]"),
        (Secret("vault", "key"), 'secret("vault", "key")'),
    ],
    ids=repr,
)
def test_a_literal_is_shown_as_it_is_written(value: Any, spelled: str) -> None:
    """Not as the manifest has it."""
    assert written(literals.encode(value)) == spelled


SHOWN = '''
landing = bundle_variable("lake") / "landing"


@job
def daily(day: str = "monday") -> None:
    """Loads <orders> of a day.

    Every day again.
    """

    @task(io_manager=lake)
    def load(landing: str, country: str) -> pl.DataFrame:
        """Takes what is "new",
        and nothing else.

        Never twice.
        """
        if country == "fr" and not Path("go").exists():
            raise ValueError(country)
        return pl.DataFrame({"x": [1]})

    @task
    def count(load: pl.DataFrame) -> int:
        return load.height

    count(load(landing, each(["de", "fr", "New York/Bronx", "東京"])))


@job
def other() -> None:
    @task
    def quiet() -> None: ...

    quiet()
'''


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with docstrings, and one run that has failed."""
    project = empty(tmp_path_factory.mktemp("shown").resolve())
    define(project, SHOWN)
    assert dbxdec(project, "run", "daily", "--report", "report.html").code == 1
    return project


def test_docstrings_and_literals_are_shown(project: Project) -> None:
    """By `show`, in the list too, by `graph` in each format, and by the report."""
    listed = dbxdec(project, "show").out
    assert re.search(r"daily +2 +day .* Loads <orders> of a day\.", listed)
    shown = dbxdec(project, "show", "daily").out
    assert "  Loads <orders> of a day.\n\n  Every day again.\n" in shown
    assert '  Takes what is "new", and nothing else.\n' in shown
    assert "landing <- ${var.lake}/landing\n" in shown
    assert 'each of ["de", "fr", "New York/Bronx", "東京"]' in shown
    mermaid = dbxdec(project, "graph", "daily").out
    assert 'load<br/>Takes what is #34;new#34;, and nothing else."' in mermaid
    assert 'tooltip="Takes what is \\"new\\", and nothing else."' in dbxdec(project, "graph", "daily", "-f", "dot").out
    assert "Never twice.</title>" in dbxdec(project, "graph", "daily", "-f", "svg").out
    page = dbxdec(project, "graph", "-f", "html").out
    for text in (page, (project.root / "report.html").read_text(encoding="utf-8")):
        assert "Loads &lt;orders&gt; of a day.\n\nEvery day again." in text
        assert "Takes what is &#" in text or "Takes what is &quot;new" in text
        assert "${var.lake}/landing" in text or "lake/landing" in text
        assert "&#34;$&#34;" not in text


@pytest.mark.slow
def test_iterations_are_named_by_their_items(project: Project) -> None:
    """On the screen, in logs, in the record, as JSON and in the report; JSON has number and item as well."""
    said = dbxdec(project, "run", "daily", "--json")
    for name in ("load[de] success", "load[fr] failed", "load[New_York_Bronx] started", "load[東京] success"):
        assert name in said.err
    (task,) = [one for one in json.loads(said.out)["tasks"] if one["task"] == "load"]
    found = {one["iteration"]: (one["item"], one["title"], one["log"]) for one in task["runs"]}
    assert found == {
        0: ("de", "load[de]", "logs/load[de].1.log"),
        1: ("fr", "load[fr]", "logs/load[fr].1.log"),
        2: ("New York/Bronx", "load[New_York_Bronx]", "logs/load[New_York_Bronx].1.log"),
        3: ("東京", "load[東京]", "logs/load[~3].1.log"),
    }
    folder = ledger.find(project.root, "last").folder
    assert all((folder / log).is_file() for _, _, log in found.values())
    assert "load[fr] attempt 1: failed" in dbxdec(project, "runs", "show").out
    report = (project.root / "report.html").read_text(encoding="utf-8")
    assert "load[fr]: iteration 1, attempt 1" in report
    assert "<span>load[fr] " in report


@given(
    st.lists(st.text() | st.integers() | st.none() | st.dictionaries(st.text(), st.integers() | st.lists(st.none())))
)
def test_names_of_items_are_apart_short_and_good_for_files(items: list[Any]) -> None:
    """No two are one on a disk that knows no case; none has a slash, a space or a letter that some system refuses."""
    found = naming.names(items)
    files = naming.file_names(found)
    for names in (found, files):
        assert len({name.casefold() for name in names}) == len(items)
    for name in found:
        assert name
        assert name.isprintable()
        assert not re.search(r"[\s/\\:*?\"<>|]", name)
        assert len(name) < 40
    assert all(re.fullmatch(r"[A-Za-z0-9._=,+@~()-]+", name) for name in files)


@pytest.mark.parametrize(
    ("items", "names"),
    [
        (["de", "fr"], ["de", "fr"]),
        (["a", "A", "b"], ["a~0", "A~1", "b"]),
        (["a", "a", "a~0"], ["a~0~", "a~1", "a~0"]),
        ([1, 2.5, True, None, ""], ["1", "2.5", "true", "null", "~4"]),
        ([{"country": "de", "year": 2013}, ["x", 1]], ["country=de,year=2013", "x,1"]),
        (["x" * 100, "y\n\tz", "a b/c"], ["x" * 23 + "~", "y_z", "a_b_c"]),
    ],
)
def test_a_name_is_what_a_person_would_call_the_item(items: list[Any], names: list[str]) -> None:
    """The text itself where it can be; equal ones have their number."""
    assert naming.names(items) == names


LONG = "a_task_with_a_rather_long_name_that_fills_most_of_the_line"


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_name_and_no_state_is_broken_on_a_narrow_screen(width: int) -> None:
    """A row that does not fit has lines of its own; a name longer than the screen is shortened, and nothing else is."""
    out = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, soft_wrap=True)
    titles = ("task", "state", "attempts", "seconds", "rows", "result")
    rows: list[list[tables.Cell]] = [
        ["load", tables.styled("success", " (kept)"), "1", "0.50", "1,000", "lake/bronze/" + "x" * 50],
        [LONG, tables.styled("upstream failed"), "", "", "", ""],
    ]
    tables.show(out, titles, rows, right=titles[2:5], broken=("result",))
    assert isinstance(out.file, io.StringIO)
    text = out.file.getvalue()
    assert "load" in text
    assert "success (kept)" in text
    assert "upstream failed" in text
    named = [line for line in text.splitlines() if line.startswith("a_task")]
    assert len(named) == 1
    assert named[0].split()[0] == LONG if width > 80 else named[0].startswith(LONG[:20])
    assert all(len(line) <= width for line in text.splitlines() if "task" in line or "success" in line)


@pytest.mark.slow
def test_a_run_fits_a_terminal_of_60_columns(project: Project) -> None:
    """Keys and states are whole in the live view, in the table at the end and in the list of runs."""
    for arguments in (["run", "daily"], ["runs"], ["show"]):
        _, shown = in_a_terminal(project, *arguments, COLUMNS="60")
        shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
        assert "daily" in shown
        if arguments[0] != "show":
            assert re.search(r"(^|\s)failed", shown)
        if arguments[0] == "run":
            assert re.search(r"^count +upstream failed", shown, re.MULTILINE)


WAITING = """
import sys, time
from pathlib import Path
if "dbxdec.local.worker" in sys.orig_argv:
    Path("waiting").touch()
    while not Path("go").exists():
        time.sleep(0.01)
"""


def test_a_task_begins_when_a_process_is_ready_for_it(tmp_path: Path) -> None:
    """Neither the start of that process nor the wait for a slot is the task's time, or counts against its limit."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(WAITING)
    pool = Pool(1, folder=str(tmp_path), environment={"PYTHONPATH": str(tmp_path / "site")}, packages=[])
    began: list[str] = []
    ended: list[Ended] = []

    def run(name: str, command: str) -> threading.Thread:
        def call() -> None:
            ended.append(
                pool.run(
                    [], {}, started=lambda: began.append(name), printed=lambda _: None, timeout=60, command=command
                )
            )

        thread = threading.Thread(target=call)
        thread.start()
        return thread

    first = run("first", "touch first; while [ ! -e second ]; do sleep 0.01; done")
    wait_for(tmp_path / "waiting")
    assert began == []
    (tmp_path / "go").touch()
    wait_for(tmp_path / "first")
    second = run("second", "true")
    assert began == ["first"]
    (tmp_path / "second").touch()
    first.join()
    second.join()
    pool.close()
    assert began == ["first", "second"]
    assert [one.code for one in ended] == [0, 0]


def test_a_process_for_tasks_that_can_not_start_is_said(tmp_path: Path) -> None:
    """It is no task that has ended its own process."""
    (tmp_path / "sitecustomize.py").write_text("import os\nos._exit(7)\n")
    pool = Pool(1, folder=str(tmp_path), environment={"PYTHONPATH": str(tmp_path)}, packages=[])
    ended = pool.run([], {}, started=lambda: None, printed=lambda _: None)
    pool.close()
    assert ended.died() == "a process for tasks could not start: it ended with exit code 7"


def test_the_report_of_a_resumed_run_tells_the_time_of_its_timeline(project: Project) -> None:
    """A day between two sittings is no work: the line above and the timeline are of the last one."""
    definition = ledger.find(project.root, "last").definition
    head = {
        **dict.fromkeys(("project", "version", "build_id", "source"), "x"),
        "job": "daily",
        "started_ms": 1_000_000,
        "parameters": {"day": "monday"},
        "variables": {"lake": "lake"},
    }
    made = ledger.new(project.root, head, definition)
    for repair, (start, seconds) in enumerate(((1_000_000, 5), (90_000_000, 7))):
        made.note("started", repair=repair, time_ms=start, selected=["count", "load"], kept={})
        end = start + 1_000 * seconds
        task: dict[str, Any] = {"task": "load", "iteration": None, "attempt": repair + 1}
        made.note("attempt", **task, state="failed", started_ms=start + 1_000, ended_ms=end, log="logs/x.log", facts=[])
        made.note("ended", state="failed", time_ms=end)
    run = ledger.find(project.root, made.id)
    assert (run.spent, run.sittings[-1]) == (12_000, (90_000_000, 90_007_000))
    text = html(run)
    assert "in 7.0 s: repair 1, 12.0 s in all" in text
    assert "<i>7.0 s</i>" in text
    assert text.count('class="bar"') == 1
    assert 'style="left:14.286%;width:85.714%"' in text


@pytest.mark.slow
def test_run_without_a_job_lists_them(project: Project) -> None:
    """With the first line of each one's docstring, on stdout, and exit code 2."""
    said = dbxdec(project, "run")
    assert said.code == 2
    assert [line.split() for line in said.out.splitlines()] == [
        ["job", "tasks", "about"],
        ["daily", "2", "Loads", "<orders>", "of", "a", "day."],
        ["other", "1"],
    ]
    assert said.err == "dbxdec: say which of them to run: dbxdec run JOB\n"
    for_a_program = dbxdec(project, "run", "--json")
    assert (for_a_program.code, for_a_program.out, for_a_program.err) == (2, "", said.out + said.err)
