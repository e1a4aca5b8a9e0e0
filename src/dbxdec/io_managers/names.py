"""What a table may be called: a path below its manager's, or a name of a catalog, that leads nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.errors import Problem, listed
from dbxdec.model.variables import without_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What Delta and dbxdec keep in the folder of a table.
_TAKEN = ("_delta_log", "_dbxdec", "_items", "_change_data")
_PARTS = 3


def of_path(name: str) -> list[Problem]:
    """What keeps `name` from being a path below `base_path` on every system and storage.

    Bundle variables in it count as a letter: their values are looked at in a run.
    """
    return _problems(name, _of_path, "name a table by its path below `base_path`, such as 'gold/orders'")


def of_catalog(name: str) -> list[Problem]:
    """What keeps `name` from being a table, a schema and a table, or a catalog, a schema and a table."""
    return _problems(name, _of_catalog, "name a table 'orders', 'gold.orders' or 'main.gold.orders', without quotes")


def _problems(name: str, look: Callable[[str], Iterator[str]], hint: str) -> list[Problem]:
    found = list(look(without_tokens(name, "v")))
    return [Problem(f"the name of a table is {name!r}, which {_and(found)}", hint=hint)] if found else []


def _and(texts: list[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def _of_path(name: str) -> Iterator[str]:
    segments = name.split("/")
    head, colon, _ = name.partition(":")
    if colon and head[:1].isalpha() and head.isascii() and all(sign.isalnum() or sign in "+.-" for sign in head):
        yield "begins as a URL or a drive does"
    elif name.startswith("/"):
        yield "is absolute"
        segments = segments[1:]
    if "\\" in name:
        yield "has a backslash, which some systems take for `/`"
    yield from _of_any(name)
    if ".." in segments:
        yield "leads out of `base_path` with `..`"
    if not all(segments):
        yield "has an empty part"
    # Some systems leave out what a part ends with, so that two names would be one table.
    if any(part not in ("", "..") and (part.endswith(".") or part != part.strip()) for part in segments):
        yield "has a part that ends with a dot, or begins or ends with a space"
    if taken := [part for part in segments if part in _TAKEN]:
        yield f"has the part {listed(taken)}, which tables have inside"


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
        yield "has braces, which `base_path` alone may have"
