"""The flights example as its users have it: a real `hatch build`, a fresh environment, every task as a process."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import dbxdec
from conftest import uv
from dbxdec.platform.references import resolve
from projects import Project
from repository import ROOT

# One worker process takes all: each would make the projects of this module anew.
pytestmark = pytest.mark.xdist_group("example")


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory, dbxdec_wheel: Path) -> Project:
    """A copy of the example, built by `hatch build` in an isolated environment that has no polars."""
    folder = tmp_path_factory.mktemp("flights")
    ignore = shutil.ignore_patterns("dist", "lake", "resources", ".dbxdec", "__pycache__")
    shutil.copytree(ROOT / "examples" / "flights", folder / "flights", ignore=ignore)
    wheels = str(dbxdec_wheel.parent)
    environment = {
        "HATCH_DATA_DIR": str(folder / "hatch"),
        "PIP_FIND_LINKS": f"{wheels} {os.environ.get('PIP_FIND_LINKS', '')}",
        "UV_FIND_LINKS": wheels,
    }
    project = Project(folder / "flights", environment)
    result = project.run(sys.executable, "-m", "hatch", "build", "-t", "wheel")
    assert result.code == 0, result.output
    assert "replaced by placeholders: deltalake, polars" in result.output
    return project


@pytest.fixture(scope="module")
def prefix(flights: Project, tmp_path_factory: pytest.TempPathFactory, dbxdec_wheel: Path) -> Path:
    """A fresh environment with the example's wheel, installed as pip would."""
    prefix = tmp_path_factory.mktemp("environment") / "env"
    subprocess.run([*uv(), "venv", "-q", "--python", sys.executable, prefix], check=True)
    command = [
        *uv(),
        "pip",
        "install",
        "-q",
        "--python",
        str(prefix / "bin" / "python"),
        "-c",
        str(ROOT / "constraints.txt"),
    ]
    command += ["--find-links", str(dbxdec_wheel.parent), "dbxdec[cli]", str(flights.wheel)]
    subprocess.run(command, check=True)
    return prefix


def tasks_in_order(definition: dict[str, Any]) -> list[dict[str, Any]]:
    """The tasks of a job definition, each behind those it depends on."""
    waiting = list(definition["tasks"])
    order: list[dict[str, Any]] = []
    while waiting:
        done = {task["task_key"] for task in order}
        ready = next(t for t in waiting if {d["task_key"] for d in t.get("depends_on", [])} <= done)
        waiting.remove(ready)
        order.append(ready)
    return order


def test_the_wheel_and_the_resources_belong_together(flights: Project) -> None:
    """Manifest and entry point are in the wheel; databricks-bundles loads the jobs, which name that wheel."""
    from databricks.bundles.jobs import Job

    jobs = flights.jobs()
    assert set(jobs) == {"daily_delays", "departures", "yearly_summary"}
    for definition in jobs.values():
        loaded = Job.from_dict(definition).tasks
        assert isinstance(loaded, list)
        assert len(loaded) == len(definition["tasks"])
    daily, yearly = jobs["daily_delays"], jobs["yearly_summary"]
    assert {task["job_cluster_key"] for task in daily["tasks"]} == {"small"}
    own = f"dbxdec=={dbxdec.__version__}"  # the build has it from a folder of wheels, as from an index
    for task in daily["tasks"]:
        wheel, runtime = task["libraries"]
        assert Path(wheel["whl"]).name == flights.wheel.name
        assert runtime == {"pypi": {"package": own}}
    assert "job_clusters" not in yearly
    dependencies = yearly["environments"][0]["spec"]["dependencies"]
    assert [Path(dependency).name for dependency in dependencies] == [flights.wheel.name, own]
    assert {task["task_key"] for task in yearly["tasks"]} == {"extract_year", "carriers", "total", "report"}
    assert set(flights.manifest()["jobs"]) == set(jobs)


@pytest.mark.slow
def test_every_task_runs_as_a_process_from_the_resources(flights: Project, prefix: Path, tmp_path: Path) -> None:
    """Each task of each job, started with the parameters of the resources file, leaves the tables that it should."""
    python = str(prefix / "bin" / "python")
    probe = "import importlib.util as u; print([m for m in ('hatchling', 'databricks') if u.find_spec(m)])"
    assert Project(tmp_path).run(python, "-P", "-c", probe).output.strip() == "[]"
    for run, (job, definition) in enumerate(flights.jobs().items()):
        values = {
            "workspace.id": "1",
            "job.run_id": str(run),
            "task.execution_count": "1",
            "job.start_time.timestamp_ms": "0",
        }
        for task in tasks_in_order(definition):
            wheel_task = task["python_wheel_task"]
            assert wheel_task["entry_point"] == "dbxdec-run"
            pushed_down = {entry["name"]: entry["default"] for entry in definition.get("parameters", [])}
            pushed_down |= {"day": "2013-01-01"} if "day" in pushed_down else {}
            named = {**wheel_task["named_parameters"], **pushed_down}
            texts = {
                k: resolve(v, values).replace("${var.lake_root}", str(tmp_path / "lake")) for k, v in named.items()
            }
            started = Project(tmp_path, {"DBXDEC_TASK_VALUES": str(tmp_path / job)})
            result = started.run(python, "-P", "-m", "dbxdec.runtime", *(f"--{k}={v}" for k, v in texts.items()))
            assert result.code == 0, result.output
    lake = tmp_path / "lake"
    daily, yearly = lake / "daily_delays", lake / "yearly_summary"
    assert pl.read_delta(str(daily / "extract")).height == 842
    assert pl.read_delta(str(daily / "enrich")).height == 842
    assert pl.read_delta(str(daily / "delays"))["flights"].sum() == 842
    assert pl.read_delta(str(daily / "carriers"))["flights"].sum() == 842
    counted = pl.read_delta(str(lake / "departures" / "tally"))["flights"].sum()
    assert counted == 837  # four were cancelled, and one is kept apart
    assert pl.read_delta(str(yearly / "extract_year")).height == 336_776
    carriers = dict(pl.read_delta(str(yearly / "carriers")).select("carrier", "flights").rows())
    assert carriers["UA"] == 58_665
    assert sum(carriers.values()) == 336_776


@pytest.mark.slow
def test_dbxdec_run_gives_the_day_that_it_is_asked_for(flights: Project, prefix: Path, tmp_path: Path) -> None:
    """A second day adds its partition, replaces nothing of the first, and updates the carriers' rows."""
    project = Project(flights.root)
    dbxdec = str(prefix / "bin" / "dbxdec")
    lake = f"lake_root={tmp_path}"
    for day in ("2013-01-01", "2013-01-02", "2013-01-01"):
        result = project.run(dbxdec, "run", "daily_delays", "--param", f"day={day}", "--var", lake)
        assert result.code == 0, result.output
    assert f"{day}: 842 flights" in result.output
    delays = pl.read_delta(str(tmp_path / "daily_delays" / "delays"))
    assert dict(delays.group_by(pl.col("date").cast(str)).agg(pl.col("flights").sum()).rows()) == {
        "2013-01-01": 842,
        "2013-01-02": 943,
    }
    carriers = pl.read_delta(str(tmp_path / "daily_delays" / "carriers"))
    assert carriers["carrier"].is_unique().all()
    assert carriers["last_day"].cast(str).unique().to_list() == ["2013-01-02"]


@pytest.mark.slow
@pytest.mark.parametrize("days", [20, 365])
def test_a_year_is_backfilled_once_whatever_ends_it(flights: Project, prefix: Path, tmp_path: Path, days: int) -> None:
    """Killed three times, with a day that can't be written until it is mended: each day is there once."""
    dbxdec = str(prefix / "bin" / "dbxdec")
    lake = tmp_path / "lake"
    last = dt.date(2013, 1, 1) + dt.timedelta(days - 1)
    command = [
        dbxdec,
        "backfill",
        "daily_delays",
        f"day=2013-01-01..{last}",
        "--var",
        f"lake_root={lake}",
        "--keys-at-once",
        "2",
    ]
    broken = lake / "daily_delays" / "delays" / "date=2013-01-05"
    broken.parent.mkdir(parents=True)
    broken.touch()  # where the folder of the day must be
    log = broken.parent / "_delta_log"
    for part in (5, 3, 2):
        process = subprocess.Popen([*command, "--yes"], cwd=flights.root)
        while len(list(log.glob("0*.json"))) < days // part:
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
        process.wait()
    result = flights.run(*command, "--yes", timeout=1800)
    assert (result.code, f"{days - 1} of {days} keys done" in result.output) == (1, True), result.output[-2000:]
    broken.unlink()
    result = flights.run(*command, "--yes", timeout=1800)
    assert (result.code, f"{days} of {days} keys done" in result.output) == (0, True), result.output[-2000:]
    assert flights.run(dbxdec, "run", "yearly_summary", "--var", f"lake_root={lake}").code == 0
    delays = pl.read_delta(str(broken.parent))
    assert delays.select("date", "carrier", "hour").is_unique().all()
    assert delays["date"].n_unique() == days
    counted = dict(delays.group_by("carrier").agg(pl.col("flights").sum()).rows())
    year = pl.read_delta(str(lake / "yearly_summary" / "extract_year")).filter(pl.col("date") <= last)
    assert counted == dict(year.group_by("carrier").agg(pl.len()).rows())
    missing = flights.run(dbxdec, "missing", "daily_delays", "--var", f"lake_root={lake}")
    assert (missing.code, f"{days} done" in missing.output) == (int(days < 365), True), missing.output
    newest = pl.read_delta(str(lake / "daily_delays" / "carriers"))
    assert (newest["carrier"].n_unique(), newest["last_day"].cast(str).max()) == (len(counted), str(last))


@pytest.fixture(scope="module")
def weather(prefix: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the other example, built by hatchling, and installed beside the first."""
    folder = tmp_path_factory.mktemp("weather") / "weather"
    ignore = shutil.ignore_patterns("dist", "lake", "resources", ".dbxdec", "__pycache__")
    shutil.copytree(ROOT / "examples" / "weather", folder, ignore=ignore)
    project = Project(folder)
    result = project.build()
    assert result.code == 0, result.output
    command = [*uv(), "pip", "install", "-q", "--python", str(prefix / "bin" / "python"), "--no-deps"]
    subprocess.run([*command, str(project.wheel)], check=True)
    return project


@pytest.mark.slow
def test_for_each_condition_and_notebook_are_in_the_resources(weather: Project) -> None:
    """Each kind of task as the platform has it, with the schedule and a date that follows the run."""
    from databricks.bundles.jobs import Job

    definition = weather.jobs()["daily_weather"]
    Job.from_dict(definition)
    tasks = {task["task_key"]: task for task in definition["tasks"]}
    assert tasks["fetch"]["for_each_task"]["inputs"] == "{{job.parameters.stations}}"
    assert tasks["fetch"]["for_each_task"]["task"]["max_retries"] == 2
    assert tasks["incomplete"]["condition_task"]["right"] == "${var.accepted_gaps}"
    assert tasks["show"]["notebook_task"]["notebook_path"] == "../notebooks/show_day.py"
    assert (weather.root / "resources" / tasks["show"]["notebook_task"]["notebook_path"]).resolve().exists()
    assert {"task_key": "incomplete", "outcome": "false"} in tasks["show"]["depends_on"]
    assert definition["schedule"]["timezone_id"] == "America/New_York"
    assert definition["parameters"][0] == {"name": "day", "default": "{{job.trigger.time.iso_datetime}}"}


@pytest.mark.slow
def test_branches_and_iterations_run_on_a_laptop(weather: Project, prefix: Path, tmp_path: Path) -> None:
    """A day with gaps tells, a whole one shows; a rerun replaces its day and stations, and no other's."""
    dbxdec, lake = str(prefix / "bin" / "dbxdec"), f"lake_root={tmp_path}"
    for day, said in (
        ("2013-03-10", "lacks 3 observations"),
        ("2013-05-01", "show skipped"),
        ("2013-03-10", "lacks 3"),
    ):
        result = weather.run(dbxdec, "run", "daily_weather", "--param", f"day={day}", "--var", lake)
        assert result.code == 0, result.output
        assert said in result.output
        assert ("show excluded" in result.output) == ("lacks" in said)
    observations = pl.read_delta(str(tmp_path / "bronze" / "observations"))
    assert dict(observations.group_by(pl.col("day").cast(str)).len().rows()) == {"2013-03-10": 69, "2013-05-01": 72}
    assert pl.read_delta(str(tmp_path / "silver" / "days")).height == 6


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("worst(by_hour, day, top)", "worst(by_hour, day, tops=top)", "did you mean `top`?"),
        ("    @task(io_manager=lake)\n    def enrich", "    @task\n    def enrich", "has no IoManager"),
        ("    flights = extract(day)\n", "    flights = extract(day)\n    if flights:\n        pass\n", "`extract`"),
        ("    flights = extract(day)\n", "    flights = extract(day\n", "SyntaxError"),
        ("from flights_pipeline import sources\n", "from flights_pipeline import source\n", "ImportError"),
        ("small = job_cluster(", "raise SystemExit\nsmall = job_cluster(", "ended the interpreter"),
    ],
    ids=["misspelt argument", "missing IoManager", "proxy in an if", "syntax error", "failing import", "sys.exit"],
)
def test_wrong_code_fails_the_build_and_leaves_nothing(tmp_path: Path, before: str, after: str, said: str) -> None:
    """The example changed by hand into wrong code: a message with file and line, no wheel, no resources."""
    shutil.copytree(ROOT / "examples" / "flights" / "src", tmp_path / "src")
    shutil.copy(ROOT / "examples" / "flights" / "pyproject.toml", tmp_path)
    project = Project(tmp_path)
    path = "src/flights_pipeline/pipelines/daily.py"
    project.edit(path, before, after)
    result = project.build()
    assert result.code == 1
    assert said in result.output
    assert f"{path}:" in result.output
    assert "Traceback" not in result.output
    assert project.wheels == []
    assert not project.resources.exists()
