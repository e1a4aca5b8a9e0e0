"""The run to resume, and its values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.errors import RunError, listed
from dbxdec.local import ledger
from dbxdec.local.history import damage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from dbxdec.local.history import Run


def find(here: Path, job: str, name: str, told: Callable[[str], object]) -> Run:
    """Return the run of `job` to resume: `name`, or the last that is not a "success". Raises RunError without one."""

    def tell(run: ledger.Unreadable) -> None:
        told(str(run))

    if name:
        found = ledger.find(here, name, passed=tell)
        if found.job != job:
            raise RunError(f"the run {found.id} is of the job `{found.job}`", hint=f"dbxdec run {found.job} --resume")
    else:
        kept = (run for run in ledger.runs(here, job, passed=tell) if not run.is_inner)
        open_ = (run for run in kept if run.state not in ("success", ledger.RUNNING))
        if (first := next(open_, None)) is None:
            raise RunError(f"no unsuccessful run of `{job}` is kept here", hint=f"dbxdec run {job}")
        found = first
    if found.damaged:
        told(damage(found))
        if not found.sittings:
            raise RunError(
                f"the tasks that the run {found.id} was started with are no longer known",
                hint=f"dbxdec run {found.job}",
            )
    if found.state == "success":
        raise RunError(f"the run {found.id} has succeeded: there is nothing to resume", hint=f"dbxdec run {job}")
    return found


def check_as_before(
    what: str, option: str, before: Mapping[str, str], given: Mapping[str, str], same: Collection[str] = ()
) -> None:
    """Raise RunError when other values than the run's are given: the finished tasks have used the old ones.

    `same` are names whose values are the same, though they may be written in another way.
    """
    other = [name for name, text in given.items() if before.get(name) != text and name not in same]
    if other:
        raise RunError(
            f"the run to resume had other values of the {what} {listed(other)}",
            hint=f"leave out `{option}`, or start a new run",
        )


def check_beginnings(before: Mapping[str, str], given: Mapping[str, str]) -> None:
    """Raise RunError when tasks are to begin elsewhere than the run had them."""
    if any(before.get(name, "") != text for name, text in given.items()):
        raise RunError(
            "the run to resume keeps where its tasks begin, and had not these `--adopt` and `--restart`",
            hint="start a new run with them; `--from TASK` leaves out the tasks upstream, which may have stored rows",
        )


def same_target(before: Run, given: str | None) -> str | None:
    """Return the target whose values the run has used. Raises RunError when another one is given."""
    named: str | None = before.head.get("target")
    if given not in (None, named):
        had = f"the values of the target {named}" if named else "no target"
        raise RunError(f"the run to resume had {had}", hint="leave out `--target`, or start a new run")
    return named


def same_root(before: Run, given: str | None, *, asked: bool) -> str | None:
    """Return the run's root of remote places. Raises RunError when another folder is given."""
    had: str | None = before.head["root"]
    if asked and given != had:
        where = "as they are" if had is None else f"in {had}"
        raise RunError(f"the run to resume had remote places {where}", hint="leave out `--root` and `--remote`")
    return had
