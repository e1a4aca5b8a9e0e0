"""Errors of the file system as one sentence: a full disk, a file where a folder should be, no permission."""

from __future__ import annotations

import os
import sysconfig

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OURS = (_PACKAGE, os.path.join(os.path.dirname(_PACKAGE), "hatch_dbxdec"))
"""The folders of dbxdec's own code."""


def refusal(error: OSError) -> str | None:
    """Return what can't be read or written; None if the author's own code raised it, which needs its traceback."""
    installed = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    trace = error.__traceback__
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        if os.path.isabs(path) and not _is_below(path, [*OURS, *installed]):
            return None
        trace = trace.tb_next
    what = error.strerror or str(error) or type(error).__name__
    places = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    return f"{' and '.join(places) or 'a file that is being written'}: {what}"


def _is_below(path: str, folders: list[str]) -> bool:
    return any(path.startswith(folder + os.sep) for folder in folders)
