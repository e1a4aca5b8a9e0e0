"""One table of jobs and how they end, for all that runs jobs: the platform (emulated), `dbxdec run`, a test."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from filelock import FileLock

import rules_jobs
from dbxdec import testing
from dbxdec.build.wheels import read_wheel
from dbxdec.errors import RunError
from dbxdec.local import builds, history, runner
from dbxdec.local import parameters as local_parameters
from dbxdec.local.interface import Listener, Setting
from dbxdec.local.pool import Pool
from emulator import EXCLUDED, FAILED, SUCCESS, SUCCESS_WITH_FAILURES, UPSTREAM_FAILED, Run, Workspace
from projects import Project, shop

# The pool leaves the pipes of workers that have ended to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Exception ignored in. <_io.FileIO"),
    pytest.mark.xdist_group("platform"),
]
VARIABLES = {"full": "true"}


@dataclass(frozen=True)
class Case:
    """A job with its parameters, and how it ends: only what is named here is looked at."""

    job: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    state: str = SUCCESS
    states: Mapping[str, str] = field(default_factory=dict)
    outcomes: Mapping[str, bool] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    inner: Mapping[str, Case] = field(default_factory=dict)


def compared(names: Any) -> dict[str, bool]:
    """Which conditions of `compare` hold, as Python compares the very values."""
    holds: dict[str, bool] = {}
    for name in names:
        value = rules_jobs.VALUES[name]
        for i, literal in enumerate(rules_jobs.LITERALS.get(name, [])):
            holds |= {f"{name}_{i}": value == literal, f"{name}_{i}_not": literal != value}
        for i, literal in enumerate(rules_jobs.SIZES.get(name, [])):
            holds |= {f"{name}_above_{i}": value > literal, f"{name}_up_to_{i}": value <= literal}
    return holds


def by_run_if() -> dict[str, str]:
    """The table of the documentation, "Configure task dependencies"."""
    s, f, x, u = SUCCESS, FAILED, EXCLUDED, UPSTREAM_FAILED
    # ALL_SUCCESS, AT_LEAST_ONE_SUCCESS, NONE_FAILED, ALL_DONE, AT_LEAST_ONE_FAILED, ALL_FAILED
    table = {
        "s": (s, s, s, s, x, x),
        "f": (u, u, u, s, s, s),
        "x": (x, x, x, x, x, x),
        "sf": (u, s, u, s, s, x),
        "sx": (s, s, s, s, x, x),
        "fx": (u, u, u, s, s, x),
        "xx": (x, x, x, x, x, x),
        "u": (u, u, u, s, s, s),
        "su": (u, s, u, s, s, x),
    }
    found = {
        f"{name}_{run_if}": state
        for name, states in table.items()
        for run_if, state in zip(rules_jobs.RUN_IFS, states, strict=True)
    }
    return {**found, "fine": s, "broken": f, "left_out": x, "behind": u, "gated": x, "never": s}


CASES = {
    "odd names": Case(
        "odd_names",
        states={"read-mode": SUCCESS, "gone": SUCCESS, "stayed": EXCLUDED, "count-each": SUCCESS, "show-it": SUCCESS},
        outcomes={"goes": True, "many": True, "big": True, "fine": True},
        results={"read-mode": "go"},
    ),
    "odd names, otherwise": Case(
        "odd_names",
        {"mode": "stop", "größe": "8"},
        states={"gone": EXCLUDED, "stayed": SUCCESS},
        outcomes={"goes": False, "big": False},
    ),
    "run_if": Case("run_ifs", states=by_run_if(), state=FAILED),
    "conditions over results": Case("compared_results", outcomes=compared(rules_jobs.VALUES)),
    "conditions over parameters": Case(
        "compared_parameters",
        outcomes={
            **compared(set(rules_jobs.VALUES) - {"nought", "amount", "noon", "level", "digit"}),
            "as_the_bundle": True,
        },
    ),
    "conditions over given parameters": Case(
        "compared_parameters",
        {"number": "5", "flag": "false", "ratio": "1.5", "nothing": "0", "colour": "GREEN", "day": "2024-01-06"},
        outcomes={
            "number_0": False, "number_1": True, "flag_0": False, "flag_1": True, "ratio_0": False, "ratio_2": True,
            "nothing_0": False, "nothing_1": True, "colour_0": False, "colour_2": True, "day_1": True,
            "as_the_bundle": False, "number_above_1": True,
        },
    ),
    "two references": Case(
        "two_references", outcomes={"same_number": True, "same_ratio": True, "differ": True, "not_above": False}
    ),
    "a condition fails": Case(
        "undecided",
        state=FAILED,
        states={
            "worded": SUCCESS, "broken": FAILED, "yes": UPSTREAM_FAILED, "no": UPSTREAM_FAILED, "anyway": SUCCESS,
        },
    ),
    "a leaf fails": Case("fails", state=FAILED, states={"bad": FAILED, "behind": UPSTREAM_FAILED, "ok": SUCCESS}),
    "a failure is told": Case(
        "told_of_failure",
        state=FAILED,
        states={"bad": FAILED, "behind": UPSTREAM_FAILED, "anyway": SUCCESS, "alarm": FAILED},
    ),
    "a failure is handled": Case(
        "handled_failure", state=SUCCESS_WITH_FAILURES, states={"bad": FAILED, "alarm": SUCCESS}
    ),
    "nothing to handle": Case("nothing_to_handle", states={"ok": SUCCESS, "behind": SUCCESS, "alarm": EXCLUDED}),
    "a hidden failure": Case(
        "hidden_failure", state=SUCCESS_WITH_FAILURES, states={"bad": FAILED, "cleanup": SUCCESS}
    ),
    "a cleanup beside": Case(
        "cleanup_beside", state=FAILED, states={"bad": FAILED, "load": UPSTREAM_FAILED, "cleanup": SUCCESS}
    ),
    "task values": Case(
        "values", {"top": "4"}, results={"read": "({'a': [1, None, 'x']}, {'a': [1, None, 'x']}, 5, 4)"}
    ),
    "a job passes parameters on": Case(
        "passing",
        {"day": "2024-01-05"},
        states={"taking": SUCCESS, "on": SUCCESS},
        inner={
            "taking": Case(
                "taking",
                results={
                    "told": "2024-01-05 2024-03-01 01:30:00+01:00 "
                    "[2, True, 1.0, None, Decimal('1.50'), 'see {{x}}', ['a']]"
                },
            )
        },
    ),
    "a run that succeeds with failures goes on": Case("goes_on", states={"hidden_failure": SUCCESS, "on": SUCCESS}),
    "a run that fails stops": Case(
        "stops", state=FAILED, states={"told_of_failure": FAILED, "on": UPSTREAM_FAILED, "cleanup": SUCCESS}
    ),
    "for each": Case(
        "repeated",
        state=FAILED,
        states={
            "literals": SUCCESS, "given": SUCCESS, "results": FAILED, "none": SUCCESS, "after": SUCCESS,
            "behind": UPSTREAM_FAILED, "noted": SUCCESS,
        },
        outcomes={"seen": True},
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Built:
    """The jobs as a wheel, unpacked beside as an installation would, and as definitions."""

    wheel: Path
    site: Path
    definitions: Mapping[str, Any]


@pytest.fixture(scope="session")
def built(shared: Path) -> Built:
    root = shared / "rules"
    with FileLock(shared / "rules.lock"):
        project = Project(root / "repository")
        if not (root / "ready").exists():
            shop(project.root)
            (project.root / "src/shop/pipelines/sales.py").unlink()
            shutil.copy(rules_jobs.__file__, project.root / "src/shop/pipelines/rules.py")
            for name in ("nothing", "echo"):
                project.write(f"notebooks/{name}.py", "# Databricks notebook source\n")
            result = project.build()
            assert result.code == 0, result.output
            with zipfile.ZipFile(project.wheel) as archive:
                archive.extractall(root / "site")
            (root / "ready").write_text(result.output)
    return Built(project.wheel, root / "site", project.jobs())


@pytest.fixture(scope="module")
def pool(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """Warm processes, for all runs of this module."""
    environment = {"PYTHONPATH": str(built.site), "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    pool = Pool(2, folder=str(tmp_path_factory.mktemp("pool")), environment=environment, packages=["shop"])
    yield pool
    pool.close()


def on_the_platform(case: Case, built: Built, pool: Pool, folder: Path) -> Run:
    return workspace(built, folder).run_now(case.job, case.parameters)


def workspace(built: Built, folder: Path) -> Workspace:
    environment = {"PYTHONPATH": str(built.site)}
    notebooks = {"echo.py": lambda parameters: parameters}
    return Workspace(
        built.definitions, folder=folder, variables=VARIABLES, notebooks=notebooks, environment=environment
    )


_PLATFORMS = {
    "skipped": SUCCESS,
    "upstream failed": UPSTREAM_FAILED,
    "succeeded with failures": SUCCESS_WITH_FAILURES,
}


def on_this_machine(case: Case, built: Built, pool: Pool, folder: Path) -> Run:
    build = builds.Build(read_wheel(built.wheel).manifest)
    setting = Setting(build, VARIABLES, folder, pool)
    found = build.manifest.job(case.job)
    texts = local_parameters.check_parameters(found, case.parameters, VARIABLES)
    nothing = Listener(lambda _: None, lambda *_: None, lambda _: None)
    return _of_ledger(runner.run_job(setting, found, parameters=texts, listener=nothing).folder)


def _of_ledger(folder: Path) -> Run:
    kept = history.read(folder)
    assert isinstance(kept, history.Run)
    tasks = kept.tasks()
    values = {path.stem: json.loads(path.read_text()) for path in (folder / "task_values").glob("*.json")}
    return Run(
        state=_PLATFORMS.get(kept.state, kept.state),
        states={key: _PLATFORMS.get(event["state"], event["state"]) for key, event in tasks.items()},
        outcomes={key: event["outcome"] for key, event in tasks.items() if "outcome" in event},
        values=values,
        inner={key: _of_ledger(folder.parent / event["run"]) for key, event in tasks.items() if event.get("run")},
    )


def in_a_test(case: Case, built: Built, pool: Pool, folder: Path) -> Run:
    job = getattr(rules_jobs, case.job)
    declared = {parameter.name: parameter for parameter in job.build().dag.parameters}
    given = {name: declared[name].value(text) for name, text in case.parameters.items()}
    return _of_result(testing.run_job(job, parameters=given, variables=VARIABLES, raise_on_error=False))


def _of_result(result: testing.JobResult) -> Run:
    run = Run(state=_PLATFORMS.get(str(result.state), str(result.state)))
    for key, one in result.tasks.items():
        run.states[key] = _PLATFORMS.get(str(one.state), str(one.state))
        if "condition_task" in one.fields and one.state == "success":
            run.outcomes[key] = str(one.value).lower()
        elif one.state == "success" and not one.fields and not one.iterations:
            run.values[key] = {"return_value": one.value}
        if one.run is not None:
            run.inner[key] = _of_result(one.run)
    return run


EXECUTORS: dict[str, Callable[[Case, Built, Pool, Path], Run]] = {
    "the platform": on_the_platform,
    "dbxdec run": on_this_machine,
    "a test": in_a_test,
}


def check(case: Case, run: Run) -> None:
    told = "\n".join([*run.printed.values(), *(text for one in run.inner.values() for text in one.printed.values())])
    assert {key: run.states.get(key) for key in case.states} == case.states, told
    assert {key: run.outcomes.get(key) for key in case.outcomes} == {
        key: str(held).lower() for key, held in case.outcomes.items()
    }, told
    assert {key: run.values[key].get("return_value") for key in case.results} == case.results
    assert run.state == case.state, told
    for key, inner in case.inner.items():
        check(inner, run.inner[key])


@pytest.mark.slow
@pytest.mark.sampled(28)
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", CASES)
def test_a_job_ends_alike_wherever_it_runs(name: str, executor: str, built: Built, pool: Pool, tmp_path: Path) -> None:
    """States of tasks, branches, results and the run's own state are those of the table, in every executor."""
    check(CASES[name], EXECUTORS[executor](CASES[name], built, pool, tmp_path))


# Repairs


def test_a_repair_reads_nothing_of_a_task_that_it_excludes(deployed: Workspace) -> None:
    """What its earlier attempt has left is in the table, or among the values, and no result of the run any more."""
    run = deployed.run_now("backed_up")
    assert (run.states["primary"], run.states["backup"], result(run, "either")) == (FAILED, SUCCESS, "None 2 7")
    deployed.repair(run)
    assert (run.states["primary"], run.states["backup"], result(run, "either")) == (SUCCESS, EXCLUDED, "1 None None")


# What only the platform does: triggers, queues, targets, retries by itself

TRIGGERED = dt.datetime(2024, 3, 1, 2, 0, tzinfo=dt.UTC)


@pytest.fixture
def deployed(built: Built, tmp_path: Path) -> Workspace:
    return workspace(built, tmp_path)


def result(run: Run, key: str) -> Any:
    assert run.states[key] == SUCCESS, run.printed
    return run.values[key]["return_value"]


def test_run_dates_follow_the_trigger_whatever_the_queue(deployed: Workspace) -> None:
    """A run that starts after midnight has the dates of its trigger, in each zone, in the context and in a notebook."""
    run = deployed.run_now("follows", triggered=TRIGGERED, queued=dt.timedelta(hours=23))
    assert result(run, "tell") == "2024-02-29 2024-02-29 2024-03-01"
    assert run.values["show"].items() >= {"day": "2024-02-29", "there": "2024-02-29"}.items()


KEYS = "2024-02-28 2024-02-18 2024-01-15 2024-03-01T01:00:00+00:00 eu"


def test_keys_are_the_last_that_were_due_at_the_trigger_whatever_the_queue(deployed: Workspace) -> None:
    """Days, weeks and months have ended in their zones, and their lag with them; a notebook gets the same values."""
    run = deployed.run_now("keyed", triggered=TRIGGERED, queued=dt.timedelta(hours=23))
    assert result(run, "tell") == KEYS
    shown = {"day": "2024-02-28", "week": "2024-02-18", "hour": "2024-03-01T01:00:00+00:00", "region": "eu"}
    assert run.values["show"].items() >= shown.items()
    tested = testing.run_job(rules_jobs.keyed, started=TRIGGERED)
    assert tested["tell"].value == KEYS


def test_a_key_given_by_hand_wins_and_one_off_the_grid_is_said(deployed: Workspace) -> None:
    """A run for a Tuesday counts for no week, but it runs."""
    run = deployed.run_now("keyed", {"day": "2024-01-05", "week": "2024-01-09", "region": "us"}, triggered=TRIGGERED)
    assert result(run, "tell").startswith("2024-01-05 2024-01-09 2024-01-15 ")
    assert result(run, "tell").endswith(" us")
    said = [line for line in run.printed["tell"].splitlines() if "no key" in line]
    assert len(said) == 1
    assert 'the job parameter `week` is 2024-01-09, which is no key of weekly(on="sunday")' in said[0]


def test_a_job_passes_its_keys_on(deployed: Workspace) -> None:
    """The other job gets the day and the hour of this job's trigger, however late it starts itself."""
    run = deployed.run_now("hands_keys_on", triggered=TRIGGERED, queued=dt.timedelta(hours=23))
    assert result(run.inner["taking"], "told").startswith("2024-02-29 2024-03-01 01:00:00+00:00 ")


@pytest.mark.parametrize("given", ["unresolved", "empty"])
def test_run_dates_follow_the_start_where_there_is_no_trigger(
    deployed: Workspace, given: Literal["unresolved", "empty"]
) -> None:
    """Where the platform leaves that reference as it is, or empty, the run's start counts, and the log says so."""
    queued = dt.timedelta(hours=23)
    run = deployed.run_now("follows", triggered=TRIGGERED, queued=queued, trigger_time=given)
    assert result(run, "tell") == "2024-03-01 2024-03-01 2024-03-02"
    assert "`day` follows the run's start: the platform gave no time of the trigger" in run.printed["tell"]


@pytest.mark.parametrize("text", ["2024-01-05", "2024-01-05T00:00:00Z", "2024-01-05T00:00:00"])
def test_a_date_given_by_hand_is_that_date(deployed: Workspace, text: str) -> None:
    """Dates and midnights, as backfills have them, are never moved."""
    run = deployed.run_now("follows", {"day": text, "there": text}, triggered=TRIGGERED)
    assert result(run, "tell") == "2024-01-05 2024-01-05 2024-03-01"


def test_a_moment_given_by_hand_is_refused(deployed: Workspace) -> None:
    """It may be of another day where its author is."""
    run = deployed.run_now("follows", {"day": "2024-01-05T22:00:00Z"}, triggered=TRIGGERED)
    assert run.state == FAILED
    assert "is '2024-01-05T22:00:00Z', a time and not a date" in run.printed["tell"]


def test_a_default_is_handed_on_as_the_date_that_it_is(deployed: Workspace) -> None:
    """The inner run, which is triggered at another moment, gets the outer one's date."""
    run = deployed.run_now("hands_on", triggered=TRIGGERED)
    assert result(run.inner["taking"], "told").startswith("2024-02-29 ")


def test_a_date_in_a_test_is_handed_on_too() -> None:
    """`started` is the moment of the trigger."""
    run = testing.run_job(rules_jobs.hands_on, started=TRIGGERED)["taking"].run
    assert run is not None
    assert run.parameters["day"] == dt.date(2024, 2, 29)


def test_a_parameter_that_the_target_adds_is_ignored(built: Built, tmp_path: Path) -> None:
    """It is pushed down to every task; only the log names it, and a near name too."""
    definitions = json.loads(json.dumps(built.definitions))
    definitions["values"]["parameters"] += [{"name": "env", "default": "dev"}, {"name": "topp", "default": "{{x}}"}]
    workspace = Workspace(definitions, folder=tmp_path, environment={"PYTHONPATH": str(built.site)})
    run = workspace.run_now("values")
    assert run.state == SUCCESS
    assert "ignored the parameter `env`, which the job `values` does not declare\n" in run.printed["read"]
    assert "`topp`, which the job `values` does not declare: did you mean `top`?" in run.printed["read"]


def test_a_failure_handler_is_not_tried_again(deployed: Workspace) -> None:
    """The platform tries serverless tasks again by itself, which a handler that has done its work forbids."""
    run = deployed.run_now("told_of_failure")
    assert (run.tries["alarm"], run.tries["bad"]) == (1, 2)
    assert run.printed["alarm"].count("ALARM") == 1
    assert "dbxdec-run: handled; the run has failed tasks" in run.printed["alarm"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"n": "04"}, "the job parameter `n` is '04'\n    hint: write '4'"),
        ({"n": " 4"}, "the job parameter `n` is ' 4'"),
        ({"full": "True"}, "the job parameter `full` is 'True'\n    hint: write 'true'"),
    ],
)
def test_another_spelling_runs_no_branch(deployed: Workspace, given: dict[str, str], said: str) -> None:
    """The platform takes a branch by the string, and each function on it refuses to run."""
    run = deployed.run_now("branching", given)
    assert run.state == FAILED
    assert all(run.states[key] != SUCCESS for key in ("yes", "no", "everything"))
    assert any(said in text for text in run.printed.values())


@pytest.mark.parametrize("given", [{"n": "04"}, {"full": "True"}])
def test_another_spelling_is_refused_before_a_run(
    given: dict[str, str], built: Built, pool: Pool, tmp_path: Path
) -> None:
    """`dbxdec run` says it before anything runs."""
    with pytest.raises(RunError, match="compares it as a string"):
        on_this_machine(Case("branching", given), built, pool, tmp_path)


def test_native_tasks_get_what_references_stand_for(deployed: Workspace) -> None:
    """Names that need backticks too."""
    run = deployed.run_now("odd_names")
    assert {"mode": "go", "rows": "3", "size": "7", "state": "success"}.items() <= run.values["show-it"].items()
