"""Partition columns and values of any text: what is written comes back, whoever reads."""

from __future__ import annotations

import json
import struct
import tempfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import polars as pl
import pytest
from deltalake import DeltaTable, QueryBuilder, write_deltalake
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dbxdec import DeltaMerge
from dbxdec.errors import RunError
from dbxdec.io_managers import PolarsDeltaIoManager, PolarsParquetIoManager
from dbxdec.io_managers.contexts import InputContext, OutputContext
from dbxdec.io_managers.delta import folder_names
from dbxdec.io_managers.polars_frames import named
from delta_tools import output, receipt, wanted
from object_storage import ObjectStorage
from thorough import examples

if TYPE_CHECKING:
    from collections.abc import Mapping

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
ODD = [
    "a=b", "a/b", "a\nb", "a:b", "a\\b", "*", "?", "[a]", "[", "%41", "100%", "a b", " a ", "größe", "日本", "😀", ".",
    "..", "a.b", "_a", "#", "{a}", '"', "'", "`", "\x01", "\t", "\r\n", "\x85", "~", "a+b&c;d", "|<>", "null",
    "__hive_default_partition__",
]  # fmt: skip
LETTERS = st.characters(codec="utf-8")
TEXTS = st.sampled_from(ODD) | st.text(LETTERS, min_size=1, max_size=12)
NAMES = TEXTS.filter(lambda name: name.lower() not in ("v", "w") and "\0" not in name)
DELTA_RS = {"target_file_size": 2**27}  # an option of delta-rs' own writer


def manager(*columns: str, **options: Any) -> PolarsDeltaIoManager:
    return PolarsDeltaIoManager("unused", mode="overwrite", partition_by=columns, **options)


def by_delta_rs(table: Path) -> list[tuple[Any, ...]]:
    found = QueryBuilder().register("t", DeltaTable(str(table))).execute('SELECT * FROM t ORDER BY "v"')
    return pl.DataFrame(found).rows()


@settings(max_examples=examples(40))
@given(
    columns=st.lists(NAMES, min_size=1, max_size=2, unique_by=str.lower),
    values=st.lists(st.none() | TEXTS, min_size=1, max_size=4),
    lazy=st.booleans(),
    through_delta_rs=st.booleans(),
)
@example(columns=["a=b"], values=["x", "y"], lazy=False, through_delta_rs=True)
@example(columns=["a/b"], values=["x", "y"], lazy=False, through_delta_rs=True)
def test_partitions_of_any_text_are_stored_read_and_replaced(
    columns: list[str], values: list[str | None], lazy: bool, through_delta_rs: bool
) -> None:
    """This manager and delta-rs give back each value, and another overwrite replaces exactly its partitions."""
    if through_delta_rs and folder_names.unwritable(columns):
        return
    first = pl.DataFrame(
        {**{name: pl.Series(values, dtype=pl.String) for name in columns}, "v": range(len(values)), "w": 1}
    )
    second = first.head(1).with_columns(w=pl.lit(2))
    io = manager(*columns, delta_write_options=DELTA_RS if through_delta_rs else None)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "t")
        for number, data in enumerate((first, second)):
            io.write(output(table, receipt(str(number))), data.lazy() if lazy else data)
            rows = data.rows() if number == 0 else [*second.rows(), *(r for r in first.rows() if r[0] != values[0])]
            rows.sort(key=lambda row: row[-2])
            back = io.read(replace(wanted(table, receipt(str(number))), rows="table"))
            assert isinstance(back, pl.DataFrame)
            assert back.select(map(named, first.columns)).sort("v").rows() == rows
            assert by_delta_rs(table) == rows
            added = io.read(wanted(table, receipt(str(number)))).lazy().collect()
            assert sorted(added.select(map(named, first.columns)).rows(), key=repr) == sorted(data.rows(), key=repr)


@settings(max_examples=examples(30))
@given(column=NAMES, values=st.lists(st.none() | TEXTS, min_size=1, max_size=3, unique=True))
def test_polars_alone_reads_the_same(column: str, values: list[str | None]) -> None:
    """Without dbxdec a value is what was written."""
    data = pl.DataFrame({column: pl.Series(values, dtype=pl.String), "v": range(len(values))})
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "t")
        manager(column).write(output(table), data)
        assert pl.read_delta(str(table)).select(map(named, data.columns)).sort("v").rows() == data.rows()
        of_first = named(column).eq_missing(pl.lit(values[0], dtype=pl.String))
        assert pl.scan_delta(str(table)).filter(of_first).collect()["v"].to_list() == [0]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("column", ["größe", "a b", "{}", "a=b", "#", "100%", "k"])
def test_an_object_storage_has_the_same_partitions(column: str, storage: ObjectStorage) -> None:
    """Paths are encoded there in another way than on a disk; all readers give back what was written."""
    uri, options = f"s3://bucket/parts/{column.encode().hex()}", storage.options
    data = pl.DataFrame({column: ["x", "ü*%41"], "v": [0, 1]})
    io = manager(column, storage_options=options)
    for run in ("1", "2"):
        io.write(OutputContext(uri, receipt(run)), data)
    assert io.read(InputContext(uri, annotation=pl.DataFrame)).lazy().sort("v").collect().rows() == data.rows()
    assert pl.read_delta(uri, storage_options=options).sort("v").rows() == data.rows()


@pytest.mark.parametrize("lazy", [False, True], ids=["DataFrame", "LazyFrame"])
def test_one_lost_string_among_many_partitions_leaves_no_file(tmp_path: Path, lazy: bool) -> None:
    """Whichever threads write the other partitions, the error is of the string, and nothing of them stays."""
    names = [*map(str, range(60)), HIVE_NULL]
    data = pl.DataFrame({"k": names, "v": range(len(names))})
    with pytest.raises(RunError, match=f"the string {HIVE_NULL}"):
        PolarsDeltaIoManager("unused", mode="overwrite", partition_by="k").write(
            output(tmp_path / "t"), data.lazy() if lazy else data
        )
    assert [path for path in (tmp_path / "t").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(("text", "said"), [("", "empty strings"), (HIVE_NULL, f"the string {HIVE_NULL}")])
@pytest.mark.parametrize("through_delta_rs", [False, True])
@pytest.mark.parametrize("lazy", [False, True])
def test_a_string_that_would_become_null_is_refused(
    tmp_path: Path, lazy: bool, through_delta_rs: bool, text: str, said: str
) -> None:
    """A Delta log has no empty strings among its partition values, and one name is null's folder."""
    table = tmp_path / "t"
    io = manager("k", delta_write_options=DELTA_RS if through_delta_rs else None)
    io.write(output(table), pl.DataFrame({"k": [None, "a"], "v": [1, 2]}))
    data = pl.DataFrame({"k": ["b", text], "v": [3, 4]})
    with pytest.raises(RunError, match=f"partition column `k` has {said}, which"):
        io.write(output(table, receipt("2")), data.lazy() if lazy else data)
    with pytest.raises(RunError, match=f"partition column `k` has {said}, which"):
        io.write(output(table, receipt("3")), DeltaMerge(data, on="v"))
    with pytest.raises(RunError, match=r"partition value .*as null: give None"):
        manager("k", replace={"k": text}).write(output(table, receipt("4")), data.with_columns(k=pl.lit(text)))
    assert sorted(pl.read_delta(str(table))["v"]) == [1, 2]


@pytest.mark.parametrize("column", ["a\nb", "a:b"])
def test_delta_rs_is_given_no_column_that_it_can_make_no_folder_of(tmp_path: Path, column: str) -> None:
    """A write that only delta-rs can do names such a partition column, and changes nothing."""
    table = tmp_path / "t"
    data = pl.DataFrame({column: ["x"], "v": [1]})
    manager(column).write(output(table), data)
    wider = data.with_columns(w=2)
    for number, (io, result) in enumerate(
        [
            (manager(column, schema="add-columns", delta_write_options=DELTA_RS), wider),
            (PolarsDeltaIoManager("unused", mode="overwrite", replace={"v": 1}), data),
            (manager(column), DeltaMerge(data, on="v")),
        ]
    ):
        with pytest.raises(RunError, match=r"delta-rs can't partition .* by the columns"):
            io.write(output(table, receipt(str(number))), result)
    assert manager().read(wanted(table)).lazy().collect().rows() == data.rows()


def test_delta_rs_rewrites_no_partition_that_it_would_write_wrongly(tmp_path: Path) -> None:
    """It writes -1.50 as "-1.-50": a slice and a merge that would rewrite such a partition leave the table readable."""
    table = tmp_path / "t"
    data = pl.DataFrame({"p": [Decimal("-1.50")] * 2, "v": [1, 2]}, schema={"p": pl.Decimal(10, 2), "v": pl.Int64})
    manager("p").write(output(table), data)
    theirs = DeltaTable(str(table)).merge(data.head(1), "source.v = target.v", "source", "target")
    for io, result in (
        (PolarsDeltaIoManager("unused", mode="overwrite", replace={"v": 1}), data.head(0)),
        (manager(), DeltaMerge(data.head(1).with_columns(p=Decimal("1.00")).cast(data.schema), on="v")),
        (manager(), theirs.when_matched_delete()),
    ):
        with pytest.raises(RunError, match="partitions with negative decimals in `p`"):
            io.write(output(table, receipt("2")), result)
    assert pl.read_delta(str(table)).sort("v").rows() == data.rows()


def test_folders_of_another_writer_are_believed_only_where_they_say_what_the_log_says(tmp_path: Path) -> None:
    """A table of delta-rs' own is read by its log, where Polars alone would read null in silence."""
    table = tmp_path / "t"
    data = pl.DataFrame({"a=b": ["x", None], "k": [HIVE_NULL, "y"], "v": [0, 1]})
    write_deltalake(str(table), data, partition_by=["a=b", "k"])
    assert pl.read_delta(str(table)).sort("v")["a=b"].to_list() == [None, None]
    assert manager().read(wanted(table)).lazy().sort("v").collect().rows() == data.rows()


@pytest.mark.parametrize(
    ("path", "values", "said"),
    [
        ("k=x/f", {"k": "x"}, True),
        ("k=x%20y/f", {"k": "x y"}, True),
        ("ab/k=x/f", {"k": "x"}, True),
        ("k=x/f", {"k": "X"}, False),
        ("f", {"k": "x"}, False),
        ("k=x/k=y/f", {"k": "y"}, False),
        ("j=x/k=y/f", {"k": "y"}, False),
        (f"k={HIVE_NULL}/f", {"k": None}, True),
        (f"k={HIVE_NULL}/f", {"k": HIVE_NULL}, False),
        ("k=/f", {"k": None}, False),
        ("k=01/f", {"k": 1}, True),
        ("k=x/f", {"k": 1}, False),
        ("a b=x/f", {"a b": "x"}, False),
    ],
)
def test_a_path_tells_what_polars_finds_in_it(path: str, values: dict[str, Any], said: bool) -> None:
    """Only where each column is in one folder, with the value of the log."""
    assert folder_names.tells(path, values) is said


@settings(max_examples=examples(40))
@given(values=st.lists(st.none() | st.just("") | TEXTS, min_size=1, max_size=5), column=NAMES, lazy=st.booleans())
@example(values=["*", "eu"], column="region", lazy=False)
@example(values=["", None, HIVE_NULL, "x" * 300], column="region", lazy=True)
def test_parquet_of_any_partition_comes_back(values: list[str | None], column: str, lazy: bool) -> None:
    """Whatever the value and the column: empty strings, patterns, and strings too long for a folder's name included."""
    data = pl.DataFrame({column: pl.Series(values, dtype=pl.String), "v": range(len(values))})
    io = PolarsParquetIoManager("unused", mode="overwrite", partition_by=column)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "t")
        io.write(output(target), data.lazy() if lazy else data)
        back = io.read(wanted(target))
        assert isinstance(back, pl.DataFrame)
        assert back.sort("v").rows() == data.rows()
        assert back.schema == data.schema


def test_a_column_named_as_a_field_of_a_struct_is_another_one(tmp_path: Path) -> None:
    """The log has statistics of both: partitions are read, found and replaced beside them."""
    table = tmp_path / "t"
    first = pl.DataFrame({"k": ["x", "ü"], "a": [{"b": 1}, {"b": 2}], "a.b": [3, 4]})
    io = manager("k")
    io.write(output(table, receipt("1")), first)
    assert io.read(wanted(table, receipt("1"))).lazy().collect().sort("a.b").rows() == first.rows()
    second = pl.DataFrame({"k": ["ü"], "a": [{"b": 5}], "a.b": [6]})
    io.write(output(table, receipt("2")), second)
    whole = io.read(replace(wanted(table, receipt("2")), rows="table")).lazy().collect()
    assert sorted(whole["a.b"]) == [3, 6]
    assert io.read(wanted(table, receipt("2"))).lazy().collect().rows() == second.rows()


Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


def deletion_vector(*rows: int) -> dict[str, Any]:
    """A vector within the log that deletes these rows of a file (Delta protocol, "Deletion Vectors")."""
    bitmap = struct.pack("<IIHHI", 12346, 1, 0, len(rows) - 1, 16) + struct.pack(f"<{len(rows)}H", *rows)
    data = struct.pack("<iqI", 1681511377, 1, 0) + bitmap
    words = struct.unpack(f">{-(-len(data) // 4)}I", data + b"\0" * (-len(data) % 4))
    text = "".join(Z85[word // 85**power % 85] for word in words for power in (4, 3, 2, 1, 0))
    return {"storageType": "i", "pathOrInlineDv": text, "sizeInBytes": len(data), "cardinality": len(rows)}


@pytest.mark.parametrize(
    "paths",
    [
        pytest.param(["k1/data_0.parquet", "k2/data_0.parquet"], id="the same name in two folders"),
        pytest.param(["k%201/d%25_0.parquet", "%C3%A9/d%20+.parquet"], id="encoded names"),
    ],
)
def test_deleted_rows_are_those_of_their_own_file(tmp_path: Path, paths: list[str]) -> None:
    """DuckDB, Polars and others number the files of each folder anew."""
    table = with_deleted_row(tmp_path / "größe t", {paths[0]: "a", paths[1]: "b"})
    found = PolarsDeltaIoManager(str(tmp_path)).read(wanted(table))
    assert sorted(found.rows()) == [("a", 0), ("b", 10), ("b", 11)]


@pytest.mark.parametrize("partition", ["a b", "10:00", "ü"])
def test_deleted_rows_stay_deleted_in_folders_with_encoded_names(tmp_path: Path, partition: str) -> None:
    """The folders are those of Spark, which tell Polars the values."""
    table = with_deleted_row(
        tmp_path / "t", {f"p={quote(quote(partition))}/f.parquet": partition, "p=z/f.parquet": "z"}
    )
    found = PolarsDeltaIoManager(str(tmp_path)).read(wanted(table))
    assert sorted(found.rows()) == sorted([(partition, 0), ("z", 10), ("z", 11)])


@pytest.mark.parametrize("name", ["my table", "100%", "größe", "plain"])
def test_deleted_rows_stay_deleted_in_a_table_with_an_odd_place(tmp_path: Path, name: str) -> None:
    """The log has plain paths, but the place of the table is encoded in those of its deletion vectors."""
    table = with_deleted_row(tmp_path / name, {"f.parquet": None})
    assert PolarsDeltaIoManager(str(tmp_path)).read(wanted(table))["x"].to_list() == [0]


def with_deleted_row(table: Path, paths: Mapping[str, str | None]) -> Path:
    """Make a table with two rows in each of the files at `paths`, without the second row of the first file.

    The values are those of its partitions `p`; with None it has none.
    """
    features = {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
    parted = None not in paths.values()
    kinds = {**({"p": "string"} if parted else {}), "x": "long"}
    fields = [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in kinds.items()]
    partitions = ["p"] if parted else []
    metadata = {"id": "a", "format": {"provider": "parquet", "options": {}}, "partitionColumns": partitions}
    schema = json.dumps({"type": "struct", "fields": fields})
    actions: list[dict[str, Any]] = [
        {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **features}},
        {"metaData": {**metadata, "schemaString": schema, "configuration": {}, "createdTime": 1}},
    ]
    for number, (path, value) in enumerate(paths.items()):
        file = table / unquote(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame({"x": [10 * number, 10 * number + 1]}).write_parquet(file, mkdir=True)
        values = {"p": value} if parted else {}
        add = {"path": path, "partitionValues": values, "size": file.stat().st_size, "modificationTime": 1}
        actions.append({"add": {**add, "dataChange": True, "stats": '{"numRecords":2}'}})
    actions[2]["add"]["deletionVector"] = deletion_vector(1)
    (table / "_delta_log").mkdir()
    (table / "_delta_log" / f"{0:020}.json").write_text("\n".join(map(json.dumps, actions)))
    return table
