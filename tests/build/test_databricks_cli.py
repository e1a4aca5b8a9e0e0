"""The real bundle CLI, where there is one, on what `dbxdec init` and builds leave: validation needs only a user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from bundles import Workspace
from projects import Project, Result


class _Workspace(Workspace):
    """One in which folders can be made, as strict validation of a production target tries."""

    def do_GET(self) -> None:  # noqa: N802
        if self.path.startswith(("/api/2.0/workspace/get-status", "/api/2.0/permissions/")):
            self._answer({"object_type": "DIRECTORY", "object_id": 1, "path": "/"})
        else:
            super().do_GET()

    def do_POST(self) -> None:  # noqa: N802
        self._answer({})

    do_PUT = do_POST  # noqa: N815

    def _answer(self, body: dict[str, object]) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


pytestmark = pytest.mark.databricks_cli
DBXDEC = Path(sys.executable).parent / "dbxdec"


@pytest.fixture
def host() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Workspace)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["by a file", "from Python"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    """A new project by each way of deploying it, in a git repository."""
    options = ["--pydabs"] if request.param == "from Python" else []
    Project(tmp_path).run(str(DBXDEC), "init", *options, "--lake-root", "s3://bucket/x", "shop")
    project = Project(tmp_path / "shop")
    subprocess.run(["git", "init", "-q"], cwd=project.root, check=True)
    if options:
        loader = "    - resources:load_resources"
        project.edit("databricks.yml", loader, f"{loader}\n  venv_path: {sys.prefix}")
    return project


def validated(project: Project, host: str, **environment: str) -> Result:
    surroundings = {
        "DATABRICKS_HOST": host,
        "DATABRICKS_TOKEN": "x",
        "DATABRICKS_CACHE_ENABLED": "false",
        "PATH": os.pathsep.join([str(DBXDEC.parent), os.environ["PATH"]]),
        **environment,
    }
    return Project(project.root, surroundings).run("databricks", "bundle", "validate", "--strict", "-t", "prod")


def test_a_new_project_validates_strictly_for_production(project: Project, host: str) -> None:
    """What `dbxdec init` writes has no warning in strict validation, of the production target either."""
    result = validated(project, host)
    assert result.code == 0, result.output
    assert "Validation OK!" in result.output


def test_a_broken_tree_has_a_way_past(project: Project, host: str) -> None:
    """A tree that can't be built stops the command and names the variable, with which it goes through."""
    assert validated(project, host).code == 0
    project.write("src/shop/pipelines/broken.py", "x = = 1\n")
    result = validated(project, host)
    assert result.code != 0
    assert "DBXDEC_SKIP_BUNDLE=1" in result.output
    passed = validated(project, host, DBXDEC_SKIP_BUNDLE="1")
    assert "NOTHING IS BUILT" in passed.output
    assert "Error: build" not in passed.output
    assert "Path: /Workspace/Users/" in passed.output
