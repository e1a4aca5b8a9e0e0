"""Keys that are periods: which one is due when, through summer time, and which values are keys at all."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import pytest
from hypothesis import given

from dbxdec import bundle_variable, daily, hourly, key, monthly, weekly
from dbxdec.local.asked_keys import first_key, last_key
from dbxdec.model import keys, run_keys
from dbxdec.model.dag import JobParameter
from dbxdec.model.following import passed_on, passing
from dbxdec.model.keys import Choices, KeyDefault, Periods
from dbxdec.model.trigger import REFERENCE
from dbxdec.model.values import ValueType
from dbxdec.support.forms import FormError

UTC = dt.UTC
BERLIN = ZoneInfo("Europe/Berlin")
FOUR_HOURS = dt.timedelta(hours=4)


def moment(text: str, zone: dt.tzinfo = UTC) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("rule", "triggered", "due"),
    [
        (daily(), moment("2024-03-02T00:00"), dt.date(2024, 3, 1)),
        (daily(), moment("2024-03-01T23:59:59"), dt.date(2024, 2, 29)),
        (daily(tz="Europe/Berlin"), moment("2024-03-01T23:00"), dt.date(2024, 3, 1)),
        (daily(tz="Europe/Berlin"), moment("2024-03-01T22:59"), dt.date(2024, 2, 29)),
        (daily(lag=FOUR_HOURS), moment("2024-03-02T03:59"), dt.date(2024, 2, 29)),
        (daily(lag=FOUR_HOURS), moment("2024-03-02T04:00"), dt.date(2024, 3, 1)),
        (daily(lag=dt.timedelta(days=3)), moment("2024-03-05T12:00"), dt.date(2024, 3, 1)),
        # Clocks go forward on 31 March 2024 at 2 in Berlin: the day has 23 hours, and 4 hours later it is 4 o'clock.
        (daily(tz="Europe/Berlin"), moment("2024-04-01T00:00", BERLIN), dt.date(2024, 3, 31)),
        (
            daily(tz="Europe/Berlin", lag=FOUR_HOURS),
            moment("2024-03-31T04:59", BERLIN),
            dt.date(2024, 3, 29),
        ),
        (
            daily(tz="Europe/Berlin", lag=FOUR_HOURS),
            moment("2024-03-31T05:00", BERLIN),
            dt.date(2024, 3, 30),
        ),
        (daily(tz="Asia/Kolkata"), moment("2024-03-01T18:30"), dt.date(2024, 3, 1)),
        (daily(tz="Asia/Kolkata"), moment("2024-03-01T18:29"), dt.date(2024, 2, 29)),
        # At midnight clocks go forward in Cairo on 26 April 2024: the 25th ends where the 26th begins, at 1.
        (daily(tz="Africa/Cairo"), moment("2024-04-25T22:00"), dt.date(2024, 4, 25)),
        (daily(tz="Africa/Cairo"), moment("2024-04-25T21:59"), dt.date(2024, 4, 24)),
        (weekly(), moment("2024-03-04T00:00"), dt.date(2024, 2, 26)),
        (weekly(), moment("2024-03-03T23:59"), dt.date(2024, 2, 19)),
        (weekly(on="sunday"), moment("2024-03-03T00:00"), dt.date(2024, 2, 25)),
        (monthly(), moment("2024-03-01T00:00"), dt.date(2024, 2, 1)),
        (monthly(), moment("2024-02-29T23:59"), dt.date(2024, 1, 1)),
        (monthly(on=15), moment("2024-03-15T00:00"), dt.date(2024, 2, 15)),
        (monthly(on=15), moment("2024-01-14T00:00"), dt.date(2023, 11, 15)),
        (hourly(), moment("2024-03-01T06:00"), moment("2024-03-01T05:00")),
        (hourly(), moment("2024-03-01T05:59"), moment("2024-03-01T04:00")),
        (
            hourly(tz="Asia/Kolkata", lag=dt.timedelta(minutes=90)),
            moment("2024-03-01T06:29"),
            moment("2024-03-01T03:00"),
        ),
    ],
    ids=str,
)
def test_the_last_one_that_has_ended_and_its_lag_is_due(rule: Any, triggered: dt.datetime, due: dt.date) -> None:
    """Days begin where clocks of their zone show it, hours in UTC; a lag passes as time does."""
    assert rule.at(triggered) == due
    assert rule.due(due) <= triggered < rule.due(rule.after(due))


def test_the_hour_that_a_clock_shows_twice_is_two_keys() -> None:
    """On 27 October 2024 clocks in Berlin go back at 3: the day has 25 hours."""
    rule = hourly(tz="Europe/Berlin")
    day = [moment("2024-10-27T00:00", BERLIN), moment("2024-10-28T00:00", BERLIN)]
    found = list(rule.between(day[0], day[1] - dt.timedelta(seconds=1)))
    assert len(found) == 25
    assert [one.astimezone(BERLIN).hour for one in found[:5]] == [0, 1, 2, 2, 3]


RULES = st.one_of(
    st.builds(
        Periods,
        st.just("daily"),
        tz=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "Africa/Cairo", "Pacific/Apia"]),
    ),
    st.builds(Periods, st.just("weekly"), on=st.integers(0, 6), tz=st.sampled_from(["UTC", "America/Sao_Paulo"])),
    st.builds(Periods, st.just("monthly"), on=st.integers(1, 28), tz=st.sampled_from(["UTC", "Pacific/Apia"])),
    st.builds(Periods, st.just("hourly"), tz=st.sampled_from(["UTC", "Australia/Lord_Howe"])),
)
MOMENTS = st.datetimes(dt.datetime(1995, 1, 1), dt.datetime(2060, 1, 1), timezones=st.just(UTC))
LAGS = st.integers(0, 10 * 86_400)


@given(RULES, MOMENTS, LAGS)
def test_exactly_one_key_is_the_last_that_was_due(rule: Periods, at: dt.datetime, lag: int) -> None:
    """The one after it is not due yet; both are keys, and each follows the other."""
    rule = Periods(rule.period, None, rule.tz, lag, rule.on)
    found = rule.at(at)
    assert rule.due(found) <= at < rule.due(rule.after(found))
    assert rule.has(found)
    assert rule.has(rule.after(found))
    assert rule.before(rule.after(found)) == found
    assert list(rule.between(found, rule.after(found))) == [found, rule.after(found)]


@given(RULES, MOMENTS, st.integers(1, 40))
def test_keys_between_two_are_all_and_in_order(rule: Periods, at: dt.datetime, count: int) -> None:
    """From any day on, whether it is a key or not."""
    first = rule.at(at)
    last = first
    for _ in range(count):
        last = rule.after(last)
    found = list(rule.between(first, last))
    assert len(found) == count + 1
    assert found == sorted(set(found))
    inside = first + dt.timedelta(minutes=1) if isinstance(first, dt.datetime) else first + dt.timedelta(days=1)
    assert list(rule.between(inside, last)) == [one for one in found if one >= inside]


@given(RULES, MOMENTS, LAGS)
def test_the_manifest_has_the_rule_and_a_job_passes_on_its_key(rule: Periods, at: dt.datetime, lag: int) -> None:
    """The form comes back as it was; the date that another job gets is that of this job's run."""
    rule = Periods(rule.period, "2024-01-01", rule.tz, lag, rule.on if rule.period in ("weekly", "monthly") else 0)
    assert keys.from_json_form(rule.json_form()) == rule
    text = passing(rule, "{{job.parameters.day}}").replace(REFERENCE, at.isoformat())
    by_default = text.replace("{{job.parameters.day}}", at.isoformat())
    assert passed_on(by_default) == (rule.at(at), at.isoformat())
    assert passed_on(text.replace("{{job.parameters.day}}", "2024-02-02")) == (None, "2024-02-02")


def test_a_day_that_a_zone_skips_is_no_key() -> None:
    """Samoa crossed the date line on 30 December 2011."""
    rule = daily(tz="Pacific/Apia")
    days = list(rule.between(dt.date(2011, 12, 28), dt.date(2012, 1, 1)))
    assert [day.day for day in days] == [28, 29, 31, 1]
    assert rule.at(moment("2011-12-30T10:00")) == dt.date(2011, 12, 29)


def test_what_is_off_the_grid_is_no_key() -> None:
    """A day that no week begins with, an hour with minutes."""
    assert weekly(on="sunday").has(dt.date(2024, 3, 3))
    assert not weekly(on="sunday").has(dt.date(2024, 3, 4))
    assert not monthly().has(dt.date(2024, 3, 2))
    assert hourly().has(moment("2024-03-01T05:00"))
    assert hourly().has(moment("2024-03-01T06:00", BERLIN))
    assert not hourly().has(moment("2024-03-01T05:30"))


def test_a_day_is_held_by_its_period() -> None:
    """`since` a Wednesday begins with its week."""
    assert weekly().holding(dt.date(2024, 3, 6)) == dt.date(2024, 3, 4)
    assert monthly(on=15).holding(dt.date(2024, 3, 6)) == dt.date(2024, 2, 15)
    assert hourly().holding(moment("2024-03-01T05:30")) == moment("2024-03-01T05:00")


@pytest.mark.parametrize(
    ("kind", "values", "value", "text"),
    [
        ("decimal", ("1.10", "2E+1"), Decimal("1.100"), "1.10"),
        ("decimal", ("1.10", "2E+1"), Decimal(20), "2E+1"),
        ("datetime", ("2024-03-31T01:00:00+00:00",), moment("2024-03-31T03:00", BERLIN), "2024-03-31T01:00:00+00:00"),
        ("str", ("1.10",), "1.1", None),
        ("decimal", ("1.10",), Decimal("1.2"), None),
    ],
)
def test_a_value_that_equals_a_choice_is_that_key(kind: Any, values: tuple[str, ...], value: Any, text: Any) -> None:
    """However it is written: a run for it counts, and its key has the string that there should be."""
    parameter = JobParameter("x", ValueType(kind), key=Choices(values))
    assert parameter.is_key(value) == (text is not None)
    assert text is None or parameter.key_text(value) == text


def test_until_is_not_part_of_the_rule() -> None:
    """A manifest has the same bytes each day, also where it is written `until=date.today()`."""
    assert daily(until=dt.date(2024, 1, 1)) == daily()
    assert daily(until=dt.date(2024, 1, 1)).json_form() == daily().json_form()
    assert daily(until=dt.date(2024, 1, 1)).until == "2024-01-01"


def test_since_may_be_a_bundle_variable() -> None:
    """Each target has its own; hours since a date begin with it, in their zone."""
    assert daily(since=bundle_variable("first_day")).since == "${var.first_day}"
    assert hourly(since=dt.date(2024, 3, 1), tz="Europe/Berlin").since == "2024-02-29T23:00:00+00:00"
    assert hourly(since=moment("2024-03-01T00:00", BERLIN)).since == "2024-02-29T23:00:00+00:00"


@pytest.mark.parametrize(
    ("zone", "day", "first", "last"),
    [
        ("UTC", dt.date(2024, 3, 1), "2024-03-01T00:00", "2024-03-01T23:00"),
        ("Europe/Berlin", dt.date(2024, 3, 31), "2024-03-30T23:00", "2024-03-31T21:00"),
        ("Europe/Berlin", dt.date(2024, 10, 27), "2024-10-26T22:00", "2024-10-27T22:00"),
        ("Asia/Kolkata", dt.date(2024, 3, 1), "2024-02-29T18:00", "2024-03-01T18:00"),
        ("America/Sao_Paulo", dt.date(2018, 11, 3), "2018-11-03T03:00", "2018-11-04T02:00"),
    ],
)
def test_a_date_as_until_means_all_its_hours(zone: str, day: dt.date, first: str, last: str) -> None:
    """In the key's zone, as a date as `since` does, and also where both are variables of the bundle."""
    rule = hourly(since=day, until=day, tz=zone)
    assert first_key(rule, rule.since) == first_key(rule, str(day)) == moment(first)
    assert last_key(rule, rule.until) == last_key(rule, str(day)) == moment(last)


def test_key_keeps_its_values_and_their_order() -> None:
    """For a type checker it is the value."""
    assert key("eu", values=["eu", "us"], was="area") == KeyDefault("eu", ("eu", "us"), "area")  # type: ignore[comparison-overlap]
    assert Choices.from_json_form(Choices(("eu", "us"), "area").json_form()) == Choices(("eu", "us"), "area")


WRONG = {
    "a zone": (lambda: daily(tz="Berlin"), ValueError, "'Berlin' is not a time zone"),
    "a negative lag": (lambda: daily(lag=dt.timedelta(hours=-1)), ValueError, "is negative, or longer than ten years"),
    "hours as a lag": (lambda: daily(lag=4), TypeError, "lag=4 of daily is no `timedelta`"),  # type: ignore[arg-type]
    "a moment as since": (lambda: daily(since=moment("2024-01-01T05:00")), TypeError, "is not a date or a bundle"),
    "a moment without a zone": (
        lambda: hourly(since=dt.datetime(2024, 1, 1)),
        TypeError,
        "is not a moment with a zone, a date or a bundle variable",
    ),
    "a string as since": (lambda: daily(since="2024-01-01"), TypeError, "since='2024-01-01' of daily is not a date"),  # type: ignore[arg-type]
    "a day of the week": (lambda: weekly(on="Monday"), ValueError, "on='Monday' is not a day of the week"),  # type: ignore[arg-type]
    "a day of the month": (lambda: monthly(on=29), ValueError, "on=29 is not a day of each month"),
    "a former name": (lambda: daily(was="the day"), TypeError, "was='the day' is not the name of a parameter"),
    "a string as values": (lambda: key("eu", values="eu"), TypeError, "values='eu' of key is no list of values"),
}


@pytest.mark.parametrize(("call", "kind", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_call_says_what_is_wrong(call: Any, kind: type[Exception], said: str) -> None:
    """Outside of a build it is an exception of Python's own kinds."""
    with pytest.raises(kind, match=said.replace("(", r"\(").replace("`", ".")):
        call()


def test_all_wrong_arguments_of_a_call_are_said_with_the_first() -> None:
    """The others are notes of the exception."""
    with pytest.raises(ValueError, match="on=31 is not a day of each month") as error:
        monthly(on=31, since="x", tz="Mars", lag=4, was="the day")  # type: ignore[arg-type]
    others = [note.partition(" ")[0] for note in error.value.__notes__]
    assert others == ["lag=4", "'Mars'", "was='the", "since='x'"]


@pytest.mark.parametrize(
    "change",
    [
        {"period": "yearly"},
        {"since": 3},
        {"tz": None},
        {"lag": -1},
        {"lag": 10**12},
        {"lag": True},
        {"on": 7},
        {"was": 1},
    ],
    ids=str,
)
def test_a_damaged_form_is_refused(change: dict[str, Any]) -> None:
    """A manifest is read by other versions, and by hand."""
    with pytest.raises(FormError):
        keys.from_json_form({**weekly(since=dt.date(2024, 1, 1)).json_form(), **change})


@pytest.mark.parametrize("form", [{"values": []}, {"values": [1]}, {"values": "eu"}, {"values": ["eu"], "was": 2}])
def test_damaged_choices_are_refused(form: dict[str, Any]) -> None:
    """There is at least one value."""
    with pytest.raises(FormError):
        keys.from_json_form(form)


@pytest.mark.parametrize("text", ["2024-03-01T05:00", "2024-03-01T05:00Z", "2024-03-01T06:00+01:00"])
def test_a_given_hour_is_a_moment_in_utc(text: str) -> None:
    """As the default is, and as its key is written: a table would refuse moments without a zone beside others."""
    parameter = JobParameter("hour", ValueType("datetime"), key=hourly())
    value = parameter.value(text)
    assert (value.isoformat(), parameter.key_text(value)) == ("2024-03-01T05:00:00+00:00", "2024-03-01T05:00Z")
    day = JobParameter("day", ValueType("date"), key=daily(tz="Europe/Berlin"))
    assert day.value("2024-03-01") == dt.date(2024, 3, 1)


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        (Periods("daily"), "daily()"),
        (Periods("daily", "2024-01-01", was="date"), 'daily(since=2024-01-01, was="date")'),
        (Periods("weekly", on=6), 'weekly(on="sunday")'),
        (Periods("weekly"), 'weekly(on="monday")'),
        (Periods("monthly", on=28, tz="Europe/Berlin"), 'monthly(on=28, tz="Europe/Berlin")'),
        (Periods("hourly", lag=5400), "hourly(lag=1:30:00)"),
    ],
)
def test_a_rule_comes_back_from_the_manifest_and_is_shown_as_its_call(key: Periods, shown: str) -> None:
    """With all that differs from its defaults."""
    assert Periods.from_json_form(key.json_form()) == key
    assert str(key) == shown


def test_the_hours_of_a_day_begin_on_the_hour() -> None:
    """In its zone a day may have 23 or 25, and begin at half past."""
    for zone, day, first, last in (
        ("UTC", (2024, 1, 1), (2024, 1, 1, 0), (2024, 1, 1, 23)),
        ("Europe/Berlin", (2024, 3, 31), (2024, 3, 30, 23), (2024, 3, 31, 21)),
        ("Europe/Berlin", (2024, 10, 27), (2024, 10, 26, 22), (2024, 10, 27, 22)),
        ("Asia/Kolkata", (2024, 1, 1), (2023, 12, 31, 18), (2024, 1, 1, 18)),
    ):
        found = Periods("hourly", tz=zone).hours_of(dt.date(*day))
        assert found == (dt.datetime(*first, tzinfo=dt.UTC), dt.datetime(*last, tzinfo=dt.UTC)), zone


def test_a_key_of_a_log_is_read_by_the_parameters_of_today() -> None:
    """By the name that one had before, too; one that lacks a parameter is none, and what is no key is left out."""
    day = JobParameter("day", ValueType("date"), key=Periods("daily", was="date"))
    region = JobParameter("region", ValueType("str"), key=Choices(("eu & us", "")))
    both = [day, JobParameter("note", ValueType("str")), region]
    written = run_keys.written({"day": "2024-01-01", "region": "eu & us"})
    assert written == "day=2024-01-01&region=eu%20%26%20us"
    assert run_keys.of_today(written, both) == {"day": "2024-01-01", "region": "eu & us"}
    assert run_keys.of_today("date=2024-01-01&region=&old=1", both) == {"day": "2024-01-01", "region": ""}
    assert run_keys.of_today("day=2024-01-01", both) is None
    assert run_keys.of_run(both, {"day": dt.date(2024, 1, 1), "note": "x", "region": "eu & us"}) == written
    assert run_keys.of_run(both, {"day": dt.date(2024, 1, 1), "note": "x", "region": "asia"}) == ""
    assert run_keys.of_run(both[1:2], {"note": "x"}) == ""
