"""The report of a run: one HTML file that needs nothing else, to be read, kept and sent."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec import manifest
from dbxdec.local.run_if import State
from dbxdec.views import graph, texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbxdec.dag import Task
    from dbxdec.local.ledger import Run

_TEMPLATE = "report.html"
_LONGEST_LOG = 200_000
_CLASSES = {
    State.SUCCESS: "good",
    State.FAILED: "bad",
    State.TIMED_OUT: "bad",
    State.UPSTREAM_FAILED: "late",
    State.CANCELLED: "late",
}


def write(run: Run, path: Path | None = None) -> Path:
    """Write the report of `run` to `path`, by default into the run's folder; where it is. Raises OSError."""
    target = path or run.folder / _TEMPLATE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(html(run), encoding="utf-8", newline="\n")
    return target


def html(run: Run) -> str:
    """The report as a text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("dbxdec.local", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    job = manifest.decode_job(run.job, run.head["definition"])
    ended = run.tasks()
    marks = {key: _CLASSES.get(State(event["state"]), "idle") for key, event in ended.items()}
    picture = graph.svg(job, link=lambda task: f"#task-{task.key}", marks=marks)
    return environment.get_template(_TEMPLATE).render(
        run=run,
        state_class=_CLASSES.get(State(run.state), "late") if run.state in set(State) else "late",
        started=_moment(run.started),
        seconds=f"{(run.ended - run.started) / 1000:.1f}" if run.ended else "",
        facts=_facts(run),
        picture=Markup(picture),  # noqa: S704 - drawn by us, with all texts escaped
        style=Markup(graph.STYLE),  # noqa: S704
        tasks=[_task(run, task, ended.get(task.key, {})) for task in job.tasks],
        bars=_bars(run),
    )


def _facts(run: Run) -> list[tuple[str, str]]:
    head = run.head
    return [
        ("project", f"{head['project']} {head['version']}"),
        ("source", head["source"]),
        ("build", head["build_id"]),
        *([("repairs", str(run.repairs))] if run.repairs else []),
        *((f"parameter {name}", text) for name, text in head["parameters"].items()),
        *((f"variable {name}", text) for name, text in head["variables"].items()),
    ]


def _task(run: Run, task: Task, event: Mapping[str, Any]) -> dict[str, Any]:
    state = event.get("state", "not run")
    attempts = [_attempt(run, attempt) for attempt in run.attempts(task.key)]
    return {
        "key": task.key,
        "state": state,
        "class": _CLASSES.get(State(state), "idle") if state in set(State) else "idle",
        "kind": texts.kind(task),
        "source": str(task.source),
        "said": event.get("said", ""),
        "after": ", ".join(map(texts.dependency, task.depends_on)),
        "seconds": f"{(event['ended_ms'] - event['started_ms']) / 1000:.2f}" if event.get("started_ms") else "",
        "inputs": [(name, texts.binding(binding)) for name, binding in task.inputs.items()],
        "outputs": [(name, texts.output(output)) for name, output in task.outputs.items()],
        "attempts": attempts,
        "open": state in ("failed", "timed out"),
    }


def _attempt(run: Run, attempt: Mapping[str, Any]) -> dict[str, Any]:
    try:
        log = (run.folder / attempt["log"]).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        log = f"the log can't be read: {error}"
    if len(log) > _LONGEST_LOG:
        log = f"… the last {_LONGEST_LOG:,} characters of {len(log):,}\n{log[-_LONGEST_LOG:]}"
    return {
        **attempt,
        "title": f"attempt {attempt['attempt']}"
        if attempt["iteration"] is None
        else f"iteration {attempt['iteration']}, attempt {attempt['attempt']}",
        "seconds": f"{(attempt['ended_ms'] - attempt['started_ms']) / 1000:.2f}",
        "text": log,
    }


def _bars(run: Run) -> list[dict[str, Any]]:
    """The timeline: a bar for each attempt, in percent of the time from the first to the last."""
    attempts = [event for event in run.events if event["event"] == "attempt"]
    if not attempts:
        return []
    first = min(e["started_ms"] for e in attempts)
    whole = max(max(e["ended_ms"] for e in attempts) - first, 1)
    return [
        {
            "key": e["task"],
            "title": e["task"] if e["iteration"] is None else f"{e['task']}[{e['iteration']}]",
            "left": f"{(e['started_ms'] - first) / whole * 100:.3f}",
            "width": f"{max((e['ended_ms'] - e['started_ms']) / whole * 100, 0.4):.3f}",
            "seconds": f"{(e['ended_ms'] - e['started_ms']) / 1000:.2f}",
            "class": _CLASSES.get(State(e["state"]), "idle"),
        }
        for e in sorted(attempts, key=lambda e: (e["started_ms"], e["ended_ms"]))
    ]


def _moment(ms: int) -> str:
    return dt.datetime.fromtimestamp(ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
