"""Many writers of one table at once: who writes another part succeeds, and who writes the same one is told."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from dbxdec.errors import RunError
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.delta import patience
from dbxdec.io_managers.delta.patience import ATTEMPTS, Patience
from dbxdec.io_managers.delta.polars import table_log
from dbxdec.io_managers.delta.polars.direct.commit import Replacement
from delta_tools import frame, output, receipt, wanted
from repository import TESTS


def part(name: str, *values: int) -> pl.DataFrame:
    return pl.DataFrame({"p": [name] * len(values), "v": values}, schema={"p": pl.String, "v": pl.Int64})


def manager(**options: Any) -> PolarsDeltaIoManager:
    return PolarsDeltaIoManager("unused", mode="overwrite", partition_by="p", **options)


def rows(table: Path) -> list[tuple[str, int]]:
    return sorted(manager().read(wanted(table)).lazy().collect().rows())


class Others:
    """Commits that others make just before each try of a write's own."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, table: Path, frames: list[pl.DataFrame], **options: Any
    ) -> None:
        self.left = frames
        commit = Replacement.commit

        def beaten(replacement: Replacement, *arguments: Any) -> None:
            if self.left:
                frame = self.left.pop(0)
                monkeypatch.setattr(Replacement, "commit", commit)
                PolarsDeltaIoManager("unused", **{"mode": "overwrite", "partition_by": "p", **options}).write(
                    output(table, receipt(f"other {len(self.left)}")), frame
                )
                monkeypatch.setattr(Replacement, "commit", beaten)
            commit(replacement, *arguments)

        monkeypatch.setattr(Replacement, "commit", beaten)
        monkeypatch.setattr(patience, "pause", lambda _: None)


@pytest.mark.slow
@pytest.mark.parametrize("replace", [None, {"p": "own"}], ids=["partition", "slice"])
def test_a_write_goes_on_while_others_write_other_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: dict[str, Any] | None
) -> None:
    """Forty commits between its tries are no reason to end: each of them is somebody's progress."""
    manager().write(output(tmp_path / "t", receipt("0")), pl.concat([part("own", 1), part("else", 1)]))
    others = Others(monkeypatch, tmp_path / "t", [part("else", number) for number in range(40)])
    manager(replace=replace).write(output(tmp_path / "t"), part("own", 2))
    assert others.left == []
    assert rows(tmp_path / "t") == [("else", 39), ("own", 2)]


@pytest.mark.parametrize(
    ("frames", "options"),
    [
        ([part("else", 3), part("own", 7)], {}),
        ([part("else", 7)], {"partition_by": None}),
        ([part("else", 3), part("own", 7)], {"mode": "append"}),
    ],
    ids=["the partition", "the whole table", "an append to the partition"],
)
def test_a_write_ends_where_another_changes_its_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frames: list[pl.DataFrame], options: dict[str, Any]
) -> None:
    """The other one's rows stay, and the task is told."""
    manager().write(output(tmp_path / "t", receipt("0")), pl.concat([part("own", 1), part("else", 1)]))
    others = Others(monkeypatch, tmp_path / "t", list(frames), **options)
    with pytest.raises(RunError, match="another writer changed"):
        manager().write(output(tmp_path / "t"), part("own", 2))
    assert others.left == []
    assert ("own", 2) not in rows(tmp_path / "t")


def test_patience_ends_where_nothing_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that is refused again and again, on a table that does not change, is not tried for ever."""
    pauses: list[int] = []
    monkeypatch.setattr(patience, "pause", pauses.append)
    moving = Patience()
    assert all(moving.lasts(version) for version in range(500))
    assert max(pauses) == pauses[-1] == 3
    tries = 0
    while moving.lasts(499):
        tries += 1
    assert tries == ATTEMPTS - 1
    endless = Patience()
    assert sum(endless.lasts(version) for version in range(2000)) < 1000


WRITER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from threading import Thread
    sys.path.insert(0, sys.argv[1])
    import deltalake, polars as pl
    from dbxdec.io_managers import PolarsDeltaIoManager
    from delta_tools import output, receipt

    table, kind, first = Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    OPTIONS = {"delta_write_options": {"target_file_size": 2**27}} if kind.endswith("delta-rs") else {}

    def write(number):
        data = pl.DataFrame({"p": [f"p{number}"], "v": [number]})
        how = {"mode": "append"} if kind.startswith("append") else {"mode": "overwrite", "partition_by": "p"}
        if kind.startswith("slice"):
            how["replace"] = {"p": f"p{number}"}
        io = PolarsDeltaIoManager("unused", **how, **OPTIONS)
        for run in range(2):
            try:
                io.write(output(table, receipt(f"{number}-{run}")), data.lazy() if number % 2 else data)
            except BaseException as error:
                print(number, run, repr(error), flush=True)

    print("ready", flush=True)
    sys.stdin.readline()
    threads = [Thread(target=write, args=(number,)) for number in range(first, first + 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    """
)


@pytest.mark.parametrize("kind", ["partition", "slice", "append", "partition through delta-rs"])
@pytest.mark.sampled(1)
def test_twenty_writers_of_twenty_parts_all_succeed(tmp_path: Path, kind: str) -> None:
    """In four processes at once, on a table that none of them finds; each writes its part twice."""
    here = str(TESTS)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, here, str(tmp_path / "t"), kind, str(first)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for first in range(0, 20, 5)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate()[0] for process in processes]
    assert said == [""] * 4
    times = 2 if kind == "append" else 1
    assert rows(tmp_path / "t") == sorted([(f"p{number}", number) for number in range(20)] * times)


def test_a_commit_is_found_after_those_of_others_that_were_faster(tmp_path: Path) -> None:
    """The write says its own version, and a merge that has its receipt gets no second one."""
    path = tmp_path / "table"
    manager = PolarsDeltaIoManager(tmp_path, mode="append")
    manager.write(output(path, receipt("1")), frame(1))
    before = DeltaTable(str(path))
    manager.write(output(path, receipt("2")), frame(2))
    manager.write(output(path, receipt("3")), frame(3))
    found = table_log.committed_by(before, receipt("3"), after=before.version())
    assert found is not None
    assert (found.version, found.receipt.id.run, before.version()) == (2, "3", 2)
    assert table_log.committed_by(before, receipt("4"), after=0) is None
