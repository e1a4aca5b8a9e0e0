"""The plan of a backfill: which keys are run, resumed or left alone, and what is refused since it would do harm."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dbxdec.errors import RunError, SourceLocation
from dbxdec.local import key_runs
from dbxdec.local.backfill import (
    Again,
    Earlier,
    PlanOf,
    appended_twice,
    one_at_a_time,
    plan_of,
    planned,
    run_anew,
    thinned,
)
from dbxdec.local.missing import Key, Keys, Table
from dbxdec.model.dag import Job, JobParameter
from dbxdec.model.keys import Choices, Periods
from dbxdec.model.values import ValueType

DAY = JobParameter("day", ValueType("date"), key=Periods("daily"))
REGION = JobParameter("region", ValueType("str"), key=Choices(("eu", "us")))
JOB = Job("delays", "shop", "delays", SourceLocation("a.py", 1), (), (DAY,))
KEYS: list[Key] = [(f"2024-01-0{number}",) for number in (1, 2, 3, 4)]
A, B, C, D = KEYS


@dataclass(frozen=True)
class Made:
    """A run that was made, wherever."""

    started: int = 0


def table(*done: Key, name: str = "gold", mode: str = "part", begun: tuple[Key, ...] = (), **more: Any) -> Table:
    """A table that is there."""
    return Table(name, frozenset(done), frozenset(begun), created=1, mode=mode, task=f"{name}ing", **more)


def keys(*tables: Table, due: Sequence[Key] = KEYS, names: tuple[str, ...] = ("day",)) -> Keys:
    return Keys("delays", names, tuple(due), tables)


def plan(of: Keys, kept: dict[Key, Made] | None = None, **options: Any) -> PlanOf[Made]:
    given: dict[str, Any] = {"again": None, "newest_first": False, **options}
    return plan_of(JOB, of, kept or {}, **given)


def made(
    of: Keys,
    kept: dict[Key, Any],
    monkeypatch: pytest.MonkeyPatch,
    running: dict[Key, Any] | None = None,
    *,
    lacks: bool = False,
    since: Collection[Key] = (),
    **options: Any,
) -> PlanOf[Any]:
    """The plan by the runs that are kept on this machine."""
    monkeypatch.setattr(key_runs, "kept_runs", lambda *_: (kept, running or {}))
    monkeypatch.setattr(key_runs, "has_written", lambda run, _: run.wrote)
    monkeypatch.setattr(key_runs, "lacks_something", lambda _: lacks)
    monkeypatch.setattr(key_runs, "done_since", lambda *_: set(since))
    monkeypatch.setattr(key_runs, "by_hand", lambda *_: None)
    given: dict[str, Any] = {"again": None, "newest_first": False, **options}
    return planned(JOB, of, Path("unused"), **given)


def runs(found: PlanOf[Made]) -> list[Key]:
    return [step.key for step in found.steps]


def refused(of: Keys, kept: dict[Key, Made] | None = None, **options: Any) -> list[str]:
    """What a plan is refused for."""
    with pytest.raises(RunError) as error:
        plan(of, kept, **options)
    return [f"{problem.message} | {problem.hint}" for problem in error.value.problems]


class TestSteps:
    def test_missing_keys_are_run_and_done_ones_are_not(self) -> None:
        """The oldest first, or the newest."""
        there = keys(table(B))
        found = plan(there)
        assert (runs(found), found.done, found.unfinished, found.lacking) == ([A, C, D], 1, 0, 0)
        assert {step.state for step in found.steps} == {"missing"}
        assert runs(plan(there, newest_first=True)) == [D, C, A]

    def test_a_key_of_which_a_table_lacks_the_rows_is_partial(self) -> None:
        """It is run, by a run that goes on if there is one."""
        there, kept = keys(table(A, B), table(A, name="silver")), {B: Made(5)}
        assert [(step.key, step.state, step.before) for step in plan(there, kept).steps] == [
            (B, "partial", kept[B]),
            (C, "missing", None),
            (D, "missing", None),
        ]
        assert plan(there).steps[0].before is None

    @pytest.mark.parametrize(
        ("again", "expected"),
        [
            (None, [(C, True), (D, False)]),
            ("failed", [(A, True), (C, True), (D, False)]),
            ("partial", [(C, True), (D, False)]),
            ("all", [(A, False), (B, False), (C, False), (D, False)]),
        ],
    )
    def test_done_keys_are_run_again_as_it_was_asked(self, again: Again, expected: list[tuple[Key, bool]]) -> None:
        """`failed` resumes those whose run has not succeeded, `all` makes new runs of all."""
        found = plan(keys(table(A, B)), {A: Made(), C: Made()}, again=again)
        assert [(step.key, step.before is not None) for step in found.steps] == expected
        assert found.done == 2
        assert found.unfinished == (1 if again in (None, "partial") else 0)

    def test_a_partial_key_is_made_anew_where_that_is_asked(self) -> None:
        """A missing one is resumed all the same."""
        there, kept = keys(table(A), table(name="silver")), {A: Made(), B: Made()}
        found = plan(there, kept, again="partial")
        assert [(step.key, step.before is not None) for step in found.steps[:2]] == [(A, False), (B, True)]

    def test_a_done_key_whose_run_lacks_something_is_resumed(self) -> None:
        """But not where a whole table has rows of a newer key by now, and not without such a run."""
        kept = {A: Made(), B: Made()}
        found = plan(keys(table(A, B), due=[A, B]), kept, lacking={A})
        assert ([(step.key, step.before) for step in found.steps], found.lacking, found.unfinished) == (
            [(A, kept[A])],
            1,
            1,
        )
        assert runs(plan(keys(table(A, B, mode="whole"), due=[A, B]), kept, lacking={A})) == []
        assert runs(plan(keys(table(A, B, mode="whole"), due=[A, B]), kept, lacking={B})) == [B]
        assert runs(plan(keys(table(A, B), due=[A, B]), {}, lacking={A})) == []

    def test_a_resumed_backfill_leaves_out_what_it_has_done_well(self) -> None:
        """Of what it was asked to make again. A run that it has made itself goes on."""
        earlier = Earlier(frozenset({A, B}), began=100)
        there, kept = keys(table(A, C, D)), {C: Made(100), D: Made(99)}
        found = plan(there, kept, again="all", earlier=earlier)
        assert [(step.key, step.before) for step in found.steps] == [(C, kept[C]), (D, None)]
        assert found.done == 3
        assert runs(plan(there, kept, earlier=earlier)) == [B]

    def test_a_resumed_backfill_goes_on_with_its_own_run_of_a_partial_key(self) -> None:
        """An older run is not resumed where a new one was asked for."""
        earlier = Earlier(frozenset(), began=100)
        there = keys(table(A, B), table(name="silver"), due=[A, B])
        kept = {A: Made(100), B: Made(99)}
        found = plan(there, kept, again="partial", earlier=earlier)
        assert [(step.key, step.before) for step in found.steps] == [(A, kept[A]), (B, None)]


class TestRefusals:
    def test_a_table_that_can_not_tell_is_no_missing_key(self) -> None:
        """Each such Delta table is named, with why; another store is no matter."""
        unread = Table("gold", why="no permission", mode="part")
        (said,) = refused(keys(unread, Table("mail", why="no Delta table", is_delta=False)))
        assert said == "of gold it can't be told which keys it has: no permission | read the table's log first"
        assert runs(plan(keys(Table("mail", why="no Delta table", is_delta=False), table(A, B, C)))) == [D]

    def test_keys_of_which_it_can_not_be_told_are_refused_where_they_are_due(self) -> None:
        """Others of the table are told."""
        there = table(A, untold=frozenset({B}), told_since=int(dt.datetime(2024, 1, 3).timestamp() * 1000))
        assert len(refused(keys(there))) == 1
        assert runs(plan(keys(there, due=[A, C]))) == [C]

    def test_rows_that_would_be_appended_again_are_refused(self) -> None:
        """With the command that resumes their run, and once what else a person can do."""
        there = keys(table(A, B, mode="append"), table(name="silver"))
        one, other = refused(there, by_hand=lambda key: "dbxdec run x" if key == A else None)
        assert one == (
            "2024-01-01 is in `gold` and not in all tables: a new run would append it again | "
            "resume the run that wrote it: `dbxdec run x`"
        )
        assert other.startswith("2024-01-02 is in `gold` and not in all tables: a new run would append it again | with")
        assert [step.before for step in plan(there, {A: Made(), B: Made()}).steps[:2]] == [Made(), Made()]
        for again in ("partial", "all"):
            assert runs(plan(there, again=again)) == [A, B, C, D]

    def test_a_part_of_a_key_would_be_appended_again_too(self) -> None:
        """Some iterations are there."""
        (said,) = refused(keys(table(mode="append", begun=(A,))))
        assert said.startswith("2024-01-01 is in `gold` and not in all tables")
        assert runs(plan(keys(table(begun=(A,))))) == [A, B, C, D]

    def test_five_of_many_are_named(self) -> None:
        """The hint for all comes with the last of them, and then how many more there are."""
        many: list[Key] = [(f"2024-01-{number:02}",) for number in range(1, 9)]
        said = refused(keys(table(*many, mode="append"), table(name="silver"), due=many))
        assert [one.partition(" ")[0] for one in said[:5]] == [key[0] for key in many[:5]]
        assert ["`--again partial`" in one for one in said] == [False] * 4 + [True, False]
        assert said[5] == "and so are 3 other keys | None"
        five = refused(keys(table(*many[:5], mode="append"), table(name="silver"), due=many[:5]))
        assert len(five) == 5

    def test_a_table_that_is_not_there_yet_is_named_where_keys_are_refused(self) -> None:
        """It may have had no row for them."""
        there = keys(table(A, mode="append"), Table("silver"), due=[A])
        assert [one.partition(" is ")[0] for one in refused(there)] == ["2024-01-01", "silver"]

    def test_rows_of_unknown_keys_are_not_appended_to(self) -> None:
        """Unless all is made again; and a plan without a run appends nothing."""
        strange = table(mode="append", strange=True)
        (said,) = refused(keys(strange))
        assert "gold has rows of which no log says the keys" in said
        assert "`dbxdec keys mark delays KEY=A..B --task golding`" in said
        assert runs(plan(keys(strange), again="all")) == KEYS
        assert runs(plan(keys(strange, due=[]))) == []
        assert runs(plan(keys(replace(strange, mode="merge")))) == KEYS
        assert runs(plan(keys(replace(strange, created=None)))) == KEYS

    def test_a_key_whose_run_is_at_work_is_refused(self) -> None:
        """That of a key that needs none is no matter."""
        run: Any = type("Working", (), {"id": "r7"})()
        (said,) = refused(keys(table(A)), running={B: run})
        assert said == "the run r7 of the job `delays` for 2024-01-02 is at work | wait for it, or end it"
        assert runs(plan(keys(table(A)), running={A: run})) == [B, C, D]

    def test_a_table_that_is_replaced_as_a_whole_must_end_with_the_newest_key(self) -> None:
        """By the plan, and by what is there already."""
        whole = table(mode="whole")
        assert runs(plan(keys(whole))) == KEYS
        (said,) = refused(keys(whole), newest_first=True)
        assert "would end with the rows of 2024-01-01, and not with those of 2024-01-04" in said
        assert said.endswith("or end with the newest key, without `--newest-first`")
        (said,) = refused(keys(table(D, mode="whole")))
        assert "would end with the rows of 2024-01-03, and not with those of 2024-01-04" in said
        assert said.endswith("or end with the newest key")
        assert runs(plan(keys(table(D, mode="part"), table(mode="merge", name="m")), newest_first=True))

    def test_a_whole_table_of_a_job_without_periods_has_no_newest_key(self) -> None:
        """Any order will do."""
        job = replace(JOB, parameters=(REGION,))
        regions = keys(table(("us",), mode="whole"), due=[("eu",), ("us",)], names=("region",))
        found: PlanOf[Made] = plan_of(job, regions, {}, again=None, newest_first=False)
        assert [step.key for step in found.steps] == [("eu",)]

    def test_all_reasons_are_said_at_once(self) -> None:
        """What can't be told, and what would be appended again."""
        there = keys(Table("bronze", why="no permission"), table(A, mode="append"), table(name="silver"))
        assert [one.partition(" ")[0] for one in refused(there)] == ["of", "2024-01-01"]


def ran(*tasks: str, started: int = 5, ended: str = "failed", wrote: bool = False) -> Any:
    """A run of the job that is kept here: the tasks that it had, how each ended, and whether it has written."""
    events = {name: {"state": ended} for name in tasks}
    dag = SimpleNamespace(tasks=[SimpleNamespace(key=name) for name in tasks])
    return SimpleNamespace(started=started, tasks=lambda: events, dag=dag, wrote=wrote)


@pytest.mark.parametrize(
    ("there", "run", "is_resumed"),
    [
        (table(), ran("golding"), True),
        (table(forgotten={A: 4}), ran("golding", started=5), True),
        (table(forgotten={A: 5}), ran("golding", started=5), False),  # a person has deleted its rows since
        (table(forgotten={A: 6}), ran("golding", started=5), False),
        (table(forgotten={B: 6}), ran("golding", started=5), True),
        (table(begun=(A,), mode="append"), ran("golding"), True),
        (table(begun=(A,), mode="merge"), ran("other"), True),
        (table(mode="append"), ran("other"), True),
        (table(), ran("golding", ended="success"), False),  # its rows were taken away since
        (replace(table(), created=None), ran("golding", ended="success"), True),  # it has returned None
        (replace(table(), created=None), ran("golding", ended="success", wrote=True), False),  # the table was deleted
        (table(begun=(A,)), ran("golding", ended="success"), True),
    ],
)
def test_a_run_is_resumed_where_it_and_the_tables_say_the_same(
    there: Table, run: Any, is_resumed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it would keep as done what is no longer there, or store again what is."""
    silver = table(name="silver")
    step = made(keys(there, silver), {A: run}, monkeypatch).steps[0]
    assert (step.key, step.before is run) == (A, is_resumed)


def test_the_rows_of_a_task_with_another_name_are_not_appended_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its run is not resumed: nothing would tell the task of today that they are there."""
    there = keys(table(A, mode="append"), table(name="silver"))
    with pytest.raises(RunError, match="2024-01-01 is in `gold` and not in all tables"):
        made(there, {A: ran("other")}, monkeypatch)
    assert made(there, {A: ran("golding")}, monkeypatch).steps[0].before is not None


def test_runs_at_work_are_no_matter_where_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan alone may be looked at any time."""
    working = {A: SimpleNamespace(id="r7")}
    with pytest.raises(RunError, match="the run r7 of the job `delays` for 2024-01-01 is at work"):
        made(keys(table()), {}, monkeypatch, working)
    assert len(made(keys(table()), {}, monkeypatch, working, only_planned=True).steps) == 4


def test_what_a_run_of_a_done_key_lacks_is_made_unless_that_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As rows below a branch, of which no table tells."""
    there, run = keys(table(A, B, C, D)), ran("golding", "mail", ended="failed", wrote=True)
    assert [step.before for step in made(there, {A: run}, monkeypatch, lacks=True).steps] == [run]
    assert made(there, {A: run}, monkeypatch).steps == ()
    assert made(there, {A: run}, monkeypatch, lacks=True, lacking=False).steps == ()


def test_a_resumed_backfill_does_not_make_again_what_another_run_has_made_since(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also one that a person has started."""
    there = keys(table(A, B, C, D))
    found = made(there, {}, monkeypatch, again="all", earlier=Earlier(frozenset({A}), 100), since={B})
    assert [step.key for step in found.steps] == [C, D]


def test_the_periods_alone_say_which_key_is_newer() -> None:
    """Not another key before them."""
    job = replace(JOB, parameters=(REGION, DAY))
    due: list[Key] = [("us", "2024-01-01"), ("eu", "2024-01-02")]
    found: PlanOf[Made] = plan_of(job, keys(table(mode="whole"), due=due), {}, again=None, newest_first=False)
    assert [step.key for step in found.steps] == due


def test_what_is_written_whole_or_appended_again_is_named() -> None:
    """For the questions that a person is asked before."""
    tables = table(A, mode="append", begun=(B,)), table(A, mode="whole", name="silver"), table(A, name="bronze")
    there = keys(*tables, due=[A, B, C])
    found = plan(there, again="all")
    assert one_at_a_time(there) == ["silver"]
    assert appended_twice(there, found) == [("gold", 2)]
    assert run_anew(found) == [B, C]
    resumed = plan(there, {A: Made(), B: Made(), C: Made()}, again="failed")
    assert appended_twice(there, resumed) == []
    assert run_anew(resumed) == []


MONTHS: list[Key] = [(f"2024-{number:02}-01",) for number in range(1, 13)]


@pytest.mark.parametrize(
    ("every", "kept"),
    [("1m", MONTHS), ("2m", MONTHS[::2]), ("12m", MONTHS[:1]), ("1w", MONTHS), ("31d", [*MONTHS[:2], *MONTHS[3:]])],
)
def test_keys_are_thinned_from_the_first_one_on(every: str, kept: list[Key]) -> None:
    """Each kept key is the first one at or after the next step."""
    found = thinned(JOB, keys(due=MONTHS), every)
    assert list(found.due) == kept


@pytest.mark.parametrize(
    ("every", "said"),
    [
        ("0d", "--every '0d' is no distance"),
        ("d", "is no distance"),
        ("1y", "is no distance"),
        ("12345d", "is no distance"),
        ("2h", "--every 2h is for keys that are hours"),
    ],
)
def test_another_distance_is_refused(every: str, said: str) -> None:
    """Hours are for hours."""
    with pytest.raises(RunError, match=said):
        thinned(JOB, keys(), every)


def test_only_periods_have_a_distance() -> None:
    """The job has to have one."""
    with pytest.raises(RunError, match="has no key that is a day, a week, a month or an hour"):
        thinned(replace(JOB, parameters=(REGION,)), keys(due=[("eu",)], names=("region",)), "1d")


def test_hours_are_thinned_by_hours() -> None:
    """Also where days are asked for."""
    hours: list[Key] = [(f"2024-01-0{day}T{hour:02}:00Z",) for day in (1, 2) for hour in range(24)]
    job = replace(JOB, parameters=(JobParameter("hour", ValueType("datetime"), key=Periods("hourly")),))
    assert list(thinned(job, keys(due=hours), "12h").due) == hours[::12]
    assert list(thinned(job, keys(due=hours), "1d").due) == hours[::24]
