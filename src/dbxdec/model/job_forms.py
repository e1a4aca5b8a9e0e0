"""The JSON forms of jobs, as the manifest and a run's ledger have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from dbxdec.errors import SourceLocation
from dbxdec.model import dag, soundness
from dbxdec.model.contracts import Contract
from dbxdec.model.literals import checked
from dbxdec.model.rundate import RunDate
from dbxdec.model.values import ValueType
from dbxdec.support.forms import FormError, by_key, each_of, kind_of, plain_object, strings, take, take_or_null
from dbxdec.support.pauses import without_collection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dbxdec.model.changes import Changes
    from dbxdec.model.keys import Key
    from dbxdec.model.literals import Json

TASK_VALUE = "task_value"
"""The entry in place of an IoManager for an output that is a task value."""
_ROWS = get_args(dag.Rows)
_DEEPEST = 100
_LINE_DIGITS = 9


def encode_jobs(jobs: Iterable[dag.Job]) -> dict[str, Any]:
    """Return the manifest's `jobs` for these DAGs."""
    with without_collection():
        return {job.key: _encode_job(job) for job in jobs}


def encode_binding(binding: dag.Binding) -> Json:
    """Return the manifest's form of a binding."""
    match binding:
        case dag.TaskOutput(task, output, rows, changes):
            return {"task": task, "output": output, "rows": rows, **_encode_changes(changes)}
        case dag.TaskValue(task, key):
            return {"value": {"task": task, "key": key}}
        case dag.Table(io, target, changes):
            return {"table": {"io": io, "target": target}, **_encode_changes(changes)}
        case dag.Literal(value):
            return {"literal": value}
        case dag.Parameter(name):
            return {"parameter": name}
        case dag.Item():
            return {"item": True}
        case dag.Sequence(items, kind):
            return {kind: [encode_binding(item) for item in items]}
        case dag.Mapped(items):
            form: dict[str, Json] = {"dict": {key: encode_binding(item) for key, item in items}}
            order: list[Json] = [key for key, _ in items]
            # The manifest sorts its keys. The author's order is stored only if it differs.
            return form if order == sorted(key for key, _ in items) else {**form, "order": order}


def decode_binding(form: Any) -> dag.Binding:
    """Return the binding that `encode_binding` took. Raises FormError for anything else."""
    return _decode_binding(form, _DEEPEST)


def _decode_binding(form: Any, deepest: int) -> dag.Binding:
    match form:
        case {"task": str(task), "output": str(output), "rows": str(rows)} if rows in _ROWS:
            return dag.TaskOutput(task, output, rows, _decode_changes(form))  # type: ignore[arg-type]
        case {"value": {"task": str(task), "key": str(key)}}:
            return dag.TaskValue(task, key)
        case {"table": {"io": str(io), "target": str(target)}}:
            return dag.Table(io, target, _decode_changes(form))
        case {"literal": value}:
            return dag.Literal(checked(value))
        case {"parameter": str(name)}:
            return dag.Parameter(name)
        case {"item": True}:
            return dag.Item()
        case {"list": list(items)} | {"tuple": list(items)} if deepest:
            inside = tuple(_decode_binding(item, deepest - 1) for item in items)
            return dag.Sequence(inside, "list" if "list" in form else "tuple")
        case {"dict": dict(items)} if deepest:
            order = strings(form, "order", tuple(items))
            if "order" in form and sorted(order) != sorted(items):
                raise FormError("order", "does not have the keys of `dict`")
            return dag.Mapped(tuple((key, _decode_binding(items[key], deepest - 1)) for key in order))
        case _:
            raise FormError("", f"is a binding of an unknown kind: {soundness.shown(form)}")


def _encode_changes(changes: Changes | None) -> dict[str, Json]:
    return {} if changes is None else {"changes": changes.json_form()}


def _decode_changes(form: Any) -> Changes | None:
    if "changes" not in form:
        return None
    from dbxdec.model.changes import Changes  # few tasks read any

    try:
        return Changes.from_json_form(form["changes"])
    except FormError as error:
        raise error.inside("changes") from None


def encode_output(output: dag.Output) -> dict[str, Any]:
    """Return the manifest's form of an output."""
    form: dict[str, Any] = {"io": output.io or TASK_VALUE, "target": output.target}
    if output.type is not None:
        form |= output.type.json_form(members=False)  # only values from outside of a run are checked by their names
    if output.settings:
        form["settings"] = dict(output.settings)
    if output.shared:
        form["shared"] = True
    if output.per_item:
        form["per_item"] = True
    if output.partial:
        form["partial"] = True
    if output.contract is not None:
        form["contract"] = output.contract.name
    return form


def _decode_output(form: Any) -> dag.Output:
    io = take(form, "io", str)
    return dag.Output(
        io=None if io == TASK_VALUE else io,
        target=take_or_null(form, "target", str),
        type=ValueType.from_json_form(form) if "type" in form else None,
        settings=_settings(form, {}),
        shared=take(form, "shared", bool, False),
        per_item=take(form, "per_item", bool, False),
        partial=take(form, "partial", bool, False),
        contract=_decode_contract(form["contract"]) if "contract" in form else None,
    )


def _decode_contract(form: Any) -> Contract:
    if type(form) is not str or not all(form.partition(":")):
        raise FormError("", f"is {soundness.shown(form)}, not `module:Class`")
    return Contract(form)


def _encode_job(job: dag.Job) -> dict[str, Any]:
    return {
        "module": job.module,
        "function": job.function,
        "source": str(job.source),
        "settings": dict(job.settings),
        "parameters": [
            {
                "name": parameter.name,
                **parameter.type.json_form(),
                "default": parameter.default,
                **({"run_date": parameter.run_date.json_form()} if parameter.run_date else {}),
                **({"key": parameter.key.json_form()} if parameter.key else {}),
            }
            for parameter in job.parameters
        ],
        "clusters": dict(job.clusters),
        "environments": dict(job.environments),
        "variables": list(job.variables),
        "tasks": [_encode_task(task) for task in job.tasks],
        **({"doc": job.doc} if job.doc else {}),
    }


def _encode_task(task: dag.Task) -> dict[str, Any]:
    return {
        "key": task.key,
        "kind": task.kind,
        "function": task.function,
        "source": str(task.source),
        "inputs": {name: encode_binding(binding) for name, binding in task.inputs.items()},
        "outputs": {name: encode_output(output) for name, output in task.outputs.items()},
        "depends_on": [{"task": d.task, "outcome": d.outcome} for d in task.depends_on],
        "run_if": task.run_if,
        "variables": list(task.variables),
        "settings": dict(task.settings),
        **({"each": encode_each(task.each)} if task.each is not None else {}),
        **({"on_failure": True} if task.on_failure else {}),
        **({"compares": task.compares.json_form()} if task.compares is not None else {}),
        **({"spark_conf": dict(task.spark_conf)} if task.spark_conf else {}),
        **({"closes_over": dict(task.closes_over)} if task.closes_over else {}),
        **({"contracts": {place: one.name for place, one in task.contracts.items()}} if task.contracts else {}),
        **({"doc": task.doc} if task.doc else {}),
    }


def encode_each(each: dag.Each) -> dict[str, Any]:
    """Return the manifest's form of a for-each."""
    return {
        "items": encode_binding(each.items),
        **({} if each.concurrency is None else {"concurrency": each.concurrency}),
        **({} if each.type is None else {"type": each.type.json_form()}),
    }


def decode_job(key: str, form: Any) -> dag.Job:
    """Return the job `key` from its form in a manifest. Raises FormError, with the place, for another form."""
    return dag.Job(
        key=key,
        module=take(form, "module", str),
        function=take(form, "function", str),
        source=_location(form),
        settings=_settings(form),
        parameters=each_of(form, "parameters", _decode_parameter),
        clusters=by_key(form, "clusters", plain_object),
        environments=by_key(form, "environments", plain_object),
        tasks=each_of(form, "tasks", _decode_task),
        doc=_decode_doc(form),
    )


def _decode_parameter(form: Any) -> dag.JobParameter:
    return dag.JobParameter(
        name=take(form, "name", str),
        type=ValueType.from_json_form(form),
        default=take_or_null(form, "default", str),
        run_date=RunDate.from_json_form(form["run_date"]) if "run_date" in form else None,
        key=_decode_key(form["key"]) if "key" in form else None,
    )


def _decode_key(form: Any) -> Key:
    from dbxdec.model import keys  # few jobs have any

    return keys.from_json_form(form)


def _decode_task(form: Any) -> dag.Task:
    return dag.Task(
        key=take(form, "key", str),
        kind=take(form, "kind", str),
        function=take_or_null(form, "function", str),
        source=_location(form),
        inputs=by_key(form, "inputs", decode_binding),
        outputs=by_key(form, "outputs", _decode_output),
        depends_on=each_of(form, "depends_on", _decode_dependency),
        run_if=take_or_null(form, "run_if", str),
        variables=strings(form, "variables"),
        settings=_settings(form),
        each=_decode_each(form["each"]) if "each" in form else None,
        on_failure=take(form, "on_failure", bool, False),
        compares=ValueType.from_json_form(form["compares"]) if "compares" in form else None,
        doc=_decode_doc(form),
        spark_conf=by_key(form, "spark_conf", _decode_setting) if "spark_conf" in form else {},
        closes_over=by_key(form, "closes_over", _decode_digest) if "closes_over" in form else {},
        contracts=by_key(form, "contracts", _decode_contract) if "contracts" in form else {},
    )


def _decode_setting(form: Any) -> str | int | bool:
    if type(form) not in (str, int, bool):
        raise FormError("", f"is {kind_of(form)}, not a string, a whole number or a boolean")
    found: str | int | bool = form
    return found


def _decode_digest(form: Any) -> str:
    if type(form) is not str:
        raise FormError("", f"is {kind_of(form)}, not a string")
    return form


def _decode_doc(form: Any) -> str | None:
    return take(form, "doc", str) if "doc" in form else None


def _decode_dependency(form: Any) -> dag.Dependency:
    return dag.Dependency(take(form, "task", str), take_or_null(form, "outcome", str))


def _decode_each(form: Any) -> dag.Each:
    take(form, "items", dict)
    concurrency = form.get("concurrency")
    if type(concurrency) not in (int, str, type(None)):
        raise FormError("each.concurrency", f"is {kind_of(concurrency)}, not a number")
    kind = ValueType.from_json_form(form["type"]) if "type" in form else None
    return dag.Each(decode_binding(form["items"]), concurrency, kind)


def _settings(form: Any, *default: dict[str, Any]) -> dict[str, Any]:
    found = take(form, "settings", dict, *default)
    if not found:
        return found
    try:
        return plain_object(found)
    except FormError as error:
        raise error.inside("settings") from None


def _location(form: Any) -> SourceLocation:
    path, _, line = take(form, "source", str).rpartition(":")
    if not line.isdecimal() or len(line) > _LINE_DIGITS:
        raise FormError("source", "is not of the form `path:line`")
    return SourceLocation(path, int(line))
