"""What functions take and how they are annotated, also where annotations are evaluated late (Python 3.14)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable, Mapping


def signature(function: Callable[..., Any]) -> inspect.Signature:
    """What `function` takes, as `inspect.signature` has it; an annotation that can't be resolved is no hindrance."""
    import inspect

    try:
        return inspect.signature(function)
    except Exception:
        if (lazily := _lazily()) is None:
            raise
        return inspect.signature(function, annotation_format=lazily.Format.STRING)  # type: ignore[call-arg]


def annotations_of(function: Callable[..., Any]) -> Mapping[str, Any]:
    """The annotations of `function`, each a value or a string.

    From Python 3.14 on they are evaluated when they are asked for, all at once (PEP 649 and 749): where one can't be,
    they are had as strings.
    """
    try:
        return getattr(function, "__annotations__", {})
    except Exception:
        if (lazily := _lazily()) is None:
            raise
        found: Mapping[str, Any] = lazily.get_annotations(function, format=lazily.Format.STRING)
        return found


def _lazily() -> Any:
    """The module that reads annotations without evaluating them; None where Python has none."""
    try:
        import annotationlib  # type: ignore[import-not-found]
    except ModuleNotFoundError:
        return None
    return annotationlib
