"""The cause in an error of Spark's: it names what ran, and has what went wrong somewhere below."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, QueryError, SourceLocation
from dbxdec.io_managers.spark_session import CHECK, first_line, text_of
from dbxdec.support.boundary import OURS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# Before 4.0 an error that a query raises has no name.
_NAMED = re.compile(
    rf"(?:^|(?<=: ))\[[A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)*\] [^\n]*(?:\n - [^\n]*)*"
    rf"|java\.lang\.RuntimeException: {CHECK}[^\n]*",
    re.MULTILINE,
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
_DELTA = os.path.join("delta", "tables.py")
_MOST = 4_000


class Part(Exception):  # noqa: N818 - a message of Spark's, in the form that `explained` takes
    """A message of Spark's inside another."""


def messages_of(error: BaseException) -> list[str]:
    """Return what an error and its causes say, the outermost first."""
    java = getattr(error, "_origin", None) or getattr(error, "java_exception", None)
    return list(_of_java(java)) or [text_of(error)]


def _of_java(error: Any) -> Iterator[str]:
    while error is not None:
        yield str(error.getMessage() or error.toString())
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
    """Raise an error of Spark's as one sentence, where it stores a result: then the query of the result runs.

    What a function of the author's raised passes as it is. Raises QueryError, with the author's line where Spark tells
    it.
    """
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith(("pyspark.", "py4j.")):
            raise
        messages = messages_of(error)
        if raised_in([*messages, text_of(error)]) is not None:
            raise
        raise QueryError([_of_query(messages, task, uri)]) from error


def _of_query(messages: Sequence[str], task: str, uri: str) -> Problem:
    *_, cause = [messages[-1], *map(str, parts_of(messages))]
    called = (place for message in messages for place in _CALLED.findall(message))
    own = next(((path, line) for path, line in called if not path.startswith(OURS) and not path.endswith(_DELTA)), None)
    return Problem(
        f"the result of the task `{task}` can't be stored in {uri}: {said(cause)}",
        SourceLocation(own[0], int(own[1])) if own is not None else None,
        "mend the query in the task, or the rows that it reads" if own is not None else None,
    )
