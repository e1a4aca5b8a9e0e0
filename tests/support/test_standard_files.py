"""The three standard files of a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_a_file_that_is_opened_behind_a_closed_stdout_is_not_written_into(tmp_path: Path) -> None:
    """It would get the number of stdout, and a result would have lines of the log in it."""
    code = """
import os, sys
from dbxdec.support.streams import keep_numbers
os.closerange(0, 3)
keep_numbers()
result = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
os.write(1, b"log")
os.write(2, b"log")
os.write(result, b"rows")
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "result")], check=True, timeout=60)
    assert (tmp_path / "result").read_bytes() == b"rows"
