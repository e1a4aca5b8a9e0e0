"""What a job's graph tells: the order of its tasks, their places, who reads what, and the values of parameters."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbxdec.errors import SourceLocation
from dbxdec.model import dag
from dbxdec.model.following import passing
from dbxdec.model.rundate import RunDate
from dbxdec.model.trigger import REFERENCE, Trigger
from dbxdec.model.values import ValueType

WHERE = SourceLocation("m.py", 1)


@st.composite
def jobs(draw: st.DrawFn) -> dag.Job:
    """A job without cycles, whose tasks stand in any order."""
    count = draw(st.integers(0, 12))
    names = draw(st.permutations([f"t{i}" for i in range(count)]))
    tasks = []
    for i, name in enumerate(names):
        upstream = draw(st.lists(st.sampled_from(names[:i]), unique=True)) if i else []
        tasks.append(dag.Task(name, "m:f", WHERE, {}, {}, tuple(map(dag.Dependency, upstream))))
    return dag.Job("j", "m", "m:j", WHERE, tuple(draw(st.permutations(tasks))))


@given(jobs())
def test_each_task_runs_as_early_as_the_author_wrote_it(job: dag.Job) -> None:
    """The next task is always the first in the author's order of those whose upstream tasks have all been."""
    left = list(job.tasks)
    for task in dag.run_order(job):
        ready = [t for t in left if not {d.task for d in t.depends_on} & {t.key for t in left}]
        assert task is ready[0]
        left.remove(task)
    assert left == []


def task(key: str, *inputs: dag.Binding, outputs: tuple[dag.Output, ...] = (), variables: str = "") -> dag.Task:
    """A task that is given `inputs`."""
    return dag.Task(
        key,
        "m:f",
        WHERE,
        {f"p{i}": binding for i, binding in enumerate(inputs)},
        {f"o{i}": output for i, output in enumerate(outputs)},
        variables=tuple(variables.split()),
    )


def job(*tasks: dag.Task) -> dag.Job:
    return dag.Job("j", "m", "m:j", WHERE, tasks)


def test_leaves_are_found_in_lists_and_mappings() -> None:
    """At any depth, in their order."""
    leaves = [dag.TaskOutput(name) for name in "abc"]
    inner = dag.Mapped((("x", leaves[1]), ("y", dag.Sequence((leaves[2],)))))
    assert list(dag.flatten(dag.Sequence((leaves[0], inner)))) == leaves


def test_the_places_of_a_task_are_what_it_writes_and_reads_without_a_producer() -> None:
    """Each once, those that it writes first; a result without an IoManager has no place."""
    read = dag.Mapped((("t", dag.Table("io", "read")), ("again", dag.Table("io", "written"))))
    outputs = (dag.Output("io", "written"), dag.Output(None, None))
    assert dag.places_of(task("t", dag.TaskOutput("u"), read, outputs=outputs)) == [("io", "written"), ("io", "read")]


def test_variables_of_a_job_are_in_one_order() -> None:
    """Two builds of one source give the same bytes."""
    names = [f"v{i}" for i in range(20)]
    assert job(task("a", variables=" ".join(reversed(names))), task("b", variables="v3 a")).variables == (
        "a",
        *sorted(names),
    )


@pytest.mark.parametrize(
    ("binding", "reads"),
    [
        (dag.TaskOutput("a", "o"), True),
        (dag.TaskOutput("a", "o", "table"), True),
        (dag.Mapped((("k", dag.TaskOutput("a", "o")),)), True),
        (dag.TaskOutput("a", "o", "newest"), False),
        (dag.TaskOutput("a", "other"), False),
        (dag.TaskOutput("b", "o"), False),
        (dag.Table("io", "o"), False),
    ],
)
def test_a_job_knows_who_reads_a_result_of_this_run(binding: dag.Binding, reads: bool) -> None:
    """What follows the table's newest version does not need this run's result."""
    assert job(task("a"), task("c", dag.Literal(1), binding)).reads("a", "o") is reads


def test_a_job_has_its_tasks_by_key() -> None:
    """And no other."""
    found = job(task("a"), task("b"))
    assert found.task("b").key == "b"
    with pytest.raises(KeyError):
        found.task("c")


def test_the_line_of_a_task_is_that_of_its_last_settings() -> None:
    """The definition, unless a call has overridden it."""
    later = SourceLocation("m.py", 9)
    assert task("a").set_at == WHERE
    assert dag.Task("a", "m:f", WHERE, {}, {}, overridden_at=later).set_at == later


@pytest.mark.parametrize(
    ("text", "run_date", "value"),
    [
        (REFERENCE, RunDate(-1), dt.date(2024, 2, 29)),
        ("2024-03-01T05:00:00", RunDate(-1), ValueError),
        ("2024-01-31", RunDate(-1), dt.date(2024, 1, 31)),
        ("2024-01-31", None, dt.date(2024, 1, 31)),
        (REFERENCE, None, ValueError),
        (passing(RunDate(-1), "2024-01-31"), None, dt.date(2024, 1, 31)),
        (passing(RunDate(1), "2024-03-01").replace(REFERENCE, "2024-03-01"), None, dt.date(2024, 3, 2)),
    ],
)
def test_a_date_follows_the_trigger_only_where_nobody_gave_one(
    text: str, run_date: RunDate | None, value: dt.date | type[ValueError]
) -> None:
    """A default moves with the run; a given date, also one that another job passes on, is what it says."""
    parameter = dag.JobParameter("day", ValueType("date"), run_date=run_date)
    trigger = Trigger(REFERENCE, dt.datetime(2024, 3, 1, 5, tzinfo=dt.UTC))
    if isinstance(value, dt.date):
        assert parameter.value(text, trigger) == value
    else:
        with pytest.raises(value):
            parameter.value(text, trigger)


def test_a_run_without_a_trigger_takes_texts_alone() -> None:
    """A default that follows the run is no date then."""
    parameter = dag.JobParameter("day", ValueType("date"), run_date=RunDate())
    assert parameter.value("2024-01-31") == dt.date(2024, 1, 31)
    with pytest.raises(ValueError, match="not of the type date"):
        parameter.value(REFERENCE)


def test_a_text_of_another_type_passes_no_date_on() -> None:
    """Only dates are looked into."""
    text = passing(RunDate(1), "2024-01-31")
    assert dag.JobParameter("word", ValueType("str")).value(text) == text


@pytest.mark.parametrize(
    ("doc", "summary"),
    [(None, None), ("", None), ("One\n  line.\n\nMore.\n\nStill.", "One line."), ("Alone.", "Alone.")],
)
def test_a_summary_is_the_first_paragraph_on_one_line(doc: str | None, summary: str | None) -> None:
    """None where there is no text."""
    assert dag.summary(doc) == summary
