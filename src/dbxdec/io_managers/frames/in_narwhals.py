"""Frames of narwhals, around those of Polars."""

from __future__ import annotations

import importlib
import re
import typing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

_STABLE = re.compile(r"narwhals\.stable\.v\d+")


def frame(found: pl.DataFrame | pl.LazyFrame, annotation: Any) -> Any:
    """Return a frame of Polars inside one of narwhals, of the API that the annotation is from."""
    module = (typing.get_origin(annotation) or annotation).__module__
    stable = _STABLE.match(module)
    return importlib.import_module(stable[0] if stable else "narwhals").from_native(found)


def native(found: Any) -> Any:
    """Return the frame inside one of narwhals."""
    return found.to_native()
