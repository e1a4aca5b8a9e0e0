"""The pipelines of the documentation, run for two days: what they teach is right on the second day too."""

from __future__ import annotations

import datetime as dt
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from conftest import ROOT
from dbxdec.testing import Lake, run_job

DAYS = [dt.date(2024, 2, day) for day in (28, 29)]


def blocks(page: str) -> dict[str, str]:
    """The code blocks of a page that begin with the path of a file, put together by file."""
    files: dict[str, str] = {}
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for path, code in re.findall(r"```python\n# (\S+)\n(.*?)```", text, re.DOTALL):
        files[path] = files.get(path, "") + code
    return files


@pytest.fixture
def documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Gives the module at `path` of a page."""

    def load(page: str, path: str) -> Any:
        name = path.removeprefix("src/").removesuffix(".py").replace("/", ".")
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(blocks(page)[path], encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path / "src")
        return importlib.import_module(name)

    yield load
    for name in [name for name in sys.modules if name == "shop" or name.startswith("shop.")]:
        del sys.modules[name]


@pytest.mark.parametrize("in_memory", [True, False], ids=["in memory", "real tables"])
def test_the_medallion_counts_each_row_once(documented: Any, tmp_path: Path, in_memory: bool) -> None:
    """docs/results.md: new rows are those of the day, the whole table has both days, a merge keeps one row a key."""
    module = documented("results.md", "src/shop/pipelines/medallion.py")
    lake = Lake()
    for number, day in enumerate(DAYS, 1):
        given: dict[str, Any] = {"tables": lake}
        if not in_memory:
            given = {"in_memory": False, "variables": {"lake_root": tmp_path / "lake"}}
        found = run_job(module.medallion, day=day, **given)["report"].value
        assert found == {"new": 2, "all": 2 * number, "customers": 2}


def test_the_orders_of_a_second_day_are_converted_once(documented: Any, tmp_path: Path) -> None:
    """docs/testing.md: appends that read appends."""
    module = documented("testing.md", "src/shop/pipelines/daily.py")
    rates = pl.DataFrame({"country": ["de", "fr"], "rate": [1.0, 2.0]})
    for day in DAYS:
        run_job(
            module.daily,
            day=day,
            countries=["de", "fr"],
            replace={"orders": lambda country, day: pl.DataFrame({"country": [country], "amount": [day.day]})},
            tables={"reference/rates": rates},
            variables={"lake_root": tmp_path / "lake", "accepted": 0},
            in_memory=False,
        )
    silver = pl.read_delta(str(tmp_path / "lake" / "silver" / "orders"))
    assert sorted(silver.select("country", "amount").rows()) == [("de", 28), ("de", 29), ("fr", 28), ("fr", 29)]
