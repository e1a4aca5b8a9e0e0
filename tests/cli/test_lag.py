"""Tasks that read what is new, by the command line: how far they are, where they begin, no backfill runs them."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from dbxdec.cli import lag
from dbxdec.local import ledger
from projects import Project
from running import Said, dbxdec, define, empty, states

JOB = """
from dbxdec import DeltaMerge

@task(io_manager=lake.table("silver"))
def clean(orders: pl.DataFrame) -> pl.DataFrame:
    if os.environ.get("BROKEN"):
        raise ValueError("on purpose")
    return orders

@job
def hourly() -> None:
    clean(lake.table("bronze").changes())

@job
def plain() -> None:
    clean.override(key="plain", io_manager=lake)(lake.table("bronze"))
"""


class Shop(Project):
    """A project with one source, `bronze`, of which a task reads what is new into `silver`."""

    @property
    def lake(self) -> Path:
        return self.root / "lake"

    def add(self, *ids: int, to: str = "bronze", **options: Any) -> None:
        """Let another program append rows."""
        pl.DataFrame({"id": ids}).write_delta(str(self.lake / to), mode=options.pop("mode", "append"), **options)

    def ids(self, table: str = "silver") -> list[int]:
        return sorted(pl.read_delta(str(self.lake / table))["id"].to_list())

    def run_hourly(self, *arguments: str, **environment: str) -> Said:
        return dbxdec(self, "run", "hourly", *arguments, **environment)

    def lag(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """The exit code, and the only reader of the first job."""
        said = dbxdec(self, "lag", *arguments, "--json")
        assert said.out, said.err
        (reader,) = json.loads(said.out)["jobs"][0]["readers"]
        return said.code, reader


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    project = empty(tmp_path / "repository")
    define(project, JOB)
    return Shop(project.root)


def test_lag_tells_versions_rows_and_since_when(shop: Shop) -> None:
    """As text and as JSON."""
    shop.add(1)
    assert shop.run_hourly().code == 0
    shop.add(2)
    shop.add(3, 4)
    code, reader = shop.lag()
    added = DeltaTable(str(shop.lake / "bronze")).history()[1]["timestamp"]
    assert (code, reader.pop("since")) == (0, added)
    assert {name: reader[name] for name in ("read", "newest", "rows")} == {"read": 0, "newest": 2, "rows": 3}
    text = dbxdec(shop, "lag").out
    assert "hourly\n" in text
    assert "clean.orders" in text
    assert "2 versions, 3 rows, for " in text


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"read": None}, "the table is not there yet"),
        ({"read": None, "newest": 3}, "everything: it has read nothing of it yet"),
        ({"read": 3, "newest": 3}, "nothing"),
        ({"read": 2, "newest": 3}, "1 version"),
        ({"read": 1, "newest": 3, "rows": 7, "since": 0}, "2 versions, 7 rows, for 3 hours"),
        ({"why": "the log is damaged"}, "can't be told"),
    ],
)
def test_how_far_a_task_is_behind_in_words(found: dict[str, Any], said: str) -> None:
    """By what the logs tell."""
    assert lag._behind(found, dt.datetime.fromtimestamp(3 * 3600 + 5, dt.UTC)) == said


@pytest.mark.slow
def test_lag_before_the_first_run(shop: Shop) -> None:
    """Without a source, and with one of which nothing was read."""
    code, reader = shop.lag()
    assert (code, reader) == (
        0,
        {"task": "clean", "parameter": "orders", "source": "lake/bronze", "read": None},
    )
    assert "the table is not there yet" in dbxdec(shop, "lag").out
    shop.add(1)
    assert "everything: it has read nothing of it yet" in dbxdec(shop, "lag", "hourly").out


@pytest.mark.slow
def test_nothing_is_new_after_a_run(shop: Shop) -> None:
    """The position is that of the newest version."""
    shop.add(1)
    assert shop.run_hourly().code == 0
    code, reader = shop.lag()
    assert (code, reader["read"], reader["newest"], "rows" in reader) == (0, 0, 0, False)
    assert "nothing" in dbxdec(shop, "lag").out


@pytest.mark.slow
def test_lag_says_what_it_can_not_tell(shop: Shop) -> None:
    """Rows of unknown origin, and a source that was made again, are exit code 3 and a reason."""
    shop.add(1)
    shop.add(9, to="silver")
    code, reader = shop.lag()
    assert (code, reader["why"]) == (3, "lake/silver has rows, and nothing says up to where the task has read")
    assert shop.run_hourly("--adopt", "clean=latest").code == 0
    shutil.rmtree(shop.lake / "bronze")
    shop.add(2)
    said = dbxdec(shop, "lag")
    assert said.code == 3
    assert "can't be told" in said.out
    why = "the source is another table than the one that the task has read"
    assert f"hourly: how far `clean` has read `orders` can't be told: {why}" in said.err


@pytest.mark.slow
def test_lag_knows_an_older_copy_that_has_grown(shop: Shop) -> None:
    """It has as many versions as the task has read, but other commits."""
    shop.add(1)
    shutil.copytree(shop.lake / "bronze", shop.root / "copy")
    shop.add(2)
    assert shop.run_hourly().code == 0
    shutil.rmtree(shop.lake / "bronze")
    (shop.root / "copy").rename(shop.lake / "bronze")
    shop.add(3)
    shop.add(4)
    code, reader = shop.lag()
    assert (code, reader["why"]) == (3, "the source was put back to an older copy than the one that the task has read")


def test_lag_is_refused_where_nothing_reads_what_is_new(shop: Shop) -> None:
    """Of a job, and of a project."""
    said = dbxdec(shop, "lag", "plain")
    assert (said.code, said.out) == (2, "")
    assert "no task of the job `plain` reads what is new in a table" in said.err


@pytest.mark.slow
def test_a_person_says_where_a_task_begins(shop: Shop) -> None:
    """After a version of its source: a parameter of the run."""
    shop.add(1)
    shop.add(2)
    shop.add(9, to="silver")
    assert shop.run_hourly("--adopt", "clean=0").code == 0
    assert ledger.find(shop.root, "last").head["parameters"]["dbxdec_adopt"] == "clean=0"
    assert shop.ids() == [2, 9]


@pytest.mark.slow
def test_a_resumed_run_keeps_where_a_task_begins(shop: Shop) -> None:
    """What fails after the plan was made begins there again."""
    shop.add(1)
    shop.add(2)
    shop.add(9, to="silver")
    refused = shop.run_hourly()
    assert refused.code == 1
    assert "say where it begins: `--adopt clean=VERSION`" in refused.out
    resumed = shop.run_hourly("--resume", "--adopt", "clean=0")
    assert (resumed.code, "start a new run with them; `--from TASK`" in resumed.err) == (2, True)
    assert shop.run_hourly("--adopt", "clean=0", BROKEN="1").code == 1
    assert shop.run_hourly("--resume").code == 0
    assert shop.ids() == [2, 9]
    shop.add(3)
    assert shop.run_hourly().code == 0
    assert (shop.ids(), states(shop)) == ([2, 3, 9], {"clean": "success"})


@pytest.mark.slow
def test_a_task_that_reads_all_again_needs_an_empty_table(shop: Shop) -> None:
    """An append would have each row twice."""
    shop.add(1)
    assert shop.run_hourly().code == 0
    refused = shop.run_hourly("--restart", "clean")
    assert refused.code == 1
    assert "`--restart clean` would append all rows of" in refused.out
    DeltaTable(str(shop.lake / "silver")).delete()
    assert shop.run_hourly("--restart", "clean").code == 0
    assert shop.ids() == [1]


def test_wrong_beginnings_are_refused_before_anything_runs(shop: Shop) -> None:
    """All mistakes at once, with what to write."""
    wrong = ["--adopt", "clen=latest", "--adopt", "clean=newest", "--adopt", "clean.order=3", "--restart", "clean"]
    said = shop.run_hourly(*wrong)
    assert said.code == 2
    for text in (
        "`--adopt clen=latest`: no task `clen` reads what is new in a table",
        "did you mean `clean`?",
        "`--adopt clean=newest` does not say where the task begins",
        "write a version of its source, `clean=12`, or `clean=latest`, or `clean=snapshot`",
        "`--adopt clean.order=3`: the task `clean` reads nothing new as `order`",
        "the task `clean` is in `--restart` and in `--adopt`",
    ):
        assert text in said.err
    assert list((shop.root / ".dbxdec").glob("runs/*")) == []


@pytest.mark.slow
def test_wrong_beginnings_are_refused_as_parameters_and_of_other_jobs(shop: Shop) -> None:
    """As those of the options."""
    of_parameter = shop.run_hourly("-p", "dbxdec_adopt=clen=3")
    assert (of_parameter.code, "no task `clen` reads" in of_parameter.err) == (2, True)
    of_another_job = dbxdec(shop, "run", "plain", "--adopt", "plain=latest")
    assert (of_another_job.code, "no task of the job does" in of_another_job.err) == (2, True)
    assert list((shop.root / ".dbxdec").glob("runs/*")) == []


def test_no_backfill_runs_a_task_that_reads_what_is_new(shop: Shop) -> None:
    """Each run goes on where the one before it has ended, whatever its key is."""
    said = dbxdec(shop, "backfill", "hourly", "--yes")
    assert said.code == 2
    assert "the job `hourly` reads what is new (`clean`): it can't be run again for a key" in said.err


@pytest.mark.slow
def test_no_backfill_runs_a_job_whose_jobs_read_what_is_new(shop: Shop) -> None:
    """It would run them, too."""
    outer = """
import datetime as dt
from dbxdec import daily

@job
def outer(day: dt.date = daily(since=dt.date(2024, 1, 1))) -> None:
    hourly()
"""
    define(shop, JOB + outer)
    said = dbxdec(shop, "backfill", "outer", "day=2024-01-01", "--yes")
    assert said.code == 2
    assert "the job `hourly`, which `outer` runs, reads what is new (`clean`)" in said.err


@pytest.mark.slow
def test_tasks_of_two_jobs_share_a_table(shop: Shop) -> None:
    """Each begins there without a word: the rows that it finds are of the other one. Lag says the same."""
    sharing = """
shared = lake.table("both", shared=True)

@task(io_manager=shared)
def left(bronze: pl.DataFrame) -> pl.DataFrame:
    return bronze

@task(io_manager=shared)
def right(other: pl.DataFrame) -> pl.DataFrame:
    return other

@job
def lefts() -> None:
    left(lake.table("bronze").changes())

@job
def rights() -> None:
    right(lake.table("other").changes())
"""
    define(shop, sharing)
    shop.add(1)
    shop.add(2, to="other")
    assert dbxdec(shop, "run", "lefts").code == 0
    assert "everything: it has read nothing of it yet" in dbxdec(shop, "lag", "rights").out
    assert dbxdec(shop, "run", "rights").code == 0
    assert dbxdec(shop, "run", "lefts").code == 0
    assert shop.ids("both") == [1, 2]


OUTPUTS = """
@task(outputs={"good": lake.table("good"), "bad": lake.table("bad")})
def split(orders: pl.DataFrame) -> dict[str, pl.DataFrame | None]:
    return {"good": orders, "bad": None}

@job
def hourly() -> None:
    split(lake.table("bronze").changes())
"""


@pytest.mark.slow
def test_an_output_that_never_had_rows_is_not_behind(shop: Shop) -> None:
    """It has no table; the commits of the other one say that it got nothing."""
    define(shop, OUTPUTS)
    shop.add(1)
    assert shop.run_hourly().code == 0
    shop.add(2)
    _, reader = shop.lag()
    assert (reader["read"], reader["newest"], reader["rows"]) == (0, 1, 1)


@pytest.mark.slow
def test_compaction_is_nothing_for_which_a_task_is_late(shop: Shop) -> None:
    """It is a version, but none that is new since a time."""
    shop.add(1)
    shop.add(2)
    assert shop.run_hourly().code == 0
    DeltaTable(str(shop.lake / "bronze")).optimize.compact()
    _, reader = shop.lag()
    assert (reader["read"], reader["newest"], reader["rows"]) == (1, 2, 0)
    assert "since" not in reader
