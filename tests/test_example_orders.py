"""The example with Spark as its users have it: one command makes data and lock, builds, and runs both jobs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import yaml

from conftest import uv
from repository import ROOT
from spark_tools import needs_own_spark

EXAMPLE = ROOT / "examples" / "orders_spark"


class TestOneCommand:
    pytestmark = needs_own_spark

    def test_it_runs_both_jobs_and_pins_what_they_get(self, tmp_path: Path, dbxdec_wheel: Path) -> None:
        """Two months are landed and summed up; each job has the versions of the lock, without those of `dev`."""
        ignore = shutil.ignore_patterns(*(EXAMPLE / ".gitignore").read_text().replace("/", "").split(), "__pycache__")
        project = shutil.copytree(EXAMPLE, tmp_path / "orders", ignore=ignore)
        environment = {name: text for name, text in os.environ.items() if not name.endswith("_CONSTRAINT")}
        command = ["make", f"UV={' '.join(uv())}", f"WHEELS={dbxdec_wheel.parent}"]
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("success") >= 4 + 4 + 3
        assert "1995-04-01" in done.stdout
        jobs = yaml.safe_load((project / "resources" / "dbxdec.yml").read_text())["resources"]["jobs"]
        of_clusters = {str(one) for task in jobs["ingest"]["tasks"] for one in task["libraries"]}
        of_serverless = jobs["revenue"]["environments"][0]["spec"]["dependencies"]
        assert any("babel==" in text for text in of_clusters)
        assert any(text.startswith("babel==") for text in of_serverless)
        assert not any(name in f"{of_clusters}{of_serverless}" for name in ("pyspark", "tpchgen", "pytest"))
