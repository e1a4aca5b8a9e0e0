"""Literals of every kind that a manifest takes, for hypothesis."""

from __future__ import annotations

import datetime as dt
from enum import Enum, Flag, IntEnum, StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from dbxdec.model.variables import has_token

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")


class Colour(Enum):
    RED = "red"
    GREEN = 2
    CRIMSON = "red"  # noqa: PIE796 - an alias of RED


class Paint:
    """Holds an Enum, as classes may."""

    class Shade(IntEnum):
        """Nested, and its members are numbers."""

        DARK = 1


class Mode(StrEnum):
    FAST = "fast"


class Access(Flag):
    READ = 1
    WRITE = 2
    ALL = 3


def plain_text() -> st.SearchStrategy[str]:
    """Text without a bundle reference, the tag's own words included."""
    return st.one_of(st.sampled_from(["", "$", "v", "${", "{{x}}", "tz"]), st.text(max_size=8)).filter(
        lambda text: not has_token(text)
    )


def scalars() -> st.SearchStrategy[Any]:
    """Every literal that holds no other, NaN of Decimal left out since it is not equal to itself."""
    # Whole seconds: CPython's `fromisoformat` reads an offset below one second as UTC.
    offsets = st.integers(-86_399, 86_399).map(lambda seconds: dt.timedelta(seconds=seconds))
    return st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        plain_text(),
        st.decimals(allow_nan=False),
        st.dates(),
        st.datetimes(),
        st.datetimes(timezones=offsets.map(dt.timezone)),
        st.datetimes(
            timezones=st.sampled_from(ZONES).map(ZoneInfo),
            min_value=dt.datetime(1900, 1, 1),
            max_value=dt.datetime(2100, 1, 1),
        ),
        st.timedeltas(),
        st.binary(max_size=8),
        st.sampled_from([Colour.RED, Colour.GREEN, Paint.Shade.DARK, Mode.FAST, Access.READ, Access.ALL]),
    )


def values() -> st.SearchStrategy[Any]:
    """Every literal, nested."""
    return st.recursive(
        scalars(),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.lists(inner, max_size=3).map(tuple),
            st.dictionaries(plain_text(), inner, max_size=3),
        ),
        max_leaves=8,
    )
