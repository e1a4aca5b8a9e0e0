"""What an attempt of a task reads of tables of which it has read a part before, and what of it each output lacks."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, cast

from dbxdec.errors import Problem, RunError, listed
from dbxdec.io_managers.base import log
from dbxdec.io_managers.contexts import InputContext, ReadFacts
from dbxdec.io_managers.delta.progress import Consumer, Head, Standing, UnclearError
from dbxdec.io_managers.positions import Progress, Span
from dbxdec.model import dag, places
from dbxdec.model.beginnings import LATEST, SNAPSHOT, Wanted
from dbxdec.model.changes import ADOPT
from dbxdec.model.typehints import of_parameter
from dbxdec.runtime import contracting, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dbxdec.io_managers.base import IoManager
    from dbxdec.io_managers.contexts import OutputContext, WriteResult
    from dbxdec.model.changes import Changes
    from dbxdec.model.contracts import Contract


class Manager(Protocol):
    """What a manager of Delta tables does for a task that reads what is new, or what stands for one in a test."""

    @property
    def merges(self) -> frozenset[str]: ...
    def read(self, context: InputContext) -> Any: ...
    def head(self, context: InputContext) -> Head | None: ...
    def standing(
        self, context: OutputContext, consumer: Consumer, *, counts: bool = False, anew: bool = False
    ) -> Standing: ...


@dataclass(frozen=True)
class Source:
    """A parameter that gets what is new in a table: the place, what is wanted, and how its annotation is read."""

    parameter: str
    uri: str
    changes: Changes
    manager: Manager
    annotation: Any
    optional: bool
    contract: Contract | None = None

    def context(self, span: Span | None = None) -> InputContext:
        place = (self.uri, self.parameter, self.annotation)
        return InputContext(*place, changes=self.changes, span=span, facts=ReadFacts(), contract=self.contract)


@dataclass(frozen=True)
class Output:
    """An output of the task: its manager, and what a write of it is told."""

    manager: Manager
    context: OutputContext

    @property
    def appends(self) -> bool:
        """Whether rows that it has would be there twice if they came again: a merge takes them."""
        return not self.manager.merges.issuperset(self.context.returns or ("a frame",))


@dataclass(frozen=True)
class Plan:
    """What an attempt reads, by parameter, and what its commits state, by output.

    `done` are the outputs that this run has written. Others that are in neither are ahead: what is read, they have.
    """

    spans: Mapping[str, Span]
    progress: Mapping[str, Progress]
    done: Mapping[str, WriteResult]
    needs_table: bool = False
    """Whether the outputs have to store something: without a table nothing tells what was left out at first."""

    @property
    def is_done(self) -> bool:
        """Whether this run has written everything."""
        return not self.progress


def plan(project: str, outputs: Mapping[str, Output], sources: list[Source], wanted: Wanted) -> Plan:
    """Return what an attempt reads: what is new since the commit before, or what one of its outputs still lacks.

    Raises RunError, with all problems, where a position or a source is not what it was.
    """
    said = wanted.restarts or all(source.parameter in wanted.adopted for source in sources)
    standings = {
        name: _standing(one, _consumer(project, name, outputs), wanted, said=said) for name, one in outputs.items()
    }
    standings = _with_nothing(standings)
    done = {name: one.done for name, one in standings.items() if one.done is not None}
    if len(done) == len(outputs):
        return Plan({}, {}, done)
    heads = {source.parameter: source.manager.head(source.context()) for source in sources}
    problems = list(_absent(sources, heads, standings, wanted))
    there = [source for source in sources if heads[source.parameter] is not None]
    positions: dict[str, dict[str, int | None]] = {}
    for name, standing in standings.items():
        positions[name] = {}
        for source in there:
            head = heads[source.parameter]
            assert head is not None  # noqa: S101 - those are left out above
            try:
                positions[name][source.parameter] = _position(outputs[name], standing, source, head, wanted)
            except RunError as error:
                problems += error.problems
    task = next(iter(outputs.values())).context.receipt.id.task
    problems += _needless(wanted, standings, there, task)
    problems += _apart(wanted, positions, standings, there, task)
    problems += _own_tables(standings, there, heads, task)
    if problems:
        raise RunError(list(dict.fromkeys(problems)))
    return _of_positions(project, outputs, there, heads, standings, positions, done, wanted)


def _standing(output: Output, consumer: Consumer, wanted: Wanted, *, said: bool) -> Standing:
    """Return how far an output has read. Where its log doesn't tell, it begins anew if a person has `said` where."""
    try:
        return output.manager.standing(output.context, consumer, counts=wanted.restarts)
    except UnclearError:
        if not said:
            raise
        return output.manager.standing(output.context, consumer, counts=wanted.restarts, anew=True)


def _with_nothing(standings: Mapping[str, Standing]) -> dict[str, Standing]:
    """Return the standings, in which an output without a table has what the commits of the others say of it."""
    found = dict(standings)
    for name, one in standings.items():
        told = [
            other.cursor for other in standings.values() if other.cursor is not None and name in other.cursor.nothing
        ]
        if one.version < 0 and told:
            newest = max(told, key=lambda cursor: cursor.number)
            found[name] = replace(one, cursor=replace(newest, number=0, version=None))
    return found


def _of_positions(
    project: str,
    outputs: Mapping[str, Output],
    sources: list[Source],
    heads: Mapping[str, Head | None],
    standings: Mapping[str, Standing],
    positions: Mapping[str, Mapping[str, int | None]],
    done: Mapping[str, WriteResult],
    wanted: Wanted,
) -> Plan:
    names = [source.parameter for source in sources]
    behind = {name: tuple(positions[name][parameter] for parameter in names) for name in outputs}
    open_ = [name for name in outputs if name not in done]
    lowest = min((behind[name] for name in open_), key=_rank)
    ahead = [one for one in behind.values() if _rank(one) > _rank(lowest)]
    # Outputs that one attempt has not written get exactly what the others have: the same rows for all.
    until = min(ahead, key=_rank) if ahead else tuple(_version(heads[name]) for name in names)
    spans: dict[str, Span] = {}
    absent = [name for name, head in heads.items() if head is None]
    for source, after, to in zip(sources, lowest, until, strict=True):
        head = heads[source.parameter]
        assert head is not None  # noqa: S101 - `sources` are there
        if to is None:  # it was not there for the output that is ahead
            absent.append(source.parameter)
            continue
        skips = after is None and source.changes.starting == LATEST and not wanted.restarts
        skips = skips and source.parameter not in wanted.adopted
        spans[source.parameter] = Span(head.id, after, to, skips, head.opened)
    lagging = [name for name in open_ if behind[name] == lowest]
    if ahead:
        log.info("reading again what %s lacks; what is new since is for the next run", listed(lagging))
    found = {}
    for name in lagging:
        standing = standings[name]
        number = 1 if standing.cursor is None else standing.cursor.number + 1
        base = _consumer(project, name, outputs).base
        again = wanted.restarts and standing.has_rows
        found[name] = Progress(base, standing.epoch, number, spans, standing.version, tuple(absent), again=again)
    begun = [name for name, span in spans.items() if span.skips or (name in wanted.adopted and span.after is not None)]
    needs_table = bool(begun) and any(standings[name].version < 0 for name in lagging)
    return Plan(spans, found, done, needs_table)


def _consumer(project: str, output: str, outputs: Mapping[str, Output]) -> Consumer:
    context = outputs[output].context
    write, beside = context.receipt.id, [name for name, one in outputs.items() if one.context.uri == context.uri]
    return Consumer(project, write.job, write.task, output, frozenset(beside) - {output})


def _rank(position: tuple[int | None, ...]) -> tuple[int, ...]:
    return tuple(-1 if version is None else version for version in position)


def _version(head: Head | None) -> int | None:
    return None if head is None else head.version


def _absent(
    sources: list[Source], heads: Mapping[str, Head | None], standings: Mapping[str, Standing], wanted: Wanted
) -> Iterator[Problem]:
    """Yield a problem for each source that is not there, where its reader can't do without it."""
    for source in sources:
        if heads[source.parameter] is not None:
            continue
        if source.parameter in wanted.adopted:
            yield Problem(
                f"there is nothing at {source.uri} yet, so `--adopt` can't say where `{source.parameter}` begins in it",
                hint="leave it out: all rows will be new once the table is there",
            )
        read = any(one.cursor is not None and source.parameter in one.cursor.read for one in standings.values())
        if read:
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
                hint=f"check the path; or annotate the parameter `{source.parameter}` with `| None` if the table may "
                "not exist yet",
            )


def _position(output: Output, standing: Standing, source: Source, head: Head, wanted: Wanted) -> int | None:
    """Return the version of a source up to which an output has it; None for nothing of it.

    Raises RunError where the position is unknown, or one in another table.
    """
    task, uri, name = output.context.receipt.id.task, output.context.uri, source.parameter
    cursor = standing.cursor
    if wanted.restarts and standing.done is None:
        if output.appends and standing.has_rows:
            raise RunError(
                f"`--restart {task}` would append all rows of {source.uri} to {uri}, which has rows already",
                hint="delete the rows of that table first, or return a merge, which may get a row twice",
            )
        return None
    if cursor is not None and name in cursor.read:
        span = cursor.read[name]
        if span.source != head.id:
            raise RunError(
                f"{source.uri} is another table than the one that `{name}` of the task `{task}` has read up to version "
                f"{span.until}: it has been made again",
                hint=f"read all of it (`--restart {task}`) if the task merges; otherwise empty {uri} first, or use "
                "another name for the parameter",
            )
        if span.until > head.version:
            raise RunError(
                f"{source.uri} has only {head.version + 1} versions, but `{name}` of the task `{task}` has read up to "
                f"version {span.until}",
                hint="the table was put back to an older copy: bring back the newer one",
            )
        return _adopted(wanted.adopted[name], head, source, task) if _leaves_out(wanted, name, span) else span.until
    if name in wanted.adopted:
        return _adopted(wanted.adopted[name], head, source, task)
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


def _leaves_out(wanted: Wanted, name: str, span: Span) -> bool:
    """Return whether a person has a task go on after a later version than the one that it has read."""
    said = wanted.adopted.get(name, "")
    return said.isdecimal() and int(said) > span.until


def _adopted(said: str, head: Head, source: Source, task: str) -> int | None:
    if said == SNAPSHOT:
        return None
    if said == LATEST:
        return head.version
    if int(said) > head.version:
        raise RunError(
            f"`--adopt {task}={said}`: {source.uri} has no version {said}, its newest is {head.version}",
            hint=f"`--adopt {task}=latest` begins after the newest",
        )
    return int(said)


def _needless(wanted: Wanted, standings: Mapping[str, Standing], sources: list[Source], task: str) -> Iterator[Problem]:
    """Yield a problem where a beginning is said for what has a position already, and not by this run."""
    for source in sources:
        name = source.parameter
        known = [
            one.cursor.read[name] for one in standings.values() if one.cursor is not None and name in one.cursor.read
        ]
        if any(_leaves_out(wanted, name, span) for span in known):
            continue
        if name in wanted.adopted and len(known) == len(standings) and not any(one.done for one in standings.values()):
            yield Problem(
                f"`--adopt {task}`: the task has read `{name}` up to version {known[0].until}, and goes on from there",
                hint=f"leave it out; to leave out what comes next, name a newer version: `--adopt {task}=VERSION`; to "
                f"read all again: `--restart {task}`",
            )


def _apart(
    wanted: Wanted,
    positions: Mapping[str, Mapping[str, int | None]],
    standings: Mapping[str, Standing],
    sources: list[Source],
    task: str,
) -> Iterator[Problem]:
    """Yield a problem where an output is to begin after the position of another one, which nothing would note."""
    for name in (source.parameter for source in sources if source.parameter in wanted.adopted):
        known = [one.cursor.read[name].until for one in standings.values() if one.cursor and name in one.cursor.read]
        said = [
            positions[output].get(name)
            for output, one in standings.items()
            if not one.cursor or name not in one.cursor.read
        ]
        if known and any(version is not None and version > min(known) for version in said):
            yield Problem(
                f"`--adopt {task}`: another output of the task has `{name}` only up to version {min(known)}, and all "
                "outputs go on together",
                hint=f"begin there: `--adopt {task}={min(known)}`",
            )


def _own_tables(
    standings: Mapping[str, Standing], sources: list[Source], heads: Mapping[str, Head | None], task: str
) -> Iterator[Problem]:
    """Yield a problem for each source that is a table which the task writes, by another name."""
    own = {one.id for one in standings.values() if one.id}
    for source in sources:
        head = heads[source.parameter]
        if head is not None and head.id in own:
            yield Problem(
                f"{source.uri}, of which the task `{task}` reads what is new (`{source.parameter}`), is the table that "
                "it writes: its own rows would be new in the next run",
                hint="write another table",
            )


class Consuming:
    """The changes that one attempt of a task reads; `begin` decides which they are."""

    def __init__(
        self,
        project: str,
        job: dag.Job,
        task: dag.Task,
        own: Mapping[str, IoManager],
        managers: Mapping[tuple[str, str], IoManager],
        tables: Mapping[str, IoManager],
        parameters: Mapping[str, Any],
    ) -> None:
        self.plan: Plan | None = None
        self._project, self._job, self._task = project, job, task
        self._own, self._managers, self._tables = own, managers, tables
        self._parameters = parameters
        self._sources: dict[str, Source] = {}

    def begin(self, contexts: Mapping[str, OutputContext], function: Callable[..., Any]) -> None:
        """Make the plan. Raises RunError, with all problems, where a position or a source is not what it was."""
        self._sources = {name: self._source(name, function) for name in dag.changes_of(self._task)}
        outputs = {name: Output(_delta(self._own[name]), context) for name, context in contexts.items()}
        wanted = Wanted.of(self._task.key, self._parameters, self._job)
        self.plan = plan(self._project, outputs, list(self._sources.values()), wanted)

    @property
    def begun(self) -> Plan:
        """The plan, once there is one."""
        assert self.plan is not None  # noqa: S101 - inputs are read after `begin`
        return self.plan

    def _source(self, name: str, function: Callable[..., Any]) -> Source:
        binding, changes = dag.changes_of(self._task)[name]
        if isinstance(binding, dag.Table):
            manager, target = self._tables[binding.target], binding.target
        else:
            manager = self._managers[binding.task, binding.output]
            target = self._job.task(binding.task).outputs[binding.output].target or ""
        note = of_parameter(function, name)
        annotation = None if note is None or note.error else note.value
        optional, contract = (False, None) if note is None else (note.optional, note.contract)
        return Source(name, places.resolved(target), changes, _delta(manager), annotation, optional, contract)

    def read(self, parameter: str) -> Any:
        """Return the new rows for a parameter; None for an optional one if there are none."""
        source, span = self._sources[parameter], self.begun.spans.get(parameter)
        if span is None:
            log.info("read %s: None, since there is nothing at %s yet", parameter, source.uri)
            return None
        began, context = time.perf_counter(), source.context(span)
        value = contracting.read(source.manager.read(context), context)
        record.note("read", parameter, source.uri, context.facts, value, time.perf_counter() - began)
        # What is left out at first makes the table, by its columns.
        return None if context.facts.rows == 0 and source.optional and not span.skips else value

    def note_nothing(self, result: Mapping[str, Any]) -> None:
        """Have the commits of the outputs say which others get nothing, and have no table that could say it."""
        if self.plan is None:
            return
        nothing = tuple(name for name, one in self.plan.progress.items() if result.get(name) is None and one.seen < 0)
        progress = {name: replace(one, nothing=nothing) for name, one in self.plan.progress.items()}
        self.plan = replace(self.plan, progress=progress if nothing else self.plan.progress)

    def refuse_none(self, output: str, context: OutputContext) -> None:
        """Raise RunError for a task that stores nothing, although its first commit has to say what it has left out."""
        if self.plan is None or not self.plan.needs_table:
            return
        what = "result" if output == dag.RESULT else f"output `{output}`"
        raise RunError(
            f"the {what} of the task `{self._task.key}` is None, but there is no table at {context.uri} yet that could "
            'keep where it begins (starting="latest")',
            hint="return the empty frame in the first run: it makes the table",
        )


def _delta(manager: IoManager) -> Manager:
    assert manager.reads_changes  # noqa: S101 - the build has checked it
    return cast("Manager", manager)
