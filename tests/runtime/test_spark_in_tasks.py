"""Tasks of Spark in a run: the session that a parameter gets, and the settings that the session has meanwhile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dbxdec import RunError, bundle_variable, each, job, task
from dbxdec.io_managers import spark_session
from dbxdec.testing import run_job, run_task
from running import dbxdec, define, empty

pytest.importorskip("pyspark")
from pyspark.sql import SparkSession


class Conf:
    """The settings of a session: it knows some, may refuse to change others, and has no idea of the rest."""

    def __init__(self, *, locked: bool) -> None:
        self.values = {"spark.sql.shuffle.partitions": "200", "spark.sql.ansi.enabled": "true"}
        self.locked, self.seen = locked, dict[str, str]()

    def get(self, name: str, default: Any = None) -> Any:
        if self.locked and name not in self.values:
            raise RuntimeError(f"[CONFIG_NOT_AVAILABLE] Configuration {name} is not available. SQLSTATE: 42K0I\nmore")
        return self.values.get(name, default)

    def set(self, name: str, value: Any) -> None:
        assert isinstance(value, str)
        if name == "spark.executor.memory":
            raise RuntimeError(f'[CANNOT_MODIFY_CONFIG] Cannot modify the value of the Spark config: "{name}".')
        self.get(name)
        self.values[name] = value

    def unset(self, name: str) -> None:
        del self.values[name]


class Session:
    def __init__(self, *, locked: bool = False) -> None:
        self.conf = Conf(locked=locked)


@pytest.fixture
def spark(monkeypatch: pytest.MonkeyPatch) -> Session:
    """What stands for Spark's session."""
    found = Session()
    monkeypatch.setattr(spark_session, "session", lambda: found)
    return found


class TestSession:
    def test_a_task_is_given_it(self, spark: Session) -> None:
        """Wherever it stands; what the task has read is told without it."""
        given: list[Any] = []

        @job
        def one(n: int = 3) -> None:
            @task
            def first(spark: SparkSession, n: int, m: int = 5) -> int:
                given.append(spark)
                return n + m

            @task
            def second(n: int = 1, *rest: int, session: SparkSession) -> None:
                given.extend([session, n, rest])

            @task
            def third(x: int = 7, spark: SparkSession | None = None, y: int = 8) -> None:
                given.extend([x, spark, y])

            @task
            def fourth(spark: SparkSession, /, x: int = 9) -> None:
                given.extend([spark, x])

            second(first(n, 2)) >> third(y=1) >> fourth()  # type: ignore[arg-type, call-arg]

        result = run_job(one)
        assert given == [spark, spark, 5, (), 7, spark, 1, spark, 9]
        assert result["first"].reads == {"n": 3, "m": 2}

    def test_each_iteration_is_given_it(self, spark: Session) -> None:
        """And so is one task alone."""

        @job
        def one() -> None:
            @task
            def ingest(spark: SparkSession, country: str) -> str:
                return f"{country} {spark is not None}"

            ingest(each(["de", "fr"]))  # type: ignore[arg-type, call-arg]

        assert run_task(one, "ingest").value == ["de True", "fr True"]

    def test_a_task_without_one_needs_no_spark(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No session is made then."""
        monkeypatch.setattr(spark_session, "session", lambda: 1 / 0)

        @job
        def one() -> None:
            @task
            def plain() -> int:
                return 1

            plain()

        assert run_job(one)["plain"].value == 1


class TestSettings:
    def test_they_are_set_around_the_task(self, spark: Session) -> None:
        """As Spark reads them; afterwards the session is as it was, also after a failure."""
        seen: list[dict[str, str]] = []
        before = dict(spark.conf.values)
        conf: Any = {"spark.sql.shuffle.partitions": 8, "spark.sql.ansi.enabled": False, "x.y": bundle_variable("zone")}

        @job
        def one() -> None:
            @task(spark_conf=conf)
            def work() -> None:
                seen.append(dict(spark.conf.values))
                raise ValueError("on purpose")

            @task(run_if="ALL_DONE")
            def later() -> None:
                seen.append(dict(spark.conf.values))

            work() >> later()

        result = run_job(one, variables={"zone": "UTC"}, raise_on_error=False)
        assert isinstance(result["work"].error, ValueError)
        assert seen == [
            {"spark.sql.shuffle.partitions": "8", "spark.sql.ansi.enabled": "false", "x.y": "UTC"},
            before,
        ]
        assert spark.conf.values == before

    def test_a_setting_that_serverless_refuses_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Before the function is called, and with none of the settings left behind."""
        found = Session(locked=True)
        monkeypatch.setattr(spark_session, "session", lambda: found)

        @job
        def one() -> None:
            @task(spark_conf={"spark.sql.shuffle.partitions": 8, "spark.x": "y"})
            def work() -> None:
                raise AssertionError

            work()

        with pytest.raises(RunError) as error:
            run_job(one)
        (problem,) = error.value.problems
        assert problem.message == (
            "the Spark session refuses the setting `spark.x` of the task `work`: [CONFIG_NOT_AVAILABLE] Configuration "
            "spark.x is not available. SQLSTATE: 42K0I"
        )
        assert problem.hint == (
            "serverless compute takes few settings: leave it out of `spark_conf`, or run the task on a cluster"
        )
        assert found.conf.values["spark.sql.shuffle.partitions"] == "200"

    def test_a_setting_that_is_fixed_when_spark_starts(self, spark: Session) -> None:
        """It belongs to the cluster."""

        @job
        def one() -> None:
            @task(spark_conf={"spark.executor.memory": "4g"})
            def work() -> None: ...

            work()

        with pytest.raises(RunError, match=r"(?s)`spark.executor.memory`.*`spark_conf` of job_cluster") as error:
            run_job(one)
        assert "serverless" not in str(error.value)


# A pyspark of a few lines: a run on this machine, in the processes of its tasks, needs no Java then.
PYSPARK = {
    "pyspark/__init__.py": "",
    "pyspark/errors/__init__.py": "class PySparkException(Exception): ...",
    "pyspark/sql/__init__.py": """
class Conf:
    values = {"spark.sql.shuffle.partitions": "200"}

    def get(self, name, default=None):
        if name not in self.values:
            raise Exception(f"[CONFIG_NOT_AVAILABLE] Configuration {name} is not available.")
        return self.values[name]

    def set(self, name, value):
        self.get(name)
        self.values[name] = value


class SparkSession:
    conf = Conf()

    @classmethod
    def active(cls):
        return cls()
""",
}
JOBS = """
from pyspark.sql import SparkSession


@task(spark_conf={"spark.sql.shuffle.partitions": 8})
def few(spark: SparkSession, n: int) -> None:
    print("FEW", n, spark.conf.get("spark.sql.shuffle.partitions"))


@task
def many(spark: SparkSession) -> None:
    print("MANY", spark.conf.get("spark.sql.shuffle.partitions"))


@task(spark_conf={"spark.other": "x"})
def refused() -> None:
    print("NEVER")


@job
def good(n: int = 3) -> None:
    few(n) >> many()


@job
def bad() -> None:
    refused()
"""


def test_a_run_on_this_machine(tmp_path: Path) -> None:
    """Both tasks run in one process: the settings of the first are gone in the second."""
    for name, code in PYSPARK.items():
        (tmp_path / "path" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "path" / name).write_text(code, encoding="utf-8")
    project = empty(tmp_path.resolve() / "repository")
    define(project, JOBS)
    path = os.pathsep.join(filter(None, [str(tmp_path / "path"), os.environ.get("PYTHONPATH")]))
    said = dbxdec(project, "run", "good", "-j", "1", PYTHONPATH=path)
    assert said.code == 0, said
    assert ("FEW 3 8" in said.out, "MANY 200" in said.out) == (True, True)
    said = dbxdec(project, "run", "bad", PYTHONPATH=path)
    assert said.code == 1
    assert "the Spark session refuses the setting `spark.other` of the task `refused`" in said.out + said.err
    assert "NEVER" not in said.out + said.err
