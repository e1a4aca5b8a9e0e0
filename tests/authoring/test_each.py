"""`each(items)`: tasks that run once for each of many items, from the job's body to the results that are read."""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pytest

from conftest import Installation
from dbxdec import IoManager, bundle_variable, condition, each, job, latest, native_task, secret, task
from dbxdec.authoring import recording
from dbxdec.authoring.jobs import BuiltJob
from dbxdec.build import codegen
from dbxdec.errors import AuthoringError, CodegenError, Problem, RunError
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.contexts import InputContext, OutputContext
from dbxdec.model import dag
from dbxdec.model.items import content
from dbxdec.model.job_forms import encode_jobs
from dbxdec.model.manifest import Manifest
from dbxdec.model.protocol import MAX_INPUTS, for_each_inputs
from dbxdec.model.typehints import Annotation
from dbxdec.model.values import ValueType
from dbxdec.platform.texts import iterations
from dbxdec.runtime import context
from dbxdec.runtime.iterations import Item, by_item, find_iteration, iterations_of
from dbxdec.runtime.task_values import MemoryStore, task_values
from dbxdec.testing import run_job
from projects import Project


class Frame:
    """What the managers of these tests store."""


class Shelf(IoManager):
    base_path = "/lake"
    reads: ClassVar[frozenset[str] | None] = frozenset({"test_each.Frame"})
    writes: ClassVar[frozenset[str] | None] = frozenset({"test_each.Frame"})

    def read(self, context: InputContext) -> Frame:
        return Frame()

    def write(self, context: OutputContext, value: Any) -> None:
        """Nothing is stored here."""


class Joining(Shelf):
    """Iterations write one target."""

    reads_table: ClassVar[bool] = True

    def joins(self, returns: tuple[str, ...] | None) -> bool:
        return True

    def combine(self, values: list[Any], context: InputContext) -> Any:
        return values[0]


shelf, joining = Shelf(), Joining()


class Colour(Enum):
    RED = 1
    CRIMSON = 1  # noqa: PIE796 - an alias of RED


@task(io_manager=shelf)
def ingest(country: str, day: str = "") -> Frame:
    return Frame()


@task(io_manager=shelf)
def wide(countries: Any) -> Frame:
    return Frame()


@task(io_manager=joining)
def append(country: str) -> Frame:
    return Frame()


@task
def count(item: str) -> int:
    return 1


@task
def names() -> list[str]:
    return ["a"]


@task
def name() -> str:
    return "a"


@task
def found() -> list[dict[str, str]]:
    return [{"id": "a"}]


@task(io_manager=joining)
def append_any(item: dict[str, str]) -> Frame:
    return Frame()


@task
def read_list(frames: list[Frame]) -> None: ...


@task
def read_dict(frames: dict[str, Frame]) -> None: ...


@task
def read_numbered(frames: dict[int, Frame]) -> None: ...


@task
def read_coloured(frames: dict[Colour, Frame]) -> None: ...


@task
def read_one(frame: Frame) -> None: ...


@task
def read_anything(x: Any) -> None: ...


def built(body: Callable[[], object]) -> BuiltJob:
    return job(key="one")(body).build()


def definition(body: Callable[[], object], **fields: Any) -> dict[str, Any]:
    made = job(key="one", **fields)(body).build()
    assert made.problems == ()
    manifest = Manifest("shop", "1", "b" * 64, "dbxdec 0", encode_jobs([made.dag]))
    (task_form,) = [
        form for form in codegen.build_jobs(manifest, wheel="x.whl")["one"]["tasks"] if form["task_key"] != "names"
    ]
    return dict(task_form)


def test_the_call_becomes_a_for_each_task() -> None:
    """Numbered items, the concurrency, and inside the wheel task that is given its number."""
    form = definition(lambda: ingest(each(["de", "de"], concurrency=8), "x"))
    assert form["task_key"] == "ingest"
    repeated = form["for_each_task"]
    assert json.loads(repeated["inputs"]) == [{"i": 0, "v": "de"}, {"i": 1, "v": "de"}]
    assert repeated["concurrency"] == 8
    assert repeated["task"]["task_key"] == "ingest_iteration"
    assert repeated["task"]["python_wheel_task"]["named_parameters"]["dbxdec-item"] == "{{input.i}}"
    assert repeated["task"]["python_wheel_task"]["named_parameters"]["dbxdec-task"] == "ingest"
    assert "python_wheel_task" not in form


def test_without_a_concurrency_none_is_emitted() -> None:
    """What the author did not set is left to the platform."""
    assert "concurrency" not in definition(lambda: ingest(each(["de"])))["for_each_task"]


def test_each_field_is_on_its_level() -> None:
    """Retries, timeouts, compute and libraries are the iteration's; order, run_if and notifications the task's."""

    def body() -> None:
        ingest.override(
            run_if="ALL_DONE",
            max_retries=2,
            timeout_seconds=60,
            retry_on_timeout=True,
            description="d",
            email_notifications={"on_failure": ["a@b.c"]},
            existing_cluster_id="1-2-3",
            depends_on=[names()],
        )(each(["de"]))

    form = definition(body)
    inner = form["for_each_task"]["task"]
    assert set(form) == {"task_key", "depends_on", "run_if", "description", "email_notifications", "for_each_task"}
    assert {"max_retries", "timeout_seconds", "retry_on_timeout", "existing_cluster_id", "libraries"} <= set(inner)
    assert not {"depends_on", "run_if", "description"} & set(inner)


def test_a_serverless_iteration_has_its_environment_inside() -> None:
    """The environment's key belongs to what is repeated."""
    form = definition(lambda: ingest(each(["de"])))
    assert form["for_each_task"]["task"]["environment_key"] == "default"
    assert "environment_key" not in form


def test_items_of_a_parameter_and_of_a_task_are_references() -> None:
    """The platform hands over each element as it is; the task's list is waited for."""

    @job
    def one(countries: list[str] = ["de"]) -> None:  # noqa: B006
        ingest(each(countries))
        ingest.override(key="again")(each(names()))
        ingest.override(key="third")(each(name().value("found")))

    made = one.build()
    assert made.problems == ()
    texts = [for_each_inputs(t.each) for t in made.dag.tasks if t.each]
    assert texts == [
        "{{job.parameters.countries}}",
        "{{tasks.names.values.return_value}}",
        "{{tasks.name.values.found}}",
    ]
    assert [d.task for d in made.dag.task("again").depends_on] == ["names"]


def test_what_the_run_resolves_is_not_shown_in_the_inputs() -> None:
    """Secrets, bundle variables and texts like references stay out; the number alone finds the item."""
    items = [secret("s", "k"), bundle_variable("v"), "{{input}}", "${x}", None, dt.date(2024, 1, 2), Colour.RED, (1, 2)]
    made = built(lambda: wide(each(items)))
    assert made.problems == ()
    (only,) = made.dag.tasks
    assert only.each is not None
    shown = [{"i": i} for i in range(4)] + [
        {"i": 4, "v": None},
        {"i": 5, "v": "2024-01-02"},
        {"i": 6, "v": "RED"},
        {"i": 7, "v": [1, 2]},
    ]
    assert json.loads(for_each_inputs(only.each)) == shown
    assert "v" in only.variables


def test_long_items_are_numbers_only() -> None:
    """Items are left out of the inputs where they would not fit; numbers that don't fit are an error at build."""
    made = built(lambda: ingest(each(["x" * 1000] * 10)))
    (only,) = made.dag.tasks
    assert only.each is not None
    assert for_each_inputs(only.each) == json.dumps([{"i": i} for i in range(10)], separators=(",", ":"))
    with pytest.raises(CodegenError, match=f"the platform allows {MAX_INPUTS:,}"):
        definition(lambda: ingest(each([str(i) for i in range(1000)])))


def test_the_manifest_holds_the_items_and_where_results_go() -> None:
    """Each round trip gives the same DAG; a manager that does not join has a target for each item."""

    def body() -> None:
        read_list(ingest(each(["de", "fr"])))
        read_one(append(each(["de"]))).after(read_anything(append.override(key="more")(each(["fr"])).written))

    made = built(body)
    assert made.problems == ()
    form = encode_jobs([made.dag])["one"]
    tasks = {entry["key"]: entry for entry in form["tasks"]}
    assert tasks["ingest"]["inputs"] == {"country": {"item": True}}
    assert tasks["ingest"]["each"] == {"items": {"literal": ["de", "fr"]}}
    assert tasks["ingest"]["outputs"]["result"]["per_item"] is True
    assert "per_item" not in tasks["append"]["outputs"]["result"]
    assert tasks["read_anything"]["inputs"]["x"] == {"task": "more", "output": "result", "rows": "changed"}
    again = Manifest("p", "1", "b", "dbxdec 0", {"one": json.loads(json.dumps(form))}).job("one")
    assert encode_jobs([again])["one"] == form


WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: ingest(each([])), "`each(...)` for the argument `country` of the task `ingest` has no items"),
    (
        lambda: wide(each(range(3))),
        "`each(...)` for the argument `countries` of the task `wide` gets range(0, 3)",
    ),
    (lambda: wide(each([object])), "`each(...)` for the argument `countries` of the task `wide`: "),
    (lambda: ingest(each(["a"]), each(["b"])), "the task `ingest` gets each(...) twice"),
    (
        lambda: read_anything([each(["a"])]),
        "the argument `x` of the task `read_anything` has each(...) inside another value",
    ),
    (lambda: ingest(each(name())), "gets the result of the task `name`, which is `str`"),
    (lambda: ingest(each(append("x"))), "gets the result of the task `append`, which is not a small result"),
    (lambda: read_anything(count(each(["a"]))), "can't read its small result as `x`"),
    (lambda: read_anything(count(each(["a"])).value("n")), "the task `count` runs for each of many items, so its task"),
    (
        lambda: read_one(ingest(each(["a"]))),
        "reads the results of the iterations of the task `ingest` as one value, which Shelf can't",
    ),
    (
        lambda: read_dict(ingest(each(["a", "a"]))),
        "reads the results of the iterations of the task `ingest` by item, but two",
    ),
    (
        lambda: read_dict(wide(each([["a"]]))),
        "reads the results of the iterations of the task `wide` by item, but an item",
    ),
    (
        lambda: read_numbered(ingest(each(["a", "b"]))),
        "annotated `dict[int, Frame]`, reads the results of the iterations of the task `ingest` by item, but item 0 is",
    ),
    (
        lambda: read_numbered(ingest(each(names()))),
        "by item, but an item of the result of the task `names` is a `str`",
    ),
    (
        lambda: read_dict(append_any(each(found()))),
        "by item, but an item of the result of the task `found` is a `dict[str, str]`, which can't be a key",
    ),
    (
        lambda: read_list(latest(append(each(["a"])))),
        "is annotated `list[Frame]`, but gets the newest version of the table of the task `append`, which is one value",
    ),
    (
        lambda: read_dict(latest(append(each(["a"])))),
        "is annotated `dict[str, Frame]`, but gets the newest version of the table of the task `append`, which is one",
    ),
    (
        lambda: read_list(append(each(["a"])).table),
        "is annotated `list[Frame]`, but gets the whole table of the task `append`, which is one value",
    ),
    (
        lambda: read_list(append(each(["a"])).uri),
        "is annotated `list[Frame]`, but gets",
    ),
    (
        lambda: read_one(ingest("a").table),
        "gets the whole table of the task `ingest`, which Shelf can't distinguish from",
    ),
    (lambda: read_anything(name().written), "gets `.written` of the task `name`, whose result is a task value"),
    (lambda: read_anything(name().table), "gets `.table` of the task `name`, whose result is a task value"),
    (lambda: read_anything(latest(ingest(each(["a"])))), "whose iterations write separate tables"),
    (
        lambda: read_anything(ingest(each(["a"])).uri),
        "the place of the result of the task `ingest`; the result is not stored in one",
    ),
    (lambda: [0 for _ in each(["a"])], "each(...) is used in a loop"),
    (lambda: each(["a"]), "no task gets each(...)"),
    (lambda: ingest(each(str(i) for i in range(3))), "of the task `ingest` gets <generator object <lambda>"),
    (lambda: wide(each(["a", name()])), "has the result of the task `name` among its items, which has a value only"),
    (
        lambda: ingest(each(["a"], concurrency=name())),
        "each(...): the setting `concurrency` is the result of the task `name`, which has a value only when the job",
    ),
]


@pytest.mark.parametrize(("body", "message"), WRONG, ids=[message[-40:] for _, message in WRONG])
def test_mistakes_are_found_at_build(body: Callable[[], object], message: str) -> None:
    """Each misuse is one problem at the author's line, with what to write instead."""
    (problem,) = built(body).problems
    assert message in problem.message
    assert problem.hint
    assert str(problem.where).startswith(__file__)


@pytest.mark.parametrize(
    "use",
    [
        lambda items: ingest(wrong=items),  # type: ignore[call-arg]
        lambda items: ingest("a", "b", items),  # type: ignore[call-arg]
        lambda items: ingest([{"a": items}]),  # type: ignore[arg-type]
        lambda items: native_task("n", notebook_task={"notebook_path": "/Shared/n", "base_parameters": {"a": items}}),
        lambda items: condition(items, "==", "a"),
        lambda items: [one for one in items],  # noqa: C416
    ],
)
def test_items_in_a_wrong_call_are_not_said_to_be_left_as_well(use: Callable[[object], object]) -> None:
    """The call is not at the line of `each(...)`."""

    def body() -> None:
        items = each(["a"])
        use(items)

    assert not [one for one in built(body).problems if "no task gets" in one.message]


def test_items_for_a_task_that_is_a_mistake_are_not_said_to_be_left() -> None:
    problems: list[Problem] = []
    with recording.collecting(problems):
        spoiled = task(functools.partial(print))
        found = built(lambda: spoiled(each(["a"])))
    assert len(problems) == 1
    assert not [one for one in found.problems if "no task gets" in one.message]


def test_a_reader_by_item_may_read_its_keys_from_strings() -> None:
    """An item that comes with the run as a string is an enum's member, where the reader's keys are."""
    assert built(lambda: read_coloured(ingest(each(names())))).problems == ()


def test_items_that_a_run_gives_as_dicts_are_no_keys() -> None:
    """A reader by item is refused for a job parameter whose elements are dicts; a list of results is not."""

    @job
    def one(shops: list[dict[str, str]] = [{"id": "a"}]) -> None:  # noqa: B006
        orders = append_any(each(shops))
        read_dict(orders)
        read_list(orders)

    (problem,) = one.build().problems
    assert "an item of the job parameter `shops` is a `dict[str, str]`, which can't be a key" in problem.message


def test_what_each_iteration_wrote_is_read_apart() -> None:
    """`.written` of a for-each is one value per iteration, and the newest table is one value."""

    def body() -> None:
        orders = append(each(["a"]))
        read_list(orders.written)
        read_one(latest(orders))

    assert built(body).problems == ()


def test_a_parameter_that_is_no_list_is_refused() -> None:
    """The platform can iterate over a list only, and never over none at all."""

    @job
    def one(n: int = 1, maybe: list[str] | None = None) -> None:
        ingest(each(n))  # type: ignore[arg-type]
        ingest.override(key="b")(each(maybe))  # type: ignore[arg-type]

    first, second = one.build().problems
    assert "which is `int`" in first.message
    assert "which is `list[str] | None`" in second.message


@pytest.mark.parametrize("concurrency", [0, 101, True, 2.0, "many", "8"])
def test_a_concurrency_that_the_platform_refuses_is_an_error(concurrency: Any) -> None:
    """It is a number from 1 to 100: another is said at the call's line, beside the call's other mistakes."""

    def body() -> None:
        ingest(each(["a"], concurrency=concurrency), dey="x")  # type: ignore[call-arg]

    first, second = built(body).problems
    assert first.message == f"each(...): `concurrency` is {concurrency!r}"
    assert first.hint == "write a number from 1 to 100, or bundle_variable(...)"
    assert str(first.where) == str(second.where) == f"{__file__}:{body.__code__.co_firstlineno + 1}"
    assert "dey" in second.message


def test_a_concurrency_may_be_a_bundle_variable() -> None:
    """The bundle's target then gives the number."""
    repeated = definition(lambda: ingest(each(["a"], concurrency=bundle_variable("many"))))["for_each_task"]
    assert repeated["concurrency"] == "${var.many}"


def test_outside_a_body_each_says_where_it_belongs() -> None:
    """There is nothing to repeat where no DAG is made."""
    with pytest.raises(AuthoringError, match="outside a job's body"):
        each([1])


def repeated(items: dag.Binding, kind: ValueType | None = None) -> tuple[dag.Job, dag.Task]:
    """A job with a parameter `p` of the type `kind`, and its one task, which runs for each of `items`."""
    made = built(lambda: ingest(each(["de"]))).dag
    (only,) = made.tasks
    parameters = (dag.JobParameter("p", kind or ValueType("list")),)
    return replace(made, parameters=parameters), replace(only, each=dag.Each(items))


@pytest.mark.parametrize(
    ("items", "text", "index"),
    [
        (["a", "b"], "b", 1),
        ([1, 2], "2", 1),
        ([1.5, True, None, 1], "true", 1),
        ([{"a": 1, "b": [2]}, {"a": 2}], '{"b":[2], "a":1}', 0),
        (["1", "x"], "1", 0),
        (['"quoted"', "{"], "{", 1),
        ([2.5, 1.0], "1", 1),
    ],
)
def test_an_item_that_came_with_the_run_is_found_by_its_text(items: list[Any], text: str, index: int) -> None:
    """A text as it is, all else as JSON: its spaces, the order of its keys and 1.0 for 1 make no difference."""
    found = find_iteration(*repeated(dag.Parameter("p")), text, {"p": items})
    assert found is not None
    assert found.index == index


SPELLINGS: list[tuple[Any, list[str]]] = [
    (float, ["[1, 2.5]", "[1.0, 2.50]", "[1e0, 25e-1]"]),
    (dt.datetime, ['["2024-01-06T00:00:00Z"]', '["2024-01-06 00:00+00:00"]', '["2024-01-06T01:00:00+01:00"]']),
    (dt.date, ['["20240105"]', '["2024-01-05"]', '["2024-01-05T00:00:00Z"]']),
    (Decimal, ['["1.50", 100]', '[" 1.5 ", "1e2"]']),
    (Decimal, ['["NaN", 1]', '["nan", "1"]']),
    (Colour, ['["RED"]', '["CRIMSON"]']),
    (float | None, ["[null, 1]", "[null, 1.0]"]),
    (list[dt.date], ['[["20240105"]]', '[["2024-01-05"]]']),
    (dict[str, float], ['[{"a": 1, "b": 2}]', '[{"b": 2.0, "a": 1.0}]']),
]


@pytest.mark.parametrize(("annotation", "texts"), SPELLINGS)
def test_an_item_is_found_by_its_value_and_has_one_name_however_it_is_written(
    annotation: Any, texts: list[str]
) -> None:
    """What the start of a run reads, each iteration finds; a repair that writes it otherwise writes the same part."""
    kind, note = ValueType.of(list[annotation]), Annotation("", list[annotation]).element()
    assert kind is not None
    job, task = repeated(dag.Parameter("p"), kind)
    seen = set()
    for text in texts:
        values = kind.from_text(text)
        found = [find_iteration(job, task, one["input"], {"p": values}) for one in iterations(text)]
        assert [one and one.index for one in found] == list(range(len(values)))
        given = [one.value(note, "`x`") for one in found if one]
        assert [*map(content, given)] == [*map(content, values)]
        seen.add((tuple(map(content, given)), tuple(one.id for one in found if one)))
    assert len(seen) == 1


def test_an_item_of_a_result_is_found_by_its_value() -> None:
    """The platform may write a number of the task's list otherwise than the task did."""
    job, task = repeated(dag.TaskOutput("ingest"))
    output = dag.Output(type=ValueType("list", element=ValueType("float")))
    job = replace(job, tasks=(replace(task, outputs={dag.RESULT: output}),))
    store, run = MemoryStore(), context.RunContext("", "", "", "", "", "", 1, dt.datetime.now(dt.UTC), {})
    store.set("ingest", dag.RETURN_VALUE, [1.0, 20000000.0])
    with task_values.kept_in(store), context.entered(run):
        found = [find_iteration(job, task, text, {}) for text in ("1", "1.0", "2.0E7")]
    assert [one and one.index for one in found] == [0, 0, 1]


@pytest.mark.parametrize(
    ("items", "text", "message"),
    [
        (["a", "a"], "a", "occurs 2 times among the items"),
        ([1, "1"], "1", "occurs 2 times among the items"),
        (["a"], "b", "is not among the 1 items"),
        ("a", "a", "holds the items of each"),
    ],
)
def test_an_item_that_is_not_there_exactly_once_is_refused(items: Any, text: str, message: str) -> None:
    """Two iterations of one item would take each other's writes for their own."""
    with pytest.raises(RunError, match=message):
        find_iteration(*repeated(dag.Parameter("p")), text, {"p": items})


def test_a_start_without_its_item_is_refused() -> None:
    """A task that is repeated needs an item, and another takes none."""
    with pytest.raises(RunError, match="was started without one"):
        find_iteration(*repeated(dag.Literal(["a"])), None, {})
    with pytest.raises(RunError, match="was started for the item '7'"):
        find_iteration(*repeated(dag.Literal(["a"])), "7", {})
    for text in ("1", "00", "-1", "²", ""):
        with pytest.raises(RunError, match="has 1 items, but was started for the item"):
            find_iteration(*repeated(dag.Literal(["a"])), text, {})


def test_equal_items_of_the_author_are_iterations_of_their_own(tmp_path: Path) -> None:
    """An append takes a second write of one iteration for a repeated one: its rows would be lost."""
    lake = PolarsDeltaIoManager(bundle_variable("root"), mode="append")

    @task(io_manager=lake.table("orders"))
    def ingest(x: int) -> pl.DataFrame:
        return pl.DataFrame({"x": [x]})

    @job
    def equals() -> None:
        ingest(each([1, 2, 1, 1]))

    run_job(equals, variables={"root": str(tmp_path)}, in_memory=False)
    assert sorted(pl.read_delta(str(tmp_path / "orders"))["x"].to_list()) == [1, 1, 1, 2]
    found = [one.id for one in iterations_of([Item(form, literal=True) for form in (1, 2, 1, 1)])]
    assert len(set(found)) == 4
    assert [name.removeprefix(found[0]) for name in found if name.startswith(found[0])] == ["", "_1", "_2"]


def test_an_iteration_is_named_by_what_people_read() -> None:
    """In letters, digits and `_`, with a part that tells items apart of which these are equal."""
    items: list[Any] = ["Überseetor 7", "x" * 99, {"b": "ä", "a": [1]}, "", "???", "!!!"]
    found = [one.id for one in iterations_of([Item(form, literal=False) for form in items])]
    assert len(set(found)) == len(items)
    words = [name.rpartition("_")[0] for name in found]
    assert words[0] == "berseetor_7"
    assert set(words[1]) == {"x"}
    assert words[2:] == ["a_1_b", "", "", ""]


def test_results_by_item_have_the_keys_that_the_annotation_says() -> None:
    """A date of a job parameter is a date again; equal keys and lists are refused."""
    note = Annotation("", dt.date)
    assert by_item([Item("2024-01-02", literal=False)], ["x"], note, "`f`") == {dt.date(2024, 1, 2): "x"}
    with pytest.raises(RunError, match="two items are equal"):
        by_item([Item(1, literal=False), Item(True, literal=False)], ["x", "y"], Annotation("", Any), "`f`")
    with pytest.raises(RunError, match="items are lists or dicts"):
        by_item([Item([1], literal=False)], ["x"], Annotation("", Any), "`f`")


def test_inputs_are_taken_apart_as_the_platform_does() -> None:
    """`{{input}}` is a text as it is, and JSON for all else; `{{input.k}}` an entry of an object."""
    assert iterations('["a", 1, {"k": "v", "n": 2}]') == [
        {"input": "a"},
        {"input": "1"},
        {"input": '{"k": "v", "n": 2}', "input.k": "v", "input.n": "2"},
    ]
    with pytest.raises(RunError, match="not a JSON list"):
        iterations("{{tasks.x.values.y}}")


PIPELINE = """
import datetime as dt

import polars as pl

from dbxdec import bundle_variable, context, each, job, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake"), mode="overwrite")


@task
def days() -> list[str]:
    return ["2024-01-01", "2024-01-02"]


@task(io_manager=lake)
def ingest(country: dict[str, int], n: int) -> pl.DataFrame:
    print("ITERATION", context().iteration, country["id"])
    return pl.DataFrame({"id": [country["id"]] * n})


@task(io_manager=lake)
def by_day(day: dt.date) -> pl.LazyFrame | None:
    return None if day.day == 2 else pl.LazyFrame({"day": [day]})


@task(io_manager=lake.table("entries", mode="append"))
def enter(code: str) -> pl.DataFrame:
    return pl.DataFrame({"code": [code]})


@job
def world(codes: list[str] = ["a", "b"]) -> None:
    @task(max_retries=1)
    def flaky(code: str) -> None:
        print("FLAKY", code, context().attempt)
        if code == "b" and context().attempt == 1:
            raise ValueError("once")

    @task
    def count(added: pl.DataFrame, everything: pl.DataFrame, each_added: list[pl.LazyFrame]) -> None:
        print("ADDED", sorted(added["code"]), everything.height, [frame.collect().height for frame in each_added])

    entries = enter(each(codes))
    count(entries, entries.table, entries)

    @task
    def check(countries: list[pl.DataFrame], days: dict[dt.date, pl.LazyFrame | None], all_days: pl.DataFrame) -> None:
        print("COUNTRIES", [frame["id"].to_list() for frame in countries])
        print("DAYS", {str(day): None if frame is None else frame.collect().height for day, frame in days.items()})
        print("ALL", all_days.height)

    found = by_day(each(days(), concurrency=2))
    check(ingest(each([{"id": 7}, {"id": 7}, {"id": 9}]), 2), found, found).after(flaky(each(codes)))
"""


@pytest.fixture
def world(tmp_path: Path, installation: Installation) -> Project:
    from projects import shop

    project = shop(tmp_path / "repo")
    project.write("src/shop/pipelines/sales.py", PIPELINE)
    project.edit("pyproject.toml", 'lake = "lake"', f'lake = "{tmp_path / "lake"}"')
    done = project.build()
    assert done.code == 0, done.output
    return installation.install(project)


def test_a_run_repeats_tasks_and_reads_their_results(world: Project, installation: Installation) -> None:
    """Literal items, a parameter's and a task's; equal items apart, nothing where nothing was written, retries."""
    for run in (1, 2):
        done = installation.dbxdec(world, "run", "world")
        assert done.code == 0, done.output
        assert f"ADDED ['a', 'b'] {2 * run} [1, 1]" in done.output
        assert "COUNTRIES [[7, 7], [7, 7], [9, 9]]" in done.output
        assert "DAYS {'2024-01-01': 1, '2024-01-02': None}" in done.output
        assert "ALL 1" in done.output
        assert "ITERATION 2 9" in done.output
        assert "FLAKY b 2" in done.output
        assert "ingest[id=7~1] success" in done.output


@pytest.mark.slow
def test_an_iteration_that_fails_fails_the_task_and_no_other_iteration(
    world: Project, installation: Installation
) -> None:
    """The others run; what waits for the task does not."""
    world.edit("src/shop/pipelines/sales.py", "context().attempt == 1", "True")
    assert world.build("--clean").code == 0
    done = installation.dbxdec(installation.install(world), "run", "world", "--param", 'codes=["b", "c"]')
    assert done.code == 1
    assert "FLAKY c 1" in done.output
    assert "COUNTRIES" not in done.output
    assert "upstream failed" in done.output


@pytest.mark.slow
def test_equal_items_of_a_parameter_are_refused_before_anything_runs(
    world: Project, installation: Installation
) -> None:
    """The platform gives them no number, so they can't be kept apart."""
    done = installation.dbxdec(world, "run", "world", "--param", 'codes=["b", "b"]')
    assert done.code == 2
    assert "the job parameter `codes` has 'b' at [0] and at [1]" in done.output
