"""Whose condition Spark could not evaluate."""

from __future__ import annotations

from typing import Any

import pytest

from dbxdec.io_managers.delta.spark import unevaluated

CONDITIONS: dict[str, Any] = {"ratio": "n / z > 1", "text": "day > '2024'\nAND n = s", "function": lambda row: row / 0}
LINE = CONDITIONS["function"].__code__.co_firstlineno
CAST = "[CAST_INVALID_INPUT] The value 'secret' of the type STRING cannot be cast. SQLSTATE: 22018\n"
ZERO = "[DIVIDE_BY_ZERO] Division by zero. SQLSTATE: 22012\n"


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (f"{ZERO}== SQL (line 2, position 1) ==\nn / z > 1\n^^^^^\n", ("DIVIDE_BY_ZERO", ["ratio"])),
        (f"[TASK_WRITE_FAILED] x\n{CAST}== SQL (line 3, position 5) ==\nAND n = s\n", ("CAST_INVALID_INPUT", ["text"])),
        (f"{ZERO}== SQL (line 2, position 1) ==\n...n / z...\n^^^^^\n", ("DIVIDE_BY_ZERO", ["ratio"])),
        (
            f'{ZERO}== DataFrame ==\n"__truediv__" was called from\n{__file__}:{LINE}\n',
            ("DIVIDE_BY_ZERO", ["function"]),
        ),
        (f"{ZERO}== SQL (line 1, position 8) ==\nSELECT n / z > 1\n", None),
        (f'{ZERO}== DataFrame ==\n"__truediv__" was called from\n{__file__}:{LINE + 40}\n', None),
        (ZERO, None),
    ],
)
def test_spark_says_whose_condition_failed(said: str, found: tuple[str, list[str]] | None) -> None:
    """A query of the task itself may fail alike."""
    assert unevaluated.found(RuntimeError(said), CONDITIONS) == found
