"""`databricks.yml` with the files that it includes, as far as dbxdec needs them."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from dbxdec.build.codegen.render import artifact_name as artifact_name
from dbxdec.errors import ConfigError, Problem, SourceLocation
from dbxdec.records import dataclass
from dbxdec.support import documents
from dbxdec.support.forms import at, table

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("databricks.yml", "databricks.yaml", "bundle.yml", "bundle.yaml")
"""The names of a bundle's file, in the order in which the bundle's CLI looks for them."""

# Commands that make wheels, for artifacts whose type does not say so.
_MAKES_WHEELS = re.compile(
    r"(?<![\w-])(hatch(ling)?|python3? -m build|(uv|poetry|pdm|flit) build|pip wheel|bdist_wheel|dbxdec)\b"
)

_MAGIC = re.compile(r"[*?\[]")
_MOST_FILES = 10_000


@dataclass(frozen=True)
class Document:
    """One file of a bundle. `lines` are the line numbers of its keys, from 1, by their path."""

    path: Path
    content: dict[str, Any]
    lines: dict[tuple[str, ...], int]


@dataclass(frozen=True)
class Bundle:
    """The main file, and the files that it includes."""

    main: Document
    included: tuple[Document, ...] = ()

    @property
    def root(self) -> Path:
        return self.main.path.parent

    @property
    def documents(self) -> tuple[Document, ...]:
        return (self.main, *self.included)

    def get(self, *path: str) -> Any:
        """Return the value at `path`: of the first file that has it; mappings of all files are merged."""
        found = [value for each in self.documents if (value := at(each.content, *path)) is not None]
        if all(isinstance(value, dict) for value in found):
            return {key: item for value in reversed(found) for key, item in value.items()} if found else None
        return found[0]


def find(folder: Path) -> Path | None:
    """Return the main file of the bundle that `folder` is in: there, or above it within the same git repository."""
    above: Path | None = None
    for place in (folder, *folder.parents):
        above = above or next((place / name for name in NAMES if (place / name).is_file()), None)
        if above is not None and place == folder:
            return above
        if (place / ".git").exists():
            return above
    return None


def load(path: Path, text: str | None = None, *, words: tuple[str, ...] = ()) -> Bundle:
    """Return the bundle whose main file is at `path`; `text` is that file's content when it is not read from there.

    With `words`, an included file that has none of them is left out. Raises ConfigError for a file that can't be read
    as YAML, or is not a mapping.
    """
    main = _parse(path, text)
    patterns = main.content.get("include")
    files = [
        file
        for pattern in (patterns if isinstance(patterns, list) else ())
        if isinstance(pattern, str) and not os.path.isabs(pattern)
        for file in _matching(path.parent, pattern)
        if file.suffix in (".yml", ".yaml", ".json") and file != path
    ]
    included: list[Document] = []
    problems: list[Problem] = []
    for file in dict.fromkeys(files):
        try:
            content = documents.text_of(file, documents.MAX_YAML)
            if not words or any(word in content for word in words):
                included.append(_parse(file, content))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return Bundle(main, tuple(included))


def mistakes(root: Path) -> list[Problem]:
    """Return the mistakes in the bundle of the project at `root`, if it is in one."""
    path = find(root)
    if path is None:
        return []
    try:
        settings = documents.toml_of(root / "pyproject.toml")
    except ConfigError:
        settings = {}
    directory = directory_of(at(settings, "tool", "hatch"))
    try:
        return builds_of(load(path), root, str(at(settings, "project", "name") or ""), directory)
    except ConfigError as error:
        return list(error.problems)


def directory_of(hatch: Any) -> str:
    """Return the folder that wheels go to, by the settings of hatch."""
    own = at(hatch, "build", "targets", "wheel", "directory")
    found = own or at(hatch, "build", "directory")
    return found if isinstance(found, str) else "dist"


def builds_of(bundle: Bundle, root: Path, project: str, directory: str = "dist") -> list[Problem]:
    """Return a problem for each place where the bundle builds the wheel of `root` itself, after reading the resources.

    `directory` is the folder of the project that its wheels go to. Places are relative to `root`.
    """
    return [
        Problem(
            f"the bundle builds the wheel of {project or 'this project'} in its artifact `{name}`, after it has read "
            "the job definitions: a deploy would take those of an older build with the new wheel",
            SourceLocation(Path(os.path.relpath(document.path, root)).as_posix(), document.lines.get(path, 1)),
            "remove that artifact alone, and let the bundle build in time: `preinit: dbxdec bundle` under `scripts` of "
            "`experimental`; the resources that it writes declare this wheel, and artifacts of other wheels still work",
        )
        for document in bundle.documents
        for path, name, artifact in _artifacts(document)
        if _builds(document, artifact, bundle.root, root, directory) or _is_ours(artifact, name, project)
    ]


def _artifacts(document: Document) -> Iterator[tuple[tuple[str, ...], str, dict[str, Any]]]:
    """Yield all artifacts that a file declares, for all targets and for single ones: path, name, fields."""
    targets = table(document.content, "targets")
    for prefix in [(), *(("targets", name) for name in targets)]:
        for name, artifact in table(document.content, *prefix, "artifacts").items():
            if isinstance(artifact, dict):
                yield (*prefix, "artifacts", name), str(name), artifact


def _builds(document: Document, artifact: dict[str, Any], bundle_root: Path, root: Path, directory: str) -> bool:
    """Return whether the CLI would build the project at `root`: it runs its own build when there are no `files`."""
    command, sources = artifact.get("build"), sources_of(artifact)
    is_wheel = artifact.get("type") == "whl"
    if not (is_wheel or (isinstance(command, str) and _MAKES_WHEELS.search(command))):
        return False
    if not command and sources:
        return False
    folder = document.path.parent
    if sources:
        places = [_normal(folder / source).parent for source in sources if isinstance(source, str)]
        return _normal(root / directory) in places
    path = artifact.get("path")
    return _normal(folder / path if isinstance(path, str) else bundle_root) == _normal(root)


def sources_of(artifact: dict[str, Any]) -> list[Any]:
    """Return the patterns of the files that an artifact takes, as they are written."""
    files = artifact.get("files")
    return [entry.get("source") for entry in (files if isinstance(files, list) else ()) if isinstance(entry, dict)]


def _is_ours(artifact: dict[str, Any], name: str, project: str) -> bool:
    """Return whether an artifact would be merged with the artifact that the resources declare, under the same name."""
    return bool(artifact.get("build")) and name == artifact_name(project)


def wheel_pattern(project: str, folder: str) -> str:
    """Return a pattern of the wheels of `project` in `folder`, and of no other project: names of wheels hold no `-`."""
    return f"./{folder}/{distribution_name(project)}-*.whl"


def distribution_name(project: str) -> str:
    """Return the start of a wheel's name."""
    return re.sub(r"[-_.]+", "_", project).lower()


def artifacts_of(bundle: Bundle, target: str | None) -> Iterator[tuple[Document, tuple[str, ...], dict[str, Any]]]:
    """Yield the artifacts that count in a target, or in any when it is None: file, path, fields."""
    for document in bundle.documents:
        for path, _, artifact in _artifacts(document):
            if path[0] != "targets" or target in (None, path[1]):
                yield document, path, artifact


def files_of(document: Document, artifact: dict[str, Any]) -> set[Path]:
    """Return the files that an artifact takes, by its patterns."""
    return {
        _normal(found)
        for source in sources_of(artifact)
        if isinstance(source, str) and source and not os.path.isabs(source)
        for found in _matching(document.path.parent, os.path.normpath(source))
    }


def location(document: Document, path: tuple[str, ...], root: Path) -> SourceLocation:
    """Return the line of `path` in a file of the bundle, or its first line if it is not there."""
    return SourceLocation(Path(os.path.relpath(document.path, root)).as_posix(), document.lines.get(path, 1))


def includes(pattern: str, path: str) -> bool:
    """Return whether a pattern under `include` matches the file at `path`; both are relative to the bundle's root."""
    parts, patterns = (PurePosixPath(os.path.normpath(text)).parts for text in (path, pattern))
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


def _normal(path: Path) -> Path:
    return Path(os.path.normpath(path))


def _matching(folder: Path, pattern: str) -> list[Path]:
    """Return the sorted files that match a pattern of the CLI's `filepath.Glob`, in which `**` is `*`."""
    places = [folder] if pattern.isprintable() else []
    for part in PurePosixPath(pattern).parts:
        if _MAGIC.search(part):
            places = [place / name for place in places for name in _names(place) if fnmatchcase(name, part)]
        else:
            places = [place / part for place in places if os.path.lexists(place / part)]
        if len(places) > _MOST_FILES:
            raise ConfigError(f"`include` takes in more than {_MOST_FILES:,} files by {pattern!r:.80}")
    return [place for place in places if place != folder]


def _names(folder: Path) -> list[str]:
    with suppress(OSError):  # no folder, or an unreadable one
        return sorted(os.listdir(folder))
    return []


def _parse(path: Path, text: str | None = None) -> Document:
    found = documents.yaml_of(path) if text is None else documents.yaml(text, str(path))
    content = {} if found.value is None else found.value
    if not isinstance(content, dict):
        raise ConfigError(f"{path} is not a mapping, as a bundle must be")
    return Document(path, content, found.lines)
