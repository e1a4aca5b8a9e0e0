"""A built wheel, installed without the build side, run task by task as the platform does and by `dbxdec run`."""

from __future__ import annotations

import datetime as dt
import shutil
import sys
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from dbxdec.local import ledger
from projects import Project, shop

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Installation
    from projects import Result

# One worker process takes all: each would make the projects of this module anew.
pytestmark = pytest.mark.xdist_group("run")

SALES = "src/shop/pipelines/sales.py"

MODES = """
import datetime as dt

import polars as pl

from dbxdec import bundle_variable, condition, job, latest, native_task, run_date, secret, set_task_value, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake"))


@task
def alarm() -> None:
    print("ALARM")


@job
def modes(mode: str, value: int) -> None:
    @task(io_manager=lake.table("overwritten", mode="overwrite"))
    def overwritten(value: int) -> pl.DataFrame:
        return pl.DataFrame({"x": [value]})

    @task(io_manager=lake.table("appended", mode="append"))
    def appended(value: int) -> pl.DataFrame:
        return pl.DataFrame({"x": [value]})

    @task(io_manager=lake.table("ignored", mode="ignore"))
    def ignored(value: int) -> pl.DataFrame:
        return pl.DataFrame({"x": [value]})

    overwritten(value)
    appended(value)
    ignored(value)


@job
def lineage() -> None:
    @task
    def newest(appended: pl.LazyFrame, both: list[pl.DataFrame]) -> int:
        return appended.collect().height + sum(frame.height for frame in both)

    @task
    def say(newest: int) -> None:
        print("ROWS", newest)

    say(newest(lake.table("appended"), [lake.table("appended"), lake.table("overwritten")]))


@job
def references(day: dt.date = run_date(offset_days=-1), day_by_hand: dt.date = run_date(offset_days=-1)) -> None:
    @task(io_manager=lake.table("rows", mode="append"))
    def rows(day: dt.date) -> pl.DataFrame:
        set_task_value("noted", "2024-02-29")
        return pl.DataFrame({"x": [1]})

    @task
    def show(day: dt.date, by_hand: dt.date, noted: dt.date, newest: pl.DataFrame, own: str, token: str) -> None:
        print("SHOWN", day, by_hand, repr(noted), newest.height, own, len(token))

    written = rows(day)
    show(day, day_by_hand, written.value("noted"), latest(written), written.uri, secret("scope", "key"))


@job
def branching(limit: int = 3) -> None:
    @task
    def count() -> int:
        return 5

    @task(io_manager=lake.table("many", mode="overwrite"))
    def many() -> pl.DataFrame:
        return pl.DataFrame({"x": [1]})

    @task(io_manager=lake.table("few", mode="overwrite"))
    def few() -> pl.DataFrame:
        return pl.DataFrame({"x": [2]})

    @task
    def join(many: pl.DataFrame | None, few: pl.DataFrame | None) -> None:
        print("JOINED", many is not None, few is not None)

    left, right = many(), few()
    condition(count(), ">", limit).then(left).otherwise(right)
    join(left, right)
    native_task("show", notebook_task={"notebook_path": "/x"}).after(left)


@job(on_failure=alarm)
def calling() -> None:
    @task
    def fail() -> None:
        raise OSError("out of luck")

    branching(limit=9) >> fail()


@job
def splitting(spoil: bool = False) -> None:
    @task(outputs={"even": lake.table("even", mode="append"), "odd": lake.table("odd", mode="append")})
    def split(spoil: bool) -> dict[str, pl.DataFrame]:
        found = {"even": pl.DataFrame({"x": [0, 2]}), "odd": pl.DataFrame({"x": [1]})}
        return {**found, "strange": pl.DataFrame()} if spoil else found

    @task
    def show(even: pl.DataFrame, odd: pl.LazyFrame) -> None:
        print("SPLIT", even["x"].to_list(), odd.collect()["x"].to_list())

    parts = split(spoil)
    show(parts["even"], parts["odd"])


both = lake.table("both", mode="append", shared=True)
also = lake.table("both", mode="append", shared=True)


@job
def gathering() -> None:
    @task(outputs={"some": both, "others": also})
    def gather() -> dict[str, pl.DataFrame]:
        return {"some": pl.DataFrame({"x": [1]}), "others": pl.DataFrame({"x": [2]})}

    @task
    def count(some: pl.DataFrame, others: pl.DataFrame) -> None:
        print("GATHERED", sorted(some["x"]), others["x"].to_list())

    parts = gather()
    count(parts["some"], parts["others"])


@job
def once(value: int) -> None:
    @task(io_manager=lake.table("once"))
    def first(value: int) -> pl.DataFrame:
        print("CALLED")
        return pl.DataFrame({"x": [value]})

    @task
    def behind(first: pl.DataFrame) -> None:
        print("BEHIND", first["x"].to_list())

    behind(first(value))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, installation: Installation) -> Project:
    """The shop and the modes pipelines, built once and installed."""
    project = shop(tmp_path_factory.mktemp("built") / "repository")
    project.write("src/shop/pipelines/modes.py", MODES)
    result = project.build()
    assert result.code == 0, result.output
    return installation.install(project)


@pytest.fixture
def project(built: Project, tmp_path: Path) -> Project:
    """The installed pipelines, with a working directory of this test's own."""
    shutil.copy(built.root / "pyproject.toml", tmp_path)
    return Project(tmp_path, built.environment)


def arguments(built: Project, job: str, task: str, **given: str) -> list[str]:
    """A task's parameters as its resources have them, with the references of a first run resolved."""
    definition = built.jobs()[job]
    (form,) = [entry for entry in definition["tasks"] if entry["task_key"] == task]
    values = {
        "{{workspace.id}}": "1",
        "{{job.run_id}}": "77",
        "{{task.execution_count}}": "1",
        "{{job.start_time.timestamp_ms}}": "0",
        "${var.lake}": "lake",
    }
    named: dict[str, Any] = form["python_wheel_task"]["named_parameters"]
    pushed_down = {entry["name"]: entry["default"] for entry in definition.get("parameters", [])}
    merged = {**named, **pushed_down, **given}
    return [f"--{name}={values.get(value, value)}" for name, value in merged.items()]


def start(installation: Installation, project: Project, *argv: str, **environment: str) -> Result:
    """One task, as the platform starts it."""
    folder = {"DBXDEC_TASK_VALUES": str(project.root / "values")}
    return Project(project.root, {**project.environment, **folder, **environment}).run(
        installation.python, "-P", "-m", "dbxdec.runtime", *argv
    )


class TestAsThePlatformStartsIt:
    @pytest.mark.slow
    def test_every_task_runs_from_the_parameters_of_the_resources(
        self, built: Project, project: Project, installation: Installation
    ) -> None:
        """Each task of a job runs as a process of its own with what the resources file gives it."""
        for task in ("orders", "total", "report"):
            result = start(installation, project, *arguments(built, "sales", task, n="4"))
            assert result.code == 0, result.output
        assert "REPORT 4 ['a', 'b']" in result.output
        assert pl.read_delta(str(project.root / "lake" / "orders")).height == 4

    @pytest.mark.slow
    def test_the_entry_point_is_found_by_name_in_the_distribution(
        self, built: Project, project: Project, installation: Installation
    ) -> None:
        """The lookup that the platform makes finds `main`, and both spellings of arguments reach it."""
        code = (
            "import sys, importlib.metadata as m\n"
            "points = m.distribution('shop-pipelines').entry_points\n"
            "main = next(p for p in points if p.name == 'dbxdec-run').load()\n"
            "print('RETURNED', main())\n"
        )
        argv = [argument.removeprefix("--") for argument in arguments(built, "sales", "orders")]
        result = project.run(installation.python, "-P", "-c", code, *argv)
        assert result.code == 0, result.output
        assert "RETURNED None" in result.output

    def test_another_build_than_the_deployed_one_is_refused(
        self, built: Project, project: Project, installation: Installation
    ) -> None:
        """A task whose job was deployed from another build fails before its module is imported."""
        result = start(installation, project, *arguments(built, "sales", "orders", **{"dbxdec-build": "f" * 64}))
        assert result.code == 1
        assert "deployed from build ffffffffffff" in result.output
        assert "Traceback" not in result.output

    def test_a_parameter_without_value_is_refused_by_its_name(
        self, built: Project, project: Project, installation: Installation
    ) -> None:
        """The emitted default of a parameter without one is refused, naming every such parameter."""
        result = start(installation, project, *arguments(built, "modes", "appended"))
        assert result.code == 1
        assert "`mode`" in result.output
        assert "`value`" in result.output

    def test_a_result_on_the_disk_of_a_cluster_is_refused(
        self, built: Project, project: Project, installation: Installation
    ) -> None:
        """A relative path is a folder of a machine that the platform removes: nothing is run for it."""
        on_platform = {"DATABRICKS_RUNTIME_VERSION": "16.4"}
        result = start(installation, project, *arguments(built, "sales", "orders", n="3"), **on_platform)
        assert result.code == 1
        assert "would store its result in lake/orders, a relative path" in result.output
        assert not (project.root / "lake").exists()

    def test_a_wrong_value_is_refused_by_its_parameter(
        self, built: Project, project: Project, installation: Installation
    ) -> None:
        """A value that is not of the parameter's type is named with the type."""
        result = start(installation, project, *arguments(built, "sales", "orders", n="many"))
        assert result.code == 1
        assert "`n`" in result.output
        assert "'many'" in result.output

    @pytest.mark.slow
    def test_a_result_of_another_run_is_not_read(
        self, built: Project, project: Project, installation: Installation
    ) -> None:
        """A consumer whose producer did not run in this run fails instead of reading an older run's table."""
        assert start(installation, project, *arguments(built, "sales", "orders")).code == 0
        result = start(installation, project, *arguments(built, "sales", "total", **{"dbxdec-run-id": "78"}))
        assert result.code == 1
        assert "the task `orders` wrote nothing" in result.output

    @pytest.mark.slow
    def test_the_authors_exception_passes_with_its_traceback(self, tmp_path: Path, installation: Installation) -> None:
        """What the function raises reaches the log whole."""
        project = shop(tmp_path / "repository")
        project.edit(
            SALES,
            '    return pl.DataFrame({"id": range(n)})',
            "    return helper(n)\n\n\ndef helper(n):\n    raise KeyError('nothing here')",
        )
        assert project.build().code == 0
        installed = installation.install(project)
        result = start(installation, installed, *arguments(project, "sales", "orders"))
        assert result.code == 1
        assert "KeyError: 'nothing here'" in result.output
        assert "in helper" in result.output

    @pytest.mark.slow
    def test_a_broken_sibling_module_is_harmless(self, tmp_path: Path, installation: Installation) -> None:
        """Only the module that defines the job is imported."""
        project = shop(tmp_path / "repository")
        project.write("src/shop/pipelines/other.py", "import acme_only_here\n")
        assert project.build().code == 0
        installed = installation.install(project)
        assert start(installation, installed, *arguments(project, "sales", "orders")).code == 0


class TestSecondRun:
    @pytest.mark.slow
    def test_overwrite_replaces_append_adds_ignore_keeps(self, project: Project, installation: Installation) -> None:
        """On the second run each mode does to its table what its name says."""
        for value in ("1", "2"):
            result = installation.dbxdec(project, "run", "modes", "--param", "mode=x", "--param", f"value={value}")
            assert result.code == 0, result.output
        lake = project.root / "lake"
        tables = {name: sorted(pl.read_delta(str(lake / name))["x"]) for name in ("overwritten", "appended", "ignored")}
        assert tables == {"overwritten": [2], "appended": [1, 2], "ignored": [1]}

    @pytest.mark.slow
    def test_tables_given_as_inputs_are_read_at_their_newest(
        self, project: Project, installation: Installation
    ) -> None:
        """A table that another job writes is read whole, inside a list too; one that is missing is named."""
        missing = installation.dbxdec(project, "run", "lineage")
        assert missing.code == 1
        assert "there is nothing at lake/appended" in missing.output
        for value in ("1", "2"):
            modes = installation.dbxdec(project, "run", "modes", "--param", "mode=x", "--param", f"value={value}")
            assert modes.code == 0, modes.output
        result = installation.dbxdec(project, "run", "lineage")
        assert "ROWS 5" in result.output

    @pytest.mark.slow
    def test_error_refuses_before_the_function_runs(self, project: Project, installation: Installation) -> None:
        """The second write in mode "error" fails, names the table, and does not call the function."""
        assert installation.dbxdec(project, "run", "once", "--param", "value=1").code == 0
        result = installation.dbxdec(project, "run", "once", "--param", "value=2")
        assert result.code == 1
        assert "lake/once" in result.output
        assert "already exists" in result.output
        assert "CALLED" not in result.output
        assert pl.read_delta(str(project.root / "lake" / "once"))["x"].to_list() == [1]

    def test_a_retry_of_the_same_run_does_not_append_twice(
        self, built: Project, project: Project, installation: Installation
    ) -> None:
        """A second attempt of a task that had written already adds nothing."""
        for attempt in ("1", "2"):
            argv = arguments(built, "modes", "appended", mode="x", value="5", **{"dbxdec-attempt": attempt})
            result = start(installation, project, *argv)
            assert result.code == 0, result.output
        assert pl.read_delta(str(project.root / "lake" / "appended"))["x"].to_list() == [5]

    @pytest.mark.slow
    def test_a_retry_that_writes_the_rest_of_several_outputs_says_so(
        self, built: Project, project: Project, installation: Installation
    ) -> None:
        """What the first attempt has written stays, so the outputs are of two calls; a whole retry is no news."""
        said = []
        for attempt in ("1", "2", "3"):
            argv = arguments(built, "splitting", "split", spoil="false", **{"dbxdec-attempt": attempt})
            said.append(start(installation, project, *argv).output)
            if attempt == "1":
                shutil.rmtree(project.root / "lake" / "odd")  # as if the attempt had died before it
        warning = "an earlier attempt has written `even` of the task `split`, and this one `odd`"
        assert [warning in one for one in said] == [False, True, False]

    @pytest.mark.slow
    def test_a_repair_is_of_the_same_run_where_the_values_are_the_same(
        self, built: Project, project: Project, installation: Installation
    ) -> None:
        """A parameter written in another way is the same one; another value is refused, since the rows are there."""
        said = []
        for attempt, value in (("1", "5"), ("2", " 05"), ("3", "6")):
            argv = arguments(built, "modes", "appended", mode="x", value=value, **{"dbxdec-attempt": attempt})
            said.append(start(installation, project, *argv))
        assert [one.code for one in said] == [0, 0, 1]
        assert "has already written" in said[2].output
        assert "with another set of parameters" in said[2].output
        assert pl.read_delta(str(project.root / "lake" / "appended"))["x"].to_list() == [5]


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("", "", "dbxdec: seen"),
        ("", "logging.basicConfig(level='WARNING')", "INFO:dbxdec:seen"),
        ("logging.basicConfig()", "", "INFO:dbxdec:seen"),
        ("logging.basicConfig(); logging.getLogger('dbxdec').setLevel('WARNING')", "", ""),
    ],
    ids=["nobody", "the task's module", "the process", "not wanted"],
)
def test_summary_lines_are_shown_once_whoever_arranges_logging(
    tmp_path: Path, before: str, after: str, line: str
) -> None:
    """By the handlers there are, whatever the root logger's level, else on stderr; a level that was set counts."""
    code = f"import logging; {before}\nfrom dbxdec import runtime\nruntime._log_to_stderr()\n{after}\n"
    result = Project(tmp_path).run(sys.executable, "-c", code + "logging.getLogger('dbxdec').info('seen')")
    assert (result.code, result.output.strip()) == (0, line)


class TestDbxdecRun:
    def test_conditions_choose_a_branch_and_the_join_gets_none_for_the_other(
        self, project: Project, installation: Installation
    ) -> None:
        """Only the branch that holds runs, also after a run that took the other one; native tasks are skipped."""
        for limit, joined, excluded in (("3", "True False", "few"), ("9", "False True", "many")):
            result = installation.dbxdec(project, "run", "branching", "--param", f"limit={limit}")
            assert result.code == 0, result.output
            assert f"JOINED {joined}" in result.output
            states = [line.split()[:2] for line in result.output.splitlines()]
            assert [excluded, "excluded"] in states
            assert "notebook_task runs only on the platform" in result.output or ["show", "excluded"] in states

    def test_a_job_runs_another_and_on_failure_runs_when_a_task_has_failed(
        self, project: Project, installation: Installation
    ) -> None:
        """The other job is a run of its own with its parameters; a failure starts the handler and is exit code 1."""
        result = installation.dbxdec(project, "run", "calling")
        assert result.code == 1
        assert "branching/join | JOINED False True" in result.output
        assert "out of luck" in result.output
        assert "alarm | ALARM" in result.output
        assert len(list((project.root / ".dbxdec" / "runs").iterdir())) == 2

    def test_named_outputs_are_stored_and_read_apart(self, project: Project, installation: Installation) -> None:
        """Each element of the returned dict goes to its table; other keys are refused before anything is written."""
        spoilt = installation.dbxdec(project, "run", "splitting", "--param", "spoil=true")
        assert spoilt.code == 1
        assert "its outputs are `even` and `odd`" in spoilt.output
        assert not (project.root / "lake").exists()
        result = installation.dbxdec(project, "run", "splitting")
        assert result.code == 0, result.output
        assert "SPLIT [0, 2] [1]" in result.output

    @pytest.mark.slow
    def test_two_outputs_of_a_task_may_share_a_table(self, project: Project, installation: Installation) -> None:
        """Each is a write of its own: both land, and a reader of one does not get the other."""
        result = installation.dbxdec(project, "run", "gathering")
        assert result.code == 0, result.output
        assert "GATHERED [1] [2]" in result.output
        assert sorted(pl.read_delta(str(project.root / "lake" / "both"))["x"]) == [1, 2]

    @pytest.mark.slow
    def test_run_dates_task_values_newest_tables_places_and_secrets(
        self, project: Project, installation: Installation
    ) -> None:
        """Each reference has its value in the run; a date by hand is not moved, and a secret is in no file."""
        secret = Project(project.root, {**project.environment, "DBXDEC_SECRET_SCOPE_KEY": "hunter2"})
        for rows in ("1", "2"):
            result = installation.dbxdec(secret, "run", "references", "--param", "day_by_hand=2020-01-01")
            assert result.code == 0, result.output
            yesterday = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
            shown = f"2020-01-01 datetime.date(2024, 2, 29) {rows} lake/rows 7"
            assert any(f"SHOWN {yesterday - dt.timedelta(days=back)} {shown}" in result.output for back in (0, 1))
        kept = [path for path in (project.root / ".dbxdec").rglob("*") if path.is_file()]
        assert not any("hunter2" in path.read_text(encoding="utf-8") for path in kept)

    @pytest.mark.slow
    def test_it_shows_the_dag_first_then_states_and_times(self, project: Project, installation: Installation) -> None:
        """The DAG with targets comes first, then each task's lines, then the table of states; exit code 0."""
        result = installation.dbxdec(project, "run", "sales", "--param", "n=2")
        assert result.code == 0, result.output
        places = [result.output.index(text) for text in ("lake/orders", "REPORT 2", "success", "succeeded; logs")]
        assert places[0] < places[1] < places[3]
        assert ["task", "after", "result"] in [line.split() for line in result.output.splitlines()]
        run = ledger.find(project.root, "last")
        assert {key: event["state"] for key, event in run.tasks().items()} == {
            "orders": "success",
            "total": "success",
            "report": "success",
        }
        assert "REPORT 2" in (run.folder / "logs" / "report.1.log").read_text(encoding="utf-8")
        assert (project.root / ".dbxdec" / ".gitignore").read_text(encoding="utf-8") == "*\n"

    @pytest.mark.slow
    def test_tasks_behind_a_failed_one_do_not_run(self, project: Project, installation: Installation) -> None:
        """A failed task stops those behind it, which is shown, with exit code 1."""
        assert installation.dbxdec(project, "run", "once", "--param", "value=1").code == 0
        result = installation.dbxdec(project, "run", "once", "--param", "value=2")
        assert result.code == 1
        assert "upstream failed" in result.output
        assert "BEHIND" not in result.output

    @pytest.mark.slow
    def test_wrong_usage_is_refused_before_anything_runs(self, project: Project, installation: Installation) -> None:
        """Unknown jobs, unknown and missing parameters and wrong values have exit code 2 and say what to write."""
        cases = {
            ("run", "salez"): "did you mean `sales`?",
            ("run", "sales", "--param", "m=1"): "has no parameter `m`",
            ("run", "sales", "--param", "n=x"): "'x'",
            ("run", "sales", "--param", "n"): "NAME=VALUE",
            ("run", "once"): "--param value=VALUE",
            ("run", "sales", "--package", "shop-pipeline"): "did you mean `shop-pipelines`?",
            ("rum",): "did you mean `run`?",
        }
        for argv, said in cases.items():
            result = installation.dbxdec(project, *argv)
            assert result.code == 2, (argv, result.output)
            assert said in result.output
            assert "Traceback" not in result.output
        assert not (project.root / ".dbxdec").exists()

    def test_a_variable_without_value_is_refused(self, project: Project, installation: Installation) -> None:
        """A bundle variable that nothing gives a value for is named, with where to give it."""
        (project.root / "pyproject.toml").unlink()
        result = installation.dbxdec(project, "run", "sales")
        assert result.code == 2
        assert "--var lake=VALUE" in result.output

    @pytest.mark.slow
    def test_variables_come_from_the_command_line_then_the_project_then_the_bundle(
        self, project: Project, installation: Installation
    ) -> None:
        """`--var` beats [tool.dbxdec.variables], which beats the bundle file's default."""
        (project.root / "databricks.yml").write_text("variables: {lake: {default: from_bundle}}\n", encoding="utf-8")
        assert installation.dbxdec(project, "run", "sales", "--var", "lake=from_option").code == 0
        assert installation.dbxdec(project, "run", "sales").code == 0
        (project.root / "pyproject.toml").unlink()
        assert installation.dbxdec(project, "run", "sales").code == 0
        for lake in ("from_option", "lake", "from_bundle"):
            assert (project.root / lake / "orders" / "_delta_log").is_dir()

    @pytest.mark.slow
    def test_declared_retries_are_made(self, tmp_path: Path, installation: Installation) -> None:
        """A task with max_retries=2 that fails once runs twice, and only then what is behind it."""
        project = shop(tmp_path / "repository")
        project.edit(
            SALES,
            "    @task\n    def total(orders: pl.LazyFrame) -> int:\n",
            "    @task(max_retries=2)\n    def total(orders: pl.LazyFrame) -> int:\n"
            "        if context().attempt == 1:\n            raise OSError('try again')\n",
        )
        project.edit(SALES, "from dbxdec import ", "from dbxdec import context, ")
        assert project.build().code == 0
        installed = installation.install(project)
        result = installation.dbxdec(installed, "run", "sales")
        assert result.code == 0, result.output
        assert "attempt 1 failed, trying again" in result.output
        assert "REPORT 3" in result.output
