"""From where an attempt of a task goes on in each of its sources, and what prevents it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.errors import Problem, RunError, listed
from dbxdec.model.beginnings import LATEST, SNAPSHOT
from dbxdec.model.changes import ADOPT
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbxdec.io_managers.delta.progress import Head, Standing
    from dbxdec.io_managers.positions import Span
    from dbxdec.model.beginnings import Wanted
    from dbxdec.runtime.sources import Output, Source


@dataclass(frozen=True)
class Start:
    """The facts that are known before an attempt reads anything.

    `standings` say of each output how far it has read, `heads` of each source what it is now; None where it is not
    there. `stamps` are those of commits of the sources. `wanted` is where a person has said that the task begins.
    """

    outputs: Mapping[str, Output]
    standings: Mapping[str, Standing]
    sources: list[Source]
    heads: Mapping[str, Head | None]
    stamps: Mapping[str, Mapping[int, int]]
    wanted: Wanted

    @property
    def there(self) -> list[Source]:
        """The sources that exist."""
        return [source for source in self.sources if self.heads[source.parameter] is not None]

    def positions(self) -> dict[str, dict[str, int | None]]:
        """Return by output and parameter the version up to which the output has the source; None for nothing of it.

        Raises RunError, with all problems, where a position or a source is not what it was.
        """
        problems = list(self._absent())
        found: dict[str, dict[str, int | None]] = {name: {} for name in self.outputs}
        for name in self.outputs:
            for source in self.there:
                try:
                    found[name][source.parameter] = self._position(name, source)
                except RunError as error:
                    problems += error.problems
        problems += self._needless()
        problems += self._apart(found)
        problems += self._own_tables()
        if problems:
            raise RunError(list(dict.fromkeys(problems)))
        return found

    @property
    def _task(self) -> str:
        return next(iter(self.outputs.values())).context.receipt.id.task

    def _read(self, parameter: str) -> list[Span]:
        """Return the spans of a source that the outputs have read last."""
        cursors = [one.cursor for one in self.standings.values() if one.cursor is not None]
        return [cursor.read[parameter] for cursor in cursors if parameter in cursor.read]

    def _is_there(self, parameter: str, span: Span) -> bool:
        """Return whether the last commit of a span is in the source, which is the same table."""
        head = self.heads[parameter]
        return head is not None and head.has(span, self.stamps[parameter])

    def _absent(self) -> Iterator[Problem]:
        """Yield a problem for each source that is not there, where its reader can't do without it."""
        for source in self.sources:
            if self.heads[source.parameter] is not None:
                continue
            if source.parameter in self.wanted.adopted:
                yield Problem(
                    f"there is nothing at {source.uri} yet, so `--adopt` can't say where `{source.parameter}` begins "
                    "in it",
                    hint="leave it out: all rows will be new once the table is there",
                )
            if self._read(source.parameter):
                yield Problem(
                    f"there is nothing at {source.uri} any more, of which `{source.parameter}` has read a part",
                    hint="bring the table back; or pass another one, under another name of the parameter",
                )
            elif source.changes.starting == LATEST:
                yield Problem(
                    f'there is nothing at {source.uri} yet, and `{source.parameter}` reads it with starting="latest"',
                    hint="start the job once the table is there: nobody could tell later which rows came first",
                )
            elif not source.optional:
                yield Problem(
                    f"there is nothing at {source.uri}, which the parameter `{source.parameter}` reads",
                    hint=f"check the path; or annotate the parameter `{source.parameter}` with `| None` if the table "
                    "may not exist yet",
                )

    def _position(self, output: str, source: Source) -> int | None:
        task, name, wanted = self._task, source.parameter, self.wanted
        standing, uri = self.standings[output], self.outputs[output].context.uri
        cursor = standing.cursor
        if wanted.restarts and standing.done is None:
            if self.outputs[output].appends and standing.has_rows:
                raise RunError(
                    f"`--restart {task}` would append all rows of {source.uri} to {uri}, which has rows already",
                    hint="delete the rows of that table first, or return a merge, which may get a row twice",
                )
            return None
        if cursor is not None and name in cursor.read:
            span = cursor.read[name]
            self._refuse_other(source, span, uri)
            moves = name in wanted.adopted and (self._leaves_out(name, span) or not self._is_there(name, span))
            return self._adopted(source) if moves else span.until
        if name in wanted.adopted:
            return self._adopted(source)
        if cursor is None and not standing.is_strange:
            return None
        if cursor is not None and name in cursor.absent:
            return None
        # Other parameters have a position, which a beginning for the whole task would contradict.
        key = task if cursor is None else f"{task}.{name}"
        others = "" if cursor is None else f" (it has read {listed(list(cursor.read))})"
        raise RunError(
            f"{uri} has rows, and nothing in its log says up to where the task `{task}` has read `{name}`{others}: the "
            "job, the task or the parameter had another name, or another program has filled the table",
            hint=f"say where it begins: `--adopt {key}=VERSION` after that version of {source.uri}, "
            f"`--adopt {key}=latest` after the newest, `--adopt {key}=snapshot` with all rows; on the platform the job "
            f"parameter `{ADOPT}`",
        )

    def _refuse_other(self, source: Source, span: Span, uri: str) -> None:
        """Raise RunError if a source is not the table of which `span` was read, or an older copy of it."""
        task, name, head = self._task, source.parameter, self.heads[source.parameter]
        assert head is not None  # noqa: S101 - the caller asks for sources that are there
        if span.source != head.id:
            raise RunError(
                f"{source.uri} is another table than the one that `{name}` of the task `{task}` has read up to version "
                f"{span.until}: it has been made again",
                hint=f"read all of it (`--restart {task}`) if the task merges; otherwise empty {uri} first, or use "
                "another name for the parameter",
            )
        if self._is_there(name, span) or name in self.wanted.adopted:
            return
        ways = (
            f"bring back the newer one; or go on after the last version that both have (`--adopt {task}.{name}="
            f"VERSION`), once {uri} has no rows that the source has lost; or read all again (`--restart {task}`)"
        )
        if span.until > head.version:
            raise RunError(
                f"{source.uri} has only {head.version + 1} versions, but `{name}` of the task `{task}` has read up to "
                f"version {span.until}",
                hint=f"the table was put back to an older copy: {ways}",
            )
        raise RunError(
            f"version {span.until} of {source.uri} is another commit than the one up to which `{name}` of the task "
            f"`{task}` has read: the table was put back to an older copy, which has got other commits since",
            hint=ways,
        )

    def _leaves_out(self, name: str, span: Span) -> bool:
        """Return whether a person has a task go on after a later version than the one that it has read."""
        said = self.wanted.adopted.get(name, "")
        return said.isdecimal() and int(said) > span.until

    def _adopted(self, source: Source) -> int | None:
        said, head = self.wanted.adopted[source.parameter], self.heads[source.parameter]
        assert head is not None  # noqa: S101 - the caller asks for sources that are there
        if said == SNAPSHOT:
            return None
        if said == LATEST:
            return head.version
        if int(said) > head.version:
            raise RunError(
                f"`--adopt {self._task}={said}`: {source.uri} has no version {said}, its newest is {head.version}",
                hint=f"`--adopt {self._task}=latest` begins after the newest",
            )
        return int(said)

    def _needless(self) -> Iterator[Problem]:
        """Yield a problem where a beginning is said for what has a position already, and not by this run."""
        is_begun = any(one.done for one in self.standings.values())
        for name in (source.parameter for source in self.there if source.parameter in self.wanted.adopted):
            known = self._read(name)
            if any(self._leaves_out(name, span) or not self._is_there(name, span) for span in known):
                continue
            if len(known) == len(self.standings) and not is_begun:
                yield Problem(
                    f"`--adopt {self._task}`: the task has read `{name}` up to version {known[0].until}, and goes on "
                    "from there",
                    hint="leave it out; to leave out what comes next, name a newer version: "
                    f"`--adopt {self._task}=VERSION`; to read all again: `--restart {self._task}`",
                )

    def _apart(self, positions: Mapping[str, Mapping[str, int | None]]) -> Iterator[Problem]:
        """Yield a problem where an output is to begin after the position of another one, which nothing would note."""
        for name in (source.parameter for source in self.there if source.parameter in self.wanted.adopted):
            known = [span.until for span in self._read(name)]
            said = [
                positions[output].get(name)
                for output, one in self.standings.items()
                if not one.cursor or name not in one.cursor.read
            ]
            if known and any(version is not None and version > min(known) for version in said):
                yield Problem(
                    f"`--adopt {self._task}`: another output of the task has `{name}` only up to version {min(known)}, "
                    "and all outputs go on together",
                    hint=f"begin there: `--adopt {self._task}={min(known)}`",
                )

    def _own_tables(self) -> Iterator[Problem]:
        """Yield a problem for each source that is a table which the task writes, by another name.

        Of a source that an output has read in an earlier run that was looked at then.
        """
        for name, standing in self.standings.items():
            known = {} if standing.cursor is None else standing.cursor.read
            unseen = [source for source in self.there if source.parameter not in known]
            own = self.outputs[name].id(unseen[0].parameter) if unseen and standing.version >= 0 else ""
            for source in unseen if own else ():
                head = self.heads[source.parameter]
                if head is not None and head.id == own:
                    yield Problem(
                        f"{source.uri}, of which the task `{self._task}` reads what is new (`{source.parameter}`), is "
                        "the table that it writes: its own rows would be new in the next run",
                        hint="write another table",
                    )
