"""Errors as one sentence: of the file system (a full disk, a file where a folder should be), and of libraries."""

from __future__ import annotations

import os

from dbxdec.errors import DbxdecError, RunError
from dbxdec.support.masking import Mask, of_this_machine

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OURS = (_PACKAGE, os.path.join(os.path.dirname(_PACKAGE), "hatch_dbxdec"))
"""The folders of dbxdec's own code."""
# Messages of POSIX and of Windows, which libraries in Rust pass on.
_FULL = {
    "No space left": "free some space on that disk",
    "not enough space on the disk": "free some space on that disk",
    "Disk quota exceeded": "free some space, or have the quota raised",
    "File too large": "raise the limit on the size of a file (`ulimit -f`), or write to another disk",
}


def refusal(error: OSError) -> str | None:
    """Return what can't be read or written; None if the author's own code raised it, which needs its traceback."""
    import sysconfig  # takes a millisecond that only an error is worth

    installed = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    trace = error.__traceback__
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        if os.path.isabs(path) and not _is_below(path, [*OURS, *installed]):
            return None
        trace = trace.tb_next
    return sentence(error)


def sentence(error: OSError) -> str:
    """Return the files that an error names, and what is wrong with them."""
    what = error.strerror or str(error) or type(error).__name__
    places = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    if not places and "temporary directory" in what:  # `tempfile` says which ones it has tried
        return what
    return f"{' and '.join(places) or 'a file that is being written'}: {what}"


def failed(what: str, path: str | os.PathLike[str], error: OSError) -> RunError:
    """Return the error of a file of a run: `what` can't be done, the file, and why."""
    why = error.strerror or str(error) or type(error).__name__
    return RunError(f"{what}: {os.fspath(path)}: {why}", hint=hint_of_full(why))


def said(error: Exception) -> str:
    """Return why a table can't be asked, without secrets and on one line, if a library says it."""
    if isinstance(error, DbxdecError):
        text = "; ".join(one.message for one in error.problems)
    else:
        text = f"{type(error).__name__}: {error}".splitlines()[0]
    return Mask(of_this_machine()).text(text)


def hint_of_full(text: str) -> str | None:
    """Return what to do where `text`, a message of any library, says that a disk is full; None where it doesn't."""
    return next((hint for message, hint in _FULL.items() if message in text), None)


def _is_below(path: str, folders: list[str]) -> bool:
    return any(path.startswith(folder + os.sep) for folder in folders)
