"""The jobs that start with a job: itself, and those that its run-job tasks run, each with what they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbxdec.errors import SourceLocation
    from dbxdec.model.dag import Job, JobParameter


@dataclass(frozen=True)
class Started:
    """A job that starts. `given` are the parameters that its run-job task passes, `by` the job whose start it follows.

    `by` is None for that job itself.
    """

    job: Job
    where: SourceLocation
    given: frozenset[str] = frozenset()
    by: str | None = None

    @property
    def title(self) -> str:
        """The job for a message."""
        own = f"the job `{self.job.key}`"
        return own if self.by is None else f"{own}, which the job `{self.by}` runs,"

    @property
    def defaults(self) -> tuple[JobParameter, ...]:
        """The parameters that have their defaults when the job starts so."""
        return tuple(parameter for parameter in self.job.parameters if parameter.name not in self.given)


def with_(job: Job, jobs: Mapping[str, Job]) -> Iterator[Started]:
    """Yield `job`, then the jobs that start with it, however deep, each once for what it is given."""
    waiting = [Started(job, job.source)]
    seen = {(job.key, frozenset[str]())}
    while waiting:
        one = waiting.pop(0)
        yield one
        for task in one.job.tasks:
            if task.kind != "run_job" or (other := jobs.get(task.runs_job)) is None:
                continue
            given = frozenset(task.passes)
            if (other.key, given) not in seen:
                seen.add((other.key, given))
                waiting.append(Started(other, task.called_at or task.source, given, job.key))
