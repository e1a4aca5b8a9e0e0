"""The cost of looking at 5,000 runs that are kept, and of finding the one to resume."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from local_run import DBXDEC
from measure import Budget, Line, Pair, paired, peak_of, quietly

from dbxdec.local import ledger
from dbxdec.local.history import Run
from projects import Project, shop

RUNS = 5_000


def kept(folder: Path) -> Iterator[Pair | Line]:
    """Commands in a project with 5,000 runs, over a bare Python; `run --resume` over the same without the 5,000."""
    few, many = _ran(folder / "few"), _ran(folder / "many")
    _copied(ledger.find(many.root, "last"), RUNS - 1)
    for arguments in (("runs",), ("runs", "show", "last"), ("runs", "--job", "none")):
        yield paired(
            f"dbxdec {' '.join(arguments)}, {RUNS:,} runs",
            "a bare Python",
            Budget("more", 300),
            partial(quietly, *DBXDEC, *arguments, cwd=many.root),
            partial(quietly, sys.executable, "-c", "", cwd=many.root),
            9,
        )
    # The oldest of all: each of the others is looked at.
    resume = "from dbxdec.local import earlier; earlier.find(home.home(), 'sales', '', str)"
    resume = f"from dbxdec.cli import home; {resume}"
    for root in (few.root, many.root):
        oldest = min((root / ".dbxdec/runs").iterdir(), key=lambda path: int(path.name))
        head = json.loads((oldest / "run.json").read_text(encoding="utf-8"))
        head["end"]["state"] = "failed"
        (oldest / "run.json").write_text(json.dumps(head), encoding="utf-8")
    yield paired(
        f"finding the run to --resume, {RUNS:,} runs",
        "of one run",
        Budget("more", 300),
        partial(quietly, sys.executable, "-c", resume, cwd=many.root),
        partial(quietly, sys.executable, "-c", resume, cwd=few.root),
        9,
    )
    peak = peak_of("listing", "listed", str(many.root))
    yield Line(f"memory of a list of {RUNS:,} runs: {peak.peak - peak.before:.0f} MB more than before")


def _ran(root: Path) -> Project:
    project = shop(root)
    quietly(*DBXDEC, "run", "sales", cwd=root)
    return project


def _copied(run: Run, times: int) -> None:
    names = ("run.json", "definition.json", "events.jsonl")
    files = {name: (run.folder / name).read_bytes() for name in names}
    for n in range(1, times + 1):
        folder = run.folder.with_name(str(int(run.id) - n))
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
