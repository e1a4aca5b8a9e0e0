"""The runs that are kept on this machine: which of them is resumed, and what a resumed run does not do again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from dbxdec.errors import RunError, SourceLocation
from dbxdec.local import history, key_runs, ledger, resuming
from dbxdec.local.history import Run
from dbxdec.model import dag
from dbxdec.model.dag import Dependency, Job, JobParameter, Output, Task
from dbxdec.model.job_forms import encode_jobs
from dbxdec.model.keys import Periods
from dbxdec.model.values import ValueType
from dbxdec.platform.run_if import State

HERE = SourceLocation("a.py", 1)
TABLE = {"result": Output("dbxdec.io_managers:PolarsDeltaIoManager", "lake/orders", settings={"mode": "append"})}
MERGED = {"result": Output("dbxdec.io_managers:PolarsDeltaIoManager", "lake/report", settings={"mode": "merge"})}


def task(key: str, *after: str, **fields: Any) -> Task:
    given = {"outputs": {}, "function": f"shop:{key}", **fields}
    return Task(key, source=HERE, inputs={}, depends_on=tuple(map(Dependency, after)), **given)


DAY = JobParameter("day", ValueType("date"), key=Periods("daily"))
NOTE = JobParameter("note", ValueType("str"), default="")
LOAD, REPORT, MAIL = task("load", outputs=TABLE), task("report", "load", outputs=MERGED), task("mail", "report")
JOB = Job("delays", "shop", "delays", HERE, (LOAD, REPORT, MAIL), (DAY, NOTE))
OTHER = replace(JOB, key="other")
ALL = ("load", "report", "mail")
FIRST, SECOND = ("2024-01-01",), ("2024-01-02",)
WROTE = {"kind": "write", "name": "load", "version": 3}


@dataclass
class Kept:
    """Runs below a folder."""

    folder: Path

    def add(
        self,
        state: str | None = "failed",
        *,
        day: str = FIRST[0],
        ends: Mapping[str, str] | None = None,
        facts: Collection[Mapping[str, Any]] = (),
        job: Job = JOB,
        selected: Collection[str] | None = None,
        damaged: bool = False,
        **head: Any,
    ) -> Run:
        """A run of which the tasks `ends` have ended; all that have succeeded have `facts`."""
        values = {"day": day, "note": "", **head.pop("parameters", {})}
        known = {"project": "shop", "version": "1", "build_id": "0" * 64, "source": "the tree", "variables": {}}
        given = {**known, "job": job.key, "started_ms": 1_000, "parameters": values, **head}
        made = ledger.new(self.folder, given, encode_jobs([job])[job.key])
        every = [one.key for one in job.tasks]
        made.note("started", repair=0, time_ms=1_000, selected=list(selected or every), kept={}, build_id="0")
        if damaged:
            with (made.folder / "events.jsonl").open("a") as file:
                file.write("half a li\n")
        for key, how in ({"load": "failed"} if ends is None else ends).items():
            self.attempt(made, key, how, facts)
            made.note("task", task=key, state=how, started_ms=1_000, ended_ms=2_000, attempts=1)
        if state is not None:
            made.close(state, {}, 0)
        return self.read(made)

    def attempt(
        self, made: ledger.Ledger, key: str, how: str, facts: Collection[Any] = (), iteration: int | None = None
    ) -> None:
        """Note one attempt."""
        one: dict[str, Any] = {"task": key, "iteration": iteration, "attempt": 1, "title": key, "log": "logs/x.log"}
        made.note("begun", **one, time_ms=1_000)
        noted = list(facts) if how == "success" else []
        made.note("attempt", **one, state=how, started_ms=1_000, ended_ms=2_000, facts=noted)

    def read(self, made: ledger.Ledger) -> Run:
        found = history.read(made.folder)
        assert isinstance(found, Run)
        return found

    def resumed(self, job: Job = JOB, variables: Mapping[str, str] | None = None, **others: str) -> dict[Any, str]:
        """The ids of the runs that are resumed, by key."""
        kept, _ = key_runs.kept_runs(job, self.folder, variables or {}, others or None)
        return {key: run.id for key, run in kept.items()}


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


@contextmanager
def at_work(run: Run) -> Iterator[None]:
    with ledger.held(run.folder):
        yield


class TestWhichRun:
    def test_the_newest_of_each_key_that_has_not_succeeded(self, kept: Kept) -> None:
        """Where that has succeeded, an older one is no matter."""
        kept.add()
        newest = kept.add("timed out")
        kept.add(day=SECOND[0])
        kept.add("success", day=SECOND[0])
        assert kept.resumed() == {FIRST: newest.id}

    def test_one_that_nobody_ended(self, kept: Kept) -> None:
        """Its process was killed. While a process has it, it is at work."""
        run = kept.add(None)
        assert kept.resumed() == {FIRST: run.id}
        with at_work(run):
            found, running = key_runs.kept_runs(JOB, kept.folder, {})
            assert (found, [one.id for one in running.values()]) == ({}, [run.id])

    def test_no_run_that_is_part_of_another(self, kept: Kept) -> None:
        """It is resumed with that one."""
        own = kept.add()
        kept.add(parent=own.id, task="other")
        assert kept.resumed() == {FIRST: own.id}

    @pytest.mark.parametrize(
        ("ends", "facts", "state", "is_blocked"),
        [
            ({"load": "failed"}, [], "failed", False),
            ({"load": "success"}, [WROTE], "failed", True),
            ({"load": "success"}, [], "failed", True),
            ({"load": "timed out"}, [], "failed", True),  # it was killed, and may have stored something
            ({"load": "failed"}, [], "cancelled", True),
            ({"load": "failed"}, [], None, True),
        ],
    )
    def test_a_run_of_some_tasks_is_not_resumed(
        self, kept: Kept, ends: dict[str, str], facts: Any, state: str | None, is_blocked: bool
    ) -> None:
        """Nor one before it, unless it has surely stored nothing."""
        whole = kept.add()
        kept.add(state, ends=ends, facts=facts, selected=["load"])
        assert kept.resumed() == ({} if is_blocked else {FIRST: whole.id})

    def test_a_damaged_one_holds_back_those_before_it(self, kept: Kept) -> None:
        """Nobody knows what it has stored."""
        kept.add()
        kept.add(damaged=True)
        assert kept.resumed() == {}

    def test_one_with_other_bundle_variables_has_other_tables(self, kept: Kept) -> None:
        """A variable that it did not have makes no difference."""
        kept.add(variables={"lake": "a", "x": "1"})
        run = kept.add(variables={"lake": "b"})
        assert kept.resumed(variables={"lake": "b", "x": "2"}) == {FIRST: run.id}

    def test_one_that_had_other_values_is_not_the_same(self, kept: Kept) -> None:
        """Where these are asked for: without keys any parameter may say what a run is for."""
        run = kept.add(parameters={"note": "a"})
        kept.add(parameters={"note": "b"})
        assert kept.resumed(note="a") == {FIRST: run.id}
        assert kept.resumed() != {FIRST: run.id}

    def test_one_of_before_a_key_had_its_name_is_found_but_not_resumed(self, kept: Kept) -> None:
        """Its record has the name of then."""
        kept.add()
        renamed = replace(JOB, parameters=(replace(DAY, name="date", key=Periods("daily", was="day")), NOTE))
        assert kept.resumed(renamed) == {}
        assert key_runs.key_of_run(renamed, kept.add()) == FIRST
        assert key_runs.key_of_run(replace(JOB, parameters=(replace(DAY, name="date"),)), kept.add()) is None
        run = kept.add(job=renamed, parameters={"date": FIRST[0]})
        assert kept.resumed(renamed) == {FIRST: run.id}

    def test_runs_that_have_succeeded_since(self, kept: Kept) -> None:
        """Whole ones, that a person has started."""
        kept.add("success", started_ms=99)
        kept.add("success", day=SECOND[0], started_ms=100)
        kept.add("success", selected=["load"], started_ms=101)
        kept.add("success", parent="1", started_ms=101)
        kept.add("failed", started_ms=101)
        assert key_runs.done_since(JOB, kept.folder, 100, {}) == {SECOND}
        kept.add("success", started_ms=101, variables={"lake": "a"}, parameters={"note": "x"})
        for variables, others, found in (
            ({"lake": "a"}, {"note": "x"}, True),
            ({"lake": "b"}, {"note": "x"}, False),
            ({"lake": "a"}, {"note": "y"}, False),
            ({}, None, True),
        ):
            assert (FIRST in key_runs.done_since(JOB, kept.folder, 100, variables, others)) is found
        assert key_runs.done_since(JOB, kept.folder, 99, {}) == {FIRST, SECOND}


class TestMeanwhile:
    def test_a_run_of_the_key_that_another_command_has_started_since_is_found(self, kept: Kept) -> None:
        """Not one of before, of another key, of the backfill itself, or in another lake."""
        before = kept.add()
        meanwhile = key_runs.Meanwhile(JOB, kept.folder, {"lake": "a"}, since=before.id)
        assert meanwhile.of(FIRST) is None
        kept.add(day=SECOND[0])
        kept.add(job=OTHER)
        assert meanwhile.of(FIRST) is None
        own = kept.add()
        meanwhile.own.add(own.id)
        assert meanwhile.of(FIRST) is None
        newest = kept.add(variables={"lake": "a"}, parent=before.id)
        found = meanwhile.of(FIRST)
        assert found is not None
        assert found.id == newest.id
        kept.add(variables={"lake": "b"})
        assert meanwhile.of(FIRST) is None

    def test_without_keys_the_other_values_tell(self, kept: Kept) -> None:
        """A run with others is another one."""
        meanwhile = key_runs.Meanwhile(JOB, kept.folder, {}, {"note": "x"}, since="0")
        same = kept.add(parameters={"note": "x"})
        kept.add(parameters={"note": "y"})
        found = meanwhile.of(FIRST)
        assert found is not None
        assert found.id == same.id


class TestByHand:
    def test_a_damaged_run_and_one_inside_of_another_are_resumed_by_a_command(self, kept: Kept) -> None:
        """The one that a person has started."""
        outer = kept.add(day=SECOND[0])
        kept.add(parent=outer.id, task="other")
        assert key_runs.by_hand(JOB, kept.folder, FIRST, {}) == f"dbxdec run delays --resume {outer.id}"
        damaged = kept.add(damaged=True)
        assert key_runs.by_hand(JOB, kept.folder, FIRST, {}) == f"dbxdec run delays --resume {damaged.id}"

    @pytest.mark.parametrize("how", [{"state": "success"}, {"selected": ["load"]}])
    def test_one_that_is_whole_or_is_of_some_tasks_is_not(self, kept: Kept, how: dict[str, Any]) -> None:
        """Resuming it does not make the key."""
        kept.add(damaged=True, **how)
        assert key_runs.by_hand(JOB, kept.folder, FIRST, {}) is None

    def test_another_key_or_lake_has_none(self, kept: Kept) -> None:
        """Nor has a run that a backfill resumes itself."""
        kept.add(damaged=True, variables={"lake": "a"})
        assert key_runs.by_hand(JOB, kept.folder, SECOND, {}) is None
        assert key_runs.by_hand(JOB, kept.folder, FIRST, {"lake": "b"}) is None
        kept.add()
        assert key_runs.by_hand(JOB, kept.folder, FIRST, {}) is None


def test_a_task_has_written_where_it_says_which_version(kept: Kept) -> None:
    """One that has returned None says none, and a read is no write."""
    for facts, has_written in (([WROTE], True), ([{"kind": "write", "name": "load"}], False), ([], False)):
        run = kept.add(ends={"load": "success"}, facts=[*facts, {"kind": "read", "name": "x", "version": 1}])
        assert key_runs.has_written(run, "load") is has_written
        assert not key_runs.has_written(run, "report")


RUN_JOB = task("other", "load", kind="run_job", function=None, settings={"run_job_task": {"job_id": "x"}})
DONE = dict.fromkeys(ALL, "success")


@pytest.mark.parametrize(
    ("tasks", "ends", "state", "lacks"),
    [
        ((LOAD, REPORT, MAIL), DONE, "success", False),
        ((LOAD, REPORT, MAIL), {**DONE, "report": "failed", "mail": "upstream failed"}, "failed", False),
        ((LOAD, REPORT, MAIL), {**DONE, "mail": "failed"}, "succeeded with failures", False),
        ((LOAD, REPORT, MAIL), {"load": "success", "report": "success"}, "cancelled", True),  # it has not mailed
        ((LOAD, REPORT, MAIL), {"load": "success", "report": "success"}, "failed", False),
        ((LOAD, RUN_JOB), {"load": "success", "other": "failed"}, "failed", True),
        ((LOAD, RUN_JOB), {"load": "success", "other": "excluded"}, "failed", False),
        ((LOAD, replace(RUN_JOB, run_if="AT_LEAST_ONE_FAILED")), {"load": "success"}, "failed", False),
        ((LOAD, replace(RUN_JOB, on_failure=True)), {"load": "success"}, "failed", False),
        (
            (LOAD, replace(REPORT, outputs={"result": replace(MERGED["result"], settings={"keyed": False})})),
            {"load": "success", "report": "failed"},
            "failed",
            True,
        ),
    ],
)
def test_what_no_table_with_keys_tells_of_is_lacking(
    kept: Kept, tasks: tuple[Task, ...], ends: dict[str, str], state: str, lacks: bool
) -> None:
    """Another job, a table without keys, and whatever a killed run has not begun; not what only a failure asks for."""
    run = kept.add(state, ends=ends, job=replace(JOB, tasks=tasks))
    assert key_runs.lacks_something(run) is lacks


def test_a_job_that_was_not_started_yet_is_started_by_a_resumed_run(kept: Kept) -> None:
    """One that has begun is resumed itself."""
    job = replace(JOB, tasks=(LOAD, RUN_JOB))
    assert key_runs.has_inner_to_start(kept.add(job=job, ends={"load": "success"}))
    assert key_runs.has_inner_to_start(kept.add(job=job, ends={"load": "success", "other": "failed"}))
    assert not key_runs.has_inner_to_start(kept.add(job=job, ends={"load": "failed", "other": "success"}))
    begun = kept.add(None, job=job, ends={})
    ledger.Ledger(begun.folder, {}).note("inner", task="other", run="123")
    assert not key_runs.has_inner_to_start(history.fresh(begun))
    assert not key_runs.has_inner_to_start(kept.add(ends={}))


def done_of(run: Run, job: Job = JOB, selected: Collection[str] = ALL, replaced: Collection[str] = ()) -> list[str]:
    return list(resuming.kept_of(job, run, selected=selected, replaced=replaced))


class TestResuming:
    def test_what_has_failed_and_all_after_it_runs_again(self, kept: Kept) -> None:
        """Also a task after it that has succeeded."""
        assert done_of(kept.add(ends={"load": "success", "report": "failed", "mail": "success"})) == ["load"]
        assert done_of(kept.add(ends=DONE)) == list(ALL)
        assert done_of(kept.add(ends={"report": "success", "mail": "success"})) == []

    def test_a_task_with_another_definition_runs_again(self, kept: Kept) -> None:
        """Its inputs, outputs or conditions; its code and its settings are no matter."""
        run = kept.add(ends=DONE)
        for changed in (
            replace(REPORT, outputs={}),
            replace(REPORT, run_if="ALL_DONE"),
            replace(REPORT, inputs={"x": dag.Literal(1)}),
            replace(REPORT, depends_on=()),
        ):
            assert "report" not in done_of(run, replace(JOB, tasks=(LOAD, changed, MAIL)))
        for same in (replace(REPORT, function="shop:new"), replace(REPORT, settings={"max_retries": 3})):
            assert done_of(run, replace(JOB, tasks=(LOAD, same, MAIL))) == list(ALL)

    def test_what_was_not_run_then_may_be_run_now(self, kept: Kept) -> None:
        """A task that was not selected, and one that a command replaces now."""
        run = kept.add(ends={"load": "skipped", "report": "success", "mail": "not selected"})
        assert done_of(run, selected=[]) == list(ALL)
        assert done_of(run, selected=["mail"]) == ["load", "report"]
        assert done_of(run, selected=[], replaced=["load"]) == []

    def test_a_task_that_was_asked_for_is_as_unfinished_as_it_was(self, kept: Kept) -> None:
        """Without it the run has not succeeded."""
        run = kept.add(ends={"load": "failed", "report": "excluded"}, selected=["load", "report"])
        assert resuming.left_out(None, "load") is State.DESELECTED
        assert resuming.left_out(run, "load") is State.FAILED
        assert resuming.left_out(run, "report") is State.DESELECTED
        assert resuming.left_out(run, "mail") is State.DESELECTED
        killed = kept.add(None, ends={}, selected=["load"])
        assert resuming.left_out(killed, "load") is State.CANCELLED
        assert resuming.left_out(killed, "mail") is State.DESELECTED
        assert resuming.left_out(kept.add(None, ends={}), "mail") is State.CANCELLED

    def test_a_kept_task_is_shown_as_it_ended(self, kept: Kept) -> None:
        """With what its last attempt that was a success has written, and nothing of other tasks."""
        read, other = {"kind": "read", "name": "x"}, {**WROTE, "version": 9}
        made = ledger.Ledger(kept.add(None, ends={}).folder, {})
        kept.attempt(made, "load", "failed", [other])
        kept.attempt(made, "load", "success", [WROTE, read])
        kept.attempt(made, "report", "success", [other])
        made.note("task", task="load", state="success", started_ms=1, ended_ms=7, attempts=2, said="2 tries", run="5")
        run = kept.read(made)
        found = resuming.as_it_ended(run, run.tasks()["load"])
        assert (found.key, found.state, found.started_ms, found.ended_ms) == ("load", State.SUCCESS, 1, 7)
        assert (found.wrote, found.said, found.run, found.kept) == ((WROTE,), "2 tries", "5", True)

    def test_iterations_that_have_ended_well_are_kept(self, kept: Kept) -> None:
        """With what they have written, of tasks that are the same and come after kept ones only."""
        each = replace(REPORT, each=dag.Each(dag.Literal([1, 2, 3])))
        job = replace(JOB, tasks=(LOAD, each, MAIL))
        made = ledger.Ledger(kept.add(None, ends={"load": "success"}, job=job).folder, {})
        for number, how in enumerate(("success", "failed", "success")):
            kept.attempt(made, "report", how, [WROTE, {"kind": "read", "name": "x"}], number)
        run = kept.read(made)
        assert resuming.kept_iterations(job, run, ["load"]) == {"report": {0: (WROTE,), 2: (WROTE,)}}
        assert resuming.kept_iterations(job, run, []) == {}
        assert resuming.kept_iterations(job, run, ["load", "report"]) == {}
        changed = replace(job, tasks=(LOAD, replace(each, inputs={"x": dag.Item()})))
        assert resuming.kept_iterations(changed, run, ["load"]) == {}


class TestInside:
    def started(self, kept: Kept, outer: Run, values: dict[str, str], task: Task = RUN_JOB) -> Run | None:
        return resuming.earlier_run(kept.folder, outer, task, OTHER, values)

    def test_the_run_that_a_task_has_started_is_resumed(self, kept: Kept) -> None:
        """Also where a kill came before its id was noted. Another task, or another job, has none."""
        outer = kept.add()
        values = {"day": FIRST[0], "note": ""}
        assert self.started(kept, outer, values) is None
        inner = kept.add(job=OTHER, parent=outer.id, task="other")
        found = self.started(kept, outer, values)
        assert found is not None
        assert found.id == inner.id
        assert self.started(kept, outer, values, replace(RUN_JOB, key="another")) is None
        assert resuming.earlier_run(kept.folder, outer, RUN_JOB, JOB, values) is None
        assert resuming.earlier_run(kept.folder, None, RUN_JOB, OTHER, values) is None

    def test_its_id_in_the_record_counts(self, kept: Kept) -> None:
        """Rather than a newer run that says to be of the task."""
        outer = kept.add(None, ends={})
        inner = kept.add(job=OTHER)
        kept.add(job=OTHER, parent=outer.id, task="other")
        ledger.Ledger(outer.folder, {}).note("inner", task="other", run=inner.id)
        found = self.started(kept, history.fresh(outer), {"day": FIRST[0], "note": ""})
        assert found is not None
        assert found.id == inner.id

    @pytest.mark.parametrize(
        ("values", "named"),
        [
            ({"day": SECOND[0], "note": ""}, "`day`"),
            ({"day": FIRST[0]}, "`note`"),
            ({"day": FIRST[0], "note": "", "new": "1"}, "`new`"),
            ({"day": SECOND[0], "note": "x"}, "`day` and `note`"),
        ],
    )
    def test_with_other_values_it_is_begun_anew_where_it_has_stored_nothing(
        self, kept: Kept, values: dict[str, str], named: str
    ) -> None:
        """Otherwise the results of both would be there. A parameter that is gone, or new, is another value."""
        outer = kept.add()
        kept.add(job=OTHER, parent=outer.id, task="other")
        assert self.started(kept, outer, values) is None
        kept.add(job=OTHER, parent=outer.id, task="other", ends={"load": "success"}, facts=[WROTE])
        with pytest.raises(RunError, match=f"has run `other` already, as run .*, with other values of {named}: "):
            self.started(kept, outer, values)

    def test_a_run_has_stored_nothing_where_all_its_attempts_say_so(self, kept: Kept) -> None:
        """Neither one that was killed, nor one whose record is damaged, nor one that has run another job."""
        assert resuming.has_stored_nothing(kept.add(ends={"load": "success"}))
        assert not resuming.has_stored_nothing(kept.add(ends={"load": "success"}, facts=[WROTE]))
        assert not resuming.has_stored_nothing(kept.add(damaged=True))
        for event, facts in (
            ("inner", {"run": "123"}),
            ("begun", {"iteration": None, "attempt": 7, "title": "", "log": "logs/x", "time_ms": 1}),
        ):
            run = kept.add(None)
            ledger.Ledger(run.folder, {}).note(event, task="load", **facts)
            assert not resuming.has_stored_nothing(history.fresh(run))


class TestMovedTables:
    def test_rows_that_a_task_of_another_name_has_appended_are_not_appended_again(self, kept: Kept) -> None:
        """Nor where it was killed; a task that has stored nothing is no matter."""
        moved = replace(JOB, tasks=(replace(LOAD, key="fetch"), MAIL))
        run = kept.add(ends={"load": "success"}, facts=[WROTE])
        with pytest.raises(RunError, match=r"`load` has appended to .*lake/orders, to which now `fetch` appends"):
            resuming.refuse_moved(moved, run, ["fetch"])
        resuming.refuse_moved(moved, run, ["mail"])
        resuming.refuse_moved(moved, kept.add(ends={"load": "success"}), ["fetch"])
        resuming.refuse_moved(JOB, run, ALL)
        both = replace(JOB, tasks=(LOAD, replace(LOAD, key="fetch")))
        resuming.refuse_moved(both, run, ["load", "fetch"])

    def test_a_run_remembers_them_of_jobs_that_it_had_before(self, kept: Kept) -> None:
        """The definition is the one of the last repair."""
        run = kept.add(appended={"gone": ["lake/x"], "load": ["lake/y"], "none": []})
        assert resuming.appended_by(run) == {"gone": ["lake/x"], "load": ["lake/y", "lake/orders"]}
