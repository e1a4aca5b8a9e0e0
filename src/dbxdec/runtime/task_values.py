"""Task values: small JSON values that tasks of one run leave for each other.

On the platform they are kept in `dbutils.jobs.taskValues`, under `dbxdec run` in a folder of the run, and outside a run
in memory. The rules are the same in all three: JSON only, 48 KiB, and a missing key is an error unless a default is
given.
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from dbxdec.errors import RunError
from dbxdec.model import dag, json_values, secrets
from dbxdec.model.mistakes import forgiving, giving, is_wiring
from dbxdec.model.variables import tokens_of_run
from dbxdec.platform.dbutils import find_dbutils, is_remote
from dbxdec.runtime import context
from dbxdec.support import boundary, environment, files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TypeAlias

    from dbxdec.model.literals import Json

    # Sequence and Mapping, so that a `list[str]` fits for a type checker: values that are read are never changed.
    JsonValue: TypeAlias = bool | int | float | str | Sequence["JsonValue"] | Mapping[str, "JsonValue"] | None

FOLDER = "DBXDEC_TASK_VALUES"
"""The environment variable that names the run's folder; the local runner sets it."""
MAX_BYTES = 48 * 1024
"""The platform's limit for one value as JSON (docs.databricks.com, "Use task values")."""
_MISSING: Any = object()


class Store(Protocol):
    """A place for task values. `get` raises KeyError for a value that was never set, RunError if it can't be read."""

    def set(self, task: str, key: str, value: Json) -> None: ...
    def get(self, task: str, key: str) -> Any: ...


class MemoryStore:
    """Task values of this process, for code that runs outside a run, as in a test or a notebook."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], str] = {}

    def set(self, task: str, key: str, value: Json) -> None:
        self._values[task, key] = json.dumps(value)

    def get(self, task: str, key: str) -> Any:
        return json.loads(self._values[task, key])

    def of(self, task: str) -> dict[str, Any]:
        """Return all values that `task` has set."""
        return {key: json.loads(text) for (owner, key), text in self._values.items() if owner == task}


_setting = threading.Lock()


class FolderStore:
    """Task values as one JSON file for each task. A file is replaced whole, so a kill leaves the old or the new one.

    Threads of one task may set values at once; processes have tasks of their own.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = folder

    def set(self, task: str, key: str, value: Json) -> None:
        path = self._path(task)
        try:
            with _setting:
                values = {**self._read(task), key: value}
                os.makedirs(self._folder, exist_ok=True)
                files.replace(path, json.dumps(values).encode(), mode=0o600)
        except OSError as error:
            raise boundary.failed(f"the task value `{key}` can't be kept", error.filename or path, error) from None

    def get(self, task: str, key: str) -> Any:
        return self._read(task)[key]

    def _read(self, task: str) -> dict[str, Any]:
        path = self._path(task)
        try:
            with open(path, encoding="utf-8") as file:
                values = json.load(file)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise boundary.failed(f"the task values of `{task}` can't be read", path, error) from None
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise RunError(f"{path}, the task values of `{task}`, is damaged", hint="remove it, and run the task again")
        return values

    def _path(self, task: str) -> str:
        return os.path.join(self._folder, f"{task}.json")


class DbutilsStore:
    """The platform's own task values. A task can set only its own."""

    def __init__(self, dbutils: Any) -> None:
        self._values = dbutils.jobs.taskValues

    def set(self, task: str, key: str, value: Json) -> None:
        self._values.set(key=key, value=value)

    def get(self, task: str, key: str) -> Any:
        # dbutils raises one of several types for a missing key, and treats a default of None as "no default". A
        # default that no task can have set distinguishes a missing value from any other.
        nothing = "<dbxdec:no task value>"
        found = self._values.get(taskKey=task, key=key, default=nothing)
        if found == nothing:
            raise KeyError(key)
        return found


class TaskValues:
    """Task values: set those of this task, and read those of upstream tasks. `task_values` is the one object of it.

    Outside of a run they stay in the memory of the process.

    Example:
        ```python
        from dbxdec import task, task_values


        @task
        def load() -> None:
            task_values.set("rows", 3)
        ```
    """

    def __init__(self) -> None:
        self._memory = MemoryStore()
        self._kept_in: Store | None = None
        self._left: tuple[object, dict[str, Any]] = (None, {})

    @property
    def left(self) -> Mapping[str, Any]:
        """The values that the running task has set so far."""
        run, values = self._left
        return values if run is not None and run is context.context() else {}

    @contextmanager
    def kept_in(self, store: Store) -> Iterator[None]:
        """Keep the values of the runs inside the block in `store`."""
        before, self._kept_in = self._kept_in, store
        try:
            yield
        finally:
            self._kept_in = before

    def forget(self) -> None:
        """Drop the values that code outside of runs left in this process."""
        self._memory = MemoryStore()

    @forgiving(giving(None))
    def set(self, key: str, value: JsonValue) -> None:
        """Leave a value for downstream tasks: `x.value(key)` in a job's body, `get` inside a task.

        Args:
            key: The name of the value.
            value: A `str`, `int`, `float`, `bool`, None, or lists and dicts of them, up to 48 KiB (49,152 bytes) as
                JSON. The platform takes 250 a run, repairs included.

        Raises:
            RunError: The value is not JSON or too large, before anything is sent; or it has the value of a secret; or
                the key is one of dbxdec's own.
        """
        _refuse_wiring("set")
        if not isinstance(key, str) or not key:
            raise RunError(f"the key of a task value is {key!r:.60}", hint="give it a name, such as `rows`")
        if key in (dag.RETURN_TEXT, dag.RETURN_PARAMETER) or key.startswith(dag.DATE_OF):
            raise RunError(f"the key `{key}` is reserved by dbxdec", hint="give the task value another name")
        self.leave(key, value)

    def leave(self, key: str, value: JsonValue) -> None:
        """Leave `value` under any key, also a reserved one."""
        try:
            json_values.require(value)
            text = json.dumps(value)
            names = tokens_of_run(value)
        except RecursionError:
            raise RunError(
                f"the task value `{key}` is nested too deeply for JSON",
                hint="make it flat, or store it as a table through an IoManager",
            ) from None
        except json_values.MisfitError as error:
            hint = error.hint or "use str, int, float, bool, None, lists and dicts"
            raise RunError(f"the task value `{key}` is not JSON: {error}", hint=hint) from None
        if names:
            raise RunError(
                f"the task value `{key}` has the name of the bundle variable `{min(names)}`, not its value: the string "
                "was made while the pipeline was defined",
                hint='make the string inside the task, as in `f"{root}/t"`',
            )
        size = len(text.encode())
        if size > MAX_BYTES:
            raise RunError(
                f"the task value `{key}` is {size:,} bytes as JSON; the platform allows {MAX_BYTES:,}",
                hint="store it as a table through an IoManager, and pass on only what is small",
            )
        store = self._store()
        in_key = secrets.contained(key)
        if (found := in_key or secrets.contained(value)) is not None:
            what = f"the result of the task `{_this_task()}`" if key in dag.RESULTS else f"the task value `{key}`"
            what = "the key of a task value" if in_key else what
            raise RunError(
                f"{what} has the value of {found}: task values can be read by all who may see the run",
                hint="read it where it is needed: call `secret(scope, key).value()` in that task, or pass it "
                "`secret(scope, key)` as an argument",
            )
        store.set(_this_task(), key, json.loads(text))
        if context.in_run():
            run = context.context()
            if self._left[0] is not run:
                self._left = (run, {})
            self._left[1][key] = json.loads(text)

    @forgiving()
    def get(self, task_key: str, key: str, default: Any = _MISSING) -> Any:
        """Return what a task has set in this run.

        Args:
            task_key: The key of the task.
            key: The name of the value.
            default: What to return if the task has set no such value.

        Raises:
            RunError: There is neither a value nor a default.
        """
        _refuse_wiring("read")
        try:
            return self._store().get(task_key, key)
        except KeyError:
            if default is not _MISSING:
                return default
            raise RunError(
                f"the task `{task_key}` has set no value `{key}` in this run",
                hint="check the task's key and that it ran before this one, or give a default",
            ) from None

    def _store(self) -> Store:
        if not context.in_run():
            return self._memory
        if self._kept_in is not None:
            return self._kept_in
        if folder := environment.given(FOLDER):
            return FolderStore(folder)
        dbutils = find_dbutils()
        if dbutils is None or is_remote(dbutils):
            raise RunError(
                "there is no store for task values here: neither `dbutils` nor a folder of a local run",
                hint=f"on a laptop start the job with `dbxdec run`, or set {FOLDER} to a folder",
            )
        return DbutilsStore(dbutils)


task_values = TaskValues()


def set_task_value(key: str, value: JsonValue) -> None:
    """Leave a small value for downstream tasks, besides what the task returns.

    In a job's body `x.value(key)` passes it on; inside a task `get_task_value(task_key, key)` reads it.

    Args:
        key: The name of the value.
        value: A `str`, `int`, `float`, `bool`, None, or lists and dicts of them, up to 48 KiB (49,152 bytes) as JSON.
            The platform takes 250 a run, repairs included.

    Raises:
        RunError: The value is not JSON or too large, before anything is sent; or it has the value of a secret; or the
            key is one of dbxdec's own.

    Example:
        ```python
        from dbxdec import job, set_task_value, task


        @task
        def load() -> None:
            set_task_value("rows", 3)


        @task
        def report(rows: int) -> None: ...


        @job
        def daily() -> None:
            report(load().value("rows"))
        ```
    """
    task_values.set(key, value)


def get_task_value(task_key: str, key: str, default: Any = _MISSING) -> Any:
    """Return what an upstream task has set with `set_task_value` in this run.

    It makes no edge: the task that asks has to run after the one that sets the value. `x.value(key)` as an argument
    does both.

    Args:
        task_key: The key of the task.
        key: The name of the value.
        default: What to return if the task has set no such value.

    Returns:
        The value.

    Raises:
        RunError: There is neither a value nor a default.

    Example:
        ```python
        from dbxdec import get_task_value, task


        @task
        def report() -> None:
            print(get_task_value("load", "rows", default=0))
        ```
    """
    return task_values.get(task_key, key, default)


def _refuse_wiring(how: str) -> None:
    if is_wiring():
        raise RunError(
            f"a task value is {how} while the pipeline is defined",
            hint="do it inside a task; in a job's body `x.value(key)` stands for what the task `x` will set",
        )


def _this_task() -> str:
    if not context.in_run():
        return ""
    run = context.context()
    # Iterations would overwrite each other's values, and no task can refer to these. The platform separates them too.
    return run.task if run.iteration is None else f"{run.task}[{run.iteration}]"
