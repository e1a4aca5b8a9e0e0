"""What a task is told of a Delta table that can't be read or written, and when."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from dbxdec.errors import RunError
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.contexts import InputContext, OutputContext
from dbxdec.io_managers.delta.polars import storage
from dbxdec.model import places
from dbxdec.model.secrets import secret
from dbxdec.support import masking
from delta_tools import RECEIPT, frame, output, receipt, wanted

# Closed: nothing listens on the port "discard".
NOWHERE = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_ALLOW_HTTP": "true",
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "y",
    "max_retries": "0",
}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "table"


def manager(mode: Any = "append", **options: Any) -> PolarsDeltaIoManager:
    return PolarsDeltaIoManager("unused", mode=mode, **options)


def values(table: Path, **options: Any) -> list[int]:
    """The column as a task would read it."""
    found = manager().read(wanted(table, **options))
    assert isinstance(found, pl.DataFrame)
    return sorted(found["x"])


def with_features(
    table: Path,
    *features: str,
    reader: tuple[str, ...] = (),
    configuration: dict[str, str] | None = None,
    written: bool = False,
) -> None:
    """A table of one row, or the one that is `written`, to which another writer has given these features."""
    if not written:
        manager().write(output(table, receipt("0")), frame(1))
    log = table / "_delta_log" / f"{0:020}.json"
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    protocol = {"minReaderVersion": 3 if reader else 1, "minWriterVersion": 7, "writerFeatures": [*features]}
    if reader:
        protocol["readerFeatures"] = [*reader]
    for action in actions:
        if "protocol" in action:
            action["protocol"] = protocol
        if "metaData" in action:
            action["metaData"]["configuration"] |= configuration or {}
    log.write_text("".join(json.dumps(action) + "\n" for action in actions))


@pytest.mark.parametrize(
    "feature", ["rowTracking", "clustering", "domainMetadata", "identityColumns", "icebergCompatV2"]
)
def test_a_table_that_can_not_be_written_is_named_with_its_features_before_the_function_runs(
    table: Path, feature: str
) -> None:
    """Preflight names each feature that delta-rs lacks, and the way out."""
    with_features(table, "appendOnly", feature)
    with pytest.raises(RunError) as refused:
        manager().preflight(output(table))
    assert f"has the feature {feature}, which delta-rs" in str(refused.value)
    assert "SparkDeltaIoManager" in str(refused.value)


def test_all_features_are_named(table: Path) -> None:
    """Two features that delta-rs lacks are one message."""
    with_features(table, "rowTracking", "appendOnly", "domainMetadata", "clustering")
    with pytest.raises(RunError, match=r"features rowTracking, domainMetadata, clustering, which"):
        manager("overwrite").preflight(output(table))


def test_features_that_delta_rs_has_are_no_obstacle(table: Path) -> None:
    """A table with features that delta-rs can write is written."""
    with_features(table, "appendOnly", "invariants", "changeDataFeed", "timestampNtz", reader=("timestampNtz",))
    manager().preflight(output(table))
    manager().write(output(table), frame(2))
    assert values(table) == [1, 2]


@pytest.mark.parametrize("feature", ["columnMapping", "typeWidening", "v2Checkpoint", "someFutureFeature"])
def test_a_table_that_can_not_be_read_is_named_with_its_features(table: Path, feature: str) -> None:
    """A read names the feature that Polars lacks, and the way out."""
    with_features(table, feature, reader=(feature,))
    with pytest.raises(RunError, match=rf"(?s)has the feature {feature}, which .* can't read.*SparkDeltaIoManager"):
        manager().read(wanted(table))


@pytest.mark.parametrize("feature", ["columnMapping", "someFutureFeature"])
@pytest.mark.parametrize("kind", [pl.Int64, pl.Decimal(38, 0)])
def test_rows_that_can_not_be_read_are_not_judged(table: Path, feature: str, kind: Any) -> None:
    """With long decimals files are read by their names: all values of mapped columns would be null."""
    manager().write(output(table, receipt("0")), frame(1).with_columns(pl.col("x").cast(kind)))
    with_features(table, feature, reader=(feature,), written=True)
    expecting = PolarsDeltaIoManager(table.parent, expect={"it": "x = 1"}).table(table.name)
    with pytest.raises(RunError, match=rf"(?s)has the feature {feature}, which .* can't read.*SparkDeltaIoManager"):
        expecting.outcomes_there(output(table))


def test_an_append_only_table_refuses_an_overwrite_before_the_function_runs(table: Path) -> None:
    """`delta.appendOnly` and mode="overwrite" are named together; an append passes."""
    with_features(table, "appendOnly", configuration={"delta.appendOnly": "true"})
    with pytest.raises(RunError, match=r'append-only .* mode="overwrite"'):
        manager("overwrite").preflight(output(table))
    manager().preflight(output(table))
    manager().write(output(table), frame(2))


def test_a_version_that_has_been_vacuumed_says_so(table: Path) -> None:
    """A pinned read of a version whose files are gone names the version and what to do."""
    for run, mode in (("1", "append"), ("2", "overwrite"), ("3", "overwrite")):
        manager(mode).write(output(table, receipt(run)), frame(int(run)))
    DeltaTable(str(table)).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    with pytest.raises(
        RunError, match=r"version 1 of .*, which this run's producer wrote, can't be read any more"
    ) as gone:
        manager().read(wanted(table, receipt("2")))
    assert "vacuumed" in str(gone.value)
    assert values(table, producer=receipt("3")) == [3]


def test_a_version_whose_log_has_been_cleaned_says_so(table: Path) -> None:
    """A pinned read of a version that the log no longer has is no read of another one."""
    for run in ("1", "2", "3"):
        manager("overwrite").write(output(table, receipt(run)), frame(int(run)))
    opened = DeltaTable(str(table))
    opened.create_checkpoint()
    for version in (0, 1):
        (table / "_delta_log" / f"{version:020}.json").unlink()
    with pytest.raises(RunError, match="the commit with its receipt has been cleaned from the log"):
        manager().read(wanted(table, receipt("2")))


def test_storage_that_can_not_be_reached_says_so(table: Path) -> None:
    """Reading and writing name the place, and that it can't be reached."""
    there = manager(storage_options=NOWHERE)
    for attempt in (
        lambda: there.read(InputContext("s3://bucket/x", annotation=pl.DataFrame)),
        lambda: there.preflight(OutputContext("s3://bucket/x", RECEIPT)),
    ):
        with pytest.raises(RunError, match=r"the storage of s3://bucket/x can't be reached"):
            attempt()


def test_a_kind_of_storage_that_nobody_knows_says_so() -> None:
    """A misspelt scheme is named."""
    with pytest.raises(RunError, match=r"s4://bucket/x is of a kind that delta-rs does not know"):
        manager().read(InputContext("s4://bucket/x", annotation=pl.DataFrame))


def test_a_file_where_the_table_should_be_says_so(table: Path) -> None:
    """A path that is a file can't be a table."""
    table.write_text("not a table")
    with pytest.raises(RunError, match="there is a file where its folder should be"):
        manager().write(output(table), frame(1))


@pytest.mark.parametrize("rule", ["year(x) > 0", "x rlike '1'"])
def test_a_constraint_that_only_spark_can_evaluate_says_so(tmp_path: Path, rule: str) -> None:
    """Spark has made it, and delta-rs knows neither all functions of Spark nor all operators."""
    made = DeltaTable.create(str(tmp_path / "t"), pl.DataFrame(schema={"x": pl.String}).to_arrow().schema)
    made.alter.add_constraint({"rule": "x = 'old'"})
    log = tmp_path / "t" / "_delta_log" / f"{1:020}.json"
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    for action in actions:
        if "metaData" in action:
            action["metaData"]["configuration"]["delta.constraints.rule"] = rule
    log.write_text("\n".join(map(json.dumps, actions)))
    io = PolarsDeltaIoManager("unused", mode="append")
    with pytest.raises(RunError, match="delta-rs can't evaluate a rule of the table"):
        io.write(output(tmp_path / "t"), pl.DataFrame({"x": ["1"]}))


def test_a_damaged_log_says_so(table: Path) -> None:
    """A log that is no JSON is named as damaged."""
    manager().write(output(table), frame(1))
    (table / "_delta_log" / f"{1:020}.json").write_text('{"add": {"path"')
    with pytest.raises(RunError, match=r"the log of .* is damaged"):
        manager().read(wanted(table))


def test_values_too_large_for_delta_name_the_column(table: Path) -> None:
    """An unsigned value that no signed type of the table holds is refused with column and value."""
    manager().write(output(table, receipt("1")), pl.DataFrame({"x": [1]}, schema={"x": pl.Int64}))
    with pytest.raises(RunError) as refused:
        manager().write(output(table, receipt("2")), pl.DataFrame({"x": [2**63]}, schema={"x": pl.UInt64}))
    assert "`x`" in str(refused.value)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    ("dtype", "value", "named"),
    [
        (pl.Struct({"a": pl.UInt64, "b": pl.UInt8}), {"a": 2**63, "b": 1}, "s.a"),
        (pl.List(pl.UInt64), [1, 2**63], "s"),
        (pl.List(pl.Struct({"x": pl.Struct({"a": pl.UInt64})})), [{"x": {"a": 2**63}}], "s.x.a"),
    ],
)
def test_nested_values_too_large_name_their_column(
    table: Path, dtype: pl.DataType, value: object, named: str, lazy: bool
) -> None:
    """A field is named with the column that it is in, also beside a column of its own name."""
    data = pl.DataFrame({"a": [1], "s": [value]}, schema={"a": pl.Int64, "s": dtype})
    with pytest.raises(RunError, match=rf"the column `{named}` has the value {2**63}"):
        manager().write(output(table), data.lazy() if lazy else data)


def test_a_partition_value_too_long_for_a_folder_says_so(table: Path) -> None:
    """A partition value that no file system takes as a name is refused with the reason."""
    with pytest.raises(RunError, match="too long for a folder's name"):
        manager(partition_by="x").write(output(table), pl.DataFrame({"x": ["long" * 200], "y": [1]}))


@pytest.mark.parametrize("pinned", [False, True])
@pytest.mark.parametrize("damage", ["gone", "rubbish", "short"])
def test_a_data_file_that_is_gone_or_damaged_says_so(table: Path, damage: str, pinned: bool) -> None:
    """A DataFrame of it is one sentence with the table and its version, whatever Polars makes of the file."""
    io = PolarsDeltaIoManager("unused", mode="append")
    io.write(output(table), frame(*range(5000)))
    (file,) = table.glob("*.parquet")
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(b"rubbish" * 9 if damage == "rubbish" else content[: len(content) // 2])
    with pytest.raises(RunError, match=rf"version 0 of {table} can't be read: "):
        io.read(wanted(table, receipt() if pinned else None))


def test_no_message_shows_credentials_of_an_address(table: Path) -> None:
    """What stands before the @ of an endpoint, and a signature behind the ? of one, are left out."""
    for uri, endpoint in (
        ("s3://bucket/t", "http://user:hunter2@127.0.0.1:9"),
        ("s3://bucket/t", "http://127.0.0.1:9"),
    ):
        options = {
            "aws_endpoint_url": endpoint,
            "aws_access_key_id": "hunter2",
            "aws_secret_access_key": "hunter2",
            "aws_session_token": "hunter2",
            "aws_allow_http": "true",
            "aws_region": "x",
            "max_retries": "0",
        }
        with pytest.raises(RunError, match="can't be reached") as refused:
            PolarsDeltaIoManager("unused", storage_options=options).read(InputContext(uri))
        assert "hunter2" not in str(refused.value)
    text = storage.said(RuntimeError("GET https://a.net/x?sv=1&sig=hunter2 failed"))
    assert text == "GET https://a.net/x?... failed"


def test_options_that_write_deltalake_lacks_are_named_before_the_function_runs(table: Path) -> None:
    """With the nearest that it has."""
    io = PolarsDeltaIoManager("unused", mode="append", delta_write_options={"target_file_sise": 1})
    with pytest.raises(RunError, match=r"(?s)`target_file_sise`.*did you mean `target_file_size`"):
        io.preflight(output(table))


def test_no_message_shows_a_secret_that_the_task_has_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has put it into an error: delta-rs, the storage, the author's own path."""
    monkeypatch.setenv("DBXDEC_SECRET_SCOPE_KEY", "hunter2")
    with masking.scope():
        assert secret("scope", "key").value() == "hunter2"
        assert storage.said(OSError("no account hunter2 here")) == "no account [secret] here"
        long = "x" * 290 + "hunter2" * 3
        assert "hunt" not in storage.said(OSError(long))
    assert storage.said(OSError("no account hunter2 here")) == "no account hunter2 here"


@pytest.mark.parametrize("base", ["~", "~/lake", "file:/lake", "a\tb", "a\nb"])
def test_a_path_of_which_files_and_log_would_lie_apart_is_refused_before_the_function_runs(base: str) -> None:
    """Polars knows `~` and `file:/`, delta-rs doesn't, and it has no control characters."""
    manager = PolarsDeltaIoManager(base, mode="append")
    with pytest.raises(RunError, match="can't be a Delta table"):
        manager.preflight(OutputContext(manager.uri("t"), RECEIPT, ("polars.DataFrame",)))


@pytest.mark.parametrize("folder", ["copy [1]", "a|b", "a^b", "a%20b"])
def test_a_relative_place_below_a_folder_that_delta_rs_misreads_is_refused_before_the_function_runs(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of `a%20b` it would commit into `a b`, which may be another copy of the project."""
    (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / folder)
    manager = PolarsDeltaIoManager("lake", mode="append")
    with pytest.raises(
        RunError, match=r"lake/t can't be a Delta table in .*(copy \[1\]|a.*b)/: delta-rs misreads"
    ) as error:
        manager.preflight(OutputContext(manager.uri("t"), RECEIPT, ("polars.DataFrame",)))
    assert "move the project" in str(error.value)


def test_the_folder_of_the_project_is_named_where_remote_places_are_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has written it as a `base_path`."""
    monkeypatch.setenv(places.ROOT, "/home/me/copy [1]/.dbxdec/lake")
    manager = PolarsDeltaIoManager("s3://bucket", mode="append")
    with pytest.raises(RunError, match=r"(?s)/copy \[1\]/.*misreads \[ and \].*name one by `--root`"):
        manager.preflight(OutputContext(places.here(manager.uri("t")), RECEIPT, ("polars.DataFrame",)))
