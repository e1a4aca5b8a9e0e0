"""Rules of .gitignore for the files that dbxdec makes."""

from __future__ import annotations

from pathlib import PurePosixPath

from dbxdec.scaffold.lines import newline_of


def add(text: str, paths: list[str], comment: str = "") -> str:
    """Return the .gitignore `text` with a rule for each of `paths`, relative to its folder, that has none.

    Folders end in `/`. Rules start with one: a rule that matched the path of the whole checkout would have hatchling
    drop all of them.
    """
    known = {line.strip() for line in text.splitlines()}
    missing = [f"/{path}" for path in paths if not _rules_for(path) & known]
    if not missing:
        return text
    line = newline_of(text)
    body = text if not text or text.endswith("\n") else f"{text}{line}"
    head = [*([""] if body.strip() else []), *([comment] if comment else [])]
    return body + "".join(f"{each}{line}" for each in [*head, *missing])


def _rules_for(path: str) -> set[str]:
    """Return the usual rules by which a path, or a folder it is in, is ignored."""
    pure = PurePosixPath(path)
    found: set[str] = set()
    for each in (pure, *pure.parents[:-1]):
        found |= {f"{start}{each}{end}" for start in ("", "/", "**/") for end in ("", "/", "/*", "/**")}
    return found | {f"{pure.parent}/*{pure.suffix}", f"/{pure.parent}/*{pure.suffix}"}
