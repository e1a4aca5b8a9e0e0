"""Files that are replaced in one step."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from dbxdec.support import files


def test_a_reader_gets_the_old_content_or_the_new_one(tmp_path: Path) -> None:
    """However many threads write at once, and nothing else is left in the folder."""
    path = tmp_path / "state.json"
    contents = [bytes([65 + i]) * 100_000 for i in range(8)]
    files.replace(path, contents[0])
    writers = [threading.Thread(target=files.replace, args=(path, content)) for content in contents for _ in range(5)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert path.read_bytes() in contents
    assert os.listdir(tmp_path) == ["state.json"]


def test_a_file_that_can_not_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    """Neither the old content nor a part of the new one is lost or left."""
    path = tmp_path / "taken"
    (path / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="taken"):
        files.replace(path, b"x")
    assert os.listdir(tmp_path) == ["taken"]


@pytest.mark.skipif(os.name == "nt", reason="no permissions of that kind")
def test_permissions_are_those_that_are_asked_for(tmp_path: Path) -> None:
    """Whatever the umask says."""
    before = os.umask(0o077)
    try:
        files.replace(tmp_path / "shared", b"", mode=0o644)
        files.replace(tmp_path / "own", b"")
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("shared", "own")] == [0o644, 0o600]
