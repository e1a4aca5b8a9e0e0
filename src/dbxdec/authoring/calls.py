"""Calls of tasks in a job's body: arguments become bindings, checked against the function's signature."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.authoring import each, edges
from dbxdec.authoring.compute import Environment, JobCluster
from dbxdec.authoring.definitions import arguments_of
from dbxdec.authoring.each import Items
from dbxdec.authoring.nodes import Call, Recorder
from dbxdec.authoring.outputs import of_iterations, outputs_of
from dbxdec.authoring.proxies import (
    ChangesReference,
    Latest,
    OutputReference,
    StateReference,
    TaskProxy,
    TaskReference,
    TaskValueReference,
    UriReference,
)
from dbxdec.authoring.recording import caller
from dbxdec.authoring.references import ParameterProxy, Reference, Spoiled, told
from dbxdec.authoring.tasks import Task
from dbxdec.errors import counted, did_you_mean, listed, shown
from dbxdec.io_managers.base import IoManager, TableChanges, io_reference
from dbxdec.model import dag, literals
from dbxdec.model.mistakes import signature_of
from dbxdec.model.typehints import SESSION

if TYPE_CHECKING:
    from collections.abc import Mapping


def record_call(recorder: Recorder, task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Add a node to the job being built, and note every mistake in the call."""
    recorder.called(task)
    key = recorder.usable(task.__name__ if task.options.key is None else task.options.key)
    stored = outputs_of(task, recorder.job, key, recorder.default_manager)
    call = Call(recorder=recorder, task=task, key=key, where=caller(), outputs=stored.outputs, managers=stored.managers)
    call.nothing, call.unsaid = stored.nothing, stored.unsaid
    recorder.add(call, f'give this call a key of its own: `{task.__name__}.override(key="...")(...)`')
    call.unfit = stored.problem is not None
    if stored.problem and recorder.first((id(task.fn), stored.hint)):
        recorder.problem(stored.problem, stored.hint)

    inputs: dict[str, dag.Binding] = {}
    for name, value in _arguments(recorder, task, args, kwargs).items():
        binder = _Binder(call, name)
        binding = binder.bind_items(value) if isinstance(value, Items) else binder.bind(value)
        if binding is not None:
            inputs[name] = binding
            if edges.check(call, name, binding):
                call.optional.append(name)
    call.inputs = inputs
    if call.each is not None:
        call.outputs = of_iterations(call.outputs, call.managers, task)
    call.depend_on_all(task.options.depends_on)
    options = task.options
    compute = compute_settings(recorder, task.__name__, options.cluster, options.environment)
    call.settings = {**options.settings, **compute}
    return call


def _arguments(
    recorder: Recorder, task: Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments by parameter name. A variadic parameter gets a list or dict. All mistakes are noted."""
    takes = arguments_of(task.fn)
    positional, by_keyword, required = takes.positional, takes.by_keyword, takes.required
    name = task.__name__
    if given := task.given:
        positional = tuple(one for one in positional if one not in given)
        by_keyword = by_keyword.difference(given)
        required = tuple(one for one in required if one not in given)

    def signature() -> str:
        return f"its signature is `{name}{signature_of(task.fn)}`"

    found: dict[str, Any] = dict(zip(positional, args, strict=False))
    surplus = list(args[len(positional) :])
    if takes.rest is not None:
        found[takes.rest] = surplus
    elif surplus:
        recorder.problem(
            f"the task `{name}` takes {counted(len(positional), 'positional argument')} but got {len(args)}",
            signature(),
        )
    others: dict[str, Any] = {}
    meant: set[str] = set()  # a misspelt argument is one mistake: the right one is not reported as missing
    for key, value in kwargs.items():
        if key in by_keyword and key not in found:
            found[key] = value
        elif key in by_keyword:
            recorder.problem(f"the task `{name}` gets its argument `{key}` twice", signature())
        elif key in given:
            what = "Spark's session" if given[key] == SESSION else "a connection of DuckDB, with its inputs as tables"
            recorder.problem(f"the task `{name}` gets a value for `{key}`, but a run gives it {what}", "leave it out")
        elif takes.extra is not None:
            others[key] = value
        else:
            near = did_you_mean(key, by_keyword - set(found))
            missing = [needed for needed in required if needed not in found and needed not in kwargs]
            meant |= {p for p in by_keyword if near and f"`{p}`" in near} or set(missing if len(missing) == 1 else ())
            recorder.problem(f"the task `{name}` has no parameter `{key}`", near or signature())
    if takes.extra is not None and others:
        found[takes.extra] = others
    missing = [needed for needed in required if needed not in found and needed not in meant]
    if missing and ("misused", caller()) not in recorder:  # `*x` of a result gives nothing
        for needed in missing:
            recorder.problem(f"the task `{name}` needs a value for `{needed}`", signature())
    return found


class _Binder:
    """Turns one argument into a binding."""

    def __init__(self, call: Call, parameter: str) -> None:
        self._call = call
        self._recorder = call.recorder
        self._parameter = parameter

    @property
    def _where(self) -> str:
        return f"the argument `{self._parameter}` of the task `{self._call.key}`"

    def bind_items(self, given: Items) -> dag.Binding | None:
        """Return the binding of `each(...)`, and make the call run for its items; None if a problem was noted."""
        bound = self.bind(given._items) if isinstance(given._items, Reference) else None
        found = each.bind(self._call, self._parameter, given, bound)
        if self._call.each is not None:
            self._recorder.problem(
                f"the task `{self._call.key}` gets each(...) twice",
                "the platform iterates over one list: pass one list of tuples or dicts",
            )
            return None
        self._call.each = found
        return dag.Item() if found else None

    def bind(self, value: Any) -> dag.Binding | None:
        """Return the binding of `value`, or None if a problem was noted."""
        recorder = self._recorder
        if isinstance(value, Items):
            recorder.problem(
                f"{self._where} has each(...) inside another value",
                "pass it as the argument itself: `task(each(items))`",
            )
            return None
        if isinstance(value, Spoiled):
            return None
        if isinstance(value, TaskProxy):
            return self._bind_proxy(value)
        if isinstance(value, TaskReference):
            return self._bind_reference(value)
        if isinstance(value, Latest):
            return self._bind_latest(value._what)
        if isinstance(value, TableChanges):
            table = self._bind_table(value.table)
            return table and replace(table, changes=value.wanted)
        if isinstance(value, ParameterProxy):
            if value._recorder is not recorder:
                recorder.problem(
                    f"{self._where} is {value.describe()} of the job `{value._recorder.job}`, not of `{recorder.job}`",
                    f"give the job `{recorder.job}` its own parameter",
                )
                return None
            return dag.Parameter(value._name)
        if isinstance(value, Task):
            recorder.problem(
                f"{self._where} is the task `{value.__name__}` itself, not its result",
                f"call it: `{value.__name__}(...)`",
            )
            return None
        if isinstance(value, IoManager):
            return self._bind_table(value)
        if isinstance(value, dict | set | frozenset) and any(isinstance(key, Reference) for key in value):
            return None  # noted when it was put in there
        if isinstance(value, list | tuple | dict) and _holds_references(value):
            return self._bind_container(value)
        try:
            return dag.Literal(literals.encode(value), value)
        except literals.UnsupportedLiteralError as error:
            recorder.problem(f"{self._where}: {error}", error.hint)
            return None

    def _belongs(self, given: TaskProxy[Any] | TaskReference) -> bool:
        """Return whether the task belongs to this job. If so, the call waits for it."""
        node = given._call
        if node.recorder is not self._recorder:
            self._recorder.problem(
                f"{self._where} is {given.describe()} of the job `{node.recorder.job}`, not of `{self._recorder.job}`",
                "call the task in this job's body, or pass the table it writes: `io.table(...)`",
            )
            return False
        self._call.wait_for(node.key)
        return True

    def _bind_proxy(self, proxy: TaskProxy[Any]) -> dag.Binding | None:
        if not self._belongs(proxy):
            return None
        proxy._call.read()
        outputs = proxy._call.outputs
        if outputs and dag.RESULT not in outputs:
            self._recorder.problem(
                f"{self._where} is the task `{proxy._call.key}`, which has the outputs {listed(list(outputs))}",
                f'name one: `x["{next(iter(outputs))}"]`',
            )
            return None
        return dag.TaskOutput(proxy._call.key)

    def _bind_reference(self, reference: TaskReference) -> dag.Binding | None:
        if not self._belongs(reference) or (reference._call.is_mistaken and isinstance(reference, UriReference)):
            return None
        text = reference.text()
        if isinstance(reference, ChangesReference):
            return self._bind_new_rows(reference)
        if isinstance(reference, OutputReference):
            return dag.TaskOutput(reference._call.key, reference._output, reference._rows)
        if isinstance(reference, TaskValueReference):
            return dag.TaskValue(reference._call.key, reference._key)
        if isinstance(reference, UriReference) and text is not None:
            return dag.Literal(literals.encode(text), text)
        what, hint = (
            ("only native tasks and conditions can use it", "use it in `native_task(...)` or `condition(...)`")
            if isinstance(reference, StateReference)
            else (
                "the result is not stored in one place",
                'give the task an IoManager with a `base_path`; with each(...) also `mode="append"` or `partition_by=`',
            )
        )
        self._recorder.problem(f"{self._where} is {reference.describe()}; {what}", hint)
        return None

    def _bind_latest(self, what: object) -> dag.Binding | None:
        if isinstance(what, IoManager):
            return self._bind_table(what)
        if not isinstance(what, TaskProxy | OutputReference):
            given = told(what)
            self._recorder.problem(
                f"{self._where} is `latest` of {given}", "pass `latest` a task's result or a table, `io.table(...)`"
            )
            return None
        bound = self.bind(what)
        if not isinstance(bound, dag.TaskOutput):
            return None
        if bound.changes is not None:
            self._recorder.problem(
                f"{self._where} is `latest` of {what.describe()}", "pass `x.changes()` itself, or `latest(x)`: all rows"
            )
            return None
        if bound.rows == "changed":
            self._recorder.problem(
                f"{self._where} is `latest` of {what.describe()}",
                "`latest(x)` is the newest version of the whole table; what this run wrote is `x` itself",
            )
            return None
        producer = self._recorder.calls[bound.task]
        output, manager = producer.outputs.get(bound.output), producer.managers.get(bound.output)
        if output is not None and output.per_item:
            self._recorder.problem(
                f"{self._where} is `latest` of the task `{producer.key}`, whose iterations write separate tables",
                'write one table (`mode="append"`, or `partition_by=`), or pass the result itself',
            )
            return None
        if producer.is_mistaken:
            return None
        if manager is None or output is None or output.target is None or output.io is None:
            self._recorder.problem(
                f"{self._where} is `latest` of the task `{producer.key}`, which stores no table",
                f"give `{producer.key}` an IoManager, or pass its result itself",
            )
            return None
        return dag.TaskOutput(bound.task, bound.output, "newest")

    def _bind_new_rows(self, reference: ChangesReference) -> dag.TaskOutput | None:
        producer = self._recorder.calls[reference._call.key]
        output, manager = producer.outputs.get(reference._output), producer.managers.get(reference._output)
        if producer.is_mistaken:
            return None
        if output is None or output.target is None or manager is None or not manager.reads_changes:
            self._recorder.problem(
                f"{self._where} is {reference.describe()}, which stores no Delta table",
                f"store it through PolarsDeltaIoManager or SparkDeltaIoManager, or pass the result of `{producer.key}` "
                "itself",
            )
            return None
        if output.per_item:
            self._recorder.problem(
                f"{self._where} is {reference.describe()}, whose iterations write separate tables",
                'write one table (`mode="append"`, or `partition_by=`), or pass the result itself',
            )
            return None
        return dag.TaskOutput(producer.key, reference._output, "newest", reference._changes)

    def _bind_table(self, manager: IoManager) -> dag.Table | None:
        if not manager.is_table:
            self._recorder.problem(
                f"{self._where} is an IoManager, not a table to read", 'name a table: `io.table("...")`'
            )
            return None
        target = manager.template(self._recorder.job, self._call.task.__name__) or ""
        self._recorder.tables[target] = manager
        return dag.Table(io_reference(manager), target)

    def _bind_container(self, value: Any) -> dag.Binding | None:
        if isinstance(value, dict):
            wrong = [key for key in value if not isinstance(key, str)]
            if wrong:
                self._recorder.problem(f"{self._where} is a dict with the key {wrong[0]!r}", "keys must be strings")
                return None
            return dag.Mapped(tuple((key, b) for key, item in value.items() if (b := self._inside(item)) is not None))
        items = tuple(b for item in value if (b := self._inside(item)) is not None)
        return dag.Sequence(items, "list" if isinstance(value, list) else "tuple")

    def _inside(self, value: Any) -> dag.Binding | None:
        """Return the binding of a part of a list, tuple or dict."""
        if not isinstance(value, TableChanges | ChangesReference):
            return self.bind(value)
        self._recorder.problem(
            f"{self._where} has `.changes()` inside another value",
            "give it a parameter of its own: how far it has been read is kept by the parameter's name",
        )
        return None


def _holds_references(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_references, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_holds_references, value))
    return isinstance(value, Reference | Task | IoManager | TableChanges)


_WRITTEN = {
    JobCluster: 'cluster=job_cluster("small", spark_version=..., ...)',
    Environment: 'environment=environment("light", dependencies=[...])',
}


def compute_settings(recorder: Recorder, key: str, cluster: object, environment: object) -> dict[str, Any]:
    """Return the platform's fields for the cluster or environment of the task `key`. Wrong values are noted."""
    if cluster is None and environment is None:
        return {}
    settings = {}
    for value, kind, field in (
        (cluster, JobCluster, "job_cluster_key"),
        (environment, Environment, "environment_key"),
    ):
        if value is None or isinstance(value, Spoiled):
            continue
        if isinstance(value, kind):
            settings[field] = value.key
        else:
            recorder.problem(
                f"the task `{key}` has {shown(value)} as its {kind.__name__.removeprefix('Job').lower()}",
                f"write `{_WRITTEN[kind]}`",
            )
    return settings
