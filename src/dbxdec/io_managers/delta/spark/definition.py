"""Tables as they are wanted, through Spark: made by a statement of SQL, and changed by others."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, RunError, listed
from dbxdec.io_managers.base import log
from dbxdec.io_managers.delta.definition import AUTO, CONSTRAINT, Column, Definition, constraint_instead, is_same
from dbxdec.io_managers.delta.spark import write
from dbxdec.io_managers.delta.spark.computed import DEFAULT
from dbxdec.io_managers.spark_frames import plain_literal, quoted
from dbxdec.io_managers.spark_session import condition as condition_of
from dbxdec.io_managers.spark_session import fail, first_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dbxdec.io_managers.contexts import Receipt
    from dbxdec.io_managers.delta.spark.log import Detail, SparkTable

_DEFAULTS = "allowColumnDefaults"
# docs.databricks.com, "Use liquid clustering for tables": only the platform has CLUSTER BY AUTO.
_AUTOMATIC = "CLUSTER BY AUTO"


def create(
    table: SparkTable,
    definition: Definition,
    frame: Any,
    partitions: Sequence[str],
    options: Mapping[str, str],
    receipt: Receipt,
) -> None:
    """Make the table without rows, marked with the write that fills it, unless another writer makes it first.

    Its columns are those of `frame`, then those that the definition lets the table fill.
    """
    definition.refuse_unknown(frame.columns, "the result", task=receipt.id.task, one=str.lower)
    columns = [(field.name, _type(field.dataType)) for field in frame.schema]
    given = {name.lower() for name, _ in columns}
    rules = {name.lower(): one for name, one in definition.columns.items()}
    columns += [
        (name, _type_of(frame, one))
        for name, one in definition.columns.items()
        if name.lower() not in given and one.is_computed
    ]
    lines = [f"{quoted(name)} {kind}{_rules(rules.get(name.lower(), Column()))}" for name, kind in columns]
    statement = f"CREATE TABLE IF NOT EXISTS {table.sql} ({', '.join(lines)}) USING DELTA"
    if partitions:
        statement += f" PARTITIONED BY ({', '.join(map(quoted, partitions))})"
    if definition.comment:
        statement += f" COMMENT {plain_literal(definition.comment)}"
    properties = {name: value for name, value in options.items() if name.lower().startswith("delta.")}
    properties |= {**definition.properties, write.MADE_FOR: receipt.id.transaction}
    if any(one.default is not None for one in rules.values()):
        properties[f"delta.feature.{_DEFAULTS}"] = "supported"
    statement += f" TBLPROPERTIES ({_assigned(properties)})"
    clustered = _clustered(definition)
    try:
        _run(table, f"{statement} {clustered}".rstrip())
    except Exception as error:
        if not _is_unknown(error):
            fail(error, table.uri, "write")
        if clustered != _AUTOMATIC:
            raise RunError(
                f"this Spark can't make the table {table.uri} as its task wants it: {first_line(error)}",
                hint="`identity=` and `generated=` need Spark 4.2 or Databricks; see `columns` and `cluster_by` too",
            ) from error
        log.warning('cluster_by="auto" is left out: this Spark does not choose columns itself')
        _run(table, statement)


def adjust(table: SparkTable, definition: Definition, detail: Detail, *, task: str, grows: bool) -> Detail:
    """Change in place what differs from the definition; return the details of the table then.

    Raises RunError, with nothing changed, for what can't be changed, and where rows contradict a new constraint.
    """
    schema = table.frame().schema
    if not grows:
        definition.refuse_unknown(schema.names, table.uri, task=task, one=str.lower, new=False)
    refuse(definition, detail, schema, table.uri)
    statements = list(changes(table.sql, definition, detail, schema))
    if not statements:
        return detail
    for statement in statements:
        log.info("the table %s is changed: %s", table.uri, statement)
        try:
            _run(table, statement)
        except Exception as error:  # noqa: BLE001 - it is raised again
            if statement.endswith(_AUTOMATIC) and _is_unknown(error):
                log.warning('cluster_by="auto" is left out: this Spark does not choose columns itself')
                continue
            now = _detail(table, detail)
            if statement in list(changes(table.sql, definition, now, table.frame().schema)):
                _constrain_again(table, detail, now)
                fail(error, table.uri, "write")
            # Another writer has made the same change.
    return _detail(table, detail)


def _constrain_again(table: SparkTable, before: Detail, now: Detail) -> None:
    """Give the table the constraints that it had before and lost for others that its rows violate."""
    for name, condition in before.properties.items():
        if name.startswith(CONSTRAINT) and name not in now.properties:
            plain = quoted(name.removeprefix(CONSTRAINT))
            _run(table, f"ALTER TABLE {table.sql} ADD CONSTRAINT {plain} CHECK ({condition})")


@contextmanager
def clustering_kept(table: SparkTable, detail: Detail, columns: Iterable[str]) -> Iterator[None]:
    """Keep the table's clustering over a block that gives it a new schema with these columns.

    Some versions of Delta drop it, and others keep columns in it that are gone, and can't read the table any more.
    """
    names = {name.lower() for name in columns}
    kept = tuple(name for name in detail.clustering if name.partition(".")[0].lower() in names)
    if kept != detail.clustering:
        _cluster(table, kept)
    yield
    if kept and (now := table.detail()) is not None and now.clustering != kept:
        _cluster(table, kept)


def _cluster(table: SparkTable, columns: tuple[str, ...]) -> None:
    _run(table, f"ALTER TABLE {table.sql} {_clustered(Definition(cluster_by=columns)) or 'CLUSTER BY NONE'}")


def refuse(definition: Definition, detail: Detail, schema: Any, uri: str) -> None:
    """Raise RunError with all that the definition asks of a table and that only a new table can have."""
    problems = []
    fields = {field.name.lower(): field for field in schema}
    for name, one in definition.columns.items():
        field = fields.get(name.lower())
        if field is not None and one.not_null and field.nullable:
            problems.append(
                Problem(
                    f"the column `{name}` of {uri} may be null, and Delta lets no existing column be `not_null`",
                    hint=constraint_instead(name),
                )
            )
        for way, feature in (("identity", "identityColumns"), ("generated", "generatedColumns")):
            if getattr(one, way) and field is not None and _has_features(detail) and feature not in detail.features:
                problems.append(
                    Problem(
                        f"the column `{name}` of {uri} is an ordinary one, and Delta lets no existing column get "
                        f"`{way}=`",
                        hint="write another table, or leave it out",
                    )
                )
    if definition.cluster_by and detail.partitions:
        problems.append(
            Problem(
                f"the table {uri} is partitioned by {listed(detail.partitions)}, so it can't be clustered",
                hint="leave `cluster_by` out, or write another table",
            )
        )
    if problems:
        raise RunError(problems)


def changes(sql: str, definition: Definition, detail: Detail, schema: Any) -> Iterator[str]:
    """Yield the statements that give the table what it lacks of the definition."""
    alter = f"ALTER TABLE {sql}"
    there = {name.lower(): value for name, value in detail.properties.items()}
    there |= {f"delta.feature.{name}".lower(): "supported" for name in detail.features}
    properties = {
        name: value for name, value in definition.properties.items() if there.get(name.lower(), "") != str(value)
    }
    fields = {field.name.lower(): field for field in schema}
    defaults = {
        fields[name.lower()].name: one.sql_default
        for name, one in definition.columns.items()
        if name.lower() in fields
        and one.sql_default is not None
        and not is_same(fields[name.lower()].metadata.get(DEFAULT), one.sql_default)
    }
    if defaults and _DEFAULTS not in detail.features:
        properties[f"delta.feature.{_DEFAULTS}"] = "supported"
    if properties:
        yield f"{alter} SET TBLPROPERTIES ({_assigned(properties)})"
    if definition.comment is not None and definition.comment != detail.comment:
        yield f"COMMENT ON TABLE {sql} IS {plain_literal(definition.comment)}"
    for name, one in definition.columns.items():
        field = fields.get(name.lower())
        if field is None:
            continue
        column = f"{alter} ALTER COLUMN {quoted(field.name)}"
        if one.comment is not None and one.comment != field.metadata.get("comment", ""):
            yield f"{column} COMMENT {plain_literal(one.comment)}"
        if one.not_null is False and not field.nullable:
            yield f"{column} DROP NOT NULL"
        if field.name in defaults:
            yield f"{column} SET DEFAULT {defaults[field.name]}"
    for name, condition in definition.constraints.items():
        before = there.get(f"{CONSTRAINT}{name}".lower())
        if is_same(before, condition):
            continue
        if before is not None:
            yield f"{alter} DROP CONSTRAINT {quoted(name)}"
        yield f"{alter} ADD CONSTRAINT {quoted(name)} CHECK ({condition})"
    if _differs(definition.cluster_by, detail):
        yield f"{alter} {_clustered(definition)}"


def _differs(wanted: Sequence[str], detail: Detail) -> bool:
    if tuple(wanted) == (AUTO,):
        return not detail.clustering and detail.properties.get("clusterByAuto") != "true"
    return bool(wanted) and [name.lower() for name in wanted] != [name.lower() for name in detail.clustering]


def _clustered(definition: Definition) -> str:
    if definition.cluster_by == (AUTO,):
        return _AUTOMATIC
    # A dot leads to a field of a struct.
    names = ", ".join(".".join(map(quoted, name.split("."))) for name in definition.cluster_by)
    return f"CLUSTER BY ({names})" if names else ""


def _has_features(detail: Detail) -> bool:
    """Return whether the platform says which features the table has."""
    return bool(detail.features)


def _detail(table: SparkTable, before: Detail) -> Detail:
    return table.detail() or before


def _run(table: SparkTable, statement: str) -> None:
    table.spark.sql(statement).collect()


def _is_unknown(error: Exception) -> bool:
    return condition_of(error).startswith(("PARSE_SYNTAX_ERROR", "UNSUPPORTED_FEATURE"))


def _rules(one: Column) -> str:
    """Return the rules of a column as they follow its type."""
    parts = []
    if one.not_null:
        parts.append("NOT NULL")
    if one.identity:
        parts.append(f"GENERATED {'BY DEFAULT' if one.identity == 'by default' else 'ALWAYS'} AS IDENTITY")
    if one.generated is not None:
        parts.append(f"GENERATED ALWAYS AS ({one.generated})")
    if one.sql_default is not None:
        parts.append(f"DEFAULT {one.sql_default}")
    if one.comment is not None:
        parts.append(f"COMMENT {plain_literal(one.comment)}")
    return "".join(f" {part}" for part in parts)


def _type_of(frame: Any, one: Column) -> str:
    """Return the type of a column that the table fills: that of its expression over the columns of `frame`."""
    if one.identity:
        return "BIGINT"  # the only type of identity columns (Delta protocol, "Identity Columns")
    return _type(frame.selectExpr(one.generated or one.sql_default).schema[0].dataType)


def _type(kind: Any) -> str:
    """Return a type as SQL; `simpleString` does not quote the names of fields."""
    name = type(kind).__name__
    if name == "StructType":
        return f"STRUCT<{', '.join(f'{quoted(field.name)}: {_type(field.dataType)}' for field in kind.fields)}>"
    if name == "ArrayType":
        return f"ARRAY<{_type(kind.elementType)}>"
    if name == "MapType":
        return f"MAP<{_type(kind.keyType)}, {_type(kind.valueType)}>"
    return str(kind.simpleString())


def _assigned(properties: Mapping[str, str]) -> str:
    return ", ".join(f"{plain_literal(name)} = {plain_literal(value)}" for name, value in properties.items())
