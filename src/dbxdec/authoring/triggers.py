"""Triggers of jobs: `on_update` of tables in Unity Catalog. Any other is a dict in the platform's own form."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from dbxdec.authoring import recording
from dbxdec.authoring.references import Spoiled, told
from dbxdec.authoring.tasks import Task
from dbxdec.errors import AuthoringError, Problem, shown
from dbxdec.io_managers.base import IoManager, Mistaken
from dbxdec.model import variables
from dbxdec.model.catalog_names import OTHER_CATALOGS
from dbxdec.model.mistakes import forgiving, giving
from dbxdec.model.variables import BundleVariable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from databricks.bundles.jobs import TriggerSettingsDict

# docs.databricks.com, "Trigger jobs when source tables are updated".
_SHORTEST = dt.timedelta(seconds=60)
_PARTS = 3
_ONLY_NAMES = (
    "the platform watches tables of Unity Catalog: store it with a `SparkTableIoManager`, or start the job by a "
    "`schedule`, or by a call of this job in the job that writes the table"
)


@forgiving(giving({"table_update": {"table_names": ["a.b.c"]}}))
def on_update(
    *tables: IoManager | str | BundleVariable, min_interval: dt.timedelta | None = None
) -> TriggerSettingsDict:
    """Return a trigger that starts a job when a table of Unity Catalog has been written, for `trigger=` of jobs.

    The platform watches the tables, whoever writes them. With several, a change of any of them starts a run. A run on
    this machine and in a test ignores it. `run_date(...)` follows the moment of the trigger.

    Args:
        *tables: Tables of a `SparkTableIoManager`, `io.table("orders")`, or their names, `"main.silver.orders"`. They
            may hold bundle variables.
        min_interval: The least time between two runs, at least a minute, in whole seconds. No limit by default.

    Returns:
        The trigger, as the Jobs API spells it.

    Raises:
        AuthoringError: There is no table, one has no name in Unity Catalog, such as a path, or the interval is shorter.
            In a build all mistakes are collected.

    Example:
        ```python
        import datetime as dt

        from dbxdec import bundle_variable, job, on_update, task
        from dbxdec.io_managers import SparkTableIoManager

        bronze = SparkTableIoManager(bundle_variable("catalog") + ".bronze", mode="append")


        @task
        def summary() -> None: ...


        @job(trigger=on_update(bronze.table("orders"), min_interval=dt.timedelta(minutes=10)))
        def on_new_orders() -> None:
            summary()
        ```
    """
    problems = [] if tables else [Problem("on_update() got no table", hint='`on_update(io.table("orders"))`')]
    names = []
    for table in tables:
        name, problem = _name_of(table)
        problems += [] if problem is None else [problem]
        names += [] if name is None else [name]
    problems += _of_interval(min_interval)
    if problems:
        where = recording.caller()
        raise AuthoringError([Problem(problem.message, where, problem.hint) for problem in problems])
    update: dict[str, Any] = {"table_names": names or ["a.b.c"]}
    if min_interval is not None:
        update["min_time_between_triggers_seconds"] = int(min_interval.total_seconds())
    return {"table_update": update}  # type: ignore[typeddict-item]


def _name_of(table: object) -> tuple[str | None, Problem | None]:
    """Return the name of a table, or what is wrong; neither for the result of another mistake."""
    if isinstance(table, Mistaken | Spoiled):
        return None, None
    if isinstance(table, IoManager):
        if not table.is_table:
            message = f"on_update() got {shown(table)}, which is not a table"
            return None, Problem(message, hint='name one: `io.table("orders")`')
        # A module may be imported while a task runs, when variables are their values.
        with variables.using({}):
            name = table.template("{job}", "{task}")
        if name is None:
            return None, Problem(f"on_update() got {shown(table)}, which has no name", hint=_ONLY_NAMES)
        return name, next(_of_name(name), None)
    if isinstance(table, str | BundleVariable):
        name = table.template if isinstance(table, BundleVariable) else table
        return name, next(_of_name(name), None)
    what = told(table)
    instead = "the table that it writes" if isinstance(table, Task) else "a table"
    return None, Problem(f"on_update() got {what}, which is not a table", hint=f'pass {instead}: `io.table("orders")`')


def _of_name(name: str) -> Iterator[Problem]:
    """Yield why `name` can't be that of a table in Unity Catalog. A variable may hold several parts of it."""
    plain = variables.without_tokens(name)
    parts = plain.split(".")
    if any(sign in plain for sign in "/\\:"):
        yield Problem(f"on_update() got the path {name}", hint=_ONLY_NAMES)
    elif "{" in plain:
        yield Problem(
            f"on_update() got {name}, a table of any job and task", hint="name the table of one: `catalog.schema.table`"
        )
    elif not all(parts) or len(parts) > _PARTS or (len(parts) < _PARTS and not variables.has_token(name)):
        yield Problem(
            f"on_update() got the table {name!r}, which is not the whole name of one",
            hint="the platform needs catalog, schema and table: `main.silver.orders`",
        )
    elif parts[0] in OTHER_CATALOGS:
        yield Problem(f"on_update() got {name}, a table outside of Unity Catalog", hint=_ONLY_NAMES)


def _of_interval(given: object) -> Iterator[Problem]:
    if given is None or isinstance(given, Spoiled):
        return
    if not isinstance(given, dt.timedelta):
        seconds = given if isinstance(given, int) and not isinstance(given, bool) else 600
        what = told(given)
        yield Problem(
            f"`min_interval` of on_update() is {what}, not a timedelta", hint=f"write `dt.timedelta(seconds={seconds})`"
        )
    elif given < _SHORTEST:
        yield Problem(
            f"`min_interval` of on_update() is {given}, but the platform's shortest is a minute",
            hint="write `dt.timedelta(minutes=1)` or longer, or leave it out",
        )
    elif given % dt.timedelta(seconds=1):
        yield Problem(f"`min_interval` of on_update() is {given}, not in whole seconds", hint="round it")
