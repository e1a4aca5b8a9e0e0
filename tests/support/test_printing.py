"""Strings of others on a terminal, in a log and in a workflow: nothing in them is obeyed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbxdec.support import printing
from forked import Forked, Outcome
from projects import Project
from running import define, empty
from thorough import examples

properties = settings(deadline=None, derandomize=True, max_examples=examples(100))
ESCAPES = "\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b[2J\x1b[1A\x9b2K\x1bc\x07bell\x08 \x1bP1q\x1b\\ \x1b(Btab\t"
COMMANDS = "fine\n::error::pwned\n  ::add-mask::x\n##[error]pwned\r::warning::pwned\n\xa0::notice::pwned"


def commands(said: str) -> list[str]:
    """The lines of which a workflow takes a command, as github.com/actions/runner finds them (ActionCommand.cs)."""
    lines = re.split(r"\r\n|\n|\r", said)
    return [line for line in lines if line.lstrip().startswith("::") or "##[" in line]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain tëxt 🔑\n\ttabs", "plain tëxt 🔑\n\ttabs"),
        (ESCAPES, "red \\x07bell\\x08  tab\t"),
        ("10%\r20%\r100%", "10%\n20%\n100%"),
        ("a\r\nb", "a\nb"),
        ("\x1b", "\\x1b"),
        ("\x1b]0;never ends", "\\x1b]0;never ends"),
        ("\x00\x7f\x80", "\\x00\\x7f\\x80"),
    ],
)
def test_what_a_terminal_would_obey_is_left_out_or_shown(text: str, expected: str) -> None:
    """Sequences go, other control characters are shown, and what would write over a line is a line of its own."""
    assert printing.plain(text) == expected


@properties
@given(st.text(alphabet=st.sampled_from("\x1b[]()0;3mHJK\x07\x9b\x9d\x90\\P^_\r\n\t abc?\x7f\x00"), max_size=40))
def test_no_control_character_is_left(text: str) -> None:
    """But for line feeds and tabs, whatever the text was; what is plain already stays."""
    plain = printing.plain(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", plain)
    assert printing.plain(plain) == plain


@properties
@given(st.text(alphabet=st.sampled_from(":# \t\n\r[ae\xa0"), max_size=30))
def test_a_workflow_finds_no_command(text: str) -> None:
    """In no text, whatever stands before the colons."""
    assert commands(printing.uncommanded(printing.plain(text))) == []


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return empty(tmp_path.resolve() / "project")


RAISING = f"raise ValueError({COMMANDS + ESCAPES!r})\n"


def without_annotations(found: Outcome) -> str:
    """What a command has said but for the annotations that are its own."""
    lines = (found.out + found.err).splitlines()
    return "\n".join(line for line in lines if not line.startswith(("::error file=", "::warning file=")))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("arguments", [["check"], ["check", "--github"], ["check", "--json"], ["bundle"], ["run", "x"]])
def test_errors_of_a_project_give_a_workflow_no_command(arguments: list[str], forked: Forked, project: Project) -> None:
    """The text of an exception is no command, in its own lines or in an annotation."""
    define(project, RAISING)
    found = forked.dbxdec(project.root, *arguments, GITHUB_ACTIONS=str("--github" not in arguments).lower())
    assert found.code in (1, 2), found
    assert "pwned" in found.out + found.err
    assert commands(without_annotations(found)) == []
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", found.out + found.err)
    if arguments[0] == "check":
        annotations = [line for line in (found.out + found.err).splitlines() if line.startswith("::error")]
        assert len(annotations) == 1
    if arguments[-1] == "--json":
        assert "##[error]pwned" in json.loads(found.out)["problems"][0]["message"]


def test_a_build_gives_a_workflow_no_command(forked: Forked, project: Project) -> None:
    """What the hook says of a project's mistakes is no command either."""
    define(project, RAISING)
    found = forked.build(project.root, GITHUB_ACTIONS="true")
    assert found.code == 1
    assert "pwned" in found.err
    assert commands(found.out + found.err) == []


def test_output_of_tasks_moves_no_cursor(forked: Forked, project: Project) -> None:
    """Logs and what a run shows have what a task has printed, a line at a time, and no sequence of it."""
    define(
        project,
        f"@job\ndef loud() -> None:\n    @task\n    def shout() -> None:\n        print({ESCAPES + COMMANDS!r})\n"
        f"        raise ValueError({COMMANDS!r})\n\n    shout()\n",
    )
    found = forked.dbxdec(project.root, "run", "loud", GITHUB_ACTIONS="true")
    assert found.code == 1
    assert commands(found.out + found.err) == []
    (log,) = (project.root / ".dbxdec/runs").glob("*/logs/*")
    for text in (found.out, found.err, log.read_text()):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)
    assert "\n##[error]pwned\n::warning::pwned\n" in log.read_text()
    assert "shout | red \\x07bell" in found.out


def test_settings_of_a_wheel_move_no_cursor(forked: Forked, project: Project) -> None:
    """What a wheel says of itself is shown as it stands there."""
    settings = f"description={'text' + ESCAPES + COMMANDS!r}"
    define(project, f"@job({settings})\ndef loud() -> None:\n    @task\n    def shout() -> None: ...\n\n    shout()\n")
    assert forked.build(project.root).code == 0
    wheel = str(project.wheel)
    shown = ["show", "loud", "--wheel", wheel]
    for arguments in (shown, ["graph", "--wheel", wheel, "-f", "html"], ["diff", wheel, wheel]):
        found = forked.dbxdec(project.root, *arguments, GITHUB_ACTIONS="true")
        assert found.code == 0, found
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", found.out + found.err)
        assert arguments != shown or commands(found.out) == []
