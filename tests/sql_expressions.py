"""Expressions of tables, as their generated columns and constraints have them, and rows on which they are tried."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import polars as pl

KINDS = {
    "n": pl.Int32(),
    "m": pl.Int32(),
    "b": pl.Int64(),
    "d": pl.Float64(),
    "f": pl.Float32(),
    "c": pl.Decimal(10, 3),
    "s": pl.String(),
    "u": pl.String(),
    "t": pl.Datetime("us", "UTC"),
    "day": pl.Date(),
    "ok": pl.Boolean(),
    "a b": pl.Int32(),
    "st": pl.Struct({"x": pl.Int32(), "Y": pl.String()}),
}
_MOMENTS = [
    dt.datetime(2024, 3, 31, 23, 30, 5, tzinfo=dt.UTC),
    dt.datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=dt.UTC),
    dt.datetime(2000, 1, 1, tzinfo=dt.UTC),
]
ROWS = pl.DataFrame(
    {
        "n": [7, -7, 0, None],
        "m": [2, 2, 1, None],
        "b": [10**18, -5, 0, None],
        "d": [7.5, -7.5, float("nan"), None],
        "f": [1.5, -0.0, float("inf"), None],
        "c": [Decimal("12.345"), Decimal("-12.345"), Decimal(0), None],
        "s": ["Abc d", "", " x ", None],
        "u": ["é ß", "'", "a%b_c", None],
        "t": [*_MOMENTS, None],
        "day": [dt.date(2024, 2, 29), dt.date(1900, 1, 1), dt.date(2000, 12, 31), None],
        "ok": [True, False, True, None],
        "a b": [1, -1, 0, None],
        "st": [{"x": 1, "Y": "y"}, {"x": -1, "Y": ""}, {"x": None, "Y": None}, None],
    },
    schema=KINDS,
)

# Conditions that hold for other rows in delta-rs than in Spark, or that only one of them evaluates.
UNLIKE = [
    "n / 2 > 2", "n / m > 3", "substring(s, 0, 1) = 'A'", "left(s, -1) = ''",
    "concat(s, 'x') IS NOT NULL", "s RLIKE '^A'", "sqrt(n) > 2", "year(t) = 2024", "day(day) = 29", "quarter(day) = 1",
    "date_add(day, 1) > day", "datediff(day, day) = 0", "date_format(t, 'yyyy') = '2024'", "CAST(c AS INT) = 12",
    "CAST(b AS INT) > 0", "CAST(d AS INT) = 7", "CAST(s AS INT) = 1", "CAST(t AS STRING) = '2024-03-31 23:30:05'",
    "CAST(d AS STRING) = '7.5'", "if(n > 0, true, false)", "locate('b', s) = 2", "isnull(n)", "startswith(s, 'A')",
    's = "Abc d"', "N > 0", "`N` > 0", "nobody > 0", "split(s, ' ')[0] = 'Abc'", "u = '\\''", "s LIKE '%\\n'", "!ok",
    "n div 2 = 3", "extract(DOW FROM day) = 5", "date_trunc('MM', t) < t", "to_date(s) IS NULL", "floor(d) = 7",
    "s = 'Abc d' COLLATE UTF8_BINARY", "n > 0 -- positive", "pmod(n, 4) = 1", "upper(date_format(t, 'MM')) = '03'",
    "replace(s, 'b') = 'Ac d'", "n & 1 = 1", "now() > t",
]  # fmt: skip
# Conditions that hold for the same rows in both: `test_spark_expressions.py` tries each.
ALIKE = [
    "n > 0", "n >= 0 OR n IS NULL", "n IS NOT NULL", "ok", "NOT ok", "ok = true", "ok IS TRUE", "ok IS NOT FALSE",
    "n % 4 = 3", "n % 4 = -3", "n * m = 14", "n + 1 = 8", "n - m = 5", "-n = -7", "d = d", "d > 5", "d > 1e10",
    "d > .5", "f = 0", "f > 1e30", "f < d", "c > 12.3", "c = 12.345", "c * 2 = 24.69", "c % 5 = 2.345", "n = 7.0",
    "n > 6.5",
    "n == 7", "n <=> 7", "n <> 7", "n != 7", "n IN (7, 0)", "n NOT IN (7)", "n IN (7, NULL)", "n BETWEEN 0 AND 10",
    "n IS DISTINCT FROM 7", "n IS NOT DISTINCT FROM m", "b >= 1000000000000000000", "n > 0 AND (m > 0 OR ok)",
    "`n` > 0", "`a b` > 0", "st.x > 0", "st.`Y` = 'y'",
    "s = ''", "s > 'A'", "s IN ('Abc d', '')", "s LIKE 'A_c%'", "NOT s LIKE 'A%'", "s NOT LIKE 'A%'", "s ILIKE 'a%'",
    "s || 'x' = 'Abc dx'", "s <> ' / year(x) \" -- '", "s = 'it''s'", "u = ''''", "u LIKE 'a%'",
    "substring(s, 1, 1) = 'A'", "substr(s, 2) = 'bc d'", "left(s, 1) = 'A'", "left(u, 1) = 'é'", "left(s, 0) = ''",
    "right(s, 1) = 'd'", "replace(s, 'b', 'x') = 'Axc d'", "replace(s, '', 'x') = s", "length(s) = 5",
    "char_length(u) = 3", "length(trim(s)) > 0", "upper(s) = 'ABC D'", "upper(u) = 'É SS'", "lower(u) = u",
    "ltrim(s) = 'x '", "rtrim(s) = ' x'", "lpad(s, 7) = '  Abc d'", "rpad(s, 3, '*') = 'Abc'", "instr(u, 'ß') = 3",
    "contains(s, 'b')", "md5(s) = 'd41d8cd98f00b204e9800998ecf8427e'", "coalesce(s, 'q') = 'q'", "nullif(n, 7) IS NULL",
    "ifnull(n, 1) > 0", "nvl(n, 1) > 0", "isnan(d)", "abs(c) = 12.345", "abs(n) = 7",
    "round(d) = 8", "round(d) = -8", "round(c, 2) = 12.35", "round(n * 1.115, 2) = 7.81", "floor(c) = -13",
    "ceil(c) = 13", "floor(n) = 7",
    "CAST(t AS DATE) = DATE '2024-03-31'", "CAST(t AS DATE) = '2024-03-31'", "to_date(t) = DATE '2024-03-31'",
    "day >= '2000-01-01'", "t >= TIMESTAMP '2000-01-01 00:00:00'", "t >= '2000-01-01'", "day < t",
    "day BETWEEN DATE '2000-01-01' AND DATE '2030-01-01'", "date_trunc('MONTH', t) = TIMESTAMP '2024-03-01 00:00:00'",
    "date_trunc('WEEK', t) < t", "date_trunc('month', day) = day", "extract(YEAR FROM t) = 2024",
    "extract(month from day) = 2", "EXTRACT(DAY FROM t) = 31", "extract(HOUR FROM t) = 23",
    "extract(QUARTER FROM day) = 1", "extract(WEEK FROM day) = 9",
    "CAST(CAST(t AS DATE) AS STRING) = '2024-03-31'", "CAST(n AS STRING) = '7'", "CAST(c AS STRING) = '12.345'",
    "CAST(day AS STRING) = '2024-02-29'", "CAST(ok AS INT) = 1", "CAST(n AS BIGINT) = 7", "CAST(n AS DOUBLE) = 7.0",
    "CAST(c AS DECIMAL(10, 2)) = 12.35",
    "CASE WHEN n > 0 THEN s = 'Abc d' ELSE true END", "CASE WHEN (n > 1) THEN (1) ELSE (0) END = 1",
    "CASE n WHEN 7 THEN ok END",
]  # fmt: skip
