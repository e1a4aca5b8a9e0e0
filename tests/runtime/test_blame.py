"""An error of a query that runs when its frame is stored: it names the task, and the place that returned the frame."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dbxdec import DeltaMerge, InputContext, IoManager, OutputContext, job, params, task
from dbxdec.errors import DbxdecError
from dbxdec.io_managers import PolarsCsvIoManager, PolarsDeltaIoManager, PolarsParquetIoManager
from dbxdec.runtime import blame
from dbxdec.testing import run_job
from projects import Project
from running import dbxdec, define, empty

FRAME = pl.LazyFrame({"a": ["x"], "n": [1]})
KINDS: list[type[Any]] = [PolarsDeltaIoManager, PolarsParquetIoManager, PolarsCsvIoManager]


def fail(data: pl.DataFrame) -> pl.DataFrame:
    raise ZeroDivisionError("of the author")


def line_of(function: Callable[..., Any], text: str) -> int:
    """The line of this file on which the function has `text`."""
    lines, first = inspect.getsourcelines(function)
    return first + next(number for number, line in enumerate(lines) if text in line)


def misspelt() -> pl.LazyFrame:
    query = FRAME.select("misspelt")
    return query.rename({"misspelt": "x"})  # here


def cast() -> pl.LazyFrame:
    return FRAME.with_columns(pl.col("a").cast(pl.Int64))  # here


def own_code() -> pl.LazyFrame:
    return FRAME.map_batches(fail)  # here


def merged() -> DeltaMerge:
    return DeltaMerge(FRAME.select("n", pl.col("a").cast(pl.Int64)), on="n")  # here


def told(function: Callable[..., Any], io: Any, *, in_memory: bool = False) -> BaseException:
    """What a run raises whose only task is `function`."""

    @job
    def nightly() -> None:
        task(io_manager=io, key="load")(function)()

    with pytest.raises(BaseException) as error:  # noqa: PT011 - each kind has its own
        run_job(nightly, in_memory=in_memory)
    return error.value


@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (misspelt, pl.exceptions.ColumnNotFoundError),
        (cast, pl.exceptions.InvalidOperationError),
        (own_code, ZeroDivisionError),
    ],
)
def test_the_task_and_the_line_that_returned_the_frame_are_named(
    tmp_path: Path, kind: Any, function: Any, expected: type[Exception], in_memory: bool
) -> None:
    """In a note: the exception stays the one that Polars, or the author's own code, has raised."""
    error = told(function, kind(tmp_path, mode="overwrite"), in_memory=in_memory)
    assert type(error) is expected
    (note,) = [note for note in error.__notes__ if "was stored" in note]
    assert note.startswith("raised while the result of the task `load` was stored")
    assert note.endswith(f"returned at {__file__}:{line_of(function, '# here')}")


def test_the_source_of_a_merge_is_such_a_query(tmp_path: Path) -> None:
    """It runs before the merge."""
    error = told(merged, PolarsDeltaIoManager(tmp_path, mode="append"))
    assert f"{__file__}:{line_of(merged, '# here')}" in error.__notes__[0]


def test_a_named_output_is_named(tmp_path: Path) -> None:
    """One of two is wrong, and the note says which."""
    lake = PolarsDeltaIoManager(tmp_path, mode="overwrite")

    @job
    def nightly() -> None:
        @task(outputs={"good": lake.table("good"), "bad": lake.table("bad")})
        def split() -> dict[str, pl.LazyFrame]:
            return {"good": FRAME, "bad": FRAME.select("misspelt")}

        split()

    with pytest.raises(pl.exceptions.ColumnNotFoundError) as error:
        run_job(nightly, in_memory=False)
    assert "the output `bad` of the task `split`" in error.value.__notes__[0]


def test_what_dbxdec_refuses_says_it_by_itself(tmp_path: Path) -> None:
    """An error of its own has no note of this kind."""

    def nothing_to_hold() -> pl.LazyFrame:
        return pl.LazyFrame({"d": [None]})

    error = told(nothing_to_hold, PolarsDeltaIoManager(tmp_path))
    assert isinstance(error, DbxdecError)
    assert not [note for note in getattr(error, "__notes__", []) if "was stored" in note]


def test_an_error_while_inputs_are_read_names_the_task_that_reads() -> None:
    """Its function has not been called: whatever a manager raises is not the function's fault."""

    class Broken(IoManager):
        base_path = "unused"

        def read(self, context: InputContext) -> Any:
            raise ValueError("of the manager")

        def write(self, context: OutputContext, value: Any) -> None:
            return None

    @job
    def nightly() -> None:
        @task
        def show(table: Any) -> None:
            raise AssertionError

        show(Broken().table("t"))

    with pytest.raises(ValueError, match="of the manager") as error:
        run_job(nightly, in_memory=False)
    assert error.value.__notes__[0] == "raised while the inputs of the task `show` were read, before its call"


def one_of_two(flag: bool) -> int | None:
    if flag:
        return len("two")
    return abs(-1)


def many(number: int) -> int:
    if number == 1:
        return abs(1)
    if number == 2:
        return abs(2)
    if number == 3:
        return abs(3)
    return abs(4)


def within(flag: bool) -> int:
    if flag:
        with contextlib.suppress(KeyError):
            print("before")
            return abs(-1)
    try:
        return abs(-2)
    finally:
        print("after")


def wrapper(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def inner(*arguments: Any) -> Any:
        return function(*arguments)

    return inner


def test_the_lines_that_may_have_returned_it() -> None:
    """All of a few, below decorators; the definition of a function with many, or with none."""
    first = one_of_two.__code__.co_firstlineno
    assert blame.returned_at(wrapper(one_of_two)) == f"{__file__}:{first + 2} or {__file__}:{first + 3}"
    assert blame.returned_at(many) == f"{__file__}:{many.__code__.co_firstlineno}"
    assert blame.returned_at(fail) == f"{__file__}:{fail.__code__.co_firstlineno}"
    begin = within.__code__.co_firstlineno
    assert blame.returned_at(within) == f"{__file__}:{begin + 4} or {__file__}:{begin + 6}"
    assert blame.returned_at(len) == "<built-in function len>"


def test_dbxdec_run_shows_it_with_the_line_of_the_tree(tmp_path: Path) -> None:
    """What is shown of the failed task ends with the file that its author edits."""
    project: Project = empty(tmp_path.resolve())
    define(
        project,
        """
@job
def nightly() -> None:
    @task(io_manager=PolarsDeltaIoManager("lake"))
    def load() -> pl.LazyFrame:
        return pl.LazyFrame({"a": [1]}).select("misspelt")

    load()
""",
    )
    said = dbxdec(project, "run", "nightly")
    lines = (project.root / "src/shop/pipelines/sales.py").read_text().splitlines()
    number = 1 + next(i for i, line in enumerate(lines) if "misspelt" in line)
    assert said.code != 0
    shown = " ".join((said.out + said.err).split())
    assert f"the task `load` was stored, returned at src/shop/pipelines/sales.py:{number} " in shown


def test_an_error_of_dbxdec_ends_at_the_line_that_caused_it() -> None:
    """What dbxdec does below the author's line is in no traceback; what the author's own libraries do is."""

    def looked_up() -> None:
        params["no" + "pe"]

    def of_a_library() -> None:
        FRAME.select("misspelt").collect()

    def last(function: Callable[[], None]) -> str:
        with pytest.raises(Exception, match="misspelt") as error, blame.ending_at_the_author():
            function()
        return error.traceback[-1].name

    @job
    def daily(day: str) -> None:
        task(key="one")(looked_up)()

    with pytest.raises(DbxdecError, match="no parameter `nope`") as error:
        run_job(daily, day="2024-01-01")
    assert error.traceback[-1].name == "looked_up"
    assert last(of_a_library) != "of_a_library"
