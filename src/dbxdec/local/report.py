"""The report of a run: one HTML file that needs nothing else, to be read, kept and sent."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dbxdec.errors import counted
from dbxdec.local.history import RUNNING, title_of
from dbxdec.local.interface import HANDLED
from dbxdec.local.parameters import parameters_shown
from dbxdec.model.variables import resolve
from dbxdec.platform.run_if import State
from dbxdec.support.files import check_report, deliver
from dbxdec.support.masking import Mask, of_this_machine
from dbxdec.views import graph, page, texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dbxdec.local.history import Run
    from dbxdec.local.results import FirstRows
    from dbxdec.model.dag import Job, Task

_TEMPLATE, _STYLE = "report.html", "report.css"
_KIND = "report"
_LONGEST_LOG = {True: 20_000, False: 200_000}  # characters, of attempts that have succeeded and others
_CLASSES = {
    State.SUCCESS: "good",
    State.SUCCESS_WITH_FAILURES: "late",
    State.FAILED: "bad",
    State.TIMED_OUT: "bad",
    State.UPSTREAM_FAILED: "late",
    State.CANCELLED: "late",
}


def write(run: Run, path: Path | None = None, rows: Mapping[str, Sequence[FirstRows]] = MappingProxyType({})) -> Path:
    """Write the report of `run` to `path`, by default into the run's folder; return its path. Raises OSError.

    `rows` are the first rows of the tasks' stored results, by task.
    """
    target = path or run.folder / _TEMPLATE
    target.parent.mkdir(parents=True, exist_ok=True)
    deliver(target, html(run, rows).encode("utf-8", "backslashreplace"))
    return target


def check_target(path: Path) -> None:
    """Raise RunError if no report can be written to `path`, or if something else than an earlier one is there."""
    check_report(path, page.generator(_KIND), "run", instead=f"`{path / _TEMPLATE}`")


def html(run: Run, rows: Mapping[str, Sequence[FirstRows]] = MappingProxyType({})) -> str:
    """Return the report as a string."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("dbxdec.local", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    mask = Mask(of_this_machine())
    job = run.dag
    ended = run.tasks()
    marks = {key: _class_of(event) for key, event in ended.items()}
    picture = graph.svg(
        job,
        link=lambda task: f"#task-{task.key}",
        marks=marks,
        small=lambda task: resolve(graph.second_line(task), run.head["variables"]),
    )
    bars = _bars(run)
    seconds = _last_sitting(run) / 1000
    body = environment.get_template(_TEMPLATE).render(
        run=run,
        state_class=_class(run.state),
        started=_moment(run.started),
        counts=_counts(run, len(job.tasks)),
        time=_time(run),
        resume="" if run.state in ("success", RUNNING) else f"dbxdec run {run.job} --resume {run.id}",
        about=job.doc or "",
        facts=mask.data(_facts(run)),
        picture=Markup(picture),  # noqa: S704 - drawn by us, with all texts escaped
        tasks=mask.data([_task(run, job, t, ended.get(t.key, {}), rows.get(t.key, ())) for t in job.tasks]),
        bars=bars,
        axis=[f"{seconds * part / 4:.{1 if seconds < 40 else 0}f} s" for part in range(5)],
    )
    style = files("dbxdec.local").joinpath(_STYLE).read_text(encoding="utf-8")
    return page.document(f"{run.job}: {run.state}", body, kind=_KIND, style=style)


def _class(state: str) -> str:
    """Return the CSS class of a state; that of an interrupted run differs from those of tasks."""
    return _CLASSES.get(State(state), "idle") if state in set(State) else "late"


def _class_of(event: Mapping[str, Any]) -> str:
    return "late" if _is_handled(event) else _class(event["state"])


def _is_handled(event: Mapping[str, Any]) -> bool:
    return event.get("said") == HANDLED


def _counts(run: Run, tasks: int) -> str:
    """Return the number of tasks per state: "9 success, 1 failed, 2 not run"; a failure handler is "handled"."""
    found = Counter(HANDLED if _is_handled(event) else str(event["state"]) for event in run.tasks().values())
    found["not run"] = tasks - found.total()
    return ", ".join(f"{number:,} {state}" for state, number in found.items() if number)


def _facts(run: Run) -> list[tuple[str, str]]:
    head = run.head
    return [
        ("run", f"{run.id}, {counted(run.repairs, 'repair')}" if run.repairs else run.id),
        ("project", f"{head['project']} {head['version']}, build {head['build_id'][:12]}"),
        ("source", head["source"]),
        *((f"parameter {name}", text) for name, text in parameters_shown(run).items()),
        *((f"variable {name}", text) for name, text in head["variables"].items()),
    ]


def _task(run: Run, job: Job, task: Task, event: Mapping[str, Any], rows: Sequence[FirstRows]) -> dict[str, Any]:
    state = event.get("state", "not run")
    facts = [("what", texts.kind(task)), ("source", str(task.source)), *texts.facts(task, job)]
    facts = [("about", task.doc), *facts] if task.doc else facts
    facts += [("its own run", event["run"])] if event.get("run") else []
    return {
        "key": task.key,
        "state": state,
        "class": _class_of(event) if event else "idle",
        "said": event.get("said", ""),
        "seconds": f"{(event['ended_ms'] - event['started_ms']) / 1000:.2f}" if event.get("started_ms") else "",
        "facts": [(page.arrows(name), resolve(text, run.head["variables"])) for name, text in facts],
        "attempts": [_attempt(run, attempt) for attempt in run.attempts(task.key)],
        "tables": [
            {
                "title": one.title,
                "columns": one.columns,
                "rows": [list(map(_cell, row)) for row in one.rows],
                "why": one.why,
            }
            for one in rows
        ],
        "open": state in ("failed", "timed out") and not _is_handled(event),
    }


def _attempt(run: Run, attempt: Mapping[str, Any]) -> dict[str, Any]:
    try:
        log = (run.folder / "logs" / Path(attempt["log"]).name).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        log = f"the log can't be read: {error}"
    longest = _LONGEST_LOG[attempt["state"] == State.SUCCESS]
    if len(log) > longest:
        log = f"… the last {longest:,} characters of {len(log):,}\n{log[-longest:]}"
    number = f"attempt {attempt['attempt']}"
    return {
        "title": number
        if attempt["iteration"] is None
        else f"{title_of(attempt)}: iteration {attempt['iteration']}, {number}",
        "state": attempt["state"],
        "class": _class(attempt["state"]),
        "seconds": f"{(attempt['ended_ms'] - attempt['started_ms']) / 1000:.2f}",
        "facts": [_fact(fact) for fact in attempt["facts"]],
        "text": log,
    }


def _cell(value: Any) -> str:
    """Return a cell of a table, cut when it is long: the reader has the table itself."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return texts.shortened(str(value))


def _fact(fact: Mapping[str, Any]) -> dict[str, Any]:
    """Return a read or a write."""
    words = [f"version {fact['version']}"] if fact.get("version") is not None else []
    words += [counted(fact["rows"], "row")] if fact.get("rows") is not None else []
    words += [fact["span"]] if fact.get("span") else []
    words += [f"{fact['seconds']:.2f} s"] if fact.get("seconds") is not None else []
    return {
        "kind": fact["kind"],
        "name": fact["name"],
        "words": ", ".join(words),
        "place": fact.get("uri") or fact.get("value") or "",
        "columns": fact.get("columns", []),
        "expect": texts.expectations(fact),
    }


def _last_sitting(run: Run) -> int:
    """Return how long the last runner was at work, in ms: days may lie between one and the next."""
    began, ended = run.sittings[-1] if run.sittings else (0, 0)
    return ended - began


def _time(run: Run) -> str:
    """Return the duration of the run; for a resumed one, of its last repair, which the timeline shows."""
    if run.ended is None:
        return ""
    last = f"in {_last_sitting(run) / 1000:.1f} s"
    return f"{last}: repair {run.repairs}, {run.spent / 1000:.1f} s in all" if run.repairs else last


def _bars(run: Run) -> list[dict[str, Any]]:
    """Return the timeline of the last sitting: a bar in percent for each attempt, and for each run of another job."""
    began = run.sittings[-1][0] if run.sittings else 0
    whole, ended = max(_last_sitting(run), 1), run.tasks()
    # The attempts of a job that a task runs are in a run of its own.
    attempts = [
        {"iteration": None, "attempt": 1, **event}
        for event in run.events
        if event.get("started_ms", 0) >= began and (event["event"] == "attempt" or event.get("run"))
    ]
    return [
        {
            "key": e["task"],
            "title": _title(e),
            "left": f"{(e['started_ms'] - began) / whole * 100:.3f}",
            "width": f"{max((e['ended_ms'] - e['started_ms']) / whole * 100, 0.4):.3f}",
            "seconds": f"{(e['ended_ms'] - e['started_ms']) / 1000:.2f}",
            "class": _class_of({**e, "said": ended.get(e["task"], {}).get("said")}),
        }
        for e in sorted(attempts, key=lambda e: (e["started_ms"], e["ended_ms"]))
    ]


def _title(attempt: Mapping[str, Any]) -> str:
    return title_of(attempt) if attempt["attempt"] == 1 else f"{title_of(attempt)} ({attempt['attempt']})"


def _moment(ms: int) -> str:
    return dt.datetime.fromtimestamp(ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
