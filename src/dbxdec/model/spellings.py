"""Dates and numbers as people and the platform write them."""

from __future__ import annotations

import datetime as dt
import math


def number_in(kind: str, text: str) -> int | float | str:
    """Return the finite number of the kind "int" or "float" that `text` spells; else `text` itself."""
    try:
        number = int(text) if kind == "int" else float(text)
    except ValueError:
        return text
    return text if isinstance(number, float) and not math.isfinite(number) else number


class MisreadError(ValueError):
    """Raised for a form whose mistake is known better than that it is not of its type."""


def is_(place: str) -> str:
    """Return the verb of a message about a value, or about the part of it at `place`."""
    return f"has{place}" if place else "is"


def day_in(text: str, place: str) -> str:
    """Return the date of a midnight in any zone, since backfills pass moments; else `text` itself.

    Raises an error for another time of day: in some zones that is another day.
    """
    try:
        moment = dt.datetime.fromisoformat(text) if len(text) > len("2024-01-05") else None
    except ValueError:
        return text
    if moment is None or moment.time() == dt.time():
        return text if moment is None else moment.date().isoformat()
    raise MisreadError(
        f"{is_(place)} {text!r:.80}, a time and not a date; for a backfill's date use {{{{backfill.iso_date}}}}"
    )
