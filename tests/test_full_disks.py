"""Disks without room, real and small ones: a sentence that names the file, nothing lost, and all goes on afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from forked import Forked
from projects import Project, shop

pytestmark = [pytest.mark.small_disk, pytest.mark.xdist_group("small disk")]
SIZE = 6 * 2**20
PAGE = 4096
NO_ROOM = "No space left"


@dataclass(frozen=True)
class Disk:
    """A file system of six megabytes."""

    top: Path

    def leave(self, free: int) -> None:
        """Fill it but for `free` bytes."""
        with open(self.top / "filler", "wb", buffering=0) as file:
            found = os.statvfs(self.top)
            file.write(bytes(max(found.f_bavail * found.f_frsize - free, 0)))

    def clear(self) -> None:
        """Remove the filler."""
        (self.top / "filler").unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    top = tmp_path / "disk"
    top.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(top)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("small_disk: this user may mount no file system")
    try:
        yield Disk(top)
    finally:
        subprocess.run(["umount", "--lazy", str(top)], check=True)  # a process may not have ended yet


@pytest.fixture
def project(disk: Disk) -> Project:
    return shop(disk.top / "project")


COMMANDS = {
    "check": ["check"],
    "bundle": ["bundle"],
    "graph": ["graph", "sales", "--output", "graph.html"],
    "run": ["run", "sales"],
    "resume": ["run", "sales", "--resume"],
}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("elsewhere", [True, False], ids=["own temporary files", "all on one disk"])
@pytest.mark.parametrize("pages", [0, 1, 2, 4, 6, 8, 12])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_on_a_full_disk_says_which_file_has_no_room(
    name: str, pages: int, elsewhere: bool, disk: Disk, project: Project, forked: Forked, tmp_path: Path
) -> None:
    """Wherever it gets stuck; with room again it does what it is there for."""
    temporary = tmp_path if elsewhere else disk.top
    if name == "resume":
        project.edit("src/shop/pipelines/sales.py", 'print("REPORT"', 'raise SystemExit(3)\n        print("REPORT"')
        assert forked.dbxdec(project.root, "run", "sales").code == 1
        project.edit("src/shop/pipelines/sales.py", "raise SystemExit(3)", "print()")
    disk.leave(pages * PAGE)
    found = forked.dbxdec(project.root, *COMMANDS[name], TMPDIR=str(temporary))
    assert (found.finding(), found.code in (0, 1, 2)) == (None, True), found
    if found.code:
        said = found.out + found.err
        assert NO_ROOM in said, found
        assert str(disk.top) in said or "lake/orders" in said, found
        assert "Traceback" not in said, found
        disk.clear()
        found = forked.dbxdec(project.root, *COMMANDS[name])
        # A resumed run may have ended well, and only its summary was not written.
        assert (found.finding(), found.code) == (None, 0) or "no unsuccessful run" in found.err, found
    assert not [path for path in project.root.rglob(".*.*.*") if path.is_file()]


@pytest.mark.slow
def test_a_wheel_without_room_is_no_mistake_of_the_project(
    disk: Disk, project: Project, forked: Forked, tmp_path: Path
) -> None:
    """It is hatchling that writes it; the resources of the earlier build are not left beside it."""
    assert forked.dbxdec(project.root, "bundle").code == 0
    (project.root / "src/shop/big.bin").write_bytes(os.urandom(600_000))
    disk.leave(300_000)
    found = forked.dbxdec(project.root, "bundle", TMPDIR=str(tmp_path))
    assert (found.finding(), found.code) == (None, 1), found
    assert "the build can't write its files: " in found.err
    assert NO_ROOM in found.err
    assert "pyproject.toml" not in found.err
    assert not project.resources.exists()
    disk.clear()
    found = forked.dbxdec(project.root, "bundle")
    assert (found.finding(), found.code) == (None, 0), found.err
    assert project.manifest()["build_id"] in project.resources.read_text()


@pytest.mark.slow
@pytest.mark.sampled(1)
@pytest.mark.parametrize("manager", ["PolarsDeltaIoManager", "PolarsParquetIoManager", "PolarsCsvIoManager"])
def test_a_result_without_room_leaves_the_table_as_it_was(
    manager: str, disk: Disk, project: Project, forked: Forked
) -> None:
    """The task says which table; the half that was written is removed; a resumed run stores all of it, once."""
    source = "src/shop/pipelines/sales.py"
    project.write(source, (project.root / source).read_text().replace("PolarsDeltaIoManager", manager))
    # Numbers that no file makes small.
    project.edit(source, "range(n)})", 'range(n)}).select(pl.col("id").hash().reinterpret(signed=True))')
    assert forked.dbxdec(project.root, "run", "sales", "-p", "n=3").code == 0
    kept = _data_files(project.root)
    disk.leave(200_000)
    found = forked.dbxdec(project.root, "run", "sales", "-p", "n=100000")
    assert (found.finding(), found.code in (1, 2)) == (None, True), found
    said = found.out + found.err
    assert NO_ROOM in said, found
    # The record of the run may be the first that has no room.
    assert "free some space on that disk" in said or str(disk.top) in said, found
    assert _data_files(project.root) == kept
    disk.clear()
    found = forked.dbxdec(project.root, "run", "sales", "--resume")
    assert (found.finding(), found.code) == (None, 0), found
    assert "REPORT 100000" in found.out, found


def _data_files(root: Path) -> set[str]:
    return {str(path) for path in root.rglob("*") if path.suffix in (".parquet", ".csv") and path.is_file()}
