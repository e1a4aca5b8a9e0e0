"""Contracts that are models of pandera for Polars."""

from __future__ import annotations

import copy
import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.contracts.structure import Column, Others, Structure, Verdict
from dbxdec.io_managers.polars_frames import named, watched

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    import polars as pl

    from dbxdec.model.contracts import Contract

_NULLS, _SHARED = "not_nullable", "field_uniqueness"
"""The names that pandera gives to the rules of columns without a check."""


def structure(contract: Contract) -> Structure:
    """Return what the model asks for. Raises RunError for what it can't ask of a table.

    `strict` decides about other columns. `coerce`, `default` and `add_missing_columns` are done to a result before it
    is stored; the order of columns never counts.
    """
    schema = contract.schema.to_schema()
    if schema.drop_invalid_rows or any(column.drop_invalid_rows for column in schema.columns.values()):
        raise RunError(
            f"the contract {contract.located} drops rows (`drop_invalid_rows`)",
            hint="let the table drop them: `expect_or_drop=` counts them, and can keep them in quarantine",
        )
    if schema.dtype is not None:
        raise RunError(
            f"the contract {contract.located} has one type for all columns (`dtype`)", hint="name each column"
        )
    others: Others = "dropped" if schema.strict == "filter" else "refused" if schema.strict else "kept"
    columns = tuple(_column(name, one) for name, one in schema.columns.items())
    changes = (
        schema.coerce
        or schema.add_missing_columns
        or any(one.coerce or one.default is not None for one in schema.columns.values())
    )
    return Structure(
        contract,
        columns,
        others,
        others,
        (lambda frame: _prepared(schema, _told_of_casts(contract, schema, columns, frame))) if changes else None,
        lambda frame: _verdicts(schema, frame),
    )


def _column(name: str, column: Any) -> Column:
    if column.dtype is None:
        return Column(name, "any type", column.nullable, lambda _: True, (), column.required, column.regex)
    kind = column.dtype

    def accepts(given: Any) -> bool:
        return bool(kind.check(given))

    return Column(name, str(kind), column.nullable, accepts, (_whole(kind.type),), column.required, column.regex)


def _whole(kind: Any) -> Any:
    """Return the type that a frame has for `pl.UInt8`, which is a class; one that lacks its inner type stays."""
    import polars as pl

    partial = pl.List, pl.Array, pl.Struct, pl.Enum, pl.Decimal
    is_partial = isinstance(kind, type) and issubclass(kind, partial)
    return kind if is_partial else pl.Series(dtype=kind).dtype


def _told_of_casts(contract: Contract, schema: Any, columns: Sequence[Column], frame: pl.LazyFrame) -> pl.LazyFrame:
    """Return a frame whose query fails by the contract for values that a model can't coerce.

    pandera's own cast would fail with an error of Polars' that has the values, and neither contract nor task.
    """
    import polars as pl
    from pandera.engines.polars_engine import DataType

    asked = Structure(contract, tuple(columns), "kept", "kept", None, lambda _: [])
    casts: dict[str, pl.DataType] = {}
    for name, given in frame.collect_schema().items():
        column = asked.column(name)
        if column is None or not column.kinds or not isinstance(kind := column.kinds[0], pl.DataType) or kind == given:
            continue
        own = schema.columns[column.name]
        if (schema.coerce or own.coerce) and type(own.dtype).coerce is DataType.coerce:
            casts[name] = kind

    def check(data: pl.DataFrame) -> pl.DataFrame:
        for name, kind in casts.items():
            try:
                data[name].cast(kind)
            except pl.exceptions.PolarsError as error:
                raise RunError(
                    f"the column `{name}` of the result has values of the type {data.schema[name]} that don't become "
                    f"{kind}, as its contract {contract.told} asks (`coerce`)",
                    hint="cast the column in the task, where such values can be made null or left out",
                ) from error
        return data

    return watched(frame, check).lazy() if casts else frame


def _prepared(schema: Any, frame: pl.LazyFrame) -> pl.LazyFrame:
    """Return a frame with the casts and defaults of a model, which are part of its query."""
    from pandera.config import ValidationDepth, config_context
    from pandera.errors import SchemaErrors

    plain = _without(schema, keep_changes=True)
    if not plain.add_missing_columns:
        # pandera would fill the nulls of a column that is not there. Which ones lack is said of the result.
        there = frame.collect_schema()
        plain.columns = {name: one for name, one in plain.columns.items() if name in there or one.regex}
    try:
        with config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_ONLY):
            found: pl.LazyFrame = plain.validate(frame, lazy=True)
    except SchemaErrors:
        return frame  # its columns are compared next, and all that is wrong with them is said
    return found


def _verdicts(schema: Any, frame: pl.LazyFrame) -> list[Verdict]:
    """Return a verdict for each rule: pandera tells of those that are broken."""
    met = [*_asked_of(schema, frame.collect_schema())]
    broken = _broken(schema, frame)
    told = Counter(one.rule for one in broken)
    for one in met:
        if told[one.rule]:
            told[one.rule] -= 1
        else:
            broken.append(one)
    order = {one.rule: i for i, one in reversed([*enumerate(met)])}
    return sorted(broken, key=lambda one: order.get(one.rule, len(order)))


def _asked_of(schema: Any, columns: Collection[str]) -> Iterator[Verdict]:
    """Yield the rules for rows of these columns, by the names that they have where they are broken."""
    for names in _groups(schema):
        yield Verdict(_rule_of_group(names), 0)
    for key, column in schema.columns.items():
        for name in [one for one in columns if re.fullmatch(key, one)] if column.regex else [key]:
            if name not in columns:
                continue
            titles = [_NULLS] if not column.nullable else []
            titles += [_SHARED] if column.unique else []
            yield from (Verdict(f"{name}: {title}", 0) for title in titles)
            yield from (Verdict(f"{name}: {_title(one)}", 0, only_warns=one.raise_warning) for one in column.checks)
    yield from (Verdict(_title(one), 0, only_warns=one.raise_warning) for one in schema.checks)


def _broken(schema: Any, frame: pl.LazyFrame) -> list[Verdict]:
    import polars as pl
    from pandera.config import ValidationDepth, config_context
    from pandera.errors import SchemaErrors

    found = list(_shared(schema, frame))
    plain = _without(schema, keep_changes=False)
    for check in (*plain.checks, *(check for column in plain.columns.values() for check in column.checks)):
        # pandera would say it in a warning, without the number of rows.
        check.only_warns, check.raise_warning = check.raise_warning, False
    try:
        with (
            pl.Config(engine_affinity="streaming"),
            # Without its depth, the values of a LazyFrame would not be looked at.
            config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA),
        ):
            plain.validate(frame, lazy=True)
    except SchemaErrors as errors:
        found += [_of_error(error) for error in errors.schema_errors]
    return found


def _without(schema: Any, *, keep_changes: bool) -> Any:
    """Return a schema that does not compare the set and the order of columns, and with values left as they are."""
    plain = copy.deepcopy(schema)
    plain.strict, plain.ordered = False, False
    if not keep_changes:
        plain.unique, plain.coerce, plain.add_missing_columns = None, False, False
        for column in plain.columns.values():
            column.coerce, column.default = False, None
    return plain


def _shared(schema: Any, frame: pl.LazyFrame) -> Iterator[Verdict]:
    """Yield the rows that have the values of others in the model's `unique` columns: pandera would hold all rows."""
    import polars as pl

    for names in _groups(schema):
        count = "_" * (max(map(len, names)) + 1)
        shared = frame.select(map(named, names)).group_by(names).len(count).filter(pl.col(count) > 1)
        rows = shared.select(pl.col(count).sum()).collect(engine="streaming").item()
        if rows:
            yield Verdict(_rule_of_group(names), int(rows))


def _groups(schema: Any) -> list[list[str]]:
    """Return the columns of which no two rows may have the same values."""
    given: Sequence[Any] = [] if not schema.unique else schema.unique
    return [list(given)] if given and all(isinstance(one, str) for one in given) else [list(one) for one in given]


def _rule_of_group(names: Sequence[str]) -> str:
    return f"unique({', '.join(names)})"


def _title(check: Any) -> str:
    return str(check if isinstance(check, str) else check.error or check.name or check)


def _of_error(error: Any) -> Verdict:
    import polars as pl

    check = error.check
    title = _title(check)
    name, cases = getattr(error.schema, "name", None), error.failure_cases
    if getattr(error.schema, "regex", False) and isinstance(cases, pl.DataFrame) and len(cases.columns) == 1:
        name = cases.columns[0]
    is_of_column = type(error.schema).__name__ == "Column" and name
    rule = f"{name}: {title}" if is_of_column else title
    found = _numbered(error, rule)
    return replace(found, only_warns=not found.error and getattr(check, "only_warns", False))


def _numbered(error: Any, rule: str) -> Verdict:
    import polars as pl
    from pandera.errors import SchemaErrorReason

    output = error.check_output
    if error.reason_code is SchemaErrorReason.CHECK_ERROR:
        return Verdict(rule, None, error=" ".join(str(error.failure_cases).split())[:300])
    if isinstance(output, pl.DataFrame) and "check_output" in output.columns and error.failure_cases is not False:
        # A check of all rows together has one value.
        return Verdict(rule, int((~output["check_output"]).sum() or 0), total=output.height)
    return Verdict(rule, None, _first_line(error))


def _first_line(error: Any) -> str:
    return str(error).strip().partition("\n")[0][:300]
