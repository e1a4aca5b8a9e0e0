"""What hangs on a task's result or on the run: task values, places, newest versions, run dates, secrets."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dbxdec
from dbxdec import IoManager, Secret, bundle_variable, job, latest, run_date, secret, task
from dbxdec.authoring.jobs import BuiltJob
from dbxdec.authoring.settings import plain
from dbxdec.errors import RunError
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.contexts import InputContext, OutputContext
from dbxdec.model import dag, literals
from dbxdec.model.following import passing
from dbxdec.model.rundate import RunDate
from dbxdec.model.trigger import REFERENCE, Trigger
from dbxdec.model.values import ValueType


class Frame:
    """What the manager of these tests stores."""


class Shelf(IoManager):
    base_path = bundle_variable("root")

    def read(self, context: InputContext) -> Frame:
        return Frame()

    def write(self, context: OutputContext, value: Any) -> None:
        """Nothing is stored here."""


shelf = Shelf()


@task(io_manager=shelf)
def extract() -> Frame:
    return Frame()


@task
def count() -> int:
    return 1


@task
def consume(first: Any, second: Any = None) -> None: ...


def inputs(built: BuiltJob, key: str = "consume") -> Any:
    assert built.problems == ()
    return built.dag.task(key).inputs


def yesterday() -> dag.JobParameter:
    """A parameter that follows the run."""

    @job
    def one(day: dt.date = run_date(offset_days=-1)) -> None:
        consume(day)

    (parameter,) = one.build().dag.parameters
    return parameter


def messages(built: BuiltJob) -> list[str]:
    return [problem.message for problem in built.problems]


class TestTaskReferences:
    def test_a_task_value_is_an_input_and_an_edge(self) -> None:
        """`x.value(key)` is read from the task values of `x`, behind which the reader runs."""

        @job
        def one() -> None:
            consume(count().value("rows"), [extract().value("a")])

        built = one.build()
        assert inputs(built)["first"] == dag.TaskValue("count", "rows")
        assert inputs(built)["second"] == dag.Sequence((dag.TaskValue("extract", "a"),))
        assert [d.task for d in built.dag.task("consume").depends_on] == ["count", "extract"]

    def test_latest_of_a_result_reads_the_table_and_keeps_the_order(self) -> None:
        """`latest(x)` reads the newest version of the table behind `x`, after `x`; of a table it is the table."""

        @job
        def one() -> None:
            consume(latest(extract()), latest(shelf.table("gold/x")))

        built = one.build()
        assert inputs(built)["first"] == dag.TaskOutput("extract", "result", "newest")
        assert inputs(built)["second"] == dag.Table("test_references:Shelf", "${var.root}/gold/x")
        assert [d.task for d in built.dag.task("consume").depends_on] == ["extract"]
        assert set(built.tables) == {"${var.root}/gold/x"}
        assert built.dag.task("consume").variables == ("root",)

    def test_uri_is_the_place_of_the_result(self) -> None:
        """`x.uri` is where `x` is stored, with bundle variables resolved in the run, and an edge."""

        @job
        def one() -> None:
            consume(extract().uri)

        built = one.build()
        binding = inputs(built)["first"]
        assert isinstance(binding, dag.Literal)
        assert literals.decode(binding.value, {"root": "/lake"}) == "/lake/extract"
        assert [d.task for d in built.dag.task("consume").depends_on] == ["extract"]
        assert built.dag.task("consume").variables == ("root",)

    def test_what_a_task_can_not_be_given_is_refused(self) -> None:
        """A state, the place of a small result, and the latest of anything but a table are errors with a hint."""

        @job
        def one() -> None:
            consume(extract().state)
            consume.override(key="b")(count().uri)
            consume.override(key="c")(latest(3))
            consume.override(key="d")(latest(count.override(key="count2")()))

        built = one.build()
        assert len(messages(built)) == 4
        assert "only native tasks and conditions" in messages(built)[0]
        assert "is not stored in one place" in messages(built)[1]
        assert "`latest` of 3" in messages(built)[2]
        assert "stores no table" in messages(built)[3]

    def test_references_of_another_job_are_refused(self) -> None:
        """A task value of another job's task has no meaning in this job."""
        kept: list[Any] = []

        @job
        def first() -> None:
            kept.append(count().value("rows"))

        @job
        def second() -> None:
            consume(kept[0])

        assert first.build().problems == ()
        assert "of the job `first`" in messages(second.build())[0]

    @pytest.mark.parametrize("use", [bool, str, len, list, int], ids=lambda use: use.__name__)
    def test_references_have_no_value_while_the_job_is_wired(self, use: Any) -> None:
        """Using one as a value is noted at its line, as for a result."""

        @job
        def one() -> None:
            use(count().value("rows"))

        assert "it has a value only when the job runs" in messages(one.build())[0]


class TestMisuse:
    @pytest.mark.parametrize(
        ("use", "how"),
        [
            (lambda x: x << consume(1), "with `<<`"),
            (lambda x: x @ 3, "in arithmetic"),
            (lambda x: divmod(x, 2), "in arithmetic"),
            (round, "in arithmetic"),
            (lambda x: setattr(x, "max_retries", 3), "by setting `.max_retries`"),
            (lambda x: x.__setitem__("rows", 3), "with `[...] =`"),
            (lambda x: x.__delitem__("rows"), "with `del`"),
        ],
    )
    def test_every_use_is_noted_and_the_body_goes_on(self, use: Any, how: str) -> None:
        """What would need the value is one mistake at its line, and those behind it are found too."""

        @job
        def wired() -> None:
            use(count())
            extract(3)  # type: ignore[call-arg]

        assert messages(wired.build()) == [
            f"the result of the task `count` is used {how}; it has a value only when the job runs",
            "the task `extract` takes 0 positional arguments but got 1",
        ]

    def test_a_result_is_no_context(self) -> None:
        """`with x:` is noted once."""

        @job
        def wired() -> None:
            with count():
                extract()

        assert len(messages(wired.build())) == 1

    def test_a_task_does_not_wait_for_itself(self) -> None:
        """`x >> x` is a mistake of its own, not a cycle found later."""

        @job
        def wired() -> None:
            x = count()
            x >> x

        assert messages(wired.build()) == ["the task `count` can't run after itself"]

    @pytest.mark.parametrize("key", [3, "", None])
    def test_a_task_value_is_named_by_a_text(self, key: Any) -> None:
        """What `set_task_value` could not have set is refused."""

        @job
        def wired() -> None:
            consume(count().value(key))

        (message,) = messages(wired.build())
        assert message.endswith(" can't be the key of a task value of `count`")

    def test_named_outputs_order_tasks(self) -> None:
        """`x["good"] >> y` and `y.after(x["good"])` order behind the task that makes the output."""

        @task(outputs={"good": shelf.table("good"), "bad": shelf.table("bad")})
        def split() -> dict[str, Frame]:
            return {}

        @job
        def wired() -> None:
            x = split()
            x["good"] >> consume(1)
            consume.override(key="second")(1).after(x["bad"], x["good"].written)

        built = wired.build()
        assert messages(built) == []
        assert built.dag.task("consume").depends_on == (dag.Dependency("split"),)
        assert built.dag.task("second").depends_on == (dag.Dependency("split"),)


class TestRunDate:
    @pytest.mark.parametrize(
        ("started", "given", "date"),
        [
            ("2024-03-01T00:30:00+00:00", RunDate(), "2024-03-01"),
            ("2024-03-01T00:30:00+00:00", RunDate(offset_days=-1), "2024-02-29"),
            ("2024-03-01T00:30:00+00:00", RunDate(tz="America/New_York"), "2024-02-29"),
            ("2024-03-31T12:00:00+00:00", RunDate(offset_months=-1), "2024-02-29"),
            ("2024-01-31T12:00:00+00:00", RunDate(offset_months=1, offset_days=1), "2024-03-01"),
            ("2024-01-15T12:00:00+00:00", RunDate(offset_months=-13), "2022-12-15"),
            ("2024-12-31T23:30:00+00:00", RunDate(tz="Europe/Berlin"), "2025-01-01"),
        ],
    )
    def test_the_start_is_moved_by_months_then_days_in_the_zone(self, started: str, given: RunDate, date: str) -> None:
        """The date is the zone's; a shorter month's last day stands for one that it lacks; days come after months."""
        assert str(given.at(dt.datetime.fromisoformat(started))) == date

    @given(
        started=st.datetimes(dt.datetime(1980, 1, 1), dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC)),
        months=st.integers(-200, 200),
    )
    def test_months_never_reach_another_month(self, started: dt.datetime, months: int) -> None:
        """Moving by months lands in exactly that month, on the same day or on its last."""
        date = RunDate(offset_months=months).at(started)
        assert (date.year * 12 + date.month) - (started.year * 12 + started.month) == months
        assert date.day == started.day or (date + dt.timedelta(days=1)).day == 1

    @pytest.mark.parametrize("text", ["2024-03-01T05:00:00", "2024-03-01T05:00:00Z", "2024-03-01T05:00:00.123+00:00"])
    def test_the_platforms_moment_is_moved(self, text: str) -> None:
        """The trigger's time in any spelling of ISO 8601 is taken, in UTC where it names no zone."""
        trigger = Trigger.of(text, dt.datetime(2024, 3, 9, tzinfo=dt.UTC))
        assert yesterday().value(text, trigger) == dt.date(2024, 2, 29)

    def test_without_a_time_of_the_trigger_the_runs_start_is_moved(self) -> None:
        """Where the platform leaves the reference as it is, the default is its literal string."""
        trigger = Trigger.of(None, dt.datetime(2024, 3, 9, tzinfo=dt.UTC))
        assert yesterday().value(REFERENCE, trigger) == dt.date(2024, 3, 8)

    @pytest.mark.parametrize(
        "text", ["2024-03-01", "2024-03-01T00:00:00", "2024-03-01T00:00:00Z", "2024-03-01T00:00+09:00"]
    )
    def test_a_value_given_by_hand_wins_as_it_is(self, text: str) -> None:
        """A date is never moved, nor is a midnight, of which backfills make dates."""
        parameter = yesterday()
        assert parameter.default == REFERENCE
        assert parameter.value(text, Trigger.of("2024-03-01T05:00:00", dt.datetime.now(dt.UTC))) == dt.date(2024, 3, 1)

    def test_another_moment_given_by_hand_is_no_date(self) -> None:
        """A moment in the middle of a day may be of another day elsewhere, so it is refused."""
        with pytest.raises(
            ValueError, match=r"a time and not a date; for a backfill's date use \{\{backfill.iso_date\}\}"
        ):
            yesterday().value("2024-03-01T22:00:00Z", Trigger.of("2024-03-01T05:00:00", dt.datetime.now(dt.UTC)))

    @given(
        moment=st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC)),
        days=st.integers(-40, 40),
        months=st.integers(-20, 20),
        tz=st.sampled_from(["UTC", "America/New_York", "Asia/Tokyo"]),
    )
    def test_another_jobs_run_is_passed_the_date(self, moment: dt.datetime, days: int, months: int, tz: str) -> None:
        """What a job passes on is its own date, by default and given by hand, through any number of jobs."""
        given_by_parent = RunDate(days, months, tz)
        own = RunDate(offset_days=7)
        text = passing(given_by_parent, "{{job.parameters.day}}")
        (parent, child) = (moment.isoformat(), (moment + dt.timedelta(hours=3)).isoformat())
        plain = dag.JobParameter("day", ValueType("date"))
        for value, expected in ((parent, given_by_parent.at(moment)), ("2024-03-01", dt.date(2024, 3, 1))):
            passed = text.replace(REFERENCE, parent).replace("{{job.parameters.day}}", value)
            assert plain.value(passed) == expected
            again = passing(own, "{{job.parameters.day}}")
            again = again.replace(REFERENCE, child).replace("{{job.parameters.day}}", passed)
            assert plain.value(again, Trigger.of("2030-01-01T00:00:01", moment)) == expected

    def test_it_is_for_dates_with_a_known_zone_and_whole_offsets(self) -> None:
        """Another type of the parameter, an unknown zone and a broken offset are refused."""

        @job
        def one(day: str = run_date()) -> None:
            consume(day)

        assert "run_date" in messages(one.build())[0]
        with pytest.raises(ValueError, match="not a time zone"):
            run_date(tz="Mars/Olympus")
        with pytest.raises(TypeError, match="offset_days"):
            run_date(offset_days=1.5)  # type: ignore[arg-type]


class TestSecrets:
    def test_a_secret_is_resolved_in_the_run_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Options and arguments hold only where the secret is; its value comes from the environment here."""
        key = secret("lake", "account-key")
        io = PolarsDeltaIoManager("x", storage_options={"key": key})
        encoded = literals.encode({"token": key})
        monkeypatch.setenv("DBXDEC_SECRET_LAKE_ACCOUNT_KEY", "hunter2")
        assert io._storage_options() == {"key": "hunter2"}
        assert literals.decode(encoded) == {"token": "hunter2"}
        for text in (repr(key), repr(io), str(io.settings()), str(encoded)):
            assert "hunter2" not in text

    def test_settings_carry_the_platforms_own_reference(self) -> None:
        """In a field of the platform a secret is spelled as the platform resolves it."""
        assert plain({"spark_conf": {"k": secret("s", "k")}}) == {"spark_conf": {"k": "{{secrets/s/k}}"}}

    def test_a_secret_that_is_nowhere_says_where_to_put_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Off the platform the error names the environment variable."""
        monkeypatch.setattr("dbxdec.model.secrets.find_dbutils", lambda: None)
        with pytest.raises(RunError, match="DBXDEC_SECRET_S_K"):
            Secret("s", "k").value()

    def test_a_secret_has_no_text(self) -> None:
        """An f-string of a secret is an error where it is written, and wrong names are refused."""
        with pytest.raises(TypeError, match="f-string"):
            f"{secret('s', 'k')}"
        with pytest.raises(ValueError, match="scope"):
            secret("", "k")
        with pytest.raises(ValueError, match="key"):
            secret("s", "a/b")


def test_every_public_name_is_there() -> None:
    """Each name in `dbxdec.__all__` can be imported."""
    assert all(getattr(dbxdec, name) is not None for name in dbxdec.__all__)
