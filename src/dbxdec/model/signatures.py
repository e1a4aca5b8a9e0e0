"""Signatures and annotations of functions, also with the lazy annotations of Python 3.14."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable, Mapping


def signature(function: Callable[..., Any]) -> inspect.Signature:
    """Return `inspect.signature` of `function`, even if an annotation can't be resolved."""
    import inspect

    try:
        return inspect.signature(function)
    except Exception:
        if (lazily := _lazily()) is None:
            raise
        return inspect.signature(function, annotation_format=lazily.Format.STRING)  # type: ignore[call-arg]


def annotations_of(function: Callable[..., Any]) -> Mapping[str, Any]:
    """Return the annotations of `function`, each a value or a string.

    Python 3.14 evaluates all of them on first use (PEP 649 and 749). If one can't be evaluated, all are strings.
    """
    try:
        return getattr(function, "__annotations__", {})
    except Exception:
        if (lazily := _lazily()) is None:
            raise
        found: Mapping[str, Any] = lazily.get_annotations(function, format=lazily.Format.STRING)
        return found


def _lazily() -> Any:
    """Return the module that reads annotations without evaluating them; None before Python 3.14."""
    try:
        import annotationlib  # type: ignore[import-not-found]
    except ModuleNotFoundError:
        return None
    return annotationlib
