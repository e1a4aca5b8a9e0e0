"""The public API under strict type checkers and in an editor: right code passes, mistakes show, fields complete."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from databricks.bundles import jobs as bundle_jobs

from language_server import CARET, LanguageServer, language_server
from repository import ROOT, TESTS

TYPED = TESTS / "typed"
KEYWORDS = ROOT / "src" / "dbxdec" / "authoring" / "keywords.py"

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


def test_the_samples_are_right_and_wrong() -> None:
    """The files of wrong code have wrong lines, and the files of right code none."""
    assert {name for name, _ in wrong_lines()} == {path.name for path in TYPED.glob("*wrong.py")}
    assert len(list(TYPED.glob("*right.py"))) == len(list(TYPED.glob("*wrong.py")))


def test_mypy_finds_exactly_the_mistakes() -> None:
    """mypy --strict accepts the right samples, and refuses each wrong line of the others."""
    cache = ROOT / ".mypy_cache" / "typed"
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(cache), "."]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=TYPED)
    found = re.findall(r"^(\w+\.py):(\d+): error", done.stdout, re.MULTILINE)
    assert {(name, int(line)) for name, line in found} == wrong_lines(), done.stdout + done.stderr


@pytest.mark.slow
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


# What dbxdec says in its own way, which a signature can't say twice, or not at all.
OWN_OF_TASK = {"task_key", "depends_on", "run_if", "job_cluster_key", "environment_key"}
OWN_OF_JOB = {"tasks", "parameters", "job_clusters", "environments", "git_source"}


def keywords() -> str:
    """What keywords.py has to say of the databricks-bundles that is installed."""

    def annotated(of: Any) -> dict[str, str]:
        (definition,) = ast.parse(inspect.getsource(of)).body
        assert isinstance(definition, ast.ClassDef)
        lines = [node for node in definition.body if isinstance(node, ast.AnnAssign)]
        return {ast.unparse(line.target): ast.unparse(line.annotation) for line in lines}

    job = {n: kind for n, kind in annotated(bundle_jobs.JobDict).items() if n not in OWN_OF_JOB}
    task = {n: kind for n, kind in annotated(bundle_jobs.TaskDict).items() if n not in OWN_OF_TASK}
    of_any = {n: kind for n, kind in task.items() if not n.endswith("_task")}
    of_kind = {n: f"{kind} | dict[str, Any]" for n, kind in task.items() if n not in of_any}
    names = {name for kind in (*job.values(), *task.values()) for name in re.findall(r"\w+", kind)}
    text = KEYWORDS.read_text(encoding="utf-8")
    for module, wanted in (("core", r"Variable\w+"), ("jobs", r"\w+Param")):
        found = sorted(name for name in names if re.fullmatch(wanted, name))
        line = f"    from databricks.bundles.{module} import {', '.join(found)}\n"
        lines = (
            f"    from databricks.bundles.{module} import (\n" + "".join(f"        {n},\n" for n in found) + "    )\n"
        )
        text = re.sub(
            rf"^    from databricks\.bundles\.{module} import (\(.*?^    \)|[^(].*?)\n",
            line if len(line) <= 120 else lines,
            text,
            flags=re.MULTILINE | re.DOTALL,
        )
    for name, form in (("JobFields", job), ("TaskFields", of_any), ("NativeTaskFields", of_kind)):
        body = "".join(f"    {n}: {kind}\n" for n, kind in form.items())
        head, docstring, rest = re.split(
            rf'(^class {name}\(.*?"""\n\n)', text, maxsplit=1, flags=re.MULTILINE | re.DOTALL
        )
        text = head + docstring + body + rest[re.match(r"(    .*\n)*", rest).end() :]  # type: ignore[union-attr]
    return text


def test_keywords_are_those_of_databricks_bundles() -> None:
    """The typed keywords are databricks-bundles' fields; with DBXDEC_WRITE_EXPECTED=1 they are written anew."""
    expected = keywords()
    if os.environ.get("DBXDEC_WRITE_EXPECTED"):
        KEYWORDS.write_text(expected, encoding="utf-8")
    assert KEYWORDS.read_text(encoding="utf-8") == expected


BEGINNING = """
from dbxdec import environment, job, job_cluster, native_task, task
from dbxdec.io_managers import PolarsDeltaIoManager


@task
def count(top: int, source: str = "") -> int:
    return top


@job
def nightly(day: str, top: int = 3) -> None:
    found = count(1)
"""


def fields_of(model: Any, without: set[str]) -> set[str]:
    return {f"{name}=" for name in model.__dataclass_fields__ if name not in without}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageServer]:
    with language_server(tmp_path_factory.mktemp("editor")) as running:
        yield running


class TestEditor:
    @pytest.mark.slow
    @pytest.mark.sampled(4)
    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            (f"@job({CARET})", {"key=", "cluster=", "on_failure="} | fields_of(bundle_jobs.Job, OWN_OF_JOB)),
            (
                f"@task({CARET})",
                {"io_manager=", "outputs=", "run_if="}
                | {name for name in fields_of(bundle_jobs.Task, OWN_OF_TASK) if not name.endswith("_task=")},
            ),
            (
                f"count.override({CARET})",
                {"depends_on=", "run_if="}
                | {name for name in fields_of(bundle_jobs.Task, OWN_OF_TASK) if not name.endswith("_task=")},
            ),
            (f"native_task('x', {CARET})", {"depends_on=", "run_if="} | fields_of(bundle_jobs.Task, OWN_OF_TASK)),
            (f"job_cluster('x', {CARET})", fields_of(bundle_jobs.ClusterSpec, set())),
            (f"environment('x', {CARET})", fields_of(bundle_jobs.Environment, set())),
            (f"@job(schedule={{'{CARET}'}})", {"'quartz_cron_expression'", "'timezone_id'", "'pause_status'"}),
            (f"native_task('x', notebook_task={{'{CARET}'}})", {"'notebook_path'", "'base_parameters'", "'source'"}),
            (f"@job(performance_target='{CARET}')", {"'STANDARD'", "'PERFORMANCE_OPTIMIZED'"}),
            (f"@task(run_if='{CARET}')", {"'ALL_DONE'", "'AT_LEAST_ONE_FAILED'"}),
            (f"PolarsDeltaIoManager('lake', mode='{CARET}')", {"'append'", "'overwrite'", "'error'", "'ignore'"}),
            (f"count({CARET})", {"top=", "source="}),
            (f"count.override(max_retries=1)({CARET})", {"top=", "source="}),
            (f"count.{CARET}", {"fn", "override"}),
            (f"nightly({CARET})", {"day=", "top="}),
            (f"count(1).{CARET}", {"after", "uri", "state", "value", "written"}),
        ],
    )
    def test_it_completes(self, server: LanguageServer, tmp_path: Path, code: str, expected: set[str]) -> None:
        """An editor offers the fields of the platform, members of enums, and what tasks and results have."""
        ending = "\ndef other() -> None: ..." if code.startswith("@") else ""
        found = server.completions(tmp_path / "pipeline.py", BEGINNING + code + ending)
        assert expected <= set(found), sorted(expected - set(found))

    @pytest.mark.slow
    @pytest.mark.parametrize("code", [f"@job({CARET})", f"@task({CARET})", f"native_task('x', {CARET})"])
    def test_it_does_not_offer_what_the_build_refuses(self, server: LanguageServer, tmp_path: Path, code: str) -> None:
        """Fields that dbxdec fills itself are not among them."""
        ending = "\ndef other() -> None: ..." if code.startswith("@") else ""
        found = set(server.completions(tmp_path / "pipeline.py", BEGINNING + code + ending))
        ours = {
            "tasks=",
            "parameters=",
            "job_clusters=",
            "environments=",
            "git_source=",
            "task_key=",
            "job_cluster_key=",
        }
        assert not found & ours
