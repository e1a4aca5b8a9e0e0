"""The file that is there instead of job definitions: it makes a deploy fail, and nothing else.

A bundle whose `include` is a pattern takes a missing file for no jobs, and a deploy would remove the existing jobs
without a question. A declared artifact that can't be built fails a deploy, and no other command: a missing file would
fail `bundle summary` and `bundle destroy` too.
"""

from __future__ import annotations

import json
import os

SKIP = "DBXDEC_SKIP_BUNDLE"
"""The environment variable that has `dbxdec bundle` build nothing, for commands that deploy nothing."""
HOW_TO_SKIP = (
    f"`bundle summary`, `bundle destroy`, `jobs list` and all else that deploys nothing work with {SKIP}=1 in the "
    "environment; a deploy fails until the project is built"
)

_ARTIFACT = "dbxdec_not_built"
# Valid in sh, bash and cmd alike.
_COMMAND = "echo There is no finished build of this project to deploy: mend it and build it first && exit 1"
_MISSING = "there-is-no-finished-build-to-deploy.whl"
_WHY = """\
# Made by dbxdec: there is no finished build of this project. A deploy fails here, instead of removing the jobs from the
# workspace. The next build removes this.
"""


def marker_of(resources: str) -> str:
    """Return the file next to `resources` while they are missing; patterns that match the resources match it too."""
    stem, suffix = os.path.splitext(resources)
    return f"{stem}-not-built{suffix}"


def content(resources: str) -> bytes:
    """Return the content that blocks a deploy, for a file in the place of `resources` or next to them."""
    document = {"artifacts": {_ARTIFACT: {"build": _COMMAND}}}
    text = json.dumps(document, indent=2) + "\n"
    return (text if resources.endswith(".json") else _WHY + text).encode()


def skips() -> bool:
    """Return whether this process builds nothing."""
    return os.environ.get(SKIP, "").lower() not in ("", "0", "false", "no")


def skipped(reason: str | None, *, is_held_up: bool = True) -> str:
    """Return the message that replaces a build; a deploy is not held up where no project has been found."""
    then = "a deploy fails" if is_held_up else "a deploy takes what is there, since no project was found"
    return f"{SKIP} is set: NOTHING IS BUILT ({reason or 'no build is recorded here'}), and {then}"


def job() -> dict[str, object]:
    """Return a job that blocks a deploy of jobs that come from Python: it has a library that doesn't exist."""
    wheel_task = {"package_name": _ARTIFACT, "entry_point": _ARTIFACT}
    spec = {"environment_version": "4", "dependencies": [f"./{_MISSING}"]}
    return {
        "name": _ARTIFACT,
        "tasks": [{"task_key": _ARTIFACT, "environment_key": _ARTIFACT, "python_wheel_task": wheel_task}],
        "environments": [{"environment_key": _ARTIFACT, "spec": spec}],
    }


def wheel_of(distribution: str) -> str:
    """Return the name of the file that a bundle finds in the place of wheels while no wheel is there.

    A bundle takes a pattern that matches nothing for a mistake. Each real wheel is of a later version.
    """
    return f"{distribution}-0.dev0-py3-none-any.whl"


JOB = _ARTIFACT
"""The key of that job."""
