"""Tasks of Spark at build: a parameter that gets the session, and settings of the session."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from authored import Shelf, lines, messages
from dbxdec import DbxdecError, bundle_variable, each, job, secret, task
from dbxdec.authoring import recording
from dbxdec.errors import Problem
from dbxdec.model import dag, job_forms, manifest
from dbxdec.model.mistakes import defining
from dbxdec.model.typehints import given_by_runs
from dbxdec.support.forms import FormError
from dbxdec.views import diff, texts

pytest.importorskip("pyspark")
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import SparkSession as Aliased

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession as Connected


class TestSession:
    def test_a_call_leaves_it_out(self) -> None:
        """Wherever it stands among the parameters; the others take their places."""

        @task
        def first(spark: SparkSession, day: dt.date, n: int = 3) -> int:
            return n

        @task
        def last(n: int, *, session: SparkSession) -> None: ...

        @task
        def alone(spark: SparkSession, /) -> None: ...

        @job
        def one(day: dt.date) -> None:
            last(first(day, 4))  # type: ignore[arg-type, call-arg]
            first.override(key="by_name")(day=day)  # type: ignore[call-arg]
            alone()  # type: ignore[call-arg]

        built = one.build()
        assert built.problems == ()
        inputs = {found.key: dict(found.inputs) for found in built.dag.tasks}
        assert inputs["first"] == {"day": dag.Parameter("day"), "n": dag.Literal(4)}
        assert inputs["last"] == {"n": dag.TaskOutput("first")}
        assert inputs["by_name"] == {"day": dag.Parameter("day")}
        assert inputs["alone"] == {}

    def test_in_a_for_each_task(self) -> None:
        """The item takes the place of the first other parameter."""

        @task
        def ingest(spark: SparkSession, country: str) -> None: ...

        @job
        def one() -> None:
            ingest(each(["de", "fr"]))  # type: ignore[arg-type, call-arg]

        built = one.build()
        assert built.problems == ()
        assert dict(built.dag.tasks[0].inputs) == {"country": dag.Item()}

    def test_a_value_for_it_is_a_mistake(self) -> None:
        """So is one argument too many, and a missing other one."""

        @task
        def work(spark: SparkSession, n: int) -> None: ...

        @job
        def one() -> None:
            work(1, spark=2)  # type: ignore[arg-type, call-arg, misc]
            work.override(key="b")(1, 2)  # type: ignore[arg-type]
            work.override(key="c")()  # type: ignore[call-arg]

        built = one.build()
        assert messages(built) == [
            "the task `work` gets a value for `spark`, but a run gives it Spark's session",
            "the task `work` takes 1 positional argument but got 2",
            "the task `work` needs a value for `n`",
        ]
        assert len(set(lines(built))) == 3

    def test_how_it_may_be_annotated(self) -> None:
        """Classic or Connect, optional, by another name, as a string, and by a name for type checkers alone."""

        def classic(a: SparkSession, b: Aliased, c: SparkSession | None) -> None: ...

        def connect(a: Connected) -> None: ...

        connect.__annotations__ = {"a": type("SparkSession", (), {"__module__": "pyspark.sql.connect.session"})}

        def unimported(a: None, b: None, c: None) -> None: ...  # `sql` is not a name of this module

        unimported.__annotations__ = {"a": "SparkSession", "b": "sql.SparkSession | None", "c": "'SparkSession'"}
        assert tuple(given_by_runs(classic)) == ("a", "b", "c")
        assert tuple(given_by_runs(connect)) == ("a",)
        assert tuple(given_by_runs(unimported)) == ("a", "b", "c")

    def test_what_is_another_type_needs_a_value(self) -> None:
        """The name of the parameter says nothing, and neither does a return annotation."""

        def others(spark: Any, a: DataFrame, b: SparkSession | int, c: list[SparkSession]) -> SparkSession: ...  # type: ignore[empty-body]

        assert tuple(given_by_runs(others)) == ()


class TestSettings:
    def test_they_are_in_the_manifest_with_their_types(self) -> None:
        """A variable is its token, and the task gets its value as a parameter."""

        @task(spark_conf={"spark.sql.shuffle.partitions": 8, "spark.sql.ansi.enabled": True, "x": "y"})
        def first() -> None: ...

        @task(spark_conf={"spark.sql.session.timeZone": bundle_variable("zone")})
        def second() -> None: ...

        @job
        def one() -> None:
            first() >> second()

        built = one.build()
        assert built.problems == ()
        form = job_forms.encode_jobs([built.dag])["one"]
        assert [found["spark_conf"] for found in form["tasks"]] == [
            {"spark.sql.shuffle.partitions": 8, "spark.sql.ansi.enabled": True, "x": "y"},
            {"spark.sql.session.timeZone": "${var.zone}"},
        ]
        assert [found.variables for found in built.dag.tasks] == [(), ("zone",)]
        assert job_forms.decode_job("one", form) == built.dag
        assert "spark_conf" not in built.dag.tasks[0].settings

    def test_an_override_replaces_them(self) -> None:
        """What is not given stays; an empty dict takes them away."""

        @task(spark_conf={"a": 1})
        def work() -> None: ...

        @job
        def one() -> None:
            work.override(key="same")()
            work.override(key="other", spark_conf={"b": "2"})()
            work.override(key="none", spark_conf={})()

        assert [dict(found.spark_conf) for found in one.build().dag.tasks] == [{"a": 1}, {"b": "2"}, {}]
        assert "spark_conf" not in job_forms.encode_jobs([one.build().dag])["one"]["tasks"][2]

    @pytest.mark.parametrize(
        ("value", "told", "hint"),
        [
            (0.5, "0.5", "write it as Spark reads it: `'0.5'`"),
            (None, "None", "leave it out"),
            (["a"], "['a']", "write it as Spark reads it, as a string"),
            (
                secret("vault", "key"),
                "Secret(scope='vault', key='key')",
                "whoever sees the session can read its settings: use the secret in the task",
            ),
        ],
    )
    def test_another_value_is_refused(self, value: Any, told: str, hint: str) -> None:
        """With the name of the setting and what to write."""
        with pytest.raises(DbxdecError) as error:

            @task(spark_conf={"spark.x": value})
            def work() -> None: ...

        (problem,) = error.value.problems
        assert problem.message == (f"`spark_conf['spark.x']` is {told}, not a string, a whole number or a boolean")
        assert problem.hint == hint

    def test_a_value_of_the_run_is_refused(self) -> None:
        """The manifest can't have it."""

        @task
        def work() -> None: ...

        @job
        def one(n: int) -> None:
            work.override(spark_conf={"spark.x": n})()

        built = one.build()
        assert messages(built) == [
            "`spark_conf['spark.x']` is the job parameter `n`, not a string, a whole number or a boolean"
        ]

    def test_all_mistakes_at_once_in_a_build(self) -> None:
        """Each at the line of the decorator; the task itself stays usable."""
        problems: list[Problem] = []
        number: Any = 8
        wrong: Any = {"a": 1.5, 3: "b", "": "c", "d": 4}
        with defining(), recording.collecting(problems):

            @task(spark_conf=wrong)
            def work() -> None: ...

            @task(spark_conf=number)
            def other() -> None: ...

        assert [problem.message for problem in problems] == [
            "`spark_conf['a']` is 1.5, not a string, a whole number or a boolean",
            "`spark_conf` has the key 3",
            "`spark_conf` has the key ''",
            "`spark_conf` is 8, not a dict",
        ]
        assert all("test_spark_tasks.py" in str(problem.where) for problem in problems)
        assert dict(work.options.spark_conf) == {"d": 4}

    def test_a_misspelt_keyword_and_a_native_task(self) -> None:
        """A keyword of dbxdec's own; clusters have the platform's field of this name."""
        with pytest.raises(DbxdecError, match=r"(?s)no field `sparkconf` of a task.*did you mean `spark_conf`"):
            task(sparkconf={"a": 1})  # type: ignore[call-overload]

    def test_a_manifest_of_another_origin(self) -> None:
        """A value of another type is not one that a build has written."""

        @task(io_manager=Shelf(), spark_conf={"a": 1})
        def work() -> Any: ...

        @job
        def one() -> None:
            work()

        form = job_forms.encode_jobs([one.build().dag])["one"]
        for value in (1.5, None, ["x"]):
            form["tasks"][0]["spark_conf"] = {"a": value}
            with pytest.raises(FormError) as error:
                job_forms.decode_job("one", form)
            assert "spark_conf.a" in str(error.value)

    def test_people_see_them(self) -> None:
        """`show` and `diff` name each setting."""

        def built(conf: dict[str, Any]) -> manifest.Manifest:
            @task(spark_conf=conf)
            def work() -> None: ...

            @job
            def one() -> None:
                work()

            return manifest.Manifest("p", "1", "b" * 64, "dbxdec 0", job_forms.encode_jobs([one.build().dag]))

        before, after = built({"spark.x": 8, "spark.y": True}), built({"spark.x": "9"})
        facts = texts.facts(before.job("one").tasks[0], before.job("one"))
        assert facts == [("spark_conf.spark.x", "8"), ("spark_conf.spark.y", "true")]
        changes = diff.difference(before, after, {}, {}).changes
        assert [(change.kind, change.what) for change in changes] == [
            ("changed", "one.tasks.work.spark_conf.spark.x"),
            ("removed", "one.tasks.work.spark_conf.spark.y"),
        ]
