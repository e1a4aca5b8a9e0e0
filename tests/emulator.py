"""A small Databricks: it takes job definitions as they are deployed, and runs them as the documentation says.

It is the other opinion on what dbxdec emits and does, so it shares no rule with dbxdec: it reads plain definitions,
resolves references itself, decides itself what runs, and starts the entry point of the installed wheel as a process for
each wheel task. Where the documentation leaves something open, it does what would hurt most: floats are rendered as
Java does (1.0E16), a serverless task is tried again unless its definition forbids it.

    workspace = Workspace(definitions, environment={"PYTHONPATH": site}, folder=tmp_path)
    run = workspace.run_now("daily", {"day": "2024-01-05"})
    run.state, run.states, run.outcomes, run.values
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Notebook = Callable[[Mapping[str, str]], Mapping[str, Any]]
"""What stands for a notebook: it gets the parameters and returns the task values that it sets."""

SUCCESS, FAILED, EXCLUDED, UPSTREAM_FAILED = "success", "failed", "excluded", "upstream_failed"
SUCCESS_WITH_FAILURES = "success_with_failures"
_AUTOMATIC_TRIES = 2

# As the platform starts a wheel task: by the name of an entry point, in whatever group.
_START = """
import sys
from importlib.metadata import distribution
package, name = sys.argv[1:3]
sys.argv[:] = [name, *sys.argv[3:]]
(point,) = [p for p in distribution(package).entry_points if p.name == name]
point.load()()
"""

# The SDK's module by which a serverless wheel task finds dbutils.
_DBUTILS = """
import json, os
from pathlib import Path

class _TaskValues:
    folder = Path(os.environ["EMULATED_TASK_VALUES"])

    def set(self, key, value):
        path = self.folder / (os.environ["EMULATED_TASK"] + ".json")
        values = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**values, key: value}))

    def get(self, taskKey, key, default=None, debugValue=None):
        path = self.folder / (taskKey + ".json")
        values = json.loads(path.read_text()) if path.exists() else {}
        if key in values:
            return values[key]
        if default is None:
            raise ValueError(f"no task value {key}")
        return default

class _Jobs:
    taskValues = _TaskValues()

class _Dbutils:
    jobs = _Jobs()

dbutils = _Dbutils()
"""


@dataclass
class Run:
    """How a run ended: its tasks' states by key, the outcomes of conditions, all task values, what tasks have printed.

    `inner` are the runs that its run-job tasks have started, by the task's key.
    """

    state: str = ""
    states: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    printed: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    inner: dict[str, Run] = field(default_factory=dict)
    repairs: int = 0
    goes_on: Callable[[Mapping[str, str] | None], None] = lambda _: None


class Workspace:
    """Deployed jobs by key, with the values of the bundle's variables; notebooks by the names of their files."""

    def __init__(
        self,
        jobs: Mapping[str, Any],
        *,
        folder: Path,
        variables: Mapping[str, object] | None = None,
        notebooks: Mapping[str, Notebook] | None = None,
        environment: Mapping[str, str] | None = None,
        python: str = sys.executable,
    ) -> None:
        self.jobs = _deployed(jobs, variables or {})
        self._notebooks, self._python, self._folder = dict(notebooks or {}), python, folder
        self._ids = itertools.count(1)
        sdk = folder / "sdk" / "databricks"
        (sdk / "sdk").mkdir(parents=True, exist_ok=True)
        (sdk / "__init__.py").write_text("__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n")
        (sdk / "sdk" / "__init__.py").write_text("")
        (sdk / "sdk" / "runtime.py").write_text(_DBUTILS)
        self._set_environment(environment or {})

    def deploy(self, jobs: Mapping[str, Any], variables: Mapping[str, object], environment: Mapping[str, str]) -> None:
        """Replace the definitions, and what their wheels are found by."""
        self.jobs = _deployed(jobs, variables)
        self._set_environment(environment)

    def _set_environment(self, given: Mapping[str, str]) -> None:
        path = os.pathsep.join([str(self._folder / "sdk"), *filter(None, [given.get("PYTHONPATH")])])
        self._environment = {**os.environ, **given, "PYTHONPATH": path}

    def run_now(
        self,
        job: str,
        job_parameters: Mapping[str, str] | None = None,
        *,
        triggered: dt.datetime | None = None,
        queued: dt.timedelta = dt.timedelta(),
        trigger_time: Literal["given", "unresolved", "empty"] = "given",
        number: int | None = None,
    ) -> Run:
        """Run a job to its end. A run that is queued starts later than it was triggered.

        `trigger_time` says what the platform puts in the place of references to that moment; `number` is the run's id.
        """
        number = next(self._ids) if number is None else number
        moment = triggered or dt.datetime.now(dt.UTC)
        known: dict[tuple[str, ...], str] = {
            ("workspace", "id"): "4711",
            ("job", "id"): str(hash(job) % 10**9),
            ("job", "run_id"): str(number),
            ("job", "name"): job,
            **_moment(("job", "start_time"), moment + queued),
            **({} if trigger_time == "unresolved" else _moment(("job", "trigger", "time"), moment)),
        }
        if trigger_time == "empty":
            known |= {path: "" for path in known if path[:3] == ("job", "trigger", "time")}
        run = Run()
        values = self._folder / "values" / str(number)
        values.mkdir(parents=True)
        run.goes_on = _Running(self, job, run, known, values).run
        run.goes_on(job_parameters or {})
        return run

    def repair(self, run: Run, job_parameters: Mapping[str, str] | None = None) -> None:
        """Run again what has failed, and all that is downstream of it, by the job's settings of now.

        With `job_parameters` all others have their defaults again.
        """
        run.repairs += 1
        run.goes_on(job_parameters)

    def wheel_task(
        self, arguments: Sequence[str], package: str, entry_point: str, task: str, values: Path
    ) -> tuple[bool, str]:
        """Start one process, and say whether it ended well and what it printed."""
        done = subprocess.run(
            [self._python, "-c", _START, package, entry_point, *arguments],
            env={**self._environment, "EMULATED_TASK_VALUES": str(values), "EMULATED_TASK": task},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode == 0, done.stdout

    def notebook(self, path: str, parameters: Mapping[str, str]) -> Mapping[str, Any]:
        name = path.rpartition("/")[2]
        return self._notebooks[name](parameters) if name in self._notebooks else {}


class _Running:
    """One run of one job: its tasks one after another."""

    def __init__(
        self, workspace: Workspace, job: str, run: Run, known: dict[tuple[str, ...], str], values: Path
    ) -> None:
        self._workspace, self._key, self._run, self._known, self._values = workspace, job, run, known, values
        self._job: Mapping[str, Any] = {}

    def run(self, given: Mapping[str, str] | None) -> None:
        self._job = self._workspace.jobs[self._key]
        if given is not None:
            declared = {p["name"]: p["default"] for p in self._job.get("parameters", [])}
            self._run.parameters = {k: resolve(v, self._known) for k, v in {**declared, **given}.items()}
            self._known |= {("job", "parameters", name): text for name, text in self._run.parameters.items()}
        waiting = {task["task_key"]: task for task in self._job["tasks"]}
        self._again = set() if self._run.repairs else waiting.keys()
        while waiting:
            key = next(
                k for k, t in waiting.items() if all(d["task_key"] not in waiting for d in t.get("depends_on", []))
            )
            self._task(waiting.pop(key))
        states, needed = self._run.states, {d["task_key"] for t in self._job["tasks"] for d in t.get("depends_on", [])}
        bad = {key for key, state in states.items() if state in (FAILED, UPSTREAM_FAILED)}
        self._run.state = FAILED if bad - needed else SUCCESS_WITH_FAILURES if bad else SUCCESS

    def _task(self, task: Mapping[str, Any]) -> None:
        key = task["task_key"]
        again = any(d["task_key"] in self._again for d in task.get("depends_on", []))
        if self._run.repairs and not again and self._run.states[key] not in (FAILED, UPSTREAM_FAILED):
            return
        self._again = {*self._again, key}
        state = self._must_not_run(task)
        if state is None:
            state = self._execute(key, task, {})
        self._run.states[key] = state
        self._known["tasks", key, "result_state"] = state
        path = self._values / f"{key}.json"
        left = json.loads(path.read_text()) if path.exists() else {}
        self._run.values[key] = left
        for name, value in left.items():
            self._known["tasks", key, "values", name] = rendered(value)

    def _must_not_run(self, task: Mapping[str, Any]) -> str | None:
        """The documentation's table of "Run if", and branches."""
        seen = []
        for dependency in task.get("depends_on", []):
            state, outcome = self._run.states[dependency["task_key"]], dependency.get("outcome")
            if outcome is not None and state == EXCLUDED:
                return EXCLUDED
            if outcome is not None and state in (FAILED, UPSTREAM_FAILED):
                return UPSTREAM_FAILED
            if outcome is not None and state == SUCCESS and self._run.outcomes[dependency["task_key"]] != outcome:
                return EXCLUDED
            seen.append(state)
        if not seen:
            return EXCLUDED if task.get("run_if") in ("ALL_FAILED", "AT_LEAST_ONE_FAILED") else None
        if set(seen) == {EXCLUDED}:
            return EXCLUDED
        bad = [state in (FAILED, UPSTREAM_FAILED) for state in seen]
        match task.get("run_if", "ALL_SUCCESS"):
            case "ALL_SUCCESS" | "NONE_FAILED":
                return UPSTREAM_FAILED if any(bad) else None
            case "AT_LEAST_ONE_SUCCESS":
                return None if SUCCESS in seen else UPSTREAM_FAILED
            case "ALL_DONE":
                return None
            case "AT_LEAST_ONE_FAILED":
                return None if any(bad) else EXCLUDED
            case "ALL_FAILED":
                return None if all(bad) else EXCLUDED
        raise AssertionError(task)

    def _execute(self, key: str, task: Mapping[str, Any], more: Mapping[tuple[str, ...], str]) -> str:
        known = {**self._known, **more, ("task", "name"): key}
        if "condition_task" in task:
            return self._decide(key, task["condition_task"], known)
        if "for_each_task" in task:
            return self._for_each(key, task["for_each_task"], known)
        if "run_job_task" in task:
            form = task["run_job_task"]
            given = {name: resolve(text, known) for name, text in form.get("job_parameters", {}).items()}
            inner = self._workspace.run_now(
                form["job_id"].removeprefix("${resources.jobs.").removesuffix(".id}"), given
            )
            self._run.inner[key] = inner
            return SUCCESS if inner.state in (SUCCESS, SUCCESS_WITH_FAILURES) else FAILED
        if "notebook_task" in task:
            form = task["notebook_task"]
            given = {name: resolve(text, known) for name, text in form.get("base_parameters", {}).items()}
            left = self._workspace.notebook(form["notebook_path"], {**self._run.parameters, **given})
            (self._values / f"{key}.json").write_text(json.dumps(dict(left)))
            return SUCCESS
        return self._wheel(key, task, known)

    def _wheel(self, key: str, task: Mapping[str, Any], known: Mapping[tuple[str, ...], str]) -> str:
        form = task["python_wheel_task"]
        own, pushed_down = form["named_parameters"], self._run.parameters
        tries = 1 + task.get("max_retries", 0)
        if "environment_key" in task and "max_retries" not in task and not task.get("disable_auto_optimization"):
            tries = _AUTOMATIC_TRIES
        for attempt in range(self._run.tries.get(key, 0) + 1, self._run.tries.get(key, 0) + tries + 1):
            now = {**known, ("task", "execution_count"): str(attempt)}
            named = {**{name: resolve(text, now) for name, text in own.items()}, **pushed_down}
            arguments = [f"--{name}={text}" for name, text in named.items()]
            well, printed = self._workspace.wheel_task(
                arguments, form["package_name"], form["entry_point"], key, self._values
            )
            self._run.printed[key] = self._run.printed.get(key, "") + printed
            self._run.tries[key] = self._run.tries.get(key, 0) + 1
            if well:
                return SUCCESS
        return FAILED

    def _for_each(self, key: str, form: Mapping[str, Any], known: Mapping[tuple[str, ...], str]) -> str:
        try:
            items = json.loads(resolve(form["inputs"], known))
        except ValueError:
            return FAILED
        states: list[str] = []
        for item in items:
            of_item: dict[tuple[str, ...], str] = {("input",): rendered(item)}
            if isinstance(item, dict):
                of_item |= {("input", name): rendered(value) for name, value in item.items()}
            # Task values of iterations are nobody's: they stay apart.
            states.append(self._execute(f"{key}_iteration_{len(states)}", form["task"], of_item))
        return FAILED if FAILED in states else SUCCESS

    def _decide(self, key: str, form: Mapping[str, str], known: Mapping[tuple[str, ...], str]) -> str:
        left, right = (resolve(form[side], known) for side in ("left", "right"))
        if {left, right} & {"null"} or (left[:1] in ("[", "{") and left != form["left"]):
            return FAILED  # "Any other types cause the condition expression to fail."
        try:
            held = {
                "EQUAL_TO": lambda: left == right,
                "NOT_EQUAL": lambda: left != right,
                "GREATER_THAN": lambda: float(left) > float(right),
                "GREATER_THAN_OR_EQUAL": lambda: float(left) >= float(right),
                "LESS_THAN": lambda: float(left) < float(right),
                "LESS_THAN_OR_EQUAL": lambda: float(left) <= float(right),
            }[form["op"]]()
        except ValueError:
            return FAILED
        self._run.outcomes[key] = "true" if held else "false"
        return SUCCESS


def rendered(value: Any) -> str:
    """A task value, or an item, where a reference to it stands."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _as_java(value)
    return json.dumps(value, separators=(",", ":"))


def _as_java(number: float) -> str:
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        return repr(number)
    mantissa, _, exponent = f"{number:.16e}".partition("e")
    mantissa = mantissa.rstrip("0")
    return f"{mantissa}{'0' if mantissa.endswith('.') else ''}E{int(exponent)}"


def resolve(text: str, known: Mapping[tuple[str, ...], str]) -> str:
    """`text` with each reference in it; one that is misspelled or names nothing stays as it is."""
    done, rest = "", text
    while "{{" in rest:
        before, rest = rest.split("{{", 1)
        inside, closed, behind = rest.partition("}}")
        names = _segments(inside.strip()) if closed else None
        if names is not None and names in known:
            done, rest = done + before + known[names], behind
        else:
            done, rest = done + before + "{{", rest
    return done + rest


def _segments(inside: str) -> tuple[str, ...] | None:
    """The names between two braces: alphanumeric characters and underscores, all others between backticks."""
    names, rest = [], inside
    while True:
        if rest.startswith("`"):
            name, closed, rest = rest[1:].partition("`")
            if not closed or not name:
                return None
        else:
            name = ""
            while rest and rest[0].isascii() and (rest[0].isalnum() or rest[0] == "_"):
                name, rest = name + rest[0], rest[1:]
            if not name:
                return None
        names.append(name)
        if not rest:
            return tuple(names)
        if not rest.startswith("."):
            return None
        rest = rest[1:]


def _moment(start: tuple[str, ...], moment: dt.datetime) -> dict[tuple[str, ...], str]:
    utc = moment.astimezone(dt.UTC)
    return {
        (*start, "timestamp_ms"): str(int(utc.timestamp() * 1000)),
        (*start, "iso_datetime"): utc.strftime("%Y-%m-%dT%H:%M:%S"),
        (*start, "iso_date"): utc.strftime("%Y-%m-%d"),
    }


def _deployed(form: Any, variables: Mapping[str, object]) -> Any:
    """The definitions with the bundle's variables in their places."""
    if isinstance(form, dict):
        return {key: _deployed(value, variables) for key, value in form.items()}
    if isinstance(form, list):
        return [_deployed(value, variables) for value in form]
    if isinstance(form, str):
        for name, value in {**variables, "target": "dev"}.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            form = form.replace("${bundle.target}" if name == "target" else f"${{var.{name}}}", text)
    return form
