"""Requests to a process of its own, which imports a pipeline's module as a task does, and answers in a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.local import builds
from dbxdec.model import places, protocol
from dbxdec.model.variables import resolve
from dbxdec.platform.references import resolve as resolve_references
from dbxdec.support import streams
from dbxdec.support.masking import Mask, of_this_machine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbxdec.local.builds import Build
    from dbxdec.model.dag import Job


def answer(
    module: str, request: Mapping[str, Any], folder: Path, environment: Mapping[str, str], longest: float
) -> Any:
    """Return the answer of `module`, run in `folder`, to a request.

    Raises TimeoutError if it takes longer than `longest` seconds, and RunError, with the last line that the process has
    printed, if it ended without an answer.
    """
    with tempfile.TemporaryDirectory(prefix="dbxdec-") as scratch:
        result = Path(scratch, "answer.json")
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-X", "utf8", "-m", module],
                cwd=folder,
                env={**os.environ, **streams.CHILD, **environment},
                input=json.dumps({**request, "result": str(result)}).encode(),
                capture_output=True,
                check=False,
                timeout=longest,
            )
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        if result.exists():
            return json.loads(result.read_text(encoding="utf-8"))
        said = done.stderr.decode("utf-8", "backslashreplace").rstrip().splitlines()
        raise RunError(Mask(of_this_machine()).text(said[-1]) if said else f"exit code {done.returncode}")


def arguments(
    build: Build,
    job: Job,
    variables: Mapping[str, str],
    known: Mapping[str, str],
    parameters: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """Return the arguments that a task of a run would be started with; they include all bundle variables.

    `known` are the references that the run can resolve.
    """
    any_task = replace(job.tasks[0], each=None, variables=tuple(variables))
    known = {**known, "task.name": any_task.key, "task.execution_count": "1"}
    own = protocol.task_parameters(build.manifest.project, build.manifest.build_id, job.key, any_task)
    texts = {name: resolve(text, variables) for name, text in own.items()}
    return [f"--{name}={resolve_references(text, known)}" for name, text in {**texts, **parameters}.items()]


def environment(build: Build, root: str | None) -> dict[str, str]:
    """Return the environment in which a task of the build finds its code, and `root` in place of remote storage."""
    return {**({places.ROOT: root} if root else {}), **builds.environment(build)}
