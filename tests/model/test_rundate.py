"""`run_date()`: what is said where somebody calculates with it."""

import datetime as dt
from collections.abc import Callable

import pytest

from dbxdec import run_date
from dbxdec.errors import AuthoringError

DAY = dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("calculate", "instead"),
    [
        (
            lambda: run_date(offset_days=3, offset_months=-1, tz="Europe/Berlin") - DAY,
            "`run_date(offset_days=2, offset_months=-1, tz='Europe/Berlin')`",
        ),
        (lambda: DAY + run_date(), "`run_date(offset_days=1)`"),
        (lambda: run_date(offset_days=1) - 1, "`run_date()`"),
        (lambda: run_date() + dt.timedelta(hours=5), "`run_date(offset_days=...)`, which moves it by whole days"),
        (lambda: run_date() - dt.date(2024, 1, 1), "`run_date(offset_days=...)`, which moves it by whole days"),
    ],
)
def test_the_call_that_is_meant_keeps_what_was_given(calculate: Callable[[], object], instead: str) -> None:
    """Who writes what the hint says loses neither the months nor the zone."""
    with pytest.raises(AuthoringError) as error:
        calculate()
    assert error.value.problems[0].hint == f"write {instead}"
