"""Tables in memory: a run of a test reads and writes them instead of a storage."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, RunError, did_you_mean, listed, on_one_line
from dbxdec.io_managers import frames
from dbxdec.io_managers.frames import conversions
from dbxdec.model.typehints import type_name
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dbxdec.io_managers.contexts import WriteId
    from dbxdec.io_managers.positions import Progress

NOTHING: Any = object()
"""No table; the content of a write that had nothing to write; what a merge returned, which has no rows."""


@dataclass(frozen=True)
class Version:
    """A table after one write: its whole `content`, and what the write itself returned.

    `returned` is NOTHING for a merge, which has no rows of its own. A test has no `writer`. With `kept` the write left
    the table alone (mode="ignore"). `progress` says how far its task has read what is new elsewhere.
    """

    writer: WriteId | None
    content: Any
    returned: Any
    kept: bool = False
    progress: Progress | None = None
    moment: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))


class Lake:
    """Tables in memory by name, given by a test or written by its runs.

    A name is the end of a table's place, as `"reference/airports"` for `io.table("reference/airports")`. Every value
    that goes in or comes out is a copy. Lazy frames of Polars are run when they are written, as by a storage. The
    fixture `dbxdec_lake` is an empty one that lasts for the test.

    Args:
        tables: Tables by name, to begin with.

    Raises:
        RunError: `tables` is no dict by name; or `lake[name]` is asked for a table that is not there, or a name that
            several tables end in.

    Example:
        ```python
        import polars as pl
        from dbxdec.testing import Lake

        lake = Lake({"reference/rates": pl.DataFrame({"rate": [1.0]})})
        assert lake["rates"].height == 1
        assert "reference/rates" in lake
        ```
    """

    def __init__(self, tables: Mapping[str, Any] | None = None) -> None:
        if problems := no_tables(tables):
            raise RunError(problems)
        self._given = {name: detached(value) for name, value in (tables or {}).items()}
        self._versions: dict[str, list[Version]] = {}

    def __getitem__(self, name: str) -> Any:
        """The newest content of the table `name`. Raises RunError without one, and if several have the name."""
        __tracebackhide__ = True
        if problem := _no_name(name):
            raise RunError(problem)
        places = [place for place in self if is_at(place, name)]
        if len(places) > 1:
            raise RunError(f"{name!r} is the end of {listed(places)}", hint="write more of the place")
        if not places:
            known = {part for place in self for part in ends_of(place)}
            hint = did_you_mean(name, known) or f"its tables are {listed([*self]) if len(self) else 'none'}"
            raise RunError(f"the lake has no table {name!r}", hint=hint)
        # A run that has not begun yet may read it at a longer place: to look at it makes no place of its own.
        (place,) = places
        return copied(self.newest(place) if place in self._versions else self._given[place])

    def __setitem__(self, name: str, value: Any) -> None:
        """Put a table there before a run, or in the place of what runs have written."""
        if problem := _no_name(name):
            raise RunError(problem)
        places = [place for place in self._versions if is_at(place, name)]
        for place in places:
            self._versions[place].append(Version(None, detached(value), detached(value)))
        # A later run may read it at yet another place.
        if not places or name in self._given:
            self._given[name] = detached(value)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and any(is_at(place, name) for place in self)

    def __iter__(self) -> Iterator[str]:
        """The places of all tables; those that no run has used yet by the names they were given."""
        used = {name for name in self._given for place in self._versions if is_at(place, name)}
        written = [place for place in self._versions if self.newest(place) is not NOTHING]
        return iter([*written, *(name for name in self._given if name not in used)])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Lake({', '.join(self)})"

    def versions(self, place: str) -> list[Version]:
        """All versions of the table at `place`, the oldest first; none where there is no table."""
        if place not in self._versions:
            names = [name for name in self._given if is_at(place, name)]
            if not names:
                return []
            value = self._given[max(names, key=len)]
            self._versions[place] = [Version(None, value, value)]
        return self._versions[place]

    def has(self, place: str) -> bool:
        """True if there is a table at `place`, or one was given by an end of it."""
        return place in self._versions or any(is_at(place, name) for name in self._given)

    def newest(self, place: str) -> Any:
        """The content of the table at `place`, NOTHING where there is no table."""
        found = (version.content for version in reversed(self.versions(place)))
        return next((content for content in found if content is not NOTHING), NOTHING)

    def add(self, place: str, version: Version) -> None:
        """Append a version to the table at `place`."""
        self.versions(place)
        self._versions.setdefault(place, []).append(version)


def no_tables(given: Any) -> list[Problem]:
    """Return problems of what a test gives as its tables: neither None, a lake, nor values by name."""
    if given is None or isinstance(given, Lake):
        return []
    if not isinstance(given, Mapping):
        hint = 'tables={"reference/airports": frame}'
        return [Problem(f"`tables` is of the type {type(given).__name__}, not a dict", hint=hint)]
    return [problem for name in given if (problem := _no_name(name))]


def _no_name(name: Any) -> Problem | None:
    if isinstance(name, str) and name.strip("/"):
        return None
    hint = 'give the end of its place, as "reference/airports"'
    return Problem(f"{on_one_line(name)} is not the name of a table", hint=hint)


def is_at(place: str, name: str) -> bool:
    """Return whether `name` names the table at `place`."""
    return place == name or place.endswith(f"/{name}")


def ends_of(place: str) -> Iterable[str]:
    """Return all names of the table at `place`."""
    parts = place.split("/")
    return ["/".join(parts[i:]) for i in range(len(parts))]


def detached(value: Any) -> Any:
    """Return a copy to keep; what is lazy is run."""
    if conversions.kind_of(value) in frames.LAZY:
        value = conversions.taken(value, "the table").lazy()
    return value.collect() if type_name(type(value)) == "polars.LazyFrame" else copied(value)


def copied(value: Any) -> Any:
    """Return a copy of `value` that its receiver may change; a value that can't be copied is shared."""
    if type_name(type(value)).startswith("pyspark."):
        return value  # a frame of Spark can't be changed
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001 - any type may refuse, as locks and connections do
        return value


def cleared(value: Any) -> Any:
    """Return a frame without rows, with the columns of `value`; NOTHING for a value that is no frame."""
    kind = type_name(type(value))
    if kind in ("polars.DataFrame", "polars.LazyFrame"):
        return value.clear()
    return value.limit(0) if kind.startswith("pyspark.") else NOTHING
