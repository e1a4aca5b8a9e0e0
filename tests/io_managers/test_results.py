"""What a task receives: what its producer returned in this run, in a job that is built and run."""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dbxdec import DeltaMerge, bundle_variable, each, job, latest, task
from dbxdec.errors import NotWrittenError, RunError
from dbxdec.io_managers import PolarsCsvIoManager, PolarsDeltaIoManager
from dbxdec.model import dag
from dbxdec.model.dag import partial_reads
from dbxdec.model.variables import BundleVariable
from dbxdec.model.warning_checks import warn
from dbxdec.testing import Lake, job_dag, run_job
from dbxdec.testing.given import Given, texts_of
from dbxdec.testing.running import Run
from dbxdec.testing.shape import built
from dbxdec.views import graph, texts

lake = PolarsDeltaIoManager(bundle_variable("root"), mode="append")


@task(io_manager=lake.table("bronze"))
def load(day: dt.date) -> pl.DataFrame:
    return pl.DataFrame({"day": [day], "n": [1]})


@job
def medallion(day: dt.date = dt.date(2024, 1, 1)) -> None:
    @task(io_manager=lake.table("silver"))
    def clean(bronze: pl.LazyFrame) -> pl.LazyFrame:
        return bronze

    @task(io_manager=lake.table("gold", mode="overwrite"))
    def total(silver: pl.DataFrame) -> pl.DataFrame:
        return silver.group_by("day").agg(pl.col("n").sum()).sort("day")

    total(clean(load(day)).table)


IN_MEMORY = pytest.mark.parametrize("in_memory", [True, False], ids=["in memory", "real tables"])


def options(root: Path, *, in_memory: bool, kept: Lake | None = None) -> dict[str, Any]:
    """Tables of one test, in memory or in a folder."""
    if in_memory:
        return {"tables": Lake() if kept is None else kept}
    return {"in_memory": False, "variables": {"root": root}}


@IN_MEMORY
def test_appends_on_two_days_double_no_row(tmp_path: Path, in_memory: bool, dbxdec_lake: Lake) -> None:
    """A job that appends what it has read from an append has each row once, and `.table` has all of them."""
    given = options(tmp_path, in_memory=in_memory, kept=dbxdec_lake)
    for number in (1, 2, 3):
        result = run_job(medallion, day=dt.date(2024, 1, number), **given)
        assert result["clean"].value["n"].to_list() == [1]
        assert result["total"].value["n"].to_list() == [1] * number


@IN_MEMORY
def test_a_reader_may_ask_for_other_rows(tmp_path: Path, in_memory: bool, dbxdec_lake: Lake) -> None:
    """The whole table at the run's version, the newest version, and what this run wrote."""
    seen = []

    @job
    def one(n: int) -> None:
        @task(io_manager=lake.table("t"))
        def write(n: int) -> pl.DataFrame:
            return pl.DataFrame({"n": [n]})

        @task
        def look(own: pl.DataFrame, whole: pl.DataFrame, newest: pl.DataFrame, written: pl.DataFrame) -> None:
            seen.append([sorted(frame["n"]) for frame in (own, whole, newest, written)])

        x = write(n)
        look(x, x.table, latest(x), x.written)

    given = options(tmp_path, in_memory=in_memory, kept=dbxdec_lake)
    for n in (1, 2):
        run_job(one, n=n, **given)
    assert seen == [[[1], [1], [1], [1]], [[2], [1, 2], [1, 2], [2]]]


class TestEmptyForEach:
    @pytest.mark.parametrize("written", [False, True], ids=["no table", "a table"])
    @pytest.mark.parametrize("mode", ["append", "overwrite"])
    @IN_MEMORY
    def test_over_no_items(self, tmp_path: Path, in_memory: bool, mode: Any, written: bool, dbxdec_lake: Lake) -> None:
        """A list and a dict are empty, None stands for nothing, one frame has the columns of a table that is there."""
        seen: dict[str, Any] = {}

        @job
        def one(names: list[str]) -> None:
            @task(io_manager=lake.table("t", mode=mode))
            def fetch(name: str) -> pl.DataFrame:
                return pl.DataFrame({"name": [name]})

            @task
            def several(some: list[pl.DataFrame], named: dict[str, pl.DataFrame], maybe: pl.DataFrame | None) -> None:
                seen.update(several=len(some), named=len(named), maybe=maybe)

            @task
            def frame(one: pl.DataFrame) -> None:
                seen.update(one=one)

            x = fetch(each(names))
            several(x, x, x)
            frame(x)

        given = options(tmp_path, in_memory=in_memory, kept=dbxdec_lake)
        if written:
            run_job(one, names=["a"], **given)
        seen.clear()
        result = run_job(one, names=[], raise_on_error=False, **given)
        assert (seen["several"], seen["named"], seen["maybe"]) == (0, 0, None)
        if written and mode == "append":
            assert seen["one"].to_dict(as_series=False) == {"name": []}
        else:
            # Each item has a table of its own where iterations can't share one: of no item there is none.
            assert isinstance(result["frame"].error, NotWrittenError)
            assert "no iteration of the task `fetch` has stored anything in this run" in str(result["frame"].error)

    def test_iterations_that_all_have_nothing_to_write(self, dbxdec_lake: Lake) -> None:
        """It is the same as no items."""
        seen = []
        dbxdec_lake["t"] = pl.DataFrame({"n": [1]})

        @job
        def one() -> None:
            @task(io_manager=lake.table("t"))
            def fetch(n: int) -> pl.DataFrame | None:
                return None

            @task
            def read(frame: pl.DataFrame, maybe: pl.DataFrame | None, some: list[pl.DataFrame | None]) -> None:
                seen.append((frame.height, frame.columns, maybe, some))

            x = fetch(each([1, 2]))
            read(x, x, x)

        run_job(one, tables=dbxdec_lake)
        assert seen == [(0, ["n"], None, [None, None])]

    @IN_MEMORY
    def test_iterations_that_all_have_nothing_to_write_are_an_empty_collection(
        self, tmp_path: Path, in_memory: bool, dbxdec_lake: Lake
    ) -> None:
        """Also where there is no table yet; None where the parameter may be None."""
        seen = []

        @job
        def one() -> None:
            @task(io_manager=lake.table("t"))
            def fetch(n: int) -> pl.DataFrame | None:
                return None

            @task
            def read(
                some: list[pl.DataFrame], named: dict[int, pl.DataFrame], maybe: list[pl.DataFrame] | None
            ) -> None:
                seen.append((some, named, maybe))

            x = fetch(each([1, 2]))
            read(x, x, x)

        run_job(one, **options(tmp_path, in_memory=in_memory, kept=dbxdec_lake))
        assert seen == [([], {}, None)]

    @IN_MEMORY
    def test_a_task_that_is_not_selected_has_no_empty_result(
        self, tmp_path: Path, in_memory: bool, dbxdec_lake: Lake
    ) -> None:
        """That its iterations may have nothing to write does not say that they had nothing."""
        seen: list[Any] = []

        @job
        def one() -> None:
            @task(io_manager=lake.table("t"))
            def fetch(n: int) -> pl.DataFrame | None:
                return pl.DataFrame({"n": [n]})

            @task
            def frame(x: pl.DataFrame) -> None:
                seen.append(x)

            @task
            def some(x: list[pl.DataFrame]) -> None:
                seen.append(x)

            x = fetch(each([1, 2]))
            frame(x)
            some(x)

        given = options(tmp_path, in_memory=in_memory, kept=dbxdec_lake)
        run_job(one, **given)
        seen.clear()
        result = run_job(one, tasks=["frame", "some"], raise_on_error=False, **given)
        assert not seen
        for key in ("frame", "some"):
            assert "the task `fetch` did not run in this run" in str(result[key].error)

    @IN_MEMORY
    def test_an_iteration_that_has_failed_had_not_nothing_to_write(
        self, tmp_path: Path, in_memory: bool, dbxdec_lake: Lake
    ) -> None:
        """A part is not taken for the whole where other iterations may return None either."""
        seen: list[Any] = []

        @job
        def one() -> None:
            @task(io_manager=lake.table("t"))
            def fetch(n: int) -> pl.DataFrame | None:
                if n == 2:
                    raise ConnectionError
                return pl.DataFrame({"n": [n]})

            @task(run_if="ALL_DONE")
            def frame(x: pl.DataFrame | None) -> None:
                seen.append(x)

            frame(fetch(each([1, 2])))

        result = run_job(one, raise_on_error=False, **options(tmp_path, in_memory=in_memory, kept=dbxdec_lake))
        assert not seen
        assert "has results of this run for other items, but none for `2`" in str(result["frame"].error)

    @IN_MEMORY
    def test_iterations_that_have_not_run_are_an_error(
        self, tmp_path: Path, in_memory: bool, dbxdec_lake: Lake
    ) -> None:
        """Items whose function always returns something, and which stored nothing, did not run."""
        seen: dict[str, Any] = {}

        @job
        def one(names: list[str]) -> None:
            @task(io_manager=lake.table("t"))
            def fetch(name: str) -> pl.DataFrame:
                return pl.DataFrame({"name": [name]})

            @task(outputs={"good": lake.table("good"), "bad": lake.table("bad")})
            def split(name: str) -> dict[str, pl.DataFrame]:
                return {key: pl.DataFrame({"name": [name]}) for key in ("good", "bad")}

            @task
            def frame(fetched: pl.DataFrame) -> None:
                seen.update(fetched=fetched)

            @task
            def named(good: pl.LazyFrame) -> None:
                seen.update(good=good)

            @task
            def maybe(some: pl.DataFrame | None) -> None:
                seen.update(some=some)

            x = fetch(each(names))
            frame(x)
            named(split(each(names))["good"])
            maybe(x)

        given = options(tmp_path, in_memory=in_memory, kept=dbxdec_lake)
        run_job(one, names=["a", "b"], **given)
        seen.clear()
        result = run_job(one, names=["a"], tasks=["frame", "named", "maybe"], raise_on_error=False, **given)
        assert seen == {"some": None}
        for key, producer in (("frame", "fetch"), ("named", "split")):
            assert f"the task `{producer}` did not run in this run (not selected)" in str(result[key].error)


@IN_MEMORY
@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_results_of_some_items_are_not_the_result(
    tmp_path: Path, in_memory: bool, mode: Any, dbxdec_lake: Lake
) -> None:
    """Where one item has none, a reader gets None for it if its annotation says so, and else an error that names it."""
    seen: dict[str, Any] = {}

    @job
    def one(names: list[str]) -> None:
        @task(io_manager=lake.table("t", mode=mode))
        def fetch(name: str) -> pl.DataFrame:
            if name == "bad":
                raise ValueError(name)
            return pl.DataFrame({"name": [name]})

        late = functools.partial(task, run_if="ALL_DONE")

        @late()
        def frame(x: pl.DataFrame | None) -> None:
            seen.update(frame=x)

        @late()
        def table(x: pl.LazyFrame | None) -> None:
            seen.update(table=x)

        @late()
        def some(x: list[pl.DataFrame] | None) -> None:
            seen.update(some=x)

        @late()
        def named(x: dict[str, pl.DataFrame] | None) -> None:
            seen.update(named=x)

        @late()
        def each_or_none(x: list[pl.DataFrame | None] | None) -> None:
            seen.update(each_or_none=[one is None for one in x or ()])

        x = fetch(each(names))
        frame(x)
        table(x.table)
        some(x)
        named(x)
        each_or_none(x)

    given = options(tmp_path, in_memory=in_memory, kept=dbxdec_lake)
    result = run_job(one, names=["a", "bad", "c"], raise_on_error=False, **given)
    assert seen == {"each_or_none": [False, True, False]}
    for key in ("frame", "table", "some", "named"):
        assert "the task `fetch` has results of this run for other items, but none for `bad`" in str(result[key].error)
    seen.clear()
    run_job(one, names=["bad"], raise_on_error=False, **given)
    assert seen == {"frame": None, "table": None, "some": None, "named": None, "each_or_none": [True]}


@IN_MEMORY
def test_items_in_another_order_are_told_apart_by_what_they_are(tmp_path: Path, in_memory: bool) -> None:
    """The identity of an iteration is its item, not its number, also where equal literals stand side by side."""

    @job
    def one(names: list[str]) -> None:
        @task(io_manager=lake.table("t"))
        def fetch(name: str) -> pl.DataFrame:
            return pl.DataFrame({"name": [name]})

        @task(io_manager=lake.table("u", mode="overwrite"))
        def twice(n: int) -> pl.DataFrame:
            return pl.DataFrame({"n": [n]})

        @task
        def read(some: dict[str, pl.DataFrame], numbers: list[pl.DataFrame]) -> list[Any]:
            return [{name: frame["name"].to_list() for name, frame in some.items()}, len(numbers)]

        read(fetch(each(names)), twice(each([7, 7])))

    given = options(tmp_path, in_memory=in_memory)
    for names in (["a", "b"], ["b", "a"]):
        assert run_job(one, names=names, **given)["read"].value == [{name: [name] for name in names}, 2]


def test_a_repair_that_finds_the_items_in_another_order_appends_each_once(tmp_path: Path) -> None:
    """An iteration that was done is not done again under another number, and none takes the place of another."""
    found, fails = ["a", "b", "c"], ["b"]

    @job
    def one() -> None:
        @task
        def names() -> list[str]:
            return list(found)

        @task(io_manager=lake.table("t"))
        def fetch(name: str) -> pl.DataFrame:
            if name in fails:
                raise ConnectionError(name)
            return pl.DataFrame({"name": [name]})

        @task
        def read(frame: pl.DataFrame) -> list[str]:
            return sorted(frame["name"])

        read(fetch(each(names())))

    given = Given({}, {}, {}, texts_of({"root": tmp_path}), {})
    keys = frozenset({"names", "fetch", "read"})
    for _ in range(2):
        result = Run("one", built(one), given, Lake(), number="7", started=1_700_000_000_000).run({}, keys)
        found.reverse()
        fails.clear()
    assert result["read"].value == ["a", "b", "c"]
    assert sorted(pl.read_delta(str(tmp_path / "t"))["name"]) == ["a", "b", "c"]


def test_a_repair_that_finds_an_item_spelled_otherwise_appends_it_once(tmp_path: Path) -> None:
    """The keys of a dict have no order, and 1.0 is 1: the item is the same, and so is its write."""
    items: list[dict[str, Any]] = [{"country": "de", "share": 1.0, "of": {"a": 1, "b": 2}}]

    @job
    def one() -> None:
        @task
        def found() -> list[dict[str, Any]]:
            return items

        @task(io_manager=lake.table("t"))
        def fetch(item: dict[str, Any]) -> pl.DataFrame:
            return pl.DataFrame({"country": [item["country"]]})

        @task
        def read(frame: pl.DataFrame) -> list[str]:
            return sorted(frame["country"])

        read(fetch(each(found())))

    given = Given({}, {}, {}, texts_of({"root": tmp_path}), {})
    for _ in range(2):
        run = Run("one", built(one), given, Lake(), number="7", started=1_700_000_000_000)
        assert run.run({}, frozenset({"found", "fetch", "read"}))["read"].value == ["de"]
        items[:] = [{"of": {"b": 2, "a": 1}, "share": 1, "country": "de"}]
    assert pl.read_delta(str(tmp_path / "t"))["country"].to_list() == ["de"]


@IN_MEMORY
def test_a_for_each_task_without_a_list_of_items_did_not_run(
    tmp_path: Path, in_memory: bool, dbxdec_lake: Lake
) -> None:
    """Where the task that makes the list has failed, a reader gets None if its annotation says so."""
    seen: dict[str, Any] = {}

    @job
    def one() -> None:
        @task
        def names() -> list[str]:
            raise ConnectionError

        @task(io_manager=lake.table("t"))
        def fetch(name: str) -> pl.DataFrame:
            return pl.DataFrame({"name": [name]})

        @task(run_if="ALL_DONE")
        def read(frame: pl.DataFrame | None, some: list[pl.DataFrame | None] | None) -> None:
            seen.update(frame=frame, some=some)

        x = fetch(each(names()))
        read(x, x)

    run_job(one, raise_on_error=False, **options(tmp_path, in_memory=in_memory, kept=dbxdec_lake))
    assert seen == {"frame": None, "some": None}


@IN_MEMORY
def test_two_iterations_that_write_one_partition_are_an_error(tmp_path: Path, in_memory: bool) -> None:
    """The reader names both items."""

    @job
    def one() -> None:
        @task(io_manager=lake.table("t", mode="overwrite", partition_by="p"))
        def fetch(name: str) -> pl.DataFrame:
            return pl.DataFrame({"p": [name[0]], "name": [name]})

        @task
        def read(frame: pl.DataFrame) -> None: ...

        read(fetch(each(["ab", "cd", "ae"])))

    with pytest.raises(RunError, match="the iterations for ab and ae wrote the same part"):
        run_job(one, **options(tmp_path, in_memory=in_memory))


@IN_MEMORY
def test_merges_of_iterations_are_the_table(tmp_path: Path, in_memory: bool) -> None:
    """Merges have no rows of their own, so one reader of all gets the table as the last left it, once."""

    @job
    def one() -> None:
        @task(io_manager=lake.table("t"))
        def upsert(n: int) -> DeltaMerge:
            return DeltaMerge(pl.DataFrame({"k": [n]}), on="k")

        @task
        def read(frame: pl.DataFrame) -> list[int]:
            return sorted(frame["k"])

        read(upsert(each([1, 2, 1])))

    assert run_job(one, **options(tmp_path, in_memory=in_memory))["read"].value == [1, 2]


@pytest.mark.parametrize("kind", [PolarsDeltaIoManager, PolarsCsvIoManager])
@IN_MEMORY
def test_a_table_that_is_not_there_yet_is_none_where_it_may_be(tmp_path: Path, in_memory: bool, kind: Any) -> None:
    """On the first run a state that the job itself writes does not exist; afterwards it does."""
    io = kind(bundle_variable("root"), mode="overwrite")

    @job
    def one() -> None:
        @task(io_manager=io.table("state"))
        def count(state: pl.DataFrame | None) -> pl.DataFrame:
            return pl.DataFrame({"n": [1 if state is None else state["n"][0] + 1]})

        count(io.table("state"))

    given = options(tmp_path, in_memory=in_memory)
    for number in (1, 2):
        assert run_job(one, **given)["count"].value.lazy().collect()["n"].to_list() == [number]


class TestUnannotated:
    def test_a_result_that_is_read_travels_as_a_task_value(self) -> None:
        """Dates, tuples and nested values come back equal; the reader's annotation is checked."""
        values = [1, "a", None, [1, {"a": dt.date(2024, 1, 1)}], (1, 2), {"b": 1, "a": 2.5}]

        @job
        def one(n: int) -> None:
            @task
            def give(n):  # type: ignore[no-untyped-def]
                return values[n]

            @task
            def take(value: Any) -> bool:
                return bool(value == values[n_of(value)])

            take(give(n))

        def n_of(value: Any) -> int:
            return values.index(value)

        for n in range(len(values)):
            assert run_job(one, n=n)["take"].value is True
        (warning,) = warn([one.build().dag])
        assert "the task `one.give` does not say what it returns" in warning.message

    def test_what_can_not_travel_is_told_when_the_task_returns(self) -> None:
        """A frame needs an IoManager; a value of another type than the reader's annotation is an error too."""

        @job
        def one(as_frame: bool) -> None:
            @task
            def give(as_frame):  # type: ignore[no-untyped-def]
                return pl.DataFrame({"a": [1]}) if as_frame else "text"

            @task
            def take(n: int) -> None: ...

            take(give(as_frame))

        with pytest.raises(RunError, match=r"`give` has neither an IoManager nor a return annotation.*DataFrame"):
            run_job(one, as_frame=True)
        with pytest.raises(RunError, match=r"`n` is annotated `int`, but the task `give` returned something else"):
            run_job(one, as_frame=False)

    def test_a_result_that_nobody_reads_is_dropped(self) -> None:
        """It may be anything, and is no task value."""

        @job
        def one() -> None:
            @task
            def give():  # type: ignore[no-untyped-def]
                return object()

            give()

        assert one.build().dag.task("give").outputs == {}
        assert str(run_job(one).state) == "success"


ROOT = bundle_variable("root")


class Places:
    base = bundle_variable("class_root")


class Inherits(Places):
    @property
    def path(self) -> str:
        return f"{ROOT}/property"

    @functools.cached_property
    def cached(self) -> str:
        return lake.uri("cached")


@dataclass(frozen=True, slots=True)
class Held:
    roots: tuple[BundleVariable, ...]


HELD = Held((bundle_variable("held"),))
INHERITS = Inherits()


def deeper() -> str:
    return f"{ROOT}/deep"


@functools.cache
def kept() -> str:
    return f"{ROOT}/kept"


class TestBundleVariables:
    def test_what_a_function_uses_is_given_to_its_task(self) -> None:
        """Globals, closures, helpers, IoManagers and classes; of others the task knows nothing."""

        @job
        def one() -> None:
            inside = bundle_variable("inside")

            @task
            def by_global() -> str:
                return str(ROOT)

            @task
            def by_closure() -> str:
                return f"{inside}/x"

            @task
            def by_helper() -> str:
                return deeper()

            @task
            def by_manager() -> str:
                return lake.uri("orders")

            @task
            def by_class() -> str:
                return str(Places.base)

            @task
            def by_nothing() -> str:
                return "lake and ROOT"

            for some in (by_global, by_closure, by_helper, by_manager, by_class, by_nothing):
                some()

        built = one.build()
        assert built.problems == ()
        assert {t.key: t.variables for t in built.dag.tasks} == {
            "by_global": ("root",),
            "by_closure": ("inside",),
            "by_helper": ("root",),
            "by_manager": ("root",),
            "by_class": ("class_root",),
            "by_nothing": (),
        }
        found = run_job(one, variables={"root": "/r", "inside": "/i", "class_root": "/c"}).outputs
        assert found == {
            "by_global": "/r",
            "by_closure": "/i/x",
            "by_helper": "/r/deep",
            "by_manager": "/r/orders",
            "by_class": "/c",
            "by_nothing": "lake and ROOT",
        }

    def test_it_is_found_behind_bases_properties_caches_and_slots(self) -> None:
        """However a class or a function of the project leads to a variable, the task gets it."""

        @job
        def one() -> None:
            @task
            def by_base() -> str:
                return str(Inherits.base)

            @task
            def by_property() -> str:
                return INHERITS.path

            @task
            def by_cached_property() -> str:
                return INHERITS.cached

            @task
            def by_cache() -> str:
                return kept()

            @task
            def by_slots() -> str:
                return f"{HELD.roots[0]}"

            for some in (by_base, by_property, by_cached_property, by_cache, by_slots):
                some()

        found = one.build()
        assert found.problems == ()
        assert {t.key: set(t.variables) for t in found.dag.tasks} == {
            "by_base": {"root", "class_root"},
            "by_property": {"root", "class_root"},
            "by_cached_property": {"root", "class_root"},
            "by_cache": {"root"},
            "by_slots": {"held"},
        }
        assert run_job(one, variables={"root": "/r", "class_root": "/c", "held": "/h"}).outputs == {
            "by_base": "/c",
            "by_property": "/r/property",
            "by_cached_property": "/r/cached",
            "by_cache": "/r/kept",
            "by_slots": "/h",
        }

    def test_in_a_run_a_variable_is_its_value(self, tmp_path: Path) -> None:
        """As a path, in comparisons, conditions and by the methods of strings."""

        @job
        def one() -> None:
            @task
            def use() -> list[Any]:
                Path(ROOT, "a").mkdir(parents=True)
                return [
                    (Path(ROOT) / "a").is_dir(),
                    str(tmp_path) == ROOT,
                    ROOT == "elsewhere",
                    bool(ROOT),
                    ROOT.endswith(tmp_path.name),
                    str(ROOT / "a" / "b") == str(tmp_path / "a" / "b"),
                ]

            use()

        assert run_job(one, variables={"root": tmp_path})["use"].value == [True, True, False, True, True, True]

    def test_a_string_that_was_made_too_early_is_no_task_value(self) -> None:
        """The name of the variable would travel in the place of its value."""

        @job
        def one() -> None:
            @task
            def give() -> str:
                return "".join(["${", "var.root", "}/x"]) + str(ROOT)[:0]

            give()

        with pytest.raises(RunError, match="has the name of the bundle variable `root`, not its value"):
            run_job(one, variables={"root": "/r"})


class TestWords:
    def test_edges_say_which_rows_go_along_them(self) -> None:
        """In `show`, in the drawings and in tests, where a table may hold more than a result."""
        made = medallion.build().dag
        assert [(t.key, name, leaf.task) for t, name, leaf in partial_reads(made)] == [("clean", "bronze", "load")]
        assert ("bronze <-", "load (the rows of this run)") in texts.facts(made.task("clean"), made)
        assert ("silver <-", "clean.table (the whole table)") in texts.facts(made.task("total"), made)
        assert "-->|rows|" in graph.mermaid(made)
        assert "-->|table|" in graph.mermaid(made)
        assert '[label="rows"]' in graph.dot(made)
        assert ">table</text>" in graph.svg(made)
        assert job_dag(medallion)["total"].inputs == {"silver": "clean.table"}

    def test_results_that_are_their_table_say_nothing(self) -> None:
        """A whole overwrite, and a merge, whose result is the table whatever the mode."""

        @job
        def one() -> None:
            @task(io_manager=lake.table("a", mode="overwrite"))
            def whole() -> pl.DataFrame: ...  # type: ignore[empty-body]

            @task(io_manager=lake.table("b"))
            def merge() -> DeltaMerge: ...  # type: ignore[empty-body]

            @task
            def read(a: pl.DataFrame, b: pl.DataFrame) -> None: ...

            read(whole(), merge())

        made = one.build().dag
        assert partial_reads(made) == []
        assert [t.outputs[dag.RESULT].partial for t in made.tasks[:2]] == [False, False]
        assert texts.facts(made.task("read"), made)[1:] == [("a <-", "whole"), ("b <-", "merge")]
