"""`dbxdec backfill -t TARGET`: each missing key gets one run on the platform, whatever goes wrong on the way."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbxdec.remote import workspace as sdk
from jobs_server import ACTIVE, Fault, JobsServer
from remote_machines import BODY, DAYS, OLDER, Built, Machine, Platform, build, workspace

# One process makes the builds that they need.
pytestmark = pytest.mark.xdist_group("remote")
SLOW = pytest.mark.slow
KILLED = """
import os, signal
from dbxdec.local import journal

append, count = journal.append, 0

def last_words(path, document):
    global count
    if path.parent.name == "remote":
        count += 1
        if count == {at}:
            append(path, document)
            if {torn}:
                os.truncate(path, path.stat().st_size - 5)
            os.kill(os.getpid(), signal.SIGKILL)
    append(path, document)

journal.append = last_words
from dbxdec.cli import main
main()
"""


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The build of the tree that the tests' machines have."""
    return build(tmp_path_factory.mktemp("built"), BODY)


@pytest.fixture(scope="session")
def older(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A build of before the parameter `scale`."""
    return build(tmp_path_factory.mktemp("older"), OLDER)


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


def test_what_is_missing_is_run_on_the_platform_once(machine: Machine, platform: Platform) -> None:
    """The plan is shown first, and nothing is left to do afterwards, on any machine."""
    asked = machine.backfill()
    assert (asked.code, f"missing  {DAYS[0]} to {DAYS[2]} (3)" in asked.out) == (2, True), asked
    assert machine.backfill("--dry-run").code == 0
    assert platform.server.runs == {}
    said = machine.backfill("--yes")
    assert said.code == 0, said
    assert "0 done, 3 runs to make, 1 at once" in said.out
    assert f"1/3  {DAYS[0]}  success, " in said.out
    assert "3 of 3 keys done" in said.out
    assert platform.rows("bronze") == platform.rows("gold") == DAYS
    again = machine.backfill()
    assert (again.code, "3 done, 0 runs to make" in again.out) == (0, True), again


@pytest.mark.slow
def test_a_job_without_keys_is_run_for_the_values_that_are_given(machine: Machine, platform: Platform) -> None:
    """Each gets one run on the platform, each time that a person asks for it."""
    said = machine.backfill("day=2024-01-31..2024-02-01", "--yes", job="plain")
    assert (said.code, "given    2024-01-31 to 2024-02-01 (2)" in said.out) == (0, True), said
    assert platform.rows("plain") == ["2024-01-31", "2024-02-01"]
    said = machine.backfill("day=2024-02-01", "--yes", job="plain")
    assert (said.code, "1 of 1 key done" in said.out) == (0, True), said
    assert platform.rows("plain") == ["2024-01-31", "2024-02-01", "2024-02-01"]
    said = machine.backfill("--yes", job="plain")
    assert (said.code, "the job `plain` has no key" in said.err) == (2, True), said


@pytest.mark.slow
@pytest.mark.parametrize(
    "what", ["drop after", "500 after", *(pytest.param(one, marks=SLOW) for one in ("500", "503", "429"))]
)
def test_a_lost_answer_is_asked_for_again_and_starts_one_run(
    machine: Machine, platform: Platform, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same token, which the platform knows."""
    monkeypatch.setattr(sdk, "PAUSES_S", (0.01, 0.01))
    platform.server.faults.append(Fault("run-now", what))  # type: ignore[arg-type]
    said = machine.backfill(f"day={DAYS[0]}", "--yes")
    assert said.code == 0, said
    bodies = [body for endpoint, body in platform.server.requests if endpoint == "run-now"]
    assert [len(body["idempotency_token"]) for body in bodies] == [64, 64]
    assert bodies[0] == bodies[1]
    assert len(platform.server.runs) == 1


@pytest.mark.slow
def test_failures_of_all_other_requests_pass(
    machine: Machine, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP 500 is asked again, also in the middle of a list; a workspace that goes on failing is said in a sentence."""
    monkeypatch.setattr(sdk, "PAUSES_S", (0.01, 0.01))
    platform.server.faults += [Fault("get", "500"), Fault("runs/list", "500"), Fault("runs/get", "500")]
    assert machine.backfill(f"day={DAYS[0]}", "--yes").code == 0
    platform.server.faults += [Fault("runs/list", "500")] * 3
    said = machine.backfill("--yes")
    assert (said.code, said.err.startswith(f"dbxdec: {platform.server.host} does not answer: on purpose")) == (2, True)
    assert "the same command goes on where this one was" in said.err


@pytest.mark.slow
def test_two_people_start_one_run(machine: Machine, platform: Platform, built: Built) -> None:
    """Both have seen that the day is missing, before either of them has started anything."""
    platform.server.together = threading.Barrier(2)
    other = platform.machine(built, "other")
    both = [one.start(f"day={DAYS[1]}", "--yes") for one in (machine, other)]
    said = [one.communicate(timeout=120)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert len(platform.server.runs) == 1
    assert platform.rows("bronze") == [DAYS[1]]


@pytest.mark.slow
def test_the_token_of_a_deleted_run_is_followed_by_another_one(machine: Machine, platform: Platform) -> None:
    """A person has deleted the failed run: the platform refuses its token for ever, and the day gets one more run."""
    platform.break_(DAYS[0])
    assert machine.backfill(f"day={DAYS[0]}", "--yes").code == 1
    (failed,) = platform.server.of(day=DAYS[0])
    platform.server.delete(failed.id)
    shutil.rmtree(platform.lake)
    platform.mend(DAYS[0])
    said = machine.backfill(f"day={DAYS[0]}", "--yes")
    assert said.code == 0, said
    assert len(platform.server.runs) == 1
    shutil.rmtree(platform.lake)
    platform.server.delete(platform.server.of()[0].id)
    said = machine.backfill(f"day={DAYS[0]}", "--yes")
    assert (said.code, "the run of this idempotency token was deleted" in said.out) == (1, True), said


@pytest.mark.slow
def test_a_skipped_run_is_started_later(machine: Machine, platform: Platform) -> None:
    """Somebody else's run has come between: the platform skips ours, and the day is there in the end."""
    server = platform.server
    server.held.add("2")

    def schedule() -> None:
        server.start("delays", {"day": "2001-01-01", "scale": "2"})
        threading.Timer(0.5, server.release).start()

    server.before_run_now.append(schedule)
    said = machine.backfill(f"day={DAYS[0]}", "--yes")
    assert said.code == 0, said
    assert "was skipped (max_concurrent_runs_exceeded: the maximum of concurrent runs was reached)" in said.err
    assert platform.rows("bronze") == ["2001-01-01", DAYS[0]]


@SLOW
def test_a_run_that_is_queued_is_waited_for(machine: Machine, platform: Platform) -> None:
    """A job with a queue skips nothing."""
    server = platform.server
    server.settings("delays")["queue"] = {"enabled": True}
    server.held.add("2")

    def schedule() -> None:
        server.start("delays", {"day": "2001-01-01", "scale": "2"})
        threading.Timer(0.5, server.release).start()

    server.before_run_now.append(schedule)
    said = machine.backfill(f"day={DAYS[0]}", "--yes")
    assert said.code == 0, said
    assert server.count("run-now") == 1
    assert platform.rows("bronze") == ["2001-01-01", DAYS[0]]


@pytest.mark.slow
def test_a_run_that_is_at_work_is_watched(machine: Machine, platform: Platform) -> None:
    """The schedule, or another machine, has started the day: it is not started again."""
    server = platform.server
    server.held.add(DAYS[2])
    server.start("delays", {"day": DAYS[2]})
    one = machine.start(f"day={DAYS[2]}", "--yes")
    server.wait_until(lambda: server.count("runs/list") >= 3)  # one of them for the plan
    server.release()
    said, _ = one.communicate(timeout=60)
    assert (one.returncode, "0 runs to make, 1 at once, 1 at work" in said) == (0, True), said
    assert f"at work  {DAYS[2]}" in said
    assert server.count("run-now") == 0
    assert platform.rows("bronze") == [DAYS[2]]


@pytest.mark.slow
def test_a_day_that_somebody_else_has_run_between_two_looks_is_left_to_them(
    machine: Machine, platform: Platform
) -> None:
    """The machine of the backfill sleeps, and a run of a later day begins and ends meanwhile."""
    server = platform.server
    server.settings("delays")["max_concurrent_runs"] = 3
    server.held.add(DAYS[0])
    one = machine.start("--yes", "--keys-at-once", "1")
    server.wait_until(lambda: server.count("run-now") == 1)
    one.send_signal(signal.SIGSTOP)
    other = server.wait(server.start("delays", {"day": DAYS[1]}))
    server.release()
    one.send_signal(signal.SIGCONT)
    said, _ = one.communicate(timeout=60)
    assert one.returncode == 0, said
    assert f"{DAYS[1]}: the run {other.id} that this backfill did not start was at work meanwhile" in said
    assert server.count("run-now") == 2
    assert platform.rows("bronze") == platform.rows("gold") == DAYS


@pytest.mark.slow
def test_a_backfill_that_is_cancelled_ends_its_runs_there(machine: Machine, platform: Platform) -> None:
    """The command stops as by Ctrl-C, and the platform ends what it has started."""
    server = platform.server
    server.held.add(DAYS[1])
    one = machine.start(f"day={DAYS[1]}", "--yes")
    server.wait_until(lambda: bool(server.of(day=DAYS[1])))
    said = machine.dbxdec("backfills", "cancel", "1")
    assert (said.code, "1 run on the platform is cancelled" in said.err) == (0, True), said.err
    one.communicate(timeout=60)
    assert one.returncode == 130
    assert server.wait(server.of(day=DAYS[1])[0]).result == "CANCELED"
    assert "cancelled" in machine.dbxdec("backfills").out


@pytest.mark.slow
def test_a_scheduled_run_is_known_by_the_day_that_it_is_for(machine: Machine, platform: Platform) -> None:
    """Nobody has given it the day, its parameter is the platform's reference: it is repaired, and as it was."""
    platform.break_(DAYS[2])
    scheduled = platform.server.wait(platform.server.start("delays", {}))
    assert scheduled.result == "RUN_EXECUTION_ERROR"
    platform.mend(DAYS[2])
    said = machine.backfill(f"day={DAYS[1]}..", "--yes")
    assert (said.code, f"{DAYS[2]}  repaired, success" in said.out) == (0, True), said
    assert platform.rows("bronze") == platform.rows("gold") == DAYS[1:]


@pytest.mark.slow
def test_a_failed_run_is_repaired_so_that_nothing_is_appended_again(machine: Machine, platform: Platform) -> None:
    """Its page is shown. The second repair names the first one, and has the parameters of the run."""
    platform.break_(DAYS[0])
    said = machine.backfill(f"day={DAYS[0]}", "-p", "scale=7", "--yes")
    (run,) = platform.server.of()
    assert (said.code, f"/run/{run.id}" in said.out, "Task gold failed" in said.out) == (1, True, True), said
    assert machine.backfill(f"day={DAYS[0]}", "-p", "scale=7", "--yes").code == 1
    platform.mend(DAYS[0])
    said = machine.backfill(f"day={DAYS[0]}", "-p", "scale=7", "--yes")
    assert (said.code, f"1/1  {DAYS[0]}  repaired, success" in said.out) == (0, True), said
    assert "1 run of them is repaired" in said.out
    assert (len(platform.server.runs), len(run.repairs)) == (1, 2)
    assert run.emulated is not None
    assert run.emulated.parameters == {"day": DAYS[0], "scale": "7"}
    assert platform.rows("bronze") == platform.rows("gold") == DAYS[:1]


@pytest.mark.slow
@pytest.mark.parametrize("what", ["500 after", *(pytest.param(one, marks=SLOW) for one in ("drop after", "500"))])
def test_a_lost_answer_to_a_repair_repairs_once(
    machine: Machine, platform: Platform, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repair has no token: the run itself shows whether it was taken on."""
    monkeypatch.setattr(sdk, "PAUSES_S", (0.01, 0.01))
    platform.break_(DAYS[0])
    assert machine.backfill(f"day={DAYS[0]}", "--yes").code == 1
    platform.mend(DAYS[0])
    platform.server.faults.append(Fault("runs/repair", what))  # type: ignore[arg-type]
    said = machine.backfill(f"day={DAYS[0]}", "--yes")
    assert said.code == 0, said
    assert len(platform.server.of()[0].repairs) == 1
    assert platform.rows("bronze") == DAYS[:1]


@pytest.mark.slow
def test_a_repair_that_the_run_does_not_show_yet_is_waited_for(machine: Machine, platform: Platform) -> None:
    """For a moment the run looks as failed as it was."""
    platform.break_(DAYS[0])
    assert machine.backfill(f"day={DAYS[0]}", "--yes").code == 1
    platform.mend(DAYS[0])
    platform.server.late_repairs = 2
    said = machine.backfill(f"day={DAYS[0]}", "--yes")
    assert (said.code, "repaired, success" in said.out) == (0, True), said


@pytest.mark.slow
def test_a_failed_run_of_another_build_is_not_repaired(
    machine: Machine, platform: Platform, older: Built, built: Built
) -> None:
    """A repair would run the new build in the old run; and a new run would append a part again, which is refused."""
    platform.deploy(older)
    platform.break_(DAYS[0])
    assert machine.backfill(f"day={DAYS[0]}", "--yes").code == 1
    platform.mend(DAYS[0])
    platform.deploy(built)
    said = machine.backfill(f"day={DAYS[0]}", "--yes")
    assert (said.code, "a new run would append it again" in said.err) == (2, True), said
    shutil.rmtree(platform.lake / "bronze")
    said = machine.backfill(f"day={DAYS[0]}", "--yes")
    assert (said.code, "repaired" in said.out) == (0, False), said
    assert len(platform.server.runs) == 2
    assert platform.rows("bronze") == platform.rows("gold") == DAYS[:1]


@SLOW
def test_a_failed_run_with_other_variables_is_not_repaired(machine: Machine, platform: Platform, built: Built) -> None:
    """The job has been deployed to another lake since: there the day is missing as a whole."""
    platform.break_(DAYS[0])
    assert machine.backfill(f"day={DAYS[0]}", "--yes").code == 1
    platform.mend(DAYS[0])
    platform.lake = platform.base / "another"
    platform.deploy(built)
    said = machine.backfill(f"day={DAYS[0]}", "--yes")
    assert said.code == 0, said
    assert len(platform.server.runs) == 2
    assert platform.rows("bronze") == DAYS[:1]


@pytest.mark.slow
@pytest.mark.parametrize("torn", [False, pytest.param(True, marks=SLOW)], ids=["after", "torn"])
def test_a_backfill_that_is_killed_at_a_line_of_its_record_goes_on(
    machine: Machine, platform: Platform, *, torn: bool
) -> None:
    """With kill -9 at the first line, then the same command at the second, and so on: each day is there once."""

    def until_it_lives(*days: str) -> list[int]:
        codes: list[int] = []
        while not codes or codes[-1] < 0:
            program = KILLED.format(at=len(codes) + 1, torn=torn)
            one = machine.start(f"day={','.join(days)}", "--yes", program=program)
            one.communicate(timeout=120)
            codes.append(one.returncode)
            for run in platform.server.of():
                platform.server.wait(run)
        return codes

    assert until_it_lives(DAYS[0]) == [-signal.SIGKILL] * 2 + [0]
    platform.break_(DAYS[1])
    assert machine.backfill(f"day={DAYS[1]}", "--yes").code == 1
    platform.mend(DAYS[1])
    assert until_it_lives(DAYS[1]) == [-signal.SIGKILL] * 2 + [0]
    assert platform.rows("bronze") == platform.rows("gold") == DAYS[:2]
    assert [(run.given["day"], len(run.repairs)) for run in platform.server.of()] == [(DAYS[0], 0), (DAYS[1], 1)]


@SLOW
def test_a_run_that_no_list_shows_yet_is_not_started_again(machine: Machine, platform: Platform) -> None:
    """This machine has a record of what it has started; without it the token says the same."""
    server = platform.server
    server.held.add(DAYS[0])
    one = machine.start(f"day={DAYS[0]}", "--yes", program=KILLED.format(at=2, torn=False))
    one.communicate(timeout=120)
    (run,) = server.of()
    server.lists_late.add(run.id)
    threading.Timer(2, server.release).start()
    said = machine.backfill(f"day={DAYS[0]}", "--yes")
    assert (said.code, f"at work  {DAYS[0]}" in said.out) == (0, True), said
    assert (server.count("run-now"), platform.rows("bronze")) == (1, DAYS[:1])


@pytest.mark.slow
def test_a_run_that_the_platform_does_not_know_yet_is_not_given_up(machine: Machine, platform: Platform) -> None:
    """It has given the run's id; what was deleted meanwhile is a failure."""
    server = platform.server
    server.unknown_for = 2
    server.lists_late |= {1001}
    said = machine.backfill(f"day={DAYS[0]}", "--yes")
    assert (said.code, list(server.runs)) == (0, [1001]), said
    server.lists_late.clear()
    server.held.add(DAYS[1])
    one = machine.start(f"day={DAYS[1]}", "--yes")
    server.wait_until(lambda: server.count("run-now") == 2)
    gone = server.runs[1002]
    server.delete(1002)
    text, _ = one.communicate(timeout=60)
    assert (one.returncode, "the run has been deleted" in text) == (1, True), text
    server.release()
    server.wait(gone)


@pytest.mark.slow
def test_an_older_wheel_that_is_deployed_gets_only_what_it_declares(
    machine: Machine, platform: Platform, older: Built
) -> None:
    """It has no parameter `scale`; who gives one is told to deploy."""
    platform.deploy(older)
    said = machine.backfill(f"day={DAYS[0]}", "--yes")
    assert said.code == 0, said
    assert "is of another build than the tree" in said.err
    said = machine.backfill("-p", "scale=2", "--yes")
    assert (said.code, "has no parameter `scale`: it is of an older build" in said.err) == (2, True), said
    assert "databricks bundle deploy" in said.err


def test_a_key_that_the_deployed_job_does_not_declare_is_an_error(machine: Machine, platform: Platform) -> None:
    """A platform that ignores it would run the default day for each day."""
    settings = platform.server.settings("delays")
    settings["parameters"] = [one for one in settings["parameters"] if one["name"] != "day"]
    platform.server.refuses_undeclared = False
    said = machine.backfill("--yes")
    assert (said.code, "has no key `day`: it is of an older build" in said.err) == (2, True), said
    assert platform.server.runs == {}


@pytest.mark.slow
def test_one_slot_is_left_for_the_schedule(machine: Machine, platform: Platform) -> None:
    """The job admits three runs and has a schedule: two are at work, until a person wants fewer."""
    server = platform.server
    settings = server.settings("delays")
    settings["max_concurrent_runs"] = 3
    settings["schedule"] = {"quartz_cron_expression": "0 0 5 * * ?", "timezone_id": "UTC"}
    server.held |= set(DAYS)
    one = machine.start("--yes")
    server.wait_until(lambda: server.count("run-now") >= 2)
    seen = server.count("runs/list")
    server.wait_until(lambda: server.count("runs/list") >= seen + 2)
    assert len([run for run in server.of() if run.state in ACTIVE]) == 2
    server.release()
    said, _ = one.communicate(timeout=60)
    assert (one.returncode, "3 runs to make, 2 at once" in said) == (0, True), said
    settings["schedule"]["pause_status"] = "PAUSED"
    assert "3 runs to make, 3 at once" in machine.backfill("--again", "all").out
    assert "2 runs to make, 1 at once" in machine.backfill("--again", "all", "--every", "2d", "--keys-at-once", "1").out


@pytest.mark.slow
def test_keys_of_two_parameters_are_found_again_by_both(machine: Machine, platform: Platform) -> None:
    """Of two days and two regions one is there; each other one gets a run."""
    platform.server.settings("sales")["max_concurrent_runs"] = 2
    assert machine.backfill(f"day={DAYS[1]}", "region=us", "--yes", job="sales").code == 0
    said = machine.backfill("--yes", job="sales")
    assert (said.code, "1 done, 3 runs to make, 2 at once" in said.out) == (0, True), said
    given = [(run.given["day"], run.given["region"]) for run in platform.server.of()]
    assert sorted(given) == [(day, region) for day in DAYS[1:] for region in ("eu", "us")]
    assert platform.rows("sales") == sorted(2 * DAYS[1:])


@SLOW
def test_a_table_that_each_run_replaces_is_filled_one_day_after_another(machine: Machine, platform: Platform) -> None:
    """However many runs the job admits; and the plan must end with the newest day."""
    said = machine.backfill("--newest-first", "--yes", job="newest")
    assert (said.code, "it would end with the rows of" in said.err) == (2, True), said
    said = machine.backfill("--yes", job="newest")
    assert (said.code, "2 runs to make, 1 at once" in said.out) == (0, True), said
    assert platform.rows("newest") == DAYS[2:]


@SLOW
def test_a_done_day_whose_run_has_failed_is_repaired_when_wanted(
    machine: Machine, platform: Platform, older: Built, built: Built
) -> None:
    """Its table has the day; a task after it has failed. With another build it can't be repaired, which is said."""
    platform.break_(DAYS[2])
    said = machine.backfill("--yes", job="newest")
    assert (said.code, "1 done key has a run that has not succeeded: `--again failed`" in said.out) == (1, True), said
    platform.mend(DAYS[2])
    platform.deploy(older)
    said = machine.backfill("--again", "failed", "--yes", job="newest")
    assert (said.code, f"the failed run of {DAYS[2]} can't be repaired" in said.err) == (0, True), said
    platform.deploy(built)
    assert "2 done, 0 runs to make" in machine.backfill("--yes", job="newest").out
    said = machine.backfill("--again", "failed", "--yes", job="newest")
    assert (said.code, f"1/1  {DAYS[2]}  repaired, success" in said.out) == (0, True), said
    assert len(platform.server.runs) == 2


@SLOW
def test_runs_are_found_on_later_pages(machine: Machine, platform: Platform) -> None:
    """The platform gives 24 runs a page: the failed one is behind more than that."""
    server = platform.server
    platform.break_(DAYS[0])
    assert machine.backfill(f"day={DAYS[0]}", "--yes").code == 1
    platform.mend(DAYS[0])
    server.settings("delays")["max_concurrent_runs"] = 0
    for number in range(50):
        server.start("delays", {"day": f"2001-01-{number % 28 + 1:02}"})
    server.settings("delays")["max_concurrent_runs"] = 1
    said = machine.backfill(f"day={DAYS[0]}", "--yes")
    assert (said.code, "repaired, success" in said.out) == (0, True), said


@pytest.mark.slow
def test_ctrl_c_starts_no_further_run_and_ends_none(machine: Machine, platform: Platform) -> None:
    """The run at work goes on; the same command watches it."""
    server = platform.server
    server.held |= set(DAYS)
    one = machine.start("--yes")
    server.wait_until(lambda: server.count("run-now") >= 1)
    one.send_signal(signal.SIGINT)
    said, _ = one.communicate(timeout=60)
    assert one.returncode == 130, said
    assert "no further run is started; those at work go on on the platform. The same command watches them" in said
    assert len(server.of()) == 1
    server.release()
    assert machine.backfill("--yes").code == 0
    assert platform.rows("bronze") == DAYS


@pytest.mark.slow
def test_the_bundle_tells_where_the_job_is_and_it_is_kept(machine: Machine, platform: Platform) -> None:
    """Without the CLI the next call knows it from this one."""
    said = machine.backfill("--dry-run", by_id=False)
    assert (said.code, "nobody knows which job of the workspace is `delays` of the target `prod`" in said.err) == (
        2,
        True,
    ), said
    assert "`--job-id ID`" in said.err
    summary = {
        "resources": {"jobs": {"delays": {"id": str(machine.ids["delays"]), "url": "x"}, "sales": {}}},
        "workspace": {"host": platform.server.host},
        "variables": {"lake": {"default": "x", "value": "y"}},
    }
    cli = machine.with_cli(summary)
    said = machine.backfill("--dry-run", by_id=False, DATABRICKS_HOST="", **cli)
    assert (said.code, "3 runs to make" in said.out) == (0, True), said
    said = machine.backfill("--dry-run", by_id=False, DATABRICKS_HOST="")
    assert (said.code, "3 runs to make" in said.out) == (0, True), said
    said = machine.backfill("--dry-run", by_id=False, job="sales", **cli)
    assert (said.code, "the job `sales` is not deployed to the target `prod`" in said.err) == (2, True), said
    said = machine.backfill("--dry-run", by_id=False, job="newest", **cli)
    assert (said.code, "the bundle has no job `newest` for the target `prod`" in said.err) == (2, True), said


def test_a_bundle_that_gives_no_json_is_said_with_its_words(machine: Machine) -> None:
    """Such as a tree that can't be built."""
    cli = machine.with_cli("Error: preinit failed\nit is on purpose")
    said = machine.backfill("--dry-run", by_id=False, **cli)
    assert said.code == 2
    assert "`databricks bundle summary -t prod` gave no JSON (exit code 1), and said:" in said.err
    assert "    it is on purpose" in said.err
    assert "--job-id ID" in said.err


def test_without_the_sdk_its_extra_is_named(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """One clear error; nothing else of dbxdec needs it."""
    monkeypatch.setitem(sys.modules, "databricks.sdk", None)
    said = machine.backfill("--yes")
    assert said.code == 2
    assert "a backfill on the platform needs databricks-sdk, which is not installed here" in said.err
    assert 'pip install "dbxdec[remote]"' in said.err


def test_the_sdk_is_imported_only_when_a_backfill_on_the_platform_starts() -> None:
    """Its import takes seconds."""
    modules = "dbxdec.cli.backfill, dbxdec.cli.remote_backfill, dbxdec.remote.backfilling, dbxdec.remote.place"
    program = f"import sys, {modules}; print('databricks.sdk' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


WRONG = {
    "a wrong token": ([], {"DATABRICKS_TOKEN": "none"}, "refuses these credentials: Invalid access token"),
    "a wrong host": (["--host", "http://127.0.0.1:9"], {}, "http://127.0.0.1:9 can't be reached: "),
    "no credentials": ([], {"DATABRICKS_TOKEN": ""}, "there are no credentials that work: "),
    "no such job": (["--job-id", "5"], {}, "the job 5 of "),
    "another job": (["--job-id", "101"], {}, "is `newest` of shop-pipelines, and not `delays` of shop-pipelines"),
    "another variable": (["--var", "lake=/x"], {}, "in the deployed job, and not /x"),
    "no such target": (["-t", "none"], {}, "has no target `none`"),
    "a parameter of another type": (["-p", "scale=x"], {}, "not of the type int"),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("arguments", "environment", "words"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_one_sentence(
    machine: Machine,
    platform: Platform,
    arguments: list[str],
    environment: dict[str, str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before anything runs, and without a traceback."""
    monkeypatch.setattr(sdk, "PAUSES_S", (0.01,))
    said = machine.dbxdec(*machine.arguments("--yes", *arguments), **environment)
    assert (said.code, words in said.err, "Traceback" in said.err) == (2, True, False), said
    assert platform.server.runs == {}


def test_places_without_a_target_are_wrong_usage(machine: Machine) -> None:
    """They would be ignored."""
    said = machine.dbxdec("backfill", "delays", "--host", "http://127.0.0.1:9")
    assert (said.code, "give its name by --target" in said.err) == (2, True), said
