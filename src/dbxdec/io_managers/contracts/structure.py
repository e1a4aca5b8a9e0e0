"""The demands of a contract on a frame, whichever library its class is of."""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal

from dbxdec.model import outcomes
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import polars as pl

    from dbxdec.model.contracts import Contract

Others = Literal["refused", "kept", "dropped"]
"""The treatment of columns that a contract does not name."""


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
class Verdict:
    """A rule and how many of `total` rows break it, or None and `why`, for a rule that is not about single rows.

    `total` is None for all rows. A rule with an `error` could not be evaluated; with `only_warns` it fails no write.
    """

    rule: str
    rows: int | None
    why: str = ""
    total: int | None = None
    error: str = ""
    only_warns: bool = False


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """The outcome of a contract's rule for `total` rows, by a `name` that has the class, as `Flights.delay|min`.

    `failed` is None if the rule is broken and nobody knows by how many rows. `said` is what is wrong, or empty.
    """

    name: str
    failed: int | None
    total: int
    said: str = ""
    only_warns: bool = False

    @property
    def why(self) -> str | None:
        """The problem that fails the write; None if it doesn't fail."""
        return None if self.only_warns or not self.said else self.said

    def facts(self) -> dict[str, Any]:
        """Return what stands in the receipt, beside the outcomes of expectations."""
        found: dict[str, Any] = {"failed": self.failed or 0, "rows": self.total, "action": outcomes.CONTRACT}
        if self.failed is None:
            found |= {"rule": outcomes.WHOLE, "broken": True}
        return {**found, "warns": True} if self.only_warns else found


_LONGEST = 128


def apart(title: str, verdicts: Iterable[Verdict]) -> dict[str, Verdict]:
    """Return verdicts by names of at most 128 characters, which begin with that of the class and differ."""
    found: dict[str, Verdict] = {}
    for one in verdicts:
        name, again = f"{title}.{one.rule}", 1
        name = short = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}..."
        while name in found:
            again += 1
            name = f"{short} ({again})"
        found[name] = one
    return found


@dataclass(frozen=True, slots=True)
class Structure:
    """The columns of a contract, and what its library does with a frame.

    `others` is for results of tasks, `others_read` for their parameters. `prepared` does to a result what its class
    asks for, such as casts; `count` counts the rows that break each rule, 0 for one that is met.
    """

    contract: Contract
    columns: tuple[Column, ...]
    others: Others
    others_read: Others
    prepared: Callable[[pl.LazyFrame], pl.LazyFrame] | None = field(compare=False, repr=False)
    count: Callable[[pl.LazyFrame], list[Verdict]] = field(compare=False, repr=False)

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
