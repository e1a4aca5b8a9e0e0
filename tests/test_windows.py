"""What is otherwise on Windows, as far as another system can show it: names that are missing, drives, backslashes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path, PureWindowsPath

import pytest

from dbxdec.cli import home
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.files.stores import LocalStore, is_local, path_of
from dbxdec.local import journal
from dbxdec.model import places

# Imports everything where what only POSIX has is not there.
IMPORTS = """
import importlib, os, pkgutil, signal, sys

for module in ("fcntl", "pwd", "grp", "resource", "termios", "tty", "pty"):
    sys.modules[module] = None
for name in ("SIGKILL", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGALRM", "SIGCHLD", "alarm", "setitimer", "pthread_kill"):
    delattr(signal, name)
for name in ("killpg", "getpgrp", "setsid", "getuid", "geteuid", "uname", "mkfifo", "getpgid", "setpgid"):
    delattr(os, name)

import faulthandler
del faulthandler.register

import dbxdec, hatch_dbxdec
for package in (dbxdec, hatch_dbxdec):
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
print("imported")
"""


def test_every_module_is_imported_without_what_only_posix_has() -> None:
    """No signal, process group or lock of POSIX is needed before it is used, behind a question for the system."""
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=False)
    assert done.stdout == "imported\n", done.stderr


WINDOWS_PATHS = [r"C:\lake\orders", "C:/lake/orders", r"lake\orders.v1", r"\\server\share\lake", r"C:\lake.v1"]


@pytest.mark.parametrize("path", WINDOWS_PATHS)
def test_a_path_of_windows_is_a_local_path(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """A drive is no scheme, and a point in a name makes no table of a catalog: the local root answers for none."""
    monkeypatch.setenv(places.ROOT, r"C:\project\.dbxdec\lake")
    assert places.place_here(path) == path
    assert is_local(path)
    assert path_of(path, windows=True) == path


def test_remote_places_lie_below_a_local_root_on_a_drive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows takes both kinds of slashes in one path."""
    monkeypatch.setenv(places.ROOT, r"C:\project\.dbxdec\lake")
    there = PureWindowsPath(places.here("s3://bucket/orders"))
    assert there == PureWindowsPath(r"C:\project\.dbxdec\lake\s3\bucket\orders")
    assert places.place_here("main.gold.orders").endswith("lake/tables/main/gold/orders")


@pytest.mark.parametrize(
    ("uri", "path", "elsewhere"),
    [
        ("file:///C:/my%20lake", "C:/my lake", "/C:/my lake"),
        ("file://localhost/C:/lake", "C:/lake", "/C:/lake"),
        ("file://server/share/lake", "//server/share/lake", "/share/lake"),
        ("lake", "lake", "lake"),
    ],
)
def test_a_file_uri_is_a_path(uri: str, path: str, elsewhere: str) -> None:
    """With its drive or its server on Windows."""
    assert is_local(uri)
    assert path_of(uri, windows=True) == path
    assert path_of(uri, windows=False) == elsewhere
    if os.name == "posix":
        assert LocalStore(uri).folder == Path(elsewhere)


def test_a_pathlib_path_is_the_same_in_every_build() -> None:
    """A manifest that was made on Windows names places as one that was made elsewhere."""
    manager = PolarsDeltaIoManager(base_path=PureWindowsPath("lake/gold"))
    assert manager.uri("orders") == "lake/gold/orders"


def test_a_place_on_another_drive_is_shown_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no way from one drive to another."""

    def refuse(*_: object) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(os.path, "relpath", refuse)
    assert home.relative("D:/x") == "D:/x"


def test_a_record_that_another_process_reads_is_replaced_a_moment_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows refuses to replace an open file."""
    refusals = [PermissionError("in use"), PermissionError("in use")]
    replace = Path.replace

    def busy(self: Path, target: Path) -> Path:
        if refusals:
            raise refusals.pop()
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", busy)
    journal.write_whole(tmp_path / "run.json", {"n": 1})
    assert journal.read_whole(tmp_path / "run.json") == {"n": 1}
