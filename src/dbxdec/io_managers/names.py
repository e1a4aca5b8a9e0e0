"""Rules for names of tables: a path below `base_path`, or a name in a catalog, that can't lead elsewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dbxdec.errors import Problem, listed
from dbxdec.model.variables import without_tokens
from dbxdec.support.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Folders that Delta and dbxdec keep inside a table.
_TAKEN = ("_delta_log", "_dbxdec", "_items", "_change_data")
_PARTS = 3
# The end of a path by which Delta reads an older version (delta-io/delta, DeltaTimeTravelSpec).
_VERSION = pattern(r"@([vV]\d+|\d{17})\Z", re.ASCII)


def of_path(name: str) -> list[Problem]:
    """Return the problems of `name` as a path below `base_path`, on any system and storage.

    A bundle variable in it counts as a letter; its value is checked in a run.
    """
    return _problems(name, _of_path, "name a table by its path below `base_path`, such as 'gold/orders'")


def of_delta_path(name: str) -> list[Problem]:
    """Return the problems of `name` as the path of a Delta table below `base_path`."""
    found = of_path(name)
    if version := _VERSION.search(name):
        other = f"{name[: version.start()]}_{version[1]}"
        hint = f"Spark reads `{version[0]}` at the end of a path as a version of the table before it: name it {other!r}"
        found.append(Problem(f"the table name {name!r} ends like a version", hint=hint))
    return found


def of_catalog(name: str) -> list[Problem]:
    """Return the problems of `name` as a table, a schema and a table, or a catalog, a schema and a table."""
    return _problems(name, _of_catalog, "name a table 'orders', 'gold.orders' or 'main.gold.orders', without quotes")


def _problems(name: str, look: Callable[[str], Iterator[str]], hint: str) -> list[Problem]:
    found = list(look(without_tokens(name)))
    return [Problem(f"the table name {name!r} {_and(found)}", hint=hint)] if found else []


def _and(texts: list[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def _of_path(name: str) -> Iterator[str]:
    segments = name.split("/")
    head, colon, _ = name.partition(":")
    if colon and head[:1].isalpha() and head.isascii() and all(sign.isalnum() or sign in "+.-" for sign in head):
        yield "starts like a URL or a drive"
    elif name.startswith("/"):
        yield "is absolute"
        segments = segments[1:]
    if "\\" in name:
        yield "has a backslash, which some systems read as `/`"
    yield from _of_any(name)
    if ".." in segments:
        yield "leads out of `base_path` with `..`"
    if not all(segments):
        yield "has an empty part"
    # Some systems drop such an ending, so two names would be one table.
    if any(part not in ("", "..") and (part.endswith(".") or part != part.strip()) for part in segments):
        yield "has a part that ends with a dot, or starts or ends with a space"
    if taken := [part for part in segments if part in _TAKEN]:
        yield f"has the part {listed(taken)}, which is reserved"


def _of_catalog(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from _of_any(name)
    if odd := [what for sign, what in (("/", "a slash"), ("`", "a backtick"), (" ", "a space")) if sign in name]:
        yield f"has {_and(odd)}"
    if not all(parts):
        yield "has an empty part"
    if len(parts) > _PARTS:
        yield f"has {len(parts)} parts"


def _of_any(name: str) -> Iterator[str]:
    if any(ord(sign) < ord(" ") or sign == "\x7f" for sign in name):
        yield "has a control character"
    if "{" in name or "}" in name:
        yield "has braces, which only `base_path` may have"
