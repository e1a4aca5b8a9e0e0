"""How far a task has read other tables, as the commits of the table that it writes state it: data alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

CONSUMER, NUMBER, READ, SEEN, ABSENT = "consumer", "n", "read", "seen", "absent"
"""The facts of such a commit: who has read, the number of the commit, the spans, the target's version by then, and the
parameters whose sources were not there yet."""
# A version of a transaction identifier has 63 bits: the number of the commit, and the version of the source.
_HALF = 32


@dataclass(frozen=True, slots=True)
class Span:
    """Versions of the source `source`: those above `after`, up to `until`; all rows of `until` where `after` is None.

    With `skips` the rows that are there at first are left out. `opened` is what the reader of the source has opened.
    """

    source: str
    after: int | None
    until: int
    skips: bool = field(default=False, compare=False)
    opened: Any = field(default=None, compare=False, repr=False)

    @property
    def is_empty(self) -> bool:
        """Whether there is no version in it."""
        return self.skips or self.after == self.until

    @property
    def text(self) -> str:
        """The span in words, for people."""
        if self.skips:
            return f"none of the rows of version {self.until}"
        if self.after is None:
            return f"all rows of version {self.until}"
        if self.is_empty:
            return f"nothing new since version {self.until}"
        first = self.after + 1
        return f"new in version {self.until}" if first == self.until else f"new in versions {first} to {self.until}"


@dataclass(frozen=True, slots=True)
class Progress:
    """What one commit of a consumer states: its number, and the spans that it covers, by parameter.

    `epoch` is the version of the newest RESTORE of the target, which begins a new count. `seen` is the version of the
    target that the writer went by. `absent` are the parameters that got None, since their sources were not there yet.
    """

    consumer: str
    epoch: int
    number: int
    read: Mapping[str, Span]
    seen: int = -1
    absent: tuple[str, ...] = ()

    @property
    def identifier(self) -> str:
        """The transaction identifier; its version is `number`."""
        return identifier(self.consumer, self.epoch)

    def facts(self) -> dict[str, Any]:
        """Return what stands beside the receipt in the commit's metadata."""
        read = {name: [span.source, span.after, span.until] for name, span in self.read.items()}
        facts = {CONSUMER: self.identifier, NUMBER: self.number, READ: read, SEEN: self.seen}
        return {**facts, ABSENT: list(self.absent)} if self.absent else facts

    def positions(self) -> dict[str, int]:
        """Return the identifiers that outlive the receipt, with their versions."""
        return {
            position(self.identifier, name, span.source): (self.number << _HALF) | span.until
            for name, span in self.read.items()
        }


def identifier(consumer: str, epoch: int) -> str:
    """Return the transaction identifier of a consumer since a RESTORE."""
    return f"{consumer}|{epoch}"


def position(name: str, parameter: str, source: str) -> str:
    """Return the identifier of a position: of the consumer whose identifier is `name`, in a source."""
    return f"{name}/{parameter}/{source}"


def unpacked(version: int) -> tuple[int, int]:
    """Return the number of a commit and the version of a source, from the version of a position's identifier."""
    return version >> _HALF, version & ((1 << _HALF) - 1)
