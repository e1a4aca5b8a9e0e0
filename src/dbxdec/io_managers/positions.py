"""The position of a task in other tables, as the commits of the table that it writes state it: data alone."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

CONSUMER, NUMBER, READ, SEEN, ABSENT, NOTHING = "consumer", "n", "read", "seen", "absent", "nothing"
"""The facts of such a commit: who has read, the number of the commit, the spans, the target's version by then, and the
parameters whose sources were not there yet."""
STAMPS = "stamps"
"""The fact that has the stamp of the last commit of each span, by parameter."""
# A version of a transaction identifier has 63 bits. From the highest on: a version of the target (which rises, as Spark
# wants it), the last bits of the number of the commit, and the version of the source.
_OF_SOURCE, _OF_NUMBER = 32, 4


@dataclass(frozen=True, slots=True)
class Span:
    """Versions of the source `source`: those above `after`, up to `until`; all rows of `until` where `after` is None.

    With `skips` the rows that are there at first are left out. `opened` is what the reader of the source has opened.
    `stamp` is when the commit `until` was made, in milliseconds since the epoch, where its log says it: a copy of the
    source that was put back has other commits with the same numbers.
    """

    source: str
    after: int | None
    until: int
    skips: bool = field(default=False, compare=False)
    opened: Any = field(default=None, compare=False, repr=False)
    stamp: int | None = field(default=None, compare=False)

    @property
    def is_empty(self) -> bool:
        """True if there is no version in it."""
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
    """The statement of one commit of a consumer: its number, and the spans that it covers, by parameter.

    `epoch` is the version of the newest RESTORE of the target, which begins a new count. `seen` is the version of the
    target that the writer went by. `absent` are the parameters that got None, since their sources were not there yet.
    """

    consumer: str
    epoch: int
    number: int
    read: Mapping[str, Span]
    seen: int = -1
    absent: tuple[str, ...] = ()
    nothing: tuple[str, ...] = ()
    """Other outputs of the task that got nothing of these spans, and have no table to say so."""
    again: bool = False
    """True if the target has rows and all is read again: only a merge may take them. It is not stated."""

    @property
    def identifier(self) -> str:
        """The transaction identifier; its version is `number`."""
        return identifier(self.consumer, self.epoch)

    def facts(self) -> dict[str, Any]:
        """Return what stands beside the receipt in the commit's metadata."""
        read = {name: [span.source, span.after, span.until] for name, span in self.read.items()}
        facts = {CONSUMER: self.identifier, NUMBER: self.number, READ: read, SEEN: self.seen}
        stamps = {name: span.stamp for name, span in self.read.items() if span.stamp is not None}
        facts |= {STAMPS: stamps} if stamps else {}
        facts |= {ABSENT: list(self.absent)} if self.absent else {}
        return {**facts, NOTHING: list(self.nothing)} if self.nothing else facts

    def positions(self, version: int | None = None) -> dict[str, int]:
        """Return the identifiers that outlive the receipt, with their versions.

        `version` is the one of the target that has them, by default the least that it can be: up to there nothing has
        taken the commit back.
        """
        known = self.seen + 1 if version is None else version
        packed = (known << _OF_NUMBER) | _last_bits(self.number)
        return {
            position(self.identifier, name, span.source): (packed << _OF_SOURCE) | span.until
            for name, span in self.read.items()
        }


def identifier(consumer: str, epoch: int) -> str:
    """Return the transaction identifier of a consumer since a RESTORE."""
    return f"{consumer}|{epoch}"


def position(name: str, parameter: str, source: str) -> str:
    """Return the identifier of a position: of the consumer whose identifier is `name`, in a source."""
    return f"{name}/{parameter}/{source}"


@dataclass(frozen=True, slots=True)
class Outlived:
    """The parts of the version of a position's identifier: the version of the source, and of the target that had it."""

    until: int
    target: int
    number: int

    @classmethod
    def of(cls, version: int) -> Outlived:
        packed = version >> _OF_SOURCE
        return cls(version & ((1 << _OF_SOURCE) - 1), packed >> _OF_NUMBER, _last_bits(packed))

    def is_of(self, number: int) -> bool:
        """Return whether it is of the commit with this number, and not of an earlier one."""
        return self.number == _last_bits(number)


def _last_bits(number: int) -> int:
    return number & ((1 << _OF_NUMBER) - 1)
