"""The writing of a plan to files, or as a diff."""

from __future__ import annotations

import difflib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from dbxdec.errors import ConfigError
from dbxdec.scaffold.lines import lines_of
from dbxdec.support import files

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dbxdec.scaffold.plan import Change


def diff(changes: Iterable[Change], top: Path) -> str:
    """Return the changes as one unified diff that `git apply` takes; paths are relative to `top`."""
    return "".join(_diff(change, Path(os.path.relpath(change.path, top)).as_posix()) for change in changes)


def write(change: Change) -> None:
    """Write one file: it appears whole, or not at all. Raises ConfigError when it has changed since it was read."""
    target = files.real(change.path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = None if change.before is None else stat.S_IMODE(target.stat().st_mode)
        with files.partial(target, change.after.encode("utf-8"), mode=mode) as partial:
            if change.before is None:
                os.link(partial, target)  # fails when another process has made it meanwhile
            elif target.read_bytes() == change.before.encode("utf-8"):
                os.replace(partial, target)
            else:
                raise FileExistsError
    except FileExistsError:
        raise ConfigError(f"{change.path} has changed meanwhile", hint="run `dbxdec init` again") from None
    except OSError as error:
        raise ConfigError(f"{change.path} can't be written: {error.strerror}") from None


def _diff(change: Change, name: str) -> str:
    before = lines_of(change.before or "")
    after = lines_of(change.after)
    old = "/dev/null" if change.before is None else f"a/{name}"
    head = f"diff --git a/{name} b/{name}\n"
    if change.before is None:
        head += "new file mode 100644\n"
        if not after:  # an empty file has no lines to show
            return head
    found = difflib.unified_diff(before, after, old, f"b/{name}")
    return head + "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in found)
