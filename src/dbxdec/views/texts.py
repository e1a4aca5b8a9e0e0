"""Short descriptions of the parts of a job, for `show`, the drawings and the differences."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dbxdec.model import dag, following, outcomes
from dbxdec.model.literals import TAG
from dbxdec.platform import references
from dbxdec.platform.conditions import SYMBOLS
from dbxdec.views import spelling

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LONGEST = 60


ROWS = {
    "run": "the rows of this run",
    "table": "the whole table",
    "newest": "the newest version, whoever wrote it",
    "changed": "the rows that this run wrote",
}


NEW = {
    "rows": "the rows that are new to this task",
    "latest": "the last change of each key that is new to this task",
    "feed": "every change that is new to this task",
}


def binding(found: dag.Binding) -> str:
    """Return an argument's source: `extract`, `split["bad"]`, `parameter day`, `table ${var.root}/x`, or a value."""
    match found:
        case dag.TaskOutput(task, output, rows, changes):
            name = task if output == dag.RESULT else f"{task}[{json.dumps(output)}]"
            if changes is not None:
                return changes.text(name)
            spelt = {"table": f"{name}.table", "changed": f"{name}.written", "newest": f"latest({name})"}
            return spelt.get(rows, name)
        case dag.TaskValue(task, key):
            return f"{task}.value({json.dumps(key)})"
        case dag.Table(_, target, changes):
            return f"table {target}" if changes is None else changes.text(f"table {target}")
        case dag.Parameter(name):
            return f"parameter {name}"
        case dag.Item():
            return "each item"
        case dag.Literal(value):
            return shortened(spelling.written(value))
        case dag.Sequence(items, kind):
            inside = ", ".join(map(binding, items))
            return f"[{inside}]" if kind == "list" else f"({inside}{',' if len(items) == 1 else ''})"
        case dag.Mapped(items):
            return "{" + ", ".join(f"{json.dumps(key)}: {binding(item)}" for key, item in items) + "}"


def expectations(fact: Mapping[str, Any]) -> list[str]:
    """Return how the expectations of a write, and the rules of its contract, came out."""
    return outcomes.lines(fact.get("expect") or {})


def output(found: dag.Output) -> str:
    """Return the place of a result: `${var.root}/x (PolarsDeltaIoManager, mode=append)`, or `task value (int)`."""
    if found.io is None:
        return f"task value ({found.type})"
    settings = [f"{name}={_option(value)}" for name, value in found.settings.items() if value not in (None, [], "")]
    contract = [] if found.contract is None else [f"contract={found.contract.title}"]
    manager = ", ".join([found.io.rpartition(":")[2], *settings, *contract])
    place = found.target or "its own place"
    return f"{place}{'/_items/*' if found.per_item else ''} ({manager})"


def dependency(found: dag.Dependency) -> str:
    """Return a dependency: `extract`, or `is_late is true` for a branch."""
    return found.task if found.outcome is None else f"{found.task} is {found.outcome}"


def kind(task: dag.Task) -> str:
    """Return what a task runs: `function`, `condition a > 3`, `job other`, `notebook_task`..."""
    match task.kind:
        case "python":
            return "for each" if task.each else "function"
        case "condition":
            form = task.settings["condition_task"]
            left, right = (_referred(form[side]) for side in ("left", "right"))
            return f"condition {left} {SYMBOLS.get(form['op'], form['op'])} {right}"
        case "run_job":
            return f"job {task.runs_job}"
        case _:
            return next((name for name in task.settings if name.endswith("_task")), "native")


def rows_of(found: dag.Binding, job: dag.Job) -> str:
    """Return which rows of another task's table an argument gets, if the table may have more; "" otherwise."""
    if isinstance(found, dag.TaskOutput | dag.Table) and found.changes is not None:
        return NEW[found.changes.kind]
    if not isinstance(found, dag.TaskOutput):
        return ""
    stored = job.task(found.task).outputs.get(found.output)
    if stored is None or stored.io is None or (found.rows == "run" and not stored.partial):
        return ""
    return ROWS[found.rows]


def facts(task: dag.Task, job: dag.Job) -> list[tuple[str, str]]:
    """Return the facts of a task besides its kind: dependencies, inputs, outputs and settings."""
    found = [("after", ", ".join(map(dependency, task.depends_on)))] if task.depends_on else []
    found += [("run if", task.run_if)] if task.run_if else []
    found += [("for", each(task.each))] if task.each else []
    for name, bound in task.inputs.items():
        asked = [f"contract {one.title}" for place, one in task.contracts.items() if _is_in(place, name)]
        rows = ", ".join(dict.fromkeys(filter(None, [*(rows_of(leaf, job) for leaf in dag.flatten(bound)), *asked])))
        found.append((f"{name} <-", f"{binding(bound)} ({rows})" if rows else binding(bound)))
    for name, result in task.outputs.items():
        found.append(("->" if len(task.outputs) == 1 else f"{name} ->", output(result)))
    found += settings(task.spark_conf, "spark_conf")
    return [*found, *settings({} if task.kind == "condition" else task.settings)]


def _is_in(place: str, parameter: str) -> bool:
    """Return whether a place such as `parts[0]` is in the argument of a parameter."""
    return place.partition("[")[0] == parameter


def _referred(side: str) -> str:
    """Return a side of a condition as the author wrote it."""
    match references.only_one_in(side):
        case ("job", "parameters", name):
            return name
        case ("tasks", _, "values", key) if key.startswith(dag.DATE_OF):
            return key.removeprefix(dag.DATE_OF)
        case ("tasks", task, "values", key):
            return task if key in dag.RESULTS else f"{task}.value({json.dumps(key)})"
        case ("tasks", task, references.RESULT_STATE):
            return f"{task}.state"
    return side


def each(found: dag.Each) -> str:
    """Return the items of a for-each task."""
    at_once = f", {found.concurrency} at once" if found.concurrency is not None else ""
    return f"each of {binding(found.items)}{at_once}"


def parameter(found: dag.JobParameter) -> str:
    """Return the default of a job parameter as an author writes it."""
    if found.run_date is not None:
        given = [f"{name}={json.dumps(value)}" for name, value in found.run_date.json_form().items() if value]
        return f"run_date({', '.join(given)})"
    if found.key is not None:
        return str(found.key) if found.follows else f"key({found.default}, {found.key})"
    return "no default: a value is required" if found.default is None else found.default


def settings(form: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (path, value) for each field; fields inside objects have dotted paths."""
    for name, value in form.items():
        inside = f"{path}.{name}" if path else str(name)
        if isinstance(value, dict) and value:
            yield from settings(value, inside)
        else:
            yield inside, _plain(value)


def shortened(text: str) -> str:
    """Return `text`, cut if it is long."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _option(value: Any) -> str:
    """Return an option of an IoManager: a literal, or the name of a job parameter."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and value.keys() == {"parameter"}:
        return str(value["parameter"])
    if isinstance(value, dict) and TAG not in value:
        return "{" + ", ".join(f"{json.dumps(name)}: {_option(one)}" for name, one in value.items()) + "}"
    return spelling.written(value)


def _plain(value: Any) -> str:
    return following.shown(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
