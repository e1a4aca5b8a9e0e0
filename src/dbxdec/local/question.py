"""Questions to the tables of a job, which a process of its own answers: it imports the pipeline's module."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import asdict, field
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.local import asking, ledger
from dbxdec.local.parameters import check_variables
from dbxdec.local.variables import local_values
from dbxdec.platform.known import of_run
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from dbxdec.local.builds import Build
    from dbxdec.model.dag import Job
    from dbxdec.runtime.marking import Change

_LONGEST_S = 600


@dataclass(frozen=True)
class Question:
    """The places to look at: values of bundle variables, the project's folder, the folder for remote places.

    `elsewhere` gives the answer of `survey.answer` from where tables can be read that this machine can't read. It is
    asked at most once, and only where there is such a table.
    """

    build: Build
    variables: Mapping[str, str]
    folder: Path
    root: str | None
    now: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    elsewhere: Callable[[], Mapping[str, Any]] | None = None

    @classmethod
    def of(
        cls, build: Build, names: Iterable[str], given: Mapping[str, str], folder: Path, target: str | None
    ) -> Question:
        """Return the question to the tables of a target, or of local runs, with a value for each variable of `names`.

        Raises RunError for variables without one, and for `given` ones that no job uses.
        """
        check_variables(build.manifest, given)
        root = None if target is not None else ledger.lake(folder)
        return cls(build, local_values(names, given, folder, target), folder, root)

    def short(self, uri: str) -> str:
        """Return the name of a table for people: below the project, or as it is."""
        return uri.removeprefix(str(self.folder.absolute()) + os.sep)


def answer_of(
    job: Job,
    question: Question,
    outputs: Sequence[tuple[str, str]] | None,
    change: Change | None = None,
    *,
    expects: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return what the tables of a job say, by a process of its own: of `outputs` which keys they have, or are given.

    Without `outputs` it is how far tasks have read what is new. With `expects`, the job's parameters, it is how the
    expectations of `outputs` come out. Raises RunError where they can't be asked.
    """
    known = of_run(job.key, "0", int(question.now.timestamp() * 1000), {})
    arguments = asking.arguments(question.build, job, question.variables, known)
    request = {
        "arguments": [*arguments, *(f"--{name}={text}" for name, text in (expects or {}).items())],
        "outputs": outputs,
        "change": None if change is None else asdict(change),
        "expects": expects is not None,
    }
    environment = asking.environment(question.build, question.root)
    try:
        found: dict[str, Any] = asking.answer("dbxdec.local.survey", request, question.folder, environment, _LONGEST_S)
    except TimeoutError:
        raise RunError(f"the tables of the job `{job.key}` did not answer within {_LONGEST_S} s") from None
    except RunError as error:
        raise RunError(f"the tables of the job `{job.key}` can't be asked: {error}") from None
    return found
