"""The resources file: job definitions as YAML or JSON that all parsers read alike."""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING, Any

from dbxdec.support import files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path, PurePath

# Read as a string by both YAML 1.1 (PyYAML) and 1.2 (the bundle's CLI). All else is quoted, also what only one of them
# reads as a number (1e3, 0o7, 1_000), a boolean (yes, on) or a time (12:30).
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*([./@+-][A-Za-z0-9_]+)*")
# Characters that YAML does not allow unescaped (yaml.org/spec/1.2.2, "Character Set"), but JSON does.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
# A longer key needs an explicit `?` (yaml.org/spec/1.2.2, "Implicit Keys").
_LONGEST_KEY = 1000
_NOT_STRINGS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"])


def render(jobs: Mapping[str, Mapping[str, Any]], *, package: str, build_id: str, path: PurePath, wheel: str) -> bytes:
    """Return the content of the resources file `path`: the jobs, and `wheel` as the artifact that they need.

    `wheel` is relative to the file's folder. With `dynamic_version` each deploy uploads under a new name, so that runs
    in flight keep the wheel that they started with.
    """
    artifact = {"type": "whl", "files": [{"source": wheel}], "dynamic_version": True}
    document = {
        "artifacts": {artifact_name(package): artifact},
        "resources": {"jobs": {key: jobs[key] for key in sorted(jobs)}},
    }
    if path.suffix == ".json":
        return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
    header = f"# Made by dbxdec from {package}, build {build_id}.\n# Every build writes it again: do not edit.\n"
    return (header + _to_yaml(document)).encode()


def artifact_name(project: str) -> str:
    """The name under which the resources declare the wheel."""
    return re.sub(r"[^\w-]", "_", project)


def write_if_changed(path: Path, content: bytes) -> bool:
    """Replace `path` by `content` in one step, unless it has that content already. Return whether it was written."""
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == content:
            files.clean(path)
            return False
    path.parent.mkdir(parents=True, exist_ok=True)
    files.replace(path, content, mode=0o644)
    return True


def _to_yaml(document: dict[str, Any]) -> str:
    """Return YAML in block style, as people write it.

    PyYAML takes thirty times as long and is not needed for this subset.
    """
    return "".join(f"{line}\n" for line in _block(document, ""))


def _block(value: Any, pad: str) -> Iterator[str]:
    """Yield the lines of a dict or list that is not empty."""
    inner = pad + "  "
    for key, item in value.items() if isinstance(value, dict) else ((None, item) for item in value):
        head = "-" if key is None else f"{_yaml_string(key)}:"
        if len(head) > _LONGEST_KEY:
            yield f"{pad}? {head[:-1]}"
            head = ":"
        if not isinstance(item, dict | list) or not item:
            yield f"{pad}{head} {_scalar(item)}"
        elif head in ("-", ":"):
            lines = _block(item, inner)
            yield f"{pad}{head} {next(lines)[len(inner) :]}"
            yield from lines
        else:
            yield f"{pad}{head}"
            yield from _block(item, inner)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return _yaml_string(value)
    text = json.dumps(value, allow_nan=False)
    # Without a decimal point YAML 1.1 reads it as a string.
    return text.replace("e", ".0e", 1) if isinstance(value, float) and "." not in text else text


def _yaml_string(value: str) -> str:
    if _PLAIN.fullmatch(value) and value.lower() not in _NOT_STRINGS:
        return value
    # YAML has the same escapes as JSON.
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))
