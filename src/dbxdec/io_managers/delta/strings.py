"""Values of partition columns as Delta's log has them (Delta protocol, "Partition Value Serialization")."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any


def value_text(value: Any) -> str | None:
    """Return the string of a value; None for null, and for an empty string, which Delta treats as null."""
    match value:
        case None | "":
            return None
        case bytes():
            return value.hex()
        case bool():
            return "true" if value else "false"
        case dt.datetime():
            moment = value if value.tzinfo is None else value.astimezone(dt.UTC).replace(tzinfo=None)
            text = moment.isoformat(" ", "microseconds")
            return text if value.tzinfo is None else text.replace(" ", "T") + "Z"
        case dt.date():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else f"{'-' * (value < 0)}Infinity"
        case float():
            return f"{Decimal(repr(value)):f}"
        case _:
            return str(value)
