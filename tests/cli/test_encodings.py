"""Terminals and files that can't take every character, and names that no encoding has: nothing of ours dies of one."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import running
from dbxdec import cli
from dbxdec.local import builds, ledger
from dbxdec.model import places
from dbxdec.support import streams
from projects import Project
from running import DBXDEC, define, empty, states

pytestmark = [pytest.mark.sampled(5), pytest.mark.xdist_group("encodings")]

# Without it Python takes UTF-8 where the locale says nothing.
PLAIN_C = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
PIPELINE = '''
@job
def daily(day: str = "Frühling ✓") -> None:
    """Lädt die Größe ✓ täglich."""

    @task(io_manager=lake)
    def load(day: str) -> pl.DataFrame:
        """Größen … ✓"""
        found = pl.DataFrame({"größe": ["ä", "✓", "日本"]})
        print(found)
        print("é ✓ 😀")
        return found

    @task
    def told(load: pl.DataFrame, words: list[str]) -> str:
        return "ö ✓ " + words[0]

    @task
    def wrong(told: str) -> None:
        if Path("broken").exists():
            raise ValueError(f"kaputt: {told} 😀")

    wrong(told(load(day), ["Straße ✓"]))
'''


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in a folder whose name is not ASCII, with a run that went well and one that did not."""
    project = empty(tmp_path_factory.mktemp("größe ✓").resolve() / "repository")
    define(project, PIPELINE)
    assert running.dbxdec(project, "run", "daily").code == 0
    (project.root / "broken").touch()
    assert running.dbxdec(project, "run", "daily").code == 1
    return project


@dataclass
class Streams:
    """What a command has written, decoded as it was encoded."""

    code: int
    out: str
    err: str


@pytest.fixture
def within(project: Project, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Streams]:
    """Run a command in this process, with streams of that encoding."""

    def call(encoding: str, *arguments: str) -> Streams:
        monkeypatch.chdir(project.root)
        monkeypatch.setenv(places.ROOT, "")  # what the command sets there goes with the test
        monkeypatch.delenv(places.ROOT)
        written = [io.BytesIO(), io.BytesIO()]
        out, err = (io.TextIOWrapper(one, encoding=encoding, errors="strict") for one in written)
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        monkeypatch.setattr(sys, "argv", ["dbxdec", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out.flush()
        err.flush()
        return Streams(
            int(ended.value.code or 0), *(one.getvalue().decode(encoding, "backslashreplace") for one in written)
        )

    return call


COMMANDS = [
    (0, "check"),
    (0, "show"),
    (0, "show daily"),
    (0, "graph daily"),
    (0, "graph daily -f html"),
    (1, "run daily"),
    (0, "runs"),
    (0, "runs show"),
    (0, "runs report"),
    (2, "show täglich✓"),
    (2, "täglich✓"),
    (2, "runs show ✓"),
    (2, "runs show \udcff"),
    (2, "run daily --resume -p day=\udcff"),
    (0, "diff . ."),
]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
@pytest.mark.parametrize(("code", "line"), COMMANDS, ids=lambda value: ascii(value))
def test_each_command_says_what_it_has_to_say(
    within: Callable[..., Streams], encoding: str, code: int, line: str
) -> None:
    """Whatever the output can hold, the exit code is the command's, and nothing of it is a traceback of ours."""
    said = within(encoding, *line.split(" "))
    assert said.code == code, said
    assert "UnicodeEncodeError" not in said.out + said.err
    assert "dbxdec/cli" not in said.out + said.err


@pytest.mark.sampled(2)
@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
@pytest.mark.parametrize("line", ["runs --json", "runs show --json", "show --json", "check --json", "run daily --json"])
def test_json_is_json_in_any_encoding(within: Callable[..., Streams], encoding: str, line: str) -> None:
    """What the encoding lacks is escaped as JSON does it, so that a program reads the same."""
    found = json.loads(within(encoding, *line.split(" ")).out)
    if line.startswith("run"):
        run = found[0] if isinstance(found, list) else found
        assert run["parameters"] == {"day": "Frühling ✓"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment",
    [{"PYTHONIOENCODING": "cp1252"}, {"PYTHONIOENCODING": "ascii"}, PLAIN_C],
    ids=["cp1252", "ascii", "locale C"],
)
def test_a_run_is_shown_where_marks_and_frames_are_not_there(project: Project, environment: dict[str, str]) -> None:
    """Redirected on Windows, or in a bare locale: marks and the lines of a frame become plain ones."""
    done = subprocess.run(
        [*DBXDEC, "run", "daily"], cwd=project.root, env=os.environ | environment, capture_output=True, check=False
    )
    out = done.stdout.decode("cp1252")
    assert (done.returncode, b"Traceback" in done.stderr) == (1, False)
    assert re.search(r"load \| \+-+\+", out)  # the frame's upper edge
    assert r"\U0001f600" in out
    assert "ValueError: kaputt: " in out
    assert (ledger.find(project.root, "last").folder / "logs/load.1.log").read_text(encoding="utf-8").count("日本") == 1


@pytest.mark.slow
def test_a_build_is_made_and_refused_in_any_locale(project: Project) -> None:
    """The hook's messages reach whoever builds; what modules print while they are imported breaks nothing."""
    project.write("src/shop/pipelines/other.py", "print('é ✓ 😀 \\udcff')\n")
    made = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel"],
        cwd=project.root,
        env=os.environ | PLAIN_C | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    project.write("src/shop/pipelines/other.py", "raise ValueError('é ✓ 😀')\n")
    refused = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel"],
        cwd=project.root,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    (project.root / "src/shop/pipelines/other.py").unlink()
    assert refused.returncode == 1
    assert rb"ValueError: \xe9 + \U0001f600" in refused.stderr, refused.stderr


@pytest.mark.slow
def test_a_task_on_the_platform_prints_what_it_has(project: Project) -> None:
    """`dbxdec-run` itself writes to any stream: what the task prints, and what is said of reads and writes."""
    run = ledger.find(project.root, "last")
    build = builds.kept(project.root / ".dbxdec", run.head["build_id"])
    assert build is not None
    named = {
        "package": "shop-pipelines",
        "job": "daily",
        "task": "load",
        "build": run.head["build_id"],
        "workspace": "1",
        "run-id": "77",
        "attempt": "1",
        "started": "0",
        "triggered": "2026-01-02T03:04:05Z",
        "var-lake": "größe ✓",
    }
    done = subprocess.run(
        [sys.executable, "-m", "dbxdec.runtime", *(f"--dbxdec-{name}={text}" for name, text in named.items())],
        cwd=project.root,
        env=os.environ | builds.environment(build) | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert rb"\xe9 + \U0001f600" in done.stdout
    assert rb"gr\xf6\xdfe +/load, version 0" in done.stderr


ODD = """
from dbxdec import set_task_value

@job
def odd(given: str = "x") -> None:
    @task
    def names(given: str) -> list:
        found = sorted(os.listdir("odd"))
        print(found[0], given)
        return found

    @task
    def one(name: str) -> None:
        set_task_value("name", name)
        print(name)

    @task
    def fails(names: list[str]) -> None:
        if not Path("go").exists():
            raise FileNotFoundError(names[0])
        assert names == sorted(os.listdir("odd"))

    found = names(given)
    fails(found).after(one(each(found)))
"""


@pytest.mark.slow
def test_names_that_are_not_utf_8_travel_whole(tmp_path: Path) -> None:
    """As results, items, task values, parameters and in the log: the record has them escaped, and a resumed run too."""
    project = empty(tmp_path.resolve())
    define(project, ODD)
    os.makedirs(os.fsencode(tmp_path / "odd"))
    for name in (b"a\xff", b"b\xc3", b"c-\xe9.csv"):
        Path(os.fsdecode(os.fsencode(tmp_path / "odd") + b"/" + name)).touch()
    said = subprocess.run(
        [*DBXDEC, "run", "odd", "-p", b"given=\xff\xfe", "--report", "r.html"],
        cwd=project.root,
        capture_output=True,
        check=False,
    )
    assert said.returncode == 1, said
    assert b"FileNotFoundError: a\\udcff" in said.stdout
    assert b"Traceback" not in said.stderr
    assert r"a\udcff" in (project.root / "r.html").read_text(encoding="utf-8")
    (project.root / "go").touch()
    resumed = running.dbxdec(project, "run", "odd", "--resume")
    assert resumed.code == 0, resumed
    assert set(states(project).values()) == {"success"}
    run = ledger.find(project.root, "last")
    assert run.head["parameters"] == {"given": "\udcff\udcfe"}
    for path in run.folder.rglob("*"):
        assert not path.is_file() or path.read_bytes().decode("utf-8") is not None
    record = json.loads(running.dbxdec(project, "runs", "show", "--json").out)
    items = [e["item"] for task in record["tasks"] if task["task"] == "one" for e in task["runs"]]
    assert items == ["a\udcff", "b\udcc3", "c-\udce9.csv"]


@given(
    st.text() | st.just("┌─┬┐│\udcff✓…"), st.sampled_from(["ascii", "cp1252", "utf-8", "latin-1", "cp437", "utf-16"])
)
def test_any_text_can_be_written(text: str, encoding: str) -> None:
    """What the encoding has stays as it is; the rest is ASCII."""
    written = text.encode(encoding, "dbxdec").decode(encoding)
    known = [letter for letter in text if _has(encoding, letter)]
    assert [letter for letter in written if letter in known or ord(letter) > 127] >= []
    assert re.sub(r"[ -~]", "", written) == re.sub(r"[ -~]", "", "".join(known))


def _has(encoding: str, letter: str) -> bool:
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def test_whoever_asks_for_another_way_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """`PYTHONIOENCODING=ascii:replace` is a wish, and a stream that is none of Python's own is left alone."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    streams.make_safe()
    assert out.errors == "replace"
