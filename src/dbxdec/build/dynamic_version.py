"""The version that a bundle's CLI gives a wheel at deploy, and the wheel's preconditions for it.

With `dynamic_version` the CLI appends the wheel's modification time to its version, in its name, METADATA and RECORD
(databricks/cli, libs/patchwheel). When it can't, it warns and uploads the wheel under its own name, over the wheel that
runs in flight were started with.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from dbxdec.build.wheels import read_record
from dbxdec.errors import Problem, SourceLocation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_VERSION = "Version:"
# The CLI's scanner of lines takes no longer line (Go, bufio.MaxScanTokenSize).
_LONGEST = 65_535
# Times from 2001-09-09 to 2017-07-14: in the past for every clock, and all of 19 digits. Steps of 100 ns are the finest
# that all usual file systems keep.
_STEP = 100
_EARLIEST, _SPAN = 10**18 // _STEP, 5 * 10**17 // _STEP


def mended(readme: str, content_type: str) -> tuple[str, list[int]]:
    """Return the readme without lines that the CLI would take for the wheel's version, and the numbers of those lines.

    It takes any line of METADATA that starts with `Version:`. Such a line gets a leading blank, which Markdown and
    plain readers drop. In reStructuredText a blank has a meaning, and an escaped blank is dropped.
    """
    if _VERSION not in readme:
        return readme, []
    lines = readme.split("\n")
    found = [i for i, line in enumerate(lines) if line.startswith(_VERSION)]
    blank = "\\ " if content_type == "text/x-rst" else " "
    for i in found:
        lines[i] = blank + lines[i]
    return "\n".join(lines), [i + 1 for i in found]


def refusals(metadata: str, project_id: str, version: str, readme: tuple[str, str]) -> Iterator[Problem]:
    """Yield the reasons why the CLI could not give a version to a wheel with this METADATA.

    `project_id` is the start of its name, `<distribution>-<version>`; `readme` is the readme's content and its path.
    """
    lines = metadata.split("\n")
    versions = [line for line in lines if line.startswith(_VERSION)]
    if len(versions) > 1:
        yield Problem(
            f"METADATA has another line that starts with `{_VERSION}`: {versions[1]!r:.60}; a bundle can't give such a "
            "wheel a version of its own at each deploy",
            "project",
            "a field there holds a line break: write it in one line",
        )
    text, path = readme
    long = [i for i, line in enumerate(text.split("\n"), 1) if len(line.encode()) >= _LONGEST]
    if long or any(len(line.encode()) >= _LONGEST for line in lines):
        yield Problem(
            f"a line of more than {_LONGEST:,} bytes is in the wheel's METADATA, with which a bundle can't give the "
            "wheel a version of its own at each deploy",
            SourceLocation(path, long[0]) if long and path else "project",
            "break the line, or keep an embedded picture in a file of its own",
        )
    distribution = project_id.removesuffix(f"-{version}")
    if version in distribution:
        yield Problem(
            f"the version {version} is a part of the project's name {distribution}, where a bundle that gives the "
            "wheel a version of its own would put it: no task could find the package",
            "project.version",
            f'write it longer: `version = "{version}.0"`',
        )


def stamp(wheel: Path) -> None:
    """Set the wheel's modification time by its content, so that equal content is deployed as unchanged.

    Raises ManifestError when it can't be read, and OSError when its time can't be set.
    """
    moment = _moment(wheel)
    found = wheel.stat()
    if found.st_mtime_ns != moment:
        os.utime(wheel, ns=(found.st_atime_ns, moment))


def _moment(wheel: Path) -> int:
    """Return the time for the wheel, in ns. It follows from its RECORD, which has the digests of all its files."""
    digest = hashlib.sha256(read_record(wheel)).digest()
    return (_EARLIEST + int.from_bytes(digest[:16]) % _SPAN) * _STEP
