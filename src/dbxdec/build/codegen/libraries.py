"""Libraries of a task's process besides the platform's own packages: the wheel, other wheels of the tree, and packages.

With a lock these are the packages of its compute's Python, each in one version.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import field
from typing import TYPE_CHECKING, Any

from dbxdec.build.codegen.environments import NO_PACKAGE, exclusive, is_package, is_wheel, normalised
from dbxdec.build.codegen.versions import A_RANGE, ONE_OF_THEM
from dbxdec.errors import listed
from dbxdec.model.locked import OWN, of_cluster, of_environment
from dbxdec.records import dataclass
from dbxdec.support.addresses import secretive
from dbxdec.support.forms import strings_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dbxdec.model.locked import Locked, Pins
    from dbxdec.model.manifest import Manifest

# Serverless needs a version; 4 is Python 3.12 (docs.databricks.com, "Serverless environment versions").
ENVIRONMENT_VERSION = "4"
PLACEHOLDER = "dist/placeholder-0-py3-none-any.whl"
"""The path of a wheel before it is built."""
FOLDER = "libraries"
"""The folder beside the wheel for other wheels that it needs."""
_DIGITS = 12
_WHEEL = re.compile(r"(?P<stem>(?P<name>[^-]+)-(?P<version>[^-]+))(?P<rest>(-\d[^-]*)?-[^-]+-[^-]+-[^-]+\.whl)")
_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(\[[^\]]*\]\s*)?([<>=!~;,@(].*)?", re.DOTALL
)
_INDEX_OPTION = re.compile(r"\s*(--(index-url|extra-index-url|no-index|find-links|pypi-url)\b|-[if]\b)")


# The Jobs API's reference, `libraries`: each is of one kind.
_KINDS = ("cran", "egg", "jar", "maven", "pypi", "requirements", "whl")
_NAMES = {"pypi": "package", "cran": "package", "maven": "coordinates"}


def library_findings(libraries: Any, written: Any) -> Iterator[tuple[str, str | None]]:
    """Yield what the platform would refuse in the libraries of a task, as (message, hint).

    Those that the author has `written` are among them.
    """
    for i, library in enumerate(libraries if isinstance(libraries, list) else ()):
        found = [kind for kind in _KINDS if library.get(kind) is not None] if isinstance(library, dict) else []
        if len(found) > 1:
            yield f"has a library of several kinds, `libraries[{i}]`: {listed(found)}", "write one for each"
        for kind in found:
            what = library[kind]
            if (what.get(_NAMES.get(kind, "")) if isinstance(what, dict) else what) == "":
                yield f"has a library without a name, `libraries[{i}].{kind}`", "leave it out"
            for text in filter(None, map(secretive, (one for one in _parts(what) if isinstance(one, str)))):
                message = f"has a password or a token in {text}, of `libraries[{i}].{kind}`, which everybody could read"
                yield message, "leave them out, and let the cluster have the password: an index of the workspace"
    yield from (
        (f"has the library `{text}`, which is not a package", NO_PACKAGE)
        for text in _packages(written)
        if text and secretive(text) is None and not is_package(text)
    )
    authors = {normalised(text) for text in _packages(written)}
    for those in exclusive(_packages(libraries)):
        if not authors.isdisjoint(those) and those[1:]:
            yield f"has the libraries {listed(those)}, which exclude each other", ONE_OF_THEM
        elif not authors.isdisjoint(those):
            yield f"has the library `{those[0]}`, which excludes every version", A_RANGE


def _packages(libraries: Any) -> list[str]:
    """Return the packages that pip installs, as they are written."""
    entries = [one.get("pypi") for one in (libraries if isinstance(libraries, list) else ()) if isinstance(one, dict)]
    names = [entry.get("package") for entry in entries if isinstance(entry, dict)]
    return [name for name in names if isinstance(name, str)]


def _parts(what: Any) -> Iterable[Any]:
    return what.values() if isinstance(what, dict) else [what]


@dataclass(frozen=True)
class Libraries:
    """The libraries of a build. `extra` are wheels and requirements, `own` is dbxdec where no pin has it.

    Paths of wheels are relative to the project's root. `shipped` are the paths of wheels as they are deployed, by their
    path in the project.
    """

    wheel: str
    extra: tuple[str, ...] = ()
    locked: Locked | None = None
    own: str | None = None
    shipped: Mapping[str, str] = field(default_factory=dict)
    _of_clusters: dict[str, list[dict[str, Any]]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, manifest: Manifest, wheel: str, own: str | None = None) -> Libraries:
        """Return the libraries of the build of `manifest`, whose wheel is at the path `wheel`.

        `own` is a requirement, or the name of a wheel that lies among the other ones.
        """
        if own is not None and own.endswith(".whl"):
            own = beside(wheel, own)
        return cls(wheel, manifest.libraries, manifest.locked, own, shipped(manifest, wheel))

    def of_cluster(self, cluster: Any) -> list[dict[str, Any]]:
        """Return the libraries of a task on a cluster with these fields; the list is the same for equal computes."""
        compute = of_cluster(cluster) if self.locked is not None else ""
        if (known := self._of_clusters.get(compute)) is not None:
            return known
        pins = None if self.locked is None else self.locked.on(compute)
        libraries = [_library(text) for text in (self.wheel, *self._extra(pins))]
        for text, index in self._pinned(pins):
            library = _library(text)
            if index is not None:
                library["pypi"]["repo"] = index
            libraries.append(library)
        self._of_clusters[compute] = libraries
        return libraries

    def of_environment(self, spec: Mapping[str, Any]) -> list[str]:
        """Return our dependencies of an environment with this spec; its own come after them."""
        pins = None if self.locked is None else self.locked.on(of_environment(spec, ENVIRONMENT_VERSION))
        pinned = self._pinned(pins)
        options = _index_options(pinned, spec.get("dependencies"))
        return [self.wheel, *self._extra(pins), *options, *(text for text, _ in pinned)]

    def _extra(self, pins: Pins | None) -> list[str]:
        """Return the extra libraries; a requirement of a package that is pinned says nothing more."""
        names = {name_of(text) for text in pins.packages} if pins is not None else set()
        extra = [self._deployed(text) for text in self.extra if (name := name_of(text)) is None or name not in names]
        return [*extra, self.own] if pins is None and self.own is not None else extra

    def _pinned(self, pins: Pins | None) -> list[tuple[str, str | None]]:
        """Return each package that is pinned, and its private index."""
        found: list[tuple[str, str | None]] = []
        for text in pins.packages if pins is not None else ():
            if text == OWN:
                found += [(self.own, None)] if self.own is not None else []
            else:
                name = name_of(text)
                found.append((self._deployed(text), pins.indexes.get(name) if pins is not None and name else None))
        return found

    def _deployed(self, text: str) -> str:
        return self.shipped.get(text, text)


def shipped(manifest: Manifest, wheel: str) -> dict[str, str]:
    """Return the path at which each other wheel of a build is deployed, by its path in the project.

    `wheel` is the path of the build's own wheel. The others are in a folder beside it.
    """
    return {path: beside(wheel, own_name(path, digest)) for path, digest in manifest.wheels.items()}


def beside(wheel: str, name: str) -> str:
    """Return the path of another wheel that is deployed with `wheel`."""
    return posixpath.join(posixpath.dirname(wheel), FOLDER, name)


def own_name(path: str, digest: str) -> str:
    """Return a name for a wheel that no other content has: with a local version made of its digest, in hex.

    A cluster that has one content installed must take the other for another version.
    """
    name = posixpath.basename(path)
    found = _WHEEL.fullmatch(name)
    return name if found is None else f"{found['stem']}{local_version(found['version'], digest)}{found['rest']}"


def local_version(version: str, digest: str) -> str:
    """Return what is appended to the version of a wheel with this digest."""
    return f"{'.' if '+' in version else '+'}dbx{digest[:_DIGITS]}"


def name_of(text: str) -> str | None:
    """Return the name of the package that a library installs by a requirement; None for files and options."""
    if is_wheel(text):
        return None
    found = _REQUIREMENT.fullmatch(text.strip())
    return re.sub(r"[-_.]+", "-", found["name"]).lower() if found else None


def _library(text: str) -> dict[str, Any]:
    return {"whl": text} if is_wheel(text) else {"pypi": {"package": text}}


def _index_options(pinned: Sequence[tuple[str, str | None]], authors: Any) -> list[str]:
    """Return the options that name the private indexes; none where the author's own dependencies have such options."""
    indexes = sorted({index for _, index in pinned if index is not None})
    if not indexes or any(map(_INDEX_OPTION.match, strings_in(authors))):
        return []
    from_the_default = any(index is None and "==" in text and "@" not in text for text, index in pinned)
    if len(indexes) == 1 and not from_the_default:
        return [f"--index-url {indexes[0]}"]
    return [f"--extra-index-url {index}" for index in indexes]
