"""The keys that a person asks for, and what becomes of those that there should not be."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from dbxdec.errors import RunError
from dbxdec.local.asked_keys import asked_keys
from dbxdec.model.dag import Job, JobParameter
from dbxdec.model.keys import Choices, Key, Periods
from dbxdec.model.values import ValueType

NOW = dt.datetime(2024, 3, 10, 12, 30, tzinfo=dt.UTC)
SINCE, LAST = dt.date(2024, 1, 1), dt.date(2024, 3, 9)


def asked(key: Key, text: str) -> tuple[list[str], list[str]]:
    """The keys, and those that are left out."""
    kind = "datetime" if isinstance(key, Periods) and key.type == "datetime" else "date"
    job = Job("j", "m", "m:f", None, (), (JobParameter("day", ValueType(kind), key=key),))  # type: ignore[arg-type]
    found = asked_keys(job, {"day": [text]}, NOW)["day"]
    assert isinstance(key, Periods)
    since = None if key.since is None else key.holding(SINCE if kind == "date" else NOW - dt.timedelta(hours=20))
    last = key.at(NOW)
    return found.keys(key, since, last), list(found.left_out("day", key, since, last, "no later ones"))


def test_days_before_the_first_and_after_the_last_one_are_left_out_by_name() -> None:
    """Both in a range and one by one; an open end asks for nothing beyond."""
    daily = Periods("daily", "2024-01-01")
    assert asked(daily, "2023-12-30..2024-01-02") == (
        ["2024-01-01", "2024-01-02"],
        ["day=2023-12-30..2023-12-31: its keys begin with 2024-01-01 (`since`)"],
    )
    assert asked(daily, "2024-03-09..2024-03-11") == (["2024-03-09"], ["day=2024-03-10..2024-03-11: no later ones"])
    assert asked(daily, "2023-12-31,2024-01-01") == (
        ["2024-01-01"],
        ["day=2023-12-31: its keys begin with 2024-01-01 (`since`)"],
    )
    assert asked(daily, "2024-03-09..") == (["2024-03-09"], [])
    assert asked(Periods("daily"), "2023-12-31") == (["2023-12-31"], [])


def test_weeks_between_two_days_are_those_that_begin_there() -> None:
    """A range need not begin on the grid; a week that is asked for by itself must."""
    weekly = Periods("weekly", "2024-01-01")
    assert asked(weekly, "2023-12-27..2024-01-09") == (["2024-01-01", "2024-01-08"], [])
    with pytest.raises(RunError, match="is no key of weekly"):
        asked(weekly, "2024-01-03")


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_a_range_from_the_beginning_of_the_calendar_is_not_listed(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven hundred thousand days of before the first one."""
    between, listed = Periods.between, 0

    def counted(self: Periods, first: dt.date, last: dt.date) -> Iterator[dt.date]:
        nonlocal listed
        for one in between(self, first, last):
            listed += 1
            yield one

    monkeypatch.setattr(Periods, "between", counted)
    keys, left_out = asked(Periods("daily", "2024-01-01", tz=zone), "0001-01-01..")
    assert keys[0] == "2024-01-01"
    assert left_out == ["day=0001-01-01..2023-12-31: its keys begin with 2024-01-01 (`since`)"]
    assert listed < 100


def test_ranges_and_single_days_are_asked_for_together() -> None:
    keys, _ = asked(Periods("daily", "2024-01-01"), "2024-02-01, 2024-01-03..2024-01-05,2024-03-08..")
    assert keys == ["2024-01-03", "2024-01-04", "2024-01-05", "2024-02-01", "2024-03-08", "2024-03-09"]


def test_a_range_that_ends_before_it_begins_says_so() -> None:
    with pytest.raises(RunError, match=r"ends before it begins: write `2024-01-03\.\.2024-01-05`"):
        asked(Periods("daily", "2024-01-01"), "2024-01-05..2024-01-03")


def test_a_date_means_all_its_hours_in_utc() -> None:
    """By itself, in a list, and as the end of a range."""
    hourly = Periods("hourly")
    keys, left_out = asked(hourly, "2024-03-08")
    assert (len(keys), keys[0], keys[-1], left_out) == (24, "2024-03-08T00:00Z", "2024-03-08T23:00Z", [])
    assert len(asked(hourly, "2024-03-01,2024-03-05")[0]) == 48
    keys, _ = asked(hourly, "2024-03-08T20:00..2024-03-08")
    assert keys == [f"2024-03-08T{hour}:00Z" for hour in (20, 21, 22, 23)]
    assert asked(hourly, "2024-03-08T20:00") == (["2024-03-08T20:00Z"], [])
    keys, left_out = asked(hourly, "2024-03-10")
    assert keys[-1] == "2024-03-10T11:00Z"
    assert left_out == ["day=2024-03-10T12:00Z..2024-03-10T23:00Z: no later ones"]


def test_a_value_with_a_comma_or_a_space_at_its_end_can_be_asked_for() -> None:
    """What is a value as a whole is that one; otherwise commas part it."""
    key = Choices(("eu, north", "eu", "us", " x"))
    job = Job("j", "m", "m:f", None, (), (JobParameter("region", ValueType("str"), key=key),))  # type: ignore[arg-type]

    def values(*texts: str) -> tuple[str, ...]:
        return asked_keys(job, {"region": list(texts)}, NOW)["region"].values

    assert values("eu, north") == ("eu, north",)
    assert values("eu, us") == ("eu", "us")
    assert values(" x,eu") == (" x", "eu")
    assert values("eu, north", "us,eu") == ("eu, north", "us", "eu")
    with pytest.raises(RunError) as error:
        values("us,eu,north")
    (problem,) = error.value.problems
    assert problem.message.startswith("region=us,eu,north names `north`, but its values are")
    assert problem.hint == "name a value with a comma apart from others: `region=eu, north`"


def test_a_key_may_be_given_several_times() -> None:
    """Each time as ranges and lists; what is wrong is told of each."""
    key = Periods("daily", "2024-01-01")
    job = Job("j", "m", "m:f", None, (), (JobParameter("day", ValueType("date"), key=key),))  # type: ignore[arg-type]
    found = asked_keys(job, {"day": ["2024-01-03..2024-01-04", "2024-01-01,2024-01-03"]}, NOW)["day"]
    assert found.keys(key, SINCE, LAST) == ["2024-01-01", "2024-01-03", "2024-01-04"]
    with pytest.raises(RunError) as error:
        asked_keys(job, {"day": ["x", "2024-01-01", "y"]}, NOW)
    assert [one.message.partition(" ")[0] for one in error.value.problems] == ["day=x", "day=y"]


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("decimal", "1.5", "1.50"),
        ("datetime", "2024-10-27T02:30:00+02:00", "2024-10-27T00:30:00+00:00"),
        ("bool", "true", "True"),
        ("int", "7", " 07"),
    ],
)
def test_a_value_may_be_spelled_as_a_run_takes_it(kind: str, value: str, text: str) -> None:
    """It is the key that the job has, in the job's spelling."""
    parameter = JobParameter("k", ValueType(kind), key=Choices((value,)))
    job = Job("j", "m", "m:f", None, (), (parameter,))  # type: ignore[arg-type]
    assert asked_keys(job, {"k": [text]}, NOW)["k"].values == (value,)
