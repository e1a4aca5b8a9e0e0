"""Names of tables: a path below `base_path`, or a name of a catalog, and nothing that leads elsewhere."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbxdec import bundle_variable, job, task
from dbxdec.errors import DbxdecError, RunError
from dbxdec.io_managers import (
    IoManager,
    PolarsCsvIoManager,
    PolarsDeltaIoManager,
    SparkDeltaIoManager,
    SparkParquetIoManager,
    SparkTableIoManager,
    names,
)
from dbxdec.io_managers.contexts import InputContext, OutputContext
from dbxdec.model import variables
from dbxdec.testing import run_job

PATHS: list[type[Any]] = [PolarsDeltaIoManager, PolarsCsvIoManager, SparkDeltaIoManager, SparkParquetIoManager]


@pytest.mark.parametrize("name", ["gold/orders@v1", "orders@V12", "orders@20240131000000000"])
def test_a_delta_table_is_not_called_as_a_version_of_another(name: str) -> None:
    """Spark would read that version; other managers, and an `@` elsewhere, mean nothing by it."""
    for kind in (PolarsDeltaIoManager, SparkDeltaIoManager):
        with pytest.raises(DbxdecError, match=f"{name}' ends like a version") as error:
            kind("/lake").table(name)
        assert str(error.value.problems[0].hint).endswith(f": name it '{name.replace('@', '_')}'")
        assert kind("/lake").table(f"{name}/x").is_table
        assert kind("/lake").table(f"{name}b").is_table
    assert PolarsCsvIoManager("/lake").table(name).is_table


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../../../outside/t", "leads out of `base_path`"),
        ("gold/../../t", "leads out of `base_path`"),
        ("..", "leads out of `base_path`"),
        ("/outside/t", "is absolute"),
        ("//host/share", "is absolute and has an empty part"),
        ("s3://bucket/t", "starts like a URL or a drive"),
        ("dbfs:/t", "starts like a URL or a drive"),
        ("file:t", "starts like a URL or a drive"),
        ("C:\\t", "starts like a URL or a drive and has a backslash"),
        ("c:t", "starts like a URL or a drive"),
        ("gold\\..\\t", "has a backslash"),
        ("{job}/t", "has braces"),
        ("gold/{task}", "has braces"),
        ("${bundle.name}/t", "has braces"),
        ("gold//t", "has an empty part"),
        ("gold/", "has an empty part"),
        ("/", "is absolute and has an empty part"),
        ("a\0b", "has a control character"),
        ("a\n", "has a control character"),
        ("gold/t.", "ends with a dot"),
        ("./t", "ends with a dot"),
        ("gold/.../t", "ends with a dot"),
        (" t", "starts or ends with a space"),
        ("gold /t", "starts or ends with a space"),
        ("t/_delta_log", "`_delta_log`, which is reserved"),
        ("t/_dbxdec/x", "`_dbxdec`, which is reserved"),
    ],
)
def test_a_path_that_leads_elsewhere_is_refused_where_it_is_written(kind: Any, name: str, said: str) -> None:
    """In one sentence, for tables of Delta and files; a manager of its own with paths is held to the same."""
    with pytest.raises(DbxdecError) as error:
        kind("lake").table(name)
    assert len(error.value.problems) == 1
    assert said in str(error.value)
    assert repr(name) in str(error.value)


@pytest.mark.parametrize("name", ["orders", "gold/orders", "a b", "größe", "a-b_c.d", "_x", "v1.2/t", "a#b", "10%"])
def test_names_that_lead_nowhere_else_are_taken(name: str) -> None:
    """Letters of any language, spaces and dots inside, and deeper folders."""
    assert PolarsDeltaIoManager("lake").table(name).template("job", "task") == f"lake/{name}"


@given(name=st.text(st.sampled_from("./\\: ab{}\0~"), min_size=1, max_size=8))
def test_what_is_taken_stays_below_its_base(name: str) -> None:
    """Whatever the name is put together of."""
    if names.of_path(name):
        return
    base = Path("/lake")
    assert (base / name).is_absolute()
    assert Path(*(base / name).resolve().parts[:2]) == base
    assert base in (base / name).resolve().parents


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../orders", "a slash"),
        ("gold/orders", "a slash"),
        ("`gold`.`orders`", "a backtick"),
        ("gold orders", "a space"),
        ("gold..orders", "has an empty part"),
        (".orders", "has an empty part"),
        ("orders.", "has an empty part"),
        ("a.b.c.d", "has 4 parts"),
        ("{job}.orders", "has braces"),
        ("a\0", "has a control character"),
    ],
)
def test_a_catalog_has_names_of_its_own(name: str, said: str) -> None:
    """What is no table, schema and table, or catalog, schema and table is refused in one sentence."""
    with pytest.raises(DbxdecError) as error:
        SparkTableIoManager("main.gold").table(name)
    assert said in str(error.value)
    for right in ("orders", "gold.orders", "main.gold.orders", "größe", "a-b"):
        SparkTableIoManager("main.gold").table(right)


def test_a_variables_value_is_looked_at_in_the_run(tmp_path: Path) -> None:
    """What the name becomes must not lead elsewhere either: for tasks that write it, read it, or ask for its place."""
    lake = PolarsDeltaIoManager(tmp_path / "lake", mode="overwrite")
    table = lake.table(bundle_variable("name") / "t")
    for value, fits in (("gold", True), ("../outside", False), ("s3://bucket", False)):
        with variables.using({"name": value}):
            if fits:
                assert table.uri() == f"{tmp_path}/lake/gold/t"
            else:
                with pytest.raises(RunError, match="the table name"):
                    table.uri()

    @job
    def nightly() -> None:
        @task(io_manager=table)
        def write() -> pl.DataFrame:
            return pl.DataFrame({"x": [1]})

        write()

    with pytest.raises(RunError, match="leads out of `base_path`"):
        run_job(nightly, in_memory=False, variables={"name": "../outside"})
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize("below", ["", "bronze", "{job}"])
def test_an_empty_variable_is_no_start_of_a_path(kind: Any, below: str) -> None:
    """The tables would be in the root folder of the machine."""
    root = bundle_variable("root")
    lake = kind(base_path=root / below if below else root).table("orders")
    for value in ("", " "):
        with (
            variables.using({"root": value}, live=True),
            pytest.raises(RunError, match=r"begins with the empty value of `root`"),
        ):
            lake.check_name()
    with variables.using({"root": "/lake"}):
        lake.check_name()


def test_a_manager_without_paths_names_what_it_likes() -> None:
    """Only below a `base_path` is a name a path."""

    class Api(IoManager):
        def read(self, context: InputContext) -> Any:
            return None

        def write(self, context: OutputContext, value: Any) -> None:
            return None

    Api().table("https://host/../x")
    with_paths = copy.copy(Api())
    with_paths.base_path = "lake"
    with pytest.raises(DbxdecError, match="leads out of"):
        with_paths.table("../x")
