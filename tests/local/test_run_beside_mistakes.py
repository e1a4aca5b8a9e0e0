"""`dbxdec run JOB` in a tree with mistakes: those of other jobs are said, and JOB runs as at run time it would."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dbxdec.build.tree import read_tree
from dbxdec.errors import DbxdecError
from dbxdec.local import ledger
from dbxdec.model.soundness import UNBUILT
from projects import Project
from running import dbxdec, empty

GOOD = """
from dbxdec import bundle_variable, job, task
from dbxdec.io_managers import PolarsDeltaIoManager
import polars as pl

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake"), mode="overwrite")

@task(io_manager=lake)
def orders() -> pl.DataFrame:
    return pl.DataFrame({"n": [1]})

@task
def count() -> int:
    return 3

@job
def inner() -> None:
    count()

@job
def good() -> None:
    orders()
    inner()
"""
HEAD = """
from dbxdec import bundle_variable, job, task
from dbxdec.io_managers import PolarsDeltaIoManager
import polars as pl
from shop.pipelines.good import count, inner, lake, orders

"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = empty(tmp_path.resolve())
    project.write("src/shop/pipelines/good.py", GOOD)
    return project


ELSEWHERE = {
    "syntax": ("def broken(:", "src/shop/pipelines/bad.py:1: SyntaxError"),
    "import": (HEAD + "1 / 0", "src/shop/pipelines/bad.py:6: importing `shop.pipelines.bad` failed: ZeroDivisionError"),
    "a byte that is no text": ("x = 1\0", "src/shop/pipelines/bad.py:1: SyntaxError"),
    "missing module": ("import shop.helpers", "src/shop/pipelines/bad.py:1: importing `shop.pipelines.bad` failed"),
    "wiring of the module": (HEAD + "@task(io_manger=lake)\ndef a() -> None: ...", "no field `io_manger`"),
    "job body": (HEAD + "@job\ndef bad() -> None:\n    count(4)", "bad.py:8: the task `count` takes 0"),
    "field": (HEAD + "@job(max_concurent_runs=1)\ndef bad() -> None:\n    count()", "no field `max_concurent_runs`"),
    "key": (HEAD + "@job(key='a b')\ndef bad() -> None:\n    count()", "'a b' can't be the key of a job"),
    "cycle": (
        HEAD + "@job\ndef bad() -> None:\n    x = count()\n    x.after(count.override(key='c')().after(x))",
        "wait for each other",
    ),
    "two writers that are others": (
        HEAD + "@job\ndef bad() -> None:\n    for key in 'ab':\n"
        "        orders.override(key=key, io_manager=lake.table('t'))()",
        "write the same target",
    ),
    "a job that runs itself": (HEAD + "@job\ndef bad() -> None:\n    bad()", "run each other in a cycle"),
}  # fmt: skip


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("text", "said"), ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_mistakes_of_other_jobs_leave_a_job_and_what_it_runs(project: Project, text: str, said: str) -> None:
    """Each such mistake is noted, and the build is of the job and the one that it runs, with an id of no wheel."""
    project.write("src/shop/pipelines/bad.py", text)
    made = read_tree(project.root, only="good").made
    (problem,) = made.left_out
    assert said in str(problem)
    assert set(made.manifest.raw_jobs) == {"good", "inner"}
    assert made.manifest.build_id.startswith(UNBUILT)
    with pytest.raises(DbxdecError):
        read_tree(project.root)


@pytest.mark.slow
def test_the_job_runs_and_the_mistakes_are_said(project: Project) -> None:
    """Both jobs succeed, each mistake of the others is a line, and the ledger has the id of no wheel."""
    project.write("src/shop/pipelines/bad.py", ELSEWHERE["syntax"][0])
    project.write("src/shop/pipelines/worse.py", ELSEWHERE["field"][0])
    done = dbxdec(project, "run", "good")
    assert done.code == 0, done
    assert done.err.splitlines()[:3] == [
        "dbxdec: warning: src/shop/pipelines/bad.py:1: SyntaxError: invalid syntax",
        "dbxdec: warning: src/shop/pipelines/worse.py:6: the job `bad`: there is no field `max_concurent_runs`",
        "dbxdec: no build is possible with 2 mistakes in other jobs: see `dbxdec check`",
    ]
    runs = ledger.runs(project.root)
    assert {run.job: run.state for run in runs} == {"good": "success", "inner": "success"}
    assert all(str(run.head["build_id"]).startswith(UNBUILT) for run in runs)


def test_a_module_that_is_not_installed_is_told_before_the_run(project: Project) -> None:
    """A traceback of the first task alone would not say what to do."""
    project.write(
        "src/shop/pipelines/bad.py", "import acme_lake\n" + HEAD + "@job\ndef other() -> None:\n    count()\n"
    )
    failed = dbxdec(project, "run", "other")
    assert failed.code == 1
    assert "not installed here: acme_lake; a task that needs it fails on this machine" in failed.err
    assert "hint: install what the project depends on" in failed.err


@pytest.mark.slow
@pytest.mark.sampled(1)
@pytest.mark.parametrize("command", ["show", "graph"])
def test_the_job_is_shown_and_the_mistakes_are_said(project: Project, command: str) -> None:
    """What can be run can be looked at; without a job, or for one that is broken, all mistakes are errors."""
    project.write("src/shop/pipelines/bad.py", HEAD + "1 / 0\n\n@job\ndef bad() -> None:\n    count()\n")
    done = dbxdec(project, command, "good")
    assert (done.code, "orders" in done.out, "bad" in done.out) == (0, True, False), done
    assert "warning: src/shop/pipelines/bad.py:6: importing `shop.pipelines.bad` failed" in done.err
    assert "no build is possible with 1 mistake in other jobs" in done.err
    for arguments in ([command, "bad"], [command]):
        done = dbxdec(project, *arguments)
        assert (done.out, "ZeroDivisionError" in done.err, done.code == 0) == ("", True, False), done


@pytest.mark.slow
def test_a_build_and_a_check_of_such_a_tree_stay_strict(project: Project) -> None:
    """What can be run can't be built, and once it can its id is another one."""
    project.write("src/shop/pipelines/bad.py", ELSEWHERE["job body"][0])
    assert dbxdec(project, "run", "good").code == 0
    assert dbxdec(project, "check").code == 1
    assert project.build().code != 0
    assert project.wheels == []
    (project.root / "src/shop/pipelines/bad.py").unlink()
    again = dbxdec(project, "run", "good", "--resume")
    assert "no unsuccessful run" in again.err
    done = dbxdec(project, "run", "good")
    assert (done.code, "warning" in done.err) == (0, False)
    assert len(str(next(ledger.runs(project.root)).head["build_id"])) == 64


@pytest.mark.slow
def test_the_run_of_a_job_goes_on_when_another_has_been_broken(project: Project) -> None:
    """A failed run is resumed, whatever has become of other modules."""
    project.edit("src/shop/pipelines/good.py", "return 3", "raise OSError('down')")
    assert dbxdec(project, "run", "good").code == 1
    project.edit("src/shop/pipelines/good.py", "raise OSError('down')", "return 3")
    project.write("src/shop/pipelines/bad.py", ELSEWHERE["syntax"][0])
    done = dbxdec(project, "run", "good", "--resume")
    assert done.code == 0, done
    assert ledger.find(project.root, "last").state == "success"


ITS_OWN = {
    "its body": ("count.override(key='c')(4)", "", "takes 0 positional arguments"),
    "the job that it runs": ("broken()", "@job(max_retrys=1)\ndef broken() -> None:\n    count()\n", "`max_retrys`"),
    "the writer of its table": (
        "",
        "@job\ndef other() -> None:\n    orders()\n",
        "`other.orders` and `good.orders` write the same target",
    ),
    "its module": ("", "lake.table('x', md=3)\n", "has no option `md`"),
    "a module that its module imports": ("", "import shop.helpers\n", "has no option `md`"),
}


@pytest.mark.parametrize(("body", "beside", "said"), ITS_OWN.values(), ids=ITS_OWN.keys())
def test_mistakes_of_the_job_stop_it(project: Project, body: str, beside: str, said: str) -> None:
    """What concerns the job, or one that it runs, is an error as in a build."""
    project.write("src/shop/helpers.py", GOOD.partition("@task")[0] + "lake.table('x', md=3)\n")
    text = GOOD.replace("    orders()\n    inner()", f"    orders()\n    inner()\n    {body}")
    project.write("src/shop/pipelines/good.py", text.replace("@job\ndef good", f"{beside}\n@job\ndef good"))
    with pytest.raises(DbxdecError, match=re.escape(said)):
        read_tree(project.root, only="good")


def test_a_job_of_a_broken_module_is_not_unknown(project: Project) -> None:
    """Where the module that should define a job is broken, that is what is said."""
    project.write("src/shop/pipelines/bad.py", HEAD + "1 / 0\n\n@job\ndef bad() -> None:\n    count()\n")
    with pytest.raises(DbxdecError, match="ZeroDivisionError"):
        read_tree(project.root, only="bad")
