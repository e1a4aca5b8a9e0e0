"""The record of runs: damage to one, torn lines, thousands of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from dbxdec.cli.app import cli
from dbxdec.errors import RunError, SourceLocation
from dbxdec.local import backfills, earlier, history, journal, ledger
from dbxdec.local.history import Run, Unreadable
from dbxdec.model.dag import Job, Task
from dbxdec.model.job_forms import encode_jobs
from dbxdec.platform.run_if import State

DAG = Job(
    "daily",
    "a",
    "a:daily",
    SourceLocation("a.py", 1),
    tuple(
        Task(key, None, SourceLocation("a.py", 2), {}, {}, kind="native", settings={"notebook_task": {}})
        for key in ("load", "b")
    ),
)
DEFINITION = encode_jobs([DAG])["daily"]
HEAD: dict[str, Any] = {
    "job": "daily",
    "project": "shop",
    "version": "1",
    "build_id": "0" * 64,
    "source": "the tree",
    "parameters": {"day": "monday"},
    "variables": {},
}


def kept(root: Path, *, state: str | None = "success", job: str = "daily", **more: Any) -> Run:
    """A run with two attempts of one task."""
    made = ledger.new(root, {**HEAD, "job": job, "started_ms": 1_000, **more}, DEFINITION)
    made.note("started", repair=0, time_ms=1_000, selected=["b", "load"], kept={}, build_id="0")
    for n in (1, 2):
        facts = [{"kind": "write", "name": "load", "uri": "lake/x", "rows": 3}] if n == 2 else []
        log = f"logs/load.{n}.log"
        task: dict[str, Any] = {"task": "load", "iteration": None, "attempt": n, "title": "load", "log": log}
        made.note("begun", **task, time_ms=1_000 * n)
        how = "failed" if n == 1 else "success"
        made.note("attempt", **task, state=how, started_ms=1_000 * n, ended_ms=1_500 * n, facts=facts)
    made.note("task", task="load", state="success", started_ms=1_000, ended_ms=3_000, attempts=2)
    if state is not None:
        made.close(state, {"load": State.SUCCESS, "b": State.EXCLUDED}, 0)
    found = history.read(made.folder)
    assert isinstance(found, Run)
    return found


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`dbxdec runs ...` in the folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["runs", *arguments], catch_exceptions=False)

    return call


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe_instead(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def loop_instead(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def cut_character(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"monday", "fünf".encode()[:2]))


def _bare(event: dict[str, Any]) -> dict[str, Any]:
    """An event without the fields that may be null."""
    return {name: value for name, value in event.items() if value is not None}


DAMAGE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "half a character": ("run.json", cut_character),
    "no JSON": ("run.json", lambda path: path.write_text("{")),
    "no object": ("run.json", lambda path: path.write_text("[1]\n")),
    "empty": ("run.json", lambda path: path.write_text("")),
    "zeros": ("run.json", lambda path: path.write_bytes(b"\0" * 500)),
    "a folder": ("run.json", folder_instead),
    "missing": ("run.json", Path.unlink),
    "a pipe": ("run.json", pipe_instead),
    "a loop": ("run.json", loop_instead),
    "without its job": ("run.json", lambda path: path.write_text(json.dumps({"started_ms": 1}))),
    "a wrong time": ("run.json", lambda path: path.write_text(json.dumps({**HEAD, "started_ms": "x"}))),
    "an endless time": ("run.json", lambda path: path.write_text(json.dumps({**HEAD, "started_ms": 10**30}))),
    "nested": ("run.json", lambda path: path.write_text("[" * 100_000)),
    "events in a folder": ("events.jsonl", folder_instead),
    "a lock in a folder": ("lock", Path.mkdir),
    "no definition": ("definition.json", lambda path: path.write_text("{}")),
    "half a definition": ("definition.json", lambda path: path.write_bytes(b'{"tasks": ["\xc3')),
    "events of another kind": ("events.jsonl", lambda path: path.write_text('{"event": []}\n{"event": "task"}\n7\n')),
    "events without their optional fields": (
        "events.jsonl",
        lambda path: path.write_text(
            "".join(json.dumps(_bare(json.loads(line))) + "\n" for line in path.read_text().splitlines())
        ),
    ),
    "a state that is none": ("events.jsonl", lambda path: path.write_text('{"event": "task", "state": {}}\n')),
}


@pytest.mark.parametrize("name", DAMAGE)
@pytest.mark.parametrize("state", ["failed", None])
def test_a_damaged_record_is_said_and_costs_no_other_run_anything(
    tmp_path: Path, runs: Callable[..., Result], name: str, state: str | None
) -> None:
    """All others are listed, shown, and found as the last; the damaged one is one sentence, and never a traceback."""
    older, damaged = kept(tmp_path), kept(tmp_path, state=state)
    file, damage = DAMAGE[name]
    damage(damaged.folder / file)
    listed = runs()
    assert listed.exit_code == 0
    assert older.id in listed.output
    assert damaged.id in listed.output
    assert len(listed.stderr.splitlines()) <= 1
    as_json = json.loads(runs("--json").stdout)
    assert as_json[-1]["id"] == older.id
    assert runs("show", older.id).exit_code == 0
    assert runs("show", damaged.id).exit_code in (0, 2)
    assert ledger.find(tmp_path, "last").id in (older.id, damaged.id)
    if isinstance(history.read(damaged.folder), Unreadable):
        assert f"the run {damaged.id} can't be read: " in listed.stderr
        assert ledger.find(tmp_path, "last").id == older.id
        with pytest.raises(RunError, match="can't be read"):
            ledger.find(tmp_path, damaged.id)


def test_the_run_to_resume_is_the_newest_that_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that can't be is said and passed over; of one with a damaged line it is said what that means."""
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    kept(tmp_path, state="failed")
    older = kept(tmp_path, state=None)
    kept(tmp_path, state="success")
    damaged = kept(tmp_path, state="failed")
    (damaged.folder / "run.json").write_text("{")
    assert earlier.find(tmp_path, "daily", "", said.append).id == older.id
    assert said.pop().startswith(f"the run {damaged.id} can't be read: run.json: it is not JSON")
    path = older.folder / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"\xff\n", *lines[4:]]))
    assert earlier.find(tmp_path, "daily", older.id, said.append).id == older.id
    assert "is damaged in line 4: what it records up to there no longer counts as done" in said.pop()
    path.write_bytes(b"".join([b"\xff\n", *lines[1:]]))
    with pytest.raises(RunError, match="are no longer known"):
        earlier.find(tmp_path, "daily", older.id, said.append)


def test_a_kill_in_the_moment_of_the_start_leaves_no_run(tmp_path: Path, runs: Callable[..., Result]) -> None:
    """A folder in which nothing was noted yet is no run, and nothing to talk about."""
    older = kept(tmp_path)
    (older.folder.parent / str(int(older.id) + 1)).mkdir()
    listed = runs()
    assert (listed.exit_code, listed.stderr) == (0, "")
    assert [run.id for run in ledger.runs(tmp_path)] == [older.id]


LINES = st.lists(
    st.fixed_dictionaries({"event": st.sampled_from(["x", "y"]), "text": st.text() | st.just("\udcff\ud800é✓\u2028")}),
    max_size=6,
)


@given(LINES, st.data())
def test_a_kill_costs_the_torn_line_and_no_other(events: list[dict[str, str]], data: st.DataObject) -> None:
    """Cut at any byte, a record has all its whole lines, before and after another is appended; none are glued."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "events.jsonl")
        path.touch()
        for event in events:
            journal.append(path, event)
        content = path.read_bytes()
        cut = data.draw(st.integers(0, len(content)))
        path.write_bytes(content[:cut])
        whole = [json.loads(line) for line in content[:cut].split(b"\n")[:-1]]
        if cut < len(content) and content[cut : cut + 1] == b"\n":
            whole.append(json.loads(content[:cut].split(b"\n")[-1]))  # only its end is missing
        assert journal.read_lines(path) == (list(enumerate(whole, 1)), [])
        journal.append(path, {"event": "z"})
        assert journal.read_lines(path) == (list(enumerate([*whole, {"event": "z"}], 1)), [])


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full in the middle of a line keeps the lines before it, and takes others once it has room."""
    path = tmp_path / "events.jsonl"
    journal.append(path, {"n": 1})
    write = os.write

    def full(descriptor: int, content: bytes) -> int:
        if len(content) < 5:
            raise OSError(28, "No space left on device")
        return write(descriptor, content[:4])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            journal.append(path, {"n": 2})
    journal.append(path, {"n": 3})
    assert journal.read_lines(path) == ([(1, {"n": 1}), (2, {"n": 3})], [])


def test_what_stands_before_a_damaged_line_does_not_count_as_done(tmp_path: Path) -> None:
    """That line may have said so; what stands after it counts, and the rest of the run can be read."""
    run = kept(tmp_path, state=None)
    path = run.folder / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for damaged, done in ((2, {"load"}), (len(lines), set())):
        changed = [line if i != damaged else b"\xff" + line[1:] for i, line in enumerate(lines, 1)]
        path.write_bytes(b"".join(changed))
        found = history.fresh(run)
        assert found.damaged == (damaged,)
        assert set(found.tasks()) == done
        assert found.state == "interrupted"


def test_what_run_json_says_of_the_end_holds_as_long_as_nothing_was_noted_since(tmp_path: Path) -> None:
    """A reader of many runs trusts it; where events came or went, these count."""
    run = kept(tmp_path, state="failed")
    assert (run.state, run.counts, run.repairs) == ("failed", (2, 2), 0)
    path = run.folder / "events.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    cut = history.fresh(run)
    assert (cut.state, cut.counts) == ("interrupted", (1, 2))


def test_a_list_reads_only_run_json_of_runs_that_have_ended(tmp_path: Path, runs: Callable[..., Result]) -> None:
    """With thousands of runs that is what it takes; `make bench ONLY=ledger` measures it."""
    run = kept(tmp_path)
    for name in ("events.jsonl", "definition.json"):
        path = run.folder / name
        path.write_bytes(b"x" * path.stat().st_size)
    assert f"{run.id}     daily     success" in runs().stdout


def test_a_list_is_of_the_newest_unless_it_is_asked_for_more(tmp_path: Path, runs: Callable[..., Result]) -> None:
    """It says that there are more, on stderr, as a list in JSON does."""
    ids = [kept(tmp_path, job="odd" if n % 2 else "even").id for n in range(5)][::-1]
    listed = runs("-n", "2")
    assert [line.split()[0] for line in listed.stdout.splitlines()[1:]] == ids[:2]
    assert "`--all` lists more" in listed.stderr
    assert [run["id"] for run in json.loads(runs("--json", "-n", "3").stdout)] == ids[:3]
    assert [run["id"] for run in json.loads(runs("--json", "--all").stdout)] == ids
    some = runs("--job", "odd", "-n", "2")
    assert ([line.split()[0] for line in some.stdout.splitlines()[1:]], some.stderr) == ([ids[1], ids[3]], "")


def test_a_run_of_an_earlier_format_is_read(tmp_path: Path) -> None:
    """Its run.json holds the definition, and how it ended only its events say."""
    run = kept(tmp_path)
    head = {k: v for k, v in run.head.items() if k != "end"}
    old = {**head, "definition": DEFINITION, "state": "success", "ended_ms": run.ended}
    (run.folder / "definition.json").unlink()
    (run.folder / "run.json").write_text(json.dumps(old))
    found = history.fresh(run)
    assert (found.state, found.counts, len(found.dag.tasks)) == ("success", (1, 2), 2)


def test_a_run_that_was_copied_can_be_read(tmp_path: Path) -> None:
    """A folder is all there is of a run: elsewhere, and under another id, it is the same."""
    run = kept(tmp_path / "a")
    there = tmp_path / "b" / ".dbxdec" / "runs" / "77"
    shutil.copytree(run.folder, there)
    copied = ledger.find(tmp_path / "b", "77")
    assert (copied.id, copied.state, copied.events) == ("77", run.state, run.events)
    shutil.rmtree(there)
    assert list(ledger.runs(tmp_path / "b")) == []


def test_events_of_many_threads_stay_apart(tmp_path: Path) -> None:
    """Tasks that end at the same moment have a line each."""
    made = ledger.new(tmp_path, {**HEAD, "started_ms": 1}, DEFINITION)

    def note(n: int) -> None:
        for i in range(20):
            made.note("x", n=n, i=i, text="x" * 10_000)

    threads = [threading.Thread(target=note, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found, damaged = journal.read_lines(made.folder / "events.jsonl")
    assert (len(found), damaged) == (160, [])


def test_a_log_elsewhere_is_no_log(tmp_path: Path) -> None:
    """A line that names a file outside of the run's logs is damaged: nothing else of this machine is ever shown."""
    run = kept(tmp_path, state=None)
    path = run.folder / "events.jsonl"
    path.write_text(path.read_text().replace("logs/load.1.log", "logs/../../../secret"))
    assert len(history.fresh(run).damaged) == 2


@pytest.mark.parametrize("name", [".dbxdec", ".dbxdec/runs"])
def test_a_file_where_runs_are_kept_is_said(tmp_path: Path, name: str) -> None:
    """A run needs a folder there, and says so."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    assert list(ledger.runs(tmp_path)) == []
    with pytest.raises(RunError, match="can't be a folder"):
        ledger.new(tmp_path, {**HEAD, "started_ms": 1}, DEFINITION)


def test_a_project_where_nobody_may_write_is_only_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tables are asked all the same: the copy of the build that does it is elsewhere, and nothing is made there."""
    monkeypatch.setattr("os.access", lambda path, _: Path(path) != tmp_path)
    found = ledger.copies(tmp_path)
    assert (found.is_dir(), found.is_relative_to(tmp_path)) == (True, False)
    assert (ledger.lake(tmp_path), backfills.all_of(tmp_path)) == (str(tmp_path / ".dbxdec/lake"), [])
    assert list(tmp_path.iterdir()) == []


def attempt(task: str, state: str = "success", iteration: int | None = None, number: int = 1) -> dict[str, Any]:
    """What is noted of an attempt."""
    one = {"task": task, "iteration": iteration, "attempt": number, "title": task, "log": "logs/x.log"}
    return {**one, "state": state, "started_ms": 1_000, "ended_ms": 2_000, "facts": []}


def reread(made: ledger.Ledger) -> Run:
    found = history.read(made.folder)
    assert isinstance(found, Run)
    return found


def test_what_a_repair_has_kept_still_holds(tmp_path: Path) -> None:
    """Whole tasks, and of a for-each task the iterations that it names; all else was done again."""
    made = ledger.new(tmp_path, {**HEAD, "started_ms": 1_000}, DEFINITION)
    made.note("started", repair=0, time_ms=1_000, selected=["load", "b"], kept={}, build_id="0")
    made.note("attempt", **attempt("load"))
    for number in range(3):
        made.note("attempt", **attempt("b", iteration=number))
    made.note("attempt", **attempt("gone"))
    still = {"load": None, "b": [0, 2]}
    made.note("started", repair=1, time_ms=5_000, selected=["load", "b"], kept=still, build_id="0")
    found = reread(made)
    assert [(event["task"], event["iteration"]) for event in found.standing] == [("load", None), ("b", 0), ("b", 2)]
    assert found.repairs == 1


def test_the_time_between_two_sittings_is_not_spent(tmp_path: Path) -> None:
    """Each goes from its start to its last event."""
    made = ledger.new(tmp_path, {**HEAD, "started_ms": 1_000}, DEFINITION)
    for repair, begin in enumerate((1_000, 50_000, 90_000)):
        made.note("started", repair=repair, time_ms=begin, selected=["load", "b"], kept={}, build_id="0")
        made.note("attempt", **{**attempt("load"), "ended_ms": begin + 700})
        made.note("attempt", **{**attempt("b"), "ended_ms": begin + 300})
    found = reread(made)
    assert found.sittings == [(1_000, 1_700), (50_000, 50_700), (90_000, 90_700)]
    assert (found.spent, found.ended) == (2_100, 90_700)
    assert ledger.again(found).spent_before == 2_100


def test_tasks_that_were_not_asked_for_are_not_counted() -> None:
    """Excluded ones are done."""
    states = [State.SUCCESS, State.EXCLUDED, State.SKIPPED, State.DESELECTED, State.FAILED, State.UPSTREAM_FAILED]
    assert history.done(states) == 3


@pytest.mark.parametrize(("count", "said"), [(5, "1, 2, 3, 4, 5:"), (6, r"1, 2, 3, 4, 5, \.\.\.:")])
def test_five_damaged_lines_are_named(tmp_path: Path, count: int, said: str) -> None:
    """Of more it is said that there are more."""
    made = ledger.new(tmp_path, {**HEAD, "started_ms": 1_000}, DEFINITION)
    (made.folder / "events.jsonl").write_text("{\n" * count)
    assert re.search(f"damaged in line {said} what it records up to there", history.damage(reread(made)))


def test_a_run_is_found_by_a_part_of_its_id(tmp_path: Path) -> None:
    """A beginning or an end that only one has; `last` is the last one that a person has started."""
    with pytest.raises(RunError, match="no run is kept in"):
        ledger.find(tmp_path, "last")
    with pytest.raises(RunError, match="no run is kept in"):
        ledger.find(tmp_path, "1")
    runs = tmp_path / ".dbxdec/runs"
    made = [kept(tmp_path), kept(tmp_path), kept(tmp_path, parent="1")]
    places = [one.folder.rename(runs / name) for one, name in zip(made, ("1001", "1002", "2002"), strict=True)]
    assert ledger.find(tmp_path, "last").folder == places[1]
    assert [ledger.find(tmp_path, name).id for name in ("1001", "01", "20")] == ["1001", "1001", "2002"]
    for name in ("10", "02"):
        with pytest.raises(RunError, match=f"several runs are called {name}: "):
            ledger.find(tmp_path, name)
    with pytest.raises(RunError, match="there is no run 7777"):
        ledger.find(tmp_path, "7777")
    for place in places[:2]:
        shutil.rmtree(place)
    assert ledger.find(tmp_path, "last").id == "2002"


def test_a_run_that_is_part_of_one_at_work_is_not_resumed_by_itself(tmp_path: Path) -> None:
    """Nor where that one is part of another; where it was removed, the run stands alone."""
    top = kept(tmp_path)
    middle = kept(tmp_path, parent=top.id)
    inner = kept(tmp_path, parent=middle.id)
    assert ledger.root_of(inner.folder, middle.id) == top.folder
    assert ledger.root_of(top.folder, "") == top.folder
    with ledger.held(top.folder), pytest.raises(RunError, match=f"is part of the run {top.id}, which is still running"):
        ledger.root_of(inner.folder, middle.id)
    with (
        ledger.held(top.folder),
        pytest.raises(RunError, match=f"the run {top.id} is still running"),
        ledger.held(top.folder),
    ):
        pass
    shutil.rmtree(middle.folder)
    assert ledger.root_of(inner.folder, middle.id) == inner.folder
