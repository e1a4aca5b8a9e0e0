"""`dbxdec missing -t TARGET --on-platform`: a task of the deployed wheel tells what this machine can't read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbxdec.errors import RunError
from dbxdec.remote.workspace import one_time_task
from dbxdec.runtime import survey
from jobs_server import JobsServer
from remote_machines import BODY, DAYS, Built, Machine, Platform, build, workspace

pytestmark = pytest.mark.xdist_group("remote")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("built"), BODY)


@pytest.fixture
def platform(built: Built, tmp_path: Path) -> Iterator[Platform]:
    with workspace(tmp_path, built) as found:
        yield found


@pytest.fixture
def server(platform: Platform) -> JobsServer:
    return platform.server


@pytest.fixture
def machine(platform: Platform, built: Built) -> Machine:
    return platform.machine(built)


@pytest.mark.slow
def test_a_task_on_the_platform_tells_what_this_machine_can_not_read(
    machine: Machine, server: JobsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without being asked to, nothing is started there."""
    server.wait(server.start("delays", {"day": DAYS[1]}))
    monkeypatch.setenv("LOCKED", "1")
    said = machine.missing("--json")
    assert (said.code, server.count("runs/submit")) == (3, 0), said
    (found,) = json.loads(said.out)["jobs"]
    assert found["unknown"][0]["why"] == "PermissionError: no permission here"
    said = machine.missing("--json", "--on-platform")
    (found,) = json.loads(said.out)["jobs"]
    assert (said.code, found["source"], found["unknown"]) == (1, "platform", []), said
    assert found["missing"] == [{"day": DAYS[0]}, {"day": DAYS[2]}]
    assert "reads the tables: http://127.0.0.1" in said.err
    assert server.count("runs/submit") == 1
    assert "by platform since" in machine.missing("--on-platform").out


@pytest.mark.slow
def test_a_backfill_asks_the_platform_by_itself(
    machine: Machine, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It starts runs there anyway."""
    platform.server.wait(platform.server.start("delays", {"day": DAYS[1]}))
    monkeypatch.setenv("LOCKED", "1")
    said = machine.backfill("--yes")
    assert (said.code, "1 done, 2 runs to make" in said.out, "3 of 3 keys done" in said.out) == (0, True, True), said
    assert platform.rows("bronze") == DAYS


@pytest.mark.slow
def test_a_task_that_fails_leaves_it_untold(
    machine: Machine, server: JobsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is never called missing: an older dbxdec there, an answer that is cut off, tables that nobody can read."""
    monkeypatch.setenv("LOCKED", "1")
    server.spoils = lambda printed: printed.partition("dbxdec-keys ")[0]
    said = machine.missing("--on-platform")
    assert (said.code, "and on the platform: the task's answer is cut off" in said.err) == (3, True), said
    server.spoils = None
    for task in server.settings("delays")["tasks"]:
        task["python_wheel_task"]["named_parameters"]["dbxdec-job"] = "none"
    said = machine.missing("--on-platform")
    assert (said.code, "and on the platform: the task that was to tell has failed" in said.err) == (3, True), said


@pytest.mark.slow
def test_the_answer_of_an_older_wheel_is_said(
    machine: Machine, server: JobsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its `dbxdec-run` refuses what it does not know."""
    monkeypatch.setenv("LOCKED", "1")
    monkeypatch.setattr("dbxdec.remote.asking.KEYS", "dbxdec-other")
    said = machine.missing("--on-platform")
    assert (said.code, "the deployed wheel has an older dbxdec, whose tasks can't tell" in said.err) == (3, True), said


def test_an_answer_is_read_from_lines_in_any_order_or_not_at_all() -> None:
    """The platform may cut off the beginning of what was printed, and mixes streams."""
    answer = {"until": {}, "tables": [{"uri": f"s3://a/{n * 7919 % 10_007}"} for n in range(8_000)]}
    lines = survey.lines(answer)
    assert len(lines) > 2
    assert survey.read("\n".join(["noise", *reversed(lines), "noise"])) == answer
    assert survey.read("\n".join(lines[1:])) is None
    assert survey.read("\n".join(lines[:-1])) is None
    assert survey.read("dbxdec-keys 1/1 AAAA") is None
    assert survey.read("") is None


WHEEL = {"package_name": "shop", "entry_point": "dbxdec-run", "named_parameters": {"dbxdec-job": "a", "x": "{{y}}"}}
SERVERLESS = {"environment_key": "default", "spec": {"dependencies": ["a.whl"]}}


def test_the_task_has_the_compute_and_the_wheel_of_the_job() -> None:
    """Of a for-each task too; parameters of the run are not passed on."""
    inner = {"task_key": "each_iteration", "environment_key": "default", "python_wheel_task": WHEEL}
    form = {
        "tasks": [{"task_key": "note", "notebook_task": {}}, {"task_key": "each", "for_each_task": {"task": inner}}],
        "environments": [SERVERLESS, {"environment_key": "other"}],
    }
    task, environments = one_time_task(form, {"dbxdec-keys": "all"})
    assert environments == [SERVERLESS]
    assert task["environment_key"] == "default"
    assert task["python_wheel_task"]["named_parameters"] == {"dbxdec-job": "a", "dbxdec-keys": "all"}
    classic = {"task_key": "a", "job_cluster_key": "small", "libraries": [{"whl": "a.whl"}], "python_wheel_task": WHEEL}
    clusters = [{"job_cluster_key": "small", "new_cluster": {"num_workers": 1}}]
    task, environments = one_time_task({"tasks": [classic], "job_clusters": clusters}, {})
    assert (task["new_cluster"], task["libraries"], environments) == ({"num_workers": 1}, [{"whl": "a.whl"}], [])
    with pytest.raises(RunError, match="no task of a wheel"):
        one_time_task({"tasks": []}, {})
