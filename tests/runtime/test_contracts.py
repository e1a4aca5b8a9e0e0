"""Contracts of results and parameters: columns before a row is computed, values before anything is committed."""

from __future__ import annotations

import datetime as dt
import json
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Optional, TypedDict

import dataframely as dy
import polars as pl
import pytest
from deltalake import DeltaTable

from dbxdec import (
    DbxdecError,
    DeltaMerge,
    ExpectationError,
    InputContext,
    IoManager,
    OutputContext,
    RunError,
    bundle_variable,
    each,
    job,
    task,
)
from dbxdec.authoring import contracting
from dbxdec.io_managers import PolarsCsvIoManager, PolarsDeltaIoManager, PolarsParquetIoManager
from dbxdec.model import contracts, outcomes
from dbxdec.testing import Lake, run_job
from delta_tools import output, receipt

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # pandera imports whatever frames are installed
    import pandera.polars as pa
    from pandera.typing.polars import DataFrame, LazyFrame

DAY = dt.date(2024, 1, 1)
lake = PolarsDeltaIoManager(bundle_variable("root"), mode="append")
parquet = PolarsParquetIoManager(bundle_variable("root"), mode="overwrite")


class Flights(dy.Schema):
    day = dy.Date()
    delay = dy.Int64(min=0)
    carrier = dy.String()

    @dy.rule()
    def plausible(cls) -> pl.Expr:  # noqa: N805 - dataframely's own way
        return pl.col("delay") < 5000


class Model(pa.DataFrameModel):
    day: pl.Date
    delay: int = pa.Field(ge=0)
    carrier: str

    @pa.check("delay")
    def plausible(cls, data: Any) -> pl.LazyFrame:  # noqa: N805
        return data.lazyframe.select(pl.col(data.key) < 5000)  # type: ignore[no-any-return]

    class Config:
        strict = True


class Tails(dy.Schema):
    tail = dy.String()


GOOD = pl.DataFrame({"day": [DAY] * 3, "delay": [1, 2, 3], "carrier": ["a", "b", "c"]})


def frame(rows: int = 10_000) -> pl.DataFrame:
    """Rows of which 3,000 have no plausible delay, and five no carrier."""
    numbers = pl.int_range(rows)
    delay = pl.when(numbers % 10 < 3).then(-1).otherwise(5).cast(pl.Int64)
    carrier = pl.when(numbers < 5).then(None).otherwise(pl.lit("x"))
    return pl.select(delay=delay, carrier=carrier).with_columns(day=pl.lit(DAY))


class Kept(IoManager):
    """A manager that knows nothing of contracts."""

    reads = writes = frozenset({"polars.DataFrame", "polars.LazyFrame"})
    stored: list[Any] = []  # noqa: RUF012

    def read(self, context: InputContext) -> Any:
        return self.stored[-1]

    def write(self, context: OutputContext, value: Any) -> None:
        self.stored.append(value.lazy().collect())


def job_of(annotation: Any, value: Any, manager: Any = lake) -> Any:
    """A job of one task that returns `value`, annotated so."""

    def returned() -> Any:
        return value() if callable(value) else value

    returned.__annotations__["return"] = annotation
    made = task(io_manager=manager.table("flights") if manager is not Kept else Kept())(returned)

    @job
    def one() -> None:
        made()

    return one


def said(error: pytest.ExceptionInfo[RunError]) -> str:
    return "\n".join(problem.message for problem in error.value.problems)


MANAGERS = {
    "delta": lake,
    "delta-rs": PolarsDeltaIoManager(
        bundle_variable("root"), mode="append", properties={"delta.enableChangeDataFeed": True}
    ),
    "parquet": parquet,
    "partitions": PolarsDeltaIoManager(bundle_variable("root"), mode="overwrite", partition_by="day"),
    "another": Kept,
}
KINDS = {
    "dy eager": dy.DataFrame[Flights],
    "dy lazy": dy.LazyFrame[Flights],
    "annotated": Annotated[pl.LazyFrame, Flights],
    "pandera lazy": LazyFrame[Model],
    "pandera annotated": Annotated[pl.DataFrame, Model],
}


@pytest.mark.sampled(12)
@pytest.mark.parametrize("in_memory", [True, False], ids=["memory", "stored"])
@pytest.mark.parametrize("manager", MANAGERS.values(), ids=MANAGERS)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_each_rule_has_its_exact_number_and_nothing_is_committed(
    kind: Any, manager: Any, in_memory: bool, tmp_path: Path
) -> None:
    """3,000 rows break one rule and five another, wherever and however they are stored; the error names all."""
    value = frame() if "DataFrame" in str(kind) else frame().lazy()
    Kept.stored.clear()
    with pytest.raises(RunError) as error:
        run_job(job_of(kind, value, manager), in_memory=in_memory, variables={"root": str(tmp_path)})
    is_pandera = "Model" in str(kind)
    least, null = (
        ("delay: greater_than_or_equal_to(0)", "carrier: not_nullable")
        if is_pandera
        else ("delay|min", "carrier|nullability")
    )
    assert f"3,000 of 10,000 rows break the rule `{least}`" in said(error)
    assert f"5 of 10,000 rows break the rule `{null}`" in said(error)
    title = "Model" if is_pandera else "Flights"
    assert "the task `returned` can't write" in said(error)
    assert f"of its contract `{title}` ({__file__}:" in said(error)
    assert "plausible" not in said(error)
    assert not DeltaTable.is_deltatable(str(tmp_path / "flights"))
    assert not [path for path in tmp_path.rglob("*.parquet") if path.is_file()]
    assert not Kept.stored


@pytest.mark.parametrize("in_memory", [True, False], ids=["memory", "stored"])
@pytest.mark.parametrize("kind", [dy.LazyFrame[Flights], LazyFrame[Model]], ids=["dy", "pandera"])
def test_rows_as_the_contract_says_are_stored(kind: Any, in_memory: bool, tmp_path: Path) -> None:
    """A frame in any order of its columns."""
    found = run_job(
        job_of(kind, GOOD.lazy().select("carrier", "delay", "day")),
        in_memory=in_memory,
        variables={"root": str(tmp_path)},
    )
    assert found["returned"].value.lazy().collect().height == 3


RULES = {
    "dy": (
        dy.LazyFrame[Flights],
        ["day|nullability", "delay|min", "delay|nullability", "carrier|nullability", "plausible"],
        "Flights",
    ),
    "pandera": (
        LazyFrame[Model],
        [
            *("day: not_nullable", "delay: not_nullable", "delay: greater_than_or_equal_to(0)"),
            *("delay: plausible", "carrier: not_nullable"),
        ],
        "Model",
    ),
}


@pytest.mark.parametrize("in_memory", [True, False], ids=["memory", "stored"])
@pytest.mark.parametrize("manager", MANAGERS.values(), ids=MANAGERS)
@pytest.mark.parametrize("kind", RULES)
def test_a_write_that_passes_has_the_numbers_of_each_rule(
    kind: str, manager: Any, in_memory: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No row of three, wherever they are stored; the log has one line for all rules."""
    caplog.set_level("INFO")
    annotation, rules, title = RULES[kind]
    made = job_of(annotation, GOOD.lazy(), manager)
    found = run_job(made, in_memory=in_memory, variables={"root": str(tmp_path)})
    met = {"failed": 0, "rows": 3, "action": "contract"}
    assert found["returned"].expectations == {f"{title}.{rule}": met for rule in rules}
    assert f"contract {title}: 0 of 3 rows break any of its 5 rules" in caplog.messages


@pytest.mark.parametrize("kind", RULES)
def test_a_commit_and_the_receipt_of_files_state_the_numbers(kind: str, tmp_path: Path) -> None:
    """Beside those of expectations."""
    annotation, rules, title = RULES[kind]
    expecting = lake.table("flights", expect={"low": "delay < 3"})
    run_job(job_of(annotation, GOOD, expecting), in_memory=False, variables={"root": str(tmp_path / "delta")})
    stated = json.loads(DeltaTable(str(tmp_path / "delta" / "flights")).history(1)[0]["userMetadata"])["dbxdec"][
        "expect"
    ]
    assert stated["low"] == {"failed": 1, "rows": 3, "action": "kept"}
    assert stated[f"{title}.{rules[1]}"] == {"failed": 0, "rows": 3, "action": "contract"}
    assert len(stated) == 6
    run_job(job_of(annotation, GOOD, parquet), in_memory=False, variables={"root": str(tmp_path / "files")})
    newest = json.loads((tmp_path / "files" / "flights" / "_dbxdec" / "newest.json").read_text())["dbxdec"]
    assert "low" not in newest["expect"]
    assert newest["expect"] == {name: one for name, one in stated.items() if name != "low"}


@pytest.mark.parametrize("manager", MANAGERS.values(), ids=MANAGERS)
@pytest.mark.parametrize("kind", RULES)
def test_a_write_that_fails_has_the_numbers_in_its_error_and_its_record(
    kind: str, manager: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of rules that are met, too."""
    monkeypatch.setenv("DBXDEC_RECORD", str(tmp_path / "record"))
    annotation, rules, title = RULES[kind]
    made = job_of(annotation, frame().lazy(), manager)
    with pytest.raises(ExpectationError) as error:
        run_job(made, in_memory=False, variables={"root": str(tmp_path)})
    numbers = {name: one["failed"] for name, one in error.value.expectations.items()}
    wanted = [0, 3000, 0, 5, 0] if kind == "dy" else [0, 0, 3000, 0, 5]
    assert numbers == {f"{title}.{rule}": number for rule, number in zip(rules, wanted, strict=True)}
    assert {one["rows"] for one in error.value.expectations.values()} == {10_000}
    (line,) = (tmp_path / "record").read_text().splitlines()
    assert json.loads(line)["expect"] == error.value.expectations


def test_an_expectation_may_have_the_name_of_a_rule() -> None:
    """Both have their numbers."""
    expecting = lake.table("flights", expect={"Flights.plausible": "delay < 3"})
    found = run_job(job_of(dy.DataFrame[Flights], GOOD, expecting))["returned"].expectations
    assert found["Flights.plausible"] == {"failed": 1, "rows": 3, "action": "kept"}
    assert found["contract Flights.plausible"] == {"failed": 0, "rows": 3, "action": "contract"}


class Bare(dy.Schema):
    delay = dy.Int64(nullable=True)


class BareModel(pa.DataFrameModel):
    delay: int = pa.Field(nullable=True)


@pytest.mark.parametrize("kind", [dy.LazyFrame[Bare], LazyFrame[BareModel]], ids=["dy", "pandera"])
def test_a_contract_without_rules_on_values_states_nothing(kind: Any, tmp_path: Path) -> None:
    """Its columns are compared before."""
    delays = GOOD.select("delay")
    found = run_job(job_of(kind, delays.lazy()), in_memory=False, variables={"root": str(tmp_path)})
    assert found["returned"].expectations == {}
    assert "expect" not in DeltaTable(str(tmp_path / "flights")).history(1)[0]["userMetadata"]


def written_twice(manager: Any, path: Path, first: pl.DataFrame, second: pl.DataFrame) -> tuple[Any, Any]:
    """The results of two attempts of one write of rows with a contract."""
    found = []
    for attempt, rows in enumerate((first, second), 1):
        context = replace(output(path, receipt(attempt=attempt)), contract=contracts.of_class(Flights))
        found.append(manager.write(context, rows))
    return found[0], found[1]


@pytest.mark.parametrize("mode", ["append", "error"])
def test_a_retry_has_the_numbers_of_the_write_that_is_committed(mode: Any, tmp_path: Path) -> None:
    """Not those of the rows that it would have stored, whatever the mode keeps."""
    first, again = written_twice(PolarsDeltaIoManager("unused", mode=mode), tmp_path / "t", GOOD, GOOD.head(1))
    assert {one["rows"] for one in first.expectations.values()} == {3}
    assert again.expectations == first.expectations
    files = PolarsParquetIoManager("unused", mode="error")
    first, again = written_twice(files, tmp_path / "files", GOOD, GOOD.head(1))
    assert {one["rows"] for one in first.expectations.values()} == {3}
    assert again.expectations == first.expectations
    files = PolarsParquetIoManager("unused", mode="overwrite")
    first, again = written_twice(files, tmp_path / "files", GOOD, GOOD.head(1))
    assert {one["rows"] for one in again.expectations.values()} == {1}


def test_files_that_are_kept_have_no_numbers_of_others(tmp_path: Path) -> None:
    """Neither the result nor its receipt, which has else what readers need of the files."""
    for run, manager in (("1", parquet), ("2", PolarsParquetIoManager("unused", mode="ignore"))):
        context = replace(output(tmp_path / "t", receipt(run)), contract=contracts.of_class(Flights))
        found = manager.write(context, GOOD)
    assert found.expectations == {}
    kept = [one for one in (tmp_path / "t" / "_dbxdec").rglob("receipt.json") if '"kept"' in one.read_text()]
    assert ['"expect"' in one.read_text() for one in kept] == [False]


class Repeated(pa.DataFrameModel):
    """Checks that have one name, a name that is long, a pattern of columns, and groups of columns."""

    delay: int = pa.Field(unique=True)
    code: str = pa.Field(isin=[f"code-{i}" for i in range(99)], nullable=True)
    tags: int = pa.Field(alias="tag_.*", regex=True)

    @pa.check("delay", name="same")
    def low(cls, data: Any) -> pl.LazyFrame:  # noqa: N805
        return data.lazyframe.select(pl.col(data.key) < 2)  # type: ignore[no-any-return]

    @pa.check("delay", name="same")
    def high(cls, data: Any) -> pl.LazyFrame:  # noqa: N805
        return data.lazyframe.select(pl.col(data.key) < 9)  # type: ignore[no-any-return]

    class Config:
        unique = ["delay", "code"]  # noqa: RUF012


def test_rules_of_one_name_are_told_apart() -> None:
    """The numbers of none are lost: those that are broken come first, and long names are cut."""
    rows = pl.DataFrame({"delay": [1, 2, 3], "code": ["code-1"] * 3, "tag_a": [1] * 3, "tag_b": [1, 2, None]})
    with pytest.raises(ExpectationError) as error:
        run_job(job_of(DataFrame[Repeated], rows))
    numbers = {name: one["failed"] for name, one in error.value.expectations.items()}
    long = next(name for name in numbers if name.startswith("Repeated.code: isin"))
    assert len(long) == 128
    assert numbers == {
        "Repeated.unique(delay, code)": 0,
        "Repeated.delay: not_nullable": 0,
        "Repeated.delay: field_uniqueness": 0,
        "Repeated.delay: same": 2,
        "Repeated.delay: same (2)": 0,
        long: 0,
        "Repeated.tag_a: not_nullable": 0,
        "Repeated.tag_b: not_nullable": 1,
    }


def test_no_rows_break_no_rule(tmp_path: Path) -> None:
    """An empty frame has only to have the columns."""
    for kind in (dy.LazyFrame[Flights], LazyFrame[Model]):
        run_job(job_of(kind, GOOD.lazy().clear()), in_memory=False, variables={"root": str(tmp_path)})
    assert pl.read_delta(str(tmp_path / "flights")).height == 0


def test_a_failed_write_leaves_the_table_as_it_was(tmp_path: Path) -> None:
    """The second write has a bad row: the table keeps its version and its files."""
    variables = {"root": str(tmp_path)}
    run_job(job_of(dy.DataFrame[Flights], GOOD), in_memory=False, variables=variables)
    before = sorted(map(str, tmp_path.rglob("*")))
    bad = GOOD.with_columns(delay=pl.Series([1, 2, 6000]))
    with pytest.raises(RunError, match="1 of 3 rows break the rule `plausible`"):
        run_job(job_of(dy.DataFrame[Flights], bad), in_memory=False, variables=variables)
    assert sorted(map(str, tmp_path.rglob("*"))) == before


class BoomError(Exception):
    """Raised by a query that must not run."""


def explode(_: pl.DataFrame) -> pl.DataFrame:
    raise BoomError


@pytest.mark.parametrize("kind", [dy.LazyFrame[Flights], LazyFrame[Model]], ids=["dy", "pandera"])
@pytest.mark.parametrize("in_memory", [True, False], ids=["memory", "stored"])
def test_columns_are_compared_before_a_row_is_computed(kind: Any, in_memory: bool, tmp_path: Path) -> None:
    """Missing, surplus and other columns are named together, and the query does not run."""
    lazy = (
        GOOD.lazy()
        .map_batches(explode, schema=GOOD.schema)
        .select("day", pl.col("delay").cast(pl.Int32), extra=pl.lit(1))
    )
    with pytest.raises(RunError) as error:
        run_job(job_of(kind, lazy), in_memory=in_memory, variables={"root": str(tmp_path)})
    assert [line.split() for line in said(error).splitlines()[1:]] == [
        ["column", "contract", "result"],
        ["carrier", "String", "-"],
        ["delay", "Int64", "Int32"],
        ["extra", "-", "Int32"],
    ]
    assert "the columns that the task `returned` returned don't match its contract" in said(error)


def test_other_columns_stay_where_the_class_allows_them(tmp_path: Path) -> None:
    """pandera's default, `strict = False`, keeps them; `strict = "filter"` drops them."""

    class Open(pa.DataFrameModel):
        delay: int

    class Filter(pa.DataFrameModel):
        delay: int

        class Config:
            strict = "filter"

    variables = {"root": str(tmp_path)}
    kept = run_job(job_of(DataFrame[Open], GOOD), in_memory=False, variables=variables)
    assert set(kept["returned"].value.collect_schema()) == {"day", "delay", "carrier"}
    dropped = run_job(job_of(DataFrame[Filter], GOOD), in_memory=True)
    assert dropped["returned"].value.collect_schema().names() == ["delay"]


def test_a_model_that_coerces_gives_its_types_and_defaults() -> None:
    """`coerce`, `default` and `add_missing_columns` are done before the rows are stored, in their query."""

    class Coerced(pa.DataFrameModel):
        delay: int = pa.Field(default=7)
        carrier: str = pa.Field(default="none")

        class Config:
            coerce = True
            add_missing_columns = True

    given = pl.LazyFrame({"delay": [1, None]}, schema={"delay": pl.Int32})
    found = run_job(job_of(LazyFrame[Coerced], given))
    assert found["returned"].value.lazy().collect().to_dicts() == [
        {"delay": 1, "carrier": "none"},
        {"delay": 7, "carrier": "none"},
    ]


@pytest.mark.parametrize("manager", [lake, parquet], ids=["delta", "files"])
@pytest.mark.parametrize("form", [pl.DataFrame, pl.LazyFrame])
@pytest.mark.parametrize(
    "given", [["1", "x"], pl.Series([1, 2**63], dtype=pl.UInt64), [1.5, float("nan")]], ids=["text", "large", "nan"]
)
def test_values_that_a_model_can_not_coerce_are_its_error(given: Any, form: Any, manager: Any) -> None:
    """No value is shown, and nothing is stored."""

    class Coerced(pa.DataFrameModel):
        delay: int = pa.Field(coerce=True)

    with pytest.raises(RunError) as raised:
        run_job(job_of(LazyFrame[Coerced], form({"delay": given}), manager))
    (problem,) = raised.value.problems
    assert re.search(
        r"the column `delay` of the result has values of the type \w+ that don't become Int64, as its contract "
        r"`.*Coerced` \(.*test_contracts.py:\d+\) asks",
        problem.message,
    )
    assert problem.hint


def test_a_column_of_a_pattern_is_coerced() -> None:
    """Nulls stay, and so does the column that the model does not name."""

    class Coerced(pa.DataFrameModel):
        delays: int = pa.Field(alias="^delay_.*$", regex=True, nullable=True)
        day: pl.Date

        class Config:
            coerce = True

    given = pl.LazyFrame(
        {"delay_a": ["1", None], "delay_b": [2.0, 3.0], "other": ["x", "y"], "day": [dt.datetime(2024, 1, 1)] * 2}
    )
    found = run_job(job_of(LazyFrame[Coerced], given))["returned"].value.lazy().collect()
    assert found.rows() == [(1, 2, "x", DAY), (None, 3, "y", DAY)]


def test_groups_of_unique_columns_are_counted() -> None:
    """dataframely's primary key and pandera's `unique` count all rows that share their values."""

    class Keyed(dy.Schema):
        day = dy.Date(primary_key=True)
        delay = dy.Int64(primary_key=True)
        carrier = dy.String()

    class Unique(pa.DataFrameModel):
        day: pl.Date
        delay: int = pa.Field(unique=True)
        carrier: str

        class Config:
            unique = ["day", "delay"]  # noqa: RUF012

    twice = pl.concat([GOOD, GOOD.head(1)])
    with pytest.raises(RunError, match="2 of 4 rows break the rule `primary_key`"):
        run_job(job_of(dy.DataFrame[Keyed], twice))
    with pytest.raises(RunError) as error:
        run_job(job_of(DataFrame[Unique], twice))
    assert "2 of 4 rows break the rule `unique(day, delay)`" in said(error)
    assert "2 of 4 rows break the rule `delay: field_uniqueness`" in said(error)


def test_a_check_of_a_whole_column_has_no_number() -> None:
    """A check that returns one truth value is named without a number."""

    class Whole(pa.DataFrameModel):
        delay: int

        @pa.check("delay")
        def enough(cls, data: Any) -> bool:  # noqa: N805
            return bool(data.lazyframe.select(pl.len() > 100).collect().item())

    with pytest.raises(RunError, match="its rows break the rule `delay: enough`"):
        run_job(job_of(DataFrame[Whole], GOOD))


def test_a_check_that_aggregates_has_no_number() -> None:
    """Its one value is not about one of the rows."""

    class Whole(pa.DataFrameModel):
        delay: int

        @pa.dataframe_check
        def enough(cls, data: Any) -> pl.LazyFrame:  # type: ignore[misc]  # noqa: N805
            return data.lazyframe.select(pl.col("delay").sum() > 100)  # type: ignore[no-any-return]

    with pytest.raises(RunError, match="its rows break the rule `enough` of its contract"):
        run_job(job_of(DataFrame[Whole], GOOD))


def test_a_check_that_raises_is_told_as_such() -> None:
    """The rows may be fine; they are not stored."""

    class Raising(pa.DataFrameModel):
        delay: int

        @pa.check("delay")
        def known(cls, data: Any) -> pl.LazyFrame:  # noqa: N805
            raise ValueError("no list of them")

    with pytest.raises(RunError, match=r"can't be compared with the rule `delay: known` \(ValueError"):
        run_job(job_of(DataFrame[Raising], GOOD))


@pytest.mark.parametrize("kind", [DataFrame, LazyFrame])
def test_only_columns_that_are_there_get_defaults(kind: Any) -> None:
    """One that need not be there stays away; one that must be is missing, and no other is wrong."""

    class Defaults(pa.DataFrameModel):
        delay: int
        carrier: str = pa.Field(default="none")
        tail: Optional[str] = pa.Field(default="?")  # noqa: UP045 - pandera's own spelling

        class Config:
            coerce = True

    given = pl.DataFrame({"delay": ["1"], "carrier": pl.Series([None], dtype=pl.String)})
    found = run_job(job_of(kind[Defaults], given))["returned"].value.lazy().collect()
    assert found.to_dicts() == [{"delay": 1, "carrier": "none"}]
    with pytest.raises(RunError) as error:
        run_job(job_of(kind[Defaults], given.select("delay")))
    assert [line.split() for line in said(error).splitlines()[2:]] == [["carrier", "String", "-"]]


def test_types_that_a_table_lacks_come_back_as_the_contract_says(tmp_path: Path) -> None:
    """Delta has no categories, enums, unsigned integers and nanoseconds: rules see them, and readers get them."""

    class Odd(dy.Schema):
        kind = dy.Enum(["a", "b"])
        group = dy.Categorical()
        small = dy.UInt8()
        at = dy.Datetime(time_unit="ns")

    value = pl.DataFrame(
        {"kind": ["a"], "group": ["g"], "small": [200], "at": [dt.datetime(2024, 1, 1)]},
        schema=Odd.to_polars_schema() if hasattr(Odd, "to_polars_schema") else pl.Schema(Odd),
    ).with_columns(small=pl.lit(100, pl.UInt8))
    seen = []

    @task(io_manager=lake)
    def odd() -> dy.DataFrame[Odd]:
        return value  # type: ignore[return-value]

    @task
    def read(odd: dy.LazyFrame[Odd], plain: pl.LazyFrame) -> None:
        seen.append((odd.collect(), plain.collect_schema()))

    odd.fn.__annotations__ = {"return": dy.DataFrame[Odd]}
    read.fn.__annotations__ = {"odd": dy.LazyFrame[Odd], "plain": pl.LazyFrame, "return": None}

    @job
    def both() -> None:
        made = odd()
        read(made, made)

    run_job(both, in_memory=False, variables={"root": str(tmp_path)})
    assert seen[0][0].equals(value)
    assert seen[0][0].schema == value.schema
    assert seen[0][1]["kind"] == pl.String


def test_types_of_a_model_come_back_as_well(tmp_path: Path) -> None:
    """pandera names types by classes of Polars, also inside of others."""

    class Odd(pa.DataFrameModel):
        small: pl.UInt8
        several: Annotated[pl.List, pl.UInt16]
        group: pl.Categorical

    value = pl.DataFrame(
        {"small": [1], "several": [[1]], "group": ["a"]},
        schema={"small": pl.UInt8, "several": pl.List(pl.UInt16), "group": pl.Categorical},
    )
    seen: list[pl.DataFrame] = []
    made = task(io_manager=lake.table("flights"))(lambda: value)
    made.fn.__annotations__["return"] = DataFrame[Odd]

    def read(odd: Any) -> None:
        seen.append(odd)

    read.__annotations__["odd"] = DataFrame[Odd]
    reading = task(read)

    @job
    def both() -> None:
        reading(made())

    run_job(both, in_memory=False, variables={"root": str(tmp_path)})
    assert seen[0].schema == value.schema


class Numbered(dy.Schema):
    tail = dy.String()
    n = dy.Int64()


@pytest.mark.parametrize("kind", [dy.LazyFrame[Numbered], Annotated[pl.DataFrame, Numbered]])
def test_partitions_of_rows_with_a_contract_may_have_any_value(kind: Any, tmp_path: Path) -> None:
    """Files that are not in the log yet are read by their names, in which characters stand for others."""
    parted = PolarsDeltaIoManager(bundle_variable("root"), mode="append", partition_by="tail")
    value = pl.DataFrame({"tail": ["a b", "ü", "x:y", "c/d="], "n": range(4)})
    made = job_of(kind, value.lazy() if "Lazy" in str(kind) else value, parted)
    assert run_job(made, in_memory=False, variables={"root": str(tmp_path)})["returned"].value.height == 4


class Doubtful(pa.DataFrameModel):
    delay: int = pa.Field(ge=2, raise_warning=True)

    @pa.dataframe_check(raise_warning=True)
    def many(cls, data: Any) -> pl.LazyFrame:  # noqa: N805
        return data.lazyframe.select(pl.len() > 5)  # type: ignore[no-any-return]


@pytest.mark.parametrize("in_memory", [True, False], ids=["memory", "stored"])
def test_a_rule_that_only_warns_fails_no_write_and_is_told(
    in_memory: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not said that all rows are as the contract says."""
    caplog.set_level("INFO")
    result = run_job(job_of(DataFrame[Doubtful], GOOD), in_memory=in_memory, variables={"root": str(tmp_path)})
    assert result["returned"].value.height == 3
    assert "contract Doubtful: 1 of 3 rows break the rule `delay: greater_than_or_equal_to(2)`, which only warns" in (
        caplog.messages
    )
    assert "contract Doubtful: its rows break the rule `many`, which only warns" in caplog.messages
    assert not [one for one in caplog.messages if "all rows are" in one]
    assert result["returned"].expectations == {
        "Doubtful.delay: not_nullable": {"failed": 0, "rows": 3, "action": "contract"},
        "Doubtful.delay: greater_than_or_equal_to(2)": {
            "failed": 1,
            "rows": 3,
            "action": "contract",
            "warns": True,
        },
        "Doubtful.many": {
            "failed": 0,
            "rows": 3,
            "action": "contract",
            "rule": "whole",
            "broken": True,
            "warns": True,
        },
    }
    assert outcomes.lines(result["returned"].expectations) == [
        'contract "Doubtful.delay: greater_than_or_equal_to(2)": 1 of 3 rows failed (kept)',
        'contract "Doubtful.many": broken by 3 rows together (kept)',
        "contract: 0 of 3 rows break any of its 1 other rule",
    ]


def test_an_error_in_a_rule_says_whose_it_is() -> None:
    """dataframely passes it as it is."""

    class Wrong(dy.Schema):
        delay = dy.Int64()

        @dy.rule()
        def known(cls) -> pl.Expr:  # noqa: N805
            return pl.col("tail") == "N1"

    with pytest.raises(pl.exceptions.ColumnNotFoundError) as error:
        run_job(job_of(dy.DataFrame[Wrong], GOOD.select("delay")))
    assert "raised by a rule of the contract" in "".join(error.value.__notes__)


class Older(Flights):
    """As in dataframely 1, where the result of `filter` has no names."""

    @classmethod
    def filter(cls, *args: Any, **options: Any) -> Any:
        return tuple(super().filter(*args, **options))


def test_versions_without_names_in_their_result_count_as_well() -> None:
    """A project brings its own version."""
    with pytest.raises(RunError, match=r"3,000 of 10,000 rows break the rule `delay\|min`"):
        run_job(job_of(dy.DataFrame[Older], frame()))


class Report(dy.Schema):
    carrier = dy.String()
    day = dy.Date()


def reader_of(annotation: Any, seen: list[Any]) -> Any:
    def report(flights: Any) -> None:
        seen.append(flights)

    report.__annotations__.update(flights=annotation)
    report.__annotations__["return"] = None
    made = task(report)

    @job
    def reading() -> None:
        made(lake.table("flights"))

    return reading


@pytest.mark.parametrize("in_memory", [True, False], ids=["memory", "stored"])
def test_a_parameter_gets_a_table_only_with_its_columns(in_memory: bool, tmp_path: Path) -> None:
    """A table of another program: other columns are left, missing ones and other types are refused, all of them."""
    tables: dict[str, Any] = {"flights": GOOD}
    GOOD.write_delta(str(tmp_path / "flights"))
    arguments: Any = {"tables": Lake(tables)} if in_memory else {"variables": {"root": str(tmp_path)}}
    seen: list[Any] = []
    run_job(reader_of(dy.LazyFrame[Report], seen), in_memory=in_memory, **arguments)
    assert seen[0].collect_schema().names() == ["day", "delay", "carrier"]

    class Wanted(dy.Schema):
        delay = dy.Int32()
        tail = dy.String()

    with pytest.raises(RunError) as error:
        run_job(reader_of(dy.DataFrame[Wanted], seen), in_memory=in_memory, **arguments)
    assert [line.split() for line in said(error).splitlines()[1:]] == [
        ["column", "contract", "there"],
        ["tail", "String", "-"],
        ["delay", "Int32", "Int64"],
    ]
    assert "of the parameter `flights`" in said(error)
    assert len(seen) == 1


def test_values_that_have_no_place_in_a_type_are_told(tmp_path: Path) -> None:
    """Of a DataFrame, before the function is called: a string that is none of an Enum."""

    class Few(dy.Schema):
        carrier = dy.Enum(["a", "b"])

    GOOD.write_delta(str(tmp_path / "flights"))
    seen: list[Any] = []
    with pytest.raises(RunError, match=r"has values that the contract `.*Few` .* of the parameter `flights` does not"):
        run_job(reader_of(dy.DataFrame[Few], seen), in_memory=False, variables={"root": str(tmp_path)})
    assert not seen


def test_values_of_a_table_are_not_looked_at_again(tmp_path: Path) -> None:
    """A reader's contract is about columns: its rules were those of the writer."""
    GOOD.with_columns(delay=pl.lit(-5, pl.Int64)).write_delta(str(tmp_path / "flights"))
    seen: list[Any] = []
    run_job(reader_of(dy.DataFrame[Flights], seen), in_memory=False, variables={"root": str(tmp_path)})
    assert seen[0]["delay"].to_list() == [-5] * 3


class Two(TypedDict):
    good: dy.DataFrame[Flights]
    rest: pl.DataFrame


@pytest.mark.parametrize("in_memory", [True, False], ids=["memory", "stored"])
def test_fields_of_a_typed_dict_have_contracts_of_their_own(in_memory: bool, tmp_path: Path) -> None:
    """The output `good` has a contract, `rest` has none."""
    bad = GOOD.with_columns(delay=pl.lit(-1, pl.Int64))

    @task(outputs={"good": lake.table("good"), "rest": lake.table("rest")})
    def split() -> Two:
        return {"good": GOOD, "rest": bad}  # type: ignore[typeddict-item]

    @task(outputs={"good": lake.table("good"), "rest": lake.table("rest")})
    def mixed() -> Two:
        return {"good": bad, "rest": GOOD}  # type: ignore[typeddict-item]

    @job
    def fine() -> None:
        split()

    @job
    def wrong() -> None:
        mixed()

    arguments: Any = {"in_memory": in_memory, "variables": {"root": str(tmp_path)}}
    run_job(fine, **arguments)
    with pytest.raises(RunError, match=r"(?s)3 of 3 rows break the rule `delay\|min`"):
        run_job(wrong, **arguments)


def test_nothing_is_as_its_contract_says(tmp_path: Path) -> None:
    """None for a result that may be None."""
    for kind in (dy.LazyFrame[Flights] | None, Annotated[pl.DataFrame | None, Model]):
        found = run_job(job_of(kind, lambda: None), in_memory=False, variables={"root": str(tmp_path)})
        assert found["returned"].state == "success"


def test_a_merge_is_no_frame_with_a_contract() -> None:
    """The task says that it returns a frame."""
    merge = DeltaMerge(GOOD, on="day").when_matched_update_all()
    with pytest.raises(RunError, match=r"returned a dbxdec.*DeltaMerge, but has the contract `Flights`"):
        run_job(job_of(dy.DataFrame[Flights], merge))


def test_rows_that_are_dropped_do_not_break_a_contract() -> None:
    """Expectations drop rows first; what is left is compared with the contract."""
    table = PolarsDeltaIoManager(bundle_variable("root"), mode="append", expect_or_drop={"fine": "delay >= 0"})
    value = GOOD.with_columns(delay=pl.Series([1, -1, 2]))
    assert run_job(job_of(dy.DataFrame[Flights], value, table))["returned"].value.height == 2


def test_both_an_expectation_and_a_contract_are_named() -> None:
    """A write that fails for two reasons says both."""
    table = PolarsDeltaIoManager(bundle_variable("root"), mode="append", expect_or_fail={"short": "delay < 3"})
    value = GOOD.with_columns(carrier=pl.lit(None, pl.String))
    with pytest.raises(RunError) as error:
        run_job(job_of(dy.DataFrame[Flights], value, table))
    assert 'the expectation "short" failed: 1 of 3' in said(error)
    assert "3 of 3 rows break the rule `carrier|nullability`" in said(error)


def test_new_columns_of_a_table_that_grows_are_in_the_contract(tmp_path: Path) -> None:
    """schema="add-columns": the contract has the new column, and old columns that it lacks are null."""
    GOOD.with_columns(old=pl.lit(1)).drop("carrier").write_delta(str(tmp_path / "flights"))
    table = PolarsDeltaIoManager(bundle_variable("root"), mode="append", schema="add-columns")
    run_job(job_of(dy.DataFrame[Flights], GOOD, table), in_memory=False, variables={"root": str(tmp_path)})
    found = pl.read_delta(str(tmp_path / "flights"))
    assert found.schema.names() == ["day", "delay", "old", "carrier"]
    assert found["carrier"].null_count() == 3
    assert found["old"].null_count() == 3


def test_csv_files_are_read_again_with_their_types(tmp_path: Path) -> None:
    """Values are compared in the files of a format that has no types."""
    table = PolarsCsvIoManager(bundle_variable("root"), mode="overwrite")
    variables = {"root": str(tmp_path)}
    run_job(job_of(dy.LazyFrame[Flights], GOOD.lazy(), table), in_memory=False, variables=variables)
    bad = GOOD.with_columns(delay=pl.Series([1, 2, -1]))
    with pytest.raises(RunError, match=r"1 of 3 rows break the rule `delay\|min`"):
        run_job(job_of(dy.LazyFrame[Flights], bad.lazy(), table), in_memory=False, variables=variables)
    assert pl.read_csv(tmp_path / "flights" / "flights.csv")["delay"].to_list() == [1, 2, 3]


def test_a_query_runs_once_for_a_manager_that_knows_no_contracts() -> None:
    """A frame that gives other rows each time is compared as it is stored."""
    calls: list[int] = []

    def count(data: pl.DataFrame) -> pl.DataFrame:
        calls.append(1)
        return data

    Kept.stored.clear()
    run_job(job_of(dy.LazyFrame[Flights], GOOD.lazy().map_batches(count), Kept), in_memory=False)
    assert len(calls) == 1
    assert Kept.stored[0].height == 3


def test_an_annotation_that_says_less_in_a_run_is_refused(tmp_path: Path) -> None:
    """Such as where a library that is imported if it is there is absent: the contract is not left out."""

    @task(io_manager=lake.table("flights"))
    def changed() -> Any:
        changed.fn.__annotations__["return"] = "dy.DataFrame[Nowhere]"
        return GOOD

    changed.fn.__annotations__["return"] = dy.DataFrame[Flights]

    @job
    def one() -> None:
        changed()

    with pytest.raises(RunError, match="can't be compared with its contract `Flights`"):
        run_job(one, in_memory=False, variables={"root": str(tmp_path)})
    assert not DeltaTable.is_deltatable(str(tmp_path / "flights"))


class Overridden(PolarsDeltaIoManager):
    """A manager that is derived from one of ours, and stores in a way of its own."""

    def write(self, context: OutputContext, value: Any) -> Any:
        value.lazy().collect().write_delta(context.uri)


def test_a_write_that_an_author_has_overridden_is_compared_before(tmp_path: Path) -> None:
    """It need not look at the contract, as that of the class above it does."""
    value = GOOD.with_columns(delay=pl.lit(-1, pl.Int64))
    manager = Overridden(bundle_variable("root"), mode="append")
    with pytest.raises(RunError, match=r"3 of 3 rows break the rule `delay\|min`"):
        run_job(job_of(dy.DataFrame[Flights], value, manager), in_memory=False, variables={"root": str(tmp_path)})
    assert not DeltaTable.is_deltatable(str(tmp_path / "flights"))


@pytest.mark.parametrize("in_memory", [True, False], ids=["memory", "stored"])
def test_iterations_are_compared_one_by_one(in_memory: bool, tmp_path: Path) -> None:
    """The reader's list has frames with a contract; the iteration with a bad row fails alone."""
    seen: list[Any] = []

    @task(io_manager=lake.table("parts"))
    def part(n: int) -> dy.DataFrame[Flights]:
        return GOOD.with_columns(delay=pl.lit(n, pl.Int64))  # type: ignore[return-value]

    @task
    def gather(parts: list[dy.DataFrame[Report]]) -> None:
        seen.extend(parts)

    @job
    def fine() -> None:
        gather(part(each([1, 2])))

    @job
    def wrong() -> None:
        part(each([1, -2]))

    arguments: Any = {"in_memory": in_memory, "variables": {"root": str(tmp_path)}}
    iterations = run_job(fine, **arguments)["part"].iterations
    assert [{one["rows"] for one in part.expectations.values()} for part in iterations] == [{3}, {3}]
    assert [one["delay"][0] for one in seen] == [1, 2]
    with pytest.raises(RunError, match=r"3 of 3 rows break the rule `delay\|min`"):
        run_job(wrong, **arguments)


def test_what_is_new_has_the_contract_of_its_parameter(tmp_path: Path) -> None:
    """`.changes()` gives frames like any other; a column that is not there is refused before the function runs."""
    seen: list[Any] = []

    @task(io_manager=lake.table("copied"))
    def follow(new: dy.LazyFrame[Report]) -> dy.LazyFrame[Flights]:
        seen.append(new.collect_schema().names())
        return new  # type: ignore[return-value]

    @task(io_manager=lake.table("other"))
    def lost(new: dy.DataFrame[Tails]) -> pl.DataFrame:
        seen.append("called")
        return new

    @job
    def fine() -> None:
        follow(lake.table("flights").changes())

    @job
    def wrong() -> None:
        lost(lake.table("flights").changes())

    GOOD.write_delta(str(tmp_path / "flights"))
    arguments: Any = {"in_memory": False, "variables": {"root": str(tmp_path)}}
    run_job(fine, **arguments)
    assert seen == [["day", "delay", "carrier"]]
    with pytest.raises(RunError, match="don't match the contract `Tails`"):
        run_job(wrong, **arguments)
    assert len(seen) == 1


def test_a_class_that_cannot_be_a_contract_is_refused_before_a_run() -> None:
    """Models that drop rows, of another library, or for other frames; a job whose parameter asks for more."""

    class Dropping(pa.DataFrameModel):
        delay: int

        class Config:
            drop_invalid_rows = True

    class Same(pa.DataFrameModel):
        delay: int

        class Config:
            dtype = pl.Int64

    for annotation, why in (
        (DataFrame[Dropping], "drops rows"),
        (DataFrame[Same], "has one type for all columns"),
        (Annotated[DeltaMerge, Flights], "which is for frames of Polars, and may be a dbxdec.DeltaMerge"),
        (Annotated[dy.DataFrame[Flights], Model], "one of several for one frame: Flights and Model"),
    ):
        with pytest.raises(DbxdecError, match=why):
            run_job(job_of(annotation, GOOD))

    @task
    def asking(flights: dy.LazyFrame[Tails]) -> None:
        """Nothing is read."""

    @task(io_manager=lake)
    def giving() -> dy.LazyFrame[Flights]:
        return GOOD.lazy()  # type: ignore[return-value]

    @job
    def both() -> None:
        asking(giving())

    with pytest.raises(DbxdecError, match="asks for more by its contract `Tails`"):
        run_job(both)


def reading_flights(annotation: Any) -> Any:
    """A job whose second task reads the flights of the first, annotated so."""

    @task
    def asking(flights: Any) -> None:
        """Nothing is read."""

    asking.fn.__annotations__["flights"] = annotation

    @task(io_manager=lake)
    def giving() -> dy.LazyFrame[Flights]:
        return GOOD.lazy()  # type: ignore[return-value]

    @job
    def both() -> None:
        asking(giving())

    return both


def test_a_reader_that_allows_no_other_columns_is_refused_where_it_gets_some() -> None:
    """It would fail in each run."""

    class Strict(pa.DataFrameModel):
        delay: int

        class Config:
            strict = True

    with pytest.raises(DbxdecError, match=r"(?s)allows fewer columns .*carrier +- +String"):
        run_job(reading_flights(DataFrame[Strict]))


def test_a_class_that_has_been_refused_is_not_compared_as_well() -> None:
    """The comparison across jobs goes on without it."""

    class Dropping(pa.DataFrameModel):
        delay: int

        class Config:
            drop_invalid_rows = True

    built = reading_flights(DataFrame[Dropping]).build()
    assert [problem for problem in built.problems if "drops rows" in problem.message]
    assert contracting.across([built.dag]) == []
    assert list(contracting.forms([built.dag])) == [f"{__name__}:Flights"]


def test_the_columns_of_classes_with_one_name_are_not_told() -> None:
    """A function makes them; a manifest could not say whose columns these are."""

    def made_with(least: int) -> Any:
        class Made(dy.Schema):
            delay = dy.Int64(min=least)

        return Made

    def one(flights: Any, more: Any) -> None:
        """Nothing is read."""

    for name, least in (("flights", 0), ("more", 1)):
        one.__annotations__[name] = Annotated[pl.LazyFrame, made_with(least)]
    reading = task(one)

    @job
    def both() -> None:
        reading(lake.table("a"), lake.table("b"))

    assert contracting.forms([both.build().dag]) == {}


def test_a_feed_has_columns_besides_those_of_a_strict_model(tmp_path: Path) -> None:
    """`.changes("feed")` adds what has become of each row, which no contract of a table names."""
    seen: list[Any] = []

    @task(io_manager=lake.table("copied"))
    def follow(new: Any) -> pl.DataFrame:
        seen.append(set(new.columns))
        return pl.DataFrame({"n": [1]})

    follow.fn.__annotations__["new"] = DataFrame[Model]

    @job
    def fed() -> None:
        follow(lake.table("flights").changes("feed"))

    GOOD.write_delta(
        str(tmp_path / "flights"), delta_write_options={"configuration": {"delta.enableChangeDataFeed": "true"}}
    )
    run_job(fed, in_memory=False, variables={"root": str(tmp_path)})
    assert seen[0] - set(GOOD.columns) == {"_change_type", "_commit_version", "_commit_timestamp"}


class Lost(TypedDict):
    good: dy.DataFrame[Nowhere]  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (Lost, "dy.DataFrame[Nowhere]"),
        ("dict[str, dy.DataFrame[Nowhere]]", "dict[str, dy.DataFrame[Nowhere]]"),
        ("Outputs", "Outputs"),
    ],
    ids=["field", "dict", "name"],
)
def test_named_outputs_that_cannot_be_resolved_are_refused(annotation: Any, text: str) -> None:
    """Their contracts would not be seen."""

    def split() -> Any:
        return {"good": GOOD}

    split.__annotations__["return"] = annotation
    made = task(outputs={"good": lake.table("good")})(split)

    @job
    def one() -> None:
        made()

    with pytest.raises(DbxdecError, match=rf"`{re.escape(text)}` of the result .* a contract would not be seen"):
        run_job(one)


def test_an_alias_that_cannot_be_resolved_is_refused() -> None:
    """It may have a contract; the name of a frame that the manager stores has none."""
    with pytest.raises(DbxdecError, match=r"`FlightsFrame` of the result .* a contract would not be seen"):
        run_job(job_of("FlightsFrame", GOOD))
    assert run_job(job_of("frames.DataFrame | None", GOOD))["returned"].value.height == 3
