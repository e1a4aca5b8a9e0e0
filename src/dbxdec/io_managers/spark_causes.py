"""The cause in an error of Spark's: it names what ran, and has what went wrong somewhere below."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, RunError, SourceLocation
from dbxdec.io_managers.spark_session import CHECK, first_line, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# Before 4.0 an error that a query raises has no name.
_NAMED = re.compile(
    rf"\[[A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)*\] [^\n]*(?:\n - [^\n]*)*|java\.lang\.RuntimeException: {CHECK}[^\n]*"
)
# Wrappers, which say nothing of the cause.
_OUTER = (
    "STREAM_FAILED",
    "TASK_WRITE_FAILED",
    "FOREACH_BATCH_USER_FUNCTION_ERROR",
    "FOREACH_USER_FUNCTION_ERROR",
    "FAILED_EXECUTE_UDF",
)
_ENDED = "terminated with exception: "
_TRACEBACK = "Traceback (most recent call last):"
_CALLED = re.compile(r'^== DataFrame ==\n".*" was called from\n(.*):(\d+)$', re.MULTILINE)
_MOST = 4_000


class Part(Exception):  # noqa: N818 - a message of Spark's, in the form that `explained` takes
    """A message of Spark's inside another."""


def messages_of(error: BaseException) -> list[str]:
    """Return what an error and its causes say, the outermost first."""
    return list(_of_java(getattr(error, "_origin", None))) or [text_of(error)]


def _of_java(error: Any) -> Iterator[str]:
    while error is not None:
        yield f"{error.getMessage()}"
        error = error.getCause()


def parts_of(messages: Iterable[str]) -> Iterator[Part]:
    """Yield the messages that have one of Spark's names."""
    for message in messages:
        for found in _NAMED.finditer(message):
            if not found[0][1:].startswith(_OUTER):
                yield Part(found[0])


def said(message: str) -> str:
    """Return the first line of a message, without the names of the query around it."""
    return first_line(Part(message.rpartition(_ENDED)[2])).partition(" SQLSTATE")[0]


def raised_in(messages: Sequence[str]) -> str | None:
    """Return the innermost traceback of Python: its exception, then all of it."""
    for message in reversed(messages):
        if _TRACEBACK not in message:
            continue
        traceback = message.rpartition(_TRACEBACK)[2]
        lines = traceback.partition("\n SQLSTATE")[0].rstrip().splitlines()
        # The lines of calls are indented. The exception follows, and then what Spark says of the query.
        end = next((i for i, line in enumerate(lines) if line[:1].strip()), len(lines) - 1)
        shown = "\n".join(f"    {line}" for line in [_TRACEBACK, *lines[1 : end + 1]])
        return f"{lines[end]}\n{shown[:_MOST]}"
    return None


@contextmanager
def told_of_query(task: str, uri: str) -> Iterator[None]:
    """Tell an error of Spark's of a result's query, which runs while it is stored, in one sentence.

    The author's line is named where Spark knows it. What a function of the author's raised passes as it is.
    """
    try:
        yield
    except Exception as error:
        messages = messages_of(error)
        if not type(error).__module__.startswith(("pyspark.", "py4j.")) or raised_in(messages) is not None:
            raise
        raise RunError([_of_query(messages, task, uri)]) from error


def _of_query(messages: Sequence[str], task: str, uri: str) -> Problem:
    *_, cause = [Part(messages[-1]), *parts_of(messages)]
    called = next((found for message in messages if (found := _CALLED.search(message)) is not None), None)
    where = SourceLocation(called[1], int(called[2])) if called is not None else None
    message = f"the query of the task `{task}` into {uri} failed: {said(str(cause))}"
    return Problem(message, where, "mend the query in the task, or the rows that it reads")
