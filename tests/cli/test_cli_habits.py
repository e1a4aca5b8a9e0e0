"""What people expect of any command line: help, completion, suggestions, streams, exit codes, plain output."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from dbxdec.cli.app import cli
from projects import Project
from running import dbxdec, define, empty
from terminals import completed, in_a_terminal

pytestmark = pytest.mark.sampled(4)

COMMANDS = [
    *cli.list_commands(click.Context(cli)),
    "runs show",
    "runs report",
]


PIPELINE = """
@job
def daily(day: str = "monday", limit: int = 1) -> None:
    @task(io_manager=lake)
    def load(day: str) -> pl.DataFrame:
        return pl.DataFrame({"x": [1]})

    @task
    def count(load: pl.DataFrame) -> int:
        if Path("broken").exists():
            raise ValueError("[bold]no[/] quota :bug:")
        return load.height

    show = native_task("show", notebook_task={"notebook_path": "notebooks/show"})
    count(load(day))
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = empty(tmp_path.resolve())
    define(project, PIPELINE)
    return project


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(tmp_path: Path, name: str) -> None:
    """`--help` of each says what it does and shows how it is called, on stdout."""
    said = dbxdec(Project(tmp_path), *name.split(), "--help")
    assert said.code == 0
    assert re.search(rf"Examples:\n +dbxdec {name}", said.out), said.out


def test_the_help_tells_how_to_complete_and_what_exit_codes_mean(tmp_path: Path) -> None:
    """The first page has what people look for first."""
    said = dbxdec(Project(tmp_path), "--help")
    for text in ("_DBXDEC_COMPLETE=bash_source", "zsh_source", "fish_source", "Exit codes", "3 a table can't be read"):
        assert text in said.out


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(("return load.height", "return laod.height"), id="a name in a task"),
        pytest.param(("count(load(day))", "count(laod(day))"), id="a name in a job's body"),
        pytest.param(("@job", "lake.reed\n\n@job"), id="a name of a module"),
        pytest.param(("@task\n", "@task(max_retry=1)\n"), id="a setting of a task"),
    ],
)
@pytest.mark.parametrize(
    "command", ["check", "run daily", "run", "show", "show daily", "graph daily", "diff .", "bundle"]
)
def test_mistakes_in_the_pipelines_are_exit_code_1(tmp_path: Path, wrong: tuple[str, str], command: str) -> None:
    """Whatever command meets them: 2 would be wrong usage, of which there is none."""
    project = empty(tmp_path.resolve())
    define(project, PIPELINE.replace(*wrong))
    said = dbxdec(project, *command.split())
    assert said.code == 1, said
    assert "sales.py:" in said.err


@pytest.mark.parametrize("command", ["check", "run daily", "show"])
@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("[tool.dbxdec.variables]", "[tool.dbxdec]\ntimeoutt = 1\n[tool.dbxdec.variables]", "tool.dbxdec.timeoutt"),
        ('"dbxdec', '"other-than-dbxdec', "does not depend on dbxdec"),
    ],
)
def test_wrong_settings_are_exit_code_2(project: Project, command: str, before: str, after: str, said: str) -> None:
    """A key that doesn't exist, or a requirement that is missing: the pipelines may be right."""
    path = project.root / "pyproject.toml"
    path.write_text(path.read_text().replace(before, after))
    found = dbxdec(project, *command.split())
    assert said in found.err
    assert found.code == 2, found


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(tmp_path: Path, shell: str) -> None:
    """Each shell gets a script to source."""
    assert "dbxdec" in dbxdec(Project(tmp_path), _DBXDEC_COMPLETE=f"{shell}_source").out


def test_a_shell_completes_what_has_run_here(project: Project) -> None:
    """Commands, jobs, tasks, parameters, variables and runs, from files that are here: nothing is built or imported."""
    assert completed(project, "dbxdec ru") == {"run", "runs"}
    assert completed(project, "dbxdec run ") == set()
    (project.root / "broken").touch()
    assert dbxdec(project, "run", "daily").code == 1
    (project.root / "src/shop/pipelines/sales.py").write_text("raise RuntimeError")
    (run,) = json.loads(dbxdec(project, "runs", "--json").out)
    for line, expected in {
        "dbxdec run ": {"daily"},
        "dbxdec show d": {"daily"},
        "dbxdec run daily --task ": {"load", "count", "show"},
        "dbxdec run daily --task lo": {"load"},
        "dbxdec run daily -p ": {"day=", "limit="},
        "dbxdec run daily --var ": {"lake="},
        "dbxdec run daily --replace s": {"show="},
        "dbxdec run daily --resume ": {run["id"]},
        "dbxdec runs show l": {"last"},
        "dbxdec runs report 1": {run["id"]},
    }.items():
        assert completed(project, line) == expected, line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (["chek"], "`check`"),
        (["run", "dayli"], "`daily`"),
        (["show", "dayli"], "`daily`"),
        (["graph", "dayli"], "`daily`"),
        (["run", "daily", "--task", "laod"], "`load`"),
        (["run", "daily", "--param", "dya=x"], "`day`"),
        (["run", "daily", "--var", "lak=x"], "`lake`"),
        (["run", "daily", "--jbos", "2"], "--jobs"),
    ],
)
def test_what_is_misspelt_is_suggested(project: Project, arguments: list[str], nearest: str) -> None:
    """Exit code 2, the nearest name on stderr, nothing on stdout, nothing run."""
    said = dbxdec(project, *arguments)
    assert (said.code, said.out) == (2, "")
    assert nearest in said.err
    assert "Traceback" not in said.err
    assert not (project.root / "lake").exists()


TABLES = """
import datetime as dt
from dbxdec import bundle_variable, daily

@task(io_manager=lake.table("days", expect={"some": "n > 0"}))
def load(day: dt.date) -> pl.DataFrame:
    return pl.DataFrame({"n": [1]})

@task(io_manager=lake.table("copies"))
def copy(days: pl.DataFrame) -> pl.DataFrame:
    return days

@job
def delays(day: dt.date = daily(since=bundle_variable("first"), until=dt.date(2024, 1, 2))) -> None:
    load(day)

@job
def new() -> None:
    copy(lake.table("days").changes())
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["keys", "forget", "delays", "day=2024-01-01", "--yes"],
        ["keys", "mark", "delays", "day=2024-01-01", "--yes"],
        ["backfill", "delays", "--dry-run"],
        ["missing"],
        ["lag"],
        ["expect", "days"],
    ],
    ids=" ".join,
)
def test_a_misspelt_variable_does_not_look_at_other_tables(tmp_path: Path, arguments: list[str]) -> None:
    """Without a word these would ask, or change, the tables of the variable's own value."""
    project = empty(tmp_path)
    define(project, TABLES)
    given = ["--var", "first=2024-01-01", "--var", "lak=elsewhere"]
    said = dbxdec(project, *arguments, *given)
    assert (said.code, said.out) == (2, "")
    wrong = [line for line in said.err.splitlines() if "bundle variable" in line]
    assert len(wrong) == 1, said.err
    assert "uses the bundle variable `lak`" in wrong[0]
    assert "did you mean `lake`?" in said.err


@pytest.mark.slow
def test_runs_of_a_misspelt_job(project: Project) -> None:
    """`runs --job` of a job that has never run names one that has."""
    assert dbxdec(project, "run", "daily").code == 0
    for more in ((), ("--json",)):
        said = dbxdec(project, "runs", "--job", "dayly", *more)
        assert (said.code, "did you mean `daily`?" in said.err) == (2, True)
    assert dbxdec(project, "runs", "--job", "hourly_exports").code == 0, "a job that has never run is no mistake"


def test_all_mistakes_in_what_a_run_is_asked_for_are_said_at_once(project: Project) -> None:
    """Parameters, variables and tasks are checked each for themselves; nothing is run, and nothing said twice."""
    asked = (
        "--param",
        "limit=x",
        "-p",
        "dya=1",
        "--var",
        "lak=1",
        "--task",
        "laod",
        "--until",
        "count",
        "--from",
        "laod",
    )
    said = dbxdec(project, "run", "daily", *asked, "--replace", "shwo=true", "--replace", "load= ")
    assert (said.code, said.out) == (2, "")
    for mistake in (
        "uses the bundle variable `lak`",
        "has no parameter `dya`",
        "the job parameter `limit` is 'x'",
        "has no task `laod`",
        "has no task `shwo`",
        "the command in the place of `load` is empty",
    ):
        assert said.err.count(mistake) == 1
    assert not (project.root / ".dbxdec/runs").exists()


@pytest.mark.parametrize("option", ["--param", "--var", "--replace"])
def test_a_name_with_two_values_is_refused_beside_other_mistakes(option: str) -> None:
    """Neither of two values is taken, and every mistake of an option is said."""
    said = CliRunner().invoke(cli, ["run", "daily", option, "a=1", option, "b", option, "a=2", option, "a=1"])
    assert said.exit_code == 2
    assert "`a` is given twice: '1' and '2'" in said.output
    assert "'b' is not of the form" in said.output


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("runs 1796", "`dbxdec runs show 1796` shows the run"),
        ("runs last", "`dbxdec runs show last` shows the run"),
        ("runs shwo", "did you mean `show`?"),
        ("keys marck", "did you mean `mark`?"),
        ("backfills cancle", "did you mean `cancel`?"),
        ("keys x", "commands are mark, forget"),
    ],
)
def test_a_wrong_subcommand_gets_a_hint(wrong: str, hint: str) -> None:
    """The word is named, and what to write instead."""
    said = CliRunner().invoke(cli, wrong.split())
    assert said.exit_code == 2
    assert f"there is no command `{wrong.split()[1]}`: {hint}" in said.output


def test_a_parameter_without_its_option_gets_a_hint() -> None:
    """`dbxdec backfill JOB day=...` takes keys so, and `dbxdec run` parameters by an option."""
    said = CliRunner().invoke(cli, ["run", "daily", "limit=3", "day=2024-01-01"])
    assert said.exit_code == 2
    assert "a job parameter is -p limit=3 -p day=2024-01-01" in said.output
    of_words = CliRunner().invoke(cli, ["run", "daily", "name=Ada Lovelace", "limit=3"])
    assert "a job parameter is -p 'name=Ada Lovelace' -p limit=3" in of_words.output
    assert "unexpected extra argument" in CliRunner().invoke(cli, ["run", "daily", "hourly"]).output


@pytest.mark.slow
def test_a_terminal_shows_progress(project: Project) -> None:
    """In a terminal there is a live view, which is gone when the run has ended."""
    code, shown = in_a_terminal(project, "run", "daily")
    assert code == 0
    assert "of 3 tasks" in shown
    assert "\x1b[2K" in shown
    assert "load |" not in shown


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_plain_lines_where_a_terminal_can_or_should_do_no_more(project: Project, environment: dict[str, str]) -> None:
    """With NO_COLOR or TERM=dumb there is a line for each thing that happens: no cursor moves, no colours."""
    code, shown = in_a_terminal(project, "run", "daily", **environment)
    assert code == 0
    assert "load started" in shown
    assert not re.search(r"\x1b\[[0-9;]*[A-HJKfhl]|\x1b\[3\dm", shown)


@pytest.mark.slow
@pytest.mark.parametrize("terminal", [True, False])
def test_a_failure_ends_with_the_traceback_and_the_way_on(project: Project, terminal: bool) -> None:
    """The last that is on the screen: the author's own traceback, as it was printed, then the command that resumes."""
    (project.root / "broken").touch()
    if terminal:
        code, shown = in_a_terminal(project, "run", "daily")
        shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    else:
        said = dbxdec(project, "run", "daily")
        code, shown = said.code, said.out
    assert code == 1
    end = shown[shown.rindex("count failed:") :]
    lines = [line.strip() for line in end.splitlines()]
    assert any(line.startswith('File "src/shop/pipelines/sales.py", line ') for line in lines)
    assert "ValueError: [bold]no[/] quota :bug:" in lines
    assert lines[-1].startswith("resume with: dbxdec run daily --resume ")
