"""How thorough a run of the tests is: `make test` is quick, `make test-all` (DBXDEC_THOROUGH=1) tries everything."""

from __future__ import annotations

import os

VARIABLE = "DBXDEC_THOROUGH"
THOROUGH = os.environ.get(VARIABLE) == "1"
_QUICK = 4


def examples(count: int) -> int:
    """How many examples hypothesis tries: `count` of them, or a few."""
    return count if THOROUGH else max(5, count // _QUICK)
