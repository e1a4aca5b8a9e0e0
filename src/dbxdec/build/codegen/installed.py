"""Checks of what jobs install: the dependencies of their environments, and the extra libraries of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.build.codegen.environments import NO_PACKAGE, conflicts, is_package, is_wheel, refusals
from dbxdec.build.codegen.fields import is_reference
from dbxdec.build.codegen.jobs import levels
from dbxdec.build.codegen.libraries import ENVIRONMENT_VERSION
from dbxdec.errors import Problem, concerning, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dbxdec.model.dag import Job

# The Jobs API's reference, `environments.spec`: either of them, and `client` is the older name of the first.
_VERSIONS = ("environment_version", "client", "base_environment")


def environment_problems(job: Job, definition: dict[str, Any]) -> list[Problem]:
    emitted = {entry["environment_key"]: entry["spec"] for entry in definition.get("environments", [])}
    problems = []
    for key, spec in job.environments.items():
        owner = f"the environment `{key}` of the job `{job.key}`"
        version = spec.get("environment_version")
        if isinstance(version, str) and "${" not in version and not version.isdecimal():
            hint = f'write a whole number as a string, such as "{ENVIRONMENT_VERSION}"'
            problems.append(Problem(f"{owner}: `environment_version` is {version!r}", job.source, hint))
        named = [field for field in _VERSIONS if spec.get(field) is not None]
        is_said_twice = "base_environment" not in named and all(spec[field] == spec[named[0]] for field in named)
        if len(named) > 1 and not is_said_twice:
            hint = "leave out `client`, its older name" if "client" in named else "the base environment has a version"
            problems.append(Problem(f"{owner}: {listed(named)} are set, of which one counts", job.source, hint))
        installed = emitted.get(key, spec).get("dependencies")
        dependencies = spec.get("dependencies")
        if is_reference(dependencies):
            problems.append(
                Problem(
                    f"{owner} has the dependencies {dependencies}, to which the wheel can't be added",
                    job.source,
                    "write them as a list",
                )
            )
        given = dependencies if isinstance(dependencies, list) else []
        problems += [
            Problem(f"{owner}: {message}", job.source, hint)
            for message, hint in conflicts(installed if isinstance(installed, list) else (), given)
        ]
        problems += [
            Problem(f"{owner}: {message}", job.source, hint)
            for text in given
            if isinstance(text, str)
            for message, hint in refusals(text)
        ]
    return problems


def check_libraries(libraries: Sequence[str], definitions: Iterable[dict[str, Any]]) -> list[Problem]:
    """Return the problems of the extra libraries: together, and each of them where the jobs would have it."""
    definitions = list(definitions)
    refused = {library: refusals(library) for library in libraries}
    if not any("environments" in definition for definition in definitions):
        refused = {}
    tasks = (level for one in definitions for task in one.get("tasks", ()) for level in levels(task))
    if any("libraries" in level and "python_wheel_task" in level for level in tasks):
        for library in libraries:
            if not refused.get(library) and not is_wheel(library) and not is_package(library):
                message = f"the library `{library}` is not a package, and a job on a cluster would have it as one"
                refused[library] = [(message, NO_PACKAGE)]
    findings = [*conflicts(libraries, libraries), *(finding for some in refused.values() for finding in some)]
    problems = [Problem(message, "tool.dbxdec.extra-libraries", hint) for message, hint in findings]
    return concerning((), problems)
