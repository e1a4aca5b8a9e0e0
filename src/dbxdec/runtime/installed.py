"""Finds the manifests of installed pipelines.

`importlib.metadata` costs a third of a task's whole start-up, since it imports the email parser. So the usual case, a
`.dist-info` folder on `sys.path`, is read directly, and `importlib.metadata` handles only the rest.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

from dbxdec.errors import ManifestError, did_you_mean, listed
from dbxdec.model.manifest import MAX_BYTES, PATH, Manifest, decode
from dbxdec.support.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILE = f"extra_metadata/{PATH}"
_DIST_INFO = pattern(r"(?P<name>.+?)-[^-]+\.dist-info", re.IGNORECASE)


def find_manifest(package: str) -> Manifest:
    """Return the manifest of the installed distribution `package`.

    Raises ManifestError if it is not installed, or was built without dbxdec's build hook.
    """
    wanted = _normalised(package)
    for name, folder in _dist_infos():
        if name == wanted:
            return _read(package, folder)
    return _find_elsewhere(package)


def installed_manifests() -> tuple[list[Manifest], list[ManifestError]]:
    """Return the manifests of all installed pipelines, by name, and the errors of those that can't be read."""
    found: dict[str, str] = {}
    for name, folder in _dist_infos():
        found.setdefault(name, folder)
    manifests, unreadable = [], []
    for name, folder in sorted(found.items()):
        if os.path.isfile(os.path.join(folder, _FILE)):
            try:
                manifests.append(_read(name, folder))
            except ManifestError as error:
                unreadable.append(error)
    return manifests, unreadable


def _dist_infos() -> Iterator[tuple[str, str]]:
    """Yield (normalised name, folder) of each distribution, the one that takes precedence first."""
    for entry in sys.path:
        try:
            names = sorted(os.listdir(entry or "."))
        except OSError:
            continue
        for name in names:
            if match := _DIST_INFO.fullmatch(name):
                yield _normalised(match["name"]), os.path.join(entry or ".", name)


def _read(package: str, folder: str) -> Manifest:
    path = os.path.join(folder, _FILE)
    try:
        with open(path, "rb") as file:
            return decode(file.read(MAX_BYTES + 1), path)
    except FileNotFoundError:
        raise _without_manifest(package) from None
    except OSError as error:
        raise ManifestError(f"{path} can't be read: {error.strerror}") from None


def _find_elsewhere(package: str) -> Manifest:
    from importlib import metadata

    try:
        text = metadata.distribution(package).read_text(_FILE)
    except metadata.PackageNotFoundError:
        known = [manifest.project for manifest in installed_manifests()[0]]
        raise ManifestError(
            f"the package `{package}` is not installed in {sys.prefix}",
            hint=did_you_mean(package, known) or (f"installed pipelines: {listed(known)}" if known else None),
        ) from None
    except (OSError, ValueError) as error:
        raise ManifestError(f"the manifest of `{package}` can't be read: {error}") from None
    if text is None:
        raise _without_manifest(package)
    return decode(text, f"the manifest of {package}")


def _without_manifest(package: str) -> ManifestError:
    return ManifestError(
        f"the package `{package}` is installed, but has no manifest of dbxdec",
        hint="its wheel was built without the hook: put `[tool.hatch.build.hooks.dbxdec]` into its pyproject.toml; or "
        "it is an editable install of pipelines with mistakes, which `dbxdec check` in its folder lists",
    )


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
