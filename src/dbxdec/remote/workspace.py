"""The one module that talks to a workspace: databricks-sdk is imported here, when a backfill on the platform starts.

The SDK sends a request again after 429, 503 and a dropped connection, with the same idempotency token. After HTTP 500,
and where it has given up, the same request is sent again here.
"""

from __future__ import annotations

import logging
import re
import ssl
import time
import urllib.error
import urllib.request
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import dbxdec
from dbxdec.errors import RunError
from dbxdec.model.protocol import BUILD, ENTRY_POINT, JOB, KEYS, PACKAGE, TASK
from dbxdec.remote.states import Deployed, PlatformRun
from dbxdec.support.masking import Mask, of_this_machine
from dbxdec.support.printing import safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service import jobs

    from dbxdec.remote.states import Named, State

Answer = TypeVar("Answer")
PAGE = 24
"""Runs on a page of a list: the platform takes no more than that."""
PAUSES_S = (0.25, 1.0, 4.0, 15.0, 30.0, 60.0)
"""Pauses before a request is sent again that the workspace has failed to answer."""
_SDK_PATIENCE_S, _ANSWER_S, _REACHED_S = 60, 60, 15
_LONGEST = 300
_LONGEST_ANSWER_S, _LAST_POLL_S = 3600, 20.0
# TerminationCode and life_cycle_state of runs that have not begun and may be started later.
_SKIPPED = {
    *("SKIPPED", "MAX_CONCURRENT_RUNS_EXCEEDED", "MAX_JOB_QUEUE_SIZE_EXCEEDED", "WORKSPACE_RUN_LIMIT_EXCEEDED"),
    "MAXIMUM_CONCURRENT_RUNS_REACHED",
}
_SUCCEEDED = {"SUCCESS", "SUCCESS_WITH_FAILURES"}
_ENDED = {"TERMINATED", "SKIPPED", "INTERNAL_ERROR"}
_BY_HAND = {"ONE_TIME", "RUN_JOB_TASK", "RETRY"}


class RefusedError(RunError):
    """Raised when the workspace has understood a request and refuses it: nothing has happened."""


class Workspace:
    """The jobs of one workspace. All methods raise RunError where it can't be asked, in one sentence."""

    def __init__(self, client: WorkspaceClient, host: str) -> None:
        self._client, self.host = client, host

    @classmethod
    def connect(cls, host: str | None, profile: str | None) -> Workspace:
        """Connect to a workspace; without `host` and `profile` to that of the environment."""
        try:
            from databricks.sdk import WorkspaceClient
            from databricks.sdk.config import Config
        except ImportError:
            raise RunError(
                "a backfill on the platform needs databricks-sdk, which is not installed here",
                hint='pip install "dbxdec[remote]"',
            ) from None
        # It warns of hosts without a file that newer ones have.
        logging.getLogger("databricks.sdk").setLevel(logging.ERROR)
        if host is not None:
            host = host.rstrip("/") if "://" in host else f"https://{host.rstrip('/')}"
            _reach(host)
        try:
            config = Config(
                host=host,
                profile=profile,
                retry_timeout_seconds=_SDK_PATIENCE_S,
                http_timeout_seconds=_ANSWER_S,
                product="dbxdec",
                product_version=_release(),
            )
            if config.host is None:
                raise ValueError("no host")
            client = WorkspaceClient(config=config)
        except (ValueError, OSError) as error:
            where = f" for {host}" if host else f" of the profile `{profile}`" if profile else ""
            raise RunError(
                f"there are no credentials{where} that work: {_sentence(error)}",
                hint="`databricks auth login --host URL`, or set DATABRICKS_HOST and DATABRICKS_TOKEN, or give "
                "`--profile NAME`",
            ) from None
        return cls(client, str(config.host))

    def id(self) -> str:
        """Return what names the workspace for everybody: its id, or else its host."""
        try:
            return str(self._ask(self._client.get_workspace_id))
        except (RefusedError, KeyError, ValueError, TypeError):
            return self.host.lower()

    def job(self, job_id: int) -> Deployed:
        """Return a job as it is deployed."""
        try:
            found = self._ask(lambda: self._client.jobs.get(job_id))
        except RefusedError as error:
            raise RunError(
                f"the job {job_id} of {self.host} can't be read: {error}",
                hint="has it been deployed there, and may you see it? `--job-id`, `--host` and `--profile` say which",
            ) from None
        settings = found.settings
        if settings is None:
            raise RunError(f"the job {job_id} of {self.host} has no settings that you may see")
        starters: list[Any] = [settings.schedule, settings.trigger, settings.continuous]
        starters += getattr(settings, "triggers", None) or []  # which older versions of the SDK do not know
        return Deployed(
            job_id,
            settings.name or "",
            1 if settings.max_concurrent_runs is None else settings.max_concurrent_runs,
            any(one is not None and _value(getattr(one, "pause_status", None)) != "PAUSED" for one in starters),
            {one.name: one.default for one in settings.parameters or ()},
            tuple(named for task in settings.tasks or () if (named := _named(task)) is not None),
        )

    def runs(self, job_id: int, *, active_only: bool = False) -> Iterator[PlatformRun]:
        """Yield the runs of a job, the newest first."""
        seen: set[int] = set()
        pauses = iter(PAUSES_S)
        while True:
            # After an error the iterator of the SDK has ended.
            listed = self._client.jobs.list_runs(job_id=job_id, active_only=active_only or None, limit=PAGE)
            following: Callable[[], Any] = partial(next, listed, None)
            try:
                while (found := self._ask(following, again=False)) is not None:
                    if found.run_id is not None and found.run_id not in seen:
                        seen.add(found.run_id)
                        yield _run(found)
            except _AgainError:
                if (pause := next(pauses, None)) is None:
                    raise
                time.sleep(pause)
            else:
                return

    def run(self, run_id: int) -> PlatformRun | None:
        """Return a run with its tasks; None if it has been deleted."""
        try:
            found = self._ask(
                lambda: self._client.jobs.get_run(run_id, include_history=True, include_resolved_values=True)
            )
        except RefusedError:
            return None
        return _run(found)

    def start(self, job_id: int, parameters: Mapping[str, str], tokens: tuple[str, str]) -> int:
        """Return the id of the run that the first token stands for; it is started if it does not exist.

        The second token is for the case that the run of the first one has been deleted.
        """
        own, other = tokens

        def ask(token: str) -> int:
            started: Any = self._ask(
                lambda: self._client.jobs.run_now(job_id, job_parameters=dict(parameters), idempotency_token=token)
            )
            return int(started.response.run_id)

        try:
            return ask(own)
        except RefusedError as first:
            # The platform does not document the error of a deleted run; another refusal comes again.
            try:
                return ask(other)
            except RefusedError:
                raise first from None

    def cancel(self, run_id: int) -> None:
        """Have the platform end a run that is at work. Raises RefusedError if there is no such run."""
        self._ask(lambda: self._client.jobs.cancel_run(run_id))

    def repair(self, run: PlatformRun, parameters: Mapping[str, str]) -> int | None:
        """Run the failed tasks of a run again, unless another one has just done that.

        Return the id of the repair; None if the run does not show it yet.
        """

        def ask() -> Any:
            return self._client.jobs.repair_run(
                run.id,
                rerun_all_failed_tasks=True,
                latest_repair_id=run.latest_repair,
                job_parameters=dict(parameters) or None,
            )

        for pause in (*PAUSES_S, None):
            try:
                return int(self._ask(ask, again=False).response.repair_id)
            except (RefusedError, _AgainError) as error:
                # A repair has no token: whether it has been taken on shows in the run.
                now = self.run(run.id)
                if now is not None and (now.state == "active" or now.latest_repair != run.latest_repair):
                    return now.latest_repair if now.latest_repair != run.latest_repair else None
                if isinstance(error, RefusedError) or pause is None:
                    raise
                time.sleep(pause)
        raise AssertionError

    def ask_keys(self, job_id: int, named: Mapping[str, str], tell: Callable[[str], object]) -> tuple[bool, str, str]:
        """Make a one-time run of the deployed wheel, with `named` as its own parameters.

        Return whether it has succeeded, what it has printed, and how it ended in the platform's words. It has the
        compute of a task of the job; `tell` hears the address of its page.
        """
        from databricks.sdk.service import jobs

        settings = self._ask(lambda: self._client.jobs.get(job_id)).settings
        form = settings.as_dict() if settings is not None else {}
        task, environments = one_time_task(form, named)
        ours = uuid.uuid4().hex

        def submit() -> Any:
            return self._client.jobs.submit(
                run_name=f"{form.get('name', job_id)}: which keys are there",
                tasks=[jobs.SubmitTask.from_dict(task)],
                environments=[jobs.JobEnvironment.from_dict(one) for one in environments] or None,
                run_as=settings.run_as if settings is not None else None,
                queue=jobs.QueueSettings(enabled=True),
                idempotency_token=ours,
                timeout_seconds=_LONGEST_ANSWER_S,
            )

        run_id = int(self._ask(submit).response.run_id)
        pause, told = PAUSES_S[0], False
        while (found := self._ask(lambda: self._client.jobs.get_run(run_id))) is not None:
            run = _run(found)
            if not told and run.url:
                told = True
                tell(run.url)
            if run.state != "active":
                break
            time.sleep(pause)
            pause = min(pause * 1.4, _LAST_POLL_S)
        inner = next((one.run_id for one in found.tasks or () if one.run_id is not None), run_id)
        output = self._ask(lambda: self._client.jobs.get_run_output(inner))
        why = _sentence(output.error) if output.error else run.said
        return run.state == "success", output.logs or "", f"{why} {run.url}".rstrip()

    def _ask(self, call: Callable[[], Answer], *, again: bool = True) -> Answer:
        """Return the answer to a request; after a failure that may pass it is sent again, unless `again` is False."""
        from databricks.sdk.errors import platform
        from databricks.sdk.errors.base import DatabricksError

        for pause in (*PAUSES_S, None) if again else (None,):
            try:
                return call()
            except (platform.Unauthenticated, platform.PermissionDenied) as error:
                raise RunError(
                    f"{self.host} refuses these credentials: {_sentence(error)}",
                    hint="log in again, or give another `--profile`; a token is of one workspace",
                ) from None
            except (platform.BadRequest, platform.NotFound, platform.ResourceConflict) as error:
                raise RefusedError(_sentence(error)) from None
            except (DatabricksError, OSError) as error:
                if pause is None:
                    raise _AgainError(
                        f"{self.host} does not answer: {_sentence(error)}",
                        hint="the same command goes on where this one was",
                    ) from None
                time.sleep(pause)
            except ValueError as error:
                raise RunError(f"{self.host} can't be asked: {_sentence(error)}") from None
        raise AssertionError


class _AgainError(RunError):
    """Raised when a request has failed in a way that may pass: nobody knows whether it had an effect."""


def _release() -> str:
    """Return the version of dbxdec in the form that the SDK admits."""
    found = re.match(r"\d+\.\d+\.\d+", dbxdec.__version__)
    return found[0] if found else "0.0.0"


def _reach(host: str) -> None:
    """Raise RunError where nothing answers: the SDK would try for a minute."""
    request = urllib.request.Request(f"{host}/.well-known/databricks-config", headers={"User-Agent": "dbxdec"})  # noqa: S310
    for last in (False, True):
        try:
            with urllib.request.urlopen(request, timeout=_REACHED_S):  # noqa: S310 - the host that a person has given
                return
        except urllib.error.HTTPError as error:
            error.close()
            return
        except (OSError, ValueError) as error:
            why = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(why, ssl.SSLError):
                return  # the SDK may know other certificates
            if last:
                raise RunError(
                    f"{host} can't be reached: {_sentence(why)}", hint="give the workspace's address: `--host URL`"
                ) from None
            time.sleep(PAUSES_S[0])


def _sentence(error: object) -> str:
    """Return what an error says, on one line, without secrets."""
    text = " ".join(str(error).split()) or type(error).__name__
    # The SDK adds its whole configuration.
    text = text.partition(". Config:")[0]
    return safe(Mask(of_this_machine()).text(text))[:_LONGEST]


def one_time_task(form: Mapping[str, Any], named: Mapping[str, str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a task for a one-time run of the wheel of a job with the settings `form`, and its environments.

    Raises RunError for a job without a wheel.
    """
    tasks = [one.get("for_each_task", {}).get("task") or one for one in form.get("tasks") or ()]
    found = next((one for one in tasks if one.get("python_wheel_task", {}).get("entry_point") == ENTRY_POINT), None)
    if found is None:
        raise RunError("the deployed job has no task of a wheel that dbxdec has built")
    wheel = found["python_wheel_task"]
    task = {
        "task_key": KEYS,
        "python_wheel_task": {
            "package_name": wheel["package_name"],
            "entry_point": ENTRY_POINT,
            "named_parameters": {**_of_wheel(wheel.get("named_parameters", {})), **named},
        },
        **{name: found[name] for name in ("libraries", "new_cluster", "existing_cluster_id") if name in found},
    }
    if (shared := found.get("job_cluster_key")) is not None:
        clusters = {one["job_cluster_key"]: one["new_cluster"] for one in form.get("job_clusters") or ()}
        task["new_cluster"] = clusters.get(shared)
    key = found.get("environment_key")
    if key is not None:
        task["environment_key"] = key
    return task, [one for one in form.get("environments") or () if one.get("environment_key") == key]


def _of_wheel(named: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters that say which build it is; others are of a run of the job."""
    return {name: text for name, text in named.items() if name in (PACKAGE, JOB, TASK, BUILD)}


def _named(task: Any) -> Named | None:
    """Return the key of a task with the named parameters of its wheel, as they are resolved; None for other tasks."""
    inner = task
    if task.for_each_task is not None:
        inner = task.for_each_task.task
    wheel = None if inner is None else inner.python_wheel_task
    if wheel is None:
        return None
    own = dict(wheel.named_parameters or {})
    resolved = getattr(getattr(task, "resolved_values", None), "python_wheel_task", None)
    return task.task_key, {**own, **(getattr(resolved, "named_parameters", None) or {})}


def _value(one: Any) -> str:
    return str(getattr(one, "value", one) or "")


def _run(found: jobs.BaseRun | jobs.Run) -> PlatformRun:
    repairs = [one for one in getattr(found, "repair_history", None) or () if one.id is not None]
    last: Any = repairs[-1] if repairs and (repairs[-1].status or repairs[-1].state) else found
    state, said = _state(last)
    began, end = last.start_time or 0, last.end_time or 0
    return PlatformRun(
        found.run_id or 0,
        state,
        said,
        found.run_page_url or "",
        found.start_time or 0,
        max(0, end - began) / 1000,
        {one.name: text for one in found.job_parameters or () if one.name and (text := _text(one)) is not None},
        bool(found.trigger) and _value(found.trigger) not in _BY_HAND,
        tuple(named for task in found.tasks or () if (named := _named(task)) is not None),
        repairs[-1].id if repairs else None,
    )


def _text(parameter: Any) -> str | None:
    given: str | None = parameter.value
    default: str | None = parameter.default
    return given if given is not None else default


def _state(found: Any) -> tuple[State, str]:
    """Return the state of a run, or of its last repair, and the platform's words for how it ended."""
    status, old = found.status, found.state
    now = _value(status.state) if status is not None else ""
    now = now or (_value(old.life_cycle_state) if old is not None else "")
    if now not in _ENDED:
        return "active", now.lower()
    details = status.termination_details if status is not None else None
    code = _value(details.code) if details is not None else ""
    code = code or (_value(old.result_state) if old is not None else "") or now
    message = (details.message if details is not None else None) or (old.state_message if old is not None else None)
    said = _sentence(f"{code.lower()}: {message}" if message else code.lower())
    if now == "SKIPPED" or code in _SKIPPED:
        return "skipped", said
    return ("success" if code in _SUCCEEDED else "failed"), said
