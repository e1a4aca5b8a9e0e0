"""The limits of retrying a write that conflicts with other writers."""

from __future__ import annotations

import random
import time
from dataclasses import field

from dbxdec.records import dataclass

# The number of tries of a commit that conflicts with others.
ATTEMPTS = 12
_MAX_PAUSE_S = 3
# Longer pauses would leave the table to writers that come later.
_LONGEST = 4
_END = 1000


def pause(attempt: int) -> None:
    """Wait before the next try: longer each time, up to a limit, and at random, so that writers don't collide again."""
    time.sleep(random.uniform(0, min(_MAX_PAUSE_S, 0.05 * 2**attempt)))  # noqa: S311


@dataclass()
class Patience:
    """The tries of one write.

    A commit that fails because another one landed is no reason to stop, since the table makes progress. The write stops
    after ATTEMPTS tries in a row that saw no new version, and in any case after a thousand.
    """

    _seen: int | None = field(default=None, init=False)
    _tries: int = field(default=0, init=False)
    _idle: int = field(default=0, init=False)

    def lasts(self, version: int) -> bool:
        """Return whether to try again; if so, wait a moment first. `version`: the table's newest after the failure."""
        moved = self._seen is None or version > self._seen
        self._idle = 0 if moved else self._idle + 1
        self._seen = version
        self._tries += 1
        if self._idle >= ATTEMPTS or self._tries >= _END:
            return False
        pause(min(self._tries, _LONGEST) - 1)
        return True
