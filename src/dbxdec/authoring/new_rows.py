"""`.changes()` in a job's body: whether a task can keep how far it has read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.errors import listed
from dbxdec.model import checks, dag, kinds
from dbxdec.model.typehints import returned_types

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dbxdec.authoring.nodes import Call, Recorder
    from dbxdec.errors import SourceLocation
    from dbxdec.io_managers.base import IoManager

_KEPT = "how far it has read is kept in the commits of the table that it writes"


def check(call: Call, task: dag.Task, parameters: Sequence[dag.JobParameter]) -> None:
    """Note what prevents a task from reading what is new, exactly once."""
    read = dag.changes_of(task)
    if not read or call.is_mistaken:
        return
    names = listed(list(read))
    for what, hint in _mistakes(call, task, parameters):
        call.recorder.problem(f"the task `{call.key}` reads what is new ({names}), but {what}", hint, call.where)


def parameters(recorder: Recorder, tasks: Iterable[dag.Task], where: SourceLocation) -> list[dag.JobParameter]:
    """Return the parameters by which a person says where tasks of a job begin; none for a job that needs none."""
    if not any(map(dag.changes_of, tasks)):
        return []
    from dbxdec.model.changes import ADOPT, RESTART
    from dbxdec.model.values import ValueType

    for name in (ADOPT, RESTART):
        if name in recorder.parameters:
            recorder.problem(
                f"the job `{recorder.job}` has a parameter `{name}`, which dbxdec adds to jobs that read what is new",
                "give it another name",
                where,
            )
    return [
        dag.JobParameter(name, ValueType("str"), "") for name in (ADOPT, RESTART) if name not in recorder.parameters
    ]


def _mistakes(call: Call, task: dag.Task, parameters: Sequence[dag.JobParameter]) -> Iterator[tuple[str, str]]:
    read = dag.changes_of(task)
    if call.each is not None:
        yield (
            "it runs for each of many items, and each would get the same rows",
            "read it in a task of its own, and pass that task's result to the for-each task",
        )
    if keys := [parameter.name for parameter in parameters if parameter.key is not None]:
        yield (
            f"its job has keys ({listed(keys)}): a run for a key is to give the rows of that key",
            "read it in a job without keys; a task of a job with keys filters the whole table by its key",
        )
    if not call.managers:
        yield (
            f"it stores no table: {_KEPT}",
            'give it an IoManager: `@task(io_manager=lake.table("...", mode="append"))`',
        )
    for name, manager in call.managers.items():
        yield from _of_output(call, task, name, manager)
    for name, (binding, _) in read.items():
        outputs = {checks.place(output.target) for output in task.outputs.values() if output.target is not None}
        target = binding.target if isinstance(binding, dag.Table) else _target(call, binding)
        if target is not None and checks.place(target) in outputs:
            yield (
                f"`{name}` is the table that it writes: its own rows would be new in the next run",
                "write another table",
            )


def _of_output(call: Call, task: dag.Task, name: str, manager: IoManager) -> Iterator[tuple[str, str]]:
    what = "its result" if name == dag.RESULT else f"its output `{name}`"
    if not manager.reads_changes:
        yield (
            f"{what} goes through {type(manager).__name__}, which can't keep how far it has read",
            "store a Delta table",
        )
        return
    returns = returned_types(call.task.fn, name)
    merges = returns is not None and manager.merges.issuperset(returns)
    mode = getattr(manager, "mode", None)
    if not merges and mode != "append":
        would = {
            "overwrite": "the new rows would replace those of earlier runs",
            "error": "its second run would fail",
            "ignore": "only the rows of its first run would be stored",
        }
        yield (
            f'{what} is stored in mode="{mode}": {would.get(str(mode), "earlier rows would be lost")}',
            'append (`mode="append"`), or return a merge: `-> DeltaMerge`',
        )
    changes = [one for _, one in dag.changes_of(task).values()]
    can_merge = returns is not None and not manager.merges.isdisjoint(returns)
    on_serverless = kinds.CLUSTER_FIELDS.isdisjoint(task.settings)
    if can_merge and manager.merges_by_settings and on_serverless and not all(one.at_least_once for one in changes):
        yield (
            f"{what} is a merge through Spark on serverless compute, which can't keep it in the merge's own commit",
            "run the task on a cluster (`cluster=`), or allow rows to be merged twice: `.changes(at_least_once=True)`",
        )


def _target(call: Call, binding: dag.TaskOutput) -> str | None:
    output = call.recorder.calls[binding.task].outputs.get(binding.output)
    return output.target if output is not None else None
