"""Frames against their contracts: columns before a query runs, values where rows are stored and not committed yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.errors import ExpectationError, Problem, RunError, listed
from dbxdec.io_managers import columns
from dbxdec.io_managers.base import log
from dbxdec.io_managers.contracts import classes
from dbxdec.io_managers.contracts.structure import RuleOutcome, apart
from dbxdec.io_managers.polars_frames import cast, named
from dbxdec.model.outcomes import said_of_met

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import polars as pl

    from dbxdec.io_managers.contracts.structure import Others, Structure, Verdict
    from dbxdec.model.contracts import Contract

    Types = Mapping[str, Any]


def returned(value: Any, contract: Contract, *, task: str) -> pl.DataFrame | pl.LazyFrame:
    """Return the result of a task as it is to be stored: with the casts and defaults that the contract asks for.

    No row is computed. Raises RunError, naming all of them, for columns that are not those of the contract.
    """
    import polars as pl

    if not isinstance(value, pl.DataFrame | pl.LazyFrame):
        kind = type(value)
        raise RunError(
            f"the task `{task}` returned a {kind.__module__}.{kind.__qualname__}, but has the contract "
            f"{contract.told}, which is for Polars frames",
            hint="return a frame, or take the contract from the annotation",
        )
    asked = classes.of(contract)
    if asked.prepared is not None:
        found = asked.prepared(value.lazy())
        value = found.collect() if isinstance(value, pl.DataFrame) else found
    value = _without_others(value, asked) if asked.others == "dropped" else value
    schema = value.collect_schema()
    if lines := _wrong(asked, schema, asked.others, "result"):
        raise RunError(
            f"the columns that the task `{task}` returned don't match its contract {contract.told}:{lines}",
            hint="cast, drop or rename them in the task, or change the contract",
        )
    frame: pl.DataFrame | pl.LazyFrame = value
    return frame


def loaded(
    value: Any,
    contract: Contract,
    *,
    parameter: str | None,
    uri: str,
    stored: Callable[[Types], Types],
    also: Collection[str] = (),
) -> Any:
    """Return what is read for a parameter, with the types of the contract where a table can't have them.

    `stored` gives the types as tables have them, and `also` names columns that come besides. Raises RunError for
    columns that the contract asks for and that are not there. Values are not looked at. Without a `parameter` nobody
    reads it.
    """
    import polars as pl

    whose = contract.told if parameter is None else f"{contract.told} of the parameter `{parameter}`"

    if not isinstance(value, pl.DataFrame | pl.LazyFrame):
        return value
    asked = classes.of(contract)
    value = _without_others(value, asked, also) if asked.others_read == "dropped" else value
    schema = value.collect_schema()
    kinds = {name: one.kinds[0] for name in schema if (one := asked.column(name)) is not None and len(one.kinds) == 1}
    others = {name: kind for name, kind in kinds.items() if not _accepts(asked, name, schema[name])}
    fits = {name: kind for name, kind in others.items() if stored({name: kind})[name] == schema[name]}
    if lines := _wrong(asked, schema, asked.others_read, "there", {*fits, *also}):
        raise RunError(
            f"the columns of {uri} don't match the contract {whose}:{lines}",
            hint="change the contract, or what writes the columns",
        )
    try:
        return cast(value, fits)
    except pl.exceptions.PolarsError as error:  # of a DataFrame; the query of a LazyFrame runs in the task
        raise RunError(
            f"{uri} has values that the contract {whose} does not have: {str(error).strip().partition(chr(10))[0]}",
            hint="change the contract, or what writes the values",
        ) from error


def _accepts(asked: Structure, name: str, kind: Any) -> bool:
    column = asked.column(name)
    return column is None or column.accepts(kind)


def _wrong(asked: Structure, schema: Mapping[str, Any], others: Others, what: str, fine: Collection[str] = ()) -> str:
    """Return the lines of a message: missing columns, those of other types but for `fine`, and surplus ones."""
    rows = [(one.name, one.type, "-") for one in asked.missing(schema)]
    rows += [
        (name, column.type, str(kind))
        for name, kind in schema.items()
        if name not in fine and (column := asked.column(name)) is not None and not column.accepts(kind)
    ]
    surplus = [name for name in asked.surplus(schema) if name not in fine] if others == "refused" else []
    rows += [(name, "-", str(schema[name])) for name in surplus]
    return columns.lines([("column", "contract", what), *rows]) if rows else ""


def _without_others(
    value: pl.DataFrame | pl.LazyFrame, asked: Structure, also: Collection[str] = ()
) -> pl.DataFrame | pl.LazyFrame:
    schema = value.collect_schema()
    surplus = [name for name in asked.surplus(schema) if name not in also]
    return value.select(named(name) for name in schema if name not in surplus) if surplus else value


def outcomes(
    rows: pl.LazyFrame, contract: Contract, schema: Mapping[str, pl.DataType] | None = None
) -> list[RuleOutcome]:
    """Return how each rule on values came out for rows, with exact numbers.

    `schema` has the types that the task returned, which the place may not have.
    """
    import polars as pl

    there = rows.collect_schema()
    schema = there if schema is None else schema
    frame = cast(
        rows.select(map(named, schema)), {name: kind for name, kind in schema.items() if there.get(name) != kind}
    )
    try:
        verdicts = classes.of(contract).count(frame)
    except Exception as error:
        error.add_note(f"raised by a rule of the contract {contract.told}")
        raise
    if not verdicts:
        return []
    total = int(rows.select(pl.len()).collect(engine="streaming").item())
    return [_outcome(name, one, total) for name, one in apart(contract.title, verdicts).items()]


def _outcome(name: str, one: Verdict, total: int) -> RuleOutcome:
    is_number = not one.error and one.rows is not None and one.total in (None, total)
    failed = one.rows if is_number or one.rows == 0 else None
    return RuleOutcome(name, failed, total, "" if failed == 0 else _said(one, total), one.only_warns)


def _said(broken: Verdict, total: int) -> str:
    if broken.error:
        return f"its rows can't be compared with the rule `{broken.rule}` ({broken.error})"
    if broken.rows is None or broken.total not in (None, total):
        return f"its rows break the rule `{broken.rule}`{broken.why and f' ({broken.why})'}"
    return f"{broken.rows:,} of {total:,} rows break the rule `{broken.rule}`"


def log_outcomes(found: Sequence[RuleOutcome], contract: Contract) -> None:
    """Log how the rules came out: each that is broken, and how many are met."""
    for one in found:
        if one.said and one.only_warns:
            log.warning("contract %s: %s, which only warns", contract.title, one.said)
        elif one.said:
            log.info("contract %s: %s", contract.title, one.said)
    if met := [one for one in found if not one.said]:
        said = said_of_met(met[0].total, len(met), others=len(met) < len(found))
        log.info("contract %s: %s", contract.title, said)


def problems(found: Sequence[RuleOutcome], contract: Contract, *, task: str, uri: str) -> list[Problem]:
    """Return one problem for each rule by which a write fails."""
    where = uri or "its result"
    return [
        Problem(
            f"the task `{task}` can't write {where}: {one.why} of its contract {contract.told}",
            hint="nothing was written to it; mend the rows in the task, or change the contract",
        )
        for one in found
        if one.why is not None
    ]


def settled(
    rows: pl.LazyFrame, contract: Contract, schema: Mapping[str, pl.DataType], *, task: str, uri: str
) -> dict[str, Any]:
    """Return how the rules came out for stored rows, as a receipt states it.

    Raises ExpectationError, with all of them, for those that the rows break.
    """
    found = outcomes(rows, contract, schema)
    log_outcomes(found, contract)
    facts = {one.name: one.facts() for one in found}
    if broken := problems(found, contract, task=task, uri=uri):
        raise ExpectationError(broken, expectations=facts)
    return facts


def outcomes_there(
    rows: pl.LazyFrame, contract: Contract, *, uri: str, stored: Callable[[Types], Types]
) -> list[RuleOutcome]:
    """Return how the rules come out for the rows of a table, with the types of the contract.

    Columns that only the table has are no part of it. Raises RunError for columns that are not those of the contract.
    """
    import polars as pl

    there = rows.collect_schema()
    surplus = classes.of(contract).surplus(there)
    frame = loaded(rows, contract, parameter=None, uri=uri, stored=stored, also=surplus)
    others = [name for name, kind in frame.collect_schema().items() if kind != there[name]]
    try:  # no rule may look at them
        frame.select(named(name).null_count() for name in others).collect(engine="streaming")
    except pl.exceptions.PolarsError as error:  # it has the values
        raise RunError(
            f"{uri} has values that the contract {contract.told} does not have, among those of {listed(others)}",
            hint="change the contract, or what writes the values",
        ) from error
    return outcomes(frame, contract)
