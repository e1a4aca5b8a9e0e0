"""The projects in tests/init: one file each, with what `dbxdec init` has to do in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from repository import TESTS

FOLDER = TESTS / "init"
NAMES = sorted(path.stem for path in FOLDER.glob("*.txt"))


@dataclass(frozen=True)
class Case:
    """Files by their path from the project's folder; what is made, changed (as a diff) and said."""

    files: dict[str, str]
    made: list[str]
    said: str
    diff: str

    def write(self, top: Path) -> Path:
        """The project in the folder `top`, or deeper where it has files above it."""
        root = top / "services" / "shop"
        root.mkdir(parents=True)
        for path, text in self.files.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text.encode())
        return root


def load(name: str) -> Case:
    """The case `name`: sections begin with `-- path` and flags, the last ones are what is expected."""
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    text, _, diff = text.partition("-- diff\n")
    files: dict[str, str] = {}
    for section in re.split(r"^-- (?=\S)", text, flags=re.MULTILINE)[1:]:
        head, _, content = section.partition("\n")
        path, *flags = head.split()
        if "crlf" in flags:
            content = content.replace("\n", "\r\n")
        files[path] = content.removesuffix("\n") if "no-newline" in flags else content
    made, said = files.pop("made", ""), files.pop("said", "")
    return Case(files, made.splitlines(), said, diff)
