"""The numbers of expectations in words."""

from __future__ import annotations

import pytest

from dbxdec.model import outcomes


@pytest.mark.parametrize(("rows", "said"), [(0, "0 rows"), (1, "1 row"), (1234, "1,234 rows")])
def test_a_rule_of_the_number_of_rows_says_how_many_there_are(rows: int, said: str) -> None:
    """One row is not "1 rows"."""
    assert outcomes.text("not empty", {"failed": 0, "rows": rows, "rule": "rows"}) == f'"not empty": {said}'
