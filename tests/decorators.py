"""Decorators as a project has them, in a module of their own: it knows none of the names that annotations use."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def traced(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Hide the signature behind `*args` and `**kwargs`, as most decorators do."""

    @functools.wraps(fn)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    return inner


def retried(times: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator with an argument, which its wrapper closes over."""

    def decorate(fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        def inner(*args: Any, **kwargs: Any) -> Any:
            for _ in range(times - 1):
                try:
                    return fn(*args, **kwargs)
                except RuntimeError:
                    continue
            return fn(*args, **kwargs)

        return inner

    return decorate
