"""Keys of a job that are done, missing or partly there, as the logs of its tables tell."""

from __future__ import annotations

import datetime as dt
from dataclasses import field, replace
from functools import cached_property
from itertools import product
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, RunError, counted, did_you_mean, listed
from dbxdec.local.asked_keys import Asked, first_key, last_key, moment_of_key
from dbxdec.local.parameters import in_keys
from dbxdec.local.question import answer_of
from dbxdec.model import required, run_keys
from dbxdec.model.dag import RESULT
from dbxdec.model.variables import resolve
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from dbxdec.local.question import Question
    from dbxdec.model.dag import Job, JobParameter, Output
    from dbxdec.runtime.marking import Change

MOST_KEYS = 1_000_000
Key = tuple[str, ...]
"""The strings of a key, in the order of the job's key parameters."""


@dataclass(frozen=True)
class Table:
    """A table that each run writes: the keys that it has, or why that can't be told."""

    name: str
    done: frozenset[Key] = frozenset()
    begun: frozenset[Key] = frozenset()
    """Keys of which some iterations are there."""
    created: int | None = None
    why: str = ""
    strange: bool = False
    """No write with a key was ever made to it."""
    is_delta: bool = True
    mode: str = ""
    """Its task's way of writing: "append", "merge", "whole" for an overwrite of all, "part" for one of a part."""
    source: str = "log"
    """The reader of its log: "log" for this machine, "platform" for a task there, "receipts" if only these tell."""
    task: str = ""
    """The task that writes it."""
    told_since: int | None = None
    """With receipts alone: the moment, in ms since the epoch, of before which nothing is known."""
    untold: frozenset[Key] = frozenset()
    """Keys of which it can't be told: older than that without a receipt, or of before a RESTORE that is unclear."""
    untold_why: str = ""
    """The reason, where it is a RESTORE."""
    forgotten: Mapping[Key, int] = field(default_factory=dict)
    """The time at which a person took keys back that have not been written since, in ms since the epoch."""

    @property
    def may_have_had_none(self) -> frozenset[Key]:
        """The keys that lack iterations which have failed, or have returned None before there was a table."""
        return self.untold & self.begun if self.untold_why == required.BEFORE_IT_WAS_THERE else frozenset()

    @property
    def is_absent(self) -> bool:
        """Return whether there is no such table."""
        return self.created is None and not self.done and not self.begun

    @property
    def adds(self) -> bool:
        """Return whether a second run of a key adds its rows again."""
        return self.mode == "append"


@dataclass(frozen=True)
class Keys:
    """The keys of a job that are due, in their order, and the tables that tell which of them are there."""

    job: str
    names: tuple[str, ...]
    due: tuple[Key, ...]
    tables: tuple[Table, ...]
    places: Mapping[str, int] = field(default_factory=dict)
    """The place of each value of the only key parameter among all that there should be."""
    left_out: tuple[str, ...] = ()
    """In words, what was asked for and is not among the keys that there should be."""
    made: frozenset[Key] | None = None
    """For a job without keys, which no log can tell: those of the given values whose run has succeeded."""

    def follows(self, key: Key, other: Key) -> bool:
        """Return whether `other` is the next key after `key`."""
        if self.places:
            return self.places.get(other[0], -1) == self.places.get(key[0], -1) + 1
        return self._order.get(other, -1) == self._order.get(key, -1) + 1

    @cached_property
    def _order(self) -> dict[Key, int]:
        return {key: i for i, key in enumerate(self.due)}

    def sorted(self, some: Iterable[Key]) -> list[Key]:
        """Return keys in their order."""
        return sorted(some, key=lambda key: self._order.get(key, -1))

    @property
    def since(self) -> dt.date | None:
        """The day since which all tables can tell; None where no table is there."""
        moments = [table.created for table in self.tables if table.created is not None]
        return dt.datetime.fromtimestamp(max(moments) / 1000, dt.UTC).date() if moments else None

    @property
    def source(self) -> str:
        """The readers of the logs: "log", "platform", or "log and platform"."""
        return " and ".join(sorted({table.source for table in self.tables if not table.why})) or "log"

    @property
    def unknown(self) -> list[Table]:
        """The tables that can't tell of any key, or not of all. Nobody expects it of those of a job without keys."""
        if self.made is not None:
            return []
        told = (replace(table, why=_not_all(table)) if table.untold else table for table in self.tables)
        return [table for table in told if table.why]

    @property
    def absent(self) -> list[Table]:
        """The tables that are not there yet: no run had a row for them."""
        return [table for table in self.tables if table.is_delta and not table.why and table.is_absent]

    def states(self, key: Key) -> dict[str, str]:
        """Return whether each table has a key: "done", "missing" or "can't be told"."""
        return {
            table.name: "can't be told"
            if table.why or key in table.untold
            else "done"
            if key in table.done
            else "partial"
            if key in table.begun
            else "missing"
            for table in self.tables
        }

    def state(self, key: Key) -> str:
        """Return "done", "missing", "partial", or "can't be told"."""
        if self.made is not None:
            return "done" if key in self.made else "missing"
        states = set(self.states(key).values()) - {"can't be told"} or {"can't be told"}
        return states.pop() if len(states) == 1 else "partial"

    def of(self, state: str) -> list[Key]:
        """Return the keys that are "done" or "missing" in each table that can tell, or "partial"."""
        return [key for key in self.due if self.state(key) == state]

    @cached_property
    def certain(self) -> list[Key]:
        """The keys that all tables have; none where a table can't tell of any."""
        if any(table.why for table in self.tables):
            return []
        return [key for key in self.due if set(self.states(key).values()) == {"done"}]

    def named(self, key: Key) -> dict[str, str]:
        """Return the values of a key by the names of its parameters."""
        return dict(zip(self.names, key, strict=True))


def remedy(table: Table, job: str) -> str | None:
    """Return what a person can do about a table of which some keys can't be told; None if it is not known."""
    if table.why == required.OF_ITEMS:
        return (
            "let its task append, or overwrite a part: `partition_by=...`; or leave it out of the keys: `keyed=False`"
        )
    if not table.untold_why:
        return None
    return (
        f"look at its rows, then say which keys are there, `dbxdec keys mark {job} KEY=A..B`, and which are not, "
        f"`dbxdec keys forget {job} KEY=A..B`"
    )


def absence(table: Table, job: str) -> Problem:
    """Return what a person can do where runs had no row for a table that is not there yet."""
    return Problem(
        f"{table.name} is not there yet, so nothing can say that a key has no rows in it",
        hint="let its task return an empty frame, not None, or a for-each task have an item; or `dbxdec keys mark "
        f"{job} KEY=A..B` once the table exists",
    )


def variables_of(job: Job) -> set[str]:
    """Return the bundle variables that tell where the tables of `job` are and which keys there should be."""
    return set(job.variables) | in_keys(job)


def keys_of(job: Job, question: Question, asked: Mapping[str, Asked] = MappingProxyType({})) -> Keys:
    """Ask the tables of a job in a process of its own.

    `asked` are the keys to look at, by parameter; of others it is all that are due. Raises RunError where the tables
    can't be asked at all.
    """
    wanted = required.tables(job)
    if not wanted:
        hint = "store a result through an IoManager for Delta tables, outside of branches"
        raise RunError(f"no run of the job `{job.key}` must write a Delta table, so no log has its keys", hint=hint)
    answer = answer_of(job, question, [(task.key, name) for task, name, _ in wanted])
    told = _told_elsewhere(answer["tables"], question)
    parameters = job.key_parameters
    tables = {}
    for (task, name, output), found in zip(wanted, told, strict=True):
        uri = str(found["uri"])
        keys = frozenset(key for text in found.get("keys", ()) if (key := _read(text, parameters)) is not None)
        writer = (task.key, name) if output.shared else ()
        begun = frozenset(key for text in found.get("begun", ()) if (key := _read(text, parameters)) is not None)
        untold = frozenset(key for text in found.get("untold", ()) if (key := _read(text, parameters)) is not None)
        by = f" by {task.key}" if output.shared else ""
        tables[uri, writer] = Table(
            question.short(uri) + by,
            keys,
            begun,
            found.get("created"),
            found.get("why", ""),
            # Keys that today's parameters don't read are as good as none.
            bool(found.get("strange")) or bool(not keys and not begun and found.get("keys")),
            untold=untold - keys,
            untold_why=found.get("untold_why", ""),
            forgotten={
                key: at
                for text, at in found.get("forgotten", {}).items()
                if (key := _read(text, parameters)) is not None
            },
            mode=mode_of(output),
            source="receipts" if found.get("told_since") is not None else found.get("source", "log"),
            told_since=found.get("told_since"),
            task=task.key,
        )
    for task, name, output in required.others(job):
        target = f"{task.key}" if name == RESULT else f"{task.key}[{name}]"
        tables[target, ()] = Table(target, why=f"{output.io} stores no Delta table", is_delta=False)
    there = [key for table in tables.values() for key in table.done]
    due, left_out = [], []
    for i, parameter in enumerate(parameters):
        until = answer["until"].get(parameter.name)
        some, outside = _due(parameter, until, [key[i] for key in there], question, asked.get(parameter.name))
        due.append(some)
        left_out += outside
    count = 1
    for texts in due:
        count *= len(texts)
    if count > MOST_KEYS:
        raise RunError(f"the job `{job.key}` has {count:,} keys, more than {MOST_KEYS:,}", hint="give `since=` later")
    names = tuple(parameter.name for parameter in parameters)
    there_should_be = tuple(product(*due))
    known = tuple(replace(table, untold=_untold(table, there_should_be, parameters)) for table in tables.values())
    return Keys(job.key, names, there_should_be, known, _places(parameters, due), tuple(left_out))


def _places(parameters: Sequence[JobParameter], due: Sequence[Sequence[str]]) -> dict[str, int]:
    """Return the places of the values of a single key, also where only some of them were asked for."""
    if len(parameters) != 1 or not due[0]:
        return {}
    key = parameters[0].key
    if key is None:
        return {}
    if not key.is_period:
        return {text: i for i, text in enumerate(key.values)}
    first, last = (moment_of_key(key, text) for text in (min(due[0]), max(due[0])))
    return {key.text(one): i for i, one in enumerate(key.between(key.holding(first), key.holding(last)))}


def _untold(table: Table, keys: Sequence[Key], parameters: Sequence[JobParameter]) -> frozenset[Key]:
    """Return the keys that a run may have written before what the table's log or history still has."""
    unclear = table.untold.intersection(keys)
    if table.told_since is None:
        return unclear
    since = dt.datetime.fromtimestamp(table.told_since / 1000, dt.UTC)

    def may_be_older(key: Key) -> bool:
        moments = [
            one.key.due(moment_of_key(one.key, text))
            for one, text in zip(parameters, key, strict=True)
            if one.key is not None and one.key.is_period
        ]
        return all(moment < since for moment in moments)

    return unclear.union(key for key in keys if key not in table.done and may_be_older(key))


def _not_all(table: Table) -> str:
    if table.untold_why:
        return f"{table.untold_why}: of {counted(len(table.untold), 'key')} nobody knows"
    since = dt.datetime.fromtimestamp((table.told_since or 0) / 1000, dt.UTC).date()
    older = counted(len(table.untold), "older key")
    return f"its log can't be read, and its history begins on {since}: of {older} nobody knows"


def _told_elsewhere(tables: Sequence[Mapping[str, Any]], question: Question) -> list[Mapping[str, Any]]:
    """Return what tables have told, with the answers from elsewhere for those that could not be read here."""
    if question.elsewhere is None or not any(found.get("why") for found in tables):
        return list(tables)
    try:
        answers = {(found["task"], found["output"]): found for found in question.elsewhere()["tables"]}
        why = "the deployed wheel does not write it"
    except RunError as error:
        answers, why = {}, error.problems[0].message
    told = []
    for found in tables:
        there = answers.get((found["task"], found["output"]))
        if not found.get("why"):
            told.append(found)
        elif there is None or there.get("why"):
            on_platform = why if there is None else there["why"]
            told.append({**found, "why": f"{found['why']}; and on the platform: {on_platform}"})
        else:
            told.append({**there, "source": "platform"})
    return told


def mode_of(output: Output) -> str:
    """Return how the task of a table writes, as `Table.mode` has it."""
    mode = str(output.settings.get("mode", ""))
    return mode if mode != "overwrite" else "part" if output.partial else "whole"


def _due(
    parameter: JobParameter, until: str | None, there: Sequence[str], question: Question, asked: Asked | None
) -> tuple[list[str], list[str]]:
    """Return the strings of all keys of a parameter that are due, or of those that were `asked` for.

    The others that were asked for come second, in words.
    """
    key = parameter.key
    assert key is not None  # noqa: S101 - the callers have looked
    if not key.is_period:
        return list(asked.values if asked is not None else key.values), []
    last = key.at(question.now)
    why = f"the last one that is due is {key.text(last)}"
    if until is not None and (wanted := last_key(key, until)) < last:
        last, why = wanted, f"its keys end with {key.text(wanted)} (`until`)"
    begin = None if key.since is None else first_key(key, resolve(key.since, question.variables))
    if asked is not None:
        return asked.keys(key, begin, last), list(asked.left_out(parameter.name, key, begin, last, why))
    oldest = min(there, default=None)
    first = begin or (last if oldest is None else key.holding(moment_of_key(key, oldest)))
    return [key.text(one) for one in key.between(first, last)], []


def _read(text: str, parameters: Iterable[JobParameter]) -> Key | None:
    """Return a key of the log by today's parameters; None if it has not all of them."""
    found = run_keys.of_today(text, parameters)
    return None if found is None else tuple(found.values())


def change_of(
    job: Job, question: Question, change: Change, only: Collection[str] = ()
) -> list[tuple[str, list[Key], str]]:
    """Note or take back keys in the logs of a job's tables: of each the name, the keys, and why there are no keys.

    With `only` it is those of these tasks. Raises RunError for a task without such a table.
    """
    wanted = [one for one in required.tables(job) if not only or one[0].key in only]
    if strange := [name for name in only if name not in {task.key for task, _, _ in wanted}]:
        known = list(dict.fromkeys(task.key for task, _, _ in required.tables(job)))
        raise RunError(
            f"{listed(strange)} of the job `{job.key}` writes no table with keys",
            hint=did_you_mean(strange[0], known) or f"its tasks that do are {listed(known)}",
        )
    answer = answer_of(job, question, [(task.key, name) for task, name, _ in wanted], change)
    parameters = job.key_parameters
    return [
        (
            question.short(str(found["uri"])) + (f" by {task.key}" if output.shared else ""),
            [key for text in found["keys"] if (key := _read(text, parameters)) is not None],
            str(found.get("why", "")),
        )
        for (task, _, output), found in zip(wanted, answer["tables"], strict=True)
    ]
