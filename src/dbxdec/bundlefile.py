"""`databricks.yml` with the files that it includes, as far as dbxdec has to know them."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from dbxdec.errors import ConfigError, Problem, SourceLocation

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("databricks.yml", "databricks.yaml", "bundle.yml", "bundle.yaml")
"""What the bundle's CLI takes for a bundle, in its order."""

# Commands that make wheels, for artifacts whose type does not say so.
_MAKES_WHEELS = re.compile(
    r"(?<![\w-])(hatch(ling)?|python3? -m build|(uv|poetry|pdm|flit) build|pip wheel|bdist_wheel|dbxdec)\b"
)


@dataclass(frozen=True)
class Document:
    """One file of a bundle. `lines` are where its keys stand, from 1, by their path."""

    path: Path
    content: dict[str, Any]
    lines: dict[tuple[str, ...], int]


@dataclass(frozen=True)
class Bundle:
    """The main file, and those that it includes."""

    main: Document
    included: tuple[Document, ...] = ()

    @property
    def root(self) -> Path:
        return self.main.path.parent

    @property
    def documents(self) -> tuple[Document, ...]:
        return (self.main, *self.included)

    def get(self, *path: str) -> Any:
        """The value at `path`: of the first file that has it, and mappings of all files put together."""
        found = [value for each in self.documents if (value := _at(each.content, path)) is not None]
        if all(isinstance(value, dict) for value in found):
            return {key: item for value in reversed(found) for key, item in value.items()} if found else None
        return found[0]


def find(folder: Path) -> Path | None:
    """The main file of the bundle that `folder` is in: there, or above it within the same git repository."""
    above: Path | None = None
    for place in (folder, *folder.parents):
        above = above or next((place / name for name in NAMES if (place / name).is_file()), None)
        if above is not None and place == folder:
            return above
        if (place / ".git").exists():
            return above
    return None


def load(path: Path, text: str | None = None, *, words: tuple[str, ...] = ()) -> Bundle:
    """The bundle whose main file is at `path`; `text` is that file's content where it is not read from there.

    With `words`, an included file that has none of them is left out. Raises ConfigError for a file that can't be read
    as YAML, or is no mapping.
    """
    main = _parse(path, _read(path) if text is None else text)
    patterns = main.content.get("include")
    files = [
        file
        for pattern in (patterns if isinstance(patterns, list) else ())
        if isinstance(pattern, str) and not os.path.isabs(pattern)
        for file in sorted(path.parent.glob(pattern))
        if file.suffix in (".yml", ".yaml", ".json") and file != path
    ]
    included = [(file, _read(file)) for file in dict.fromkeys(files)]
    return Bundle(
        main,
        tuple(
            _parse(file, content) for file, content in included if not words or any(word in content for word in words)
        ),
    )


def mistakes(root: Path) -> list[Problem]:
    """What is wrong with the bundle of the project at `root`, where it is in one."""
    path = find(root)
    if path is None:
        return []
    try:
        settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        settings = {}
    directory = directory_of(_at(settings, ("tool", "hatch")))
    try:
        return builds_of(load(path), root, str(_at(settings, ("project", "name")) or ""), directory)
    except ConfigError as error:
        return list(error.problems)


def directory_of(hatch: Any) -> str:
    """The folder that wheels go to, by the settings of hatch."""
    own = _at(hatch, ("build", "targets", "wheel", "directory"))
    return str(own or _at(hatch, ("build", "directory")) or "dist")


def builds_of(bundle: Bundle, root: Path, project: str, directory: str = "dist") -> list[Problem]:
    """Where the bundle itself builds the wheel of the project at `root`, after it has read the resources.

    `directory` is the folder of the project that its wheels go to. Places are relative to `root`.
    """
    return [
        Problem(
            f"the bundle builds the wheel of {project or 'this project'} in its artifact `{name}`, after it has read "
            "the job definitions: a deploy would take those of an older build with the new wheel",
            SourceLocation(Path(os.path.relpath(document.path, root)).as_posix(), document.lines.get(path, 1)),
            "remove that artifact, and let the bundle build in time: `preinit: dbxdec bundle` under `scripts` of "
            "`experimental`; the resources that it writes declare the wheel",
        )
        for document in bundle.documents
        for path, name, artifact in _artifacts(document)
        if _builds(document, artifact, bundle.root, root, directory) or _is_ours(artifact, name, project)
    ]


def _artifacts(document: Document) -> Iterator[tuple[tuple[str, ...], str, dict[str, Any]]]:
    """All artifacts that a file declares, for all targets and for some: path, name, fields."""
    targets = _at(document.content, ("targets",)) or {}
    for prefix in [(), *(("targets", name) for name in targets)]:
        artifacts = _at(document.content, (*prefix, "artifacts"))
        for name, artifact in (artifacts if isinstance(artifacts, dict) else {}).items():
            if isinstance(artifact, dict):
                yield (*prefix, "artifacts", name), str(name), artifact


def _builds(document: Document, artifact: dict[str, Any], bundle_root: Path, root: Path, directory: str) -> bool:
    """Whether the CLI would build the project at `root`: it runs a build of its own where there are no `files`."""
    command = artifact.get("build")
    files = artifact.get("files")
    sources = [entry.get("source") for entry in (files if isinstance(files, list) else ()) if isinstance(entry, dict)]
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


def _is_ours(artifact: dict[str, Any], name: str, project: str) -> bool:
    """Whether an artifact would be merged with the one that the resources declare, under the same name."""
    return bool(artifact.get("build")) and name == artifact_name(project)


def artifact_name(project: str) -> str:
    """The name under which the resources declare the wheel."""
    return re.sub(r"[^\w-]", "_", project)


def includes(pattern: str, path: str) -> bool:
    """Whether a pattern under `include` takes in the file at `path`; both are relative to the bundle's root."""
    parts, patterns = (PurePosixPath(os.path.normpath(text)).parts for text in (path, pattern))
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


def _normal(path: Path) -> Path:
    return Path(os.path.normpath(path))


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8: {error}") from None


def _parse(path: Path, text: str) -> Document:
    import yaml

    try:
        content = yaml.safe_load(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds no mapping, which a bundle is")
    return Document(path, content, dict(_lines(node)))


def _lines(node: Any, path: tuple[str, ...] = (), depth: int = 5) -> Iterator[tuple[tuple[str, ...], int]]:
    import yaml

    if isinstance(node, yaml.MappingNode) and depth:
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield (*path, key.value), key.start_mark.line + 1
                yield from _lines(value, (*path, key.value), depth - 1)


def _at(content: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        if not isinstance(content, dict):
            return None
        content = content.get(part)
    return content
