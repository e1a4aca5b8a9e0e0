"""The common part of managers of Delta tables for all engines: their options, and what these mean for iterations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dbxdec.errors import DbxdecError, RunError
from dbxdec.io_managers import names, options
from dbxdec.io_managers.base import IoManager, log
from dbxdec.io_managers.delta import definition, expectation_problems, expectations
from dbxdec.model.variables import names_in

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from dbxdec.errors import Problem
    from dbxdec.io_managers.contexts import InputContext, OutputContext
    from dbxdec.io_managers.contracts.structure import RuleOutcome
    from dbxdec.io_managers.delta.judging import Judge, Outcome
    from dbxdec.io_managers.delta.key_log import KeyLog
    from dbxdec.io_managers.delta.progress import Consumer, Head, Standing
    from dbxdec.io_managers.delta.sql import Sql
    from dbxdec.model.values import ValueType
    from dbxdec.model.variables import BundleVariable

Mode = Literal["error", "overwrite", "append", "ignore"]
SchemaPolicy = Literal["strict", "add-columns", "replace"]


class DeltaIoManager(IoManager):
    """The options of a manager of Delta tables; a subclass reads and writes with its engine."""

    reads_table: ClassVar[bool] = True
    reads_changes: ClassVar[bool] = True
    engine_options: ClassVar[Mapping[str, Mapping[str, str]]]
    """Attributes whose options are passed on to the engine, each with what to write instead of the options dbxdec sets.
    """
    untexted: ClassVar[frozenset[str]] = frozenset()
    """The attributes in `engine_options` whose values need not be strings."""
    engine_lacks: ClassVar[Mapping[str, str]] = {}
    """The parts of a definition that the engine can't give to a table, each with what to do instead."""
    sql: ClassVar[Sql]
    """The engine's syntax for strings and names in SQL."""
    one_name: ClassVar[Callable[[str], str]] = str
    """A function that maps names that are the same to the engine to the same string."""

    def __init__(
        self,
        base_path: str | os.PathLike[str] | BundleVariable,
        *,
        mode: Mode,
        partition_by: str | Sequence[str] | None,
        replace: Mapping[str, Any] | None,
        schema: SchemaPolicy,
        shared: bool,
        keyed: bool,
        cluster_by: str | Sequence[str] | None,
        properties: Mapping[str, Any] | None,
        comment: str | BundleVariable | None,
        columns: Mapping[str, Any] | None,
        constraints: Mapping[str, str] | None,
        expect: Mapping[str, Any] | None = None,
        expect_or_drop: Mapping[str, Any] | None = None,
        expect_or_fail: Mapping[str, Any] | None = None,
        quarantine: Any = None,
    ) -> None:
        self.base_path = options.base_path(base_path)
        self.mode = mode
        self.partition_by = partition_by
        self.replace = replace
        self.schema = schema
        self.shared = shared
        self.keyed = keyed
        self.cluster_by = cluster_by
        self.properties = properties
        self.comment = comment
        self.columns = columns
        self.constraints = constraints
        self.expect = expect
        self.expect_or_drop = expect_or_drop
        self.expect_or_fail = expect_or_fail
        self.quarantine = quarantine
        self.check_options()

    def check_options(self) -> None:
        self.partition_by = options.columns(self.partition_by)
        self.cluster_by = definition.clustering(self.cluster_by)
        problems = list(options.of_delta(self, one=type(self).one_name))
        problems += definition.problems(self, one=type(self).one_name)
        problems += expectation_problems.problems(self)
        for name, own in self.engine_options.items():
            problems += options.of_engine(name, getattr(self, name), own=own, texts=name not in self.untexted)
        if problems:
            raise DbxdecError(problems)

    def settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {"mode": self.mode, "schema": self.schema}
        if self.partitions:
            settings["partition_by"] = list(self.partitions)
        if self.replace is not None:
            settings["replace"] = {name: options.described(value) for name, value in self.replace.items()}
        if not self.keyed:
            settings["keyed"] = False
        return {**settings, **definition.described(self), **expectations.described(self)}

    def variables(self) -> set[str]:
        said = names_in(definition.strings(self)) | names_in(expectations.strings(self))
        return super().variables() | said | (self.quarantine.variables() if self.quarantine is not None else set())

    def name_problems(self, name: str) -> list[Problem]:
        return names.of_delta_path(name)

    def definition(self) -> definition.Definition:
        """Return the table as it is wanted, with the values of bundle variables in this run."""
        return definition.resolved(self, self.resolve)

    def joins(self, returns: tuple[str, ...] | None) -> bool:
        """Return whether iterations may share a table.

        Appends, overwritten partitions and merges keep the rows of other writes.
        """
        merges = returns is not None and not self.merges.isdisjoint(returns)
        parts = self.mode == "overwrite" and bool(self.partitions) and self.replace is None
        return merges or self.mode == "append" or parts

    def is_partial(self, returns: tuple[str, ...] | None) -> bool:
        """Return whether rows of other writes stay. A merge has no rows of its own, so its result is the table."""
        merges_only = returns is not None and self.merges.issuperset(returns)
        parts = self.mode == "overwrite" and (bool(self.partitions) or self.replace is not None)
        return not merges_only and (self.mode == "append" or parts)

    def condition_problems(self, parameters: Mapping[str, ValueType]) -> list[Problem]:
        """Return what is wrong with the conditions of expectations, for a job with these parameters.

        Their SQL is checked where the engine is installed.
        """
        return list(expectation_problems.of_parameters(self, parameters))

    def slice_in(self, context: OutputContext) -> dict[str, Any] | None:
        """Return the values of `replace=` in this run, by column; None without it."""
        if self.replace is None:
            return None
        found: dict[str, Any] = self.resolve(
            {n: options.of_run(v, context.parameters) for n, v in self.replace.items()}
        )
        return found

    def judge(self, context: OutputContext) -> Judge | None:
        """Return what judges the rows of a write; None for a table that expects nothing."""
        return None

    def parameters_of_conditions(self) -> set[str]:
        """Return the job parameters that conditions name, with the values of bundle variables in this run."""
        found = [one.condition for one in expectations.of(self, self.resolve)]
        return {name for condition in found if isinstance(condition, str) for name in self.sql.holes(condition)}

    def outcomes_there(self, context: OutputContext) -> list[Outcome | RuleOutcome] | None:
        """Return how expectations, and the rules of a contract, come out for all rows that the table has now.

        None where there is no table.
        """
        raise RunError(f"the rows of {context.uri} can't be judged here")

    def head(self, context: InputContext) -> Head | None:
        """Return what the table at `context.uri` is now; None before it exists. Raises RunError if it can't be read.

        The annotation of the reader in `context` says which engine looks.
        """
        raise RunError(f"the log of {context.uri} can't be read here")

    def standing(
        self, context: OutputContext, consumer: Consumer, *, counts: bool = False, anew: bool = False
    ) -> Standing:
        """Return how far a consumer has read, by the table that it writes.

        With `counts` it says whether there are rows even where the position is known. With `anew` the consumer begins
        anew, whatever the log says. Raises RunError where the table can't be read, UnclearError where it doesn't tell.
        """
        raise RunError(f"the log of {context.uri} can't be read here")

    def share(self, context: OutputContext, version: int) -> None:
        """Note that a write has what the commit `version` of the table has, of an earlier run, so that readers find it.

        Raises RunError where the table can't be written.
        """
        raise RunError(f"the log of {context.uri} can't be written here")

    def reader_of_log(self, uri: str) -> tuple[DeltaIoManager, str]:
        """Return what reads the log of the table at `uri` on this machine, and the place by which it does.

        Raises RunError where this machine can't.
        """
        return self, uri

    def behind(self, context: InputContext) -> dict[str, int]:
        """Return the rows that were added in a span (`rows`), and the time of its first commit in ms (`since`).

        What the log does not tell is left out.
        """
        return {}

    def key_log(self, uri: str) -> KeyLog | None:
        """Return what the log of the table at `uri` says of keys; None where there is no table.

        Raises RunError where this machine can't tell.
        """
        raise RunError(f"the log of {uri} can't be read here")

    def note_keys(self, uri: str, identifiers: Sequence[str]) -> None:
        """Commit identifiers to the table at `uri`, without rows.

        Raises RunError where this machine can't, and where there is no table.
        """
        raise RunError(f"the log of {uri} can't be written here")

    def partition_keys(self, uri: str) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Return the partition columns of the table at `uri`, and the strings of the partitions that it has.

        Raises RunError where this machine can't tell.
        """
        raise RunError(f"the log of {uri} can't be read here")

    def settle(self, context: OutputContext, note: Callable[[Callable[[], bool]], None]) -> None:
        """Note what has taken keys away before a write with a key, and rows without a key, which `note` does.

        It is given a function that says whether the table has keys of other runs. The write is done. What prevents the
        note is logged: the next write with a key notes it.
        """
        try:
            note(lambda: self._has_keys_of_other_runs(context))
        except Exception as error:  # noqa: BLE001 - of an engine or a storage
            log.warning("of %s it is not noted what has replaced it: %s", context.uri, error)

    def _has_keys_of_other_runs(self, context: OutputContext) -> bool:
        from dbxdec.io_managers.delta import key_log

        try:
            found = self.key_log(context.uri)
        except RunError:  # nobody can tell here
            return True
        own = key_log.parsed(context.receipt.id.transaction)
        writes = (key_log.parsed(one.name) for one in (found.identifiers if found is not None else ()))
        return any(write is not None and (own is None or not write.is_of_run(own)) for write in writes)

    @property
    def partitions(self) -> tuple[str, ...]:
        return tuple(self.partition_by or ())
