"""Which runs are refused because a backfill at work is to make them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbxdec.errors import RunError, SourceLocation
from dbxdec.local import backfills, ledger
from dbxdec.local.awaited import refuse_awaited
from dbxdec.model.dag import Job, JobParameter
from dbxdec.model.manifest import Manifest
from dbxdec.model.values import ValueType

PARAMETERS = (
    JobParameter("day", ValueType("date")),
    JobParameter("region", ValueType("str"), default="eu"),
    JobParameter("top", ValueType("int"), default="3"),
)
JOB = Job("loads", "shop", "loads", SourceLocation("a.py", 1), (), PARAMETERS)
MANIFEST = Manifest("shop", "1", "build", "dbxdec", {})


def refuse(here: Path, **given: str) -> None:
    parameters = {one.name: one.default or "" for one in PARAMETERS} | given
    refuse_awaited(MANIFEST, JOB, parameters, {}, here, ledger.lake(here), ledger.now_ms())


def test_a_run_of_a_job_without_keys_is_refused_for_values_that_a_backfill_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the parameters that the backfill was given count, and only values whose run has not ended."""
    record = backfills.new(tmp_path)
    plan = [["2024-01-01", "eu"], ["2024-01-02", "eu"]]
    began = {"event": "began", "job": "loads", "target": None, "names": ["day", "region"], "plan": plan}
    ended = {"event": "ended", "key": plan[0], "state": "success"}
    record.path.write_text("".join(f"{json.dumps(line)}\n" for line in (began, ended)))
    refuse(tmp_path, day="2024-01-02")
    monkeypatch.setattr(backfills.Record, "is_at_work", True)
    with pytest.raises(RunError, match="is to run the job `loads` for 2024-01-02 eu, which this run would write"):
        refuse(tmp_path, day="2024-01-02", top="9")
    for given in ({"day": "2024-01-01"}, {"day": "2024-01-02", "region": "us"}, {"day": "2024-01-03"}):
        refuse(tmp_path, **given)
