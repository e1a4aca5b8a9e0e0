"""Errors in one shape: what is wrong, where, and what to write instead.

The core raises `DbxdecError`. Only the build hook turns one into an abort; only the command line and `dbxdec-run` turn
one into an exit code. A user's own exception is never wrapped at run time.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import CodeType, FrameType


@dataclass(frozen=True, slots=True, order=True)
class SourceLocation:
    """A line of a source file. `path` is relative to the project's root after discovery has mapped it."""

    path: str
    line: int

    @classmethod
    def of_code(cls, code: CodeType) -> SourceLocation:
        return cls(code.co_filename, code.co_firstlineno)

    @classmethod
    def of_frame(cls, frame: FrameType) -> SourceLocation:
        return cls(frame.f_code.co_filename, frame.f_lineno)

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake.

    Attributes:
        message: What is wrong.
        where: A source location or a TOML path, if there is one.
        hint: What to write instead, if that can be told.
    """

    message: str
    where: SourceLocation | str | None = None
    hint: str | None = None
    jobs: tuple[str, ...] | None = field(default=None, compare=False)
    """The keys of the jobs that the problem concerns; None if it may concern any job."""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where is not None else ""
        advice = f"\n    hint: {self.hint}" if self.hint else ""
        return f"{place}{self.message}{advice}"


class DbxdecError(Exception):
    """Something that a user can mend; never a defect of dbxdec itself. All errors of dbxdec are of this class.

    Args:
        problems: The mistakes, or the message of a single one.
        hint: What to write instead, beside a message.

    Attributes:
        problems: Each mistake, with what is wrong, where, and what to write instead.

    Example:
        ```python
        from dbxdec import DbxdecError
        from dbxdec.io_managers import PolarsDeltaIoManager

        try:
            PolarsDeltaIoManager("lake", mode="overwite")
        except DbxdecError as error:
            assert error.problems[0].hint == "did you mean `overwrite`?"
        ```
    """

    def __init__(self, problems: str | Problem | Iterable[Problem], *, hint: str | None = None) -> None:
        if isinstance(problems, str):
            problems = Problem(problems, hint=hint)
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class AuthoringError(DbxdecError):
    """Raised when a job's DAG is built and the pipeline code is wrong."""


class _JobsError(DbxdecError):
    """An error in some of a project's jobs.

    `jobs` are those that could still be read, in the form of the manifest, which may have mistakes. `places` are the
    lines of their tasks, as in `manifest.Manifest`.
    """

    def __init__(
        self,
        problems: str | Problem | Iterable[Problem],
        *,
        hint: str | None = None,
        jobs: Mapping[str, Any] | None = None,
        places: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(problems, hint=hint)
        self.jobs = jobs or {}
        self.places = places or {}


class ConfigError(_JobsError):
    """Raised when `[tool.dbxdec]` or the project's build configuration is wrong."""


class DiscoveryError(_JobsError):
    """Raised when the project's modules or jobs are wrong."""


class StandInError(DbxdecError):
    """Raised when code needs, at import, a third-party module that the build environment lacks."""


class ManifestError(DbxdecError):
    """Raised when a manifest is missing, has another major version, or does not fit the code beside it."""


class CodegenError(_JobsError):
    """Raised for a job definition that the platform would reject."""


class RunError(DbxdecError):
    """Raised when a task can't run: its arguments, its inputs or its target are not what they should be.

    Example:
        ```python
        import pytest
        from dbxdec import RunError, context

        with pytest.raises(RunError):
            context()  # outside of a run
        ```
    """


class HandledError(RunError):
    """Raised by a job's failure handler when it has done its work: the run has failed tasks."""


class QueryError(RunError):
    """Raised where a lazy query fails while its result is stored, far from the line that made it."""


class ExpectationError(RunError):
    """Raised by a write of rows that are not what their table expects, or not what their contract says.

    Nothing of them is committed to the table.

    Attributes:
        expectations: How each expectation came out, by its name: `failed` of `rows`, and the `action`; of those over
            all rows also the `rule`. So did the rules of a contract (`"contract"`). It is empty
            where Spark stops at the first row that fails the write.

    Example:
        ```python
        from dbxdec import ExpectationError

        error = ExpectationError("no rows", expectations={"not empty": {"failed": 0, "rows": 0, "action": "failed"}})
        assert error.expectations["not empty"]["rows"] == 0
        ```
    """

    def __init__(
        self,
        problems: str | Problem | Iterable[Problem],
        *,
        hint: str | None = None,
        expectations: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(problems, hint=hint)
        self.expectations = dict(expectations or {})


class TargetExistsError(RunError):
    """Raised by a write with `mode="error"` whose target exists, unless the same run has written it.

    Example:
        ```python
        from dbxdec import RunError, TargetExistsError

        assert issubclass(TargetExistsError, RunError)
        ```
    """


class NotWrittenError(RunError):
    """Raised by `IoManager.read` when it is certain that there is nothing to read.

    The producer of the input wrote nothing in this run, or there is no table. A parameter annotated `| None` gets None
    then.

    Example:
        ```python
        from dbxdec import InputContext, NotWrittenError


        def read(context: InputContext) -> object:
            raise NotWrittenError(f"{context.uri} has nothing for `{context.parameter}`")
        ```
    """


@contextmanager
def noted(problems: list[Problem]) -> Iterator[None]:
    """Add the problems that the block raises to `problems`, so that checks which don't need each other all run."""
    try:
        yield
    except DbxdecError as error:
        problems += error.problems


def concerning(jobs: tuple[str, ...] | None, problems: Iterable[Problem]) -> list[Problem]:
    """Return `problems`, marked with the jobs that they concern."""
    return [replace(problem, jobs=jobs) for problem in problems]


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Return `problems` by file and line, those without a place last; the order is otherwise kept."""

    def place(problem: Problem) -> tuple[bool, str, int]:
        location = located(problem)
        return (location is None, location.path if location else "", location.line if location else 0)

    return sorted(problems, key=place)


def located(problem: Problem) -> SourceLocation | None:
    """Return the source line of `problem`; None if it is at a setting, or has no place."""
    return problem.where if isinstance(problem.where, SourceLocation) else None


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the item of `known` that is most like `word`; None if nothing is close."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, list(known), n=1, cutoff=0.66)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return a hint with the item of `known` that is closest to `word`; None if nothing is close."""
    near = nearest(word, known)
    return f"did you mean `{near}`?" if near else None


def shown(value: object) -> str:
    """Return `value` for a message: short, and without addresses, which differ in every build."""
    name = getattr(value, "__qualname__", None)
    if isinstance(name, str) and callable(value):
        return f"the {'class' if isinstance(value, type) else 'function'} `{name}`"
    try:
        written = repr(value)
    except Exception:  # noqa: BLE001 - the value is of any class, and so is its error
        written = f"a `{type(value).__name__}`"
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", written)
    return text if len(text) <= 60 else f"{text[:57]}..."


def on_one_line(value: object) -> str:
    """Return `value` as `shown` does, on one line: a frame's own string has many."""
    return " ".join(shown(value).split())


def counted(number: int, what: str) -> str:
    """Return "1 task", "2 tasks", ... for messages."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """Return "`a`, `b` and `c`" for messages."""
    quoted = [f"`{name}`" for name in names]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)
