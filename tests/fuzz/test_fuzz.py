"""A few seconds of what `make fuzz` does for minutes, with the same seeds each time."""

from __future__ import annotations

from pathlib import Path

import pytest
from targets import TARGETS

from forked import Forked
from thorough import THOROUGH


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_ends_in_a_traceback(name: str, forked: Forked, tmp_path: Path) -> None:
    """Whatever such a file holds, it is read or refused in a sentence, and nothing around the project is touched."""
    target = TARGETS[name](forked, tmp_path.resolve())
    few, many = min(target.cheap, 4), target.cheap * (2 if THOROUGH else 1)
    for seed in range(many):
        finding = target.run(seed, whole=seed < few)
        assert finding is None, f"python tests/fuzz/fuzzing.py --target {name} --seed {seed}\n{finding}"
