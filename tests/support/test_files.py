"""Files that are replaced in one step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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


# Writes its file up to the rename, and then waits until it is killed.
_STUCK = """
import sys, time
from dbxdec.support import files

with files.partial(sys.argv[1], b"half") as made:
    print(made, flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(os.name == "nt", reason="the files of Windows can't be removed while they are open")
def test_what_a_killed_writer_has_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    """A running writer's file stays, and so do files of others."""
    path = tmp_path / "state.json"
    (tmp_path / ".state.json.note").write_text("")
    with subprocess.Popen([sys.executable, "-c", _STUCK, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout is not None
            made = Path(writer.stdout.readline().strip())
            os.utime(made, (0, 0))
            files.replace(path, b"1")
            assert made.read_bytes() == b"half"
        finally:
            writer.send_signal(signal.SIGKILL)
    assert sorted(os.listdir(tmp_path)) == sorted([".state.json.note", made.name, "state.json"])
    files.replace(path, b"2")
    assert (path.read_bytes(), sorted(os.listdir(tmp_path))) == (b"2", [".state.json.note", "state.json"])


def test_an_error_names_the_file_that_was_to_be_replaced(tmp_path: Path) -> None:
    """Not the one beside it, which is gone when somebody looks."""
    path = tmp_path / "missing" / "state.json"
    with pytest.raises(FileNotFoundError) as found:
        files.replace(path, b"x")
    assert found.value.filename == str(path)


class TestDelivered:
    """What a user has asked for by its path."""

    def test_a_file_behind_links_is_replaced_and_keeps_its_permissions(self, tmp_path: Path) -> None:
        """The link stays a link."""
        (tmp_path / "real").write_text("")
        (tmp_path / "real").chmod(0o640)
        (tmp_path / "link").symlink_to("real")
        files.deliver(tmp_path / "link", b"x")
        assert (tmp_path / "link").is_symlink()
        assert ((tmp_path / "real").read_bytes(), (tmp_path / "real").stat().st_mode & 0o777) == (b"x", 0o640)

    @pytest.mark.skipif(os.name == "nt", reason="no such files")
    def test_the_output_gets_the_content_where_it_is_asked_for_by_its_file(self) -> None:
        """`--output /dev/stdout` prints into a pipe."""
        program = "from dbxdec.support import files; files.deliver('/dev/stdout', b'printed')"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout == "printed"


def test_links_in_a_circle_lead_to_one_of_them(tmp_path: Path) -> None:
    """What is below such a link is no error before it is opened; any other link is followed."""
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    (tmp_path / "link").symlink_to("file")
    assert files.real(tmp_path / "one").is_symlink()
    assert files.real(tmp_path / "one/x").parent.is_symlink()
    assert files.real(tmp_path / "link") == tmp_path.resolve() / "file"
