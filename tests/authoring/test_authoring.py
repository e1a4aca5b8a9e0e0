"""Jobs, tasks and proxies: what a job's body becomes, and every mistake in it at its line."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from enum import Enum
from typing import Any, Literal

import pytest

import dbxdec
from authored import Frame, Shelf, here, lines, messages
from dbxdec import Task, bundle_variable, environment, job, job_cluster, task
from dbxdec.authoring.jobs import registered
from dbxdec.errors import AuthoringError, SourceLocation
from dbxdec.model import checks, dag

shelf = Shelf()


@task(io_manager=shelf)
def extract(day: dt.date) -> Frame:
    """Fixture task of module level."""
    return Frame()


@task
def consume(frame: Frame) -> None:
    """Fixture task that stores nothing."""


class Colour(Enum):
    RED = 1


class TestBuilding:
    def test_the_body_runs_only_when_the_dag_is_built(self) -> None:
        """Decorating a function with @job does not run its body; building does, each time."""
        ran = []

        @job
        def lazy() -> None:
            ran.append(1)

        assert ran == []
        lazy.build()
        assert ran == [1]

    def test_calls_become_tasks_with_bindings_and_edges(self) -> None:
        """Arguments become bindings of the parameters they feed, and proxies make edges."""

        @job
        def wired(day: dt.date = dt.date(2013, 1, 1)) -> None:
            @task(io_manager=shelf)
            def clean(frame: Frame, keep: list[str], *, others: list[Frame]) -> Frame:
                return frame

            first = extract(day)
            clean(first, ["UA"], others=[first])

        built = wired.build()
        assert built.problems == ()
        assert [t.key for t in built.dag.tasks] == ["extract", "clean"]
        assert built.dag.task("extract").inputs == {"day": dag.Parameter("day")}
        clean = built.dag.task("clean")
        assert clean.inputs == {
            "frame": dag.TaskOutput("extract"),
            "keep": dag.Literal(["UA"]),
            "others": dag.Sequence((dag.TaskOutput("extract"),)),
        }
        assert clean.depends_on == (dag.Dependency("extract"),)
        assert clean.outputs["result"].target == "/lake/clean"

    def test_proxies_are_found_inside_dicts_tuples_and_variadic_arguments(self) -> None:
        """Fan-in works through dicts, tuples, *args and **kwargs, at any depth."""

        @task
        def gather(a: dict[str, Any], b: tuple[Any, ...], *rest: Frame, **named: Frame) -> None: ...

        @job
        def fan_in() -> None:
            x = extract.override(key="x")(dt.date(2013, 1, 1))
            y = extract.override(key="y")(dt.date(2013, 1, 2))
            gather({"deep": [x]}, (y, 1), x, y, last=x)

        built = fan_in.build()
        assert built.problems == ()
        inputs = built.dag.task("gather").inputs
        assert inputs["a"] == dag.Mapped((("deep", dag.Sequence((dag.TaskOutput("x"),))),))
        assert inputs["b"] == dag.Sequence((dag.TaskOutput("y"), dag.Literal(1)), "tuple")
        assert inputs["rest"] == dag.Sequence((dag.TaskOutput("x"), dag.TaskOutput("y")))
        assert inputs["named"] == dag.Mapped((("last", dag.TaskOutput("x")),))

    def test_order_without_data(self) -> None:
        """`>>` and `.after` add edges and no inputs; lists fan out and in."""

        @task
        def step() -> None: ...

        @job
        def ordered() -> None:
            a, b, c, d = (step.override(key=k)() for k in "abcd")
            a >> [b, c] >> d
            d.after(a)

        built = ordered.build()
        assert built.problems == ()
        waits = {t.key: [e.task for e in t.depends_on] for t in built.dag.tasks}
        assert waits == {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c", "a"]}
        assert [t.key for t in dag.run_order(built.dag)] == ["a", "b", "c", "d"]

    def test_override_keeps_what_is_not_given_and_adds_dependencies(self) -> None:
        """`.override` changes key, settings and manager of a copy; `depends_on` adds to what was there."""
        other = Shelf("/other")

        @task(io_manager=shelf, max_retries=2)
        def base() -> Frame:
            return Frame()

        @job
        def overriding() -> None:
            first = base()
            base.override(key="second", io_manager=other, depends_on=[first], timeout_seconds=60, run_if="ALL_DONE")()

        built = overriding.build()
        second = built.dag.task("second")
        assert second.settings == {"max_retries": 2, "timeout_seconds": 60}
        assert (second.run_if, second.depends_on) == ("ALL_DONE", (dag.Dependency("base"),))
        assert second.outputs["result"].target == "/other/second"
        assert built.dag.task("base").settings == {"max_retries": 2}

    def test_job_parameters_are_typed_and_their_defaults_are_text(self) -> None:
        """Each supported type of a parameter gives its type and the text of its default."""

        @job
        def typed(
            day: dt.date = dt.date(2013, 1, 1),
            ratio: float = 0.5,
            on: bool = True,
            colour: Colour = Colour.RED,
            amount: Decimal = Decimal("1.20"),
            level: Literal["low", 3] = 3,
            names: list[str] = ["a"],  # noqa: B006 - a default of a job parameter is never shared
            maybe: int | None = None,
            needed: str = ...,
        ) -> None: ...

        built = typed.build()
        assert len(built.problems) == 1
        assert "`needed` has a default that does not fit" in built.problems[0].message
        assert {p.name: (p.type.kind, p.default) for p in built.dag.parameters} == {
            "day": ("date", "2013-01-01"),
            "ratio": ("float", "0.5"),
            "on": ("bool", "true"),
            "colour": ("enum", "RED"),
            "amount": ("decimal", "1.20"),
            "level": ("literal", "3"),
            "names": ("list", '["a"]'),
            "maybe": ("int", "<dbxdec:none>"),
        }

    def test_compute_of_job_and_task(self) -> None:
        """A task takes its own cluster or environment, else its job's; only those in use are listed."""
        small = job_cluster("small", spark_version="16.4.x-scala2.12", num_workers=1)
        big = job_cluster("big", num_workers=8)
        serverless = environment("light", dependencies=["polars==1.31.0"])

        @task
        def step() -> None: ...

        @job(cluster=small)
        def mixed() -> None:
            step()
            step.override(key="heavy", cluster=big)()
            step.override(key="light", environment=serverless)()
            step.override(key="old", existing_cluster_id="0101-abc")()

        built = mixed.build().dag
        assert {t.key: dict(t.settings) for t in built.tasks} == {
            "step": {"job_cluster_key": "small"},
            "heavy": {"job_cluster_key": "big"},
            "light": {"environment_key": "light"},
            "old": {"existing_cluster_id": "0101-abc"},
        }
        assert built.clusters["big"] == {"num_workers": 8}
        assert built.environments == {"light": {"dependencies": ["polars==1.31.0"]}}

    def test_the_jobs_manager_serves_tasks_with_results_to_store(self) -> None:
        """`@job(io_manager=)` is the default for results that are neither None nor small."""

        @task
        def made() -> Frame:
            return Frame()

        @task
        def counted(frame: Frame) -> int:
            return 1

        @job(io_manager=shelf)
        def defaulted() -> None:
            counted(made()) >> consume(made.override(key="again")())

        built = defaulted.build()
        assert built.problems == ()
        assert built.dag.task("made").outputs["result"].target == "/lake/made"
        assert built.dag.task("counted").outputs["result"].io is None

    def test_bundle_variables_of_a_task_are_those_its_data_needs(self) -> None:
        """A task lists the variables of its own manager, of its inputs' managers, and of its literals."""
        lake = Shelf(bundle_variable("lake") / "x")
        other = Shelf(bundle_variable("other"))

        @task(io_manager=lake)
        def first() -> Frame:
            return Frame()

        @task(io_manager=other)
        def second(frame: Frame, note: str) -> Frame:
            return frame

        @job
        def with_variables() -> None:
            second(first(), f"in {bundle_variable('zone')}")

        built = with_variables.build()
        assert built.problems == ()
        assert built.dag.task("first").variables == ("lake",)
        assert built.dag.task("second").variables == ("lake", "other", "zone")

    def test_tables_are_inputs_and_targets(self) -> None:
        """A bound table is an `io_manager=`, and as an argument an input that is read at its newest."""

        @task(io_manager=shelf.table("gold/x"))
        def made(source: Frame) -> Frame:
            return source

        @job
        def with_tables() -> None:
            made(shelf.table("reference/airports"))

        built = with_tables.build()
        assert built.problems == ()
        assert built.dag.task("made").outputs["result"].target == "/lake/gold/x"
        assert built.dag.task("made").inputs["source"] == dag.Table("authored:Shelf", "/lake/reference/airports")

    def test_each_element_of_a_tuple_is_checked_by_its_own_annotation(self) -> None:
        """`tuple[Frame, int]` takes a Frame and an int in this order, and refuses them in the other."""

        @task
        def pair(both: tuple[Frame, int]) -> None: ...

        @job
        def right(day: dt.date, top: int) -> None:
            pair((extract(day), top))

        @job
        def wrong(day: dt.date, top: int) -> None:
            pair((top, extract(day)))  # type: ignore[arg-type]

        assert right.build().problems == ()
        assert len(wrong.build().problems) == 2


class TestOutsideABody:
    def test_a_task_is_its_function(self) -> None:
        """Outside a job's body, calling a task calls the function, and `.fn` is that function."""

        @task
        def double(x: int) -> int:
            return 2 * x

        assert double(4) == 8
        assert double.fn(4) == 8
        assert isinstance(double, Task)

    def test_nested_tasks_are_reached_through_their_job(self) -> None:
        """`job.tasks[key].fn` is the function of a task defined in the job's body."""

        @job
        def outer() -> None:
            @task
            def inner(x: int) -> int:
                return x + 1

            inner(1)

        assert outer.tasks["inner"].fn(1) == 2

    def test_calling_a_job_says_how_to_run_it(self) -> None:
        """A job is not a function to call."""

        @job
        def alone() -> None: ...

        with pytest.raises(AuthoringError, match="dbxdec run alone"):
            alone()

    def test_run_time_names_say_what_to_do_outside_a_run(self) -> None:
        """`params` and `context()` refuse outside a run; task values keep to memory."""
        with pytest.raises(dbxdec.RunError, match=r"params\.day was read outside a run"):
            _ = dbxdec.params.day
        with pytest.raises(dbxdec.RunError, match="outside a run"):
            dbxdec.context()
        dbxdec.set_task_value("rows", 3)
        assert dbxdec.get_task_value("", "rows") == 3
        assert dbxdec.get_task_value("", "none", default=None) is None
        with pytest.raises(dbxdec.RunError, match="has set no value `none`"):
            dbxdec.get_task_value("", "none")

    def test_jobs_are_registered_in_order(self) -> None:
        """Discovery finds jobs in the order of their definition."""

        @job(key="first_of_two")
        def one() -> None: ...

        @job(key="second_of_two")
        def two() -> None: ...

        assert [j.key for j in registered()][-2:] == ["first_of_two", "second_of_two"]


class TestMistakes:
    def test_ten_mistakes_in_one_body_are_ten_problems(self) -> None:
        """Every mistake of a body is reported in one build, each with its line."""
        elsewhere: list[Any] = []

        @job
        def other() -> None:
            elsewhere.append(extract(dt.date(2013, 1, 1)))

        other.build()

        @task
        def numbers(x: int, y: int = 1) -> int:
            return x

        start = here()

        @job
        def wrong(day: dt.date = dt.date(2013, 1, 1)) -> None:
            frame = extract(dayy=day)  # type: ignore[call-arg]  # misspelt
            consume()  # type: ignore[call-arg]  # missing
            numbers(1, 2, 3)  # type: ignore[call-arg]  # excess
            if frame:  # proxy in an if
                pass
            for _ in frame:  # in a loop
                pass
            _ = frame == 1  # in a comparison
            _ = f"{day}"  # a parameter in an f-string
            extract(elsewhere[0])  # a proxy of another job, and a key that is there already
            numbers.override(key="n")(object())  # type: ignore[arg-type]  # not a literal

        built = wrong.build()
        assert len(built.problems) == 10
        assert lines(built) == [start + n for n in (4, 5, 6, 7, 9, 11, 12, 13, 13, 14)]
        assert built.problems[0].hint == "did you mean `day`?"
        text = "\n".join(messages(built))
        for part in (
            "has no parameter `dayy`",
            "needs a value for `frame`",
            "takes 2 positional arguments but got 3",
            "as a truth value",
            "in a loop",
            "in a comparison",
            "the job parameter `day` is used as a string",
            "already has a task `extract`",
            "of the job `other`",
            "`object` can't be passed to a task",
        ):
            assert part in text
        assert all(problem.hint for problem in built.problems)

    def test_cycles_name_the_way_round(self) -> None:
        """Tasks that wait for each other are reported with the cycle."""

        @task
        def step() -> None: ...

        @job
        def circle() -> None:
            a, b, c = (step.override(key=k)() for k in "abc")
            a >> b >> c >> a

        problems = checks.check([circle.build().dag])
        assert len(problems) == 1
        assert "a -> b -> c -> a" in problems[0].message

    def test_two_writers_of_one_target_are_refused_unless_shared(self) -> None:
        """Two tasks of any jobs may write one target only where both tables say shared."""

        @job
        def left() -> None:
            extract(dt.date(2013, 1, 1))

        @job
        def right() -> None:
            extract(dt.date(2013, 1, 2))

        problems = checks.check([left.build().dag, right.build().dag])
        assert [p.message for p in problems] == [
            "`left.extract` and `right.extract` write the same target /lake/extract"
        ]

        shared = extract.override(io_manager=shelf.table("common", shared=True))

        @job
        def both() -> None:
            shared.override(key="a")(dt.date(2013, 1, 1))
            shared.override(key="b")(dt.date(2013, 1, 1))

        assert checks.check([both.build().dag]) == []

    def test_a_shared_table_is_shared_by_all_that_write_it(self) -> None:
        """One writer that does not say so keeps the table from being shared, whoever else does."""

        @job
        def both() -> None:
            for key, shared in (("a", True), ("b", False), ("c", True)):
                io = shelf.table("common", shared=shared)
                extract.override(key=key, io_manager=io)(dt.date(2013, 1, 1))

        (problem,) = checks.check([both.build().dag])
        assert problem.message == "`both.a`, `both.b` and `both.c` write the same target /lake/common"

    @pytest.mark.parametrize(
        ("one", "other", "same"),
        [
            ("/lake/x", "/lake/./x/", True),
            ("abfss://c@a/x/y", "abfss://c@a/x/../x/y", True),
            ("${var.lake}/x", "${var.lake}//x", True),
            ("Main.Gold.X", "main.gold.x", True),
            ("/lake/X", "/lake/x", False),
            ("s3://a/x", "gs://a/x", False),
            ("s3a://a/x", "s3://a/x", True),
            ("abfs://c@a/x", "abfss://c@a/x", True),
            ("file:///lake/x", "/lake/x", True),
            ("//lake/x", "/lake//x", True),
            ("dbfs:/x/y", "/dbfs/x/y", True),
        ],
    )
    def test_two_spellings_of_one_target_are_one(self, one: str, other: str, same: bool) -> None:
        """Paths are compared without their detours, names of a catalog without their case."""

        def writer(key: str, target: str) -> dag.Task:
            return dag.Task(key, "m:f", SourceLocation("m.py", 1), {}, {"result": dag.Output("m:Shelf", target)})

        both = dag.Job("j", "m", "m:j", SourceLocation("m.py", 1), (writer("a", one), writer("b", other)))
        assert len(checks.check([both])) == same

    @pytest.mark.parametrize(
        ("around", "inside", "io", "wrong"),
        [
            ("/lake/x", "/lake/x/y", "dbxdec.io_managers:PolarsDeltaIoManager", True),
            ("${var.lake}/x", "${var.lake}/x/y/z", "dbxdec.io_managers:SparkDeltaIoManager", True),
            ("s3://a/x", "s3a://a/x/y", "dbxdec.io_managers:PolarsDeltaIoManager", True),
            ("/lake/x", "/lake/x/_items/y", "dbxdec.io_managers:PolarsDeltaIoManager", False),
            ("/lake/x", "/lake/xy", "dbxdec.io_managers:PolarsDeltaIoManager", False),
            ("/lake/x", "/lake/x/y", "dbxdec.io_managers:PolarsParquetIoManager", False),
        ],
    )
    def test_a_table_in_the_folder_of_a_delta_table_is_refused(
        self, around: str, inside: str, io: str, wrong: bool
    ) -> None:
        """VACUUM of the one would remove the other."""

        def writer(key: str, target: str) -> dag.Job:
            task = dag.Task(key, "m:f", SourceLocation("m.py", 1), {}, {"result": dag.Output(io, target)})
            return dag.Job(f"of_{key}", "m", "m:j", SourceLocation("m.py", 1), (task,))

        found = [problem.message for problem in checks.check([writer("a", around), writer("b", inside)])]
        said = f"of_b.b writes {inside}, which is in the folder of the table {around} of of_a.a"
        assert found == ([said] if wrong else [])

    def test_the_same_job_key_twice_names_both_places(self) -> None:
        """Two jobs with one key are refused, with the place of the other."""

        @job(key="twin")
        def one() -> None: ...

        @job(key="twin")
        def two() -> None: ...

        problems = checks.check([one.build().dag, two.build().dag])
        assert len(problems) == 1
        assert str(one.build().dag.source) in problems[0].message

    @pytest.mark.parametrize(
        ("annotation", "expected"),
        [
            (int, "is annotated `int`, which Shelf can't return"),
            ("NotThere", "can't be resolved"),
        ],
    )
    def test_an_annotation_that_the_manager_cant_give_is_refused(self, annotation: Any, expected: str) -> None:
        """What a parameter asks for must be something its producer's IoManager reads."""

        def plain(frame) -> None: ...  # type: ignore[no-untyped-def]

        plain.__annotations__["frame"] = annotation

        @job
        def asking() -> None:
            task(plain)(extract(dt.date(2013, 1, 1)))

        problems = asking.build().problems
        assert len(problems) == 1
        assert expected in problems[0].message

    def test_one_unresolvable_annotation_spoils_no_other(self) -> None:
        """An annotation that can't be resolved matters only where it decides how data is read."""

        def plain(note: NotThere, frame: Frame) -> None: ...  # type: ignore[name-defined]  # noqa: F821

        @job
        def tolerant() -> None:
            task(plain)("text", extract(dt.date(2013, 1, 1)))

        assert tolerant.build().problems == ()

    def test_a_result_without_a_place_is_refused(self) -> None:
        """A result that nothing stores is a mistake of its producer; reading one that stores nothing of its reader."""

        @task
        def lost() -> Frame:
            return Frame()

        @task
        def silent() -> None: ...

        @task
        def reader(x: Any) -> None: ...

        @job
        def losing() -> None:
            lost()
            reader(silent())

        built = losing.build()
        assert "returns `Frame` but has no IoManager" in built.problems[0].message
        assert "the task `silent` returns None, so `reader` can't read its result" in built.problems[1].message

    def test_types_of_small_results_and_parameters_are_checked(self) -> None:
        """An int given where a str is annotated is refused; int widens to float."""

        @task
        def count() -> int:
            return 1

        @task
        def text(x: str) -> None: ...

        @task
        def number(x: float | None) -> None: ...

        @job
        def typed(top: int = 1) -> None:
            text(count())
            text.override(key="t2")(top)  # type: ignore[arg-type]
            number(count.override(key="c2")())

        built = typed.build()
        assert messages(built) == [
            "the parameter `x` of the task `text` is annotated `str`, but the result of the task `count` is `int`",
            "the parameter `x` of the task `t2` is annotated `str`, but the job parameter `top` is `int`",
        ]

    def test_closures_over_what_changes_are_refused(self) -> None:
        """A nested task may not close over a parameter, a proxy or a loop variable; constants are fine."""

        @job
        def closing(day: dt.date = dt.date(2013, 1, 1)) -> None:
            constant = 3
            frame = extract(day)

            @task
            def bad() -> None:
                print(day, frame, constant)

            bad()
            for name in ("a", "b"):

                @task(key=name)
                def looped() -> None:
                    print(name)  # noqa: B023 - the mistake under test

                looped()

        found = messages(closing.build())
        assert [m.split(",")[0] for m in found] == [
            "the task `bad` closes over `day`",
            "the task `bad` closes over `frame`",
            "the task `looped` closes over `name`",
        ]

    def test_an_uncalled_nested_task_is_refused(self) -> None:
        """A task defined in a body and never called is a mistake."""

        @job
        def forgetful() -> None:
            @task
            def forgotten() -> None: ...

        assert messages(forgetful.build()) == [
            "the task `forgotten` is defined in the job `forgetful` but never called"
        ]

    def test_an_exception_in_the_body_is_reported_at_its_line(self) -> None:
        """What the body raises becomes a problem at the author's line; earlier ones stay."""

        @job
        def failing() -> None:
            consume()  # type: ignore[call-arg]
            dict[str, int]()["x"]

        built = failing.build()
        assert "raised KeyError: 'x'" in messages(built)[1]
        assert lines(built)[1] == lines(built)[0] + 1

    @pytest.mark.parametrize("field", ["task_key", "job_cluster_key", "environment_key", "depends_on"])
    def test_fields_that_dbxdec_fills_are_refused_at_the_decorator(self, field: str) -> None:
        """A field of the platform that dbxdec fills itself names what to write instead."""
        with pytest.raises(AuthoringError, match="is filled by dbxdec"):
            task(**{field: "x"})  # type: ignore[call-overload]

    def test_coroutines_and_generators_are_no_tasks(self) -> None:
        """A function whose call returns no result is refused where it is decorated."""

        async def later() -> None: ...

        with pytest.raises(AuthoringError, match="async def"):
            task(later)

    def test_misuse_of_a_reference_at_run_time_is_an_error_too(self) -> None:
        """A proxy that has escaped its body refuses use with the same message."""
        escaped: list[Any] = []

        @job
        def leaking() -> None:
            escaped.append(extract(dt.date(2013, 1, 1)))

        leaking.build()
        with pytest.raises(AuthoringError, match="as a truth value"):
            bool(escaped[0])
        assert repr(escaped[0]) == "<the result of the task `extract`>"

    def test_passing_a_task_instead_of_its_result(self) -> None:
        """A task that was not called is refused with how to call it."""

        @job
        def uncalled() -> None:
            consume(extract)  # type: ignore[arg-type]

        assert "is the task `extract` itself, not its result" in messages(uncalled.build())[0]
