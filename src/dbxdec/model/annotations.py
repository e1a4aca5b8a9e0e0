"""Annotations apart from the types that they stand for: `| None`, and what any value fits."""

from __future__ import annotations

import types
import typing
from typing import Any


def strip_optional(annotation: Any) -> tuple[Any, bool]:
    """Return `annotation` without `| None`, and whether it had `| None`. A union of other types stays a union."""
    if not is_union(annotation):
        return annotation, False
    args = typing.get_args(annotation)
    rest = tuple(arg for arg in args if arg is not types.NoneType)
    if len(rest) == len(args):
        return annotation, False
    return (rest[0] if len(rest) == 1 else typing.Union[rest]), True  # noqa: UP007 - built at run time


def is_union(value: Any) -> bool:
    return type(value) is not type and typing.get_origin(value) in (typing.Union, types.UnionType)


def is_json_key(annotation: Any) -> bool:
    """Return whether keys of this type are JSON keys."""
    if typing.get_origin(annotation) is typing.Literal:
        return all(type(choice) is str for choice in typing.get_args(annotation))
    return annotation is str or is_any(annotation)


def is_any(annotation: Any) -> bool:
    return annotation is Any or annotation is object or isinstance(annotation, typing.TypeVar)
