"""What a deployed job and its runs say of keys, builds, parameters and free places."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dbxdec.errors import SourceLocation
from dbxdec.model.dag import Job, JobParameter
from dbxdec.model.keys import Choices, Periods
from dbxdec.model.trigger import REFERENCE
from dbxdec.model.values import ValueType
from dbxdec.remote.started import Started
from dbxdec.remote.states import Deployed, PlatformRun, Slots, has_values, is_of_build, key_of, newest_by_key, token


def job(*parameters: JobParameter) -> Job:
    return Job("delays", "shop", "delays", SourceLocation("shop.py", 1), (), parameters)


def parameter(name: str, kind: Any, key: Periods | Choices | None = None, default: str | None = None) -> JobParameter:
    found = ValueType.of(kind)
    assert found is not None
    return JobParameter(name, found, default, None, key)


DAY = parameter("day", dt.date, Periods("daily", tz="Europe/Berlin"), REFERENCE)
HOUR = parameter("hour", dt.datetime, Periods("hourly"), REFERENCE)
REGION = parameter("region", str, Choices(("eu", "us")), "eu")
STARTED = int(dt.datetime(2024, 3, 5, 12, 30, tzinfo=dt.UTC).timestamp() * 1000)


def run(**parameters: str) -> PlatformRun:
    return PlatformRun(1, "failed", started=STARTED, parameters=parameters)


def test_a_run_is_for_the_key_of_its_parameters() -> None:
    """Of all of them; a run without one, or with a value of another type, is for none."""
    two = job(DAY, REGION)
    assert key_of(two, run(day="2024-03-04", region="eu")) == ("2024-03-04", "eu")
    assert key_of(two, run(day="2024-03-04")) is None
    assert key_of(two, run(day="soon", region="eu")) is None


def test_a_default_is_the_last_key_that_was_due() -> None:
    """The platform shows it as its reference, or as the moment that it stands for."""
    assert key_of(job(DAY), run(day=REFERENCE)) == ("2024-03-04",)
    assert key_of(job(DAY), run(day="2024-03-03T00:00:05")) == ("2024-03-02",)
    triggered = replace(run(hour="2024-03-03T05:00:00"), is_triggered=True)
    assert key_of(job(HOUR), triggered) == ("2024-03-03T04:00Z",)
    assert key_of(job(HOUR), run(hour="2024-03-03T05:00Z")) == ("2024-03-03T05:00Z",)


def test_no_more_runs_are_read_than_it_takes() -> None:
    """They come newest first, a page at a time."""
    days = iter([run(day="2024-03-04"), replace(run(day="2024-03-04"), id=2), run(day="2024-03-03"), run()])
    found = newest_by_key(job(DAY), days, [("2024-03-04",), ("2024-03-03",)])
    assert [one.id for one in found.values()] == [1, 1]
    assert len(list(days)) == 1
    assert newest_by_key(job(DAY), days, []) == {}


def test_a_run_with_other_values_is_not_gone_on_with() -> None:
    """Neither of a given parameter nor of a default; a default that follows the run is the same."""
    deployed = Deployed(1, parameters={"day": REFERENCE, "scale": "1", "asof": REFERENCE})
    assert has_values(job(DAY), run(day="2024-03-04", scale="1", asof="2024-03-04T00:00:01"), deployed, {})
    assert has_values(job(DAY), run(day="2024-03-04"), deployed, {})
    assert not has_values(job(DAY), run(day="2024-03-04", scale="2"), deployed, {})
    assert not has_values(job(DAY), run(day="2024-03-04", scale="1"), deployed, {"scale": "2"})
    assert not has_values(job(DAY), run(day="2024-03-04", other="1"), deployed, {})


def test_a_run_is_of_the_deployed_build_when_all_its_tasks_are() -> None:
    """Tasks, build and variables are the same; what the platform fills in does not count."""
    named = {"dbxdec-build": "b", "dbxdec-var-lake": "s3://a", "dbxdec-run-id": "{{job.run_id}}"}
    deployed = Deployed(1, tasks=(("load", named),))
    ran = {**named, "dbxdec-run-id": "7", "day": "2024-03-04"}
    assert is_of_build(replace(run(), tasks=(("load", ran),)), deployed)
    assert not is_of_build(replace(run(), tasks=(("load", {**ran, "dbxdec-build": "c"}),)), deployed)
    assert not is_of_build(replace(run(), tasks=(("load", {**ran, "dbxdec-var-lake": "s3://b"}),)), deployed)
    assert not is_of_build(replace(run(), tasks=(("load", ran), ("more", ran))), deployed)
    assert not is_of_build(run(), deployed)


@pytest.mark.parametrize(
    ("most", "is_scheduled", "asked", "one_by_one", "own"),
    [
        (5, False, None, False, 5),
        (5, True, None, False, 4),
        (5, True, 2, False, 2),
        (5, True, 9, False, 4),
        (1, True, None, False, 1),
        (5, False, None, True, 1),
    ],
)
def test_one_place_is_left_for_the_schedule(
    most: int, is_scheduled: bool, asked: int | None, one_by_one: bool, own: int
) -> None:
    """Unless the job admits no other run; a person may want fewer."""
    assert Slots.of(Deployed(1, "", most, is_scheduled), asked, one_by_one=one_by_one).own == own


def test_runs_of_others_take_places() -> None:
    """The one that was left, first; a table that is replaced as a whole waits for all of them."""
    slots = Slots(own=4, all=5)
    assert [slots.free(0, 0), slots.free(0, 1), slots.free(1, 1), slots.free(2, 3), slots.free(4, 3)] == [4, 4, 3, 0, 0]
    assert [Slots(1, 1).free(0, 0), Slots(1, 1).free(0, 1)] == [1, 0]


def test_a_token_is_the_same_for_all_who_want_the_same_run() -> None:
    """It has the 64 characters that the platform admits, and differs by everything that makes another run."""
    first = token("4711", 17, {"day": "2024-03-04", "scale": "1"}, "first")
    assert first == token("4711", 17, {"scale": "1", "day": "2024-03-04"}, "first")
    assert len(first) == 64
    others = {
        token("4712", 17, {"day": "2024-03-04", "scale": "1"}, "first"),
        token("4711", 18, {"day": "2024-03-04", "scale": "1"}, "first"),
        token("4711", 17, {"day": "2024-03-05", "scale": "1"}, "first"),
        token("4711", 17, {"day": "2024-03-04", "scale": "1"}, "1001"),
    }
    assert len(others - {first}) == 4


def test_a_record_tells_which_runs_have_no_answer(tmp_path: Path) -> None:
    """A command that was stopped in the middle may have started them: they are looked for by their keys."""
    (tmp_path / "pyproject.toml").touch()
    record = Started.of(tmp_path, "delays", "prod", 7)
    record.note("starting", ("2024-01-01",), after="first")
    record.note("started", ("2024-01-01",), run=11)
    record.note("starting", ("2024-01-02",), after="first")
    assert record.unanswered() == {("2024-01-02",)}
    assert record.open_runs() == {("2024-01-01",): 11}
