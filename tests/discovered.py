"""What discovery says of modules that a test writes."""

from __future__ import annotations

from pathlib import Path

from dbxdec.build.discovery.process import discover
from dbxdec.build.discovery.spec import ShippedFile
from dbxdec.errors import DiscoveryError, Problem


def problems(root: Path, modules: dict[str, str]) -> list[Problem]:
    """What a build says of these modules, files of the package `p`."""
    files = []
    for path, text in {"p/__init__.py": "", "p/pipelines/__init__.py": "", **modules}.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        files.append(ShippedFile(path, str(target), path))
    try:
        discover(files, project="p", version="1")
    except DiscoveryError as error:
        return list(error.problems)
    return []
