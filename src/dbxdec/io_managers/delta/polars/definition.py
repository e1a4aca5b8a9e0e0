"""Tables as they are wanted, through delta-rs: made without rows, and changed in place."""

from __future__ import annotations

import tempfile
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, RunError
from dbxdec.io_managers import outcomes
from dbxdec.io_managers.base import log
from dbxdec.io_managers.delta.definition import COMPUTED, CONSTRAINT, constraint_instead, is_same
from dbxdec.io_managers.delta.patience import Patience
from dbxdec.io_managers.delta.polars import expressions, storage, table_log
from dbxdec.io_managers.delta.polars.storage import address, refusals
from dbxdec.io_managers.delta.receipts import Left

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import polars as pl
    from deltalake import DeltaTable

    from dbxdec.io_managers.delta.definition import Column, Definition
    from dbxdec.io_managers.delta.polars.target import Target


def create(target: Target, schema: Mapping[str, pl.DataType], frame: pl.DataFrame | pl.LazyFrame) -> DeltaTable:
    """Return the table, made without rows, or as another writer made it first.

    Its columns are those of `schema`, then those that it computes itself from the columns of `frame`. The commit has a
    receipt, by which a retry knows that no other write has made it.
    """
    import polars as pl
    from deltalake import DeltaTable, Field, Schema
    from deltalake.exceptions import DeltaError

    wanted = target.definition
    wanted.refuse_unknown(schema, "the result", task=target.receipt.id.task)
    computed = {name: one.generated for name, one in wanted.columns.items() if one.generated is not None}
    kinds = {**frame.collect_schema(), **schema}
    expressions.refuse_generated(computed, kinds, target.context.uri)
    expressions.refuse_constraints(wanted.constraints, None if computed else kinds, target.context.uri)
    kinds = dict(schema)
    for name, one in wanted.columns.items():
        if name not in kinds and one.generated is not None:
            kinds[name] = _type_of(one.generated, name, frame, task=target.receipt.id.task)
    fields = [
        Field(
            field.name,
            field.type,
            nullable=not _rule(wanted, field.name, "not_null"),
            metadata=_metadata(wanted, field),
        )
        for field in Schema.from_arrow(pl.Schema(kinds)).fields
    ]
    try:
        with refusals(target.context.uri, "write"):
            DeltaTable.create(
                address(target.context.uri),
                Schema(fields),
                mode="error",
                partition_by=list(target.partitions) or None,
                description=wanted.comment,
                configuration={k: v for k, v in wanted.properties.items() if k.startswith("delta.")},
                storage_options=target.storage_options,
                commit_properties=table_log.commit_properties(target.receipt, Left("none"), made=True),
            )
    except DeltaError as error:
        if target.open() is None:
            raise _refused(target, error) from error
    table = target.open()
    assert table is not None  # noqa: S101 - it has just been made
    return table


def adjust(target: Target, table: DeltaTable) -> None:
    """Change in place what differs from the definition, and move `table` to the version after that.

    Raises RunError, with nothing changed, for what can't be changed, and where rows contradict a new constraint.
    """
    import polars as pl
    from deltalake.exceptions import CommitFailedError, DeltaError

    uri, patience = target.context.uri, Patience()
    if target.schema != "add-columns":
        names = [field.name for field in table.schema().fields]
        target.definition.refuse_unknown(names, uri, task=target.receipt.id.task, new=False)
    refuse(target.definition, table, uri)
    known = None if target.schema == "add-columns" else pl.Schema(table.schema())
    expressions.refuse_constraints(target.definition.constraints, known, uri)
    done: set[str] = set()
    while (change := next((one for one in changes(target.definition, table) if one[0] not in done), None)) is not None:
        said, run = change
        log.info("the table %s is changed: %s", uri, said)
        try:
            with refusals(uri, "write"):
                run()
        except CommitFailedError as error:
            # Another writer was faster, perhaps with the same change.
            table.update_incremental()
            if not patience.lasts(table.version()):
                raise outcomes.conflict(target.context, storage.said(error)) from error
        except DeltaError as error:
            raise _refused(target, error) from error
        else:
            done.add(said)
            table.update_incremental()


def _refused(target: Target, error: Exception) -> RunError:
    return RunError(
        f"the table {target.context.uri} can't be as the task `{target.receipt.id.task}` wants it: "
        f"{storage.said(error)}",
        hint="see its `properties`, `columns` and `constraints`",
    )


def refuse(definition: Definition, table: DeltaTable, uri: str) -> None:
    """Raise RunError with all that the definition asks of a table and that only a new table can have."""
    problems = []
    for field in table.schema().fields:
        if _rule(definition, field.name, "not_null") and field.nullable:
            problems.append(
                Problem(
                    f"the column `{field.name}` of {uri} may be null, and Delta lets no existing column be `not_null`",
                    hint=constraint_instead(field.name),
                )
            )
        wanted = _rule(definition, field.name, "generated")
        if wanted is not None and not is_same(field.metadata.get(COMPUTED), wanted):
            there = field.metadata.get(COMPUTED)
            problems.append(
                Problem(
                    f"the column `{field.name}` of {uri} is "
                    + (f"generated as {there}" if there else "an ordinary one")
                    + ", and Delta lets no existing column get another `generated=`",
                    hint="write another table, or leave it out",
                )
            )
    if problems:
        raise RunError(problems)


def changes(definition: Definition, table: DeltaTable) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the changes that give the table what it lacks of the definition: the name of each, and how it is done."""
    metadata, alter = table.metadata(), table.alter
    there = metadata.configuration or {}
    properties = {name: value for name, value in definition.properties.items() if there.get(name) != value}
    for own in (False, True):  # delta-rs knows all properties of Delta, and refuses others by these names
        if part := {name: value for name, value in properties.items() if name.startswith("delta.") == own}:
            yield f"properties {part}", partial(alter.set_table_properties, part, raise_if_not_exists=own)
    comment = definition.comment
    if comment is not None and comment != (metadata.description or ""):
        yield f"comment {comment!r}", partial(alter.set_table_description, comment)
    for field in table.schema().fields:
        told = _rule(definition, field.name, "comment")
        if told is not None and told != field.metadata.get("comment", ""):
            rules = {**field.metadata, "comment": told}
            yield (
                f"comment of {field.name} {told!r}",
                partial(alter.set_column_metadata, field.name, rules),
            )
        if _rule(definition, field.name, "not_null") is False and not field.nullable:
            yield f"{field.name} may be null", partial(alter.drop_column_not_null, field.name)
    for name, condition in definition.constraints.items():
        before = there.get(CONSTRAINT + name)
        if is_same(before, condition):
            continue
        if _normal(table, before) == _normal(table, condition):
            yield f"the text of the constraint {name}: {condition}", partial(_spell, table, name, condition)
        else:
            yield f"constraint {name}: {condition}", partial(_constrain, table, name, condition, before)


def _normal(table: DeltaTable, condition: str | None) -> str | None:
    """Return a condition as delta-rs writes it into the log of a table with these columns; itself if it can't."""
    return None if condition is None else _written(table.schema().to_json(), condition)


@cache
def _written(schema: str, condition: str) -> str:
    from deltalake import DeltaTable, Schema
    from deltalake.exceptions import DeltaError

    with tempfile.TemporaryDirectory(prefix="dbxdec-") as folder:
        try:
            table = DeltaTable.create(folder, Schema.from_json(schema))
            table.alter.add_constraint({"it": condition})
            return str(table.metadata().configuration[f"{CONSTRAINT}it"])
        except (DeltaError, ValueError):
            return condition


def _constrain(table: DeltaTable, name: str, condition: str, before: str | None) -> None:
    """Give the table a constraint, in place of the one before. Raises RunError, with that kept, if rows violate it."""
    from deltalake.exceptions import CommitFailedError, DeltaError

    if before is not None:
        table.alter.drop_constraint(name)
    try:
        table.alter.add_constraint({name: condition})
    except CommitFailedError:
        raise
    except DeltaError as error:
        if before is not None:
            table.alter.add_constraint({name: before})
            _spell(table, name, before)
        if "Invalid data found" not in str(error):
            raise
        raise RunError(
            f"rows of {table_log.shown(table)} do not meet the constraint `{name}`, {condition}, that its task wants",
            hint="mend the rows, or give the constraint another condition",
        ) from error
    _spell(table, name, condition)


def _spell(table: DeltaTable, name: str, condition: str) -> None:
    """Give a constraint of the table the text that its author wrote.

    delta-rs keeps constraints in its own spelling, which others read as something else, and so does it itself: 12.3 for
    a decimal column becomes '12300'::decimal(10, 3), and names in double quotes are strings to Spark.
    """
    table.update_incremental()
    if not is_same(expressions.of_table(table).get(name), condition):
        table.alter.set_table_properties({CONSTRAINT + name: condition}, raise_if_not_exists=False)


def keep_comments(table: DeltaTable, before: Mapping[str, str], *, uri: str) -> None:
    """Give the columns of a table that got a new schema the comments that they had before."""
    for field in table.schema().fields:
        if (comment := before.get(field.name)) and not field.metadata.get("comment"):
            with refusals(uri, "write"):
                table.alter.set_column_metadata(field.name, {**field.metadata, "comment": comment})


def comments(table: DeltaTable) -> dict[str, str]:
    """Return the comments of the table's columns."""
    found = {field.name: field.metadata.get("comment") for field in table.schema().fields}
    return {name: str(comment) for name, comment in found.items() if comment}


def computed(table: DeltaTable) -> dict[str, str]:
    """Return the columns that the table computes itself, with their expressions."""
    return {field.name: field.metadata[COMPUTED] for field in table.schema().fields if COMPUTED in field.metadata}


def with_generated(
    frame: pl.DataFrame | pl.LazyFrame, computed: Mapping[str, str], names: Iterable[str], *, task: str
) -> pl.DataFrame | pl.LazyFrame:
    """Return `frame` with those columns of `names` that it lacks and the table computes.

    delta-rs computes all others, but parts the rows before that.
    """
    there = frame.collect_schema()
    wanted = [name for name in dict.fromkeys(names) if name not in there and name in computed]
    for name in wanted:
        _type_of(computed[name], name, frame, task=task)
    import polars as pl

    return frame.with_columns([pl.sql_expr(computed[name]).alias(name) for name in wanted]) if wanted else frame


def _rule(definition: Definition, name: str, rule: str) -> Any:
    one: Column | None = definition.columns.get(name)
    return None if one is None else getattr(one, rule)


def _metadata(definition: Definition, field: Any) -> dict[str, Any]:
    given = {"comment": _rule(definition, field.name, "comment"), COMPUTED: _rule(definition, field.name, "generated")}
    return {**field.metadata, **{key: value for key, value in given.items() if value is not None}}


def _type_of(expression: str, name: str, frame: pl.DataFrame | pl.LazyFrame, *, task: str) -> pl.DataType:
    """Return the type of a generated column that the frame lacks."""
    import polars as pl

    try:
        return frame.lazy().select(pl.sql_expr(expression).alias(name)).collect_schema()[name]
    except (pl.exceptions.PolarsError, KeyError) as error:
        raise RunError(
            f"the type of the generated column `{name}` of the task `{task}` can't be told from {expression!r}: "
            f"{storage.said(error)}",
            hint="let the result have the column, with the values of the expression",
        ) from error
