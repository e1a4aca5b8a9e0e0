"""Tasks that leave their function by other ways than returning, or that take their process's output away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from running import MARK, dbxdec, define, empty, marks, states

if TYPE_CHECKING:
    from pathlib import Path

    from projects import Project

LEAVING = (
    MARK
    + """
import sys

from dbxdec.io_managers import IoManager, WriteResult


class Own(IoManager):
    def read(self, context):
        sys.exit(0)

    def write(self, context, value):
        if value == "exit":
            sys.exit(0)
        return value if value == "text" else WriteResult()


own = Own()


def leave(value):
    sys.exit(0 if value == 1 else "bye" if value == 2 else 3)


def lazy(number: int) -> pl.LazyFrame:
    return pl.LazyFrame({"x": [number]}).select(pl.col("x").map_elements(leave, return_dtype=pl.Int64))


@task
def after() -> None:
    print("AFTER")


@job
def queries() -> None:
    @task(io_manager=lake)
    def nothing() -> pl.LazyFrame:
        return lazy(1)

    @task(io_manager=lake)
    def text() -> pl.LazyFrame:
        return lazy(2)

    @task(io_manager=lake)
    def number() -> pl.LazyFrame:
        return lazy(3)

    nothing(), text(), number()


@job
def managers() -> None:
    @task(io_manager=own)
    def written() -> str:
        return "exit"

    @task(io_manager=own)
    def told() -> str:
        return "text"

    @task(io_manager=own)
    def good() -> str:
        return "good"

    @task
    def read(good: str) -> None: ...

    written(), told(), read(good())


@job
def bodies() -> None:
    @task
    def called() -> None:
        sys.exit(0)

    @task
    def interrupted() -> None:
        raise KeyboardInterrupt

    @task
    def signalled() -> None:
        import signal

        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)

    called(), interrupted(), signalled()


@job
def copies() -> None:
    @task(io_manager=lake)
    def forks() -> pl.DataFrame:
        child = os.fork()
        if child:
            mark(f"code={os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}")
        return pl.DataFrame({"own": [bool(child)]})

    @task
    def raises(forks: pl.DataFrame) -> None:
        mark(f"rows={forks['own'].to_list()}".replace(" ", ""))
        child = os.fork()
        if not child:
            raise ValueError("in the copy")
        mark(f"code={os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}")

    @task
    def exits() -> None:
        child = os.fork()
        if not child:
            sys.exit(7)
        mark(f"code={os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}")

    exits().after(raises(forks()))


@job
def streams() -> None:
    @task
    def no_stdout() -> int:
        sys.stdout = None
        return 1

    @task
    def closed_stderr(a: int) -> int:
        sys.stderr.close()
        return 2

    @task
    def closed_stdout(a: int) -> int:
        sys.stdout.close()
        return 3

    @task
    def closed_files(a: int) -> int:
        os.close(1)
        os.close(2)
        return 4

    last = closed_files(closed_stdout(closed_stderr(no_stdout())))
    after().after(last)


@job
def silent() -> None:
    @task
    def wrong() -> None:
        sys.stdout = sys.stderr = None
        raise ValueError("WRONG")

    @task
    def exits() -> None:
        sys.stderr.close()
        sys.exit(0)

    wrong(), exits()


@task(io_manager=lake)
def takes_numbers() -> pl.LazyFrame:
    sys.stdout.close()
    os.close(2)
    pl.LazyFrame({"a": [1]}).sink_parquet("rows.parquet")
    return pl.LazyFrame({"a": [1]})


@task(io_manager=lake)
def stores() -> pl.LazyFrame:
    return pl.LazyFrame({"a": [2]})


@job
def numbers() -> None:
    stores().after(takes_numbers())


@job
def cut_off() -> None:
    @task
    def closes() -> None:
        os.closerange(0, 1000)

    closes()
"""
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = empty(tmp_path.resolve())
    define(project, LEAVING)
    return project


def test_sys_exit_in_a_query_fails_the_task_that_runs_it(project: Project) -> None:
    """A query runs in the write, after the task's function: it says how it ended, without dbxdec's own lines."""
    said = dbxdec(project, "run", "queries", "--jobs", "1")
    assert said.code == 1
    assert states(project) == dict.fromkeys(["nothing", "text", "number"], "failed")
    for task, code in (("nothing", "0"), ("text", "'bye'"), ("number", "3")):
        assert f"the task `{task}` called sys.exit({code}) while its result was stored\n" in said.out
    assert "Traceback" not in said.out
    assert "src/shop/pipelines/sales.py:" in said.out


@pytest.mark.slow
def test_a_process_whose_output_became_a_file_of_a_library_takes_no_other_task(project: Project) -> None:
    """Polars opens its event loop at its first write, by a number that the task has closed: the next task hung."""
    said = dbxdec(project, "run", "numbers", "--jobs", "1")
    assert (said.code, states(project)) == (0, {"takes_numbers": "success", "stores": "success"}), said.out
    assert "write stores: lake/stores, version 0" in said.out


@pytest.mark.slow
def test_sys_exit_in_an_io_manager_fails_the_task(project: Project) -> None:
    """Neither `read` nor `write` of an author's IoManager ends a task as if it had succeeded."""
    said = dbxdec(project, "run", "managers", "--jobs", "1")
    assert said.code == 1
    assert states(project) == {"written": "failed", "told": "failed", "good": "success", "read": "failed"}
    assert "the task `written` called sys.exit(0) while its result was stored" in said.out
    assert "the task `read` called sys.exit(0) while its inputs were read" in said.out
    assert "Traceback" not in said.out


@pytest.mark.slow
def test_a_write_that_returns_something_else_is_one_sentence(project: Project) -> None:
    """`IoManager.write` returns a WriteResult or None."""
    said = dbxdec(project, "run", "managers", "--jobs", "1")
    assert "`Own.write` returned a str for the task `told`, not a WriteResult or None" in said.out


@pytest.mark.slow
def test_sys_exit_when_the_module_is_imported_fails_the_task(project: Project) -> None:
    """A module may leave only in a run, since discovery sees another environment."""
    define(project, LEAVING + "\nif os.environ.get('DBXDEC_TASK_VALUES'):\n    sys.exit(0)\n")
    said = dbxdec(project, "run", "bodies", "--task", "called")
    assert said.code == 1
    assert "the module shop.pipelines.sales called sys.exit(0) while it was imported" in said.out
    assert "Traceback" not in said.out


@pytest.mark.slow
def test_an_interrupted_function_says_so(project: Project) -> None:
    """KeyboardInterrupt that no runner has caused is an error like others; so is `sys.exit(0)`."""
    said = dbxdec(project, "run", "bodies", "--jobs", "1")
    assert said.code == 1
    assert set(states(project).values()) == {"failed"}
    assert "the task `called` called sys.exit(0)\n" in said.out
    assert "KeyboardInterrupt" in said.out
    assert "the task's process was interrupted by SIGINT, which this run has not sent" in said.out


@pytest.mark.slow
def test_a_forked_copy_of_a_task_answers_for_nothing(project: Project) -> None:
    """It stores nothing and ends with an error when it comes back from the function; the task's own end counts."""
    said = dbxdec(project, "run", "copies", "--jobs", "1")
    assert said.code == 0, said.out
    assert marks(project) == ["code=1", "rows=[True]", "code=1", "code=7"]
    assert "a process that the task `forks` forked left the task's code" in said.out
    assert "ValueError: in the copy" in said.out


@pytest.mark.slow
def test_a_task_that_closes_its_output_ends_as_it_does(project: Project) -> None:
    """What a task does to the streams of its process costs neither its result nor the next task's output."""
    said = dbxdec(project, "run", "streams", "--jobs", "1")
    assert said.code == 0, said.out
    assert "AFTER" in said.out
    assert "Traceback" not in said.out


@pytest.mark.slow
def test_an_error_is_shown_where_the_streams_are_closed(project: Project) -> None:
    """The log of a failed task is never empty."""
    said = dbxdec(project, "run", "silent", "--jobs", "1")
    assert said.code == 1
    assert "ValueError: WRONG" in said.out
    assert "the task `exits` called sys.exit(0)" in said.out


@pytest.mark.slow
def test_a_task_that_closes_all_files_of_its_process_is_said_to(project: Project) -> None:
    """No signal is made responsible for it."""
    said = dbxdec(project, "run", "cut_off")
    assert said.code == 1
    assert "the task closed all files of its process" in said.out
    assert "SIGKILL" not in said.out
