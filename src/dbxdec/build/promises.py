"""Settings that a bundle must have so that a deploy leaves the wheels of runs in flight where they are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec.build import bundlefile
from dbxdec.errors import Problem
from dbxdec.support.forms import at, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbxdec.build.bundlefile import Bundle

_REPLACED = "gives the wheel no version of its own: each deploy replaces the one that runs in flight use"


def of_resources(bundle: Bundle, project: str, root: Path) -> list[Problem]:
    """Return what a bundle lacks or undoes that includes the resources of a build, which declare the wheel."""
    name = bundlefile.artifact_name(project)
    undone = [
        Problem(
            f"`{'.'.join(path)}` {_REPLACED}",
            bundlefile.location(document, (*path, "dynamic_version"), root),
            "remove `dynamic_version` there",
        )
        for document, path, artifact in bundlefile.artifacts_of(bundle, None)
        if path[-1] == name
        and artifact.get("dynamic_version") is False
        and not _in_presets(bundle, path[1] if path[0] == "targets" else None)
    ]
    return [*undone, *_clean_up(bundle, root)]


def of_python(bundle: Bundle, project: str, wheel: Path, target: str | None) -> list[Problem]:
    """Return what a bundle lacks whose jobs come from Python: nothing but itself declares the wheel."""
    name = bundlefile.artifact_name(project)
    pattern = bundlefile.wheel_pattern(project, Path(os.path.relpath(wheel.parent, bundle.root)).as_posix())
    entry = f"`{name}: {{type: whl, files: [{{source: {pattern}}}], dynamic_version: true}}`"
    declared = [
        (document, path)
        for document, path, artifact in bundlefile.artifacts_of(bundle, target)
        if wheel in bundlefile.files_of(document, artifact)
    ]
    problems = []
    if not declared:
        problems.append(
            Problem(
                f"the bundle declares no artifact for {wheel.name}: each deploy replaces the wheel that runs in flight "
                "use",
                bundlefile.location(bundle.main, (), bundle.root),
                f"under `artifacts` of {bundle.main.path.name} write {entry}",
            )
        )
    elif not any(_gives_version(bundle, path[-1], target) for _, path in declared):
        document, path = declared[0]
        problems.append(
            Problem(
                f"`{'.'.join(path)}` {_REPLACED}",
                bundlefile.location(document, path, bundle.root),
                "write `dynamic_version: true` there"
                + ("" if target is None else f", and nothing else for the target `{target}`"),
            )
        )
    problems += [
        Problem(
            f"{newer.name} lies beside {wheel.name}, and a bundle gives only the newest of them a version of its own",
            bundlefile.location(document, path, bundle.root),
            f"remove {newer.name}",
        )
        for document, path in declared[:1]
        for newer in bundlefile.files_of(document, at(document.content, *path))
        if _is_newer(newer, wheel)
    ]
    return [*problems, *_clean_up(bundle, bundle.root)]


def _clean_up(bundle: Bundle, root: Path) -> Iterator[Problem]:
    if bundle.get("experimental", "skip_artifact_cleanup") is not True:
        yield Problem(
            "a deploy removes the wheels of earlier deploys, which runs in flight still use",
            bundlefile.location(bundle.main, ("experimental",), root),
            f"under `experimental` of {bundle.main.path.name} write `skip_artifact_cleanup: true`",
        )


def _gives_version(bundle: Bundle, name: str, target: str | None) -> bool:
    """Return whether the CLI gives an artifact's wheel a version of its own at each deploy.

    The fields of a target replace those above it, and the preset counts for each artifact (bundle/config/root.go
    and mutator/artifacts_dynamic_version.go of the CLI).
    """
    fields: dict[str, Any] = {}
    for place in [(), *([("targets", target)] if target else [])]:
        fields |= table(bundle.get(*place, "artifacts", name) or {})
    return fields.get("dynamic_version") is True or _in_presets(bundle, target)


def _in_presets(bundle: Bundle, target: str | None) -> bool:
    presets: dict[str, Any] = {}
    for place in [(), *([("targets", target)] if target else [])]:
        presets |= table(bundle.get(*place, "presets") or {})
    return presets.get("artifacts_dynamic_version") is True


def _is_newer(wheel: Path, other: Path) -> bool:
    """Return whether `wheel` is of the same distribution as `other`, and of a later version."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        (name, version, *_), (other_name, other_version, *_) = map(parse_wheel_filename, (wheel.name, other.name))
    except InvalidWheelFilename:
        return False
    return name == other_name and version > other_version
