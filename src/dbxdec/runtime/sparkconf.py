"""The settings that Spark's session has while a task runs, from `spark_conf=` of the task."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from dbxdec.errors import RunError
from dbxdec.model.variables import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbxdec.model.dag import Task

_FIXED = ("CANNOT_MODIFY_CONFIG", "CANNOT_MODIFY_STATIC_CONFIG")


@contextmanager
def settings_of(task: Task) -> Iterator[None]:
    """Set the task's settings in the session for the duration of the block, and put back what was there.

    Raises RunError, with the name of the setting, if the session refuses one: then none of them stays.
    """
    from dbxdec.io_managers.spark_session import condition, first_line, restore, session

    spark = session()
    before: dict[str, str | None] = {}
    try:
        for name, value in task.spark_conf.items():
            try:
                # Serverless compute refuses settings that it doesn't know also when they are only read.
                was = spark.conf.get(name, None)
                spark.conf.set(name, _text(value))
            except Exception as error:
                fixed = condition(error).startswith(_FIXED)
                raise RunError(
                    f"the Spark session refuses the setting `{name}` of the task `{task.key}`: {first_line(error)}",
                    hint="it is fixed when Spark starts: set it in `spark_conf` of job_cluster(...)"
                    if fixed
                    else "serverless compute takes few settings: leave it out of `spark_conf`, or run the task on a "
                    "cluster",
                ) from error
            before[name] = was
        yield
    finally:
        for name, was in before.items():
            with suppress(Exception):  # the session may have ended
                restore(spark, {name: was})


def _text(value: str | int | bool) -> str:
    """Return a value as Spark reads it."""
    return str(value).lower() if isinstance(value, bool) else resolve(str(value))
