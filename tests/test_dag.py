"""The order of a job's tasks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dbxdec import dag
from dbxdec.errors import SourceLocation

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
