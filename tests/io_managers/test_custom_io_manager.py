"""The IoManager of the documentation, as a user would have it: in a project, with retries, partitions and each()."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from conftest import Installation
from projects import Project, shop
from repository import ROOT

PIPELINE = """
import os
import signal

from dbxdec import context, each, job, task
from shop.jsonlines import JsonLinesIoManager

lake = JsonLinesIoManager("lake")


@job
def sales(n: int = 3) -> None:
    @task(io_manager=lake.table("orders", partition_by="country"), max_retries=1)
    def orders(n: int) -> list:
        found = [{"id": i, "country": "de" if i % 2 else "fr"} for i in range(n)]
        if context().attempt == 1:
            # The process dies when its files are there and its receipt is not.
            replace = os.replace

            def die(source, target):
                if "_receipts" in str(target):
                    os.kill(os.getpid(), signal.SIGKILL)
                replace(source, target)

            os.replace = die
            return [*found, {"id": 99, "country": "it"}]
        return found

    @task(io_manager=lake)
    def copies(country: str, orders: list) -> list:
        return [row for row in orders if row["country"] == country]

    @task
    def report(orders: list, all_copies: list, by_country: dict[str, list], newest: list) -> None:
        print("REPORT", len(orders), len(all_copies), {key: len(rows) for key, rows in by_country.items()}, len(newest))

    found = orders(n)
    split = copies(each(["de", "fr"]), found)
    report(found, split, split, lake.table("orders"))
"""


@pytest.fixture
def project(tmp_path: Path, installation: Installation) -> Project:
    project = shop(tmp_path / "repository")
    (code,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "io-managers.md").read_text(encoding="utf-8"), re.DOTALL
    )
    project.write("src/shop/jsonlines.py", code)
    project.write("src/shop/pipelines/sales.py", PIPELINE)
    done = project.build()
    assert done.code == 0, done.output
    return installation.install(project)


def test_it_survives_kills_and_keeps_partitions_and_items_apart(project: Project, installation: Installation) -> None:
    """An attempt that was killed while it wrote leaves nothing that is read; a second run reads its own rows."""
    for n in (3, 4):
        done = installation.dbxdec(project, "run", "sales", "--param", f"n={n}")
        assert done.code == 0, done.output
        assert f"REPORT {n} {n} {{'de': {n // 2}, 'fr': {n - n // 2}}} {n}" in done.output
        assert "attempt 1 failed" in done.output


@pytest.mark.slow
def test_the_manifest_says_how_it_writes(project: Project) -> None:
    """Its class and its settings are in the manifest, and wrong annotations are refused by what it declares."""
    (orders, *_) = project.manifest()["jobs"]["sales"]["tasks"]
    assert orders["outputs"]["result"]["io"] == "shop.jsonlines:JsonLinesIoManager"
    assert orders["outputs"]["result"]["settings"] == {"partition_by": "country"}
    project.edit("src/shop/pipelines/sales.py", "def orders(n: int) -> list:", "def orders(n: int) -> set:")
    assert "returns `set`, which JsonLinesIoManager can't store" in project.build().output


@pytest.mark.slow
def test_its_receipts_are_json(project: Project, installation: Installation) -> None:
    """Each write of each run has its receipt, the killed attempt none of its own."""
    assert installation.dbxdec(project, "run", "sales").code == 0
    receipts = [*(project.root / "lake" / "orders" / "_receipts").glob("*.json")]
    assert [json.loads(path.read_text(encoding="utf-8")) for path in receipts] == [["country=de", "country=fr"]]
