"""Secrets of all shapes, planted in a task that shows them in every way it can: no byte of what is left has one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dbxdec import IoManager, RunError, job, secret, task
from dbxdec.io_managers.contexts import InputContext, OutputContext, WriteResult
from dbxdec.model import protocol
from dbxdec.model.manifest import Manifest, decode
from dbxdec.support.masking import HIDDEN, hide
from dbxdec.testing import run_job
from projects import Project
from running import DBXDEC, define, empty
from secret_shapes import FORMS, SHAPES

# No environment holds a zero byte.
PLANTED = {name.replace(" ", "-"): value.replace("\0", "") for name, value in SHAPES.items()}
PIPELINE = f"""
import base64
import json
import logging
import sys
import traceback
from urllib.parse import quote

from dbxdec import IoManager, RunError, secret, set_task_value
from dbxdec.io_managers.contexts import WriteResult

NAMES = {sorted(PLANTED)!r}


class Telling(IoManager):
    base_path = "here"

    def __init__(self, password) -> None:
        self.password = password

    def read(self, context): ...

    def write(self, context, value):
        password = self.resolve(self.password)
        if value == "fail":
            raise OSError(f"no account {{password}}: " + json.dumps({{"key": password}}))
        return WriteResult(rows=1, note=f"with {{password}}")


def tell(value: str, where) -> None:
    print("value", value, file=where)
    print({{"key": value}}, [value], file=where)
    print(json.dumps({{"key": value}}), file=where)
    if value.isascii() or "\\udcff" not in value:
        print("https://user:" + quote(value, safe="") + "@host/", file=where)
        print("Basic", base64.b64encode(f"user:{{value}}".encode()).decode(), file=where)
    for line in value.splitlines():
        print("line:", line, file=where)


class Panic(BaseException):
    pass


@job
def leaking() -> None:
    @task
    def shows() -> str:
        logging.basicConfig(level=logging.INFO)
        values = {{name: secret("vault", name).value() for name in NAMES}}
        for name, value in values.items():
            tell(value, sys.stdout)
            tell(value, sys.stderr)
            logging.getLogger("own").warning("logged %s", value)
            context().logger.info("logged by the task: %r", value)
            try:
                raise ValueError(value)
            except ValueError:
                traceback.print_exc()
        for name, value in values.items():
            for form in (value, [f"with {{value}} inside"], {{value: 1}}, json.dumps({{"key": value}})):
                try:
                    set_task_value("kept", form)
                except RunError as error:
                    assert f"the secret `{{name}}` of the scope `vault`" in str(error)
                    print(error)
                else:
                    raise AssertionError(name)
        return "fine"

    @task
    def reads(shows: str) -> int:
        return len(shows)

    @task
    def fails() -> None:
        try:
            raise ValueError([secret("vault", name).value() for name in NAMES])
        except ValueError as error:
            raise ConnectionError("; ".join(secret("vault", name).value() for name in NAMES)) from error

    @task
    def panics() -> None:
        raise Panic([secret("vault", name).value() for name in NAMES])

    @task
    def exits() -> None:
        sys.exit("; ".join(secret("vault", name).value() for name in NAMES))

    @task(io_manager=Telling(secret("vault", "quotes")))
    def stores() -> str:
        return "fine"

    @task(io_manager=Telling(secret("vault", "backslashes")).table("other"))
    def refused() -> str:
        return "fail"

    reads(shows())
    fails()
    panics()
    exits()
    stores()
    refused()
"""
DBUTILS = """
import json
import os


class _Secrets:
    def get(self, scope, key):
        with open(os.environ["PLANTED"], encoding="utf-8", errors="surrogatepass") as file:
            return json.load(file)[key]


class _Values:
    def set(self, key, value):
        pass

    def get(self, taskKey, key, default=None):
        return default


class _Jobs:
    taskValues = _Values()


class _Utils:
    secrets = _Secrets()
    jobs = _Jobs()


dbutils = _Utils()
"""


def traces(content: bytes) -> list[str]:
    """The secrets of which something is in `content`: their whole, or a line that says something, in any form."""
    found = []
    for name, value in PLANTED.items():
        parts = [value.strip(), *(line.strip() for line in value.splitlines() if len(line.strip()) >= 8)]
        for part in parts:
            for form in FORMS.values():
                try:
                    written = form(part).encode("utf-8", "surrogateescape")
                except UnicodeEncodeError:
                    continue
                if written in content:
                    found.append(name)
    return sorted(set(found))


def variables() -> dict[str, str]:
    return {secret("vault", name).variable: value for name, value in PLANTED.items()}


def left(*folders: Path) -> dict[str, list[str]]:
    """The files below the folders that have a secret."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    found = {str(path): traces(path.read_bytes()) for path in files}
    return {path: names for path, names in found.items() if names}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    found = empty(tmp_path.resolve() / "project")
    define(found, PIPELINE)
    return found


def run(project: Project, *command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    scratch = project.root.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    return subprocess.run(
        command,
        cwd=project.root,
        env={**os.environ, "TMPDIR": str(scratch), **environment},
        capture_output=True,
        check=False,
        timeout=240,
    )


@pytest.mark.slow
def test_a_local_run_leaves_no_secret(project: Project) -> None:
    """Neither on the screen nor in logs, ledger, report, JSON or temporary files."""
    done = run(project, *DBXDEC, "run", "leaking", "--report", "report.html", "--json", **variables())
    assert done.returncode == 1, done.stderr.decode()
    again = run(project, *DBXDEC, "runs", "show", "--json")
    assert again.returncode == 0
    assert f"with {HIDDEN}".encode() in done.stderr
    assert b"ConnectionError" in done.stderr
    for said in (done.stdout, done.stderr, again.stdout, again.stderr):
        assert traces(said) == []
    assert left(project.root, project.root.parent / "scratch") == {}


@pytest.mark.slow
def test_a_local_run_hides_secrets_of_the_platform(project: Project) -> None:
    """Secrets that the environment does not have, and that a task gets through the SDK, are hidden by the task."""
    environment = with_dbutils(project)
    done = run(project, *DBXDEC, "run", "leaking", "--report", "report.html", "--json", **environment)
    assert done.returncode == 1, done.stderr.decode()
    assert f"with {HIDDEN}".encode() in done.stderr
    for said in (done.stdout, done.stderr):
        assert traces(said) == []
    assert left(project.root, project.root.parent / "scratch") == {}


def with_dbutils(project: Project) -> dict[str, str]:
    """The environment of a process that finds the platform's dbutils, which have the secrets."""
    there = project.root.parent / "sdk"
    (there / "databricks/sdk/runtime").mkdir(parents=True)
    (there / "databricks/sdk/runtime/__init__.py").write_text(DBUTILS)
    (there / "databricks/sdk/__init__.py").touch()
    (there / "databricks/__init__.py").write_text("__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n")
    planted = there / "planted.json"
    planted.write_text(json.dumps(PLANTED))
    return {"PLANTED": str(planted), "PYTHONPATH": str(there)}


def test_a_task_on_the_platform_shows_no_secret(project: Project) -> None:
    """What `dbxdec-run` and the task's own code print, log and raise is without the secrets that the task has used."""
    assert run(project, *DBXDEC, "run", "leaking", **variables()).returncode == 1
    (build,) = (project.root / ".dbxdec/builds").iterdir()
    (path,) = build.glob("*.dist-info/extra_metadata/dbxdec/manifest.json")
    manifest = decode(path.read_bytes(), "it")
    environment = with_dbutils(project)
    environment["PYTHONPATH"] = os.pathsep.join([str(build), environment["PYTHONPATH"]])
    codes = {}
    for name in ("shows", "fails", "panics", "exits", "stores", "refused"):
        done = run(project, sys.executable, "-P", "-m", "dbxdec.runtime", *arguments(manifest, name), **environment)
        codes[name] = done.returncode
        assert traces(done.stdout) == []
        assert traces(done.stderr) == []
        if name == "shows":
            assert done.stdout.count(f"value {HIDDEN}".encode()) == len(PLANTED)
            assert done.stderr.count(f"ValueError: {HIDDEN}".encode()) == len(PLANTED)
        elif name == "fails":
            assert b"ConnectionError" in done.stderr
            assert b"sales.py" in done.stderr
    assert codes == {"shows": 0, "fails": 1, "panics": 1, "exits": 1, "stores": 0, "refused": 1}
    assert left(project.root.parent / "scratch") == {}


def arguments(manifest: Manifest, task: str) -> list[str]:
    """A task's arguments as the platform gives them."""
    form = manifest.job("leaking").task(task)
    named = protocol.task_parameters(manifest.project, manifest.build_id, "leaking", form)
    values = {"{{workspace.id}}": "1", "{{job.run_id}}": "7", "{{task.execution_count}}": "1"}
    values["{{job.start_time.timestamp_ms}}"] = "0"
    return [f"--{name}={values.get(value, value)}" for name, value in named.items()]


@pytest.mark.slow
def test_a_build_says_no_secret(project: Project) -> None:
    """What a module raises or prints where it is imported is shown without the secrets of this machine."""
    lines = [f'print("printed", os.environ[{name!r}])' for name in variables()]
    lines += [f"raise ValueError([os.environ[name] for name in {sorted(variables())!r}])"]
    define(project, "\n".join(lines))
    for command in ((*DBXDEC, "check"), (*DBXDEC, "bundle"), (sys.executable, "-m", "hatchling", "build")):
        done = run(project, *command, **variables())
        assert done.returncode == 1
        assert b"ValueError" in done.stdout + done.stderr
        assert traces(done.stdout + done.stderr) == []
    assert left(project.root, project.root.parent / "scratch") == {}


class Shelf(IoManager):
    """Keeps nothing, and tells of its secret."""

    base_path = "shelf"

    def __init__(self, password: Any) -> None:
        self.password = password

    def read(self, context: InputContext) -> Any: ...

    def write(self, context: OutputContext, value: Any) -> WriteResult:
        return WriteResult(note=f"with {self.resolve(self.password)}")


def test_a_test_hides_its_secrets_and_no_later_message(caplog: pytest.LogCaptureFixture) -> None:
    """Secrets that a test gives are hidden while its job runs; messages after it are whole, whatever the secret was."""

    @job
    def one() -> None:
        @task(io_manager=Shelf(secret("vault", "key")))
        def stores() -> int:
            return 1

        stores()

    caplog.set_level("INFO", "dbxdec")
    for value in ("s", "correct horse"):
        run_job(one, secrets={"vault/key": value}, in_memory=False)
        assert hide("this message is whole, correct horse included") == "this message is whole, correct horse included"


def test_a_task_passes_on_no_secret() -> None:
    """Its result and its task values are stored as they are; a value that is too short to tell is let through."""

    @job
    def passing() -> None:
        @task
        def returns(token: str) -> dict[str, str]:
            return {"url": f"https://user:{token}@host"}

        @task
        def reads(returns: dict[str, str]) -> str:
            return returns["url"]

        reads(returns(secret("Vault", "api-key")))

    with pytest.raises(RunError, match="the result of the task `returns` has the value of the secret `api-key` of"):
        run_job(passing, secrets={"vault/api-key": "hunter2-hunter2"})
    assert run_job(passing, secrets={"vault/api-key": "short"})["reads"].value == "https://user:short@host"
