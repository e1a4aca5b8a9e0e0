"""A local Spark with Delta, and what tests write and read with it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from dbxdec.io_managers.contexts import InputContext, OutputContext, Receipt, WriteId, WriteResult
from dbxdec.io_managers.delta.spark.catalog import SparkTableIoManager
from dbxdec.io_managers.delta.spark.manager import SparkDelta, SparkDeltaIoManager
from thorough import THOROUGH

if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
    MISSING = "Java is not installed"
elif importlib.util.find_spec("delta") is None:
    MISSING = "delta-spark is not installed"
else:
    MISSING = ""

# One worker process of pytest-xdist takes all tests of Spark: each process would start a JVM of its own.
needs_spark = [
    pytest.mark.spark,
    pytest.mark.sampled(1),
    pytest.mark.xdist_group("spark"),
    pytest.mark.skipif(bool(MISSING), reason=f"spark: {MISSING}"),
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas"),
]

# Versions between 4.0 and 4.2 were not tried.
MAKES_COLUMNS = not MISSING and importlib.metadata.version("pyspark") >= "4.2"
# A quick run has few tests over Connect: another JVM would take longer to warm up than to run them.
SERVES = MAKES_COLUMNS and not THOROUGH
needs_made_columns = pytest.mark.skipif(
    not MAKES_COLUMNS, reason="spark 4.2: older ones have no SQL for identity and generated columns"
)

# Those that start a Spark of their own take as long as dozens of others.
needs_own_spark = [*needs_spark, pytest.mark.slow]

WORLD = "DBXDEC_SPARK"
"""The environment variable that says through which kind of session the tests of this process go."""
IS_CONNECT = os.environ.get(WORLD) == "connect"
SERVER = "DBXDEC_SPARK_SERVER"
"""The environment variable that names a server of Spark Connect; without it a process starts one of its own."""

SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
}
# Tests run each query once, on few rows: what makes the second one quick costs more than it gives.
_ONCE = {
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.driver.memory": "3g",  # in `make test-all` one JVM keeps what Delta knows of thousands of tables
}
_PORT = "spark.connect.grpc.binding.port"
RECEIPT = Receipt(WriteId("1", "job", "77", "task"), attempt=1, build="b" * 64, parameters="p")


def _settings(temporary: Path, *, once: bool = True) -> dict[str, str]:
    """The settings of a session that leaves its files, 90 MB of them, in a folder that goes with its test."""
    temporary.mkdir(exist_ok=True)
    settings, options = {**SETTINGS, **(_ONCE if once else {})}, "spark.driver.extraJavaOptions"
    java = f"{settings.get(options, '')} -Djava.io.tmpdir={temporary}".strip()
    return {**settings, "spark.local.dir": str(temporary), options: java}


def defaults(folder: Path) -> dict[str, str]:
    """The environment of a process whose Spark has the settings, as a cluster's has its own."""
    folder.mkdir()
    lines = [f"{name} {value}\n" for name, value in _settings(folder / "temporary").items()]
    (folder / "spark-defaults.conf").write_text("".join(lines), encoding="utf-8")
    return {"SPARK_CONF_DIR": str(folder)}


def start(warehouse: Path, jars: str = "", *, once: bool = True, serves: bool = False) -> Any:
    """A session of this process, with Delta: its jars are `jars`, or come through Ivy.

    Without `once` it is for queries that run often or on many rows, with Spark's own settings for that. With `serves`
    its JVM is a server of Spark Connect, too.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PySpark's own imports warn about newer libraries
        from delta import configure_spark_with_delta_pip
        from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[2]").config("spark.sql.warehouse.dir", warehouse.as_uri())
    for name, value in _settings(warehouse.parent / "temporary", once=once).items():
        builder = builder.config(name, value)
    if serves:
        builder = builder.config("spark.plugins", "org.apache.spark.sql.connect.SparkConnectPlugin")
        builder = builder.config("spark.connect.grpc.binding.address", "127.0.0.1")
        builder = builder.config(_PORT, str(_free_port()))
    builder = builder.config("spark.jars", jars) if jars else configure_spark_with_delta_pip(builder)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    return spark


def server_of(spark: Any) -> str:
    """The address of the server that the JVM of a session is, which was started with `serves`."""
    return f"sc://127.0.0.1:{spark.conf.get(_PORT)}"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def start_connect(warehouse: Path) -> Any:
    """The same through Spark Connect, locked, with the server that is named, or one that PySpark starts here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from delta import configure_spark_with_delta_pip
        from pyspark.sql import SparkSession
        from pyspark.sql.connect.client.core import DefaultChannelBuilder

    os.environ["PYSPARK_PYTHON"] = sys.executable
    if server := os.environ.get(SERVER):
        spark = SparkSession.builder.remote(server).getOrCreate()
        lock(spark)
        return spark
    port = _free_port()
    # The usual port may be taken by the tests of another checkout.
    DefaultChannelBuilder.default_port = staticmethod(lambda: port)  # type: ignore[method-assign]
    builder = SparkSession.builder.remote("local[2]").config(_PORT, str(port))
    builder = builder.config("spark.sql.warehouse.dir", warehouse.as_uri())
    for name, value in _settings(warehouse.parent / "temporary").items():
        builder = builder.config(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # settings that only the server's start can make
        spark = configure_spark_with_delta_pip(builder).getOrCreate()
    lock(spark)
    return spark


# What serverless compute lets a session read and set.
_SERVERLESS = {
    "spark.databricks.execution.timeout",
    "spark.sql.ansi.enabled",
    "spark.sql.legacy.timeParserPolicy",
    "spark.sql.session.timeZone",
    "spark.sql.shuffle.partitions",
}


def lock(spark: Any) -> None:
    """Have a session refuse what serverless compute refuses: settings that it doesn't know, and kept frames.

    The requests of PySpark's own code pass.
    """
    conf, frame, session = type(spark.conf), type(spark.range(1)), type(spark)
    if hasattr(session, "dbxdec_locked"):
        return
    session.dbxdec_locked = True

    def refusing(genuine: Any) -> Any:
        def call(self: Any, key: str, *values: Any) -> Any:
            its_own = sys._getframe(1).f_globals.get("__name__", "").startswith("pyspark.")
            if key not in _SERVERLESS and not its_own:
                raise RuntimeError(f"[CONFIG_NOT_AVAILABLE] Configuration {key} is not available. SQLSTATE: 42K0I")
            return genuine(self, key, *values)

        return call

    def unkept(self: Any, *_: Any) -> Any:
        raise RuntimeError("[NOT_SUPPORTED_WITH_SERVERLESS] PERSIST TABLE is not supported on serverless compute.")

    genuine_sql = session.sql

    def sql(self: Any, query: str, *args: Any, **kwargs: Any) -> Any:
        if query.split(None, 1)[0].upper() in ("SET", "RESET"):
            raise RuntimeError("[CONFIG_NOT_AVAILABLE] Configuration is not available. SQLSTATE: 42K0I")
        return genuine_sql(self, query, *args, **kwargs)

    for name in ("get", "set", "unset"):
        setattr(conf, name, refusing(getattr(conf, name)))
    for name in ("persist", "cache"):
        setattr(frame, name, unkept)
    session.sql = sql


def receipt(run: str = "77", *, attempt: int = 1, item: str = "", **changes: Any) -> Receipt:
    """The receipt of one attempt of a task of a run."""
    return replace(RECEIPT, id=replace(RECEIPT.id, run=run, item=item), attempt=attempt, **changes)


def output(
    uri: str, given: Receipt = RECEIPT, returns: tuple[str, ...] | None = ("pyspark.DataFrame",)
) -> OutputContext:
    """What a write to `uri` is told."""
    return OutputContext(uri, given, returns)


def wanted(uri: str, producer: Receipt | None = None, **changes: Any) -> InputContext:
    """What a read of `uri` is asked for."""
    return InputContext(uri, "frame", None, producer.id if producer else None, **changes)


@dataclass(frozen=True)
class Place:
    """A table that is not there yet, at a path or in the catalog, and what tests do with it."""

    spark: Any
    uri: str
    kind: type[SparkDelta]

    def manager(self, mode: Any = "overwrite", **options: Any) -> SparkDelta:
        return self.kind("unused", mode=mode, **options)

    def bound(self) -> SparkDelta:
        """A manager bound to the table."""
        head, _, name = self.uri.rpartition("." if self.kind is SparkTableIoManager else "/")
        return self.kind(head).table(name)

    def write(self, mode: Any, run: str, value: Any, attempt: int = 1, **options: Any) -> WriteResult:
        return self.manager(mode, **options).write(output(self.uri, receipt(run, attempt=attempt)), value)

    def read(self, run: str, mode: Any = "overwrite") -> list[int]:
        """The first column of what a run's readers get, sorted."""
        return sorted(row[0] for row in self.manager(mode).read(wanted(self.uri, receipt(run))).collect())

    @property
    def stored(self) -> list[int]:
        """The first column of the newest version, sorted."""
        return sorted(row[0] for row in rows_of(self))

    def forget(self) -> None:
        """Leave the files of a managed table, and no entry of it in the catalog."""
        (row,) = self.spark.sql(f"DESCRIBE DETAIL {self.uri}").collect()
        location = Path(row["location"].removeprefix("file:"))
        location.rename(location.with_suffix(".aside"))
        self.spark.sql(f"DROP TABLE {self.uri}")
        location.with_suffix(".aside").rename(location)

    def sql(self, columns: str) -> Any:
        """A frame of one row."""
        return self.spark.sql(f"SELECT {columns}")

    def frame(self, *values: int) -> Any:
        return self.spark.createDataFrame([(value,) for value in values], "x bigint")

    def pairs(self, *values: tuple[int, int]) -> Any:
        return self.spark.createDataFrame(values, "k int, x int")

    def merge(self, *values: tuple[int, int], insert: bool = True) -> Any:
        """A merge that adds to what is there, and so shows if it ran twice."""
        from delta.tables import DeltaTable

        named = self.kind is SparkTableIoManager
        target = DeltaTable.forName(self.spark, self.uri) if named else DeltaTable.forPath(self.spark, self.uri)
        merge = target.alias("t").merge(self.pairs(*values).alias("s"), "s.k = t.k")
        merge = merge.whenMatchedUpdate(set={"x": "t.x + s.x"})
        return merge.whenNotMatchedInsertAll() if insert else merge

    def midway(self, value: str, act: Callable[[], object]) -> Any:
        """A frame of one row with `value`, whose query first lets `act` happen, once."""
        from pyspark.sql import functions

        # The query runs in another process, and this one must act: they meet in files.
        meeting = Path(tempfile.mkdtemp(prefix="dbxdec-spark-"))

        def wait(given: int) -> int:
            (meeting / "reached").touch()
            while not (meeting / "done").exists():
                time.sleep(0.01)
            return given

        def other() -> None:
            while not (meeting / "reached").exists():
                time.sleep(0.01)
            try:
                act()
            finally:
                (meeting / "done").touch()

        threading.Thread(target=other, daemon=True).start()
        return self.frame(int(value)).select(functions.udf(wait, "bigint", useArrow=False)("x").alias("x"))


def rows_of(at: Place, *names: str) -> list[tuple[Any, ...]]:
    """The rows of a table, or these columns of them, in an order that depends on no engine.

    Polars tells them where it can read the table: a look by Spark takes as long as thirty by Polars. Whether Spark
    reads what it has written is the matter of tests of its own, and of each of them in `make test-all`.
    """
    if not THOROUGH and at.kind is SparkDeltaIoManager:
        import deltalake
        import polars as pl

        try:
            frame = pl.read_delta(at.uri, columns=list(names) or None)
        except (deltalake.exceptions.DeltaError, pl.exceptions.PolarsError, FileNotFoundError):
            pass  # a feature of Spark's tables that delta-rs lacks, or a path that Polars takes for a pattern
        else:
            return sorted(frame.rows(), key=repr)
    found = at.manager().read(wanted(at.uri))
    return rows(found.select(*names) if names else found)


def rows(frame: Any) -> list[tuple[Any, ...]]:
    """A frame's rows as tuples, in an order that does not depend on Spark."""
    return sorted(map(tuple, frame.collect()), key=repr)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Any:
    warehouse = tmp_path_factory.mktemp("warehouse")
    return start_connect(warehouse) if IS_CONNECT else start(warehouse, serves=SERVES)


@pytest.fixture
def path(spark: Any, tmp_path: Path) -> Place:
    return Place(spark, str(tmp_path / "lake" / "table"), SparkDeltaIoManager)


@pytest.fixture
def table(spark: Any) -> Iterator[Place]:
    name = f"spark_catalog.default.t_{uuid.uuid4().hex}"
    yield Place(spark, name, SparkTableIoManager)
    spark.sql(f"DROP TABLE IF EXISTS {name}")


@pytest.fixture(params=["path", "table"])
def place(request: pytest.FixtureRequest) -> Place:
    """Each kind of table in turn."""
    found: Place = request.getfixturevalue(request.param)
    return found
