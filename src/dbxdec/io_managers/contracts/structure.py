"""What a contract asks of a frame, whichever library its class is of."""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal

from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import polars as pl

    from dbxdec.model.contracts import Contract

Others = Literal["refused", "kept", "dropped"]
"""What becomes of columns that a contract does not name."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a contract.

    `type` is for people; `kinds` are the types of Polars that it may have, none for any type, and `accepts` tells
    whether a type is one of them. With `is_pattern` the name is a regular expression.
    """

    name: str
    type: str
    nullable: bool
    accepts: Callable[[Any], bool] = field(compare=False, repr=False)
    kinds: tuple[Any, ...] = field(default=(), compare=False)
    required: bool = True
    is_pattern: bool = False


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that rows break: how many of `total` rows, or None and `why`, for a rule that is not about single rows.

    `total` is None for all rows. A rule with an `error` could not be evaluated; with `only_warns` it fails no write.
    """

    rule: str
    rows: int | None
    why: str = ""
    total: int | None = None
    error: str = ""
    only_warns: bool = False


@dataclass(frozen=True, slots=True)
class Structure:
    """The columns of a contract, and what its library does with a frame.

    `others` is for results of tasks, `others_read` for their parameters. `prepared` does to a result what its class
    asks for, such as casts; `count` counts the rows that break each rule, where there are some.
    """

    contract: Contract
    columns: tuple[Column, ...]
    others: Others
    others_read: Others
    prepared: Callable[[pl.LazyFrame], pl.LazyFrame] | None = field(compare=False, repr=False)
    count: Callable[[pl.LazyFrame], list[Broken]] = field(compare=False, repr=False)

    def column(self, name: str) -> Column | None:
        """Return the column that `name` is, if the contract has it."""
        plain = (one for one in self.columns if not one.is_pattern and one.name == name)
        return next(plain, None) or next(
            (one for one in self.columns if one.is_pattern and re.fullmatch(one.name, name)), None
        )

    def missing(self, schema: Mapping[str, Any]) -> Iterator[Column]:
        """Yield the columns that frames with this schema lack."""
        for one in self.columns:
            there = any(re.fullmatch(one.name, name) for name in schema) if one.is_pattern else one.name in schema
            if one.required and not there:
                yield one

    def surplus(self, schema: Mapping[str, Any]) -> list[str]:
        """Return the columns that the contract does not name."""
        return [name for name in schema if self.column(name) is None]
