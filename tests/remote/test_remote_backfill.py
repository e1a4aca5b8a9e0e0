"""`dbxdec backfill -t TARGET`: each missing key gets one run on the platform, whatever goes wrong on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs_server import JobsServer
from remote_machines import BODY, DAYS, OLDER, Built, Machine, Platform, build, workspace


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("built"), BODY)


@pytest.fixture(scope="session")
def older(tmp_path_factory: pytest.TempPathFactory) -> Built:
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
    assert platform.server.runs == {}
    said = machine.backfill("--yes")
    assert said.code == 0, said
    assert "0 done, 3 runs to make, 1 at once" in said.out
    assert f"1/3  {DAYS[0]}  success, " in said.out
    assert "3 of 3 keys done" in said.out
    assert platform.rows("bronze") == platform.rows("gold") == DAYS
    again = machine.backfill()
    assert (again.code, "3 done, 0 runs to make" in again.out) == (0, True), again
