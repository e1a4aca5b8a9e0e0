"""Bundles around a project, and the jobs that one in Python gets."""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

from projects import Project, Result

if TYPE_CHECKING:
    pass


PYDABS = ["-m", "databricks.bundles.build", "--phase", "load_resources"]


def python_resources(
    folder: Path, *functions: str, python: str = sys.executable, environment: dict[str, str] | None = None
) -> tuple[Result, dict[str, Any]]:
    """What the bundle's CLI gets from `python: {resources: ...}` in a bundle in `folder`, and its diagnostics."""
    scratch = folder.parent / "protocol"
    scratch.mkdir(exist_ok=True)
    given = {
        "bundle": {"name": "b", "target": "dev"},
        "python": {"resources": list(functions)},
        "variables": {"lake": {"value": "s3://lake"}},
    }
    (scratch / "input.json").write_text(json.dumps(given), encoding="utf-8")
    places = [
        text for name in ("input", "output", "diagnostics") for text in (f"--{name}", str(scratch / f"{name}.json"))
    ]
    places += ["--locations", str(scratch / "locations.json")]
    result = Project(folder, environment or {}).run(python, *PYDABS, *places)
    document: dict[str, Any] = json.loads((scratch / "output.json").read_text(encoding="utf-8"))
    lines = (scratch / "diagnostics.json").read_text(encoding="utf-8").splitlines()
    document["diagnostics"] = [json.loads(line) for line in lines]
    document["locations"] = [json.loads(x) for x in (scratch / "locations.json").read_text("utf-8").splitlines()]
    return result, document


class Workspace(BaseHTTPRequestHandler):
    """As much of a workspace as `databricks bundle validate` asks for: a user, and no files."""

    def do_GET(self) -> None:
        known = self.path.startswith("/api/2.0/preview/scim/v2/Me")
        answer = {"userName": "a@example.org"} if known else {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""
