"""The core of the tests with the oldest versions that the extras admit: what `hatch run lowest:test` needs.

`python lowest.py pin FILE` writes these versions, and the pinned ones of everything else, as constraints.
`python lowest.py test ...` runs the core, with further arguments of pytest. Left out is what is about fields that
databricks-bundles has only since.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from repository import ROOT, TESTS

EXTRAS = ("build", "cli", "polars")
CORE = (
    *("hatchling_compat", "hook", "dynamic_version", "unbuilt", "bundle", "bundle_checks", "init", "init_texts"),
    *("lock_documents", "locking", "lock_builds"),
    *("wrong", "codegen", "run", "local", "each", "task_values", "cli_habits", "cli_resume", "inspect", "report"),
    *("variables", "polars_delta", "polars_files", "polars_schema", "delta_merge", "delta_partitions"),
    *("custom_io_manager", "testing"),
)
_NAME = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)


def pin(file: Path) -> None:
    """Write the constraints."""
    command = [
        os.environ.get("HATCH_UV", "uv"),
        "pip",
        "compile",
        "--quiet",
        "--no-header",
        "--no-annotate",
        "--resolution",
        "lowest-direct",
    ]
    command += [
        "--python-version",
        "3.11",
        *(word for extra in EXTRAS for word in ("--extra", extra)),
        "pyproject.toml",
    ]
    # The constraints of the environment are the file that is written here.
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_CONSTRAINT")}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    lowest = {name.lower() for name in _NAME.findall(done.stdout)}
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    others = [line for line in pinned if not (found := _NAME.match(line)) or found[1].lower() not in lowest]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(others) + done.stdout, encoding="utf-8")


def test(arguments: list[str]) -> int:
    """Run the core; return pytest's exit code."""
    files = [str(file) for name in CORE for file in sorted(TESTS.rglob(f"test_{name}.py"))]
    command = [sys.executable, "-m", "pytest", "-n", "auto", "--dist", "loadgroup", "-m", "not spark and not slow"]
    return subprocess.run(
        [*command, "-k", "not field-empty and not environment-and-cluster", *(arguments or files)],
        cwd=ROOT,
        check=False,
    ).returncode


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["pin", file]:
            pin(Path(file))
        case ["test", *arguments]:
            sys.exit(test(arguments))
        case _:
            sys.exit(__doc__)
