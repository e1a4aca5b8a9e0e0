"""Columns of frames beside those of Delta tables: growth, structs, nulls, names, and columns that must not be null."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable, Field, Schema
from deltalake.schema import PrimitiveType, StructType
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from dbxdec import DeltaMerge
from dbxdec.errors import RunError
from dbxdec.io_managers import PolarsDeltaIoManager
from delta_tools import output, receipt, wanted
from thorough import examples

DELTA_RS = {"target_file_size": 2**27}  # an option of delta-rs' own writer
LEAVES = st.sampled_from([pl.Int64(), pl.String(), pl.Boolean()])
LONG = PrimitiveType("long")
Type = pl.DataType


def manager(mode: Any = "append", schema: Any = "add-columns", **options: Any) -> PolarsDeltaIoManager:
    return PolarsDeltaIoManager("unused", mode=mode, schema=schema, **options)


def read(table: Path) -> pl.DataFrame:
    found = manager().read(wanted(table))
    assert isinstance(found, pl.DataFrame)
    return found


def version(table: Path) -> int:
    return int(DeltaTable(str(table)).version())


def structs(inner: st.SearchStrategy[Type]) -> st.SearchStrategy[Type]:
    return st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3).map(pl.Struct)


TYPES = st.recursive(LEAVES, lambda inner: structs(inner) | inner.map(pl.List), max_leaves=4)


@st.composite
def parts(draw: st.DrawFn, whole: Type) -> Type:
    """A type of which `whole` is a growth: fields left out, in any order, or nulls alone."""
    if draw(st.integers(0, 9)) == 0:
        return pl.Null()
    if isinstance(whole, pl.List):
        return pl.List(draw(parts(whole.inner)))  # type: ignore[arg-type]
    if isinstance(whole, pl.Struct):
        fields = draw(st.lists(st.sampled_from(whole.fields), min_size=1, unique_by=lambda field: field.name))
        return pl.Struct([pl.Field(field.name, draw(parts(field.dtype))) for field in fields])  # type: ignore[arg-type]
    return whole


def value_of(dtype: Any) -> Any:
    """A value of a type, with something in each of its leaves."""
    match dtype:
        case pl.List():
            return [value_of(dtype.inner), None]
        case pl.Struct():
            return {field.name: value_of(field.dtype) for field in dtype.fields}
        case pl.Int64():
            return 7
        case pl.String():
            return "x"
        case pl.Boolean():
            return True
        case _:
            return None


@st.composite
def growths(draw: st.DrawFn) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Two frames of one table: what both have in columns and fields has one type."""
    names = draw(st.lists(st.sampled_from(["p", "q", "R s"]), min_size=1, unique=True))
    wholes = {name: draw(TYPES) for name in names}
    first = {"k": pl.Int64(), **{name: whole for name, whole in wholes.items() if draw(st.booleans())}}
    second = {"k": pl.Int64(), **{name: whole for name, whole in wholes.items() if draw(st.booleans())}}
    first = {name: kind if name == "k" else draw(parts(kind)) for name, kind in first.items()}
    second = {name: kind if name == "k" else draw(parts(kind)) for name, kind in second.items()}
    frames = []
    for number, schema in enumerate((first, second)):
        row = {name: number if name == "k" else value_of(kind) for name, kind in schema.items()}
        frames.append(pl.DataFrame([row, dict.fromkeys(row) | {"k": number + 10}], schema=schema))
    return frames[0], frames[1]


def has_null(dtype: Any) -> bool:
    if isinstance(dtype, pl.Struct):
        return any(has_null(field.dtype) for field in dtype.fields)
    return has_null(dtype.inner) if isinstance(dtype, pl.List) else isinstance(dtype, pl.Null)


@settings(max_examples=examples(60))
@given(frames=growths(), lazy=st.booleans(), through_delta_rs=st.booleans())
@example(
    frames=(
        pl.DataFrame({"k": [0], "s": [[{"a": 1}]]}),
        pl.DataFrame({"k": [1], "s": [[{"b": "x", "a": 2}]]}),
    ),
    lazy=True,
    through_delta_rs=False,
)
def test_a_table_grows_by_what_a_frame_has_and_rows_have_nulls_in_what_they_lack(
    frames: tuple[pl.DataFrame, pl.DataFrame], lazy: bool, through_delta_rs: bool
) -> None:
    """Columns and fields of structs, inside lists too, in any order; nulls take the type that the table has."""
    io = manager(delta_write_options=DELTA_RS if through_delta_rs else None)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "t")
        written: list[pl.DataFrame] = []
        for number, data in enumerate(frames):
            there = read(table).schema if written else pl.Schema()
            untyped = [n for n, kind in data.schema.items() if has_null(kind) and not typed(kind, there.get(n))]
            if untyped:
                with pytest.raises(RunError, match="can't hold these columns"):
                    io.write(output(table, receipt(str(number))), data.lazy() if lazy else data)
                continue
            io.write(output(table, receipt(str(number))), data.lazy() if lazy else data)
            written.append(data)
        if not written:
            return
        back = read(table).sort("k")
        whole = pl.concat([one.match_to_schema(back.schema, **LENIENT) for one in written]).sort("k")
        assert_frame_equal(back, whole)
        # Polars alone reads the same.
        assert_frame_equal(pl.read_delta(str(table)).sort("k"), whole)


LENIENT: dict[str, Any] = {"missing_columns": "insert", "missing_struct_fields": "insert"}


def typed(dtype: Any, table: Any) -> bool:
    """Whether a table's type tells those of all nulls in `dtype`."""
    if isinstance(dtype, pl.Struct) and isinstance(table, pl.Struct):
        there = {field.name: field.dtype for field in table.fields}
        return all(typed(field.dtype, there.get(field.name)) for field in dtype.fields)
    if isinstance(dtype, pl.List) and isinstance(table, pl.List):
        return typed(dtype.inner, table.inner)
    return not has_null(dtype) or table is not None


def test_a_table_that_is_read_by_its_log_has_nulls_in_what_its_older_files_lack(tmp_path: Path) -> None:
    """The newest version, an older one, and what one run wrote; folders can't tell this table's partitions."""
    table, io = tmp_path / "t", manager(partition_by="a b")
    io.write(output(table, receipt("1")), pl.DataFrame({"a b": ["x"], "s": [{"a": 1}], "l": [[{"a": 1}]]}))
    new = pl.DataFrame({"a b": ["y"], "s": [{"b": 1, "a": 2}], "l": [[{"a": 1, "b": 2}]], "n": [1]})
    io.write(output(table, receipt("2")), new)
    assert read(table).sort("a b").rows() == [
        ("x", {"a": 1, "b": None}, [{"a": 1, "b": None}], None),
        ("y", {"a": 2, "b": 1}, [{"a": 1, "b": 2}], 1),
    ]
    first = io.read(replace(wanted(table, receipt("1")), rows="table")).lazy().collect()
    assert first.rows() == [("x", {"a": 1}, [{"a": 1}])]
    written = io.read(wanted(table, receipt("2"))).lazy().collect()
    assert written.rows() == [("y", {"a": 2, "b": 1}, [{"a": 1, "b": 2}], 1)]


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_strict_takes_fields_in_any_order_and_nulls_of_any_type(tmp_path: Path, mode: str) -> None:
    """A struct's fields are told apart by their names, and a column without values has the table's type."""
    table, io = tmp_path / "t", manager(mode, "strict")
    first = pl.DataFrame({"k": [1], "s": [{"a": 1, "b": "x"}], "t": ["t"], "l": [[{"a": 1, "b": 2}]]})
    io.write(output(table), first)
    io.write(output(table, receipt("2")), pl.DataFrame({"k": [2], "s": [{"b": "y", "a": 2}], "t": [None], "l": [[]]}))
    assert read(table).filter(k=2).rows() == [(2, {"a": 2, "b": "y"}, None, [])]
    for wrong, line in (({"a": 1}, r"s\.b +String +-"), ({"a": 1, "b": "x", "c": 1}, r"s\.c +- +Int64")):
        with pytest.raises(RunError, match=line):
            io.write(output(table, receipt("3")), first.with_columns(s=pl.Series([wrong])))
    with pytest.raises(RunError, match=r"(?s)can't hold these columns:.*n: Null"):
        io.write(output(table, receipt("4")), first.with_columns(n=None))


def test_a_new_schema_takes_types_for_nulls_from_the_old_one(tmp_path: Path) -> None:
    """With schema="replace" a column of nulls keeps its type; fields that the frame lacks are gone."""
    table = tmp_path / "t"
    manager().write(output(table), pl.DataFrame({"s": [{"a": 1, "b": 2}], "n": [1.5]}))
    new = pl.DataFrame({"n": [None], "s": [{"b": 3}]})
    manager("overwrite", "replace").write(output(table, receipt("2")), new)
    assert read(table).schema == {"n": pl.Float64, "s": pl.Struct({"b": pl.Int64})}


class TestColumnsThatMustNotBeNull:
    """A table of which a program, or SQL, has said so keeps to it while it grows."""

    @pytest.fixture
    def table(self, tmp_path: Path) -> Path:
        inner = StructType([Field("a", LONG, nullable=False)])
        fields = [Field("id", LONG, nullable=False), Field("a", PrimitiveType("string")), Field("s", inner)]
        DeltaTable.create(str(tmp_path / "t"), Schema(fields))
        rows = pl.DataFrame({"id": [1, 2], "a": ["x", "y"], "s": [{"a": 1}, {"a": 2}]})
        manager().write(output(tmp_path / "t", receipt("0")), rows)
        return tmp_path / "t"

    def needs(self, table: Path) -> list[str]:
        fields = DeltaTable(str(table)).schema().fields
        inner = next(field.type for field in fields if field.name == "s")
        assert isinstance(inner, StructType)
        return [field.name for field in [*fields, *inner.fields] if not field.nullable]

    @pytest.mark.parametrize("lazy", [False, True])
    @pytest.mark.parametrize(
        "options", [{"mode": "append"}, {"mode": "overwrite"}, {"mode": "overwrite", "replace": {"id": 2}}], ids=str
    )
    def test_a_write_that_adds_a_column_leaves_the_rules(self, table: Path, lazy: bool, options: Any) -> None:
        """delta-rs, left to add it, would let every column be null from then on."""
        new = pl.DataFrame({"id": [2], "a": ["z"], "s": [{"a": 3, "b": 4}], "extra": [7]})
        manager(**options).write(output(table), new.lazy() if lazy else new)
        assert self.needs(table) == ["id", "a"]
        assert read(table).filter(extra=7).rows() == [(2, "z", {"a": 3, "b": 4}, 7)]
        wrong = new.with_columns(id=pl.lit(None, dtype=pl.Int64))
        with pytest.raises(RunError, match="a column that must not be null"):
            manager().write(output(table, receipt("3")), wrong.lazy() if lazy else wrong)
        with pytest.raises(RunError, match="a column that must not be null"):
            manager().write(output(table, receipt("4")), pl.DataFrame({"a": ["no id"]}))

    def test_a_merge_that_adds_a_column_leaves_them_and_every_row(self, table: Path) -> None:
        """Rows that nothing matches keep their key; the table has the column, and its rules."""
        source = pl.DataFrame({"id": [2, 3], "a": ["p", "q"], "extra": [7, 8]})
        merge = DeltaMerge(source, on="id")
        assert manager().write(output(table), merge).rows == 2
        assert read(table).sort("id").select("id", "a", "extra").rows() == [(1, "x", None), (2, "p", 7), (3, "q", 8)]
        assert self.needs(table) == ["id", "a"]
        assert manager().write(output(table), merge).note == "already written by attempt 1"

    def test_a_merge_without_a_new_column_needs_no_growth(self, table: Path) -> None:
        """The same with the table's own columns, where delta-rs failed as well."""
        manager().write(output(table), DeltaMerge(pl.DataFrame({"id": [2], "a": ["p"]}), on="id"))
        assert read(table).sort("id").select("id", "a").rows() == [(1, "x"), (2, "p")]


class TestMerges:
    @pytest.fixture
    def table(self, tmp_path: Path) -> Path:
        manager().write(output(tmp_path / "t", receipt("0")), pl.DataFrame({"k": [1, 2], "s": [{"a": 1}, {"a": 2}]}))
        return tmp_path / "t"

    def test_structs_grow_in_any_order(self, table: Path) -> None:
        """A matched row has the new fields, the others null in them; nulls take the table's type."""
        source = pl.DataFrame({"k": [2, 3], "s": [{"b": "y", "a": 5}, {"b": "z", "a": 6}], "n": [1, 2]})
        manager().write(output(table), DeltaMerge(source, on="k"))
        manager().write(output(table, receipt("2")), DeltaMerge(pl.DataFrame({"k": [3], "n": [None]}), on="k"))
        assert read(table).sort("k").rows() == [
            (1, {"a": 1, "b": None}, None),
            (2, {"a": 5, "b": "y"}, 1),
            (3, {"a": 6, "b": "z"}, None),
        ]

    def test_a_field_that_the_source_lacks_is_not_emptied(self, table: Path) -> None:
        """A struct is given as a whole: one without a field of the table's would lose the values of matched rows."""
        manager().write(output(table), pl.DataFrame({"k": [3], "s": [{"a": 3, "b": 3}]}))
        before = version(table)
        with pytest.raises(RunError, match=r"s\.b\s+Int64\s+-"):
            manager().write(output(table, receipt("2")), DeltaMerge(pl.DataFrame({"k": [3], "s": [{"a": 9}]}), on="k"))
        assert version(table) == before

    def test_only_columns_that_the_clauses_fill_are_added(self, table: Path) -> None:
        """A flag that only a condition reads is no column of the table."""
        source = pl.DataFrame({"k": [2, 3], "s": [{"a": 9}, {"a": 9}], "gone": [True, False]})
        merge = DeltaMerge(source, on="k").when_matched_delete(predicate="source.gone")
        manager().write(output(table), merge.when_not_matched_insert_all(except_cols=["gone"]))
        assert read(table).sort("k").rows() == [(1, {"a": 1}), (3, {"a": 9})]

    def test_a_wrong_clause_leaves_the_table_as_it_was(self, table: Path) -> None:
        """It is tried on an empty table before this one grows."""
        before = version(table)
        merge = DeltaMerge(pl.DataFrame({"k": [2], "n": [1]}), on="k").when_matched_update({"n": "nonsense(source.n)"})
        with pytest.raises(RunError, match="can't execute the DeltaMerge"):
            manager().write(output(table), merge)
        assert version(table) == before

    def test_lists_that_would_grow_or_have_grown_are_said_in_one_sentence(self, table: Path) -> None:
        """delta-rs can't read their older files: neither a merge nor a slice ends in an error of its own."""
        manager().write(output(table), pl.DataFrame({"k": [3], "l": [[{"a": 1}]]}))
        grown = pl.DataFrame({"k": [3], "l": [[{"a": 2, "b": 3}]]})
        before = version(table)
        with pytest.raises(RunError, match=r"the column `l` .* lists whose structs would get new fields"):
            manager().write(output(table, receipt("2")), DeltaMerge(grown, on="k"))
        assert version(table) == before
        manager().write(output(table, receipt("3")), grown)
        with pytest.raises(RunError, match="written before structs in a list got new fields"):
            manager().write(output(table, receipt("4")), DeltaMerge(grown, on="k"))
        with pytest.raises(RunError, match="written before structs in a list got new fields"):
            manager("overwrite", replace={"k": 3}).write(output(table, receipt("5")), grown)
        assert read(table).height == 4


@pytest.mark.parametrize("through_delta_rs", [False, True])
def test_a_query_that_fails_lets_no_table_grow(tmp_path: Path, through_delta_rs: bool) -> None:
    """The rows are there before the table changes."""
    io = manager(delta_write_options=DELTA_RS if through_delta_rs else None)
    io.write(output(tmp_path / "t"), pl.DataFrame({"k": [1]}))

    def fail(data: pl.DataFrame) -> pl.DataFrame:
        raise ZeroDivisionError("of the author")

    query = pl.LazyFrame({"k": [2], "new": [1]}).map_batches(fail)
    with pytest.raises(Exception, match="of the author"):
        io.write(output(tmp_path / "t", receipt("2")), query)
    assert version(tmp_path / "t") == 0


@pytest.mark.parametrize("same", [True, False], ids=["the same column", "a column each"])
def test_writers_that_add_columns_at_once_all_land(tmp_path: Path, same: bool) -> None:
    """Each appends its row and its column, whoever else makes the table grow meanwhile; a query runs once."""
    manager().write(output(tmp_path / "t"), pl.DataFrame({"k": [-1]}))
    barrier, errors, ran = Barrier(4), list[BaseException](), list[int]()

    def append(number: int) -> None:
        def note(data: pl.DataFrame) -> pl.DataFrame:
            ran.append(number)
            return data

        data = pl.DataFrame({"k": [number], "new" if same else f"new{number}": [number]})
        barrier.wait()
        try:
            manager().write(output(tmp_path / "t", receipt(str(number))), data.lazy().map_batches(note))
        except BaseException as error:  # noqa: BLE001 - told below
            errors.append(error)

    threads = [Thread(target=append, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(set(ran)) == [0, 1, 2, 3]
    found = read(tmp_path / "t").sort("k")
    assert found["k"].to_list() == [-1, 0, 1, 2, 3]
    new = found.select(pl.coalesce(pl.all().exclude("k")))
    assert new.to_series().to_list() == [None, 0, 1, 2, 3]


class TestNames:
    """Names that differ only in case are one name to Delta: said before anything is written."""

    @pytest.mark.parametrize(
        ("data", "said"),
        [
            ({"s": [{"A": 1, "a": 2}]}, ["`s.A` and `s.a`"]),
            ({"s": [[{"A": 1, "a": 2}]]}, ["`s.A` and `s.a`"]),
            (
                {"s": [{"x": {"ä": 1, "Ä": 2}}], "id": [1], "ID": [2], "Id": [3]},
                ["`id`, `ID` and `Id`", "`s.x.ä` and `s.x.Ä`"],
            ),
            ({"a\0b": [1], "s": [{"\0": 1}]}, [r"'a\x00b'", r"'s.\x00'"]),
        ],
    )
    def test_within_a_frame(self, tmp_path: Path, data: Any, said: list[str]) -> None:
        """All of them, in structs and lists too."""
        frame = pl.DataFrame(data)
        for result in (frame, frame.lazy(), DeltaMerge(frame.with_columns(k=1), on="k")):
            with pytest.raises(RunError) as error:
                manager().write(output(tmp_path / "t"), result)
            assert len(error.value.problems) == len(said)
            assert all(part in str(error.value) for part in said)
        assert not (tmp_path / "t").exists()

    @pytest.mark.parametrize("schema", ["strict", "add-columns"])
    @pytest.mark.parametrize("mode", ["append", "overwrite"])
    def test_between_a_frame_and_its_table(self, tmp_path: Path, mode: str, schema: str) -> None:
        """Each is named with its spelling in the table; nothing is written, and no growth advised."""
        table = tmp_path / "t"
        manager().write(output(table), pl.DataFrame({"Id": [1], "s": [{"A": 1}], "l": [[{"B": 1}]]}))
        result = pl.DataFrame({"id": [1], "s": [{"a": 1}], "l": [[{"b": 1}]]})
        for value in (result, DeltaMerge(result, on="id").when_not_matched_insert_all()):
            with pytest.raises(RunError) as error:
                manager(mode, schema).write(output(table, receipt("2")), value)
            if value is result:
                pairs = [("id", "Id"), ("s.a", "s.A"), ("l.b", "l.B")]
                assert len(error.value.problems) == len(pairs)
                assert all(f"`{new}`, but the table {table} has `{old}`" in str(error.value) for new, old in pairs)
            assert "add-columns" not in str(error.value)
        assert version(table) == 0

    def test_a_new_schema_may_have_another_spelling(self, tmp_path: Path) -> None:
        """schema="replace" leaves no column of the old one."""
        manager().write(output(tmp_path / "t"), pl.DataFrame({"Id": [1]}))
        manager("overwrite", "replace").write(output(tmp_path / "t", receipt("2")), pl.DataFrame({"id": [2]}))
        assert read(tmp_path / "t").to_dicts() == [{"id": 2}]

    @pytest.mark.parametrize("lazy", [False, True])
    def test_names_that_polars_takes_for_patterns(self, tmp_path: Path, lazy: bool) -> None:
        """Casts, checks, slices and keys of columns called `*` and `^.*$` are of these columns alone."""
        data = pl.DataFrame({"a": [1, 2], "b": [200, 5], "c": ["x", "y"]}, schema_overrides={"b": pl.UInt16})
        data = data.with_columns(pl.col("c").cast(pl.Categorical)).rename({"b": "*", "c": "^.*$"})
        whole = {"a": pl.Int64, "*": pl.Int16, "^.*$": pl.String}
        table = tmp_path / "t"
        manager(partition_by="^.*$").write(output(table, receipt("1")), data.lazy() if lazy else data)
        assert read(table).schema == whole
        io = manager("overwrite", replace={"*": 200})
        io.write(output(table, receipt("2")), data.head(1).with_columns(a=pl.lit(9, pl.Int64)).lazy())
        manager().write(
            output(table, receipt("3")), DeltaMerge(data.tail(1).with_columns(a=pl.lit(8, pl.Int64)), on=["*", "^.*$"])
        )
        found = read(table).sort("a")
        assert found.schema == whole
        assert found.rows() == [(8, 5, "y"), (9, 200, "x")]
        wrong = pl.DataFrame({"a": [1], "*": [2**15], "^.*$": ["z"]}, schema_overrides={"*": pl.UInt16})
        with pytest.raises(RunError, match=r"the column `\*` has the value 32768"):
            manager().write(output(table, receipt("4")), wrong)
