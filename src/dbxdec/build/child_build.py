"""Builds the wheel of the tree in the working directory by hatchling, and reports what the wheel was made from.

A program of its own, `python -m dbxdec.build.child_build REPORT`: the process that waits for it imports no hatchling,
and whatever the plugins of a project do to an interpreter ends with it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.wheel import WheelBuilder

from dbxdec.build import blame, config
from dbxdec.build import hatchling_compat as inside
from dbxdec.support import files
from dbxdec.support.printing import message


def main() -> None:
    """Build, and write the report to the path in the first argument."""
    report = Path(sys.argv[1])
    try:
        found = _build(os.getcwd())
    except Exception as error:
        if (said := blame.refusal(error, Path.cwd())) is None:
            raise
        print(message(f"dbxdec: {said}"), file=sys.stderr)
        raise SystemExit(1) from None
    files.replace(report, json.dumps(found).encode())


def _build(root: str) -> dict[str, Any]:
    builder = WheelBuilder(root)
    if config.HOOK not in builder.config.hook_config:
        return {"has_hook": False}
    (wheel,) = builder.build(versions=["standard"])
    read = _read(builder)
    return {
        "has_hook": True,
        "wheel": wheel,
        **(_scope(builder, read) if inside.is_plain(builder) else {"only": None, "unwatched": []}),
        "outside": sorted(_outside(builder, read)),
    }


def _read(builder: WheelBuilder) -> list[str]:
    """Return all files and folders that the project's settings name, or that the wheel is made from."""
    shipped = [file.path for file in builder.recurse_included_files()]
    named = (os.path.normpath(os.path.join(builder.root, path)) for path in inside.named_in_settings(builder) if path)
    return [*shipped, *named, *map(os.path.normpath, inside.hook_class(builder, config.HOOK).imported)]


def _scope(builder: WheelBuilder, read: list[str]) -> dict[str, Any]:
    """Return the folders at the root that hatchling is told to search; else the folders that git's rules leave out."""
    needed = {os.path.relpath(path, builder.root).partition(os.sep)[0] for path in read}
    if inside.chooses_files(builder):
        # `*/LICENSE`, or the root itself, may mean any folder.
        return {"only": None if any("*" in name or name == "." for name in needed) else sorted(needed), "unwatched": []}
    return {"only": None, "unwatched": inside.excluded_folders(builder, needed)}


def _outside(builder: WheelBuilder, read: list[str]) -> set[str]:
    """Return the files and folders outside the root that this wheel depends on."""
    root = builder.root
    rules = [path for name in (".git", ".hg") for path in _rules(root, f"{name}ignore", name)]
    git = _git_state(root) if "version" in builder.metadata.dynamic else []
    paths = map(os.path.normpath, [*read, *rules])
    return {path for path in paths if not Path(path).is_relative_to(root)} | set(git)


def _rules(root: str, name: str, boundary: str) -> list[str]:
    """Return the places where hatchling looks for a file of rules, up to the first; missing ones may appear later."""
    found = []
    for folder in (Path(root), *Path(root).parents):
        found.append(str(folder / name))
        if (folder / name).is_file() or (folder / boundary).exists():
            break
    return found


def _git_state(root: str) -> list[str]:
    """Return the files that change with a commit, a tag or another branch: a version may be taken from them."""
    for folder in (Path(root), *Path(root).parents):
        git = folder / ".git"
        if git.is_file():  # a worktree or a submodule
            git = folder / _line(git).partition(":")[2].strip()
        if git.is_dir():
            common = git / "commondir"
            shared = git / _line(common) if common.is_file() else git
            return [str(git / "HEAD"), str(git / "logs" / "HEAD"), str(shared / "packed-refs"), str(shared / "refs")]
    return []


def _line(path: Path) -> str:
    """Return the path in one of git's own files, which need not be UTF-8."""
    return path.read_bytes().partition(b"\n")[0].replace(b"\0", b"").decode("utf-8", "surrogateescape").strip()


if __name__ == "__main__":
    main()
