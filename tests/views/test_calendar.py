"""The calendar of keys: which rows there are, and what stands in them."""

from __future__ import annotations

import datetime as dt

from dbxdec.views import calendar

States = dict[tuple[str, ...], str]


def days(first: str, *states: str) -> dict[tuple[str, ...], str]:
    """Days in a row from the first one on."""
    begin = dt.date.fromisoformat(first)
    return {(str(begin + dt.timedelta(n)),): state for n, state in enumerate(states)}


def test_days_have_a_row_for_each_month() -> None:
    """A day without a key is a space."""
    states = {**days("2024-01-30", "done"), **days("2024-02-01", "missing"), **days("2024-02-29", "failed", "partial")}
    assert calendar.lines(["daily"], states) == [f"2024-01  {' ' * 29}#", f"2024-02  .{' ' * 27}x", "2024-03  ~"]
    assert calendar.lines(["daily"], {}) == []
    assert "# done" in calendar.legend()


def test_more_than_three_years_of_days_have_a_row_for_each_quarter() -> None:
    """Of up to 92 days."""
    rows = calendar.lines(["daily"], days("2020-01-01", *["done"] * 1200))
    assert rows[0] == f"2020-Q1  {'#' * 91}"
    assert [row[:7] for row in rows[:5]] == ["2020-Q1", "2020-Q2", "2020-Q3", "2020-Q4", "2021-Q1"]


def test_weeks_and_months_have_a_row_for_each_year_and_hours_for_each_day() -> None:
    """The place in the row is that in the year, or the hour in UTC."""
    assert calendar.lines(["monthly"], {("2024-02-01",): "done", ("2025-01-01",): "missing"}) == ["2024   #", "2025  ."]
    assert calendar.lines(["weekly"], {("2024-01-01",): "done", ("2024-01-08",): "missing"}) == ["2024  #."]
    assert calendar.lines(["hourly"], {("2024-01-01T03:00Z",): "done"}) == ["2024-01-01     #"]


def test_each_value_of_another_key_has_rows_of_its_own() -> None:
    """Whichever of them stands first."""
    states: States = {("2024-01-01", "eu"): "done", ("2024-01-01", "asia"): "missing", ("2024-01-02", "eu"): "failed"}
    assert calendar.lines(["daily", None], states) == ["2024-01  asia  .", "2024-01  eu    #x"]
    turned: States = {key[::-1]: state for key, state in states.items()}
    assert calendar.lines([None, "daily"], turned) == ["2024-01  asia  .", "2024-01  eu    #x"]


def test_of_many_values_there_are_counts() -> None:
    """More than twenty rows for a month would be no picture."""
    states: States = {("2024-01-01", f"shop{n}"): "done" if n else "missing" for n in range(21)}
    assert calendar.lines(["daily", None], states) == ["2024-01  20 done, 1 missing"]


def test_keys_without_a_period_have_a_row_each() -> None:
    """The names of the values say all."""
    assert calendar.lines([None], {("eu",): "done", ("us",): "missing"}) == ["eu  #", "us  ."]
