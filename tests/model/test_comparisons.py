"""Conditions over typed values: one string for each value, equal where Python says equal."""

from __future__ import annotations

import datetime as dt
import enum
import itertools
import json
from decimal import Decimal
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbxdec import bundle_variable, condition, job, native_task, run_date, task
from dbxdec.authoring.jobs import BuiltJob, Job
from dbxdec.errors import RunError
from dbxdec.model import checks, comparisons, dag, protocol, warning_checks
from dbxdec.model.values import ValueType
from dbxdec.platform import known, references
from dbxdec.platform.conditions import decide, holds, is_exact
from dbxdec.platform.run_if import State
from dbxdec.platform.status import of_run
from dbxdec.platform.texts import text_of


class Colour(enum.Enum):
    RED = 1
    GREEN = 2
    CRIMSON = 1  # noqa: PIE796 - an alias


class Word(enum.StrEnum):
    YES = "yes"
    NO = "no"


ZONES = st.sampled_from(
    [None, dt.UTC, dt.timezone(dt.timedelta(hours=9)), dt.timezone(dt.timedelta(hours=-3, minutes=-30))]
)
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.integers(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [-0.0, 0.1, 1e16, 1e-7, 5e-324, Decimal("1.50"), Decimal("0E+5"), Decimal("-0"), Decimal("0.1"), 2.0]
    ),
)
VALUES = st.one_of(
    NUMBERS,
    st.booleans(),
    st.text(max_size=5),
    st.sampled_from(["True", "true", "1", "yes", "RED", "2024-01-05"]),
    st.dates(),
    st.datetimes(timezones=ZONES),
    st.sampled_from(Colour),
    st.sampled_from(Word),
    st.none(),
)
TYPES = [
    ValueType.of(annotation)
    for plain in (
        str,
        int,
        float,
        bool,
        dt.date,
        dt.datetime,
        Decimal,
        Colour,
        Word,
        Literal["yes", "no"],
        Literal[1, 2],
    )
    for annotation in (plain, plain | None)
]


def typed(kind: ValueType, value: object) -> bool:
    try:
        kind.canonical(value)
    except TypeError:
        return False
    return True


@given(st.sampled_from(TYPES), VALUES, VALUES)
def test_strings_are_equal_where_python_says_equal(kind: ValueType, value: object, literal: object) -> None:
    """A value of a type and a literal have the same string if and only if they are equal; or the literal is refused."""
    if not typed(kind, value):
        return
    stored = float(value) if kind.kind == "float" and isinstance(value, int) else value  # as it is passed on
    try:
        text = comparisons.literal_text(kind, literal)
    except TypeError:
        return
    assert (text == kind.canonical(stored)) == (literal == stored)


@given(st.sampled_from(TYPES), VALUES, VALUES)
def test_two_values_of_a_type_have_one_string_if_they_are_equal(kind: ValueType, one: object, other: object) -> None:
    """That holds for two references too."""
    if typed(kind, one) and typed(kind, other):
        assert (kind.canonical(one) == kind.canonical(other)) == (one == other)


@given(st.sampled_from(TYPES), VALUES)
def test_the_one_string_is_read_back(kind: ValueType, value: object) -> None:
    """It is a spelling of the type's own, for a job parameter."""
    if typed(kind, value):
        assert kind.from_text(kind.canonical(value)) == value


@given(st.sampled_from(TYPES), VALUES, st.integers(-(2**53), 2**53))
def test_what_the_platform_renders_is_used_where_it_is_that_string(
    kind: ValueType, value: object, literal: int
) -> None:
    """Where no second string is left, the documented rendering of the JSON value is the one string."""
    if typed(kind, value) and comparisons.is_told_alike(kind, literal):
        assert text_of(kind.to_json(value)) == kind.canonical(value)


@given(NUMBERS, NUMBERS)
def test_sizes_of_exact_numbers_are_compared_as_in_python(left: Any, right: Any) -> None:
    """Numbers that a condition takes are ordered as Python orders them, unless a float meets a Decimal."""
    kinds = {type(left), type(right)}
    exact = all(isinstance(side, float) or is_exact(side) for side in (left, right))
    if exact and kinds != {float, Decimal}:
        texts = [comparisons.type_of(side).canonical(side) for side in (left, right)]  # type: ignore[union-attr]
        assert holds("GREATER_THAN", *texts) == (left > right)
        assert holds("LESS_THAN_OR_EQUAL", *texts) == (left <= right)


@pytest.mark.parametrize(
    "text", ["", "x", "1_000", " 1", "nan", "inf", "0x1", "1.", "true", "٤", "<dbxdec:none>", "null"]
)
def test_what_is_no_number_has_no_size(text: str) -> None:
    """Python's own readings of numbers are not the platform's."""
    with pytest.raises(RunError, match="is not a number"):
        holds("GREATER_THAN", text, "1")


def test_a_reference_without_a_value_is_not_compared() -> None:
    """The platform would compare its literal string, and take a branch."""
    form = {"op": "EQUAL_TO", "left": "{{tasks.a.values.x}}", "right": "1"}
    with pytest.raises(RunError, match=r"compares \{\{tasks.a.values.x\}\}, which has no value in this run"):
        decide(form, lambda text: text)
    assert decide(form, lambda text: references.resolve(text, {"tasks.a.values.x": "{{job.id}}"}))[0] is False


# References


@pytest.mark.parametrize(
    ("segments", "spelled"),
    [
        (("tasks", "read_mode", "values", "x1"), "{{tasks.read_mode.values.x1}}"),
        (("tasks", "read-mode", "values", "x"), "{{tasks.`read-mode`.values.x}}"),
        (("tasks", "a", "values", "b.c d"), "{{tasks.a.values.`b.c d`}}"),
        (("job", "parameters", "größe"), "{{job.parameters.`größe`}}"),
    ],
)
def test_segments_that_the_platform_would_not_read_are_in_backticks(segments: tuple[str, ...], spelled: str) -> None:
    """Only ASCII letters, digits and `_` go without; what is spelled is what is read."""
    assert references.reference(*segments) == spelled
    assert references.only_one_in(spelled) == segments
    known = {references.path(*segments): "v"}
    assert references.resolve(f"a {spelled} b{spelled}", known) == "a v bv"


@given(
    st.lists(st.text(st.characters(exclude_characters="`{}", exclude_categories=["Cc", "Cs"]), min_size=1), min_size=1)
)
def test_any_name_comes_back(segments: list[str]) -> None:
    """Every name without braces, backticks and control characters can be referred to."""
    assert all(map(references.can_refer_to, segments))
    assert references.only_one_in(references.reference(*segments)) == tuple(segments)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("{{tasks.read-mode.values.x}}", "{{tasks.`read-mode`.values.x}}"),
        ("{{tasks.a.values.row-count}}", "{{tasks.a.values.`row-count`}}"),
        ("{{tasks.[a b].values.x}}", "{{tasks.`a b`.values.x}}"),
        ("{{tasks.a-b.result_state}}", "{{tasks.`a-b`.result_state}}"),
        ("{{job.parameters.größe}}", "{{job.parameters.`größe`}}"),
        ("{{input.my-key}}", "{{input.`my-key`}}"),
    ],
)
def test_what_is_misspelled_stays_literal_and_is_told(text: str, right: str) -> None:
    """A reference without the backticks that it needs is none; the right spelling is known."""
    assert (
        references.resolve(text, {references.path(*segments): "v" for segments in references.found_in(right)}) == text
    )
    assert references.misspelled_in(f"x {text}") == [text]
    assert references.well_spelled(text) == right


@pytest.mark.parametrize("text", ["{{ ds }}", "{{x}}", "{{secrets/s/k}}", "{{", "}}", "{{job.id}}", "{job.a-b}"])
def test_templates_of_others_are_left_alone(text: str) -> None:
    """What begins with none of the platform's words is the author's."""
    assert references.misspelled_in(text) == []


@pytest.mark.parametrize(
    "inside",
    [
        *("job.id", "job.start_time.iso_weekday", "job.trigger.time.iso_datetime", "job.trigger.type", "task.run_id"),
        *("job.trigger.file_arrival.location", "job.trigger.table_update.updated_tables", "workspace.url", "input"),
        *("job.trigger.table_update.`a.b.c`.version", "tasks.a.values.x", "tasks.a.error_code", "input.k"),
        *("tasks.q.output.first_row.n", "backfill.iso_date", "job.parameters.`a-b`"),
        *known.of_run("j", "1", 0, {"p": "x"}),
        *(text.strip("{}") for text in protocol._REFERENCES.values()),
    ],
)
def test_documented_references_are_known(inside: str) -> None:
    """Those of the documentation, those that a local run resolves, and those that dbxdec itself writes."""
    segments = references.only_one_in(f"{{{{{inside}}}}}")
    assert segments is not None
    assert references.is_known(segments)


@pytest.mark.parametrize(
    ("inside", "meant"),
    [
        ("job.naem", "job.name"),
        ("job.trigger.time.iso_hour", "job.trigger.time.hour"),
        ("job.start_time", "job.start_time.day"),
        ("backfill.isodate", "backfill.iso_date"),
        ("tasks.a.result", "tasks.a.result_state"),
        ("workspace.host", None),
        ("tasks.a.values", "tasks.a.values.name"),
        ("task", None),
    ],
)
def test_others_in_a_namespace_of_the_platform_are_not(inside: str, meant: str | None) -> None:
    """The documented reference that is most like it can be told."""
    segments = references.only_one_in(f"{{{{{inside}}}}}")
    assert segments is not None
    assert not references.is_known(segments)
    assert references.meant(segments) == (meant and f"{{{{{meant}}}}}")


# The state of a run


@pytest.mark.parametrize(
    ("states", "upstream", "state"),
    [
        ("ss", {"b": "a"}, State.SUCCESS),
        ("fs", {"b": "a"}, State.SUCCESS_WITH_FAILURES),
        ("sf", {"b": "a"}, State.FAILED),
        ("fu", {"b": "a"}, State.FAILED),
        ("fx", {"b": "a"}, State.SUCCESS_WITH_FAILURES),
        ("fus", {"b": "a", "c": "a"}, State.FAILED),
        ("tss", {"b": "a", "c": "b"}, State.SUCCESS_WITH_FAILURES),
        ("fd", {"b": "a"}, State.FAILED),
        ("dd", {"b": "a"}, State.SUCCESS),
        ("cs", {"b": "a"}, State.CANCELLED),
    ],
)
def test_a_run_is_what_its_leaves_are(states: str, upstream: dict[str, str], state: State) -> None:
    """Failures before leaves that succeed leave a success, with failures; tasks that nobody asked for are no part."""
    letters = {
        "s": State.SUCCESS, "f": State.FAILED, "u": State.UPSTREAM_FAILED, "x": State.EXCLUDED,
        "t": State.TIMED_OUT, "d": State.DESELECTED, "c": State.CANCELLED,
    }  # fmt: skip
    tasks = dict(zip("abc", (letters[letter] for letter in states), strict=False))
    assert of_run(tasks, {key: tuple(upstream.get(key, "")) for key in tasks}) is state


# What a build says


@task
def number() -> int:
    return 1


@task
def work() -> None: ...


def native(key: str, **fields: Any) -> Any:
    return native_task(key, notebook_task={"notebook_path": "/x"}, **fields)


def warned(made: Job[...]) -> list[str]:
    built: BuiltJob = made.build()
    assert built.problems == ()
    return [problem.message for problem in warning_checks.warn([built.dag])]


def hidden(made: Job[...]) -> list[str]:
    return [message for message in warned(made) if "the run still succeeds" in message]


class TestHiddenFailures:
    def test_a_failure_before_a_cleanup_is_told(self) -> None:
        """Where the only leaf runs in any case, nothing shows that a task has failed."""

        @job
        def one() -> None:
            first = work()
            native("second", depends_on=[first])
            native("cleanup", depends_on=[first], run_if="ALL_DONE")

        assert hidden(one) == []  # `second` is a leaf, and fails with the first

        @job
        def two() -> None:
            native("cleanup", depends_on=[native("second", depends_on=[work()])], run_if="ALL_DONE")

        (message,) = hidden(two)
        assert message.startswith("if one of `work` and `second` of the job `two` fails, the run still succeeds")
        assert message.endswith("here `cleanup`")

    @pytest.mark.parametrize("run_if", ["ALL_DONE", "AT_LEAST_ONE_FAILED", "ALL_FAILED", "AT_LEAST_ONE_SUCCESS"])
    def test_each_run_if_that_passes_over_a_failure_is_told(self, run_if: Any) -> None:
        """Whatever lets the last task run, or excludes it, hides the failure; a success that nobody has does not."""

        @job
        def one() -> None:
            native("last", depends_on=[work(), number()], run_if=run_if)

        @job
        def alone() -> None:
            native("last", depends_on=[work()], run_if=run_if)

        assert len(hidden(one)) == 1
        assert len(hidden(alone)) == (run_if != "AT_LEAST_ONE_SUCCESS")

    def test_a_branch_that_is_not_taken_hides_a_failure(self) -> None:
        """Not so where the task that fails is on the same branch."""

        @job
        def one() -> None:
            chosen = condition(number(), "==", 1)
            native("last", depends_on=[work(), chosen.true])

        @job
        def same() -> None:
            chosen = condition(number(), "==", 1)
            first = native("first", depends_on=[chosen.true])
            native("last", depends_on=[first, chosen.true])

        (message,) = hidden(one)
        assert message.startswith("if `work` of the job `one` fails, the run still succeeds")
        assert hidden(same) == []

        @job
        def both() -> None:
            chosen, first = condition(number(), "==", 1), work()
            native("yes", depends_on=[first, chosen.true])
            native("no", depends_on=[first, chosen.false])

        assert hidden(both) == []  # one of the two fails

    def test_a_failure_handler_shows_all(self) -> None:
        """With `on_failure` no failure is hidden, and with `handled` it is meant."""
        from dbxdec import handled

        for handler in (work, handled(work)):

            @job(on_failure=handler)
            def one() -> None:
                native("cleanup", depends_on=[number()], run_if="ALL_DONE")

            assert hidden(one) == []

    def test_plain_jobs_are_not_looked_at(self) -> None:
        """A chain of tasks, with branches that end in leaves of their own, says nothing."""

        @job
        def one() -> None:
            chosen = condition(number(), "==", 1)
            chosen.then(work()).otherwise(native("b"))

        assert hidden(one) == []


class TestUncheckedConditions:
    def test_a_parameter_that_no_function_has_seen_is_told(self) -> None:
        """A native task behind a condition would run on the wrong branch for `True`; a function before it refuses."""

        @job
        def one(full: bool = False, mode: str = "a") -> None:
            condition(full, "==", True).then(native("reload"))
            condition(mode, "==", "b", key="strings").then(native("other"))
            condition(bundle_variable("full"), "==", True, key="bundle").otherwise(native("third"))

        @job
        def checked(full: bool = False) -> None:
            chosen = condition(full, "==", True).after(number())
            chosen.then(native("reload"))
            condition(full, "==", False, key="functions").then(work())

        found = warned(one)
        assert [message.partition(" as a string")[0] for message in found] == [
            "the condition `condition` compares the job parameter `full`",
            "the condition `bundle` compares the bundle variable `full`",
        ]
        assert warned(checked) == []


class TestReferencesByHand:
    def test_one_that_would_stay_literal_is_told(self) -> None:
        """Misspelled ones, unknown parameters and tasks that are not waited for; others are left alone."""

        @job
        def one(day: str = "x") -> None:
            first = number.override(key="read-mode")()
            native_task(
                "a",
                notebook_task={
                    "notebook_path": "/x",
                    "base_parameters": {
                        "a": "{{tasks.read-mode.values.return_value}}",
                        "b": "{{tasks.`read-mode`.values.return_value}} {{job.parameters.day}} {{job.run_id}} {{ ds }}",
                        "c": "{{job.parameters.dya}}",
                        "d": "{{tasks.other.result_state}}",
                        "e": "{{job.trigger.time.iso_hour}}",
                    },
                },
                depends_on=[first],
            )

        problems = warning_checks.warn([one.build().dag])
        assert [problem.message.partition("` ")[2] for problem in problems] == [
            "has {{tasks.read-mode.values.return_value}}, which the platform takes for a literal string",
            "refers to {{job.parameters.dya}}, but the job has no such parameter",
            "refers to {{tasks.other.result_state}}, but does not wait for a task with that key",
            "has {{job.trigger.time.iso_hour}}, which the platform does not know",
        ]
        assert [problem.hint for problem in problems] == [
            "write {{tasks.`read-mode`.values.return_value}}",
            "did you mean `day`?",
            "add `depends_on=[...]`, or pass the result itself",
            "did you mean {{job.trigger.time.hour}}?",
        ]

    def test_the_default_of_a_parameter_refers_to_what_a_run_knows(self) -> None:
        """What no run replaces stays a literal string, which a task refuses as the whole value of a parameter."""

        @job
        def one(
            known: str = "{{job.run_id}} {{workspace.url}} {{job.parameters.text}} {{backfill.iso_date}} {{ ds }}",
            text: str = "plain",
            hour: str = "{{job.trigger.time.iso_hour}}",
            listed: list[str] = ["{{job.id}}", "{{job.runid}}"],  # noqa: B006
            other: str = "{{ ds }}",
            escaped: str = "{{job.parameters.a-b}}",
            absent: str = "{{job.parameters.txet}}",
            early: str = "x{{tasks.work.values.n}}",
            day: dt.date = run_date(),
        ) -> None:
            work()

        problems = warning_checks.warn([one.build().dag])
        assert [problem.message.removeprefix("the parameter ") for problem in problems] == [
            "`hour` of the job `one` has {{job.trigger.time.iso_hour}}, which the platform does not know",
            "`listed` of the job `one` has {{job.runid}}, which the platform does not know",
            "`other` of the job `one` has the default {{ds}}, which no run replaces, and which tasks refuse",
            "`escaped` of the job `one` has {{job.parameters.a-b}}, which the platform takes for a literal string",
            "`absent` of the job `one` refers to {{job.parameters.txet}}, but the job has no such parameter",
            "`early` of the job `one` refers to {{tasks.work.values.n}}, which has no value when a run starts",
        ]

    def test_what_may_be_missing_is_an_error(self) -> None:
        """A condition or a native task can't be given None: the platform would take the reference itself."""

        @job
        def one() -> None:
            chosen = condition(1, "==", 2, key="first")
            found = number()
            chosen.then(found)
            condition(found, ">", 3, key="second", run_if="ALL_DONE").after(work())

        (problem,) = checks.check([one.build().dag])
        assert problem.message == (
            "the task `second` refers to a value of the task `number`, which runs only if the condition `first` is "
            "true: the platform would take the reference for a literal string"
        )


@pytest.mark.parametrize("run_if", ["ALL_FAILED", "AT_LEAST_ONE_FAILED"])
def test_a_task_that_waits_for_nothing_needs_no_failure(run_if: Any) -> None:
    """It would be excluded each time; native tasks too."""

    @job
    def one() -> None:
        work.override(run_if=run_if)()
        native("b", run_if=run_if)
        work.override(key="fine", run_if="ALL_DONE")()

    messages = [problem.message for problem in checks.check([one.build().dag])]
    assert messages == [
        f"the task `{key}` has run_if={run_if} but waits for no task, so it never runs" for key in ("work", "b")
    ]


def test_a_failure_handler_is_tried_once() -> None:
    """Its retries would run it again each time: they have no effect, which the build says."""

    @job(on_failure=work.override(max_retries=3))
    def one() -> None:
        number()

    assert ["max_retries=3 has no effect" in message for message in warned(one)] == [True]


def refused(built: dag.Job, **parameters: str) -> list[str]:
    return [str(problem) for problem in comparisons.refused_texts(built, parameters, {"full": "True"})]


def test_parameters_have_the_one_spelling_where_a_condition_compares_them() -> None:
    """Another spelling would be another branch; by size a number is what is wanted, in any spelling."""

    @job
    def one(n: int = 1, x: float = 1.0, top: int = 3, d: Decimal = Decimal(1), c: Colour = Colour.RED) -> None:
        condition(n, "==", 4, key="a")
        condition(2.5, "!=", x, key="b")
        condition(top, ">", 3, key="c")
        condition(d, "==", 1, key="d")
        condition(c, "==", Colour.RED, key="e")
        condition(bundle_variable("full"), "==", True, key="f")
        work()

    built = one.build().dag
    assert built.task("work").variables == ("full",)
    full = "the bundle variable `full` is 'True'\n    hint: write 'true': the condition `f` compares it as a string"
    assert refused(built, n="4", x="1.0", top="04", d="1.5", c="GREEN") == [full]
    assert refused(built, n="04", x="1", top="1_0", d="1.50", c="CRIMSON") == [
        "the job parameter `n` is '04'\n    hint: write '4': the condition `a` compares it as a string",
        "the job parameter `x` is '1'\n    hint: write '1.0': the condition `b` compares it as a string",
        "the job parameter `top` is '1_0'\n    hint: write '10': the condition `c` compares it by size",
        "the job parameter `d` is '1.50'\n    hint: write '1.5': the condition `d` compares it as a string",
        "the job parameter `c` is 'CRIMSON'\n    hint: write 'RED': the condition `e` compares it as a string",
        full,
    ]
    assert "may treat such numbers as equal" in refused(built, top=str(2**60))[0]


def test_none_has_no_size() -> None:
    """A parameter that is None can't be compared by size: the run fails, as Python's own comparison would."""

    @job
    def one(n: int | None = 3) -> None:
        condition(n, ">", 2)
        work()

    (problem,) = comparisons.refused_texts(one.build().dag, {"n": "<dbxdec:none>"}, {})
    assert problem.hint == "give it a number: the condition `condition` compares it by size"


def test_defaults_and_what_jobs_pass_have_the_one_spelling() -> None:
    """A default, or a literal for another job, that a condition would compare otherwise is found by the build."""

    @job
    def inner(amount: Decimal = Decimal("1.50"), at: dt.datetime | None = None) -> None:
        condition(amount, "==", 1, key="a")
        condition(at, "==", None, key="b")

    @job
    def outer() -> None:
        inner(at=dt.datetime(2024, 3, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))))

    problems = checks.check([inner.build().dag, outer.build().dag])
    assert [problem.message for problem in problems] == [
        "the job parameter `amount` is '1.50' by default",
        "the task `inner` runs the job `inner`, but the job parameter `at` is '2024-03-01T00:00:00+01:00'",
    ]
    assert [str(problem.hint) for problem in problems] == [
        "write '1.5': the condition `a` compares it as a string",
        "write '2024-02-29T23:00:00+00:00': the condition `b` compares it as a string",
    ]


def test_values_that_a_condition_refers_to_are_left_and_of_its_type() -> None:
    """What is missing would be a literal string, and another type another string."""

    @job
    def one() -> None:
        x = work()
        condition(x.value("n"), "==", 1, key="a")
        condition(x.value("s"), "==", "1", key="b")
        condition(x.value("size"), ">", 1, key="c")
        native_task("d", notebook_task={"notebook_path": "/x", "base_parameters": {"p": x.value("p")}})

    built = one.build().dag

    def said(**left: Any) -> list[str]:
        return [problem.message for problem in comparisons.refused_values(built, "work", left)]

    assert said(n=1, s="1", size=2.5, p=None) == []
    assert said(s="1", size=1) == [
        "the task `work` has not set the task value `n`, which the task `a` refers to",
        "the task `work` has not set the task value `p`, which the task `d` refers to",
    ]
    for n, s in itertools.product([1.0, True, "1", None], [1, None]):
        assert len(said(n=n, s=s, size=1, p=1)) == 2
    assert "compares by size" in said(n=1, s="", size=2**60, p=1)[0]


def test_none_does_not_reach_another_job_as_a_string() -> None:
    """A result has a string for it; a task value that somebody has set has none."""

    @job
    def inner(name: str | None = None) -> None:
        work()

    @job
    def outer() -> None:
        inner(work().value("name"))

    built = outer.build().dag
    assert comparisons.refused_values(built, "work", {"name": "x"}) == []
    (problem,) = comparisons.refused_values(built, "work", {"name": None})
    assert problem.message == ("the task `work` has set `name` to None, which the job `inner` would get as a string")


def test_equal_types_that_json_tells_apart_are_compared_as_their_strings() -> None:
    """An optional result and one that isn't are of one type."""

    @task
    def maybe() -> int | None:
        return None

    @job
    def one(limit: int | None = None) -> None:
        condition(maybe(), "==", number(), key="a")
        condition(maybe.override(key="again")(), "==", limit, key="b")

    built = one.build()
    assert built.problems == ()
    forms = {task.key: task.settings["condition_task"] for task in built.dag.tasks if task.kind == "condition"}
    assert json.dumps(forms["a"]) == json.dumps(
        {
            "op": "EQUAL_TO",
            "left": "{{tasks.maybe.values.dbxdec_text}}",
            "right": "{{tasks.number.values.dbxdec_text}}",
        }
    )
    assert forms["b"]["right"] == "{{job.parameters.limit}}"
