"""When jobs start: expressions that Quartz takes, zones that there are, and the day that a run counts by."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbxdec import daily, hourly, monthly, weekly
from dbxdec.errors import SourceLocation
from dbxdec.model import quartz, schedules
from dbxdec.model.dag import Job, JobParameter
from dbxdec.model.keys import Periods
from dbxdec.model.rundate import RunDate
from dbxdec.model.values import ValueType

RANGES = [(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (1, 7)]
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


@st.composite
def fields(draw: st.DrawFn, index: int) -> str:
    """One field as people write it: any value, a number, a list, a range, steps, names."""
    first, last = RANGES[index]
    number = st.integers(first, last)
    names = MONTHS if index == 4 else DAYS if index == 5 else None
    parts = [
        st.just("*"),
        number.map(str),
        st.tuples(number, number).map(lambda pair: f"{pair[0]}-{pair[1]}"),
        st.tuples(number, st.integers(1, last)).map(lambda pair: f"{pair[0]}/{pair[1]}"),
        st.integers(1, last).map(lambda step: f"*/{step}"),
    ]
    if names:
        parts += [st.sampled_from(names), st.sampled_from(names).map(str.lower)]
    return ",".join(draw(st.lists(st.one_of(parts), min_size=1, max_size=3)))


@st.composite
def expressions(draw: st.DrawFn) -> str:
    texts = [draw(fields(index)) for index in range(6)]
    if draw(st.booleans()):
        texts[5] = "?"
        texts[4] = "*"  # any day of the month comes in some month
    else:
        texts[3] = "?"
    return " ".join(texts)


class TestQuartz:
    @given(expressions())
    def test_what_quartz_takes_is_taken(self, text: str) -> None:
        """Lists, ranges that go round, steps and names within the bounds of each field are fine."""
        quartz.parse(text)
        assert list(schedules.findings({"quartz_cron_expression": text, "timezone_id": "UTC"})) == []

    @given(st.integers(0, 5), st.integers(-70, 200))
    def test_a_number_beyond_its_field_is_named(self, index: int, number: int) -> None:
        """A number outside of its field's bounds is refused with the bounds, one inside is not."""
        texts = ["0", "0", "5", "?", "*", "*"] if index == 5 else ["0", "0", "5", "*", "*", "?"]
        texts[index] = str(number)
        first, last = RANGES[index]
        found = list(schedules.findings({"quartz_cron_expression": " ".join(texts), "timezone_id": "UTC"}))
        assert bool(found) != (first <= number <= last)
        assert all(f"which are {first} to {last}" in message for message, _ in found)

    @pytest.mark.parametrize(
        "text",
        [
            "0 0 12 * * ?",
            "0 15 10 ? * MON-FRI",
            "0 15 10 L * ?",
            "0 15 10 L-2 * ?",
            "0 15 10 LW * ?",
            "0 15 10 15W * ?",
            "0 15 10 ? * 6L",
            "0 15 10 ? * FRIL",
            "0 15 10 ? * 6#3",
            "0 15 10 ? * 6L 2026-2030",
            "0 0/5 14,18 * * ?",
            "0 0 22-2 * * ?",
            "0 11 11 11 11 ?",
            "0 0 0 29 2 ?",
            "0 0 0 31 2,3 ?",
        ],
    )
    def test_examples_of_its_documentation(self, text: str) -> None:
        """What Quartz documents is taken."""
        quartz.parse(text)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("0 0 25 * * ?", "'25' for hours, which are 0 to 23"),
            ("0 60 * * * ?", "'60' for minutes"),
            ("0 0 5 0 * ?", "'0' for days of the month, which are 1 to 31"),
            ("0 0 5 * 13 ?", "'13' for months, which are 1 to 12 or JAN to DEC"),
            ("0 0 5 ? * 0", "'0' for days of the week, which are 1 to 7 or SUN to SAT"),
            ("0 0 5 ? * MONDAY", "'MONDAY' for days of the week"),
            ("0 0 5 * * ? 1969", "'1969' for years"),
            ("0 0/0 5 * * ?", "the step '0'"),
            ("0 */70 5 * * ?", "the step '70'"),
            ("0 0 5 31 2 ?", "never fires: no month of 2 has a day 31"),
            ("0 0 5 31 4,6,9,11 ?", "never fires"),
            ("0 0 5 30-31 FEB ?", "never fires"),
            ("5 0 * * *", "has 5 fields"),
            ("0 0 5 * * * *  *", "has 8 fields"),
            ("@daily", "has 1 field"),
            ("0 0 5 32W * ?", "'32W'"),
            ("0 0 5 1,L * ?", "'L' for days of the month in the list '1,L'"),
            ("0 0 5 15W,20 * ?", "'15W' for days of the month in the list"),
            ("0 0 5 ? * MON#1,FRI#2", "'MON#1' for days of the week in the list"),
            ("0 0 5 ?,3 * ?", "'?' for days of the month in the list"),
            ("0 0 5 ? * 6#6", "'6#6'"),
            ("0 0 5 ? * 8L", "'8L'"),
            ("0 0 5- * * ?", "'' for hours"),
            ("0 0 5,, * * ?", "'' for hours"),
            ("0 0 \uff15 * * ?", "for hours"),
        ],
    )
    def test_what_quartz_refuses_is_said(self, text: str, said: str) -> None:
        """Values that only the platform would refuse, at deploy, are named with what is allowed."""
        ((message, hint),) = schedules.findings({"quartz_cron_expression": text, "timezone_id": "UTC"})
        assert said in message
        assert hint

    def test_references_are_left_to_the_bundle(self) -> None:
        """A value that only a deploy knows is not looked at."""
        assert list(schedules.findings({"quartz_cron_expression": "${var.cron}", "timezone_id": "${var.zone}"})) == []


def zone_findings(name: Any) -> list[tuple[str, str | None]]:
    return list(schedules.findings({"quartz_cron_expression": "0 0 5 * * ?", "timezone_id": name}))


class TestZones:
    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("Europe/Berln", "Europe/Berlin"),
            ("europe/berlin", "Europe/Berlin"),
            ("Amercia/New_York", "America/New_York"),
            ("America/New York", "America/New_York"),
            ("utc", "UTC"),
            ("Asia/Tokio", "Asia/Tokyo"),
        ],
    )
    def test_a_misspelt_zone_is_refused_with_the_right_one(self, name: str, meant: str) -> None:
        """A zone that is nearly one that there is, is refused."""
        ((message, hint),) = zone_findings(name)
        assert message == f"`schedule.timezone_id` is {name!r}, which is not a time zone"
        assert hint == f"did you mean `{meant}`?"

    @pytest.mark.parametrize(
        "name",
        ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "GMT+2", "GMT-03:30", "PST", "Etc/GMT+5", "EST5EDT"],
    )
    def test_zones_that_the_platform_takes(self, name: str) -> None:
        """Names of the zone database, and what Java takes besides, are fine."""
        assert zone_findings(name) == []
        assert schedules.warnings(job(zone=name)) == []

    def test_a_zone_that_is_near_none_is_a_warning(self) -> None:
        """It may be newer than the zones of the machine that builds."""
        assert zone_findings("Mars/Olympus_Mons") == []
        (warning,) = schedules.warnings(job(zone="Mars/Olympus_Mons"))
        assert "which this machine does not know" in warning.message


def job(cron: str = "0 0 5 * * ?", zone: str = "UTC", counts: str | None = None) -> Job:
    """A scheduled job with one parameter that follows the run, counted in the zone `counts`."""
    parameter = JobParameter("day", ValueType("date"), "x", RunDate(offset_days=-1, tz=counts or "UTC"))
    return Job(
        "nightly",
        "m",
        "f",
        SourceLocation("a.py", 3),
        (),
        parameters=(parameter,) if counts else (),
        settings={"schedule": {"quartz_cron_expression": cron, "timezone_id": zone}},
    )


class TestRunDates:
    @pytest.mark.parametrize(
        ("cron", "zone", "counts", "said"),
        [
            ("0 30 0 * * ?", "Asia/Tokyo", "UTC", "starts at 00:30 in Asia/Tokyo, when it is the day before in UTC"),
            (
                "0 0 22 * * ?",
                "America/New_York",
                "UTC",
                "starts at 22:00 in America/New_York, when it is the day after",
            ),
            ("0 30 1 * * ?", "Europe/Berlin", "UTC", "starts at 01:30 in Europe/Berlin, when it is the day before"),
            ("0 30 0 * * ?", "UTC", "America/New_York", "the day before in America/New_York"),
        ],
    )
    def test_a_run_on_another_day_than_its_date_is_warned_of(
        self, cron: str, zone: str, counts: str, said: str
    ) -> None:
        """A schedule whose local day is another one than that of `run_date` is off by a day: a warning."""
        (warning,) = schedules.warnings(job(cron, zone, counts))
        assert said in warning.message
        assert f'tz="{zone}"' in (warning.hint or "")

    @pytest.mark.parametrize(
        ("cron", "zone", "counts"),
        [
            ("0 0 5 * * ?", "UTC", "UTC"),
            ("0 0 12 * * ?", "Asia/Tokyo", "UTC"),
            ("0 30 0 * * ?", "Asia/Tokyo", "Asia/Tokyo"),
            ("0 30 2 * * ?", "Europe/Berlin", "UTC"),
            ("0 30 0 * * ?", "Asia/Tokyo", None),
        ],
    )
    def test_a_run_on_the_same_day_is_not(self, cron: str, zone: str, counts: str | None) -> None:
        """Where both are on one day all year, or no parameter follows the run, nothing is said."""
        assert schedules.warnings(job(cron, zone, counts)) == []

    @given(st.integers(0, 23), st.integers(0, 59), st.sampled_from(["UTC", "Asia/Tokyo", "America/Los_Angeles"]))
    def test_the_warning_says_what_a_run_would_get(self, hour: int, minute: int, zone: str) -> None:
        """It comes exactly where a run of that moment, in winter or summer, would count another day."""
        moments = [dt.datetime(2025, month, 15, hour, minute, tzinfo=ZoneInfo(zone)) for month in (1, 7)]
        off = any(RunDate().at(moment) != moment.date() for moment in moments)
        assert bool(schedules.warnings(job(f"0 {minute} {hour} * * ?", zone, "UTC"))) == off


def keyed(cron: str, zone: str, key: Periods) -> Job:
    """A scheduled job with a key."""
    parameter = JobParameter("day", ValueType("date"), "x", key=key)
    return replace(job(cron, zone), parameters=(parameter,))


class TestKeys:
    @pytest.mark.parametrize(
        ("cron", "zone", "key", "lost"),
        [
            ("0 0 4 * * ?", "Europe/Berlin", daily(tz="Europe/Berlin", lag=dt.timedelta(hours=4)), "2025-03-29"),
            ("0 30 1 * * ?", "Europe/Berlin", daily(), "2025-10-25"),
            ("0 30 3 * * ?", "America/New_York", daily(tz="America/New_York", lag=dt.timedelta(hours=3)), "2025-03-08"),
            ("0 30 1 ? * MON", "Europe/Berlin", weekly(), "2025-10-13"),
            ("0 0 4 2-31 * ?", "UTC", daily(), "2025-01-31"),
        ],
    )
    def test_a_key_that_a_schedule_passes_over_is_warned_of(
        self, cron: str, zone: str, key: Periods, lost: str
    ) -> None:
        """At one start the day is not due yet, and at the next one the day after it is: no run would be for it."""
        (warning,) = schedules.warnings(keyed(cron, zone, key))
        assert f"passes over day={lost}" in warning.message
        assert "and no run starts between" in warning.message

    @pytest.mark.parametrize(
        ("cron", "zone", "key"),
        [
            ("0 0 5 * * ?", "Europe/Berlin", daily(tz="Europe/Berlin", lag=dt.timedelta(hours=4))),
            ("0 0 0 * * ?", "Europe/Berlin", daily(tz="Europe/Berlin")),
            ("0 30 2 * * ?", "Europe/Berlin", daily(tz="Europe/Berlin")),
            ("0 0 5 ? * MON-FRI", "UTC", daily()),
            ("0 0 5 ? * MON", "UTC", daily()),
            ("0 0 5 1 * ?", "UTC", monthly()),
            ("0 0 5 L * ?", "UTC", monthly()),
            ("0 0 * * * ?", "Europe/Berlin", daily()),
            ("0 0 5 * * ?", "UTC", hourly()),
            ("0 0 5 * * ? 2027", "UTC", daily()),
        ],
    )
    def test_a_schedule_that_reaches_each_key_or_chooses_days_is_not(self, cron: str, zone: str, key: Periods) -> None:
        """Where most days are left out, as at a weekend, somebody has wanted it so."""
        assert schedules.warnings(keyed(cron, zone, key)) == []

    @given(st.integers(0, 23), st.integers(0, 6), st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles"]))
    def test_the_warning_comes_where_runs_leave_out_a_day(self, hour: int, lag: int, zone: str) -> None:
        """It comes exactly where the days that runs of a year get have a gap."""
        key = daily(tz="Europe/Berlin", lag=dt.timedelta(hours=lag))
        first = dt.datetime(2025, 1, 1, hour, 30)
        got = [key.at((first + dt.timedelta(n)).replace(tzinfo=ZoneInfo(zone))) for n in range(365)]
        gap = any((after - before).days > 1 for before, after in pairwise(got))
        assert bool(schedules.warnings(keyed(f"0 30 {hour} * * ?", zone, key))) == gap
