"""Clients of a locked Spark Connect server that are killed right after a commit, while the server goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import spark_tools
from dbxdec import DeltaMerge
from dbxdec.io_managers import SparkDeltaIoManager, SparkTableIoManager
from repository import TESTS
from spark_tools import IS_CONNECT, Place, needs_own_spark, receipt, rows, wanted

pytestmark = [
    *needs_own_spark,
    pytest.mark.connect,
    pytest.mark.skipif(not IS_CONNECT, reason="connect: the tests of Connect run it"),
]
spark = spark_tools.spark

PROGRAM = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    tools, remote, kind, uri, folder, action, last = sys.argv[1:]
    sys.path.insert(0, tools)
    from pyspark.sql import SparkSession
    from pyspark.sql.connect.client import SparkConnectClient
    import spark_tools, test_spark_connect_crash as crash

    spark = SparkSession.builder.remote(remote).getOrCreate()
    spark_tools.lock(spark)
    log = Path(folder, "_delta_log")

    def commits():
        return len([*log.glob("*.json")])

    for name in ("_execute", "_execute_and_fetch"):
        genuine = getattr(SparkConnectClient, name)

        def call(*args, genuine=genuine, **options):
            answer = genuine(*args, **options)
            if commits() >= int(last):
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        setattr(SparkConnectClient, name, call)
    place = spark_tools.Place(spark, uri, crash.KINDS[kind])
    print(crash.ACTIONS[action](place, 1), flush=True)
    """
)


def adding(place: Place, attempt: int) -> str:
    """A merge that adds to what is there, and so shows if it ran twice."""
    merge = DeltaMerge(place.pairs((1, 5), (2, 2)), on="k").when_matched_update({"x": "target.x + source.x"})
    return place.write("append", "1", merge.when_not_matched_insert_all(), attempt).note


def replacing(place: Place, attempt: int) -> str:
    return place.write("overwrite", "1", place.pairs((1, 5)), attempt, replace={"k": 1}).note


def writing(mode: str, **options: Any) -> Callable[[Place, int], str]:
    return lambda place, attempt: place.write(mode, "1", place.pairs((1, 5), (2, 2)), attempt, **options).note


KINDS = {"path": SparkDeltaIoManager, "table": SparkTableIoManager}
ACTIONS: dict[str, Callable[[Place, int], str]] = {
    "create": writing("error"),
    "append": writing("append"),
    "overwrite": writing("overwrite"),
    "replace": replacing,
    "partitions": writing("overwrite", partition_by="k"),
    "merge": adding,
    "defined": writing("append", comment="of the test", constraints={"positive": "x > 0"}),
}
BEFORE = [(1, 1), (3, 3)]
NEW = [(1, 5), (2, 2)]
# What the actions leave of a table that has `BEFORE`.
LEFT = {
    "append": sorted([*BEFORE, *NEW]),
    "overwrite": NEW,
    "replace": [(1, 5), (3, 3)],
    "partitions": [*NEW, (3, 3)],
    "merge": [(1, 6), (2, 2), (3, 3)],
    "defined": sorted([*BEFORE, *NEW]),
}
SCENES = [("create", False), *((action, there) for action in LEFT for there in (False, True))]


def run(place: Place, kind: str, folder: Path, action: str, last: int) -> bool:
    """The first attempt in a client that dies once the table has `last` commits; whether it died."""
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(TESTS)]
    done = subprocess.run(
        [*command, f"sc://{place.spark.client._builder.endpoint}", kind, place.uri, str(folder), action, str(last)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("action", "there"), SCENES)
def test_a_client_that_is_killed_after_any_commit_is_retried_to_its_end(
    spark: Any, tmp_path: Path, kind: str, action: str, there: bool
) -> None:
    """Whichever commit the kill follows, a retry leaves each row once, and the readers find them by their receipt."""
    databases = Path(spark.catalog.getDatabase("default").locationUri.removeprefix("file:"))
    kills, died = 0, True
    while died:
        name = f"t_{uuid.uuid4().hex}"
        folder = tmp_path / name if kind == "path" else databases / name
        place = Place(spark, str(folder) if kind == "path" else f"spark_catalog.default.{name}", KINDS[kind])
        if there:
            place.write("append", "0", place.pairs(*BEFORE), partition_by="k" if action == "partitions" else ())
        begun = len([*folder.glob("_delta_log/*.json")])
        died = run(place, kind, folder, action, begun + kills + 1)
        kills += died
        note = ACTIONS[action](place, 2)
        if not died and action not in ("overwrite", "replace", "partitions"):
            assert note == "already written by attempt 1"
        left = LEFT[action] if there else NEW if action != "replace" else NEW[:1]
        assert rows(place.manager().read(wanted(place.uri))) == left
        returned = left if action == "merge" else NEW if action != "replace" else NEW[:1]
        assert rows(place.manager("append").read(wanted(place.uri, receipt("1")))) == returned
    assert kills
