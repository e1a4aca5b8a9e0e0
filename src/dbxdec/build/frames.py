"""Libraries that tasks need for their frames, and that no requirement of the project brings."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any

from dbxdec.build.codegen.libraries import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dbxdec.errors import Problem


def lacking(
    needs: Mapping[str, Problem],
    requirements: Sequence[str],
    jobs: Mapping[str, Any],
    pins: Iterable[str],
    seem_own: Mapping[str, Problem] | None = None,
) -> list[Problem]:
    """Return what to say of libraries that nothing brings: neither the project nor an environment of a job nor a lock.

    `needs` has what to say by the library; `pins` are the packages of the lock. `seem_own` has what to say of modules:
    the package of one may have a longer name, as python-dateutil and PyYAML have, or be in a wheel.
    """
    if not needs and not seem_own:
        return []
    environments = (form for job in jobs.values() for form in job.get("environments", {}).values())
    texts = [*requirements, *(text for form in environments for text in _strings(form)), *pins]
    there = {name for text in texts for name in _brought(text)}
    lacking = [problem for library, problem in needs.items() if library not in there]
    like = "\n".join([*there, *(text.lower().replace("_", "-") for text in texts)])
    return lacking + [problem for module, problem in (seem_own or {}).items() if module not in like]


def _strings(form: Any) -> list[str]:
    if isinstance(form, str):
        return [form]
    inner = form.values() if isinstance(form, dict) else form if isinstance(form, list) else ()
    return [text for one in inner for text in _strings(one)]


def _brought(text: str) -> set[str]:
    """Return the packages that a requirement names: itself, its extras, and what dbxdec's own extras require."""
    from packaging.requirements import InvalidRequirement, Requirement

    if (name := name_of(text)) is None:
        return set()
    try:
        extras = set(Requirement(text).extras)
    except InvalidRequirement:
        return {name}
    found = {name, *extras}
    if name != "dbxdec":
        return found
    for one in map(Requirement, metadata.requires("dbxdec") or ()):
        if one.marker is not None and any(one.marker.evaluate({"extra": extra}) for extra in extras):
            found |= _brought(f"{one.name}[{','.join(one.extras)}]" if one.extras else one.name)
    return found
