"""Rows that an attempt reads of tables of which its task has read a part before, and those that each output lacks."""

from __future__ import annotations

import time
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, cast

from dbxdec.errors import RunError, listed
from dbxdec.io_managers.base import log
from dbxdec.io_managers.delta.progress import UnclearError, with_nothing
from dbxdec.io_managers.positions import Progress, Span
from dbxdec.model import dag, places
from dbxdec.model.beginnings import LATEST, Wanted
from dbxdec.model.typehints import of_parameter
from dbxdec.records import dataclass
from dbxdec.runtime import contracting, record
from dbxdec.runtime.going_on import Start
from dbxdec.runtime.sources import Output, Source, sharing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from dbxdec.io_managers.base import IoManager
    from dbxdec.io_managers.contexts import OutputContext, WriteResult
    from dbxdec.io_managers.delta.progress import Consumer, Head, Standing
    from dbxdec.runtime.sources import Manager


@dataclass(frozen=True)
class Plan:
    """The reads of an attempt, by parameter, and the statements of its commits, by output.

    `done` are the outputs that this run has written. Others that are in neither are ahead: what is read, they have.
    `same` are the versions of those of them that have exactly that, by a commit of an earlier run.
    """

    spans: Mapping[str, Span]
    progress: Mapping[str, Progress]
    done: Mapping[str, WriteResult]
    needs_table: bool = False
    """True if the outputs have to store something: without a table nothing tells what was left out at first."""
    same: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """True if this run has written everything."""
        return not self.progress


def plan(project: str, outputs: Mapping[str, Output], sources: list[Source], wanted: Wanted) -> Plan:
    """Return what an attempt reads: what is new since the commit before, or what one of its outputs still lacks.

    Raises RunError, with all problems, where a position or a source is not what it was.
    """
    said = wanted.restarts or all(source.parameter in wanted.adopted for source in sources)
    standings = {
        name: _standing(one, _consumer(project, name, outputs), wanted, said=said) for name, one in outputs.items()
    }
    standings = with_nothing(standings)
    done = {name: one.done for name, one in standings.items() if one.done is not None}
    if len(done) == len(outputs):
        return Plan({}, {}, done)
    heads = {source.parameter: source.manager.head(source.context()) for source in sources}
    stamps = {name: _stamps(head, name, standings) for name, head in heads.items()}
    start = Start(outputs, standings, sources, heads, stamps, wanted)
    return _of_positions(project, start, start.positions(), done)


def _stamps(head: Head | None, name: str, standings: Mapping[str, Standing]) -> Mapping[int, int]:
    """Return the stamps of the newest commit of a source, and of those up to which the outputs have read it."""
    if head is None:
        return {}
    read = [one.cursor.read[name].until for one in standings.values() if one.cursor and name in one.cursor.read]
    return head.stamps(sorted({head.version, *(version for version in read if version <= head.version)}))


def _standing(output: Output, consumer: Consumer, wanted: Wanted, *, said: bool) -> Standing:
    """Return how far an output has read. Where its log doesn't tell, it begins anew if a person has `said` where."""
    try:
        return output.manager.standing(output.context, consumer, counts=wanted.restarts)
    except UnclearError:
        if not said:
            raise
        return output.manager.standing(output.context, consumer, counts=wanted.restarts, anew=True)


def _of_positions(
    project: str,
    start: Start,
    positions: Mapping[str, Mapping[str, int | None]],
    done: Mapping[str, WriteResult],
) -> Plan:
    outputs, standings, heads, wanted = start.outputs, start.standings, start.heads, start.wanted
    names = [source.parameter for source in start.there]
    behind = {name: tuple(positions[name][parameter] for parameter in names) for name in outputs}
    open_ = [name for name in outputs if name not in done]
    lowest = min((behind[name] for name in open_), key=_rank)
    ahead = [one for one in behind.values() if _rank(one) > _rank(lowest)]
    # Outputs that one attempt has not written get exactly what the others have: the same rows for all.
    until = min(ahead, key=_rank) if ahead else tuple(_version(heads[name]) for name in names)
    spans: dict[str, Span] = {}
    absent = [name for name, head in heads.items() if head is None]
    for source, after, to in zip(start.there, lowest, until, strict=True):
        head = heads[source.parameter]
        assert head is not None  # noqa: S101 - it is there
        if to is None:  # it was not there for the output that is ahead
            absent.append(source.parameter)
            continue
        skips = after is None and source.changes.starting == LATEST and not wanted.restarts
        skips = skips and source.parameter not in wanted.adopted
        stamp = start.stamps[source.parameter].get(to)
        spans[source.parameter] = Span(head.id, after, to, skips, head.opened, stamp)
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
    same = {name: _version_with(standings[name], spans, absent) for name in open_ if name not in lagging}
    return Plan(
        spans, found, done, needs_table, {name: version for name, version in same.items() if version is not None}
    )


def _version_with(standing: Standing, spans: Mapping[str, Span], absent: Collection[str]) -> int | None:
    """Return the version of an output that has exactly what is read again for the others; None if none has it."""
    cursor = standing.cursor
    has_it = cursor is not None and dict(cursor.read) == spans and set(cursor.absent) == set(absent)
    return cursor.version if cursor is not None and has_it else None


def _consumer(project: str, output: str, outputs: Mapping[str, Output]) -> Consumer:
    uri = outputs[output].context.uri
    beside = [name for name, one in outputs.items() if one.context.uri == uri]
    return outputs[output].consumer(project, output, frozenset(beside) - {output})


def _rank(position: tuple[int | None, ...]) -> tuple[int, ...]:
    return tuple(-1 if version is None else version for version in position)


def _version(head: Head | None) -> int | None:
    return None if head is None else head.version


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
        jobs: Callable[[], Iterable[dag.Job]],
    ) -> None:
        self.plan: Plan | None = None
        self._project, self._job, self._task = project, job, task
        self._own, self._managers, self._tables = own, managers, tables
        self._parameters, self._jobs = parameters, jobs
        self._sources: dict[str, Source] = {}

    def begin(self, contexts: Mapping[str, OutputContext], function: Callable[..., Any]) -> None:
        """Make the plan. Raises RunError, with all problems, where a position or a source is not what it was."""
        self._sources = {name: self._source(name, function) for name in dag.changes_of(self._task)}
        outputs = {
            name: Output(_delta(self._own[name]), context, sharing(self._job, self._task, name, self._jobs))
            for name, context in contexts.items()
        }
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
        """Return the new rows for a parameter; None for an optional one without any."""
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

    def share(self, contexts: Mapping[str, OutputContext]) -> None:
        """Have readers find what outputs already have by an earlier run, which died before it had written the others.

        What this run returns for them is the same.
        """
        for name, version in self.plan.same.items() if self.plan is not None else ():
            _delta(self._own[name]).share(contexts[name], version)
            log.info("%s has it since version %d of %s, by an earlier run", name, version, contexts[name].uri)

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
