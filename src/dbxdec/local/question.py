"""Questions to the tables of a job, which a process of its own answers: it imports the pipeline's module."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.local import builds, ledger
from dbxdec.local.parameters import check_variables
from dbxdec.local.survey import asked_for
from dbxdec.local.variables import local_values
from dbxdec.model import places, protocol
from dbxdec.model.variables import resolve
from dbxdec.platform.known import of_run
from dbxdec.platform.references import resolve as resolve_references
from dbxdec.records import dataclass
from dbxdec.support import streams
from dbxdec.support.masking import Mask, of_this_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dbxdec.local.builds import Build
    from dbxdec.model.dag import Job
    from dbxdec.runtime.marking import Change

_LONGEST_S = 600


@dataclass(frozen=True)
class Question:
    """Where to look: the values of bundle variables, the project's folder, the folder that stands for remote places.

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
    arguments = [*_arguments(job, question), *(f"--{name}={text}" for name, text in (expects or {}).items())]
    with tempfile.TemporaryDirectory(prefix="dbxdec-") as scratch:
        result = Path(scratch, "answer.json")
        try:
            asked = subprocess.run(
                [sys.executable, "-P", "-X", "utf8", "-m", "dbxdec.local.survey"],
                cwd=question.folder,
                env={**os.environ, **_environment(question)},
                input=asked_for(outputs, arguments, str(result), change, expects=expects is not None),
                capture_output=True,
                check=False,
                timeout=_LONGEST_S,
            )
        except subprocess.TimeoutExpired:
            raise RunError(f"the tables of the job `{job.key}` did not answer within {_LONGEST_S} s") from None
        if not result.exists():
            said = asked.stderr.decode("utf-8", "backslashreplace").rstrip().splitlines()
            why = Mask(of_this_machine()).text(said[-1]) if said else f"exit code {asked.returncode}"
            raise RunError(f"the tables of the job `{job.key}` can't be asked: {why}")
        answer: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return answer


def _arguments(job: Job, question: Question) -> list[str]:
    """Return the arguments that a task would be started with; they include all bundle variables."""
    any_task = replace(job.tasks[0], each=None, variables=tuple(question.variables))
    known = {
        **of_run(job.key, "0", int(question.now.timestamp() * 1000), {}),
        "task.name": any_task.key,
        "task.execution_count": "1",
    }
    manifest = question.build.manifest
    own = protocol.task_parameters(manifest.project, manifest.build_id, job.key, any_task)
    texts = {name: resolve(text, question.variables) for name, text in own.items()}
    return [f"--{name}={resolve_references(text, known)}" for name, text in texts.items()]


def _environment(question: Question) -> dict[str, str]:
    return {
        **streams.CHILD,
        **({places.ROOT: question.root} if question.root else {}),
        **builds.environment(question.build),
    }
