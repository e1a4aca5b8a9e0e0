"""`dbxdec runs show RUN --table TASK`: the first rows of what a run has stored."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path

import pytest

from dbxdec.local import ledger
from projects import Project
from running import Said, dbxdec, define, empty
from spark_tools import needs_own_spark
from terminals import completed

# One worker process takes all: each would make the projects of this module anew.
pytestmark = pytest.mark.xdist_group("first rows")

SECRET = "hunter2-hunter2"  # noqa: S105 - made up
PIPELINE = """
import datetime as dt

from dbxdec import run_date, secret
from dbxdec.io_managers import PolarsParquetIoManager

files = PolarsParquetIoManager(base_path=bundle_variable("lake"), mode="overwrite")
whole = PolarsDeltaIoManager(base_path=bundle_variable("lake"), mode="overwrite")


@job
def inner(day: dt.date = dt.date(2024, 1, 1)) -> None:
    @task
    def tell(day: dt.date) -> str:
        return str(day)

    tell(day)


@job
def daily(n: int = 1, day: dt.date = run_date()) -> None:
    @task(io_manager=whole)
    def numbers(n: int) -> pl.DataFrame:
        words = [None, secret("vault", "key").value(), "<b>line\\nbreak</b>"]
        return pl.DataFrame({"n": [n] * 3, "word": words, "many": [[1], [], None], "x": [1.5, float("nan"), None]})

    @task(outputs={"even": files.table("even"), "odd": whole.table("odd")})
    def split(numbers: pl.DataFrame) -> dict[str, pl.DataFrame]:
        return {"even": numbers.head(1), "odd": numbers.tail(1).select("n")}

    @task(io_manager=whole.table("by_item", partition_by="item"))
    def each_one(item: str, numbers: pl.DataFrame) -> pl.DataFrame:
        return numbers.select("n").head(1).with_columns(item=pl.lit(item))

    @task
    def small(numbers: pl.DataFrame) -> dict:
        return {"rows": numbers.height, "key": secret("vault", "pin").value()}

    @task
    def fails(small: dict) -> None:
        raise ValueError

    @task(io_manager=whole)
    def never(small: dict) -> pl.DataFrame: ...

    @task(io_manager=whole)
    def pins() -> pl.DataFrame:
        pin = secret("vault", "pin").value()
        return pl.DataFrame({"pin": [int(pin)], "half": [float(pin) / 2], pin: [[int(pin)]]})

    @task
    def by_pin() -> dict:
        pin = secret("vault", "pin").value()
        return {pin: int(pin), "other": [1, True, 2.5, None]}

    @task
    def pin_list() -> list[str]:
        return [secret("vault", "pin").value(), "b"]

    @task
    def of_pin(item: str) -> None:
        assert isinstance(item, str)

    pins()
    by_pin()
    of_pin(each(pin_list()))
    found = numbers(n)
    split(found)
    each_one(each(["de", "fr"]), found)
    done = small(found)
    inner(day)
    never(done).after(fails(done))
"""
OTHER = """
from pathlib import Path

from dbxdec import job, task

if Path("running").exists():
    Path("imported").touch()


@job
def other() -> None:
    @task
    def nothing() -> None: ...

    nothing()
"""
DAYS: dict[str, list[str]] = {"1": ["-p", "day=2024-02-29"], "2": []}
"""The options of each run, by `n`."""
PIN = "4711471"
ENVIRONMENT = {"DBXDEC_SECRET_VAULT_KEY": SECRET, "DBXDEC_SECRET_VAULT_PIN": PIN}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which a second run has replaced what the first has stored."""
    project = empty(tmp_path_factory.mktemp("results").resolve())
    define(project, PIPELINE)
    project.write("src/shop/pipelines/other.py", OTHER)
    for n in DAYS:
        given = ("-p", f"n={n}", *DAYS[n])
        said = dbxdec(project, "run", "daily", *given, "--report", "r.html", **ENVIRONMENT)
        assert said.code == 1, said
    return project


def shown(project: Project, *arguments: str, run: int = 0) -> Said:
    """Of the first run, or of the second."""
    ids = [one.id for one in ledger.runs(project.root, "daily")][::-1]
    return dbxdec(project, "runs", "show", ids[run], "--table", *arguments, **ENVIRONMENT)


def test_a_result_is_the_one_of_that_run(project: Project) -> None:
    """What a later run has put in its place is that one's: both are there, with place and version."""
    for run in (0, 1):
        said = shown(project, "numbers", "--json", run=run)
        (found,) = json.loads(said.out)
        assert (said.code, said.err) == (0, "")
        assert found["columns"] == ["n", "word", "many", "x"]
        assert [row[0] for row in found["rows"]] == [run + 1] * 3
        assert f"lake/numbers, version {run}" in shown(project, "numbers", run=run).out


@pytest.mark.slow
def test_any_cell_is_shown_and_no_secret(project: Project) -> None:
    """Nulls, lists, floats that JSON lacks, line breaks; a secret that a row holds is hidden, in JSON too."""
    said = shown(project, "numbers")
    lines = [line.split() for line in said.out.splitlines()[1:5]]
    assert lines == [
        ["n", "word", "many", "x"],
        ["1", "null", "[1]", "1.5"],
        ["1", "[secret]", "[]", "nan"],
        ["1", "<b>line", "break</b>", "null", "null"],
    ]
    (found,) = json.loads(shown(project, "numbers", "--json", "--rows", "2").out)
    assert found["rows"] == [[1, None, "[1]", 1.5], [1, "[secret]", "[]", "nan"]]
    assert SECRET not in said.out + (project.root / "r.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_secret_that_is_a_number_or_a_key_is_hidden_too(project: Project) -> None:
    """As a cell, the name of a column or of a value, and an item: in tables, JSON, the record and the report."""
    (found,) = json.loads(shown(project, "pins", "--json").out)
    assert found["columns"] == ["pin", "half", "[secret]"]
    assert found["rows"] == [["[secret]", int(PIN) / 2, "[[secret]]"]]
    (small,) = json.loads(shown(project, "by_pin", "--json").out)
    assert small["rows"] == [[{"[secret]": "[secret]", "other": [1, True, 2.5, None]}]]
    said = [shown(project, "pins").out, shown(project, "by_pin").out]
    said += [dbxdec(project, "runs", "show", *options, **ENVIRONMENT).out for options in ([], ["--json"])]
    said += [(project.root / "r.html").read_text(encoding="utf-8")]
    said += [path.read_text(encoding="utf-8") for path in project.root.glob(".dbxdec/runs/*/events.jsonl")]
    assert [PIN in one for one in said] == [False] * len(said)


@pytest.mark.slow
def test_each_kind_of_result_is_shown(project: Project) -> None:
    """Named outputs in files and tables, iterations together, small results from the record."""
    even, odd = json.loads(shown(project, "split", "--json").out)
    assert (even["output"], even["rows"][0][:2], odd["output"], odd["rows"]) == ("even", [1, None], "odd", [[1]])
    assert 'split["even"] lake/even' in shown(project, "split").out
    (items,) = json.loads(shown(project, "each_one", "--json").out)
    assert sorted(items["rows"]) == [[1, "de"], [1, "fr"]]
    (small,) = json.loads(shown(project, "small", "--json").out)
    assert small["rows"] == [[{"rows": 3, "key": "[secret]"}]]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ("numbrs", "did you mean `numbers`?"),
        ("fails", "the task `fails` stores nothing"),
        ("each_one[de]", "`each_one` has the rows of all its iterations"),
        ("inner", "`inner/KEY` is a task of the job that it runs"),
        ("never", "the task `never` has stored no result in the run"),
    ],
)
def test_what_there_is_not_is_said(project: Project, task: str, sentence: str) -> None:
    """In one sentence, with exit code 2."""
    said = shown(project, task)
    assert (said.code, sentence in said.err, said.out) == (2, True, "")


@pytest.mark.slow
def test_a_date_that_is_passed_on_is_shown_as_a_date(project: Project) -> None:
    """What another job's run is given is the date, in words and as JSON, not how it travels."""
    runs = json.loads(dbxdec(project, "runs", "--job", "inner", "--json").out)
    today, given = (run["parameters"]["day"] for run in runs)
    assert given == "2024-02-29"
    assert dt.date.fromisoformat(today)
    assert "run_job_task.job_parameters.day {{job.parameters.day}}" in dbxdec(project, "show", "daily").out


@pytest.mark.slow
def test_a_shell_completes_what_a_run_has_stored(project: Project) -> None:
    """Tasks that have stored something, those of an inner run by their path."""
    stored = {"numbers", "split", "each_one", "small", "inner/tell", "by_pin", "pin_list", "pins"}
    assert completed(project, "dbxdec runs show --table ") == stored
    assert completed(project, "dbxdec runs show last --table s") == {"split", "small"}
    assert completed(project, "dbxdec runs show none --table s") == set()


@pytest.mark.slow
def test_only_the_module_of_the_job_is_imported(project: Project) -> None:
    """As `dbxdec-run` does it: what others of the project do when they are imported is not done."""
    (project.root / "running").touch()
    try:
        assert shown(project, "numbers").code == 0
        assert not (project.root / "imported").exists()
    finally:
        (project.root / "running").unlink()


def test_the_report_has_the_first_rows(project: Project) -> None:
    """Of each table that its own run has stored, as text and never as HTML; `--rows 0` has none."""
    text = (project.root / "r.html").read_text(encoding="utf-8")
    assert "<th>word</th>" in text
    assert "&lt;b&gt;line" in text
    assert "<td>[secret]</td>" in text
    assert text.count("<table>") == 5
    path = project.root / "none.html"
    assert dbxdec(project, "runs", "report", "-o", str(path), "--rows", "0").code == 0
    assert "<table>" not in path.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_build_that_has_run_reads_it_or_one_that_stores_the_same(project: Project, tmp_path: Path) -> None:
    """Later edits change nothing; where that build is gone, the tree stands in, unless it stores elsewhere by now."""
    copy = Project(tmp_path / "copy")
    shutil.copytree(project.root, copy.root)
    copy.edit("src/shop/pipelines/sales.py", 'return {"rows"', 'return {"lines"')
    assert shown(copy, "numbers").code == 0
    shutil.rmtree(copy.root / ".dbxdec/builds")
    assert shown(copy, "numbers").code == 0
    shutil.rmtree(copy.root / ".dbxdec/builds")
    before, after = "@task(io_manager=whole)\n    def numbers", '@task(io_manager=whole.table("z"))\n    def numbers'
    copy.edit("src/shop/pipelines/sales.py", before, after)
    said = shown(copy, "numbers")
    assert said.code == 1
    assert "it can't be shown: the build of that run is gone" in said.out


@pytest.mark.slow
def test_a_table_that_is_gone_is_said(project: Project, tmp_path: Path) -> None:
    """Where the storage has nothing to show any more, why."""
    copy = Project(tmp_path / "copy")
    shutil.copytree(project.root, copy.root)
    shutil.rmtree(copy.root / "lake/numbers")
    said = shown(copy, "numbers")
    assert (said.code, "it can't be shown: " in said.out, "Traceback" in said.out + said.err) == (1, True, False)


SPARK = """
from pyspark.sql import DataFrame

from dbxdec.io_managers import SparkParquetIoManager

files = SparkParquetIoManager(base_path=bundle_variable("lake"), mode="overwrite")


@job
def sparkling() -> None:
    @task(io_manager=files)
    def frame() -> DataFrame:
        from pyspark.sql import SparkSession

        session = SparkSession.builder.master("local[1]").getOrCreate()
        return session.createDataFrame([(1, "a"), (2, None)], "n int, word string")

    frame()
"""


@pytest.mark.parametrize("job", [pytest.param("sparkling", marks=needs_own_spark)])
def test_a_result_of_spark_is_shown(tmp_path: Path, job: str) -> None:
    """Through the session that its IoManager makes."""
    project = empty(tmp_path.resolve())
    define(project, SPARK)
    said = dbxdec(project, "run", job)
    assert said.code == 0, said
    (found,) = json.loads(dbxdec(project, "runs", "show", "--table", "frame", "--json").out)
    assert (found["columns"], sorted(found["rows"])) == (["n", "word"], [[1, "a"], [2, None]])
