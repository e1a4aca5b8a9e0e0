"""The public API under strict type checkers: what authors write is accepted, their mistakes are shown in the editor."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

TYPED = Path(__file__).parent / "typed"

# (file, line)
Lines = set[tuple[str, int]]


def wrong_lines() -> Lines:
    """The lines of the samples that say that they are wrong."""
    return {
        (path.name, i)
        for path in TYPED.glob("*.py")
        for i, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if line.endswith("# wrong")
    }


def test_mypy_finds_exactly_the_mistakes() -> None:
    """mypy --strict accepts the sample pipeline, and refuses each wrong line of the other."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "right.py", "wrong.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=TYPED)
    found = re.findall(r"^(\w+\.py):(\d+): error", done.stdout, re.MULTILINE)
    assert {(name, int(line)) for name, line in found} == wrong_lines(), done.stdout + done.stderr


def test_pyright_finds_exactly_the_mistakes(tmp_path: Path) -> None:
    """pyright in strict mode does the same."""
    settings = tmp_path / "pyrightconfig.json"
    settings.write_text(json.dumps({"typeCheckingMode": "strict", "include": [str(TYPED)]}), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "basedpyright",
        "--outputjson",
        "-p",
        str(settings),
        "--pythonpath",
        sys.executable,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found: Lines = {
        (Path(entry["file"]).name, entry["range"]["start"]["line"] + 1)
        for entry in json.loads(done.stdout)["generalDiagnostics"]
        if entry["severity"] == "error"
    }
    assert found == wrong_lines(), done.stdout
