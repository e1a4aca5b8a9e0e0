"""Writers that are killed: real processes, at random moments and at chosen ones, and retried until they are through.

The writers are forks of one process that has imported the libraries and used none of their threads, so that hundreds of
them start in seconds.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KINDS = ("append", "merge", "overwrite", "partitions", "replace", "news")
_POINTS = ("before", "after")


@dataclass(frozen=True)
class Ordeal:
    """What became of one table: how many writers were killed before they were through, of how many runs."""

    kills: int
    runs: int


def endure(kind: str, table: Path, kills: int, seed: int) -> Ordeal:
    """Write run after run of `kind`, each retried to its end, until `kills` writers have been killed on the way."""
    chance = random.Random(seed)  # noqa: S311
    with Template() as template:
        template.write(kind, table, 0, 1)
        began = time.monotonic()
        template.write(kind, table, 0, 2)
        usual = time.monotonic() - began
        killed, run = 0, 0
        while killed < kills:
            run, attempt = run + 1, 1
            for _ in range(chance.choice((1, 1, 2))):  # some are killed twice
                how: dict[str, Any] = {"delay": chance.uniform(0, usual)}
                if chance.random() < 0.2:
                    how = {"point": chance.choice(_POINTS)}
                died = template.write(kind, table, run, attempt, **how)
                killed += died
                attempt += 1
            template.write(kind, table, run, attempt)
        return Ordeal(killed, run)


class Template:
    """The process of which writers are forked."""

    def __enter__(self) -> Template:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def write(self, kind: str, table: Path, run: int, attempt: int, **how: Any) -> bool:
        """One attempt of one run; whether it was killed. One that fails by itself is an error of the test."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([kind, str(table), run, attempt, how]), file=self._process.stdin, flush=True)
        code = int(self._process.stdout.readline())
        assert code in (0, -signal.SIGKILL), f"{kind} run {run} attempt {attempt} {how} ended with {code}"
        return code != 0

    def together(self, kind: str, table: Path, runs: list[int]) -> None:
        """A writer for each of `runs`, all at once; each has to succeed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([kind, str(table), runs, 1, {}]), file=self._process.stdin, flush=True)
        codes = json.loads(self._process.stdout.readline())
        assert codes == [0] * len(runs)


def expected(kind: str, runs: int) -> list[tuple[Any, ...]]:
    """The rows after the runs 0 to `runs`, each once."""
    match kind:
        case "append" | "news":
            return sorted((run, i) for run in range(runs + 1) for i in range(20))
        case "merge":
            return [(0, runs + 1), *((1000 + run, 1) for run in range(runs + 1))]
        case "overwrite":
            return sorted((runs, i) for i in range(20))
        case _:
            newest = {run % 3: run for run in range(runs + 1)}
            return sorted((part, run * 20 + i) for part, run in newest.items() for i in range(20))


def _write(kind: str, table: str, run: int, attempt: int) -> None:
    import polars as pl

    from dbxdec.io_managers import DeltaMerge, PolarsDeltaIoManager
    from delta_tools import output, receipt

    context = output(
        Path(table), receipt(str(run), attempt=attempt), ("dbxdec.DeltaMerge",) if kind == "merge" else None
    )
    lazy = run % 2 == 1
    if kind == "news":
        _read_on(Path(table), run, attempt)
        return
    if kind == "merge":
        source = pl.DataFrame({"id": [0, 1000 + run], "n": [1, 1]})
        value: Any = DeltaMerge(source.lazy() if lazy else source, on="id")
        value = value.when_matched_update({"n": "target.n + source.n"}).when_not_matched_insert_all()
        PolarsDeltaIoManager("unused").write(context, value)
        return
    part = run % 3
    columns: dict[str, list[int]] = {"run": [run] * 20, "i": [*range(20)]}
    if kind in ("partitions", "replace"):
        columns = {"part": [part] * 20, "v": [run * 20 + i for i in range(20)]}
    modes: dict[str, dict[str, Any]] = {
        "append": {"mode": "append"},
        "overwrite": {"mode": "overwrite"},
        "partitions": {"mode": "overwrite", "partition_by": "part"},
        "replace": {"mode": "overwrite", "replace": {"part": part}},
    }
    frame = pl.DataFrame(columns)
    # With an option of its own delta-rs writes the rows, without one Polars does: they take turns.
    options: dict[str, Any] = {"delta_write_options": {"target_file_size": 2**27}} if run % 4 >= 2 else {}
    PolarsDeltaIoManager("unused", **modes[kind], **options).write(context, frame.lazy() if lazy else frame)


def _read_on(table: Path, run: int, attempt: int) -> None:
    """Add the rows of a run to a source, once, and append what is new there to the table."""
    import polars as pl

    import consumers
    from dbxdec.io_managers import PolarsDeltaIoManager
    from delta_tools import output, receipt

    source, io = table.parent / "source", PolarsDeltaIoManager("unused", mode="append")
    frame = pl.DataFrame({"run": [run] * 20, "i": [*range(20)]})
    io.write(output(source, receipt(str(run), attempt=attempt)), frame)
    consumer = consumers.Consumer({"result": (io, table)}, {"rows": (io, source)})
    consumers.run(consumer, str(run), number=attempt)


def _die_at(point: str | None) -> None:
    """Have this process end itself just before or after its commit."""
    from dbxdec.io_managers.delta.polars import once, rows, table_log

    def die(*_: Any, **__: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    if point == "before":
        table_log.commit_properties = die
    elif point == "after":
        once.result_of = die
        rows.committed = die


def _serve() -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    import polars.io.delta  # noqa: F401

    import delta_tools  # noqa: F401

    for line in sys.stdin:
        kind, table, run, attempt, how = json.loads(line)
        runs = run if isinstance(run, list) else [run]
        pids = [_fork(kind, table, one, attempt, how.get("point")) for one in runs]
        codes = [os.waitstatus_to_exitcode(_end(pid, how.get("delay"))) for pid in pids]
        print(json.dumps(codes if isinstance(run, list) else codes[0]), flush=True)


def _fork(kind: str, table: str, run: int, attempt: int, point: str | None) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            _die_at(point)
            _write(kind, table, run, attempt)
            os._exit(0)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
            print(error, file=sys.stderr, flush=True)
            os._exit(1)
    return pid


def _end(pid: int, delay: float | None) -> int:
    """The status of the writer, killed after `delay` seconds where it is not through by then."""
    until = time.monotonic() + (delay or 0)
    while delay is not None and time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        time.sleep(0.0005)
    if delay is not None:
        os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


if __name__ == "__main__":
    _serve()
