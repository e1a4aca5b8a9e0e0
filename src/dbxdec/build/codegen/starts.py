"""Rules for what starts a job, who may see it, and who is told of it: databricks-bundles has only the types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.errors import counted, listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbxdec.build.codegen.fields import Finding

# The Jobs API's reference, `trigger` and `triggers`: one kind each. The other fields go with any kind.
_KINDS = ("file_arrival", "model", "periodic", "table_update", "schedule", "continuous")
_WITH_ANY = ("pause_status", "sql_condition")
_WAITS = ("min_time_between_triggers_seconds", "wait_after_last_change_seconds")
_LEAST_WAIT = 60
_PRINCIPALS = ("user_name", "group_name", "service_principal_name")
_LEVEL = "level"
_OWNER = "IS_OWNER"
_SEGMENTS = 3
# The Jobs API's reference, `webhook_notifications`.
_MOST_DESTINATIONS = 3
_LAST_HOUR = 23


def job_findings(job: dict[str, Any]) -> Iterator[Finding]:
    """Yield what the platform would refuse in the triggers and permissions of a job, as (message, hint)."""
    yield from _trigger(job.get("trigger"), "trigger")
    for path, one in _triggers(job):
        yield from _trigger(one, path)
        if isinstance(one, dict):
            yield from _continuous(one.get("continuous"), f"{path}.continuous")
    yield from _continuous(job.get("continuous"), "continuous")
    if is_continuous(job) and isinstance(runs := job.get("max_concurrent_runs"), int) and runs > 1:
        # docs.databricks.com, "Run jobs continuously": "There can be only one running instance of a continuous job."
        yield (
            f"`max_concurrent_runs` is {runs} in a continuous job, of which one run at a time is possible",
            "leave it out",
        )
    permissions = job.get("permissions")
    if isinstance(permissions, list):
        for i, one in enumerate(permissions):
            yield from _permission(one, f"permissions[{i}]")
        yield from _owners([one for one in permissions if isinstance(one, dict) and one.get(_LEVEL) == _OWNER])


def webhook_findings(part: dict[str, Any]) -> Iterator[Finding]:
    """Yield the events of a job or a task that have too many destinations."""
    webhooks = part.get("webhook_notifications")
    for event, those in webhooks.items() if isinstance(webhooks, dict) else ():
        if isinstance(those, list) and len(those) > _MOST_DESTINATIONS:
            yield (
                f"`webhook_notifications.{event}` has {counted(len(those), 'destination')}",
                f"the platform takes up to {_MOST_DESTINATIONS} for an event",
            )


def schedules_of(job: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each schedule of a job, with its path."""
    yield "schedule", job.get("schedule")
    for path, one in _triggers(job):
        if isinstance(one, dict):
            yield f"{path}.schedule", one.get("schedule")


def is_continuous(job: dict[str, Any]) -> bool:
    """Return whether a job starts again whenever it has ended."""
    those = [job, *(one for _, one in _triggers(job) if isinstance(one, dict))]
    return any(one.get("continuous") is not None for one in those)


def retry_findings(task: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield the retries of a task in a continuous job (docs.databricks.com, "Run jobs continuously")."""
    number = task.get("max_retries")
    if isinstance(number, int) and not isinstance(number, bool) and number != 0:
        yield (
            f"has `max_retries` {number} in a continuous job, which takes no retries of its tasks",
            'leave it out, and write `continuous={"task_retry_mode": "ON_FAILURE"}` for those of the platform',
        )


def _triggers(job: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    those = job.get("triggers")
    for i, one in enumerate(those if isinstance(those, list) else ()):
        yield f"triggers[{i}]", one


def _trigger(trigger: Any, path: str) -> Iterator[Finding]:
    if not isinstance(trigger, dict) or not trigger:
        return  # another type, or empty: said elsewhere
    found = [kind for kind in _KINDS if trigger.get(kind) is not None]
    if len(found) > 1:
        yield f"`{path}` has {listed(found)}", "a trigger is of one kind"
    if not found and not trigger.keys() - {*_KINDS, *_WITH_ANY}:
        yield f"`{path}` has nothing that starts a run", f"it needs one of {', '.join(_KINDS[:4])}"
    for kind in found:
        if isinstance(trigger[kind], dict):
            yield from _numbers(trigger[kind], f"{path}.{kind}")
    update = trigger.get("table_update")
    if isinstance(update, dict) and update and not update.keys() - {*_WAITS, "table_names", "condition"}:
        yield from _tables(update, f"{path}.table_update")
    arrival = trigger.get("file_arrival")
    if isinstance(arrival, dict) and arrival.get("url") == "":
        yield f"`{path}.file_arrival.url` is empty", "name the folder in which files arrive"


def _tables(update: dict[str, Any], path: str) -> Iterator[Finding]:
    """Yield problems of the tables that a trigger watches."""
    names = update.get("table_names")
    if names == [] or "table_names" not in update:
        yield f"`{path}` has no `table_names`", "name the tables whose updates start a run"
    for i, name in enumerate(names if isinstance(names, list) else ()):
        if isinstance(name, str) and "${" not in name and not _is_whole(name):
            yield f"`{path}.table_names[{i}]` is {name!r}", "write `catalog.schema.table`"


def _is_whole(name: str) -> bool:
    """Return whether a name may be one of a table in Unity Catalog; a segment in backticks may have points."""
    parts = name.split(".")
    return all(parts) and (len(parts) == _SEGMENTS or ("`" in name and len(parts) > _SEGMENTS))


def _owners(owners: list[dict[str, Any]]) -> Iterator[Finding]:
    """Yield problems of who owns a job (docs.databricks.com, "Access control lists", jobs)."""
    if len(owners) > 1:
        yield f"`permissions` has {counted(len(owners), 'owner')}", "a job has one: give others CAN_MANAGE"
    if any(one.get("group_name") is not None for one in owners):
        yield "`permissions` makes a group the owner", "a user or a service principal owns a job; give it CAN_MANAGE"


def _numbers(kind: dict[str, Any], path: str) -> Iterator[Finding]:
    for field in _WAITS:
        if _is_less(kind.get(field), _LEAST_WAIT):
            yield f"`{path}.{field}` is {kind[field]}", f"the platform takes {_LEAST_WAIT} seconds or more"
    if _is_less(kind.get("interval"), 1):
        yield f"`{path}.interval` is {kind['interval']}", "1 or more"


def _continuous(continuous: Any, path: str) -> Iterator[Finding]:
    match continuous:
        case {"maintenance_window": {"start_hour": int(hour)}} if not 0 <= hour <= _LAST_HOUR:
            yield f"`{path}.maintenance_window.start_hour` is {hour}", f"0 to {_LAST_HOUR}"


def _permission(permission: Any, path: str) -> Iterator[Finding]:
    if not isinstance(permission, dict):
        return
    found = [name for name in _PRINCIPALS if permission.get(name) is not None]
    if len(found) > 1:
        yield f"`{path}` has {listed(found)}", "write an entry for each of them"
    if not found and not permission.keys() - {*_PRINCIPALS, _LEVEL}:
        yield f"`{path}` has nobody to whom it is given", f"it needs one of {', '.join(_PRINCIPALS)}"
    for name in found:
        if permission[name] == "":
            yield f"`{path}.{name}` is empty", "name who gets it"


def _is_less(number: Any, least: int) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number < least
