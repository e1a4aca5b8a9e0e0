"""The input of a run on this machine, its progress, and its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec.platform import status
from dbxdec.platform.run_if import State
from dbxdec.records import dataclass
from dbxdec.support.masking import Mask, of_this_machine

if TYPE_CHECKING:
    from dbxdec.local.builds import Build
    from dbxdec.local.pool import Pool
    from dbxdec.model.dag import Task


HANDLED = "handled"
"""The words for a failure handler that has done its work: it is failed, as on the platform, and no mistake."""


@dataclass(frozen=True)
class TaskRun:
    """The result of one task, or of one iteration of it; `log` is the last attempt's.

    `attempts` are how often it was tried, for a for-each task the most of one iteration.

    Times are in ms, from the first attempt's start in a process that is ready to the last one's end; 0 for a task that
    did not run. `wrote` has its writes: the documents of `runtime.record`. `kept`: it ran before the resume.
    """

    key: str
    state: State
    attempts: int = 0
    log: str | None = None
    started_ms: int = 0
    ended_ms: int = 0
    wrote: tuple[Mapping[str, Any], ...] = ()
    said: str = ""
    run: str = ""
    kept: bool = False

    @property
    def seconds(self) -> float:
        return (self.ended_ms - self.started_ms) / 1000


@dataclass(frozen=True)
class JobRun:
    """The result of a run; `folder` keeps its record, its logs and its task values.

    `upstream` names the tasks that each task waits for.
    """

    id: str
    job: str
    tasks: tuple[TaskRun, ...]
    folder: Path
    upstream: Mapping[str, tuple[str, ...]]
    timed_out: bool = False

    @property
    def state(self) -> State:
        if self.timed_out:
            return State.TIMED_OUT
        return status.of_run({task.key: task.state for task in self.tasks}, self.upstream)

    @property
    def succeeded(self) -> bool:
        return self.state in status.SUCCEEDED


@dataclass(frozen=True)
class Listener:
    """The receiver of a run's progress, from several threads, one at a time: a task starts, has printed, has ended."""

    started: Callable[[str], object]
    printed: Callable[[str, str], object]
    ended: Callable[[TaskRun], object]


@dataclass(frozen=True)
class Setting:
    """The settings of a run and of the runs of other jobs that it starts."""

    build: Build
    variables: Mapping[str, str]
    folder: Path
    pool: Pool
    source: str = ""
    replaced: Mapping[str, str] = field(default_factory=dict)
    """Commands that run in the place of tasks, by the task's key; `a/b` is `b` of the job that the task `a` runs."""
    parent: tuple[str, str] | None = None
    """The run that has started this one, and the task of it."""
    mask: Mask = field(default_factory=lambda: Mask(of_this_machine()))
    target: str | None = None
    """The target of the bundle that a person has named."""
    root: str | None = None
    """The folder below which remote places are; None where they are used as they are."""
    told: Callable[[str], object] = lambda _: None
    """Says what a person has to know before the run begins."""
    turns: Callable[[Task], AbstractContextManager[object]] = lambda _: nullcontext()
    """Has a task wait while one of another run is at work that it must not meet."""
