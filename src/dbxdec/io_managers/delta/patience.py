"""How long a write is tried again that other writers get in the way of."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field

# How often a commit is tried that others get in the way of.
ATTEMPTS = 12
_MAX_PAUSE_S = 3
# Longer pauses would leave the table to those who come later.
_LONGEST = 4
_END = 1000


def pause(attempt: int) -> None:
    """Wait before the next try: longer each time up to a bound, and by chance, so that writers part."""
    time.sleep(random.uniform(0, min(_MAX_PAUSE_S, 0.05 * 2**attempt)))  # noqa: S311


@dataclass
class Patience:
    """The tries of one write. A commit that fails since another one's has landed is no reason to end: the table moves.

    It ends after ATTEMPTS tries in a row that saw no new version, and in any case after a thousand.
    """

    _seen: int | None = field(default=None, init=False)
    _tries: int = field(default=0, init=False)
    _idle: int = field(default=0, init=False)

    def lasts(self, version: int) -> bool:
        """Whether to try again after a try that has failed, at this version of the table: if so, wait a moment."""
        moved = self._seen is None or version > self._seen
        self._idle = 0 if moved else self._idle + 1
        self._seen = version
        self._tries += 1
        if self._idle >= ATTEMPTS or self._tries >= _END:
            return False
        pause(min(self._tries, _LONGEST) - 1)
        return True
