"""The resources file: job definitions as YAML or JSON that any parser reads alike."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path, PurePath

# Read as text by YAML 1.1 (PyYAML) and 1.2 (the bundle's CLI) alike; all else is quoted, also what only one of them
# takes for a number (1e3, 0o7, 1_000), a boolean (yes, on) or a time (12:30).
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*([./@+-][A-Za-z0-9_]+)*")
_NOT_TEXT = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"])


def render(jobs: Mapping[str, Mapping[str, Any]], *, package: str, build_id: str, path: PurePath, wheel: str) -> bytes:
    """The content of the resources file `path`: the jobs, and `wheel` as the artifact that they need.

    `wheel` is relative to the file's folder. `dynamic_version` makes each deploy upload under a new name, so that
    runs in flight keep the wheel that they started with.
    """
    artifact = {"type": "whl", "files": [{"source": wheel}], "dynamic_version": True}
    document = {
        "artifacts": {re.sub(r"[^\w-]", "_", package): artifact},
        "resources": {"jobs": {key: jobs[key] for key in sorted(jobs)}},
    }
    if path.suffix == ".json":
        return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
    header = f"# Made by dbxdec from {package}, build {build_id}.\n# Every build writes it again: do not edit.\n"
    return (header + _to_yaml(document)).encode()


def write_if_changed(path: Path, content: bytes) -> bool:
    """Replace `path` by `content` at once, unless it holds that already; whether it was written."""
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == content:
            return False
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "wb") as file:
            file.write(content)
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise
    return True


def _to_yaml(document: Any) -> str:
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, False)

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        plain = _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')

    Dumper.add_representer(str, text)
    dumped: str = yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1 << 20)
    return dumped
