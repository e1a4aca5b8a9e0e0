"""The Jobs API of a small Databricks on this machine, over HTTP, for the real databricks-sdk.

It enforces what the documentation of the API says: pages below 25 with the newest first, filters, how many runs are at
work at once (others are skipped or queued), idempotency tokens and their memory of deleted runs, repairs of the newest
repair by the job's current settings. Where the documentation leaves something open, it does what would hurt most: a
repair without parameters has the defaults, and a list shows the parameters that were given alone. Its runs are those of
`emulator`, which starts the real `dbxdec-run`.

    with JobsServer(tmp_path) as server:
        server.deploy({"delays": definition}, site=site, variables={"lake": "..."})
        server.faults.append(Fault("run-now", "drop after"))
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from emulator import SUCCESS, SUCCESS_WITH_FAILURES, Run, Workspace

TOKEN = "dapi-of-the-tests"  # noqa: S105 - of this server
WORKSPACE = "4711"
ACTIVE = ("QUEUED", "RUNNING")
_MOST = 24
_LONGEST_S = 60
_OF_TASK = 1_000_000
_FAILED = {"life_cycle_state": "TERMINATED", "result_state": "FAILED"}


@dataclass
class Fault:
    """What goes wrong with the next request to `endpoint`: an HTTP status, before or after its effect, or a drop."""

    endpoint: Literal["run-now", "runs/repair", "runs/list", "runs/get", "get"]
    what: Literal["500", "500 after", "429", "503", "drop", "drop after"]


@dataclass
class Record:
    """A run as the API shows it."""

    id: int
    job: str
    given: dict[str, str]
    trigger: str
    state: str = "RUNNING"
    result: str = ""
    message: str = ""
    started: int = 0
    ended: int = 0
    emulated: Run | None = None
    tasks: list[dict[str, Any]] = field(default_factory=list)
    repairs: list[int] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)
    cancelled: bool = False


class RefusedError(Exception):
    """An answer with a status of 400 or above."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class JobsServer:
    """One workspace. `held` are texts: a run with such a parameter stays at work until it is released."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._workspace: Workspace | None = None
        self._ids: dict[str, int] = {}
        self._number = 1000
        self.runs: dict[int, Record] = {}
        self.tokens: dict[str, int] = {}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.held: set[str] = set()
        self.refuses_undeclared = True
        self.lists_late: set[int] = set()
        """Runs that lists do not show yet."""
        self.spoils: Callable[[str], str] | None = None
        """What becomes of what a task has printed."""
        self.late_repairs = 0
        """How often a repaired run still looks as it was before."""
        self.unknown_for = 0
        """How often a run that is asked for is not known yet."""
        self.before_run_now: list[Callable[[], None]] = []
        """Calls before the next starts of a run, one for each."""
        self.together: threading.Barrier | None = None
        """Where starts of runs wait for each other."""

    def __enter__(self) -> JobsServer:
        handler = type("Handler", (_Handler,), {"jobs": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.host = f"http://127.0.0.1:{self._http.server_address[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        for record in list(self.runs.values()):
            for thread in record.threads:
                thread.join()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """The environment by which the SDK finds the workspace."""
        return {"DATABRICKS_HOST": self.host, "DATABRICKS_TOKEN": TOKEN}

    def deploy(
        self,
        jobs: Mapping[str, Any],
        *,
        site: Path,
        variables: Mapping[str, object],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Deploy definitions of jobs, whose wheel is unpacked in `site`; their ids stay."""
        given = {**(environment or {}), "PYTHONPATH": str(site)}
        with self._lock:
            if self._workspace is None:
                self._workspace = Workspace(jobs, folder=self._folder, variables=variables, environment=given)
            else:
                self._workspace.deploy(jobs, variables, given)
            for job in jobs:
                self._ids.setdefault(job, 100 + len(self._ids))

    def id(self, job: str) -> int:
        """The id of a deployed job."""
        return self._ids[job]

    def settings(self, job: str) -> dict[str, Any]:
        """The settings of a deployed job, which a test may change."""
        assert self._workspace is not None
        found: dict[str, Any] = self._workspace.jobs[job]
        return found

    def release(self, *texts: str) -> None:
        """Let runs go on that are held, all without `texts`."""
        with self._changed:
            self.held -= set(texts) if texts else set(self.held)
            self._changed.notify_all()

    def delete(self, run: int) -> None:
        """Delete a run as a person does; its token stays."""
        with self._lock:
            del self.runs[run]

    def of(self, **parameters: str) -> list[Record]:
        """The runs that were given these parameters, and were not skipped, oldest first."""
        with self._lock:
            found = [one for one in self.runs.values() if parameters.items() <= one.given.items()]
            return sorted((one for one in found if one.state != "SKIPPED"), key=lambda one: one.id)

    def wait(self, record: Record) -> Record:
        """Wait until a run has ended."""
        end = time.monotonic() + _LONGEST_S
        with self._changed:
            while record.state in ACTIVE:
                assert self._changed.wait(max(0, end - time.monotonic())), f"the run {record.id} has not ended"
        return record

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds of what the server has seen."""
        end = time.monotonic() + _LONGEST_S
        while not holds():
            assert time.monotonic() < end, "it has not come"
            time.sleep(0.05)

    def start(self, job: str, given: Mapping[str, str], *, trigger: str = "PERIODIC") -> Record:
        """Start a run as the platform's own schedule does."""
        with self._lock:
            self._number += 1
            record = Record(self._number, job, dict(given), trigger, started=_now())
            self.runs[record.id] = record
            settings = self.settings(job)
            if len(self._active(job)) > settings.get("max_concurrent_runs", 1):
                if (settings.get("queue") or {}).get("enabled"):
                    record.state = "QUEUED"
                else:
                    record.state, record.result, record.ended = "SKIPPED", "MAX_CONCURRENT_RUNS_EXCEEDED", _now()
                    record.message = "the maximum of concurrent runs was reached"
                    return record
            if record.state == "RUNNING":
                self._work(record)
            return record

    def count(self, endpoint: str) -> int:
        """How many requests there were."""
        return sum(one == endpoint for one, _ in self.requests)

    def _active(self, job: str) -> list[Record]:
        return [one for one in self.runs.values() if one.job == job and one.state in ACTIVE]

    def _work(self, record: Record, repaired: Mapping[str, str] | None = None) -> None:
        thread = threading.Thread(target=self._execute, args=(record, repaired))
        record.threads.append(thread)
        record.state, record.result = "RUNNING", ""
        thread.start()

    def _execute(self, record: Record, repaired: Mapping[str, str] | None) -> None:
        assert self._workspace is not None
        with self._changed:
            while self.held & set(record.given.values()) and not record.cancelled:
                self._changed.wait()
            if record.cancelled:
                record.state, record.result, record.ended = "TERMINATED", "CANCELED", _now()
                self._changed.notify_all()
                return
            now = [self._task(task) for task in self.settings(record.job)["tasks"]]
        before = dict(record.emulated.tries) if record.emulated is not None else {}
        if record.emulated is None:
            record.emulated = self._workspace.run_now(record.job, record.given, number=record.id)
            record.tasks = now
        else:
            self._workspace.repair(record.emulated, repaired)
            tries = record.emulated.tries
            record.tasks += [one for one in now if tries.get(one["task_key"], 0) > before.get(one["task_key"], 0)]
        with self._changed:
            state = record.emulated.state
            record.state, record.ended = "TERMINATED", _now()
            record.result = {SUCCESS: "SUCCESS", SUCCESS_WITH_FAILURES: "SUCCESS_WITH_FAILURES"}.get(state, "")
            if not record.result:
                record.result = "RUN_EXECUTION_ERROR"
                failed = [key for key, one in record.emulated.states.items() if one == "failed"]
                record.message = f"Task {', '.join(failed)} failed"
            queued = [one for one in self._active(record.job) if one.state == "QUEUED"]
            if queued:
                self._work(min(queued, key=lambda one: one.id))
            self._changed.notify_all()

    @staticmethod
    def _task(task: Mapping[str, Any]) -> dict[str, Any]:
        return {name: task[name] for name in ("task_key", "python_wheel_task", "for_each_task") if name in task}

    # The endpoints.

    def get(self, query: Mapping[str, str]) -> dict[str, Any]:
        job = self._job(query["job_id"])
        return {"job_id": self._ids[job], "settings": self.settings(job)}

    def run_now(self, body: Mapping[str, Any]) -> dict[str, Any]:
        if self.together is not None:
            self.together.wait(_LONGEST_S)
        job = self._job(body["job_id"])
        token = body.get("idempotency_token")
        with self._lock:
            if token is not None and len(token) > 64:
                raise RefusedError(400, "INVALID_PARAMETER_VALUE", "the idempotency token has more than 64 characters")
            if token in self.tokens:
                if self.tokens[token] not in self.runs:
                    raise RefusedError(400, "INVALID_STATE", "the run of this idempotency token was deleted")
                return {"run_id": self.tokens[token]}
            given = dict(body.get("job_parameters") or {})
            declared = {one["name"] for one in self.settings(job).get("parameters", [])}
            if unknown := given.keys() - declared:
                if self.refuses_undeclared:
                    raise RefusedError(400, "INVALID_PARAMETER_VALUE", f"Job parameters {sorted(unknown)} not defined")
                given = {name: text for name, text in given.items() if name in declared}
            if self.before_run_now:
                self.before_run_now.pop(0)()
            record = self.start(job, given, trigger="ONE_TIME")
            if token is not None:
                self.tokens[token] = record.id
            return {"run_id": record.id, "number_in_job": record.id}

    def list_runs(self, query: Mapping[str, str]) -> dict[str, Any]:
        limit, offset = int(query.get("limit", 20)), int(query.get("page_token", 0))
        if not 0 < limit <= _MOST:
            raise RefusedError(400, "INVALID_PARAMETER_VALUE", "limit must be greater than 0 and less than 25")
        with self._lock:
            found = sorted(self.runs.values(), key=lambda one: (one.started, one.id), reverse=True)
            found = [one for one in found if one.id not in self.lists_late]
            if "job_id" in query:
                found = [one for one in found if self._ids[one.job] == int(query["job_id"])]
            if query.get("active_only") == "true":
                found = [one for one in found if one.state in ACTIVE and not (self.late_repairs and one.repairs)]
            if query.get("completed_only") == "true":
                found = [one for one in found if one.state not in ACTIVE]
            page = [self._form(one) for one in found[offset : offset + limit]]
            more = len(found) > offset + limit
            return {"runs": page, "has_more": more, **({"next_page_token": str(offset + limit)} if more else {})}

    def get_run(self, query: Mapping[str, str]) -> dict[str, Any]:
        with self._lock:
            if self.unknown_for:
                self.unknown_for -= 1
                raise RefusedError(400, "INVALID_PARAMETER_VALUE", f"Run {query['run_id']} does not exist.")
            record = self._run(query["run_id"])
            tasks = [{**one, "run_id": record.id + _OF_TASK} for one in record.tasks]
            if query.get("include_resolved_values") == "true":
                for task in tasks:
                    if "python_wheel_task" in task and record.emulated is not None:
                        named = {**task["python_wheel_task"]["named_parameters"], **record.emulated.parameters}
                        task["resolved_values"] = {"python_wheel_task": {"named_parameters": named}}
            form = {**self._form(record), "tasks": tasks}
            if self.late_repairs and record.repairs:
                self.late_repairs -= 1
                return {**form, "state": _FAILED, "status": {"state": "TERMINATED"}}
            if query.get("include_history") == "true" and record.repairs:
                last = {
                    "type": "REPAIR",
                    "state": form["state"],
                    "status": form["status"],
                    "start_time": record.started,
                }
                old = {"state": _FAILED}
                form["repair_history"] = [
                    {"type": "ORIGINAL", **old},
                    *({"type": "REPAIR", "id": one, **old} for one in record.repairs[:-1]),
                    {**last, "id": record.repairs[-1], "end_time": record.ended},
                ]
            return form

    def repair(self, body: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            record = self._run(body["run_id"])
            if record.state in ACTIVE:
                raise RefusedError(400, "INVALID_PARAMETER_VALUE", "a run that is active can't be repaired")
            if body.get("latest_repair_id") != (record.repairs[-1] if record.repairs else None):
                raise RefusedError(400, "INVALID_PARAMETER_VALUE", "latest_repair_id is not that of the latest repair")
            if not body.get("rerun_all_failed_tasks"):
                raise RefusedError(400, "INVALID_PARAMETER_VALUE", "no tasks to rerun")
            self._number += 1
            record.repairs.append(self._number)
            given = dict(body.get("job_parameters") or {})
            self._work(record, given)
            return {"repair_id": self._number}

    def cancel(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """End a run that is held; another one is left to end by itself."""
        with self._changed:
            self._run(body["run_id"]).cancelled = True
            self._changed.notify_all()
        return {}

    def submit(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A one-time run: its tasks are those of a job that nobody sees."""
        assert self._workspace is not None
        with self._lock:
            if (token := str(body["idempotency_token"])) in self.tokens:
                return {"run_id": self.tokens[token]}
            job = f"submitted-{len(self._ids)}"
            self._workspace.jobs[job] = {name: body[name] for name in ("tasks", "environments") if name in body}
            for task in body["tasks"]:
                known = {one["environment_key"] for one in body.get("environments", ())}
                if "environment_key" in task and task["environment_key"] not in known:
                    raise RefusedError(400, "INVALID_PARAMETER_VALUE", "the environment of the task is not defined")
                if not task.keys() & {"environment_key", "new_cluster", "existing_cluster_id"}:
                    raise RefusedError(400, "INVALID_PARAMETER_VALUE", "the task has no compute")
            self._ids[job] = 100 + len(self._ids)
            record = self.start(job, {}, trigger="ONE_TIME")
            self.tokens[token] = record.id
            return {"run_id": record.id}

    def output(self, query: Mapping[str, str]) -> dict[str, Any]:
        """What the one task of a run has printed; only the runs of tasks have that."""
        with self._lock:
            record = self._run(int(query["run_id"]) - _OF_TASK)
            assert record.emulated is not None
            (printed,) = record.emulated.printed.values()
            failed = {"error": "The task failed"} if record.result != "SUCCESS" else {}
            printed = self.spoils(printed) if self.spoils is not None else printed
            return {"logs": printed, "logs_truncated": False, "metadata": self._form(record), **failed}

    def _job(self, job_id: str | int) -> str:
        for job, known in self._ids.items():
            if known == int(job_id):
                return job
        raise RefusedError(400, "INVALID_PARAMETER_VALUE", f"Job {job_id} does not exist.")

    def _run(self, run_id: str | int) -> Record:
        if int(run_id) not in self.runs:
            raise RefusedError(400, "INVALID_PARAMETER_VALUE", f"Run {run_id} does not exist.")
        return self.runs[int(run_id)]

    def _form(self, record: Record) -> dict[str, Any]:
        old, status = {"life_cycle_state": record.state}, {"state": record.state}
        details: dict[str, Any] = {}
        if record.state not in ACTIVE:
            old |= {"result_state": {"RUN_EXECUTION_ERROR": "FAILED"}.get(record.result, record.result)}
            old |= {"state_message": record.message}
            details = {"termination_details": {"code": record.result, "message": record.message}}
            if record.state == "SKIPPED":
                status, old["result_state"] = {"state": "TERMINATED"}, "MAXIMUM_CONCURRENT_RUNS_REACHED"
        declared = {one["name"]: one["default"] for one in self.settings(record.job).get("parameters", [])}
        return {
            "job_id": self._ids[record.job],
            "run_id": record.id,
            "start_time": record.started,
            "end_time": record.ended,
            "trigger": record.trigger,
            "state": old,
            "status": {**status, **details},
            "run_page_url": f"{self.host}/?o={WORKSPACE}#job/{self._ids[record.job]}/run/{record.id}",
            "job_parameters": [
                {"name": name, "default": text, **({"value": record.given[name]} if name in record.given else {})}
                for name, text in declared.items()
            ],
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    jobs: JobsServer

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self._answer(url.path, {name: values[-1] for name, values in parse_qs(url.query).items()})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(urlsplit(self.path).path, json.loads(body or b"{}"))

    def _answer(self, path: str, given: dict[str, Any]) -> None:
        endpoints = {
            "get": self.jobs.get,
            "run-now": self.jobs.run_now,
            "runs/list": self.jobs.list_runs,
            "runs/get": self.jobs.get_run,
            "runs/repair": self.jobs.repair,
            "runs/cancel": self.jobs.cancel,
            "runs/submit": self.jobs.submit,
            "runs/get-output": self.jobs.output,
        }
        if path == "/api/2.0/preview/scim/v2/Me":
            self._send(200, {"userName": "tester"})
            return
        name = path.removeprefix("/api/2.2/jobs/").removeprefix("/api/2.1/jobs/")
        if name not in endpoints:
            self._send(404, {"error_code": "ENDPOINT_NOT_FOUND", "message": f"No API found for {path}"})
            return
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(403, {"error_code": "PERMISSION_DENIED", "message": "Invalid access token."})
            return
        with self.jobs._lock:
            self.jobs.requests.append((name, given))
            fault = next((one for one in self.jobs.faults if one.endpoint == name), None)
            if fault is not None:
                self.jobs.faults.remove(fault)
        if fault is not None and not fault.what.endswith("after"):
            self._fail(fault.what)
            return
        try:
            status, answer = 200, endpoints[name](given)
        except RefusedError as error:
            status, answer = error.status, {"error_code": error.code, "message": str(error)}
        if fault is not None:
            self._fail(fault.what.removesuffix(" after"))
        else:
            self._send(status, answer)

    def _fail(self, what: str) -> None:
        if what == "drop":
            self.close_connection = True
            return
        codes = {"500": "INTERNAL_ERROR", "429": "RESOURCE_EXHAUSTED", "503": "TEMPORARILY_UNAVAILABLE"}
        self._send(int(what), {"error_code": codes[what], "message": "on purpose"})

    def _send(self, status: int, form: Mapping[str, Any]) -> None:
        content = json.dumps(form).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Databricks-Org-Id", WORKSPACE)
        if status in (429, 503):
            self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _now() -> int:
    return time.time_ns() // 1_000_000
